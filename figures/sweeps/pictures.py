"""Trainings on pictures that chapter 09 quotes, eight seeds each.

Four parts, each with a table of its own:

- ``digits``: a DCGAN with transposed convolutions, one that resizes, and perceptrons, on 500 of the
  8 × 8 digits, measured beside 500 others by a judge that was trained on the rest;
- ``few``: perceptrons on 100 digits: plain, with every picture that D sees changed at random, and
  with the real ones alone changed;
- ``stacked``: perceptrons on three digits in the colour channels, 1,000 modes;
- ``glyphs``: a DCGAN on printed characters of 16 × 16, whose every factor is known; told which
  character to make, and not told;
- ``sizes``: a DCGAN and perceptrons on MNIST's test pictures at 8, 16 and 28 pixels, for equal
  processor time. It needs the two ``t10k`` files, which :func:`gan_course.images.mnist` fetches or,
  without a network, finds where its error says.

    python figures/sweeps/pictures.py digits            # figures/runs/pictures_digits.csv, .json
    python figures/sweeps/pictures.py digits --quick    # figures/runs/pictures_digits.quick.csv, …

Without a name, all of them, one after the other: an hour on one core.
"""

from __future__ import annotations

import itertools
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F
from by_script import RUNS, record_parts
from torch import Generator, Tensor, nn

from gan_course.augmentation import Augment
from gan_course.conditional import one_hot
from gan_course.convolutional import dcgan
from gan_course.distributions import Empirical, Labelled, normal
from gan_course.images import Stacked, digits, glyphs, mnist, stacked_label
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
    "glyphs": {
        "runs": 4,
        "steps": [1_000, 2_000, 3_000],
        "samples": 2_160,
        "width": 32,
        "changed": {"discriminator_rate": 1e-3, "generator_rate": 1e-3, "averaging": 0.998},
    },
    "sizes": {
        "runs": 4,
        "rates": [5e-4, 2e-3],
        "seconds": {"8": [1, 2, 4], "16": [3, 6, 12], "28": [6, 12, 24]},
    },
}
QUICK: dict[str, dict[str, Any]] = {
    "digits": SETTINGS["digits"] | {"runs": 4, "steps": [60]},
    "few": SETTINGS["few"] | {"runs": 4, "steps": [100]},
    "stacked": SETTINGS["stacked"] | {"runs": 3, "steps": [60], "samples": 2_000},
    "glyphs": SETTINGS["glyphs"] | {"runs": 3, "steps": [20]},
    "sizes": SETTINGS["sizes"] | {"runs": 2, "seconds": {"8": [0.2], "16": [0.4], "28": [0.8]}},
}
Row = dict[str, Any]
LATENT = 64


def split() -> tuple[tuple[Tensor, Tensor], ...]:
    """The digits in four parts that share none: the judge's 297, then 500 three times."""
    images, labels = digits()
    order = torch.randperm(len(images), generator=Generator().manual_seed(0))
    return tuple((images[rows], labels[rows]) for rows in order.split([297, 500, 500, 500]))


def perceptrons(
    channels: int = 1, width: int = 256, augment: bool = False, side: int = 8
) -> tuple[Any, Any]:
    """What makes G and D of two hidden layers each, for square pictures."""
    pixels = side**2 * channels

    def generator() -> nn.Module:
        shape = nn.Unflatten(1, (channels, side, side))
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


class Asked(nn.Module):
    """A DCGAN's G that reads the character beside z."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.network = dcgan(16, latent=LATENT + 10, width=width)[0]

    def forward(self, z: Tensor, label: Tensor) -> Tensor:
        """Noise ``(batch, latent)`` and labels ``(batch,)`` to pictures."""
        x: Tensor = self.network(torch.cat([z, one_hot(label, 10)], dim=-1))
        return x


class Expecting(nn.Module):
    """A DCGAN's D that is told the character, by projection (Miyato & Koyama 2018, equation 4)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        *body, self.psi = dcgan(16, width=width)[1]
        self.phi, features = nn.Sequential(*body), int(self.psi.in_features)
        self.v = nn.Parameter(torch.randn(10, features) / features**0.5)

    def forward(self, x: Tensor, label: Tensor) -> Tensor:
        """Pictures and labels ``(batch,)`` to logits ``(batch, 1)``."""
        seen = self.phi(x)
        logit: Tensor = self.psi(seen) + (seen * self.v[label]).sum(dim=-1, keepdim=True)
        return logit


def alone(players: tuple[Any, Any], data: Any, run: int, **changed: Any) -> Trainer:
    """One training, no ensemble: convolutions are faster so, and its processor time is its own."""
    torch.manual_seed(run)
    G, D = (build() for build in players)
    return Trainer(G, D, data, normal(LATENT), Settings(**RECIPE | changed), seed=run, device="cpu")


@torch.no_grad()
def told_logit(trainer: Trainer, x: Tensor, label: Tensor | None) -> float:
    """D's mean logit of pictures, and of their characters if it is told them."""
    return trainer.logits(x[None], None if label is None else label[None]).mean().item()


def asked_for(samples: int, run: int) -> Tensor:
    """Which characters a generator is asked for, drawn at random."""
    return torch.randint(10, (samples,), generator=Generator().manual_seed(100 + run))


def of_glyphs(settings: dict[str, Any]) -> Iterator[Row]:
    """Every factor of what G makes, as six judges read it, beside real glyphs and forgers.

    Of all together: the share on which two judges of characters agree, that which is read as it was
    asked for, that which is nearest to a picture of G's half, and how much D prefers that half.
    """
    (known, theirs), (train, own) = glyph_halves()
    few = settings["steps"][-1] < 100
    look = {"steps": 150 if few else 600, "held_out": 160}
    judges = [train_classifier(known, theirs[:, f], **look) for f in range(len(FACTORS))]
    second = train_classifier(known, theirs[:, 0], **look, seed=1)
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

    def measured(made: Tensor, labels: Row, asked: Tensor | None, **more: float) -> Iterator[Row]:
        said = torch.stack([judge.classify(made) for judge in judges], dim=-1)
        for f, factor in enumerate(FACTORS):
            found = label_coverage(said[None, :, f], torch.ones(sizes[f]))
            share = found.counts.double() / len(made)
            right = (said[:, f] == own[:n, f]).double().mean()
            extra = {"accuracy": right} if labels["variant"] == "real" else {}
            yield from rows_of(
                labels | {"factor": factor},
                kl=found.kl,
                levels=found.classes,
                least=share.amin(dim=1) * sizes[f],
                **extra,
            )
        combined = list(map(tuple, said.tolist()))
        yield from rows_of(
            labels | {"factor": "all"},
            levels=torch.tensor(len(set(combined))),
            trained_on=torch.tensor(sum(k in seen for k in combined) / len(combined)),
            agreed=(said[:, 0] == second.classify(made)).double().mean(),
            copied=memorisation(made[None], train, known, permutations=1).share,
            **({} if asked is None else {"as_asked": (said[:, 0] == asked).double().mean()}),
            **{name: torch.tensor(value) for name, value in more.items()},
        )

    for name, pictures in fixed.items():
        yield from measured(pictures, {"variant": name, "step": -1}, None)
    width, sheets = settings["width"], []
    character, their_character = own[:, 0], theirs[:, 0]
    variants: dict[str, tuple[tuple[Any, Any], Any]] = {
        "told": (
            (partial(Asked, width), partial(Expecting, width)),
            Labelled(train, character),
        ),
        "not told": (convolutions(16, width), Empirical(train)),
    }
    for variant, (players, data) in variants.items():
        told = variant == "told"
        for run in range(settings["runs"]):
            trainer, asked = alone(players, data, run, **settings["changed"]), asked_for(n, run)
            for step in settings["steps"]:
                trainer.train(step - trainer.steps, progress=False)
                made = trainer.sample(n, averaged=True, label=asked if told else None)[0]
                prefers = [
                    told_logit(trainer, x, y if told else None)
                    for x, y in ((train, character), (known, their_character))
                ]
                labels = {"variant": variant, "step": step}
                more = {"seen_less_unseen": prefers[0] - prefers[1]}
                for row in measured(made, labels, asked if told else None, **more):
                    yield row | {"run": run}
                say(f"glyphs, {variant}, seed {run}, step {step}")
            sheets.append(made[:16].reshape(2, 8, 16, 16))
    if not few:
        told_sheet = torch.cat(sheets[: settings["runs"]]).permute(0, 2, 1, 3).reshape(-1, 8 * 16)
        plt.imsave(RUNS / "pictures_glyphs.png", told_sheet, cmap="gray", vmin=-1, vmax=1)


#: Pictures of the judge, of G and D, to compare with, and real ones in a generator's place.
SHARES = [3_000, 5_000, 1_000, 1_000]


def of_sizes(settings: dict[str, Any]) -> Iterator[Row]:
    """MNIST's test pictures at several sizes: a DCGAN and perceptrons for equal processor time.

    The two of one seed are trained one after the other, so that whatever else the machine does
    meets both.
    """
    full, labels = mnist("test")
    order = torch.randperm(len(full), generator=Generator().manual_seed(0))
    for side, moments in settings["seconds"].items():
        judged, train, unseen, fresh = F.interpolate(full, int(side), mode="area")[order].split(
            SHARES
        )
        judge = train_classifier(judged, labels[order[: SHARES[0]]], held_out=SHARES[0] // 10)
        say(f"{side} pixels: {judge}")
        for name, pictures in beside(train, fresh).items():
            where = {"side": side, "variant": name, "rate": 0.0, "moment": -1, "steps": 0}
            quality = picture_quality(pictures[None], unseen, judge)._asdict()
            yield from rows_of(where, **quality)
        players = {"DCGAN": convolutions(int(side), 16), "perceptrons": perceptrons(side=int(side))}
        for seed in range(settings["runs"]):
            for rate, (variant, pair) in itertools.product(settings["rates"], players.items()):
                for moment, trainer in timed(pair, train, moments, rate, seed):
                    made = trainer.sample(SHARES[2], averaged=True)
                    quality = picture_quality(made, unseen, judge)._asdict()
                    where = {"side": side, "variant": variant, "rate": rate, "moment": moment}
                    for row in rows_of(where | {"steps": trainer.steps}, **quality):
                        yield row | {"run": seed}
                say(f"{side} pixels, {variant}, rate {rate}, seed {seed}: {trainer.steps} steps")


def beside(train: Tensor, fresh: Tensor) -> dict[str, Tensor]:
    """What no network has made: real pictures, a normal law with their moments, and noise."""
    random = Generator().manual_seed(1)
    pixels = train.flatten(1).double()
    values, vectors = torch.linalg.eigh(pixels.T.cov())
    z = torch.randn(fresh.shape[0], pixels.shape[1], generator=random, dtype=torch.double)
    bell = pixels.mean(dim=0) + z @ (vectors * values.clamp(min=0).sqrt()).T
    noise = 2 * torch.rand(fresh.shape, generator=random) - 1
    return {
        "real": fresh,
        "normal pixels": bell.float().clamp(-1, 1).reshape(fresh.shape),
        "noise": noise,
    }


def timed(
    players: tuple[Any, Any], data: Tensor, moments: list[float], rate: float, seed: int
) -> Iterator[tuple[float, Trainer]]:
    """Train one pair; yield it after so many processor seconds of training."""
    rates = {"discriminator_rate": rate, "generator_rate": rate}
    trainer = alone(players, Empirical(data), seed, **rates, averaging=0.99)
    spent = 0.0
    for moment in moments:
        while spent < moment:
            begin = time.process_time()
            trainer.train(10, progress=False)
            spent += time.process_time() - begin
        yield moment, trainer


PARTS: dict[str, Callable[[dict[str, Any]], Iterator[Row]]] = {
    "digits": of_digits,
    "few": of_few,
    "stacked": of_stacked,
    "glyphs": of_glyphs,
    "sizes": of_sizes,
}


if __name__ == "__main__":
    recipe = RECIPE | {"betas": list(RECIPE["betas"])}
    record_parts(__file__, PARTS, SETTINGS, QUICK, {"recipe": recipe})
