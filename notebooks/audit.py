"""What would the tests notice? ``python -m gan_course audit [06 …] [--run]``.

- **Numbers.** Each number that the builder wrote into a page is shifted by one and by two units
  of its last digit, up and down, and put before the assertion that the page carries. A claim that
  is typed by hand counts as not noticed.
- **Checks**, with ``--run``: the chapter is executed, and each check is asked how far its value was
  from the bound, and what else it would have let pass.
- **Figures**, with ``--run``: in each, two labels are exchanged, two titles, two panels, the words
  at the ticks. Does a check of the same section notice?
"""

from __future__ import annotations

import ast
import contextlib
import io
import itertools
import os
import re
import signal
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import matplotlib as mpl
import matplotlib.pyplot as plt
import nbformat
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import build
import prose
from gan_course import checks, drawings
from gan_course.checks import NUMBER, Quoted, Record

KINDS = ("decimal", "percentage", "x of y", "a ± b", "count", "other")
SHIFTS = (-2, -1, 1, 2)  # units of the last digit
FLOOR = 0.97  # of the shifts, noticed
FRAGILE = 0.2  # of the tolerance, left
LONGEST = 120  # seconds of the processor for the rest of a section


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
        line: of the cell executed last, its first.
    """

    def __init__(self, source: Path) -> None:
        self.source = source
        self.names: dict[str, Any] = {"__name__": "__main__"}
        self.failures: list[tuple[int, str]] = []
        self.line = 0
        self._text = source.read_text(encoding="utf-8")
        self._from = 0

    def _line(self, code: str) -> int:
        """The line of the source before a cell's first."""
        first = code.splitlines()[0]
        at = self._text.find(code if code in self._text else first, self._from)
        self._from = max(at, self._from)
        return self._text.count("\n", 0, max(at, 0))

    def cell(
        self, code: str, first: int = 0, before: Callable[[int], None] = lambda statement: None
    ) -> None:
        """Execute a cell; keep what goes wrong.

        Args:
            code: the cell's.
            first: its statement with which to begin; those before it have been executed.
            before: called before each statement with its number.
        """
        if not first:
            plt.close("all")
        tree = ast.parse(code, self.source.name)
        line = self._line(code)
        self.line = line + 1
        ast.increment_lineno(tree, line)
        try:
            for number, statement in enumerate(tree.body[first:], first):
                before(number)
                exec(compile(ast.Module([statement], []), self.source.name, "exec"), self.names)
        except Exception as error:  # whatever it is, it is told
            self.failures.append((line + 1, f"{type(error).__name__}: {error}"))

    def broken(self, since: int = 0) -> list[str]:
        """What failed, from the failure numbered ``since`` on, where not all sections are executed.

        What a section left out would have defined is missing, and no sign of a fault.
        """
        found = (problem for _, problem in self.failures[since:])
        return [problem for problem in found if not problem.startswith("NameError")]

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
    """As the chapters run: in their folder, without bars, figures for nobody.

    What a chapter sets for its whole process (a dtype, seeds, the style of figures) ends with it.
    """
    dtype = torch.get_default_dtype()
    os.environ["TQDM_DISABLE"] = "1"
    mpl.use("Agg")
    with contextlib.chdir(build.HERE), mpl.rc_context(), torch.random.fork_rng(devices=[]):
        try:
            yield
        finally:
            plt.close("all")
            torch.set_default_dtype(dtype)


def run(
    source: Path,
    wanted: Callable[[str], bool] = lambda heading: True,
    said: Mapping[int, Mapping[str, str]] = MappingProxyType({}),
    watch: Callable[[Run, int], None] = lambda chapter, index: None,
) -> Run:
    """Execute a chapter.

    Args:
        source: its Markdown.
        wanted: of a section's heading, whether to execute it; the set-up always is.
        said: what the page states, by section; see :func:`on_page`.
        watch: called after each cell of code with its index, its figures still open.
    """
    chapter = Run(source)
    cells = build.chapter(source).cells
    heading = ""
    with at_home(), contextlib.redirect_stdout(io.StringIO()):
        for index, (section, cell) in enumerate(zip(build._sections(cells), cells, strict=True)):
            if cell.cell_type == "markdown":
                first = cell.source.splitlines()[0]
                heading = first[3:].strip() if first.startswith("## ") else heading
            elif "numbers" in build._tags(cell):
                if wanted(heading):
                    chapter.numbers(said.get(section, {}))
            elif "setup" in build._tags(cell) or wanted(heading):
                chapter.cell(cell.source)
                watch(chapter, index)
    return chapter


def flags(record: Record) -> list[str]:
    """What is wrong with a check that held."""
    one_sided = record.kind == "bounds" and " and " not in record.bound
    below = one_sided and record.bound.startswith("below")  # small is meant: 0 is smaller
    found = [] if below else [f"also passes for {other}" for other in record.also]
    if record.kind in ("close", "number", "bounds") and not one_sided and record.slack < FRAGILE:
        found.append(f"fragile: {record.slack:.0%} of the tolerance are left")
    return found


class Exchanged(NamedTuple):
    """A fault planted into a figure, where, and whether a check noticed."""

    line: int
    fault: str
    noticed: bool


def judged(source: Path) -> tuple[Run, list[tuple[Record, int]], list[Exchanged]]:
    """A chapter executed, its checks with their lines, and the faults planted into its figures."""
    before, checks.RECORDS = checks.RECORDS, Located()
    cells: list[Any] = build.chapter(source).cells
    sections, found = build._sections(cells), list[Exchanged]()

    def watch(chapter: Run, index: int) -> None:
        following = zip(cells[index + 1 :], sections[index + 1 :], strict=True)
        after = [cell for cell, section in following if section == sections[index]]
        caption = after[0].source if after and after[0].cell_type == "markdown" else ""
        rest = [cell.source for cell in after if has_checks(cell)]
        for number in plt.get_fignums():
            for fault, exchange in exchanges(plt.figure(number), caption):
                noticed = in_a_fork(chapter, exchange, rest)
                found.append(Exchanged(chapter.line, fault, noticed))

    try:
        chapter = run(source, said=on_page(source), watch=watch)
        return chapter, [*checks.RECORDS], found
    finally:
        checks.RECORDS = before


def has_checks(cell: Any) -> bool:
    """Whether a cell is code of the chapter's own that checks something."""
    return cell.cell_type == "code" and bool(re.search(r"\bcheck(_panel)?\(", cell.source))


def is_own_code(cell: Any) -> bool:
    """Whether a cell is code that the chapter's author has written."""
    return cell.cell_type == "code" and "numbers" not in build._tags(cell)


# --- Figures -----------------------------------------------------------------------------


def exchanges(figure: Figure, caption: str) -> Iterator[tuple[str, Callable[[], None]]]:
    """What can be exchanged in a figure so that it says something else, each with its act."""
    for ax in figure.axes:
        parts: tuple[Any, ...] = (*ax.lines, *ax.containers, *ax.collections, *ax.patches)
        named = [part for part in parts if not str(part.get_label() or "_").startswith("_")]
        if len(named) > 1 and (ax.get_legend() or figure.legends):
            one, other = named[0], named[-1]
            yield (
                f"labels {one.get_label()!r} and {other.get_label()!r} exchanged",
                partial(exchange_labels, ax, one, other),
            )
        for axis in (ax.xaxis, ax.yaxis):
            words = drawings.words(axis)
            if len(words) > 1 and any(re.search("[a-zA-Z]", word) for word in words):
                yield f"words {words} reversed", partial(reverse_words, ax, axis)
    titled = [ax for ax in figure.axes if ax.get_title()]
    if len({ax.get_title() for ax in titled}) > 1:
        one, other = titled[0], titled[-1]
        yield (
            f"titles {one.get_title()!r} and {other.get_title()!r} exchanged",
            partial(exchange_titles, one, other),
        )
    if len(figure.axes) > 1 and re.search(r"\b([Ll]eft|[Rr]ight|[Uu]pper|[Ll]ower)\b", caption):
        yield "first and last panel exchanged", partial(exchange_panels, figure)


def exchange_labels(ax: Axes, one: Any, other: Any) -> None:
    """Give each of two artists the other's label, in the legend, too."""
    words = {one.get_label(): other.get_label(), other.get_label(): one.get_label()}
    for part in (one, other):
        part.set_label(words[part.get_label()])
    for text in legend.get_texts() if (legend := ax.get_legend()) else []:
        text.set_text(words.get(text.get_text(), text.get_text()))


def reverse_words(ax: Axes, axis: Any) -> None:
    """Write the words at the ticks in reverse order."""
    axis.set_ticks(axis.get_ticklocs(), drawings.words(axis)[::-1])


def exchange_titles(one: Axes, other: Axes) -> None:
    """Give each of two panels the other's title."""
    first = one.get_title()
    one.set_title(other.get_title())
    other.set_title(first)


def exchange_panels(figure: Figure) -> None:
    """Let the first and the last panel change places."""
    one, other = figure.axes[0], figure.axes[-1]
    here, there = one.get_position(original=True), other.get_position(original=True)
    one.set_position(there)
    other.set_position(here)


def in_a_fork(chapter: Run, act: Callable[[], None], rest: Sequence[str], first: int = 0) -> bool:
    """Whether a check in the rest of a section fails after an act, in a copy of the process.

    Args:
        chapter: executed up to here.
        act: what is done to it.
        rest: the cells that are left.
        first: the statement with which to begin in the first of them.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # other threads are not ours
        child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 1
    # A signal ends a copy that never ends, and that counts as not noticed: after so much
    # processor time, which other work on the machine leaves alone, or when it only waits.
    for limit in (signal.SIGPROF, signal.SIGALRM):
        signal.signal(limit, signal.SIG_DFL)  # a handler would raise in a cell: noticed
    signal.setitimer(signal.ITIMER_PROF, LONGEST)
    signal.alarm(5 * LONGEST)
    try:
        act()
        for code in rest:
            before = len(chapter.failures)
            chapter.cell(code, first)
            first = 0
            if chapter.broken(before):
                os._exit(1)
    finally:
        os._exit(0)  # whatever comes: a copy must not go on as its original


# --- Faults in the code of chapters -------------------------------------------------------


def planted(
    source: Path, faults: Mapping[str, tuple[str, str]], also: Sequence[str] = ()
) -> tuple[dict[str, bool], list[str]]:
    """Plant faults into the code of a chapter, one at a time: does its section notice?

    Args:
        source: the chapter's Markdown.
        faults: by name what to write for what; it stands once, in one cell.
        also: headings of the sections that those with faults need.

    Returns:
        Whether a check noticed each fault, and what fails without any.

    Raises:
        ValueError: a fault has no place, or several.
    """
    cells = build.chapter(source).cells
    sections = build._sections(cells)
    places = {
        name: [i for i, c in enumerate(cells) if c.cell_type == "code" and old in c.source]
        for name, (old, _) in faults.items()
    }
    for name, found in places.items():
        if len(found) != 1 or cells[found[0]].source.count(faults[name][0]) != 1:
            raise ValueError(f"{name}: its place in {source.name} is not one, renew the fault")
    wanted = {sections[place] for (place,) in places.values()}
    wanted |= {
        s
        for s, c in zip(sections, cells, strict=True)
        if c.source.startswith(tuple(f"## {heading}" for heading in also))
    }
    chapter, noticed = Run(source), dict[str, bool]()
    with at_home(), contextlib.redirect_stdout(io.StringIO()):
        for index, (section, cell) in enumerate(zip(sections, cells, strict=True)):
            setup = "setup" in build._tags(cell)
            if not is_own_code(cell) or (section not in wanted and not setup):
                continue
            following = zip(cells[index + 1 :], sections[index + 1 :], strict=True)
            rest = [c.source for c, s in following if s == section and is_own_code(c)]
            here = {
                name: cell.source.replace(*faults[name])
                for name, place in places.items()
                if place == [index]
            }
            # What a cell does before its fault is done once, for all of its faults.
            waiting = {name: first_difference(cell.source, code) for name, code in here.items()}

            def plant(
                number: int,
                here: Mapping[str, str] = here,
                waiting: Mapping[str, int] = waiting,
                rest: Sequence[str] = rest,
            ) -> None:
                for name, first in waiting.items():
                    if first == number:
                        code = [here[name], *rest]
                        noticed[name] = in_a_fork(chapter, lambda: None, code, first)

            chapter.cell(cell.source, before=plant)
            for name in here:  # a sound cell that stops before a fault has not planted it
                noticed.setdefault(name, False)
    # A section that stops by itself would notice every fault, or none.
    return noticed, chapter.broken()


def first_difference(code: str, other: str) -> int:
    """The number of the first statement in which two versions of a cell differ."""
    one, two = (map(ast.dump, ast.parse(text).body) for text in (code, other))
    pairs = enumerate(itertools.zip_longest(one, two))
    return next((number for number, (a, b) in pairs if a != b), 0)


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
    chapter, records, exchanged = judged(source)
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

    unseen = [f"  {source.name}:{e.line}: {e.fault}" for e in exchanged if not e.noticed]
    print(f"  figures: {len(exchanged)} faults planted, {len(exchanged) - len(unseen)} noticed")
    print("\n".join(unseen))


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
