"""Errors in threads, tasks and callbacks fail the cell; other cells stay as they were."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any
from xml.etree import ElementTree

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


#: Who raises the error "boom", though the cell itself would succeed.
FAULTS = {
    "thread": THREAD,
    "task": TASK,
    "forgotten task": FORGOTTEN_TASK,
    "callback": CLICK,
    "output": OUTPUT,
}

Run = Callable[..., list[Any]]


@pytest.fixture(scope="module")
def kernel() -> Iterator[NotebookClient]:
    """A kernel after a chapter's first cell; to start one takes seconds, so all tests share it."""
    client = NotebookClient(new_notebook(), kernel_name="python3", timeout=60, allow_errors=True)
    with client.setup_kernel():
        assert errors(execute(client, SETUP)) == []
        yield client


@pytest.fixture
def run(kernel: NotebookClient) -> Run:
    """Run cells one after the other, and return them."""
    execute(kernel, "pass")  # takes the blame for what an earlier test left behind
    return lambda *sources: [execute(kernel, source) for source in sources]


def execute(client: NotebookClient, source: str) -> Any:
    client.nb.cells.append(new_code_cell(source))
    return client.execute_cell(client.nb.cells[-1], len(client.nb.cells) - 1)


def errors(cell: Any) -> list[str]:
    return [output.ename for output in cell.outputs if output.output_type == "error"]


def texts(cell: Any) -> list[str]:
    return [
        output.text if output.output_type == "stream" else output.data["text/plain"]
        for output in cell.outputs
    ]


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_the_cell_that_caused_it_fails(run: Run, fault: str) -> None:
    faulty, good = run(fault, "1 + 1")
    assert errors(faulty)[-1] == "BackgroundError"
    message = faulty.outputs[-1]
    assert "ValueError in" in message.evalue
    assert "boom" in message.evalue
    traceback = re.sub(r"\x1b\[[0-9;]*m", "", "\n".join(message.traceback))
    assert 'raise ValueError("boom")' in traceback
    assert texts(good) == ["2"]


def test_an_observer_fails_its_cell(run: Run) -> None:
    (faulty,) = run(OBSERVE)
    assert errors(faulty) == ["ZeroDivisionError"]


def test_an_error_between_cells_fails_the_next_one_and_only_that(run: Run) -> None:
    started, after, later = run(LATER_TASK, "1 + 1", "2 + 2")
    assert errors(started) == []
    assert errors(after) == ["BackgroundError"]
    assert texts(later) == ["4"]


def test_awaited_and_joined_errors_are_the_cells_own(run: Run) -> None:
    caught, good = run(
        TASK.replace("await asyncio.sleep(0.05)", "")
        + "try:\n    await task\nexcept ValueError:\n    print('caught')",
        "1 + 1",
    )
    assert texts(caught) == ["caught\n"]
    assert texts(good) == ["2"]


def test_normal_cells_are_untouched(run: Run) -> None:
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
    # Python 3.13 has a kind of its own for what ends too early.
    assert errors(cells[11]) in (["SyntaxError"], ["_IncompleteInputError"])
    assert texts(cells[12]) == ["'fine'"]


def test_running_the_setup_cell_again_changes_nothing(run: Run) -> None:
    _, faulty, good, transformers = run(
        SETUP, CLICK, "'fine'", "len(get_ipython().ast_transformers)"
    )
    assert errors(faulty).count("BackgroundError") == 1
    assert faulty.outputs[-1].evalue.count("boom") == 1
    assert texts(good) == ["'fine'"]
    assert texts(transformers) == ["1"]


def test_the_seed_is_set_and_one_thread_is_used(run: Run) -> None:
    draw = "print(torch.rand(1).item(), numpy.random.rand())"
    _, _, first, _, again = run("import numpy, torch", "setup()", draw, "setup()", draw)
    assert texts(first) == texts(again)
    _, threads = run("torch.set_num_threads(2)\nsetup()", "torch.get_num_threads()")
    assert texts(threads) == ["1"]


# --- The same under nbval ----------------------------------------------------------------


def _cell(source: str, *outputs: Any) -> Any:
    return new_code_cell(source, execution_count=1, outputs=list(outputs))


def _shown(text: str) -> Any:
    return new_output("execute_result", data={"text/plain": text}, execution_count=1)


def _printed(text: str) -> Any:
    return new_output("stream", name="stdout", text=text)


#: What nbval must say of each cell of one notebook: what its failure names, or that it passes.
CELLS = {
    "the set-up": (SETUP_CELL, None),
    "a thread that raises": (_cell(THREAD), "BackgroundError"),
    "a callback that raises": (_cell(CLICK), "ValueError"),
    "what is printed": (_cell("print(0.5)", _printed("0.5\n")), None),
    "what is not printed": (_cell("print(0.5)", _printed("0.6\n")), "0.6"),
    "a value hidden by a semicolon": (_cell("1 + 1;"), None),
    "a value after a semicolon": (_cell("x = 1;\nx", _shown("1")), None),
}


@pytest.fixture(scope="module")
def verdicts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str | None]:
    """What strict nbval says of each of :data:`CELLS`: its failure, None if it passes."""
    folder = tmp_path_factory.mktemp("nbval")
    cells = [cell for cell, _ in CELLS.values()]
    nbformat.write(new_notebook(cells=cells), folder / "cells.ipynb")
    options = ["--nbval", "--nbval-current-env", "-p", "no:cacheprovider", "-p", "no:xdist"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, "--junit-xml=found.xml", "--rootdir=."],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == pytest.ExitCode.TESTS_FAILED, done.stdout
    found = ElementTree.parse(folder / "found.xml").iter("testcase")
    failures = [case.find("failure") for case in found]
    texts = [None if failure is None else failure.text for failure in failures]
    return dict(zip(CELLS, texts, strict=True))


@pytest.mark.parametrize("name", CELLS)
def test_strict_nbval_fails_the_cells_that_it_should(
    name: str, verdicts: dict[str, str | None]
) -> None:
    _, said = CELLS[name]
    failure = verdicts[name]
    if said is None:
        assert failure is None
    else:
        assert failure is not None
        assert re.search(said, failure)
