"""Each chapter, opened and run in JupyterLab in a real browser, its widgets moved."""

from __future__ import annotations

import copy
import shutil
from pathlib import Path
from typing import Any

import nbformat
import pytest
from jupyter_browser import Course, Lab
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from nbval.plugin import IPyNbFile, coalesce_streams, get_sanitize_patterns
from playwright.sync_api import expect
from tools import ROOT

pytestmark = pytest.mark.browser
CHAPTERS = sorted(ROOT.glob("notebooks/*.ipynb"))
KERNEL = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}

FAULTY = [
    new_markdown_cell(r"The formula $\min_G \max_D V(D, G)$."),
    new_code_cell("import sys\nprint('fine')"),
    new_code_cell("print('said on the side', file=sys.stderr)"),
]
SOURCE = """---
kernelspec:
  display_name: Python 3
  language: python
  name: python3
---

# A source

```{code-cell} python
6 * 7
```
"""
WHOLE = """
from ipywidgets.widgets.widget import _instances
from gan_course.explore import explore

def draw(figure, k, x):
    figure.suptitle(f"{k!r} {x:.2f}")
    drawn.append([k, x])

drawn = []
explore(draw, size=(2, 1), k=(0, 10, 3), x=(0.0, 1.0, 0.5))
"""
PANEL = """
from gan_course.explore import explore

def draw(figure, k):
    figure.suptitle(f"{k:.2f}")

explore(draw, size=(2, 1), k=(0.0, 10.0, 1.0))
"""

TYPED = """
from gan_course.explore import Suggested, explore

def draw(figure, words):
    figure.suptitle(words)
    drawn.append(words)

drawn = []
explore(draw, size=(2, 1), words=Suggested(["a cross", "a circle"]))
"""


def write(path: Path, cells: list[nbformat.NotebookNode]) -> Path:
    nbformat.write(new_notebook(cells=cells, metadata=KERNEL), path)
    return path


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_a_chapter_runs_in_the_browser(
    path: Path, course: Course, request: pytest.FixtureRequest
) -> None:
    """Its only execution: conftest.py leaves out nbval's, whose comparison is made here."""
    with course.opened(path) as lab:
        lab.run_all()
        assert lab.errors() == []
        assert differences(request, path, lab.outputs()) == []
        assert lab.unrendered_mathematics() == []
        assert lab.page.locator("mjx-container").count() > 0
        if path.stem.startswith("02"):
            move_the_lab(lab)
        elif "explore(" in path.read_text(encoding="utf-8"):
            if lab.slider().count():
                move_the_slider(lab)
            else:
                choose_from_the_menu(lab)
        assert lab.complaints() == []


def differences(
    request: pytest.FixtureRequest, path: Path, outputs: list[list[dict[str, Any]]]
) -> list[str]:
    """The cells whose outputs are not those that a notebook's file holds, by nbval's rules."""
    notebook = IPyNbFile.from_parent(request.session, path=path)
    rules = (ROOT / "tests/sanitize.cfg").read_text(encoding="utf-8")
    notebook.sanitize_patterns.update(get_sanitize_patterns(rules))
    found = []
    for cell, put_out in zip(notebook.collect(), outputs, strict=True):
        now = coalesce_streams([nbformat.from_dict(output) for output in put_out])
        before = coalesce_streams(cell.cell.outputs)
        if cell.options["check"] and not cell.compare_outputs(now, before):
            found.append("\n".join([cell.cell.source, *cell.comparison_traceback]))
    return found


def move_the_slider(lab: Lab) -> None:
    before = lab.picture()
    # The text: the slider rounds `aria-valuenow` to one decimal, more than some of its steps.
    value = float(lab.slider().get_attribute("aria-valuetext") or "nan")
    # One that stands at its end goes the other way.
    at_end = value >= float(lab.slider().get_attribute("aria-valuemax") or "nan")
    lab.slider().press("ArrowLeft" if at_end else "ArrowRight")
    moved = float(lab.slider().get_attribute("aria-valuetext") or "nan")
    assert moved < value if at_end else moved > value
    lab.wait_for_another_picture(than=before)
    assert lab.errors() == []


def choose_from_the_menu(lab: Lab) -> None:
    before, menu = lab.picture(), lab.page.locator(".jp-OutputArea .widget-dropdown select").first
    chosen, places = menu.evaluate("menu => [menu.selectedIndex, menu.options.length]")
    menu.select_option(index=(chosen + 1) % places)
    lab.wait_for_another_picture(than=before)
    assert lab.errors() == []


def move_the_lab(lab: Lab) -> None:
    """Move k and the loss while it trains: the view, the curves and the words must follow."""
    bar = lab.page.locator(".gan-bar")
    k = lab.page.get_by_role("slider", name="k (D steps)")
    note = lab.page.locator(".gan-note")
    first = canvases(lab)
    for _ in range(4):
        k.press("ArrowRight")
    bar.get_by_role("button", name="Play", exact=True).press("Enter")
    train_until(lab, 270)
    expect(k).to_have_attribute("aria-valuetext", "5")  # as the kernel says, now
    second = canvases(lab)
    lab.page.get_by_role("combobox", name="loss").focus()
    lab.page.keyboard.type("wass")
    expect(note).to_contain_text("unbounded")
    train_until(lab, 290)
    bar.get_by_role("button", name="Pause", exact=True).press("Enter")
    expect(bar.get_by_role("button", name="Play", exact=True)).to_be_visible()
    third = canvases(lab)
    for before, after in ((first, second), (second, third)):
        assert all(old != new for old, new in zip(before, after, strict=True))
    assert lab.errors() == []


def canvases(lab: Lab) -> tuple[str, ...]:
    """The main view and the curve of the gradient norms, as they are drawn now."""
    shown = ("canvas.gan-view", ".gan-curves canvas[aria-label='gradient norms']")
    draw = "canvas => canvas.toDataURL()"
    return tuple(str(lab.page.locator(place).evaluate(draw)) for place in shown)


def train_until(lab: Lab, step: int) -> None:
    lab.page.wait_for_function(
        "step => +document.querySelector('.gan-facts').textContent.split(' ')[1] >= step",
        arg=step,
        timeout=60_000,
    )


# --- The comparison, which is nbval's -----------------------------------------------------


def printing(text: str, tags: tuple[str, ...] = ()) -> nbformat.NotebookNode:
    cell = new_code_cell("...", metadata={"tags": [*tags]}, execution_count=1)
    cell.outputs = [new_output("stream", name="stdout", text=text)]
    return cell


@pytest.mark.parametrize(
    ("said", "different"),
    [
        ("3 steps of 0xabcdef01", 0),
        ("4 steps of 0x12345678", 1),
        ("", 1),
        ("3 steps of 0x12345678\nand more", 1),
    ],
)
def test_an_output_that_differs_is_told(
    said: str, different: int, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    cells = [printing("3 steps of 0x12345678"), printing("0.1", ("nbval-ignore-output",))]
    path = write(tmp_path / "before.ipynb", cells)
    now = [[{"output_type": "stream", "name": "stdout", "text": said}] if said else [], []]
    found = differences(request, path, now)
    assert len(found) == different
    with pytest.raises(ValueError, match="zip"):  # a cell that has put out nothing at all
        differences(request, path, now[:1])


MIMES = """
from IPython.display import HTML, Latex, display
print("first")
display(HTML("<b>one</b>"), Latex("$one$"))
print("last")
"""


def test_what_the_browser_has_run_is_compared(
    course: Course, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """Streams are brought together, as nbval does; a word more in any of them is told."""
    shown = [("text/html", "<b>one</b>", "HTML"), ("text/latex", "$one$", "Latex")]
    cell = new_code_cell(MIMES, execution_count=1)
    cell.outputs = [
        new_output("stream", name="stdout", text="first\nlast\n"),
        *[
            new_output(
                "display_data", {mime: text, "text/plain": f"<IPython.core.display.{kind} object>"}
            )
            for mime, text, kind in shown
        ],
    ]
    with course.opened(write(tmp_path / "mimes.ipynb", [cell])) as lab:
        lab.run_all()
        outputs = lab.outputs()
    assert differences(request, write(tmp_path / "same.ipynb", [cell]), outputs) == []
    for place, key in ((1, "text/html"), (2, "text/latex")):
        other = copy.deepcopy(cell)
        other.outputs[place].data[key] += " more"
        path = write(tmp_path / "other.ipynb", [other])
        assert len(differences(request, path, outputs)) == 1


# --- The harness itself -------------------------------------------------------------------


def test_the_harness_moves_widgets_and_sees_their_picture(course: Course, tmp_path: Path) -> None:
    with course.opened(write(tmp_path / "panel.ipynb", [new_code_cell(PANEL)])) as lab:
        lab.run_all()
        move_the_slider(lab)
        assert lab.complaints() == []


def test_explore_gives_whole_numbers_and_runs_again_without_a_trace(
    course: Course, tmp_path: Path
) -> None:
    asked = "import json; print(json.dumps([drawn[-1], len(drawn), len(_instances)]))"
    cells = [new_code_cell(WHOLE), new_code_cell(asked)]
    with course.opened(write(tmp_path / "whole.ipynb", cells)) as lab:
        lab.run_all()
        sliders = lab.page.locator(".jp-OutputArea .widget-slider .noUi-handle")
        widgets = lab.said(1)[2]
        for _ in range(3):
            expect(sliders).to_have_count(2)
            before = lab.picture()
            for _ in range(4):
                sliders.first.press("ArrowRight")
            lab.wait_for_another_picture(than=before)
            expect(sliders.first).to_have_attribute("aria-valuetext", "7")
            for _ in range(100):
                values, _, left = lab.said(1)
                if values[0] == 7:
                    break
            assert values == [7, 0.5] and type(values[0]) is int
            assert left == widgets
            lab.run_cell(0)
            assert lab.said(1) == [[3, 0.5], 1, widgets]
        assert lab.errors() == []
        assert lab.complaints() == []


def test_words_are_typed_where_some_are_suggested(course: Course, tmp_path: Path) -> None:
    """Drawn when the reader has finished, not letter by letter."""
    cells = [new_code_cell(TYPED), new_code_cell("import json; print(json.dumps(drawn))")]
    with course.opened(write(tmp_path / "typed.ipynb", cells)) as lab:
        lab.run_all()
        field = lab.page.locator(".jp-OutputArea input[type=text]")
        expect(field).to_have_value("a cross")
        suggested = lab.page.locator(".jp-OutputArea datalist option")
        assert [option.get_attribute("value") for option in suggested.all()] == [
            "a cross",
            "a circle",
        ]
        before = lab.picture()
        field.select_text()
        lab.page.keyboard.type("two crosses")
        lab.page.keyboard.press("Enter")
        lab.wait_for_another_picture(than=before)
        assert lab.said(1) == ["a cross", "two crosses"]
        assert lab.errors() == []
        assert lab.complaints() == []


def test_a_source_opens_as_a_notebook(course: Course, tmp_path: Path) -> None:
    source = tmp_path / "trial.md"
    source.write_text(SOURCE, encoding="utf-8")
    with course.opened(source) as lab:
        lab.run_all()
        assert lab.page.locator(".jp-OutputArea-output").all_inner_texts() == ["42"]


def test_a_link_to_a_section_scrolls_there(course: Course, tmp_path: Path) -> None:
    """In a chapter that was not open, to a heading far below what is on the screen."""
    far = [new_markdown_cell("Words.\n\n" * 40, id=f"c{number}") for number in range(30)]
    last = [new_markdown_cell("Words.\n\n" * 40)]
    there = new_markdown_cell("## Far below", id="far-below")
    target = write(tmp_path / "target.ipynb", [*far, there, *last])
    shutil.copy(target, course.folder / "course" / "notebooks")
    text = "[There](target.ipynb#cell-id=far-below)"
    with course.opened(write(tmp_path / "here.ipynb", [new_markdown_cell(text)])) as lab:
        lab.page.get_by_role("link", name="There").click()
        heading = lab.page.get_by_role("heading", name="Far below")
        expect(heading).to_be_in_viewport(timeout=120_000)


def test_the_harness_sees_what_is_wrong(course: Course, tmp_path: Path) -> None:
    with course.opened(write(tmp_path / "faulty.ipynb", FAULTY)) as lab:
        lab.run_all()
        assert lab.errors() == ["said on the side\n"]
        assert lab.unrendered_mathematics() == []
        assert lab.page.locator("mjx-container").count() == 1
        lab.page.evaluate("() => console.error('broken')")
        assert lab.complaints() == ["broken"]
