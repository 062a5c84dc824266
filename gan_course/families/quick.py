"""All families on points of the plane, each trained in about a second: small, plain, untuned."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

import torch
from torch import Generator, Tensor, nn

from gan_course.arguments import shown, whole
from gan_course.distributions import Source, normal
from gan_course.families.arithmetic import MOST
from gan_course.families.autoregressive import Autoregressive, MixtureHead, masked_network
from gan_course.families.continuous import Diffusion, FlowMatching
from gan_course.families.coupling import RealNVP
from gan_course.families.training import fit
from gan_course.families.vae import VAE
from gan_course.networks import mlp
from gan_course.training import Linear, Settings, Trainer

#: Steps of each family when ``steps`` is 100, for about equal seconds.
SHARES = {
    "GAN": 40,
    "VAE": 80,
    "autoregressive": 70,
    "normalising flow": 30,
    "diffusion": 100,
    "flow matching": 100,
}


class Standard:
    """A source, shifted and scaled so that its mean is 0 and its spread 1.

    Args:
        source: of points, ``(..., dim)``.
    """

    def __init__(self, source: Source) -> None:
        if not hasattr(source, "sample"):
            raise ValueError(f"source = {shown(source)}: must have a sample(shape, generator)")
        x = source.sample((4_000,), Generator().manual_seed(0))
        if x.dim() != 2 or x.shape[1] != 2:
            raise ValueError(f"source draws {tuple(x.shape[1:])}: must be points of the plane")
        self.source, self.event_shape = source, torch.Size((2,))
        self.middle, self.unit = x.mean(dim=0), x.std().clamp(min=1e-6)

    def sample(self, shape: Sequence[int] = (), generator: Generator | None = None) -> Tensor:
        """Draw points, ``(*shape, 2)``."""
        return (self.source.sample(shape, generator) - self.middle) / self.unit

    def back(self, x: Tensor) -> Tensor:
        """Points in the source's own units."""
        return x * self.unit + self.middle

    def to(self, _: torch.device | str) -> Standard:
        """The same; it stays where it is."""
        return self


def quickly(
    source: Source, *, steps: int = 600, samples: int = 500, seed: int = 0
) -> Iterator[tuple[str, Tensor]]:
    """Train one family after the other on points of the plane, for about a second each.

    All have networks of about the same width; all but the flow's are shown waves of a point.
    Nothing is tuned to the points, so read it as a first look and not as a ranking.

    Args:
        source: of the points; for what a reader draws, :func:`gan_course.distributions.drawn`.
        steps: of diffusion and flow matching; the others take fewer, as theirs take longer.
        samples: of each.
        seed: of weights, data and noise.

    Yields:
        The family's name, and its samples, shape ``(samples, 2)``.

    Raises:
        ValueError: the source draws no points of the plane, or a number is out of range.

    Example:
        >>> from gan_course.distributions import spiral
        >>> [name for name, x in quickly(spiral(), steps=3, samples=5)][:2]
        ['GAN', 'VAE']
    """
    steps = whole("steps", steps, at_least=1, at_most=MOST)
    samples = whole("samples", samples, at_least=1, at_most=MOST)
    seed = whole("seed", seed, at_least=0, at_most=2**63 - 1)
    data = Standard(source)
    for number, (name, share) in enumerate(SHARES.items()):
        random = Generator().manual_seed(seed + number)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            build = _FAMILIES[name]
            x = build(data, max(1, steps * share // 100), samples, random)
        yield name, data.back(x)


def _seeing(inputs: int, outputs: int) -> nn.Module:
    return mlp(inputs, outputs, width=64, depth=3, fourier=12, frequencies=(0.3, 10.0))


def _gan(data: Standard, steps: int, samples: int, random: Generator) -> Tensor:
    G, D = mlp(2, 2, width=64, depth=3, activation="relu"), _seeing(2, 1)
    settings = Settings(batch=256, averaging=0.98, penalties={"R1": 0.1}, betas=(0.5, 0.99))
    seed = int(torch.randint(2**31, (), generator=random))
    trainer = Trainer(G, D, data, normal(2), settings, seed=seed, device="cpu")
    rates = {
        "discriminator_rate": Linear(4e-3, 4e-4, steps // 2, steps),
        "generator_rate": Linear(2e-3, 2e-4, steps // 2, steps),
    }
    trainer.train(steps, schedule=rates, progress=False)
    made: Tensor = trainer.sample(samples, averaged=True)
    return made.reshape(samples, 2)


def _fitted(
    make: Callable[[], nn.Module], data: Standard, steps: int, samples: int, random: Generator
) -> Tensor:
    model = fit(make(), data, steps, rate=4e-3, averaging=0.98, generator=random)
    with torch.no_grad():
        made: Tensor = model.sample((samples,), random)  # type: ignore[operator]
    return made


def _chain() -> nn.Module:
    head = MixtureHead(8)
    return Autoregressive(masked_network(2, head.outputs, width=64, depth=3, waves=12), head, dim=2)


_FAMILIES: dict[str, Callable[[Standard, int, int, Generator], Tensor]] = {
    "GAN": _gan,
    "VAE": partial(_fitted, lambda: VAE(_seeing(2, 4), mlp(2, 2, width=64, depth=3), latent=2)),
    "autoregressive": partial(_fitted, _chain),
    "normalising flow": partial(
        _fitted, lambda: RealNVP([mlp(2, 4, width=32) for _ in range(6)], dim=2)
    ),
    "diffusion": partial(_fitted, lambda: Diffusion(_seeing(3, 2), dim=2)),
    "flow matching": partial(_fitted, lambda: FlowMatching(_seeing(3, 2), dim=2)),
}
