"""Where the mass is, and what must not be trusted: infinities, supports, clamps."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.distributions import (
    AffineTransform,
    Bernoulli,
    Beta,
    Categorical,
    Chi2,
    Dirichlet,
    Exponential,
    ExpTransform,
    Gamma,
    Gumbel,
    Independent,
    Kumaraswamy,
    Laplace,
    LogisticNormal,
    LogNormal,
    MixtureSameFamily,
    MultivariateNormal,
    Normal,
    Poisson,
    SigmoidTransform,
    TransformedDistribution,
    Uniform,
    VonMises,
    Weibull,
)
from torch.distributions import kl_divergence as torchs

from gan_course import theory
from gan_course.distributions import GaussianMixture
from gan_course.quadrature import IntegrationError

U, N, ARCSINE = Uniform(0.0, 1.0), Normal(0.0, 1.0), Beta(0.5, 0.5)
EULER = 0.5772156649015329


def moved(base: Any, shift: float, scale: float = 1.0) -> TransformedDistribution:
    return TransformedDistribution(base, AffineTransform(shift, scale))


def boxes(*ends: tuple[float, float]) -> MixtureSameFamily:
    low, high = torch.tensor(ends).T
    parts = Uniform(low, high, validate_args=False)
    return MixtureSameFamily(Categorical(torch.ones(len(ends))), parts, validate_args=False)


class Own:
    """An object of a user's, with a log density and hints."""

    def __init__(self, log_prob: Callable[[Tensor], Tensor], **hints: object) -> None:
        self.log_prob = log_prob
        vars(self).update(hints)


#: KL(p‖q) that torch knows, or that one finds with a pencil.
KL: dict[str, tuple[Any, Any, float]] = {
    "arcsine from uniform": (U, ARCSINE, math.log(math.pi) - 1),
    "a singular end at 0": (Gamma(0.3, 1.0), Gamma(0.5, 1.0), math.nan),
    "two singular ends": (Beta(0.7, 0.7), Beta(2.0, 2.0), math.nan),
    "chi squared": (Chi2(1.0), Chi2(3.0), math.nan),
    "kumaraswamy": (Kumaraswamy(0.5, 1.0), U, 1 - math.log(2)),
    "weibull": (Weibull(1.0, 0.5), Exponential(1.0), math.log(0.5) + EULER + 1),
    "moved uniform": (moved(U, 1.0), Uniform(1.0, 2.0), 0.0),
    "moved uniform, swapped": (Uniform(1.0, 2.0), moved(U, 1.0), 0.0),
    "moved out": (moved(U, 1.1), Uniform(1.0, 2.0), math.inf),
    "mirrored": (moved(Exponential(1.0), 0.0, -1.0), moved(Exponential(2.0), 0.0, -1.0), None),
    "a chain": (
        TransformedDistribution(N, [ExpTransform(), AffineTransform(1.0, 2.0)]),
        moved(LogNormal(1.0, 1.0), 1.0, 2.0),
        0.5,
    ),
    "gumbel": (Gumbel(0.0, 1.0), N, None),
    "turns": (VonMises(0.0, 1.0), Uniform(-math.pi, math.pi), 0.21047566),
    "logistic normal": (
        TransformedDistribution(N, SigmoidTransform()),
        TransformedDistribution(Normal(1.0, 1.0), SigmoidTransform()),
        0.5,
    ),
    "a small weight": (GaussianMixture([0.0, 50.0], 1.0, [1.0, 1e-8]), N, None),
    "a hole": (Uniform(0.0, 3.0), boxes((0.0, 1.0), (2.0, 3.0)), math.inf),
    "no hole": (boxes((0.0, 1.0), (2.0, 3.0)), Uniform(0.0, 3.0), math.log(1.5)),
    "in the plane": (
        MultivariateNormal(torch.zeros(2), torch.tensor([[1.0, 0.3], [0.3, 0.7]])),
        MultivariateNormal(torch.zeros(2), torch.tensor([[1.0, 0.1], [0.1, 0.4]])),
        math.nan,
    ),
    "a moved square": (
        Independent(moved(Uniform(torch.zeros(2), 1.0), 1.0), 1),
        Independent(Uniform(torch.ones(2), 2.0), 1),
        0.0,
    ),
}
KL["mirrored"] = (*KL["mirrored"][:2], 1 - math.log(2))
KL["gumbel"] = (
    *KL["gumbel"][:2],
    -(1 + EULER) + math.log(2 * math.pi) / 2 + (math.pi**2 / 6 + EULER**2) / 2,
)
# 1e-8 · (log 1e-8 + 50²/2) − 1e-8: what the far part costs, beside the loss of the near one.
KL["a small weight"] = (
    *KL["a small weight"][:2],
    1e-8 * (math.log(1e-8) + 1250) + (1 - 1e-8) * math.log1p(-1e-8),
)


@pytest.mark.slow
@pytest.mark.parametrize("name", KL)
def test_kl_of_awkward_laws(name: str):
    p, q, expected = KL[name]
    if expected is not None and math.isnan(expected):
        expected = float(torchs(p, q))  # float32
    assert theory.kl_divergence(p, q) == pytest.approx(expected, abs=3e-7, rel=3e-6)
    if name == "a small weight":
        assert theory.kl_divergence(p, q) == pytest.approx(1.23058e-5, rel=1e-4)


@pytest.mark.parametrize("shift", [0.0, 5.0, -1000.0])
def test_no_jensen_shannon_is_above_log_two(shift: float):
    """∫ ½ p log(2p/(p + q)) + … with x = sin²(πu/2), in which the arcsine law is uniform."""
    u = (torch.arange(20_000, dtype=torch.float64) + 0.5) / 20_000
    p = 1 / (math.pi * (torch.sin(math.pi * u / 2) * torch.cos(math.pi * u / 2)))
    terms = (p * (2 * p / (p + 1)).log() + (2 / (p + 1)).log()) / p / 2
    found = theory.jensen_shannon(moved(ARCSINE, shift), Uniform(shift, shift + 1))
    assert found == pytest.approx(float(terms.mean()), abs=2e-6 if shift < -1 else 1e-7)


@pytest.mark.slow
def test_w1_where_densities_jump_or_are_infinite():
    gap = boxes((0.0, 1.0), (2.0, 3.0))
    assert theory.wasserstein1(gap, Uniform(0.0, 3.0)) == pytest.approx(0.25, abs=1e-8)
    # F of the arcsine law lies above x below ½: 2 ∫ (2/π asin √x − x) over 0 to ½.
    assert theory.wasserstein1(ARCSINE, U) == pytest.approx(1 / math.pi - 0.25, abs=1e-8)
    assert theory.wasserstein1(Gamma(0.3, 1.0), Gamma(0.5, 1.0)) == pytest.approx(0.2, abs=1e-7)


@pytest.mark.slow
def test_an_infinity_at_a_point_is_none_in_the_integral():
    root = Own(lambda x: -x.abs().log() / 2 - math.log(4), support=(-1.0, 1.0))
    assert 0.05 < theory.jensen_shannon(root, Uniform(-1.0, 1.0)) < 0.06
    # x² φ(x): E_N log(φ / (x² φ)) = −E log x² = log 2 + γ.
    zero = Own(
        lambda x: x.square().log() - x.square() / 2 - math.log(2 * math.pi) / 2,
        mean=0.0,
        stddev=math.sqrt(3),
    )
    assert theory.kl_divergence(N, zero) == pytest.approx(math.log(2) + EULER, abs=1e-8)


def test_an_underflow_far_out_is_no_infinity():
    under = Own(lambda x: (torch.exp(-x.square() / 2) / math.sqrt(2 * math.pi)).log())
    laplace = Laplace(0.0, 1.0)
    assert theory.kl_divergence(laplace, under) == pytest.approx(
        theory.kl_divergence(laplace, N), abs=1e-8
    )


@pytest.mark.slow
def test_masses_are_checked_before_an_infinity_is_believed():
    double = Own(lambda x: -x.square() / 2)  # has the mass √(2π)
    with pytest.raises(IntegrationError, match=r"found a mass of 2\.50663 in p"):
        theory.kl_divergence(
            double,
            Own(lambda x: torch.where(x.abs() <= 1, -math.log(2), -math.inf), mean=0.0, stddev=0.5),
        )
    with pytest.raises(IntegrationError, match="found a mass"):
        theory.value(lambda x: (x > 0).double(), N, Own(lambda x: -x.square()))


@pytest.mark.parametrize(
    ("p", "message"),
    [
        (Bernoulli(0.5), "p = Bernoulli.*: must have a density, but it is discrete"),
        (Poisson(3.0), "p = Poisson.*discrete"),
        (moved(Bernoulli(0.5), 1.0), "p = TransformedDistribution.*discrete"),
        (Dirichlet(torch.ones(2)), "p = Dirichlet.*simplex"),
        (LogisticNormal(torch.zeros(1), torch.ones(1)), "p = LogisticNormal.*simplex"),
        (Normal, "p = .*must be a distribution, not its class"),
        (Own(lambda x: None), "p = .*its log_prob fails"),
        (Own(lambda x: torch.zeros(3)), "its log_prob gives 3 values for 2 points"),
        (True, "p = True: must have a log_prob"),
    ],
)
def test_what_has_no_density_is_refused(p: Any, message: str):
    with pytest.raises(ValueError, match=message):
        theory.jensen_shannon(p, N)


@pytest.mark.parametrize(
    ("f", "message"),
    [
        (lambda t: -(t - 1).square(), "must be convex, and is concave near"),
        (torch.log, "f = log: must be convex"),
        (lambda t: torch.sin(t - 1), "must be convex"),
        (lambda t: t, r"f\(1\) must be 0, not 1"),
        (lambda t: torch.full_like(t, math.nan), "must have one value for each ratio"),
        (lambda t: t.sum(), "must have one value for each ratio"),
        (lambda t: None, "f = <lambda>: fails"),
        (3, "f = 3: must be a function"),
    ],
)
def test_what_is_no_divergence_is_refused(f: Any, message: str):
    with pytest.raises(ValueError, match=message):
        theory.f_divergence(f, N, Normal(1.0, 1.0))


def test_the_optimal_discriminator_at_whole_numbers():
    d = theory.optimal_discriminator(N, Normal(1.0, 1.0))
    for x in (torch.tensor([0, 1, 2]), [0, 1, 2]):
        found = d(x)
        assert found.dtype == torch.float32
        assert found.tolist() == pytest.approx([0.6225, 0.3775, 0.1824], abs=1e-4)
    with pytest.raises(ValueError, match=r"x has shape \(3,\): expected"):
        theory.optimal_discriminator(
            GaussianMixture([[0.0, 0.0]], 1.0), GaussianMixture([[1.0, 0.0]], 1.0)
        )(torch.zeros(3))
