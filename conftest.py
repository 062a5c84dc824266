"""For every test, the notebooks included."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

pytest_plugins = "pytester"
os.environ["TQDM_DISABLE"] = "1"  # a bar shows on slow machines only


def pytest_addoption(parser: pytest.Parser) -> None:
    """``--quick`` is for the loop of daily work."""
    parser.addoption("--quick", action="store_true", help="leave out browsers and what is slow")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Long ones first, so that no worker has them to itself in the end: browsers, notebooks."""
    if config.getoption("quick"):
        slow = {"browser", "slow"}
        left = {item for item in items if slow & {mark.name for mark in item.iter_markers()}}
        config.hook.pytest_deselected(items=[*left])
        items[:] = [item for item in items if item not in left]

    def turn(item: pytest.Item) -> int:
        if item.get_closest_marker("browser"):
            return 0
        return 1 if Path(item.path).suffix == ".ipynb" else 2

    items.sort(key=turn)
