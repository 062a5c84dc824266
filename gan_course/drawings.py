"""What a figure shows, so that a claim about it can be checked: :func:`drawn`.

Chapters import it from :mod:`gan_course.checks`, with the assertions.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gan_course.arguments import shown

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis

Array = NDArray[np.float64]


class Drawn(dict[str | int, tuple[Array, Array]]):
    """What an axes shows: ``(x, y)`` of each line, of each set of points, bars or bands.

    The key is the label that a reader sees: the legend's, where the axes has one. What has no
    label has a number, in the order of drawing, from 0.

    Attributes:
        title: above the axes.
        xlabel: below it.
        ylabel: at its left.
        panel: which of its figure's axes it is, from 0, in the order of reading.
        xticks: the words at the ticks below it, for example names; empty for plain numbers.
        yticks: the words at its left.
        images: the values of each image and heat map, as drawn from the first row on.
        texts: what is written into the axes.
        bands: each band, and each set of error bars, as x, lower and upper end, ``(3, points)``.
        arrows: of a field, or drawn one by one: where each starts and how far it goes,
            ``(arrows, 4)``.
    """

    def __init__(self, ax: Axes) -> None:
        from matplotlib.collections import QuadMesh  # noqa: PLC0415  # slow, and rarely needed

        self.title, self.xlabel, self.ylabel = ax.get_title(), ax.get_xlabel(), ax.get_ylabel()
        self.panel = sorted(ax.figure.axes, key=_place).index(ax)
        self.xticks, self.yticks = words(ax.xaxis), words(ax.yaxis)
        maps = [*ax.images, *(part for part in ax.collections if isinstance(part, QuadMesh))]
        self.images = [
            _floats(np.ma.filled(np.ma.asarray(part.get_array(), dtype=float), np.nan))
            for part in maps
        ]
        self.texts = [text.get_text() for text in ax.texts if text.get_text()]
        self.bands, self.arrows = list(_bands(ax)), _arrows(ax)
        legend = _legend(ax)
        labelled = sorted(_artists(ax), key=lambda artist: _is_unlabelled(artist[0]))
        for label, colour, place in labelled:
            # What counts is the word beside that colour in the legend, not the artist's own.
            found = [word for word, beside in legend if beside == colour]
            key: str | int = found[0] if len(found) == 1 and label not in found else label
            if _is_unlabelled(label) and (key in self or key == label):
                key = sum(isinstance(known, int) for known in self)
            if key in self:
                raise ValueError(f"ax draws two things with the label {key!r}")
            self[key] = place


def drawn(ax: Axes) -> Drawn:
    """Tell what an axes shows, for a claim about it.

    Raises:
        ValueError: two things have the same label, or ``ax`` is no axes.

    Example:
        >>> import matplotlib.pyplot as plt
        >>> from gan_course.checks import check
        >>> _, ax = plt.subplots()
        >>> _ = ax.plot([0, 1], [1, 3], label="γ = 1")
        >>> _ = ax.plot([0, 1], [1, 2], "--", label="γ = 4")
        >>> _ = ax.set(title="JS")
        >>> lines = drawn(ax)
        >>> check("γ = 4 is lower in the end", [lines[f"γ = {g}"][1][-1] for g in (4, 1)],
        ...       order="increasing")
        ✓ γ = 4 is lower in the end: increasing
        >>> check("the panel of JS", lines.title == "JS", True)
        ✓ the panel of JS
        >>> plt.close()
    """
    from matplotlib.axes import Axes  # noqa: PLC0415  # slow, and here for the check alone

    if not isinstance(ax, Axes):
        raise ValueError(f"ax = {shown(ax)}: must be a matplotlib Axes")
    return Drawn(ax)


def _floats(values: object) -> Array:
    return np.asarray(values, dtype=np.float64)


def _colour(artist: Any) -> str:
    """The colour that a reader tells an artist by, without its transparency."""
    from matplotlib.colors import to_hex  # noqa: PLC0415

    for ask in ("get_color", "get_edgecolor", "get_facecolor"):
        found = getattr(artist, ask, lambda: ())()
        if isinstance(found, str):
            return to_hex(found)
        if len(several := np.atleast_2d(found)) and several.size:
            return to_hex(several[0])
    return ""


def _place(ax: Axes) -> tuple[float, float]:
    """Where an axes stands, in the order of reading: by rows, then from left to right."""
    corner = ax.get_position(original=True)
    return -round(corner.y1, 2), round(corner.x0, 2)


def words(axis: Axis) -> list[str]:
    """The words at an axis's ticks, where it was given words."""
    from matplotlib.category import StrCategoryFormatter  # noqa: PLC0415
    from matplotlib.ticker import FixedFormatter, FuncFormatter  # noqa: PLC0415

    named = FixedFormatter, FuncFormatter, StrCategoryFormatter
    given = isinstance(axis.get_major_formatter(), named)
    return [tick.get_text() for tick in axis.get_ticklabels()] if given else []


def _is_unlabelled(label: str) -> bool:
    return label.startswith("_") or not label


def _legend(ax: Axes) -> list[tuple[str, str]]:
    """The words of a legend, each with the colour beside it."""
    if not (legend := ax.get_legend()):
        return []
    rows = zip(legend.get_texts(), legend.legend_handles, strict=True)
    return [(text.get_text(), _colour(handle)) for text, handle in rows]


def _artists(ax: Axes) -> Iterator[tuple[str, str, tuple[Array, Array]]]:
    """Label, colour and places of all that is drawn from data."""
    from matplotlib.collections import PathCollection  # noqa: PLC0415
    from matplotlib.container import BarContainer, ErrorbarContainer  # noqa: PLC0415
    from matplotlib.patches import Patch  # noqa: PLC0415

    names: dict[Artist, str] = {}
    inside: set[Artist] = set()
    for held in ax.containers:
        inside |= set(held.get_children())
        if isinstance(held, ErrorbarContainer) and held.lines[0] is not None:
            inside.discard(held.lines[0])
            names[held.lines[0]] = str(held.get_label())
        elif isinstance(held, BarContainer) and held.patches:
            bars = [bar.get_bbox() for bar in held.patches]
            x, y = [(bar.x0 + bar.x1) / 2 for bar in bars], [bar.y0 + bar.height for bar in bars]
            yield str(held.get_label()), _colour(held.patches[0]), (_floats(x), _floats(y))
    for line in ax.lines:
        if line not in inside:
            label = names.get(line, str(line.get_label()))
            yield label, _colour(line), (_floats(line.get_xdata()), _floats(line.get_ydata()))
    for part in (*ax.collections, *ax.patches):
        label = str(part.get_label())
        if part in inside:
            continue
        if isinstance(part, PathCollection):
            x, y = np.ma.filled(part.get_offsets(), np.nan).T
            yield label, _colour(part), (_floats(x), _floats(y))
        elif not _is_unlabelled(label):
            shape: Any = part
            path = shape.get_path() if isinstance(part, Patch) else shape.get_paths()[0]
            yield label, _colour(part), (_floats(path.vertices[:, 0]), _floats(path.vertices[:, 1]))


def _bands(ax: Axes) -> Iterator[Array]:
    """Each band from its outline, then each set of upright error bars from its segments."""
    from matplotlib.collections import FillBetweenPolyCollection  # noqa: PLC0415
    from matplotlib.container import ErrorbarContainer  # noqa: PLC0415

    for part in ax.collections:
        if isinstance(part, FillBetweenPolyCollection):
            outline = _floats(part.get_paths()[0].vertices)
            points = (len(outline) - 3) // 2  # a corner at each end, and back to the first
            one, other = outline[1 : points + 1], outline[-2 : -points - 2 : -1]
            yield np.stack([one[:, 0], *np.sort([one[:, 1], other[:, 1]], axis=0)])
    for held in ax.containers:
        if isinstance(held, ErrorbarContainer) and held.has_yerr:
            ends = _floats(held.lines[2][-1].get_segments())
            yield np.stack([ends[:, 0, 0], ends[:, 0, 1], ends[:, 1, 1]])


def _arrows(ax: Axes) -> Array:
    """Start and way of each arrow."""
    from matplotlib.quiver import Quiver  # noqa: PLC0415
    from matplotlib.text import Annotation  # noqa: PLC0415

    fields = [part for part in ax.collections if isinstance(part, Quiver)]
    found = [np.column_stack([part.XY, part.U, part.V]) for part in fields]
    single = [part for part in ax.texts if isinstance(part, Annotation) and part.arrow_patch]
    found += [np.array([[*part.xyann, *np.subtract(part.xy, part.xyann)]]) for part in single]
    return _floats(np.concatenate([np.empty((0, 4)), *found]))
