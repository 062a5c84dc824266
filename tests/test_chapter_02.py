"""Chapter 02's exercises know right answers from plausible wrong ones."""

from __future__ import annotations

import math
import re
from fractions import Fraction
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import torch.nn.functional as F
from tools import RUNS, exercise_tests, made_again

from gan_course.exercises import Wrong, exercise
from gan_course.exercises.chapter_02 import HINTS, _round
from gan_course.metrics import mean_interval


def two_batches(G: Any, D: Any, of_G: Any, of_D: Any, *batches: torch.Tensor) -> bool:
    """Another right round: no graph of G in D's turn, the cross-entropy, other zero_grads."""
    x, z_D, z_G = batches
    bce = F.binary_cross_entropy_with_logits
    with torch.no_grad():
        fake = G(z_D)
    of_D.zero_grad()
    bce(D(x), torch.ones(len(x), 1)).backward()
    bce(D(fake), torch.zeros(len(x), 1)).backward()
    of_D.step()
    of_G.zero_grad()
    bce(D(G(z_G)), torch.ones(len(x), 1)).backward()
    of_G.step()
    return True


def broken_round(G: Any, D: Any, of_G: Any, of_D: Any, *batches: torch.Tensor) -> bool:
    """The chapter's."""
    x, z_D, z_G = batches
    of_G.zero_grad()
    loss = F.softplus(D(x)).mean() + F.softplus(-D(G(z_D))).mean()
    loss.backward()
    of_D.step()

    loss = F.softplus(-D(G(z_G))).mean()
    loss.backward()
    of_G.step()
    return True


RIGHT = [
    ("02.1", math.log(0.9) + math.log(0.8)),
    ("02.1", np.float32(-0.3285)),
    ("02.1", torch.tensor(-0.3285)),
    ("02.1", Fraction(-329, 1000)),
    ("02.2", lambda real, fake: F.softplus(-real).mean(-1) + F.softplus(fake).mean(-1)),
    ("02.3", lambda x: 0.5 / x.sqrt()),
    ("02.4", 87),
    ("02.4", 87.0),
    ("02.4", np.int64(87)),
    ("02.4", torch.tensor([87])),
    ("02.4", torch.tensor(87)),
    ("02.5", _round()),
    ("02.5", two_batches),
    ("02.6", _round()),
]

WRONG = [
    ("02.1", "half of V", -0.164),
    ("02.1", "the loss in place of the value", 0.329),
    ("02.1", "1 − D forgotten", math.log(0.9) + math.log(0.2)),
    ("02.1", "logarithms to base 10", math.log10(0.72)),
    ("02.2", "V in place of −V", lambda r, f: -F.softplus(-r).mean(-1) - F.softplus(f).mean(-1)),
    (
        "02.2",
        "the fake half dropped",
        lambda r, f: F.softplus(-r).mean(-1),
        "generated samples is missing",
    ),
    ("02.2", "labels swapped", lambda r, f: F.softplus(r).mean(-1) + F.softplus(-f).mean(-1)),
    ("02.2", "the sum", lambda r, f: F.softplus(-r).sum(-1) + F.softplus(f).sum(-1)),
    ("02.2", "the mean over runs", lambda r, f: F.softplus(-r).mean() + F.softplus(f).mean()),
    ("02.2", "the factor ½", lambda r, f: (F.softplus(-r).mean(-1) + F.softplus(f).mean(-1)) / 2),
    (
        "02.2",
        "log of a sigmoid",
        lambda r, f: -r.sigmoid().log().mean(-1) - (1 - f.sigmoid()).log().mean(-1),
    ),
    (
        "02.2",
        "an epsilon in the log",
        lambda r, f: -(r.sigmoid() + 1e-8).log().mean(-1) - (1 - f.sigmoid() + 1e-8).log().mean(-1),
    ),
    (
        "02.2",
        "an exponential that overflows where D is right",
        lambda r, f: (-r + r.exp().log1p()).mean(-1) + (f + (-f).exp().log1p()).mean(-1),
        "not finite",
    ),
    (
        "02.2",
        "one mean over both kinds",
        lambda r, f: 2 * torch.cat([F.softplus(-r), F.softplus(f)], dim=-1).mean(-1),
        "differ in size",
    ),
    ("02.3", "one preimage", lambda x: 0.25 / x.sqrt(), "two z"),
    ("02.3", "no slope", lambda x: 0.5 + 0 * x),
    ("02.3", "times the slope", lambda x: 2 * x.sqrt(), "divide"),
    ("02.3", "the slope of the inverse misread", lambda x: 1 / x.sqrt(), "twice"),
    ("02.4", "half a batch", 46),
    ("02.4", "never", 200),
    ("02.4", "not whole", 86.5, "whole number"),
    ("02.4", "a word", "soon", "a number"),
    ("02.4", "the index, from 0", 86, "counts from 0"),
    ("02.4", "the mean over seeds", 89, "the mean"),
    ("02.4", "one seed", 92, "one seed"),
    *(("02.5", fault, _round(fault), re.escape(hint)) for fault, hint in HINTS.items()),
    ("02.5", "nothing moves", lambda *given: True, "G has not moved.*D has not moved"),
    ("02.6", "as it was", broken_round, "labels.*detached.*zero"),
    *(
        ("02.6", " and ".join(bugs), _round(*bugs), ".*".join(HINTS[bug][-20:] for bug in bugs))
        for count in (1, 2)
        for bugs in combinations(("swapped", "attached", "kept"), count)
    ),
    ("02.6", "another loss", _round("minimax"), "G minimises log"),
]

test_right_answers, test_wrong_answers, test_stubs = exercise_tests(RIGHT, WRONG)


# --- Mutants of the solution ---------------------------------------------------------------

SOLVED = """
def one_round(G, D, of_G, of_D, x, z_D, z_G):
    loss = F.softplus(-D(x)).mean() + F.softplus(D(G(z_D).detach())).mean()
    of_D.zero_grad()
    loss.backward()
    of_D.step()

    loss = F.softplus(-D(G(z_G))).mean()
    of_G.zero_grad()
    loss.backward()
    of_G.step()
    return True
"""
# What is written for what, at each place by itself.
MUTATIONS = [
    (".detach()", ""),
    ("(-D(", "(D("),
    ("softplus(D(", "softplus(-D("),
    ("F.softplus", "-F.softplus"),
    ("z_D)", "z_G)"),
    ("z_G)", "z_D)"),
    (".mean()", ".sum()"),
    (".mean() +", ".mean() -"),
    (".mean() + F", ".mean() / 2 + F"),
    ("of_D.zero_grad()", "pass"),
    ("of_G.zero_grad()", "pass"),
    ("of_D.zero_grad()", "of_G.zero_grad()"),
    ("of_G.zero_grad()", "of_D.zero_grad()"),
    ("loss.backward()", "pass"),
    (".step()", ".zero_grad()"),
    ("of_D.step()", "of_D.step(); of_D.step()"),
    ("of_G.step()", "of_D.step()"),
    ("of_D.step()", "pass"),  # and then both at once:
    ("of_G.step()", "of_G.step(); of_D.step()"),
    ("G(z_D).detach()", "G(z_D.detach())"),
    ("D(x)", "D(x[:8])"),
    ("softplus(-D(G", "relu(-D(G"),
]


def _mutants() -> list[tuple[str, str]]:
    found = []
    for old, new in MUTATIONS:
        for place in re.finditer(re.escape(old), SOLVED):
            line = SOLVED[: place.start()].count("\n")
            if line < 2:  # the arguments
                continue
            text = SOLVED[: place.start()] + new + SOLVED[place.end() :]
            found.append((f"line {line}: {old} → {new}", text))
    both = SOLVED.replace("    of_D.step()\n", "", 1).replace(
        "of_G.step()", "of_D.step(); of_G.step()"
    )
    return [*found, ("D steps after G's turn has begun", both)]


def _round_of(text: str) -> Any:
    names: dict[str, Any] = {"F": F}
    exec(text, names)
    return names["one_round"]


def test_the_unmutated_round_is_right() -> None:
    exercise("02.5", _round_of(SOLVED))


@pytest.mark.slow
def test_every_mutant_is_refused_and_half_of_them_by_name() -> None:
    named = 0
    mutants = _mutants()
    for mistake, text in mutants:
        try:
            exercise("02.5", _round_of(text))
        except Wrong as wrong:
            named += any(hint in str(wrong) for hint in HINTS.values())
        except RuntimeError:  # it doesn't run
            named += 1
        else:
            pytest.fail(f"taken for right: {mistake}")
    assert named >= len(mutants) / 2, f"{named} of {len(mutants)} are named"


# --- What the chapter quotes --------------------------------------------------------------


@pytest.mark.slow
def test_the_recorded_games_come_out_again() -> None:
    frame, record = made_again("first_game")
    places = ["experiment", "name", "step"]
    for (where, now), (name, then) in zip(
        frame.groupby(places), record.groupby(places), strict=True
    ):
        assert where == name
        for measured in ("modes", "high_quality", "fake", "nearer"):
            if then[measured].notna().all():
                a, b = (mean_interval(rows[measured], 0.9999) for rows in (now, then))
                assert a.low <= b.high and b.low <= a.high, (name, measured)


@pytest.mark.slow
def test_the_games_with_the_bug_come_out_again() -> None:
    frame, record = made_again("forgotten_detach")
    for (name, now), (_, then) in zip(
        frame.groupby(["name", "step"]), record.groupby(["name", "step"]), strict=True
    ):
        for measured in ("high_quality", "fake"):
            a, b = (mean_interval(rows[measured], 0.9999) for rows in (now, then))
            assert a.low <= b.high and b.low <= a.high, (name, measured)


def test_the_recorded_games_are_those_of_the_chapter() -> None:
    """As many seeds of each game, and each look that the chapter quotes."""
    record = pd.read_csv(RUNS / "first_game.csv")
    counts = record.groupby(["experiment", "name", "step"])["run"].nunique()
    assert counts.drop("digits").eq(24).all() and counts["digits"].eq(16).all()
    assert len(counts) == 9 + 8 + 8 + 6 + 1
