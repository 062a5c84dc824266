"""All that is random in a training, drawn before the arithmetic begins."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Generator, Tensor
from torch.utils.data import DataLoader

from gan_course.arguments import shown, whole
from gan_course.distributions import Empirical, Labelled, LabelledSource, Source
from gan_course.penalties import mixing_weights
from gan_course.training.ranks import ALONE, Ranks
from gan_course.training.settings import Settings

#: What real samples come from.
AnySource = Source | LabelledSource


class Batch(NamedTuple):
    """All that is random in one update, drawn before it."""

    noise: Tensor  # z, (runs, batch, ...)
    real: Tensor | None = None  # x, (runs, batch, ...), where the update looks at data
    label: Tensor | None = None  # y, (runs, batch), of the real samples and of those G makes
    blur: Tensor | None = None  # instance noise for the generated samples
    mix: Tensor | None = None  # weights between real and generated samples, for WGAN-GP

    def of(self, rows: slice) -> Batch:
        """The part of some runs."""
        return Batch(*(None if part is None else part[rows] for part in self))  # type: ignore[arg-type]

    def share(self, ranks: Ranks) -> Batch:
        """The part that one of several processes computes on; pairs and packs stay together."""
        return Batch(*(None if part is None else ranks.share(part) for part in self))  # type: ignore[arg-type]


class Turn(NamedTuple):
    """What one step of Algorithm 1 is given: its batches, and how far each player moves."""

    batches: tuple[Batch, ...]  # k of the discriminator's, one of the generator's
    rates: tuple[Tensor, Tensor]  # D's and G's; each one number, (), or one a run, (runs, 1)

    def of(self, rows: slice) -> Turn:
        """The part of some runs."""
        rate_D, rate_G = (rate[rows] if rate.dim() else rate for rate in self.rates)
        return Turn(tuple(batch.of(rows) for batch in self.batches), (rate_D, rate_G))


class Draws:
    """Draws the batches of a training, always in the same order.

    Args:
        data: where real samples come from, and their labels if there are any.
        prior: where noise comes from.
        runs: number of runs; each has batches of its own.
        random: the state that every draw moves.
        dtype: of the networks, to which samples are cast.
        ranks: the processes that train together. Each draws the whole batch, so that all stay
            at the same place of the same random numbers, and keeps its share.
    """

    def __init__(
        self,
        data: AnySource,
        prior: Source,
        runs: int,
        random: Generator,
        dtype: torch.dtype,
        *,
        ranks: Ranks = ALONE,
    ) -> None:
        self.data, self.prior, self.runs = data, prior, runs
        self.random, self.dtype, self.ranks = random, dtype, ranks

    def discriminator(self, settings: Settings) -> Batch:
        """Real samples, noise, and what the settings add to them."""
        return self._with_data(settings).share(self.ranks)

    def generator(self, settings: Settings) -> Batch:
        """Noise; real samples, too, for a loss that compares, for D's steps ahead, for labels."""
        if settings.objective.relativistic or settings.unroll or has_labels(self.data):
            return self.discriminator(settings)
        noise = self.noise(settings.batch)
        batch = Batch(noise, blur=self._blur(settings) if settings.instance_noise else None)
        return batch.share(self.ranks)

    def _with_data(self, settings: Settings) -> Batch:
        shape = (self.runs, settings.batch)
        drawn = self.data.sample(shape, self.random)
        real, label = drawn if isinstance(drawn, tuple) else (drawn, None)
        real, noise = real.to(self.dtype), self.noise(settings.batch)
        blur = None
        if settings.instance_noise:
            real = real + self._blur(settings)
            blur = self._blur(settings)
        mix = None
        if any(penalty.mixes for penalty, _ in settings.charges):
            mix = mixing_weights(pack(real, settings.packing), self.random)
        return Batch(noise, real, label, blur, mix)

    def noise(self, samples: int) -> Tensor:
        """z, shape ``(runs, samples, ...)``."""
        return self.prior.sample((self.runs, samples), self.random).to(self.dtype)

    @contextmanager
    def by_layers(self) -> Iterator[None]:
        """Let layers that draw by themselves, such as dropout, draw from the training's seed."""
        device = self.random.device
        own = self.random.clone_state()
        seed = int(torch.randint(2**62, (), generator=own, device=device))
        with torch.random.fork_rng([device] if device.type == "cuda" else []):
            torch.manual_seed(seed + self.ranks.rank)  # each for its share of the samples
            yield

    def _blur(self, settings: Settings) -> Tensor:
        """Instance noise for one batch of samples."""
        noise = torch.randn(
            (self.runs, settings.batch, *self.data.event_shape),
            generator=self.random,
            device=self.random.device,
            dtype=self.dtype,
        )
        return settings.instance_noise * noise


def pack(x: Tensor, packing: int) -> Tensor:
    """Put every ``packing`` samples side by side (Lin et al. 2018, PacGAN, section 2).

    Args:
        x: samples, ``(runs, batch, features, ...)``; or their labels, ``(runs, batch)``.
        packing: a divisor of the batch.

    Returns:
        ``(runs, batch / packing, packing × features, ...)``; images are packed as channels.
        Of labels, ``(runs, batch / packing, packing)``.

    Raises:
        ValueError: ``x`` has no runs and batch, or ``packing`` does not divide its batch.
    """
    if not torch.compiler.is_compiling():
        packing = _divisor(packing, x)
    if packing == 1:
        return x
    features = x.shape[2] if x.dim() > 2 else 1
    return x.reshape(x.shape[0], -1, packing * features, *x.shape[3:])


def _divisor(packing: object, x: object) -> int:
    if not isinstance(x, Tensor) or x.dim() < 2:
        raise ValueError(f"x = {shown(x)}: must be a tensor, (runs, batch, ...)")
    divisor = whole("packing", packing, at_least=1)
    if x.shape[1] % divisor:
        raise ValueError(f"packing = {divisor}: must divide the batch, of which x has {x.shape[1]}")
    if divisor > 1 and not x.numel():
        raise ValueError(f"x has shape {tuple(x.shape)}: there is nothing to pack")
    return divisor


def has_labels(source: AnySource) -> bool:
    """Whether a source draws pairs ``(x, label)``; it says so by ``labelled = True``."""
    return bool(getattr(source, "labelled", False))


# --- Data as people have it --------------------------------------------------------------


def as_source(data: object) -> AnySource:
    """Data as people have it, as a source.

    Args:
        data: a source; or samples, shape ``(samples, ...)``, as a tensor, an array, a
            map-style ``Dataset`` of tensors or of pairs ``(x, label)``; or a pair
            ``(samples, labels)``.

    Raises:
        ValueError: samples are not finite, or do not fit their labels.
        TypeError: it is none of these; the message says what to pass.
    """
    if hasattr(data, "sample") and hasattr(data, "event_shape"):
        return data  # type: ignore[return-value]
    if isinstance(data, DataLoader):
        raise TypeError(
            "data is a DataLoader: pass its dataset, data=loader.dataset. Samples are kept in "
            "memory on the device and drawn by index, so there are no workers to wait for."
        )
    if isinstance(data, Tensor | np.ndarray):
        return Empirical(data)
    if isinstance(data, tuple) and len(data) == 2:
        return Labelled(*data)
    if hasattr(data, "__getitem__") and hasattr(data, "__len__") and not isinstance(data, str):
        return _stacked(data)  # type: ignore[arg-type]
    raise TypeError(
        f"data = {shown(data)}: expected a source (with sample and event_shape), a tensor or an "
        "array of shape (samples, ...), a map-style Dataset, or a pair (samples, labels)"
    )


def _stacked(data: Sequence[Any]) -> AnySource:
    """Every sample of a data set in memory, with every label if it has labels."""
    if not len(data):
        raise ValueError(f"data = {shown(data)}: it has no samples")
    items = [data[index] for index in range(len(data))]
    rows = [item if isinstance(item, tuple | list) else (item,) for item in items]
    samples = [row[0] for row in rows]
    if not isinstance(samples[0], Tensor | np.ndarray):
        raise TypeError(
            f"data[0] is a {type(samples[0]).__name__}: expected a tensor; give the data set a "
            "transform that makes one, such as torchvision.transforms.ToTensor()"
        )
    stacked = torch.stack([torch.as_tensor(sample) for sample in samples])
    if len(rows[0]) == 1:
        return Empirical(stacked)
    return Labelled(stacked, torch.as_tensor([int(row[1]) for row in rows]))
