"""Specifications of the exercises of chapter 05, *Generator gradients*."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from gan_course.exercises import Wrong, call, expect, number, several, specification


@specification("05.1")
def slopes_of_three_costs(answer: Sequence[float]) -> None:
    """Sizes D, 1 − D and D/(1 − D) at D = 0.2."""
    sizes = several(answer, 3, "three sizes, in the order of the text,")
    minimax, non_saturating, maximum_likelihood = (abs(number(s, "a size")) for s in sizes)
    expect("minimax: the derivative of softplus is σ", minimax, 0.2, 1e-3)
    expect("non-saturating: it is large where D is small", non_saturating, 0.8, 1e-3)
    expect(
        "maximum likelihood: the odds, the slope in a and not in D", maximum_likelihood, 0.25, 1e-3
    )


@specification("05.2")
def reverse_kl_cost(answer: Callable[[Tensor], Tensor]) -> None:
    """c(a) = −a, up to a constant."""
    a = torch.linspace(-3, 3, 13, dtype=torch.float64)
    cost = torch.as_tensor(call(answer, a))
    expect("one cost for each logit", cost.shape, a.shape)
    if bool((cost.diff() >= 0).any()):
        raise Wrong("this cost does not fall as a grows: look at the sign, log r is a")
    expect(
        "f(r) − r f'(r) with f = −log r: what remains of r f'(r), and what is log r in terms of a?",
        cost - cost[6],
        -a,
    )


@specification("05.3")
def non_saturating(answer: Callable[[Tensor], Tensor]) -> None:
    """log(1 + e^(−a)), with its slope, at every logit."""
    logits = torch.randn(3, 64, generator=torch.Generator().manual_seed(0))
    expect(
        "one number for each run: take the mean over the batch",
        torch.as_tensor(call(answer, logits)).shape,
        (3,),
    )
    expect(
        "not −E log D: compare with softplus(−a)",
        call(answer, logits),
        F.softplus(-logits).mean(-1),
    )
    # One logit a run, so that no other logit hides an error; 0 is the corner of max(−a, 0).
    a = torch.tensor([-1e4, -200.0, -60.0, -30.0, -20.0, -1.0, 0.0, 1.0, 20.0, 200.0, 1e4])
    leaf = a.unsqueeze(-1).requires_grad_()
    cost = call(answer, leaf)
    (slope,) = torch.autograd.grad(cost.sum(), leaf)
    if not bool(cost.isfinite().all()):
        raise Wrong("infinite or not a number at a large logit: never take exp of a positive one")
    expect("wrong at a large logit", cost / (1 + a.abs()), F.softplus(-a) / (1 + a.abs()))
    if not bool(slope.isfinite().all()):
        raise Wrong("the value is right, but its slope at a large logit is not a number")
    at_zero = a == 0
    expect(
        "the slope at 0 is not −½: clamp counts its whole slope at the corner, abs counts none",
        slope.squeeze(-1)[at_zero],
        -torch.sigmoid(-a)[at_zero],
    )
    expect(
        "the slope vanishes at a negative logit: no sigmoid or epsilon inside the log",
        slope.squeeze(-1),
        -torch.sigmoid(-a),
    )


@specification("05.4")
def strongest_minimax_pull(answer: float) -> None:
    """The θ at which d/dθ 2 JS(N(0, 1), N(θ, 1)) is largest."""
    expect(
        "the minimax gradient at D* is not largest there; plot it from 0 to 4",
        answer,
        1.636,
        atol=0.011,
    )


@specification("05.5")
def half_of_the_gradient(answer: float) -> None:
    """Φ(θ − 2.326) = ½."""
    theta = math.sqrt(2) * float(torch.erfinv(torch.tensor(0.98, dtype=torch.float64)))
    expect("the best 1 % do not carry half of the weight e^a there", answer, theta, atol=0.06)
