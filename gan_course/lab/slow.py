"""One round of Algorithm 1 in slow motion: its pieces in turn, each with a name."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from gan_course.lab.scores import reading
from gan_course.training import Trainer, pack


class Piece(NamedTuple):
    """A piece of a step, as the page shows it.

    Attributes:
        text: what happens.
        highlight: the layers to look at; the others fade.
        real: the batch to show as real samples, shape ``(batch, dim)``; or none.
        fake: the batch to show as generated samples, likewise.
    """

    text: str
    highlight: tuple[str, ...]
    real: Tensor | None = None
    fake: Tensor | None = None


def pieces(trainer: Trainer, run: int) -> Iterator[Piece]:
    """Take k steps of D and one of G; between the pieces the reader may look, or stop.

    Raises:
        NonFiniteError: see :meth:`gan_course.training.Trainer.step`.
    """
    k = trainer.settings.k
    for turn in range(1, k + 1):
        yield from _discriminator_step(trainer, run, f"D step {turn} of {k}")
    yield from _generator_step(trainer, run)
    trainer.steps += 1


def next_batches(trainer: Trainer) -> tuple[Tensor, Tensor]:
    """The real and the generated batch that the next D step will draw, for every run."""
    batch = trainer.peek()
    assert batch.real is not None
    with torch.no_grad():
        return batch.real, trainer.generator(batch.noise)


@torch.no_grad()
def _opinion(trainer: Trainer, batch: Tensor) -> Tensor:
    """What D says of every run's batch: a probability where the loss has one, else a score."""
    logits = trainer.logits(pack(batch, trainer.settings.packing))
    return logits.sigmoid() if reading(trainer.settings.objective.name).probability else logits


def _discriminator_step(trainer: Trainer, run: int, name: str) -> Iterator[Piece]:
    batches = next_batches(trainer)
    real, fake = (batch[run] for batch in batches)
    yield Piece(f"{name}: draw a batch of real samples.", ("real",), real, fake)
    yield Piece(
        f"{name}: draw noise, and let G make samples of it. G stands still.",
        ("generated", "manifold"),
        real,
        fake,
    )
    says = [_opinion(trainer, batch)[run].mean().item() for batch in batches]
    yield Piece(
        f"{name}: D judges both batches. It says {says[0]:.2f} on real and {says[1]:.2f} on "
        "generated samples, on average.",
        ("real", "generated", "belief"),
        real,
        fake,
    )
    step = trainer.discriminator_step()
    yield Piece(
        f"{name}: D's weights move down its loss of {step.loss[run].item():.3f}. The shade moves.",
        ("belief",),
        real,
        fake,
    )


def _generator_step(trainer: Trainer, run: int) -> Iterator[Piece]:
    yield Piece("G step: draw fresh noise, and let G make samples of it.", ("generated",))
    yield Piece(
        "G step: the slope of the loss, through D, says where each sample should go.",
        ("generated", "arrows"),
    )
    step = trainer.generator_step()
    yield Piece(
        f"G step: G's weights move down its loss of {step.loss[run].item():.3f}. "
        "The samples move, the shade stays.",
        ("generated", "manifold"),
    )
