"""Exercises are open, right or wrong, and say which in one line."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch

from gan_course import exercises
from gan_course.exercises import Open, Wrong, call, exercise, expect, specification

OPEN = "○ Exercise 00.1 is open: write your answer above, then run the cell again.\n"


@pytest.fixture(autouse=True)
def double() -> Iterator[None]:
    """Exercise 00.1 asks for a function that doubles; its chapter does not exist."""

    @specification("00.1")
    def _(answer: Callable[..., Any]) -> None:
        expect("Double it.", call(answer, 3.0), 6.0)

    yield
    del exercises.SPECIFICATIONS["00.1"]


def open_body(x: float) -> Any: ...


@pytest.mark.parametrize("answer", [..., open_body, lambda _: ...], ids=["name", "body", "value"])
def test_an_open_exercise_says_so_and_goes_on(answer: object, capsys: pytest.CaptureFixture):
    exercise("00.1", answer)
    assert capsys.readouterr().out == OPEN


def test_a_right_answer_is_told(capsys: pytest.CaptureFixture):
    exercise("00.1", lambda x: torch.tensor(2 * x))
    assert capsys.readouterr().out == "✓ Exercise 00.1: right.\n"


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (lambda x: x, "^Double it.$"),
        (lambda x: -2 * x, "^Double it.$"),
        (lambda x: 2 * x + 1e-3, "^Double it.$"),
        (lambda x: 2 * x - 1e-3, "^Double it.$"),
        (lambda _: float("nan"), "^Double it.$"),
        (lambda _: "six", r"Double it. \(a number was expected, not 'six'\)"),
        (lambda x: [2 * x, 2 * x], r"Double it. \(shape \(2,\), expected \(\)\)"),
        (6.0, "A function was expected, not 6.0"),
    ],
)
def test_a_wrong_answer_raises_its_hint(
    answer: object, message: str, capsys: pytest.CaptureFixture
):
    with pytest.raises(Wrong, match=message):
        exercise("00.1", answer)
    assert capsys.readouterr().out == ""


def test_an_error_of_the_readers_own_is_not_hidden():
    with pytest.raises(ZeroDivisionError):
        exercise("00.1", lambda x: x / 0)


@pytest.mark.parametrize("key", ["00.2", "99.1", "", "nonsense"])
def test_an_unknown_exercise_is_named(key: str):
    with pytest.raises(ValueError, match=f"key = '{key}': there is no such exercise"):
        exercise(key, ...)


def test_a_chapter_that_cannot_be_imported_is_not_called_unknown(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "chapter_98.py").write_text("import a_module_that_is_missing", "utf-8")
    monkeypatch.setattr(exercises, "__path__", [*exercises.__path__, str(tmp_path)])
    with pytest.raises(ModuleNotFoundError, match="a_module_that_is_missing"):
        exercise("98.1", ...)


def test_a_key_is_given_once():
    with pytest.raises(ValueError, match=r"key = '00.1'"):
        specification("00.1")(lambda _: None)


def test_wrong_is_a_failed_assertion_and_open_is_not():
    assert issubclass(Wrong, AssertionError)
    assert not issubclass(Open, AssertionError)
