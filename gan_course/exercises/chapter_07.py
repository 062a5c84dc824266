"""Specifications of the exercises of chapter 07, *Mode collapse*."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from gan_course.distributions import ring
from gan_course.exercises import (
    Wrong,
    call,
    expect,
    number,
    several,
    specification,
    whole_number,
)
from gan_course.metrics import mode_coverage


@specification("07.1")
def reverse_kl(answer: float) -> None:
    """Log 25 less the entropy of 20 equal shares."""
    expect(
        "log K less the entropy of the shares: 20 equal shares have entropy log 20",
        answer,
        math.log(25 / 20),
        atol=6e-4,
    )


@specification("07.2")
def pack_size(answer: Callable[[float, float], int]) -> None:
    """The least m with 1 − (1 − τ)^m ≥ goal."""
    for tau, goal in ((0.25, 0.9), (0.1, 0.5), (0.04, 0.99), (0.5, 0.4)):
        found = whole_number(call(answer, tau, goal), "a pack: its size")
        wanted = next(m for m in range(1, 1000) if 1 - (1 - tau) ** m >= goal)
        expect(
            f"solve 1 − (1 − τ)^m ≥ goal for m, and round up; look at τ = {tau}, goal = {goal}",
            found,
            wanted,
            atol=0,
        )
    expect(
        "at τ = 0.5 packs of 2 reach 0.75 exactly, and that is enough: round up, don't add 1",
        whole_number(call(answer, 0.5, 0.75), "a pack: its size"),
        2,
        atol=0,
    )


@specification("07.3")
def count_modes(answer: Callable[[Tensor, Tensor, float], tuple[int, Tensor]]) -> None:
    """Modes with a sample within three standard deviations, and the share of such samples."""
    random, target = torch.Generator().manual_seed(0), ring(std=0.05)
    near = target.sample((400,), random)[:, :2]
    near = near[near[:, 0] > 0]  # some of the modes only
    between = 0.5 * (target.centers + target.centers.roll(1, 0))
    edge = target.centers[3] + torch.tensor([0.0, 0.14])  # within 3 std, beyond 2
    samples = torch.cat([near, between, edge.unsqueeze(0)])
    truth = mode_coverage(samples.unsqueeze(0), target.centers, 0.05)
    wide = target.centers[:1] + torch.tensor([[0.37, -0.37]])  # within 3 × 0.3 of two modes
    result = several(call(answer, samples, target.centers, 0.05), 2, "two things, modes and HQ,")
    expect(
        "a mode counts only when one of its own samples lies within three std",
        result[0],
        int(truth.modes),
        atol=0,
    )
    expect("HQ is the share of all samples within three std", result[1], truth.high_quality[0])
    edges = torch.tensor([[1.5, 0.0], [9.0, 0.0]]), torch.zeros(1, 2), 0.5
    expect(
        "a sample at exactly three std is within them: ≤, not <",
        several(call(answer, *edges), 2, "two things, modes and HQ,")[1],
        0.5,
    )
    of_wide = mode_coverage(wide.unsqueeze(0), target.centers, 0.3)
    expect(
        "modes so wide that they overlap: a sample belongs to the nearest one alone",
        several(call(answer, wide, target.centers, 0.3), 2, "two things, modes and HQ,")[0],
        int(of_wide.modes),
        atol=0,
    )
    # (0, 0) is √2 away and (2.7, 1) is 1.7; by the sum of both coordinates it is 2 and 1.7
    oblique = torch.ones(1, 2), torch.tensor([[0.0, 0.0], [2.7, 1.0]]), 0.5
    expect(
        "nearest by the ordinary distance, √(Δx² + Δy²), not by the sum |Δx| + |Δy|",
        several(call(answer, *oblique), 2, "two things, modes and HQ,")[0],
        1,
        atol=0,
    )


@specification("07.4")
def most_moves_with_friction(answer: Callable[[float, float, float], float]) -> None:
    """(16 K² − 4 K η − 8 K² η γ) / η², from 1 + trace + det = 0."""
    for K, eta, gamma in ((3, 4.0, 0.0), (3, 4.0, 0.05), (4, 5.0, 0.1), (2, 0.5, 0.3)):
        found = call(answer, K, eta, gamma)
        neutral = (16 * K**2 - 4 * K * eta - 8 * K**2 * eta * gamma) / eta**2
        _name_the_wrong_term(answer, K, eta, gamma)
        hint = f"not right at K = {K}, η = {eta:g}, γ = {gamma:g}: "
        if gamma == 0:
            hint += "without friction it is the box, (16 K² − 4 K η) / η²"
        else:
            hint += (
                "the determinant is 1 − η/2K − ηγ and the trace 1 + det − g η²/4K²; "
                "solve 1 + trace + det = 0 for g"
            )
        expect(hint, found, neutral, atol=1e-3 * neutral)  # a root found by numbers will do


def _name_the_wrong_term(answer: Callable[..., Any], K: int, eta: float, gamma: float) -> None:
    """The bound has three terms, 16 K²/η², −4 K/η and −8 K² γ/η: which one is not right?"""
    # With f(η) = bound × η²/K², the first two are the line f = 16 − 4 η/K: two ordinary steps
    # show it, and an answer that finds the root by numbers is as right as a formula.
    at_1, at_2 = (number(call(answer, K, e, 0.0), "a bound") * e**2 / K**2 for e in (1.0, 2.0))
    if not abs(2 * at_1 - at_2 - 16) < 0.1:
        raise Wrong(
            "for small steps without friction the bound comes near 16 K²/η²: 1 + trace + det "
            "comes near 4, less g η²/4K². Look at these two"
        )
    second = (at_2 - at_1) * K
    if not abs(second + 4) < 0.2:
        raise Wrong(
            "16 K²/η² is right. D's own step takes 4 K/η off: −η/2K stands once in the "
            f"determinant and once in the trace. You have {second:.3g} K/η"
        )
    third = number(call(answer, K, eta, gamma), "a bound") - number(
        call(answer, K, eta, 0.0), "a bound"
    )
    if not abs(third + 8 * K**2 * gamma / eta) <= 2e-3 * 16 * K**2 / eta**2:
        raise Wrong(
            "without friction it is right. With it −ηγ stands once in the determinant and once "
            f"in the trace, which takes 8 K²γ/η off; you have {third * eta / K**2:.3g} K²/η at "
            f"γ = {gamma:g}: solve 1 + trace + det = 0 again"
        )


@specification("07.5")
def steps_ahead(answer: Callable[[int, float, float], int]) -> None:
    """The least s with 1 − r^(2s) ≥ part, r = 1 − η/2K."""
    for K, eta, part in ((3, 0.3, 0.5), (8, 0.3, 0.9), (2, 1.0, 0.2), (25, 2.0, 0.5)):
        r = 1 - eta / (2 * K)
        expect(
            f"not right at K = {K}, η = {eta:g}, part = {part:g}: r = 1 − η/2K, and the share seen "
            "is 1 − r^(2s), with 2s in the exponent; round up",
            whole_number(call(answer, K, eta, part), "a number of steps"),
            next(s for s in range(1, 100_000) if 1 - r ** (2 * s) >= part),
            atol=0,
        )
    expect(
        "at K = 1 and η = 1 one step sees exactly 0.75, and that is enough: round up, don't add 1",
        whole_number(call(answer, 1, 1.0, 0.75), "a number of steps"),
        1,
        atol=0,
    )
