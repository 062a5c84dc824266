"""The page of a lab: what is sent to it, and how much may be under way."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import anywidget
import numpy as np
import traitlets
from numpy.typing import NDArray

from gan_course.lab.frames import Head, pack

HERE = Path(__file__).parent
#: Pictures that may be on their way; more are dropped before they are drawn.
WINDOW = 72


class View(anywidget.AnyWidget):
    """A page in the notebook, drawn by ``lab.js``.

    It counts pictures: those that the page has not acknowledged are still on their way, and
    while there are :data:`WINDOW` of them, no more are made. So a page that is behind, hidden
    or closed is never sent more than that, and nothing queues up.

    Args:
        page: what stays: the controls and layers, see :meth:`gan_course.lab.Lab`.
        receive: called with each message of the page other than acknowledgements.

    Attributes:
        sent: number of the last picture.
        acknowledged: number of the last picture that a page has drawn.
    """

    _esm = HERE / "lab.js"
    _css = HERE / "lab.css"
    page = traitlets.Dict().tag(sync=True)

    def __init__(self, page: Mapping[str, Any], receive: Callable[[dict[str, Any]], None]) -> None:
        super().__init__(page=dict(page))
        self.sent = self.acknowledged = 0
        self.on_msg(lambda _, content, __: receive(content))

    def ready(self) -> bool:
        """Whether the page can take another picture."""
        return self.sent - self.acknowledged < WINDOW

    def acknowledge(self, number: int) -> None:
        """Picture ``number`` was drawn; those before it were drawn or dropped."""
        self.acknowledged = max(self.acknowledged, min(number, self.sent))

    def welcome(self) -> None:
        """A page was opened: what was on its way to another will not be acknowledged."""
        self.acknowledged = self.sent

    def show(self, head: Head, arrays: Mapping[str, NDArray[np.float32]]) -> None:
        """Send a picture."""
        self.sent += 1
        layout, block = pack(arrays)
        self.send({**head, "number": self.sent, "layout": layout}, [block])

    def fail(self, error: Exception) -> None:
        """Say that the lab ended, and by what; the last picture stays."""
        text = f"The lab stopped: {type(error).__name__}: {error}. Run its cell again."
        self.send({"kind": "failure", "text": text})
