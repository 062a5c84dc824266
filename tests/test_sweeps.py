"""Sweeps: what a cell trains, what is kept, and whether the recorded ones come out again."""

from __future__ import annotations

import json
import runpy
import signal
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Generator, Tensor

from gan_course import sweeps
from gan_course.__main__ import main
from gan_course.distributions import TARGETS, GaussianMixture, grid, ring, uniform
from gan_course.metrics import mode_coverage
from gan_course.networks import Ensemble, mlp
from gan_course.penalties import PENALTIES
from gan_course.sweeps import cells, complete, disagreements, read, sweep
from gan_course.training import Linear, Settings, Trainer

ROOT = Path(__file__).parent.parent
FILES = sorted((ROOT / "figures" / "sweeps").glob("*.toml"))
#: A sweep that takes no time.
TINY: dict[str, Any] = {
    "steps": 4,
    "runs": 3,
    "samples": 50,
    "batch": 8,
    "networks.width": 4,
    "target.std": 0.3,
}
MEASURES = ["modes", "high_quality", "reverse_kl", "diverged"]


def tiny(axes: dict[str, Any] | None = None, **changes: Any) -> pd.DataFrame:
    return sweep(axes, **({"device": "cpu", "progress": False} | TINY | changes))


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The values of k of the cells that were trained, in their order."""
    seen: list[int] = []
    measure = sweeps._measure

    def watched(cell: dict[str, Any], *rest: Any) -> Any:
        seen.append(cell["k"])
        return measure(cell, *rest)

    monkeypatch.setattr(sweeps, "_measure", watched)
    return seen


# --- What a cell is -----------------------------------------------------------------------


def test_a_row_for_each_cell_and_run():
    frame = tiny({"k": [1, 2], "loss": ["hinge", "minimax", "wasserstein"]})
    assert list(frame.columns) == ["cell", "k", "loss", "run", *MEASURES]
    assert frame["cell"].tolist() == sorted([*range(6)] * 3)
    assert frame["run"].tolist() == [0, 1, 2] * 6
    assert frame.groupby("cell")[["k", "loss"]].first().to_numpy().tolist() == [
        [k, loss] for k in (1, 2) for loss in ("hinge", "minimax", "wasserstein")
    ]


def test_a_cell_is_the_ensemble_that_it_describes():
    frame = tiny(
        {"k": [1]},
        **{
            "target.name": "grid",
            "target.side": 2,
            "target.std": 0.5,
            "prior.name": "uniform",
            "prior.dim": 3,
            "networks.width": 5,
            "discriminator.width": 6,
            "discriminator.activation": "tanh",
            "generator.depth": 1,
            "penalties.R1": 0.3,
            "betas": [0.6, 0.9],
            "averaging": 0.5,
            "averaged": True,
            "seed": 7,
            "packing": 2,
            "schedule.rate": {"start": 1e-2, "stop": 1e-3, "begin": 1, "end": 3},
            "schedule.discriminator_rate.start": 1e-1,
        },
    )
    torch.manual_seed(7)
    G = Ensemble(lambda: mlp(3, 2, width=5, depth=1), 3)
    D = Ensemble(lambda: mlp(4, 1, width=6, activation="tanh"), 3)
    settings = Settings(batch=8, betas=(0.6, 0.9), penalties={"R1": 0.3}, averaging=0.5, packing=2)
    target = grid(2, std=0.5)
    trainer = Trainer(G, D, target, uniform(3), settings, seed=7, device="cpu")
    rates = {"generator_rate": Linear(1e-2, 1e-3, 1, 3)}
    rates["discriminator_rate"] = Linear(1e-1, 1e-3, 1, 3)
    trainer.train(4, schedule=rates)
    expected = mode_coverage(trainer.sample(50, averaged=True), target.centers, 0.5)
    for name, values in expected._asdict().items():
        np.testing.assert_allclose(frame[name], values, atol=1e-6)


def test_the_seed_decides_and_the_global_state_does_not():
    state = torch.get_rng_state()
    first = tiny()
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(99)
    pd.testing.assert_frame_equal(tiny(), first)
    assert not tiny(seed=1)["reverse_kl"].equals(first["reverse_kl"])


def test_every_setting_and_every_option_of_a_network_is_a_key():
    keys = set(complete())
    for field in fields(Settings):
        assert field.name in keys or field.name == "penalties"
    assert {f"generator.{n}" for n in mlp.__kwdefaults__} <= keys
    for name in PENALTIES:
        assert complete({f"penalties.{name}": 2})[f"penalties.{name}"] == 2


def test_a_general_key_sets_both_players():
    cell = complete({"rate": 0.1, "networks.width": 7})
    for key in ("generator_rate", "discriminator_rate"):
        assert cell[key] == 0.1
    for key in ("generator.width", "discriminator.width"):
        assert cell[key] == 7
    assert not {"rate", "networks.width"} & set(cell)


def test_the_later_layer_and_the_closer_key_win():
    assert complete({"rate": 0.1, "generator_rate": 0.2})["generator_rate"] == 0.2
    assert complete({"generator_rate": 0.2}, {"rate": 0.1})["generator_rate"] == 0.1
    (_, cell), *_ = cells({"rate": [0.3]}, {"fast": {"rate": 0.2}}, {"generator_rate": 0.1})
    assert cell["generator_rate"] == 0.3


def test_a_complete_cell_with_a_schedule_is_a_cell():
    line = {"start": 0.3, "stop": 0.0, "begin": 0, "end": 10}
    cell = complete({f"schedule.instance_noise.{part}": value for part, value in line.items()})
    assert complete(cell) == cell


def test_variants_are_crossed_with_the_grid():
    variants = {"plain": {}, "R1": {"penalties": {"R1": 0.1}, "k": 2}}
    plan = list(cells({"loss": ["hinge", "minimax"]}, variants, {"penalties.R2": 1}))
    assert [labels for labels, _ in plan] == [
        {"variant": variant, "loss": loss} for variant in variants for loss in ("hinge", "minimax")
    ]
    found = [(c["k"], c.get("penalties.R1"), c["penalties.R2"]) for _, c in plan]
    assert found == [(1, None, 1)] * 2 + [(2, 0.1, 1)] * 2


def test_a_list_is_written_in_its_column_as_text():
    frame = tiny({"betas": [[0.5, 0.9], [0.0, 0.9]]})
    assert frame["betas"].unique().tolist() == ["[0.5, 0.9]", "[0.0, 0.9]"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"los": "hinge"},
            r"los = 'hinge': there is no such key; allowed are \['averaged'.*'loss'",
        ),
        ({"generator.widht": 3}, r"generator.widht = 3: .*'generator.width'\]"),
        ({"nets.width": 3}, r"nets.width = 3: .*tables \['discriminator', 'generator'.*'target'\]"),
        ({"target.radios": 3}, r"target.radios = 3: .*'target.radius'"),
        ({"penalties.R3": 3}, r"penalties.R3 = 3: .*'penalties.R1'"),
        ({"target.name": "spiral"}, r"target.name = 'spiral': choose one of \['grid', 'ring'\]"),
        ({"prior.name": "cauchy"}, r"prior.name = 'cauchy': choose one of .*'normal', 'uniform'"),
        ({"loss": "vanilla"}, r"loss = 'vanilla': choose one of"),
        ({"networks.activation": "sine"}, r"activation = 'sine': choose one of"),
        ({"k": 0}, "k = 0: must be"),
        ({"k": 1.5}, "k = 1.5: expected int, like 1"),
        ({"k": True}, "k = True: expected int"),
        ({"rate": "fast"}, "rate = 'fast': expected float, like 0.001"),
        ({"averaged": 1}, "averaged = 1: expected bool"),
        ({"averaged": True}, "averaged = True: needs averaging"),
        ({"betas": 0.5}, "betas = 0.5: expected tuple"),
        ({"steps": 0}, "steps = 0"),
        ({"packing": 3}, "packing = 3: must divide"),
        ({"schedule.loss.start": 1}, r"schedule.loss.start = 1: .*'schedule.rate'"),
        ({"schedule.rate.from": 1}, r"schedule.rate.from = 1: .*'schedule.rate.start'"),
        ({"schedule.rate.start": 1}, r"schedule.\w+_rate = {'start': 1}: needs each of \['begin'"),
        (
            {"rate": 0.1, "schedule.generator_rate": {"start": 1}},
            "generator_rate = 0.1: no effect, there is a schedule.generator_rate",
        ),
        ({"schedule.clip": {"start": 1, "stop": 0, "begin": 9, "end": 3}}, "begin = 9, end = 3"),
        ({"runs": 0}, "runs = 0"),
        ({"samples": 0}, "samples = 0"),
        ({"prior.dim": 0}, "prior.dim = 0"),
        ({"target.std": -1.0}, "std = -1.0: must be positive"),
    ],
)
def test_a_bad_setting_is_named_before_anything_is_trained(
    settings: dict[str, Any], message: str, trained: list[int]
):
    with pytest.raises(ValueError, match=message):
        tiny(variants={"good": {}, "bad": settings})
    assert not trained


def test_an_axis_is_a_list():
    for axis in (3, [], "hinge"):
        with pytest.raises(
            ValueError, match=f"grid: loss = {axis!r}: expected a list".replace("[", r"\[")
        ):
            tiny({"loss": axis})


# --- Trainings that stop ------------------------------------------------------------------


class Spoiled(GaussianMixture):
    """A ring whose samples are NaN for one run, after some batches."""

    batches = 0

    def sample(self, shape: Any = (), generator: Generator | None = None) -> Tensor:
        samples = super().sample(shape, generator)
        self.batches += 1
        if self.batches > 2 and samples.dim() == 3:
            samples[1] = torch.nan
        return samples

    def to(self, _: torch.device | str) -> Spoiled:
        return self


def test_a_run_that_diverges_is_said_so(monkeypatch: pytest.MonkeyPatch):
    bad = lambda modes=8, radius=1.0, std=0.01: Spoiled(ring(modes, radius).centers, std)  # noqa: E731
    monkeypatch.setitem(TARGETS, "ring", bad)
    frame = tiny()
    assert frame["diverged"].tolist() == [False, True, False]
    assert frame["reverse_kl"].notna().all()


def test_the_sweep_goes_on_when_every_run_of_a_cell_diverges():
    frame = tiny({"rate": [1e38, 1e-3]}, loss="wasserstein", steps=10)
    assert frame["diverged"].tolist() == [True] * 3 + [False] * 3


# --- The journal --------------------------------------------------------------------------


def test_a_finished_cell_is_not_trained_again(tmp_path: Path, trained: list[int]):
    journal = tmp_path / "kept"
    first = tiny({"k": [1, 2]}, journal=journal)
    again = tiny({"k": [3, 2, 1]}, journal=journal)
    assert trained == [1, 2, 3]
    for k in (1, 2):
        pd.testing.assert_frame_equal(
            *(t[t["k"] == k].drop(columns="cell").reset_index(drop=True) for t in (first, again))
        )
    assert again.attrs["seconds"] > first.attrs["seconds"] > 0


def test_a_cell_of_other_settings_or_threads_is_trained_again(
    tmp_path: Path, trained: list[int], monkeypatch: pytest.MonkeyPatch
):
    journal = tmp_path / "kept"
    tiny(journal=journal)
    tiny(journal=journal, seed=1)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 77)
    tiny(journal=journal)
    assert trained == [1, 1, 1]


def test_a_torn_line_costs_one_cell(tmp_path: Path, trained: list[int]):
    journal = tmp_path / "kept"
    frame = tiny({"k": [1, 2]}, journal=journal)
    journal.write_text(journal.read_text("utf-8")[:-20], "utf-8")
    trained.clear()
    pd.testing.assert_frame_equal(tiny({"k": [1, 2]}, journal=journal), frame)
    assert trained == [2]
    pd.testing.assert_frame_equal(tiny({"k": [1, 2]}, journal=journal), frame)
    assert trained == [2]


def test_an_interrupted_cell_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    journal, train = tmp_path / "kept", Trainer.train

    def interrupted(trainer: Trainer, steps: int, **options: Any) -> Any:
        def at_two(trainer: Trainer) -> None:
            if (trainer.settings.k, trainer.steps) == (2, 2):
                signal.raise_signal(signal.SIGINT)

        return train(trainer, steps, at_two, **options)

    monkeypatch.setattr(Trainer, "train", interrupted)
    with pytest.raises(KeyboardInterrupt):
        tiny({"k": [1, 2]}, journal=journal)
    assert [json.loads(entry)[0]["k"] for entry in sweeps._finished(journal)] == [1]


# --- Files and records --------------------------------------------------------------------

TOML = """
steps = 4
runs = 3
samples = 50
batch = 8
rate = 1e-2

[networks]
width = 4

[penalties]
R1 = 0.1

[grid]
k = [1, 2]
target.std = [0.1, 0.3]

[variants."no penalty"]
penalties.R1 = 0.0

[variants.base]

[quick]
steps = 2
networks.depth = 1
grid.k = [2]
variants = ["base"]
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "sweeps").mkdir()
    path = tmp_path / "sweeps" / "toy.toml"
    path.write_text(TOML, "utf-8")
    return path


def test_a_file_is_the_arguments_of_sweep(file: Path):
    shared = {"runs": 3, "samples": 50, "batch": 8, "rate": 0.01, "networks.width": 4}
    shared["penalties.R1"] = 0.1
    assert read(file) == shared | {
        "steps": 4,
        "grid": {"k": [1, 2], "target.std": [0.1, 0.3]},
        "variants": {"no penalty": {"penalties": {"R1": 0.0}}, "base": {}},
    }
    assert read(file, quick=True) == shared | {
        "steps": 2,
        "networks.depth": 1,
        "grid": {"k": [2], "target.std": [0.1, 0.3]},
        "variants": {"base": {}},
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [("steps = ", "toy.toml: Invalid value"), ("steps = 3", r"toy.toml: has no table \[quick\]")],
)
def test_a_bad_file_is_named(file: Path, text: str, message: str):
    file.write_text(text, "utf-8")
    with pytest.raises(ValueError, match=message):
        read(file, quick=True)


def test_the_command_writes_table_and_note(file: Path, capsys: pytest.CaptureFixture[str]):
    main(["sweep", str(file), "--device", "cpu"])
    output = file.parent.parent / "runs" / "toy.csv"
    assert str(output) in capsys.readouterr().out
    expected = sweep(**read(file), device="cpu")
    pd.testing.assert_frame_equal(pd.read_csv(output), expected)
    note = json.loads(output.with_suffix(".json").read_text("utf-8"))
    assert note["command"] == f"python -m gan_course sweep {file.as_posix()}"
    assert note["threads"] == torch.get_num_threads()
    assert note["versions"]["torch"] == torch.__version__
    assert note["machine"]
    assert note["seconds"] > 0
    assert note["grid"] == read(file)["grid"]
    shared = note["settings"]
    assert (shared["generator_rate"], shared["discriminator.width"], shared["seed"]) == (0.01, 4, 0)
    assert not {"k", "target.std"} & set(shared)
    assert shared["penalties.R1"] > 0  # said for all, though one variant changes it
    assert sorted(p.name for p in output.parent.iterdir()) == ["toy.csv", "toy.json"]


def test_the_note_alone_trains_the_same_again(file: Path):
    main(["sweep", str(file), "--quick", "--device", "cpu"])
    output = file.parent.parent / "runs" / "toy.quick.csv"
    note = json.loads(output.with_suffix(".json").read_text("utf-8"))
    again = sweep(note["grid"], variants=note["variants"], device="cpu", **note["settings"])
    pd.testing.assert_frame_equal(pd.read_csv(output), again)
    assert note["command"].endswith(" --quick")


def test_the_command_goes_on_and_replaces_a_record_only_in_the_end(
    file: Path, trained: list[int], monkeypatch: pytest.MonkeyPatch
):
    output = file.parent.parent / "runs" / "toy.csv"
    output.parent.mkdir()
    output.write_text("an older record", "utf-8")
    measure = sweeps._measure

    def stopped(cell: dict[str, Any], *rest: Any) -> Any:
        if len(trained) == 3:
            raise KeyboardInterrupt
        return measure(cell, *rest)

    with monkeypatch.context() as patch, pytest.raises(SystemExit, match="goes on after"):
        patch.setattr(sweeps, "_measure", stopped)
        main(["sweep", str(file), "--device", "cpu"])
    assert output.read_text("utf-8") == "an older record"
    main(["sweep", str(file), "--device", "cpu"])
    assert len(trained) == 8
    assert len(pd.read_csv(output)) == 24


@pytest.mark.parametrize(
    ("text", "message"), [("los = 3", "los = 3: there is no such key"), (None, "No such file")]
)
def test_the_command_ends_with_one_line(file: Path, text: str | None, message: str):
    file.unlink() if text is None else file.write_text(text, "utf-8")
    with pytest.raises(SystemExit, match=message):
        main(["sweep", str(file)])


def test_python_m_gan_course_is_the_command(monkeypatch: pytest.MonkeyPatch, capsys: Any):
    monkeypatch.setattr("sys.argv", ["gan_course", "--help"])
    with pytest.raises(SystemExit), pytest.warns(RuntimeWarning, match="found in sys.modules"):
        runpy.run_module("gan_course", run_name="__main__")
    assert "sweep" in capsys.readouterr().out


# --- Agreement ----------------------------------------------------------------------------


def table(mean: float, seed: int, runs: int = 16, stopped: int = 0) -> pd.DataFrame:
    """Two cells; the second one's HQ has the given mean."""
    random = np.random.default_rng(seed)
    quality = random.normal([[0.5], [mean]], 0.05, (2, runs)).ravel()
    return pd.DataFrame(
        {
            "cell": np.repeat([0, 1], runs),
            "modes": 8,
            "high_quality": quality,
            "reverse_kl": random.normal(0.3, 0.1, 2 * runs),
            "diverged": np.arange(2 * runs) < stopped,
        }
    )


def test_tables_of_one_law_agree():
    found = [disagreements(table(0.5, seed), table(0.5, seed + 1)) for seed in range(0, 100, 2)]
    assert sum(map(bool, found)) <= 1


def test_tables_that_differ_are_said_to():
    assert disagreements(table(0.5, 0), table(0.7, 1)) == [
        f"cell 1, high_quality: {table(0.5, 0)['high_quality'][16:].mean():.4g} "
        f"and {table(0.7, 1)['high_quality'][16:].mean():.4g}"
    ]
    stopped = disagreements(table(0.5, 0), table(0.5, 1, stopped=15))
    assert stopped == ["cell 0, diverged: 0 and 0.9375"]


def test_a_mode_lost_in_one_run_of_many_is_chance():
    one, other = table(0.5, 0), table(0.5, 1)
    other.loc[3, "modes"] = 7
    assert not disagreements(one, other)
    other["modes"] = 7
    assert disagreements(one, other) == [f"cell {n}, modes: 8 and 7" for n in (0, 1)]


def test_tables_of_other_cells_are_not_compared():
    other = table(0.5, 0).assign(cell=0)
    with pytest.raises(ValueError, match="one has 2 cells and other 1"):
        disagreements(table(0.5, 0), other)


def recorded(path: Path, *, quick: bool) -> Path:
    output = ROOT / "figures" / "runs" / f"{path.stem}{'.quick' * quick}.csv"
    if not output.exists():
        pytest.skip(f"{path.name} has no record yet: {output.name}")
    return output


@pytest.mark.parametrize("quick", [False, True], ids=["full", "quick"])
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_record_is_of_its_file_as_it_stands(path: Path, quick: bool):
    output, plan = recorded(path, quick=quick), read(path, quick=quick)
    note = json.loads(output.with_suffix(".json").read_text("utf-8"))
    assert note["command"].split()[4:] == [f"figures/sweeps/{path.name}", *["--quick"] * quick]
    expected = list(cells(plan.pop("grid"), plan.pop("variants"), plan))
    was = list(cells(note["grid"], note["variants"], note["settings"]))
    assert json.loads(json.dumps(was)) == json.loads(json.dumps(expected))
    frame = pd.read_csv(output)
    assert frame["cell"].tolist() == [n for n, (_, c) in enumerate(was) for _ in range(c["runs"])]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_small_rerun_agrees_with_its_record(path: Path):
    record = pd.read_csv(recorded(path, quick=True))
    frame = sweep(**read(path, quick=True), device="cpu", progress=False)
    assert list(frame.columns) == list(record.columns)
    assert disagreements(frame, record) == []
