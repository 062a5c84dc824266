"""Draw the family of generative models by two questions; writes ``01_taxonomy.svg``.

The two questions (does the model write its density down, and can it be computed) are those of
Goodfellow (2016), section 2.2; the layout, the columns and the newer members are ours.
"""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from gan_course.plotting import FAKE, INK, JUDGE, REAL, use_style

#: Name, examples, what is known of p(x), what one sample costs, what else is paid; top to bottom.
LEAVES = [
    (
        "Fully visible\nbelief net",
        "PixelCNN, WaveNet",
        "exact",
        "a pass per value",
        "one value waits for another",
        REAL,
    ),
    (
        "Normalising flow",
        "NICE, Real NVP",
        "exact",
        "one pass",
        "invertible: $z$ as large as $x$",
        REAL,
    ),
    ("Variational", "VAE", "a lower bound", "one pass", "a second network, for $z$", JUDGE),
    ("Diffusion", "DDPM", "a lower bound", "a pass per step", "$z$ as large as $x$", JUDGE),
    (
        "Boltzmann\nmachine",
        "RBM, DBM",
        "up to a constant",
        "a Markov chain",
        "a chain in training, too",
        JUDGE,
    ),
    ("Chain sampler", "GSN", "none", "a Markov chain", "nearby samples are alike", FAKE),
    ("Direct sampler", "GAN", "none", "one pass", "a game in place of a cost", FAKE),
]
ROWS = [6.0, 5.0, 4.0, 3.0, 2.0, 1.0, 0.0]
HEIGHT = 0.68


def box(ax: Axes, x: float, y: float, width: float, *, text: str, color: str) -> None:
    """A rounded box with its left edge at ``x`` and its middle at ``y``."""
    shape = {"boxstyle": "round,pad=0,rounding_size=0.12", "linewidth": 1.4}
    low = (x, y - HEIGHT / 2)
    ax.add_patch(FancyBboxPatch(low, width, HEIGHT, facecolor="white", edgecolor=color, **shape))
    ax.text(x + width / 2, y, text, ha="center", va="center", fontsize=9.5, color=INK)


def branch(ax: Axes, start: tuple[float, float], end: tuple[float, float], word: str) -> None:
    """A line with one bend, from the right of one box to the left of another."""
    bend = start[0] + 0.3
    ax.plot([start[0], bend, bend, end[0]], [start[1], start[1], end[1], end[1]], color=INK, lw=1)
    if word:
        ax.text(bend + 0.08, end[1] + 0.1, word, fontsize=8.5, style="italic", color=INK)


def draw() -> Figure:
    """The tree, and beside each leaf a row of a table."""
    figure = Figure(figsize=(12.8, 4.6), layout="none")
    ax = figure.add_axes((0, 0, 1, 1))
    ax.set(xlim=(-0.1, 22.4), ylim=(-0.6, 7.3))
    ax.axis("off")
    box(ax, 0.05, 2.25, 1.95, text="Does it write its\ndensity down?", color=INK)
    box(ax, 3.0, 4.2, 2.0, text="Explicit: can\nit compute it?", color=INK)
    box(ax, 3.0, 0.5, 2.0, text="Implicit", color=FAKE)
    box(ax, 5.95, 5.5, 1.8, text="Tractable", color=REAL)
    box(ax, 5.95, 3.0, 1.8, text="Approximate", color=JUDGE)
    branch(ax, (2.0, 2.25), (3.0, 4.2), "yes")
    branch(ax, (2.0, 2.25), (3.0, 0.5), "no")
    branch(ax, (5.0, 4.2), (5.95, 5.5), "yes")
    branch(ax, (5.0, 4.2), (5.95, 3.0), "no")
    starts = {REAL: (7.75, 5.5), JUDGE: (7.75, 3.0), FAKE: (5.0, 0.5)}
    for (name, *cells, color), y in zip(LEAVES, ROWS, strict=True):
        branch(ax, starts[color], (8.7, y), "")
        box(ax, 8.7, y, 2.4, text=name, color=color)
        row(ax, y, cells, "bold" if "GAN" in cells else "normal")
    row(ax, 6.8, ["for example", "its density", "a sample costs", "and the price"], "normal")
    ax.plot([11.35, 22.3], [6.5, 6.5], color=INK, lw=0.8)
    return figure


def row(ax: Axes, y: float, texts: list[str], weight: str) -> None:
    """One row of the table."""
    for x, text in zip((11.4, 14.2, 16.7, 18.9), texts, strict=True):
        ax.text(x, y, text, va="center", fontsize=9.5, color=INK, weight=weight)


def main() -> None:
    """Write the figure, the same bytes each time."""
    use_style()
    mpl.rcParams.update({"svg.hashsalt": "01_taxonomy", "svg.fonttype": "path"})
    path = Path(__file__).with_suffix(".svg")
    draw().savefig(path, metadata={"Date": None, "Creator": None})


if __name__ == "__main__":
    main()
