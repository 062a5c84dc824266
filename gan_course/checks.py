"""The assertions behind every claim of the prose: :func:`check`, and :func:`numbers`."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch


def _array(value: object) -> np.ndarray:
    if isinstance(value, torch.Tensor):
        value = value.detach().cpu()
    return np.asarray(value, dtype=np.float64)


def check(claim: str, value: object, expected: object, atol: float = 0.0) -> None:
    """Assert that ``|value − expected| ≤ atol`` everywhere, and say so in one line.

    The printed line holds the claim, the expectation and the tolerance, never
    the measured value: it is the same on every machine.

    Args:
        claim: what the text says, in words.
        value: what was measured: a number, a truth value, an array or a tensor.
        expected: what the text claims; a shape that broadcasts to that of ``value``.
        atol: the largest absolute difference allowed, on either side.

    Raises:
        ValueError: ``atol`` is negative, infinite or not a number.
        AssertionError: the claim does not hold; the message has both values.
    """
    if not 0 <= atol < np.inf:
        raise ValueError(f"atol = {atol!r}: a tolerance is a finite number ≥ 0")
    measured, claimed = _array(value), _array(expected)
    if measured.size == 0:
        raise AssertionError(f"✗ {claim}: there is nothing to check, the value is empty")
    try:
        np.broadcast_to(claimed, measured.shape)
    except ValueError:
        raise AssertionError(
            f"✗ {claim}: measured shape {measured.shape}, expected {claimed.shape}"
        ) from None
    # Equal infinities agree; NaN never does.
    with np.errstate(invalid="ignore"):
        agree = (np.abs(measured - claimed) <= atol) | (measured == claimed)
    if not agree.all():
        raise AssertionError(
            f"✗ {claim}: measured {measured if measured.size <= 8 else measured[~agree][:8]}, "
            f"expected {claimed if claimed.size <= 8 else '(array)'} ± {atol:g}"
        )
    print(f"✓ {claim}{_expectation(claimed, atol)}")


def _expectation(claimed: np.ndarray, atol: float) -> str:
    if claimed.size > 1:
        return f" (± {atol:g})" if atol else ""
    number = claimed.item()
    if atol:
        return f": {number:g} ± {atol:g}"
    return "" if number in (0, 1) else f": {number:g}, exactly"


# --- Numbers of the text -----------------------------------------------------------------

NUMBER = re.compile(r"[-+]?(\d[\d,]*)(?:\.(\d+))?(?:e([-+]\d+))?(%?)")
TOLERANCE = re.compile(r"\s~\s*([\d.]+(?:e[-+]?\d+)?)\s*$")


@dataclass(frozen=True)
class Quoted:
    """A number that the text quotes, as its source has it: ``expression:format ~tolerance``.

    Attributes:
        text: all of it.
        expression: Python; its value is a number of one element, or a word.
        format: as in an f-string, for example ``.3f``; may be empty.
        tolerance: in the units shown; without one, 0.75 of the last digit shown.
    """

    text: str
    expression: str
    format: str
    tolerance: float | None

    @classmethod
    def read(cls, text: str) -> Quoted:
        """Take ``text`` apart.

        Raises:
            SyntaxError: there is no expression in it.
        """
        said = TOLERANCE.search(text)
        rest = text[: said.start()] if said else text
        colons = [*(found.start() for found in re.finditer(":", rest)), len(rest)]
        # The first colon that ends an expression; those in brackets and words don't.
        end = next((colon for colon in colons if _is_expression(rest[:colon])), None)
        if end is None:
            raise SyntaxError("not an expression")
        return cls(text, rest[:end].strip(), rest[end + 1 :].strip(), said and float(said[1]))

    def value(self, names: Mapping[str, object]) -> object:
        """The expression's value, a tensor or an array of one element as its number."""
        found = eval(self.expression, dict(names))  # the book's own sources
        if isinstance(found, (torch.Tensor, np.ndarray)):
            if found.ndim:
                raise TypeError(f"one number is needed, not the shape {tuple(found.shape)}")
            found = found.item()
        return found

    def shown(self, names: Mapping[str, object]) -> str:
        """The digits, as Python's ``format`` writes them.

        Raises:
            TypeError: it is not one number, nor a word.
            ValueError: it is not finite, or it has several lines.
        """
        value = self.value(names)
        text = format(value, self.format)
        if isinstance(value, str):
            if "\n" in text:
                raise ValueError(f"one line is needed, not {text!r}")
        elif not NUMBER.fullmatch(text):
            raise ValueError(f"a finite number is needed, not {text!r}")
        elif problem := self.disagreement(text, names):
            raise ValueError(problem)
        return text

    def disagreement(self, stated: str, names: Mapping[str, object]) -> str:
        """What is wrong with ``stated``, in words; nothing when it is right."""
        value = self.value(names)
        if isinstance(value, str):
            return "" if format(value, self.format) == stated else f"stated {stated}, is {value}"
        number = NUMBER.fullmatch(stated)
        if not number:
            return f"stated {stated!r}, which is no number"
        unit = 10.0 ** (int(number[3] or 0) - len(number[2] or ""))
        tolerance = 0.75 * unit if self.tolerance is None else self.tolerance
        measured = float(value) * (100 if number[4] else 1)  # type: ignore[arg-type]
        claimed = float(stated.replace(",", "").rstrip("%"))
        if abs(measured - claimed) <= tolerance:
            return ""
        return f"stated {stated}, measured {measured:.8g}, tolerance {tolerance:g}"


def _is_expression(text: str) -> bool:
    try:
        compile(text.strip(), "<text>", "eval")
    except (SyntaxError, ValueError):
        return False
    return True


def numbers(names: Mapping[str, object], lines: str) -> None:
    """Recompute every number that a section's text states, and say how many there are.

    ``notebooks/build.py`` writes the calls, one at the end of each section.

    Args:
        names: where the expressions find their names: ``globals()``.
        lines: of the form ``expression:format ~tolerance → stated``, one a number.

    Raises:
        AssertionError: some number is not what the text states; the message has them all.
    """
    stated = [line.partition(" → ") for line in lines.strip().splitlines()]
    wrong = [
        f"✗ {text}: {problem}"
        for text, _, digits in stated
        if (problem := Quoted.read(text).disagreement(digits, names))
    ]
    if wrong:
        raise AssertionError("\n".join(wrong))
    print(f"✓ {len(stated)} number{'s' * (len(stated) > 1)} of this section's text, recomputed")


def print_shown(names: Mapping[str, object], lines: str) -> None:
    """Print, as JSON, the digits of each line and what is wrong with it; for the builder."""
    print(json.dumps([_digits(names, line) for line in lines.strip().splitlines()]))


def _digits(names: Mapping[str, object], line: str) -> tuple[str, str]:
    try:
        return Quoted.read(line).shown(names), ""
    except Exception as error:  # whatever an expression raises is told to its author
        return "", f"{type(error).__name__}: {error}"
