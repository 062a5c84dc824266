"""Chapter 08's exercises turn plausible wrong answers away."""

from __future__ import annotations

import math

import numpy as np
import pytest

from gan_course.exercises import Wrong, exercise
from gan_course.exercises.chapter_08 import CHANGES, Array


def earth_mover(place: Array, p: Array, q: Array) -> float:
    order = np.argsort(place)
    return float(np.abs(np.cumsum((p - q)[order]))[:-1] @ np.diff(place[order]))


RIGHT = {
    "08.1": CHANGES,
    "08.2": lambda a, b: abs(a - b) * math.sqrt(2 / math.pi),
    "08.3": earth_mover,
    "08.4": lambda t, gamma: t**2 / gamma,
    "08.5": 256,
}

WRONG = {
    "everything changes": ("08.1", dict.fromkeys(CHANGES, True)),
    "nothing changes": ("08.1", dict.fromkeys(CHANGES, False)),
    "hinge slopes like Wasserstein": ("08.1", CHANGES | {"best hinge loss": True}),
    "any steeper leash is flat": ("08.1", CHANGES | {"best value at slope ≤ 2": False}),
    "words": ("08.1", CHANGES | {"JS": "no"}),
    "one missing": ("08.1", {"JS": False}),
    "W2 in place of W1": ("08.2", lambda a, b: abs(a - b)),
    "no absolute value": ("08.2", lambda a, b: (a - b) * math.sqrt(2 / math.pi)),
    "the mean square": ("08.2", lambda a, b: (a - b) ** 2),
    "of a difference": ("08.2", lambda a, b: math.sqrt(abs(a**2 - b**2) * 2 / math.pi)),
    "no sorting": ("08.3", lambda x, p, q: np.abs(np.cumsum(p - q))[:-1] @ np.diff(x)),
    "unequal gaps forgotten": ("08.3", lambda x, p, q: np.abs(np.cumsum(p - q)).sum()),
    "the means": ("08.3", lambda x, p, q: abs(x @ (p - q))),
    "sign kept": ("08.3", lambda x, p, q: np.cumsum(p - q)[:-1] @ np.diff(x)),
    "total variation": ("08.3", lambda x, p, q: np.abs(p - q).sum() / 2),
    "places sorted, volumes not": (
        "08.3",
        lambda x, p, q: np.abs(np.cumsum(p - q))[:-1] @ np.diff(np.sort(x)),
    ),
    "less the penalty": ("08.4", lambda t, gamma: t**2 / (2 * gamma)),
    "the slope": ("08.4", lambda t, gamma: t / gamma),
    "the gradient penalty's": ("08.4", lambda t, gamma: t + t**2 / (2 * gamma)),
    "codes without the half": ("08.4", lambda t, gamma: t**2 / (2 * gamma)),
    "W1": ("08.4", lambda t, gamma: t),
    "half": ("08.5", 128),
    "double": ("08.5", 512),
    "not whole": ("08.5", 256.0),
    "as on the line": ("08.5", 16),
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
