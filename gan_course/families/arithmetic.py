"""What all families need: normal numbers, and their log density."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Generator, Tensor, nn

from gan_course.arguments import one_device, tensor

LOG_TAU = math.log(2 * math.pi)
#: More of anything is a slip, which would fill the memory without a word.
MOST = 10**6


def points(x: object, network: object, dim: int | None = None, name: str = "x") -> Tensor:
    """Points as a network takes them: real numbers in its precision, two dimensions at least.

    Args:
        x: what was given, ``(..., batch, dim)``.
        network: whose weights say in which precision.
        dim: how many coordinates there must be; ``None`` for any number.
        name: of the argument.

    Raises:
        ValueError: it is no tensor of points, or not where the network is.
    """
    weights = network.parameters() if isinstance(network, nn.Module) else ()
    weight = next(iter(weights), None)  # a formula has none
    kind = None if weight is None else weight.dtype
    wanted = f"(..., batch, {dim or 'dim'})"
    found = tensor(name, x, "(batch, dim, ...)", finite=False, dtype=kind)
    if dim is not None and found.shape[-1] != dim:
        raise ValueError(f"{name} has shape {tuple(found.shape)}: expected {wanted}")
    one_device(**{"the network": weight, name: found})
    return found


def beside(name: str, value: object, x: Tensor) -> Tensor:
    """A number for each point of ``x``, ``(..., batch, 1)``, in its precision.

    Raises:
        ValueError: it is none, not as many, or on another device.
    """
    found = tensor(name, value, "(batch, 1, ...)", finite=False, dtype=x.dtype)
    if found.shape != (*x.shape[:-1], 1):
        raise ValueError(
            f"{name} has shape {tuple(found.shape)}: expected {(*x.shape[:-1], 1)}, "
            "that of x but for one number each"
        )
    one_device(x=x, **{name: found})
    return found


def asked(name: str, network: Callable[[Tensor], Tensor], x: Tensor, outputs: int) -> Tensor:
    """What a network says of points, ``(..., batch, dim)`` to ``(..., batch, outputs)``.

    Args:
        name: of the network, for messages.
        network: whom to ask.
        x: the points.
        outputs: how many numbers there must be for each; fewer would be repeated without a word.

    Raises:
        ValueError: it does not take x, or says something of another shape.
    """
    try:
        found = network(x)
    except RuntimeError as error:
        raise ValueError(
            f"x has shape {tuple(x.shape)}, which the {name} does not take: {error}"
        ) from error
    if found.shape != (*x.shape[:-1], outputs):
        raise ValueError(
            f"the {name} returned shape {tuple(found.shape)}: expected {(*x.shape[:-1], outputs)}"
        )
    return found


def like_normal(x: Tensor, generator: Generator | None) -> Tensor:
    """Standard normal numbers in the shape of ``x``."""
    return torch.randn(x.shape, generator=generator, dtype=x.dtype, device=x.device)


def normal(shape: Sequence[int], generator: Generator | None, like: Tensor) -> Tensor:
    """Standard normal numbers of a shape, of the kind of ``like``."""
    return torch.randn(tuple(shape), generator=generator, dtype=like.dtype, device=like.device)


def choose(log_weight: Tensor, generator: Generator | None) -> Tensor:
    """One index for each row, drawn by its probability, ``(..., n)`` to ``(..., 1)``."""
    u = torch.rand(
        log_weight.shape, generator=generator, dtype=log_weight.dtype, device=log_weight.device
    )
    gumbel = -(-u.clamp(min=1e-12).log()).log()
    return (log_weight + gumbel).argmax(dim=-1, keepdim=True)


def log_normal(x: Tensor, mean: Tensor | None = None, log_std: Tensor | None = None) -> Tensor:
    """Log density of a normal with independent coordinates, summed over the last dimension."""
    mean = torch.zeros_like(x) if mean is None else mean
    log_std = torch.zeros_like(x) if log_std is None else log_std
    each = -(((x - mean) / log_std.exp()).square() + LOG_TAU) / 2 - log_std
    return each.sum(dim=-1)
