"""Trainings of the lab for readers without Python: each of some k with each of some losses.

The lab itself trains, on the ring, in batches of 64 to be quick, with its own values of all else;
several seeds at once, as a wall. The static book plays them (``book/player.py``). The table has
the numbers of each moment and run; beside it lie, in bytes, the samples and D's belief.

    python figures/sweeps/trainings.py            # figures/runs/trainings.csv, .json, .npz
    python figures/sweeps/trainings.py --quick    # figures/runs/trainings.quick.csv, .json
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pandas as pd
import torch
from by_script import RUNS, record
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from gan_course.lab import Lab
from gan_course.lab.scene import Scene

SETTINGS: dict[str, Any] = {
    "losses": {
        "non-saturating": {"loss": "non-saturating"},
        "minimax": {"loss": "minimax"},
        "least squares": {"loss": "least squares"},
        "wasserstein": {"loss": "wasserstein"},
        "wasserstein with WGAN-GP": {"loss": "wasserstein", "penalty": "WGAN-GP"},
    },
    "k": [1, 2, 3, 5, 8, 10, 20],
    "batch": 64,
    "runs": 6,
    "steps": 200,
    "every": 5,
}
QUICK: dict[str, Any] = SETTINGS | {
    "losses": {name: SETTINGS["losses"][name] for name in ("non-saturating", "least squares")},
    "k": [1, 3],
    "runs": 2,
    "steps": 10,
}
#: Samples that are kept of a run at a moment, and points a side of the grid of D's belief.
POINTS, SIDE = 96, 16
#: A coordinate is a byte, from 0 to this over the window; a sample outside has the next one.
TOP = 254
#: What the page draws: ``points``, shape (losses, ks, moments, runs, points, 2); ``belief``, the
#: shade of D with the first row lowest, (losses, ks, moments, runs, side, side); ``real`` samples,
#: (points, 2).
KEPT: dict[str, NDArray[np.uint8]] = {}


def as_bytes(x: Tensor, window: tuple[float, float]) -> NDArray[np.uint8]:
    """Coordinates as bytes, 0 to :data:`TOP` over the window; a sample outside is TOP + 1."""
    low, high = window
    inside = ((x >= low) & (x <= high)).all(dim=-1, keepdim=True)
    share = ((x - low) / (high - low)).nan_to_num(0).clamp(0, 1)
    codes = torch.where(inside, (share * TOP).round(), TOP + 1.0)
    return codes.to(torch.uint8).numpy()


def coarse(belief: Tensor) -> NDArray[np.uint8]:
    """A shade from 0 to 1 on a square grid, as bytes on one of :data:`SIDE` points a side."""
    small = F.interpolate(belief[None, None], (SIDE, SIDE), mode="bilinear", align_corners=True)
    return (small[0, 0].nan_to_num(0.5) * 255).round().to(torch.uint8).numpy()


def moment(lab: Lab) -> tuple[list[dict[str, float]], NDArray[np.uint8], NDArray[np.uint8]]:
    """The numbers, the samples and D's belief of every run."""
    rows, points, belief = [], [], []
    for run in range(lab.runs):
        scene = Scene.of(lab.trainer, run)
        found = scene.measures()
        real, fake = (found.get(name, found.get(f"{name}_score")) for name in ("real", "fake"))
        rows.append(
            {
                "step": lab.trainer.steps,
                "run": run,
                "modes": found["modes"],
                "high_quality": found["quality"],
                "real": real,
                "fake": fake,
            }
        )
        points.append(as_bytes(scene.fake[:POINTS], scene.data.window))
        belief.append(coarse(scene.arrays(["belief"])["belief"]))
    KEPT["real"] = as_bytes(scene.real[:POINTS], scene.data.window)
    return rows, np.stack(points), np.stack(belief)


def train(k: int, values: dict[str, Any], settings: dict[str, Any]) -> list[Any]:
    """The moments of one wall."""
    lab = Lab(runs=settings["runs"], controls=[], k=k, batch=settings["batch"], **values)
    moments = [moment(lab)]
    for _ in range(settings["every"], settings["steps"] + 1, settings["every"]):
        lab.run(settings["every"])
        moments.append(moment(lab))
    lab.stop()
    return moments


def measure(settings: dict[str, Any]) -> pd.DataFrame:
    """Train all of them; a row for each loss, k, moment and run."""
    rows: list[dict[str, Any]] = []
    points, belief = [], []
    for name, values in settings["losses"].items():
        for k in settings["k"]:
            numbers, samples, shades = zip(*train(k, values, settings), strict=True)
            rows += [{"loss": name, "k": k} | row for some in numbers for row in some]
            points.append(np.stack(samples))
            belief.append(np.stack(shades))
            sys.stderr.write(f"{name}, k = {k}\n")
    grid = len(settings["losses"]), len(settings["k"])
    for what, arrays in (("points", points), ("belief", belief)):
        KEPT[what] = np.stack(arrays).reshape(*grid, *arrays[0].shape)
    return pd.DataFrame(rows).round(4)


if __name__ == "__main__":
    record(__file__, measure, SETTINGS, QUICK)
    if "--quick" not in sys.argv[1:]:
        np.savez_compressed(RUNS / "trainings.npz", **KEPT)
