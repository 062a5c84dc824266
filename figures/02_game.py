"""Draw the game as blocks, with the gradient's path in each turn; writes ``02_game.svg``."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from gan_course.plotting import FAKE, INK, REAL, use_style

HEIGHT = 0.9


def box(ax: Axes, x: float, y: float, text: str, *, color: str = INK, moves: bool = False) -> None:
    """A block with its middle at ``(x, y)``; a heavy rim when its weights move in this turn."""
    shape = {"boxstyle": "round,pad=0,rounding_size=0.12", "linewidth": 3.0 if moves else 1.2}
    low = (x - 0.75, y - HEIGHT / 2)
    face = "#EEEEEE" if moves else "white"
    ax.add_patch(FancyBboxPatch(low, 1.5, HEIGHT, facecolor=face, edgecolor=color, **shape))
    ax.text(x, y, text, ha="center", va="center", fontsize=10, color=INK)


def arrow(ax: Axes, start: tuple[float, float], end: tuple[float, float], *, back: bool) -> None:
    """Forward: solid. The gradient: dashed and heavier."""
    style = {"arrowstyle": "-|>", "color": INK, "mutation_scale": 13, "shrinkA": 0, "shrinkB": 0}
    kind = {"linestyle": (0, (4, 2)), "linewidth": 1.8} if back else {"linewidth": 1.0}
    ax.annotate("", end, start, arrowprops={**style, **kind})


def forward(ax: Axes, *, data: bool, moves: str, loss: str) -> None:
    """The blocks of one turn, and the arrows from noise to loss."""
    box(ax, 0.9, 1.0, "noise $z$")
    box(ax, 3.5, 1.0, "$G$", moves=moves == "G", color=FAKE)
    box(ax, 6.6, 1.6 if data else 1.0, "$D$", moves=moves == "D")
    box(ax, 9.5, 1.6 if data else 1.0, loss)
    level = 1.6 if data else 1.0
    arrow(ax, (1.65, 1.0), (2.75, 1.0), back=False)
    arrow(ax, (4.25, 1.0), (5.85, level - 0.2 if data else 1.0), back=False)
    arrow(ax, (7.35, level), (8.75, level), back=False)
    ax.text(4.95, 0.62 if data else 1.1, "$x = G(z)$", ha="center", fontsize=9, color=INK)
    ax.text(8.05, level + 0.1, "logit $a$", ha="center", fontsize=9, color=INK)
    if data:
        box(ax, 3.5, 2.4, "data $x$", color=REAL)
        arrow(ax, (4.25, 2.4), (5.85, level + 0.2), back=False)


def draw() -> Figure:
    """Two turns, one above the other."""
    figure = Figure(figsize=(9.2, 4.6), layout="none")
    upper, lower = figure.add_axes((0, 0.46, 1, 0.54)), figure.add_axes((0, 0, 1, 0.44))
    for ax, top in ((upper, 3.4), (lower, 2.75)):
        ax.set(xlim=(0, 10.5), ylim=(-0.1, top))
        ax.axis("off")
    upper.text(0.15, 3.1, "$D$'s turn", fontsize=12, weight="bold", color=INK)
    forward(upper, data=True, moves="D", loss="$-V$")
    upper.plot([9.5, 9.5], [1.15, 0.55], color=INK, linestyle=(0, (4, 2)), linewidth=1.8)
    upper.plot([9.5, 6.6], [0.55, 0.55], color=INK, linestyle=(0, (4, 2)), linewidth=1.8)
    arrow(upper, (6.6, 0.55), (6.6, 1.15), back=True)
    upper.text(8.05, 0.2, "gradient, to $D$'s weights only", ha="center", fontsize=9, color=INK)
    upper.plot([5.35, 5.55], [0.95, 1.65], color=INK, linewidth=3)
    upper.text(5.3, 0.2, "cut: .detach()", ha="center", fontsize=9, family="monospace", color=INK)

    lower.text(0.15, 2.4, "$G$'s turn", fontsize=12, weight="bold", color=INK)
    forward(lower, data=False, moves="G", loss="$-$log $D$")
    dashed = {"color": INK, "linestyle": (0, (4, 2)), "linewidth": 1.8}
    lower.plot(
        [9.5, 9.5, 7.1, 7.1, 6.1, 6.1, 3.5], [0.55, 0.2, 0.2, 0.72, 0.72, 0.2, 0.2], **dashed
    )
    arrow(lower, (3.5, 0.2), (3.5, 0.55), back=True)
    words = "gradient, through $D$ (which stands still), to $G$'s weights"
    lower.text(6.6, -0.05, words, ha="center", fontsize=9, color=INK)
    return figure


def main() -> None:
    """Write the figure, the same bytes each time."""
    use_style()
    mpl.rcParams.update({"svg.hashsalt": "02_game", "svg.fonttype": "path"})
    path = Path(__file__).with_suffix(".svg")
    draw().savefig(path, metadata={"Date": None, "Creator": None})


if __name__ == "__main__":
    main()
