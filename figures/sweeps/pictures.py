"""Trainings on pictures that chapter 09 quotes, eight seeds each.

Four parts, each with a table of its own:

- ``digits``: a DCGAN with transposed convolutions, one that resizes, and perceptrons, on 500 of the
  8 × 8 digits, measured beside 500 others by a judge that was trained on the rest;
- ``few``: perceptrons on 100 digits: plain, with every picture that D sees changed at random, and
  with the real ones alone changed;
- ``stacked``: perceptrons on three digits in the colour channels, 1,000 modes;
- ``glyphs``: a DCGAN on printed characters of 16 × 16, whose every factor is known.

    python figures/sweeps/pictures.py digits            # figures/runs/pictures_digits.csv, .json
    python figures/sweeps/pictures.py digits --quick    # figures/runs/pictures_digits.quick.csv, …

Without a name, all of them, one after the other: half an hour on one core.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import matplotlib.pyplot as plt
import torch
from by_script import RUNS, record_parts
from torch import Generator, Tensor, nn

from gan_course.augmentation import Augment
from gan_course.convolutional import dcgan
from gan_course.distributions import Empirical, normal
from gan_course.images import Stacked, digits, glyphs, stacked_label
from gan_course.metrics import (
    Classifier,
    label_coverage,
    memorisation,
    picture_quality,
    train_classifier,
)
from gan_course.networks import Ensemble, mlp
from gan_course.training import Settings, Trainer

RECIPE: dict[str, Any] = {
    "batch": 64,
    "discriminator_rate": 5e-4,
    "generator_rate": 5e-4,
    "betas": (0.5, 0.99),
    "averaging": 0.995,
    "penalties": {"R1": 0.1},
}
#: Of each part: trainings of each variant, the steps at which they are measured, and samples.
SETTINGS: dict[str, dict[str, Any]] = {
    "digits": {"runs": 8, "steps": [125, 250, 500, 1_000], "samples": 500},
    "few": {"runs": 8, "steps": [250, 500, 1_000, 1_500], "samples": 500, "pictures": 100},
    "stacked": {"runs": 8, "steps": [250, 500, 1_000, 1_500], "samples": 26_000},
    "glyphs": {"runs": 8, "steps": [250, 500, 1_000], "samples": 2_160},
}
QUICK: dict[str, dict[str, Any]] = {
    "digits": SETTINGS["digits"] | {"runs": 4, "steps": [60]},
    "few": SETTINGS["few"] | {"runs": 4, "steps": [100]},
    "stacked": SETTINGS["stacked"] | {"runs": 3, "steps": [60], "samples": 2_000},
    "glyphs": SETTINGS["glyphs"] | {"runs": 3, "steps": [20]},
}
Row = dict[str, Any]
LATENT = 64


def split() -> tuple[tuple[Tensor, Tensor], ...]:
    """The digits in four parts that share none: the judge's 297, then 500 three times."""
    images, labels = digits()
    order = torch.randperm(len(images), generator=Generator().manual_seed(0))
    return tuple((images[rows], labels[rows]) for rows in order.split([297, 500, 500, 500]))


def perceptrons(channels: int = 1, width: int = 256, augment: bool = False) -> tuple[Any, Any]:
    """What makes G and D of two hidden layers each, for pictures of 8 × 8."""
    pixels = 64 * channels

    def generator() -> nn.Module:
        shape = nn.Unflatten(1, (channels, 8, 8))
        return nn.Sequential(*mlp(LATENT, pixels, width=width), shape, nn.Tanh())

    def discriminator() -> nn.Module:
        layers = [nn.Flatten(), *mlp(pixels, 1, width=width)]
        return nn.Sequential(*[Augment()] * augment, *layers)

    return generator, discriminator


def convolutions(size: int, width: int, upsampling: str = "transposed") -> tuple[Any, Any]:
    """What makes the DCGAN pair, each player alone."""
    return tuple(
        lambda player=player: dcgan(size, latent=LATENT, width=width, upsampling=upsampling)[player]
        for player in (0, 1)
    )


def trained(
    players: tuple[Any, Any], data: Any, settings: dict[str, Any]
) -> Iterator[tuple[int, Trainer]]:
    """Train an ensemble; yield it at each of the steps."""
    torch.manual_seed(0)
    G, D = (Ensemble(build, settings["runs"]) for build in players)
    trainer = Trainer(G, D, data, normal(LATENT), Settings(**RECIPE), device="cpu")
    for step in settings["steps"]:
        trainer.train(step - trainer.steps, progress=False)
        yield step, trainer


def parity(images: Tensor) -> Tensor:
    """Share of a picture's variance that even and odd rows and columns explain, ``(...)``."""
    centred = images - images.mean(dim=(-2, -1), keepdim=True)
    means = [centred[..., i::2, j::2].mean(dim=(-2, -1)) for i in (0, 1) for j in (0, 1)]
    explained = torch.stack(means).square().mean(dim=0)
    return (explained / centred.square().mean(dim=(-2, -1)).clamp(min=1e-12)).mean(dim=-1)


def say(words: str) -> None:
    """Tell whoever waits."""
    sys.stderr.write(f"{words}\n")
    sys.stderr.flush()


def rows_of(labels: Row, **measures: Tensor) -> list[Row]:
    """A row for each run."""
    columns = {name: values.double().flatten().tolist() for name, values in measures.items()}
    count = len(next(iter(columns.values())))
    return [
        labels | {"run": run} | {name: round(v[run], 6) for name, v in columns.items()}
        for run in range(count)
    ]


def of_digits(settings: dict[str, Any]) -> Iterator[Row]:
    """DCGAN, with both ways of enlarging, beside perceptrons."""
    (known, names), (train, _), (unseen, _), _ = split()
    judge = train_classifier(known, names, held_out=47)
    variants = {
        "DCGAN": convolutions(8, 32),
        "DCGAN, resized": convolutions(8, 32, "resize"),
        "perceptrons": perceptrons(),
    }
    for variant, players in variants.items():
        begin = time.process_time()
        for step, trainer in trained(players, Empirical(train), settings):
            seconds = time.process_time() - begin
            made = trainer.sample(settings["samples"], averaged=True)
            quality = picture_quality(made, unseen, judge)._asdict()
            copied = memorisation(made, train, unseen, permutations=1).share
            now = parity(trainer.sample(settings["samples"]).squeeze(2))
            labels = {"variant": variant, "step": step, "seconds": round(seconds, 1)}
            yield from rows_of(
                labels, **quality, copied=copied, parity=parity(made.squeeze(2)), parity_now=now
            )
            say(f"{variant}, step {step}: {seconds:.0f} s")


class Changed:
    """A source whose pictures are changed at random as they are drawn."""

    def __init__(self, images: Tensor) -> None:
        self.source, self.change = Empirical(images), Augment()
        self.event_shape = images.shape[1:]

    def sample(self, shape: Sequence[int] = (), generator: Generator | None = None) -> Tensor:
        """Draw pictures, shape ``(*shape, channels, height, width)``."""
        drawn = self.source.sample(shape, generator)
        with torch.random.fork_rng(devices=[]):
            if generator is not None:
                torch.manual_seed(int(torch.randint(2**31, (), generator=generator)))
            changed: Tensor = self.change(drawn.reshape(-1, *self.event_shape))
        return changed.reshape(drawn.shape)

    def to(self, device: torch.device | str) -> Changed:
        """Stay where it is, on the CPU."""
        return self


def of_few(settings: dict[str, Any]) -> Iterator[Row]:
    """A hundred digits: plain, D sees all pictures changed, only the real ones are changed."""
    (known, names), (train, _), (unseen, _), _ = split()
    few, judge = train[: settings["pictures"]], train_classifier(known, names, held_out=47)
    variants = {
        "plain": (perceptrons(width=128), Empirical(few)),
        "all changed": (perceptrons(width=128, augment=True), Empirical(few)),
        "real ones changed": (perceptrons(width=128), Changed(few)),
    }
    for variant, (players, data) in variants.items():
        for step, trainer in trained(players, data, settings):
            made = trainer.sample(settings["samples"], averaged=True)
            quality = picture_quality(made, unseen, judge)._asdict()
            others = unseen[: settings["pictures"]]
            copied = memorisation(made, few, others, permutations=1).share
            margin, above = gaps(trainer, few, unseen, made)
            rim = (made[..., 0] + 1).abs().mean(dim=(1, 2, 3))
            yield from rows_of(
                {"variant": variant, "step": step},
                **quality,
                copied=copied,
                seen_less_unseen=margin,
                unseen_less_made=above,
                rim=rim,
            )
            say(f"{variant}, step {step}")


def gaps(trainer: Trainer, few: Tensor, unseen: Tensor, made: Tensor) -> tuple[Tensor, Tensor]:
    """D's mean logit of what it was shown less that of what it was not; and that less of G's."""
    D = trainer.discriminator
    D.eval()
    with torch.no_grad():
        of_few, of_unseen, of_made = (
            D(x).squeeze(-1).mean(dim=1)
            for x in (
                few.expand(trainer.runs, *few.shape),
                unseen.expand(trainer.runs, *unseen.shape),
                made,
            )
        )
    D.train()
    return of_few - of_unseen, of_unseen - of_made


def of_stacked(settings: dict[str, Any]) -> Iterator[Row]:
    """A thousand modes, counted by a judge of single digits that never saw G's digits."""
    images, labels = digits()
    order = torch.randperm(len(images), generator=Generator().manual_seed(0))
    known, train = order.split([897, 900])
    judge = train_classifier(images[known], labels[known], held_out=97)
    data = Stacked(images[train], labels[train])
    for step, trainer in trained(perceptrons(channels=3), data, settings):
        made = trainer.sample(settings["samples"], averaged=True)
        found = label_coverage(stacked_label(read(made, judge)), torch.ones(1000))
        yield from rows_of(
            {"variant": "perceptrons", "step": step}, modes=found.classes, kl=found.kl
        )
        say(f"stacked, step {step}")


def read(stacks: Tensor, judge: Classifier) -> Tensor:
    """The digit in each channel, ``(..., 3, height, width)`` to ``(..., 3)``."""
    return judge.classify(stacks.unsqueeze(-3))


def glyph_halves() -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """Glyphs of 16 × 16 with their factors ``(samples, 6)``: the judges' half, and G's half."""
    images, factors = glyphs(16)
    order = torch.randperm(len(images), generator=Generator().manual_seed(0))
    known = torch.stack(factors, dim=1)
    first, second = ((images[rows], known[rows]) for rows in order.chunk(2))
    return first, second


FACTORS = ("character", "font", "slant", "stroke", "size", "place")


def of_glyphs(settings: dict[str, Any]) -> Iterator[Row]:
    """Every factor of what G makes, as six judges read it, beside real glyphs and forgers."""
    (known, theirs), (train, own) = glyph_halves()
    few = settings["steps"][-1] < 100
    judges = [
        train_classifier(known, theirs[:, f], steps=150 if few else 600, held_out=160)
        for f in range(len(FACTORS))
    ]
    sizes = [int(own[:, f].max()) + 1 for f in range(len(FACTORS))]
    random = Generator().manual_seed(1)
    n = settings["samples"]
    one_font = train[own[:, 1] == 0]
    fixed: dict[str, Tensor] = {
        "real": train[:n],
        "one font": one_font[torch.randint(len(one_font), (n,), generator=random)],
        "noise": 2 * torch.rand(n, 1, 16, 16, generator=random) - 1,
    }
    dirt = 0.3 * torch.randn(n, 1, 16, 16, generator=random)
    fixed["real, dirt 0.3"] = (train[:n] + dirt).clamp(-1, 1)
    seen = set(map(tuple, own.tolist()))

    def measured(made: Tensor, labels: Row) -> Iterator[Row]:
        said = torch.stack([judge.classify(made) for judge in judges], dim=-1)
        for f, factor in enumerate(FACTORS):
            found = label_coverage(said[..., f], torch.ones(sizes[f]))
            share = found.counts.double() / made.shape[1]
            right = (said[0, :, f] == own[:n, f]).double().mean() if labels["step"] < 0 else None
            # The true labels belong to real glyphs alone.
            accuracy = right if labels["variant"] == "real" else None
            extra = {} if accuracy is None else {"accuracy": accuracy.expand(len(made))}
            yield from rows_of(
                labels | {"factor": factor},
                kl=found.kl,
                levels=found.classes,
                least=share.amin(dim=1) * sizes[f],
                **extra,
            )
        combined = [list(map(tuple, run)) for run in said.tolist()]
        kinds = torch.tensor([len(set(run)) for run in combined])
        known_share = torch.tensor([sum(k in seen for k in run) / len(run) for run in combined])
        yield from rows_of(labels | {"factor": "all"}, levels=kinds, trained_on=known_share)

    for name, pictures in fixed.items():
        yield from measured(pictures.unsqueeze(0), {"variant": name, "step": -1})
    for step, trainer in trained(convolutions(16, 16), Empirical(train), settings):
        made = trainer.sample(n, averaged=True)
        yield from measured(made, {"variant": "DCGAN", "step": step})
        say(f"glyphs, step {step}")
    if not few:
        sheet = made[:, :8].squeeze(2).permute(0, 2, 1, 3).reshape(-1, 8 * 16)
        plt.imsave(RUNS / "pictures_glyphs.png", sheet, cmap="gray", vmin=-1, vmax=1)


PARTS: dict[str, Callable[[dict[str, Any]], Iterator[Row]]] = {
    "digits": of_digits,
    "few": of_few,
    "stacked": of_stacked,
    "glyphs": of_glyphs,
}


if __name__ == "__main__":
    recipe = RECIPE | {"betas": list(RECIPE["betas"])}
    record_parts(__file__, PARTS, SETTINGS, QUICK, {"recipe": recipe})
