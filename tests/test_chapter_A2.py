"""Appendix A2's exercises, and the record of its patients."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from tools import RUNS, exercise_tests, load, made_again
from torch import Tensor

from gan_course.exercises import exercise
from gan_course.exercises.chapter_a2 import CAUSES, SHOWS, patient

CURES = {patient(cause): cause for cause in CAUSES}


def rise(G: Any, D: Any, z: Tensor, step: Callable[[], None]) -> Tensor:
    with torch.no_grad():
        before = D(G(z)).mean()
    step()
    with torch.no_grad():
        return D(G(z)).mean() - before


def fall(G: Any, D: Any, z: Tensor, step: Callable[[], None]) -> Tensor:
    return -rise(G, D, z, step)


def two_looks(G: Any, D: Any, z: Tensor, _step: Callable[[], None]) -> Tensor:
    return D(G(z)).mean() - D(G(z)).mean()


def at_the_mean(G: Any, D: Any, z: Tensor, step: Callable[[], None]) -> Tensor:
    with torch.no_grad():
        before = D(G(z.mean(0)))
    step()
    with torch.no_grad():
        return D(G(z.mean(0))) - before


def sum_of_logits(G: Any, D: Any, z: Tensor, step: Callable[[], None]) -> Tensor:
    return len(z) * rise(G, D, z, step)


def two_steps(G: Any, D: Any, z: Tensor, step: Callable[[], None]) -> Tensor:
    found = rise(G, D, z, step)
    step()
    return found


def spoils_discriminator(G: Any, D: Any, z: Tensor, step: Callable[[], None]) -> Tensor:
    found = rise(G, D, z, step)
    with torch.no_grad():
        for p in D.parameters():
            p.zero_()
    return found


def other_noise(G: Any, D: Any, z: Tensor, step: Callable[[], None]) -> Tensor:
    before = D(G(z)).mean()
    step()
    return D(G(z + 1)).mean() - before


def one_is_wrong(number: int) -> dict[int, str]:
    return CURES | {number: next(cause for cause in CAUSES if cause != CURES[number])}


RIGHT = [("A2.1", CURES), ("A2.2", 1.006), ("A2.2", 1.01), ("A2.3", rise)]
WRONG = [
    ("A2.1", "a word", "G's rate is 0", "dict"),
    ("A2.1", "one alone", {1: CURES[1]}, "keys"),
    ("A2.1", "words of one's own", CURES | {3: "bad luck"}, "patient 3: 'bad luck' is none"),
    *[("A2.1", f"patient {n}", one_is_wrong(n), f"patient {n} does not") for n in CURES],
    ("A2.2", "logits without bounds", 0.0, "bounds"),
    ("A2.2", "samples as well off as data", 0.627, "low as possible"),
    ("A2.2", "one term", 0.313, "two"),
    ("A2.2", "the other term", math.log(2), "two"),
    ("A2.2", "D is one half", 2 * math.log(2), "above 0"),
    ("A2.3", "the sign", fall, "sign"),
    ("A2.3", "no step", two_looks, "between the two looks"),
    ("A2.3", "other noise", other_noise, "same noise"),
    ("A2.3", "the logit at the mean", at_the_mean, "at the mean of z"),
    ("A2.3", "the sum", sum_of_logits, "sum over the samples"),
    ("A2.3", "two steps", two_steps, "called 2 times"),
    ("A2.3", "another D", spoils_discriminator, "stand still"),
]
test_right_answers, test_wrong_answers, test_stubs = exercise_tests(RIGHT, WRONG)


def test_a_part_of_the_answers_is_open_and_its_slips_are_told(capsys: pytest.CaptureFixture[str]):
    some = dict.fromkeys(CURES, ...)
    exercise("A2.1", some | {2: CURES[2]})
    assert "open" in capsys.readouterr().out
    with pytest.raises(AssertionError, match="patient 2 does not suffer"):
        exercise("A2.1", some | {2: CURES[1]})


def test_a_hint_speaks_of_the_wrong_answer_alone():
    for number, cause in CURES.items():
        with pytest.raises(AssertionError) as told:
            exercise("A2.1", one_is_wrong(number))
        assert SHOWS[cause] not in str(told.value)
        assert cause not in str(told.value)


def test_the_numbers_of_the_patients_are_in_no_order_of_the_list():
    assert sorted(CURES) == list(range(1, len(CAUSES) + 1))
    numbers = [patient(cause) for cause in CAUSES]
    assert abs(np.corrcoef(numbers, range(len(numbers)))[0, 1]) < 0.5
    with pytest.raises(ValueError, match="bad luck"):
        patient("bad luck")


def test_neither_table_nor_settings_name_a_fault():
    for path in RUNS.glob("clinic*"):
        text = path.read_text(encoding="utf-8")
        assert not [cause for cause in CAUSES if cause in text]


def test_every_fault_changes_its_own_line():
    faults = load("figures/sweeps/clinic.py").FAULTS
    assert list(faults) == list(CAUSES)
    healthy = type(next(iter(faults.values())))()
    changed = [{k for k, v in vars(f).items() if v != vars(healthy)[k]} for f in faults.values()]
    assert all(changed)
    assert len({frozenset(names) for names in changed}) >= len(faults) - 3  # three rates


@pytest.mark.slow
def test_the_patients_come_out_again():
    frame, record = made_again("clinic")
    for column in ("D_real", "D_fake", "spread", "G_moved", "D_moved"):
        ends = [t.loc[t["step"] == t["step"].max(), [column]].to_numpy() for t in (frame, record)]
        np.testing.assert_allclose(*ends, rtol=0.05, atol=0.02)
    assert isinstance(frame, pd.DataFrame)
