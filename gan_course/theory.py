"""What the theory says exactly: D*, V, divergences, W1 and generator gradients, by quadrature.

``p`` is the law of the data, ``q`` the law of the generator (p_g in the text). Both are
objects with a ``log_prob``: ``torch.distributions``, the course's targets, or your own.
Every result is in nats, a Python float, computed in float64; parameters stored in float32
keep the value they have there. An infinite result is ``inf``.

Everything is one integral over x, found in two steps. :func:`_break_points` asks both
distributions where their mass is. Between these points :func:`_integrate` refines until it
converges, and it integrates p and q along with the integrand: unless both masses come out
as 1, something was missed, and an :class:`IntegrationError` says so.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from scipy.integrate import quad_vec
from scipy.optimize import minimize_scalar
from torch import Tensor
from torch.distributions import Distribution
from torch.distributions.transforms import Transform

Array = NDArray[np.float64]
#: ``(points, log_p, log_q)``, shapes ``(n, dim)``, ``(n,)``, ``(n,)``, to the integrand ``(n,)``.
Integrand = Callable[[Tensor, Tensor, Tensor], Tensor]
#: ``(log_p, log_q)``, each ``(n,)``, to a density ``(n,)``.
LogDensities = Callable[[Tensor, Tensor], Tensor]

TOLERANCE = 1e-10
#: A total mass further than this from 1 means that a part of it was not found.
MASS_TOLERANCE = 1e-7

# In units of a scale: fine where a density bends, then coarser with its tail.
_LADDER = np.array([0.0, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0])
# Where the tails are cut. log densities stay finite there: squares reach 1e206, not 1e308.
_FAR = 1e100
# Where refining in 2-D gives up: a few seconds of work.
_PANELS = 40_000


class IntegrationError(ArithmeticError):
    """An integral did not reach its tolerance.

    Attributes:
        what: the quantity that was asked for.
        error: how far it is from being known; ``nan`` if that is unknown too.
        tolerance: how near it had to come.
    """

    def __init__(self, what: str, reason: str, error: float, tolerance: float) -> None:
        super().__init__(f"{what}: {reason} (off by {error:.2g}, tolerance {tolerance:.2g})")
        self.what, self.error, self.tolerance = what, error, tolerance


class _InfiniteError(Exception):
    """The integrand is infinite where there is mass."""


# --- Reading a distribution ---------------------------------------------------------------


@dataclass(frozen=True)
class _Density:
    """A distribution as the quadrature sees it.

    Attributes:
        source: the object itself, in float64.
        event_shape: ``()``, ``(1,)`` or ``(2,)``, as the caller's points have it.
        lower: lower corner of the support's bounding box, shape ``(dim,)``.
        upper: its upper corner, shape ``(dim,)``.
        places: where to look for mass: rows of centres and scales, shape ``(k, 2, dim)``.
    """

    source: Any
    event_shape: tuple[int, ...]
    lower: Tensor
    upper: Tensor
    places: Array

    @property
    def dim(self) -> int:
        return self.lower.numel()

    def log_prob(self, points: Tensor) -> Tensor:
        """Log density at ``points``, shape ``(n, dim)`` to ``(n,)``; −inf outside the support."""
        x = points.double()
        value = _log_prob(self.source, x)
        # Without argument checks some log_probs are finite outside their support.
        outside = ((x < self.lower) | (x > self.upper)).any(dim=-1)
        return value.masked_fill(outside, -math.inf)


def _read(name: str, distribution: object) -> _Density:
    """Read a distribution given as the argument ``name``."""
    source = _double_source(distribution)
    shape = tuple(getattr(distribution, "event_shape", ()))
    if not callable(getattr(source, "log_prob", None)):
        raise ValueError(f"{name} = {distribution!r}: must have a log_prob method")
    if math.prod(getattr(source, "batch_shape", ())) != 1:
        raise ValueError(f"{name} = {distribution!r}: must be one distribution, not a batch")
    if shape not in {(), (1,), (2,)}:
        raise ValueError(f"{name} has event_shape {shape}: must be (), (1,) or (2,)")
    dim = math.prod(shape)
    density = _Density(source, shape, *_bounds(source, dim), _places(source, dim))
    if dim == 1 and not len(density.places):
        density = _Density(source, shape, density.lower, density.upper, _climb(density))
    return density


def _log_prob(source: Any, points: Tensor) -> Tensor:
    """Log density at ``points``, shape ``(n, dim)`` to ``(n,)``, as the object itself has it."""
    x = points.reshape(-1, *getattr(source, "event_shape", ()))
    return torch.as_tensor(source.log_prob(x), dtype=torch.float64).reshape(-1)


def _read_pair(p: object, q: object) -> tuple[_Density, _Density]:
    first, second = _read("p", p), _read("q", q)
    if first.dim != second.dim:
        raise ValueError(
            f"q has event_shape {second.event_shape}: "
            f"must have the dimension of p, whose event_shape is {first.event_shape}"
        )
    return first, second


def _double_source(distribution: object) -> Any:
    """The object that has the ``log_prob``; a course's target keeps it as its ``density``."""
    return _in_double(getattr(distribution, "density", distribution))


def _in_double(source: Any) -> Any:
    """Copy a torch distribution with float64 parameters and without checks of its arguments."""
    if isinstance(source, Tensor):
        return source.double() if source.is_floating_point() else source
    if isinstance(source, list):
        return [_in_double(part) for part in source]
    if not isinstance(source, Distribution | Transform):
        return source
    twin = copy.copy(source)
    # A test of the argument would raise at points outside the support, where log p is −inf.
    twin.__dict__.update({key: _in_double(part) for key, part in vars(source).items()})
    twin.__dict__["_validate_args"] = False
    return twin


def _bounds(source: Any, dim: int) -> tuple[Tensor, Tensor]:
    """Corners of the support's bounding box: two tensors of shape ``(dim,)``."""
    support = _ask(source, "support")
    while hasattr(support, "base_constraint"):
        support = support.base_constraint
    if isinstance(support, tuple):
        lower, upper = support
    else:
        lower = getattr(support, "lower_bound", -math.inf)
        upper = getattr(support, "upper_bound", math.inf)
    # A mixture's bounds have a row for each component.
    return _rows(lower, dim).amin(dim=0), _rows(upper, dim).amax(dim=0)


def _rows(value: object, dim: int) -> Tensor:
    tensor = torch.as_tensor(value, dtype=torch.float64).detach().cpu()
    return tensor.expand(1, dim) if tensor.numel() == 1 else tensor.reshape(-1, dim)


def _ask(source: Any, name: str) -> Any:
    """Return an attribute, or the result of a method without arguments; ``None`` if missing."""
    try:
        answer = getattr(source, name)
    except (AttributeError, NotImplementedError):
        return None
    bound_method = callable(answer) and not hasattr(answer, "check")
    return answer() if bound_method else answer


def _places(source: Any, dim: int) -> Array:
    """Every hint at where the mass is: centres and scales, shape ``(k, 2, dim)``."""
    parts = _ask(source, "component_distribution")
    if parts is not None:
        return _places(parts, dim)
    pairs = [(_ask(source, "mean"), _ask(source, "stddev"))]
    pairs += [(_ask(source, "loc"), _ask(source, "scale"))]
    pairs += [_quantiles(source, dim), _middle(_ask(source, "window"))]
    found = [_pair(*pair, dim) for pair in pairs if pair[0] is not None and pair[1] is not None]
    places = np.concatenate([np.empty((0, 2, dim)), *found])
    usable = np.isfinite(places).all(axis=(1, 2)) & (places[:, 1] > 0).all(axis=1)
    return np.asarray(places[usable])


def _pair(centre: object, scale: object, dim: int) -> Array:
    rows = np.broadcast_arrays(_rows(centre, dim).numpy(), _rows(scale, dim).numpy())
    return np.stack(rows, axis=1)


def _quantiles(source: Any, dim: int) -> tuple[Tensor | None, Tensor | None]:
    """Seven quantiles and the gaps around them: they find the modes of a 1-D mixture."""
    level = torch.arange(1, 8, dtype=torch.float64) / 8
    try:
        centre = torch.as_tensor(source.icdf(level)).reshape(7)
    except (AttributeError, NotImplementedError, RuntimeError):  # none, or a batch of components
        return None, None
    return centre, torch.gradient(centre)[0]


def _middle(window: tuple[float, float] | None) -> tuple[float | None, float | None]:
    return (None, None) if window is None else (sum(window) / 2, (window[1] - window[0]) / 8)


def _climb(density: _Density) -> Array:
    """Places of an object that gives no hints: its modes, at every scale, shape ``(k, 2, 1)``.

    The slope of ``log p`` points at a mode from any distance, however narrow the mode.
    """

    def height(x: float) -> float:
        value = float(density.log_prob(torch.tensor([[x]])))
        return max(value, -np.finfo(float).max)

    steps = 2.0 ** np.arange(-10, 41)
    x = np.concatenate([-steps[::-1], [0.0], steps])
    heights = np.array([height(value) for value in x])
    inner = np.flatnonzero((heights[1:-1] >= heights[:-2]) & (heights[1:-1] >= heights[2:])) + 1
    peaks = [
        minimize_scalar(
            lambda v: -height(v),
            bounds=(x[i - 1], x[i + 1]),
            method="bounded",
            options={"xatol": 1e-9},
        ).x
        for i in inner
        if heights[i] > heights[i - 1] or heights[i] > heights[i + 1]
    ]
    scales = 32.0 ** np.arange(-4, 3)
    return np.array([[[m], [s]] for m in [*peaks, 0.0] for s in scales])


# --- Integrating --------------------------------------------------------------------------


def _break_points(p: _Density, q: _Density, axis: int) -> Array:
    """Edges of the pieces between which both densities are smooth, along one axis.

    Around each place a ladder in units of its scale; the ends of the supports; in 1-D,
    ladders of factor 4 on both sides that carry the tails to ``_FAR``.
    """
    places = np.concatenate([p.places, q.places])[:, :, axis]
    if not len(places):
        places = np.array([[0.0, 1.0]])
    centre, scale = places[:, :1], places[:, 1:]
    near = np.unique([centre - scale * _LADDER, centre + scale * _LADDER])
    if p.dim == 2:
        # A curve of hundreds of components needs no panel finer than the finest of them.
        panel = 2 * scale.min()
        near = np.unique(np.round(near / panel)) * panel
    if p.dim == 1:
        middle, reach = (near[0] + near[-1]) / 2, (near[-1] - near[0]) / 2
        far = reach * 4.0 ** np.arange(1, math.log(_FAR / reach, 4))
        near = np.concatenate([middle - far, near, middle + far])
    ends = np.array([[float(d.lower[axis]), float(d.upper[axis])] for d in (p, q)])
    edges = np.concatenate([near, ends[np.isfinite(ends)]])
    return np.unique(edges.clip(ends[:, 0].min(), ends[:, 1].max()))


def _integrate(
    what: str, integrand: Integrand, p: _Density, q: _Density, tolerance: float
) -> float:
    """Integrate over the line or the plane, to ``tolerance`` absolute or 1e-11 relative.

    Raises:
        IntegrationError: it does not converge, or misses a part of p or q.
    """
    if not 0 < tolerance < math.inf:
        raise ValueError(f"tolerance = {tolerance!r}: must be a positive number")
    channels = _channels(what, integrand, p, q, tolerance)
    try:
        sign = _tail_sign(what, channels, p.dim, tolerance)
        if sign:
            return sign * math.inf
        rule = _line if p.dim == 1 else _plane
        totals = rule(what, channels, p, q, tolerance).sum(axis=-1)
    except _InfiniteError as infinite:
        return float(infinite.args[0])
    _check_masses(what, totals)
    return float(totals[0])


def _channels(
    what: str, integrand: Integrand, p: _Density, q: _Density, tolerance: float
) -> Callable[[Array], Array]:
    """The integrand, p and q as one function, shape ``(n, dim)`` to ``(3, n)``."""

    def channels(x: Array) -> Array:
        points = torch.as_tensor(x)
        log_p, log_q = p.log_prob(points), q.log_prob(points)
        value = integrand(points, log_p, log_q)
        if value.isnan().any():
            where = points[value.isnan()][0].tolist()
            raise IntegrationError(what, f"no value at x = {where}", math.nan, tolerance)
        if value.isinf().any():
            raise _InfiniteError(float(value[value.isinf()][0]))
        return np.asarray(torch.stack([value, log_p.exp(), log_q.exp()]).numpy())

    return channels


def _tail_sign(what: str, channels: Callable[[Array], Array], dim: int, tolerance: float) -> int:
    """Return the sign of an integral that the far tails make infinite, else 0.

    A tail ``r^dim |integrand|`` that does not fall from one huge radius to another has an
    infinite integral. The lightest tail that this accepts is a power just beyond 1/r.
    """
    angle = np.arange(32) * (math.pi / 16)
    directions = np.stack([np.cos(angle), np.sin(angle)], axis=-1) if dim == 2 else [[-1.0], [1.0]]
    radii = np.array([_FAR**0.5, _FAR])[:, None, None]
    value = channels((radii * directions).reshape(-1, dim))[0].reshape(2, -1)
    inner, outer = np.abs(value) * radii[..., 0] ** dim
    worst = int(outer.argmax())
    if outer[worst] <= tolerance:
        return 0
    if outer[worst] >= 0.99 * inner[worst]:
        return int(np.sign(value[1, worst]))
    raise IntegrationError(what, "the tails fall too slowly", float(outer[worst]), tolerance)


def _line(
    what: str, channels: Callable[[Array], Array], p: _Density, q: _Density, tolerance: float
) -> Array:
    """Adaptive quadrature over all pieces at once: their integrals, shape ``(3, pieces)``."""
    edges = _break_points(p, q, axis=0)
    return _quad(what, lambda x: channels(x[:, None]), edges, tolerance)


def _quad(what: str, function: Callable[[Array], Array], edges: Array, tolerance: float) -> Array:
    """Integrate ``(pieces,) -> (channels, pieces)`` over every piece between ``edges``.

    Each piece is mapped to 0 < t < 1, so that a single call serves all of them.
    """
    left, width = edges[:-1], np.diff(edges)
    pieces, error, info = quad_vec(
        lambda t: function(left + t * width) * width,
        0,
        1,
        epsabs=tolerance,
        epsrel=1e-11,
        limit=1000,
        full_output=True,
    )
    if not (info.success or error <= 10 * tolerance):
        raise IntegrationError(what, "the quadrature does not converge", float(error), tolerance)
    return np.asarray(pieces)


def _plane(
    what: str, channels: Callable[[Array], Array], p: _Density, q: _Density, tolerance: float
) -> Array:
    """Gauss-Legendre on a grid of panels, each split in four until two orders agree: ``(3, 1)``."""
    panels = _panels(*(_break_points(p, q, axis) for axis in (0, 1)))
    total, spent = np.zeros(3), 0
    while len(panels):
        spent += len(panels)
        fine = _panel_integrals(channels, panels, order=8)
        error = np.abs(fine - _panel_integrals(channels, panels, order=5)).max(axis=0)
        limit = max(tolerance, 1e-11 * float(np.abs(total + fine.sum(axis=1)).max()))
        # The error is that of the lower order; what the higher one leaves is far below.
        unsettled = error > limit / 100
        if unsettled.any() and spent > _PANELS:
            raise IntegrationError(
                what, "the grid does not converge", float(error[unsettled].sum()), tolerance
            )
        total += fine[:, ~unsettled].sum(axis=1)
        panels = _quarters(panels[unsettled])
    return total[:, None]


def _panels(x: Array, y: Array) -> Array:
    """The grid between the edges x and y: rows of a centre and half widths, ``(panels, 2, 2)``."""
    middle = np.meshgrid((x[1:] + x[:-1]) / 2, (y[1:] + y[:-1]) / 2)
    half = np.meshgrid(np.diff(x) / 2, np.diff(y) / 2)
    return np.stack([np.stack(middle, axis=-1), np.stack(half, axis=-1)], axis=-2).reshape(-1, 2, 2)


def _quarters(panels: Array) -> Array:
    """Split every panel in four."""
    half = panels[:, 1] / 2
    corners = [panels[:, 0] + half * sign for sign in ([-1, -1], [-1, 1], [1, -1], [1, 1])]
    return np.concatenate([np.stack([corner, half], axis=1) for corner in corners])


def _panel_integrals(channels: Callable[[Array], Array], panels: Array, order: int) -> Array:
    """The integral over every panel, shape ``(3, panels)``; some panels at a time save memory."""
    node, weight = np.polynomial.legendre.leggauss(order)
    nodes = np.stack(np.meshgrid(node, node), axis=-1).reshape(-1, 2)
    weights = np.outer(weight, weight).ravel()
    parts = []
    for chunk in np.array_split(panels, 1 + len(panels) * len(weights) // 2**16):
        points = chunk[:, None, 0] + chunk[:, None, 1] * nodes
        values = channels(points.reshape(-1, 2)).reshape(3, len(chunk), -1)
        parts.append(values @ weights * chunk[:, 1].prod(axis=1))
    return np.concatenate(parts, axis=1)


def _check_masses(what: str, totals: Array) -> None:
    for name, mass in zip("pq", totals[1:], strict=True):
        if not abs(mass - 1) <= MASS_TOLERANCE:
            raise IntegrationError(
                what,
                f"found a mass of {mass:.6g} in {name} where a density has 1; if {name} is "
                "normalised, a mean and stddev, an icdf or a support would say where it is",
                abs(mass - 1),
                MASS_TOLERANCE,
            )


def _times(log_mass: Tensor, value: Tensor) -> Tensor:
    """``exp(log_mass) · value``, and 0 where there is no mass, whatever the value."""
    mass = log_mass.exp()
    return torch.where(mass == 0, 0.0, mass * value)


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
        _times(log_p, math.log(2) + F.logsigmoid(logit))
        + _times(log_q, math.log(2) + F.logsigmoid(-logit))
    ) / 2


#: KL(p‖q) = E_p log(p/q).
KL = ConvexFunction("KL", lambda t: torch.xlogy(t, t), lambda lp, lq: _times(lp, lp - lq))
#: Reverse KL: KL(q‖p) = E_q log(q/p).
REVERSE_KL = ConvexFunction("reverse KL", lambda t: -t.log(), lambda lp, lq: _times(lq, lq - lp))
#: Jensen-Shannon, with its halves: at most log 2 (Goodfellow et al. 2014, eq. 6).
JS = ConvexFunction("JS", _js_f, _js_density)
#: Pearson's χ² = E_q (p/q − 1)².
PEARSON = ConvexFunction(
    "Pearson χ²",
    lambda t: (t - 1).square(),
    # (p − q)² / q, with the larger of p and q taken out before anything overflows.
    lambda lp, lq: torch.where(
        lp > lq,
        _times(2 * lp - lq, torch.expm1(lq - lp).square()),
        _times(lq, torch.expm1(lp - lq).square()),
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
        ValueError: f(1) is not 0, or p or q is no single 1-D or 2-D density.
        IntegrationError: the tolerance was not reached, or mass of p or q was not found.
    """
    first, second = _read_pair(p, q)
    f = f if isinstance(f, ConvexFunction) else _from_ratio(f)
    at_zero, at_infinity = _limits(f)
    # Where q is 0, p may be too small for a float and yet not be 0; and the other way round.
    if at_infinity == math.inf and _overhangs(first, second):
        return math.inf
    if at_zero == math.inf and _overhangs(second, first):
        return math.inf
    return _integrate(f.name, lambda _, lp, lq: f.density(lp, lq), first, second, tolerance)


def _overhangs(inner: _Density, outer: _Density) -> bool:
    """Whether the declared support of ``inner`` leaves that of ``outer``."""
    return bool(((inner.lower < outer.lower) | (inner.upper > outer.upper)).any())


def _limits(f: Callable[[Tensor], Tensor]) -> tuple[float, float]:
    """Limits of f(t) for t → 0 and of f(t)/t for t → ∞; ``inf`` if they do not settle."""
    t = torch.tensor([1e-150, 1e-300, 1e150, 1e300], dtype=torch.float64)
    value = f(t) / torch.where(t > 1, t, 1.0)
    settled = (value[1::2] - value[::2]).abs() <= 1e-9
    zero, infinity = torch.where(settled, value[1::2], math.inf).tolist()
    return zero, infinity


def _from_ratio(f: Callable[[Tensor], Tensor]) -> ConvexFunction:
    """Turn a bare f(t) into one that works on log densities, as far as f's limits allow."""
    name = getattr(f, "__name__", repr(f))
    at_one = float(f(torch.ones(1, dtype=torch.float64)))
    if not abs(at_one) <= 1e-12:
        raise ValueError(f"f = {name}: f(1) must be 0, not {at_one}")
    at_zero, at_infinity = _limits(f)

    def density(log_p: Tensor, log_q: Tensor) -> Tensor:
        """Compute q f(t), or p f(t)/t where t > 1; the limits serve where one of them is 0."""
        gap = log_p - log_q
        t = gap.clamp(-345, 345).exp()
        on_q = torch.where(gap == -math.inf, at_zero, f(t))
        on_p = torch.where(gap == math.inf, at_infinity, f(t) / t)
        value = torch.where(gap > 0, _times(log_p, on_p), _times(log_q, on_q))
        # Where t leaves float64 an f without a limit is unknown: say so, if it matters.
        unknown = ((gap < -345) & (at_zero == math.inf)) | ((gap > 345) & (at_infinity == math.inf))
        return value.masked_fill(unknown & gap.isfinite() & (value.abs() > 1e-30), math.nan)

    return ConvexFunction(name, f, density)


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
        """D at ``x``, a probability; shape ``(..., *event_shape)`` to ``(...)``."""
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
    if not 0 <= fake_target < real_target <= 1:
        raise ValueError(
            f"real_target = {real_target!r}, fake_target = {fake_target!r}: "
            "must be 0 ≤ fake_target < real_target ≤ 1"
        )
    first, second = _read_pair(p, q)

    def logit(x: Tensor) -> Tensor:
        points = x.reshape(-1, first.dim)
        log_p, log_q = first.log_prob(points), second.log_prob(points)
        real = torch.logaddexp(_scaled(log_p, real_target), _scaled(log_q, fake_target))
        fake = torch.logaddexp(_scaled(log_p, 1 - real_target), _scaled(log_q, 1 - fake_target))
        return (real - fake).reshape(x.shape[: x.dim() - len(first.event_shape)]).to(x.dtype)

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
    first, second = _read_pair(p, q)

    def integrand(points: Tensor, log_p: Tensor, log_q: Tensor) -> Tensor:
        log_d, log_not_d = _log_odds(discriminator, points.reshape(-1, *first.event_shape))
        return _expected_log(log_p, log_d) + _expected_log(log_q, log_not_d)

    return _integrate("V(D, G)", integrand, first, second, tolerance)


def _expected_log(log_mass: Tensor, log_d: Tensor) -> Tensor:
    """Density of E log D; a D that rounds to 0 where hardly a sample falls does not count."""
    return _times(log_mass.masked_fill((log_d == -math.inf) & (log_mass < -28), -math.inf), log_d)


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
    "minimax": lambda lp, lq: _times(lq, -F.softplus(lp - lq)),
    # −log D = softplus(−a): Goodfellow et al. 2014, section 3.
    "non-saturating": lambda lp, lq: _times(lq, F.softplus(lq - lp)),
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


def _known(loss: str) -> str:
    if loss not in _COSTS:
        raise ValueError(f"loss = {loss!r}: must be one of {sorted(_COSTS)}")
    return loss


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
    cost = _COSTS[_known(loss)]
    first, second = _read_pair(p, q)
    what = f"the {loss} cost"
    return _integrate(what, lambda _, lp, lq: cost(lp, lq), first, second, tolerance)


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
    cost = _COSTS[_known(loss)]
    theta = torch.tensor(float(parameter), dtype=torch.float64)
    first, second = _read_pair(p, generator_family(theta))
    _check_still(generator_family, theta, second)

    def integrand(points: Tensor, log_p: Tensor, log_q: Tensor) -> Tensor:
        weight = cost(log_p, log_q)
        score = _score(generator_family, theta, points)
        return torch.where(weight == 0, 0.0, weight * score)

    return _integrate(f"the {loss} gradient", integrand, first, second, tolerance)


def _score(generator_family: GeneratorFamily, theta: Tensor, points: Tensor) -> Tensor:
    """d/dθ log q_θ at ``points``, shape ``(n, dim)`` to ``(n,)``."""
    variable = theta.clone().requires_grad_()
    log_q = _log_prob(_double_source(generator_family(variable)), points)
    if not log_q.requires_grad:
        raise ValueError(
            f"generator_family = {generator_family!r}: must compute its log_prob from the "
            "parameter with torch"
        )
    # Backward twice: Σ wᵢ dlog qᵢ/dθ is linear in w, and its slope in wᵢ is what we want.
    w = torch.zeros_like(log_q, requires_grad=True)
    (weighted,) = torch.autograd.grad(log_q, variable, grad_outputs=w, create_graph=True)
    (score,) = torch.autograd.grad(weighted, w)
    return score


def _check_still(generator_family: GeneratorFamily, theta: Tensor, here: _Density) -> None:
    near = _read("generator_family(parameter)", generator_family(theta + 1e-6 * (1 + theta.abs())))
    if not (torch.equal(near.lower, here.lower) and torch.equal(near.upper, here.upper)):
        raise ValueError(
            f"generator_family = {generator_family!r}: its support must not move with the "
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
    return _FOLLOWED[_known(loss)](p, q, tolerance)


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
        ValueError: ``loss`` is unknown, ``step`` is not positive, or as :func:`f_divergence`.
        IntegrationError: as in :func:`f_divergence`.
    """
    if not step > 0:
        raise ValueError(f"step = {step!r}: must be positive")

    def at(offset: float) -> float:
        theta = torch.tensor(float(parameter) + offset, dtype=torch.float64)
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
    what = "W1"
    first, second = _read_pair(p, q)
    if first.dim != 1:
        raise ValueError(f"p has event_shape {first.event_shape}: W1 is computed in 1-D only")

    def surplus(points: Tensor, log_p: Tensor, log_q: Tensor) -> Tensor:
        return log_p.exp() - log_q.exp()

    def moment(points: Tensor, log_p: Tensor, log_q: Tensor) -> Tensor:
        return points[:, 0].abs() * surplus(points, log_p, log_q)

    if _tail_sign(what, _channels(what, moment, first, second, tolerance), 1, tolerance):
        return math.inf
    channels = _channels(what, surplus, first, second, tolerance)
    pieces = _line(what, channels, first, second, tolerance)
    _check_masses(what, pieces.sum(axis=-1))
    edges = _break_points(first, second, axis=0)
    gap = _cumulative_gap(what, lambda x: channels(x[:, None])[0], edges, pieces, tolerance)
    return float(_quad(what, lambda x: np.abs(gap(x)), edges, tolerance).sum())


def _cumulative_gap(
    what: str,
    surplus: Callable[[Array], Array],
    edges: Array,
    pieces: Array,
    tolerance: float,
) -> Callable[[Array], Array]:
    """F_p − F_q at one x in each piece, from the integrals of p − q over the pieces.

    A cdf near 1 has lost its tail to rounding. We add up from the left below the median of
    p and q together and from the right above it, so that both tails keep their digits.
    """
    node, weight = np.polynomial.legendre.leggauss(24)
    cumulative = np.cumsum(pieces, axis=-1) - pieces
    from_right = -np.cumsum(pieces[0, ::-1])[::-1]
    start = np.where(cumulative[1] + cumulative[2] < 1, cumulative[0], from_right)

    def gap(x: Array) -> Array:
        half = (x - edges[:-1]) / 2
        x_inside = edges[:-1, None] + half[:, None] * (1 + node)
        return start + half * (surplus(x_inside.ravel()).reshape(x_inside.shape) @ weight)

    mismatch = float(np.max(np.abs(gap(edges[1:]) - start - pieces[0])))
    if mismatch > tolerance:
        raise IntegrationError(what, "a density jumps inside its support", mismatch, tolerance)
    return gap
