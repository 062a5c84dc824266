"""Chapter 05's exercises know right answers from plausible wrong ones."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from scipy.optimize import minimize_scalar
from scipy.stats import norm
from tools import exercise_tests
from torch import Tensor
from torch.distributions import Normal

from gan_course.exercises import Wrong, exercise
from gan_course.theory import generator_gradient


def by_hand(a: Tensor) -> Tensor:
    return ((a.abs() - a) / 2 + torch.log1p(torch.exp(-a.abs()))).mean(dim=-1)


def clamp_at_the_corner(a: Tensor) -> Tensor:
    return (a.neg().clamp(min=0) + torch.log1p(torch.exp(-a.abs()))).mean(dim=-1)


def value_without_slope(a: Tensor) -> Tensor:
    return by_hand(a.detach()) + 0 * a.sum(dim=-1)


def masked(a: Tensor) -> Tensor:
    """The right value, but `where` lets the overflow of the other branch into the slope."""
    return torch.where(a > -50, torch.log(1 + torch.exp(-a)), -a).mean(dim=-1)


def clamped(a: Tensor) -> Tensor:
    return torch.log1p(torch.exp(-a.clamp(min=-80))).mean(dim=-1)


RIGHT = [
    ("05.1", (0.2, 0.8, 0.25)),
    ("05.1", [-0.2, -0.8, -0.25]),
    ("05.1", torch.tensor([0.2, 0.8, 0.25])),
    ("05.2", lambda a: -a),
    ("05.2", lambda a: 1 - a),
    ("05.2", lambda a: F.softplus(-a) - F.softplus(a)),
    ("05.3", by_hand),
    ("05.3", lambda a: F.softplus(-a).mean(dim=-1)),
    ("05.3", lambda a: torch.logaddexp(torch.zeros_like(a), -a).mean(dim=-1)),
    ("05.4", 1.64),
    ("05.4", 1.63),
    ("05.5", 2.33),
    ("05.5", norm.isf(0.01)),
]

WRONG = [
    ("05.3", "a slope of −1 at 0", clamp_at_the_corner, "at 0"),
    ("05.1", "in D", (1.25, 5.0, 1.5625), "minimax"),
    ("05.1", "the first two swapped", (0.8, 0.2, 0.25), "minimax"),
    ("05.1", "non-saturating like minimax", (0.2, 0.2, 0.25), "non-saturating"),
    ("05.1", "upside down", (0.2, 0.8, 4.0), "maximum likelihood"),
    ("05.1", "D (1 − D)", (0.2, 0.8, 0.16), "maximum likelihood"),
    ("05.1", "one missing", (0.2, 0.8), "three sizes"),
    ("05.1", "one number", 0.2, "three sizes"),
    ("05.2", "the sign", lambda a: a, "sign"),
    ("05.2", "by analogy with maximum likelihood", lambda a: torch.exp(-a), "log r"),
    ("05.2", "maximum likelihood", lambda a: -torch.exp(a), "log r"),
    ("05.2", "non-saturating", lambda a: F.softplus(-a), "log r"),
    ("05.2", "minimax", lambda a: -F.softplus(a), "log r"),
    ("05.2", "a term too many", lambda a: -a - 1 / a.exp(), "sign"),
    ("05.2", "twice", lambda a: -2 * a, "log r"),
    ("05.2", "the mean", lambda a: -a.mean(), "one cost for each"),
    ("05.3", "the sum", lambda a: F.softplus(-a).sum(dim=-1), "not −E log D"),
    ("05.3", "the mean over all", lambda a: F.softplus(-a).mean(), "one number"),
    ("05.3", "no mean", lambda a: F.softplus(-a), "one number"),
    ("05.3", "minimax", lambda a: -F.softplus(a).mean(dim=-1), "not −E log D"),
    ("05.3", "the other label", lambda a: F.softplus(a).mean(dim=-1), "not −E log D"),
    ("05.3", "log of 1 + exp", lambda a: torch.log1p(torch.exp(-a)).mean(dim=-1), "infinite"),
    ("05.3", "log of a sigmoid", lambda a: -torch.log(torch.sigmoid(a)).mean(dim=-1), "infinite"),
    (
        "05.3",
        "an epsilon in the log",
        lambda a: -torch.log(torch.sigmoid(a) + 1e-8).mean(dim=-1),
        "large logit",
    ),
    ("05.3", "clamped", clamped, "large logit"),
    ("05.3", "an overflow behind where", masked, "slope"),
    ("05.3", "no slope", value_without_slope, "slope"),
    ("05.4", "one deviation", 1.0, "minimax gradient"),
    ("05.4", "too near", 1.5, "minimax gradient"),
    ("05.4", "a little too near", 1.6, "minimax gradient"),
    ("05.4", "a little too far", 1.66, "minimax gradient"),
    ("05.4", "the gradient there", 0.4673, "minimax gradient"),
    ("05.5", "two", 2.0, "half"),
    ("05.5", "two-sided", 2.576, "half"),
    ("05.5", "5 %", 1.645, "half"),
    ("05.5", "the factor alone", 0.5, "half"),
]

test_right_answers, test_wrong_answers, test_stubs = exercise_tests(RIGHT, WRONG)


def test_the_strongest_pull_is_where_quadrature_finds_it() -> None:
    p = Normal(0.0, 1.0)
    best = minimize_scalar(
        lambda t: -generator_gradient("minimax", p, lambda theta: Normal(theta, 1.0), t),
        bounds=(1, 3),
        method="bounded",
    )
    exercise("05.4", float(best.x))
    for other in (best.x - 0.02, best.x + 0.02):
        with pytest.raises(Wrong):
            exercise("05.4", float(other))


def test_half_of_the_gradient_both_sides() -> None:
    assert norm.cdf(norm.isf(0.01) - norm.isf(0.01)) == 0.5
    for off in (-0.08, 0.08):
        with pytest.raises(Wrong):
            exercise("05.5", norm.isf(0.01) + off)
    assert math.isclose(norm.isf(0.01), 2.326, abs_tol=1e-3)
