"""The audit: what would be noticed, if a number of the prose, or a check, were wrong."""

from __future__ import annotations

import os
import re
from pathlib import Path

import matplotlib as mpl
import pytest
import torch
from tools import load

from gan_course.checks import Record

audit = load("notebooks/audit.py")


@pytest.mark.parametrize("source", audit.build.sources(), ids=lambda path: path.stem)
def test_a_number_that_is_shifted_is_noticed(source: Path):
    rows, shares = audit.numbers_table([source])
    assert shares[source.stem] >= audit.FLOOR, audit.table([["", *audit.KINDS, "all"], *rows])


# --- The audit itself ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("digits", "units", "other"),
    [
        ("0.123", 1, "0.124"),
        ("0.123", -2, "0.121"),
        ("-1.00", 1, "-0.99"),
        ("12,345", 2, "12,347"),
        ("25%", -1, "24%"),
        ("6.2%", 1, "6.3%"),
        ("3.2e-05", 1, "3.3e-05"),
        ("9", 1, "10"),
    ],
)
def test_a_number_is_shifted_in_its_last_digit(digits: str, units: int, other: str):
    assert audit.shifted(digits, units) == other


@pytest.mark.parametrize(
    ("quoted", "digits", "record", "found"),
    [
        ("x:.3f", "0.123", "0.12311", "1111"),
        ("x:.3f ~.04", "0.123", "0.12311", "1111"),
        ("x:.3f ~.04", "0.123", "", "0000"),  # a page of before values were recorded
        ("x:.3f ~.0015", "0.123", "", "1001"),
        ("x:.1%", "6.2%", "0.06249", "1111"),
        ("n", "12345", "", "1111"),
        ("n:, ~8", "12,345", "12345", "1111"),
    ],
)
def test_what_the_assertion_of_a_page_notices(quoted: str, digits: str, record: str, found: str):
    assert [*audit.noticed(quoted, digits, record)] == [one == "1" for one in found]


@pytest.mark.parametrize(
    ("text", "digits", "kind"),
    [
        ("grows by {=x:.3f}.", "0.123", "decimal"),
        ("in {=x:.0f} % of", "25", "percentage"),
        (r"in ${=x:.0f}\,\%$ of", "25", "percentage"),
        ("in {=x:.0%} of", "25%", "percentage"),
        ("in {=x} of {=y} runs", "25", "x of y"),
        ("by {=x:.2f} ± {=y:.2f}", "0.25", "a ± b"),
        ("for {=x} seeds", "64", "count"),
        ("for {=x} seeds", "8", "other"),
    ],
)
def test_the_kind_of_a_number_is_what_stands_around_it(text: str, digits: str, kind: str):
    start, end, *_ = next(audit.build.quoted(text))
    assert audit.kind_of(audit.prose.prose(text), start, end, digits) == kind


@pytest.mark.parametrize(
    ("record", "said"),
    [
        (Record("a", "close", "1 ± 0.1", 1.05, 0.5), []),
        (Record("a", "close", "1 ± 0.1", 1.09, 0.1), ["fragile: 10% of the tolerance are left"]),
        (Record("a", "close", "0.1 ± 0.2", 0.1, 1, ("0",)), ["also passes for 0"]),
        (Record("a", "bounds", "below 0.5", 0.1, 0.8, ("0", "opposite sign")), []),
        (Record("a", "bounds", "above -0.5", 0.1, 0.8, ("0",)), ["also passes for 0"]),
        (Record("a", "bounds", "above 0.5", 0.51, 0.02), []),
        (
            Record("a", "bounds", "above -1 and below 1", 0.9, 0.1, ("0", "opposite sign")),
            [
                "also passes for 0",
                "also passes for opposite sign",
                "fragile: 10% of the tolerance are left",
            ],
        ),
    ],
)
def test_a_check_without_power_is_flagged(record: Record, said: list[str]):
    assert audit.flags(record) == said


CHAPTER = """---
kernelspec:
  display_name: Python 3
  language: python
  name: python3
---

# A trial

## First

```{code-cell} python
from gan_course.checks import check

x = 0.3
```

It is {=x:.1f}.

```{code-cell} python
:tags: [hide-input]

check("it is 0.2", x, above=-0.2)
check("it is 0.3", x, 0.3)
```

## Second

```{code-cell} python
y = x


check("too much", y, above=1)
```
"""


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(audit.build, "HERE", tmp_path)
    path = tmp_path / "02_trial.md"
    path.write_text(CHAPTER, encoding="utf-8")
    return path


def write_page(source: Path, digits: str) -> None:
    page = audit.build.chapter(source)
    for cell in page.cells:
        if "numbers" in audit.build._tags(cell):
            audit.build.state_numbers(cell, {"x:.1f": digits})
    audit.nbformat.write(page, source.parent / "02_trial.ipynb")


def test_a_number_that_is_not_right_any_more_is_told(source: Path):
    write_page(source, "0.4 ← 0.4")
    chapter, *_ = audit.judged(source)
    assert (18, "{=x:.1f}: stated 0.4, measured 0.3, tolerance 0.075") in chapter.failures


def test_a_chapter_is_executed_and_its_checks_have_their_lines(source: Path):
    write_page(source, "0.3 ← 0.3")
    chapter, records, _ = audit.judged(source)
    assert [(record.claim, line) for record, line in records] == [
        ("it is 0.2", 23),
        ("it is 0.3", 24),
        ("x:.1f", 18),
    ]
    assert [audit.flags(record) for record, _ in records] == [["also passes for 0"], [], []]
    assert [(line, problem.partition("✗")[0]) for line, problem in chapter.failures] == [
        (30, "AssertionError: ")
    ]


def test_a_section_is_executed_alone(source: Path):
    chapter = audit.run(source, lambda heading: heading == "First")
    assert chapter.names["x"] == 0.3
    assert "y" not in chapter.names


def test_what_a_chapter_sets_for_its_process_ends_with_it(source: Path):
    sets = """import matplotlib, torch
torch.set_default_dtype(torch.float64)
torch.manual_seed(7)
matplotlib.rcParams["font.size"] = 31
x = """
    source.write_text(CHAPTER.replace("x = ", sets, 1), encoding="utf-8")
    torch.manual_seed(1)
    before = torch.get_rng_state(), Path.cwd(), mpl.rcParams["font.size"]
    chapter = audit.run(source, lambda heading: heading == "First")
    assert chapter.names["torch"] is torch
    assert torch.get_default_dtype() is torch.float32
    assert torch.equal(torch.get_rng_state(), before[0])
    assert (Path.cwd(), mpl.rcParams["font.size"]) == before[1:]


def test_the_table_says_what_is_typed_and_what_is_generated(
    source: Path, capsys: pytest.CaptureFixture
):
    write_page(source, "0.3 ← 0.3")
    source.write_text(CHAPTER.replace("It is", "In 7 of 8 runs it is"), encoding="utf-8")
    audit.tell_numbers([source])
    row = capsys.readouterr().out.splitlines()[3]
    assert re.split(" {2,}", row) == ["02", "100% of 1", "–", "0% of 1", "–", "–", "–", "50% of 2"]


# --- Faults in figures --------------------------------------------------------------------

FIGURE = """---
kernelspec:
  display_name: Python 3
  language: python
  name: python3
---

# A trial

## First

```{code-cell} python
import matplotlib.pyplot as plt

from gan_course.checks import check, drawn

_, (left, right) = plt.subplots(1, 2)
for ax, up in ((left, 1), (right, 2)):
    ax.plot([0, 1], [0, up], label="up")
    ax.plot([0, 1], [0, -up], "--", label="down")
    ax.legend()
left.set(title="slow")
right.set(title="fast", xticks=[0, 1], xticklabels=["start", "end"])
```

*Left, slow. Right, fast.*

```{code-cell} python
CHECK
```
"""
ALL = """lines = [drawn(left), drawn(right)]
check("up", [part["up"][1][1] for part in lines], [1, 2])
check("titles", [part.title for part in lines] == ["slow", "fast"], True)
check("places", [part.panel for part in lines], [0, 1])
check("words", lines[1].xticks == ["start", "end"], True)"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="Windows cannot copy a process")
@pytest.mark.parametrize("left_out", ["nothing", "up", "titles", "places", "words"])
def test_what_is_exchanged_in_a_figure_is_noticed_where_a_check_reads_it(
    source: Path, left_out: str
):
    lines = [line for line in ALL.splitlines() if f'"{left_out}"' not in line]
    source.write_text(FIGURE.replace("CHECK", "\n".join(lines)), encoding="utf-8")
    audit.nbformat.write(audit.build.chapter(source), source.parent / "02_trial.ipynb")
    _, _, exchanged = audit.judged(source)
    unseen = [fault for _, fault, noticed in exchanged if not noticed]
    assert len(exchanged) == 5
    assert (
        unseen
        == {
            "nothing": [],
            "up": ["labels 'up' and 'down' exchanged"] * 2,
            "titles": ["titles 'slow' and 'fast' exchanged"],
            "places": ["first and last panel exchanged"],
            "words": ["words ['start', 'end'] reversed"],
        }[left_out]
    )


@pytest.mark.skipif(not hasattr(os, "fork"), reason="Windows cannot copy a process")
def test_a_fault_in_the_code_is_planted_where_it_stands_once(
    source: Path, monkeypatch: pytest.MonkeyPatch
):
    faults = {"seen": ("x = 0.3", "x = 0.4"), "unseen": ("x = 0.3", "x = 0.3  # as before")}
    source.write_text(CHAPTER.partition("## Second")[0], encoding="utf-8")
    assert audit.planted(source, faults) == ({"seen": True, "unseen": False}, [])
    endless = {"endless": ("x = 0.3", "while True: pass")}
    monkeypatch.setattr(audit, "LONGEST", 1)
    assert audit.planted(source, endless) == ({"endless": False}, [])
    with pytest.raises(ValueError, match=r"lost: its place in 02_trial\.md is not one"):
        audit.planted(source, {"lost": ("x = 0.9", "")})


@pytest.mark.skipif(not hasattr(os, "fork"), reason="Windows cannot copy a process")
def test_what_a_cell_does_before_its_faults_is_done_once(source: Path, tmp_path: Path):
    """A copy begins where it differs; a fault that is not reached is not seen."""
    trace = tmp_path / "trace"
    before = f'with open({str(trace)!r}, "a") as file:\n    print("begun", file=file)\n'
    text = CHAPTER.partition("## Second")[0].replace("x = 0.3", f"{before}x = 0.3")
    source.write_text(text, encoding="utf-8")
    faults = {"seen": ("x = 0.3", "x = 0.4"), "also seen": ("x = 0.3", "x = 0.2 - 1")}
    assert audit.planted(source, faults) == ({"seen": True, "also seen": True}, [])
    assert trace.read_text(encoding="utf-8").split() == ["begun"]
    faults["earlier"] = (f'open({str(trace)!r}, "a")', f'open({str(trace)!r}, "w")')
    assert audit.planted(source, faults)[0] == {"seen": True, "also seen": True, "earlier": False}
    source.write_text(text.replace("x = 0.3", "1 / 0\nx = 0.3"), encoding="utf-8")
    del faults["earlier"]
    assert audit.planted(source, faults)[0] == {"seen": False, "also seen": False}


def test_the_first_statement_in_which_two_versions_of_a_cell_differ():
    code = "a = 1\n\n\ndef f(x):\n    return x\n\n\nb = f(a)  # here"
    assert audit.first_difference(code, code.replace("b = f(a)", "b = f(2)")) == 2
    assert audit.first_difference(code, code.replace("return x", "return -x")) == 1
    assert audit.first_difference(code, code.replace("# here", "# there")) == 0  # all of it
    assert audit.first_difference(code, code + "\nc = b") == 3
