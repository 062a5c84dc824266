"""The guide for teachers says what the chapters have: sections, controls, exercises, mistakes."""

from __future__ import annotations

import re

import pytest
from tools import ROOT, load

teaching = load("book/teaching.py")
GUIDE = (ROOT / "TEACHING.md").read_text("utf-8")
SOURCES = {
    path.stem[:2]: path.read_text("utf-8")
    for path in sorted((ROOT / "notebooks" / "source").glob("[0-9A-Z]*.md"))
}
EXERCISES = [(key, kind) for text in SOURCES.values() for key, kind, _ in teaching.exercises(text)]


def section(heading: str) -> str:
    return GUIDE.partition(f"## {heading}\n")[2].partition("\n## ")[0]


def headings(chapter: str) -> set[str]:
    found = re.findall(r"^#{2,3} (.+)$", SOURCES[chapter], flags=re.M)
    return {head.replace("$", "") for head in found}


def test_the_lecture_takes_as_long_as_it_says() -> None:
    lecture = section("A syllabus").partition("**A week**")[0]
    minutes = [int(row) for row in re.findall(r"^\| (\d+) \|", lecture, flags=re.M)]
    assert sum(minutes) == int(re.findall(r"\*\*One lecture\*\*, (\d+) minutes", lecture)[0])
    for row in re.findall(r"^\| \d+ \| (Chapter .+) \|$", lecture, flags=re.M):
        chapter = row[len("Chapter ") :][:2]
        named = re.findall(r"\*([^*]+)\*", row)
        assert named and {*named} <= headings(chapter), row


ROWS = re.findall(r"^\| (\d\d) \| (.+) \| (.+) \| (.+) \| (.+) \|$", GUIDE, flags=re.M)


@pytest.mark.parametrize("row", ROWS, ids=[f"{row[0]} {row[1]}" for row in ROWS])
def test_what_is_shown_live_is_there(row: tuple[str, ...]) -> None:
    """Its controls and settings stand in the chapter's code, its section among the headings."""
    chapter, _, do, _, where = row
    assert {*re.findall(r"\*([^*]+)\*", where)} <= headings(chapter)
    for word in re.findall(r"`([^`]+)`", do):
        assert word in SOURCES[chapter], word


def test_each_chapter_has_something_to_show() -> None:
    assert {row[0] for row in ROWS} >= {f"{number:02}" for number in range(1, 12)}


@pytest.mark.parametrize(("key", "kind"), EXERCISES, ids=[key for key, _ in EXERCISES])
def test_each_exercise_has_its_mistakes(key: str, kind: str) -> None:
    assert teaching.usual(kind) in teaching.MINUTES
    hints = teaching.hints(key)
    assert hints and all(len(hint.split()) >= 4 for hint in hints)
    assert len(set(hints)) == len(hints)


def test_an_exercise_has_the_mistakes_of_no_other() -> None:
    assert len(teaching.hints("05.2")) == 3
    assert "this cost does not fall as a grows: look at the sign, log r is a" in teaching.hints(
        "05.2"
    )
    assert not {*teaching.hints("05.1")} & {*teaching.hints("05.3")}
    assert "the half of the real samples is missing" in teaching.hints("02.2")  # of a table
    assert any("labels of its loss are swapped" in hint for hint in teaching.hints("02.5"))
    assert not any(
        "c(a) = −a" in hint for hint in teaching.hints("05.2")
    )  # its docstring: the answer


def test_the_page_leads_to_every_exercise() -> None:
    page = teaching.page()
    for text in SOURCES.values():
        for key, _, anchor in teaching.exercises(text):
            assert len(re.findall(rf"\[{key}\]\(notebooks/\w+\.ipynb#{anchor}\)", page)) == 2
