"""Errors in threads, tasks and callbacks fail the cell; other cells stay as they were."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_notebook, new_output

SETUP = "from gan_course.notebook import setup\nsetup()"
# It names the device, which is another one elsewhere.
SETUP_CELL = new_code_cell(SETUP, execution_count=1, metadata={"tags": ["nbval-ignore-output"]})
THREAD = """
import threading
def work():
    raise ValueError("boom")
thread = threading.Thread(target=work)
thread.start()
thread.join()
"""
TASK = """
import asyncio
async def work():
    raise ValueError("boom")
task = asyncio.create_task(work())
await asyncio.sleep(0.05)
"""
FORGOTTEN_TASK = TASK.replace("task = ", "")
LATER_TASK = TASK.replace("await asyncio.sleep(0.05)", "")
CLICK = """
from ipywidgets import Button
def work(_):
    raise ValueError("boom")
button = Button()
button.on_click(work)
button.click()
"""
OBSERVE = """
from ipywidgets import IntSlider
slider = IntSlider()
slider.observe(lambda change: 1 / 0, "value")
slider.value = 3
"""
OUTPUT = """
from ipywidgets import Output
with Output():
    raise ValueError("boom")
"""


def run(*sources: str) -> list[Any]:
    """Run the cells in one kernel, after the set-up; return them without it."""
    notebook = new_notebook(cells=[new_code_cell(source) for source in (SETUP, *sources)])
    NotebookClient(notebook, kernel_name="python3", timeout=60, allow_errors=True).execute()
    assert errors(notebook.cells[0]) == []
    return list(notebook.cells[1:])


def errors(cell: Any) -> list[str]:
    return [output.ename for output in cell.outputs if output.output_type == "error"]


def texts(cell: Any) -> list[str]:
    return [
        output.text if output.output_type == "stream" else output.data["text/plain"]
        for output in cell.outputs
    ]


@pytest.mark.parametrize("fault", [THREAD, TASK, FORGOTTEN_TASK, CLICK, OUTPUT])
def test_the_cell_that_caused_it_fails(fault: str) -> None:
    faulty, good = run(fault, "1 + 1")
    assert errors(faulty)[-1] == "BackgroundError"
    message = faulty.outputs[-1]
    assert "ValueError in" in message.evalue
    assert "boom" in message.evalue
    traceback = re.sub(r"\x1b\[[0-9;]*m", "", "\n".join(message.traceback))
    assert 'raise ValueError("boom")' in traceback
    assert texts(good) == ["2"]


def test_an_observer_fails_its_cell() -> None:
    (faulty,) = run(OBSERVE)
    assert errors(faulty) == ["ZeroDivisionError"]


def test_an_error_between_cells_fails_the_next_one_and_only_that() -> None:
    started, after, later = run(LATER_TASK, "1 + 1", "2 + 2")
    assert errors(started) == []
    assert errors(after) == ["BackgroundError"]
    assert texts(later) == ["4"]


def test_awaited_and_joined_errors_are_the_cells_own() -> None:
    caught, good = run(
        TASK.replace("await asyncio.sleep(0.05)", "")
        + "try:\n    await task\nexcept ValueError:\n    print('caught')",
        "1 + 1",
    )
    assert texts(caught) == ["caught\n"]
    assert texts(good) == ["2"]


def test_normal_cells_are_untouched() -> None:
    cells = run(
        "6 * 7",
        "6 * 7;",
        "x = 1",
        "for x in range(2): print(x)",
        "import asyncio\nawait asyncio.sleep(0, 'awaited')",
        "%time None",
        "%%capture\n1",
        "# nothing but a comment",
        "def f():\n    return 1",
        "1 / 0",
        "_",
        "(",
        "'fine'",
    )
    shown = [texts(cell) for cell in cells[:5]]
    assert shown == [["42"], [], [], ["0\n1\n"], ["'awaited'"]]
    assert [errors(cell) for cell in cells[5:9]] == [[], [], [], []]
    assert errors(cells[9]) == ["ZeroDivisionError"]
    assert errors(cells[11]) == ["SyntaxError"]
    assert texts(cells[12]) == ["'fine'"]


def test_running_the_setup_cell_again_changes_nothing() -> None:
    _, faulty, good, transformers = run(
        SETUP, CLICK, "'fine'", "len(get_ipython().ast_transformers)"
    )
    assert errors(faulty).count("BackgroundError") == 1
    assert faulty.outputs[-1].evalue.count("boom") == 1
    assert texts(good) == ["'fine'"]
    assert texts(transformers) == ["1"]


def test_the_seed_is_set_and_one_thread_is_used() -> None:
    draw = "import torch, numpy\nprint(torch.rand(1).item(), numpy.random.rand())"
    first, _, again = run(draw, "setup()", draw)
    assert texts(first) == texts(again)
    assert texts(run("import torch\ntorch.get_num_threads()")[0]) == ["1"]


@pytest.mark.parametrize("fault", [THREAD, CLICK])
def test_strict_nbval_fails_where_a_worker_raised(tmp_path: Path, fault: str) -> None:
    cells = [SETUP_CELL, new_code_cell(fault, execution_count=2)]
    nbformat.write(new_notebook(cells=cells), tmp_path / "faulty.ipynb")
    done = _nbval(tmp_path)
    assert done.returncode == 1, done.stdout
    assert "BackgroundError" in done.stdout or "ValueError" in done.stdout
    assert "1 failed, 1 passed" in done.stdout


def test_strict_nbval_compares_what_is_printed(tmp_path: Path) -> None:
    cells = [
        SETUP_CELL,
        new_code_cell("print(0.5)", execution_count=2, outputs=[_printed("0.5\n")]),
        new_code_cell("print(0.5)", execution_count=3, outputs=[_printed("0.6\n")]),
    ]
    nbformat.write(new_notebook(cells=cells), tmp_path / "edited.ipynb")
    done = _nbval(tmp_path)
    assert "1 failed, 2 passed" in done.stdout


def test_strict_nbval_honours_semicolons(tmp_path: Path) -> None:
    cells = [
        SETUP_CELL,
        new_code_cell("1 + 1;", execution_count=2),
        new_code_cell("x = 1;\nx", execution_count=3, outputs=[_shown("1")]),
    ]
    nbformat.write(new_notebook(cells=cells), tmp_path / "quiet.ipynb")
    done = _nbval(tmp_path)
    assert "3 passed" in done.stdout, done.stdout


def _shown(text: str) -> Any:
    return new_output("execute_result", data={"text/plain": text}, execution_count=3)


def _printed(text: str) -> Any:
    return new_output("stream", name="stdout", text=text)


def _nbval(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "--nbval", "--nbval-current-env", "-q", str(folder)]
    return subprocess.run(
        [*command, "-p", "no:cacheprovider", "-p", "no:xdist", f"--rootdir={folder}"],
        capture_output=True,
        text=True,
        check=False,
    )
