"""Small networks and sources that the tests of the training share."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Generator, Tensor, nn

from gan_course.distributions import Empirical, Source, normal, ring
from gan_course.networks import Ensemble, mlp
from gan_course.training import Settings, Trainer

Build = Callable[[], nn.Module]


def deconvolution() -> nn.Sequential:
    """A DCGAN's generator, small; no bias in front of batch norm, where it has no gradient."""
    return nn.Sequential(
        nn.Linear(2, 32, bias=False),
        nn.Unflatten(1, (8, 2, 2)),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.ConvTranspose2d(8, 4, 4, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.ConvTranspose2d(4, 1, 4, stride=2, padding=1),
        nn.Tanh(),
    )


def convolution() -> nn.Sequential:
    """Its discriminator, 8 × 8 images to one logit."""
    return nn.Sequential(
        nn.Conv2d(1, 4, 4, stride=2, padding=1),
        nn.LeakyReLU(0.2),
        nn.Conv2d(4, 8, 4, stride=2, padding=1),
        nn.LeakyReLU(0.2),
        nn.Flatten(),
        nn.Linear(32, 1),
    )


def images() -> Empirical:
    return Empirical(torch.randn(50, 1, 8, 8, generator=Generator().manual_seed(0)))


#: Name to (generator, discriminator, data).
PAIRS: dict[str, tuple[Build, Build, Source]] = {
    "mlp": (lambda: mlp(2, 2, width=16), lambda: mlp(2, 1, width=16), ring()),
    "norms": (
        lambda: mlp(2, 2, width=16, batch_norm=True),
        lambda: mlp(2, 1, width=16, spectral_norm=True),
        ring(),
    ),
    "convolutional": (deconvolution, convolution, images()),
}


def trainer(
    pair: str = "mlp",
    runs: int | None = None,
    *,
    data: object = None,
    prior: Source | None = None,
    seed: int = 0,
    weights: int = 0,
    **settings: object,
) -> Trainer:
    """A small training, the same every time; ``runs`` for an ensemble, else plain networks."""
    generator, discriminator, source = PAIRS[pair]
    torch.manual_seed(weights)
    players = [
        build() if runs is None else Ensemble(build, runs) for build in (generator, discriminator)
    ]
    return Trainer(
        *players,
        source if data is None else data,
        prior,
        Settings(**({"batch": 16} | settings)),
        seed=seed,
        device="cpu",
    )


def state(trainer: Trainer, players: Sequence[str] = ("generator", "discriminator")) -> dict:
    """Every tensor that a training carries on: weights, buffers, moments, averages."""
    wanted = (*players, "averaged")
    return {
        name: tensor
        for name, tensor in trainer.state.state_dict().items()
        if name.startswith(wanted) and not name.endswith(".count")
    }


def counts(trainer: Trainer) -> dict[str, list[int]]:
    """How many updates were made of each run, by player."""
    return {p.name: p.count.flatten().int().tolist() for p in trainer.state.players}


def differing(one: dict, other: dict, runs: slice | list[int] | int = slice(None)) -> list[str]:
    """Names of the tensors that are not bit for bit the same in these runs."""
    assert one.keys() == other.keys()
    assert one
    return [
        name
        for name in one
        if not (
            torch.equal(one[name], other[name])
            if runs == slice(None)
            else torch.equal(one[name][runs], other[name][runs])
        )
    ]


class Slice:
    """One run's share of what an ensemble of ``runs`` draws."""

    def __init__(self, source: Source, runs: int, run: int) -> None:
        self.source, self.runs, self.run = source, runs, run
        self.event_shape = source.event_shape

    def sample(self, shape: Sequence[int] = (), generator: Generator | None = None) -> Tensor:
        return self.source.sample((self.runs, *shape[1:]), generator)[self.run : self.run + 1]

    def to(self, device: torch.device | str) -> Slice:
        return Slice(self.source.to(device), self.runs, self.run)


class Poison:
    """A source in which the runs ``spoiled`` draw NaN in the calls ``at``, counted from 1."""

    def __init__(
        self,
        source: Source | None = None,
        at: Sequence[int] = (),
        spoiled: slice | list[int] = slice(None),
        value: float = torch.nan,
    ) -> None:
        self.source, self.at = source or normal(2), at
        self.spoiled, self.value = spoiled, value
        self.event_shape, self.calls = self.source.event_shape, 0

    def sample(self, shape: Sequence[int] = (), generator: Generator | None = None) -> Tensor:
        self.calls += 1
        samples = self.source.sample(shape, generator)
        if self.calls in self.at:
            samples[self.spoiled] = self.value
        return samples

    def to(self, _: torch.device | str) -> Poison:
        return self
