"""A picture for a picture: from a printed digit's outline to the digit, by L1 and an adversary.

An outline is what lies just outside the ink of a digit in the middle of its frame. Nine answers
are right: the digit there, or shifted by a pixel up or down, left or right. G reads the outline and
noise; D judges an outline and an answer square by square, a logit for each of 16 (Isola et al.
2017). Rows: L1 alone, the adversary alone, both; and both, where each outline of the training
stands beside another's answer ("shuffled"). A fifth of the outlines is held out; all measures are
of these. Beside the rows: real answers; real answers to other outlines; the median of the right
ones, pixel by pixel, L1's optimum; L1's pictures with noise; the outlines themselves.

    python figures/sweeps/translation.py            # figures/runs/translation.csv, .json, .npz
    python figures/sweeps/translation.py --quick    # figures/runs/translation.quick.csv, .json
"""

from __future__ import annotations

from typing import Any, NamedTuple

import pandas as pd
import torch
import torch.nn.functional as F
from by_script import record
from inference import averaged, keep, optimiser, put
from sklearn.svm import SVC
from torch import Generator, Tensor

from gan_course.images import glyphs
from gan_course.losses import cross_entropy, non_saturating_generator
from gan_course.networks import Ensemble, mlp
from gan_course.penalties import PENALTIES

Table = dict[str, Any]

SETTINGS: Table = {
    **{"steps": 1_200, "runs": 8, "batch": 32, "rate": 1e-3, "width": 128, "noise": 8},
    **{"width of D": 64},
    **{"L1": 4.0, "R1": 0.03, "averaging": 0.995, "characters": "0123456789", "seed": 1},
}
QUICK: Table = SETTINGS | {"steps": 100, "runs": 2}

#: The weights of L1 (times its setting) and of the adversary.
WAYS = {"L1": (1, 0), "adversary": (0, 1), "both": (1, 1), "shuffled": (1, 1)}
SIDE, ANSWERS = 16, 9
PIXELS = SIDE**2
#: The side of the squares that D judges.
SEEN = 7
#: How far a square of 5 × 5 pixels may be from a real one: 0.1 a pixel, root mean square.
NEAR = 0.5


class Pairs(NamedTuple):
    """Outlines, and for each the nine pictures that are right.

    Attributes:
        outline: ``(outlines, 256)``, from −1 to 1.
        answer: ``(outlines, 9, 256)``: places in three rows of three.
        character: ``(outlines,)``.
        train: places of the outlines of the training.
        other: places of those held out.
    """

    outline: Tensor
    answer: Tensor
    character: Tensor
    train: Tensor
    other: Tensor


def pairs(which: str) -> Pairs:
    """48 outlines a character: fonts, slants, strokes, sizes; every fifth is held out."""
    images, known = glyphs(SIDE, which)
    answer = images.view(-1, ANSWERS, PIXELS)
    character = known.character[::ANSWERS]
    middle = answer[:, 4].view(-1, 1, SIDE, SIDE)
    around = F.max_pool2d(middle, 3, 1, 1) - middle  # from 0 to 2: what lies just outside the ink
    order = torch.randperm(len(answer), generator=Generator().manual_seed(0))
    fifth = len(answer) // 5
    return Pairs(around.flatten(1) - 1, answer, character, order[fifth:], order[:fifth])


def painted(G: Ensemble, outline: Tensor, z: Tensor) -> Tensor:
    """Pictures for outlines ``(runs, batch, 256)`` and noise ``(runs, batch, noise)``."""
    x: Tensor = G(torch.cat([outline, z], dim=-1)).tanh()
    return x


def translators(data: Pairs, settings: Table) -> Ensemble:
    """G of each way in turn, ``runs`` of each, with averaged weights."""
    each, batch, noise = (int(settings[name]) for name in ("runs", "batch", "noise"))
    runs, width = each * len(WAYS), int(settings["width"])
    torch.manual_seed(int(settings["seed"]))
    random = Generator().manual_seed(int(settings["seed"]))
    G = Ensemble(lambda: mlp(PIXELS + noise, PIXELS, width=width), runs)
    D = Ensemble(lambda: mlp(2 * SEEN**2, 1, width=int(settings["width of D"])), runs)
    of_D, of_G = (optimiser(player, rate=settings["rate"]) for player in (D, G))
    average = {name: weight.detach().clone() for name, weight in G.named_parameters()}
    by_L1, by_D = torch.tensor(list(WAYS.values())).T.float().repeat_interleave(each, dim=1)
    paired = torch.tensor([way != "shuffled" for way in WAYS]).repeat_interleave(each)

    def draw() -> tuple[Tensor, Tensor, Tensor]:
        at, beside = (
            data.train[torch.randint(len(data.train), (runs, batch), generator=random)]
            for _ in range(2)
        )
        style = torch.randint(ANSWERS, (runs, batch), generator=random)
        outline = data.outline[torch.where(paired.unsqueeze(1), at, beside)]
        z = torch.randn(runs, batch, noise, generator=random)
        return outline, data.answer[at, style], z

    def judged(outline: Tensor, x: Tensor) -> Tensor:
        """A logit for each square of each pair, ``(runs, batch × 16)``."""
        both = torch.stack([outline, x], dim=2).view(-1, 2, SIDE, SIDE)
        seen = F.unfold(both, SEEN, stride=3).mT.reshape(runs, -1, 2 * SEEN**2)
        logit: Tensor = D(seen).squeeze(-1)
        return logit

    for step in range(int(settings["steps"])):
        outline, answer, z = draw()
        with torch.no_grad():
            fake = painted(G, outline, z)
        of_D.zero_grad()
        loss = cross_entropy(judged(outline, answer), judged(outline, fake))
        if step % 4 == 0:
            slope = PENALTIES["R1"](lambda x, o=outline: judged(o, x), answer, fake)
            loss = loss + 4 * settings["R1"] * slope
        loss.sum().backward()
        of_D.step()
        outline, answer, z = draw()
        fake = painted(G, outline, z)
        off = (fake - answer).abs().mean(dim=(1, 2))
        fooled = non_saturating_generator(None, judged(outline, fake))
        of_G.zero_grad()
        (settings["L1"] * by_L1 * off + by_D * fooled).sum().backward()
        of_G.step()
        averaged(average, G, settings["averaging"])
    put(average, G)
    return G


# --- Measures ------------------------------------------------------------------------------


def squares(x: Tensor) -> Tensor:
    """Squares of 5 × 5 pixels that are not flat, of pictures ``(…, 256)``: ``(squares, 25)``."""
    found = F.unfold(x.reshape(-1, 1, SIDE, SIDE), 5).mT.flatten(0, 1)
    return found[found.amax(dim=1) - found.amin(dim=1) > 1]


def edges(x: Tensor) -> Tensor:
    """Mean square of the discrete Laplacian: the usual measure of sharpness, which noise fools."""
    kernel = torch.tensor([[[[0.0, 1, 0], [1, -4, 1], [0, 1, 0]]]])
    return F.conv2d(x.reshape(-1, 1, SIDE, SIDE), kernel).square().mean()


class Ruler:
    """Measures answers to the outlines held out."""

    def __init__(self, data: Pairs) -> None:
        self.data = data
        self.right = data.answer[data.other]  # (outlines, 9, 256)
        known = data.answer[data.train]
        self.bank = squares(known).unique(dim=0)
        self.judge = SVC(C=10, gamma=0.005).fit(
            known.flatten(0, 1).numpy(),
            data.character[data.train].repeat_interleave(ANSWERS).numpy(),
        )
        self.strong = edges(self.right)

    def sharp(self, x: Tensor, most: int = 3_000) -> Tensor:
        """The share of squares, a random choice, that lie near one of a real picture."""
        found = squares(x)
        chosen = torch.randperm(len(found), generator=Generator().manual_seed(0))[:most]
        near = [
            torch.cdist(part, self.bank).amin(dim=1) <= NEAR for part in found[chosen].split(500)
        ]
        return torch.cat(near).float().sum() / max(1, len(found[chosen]))

    def __call__(self, x: Tensor) -> Table:
        """Of pictures ``(outlines, samples, 256)``.

        ``L1`` is the distance to a right answer at random, ``nearest`` to the nearest one, both a
        pixel; ``variety`` the variance of the answers to one outline, as a share of the real one.
        """
        asked = self.data.character[self.data.other].repeat_interleave(x.shape[1])
        seen = torch.as_tensor(self.judge.predict(x.flatten(0, 1).numpy()))
        apart = torch.cdist(x, self.right, p=1) / PIXELS
        several = x.shape[1] > 1
        within = x.var(dim=1, correction=0).sum() if several else torch.zeros(())
        found = {
            "L1": apart.mean(),
            "nearest": apart.amin(dim=2).mean(),
            "accuracy": (seen == asked).float().mean(),
            "sharp": self.sharp(x),
            "edges": edges(x) / self.strong,
            "variety": within / self.right.var(dim=1, correction=0).sum(),
        }
        return {name: round(float(value), 5) for name, value in found.items()}


def noisy(x: Tensor, strong: Tensor, seed: int) -> Tensor:
    """The forger: just so much noise that the edges are as strong as real ones."""
    noise = torch.randn(x.shape, generator=Generator().manual_seed(seed))
    low, high = 0.0, 2.0
    for _ in range(20):
        middle = (low + high) / 2
        less = edges((x + middle * noise).clamp(-1, 1)) < strong
        low, high = (middle, high) if less else (low, middle)
    return (x + low * noise).clamp(-1, 1)


def measure(settings: Table) -> pd.DataFrame:
    """What each way makes of outlines held out, beside ceilings, floors and forgers."""
    data, each, noise = pairs(settings["characters"]), int(settings["runs"]), int(settings["noise"])
    ruler, outline = Ruler(data), data.outline[data.other]
    G = translators(data, settings)
    random = Generator().manual_seed(1)
    parts = []
    with torch.no_grad():
        for one in outline.split(8):
            seen = one.repeat_interleave(ANSWERS, dim=0).expand(G.runs, -1, -1)
            z = torch.randn(*seen.shape[:2], noise, generator=random)
            parts.append(painted(G, seen, z).unflatten(1, (-1, ANSWERS)))
    x = torch.cat(parts, dim=1).clamp(-1, 1)
    found, first = [], {}
    for place, way in enumerate(WAYS):
        made = x[place * each : (place + 1) * each]
        found += [{"row": way, "run": run} | ruler(made[run]) for run in range(each)]
        first[way] = made[0]
        if way == "L1":
            forged = [noisy(made[run], ruler.strong, run) for run in range(each)]
            found += [{"row": "L1 and noise", "run": n} | ruler(f) for n, f in enumerate(forged)]
            first["L1 and noise"] = forged[0]
    others = {
        "median": ruler.right.median(dim=1, keepdim=True)[0],
        "real": ruler.right,
        "real, of other outlines": ruler.right.roll(1, dims=0),
        "outline": outline.unsqueeze(1),
    }
    found += [{"row": row, "run": 0} | ruler(x) for row, x in others.items()]
    if settings is SETTINGS:
        few = {way: made[:8, :2] for way, made in first.items()}
        keep("translation", outline=outline[:8], real=ruler.right[:8], **few)
    return pd.DataFrame(found)


if __name__ == "__main__":
    record(__file__, measure, SETTINGS, QUICK)
