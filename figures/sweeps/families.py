"""Six families on two tasks, with equally many weights and equal processor time.

The ring and the 8 × 8 digits; a GAN, a VAE, an autoregressive model, diffusion, flow matching
and a normalising flow. On the ring there is a second GAN, with the ingredients of chapter 07's
recipe; it was tuned before, for this very target, and its prior was made for separate modes.

The number of steps was fixed beforehand, so that on one thread all families of a task train for
about the same processor seconds; ``seconds`` has what they took. All but the recipe have one
schedule, one batch, one averaging, and learn at their own best of three rates. Two trainings of
half the length, on seeds that the record does not use, choose it (``part = tuning``): on the toys
by the sliced W1 distance to fresh data, on digits by the Fréchet distance to pictures that are
kept for this choice.

Beside them: real data in the place of generated (``real``), and one Gaussian with the mean and the
covariance of the data (``one Gaussian``). Some samples of the first run are kept for figures.

Four rows once more with one thing changed, at the same steps and weights (``part = control``): the
recipe from one bell, the flow with waves, diffusion with a preconditioning, and flow matching on
digits at the largest rate.

The grid has a record of its own (``grid``): the same families with the ring's weights and steps, at
the rates that were best on the ring. Nothing was tuned on the grid, but for the recipe, which has
chapter 07's numbers for it. Diffusion and flow matching are made once more: with four times the
steps (``part = four times``), and with waves of up to four times the frequency (``part = fast
waves``).

So have the glyphs (``glyphs``): printed digits of 12 × 12 pixels, with the digits' protocol and
settings, but for the steps, which were fixed beforehand for the same processor seconds. A part of
its own (``glyphs_more``) has what was looked at afterwards: rates twice and four times as large,
for the three families whose best was the largest (``part = tuning``), a family's row at the one of
these that is better (``part = larger rate``), and diffusion with the preconditioning (``part =
control``).

    python figures/sweeps/families.py                 # figures/runs/families.csv, .json, .npz
    python figures/sweeps/families.py grid            # figures/runs/families_grid.csv, .json
    python figures/sweeps/families.py grid --quick    # figures/runs/families_grid.quick.csv, .json
    python figures/sweeps/families.py glyphs          # figures/runs/families_glyphs.*
    python figures/sweeps/families.py glyphs_more     # figures/runs/families_glyphs_more.csv, .json
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import torch
from by_script import RUNS, record, record_parts
from torch import Generator, Tensor, nn

from gan_course.distributions import GaussianMixture, codebook, grid, normal, ring
from gan_course.families import (
    VAE,
    Autoregressive,
    Diffusion,
    FlowMatching,
    MaskedLinear,
    MixtureHead,
    RealNVP,
    ValueHead,
    fit,
    masked_network,
)
from gan_course.images import digits, glyphs
from gan_course.metrics import (
    Classifier,
    memorisation,
    mode_coverage,
    picture_quality,
    sliced_wasserstein,
    train_classifier,
)
from gan_course.networks import Ensemble, mlp
from gan_course.training import Linear, Settings, Trainer

#: Steps of each family, for equal processor time.
STEPS: dict[str, dict[str, int]] = {
    "ring": {
        "GAN": 980,
        "GAN, recipe": 800,
        "VAE": 1_540,
        "VAE, wide start": 1_540,
        "autoregressive": 1_080,
        "diffusion": 2_240,
        "flow matching": 2_240,
        "normalising flow": 900,
    },
    "digits": {
        "GAN": 880,
        "VAE": 1_660,
        "VAE, wide start": 1_660,
        "autoregressive": 840,
        "diffusion": 2_000,
        "flow matching": 2_080,
        "normalising flow": 940,
    },
}
SETTINGS: dict[str, Any] = {
    "runs": 8,
    "rates": [5e-4, 2e-3, 8e-3],
    "tuning runs": 2,
    "steps": STEPS,
    "samples": {"ring": 1_500, "digits": 400},
    "weights": {"ring": 12_000, "digits": 54_000},
    "sampler steps": [1, 2, 5, 10, 20, 50, 200],
    "draws": 200,
}
QUICK: dict[str, Any] = SETTINGS | {
    "runs": 2,
    "rates": [2e-3],
    "steps": {task: dict.fromkeys(steps, 20) for task, steps in STEPS.items()},
    "samples": {"ring": 200, "digits": 100},
    "sampler steps": [1, 5],
    "draws": 5,
}
#: The grid's own record, at the ring's steps and at the rates that were best there.
GRID: dict[str, Any] = SETTINGS | {
    "rates": {
        "GAN": 0.0005,
        "VAE": 0.008,
        "VAE, wide start": 0.008,
        "autoregressive": 0.008,
        "diffusion": 0.008,
        "flow matching": 0.008,
        "normalising flow": 0.0005,
    },
    "steps": {"grid": STEPS["ring"]},
    "samples": {"grid": 2_500},
    "weights": {"grid": 12_000},
    "sampler steps": [200],
    "controls": {
        "four times": ["diffusion", "flow matching"],
        "fast waves": ["diffusion", "flow matching"],
    },
}
GRID_QUICK: dict[str, Any] = GRID | {
    "runs": 2,
    "steps": {"grid": dict.fromkeys(STEPS["ring"], 20)},
    "samples": {"grid": 250},
    "sampler steps": [5],
    "draws": 5,
}
#: The glyphs' own record: the digits' settings, with as many weights as the narrowest chain needs.
GLYPHS: dict[str, Any] = SETTINGS | {
    "steps": {
        "glyphs": {
            "GAN": 620,
            "VAE": 1_660,
            "VAE, wide start": 1_660,
            "autoregressive": 500,
            "diffusion": 1_800,
            "flow matching": 1_800,
            "normalising flow": 960,
        }
    },
    "samples": {"glyphs": 400},
    "weights": {"glyphs": 200_000},
    "sampler steps": [1, 20, 200],
}
GLYPHS_QUICK: dict[str, Any] = GLYPHS | {
    "runs": 2,
    "rates": [2e-3],
    "steps": {"glyphs": dict.fromkeys(STEPS["digits"], 10)},
    "samples": {"glyphs": 100},
    "sampler steps": [5],
    "draws": 5,
}
#: Looked at afterwards: larger rates for those at the edge, and diffusion's preconditioning.
GLYPHS_MORE: dict[str, Any] = GLYPHS | {
    "rates": [8e-3, 1.6e-2, 3.2e-2],
    "at the edge": ["GAN", "VAE, wide start", "autoregressive"],
    "control": {"diffusion": 2e-3},
}
GLYPHS_MORE_QUICK: dict[str, Any] = GLYPHS_QUICK | {
    "rates": [2e-3, 4e-3],
    "at the edge": ["autoregressive"],
    "control": {"diffusion": 2e-3},
}
#: What a GPU is for (``benchmarks/stand.py``): wider networks, and as many steps as each takes in
#: the same seconds there.
FULL: dict[str, Any] = SETTINGS | {
    "steps": {},
    "seconds": 15.0,
    "families": {
        name: list(STEPS["ring" if name in ("ring", "grid") else "digits"])
        for name in ("ring", "grid", "digits", "glyphs")
    },
    "samples": {"ring": 1_500, "grid": 2_500, "digits": 400, "glyphs": 400},
    "weights": {"ring": 100_000, "grid": 100_000, "digits": 400_000, "glyphs": 800_000},
}
#: What is trained once more, with one thing changed.
CONTROLS = {"ring": ("GAN, recipe", "normalising flow"), "digits": ("diffusion", "flow matching")}
LATENT, LEVELS = 16, 17
#: σ at the start: far below the spread of the data, and as large.
VAES = {"VAE": 0.1, "VAE, wide start": 1.0}
#: Some samples of the first run, by task, family and sampler steps.
KEPT: dict[str, np.ndarray[Any, Any]] = {}


# --- The tasks ----------------------------------------------------------------------------


@dataclass
class Toy:
    """Modes in the plane, shown to all families but the recipe in units of their spread.

    Attributes:
        target: in its own units.
        noise: the recipe's instance noise, at first and at last.
        rates: the recipe's rates, of D and of G.
        penalty: the recipe's R1.
        frequencies: the recipe's waves.
        fastest: of the waves that all others are shown, in radians per unit.
    """

    target: GaussianMixture
    noise: tuple[float, float]
    rates: tuple[float, float]
    penalty: float
    frequencies: tuple[float, float]
    fastest: float = 10.0

    dim, batch, averaging = 2, 128, 0.99

    def __post_init__(self) -> None:
        self.unit = float(self.target.sample((100_000,), Generator().manual_seed(9)).std())
        self.source = GaussianMixture(self.target.centers / self.unit, self.target.std / self.unit)

    def build(self, family: str, width: int, runs: int) -> nn.Module:
        """A model whose hidden layers have this width."""

        def many(network: Callable[[], nn.Module]) -> nn.Module:
            return Ensemble(network, runs)

        def seeing(inputs: int, outputs: int) -> nn.Module:
            """What is shown a point of the plane is shown its waves, too."""
            waves = {"fourier": 12, "frequencies": (0.3, self.fastest)}
            return many(lambda: mlp(inputs, outputs, width=width, depth=3, **waves))

        def making(inputs: int) -> nn.Module:
            return many(lambda: mlp(inputs, 2, width=width, depth=3, activation="relu"))

        if family == "GAN":
            return Pair(making(2), seeing(2, 1), normal(2))
        if family == "GAN, recipe":
            waves = {"fourier": 12, "frequencies": self.frequencies}
            D = many(lambda: mlp(2, 1, width=width, depth=3, **waves))
            G = many(lambda: mlp(64, 2, width=width, depth=2, activation="relu"))
            return Pair(G, D, codebook(64))
        if family in VAES:
            return VAE(seeing(2, 4), making(2), latent=2, std=VAES[family])
        if family == "autoregressive":
            head = MixtureHead(8)
            masked = partial(masked_network, 2, head.outputs, width=width, depth=3, waves=12)
            return Autoregressive(many(masked), head, dim=2)
        if family == "normalising flow":
            return RealNVP([many(lambda: mlp(2, 4, width=width)) for _ in range(8)], dim=2)
        kind = {"diffusion": Diffusion, "flow matching": FlowMatching}[family]
        return kind(seeing(3, 2), dim=2)

    def gan(self, family: str, steps: int, rate: float) -> tuple[Settings, dict[str, Any], Any]:
        """Settings, schedule and data of a GAN."""
        if family == "GAN":
            settings = Settings(batch=self.batch, averaging=self.averaging)
            return settings, falling(rate, rate, steps), self.source
        penalties = {"R1": self.penalty} if self.penalty else {}
        settings = Settings(batch=self.batch, averaging=self.averaging, penalties=penalties)
        fading = {"instance_noise": Linear(*self.noise, 0, int(0.8 * steps))}
        return settings, falling(*self.rates, steps) | fading, self.target

    def seen(self, family: str, x: Tensor) -> Tensor:
        """Samples of a family in units of the spread."""
        return x / self.unit if family == "GAN, recipe" else x

    def quality(self, x: Tensor) -> dict[str, Tensor]:
        """Modes, and the distance to fresh data, ``(runs, samples, 2)`` to ``(runs,)`` each."""
        source = self.source
        found = mode_coverage(x, source.centers, float(source.std[0]))
        fresh = source.sample(x.shape[:2], Generator().manual_seed(8))
        return {
            "modes": found.modes,
            "high_quality": found.high_quality,
            "reverse_kl": found.reverse_kl,
            "sliced": sliced_wasserstein(x, fresh, generator=Generator().manual_seed(7)),
        }

    def price(self, x: Tensor) -> float:
        """What the rate is chosen by."""
        return float(self.quality(x)["sliced"].mean())

    def real(self, runs: int, samples: int) -> tuple[Tensor, Tensor, nn.Module]:
        """Real data, draws of one Gaussian fitted to it, and that Gaussian."""
        random = Generator().manual_seed(6)
        x = self.source.sample((runs, samples), random)
        bell = Bell(self.source.sample((20_000,), random))
        return x, bell.sample((runs, samples), random), bell

    @torch.no_grad()
    def likelihood(self, model: nn.Module, settings: dict[str, Any], runs: int) -> Tensor:
        """Bits a dimension above the data's own entropy, on fresh data, ``(runs,)``."""
        x, place = self.source.sample((runs, 1_000), Generator().manual_seed(5)), where(model)
        options = {"draws": settings["draws"]} if isinstance(model, VAE) else {}
        random = torch.Generator(place).manual_seed(4)
        found = model.log_prob(x.to(place), random, **options).cpu()  # type: ignore[operator]
        return (self.source.log_prob(x) - found).mean(dim=-1) / math.log(2) / 2

    @torch.no_grad()
    def mass(self, model: nn.Module, cells: int = 600) -> float:
        """The density of the first run, summed over the square from −2.2 to 2.2."""
        side = torch.linspace(-2.2, 2.2, cells)
        rows = torch.cartesian_prod(side, side).split(30_000)
        alone = of_one_run(model)
        parts = (alone.log_prob(part.to(where(model))).cpu() for part in rows)
        total = sum(float(part.double().exp().sum()) for part in parts)
        return total * float(side[1] - side[0]) ** 2


class Pictures:
    """Small pictures: whole numbers from 0 to 16, spread evenly over their step for most.

    Args:
        images: from −1 to 1, ``(pictures, 1, side, side)``; the 8 × 8 digits if left out.
        labels: their classes, ``(pictures,)``.
        parts: how many the judge learns from, the families, the choice of a rate is made by, and
            nobody has seen.
    """

    batch, averaging = 64, 0.995

    def __init__(
        self,
        images: Tensor | None = None,
        labels: Tensor | None = None,
        parts: Sequence[int] = (297, 900, 200, 400),
    ) -> None:
        if images is None or labels is None:
            images, labels = digits()
        self.shape = images.shape[1:]
        self.dim = self.shape.numel()
        order = torch.randperm(len(images), generator=Generator().manual_seed(0))
        judge, train, valid, unseen = order.split(list(parts))
        whole = ((images.flatten(1) + 1) * 8).round()
        seen = whole[judge].view(-1, *self.shape) / 8 - 1
        self.train, self.valid, self.unseen = (whole[rows] for rows in (train, valid, unseen))
        self.judge: Classifier = train_classifier(seen, labels[judge], held_out=47)
        self.source, self.numbers = Spread(self.train), Spread(self.train, spread=False)

    def build(self, family: str, width: int, runs: int) -> nn.Module:
        """A model whose hidden layers have this width."""

        def many(inputs: int, outputs: int, depth: int = 2) -> nn.Module:
            return Ensemble(lambda: mlp(inputs, outputs, width=width, depth=depth), runs)

        if family == "GAN":
            G = Ensemble(lambda: nn.Sequential(*mlp(32, self.dim, width=width), nn.Tanh()), runs)
            return Pair(G, many(self.dim, 1), normal(32))
        if family in VAES:
            networks = many(self.dim, 2 * LATENT), many(LATENT, self.dim)
            return VAE(*networks, latent=LATENT, std=VAES[family])
        if family == "autoregressive":
            head = ValueHead(LEVELS)
            network = Ensemble(lambda: masked_network(self.dim, LEVELS, width=width), runs)
            return Autoregressive(network, head, dim=self.dim)
        if family == "normalising flow":
            return RealNVP([many(self.dim, 2 * self.dim) for _ in range(6)], dim=self.dim)
        network = many(self.dim + 1, self.dim, depth=3)
        if family == "diffusion":  # less noise than 0.02 is lost in the rounding
            return Diffusion(network, dim=self.dim, low=0.02)
        return FlowMatching(network, dim=self.dim)

    def gan(self, family: str, steps: int, rate: float) -> tuple[Settings, dict[str, Any], Any]:
        """Settings, schedule and data of a GAN: those of chapter 09, at this rate."""
        settings = Settings(
            batch=self.batch, averaging=self.averaging, betas=(0.5, 0.99), penalties={"R1": 0.1}
        )
        return settings, falling(rate, rate, steps), self.source

    def pictures(self, whole: Tensor) -> Tensor:
        """Whole numbers from 0 to 16 as pictures from −1 to 1, ``(..., 1, side, side)``."""
        return (whole / 8 - 1).reshape(*whole.shape[:-1], *self.shape)

    def seen(self, family: str, x: Tensor) -> Tensor:
        """Samples of a family as whole numbers from 0 to 16."""
        if family == "autoregressive":
            return x
        return ((x + 1) * 8.5).floor().clamp(0, LEVELS - 1)

    def quality(self, x: Tensor) -> dict[str, Tensor]:
        """All measures of pictures, as the judge sees them, and the test for copies."""
        found = picture_quality(self.pictures(x), self.pictures(self.unseen), self.judge)
        copied = memorisation(
            x, self.train, self.unseen, permutations=200, generator=Generator().manual_seed(8)
        )
        return found._asdict() | {"copies": copied.p_value}

    def price(self, x: Tensor) -> float:
        """What the rate is chosen by."""
        found = picture_quality(self.pictures(x), self.pictures(self.valid), self.judge)
        return float(found.frechet.mean())

    def real(self, runs: int, samples: int) -> tuple[Tensor, Tensor, nn.Module]:
        """Training pictures, draws of one Gaussian fitted to them, and that Gaussian."""
        random = Generator().manual_seed(6)
        rows = [torch.randperm(len(self.train), generator=random)[:samples] for _ in range(runs)]
        bell = Bell(self.source.all(random))
        drawn = self.seen("one Gaussian", bell.sample((runs, samples), random))
        return self.train[torch.stack(rows)], drawn, bell

    @torch.no_grad()
    def likelihood(self, model: nn.Module, settings: dict[str, Any], runs: int) -> Tensor:
        """Bits a pixel of pictures never seen, ``(runs,)``.

        Densities of the spread numbers, in units of a step: on average they say no more than
        the whole numbers cost at least (Theis et al. 2016, section 3.1).
        """
        place, bits = where(model), math.log(2) * self.dim
        random, unseen = torch.Generator(place).manual_seed(5), self.unseen.to(place)
        if isinstance(model, Autoregressive):
            return -model.log_prob(unseen.expand(runs, -1, -1)).cpu().mean(dim=-1) / bits
        x = Spread(unseen).all(random).expand(runs, -1, -1)
        options = {"draws": settings["draws"]} if isinstance(model, VAE) else {}
        found = model.log_prob(x, random, **options).cpu()  # type: ignore[operator]
        return (self.dim * math.log(8.5) - found).mean(dim=-1) / bits


@dataclass
class Spread:
    """Whole numbers k as (k + u) / 8.5 − 1 with u uniform, or as they are."""

    rows: Tensor
    spread: bool = True

    def __post_init__(self) -> None:
        self.event_shape = self.rows.shape[1:]

    def _shown(self, k: Tensor, random: Generator | None) -> Tensor:
        if not self.spread:
            return k
        return (k + torch.rand(k.shape, generator=random, device=k.device)) / 8.5 - 1

    def all(self, random: Generator) -> Tensor:
        """Every row once."""
        return self._shown(self.rows, random)

    def sample(self, shape: Sequence[int] = (), generator: Generator | None = None) -> Tensor:
        """Draw rows with replacement, ``(*shape, pixels)``."""
        here: dict[str, Any] = {"generator": generator, "device": self.rows.device}
        return self._shown(
            self.rows[torch.randint(len(self.rows), tuple(shape), **here)], generator
        )

    def to(self, device: torch.device | str) -> Spread:
        """The same, on a device."""
        return Spread(self.rows.to(device), self.spread)


class Bell(nn.Module):
    """A normal law with the mean and the covariance of some data, ``(points, dim)``."""

    def __init__(self, data: Tensor) -> None:
        super().__init__()
        self.mean = data.mean(dim=0)
        self.values, self.vectors = torch.linalg.eigh(data.T.cov())

    def sample(self, shape: Sequence[int], random: Generator) -> Tensor:
        """Draw samples, ``(*shape, dim)``."""
        root = self.vectors * self.values.clamp(min=0).sqrt()
        return self.mean + torch.randn(*shape, len(self.mean), generator=random) @ root.T

    def log_prob(self, x: Tensor, _: Generator | None = None) -> Tensor:
        """Log density at x, ``(..., dim)``."""
        code = (x - self.mean) @ self.vectors / self.values.sqrt()
        logs = code.square() + self.values.log() + math.log(2 * math.pi)
        return -logs.sum(dim=-1) / 2


def of_one_run(model: nn.Module) -> Any:
    """The first of many models whose likelihood is exact."""
    if isinstance(model, RealNVP):
        return RealNVP([network.member(0) for network in model.networks], model.dim)  # type: ignore[operator]
    return Autoregressive(model.network.member(0), model.head, model.dim)  # type: ignore[operator, union-attr, arg-type]


class Preconditioned(Diffusion):
    """Diffusion whose network is asked for what is between x and the noise (Karras et al. 2022).

    Of table 1 there, c_skip, c_out, c_in and the weight of the loss, with data of spread 0.6; the
    levels of noise stay as they are.
    """

    spread = 0.6

    def noise(self, x: Tensor, sigma: Tensor) -> Tensor:
        """The guess of ε, ``(..., batch, dim)``: (x − c_skip x − c_out F) / σ."""
        total = sigma.square() + self.spread**2
        level = 2 * (sigma / self.low).log() / math.log(self.high / self.low) - 1
        found: Tensor = self.network(torch.cat([x / total.sqrt(), level], dim=-1))
        return x * sigma / total - self.spread * found / total.sqrt()

    def loss(self, x: Tensor, generator: Generator | None = None) -> Tensor:
        """|guess − ε|², weighed so that F has to meet a target of variance 1 at every level."""
        u = torch.rand(*x.shape[:-1], 1, generator=generator)
        sigma = self.low * (self.high / self.low) ** u
        epsilon = torch.randn(x.shape, generator=generator)
        weight = (sigma.square() + self.spread**2).squeeze(-1) / self.spread**2
        off = self.noise(x + sigma * epsilon, sigma) - epsilon
        return weight * off.square().sum(dim=-1)


class ToyControl(Toy):
    """The same, with a recipe that starts from one bell, and a flow that is shown waves."""

    def build(self, family: str, width: int, runs: int) -> nn.Module:
        """A model whose hidden layers have this width."""
        if family == "normalising flow":
            shown = partial(mlp, 2, 4, width=width, fourier=8, frequencies=(0.3, 10.0))
            return RealNVP([Ensemble(shown, runs) for _ in range(8)], dim=2)
        model = super().build(family, width, runs)
        return Pair(model.G, model.D, normal(64)) if isinstance(model, Pair) else model


class PictureControl(Pictures):
    """The same, with a diffusion that has a preconditioning."""

    def build(self, family: str, width: int, runs: int) -> nn.Module:
        """A model whose hidden layers have this width."""
        model = super().build(family, width, runs)
        if isinstance(model, Diffusion):
            return Preconditioned(model.network, model.dim, model.low, model.high)
        return model


# --- Training -----------------------------------------------------------------------------


class Pair(nn.Module):
    """A GAN's two networks."""

    def __init__(self, G: nn.Module, D: nn.Module, prior: Any) -> None:
        super().__init__()
        self.G, self.D, self.prior = G, D, prior

    def sample(self, shape: Sequence[int], random: Generator) -> Tensor:
        """Draw samples."""
        made: Tensor = self.G(self.prior.to(random.device).sample(shape, random))
        return made


def where(model: nn.Module) -> torch.device:
    """Where a model is; the CPU for one without weights."""
    return next((w.device for w in model.parameters()), torch.device("cpu"))


def clock(device: torch.device) -> float:
    """Seconds of the processor, or those on the wall where something else computes."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.process_time() if device.type == "cpu" else time.perf_counter()


def falling(discriminator: float, generator: float, steps: int) -> dict[str, Any]:
    """Rates that are constant for half of the steps, and then fall to a hundredth."""
    line = {"discriminator_rate": discriminator, "generator_rate": generator}
    return {name: Linear(v, v / 100, steps // 2, steps) for name, v in line.items()}


def weights(model: nn.Module, runs: int) -> int:
    """Weights of one run that are trained; those that a mask keeps at 0 do not count."""
    masked = sum(int((1 - m.mask).sum()) for m in model.modules() if isinstance(m, MaskedLinear))
    return (sum(p.numel() for p in model.parameters()) - masked) // runs


def sized(task: Any, family: str, aim: int, runs: int) -> nn.Module:
    """The family's widest model of at most so many weights."""
    least, most = (task.dim - 1 if family == "autoregressive" else 2), 400
    while most - least > 1:  # the weights grow with the width
        middle = (least + most) // 2
        with torch.random.fork_rng(devices=[]):
            fits = weights(task.build(family, middle, 1), 1) <= aim
        least, most = (middle, most) if fits else (least, middle)
    return task.build(family, least, runs)


def trained(
    task: Any, family: str, model: nn.Module, *, steps: int, rate: float, runs: int, seed: int
) -> tuple[nn.Module, float]:
    """The model with averaged weights, where it was, and the seconds of its training."""
    place = where(model)
    if isinstance(model, Pair):
        settings, schedule, data = task.gan(family, steps, rate)
        trainer = Trainer(model.G, model.D, data, model.prior, settings, seed=seed, device=place)
        begin = clock(place)
        trainer.train(steps, schedule=schedule, progress=False)
        seconds = clock(place) - begin
        return Pair(trainer.averaged, trainer.discriminator, model.prior), seconds
    source = (
        task.numbers if family == "autoregressive" and isinstance(task, Pictures) else task.source
    )
    begin = clock(place)
    found = fit(
        model,
        source.to(place),
        steps,
        batch=task.batch,
        rate=rate,
        averaging=task.averaging,
        runs=runs,
        generator=torch.Generator(place).manual_seed(seed),
    )
    return found, clock(place) - begin


@torch.no_grad()
def drawn(
    task: Any, family: str, model: nn.Module, shape: tuple[int, int], **options: Any
) -> tuple[Tensor, float]:
    """Samples as they are judged, on the CPU, and seconds for 1,000 of them."""
    place = where(model)
    begin = clock(place)
    x = model.sample(shape, torch.Generator(place).manual_seed(3), **options)  # type: ignore[operator]
    seconds = clock(place) - begin
    return task.seen(family, x.cpu()), 1_000 * seconds / math.prod(shape)


def variants(family: str, settings: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The ways to draw from a model: the name of the row, and the sampler's options."""
    if family in ("diffusion", "flow matching"):
        return {f"{n}": {"steps": n} for n in settings["sampler steps"]}
    if family in VAES:
        return {"": {}, "means": {"noise": False}}
    return {"": {}}


def chosen_rate(
    task: Any, name: str, family: str, settings: dict[str, Any], device: str = "cpu"
) -> tuple[float, list[Any]]:
    """The best of the rates, on seeds of their own, by trainings of half the length."""
    rates, runs = settings["rates"], settings["tuning runs"]
    if family == "GAN, recipe":
        return float("nan"), []
    rows = []
    for rate in rates:
        torch.manual_seed(1_000)
        model = sized(task, family, settings["weights"][name], runs).to(device)
        steps = settings["steps"][name][family] // 2
        try:
            model, _ = trained(task, family, model, steps=steps, rate=rate, runs=runs, seed=1_000)
            options = {"steps": 50} if family in ("diffusion", "flow matching") else {}
            x, _ = drawn(task, family, model, (runs, settings["samples"][name]), **options)
            price = task.price(x)
        except (ValueError, ArithmeticError, RuntimeError):  # it has diverged
            price = float("inf")
        rows.append(
            {"part": "tuning", "task": name, "family": family, "rate": rate, "price": price}
        )
    best = min(rows, key=lambda row: row["price"])
    return best["rate"], rows


def of_family(
    task: Any,
    name: str,
    family: str,
    settings: dict[str, Any],
    *,
    control: float | None = None,
    part: str = "record",
    times: int = 1,
    device: str = "cpu",
) -> list[dict[str, Any]]:
    """Tune, train and measure; a row for each run and way to draw.

    With a rate (``control``) nothing is tuned; ``part`` is that of the table.
    """
    runs, samples = settings["runs"], settings["samples"][name]
    tuned = control is None
    rate, rows = chosen_rate(task, name, family, settings, device) if tuned else (control, [])
    torch.manual_seed(0)
    model = sized(task, family, settings["weights"][name], runs).to(device)
    steps = settings["steps"][name][family] * times
    size = weights(model, runs)
    model, seconds = trained(task, family, model, steps=steps, rate=rate, runs=runs, seed=0)
    about = {"part": part, "task": name, "family": family, "rate": rate}
    about |= {"steps": steps, "weights": size, "seconds": round(seconds, 2)}
    say(f"{name}: {family}, {size} weights, {steps} steps, {seconds:.1f} s, rate {rate}")
    bits = None
    if hasattr(model, "log_prob") and family not in ("diffusion", "flow matching"):
        bits = task.likelihood(model, settings, runs)
        if isinstance(task, Toy) and family not in VAES:
            about["mass"] = round(task.mass(model), 4)
    for variant, options in variants(family, settings).items():
        x, price = drawn(task, family, model, (runs, samples), **options)
        if part == "record":
            keep(name, family, variant, x)
        quality = task.quality(x)
        say(
            f"  {variant} "
            + ", ".join(f"{n} {float(v.double().mean()):.3g}" for n, v in quality.items())
        )
        rows += rows_of(about | {"sampler": variant, "per 1,000": price}, quality, bits)
    return rows


def keep(name: str, family: str, variant: str, x: Tensor) -> None:
    """Some samples of the first run, for figures."""
    kind, count = (np.float16, 400) if x.shape[-1] == 2 else (np.uint8, 40)
    KEPT["|".join((name, family, variant))] = x[0, :count].numpy().astype(kind)


def rows_of(
    about: dict[str, Any], measures: dict[str, Tensor], bits: Tensor | None = None
) -> list[dict[str, Any]]:
    """A row for each run."""
    table = measures if bits is None else measures | {"bits": bits}
    columns = {name: v.double().tolist() for name, v in table.items()}
    runs = len(next(iter(columns.values())))
    return [about | {"run": r} | {n: v[r] for n, v in columns.items()} for r in range(runs)]


def say(words: str) -> None:
    """Tell whoever waits."""
    sys.stderr.write(f"{words}\n")
    sys.stderr.flush()


def tasks(*, control: bool = False) -> dict[str, Any]:
    """The ring, with its recipe's numbers (chapter 07), and the digits."""
    toy, pictures = (ToyControl, PictureControl) if control else (Toy, Pictures)
    return {
        "ring": toy(ring(), (0.3, 0.03), (2e-3, 7e-4), 0.003, (0.6, 10.0)),
        "digits": pictures(),
    }


def on_grid(fastest: float = 10.0) -> Toy:
    """The grid, with its recipe's numbers (chapter 07)."""
    return Toy(grid(), (0.8, 0.1), (2e-3, 1e-3), 0.0, (0.3, 8.0), fastest)


def on_glyphs(*, control: bool = False) -> Pictures:
    """Printed digits of 12 × 12 pixels, at nine places, of which the families learn from 2,000."""
    images, factors = glyphs(12)
    pictures = PictureControl if control else Pictures
    return pictures(images, factors.character, (1_000, 2_000, 400, 920))


def controls(name: str, rates: dict[str, float], settings: dict[str, Any]) -> list[dict[str, Any]]:
    """Rows of a task with one thing changed; flow matching's is the rate."""
    task, rows = tasks(control=True)[name], []
    for family in CONTROLS[name]:
        rate = settings["rates"][-1] if family == "flow matching" else rates[family]
        rows += of_family(task, name, family, settings, control=rate, part="control")
    return rows


def beside(task: Any, name: str, settings: dict[str, Any]) -> list[dict[str, Any]]:
    """The ceiling and the floor."""
    real, drawn, bell = task.real(settings["runs"], settings["samples"][name])
    rows = []
    for kind, x in (("real", real), ("one Gaussian", drawn)):
        keep(name, kind, "", x)
        about = {"part": "record", "task": name, "family": kind, "sampler": ""}
        bits = task.likelihood(bell, settings, settings["runs"]) if x is drawn else None
        rows += rows_of(about, task.quality(x), bits)
    return rows


def measure(settings: dict[str, Any]) -> pd.DataFrame:
    """Everything; a row for each task, family, way to draw and run."""
    rows: list[dict[str, Any]] = []
    every = tasks()
    for name, steps in settings["steps"].items():
        rows += beside(every[name], name, settings)
        for family in steps:
            rows += of_family(every[name], name, family, settings)
        rates = {row["family"]: row["rate"] for row in rows if "rate" in row}
        rows += controls(name, rates, settings)
    return pd.DataFrame(rows).round(5)


def measure_grid(settings: dict[str, Any]) -> pd.DataFrame:
    """The grid, and its controls; a row for each family, way to draw and run."""
    task, rates = on_grid(), settings["rates"]
    rows = beside(task, "grid", settings)
    for family in settings["steps"]["grid"]:
        rate = rates.get(family, math.nan)  # the recipe has its own
        rows += of_family(task, "grid", family, settings, control=rate)
    for part, families in settings["controls"].items():
        times, fastest = (4, 10.0) if part == "four times" else (1, 40.0)
        for family in families:
            rows += of_family(
                *(on_grid(fastest), "grid", family, settings),
                control=rates[family],
                part=part,
                times=times,
            )
    return pd.DataFrame(rows).round(5)


def measure_full(
    name: str, row: str, settings: dict[str, Any], device: str = "cuda"
) -> pd.DataFrame:
    """A family on a task with as many steps as a device takes in ``settings["seconds"]``.

    Args:
        name: ``"ring"``, ``"grid"``, ``"digits"`` or ``"glyphs"``.
        row: a family, or ``"beside"`` for the ceiling and the floor.
        settings: as ``FULL``.
        device: where it trains.
    """
    task = {"grid": on_grid, "glyphs": on_glyphs}.get(name, lambda: tasks()[name])()
    if row == "beside":
        rows = beside(task, name, settings)
    else:
        steps = steps_in(task, name, row, settings, device)
        own = settings | {"steps": {name: {row: steps}}}
        rows = of_family(task, name, row, own, device=device)
    return pd.DataFrame([{"row": row} | found for found in rows]).round(5)


def steps_in(task: Any, name: str, family: str, settings: dict[str, Any], device: str) -> int:
    """How many steps a family takes in the seconds of the settings, by thirty after ten."""
    runs, took = settings["runs"], 0.0
    for steps in (10, 30):
        torch.manual_seed(1_000)
        model = sized(task, family, settings["weights"][name], runs).to(device)
        _, took = trained(task, family, model, steps=steps, rate=1e-4, runs=runs, seed=1_000)
    return max(2, round(30 * settings["seconds"] / took))


def measure_glyphs(settings: dict[str, Any]) -> pd.DataFrame:
    """The glyphs; a row for each family, way to draw and run."""
    task = on_glyphs()
    rows = beside(task, "glyphs", settings)
    for family in settings["steps"]["glyphs"]:
        rows += of_family(task, "glyphs", family, settings)
    return pd.DataFrame(rows).round(5)


def measure_glyphs_more(settings: dict[str, Any]) -> pd.DataFrame:
    """The glyphs once more, with larger rates and with one thing changed; rows as above."""
    task, rows = on_glyphs(), []
    for family in settings["at the edge"]:
        rate, tried = chosen_rate(task, "glyphs", family, settings)
        rows += tried
        if rate > settings["rates"][0]:
            more = {"control": rate, "part": "larger rate"}
            rows += of_family(task, "glyphs", family, settings, **more)
    task = on_glyphs(control=True)
    for family, rate in settings["control"].items():
        rows += of_family(task, "glyphs", family, settings, control=rate, part="control")
    return pd.DataFrame(rows).round(5)


def main() -> None:
    """Record the ring and the digits, or the parts that the command line names."""
    small = "--quick" in sys.argv[1:]
    parts = {
        "grid": measure_grid,
        "glyphs": measure_glyphs,
        "glyphs_more": measure_glyphs_more,
    }
    if any(name in sys.argv[1:] for name in parts):
        full, quick = (
            {"grid": GRID, "glyphs": GLYPHS, "glyphs_more": GLYPHS_MORE},
            {"grid": GRID_QUICK, "glyphs": GLYPHS_QUICK, "glyphs_more": GLYPHS_MORE_QUICK},
        )
        record_parts(__file__, parts, full, quick)
    else:
        record(__file__, measure, SETTINGS, QUICK)
    for name, task in (("families", "digits"), ("families_glyphs", "glyphs")):
        if not small and any(key.startswith(task) for key in KEPT):
            np.savez_compressed(RUNS / f"{name}.npz", **KEPT)


if __name__ == "__main__":
    main()
