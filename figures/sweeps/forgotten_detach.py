"""Chapter 02's ring with a bug: D's turn does not detach, and G's gradient is reset too early.

``of_G.zero_grad()`` stands at the top of the round, so that what D's loss sends into G is added to
G's own gradient. The twin of each game, with the same weights, batches and noise, detaches.

    python figures/sweeps/forgotten_detach.py            # figures/runs/forgotten_detach.csv, .json
    python figures/sweeps/forgotten_detach.py --quick    # …/forgotten_detach.quick.csv, .json
"""

from __future__ import annotations

from functools import partial
from typing import Any

import pandas as pd
import torch
import torch.nn.functional as F
from by_script import record
from torch import Tensor

from gan_course.distributions import normal, ring
from gan_course.metrics import mode_coverage
from gan_course.networks import Ensemble, mlp

RING = ring(std=0.05)
SETTINGS: dict[str, Any] = {
    "runs": 24,
    "batch": 64,
    "width": 64,
    "samples": 2_500,
    "rate": 1e-3,
    "looks": [100, 300, 500, 700, 1_000, 1_400],  # in steps
}
QUICK = SETTINGS | {"runs": 4, "looks": [60]}


def round_of(
    players: tuple[Ensemble, Ensemble],
    optimisers: tuple[torch.optim.Optimizer, torch.optim.Optimizer],
    batches: tuple[Tensor, Tensor, Tensor],
    forgets: bool,
) -> None:
    """One round of Algorithm 1; real samples and noise are of shape ``(runs, batch, 2)``."""
    (G, D), (of_G, of_D), (x, z_D, z_G) = players, optimisers, batches
    of_G.zero_grad()  # too early: it belongs before G's own backward
    fake = G(z_D) if forgets else G(z_D).detach()
    loss = F.softplus(-D(x)).mean(dim=1).sum() + F.softplus(D(fake)).mean(dim=1).sum()
    of_D.zero_grad()
    loss.backward()
    of_D.step()
    F.softplus(-D(G(z_G))).mean(dim=1).sum().backward()
    of_G.step()


def measure(settings: dict[str, Any]) -> pd.DataFrame:
    """Play both games; a row for each run at each look."""
    frames: list[pd.DataFrame] = []
    runs, shape = settings["runs"], (settings["runs"], settings["batch"])
    for name in ("detached", "forgotten"):
        torch.manual_seed(0)
        player = partial(mlp, width=settings["width"], activation="leaky relu")
        G, D = Ensemble(partial(player, 2, 2), runs), Ensemble(partial(player, 2, 1), runs)
        adam = partial(torch.optim.Adam, lr=settings["rate"], betas=(0.5, 0.999))
        optimisers = adam(G.parameters()), adam(D.parameters())
        random = torch.Generator().manual_seed(0)
        for step in range(1, settings["looks"][-1] + 1):
            noise = normal(2).sample((2, *shape), random)
            batches = RING.sample(shape, random), noise[0], noise[1]
            round_of((G, D), optimisers, batches, name == "forgotten")
            if step in settings["looks"]:
                frames.append(look(G, D, settings["samples"]).assign(name=name, step=step))
                print(name, step, flush=True)
    return pd.concat(frames, ignore_index=True)[["name", "step", "run", "high_quality", "fake"]]


@torch.no_grad()
def look(G: Ensemble, D: Ensemble, samples: int) -> pd.DataFrame:
    """The share of high quality, and the mean of D on generated samples, of every run."""
    x = G(normal(2).sample((G.runs, samples), torch.Generator().manual_seed(1)))
    quality = mode_coverage(x, RING.centers, std=0.05).high_quality
    fake = D(x).sigmoid().mean(dim=(1, 2))
    columns = {"high_quality": quality.numpy().round(6), "fake": fake.double().numpy().round(6)}
    return pd.DataFrame({"run": range(G.runs)} | columns)


if __name__ == "__main__":
    record(__file__, measure, SETTINGS, QUICK)
