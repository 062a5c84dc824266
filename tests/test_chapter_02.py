"""Chapter 02's exercises turn plausible wrong answers away."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from gan_course.exercises import Wrong, exercise

RIGHT = {
    "02.1": math.log(0.9) + math.log(0.8),
    "02.2": lambda real, fake: F.softplus(-real).mean(-1) + F.softplus(fake).mean(-1),
    "02.3": lambda x: 0.5 / x.sqrt(),
    "02.4": 93,
}

WRONG = {
    "half of V": ("02.1", -0.164),
    "the loss in place of the value": ("02.1", 0.329),
    "1 − D forgotten": ("02.1", math.log(0.9) + math.log(0.2)),
    "logarithms to base 10": ("02.1", math.log10(0.72)),
    "V in place of −V": ("02.2", lambda r, f: -F.softplus(-r).mean(-1) - F.softplus(f).mean(-1)),
    "the fake half dropped": ("02.2", lambda r, f: F.softplus(-r).mean(-1)),
    "labels swapped": ("02.2", lambda r, f: F.softplus(r).mean(-1) + F.softplus(-f).mean(-1)),
    "the sum": ("02.2", lambda r, f: F.softplus(-r).sum(-1) + F.softplus(f).sum(-1)),
    "the mean over runs": ("02.2", lambda r, f: F.softplus(-r).mean() + F.softplus(f).mean()),
    "the factor ½": ("02.2", lambda r, f: (F.softplus(-r).mean(-1) + F.softplus(f).mean(-1)) / 2),
    "log of a sigmoid": (
        "02.2",
        lambda r, f: -r.sigmoid().log().mean(-1) - (1 - f.sigmoid()).log().mean(-1),
    ),
    "an epsilon in the log": (
        "02.2",
        lambda r, f: -(r.sigmoid() + 1e-8).log().mean(-1) - (1 - f.sigmoid() + 1e-8).log().mean(-1),
    ),
    "one preimage": ("02.3", lambda x: 0.25 / x.sqrt()),
    "no slope": ("02.3", lambda x: 0.5 + 0 * x),
    "times the slope": ("02.3", lambda x: 2 * x.sqrt()),
    "the slope of the inverse misread": ("02.3", lambda x: 1 / x.sqrt()),
    "half a batch": ("02.4", 46),
    "never": ("02.4", 200),
    "not whole": ("02.4", 92.5),
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


def test_a_stub_is_open(capsys: pytest.CaptureFixture[str]) -> None:
    def stub(*_: torch.Tensor) -> None: ...

    for key in RIGHT:
        exercise(key, stub if key in ("02.2", "02.3") else ...)
    assert capsys.readouterr().out.count("is open") == len(RIGHT)
