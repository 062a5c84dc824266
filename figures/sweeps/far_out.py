"""How do judges on a leash pull far out, with time?

The judges of chapter 08's opening between two parallel lines at distance 20, spectrally normalised
or with a gradient penalty. The generator stands still. For each leash and loss of D, at a few of
its steps: the slope of each of G's costs at θ, and how far D's logits of the two lines are apart.

    python figures/sweeps/far_out.py            # figures/runs/far_out.csv, .json
    python figures/sweeps/far_out.py --quick    # figures/runs/far_out.quick.csv, .json
"""

from __future__ import annotations

from functools import partial
from itertools import product
from typing import Any

import pandas as pd
import torch
from by_script import record
from torch import Tensor, nn

from gan_course.distributions import Empirical, Uniform
from gan_course.losses import LOSSES
from gan_course.networks import Ensemble, mlp
from gan_course.training import Settings, Trainer

#: The loss of D; and the costs of G whose slope is measured.
COSTS = {
    "minimax": ["minimax", "non-saturating"],
    "least squares": ["least squares"],
    "hinge": ["hinge"],
    "wasserstein": ["wasserstein"],
}
#: What D's networks and its training are given.
LEASHES: dict[str, tuple[dict[str, bool], dict[str, dict[str, float]]]] = {
    "spectral norm": ({"spectral_norm": True}, {}),
    "penalty": ({}, {"penalties": {"WGAN-GP": 10.0}}),
}
SETTINGS: dict[str, Any] = {"runs": 16, "distance": 20.0, "steps": [150, 600, 1_500]}
QUICK: dict[str, Any] = SETTINGS | {"runs": 8, "steps": [150]}


class Line(nn.Module):
    """G(u) = (θ, u)."""

    def __init__(self, theta: float) -> None:
        super().__init__()
        self.theta = nn.Parameter(torch.tensor([theta]))

    def forward(self, u: Tensor) -> Tensor:
        """Put the numbers ``(batch, 1)`` on the line, ``(batch, 2)``."""
        return torch.cat([self.theta.expand_as(u), u], dim=-1)


def measure(settings: dict[str, Any]) -> pd.DataFrame:
    """Train D of each leash and loss; a row for each cost of G, moment and run."""
    rows, runs = [], settings["runs"]
    u = (torch.arange(1_000) + 0.5) / 1_000
    line = Empirical(torch.stack([0 * u, u], dim=1))
    for (leash, (built, trained)), (loss, costs) in product(LEASHES.items(), COSTS.items()):
        judge = partial(mlp, 2, 1, width=32, activation="leaky relu", **built)
        torch.manual_seed(0)
        G = Ensemble(partial(Line, settings["distance"]), runs)
        chosen = Settings(loss=loss, batch=32, discriminator_rate=3e-3, **trained)
        trainer = Trainer(G, Ensemble(judge, runs), line, Uniform(0.0, 1.0), chosen, device="cpu")
        done = 0
        for step in settings["steps"]:
            for _ in range(step - done):
                trainer.discriminator_step()
            done, random = step, torch.Generator().manual_seed(1)
            real = trainer.logits(line.sample((runs, 2_000), random))
            fake = trainer.logits(trainer.generator(trainer.prior.sample((runs, 2_000), random)))
            gap = (real.mean(dim=1) - fake.mean(dim=1)).tolist()
            for cost in costs:
                total = LOSSES[cost].generator(real, fake).sum()
                theta = trainer.generator.module.theta
                (slope,) = torch.autograd.grad(total, [theta], retain_graph=True)
                rows += [
                    {"leash": leash, "cost": cost, "step": step, "run": run, "pull": pull}
                    | {"gap": apart}
                    for run, (pull, apart) in enumerate(
                        zip(slope.flatten().tolist(), gap, strict=True)
                    )
                ]
    return pd.DataFrame(rows).round(6)


if __name__ == "__main__":
    record(__file__, measure, SETTINGS, QUICK)
