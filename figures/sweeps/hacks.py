"""Trainings that ask what one change does: hacks, pictures that are all alike, packing, arithmetic.

Each part has a table of its own:

- ``tricks``: the well-known hacks, each added to a bare training and taken from one that has them
  all; perceptrons on 500 digits of 8 × 8, at two learning rates;
- ``one``: perceptrons whose pictures all become one digit, and what prevents it;
- ``packed``: a DCGAN on stacked digits, whose D sees one stack, or two or four at once;
- ``batches``: its controls: single stacks in as many batches as packs of four have, and packs of
  four in as many as single stacks have;
- ``late``: a small DCGAN on digits, long after it has become good, and what breaks it;
- ``latent``: arithmetic with z, of trained generators and of one that has learnt nothing.

    python figures/sweeps/hacks.py one            # figures/runs/hacks_one.csv, .json
    python figures/sweeps/hacks.py one --quick    # figures/runs/hacks_one.quick.csv, …

Without a name, all of them, one after the other: half an hour on one core. Chapter 09
quotes them all.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from by_script import record_parts
from pictures import LATENT, convolutions, perceptrons, read, rows_of, say, split
from torch import Generator, Tensor, nn

from gan_course.convolutional import dcgan
from gan_course.distributions import Empirical, normal, uniform
from gan_course.images import Stacked, digits, stacked_label
from gan_course.losses import Loss, cross_entropy, non_saturating_generator
from gan_course.metrics import (
    Classifier,
    label_coverage,
    mean_interval,
    picture_quality,
    train_classifier,
)
from gan_course.networks import Ensemble, mlp
from gan_course.training import Linear, Settings, Trainer

Row = dict[str, Any]
Table = dict[str, Any]
Build = Callable[[], nn.Module]

# -- the hacks, one by one ----------------------------------------------------------------

#: In the order of the chapter's figure. Of the last, more steps of D, the bare training has none
#: and "all" neither: it is added to both, at equal work.
TRICKS = (
    "pictures from −1 to 1, tanh",
    "normal z",
    "batch norm in G",
    "batch norm in D",
    "leaky ReLU in D",
    "β₁ = .5",
    "real labels .9",
    "flipped labels",
    "noise in D",
    "k = 3",
)
SMOOTH, FLIPPED, NOISE = 0.9, 0.05, 0.2


def labels_loss(smooth: bool, flipped: bool) -> Loss:
    """Cross-entropy whose real labels are .9 in place of 1, or with labels flipped at random."""
    target = SMOOTH if smooth else 1.0

    def discriminator(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        cost = F.softplus(-real_logits) * target + F.softplus(real_logits) * (1 - target)
        other = F.softplus(fake_logits)
        if flipped:
            turned, turned_too = (torch.rand_like(a) < FLIPPED for a in (cost, other))
            cost = torch.where(turned, F.softplus(real_logits), cost)
            other = torch.where(turned_too, F.softplus(-fake_logits), other)
        return cost.mean(dim=-1) + other.mean(dim=-1)

    plain = not (smooth or flipped)
    return Loss("labels", cross_entropy if plain else discriminator, non_saturating_generator)


def tricky_players(on: frozenset[str], width: int) -> tuple[Build, Build]:
    """What makes G and D of two hidden layers each, with some hacks."""
    last = [nn.Tanh()] * (TRICKS[0] in on)
    slope = "leaky relu" if "leaky ReLU in D" in on else "relu"

    def generator() -> nn.Module:
        layers = mlp(LATENT, 64, width=width, activation="relu", batch_norm="batch norm in G" in on)
        return nn.Sequential(*layers, nn.Unflatten(1, (1, 8, 8)), *last)

    def discriminator() -> nn.Module:
        layers = mlp(64, 1, width=width, activation=slope, batch_norm="batch norm in D" in on)
        return nn.Sequential(nn.Flatten(), *layers)

    return generator, discriminator


def tricky(on: frozenset[str], settings: Table) -> Iterator[tuple[int, Trainer]]:
    """Train with some hacks, half of the ensemble at each rate; yield at each of the moments.

    A moment is counted in rounds of k = 1; with k = 3 the same work makes half as many.
    """
    torch.manual_seed(settings["seed"])
    rates = [rate for rate in settings["rates"] for _ in range(settings["runs"])]
    G, D = (Ensemble(build, len(rates)) for build in tricky_players(on, settings["width"]))
    (_, _), (train, _), _, _ = split()
    data = train if TRICKS[0] in on else (train + 1) / 2
    prior = normal(LATENT) if "normal z" in on else uniform(LATENT)
    k = 3 if "k = 3" in on else 1
    chosen = Settings(
        loss=labels_loss("real labels .9" in on, "flipped labels" in on),
        k=k,
        batch=64,
        discriminator_rate=rates,
        generator_rate=rates,
        betas=(0.5 if "β₁ = .5" in on else 0.9, 0.999),
        averaging=settings["averaging"],
    )
    trainer = Trainer(G, D, Empirical(data), prior, chosen, seed=settings["seed"], device="cpu")
    rounds = [2 * step // (k + 1) for step in settings["steps"]]
    noisy = {"instance_noise": Linear(NOISE, 0.0, 0, rounds[-1])} if "noise in D" in on else None
    for step, until in zip(settings["steps"], rounds, strict=True):
        trainer.train(until - trainer.steps, schedule=noisy, progress=False)
        yield step, trainer


def shown_of(trainer: Trainer, samples: int, on: frozenset[str], averaged: bool) -> Tensor:
    """G's pictures, from −1 to 1 whatever they were trained on."""
    made = trainer.sample(samples, averaged=averaged)
    return (made if TRICKS[0] in on else 2 * made - 1).clamp(-1, 1)


def sets_of_tricks() -> dict[tuple[str, str], frozenset[str]]:
    """Each training by its company, ``"bare"`` or ``"all"``, and the hack that is changed."""
    bare, every = frozenset[str](), frozenset(TRICKS[:-1])
    sets = {("bare", "none"): bare, ("all", "none"): every}
    for trick in TRICKS:
        sets["bare", trick] = bare | {trick}
        sets["all", trick] = every ^ {trick}  # taken away; k = 3 is added
    return sets


def of_tricks(settings: Table) -> Iterator[Row]:
    """Every hack in both companies, with real digits for a ceiling and noise for a floor."""
    (known, names), _, (unseen, _), (fresh, _) = split()
    judge = train_classifier(known, names, held_out=47)
    random = Generator().manual_seed(1)
    fixed = {"real": fresh, "noise": 2 * torch.rand(500, 1, 8, 8, generator=random) - 1}
    for name, pictures in fixed.items():
        quality = picture_quality(pictures[None], unseen, judge)
        labels = {"company": name, "trick": "none", "step": -1, "weights": "now"}
        yield from tricky_rows(labels, quality, [0.0])
    for (company, trick), on in sets_of_tricks().items():
        begin = time.process_time()
        for step, trainer in tricky(on, settings):
            for weights in ("now", "averaged"):
                made = shown_of(trainer, settings["samples"], on, weights == "averaged")
                quality = picture_quality(made, unseen, judge)
                labels = {"company": company, "trick": trick, "step": step, "weights": weights}
                yield from tricky_rows(labels, quality, settings["rates"])
        say(f"{company}, {trick}: {time.process_time() - begin:.0f} s")


def tricky_rows(labels: Row, quality: Any, rates: list[float]) -> Iterator[Row]:
    """A row for each run, which knows its rate and its seed."""
    kept = {name: getattr(quality, name) for name in ("frechet", "precision", "recall", "balance")}
    rows = rows_of(labels, **kept)
    each = len(rows) // len(rates)
    for row in rows:
        place, seed = divmod(row.pop("run"), each)
        yield labels | {"rate": rates[place], "run": seed} | row


# -- a question of readers ----------------------------------------------------------------


def watched(
    players: tuple[Build, Build],
    data: Tensor,
    settings: Table,
    *,
    prior: Any = None,
    **changes: Any,
) -> Iterator[tuple[int, Trainer]]:
    """Train an ensemble with the part's settings, but for some; yield at each of the steps."""
    torch.manual_seed(settings["seed"])
    G, D = (Ensemble(build, settings["runs"]) for build in players)
    chosen = Settings(**(settings["recipe"] | changes))
    trainer = Trainer(
        G, D, Empirical(data), prior or normal(LATENT), chosen, seed=settings["seed"], device="cpu"
    )
    for step in settings["steps"]:
        trainer.train(step - trainer.steps, progress=False)
        yield step, trainer


def of_one(settings: Table) -> Iterator[Row]:
    """How many kinds of digits perceptrons make, and which is the most frequent."""
    (known, names), (train, _), (unseen, _), _ = split()
    judge = train_classifier(known, names, held_out=47)
    share = torch.bincount(judge.classify(unseen), minlength=10)
    slow = settings["recipe"]["generator_rate"] / 4
    variants: dict[str, tuple[int, Table]] = {
        "β₁ = .9": (1, {}),
        "β₁ = .5": (1, {"betas": (0.5, 0.999)}),
        "rates / 4": (1, {"discriminator_rate": slow, "generator_rate": slow}),
        "packing 4": (4, {"packing": 4}),
    }
    for variant, (packed, changes) in variants.items():
        players = bare_players(settings["width"], packed)
        for step, trainer in watched(players, train, settings, prior=uniform(LATENT), **changes):
            made = trainer.sample(settings["samples"])
            said = judge.classify(made)
            found = label_coverage(said, share)
            counts = found.counts.double() / made.shape[1]
            quality = picture_quality(made, unseen, judge)
            yield from rows_of(
                {"variant": variant, "step": step},
                balance=found.kl,
                largest=counts.amax(dim=1),
                digit=counts.argmax(dim=1),
                precision=quality.precision,
                frechet=quality.frechet,
            )
        say(f"one digit, {variant}")


def bare_players(width: int, packed: int = 1) -> tuple[Build, Build]:
    """What makes perceptrons of one hidden layer each, as in the code that the reader ran."""

    def generator() -> nn.Module:
        layers = mlp(LATENT, 64, width=width, depth=1, activation="relu")
        return nn.Sequential(*layers, nn.Unflatten(1, (1, 8, 8)), nn.Tanh())

    def discriminator() -> nn.Module:
        layers = mlp(64 * packed, 1, width=width, depth=1, activation="relu")
        return nn.Sequential(nn.Flatten(), *layers)

    return generator, discriminator


# -- packing, and what loses modes --------------------------------------------------------

#: A DCGAN as published but for its size and its rates, and what is changed.
PACKED: dict[str, Table] = {
    "published": {},
    "packing 2": {"packing": 2},
    "packing 4": {"packing": 4},
}
#: With a batch of 64 stacks, packs of four are 16: what D's loss and batch norm see at once.
BATCHES: dict[str, Table] = {
    "published, batch 16": {"batch": 16},
    "packing 4, batch 256": {"packing": 4, "batch": 256},
}


def of_packed(settings: Table, variants: dict[str, Table] = PACKED) -> Iterator[Row]:
    """Modes of stacked digits, of a DCGAN as published and with one thing changed.

    Beside stacks of real digits that nobody has learnt from, and of noise.
    """
    images, labels = digits()
    order = torch.randperm(len(images), generator=Generator().manual_seed(0))
    known, train, unseen = order.split([897, 500, 400])
    judge = train_classifier(images[known], labels[known], held_out=97)
    samples, random = settings["samples"], Generator().manual_seed(1)
    real = Stacked(images[unseen], labels[unseen]).pairs((samples,), random)[0]
    fixed = {"real": real, "noise": 2 * torch.rand(samples, 3, 8, 8, generator=random) - 1}
    for name, stacks in fixed.items():
        measures = of_stacks([stacks[None]], judge, images[unseen])
        yield from rows_of({"variant": name, "step": -1}, **measures)
    for variant, changes in variants.items():
        begin = time.process_time()
        data = Stacked(images[train], labels[train])
        for step, trainer in stacking(data, settings, **changes):
            sheets = (trainer.sample(n, seed=seed) for seed, n in enumerate(parts_of(samples)))
            measures = of_stacks(sheets, judge, images[unseen])
            yield from rows_of({"variant": variant, "step": step}, **measures)
        say(f"packed, {variant}: {time.process_time() - begin:.0f} s")


def parts_of(samples: int, most: int = 2_000) -> list[int]:
    """So many samples in parts that memory holds."""
    return [min(most, samples - begin) for begin in range(0, samples, most)]


def of_stacks(sheets: Iterable[Tensor], judge: Classifier, unseen: Tensor) -> dict[str, Tensor]:
    """Modes and KL of all stacks; the precision of the first sheet's digits, each channel alone."""
    said, precision = [], torch.empty(0)
    for sheet in sheets:
        if not said:
            alone = sheet[:, :500].flatten(1, 2).unsqueeze(2)
            precision = picture_quality(alone, unseen, judge).precision
        said.append(stacked_label(read(sheet, judge)))
    found = label_coverage(torch.cat(said, dim=1), torch.ones(1000))
    return {"modes": found.classes, "kl": found.kl, "precision": precision}


def stacking(
    data: Stacked,
    settings: Table,
    *,
    packing: int = 1,
    batch: int = 64,
    steps_of_G: int = 2,
    prior: Any = None,
    batch_norm: str = "both",
) -> Iterator[tuple[int, Trainer]]:
    """Train DCGANs on stacks; a step is one of G. D stands still in all but one of so many."""
    torch.manual_seed(settings["seed"])
    build = partial(settings_dcgan, width=settings["width"], batch_norm=batch_norm)
    G = Ensemble(lambda: build(3)[0], settings["runs"])
    D = Ensemble(lambda: build(3 * packing)[1], settings["runs"])
    chosen = Settings(**settings["recipe"] | {"batch": batch}, packing=packing)
    prior = prior or uniform(LATENT)
    trainer = Trainer(G, D, data, prior, chosen, seed=settings["seed"], device="cpu")
    rate = settings["recipe"]["discriminator_rate"]
    in_turn = {"discriminator_rate": lambda step: 0.0 if step % steps_of_G else rate}
    for step in settings["steps"]:
        trainer.train(step - trainer.steps, schedule=in_turn, progress=False)
        yield step, trainer


def settings_dcgan(channels: int, width: int, batch_norm: str) -> tuple[nn.Module, nn.Module]:
    """The DCGAN pair for stacks of 8 × 8."""
    return dcgan(8, channels, latent=LATENT, width=width, batch_norm=batch_norm)


# -- a DCGAN that breaks late -------------------------------------------------------------


def of_late(settings: Table) -> Iterator[Row]:
    """A DCGAN at each of the rates, long after it has become good; at last D is held still.

    The distance is a mean over sheets of one generator, with half of its 95 % interval: what the
    measure itself does not know. Losses and gradients are means since the moment before.
    """
    (known, names), (train, _), (unseen, _), (fresh, _) = split()
    judge = train_classifier(known, names, held_out=47)
    real = picture_quality(fresh[None], unseen, judge)
    kept = {name: getattr(real, name) for name in ("frechet", "precision", "recall")}
    yield from rows_of({"step": -1, "weights": "real"}, **kept)
    torch.manual_seed(settings["seed"])
    runs = [{"rate": rate, "run": run} for rate in settings["rates"] for run in settings["seeds"]]
    rates = [run["rate"] for run in runs]
    build = convolutions(8, settings["width"])
    G, D = (Ensemble(player, len(runs)) for player in build)
    chosen = Settings(discriminator_rate=rates, generator_rate=rates, **settings["recipe"])
    trainer = Trainer(
        *(G, D, Empirical(train), normal(LATENT), chosen), seed=settings["seed"], device="cpu"
    )
    for step in [*settings["steps"], settings["steps"][-1] + settings["held"]]:
        if step > settings["steps"][-1]:
            trainer.set(discriminator_rate=0.0)
        history = trainer.train(step - trainer.steps, progress=False)
        each = {
            weights: [
                trainer.sample(settings["samples"], seed=seed, averaged=weights == "averaged")
                for seed in range(settings["sheets"])
            ]
            for weights in ("now", "averaged")
        }
        of_game = {
            name: history[name].mean(dim=0)
            for name in ("discriminator_loss", "discriminator_gradient", "generator_gradient")
        }
        yield from late_rows({"step": step}, runs, each, judge, **of_game)
        say(f"late, step {step}")


def late_rows(
    labels: Row, runs: list[Row], each: dict[str, list[Tensor]], judge: Classifier, **more: Tensor
) -> Iterator[Row]:
    """A row for each run and kind of weights."""
    _, _, (unseen, _), _ = split()
    for weights, sheets in each.items():
        found = [picture_quality(sheet, unseen, judge) for sheet in sheets]
        far = mean_interval(torch.stack([quality.frechet for quality in found], dim=-1))
        rows = rows_of(
            labels | {"weights": weights},
            frechet=torch.as_tensor(far.estimate),
            half=torch.as_tensor(far.half),
            precision=torch.stack([quality.precision for quality in found]).mean(dim=0),
            recall=torch.stack([quality.recall for quality in found]).mean(dim=0),
            **more,
        )
        for row, run in zip(rows, runs, strict=True):
            yield row | run


# -- arithmetic with z --------------------------------------------------------------------

Paint = Callable[[Tensor], Tensor]


def of_latent(settings: Table) -> Iterator[Row]:
    """How often z, moved by the difference of two classes' means, changes from one to the other.

    Beside two trained generators: a linear map of z whose pictures have the mean and covariance of
    digits, and real digits, whose pixels take the place of z.
    """
    (known, names), (train, _), (unseen, _), (fresh, _) = split()
    judge = train_classifier(known, names, held_out=47)
    players = {"DCGAN": convolutions(8, settings["width"]), "perceptrons": perceptrons()}
    for who, pair in players.items():
        *_, (_, trainer) = watched(pair, train, settings)
        average = trainer.averaged
        assert isinstance(average, Ensemble)
        members = [average.member(run).eval() for run in range(settings["runs"])]
        yield from arithmetic(who, [painter(network) for network in members], judge, settings)
        say(f"latent, {who}")
    values, vectors = torch.linalg.eigh(train.flatten(1).T.cov().double())
    root, mean = (vectors * values.clamp(min=0).sqrt()).float().T, train.flatten(1).mean(dim=0)
    yield from arithmetic(
        "normal pixels",
        [lambda z: as_pictures(mean + z @ root)] * settings["runs"],
        judge,
        settings,
    )
    real = torch.cat([train, unseen, fresh]).flatten(1)
    yield from arithmetic("real", [as_pictures] * settings["runs"], judge, settings, real)


def painter(network: nn.Module) -> Paint:
    """G as it is used: no gradients, from many z to many pictures."""

    def paint(z: Tensor) -> Tensor:
        with torch.no_grad():
            made: Tensor = network(z)
        return made

    return paint


def as_pictures(pixels: Tensor) -> Tensor:
    """Rows of 64 numbers as pictures of 8 × 8."""
    return pixels.clamp(-1, 1).unflatten(-1, (1, 8, 8))


def arithmetic(
    who: str, paints: list[Paint], judge: Classifier, settings: Table, real: Tensor | None = None
) -> Iterator[Row]:
    """A row for each run and way: the share of moved z that are read as the other class."""
    random = Generator().manual_seed(settings["seed"] + 1)
    shares: dict[tuple[str, float], list[Tensor]] = {}
    for paint in paints:
        if real is None:
            z = torch.randn(settings["samples"], LATENT, generator=random)
        else:
            z = real[torch.randperm(len(real), generator=random)]
        for key, reached in moved(z, paint, judge, settings["scales"], random).items():
            shares.setdefault(key, []).append(reached)
    for (way, scale), values in shares.items():
        labels = {"variant": who, "way": way, "scale": scale}
        yield from rows_of(labels, reached=torch.stack(values))


def moved(
    z: Tensor, paint: Paint, judge: Classifier, scales: list[float], random: Generator
) -> dict[tuple[str, float], Tensor]:
    """Means of classes from one half of the z, tried on the other, over all ordered pairs.

    The control directions are as long as the right one: the difference of two other classes, and
    a direction drawn at random. A maker of fewer than four classes has nothing to compare.
    """
    said = judge.classify(paint(z))
    first, test = z.chunk(2)
    of_first, of_test = said.chunk(2)
    counts = torch.bincount(of_first, minlength=10).minimum(torch.bincount(of_test, minlength=10))
    classes = [c for c in range(10) if counts[c] >= 20]
    means = {c: first[of_first == c].mean(dim=0) for c in classes}
    found: dict[tuple[str, float], list[float]] = {}
    pairs = itertools.permutations(classes, 2) if len(classes) >= 4 else ()
    for a, b in pairs:
        start, right = test[of_test == a][:50], means[b] - means[a]
        others = [c for c in classes if c not in (a, b)]
        picked = torch.randperm(len(others), generator=random)[:2].tolist()
        c, d = (others[place] for place in picked)
        ways = {
            "right": right,
            "of two others": means[d] - means[c],
            "random": torch.randn(z.shape[1], generator=random),
        }
        for way, direction in ways.items():
            step = direction / direction.norm() * right.norm()
            for scale in scales:
                hit = judge.classify(paint(start + scale * step)) == b
                found.setdefault((way, scale), []).append(hit.double().mean().item())
    return {key: torch.tensor(hits).mean() for key, hits in found.items()}


PARTS: dict[str, Callable[[Table], Iterator[Row]]] = {
    "tricks": of_tricks,
    "one": of_one,
    "packed": of_packed,
    "batches": partial(of_packed, variants=BATCHES),
    "late": of_late,
    "latent": of_latent,
}

DIGITS_RECIPE: Table = {
    "batch": 64,
    "discriminator_rate": 5e-4,
    "generator_rate": 5e-4,
    "betas": (0.5, 0.999),
}
#: Of both parts on stacked digits.
STACKS: Table = {
    "runs": 8,
    "steps": [500, 1_000],
    "samples": 26_000,
    "width": 16,
    "seed": 0,
    "recipe": DIGITS_RECIPE,
}
#: Of each part. Seeds from 100 on were for trying out, and are in no record.
SETTINGS: dict[str, Table] = {
    "tricks": {
        "runs": 8,
        "rates": [5e-4, 2e-3],
        "steps": [300, 600],
        "samples": 500,
        "width": 64,
        "averaging": 0.99,
        "seed": 0,
    },
    "one": {
        "runs": 8,
        "steps": [125, 250, 500, 1_000],
        "samples": 500,
        "width": 128,
        "seed": 0,
        "recipe": DIGITS_RECIPE
        | {"discriminator_rate": 1e-3, "generator_rate": 1e-3, "betas": (0.9, 0.999)},
    },
    "packed": STACKS,
    "batches": STACKS,
    "late": {
        "seeds": list(range(8)),
        "rates": [5e-4, 2e-3],
        "steps": [250, 500, 1_000, 1_500, 2_000, 3_000, 4_000, 5_000],
        "held": 250,
        "samples": 500,
        "sheets": 4,
        "width": 16,
        "seed": 0,
        "recipe": {"batch": 64, "betas": (0.5, 0.999), "averaging": 0.995},
    },
    "latent": {
        "runs": 8,
        "steps": [800],
        "samples": 10_000,
        "width": 16,
        "scales": [1.0, 2.0],
        "seed": 0,
        "recipe": DIGITS_RECIPE
        | {"betas": (0.5, 0.99), "averaging": 0.995, "penalties": {"R1": 0.1}},
    },
}
QUICK: dict[str, Table] = {
    "tricks": SETTINGS["tricks"] | {"runs": 3, "steps": [10], "samples": 200},
    "one": SETTINGS["one"] | {"runs": 4, "steps": [60], "samples": 200},
    "packed": SETTINGS["packed"] | {"runs": 3, "steps": [60], "samples": 500},
    "batches": SETTINGS["batches"] | {"runs": 3, "steps": [20], "samples": 500},
    "late": SETTINGS["late"]
    | {"seeds": [0, 1], "steps": [30, 60], "held": 30, "samples": 200, "sheets": 2},
    "latent": SETTINGS["latent"] | {"runs": 3, "steps": [30], "samples": 3_000, "scales": [2.0]},
}


if __name__ == "__main__":
    record_parts(__file__, PARTS, SETTINGS, QUICK)
