"""Models that carry noise to data along a path: diffusion and flow matching."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from torch import Generator, Tensor, nn

from gan_course.arguments import function, number, shown, sizes, tensor, whole
from gan_course.families.arithmetic import (
    MOST,
    asked,
    beside,
    like_normal,
    log_normal,
    normal,
    points,
)


class Diffusion(nn.Module):
    """A network that guesses the noise in x + σε, at all σ; samples by removing it step by step.

    Denoising score matching (Vincent 2011) at many levels of noise (Song & Ermon 2019), and
    the sampler without noise of Song et al. (2021), eq. 13, whose Euler steps are those of DDIM.

    Args:
        network: x + σε, divided by √(1 + σ²), and the level of noise beside it, to a guess of
            ε: ``dim + 1`` to ``dim`` numbers.
        dim: coordinates of a sample.
        low: the smallest σ.
        high: the largest, far above the spread of the data.

    Raises:
        ValueError: the levels are not in order.

    Example:
        >>> from gan_course.networks import mlp
        >>> Diffusion(mlp(3, 2), dim=2).sample((7,), steps=5).shape
        torch.Size([7, 2])
    """

    def __init__(
        self, network: nn.Module, dim: int, low: float = 0.002, high: float = 10.0
    ) -> None:
        super().__init__()
        function("network", network)
        self.network, self.dim = network, whole("dim", dim, at_least=1, at_most=MOST)
        self.low = number("low", low, above=0)
        self.high = number("high", high, above=self.low)

    def noise(self, x: Tensor, sigma: Tensor) -> Tensor:
        """The network's guess of ε, ``(..., batch, dim)``; ``sigma`` is ``(..., batch, 1)``.

        Raises:
            ValueError: ``x`` is no tensor of points, or ``sigma`` has not a number above 0 for
                each; or what the network takes or returns does not fit.
        """
        x = points(x, self.network, self.dim)
        sigma = beside("sigma", sigma, x)
        if sigma.device.type == "cpu" and not bool((sigma > 0).all()):  # to look may be to wait
            raise ValueError(f"sigma = {shown(sigma)}: must be above 0")
        span = math.log(self.high / self.low)
        level = 2 * (sigma / self.low).log() / span - 1  # −1 … 1
        shown_x = x / (1 + sigma.square()).sqrt()
        return asked("network", self.network, torch.cat([shown_x, level], dim=-1), self.dim)

    def score(self, x: Tensor, sigma: Tensor) -> Tensor:
        """∇ log p_σ(x) of the data with noise σ: −E[ε | x] / σ, since noise is what one sees.

        Raises:
            ValueError: ``x`` is no tensor of points, or ``sigma`` has not a number for each.
        """
        return -self.noise(x, sigma) / sigma

    def loss(self, x: Tensor, generator: Generator | None = None) -> Tensor:
        """|guess − ε|² at a random level, evenly on the log scale; shape ``(..., batch)``.

        Raises:
            ValueError: ``x`` is no tensor of points.
        """
        x = points(x, self.network, self.dim)
        u = torch.rand(*x.shape[:-1], 1, generator=generator, device=x.device)
        sigma, epsilon = self.low * (self.high / self.low) ** u, like_normal(x, generator)
        return (self.noise(x + sigma * epsilon, sigma) - epsilon).square().sum(dim=-1)

    def levels(self, steps: int) -> Tensor:
        """From ``high`` to ``low`` on the log scale, and then 0: shape ``(steps + 1,)``.

        Raises:
            ValueError: ``steps`` is below 1.
        """
        steps = whole("steps", steps, at_least=1, at_most=MOST)
        if steps == 1:
            return torch.tensor([self.high, 0.0])
        inner = torch.logspace(math.log10(self.high), math.log10(self.low), steps)
        return torch.cat([inner, torch.zeros(1)])

    @torch.no_grad()
    def sample(
        self, shape: Sequence[int], generator: Generator | None = None, *, steps: int = 100
    ) -> Tensor:
        """Draw pure noise, and follow dx/dσ = ε̂(x, σ) down to σ = 0 by Euler steps.

        Returns:
            Shape ``(*shape, dim)``.

        Raises:
            ValueError: ``steps`` is below 1.
        """
        like = next(self.network.parameters())
        shape = sizes("shape", shape)
        x = math.hypot(1, self.high) * normal((*(shape or (1,)), self.dim), generator, like)
        for now, then in pairwise(self.levels(steps).tolist()):
            x = x + (then - now) * self.noise(x, x.new_full((*x.shape[:-1], 1), now))
        return x.reshape(*shape, self.dim)

    def log_prob(self, x: Tensor, generator: Generator | None = None, steps: int = 100) -> Tensor:
        """Log density of what :meth:`sample` tends to, with noise of ``low``; ``(..., batch)``.

        The sampler's equation, run from ``low`` to ``high`` in log σ; see :func:`along`.

        Raises:
            ValueError: ``x`` is no tensor of points, or ``steps`` is below 1.
        """

        def field(x: Tensor, log_sigma: float) -> Tensor:
            sigma = x.new_full((*x.shape[:-1], 1), math.exp(log_sigma))
            return sigma * self.noise(x, sigma)

        x = points(x, self.network, self.dim)
        z, gained = along(field, x, math.log(self.low), math.log(self.high), steps)
        width = torch.tensor(math.log(math.hypot(1, self.high)))
        return log_normal(z, torch.zeros_like(z), width) + gained


class FlowMatching(nn.Module):
    """A velocity that carries noise, at time 0, to data, at time 1.

    Lipman et al. (2023) with straight paths, as Liu et al. (2023): x_t = (1 − t) z + t x.

    Args:
        network: x_t and t beside it to the velocity, ``dim + 1`` to ``dim`` numbers.
        dim: coordinates of a sample.

    Raises:
        ValueError: ``dim`` is no whole number above zero, or the network no function.

    Example:
        >>> from gan_course.networks import mlp
        >>> FlowMatching(mlp(3, 2), dim=2).sample((7,), steps=5).shape
        torch.Size([7, 2])
    """

    def __init__(self, network: nn.Module, dim: int) -> None:
        super().__init__()
        function("network", network)
        self.network, self.dim = network, whole("dim", dim, at_least=1, at_most=MOST)

    def velocity(self, x: Tensor, t: Tensor) -> Tensor:
        """At x, ``(..., batch, dim)``, and time t, ``(..., batch, 1)``.

        Raises:
            ValueError: ``x`` is no tensor of points, or ``t`` has not a number for each.
        """
        x = points(x, self.network, self.dim)
        t = beside("t", t, x)
        return asked("network", self.network, torch.cat([x, 2 * t - 1], dim=-1), self.dim)

    def loss(self, x: Tensor, generator: Generator | None = None) -> Tensor:
        """|velocity(x_t, t) − (x − z)|² at a random time (Lipman et al., eq. 9), ``(..., batch)``.

        Raises:
            ValueError: ``x`` is no tensor of points.
        """
        x = points(x, self.network, self.dim)
        t = torch.rand(*x.shape[:-1], 1, generator=generator, device=x.device)
        z = like_normal(x, generator)
        return (self.velocity((1 - t) * z + t * x, t) - (x - z)).square().sum(dim=-1)

    @torch.no_grad()
    def sample(
        self, shape: Sequence[int], generator: Generator | None = None, *, steps: int = 100
    ) -> Tensor:
        """Draw noise, and follow the velocity by Euler steps, shape ``(*shape, dim)``.

        Raises:
            ValueError: ``steps`` is below 1, or ``shape`` is no sequence of whole numbers.
        """
        steps = whole("steps", steps, at_least=1, at_most=MOST)
        shape, like = sizes("shape", shape), next(self.network.parameters())
        x = normal((*(shape or (1,)), self.dim), generator, like)
        for step in range(steps):
            x = x + self.velocity(x, x.new_full((*x.shape[:-1], 1), step / steps)) / steps
        return x.reshape(*shape, self.dim)

    def log_prob(self, x: Tensor, generator: Generator | None = None, steps: int = 100) -> Tensor:
        """Log density of what :meth:`sample` tends to, see :func:`along`; ``(..., batch)``.

        Raises:
            ValueError: ``x`` is no tensor of points, or ``steps`` is below 1.
        """

        def field(x: Tensor, t: float) -> Tensor:
            return self.velocity(x, x.new_full((*x.shape[:-1], 1), t))

        x = points(x, self.network, self.dim)
        z, gained = along(field, x, 1.0, 0.0, steps)
        return log_normal(z) + gained


def along(
    field: Callable[[Tensor, float], Tensor], x: Tensor, start: float, stop: float, steps: int
) -> tuple[Tensor, Tensor]:
    """Carry points along dx/dt = field(x, t), and add up the field's divergence.

    Chen et al. (2018), eq. 8: d log p / dt = −div field along a path. So log p at the start is
    log p at the stop, plus ∫ div field dt from start to stop. Runge–Kutta steps of order four.

    Args:
        field: ``(..., batch, dim)`` and a time to velocities of the same shape.
        x: where to start, ``(..., batch, dim)``.
        start: time of x.
        stop: time of the result.
        steps: how many.

    Returns:
        The points at ``stop``, and the integral, shape ``(..., batch)``; neither with a gradient.

    Raises:
        ValueError: ``x`` is no tensor of points, a time is no number, ``steps`` is below 1, or
            the field is no function.
    """
    function("field", field)
    x = tensor("x", x, "(batch, dim, ...)", finite=False).detach()
    steps = whole("steps", steps, at_least=1, at_most=MOST)
    start, stop = (
        number("start", start, at_least=-1e9, at_most=1e9),
        number("stop", stop, at_least=-1e9, at_most=1e9),
    )
    step, total = (stop - start) / steps, torch.zeros_like(x[..., 0])

    def slopes(x: Tensor, t: float) -> tuple[Tensor, Tensor]:
        x = x.detach().requires_grad_()
        with torch.enable_grad():
            v = field(x, t)
            each = [
                torch.autograd.grad(v[..., i].sum(), x, retain_graph=True)[0][..., i]
                for i in range(x.shape[-1])
            ]
        return v.detach(), torch.stack(each).sum(dim=0)

    for n in range(steps):
        t = start + n * step
        v1, d1 = slopes(x, t)
        v2, d2 = slopes(x + step / 2 * v1, t + step / 2)
        v3, d3 = slopes(x + step / 2 * v2, t + step / 2)
        v4, d4 = slopes(x + step * v3, t + step)
        x = x + step / 6 * (v1 + 2 * v2 + 2 * v3 + v4)
        total = total + step / 6 * (d1 + 2 * d2 + 2 * d3 + d4)
    return x, total
