"""Every wrong answer that a machine makes of a right one is refused, most with the slip's name."""

from __future__ import annotations

import contextlib
import io
import traceback
from typing import NamedTuple

import pytest
import torch
import wrong_answers
from tools import ROOT
from wrong_answers import Mutant

from gan_course.exercises import Wrong, exercise

CHAPTERS = [path.stem[:2] for path in wrong_answers.build.sources()]

#: Mutants that are right answers, too, and why.
EQUIVALENT = {
    ("01.6", "near < far: LtE"): "two distances of these points are never equal",
    ("05.1", "0: negative"): "sizes are asked for; a slope's sign is not",
    ("05.1", "1: negative"): "sizes are asked for; a slope's sign is not",
    ("05.1", "2: negative"): "sizes are asked for; a slope's sign is not",
    ("06.2", "return x ** 2 + y ** 2 - eta * x * y: negative"): "it is conserved as well",
}
#: Hints that say no more than that the answer is wrong.
BLUNT = (
    "the weights are not those of algorithm 1",
    "not there yet",
    "not the smallest",
    "not what these 16 seeds say",
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


@pytest.fixture(scope="module", params=CHAPTERS)
def verdicts(request: pytest.FixtureRequest) -> dict[str, list[Verdict]]:
    """What became of each mutant of a chapter's solutions, by exercise."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT / "notebooks")
        default = torch.get_default_dtype()
        try:
            return {
                one.key: [verdict(one.key, mutant) for mutant in wrong_answers.mutants(one)]
                for one in wrong_answers.exercises(request.param)
            }
        finally:
            torch.set_default_dtype(default)


def test_every_wrong_answer_is_refused(verdicts: dict[str, list[Verdict]]):
    accepted = [
        (key, mutant.kind, mutant.words, how)
        for key, all_of_it in verdicts.items()
        for mutant, how, _ in all_of_it
        if how in ("right", "open") and not is_right_as_well(key, mutant)
    ]
    assert accepted == []
    assert all(verdicts.values())


def test_what_is_said_to_be_right_as_well_is_accepted(verdicts: dict[str, list[Verdict]]):
    pairs = [(key, one) for key, all_of_it in verdicts.items() for one in all_of_it]
    right = {(key, mutant.words) for key, (mutant, how, _) in pairs if how == "right"}
    assert {pair for pair in EQUIVALENT if pair[0] in verdicts} <= right
