"""MMD² against its definition and a closed form; the test's level, power and symmetry."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from torch import Generator, Tensor

from gan_course.metrics import squared_mmd, two_sample_test


def seeded(seed: int) -> Generator:
    return Generator().manual_seed(seed)


def normals(*shape: int, seed: int, mean: float = 0.0, std: float = 1.0) -> Tensor:
    return mean + std * torch.randn(*shape, generator=seeded(seed), dtype=torch.float64)


def by_definition(x: Tensor, y: Tensor, bandwidth: float) -> float:
    """Equation 3 of Gretton et al. (2012), as three plain loops over points."""

    def kernel(a: Tensor, b: Tensor) -> float:
        return math.exp(-float((a - b).square().sum()) / (2 * bandwidth**2))

    def within(points: Tensor) -> float:
        pairs = itertools.permutations(points, 2)
        return sum(kernel(a, b) for a, b in pairs) / (len(points) * (len(points) - 1))

    between = sum(kernel(a, b) for a in x for b in y) / (len(x) * len(y))
    return within(x) + within(y) - 2 * between


@pytest.mark.parametrize(("n", "m", "dim"), [(2, 2, 1), (7, 4, 2), (3, 9, 5)])
def test_it_is_the_definition_for_every_run(n: int, m: int, dim: int) -> None:
    x, y = normals(3, n, dim, seed=0), normals(3, m, dim, seed=1, mean=0.4)
    expected = [by_definition(a, b, 0.7) for a, b in zip(x, y, strict=True)]
    torch.testing.assert_close(squared_mmd(x, y, 0.7).tolist(), expected, rtol=0, atol=1e-13)


@pytest.mark.parametrize(("mean", "std"), [(0.0, 1.0), (1.0, 1.0), (0.0, 2.0), (0.5, 0.5)])
def test_its_mean_is_the_closed_form_for_gaussians(mean: float, std: float) -> None:
    """E k(x, y) of two Gaussians is a Gaussian integral: √(b² / s) exp(−μ² / (2 s))."""
    b = 0.8
    x = normals(4_000, 20, 1, seed=2)
    y = normals(4_000, 30, 1, seed=3, mean=mean, std=std)

    def expected_kernel(variance: float, shift: float) -> float:
        total = b**2 + variance
        return math.sqrt(b**2 / total) * math.exp(-(shift**2) / (2 * total))

    expected = (
        expected_kernel(2, 0)
        + expected_kernel(2 * std**2, 0)
        - 2 * expected_kernel(1 + std**2, mean)
    )
    estimates = squared_mmd(x, y, b)
    error = float(estimates.std() / math.sqrt(len(estimates)))
    assert abs(float(estimates.mean()) - expected) < 4 * error
    assert error < 2e-3


def test_it_does_not_depend_on_order_sides_or_place() -> None:
    x, y = normals(1, 8, 2, seed=4), normals(1, 11, 2, seed=5, std=2)
    value = squared_mmd(x, y, 1.0)
    for same in (
        squared_mmd(y, x, 1.0),
        squared_mmd(x.flip(1), y, 1.0),
        squared_mmd(x + 1e6, y + 1e6, 1.0),
        squared_mmd(3 * x, 3 * y, 3.0),
    ):
        torch.testing.assert_close(same, value, rtol=0, atol=1e-9)


def test_float32_samples_and_far_clusters_keep_their_digits() -> None:
    near = torch.tensor([[[1e4], [1e4 + 0.5]]])
    expected = math.exp(-(0.5**2) / 2)
    measured = squared_mmd(near, torch.zeros(1, 2, 1), 1.0)
    assert abs(float(measured) - (expected + 1)) < 1e-12


def test_the_p_value_is_the_rank_among_all_relabellings() -> None:
    """Six points have 20 labellings: the exact p-value is known by enumeration."""
    x = torch.tensor([[[0.0], [0.3], [1.1]]])
    y = torch.tensor([[[2.0], [0.9], [3.5]]])
    pooled = torch.cat([x, y], dim=1)
    values = []
    for chosen in itertools.combinations(range(6), 3):
        rest = [i for i in range(6) if i not in chosen]
        values.append(by_definition(pooled[0, list(chosen)], pooled[0, rest], 1.0))
    exact = sum(v >= by_definition(x[0], y[0], 1.0) - 1e-9 for v in values) / len(values)
    assert 0.05 < exact < 0.5
    outcome = two_sample_test(x, y, 1.0, permutations=20_000, generator=seeded(6))
    assert abs(float(outcome.p_value) - exact) < 0.012


def test_the_level_is_kept_when_both_laws_are_equal() -> None:
    x, y = normals(1_000, 12, 2, seed=7), normals(1_000, 15, 2, seed=8)
    p = two_sample_test(x, y, 1.0, permutations=99, generator=seeded(9)).p_value
    for level in (0.05, 0.2, 0.5):
        share = float((p <= level + 1e-9).double().mean())
        assert abs(share - level) < 4 * math.sqrt(level * (1 - level) / 1_000)


@pytest.mark.parametrize(("mean", "std"), [(1.0, 1.0), (0.0, 2.5)])
def test_a_difference_in_mean_or_spread_is_found(mean: float, std: float) -> None:
    x, y = normals(50, 60, 2, seed=10), normals(50, 60, 2, seed=11, mean=mean, std=std)
    p = two_sample_test(x, y, 1.0, generator=seeded(12)).p_value
    assert float((p <= 0.05).double().mean()) > 0.9


def test_the_least_p_value_is_that_of_the_given_labels() -> None:
    x, y = normals(1, 30, 1, seed=13), normals(1, 30, 1, seed=14, mean=20)
    outcome = two_sample_test(x, y, 1.0, permutations=99, generator=seeded(15))
    assert abs(float(outcome.p_value) - 0.01) < 1e-12
    assert float(outcome.statistic) == pytest.approx(float(squared_mmd(x, y, 1.0)), abs=1e-12)


def test_points_that_are_all_equal_give_no_evidence() -> None:
    same = torch.ones(1, 5, 2)
    outcome = two_sample_test(same, same, 1.0, generator=seeded(16))
    assert abs(float(outcome.statistic)) < 1e-12
    assert float(outcome.p_value) == 1


def test_one_generator_gives_one_result() -> None:
    x, y = normals(2, 10, 1, seed=17), normals(2, 10, 1, seed=18)
    first, second = (two_sample_test(x, y, 1.0, generator=seeded(19)).p_value for _ in range(2))
    assert torch.equal(first, second)


def test_each_run_has_relabellings_of_its_own() -> None:
    """Twenty equal pairs of samples: by one set of relabellings all would have one p-value."""
    x, y = normals(1, 10, 1, seed=17), normals(1, 10, 1, seed=18)
    p = two_sample_test(
        x.expand(20, -1, -1), y.expand(20, -1, -1), 1.0, generator=seeded(20)
    ).p_value
    mean = float(p.mean())
    assert 0.1 < mean < 0.9
    chance = math.sqrt(mean * (1 - mean) / 200)
    assert 0.6 * chance < float(p.std()) < 1.5 * chance


@pytest.mark.parametrize(
    ("x", "y", "name"),
    [
        (torch.zeros(4, 2), torch.zeros(4, 2), "x"),
        (torch.zeros(1, 4, 2), torch.zeros(1, 4, 3), "x"),
        (torch.zeros(2, 4, 2), torch.zeros(1, 4, 2), "x"),
        (torch.zeros(1, 1, 2), torch.zeros(1, 4, 2), "x"),
    ],
)
def test_shapes_that_do_not_fit_are_named(x: Tensor, y: Tensor, name: str) -> None:
    with pytest.raises(ValueError, match=name):
        squared_mmd(x, y, 1.0)
    with pytest.raises(ValueError, match=name):
        two_sample_test(x, y, 1.0)


@pytest.mark.parametrize("bandwidth", [0.0, -1.0, math.nan])
def test_a_bad_bandwidth_is_named(bandwidth: float) -> None:
    with pytest.raises(ValueError, match="bandwidth"):
        squared_mmd(torch.zeros(1, 2, 1), torch.zeros(1, 2, 1), bandwidth)


def test_no_permutations_is_an_error() -> None:
    with pytest.raises(ValueError, match="permutations = 0"):
        two_sample_test(torch.zeros(1, 2, 1), torch.zeros(1, 2, 1), 1.0, permutations=0)
