"""Chapter 06's exercises turn plausible wrong answers away."""

from __future__ import annotations

import math

import pytest
import torch

from gan_course.exercises import Wrong, exercise

RIGHT = {
    "06.1": 2.4,
    "06.2": lambda x, y, eta: 3 * (x**2 + y**2 - eta * x * y) + 1,
    "06.3": lambda field, s, eta: s + eta * field(s + eta * field(s)),
    "06.4": 4,
}

WRONG = {
    "γ in place of 4γ": ("06.1", 0.6),
    "half": ("06.1", 1.2),
    "the bound without R1": ("06.1", 4.0),
    "any step size": ("06.1", math.inf),
    "the radius": ("06.2", lambda x, y, eta: x**2 + y**2),
    "what y first conserves": ("06.2", lambda x, y, eta: x**2 + y**2 + eta * x * y),
    "twice the mixed term": ("06.2", lambda x, y, eta: x**2 + y**2 - 2 * eta * x * y),
    "the value": ("06.2", lambda x, y, eta: x * y),
    "a constant": ("06.2", lambda x, y, eta: torch.zeros_like(x)),
    "a plain step": ("06.3", lambda field, s, eta: s + eta * field(s)),
    "two plain steps": (
        "06.3",
        lambda field, s, eta: s + eta * field(s) + eta * field(s + eta * field(s)),
    ),
    "half a look ahead": ("06.3", lambda field, s, eta: s + eta * field(s + eta / 2 * field(s))),
    "the mean of both": (
        "06.3",
        lambda field, s, eta: s + eta / 2 * (field(s) + field(s + eta * field(s))),
    ),
    "looking back": ("06.3", lambda field, s, eta: s + eta * field(s - eta * field(s))),
    "one too few": ("06.4", 3),
    "one too many": ("06.4", 5),
    "one step is enough": ("06.4", 1),
    "not whole": ("06.4", 3.5),
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
