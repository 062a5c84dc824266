"""What a discriminator's number means: each loss asks it for another one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from gan_course.losses import (
    LOSSES,
    cross_entropy,
    hinge_discriminator,
    least_squares_discriminator,
)

Best = Callable[[Tensor, Tensor], Tensor]
Objective = Callable[[Tensor, Tensor], Tensor]
#: A logit that float32 takes for certainty, and a mass that it can still divide by.
CERTAIN, LEAST = 40.0, 1e-12


@dataclass(frozen=True)
class Reading:
    """How to read what D returns under a loss.

    Attributes:
        name: what the page calls the shade.
        text: what to tell a reader who expects a probability; empty where it is one.
        labels: what D is asked to return for a generated and for a real sample; none where
            only differences count.
        best: D* from the masses of data and generator in a cell; none where there is no one D*.
    """

    name: str
    text: str
    labels: tuple[float, float] | None = None
    best: Best | None = None

    @property
    def probability(self) -> bool:
        """Whether D returns the logit of a probability."""
        return not self.text

    def shade(self, scores: Tensor, middle: Tensor) -> Tensor:
        """Bring scores into [0, 1]: 0 says generated, 1 says real, 1/2 is the border.

        Args:
            scores: D's raw outputs, any shape.
            middle: the border, where only differences count.
        """
        if self.probability:
            return scores.sigmoid()
        if self.labels is not None:
            fake, real = self.labels
            return ((scores - fake) / (real - fake)).clamp(0, 1)
        away = scores - middle
        return 0.5 + away / (2 * away.abs().max()).clamp_min(LEAST)


def _log_ratio(p: Tensor, q: Tensor) -> Tensor:
    return torch.log(p + LEAST) - torch.log(q + LEAST)


_DIFFERENCES = (
    "only differences of its scores count. The shade runs over the scores in the picture; the "
    "line is halfway between their means on both samples. There is no one D* to compare with"
)
_READINGS: dict[Objective, Reading] = {
    cross_entropy: Reading("D", "", (-CERTAIN, CERTAIN), _log_ratio),
    least_squares_discriminator: Reading(
        "D",
        "Least squares asks D for 1 on real and 0 on generated samples. The shade is that number, "
        "not a probability's logit; its D* is p/(p + q) as well (chapter 08).",
        (0.0, 1.0),
        lambda p, q: p / (p + q + LEAST),
    ),
    hinge_discriminator: Reading(
        "(D + 1)/2",
        "The hinge asks D for a score of 1 or more on real and −1 or less on generated samples. "
        "The shade ends there; the line is 0. Its D* jumps from −1 to 1 (chapter 08).",
        (-1.0, 1.0),
        lambda p, q: torch.sign(p - q),
    ),
}


def reading(loss: str) -> Reading:
    """How to read D's output under ``loss``, a key of :data:`gan_course.losses.LOSSES`."""
    known = _READINGS.get(LOSSES[loss].discriminator)
    if known is not None:
        return known
    who = "A critic gives no probability:" if loss == "wasserstein" else "D compares samples:"
    return Reading("D, scaled", f"{who} {_DIFFERENCES} (chapter 08).")
