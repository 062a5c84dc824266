"""Chapter 07's exercises turn plausible wrong answers away."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from gan_course.exercises import Wrong, exercise


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


RIGHT = {
    "07.1": 0.2231,
    "07.2": lambda tau, goal: math.ceil(math.log(1 - goal) / math.log(1 - tau)),
    "07.3": count,
    "07.4": 8,
}

WRONG = {
    "the entropy": ("07.1", math.log(20)),
    "the share that is missing": ("07.1", 0.2),
    "in bits": ("07.1", math.log2(25 / 20)),
    "the other sign": ("07.1", -0.2231),
    "rounded down": ("07.2", lambda t, g: int(math.log(1 - g) / math.log(1 - t))),
    "not rounded": ("07.2", lambda t, g: math.log(1 - g) / math.log(1 - t)),
    "goal over tau": ("07.2", lambda t, g: math.ceil(g / t)),
    "the wrong logarithms": ("07.2", lambda t, g: math.ceil(math.log(g) / math.log(t))),
    "two standard deviations": ("07.3", lambda x, c, s: count(x, c, s, reach=2)),
    "without the HQ filter": ("07.3", lambda x, c, s: (len(c), count(x, c, s)[1])),
    "a count in place of a share": ("07.3", lambda x, c, s: count(x, c, s, of_all=False)),
    "modes alone": ("07.3", lambda x, c, s: count(x, c, s)[0]),
    "two samples a mode": ("07.3", lambda x, c, s: count(x, c, s, need=2)),
    "the last that attracts": ("07.4", 7),
    "the bound itself": ("07.4", 7.04),
    "for K = 3": ("07.4", 4),
    "one too many": ("07.4", 9),
}


@pytest.mark.parametrize("key", RIGHT)
def test_the_right_answer_is_right(key: str, capsys: pytest.CaptureFixture[str]) -> None:
    exercise(key, RIGHT[key])
    assert capsys.readouterr().out == f"✓ Exercise {key}: right.\n"


@pytest.mark.parametrize("mistake", WRONG)
def test_a_wrong_answer_gets_a_hint(mistake: str) -> None:
    key, answer = WRONG[mistake]
    with pytest.raises(Wrong) as hint:
        exercise(key, answer)
    assert len(str(hint.value)) > 20
