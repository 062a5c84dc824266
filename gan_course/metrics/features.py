"""Measures of pictures by what a network sees in them: generated features beside real ones.

Features are points, ``(runs, samples, dim)``; :class:`~gan_course.metrics.Classifier` makes them
of pictures. All is computed in double precision.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Generator, Tensor

from gan_course.arguments import are_whole, one_device, shown, tensor, whole
from gan_course.metrics.samples import as_pair, largest, nearest_neighbors

#: Distances between this many points and all others are held in memory at a time.
_ROWS = 512


def frechet_distance(x: Tensor, y: Tensor) -> Tensor:
    """Squared Fréchet distance of the Gaussians fitted to two samples (Heusel et al. 2017, eq. 6).

    |μₓ − μᵧ|² + tr(Σₓ + Σᵧ − 2 (Σₓ Σᵧ)^½), with covariances that divide by n − 1. With the
    features of Inception it is called FID; with others its numbers are on another scale. Its bias
    falls as 1/n: only values of the same number of samples can be compared.

    Args:
        x: shape ``(runs, samples, dim)``.
        y: shape ``(runs, others, dim)``.

    Returns:
        Shape ``(runs,)``, in float64.

    Raises:
        ValueError: the shapes do not fit, or a number is not finite.
    """
    x, y = as_pair(x, y, least=2)
    size = largest(x, y) or 1.0  # so that no square overflows
    x, y = x / size, y / size
    of_x, of_y = _covariance(x), _covariance(y)
    # tr (Σₓ Σᵧ)^½ is that of (Σₓ^½ Σᵧ Σₓ^½)^½, which is symmetric.
    values, vectors = torch.linalg.eigh(of_x)
    root = vectors * values.clamp(min=0).sqrt().unsqueeze(1) @ vectors.mT
    product = root @ of_y @ root
    shared = torch.linalg.eigvalsh(product).clamp(min=0).sqrt().sum(dim=-1)
    apart = (x.mean(dim=1) - y.mean(dim=1)).square().sum(dim=-1)
    spread = (of_x + of_y).diagonal(dim1=1, dim2=2).sum(dim=-1)
    distance: Tensor = (apart + spread - 2 * shared).clamp(min=0) * size * size
    return distance


def _covariance(points: Tensor) -> Tensor:
    centred = points - points.mean(dim=1, keepdim=True)
    return centred.mT @ centred / (points.shape[1] - 1)


def kernel_distance(x: Tensor, y: Tensor) -> Tensor:
    """MMD² with the kernel (a·b / dim + 1)³, without bias (Bińkowski et al. 2018, section 4).

    With the features of Inception it is called KID. Unlike the Fréchet distance it is 0 on average
    for two samples of one law, at any size; so it may well be negative.

    Args:
        x: shape ``(runs, samples, dim)``.
        y: shape ``(runs, others, dim)``.

    Returns:
        Shape ``(runs,)``, in float64.

    Raises:
        ValueError: the shapes do not fit, a number is not finite, or is so large that its sixth
            power is not.
    """
    x, y = as_pair(x, y, least=2)
    most = largest(x, y)
    if most > 1e40:
        raise ValueError(f"x or y = {most:.3g}: must be at most 1e40 in size")
    (n, m), dim = (x.shape[1], y.shape[1]), x.shape[2]

    def total(a: Tensor, b: Tensor) -> Tensor:
        found = torch.zeros_like(a[:, 0, 0])
        for start in range(0, a.shape[1], _ROWS):
            found += ((a[:, start : start + _ROWS] @ b.mT / dim + 1) ** 3).sum(dim=(1, 2))
        return found

    def own(a: Tensor) -> Tensor:
        return ((a.square().sum(dim=2) / dim + 1) ** 3).sum(dim=1)

    within = (total(x, x) - own(x)) / (n * (n - 1)) + (total(y, y) - own(y)) / (m * (m - 1))
    return within - 2 * total(x, y) / (n * m)


class PrecisionRecall(NamedTuple):
    """Outcome of :func:`precision_recall`, each of shape ``(runs,)``, from 0 to 1.

    Attributes:
        precision: share of generated samples that look real.
        recall: share of real samples that the generator reaches.
    """

    precision: Tensor
    recall: Tensor


def precision_recall(x: Tensor, y: Tensor, k: int = 3) -> PrecisionRecall:
    """Precision and recall (Kynkäänniemi et al. 2019, section 2).

    A sample lies inside a set if it is as near to one of its points as that point is to its k-th
    nearest neighbour in the set. One outlier with a far neighbour makes a large ball: see
    :func:`density_coverage`. Two samples of one law do not score 1.

    Args:
        x: generated, shape ``(runs, samples, dim)``.
        y: real, shape ``(runs, others, dim)``.
        k: which neighbour; smaller than the number of samples of each.

    Raises:
        ValueError: the shapes do not fit, a number is not finite, or ``k`` is out of range.
    """
    x, y = as_pair(x, y, least=2)
    k = _neighbour(k, min(x.shape[1], y.shape[1]))
    return PrecisionRecall(_inside(x, y, k), _inside(y, x, k))


class DensityCoverage(NamedTuple):
    """Outcome of :func:`density_coverage`, each of shape ``(runs,)``.

    Attributes:
        density: how many real balls a generated sample lies in, divided by k; 1 on average for a
            perfect generator, and more for one that makes only the most typical samples.
        coverage: share of real samples whose ball holds a generated one, 0 to 1; what a perfect
            generator scores: :func:`coverage_of_perfect_samples`.
    """

    density: Tensor
    coverage: Tensor


def density_coverage(x: Tensor, y: Tensor, k: int = 5) -> DensityCoverage:
    """Density and coverage (Naeem et al. 2020, section 3): balls around real samples alone.

    Args:
        x: generated, shape ``(runs, samples, dim)``.
        y: real, shape ``(runs, others, dim)``.
        k: a real sample's ball reaches to its k-th nearest real neighbour.

    Raises:
        ValueError: the shapes do not fit, a number is not finite, or ``k`` is out of range.
    """
    x, y = as_pair(x, y, least=2)
    k = _neighbour(k, y.shape[1])
    densities, coverages = [], []
    for a, b in zip(x, y, strict=True):
        radius = _radius(b, k)
        held = torch.zeros(len(b), dtype=torch.float64, device=b.device)
        for start in range(0, len(a), _ROWS):
            held += (_distance(a[start : start + _ROWS], b) <= radius).double().sum(dim=0)
        densities.append(held.sum() / (k * len(a)))
        coverages.append((held > 0).double().mean())
    return DensityCoverage(torch.stack(densities), torch.stack(coverages))


def coverage_of_perfect_samples(samples: int, others: int, k: int = 5) -> float:
    """Expected coverage when generated and real samples have one law (Naeem et al. 2020, eq. 8).

    1 − (N − 1) ⋯ (N − k) / ((M + N − 1) ⋯ (M + N − k)), for any law without ties: a ball is
    empty if the k nearest of all other samples are all real.

    Args:
        samples: how many are generated, M.
        others: how many are real, N.
        k: as in :func:`density_coverage`.

    Raises:
        ValueError: there are none, or ``k`` is not below ``others``.
    """
    samples = whole("samples", samples, at_least=1, at_most=10**9)
    others = whole("others", others, at_least=2, at_most=10**9)
    k = _neighbour(k, others)
    return 1 - math.exp(
        sum(math.log(others - i) - math.log(samples + others - i) for i in range(1, k + 1))
    )


class LabelCoverage(NamedTuple):
    """Outcome of :func:`label_coverage`.

    Attributes:
        counts: samples of each class, shape ``(runs, classes)``.
        classes: how many classes occur, shape ``(runs,)``.
        kl: KL divergence of the generated shares from the true ones, in nats, shape ``(runs,)``;
            infinite where a class occurs that should not.
    """

    counts: Tensor
    classes: Tensor
    kl: Tensor


def label_coverage(labels: Tensor, share: Tensor) -> LabelCoverage:
    """Count classes, and measure their balance: KL(generated ‖ true) of their shares.

    For stacked digits, with 1,000 equal shares, it is the protocol of Srivastava et al. (2017).
    Perfect samples do not score 0: about (classes − 1) / (2 samples).

    Args:
        labels: what a classifier says of each sample, shape ``(runs, samples)``, whole numbers.
        share: of each class in truth, shape ``(classes,)``, up to a factor.

    Raises:
        ValueError: the shapes do not fit, a label is no class, or a share is negative or all are 0.
    """
    share = tensor("share", share, "(classes)", least=1, dtype=torch.float64)
    if not bool((share >= 0).all()) or not 0 < float(share.sum()) < math.inf:
        raise ValueError(f"share = {shown(share)}: must be at least 0, not all of them, and finite")
    if not are_whole(labels) or labels.dim() != 2 or not labels.numel():
        raise ValueError(f"labels = {shown(labels)}: must be whole numbers, (runs, samples)")
    one_device(labels=labels, share=share)
    if int(labels.min()) < 0 or int(labels.max()) >= len(share):
        raise ValueError(f"labels = {shown(labels)}: must be from 0 to {len(share) - 1}")
    ones = torch.ones_like(labels, dtype=torch.float64)
    count = ones.new_zeros(len(labels), len(share)).scatter_add_(1, labels.long(), ones)
    found, true = count / labels.shape[1], share / share.sum()
    kl = (torch.special.xlogy(found, found) - torch.special.xlogy(found, true)).sum(dim=1)
    return LabelCoverage(count.long(), (count > 0).sum(dim=1), kl)


class Memorisation(NamedTuple):
    """Outcome of :func:`memorisation`, the first and last of shape ``(runs,)``.

    Attributes:
        share: of samples whose nearest real neighbour is one that the generator was trained on.
        expected: that share without any memory: of the real samples, those of the training.
        p_value: how often a random split of the real samples gives such a share, or a larger one.
    """

    share: Tensor
    expected: float
    p_value: Tensor


def memorisation(
    x: Tensor,
    train: Tensor,
    held_out: Tensor,
    permutations: int = 1000,
    generator: Generator | None = None,
) -> Memorisation:
    """Test whether samples lie nearer to the training set than to real samples held out of it.

    If the real samples were split at random and the generator does not depend on which half it saw,
    the nearest real neighbour of a sample is as likely to come from either as the halves are large.
    So relabelling the split at random gives the law of the share, whatever the generator makes and
    however its samples depend on each other; and only a held-out half can tell such a lean from
    samples that are merely good. A law fitted to the half leans to it, too.
    Compare it with Meehan et al. (2020).

    Args:
        x: generated, shape ``(runs, samples, ...)``, pictures or features.
        train: what the generator was trained on, shape ``(rows, ...)``.
        held_out: real samples it has never seen, shape ``(others, ...)``, split off at random.
        permutations: random splits to compare with.
        generator: where they come from.

    Raises:
        ValueError: the shapes do not fit, a number is not finite, ``permutations`` is below 1, or
            more than half of ``held_out`` stands in ``train``.
    """
    x = tensor("x", x, "(runs, samples, features, ...)", least=1)
    train = tensor("train", train, "(rows, features, ...)", least=1)
    held_out = tensor("held_out", held_out, "(rows, features, ...)", least=1)
    permutations = whole("permutations", permutations, at_least=1, at_most=10**6)
    if not x.shape[2:] == train.shape[1:] == held_out.shape[1:]:
        raise ValueError(
            f"x {tuple(x.shape)}, train {tuple(train.shape)}, held_out {tuple(held_out.shape)}: "
            "expected the same shape of each sample"
        )
    one_device(x=x, train=train, held_out=held_out)
    known, _ = nearest_neighbors(held_out, train)
    if float((known == 0).double().mean()) > 0.5:
        raise ValueError("held_out stands in train: must be real samples that were held out of it")
    real = torch.cat([train, held_out])
    _, nearest = nearest_neighbors(x.flatten(0, 1), real)
    nearest = nearest.reshape(x.shape[:2])
    trained = torch.arange(len(real), device=x.device) < len(train)
    share = trained[nearest].double().mean(dim=1)
    as_large = torch.ones_like(share)  # the given split is one of them
    for _ in range(permutations):
        split = trained[torch.randperm(len(real), generator=generator, device=x.device)]
        as_large += (split[nearest].double().mean(dim=1) >= share).double()
    return Memorisation(share, len(train) / len(real), as_large / (permutations + 1))


def _neighbour(k: object, samples: int) -> int:
    return whole("k", k, at_least=1, at_most=samples - 1)


def _distance(points: Tensor, others: Tensor) -> Tensor:
    # The exact differences: |a|² − 2ab + |b|² loses the digits that a copy needs.
    return torch.cdist(points, others, compute_mode="donot_use_mm_for_euclid_dist")


def _radius(points: Tensor, k: int) -> Tensor:
    """Distance of each point to its k-th nearest neighbour, itself left out; ``(points,)``."""
    found = []
    for start in range(0, len(points), _ROWS):
        apart = _distance(points[start : start + _ROWS], points)
        apart.diagonal(start).fill_(math.inf)
        found.append(apart.kthvalue(k, dim=1).values)
    return torch.cat(found)


def _inside(points: Tensor, others: Tensor, k: int) -> Tensor:
    """Share of each run's points that lie in the balls around the others, ``(runs,)``."""
    shares = []
    for a, b in zip(points, others, strict=True):
        radius = _radius(b, k)
        held = [
            (_distance(a[start : start + _ROWS], b) <= radius).any(dim=1)
            for start in range(0, len(a), _ROWS)
        ]
        shares.append(torch.cat(held).double().mean())
    return torch.stack(shares)
