"""Chapter 05's exercises know right answers from plausible wrong ones."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from scipy.stats import norm
from tools import exercise_tests
from torch import Tensor

from gan_course.exercises import Wrong, exercise


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


def by_maximum(a: Tensor) -> Tensor:
    """Without its own slope at the corner: half of each side."""
    larger = torch.maximum(-a, torch.zeros_like(a))
    return (larger + torch.log1p(torch.exp(-a.abs()))).mean(dim=-1)


def with_slope(mix: Callable[[Tensor, Tensor, Tensor], Tensor]) -> Callable[..., Any]:
    """An answer to 05.4 from f(r), r and f′(r)."""

    def answer(f: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
        def cost(a: Tensor) -> Tensor:
            r = a.exp().detach().requires_grad_()
            (slope,) = torch.autograd.grad(f(r).sum(), r)
            return mix(f(r), r, slope).detach()

        return cost

    return answer


by_autograd = with_slope(lambda f, r, s: f - r * s)


def by_func(f: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """f(e^a) less its own slope in a, which is r f′(r)."""
    of_a = torch.func.vmap(torch.func.grad(lambda a: f(a.exp())))
    return lambda a: f(a.exp()) - of_a(a)


RIGHT = [
    ("05.1", (0.2, 0.8, 0.25)),
    ("05.1", [-0.2, -0.8, -0.25]),
    ("05.1", torch.tensor([0.2, 0.8, 0.25])),
    ("05.2", lambda a: -a),
    ("05.2", lambda a: 1 - a),
    ("05.2", lambda a: F.softplus(-a) - F.softplus(a)),
    ("05.3", by_hand),
    ("05.3", by_maximum),
    ("05.4", by_autograd),
    ("05.4", by_func),
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
    ("05.1", "mixed signs", (0.2, -0.8, 0.25), "no sign"),
    ("05.3", "softplus itself", lambda a: F.softplus(-a).mean(dim=-1), "by softplus"),
    ("05.3", "logsigmoid", lambda a: -F.logsigmoid(a).mean(dim=-1), "sigmoid"),
    (
        "05.3",
        "logaddexp",
        lambda a: torch.logaddexp(torch.zeros_like(a), -a).mean(dim=-1),
        "by logaddexp",
    ),
    ("05.4", "f itself", lambda f: lambda a: f(a.exp()), "f\\(r\\) itself"),
    ("05.4", "the slope without r", with_slope(lambda f, r, s: f - s), "multiplied by r"),
    ("05.4", "added", with_slope(lambda f, r, s: f + r * s), "not added"),
    ("05.4", "turned round", with_slope(lambda f, r, s: r * s - f), "sign"),
    ("05.4", "r alone", with_slope(lambda f, r, s: f - r), "not f"),
    ("05.4", "a constant more", with_slope(lambda f, r, s: f - r * s + 1), "not f"),
    ("05.4", "of the logit", lambda f: lambda a: f(a.abs() + 1), "not f"),
    ("05.4", "q over p", lambda f: lambda a: by_autograd(f)(-a), "not f"),
    ("05.4", "the mean", lambda f: lambda a: by_autograd(f)(a).mean(), "one cost for each"),
    ("05.4", "a number", lambda f: 1.0, "a function of the logits"),
    ("05.4", "one cost for all", lambda f: lambda a: 1 - torch.exp(2 * a), "not f"),
    ("05.5", "two", 2.0, "half"),
    ("05.5", "two-sided", 2.576, "half"),
    ("05.5", "5 %", 1.645, "half"),
    ("05.5", "the factor alone", 0.5, "half"),
]

test_right_answers, test_wrong_answers, test_stubs = exercise_tests(RIGHT, WRONG)


def test_half_an_answer_is_open(capsys: pytest.CaptureFixture[str]) -> None:
    exercise("05.1", (0.2, ..., 0.25))
    assert "05.1 is open" in capsys.readouterr().out


def test_half_of_the_gradient_both_sides() -> None:
    assert norm.cdf(norm.isf(0.01) - norm.isf(0.01)) == 0.5
    for off in (-0.08, 0.08):
        with pytest.raises(Wrong):
            exercise("05.5", norm.isf(0.01) + off)
    assert math.isclose(norm.isf(0.01), 2.326, abs_tol=1e-3)
