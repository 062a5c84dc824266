"""A notebook with a live lab, and what a reader can see of it and do to it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jupyter_browser import Lab
from nbformat.v4 import new_code_cell
from playwright.sync_api import Locator, expect
from test_browser import write

expect.set_options(timeout=30_000)  # a busy machine is no failure

START = """
import torch
torch.set_num_threads(1)
from gan_course import Lab
from gan_course.lab.controls import LAYERS
"""
ASK = """
import json
state = {"steps": lab.trainer.steps, "run": lab.run_shown, "dots": len(lab.trainer.data.centers)}
print(json.dumps({**state, **lab.values}))
"""


def notebook(folder: Path, arguments: str, then: str = "") -> Path:
    """A notebook with one lab, and a cell that asks it for its state."""
    cells = [new_code_cell(f"{START}lab = Lab({arguments})\n{then}\nlab"), new_code_cell(ASK)]
    return write(folder / "live.ipynb", cells)


def ask(lab: Lab) -> dict[str, Any]:
    """What the kernel's lab says of itself."""
    answer: dict[str, Any] = lab.said(1)
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


def button(lab: Lab, name: str) -> Locator:
    return lab.page.locator(".gan-bar").get_by_role("button", name=name, exact=True)


def theme(lab: Lab, name: str) -> None:
    """Switch JupyterLab to the theme called ``name``, and wait until the lab follows."""
    lab.switch_theme(name)
    dark = "dark => document.querySelector('.gan-lab').classList.contains('gan-dark') === dark"
    lab.page.wait_for_function(dark, arg=name == "Dark")
