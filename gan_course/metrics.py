"""What came out: measures of a trained generator, one value for each run."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor


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
