"""Chapter 08's exercises know right answers from plausible wrong ones."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import linear_sum_assignment
from scipy.stats import wasserstein_distance
from scipy.stats import wasserstein_distance as under_another_name
from tools import RUNS, exercise_tests, made_again

from gan_course.exercises.chapter_08 import CHANGES, Array
from gan_course.metrics import mean_interval


def earth_mover(place: Array, p: Array, q: Array) -> float:
    order = np.argsort(place)
    return float(np.abs(np.cumsum((p - q)[order]))[:-1] @ np.diff(place[order]))


def through_a_helper(place: Array, p: Array, q: Array) -> float:
    return float(under_another_name(place, place, p, q))


def by_matching(place: Array, p: Array, q: Array) -> float:
    many = [np.repeat(place, np.rint(100 * heap).astype(int)) for heap in (p, q)]
    cost = np.abs(many[0][:, None] - many[1])
    return float(cost[linear_sum_assignment(cost)].mean())


RIGHT = [
    ("08.1", CHANGES),
    ("08.1", {name: int(changes) for name, changes in CHANGES.items()}),
    ("08.2", lambda t, tau: (min(t / 2, tau), min(t / 2, tau))),
    ("08.2", lambda t, tau: np.array([tau, min(t, 2 * tau) - tau])),
    ("08.3", earth_mover),
    ("08.4", lambda t, gamma: (t**2 / gamma, 1)),
    ("08.5", 256),
    ("08.6", lambda alpha, ratio: (1 - alpha) / (1 + ratio)),
]

WRONG = [
    ("08.1", "everything changes", dict.fromkeys(CHANGES, True)),
    ("08.1", "nothing changes", dict.fromkeys(CHANGES, False)),
    ("08.1", "hinge slopes like Wasserstein", CHANGES | {"best hinge loss": True}),
    ("08.1", "any steeper leash is flat", CHANGES | {"best value at slope ≤ 2": False}),
    ("08.1", "words", CHANGES | {"JS": "no"}),
    ("08.1", "one missing", {"JS": False}),
    ("08.2", "no bound", lambda t, tau: (t / 2, t / 2), "above τ"),
    ("08.2", "one price", lambda t, tau: (t, 0.0), "above τ"),
    ("08.2", "the way forgotten", lambda t, tau: (tau, tau), "above t"),
    ("08.2", "half of it", lambda t, tau: (min(t / 2, tau), 0.0), "raise them"),
    ("08.2", "τ for both", lambda t, tau: (min(t, tau) / 2, min(t, tau) / 2), "raise them"),
    ("08.2", "what they earn", lambda t, tau: min(t, 2 * tau), "two prices"),
    ("08.3", "no sorting", lambda x, p, q: np.abs(np.cumsum(p - q))[:-1] @ np.diff(x)),
    ("08.3", "unequal gaps forgotten", lambda x, p, q: np.abs(np.cumsum(p - q)).sum()),
    ("08.3", "the means", lambda x, p, q: abs(x @ (p - q))),
    ("08.3", "sign kept", lambda x, p, q: np.cumsum(p - q)[:-1] @ np.diff(x)),
    ("08.3", "total variation", lambda x, p, q: np.abs(p - q).sum() / 2),
    (
        "08.3",
        "places sorted, volumes not",
        lambda x, p, q: np.abs(np.cumsum(p - q))[:-1] @ np.diff(np.sort(x)),
    ),
    (
        "08.3",
        "whole places only",
        lambda x, p, q: earth_mover(x.astype(int), p, q),
        "whole numbers",
    ),
    (
        "08.3",
        "the chapter's gaps",
        lambda x, p, q: float(np.abs(np.cumsum((p - q)[np.argsort(x)]))[:2] @ np.array([1.0, 2.0])),
        "its own length",
    ),
    ("08.3", "SciPy's distance", lambda x, p, q: wasserstein_distance(x, x, p, q), "by hand"),
    ("08.3", "by another name", lambda x, p, q: under_another_name(x, x, p, q), "by hand"),
    ("08.3", "in a helper", through_a_helper, "by hand"),
    ("08.3", "a matching", by_matching, "by hand"),
    ("08.4", "less the penalty", lambda t, gamma: (t**2 / (2 * gamma), 1)),
    ("08.4", "the slope", lambda t, gamma: (t / gamma, 1)),
    ("08.4", "the gradient penalty's", lambda t, gamma: (t + t**2 / (2 * gamma), 1)),
    ("08.4", "W1", lambda t, gamma: (t, 1)),
    ("08.4", "a trap", lambda t, gamma: (t**2 / gamma, 2), "no second valley"),
    ("08.4", "the value alone", lambda t, gamma: t**2 / gamma, "two things"),
    ("08.6", "ReLU's", lambda alpha, ratio: 1 / (1 + ratio), "solve"),
    ("08.6", "leaky helps", lambda alpha, ratio: (1 + alpha) / (1 + ratio), "solve"),
    ("08.6", "always half", lambda alpha, ratio: (1 - alpha) / 2, "solve"),
    ("08.6", "the right side", lambda alpha, ratio: ratio * (1 - alpha) / (1 + ratio), "solve"),
    ("08.6", "no budget", lambda alpha, ratio: 1.0, "half"),
    ("08.5", "half", 128),
    ("08.5", "double", 512),
    ("08.5", "not whole", 256.5),
    ("08.5", "as on the line", 16),
]

test_right_answers, test_wrong_answers, test_stubs = exercise_tests(RIGHT, WRONG)


# --- What the chapter quotes --------------------------------------------------------------


@pytest.mark.slow
def test_the_recorded_critics_come_out_again() -> None:
    frame, record = made_again("leashes")
    groups = [table.groupby(["contender", "step"]) for table in (frame, record)]
    for (name, now), (again, then) in zip(*groups, strict=True):
        assert name == again
        for measured in ("w1", "value", "slope"):
            a, b = (mean_interval(rows[measured].to_numpy(), 0.9999) for rows in (now, then))
            assert a.low <= b.high and b.low <= a.high, (name, measured)
    finer = [table.dropna(subset="finer w1") for table in (frame, record)]
    assert len(finer[0]) == len(finer[1]) == 8
    off = finer[0]["finer w1"].to_numpy() - finer[1]["finer w1"].to_numpy()
    assert np.abs(off).max() < 0.1


def test_the_contenders_generators_begin_alike() -> None:
    record = pd.read_csv(RUNS / "leashes.csv")
    starts = record[record["step"] == 0].pivot_table(index="run", columns="contender", values="w1")
    assert starts.shape == (32, 6)
    assert np.ptp(starts.to_numpy(), axis=1).max() < 1e-4


@pytest.mark.slow
def test_the_judges_far_out_come_out_again() -> None:
    frame, record = made_again("far_out")
    assert len(frame) == len(record) == 80
    for measured in ("pull", "gap"):
        now, then = (table.groupby(["leash", "cost"])[measured].mean() for table in (frame, record))
        assert np.abs(np.log(now / then)).max() < 0.3, measured


@pytest.mark.slow
def test_the_prices_of_a_step_are_of_the_ways_that_the_chapters_name() -> None:
    """Times are not compared: another machine has others."""
    frame, record = made_again("step_price")
    for table in (frame, record, pd.read_csv(RUNS / "step_price.csv")):
        assert (table[["D", "G"]] > 0).all(axis=None)
        ways = table.groupby("place")["way"].unique()
        assert {"plain", "penalty", "MaxMin"} <= set(ways["plane"])
        assert {"plain", "R1", "R2", "wide D"} == set(ways["line"])
