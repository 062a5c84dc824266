"""Does fading noise bring modes back? Chapter 07's opening trainings, with noise and without.

The prior has many points and D sees waves; without noise G makes sharp samples of few modes. The
two settings begin with the same weights and see the same draws, so they are compared run by run.

    python figures/sweeps/noise.py            # figures/runs/noise.csv, .json
    python figures/sweeps/noise.py --quick    # figures/runs/noise.quick.csv, .json
"""

from __future__ import annotations

from functools import partial
from typing import Any

import pandas as pd
import torch
from by_script import record

from gan_course.distributions import PRIORS, ring
from gan_course.metrics import mode_coverage
from gan_course.networks import Ensemble, mlp
from gan_course.training import Linear, Settings, Trainer

TARGET = ring(std=0.05)
SETTINGS: dict[str, Any] = {
    "runs": 32,
    "steps": 1_500,
    "batch": 64,
    "samples": 2_500,
    "rates": [1e-3, 3e-4],  # of D and of G
    "noise": [0.3, 0.03, 1_000],  # from, to, over so many steps
}
QUICK = SETTINGS | {"runs": 6, "steps": 60, "noise": [0.3, 0.03, 40]}


def measure(settings: dict[str, Any]) -> pd.DataFrame:
    """Train both; a row for each run."""
    frames: list[pd.DataFrame] = []
    runs, (of_D, of_G), (high, low, fading) = (settings[k] for k in ("runs", "rates", "noise"))
    schedules = {"no noise": None, "noise": {"instance_noise": Linear(high, low, 0, fading)}}
    for name, schedule in schedules.items():
        torch.manual_seed(0)
        G = Ensemble(partial(mlp, 32, 2, width=32, activation="relu"), runs)
        D = Ensemble(partial(mlp, 2, 1, width=32, fourier=12, frequencies=(0.6, 10.0)), runs)
        with_rates = {"discriminator_rate": of_D, "generator_rate": of_G, "averaging": 0.99}
        chosen = Settings(batch=settings["batch"], **with_rates)
        trainer = Trainer(G, D, TARGET, PRIORS["codebook"](32), chosen, device="cpu")
        trainer.train(settings["steps"], schedule=schedule, progress=False)
        samples = trainer.sample(settings["samples"], averaged=True)
        seen = mode_coverage(samples, TARGET.centers, 0.05)._asdict()
        columns = {key: values.double().numpy().round(6) for key, values in seen.items()}
        frames.append(pd.DataFrame({"variant": name, "run": range(runs)} | columns))
        print(name, flush=True)
    return pd.concat(frames, ignore_index=True)


if __name__ == "__main__":
    record(__file__, measure, SETTINGS, QUICK)
