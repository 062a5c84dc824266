"""Chapter 00 tells the truth about the others: their minutes, and where a question is answered."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tools import ROOT, load

build = load("notebooks/build.py")
SOURCES = {path.stem: path.read_text(encoding="utf-8") for path in build.sources()}
START = SOURCES["00_start_here"]
LINKS = re.findall(r"^- \[([^\n]+)\]\((\w*)(?:\.ipynb)?#([\w-]+)\)$", START, flags=re.M)


def headings(text: str) -> list[str]:
    """The anchors of a page's sections, as the static book makes them."""
    without_code = re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)
    titles = re.findall(r"^#{2,3} (.+?)\s*$", without_code, flags=re.M)
    return [build.anchor(title) for title in titles]


def anchors(text: str) -> set[str]:
    """Those of them that only one section of the page has."""
    every = headings(text)
    return {anchor for anchor in every if every.count(anchor) == 1}


def test_the_minutes_are_those_of_the_chapters() -> None:
    said = dict(re.findall(r'"(\d\d)": (\d+)', START))
    chapters = {name[:2]: text for name, text in SOURCES.items() if build.has_exercises(path(name))}
    assert set(said) == {number for number in chapters if number.isdecimal()}
    for number, minutes in said.items():
        assert f"**Time:** {minutes} minutes." in chapters[number], number


def path(name: str) -> Path:
    return ROOT / "notebooks/source" / f"{name}.md"


def test_every_question_is_a_link() -> None:
    section = START.split("## Where is my question answered?")[1].split("\n## ")[0]
    assert section.count("\n- ") == len(LINKS) >= 20


@pytest.mark.parametrize(("question", "page", "anchor"), LINKS, ids=[link[2] for link in LINKS])
def test_a_question_leads_to_a_section(question: str, page: str, anchor: str) -> None:
    assert question.endswith(("?", "."))
    assert anchor in anchors(SOURCES[page or "00_start_here"])


def test_a_section_that_is_renamed_is_missed() -> None:
    assert "why-two-batches" in anchors(SOURCES["02_the_adversarial_game"])
    renamed = SOURCES["02_the_adversarial_game"].replace("### Why two batches?", "### Batches")
    assert "why-two-batches" not in anchors(renamed)
    assert "does-k-1-pay-at-equal-compute" in anchors("## Does $k > 1$ pay at equal compute?\n")
    assert anchors("## Twice\n## Twice\n") == set()
