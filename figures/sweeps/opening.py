"""Chapter 07's opening trainings, once they have collapsed: what brings the modes back?

The first part is the chapter's opening. Then it goes on for as long again: as it is, with noise
that begins only then and fades, or with five moves of D from then on. Beside them the opening with
five moves of D from its first step. All begin with the same weights, and are compared run by run.
In `noise.py` the noise is there from the start.

    python figures/sweeps/opening.py            # figures/runs/opening.csv, .json
    python figures/sweeps/opening.py --quick    # figures/runs/opening.quick.csv, .json
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
    "steps": 1_500,  # of each of the two parts
    "batch": 64,
    "samples": 2_500,
    "rates": [1e-3, 3e-4],  # of D and of G
    "k": 5,  # where D moves more often
    "noise": [0.3, 0.03, 1_000],  # from, to, over so many steps of the second part
}
QUICK = SETTINGS | {"runs": 6, "steps": 60, "noise": [0.3, 0.03, 40]}


def opening(settings: dict[str, Any], k: int) -> Trainer:
    """The opening's GANs before their first step."""
    torch.manual_seed(0)
    runs, (of_D, of_G) = settings["runs"], settings["rates"]
    G = Ensemble(partial(mlp, 32, 2, width=32, activation="relu"), runs)
    D = Ensemble(partial(mlp, 2, 1, width=32, fourier=12, frequencies=(0.6, 10.0)), runs)
    with_rates = {"discriminator_rate": of_D, "generator_rate": of_G, "averaging": 0.99}
    chosen = Settings(batch=settings["batch"], k=k, **with_rates)
    return Trainer(G, D, TARGET, PRIORS["codebook"](32), chosen, device="cpu")


def measure(settings: dict[str, Any]) -> pd.DataFrame:
    """Train all; a row for each run at each look."""
    frames: list[pd.DataFrame] = []
    steps, (high, low, fading), k = (settings[key] for key in ("steps", "noise", "k"))
    fade = {"instance_noise": Linear(high, low, steps, steps + fading)}
    second_parts = {
        "as it is": (1, None),
        "noise from now on": (1, fade),
        "more moves from now on": (1, {"k": lambda _: k}),
        "more moves": (k, None),
    }
    for name, (first_k, schedule) in second_parts.items():
        trainer = opening(settings, first_k)
        for part in (None, schedule):
            trainer.train(steps, schedule=part, progress=False)
            samples = trainer.sample(settings["samples"], averaged=True)
            seen = mode_coverage(samples, TARGET.centers, 0.05)._asdict()
            columns = {key: values.double().numpy().round(6) for key, values in seen.items()}
            rows = {"variant": name, "step": trainer.steps, "run": range(settings["runs"])}
            frames.append(pd.DataFrame(rows | columns))
            print(name, trainer.steps, flush=True)
    return pd.concat(frames, ignore_index=True)


if __name__ == "__main__":
    record(__file__, measure, SETTINGS, QUICK)
