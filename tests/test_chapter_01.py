"""Chapter 01's exercises know right answers from plausible wrong ones."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from tools import exercise_tests
from torch import Tensor

from gan_course.exercises import Wrong, exercise
from gan_course.exercises.chapter_01 import _held_out_likelihood

KINDS = {"walk": "tractable", "relax": "approximate", "paint": "implicit", "cause": "approximate"}


TABLE = {"KL of b": 0.3, "entropy": 1.6, "best": -1.6}


def network(
    slope: Callable[[Tensor], Tensor] = torch.sigmoid,
    bend: Callable[[Tensor], Tensor] = F.softplus,
    sign: float = 1.0,
    mean: bool = True,
) -> Callable[..., Any]:
    """The walk back through one hidden layer, with a place for each usual mistake."""

    def backward(x: Tensor, y: Tensor, *weights: Tensor) -> tuple[Tensor, ...]:
        W1, b1, w2, b2 = weights
        u = x @ W1 + b1
        h = bend(u)
        d_a = sign * (torch.sigmoid(h @ w2 + b2) - y) / (len(x) if mean else 1)
        d_u = d_a @ w2.T * slope(u)
        return x.T @ d_u, d_u.sum(0, keepdim=True), h.T @ d_a, d_a.sum(0, keepdim=True)

    return backward


def scan() -> float:
    return max((s / 100 for s in range(5, 101)), key=_held_out_likelihood)


def smudge(held_out: object = 0.28, training: object = 0.05) -> dict[str, object]:
    return {"held-out": held_out, "training": training}


def nearer(
    fair: Callable[..., int] = min,
    share: Callable[[Tensor, Tensor], Any] = lambda near, far: (near < far).double().mean(),
    nearest: Callable[[Tensor], Tensor] = lambda distance: distance.amin(dim=1),
) -> Callable[..., Any]:
    """Who is nearer to the seen rows, with a place for each usual mistake."""

    def test(samples: Tensor, seen: Tensor, unseen: Tensor) -> Any:
        size = fair(len(seen), len(unseen))
        return share(*(nearest(torch.cdist(samples, rows[:size])) for rows in (seen, unseen)))

    return test


RIGHT = [
    ("01.1", KINDS),
    ("01.2", math.log(100)),
    ("01.2", 4.605),
    ("01.2", torch.tensor(4.605)),
    ("01.2", np.float32(4.6052)),
    ("01.3", TABLE),
    ("01.3", {"KL of b": np.float64(0.3), "entropy": Fraction(8, 5), "best": torch.tensor(-1.6)}),
    ("01.4", network()),
    ("01.5", smudge()),
    ("01.5", smudge(np.float64(0.28), torch.tensor(0.05))),
    ("01.6", nearer()),
    ("01.6", lambda *rows: nearer()(*rows).item()),
    ("01.6", lambda *rows: np.float64(nearer()(*rows))),
]

WRONG = [
    ("01.1", "the formula is there, the integral is not", KINDS | {"cause": "tractable"}),
    ("01.1", "no formula", KINDS | {"cause": "implicit"}),
    ("01.1", "a bound is an approximation", KINDS | {"relax": "implicit"}),
    ("01.1", "a chain of densities is exact", KINDS | {"walk": "approximate"}),
    ("01.1", "a sampler has no density", KINDS | {"paint": "approximate"}),
    ("01.1", "a kind of model in place of a kind of density", KINDS | {"paint": "GAN"}),
    ("01.1", "one missing", {"walk": "tractable"}),
    ("01.1", "a word", "implicit"),
    ("01.2", "one too few", math.log(99)),
    ("01.2", "to base 10", 2.0),
    ("01.2", "to base 2", math.log2(100)),
    ("01.2", "a sure hit", -math.log(0.99)),
    ("01.2", "the other sign", -math.log(100)),
    ("01.2", "a probability", 0.99),
    ("01.2", "a word", "much"),
    ("01.2", "several", [4.6, 4.6]),
    ("01.3", "the sign of the difference", TABLE | {"KL of b": 1.1}, "likelier"),
    ("01.3", "the difference", TABLE | {"KL of b": 0.4}, "a's KL is given"),
    ("01.3", "some other number", TABLE | {"KL of b": 0.7}, "one number for both"),
    ("01.3", "−H in place of H", TABLE | {"entropy": -1.6}, "never negative"),
    ("01.3", "a's two numbers added", TABLE | {"entropy": 3.0}, "−H"),
    ("01.3", "the better of the two models", TABLE | {"best": -1.9}, "at least 0"),
    ("01.3", "no table is certain", TABLE | {"best": 0.0}, "at least 0"),
    ("01.3", "one missing", {"KL of b": 0.3}, "keys"),
    ("01.3", "a word", TABLE | {"best": "high"}, "best: it is one number"),
    ("01.3", "a list", [0.3, 1.6, -1.6], "dictionary"),
    ("01.4", "the slope of tanh", network(slope=lambda u: 1 - F.softplus(u) ** 2), "of tanh"),
    (
        "01.4",
        "the slope taken after the bend",
        network(slope=lambda u: torch.sigmoid(F.softplus(u))),
        "here it is σ\\(h\\)",
    ),
    ("01.4", "no slope", network(slope=torch.ones_like), "which is missing"),
    ("01.4", "relu in place of softplus", network(bend=torch.relu)),
    ("01.4", "the other sign", network(sign=-1), "y − σ"),
    ("01.4", "the sum in place of the mean", network(mean=False), "divided by n"),
    ("01.4", "in the other order", lambda *weights: network()(*weights)[::-1]),
    ("01.4", "half of them", lambda *weights: network()(*weights)[:2]),
    ("01.5", "the training digits' choice for both", smudge(0.05), "more noise"),
    ("01.5", "the held-out choice for both", smudge(training=0.28), "middle of its own"),
    ("01.5", "the largest", smudge(1.0), "less noise"),
    ("01.5", "no smudge", smudge(0.0), "between"),
    ("01.5", "too little", smudge(0.2), "more noise"),
    ("01.5", "a list", [0.28, 0.05], "dictionary"),
    ("01.5", "several", smudge([0.28, 0.27]), "one number"),
    ("01.5", "words", smudge("0.3 or so"), "one number"),
    ("01.6", "all of both", nearer(fair=max), "chance"),
    (
        "01.6",
        "the seen side never cut",
        lambda x, s, u: nearer(fair=max)(x, s, u[: len(s)]),
        "seen",
    ),
    ("01.6", "the unseen", nearer(share=lambda a, b: (a > b).double().mean()), "Smudged copies"),
    ("01.6", "a count", nearer(share=lambda a, b: (a < b).sum()), "how many"),
    ("01.6", "one answer each", nearer(share=lambda a, b: (a < b).double()), "one number"),
    ("01.6", "by the mean distance", nearer(nearest=lambda d: d.mean(dim=1)), "Smudged copies"),
    ("01.6", "by the farthest", nearer(nearest=lambda d: d.amax(dim=1)), "farthest rows"),
    ("01.6", "always guilty", lambda x, s, u: 1.0, "nearest of each kind"),
]

test_right_answers, test_wrong_answers, test_stubs = exercise_tests(RIGHT, WRONG)


def test_the_best_smudge_is_inside_and_only_its_neighbourhood_is_right() -> None:
    best = scan()
    exercise("01.5", smudge(best))
    for other in (best - 0.02, best + 0.02):
        with pytest.raises(Wrong):
            exercise("01.5", smudge(other))
