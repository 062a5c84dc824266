"""Figures: every function draws on one axis and returns it.

Real is blue, generated is orange, the discriminator is grey-green: three colours of
Wong's palette (Nature Methods 2011) that colour-blind readers tell apart, with markers
and line styles that differ too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from torch import Tensor

from gan_course.arguments import function, number, shown, tensor, whole
from gan_course.metrics import proportion_interval

if TYPE_CHECKING:
    import pandas as pd

REAL = "#0072B2"
FAKE = "#D55E00"
JUDGE = "#00735C"
INK = "#333333"

#: From generated (orange) through undecided (white) to real (blue).
BELIEF = LinearSegmentedColormap.from_list("belief", [FAKE, "#F7F7F7", REAL])


def use_style() -> None:
    """Set the book's look for matplotlib and seaborn."""
    import seaborn as sns  # noqa: PLC0415  # it brings pandas and SciPy, most of a second

    sns.set_theme(context="notebook", style="ticks", palette="colorblind", font_scale=0.9)
    mpl.rcParams.update(
        {
            "figure.figsize": (7, 3.2),
            "figure.dpi": 110,
            "figure.constrained_layout.use": True,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.titlesize": "medium",
            "legend.frameon": False,
            "lines.linewidth": 1.8,
            "savefig.bbox": "standard",
        }
    )


def plot_samples(
    ax: Axes, real: Tensor | None, fake: Tensor | None, window: tuple[float, float] | None = None
) -> Axes:
    """Scatter 2-D samples, real as dots, generated as crosses.

    Args:
        ax: where to draw.
        real: shape ``(samples, 2)``; or none.
        fake: likewise.
        window: lower and upper end of both axes.

    Raises:
        ValueError: the samples are not in the plane, or the window is none.
    """
    _check_axes(ax)
    for name, samples in {"real": real, "fake": fake}.items():
        if samples is not None:
            _check_points(name, samples)
    if real is not None:
        x, y = real.cpu().T
        ax.scatter(x, y, s=6, color=REAL, alpha=0.5, linewidths=0, label="real")
    if fake is not None:
        x, y = fake.cpu().T
        ax.scatter(
            x,
            y,
            s=14,
            marker="x",
            color=FAKE,
            alpha=0.7,
            linewidths=0.8,
            label="generated",
        )
    return _square(ax, window)


def plot_belief(
    ax: Axes,
    discriminate: Callable[[Tensor], Tensor],
    window: tuple[float, float],
    resolution: int = 80,
) -> Axes:
    """Paint D(x) over the plane, blue where it says real, with its contour at one half.

    Args:
        ax: where to draw.
        discriminate: samples ``(batch, 2)`` to probabilities ``(batch,)``.
        window: lower and upper end of both axes.
        resolution: points a side.

    Raises:
        ValueError: ``discriminate`` is no function or returns another number of values, the
            window is none, or there are fewer than two points a side.
    """
    _check_axes(ax)
    function("discriminate", discriminate)
    window, resolution = _ends(window), whole("resolution", resolution, at_least=2, at_most=4000)
    axis = torch.linspace(*window, resolution)
    points = torch.cartesian_prod(axis, axis)
    found = discriminate(points).detach().cpu()
    if found.numel() != len(points):
        raise ValueError(
            f"discriminate returned shape {tuple(found.shape)}: expected ({len(points)},)"
        )
    belief = found.reshape(resolution, resolution).T.numpy()
    half = float(axis[1] - axis[0]) / 2  # a pixel is centred on its point
    extent = (window[0] - half, window[1] + half)
    ax.imshow(
        belief,
        origin="lower",
        extent=(*extent, *extent),
        cmap=BELIEF,
        vmin=0,
        vmax=1,
        alpha=0.55,
        interpolation="bilinear",
    )
    if belief.min() < 0.5 < belief.max():
        ax.contour(axis, axis, belief, levels=[0.5], colors=INK, linewidths=0.8)
    return _square(ax, window)


def plot_game(
    ax: Axes,
    x: Tensor,
    data_density: Tensor,
    generated_density: Tensor,
    belief: Tensor | None = None,
) -> Axes:
    """Draw one moment of a 1-D game: p_data, p_g and D over the same x.

    Args:
        ax: where to draw.
        x: at least two places, shape ``(points,)``.
        data_density: p_data there, shape ``(points,)``.
        generated_density: p_g there, likewise.
        belief: D there, likewise; or none.

    Raises:
        ValueError: one of them is no row of numbers, or not as long as x.
    """
    _check_axes(ax)
    x = tensor("x", x, "(points,)", least=2).detach().cpu()
    data_density = _row("data_density", data_density, "x", len(x))
    generated_density = _row("generated_density", generated_density, "x", len(x))
    ax.plot(x, data_density, color=REAL, linestyle=":", linewidth=2.4, label="$p_{data}$")
    ax.plot(x, generated_density, color=FAKE, label="$p_g$")
    if belief is not None:
        belief = _row("belief", belief, "x", len(x))
        ax.plot(x, belief, color=JUDGE, linestyle="--", label="$D$")
    ax.axhline(0.5, color=INK, linewidth=0.5, alpha=0.6)
    ax.set(xlabel="x", ylim=(0, 1.35), xlim=(float(x[0]), float(x[-1])))
    return ax


def plot_arrows(ax: Axes, z: Tensor, x: Tensor, window: tuple[float, float]) -> Axes:
    """Draw where the generator sends the noise: arrows from z, below, to x = G(z), above.

    Args:
        ax: where to draw.
        z: at least one noise, shape ``(arrows,)``; from the least to the largest they take the
            width of the window.
        x: where each goes, shape ``(arrows,)``.
        window: lower and upper end of the axis of x.

    Raises:
        ValueError: z or x is no row of finite numbers, they are not equally many, or the
            window is none.
    """
    _check_axes(ax)
    z = tensor("z", z, "(arrows,)", least=1).detach().cpu()
    x, window = _row("x", x, "z", len(z), finite=True), _ends(window)
    span = z.max() - z.min()
    share = (z - z.min()) / span if span > 0 else torch.full_like(z, 0.5)
    start = window[0] + share * (window[1] - window[0])
    for below, above in zip(start.tolist(), x.tolist(), strict=True):
        ax.annotate(
            "",
            (above, 1),
            (below, 0),
            arrowprops={"arrowstyle": "->", "color": INK, "linewidth": 0.7, "alpha": 0.8},
        )
    ax.set(xlim=window, ylim=(-0.05, 1.1), yticks=[0, 1], yticklabels=["z", "x"], xticks=[])
    ax.spines[["left", "bottom"]].set_visible(False)
    ax.tick_params(left=False)
    return ax


def plot_runs(ax: Axes, frame: pd.DataFrame, quantity: str, label: str | None = None) -> Axes:
    """Draw a quantity over the steps: the median over the runs, a band round the middle half.

    Args:
        ax: where to draw.
        frame: tidy history, see :meth:`gan_course.training.History.frame`.
        quantity: the column to draw.
        label: the line's name in the legend.

    Raises:
        ValueError: ``frame`` is no table with the columns ``step``, ``run`` and ``quantity``.
    """
    _check_axes(ax)
    _check_columns(frame, {"quantity": quantity})
    for column in ("step", "run"):
        if column not in frame.columns:
            raise ValueError(f"frame has the columns {[*frame.columns]}: {column} is missing")
    if frame[quantity].dtype.kind not in "biuf":
        raise ValueError(f"quantity = {quantity!r}: must be a column of numbers")
    if not (label is None or isinstance(label, str)):
        raise ValueError(f"label = {shown(label)}: must be words")
    table = frame.pivot_table(index="step", columns="run", values=quantity)
    line = ax.plot(table.index, table.median(axis=1), label=label)[0]
    low, high = table.quantile(0.25, axis=1), table.quantile(0.75, axis=1)
    ax.fill_between(table.index, low, high, color=line.get_color(), alpha=0.25, linewidth=0)
    ax.set(xlabel="step", ylabel=quantity.replace("_", " "))
    return ax


def plot_shares(ax: Axes, frame: pd.DataFrame, event: str, x: str, y: str) -> Axes:
    """Map how often an event happens: in each field its share of the rows, with Wilson's interval.

    Args:
        ax: where to draw.
        frame: tidy, such as :func:`gan_course.sweeps.sweep` returns.
        event: a column of truth values.
        x: the column that goes from left to right.
        y: the column that goes from bottom to top.

    Raises:
        ValueError: ``frame`` is no table with these columns, is empty, or an event is neither
            true nor false.
    """
    _check_axes(ax)
    _check_columns(frame, {"event": event, "x": x, "y": y})
    if not frame[event].isin([True, False]).all():
        raise ValueError(f"event = {shown(event)}: must be a column of truth values")
    import seaborn as sns  # noqa: PLC0415

    table = partial(frame.pivot_table, index=y, columns=x, values=event)
    sns.heatmap(
        table(aggfunc="mean"),
        annot=table(aggfunc=_percent),
        fmt="",
        annot_kws={"fontsize": "small", "color": "black"},  # legible on all of the colours
        cmap=LinearSegmentedColormap.from_list("share", ["#F7F7F7", FAKE]),
        vmin=0,
        vmax=1,
        cbar=False,
        linewidths=1,
        ax=ax,
    )
    ax.invert_yaxis()
    ax.tick_params(length=0, rotation=0)
    return ax


def _percent(events: pd.Series[bool]) -> str:
    share, low, high = proportion_interval(int(events.sum()), len(events))
    return f"{share:.0%}\n{100 * low:.0f} – {100 * high:.0f}".replace("%", " %")


def plot_images(ax: Axes, images: Tensor, columns: int = 8, title: str | None = None) -> Axes:
    """Tile images, row by row.

    Args:
        ax: where to draw.
        images: shape ``(images, 1, height, width)``, values −1 (black) to 1 (white).
        columns: how many stand in a row.
        title: what stands above them.

    Raises:
        ValueError: they are no images of one channel, or there is no column.
    """
    _check_axes(ax)
    images = tensor("images", images, "(images, 1, height, width)", least=1, finite=False)
    if images.shape[1] != 1:
        raise ValueError(f"images has shape {tuple(images.shape)}: expected one channel")
    columns = whole("columns", columns, at_least=1, at_most=1000)
    rows = -(-len(images) // columns)
    height, width = images.shape[-2:]
    # One pixel of frame between the tiles.
    canvas = np.ones((rows * (height + 1) - 1, columns * (width + 1) - 1))
    for index, image in enumerate(images.squeeze(1).cpu().numpy()):
        top, left = (index // columns) * (height + 1), (index % columns) * (width + 1)
        canvas[top : top + height, left : left + width] = image
    ax.imshow(canvas, cmap="gray", vmin=-1, vmax=1, interpolation="nearest")
    ax.set(xticks=[], yticks=[], title=title)
    ax.spines[:].set_visible(False)
    return ax


def legend_below(ax: Axes, columns: int = 3) -> Axes:
    """Put the axis's legend under it, out of the way of the data.

    Raises:
        ValueError: there is no column.
    """
    _check_axes(ax)
    columns = whole("columns", columns, at_least=1)
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=columns)
    return ax


def panels(count: int, width: float = 2.6, height: float = 2.6) -> Sequence[Axes]:
    """Make a row of axes of equal size.

    Args:
        count: how many, at most 100.
        width: of each, in inches, at most 100.
        height: of each, likewise.

    Raises:
        ValueError: there are none or too many, or a size is not above zero and at most 100.
    """
    count = whole("count", count, at_least=1, at_most=100)
    width = number("width", width, above=0, at_most=100)
    height = number("height", height, above=0, at_most=100)
    _, axes = plt.subplots(1, count, figsize=(width * count, height), squeeze=False)
    return list(axes[0])


def _square(ax: Axes, window: tuple[float, float] | None) -> Axes:
    ax.set_aspect("equal")
    if window is not None:
        window = _ends(window)
        ax.set(xlim=window, ylim=window)
    return ax


def _ends(window: object) -> tuple[float, float]:
    """Lower and upper end of an axis."""
    if not isinstance(window, Sequence) or isinstance(window, str) or len(window) != 2:
        raise ValueError(f"window = {shown(window)}: must be two numbers, (low, high)")
    low, high = (number("window", end) for end in window)
    if not low < high:
        raise ValueError(f"window = {shown(window)}: must be (low, high), low < high")
    return low, high


def _check_points(name: str, samples: object) -> None:
    found = tensor(name, samples, "(samples, 2)", finite=False)
    if not isinstance(samples, Tensor) or found.shape[1] != 2:
        raise ValueError(f"{name} = {shown(samples)}: must be a tensor of shape (samples, 2)")


def _check_axes(ax: object) -> None:
    if not isinstance(ax, Axes):
        raise ValueError(f"ax = {shown(ax)}: must be a matplotlib Axes")


def _row(name: str, values: object, other: str, length: int, *, finite: bool = False) -> Tensor:
    """Values in a row, on the CPU, as many as another argument has."""
    found = tensor(name, values, "(points,)", finite=finite)
    if len(found) != length:
        raise ValueError(f"{name} has {len(found)} values, {other} has {length}: must be as many")
    return found.detach().cpu()


def _check_columns(frame: object, columns: Mapping[str, object]) -> None:
    """Ask that ``frame`` is a table with these columns, given by the arguments that name them."""
    import pandas as pd  # noqa: PLC0415  # whoever has a table has loaded it

    if not isinstance(frame, pd.DataFrame) or frame.empty:
        raise ValueError(f"frame = {shown(frame)}: must be a pandas DataFrame with rows")
    for name, column in columns.items():
        if not isinstance(column, str) or column not in frame.columns:
            raise ValueError(f"{name} = {shown(column)}: choose one of {[*frame.columns]}")
