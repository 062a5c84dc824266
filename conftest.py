"""For every test, the notebooks included."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

pytest_plugins = "pytester"
os.environ["TQDM_DISABLE"] = "1"  # a bar shows on slow machines only


#: Files of tests that start processes, build, compile or sweep, which takes minutes in all.
SLOW = ("audit", "benchmarks", "build", "executors", "figures", "notebook", "planted", "programs")
SLOW += ("ranks", "soak", "sweeps", "wrong_answers")


def pytest_addoption(parser: pytest.Parser) -> None:
    """``--quick`` is for the loop of daily work."""
    parser.addoption("--quick", action="store_true", help="leave out browsers and what is slow")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Long ones first, so that no worker has them to itself in the end: browsers, notebooks."""
    if config.getoption("quick"):
        left = {item for item in items if _is_slow(item)}
        config.hook.pytest_deselected(items=[*left])
        items[:] = [item for item in items if item not in left]

    def turn(item: pytest.Item) -> int:
        if item.get_closest_marker("browser"):
            return 0
        return 1 if Path(item.path).suffix == ".ipynb" else 2

    items.sort(key=turn)


def _is_slow(item: pytest.Item) -> bool:
    marks = {mark.name for mark in item.iter_markers()}
    return bool(marks & {"browser", "slow"}) or item.path.stem.removeprefix("test_") in SLOW
