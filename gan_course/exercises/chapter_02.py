"""Specifications of the exercises of chapter 02, *The adversarial game*."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from gan_course.exercises import Wrong, call, expect, specification
from gan_course.losses import cross_entropy


@specification("02.1")
def value_of_a_good_discriminator(answer: float) -> None:
    """V = log 0.9 + log(1 − 0.2)."""
    expect(
        "V adds log D on real samples and log(1 − D) on generated ones, without a factor ½",
        answer,
        math.log(0.9) + math.log(0.8),
        atol=1e-3,
    )


@specification("02.2")
def discriminator_loss(answer: Callable[[Tensor, Tensor], Tensor]) -> None:
    """−V from logits, one number for each run."""
    random = torch.Generator().manual_seed(0)
    real, fake = torch.randn(2, 3, 64, generator=random).unbind()
    loss = call(answer, real, fake)
    expected = cross_entropy(real, fake)
    expect("one number for each run: take the mean over the batch", loss.shape, expected.shape)
    expect("not −V: look at the signs and at both halves", loss, expected)
    expect(
        "the batch size changes the loss: take the mean, not the sum",
        call(answer, real[:, :8], fake[:, :8]),
        cross_entropy(real[:, :8], fake[:, :8]),
    )
    far = torch.full((1, 4), 1e4)
    if not bool(call(answer, -far, far).isfinite().all()):
        raise Wrong("not finite at logits of ±10,000: use softplus or logsigmoid, not log(sigmoid)")
    expect("wrong at logits of ±10,000", call(answer, -far, far), cross_entropy(-far, far))


@specification("02.3")
def density_of_a_square(answer: Callable[[Tensor], Tensor]) -> None:
    """1 / (2√x): two preimages, each with density ½ and slope 2√x."""
    x = torch.linspace(0.05, 0.95, 19)
    expect("count the z that lead to x, and divide by |G'(z)|", call(answer, x), 0.5 / x.sqrt())


@specification("02.4")
def steps_until_the_fakes_are_caught(answer: int) -> None:
    """The first step at which the median over 16 seeds of the mean D(G(z)) is below 0.1."""
    if not isinstance(answer, int):
        raise Wrong(f"a number of steps is a whole number, not {answer!r}")
    expect("not what 16 seeds say; count D's steps from 1", answer, 93, atol=6)
