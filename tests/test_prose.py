"""Every number that the prose claims is checked.

The rule. In a chapter's Markdown, each of these is a claim:

- a decimal number (0.693, −1.386),
- a percentage (25 %, 97.5 percent),
- a count ``x of y`` (8 of 8, 3 out of 64).

Each must be found again among what is asserted: the numbers given to a ``check(...)`` of
the chapter, or its printed line; or a text output which nbval compares (that of a cell
tagged ``nbval-ignore-output`` is not compared, so it asserts nothing). A claim is found
when a number there rounds to it: 1.386 by 1.38629, 25 % by 0.25 or by 25.

Not claims: whole numbers alone, display mathematics (``$$``), code, links, headings,
the reference list, and the numbers of sections, theorems, exercises and versions.
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
SOURCES = build.sources()

# What is taken out of the Markdown before looking for numbers.
NO_PROSE = (
    r"\A---\n.*?\n---\n",  # front matter
    r"^(```+|~~~+).*?^\1[ \t]*$",  # code cells and blocks
    r"\$\$.*?\$\$",  # display mathematics
    r"^#+ (References|Further reading)\b.*?(?=^#+ |\Z)",  # the reference list
    r"^#+ .*?$",  # headings
    r"<!--.*?-->",
    r"`[^`\n]+`",
    r"!?\[[^\]]*\]\([^)]*\)",  # links and pictures
    r"<?https?://\S+",
    r"\b(doi|arXiv)[:\s]\s*\S+",
    r"(§|[Ss]ections?|[Ee]xercises?|[Cc]hapters?|[Ff]igures?|[Tt]heorems?|[Pp]ropositions?|"
    r"[Ll]emmas?|[Ee]quations?|[Pp]ython|PyTorch|JupyterLab)\s*\(?\d+(\.\d+)*\)?",
)
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


def prose(source: str) -> str:
    """The Markdown that claims something, thousands without their separators.

    What the builder generates, ``{=…}``, is asserted where it is computed.
    """
    for start, end, *_ in reversed(list(build.quoted(source))):
        source = source[:start] + " " + source[end:]
    for pattern in NO_PROSE:
        source = re.sub(pattern, " ", source, flags=re.M | re.S)
    return re.sub(r"(?<=\d)(,|\\,|\{,\}|[\u2009\u202f])(?=\d{3}(?!\d))", "", source)


def claims(source: str) -> Iterator[Claim]:
    """Every number that the prose of a chapter claims."""
    text = prose(source)
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
    built = [ROOT / "notebooks" / f"{path.stem}.ipynb"]
    built += [ROOT / "notebooks" / "solutions" / f"{path.stem}.ipynb"]
    notebooks = [nbformat.read(notebook, as_version=4) for notebook in built]
    assert unchecked(path.read_text(encoding="utf-8"), *notebooks) == []


# --- The rule itself ----------------------------------------------------------------------

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
