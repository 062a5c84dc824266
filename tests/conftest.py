"""Shared by all tests: one thread, no screen, no figure left open."""

from __future__ import annotations

import os
from collections.abc import Iterator

import matplotlib as mpl
import matplotlib.pyplot as plt
import pytest
import torch
from matplotlib.axes import Axes

mpl.use("Agg")
os.environ["TQDM_DISABLE"] = "1"  # for the notebooks' kernels: a bar shows on slow machines only
torch.set_num_threads(1)


@pytest.fixture
def ax() -> Iterator[Axes]:
    figure, axes = plt.subplots()
    yield axes
    plt.close(figure)
