"""The theory module against closed forms and mpmath, and the book's facts 1 to 9, 12 and 14."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy.optimize import minimize, minimize_scalar
from torch import Tensor
from torch.distributions import (
    Categorical,
    Cauchy,
    Exponential,
    Independent,
    Laplace,
    LogNormal,
    MixtureSameFamily,
    MultivariateNormal,
    Normal,
    StudentT,
    Uniform,
)

from gan_course import quadrature, theory
from gan_course.distributions import GaussianMixture, grid, normal, ring
from gan_course.distributions import Uniform as Box

LOG2 = math.log(2)
ATOL = 1e-8


def double(value: Any):
    return torch.tensor(value, dtype=torch.float64)


def make(family: Callable[..., Any], *parameters: Any):
    return family(*(double(parameter) for parameter in parameters))


def gauss(mean: float, std: float):
    return make(Normal, mean, std)


def mixture(weights: list[float], means: list[float], stds: list[float]):
    return MixtureSameFamily(
        Categorical(double(weights)), Normal(double(means), double(stds)), validate_args=False
    )


BIMODAL = mixture([0.5, 0.5], [-2.0, 2.0], [0.5, 0.5])
FAR = mixture([0.999, 0.001], [0.0, 300.0], [1.0, 1e-3])
STANDARD = gauss(0.0, 1.0)

# --- KL in both orders against closed forms ---


def kl_gauss(p: Any, q: Any):
    (m, s), (n, t) = ((float(d.loc), float(d.scale)) for d in (p, q))
    return math.log(t / s) + (s**2 + (m - n) ** 2) / (2 * t**2) - 0.5


def kl_laplace(p: Any, q: Any):
    (m, b), (n, c) = ((float(d.loc), float(d.scale)) for d in (p, q))
    gap = abs(m - n)
    return math.log(c / b) + (b * math.exp(-gap / b) + gap) / c - 1


def kl_cauchy(p: Any, q: Any):  # Chyzak & Nielsen 2019
    (m, s), (n, t) = ((float(d.loc), float(d.scale)) for d in (p, q))
    return math.log(((s + t) ** 2 + (m - n) ** 2) / (4 * s * t))


def kl_exponential(p: Any, q: Any):
    a, b = float(p.rate), float(q.rate)
    return math.log(a / b) + b / a - 1


def kl_uniform(p: Any, q: Any):
    inside = q.low <= p.low and p.high <= q.high
    return math.log(float((q.high - q.low) / (p.high - p.low))) if inside else math.inf


CLOSED = {
    "unit shift": (STANDARD, gauss(1.0, 1.0), kl_gauss),
    "unequal scales": (gauss(0.0, 1e-3), gauss(5.0, 1e3), kl_gauss),
    "far apart": (gauss(-40.0, 1.0), gauss(40.0, 2.0), kl_gauss),
    "narrow and far": (STANDARD, gauss(100.0, 1e-3), kl_gauss),
    "laplace": (make(Laplace, 0.0, 1.0), make(Laplace, 3.0, 0.2), kl_laplace),
    "cauchy": (make(Cauchy, 0.0, 1.0), make(Cauchy, 7.0, 30.0), kl_cauchy),
    "exponential": (make(Exponential, 1.0), make(Exponential, 5.0), kl_exponential),
    "log normal": (
        make(LogNormal, 0.0, 1.0),
        make(LogNormal, 1.0, 0.5),
        lambda p, q: kl_gauss(p.base_dist, q.base_dist),
    ),
    "nested uniforms": (make(Uniform, 0.0, 1.0), make(Uniform, -1.0, 4.0), kl_uniform),
    "sliding uniforms": (make(Uniform, 0.0, 1.0), make(Uniform, 0.3, 1.3), kl_uniform),
}


@pytest.mark.parametrize("name", CLOSED)
@pytest.mark.parametrize("swap", [False, True])
def test_kl_equals_its_closed_form(name: str, swap: bool):
    p, q, closed = CLOSED[name]
    p, q = (q, p) if swap else (p, q)
    expected = closed(p, q)
    measured = theory.kl_divergence(p, q)
    assert measured == pytest.approx(expected, abs=ATOL, rel=1e-12)
    assert theory.f_divergence(theory.REVERSE_KL, q, p) == pytest.approx(
        expected, abs=ATOL, rel=1e-12
    )


# --- All divergences against mpmath, which shares no code with the library ---


def student_pdf(df: float, loc: float, scale: float):
    constant = mpmath.gamma((df + 1) / 2) / (
        mpmath.gamma(df / 2) * mpmath.sqrt(df * mpmath.pi) * scale
    )
    return lambda x: constant * (1 + ((x - loc) / scale) ** 2 / df) ** (-(df + 1) / 2)


def mixture_pdf(d: Any):
    weights = d.mixture_distribution.probs.tolist()
    means, stds = d.component_distribution.loc.tolist(), d.component_distribution.scale.tolist()
    return lambda x: sum(
        w * mpmath.npdf(x, m, s) for w, m, s in zip(weights, means, stds, strict=True)
    )


PDF = {
    Normal: lambda d: lambda x: mpmath.npdf(x, float(d.loc), float(d.scale)),
    Laplace: lambda d: (
        lambda x: mpmath.exp(-abs(x - float(d.loc)) / float(d.scale)) / (2 * float(d.scale))
    ),
    StudentT: lambda d: student_pdf(float(d.df), float(d.loc), float(d.scale)),
    MixtureSameFamily: mixture_pdf,
}
GENERAL = {
    "normal, laplace": (STANDARD, make(Laplace, 1.0, 0.7)),
    "student, laplace": (make(StudentT, 5.0, 0.0, 1.0), make(StudentT, 3.0, 1.0, 2.0)),
    "bimodal, normal": (BIMODAL, gauss(0.0, 2.0)),
    "two mixtures": (BIMODAL, mixture([0.2, 0.8], [-1.0, 3.0], [1.0, 0.8])),
}
# E_q f(p/q), term by term, from the definitions.
TERMS = {
    theory.KL: lambda p, q: p * mpmath.log(p / q),
    theory.JS: lambda p, q: (p * mpmath.log(2 * p / (p + q)) + q * mpmath.log(2 * q / (p + q))) / 2,
    theory.HELLINGER: lambda p, q: (mpmath.sqrt(p) - mpmath.sqrt(q)) ** 2,
}


def reference(term: Callable[..., Any], p: Any, q: Any):
    """Integrate ``term(p, q)`` over [−60, 60] in pieces and the two tails, by mpmath."""
    first, second = PDF[type(p)](p), PDF[type(q)](q)
    pieces = [-mpmath.inf, -200, -60, *range(-30, -6, 6), *np.arange(-6, 6.5, 1), *range(12, 31, 6)]
    pieces = [mpmath.mpf(float(x)) if x != -mpmath.inf else x for x in pieces]
    pieces += [60, 200, mpmath.inf]

    def integrand(x: Any) -> Any:
        a, b = first(x), second(x)
        return term(a, b) if a > 1e-300 and b > 1e-300 else mpmath.mpf(0)

    return float(mpmath.quad(integrand, pieces, maxdegree=5))


@pytest.mark.slow
@pytest.mark.parametrize("name", GENERAL)
@pytest.mark.parametrize("swap", [False, True])
def test_divergences_equal_mpmath(name: str, swap: bool):
    p, q = reversed(GENERAL[name]) if swap else GENERAL[name]
    for f, term in TERMS.items():
        expected = reference(term, p, q)
        assert theory.f_divergence(f, p, q) == pytest.approx(expected, abs=ATOL), f.name


def test_total_variation_of_gaussians():
    expected = math.erf(0.5 / math.sqrt(2))
    assert theory.total_variation(STANDARD, gauss(1.0, 1.0)) == pytest.approx(expected, abs=ATOL)
    # Unequal scales: the densities cross at ±x, where log 2 = 3 x²/8.
    x = math.sqrt(8 * LOG2 / 3)
    expected = math.erf(x / math.sqrt(2)) - math.erf(x / math.sqrt(8))
    assert theory.total_variation(STANDARD, gauss(0.0, 2.0)) == pytest.approx(expected, abs=ATOL)


def test_chi2_and_hellinger_of_gaussians():
    for shift in (0.5, 1.0, 3.0):
        q = gauss(shift, 1.0)
        chi2 = theory.f_divergence(theory.PEARSON, STANDARD, q)
        assert chi2 == pytest.approx(math.expm1(shift**2), abs=ATOL, rel=1e-11)
        hellinger = theory.f_divergence(theory.HELLINGER, STANDARD, q)
        assert hellinger == pytest.approx(-2 * math.expm1(-(shift**2) / 8), abs=ATOL)


@pytest.mark.parametrize(
    "f", [theory.KL, theory.REVERSE_KL, theory.JS, theory.PEARSON, theory.HELLINGER, theory.TV]
)
def test_a_bare_function_gives_the_same_divergence(f: Any):
    """The stable integrand and the textbook's f(t) agree, in either order."""
    for p, q in [(STANDARD, gauss(1.0, 1.2)), (gauss(1.0, 1.2), STANDARD)]:
        bare = theory.f_divergence(f.f, p, q)
        assert bare == pytest.approx(theory.f_divergence(f, p, q), abs=ATOL)
    assert float(f(torch.ones(1, dtype=torch.float64))) == 0


def test_a_bare_function_says_where_it_fails():
    with pytest.raises(theory.IntegrationError, match="no value at x ="):
        theory.f_divergence(lambda t: torch.xlogy(t, t), STANDARD, gauss(100.0, 1e-3))
    bare = theory.f_divergence(lambda t: (t - 1).abs() / 2, STANDARD, gauss(100.0, 1e-3))
    assert bare == pytest.approx(1.0, abs=ATOL)


# --- Where the mass is ---


def test_the_far_mode_is_found():
    """A thousandth of the mass, 1e-3 wide, at 300: KL(far mode ‖ mixture) is log 1000."""
    for q, weight in [(gauss(300.0, 1e-3), 0.001), (STANDARD, 0.999)]:
        assert theory.kl_divergence(q, FAR) == pytest.approx(-math.log(weight), abs=ATOL)
    assert theory.total_variation(FAR, STANDARD) == pytest.approx(0.001, abs=ATOL)
    assert theory.wasserstein1(FAR, STANDARD) == pytest.approx(0.3, abs=ATOL)


class Bare:
    """A user's object with nothing but the attributes that it is given."""

    def __init__(self, density: Any, **hints: object) -> None:
        self.log_prob = density.log_prob
        vars(self).update(hints)


def test_objects_of_ones_own():
    narrow = gauss(100.0, 1e-3)
    expected = kl_gauss(narrow, STANDARD)
    hinted = Bare(narrow, mean=100.0, stddev=1e-3)
    for own in (Bare(narrow), hinted, Bare(narrow, icdf=narrow.icdf)):
        assert theory.kl_divergence(own, STANDARD) == pytest.approx(expected, abs=ATOL)
    box = make(Uniform, 0.0, 1.0)
    box = Uniform(box.low, box.high, validate_args=False)
    for own in (Bare(box), Bare(box, support=(0.0, 1.0))):
        assert theory.jensen_shannon(own, make(Uniform, 2.0, 3.0)) == pytest.approx(LOG2, abs=ATOL)


def test_missed_mass_is_an_error_that_says_so():
    hidden = Bare(FAR, mean=0.0, stddev=1.0)
    with pytest.raises(theory.IntegrationError, match=r"mass of 0\.999 in q") as caught:
        theory.kl_divergence(STANDARD, hidden)
    assert caught.value.what == "KL"
    assert caught.value.error == pytest.approx(1e-3, abs=1e-9)
    assert caught.value.tolerance == quadrature.MASS_TOLERANCE


def test_slow_convergence_is_an_error_that_says_how_far():
    with pytest.raises(theory.IntegrationError, match="tails fall too slowly") as caught:
        theory.kl_divergence(make(StudentT, 2.05, 0.0, 1.0), STANDARD)
    assert caught.value.error > caught.value.tolerance


def test_a_jump_that_the_grid_cannot_follow_is_an_error(monkeypatch: pytest.MonkeyPatch):
    class Disc:
        """Uniform on a disc of area 1: no grid has edges along a circle."""

        event_shape = (2,)

        def log_prob(self, x: Tensor) -> Tensor:
            return torch.where((x**2).sum(dim=-1) < 1 / math.pi, 0.0, -math.inf)

    monkeypatch.setattr(quadrature, "_PANELS", 2000)
    plane = MultivariateNormal(double([0.0, 0.0]), torch.eye(2, dtype=torch.float64))
    with pytest.raises(theory.IntegrationError, match="grid does not converge") as caught:
        theory.jensen_shannon(Disc(), plane)
    assert caught.value.error > caught.value.tolerance


def test_total_variation_in_2d_follows_the_kink():
    p, q = (
        MultivariateNormal(double([m, m]), torch.eye(2, dtype=torch.float64)) for m in (0.0, 1.0)
    )
    assert theory.total_variation(p, q) == pytest.approx(math.erf(0.5), abs=ATOL)


# --- Infinite values ---


def test_infinite_divergences_are_inf():
    cauchy, box = make(Cauchy, 0.0, 1.0), make(Uniform, -50.0, 50.0)
    heavy = make(StudentT, 2.0, 0.0, 1.0)
    for p, q in [(cauchy, STANDARD), (heavy, STANDARD), (STANDARD, box), (cauchy, box)]:
        assert theory.kl_divergence(p, q) == math.inf
        assert theory.f_divergence(theory.REVERSE_KL, q, p) == math.inf
    assert theory.f_divergence(theory.PEARSON, STANDARD, gauss(0.0, 0.7)) == math.inf
    assert theory.wasserstein1(cauchy, make(Cauchy, 0.0, 2.0)) == math.inf
    assert theory.wasserstein1(make(StudentT, 1.0, 0.0, 1.0), STANDARD) == math.inf


def test_their_finite_neighbours_are_not():
    # p²/q still integrates: with q of variance s² it is s² / √(2 s² − 1) − 1.
    s2 = 0.64
    chi2 = theory.f_divergence(theory.PEARSON, STANDARD, gauss(0.0, 0.8))
    assert chi2 == pytest.approx(s2 / math.sqrt(2 * s2 - 1) - 1, abs=ATOL)
    # −h(t₃) + log √(2π) + E x²/2, with E x² = df/(df − 2) = 3.
    entropy = 4 / 2 * (mpmath.psi(0, 2) - mpmath.psi(0, 1.5)) + mpmath.log(
        mpmath.sqrt(3) * mpmath.beta(1.5, 0.5)
    )
    expected = float(-entropy + mpmath.log(2 * mpmath.pi) / 2 + 1.5)
    heavy = make(StudentT, 3.0, 0.0, 1.0)
    assert theory.kl_divergence(heavy, STANDARD) == pytest.approx(expected, abs=ATOL)
    # N(0, 1) in [−50, 50] against the uniform there differs from its entropy by e^−1250 only.
    box = make(Uniform, -50.0, 50.0)
    expected = math.log(100) - math.log(2 * math.pi * math.e) / 2
    cut = Bare(STANDARD, mean=0.0, stddev=1.0, support=(-50.0, 50.0))
    assert theory.kl_divergence(cut, box) == pytest.approx(expected, abs=ATOL)


def test_an_underflow_of_the_users_own_is_not_a_zero():
    class Quartic:
        """∝ exp(−x⁴/4): far out x⁴ overflows, and log_prob is −inf."""

        constant = float(mpmath.log(mpmath.gamma(0.25) / mpmath.sqrt(2)))

        def log_prob(self, x: Any) -> Tensor:
            return -(x**4) / 4 - self.constant

    expected = 0.75 + Quartic.constant - math.log(2 * math.pi * math.e) / 2
    assert theory.kl_divergence(STANDARD, Quartic()) == pytest.approx(expected, abs=ATOL)


# --- Facts 1 to 9, 12 and 14 ---

P, Q = STANDARD, gauss(1.0, 1.0)


def test_fact_1_the_peak_of_a_log_d_plus_b_log_not_d():
    for a, b in [(1.0, 1.0), (0.3, 0.9), (5.0, 0.2)]:
        peak = minimize_scalar(
            lambda d, a=a, b=b: -a * math.log(d) - b * math.log1p(-d),
            bounds=(0, 1),
            method="bounded",
            options={"xatol": 1e-10},
        )
        assert peak.x == pytest.approx(a / (a + b), abs=1e-6)
    # The same at a point x, where a and b are the densities.
    x = torch.linspace(-3, 3, 13, dtype=torch.float64)
    a, b = P.log_prob(x).exp(), Q.log_prob(x).exp()
    torch.testing.assert_close(
        theory.optimal_discriminator(P, Q)(x), a / (a + b), atol=1e-14, rtol=0
    )


def test_fact_2_the_value_at_the_optimum():
    v = theory.value(theory.optimal_discriminator(P, Q), P, Q)
    js = theory.jensen_shannon(P, Q)
    assert v == pytest.approx(-1.16345, abs=5e-6)
    assert js == pytest.approx(0.11142, abs=5e-6)
    assert js / LOG2 == pytest.approx(0.16075, abs=5e-6)
    assert theory.kl_divergence(P, Q) == pytest.approx(0.5, abs=ATOL)
    assert v == pytest.approx(2 * js - 2 * LOG2, abs=ATOL)


def test_the_two_normalisations_of_the_optimum():
    """V has no ½: at the equilibrium −2 log 2; the cost −½ V of some slides has +log 2."""
    v = theory.value(theory.optimal_discriminator(P, P), P, P)
    assert v == pytest.approx(-2 * LOG2, abs=ATOL)
    assert v / 2 == pytest.approx(-LOG2, abs=ATOL)


def test_no_other_discriminator_has_a_higher_value():
    best = theory.optimal_discriminator(P, Q)
    at_best = theory.value(best, P, Q)
    tilted = theory.Discriminator(lambda x: best.logit(x) + 0.1)
    # Second order: V loses ½ · 0.1² E_{p+q} D(1 − D).
    loss = at_best - theory.value(tilted, P, Q)
    assert loss == pytest.approx(0.0021, abs=2e-4)
    inverted = theory.value(theory.optimal_discriminator(Q, P), P, Q)
    assert inverted - at_best == pytest.approx(-1.0, abs=ATOL)  # E (−a) under p and a under q


GRADIENTS = {"minimax": 0.39797, "non-saturating": 0.60203, "maximum likelihood": 1.0}


@pytest.mark.parametrize("loss", GRADIENTS)
def test_facts_3_to_5_each_cost_follows_its_divergence(loss: str):
    measured = theory.generator_gradient(loss, P, lambda mean: Normal(mean, 1.0), 1.0)
    followed = theory.followed_gradient(loss, P, lambda mean: Normal(mean, 1.0), 1.0)
    assert measured == pytest.approx(GRADIENTS[loss], abs=5e-6)
    assert followed == pytest.approx(measured, abs=ATOL)


@pytest.mark.slow
@pytest.mark.parametrize("loss", GRADIENTS)
def test_the_identities_hold_for_other_families(loss: str):
    def widths(width: Any) -> StudentT:
        return StudentT(4.0, 0.5, width)

    def weights(weight: Any) -> MixtureSameFamily:
        mixing = Categorical(torch.stack([weight, 1 - weight]), validate_args=False)
        return MixtureSameFamily(mixing, Normal(double([-2.0, 2.0]), double([0.5, 0.5])))

    for p, family, parameter in [(make(Laplace, 0.0, 1.0), widths, 1.3), (BIMODAL, weights, 0.3)]:
        measured = theory.generator_gradient(loss, p, family, parameter)
        followed = theory.followed_gradient(loss, p, family, parameter)
        assert measured == pytest.approx(followed, abs=3e-8)
        assert abs(measured) > 0.01


def test_fact_5_the_maximum_likelihood_cost_is_always_minus_one():
    for q in (Q, gauss(5.0, 0.4), make(Cauchy, 2.0, 1.0), gauss(100.0, 1e-3)):
        cost = theory.generator_cost("maximum likelihood", P, q)
        assert cost == pytest.approx(-1.0, abs=ATOL)


def test_fact_5_costs_against_the_discriminator_itself():
    """Each cost as E_q of its formula in D*, on a fixed fine grid."""
    x = torch.linspace(-12, 13, 200_001, dtype=torch.float64)
    d, q = theory.optimal_discriminator(P, Q)(x), Q.log_prob(x).exp()
    formulas = {
        "minimax": torch.log1p(-d),
        "non-saturating": -d.log(),
        "maximum likelihood": -torch.logit(d).exp(),
    }
    for loss, formula in formulas.items():
        expected = float(torch.trapezoid(q * formula, x))
        assert theory.generator_cost(loss, P, Q) == pytest.approx(expected, abs=1e-7)


def test_fact_6_the_slopes_in_the_logit():
    a = torch.linspace(-8, 8, 33, dtype=torch.float64, requires_grad=True)
    d = torch.sigmoid(a)
    costs = {-F.softplus(a): d, F.softplus(-a): 1 - d, -a.exp(): d / (1 - d)}
    for cost, size in costs.items():
        (slope,) = torch.autograd.grad(cost.sum(), a)
        torch.testing.assert_close(slope, -size.detach(), atol=1e-12, rtol=1e-12)


def fitted(theta: Any):
    return gauss(float(theta[0]), math.exp(float(theta[1])))


@pytest.mark.slow
def test_fact_7_forward_kl_covers_the_mixture():
    fit = minimize(
        lambda theta: theory.kl_divergence(BIMODAL, fitted(theta)),
        [0.5, 0.3],
        tol=1e-9,
        method="Nelder-Mead",
        options={"maxiter": 90, "xatol": 1e-5, "fatol": 1e-10},
    )
    assert fit.x[0] == pytest.approx(0, abs=5e-4)
    assert math.exp(fit.x[1]) == pytest.approx(2.0616, abs=5e-4)
    assert fit.fun == pytest.approx(0.7236, abs=5e-5)
    exact = theory.kl_divergence(BIMODAL, gauss(0.0, math.sqrt(4.25)))
    assert exact == pytest.approx(0.7236, abs=5e-5)


@pytest.mark.slow
def test_fact_7_reverse_kl_picks_one_mode():
    fit = minimize(
        lambda theta: theory.kl_divergence(fitted(theta), BIMODAL),
        [1.5, 0.0],
        method="Nelder-Mead",
        options={"maxiter": 60, "xatol": 1e-4, "fatol": 1e-7},
    )
    assert fit.x[0] == pytest.approx(2.0, abs=0.01)
    assert math.exp(fit.x[1]) == pytest.approx(0.5, abs=0.01)
    assert fit.fun == pytest.approx(LOG2, abs=1e-3)


@pytest.mark.parametrize("t", [0.0, 0.25, 0.5, 1.0, 3.0])
def test_fact_8_sliding_uniforms(t: float):
    p, q = make(Uniform, 0.0, 1.0), make(Uniform, t, 1 + t)
    overlap = max(0.0, 1 - t)
    assert theory.jensen_shannon(p, q) == pytest.approx((1 - overlap) * LOG2, abs=ATOL)
    assert theory.total_variation(p, q) == pytest.approx(1 - overlap, abs=ATOL)
    assert theory.wasserstein1(p, q) == pytest.approx(t, abs=ATOL)
    assert theory.kl_divergence(p, q) == (math.inf if t else 0.0)


@pytest.mark.parametrize(("real", "fake"), [(0.9, 0.0), (0.9, 0.1), (1.0, 0.2)])
def test_fact_9_label_smoothing(real: float, fake: float):
    """D* minimises the smoothed cross-entropy at every x, found here by search."""
    smoothed = theory.optimal_discriminator(P, Q, real_target=real, fake_target=fake)
    for x in (-1.5, 0.2, 2.0):
        a, b = (float(d.log_prob(double(x)).exp()) for d in (P, Q))

        def cost(d: Any, a: float = a, b: float = b) -> float:
            ones, zeros = real * a + fake * b, (1 - real) * a + (1 - fake) * b
            return -ones * math.log(d) - zeros * math.log1p(-d)

        best = minimize_scalar(cost, bounds=(0, 1), method="bounded", options={"xatol": 1e-10}).x
        assert float(smoothed(double(x))) == pytest.approx(best, abs=1e-6)
        expected = (real * a + fake * b) / (a + b)
        assert float(smoothed(double(x))) == pytest.approx(expected, abs=1e-12)


def test_fact_12_equal_covariance_is_logistic_regression():
    covariance = double([[2.0, 0.6], [0.6, 1.0]])
    p_mean, q_mean = double([0.0, 1.0]), double([1.5, -0.5])
    p, q = (MultivariateNormal(mean, covariance) for mean in (p_mean, q_mean))
    slope = torch.linalg.solve(covariance, p_mean - q_mean)
    x = torch.randn(50, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) * 4
    expected = torch.sigmoid((x - (p_mean + q_mean) / 2) @ slope)
    torch.testing.assert_close(theory.optimal_discriminator(p, q)(x), expected, atol=1e-12, rtol=0)


def test_fact_14_float32_needs_logits():
    """1 − σ(a) is 0 in float32 from a = 16.64 on; V by logits does not notice."""
    a = torch.tensor([16.63, 16.64])
    assert ((1 - torch.sigmoid(a)) == 0).tolist() == [False, True]
    naive = torch.log(1 - torch.sigmoid(a[1]))
    assert naive == -math.inf
    assert F.softplus(a[1]).item() == pytest.approx(16.64, abs=1e-5)
    far = gauss(20.0, 1.0)  # log D* reaches ±200 here, beyond float64's 1 − D as well
    star = theory.optimal_discriminator(P, far)
    expected = 2 * theory.jensen_shannon(P, far) - 2 * LOG2
    assert theory.value(star, P, far) == pytest.approx(expected, abs=ATOL)
    assert theory.value(star.__call__, P, far) == pytest.approx(expected, abs=ATOL)


# --- The discriminator where densities vanish ---


def test_optimal_discriminator_on_disjoint_supports():
    d = theory.optimal_discriminator(make(Uniform, 0.0, 1.0), make(Uniform, 2.0, 3.0))
    x = double([[0.5, 2.5], [0.1, 2.9]])
    assert d(x).tolist() == [[1.0, 0.0], [1.0, 0.0]]
    assert d(double([1.5])).isnan().all()
    v = theory.value(d, make(Uniform, 0.0, 1.0), make(Uniform, 2.0, 3.0))
    assert v == pytest.approx(0.0, abs=ATOL)


def test_optimal_discriminator_keeps_dtype_shape_and_graph():
    d = theory.optimal_discriminator(ring(), normal(2))
    x = torch.zeros(3, 4, 2, requires_grad=True)
    y = d(x)
    assert y.shape == (3, 4)
    assert y.dtype == torch.float32
    y.sum().backward()
    assert x.grad is not None
    assert x.grad.isfinite().all()


def test_value_of_plain_discriminators():
    assert theory.value(lambda x: torch.full_like(x, 0.5), P, Q) == pytest.approx(
        -2 * LOG2, abs=ATOL
    )
    # log D = −x² − 0.1: E_p log D = −1.1; E_q log(1 − D) by mpmath.
    second = mpmath.quad(
        lambda x: mpmath.npdf(x, 1, 1) * mpmath.log(-mpmath.expm1(-(x**2) - 0.1)),
        [-12, -2, -1, 0, 1, 2, 4, 13],
    )
    measured = theory.value(lambda x: torch.exp(-(x**2) - 0.1), P, Q)
    assert measured == pytest.approx(-1.1 + float(second), abs=ATOL)
    assert theory.value(lambda x: (x > 0).double(), P, Q) == -math.inf


def test_a_discriminator_that_rounds_may_be_wrong_where_hardly_a_sample_falls():
    """A density above e⁻²⁸ counts, as at x = 6 (e⁻¹⁹); below it, as at 8 (e⁻³³), it does not."""
    law = make(Normal, 0.0, 1.0)

    def half_up_to(edge: float) -> Callable[[Tensor], Tensor]:
        return lambda x: torch.where(x < edge, 0.5, 0.0)

    assert theory.value(half_up_to(6.0), law, law) == -math.inf
    found = theory.value(half_up_to(8.0), law, law)
    assert found == pytest.approx(-2 * math.log(2), abs=1e-6)


# --- W1 ---


def reference_w1(p_cdf: Callable[..., Any], q_cdf: Callable[..., Any], edges: list[Any]):
    return float(mpmath.quad(lambda x: abs(p_cdf(x) - q_cdf(x)), edges))


@pytest.mark.slow
def test_wasserstein_closed_forms():
    for p, q, expected in [
        (P, Q, 1.0),
        (P, gauss(100.0, 1e-3), 100.0),
        (gauss(0.0, 1.0), gauss(0.0, 3.0), 2 * math.sqrt(2 / math.pi)),
        (make(Laplace, 0.0, 1.0), make(Laplace, 0.0, 3.0), 2.0),
        (make(Cauchy, 0.0, 1.0), make(Cauchy, 5.0, 1.0), 5.0),
        (make(Exponential, 1.0), make(Exponential, 0.25), 3.0),
        (make(StudentT, 3.0, 0.0, 1.0), make(StudentT, 3.0, -2.0, 1.0), 2.0),
    ]:
        assert theory.wasserstein1(p, q) == pytest.approx(expected, abs=ATOL)
        assert theory.wasserstein1(q, p) == pytest.approx(expected, abs=ATOL)


@pytest.mark.slow
def test_wasserstein_of_crossing_cdfs():
    def normal_cdf(mean: float, std: float) -> Callable[..., Any]:
        return lambda x: mpmath.ncdf(x, mean, std)

    def bimodal_cdf(x: Any) -> Any:
        return (mpmath.ncdf(x, -2, 0.5) + mpmath.ncdf(x, 2, 0.5)) / 2

    # Equal scales would not cross; these two do, at (0·2 − 1·1)/(2 − 1) = −1.
    edges = [-30, -8, -4, -1, 2, 6, 30]
    expected = reference_w1(normal_cdf(0, 1), normal_cdf(1, 2), edges)
    assert theory.wasserstein1(P, gauss(1.0, 2.0)) == pytest.approx(expected, abs=ATOL)
    roots = [mpmath.findroot(lambda x: bimodal_cdf(x) - mpmath.ncdf(x), s) for s in (-1.8, 1.8)]
    edges = [-12, -5, -3, roots[0], -1, 0, 1, roots[1], 3, 5, 12]
    expected = reference_w1(bimodal_cdf, normal_cdf(0, 1), edges)
    assert theory.wasserstein1(BIMODAL, P) == pytest.approx(expected, abs=ATOL)


# --- 2-D and the course's targets ---


def test_2d_gaussians_in_closed_form():
    p = MultivariateNormal(double([0.0, 0.0]), double([[1.0, 0.3], [0.3, 0.5]]))
    q = MultivariateNormal(double([1.0, -1.0]), double([[2.0, -0.4], [-0.4, 1.0]]))
    for first, second in [(p, q), (q, p)]:
        expected = float(torch.distributions.kl_divergence(first, second))
        assert theory.kl_divergence(first, second) == pytest.approx(expected, abs=ATOL)


def test_2d_product_reduces_to_1d():
    def product(mean: float) -> Independent:
        return Independent(Normal(double([mean, 0.0]), double([1.0, 1e-3])), 1)

    js = theory.jensen_shannon(product(0.0), product(1.0))
    assert js == pytest.approx(theory.jensen_shannon(P, Q), abs=ATOL)
    heavy = Independent(Cauchy(double([0.0, 0.0]), double([1.0, 1.0])), 1)
    assert theory.kl_divergence(heavy, product(0.0)) == math.inf
    boxes = Box([0.0, 0.0], [1.0, 1.0]), Box([0.5, 0.0], [1.5, 1.0])
    assert theory.jensen_shannon(*boxes) == pytest.approx(LOG2 / 2, abs=ATOL)
    assert theory.kl_divergence(*boxes) == math.inf


@pytest.mark.slow
def test_targets_of_the_course():
    target, prior = ring(), normal(2)
    # The eight modes lie 76 std apart: the entropy of the mixture is log 8 + that of one mode.
    std = float(target.std[0])
    entropy = math.log(8) + 1 + math.log(2 * math.pi * std**2)
    expected = -entropy + math.log(2 * math.pi) + 0.5 * (1 + 2 * std**2)
    assert theory.kl_divergence(target, prior) == pytest.approx(expected, abs=1e-7)
    line = GaussianMixture([0.0, 300.0], [1.0, 1e-3], [0.75, 0.25])
    assert theory.total_variation(line, STANDARD) == pytest.approx(0.25, abs=ATOL)
    assert theory.optimal_discriminator(line, STANDARD)(torch.zeros(5, 1)).shape == (5,)
    one = GaussianMixture(grid(1).centers, 0.05)
    assert theory.kl_divergence(one, grid()) == pytest.approx(math.log(25), abs=ATOL)


# --- Bad arguments ---


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: theory.kl_divergence(3, P), r"p = 3: must have a log_prob"),
        (lambda: theory.kl_divergence(P, Normal(torch.zeros(2), 1.0)), r"q = Normal.*not a batch"),
        (lambda: theory.kl_divergence(P, ring()), r"q has event_shape \(2,\)"),
        (lambda: theory.kl_divergence(normal(3), P), r"p has event_shape \(3,\)"),
        (lambda: theory.kl_divergence(P, Q, tolerance=0.0), r"tolerance = 0\.0"),
        (lambda: theory.f_divergence(torch.exp, P, Q), r"f\(1\) must be 0"),
        (lambda: theory.wasserstein1(ring(), normal(2)), "1-D only"),
        (lambda: theory.generator_cost("hinge", P, Q), r"loss = 'hinge': choose one of"),
        (lambda: theory.followed_divergence("JS", P, Q), r"loss = 'JS': choose one of"),
        (lambda: theory.optimal_discriminator(P, Q, real_target=1.5), r"real_target = 1\.5"),
        (lambda: theory.value(lambda x: x, P, Q), r"discriminator returned .*must be a prob"),
        (
            lambda: theory.followed_gradient("minimax", P, lambda m: Normal(m, 1.0), 0.0, step=0.0),
            r"step = 0\.0",
        ),
        (
            lambda: theory.generator_gradient("minimax", P, lambda t: Uniform(t, t + 1), 0.0),
            "support must not move",
        ),
    ],
)
def test_bad_arguments_are_named(call: Callable[[], object], message: str):
    with pytest.raises(ValueError, match=message):
        call()


def test_an_infinite_divergence_has_no_gradient():
    with pytest.raises(theory.IntegrationError, match="infinite"):
        theory.followed_gradient(
            "maximum likelihood", make(Cauchy, 0.0, 1.0), lambda m: Normal(m, 1.0), 0.0
        )
