"""Chapter 05's exercises accept their solutions and reject plausible wrong answers."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from scipy.optimize import minimize_scalar
from scipy.stats import norm
from torch import Tensor
from torch.distributions import Normal

from gan_course.exercises import Wrong, exercise
from gan_course.theory import generator_gradient


def by_hand(a: Tensor) -> Tensor:
    return ((-a).clamp(min=0) + torch.log1p(torch.exp(-a.abs()))).mean(dim=-1)


def value_without_slope(a: Tensor) -> Tensor:
    return by_hand(a.detach()) + 0 * a.sum(dim=-1)


def masked(a: Tensor) -> Tensor:
    """The right value, but `where` lets the overflow of the other branch into the slope."""
    return torch.where(a > -50, torch.log(1 + torch.exp(-a)), -a).mean(dim=-1)


def clamped(a: Tensor) -> Tensor:
    return torch.log1p(torch.exp(-a.clamp(min=-80))).mean(dim=-1)


SOLUTIONS: list[tuple[str, Any]] = [
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

WRONG: list[tuple[str, Any, str]] = [
    ("05.1", (1.25, 5.0, 1.5625), "minimax"),  # in D
    ("05.1", (0.8, 0.2, 0.25), "minimax"),
    ("05.1", (0.2, 0.2, 0.25), "non-saturating"),
    ("05.1", (0.2, 0.8, 4.0), "maximum likelihood"),
    ("05.1", (0.2, 0.8, 0.16), "maximum likelihood"),  # D (1 − D)
    ("05.1", (0.2, 0.8), "three sizes"),
    ("05.1", 0.2, "three sizes"),
    ("05.2", lambda a: a, "sign"),
    ("05.2", lambda a: torch.exp(-a), "log r"),  # by analogy with maximum likelihood
    ("05.2", lambda a: -torch.exp(a), "log r"),
    ("05.2", lambda a: F.softplus(-a), "log r"),
    ("05.2", lambda a: -F.softplus(a), "log r"),
    ("05.2", lambda a: -a - 1 / a.exp(), "sign"),
    ("05.2", lambda a: -2 * a, "log r"),
    ("05.2", lambda a: -a.mean(), "one cost for each"),
    ("05.3", lambda a: F.softplus(-a).sum(dim=-1), "not −E log D"),
    ("05.3", lambda a: F.softplus(-a).mean(), "one number"),
    ("05.3", lambda a: F.softplus(-a), "one number"),
    ("05.3", lambda a: -F.softplus(a).mean(dim=-1), "not −E log D"),
    ("05.3", lambda a: F.softplus(a).mean(dim=-1), "not −E log D"),
    ("05.3", lambda a: torch.log1p(torch.exp(-a)).mean(dim=-1), "infinite"),
    ("05.3", lambda a: -torch.log(torch.sigmoid(a)).mean(dim=-1), "infinite"),
    ("05.3", lambda a: -torch.log(torch.sigmoid(a) + 1e-8).mean(dim=-1), "large logit"),
    ("05.3", clamped, "large logit"),
    ("05.3", masked, "slope"),
    ("05.3", value_without_slope, "slope"),
    ("05.4", 1.0, "minimax gradient"),
    ("05.4", 1.5, "minimax gradient"),
    ("05.4", 1.6, "minimax gradient"),
    ("05.4", 1.66, "minimax gradient"),
    ("05.4", 0.4673, "minimax gradient"),  # the gradient there
    ("05.5", 2.0, "half"),
    ("05.5", 2.576, "half"),  # two-sided 1 %
    ("05.5", 1.645, "half"),  # 5 %
    ("05.5", 0.5, "half"),
]


@pytest.mark.parametrize(("key", "answer"), SOLUTIONS)
def test_solutions_are_right(key: str, answer: Any, capsys: pytest.CaptureFixture[str]) -> None:
    exercise(key, answer)
    assert capsys.readouterr().out == f"✓ Exercise {key}: right.\n"


@pytest.mark.parametrize(("key", "answer", "hint"), WRONG)
def test_wrong_answers_get_a_hint(key: str, answer: Any, hint: str) -> None:
    with pytest.raises(Wrong, match=hint):
        exercise(key, answer)


@pytest.mark.parametrize(
    ("key", "answer"),
    [("05.1", ...), ("05.2", lambda a: None), ("05.3", lambda a: ...), ("05.4", ...)],
)
def test_what_is_not_written_yet_is_open(
    key: str, answer: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    exercise(key, answer)
    assert "open" in capsys.readouterr().out


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
