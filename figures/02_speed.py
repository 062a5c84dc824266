"""Draw what an ensemble saves, from the benchmark's record; writes ``02_speed.svg``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator

from gan_course.plotting import INK, JUDGE, use_style

RECORD = Path(__file__).parents[1] / "benchmarks" / "results" / "cpu.json"
STYLES = {16: {"color": INK, "marker": "o"}, 128: {"color": JUDGE, "marker": "s"}}
LEVELS = {16: ":", 128: (0, (6, 2))}


def draw(record: dict[str, Any]) -> Figure:
    """Time of one GAN-step against the number of runs, and against the width."""
    figure = Figure(figsize=(7, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    for width, style in STYLES.items():
        curve(left, record["runs"][str(width)], label=f"width {width}", **style)
        (row,) = (
            row["contenders"]
            for row in record["results"]
            if (row["width"], row["k"], row["R1"]) == (width, 1, 0)
        )
        plain = 1e3 / row["plain loop"]["steps_per_second"]
        left.axhline(
            plain, color=style["color"], linestyle=LEVELS[width], label=f"tutorial loop, {width}"
        )
    left.set(xlabel="runs that train at once", ylabel="milliseconds", title="a step of one run")
    left.legend(fontsize="small", loc="upper left")
    curve(right, record["widths"], color=INK, marker="o")
    right.set(xlabel="width of the hidden layers", title="a step of a wider GAN")
    left.set_yscale("log")
    left.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    left.yaxis.set_major_formatter("{x:g}")
    for ax, found in ((left, record["runs"]["16"]), (right, record["widths"])):
        ax.set_xscale("log", base=2)
        ax.set_xticks([int(key) for key in found], list(found))
        ax.minorticks_off()
    return figure


def curve(ax: Axes, found: dict[str, Any], **style: Any) -> None:
    """Milliseconds of one GAN-step, with the spread over the rounds."""
    x = [int(key) for key in found]
    middle = [1e3 / row["steps_per_second"] for row in found.values()]
    low, high = ([1e3 / row["spread"][end] for row in found.values()] for end in (1, 0))
    ax.plot(x, middle, markersize=4, **style)
    ax.fill_between(x, low, high, color=style["color"], alpha=0.2, linewidth=0)


def main() -> None:
    """Write the figure."""
    use_style()
    mpl.rcParams.update({"svg.hashsalt": "02_speed", "svg.fonttype": "path"})
    path = Path(__file__).with_suffix(".svg")
    figure = draw(json.loads(RECORD.read_text("utf-8")))
    figure.savefig(path, metadata={"Date": None, "Creator": None})


if __name__ == "__main__":
    main()
