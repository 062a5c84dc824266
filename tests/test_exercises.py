"""Exercises are open, right or wrong, and say which in one line."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import sympy as sp
import torch

from gan_course import exercises
from gan_course.exercises import (
    Open,
    Wrong,
    agrees,
    call,
    entries,
    exercise,
    expect,
    number,
    several,
    specification,
    truth,
    whole_number,
)

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


def test_jupyter_shows_the_hint_of_a_wrong_answer_alone() -> None:
    """And no traceback through the library, in which a reader would look for the mistake."""
    from IPython.core.interactiveshell import InteractiveShell

    with pytest.raises(Wrong) as caught:
        exercise("00.1", lambda x: x + 1)
    shown: list[str] = []
    shell = InteractiveShell()
    shell._showtraceback = lambda _kind, _value, lines: shown.extend(lines)
    shell.showtraceback((caught.type, caught.value, caught.tb))
    assert len(shown) == 1 and shown[0].startswith("✗ Exercise 00.1: Double it.")


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (lambda x: x, r"^Double it. \(half of what it should be\)$"),
        (lambda x: -2 * x, r"^Double it. \(the sign is the wrong way round\)$"),
        (lambda x: 2 * x + 0.1, "^Double it.$"),
        (lambda x: 2 * x - 1, r"^Double it. \(one too few\)$"),
        (lambda x: 2 * x + 1e-3, "^Double it.$"),
        (lambda x: 2 * x - 1e-3, "^Double it.$"),
        (lambda _: float("nan"), r"^Double it. \(not a number\)$"),
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


def test_what_agrees_is_what_would_be_expected():
    assert agrees(1.0, 1 + 9e-6) and not agrees(1.0, 1 + 2e-5)
    assert agrees([1, 2], [1.1, 1.9], 0.2) and not agrees([1, 2], [1.1, 1.7], 0.2)
    assert not agrees("six", 6) and not agrees([6, 6], 6) and not agrees(math.nan, 6)
    assert not agrees(1e6, 1e6 + 1)  # absolute, not relative


def test_entries_are_all_there_and_filled_in():
    assert entries({"a": 1, "b": 2}, ["a", "b"]) == {"a": 1, "b": 2}
    for wrong in ({"a": 1}, {"a": 1, "b": 2, "c": 3}, [1, 2], None, {}):
        with pytest.raises(Wrong, match="a dictionary with the keys a, b"):
            entries(wrong, ["a", "b"])
    for unfinished in ({"a": 1, "b": ...}, {"a": ..., "b": ...}):
        with pytest.raises(Open):
            entries(unfinished, ["a", "b"])


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


# --- What counts as a number, and what a function may do with its arguments ---------------

WAYS = {
    "float": float,
    "np.float64": np.float64,
    "np.float32": np.float32,
    "array": lambda x: np.array([x]),
    "tensor": torch.tensor,
    "tensor of one": lambda x: torch.tensor([x]),
    "parameter": lambda x: torch.nn.Parameter(torch.tensor(float(x))),
    "fraction": Fraction,
    "decimal": Decimal,
    "SymPy": sp.Rational,
}


@pytest.mark.parametrize("way", [*WAYS.values(), int, np.int64], ids=[*WAYS, "int", "np.int64"])
def test_whatever_means_a_number_is_one(way: Callable[..., Any]):
    expect("six", way(6), 6)
    expect("six of each", [6, Fraction(7)], [6, 7])
    assert number(way(6), "it") == 6.0
    assert type(whole_number(way(6), "it")) is int
    with pytest.raises(Wrong, match="seven"):
        expect("seven", way(6), 7)


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_a_half_is_no_whole_number(way: Callable[..., Any]):
    assert number(way(0.5), "it") == 0.5
    with pytest.raises(Wrong, match="a size is a whole number"):
        whole_number(way(0.5), "a size")


@pytest.mark.parametrize(
    "answer", ["6", None, ..., [6, 6], torch.ones(2), 1 + 1j, {}, True, np.True_, object()]
)
def test_what_is_no_number_is_refused(answer: object):
    with pytest.raises(Wrong, match="a size is one number, not"):
        number(answer, "a size")


@pytest.mark.parametrize("answer", [math.inf, math.nan])
def test_what_is_not_finite_is_no_whole_number(answer: float):
    with pytest.raises(Wrong, match="a size is a whole number"):
        whole_number(answer, "a size")


def test_true_and_false_may_come_from_anywhere():
    answers = [True, np.True_, torch.tensor(True), np.array(True), 1]
    assert [truth(answer, "it") for answer in answers] == [True] * 5
    assert truth(0, "it") is False
    for wrong in (2, -1, "True", None, torch.tensor([True, False])):
        with pytest.raises(Wrong, match="it: answer True or False"):
            truth(wrong, "it")


def test_several_may_be_a_tuple_a_list_an_array_or_a_tensor():
    for answer in ((1, 2), [1, 2], np.array([1, 2]), torch.tensor([1, 2])):
        assert [int(part) for part in several(answer, 2, "two numbers")] == [1, 2]
    for wrong in ((1,), [1, 2, 3], 5, "ab", {"a": 1, "b": 2}, None):
        with pytest.raises(Wrong, match="two numbers were expected, not"):
            several(wrong, 2, "two numbers")


@pytest.mark.parametrize("kind", [np.ones, lambda n: torch.ones(n, dtype=torch.float64)])
def test_a_function_gets_copies_and_leaves_them_alone(kind: Callable[[int], Any]):
    def double_in_place(x: Any) -> Any:
        x *= 2
        return x

    given = kind(3)
    with pytest.raises(Wrong, match="argument number 1 in place"):
        call(double_in_place, given)
    assert given.tolist() == [1, 1, 1]
    assert call(lambda x, y: x + y, given, given).tolist() == [2, 2, 2]


def test_gradients_flow_through_the_copies():
    x = torch.tensor(3.0, requires_grad=True)
    (slope,) = torch.autograd.grad(call(torch.square, x), x)
    assert slope == 6


@pytest.mark.parametrize(
    ("value", "slip"),
    [
        ([-1, -2, -4], "the sign is the wrong way round"),
        ([2, 4, 8], "twice too much"),
        ([0.5, 1, 2], "half of what it should be"),
        ([1, 0.5, 0.25], "upside down"),
        ([1, 4, 16], "the square of what it should be"),
        ([1, 2**0.5, 2], "the root of what it should be"),
        ([2, 3, 5], "one too many"),
        ([0, 1, 3], "one too few"),
        ([0, -1, -3], "1 less what it should be"),
        ([4, 2, 1], "in the reverse order"),
        ([3, 6, 12], "3 times what it should be: look at the factors"),
        ([1.5, 2.5, 4.5], "off by 0.5 everywhere: look at the terms"),
        ([1, 2, 5], "right at some places, wrong at 2, counted from 0"),
        ([math.nan, 2, 4], "not a number"),
        ([1, 2], r"shape \(2,\), expected \(3,\)"),
        ([0, 5, 9], ""),
    ],
)
def test_a_hint_ends_with_the_slip(value: list[float], slip: str):
    with pytest.raises(Wrong, match=rf"^Think\.{rf' .{slip}.' if slip else ''}$") as told:
        expect("Think.", value, [1, 2, 4])
    assert bool(told.value.slip) == bool(slip)


# --- Progress ----------------------------------------------------------------------------------


def test_progress_tells_what_was_seen_last(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(exercises, "_seen", {})
    with pytest.raises(ValueError, match="no exercise was run yet"):
        exercises.progress()
    assert exercises.progress("05").rows[0] == ("05.1", "not run", "")
    exercise("00.1", lambda x: 2 * x)
    assert repr(exercises.progress()) == "✓ 00.1 right\n1 of 1 right"
    with pytest.raises(Wrong):
        exercise("00.1", lambda _: "<b>")
    told = exercises.progress()
    assert told.right == 0 and told.rows[0][1] == "wrong"
    assert "Double it. (a number was expected, not '<b>')" in repr(told)
    assert "&lt;b&gt;" in told._repr_html_() and "<b>" not in told._repr_html_()
    exercise("00.1", ...)
    assert exercises.progress().rows == (("00.1", "open", ""),)
    with pytest.raises(ZeroDivisionError):
        exercise("00.1", lambda x: x / 0)
    assert exercises.progress().rows[0][1:] == (
        "error",
        "ZeroDivisionError: float division by zero",
    )
    for unknown in ("99", "5.1", "", "../05"):
        with pytest.raises(ValueError, match=f"^chapter = '{unknown}': it has no exercises$"):
            exercises.progress(unknown)
