"""Which cell of a notebook is running, and what ends when it runs again."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, NamedTuple


class Cell(NamedTuple):
    """A cell, and one run of it.

    Attributes:
        name: the same at each run: the identity that JupyterLab gives it, or its text where the
            front end gives none.
        run: another one at each run.
    """

    name: str
    run: str


def running() -> Cell | None:
    """The cell that is running; none in a plain program, a terminal or a widget's callback."""
    if "IPython" not in sys.modules:
        return None
    from IPython import get_ipython  # noqa: PLC0415

    request: dict[str, Any] = getattr(get_ipython(), "get_parent", dict)()
    header = request.get("header", {})
    if header.get("msg_type") != "execute_request":
        return None
    name = request.get("metadata", {}).get("cellId") or request["content"]["code"]
    return Cell(name, header["msg_id"])


_kept: dict[str, tuple[str, list[Callable[[], object]]]] = {}


def until_it_runs_again(end: Callable[[], object]) -> None:
    """Have ``end`` called when the cell that is running now runs again and comes here.

    What other cells have made, and what this one has made in the same run, lives on.
    """
    cell = running()
    if cell is None:
        return
    run, ends = _kept.get(cell.name, ("", []))
    if run != cell.run:
        for old in ends:
            old()
        ends = []
    _kept[cell.name] = cell.run, [*ends, end]
