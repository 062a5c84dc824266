"""A step that is compiled or captured is the step that runs operation by operation."""

from __future__ import annotations

from contextlib import nullcontext
from itertools import product
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from toys import Poison, counts, state

from gan_course.distributions import Source, normal, ring
from gan_course.networks import Ensemble, mlp
from gan_course.training import Linear, NonFiniteError, Record, Settings, Trainer, programs
from gan_course.training.programs import Captured

try:
    from torch._inductor.cpp_builder import get_cpp_compiler

    get_cpp_compiler()
    MISSING = ""
except (ImportError, RuntimeError) as error:
    MISSING = str(error)

compiled = pytest.mark.skipif(bool(MISSING), reason=f"no C++ compiler: {MISSING}")
captured = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")


def build(
    program: str,
    runs: int | None = None,
    *,
    data: Source | None = None,
    device: str = "cpu",
    **settings: object,
) -> Trainer:
    torch.manual_seed(0)
    players = [
        network() if runs is None else Ensemble(network, runs)
        for network in (lambda: mlp(2, 2, width=8, depth=1), lambda: mlp(2, 1, width=8, depth=1))
    ]
    return Trainer(
        *players,
        data or ring(),
        normal(2),
        Settings(**({"batch": 16} | settings)),
        device=device,
        program=program,
    )


def assert_same_state(ours: Trainer, eager: Trainer) -> None:
    for (name, found), expected in zip(state(ours).items(), state(eager).values(), strict=True):
        error = (found.cpu().double() - expected.cpu().double()).norm()
        assert error <= 1e-5 * expected.double().norm(), name
    assert ours.steps == eager.steps
    assert ours.frozen.tolist() == eager.frozen.tolist()


def assert_alike(ours: Trainer, eager: Trainer) -> None:
    assert_same_state(ours, eager)
    assert counts(ours) == counts(eager)


@compiled
def test_a_compiled_training_follows_the_eager_one():
    ours, eager = build("compiled", k=2), build("eager", k=2)
    ((rows, step, program),) = ours._parts
    calls: list[int] = []
    ours._parts = [(rows, step, lambda turns: (calls.append(len(turns)), program(turns))[1])]
    history, expected = ours.train(23), eager.train(23)
    assert calls == [2] * 11  # the step that is left over runs as it is
    for quantity in Record._fields:
        torch.testing.assert_close(history[quantity], expected[quantity], rtol=1e-5, atol=1e-6)
    assert_alike(ours, eager)


@compiled
@pytest.mark.parametrize("spoiled", [[5], slice(None)], ids=["one run", "all runs"])
def test_a_compiled_ensemble_stops_where_the_eager_one_does(spoiled: list[int] | slice):
    settings = {
        "averaging": 0.9,
        "clip": 0.5,
        "discriminator_rate": [1e-3 * r for r in range(1, 9)],
    }
    ours, eager = (
        build(program, 8, data=Poison(ring(), at=[12], spoiled=spoiled), **settings)
        for program in ("compiled", "eager")
    )
    if isinstance(spoiled, slice):
        for one in (ours, eager):
            with pytest.raises(NonFiniteError, match="step 12: the discriminator's"):
                one.train(20)
    else:
        ours.train(11)
        good = state(ours)
        history, expected = ours.train(9), eager.train(20)
        assert ours.frozen.nonzero().tolist() == [[5]]
        for name, tensor in state(ours).items():
            assert torch.equal(tensor[5], good[name][5]), name
        others = [run for run in range(8) if run != 5]
        for quantity in Record._fields:
            torch.testing.assert_close(
                history[quantity][:, others], expected[quantity][11:, others], rtol=1e-4, atol=1e-6
            )
    assert_alike(ours, eager)


# --- Blocks of an ensemble ------------------------------------------------------------------


def in_blocks(
    monkeypatch: pytest.MonkeyPatch, *arguments: object, **settings: object
) -> tuple[Trainer, Trainer]:
    """A training in blocks, on a machine whose cache holds two runs, and the same in one piece."""
    with monkeypatch.context() as machine:
        machine.setattr(programs, "CACHE", 2 * 2 * 16 * 8 * 4)
        machine.setattr(torch, "get_num_threads", lambda: 1)
        blocked = build(*arguments, **settings)
    assert len(blocked._parts) > 1
    whole = build("eager", *arguments[1:], **settings)
    assert len(whole._parts) == 1
    return blocked, whole


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"penalties": {"WGAN-GP": 1.0}, "loss": "wasserstein", "k": 2},
        {"averaging": 0.9, "clip": 0.1, "loss": "relativistic"},
        {"generator_rate": [1e-3 * r for r in range(1, 6)], "instance_noise": 0.1},
        {"unroll": 2},
    ],
    ids=lambda settings: ", ".join(settings) or "plain",
)
def test_an_ensemble_in_blocks_is_the_ensemble(
    settings: dict[str, object], monkeypatch: pytest.MonkeyPatch
):
    """However it is stepped; and what a reader changes counts."""
    blocked, whole = in_blocks(monkeypatch, "eager", 5, **settings)
    assert [rows for rows, _, _ in blocked._parts] == [slice(0, 2), slice(2, 4), slice(4, 5)]
    for one in (blocked, whole):
        one.train(3, schedule={"discriminator_rate": Linear(1e-3, 1e-4, 0, 3)})
        one.set(averaging=0.5, loss="hinge")
        with torch.no_grad():
            next(one.discriminator.parameters()).mul_(0.9)
    for step in ("discriminator_step", "generator_step", "step"):
        for found, expected in zip(getattr(blocked, step)(), getattr(whole, step)(), strict=True):
            torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)
    assert_same_state(blocked, whole)


@pytest.mark.parametrize("spoiled", [[2, 3], [4], slice(None)], ids=["a block", "a run", "all"])
def test_an_ensemble_in_blocks_stops_where_the_ensemble_does(
    spoiled: list[int] | slice, monkeypatch: pytest.MonkeyPatch
):
    blocked, whole = in_blocks(monkeypatch, "eager", 5)
    blocked.data, whole.data = (Poison(ring(), at=[3], spoiled=spoiled) for _ in range(2))
    for one in (blocked, whole):
        if isinstance(spoiled, slice):
            with pytest.raises(NonFiniteError, match="step 3: the discriminator's"):
                one.train(6)
        else:
            one.train(6)
            assert one.frozen.nonzero().flatten().tolist() == spoiled
    assert_same_state(blocked, whole)


@compiled
def test_a_compiled_ensemble_in_blocks_follows_the_eager_one(monkeypatch: pytest.MonkeyPatch):
    blocked, whole = in_blocks(monkeypatch, "compiled", 6, averaging=0.9)
    for one in (blocked, whole):
        one.train(20)
    assert_same_state(blocked, whole)


@pytest.mark.parametrize("trait", ["batch norm", "weights that stay", "one run"])
def test_what_has_a_mode_or_untrained_weights_stays_in_one_piece(
    trait: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(programs, "CACHE", 1)

    def network(outputs: int) -> nn.Module:
        made = mlp(2, outputs, width=8, batch_norm=trait == "batch norm")
        made[0].weight.requires_grad_(trait != "weights that stay")
        return made

    def players(runs: int) -> list[nn.Module]:
        return [Ensemble(lambda o=o: network(o), runs) for o in (2, 1)]

    ours = Trainer(*players(1 if trait == "one run" else 4), ring(), normal(2), device="cpu")
    assert len(ours._parts) == 1
    assert ours.step().real.isfinite().all()


# --- What cannot be run ---------------------------------------------------------------------


def test_a_missing_compiler_is_named(monkeypatch: pytest.MonkeyPatch):
    builder = pytest.importorskip("torch._inductor.cpp_builder")

    def missing() -> str:
        raise RuntimeError("No working C++ compiler found in cpp.cxx: (None, 'g++')")

    monkeypatch.setattr(builder, "get_cpp_compiler", missing)
    message = r"program = 'compiled' needs a C\+\+ compiler, .*: No working C\+\+ compiler found"
    with pytest.raises(ValueError, match=message):
        build("compiled")


@captured
@pytest.mark.gpu
@pytest.mark.parametrize("runs", [None, 8])
def test_a_captured_training_follows_the_eager_one(runs: int | None):
    ours, eager = (
        build(program, runs, device="cuda", averaging=0.9) for program in ("captured", "eager")
    )
    assert_alike_through_changes(ours, eager, steps=43)


class Recording(TorchDispatchMode):
    """Stands in for a CUDA graph on a CPU: operations on fixed memory, run again at a replay."""

    def __init__(self) -> None:
        super().__init__()
        self.operations: list[tuple[Any, Any, Any, Any]] = []

    def __torch_dispatch__(self, func: Any, _: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        self.operations.append((func, args, kwargs or {}, out))
        return out

    @torch.no_grad()
    def replay(self) -> None:
        for func, args, kwargs, out in self.operations:
            new = func(*args, **kwargs)
            for to, value in zip(tree_leaves(out), tree_leaves(new), strict=True):
                if isinstance(to, Tensor) and to.data_ptr() != value.data_ptr():
                    to.copy_(value)


@pytest.mark.parametrize("runs", [None, 8])
def test_around_its_graph_a_captured_training_follows_the_eager_one(
    runs: int | None, monkeypatch: pytest.MonkeyPatch
):
    """What is copied into the graph's memory, and when it is recorded anew, needs no GPU."""
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)  # no question to the host
    monkeypatch.setattr(torch.cuda, "Stream", lambda: SimpleNamespace(wait_stream=lambda _: None))
    monkeypatch.setattr(torch.cuda, "current_stream", torch.cuda.Stream)
    monkeypatch.setattr(torch.cuda, "stream", nullcontext)
    recordings: list[Recording] = []
    monkeypatch.setattr(
        torch.cuda, "CUDAGraph", lambda: recordings.append(Recording()) or recordings[-1]
    )
    monkeypatch.setattr(torch.cuda, "graph", lambda recording: recording)
    ours, eager = (build("eager", runs, averaging=0.9) for _ in range(2))
    monkeypatch.setattr(Trainer, "_together", lambda _: 2)
    ((rows, step, _),) = ours._parts
    graph = Captured.__new__(Captured)  # which asks for a GPU
    graph.step, graph.key = step, None
    ours._parts = [(rows, step, graph)]
    assert_alike_through_changes(ours, eager, steps=6)
    assert len(recordings) == 4  # none for another rate


def assert_alike_through_changes(ours: Trainer, eager: Trainer, steps: int) -> None:
    off, on = {"averaging": 0.0}, {"averaging": 0.5}
    for changes in ([], [{"generator_rate": 3e-3}], [off], [on | {"k": 2}], [off, on]):
        for one, change in product((ours, eager), changes):
            one.set(**change)
        history, expected = ours.train(steps), eager.train(steps)
        for quantity in Record._fields:
            torch.testing.assert_close(history[quantity], expected[quantity], rtol=1e-4, atol=1e-5)
        assert_alike(ours, eager)


def test_an_older_torch_compiles_ensembles_of_plain_networks_alone(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(torch, "__version__", "2.11.0")
    network = Ensemble(lambda: mlp(2, 2, batch_norm=True), 2)
    with pytest.raises(ValueError, match=r"more than linear layers .* torch 2\.13 or later"):
        Trainer(network, Ensemble(lambda: mlp(2, 1), 2), ring(), device="cpu", program="compiled")
    build("compiled", 2)


def test_captured_steps_need_cuda():
    with pytest.raises(ValueError, match=r"program = 'captured' on cpu: .* need a CUDA device"):
        build("captured")


def test_an_unknown_program_is_named():
    message = r"program = 'fast': choose one of \['captured', 'compiled', 'eager'\]"
    with pytest.raises(ValueError, match=message):
        build("fast")
