"""A picture with sliders, drawn again at once; or with a button, where drawing takes seconds.

The picture is an image widget, so a built notebook can show it without a kernel, and it is
drawn on a figure of its own: pyplot's global state is not safe in a widget's callback.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from io import BytesIO
from typing import Any

from matplotlib.figure import Figure

import gan_course.cells
from gan_course.arguments import function, number, shown

try:
    from ipywidgets import (
        HTML,
        Button,
        Combobox,
        Dropdown,
        FloatSlider,
        HBox,
        Image,
        IntSlider,
        Layout,
        VBox,
        Widget,
    )
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        f"sliders are shown by Jupyter's packages, and {error.name} is not installed: "
        'pip install "gan-course[book]"',
        name=error.name,
    ) from None


class Suggested(list[str]):
    """Words to choose from, where a reader with a kernel may type others."""


#: Lower end, upper end and start of a slider, and where it has few places its step; or the
#: choices of a menu; or words that are :class:`Suggested`.
Control = tuple[float, float, float] | tuple[float, float, float, float] | Sequence[str]

# Moves that arrive within this time become one drawing: a dragged slider sends dozens.
PAUSE = 0.03

# Dots per inch of the widget's picture.
DOTS = 110

# Text for screen readers, off the screen.
_UNSEEN = "position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)"


@dataclass(frozen=True)
class Sketch:
    """What a reader explores: a picture of some quantities.

    Attributes:
        draw: draws it on an empty figure, ``draw(figure, name=value, ...)``.
        size: width and height of the figure, in inches.
        alt: what it shows, in words.
        controls: the range or the words of each quantity.
    """

    draw: Callable[..., object]
    size: tuple[float, float]
    alt: str
    controls: Mapping[str, Control]

    def png(self, dots: int = DOTS, **values: Any) -> bytes:
        """The picture at some values, as a PNG with so many dots per inch."""
        figure = Figure(figsize=self.size)
        self.draw(figure, **values)
        return _png(figure, dots)


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
            ``(low, high, start, step)``, or a list of words, a menu, or :class:`Suggested` words,
            beside which the reader may type others. Of whole numbers alone, a slider gives whole
            numbers, a hundred at most.

    Returns:
        The controls, in a row, above the picture. They end when their cell runs again. Its
        ``sketch`` is the :class:`Sketch`, from which the static book's pictures are drawn.

    Raises:
        ValueError: a slider's start lies outside its ends, or its step is not positive; or words
            are suggested twice.
    """
    size, picture = _empty(draw, size, alt)
    widgets = {name: _widget(name, control) for name, control in controls.items()}
    sketch = Sketch(draw, size, alt, controls)

    def render() -> None:
        picture.value = sketch.png(**{name: widget.value for name, widget in widgets.items()})

    later = _Later(render)
    for widget in widgets.values():
        widget.observe(later, "value")
    render()
    box = _boxed(list(widgets.values()), picture, alt)
    box.sketch = sketch
    return box


def on_press(
    draw: Callable[[Figure], Iterable[object]],
    label: str,
    size: tuple[float, float] = (8.0, 3.2),
    alt: str = "",
) -> VBox:
    """Show ``draw``, and draw it anew whenever a button is pressed.

    Args:
        draw: called as ``draw(figure)`` with an empty figure; a generator, which yields where
            the picture so far is worth a look. It may take seconds.
        label: the button's word.
        size: width and height of the figure, in inches.
        alt: what the picture shows, in words, for readers whose screen is read to them.

    Returns:
        The button above the picture, which has been drawn once. They end when their cell runs
        again.

    Raises:
        ValueError: ``draw`` is no function, or the size or a word is none.
    """
    size, picture = _empty(draw, size, alt)
    if not isinstance(label, str):
        raise ValueError(f"label = {shown(label)}: must be words")
    button = Button(description=label, layout=Layout(width="auto"))

    def render(_: object = None) -> None:
        button.disabled = True
        try:
            figure = Figure(figsize=size)
            for _ in draw(figure):
                picture.value = _png(figure, DOTS)
            picture.value = _png(figure, DOTS)
        finally:
            button.disabled = False

    button.on_click(render)
    render()
    return _boxed([button], picture, alt)


def _empty(
    draw: object, size: tuple[float, float], alt: object
) -> tuple[tuple[float, float], Image]:
    """The size, checked, and a picture of it with nothing drawn."""
    function("draw", draw)
    if not isinstance(size, Sequence) or isinstance(size, str) or len(size) != 2:
        raise ValueError(f"size = {shown(size)}: must be two numbers, width and height in inches")
    size = (number("size", size[0], above=0), number("size", size[1], above=0))
    if not isinstance(alt, str):
        raise ValueError(f"alt = {shown(alt)}: must be words")
    width = Layout(width="100%", max_width=f"{DOTS * size[0]:.0f}px")
    return size, Image(format="png", layout=width)


def _png(figure: Figure, dots: int) -> bytes:
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=dots, metadata={"Software": None})
    return buffer.getvalue()


def _boxed(controls: Sequence[Widget], picture: Image, alt: str) -> VBox:
    """Controls in a row above the picture; all end when their cell runs again."""
    row = HBox(list(controls), layout=Layout(flex_flow="row wrap"))
    # Not the picture's tooltip: with one, ipywidgets 8.1 does not show the picture at all.
    spoken = HTML(f'<span style="{_UNSEEN}">{escape(alt)}</span>')
    box = VBox([row, picture, spoken])
    gan_course.cells.until_it_runs_again(lambda: [part.close() for part in [*_parts(box)]])
    return box


def _parts(widget: Widget) -> Iterator[Widget]:
    """A widget and all that it consists of: children, layouts, styles."""
    for name in widget.keys:
        held = getattr(widget, name)
        for part in held if isinstance(held, tuple) else (held,):
            if isinstance(part, Widget):
                yield from _parts(part)
    yield widget


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
        if isinstance(control, Suggested):
            if twice := [word for word in control if control.count(word) > 1]:
                raise ValueError(f"{name}: {shown(twice[0])} occurs twice: must be different words")
            # Drawn when the reader has finished, not at each letter.
            typed = {"continuous_update": False, "layout": Layout(width="100%")}
            return Combobox(control[0], options=list(control), description=label, **typed)
        return Dropdown(options=list(control), description=label, style=style)
    if len(control) not in (3, 4):
        raise ValueError(f"{name} = {shown(control)}: must be (low, high, start) or (…, step)")
    whole = all(type(end) is int for end in control)
    ends: Any = control if whole else [number(name, end) for end in control]
    hundredth = (ends[1] - ends[0]) / 100
    low, high, start, step = (*ends, max(1, math.ceil(hundredth)) if whole else hundredth)[:4]
    if not (low <= start <= high and step > 0):
        raise ValueError(
            f"{name} = {control!r}: expected (low, high, start) or (low, high, start, step), "
            "low ≤ start ≤ high, step > 0"
        )
    slider = IntSlider if whole else FloatSlider
    return slider(start, min=low, max=high, step=step, description=label, style=style)
