"""When is minimax left behind? Two networks that both learn, with and without D's head start.

Small GANs learn a bell around 4 by the minimax and by the non-saturating cost, from the same
weights and with the same draws, so the two are compared in pairs. Either both begin together, or
D alone is trained until its mean logit of samples is as low as SETTINGS say, the same for every
optimiser. "SGD, equal norm" is the control: there each step of G has the same length, whatever the
cost. The JS of every run is computed, not estimated.

    python figures/sweeps/head_start.py            # figures/runs/head_start.csv, .json
    python figures/sweeps/head_start.py --quick    # figures/runs/head_start.quick.csv, .json
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import torch
from by_script import record
from torch import Tensor

from gan_course.distributions import GaussianMixture, normal
from gan_course.losses import LOSSES, cross_entropy
from gan_course.metrics import js_of_masses, line_masses
from gan_course.networks import Ensemble, mlp

EDGES = np.linspace(-200, 200, 40_001)  # some runs are thrown far
DATA = GaussianMixture([4.0], std=0.5)
SETTINGS: dict[str, Any] = {
    "runs": 32,
    "batch": 128,
    "ahead": -5.3,
    "moments": [0, 25, 50, 100, 200, 400],
    "rates": {"SGD": [0.05, 0.02], "SGD, equal norm": [0.05], "Adam": [1e-3, 3e-4]},
}
QUICK = SETTINGS | {"runs": 8, "ahead": -3.0, "moments": [0, 25], "rates": {"SGD": [0.05]}}


class Game:
    """An ensemble of pairs that play by one cost of G, on their own."""

    def __init__(self, loss: str, optimiser: str, rate: float, runs: int, batch: int) -> None:
        torch.manual_seed(0)
        self.random = torch.Generator().manual_seed(0)
        player = partial(mlp, 1, 1, width=16, activation="leaky relu")
        self.G, self.D = Ensemble(player, runs), Ensemble(player, runs)
        self.shape, self.cost = (runs, batch), LOSSES[loss].generator
        self.equal = optimiser == "SGD, equal norm"
        self.of_G, self.of_D = (
            torch.optim.Adam(m.parameters(), lr=rate, betas=(0.5, 0.999), fused=True)
            if optimiser == "Adam"
            else torch.optim.SGD(m.parameters(), lr=rate)
            for m in (self.G, self.D)
        )
        self.z = normal(1).sample((runs, 500), torch.Generator().manual_seed(1))

    def logits(self, x: Tensor) -> Tensor:
        """D's, shape ``(runs, batch)``."""
        return self.D(x).squeeze(-1)

    def discriminator_step(self) -> None:
        """One step of the discriminator."""
        real, z = (s.sample(self.shape, self.random) for s in (DATA, normal(1)))
        self.of_D.zero_grad()
        cross_entropy(self.logits(real), self.logits(self.G(z).detach())).sum().backward()
        self.of_D.step()

    def generator_step(self) -> None:
        """One step of the generator."""
        z = normal(1).sample(self.shape, self.random)
        self.of_G.zero_grad()
        self.cost(None, self.logits(self.G(z))).sum().backward()
        if self.equal:
            squares = [p.grad.flatten(1).square().sum(dim=1) for p in self.G.parameters()]
            norm = torch.stack(squares).sum(dim=0).sqrt().clamp(min=1e-30)
            for p in self.G.parameters():
                p.grad /= norm.view(-1, *[1] * (p.dim() - 1))
        self.of_G.step()

    def sure(self) -> Tensor:
        """D's mean logit of samples, shape ``(runs,)``."""
        with torch.no_grad():
            return self.logits(self.G(self.z)).mean(dim=1)


def play(game: Game, ahead: float | None, moments: list[int]) -> tuple[Tensor, Tensor]:
    """The true JS and D's mean logit of samples, each of shape ``(moments, runs)``."""
    while ahead is not None and game.sure().mean() > ahead:
        for _ in range(10):
            game.discriminator_step()
    middle = torch.from_numpy((EDGES[1:] + EDGES[:-1]) / 2).unsqueeze(-1)
    masses = DATA.log_prob(middle).exp() * (EDGES[1] - EDGES[0])
    js, logits, steps = [], [], 0
    for moment in moments:
        for _ in range(moment - steps):
            game.discriminator_step()
            game.generator_step()
        steps = moment
        js.append(js_of_masses(masses, line_masses(game.G, EDGES)))
        logits.append(game.sure())
    return torch.stack(js), torch.stack(logits)


def measure(settings: dict[str, Any]) -> pd.DataFrame:
    """Play every game; a row for each run, a column for each moment."""
    frames: list[pd.DataFrame] = []
    runs, batch, moments = (settings[key] for key in ("runs", "batch", "moments"))
    for optimiser, rates in settings["rates"].items():
        for rate in rates:
            for start, ahead in (("together", None), ("D ahead", settings["ahead"])):
                for loss in ("minimax", "non-saturating"):
                    game = Game(loss, optimiser, rate, runs, batch)
                    found = play(game, ahead, moments)
                    where = {"cell": len(frames), "optimiser": optimiser, "rate": rate}
                    where |= {"start": start, "loss": loss, "run": range(runs)}
                    for kind, values in zip(("js", "logit"), found, strict=True):
                        names = [f"{kind} {moment}" for moment in moments]
                        where |= dict(zip(names, values.numpy().round(6), strict=True))
                    frames.append(pd.DataFrame(where))
                    print(optimiser, rate, start, loss, flush=True)
    return pd.concat(frames, ignore_index=True)


if __name__ == "__main__":
    record(__file__, measure, SETTINGS, QUICK)
