"""Appendix A1: every row of the errata has a quotation or a program, a number, and a link."""

from __future__ import annotations

import re

import pytest
from test_chapter_00 import anchors
from tools import ROOT

SOURCE = (ROOT / "notebooks/source/A1_errata.md").read_text(encoding="utf-8")
ROWS = [
    line
    for line in re.findall(r"^\|.*\|$", SOURCE, flags=re.M)
    if not re.match(r"\| (printed|program) \||\|---", line)
]


@pytest.mark.parametrize("row", ROWS, ids=[row[2:40] for row in ROWS])
def test_a_row_leads_to_the_section_that_explains_it(row: str) -> None:
    if row.endswith("| here |"):
        return
    ((number, page, anchor),) = re.findall(r"\[(\d\d)\]\((\w+)\.ipynb#([\w-]+)\) \|$", row)
    assert page.startswith(number)
    text = (ROOT / "notebooks/source" / f"{page}.md").read_text(encoding="utf-8")
    assert anchor in anchors(text)


def test_nearly_every_row_runs() -> None:
    without = [row for row in ROWS if "{=" not in row]
    assert len(ROWS) >= 29
    assert sum(row.endswith("| here |") for row in ROWS) <= 1
    assert len(without) <= 4  # what is refused, and what another row shows
