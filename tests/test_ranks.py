"""Several processes train one GAN: as one process would, alike on each, and never by halves."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import torch
from tools import ROOT
from torch import nn
from toys import Poison, differing, trainer

from gan_course import checkpoints
from gan_course.distributions import normal, ring
from gan_course.networks import mlp
from gan_course.training import NonFiniteError, Settings, Trainer
from gan_course.training.programs import can_be_parted
from gan_course.training.ranks import ALONE, Ranks, RanksError, joined, present

Saved = dict[str, Any]
LOOPBACK = "lo0" if sys.platform == "darwin" else "lo"
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="gloo is told of its network here")


class Pair:
    """Two processes that have joined; each call is made in both."""

    def __init__(self, timeout: float, folder: Path) -> None:
        spawn = multiprocessing.get_context("spawn")
        self.pools = [ProcessPoolExecutor(1, spawn) for _ in range(2)]
        store = f"file://{folder / 'store'}"
        self(join, store, timeout)

    def __call__(self, function: Callable[..., Any], *arguments: Any) -> list[Any]:
        futures = [
            pool.submit(function, *arguments, rank=rank) for rank, pool in enumerate(self.pools)
        ]
        return [future.result(timeout=600) for future in futures]

    def close(self) -> None:
        for pool in self.pools:
            for process in pool._processes.values():
                process.kill()
            pool.shutdown()


def join(store: str, timeout: float, rank: int) -> None:
    torch.set_num_threads(1)
    os.environ |= {"WORLD_SIZE": "2", "RANK": str(rank), "GLOO_SOCKET_IFNAME": LOOPBACK}
    torch.distributed.init_process_group(
        "gloo", init_method=store, rank=rank, world_size=2, timeout=timedelta(seconds=timeout)
    )


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    pair = Pair(300, tmp_path_factory.mktemp("pair"))
    yield pair
    pair.close()


NUMBERS = ("discriminator_loss", "generator_loss", "discriminator_gradient", "real", "fake")


def trained(steps: int, options: Saved, rank: int = 0) -> tuple[Saved, torch.Tensor]:
    """Train, and return all of the state, and the history's numbers."""
    ours = made(options, rank)
    history = ours.train(steps, progress=False)
    return ours.state_dict(), torch.stack([history[quantity] for quantity in NUMBERS])


def made(options: Saved, rank: int = 0) -> Trainer:
    # The second rank begins with weights of its own, which the first one's must replace.
    options = dict(options)
    torch.set_default_dtype(options.pop("dtype", torch.float32))
    try:
        if not options.get("packing"):
            return trainer(**{"weights": rank, **options})
        torch.manual_seed(rank)
        G, D = mlp(2, 2, width=16), mlp(2 * options["packing"], 1, width=16)
        return Trainer(G, D, ring(), settings=Settings(**options), device="cpu")
    finally:
        torch.set_default_dtype(torch.float32)


# --- One process, or two ------------------------------------------------------------------

SAME: dict[str, Saved] = {
    "plain": {},
    "runs": {"runs": 3, "discriminator_rate": (1e-3, 1e-2, 0.0), "batch": 15, "averaging": 0.9},
    "runs ahead": {"runs": 2, "unroll": 2, "penalties": {"R1": 0.1}},
    "penalties": {"penalties": {"R1": 0.1, "R2": 0.1, "WGAN-GP": 0.1}},
    # D's last bias has no gradient but rounding here, of which Adam makes whole steps.
    "pairs": {"loss": "relativistic", "k": 2, "optimiser": "SGD"},
    "packs": {"packing": 4, "penalties": {"WGAN-GP": 1.0}},
    "noise and bounds": {"instance_noise": 0.1, "gradient_clip": 0.1, "clip": 0.2},
    "ahead": {"unroll": 3, "averaging": 0.9},
    "labels": {"data": (torch.linspace(-1, 1, 80).view(40, 2), torch.arange(40) % 3)},
    "RMSprop": {"optimiser": "RMSprop"},
}


def close(one: Saved, other: Saved, tolerance: float) -> None:
    for name, tensor in one["tensors"].items():
        torch.testing.assert_close(
            other["tensors"][name],
            tensor,
            rtol=tolerance,
            atol=tolerance,
            msg=lambda message, name=name: f"{name}: {message}",
        )


@pytest.mark.parametrize(
    ("name", "dtype", "tolerance"),
    [
        *[(name, torch.float64, 1e-9) for name in SAME],
        # In single precision, a sample at a kink of D may fall on its other side.
        *[(name, torch.float32, 1e-5) for name in ("plain", "penalties", "ahead")],
    ],
    ids=str,
)
def test_two_ranks_do_what_one_process_does(
    name: str, dtype: torch.dtype, tolerance: float, pair: Pair
):
    options = {"batch": 16, "dtype": dtype, **SAME[name]}
    (state, numbers), (other, its_numbers) = pair(trained, 20, options)
    alone, expected = trained(20, options)
    assert differing(state["tensors"], other["tensors"]) == []
    assert torch.equal(numbers, its_numbers)
    assert torch.equal(state["random"], alone["random"])
    close(alone, state, tolerance)
    torch.testing.assert_close(numbers, expected, rtol=100 * tolerance, atol=tolerance)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"pair": "norms", "averaging": 0.9},
        {"pair": "norms", "runs": 3},
        {"pair": "convolutional", "batch": 8},
    ],
    ids=["plain", "norms", "many norms", "convolutions"],
)
def test_ranks_are_identical_after_fifty_steps(options: Saved, pair: Pair):
    (state, _), (other, _) = pair(trained, 50, options)
    assert differing(state["tensors"], other["tensors"]) == []


def seen(runs: int, rank: int) -> tuple[list[tuple[int, ...]], bool, Saved, Saved]:
    """What D is shown in training, and whether what a callback and a checkpoint see is whole."""
    ours = trainer(runs=runs, weights=rank)
    shown: list[tuple[int, ...]] = []
    step = ours._parts[0][1]
    judge = step.judge
    step.judge = lambda critic, real, *rest, **options: (
        shown.append(tuple(real.shape)),
        judge(critic, real, *rest, **options),
    )[1]
    states: list[Saved] = []
    ours.train(2, lambda ours: states.append(ours.state_dict()))
    one = ours.discriminator_step()
    return shown, bool(one.loss.isfinite().all()), states[0], ours.state_dict()


def test_each_rank_trains_runs_of_its_own_and_all_see_all(pair: Pair):
    (shown, finite, at_one, at_end), (also, _, its_one, its_end) = pair(seen, 3)
    assert {*shown} == {(1, 16, 2)}  # whole batches of one run,
    assert {*also} == {(2, 16, 2)}  # and of two
    assert finite
    for mine, yours in ((at_one, its_one), (at_end, its_end)):
        assert differing(mine["tensors"], yours["tensors"]) == []
    alone = trainer(runs=3)
    alone.train(1)
    close(alone.state_dict(), at_one, 1e-5)
    alone.train(1), alone.discriminator_step()
    close(alone.state_dict(), at_end, 1e-5)


def poisoned(spoiled: list[int], rank: int) -> tuple[str, list[bool], int, Saved]:
    ours = trainer(runs=3, data=Poison(ring(), at=[4], spoiled=spoiled))
    try:
        history, said = ours.train(6), ""
    except NonFiniteError as error:
        history, said = error.history, str(error)
    return said, ours.frozen.tolist(), len(history), ours.state_dict()


def test_only_plain_runs_are_divided():
    assert can_be_parted(trainer(runs=3).state, 2)
    for ours, parts in ((trainer("norms", 3), 2), (trainer(), 2), (trainer(runs=3), 4)):
        assert not can_be_parted(ours.state, parts)


@pytest.mark.parametrize("spoiled", [[0], [1], [0, 1, 2]], ids=str)
def test_runs_that_stop_are_known_to_all_ranks(spoiled: list[int], pair: Pair):
    (said, frozen, steps, state), other = pair(poisoned, spoiled)
    assert (said, frozen, steps) == other[:3]
    assert differing(state["tensors"], other[3]["tensors"]) == []
    expected = poisoned(spoiled, 0)
    assert (said, frozen, steps) == expected[:3]
    close(expected[3], state, 1e-5)


# --- What a layer remembers ---------------------------------------------------------------


def statistics(steps: int, lone: int | None, rank: int) -> list[torch.Tensor]:
    """Running statistics of G's first batch norm; of the share of ``lone``, as it alone sees it."""
    ours = trainer("norms", weights=0)
    if lone is not None:
        ours.ranks = ALONE
        ours._whole.ranks = ALONE
        ours._draws.ranks = Ranks(lone, 2)
        ours._alike = True
    for _ in range(steps):
        ours.discriminator_step()
    norm = next(m for m in ours.generator.modules() if isinstance(m, nn.BatchNorm1d))
    return [norm.running_mean.clone(), norm.running_var.clone(), norm.num_batches_tracked.clone()]


def test_running_statistics_are_the_mean_of_what_the_ranks_have_seen(pair: Pair):
    together, also = pair(statistics, 1, None)
    mine, _ = pair(statistics, 1, 0)
    yours, _ = pair(statistics, 1, 1)
    for one, other in zip(together, also, strict=True):
        assert torch.equal(one, other)
    for index in range(2):
        assert not torch.equal(mine[index], yours[index])
        torch.testing.assert_close(together[index], (mine[index] + yours[index]) / 2)
    assert together[2] == 1


def test_what_ranks_do_not_move_stays_as_it_is(pair: Pair):
    options = {"pair": "norms", "averaging": 0.9}
    (state, _), _ = pair(trained, 3, options)
    alone, _ = trained(3, options)
    vectors = [name for name in state["tensors"] if name.endswith(".right")]
    assert vectors
    for name in vectors:  # spectral norm: of the same weights, so nearly the same
        torch.testing.assert_close(
            state["tensors"][name], alone["tensors"][name], atol=1e-2, rtol=0
        )


def dropped(rank: int) -> torch.Tensor:
    """The samples of one batch through a D with dropout, in training."""
    torch.manual_seed(0)
    D = nn.Sequential(nn.Linear(2, 64), nn.Dropout(0.5), nn.Linear(64, 1))
    seen: list[torch.Tensor] = []
    D[1].register_forward_hook(lambda _m, _i, out: seen.append(out.detach() == 0))
    ours = Trainer(mlp(2, 2), D, normal(2), settings=trainer().settings, device="cpu")
    seen.clear()
    ours.discriminator_step()
    return seen[0]


def test_each_rank_drops_units_of_its_own(pair: Pair):
    one, other = pair(dropped)
    assert one.shape == other.shape
    assert 0.3 < (one != other).float().mean() < 0.7


# --- What the first rank has goes for all -------------------------------------------------


def resumed(path: Path, steps: int, every: int, rank: int) -> Saved:
    # Only the first rank sees the file.
    ours = trainer("norms", weights=rank, averaging=0.9)
    ours.train(steps, checkpoint=path if rank == 0 else path / "nowhere", every=every)
    return ours.state_dict()


def test_two_ranks_go_on_bit_for_bit_and_one_goes_on_from_theirs(pair: Pair, tmp_path: Path):
    through, _ = pair(resumed, tmp_path / "through", 8, 100)
    first, _ = pair(resumed, tmp_path / "a", 4, 2)
    second, other = pair(resumed, tmp_path / "a", 8, 100)
    assert differing(second["tensors"], through["tensors"]) == []
    assert differing(second["tensors"], other["tensors"]) == []
    assert second["steps"] == other["steps"] == 8
    # One process: what it loads is what two have saved, and what it does next is its own.
    pair(resumed, tmp_path / "b", 4, 100)
    alone, same = (trainer("norms", weights=3, averaging=0.9) for _ in range(2))
    checkpoints.load(tmp_path / "b", alone)
    assert differing(alone.state_dict()["tensors"], first["tensors"]) == []
    same.load_state_dict(first)
    alone.train(8, checkpoint=tmp_path / "b"), same.train(4)
    assert differing(alone.state_dict()["tensors"], same.state_dict()["tensors"]) == []


def goes_on(path: Path, steps: int, rank: int) -> Saved:
    ours = trainer(weights=rank)
    ours.train(steps, checkpoint=path)
    return ours.state_dict()


def test_two_ranks_go_on_from_what_one_process_has_saved(pair: Pair, tmp_path: Path):
    ours = trainer()
    ours.train(3, checkpoint=tmp_path / "a")
    state, other = pair(goes_on, tmp_path / "a", 8)
    assert differing(state["tensors"], other["tensors"]) == []
    ours.train(5)
    close(ours.state_dict(), state, 1e-5)


def refused(options: Saved, checkpoint: Path | None, rank: int) -> str:
    try:
        made(options, rank).train(1, checkpoint=checkpoint)
    except (ValueError, OSError, RuntimeError) as error:
        return f"{type(error).__name__}: {error}"
    return "nothing was refused"


def test_a_batch_that_ranks_cannot_share_is_refused(pair: Pair):
    for found in pair(refused, {"batch": 9}, None):
        assert found.startswith("ValueError: batch = 9: must be a multiple of 2 ranks × 1 samples")
    for found in pair(refused, {"batch": 12, "packing": 4}, None):
        assert "batch = 12: must be a multiple of 2 ranks × 4 samples" in found


def compiled(rank: int) -> str:
    with pytest.raises(ValueError, match="program = 'compiled'") as told:
        Trainer(mlp(2, 2), mlp(2, 1), ring(), device="cpu", program="compiled")
    return str(told.value)


def test_ranks_run_operation_by_operation(pair: Pair):
    for found in pair(compiled):
        assert "several processes train together in 'eager'" in found


def wrapped(rank: int) -> str:
    D = nn.parallel.DistributedDataParallel(mlp(2, 1))
    with pytest.raises(ValueError, match="discriminator is wrapped") as told:
        Trainer(mlp(2, 2), D, ring(), device="cpu")
    return str(told.value)


def test_a_network_that_something_else_drives_is_refused(pair: Pair):
    for found in pair(wrapped):
        assert "wrapped in DistributedDataParallel" in found
        assert "ranks.joined()" in found


def test_a_checkpoint_that_the_first_rank_cannot_use_is_refused_by_all(pair: Pair, tmp_path: Path):
    (tmp_path / "a").write_text("no checkpoint", "utf-8")
    for found in pair(refused, {}, tmp_path / "a"):
        assert found.startswith("CheckpointError: ")
    for found in pair(refused, {}, tmp_path / "nowhere" / "a"):
        assert "was not written" in found
    (state, _), (other, _) = pair(trained, 2, {})  # and all of them are where they were
    assert differing(state["tensors"], other["tensors"]) == []


# --- Interrupts, and ranks that are gone --------------------------------------------------


def interrupted(at: int, rank: int) -> tuple[int, Saved]:
    def stop(ours: Trainer) -> None:
        if (rank, ours.steps) == (1, at):
            signal.raise_signal(signal.SIGINT)

    ours = trainer()
    history = ours.train(50, stop)
    return len(history), ours.state_dict()


def test_an_interrupt_of_one_rank_stops_all_between_the_same_steps(pair: Pair):
    (steps, state), (its_steps, other) = pair(interrupted, 7)
    assert steps == its_steps == 7
    assert differing(state["tensors"], other["tensors"]) == []


def spoiled(rank: int) -> tuple[str, Saved]:

    ours = trainer(data=Poison(at=[5], spoiled=[0]))  # samples of one batch
    ours._draws.data.spoiled = (slice(None), slice(12, 16))  # of the second rank's share
    try:
        ours.train(20)
    except NonFiniteError as error:
        return str(error), ours.state_dict()
    return "", ours.state_dict()


def test_a_loss_that_is_not_finite_on_one_rank_stops_all(pair: Pair):
    (said, state), (also, other) = pair(spoiled)
    assert said == also
    assert "is not finite" in said
    assert differing(state["tensors"], other["tensors"]) == []
    assert all(bool(tensor.isfinite().all()) for tensor in state["tensors"].values())


def left_alone(steps: int, dies: bool, rank: int) -> str:
    """The second rank ends, or stands still; what the first one says of it."""

    def leave(ours: Trainer) -> None:
        if rank == 1 and ours.steps == steps:
            if dies:
                os._exit(1)
            time.sleep(10_000)

    try:
        trainer().train(10, leave)
    except RanksError as error:
        return str(error)
    return "nothing was said"


@pytest.mark.parametrize("dies", [True, False], ids=["dead", "standing still"])
def test_a_rank_that_waits_for_another_in_vain_says_so(dies: bool, tmp_path: Path):
    pair = Pair(60 if dies else 5, tmp_path)
    try:
        futures = [
            pool.submit(left_alone, 3, dies, rank=rank) for rank, pool in enumerate(pair.pools)
        ]
        said = futures[0].result(timeout=300)
    finally:
        pair.close()
    assert said.startswith("rank 0 of 2: another rank has ended or did not answer in time")


# --- One process, or none that joined -----------------------------------------------------


def test_one_process_needs_none_of_it(monkeypatch: pytest.MonkeyPatch):
    assert present() is ALONE
    monkeypatch.setenv("WORLD_SIZE", "1")
    with joined() as ranks:
        assert ranks == Ranks(0, 1)
        assert not torch.distributed.is_initialized()
        assert trainer().ranks == ranks


def test_copies_that_do_not_know_of_each_other_are_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(RanksError, match=r"WORLD_SIZE = 2: .* a copy of its own.*joined"):
        trainer()


@pytest.mark.parametrize("timeout", [0.0, -1.0])
def test_a_timeout_is_positive(timeout: float):
    with pytest.raises(ValueError, match=r"timeout = .*: must be above 0"), joined("cpu", timeout):
        pass


# --- torchrun -----------------------------------------------------------------------------


def test_torchrun_is_interrupted_and_one_process_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    from gan_course.__main__ import main

    path = tmp_path / "ring.pt"
    command = ["train", "ring", "--device", "cpu", "--checkpoint", str(path), "--every", "2"]
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    process = subprocess.Popen(
        [*torchrun, "-m", "gan_course", *command, "--steps", "1000000"],
        cwd=ROOT,
        env=os.environ | {"GLOO_SOCKET_IFNAME": LOOPBACK, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        until = time.monotonic() + 300
        while not path.exists() and process.poll() is None and time.monotonic() < until:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        said, _ = process.communicate(timeout=300)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    steps = torch.load(path, weights_only=True)["steps"]
    assert said.count(f"{steps} steps, in ") == 1, said  # of the first rank alone
    assert "The same command goes on from there" in said
    main([*command, "--steps", str(steps + 3)])
    assert f"{steps + 3} steps, in " in capsys.readouterr().out


def test_more_ranks_than_gpus_are_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    for name, value in (("WORLD_SIZE", "2"), ("LOCAL_RANK", "1")):
        monkeypatch.setenv(name, value)
    with pytest.raises(ValueError, match="has 1 GPUs, and none for its rank 1"), joined("auto"):
        pass
