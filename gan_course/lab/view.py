"""The page of a lab: what is sent to it, and how much may be under way."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import anywidget
import numpy as np
import traitlets
from numpy.typing import NDArray

from gan_course.lab import front
from gan_course.lab.frames import Head, pack

#: Pictures that may be on their way; more are dropped before they are drawn.
WINDOW = 72


class View(anywidget.AnyWidget):
    """A page in the notebook, drawn by the modules in ``js/``.

    It counts pictures: those that the page has not acknowledged are still on their way, and
    while there are :data:`WINDOW` of them, no more are made. So a page that is behind, hidden
    or closed is never sent more than that, and nothing queues up.

    The other way, what a reader does on a page is numbered, too. Every picture says what it has
    seen, so that the page knows an echo of an older state from an answer.

    Args:
        page: what stays: the controls and layers, see :meth:`gan_course.lab.Lab`.
        receive: called with each message of a page, on any thread.

    Attributes:
        sent: number of the last picture.
        acknowledged: number of the last picture that a page has drawn.
        seen: by the name of each page, the number of the last thing it asked for and got.
        ended: why there will be no other picture; empty while there may be.
    """

    _esm = front.script()
    _css = front.style()
    page = traitlets.Dict().tag(sync=True)

    def __init__(self, page: Mapping[str, Any], receive: Callable[[dict[str, Any]], None]) -> None:
        super().__init__(page=dict(page))
        self.sent = self.acknowledged = 0
        self.seen: dict[str, int] = {}
        self.ended = ""
        self._asked: dict[tuple[str, str], int] = {}
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

    def outdated(self, message: Mapping[str, Any]) -> bool:
        """Whether something newer that the page said on the same subject has come before.

        Messages may arrive on two threads, the kernel's and a subshell's, so a late one is
        possible; the newest counts.
        """
        page, number = message.get("page", ""), message.get("number", 0)
        late = False
        for subject in _subjects(message):
            newest = self._asked.get((page, subject), 0)
            late |= number < newest
            self._asked[page, subject] = max(number, newest)
        return late

    def saw(self, message: Mapping[str, Any]) -> None:
        """From now on, pictures show what ``message`` asked for, or that it was refused."""
        page, number = message.get("page", ""), message.get("number", 0)
        self.seen[page] = max(number, self.seen.get(page, 0))

    def show(self, head: Head, arrays: Mapping[str, NDArray[np.float32]]) -> None:
        """Send a picture."""
        self.sent += 1
        layout, block = pack(arrays)
        numbers = {"number": self.sent, "seen": self.seen}
        self.send({**head, **numbers, "layout": layout}, [block])

    def end(self, text: str) -> None:
        """Say why there will be no other picture; the last one and the first reason stay."""
        self.ended = self.ended or text
        self.send({"kind": "end", "text": self.ended})

    def fail(self, error: Exception) -> None:
        """Say that the lab ended, and by what."""
        self.end(f"The lab stopped: {type(error).__name__}: {error}. Run its cell again.")


def _subjects(message: Mapping[str, Any]) -> Iterator[str]:
    """What a message is about, where a newer one replaces it; a single step is on its own."""
    kind = message.get("kind")
    if kind == "set":
        yield from message.get("values", ())
    elif kind == "drawn":
        yield "data"
    elif kind in ("layers", "lift"):
        yield kind
    elif message.get("action") in ("play", "pause"):
        yield "playing"
