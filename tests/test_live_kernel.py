"""The live lab's end: interrupt, restart, divergence, a closed and a reopened page."""

from __future__ import annotations

from pathlib import Path

import pytest
from jupyter_browser import Course, Lab
from live_page import (
    START,
    ask,
    button,
    notebook,
    picture,
    start,
    theme,
    wait_for_step,
    wait_until,
)
from nbformat.v4 import new_code_cell
from playwright.sync_api import expect
from test_browser import write

pytestmark = pytest.mark.browser
TWO = [
    f"{START}one = Lab(width=8, batch=32)\none",
    "two = Lab(width=8, batch=32, seed=5)\ntwo",
    "print([[lab.trainer.steps, lab.values['k'], lab.values['seed']] for lab in (one, two)])",
]
BREAK = "with torch.no_grad():\n    next(lab.trainer.generator.parameters()).fill_(torch.inf)"


def toolbar(lab: Lab, item: str) -> None:
    lab.page.locator(f".jp-Toolbar-item[data-jp-item-name={item}]").first.click()


def test_the_toolbar_s_interrupt_pauses_each_time(course: Course, tmp_path: Path) -> None:
    with course.opened(notebook(tmp_path, "width=16, batch=64")) as lab:
        start(lab)
        for _ in range(2):
            steps = ask(lab)["steps"]
            button(lab, "Play").press("Enter")
            wait_for_step(lab, steps + 20)
            toolbar(lab, "interrupt")
            expect(button(lab, "Play")).to_be_visible()
            steps = ask(lab)["steps"]
            lab.page.wait_for_timeout(500)
            assert ask(lab)["steps"] == steps
        k = lab.page.get_by_label("k (D steps)")
        k.press("ArrowRight")
        wait_until(lab, k=2)
        assert lab.errors() == []
        assert lab.complaints() == []


def test_after_a_restart_the_old_lab_says_so_and_a_new_one_works(
    course: Course, tmp_path: Path
) -> None:
    with course.opened(notebook(tmp_path, "width=16, batch=64")) as lab:
        start(lab)
        button(lab, "Play").press("Enter")
        wait_for_step(lab, 20)
        toolbar(lab, "restart")
        lab.page.locator(".jp-Dialog").locator(".jp-mod-accept").click()
        note = lab.page.locator(".gan-note")
        expect(note).to_contain_text("has ended. Run its cell again", timeout=30_000)
        start(lab)
        expect(note).to_be_empty()
        button(lab, "Play").press("Enter")
        wait_for_step(lab, 20)
        button(lab, "Pause").press("Enter")
        expect(button(lab, "Play")).to_be_visible()
        assert ask(lab)["steps"] >= 20
        assert lab.errors() == []
        assert lab.complaints() == []


def test_the_remedy_after_a_divergence_is_taken_by_keyboard(course: Course, tmp_path: Path) -> None:
    with course.opened(notebook(tmp_path, "width=16, batch=64", BREAK)) as lab:
        start(lab)
        button(lab, "Play").press("Enter")
        expect(lab.page.locator(".gan-note")).to_contain_text("not finite")
        expect(button(lab, "Play")).to_be_visible()
        remedy = lab.page.get_by_role("button", name="Start again with a tenth of both rates")
        remedy.press("Enter")
        wait_for_step(lab, 20)
        expect(remedy).to_be_hidden()
        expect(button(lab, "Pause")).to_be_focused()
        button(lab, "Pause").press("Enter")
        wait_until(lab, discriminator_rate=1e-4, generator_rate=1e-4)
        assert lab.errors() == []
        assert lab.complaints() == []


def test_a_reopened_page_shows_the_present_state_in_the_theme(
    course: Course, tmp_path: Path
) -> None:
    with course.opened(notebook(tmp_path, "width=16, batch=64")) as lab:
        start(lab)
        button(lab, "Play").press("Enter")
        wait_for_step(lab, 30)
        button(lab, "Pause").press("Enter")
        expect(button(lab, "Play")).to_be_visible()
        steps = ask(lab)["steps"]
        light = picture(lab)
        theme(lab, "Dark")
        lab.page.wait_for_function(
            "light => document.querySelector('canvas.gan-view').toDataURL() !== light", arg=light
        )
        lab.page.evaluate("() => window.jupyterapp.commands.execute('docmanager:save')")
        lab.page.reload()
        wait_for_step(lab, steps)
        button(lab, "Play").press("Enter")
        wait_for_step(lab, steps + 20)
        assert lab.complaints() == []


STEP = """([at, step]) => {
    const facts = document.querySelectorAll('.gan-facts')[at];
    return +facts?.textContent.split(' ')[1] >= step;
}"""


def test_two_labs_in_two_cells_live_side_by_side(course: Course, tmp_path: Path) -> None:
    cells = [new_code_cell(source) for source in TWO]
    with course.opened(write(tmp_path / "two.ipynb", cells), height=2600) as lab:
        lab.run_all()
        labs = lab.page.locator(".gan-lab")
        expect(labs).to_have_count(2)

        def press(at: int, name: str) -> None:
            labs.nth(at).get_by_role("button", name=name, exact=True).press("Enter")

        def train(at: int, step: int) -> None:
            lab.page.wait_for_function(STEP, arg=[at, step], timeout=60_000)

        press(0, "Play")
        press(1, "Play")
        for at in (0, 1):
            train(at, 20)
        labs.nth(1).get_by_label("k (D steps)").press("ArrowRight")
        for _ in range(100):
            first, second = lab.said(2)
            if second[1] == 2:
                break
        assert (first[1:], second[1:]) == ([1, 0], [2, 5])
        lab.run_cell(0)  # ends its own lab alone
        expect(labs).to_have_count(2)
        expect(labs.first.locator(".gan-facts")).to_contain_text("step 0")
        train(1, second[0] + 20)
        assert lab.said(2)[0] == [0, 1, 0]
        press(0, "Play")
        train(0, 20)
        for at in (0, 1):
            press(at, "Pause")
            assert labs.nth(at).locator(".gan-note").inner_text() == ""
        assert lab.errors() == []
        assert lab.complaints() == []
