"""Exercises that check themselves.

Each exercise of the book has a specification: a function that takes the reader's
answer and raises :class:`Wrong` with a hint when it is not right. The chapters call
:func:`exercise`; the specifications of chapter NN live in ``chapter_NN``.

A specification is written once and used three ways: in the reader's notebook,
in the solutions notebook, and in the tests, which feed it wrong answers.

Whatever means a number is one: NumPy's, a tensor of one element, a fraction. Functions get
copies of what they are fed, and must leave them as they were.
"""

from __future__ import annotations

import html
import importlib
import importlib.util
from collections.abc import Callable, Collection, Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

Specification = Callable[[Any], None]

SPECIFICATIONS: dict[str, Specification] = {}


class Open(Exception):
    """The reader has not written the answer yet."""


class Wrong(AssertionError):
    """The answer disagrees with its specification; the message is a hint.

    Attributes:
        slip: what is wrong with this very answer, where the comparison shows it.
        key: of which exercise, once :func:`exercise` knows.
    """

    def __init__(self, hint: str, slip: str = "") -> None:
        super().__init__(f"{hint} ({slip})" if slip else hint)
        self.slip = slip
        self.key = ""

    def _render_traceback_(self) -> list[str]:
        """What Jupyter shows: the hint, and not the library's lines on the way to it."""
        return [f"✗ Exercise {self.key}: {self}" if self.key else f"✗ {self}"]


def specification(key: str) -> Callable[[Specification], Specification]:
    """Register the specification of exercise ``key``, for example ``"02.1"``."""

    def register(function: Specification) -> Specification:
        if key in SPECIFICATIONS:
            raise ValueError(f"key = {key!r}: that exercise has a specification already")
        SPECIFICATIONS[key] = function
        return function

    return register


def call(answer: Callable[..., Any], *arguments: Any) -> Any:
    """Call the reader's function with copies; a body that is still ``...`` counts as open.

    Raises:
        Open: there is no result yet.
        Wrong: it is no function, or it has changed one of its arguments.
    """
    if not callable(answer):
        raise Wrong(f"A function was expected, not {answer!r}.")
    copies = [_copy(argument) for argument in arguments]
    result = answer(*copies)
    if result is None or result is ...:
        raise Open
    for position, (given, copied) in enumerate(zip(arguments, copies, strict=True), 1):
        if not _unchanged(given, copied):
            raise Wrong(
                f"The function changes its argument number {position} in place, and the caller "
                "still needs it: compute a new one."
            )
    return result


def _copy(argument: Any) -> Any:
    if isinstance(argument, Tensor):
        return argument.clone()  # gradients flow through it
    return argument.copy() if isinstance(argument, np.ndarray) else argument


def _unchanged(given: Any, copied: Any) -> bool:
    if isinstance(given, Tensor):
        return given.shape == copied.shape and bool((given == copied).all())
    return not isinstance(given, np.ndarray) or np.array_equal(given, copied)


def expect(hint: str, value: object, expected: object, atol: float = 1e-5) -> None:
    """Raise :class:`Wrong` with ``hint`` unless ``value`` agrees with ``expected``.

    Where one number is expected, an array or a tensor of one element is one. The hint ends with
    the slip, where it shows: a sign, a factor, one too many.
    """
    try:
        measured = torch.as_tensor(_plain(value), dtype=torch.float64)
        claimed = torch.as_tensor(expected, dtype=torch.float64)
    except (TypeError, ValueError, RuntimeError, OverflowError):
        raise Wrong(hint, f"a number was expected, not {value!r}") from None
    if measured.numel() == 1 and not claimed.dim():
        measured = measured.reshape(())
    if measured.shape != claimed.shape:
        raise Wrong(hint, f"shape {tuple(measured.shape)}, expected {tuple(claimed.shape)}")
    if not torch.allclose(measured, claimed, rtol=0.0, atol=atol):
        raise Wrong(hint, _slip(measured, claimed, max(atol, 1e-9)))


def entries(answer: object, keys: Collection[str]) -> Mapping[str, Any]:
    """An answer that is a dictionary with these keys, all of them filled in.

    Raises:
        Wrong: it is none, or has other keys.
        Open: a value is still ``...``.
    """
    if not isinstance(answer, Mapping) or set(answer) != set(keys):
        raise Wrong(f"The answer is a dictionary with the keys {', '.join(keys)}.")
    if any(value is ... for value in answer.values()):
        raise Open
    return answer


def agrees(value: object, expected: object, atol: float = 1e-5) -> bool:
    """Whether :func:`expect` would be content, for example with a mistake that has a hint."""
    try:
        expect("", value, expected, atol)
    except Wrong:
        return False
    return True


def _slip(measured: Tensor, claimed: Tensor, atol: float) -> str:
    """Which usual slip turns the claimed numbers into the measured ones, in words."""

    def is_near(other: Tensor) -> bool:
        return torch.allclose(measured, other, rtol=1e-4, atol=atol)

    if bool(measured.isnan().any()):
        return "not a number"
    known = {
        "the sign is the wrong way round": -claimed,
        "twice too much": 2 * claimed,
        "half of what it should be": claimed / 2,
        "upside down": 1 / claimed,
        "the square of what it should be": claimed.square(),
        "the root of what it should be": claimed.sqrt(),
        "one too many": claimed + 1,
        "one too few": claimed - 1,
        "1 less what it should be": 1 - claimed,
        "in the reverse order": claimed.flip(0) if claimed.dim() else claimed,
    }
    found = next((words for words, other in known.items() if is_near(other)), "")
    if found or bool((claimed == claimed.flatten()[0]).all()):
        return found
    factor = (measured * claimed).sum() / claimed.square().sum()
    offset = (measured - claimed).mean()
    right = ((measured - claimed).abs() <= atol).flatten()
    if abs(factor) > 1e-6 and is_near(factor * claimed):
        return f"{factor:.4g} times what it should be: look at the factors"
    if is_near(claimed + offset):
        return f"off by {offset:.4g} everywhere: look at the terms"
    if bool(right.any()):
        places = ", ".join(str(place) for place in (~right).nonzero().flatten().tolist()[:5])
        return f"right at some places, wrong at {places}, counted from 0"
    return ""


def _plain(value: Any) -> Any:
    """A value as PyTorch takes it: fractions, decimals and SymPy's numbers as floats."""
    if isinstance(value, list | tuple) and not isinstance(value, torch.Size):
        if any(isinstance(part, Tensor | np.ndarray) for part in value):
            return torch.stack([torch.as_tensor(_plain(part)).double() for part in value])
        return [_plain(part) for part in value]
    if isinstance(value, Tensor):
        return value.detach()
    if isinstance(value, np.ndarray | np.generic | str | bytes) or not hasattr(value, "__float__"):
        return value
    return float(value)


def number(answer: object, what: str) -> float:
    """An answer as a float, of any type that means one number.

    Raises:
        Wrong: it is no number; ``what`` says what was asked for.
    """
    try:
        found = torch.as_tensor(_plain(answer), dtype=torch.float64)
    except (TypeError, ValueError, RuntimeError, OverflowError):
        raise Wrong(f"{what} is one number, not {answer!r}") from None
    if isinstance(answer, bool | np.bool_) or found.numel() != 1:
        raise Wrong(f"{what} is one number, not {answer!r}")
    return float(found)


def whole_number(answer: object, what: str) -> int:
    """An answer as an int, of any type that means a whole number.

    Raises:
        Wrong: it is no whole number; ``what`` says what was asked for.
    """
    found = number(answer, what)
    if found % 1:  # NaN and infinities, too
        raise Wrong(f"{what} is a whole number, not {answer!r}")
    return int(found)


def truth(answer: object, what: str) -> bool:
    """An answer as True or False, NumPy's and PyTorch's, too, or as 1 or 0.

    Raises:
        Wrong: it is neither; ``what`` says what was asked for.
    """
    found = answer.tolist() if isinstance(answer, Tensor | np.ndarray | np.generic) else answer
    if isinstance(found, int) and found in (0, 1):
        return bool(found)
    if not isinstance(found, bool):
        raise Wrong(f"{what}: answer True or False, not {answer!r}")
    return found


def several(answer: Any, count: int, what: str) -> list[Any]:
    """An answer's parts: of a tuple, a list, an array or a tensor.

    Raises:
        Wrong: there are not ``count`` of them; ``what`` names them.
    """
    try:
        parts = [] if isinstance(answer, str | dict | set) else list(answer)
    except TypeError:
        parts = []
    if len(parts) != count:
        raise Wrong(f"{what} were expected, not {answer!r}")
    return parts


def find(key: str) -> Specification:
    """The specification of exercise ``key``.

    Raises:
        ValueError: there is no such exercise.
    """
    if not isinstance(key, str):
        raise ValueError(f"key = {key!r}: there is no such exercise; write it as '02.1'")
    chapter = f"{__name__}.chapter_{key.split('.', maxsplit=1)[0].lower()}"
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
    check = find(key)
    _seen[key] = "error", ""
    try:
        if answer is ...:
            raise Open
        check(answer)
    except Open:
        _seen[key] = "open", ""
        print(f"○ Exercise {key} is open: write your answer above, then run the cell again.")
        return
    except Wrong as wrong:
        _seen[key] = "wrong", str(wrong)
        wrong.key = key
        raise
    except Exception as error:
        _seen[key] = "error", f"{type(error).__name__}: {error}"
        raise
    _seen[key] = "right", ""
    print(f"✓ Exercise {key}: right.")


#: What :func:`exercise` has seen last of each exercise: right, wrong, open or error, and a hint.
_seen: dict[str, tuple[str, str]] = {}
MARKS = {"right": "✓", "wrong": "✗", "open": "○", "error": "!", "not run": "·"}


class Progress(NamedTuple):
    """Which exercises are right, open or wrong; Jupyter shows it as a table.

    Attributes:
        rows: of each exercise its key, what is known of it, and the hint.
    """

    rows: tuple[tuple[str, str, str], ...]

    @property
    def right(self) -> int:
        """How many are right."""
        return sum(verdict == "right" for _, verdict, _ in self.rows)

    def __repr__(self) -> str:
        lines = [
            f"{MARKS[verdict]} {key} {verdict}" + (f": {hint}" if hint else "")
            for key, verdict, hint in self.rows
        ]
        return "\n".join([*lines, f"{self.right} of {len(self.rows)} right"])

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><td>{MARKS[verdict]}</td><td>{key}</td>"
            f"<td style='text-align: left'>{html.escape(f'{verdict}: {hint}' if hint else verdict)}"
            "</td></tr>"
            for key, verdict, hint in self.rows
        )
        return f"<table>{rows}</table><p>{self.right} of {len(self.rows)} right</p>"


def progress(*chapters: str) -> Progress:
    """Which exercises you have solved since this kernel was started.

    Args:
        chapters: numbers such as ``"05"``; without any, those of which an exercise was run.

    Raises:
        ValueError: there is no such chapter, or none was run yet.
    """
    chosen = chapters or sorted({key.split(".", maxsplit=1)[0] for key in _seen})
    if not chosen:
        raise ValueError("no exercise was run yet: run one, or name a chapter, progress('05')")
    rows = [
        (key, *_seen.get(key, ("not run", ""))) for chapter in chosen for key in keys_of(chapter)
    ]
    return Progress(tuple(rows))


def keys_of(chapter: str) -> list[str]:
    """The keys of all exercises of a chapter, in order.

    Raises:
        ValueError: there is no such chapter.
    """
    if not isinstance(chapter, str):
        raise ValueError(f"chapter = {chapter!r}: write it as '05'")
    name = f"{__name__}.chapter_{chapter.lower()}"
    if chapter.isalnum() and importlib.util.find_spec(name) is not None:
        importlib.import_module(name)
    keys = sorted(key for key in SPECIFICATIONS if key.startswith(f"{chapter}."))
    if not keys:
        raise ValueError(f"chapter = {chapter!r}: it has no exercises")
    return keys


__all__ = [
    "Open",
    "Progress",
    "Wrong",
    "agrees",
    "call",
    "entries",
    "exercise",
    "expect",
    "find",
    "keys_of",
    "number",
    "progress",
    "several",
    "specification",
    "truth",
    "whole_number",
]
