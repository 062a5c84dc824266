"""Specifications of the exercises of chapter 07, *Mode collapse*."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from gan_course.distributions import ring
from gan_course.exercises import Wrong, call, expect, specification
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
        found = call(answer, tau, goal)
        if not isinstance(found, int):
            raise Wrong(f"a pack holds a whole number of samples, not {found!r}")
        wanted = next(m for m in range(1, 1000) if 1 - (1 - tau) ** m >= goal)
        expect(
            f"solve 1 − (1 − τ)^m ≥ goal for m, and round up; look at τ = {tau}, goal = {goal}",
            found,
            wanted,
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
    result = call(answer, samples, target.centers, 0.05)
    if not isinstance(result, tuple | list) or len(result) != 2:
        raise Wrong(f"two things were expected, the modes and HQ, not {result!r}")
    expect(
        "a mode counts only when one of its own samples lies within three std",
        result[0],
        int(truth.modes),
        atol=0,
    )
    expect("HQ is the share of all samples within three std", result[1], truth.high_quality[0])


@specification("07.4")
def smallest_number(answer: int) -> None:
    """The first n above (16 K² − 4 K η) / η² for K = 4, η = 5."""
    if not isinstance(answer, int):
        raise Wrong(f"a number of moves is a whole number, not {answer!r}")
    expect(
        "not the first: K = 4 and η = 5, the bound is (16 K² − 4 K η) / η², and n is above it",
        answer,
        8,
        atol=0,
    )
