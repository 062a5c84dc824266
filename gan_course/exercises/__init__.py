"""Exercises that check themselves.

Each exercise of the book has a specification: a function that takes the reader's
answer and raises :class:`Wrong` with a hint when it is not right. The chapters call
:func:`exercise`; the specifications of chapter NN live in ``chapter_NN``.

A specification is written once and used three ways: in the reader's notebook,
in the solutions notebook, and in the tests, which feed it wrong answers.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from numbers import Real
from typing import Any

import torch

Specification = Callable[[Any], None]

SPECIFICATIONS: dict[str, Specification] = {}


class Open(Exception):
    """The reader has not written the answer yet."""


class Wrong(AssertionError):
    """The answer disagrees with its specification; the message is a hint."""


def specification(key: str) -> Callable[[Specification], Specification]:
    """Register the specification of exercise ``key``, for example ``"02.1"``."""

    def register(function: Specification) -> Specification:
        if key in SPECIFICATIONS:
            raise ValueError(f"key = {key!r}: that exercise has a specification already")
        SPECIFICATIONS[key] = function
        return function

    return register


def call(answer: Callable[..., Any], *arguments: Any) -> Any:
    """Call the reader's function; a body that is still ``...`` counts as open."""
    if not callable(answer):
        raise Wrong(f"A function was expected, not {answer!r}.")
    result = answer(*arguments)
    if result is None or result is ...:
        raise Open
    return result


def expect(hint: str, value: object, expected: object, atol: float = 1e-5) -> None:
    """Raise :class:`Wrong` with ``hint`` unless ``value`` agrees with ``expected``."""
    try:
        measured = torch.as_tensor(value, dtype=torch.float64)
        claimed = torch.as_tensor(expected, dtype=torch.float64)
    except (TypeError, ValueError, RuntimeError):
        raise Wrong(f"{hint} (a number was expected, not {value!r})") from None
    if measured.shape != claimed.shape:
        raise Wrong(f"{hint} (shape {tuple(measured.shape)}, expected {tuple(claimed.shape)})")
    if not torch.allclose(measured, claimed, rtol=0.0, atol=atol):
        raise Wrong(hint)


def whole_number(answer: object, what: str) -> int:
    """An answer as an int: of any type that means a whole number, NumPy's or a tensor of one, too.

    Raises:
        Wrong: it is no whole number; ``what`` says what was asked for.
    """
    if isinstance(answer, torch.Tensor) and answer.numel() == 1:
        answer = answer.item()
    if isinstance(answer, bool) or not isinstance(answer, Real) or float(answer) % 1:
        raise Wrong(f"{what} is a whole number, not {answer!r}")
    return int(float(answer))


def _find(key: str) -> Specification:
    chapter = f"{__name__}.chapter_{key.split('.', maxsplit=1)[0]}"
    if importlib.util.find_spec(chapter) is not None:
        importlib.import_module(chapter)
    if key not in SPECIFICATIONS:
        raise ValueError(f"key = {key!r}: there is no such exercise")
    return SPECIFICATIONS[key]


def exercise(key: str, answer: object) -> None:
    """Compare the reader's answer with the specification of exercise ``key``.

    Prints one line when the answer is right or not written yet.

    Args:
        key: chapter and number, for example ``"02.1"``.
        answer: a function, a number or a word, as the exercise asks.

    Raises:
        ValueError: there is no such exercise.
        Wrong: the answer is wrong; the message says what to look at.
    """
    check = _find(key)
    try:
        if answer is ...:
            raise Open
        check(answer)
    except Open:
        print(f"○ Exercise {key} is open: write your answer above, then run the cell again.")
        return
    print(f"✓ Exercise {key}: right.")


__all__ = ["Open", "Wrong", "call", "exercise", "expect", "specification", "whole_number"]
