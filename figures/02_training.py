"""Draw one training at four moments, for the README; writes ``02_training.svg``."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
import torch
from matplotlib.figure import Figure

from gan_course.distributions import ring
from gan_course.networks import mlp
from gan_course.plotting import plot_belief, plot_samples, use_style
from gan_course.training import Trainer

MOMENTS = (0, 250, 750, 2_500)


def draw(seed: int = 0) -> Figure:
    """Train on the ring; show D's belief and the samples at each of ``MOMENTS``."""
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    target = ring(std=0.05)
    G, D = (mlp(2, outputs, width=64, activation="leaky relu") for outputs in (2, 1))
    trainer = Trainer(G, D, target, seed=seed, device="cpu")
    real = target.sample((400,), torch.Generator().manual_seed(seed))
    figure = Figure(figsize=(10, 2.8), layout="constrained")
    for ax, until in zip(figure.subplots(1, len(MOMENTS)), MOMENTS, strict=True):
        trainer.train(until - trainer.steps)
        plot_belief(ax, lambda x: trainer.discriminate(x)[0], target.window)
        plot_samples(ax, real, trainer.sample(400)[0], target.window)
        ax.set(title=f"{until:,} steps", xticks=[], yticks=[])
        ax.spines[:].set_visible(False)
    return figure


def main() -> None:
    """Write the figure."""
    use_style()
    mpl.rcParams.update({"svg.hashsalt": "02_training", "svg.fonttype": "path"})
    path = Path(__file__).with_suffix(".svg")
    draw().savefig(path, metadata={"Date": None, "Creator": None})


if __name__ == "__main__":
    main()
