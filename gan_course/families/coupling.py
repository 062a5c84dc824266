"""A normalising flow of coupling layers."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Generator, Tensor, nn

from gan_course.arguments import number, shown, sizes, whole
from gan_course.families.arithmetic import MOST, asked, log_normal, normal, points


class RealNVP(nn.Module):
    """Coupling layers: half of the coordinates scale and shift the other half (Dinh et al. 2017).

    Args:
        networks: one a layer; ``dim`` numbers, half of them hidden as 0, to ``2 × dim``, log
            scales and shifts. The layers take turns in which half they change.
        dim: coordinates of a sample, two at least.
        most: the largest log scale of a layer.

    Raises:
        ValueError: there is no layer, or ``dim`` is below 2.

    Example:
        >>> from gan_course.networks import mlp
        >>> flow = RealNVP([mlp(2, 4) for _ in range(4)], dim=2)
        >>> flow.log_prob(flow.sample((7,))).shape
        torch.Size([7])
    """

    def __init__(self, networks: Sequence[nn.Module], dim: int, most: float = 2.0) -> None:
        super().__init__()
        given = isinstance(networks, Sequence) and len(networks)
        if not given or not all(isinstance(net, nn.Module) for net in networks):
            raise ValueError(f"networks = {shown(networks)}: must be a list of networks")
        self.networks = nn.ModuleList(networks)
        self.dim = whole("dim", dim, at_least=2, at_most=MOST)
        self.most = number("most", most, above=0)

    def _layers(self) -> list[tuple[nn.Module, Tensor]]:
        """Each network, with 1 where its layer leaves a coordinate as it is."""
        like = next(self.parameters())
        place = torch.arange(self.dim, device=like.device)
        return [(net, ((place + n) % 2).to(like)) for n, net in enumerate(self.networks)]

    def _scale_and_shift(
        self, network: nn.Module, kept: Tensor, mask: Tensor
    ) -> tuple[Tensor, Tensor]:
        log_scale, shift = asked("network", network, kept, 2 * self.dim).chunk(2, dim=-1)
        return (1 - mask) * self.most * (log_scale / self.most).tanh(), (1 - mask) * shift

    def inverse(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The z of x, ``(..., batch, dim)``, and log |det ∂z/∂x|, ``(..., batch)``.

        Raises:
            ValueError: ``x`` is no tensor of points.
        """
        x = points(x, self, self.dim)
        log_det = torch.zeros_like(x[..., 0])
        for network, mask in self._layers():
            log_scale, shift = self._scale_and_shift(network, x * mask, mask)
            x = x * log_scale.exp() + shift
            log_det = log_det + log_scale.sum(dim=-1)
        return x, log_det

    def log_prob(self, x: Tensor, generator: Generator | None = None) -> Tensor:
        """Log density, by the change of variables (eq. 2), ``(..., batch)``; nothing is drawn.

        Raises:
            ValueError: ``x`` is no tensor of points.
        """
        z, log_det = self.inverse(x)
        return log_normal(z) + log_det

    def loss(self, x: Tensor, generator: Generator | None = None) -> Tensor:
        """The log-likelihood's negative, shape ``(..., batch)``."""
        return -self.log_prob(x)

    def sample(self, shape: Sequence[int], generator: Generator | None = None) -> Tensor:
        """Draw z, and undo the layers from the last to the first; ``(*shape, dim)``.

        Raises:
            ValueError: ``shape`` is no sequence of whole numbers.
        """
        x = normal((*sizes("shape", shape), self.dim), generator, next(self.parameters()))
        for network, mask in reversed(self._layers()):
            log_scale, shift = self._scale_and_shift(network, x * mask, mask)
            x = (x - shift) * (-log_scale).exp()
        return x
