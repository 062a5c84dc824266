"""Chapter 07's exercises know right answers from plausible wrong ones."""

from __future__ import annotations

import math

import torch
from tools import exercise_tests
from torch import Tensor


def count(
    samples: Tensor,
    centers: Tensor,
    std: float,
    *,
    reach: float = 3.0,
    need: int = 1,
    of_all: bool = True,
) -> tuple[int, Tensor]:
    distance, nearest = torch.cdist(samples, centers).min(dim=1)
    good = distance <= reach * std
    modes = int((nearest[good].bincount(minlength=len(centers)) >= need).sum())
    return modes, good.double().mean() if of_all else good.double().sum()


RIGHT = [
    ("07.1", 0.2231),
    ("07.2", lambda tau, goal: math.ceil(math.log(1 - goal) / math.log(1 - tau))),
    ("07.3", count),
    ("07.4", 8),
]

WRONG = [
    ("07.1", "the entropy", math.log(20)),
    ("07.1", "the share that is missing", 0.2),
    ("07.1", "in bits", math.log2(25 / 20)),
    ("07.1", "the other sign", -0.2231),
    ("07.2", "rounded down", lambda t, g: int(math.log(1 - g) / math.log(1 - t))),
    ("07.2", "not rounded", lambda t, g: math.log(1 - g) / math.log(1 - t)),
    ("07.2", "goal over tau", lambda t, g: math.ceil(g / t)),
    ("07.2", "the wrong logarithms", lambda t, g: math.ceil(math.log(g) / math.log(t))),
    ("07.3", "two standard deviations", lambda x, c, s: count(x, c, s, reach=2)),
    ("07.3", "without the HQ filter", lambda x, c, s: (len(c), count(x, c, s)[1])),
    ("07.3", "a count in place of a share", lambda x, c, s: count(x, c, s, of_all=False)),
    ("07.3", "modes alone", lambda x, c, s: count(x, c, s)[0]),
    ("07.3", "two samples a mode", lambda x, c, s: count(x, c, s, need=2)),
    ("07.4", "the last that attracts", 7),
    ("07.4", "the bound itself", 7.04),
    ("07.4", "for K = 3", 4),
    ("07.4", "one too many", 9),
]

test_right_answers, test_wrong_answers, test_stubs = exercise_tests(RIGHT, WRONG)
