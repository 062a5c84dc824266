"""What changes a training on the line: rates, k, memory, penalties, noise, a wider D.

Small GANs learn one bell and two bells. The JS of every run is computed, not estimated, at the
same numbers of gradient evaluations. The runs of all contenders begin with the same weights
(a wider D aside), so they are compared in pairs; with k = 1 and no noise they see the same draws.
The plain training goes on until dearer ones have had its time; on two bells k = 5 and a slow G go
on until G has moved as much as in the plain one.

    python figures/sweeps/dynamics.py            # figures/runs/dynamics.csv, .json
    python figures/sweeps/dynamics.py --quick    # figures/runs/dynamics.quick.csv, .json
"""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import torch
from by_script import record
from torch import Tensor

from gan_course.distributions import GaussianMixture, normal
from gan_course.metrics import js_of_masses, line_masses
from gan_course.networks import Ensemble, mlp
from gan_course.training import Linear, Settings, Trainer

EDGES = np.linspace(-30, 30, 20_001)
TARGETS = {
    "one bell": GaussianMixture([1.0], std=0.5),
    "two bells": GaussianMixture([-1.5, 1.5], std=0.4),
}
NOISE = math.sqrt(0.6)  # √(2γ) for γ = 0.3
#: What differs from the plain training; ``width`` is D's, ``schedule`` the trainer's.
CONTENDERS: dict[str, dict[str, Any]] = {
    "plain": {},
    "k = 5": {"k": 5},
    "D's rate × 5": {"discriminator_rate": 5e-3},
    "β₁ = 0": {"betas": (0.0, 0.999)},
    "β₁ = 0.9": {"betas": (0.9, 0.999)},
    "R1": {"penalties": {"R1": 0.3}},
    "R2": {"penalties": {"R2": 0.3}},
    "noise": {"instance_noise": NOISE},
    "noise, annealed": {"schedule": {"instance_noise": Linear(NOISE, 0.0, 0, 1_200)}},
    "wide D": {"width": 64},
    "wide D, R1": {"width": 64, "penalties": {"R1": 0.3}},
    "G's rate / 5": {"generator_rate": 2e-4},
}
LONG = [3_600, 4_800, 6_000, 7_200, 9_600, 12_000]
SETTINGS: dict[str, Any] = {
    "runs": 64,
    "batch": 128,
    "moments": [0, 150, 300, 600, 1_200, 2_400],
    "longer": {  # more moments
        "one bell": {"plain": LONG},
        "two bells": {"plain": LONG, "k = 5": [3_600, 7_200], "G's rate / 5": [6_000, 12_000]},
    },
}
QUICK = SETTINGS | {"runs": 8, "moments": [0, 150], "longer": {name: {} for name in TARGETS}}


def true_js(trainer: Trainer, data: GaussianMixture) -> Tensor:
    """JS of the data and of each run's p_g, shape ``(runs,)``."""
    middle = torch.from_numpy((EDGES[1:] + EDGES[:-1]) / 2)
    p = data.log_prob(middle.unsqueeze(-1)).exp() * (EDGES[1] - EDGES[0])
    return js_of_masses(p, line_masses(trainer.generator, EDGES))


def train(
    data: GaussianMixture, moments: list[int], runs: int, batch: int, **change: Any
) -> Tensor:
    """Train an ensemble, and look at some numbers of gradient evaluations.

    Returns:
        The JS, shape ``(moments, runs)``.
    """
    width, schedule = change.pop("width", 16), change.pop("schedule", None)
    torch.manual_seed(0)
    player = partial(mlp, 1, 1, activation="leaky relu")
    G = Ensemble(partial(player, width=16), runs)
    D = Ensemble(partial(player, width=width), runs)
    trainer = Trainer(G, D, data, normal(1), Settings(batch=batch, **change), device="cpu")
    found = []
    for evaluations in moments:
        steps = evaluations // (trainer.settings.k + 1) - trainer.steps
        trainer.train(steps, schedule=schedule, progress=False)
        found.append(true_js(trainer, data))
    return torch.stack(found)


def measure(settings: dict[str, Any]) -> pd.DataFrame:
    """Train every contender on every target; a row for each run, a column for each moment.

    A moment after the last that all have is empty for the contenders that do not go so far.
    """
    frames: list[pd.DataFrame] = []
    for target, data in TARGETS.items():
        for contender, change in CONTENDERS.items():
            moments = settings["moments"] + settings["longer"][target].get(contender, [])
            found = train(data, moments, settings["runs"], settings["batch"], **change)
            where = {"cell": len(frames), "target": target, "contender": contender}
            columns = {"run": range(settings["runs"])} | dict(
                zip(map(str, moments), found.numpy().round(6), strict=True)
            )
            frames.append(pd.DataFrame(where | columns))
    table = pd.concat(frames, ignore_index=True)
    looked = sorted((name for name in table if str(name).isdigit()), key=int)
    return table[["cell", "target", "contender", "run", *looked]]


if __name__ == "__main__":
    record(__file__, measure, SETTINGS, QUICK)
