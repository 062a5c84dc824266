"""Image data sets, as tensors that live in memory."""

from __future__ import annotations

import torch
from torch import Tensor


def digits() -> tuple[Tensor, Tensor]:
    """The 1,797 handwritten digits that ship inside scikit-learn (Alpaydin & Kaynak 1998).

    Returns:
        Images of shape ``(1797, 1, 8, 8)``, scaled from 0 … 16 to −1 … 1, and their
        labels of shape ``(1797,)``.
    """
    from sklearn.datasets import load_digits  # noqa: PLC0415  # half a second, for one data set

    pixels, labels = load_digits(return_X_y=True)
    images = torch.as_tensor(pixels, dtype=torch.float32).reshape(-1, 1, 8, 8) / 8 - 1
    return images, torch.as_tensor(labels)
