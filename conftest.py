"""For every test, the notebooks included."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

os.environ["TQDM_DISABLE"] = "1"  # a bar shows on slow machines only


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long ones first, so that no worker has them to itself in the end: browsers, notebooks."""

    def turn(item: pytest.Item) -> int:
        if item.get_closest_marker("browser"):
            return 0
        return 1 if Path(item.path).suffix == ".ipynb" else 2

    items.sort(key=turn)
