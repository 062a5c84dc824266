"""What came out: measures of a trained generator, one value for each run."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Generator, Tensor


class ModeCoverage(NamedTuple):
    """Mode statistics of generated samples, each of shape ``(runs,)``.

    Attributes:
        modes: number of modes with at least one high-quality sample.
        high_quality: share of samples within three standard deviations of a mode, 0 to 1.
        reverse_kl: log K minus the entropy of the histogram of nearest modes, in nats.
    """

    modes: Tensor
    high_quality: Tensor
    reverse_kl: Tensor


def mode_coverage(samples: Tensor, centers: Tensor, std: float) -> ModeCoverage:
    """Count modes under PacGAN's protocol (Lin et al. 2018, section 4.1).

    A sample belongs to its nearest mode and is of high quality (HQ) when it lies within
    3 ``std`` of it. A mode counts when it has at least one HQ sample. Perfect samples in
    two dimensions score HQ = 1 − exp(−4.5) = 0.9889, and a reverse KL of about
    (K − 1) / (2 samples) from chance alone.

    Args:
        samples: shape ``(runs, samples, dim)``.
        centers: shape ``(modes, dim)``.
        std: standard deviation of one mode.

    Raises:
        ValueError: the shapes do not fit, or ``std`` is not positive.
    """
    if samples.dim() != 3 or centers.dim() != 2 or samples.shape[-1] != centers.shape[-1]:
        raise ValueError(
            f"samples {tuple(samples.shape)}, centers {tuple(centers.shape)}: "
            "expected (runs, samples, dim) and (modes, dim)"
        )
    if not std > 0:
        raise ValueError(f"std = {std!r}: must be positive")
    distance, nearest = _nearest(samples, centers.to(samples))

    def tally(values: Tensor) -> Tensor:
        """Sum over the samples of each mode, shape (runs, modes)."""
        return values.new_zeros(len(values), len(centers)).scatter_add_(1, nearest, values)

    near = (distance <= 3 * std).to(samples)
    share = tally(torch.ones_like(near)) / samples.shape[1]
    return ModeCoverage(
        modes=(tally(near) > 0).sum(dim=-1),
        high_quality=near.mean(dim=-1),
        reverse_kl=math.log(len(centers)) + torch.special.xlogy(share, share).sum(dim=-1),
    )


def nearest_neighbors(samples: Tensor, data: Tensor) -> tuple[Tensor, Tensor]:
    """Find the training sample nearest to each generated one, by Euclidean distance.

    Args:
        samples: shape ``(samples, ...)``.
        data: shape ``(rows, ...)``.

    Returns:
        Distances and row numbers, each of shape ``(samples,)``.
    """
    return _nearest(samples.flatten(1), data.flatten(1))


def _nearest(x: Tensor, points: Tensor) -> tuple[Tensor, Tensor]:
    # The exact differences: |x|² − 2xc + |c|² loses the digits that a narrow mode, or a
    # copied training sample, needs.
    distance, index = torch.cdist(x, points, compute_mode="donot_use_mm_for_euclid_dist").min(
        dim=-1
    )
    return distance, index


class TwoSampleTest(NamedTuple):
    """Outcome of :func:`two_sample_test`, each of shape ``(runs,)``.

    Attributes:
        statistic: squared MMD of the two samples, see :func:`squared_mmd`.
        p_value: share of relabellings that look at least as different, the given one included.
    """

    statistic: Tensor
    p_value: Tensor


def squared_mmd(x: Tensor, y: Tensor, bandwidth: float) -> Tensor:
    """Estimate MMD² with the kernel exp(−|x − y|² / (2 bandwidth²)), without bias.

    Gretton et al. (2012), equation 3: it is 0 on average when both samples have one law,
    so it may well be negative.

    Args:
        x: shape ``(runs, samples, dim)``.
        y: shape ``(runs, others, dim)``.
        bandwidth: the distance at which points count as alike.

    Returns:
        Shape ``(runs,)``, in float64.

    Raises:
        ValueError: the shapes do not fit, or ``bandwidth`` is not positive.
    """
    _check_samples(x, y, bandwidth)
    first = torch.ones(1, x.shape[1] + y.shape[1], dtype=torch.float64, device=x.device)
    first[:, x.shape[1] :] = 0
    return torch.cat([_mmd_of_labels(_gram(a, b, bandwidth), first) for a, b in _pairs(x, y)])


def two_sample_test(
    x: Tensor,
    y: Tensor,
    bandwidth: float,
    permutations: int = 200,
    generator: Generator | None = None,
) -> TwoSampleTest:
    """Test whether two samples have one law: MMD² against that of shuffled labels.

    Gretton et al. (2012), section 5. If the two laws are equal, every relabelling of the
    pooled points is equally likely, and ``p_value ≤ level`` happens with probability at
    most ``level``, for any number of samples and any kernel.

    Args:
        x: shape ``(runs, samples, dim)``; a test for each run.
        y: shape ``(runs, others, dim)``.
        bandwidth: see :func:`squared_mmd`; chosen without looking at which point is whose.
        permutations: relabellings drawn for each test.
        generator: where the relabellings come from.

    Raises:
        ValueError: the shapes do not fit, or ``bandwidth`` or ``permutations`` is not positive.
    """
    _check_samples(x, y, bandwidth)
    if permutations < 1:
        raise ValueError(f"permutations = {permutations!r}: at least 1 is needed")
    size, points = x.shape[1], x.shape[1] + y.shape[1]
    outcomes = []
    for a, b in _pairs(x, y):
        shuffled = torch.rand(permutations, points, generator=generator, device=x.device).argsort()
        order = torch.cat([torch.arange(points, device=x.device).unsqueeze(0), shuffled])
        outcomes.append(_mmd_of_labels(_gram(a, b, bandwidth), (order < size).double()))
    values = torch.stack(outcomes)
    # Relabellings that tie with the given one may differ from it in the last digit.
    as_large = values >= values[:, :1] - 1e-12
    return TwoSampleTest(values[:, 0], as_large.double().mean(dim=1))


def _pairs(x: Tensor, y: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """The runs one by one: a Gram matrix for all of them at once would fill the memory."""
    return zip(x.double(), y.double(), strict=True)


def _gram(x: Tensor, y: Tensor, bandwidth: float) -> Tensor:
    """The kernel between all points of both samples, its diagonal 0."""
    pooled = torch.cat([x, y])
    squared = torch.cdist(pooled, pooled, compute_mode="donot_use_mm_for_euclid_dist").square()
    return torch.exp(-squared / (2 * bandwidth**2)).fill_diagonal_(0)


def _mmd_of_labels(gram: Tensor, first: Tensor) -> Tensor:
    """MMD² for each labelling: rows of ``first``, ``(labellings, points)``, 1 where x."""
    n, m = first.sum(dim=1), (1 - first).sum(dim=1)
    within_x = ((first @ gram) * first).sum(dim=1)
    between = first @ gram.sum(dim=1) - within_x
    within_y = gram.sum() - within_x - 2 * between
    return within_x / (n * (n - 1)) + within_y / (m * (m - 1)) - 2 * between / (n * m)


def _check_samples(x: Tensor, y: Tensor, bandwidth: float) -> None:
    fits = x.dim() == y.dim() == 3 and (x.shape[0], x.shape[2]) == (y.shape[0], y.shape[2])
    if not fits or min(x.shape[1], y.shape[1]) < 2:
        raise ValueError(
            f"x {tuple(x.shape)}, y {tuple(y.shape)}: "
            "expected (runs, samples, dim) and (runs, others, dim), at least two samples each"
        )
    if not bandwidth > 0:
        raise ValueError(f"bandwidth = {bandwidth!r}: must be positive")
