"""What would the tests notice? ``python -m gan_course audit [06 …] [--run]``.

- **Numbers.** Each number that the builder wrote into a page is shifted by one and by two units
  of its last digit, up and down, and put before the assertion that the page carries. A claim that
  is typed by hand counts as not noticed.
- **Checks**, with ``--run``: the chapter is executed, and each check is asked how far its value was
  from the bound, and what else it would have let pass.

Faults of meaning (a sign in a formula, two legends exchanged) are planted by
``tests/test_planted_chapters.py``.
"""

from __future__ import annotations

import ast
import contextlib
import io
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import nbformat

import build
import prose
from gan_course import checks
from gan_course.checks import NUMBER, Quoted, Record

KINDS = ("decimal", "percentage", "x of y", "a ± b", "count", "other")
SHIFTS = (-2, -1, 1, 2)  # units of the last digit
FLOOR = 0.97  # of the shifts, noticed
FRAGILE = 0.2  # of the tolerance, left


# --- Numbers -----------------------------------------------------------------------------


class Stated(NamedTuple):
    """A number of a page: its kind, what the source says, and which shifts are noticed."""

    kind: str
    text: str
    digits: str
    noticed: tuple[bool, ...]


def kind_of(markdown: str, start: int, end: int, digits: str) -> str:
    """Which kind of claim a generated number is, by what stands around it."""
    for kind in ("a ± b", "x of y"):
        found = prose.KINDS[kind].finditer(markdown)
        if any(match.start() <= start and end <= match.end() for match in found):
            return kind
    if digits.endswith("%") or re.match(r"\$?\s*(\\,)?\s*(\\?%|percent\b)", markdown[end:]):
        return "percentage"
    if "." in digits or "e" in digits:
        return "decimal"
    return "count" if float(digits.replace(",", "")) >= 10 else "other"


def shifted(digits: str, units: int) -> str:
    """The same number, some units of its last digit away."""
    number = NUMBER.fullmatch(digits)
    assert number is not None
    places, power = len(number[2] or ""), number[3]
    mantissa = float(re.sub(r",|e.*|%", "", digits)) + units * 10.0**-places
    text = f"{mantissa:{',' if ',' in digits else ''}.{places}f}"
    return text + (f"e{power}" if power else "") + number[4]


def on_page(source: Path) -> dict[int, dict[str, str]]:
    """What the page of a chapter states, by section and by what the source says."""
    page = nbformat.read(  # type: ignore[no-untyped-call]
        build.HERE / f"{source.stem}.ipynb", as_version=4
    )
    return {
        section: build.stated(cell)
        for section, cell in zip(build._sections(page.cells), page.cells, strict=True)
        if "numbers" in build._tags(cell)
    }


def stated(source: Path) -> Iterator[Stated]:
    """Every number that the builder wrote into a chapter's page."""
    wanted, said = build.chapter(source).cells, on_page(source)
    places = build._places(source, wanted)
    for place, cell in zip(places, wanted, strict=True):
        if cell.cell_type != "markdown":
            continue
        text = prose.prose(cell.source)
        for start, end, quoted, _ in build.quoted(cell.source):
            digits, _, record = said.get(place, {}).get(quoted, "").partition(" ← ")
            if NUMBER.fullmatch(digits):
                kind = kind_of(text, start, end, digits)
                yield Stated(kind, quoted, digits, tuple(noticed(quoted, digits, record)))


def noticed(quoted: str, digits: str, record: str) -> Iterator[bool]:
    """For each shift, whether the page's own assertion fails."""
    asked = Quoted.read(quoted)
    value = float(record or digits.replace(",", "").rstrip("%"))
    if not record and digits.endswith("%"):
        value /= 100
    measured = Quoted(quoted, "value", asked.format, asked.tolerance)
    for units in SHIFTS:
        claim = shifted(digits, units) + (f" ← {record}" if record else "")
        yield bool(measured.disagreement(claim, {"value": value}))


def numbers_table(sources: Sequence[Path]) -> tuple[list[list[str]], dict[str, float]]:
    """Rows of a table, and each chapter's share of shifts that are noticed."""
    rows, shares = [], {}
    for source in sources:
        cells: dict[str, list[bool]] = {kind: [] for kind in KINDS}
        for number in stated(source):
            cells[number.kind] += number.noticed
        typed = list(prose.typed(source.read_text(encoding="utf-8")))
        for claim in typed:
            cells[claim.kind] += [False] * len(SHIFTS)
        every = [noticed for kind in KINDS for noticed in cells[kind]]
        shares[source.stem] = sum(every) / max(len(every), 1)
        rows.append([source.stem[:2], *(share(cells[kind]) for kind in KINDS), share(every)])
    return rows, shares


def share(noticed: Sequence[bool]) -> str:
    """How many numbers, and which part of their shifts is noticed."""
    if not noticed:
        return "–"
    return f"{sum(noticed) / len(noticed):.0%} of {len(noticed) // len(SHIFTS)}"


# --- Checks ------------------------------------------------------------------------------


class Located(list[Any]):
    """Records, each with the line of the source where its check stands."""

    def append(self, record: Any) -> None:  # noqa: D102
        frame = sys._getframe(1)
        while frame.f_back is not None and not frame.f_code.co_filename.endswith(".md"):
            frame = frame.f_back
        self.located(record, frame.f_lineno)

    def located(self, record: Record, line: int) -> None:
        """Keep a record whose line is known."""
        super().append((record, line))


class Run:
    """A chapter, executed in this process cell by cell: fast, and open to questions.

    Attributes:
        names: the chapter's names so far.
        failures: line and message of each cell that failed.
    """

    def __init__(self, source: Path) -> None:
        self.source = source
        self.names: dict[str, Any] = {"__name__": "__main__"}
        self.failures: list[tuple[int, str]] = []
        self._text = source.read_text(encoding="utf-8")
        self._from = 0

    def _line(self, code: str) -> int:
        """The line of the source before a cell's first."""
        first = code.splitlines()[0]
        at = self._text.find(code if code in self._text else first, self._from)
        self._from = max(at, self._from)
        return self._text.count("\n", 0, max(at, 0))

    def cell(self, code: str) -> None:
        """Execute a cell; keep what goes wrong."""
        import matplotlib.pyplot as plt  # noqa: PLC0415

        tree = ast.parse(code, self.source.name)
        line = self._line(code)
        ast.increment_lineno(tree, line)
        try:
            exec(compile(tree, self.source.name, "exec"), self.names)
        except Exception as error:  # whatever it is, it is told
            self.failures.append((line + 1, f"{type(error).__name__}: {error}"))
        plt.close("all")

    def numbers(self, said: Mapping[str, str]) -> None:
        """Recompute the numbers that a section's text states."""
        for text, digits in said.items():
            line = self._text.count("\n", 0, max(self._text.find(f"{{={text}}}"), 0)) + 1
            try:
                problem = Quoted.read(text).disagreement(digits, self.names)
                record = Quoted.read(text).record(digits, self.names)
            except Exception as error:  # whatever it is, it is told
                problem, record = f"{type(error).__name__}: {error}", None
            if problem:
                self.failures.append((line, f"{{={text}}}: {problem}"))
            elif record and isinstance(checks.RECORDS, Located):
                checks.RECORDS.located(record, line)


@contextlib.contextmanager
def at_home() -> Iterator[None]:
    """As the chapters run: in their folder, without bars, figures for nobody."""
    import matplotlib as mpl  # noqa: PLC0415

    before = Path.cwd()
    os.environ["TQDM_DISABLE"] = "1"
    mpl.use("Agg")
    os.chdir(build.HERE)
    try:
        yield
    finally:
        os.chdir(before)


def run(
    source: Path,
    wanted: Callable[[str], bool] = lambda heading: True,
    said: Mapping[int, Mapping[str, str]] = MappingProxyType({}),
) -> Run:
    """Execute a chapter.

    Args:
        source: its Markdown.
        wanted: of a section's heading, whether to execute it; the set-up always is.
        said: what the page states, by section; see :func:`on_page`.
    """
    chapter = Run(source)
    cells = build.chapter(source).cells
    heading = ""
    with at_home(), contextlib.redirect_stdout(io.StringIO()):
        for section, cell in zip(build._sections(cells), cells, strict=True):
            if cell.cell_type == "markdown":
                first = cell.source.splitlines()[0]
                heading = first[3:].strip() if first.startswith("## ") else heading
            elif "numbers" in build._tags(cell):
                if wanted(heading):
                    chapter.numbers(said.get(section, {}))
            elif "setup" in build._tags(cell) or wanted(heading):
                chapter.cell(cell.source)
    return chapter


def flags(record: Record) -> list[str]:
    """What is wrong with a check that held."""
    one_sided = record.kind == "bounds" and " and " not in record.bound
    below = one_sided and record.bound.startswith("below")  # small is meant: 0 is smaller
    found = [] if below else [f"also passes for {other}" for other in record.also]
    if record.kind in ("close", "number", "bounds") and not one_sided and record.slack < FRAGILE:
        found.append(f"fragile: {record.slack:.0%} of the tolerance are left")
    return found


def judged(source: Path) -> tuple[Run, list[tuple[Record, int]]]:
    """A chapter's checks, each with its line."""
    before, checks.RECORDS = checks.RECORDS, Located()
    try:
        chapter = run(source, said=on_page(source))
        return chapter, [*checks.RECORDS]
    finally:
        checks.RECORDS = before


# --- Telling -----------------------------------------------------------------------------


def table(rows: Sequence[Sequence[str]]) -> str:
    """Columns of equal width."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)
    return "\n".join(lines)


def tell_numbers(sources: Sequence[Path]) -> None:
    """Print which share of shifted numbers is noticed, by chapter and kind."""
    rows, shares = numbers_table(sources)
    print("Numbers of the prose: of each, ±1 and ±2 units of the last digit; the share noticed\n")
    print(table([["chapter", *KINDS, "all"], *rows]))
    low = [name for name, value in shares.items() if value < FLOOR]
    print(f"\nBelow {FLOOR:.0%}: {', '.join(low) or 'none'}\n")


def tell_checks(source: Path) -> None:
    """Execute a chapter, and print what its checks would let pass."""
    chapter, records = judged(source)
    print(f"\n{source.name}: {len(records)} checks held, {len(chapter.failures)} cells failed")
    for line, problem in chapter.failures:
        print(f"  {source.name}:{line}: {problem[:300]}")
    flagged = [(r, line, found) for r, line in records if (found := flags(r))]
    print(f"  flagged: {len(flagged)}")
    rows = [
        [
            f"  {source.name}:{line}",
            f"{r.slack:8.3g}",
            f"{r.value:10.4g}",
            "; ".join(found),
            r.claim,
        ]
        for r, line, found in flagged
    ]
    if rows:
        print(table([["  where", "slack", "value", "flag", "claim"], *rows]))


def main(chapters: Sequence[str] = (), execute: bool = False) -> None:
    """Measure, and print tables.

    Args:
        chapters: how their names start; without one, all.
        execute: run them, too, and judge their checks.
    """
    chosen = build.sources(list(chapters))
    tell_numbers(chosen)
    for source in chosen if execute else []:
        tell_checks(source)
