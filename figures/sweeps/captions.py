"""From captions to pictures: what a generator draws when it is told "a large red circle …".

Scenes of one shape with a caption (:func:`gan_course.images.shapes`), 16 pixels wide. Perceptrons;
the caption is a bag of words, embedded, projected, and concatenated: with z in G, with the
features of the picture in D (Reed et al. 2016). Non-saturating loss, a weak R1, averaged weights,
eight seeds of each row, trained as one ensemble. A seed begins with the same weights in each row,
and sees the same scenes in the same order:

- "matching-aware": D also sees real pictures with wrong captions, and is to say no. A wrong caption
  is one attribute away from the right one, and belongs to a scene of the training;
- "random wrong captions": they are drawn from all other scenes of the training, as Reed's are;
- "no wrong captions": it sees real pairs and generated ones alone, which then weigh 1 for ½;
- "dropped in D", "dropped in G": that player is shown an empty caption (D without wrong captions,
  which it could not tell from right ones);
- "shuffled": the real pictures' captions are drawn at random.

The judge names the silhouette, out of 6,000 real ones, that is nearest, and the colour that is
nearest; the row "real" says how often it is right about real pictures that it does not know. The
row "mean of 25 real" is a forger: the pixel mean of each scene, ten times. *nearest* is the
distance to the nearest of 25 real pictures of the scene.

    python figures/sweeps/captions.py            # figures/runs/captions.csv, .json, .npz
    python figures/sweeps/captions.py --quick    # figures/runs/captions.quick.csv, .json

The weights of the first seed of "matching-aware", in half precision, are the file .npz.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from by_script import RUNS, record
from inference import averaged, put
from torch import Generator, Tensor

from gan_course.captioned import CaptionDiscriminator, CaptionGenerator, bag_of_words
from gan_course.images import SCENE_FACTORS, SceneFactors, captions, shapes
from gan_course.losses import non_saturating_generator
from gan_course.networks import Ensemble
from gan_course.penalties import PENALTIES

SETTINGS = {
    **{"steps": 3_200, "runs": 8, "batch": 32, "rate": 3e-3, "width": 96, "z": 8, "text": 32},
    **{"noise": 15, "R1": 0.01, "averaging": 0.995, "size": 16, "copies": 10, "seed": 0},
}
QUICK = SETTINGS | {"steps": 400, "runs": 2}
#: Rows: the weight of the wrong captions, and who sees the captions as they are.
ROWS = {
    "matching-aware": (0.5, "both"),
    "random wrong captions": (0.5, "both"),  # Reed's way
    "no wrong captions": (0.0, "both"),
    "dropped in D": (0.0, "G"),
    "dropped in G": (0.5, "D"),
    "shuffled": (0.5, "both"),  # drawn without a look at the picture
}
COLOURS = torch.tensor([[1.0, 0, 0], [0, 1, 0], [0.1, 0.3, 1], [1, 1, 0], [0.7, 0, 1], [1, 1, 1]])
#: Rows whose wrong captions are drawn from all other scenes.
RANDOM = ("random wrong captions",)
#: The vocabulary: all words of all captions.
WORDS = sorted({word for text in captions(shapes("all", copies=1)[1]) for word in text.split()})
#: The first generator's weights, kept by ``measure``.
KEPT: dict[str, Any] = {}


class Judge:
    """Names the four attributes of a picture by the silhouette and the colour that are nearest."""

    def __init__(self, size: int) -> None:
        known, self.factors = shapes("all", copies=25, size=size, seed=1)
        self.known = silhouette(known).flatten(1)

    def __call__(self, x: Tensor) -> SceneFactors:
        """Size, colour, shape and place, each ``(samples,)``."""
        near = torch.cdist(silhouette(x).flatten(1), self.known).argmin(dim=1)
        light = ((x + 1) / 2).sum(dim=(2, 3))
        light = light / light.amax(dim=1, keepdim=True).clamp(min=1e-9)
        colour = torch.cdist(light, COLOURS).argmin(dim=1)
        size, _, shape, place = (part[near] for part in self.factors)
        return SceneFactors(size, colour, shape, place)


def silhouette(x: Tensor) -> Tensor:
    """How bright a picture is, whatever its colour, ``(samples, height, width)``."""
    return ((x + 1) / 2).amax(dim=1)


def middle(x: Tensor) -> Tensor:
    """Where the silhouette's centre of mass lies, down and to the right, ``(samples, 2)``."""
    mass = silhouette(x)
    total = mass.sum(dim=(1, 2)).clamp(min=1e-9)
    at = torch.arange(x.shape[-1]) + 0.5
    return torch.stack([(mass.sum(dim=k) * at).sum(dim=1) / total for k in (2, 1)], dim=1)


def quality(x: Tensor, asked: SceneFactors, judge: Judge, copies: int) -> dict[str, float]:
    """How often each attribute is right; and the variance of the middle within a caption, px²."""
    right = torch.stack([a == b for a, b in zip(judge(x), asked, strict=True)]).float()
    row = dict(zip(SCENE_FACTORS, right.mean(dim=1).tolist(), strict=True))
    row["all four"] = float(right.prod(dim=0).mean())
    row["moves"] = float(middle(x).unflatten(0, (-1, copies)).var(dim=1).mean())
    row["spread"] = float(x.unflatten(0, (-1, copies)).var(dim=1).sum(dim=(1, 2, 3)).mean())
    for part, name in ((asked.shape, "shape"), (asked.size, "size")):
        row |= {
            f"{value}": float(right[2, part == k].mean())
            for k, value in enumerate(SCENE_FACTORS[name])
        }
    return {name: round(value, 5) for name, value in row.items()}


def to_nearest(x: Tensor, known: Tensor, scenes: int) -> float:
    """The mean distance to the nearest real picture of the same scene."""
    x, known = (pictures.flatten(1).unflatten(0, (scenes, -1)) for pictures in (x, known))
    return round(float(torch.cdist(x, known).amin(dim=2).mean()), 5)


def loss_for_d(real: Tensor, wrong: Tensor, made: Tensor, share: float) -> Tensor:
    """The loss of each run, ``(runs,)``, where the wrong captions weigh ``share`` of the noes."""
    loss = F.softplus(-real).mean(dim=1)
    loss = loss + share * F.softplus(wrong).mean(dim=1)
    return loss + (1 - share) * F.softplus(made).mean(dim=1)


def one_attribute_away(factors: SceneFactors, copies: int) -> tuple[Tensor, Tensor]:
    """The scenes that differ from each in one attribute.

    Returns:
        Their numbers, ``(scenes, most)``, each row filled up with 0, and how many there are.
    """
    scenes = torch.stack(factors, dim=1)[::copies]
    near = (scenes[:, None] != scenes).sum(dim=2) == 1
    rows = [row.nonzero().flatten() for row in near]
    return torch.nn.utils.rnn.pad_sequence(rows, batch_first=True), near.sum(dim=1)


def wrong_scene(scene: Tensor, share: Tensor, near: Tensor, count: Tensor | None) -> Tensor:
    """Another scene for each: share in [0, 1) of the way through those near, or through all."""
    if count is None:
        others = len(near) - 1
        return (scene + 1 + (share * others).long()) % len(near)
    return near[scene, (share * count[scene]).long()]


def trained(settings: dict[str, Any], row: str) -> Ensemble:
    """The generators of a row with averaged weights."""
    runs, batch, latent = (int(settings[name]) for name in ("runs", "batch", "z"))
    torch.manual_seed(int(settings["seed"]))
    random = Generator().manual_seed(int(settings["seed"]))
    size, copies = int(settings["size"]), int(settings["copies"])
    x, factors = shapes("train", copies=copies, size=size)
    bags = bag_of_words(captions(factors), WORDS)
    look = {"text": int(settings["text"]), "width": int(settings["width"])}
    G = Ensemble(lambda: CaptionGenerator(len(WORDS), size, latent=latent, **look), runs)
    D = Ensemble(lambda: CaptionDiscriminator(len(WORDS), size, **look), runs)
    of_G, of_D = (
        torch.optim.Adam(m.parameters(), lr=settings["rate"], betas=(0.5, 0.99), fused=True)
        for m in (G, D)
    )
    average = {name: weight.detach().clone() for name, weight in G.named_parameters()}
    wrong_share, who = ROWS[row]
    to_G, to_D = (bags * (who in ("both", player)) for player in "GD")
    near, count = one_attribute_away(factors, copies)

    def draw() -> Tensor:
        return torch.randint(len(x), (runs, batch), generator=random)

    for step in range(int(settings["steps"])):
        at, asked, other = draw(), draw(), draw()
        share = torch.rand(runs, batch, generator=random)
        caption = other if row == "shuffled" else at
        scene = caption // copies
        wrong = copies * wrong_scene(scene, share, near, None if row in RANDOM else count)
        fake = G(
            settings["noise"] * torch.randn(runs, batch, latent, generator=random), to_G[asked]
        )
        pictures = torch.cat([x[at], x[at], fake.detach()], dim=1)
        told = torch.cat([to_D[caption], to_D[wrong], to_D[asked]], dim=1)
        real, mismatched, made = D(pictures, told).squeeze(-1).split(batch, dim=1)
        loss = loss_for_d(real, mismatched, made, wrong_share)
        if step % 4 == 0:
            slope = PENALTIES["R1"](lambda p, t=to_D[caption]: D(p, t).squeeze(-1), x[at], x[at])
            loss = loss + 4 * settings["R1"] * slope
        of_D.zero_grad()
        loss.sum().backward()
        of_D.step()
        D.requires_grad_(requires_grad=False)
        made = D(fake, to_D[asked]).squeeze(-1)
        of_G.zero_grad()
        non_saturating_generator(None, made).sum().backward()
        of_G.step()
        D.requires_grad_(requires_grad=True)
        averaged(average, G, settings["averaging"])
    put(average, G)
    return G


def of_row(settings: dict[str, Any], row: str) -> Iterator[dict[str, Any]]:
    """Train a row; what each run makes of each split."""
    size, copies, judge = int(settings["size"]), int(settings["copies"]), Judge(settings["size"])
    G = trained(settings, row) if row in ROWS else None
    if row == "matching-aware":
        KEPT.update({k: w.numpy().astype("f2") for k, w in G.member(0).state_dict().items()})
    random = Generator().manual_seed(1)
    for split in ("train", "held out"):
        for run in range(int(settings["runs"])):
            x, factors = shapes(split, copies=copies, size=size, seed=3 + run)
            scenes = len(x) // copies
            known = shapes(split, copies=25, size=size, seed=2)[0]
            if row == "mean of 25 real":
                x = shapes(split, copies=25, size=size, seed=100 + run)[0].unflatten(
                    0, (scenes, 25)
                )
                x = x.mean(dim=1).repeat_interleave(copies, dim=0)
            if G is not None:
                bag = bag_of_words(captions(factors), WORDS) * (row != "dropped in G")
                z = settings["noise"] * torch.randn(len(bag), int(settings["z"]), generator=random)
                with torch.no_grad():
                    x = G.member(run)(z, bag)
            told = {"row": row, "split": split, "run": run} | quality(x, factors, judge, copies)
            yield told | {"nearest": to_nearest(x, known, scenes)}


def measure(settings: dict[str, Any]) -> pd.DataFrame:
    """A row for each run and each split; first of real pictures and their means."""
    return pd.DataFrame(
        [line for row in ("real", "mean of 25 real", *ROWS) for line in of_row(settings, row)]
    )


if __name__ == "__main__":
    record(__file__, measure, SETTINGS, QUICK)
    if "--quick" not in sys.argv[1:]:
        np.savez_compressed(RUNS / "captions.npz", **KEPT)
