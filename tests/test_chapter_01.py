"""Chapter 01's exercises know right answers from plausible wrong ones."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from tools import exercise_tests
from torch import Tensor

from gan_course.exercises import Wrong, exercise
from gan_course.exercises.chapter_01 import _held_out_likelihood

KINDS = {"walk": "tractable", "relax": "approximate", "paint": "implicit", "cause": "approximate"}


def laplace(x: Tensor) -> tuple[Tensor, Tensor]:
    return x.median(), (x - x.median()).abs().mean()


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


RIGHT = [
    ("01.1", KINDS),
    ("01.2", math.log(100)),
    ("01.2", 4.605),
    ("01.2", torch.tensor(4.605)),
    ("01.3", laplace),
    ("01.4", network()),
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
    ("01.3", "the mean in place of the median", lambda x: (x.mean(), (x - x.mean()).abs().mean())),
    ("01.3", "the standard deviation", lambda x: (x.median(), x.std())),
    (
        "01.3",
        "the root mean square",
        lambda x: (x.median(), (x - x.median()).square().mean().sqrt()),
    ),
    (
        "01.3",
        "divided by n − 1",
        lambda x: (x.median(), (x - x.median()).abs().sum() / (len(x) - 1)),
    ),
    ("01.3", "the median distance", lambda x: (x.median(), (x - x.median()).abs().median())),
    ("01.3", "the place alone", lambda x: x.median()),
    ("01.4", "the slope of tanh", network(slope=lambda u: 1 - F.softplus(u) ** 2)),
    (
        "01.4",
        "the slope taken after the bend",
        network(slope=lambda u: torch.sigmoid(F.softplus(u))),
    ),
    ("01.4", "no slope", network(slope=torch.ones_like)),
    ("01.4", "relu in place of softplus", network(bend=torch.relu)),
    ("01.4", "the other sign", network(sign=-1)),
    ("01.4", "the sum in place of the mean", network(mean=False)),
    ("01.4", "in the other order", lambda *weights: network()(*weights)[::-1]),
    ("01.4", "half of them", lambda *weights: network()(*weights)[:2]),
    ("01.5", "the training digits' choice", 0.05),
    ("01.5", "the largest", 1.0),
    ("01.5", "no smudge", 0.0),
    ("01.5", "too little", 0.2),
    ("01.5", "words", "0.3 or so"),
]

test_right_answers, test_wrong_answers, test_stubs = exercise_tests(RIGHT, WRONG)


def test_the_best_smudge_is_inside_and_only_its_neighbourhood_is_right() -> None:
    best = scan()
    exercise("01.5", best)
    for other in (best - 0.02, best + 0.02):
        with pytest.raises(Wrong):
            exercise("01.5", other)
