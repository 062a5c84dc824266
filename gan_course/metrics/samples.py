"""Measures of samples as points: modes, distances of two samples, intervals over runs."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import ArrayLike, NDArray
from torch import Generator, Tensor

from gan_course.arguments import function, number, one_device, one_of, shown, tensor, whole
from gan_course.distributions import GaussianMixture, Source


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


def mode_coverage(
    samples: Tensor, centers: Tensor, std: float, *, histogram: str = "all"
) -> ModeCoverage:
    """Count modes under PacGAN's protocol (Lin et al. 2018, section 4.1).

    A sample belongs to its nearest mode and is of high quality (HQ) when it lies within
    3 ``std`` of it. A mode counts when it has at least one HQ sample. What perfect samples
    score: :func:`mode_coverage_of_perfect_samples`.

    Args:
        samples: shape ``(runs, samples, dim)``.
        centers: shape ``(modes, dim)``.
        std: standard deviation of one mode.
        histogram: which samples the reverse KL counts: ``"all"``, or those of ``"high quality"``
            alone, as PacGAN's published code does (NaN without any). The two agree where HQ is
            high.

    Raises:
        ValueError: the shapes do not fit, there is nothing to count, a centre is not finite,
            ``std`` is not positive, or ``histogram`` is unknown. A sample that is not finite
            is of no quality.
    """
    one_of("histogram", histogram, ["all", "high quality"])
    samples = tensor("samples", samples, "(...)", finite=False)
    centers = tensor("centers", centers, "(...)")
    if samples.dtype in (torch.float16, torch.bfloat16):  # in which torch knows no distances
        samples = samples.float()
    sizes = samples.shape, centers.shape
    fits = samples.dim() == 3 and centers.dim() == 2 and samples.shape[-1] == centers.shape[-1]
    if not fits or not all(math.prod(size) for size in sizes):
        raise ValueError(
            f"samples {tuple(samples.shape)}, centers {tuple(centers.shape)}: "
            "expected (runs, samples, dim) and (modes, dim), at least 1 of each"
        )
    std = number("std", std, above=0)
    distance, nearest = _nearest(samples, centers.to(samples))

    def tally(values: Tensor) -> Tensor:
        """Sum over the samples of each mode, shape (runs, modes)."""
        return values.new_zeros(len(values), len(centers)).scatter_add_(1, nearest, values)

    near = (distance <= 3 * std).to(samples)
    count = tally(torch.ones_like(near) if histogram == "all" else near)
    share = count / count.sum(dim=-1, keepdim=True)
    return ModeCoverage(
        modes=(tally(near) > 0).sum(dim=-1),
        high_quality=near.mean(dim=-1),
        reverse_kl=math.log(len(centers)) + torch.special.xlogy(share, share).sum(dim=-1),
    )


def mode_coverage_of_perfect_samples(target: GaussianMixture, samples: int) -> ModeCoverage:
    """Expected :func:`mode_coverage` of samples from the target itself.

    It is the ceiling of the modes and of HQ, and the floor of the reverse KL, which chance
    keeps above 0. HQ is the probability that a χ² of ``dim`` degrees is below 9. The count
    of a mode is binomial, so E[p̂ log p̂] is a sum over its ``samples + 1`` values; for K
    equal modes the reverse KL comes close to (K − 1) / (2 samples).

    Args:
        target: its modes must be so far apart that no sample strays to a neighbour.
        samples: how many are drawn in each run.

    Returns:
        Three numbers, each a float64 tensor of shape ``()``.

    Raises:
        ValueError: ``samples`` is below 1; or the target's modes are not 10 standard
            deviations apart, not of one width, or not modes at all.
    """
    samples = whole("samples", samples, at_least=1, at_most=10**6)
    if not isinstance(target, GaussianMixture):
        raise ValueError(f"target = {shown(target)}: must be a GaussianMixture")
    std = float(target.std[0])
    apart = float(torch.pdist(target.centers).min()) if len(target.centers) > 1 else math.inf
    if target.modes is None or bool((target.std != std).any()) or apart < 10 * std:
        raise ValueError(
            f"target has std = {target.std.tolist()} and centers {apart:.3g} apart: "
            "expected modes of one width, at least 10 standard deviations apart"
        )
    from scipy import special, stats  # noqa: PLC0415  # half a second

    weights = target.weights.double().cpu().numpy()
    high_quality = float(stats.chi2.cdf(9, target.event_shape[0]))
    missed = (1 - high_quality * weights) ** samples
    count = np.arange(samples + 1)
    share = count / samples
    chances = stats.binom.pmf(count, samples, weights[:, None])
    expected = (chances * special.xlogy(share, share)).sum()
    return ModeCoverage(
        modes=torch.tensor((1 - missed).sum()),
        high_quality=torch.tensor(high_quality, dtype=torch.float64),
        reverse_kl=torch.tensor(math.log(len(weights)) + expected),
    )


def nearest_neighbors(samples: Tensor, data: Tensor) -> tuple[Tensor, Tensor]:
    """Find the training sample nearest to each generated one, by Euclidean distance.

    Args:
        samples: shape ``(samples, ...)``.
        data: shape ``(rows, ...)``.

    Returns:
        Distances and row numbers, each of shape ``(samples,)``.

    Raises:
        ValueError: they differ in what follows the rows, are empty, or are not finite.
    """
    samples = tensor("samples", samples, "(samples, features, ...)", least=1)
    data = tensor("data", data, "(rows, features, ...)", least=1)
    if samples.shape[1:] != data.shape[1:]:
        raise ValueError(
            f"samples {tuple(samples.shape)}, data {tuple(data.shape)}: "
            "expected the same shape of each sample"
        )
    if samples.dtype in (torch.float16, torch.bfloat16):
        samples = samples.float()
    data = data.to(samples)
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
    x, y = as_pair(x, y, least=2)
    bandwidth = number("bandwidth", bandwidth, above=0)
    first = torch.ones(1, x.shape[1] + y.shape[1], dtype=torch.float64, device=x.device)
    first[:, x.shape[1] :] = 0
    # Several runs at once, as far as their kernels fit the memory.
    runs = max(1, 2**22 // first.numel() ** 2)
    parts = zip(torch.split(x, runs), torch.split(y, runs), strict=True)
    return torch.cat([_mmd_of_labels(_gram(a, b, bandwidth), first) for a, b in parts]).squeeze(1)


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
    x, y = as_pair(x, y, least=2)
    bandwidth = number("bandwidth", bandwidth, above=0)
    permutations = whole("permutations", permutations, at_least=1, at_most=10**6)
    size, points = x.shape[1], x.shape[1] + y.shape[1]
    outcomes = []
    for a, b in _pairs(x, y):
        shuffled = torch.rand(permutations, points, generator=generator, device=x.device).argsort()
        order = torch.cat([torch.arange(points, device=x.device).unsqueeze(0), shuffled])
        gram = _gram(a.unsqueeze(0), b.unsqueeze(0), bandwidth)
        outcomes.append(_mmd_of_labels(gram, (order < size).double()))
    values = torch.cat(outcomes)
    # Relabellings that tie with the given one may differ from it in the last digit.
    as_large = values >= values[:, :1] - 1e-12
    return TwoSampleTest(values[:, 0], as_large.double().mean(dim=1))


def sliced_wasserstein(
    x: Tensor,
    y: Tensor,
    projections: int = 200,
    p: float = 1.0,
    generator: Generator | None = None,
) -> Tensor:
    """Estimate the sliced Wasserstein distance of two samples (Bonneel et al. 2015, eq. 7).

    Samples on a line are matched by sorting them, in any dimension they are not. So project
    both on directions θ drawn uniformly: SW_p = (mean over θ of W_p(θ·x, θ·y)^p)^(1/p).
    A shift by t in d dimensions costs SW₂ = |t| / √d, and in the plane SW₁ = 2 |t| / π.
    Two samples of one law are not at distance 0: see :func:`two_sample_floor`.

    Args:
        x: shape ``(runs, samples, dim)``.
        y: shape ``(runs, others, dim)``.
        projections: directions; all runs share them.
        p: power of the distance that a sample travels.
        generator: where the directions come from.

    Returns:
        Shape ``(runs,)``, in float64.

    Raises:
        ValueError: the shapes do not fit, a sample is not finite, ``projections`` is below 1,
            or ``p`` is not from 1 to 100.
    """
    x, y = as_pair(x, y, least=1)
    projections = whole("projections", projections, at_least=1, at_most=10**6)
    p = number("p", p, at_least=1, at_most=100)
    normal = torch.randn(
        x.shape[2], projections, generator=generator, dtype=torch.float64, device=x.device
    )
    directions = F.normalize(normal, dim=0)
    size = largest(x, y) or 1.0  # so that no power overflows
    costs = [
        _transport_cost(a / size @ directions, b / size @ directions, p).mean()
        for a, b in _pairs(x, y)
    ]
    return size * torch.stack(costs) ** (1 / p)


def _transport_cost(x: Tensor, y: Tensor, p: float) -> Tensor:
    """W_p^p on the line, for each column of ``(samples, columns)`` and ``(others, columns)``.

    It is ∫ |F⁻¹(u) − G⁻¹(u)|^p du over 0 ≤ u ≤ 1. Both inverses are steps; between two
    neighbouring levels of u neither jumps.
    """
    sizes = len(x), len(y)
    jumps = [torch.arange(1, n + 1, dtype=x.dtype, device=x.device) / n for n in sizes]
    levels = torch.cat(jumps).sort().values
    width = levels.diff(prepend=levels.new_zeros(1))
    middle = levels - width / 2
    of_x, of_y = (
        points.sort(dim=0).values[(middle * n).long().clamp(max=n - 1)]
        for points, n in zip((x, y), sizes, strict=True)
    )
    return width @ (of_x - of_y).abs().pow(p)


def two_sample_floor(
    distance: Callable[[Tensor, Tensor], Tensor],
    source: Source,
    samples: int,
    runs: int = 100,
    generator: Generator | None = None,
) -> Tensor:
    """Measure how far apart two samples of one source look: what a perfect generator scores.

    Args:
        distance: of ``(runs, samples, dim)`` and the like, to ``(runs,)``; for instance
            :func:`sliced_wasserstein`, or ``partial(squared_mmd, bandwidth=0.5)``.
        source: what both samples are drawn from.
        samples: the size of each.
        runs: how many pairs.
        generator: where the samples come from.

    Returns:
        Shape ``(runs,)``: its mean is the floor, its spread what chance does to one run.

    Raises:
        ValueError: ``samples`` or ``runs`` is below 1, or ``distance`` cannot be called.
    """
    function("distance", distance)
    if not hasattr(source, "sample"):
        raise ValueError(f"source = {shown(source)}: must have a sample(shape, generator)")
    samples, runs = (
        whole("samples", samples, at_least=1, at_most=10**6),
        whole("runs", runs, at_least=1, at_most=10**6),
    )
    return distance(*(source.sample((runs, samples), generator) for _ in range(2)))


def line_masses(generator: Callable[[Tensor], Tensor], edges: ArrayLike) -> Tensor:
    """The law of generators of one number, by computing: no samples, no estimate.

    With z standard normal, a small interval of z spreads its probability evenly over its
    image. That is exact where the generator is linear, as networks of ReLUs are but for
    their kinks; the intervals are 0.003 long.

    Args:
        generator: noise ``(runs, n, 1)`` to values of the same shape, for example an
            :class:`~gan_course.networks.Ensemble`; noise of one run may come back as many.
        edges: the ends of the cells, increasing, shape ``(cells + 1,)``.

    Returns:
        The probability of every cell in double precision, ``(runs, cells)``; what falls
        outside ``edges`` is missing from the sum.

    Raises:
        ValueError: the edges do not increase, or the generator returns no finite numbers.
    """
    function("generator", generator)
    ends = tensor("edges", edges, "(cells + 1,)", finite=False, dtype=torch.float64).numpy()
    if ends.ndim != 1 or len(ends) < 2 or not (np.diff(ends) > 0).all():
        raise ValueError(f"edges = {shown(edges)}: must be numbers that increase, at least two")
    z = torch.linspace(-6, 6, 4_001)
    runs = getattr(generator, "runs", 1)
    with torch.no_grad():
        images = generator(z.expand(runs, -1).unsqueeze(-1))
    if (
        not isinstance(images, Tensor)
        or images.shape[1:] != (4_001, 1)
        or not bool(images.isfinite().all())
    ):
        raise ValueError(
            f"generator returned shape {tuple(images.shape)}: "
            f"must be finite numbers, ({runs}, 4001, 1)"
        )
    share = torch.special.ndtr(z.double()).diff().numpy()
    share /= share.sum()
    below = [_mass_below(image, share, ends) for image in images.squeeze(-1).double().numpy()]
    return torch.from_numpy(np.diff(below))


def _mass_below(
    image: NDArray[np.float64], share: NDArray[np.float64], edges: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Mass left of each edge, where each piece's mass lies evenly between its two images."""
    low, high = np.minimum(image[1:], image[:-1]), np.maximum(image[1:], image[:-1])
    high = np.maximum(high, low + 1e-6)  # a flat piece is a spike
    density = share / (high - low)
    at, slope = np.concatenate([low, high]), np.append(density, -density)
    order = at.argsort()
    below = np.append(0, np.cumsum(np.cumsum(slope[order])[:-1] * np.diff(at[order])))
    found: NDArray[np.float64] = np.interp(edges, at[order], below)
    return found


def js_of_masses(p: Tensor, q: Tensor) -> Tensor:
    """JS of two laws in nats, given by their masses in the same cells.

    Args:
        p: shape ``(..., cells)``, at least 0, of sum 1.
        q: the same.

    Raises:
        ValueError: a mass is negative, some law's masses do not add up to 1, or the laws have
            not the same cells.
    """
    p = tensor("p", p, "(cells, ...)", least=1, dtype=torch.float64)
    q = tensor("q", q, "(cells, ...)", least=1, dtype=torch.float64)
    one_device(p=p, q=q)
    if p.shape[-1] != q.shape[-1]:
        raise ValueError(f"q has {q.shape[-1]} cells: expected {p.shape[-1]}, as p")
    for name, law in {"p": p, "q": q}.items():
        if bool((law < 0).any()) or not bool((law.sum(dim=-1) - 1).abs().max() < 1e-3):
            raise ValueError(f"{name} has masses that are no law: must be ≥ 0 and add up to 1")
    middle = (p + q) / 2 + 1e-300
    return (torch.xlogy(p, p / middle) + torch.xlogy(q, q / middle)).sum(dim=-1) / 2


class Interval(NamedTuple):
    """An estimate and where the truth may lie; numbers, or arrays of one shape."""

    estimate: NDArray[np.float64] | float
    low: NDArray[np.float64] | float
    high: NDArray[np.float64] | float

    @property
    def half(self) -> NDArray[np.float64] | float:
        """Half of the width: the number behind ±."""
        return (self.high - self.low) / 2


def mean_interval(values: ArrayLike, confidence: float = 0.95) -> Interval:
    """The mean over runs, with Student's interval.

    It covers the true mean with the probability ``confidence`` when the values are normal,
    and nearly so for other values when the runs are many.

    Args:
        values: shape ``(..., runs)``.
        confidence: between 0 and 1.

    Returns:
        Three numbers for one row of values, else arrays of shape ``(...)``.

    Raises:
        ValueError: there are fewer than two runs, a value is no finite number, or the
            confidence is not between 0 and 1.
    """
    confidence = number("confidence", confidence, above=0, below=1)
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError, RuntimeError, OverflowError):
        raise ValueError(f"values = {shown(values)}: must be numbers, (..., runs)") from None
    if not np.isfinite(array).all():
        raise ValueError(f"values = {shown(values)}: must be finite numbers")
    runs = array.shape[-1] if array.ndim else 1
    if runs < 2 or not array.size:
        raise ValueError(f"values has shape {array.shape}: an interval needs at least 2 runs")
    mean = array.mean(axis=-1)
    from scipy import stats  # noqa: PLC0415  # half a second

    half = stats.t.ppf((1 + confidence) / 2, runs - 1) * stats.sem(array, axis=-1)
    return Interval(mean, mean - half, mean + half)


def proportion_interval(successes: int, runs: int, confidence: float = 0.95) -> Interval:
    """The share of successes, with Wilson's interval (Wilson 1927).

    It is right for few runs, and for shares of 0 and 1, where the mean ± 2 standard errors
    has no width.

    Raises:
        ValueError: ``successes`` is no whole number from 0 to ``runs``, there are no runs, or
            the confidence is not between 0 and 1.
    """
    runs = whole("runs", runs, at_least=1, at_most=10**15)
    successes = whole("successes", successes, at_least=0, at_most=runs)
    confidence = number("confidence", confidence, above=0, below=1)
    from scipy import stats  # noqa: PLC0415  # half a second

    test = stats.binomtest(successes, runs)
    low, high = test.proportion_ci(confidence, method="wilson")
    return Interval(successes / runs, float(low), float(high))


def _pairs(x: Tensor, y: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """The runs one by one: a Gram matrix for all of them at once would fill the memory."""
    return zip(x.double(), y.double(), strict=True)


def _gram(x: Tensor, y: Tensor, bandwidth: float) -> Tensor:
    """The kernel between all points of both samples, ``(runs, points, points)``, diagonal 0."""
    pooled = torch.cat([x, y], dim=1)
    size = largest(pooled) or 1.0  # squares of 1e-160 or 1e160 leave the floats
    apart = torch.cdist(pooled / size, pooled / size, compute_mode="donot_use_mm_for_euclid_dist")
    apart *= size / bandwidth
    kernel = torch.exp(-apart.square() / 2)
    kernel.diagonal(dim1=1, dim2=2).zero_()
    return kernel


def _mmd_of_labels(gram: Tensor, first: Tensor) -> Tensor:
    """MMD² of each run for each labelling, shape ``(runs, labellings)``.

    The rows of ``first``, ``(labellings, points)``, are 1 where a point belongs to x.
    """
    n, m = first.sum(dim=1), (1 - first).sum(dim=1)
    within_x = ((first @ gram) * first).sum(dim=2)
    between = gram.sum(dim=1) @ first.T - within_x
    within_y = gram.sum(dim=(1, 2)).unsqueeze(1) - within_x - 2 * between
    return within_x / (n * (n - 1)) + within_y / (m * (m - 1)) - 2 * between / (n * m)


def largest(*points: Tensor) -> float:
    """The largest number in some tensors, whatever its sign; no gradient flows through it."""
    return max(float(part.detach().abs().max()) for part in points)


def as_pair(x: Tensor, y: Tensor, least: int) -> tuple[Tensor, Tensor]:
    """Two samples of the same runs, checked, in double precision.

    Args:
        x: shape ``(runs, samples, dim)``.
        y: shape ``(runs, others, dim)``.
        least: how many samples there must be of each.

    Raises:
        ValueError: the shapes do not fit, or a number is not finite.
    """
    if not (isinstance(x, Tensor) and isinstance(y, Tensor)):
        raise ValueError(f"x = {shown(x)}, y = {shown(y)}: must be two tensors")
    fits = x.dim() == y.dim() == 3 and (x.shape[0], x.shape[2]) == (y.shape[0], y.shape[2])
    if not fits or min(x.shape[1], y.shape[1]) < least:
        raise ValueError(
            f"x {tuple(x.shape)}, y {tuple(y.shape)}: expected (runs, samples, dim) and "
            f"(runs, others, dim), at least {least} of each"
        )
    if not all(x.shape):
        raise ValueError(f"x {tuple(x.shape)}: there are no runs, or no dimension")
    # In double: in float16 or float32 a square may overflow, and so may a distance.
    x = tensor("x", x, "(runs, samples, dim)", dtype=torch.float64)
    return x, tensor("y", y, "(runs, others, dim)", dtype=torch.float64).to(x)
