"""Encoders that play: BiGAN and ALI on the digits, beside encoders that do not.

Perceptrons of one size on the 8 × 8 digits, without labels. D sees pairs of picture and code. In
"BiGAN" E is a map, in "ALI" it draws from a normal law; in "shuffled" the codes of D's pairs, real
and generated, belong to other pictures; in "GAN" D sees the picture alone, and E is never trained.
Then an encoder of each G is fitted to pairs (G(z), z), and an autoencoder of the same networks to
the pictures, each for as many steps. Two thirds of the digits train; all measures are of the rest.

    python figures/sweeps/bigan.py            # figures/runs/bigan.csv, .json, .npz
    python figures/sweeps/bigan.py --quick    # figures/runs/bigan.quick.csv, .json
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd
import torch
from by_script import record
from conditional_digits import PIXELS, Data
from inference import averaged, keep, optimiser, put
from sklearn.linear_model import LogisticRegression
from torch import Generator, Tensor, nn

from gan_course.losses import cross_entropy, non_saturating_generator
from gan_course.metrics import density_coverage, precision_recall
from gan_course.networks import Ensemble, mlp
from gan_course.penalties import PENALTIES

Table = dict[str, Any]
#: Pictures ``(runs, batch, 64)`` to codes ``(runs, batch, z)``, or back.
Map = Callable[[Tensor], Tensor]

SETTINGS: Table = {
    **{"steps": 3_000, "runs": 8, "batch": 64, "rate": 1e-3, "width": 128, "z": 16},
    **{"R1": 0.1, "averaging": 0.995, "train": 1_200, "labelled": 200, "seed": 1},
}
QUICK: Table = SETTINGS | {"steps": 150, "runs": 2}
GAMES = ("BiGAN", "ALI", "shuffled", "GAN")


class Encoder(nn.Module):
    """Pictures ``(batch, 64)`` to the mean and the log width of each code, ``(batch, 2, z)``."""

    def __init__(self, size: int, width: int) -> None:
        super().__init__()
        self.network = mlp(PIXELS, 2 * size, width=width)

    def forward(self, x: Tensor) -> Tensor:
        """The widths start small, and stay between e⁻⁵ and 1."""
        result: Tensor = self.network(x).unflatten(-1, (2, -1))
        return result


def drawn(found: Tensor, noise: Tensor, draws: Tensor) -> Tensor:
    """The code: the mean, and where E draws, noise of its width; ``(runs, batch, z)``."""
    mean, log_std = found.unbind(dim=-2)
    return mean + draws * (log_std - 2).clamp(-5, 0).exp() * noise


def players(settings: Table, runs: int) -> tuple[Ensemble, Ensemble]:
    """G and E, new."""
    size, width = int(settings["z"]), int(settings["width"])
    G = Ensemble(lambda: nn.Sequential(*mlp(size, PIXELS, width=width), nn.Tanh()), runs)
    return G, Ensemble(lambda: Encoder(size, width), runs)


def trained(data: Data, settings: Table) -> tuple[Ensemble, Ensemble]:
    """G and E of each game in turn, ``runs`` of each, with averaged weights."""
    each, batch, size = (int(settings[name]) for name in ("runs", "batch", "z"))
    runs = each * len(GAMES)
    torch.manual_seed(int(settings["seed"]))
    random = Generator().manual_seed(int(settings["seed"]))
    G, E = players(settings, runs)
    D = Ensemble(lambda: mlp(PIXELS + size, 1, width=int(settings["width"])), runs)
    of_D, of_G = optimiser(D, rate=settings["rate"]), optimiser(G, E, rate=settings["rate"])

    def of_game(*names: str) -> Tensor:
        chosen = torch.tensor([game in names for game in GAMES])
        return chosen.repeat_interleave(each).view(-1, 1, 1)

    draws, shuffled, seen = of_game("ALI").float(), of_game("shuffled"), ~of_game("GAN")

    def normal() -> Tensor:
        return torch.randn(runs, batch, size, generator=random)

    def real() -> tuple[Tensor, Tensor]:
        x = data.x[torch.randint(len(data.x), (runs, batch), generator=random)]
        return x, drawn(E(x), normal(), draws)

    def shown(x: Tensor, code: Tensor) -> Tensor:
        """What D sees of a pair."""
        code = torch.where(shuffled, code.roll(1, dims=1), code) * seen
        return torch.cat([x, code], dim=-1)

    def judged(pair: Tensor) -> Tensor:
        logit: Tensor = D(pair).squeeze(-1)
        return logit

    averages = [{k: w.detach().clone() for k, w in each.named_parameters()} for each in (G, E)]
    for step in range(int(settings["steps"])):
        z = normal()
        with torch.no_grad():
            pair, fake = shown(*real()), shown(G(z), z)
        of_D.zero_grad()
        loss = cross_entropy(judged(pair), judged(fake))
        if step % 4 == 0:
            loss = loss + 4 * settings["R1"] * PENALTIES["R1"](judged, pair, fake)
        loss.sum().backward()
        of_D.step()
        z = normal()
        of_G.zero_grad()
        cost = non_saturating_generator(None, judged(shown(G(z), z)))
        # E wants its pairs to be taken for the generator's.
        cost = cost + non_saturating_generator(None, -judged(shown(*real())))
        cost.sum().backward()
        of_G.step()
        for average, player in zip(averages, (G, E), strict=True):
            averaged(average, player, settings["averaging"])
    for average, player in zip(averages, (G, E), strict=True):
        put(average, player)
    return G, E


def fitted(loss: Callable[[], Tensor], *modules: nn.Module, settings: Table) -> None:
    """Lower a loss, one value a run, for as many steps as the games have."""
    adam = optimiser(*modules, rate=settings["rate"])
    for _ in range(int(settings["steps"])):
        adam.zero_grad()
        loss().sum().backward()
        adam.step()


def encoder_after(G: Ensemble, settings: Table) -> Ensemble:
    """An encoder of each generator, fitted to pairs (G(z), z)."""
    torch.manual_seed(1)
    random = Generator().manual_seed(2)
    _, E = players(settings, G.runs)

    def loss() -> Tensor:
        shape = G.runs, int(settings["batch"]), int(settings["z"])
        z = torch.randn(shape, generator=random)
        with torch.no_grad():
            x = G(z)
        return (E(x)[..., 0, :] - z).square().mean(dim=(1, 2))

    fitted(loss, E, settings=settings)
    return E


def autoencoder(data: Data, settings: Table) -> tuple[Ensemble, Ensemble]:
    """A decoder and an encoder of the same shapes, fitted to the pictures by least squares."""
    torch.manual_seed(1)
    random = Generator().manual_seed(2)
    G, E = players(settings, int(settings["runs"]))

    def loss() -> Tensor:
        shape = G.runs, int(settings["batch"])
        x = data.x[torch.randint(len(data.x), shape, generator=random)]
        return (G(E(x)[..., 0, :]) - x).square().mean(dim=(1, 2))

    fitted(loss, G, E, settings=settings)
    return G, E


def part(player: Ensemble, settings: Table, game: str) -> Ensemble:
    """The runs of one game."""
    each, place = int(settings["runs"]), GAMES.index(game)
    G, E = players(settings, each)
    found = E if isinstance(player.module, Encoder) else G
    chosen = slice(place * each, (place + 1) * each)
    found.load_state_dict({name: w[chosen] for name, w in player.state_dict().items()})
    return found


# --- Measures ------------------------------------------------------------------------------


def probed(code: Tensor, other: Tensor, data: Data, labelled: int, run: int) -> float:
    """How many held-out pictures a logistic regression names, from few labelled codes."""
    picked = torch.randperm(len(data.x), generator=Generator().manual_seed(run))[:labelled]
    known, mean, scale = code[picked], code[picked].mean(dim=0), code[picked].std() + 1e-9
    probe = LogisticRegression(C=0.1, max_iter=500)
    probe.fit(((known - mean) / scale).numpy(), data.y[picked].numpy())
    score: float = probe.score(((other - mean) / scale).numpy(), data.other_y.numpy())
    return score


def back(x: Tensor, made: Tensor, data: Data) -> dict[str, Tensor]:
    """Of reconstructions ``(runs, pictures, 64)``: what is left of the variance, and the class."""
    total = (x - data.x.mean(dim=0)).square().sum(dim=(-1, -2))
    return {
        "left": (made - x).square().sum(dim=(-1, -2)) / total,
        "same class": (data.classify(made) == data.other_y).float().mean(dim=-1),
    }


def measure(settings: Table) -> pd.DataFrame:
    """What comes back of held-out digits, by each pair of G and E."""
    data, runs, size = Data(int(settings["train"])), int(settings["runs"]), int(settings["z"])
    every_G, every_E = trained(data, settings)
    after = encoder_after(every_G, settings)
    pairs = {game: [part(each, settings, game) for each in (every_G, every_E)] for game in GAMES}
    for game in ("BiGAN", "GAN"):
        pairs[f"{game}, encoder after"] = [pairs[game][0], part(after, settings, game)]
    pairs["autoencoder"] = list(autoencoder(data, settings))
    x, found, pictures = data.other.expand(runs, -1, -1), [], {}
    random = Generator().manual_seed(3)
    noise = torch.randn(runs, len(data.other), size, generator=random)
    z = torch.randn(runs, 1_000, size, generator=random)
    for row, (G, E) in pairs.items():
        with torch.no_grad():
            draws = torch.tensor(float(row == "ALI"))
            code, sample = drawn(E(x), noise, draws), G(z)
            again, of_z = G(code), E(sample)[..., 0, :]
            means = E(data.x.expand(runs, -1, -1))[..., 0, :], E(x)[..., 0, :]
        numbers = back(x, again, data)
        numbers["z"] = (of_z - z).square().sum(dim=(1, 2)) / z.square().sum(dim=(1, 2))
        numbers["precision"] = precision_recall(sample, x, 3).precision
        numbers["coverage"] = density_coverage(sample, x, 5).coverage
        for run in range(runs):
            probe = probed(means[0][run], means[1][run], data, int(settings["labelled"]), run)
            values = {name: round(float(v[run]), 5) for name, v in numbers.items()}
            found.append({"row": row, "run": run} | values | {"probe": round(probe, 5)})
        pictures[row] = again[0, :10]
        if row == "BiGAN":  # the floor: codes of other pictures
            for run, (left, same) in enumerate(
                zip(*back(x, again.roll(1, dims=1), data).values(), strict=True)
            ):
                values = {"left": round(float(left), 5), "same class": round(float(same), 5)}
                found.append({"row": "codes of other pictures", "run": run} | values)
    found += references(data, settings)
    if settings is SETTINGS:
        keep("bigan", real=data.other[:10], **pictures)
    return pd.DataFrame(found)


def references(data: Data, settings: Table) -> list[Table]:
    """Real pictures, and as many principal axes as there are codes."""
    mean, labelled = data.x.mean(dim=0), int(settings["labelled"])
    axes = torch.linalg.svd(data.x - mean, full_matrices=False).Vh[: int(settings["z"])]
    again = mean + (data.other - mean) @ axes.mT @ axes
    views = {"real": data.other, "principal axes": again}
    return [
        {"row": row, "run": run}
        | {name: round(float(v), 5) for name, v in back(data.other, made, data).items()}
        | {
            "probe": round(
                probed(data.x, data.other, data, labelled, run)
                if row == "real"
                else probed(data.x @ axes.mT, data.other @ axes.mT, data, labelled, run),
                5,
            )
        }
        for row, made in views.items()
        for run in range(int(settings["runs"]))
    ]


if __name__ == "__main__":
    record(__file__, measure, SETTINGS, QUICK)
