"""Does a critic's value follow W1, and who stays in the penalty's trap?

Generators of the small ring are trained with six critics: the gradient penalty with one, five,
twenty and fifty steps of the critic for each step of G, weight clipping, and MaxMin units between
orthonormal weights. At each moment the true W1 of the samples, the critic's value and its largest
slope are measured; at one moment of two contenders W1 also by a matching of more samples. All
contenders' generators begin with the same weights.

Four problems stand still: all data at one point and all samples at another, on a line and in the
plane, and the bells and the ring of chapter 08. Only the critics learn, with λ = 10, far longer
than in the chapter. Some sit in the trap. Until when? On the ring MaxMin learns, too. Its W1 there
is the mean of several matchings.

    python figures/sweeps/leashes.py            # figures/runs/leashes.csv, .json
    python figures/sweeps/leashes.py --quick    # figures/runs/leashes.quick.csv, .json
"""

from __future__ import annotations

import math
from functools import cache, partial
from itertools import product
from typing import Any

import pandas as pd
import torch
from by_script import record
from scipy.optimize import linear_sum_assignment
from torch import Tensor, nn
from torch.nn.utils.parametrizations import orthogonal

from gan_course.distributions import Empirical, GaussianMixture, Source, normal, ring
from gan_course.networks import Ensemble, mlp
from gan_course.penalties import gradient_norm
from gan_course.theory import wasserstein1
from gan_course.training import Settings, Trainer

SOFT = {"penalties": {"WGAN-GP": 1.0}}
#: The critic's leash; and at which steps of G one looks.
TRAININGS: dict[str, tuple[dict[str, Any], list[int]]] = {
    "penalty, k = 1": ({"k": 1} | SOFT, [0, 10, 20, 40, 60, 210, 420]),
    "penalty, k = 5": ({"k": 5} | SOFT, [0, 10, 20, 40, 60, 70, 140, 200]),
    "penalty, k = 20": ({"k": 20} | SOFT, [0, 10, 20, 40, 60]),
    "penalty, k = 50": ({"k": 50} | SOFT, [0, 9, 10, 17, 20, 24, 40, 60]),
    "clipping, k = 5": ({"k": 5, "clip": 0.1}, [0, 10, 20, 40, 60, 200]),
    "MaxMin, k = 5": ({"k": 5}, [0, 10, 20, 40, 60, 200]),
}
BELLS = GaussianMixture([-2.0, 2.0], std=0.5), GaussianMixture([0.0], std=0.5)
RING = ring(std=0.05), GaussianMixture(torch.zeros(1, 2), 0.25)
#: Data, samples, the width of the critic.
STANDING: dict[str, tuple[Source, Source, int]] = {
    "two points on a line": (Empirical(torch.zeros(1, 1)), Empirical(torch.ones(1, 1)), 16),
    "two points in the plane": (
        Empirical(torch.zeros(1, 2)),
        Empirical(torch.tensor([[1.0, 0.0]])),
        16,
    ),
    "bells": (*BELLS, 32),
    "ring": (*RING, 32),
    "ring, MaxMin": (*RING, 32),
}
SETTINGS: dict[str, Any] = {
    "runs": 32,
    "samples": 200,
    "last": 420,
    "standing": [200, 300, 600, 1_000, 1_500, 2_000],
    "on the ring": [4_000],  # a last look, there alone
    # Where W1 is asked of more samples, too; and how often of two standing laws of the plane:
    "finer": {"samples": 1_000, "step": 200, "of": ["penalty, k = 5", "MaxMin, k = 5"]},
    "matchings": 16,
}
QUICK: dict[str, Any] = SETTINGS | {
    "runs": 8,
    "last": 20,
    "standing": [200],
    "on the ring": [],
    "finer": {"samples": 400, "step": 20, "of": ["MaxMin, k = 5"]},
    "matchings": 4,
}


class MaxMin(nn.Module):
    """Sort the units in pairs: (…, units) to (…, units), the larger ones first."""

    def forward(self, x: Tensor) -> Tensor:
        """Return the units, each pair in order."""
        pairs = x.unflatten(-1, (-1, 2))
        return torch.cat([pairs.amax(dim=-1), pairs.amin(dim=-1)], dim=-1)


def sorting_critic(dim: int = 2, width: int = 32) -> nn.Module:
    """Two hidden layers of MaxMin units between orthonormal weights: slope at most 1."""
    sizes = [(dim, width), (width, width), (width, 1)]
    first, second, last = (orthogonal(nn.Linear(*size), orthogonal_map="cayley") for size in sizes)
    return nn.Sequential(first, MaxMin(), second, MaxMin(), last)


def true_w1(x: Tensor, y: Tensor) -> float:
    """W1 of two samples of equal size ``(samples, dim)``, by matching."""
    cost = torch.cdist(x.double(), y.double()).numpy()
    i, j = linear_sum_assignment(cost)
    return float(cost[i, j].mean())


@cache
def of_standing_ring(matchings: int) -> float:
    """W1 of the ring and its standing samples: a mean of matchings of 1,000 of each."""
    random = torch.Generator().manual_seed(2)
    pairs = ([law.sample((1_000,), random) for law in RING] for _ in range(matchings))
    return sum(true_w1(*pair) for pair in pairs) / matchings


def steepest(f: nn.Module, runs: int, dim: int) -> Tensor:
    """Largest slope of each critic on a grid that holds data and samples, shape ``(runs,)``."""
    side = torch.linspace(-2.5, 2.5, 501) if dim == 1 else torch.linspace(-1.2, 1.2, 39)
    grid = torch.cartesian_prod(*[side] * dim).reshape(-1, dim)
    return gradient_norm(f, grid.expand(runs, *grid.shape)).amax(dim=1).detach()


def train(name: str, settings: dict[str, Any]) -> list[dict[str, Any]]:
    """Train generators and critics; a row for each run and moment."""
    change, moments = TRAININGS[name]
    runs, samples = settings["runs"], settings["samples"]
    data, critic = ring(std=0.05), partial(mlp, 2, 1, width=32, activation="leaky relu")
    torch.manual_seed(0)
    G = Ensemble(lambda: mlp(2, 2, width=32, activation="leaky relu"), runs)
    f = Ensemble(sorting_critic if name.startswith("MaxMin") else critic, runs)
    chosen = Settings(
        loss="wasserstein",
        batch=64,
        discriminator_rate=3e-3,
        generator_rate=1e-3,
        betas=(0.5, 0.9),
        **change,
    )
    trainer, rows = Trainer(G, f, data, normal(2), chosen, device="cpu"), []
    for step in (moment for moment in moments if moment <= settings["last"]):
        trainer.train(step - trainer.steps, progress=False)
        random = torch.Generator().manual_seed(1)
        with torch.no_grad():
            real = data.sample((runs, 2_000), random)
            fake = trainer.generator(normal(2).sample((runs, 2_000), random))
            value = (trainer.logits(real) - trainer.logits(fake)).mean(dim=1)
        finer = settings["finer"]
        many = finer["samples"] if (step, name) in product([finer["step"]], finer["of"]) else 0
        pairs = list(zip(real, fake, strict=True))
        w1, finer_w1 = (
            torch.tensor([true_w1(x[:n], y[:n]) if n else math.nan for x, y in pairs])
            for n in (samples, many)
        )
        rows += _rows(name, step, w1, value, steepest(trainer.discriminator, runs, 2), finer_w1)
    return rows


def stand(name: str, settings: dict[str, Any]) -> list[dict[str, Any]]:
    """Train critics alone, MaxMin or the penalty at λ = 10; a row for each run and moment."""
    data, fake, width = STANDING[name]
    runs, dim = settings["runs"], data.event_shape[0]
    w1 = wasserstein1(*BELLS) if name == "bells" else 1.0
    if data is RING[0]:
        w1 = of_standing_ring(settings["matchings"])
    torch.manual_seed(0)
    random, rows = torch.Generator().manual_seed(0), []
    sorts = name.endswith("MaxMin")
    penalised = partial(mlp, dim, 1, width=width, activation="leaky relu")
    f = Ensemble(partial(sorting_critic, dim, width) if sorts else penalised, runs)
    adam = torch.optim.Adam(f.parameters(), lr=3e-3, betas=(0.5, 0.999), fused=True)
    looks = settings["standing"] + settings["on the ring"] * (data is RING[0])
    for step in range(1, looks[-1] + 1):
        x, y = data.sample((runs, 64), random), fake.sample((runs, 64), random)
        loss = (f(y) - f(x)).mean(dim=(1, 2))
        if not sorts:
            between = y + torch.rand(runs, 64, 1, generator=random) * (x - y)
            loss = loss + 10 * (gradient_norm(f, between) - 1).square().mean(dim=1)
        adam.zero_grad()
        loss.sum().backward()
        adam.step()
        if step in looks:
            later = torch.Generator().manual_seed(1)
            x, y = (source.sample((runs, 2_000), later) for source in (data, fake))
            with torch.no_grad():
                value = (f(x) - f(y)).mean(dim=(1, 2))
            rows += _rows(name, step, torch.full((runs,), w1), value, steepest(f, runs, dim))
    return rows


def _rows(name: str, step: int, *measured: Tensor) -> list[dict[str, Any]]:
    columns = ("w1", "value", "slope", "finer w1")
    return [
        {"contender": name, "step": step, "run": run} | dict(zip(columns, row, strict=False))
        for run, row in enumerate(torch.stack(measured, dim=1).tolist())
    ]


def measure(settings: dict[str, Any]) -> pd.DataFrame:
    """Everything; a row for each contender, moment and run."""
    rows = [row for name in TRAININGS for row in train(name, settings)]
    rows += [row for name in STANDING for row in stand(name, settings)]
    return pd.DataFrame(rows).round(5)


if __name__ == "__main__":
    record(__file__, measure, SETTINGS, QUICK)
