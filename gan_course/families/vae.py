"""A variational autoencoder."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Generator, Tensor, nn

from gan_course.arguments import flag, function, number, sizes, whole
from gan_course.families.arithmetic import MOST, asked, like_normal, log_normal, normal, points


class VAE(nn.Module):
    """z ~ N(0, I), x ~ N(decoder(z), σ² I), and an encoder that guesses z from x.

    Kingma & Welling (2014); σ is one learned number, as in Rybkin et al. (2021).

    Args:
        encoder: x to mean and log standard deviation of q(z|x), ``dim`` to ``2 × latent`` numbers.
        decoder: z to the mean of x, ``latent`` to ``dim`` numbers.
        latent: the dimension of z.
        std: σ at the start. With one as large as the spread of the data, x is all noise, and a
            training may learn to ignore z, for good.

    Raises:
        ValueError: ``latent`` is no whole number above zero, ``std`` is not above zero, or a
            network cannot be called.

    Example:
        >>> from gan_course.networks import mlp
        >>> model = VAE(mlp(2, 6), mlp(3, 2), latent=3)
        >>> model.elbo(torch.zeros(5, 2)).shape, model.sample((7,)).shape
        (torch.Size([5]), torch.Size([7, 2]))
    """

    def __init__(
        self, encoder: nn.Module, decoder: nn.Module, latent: int, std: float = 0.1
    ) -> None:
        super().__init__()
        function("encoder", encoder)
        function("decoder", decoder)
        self.encoder, self.decoder = encoder, decoder
        self.latent = whole("latent", latent, at_least=1, at_most=MOST)
        runs = getattr(decoder, "runs", None)
        start = torch.tensor(math.log(number("std", std, above=0)))
        self.log_std = nn.Parameter(start if runs is None else start.repeat(runs, 1, 1))

    def posterior(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log standard deviation of q(z|x), each ``(..., batch, latent)``.

        Raises:
            ValueError: ``x`` is no tensor of points that the encoder takes.
        """
        x = points(x, self.encoder)
        mean, log_std = asked("encoder", self.encoder, x, 2 * self.latent).chunk(2, dim=-1)
        return mean, log_std

    def log_joint(self, x: Tensor, z: Tensor) -> Tensor:
        """Log p(x, z) = log p(x|z) + log p(z), shape ``(..., batch)``.

        Raises:
            ValueError: ``x`` or ``z`` is no tensor of points, or they are not equally many.
        """
        x, z = points(x, self.decoder), points(z, self.decoder, self.latent, "z")
        if x.shape[:-1] != z.shape[:-1]:
            raise ValueError(
                f"z has shape {tuple(z.shape)}: expected {(*x.shape[:-1], self.latent)}, "
                "that of x but for the last number"
            )
        mean = self.decoder(z)
        if mean.shape != x.shape:
            raise ValueError(f"x has shape {tuple(x.shape)}: expected {tuple(mean.shape)}")
        return log_normal(x, mean, self.log_std) + log_normal(z)

    def elbo(self, x: Tensor, generator: Generator | None = None) -> Tensor:
        """The bound, E_q log p(x|z) − KL(q(z|x) ‖ p(z)), from one z for each x (eq. 10).

        Args:
            x: shape ``(..., batch, dim)``.
            generator: where z comes from.

        Returns:
            Shape ``(..., batch)``, in nats; at most log p(x) on average.

        Raises:
            ValueError: ``x`` is no tensor of points.
        """
        x = points(x, self.encoder)
        mean, log_std = self.posterior(x)
        z = mean + log_std.exp() * like_normal(mean, generator)
        kl = ((mean.square() + (2 * log_std).exp() - 1) / 2 - log_std).sum(dim=-1)
        mean = asked("decoder", self.decoder, z, x.shape[-1])
        return log_normal(x, mean, self.log_std) - kl

    def loss(self, x: Tensor, generator: Generator | None = None) -> Tensor:
        """The bound's negative, shape ``(..., batch)``."""
        return -self.elbo(x, generator)

    def log_prob(self, x: Tensor, generator: Generator | None = None, draws: int = 100) -> Tensor:
        """A bound on log p(x) that gets tight with the draws (Burda et al. 2016, eq. 8).

        It is the log of the mean of p(x, z) / q(z|x) over draws of z from q(z|x).

        Raises:
            ValueError: ``x`` is no tensor of points, or ``draws`` is below 1.
        """
        draws = whole("draws", draws, at_least=1, at_most=MOST)
        x = points(x, self.encoder)
        mean, log_std = self.posterior(x)
        weights = []
        for _ in range(draws):
            z = mean + log_std.exp() * like_normal(mean, generator)
            weights.append(self.log_joint(x, z) - log_normal(z, mean, log_std))
        return torch.stack(weights).logsumexp(dim=0) - math.log(draws)

    def sample(
        self, shape: Sequence[int], generator: Generator | None = None, *, noise: bool = True
    ) -> Tensor:
        """Draw x, shape ``(*shape, dim)``; without ``noise`` the mean of p(x|z) alone.

        Raises:
            ValueError: ``shape`` is no sequence of whole numbers.
        """
        z = normal((*sizes("shape", shape), self.latent), generator, self.log_std)
        noise = flag("noise", noise)
        mean: Tensor = self.decoder(z)
        return mean + self.log_std.exp() * like_normal(mean, generator) if noise else mean
