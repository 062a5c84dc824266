"""The numbers of a training over time, in a bounded space."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

#: Quantities over the steps, in the order of the rows that the page gets.
NAMES = (
    "step",
    "real",
    "fake",
    "real_score",
    "fake_score",
    "value",
    "loss",
    "least",
    "gap",
    "divergence",
    "discriminator_gradient",
    "generator_gradient",
    "modes",
)
#: Those that are measured when a picture is drawn, not at each step.
MEASURED = ("real_score", "fake_score", "value", "loss", "least", "gap", "divergence", "modes")
#: Rows that are kept at most.
MOST = 400


class Curves:
    """Keeps a row of numbers for each step; beyond :data:`MOST` rows, every other one.

    Step 0 has a row once it is measured, so that there is something to see before the first.
    A quantity that is measured with the picture only keeps its last value in between; what a
    picture does not measure has no value from then on.
    """

    def __init__(self) -> None:
        self._rows: list[list[float]] = []
        self._now = {**dict.fromkeys(NAMES, math.nan), "step": 0}
        self._stride = 1

    def add(self, step: int, **numbers: float) -> None:
        """Remember the numbers of a step."""
        self._now |= {"step": step, **numbers}
        if step % self._stride:
            return
        self._rows.append(self._row())
        if len(self._rows) > MOST:
            self._stride *= 2
            self._rows = [row for row in self._rows if row[0] % self._stride == 0]

    def measure(self, step: int, **numbers: float) -> None:
        """Remember what was measured after a step, too."""
        names = MEASURED if step else NAMES[1:]  # no step has noted its own yet
        self._now |= {name: numbers.get(name, math.nan) for name in names}
        if step == 0 or (self._rows and self._rows[-1][0] == step):
            self._rows[-1:] = [self._row()]

    def array(self) -> NDArray[np.float32]:
        """All rows, shape ``(quantities, steps)``."""
        return np.array(self._rows, np.float32).reshape(-1, len(NAMES)).T

    def _row(self) -> list[float]:
        return [self._now[name] for name in NAMES]
