"""Shared by all tests: one thread, no screen, no figure left open."""

from __future__ import annotations

from collections.abc import Iterator

import matplotlib as mpl
import matplotlib.pyplot as plt
import pytest
import torch
from matplotlib.axes import Axes

pytest.register_assert_rewrite("tools", "toys")  # a failed assert shows its values
mpl.use("Agg")
torch.set_num_threads(1)


@pytest.fixture
def ax() -> Iterator[Axes]:
    figure, axes = plt.subplots()
    yield axes
    plt.close(figure)
