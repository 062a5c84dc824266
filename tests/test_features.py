"""Measures of features where the answer is known: closed forms, other libraries, bad forgers."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy import linalg, stats
from sklearn.neighbors import NearestNeighbors
from torch import Generator, Tensor

from gan_course.metrics import (
    coverage_of_perfect_samples,
    density_coverage,
    frechet_distance,
    kernel_distance,
    label_coverage,
    memorisation,
    precision_recall,
)


def randn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=Generator().manual_seed(seed), dtype=torch.float64)


def white(runs: int, samples: int, dim: int, seed: int = 0) -> Tensor:
    """Points whose mean is exactly 0 and whose unbiased covariance is exactly the identity."""
    x = randn(runs, samples, dim, seed=seed)
    x = x - x.mean(dim=1, keepdim=True)
    cholesky = torch.linalg.cholesky(x.mT @ x / (samples - 1))
    return torch.linalg.solve_triangular(cholesky, x.mT, upper=False).mT


# --- Fréchet and kernel distance ----------------------------------------------------------


def test_frechet_distance_of_gaussians_is_the_closed_form() -> None:
    """Axes in line: |m|² + Σ (s − t)². A turn by 90°: the axes trade places."""
    s, t, m = (torch.tensor(v).double() for v in ([1.0, 2, 3], [0.5, 2, 5], [1.0, -2, 0.5]))
    x, y = white(2, 50, 3) * s, white(2, 40, 3, seed=1) * t + m
    expected = float(m.square().sum() + (s - t).square().sum())
    assert frechet_distance(x, y).tolist() == pytest.approx([expected] * 2, rel=1e-9)
    turn = torch.tensor([[0.0, 1, 0], [-1, 0, 0], [0, 0, 1]]).double()
    expected = float((s[[1, 0, 2]] - t).square().sum())
    assert frechet_distance(x @ turn, y - m).tolist() == pytest.approx([expected] * 2, rel=1e-9)


@pytest.mark.parametrize(("n", "m", "dim"), [(9, 12, 4), (30, 5, 3), (4, 5, 8)])
def test_frechet_distance_is_scipys_matrix_root(n: int, m: int, dim: int) -> None:
    mix = randn(dim, dim, seed=2)
    x, y = randn(2, n, dim) @ mix + 3, randn(2, m, dim, seed=1)
    for run in range(2):
        a, b = x[run].numpy(), y[run].numpy()
        of_a, of_b = np.cov(a.T), np.cov(b.T)
        # A step off the singular, as published code takes it, where there are few samples.
        step = 1e-9 * np.eye(dim) if min(n, m) <= dim else 0
        root = linalg.sqrtm((of_a + step) @ (of_b + step)).real
        mean = ((a.mean(axis=0) - b.mean(axis=0)) ** 2).sum()
        expected = mean + np.trace(of_a + of_b - 2 * root)
        assert float(frechet_distance(x, y)[run]) == pytest.approx(expected, rel=1e-3)
        if min(n, m) > dim:
            assert float(frechet_distance(x, y)[run]) == pytest.approx(expected, rel=1e-8)


def test_frechet_and_kernel_distance_are_torchmetrics() -> None:
    from torchmetrics.image.fid import FrechetInceptionDistance
    from torchmetrics.image.kid import poly_mmd

    class AsGiven(torch.nn.Module):
        num_features = 6

        def forward(self, x: Tensor) -> Tensor:
            return x

    x, y = randn(1, 60, 6), 0.5 + 2 * randn(1, 60, 6, seed=1)
    theirs = FrechetInceptionDistance(feature=AsGiven()).set_dtype(torch.float64)
    theirs.update(y[0], real=True)
    theirs.update(x[0], real=False)
    assert float(frechet_distance(x, y)) == pytest.approx(float(theirs.compute()), rel=1e-6)
    expected = float(poly_mmd(x[0], y[0]))
    assert float(kernel_distance(x, y)) == pytest.approx(expected, rel=1e-9)


def test_frechet_distance_of_a_copy_is_nothing_and_of_a_shift_its_square() -> None:
    x = randn(3, 40, 5)
    assert frechet_distance(x, x).tolist() == pytest.approx([0] * 3, abs=1e-9)
    assert frechet_distance(x, x + 2).tolist() == pytest.approx([4 * 5] * 3, rel=1e-9)
    assert frechet_distance(1e150 * x, 1e150 * x).isfinite().all()


def test_kernel_distance_is_its_definition_and_has_no_bias() -> None:
    x, y = randn(1, 7, 3), 1 + randn(1, 5, 3, seed=1)
    a, b = x[0].numpy(), y[0].numpy()

    def kernel(u: np.ndarray, v: np.ndarray) -> np.ndarray:
        return np.asarray((u @ v.T / 3 + 1) ** 3)

    def others(gram: np.ndarray) -> float:
        return float((gram.sum() - np.trace(gram)) / (len(gram) * (len(gram) - 1)))

    expected = others(kernel(a, a)) + others(kernel(b, b)) - 2 * kernel(a, b).mean()
    assert float(kernel_distance(x, y)) == pytest.approx(expected, rel=1e-12)
    null = kernel_distance(randn(4000, 8, 3), randn(4000, 8, 3, seed=1))
    assert abs(float(null.mean())) < 4 * float(null.std()) / math.sqrt(4000)
    assert bool((null < 0).any())


def test_more_points_than_are_held_at_a_time() -> None:
    x, y = randn(1, 700, 2), randn(1, 1100, 2, seed=1)
    gram = {
        (i, j): (a[0] @ b[0].T / 2 + 1) ** 3
        for i, a in enumerate((x, y))
        for j, b in enumerate((x, y))
    }
    within = [
        (gram[i, i].sum() - gram[i, i].trace()) / (n * (n - 1)) for i, n in enumerate((700, 1100))
    ]
    expected = float(sum(within) - 2 * gram[0, 1].mean())
    assert float(kernel_distance(x, y)) == pytest.approx(expected, rel=1e-9)
    apart = by_scikit_learn(x[0].numpy(), y[0].numpy(), 3)
    assert [float(part) for part in precision_recall(x, y)] == pytest.approx(apart)


# --- Precision, recall, density, coverage -------------------------------------------------


def radius(points: np.ndarray, k: int) -> np.ndarray:
    """Without points to ask for, scikit-learn leaves each one out of its own neighbours."""
    found, _ = NearestNeighbors(n_neighbors=k).fit(points).kneighbors()
    return np.asarray(found[:, -1])


def by_scikit_learn(x: np.ndarray, y: np.ndarray, k: int) -> tuple[float, float]:
    def inside(points: np.ndarray, others: np.ndarray) -> float:
        found, index = NearestNeighbors(n_neighbors=len(others)).fit(others).kneighbors(points)
        return float((found <= radius(others, k)[index]).any(axis=1).mean())

    return inside(x, y), inside(y, x)


@pytest.mark.parametrize("k", [1, 3, 5])
def test_precision_recall_density_coverage_are_scikit_learns(k: int) -> None:
    x, y = randn(2, 60, 3), 0.7 + 1.5 * randn(2, 45, 3, seed=1)
    found, naeem = precision_recall(x, y, k), density_coverage(x, y, k)
    for run in range(2):
        a, b = x[run].numpy(), y[run].numpy()
        assert [float(part[run]) for part in found] == pytest.approx(by_scikit_learn(a, b, k))
        tree = NearestNeighbors(n_neighbors=1).fit(a)
        nearest = tree.kneighbors(b)[0][:, 0]
        ball = radius(b, k)
        assert float(naeem.coverage[run]) == pytest.approx((nearest <= ball).mean())
        held = [len(tree.radius_neighbors([p], r)[0][0]) for p, r in zip(b, ball, strict=True)]
        assert float(naeem.density[run]) == pytest.approx(sum(held) / (k * len(a)))


def test_perfect_samples_cover_what_the_formula_says_whatever_the_law() -> None:
    for law in (randn, lambda *shape, seed: randn(*shape, seed=seed).exp()):
        x, y = law(200, 30, 2, seed=3), law(200, 40, 2, seed=4)
        found = density_coverage(x, y, k=4)
        for part, expected in (
            (found.coverage, coverage_of_perfect_samples(30, 40, 4)),
            (found.density, 1.0),
        ):
            error = float(part.std()) / math.sqrt(200)
            assert float(part.mean()) == pytest.approx(expected, abs=4 * error)
            assert error < 0.02
    # All orders of three points, two real and one generated: the k-th of the others is as likely.
    assert coverage_of_perfect_samples(1, 2, 1) == pytest.approx(1 - 1 / 2)


@pytest.mark.parametrize("measure", [frechet_distance, kernel_distance])
def test_a_distance_may_be_a_loss(measure: Callable[..., Tensor]) -> None:
    """Its slope is that of differences, and nothing warns."""
    x, y = randn(1, 30, 2, seed=1), 1.5 * randn(1, 40, 2, seed=2)
    x.requires_grad_()
    (slope,) = torch.autograd.grad(measure(x, y).sum(), x)
    h, ahead = 1e-5, torch.zeros_like(x)
    ahead[0, 3, 1] = h
    with torch.no_grad():
        expected = (measure(x + ahead, y) - measure(x - ahead, y)) / (2 * h)
    assert float(slope[0, 3, 1]) == pytest.approx(float(expected), rel=1e-4, abs=1e-9)
    assert abs(float(slope[0, 3, 1])) > 1e-5


def test_numbers_that_are_nowhere_are_named() -> None:
    with pytest.raises(ValueError, match="x is on device meta: must have numbers"):
        frechet_distance(torch.zeros(1, 9, 2, device="meta"), torch.zeros(1, 9, 2))


def test_what_lies_on_the_edge_of_a_ball_lies_inside() -> None:
    """Real points that occur twice have balls of no size, in which their copies lie."""
    y = torch.tensor([[[0.0], [0.0], [5.0], [5.0]]]).double()
    x = torch.tensor([[[0.0], [5.0], [9.0]]]).double()
    found = precision_recall(x, y, k=1)
    assert (float(found.precision), float(found.recall)) == (pytest.approx(2 / 3), 1)
    naeem = density_coverage(x, y, k=1)
    assert (float(naeem.density), float(naeem.coverage)) == (pytest.approx(4 / 3), 1)


#: Ten classes, far apart.
CENTERS = 20 * randn(10, 4, seed=9)


def classes(kinds: int, samples: int, seed: int) -> Tensor:
    which = torch.arange(samples) % kinds
    return (CENTERS[which] + randn(samples, 4, seed=seed)).unsqueeze(0)


def test_half_of_the_classes_missing_costs_recall_not_precision() -> None:
    real, forger = classes(10, 500, 0), classes(5, 500, 1)
    found, ceiling = (precision_recall(x, real) for x in (forger, classes(10, 500, 2)))
    assert float(found.precision) == pytest.approx(float(ceiling.precision), abs=0.06)
    assert float(ceiling.recall) > 0.75
    assert float(found.recall) == pytest.approx(float(ceiling.recall) / 2, abs=0.06)
    assert float(density_coverage(forger, real).coverage) == pytest.approx(
        coverage_of_perfect_samples(1000, 500) / 2, abs=0.03
    )
    assert float(frechet_distance(forger, real)) > 100 * float(
        frechet_distance(classes(10, 500, 2), real)
    )


def test_noise_beside_the_samples_costs_precision_not_recall() -> None:
    real = classes(10, 500, 0)
    forger = torch.cat([classes(10, 500, 1), 1e3 + 1e-3 * randn(1, 500, 4)], dim=1)
    found = precision_recall(forger, real)
    assert float(found.precision) == pytest.approx(
        float(precision_recall(classes(10, 500, 1), real).precision) / 2, abs=1e-9
    )
    assert float(found.recall) > 0.75


def test_a_copy_of_the_training_set_passes_all_but_the_memory_test() -> None:
    train, held_out = classes(10, 300, 0), classes(10, 300, 1)
    assert [float(part) for part in precision_recall(train, train)] == [1, 1]
    assert float(density_coverage(train, train).coverage) == 1
    assert float(memorisation(train, train[0], held_out[0]).share) == 1


# --- Memory -------------------------------------------------------------------------------


def test_a_photocopier_is_caught_with_and_without_noise() -> None:
    train, held_out = randn(200, 4, seed=1), randn(200, 4, seed=2)
    for noise in (0, 0.2):
        copies = (train + noise * randn(200, 4, seed=3)).unsqueeze(0)
        found = memorisation(copies, train, held_out, 200, Generator().manual_seed(0))
        assert (found.expected, float(found.p_value)) == (0.5, pytest.approx(1 / 201))
        assert float(found.share) > (0.99 if noise == 0 else 0.8)


@pytest.mark.slow
def test_a_law_that_knows_nothing_is_caught_as_often_as_the_level() -> None:
    runs, share, p_values = 300, [], []
    for run in range(runs):
        real = randn(60, 2, seed=run)
        x = randn(1, 50, 2, seed=1000 + run)
        found = memorisation(x, real[:40], real[40:], 99, Generator().manual_seed(run))
        assert found.expected == pytest.approx(2 / 3)
        share.append(float(found.share))
        p_values.append(float(found.p_value))
    error = np.std(share) / math.sqrt(runs)
    assert np.mean(share) == pytest.approx(2 / 3, abs=4 * error)
    caught = sum(p <= 0.05 for p in p_values)
    assert stats.binomtest(caught, runs, 0.05, "greater").pvalue > 0.001
    assert stats.binomtest(sum(p <= 0.5 for p in p_values), runs, 0.5).pvalue > 0.001


def test_a_split_with_the_same_share_counts_against_it() -> None:
    """All samples are one: whatever split has its neighbour in the half is as extreme."""
    real, x = randn(4, 2), randn(4, 2)[:1].expand(1, 5, 2)
    found = memorisation(x, real[:2], real[2:], 2000, Generator().manual_seed(0))
    assert (float(found.share), float(found.p_value)) == (1, pytest.approx(1 / 2, abs=0.05))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(99)
        again = memorisation(x, real[:2], real[2:], 2000, Generator().manual_seed(0))
    assert torch.equal(again.p_value, found.p_value)


def test_the_training_half_is_refused_as_the_held_out_half() -> None:
    train = randn(50, 3)
    with pytest.raises(ValueError, match="held_out stands in train"):
        memorisation(randn(1, 9, 3, seed=1), train, train.flip(0))


# --- Labels -------------------------------------------------------------------------------


def test_labels_are_counted_and_compared_with_their_true_shares() -> None:
    labels = torch.tensor([[0, 0, 1, 2], [3, 3, 3, 3]])
    found = label_coverage(labels, torch.tensor([1, 1, 2, 4]))
    assert found.counts.tolist() == [[2, 1, 1, 0], [0, 0, 0, 4]]
    assert found.classes.tolist() == [3, 1]
    expected = [stats.entropy([2, 1, 1, 0], [1, 1, 2, 4]), math.log(2)]
    assert found.kl.tolist() == pytest.approx(expected)
    assert label_coverage(labels, torch.tensor([1, 1, 1, 0])).kl.tolist()[1] == math.inf


def test_perfect_labels_score_the_floor() -> None:
    """26,000 of 1,000 equal classes: .0193 (facts of the stacked digits' protocol)."""
    labels = torch.randint(1000, (4, 26_000), generator=Generator().manual_seed(0))
    found = label_coverage(labels, torch.ones(1000))
    assert found.classes.tolist() == [1000] * 4
    assert float(found.kl.mean()) == pytest.approx(999 / 52_000, rel=0.05)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int8, torch.int16, torch.int32])
def test_whole_numbers_of_any_kind_are_counted(dtype: torch.dtype) -> None:
    labels = torch.tensor([[0, 2, 2]], dtype=dtype)
    assert label_coverage(labels, torch.ones(3)).counts.tolist() == [[1, 0, 2]]


def test_odd_labels_and_shares_are_named() -> None:
    good, share = torch.tensor([[0, 1]]), torch.ones(2)
    none = torch.zeros(1, 0, dtype=torch.long)
    for labels in (good.float(), good > 0, good[0], good + 1, good - 1, none):
        with pytest.raises(ValueError, match="labels"):
            label_coverage(labels, share)
    for bad in (torch.zeros(2), -share, share.unsqueeze(0)):
        with pytest.raises(ValueError, match="share"):
            label_coverage(good, bad)
