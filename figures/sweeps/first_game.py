"""Chapter 02's game on the ring from many seeds: priors, k, a D far ahead; and does G copy digits?

The games in which D gets far ahead are played by two costs of G, and once more from an even start.

All games begin with the same weights of one seed (another prior aside), so that they are compared
run by run. Each is looked at with 2,500 samples: clusters covered, share of high quality, the mean
of D on real and on generated samples; of the games by k also the share in a cluster's direction,
whatever its distance from the middle. The painters of digits come in pairs, one for each half of
the data: recorded are the share of digits that lie nearer to the half that was seen, the median
distance to the nearest unseen one, and how many unseen ones are a nearest.

    python figures/sweeps/first_game.py            # figures/runs/first_game.csv, .json
    python figures/sweeps/first_game.py --quick    # figures/runs/first_game.quick.csv, .json
"""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import pandas as pd
import torch
from by_script import record
from torch import Tensor, nn

from gan_course.distributions import Empirical, GaussianMixture, Source, normal, ring, uniform
from gan_course.images import digits
from gan_course.metrics import mode_coverage
from gan_course.networks import Ensemble, mlp
from gan_course.training import Settings, Trainer

RING = ring(std=0.05)
PRIORS: dict[str, Source] = {
    "normal, 1 dimension": normal(1),
    "normal, 2": normal(2),
    "uniform, 2": uniform(2),
    "normal, 8": normal(8),
    "normal, 2, narrow": GaussianMixture(torch.zeros(1, 2), 3**-0.5),  # the uniform's spread
}
SETTINGS: dict[str, Any] = {
    "runs": 24,
    "batch": 64,
    "width": 64,
    "samples": 2_500,
    # When to look, in steps:
    "priors": {name: [700, 2_100] for name in PRIORS} | {"normal, 2, narrow": [700]},
    "k": {"1": [100, 300, 400, 600, 900], "5": [100, 200, 300]},
    "far ahead": {"alone": 200, "rate": 1e-5, "back": [100, 400, 800]},
    "even": [100, 400, 800],  # no head start
    "digits": {"pairs": 16, "steps": 800, "painted": 800},
}
QUICK = SETTINGS | {
    "runs": 4,
    "priors": {name: [60] for name in PRIORS},
    "k": {"1": [40], "5": [40]},
    "far ahead": {"alone": 40, "rate": 1e-5, "back": [20]},
    "even": [60],
    "digits": {"pairs": 2, "steps": 20, "painted": 200},
}


def game(chosen: dict[str, Any], prior: Source, **settings: Any) -> Trainer:
    """Pairs of networks before their first step, one for each run."""
    torch.manual_seed(0)
    player = partial(mlp, width=chosen["width"], activation="leaky relu")
    G = Ensemble(partial(player, *prior.event_shape, 2), chosen["runs"])
    D = Ensemble(partial(player, 2, 1), chosen["runs"])
    settings = {"batch": chosen["batch"]} | settings
    return Trainer(G, D, RING, prior, Settings(**settings), device="cpu")


def on_spokes(x: Tensor) -> Tensor:
    """The share in the direction of a cluster, up to three standard deviations, ``(runs,)``."""
    angle = torch.atan2(x[..., 1], x[..., 0]) - torch.atan2(RING.centers[0, 1], RING.centers[0, 0])
    turn = 2 * math.pi / len(RING.centers)
    off = (angle + turn / 2) % turn - turn / 2  # from the nearest direction
    return (off.abs() < 0.15).float().mean(dim=-1)


def look(trainer: Trainer, samples: int, spokes: bool = False) -> dict[str, Tensor]:
    """What the samples and D are like, each of shape ``(runs,)``."""
    x = trainer.sample(samples)
    y = RING.sample((trainer.runs, samples), torch.Generator().manual_seed(1))
    seen = mode_coverage(x, RING.centers, std=0.05)
    with torch.no_grad():
        real, fake = (trainer.logits(points).sigmoid().mean(dim=1) for points in (y, x))
    found = {"modes": seen.modes, "high_quality": seen.high_quality, "real": real, "fake": fake}
    return found | {"spokes": on_spokes(x)} if spokes else found


def nearer_to_seen(made: Tensor, seen: Tensor, unseen: Tensor) -> Tensor:
    """The share of the made digits whose nearest neighbour is a seen one, ``(runs,)``."""
    to_seen, to_unseen = (torch.cdist(made, half).amin(dim=-1) for half in (seen, unseen))
    return (to_seen < to_unseen).float().mean(dim=-1)


def from_unseen(made: Tensor, unseen: Tensor) -> tuple[Tensor, Tensor]:
    """Median distance to the nearest unseen digit, and how many are a nearest, ``(runs,)``."""
    distance, index = torch.cdist(made, unseen).min(dim=-1)
    return distance.median(dim=-1)[0], torch.tensor([len(row.unique()) for row in index])


def paint(seen: Tensor, pairs: int, steps: int, painted: int) -> Tensor:
    """Digits of generators that saw these, by averaged weights, ``(pairs, painted, 64)``."""
    torch.manual_seed(0)
    painter = Ensemble(lambda: nn.Sequential(mlp(16, 64, width=128, depth=1), nn.Tanh()), pairs)
    critic = partial(mlp, 64, 1, width=128, depth=1, activation="leaky relu")
    rates = {"discriminator_rate": 5e-4, "generator_rate": 5e-4}
    settings = Settings(batch=64, averaging=0.995, **rates)
    players = painter, Ensemble(critic, pairs)
    trainer = Trainer(*players, Empirical(seen), normal(16), settings, device="cpu")
    trainer.train(steps, progress=False)
    return trainer.sample(painted, averaged=True)


def measure(settings: dict[str, Any]) -> pd.DataFrame:
    """Play every game; a row for each run at each look."""
    frames: list[pd.DataFrame] = []

    def keep(experiment: str, name: str, step: int, columns: dict[str, Tensor]) -> None:
        rows = {key: values.double().numpy().round(6) for key, values in columns.items()}
        runs = len(next(iter(rows.values())))
        where = {"experiment": experiment, "name": name, "step": step, "run": range(runs)}
        frames.append(pd.DataFrame(where | rows))
        print(experiment, name, step, flush=True)

    samples = settings["samples"]
    for name, steps in settings["priors"].items():
        trainer = game(settings, PRIORS[name])
        for step in steps:
            trainer.train(step - trainer.steps, progress=False)
            keep("prior", name, step, look(trainer, samples))
    for k, steps in settings["k"].items():
        trainer = game(settings, normal(2), k=int(k))
        for step in steps:
            trainer.train(step - trainer.steps, progress=False)
            keep("k", k, step, look(trainer, samples, spokes=True))
    ahead = settings["far ahead"]
    for loss in ("minimax", "non-saturating"):
        trainer = game(settings, normal(2), loss=loss, generator_rate=ahead["rate"])
        history = trainer.train(ahead["alone"], progress=False)
        gradient = {"gradient": history["generator_gradient"][-1]}
        keep("far ahead", loss, 0, look(trainer, samples) | gradient)
        trainer.set(generator_rate=1e-3)
        for step in ahead["back"]:
            trainer.train(step + ahead["alone"] - trainer.steps, progress=False)
            keep("far ahead", loss, step, look(trainer, samples))
    for loss in ("minimax", "non-saturating"):
        trainer = game(settings, normal(2), loss=loss)
        for step in settings["even"]:
            history = trainer.train(step - trainer.steps, progress=False)
            gradient = {"gradient": history["generator_gradient"][-1]}
            keep("even", loss, step, look(trainer, samples) | gradient)
    images = digits()[0].flatten(1)
    shuffled = images[torch.randperm(len(images), generator=torch.Generator().manual_seed(0))]
    halves = shuffled[:898], shuffled[898:1_796]
    first, second = (paint(seen, **settings["digits"]) for seen in halves)
    both = nearer_to_seen(first, *halves) + nearer_to_seen(second, *halves[::-1])
    found = {"nearer": both / 2}
    found["unseen"], found["kinds"] = from_unseen(first, halves[1])
    keep("digits", "pairs", settings["digits"]["steps"], found)
    return pd.concat(frames, ignore_index=True)


if __name__ == "__main__":
    record(__file__, measure, SETTINGS, QUICK)
