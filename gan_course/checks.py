"""The assertions behind every claim of the prose: :func:`check`, and :func:`numbers`.

:func:`~gan_course.drawings.drawn` says what a figure shows; it is imported from here, too.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
import torch
from numpy.typing import NDArray

from gan_course.arguments import number, shown
from gan_course.drawings import Array, Drawn, drawn

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True)
class Record:
    """What a check that held has seen: how near to failing it was, and what else would pass.

    Attributes:
        claim: its words.
        kind: ``close``, ``interval``, ``bounds``, ``order`` or ``number``.
        bound: what was asked, in words.
        value: what was measured, where it was nearest to failing.
        slack: from there to the bound, in units of the tolerance (``close``, ``number``), of
            the interval's half-width, of the gap between two bounds or of the one bound, or of
            the largest step of a sequence. At 0 it fails.
        also: which other values it would let pass: ``0``, ``opposite sign``. A claim that
            something *is* 0 means both.
    """

    claim: str
    kind: str
    bound: str
    value: float
    slack: float
    also: tuple[str, ...] = ()


#: What has been checked since the library was imported.
RECORDS: list[Record] = []

_MISSING: Any = object()


def check(
    claim: str,
    value: object,
    expected: object = _MISSING,
    atol: float = 0.0,
    *,
    above: object = None,
    below: object = None,
    excludes: float | None = None,
    contains: float | None = None,
    order: str | None = None,
    finite: bool = True,
) -> None:
    """Assert what the text says, and say so in one line. It asks for one of these.

    - ``check(claim, value, expected, atol)``: ``|value − expected| ≤ atol`` everywhere.
    - ``check(claim, value, above=a, below=b)``: ``a < value < b`` everywhere; either may be
      left out. Of an interval, all must lie there.
    - ``check(claim, interval, excludes=c)``, ``contains=c``: ``c`` lies outside, or inside.
    - ``check(claim, sequence, order="increasing")``, or ``"decreasing"``: strictly.

    The printed line holds the claim, the expectation and the tolerance, never
    the measured value: it is the same on every machine.

    Args:
        claim: what the text says, in words.
        value: what was measured: a number, a truth value, an array or a tensor. An interval
            is a pair ``(low, high)``, or has these attributes.
        expected: what the text claims; a shape that broadcasts to that of ``value``.
        atol: the largest absolute difference allowed, on either side.
        above: every value is larger; a shape that broadcasts to that of ``value``.
        below: every value is smaller.
        excludes: a number outside the interval, its ends included.
        contains: a number inside the interval.
        order: of a sequence of at least two.
        finite: whether a value above or below a bound must be finite. NaN never passes.

    Raises:
        ValueError: the expectation says nothing: none or several are given, ``atol`` is
            negative, infinite or not a number, or so wide that 0 would pass, too, where
            something else is expected.
        AssertionError: the claim does not hold; the message has both values.
    """
    asked = [
        name
        for name, given in {
            "expected": expected is not _MISSING,
            "above or below": above is not None or below is not None,
            "excludes": excludes is not None,
            "contains": contains is not None,
            "order": order is not None,
        }.items()
        if given
    ]
    if len(asked) != 1:
        raise ValueError(
            f"{' and '.join(asked) or 'nothing'} given: a check asks for one of "
            "expected, above or below, excludes, contains, order"
        )
    try:
        atol = number("atol", atol, at_least=0)
    except ValueError:
        raise ValueError(f"atol = {shown(atol)}: a tolerance is a finite number ≥ 0") from None
    if asked == ["expected"]:
        _check_close(claim, _array(value), _array(expected), atol)
    elif asked == ["above or below"]:
        _check_bounds(claim, _ends(value), above, below, finite)
    elif asked == ["order"]:
        _check_order(claim, _array(value), str(order))
    elif excludes is not None:
        _check_interval(claim, _ends(value), number("excludes", excludes), "excludes")
    elif contains is not None:
        _check_interval(claim, _ends(value), number("contains", contains), "contains")


def _array(value: object) -> Array:
    if isinstance(value, torch.Tensor):
        value = value.detach().cpu()
    try:
        return np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError, RuntimeError, OverflowError):
        raise ValueError(f"value = {shown(value)}: must be numbers, or truth values") from None


def _ends(value: object) -> Array:
    """An interval's ends; what is no interval as it is."""
    if hasattr(value, "low") and hasattr(value, "high"):
        value = (_array(value.low), _array(value.high))
    if isinstance(value, (tuple, list)):
        return np.stack([_array(part) for part in value]) if value else np.empty(0)
    return _array(value)


def _fail(claim: str, problem: str) -> NoReturn:
    raise AssertionError(f"✗ {claim}: {problem}")


def _needs(claim: str, measured: Array, *bounds: Array) -> None:
    if measured.size == 0:
        _fail(claim, "there is nothing to check, the value is empty")
    for bound in bounds:
        try:
            np.broadcast_to(bound, measured.shape)
        except ValueError:
            _fail(claim, f"measured shape {measured.shape}, expected {bound.shape}")


def _held(
    claim: str, kind: str, bound: str, *, at: Array, slack: Array, others: Mapping[str, bool]
) -> None:
    """Print the line of a claim that holds, and record how near it was to failing."""
    slack, at = (np.atleast_1d(part).ravel() for part in np.broadcast_arrays(slack, at))
    worst = int(slack.argmin())
    also = tuple(name for name, passes in others.items() if passes)
    RECORDS.append(Record(claim, kind, bound, float(at[worst]), float(slack[worst]), also))
    print(f"✓ {claim}{'' if bound[:1] in ('', ' ') else ': '}{bound}")


def _check_close(claim: str, measured: Array, claimed: Array, atol: float) -> None:
    _needs(claim, measured, claimed)

    # Equal infinities agree; NaN never does.
    def agree(value: Array) -> NDArray[np.bool_]:
        with np.errstate(invalid="ignore"):
            return np.asarray((np.abs(value - claimed) <= atol) | (value == claimed))

    if not (holds := agree(measured)).all():
        _fail(
            claim,
            f"measured {measured if measured.size <= 8 else measured[~holds][:8]}, "
            f"expected {claimed if claimed.size <= 8 else '(array)'} ± {atol:g}",
        )
    with np.errstate(invalid="ignore", divide="ignore"):
        slack = np.where(measured == claimed, 1, 1 - np.abs(measured - claimed) / atol)
    if claimed.any() and agree(np.zeros_like(measured)).all():
        raise ValueError(
            f"✗ {claim}: atol = {atol:g} would let 0 pass, too; make it narrower than the "
            "expectation, expect 0, or ask for above=, below=, excludes="
        )
    _held(claim, "close", _expectation(claimed, atol), at=measured, slack=slack, others={})


def _expectation(claimed: Array, atol: float) -> str:
    if claimed.size > 1:
        return f" (± {atol:g})" if atol else ""
    number = claimed.item()
    if atol:
        return f"{number:g} ± {atol:g}"
    return "" if number in (0, 1) else f"{number:g}, exactly"


def _check_bounds(claim: str, measured: Array, above: object, below: object, finite: bool) -> None:
    low = _array(-np.inf if above is None else above)
    high = _array(np.inf if below is None else below)
    _needs(claim, measured, low, high)
    given = {"above": above, "below": below}
    bound = " and ".join(_word(name, of) for name, of in given.items() if of is not None)

    def inside(value: Array) -> bool:
        # A side that is not given allows infinity, unless the value has to be finite.
        fits = (value > low) | (above is None) & (value == low)
        fits &= (value < high) | (below is None) & (value == high)
        return bool(fits.all()) and (not finite or bool(np.isfinite(value).all()))

    if not inside(measured):
        few = measured if measured.size <= 8 else f"{measured.min():g} to {measured.max():g}"
        asked = [f"above {low}"] * (above is not None) + [f"below {high}"] * (below is not None)
        _fail(claim, f"measured {few}, expected {' and '.join(asked)}")
    both = above is not None and below is not None
    width = (high - low) / 2 if both else np.abs(high if above is None else low)
    with np.errstate(invalid="ignore", divide="ignore"):
        slack = np.minimum(measured - low, high - measured) / width
    others = {
        "0": inside(np.zeros_like(measured)),
        "opposite sign": bool(measured.any()) and inside(-measured),
    }
    _held(claim, "bounds", bound, at=measured, slack=slack, others=others)


def _word(name: str, bound: object) -> str:
    """A bound in words; one that was measured itself would differ between machines."""
    known = type(bound) in (int, float) and float(f"{bound:g}") == bound
    return f"{name} {bound:g}" if known else f"{name} its bound"


def _check_interval(claim: str, ends: Array, number: float, what: str) -> None:
    if ends.shape[:1] != (2,):
        raise ValueError(f"value has shape {ends.shape}: an interval is a pair (low, high)")
    low, high = ends
    _needs(claim, low)
    if not (np.isfinite(ends).all() and (low <= high).all() and np.isfinite(number)):
        _fail(claim, f"measured {low} to {high}, which is no interval")
    gap = np.maximum(low - number, number - high)  # positive outside
    if not ((gap > 0) if what == "excludes" else (gap <= 0)).all():
        _fail(claim, f"measured {low} to {high}, expected an interval that {what} {number:g}")
    with np.errstate(invalid="ignore", divide="ignore"):
        slack = np.abs(gap) / ((high - low) / 2)
    others = {"opposite sign": what == "excludes" and number == 0}
    _held(
        claim,
        "interval",
        f"the interval {what} {number:g}",
        at=(low + high) / 2,
        slack=slack,
        others=others,
    )


def _check_order(claim: str, measured: Array, order: str) -> None:
    if order not in ("increasing", "decreasing"):
        raise ValueError(f"order = {order!r}: allowed are 'increasing', 'decreasing'")
    if measured.ndim != 1 or len(measured) < 2:
        _fail(claim, f"measured shape {measured.shape}: an order needs a sequence of two or more")
    steps = np.diff(measured) * (1 if order == "increasing" else -1)
    if not (np.isfinite(measured).all() and (steps > 0).all()):
        _fail(claim, f"measured {measured}, expected {order}")
    _held(claim, "order", order, at=measured[1:], slack=steps / steps.max(), others={})


def check_panel(
    ax: Axes,
    place: int,
    title: str = "",
    lines: Mapping[str | int, object] | None = None,
    atol: float = 1e-6,
) -> None:
    """Assert where an axes stands in its figure, what is above it, and what some labels name.

    In a cell after the figure's, so that whatever has happened to the figure is seen.

    Args:
        ax: the axes.
        place: which of its figure's axes it is, from 0, in the order of reading.
        title: the words above it.
        lines: by label, or by number as in :class:`Drawn`, the y that is drawn.
        atol: the largest absolute difference of a y.

    Raises:
        AssertionError: the axes shows something else.
    """
    seen = drawn(ax)
    words = f"panel {place + 1}" + (f", “{title}”" if title else "")
    check(f"{words}, stands there and is called so", (seen.panel, seen.title) == (place, title), 1)
    for label, y in (lines or {}).items():
        if label not in seen:
            _fail(f"{words}: “{label}”", f"there are {list(seen)}")
        check(f"{words}: “{label}” is what it says", seen[label][1], y, atol)


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
        return found.item() if isinstance(found, np.generic) else found

    def shown(self, names: Mapping[str, object]) -> str:
        """The digits, as Python's ``format`` writes them, and ``← value`` where they round it.

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
        elif self.tolerance is not None or text.replace(",", "") != str(value):
            text += f" ← {self._recorded(value, text)}"
        if problem := self.disagreement(text, names):
            raise ValueError(problem)
        return text

    def _recorded(self, value: Any, digits: str) -> str:
        """The value of this build, in as few digits as still round to those shown."""
        if isinstance(value, int):
            return str(value)
        short = f"{float(value):.6g}"
        return short if format(float(short), self.format) == digits else repr(float(value))

    def disagreement(self, stated: str, names: Mapping[str, object]) -> str:
        """What is wrong with ``digits`` or ``digits ← value``, in words; nothing if it is right.

        The digits must be those of the value that the build has recorded, if it has, and lie
        within the tolerance of what is measured here and now.
        """
        value = self.value(names)
        if isinstance(value, str):
            return "" if format(value, self.format) == stated else f"stated {stated}, is {value}"
        digits, _, recorded = stated.partition(" ← ")
        number = NUMBER.fullmatch(digits)
        if not number:
            return f"stated {digits!r}, which is no number"
        if recorded:
            known = int(recorded) if recorded.lstrip("-").isdecimal() else float(recorded)
            if format(known, self.format) != digits:
                return f"stated {digits}, but the build measured {recorded}"
        measured, claimed, tolerance = self._compared(value, number)
        if not abs(measured - claimed) <= tolerance:
            return f"stated {digits}, measured {measured:.8g}, tolerance {tolerance:g}"
        return ""

    def _compared(self, value: Any, number: re.Match[str]) -> tuple[float, float, float]:
        """What is measured, what is claimed and the tolerance, in the units shown."""
        unit = 10.0 ** (int(number[3] or 0) - len(number[2] or ""))
        tolerance = 0.75 * unit if self.tolerance is None else self.tolerance
        claimed = float(number[0].replace(",", "").rstrip("%"))
        return float(value) * (100 if number[4] else 1), claimed, tolerance

    def record(self, stated: str, names: Mapping[str, object]) -> Record | None:
        """How near to failing a number was that is stated right; of a word, nothing."""
        number = NUMBER.fullmatch(stated.partition(" ← ")[0])
        if not number or isinstance(value := self.value(names), str):
            return None
        measured, claimed, tolerance = self._compared(value, number)
        others = {"0": abs(claimed) <= tolerance, "opposite sign": abs(2 * claimed) <= tolerance}
        also = tuple(name for name, passes in others.items() if passes and claimed)
        slack = 1 - abs(measured - claimed) / tolerance if tolerance else 1.0
        return Record(self.text, "number", number[0], measured, slack, also)


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
        lines: of the form ``expression:format ~tolerance → digits ← value``, one a number; the
            value is that of the build, where it has more digits than are shown.

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
    records = (Quoted.read(text).record(digits, names) for text, _, digits in stated)
    RECORDS.extend(record for record in records if record)
    print(f"✓ {len(stated)} number{'s' * (len(stated) > 1)} of this section's text, recomputed")


def print_shown(names: Mapping[str, object], lines: str) -> None:
    """Print, as JSON, the digits of each line and what is wrong with it; for the builder."""
    print(json.dumps([_digits(names, line) for line in lines.strip().splitlines()]))


def _digits(names: Mapping[str, object], line: str) -> tuple[str, str]:
    try:
        return Quoted.read(line).shown(names), ""
    except Exception as error:  # whatever an expression raises is told to its author
        return "", f"{type(error).__name__}: {error}"


__all__ = [
    "NUMBER",
    "RECORDS",
    "Drawn",
    "Quoted",
    "Record",
    "check",
    "check_panel",
    "drawn",
    "numbers",
    "print_shown",
]
