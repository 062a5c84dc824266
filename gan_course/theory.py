"""What the theory says exactly: D*, V, divergences, W1 and generator gradients, by quadrature.

``p`` is the law of the data, ``q`` the law of the generator (p_g in the text). Both are
objects with a ``log_prob``: ``torch.distributions``, the course's targets, or your own.
Every result is in nats, a Python float, computed in float64; parameters stored in float32
keep the value they have there. An infinite result is ``inf``. How the integrals are found,
and when they are not, is said in :mod:`gan_course.quadrature`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from gan_course.arguments import function, number, one_of, shown, tensor
from gan_course.densities import Density, in_double, log_density, read, read_pair
from gan_course.quadrature import (
    TOLERANCE,
    IntegrationError,
    cdf_distance,
    integrate,
    times,
)

#: ``(log_p, log_q)``, each ``(n,)``, to a density ``(n,)``.
LogDensities = Callable[[Tensor, Tensor], Tensor]

# --- f-divergences ------------------------------------------------------------------------


@dataclass(frozen=True)
class ConvexFunction:
    """The convex f of a divergence ``D_f(p‖q) = E_q f(p/q)``, with f(1) = 0.

    Attributes:
        name: the divergence it generates.
        f: the function of the ratio t = p/q, elementwise.
        density: the integrand ``q f(p/q)`` as a function of log p and log q, which stays
            right where the ratio or a density underflows.
    """

    name: str
    f: Callable[[Tensor], Tensor]
    density: LogDensities

    def __call__(self, ratio: Tensor) -> Tensor:
        """Value of f at the ratio t = p/q."""
        return self.f(ratio)


def _js_f(t: Tensor) -> Tensor:
    return (t * torch.log(2 * (t / (1 + t))) - torch.log((1 + t) / 2)) / 2


def _js_density(log_p: Tensor, log_q: Tensor) -> Tensor:
    """½ p log(p/m) + ½ q log(q/m) with m = (p + q)/2."""
    logit = log_p - log_q
    return (
        times(log_p, math.log(2) + F.logsigmoid(logit))
        + times(log_q, math.log(2) + F.logsigmoid(-logit))
    ) / 2


#: KL(p‖q) = E_p log(p/q).
KL = ConvexFunction("KL", lambda t: torch.xlogy(t, t), lambda lp, lq: times(lp, lp - lq))
#: Reverse KL: KL(q‖p) = E_q log(q/p).
REVERSE_KL = ConvexFunction("reverse KL", lambda t: -t.log(), lambda lp, lq: times(lq, lq - lp))
#: Jensen-Shannon, with its halves: at most log 2 (Goodfellow et al. 2014, eq. 6).
JS = ConvexFunction("JS", _js_f, _js_density)
#: Pearson's χ² = E_q (p/q − 1)².
PEARSON = ConvexFunction(
    "Pearson χ²",
    lambda t: (t - 1).square(),
    # (p − q)² / q, with the larger of p and q taken out before anything overflows.
    lambda lp, lq: torch.where(
        lp > lq,
        times(2 * lp - lq, torch.expm1(lq - lp).square()),
        times(lq, torch.expm1(lp - lq).square()),
    ),
)
#: Squared Hellinger distance ∫ (√p − √q)², without a factor ½: at most 2.
HELLINGER = ConvexFunction(
    "squared Hellinger",
    lambda t: (t.sqrt() - 1).square(),
    lambda lp, lq: ((lp / 2).exp() - (lq / 2).exp()).square(),
)
#: Total variation ½ ∫ |p − q|: at most 1.
TV = ConvexFunction(
    "total variation",
    lambda t: (t - 1).abs() / 2,
    lambda lp, lq: (lp.exp() - lq.exp()).abs() / 2,
)


def f_divergence(
    f: ConvexFunction | Callable[[Tensor], Tensor],
    p: object,
    q: object,
    *,
    tolerance: float = TOLERANCE,
) -> float:
    """``D_f(p‖q) = E_q f(p/q)`` (Nowozin et al. 2016, eq. 2; Ali & Silvey 1966).

    Args:
        f: :data:`KL`, :data:`REVERSE_KL`, :data:`JS`, :data:`PEARSON`, :data:`HELLINGER`,
            :data:`TV`, or any convex function of a float64 ratio tensor with f(1) = 0.
        p: the first distribution, 1-D or 2-D.
        q: the second, of the same dimension.
        tolerance: absolute; beyond a norm of 10 a relative 1e-11 takes over.

    Returns:
        The divergence in nats; ``inf`` where it is infinite.

    Raises:
        ValueError: f is not convex or f(1) not 0, p or q is no single 1-D or 2-D density, or
            the tolerance no positive number.
        IntegrationError: the tolerance was not reached, or mass of p or q was not found.
    """
    first, second = read_pair(p, q)
    _check_convex(f)
    f = f if isinstance(f, ConvexFunction) else _from_ratio(f)
    at_zero, at_infinity = _limits(f)
    # Where q is 0, p may be too small for a float and yet not be 0; and the other way round.
    if at_infinity == math.inf and first.leaves(second):
        return math.inf
    if at_zero == math.inf and second.leaves(first):
        return math.inf
    return integrate(f.name, lambda _, lp, lq: f.density(lp, lq), first, second, tolerance)


def _name(f: ConvexFunction | Callable[[Tensor], Tensor]) -> str:
    return f.name if isinstance(f, ConvexFunction) else getattr(f, "__name__", repr(f))


def _check_convex(f: Callable[[Tensor], Tensor]) -> None:
    """Refuse an f that is no convex function with f(1) = 0: it has no divergence."""
    function("f", f)
    t = torch.logspace(-6, 6, 1201, dtype=torch.float64)  # 1 is in the middle
    try:
        values = torch.as_tensor(f(t), dtype=torch.float64)
    except Exception as error:
        raise ValueError(f"f = {_name(f)}: fails with {type(error).__name__}: {error}") from error
    if values.shape != t.shape or bool(values.isnan().any()):
        raise ValueError(f"f = {_name(f)}: must have one value for each ratio above 0")
    at_one = float(values[len(t) // 2])
    if not abs(at_one) <= 1e-12:
        raise ValueError(f"f = {_name(f)}: f(1) must be 0, not {at_one}")
    t, values = t[values.isfinite()], values[values.isfinite()]
    slope = values.diff() / t.diff()
    rounding = 8 * torch.finfo(t.dtype).eps * (1 + values.abs().cummax(0).values[1:]) / t.diff()
    bends = slope.diff() < -(rounding[1:] + rounding[:-1])
    if bool(bends.any()):
        at = float(t[1:-1][bends][0])
        raise ValueError(f"f = {_name(f)}: must be convex, and is concave near {at:.3g}")


def _limits(f: Callable[[Tensor], Tensor]) -> tuple[float, float]:
    """Limits of f(t) for t → 0 and of f(t)/t for t → ∞; ``inf`` if they do not settle."""
    t = torch.tensor([1e-150, 1e-300, 1e150, 1e300], dtype=torch.float64)
    value = f(t) / torch.where(t > 1, t, 1.0)
    settled = (value[1::2] - value[::2]).abs() <= 1e-9
    zero, infinity = torch.where(settled, value[1::2], math.inf).tolist()
    return zero, infinity


def _from_ratio(f: Callable[[Tensor], Tensor]) -> ConvexFunction:
    """Turn a bare f(t) into one that works on log densities, as far as f's limits allow."""
    at_zero, at_infinity = _limits(f)

    def density(log_p: Tensor, log_q: Tensor) -> Tensor:
        """Compute q f(t), or p f(t)/t where t > 1; the limits serve where one of them is 0."""
        gap = log_p - log_q
        t = gap.clamp(-345, 345).exp()
        on_q = torch.where(gap == -math.inf, at_zero, f(t))
        on_p = torch.where(gap == math.inf, at_infinity, f(t) / t)
        value = torch.where(gap > 0, times(log_p, on_p), times(log_q, on_q))
        # Where t leaves float64 an f without a limit is unknown: say so, if it matters.
        unknown = ((gap < -345) & (at_zero == math.inf)) | ((gap > 345) & (at_infinity == math.inf))
        return value.masked_fill(unknown & gap.isfinite() & (value.abs() > 1e-30), math.nan)

    return ConvexFunction(_name(f), f, density)


def kl_divergence(p: object, q: object, *, tolerance: float = TOLERANCE) -> float:
    """KL(p‖q) = E_p log(p/q) in nats; arguments and errors as :func:`f_divergence`.

    The forward KL of maximum likelihood for p = p_data, q = p_g (Goodfellow 2016, section 2.1).
    """
    return f_divergence(KL, p, q, tolerance=tolerance)


def jensen_shannon(p: object, q: object, *, tolerance: float = TOLERANCE) -> float:
    """JS = ½ KL(p‖m) + ½ KL(q‖m), m = (p + q)/2, in nats, from 0 to log 2.

    Goodfellow et al. 2014, proof of theorem 1; arguments and errors as :func:`f_divergence`.
    """
    return f_divergence(JS, p, q, tolerance=tolerance)


def total_variation(p: object, q: object, *, tolerance: float = TOLERANCE) -> float:
    """TV = ½ ∫ |p − q|, from 0 to 1; arguments and errors as :func:`f_divergence`."""
    return f_divergence(TV, p, q, tolerance=tolerance)


# --- The discriminator and the value of the game ------------------------------------------


@dataclass(frozen=True)
class Discriminator:
    """D(x) = σ(a(x)), known by its logit, so that log D and log(1 − D) stay finite.

    Attributes:
        logit: a = log D − log(1 − D); shape ``(..., *event_shape)`` to ``(...)``.
    """

    logit: Callable[[Tensor], Tensor]

    def __call__(self, x: Tensor) -> Tensor:
        """D at ``x``, a probability; shape ``(..., *event_shape)`` to ``(...)``.

        Raises:
            ValueError: ``x`` is not of the laws' event shape, or no real numbers.
        """
        return torch.sigmoid(self.logit(x))


def optimal_discriminator(
    p: object, q: object, *, real_target: float = 1.0, fake_target: float = 0.0
) -> Discriminator:
    """D*(x) = p/(p + q) = σ(log p − log q) (Goodfellow et al. 2014, section 4.1, eq. 2).

    With smoothed labels D* = (real_target p + fake_target q)/(p + q) (Salimans et al. 2016,
    section 3.4). D* is 1 where only p has density, 0 where only q has, and, since it is not
    defined where neither has, ``nan`` there.

    Args:
        p: the law of the data.
        q: the law of the generator.
        real_target: label of real samples, 1 − α for one-sided smoothing.
        fake_target: label of generated samples, below ``real_target``.

    Returns:
        D*, which takes ``x`` of shape ``(..., *event_shape)`` of p.

    Raises:
        ValueError: the targets are not 0 ≤ fake < real ≤ 1, or as :func:`f_divergence`.
    """
    real_target = number("real_target", real_target, at_least=0, at_most=1)
    fake_target = number("fake_target", fake_target, at_least=0, at_most=1)
    if not fake_target < real_target:
        raise ValueError(
            f"real_target = {real_target!r}, fake_target = {fake_target!r}: "
            "must be 0 ≤ fake_target < real_target ≤ 1"
        )
    first, second = read_pair(p, q)

    rank = len(first.event_shape)

    def logit(x: Tensor) -> Tensor:
        x = tensor("x", x, "(...)", finite=False)
        if x.shape[x.dim() - rank :] != first.event_shape:
            raise ValueError(
                f"x has shape {tuple(x.shape)}: expected (..., *event_shape of p), "
                f"which is {first.event_shape}"
            )
        points = x.reshape(-1, first.dim)
        log_p, log_q = first.log_prob(points), second.log_prob(points)
        real = torch.logaddexp(_scaled(log_p, real_target), _scaled(log_q, fake_target))
        fake = torch.logaddexp(_scaled(log_p, 1 - real_target), _scaled(log_q, 1 - fake_target))
        return (real - fake).reshape(x.shape[: x.dim() - rank]).to(x)

    return Discriminator(logit)


def _scaled(log_density: Tensor, factor: float) -> Tensor:
    return log_density + (math.log(factor) if factor else -math.inf)


def value(
    discriminator: Discriminator | Callable[[Tensor], Tensor],
    p: object,
    q: object,
    *,
    tolerance: float = TOLERANCE,
) -> float:
    """V(D, G) = E_p log D + E_q log(1 − D) in nats (Goodfellow et al. 2014, eq. 1).

    There is no factor ½: at D* this is 2 JS − 2 log 2, and −2 log 2 at the equilibrium.

    Args:
        discriminator: D, a probability for each x of shape ``(n, *event_shape)`` of p in
            float64. One that knows its logit, as :class:`Discriminator`, keeps its digits
            where D is near 0 or 1.
        p: the law of the data.
        q: the law of the generator.
        tolerance: as in :func:`f_divergence`.

    Returns:
        The value; ``-inf`` if D is 0 where p has density, or 1 where q has. A density
        below e⁻²⁸ (1e-12) does not count, because there D may just have been rounded.

    Raises:
        ValueError: D leaves [0, 1], or as :func:`f_divergence`.
        IntegrationError: as in :func:`f_divergence`.
    """
    first, second = read_pair(p, q)
    if not isinstance(discriminator, Discriminator):
        function("discriminator", discriminator)

    def integrand(points: Tensor, log_p: Tensor, log_q: Tensor) -> Tensor:
        log_d, log_not_d = _log_odds(discriminator, points.reshape(-1, *first.event_shape))
        return _expected_log(log_p, log_d) + _expected_log(log_q, log_not_d)

    return integrate("V(D, G)", integrand, first, second, tolerance)


def _expected_log(log_mass: Tensor, log_d: Tensor) -> Tensor:
    """Density of E log D; a D that rounds to 0 where hardly a sample falls does not count."""
    return times(log_mass.masked_fill((log_d == -math.inf) & (log_mass < -28), -math.inf), log_d)


def _log_odds(
    discriminator: Discriminator | Callable[[Tensor], Tensor], x: Tensor
) -> tuple[Tensor, Tensor]:
    """Logarithms of D and 1 − D at ``x``, each of shape ``(n,)``."""
    if isinstance(discriminator, Discriminator):
        a = discriminator.logit(x).detach().double().reshape(len(x))
        return F.logsigmoid(a), F.logsigmoid(-a)
    d = discriminator(x).detach().double().reshape(len(x))
    if bool(((d < 0) | (d > 1)).any()):
        worst = float(d[(d - 0.5).abs().nan_to_num(0.0).argmax()])
        raise ValueError(f"discriminator returned {worst}: must be a probability in [0, 1]")
    return d.log(), torch.log1p(-d)


# --- The generator's costs and the gradients they follow ----------------------------------


def _maximum_likelihood_density(log_p: Tensor, log_q: Tensor) -> Tensor:
    """−q exp(a) = −p wherever the generator puts samples."""
    return torch.where(log_q == -math.inf, 0.0, -log_p.exp())


# q times the cost of a sample at D*, whose logit is a = log p − log q.
_COSTS: dict[str, LogDensities] = {
    # log(1 − D) = −softplus(a): Goodfellow et al. 2014, eq. 1.
    "minimax": lambda lp, lq: times(lq, -F.softplus(lp - lq)),
    # −log D = softplus(−a): Goodfellow et al. 2014, section 3.
    "non-saturating": lambda lp, lq: times(lq, F.softplus(lq - lp)),
    # −exp(σ⁻¹(D)) = −exp(a): Goodfellow 2014; 2016, section 3.2.4.
    "maximum likelihood": _maximum_likelihood_density,
}

_FOLLOWED: dict[str, Callable[..., float]] = {
    "minimax": lambda p, q, tol: 2 * jensen_shannon(p, q, tolerance=tol),
    "non-saturating": lambda p, q, tol: (
        kl_divergence(q, p, tolerance=tol) - 2 * jensen_shannon(p, q, tolerance=tol)
    ),
    "maximum likelihood": lambda p, q, tol: kl_divergence(p, q, tolerance=tol),
}

#: A number to the distribution of the generator, differentiable by torch.
GeneratorFamily = Callable[[Tensor], Any]


def generator_cost(loss: str, p: object, q: object, *, tolerance: float = TOLERANCE) -> float:
    """The generator's cost at D = D*(p, q), in nats (``maximum likelihood``: a pure number).

    Args:
        loss: ``minimax``, E_q log(1 − D*); ``non-saturating``, −E_q log D*; or ``maximum
            likelihood``, −E_q exp(σ⁻¹(D*)), which is −1 for every q that covers p.
        p: the law of the data.
        q: the law of the generator.
        tolerance: as in :func:`f_divergence`.

    Raises:
        ValueError: ``loss`` is unknown, or as :func:`f_divergence`.
        IntegrationError: as in :func:`f_divergence`.
    """
    cost = _COSTS[one_of("loss", loss, _COSTS)]
    first, second = read_pair(p, q)
    what = f"the {loss} cost"
    return integrate(what, lambda _, lp, lq: cost(lp, lq), first, second, tolerance)


def generator_gradient(
    loss: str,
    p: object,
    generator_family: GeneratorFamily,
    parameter: float,
    *,
    tolerance: float = TOLERANCE,
) -> float:
    """d/dθ of the generator's cost at *fixed* D = D*(p, q_θ): what one step of G follows.

    D stays as it is, only the samples move: the gradient is E_q[cost(D*(x)) d/dθ log q_θ(x)].
    It equals :func:`followed_gradient` (Goodfellow et al. 2014, theorem 1; Arjovsky & Bottou
    2017, theorem 2.5; Goodfellow 2016, section 3.2.4).

    Args:
        loss: ``minimax``, ``non-saturating`` or ``maximum likelihood``.
        p: the law of the data.
        generator_family: θ, a float64 tensor of shape ``()``, to the distribution q_θ.
        parameter: the θ at which to differentiate.
        tolerance: as in :func:`f_divergence`.

    Raises:
        ValueError: ``loss`` is unknown, the support of q_θ moves with θ (the formula above
            does not hold then), or as :func:`f_divergence`.
        IntegrationError: as in :func:`f_divergence`.
    """
    cost = _COSTS[one_of("loss", loss, _COSTS)]
    theta = torch.tensor(number("parameter", parameter), dtype=torch.float64)
    function("generator_family", generator_family)
    first, second = read_pair(p, generator_family(theta))
    _check_still(generator_family, theta, second)

    def integrand(points: Tensor, log_p: Tensor, log_q: Tensor) -> Tensor:
        weight = cost(log_p, log_q)
        score = _score(generator_family, theta, points)
        return torch.where(weight == 0, 0.0, weight * score)

    return integrate(f"the {loss} gradient", integrand, first, second, tolerance)


def _score(generator_family: GeneratorFamily, theta: Tensor, points: Tensor) -> Tensor:
    """d/dθ log q_θ at ``points``, shape ``(n, dim)`` to ``(n,)``."""
    variable = theta.clone().requires_grad_()
    log_q = log_density(in_double(generator_family(variable)), points)
    if not log_q.requires_grad:
        raise ValueError(
            f"generator_family = {shown(generator_family)}: must compute its log_prob from the "
            "parameter with torch"
        )
    # Backward twice: Σ wᵢ dlog qᵢ/dθ is linear in w, and its slope in wᵢ is what we want.
    w = torch.zeros_like(log_q, requires_grad=True)
    (weighted,) = torch.autograd.grad(log_q, variable, grad_outputs=w, create_graph=True)
    (score,) = torch.autograd.grad(weighted, w)
    return score


def _check_still(generator_family: GeneratorFamily, theta: Tensor, here: Density) -> None:
    near = read("generator_family(parameter)", generator_family(theta + 1e-6 * (1 + theta.abs())))
    if not (torch.equal(near.lower, here.lower) and torch.equal(near.upper, here.upper)):
        raise ValueError(
            f"generator_family = {shown(generator_family)}: its support must not move with the "
            f"parameter, as it does at {float(theta)}"
        )


def followed_divergence(loss: str, p: object, q: object, *, tolerance: float = TOLERANCE) -> float:
    """The divergence whose gradient a generator's cost has at D = D*, in nats.

    Args:
        loss: ``minimax``: 2 JS(p, q). ``non-saturating``: KL(q‖p) − 2 JS(p, q).
            ``maximum likelihood``: KL(p‖q).
        p: the law of the data.
        q: the law of the generator.
        tolerance: as in :func:`f_divergence`.

    Raises:
        ValueError: ``loss`` is unknown, or as :func:`f_divergence`.
        IntegrationError: as in :func:`f_divergence`.
    """
    return _FOLLOWED[one_of("loss", loss, _FOLLOWED)](p, q, tolerance)


def followed_gradient(
    loss: str,
    p: object,
    generator_family: GeneratorFamily,
    parameter: float,
    *,
    step: float = 5e-3,
    tolerance: float = TOLERANCE,
) -> float:
    """d/dθ of :func:`followed_divergence`, by differences of its values alone.

    Nothing is shared with :func:`generator_gradient`: D* moves along with θ here. Central
    differences over ``step`` and half of it are extrapolated (Richardson 1911), which leaves
    an error of the order of ``step⁴``.

    Args:
        loss: as in :func:`followed_divergence`.
        p: the law of the data.
        generator_family: θ, a float64 tensor of shape ``()``, to the distribution q_θ.
        parameter: the θ at which to differentiate.
        step: how far θ moves; it should be small beside the scale of q_θ.
        tolerance: of each divergence, as in :func:`f_divergence`.

    Raises:
        ValueError: ``loss`` is unknown, ``step`` or ``parameter`` out of range, or as
            :func:`f_divergence`.
        IntegrationError: as in :func:`f_divergence`.
    """
    step = number("step", step, above=0)
    parameter = number("parameter", parameter)
    function("generator_family", generator_family)

    def at(offset: float) -> float:
        theta = torch.tensor(parameter + offset, dtype=torch.float64)
        return followed_divergence(loss, p, generator_family(theta), tolerance=tolerance)

    wide, narrow = ((at(h) - at(-h)) / (2 * h) for h in (step, step / 2))
    slope = (4 * narrow - wide) / 3
    if not math.isfinite(slope):
        what = f"the gradient that {loss} follows"
        raise IntegrationError(what, "the divergence is infinite", math.inf, tolerance)
    return slope


# --- Wasserstein --------------------------------------------------------------------------


def wasserstein1(p: object, q: object, *, tolerance: float = TOLERANCE) -> float:
    """W1 = ∫ |F_p − F_q| dx, the earth mover's distance on the line (Vallender 1974).

    Args:
        p: the first distribution, 1-D.
        q: the second, 1-D.
        tolerance: as in :func:`f_divergence`.

    Returns:
        The distance, in units of x; ``inf`` if the tails are too far apart.

    Raises:
        ValueError: p or q is not 1-D, or as :func:`f_divergence`.
        IntegrationError: as in :func:`f_divergence`.
    """
    first, second = read_pair(p, q)
    if first.dim != 1:
        raise ValueError(f"p has event_shape {first.event_shape}: W1 is computed in 1-D only")
    return cdf_distance("W1", first, second, tolerance)
