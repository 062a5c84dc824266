"""The decks: what a chapter's cells give, and one deck in a real browser."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from playwright.sync_api import Browser, Page
from tools import ROOT, load

decks = load("book/slides/decks.py")
CHAPTER = "05_generator_gradients"  # with a formula that is wider than a slide
#: A lecture hall's screen; letters below this size are not read from its last row.
SCREEN, SMALLEST = {"width": 1280, "height": 720}, 20


def deck_of(cells: list[nbformat.NotebookNode], folder: Path) -> list[str]:
    """The slides of a small chapter, each with the heading that it stands under."""
    cells = [new_markdown_cell("# Games\n\n**The question.** Who wins?"), *cells]
    text = decks.deck(new_notebook(cells=cells), "13_games", folder)
    slides = []
    for part in re.split(r"^(?=#{1,3} )", text, flags=re.M)[1:]:
        title, _, rest = part.partition("\n\n")
        slides += [f"{title}\n\n{slide.strip()}" for slide in rest.split(decks.NEXT)]
    return slides


def drawn(source: str, tags: tuple[str, ...] = ()) -> nbformat.NotebookNode:
    output = new_output("display_data", {"image/png": "aGVsbG8="})
    return new_code_cell(source, metadata={"tags": list(tags)}, outputs=[output])


def test_a_rule_chooses_figures_formulas_lists_and_tables(tmp_path: Path) -> None:
    text = (
        "## A law\n\nAt length. By [chance](x.md),\n\n$$\na = b\n$$\n\nso\n\n$$\nb = c\n$$\n\nEnd."
    )
    table = "## A table\n\nSee:\n\n| a |\n|---|\n| 1 |"
    asked = "## Exercises\n\n### Exercise 13.1\n\n$$\nx = ?\n$$"
    slides = deck_of(
        [
            new_markdown_cell(text),
            drawn("plot()"),
            new_markdown_cell("*Up to $x^2$.* And so on.\n\n" + table),
            new_markdown_cell("## Words only\n\nThe opening.\n\nThe rest."),
            new_markdown_cell("## Named\n\n**One.** Is it. Surely.\n\n**Two.** Is not."),
            new_markdown_cell("## Recap\n\n- one\n- two"),
            new_markdown_cell(asked),
            drawn("solve()"),
        ],
        tmp_path,
    )
    assert slides[0] == "# 13 Games\n\n**The question.** Who wins?"
    assert slides[1] == "## A law\n\nBy chance,\n\n$$\na = b\n$$\n\nso\n\n$$\nb = c\n$$"
    picture = "```{image} pictures/13_games_2.png\n:alt: Up to x^2. And so on.\n```"
    assert slides[2] == f"## A law\n\n{picture}\n\n*Up to $x^2$.* And so on."
    assert slides[3] == "## A table\n\n| a |\n|---|\n| 1 |"
    assert slides[4] == "## Words only\n\nThe opening."
    assert slides[5] == "## Named\n\n- **One.** Is it.\n- **Two.** Is not."
    assert slides[6:] == ["## Recap\n\n- one\n- two"]
    assert [path.name for path in tmp_path.iterdir()] == ["13_games_2.png"]


def test_two_tags_overrule_it(tmp_path: Path) -> None:
    slides = deck_of(
        [
            new_markdown_cell("## A law"),
            new_markdown_cell("$$\na = b\n$$", metadata={"tags": ["no-slide"]}),
            drawn("plot()", tags=("no-slide",)),
            new_markdown_cell("Every word.", metadata={"tags": ["slide"]}),
            new_code_cell("a = 1", metadata={"tags": ["slide"]}),
        ],
        tmp_path,
    )
    assert slides[1:] == ["## A law\n\nEvery word.", "## A law\n\n```python\na = 1\n```"]


def test_a_formula_has_the_sentence_that_leads_to_it() -> None:
    assert decks._lead("At length. By chance,") == "By chance,"
    assert decks._lead("At length. By chance it holds. So") == "By chance it holds. So"
    assert decks._lead("So") == "So"


def test_a_long_list_is_divided_evenly() -> None:
    lines = [f"- {'word ' * 30}{number}" for number in range(7)]
    slides = decks._lists(lines)
    assert "\n".join(slides) == "\n".join(lines)
    assert len(slides) == 2 and {len(slide.split("\n")) for slide in slides} == {3, 4}
    assert decks._lists([]) == []


@pytest.mark.browser
@pytest.mark.skipif(find_spec("sphinx_revealjs") is None, reason="no extra `site`")
def test_a_deck_is_shown_without_a_mouse_or_a_network(tmp_path: Path, browser: Browser) -> None:
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-b", "revealjs"]
    run = subprocess.run(
        [*command, "book/slides", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    chapters = {path.stem for path in (ROOT / "notebooks").glob("[0-9A]*.ipynb")}
    assert {path.stem for path in tmp_path.glob("*.html")} == {*chapters, "index"}

    page = browser.new_page(viewport=SCREEN)
    told: list[str] = []
    page.on("console", lambda said: told.append(said.text) if said.type == "error" else None)
    page.on("pageerror", lambda error: told.append(str(error)))
    ours = (tmp_path.as_uri(), "data:", "blob:")
    page.on("request", lambda asked: None if asked.url.startswith(ours) else told.append(asked.url))
    page.goto((tmp_path / f"{CHAPTER}.html").as_uri())
    seen = [looked_at(page)]
    while not page.evaluate("Reveal.isLastSlide()"):
        page.keyboard.press("Space")
        seen.append(looked_at(page))
    assert not told, told
    for slide in seen:
        assert slide["over"] == [], slide
        assert slide["letters"] >= SMALLEST, slide
        for width, height, alt in slide["pictures"]:
            assert height > 250 and width > 250 and len(alt.split()) > 4, slide
    titles = [slide["title"] for slide in seen]
    assert titles[0].startswith("05 ") and titles[-1] == "Recap" and "Exercises" not in titles
    built = nbformat.read(ROOT / "notebooks" / f"{CHAPTER}.ipynb", as_version=4)
    figures = sum(len(decks._pngs(c)) for c in built.cells if c.cell_type == "code")
    assert sum(len(slide["pictures"]) for slide in seen) == figures > 5
    assert sum(slide["formulas"] for slide in seen) > 4

    page.keyboard.press("Home")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    assert looked_at(page)["title"] == list(dict.fromkeys(titles))[2]
    page.close()


def looked_at(page: Page) -> dict[str, Any]:
    """What is on the slide in front, once everything is set."""
    page.wait_for_function("'fits' in (window.Reveal?.getCurrentSlide()?.dataset ?? {})")
    seen: dict[str, Any] = page.evaluate(SLIDE)
    return seen


# What a slide holds, what of it lies outside the slide, and its smallest letters in CSS pixels.
SLIDE = """() => {
    const slide = Reveal.getCurrentSlide(), room = slide.getBoundingClientRect();
    const parts = [...slide.querySelectorAll(":is(h1, h2, h3, p, li, img, table, td, mjx-math)")];
    const shown = parts.filter((e) => e.getClientRects().length);
    const over = shown.filter((e) => {
        const box = e.getBoundingClientRect();
        return box.left < room.left - 2 || box.right > room.right + 2
            || box.bottom > Math.min(room.bottom, innerHeight) + 2;
    });
    return {
        title: slide.querySelector("h1, h2, h3").textContent,
        over: over.map((e) => `${e.tagName}: ${e.textContent.slice(0, 60)}`),
        letters: Math.min(...shown.map((e) => parseFloat(getComputedStyle(e).fontSize))),
        pictures: [...slide.querySelectorAll("img")].map(
            (e) => [e.getBoundingClientRect().width, e.getBoundingClientRect().height, e.alt]),
        formulas: slide.querySelectorAll("div.math mjx-container").length,
    };
}"""
