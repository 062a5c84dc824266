"""One training for all families."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Generator, Tensor, nn

from gan_course.arguments import function, number, shown, whole
from gan_course.distributions import Source
from gan_course.families.arithmetic import MOST


class Family(Protocol):
    """What :func:`fit` trains."""

    def loss(self, x: Tensor, generator: Generator | None = None) -> Tensor:
        """One number for each sample, ``(..., batch, dim)`` to ``(..., batch)``."""

    def sample(self, shape: Sequence[int], generator: Generator | None = None) -> Tensor:
        """Draw samples, shape ``(*shape, dim)``."""


def fit(
    model: nn.Module,
    source: Source,
    steps: int,
    *,
    batch: int = 256,
    rate: float = 1e-3,
    averaging: float = 0.99,
    runs: int = 0,
    generator: Generator | None = None,
) -> nn.Module:
    """Train by Adam: a constant rate for half of the steps, then a straight line to a hundredth.

    Args:
        model: a :class:`Family`; changed in place.
        source: of the data.
        steps: of Adam.
        batch: samples in each, for each run.
        rate: of learning, before it falls.
        averaging: decay of the exponential average of the weights.
        runs: of an ensemble; 0 for a plain model.
        generator: where data and noise come from.

    Returns:
        A copy of the model with the averaged weights, and with the buffers as they are then.

    Raises:
        ValueError: a number is out of range, the model has no ``loss`` or no weights, or the
            source cannot be drawn from.
        ArithmeticError: the loss of a run is not finite, and that update was not made; or the
            weights are not, in the end.
    """
    function("model.loss", getattr(model, "loss", None))
    if not hasattr(source, "sample"):
        raise ValueError(f"source = {shown(source)}: must have a sample(shape, generator)")
    steps = whole("steps", steps, at_least=1, at_most=10**9)
    batch = whole("batch", batch, at_least=1, at_most=MOST)
    runs = whole("runs", runs, at_least=0, at_most=MOST)
    rate, averaging = (
        number("rate", rate, above=0),
        number("averaging", averaging, at_least=0, below=1),
    )
    weights = [w for w in model.parameters() if w.requires_grad]
    if not weights:
        raise ValueError(f"model = {shown(model)}: must have a weight to train")
    optimiser = torch.optim.Adam(weights, rate, betas=(0.9, 0.999), fused=True)
    average = copy.deepcopy(model).requires_grad_(False)
    averaged: list[Tensor] = [
        w
        for w, own in zip(average.parameters(), model.parameters(), strict=True)
        if own.requires_grad
    ]
    shape = (runs, batch) if runs else (batch,)
    for step in range(steps):
        optimiser.param_groups[0]["lr"] = rate * min(1.0, 1 - 0.99 * (2 * step / steps - 1))
        loss = model.loss(source.sample(shape, generator), generator)  # type: ignore[operator]
        loss = loss.mean(dim=-1).sum()
        if not math.isfinite(loss.item()):
            raise ArithmeticError(
                f"step {step + 1}: the loss is {loss.item()}. That update was not made. Lower the "
                f"rate, {rate}, or bring the data to a spread of about one."
            )
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        torch._foreach_lerp_(averaged, [w.detach() for w in weights], 1 - averaging)
    for own, last in zip(average.buffers(), model.buffers(), strict=True):
        own.copy_(last)  # running statistics and the like
    if not all(bool(weight.isfinite().all()) for weight in averaged):
        raise ArithmeticError(f"the last weights are not finite: lower the rate, {rate}.")
    return average
