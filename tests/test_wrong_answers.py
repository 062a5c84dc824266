"""Every wrong answer that a machine makes of a right one is refused, most with the slip's name."""

from __future__ import annotations

import contextlib
import io
import re
import traceback
from collections import Counter
from functools import cache
from typing import NamedTuple

import pytest
import torch
import wrong_answers
from tools import ROOT
from wrong_answers import Mutant

from gan_course.exercises import Wrong, exercise

pytestmark = pytest.mark.slow
CHAPTERS = [
    path.stem[:2]
    for path in wrong_answers.build.sources()
    if wrong_answers.build.has_exercises(path)
]

#: Mutants that are right answers, too, and why.
EQUIVALENT = {
    ("01.6", "near < far: LtE"): "two distances of these points are never equal",
    ("09.4", "dim=1: 0"): "a matrix of distances is symmetric",
    ("06.2", "return x ** 2 + y ** 2 - eta * x * y: negative"): "it is conserved as well",
}
#: Hints that say no more than that the answer is wrong.
BLUNT = (
    "the weights are not those of algorithm 1",
    "not there yet",
    "not the smallest",
    "not what these 11 seeds say",
)


class Verdict(NamedTuple):
    """What became of a mutant: ``right``, ``named``, ``refused``, ``open`` or ``error``."""

    mutant: Mutant
    how: str
    hint: str


def verdict(key: str, mutant: Mutant) -> Verdict:
    said = io.StringIO()
    try:
        with contextlib.redirect_stdout(said):
            exercise(key, mutant.answer)
    except Wrong as wrong:
        return Verdict(mutant, "named" if names_the_slip(wrong) else "refused", str(wrong))
    except Exception as error:
        return Verdict(mutant, "error", f"{type(error).__name__}: {error}")
    return Verdict(mutant, "right" if "right" in said.getvalue() else "open", said.getvalue())


def is_right_as_well(key: str, mutant: Mutant) -> bool:
    if mutant.kind == "in place" and not mutant.answer.changed:
        return True  # it has no array that it could change
    return (key, mutant.words) in EQUIVALENT


def names_the_slip(wrong: Wrong) -> bool:
    """Whether a hint says what is wrong with this answer, not how the right one is found.

    It does where the specification has looked for this mistake, or where the comparison has
    found a sign, a factor, a shape.
    """
    if wrong.slip:
        return True
    if str(wrong).startswith(BLUNT):
        return False
    compared = traceback.extract_tb(wrong.__traceback__)[-1].name == "expect"
    return not compared


@cache
def verdicts(chapter: str) -> dict[str, list[Verdict]]:
    """What became of each mutant of a chapter's solutions, by exercise."""
    default = torch.get_default_dtype()  # chapter 01 changes it
    try:
        with contextlib.chdir(ROOT / "notebooks"):
            return {
                one.key: [verdict(one.key, mutant) for mutant in wrong_answers.mutants(one)]
                for one in wrong_answers.exercises(chapter)
            }
    finally:
        torch.set_default_dtype(default)


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_every_wrong_answer_is_refused(chapter: str):
    accepted = [
        (key, mutant.kind, mutant.words, how)
        for key, all_of_it in verdicts(chapter).items()
        for mutant, how, _ in all_of_it
        if how in ("right", "open") and not is_right_as_well(key, mutant)
    ]
    assert accepted == []
    assert all(verdicts(chapter).values())


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_every_exercise_is_tried(chapter: str):
    (source,) = wrong_answers.build.sources([chapter])
    asked = re.findall(r'^exercise\("([\w.]+)"', source.read_text(encoding="utf-8"), flags=re.M)
    assert list(verdicts(chapter)) == asked


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_at_least_half_of_the_hints_name_the_slip(chapter: str):
    """In each chapter; an answer that fails by itself has no hint, and counts as unnamed."""
    found = [one for all_of_it in verdicts(chapter).values() for one in all_of_it]
    how = Counter(one.how for one in found)
    unnamed = [(one.mutant.words, one.hint) for one in found if one.how in ("refused", "error")]
    assert how["named"] >= len(unnamed), unnamed


def test_what_is_said_to_be_right_as_well_is_accepted():
    pairs = [
        (key, one) for c in CHAPTERS for key, all_of_it in verdicts(c).items() for one in all_of_it
    ]
    right = {(key, mutant.words) for key, (mutant, how, _) in pairs if how == "right"}
    assert set(EQUIVALENT) <= right
