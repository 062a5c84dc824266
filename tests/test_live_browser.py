"""The live lab in JupyterLab in a real browser, moved by keyboard and pointer."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from jupyter_browser import FLAGS, NO_CHROMIUM, Lab, chromium, opened
from nbformat.v4 import new_code_cell
from playwright.sync_api import expect, sync_playwright
from test_browser import write

import gan_course.lab

pytestmark = pytest.mark.browser
START = "import torch\ntorch.set_num_threads(1)\nfrom gan_course.lab import Lab\n"
ASK = """
import json
state = {"steps": lab.trainer.steps, "run": lab.run_shown, "dots": len(lab.trainer.data.centers)}
print(json.dumps({**state, **lab.values}))
"""

# Run the second cell, and return what it printed.
_ASK = """async () => {
    const notebook = window.jupyterapp.shell.currentWidget.content;
    notebook.activeCellIndex = 1;
    await window.jupyterapp.commands.execute('notebook:run-cell');
    const [output] = notebook.widgets[1].model.outputs.toJSON();
    return JSON.parse([].concat(output.text).join(''));
}"""


@pytest.fixture(autouse=True)
def _chromium_is_there() -> None:
    if chromium() is None:
        assert not os.environ.get("CI"), NO_CHROMIUM
        pytest.skip(NO_CHROMIUM)


def notebook(folder: Path, arguments: str) -> Path:
    cells = [new_code_cell(f"{START}lab = Lab({arguments})\nlab"), new_code_cell(ASK)]
    return write(folder / "live.ipynb", cells)


def ask(lab: Lab) -> dict[str, Any]:
    """What the kernel's lab says of itself."""
    answer: dict[str, Any] = lab.page.evaluate(_ASK)
    return answer


def wait_until(lab: Lab, **expected: Any) -> None:
    """Wait until the kernel says so; a message of the page may be behind the cell's."""
    for _ in range(100):
        said = ask(lab)
        if all(said[name] == value for name, value in expected.items()):
            return
        lab.page.wait_for_timeout(100)
    raise AssertionError(f"expected {expected}, the kernel has {said}")


def picture(lab: Lab) -> str:
    return str(lab.page.locator("canvas.gan-view").evaluate("canvas => canvas.toDataURL()"))


def wait_for_step(lab: Lab, step: int) -> None:
    lab.page.wait_for_function(
        "step => +document.querySelector('.gan-facts')?.textContent.split(' ')[1] >= step",
        arg=step,
        timeout=60_000,
    )


def start(lab: Lab) -> None:
    lab.run_all()
    wait_for_step(lab, 0)


def button(lab: Lab, name: str) -> Any:
    return lab.page.locator(".gan-bar").get_by_role("button", name=name, exact=True)


def test_a_reader_trains_by_keyboard(tmp_path: Path) -> None:
    with opened(notebook(tmp_path, "width=16, batch=64"), tmp_path) as lab:
        start(lab)
        k = lab.page.get_by_label("k (D steps)")
        k.press("ArrowRight")
        k.press("ArrowRight")
        wait_until(lab, k=3)
        before = picture(lab)
        button(lab, "D step").press("Enter")
        expect(lab.page.locator(".gan-note")).to_contain_text("One D step")
        assert picture(lab) != before
        button(lab, "Play").press("Enter")
        wait_for_step(lab, 20)
        lab.page.get_by_label("loss").focus()
        lab.page.keyboard.type("wass")
        expect(lab.page.locator(".gan-note")).to_contain_text("unbounded")
        wait_until(lab, loss="wasserstein")
        button(lab, "Pause").press("Enter")
        expect(button(lab, "Play")).to_be_visible()
        still = picture(lab)
        steps = ask(lab)["steps"]
        lab.page.wait_for_timeout(1000)
        assert ask(lab)["steps"] == steps
        assert picture(lab) == still != before
        assert lab.page.get_by_label("k (D steps)").get_attribute("aria-valuetext") == "3"
        assert lab.errors() == []
        assert lab.complaints() == []


def test_a_reopened_page_shows_the_present_state_in_the_theme(tmp_path: Path) -> None:
    with opened(notebook(tmp_path, "width=16, batch=64"), tmp_path) as lab:
        start(lab)
        button(lab, "Play").press("Enter")
        wait_for_step(lab, 30)
        button(lab, "Pause").press("Enter")
        expect(button(lab, "Play")).to_be_visible()
        steps = ask(lab)["steps"]
        light = picture(lab)
        execute = "([name, options]) => window.jupyterapp.commands.execute(name, options)"
        dark = ["apputils:change-theme", {"theme": "JupyterLab Dark"}]
        lab.page.evaluate(execute, dark)
        lab.page.wait_for_function(
            "light => document.querySelector('canvas.gan-view').toDataURL() !== light", arg=light
        )
        lab.page.evaluate(execute, ["docmanager:save", {}])
        lab.page.reload()
        wait_for_step(lab, steps)
        button(lab, "Play").press("Enter")
        wait_for_step(lab, steps + 20)
        assert lab.complaints() == []


def test_a_run_is_lifted_and_a_distribution_drawn(tmp_path: Path) -> None:
    with opened(notebook(tmp_path, "runs=16, width=8, batch=32"), tmp_path) as lab:
        start(lab)
        before = picture(lab)
        thumbnail = lab.page.locator(".gan-wall button").nth(5)
        thumbnail.press("Enter")
        expect(thumbnail).to_have_attribute("aria-pressed", "true")
        assert picture(lab) != before
        wait_until(lab, run=5)
        button(lab, "Draw data").press("Enter")
        box = lab.page.locator("canvas.gan-view").bounding_box()
        assert box is not None
        lab.page.mouse.move(box["x"] + 50, box["y"] + 60)
        lab.page.mouse.down()
        lab.page.mouse.move(box["x"] + 200, box["y"] + 160, steps=10)
        lab.page.mouse.up()
        data = lab.page.locator("[data-control=data]")
        expect(data.locator("option:checked")).to_have_text("drawn")
        assert ask(lab)["dots"] > 5
        button(lab, "Draw data").press("Enter")
        for key in ("Space", "ArrowRight", "ArrowRight", "Space", "Enter"):
            lab.page.locator("canvas.gan-view").press(key)
        wait_until(lab, dots=2, data="drawn")
        assert lab.complaints() == []


def test_a_recording_plays_from_disk(tmp_path: Path) -> None:
    made = gan_course.lab.Lab(width=8, batch=32, layers=["real", "generated", "belief"])
    path = made.record(tmp_path / "run.html", steps=30, every=10)
    made.stop()
    with sync_playwright() as playwright:
        chrome = playwright.chromium.launch(executable_path=chromium(), args=FLAGS)
        page = chrome.new_context(offline=True).new_page()
        console: list[str] = []
        page.on("pageerror", lambda error: console.append(str(error)))
        page.on("console", lambda said: console.append(said.text))
        page.on("request", lambda request: console.append(request.url))
        page.goto(path.as_uri())
        facts = page.locator(".gan-facts")
        expect(facts).to_contain_text("step 0 ")
        expect(page.get_by_label("k (D steps)")).to_be_disabled()
        expect(page.get_by_role("button", name="D step")).to_have_count(0)
        canvas = "document.querySelector('canvas.gan-view').toDataURL()"
        first = page.evaluate(canvas)
        page.get_by_label("time").press("End")
        expect(facts).to_contain_text("step 30 ")
        last = page.evaluate(canvas)
        assert last != first
        page.get_by_role("checkbox", name="generated").click()
        assert page.evaluate(canvas) != last
        page.get_by_role("button", name="Play").press("Enter")
        expect(facts).to_contain_text("step 30 ")
        chrome.close()
    assert console == [path.as_uri()]
