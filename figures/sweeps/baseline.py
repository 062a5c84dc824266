"""The modern baseline of Huang et al. (2024), built up one change at a time, and taken down again.

Relativistic pairs, R1, R2, residual blocks without norm, on the ring, the grid, stacked digits and
printed glyphs of 16 × 16 pixels.
Every row is trained at three learning rates. A run is quoted at the rate that is best, by the
``score`` below, for the other half of the runs (column ``quoted``), so that no run has a part in
the choice of its own rate. All rows of a target have networks of equally many weights, and see the
same draws. Those with residual blocks start alike, and those without; between the two kinds the
first and the last layers do. They are compared in pairs.

Of the toys' samples we record the effective modes, HQ, and the reverse KL of the nearest modes; the
score is the JS of all masses, of each mode's HQ samples and of the strays together, from those
of perfect samples. Of the stacks, which a judge of single digits reads: the modes it finds, the KL
of its 1,000 counts from even ones, and in HQ's place the precision of single digits, in its
features, beside digits that nobody trained on; the score is the JS of the counts. Glyphs are judged
as the families' are (``families.py``), beside glyphs that nobody trained on; HQ is the precision,
the effective modes are of the ten characters, as a judge reads them. Their score is the Fréchet
distance to other glyphs, that are kept for the choice of the rate.

    python figures/sweeps/baseline.py ring            # figures/runs/baseline_ring.csv, .json
    python figures/sweeps/baseline.py ring --quick    # figures/runs/baseline_ring.quick.csv, .json

Without a name, all of them, one after the other. The name ``beside`` records what needs no
training, ``baseline_beside``: on each target the measures of real data, of one Gaussian with their
mean and covariance, and of the first row's generators before their first step.
"""

from __future__ import annotations

import contextlib
import copy
import math
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

import pandas as pd
import torch
from by_script import write
from families import Bell
from torch import Generator, Tensor, nn

from gan_course.distributions import Empirical, GaussianMixture, grid, normal, ring
from gan_course.images import Stacked, digits, glyphs, stacked_label
from gan_course.metrics import (
    Classifier,
    frechet_distance,
    js_of_masses,
    label_coverage,
    mode_coverage,
    picture_quality,
    precision_recall,
    train_classifier,
)
from gan_course.networks import Ensemble, FourierFeatures, mlp, residual_mlp
from gan_course.training import NonFiniteError, Settings, Trainer

#: What makes a row: the loss, the weights of R1 and of R2 in units of γ, residual blocks.
ROWS: dict[str, tuple[str, float, float, bool]] = {
    "non-saturating": ("non-saturating", 0, 0, False),
    "relativistic": ("relativistic", 0, 0, False),
    "+ R1": ("relativistic", 1, 0, False),
    "+ R2": ("relativistic", 1, 1, False),
    "+ residual = full": ("relativistic", 1, 1, True),
    "full, non-saturating": ("non-saturating", 1, 1, True),
    "full, no R1": ("relativistic", 0, 1, True),
    "full, no R2": ("relativistic", 1, 0, True),
    "full, R1 twice for R1 + R2": ("relativistic", 2, 0, True),
    "residual alone": ("non-saturating", 0, 0, True),
}
#: Of both targets that are pictures.
PICTURES: dict[str, Any] = {
    "gamma": 0.1,
    "steps": [300, 600],
    "batch": 64,
    "width": 64,
    "activation": "leaky relu",
    "latent": 64,
    "runs": 8,
}
SETTINGS: dict[str, Any] = {
    "rates": [1e-3, 3e-3, 1e-2],
    "betas": [0.5, 0.99],
    "averaging": 0.99,
    "blocks": 1,
    "targets": {
        "ring": {
            "gamma": 0.1,
            "steps": [500, 1_000],
            "batch": 64,
            "width": 16,
            "activation": "relu",
            "std": 0.05,
            "runs": 16,
            "samples": 2_500,
        },
        "grid": {
            "gamma": 0.1,
            "steps": [500, 1_000],
            "batch": 64,
            "width": 32,
            "activation": "leaky relu",
            "std": 0.2,
            "waves": 12,
            "runs": 16,
            "samples": 2_500,
        },
        "stacked": PICTURES | {"samples": 5_000},
        "glyphs": PICTURES | {"samples": 400},
    },
}
QUICK: dict[str, Any] = SETTINGS | {
    "targets": {
        name: own | {"steps": [steps], "runs": 4, "samples": min(own["samples"], 1_000)}
        for (name, own), steps in zip(SETTINGS["targets"].items(), (60, 40, 10, 5), strict=True)
    },
}
#: What a GPU is for: more steps, wider networks, larger batches (``benchmarks/stand.py``).
FULL: dict[str, Any] = SETTINGS | {
    "targets": {
        name: own | more
        for (name, own), more in zip(
            SETTINGS["targets"].items(),
            (
                {"steps": [1_000, 5_000], "width": 64},
                {"steps": [1_000, 5_000], "width": 64},
                {"steps": [2_000, 10_000], "width": 256, "batch": 128},
                {"steps": [2_000, 10_000], "width": 256, "batch": 128},
            ),
            strict=True,
        )
    },
}
MEASURES = ["score", "effective", "high_quality", "reverse_kl"]
Measure = Callable[[Tensor], dict[str, Tensor]]


def on_toy(target: GaussianMixture, std: float, x: Tensor) -> dict[str, Tensor]:
    """The measures of points ``(runs, samples, 2)``."""
    found = mode_coverage(x, target.centers, std)
    distance, nearest = torch.cdist(x, target.centers.to(x)).min(dim=-1)
    modes = len(target.centers)
    cell = torch.where(distance <= 3 * std, nearest, modes)  # the last one is the strays'
    masses = nn.functional.one_hot(cell, modes + 1).double().mean(dim=1)
    right = 1 - math.exp(-4.5)  # of perfect samples in the plane
    perfect = torch.tensor([right / modes] * modes + [1 - right]).double()
    return {
        "score": js_of_masses(masses, perfect.expand_as(masses)),
        "effective": (math.log(modes) - found.reverse_kl.double()).exp(),
        "high_quality": found.high_quality,
        "reverse_kl": found.reverse_kl,
    }


def on_stacks(judge: Classifier, unseen: Tensor, x: Tensor) -> dict[str, Tensor]:
    """The measures of stacks ``(runs, samples, 3, 8, 8)``."""
    said = judge.classify(x.unsqueeze(-3))
    found = label_coverage(stacked_label(said), torch.ones(1000))
    single = x[:, : len(unseen)].reshape(len(x), -1, 1, 8, 8)[:, : len(unseen)]
    real = judge.features(unseen).expand(len(x), -1, -1)
    quality = precision_recall(judge.features(single), real)
    masses = found.counts.double() / x.shape[1]
    even = torch.full_like(masses, 1e-3)
    return {
        "score": js_of_masses(masses, even),
        "effective": (math.log(1000) - found.kl).exp(),
        "high_quality": quality.precision,
        "reverse_kl": found.kl,
        "modes": found.classes,
    }


def on_glyphs(judge: Classifier, unseen: Tensor, kept: Tensor, x: Tensor) -> dict[str, Tensor]:
    """The measures of glyphs ``(runs, samples, 1, 16, 16)``; the score is of those ``kept``."""
    found = picture_quality(x, unseen, judge)
    features = judge.features(x), judge.features(kept).expand(len(x), -1, -1)
    return {
        "score": frechet_distance(*features),
        "effective": 10 * (-found.balance).exp(),
        "high_quality": found.precision,
        "reverse_kl": found.balance,
        "frechet": found.frechet,
        "kernel": found.kernel,
        "recall": found.recall,
        "density": found.density,
        "coverage": found.coverage,
    }


#: What a sample of a target is.
SHAPES = {"ring": (2,), "grid": (2,), "stacked": (3, 8, 8), "glyphs": (1, 16, 16)}


class Task:
    """A target: its data, its networks and its measures.

    Args:
        name: ``"ring"``, ``"grid"``, ``"stacked"`` or ``"glyphs"``.
        settings: its part of SETTINGS.
    """

    def __init__(self, name: str, settings: dict[str, Any]) -> None:
        self.settings, self.shape = settings, SHAPES[name]
        self.data: Any
        self.measure: Measure
        if name == "stacked":
            images, labels = digits()
            order = torch.randperm(len(images), generator=Generator().manual_seed(0))
            known, train, unseen = order.split([597, 700, 500])
            self.data = Stacked(images[train], labels[train])
            judge = train_classifier(images[known], labels[known], held_out=97)
            self.measure = partial(on_stacks, judge, images[unseen])
        elif name == "glyphs":
            images, factors = glyphs(16)
            order = torch.randperm(len(images), generator=Generator().manual_seed(0))
            known, train, kept, unseen = order.split([1_000, 2_000, 400, 920])
            self.data = Empirical(images[train])
            judge = train_classifier(images[known], factors.character[known], held_out=47)
            self.measure = partial(on_glyphs, judge, images[unseen], images[kept])
        else:
            std = settings["std"]
            self.data = ring(std=std) if name == "ring" else grid(std=std)
            self.measure = partial(on_toy, self.data, std)
        self.latent = settings.get("latent", 2)

    def players(self, residual: bool, blocks: int) -> tuple[Callable[[], nn.Module], ...]:
        """What makes G, and what makes D."""
        look = {"width": self.settings["width"], "activation": self.settings["activation"]}
        build: Callable[..., nn.Sequential] = partial(mlp, depth=1 + 2 * blocks, **look)
        if residual:
            build = partial(residual_mlp, blocks=blocks, **look)
        if waves := self.settings.get("waves", 0):
            see = partial(FourierFeatures, 2, waves, (0.3, 8.0))
            return lambda: build(2, 2), lambda: nn.Sequential(see(), *build(2 + 2 * waves, 1))
        pixels = math.prod(self.shape)
        if pixels == 2:
            return lambda: build(2, 2), lambda: build(2, 1)
        picture = nn.Sequential(nn.Unflatten(1, self.shape), nn.Tanh())
        return (
            lambda: nn.Sequential(*build(self.latent, pixels), *copy.deepcopy(picture)),
            lambda: nn.Sequential(nn.Flatten(), *build(pixels, 1)),
        )


def play(
    task: Task,
    row: str,
    settings: dict[str, Any],
    rates: list[float],
    *,
    seed: int = 0,
    device: str = "cpu",
) -> Iterator[tuple[int, dict[str, Tensor]]]:
    """Train a row with some rates, as many runs with each; measure all runs, on the CPU.

    Runs of one number begin alike whatever the row, and see the same draws.
    """
    loss, r1, r2, residual = ROWS[row]
    own = task.settings
    rate = [value for value in rates for _ in range(own["runs"])]
    chosen = Settings(
        loss=loss,
        penalties={"R1": r1 * own["gamma"], "R2": r2 * own["gamma"]},
        batch=own["batch"],
        betas=tuple(settings["betas"]),
        averaging=settings["averaging"],
        discriminator_rate=rate,
        generator_rate=rate,
    )
    torch.manual_seed(seed)
    G, D = (Ensemble(build, len(rate)) for build in task.players(residual, settings["blocks"]))
    trainer = Trainer(G, D, task.data, normal(task.latent), chosen, seed=seed, device=device)
    for step in own["steps"]:
        with contextlib.suppress(NonFiniteError):  # all have stopped, and keep what was good
            trainer.train(step - trainer.steps, progress=False)
        found = [
            task.measure(part)  # a few runs at a time
            for part in trainer.sample(own["samples"], averaged=True).cpu().split(4)
        ]
        together = {name: torch.cat([part[name] for part in found]) for name in found[0]}
        yield step, together | {"diverged": trainer.frozen.cpu()}


def chosen_by_others(score: Tensor) -> Tensor:
    """The rate at which each run is quoted, by the mean score of the other half of the runs.

    Args:
        score: lower is better, ``(rates, runs)``.

    Returns:
        The index of a rate for each run, ``(runs,)``.
    """
    half = score.shape[1] // 2
    first, second = score[:, :half].mean(dim=1).argmin(), score[:, half:].mean(dim=1).argmin()
    return torch.cat([second.expand(half), first.expand(score.shape[1] - half)])


def measure(
    name: str, settings: dict[str, Any], rows: Iterable[str] = ROWS, device: str = "cpu"
) -> pd.DataFrame:
    """Train rows on a target; a row of the table for each moment, rate and run."""
    own, rates = settings["targets"][name], settings["rates"]
    task, frames, runs = Task(name, own), [], own["runs"]
    for row in rows:
        for step, found in play(task, row, settings, rates, device=device):
            best = chosen_by_others(found["score"].reshape(len(rates), runs))
            at = torch.arange(len(rates)).unsqueeze(1)
            columns: dict[str, Any] = {"row": row, "step": step}
            columns |= {"rate": [rate for rate in rates for _ in range(runs)]}
            columns |= {"run": list(range(runs)) * len(rates)}
            columns |= {"quoted": (at == best).flatten().tolist()}
            columns |= {key: v.double().numpy().round(6) for key, v in found.items()}
            frames.append(pd.DataFrame(columns))
            line = frames[-1].loc[frames[-1]["quoted"], ["rate", *MEASURES]].mean()
            sys.stderr.write(f"{name}, {row}, step {step}: {line.round(4).to_dict()}\n")
            sys.stderr.flush()
    return pd.concat(frames, ignore_index=True)


def measure_beside(settings: dict[str, Any], seed: int = 1) -> pd.DataFrame:
    """What takes no training: real data, one Gaussian, and untrained generators; a row a run."""
    frames = []
    for name, own in settings["targets"].items():
        task, random = Task(name, own), Generator().manual_seed(seed)
        shape = (own["runs"], own["samples"])
        bell = Bell(task.data.sample((20_000,), random).flatten(1))
        for row in ("real", "one Gaussian", "untrained"):
            x = task.data.sample(shape, random)
            if row == "one Gaussian":
                x = bell.sample(shape, random).view_as(x)
            if row == "untrained":
                torch.manual_seed(0)
                G = Ensemble(task.players(False, settings["blocks"])[0], own["runs"])
                with torch.no_grad():
                    x = G(normal(task.latent).sample(shape, random))
            found = [task.measure(part) for part in x.split(4)]
            columns: dict[str, Any] = {"target": name, "row": row, "run": range(own["runs"])}
            columns |= {
                key: torch.cat([part[key] for part in found]).double().numpy().round(6)
                for key in found[0]
            }
            frames.append(pd.DataFrame(columns))
    return pd.concat(frames, ignore_index=True)


def main() -> None:
    """Record the targets that are named, or all; with a note of how each was made."""
    small = "--quick" in sys.argv[1:]
    torch.set_num_threads(1)
    settings = QUICK if small else SETTINGS
    names = [word for word in sys.argv[1:] if word != "--quick"]
    for name in names or [*settings["targets"], "beside"]:
        begin = time.process_time()
        beside = name == "beside"
        frame = measure_beside(settings) if beside else measure(name, settings)
        said = {"processor seconds": round(time.process_time() - begin, 1)}
        own = settings if beside else settings | {"targets": {name: settings["targets"][name]}}
        command = f"baseline.py {name}" + " --quick" * small
        write(f"baseline_{name}", frame, command, own, said, small=small)


if __name__ == "__main__":
    main()
