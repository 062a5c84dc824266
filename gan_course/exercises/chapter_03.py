"""Specifications of the exercises of chapter 03, *The optimal discriminator*."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from gan_course.exercises import Open, Wrong, call, expect, number, several, specification

# Where V(D*) of N(0, 1) against N(0, ε²) is −0.1, by quadrature.
THICKNESS = 0.0093637
# Mean excess of broken lines of 9 pieces on 100 samples of each kind, over 8,000 data sets.
RIDGE_PRICES = {1e-4: 0.04785, 1e-3: 0.02624, 1e-2: 0.01733, 1e-1: 0.08881, 1.0: 0.32118}
# How all five may be off at once.
TELLING = (
    (0.44, 0.56, "half of it, everywhere: V has no factor ½"),
    (1.8, 2.2, "twice as much, everywhere: the excess is V(D*) − V(D), once"),
)
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
    for share in (0.05, 0.6, 0.95):
        expect(
            f"wrong for a share of {share:g}: the logit is log(a/b), with a = πp and b = (1 − π)q",
            call(answer, log_ratio, torch.tensor(share, dtype=torch.float64)),
            log_ratio + math.log(share / (1 - share)),
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
def mean_excess_by_ridge(answer: Mapping[Any, Any]) -> None:
    """The mean excess of broken lines, for each ridge, within 12 %."""
    if not isinstance(answer, Mapping):
        raise Wrong(f"a dictionary from ridge to mean excess was expected, not {answer!r}")
    if any(price is ... for price in answer.values()):
        raise Open
    given = {
        number(ridge, "a ridge"): number(price, "a mean excess") for ridge, price in answer.items()
    }
    for ridge in RIDGE_PRICES:
        if not any(math.isclose(ridge, known, rel_tol=1e-5) for known in given):
            raise Wrong(f"the ridge {ridge:g} is missing")
    found = [
        next(v for k, v in given.items() if math.isclose(ridge, k, rel_tol=1e-5))
        for ridge in RIDGE_PRICES
    ]
    over = [price / right for price, right in zip(found, RIDGE_PRICES.values(), strict=True)]
    for low, high, hint in TELLING:
        if all(low < ratio < high for ratio in over):
            raise Wrong(hint)
    if all(price < 0 for price in found):
        raise Wrong("that is a V, on whatever samples; the excess is V(D*) − V(D), and positive")
    held = [
        ratio for ratio, wide in zip(over, (True, True, True, False, False), strict=True) if wide
    ]
    if all(0.7 < ratio < 0.88 for ratio in held):
        raise Wrong("that looks like the median of the data sets; the mean was asked for")
    for ridge, ratio in zip(RIDGE_PRICES, over, strict=True):
        expect(
            f"not the mean excess at ridge {ridge:g}: 100 samples of each kind, 9 pieces, "
            "at least 400 data sets, and the same n in every fit",
            ratio,
            1.0,
            0.12,
        )
