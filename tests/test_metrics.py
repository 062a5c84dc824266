"""Mode statistics against brute force and closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from sklearn.neighbors import NearestNeighbors
from torch import Generator, Tensor

from gan_course.distributions import grid, ring
from gan_course.metrics import mode_coverage, nearest_neighbors


def brute_force(samples: np.ndarray, centers: np.ndarray, std: float) -> tuple[int, float, float]:
    """PacGAN's protocol for one run, sample by sample."""
    nearest, good = [], []
    for sample in samples:
        distances = [math.dist(sample, center) for center in centers]
        nearest.append(int(np.argmin(distances)))
        good.append(min(distances) <= 3 * std)
    hit = {mode for mode, near in zip(nearest, good, strict=True) if near}
    shares = [nearest.count(mode) / len(nearest) for mode in set(nearest)]
    return (
        len(hit),
        float(np.mean(good)),
        math.log(len(centers)) + sum(p * math.log(p) for p in shares),
    )


def draws(target_std: float, runs: int = 3, seed: int = 0) -> Tensor:
    """Samples that miss some modes and some of the three standard deviations."""
    random = Generator().manual_seed(seed)
    centers = ring().modes[torch.randint(5, (runs, 300), generator=random)]
    return centers + target_std * torch.randn(runs, 300, 2, generator=random)


@pytest.mark.parametrize("std", [0.005, 0.01, 0.02, 0.3])
def test_coverage_is_the_brute_force_count(std: float) -> None:
    samples, centers = draws(std), ring().modes
    found = mode_coverage(samples, centers, 0.01)
    for run, points in enumerate(samples.double().numpy()):
        modes, quality, divergence = brute_force(points, centers.double().numpy(), 0.01)
        assert int(found.modes[run]) == modes
        assert float(found.high_quality[run]) == pytest.approx(quality, abs=1e-6)
        assert float(found.reverse_kl[run]) == pytest.approx(divergence, abs=1e-5)


@pytest.mark.parametrize("target", [ring(), grid()], ids=["ring", "grid"])
def test_perfect_samples_score_the_closed_forms(target: object) -> None:
    """HQ is 1 − exp(−4.5); the reverse KL has a floor near (K − 1)/2n from chance alone."""
    runs, n, count = 400, 2500, len(target.modes)
    samples = target.sample((runs, n), Generator().manual_seed(0))
    found = mode_coverage(samples, target.modes, float(target.std[0]))
    assert (found.modes == count).all()
    assert float(found.high_quality.mean()) == pytest.approx(1 - math.exp(-4.5), abs=5e-4)
    assert float(found.reverse_kl.mean()) == pytest.approx((count - 1) / (2 * n), rel=0.1)


@pytest.mark.parametrize("target", [ring(), grid()], ids=["ring", "grid"])
def test_a_single_mode_scores_log_k(target: object) -> None:
    samples = target.modes[3].expand(2, 100, 2)
    found = mode_coverage(samples, target.modes, float(target.std[0]))
    assert found.modes.tolist() == [1, 1]
    assert found.high_quality.tolist() == [1, 1]
    torch.testing.assert_close(found.reverse_kl, torch.full((2,), math.log(len(target.modes))))


def test_three_standard_deviations_are_the_border_on_either_side() -> None:
    centers = torch.zeros(1, 2)
    at = torch.tensor([[[0.2999, 0.0], [0.0, -0.2999], [0.3001, 0.0], [0.0, -0.3001]]])
    assert mode_coverage(at, centers, 0.1).high_quality.item() == pytest.approx(0.5)


def test_a_far_mode_needs_a_good_sample_to_count() -> None:
    """A sample nearest to a mode but far from it is in the histogram, not in the count."""
    centers = torch.tensor([[0.0, 0.0], [10.0, 0.0]])
    samples = torch.tensor([[[0.0, 0.0], [7.0, 0.0]]])
    found = mode_coverage(samples, centers, 0.1)
    assert (found.modes.item(), found.high_quality.item()) == (1, 0.5)
    assert found.reverse_kl.item() == pytest.approx(0.0, abs=1e-6)


def test_samples_that_are_not_numbers_are_of_no_quality() -> None:
    found = mode_coverage(torch.full((1, 5, 2), torch.nan), ring().modes, 0.01)
    assert found.modes.item() == 0
    assert found.high_quality.item() == 0


@pytest.mark.parametrize(
    ("samples", "centers", "std", "message"),
    [
        ((5, 2), (8, 2), 0.1, r"samples \(5, 2\)"),
        ((1, 5, 3), (8, 2), 0.1, r"samples \(1, 5, 3\), centers \(8, 2\)"),
        ((1, 5, 2), (2,), 0.1, r"centers \(2,\)"),
        ((1, 5, 2), (8, 2), 0.0, "std = 0.0"),
        ((1, 5, 2), (8, 2), float("nan"), "std = nan"),
    ],
)
def test_bad_arguments_are_named(
    samples: tuple[int, ...], centers: tuple[int, ...], std: float, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        mode_coverage(torch.zeros(samples), torch.zeros(centers), std)


@pytest.mark.parametrize("shape", [(2,), (1, 8, 8)], ids=["points", "images"])
def test_neighbors_are_scikit_learns(shape: tuple[int, ...]) -> None:
    random = Generator().manual_seed(0)
    data, samples = (100 + torch.randn(n, *shape, generator=random) for n in (300, 50))
    distance, index = nearest_neighbors(samples, data)
    reference = NearestNeighbors(n_neighbors=1, algorithm="brute").fit(data.flatten(1).double())
    expected, rows = reference.kneighbors(samples.flatten(1).double())
    assert index.tolist() == rows[:, 0].tolist()
    np.testing.assert_allclose(distance.numpy(), expected[:, 0], rtol=1e-4)


def test_a_memorised_sample_has_distance_zero() -> None:
    data = 5 + torch.randn(200, 1, 8, 8, generator=Generator().manual_seed(0))
    distance, index = nearest_neighbors(data[40:90], data)
    assert index.tolist() == list(range(40, 90))
    assert distance.abs().max().item() == 0
