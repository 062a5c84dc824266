"""Targets and priors: their density is the law that their samples follow."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from scipy import integrate, stats
from torch import Generator, Tensor

from gan_course.distributions import (
    PRIORS,
    TARGETS,
    Empirical,
    GaussianMixture,
    Labelled,
    Source,
    Uniform,
    codebook,
    drawn,
    grid,
    normal,
    pushforward_density,
    ring,
    uniform,
)
from gan_course.images import Stacked

STROKE = [[0.0, 0.0], [0.4, 0.1], [0.7, 0.5], [0.8, 1.0], [0.75, 1.4]]
LINES: dict[str, GaussianMixture] = {
    "normal": normal(1),
    "two modes": GaussianMixture([-2.0, 2.0], 0.5),
    "uneven": GaussianMixture([-1.0, 0.0, 3.0], [0.2, 1.0, 0.5], weights=[1, 2, 5]),
}
PLANES: dict[str, GaussianMixture] = {name: make() for name, make in TARGETS.items()} | {
    "normal": normal(2),
    "uneven": GaussianMixture([[0, 0], [2, 1]], [0.3, 0.6], weights=[0.8, 0.2]),
    "drawn": drawn(STROKE),
}
MIXTURES = {f"{name} 1-D": m for name, m in LINES.items()} | PLANES
SOURCES: dict[str, Source] = {
    **MIXTURES,
    "uniform": uniform(2),
    "empirical": Empirical(torch.arange(24.0).reshape(4, 2, 3)),
}


def seeded(seed: int = 0) -> Generator:
    return Generator().manual_seed(seed)


def numpy_density(mixture: GaussianMixture, x: np.ndarray) -> np.ndarray:
    """The mixture's density written out with SciPy, ``(points, dim)`` to ``(points,)``."""
    return sum(
        weight * stats.multivariate_normal(center, std**2 * np.eye(len(center))).pdf(x)
        for weight, center, std in components(mixture)
    )


def components(mixture: GaussianMixture) -> list[tuple[float, np.ndarray, float]]:
    weights, centers, stds = (
        t.double().numpy() for t in (mixture.weights, mixture.centers, mixture.std)
    )
    return list(zip(weights, centers, stds, strict=True))


def mesh(window: tuple[float, float], step: float) -> tuple[Tensor, float]:
    axis = torch.linspace(*window, int((window[1] - window[0]) / step) + 2)
    return torch.cartesian_prod(axis, axis), float(axis[1] - axis[0]) ** 2


@pytest.mark.parametrize("name", LINES)
def test_line_density_has_mass_one_in_its_window(name: str) -> None:
    line = LINES[name]
    mass, _ = integrate.quad(
        lambda x: float(line.log_prob(torch.tensor([x])).exp()), *line.window, limit=200
    )
    assert mass == pytest.approx(1, abs=2e-4)


@pytest.mark.parametrize("name", PLANES)
def test_plane_density_has_mass_one_in_its_window(name: str) -> None:
    plane = PLANES[name]
    points, area = mesh(plane.window, float(plane.std.min()))
    assert float(plane.log_prob(points).exp().sum()) * area == pytest.approx(1, abs=3e-4)


@pytest.mark.parametrize("name", MIXTURES)
def test_log_prob_is_scipys(name: str) -> None:
    mixture = MIXTURES[name]
    x = mixture.sample((200,), seeded())
    expected = np.log(numpy_density(mixture, x.double().numpy()))
    torch.testing.assert_close(
        mixture.log_prob(x).double(), torch.as_tensor(expected), atol=1e-3, rtol=1e-4
    )


def test_one_dimensional_density_takes_plain_numbers() -> None:
    x = torch.linspace(-3, 3, 7)
    mixture = LINES["two modes"]
    assert mixture.density.event_shape == ()
    torch.testing.assert_close(mixture.density.log_prob(x), mixture.log_prob(x.unsqueeze(-1)))
    assert Uniform(0.0, 2.0).density.log_prob(torch.tensor(1.0)).exp() == pytest.approx(0.5)


@pytest.mark.parametrize("name", MIXTURES)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_samples_follow_the_density_along_a_random_direction(name: str, seed: int) -> None:
    """A mixture seen along a direction is a mixture again: its CDF is exact."""
    mixture = MIXTURES[name]
    direction = np.random.default_rng(seed).normal(size=mixture.event_shape[0])
    direction /= np.linalg.norm(direction)
    samples = mixture.sample((4000,), seeded(seed)).double().numpy() @ direction

    def cdf(x: np.ndarray) -> np.ndarray:
        return sum(w * stats.norm(c @ direction, s).cdf(x) for w, c, s in components(mixture))

    assert stats.kstest(samples, cdf).pvalue > 1e-3


@pytest.mark.parametrize("name", ["uneven", "grid", "two moons"])
def test_samples_have_the_moments_of_the_mixture(name: str) -> None:
    mixture = PLANES[name]
    samples = mixture.sample((40_000,), seeded()).double()
    weights, centers = mixture.weights.double(), mixture.centers.double()
    mean = weights @ centers
    spread = (centers - mean).T * weights @ (centers - mean)
    covariance = spread + (weights * mixture.std.double() ** 2).sum() * torch.eye(2)
    scale = float(covariance.diagonal().max())
    torch.testing.assert_close(samples.mean(0), mean, rtol=0, atol=0.03 * scale**0.5)
    torch.testing.assert_close(samples.T.cov(), covariance, rtol=0, atol=0.03 * scale)


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_uniform_is_scipys(dim: int) -> None:
    low, high = torch.arange(dim) - 1.0, torch.arange(dim) + 1.0
    box = Uniform(low, high)
    samples = box.sample((2000,), seeded())
    assert samples.shape == (2000, dim)
    for axis in range(dim):
        law = stats.uniform(float(low[axis]), 2.0)
        assert stats.kstest(samples[:, axis].double().numpy(), law.cdf).pvalue > 1e-3
    torch.testing.assert_close(
        box.log_prob(samples), torch.full((2000,), -dim * np.log(2.0)).float()
    )
    assert torch.equal(box.log_prob(samples + 3), torch.full((2000,), -torch.inf))


def test_ring_has_eight_distinct_modes_evenly_spaced() -> None:
    target = ring()
    modes = target.modes.double()
    angles = torch.atan2(modes[:, 1], modes[:, 0]).sort().values
    torch.testing.assert_close(modes.norm(dim=1), torch.ones(8).double(), rtol=0, atol=1e-6)
    gaps = torch.cat([angles, angles[:1] + 2 * np.pi]).diff()
    torch.testing.assert_close(gaps, torch.full((8,), np.pi / 4).double(), rtol=0, atol=1e-6)
    assert target.std.unique().item() == pytest.approx(0.01)


def test_grid_has_pacgans_centres() -> None:
    expected = {(x, y) for x in (-4, -2, 0, 2, 4) for y in (-4, -2, 0, 2, 4)}
    assert {tuple(center) for center in grid().modes.tolist()} == expected
    assert grid().std.unique().item() == pytest.approx(0.05)
    assert sorted(grid(2, 3.0).modes[:, 0].tolist()) == [-1.5, -1.5, 1.5, 1.5]


@pytest.mark.parametrize("name", ["two moons", "spiral"])
def test_a_curve_has_no_modes_to_count(name: str) -> None:
    assert TARGETS[name]().modes is None


def test_moons_are_one_another_turned() -> None:
    x = torch.randn(50, 2, generator=seeded())
    moons = TARGETS["two moons"]()
    torch.testing.assert_close(moons.log_prob(x), moons.log_prob(-x))


def test_drawn_is_scipys_kernel_density_with_scotts_width() -> None:
    points = torch.tensor(STROKE)
    target = drawn(points)
    width = len(points) ** (-1 / 6) * points.std(dim=0).mean()
    assert target.std.unique().item() == pytest.approx(float(width), rel=1e-6)
    assert drawn(points, std=0.3).std.unique().item() == pytest.approx(0.3)
    assert drawn([[1.0, 1.0], [1.0, 1.0]]).std.min() > 0  # a pointer that did not move


@pytest.mark.parametrize("name", SOURCES)
def test_sampling_repeats_and_leaves_the_global_state_alone(name: str) -> None:
    source, before = SOURCES[name], torch.get_rng_state()
    first, again = (source.sample((3, 5), seeded(7)) for _ in range(2))
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(first, again)
    assert first.shape == (3, 5, *source.event_shape)
    assert source.sample((), seeded()).shape == source.event_shape
    assert not torch.equal(first, source.sample((3, 5), seeded(8)))


@pytest.mark.parametrize("name", SOURCES)
def test_moving_to_a_device_keeps_the_law(name: str) -> None:
    source = SOURCES[name]
    moved = source.to("cpu")
    assert type(moved) is type(source)
    assert torch.equal(moved.sample((4,), seeded()), source.sample((4,), seeded()))
    if isinstance(source, GaussianMixture):
        assert (moved.modes is None) == (source.modes is None)
        torch.testing.assert_close(moved.weights, source.weights)


@pytest.mark.parametrize(
    "source",
    [
        Empirical(torch.zeros(4, 2)),
        Labelled(torch.zeros(4, 2), torch.arange(4)),
        Stacked(torch.zeros(4, 1, 2, 2), torch.arange(4), labelled=True),
    ],
)
def test_all_of_a_data_set_moves_to_a_device(source: Any) -> None:
    """On a device that holds no numbers, so that any machine has it."""
    moved = source.to("meta")
    for there, device in ((moved, "meta"), (source, "cpu")):
        drawn = getattr(there, "single", there).sample((3,))  # three of them are a stack
        parts = drawn if isinstance(drawn, tuple) else (drawn,)
        assert [part.device.type for part in parts] == [device] * len(parts)


def test_a_window_has_its_margins() -> None:
    assert ring(std=0.05).window == pytest.approx((-1.5, 1.5))  # 4 · 0.05 + 0.15 · 2
    assert Uniform([0.0, -1.0], [1.0, 3.0]).window == pytest.approx((-2, 4))


def test_the_codes_are_those_of_seed_0() -> None:
    codes = torch.randn(9, 3, generator=seeded(0)).double()
    codes = (codes - codes.mean(dim=0)) / codes.std(dim=0, correction=0)
    found = codebook(3, 9, 0.6).centers.double()
    torch.testing.assert_close(found, 0.8 * codes, atol=1e-6, rtol=0)


def test_empirical_draws_its_own_rows_evenly() -> None:
    data = torch.arange(12.0).reshape(6, 2)
    draws = Empirical(data).sample((6000,), seeded())
    rows, counts = draws.unique(dim=0, return_counts=True)
    assert torch.equal(rows, data)
    assert stats.chisquare(counts.numpy()).pvalue > 1e-3


@pytest.mark.parametrize("name", PRIORS)
@pytest.mark.parametrize("dim", [1, 2, 5])
def test_priors_are_standard(name: str, dim: int) -> None:
    z = PRIORS[name](dim).sample((5000,), seeded())
    variance = {"normal": 1.0, "uniform": 1 / 3, "codebook": 1.0}[name]
    torch.testing.assert_close(z.mean(0), torch.zeros(dim), rtol=0, atol=0.06)
    torch.testing.assert_close(z.var(0), torch.full((dim,), variance), rtol=0.08, atol=0)


def test_a_codebook_has_gaps_of_many_widths() -> None:
    prior = codebook()
    gaps = torch.cdist(prior.centers, prior.centers).fill_diagonal_(math.inf).min(dim=1).values
    radius = prior.std * math.sqrt(prior.event_shape[0])  # where nearly all of a code's mass lies
    assert prior.centers.shape == (256, 64)
    assert bool((gaps > 10 * radius).all())


BAD: dict[str, tuple[Callable[[], object], str]] = {
    "one code": (lambda: codebook(2, codes=1), r"codes = 1: must be a whole number, at least 2"),
    "codes without gaps": (lambda: codebook(2, std=1.0), r"std = 1.0: must be a finite number"),
    "centers 3-D": (lambda: GaussianMixture(torch.zeros(2, 2, 2), 1.0), r"centers .*\(2, 2, 2\)"),
    "centers empty": (lambda: GaussianMixture(torch.zeros(0, 2), 1.0), r"centers .*\(0, 2\)"),
    "std zero": (lambda: ring(std=0.0), r"std = 0.0: must be positive"),
    "std negative": (lambda: drawn(STROKE, std=-1.0), r"std = -1"),
    "std nan": (lambda: GaussianMixture([0.0], float("nan")), r"std = nan"),
    "std count": (lambda: GaussianMixture([0.0], [1.0, 1.0]), r"std has shape \(2,\)"),
    "weights count": (lambda: GaussianMixture([0.0], 1.0, weights=[1, 2]), r"weights has shape"),
    "weights sign": (lambda: GaussianMixture([0.0, 1.0], 1.0, weights=[1, -2]), r"weights = \[1"),
    "corners": (lambda: Uniform(1.0, 0.0), r"high = \[0.0\]: must be above low = \[1.0\]"),
    "corner shapes": (lambda: Uniform([0.0], [1.0, 2.0]), r"low has shape \(1,\)"),
    "no data": (lambda: Empirical(torch.empty(0, 2)), r"data has shape \(0, 2\)"),
    "labels true": (
        lambda: Labelled(torch.zeros(2, 2), torch.tensor([True, False])),
        r"labels has shape \(2,\) and dtype torch.bool: expected \(2,\), whole numbers",
    ),
    "flat data": (lambda: Empirical(torch.zeros(3)), r"data has shape \(3,\)"),
    "ring": (lambda: ring(modes=0), r"modes = 0"),
    "grid": (lambda: grid(side=0), r"side = 0"),
    "half a mode": (lambda: ring(8.5), r"modes = 8\.5: must be a whole number"),
    "half a side": (lambda: grid(2.5), r"side = 2\.5: must be a whole number"),
    "radius nan": (lambda: ring(radius=math.nan), "radius = nan"),
    "std inf": (lambda: ring(std=math.inf), "std = inf"),
    "std beyond float32": (lambda: ring(std=1e50), "std = inf"),
    "turns nan": (lambda: TARGETS["spiral"](turns=math.nan), "turns = nan"),
    "spacing inf": (lambda: grid(spacing=math.inf), "spacing = inf"),
    "centers nan": (lambda: GaussianMixture([0.0, math.nan], 1.0), r"centers = nan at \[1\]"),
    "std true": (lambda: GaussianMixture([0.0], True), "std = True"),
    "modal word": (lambda: GaussianMixture([0.0], 1.0, modal="no"), "modal = 'no'"),
    "corner inf": (lambda: Uniform(0.0, math.inf), "high = inf"),
    "too wide": (lambda: Uniform(-3e38, 3e38), "high = "),
    "dim true": (lambda: normal(True), "dim = True"),
    "no dim": (lambda: uniform(0), "dim = 0"),
    "shape a number": (lambda: normal(2).sample(5), "shape = 5: must be a sequence"),
    "shape negative": (lambda: normal(2).sample((-1,)), "shape = -1"),
    "x too wide": (lambda: normal(2).log_prob(torch.zeros(3)), r"x has shape \(3,\): expected"),
    "one point": (lambda: drawn([[0.0, 0.0]]), r"points has shape \(1, 2\)"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_arguments_are_named(case: str) -> None:
    make, message = BAD[case]
    with pytest.raises(ValueError, match=message):
        make()


#: Generators of standard normal noise whose samples have a law that SciPy knows.
PUSHED: dict[str, tuple[Callable[[Tensor], Tensor], object]] = {
    "shift and scale": (lambda z: 1 + 0.5 * z, stats.norm(1, 0.5)),
    "mirror": (lambda z: -2 * z, stats.norm(0, 2)),
    "exponential": (lambda z: z.exp(), stats.lognorm(1)),
    "fold": (lambda z: z.abs(), stats.halfnorm()),
    "square": (lambda z: z.square(), stats.chi2(1)),
}


@pytest.mark.parametrize("name", PUSHED)
def test_pushforward_density_is_the_law_of_the_samples(name: str):
    generator, law = PUSHED[name]
    x = torch.linspace(0.3, 2.2, 60)
    found = pushforward_density(generator, normal(1), x)
    np.testing.assert_allclose(found.numpy(), law.pdf(x.numpy()), rtol=0.01)


def test_pushforward_of_a_uniform_stays_inside_its_box():
    x = torch.tensor([-2.5, -1.0, 0.0, 1.5, 2.5])
    found = pushforward_density(lambda z: 2 * z, uniform(1), x)
    np.testing.assert_allclose(found.numpy(), [0, 0.25, 0.25, 0.25, 0], atol=1e-3)


def test_pushforward_keeps_the_tails_of_a_normal_prior() -> None:
    x = torch.tensor([-7.0, -5.0, 4.5, 6.5])
    found = pushforward_density(lambda z: z, normal(1), x)
    np.testing.assert_allclose(found.numpy(), stats.norm.pdf(x.numpy()), rtol=0.02)
    # Taken in the middle of an interval of z, the mass errs by the square of its length at most.
    x = (torch.arange(-6, 7, 2) + 0.5) * 16 / 4000  # middles of the grid's own intervals
    near = torch.cat([x - 6, x, x + 6])
    found = pushforward_density(lambda z: z, normal(1), near)
    np.testing.assert_allclose(found.numpy(), stats.norm.pdf(near.numpy()), rtol=1e-3)


def test_pushforward_needs_a_one_dimensional_prior():
    with pytest.raises(ValueError, match=r"prior has event shape \(2,\): expected \(1,\)"):
        pushforward_density(lambda z: z, normal(2), torch.zeros(1))


def test_a_small_weight_is_not_clamped() -> None:
    mixture = GaussianMixture([0.0, 50.0], 1.0, [1.0, 1e-8])
    found = float(mixture.log_prob(torch.tensor([50.0])))
    assert found == pytest.approx(math.log(1e-8) - math.log(2 * math.pi) / 2, abs=1e-4)


def test_the_constants_of_targets_and_priors() -> None:
    """What a picture would hardly show, and every published number depends on."""
    assert ring().modes[0].tolist() == [1.0, 0.0]
    assert torch.equal(uniform(3).low, -torch.ones(3))
    assert torch.equal(uniform(3).high, torch.ones(3))
    assert (normal(3).centers.tolist(), normal(3).std.tolist()) == ([[0.0] * 3], [1.0])
    moons = TARGETS["two moons"]()
    assert float(moons.std[0]) == pytest.approx(0.08)
    upper = moons.centers[:60].double()
    torch.testing.assert_close(
        (upper - torch.tensor([-0.5, -0.25])).norm(dim=1),
        torch.ones(60).double(),
        atol=1e-6,
        rtol=0,
    )
    assert upper[0].tolist() == pytest.approx([0.5, -0.25])
    assert upper[-1].tolist() == pytest.approx([-1.5, -0.25])
    spiral = TARGETS["spiral"]()
    assert float(spiral.std[0]) == pytest.approx(0.05)
    assert spiral.centers[-1].tolist() == pytest.approx([-1.0, 0.0], abs=1e-6)  # 1.5 turns
    radius = spiral.centers.double().norm(dim=1)
    angle = 3 * math.pi * radius
    torch.testing.assert_close(
        spiral.centers.double(),
        torch.stack([radius * angle.cos(), radius * angle.sin()], dim=1),
        atol=1e-6,
        rtol=0,
    )
    assert radius[0].item() == pytest.approx(math.sqrt(0.02), abs=1e-6)
    assert codebook().std.unique().item() == pytest.approx(0.02)
    assert ring(5, 2.0, 0.3).modes[1].tolist() == pytest.approx(
        [2 * math.cos(0.4 * math.pi), 2 * math.sin(0.4 * math.pi)]
    )
