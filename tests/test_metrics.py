"""Every measure against brute force, another library or a closed form."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats
from sklearn.neighbors import NearestNeighbors
from torch import Generator, Tensor
from torch.distributions import Normal

from gan_course.distributions import GaussianMixture, grid, normal, ring, spiral
from gan_course.metrics import (
    js_of_masses,
    line_masses,
    mean_interval,
    mode_coverage,
    mode_coverage_of_perfect_samples,
    nearest_neighbors,
    proportion_interval,
    sliced_wasserstein,
    squared_mmd,
    two_sample_floor,
    two_sample_test,
)
from gan_course.networks import Ensemble
from gan_course.theory import jensen_shannon


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


#: A ring of unequal modes, few samples, three dimensions: nothing of it is rounded away.
ODD = GaussianMixture(3 * torch.eye(3), 0.2, weights=[6, 3, 1])


@pytest.mark.parametrize(
    ("target", "n"),
    [(ring(), 2500), (grid(), 2500), (ring(), 20), (ODD, 12)],
    ids=["ring", "grid", "few samples", "odd"],
)
def test_perfect_samples_score_what_is_computed(target: GaussianMixture, n: int) -> None:
    runs = 2000 if n < 100 else 400
    expected = mode_coverage_of_perfect_samples(target, n)
    samples = target.sample((runs, n), Generator().manual_seed(0))
    found = mode_coverage(samples, target.modes, float(target.std[0]))
    for name, values in found._asdict().items():
        # Four standard errors, and float32's last digits where there is no spread.
        error = 4 * float(values.double().std()) / math.sqrt(runs) + 1e-6
        assert float(values.double().mean()) == pytest.approx(
            float(getattr(expected, name)), abs=error
        ), name


@pytest.mark.parametrize(("target", "floor"), [(ring(), 0.0014), (grid(), 0.0048)])
def test_the_floor_of_the_published_protocol(target: GaussianMixture, floor: float) -> None:
    perfect = mode_coverage_of_perfect_samples(target, 2500)
    assert float(perfect.high_quality) == pytest.approx(1 - math.exp(-4.5), abs=1e-12)
    assert round(float(perfect.reverse_kl), 4) == floor
    assert float(perfect.reverse_kl) == pytest.approx((len(target.modes) - 1) / 5000, rel=0.01)


def test_one_sample_is_in_one_mode() -> None:
    perfect = mode_coverage_of_perfect_samples(ring(), 1)
    assert float(perfect.modes) == pytest.approx(float(perfect.high_quality))
    assert float(perfect.reverse_kl) == pytest.approx(math.log(8))


@pytest.mark.parametrize(
    ("target", "samples", "message"),
    [
        (ring(), 0, "samples = 0"),
        (ring(std=0.2), 10, "0.765 apart"),
        (spiral(), 10, "modes of one width"),
        (GaussianMixture([0.0, 9.0], [0.1, 0.2]), 10, r"std = \[0.1"),
    ],
)
def test_there_is_no_ceiling_where_modes_are_not_apart(
    target: GaussianMixture, samples: int, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        mode_coverage_of_perfect_samples(target, samples)


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


def test_the_histogram_may_be_that_of_the_good_samples_alone() -> None:
    """Three of the first mode, one good and one bad of the second: 3 : 2, or 3 : 1."""
    centers = torch.tensor([[0.0, 0.0], [10.0, 0.0]])
    x = torch.tensor([[[0.0, 0.0]] * 3 + [[10.0, 0.0], [8.0, 0.0]]])
    for histogram, share in (("all", 0.6), ("high quality", 0.75)):
        entropy = -share * math.log(share) - (1 - share) * math.log(1 - share)
        found = mode_coverage(x, centers, 0.1, histogram=histogram).reverse_kl.item()
        assert found == pytest.approx(math.log(2) - entropy, abs=1e-6)
    assert mode_coverage(x[:, 4:], centers, 0.1, histogram="high quality").reverse_kl.isnan().all()
    with pytest.raises(ValueError, match="histogram = 'good': choose"):
        mode_coverage(x, centers, 0.1, histogram="good")


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


def normals(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize(("n", "m"), [(1, 1), (50, 50), (50, 30), (7, 100), (6, 4)])
def test_sliced_wasserstein_is_scipys_on_a_line(n: int, m: int) -> None:
    x, y = normals(3, n, 1), 0.5 + 2 * normals(3, m, 1, seed=1)
    expected = [
        stats.wasserstein_distance(a.flatten(), b.flatten()) for a, b in zip(x, y, strict=True)
    ]
    np.testing.assert_allclose(sliced_wasserstein(x, y, 1).numpy(), expected, rtol=1e-12)


def test_sliced_wasserstein_is_the_mean_of_scipys_over_directions() -> None:
    x, y = normals(2, 40, 3), 1 + normals(2, 60, 3, seed=1)
    found = sliced_wasserstein(x, y, 5, generator=Generator().manual_seed(4))
    directions = normals(3, 5, seed=4)
    directions = directions / directions.square().sum(dim=0).sqrt()
    for run in range(2):
        each = [
            stats.wasserstein_distance(x[run] @ direction, y[run] @ direction)
            for direction in directions.T
        ]
        assert float(found[run]) == pytest.approx(np.mean(each), rel=1e-12)


@pytest.mark.parametrize(("dim", "cosine"), [(1, 1), (2, 2 / math.pi), (5, 3 / 8)])
def test_a_shift_costs_its_closed_form(dim: int, cosine: float) -> None:
    """|t| E|cos| for p = 1, where E|cos| = Γ(d/2) / (√π Γ((d + 1)/2)); |t| / √d for p = 2."""
    x, shift = normals(1, 20, dim), 3 * torch.ones(dim, dtype=torch.float64) / math.sqrt(dim)
    for p, expected in {1: 3 * cosine, 2: 3 / math.sqrt(dim)}.items():
        found = sliced_wasserstein(x, x + shift, 20_000, p, Generator().manual_seed(0))
        # The standard error of |cos| over 20,000 directions is below 0.0025.
        assert float(found[0]) == pytest.approx(expected, abs=0.03), p


def test_sliced_wasserstein_of_a_sample_with_itself_is_zero_in_any_order() -> None:
    x = normals(2, 30, 2)
    assert sliced_wasserstein(x, x.flip(1)).abs().max() < 1e-15


@pytest.mark.parametrize(
    ("x", "y", "options", "message"),
    [
        ((1, 5, 2), (1, 5, 3), {}, r"x \(1, 5, 2\), y \(1, 5, 3\)"),
        ((5, 2), (5, 2), {}, r"expected \(runs, samples, dim\)"),
        ((1, 0, 2), (1, 5, 2), {}, "at least 1 of each"),
        ((1, 5, 2), (1, 5, 2), {"projections": 0}, "projections = 0"),
        ((1, 5, 2), (1, 5, 2), {"p": 0.5}, "p = 0.5"),
    ],
)
def test_sliced_wasserstein_names_bad_arguments(
    x: tuple[int, ...], y: tuple[int, ...], options: dict[str, float], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        sliced_wasserstein(torch.zeros(x), torch.zeros(y), **options)


def test_the_floor_of_sliced_wasserstein_falls_with_the_root_of_the_samples() -> None:
    distance = partial(sliced_wasserstein, projections=40)
    floors = [
        two_sample_floor(distance, normal(2), n, 100, Generator().manual_seed(n)).mean()
        for n in (40, 360)
    ]
    assert 0 < float(floors[1]) < float(floors[0])
    assert float(floors[0] / floors[1]) == pytest.approx(3, rel=0.12)


def test_the_floor_of_mmd_is_zero_on_average() -> None:
    distance = partial(squared_mmd, bandwidth=0.5)
    floor = two_sample_floor(distance, ring(), 40, 400, Generator().manual_seed(0))
    assert floor.shape == (400,)
    assert abs(float(floor.mean())) < 4 * float(floor.std()) / math.sqrt(400)
    assert float(floor.std()) > 1e-3  # two samples, not one taken twice


def test_a_mean_interval_is_the_t_tests() -> None:
    values = normals(3, 12)
    found = mean_interval(values, 0.9)
    for run, row in enumerate(values.numpy()):
        reference = stats.ttest_1samp(row, 0).confidence_interval(0.9)
        assert found.estimate[run] == pytest.approx(row.mean())
        assert (found.low[run], found.high[run]) == pytest.approx(tuple(reference))
    assert found.half.tolist() == pytest.approx(((found.high - found.low) / 2).tolist())


def test_equal_values_have_an_interval_without_width() -> None:
    assert tuple(mean_interval([8, 8, 8])) == (8, 8, 8)


def test_a_mean_interval_covers_95_percent_of_the_time() -> None:
    interval = mean_interval(normals(4000, 6))
    covered = np.mean((interval.low <= 0) & (interval.high >= 0))
    assert covered == pytest.approx(0.95, abs=0.014)  # four standard errors


def test_a_proportions_interval_is_wilsons_formula() -> None:
    z, n, share = stats.norm.ppf(0.975), 32, 25 / 32
    middle = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * math.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    found = proportion_interval(25, 32)
    assert found.estimate == share
    assert (found.low, found.high) == pytest.approx((middle - half, middle + half))
    assert found.half == pytest.approx(half)


def test_no_failure_among_a_few_is_not_certainty() -> None:
    low, high = proportion_interval(0, 32)[1:]
    assert low == pytest.approx(0, abs=1e-12)
    assert 0.1 < high < 0.12


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda: mean_interval([1.0]), r"values has shape \(1,\)"),
        (lambda: mean_interval(1.0), "at least 2 runs"),
        (lambda: proportion_interval(5, 4), "successes = 5: must be"),
        (lambda: proportion_interval(-1, 4), "successes = -1"),
        (lambda: proportion_interval(0, 0), "runs = 0"),
    ],
)
def test_an_interval_names_bad_arguments(ask: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ask()


NAN = torch.full((1, 20, 2), torch.nan)


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda: two_sample_test(NAN, torch.randn(1, 20, 2), 0.5), r"x = nan at \[0, 0, 0\]"),
        (lambda: squared_mmd(torch.randn(1, 20, 2), NAN, 0.5), "y = nan"),
        (lambda: squared_mmd(torch.zeros(1, 3, 2), torch.zeros(1, 3, 2), math.inf), "bandwidth ="),
        (lambda: sliced_wasserstein(NAN, NAN), "x = nan"),
        (lambda: sliced_wasserstein(torch.zeros(1, 3, 2), torch.zeros(1, 3, 2), True), "= True"),
        (lambda: sliced_wasserstein(torch.zeros(0, 3, 2), torch.zeros(0, 3, 2)), "no runs"),
        (lambda: mode_coverage(torch.empty(1, 0, 2), ring().centers, 0.01), "at least 1 of each"),
        (lambda: mode_coverage(torch.zeros(1, 3, 2), ring().centers, math.inf), "std = inf"),
        (lambda: nearest_neighbors(torch.zeros(3, 2), torch.zeros(0, 2)), "data has shape"),
        (lambda: nearest_neighbors(torch.zeros(3, 2), torch.zeros(4, 3)), "the same shape"),
        (lambda: mode_coverage_of_perfect_samples(ring(), 2.5), r"samples = 2\.5"),
        (lambda: mode_coverage_of_perfect_samples(ring(), 10**12), "at most 1000000"),
        (lambda: two_sample_floor(sliced_wasserstein, ring(), 10, True), "runs = True"),
        (lambda: mean_interval([1.0, 2.0, 3.0], 95), "confidence = 95"),
        (lambda: mean_interval([1.0, math.nan]), "values = .*finite"),
        (lambda: mean_interval([None, "a"]), "values = .*must be numbers"),
        (lambda: mean_interval(torch.empty(0, 3)), r"values has shape \(0, 3\)"),
        (lambda: proportion_interval(3.7, 10), r"successes = 3\.7"),
        (lambda: proportion_interval(3, 10, 1.0), r"confidence = 1\.0"),
        (lambda: proportion_interval(True, 10), "successes = True"),
    ],
)
def test_nonsense_is_refused(ask: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ask()


def test_distances_do_not_depend_on_the_unit() -> None:
    x, y = normals(2, 30, 2), 1 + normals(2, 20, 2, seed=1)
    for unit in (1e-160, 1e150):
        for p in (1, 3):
            ours = [
                sliced_wasserstein(a * x, a * y, 20, p, Generator().manual_seed(0)) / a
                for a in (1.0, unit)
            ]
            torch.testing.assert_close(*ours)
        ours = [squared_mmd(a * x, a * y, 0.7 * a) for a in (1.0, unit)]
        torch.testing.assert_close(*ours)


# --- Exact laws on the line ---------------------------------------------------------------

EDGES = np.linspace(-30, 30, 20_001)


def test_the_law_of_a_linear_generator_is_the_normal():
    found = line_masses(lambda z: 3 * z - 1, EDGES)
    assert found.shape == (1, 20_000)
    expected = np.diff(stats.norm.cdf(EDGES, loc=-1, scale=3))
    np.testing.assert_allclose(found[0], expected, atol=1e-6)
    assert found.sum().item() == pytest.approx(1, abs=1e-6)


def test_a_fold_doubles_and_a_flat_piece_is_a_spike():
    (folded,) = line_masses(torch.Tensor.abs, EDGES)
    expected = 2 * np.diff(stats.norm.cdf(EDGES)) * (EDGES[1:] > 1e-9)
    np.testing.assert_allclose(folded, expected, atol=1e-6)
    (spiked,) = line_masses(lambda z: z.clamp(min=0) + 1e-4, EDGES)
    assert spiked.max().item() == pytest.approx(0.5 + 0.0012, abs=2e-3)


def test_every_run_of_an_ensemble_has_its_law():
    torch.manual_seed(0)
    nets = Ensemble(lambda: torch.nn.Linear(1, 1), 3)
    found = line_masses(nets, EDGES)
    assert found.shape == (3, 20_000)
    samples = nets(torch.randn(3, 200_000, 1)).squeeze(-1).detach().numpy()
    for law, x in zip(found, samples, strict=True):
        share = np.histogram(x, EDGES[::200])[0] / len(x)
        np.testing.assert_allclose(law.reshape(-1, 200).sum(dim=1), share, atol=5e-3)


def test_js_of_masses_is_the_js_of_quadrature():
    laws = [stats.norm(0, 1), stats.norm(1, 2)]
    p, q = (torch.from_numpy(np.diff(law.cdf(EDGES))) for law in laws)
    expected = jensen_shannon(Normal(0.0, 1.0), Normal(1.0, 2.0))
    assert js_of_masses(p, q).item() == pytest.approx(expected, abs=1e-6)
    assert js_of_masses(p, p).item() == 0
    apart = torch.eye(2).double()
    assert js_of_masses(apart[0], apart[1]).item() == pytest.approx(math.log(2))
    assert js_of_masses(p, torch.stack([q, p])).shape == (2,)


@pytest.mark.parametrize("edges", [[0.0], [0.0, 0.0], [1.0, 0.0], [[0.0, 1.0]], [0.0, math.nan]])
def test_edges_that_do_not_increase_are_named(edges: Any):
    with pytest.raises(ValueError, match="edges"):
        line_masses(torch.Tensor.abs, edges)


def test_a_generator_without_a_law_is_named():
    with pytest.raises(ValueError, match="generator"):
        line_masses(lambda z: z / 0, EDGES)
    with pytest.raises(ValueError, match="generator"):
        line_masses(lambda z: z.squeeze(-1), EDGES)
    with pytest.raises(ValueError, match="q has masses"):
        js_of_masses(torch.tensor([0.5, 0.5]), torch.tensor([0.5, 0.4]))
    with pytest.raises(ValueError, match="p has masses"):
        js_of_masses(torch.tensor([1.5, -0.5]), torch.tensor([0.5, 0.5]))
