"""What an adversarial term adds where it lives today: to a decoder, and to a one-step student.

**The decoder.** Autoencoders press digits of 8 × 8 pixels through a few numbers, with the squared
error alone and with a discriminator's opinion of the reconstructions, at several weights. Measured
on digits that neither they nor the judge were trained on: the share of the variance that is not
explained, the variance and the detail (the power of the Laplacian) of the reconstructions, each as
a share of the originals', the Fréchet distance and the precision in a judge's features beside yet
other digits, and how often the judge reads the original's class. Beside them forgers that are made
as detailed as the originals: the blurred reconstructions with noise, and sharpened by a filter. And
the squared error alone for three times the steps, which takes about as long as with a
discriminator; likewise sharpened.

**The student.** The teacher is flow matching on the ring with its exact field, followed in many
steps. One-step students learn its end points by regression, with and without an adversarial term,
or by the adversarial term alone; and by regression for three times the steps, which takes less time
than steps with a discriminator do.

    python figures/sweeps/adversarial_today.py            # figures/runs/adversarial_today.csv, …
    python figures/sweeps/adversarial_today.py --quick    # figures/runs/adversarial_today.quick.csv
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import pandas as pd
import torch
import torch.nn.functional as F
from baseline import on_toy
from by_script import record
from torch import Generator, Tensor, nn

from gan_course.distributions import GaussianMixture, ring
from gan_course.images import digits
from gan_course.losses import cross_entropy, non_saturating_generator
from gan_course.metrics import Classifier, frechet_distance, precision_recall, train_classifier
from gan_course.networks import Ensemble, mlp
from gan_course.penalties import PENALTIES

SETTINGS: dict[str, Any] = {
    "runs": 16,
    "decoder": {
        "weights": [0.0, 1.0, 4.0, 16.0],
        "times": 3,
        "latent": 4,
        "width": 128,
        "batch": 64,
        "steps": 600,
        "rate": 1e-3,
        "R1": 0.1,
    },
    "student": {
        "rows": {
            "regression": [1.0, 0.0, 1],
            "regression, three times the steps": [1.0, 0.0, 3],
            "regression + adversarial": [1.0, 1.0, 1],
            "adversarial": [0.0, 1.0, 1],
        },
        "std": 0.05,
        "width": 32,
        "batch": 64,
        "steps": 800,
        "rate": 2e-3,
        "R1": 0.1,
        "euler": 100,
        "pairs": 20_000,
    },
}
QUICK: dict[str, Any] = {
    "runs": 6,
    "decoder": SETTINGS["decoder"] | {"weights": [0.0, 4.0], "steps": 60},
    "student": SETTINGS["student"] | {"steps": 60, "pairs": 2_000},
}
Draw = Callable[[], tuple[Tensor, Tensor, Tensor]]


def laplacian(images: Tensor) -> Tensor:
    """Four neighbours less four times the pixel, ``(..., 8, 8)`` to ``(..., 6, 6)``."""
    middle = images[..., 1:-1, 1:-1]
    beside = images[..., 1:-1, 2:] + images[..., 1:-1, :-2]
    return beside + images[..., 2:, 1:-1] + images[..., :-2, 1:-1] - 4 * middle


def flow_field(x: Tensor, t: float, target: GaussianMixture) -> Tensor:
    """E[x₁ − z | (1 − t) z + t x₁ = x] for a normal z and a mixture's x₁, ``(..., dim)``.

    Given its component, x₁ and x are jointly normal, so both expectations are linear in x
    (Lipman et al. 2023, section 2, with the straight path).
    """
    std, mean = target.std[0].to(x), target.centers.to(x)
    variance = (1 - t) ** 2 + (t * std) ** 2
    apart = x.unsqueeze(-2) - t * mean
    belief = (target.weights.log().to(x) - apart.square().sum(dim=-1) / (2 * variance)).softmax(-1)
    given = mean + (t * std**2 - (1 - t)) / variance * apart
    return (belief.unsqueeze(-1) * given).sum(dim=-2)


def follow(z: Tensor, target: GaussianMixture, steps: int) -> Tensor:
    """Euler's steps along the exact field, from noise at t = 0 to samples at t = 1."""
    for step in range(steps):
        z = z + flow_field(z, step / steps, target) / steps
    return z


def train(
    maker: Ensemble,
    D: Ensemble,
    draw: Draw,
    settings: dict[str, Any],
    *,
    weights: tuple[float, float],
    times: int = 1,
) -> None:
    """Minimise ``weights[0]`` · squared error + ``weights[1]`` · −log D of what is made.

    Args:
        maker: what is asked to what is made, ``(runs, batch, ...)``.
        D: learns to tell what is made from real samples, with R1; stands still if it has no say.
        draw: what is asked; what would be right; real samples.
        settings: ``steps`` of the maker, and of D; Adam's ``rate``; the weight of ``R1``.
        weights: of the error and of the adversarial term.
        times: how many times the steps.
    """
    of_maker, of_D = (
        torch.optim.Adam(m.parameters(), lr=settings["rate"], betas=(0.5, 0.99), fused=True)
        for m in (maker, D)
    )

    def judged(x: Tensor) -> Tensor:
        return D(x).squeeze(-1)

    for _ in range(settings["steps"] * times):
        asked, right, real = draw()
        if weights[1]:
            with torch.no_grad():
                made = maker(asked)
            of_D.zero_grad()
            cost = cross_entropy(judged(real), judged(made))
            (cost + settings["R1"] * PENALTIES["R1"](judged, real, made)).sum().backward()
            of_D.step()
        made = maker(asked)
        loss = weights[0] * (made - right).square().sum(dim=-1).mean(dim=1)
        if weights[1]:
            loss = loss + weights[1] * non_saturating_generator(None, judged(made))
        of_maker.zero_grad()
        loss.sum().backward()
        of_maker.step()


def parts(images: Tensor, *rest: Tensor) -> tuple[tuple[Tensor, ...], ...]:
    """Digits in four parts that share none: the judge's, those to train on, to test on, others."""
    order = torch.randperm(len(images), generator=Generator().manual_seed(0))
    split = order.split([297, 700, 400, 400])
    return tuple(tuple(each[rows] for each in (images, *rest)) for rows in split)


def looked_at(
    made: Tensor, test: Tensor, classes: Tensor, others: Tensor, judge: Classifier
) -> dict[str, Tensor]:
    """The measures of reconstructions ``(runs, samples, 64)`` of ``test``, ``(samples, 64)``."""
    made = made.clamp(-1, 1)
    pictures = made.unflatten(-1, (1, 8, 8))
    middle = test.mean(dim=0)
    total = (test - middle).square().sum(dim=-1).mean()
    detail = laplacian(test.unflatten(-1, (8, 8))).square().sum()
    seen = judge.features(pictures)
    beside = judge.features(others.unflatten(-1, (1, 8, 8))).expand(len(made), -1, -1)
    spread = (made - made.mean(dim=1, keepdim=True)).square().sum(dim=-1).mean(dim=1)
    return {
        "unexplained": (made - test).square().sum(dim=-1).mean(dim=1) / total,
        "spread": spread / total,
        "detail": laplacian(pictures).square().sum(dim=(1, 2, 3, 4)) / detail,
        "frechet": frechet_distance(seen, beside),
        "precision": precision_recall(seen, beside).precision,
        "right": (judge.classify(pictures) == classes).double().mean(dim=1),
    }


def as_detailed(made: Tensor, change: Tensor, test: Tensor, share: float = 1.0) -> Tensor:
    """Add so much of a change to each run that its detail is a share of the originals'."""
    wanted = share * laplacian(test.unflatten(-1, (8, 8))).square().sum()
    low, high = torch.zeros(len(made), 1, 1), torch.full((len(made), 1, 1), 8.0)
    for _ in range(40):
        middle = (low + high) / 2
        pictures = (made + middle * change).clamp(-1, 1).unflatten(-1, (8, 8))
        more = laplacian(pictures).square().sum(dim=(1, 2, 3)).view(-1, 1, 1) > wanted
        low, high = torch.where(more, low, middle), torch.where(more, middle, high)
    return made + high * change


def autoencoder(
    training: Tensor,
    settings: dict[str, Any],
    runs: int,
    weight: float,
    *,
    seed: int,
    times: int = 1,
) -> tuple[Ensemble, Generator]:
    """One for each run, trained on rows of ``training``; and the source of its draws."""
    torch.manual_seed(seed)
    random = Generator().manual_seed(seed)
    width, latent = settings["width"], settings["latent"]

    def draw() -> tuple[Tensor, Tensor, Tensor]:
        shape = (2, runs, settings["batch"])
        x, real = training[torch.randint(len(training), shape, generator=random)]
        return x, x, real

    maker = Ensemble(
        lambda: nn.Sequential(
            *mlp(64, latent, width=width), *mlp(latent, 64, width=width), nn.Tanh()
        ),
        runs,
    )
    D = Ensemble(lambda: mlp(64, 1, width=width), runs)
    train(maker, D, draw, settings, weights=(1.0, weight), times=times)
    return maker, random


def sharpening(made: Tensor) -> Tensor:
    """What a filter adds: minus the Laplacian, and nothing at the rim."""
    return -F.pad(laplacian(made.unflatten(-1, (8, 8))), (1, 1, 1, 1)).flatten(-2)


def of_decoders(settings: dict[str, Any], runs: int, seed: int = 0) -> pd.DataFrame:
    """Train the autoencoders; a row for each run."""
    images, labels = digits()
    (known, names), (training, _), (test, classes), (others, _) = parts(images, labels)
    judge = train_classifier(known, names, held_out=47)
    training, test, others = (x.flatten(1) for x in (training, test, others))
    frames = []
    longer = settings["times"]
    for weight, times in [*((weight, 1) for weight in settings["weights"]), (0.0, longer)]:
        maker, random = autoencoder(training, settings, runs, weight, seed=seed, times=times)
        with torch.no_grad():
            made = maker(test.expand(runs, -1, -1))
        rows = {f"weight {weight:g}": made}
        if times > 1:
            rows = {"longer": made, "longer, sharpened": as_detailed(made, sharpening(made), test)}
        elif not weight:
            noise = torch.randn(made.shape, generator=random)
            rows["forger: noise"] = as_detailed(made, noise, test)
            rows["forger: sharpened"] = as_detailed(made, sharpening(made), test)
            rows["others"] = others.expand(runs, -1, -1)
        for row, pictures in rows.items():
            found = looked_at(
                pictures, test, classes, training if row == "others" else others, judge
            )
            frames.append(rows_of("decoder", row, runs, found))
            say(frames[-1])
    return pd.concat(frames, ignore_index=True)


def of_students(settings: dict[str, Any], runs: int, seed: int = 0) -> pd.DataFrame:
    """Train the students; a row for each run."""
    target, frames = ring(std=settings["std"]), []
    bank = torch.randn(settings["pairs"], 2, generator=Generator().manual_seed(seed + 1))
    ends = follow(bank.double(), target, settings["euler"]).float()
    z = torch.randn(2_500, 2, generator=Generator().manual_seed(seed + 2))
    taught = follow(z.double(), target, settings["euler"]).float()
    for row, (error, adversarial, times) in settings["rows"].items():
        torch.manual_seed(seed)
        random = Generator().manual_seed(seed)

        def draw(random: Generator = random) -> tuple[Tensor, Tensor, Tensor]:
            shape = (runs, settings["batch"])
            rows = torch.randint(len(bank), shape, generator=random)
            return bank[rows], ends[rows], target.sample(shape, random)

        student, D = (
            Ensemble(lambda out=out: mlp(2, out, width=settings["width"], depth=3), runs)
            for out in (2, 1)
        )
        train(student, D, draw, settings, weights=(error, adversarial), times=times)
        with torch.no_grad():
            made = student(z.expand(runs, -1, -1))
        off = (made - taught).square().sum(dim=-1).mean(dim=1).sqrt()
        found = on_toy(target, settings["std"], made) | {"off_teacher": off}
        frames.append(rows_of("student", row, runs, found))
        say(frames[-1])
    teacher = on_toy(target, settings["std"], taught.unsqueeze(0))
    frames.append(rows_of("student", "teacher", 1, teacher | {"off_teacher": torch.zeros(1)}))
    return pd.concat(frames, ignore_index=True)


def rows_of(part: str, row: str, runs: int, found: dict[str, Tensor]) -> pd.DataFrame:
    """A row of the table for each run."""
    columns: dict[str, Any] = {"part": part, "row": row, "run": range(runs)}
    return pd.DataFrame(columns | {k: v.double().numpy().round(6) for k, v in found.items()})


def say(frame: pd.DataFrame) -> None:
    """Tell whoever waits."""
    means = frame.drop(columns=["part", "row", "run"]).mean().round(3).to_dict()
    sys.stderr.write(f"{frame['row'].iloc[0]}: {means}\n")
    sys.stderr.flush()


def measure(settings: dict[str, Any]) -> pd.DataFrame:
    """Both parts."""
    runs = settings["runs"]
    made = of_decoders(settings["decoder"], runs), of_students(settings["student"], runs)
    return pd.concat(made, ignore_index=True)


if __name__ == "__main__":
    record(__file__, measure, SETTINGS, QUICK)
