"""Toy targets and noise priors whose density is known exactly.

A *source* is anything with an ``event_shape`` and a ``sample(shape, generator)``.
Targets and priors are sources; :class:`Empirical` is the one without a density.

Sampling takes an explicit ``torch.Generator``, which ``torch.distributions`` does
not: it makes a training repeatable without touching the global random state.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
import torch
import torch.nn.functional as F
from torch import Generator, Tensor
from torch.distributions import Categorical, Distribution, Independent, MixtureSameFamily, Normal

from gan_course.arguments import (
    are_whole,
    flag,
    function,
    number,
    one_device,
    shown,
    sizes,
    tensor,
    whole,
)

#: More dimensions or modes than this are a slip, which would fill the memory without a word.
_MOST = 10**6

Points = Tensor | Sequence[float] | Sequence[Sequence[float]]


class Source(Protocol):
    """What a training draws from: real samples or noise."""

    event_shape: torch.Size

    def sample(self, shape: Sequence[int] = (), generator: Generator | None = None) -> Tensor:
        """Draw independent samples, shape ``(*shape, *event_shape)``."""

    def to(self, device: torch.device | str) -> Source:
        """Return the same source with its tensors on ``device``."""


class LabelledSource(Protocol):
    """Real samples that come with labels."""

    event_shape: torch.Size
    labelled: bool  # True: how a training tells it from a plain source

    def sample(
        self, shape: Sequence[int] = (), generator: Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        """Draw samples, shape ``(*shape, *event_shape)``, and their labels, shape ``shape``."""

    def to(self, device: torch.device | str) -> LabelledSource:
        """Return the same source with its tensors on ``device``."""


class GaussianMixture:
    """A mixture of isotropic Gaussians, in any dimension.

    Every smooth target of the book is one: the ring and the grid have a few
    components, the moons and the spiral many, close together along a curve.

    Args:
        centers: component means, shape ``(components, dim)``; in 1-D ``(components,)`` will do.
        std: standard deviation, one for all components or one each.
        weights: component probabilities up to a factor, shape ``(components,)``; default equal.
        modal: whether each component is a mode of its own that a metric may count.

    Attributes:
        density: the same law as a ``torch.distributions`` object, with event
            shape ``()`` in 1-D, where its ``log_prob`` takes plain numbers.
        window: the interval, for every axis, that a plot should show.

    Raises:
        ValueError: a shape does not fit, a number is not finite, or a scale or weight is not
            positive; all of it in float32.
    """

    def __init__(
        self,
        centers: Points,
        std: float | Sequence[float] | Tensor,
        weights: Sequence[float] | Tensor | None = None,
        *,
        modal: bool = True,
    ) -> None:
        centers = tensor("centers", centers, "(...)", dtype=torch.float32)
        self.centers = centers.unsqueeze(-1) if centers.dim() == 1 else centers
        if self.centers.dim() != 2 or not self.centers.numel():
            raise ValueError(
                f"centers has shape {tuple(centers.shape)}: expected (components, dim)"
            )
        components, dim = self.centers.shape
        device = self.centers.device
        self.std = _per_component("std", std, components).to(device)
        self.weights = _per_component("weights", 1.0 if weights is None else weights, components)
        # In double: ten weights of 1e38 have no sum in float32.
        shares = self.weights.double() / self.weights.double().sum()
        self.weights = _per_component("weights", shares, components).to(device)
        self._equal_weights = bool((self.weights == self.weights[0]).all())
        # One number where all components are alike: a draw then looks up nothing.
        alike = bool((self.std == self.std[0]).all())
        self._scale = self.std[0] if alike else self.std.unsqueeze(-1)
        self.modal = flag("modal", modal)
        self.event_shape = torch.Size((dim,))

    @property
    def density(self) -> Distribution:
        """The mixture as a ``torch.distributions`` object."""
        mixing = Categorical(self.weights)
        mixing.logits = self.weights.log()  # torch's own are clamped at the log of 1.2e-7
        if self.event_shape == (1,):
            return MixtureSameFamily(mixing, Normal(self.centers[:, 0], self.std))
        return MixtureSameFamily(
            mixing, Independent(Normal(self.centers, self.std.unsqueeze(-1)), 1)
        )

    @property
    def modes(self) -> Tensor | None:
        """Centres of the modes, shape ``(modes, dim)``; ``None`` for a curve."""
        return self.centers if self.modal else None

    @property
    def window(self) -> tuple[float, float]:
        """Lower and upper end of a plot, the same for every axis."""
        low, high = float(self.centers.min()), float(self.centers.max())
        margin = 4 * float(self.std.max()) + 0.15 * (high - low)
        return low - margin, high + margin

    def sample(self, shape: Sequence[int] = (), generator: Generator | None = None) -> Tensor:
        """Draw samples, shape ``(*shape, dim)``.

        Raises:
            ValueError: ``shape`` is no sequence of whole numbers.
        """
        shape, device = sizes("shape", shape), self.centers.device
        noise_shape = (*shape, *self.event_shape)
        if len(self.centers) == 1:  # the usual prior: nothing to choose
            noise = torch.randn(noise_shape, generator=generator, device=device)
            return torch.addcmul(self.centers[0], noise, self._scale)
        if self._equal_weights:
            index = torch.randint(len(self.centers), shape, generator=generator, device=device)
        else:
            index = torch.multinomial(
                self.weights, math.prod(shape), replacement=True, generator=generator
            ).reshape(shape)
        noise = torch.randn(noise_shape, generator=generator, device=device)
        scale = self._scale[index] if self._scale.dim() else self._scale
        # `centers[index]`, in a third of the time.
        return torch.addcmul(F.embedding(index, self.centers), noise, scale)

    def log_prob(self, x: Tensor) -> Tensor:
        """Log density in nats at ``x``, shape ``(..., dim)`` to ``(...)``.

        Raises:
            ValueError: ``x`` is no tensor of real numbers of this dimension, or on another device.
        """
        x = _points(x, self.event_shape)
        one_device(source=self.centers, x=x)
        if not x.numel():  # torch cannot take none
            return x.new_zeros(x.shape[:-1])
        return self.density.log_prob(x.squeeze(-1) if self.event_shape == (1,) else x)

    def to(self, device: torch.device | str) -> GaussianMixture:
        """Return the same mixture on ``device``."""
        return GaussianMixture(
            self.centers.to(device), self.std.to(device), self.weights, modal=self.modal
        )


class Uniform:
    """The uniform distribution on a box.

    Args:
        low: the lower corner, shape ``(dim,)``, or a number in 1-D.
        high: the upper corner, likewise.

    Raises:
        ValueError: the corners differ in shape, or some ``high`` is not above its ``low``.
    """

    def __init__(self, low: Points | float, high: Points | float) -> None:
        self.low = tensor("low", low, "(...)", dtype=torch.float32)
        self.high = tensor("high", high, "(...)", dtype=torch.float32)
        if max(self.low.dim(), self.high.dim()) < 2:
            self.low, self.high = self.low.reshape(-1), self.high.reshape(-1)
        if self.low.shape != self.high.shape or self.low.dim() != 1 or not len(self.low):
            raise ValueError(
                f"low has shape {tuple(self.low.shape)} and high {tuple(self.high.shape)}: "
                "expected the same (dim,)"
            )
        if not bool((self.high > self.low).all() & (self.high - self.low).isfinite().all()):
            raise ValueError(
                f"high = {self.high.tolist()}: must be above low = {self.low.tolist()}"
            )
        self.event_shape = self.low.shape
        self.modes: Tensor | None = None

    @property
    def density(self) -> Distribution:
        """The box as a ``torch.distributions`` object."""
        box = torch.distributions.Uniform(self.low, self.high, validate_args=False)
        if self.event_shape == (1,):
            return torch.distributions.Uniform(self.low[0], self.high[0], validate_args=False)
        return Independent(box, 1, validate_args=False)

    @property
    def window(self) -> tuple[float, float]:
        """Lower and upper end of a plot, the same for every axis."""
        low, high = float(self.low.min()), float(self.high.max())
        return low - 0.25 * (high - low), high + 0.25 * (high - low)

    def sample(self, shape: Sequence[int] = (), generator: Generator | None = None) -> Tensor:
        """Draw samples, shape ``(*shape, dim)``.

        Raises:
            ValueError: ``shape`` is no sequence of whole numbers.
        """
        u = torch.rand(
            (*sizes("shape", shape), *self.event_shape), generator=generator, device=self.low.device
        )
        return self.low.lerp(self.high, u)

    def log_prob(self, x: Tensor) -> Tensor:
        """Log density in nats at ``x``, shape ``(..., dim)`` to ``(...)``; −inf outside.

        Raises:
            ValueError: ``x`` is no tensor of real numbers of this dimension, or on another device.
        """
        x = _points(x, self.event_shape)
        one_device(source=self.low, x=x)
        if not x.numel():  # torch cannot take none
            return x.new_zeros(x.shape[:-1])
        return self.density.log_prob(x.squeeze(-1) if self.event_shape == (1,) else x)

    def to(self, device: torch.device | str) -> Uniform:
        """Return the same box on ``device``."""
        return Uniform(self.low.to(device), self.high.to(device))


class Empirical:
    """The training set as a distribution: a draw is one of its rows.

    It has no density. The data lives on one device and is sampled by index,
    so there is no loader to wait for.

    Args:
        data: the samples, shape ``(samples, ...)``, as a tensor or an array; whole numbers
            become floats.

    Raises:
        ValueError: ``data`` has no rows, or one that is not finite.

    Example:
        >>> Empirical(torch.zeros(9, 2)).sample((4,)).shape
        torch.Size([4, 2])
    """

    def __init__(self, data: Tensor | np.ndarray) -> None:
        self.data = tensor("data", data, "(samples, features, ...)", least=1, finite=False)
        bad = ~self.data.flatten(1).isfinite().all(dim=1)
        if bool(bad.any()):
            rows = bad.nonzero().flatten().tolist()
            raise ValueError(
                f"data[{rows[0]}] is not finite, one of {len(rows)} such rows: leave them out"
            )
        self.event_shape = self.data.shape[1:]

    def sample(self, shape: Sequence[int] = (), generator: Generator | None = None) -> Tensor:
        """Draw rows with replacement, shape ``(*shape, *event_shape)``."""
        return self.data[self.rows(shape, generator)]

    def rows(self, shape: Sequence[int], generator: Generator | None) -> Tensor:
        """Which rows a draw takes, shape ``shape``."""
        return torch.randint(
            len(self.data), sizes("shape", shape), generator=generator, device=self.data.device
        )

    def to(self, device: torch.device | str) -> Empirical:
        """Return the same data on ``device``."""
        moved = copy.copy(self)
        moved.data = self.data.to(device)
        return moved


class Labelled:
    """A training set whose samples have labels: a draw is a pair ``(x, label)``.

    Args:
        data: the samples, as :class:`Empirical` takes them.
        labels: one for each, shape ``(samples,)``, whole numbers.

    Raises:
        ValueError: ``data`` is none for :class:`Empirical`, or ``labels`` does not fit it.

    Example:
        >>> x, label = Labelled(torch.zeros(9, 2), torch.arange(9)).sample((4,))
        >>> x.shape, label.shape
        (torch.Size([4, 2]), torch.Size([4]))
    """

    labelled = True

    def __init__(self, data: Tensor | np.ndarray, labels: Tensor | np.ndarray) -> None:
        self.samples = Empirical(data)
        self.event_shape = self.samples.event_shape
        try:
            found = torch.as_tensor(labels)
        except (TypeError, ValueError, RuntimeError, OverflowError):
            raise ValueError(f"labels = {shown(labels)}: must be whole numbers") from None
        count = len(self.samples.data)
        if found.shape != (count,) or not are_whole(found):
            raise ValueError(
                f"labels has shape {tuple(found.shape)} and dtype {found.dtype}: "
                f"expected ({count},), whole numbers"
            )
        self.labels = found.long().to(self.samples.data.device)

    def sample(
        self, shape: Sequence[int] = (), generator: Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        """Draw pairs with replacement, shapes ``(*shape, *event_shape)`` and ``shape``."""
        rows = self.samples.rows(shape, generator)
        return self.samples.data[rows], self.labels[rows]

    def to(self, device: torch.device | str) -> Labelled:
        """Return the same data on ``device``."""
        moved = copy.copy(self)
        moved.samples, moved.labels = self.samples.to(device), self.labels.to(device)
        return moved


def normal(dim: int = 2) -> GaussianMixture:
    """The standard normal, the usual prior on z.

    Raises:
        ValueError: ``dim`` is no whole number above zero.
    """
    return GaussianMixture(torch.zeros(1, whole("dim", dim, at_least=1, at_most=_MOST)), 1.0)


def uniform(dim: int = 2) -> Uniform:
    """The uniform prior on [−1, 1] in each dimension.

    Raises:
        ValueError: ``dim`` is no whole number above zero.
    """
    dim = whole("dim", dim, at_least=1, at_most=_MOST)
    return Uniform(-torch.ones(dim), torch.ones(dim))


def codebook(dim: int = 64, codes: int = 256, std: float = 0.02) -> GaussianMixture:
    """Many small Gaussians, far apart: a prior with gaps, for data with gaps.

    A continuous G turns a connected prior into a connected shape, so some of its samples lie
    between the modes. Here the bridges may fall where the prior has no mass. The codes are
    drawn once, from a normal distribution, and know nothing of the data. In DeLiGAN (Gurumurthy
    et al. 2017) such a prior is learned, with about as many parts as the data has modes.

    Args:
        dim: dimension of z; in many dimensions random codes lie far apart.
        codes: number of Gaussians; many more than modes, so that each mode gets its share.
        std: width of each; the whole has mean 0 and variance 1 along each axis.

    Raises:
        ValueError: there are fewer than two codes, or the width is not between 0 and 1.
    """
    dim, codes = (
        whole("dim", dim, at_least=1, at_most=_MOST),
        whole("codes", codes, at_least=2, at_most=_MOST),
    )
    std = number("std", std, above=0, below=1)
    centers = torch.randn(codes, dim, generator=Generator().manual_seed(0))
    centers = (centers - centers.mean(dim=0)) / centers.std(dim=0, correction=0)
    return GaussianMixture(math.sqrt(1 - std**2) * centers, std)


def ring(modes: int = 8, radius: float = 1.0, std: float = 0.01) -> GaussianMixture:
    """Gaussians evenly spaced on a circle; the defaults are PacGAN's (Lin et al. 2018, §4.1).

    Raises:
        ValueError: ``modes`` is no whole number above zero, ``radius`` is negative or not finite,
            or ``std`` is not above zero.
    """
    modes, radius = (
        whole("modes", modes, at_least=1, at_most=_MOST),
        number("radius", radius, above=0, at_most=1e30),
    )
    # arange, not linspace(0, 2π, modes), whose last point doubles the first.
    angle = torch.arange(modes) * (2 * math.pi / modes)
    return GaussianMixture(radius * torch.stack([angle.cos(), angle.sin()], dim=-1), std)


def grid(side: int = 5, spacing: float = 2.0, std: float = 0.05) -> GaussianMixture:
    """Gaussians on a square grid around 0; the defaults are PacGAN's (Lin et al. 2018, §4.1).

    Raises:
        ValueError: ``side`` is no whole number above zero, or ``spacing`` or ``std`` is not above
            zero.
    """
    side, spacing = (
        whole("side", side, at_least=1, at_most=1000),
        number("spacing", spacing, above=0, at_most=1e30),
    )
    axis = spacing * (torch.arange(side) - (side - 1) / 2)
    return GaussianMixture(torch.cartesian_prod(axis, axis), std)


def two_moons(std: float = 0.08) -> GaussianMixture:
    """Two interleaved half circles, blurred by a Gaussian.

    Raises:
        ValueError: ``std`` is not above zero.
    """
    angle = torch.linspace(0, math.pi, 60)
    upper = torch.stack([angle.cos() - 0.5, angle.sin() - 0.25], dim=-1)
    return GaussianMixture(torch.cat([upper, -upper]), std, modal=False)


def spiral(turns: float = 1.5, std: float = 0.05) -> GaussianMixture:
    """An Archimedean spiral from the centre to radius 1, blurred by a Gaussian.

    Raises:
        ValueError: ``turns`` or ``std`` is not above zero.
    """
    turns = number("turns", turns, at_least=-1e6, at_most=1e6)
    # Equal steps in t² are nearly equal steps along the curve.
    t = torch.linspace(0.02, 1, 150).sqrt()
    angle = 2 * math.pi * turns * t
    return GaussianMixture(
        torch.stack([t * angle.cos(), t * angle.sin()], dim=-1), std, modal=False
    )


def drawn(points: Points, std: float | None = None) -> GaussianMixture:
    """The density that a reader draws: a Gaussian kernel on every point.

    Args:
        points: where the pointer went, shape ``(points, dim)``.
        std: width of the kernel; default Scott's rule, ``n^(−1/(dim + 4))`` times the
            mean standard deviation of the axes (Scott 1992, eq. 6.42).

    Raises:
        ValueError: there are fewer than two points, one is not finite, all are one where a width
            is to be found, or ``std`` is not above zero.
    """
    points = tensor("points", points, "(...)", dtype=torch.float32)
    if points.dim() != 2 or len(points) < 2:
        raise ValueError(
            f"points has shape {tuple(points.shape)}: draw at least two, (points, dim)"
        )
    if std is None:
        scott = len(points) ** (-1 / (points.shape[1] + 4))
        std = max(scott * float(points.std(dim=0).mean()), 1e-3)
    return GaussianMixture(points, std, modal=False)


#: The targets a menu offers.
TARGETS: dict[str, Callable[[], GaussianMixture]] = {
    "ring": ring,
    "grid": grid,
    "two moons": two_moons,
    "spiral": spiral,
}

#: The noise priors by name; each takes the dimension of z.
PRIORS: dict[str, Callable[[int], GaussianMixture | Uniform]] = {
    "normal": normal,
    "uniform": uniform,
    "codebook": codebook,
}


def _points(x: object, event_shape: torch.Size) -> Tensor:
    """Where a density is asked for, shape ``(..., *event_shape)``."""
    found = tensor("x", x, "(...)", finite=False)
    if not found.dim() or found.shape[-1:] != event_shape:
        raise ValueError(
            f"x has shape {tuple(found.shape)}: expected (..., {', '.join(map(str, event_shape))})"
        )
    if bool(found.isnan().any()):
        raise ValueError(f"x = {shown(found)}: must be numbers, and some are NaN")
    return found


def _per_component(name: str, value: float | Sequence[float] | Tensor, components: int) -> Tensor:
    values = tensor(name, value, "(...)", finite=False)
    values = values.to(torch.float32)
    if values.dim() > 1 or (values.dim() == 1 and len(values) != components):
        raise ValueError(
            f"{name} has shape {tuple(values.shape)}: expected one number or ({components},)"
        )
    if not bool(((values > 0) & values.isfinite()).all()):
        raise ValueError(f"{name} = {shown(values.tolist())}: must be positive and finite")
    return values.expand(components)


def pushforward_density(
    generator: Callable[[Tensor], Tensor],
    prior: GaussianMixture | Uniform,
    x: Tensor,
    resolution: int = 4001,
) -> Tensor:
    """p_g at ``x`` by change of variables, for a generator from one dimension to one.

    p_g(x) = Σ p_z(z) / |G'(z)|, summed over every z with G(z) = x (Casella & Berger 2002,
    theorem 2.1.8). The slope is taken between neighbours on a fine grid of z.

    Args:
        generator: noise ``(batch, 1)`` to samples ``(batch, 1)``.
        prior: where z comes from, with event shape ``(1,)``.
        x: where to evaluate, shape ``(points,)``, on the generator's device.
        resolution: points of the grid over twice ``prior.window``, which holds the tails.

    Raises:
        ValueError: the prior or what the generator returns is not one-dimensional, or
            ``resolution`` is below 2.
    """
    function("generator", generator)
    x = tensor("x", x, "(points)")
    resolution = whole("resolution", resolution, at_least=2, at_most=10**7)
    if not hasattr(prior, "event_shape"):
        raise ValueError(f"prior = {shown(prior)}: must be a GaussianMixture or a Uniform")
    if prior.event_shape != (1,):
        raise ValueError(f"prior has event shape {tuple(prior.event_shape)}: expected (1,)")
    prior = prior.to(x.device)
    low, high = prior.window
    tail = (high - low) / 2  # a normal reaches to 8 standard deviations: nothing is cut off
    ends = low - tail, high + tail
    z = torch.linspace(*ends, resolution, dtype=torch.float32, device=x.device)
    with torch.no_grad():
        image = generator(z.unsqueeze(-1))
    if not isinstance(image, Tensor) or image.shape != (resolution, 1):
        raise ValueError(
            f"generator returned {shown(image)}: expected a tensor of shape ({resolution}, 1)"
        )
    image = image.squeeze(-1)
    middle = (z[1:] + z[:-1]) / 2
    mass = prior.log_prob(middle.unsqueeze(-1)).exp() * z.diff()
    # An interval of z covers x when its two ends land on either side of it; few of them do.
    below = image <= x.unsqueeze(-1)
    at, interval = (below[:, 1:] != below[:, :-1]).nonzero(as_tuple=True)
    shares = (mass / image.diff().abs())[interval].nan_to_num()
    return shares.new_zeros(len(x)).index_add(0, at, shares)
