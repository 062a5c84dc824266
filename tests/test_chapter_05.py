"""Chapter 05's exercises know right answers from plausible wrong ones."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import torch.nn.functional as F
from scipy.stats import norm
from tools import RUNS, exercise_tests, load, made_again
from torch import Tensor

from gan_course.exercises import Wrong, exercise
from gan_course.metrics import mean_interval

aten = torch.ops.aten


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


def by_relu_and_where(a: Tensor) -> Tensor:
    larger = (F.relu(-a) - torch.clamp(a, max=0)) / 2
    rest = torch.log1p(torch.exp(-a.abs()))
    return torch.where(a > 100, torch.zeros_like(a), larger + rest).sum(-1) / a.shape[-1]


def in_two_parts(a: Tensor) -> Tensor:
    """Run by run, with indices and a stack."""
    return torch.stack([by_hand(a[run].reshape(1, -1))[0] for run in range(len(a))])


def by_cross_entropy(a: Tensor) -> Tensor:
    """Two classes with the logits 0 and a, always the second."""
    two = torch.stack([torch.zeros_like(a), a], dim=1)
    return F.cross_entropy(two, torch.ones_like(a, dtype=torch.long), reduction="none").mean(-1)


def by_bce_with_logits(a: Tensor) -> Tensor:
    right = torch.ones_like(a)
    return F.binary_cross_entropy_with_logits(a, right, reduction="none").mean(dim=-1)


def by_soft_margin(a: Tensor) -> Tensor:
    return F.soft_margin_loss(a, torch.ones_like(a), reduction="none").mean(dim=-1)


def by_logsumexp(a: Tensor) -> Tensor:
    return torch.logsumexp(torch.stack([torch.zeros_like(a), -a]), dim=0).mean(dim=-1)


def with_slope(
    mix: Callable[[Tensor, Tensor, Tensor], Tensor], graph: bool = True
) -> Callable[..., Any]:
    """An answer to 05.4 from f(r), r and f′(r)."""

    def answer(f: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
        def cost(a: Tensor) -> Tensor:
            r = a.exp()
            (slope,) = torch.autograd.grad(f(r).sum(), r, create_graph=graph, retain_graph=True)
            return mix(f(r), r, slope)

        return cost

    return answer


by_autograd = with_slope(lambda f, r, s: f - r * s)


def rest(a: Tensor) -> Tensor:
    return torch.log1p(torch.exp(-a.abs()))


def by_the_sign(a: Tensor) -> Tensor:
    return (a * (a.sgn() - 1) / 2 + rest(a)).mean(dim=-1)


def by_a_step(a: Tensor) -> Tensor:
    return (rest(a) - a * torch.heaviside(-a.detach(), torch.tensor(0.5))).mean(dim=-1)


def with_a_product(a: Tensor) -> Tensor:
    return ((a.abs() - a) / 2 + rest(a)) @ torch.ones(a.shape[1]) / a.shape[1]


def log_of_a_sum(a: Tensor) -> Tensor:
    return ((a.abs() - a) / 2 + torch.log(1 + torch.exp(-a.abs()))).mean(dim=-1)


def of_r_alone(f: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """The slope f′ by torch.func, at r = e^a."""

    def cost(a: Tensor) -> Tensor:
        r = a.exp()
        return f(r) - r * torch.func.grad(lambda r: f(r).sum())(r)

    return cost


def without_a_slope(f: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """The right value; nothing that a generator could learn from."""

    def cost(a: Tensor) -> Tensor:
        r = a.exp().detach().requires_grad_()
        (slope,) = torch.autograd.grad(f(r).sum(), r)
        return (f(r) - r * slope).detach()

    return cost


def of_r_detached(f: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """It has a slope in an r that nobody knows of."""

    def cost(a: Tensor) -> Tensor:
        r = a.exp().detach().requires_grad_()
        (slope,) = torch.autograd.grad(f(r).sum(), r, create_graph=True)
        return f(r) - r * slope

    return cost


def with_half_the_slope(f: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """The right value; half of its slope is cut off."""

    def cost(a: Tensor) -> Tensor:
        right = by_autograd(f)(a)
        return (right + right.detach()) / 2

    return cost


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
    ("05.3", by_relu_and_where),
    ("05.3", in_two_parts),
    ("05.3", by_the_sign),
    ("05.3", by_a_step),
    ("05.3", with_a_product),
    ("05.4", by_autograd),
    ("05.4", by_func),
    ("05.4", of_r_alone),
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
    ("05.2", "clamped", lambda a: -a.clamp(-3, 3), "does not fall"),
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
    ("05.3", "a small cost that is rounded away", log_of_a_sum, "log1p"),
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
    ("05.3", "cross_entropy", by_cross_entropy, "by log_softmax"),
    ("05.3", "cross_entropy with logits", by_bce_with_logits, "ready-made"),
    ("05.3", "the module", lambda a: torch.nn.Softplus()(-a).mean(dim=-1), "by softplus"),
    ("05.3", "soft margin", by_soft_margin, "by soft_margin_loss"),
    ("05.3", "softplus by the back door", lambda a: aten.softplus(-a).mean(dim=-1), "by softplus"),
    ("05.3", "logsumexp", by_logsumexp, "by logsumexp"),
    ("05.4", "right, no slope", without_a_slope, "no slope in a"),
    ("05.4", "right, the slope of another r", of_r_detached, "no slope in a"),
    ("05.4", "f′ a constant", with_slope(lambda f, r, s: f - r * s, graph=False), "create_graph"),
    ("05.4", "half of the slope", with_half_the_slope, "is not −r²"),
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


# --- What the chapter quotes --------------------------------------------------------------


@pytest.mark.slow
def test_the_recorded_games_come_out_again() -> None:
    frame, record = made_again("head_start")
    for (_, now), (name, then) in zip(frame.groupby("cell"), record.groupby("cell"), strict=True):
        for column in ("js 25", "logit 0", "logit 25"):
            a, b = (mean_interval(rows[column], 0.9999) for rows in (now, then))
            assert a.low < b.high and b.low < a.high, (name, column)


def test_the_two_costs_are_pairs() -> None:
    """Both begin at the same JS and with the same D, run by run."""
    record = pd.read_csv(RUNS / "head_start.csv")
    for _, game in record.groupby(["optimiser", "rate", "start"]):
        for column in ("js 0", "logit 0"):
            pairs = game.pivot_table(index="run", columns="loss", values=column)
            assert pairs.shape == (32, 2)
            assert np.ptp(pairs.to_numpy(), axis=1).max() < 1e-5


@pytest.mark.parametrize("optimiser", ["SGD", "SGD, equal norm"])
def test_a_step_of_equal_norm_does_not_hear_how_loud_a_cost_is(optimiser: str) -> None:
    script = load("figures/sweeps/head_start.py")
    moved = []
    for factor in (1, 1_000):
        game = script.Game("minimax", optimiser, 1e-4, 3, 16)
        cost = game.cost
        game.cost = lambda real, fake, cost=cost, factor=factor: factor * cost(real, fake)
        before = [p.detach().clone() for p in game.G.parameters()]
        game.generator_step()
        moved.append([p.detach() - b for p, b in zip(game.G.parameters(), before, strict=True)])
    one, other = (torch.cat([m.flatten() for m in part]) for part in moved)
    same = torch.allclose(one, other, rtol=1e-2, atol=1e-7)
    assert same == (optimiser == "SGD, equal norm")
