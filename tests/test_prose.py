"""Every number that the prose claims is generated, and so asserted where it is computed.

``notebooks/prose.py`` says what a claim is. In a chapter of ``NOT_YET_CONVERTED`` claims are
still typed, and an older, weaker rule holds: each decimal, percentage and "x of y" must be found
again among what is asserted: the numbers given to a ``check(...)`` of the chapter, or its printed
line; or a text output which nbval compares (that of a cell tagged ``nbval-ignore-output`` is not
compared, so it asserts nothing). A claim is found when a number there rounds to it: 1.386 by
1.38629, 25 % by 0.25 or by 25.

A setting that the prose repeats is written as code: `rate=0.001`.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jupytext
import nbformat
import pytest
from tools import ROOT, load

build = load("notebooks/build.py")
rule = load("notebooks/prose.py")
SOURCES = build.sources()

#: Chapters whose numbers are still typed; this set only shrinks.
NOT_YET_CONVERTED: set[str] = set()

NUMBER = r"[-−]?\d+(?:\.\d+)?(?:[eE][-+−]?\d+)?"
COUNT = re.compile(r"\b(\d+) (?:of|out of)(?: the)? (\d+)\b")
PERCENTAGE = re.compile(rf"({NUMBER})\s*(?:\\?%|percent\b|per cent\b)")
DECIMAL = re.compile(r"(?<![\w.])[-−]?\d+\.\d+(?:[eE][-+−]?\d+)?(?![\w]|\.\d)")
CHECKED = re.compile(r": ([^:]*)$")


@dataclass(frozen=True)
class Claim:
    """A number of the prose: its value, its digits after the point, and as it is written."""

    value: float
    digits: int
    text: str
    percent: bool = False

    def agrees(self, evidence: float) -> bool:
        """Whether ``evidence`` rounds to this number."""
        values = (evidence, 100 * evidence) if self.percent else (evidence,)
        unit = 10.0**-self.digits
        return any(abs(value - self.value) <= unit * (0.5 + 1e-9) for value in values)


def _claim(text: str, written: str, percent: bool = False) -> Claim:
    plain = text.replace("−", "-").lower()
    mantissa, _, exponent = plain.partition("e")
    digits = len(mantissa.partition(".")[2]) - int(exponent or 0)
    return Claim(float(plain), digits, written, percent)


def claims(source: str) -> Iterator[Claim]:
    """Every number that the prose of a chapter claims."""
    separators = r"(?<=\d)(,|\\,|\{,\}|[\u2009\u202f])(?=\d{3}(?!\d))"
    text = re.sub(separators, "", rule.prose(source))
    for match in COUNT.finditer(text):
        yield from (_claim(number, match[0]) for number in match.groups())
    for match in PERCENTAGE.finditer(text):
        yield _claim(match[1], match[0], percent=True)
    for match in DECIMAL.finditer(PERCENTAGE.sub(" ", text)):
        yield _claim(match[0], match[0])


def numbers(text: str) -> Iterator[float]:
    """The numbers printed in ``text``."""
    plain = re.sub(r"(?<=\d),(?=\d{3}(?!\d))", "", text).replace("−", "-")
    yield from (float(found) for found in re.findall(NUMBER, plain))


def checked(code: str) -> Iterator[float]:
    """The numbers that stand in the arguments of each ``check(...)``, its words left out."""
    lines = [line for line in code.splitlines() if not line.lstrip().startswith("%")]
    for call in ast.walk(ast.parse("\n".join(lines))):
        if isinstance(call, ast.Call) and getattr(call.func, "id", "") == "check":
            for argument in (*call.args, *(keyword.value for keyword in call.keywords)):
                yield from _constants(argument)


def _constants(tree: ast.AST) -> Iterator[float]:
    if isinstance(tree, ast.UnaryOp) and isinstance(tree.op, ast.USub):
        yield from (-value for value in _constants(tree.operand))
    elif isinstance(tree, ast.Constant) and type(tree.value) in (int, float):
        yield float(tree.value)
    else:
        for part in ast.iter_child_nodes(tree):
            yield from _constants(part)


def compared(cell: Any) -> Iterator[float]:
    """The numbers in those outputs of a cell that the tests compare."""
    ignored = "nbval-ignore-output" in cell.metadata.get("tags", [])
    for output in cell.get("outputs", []):
        text = output.get("text") or output.get("data", {}).get("text/plain", "")
        for line in text.splitlines():
            if line.startswith("✓"):  # the claim's own words assert nothing
                yield from numbers("".join(CHECKED.findall(line)))
            elif not ignored:
                yield from numbers(line)


def unchecked(source: str, *notebooks: Any) -> list[str]:
    """What the prose of ``source`` claims and nothing asserts."""
    cells = [cell for notebook in notebooks for cell in notebook.cells]
    written = jupytext.reads(source, fmt="md:myst").cells
    evidence = {value for cell in cells for value in compared(cell)}
    evidence |= {v for cell in written if cell.cell_type == "code" for v in checked(cell.source)}
    return [
        claim.text for claim in claims(source) if not any(claim.agrees(value) for value in evidence)
    ]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_every_number_of_the_prose_is_checked(path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    if path.stem[:2] not in NOT_YET_CONVERTED:
        found = [f"{path.name}, line {line}: {words!r}" for line, _, words in rule.typed(source)]
        assert found == []
        return
    built = [ROOT / "notebooks" / f"{path.stem}.ipynb"]
    built += [ROOT / "notebooks" / "solutions" / f"{path.stem}.ipynb"]
    notebooks = [nbformat.read(notebook, as_version=4) for notebook in built]
    assert unchecked(source, *notebooks) == []


# --- The rule -----------------------------------------------------------------------------

GENERATED = """---
title: 0.5
---

# Chapter 2.5 of 64 seeds

All {=n} of {=runs} runs ({=share:.0%}), $x = {=x:.1f}$ and {=x:.1f} ± {=half:.1f ~.2}: 8 modes
in three dimensions since 2014, with 95 % intervals, `rate=0.5` and [64 seeds](https://a.org/0.5).
PLACE

$$
0.123 \\pm 3.21
$$

```{code-cell} python
x = 0.25  # of 64 seeds
```

## Exercises

Take $a = 0.5$, and `steps=2000`.

## References

1. Somebody, 4.56 % of 64 seeds.
"""


@pytest.mark.parametrize(
    ("typed", "kind", "words"),
    [
        ("a loss of 0.693", "decimal", "0.693"),
        ("$x = -0.5$", "decimal", "-0.5"),
        ("**−1.5**", "decimal", "−1.5"),
        ("a quarter, 25 %", "percentage", "25 %"),
        ("$25\\,\\%$ of it", "percentage", "25\\,\\%"),
        ("12.5 percent", "percentage", "12.5 percent"),
        ("95 % of it", "percentage", "95 %"),
        ("7 of 8 forgers", "x of y", "7 of 8"),
        ("3 out of the 64", "x of y", "3 out of the 64"),
        ("{=n} of 8", "x of y", "… of 8"),
        ("one of 8", "x of y", "one of 8"),
        ("3 ± 1", "a ± b", "3 ± 1"),
        ("{=n} ± 1", "a ± b", "… ± 1"),
        ("$3 \\pm 1$", "a ± b", "3 \\pm 1"),
        ("over 64 seeds", "count", "64 seeds"),
        ("the 2,000 generator steps", "count", "2,000 generator steps"),
        ("$12{,}345$ samples", "count", "12{,}345$ samples"),
        ("from step 400 on", "count", "step 400"),
    ],
)
def test_a_typed_number_is_noticed(typed: str, kind: str, words: str) -> None:
    before = GENERATED.partition("PLACE")[0].count("\n") + 1
    found = list(rule.typed(GENERATED.replace("PLACE", typed)))
    assert found == [(before, kind, words)]


@pytest.mark.parametrize(
    "words",
    [
        "8 modes",
        "`64 seeds`",
        "chapter 12",
        "in 2014",
        "<!-- 0.5 -->",
        "{=n:,} steps",
        "$x^2 / 16$",
    ],
)
def test_what_is_no_claim_or_generated_may_stand(words: str) -> None:
    assert list(rule.typed(GENERATED.replace("PLACE", words))) == []


def test_exercises_may_set_numbers_in_formulas_only() -> None:
    text = GENERATED.replace("`steps=2000`", "2,000 steps")
    assert [words for *_, words in rule.typed(text)] == ["2,000 steps"]


# --- The older rule -----------------------------------------------------------------------

CHAPTER = """---
kernelspec:
  display_name: Python 3.11
  name: python3
---

# Chapter 2.5

The value is {value} and the rest is {percentage}, in {count} runs. Section 4.1 of
[Ref 7.7](https://example.org/9.9) says `0.001`; so does $x = {inline}$, and

$$
0.123 = 3.21
$$

```{{code-cell}} python
check("the value 9.75", loss, -{asserted}, atol=0.05)
0.777
```

## References

1. Somebody, 4.56.
"""
TRUE = {
    "value": "−1.386",
    "percentage": "25 %",
    "count": "7 of 8",
    "inline": "1{,}234.5",
    "asserted": "1.38629",
}
PRINTED = "a quarter: 0.25\n7 modes out of 8\n1,234.50 in all\n✓ it is 8.125: 0.5 ± 0.0625\n"


def notebook(text: str, *tags: str) -> Any:
    output = nbformat.v4.new_output("stream", name="stdout", text=text)
    cell = nbformat.v4.new_code_cell("x", metadata={"tags": list(tags)}, outputs=[output])
    return nbformat.v4.new_notebook(cells=[cell])


def missed(*tags: str, printed: str = PRINTED, **change: str) -> list[str]:
    return unchecked(CHAPTER.format(**{**TRUE, **change}), notebook(printed, *tags))


def test_a_true_chapter_passes() -> None:
    assert missed() == []


@pytest.mark.parametrize(
    ("place", "edited"),
    [
        ("value", "−1.387"),
        ("value", "1.386"),
        ("value", "−1.4863"),
        ("percentage", "26 %"),
        ("percentage", "25.1 percent"),
        ("count", "6 of 8"),
        ("count", "7 out of 9"),
        ("inline", "1235.5"),
    ],
)
def test_an_edited_number_is_found(place: str, edited: str) -> None:
    assert missed(**{place: edited}) != []


def test_an_edited_check_is_found() -> None:
    assert missed(asserted="1.2") == ["−1.386"]


def test_an_output_that_is_not_compared_asserts_nothing() -> None:
    assert missed("nbval-ignore-output") == ["7 of 8", "7 of 8", "25 %", "1234.5"]


@pytest.mark.parametrize("value", ["9.75", "8.125", "0.777", "4.56"])
def test_words_of_a_check_code_and_references_assert_nothing(value: str) -> None:
    assert missed(value=value) == [value]


@pytest.mark.parametrize("value", ["0.5", "0.50", "0.0625", "5e-2", "-1.38629", "−1.4"])
def test_what_counts_as_evidence(value: str) -> None:
    assert missed(value=value) == []
