"""A picture with sliders: what the reader moves, drawn again at once.

The picture is an image widget, so a built notebook can show it without a kernel, and it is
drawn on a figure of its own: pyplot's global state is not safe in a widget's callback.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from html import escape
from io import BytesIO
from typing import Any

from ipywidgets import HTML, Dropdown, FloatSlider, HBox, Image, Layout, VBox
from matplotlib.figure import Figure

from gan_course.arguments import function, number, shown

#: Lower end, upper end and start of a slider, and where it has few places its step; or the
#: choices of a menu.
Control = tuple[float, float, float] | tuple[float, float, float, float] | Sequence[str]

# Moves that arrive within this time become one drawing: a dragged slider sends dozens.
PAUSE = 0.03

# Text for screen readers, off the screen.
_UNSEEN = "position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)"


def explore(
    draw: Callable[..., object],
    size: tuple[float, float] = (8.0, 3.2),
    alt: str = "",
    **controls: Control,
) -> VBox:
    """Show ``draw`` with a control for each of its quantities.

    Args:
        draw: called as ``draw(figure, name=value, ...)``; it draws on an empty figure and
            is quick (below a tenth of a second), since it runs at each move.
        size: width and height of the figure, in inches.
        alt: what the picture shows, in words, for readers whose screen is read to them.
        controls: for each quantity ``(low, high, start)``, a slider of a hundred steps, or
            ``(low, high, start, step)``, or a list of words, a menu.

    Returns:
        The controls, in a row, above the picture.

    Raises:
        ValueError: a slider's start lies outside its ends, or its step is not positive.
    """
    function("draw", draw)
    if not isinstance(size, Sequence) or isinstance(size, str) or len(size) != 2:
        raise ValueError(f"size = {shown(size)}: must be two numbers, width and height in inches")
    size = (number("size", size[0], above=0), number("size", size[1], above=0))
    if not isinstance(alt, str):
        raise ValueError(f"alt = {shown(alt)}: must be words")
    widgets = {name: _widget(name, control) for name, control in controls.items()}
    width = Layout(width="100%", max_width=f"{110 * size[0]:.0f}px")
    picture = Image(format="png", layout=width)

    def render() -> None:
        figure = Figure(figsize=size)
        draw(figure, **{name: widget.value for name, widget in widgets.items()})
        buffer = BytesIO()
        figure.savefig(buffer, format="png", dpi=110, metadata={"Software": None})
        picture.value = buffer.getvalue()

    later = _Later(render)
    for widget in widgets.values():
        widget.observe(later, "value")
    render()
    row = HBox(list(widgets.values()), layout=Layout(flex_flow="row wrap"))
    # Not the picture's tooltip: with one, ipywidgets 8.1 does not show the picture at all.
    spoken = HTML(f'<span style="{_UNSEEN}">{escape(alt)}</span>')
    return VBox([row, picture, spoken])


class _Later:
    """Calls ``function`` once for any number of moves within :data:`PAUSE`.

    Without a running event loop, as in a test or a script, it calls at once.
    """

    def __init__(self, function: Callable[[], None]) -> None:
        self.function = function
        self.waiting = False
        self.loop = _running_loop()

    def __call__(self, change: Any) -> None:
        if self.loop is None or self.loop.is_closed():
            self.function()
        elif not self.waiting:
            self.waiting = True
            # A move may arrive on another thread than the one that draws.
            self.loop.call_soon_threadsafe(self.loop.call_later, PAUSE, self._call)

    def _call(self) -> None:
        self.waiting = False
        self.function()


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def _widget(name: str, control: Control) -> Any:
    label = name.replace("_", " ")
    style = {"description_width": "initial"}
    if not isinstance(control, tuple):
        words = isinstance(control, Sequence) and not isinstance(control, str) and len(control)
        if not words or not all(isinstance(word, str) for word in control):
            raise ValueError(f"{name} = {shown(control)}: must be (low, high, start) or words")
        return Dropdown(options=list(control), description=label, style=style)
    if len(control) not in (3, 4):
        raise ValueError(f"{name} = {shown(control)}: must be (low, high, start) or (…, step)")
    ends = [number(name, end) for end in control]
    low, high, start, step = (*ends, (ends[1] - ends[0]) / 100)[:4]
    if not (low <= start <= high and step > 0):
        raise ValueError(
            f"{name} = {control!r}: expected (low, high, start) or (low, high, start, step), "
            "low ≤ start ≤ high, step > 0"
        )
    return FloatSlider(start, min=low, max=high, step=step, description=label, style=style)
