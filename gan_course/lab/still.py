"""A lab as it stands, as a picture: what a reader sees who has no kernel."""

from __future__ import annotations

import base64
from functools import partial
from io import BytesIO
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from gan_course.lab.curves import NAMES
from gan_course.lab.frames import Arrays, Head
from gan_course.lab.scores import reading
from gan_course.plotting import FAKE, INK, REAL, plot_belief, plot_game, plot_samples

Scores = tuple[Tensor, Tensor]

TEXT = "An interactive widget: run this notebook in JupyterLab to use it."


def bundle(head: Head, arrays: Arrays, scores: Scores) -> tuple[dict[str, str], dict[str, Any]]:
    """Return the picture of a frame by MIME type, and beside it what it shows in words."""
    buffer = BytesIO()
    draw(head, arrays, scores).savefig(buffer, format="png", metadata={"Software": None})
    picture = base64.b64encode(buffer.getvalue()).decode("ascii")
    return {"image/png": picture, "text/plain": TEXT}, {"image/png": {"alt": words(head)}}


def draw(head: Head, arrays: Arrays, scores: Scores) -> Figure:
    """Draw the main view and what D says: its probabilities, step by step, or its scores now.

    Args:
        head: of a frame, see :meth:`gan_course.lab.Lab.frame`.
        arrays: of the same frame.
        scores: what D returns for some real and some generated samples, each ``(samples,)``.
    """
    figure = Figure(figsize=(8, 3.6), dpi=110, layout="constrained")
    view, beside = figure.subplots(1, 2)
    tensors = {name: torch.from_numpy(array.copy()) for name, array in arrays.items()}
    paint = _draw_plane if head["dimension"] == 2 else _draw_line
    paint(view, head, tensors)
    settings = head["values"]
    view.set_title(f"step {head['step']:,}: k = {settings['k']}, {settings['loss']} loss")
    if reading(settings["loss"]).probability:
        _draw_beliefs(beside, tensors["curves"])
    else:
        _draw_scores(beside, *scores)
    return figure


def words(head: Head) -> str:
    """Say what the picture shows, for readers whose screen is read to them."""
    settings, covered = head["values"], head["measures"].get("modes")
    about = f"The lab after {head['step']} steps, with k = {settings['k']} and the "
    about += f"{settings['loss']} loss: data, generated samples and what the discriminator says."
    return about + (
        f" {covered:.0f} of {head['modes']} modes are covered." if covered is not None else ""
    )


def _draw_plane(ax: Axes, head: Head, arrays: dict[str, Tensor]) -> None:
    window = tuple(head["window"])
    if "belief" in arrays:
        side = len(arrays["belief"])
        plot_belief(ax, lambda _: arrays["belief"].T.flatten(), window, side)
    plot_samples(ax, arrays.get("real"), arrays.get("fake"), window)
    ax.set(xticks=[], yticks=[])


def _draw_line(ax: Axes, head: Head, arrays: dict[str, Tensor]) -> None:
    packed = head["values"]["packing"] > 1  # then there is no D(x)
    if {"p", "q"} <= arrays.keys() and (packed or "belief" in arrays):
        low, high = head["window"]
        x = torch.linspace(low, high, len(arrays["p"]))
        plot_game(ax, x, arrays["p"], arrays["q"], arrays.get("belief"))
        if not packed:
            ax.lines[2].set_label(head["reading"]["name"])  # of a critic, no probability
        ax.legend()


def _draw_beliefs(ax: Axes, curves: Tensor) -> None:
    row = dict(zip(NAMES, curves, strict=True))
    alone = len(row["step"]) == 1  # no line yet
    look = partial(ax.plot, row["step"], marker="o" if alone else None, markersize=4)
    look(row["real"], color=REAL, label="on real samples")
    look(row["fake"], color=FAKE, linestyle="--", label="on generated samples")
    if alone:
        ax.set_xticks(row["step"])
    ax.axhline(0.5, color=INK, linewidth=0.5)
    ax.set(ylim=(0, 1), xlabel="step", title="D, on average")
    ax.legend(loc="upper right")


def _draw_scores(ax: Axes, real: Tensor, fake: Tensor) -> None:
    both = torch.cat([real, fake])
    edges = np.histogram_bin_edges(both[both.isfinite()], 25)
    of_real, of_fake = (np.histogram(scores, edges, density=True)[0] for scores in (real, fake))
    ax.stairs(of_real, edges, fill=True, color=REAL, alpha=0.5, label="real")
    ax.stairs(of_fake, edges, color=FAKE, linestyle="--", linewidth=1.5, label="generated")
    ax.margins(y=0.25)  # for the legend
    ax.set(xlabel="score", yticks=[], title="D's scores")
    ax.locator_params(axis="x", nbins=6)
    ax.legend(loc="upper center", ncols=2)
