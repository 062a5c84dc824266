"""Three digits in the colour channels: a picture with 1,000 modes that can be counted."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import numpy as np
import torch
from torch import Generator, Tensor

from gan_course.arguments import are_whole, flag, shown, tensor
from gan_course.distributions import Labelled


class Stacked:
    """Three digits drawn at random, one in each colour channel (Srivastava et al. 2017, 4.2).

    Nothing is stacked beforehand: a draw takes three rows of the data, on its device.

    Args:
        images: the digits, shape ``(samples, 1, height, width)``.
        labels: their classes 0 to 9, shape ``(samples,)``.
        labelled: whether a draw comes with its label, for networks that are told it.

    Raises:
        ValueError: the images have not one channel, the labels do not fit them, or a label is
            not from 0 to 9.

    Example:
        >>> from gan_course.images import digits
        >>> Stacked(*digits()).sample((4,)).shape
        torch.Size([4, 3, 8, 8])
    """

    def __init__(
        self,
        images: Tensor | np.ndarray,
        labels: Tensor | np.ndarray,
        *,
        labelled: bool = False,
    ) -> None:
        images = tensor("images", images, "(samples, 1, height, width)", least=1)
        if images.shape[1] != 1:
            raise ValueError(
                f"images has shape {tuple(images.shape)}: expected (samples, 1, height, width)"
            )
        try:
            labels = torch.as_tensor(labels)
        except (TypeError, ValueError, RuntimeError):
            raise ValueError(f"labels = {shown(labels)}: must be whole numbers") from None
        self.single = Labelled(images, labels)
        if not bool(((self.single.labels >= 0) & (self.single.labels <= 9)).all()):
            raise ValueError(f"labels = {shown(labels)}: must be digits, 0 to 9")
        self.labelled = flag("labelled", labelled)
        self.event_shape = torch.Size((3, *images.shape[2:]))

    def sample(
        self, shape: Sequence[int] = (), generator: Generator | None = None
    ) -> Tensor | tuple[Tensor, Tensor]:
        """Draw pictures, shape ``(*shape, 3, height, width)``, with labels if ``labelled``.

        Raises:
            ValueError: ``shape`` is no sequence of whole numbers.
        """
        pictures, labels = self.pairs(shape, generator)
        return (pictures, labels) if self.labelled else pictures

    def pairs(
        self, shape: Sequence[int] = (), generator: Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        """Draw pictures, and their labels from 0 to 999, shape ``shape``.

        Raises:
            ValueError: ``shape`` is no sequence of whole numbers.
        """
        pictures, classes = zip(*(self.single.sample(shape, generator) for _ in "RGB"), strict=True)
        return torch.cat(pictures, dim=-3), stacked_label(torch.stack(classes, dim=-1))

    def to(self, device: torch.device | str) -> Stacked:
        """Return the same data on ``device``."""
        moved = copy.copy(self)
        moved.single = self.single.to(device)
        return moved


def stacked_label(classes: Tensor) -> Tensor:
    """Which of the 1,000 modes three digits are: 100 × red + 10 × green + blue.

    Args:
        classes: the digit in each channel, shape ``(..., 3)``, whole numbers from 0 to 9.

    Raises:
        ValueError: there are not three, or one is no digit.
    """
    if not are_whole(classes) or not classes.dim() or classes.shape[-1] != 3:
        raise ValueError(f"classes = {shown(classes)}: must be whole numbers, (..., 3)")
    if classes.numel() and not (int(classes.min()) >= 0 and int(classes.max()) <= 9):
        raise ValueError(f"classes = {shown(classes)}: must be digits, 0 to 9")
    red, green, blue = classes.long().unbind(dim=-1)
    return 100 * red + 10 * green + blue
