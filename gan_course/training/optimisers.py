"""How gradients move weights: Adam, RMSprop and SGD, for many runs at once.

A rule turns a gradient into a direction; the step then is ``weights − rate × direction``.
Every tensor is ``(runs, weights of one run)``, the count of updates ``(runs, 1)``. A rule is
a function that changes nothing, so unrolling can differentiate through it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

#: Added to the root, as everywhere.
EPSILON = 1e-8
#: RMSprop's decay, as PyTorch has it.
ALPHA = 0.99


class Moments(NamedTuple):
    """What a rule remembers of earlier gradients: their mean, and the mean of their squares."""

    mean: Tensor
    square: Tensor


Root = Callable[[Tensor], Tensor]
#: ``(gradient, moments, count, betas, root) -> (direction, moments)``; the count is that of
#: the update to be made, from 1 on.
Rule = Callable[..., tuple[Tensor, Moments]]


def root(square: Tensor) -> Tensor:
    """√v + ε, what Adam and RMSprop divide by."""
    return square.sqrt() + EPSILON


def smooth_root(square: Tensor) -> Tensor:
    """√(v + ε²): as good, and with a derivative at 0."""
    return (square + EPSILON**2).sqrt()


def adam(
    gradient: Tensor,
    moments: Moments,
    count: Tensor,
    betas: tuple[float, float],
    root: Root = root,
) -> tuple[Tensor, Moments]:
    """Kingma & Ba 2015, algorithm 1."""
    mean = moments.mean.lerp(gradient, 1 - betas[0])
    square = moments.square.lerp(gradient.square(), 1 - betas[1])
    direction = mean / (1 - betas[0] ** count) / root(square / (1 - betas[1] ** count))
    return direction, Moments(mean, square)


def rmsprop(
    gradient: Tensor,
    moments: Moments,
    _count: Tensor,
    _betas: tuple[float, float],
    root: Root = root,
) -> tuple[Tensor, Moments]:
    """Tieleman & Hinton 2012, with the decay :data:`ALPHA`; Arjovsky et al. 2017 clip with it."""
    square = moments.square.lerp(gradient.square(), 1 - ALPHA)
    return gradient / root(square), moments._replace(square=square)


def sgd(
    gradient: Tensor,
    moments: Moments,
    _count: Tensor,
    _betas: tuple[float, float],
    _root: Root = root,
) -> tuple[Tensor, Moments]:
    """The gradient itself: what the theory of chapter 06 is about."""
    return gradient, moments


#: Every rule by name.
OPTIMISERS: dict[str, Rule] = {"Adam": adam, "RMSprop": rmsprop, "SGD": sgd}


def bounded(gradient: Tensor, bound: float) -> Tensor:
    """Each run's gradient, ``(runs, weights)``, no longer than ``bound``; 0 for no bound."""
    if not bound:
        return gradient
    norms = torch.linalg.vector_norm(gradient, dim=1, keepdim=True)
    shares: Tensor = (bound / (norms + 1e-6)).clamp(max=1)  # as torch.nn.utils has it
    return gradient * shares


def fused_adam(
    weights: Tensor,
    gradient: Tensor,
    moments: Moments,
    *,
    count: Tensor,
    betas: tuple[float, float],
    rate: Tensor,
) -> None:
    """:func:`adam` in place as one operation, where all runs share a count and a rate.

    ``torch.optim.Adam(fused=True)`` ends in this call. Around networks as small as ours its
    bookkeeping takes four times as long as the step.

    Args:
        weights: shape ``(runs, weights)``.
        gradient: likewise.
        moments: likewise; they move, too.
        count: of the update to be made, a tensor of one number.
        betas: decay rates of the two moments.
        rate: a tensor of one number.
    """
    torch._fused_adam_(
        [weights],
        [gradient],
        [moments.mean],
        [moments.square],
        [],
        [count],
        lr=rate,
        beta1=betas[0],
        beta2=betas[1],
        weight_decay=0.0,
        eps=EPSILON,
        amsgrad=False,
        maximize=False,
    )


def as_rates(rates: Sequence[float | Sequence[float]], device: torch.device) -> Tensor:
    """Rates of some steps as a step reads them: ``()`` each, or ``(runs, 1)`` if runs differ."""
    if any(isinstance(rate, tuple) for rate in rates):
        return torch.tensor(rates, dtype=torch.float32, device=device).unsqueeze(-1)
    # The fused step reads it in double precision on the CPU, and in single on a GPU.
    kind = torch.float64 if device.type == "cpu" else torch.float32
    return torch.tensor(rates, dtype=kind, device=device)
