"""For every test, the notebooks included."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from xdist.scheduler import LoadFileScheduling

if sys.__stdin__ is None:  # closed, as cron leaves it: pytest and IPython ask for its encoding
    sys.__stdin__ = sys.stdin = Path(os.devnull).open(encoding="utf-8")  # noqa: SIM115

pytest_plugins = "pytester"
os.environ["TQDM_DISABLE"] = "1"  # a bar shows on slow machines only


#: Files of tests that start processes, build, compile or sweep, which takes minutes in all.
SLOW = ("audit", "benchmarks", "build", "executors", "figures", "notebook", "planted")
SLOW += ("planted_chapters", "programs", "ranks", "soak", "sweeps", "wrong_answers")
#: What runs a chapter in JupyterLab, and compares its outputs as nbval would.
CHAPTER = "test_a_chapter_runs_in_the_browser"
#: Tests that are minutes each: any worker takes the next, whatever file it stands in.
ALONE = (CHAPTER, "test_every_planted_fault_is_noticed")


def pytest_addoption(parser: pytest.Parser) -> None:
    """``--quick`` is for the loop of daily work."""
    parser.addoption("--quick", action="store_true", help="leave out browsers and what is slow")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """What is slow as a whole is not even read for ``--quick``, which would take seconds."""
    return True if config.getoption("quick") and _is_slow_file(collection_path) else None


@pytest.hookimpl(trylast=True)  # -k and -m have chosen
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what need not run; long ones first, so that no worker has them in the end."""
    left = set(_executed_twice(items))
    if config.getoption("quick"):
        left |= {item for item in items if _is_slow(item)}
    config.hook.pytest_deselected(items=[*left])
    items[:] = [item for item in items if item not in left]

    def turn(item: pytest.Item) -> int:
        if item.get_closest_marker("browser"):
            return 0 if CHAPTER in item.name else 1
        if any(name in item.name for name in ALONE):
            return 2
        return 3 if Path(item.path).suffix == ".ipynb" else 4 if _is_slow(item) else 5

    items.sort(key=turn)


def _executed_twice(items: list[pytest.Item]) -> list[pytest.Item]:
    """The cells of the chapters that the browser runs, too, where there is one."""
    chapters = [item for item in items if item.name.startswith(CHAPTER)]
    if not chapters:
        return []
    from jupyter_browser import chromium  # noqa: PLC0415  # tests/ is on the path by now

    if chromium() is None:
        return []
    there = {item.callspec.params["path"] for item in chapters}  # type: ignore[attr-defined]
    return [item for item in items if Path(item.path) in there]


def _is_slow(item: pytest.Item) -> bool:
    marks = {mark.name for mark in item.iter_markers()}
    return bool(marks & {"browser", "slow"}) or _is_slow_file(item.path)


def _is_slow_file(path: Path) -> bool:
    return path.stem.removeprefix("test_") in SLOW


@pytest.fixture(autouse=True)
def _usual_dtype() -> Iterator[None]:
    """A dtype that one test leaves behind would fail a hundred others, far from its cause."""
    assert _dtype_is_usual(), "a test before this one has changed it"
    yield
    assert _dtype_is_usual(), "this test leaves another default dtype"


def _dtype_is_usual() -> bool:
    torch = sys.modules.get("torch")  # who has not imported it has changed nothing
    return torch is None or torch.get_default_dtype() is torch.float32


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> LoadFileScheduling | None:
    """Files are units of work, as ``--dist=loadfile`` says, but for the longest tests."""
    if config.getoption("dist") != "loadfile":
        return None
    from xdist.scheduler import LoadFileScheduling  # noqa: PLC0415  # a plugin's own

    class Scheduling(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file, _, test = nodeid.partition("::")
            return nodeid if test.startswith(ALONE) else file

    return Scheduling(config, log)
