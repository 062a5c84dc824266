"""Each chapter, opened and run in JupyterLab in a real browser, its widgets moved."""

from __future__ import annotations

import os
from pathlib import Path

import nbformat
import pytest
from jupyter_browser import NO_CHROMIUM, Lab, chromium, opened
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
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
PANEL = """
import io
import matplotlib.pyplot as plt
from ipywidgets import Button, Image, IntSlider, VBox

k, picture, button = IntSlider(1, 1, 10, description="k"), Image(), Button(description="D step")

def draw(_=None, steps=[]):
    steps.append(1)
    figure, axis = plt.subplots(figsize=(2, 1))
    axis.set_title(f"{k.value}, {len(steps)}")
    buffer = io.BytesIO()
    figure.savefig(buffer)
    plt.close(figure)
    picture.value = buffer.getvalue()

k.observe(draw, "value")
button.on_click(draw)
draw()
VBox([k, button, picture])
"""


@pytest.fixture(autouse=True)
def _chromium_is_there() -> None:
    if chromium() is None:
        assert not os.environ.get("CI"), NO_CHROMIUM
        pytest.skip(NO_CHROMIUM)


def write(path: Path, cells: list[nbformat.NotebookNode]) -> Path:
    nbformat.write(new_notebook(cells=cells, metadata=KERNEL), path)
    return path


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_a_chapter_runs_in_the_browser(path: Path, tmp_path: Path) -> None:
    with opened(path, tmp_path) as lab:
        lab.run_all()
        assert lab.errors() == []
        assert lab.unrendered_mathematics() == []
        assert lab.page.locator("mjx-container").count() > 0
        if path.stem.startswith("02"):
            move_the_slider_and_step(lab, "D step")
        assert lab.complaints() == []


def move_the_slider_and_step(lab: Lab, button: str) -> None:
    handle = lab.handle("k")
    value = float(handle.get_attribute("aria-valuenow") or "nan")
    handle.press("ArrowRight")
    assert float(handle.get_attribute("aria-valuenow") or "nan") == value + 1
    before = lab.picture()
    lab.press(button)
    lab.wait_for_another_picture(than=before)
    assert lab.errors() == []


# --- The harness itself -------------------------------------------------------------------


def test_the_harness_moves_widgets_and_sees_their_picture(tmp_path: Path) -> None:
    with opened(write(tmp_path / "panel.ipynb", [new_code_cell(PANEL)]), tmp_path) as lab:
        lab.run_all()
        move_the_slider_and_step(lab, "D step")
        assert lab.complaints() == []


def test_a_source_opens_as_a_notebook(tmp_path: Path) -> None:
    source = tmp_path / "trial.md"
    source.write_text(SOURCE, encoding="utf-8")
    with opened(source, tmp_path) as lab:
        lab.run_all()
        assert lab.page.locator(".jp-OutputArea-output").all_inner_texts() == ["42"]


def test_the_harness_sees_what_is_wrong(tmp_path: Path) -> None:
    with opened(write(tmp_path / "faulty.ipynb", FAULTY), tmp_path) as lab:
        lab.run_all()
        assert lab.errors() == ["said on the side\n"]
        assert lab.unrendered_mathematics() == []
        assert lab.page.locator("mjx-container").count() == 1
        lab.page.evaluate("() => console.error('broken')")
        assert lab.complaints() == ["broken"]
