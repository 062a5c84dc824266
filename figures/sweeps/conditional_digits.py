"""Digits on demand: how a label enters D, truncation, inversion, and what D's features know.

Perceptrons of one size on the 8 × 8 digits, eight seeds of each kind, non-saturating loss, R1,
averaged weights. G reads the class beside the noise; D reads it beside the picture
("concatenation"), in a projection, or names it ("auxiliary"; its classifier learns from real
pictures, or from generated ones, too). Two controls: D is not shown the label ("dropped in D"),
and the real pictures' labels are drawn at random ("shuffled").
Two thirds of the digits train the networks and the judge, a third is held out.

Five tables: ``digits`` (label accuracy and variety), ``auxiliary`` (the same of the classifiers),
``truncation``, ``inversion``, ``probe``.

    python figures/sweeps/conditional_digits.py            # figures/runs/conditional_*.csv, .json
    python figures/sweeps/conditional_digits.py auxiliary  # one table alone
    python figures/sweeps/conditional_digits.py --quick    # figures/runs/conditional_*.quick.csv, …
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

import pandas as pd
import torch
from by_script import write
from conditional_toys import train
from sklearn.linear_model import LogisticRegression
from sklearn.svm import SVC
from torch import Generator, Tensor, nn
from torch.func import functional_call

from gan_course.conditional import Auxiliary, Concatenated, Projection
from gan_course.images import digits
from gan_course.metrics import density_coverage, precision_recall
from gan_course.networks import Ensemble

SETTINGS = {
    **{"steps": 2_000, "runs": 8, "batch": 64, "rate": 1e-3, "width": 64, "z": 16},
    **{"R1": 0.1, "averaging": 0.995, "train": 1_200, "inversion steps": 300},
}
QUICK = SETTINGS | {"steps": 150, "runs": 2, "inversion steps": 30}
KINDS = {
    "concatenation": ["concatenation", "dropped in D", "shuffled"],
    "projection": ["projection"],
    "auxiliary": ["auxiliary", "auxiliary, real and generated"],
}
TRUNCATIONS = [3.0, 2.0, 1.5, 1.0, 0.7, 0.4, 0.1]
RESTARTS = 8
LABELLED = [50, 200, 1_200]
PIXELS, CLASSES = 64, 10


class Data:
    """The digits in two parts, as rows of 64 pixels, and a judge trained on the first part."""

    def __init__(self, train: int) -> None:
        images, labels = digits()
        order = torch.randperm(len(images), generator=Generator().manual_seed(0))
        x, y = images.flatten(1)[order], labels[order]
        self.x, self.y, self.other, self.other_y = x[:train], y[:train], x[train:], y[train:]
        self.judge = SVC(C=10, gamma=0.02).fit(self.x.numpy(), self.y.numpy())

    def classify(self, x: Tensor) -> Tensor:
        """The judge's class of pictures ``(..., 64)``."""
        found = self.judge.predict(x.reshape(-1, PIXELS).clamp(-1, 1).numpy())
        return torch.as_tensor(found).reshape(x.shape[:-1])


def networks(kind: str, runs: int, settings: dict[str, Any]) -> tuple[Ensemble, Ensemble]:
    """G and D, new."""
    torch.manual_seed(0)
    look = {"width": int(settings["width"])}
    judges: dict[str, Callable[[], nn.Module]] = {
        "concatenation": lambda: Concatenated(PIXELS, 1, CLASSES, **look),
        "projection": lambda: Projection(PIXELS, CLASSES, **look),
        "auxiliary": lambda: Auxiliary(PIXELS, CLASSES, **look),
    }
    G = Ensemble(lambda: Concatenated(int(settings["z"]), PIXELS, CLASSES, **look), runs)
    return G, Ensemble(judges[kind], runs)


def trained(kind: str, data: Data, settings: dict[str, Any]) -> tuple[Ensemble, Ensemble]:
    """G with averaged weights and D, of all rows of a kind."""
    rows, each = KINDS[kind], int(settings["runs"])
    runs, batch = each * len(rows), int(settings["batch"])
    G, D = networks(kind, runs, settings)
    random = Generator().manual_seed(0)

    def of_rows(name: str) -> Tensor:
        return torch.tensor([row == name for row in rows]).repeat_interleave(each).unsqueeze(1)

    shuffled, seen = of_rows("shuffled"), (~of_rows("dropped in D")).long()

    def draw() -> tuple[Tensor, Tensor, Tensor, Tensor]:
        at, asked = (torch.randint(len(data.x), (runs, batch), generator=random) for _ in range(2))
        any_label = torch.randint(CLASSES, (runs, batch), generator=random)
        y = torch.where(shuffled, any_label, data.y[at])
        z = torch.randn(runs, batch, int(settings["z"]), generator=random)
        return data.x[at], y, z, data.y[asked]

    on_fake = of_rows("auxiliary, real and generated").float().squeeze(1)
    average = train(G, D, draw, settings, to_D=lambda y: y * seen, on_fake=on_fake)
    with torch.no_grad():
        for name, weight in G.named_parameters():
            weight.copy_(average[name])
    return G, D


class Players(dict[str, tuple[Ensemble, Ensemble]]):
    """G and D of each kind, trained when they are first asked for."""

    def __init__(self, data: Data, settings: dict[str, Any]) -> None:
        super().__init__()
        self.data, self.settings = data, settings

    def __missing__(self, kind: str) -> tuple[Ensemble, Ensemble]:
        """Train them, and keep them."""
        self[kind] = trained(kind, self.data, self.settings)
        return self[kind]


def of_row(
    players: dict[str, Any], row: str, settings: dict[str, Any]
) -> tuple[Ensemble, Ensemble]:
    """G and D of one row of the concatenation's."""
    each, rows = int(settings["runs"]), KINDS["concatenation"]
    chosen = slice(rows.index(row) * each, (rows.index(row) + 1) * each)
    found = networks("concatenation", each, settings)
    for player, every in zip(found, players["concatenation"], strict=True):
        player.load_state_dict({name: w[chosen] for name, w in every.state_dict().items()})
    return found


# --- What comes out ------------------------------------------------------------------------


@torch.no_grad()
def made(G: Ensemble, z: Tensor) -> tuple[Tensor, Tensor]:
    """Pictures of every class in turn, ``(runs, classes, samples, 64)``, and what was asked."""
    asked = torch.arange(CLASSES).repeat_interleave(z.shape[1] // CLASSES).expand(len(z), -1)
    return G(z, asked).unflatten(1, (CLASSES, -1)), asked.unflatten(1, (CLASSES, -1))


def quality(x: Tensor, asked: Tensor, data: Data) -> dict[str, list[float]]:
    """Accuracy, and within the classes: coverage, precision and spread, one value a run.

    Args:
        x: pictures, ``(runs, classes, samples, 64)``.
        asked: of which class, ``(runs, classes, samples)``.
        data: the held-out part is what the pictures are compared with.
    """
    right = (data.classify(x) == asked).float().mean(dim=(1, 2))
    found = {name: torch.zeros(len(x)) for name in ("coverage", "precision", "spread")}
    for y in range(CLASSES):
        real = data.other[data.other_y == y].expand(len(x), -1, -1)
        found["coverage"] += density_coverage(x[:, y], real, 5).coverage.float() / CLASSES
        found["precision"] += precision_recall(x[:, y], real, 3).precision.float() / CLASSES
        found["spread"] += x[:, y].var(dim=1).sum(dim=-1) / real.var(dim=1).sum(-1) / CLASSES
    table = {"accuracy": right, **found}
    return {name: [round(float(v), 5) for v in values] for name, values in table.items()}


def ceiling(data: Data) -> dict[str, list[float]]:
    """What real pictures of the training part score in the place of generated ones."""
    x = torch.stack([data.x[data.y == y][:100] for y in range(CLASSES)]).unsqueeze(0)
    score = quality(x, torch.arange(CLASSES).view(1, -1, 1).expand(1, -1, 100), data)
    held_out = (data.classify(data.other) == data.other_y).float().mean()
    return score | {"accuracy": [round(float(held_out), 5)]}


def of_kind(
    kind: str, players: dict[str, Any], data: Data, settings: dict[str, Any]
) -> pd.DataFrame:
    """Label accuracy and variety of every row of a kind."""
    each, rows = int(settings["runs"]), KINDS[kind]
    G, _ = players[kind]
    random = Generator().manual_seed(1)
    z = torch.randn(G.runs, 100 * CLASSES, int(settings["z"]), generator=random)
    table = quality(*made(G, z), data)
    names = {"row": [row for row in rows for _ in range(each)]}
    return pd.DataFrame(names | {"run": list(range(each)) * len(rows)} | table)


def of_digits(players: dict[str, Any], data: Data, settings: dict[str, Any]) -> pd.DataFrame:
    """Of each D that is told the label, and of the controls; and of the real pictures."""
    frames = [of_kind(kind, players, data, settings) for kind in ("concatenation", "projection")]
    frames.append(pd.DataFrame({"row": ["real"], "run": [0]} | ceiling(data)))
    return pd.concat(frames, ignore_index=True)


def of_auxiliary(players: dict[str, Any], data: Data, settings: dict[str, Any]) -> pd.DataFrame:
    """Of each D that names the class."""
    return of_kind("auxiliary", players, data, settings)


def of_truncation(players: dict[str, Any], data: Data, settings: dict[str, Any]) -> pd.DataFrame:
    """The concatenation's generators, each coordinate of z drawn again until |z| is below τ."""
    G, _ = of_row(players, "concatenation", settings)
    frames = []
    for most in TRUNCATIONS:
        shape = (G.runs, 100 * CLASSES, int(settings["z"]))
        z = nn.init.trunc_normal_(
            torch.empty(shape), a=-most, b=most, generator=Generator().manual_seed(1)
        )
        table = quality(*made(G, z), data)
        frames.append(pd.DataFrame({"truncation": most, "run": range(G.runs)} | table))
    return pd.concat(frames, ignore_index=True)


# --- Inversion -----------------------------------------------------------------------------


def invert(
    G: Ensemble, x: Tensor, y: Tensor, start: Tensor, *, steps: int, looks: list[int]
) -> tuple[list[Tensor], Tensor]:
    """Descend ‖G(z, y) − x‖² in z by Adam, whose rate falls to 0.

    Args:
        G: generators, not changed.
        x: pictures, ``(runs, pictures, 64)``.
        y: their classes, ``(runs, pictures)``.
        start: first guesses, ``(runs, pictures, restarts, z)``.
        steps: how many.
        looks: after which of them the error is kept.

    Returns:
        The errors, each ``(runs, pictures, restarts)``; and the last z.
    """
    runs, pictures, restarts, _ = start.shape
    weights = {name: w.detach() for name, w in G.named_parameters()}
    z = start.flatten(1, 2).clone().requires_grad_()
    goal, label = x.repeat_interleave(restarts, 1), y.repeat_interleave(restarts, 1)
    optimiser, kept = torch.optim.Adam([z], lr=0.1), []
    for step in range(steps + 1):
        error = (functional_call(G, weights, (z, label)) - goal).square().sum(dim=-1)
        if step in looks:
            kept.append(error.detach().view(runs, pictures, restarts))
        if step < steps:
            optimiser.param_groups[0]["lr"] = 0.1 * (1 - step / steps)
            (z.grad,) = torch.autograd.grad(error.sum(), z)
            optimiser.step()
    return kept, z.detach().view_as(start)


def encoder(G: Ensemble, settings: dict[str, Any]) -> Ensemble:
    """An encoder of each generator, trained afterwards on pairs (G(z, y), z)."""
    torch.manual_seed(1)
    size, random = int(settings["z"]), Generator().manual_seed(2)
    E = Ensemble(lambda: Concatenated(PIXELS, size, CLASSES, width=int(settings["width"])), G.runs)
    optimiser = torch.optim.Adam(E.parameters(), lr=1e-3, fused=True)
    for _ in range(int(settings["steps"]) // 2):
        y = torch.randint(CLASSES, (G.runs, 128), generator=random)
        z = torch.randn(G.runs, 128, size, generator=random)
        with torch.no_grad():
            x = G(z, y)
        optimiser.zero_grad()
        (E(x, y) - z).square().mean(dim=(1, 2)).sum().backward()
        optimiser.step()
    return E


def unexplained(error: Tensor, x: Tensor, y: Tensor, data: Data) -> Tensor:
    """Squared error as a share of what the mean picture of the class would leave."""
    means = torch.stack([data.x[data.y == label].mean(dim=0) for label in range(CLASSES)])
    return error.sum(dim=1) / (x - means[y]).square().sum(dim=(-1, 1))


def of_inversion(players: dict[str, Any], data: Data, settings: dict[str, Any]) -> pd.DataFrame:
    """How well pictures are found again: the generator's own, and real ones held out.

    ``unexplained`` is the squared error over that of the class's mean picture, both summed over
    the pictures; ``found`` is the share of pictures of which less than a thousandth of their
    squared distance from the mean is left; ``z`` is the squared distance from the z that made
    a picture, over the mean square of z.
    """
    G, _ = of_row(players, "concatenation", settings)
    runs, size, steps = G.runs, int(settings["z"]), int(settings["inversion steps"])
    looks = sorted({0, steps // 30, steps // 10, steps // 3, steps})
    random = Generator().manual_seed(3)
    own = torch.randn(runs, 20, size, generator=random)
    label = torch.arange(CLASSES).repeat(2).expand(runs, -1)
    with torch.no_grad():
        pictures = G(own, label)
    real = torch.cat([data.other[data.other_y == y][:2] for y in range(CLASSES)])
    real_label = torch.arange(CLASSES).repeat_interleave(2).expand(runs, -1)
    E, rows = encoder(G, settings), []
    for what, x, y in (
        ("own", pictures, label),
        ("real", real.expand(runs, -1, -1), real_label),
    ):
        guesses = {
            "prior": torch.randn(runs, 20, RESTARTS, size, generator=random),
            "encoder": E(x, y).detach().unsqueeze(2),
        }
        means = torch.stack([data.x[data.y == label].mean(dim=0) for label in range(CLASSES)])
        from_mean = (x - means[y]).square().sum(dim=-1)
        for start, guess in guesses.items():
            errors, z = invert(G, x, y, guess, steps=steps, looks=looks)
            for look, error in zip(looks, errors, strict=True):
                for restarts in (1, 2, 4, 8) if start == "prior" else (1,):
                    best, at = error[:, :, :restarts].min(dim=-1)
                    chosen = z.gather(2, at[..., None, None].expand(-1, -1, 1, size)).squeeze(2)
                    off = (chosen - own).square().sum(dim=(1, 2)) / own.square().sum(dim=(1, 2))
                    left = unexplained(best, x, y, data)
                    hits = (best < 1e-3 * from_mean).float().mean(dim=1)
                    rows += [
                        {
                            **{"picture": what, "start": start, "steps": look},
                            **{"restarts": restarts, "run": run},
                            "unexplained": round(float(left[run]), 6),
                            "found": round(float(hits[run]), 6),
                            "z": round(float(off[run]), 6)
                            if what == "own" and look == steps
                            else float("nan"),
                        }
                        for run in range(runs)
                    ]
    rows += lines(real, real_label[0], data, size)
    return pd.DataFrame(rows)


def lines(x: Tensor, y: Tensor, data: Data, size: int) -> list[dict[str, Any]]:
    """What the first principal directions of each class leave of real pictures, held out."""
    left = total = 0.0
    for label in range(CLASSES):
        known, new = data.x[data.y == label], x[y == label]
        mean = known.mean(dim=0)
        axes = torch.linalg.svd(known - mean, full_matrices=False).Vh[:size]
        off = new - mean
        left += float((off - off @ axes.mT @ axes).square().sum())
        total += float(off.square().sum())
    row = {"picture": "real", "start": "principal axes", "steps": 0, "restarts": 1, "run": 0}
    return [row | {"unexplained": round(left / total, 6), "found": 0.0, "z": float("nan")}]


# --- What D has learnt ---------------------------------------------------------------------


def of_probe(players: dict[str, Any], data: Data, settings: dict[str, Any]) -> pd.DataFrame:
    """A linear probe on the last hidden layer of a D that never saw a label."""
    each, rows = int(settings["runs"]), []
    _, D = of_row(players, "dropped in D", settings)
    _, fresh = networks("concatenation", each, settings)

    @torch.no_grad()
    def seen(judge: Ensemble, run: int, x: Tensor) -> Tensor:
        features: Tensor = judge.member(run).network[:-1](_blind(x))
        return features

    for run in range(each):
        views = {
            "trained D": lambda x, run=run: seen(D, run, x),
            "untrained D": lambda x, run=run: seen(fresh, run, x),
            "pixels": lambda x: x,
        }
        for labelled in LABELLED:
            picked = torch.randperm(len(data.x), generator=Generator().manual_seed(run))[:labelled]
            for view, look in views.items():
                known, other = look(data.x[picked]), look(data.other)
                mean, scale = known.mean(dim=0), known.std() + 1e-9
                probe = LogisticRegression(C=0.1, max_iter=500).fit(
                    ((known - mean) / scale).numpy(), data.y[picked].numpy()
                )
                score = probe.score(((other - mean) / scale).numpy(), data.other_y.numpy())
                row = {"features": view, "labelled": labelled, "run": run}
                rows.append(row | {"accuracy": round(score, 5)})
    return pd.DataFrame(rows)


def _blind(x: Tensor) -> Tensor:
    """Pictures with the label that a D which is not shown it sees: always the first."""
    first = torch.zeros(len(x), CLASSES)
    first[:, 0] = 1
    return torch.cat([x, first], dim=-1)


PARTS = {
    "digits": of_digits,
    "auxiliary": of_auxiliary,
    "truncation": of_truncation,
    "inversion": of_inversion,
    "probe": of_probe,
}


def main() -> None:
    """Write the tables, or those named, and beside each a note of how it was made."""
    quick = "--quick" in sys.argv[1:]
    asked = [word for word in sys.argv[1:] if word != "--quick"]
    settings = QUICK if quick else SETTINGS
    torch.set_num_threads(1)
    begin = time.perf_counter()
    data = Data(int(settings["train"]))
    players = Players(data, settings)
    for part in asked or PARTS:
        frame = PARTS[part](players, data, settings)
        seconds = {"seconds": round(time.perf_counter() - begin, 1)}
        command = " ".join(["conditional_digits.py", *asked]) + " --quick" * quick
        write(f"conditional_{part}", frame, command, settings, seconds, small=quick)


if __name__ == "__main__":
    main()
