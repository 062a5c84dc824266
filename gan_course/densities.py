"""A distribution as an integral needs it: a log density, a support, and hints at its mass.

It is any object with a ``log_prob``: ``torch.distributions``, the course's targets, or your
own. It is read in float64; parameters stored in float32 keep the value they have there. Hints
that help to find its mass, all optional: ``mean`` and ``stddev``, ``loc`` and ``scale``,
``icdf``, ``support``, ``window``, ``event_shape``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.distributions import (
    Categorical,
    Distribution,
    Independent,
    MixtureSameFamily,
    MultivariateNormal,
    TransformedDistribution,
    VonMises,
    constraints,
)
from torch.distributions.transforms import Transform
from torch.distributions.utils import lazy_property

from gan_course.arguments import shown

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Density:
    """A distribution as the quadrature sees it.

    Attributes:
        source: the object itself, in float64.
        event_shape: ``()``, ``(1,)`` or ``(2,)``, as the caller's points have it.
        lower: lower corners of the boxes that hold the support, one for each component of a
            mixture, shape ``(boxes, dim)``.
        upper: their upper corners, shape ``(boxes, dim)``.
        places: where to look for mass: rows of centres and scales, shape ``(k, 2, dim)``.
    """

    source: Any
    event_shape: tuple[int, ...]
    lower: Tensor
    upper: Tensor
    places: Array

    @property
    def dim(self) -> int:
        """The number of coordinates, 1 or 2."""
        return self.lower.shape[1]

    def covers(self, points: Tensor) -> Tensor:
        """Whether points lie in the declared support, ``(n, dim)`` to ``(n,)``."""
        x = points.double().cpu().unsqueeze(-2)
        return ((x >= self.lower) & (x <= self.upper)).all(dim=-1).any(dim=-1)

    def log_prob(self, points: Tensor) -> Tensor:
        """Log density at ``points``, shape ``(n, dim)`` to ``(n,)``; −inf outside the support."""
        value = log_density(self.source, points.double().cpu())
        # Without argument checks some log_probs are finite outside their support.
        return value.masked_fill(~self.covers(points), -math.inf)

    def leaves(self, other: Density) -> bool:
        """Whether there is mass here, however little, outside the declared support of ``other``.

        Asked of the log density: what is 1e-500 there has underflowed in the density itself.
        What a distribution declares as its own support may be too wide, so it is no witness.
        """
        probes = [_outside(other, axis, place) for axis in range(self.dim) for place in self._spots]
        x = torch.from_numpy(np.concatenate([*probes, self._spots]))
        # Not only the points of interest: torch cannot take none at all.
        return bool(((self.log_prob(x) > -math.inf) & ~other.covers(x)).any())

    @property
    def _spots(self) -> Array:
        """Where to stand while one coordinate moves, shape ``(k, dim)``."""
        return self.places[:, 0] if len(self.places) else np.zeros((1, self.dim))


def _outside(outer: Density, axis: int, place: Array) -> Array:
    """Points beyond the ends of the boxes along one axis, through ``place``: ``(n, dim)``."""
    sides = torch.cat([outer.lower[:, axis], outer.upper[:, axis]])
    ends = np.unique(sides[sides.isfinite()].numpy())
    reach = np.maximum(np.abs(ends), 1.0)[:, None] * 2.0 ** np.arange(-40, 40)
    moved = np.concatenate([ends[:, None] - reach, ends[:, None] + reach]).ravel()
    points = np.tile(place, (len(moved), 1))
    points[:, axis] = moved
    return points


def read(name: str, distribution: object) -> Density:
    """Read a distribution given as the argument ``name``.

    Raises:
        ValueError: it is no single density on the line or the plane.
    """
    if isinstance(distribution, type):
        raise ValueError(f"{name} = {shown(distribution)}: must be a distribution, not its class")
    source = in_double(distribution)
    shape = tuple(getattr(distribution, "event_shape", ()))
    if not callable(getattr(source, "log_prob", None)):
        raise ValueError(f"{name} = {shown(distribution)}: must have a log_prob method")
    if math.prod(getattr(source, "batch_shape", ())) != 1:
        raise ValueError(f"{name} = {shown(distribution)}: must be one distribution, not a batch")
    if shape not in {(), (1,), (2,)}:
        raise ValueError(f"{name} has event_shape {shape}: must be (), (1,) or (2,)")
    _check_continuous(name, source)
    dim = math.prod(shape)
    ends = _ends(source)
    lower, upper = (_rows(end, dim) for end in ends)
    density = Density(source, shape, lower, upper, _places(source, dim))
    _check_log_prob(name, distribution, density)
    if dim == 1 and not len(density.places):
        density = Density(source, shape, density.lower, density.upper, _climb(density))
    return density


def read_pair(p: object, q: object) -> tuple[Density, Density]:
    """Read two distributions that live in the same space, given as ``p`` and ``q``.

    Raises:
        ValueError: as :func:`read`, or their dimensions differ.
    """
    first, second = read("p", p), read("q", q)
    if first.dim != second.dim:
        raise ValueError(
            f"q has event_shape {second.event_shape}: "
            f"must have the dimension of p, whose event_shape is {first.event_shape}"
        )
    return first, second


def log_density(source: Any, points: Tensor) -> Tensor:
    """Log density at ``points``, shape ``(n, dim)`` to ``(n,)``, as the object itself has it."""
    x = points.reshape(-1, *getattr(source, "event_shape", ()))
    return torch.as_tensor(source.log_prob(x), dtype=torch.float64).reshape(-1)


def in_double(distribution: object) -> Any:
    """The object that has the ``log_prob``, in float64 and without checks of its arguments.

    A course's target keeps it as its ``density``. An object of one's own is returned as it is.
    """
    return _twin(getattr(distribution, "density", distribution))


def _twin(source: Any, made: dict[int, Any] | None = None) -> Any:
    made = {} if made is None else made  # a transform and its inverse know one another
    if id(source) in made:
        return made[id(source)]
    if isinstance(source, Tensor):
        return source.double().cpu() if source.is_floating_point() else source.cpu()
    if isinstance(source, list):
        return [_twin(part, made) for part in source]
    if not isinstance(source, Distribution | Transform):
        return source
    twin: Any = object.__new__(type(source))
    made[id(source)] = twin
    given = vars(source).get("_param")
    for key, part in vars(source).items():
        derived = isinstance(getattr(type(source), key, None), lazy_property)
        if given is None or not derived or part is given:  # float32 clamps what it derives
            twin.__dict__[key] = _twin(part, made)
    # A test of the argument would raise at points outside the support, where log p is −inf.
    twin.__dict__["_validate_args"] = False
    if isinstance(source, Transform) and not isinstance(vars(source).get("_inv"), Transform):
        twin.__dict__["_inv"] = None  # a weak reference to the inverse of the original
    if isinstance(source, Categorical) and "probs" in vars(twin):
        # torch's own logits are clamped at log 1e-16: no weight is smaller there.
        twin.__dict__["logits"] = twin.probs.log()
    covariance_alone = not {"scale_tril", "precision_matrix"} & vars(twin).keys()
    if isinstance(source, MultivariateNormal) and covariance_alone:
        factor = torch.linalg.cholesky(twin.covariance_matrix)
        twin.__dict__["_unbroadcasted_scale_tril"] = factor  # it was made in float32
    return twin


def _check_continuous(name: str, source: Any) -> None:
    """Refuse what has no density on the line or the plane."""
    inner = source
    while inner is not None:
        support = _ask(inner, "support")
        if getattr(support, "is_discrete", False):
            raise ValueError(
                f"{name} = {shown(source)}: must have a density, but it is discrete; sum over "
                "its values in place of an integral"
            )
        if support is constraints.simplex:
            raise ValueError(
                f"{name} = {shown(source)}: must have a density in the plane, but it lies on a "
                "simplex, which has no area"
            )
        inner = getattr(inner, "base_dist", getattr(inner, "component_distribution", None))


def _check_log_prob(name: str, distribution: object, density: Density) -> None:
    """Ask for one value, so that an object that cannot answer is named at once."""
    try:
        at = torch.zeros(2, density.dim, dtype=torch.float64)
        answers = log_density(density.source, at).numel()
    except Exception as error:
        raise ValueError(
            f"{name} = {shown(distribution)}: its log_prob fails with {type(error).__name__}: "
            f"{error}"
        ) from error
    if answers != len(at):
        raise ValueError(
            f"{name} = {shown(distribution)}: its log_prob gives {answers} values for "
            f"{len(at)} points"
        )


def _ends(source: Any) -> tuple[Tensor, Tensor]:
    """Ends of the support, each of shape ``(*batch_shape, *event_shape)``, or one number."""
    if isinstance(source, Independent):
        return _ends(source.base_dist)
    if isinstance(source, MixtureSameFamily):
        return _ends(source.component_distribution)
    if type(source) is TransformedDistribution:  # it declares the codomain of its last transform
        ends = _moved_ends(source)
        if ends is not None:
            return ends
    support = _ask(source, "support")
    while hasattr(support, "base_constraint"):
        support = support.base_constraint
    if isinstance(source, VonMises):  # declared on the line, normalised on a turn
        support = (-math.pi, math.pi)
    if isinstance(support, tuple):
        lower, upper = support
    else:
        lower = getattr(support, "lower_bound", -math.inf)
        upper = getattr(support, "upper_bound", math.inf)
    return _double(lower), _double(upper)


def _moved_ends(source: Any) -> tuple[Tensor, Tensor] | None:
    """The base's ends, transformed; ``None`` unless each coordinate moves on its own."""
    shape = source.base_dist.batch_shape + source.base_dist.event_shape
    lower, upper = (end.expand(shape) if end.dim() < 1 else end for end in _ends(source.base_dist))
    for transform in source.transforms:
        if transform.domain.event_dim or not transform.bijective:
            return None
        one, other = transform(lower), transform(upper)
        lower, upper = torch.minimum(one, other), torch.maximum(one, other)
    return (lower.detach(), upper.detach()) if bool((lower < upper).all()) else None


def _double(value: object) -> Tensor:
    return torch.as_tensor(value, dtype=torch.float64).detach().cpu()


def _rows(value: object, dim: int) -> Tensor:
    tensor = _double(value)
    return tensor.expand(1, dim) if tensor.numel() == 1 else tensor.reshape(-1, dim)


def _ask(source: Any, name: str) -> Any:
    """Return an attribute, or the result of a method without arguments; ``None`` if missing."""
    try:
        answer = getattr(source, name)
        bound_method = callable(answer) and not hasattr(answer, "check")
        return answer() if bound_method else answer
    except (AttributeError, NotImplementedError, TypeError):
        return None


def _places(source: Any, dim: int) -> Array:
    """Every hint at where the mass is: centres and scales, shape ``(k, 2, dim)``."""
    parts = _ask(source, "component_distribution")
    if parts is not None:
        return _places(parts, dim)
    pairs = [(_ask(source, "mean"), _ask(source, "stddev"))]
    pairs += [(_ask(source, "loc"), _ask(source, "scale"))]
    pairs += [_quantiles(source, dim), _middle(_ask(source, "window"))]
    found = [_pair(*pair, dim) for pair in pairs if pair[0] is not None and pair[1] is not None]
    if type(source) is TransformedDistribution:
        found.append(_moved_places(source, dim))
    places = np.concatenate([np.empty((0, 2, dim)), *found])
    usable = np.isfinite(places).all(axis=(1, 2)) & (places[:, 1] > 0).all(axis=1)
    return np.asarray(places[usable])


def _pair(centre: object, scale: object, dim: int) -> Array:
    rows = np.broadcast_arrays(_rows(centre, dim).numpy(), _rows(scale, dim).numpy())
    return np.stack(rows, axis=1)


def _moved_places(source: Any, dim: int) -> Array:
    """The base's places, where the transforms bring them: scales by their slope."""
    places = _places(source.base_dist, dim)
    centre, scale = torch.from_numpy(places[:, 0]), torch.from_numpy(places[:, 1])
    shape = (-1, *source.event_shape)
    ends = [(centre + sign * scale).reshape(shape) for sign in (-1, 0, 1)]
    for transform in source.transforms:
        ends = [transform(end) for end in ends]
    low, middle, high = (end.detach().reshape(-1, dim).numpy() for end in ends)
    return np.stack([middle, np.abs(high - low) / 2], axis=1)


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


def _climb(density: Density) -> Array:
    """Places of an object that gives no hints: its modes, at every scale, shape ``(k, 2, 1)``.

    The slope of ``log p`` points at a mode from any distance, however narrow the mode.
    """
    from scipy.optimize import minimize_scalar  # noqa: PLC0415  # half a second, seldom needed

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
