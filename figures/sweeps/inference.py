"""Codes that must be readable: InfoGAN on printed characters whose factors are known.

G and D are told the character; slant, stroke, size, row and column they have to find. Beside it the
same networks without the information term. How much of a factor a code holds is the share of the
factor's variance that the code explains, in ten bins, where the factor is read from each picture by
a kernel ridge regression trained on real ones. Beside it the principal axes of real pictures, the
true factor, and codes of other pictures. Each run has a split of its own.

    python figures/sweeps/inference.py                    # figures/runs/inference_factors.csv, …
    python figures/sweeps/inference.py factors --quick    # figures/runs/inference_factors.quick.csv
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from by_script import RUNS, record_parts
from sklearn.kernel_ridge import KernelRidge
from torch import Generator, Tensor, nn

from gan_course.conditional import Concatenated
from gan_course.images import glyphs
from gan_course.losses import cross_entropy, non_saturating_generator
from gan_course.metrics import density_coverage, precision_recall
from gan_course.networks import Ensemble, mlp
from gan_course.penalties import PENALTIES

Table = dict[str, Any]

SETTINGS: dict[str, Table] = {
    "factors": {
        **{"steps": 1_500, "runs": 8, "batch": 64, "rate": 1e-3, "width": 128, "seed": 1},
        **{"codes": 5, "noise": 8, "characters": "247", "information": 0.3},
        **{"R1": 0.1, "averaging": 0.995},
    },
}
QUICK: dict[str, Table] = {
    "factors": SETTINGS["factors"] | {"steps": 150, "runs": 2},
}
SIDE = 16
PIXELS = SIDE**2
FACTORS = ("slant", "stroke", "size", "row", "column")
ROWS = ("information", "no information")


class Painter(nn.Module):
    """A perceptron to pictures, ``(batch, inputs)`` and labels to ``(batch, 256)``, by tanh."""

    def __init__(self, inputs: int, classes: int, width: int) -> None:
        super().__init__()
        self.network = Concatenated(inputs, PIXELS, classes, width=width)

    def forward(self, x: Tensor, label: Tensor) -> Tensor:
        """Pictures from −1 to 1."""
        result: Tensor = self.network(x, label).tanh()
        return result


class Guess(nn.Module):
    """Q(c|x): normal, with a mean for each picture and a width for each code."""

    def __init__(self, codes: int, width: int) -> None:
        super().__init__()
        self.network = mlp(PIXELS, codes, width=width)
        self.log_std = nn.Parameter(torch.zeros(codes))

    def forward(self, x: Tensor) -> Tensor:
        """Pictures ``(batch, 256)`` to means and log widths, ``(batch, codes, 2)``."""
        mean = self.network(x)
        return torch.stack([mean, self.log_std.clamp(min=-3).expand_as(mean)], dim=-1)


def log_q(guess: Tensor, c: Tensor) -> Tensor:
    """Log Q(c|x) of each code, shape as ``c``."""
    mean, log_std = guess.unbind(dim=-1)
    return -0.5 * ((c - mean) / log_std.exp()).square() - log_std - 0.5 * math.log(math.tau)


def optimiser(*modules: nn.Module, rate: float) -> torch.optim.Optimizer:
    """Adam as everywhere in the chapter."""
    weights = [weight for module in modules for weight in module.parameters()]
    return torch.optim.Adam(weights, lr=rate, betas=(0.5, 0.999), fused=True)


def averaged(average: dict[str, Tensor], G: Ensemble, decay: float) -> None:
    """Move an average of weights on by one step."""
    with torch.no_grad():
        for name, weight in G.named_parameters():
            average[name].lerp_(weight, 1 - decay)


def put(average: dict[str, Tensor], G: Ensemble) -> None:
    """Give G its averaged weights."""
    with torch.no_grad():
        for name, weight in G.named_parameters():
            weight.copy_(average[name])


# --- Codes that must be readable -----------------------------------------------------------


class Characters(NamedTuple):
    """Printed characters in two parts; each run has its own.

    Attributes:
        x: pictures of the training, ``(runs, samples, 256)``.
        y: their characters, ``(runs, samples)``.
        factors: slant, stroke, size, row, column, ``(runs, samples, 5)``, of variance 1.
        other: the same of the part that is held out.
        other_y: and its characters.
        other_factors: and its factors.
    """

    x: Tensor
    y: Tensor
    factors: Tensor
    other: Tensor
    other_y: Tensor
    other_factors: Tensor


def characters(which: str, runs: int) -> Characters:
    """Three quarters of the pictures train, one quarter is held out."""
    images, known = glyphs(SIDE, which)
    ordered = known.slant, known.stroke, known.size, known.place // 3, known.place % 3
    truth = torch.stack(ordered, dim=1).float()
    truth = (truth - truth.mean(dim=0)) / truth.std(dim=0, correction=0)
    orders = torch.stack(
        [torch.randperm(len(images), generator=Generator().manual_seed(run)) for run in range(runs)]
    )
    train, rest = orders.split([3 * len(images) // 4, len(images) - 3 * len(images) // 4], dim=1)
    every = images.flatten(1), known.character, truth
    return Characters(*(part[train] for part in every), *(part[rest] for part in every))


def explained(codes: Tensor, of: Tensor, bins: int = 10) -> Tensor:
    """The share of each factor's variance that each code explains: ε², η² less its bias.

    Args:
        codes: ``(samples, codes)``.
        of: factors, ``(samples, factors)``.
        bins: into how many parts of equal size each code is cut.

    Returns:
        Shape ``(codes, factors)``; about 0 for a code that says nothing, and at most 1.
    """
    samples, total = len(of), of.var(dim=0, correction=0)
    found = []
    for code in codes.T:
        place = code.argsort().argsort() * bins // samples
        within = sum(
            of[place == part].var(dim=0, correction=0) * (place == part).float().mean()
            for part in range(bins)
        )
        found.append(1 - within / total * (samples - 1) / (samples - bins))
    return torch.stack(found)


def by_level(truth: Tensor, of: Tensor) -> Tensor:
    """The same for a factor itself, whose levels are the bins: ``(factors,)``."""
    found = []
    for level, column in zip(truth.T, of.T, strict=True):
        levels = level.unique()
        within = sum(
            column[level == one].var(correction=0) * (level == one).float().mean() for one in levels
        )
        bias = (len(of) - 1) / (len(of) - len(levels))
        found.append(1 - within / column.var(correction=0) * bias)
    return torch.stack(found)


def linear(codes: Tensor, of: Tensor) -> Tensor:
    """R² of a linear regression of each factor on all codes, ``(factors,)``."""
    inputs = torch.cat([codes, torch.ones(len(codes), 1)], dim=1).double()
    left = of.double() - inputs @ torch.linalg.lstsq(inputs, of.double()).solution
    return 1 - left.square().sum(dim=0) / (of - of.mean(dim=0)).double().square().sum(dim=0)


def informed(data: Characters, settings: Table) -> tuple[Ensemble, Ensemble]:
    """G with averaged weights and Q, of both rows."""
    each, codes, noise = (int(settings[name]) for name in ("runs", "codes", "noise"))
    runs, batch, width = each * len(ROWS), int(settings["batch"]), int(settings["width"])
    classes, random = len(settings["characters"]), Generator().manual_seed(int(settings["seed"]))
    torch.manual_seed(int(settings["seed"]))
    G = Ensemble(lambda: Painter(codes + noise, classes, width), runs)
    D = Ensemble(lambda: Concatenated(PIXELS, 1, classes, width=width), runs)
    Q = Ensemble(lambda: Guess(codes, width), runs)
    of_D, of_G = optimiser(D, rate=settings["rate"]), optimiser(G, Q, rate=settings["rate"])
    told = torch.tensor([1.0, 0.0]).repeat_interleave(each).view(-1, 1, 1)
    x, y = (part.repeat(len(ROWS), *[1] * (part.dim() - 1)) for part in (data.x, data.y))
    rows = torch.arange(runs).unsqueeze(1)

    def draw() -> tuple[Tensor, Tensor]:
        c = 2 * torch.rand(runs, batch, codes, generator=random) - 1
        z = torch.randn(runs, batch, noise, generator=random)
        return torch.cat([c, z], dim=-1), torch.randint(classes, (runs, batch), generator=random)

    average = {name: weight.detach().clone() for name, weight in G.named_parameters()}
    for step in range(int(settings["steps"])):
        at = torch.randint(x.shape[1], (runs, batch), generator=random)
        real, label = x[rows, at], y[rows, at]
        inputs, asked = draw()
        with torch.no_grad():
            fake = G(inputs, asked)
        of_D.zero_grad()
        loss = cross_entropy(D(real, label).squeeze(-1), D(fake, asked).squeeze(-1))
        if step % 4 == 0:
            slope = PENALTIES["R1"](lambda at, y=label: D(at, y).squeeze(-1), real, fake)
            loss = loss + 4 * settings["R1"] * slope
        loss.sum().backward()
        of_D.step()
        inputs, asked = draw()
        fake = G(inputs, asked)
        of_G.zero_grad()
        # Q always learns; G is asked to be readable in the first row alone.
        seen = told * fake + (1 - told) * fake.detach()
        read = log_q(Q(seen), inputs[..., :codes]).sum(dim=-1).mean(dim=-1)
        cost = non_saturating_generator(None, D(fake, asked).squeeze(-1))
        (cost - settings["information"] * read).sum().backward()
        of_G.step()
        averaged(average, G, settings["averaging"])
    put(average, G)
    return G, Q


def of_factors(settings: Table) -> list[Table]:
    """How much of each factor each code holds; a row for each number."""
    each, codes, noise = (int(settings[name]) for name in ("runs", "codes", "noise"))
    data, classes = characters(settings["characters"], each), len(settings["characters"])
    G, Q = informed(data, settings)
    random, samples = Generator().manual_seed(1), 3_000
    shape = len(ROWS) * each, samples
    c = 2 * torch.rand(*shape, codes, generator=random) - 1
    inputs = torch.cat([c, torch.randn(*shape, noise, generator=random)], dim=-1)
    asked = torch.randint(classes, shape, generator=random)
    with torch.no_grad():
        x = G(inputs, asked)
        nats = math.log(2) + log_q(Q(x), c).mean(dim=1)
    found: list[Table] = []

    def note(row: str, run: int, code: object, names: tuple[str, ...], values: Tensor) -> None:
        found.extend(
            {"row": row, "run": run, "code": code, "measure": name, "value": round(float(v), 5)}
            for name, v in zip(names, values, strict=True)
        )

    def score(row: str, run: int, latent: Tensor, read: Tensor) -> None:
        for code, values in enumerate(explained(latent, read)):
            note(row, run, code, FACTORS, values)
        note(row, run, "all", FACTORS, linear(latent, read))

    for run in range(each):
        judge = KernelRidge(alpha=1e-2, kernel="rbf", gamma=3e-3)
        judge.fit(data.x[run].numpy(), data.factors[run].numpy())

        def look(pictures: Tensor, judge: KernelRidge = judge) -> Tensor:
            return torch.as_tensor(judge.predict(pictures.numpy())).float()

        real, truth, y = data.other[run], data.other_factors[run], data.other_y[run]
        seen = look(real)
        error = (seen - truth).square().mean(dim=0) / truth.var(dim=0, correction=0)
        note("judge", run, "all", FACTORS, 1 - error)
        note("truth", run, "all", FACTORS, by_level(truth, seen))
        means = torch.stack([data.x[run][data.y[run] == one].mean(dim=0) for one in range(classes)])
        axes = torch.linalg.svd(data.x[run] - means[data.y[run]], full_matrices=False).Vh[:codes]
        score("principal axes", run, (real - means[y]) @ axes.mT, seen)
        for place, row in enumerate(ROWS):
            member = place * each + run
            read = look(x[member])
            score(row, run, c[member], read)
            if place == 0:
                score("shuffled", run, c[member].roll(1, dims=0), read)
            for code in range(codes):
                note(row, run, code, ("nats",), nats[member, code].view(1))
            spread = read.var(dim=0) / seen.var(dim=0)
            note(row, run, "all", tuple(f"spread of {name}" for name in FACTORS), spread)
            made = x[member, : len(real)][None]
            balls = (
                precision_recall(made, real[None], 3).precision,
                density_coverage(made, real[None], 5).coverage,
            )
            note(row, run, "all", ("precision", "coverage"), torch.cat(balls))
        half = data.x[run][: len(real)][None]
        balls = (
            precision_recall(half, real[None], 3).precision,
            density_coverage(half, real[None], 5).coverage,
        )
        note("real", run, "all", ("precision", "coverage"), torch.cat(balls))
    if settings is SETTINGS["factors"]:
        keep("inference_factors", walk=traversal(G, codes, noise, classes))
    return found


@torch.no_grad()
def traversal(G: Ensemble, codes: int, noise: int, classes: int, places: int = 9) -> Tensor:
    """Each code of the first run from −1 to 1, all else held: (codes, places, classes, 256)."""
    rest = torch.randn(noise, generator=Generator().manual_seed(2)) * 0.5
    c = torch.zeros(codes, places, classes, codes)
    for code in range(codes):
        c[code, :, :, code] = torch.linspace(-1, 1, places).unsqueeze(1)
    inputs = torch.cat([c, rest.expand(codes, places, classes, noise)], dim=-1)
    asked = torch.arange(classes).expand(codes, places, classes)
    pictures: Tensor = G.member(0)(inputs.flatten(0, 2), asked.flatten())
    return pictures.view(codes, places, classes, PIXELS)


def keep(name: str, **pictures: Tensor) -> None:
    """Keep pictures from −1 to 1 beside a record, as bytes."""
    as_bytes = {
        key: ((tensor.clamp(-1, 1) + 1) * 127.5).round().numpy().astype(np.uint8)
        for key, tensor in pictures.items()
    }
    np.savez_compressed(RUNS / f"{name}.npz", **as_bytes)


PARTS: dict[str, Callable[[Table], list[Table]]] = {
    "factors": of_factors,
}


if __name__ == "__main__":
    record_parts(__file__, PARTS, SETTINGS, QUICK)
