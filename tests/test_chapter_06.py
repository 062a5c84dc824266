"""Chapter 06's exercises know right answers from plausible wrong ones."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from tools import RUNS, exercise_tests, load, made_again

from gan_course import checkpoints
from gan_course.exercises import exercise
from gan_course.metrics import mean_interval

RIGHT = [
    ("06.1", 2.4),
    ("06.2", lambda x, y, eta: 3 * (x**2 + y**2 - eta * x * y) + 1),
    ("06.2", lambda x, y, eta: 1e-4 * (x**2 + y**2 - eta * x * y)),
    ("06.2", lambda x, y, eta: (x**2 + y**2 - eta * x * y).float()),
    ("06.3", lambda field, s, eta: s + eta * field(s + eta * field(s))),
    ("06.4", (4, 3)),
    ("06.4", [np.int64(4), 3.0]),
    ("06.4", torch.tensor([4, 3])),
]

WRONG = [
    ("06.1", "γ in place of 4γ", 0.6),
    ("06.1", "half", 1.2),
    ("06.1", "the bound without R1", 4.0),
    ("06.1", "any step size", math.inf),
    ("06.2", "the radius", lambda x, y, eta: x**2 + y**2),
    ("06.2", "what y first conserves", lambda x, y, eta: x**2 + y**2 + eta * x * y),
    ("06.2", "twice the mixed term", lambda x, y, eta: x**2 + y**2 - 2 * eta * x * y),
    ("06.2", "the value", lambda x, y, eta: x * y),
    ("06.2", "a constant", lambda x, y, eta: torch.zeros_like(x), "says nothing"),
    ("06.2", "the same for all games", lambda x, y, eta: torch.arange(20.0), "its own x and y"),
    ("06.2", "the place in the batch", lambda x, y, eta: eta + 0 * x + torch.arange(len(x))),
    ("06.3", "a plain step", lambda field, s, eta: s + eta * field(s)),
    ("06.3", "one step size for all", lambda field, s, eta: s + 0.3 * field(s + 0.3 * field(s))),
    ("06.3", "in one of its places", lambda field, s, eta: s + eta * field(s + 0.3 * field(s))),
    (
        "06.3",
        "two plain steps",
        lambda field, s, eta: s + eta * field(s) + eta * field(s + eta * field(s)),
    ),
    ("06.3", "half a look ahead", lambda field, s, eta: s + eta * field(s + eta / 2 * field(s))),
    (
        "06.3",
        "the mean of both",
        lambda field, s, eta: s + eta / 2 * (field(s) + field(s + eta * field(s))),
    ),
    ("06.3", "looking back", lambda field, s, eta: s + eta * field(s - eta * field(s))),
    ("06.4", "one k too few", (3, 3), "k = 3 is too few"),
    ("06.4", "one k too many", (5, 3), "not the smallest: 4"),
    ("06.4", "no difference", (4, 4), "m = 4 is not the smallest"),
    ("06.4", "one m too few", (4, 2), "m = 2 is too few"),
    ("06.4", "the wrong way round", (3, 4), "k = 3 is too few"),
    ("06.4", "one number", 4, "two whole numbers"),
    ("06.4", "none at all", (0, 3), "k = 0"),
    ("06.4", "not whole", (3.5, 3), "whole number"),
    ("06.4", "the rate itself", (4, 0.6), "whole number"),
]

test_right_answers, test_wrong_answers, test_stubs = exercise_tests(RIGHT, WRONG)


def test_half_an_answer_is_open(capsys: pytest.CaptureFixture[str]) -> None:
    exercise("06.4", (4, ...))
    assert "06.4 is open" in capsys.readouterr().out


# --- What the chapter quotes --------------------------------------------------------------


@pytest.mark.slow
def test_the_recorded_trainings_come_out_again() -> None:
    frame, record = made_again("dynamics")
    moments = [str(at) for at in load("figures/sweeps/dynamics.py").QUICK["moments"]]
    for (_, now), (name, then) in zip(frame.groupby("cell"), record.groupby("cell"), strict=True):
        for moment in moments:
            a, b = (mean_interval(rows[moment], 0.9999) for rows in (now, then))
            assert a.low < b.high and b.low < a.high, (name, moment)


def test_contenders_are_pairs() -> None:
    """All begin as the plain one does, run by run; a wider D changes D alone."""
    record = pd.read_csv(RUNS / "dynamics.csv")
    for _, target in record.groupby("target"):
        starts = target.pivot_table(index="run", columns="contender", values="0")
        assert np.ptp(starts.to_numpy(), axis=1).max() < 1e-5
        assert starts.shape[1] == len(load("figures/sweeps/dynamics.py").CONTENDERS)


def test_a_script_replaces_its_record_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    by_script = load("figures/sweeps/by_script.py")
    monkeypatch.setattr(sys, "argv", ["dynamics.py", "--quick"])

    def record(value: float) -> None:
        table = lambda settings: pd.DataFrame({"run": [settings["runs"]], "0": [value]})  # noqa: E731
        by_script.record("dynamics.py", table, {"runs": 64}, {"runs": 8}, tmp_path)

    record(1.0)
    note = json.loads((tmp_path / "dynamics.quick.json").read_text("utf-8"))
    assert (note["settings"], note["threads"]) == ({"runs": 8}, 1)
    assert note["command"] == "python figures/sweeps/dynamics.py --quick"

    def full(path: Path, content: bytes) -> None:
        path.write_bytes(content[:5])
        raise OSError("no space left")

    monkeypatch.setattr(checkpoints, "_write", full)
    with pytest.raises(OSError, match="no space"):
        record(2.0)
    assert (tmp_path / "dynamics.quick.csv").read_text("utf-8") == "run,0\n8,1.0\n"
    assert len(list(tmp_path.iterdir())) == 2


def test_a_longer_record_goes_on_where_the_others_end() -> None:
    """Each contender has its moments, and no others; all have the first six."""
    script, record = load("figures/sweeps/dynamics.py"), pd.read_csv(RUNS / "dynamics.csv")
    for (target, contender), rows in record.groupby(["target", "contender"]):
        looked = [int(name) for name in rows if name.isdigit() and rows[name].notna().any()]
        longer = script.SETTINGS["longer"][target].get(contender, [])
        assert looked == script.SETTINGS["moments"] + longer, (target, contender)
        assert rows[[str(at) for at in looked]].notna().all(axis=None)
