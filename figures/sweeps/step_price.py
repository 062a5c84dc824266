"""What a step of D costs in time of the processor: plain, with a penalty, on another leash.

The networks of chapter 06 on the line and of chapter 08 in the plane. All ways take turns, so that
other work on the machine burdens them alike; a row for each turn has the seconds of a step of D
and of a step of G.

    python figures/sweeps/step_price.py            # figures/runs/step_price.csv, .json
    python figures/sweeps/step_price.py --quick    # figures/runs/step_price.quick.csv, .json
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import pandas as pd
import torch
from by_script import record
from leashes import sorting_critic
from torch import nn

from gan_course.distributions import GaussianMixture, normal, ring
from gan_course.networks import Ensemble, mlp
from gan_course.training import Settings, Trainer

SETTINGS: dict[str, Any] = {"turns": 12, "steps": 10}
QUICK: dict[str, Any] = {"turns": 2, "steps": 2}
line = partial(mlp, 1, 1, activation="leaky relu")
plane = partial(mlp, 2, 1, width=32, activation="leaky relu")
#: By place and way: how D is made, and what differs from the plain settings.
WAYS: dict[tuple[str, str], tuple[Callable[[], nn.Module], dict[str, Any]]] = {
    ("line", "plain"): (partial(line, width=16), {}),
    ("line", "R1"): (partial(line, width=16), {"penalties": {"R1": 0.3}}),
    ("line", "R2"): (partial(line, width=16), {"penalties": {"R2": 0.3}}),
    ("line", "wide D"): (partial(line, width=64), {}),
    ("plane", "plain"): (plane, {}),
    ("plane", "penalty"): (plane, {"penalties": {"WGAN-GP": 1.0}}),
    ("plane", "clipping"): (plane, {"clip": 0.1}),
    ("plane", "spectral norm"): (partial(plane, spectral_norm=True), {}),
    ("plane", "MaxMin"): (sorting_critic, {}),
}


def game(place: str, way: str) -> Trainer:
    """An ensemble as large as that of the chapter's record, before its first step."""
    critic, change = WAYS[place, way]
    torch.manual_seed(0)
    if place == "line":
        G, D = Ensemble(partial(line, width=16), 64), Ensemble(critic, 64)
        data, chosen = GaussianMixture([1.0], std=0.5), Settings(batch=128, **change)
        return Trainer(G, D, data, normal(1), chosen, device="cpu")
    G = Ensemble(lambda: mlp(2, 2, width=32, activation="leaky relu"), 32)
    chosen = Settings(loss="wasserstein", batch=64, **change)
    return Trainer(G, Ensemble(critic, 32), ring(std=0.05), normal(2), chosen, device="cpu")


def seconds(step: Callable[[], object], steps: int) -> float:
    """Of the processor, for one step."""
    begin = time.process_time()
    for _ in range(steps):
        step()
    return (time.process_time() - begin) / steps


def measure(settings: dict[str, Any]) -> pd.DataFrame:
    """Let all ways take turns; a row for each turn of each."""
    games, steps = {way: game(*way) for way in WAYS}, settings["steps"]
    rows = []
    for turn in range(-1, settings["turns"]):  # the first warms up
        for (place, way), trainer in games.items():
            both = trainer.discriminator_step, trainer.generator_step
            D, G = (seconds(step, steps) for step in both)
            rows.append({"place": place, "way": way, "turn": turn, "D": D, "G": G})
    return pd.DataFrame(rows)[lambda table: table["turn"] >= 0].round(6)


if __name__ == "__main__":
    record(__file__, measure, SETTINGS, QUICK)
