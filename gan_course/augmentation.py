"""Differentiable augmentation: what D may not rely on when pictures are few."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gan_course.arguments import one_of, shown


class Augment(nn.Module):
    """Change each picture at random before D looks at it (Zhao et al. 2020, section 3).

    As D's first layer it sees what D sees: real and generated pictures alike, and the gradient
    reaches G through it. If real pictures alone were changed, G would learn to make changed ones.
    In evaluation mode it does nothing.

    - ``"colour"``: brightness, saturation and contrast;
    - ``"translation"``: by up to an eighth of the sides, with grey moved in;
    - ``"cutout"``: a grey square of half the sides.

    Args:
        kinds: which of them, in this order.

    Raises:
        ValueError: a kind is unknown, or there is none.

    Example:
        >>> from gan_course.convolutional import dcgan
        >>> generator, discriminator = dcgan(8)
        >>> few_pictures = nn.Sequential(Augment(), *discriminator)
        >>> few_pictures(torch.zeros(5, 1, 8, 8)).shape
        torch.Size([5, 1])
    """

    #: How a training knows that this layer takes random numbers of its own.
    draws = True

    def __init__(self, kinds: Sequence[str] = ("colour", "translation", "cutout")) -> None:
        super().__init__()
        if isinstance(kinds, str) or not isinstance(kinds, Sequence) or not kinds:
            raise ValueError(f"kinds = {shown(kinds)}: must be some of {sorted(KINDS)}")
        self.kinds = tuple(one_of("kinds", kind, KINDS) for kind in kinds)

    def forward(self, x: Tensor) -> Tensor:
        """Keep the shape ``(batch, channels, height, width)``.

        Raises:
            ValueError: ``x`` is of another shape, or no floats, or its pictures are empty.
        """
        if not isinstance(x, Tensor) or x.dim() != 4 or not x.is_floating_point():
            raise ValueError(
                f"x = {shown(x)}: must be a tensor of floats, (batch, channels, height, width)"
            )
        if not all(x.shape[1:]):
            raise ValueError(f"x has shape {tuple(x.shape)}: there is nothing in a picture")
        if not self.training:
            return x
        for kind in self.kinds:
            x = KINDS[kind](x)
        return x


def _uniform(x: Tensor) -> Tensor:
    """A number from 0 to 1 for each picture, ``(batch, 1, 1, 1)``."""
    return torch.rand(x.shape[0], 1, 1, 1, dtype=x.dtype, device=x.device)


def _colour(x: Tensor) -> Tensor:
    x = x + _uniform(x) - 0.5
    grey = x.mean(dim=1, keepdim=True)
    x = (x - grey) * 2 * _uniform(x) + grey
    mean = x.mean(dim=(1, 2, 3), keepdim=True)
    return (x - mean) * (_uniform(x) + 0.5) + mean


def _translation(x: Tensor) -> Tensor:
    height, width = x.shape[2:]
    down, right = round(height / 8), round(width / 8)
    wide = F.pad(x, (right, right, down, down))
    rows = _start(x, 2 * down + 1) + torch.arange(height, device=x.device).reshape(1, 1, -1, 1)
    columns = _start(x, 2 * right + 1) + torch.arange(width, device=x.device)
    moved = wide.gather(2, rows.expand(-1, x.shape[1], -1, wide.shape[3]))
    return moved.gather(3, columns.expand(-1, x.shape[1], height, -1))


def _cutout(x: Tensor) -> Tensor:
    """A square around a pixel drawn at random; at the rim a part of it."""
    height, width = x.shape[2:]
    rows = torch.arange(height, device=x.device).reshape(1, 1, -1, 1) - _start(x, height)
    columns = torch.arange(width, device=x.device).reshape(1, 1, 1, -1) - _start(x, width)
    tall, broad = height // 2, width // 2
    inside = (rows >= -(tall // 2)) & (rows < tall - tall // 2)
    inside = inside & (columns >= -(broad // 2)) & (columns < broad - broad // 2)
    return x * ~inside


def _start(x: Tensor, count: int) -> Tensor:
    """A whole number below ``count`` for each picture, ``(batch, 1, 1, 1)``."""
    return torch.randint(count, (x.shape[0], 1, 1, 1), device=x.device)


KINDS = {"colour": _colour, "translation": _translation, "cutout": _cutout}
