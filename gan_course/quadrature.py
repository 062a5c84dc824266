"""Integrals over the line and the plane of what two densities have there.

Everything is one integral over x, found in two steps. The break points ask both densities
where their mass is, and where their supports end. Between these points :func:`integrate`
refines until it converges, and it integrates p and q along with the integrand: unless both
masses come out as 1, something was missed, and an :class:`IntegrationError` says so. That
holds for an infinite result, too.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gan_course.arguments import number
from gan_course.densities import Array, Density

#: ``(points, log_p, log_q)``, shapes ``(n, dim)``, ``(n,)``, ``(n,)``, to the integrand ``(n,)``.
Integrand = Callable[[Tensor, Tensor, Tensor], Tensor]
#: Points ``(n, dim)`` to four rows ``(4, n)``: the integrand, p, q, and the mass on which the
#: integrand is infinite, with the sign that it has there; the first row is 0 there.
Channels = Callable[[Array], Array]

TOLERANCE = 1e-10
#: A total mass further than this from 1 means that a part of it was not found.
MASS_TOLERANCE = 1e-7
#: An integrand that is infinite on less mass than this met an underflow, not a zero. What it
#: should have had there, at the most 745 times as much, is below the tolerance.
INFINITE_MASS = 1e-13

# In units of a scale: fine where a density bends, then coarser with its tail.
_LADDER = np.array([0.0, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0])
# Where the tails are cut. log densities stay finite there: squares reach 1e206, not 1e308.
_FAR = 1e100
# Where refining in 2-D gives up: a few seconds of work.
_PANELS = 40_000
# A mass that has underflowed, and is still not 0; as wide as the line it comes to nothing.
_NEXT_TO_NOTHING = 1e-250
# How often a piece of the line is halved that has a jump: as often as it can be.
_SPLITS = 60
# More pieces than this with a jump at once are no jumps: the tolerance is out of reach.
_JUMPS = 100


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


def integrate(what: str, integrand: Integrand, p: Density, q: Density, tolerance: float) -> float:
    """Integrate over the line or the plane, to ``tolerance`` absolute or 1e-11 relative.

    Args:
        what: the quantity, for the message of an error.
        integrand: ``(points, log_p, log_q)`` to values, of shapes ``(n, dim)``, ``(n,)``,
            ``(n,)`` and ``(n,)``.
        p: the first density.
        q: the second, of the same dimension.
        tolerance: how near the result must come. Beside an end of a support, other than 0,
            where a density is infinite, the mass within a few roundings of it takes over.

    Returns:
        The integral; ``inf`` or ``-inf`` where the integrand is infinite on a set that has
        mass, or its tails have no end.

    Raises:
        ValueError: the tolerance is no positive number.
        IntegrationError: it does not converge, or misses a part of p or q.
    """
    number("tolerance", tolerance, above=0)
    channels = _channels(what, integrand, p, q, tolerance)
    sign = _tail_sign(what, channels, p.dim, tolerance)
    if sign:  # infinite, if p and q are densities; what they are must be seen to be one
        channels = _channels(what, lambda points, log_p, log_q: 0 * log_p.exp(), p, q, tolerance)
    if p.dim == 1:
        pieces = Pieces(_break_points(p, q, axis=0), p, q)
        totals = pieces.integrals(what, channels, _attainable(p, q, tolerance)).sum(axis=-1)
    elif sign:  # the grid ends somewhere, a tail like this does not
        return sign * math.inf
    else:
        totals = _plane(what, channels, p, q, tolerance)
    _check_masses(what, totals)
    if not sign and abs(totals[3]) > INFINITE_MASS:
        sign = int(np.sign(totals[3]))
    return sign * math.inf if sign else float(totals[0])


def _channels(
    what: str, integrand: Integrand, p: Density, q: Density, tolerance: float
) -> Channels:
    def channels(x: Array) -> Array:
        points = torch.as_tensor(x)
        log_p, log_q = p.log_prob(points), q.log_prob(points)
        value = integrand(points, log_p, log_q)
        unknown = value.isnan() | (log_p == math.inf) | (log_q == math.inf)
        if unknown.any():
            where = points[unknown][0].tolist()
            raise IntegrationError(what, f"no value at x = {where}", math.nan, tolerance)
        mass = torch.maximum(log_p, log_q).exp().clamp(min=_NEXT_TO_NOTHING)
        infinite = torch.where(value.isinf(), value.sign() * mass, 0.0)
        finite = value.masked_fill(value.isinf(), 0.0)
        return np.asarray(torch.stack([finite, log_p.exp(), log_q.exp(), infinite]).numpy())

    return channels


def _tail_sign(what: str, channels: Channels, dim: int, tolerance: float) -> int:
    """Return the sign of an integral that the far tails make infinite, else 0.

    A tail ``r^dim |integrand|`` that does not fall from one huge radius to another has an
    infinite integral. The lightest tail that this accepts is a power just beyond 1/r.
    """
    angle = np.arange(32) * (math.pi / 16)
    directions = np.stack([np.cos(angle), np.sin(angle)], axis=-1) if dim == 2 else [[-1.0], [1.0]]
    radii = np.array([_FAR**0.5, _FAR])[:, None, None]
    rows = channels((radii * directions).reshape(-1, dim))
    if rows[3].any():
        return int(np.sign(rows[3].sum()))
    value = rows[0].reshape(2, -1)
    inner, outer = np.abs(value) * radii[..., 0] ** dim
    worst = int(outer.argmax())
    if outer[worst] <= tolerance:
        return 0
    if outer[worst] >= 0.99 * inner[worst]:
        return int(np.sign(value[1, worst]))
    raise IntegrationError(what, "the tails fall too slowly", float(outer[worst]), tolerance)


def _attainable(p: Density, q: Density, tolerance: float) -> float:
    """The tolerance, or the mass that floating point cannot tell from an end of a support.

    Near an end other than 0 the distance to it has the rounding error of x. That matters where
    a density is infinite: of Beta(½, ½), 1e-8 lies within a few roundings of 1.
    """
    ends = _finite_ends(p, q, axis=0)
    steps = 4 * np.spacing(np.abs(ends)) * np.array([[-1.0], [1.0]])
    points = torch.from_numpy((ends + steps).reshape(-1, 1))
    if not len(points):
        return tolerance
    near = max(
        float(d.log_prob(points).exp().mul(torch.from_numpy(np.abs(steps)).ravel()).sum())
        for d in (p, q)
    )
    return max(tolerance, 8 * near)


def _break_points(p: Density, q: Density, axis: int) -> Array:
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
    low = min(float(d.lower[:, axis].min()) for d in (p, q))
    high = max(float(d.upper[:, axis].max()) for d in (p, q))
    return np.unique(np.concatenate([near, _finite_ends(p, q, axis)]).clip(low, high))


def _finite_ends(p: Density, q: Density, axis: int) -> Array:
    ends = torch.cat([corner[:, axis] for d in (p, q) for corner in (d.lower, d.upper)])
    return np.asarray(ends[ends.isfinite()].numpy())


class Pieces:
    """The line cut in pieces, each the image of 0 < t < 1, so that one call serves all.

    Next to an end of a support, where a density may be infinite like a power of the distance,
    the distance is the square of t or of 1 − t. There x may round to the end itself, which is
    no point of a piece.

    Args:
        edges: where to cut, ascending, shape ``(pieces + 1,)``.
        p: the first density, 1-D.
        q: the second.
    """

    def __init__(self, edges: Array, p: Density, q: Density) -> None:
        ends = _finite_ends(p, q, axis=0)
        at_end = np.isin(edges, ends)
        both = at_end[:-1] & at_end[1:]
        self.edges = np.unique(np.concatenate([edges, (edges[:-1] + edges[1:])[both] / 2]))
        self.left, self.right = self.edges[:-1], self.edges[1:]
        self.width = np.diff(self.edges)
        at_end = np.isin(self.edges, ends)
        self._from_left, self._from_right = at_end[:-1], at_end[1:]
        step = self.width * 2.0**-54
        self._first = np.maximum(np.nextafter(self.left, self.right), self.left + step)
        self._last = np.minimum(np.nextafter(self.right, self.left), self.right - step)

    def x(self, t: Array | float) -> Array:
        """Points of all pieces, t of shape ``(...)`` or ``(..., pieces)`` to ``(..., pieces)``."""
        from_left = self.left + self.width * np.where(self._from_left, np.square(t), t)
        from_right = self.right - self.width * np.square(np.subtract(1, t))
        x = np.where(self._from_right, from_right, from_left)
        inside = np.where(x >= self.right, self._last, x)
        return np.asarray(np.where(x <= self.left, self._first, inside))

    def slope(self, t: Array | float) -> Array:
        """dx/dt, of the shape of :meth:`x`."""
        factor = np.where(self._from_right, np.multiply(2, np.subtract(1, t)), 1.0)
        return np.asarray(self.width * np.where(self._from_left, np.multiply(2, t), factor))

    def integrals(self, what: str, channels: Channels, tolerance: float) -> Array:
        """Adaptive quadrature over all pieces at once: their integrals, ``(channels, pieces)``."""
        return self.quad(what, lambda t: channels(self.x(t)[:, None]) * self.slope(t), tolerance)

    def quad(self, what: str, function: Callable[[float], Array], tolerance: float) -> Array:
        """Integrate a function of t, values ``(..., pieces)``, over 0 < t < 1.

        Raises:
            IntegrationError: it does not converge.
        """
        from scipy.integrate import quad_vec  # noqa: PLC0415  # a third of the import's time

        with np.errstate(over="ignore"):  # the square of a number far out, in a norm
            pieces, error, info = quad_vec(
                function, 0, 1, epsabs=tolerance, epsrel=1e-11, limit=1000, full_output=True
            )
        if not (info.success or error <= 10 * tolerance):
            raise IntegrationError(
                what, "the quadrature does not converge", float(error), tolerance
            )
        return np.asarray(pieces)


def _plane(what: str, channels: Channels, p: Density, q: Density, tolerance: float) -> Array:
    """Gauss-Legendre on a grid of panels, each split in four until two orders agree: ``(4,)``."""
    panels = _panels(*(_break_points(p, q, axis) for axis in (0, 1)))
    total, spent = np.zeros(4), 0
    while len(panels):
        spent += len(panels)
        fine = _panel_integrals(channels, panels, order=8)
        gap = np.abs(fine - _panel_integrals(channels, panels, order=5))
        sums = np.abs(total + fine.sum(axis=1))
        # Where the integral is infinite, only the masses are left to be found.
        needed = slice(1, 3) if sums[3] > INFINITE_MASS else slice(0, 3)
        error = gap[needed].max(axis=0)
        limit = max(tolerance, 1e-11 * float(sums[needed].max()))
        # The error is that of the lower order; what the higher one leaves is far below.
        unsettled = error > limit / 100
        if unsettled.any() and spent > _PANELS:
            raise IntegrationError(
                what, "the grid does not converge", float(error[unsettled].sum()), tolerance
            )
        total += fine[:, ~unsettled].sum(axis=1)
        panels = _quarters(panels[unsettled])
    return total


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


def _panel_integrals(channels: Channels, panels: Array, order: int) -> Array:
    """The integral over every panel, shape ``(4, panels)``; some panels at a time save memory."""
    node, weight = np.polynomial.legendre.leggauss(order)
    nodes = np.stack(np.meshgrid(node, node), axis=-1).reshape(-1, 2)
    weights = np.outer(weight, weight).ravel()
    parts = []
    for chunk in np.array_split(panels, 1 + len(panels) * len(weights) // 2**16):
        points = chunk[:, None, 0] + chunk[:, None, 1] * nodes
        values = channels(points.reshape(-1, 2)).reshape(4, len(chunk), -1)
        parts.append(values @ weights * chunk[:, 1].prod(axis=1))
    return np.concatenate(parts, axis=1)


def _check_masses(what: str, totals: Array) -> None:
    for name, mass in zip("pq", totals[1:3], strict=True):
        if not abs(mass - 1) <= MASS_TOLERANCE:
            raise IntegrationError(
                what,
                f"found a mass of {mass:.6g} in {name} where a density has 1; if {name} is "
                "normalised, a mean and stddev, an icdf or a support would say where it is",
                abs(mass - 1),
                MASS_TOLERANCE,
            )


def times(log_mass: Tensor, value: Tensor) -> Tensor:
    """``exp(log_mass) · value``, and 0 where there is no mass, whatever the value."""
    mass = log_mass.exp()
    return torch.where(mass == 0, 0.0, mass * value)


# --- The distance of two distribution functions -------------------------------------------


def cdf_distance(what: str, p: Density, q: Density, tolerance: float) -> float:
    """∫ |F_p − F_q| dx of two 1-D densities.

    Args:
        what: the quantity, for the message of an error.
        p: the first density, 1-D.
        q: the second.
        tolerance: how near the result must come.

    Returns:
        The integral; ``inf`` if the tails are too far apart.

    Raises:
        ValueError: the tolerance is no positive number.
        IntegrationError: it does not converge, or misses a part of p or q.
    """

    def surplus(points: Tensor, log_p: Tensor, log_q: Tensor) -> Tensor:
        return log_p.exp() - log_q.exp()

    def moment(points: Tensor, log_p: Tensor, log_q: Tensor) -> Tensor:
        return points[:, 0].abs() * surplus(points, log_p, log_q)

    number("tolerance", tolerance, above=0)
    infinite = _tail_sign(what, _channels(what, moment, p, q, tolerance), 1, tolerance)
    channels = _channels(what, surplus, p, q, tolerance)
    pieces = Pieces(_break_points(p, q, axis=0), p, q)
    tolerance = _attainable(p, q, tolerance)
    masses = pieces.integrals(what, channels, tolerance)
    _check_masses(what, masses.sum(axis=-1))
    if infinite:
        return math.inf
    for _ in range(_SPLITS):
        gap = _cdf_gap(pieces, channels, masses)
        # The rule within a piece must come to what the adaptive one found for all of it.
        ends = np.ones_like(pieces.width)
        off = np.abs(gap(ends) - gap(0 * ends) - masses[0])
        jumps = (off > tolerance) & (off * pieces.width > tolerance / 10)
        if not jumps.any():
            return _area(what, pieces, gap, tolerance)
        if jumps.sum() > _JUMPS:
            break
        middle = pieces.x(0.5)[jumps]
        pieces = Pieces(np.sort(np.concatenate([pieces.edges, middle])), p, q)
        masses = pieces.integrals(what, channels, tolerance)
    raise IntegrationError(
        what,
        "a density jumps inside its support, or too much is asked",
        float(off.max()),
        tolerance,
    )


def _area(what: str, pieces: Pieces, gap: Callable[[Any], Array], tolerance: float) -> float:
    """∫ |gap| dx."""
    return float(pieces.quad(what, lambda t: np.abs(gap(t)) * pieces.slope(t), tolerance).sum())


def _cdf_gap(pieces: Pieces, channels: Channels, masses: Array) -> Callable[[Any], Array]:
    """F_p − F_q at one t in each piece, from the integrals of p − q over the pieces.

    A cdf near 1 has lost its tail to rounding. We add up from the left below the median of
    p and q together and from the right above it, so that both tails keep their digits.
    """
    node, weight = np.polynomial.legendre.leggauss(24)
    cumulative = np.cumsum(masses, axis=-1) - masses
    from_right = -np.cumsum(masses[0, ::-1])[::-1]
    start = np.where(cumulative[1] + cumulative[2] < 1, cumulative[0], from_right)

    def gap(t: Any) -> Array:
        within = np.multiply(t, (1 + node[:, None]) / 2)  # (nodes, pieces), or (nodes, 1)
        x = pieces.x(within)
        surplus = channels(x.reshape(-1, 1))[0].reshape(x.shape) * pieces.slope(within)
        return np.asarray(start + np.multiply(t, weight @ surplus) / 2)

    return gap
