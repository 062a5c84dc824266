"""An autoregressive model: one network whose masks keep an order."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from gan_course.arguments import function, shown, sizes, tensor, whole
from gan_course.families.arithmetic import LOG_TAU, MOST, asked, choose, like_normal, points


class MaskedLinear(nn.Module):
    """A linear layer some of whose weights are 0 for good.

    Args:
        mask: 1 where a weight may be, shape ``(outputs, inputs)``.

    Raises:
        ValueError: it is no matrix.
    """

    mask: Tensor

    def __init__(self, mask: Tensor) -> None:
        super().__init__()
        mask = tensor("mask", mask, "(outputs, inputs)", least=1)
        plain = nn.Linear(mask.shape[1], mask.shape[0])
        self.weight, self.bias = plain.weight, plain.bias
        self.register_buffer("mask", mask)

    def forward(self, x: Tensor) -> Tensor:
        """Return ``(batch, inputs)`` as ``(batch, outputs)``."""
        return F.linear(x, self.weight * self.mask, self.bias)


class Waves(nn.Module):
    """Each coordinate beside its own sines and cosines: ``dim`` to ``dim × (1 + 2 waves)``.

    Args:
        frequencies: in radians per unit, shape ``(waves,)``; none leaves x as it is.

    Raises:
        ValueError: they are no row of numbers.
    """

    frequencies: Tensor

    def __init__(self, frequencies: Tensor) -> None:
        super().__init__()
        self.register_buffer("frequencies", tensor("frequencies", frequencies, "(waves,)"))

    def forward(self, x: Tensor) -> Tensor:
        """Return the features of the first coordinate, then of the second, and so on."""
        phase = x.unsqueeze(-1) * self.frequencies
        return torch.cat([x.unsqueeze(-1), phase.sin(), phase.cos()], dim=-1).flatten(-2)


def masked_network(
    dim: int, outputs: int, *, width: int = 128, depth: int = 2, waves: int = 0
) -> nn.Sequential:
    """A perceptron whose outputs for coordinate i see the coordinates before i alone.

    Germain et al. (2015), MADE: every hidden unit has a number from 1 to ``dim − 1``, and sees
    units of at most its number; output i sees units of numbers below i.

    Args:
        dim: coordinates of a sample.
        outputs: numbers for each coordinate; they come out side by side, ``dim × outputs``.
        width: units in each hidden layer; at least ``dim − 1``, or some order is lost.
        depth: hidden layers.
        waves: sines and cosines of each coordinate that are shown, too, of 0.3 to 10 radians
            per unit.

    Raises:
        ValueError: a size is no whole number or too small.

    Example:
        >>> network = masked_network(3, 1, width=8)
        >>> x, changed = torch.zeros(1, 3), torch.tensor([[0.0, 5.0, 0.0]])
        >>> (network(x) == network(changed)).tolist()
        [[True, True, False]]
    """
    dim, outputs = (
        whole("dim", dim, at_least=1, at_most=MOST),
        whole("outputs", outputs, at_least=1, at_most=MOST),
    )
    width = whole("width", width, at_least=max(1, dim - 1), at_most=MOST)
    depth, waves = (
        whole("depth", depth, at_least=1, at_most=1000),
        whole("waves", waves, at_least=0, at_most=MOST),
    )
    frequencies = torch.logspace(math.log10(0.3), 1, waves)
    numbers = torch.arange(1, dim + 1).repeat_interleave(1 + 2 * waves)
    layers: list[nn.Module] = [Waves(frequencies)] * bool(waves)
    hidden = 1 + torch.arange(width) % max(1, dim - 1)
    for _ in range(depth):
        layers += [MaskedLinear((hidden[:, None] >= numbers).float()), nn.LeakyReLU(0.2)]
        numbers = hidden
    last = torch.arange(1, dim + 1).repeat_interleave(outputs)
    return nn.Sequential(*layers, MaskedLinear((last[:, None] > numbers).float()))


class MixtureHead:
    """A coordinate's law: a mixture of Gaussians, whose numbers come out of the network.

    Args:
        components: how many; each takes 3 of the network's outputs.

    Raises:
        ValueError: it is no whole number above zero.
    """

    def __init__(self, components: int) -> None:
        self.components = whole("components", components, at_least=1, at_most=MOST)
        self.outputs = 3 * self.components

    def seen(self, x: Tensor) -> Tensor:
        """What the network is shown: x itself."""
        return x

    def _parts(self, given: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        logits, centers, log_std = given.chunk(3, dim=-1)
        # Unlike centres from the start: components that begin alike stay alike for long.
        spread = torch.linspace(-1.5, 1.5, self.components, dtype=given.dtype, device=given.device)
        return logits.log_softmax(dim=-1), centers + spread, log_std.clamp(min=-6) - 1

    def log_prob(self, given: Tensor, x: Tensor) -> Tensor:
        """Log density of x, ``(..., dim)``, given ``(..., dim, outputs)``."""
        log_weight, center, log_std = self._parts(given)
        off = (x.unsqueeze(-1) - center) / log_std.exp()
        each = log_weight - log_std - (off.square() + LOG_TAU) / 2
        return each.logsumexp(dim=-1)

    def draw(self, given: Tensor, generator: Generator | None) -> Tensor:
        """A value for each, ``(..., outputs)`` to ``(...)``."""
        log_weight, center, log_std = self._parts(given)
        at = choose(log_weight, generator)
        mean, spread = center.gather(-1, at), log_std.exp().gather(-1, at)
        return (mean + spread * like_normal(mean, generator)).squeeze(-1)


class ValueHead:
    """A coordinate's law: a probability for each of the values 0, 1, …, ``values − 1``.

    Args:
        values: how many; each takes one of the network's outputs.

    Raises:
        ValueError: it is no whole number above one.
    """

    def __init__(self, values: int) -> None:
        self.outputs = whole("values", values, at_least=2, at_most=MOST)

    def seen(self, x: Tensor) -> Tensor:
        """What the network is shown: the values, from −1 to 1."""
        return 2 * x / (self.outputs - 1) - 1

    def log_prob(self, given: Tensor, x: Tensor) -> Tensor:
        """Log probability of x, ``(..., dim)``, given ``(..., dim, outputs)``.

        Raises:
            ValueError: ``x`` has a number that is none of the values, or they do not fit.
        """
        given = tensor("given", given, "(dim, outputs, ...)", finite=False)
        x = tensor("x", x, "(...)", finite=False)
        if given.shape != (*x.shape, self.outputs):
            expected = (*given.shape[:-1],)
            raise ValueError(f"x has shape {tuple(x.shape)}: expected {expected}, as given")
        if not bool(((x >= 0) & (x < self.outputs) & (x == x.floor())).all()):
            raise ValueError(
                f"x = {shown(x)}: must be whole numbers, at least 0 and at most {self.outputs - 1}"
            )
        return given.log_softmax(dim=-1).gather(-1, x.long().unsqueeze(-1)).squeeze(-1)

    def draw(self, given: Tensor, generator: Generator | None) -> Tensor:
        """A value for each, ``(..., outputs)`` to ``(...)``."""
        return choose(given.log_softmax(dim=-1), generator).squeeze(-1).to(given.dtype)


class Autoregressive(nn.Module):
    """Log p(x) = Σ_i log p(x_i | x_1, …, x_{i−1}), all of it from one pass of one network.

    Args:
        network: to ``dim × head.outputs`` numbers, those of coordinate i from the coordinates
            before it; see :func:`masked_network`.
        head: the law of one coordinate, :class:`MixtureHead` or :class:`ValueHead`.
        dim: coordinates of a sample.

    Raises:
        ValueError: ``dim`` is no whole number above zero, or the head is none of the two.

    Example:
        >>> head = ValueHead(4)
        >>> model = Autoregressive(masked_network(3, head.outputs, width=8), head, dim=3)
        >>> model.log_prob(model.sample((5,))).shape
        torch.Size([5])
    """

    def __init__(self, network: nn.Module, head: MixtureHead | ValueHead, dim: int) -> None:
        super().__init__()
        function("network", network)
        if not isinstance(head, MixtureHead | ValueHead):
            raise ValueError(f"head = {shown(head)}: must be a MixtureHead or a ValueHead")
        self.network, self.head = network, head
        self.dim = whole("dim", dim, at_least=1, at_most=MOST)

    def _given(self, x: Tensor) -> Tensor:
        outputs = self.dim * self.head.outputs
        given = asked("network", self.network, self.head.seen(x), outputs)
        return given.reshape(*x.shape, self.head.outputs)

    def log_prob(self, x: Tensor, generator: Generator | None = None) -> Tensor:
        """Log density or probability, ``(..., batch, dim)`` to ``(..., batch)``; nothing is drawn.

        Raises:
            ValueError: ``x`` is no tensor of points.
        """
        x = points(x, self.network, self.dim)
        return self.head.log_prob(self._given(x), x).sum(dim=-1)

    def loss(self, x: Tensor, generator: Generator | None = None) -> Tensor:
        """The log-likelihood's negative, shape ``(..., batch)``."""
        return -self.log_prob(x)

    def sample(self, shape: Sequence[int], generator: Generator | None = None) -> Tensor:
        """Draw one coordinate after the other, one pass for each, shape ``(*shape, dim)``.

        Raises:
            ValueError: ``shape`` is no sequence of whole numbers.
        """
        like = next(self.network.parameters())
        x = torch.zeros(*sizes("shape", shape), self.dim, dtype=like.dtype, device=like.device)
        for i in range(self.dim):
            x[..., i] = self.head.draw(self._given(x)[..., i, :], generator)
        return x
