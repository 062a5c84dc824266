"""Specifications of the exercises of chapter 03, *The optimal discriminator*."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from gan_course.exercises import Wrong, call, expect, number, several, specification

# Where V(D*) of N(0, 1) against N(0, ε²) is −0.1, by quadrature.
THICKNESS = 0.0093637
# (k − 2h)/2n = 0.001 for three weights and h = ∫ pq/(p + q), by quadrature.
SAMPLES = 1102.0
# Where V(D*) of N(0, 1) against N(0, ε²) is −0.2, by quadrature.
HALVED = 0.0240836


@specification("03.1")
def four_kinds_of_notes(answer: Sequence[float]) -> None:
    """p/(p + q) at four points."""
    right = torch.tensor([5 / 6, 1 / 2, 1 / 2, 0.0], dtype=torch.float64)
    shares = several(answer, 4, "four numbers, one for each kind,")
    given = torch.tensor([number(share, "a share") for share in shares], dtype=torch.float64)
    if torch.allclose(given, 1 - right, atol=1e-2):
        raise Wrong("that is the probability of being counterfeit; D's answer is high for real")
    if bool(((given == 0) | (given == 1)).all()):
        raise Wrong("the best answer is a probability, not a verdict")
    expect("of all the notes of one kind, which share is real?", given, right, atol=1e-2)


@specification("03.2")
def logit_of_a_batch_with_a_share(answer: Callable[[Tensor, Tensor], Tensor]) -> None:
    """log(p/q) + log(π / (1 − π))."""
    log_ratio = torch.linspace(-3, 3, 7, dtype=torch.float64)
    half, most = torch.tensor([0.5, 0.8], dtype=torch.float64)
    expect(
        "with as many real samples as generated ones the logit is log(p/q), as before",
        call(answer, log_ratio, half),
        log_ratio,
    )
    expect(
        "with a = πp and b = (1 − π)q, the logit is log(a/b)",
        call(answer, log_ratio, most),
        log_ratio + math.log(4),
    )
    expect(
        "wrong for a share below one half",
        call(answer, log_ratio, 1 - most),
        log_ratio - math.log(4),
    )


@specification("03.3")
def ratio_from_smoothed_answers(answer: Callable[[Tensor, float, float], Tensor]) -> None:
    """(D − β) / (1 − α − D)."""
    ratio = torch.logspace(-2, 2, 9, dtype=torch.float64)
    plain = ratio / (1 + ratio)
    expect(
        "without smoothing the ratio is D / (1 − D)",
        call(answer, plain, 0.0, 0.0),
        ratio,
        atol=1e-8,
    )
    for alpha, beta in ((0.1, 0.0), (0.0, 0.2), (0.15, 0.05)):
        smooth = ((1 - alpha) * ratio + beta) / (1 + ratio)
        expect(
            f"wrong for α = {alpha:g}, β = {beta:g}: solve D = ((1 − α)p + βq)/(p + q) for p/q",
            call(answer, smooth, alpha, beta),
            ratio,
            atol=1e-8,
        )


@specification("03.4")
def thickness_of_a_thin_support(answer: float) -> None:
    """The ε at which V(D*) is −0.1, to two significant digits."""
    epsilon = number(answer, "a thickness")
    if abs(epsilon - THICKNESS**2) < 0.03 * THICKNESS**2:
        raise Wrong("that is ε²: ε is a standard deviation, not a variance")
    if abs(epsilon - HALVED) < 0.02 * HALVED:
        raise Wrong("there −V/2 is 0.1: V is without a factor ½")
    expect(
        "not there yet: V(D*) must be −0.1, to two significant digits of ε",
        epsilon,
        THICKNESS,
        0.00005,
    )


@specification("03.5")
def samples_for_a_small_excess(answer: float) -> None:
    """(3 − 2h) / 0.002, within a twentieth."""
    n = number(answer, "a number of samples")
    for near, hint in (
        ((3 - 2 * 0.5) / 0.002, "h is ½ only for equal densities; here it is ∫ pq/(p + q)"),
        (3 / 0.002, "take off 2h, for drawing exactly n of each kind"),
        ((SAMPLES - 500), "count the weights: two slopes and the bias"),
        (SAMPLES / 2, "twice as many: the excess is (k − 2h)/2n of V, which has no factor ½"),
    ):
        if abs(n - near) < 0.01 * near:
            raise Wrong(hint)
    expect("(k − 2h)/2n for k weights, the bias included", n, SAMPLES, 0.05 * SAMPLES)
