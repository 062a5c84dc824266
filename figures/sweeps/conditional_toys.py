"""What labels do to mode collapse, and what an auxiliary classifier does to classes that overlap.

**The ring.** Eight modes, non-saturating loss. What differs between the rows is the labels alone,
which both players see beside their input: 1, 2, 4 or 8 different ones; 8 that are drawn without
a look at the sample; and 8 that D, or G, is not shown. All rows have networks of the same shape,
and are trained as one ensemble. A row with the projection discriminator stands beside them.

**The overlap.** Two classes on the line, N(−1, 1) and N(1, 1), with the minimax loss, so that the
optimum can be computed (chapter 10). Concatenation and projection; and the auxiliary classifier,
which learns from real samples alone or from both.

    python figures/sweeps/conditional_toys.py            # figures/runs/conditional_*.csv, .json
    python figures/sweeps/conditional_toys.py overlap    # one part alone
    python figures/sweeps/conditional_toys.py --quick    # figures/runs/conditional_*.quick.csv, …
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

import pandas as pd
import torch
import torch.nn.functional as F
from by_script import write
from torch import Generator, Tensor, nn

from gan_course.conditional import Auxiliary, Concatenated, Projection
from gan_course.distributions import ring
from gan_course.losses import cross_entropy, minimax_generator, non_saturating_generator
from gan_course.networks import Ensemble
from gan_course.penalties import PENALTIES

RING = {"steps": 2_500, "runs": 16, "batch": 64, "rate": 1e-3, "width": 16, "std": 0.05}
OVERLAP = {"steps": 1_000, "runs": 16, "batch": 128, "rate": 1e-3, "width": 32, "distance": 1.0}
QUICK = {"steps": 300, "runs": 8}

#: Rows of the ring: how many labels there are, and who sees them as they are.
ROWS = {
    "1 label": (1, "both"),
    "2 labels": (2, "both"),
    "4 labels": (4, "both"),
    "8 labels": (8, "both"),
    "shuffled": (8, "nobody"),  # drawn without a look at the sample
    "dropped in D": (8, "G"),
    "dropped in G": (8, "D"),
}

#: x and y of real samples, z and y of those to be made; what D sees for y; what G sees.
Draw = Callable[[], tuple[Tensor, Tensor, Tensor, Tensor]]
See = Callable[[Tensor], Tensor]


def same(y: Tensor) -> Tensor:
    """A player that sees the labels as they are."""
    return y


def class_loss(logits: Tensor, label: Tensor) -> Tensor:
    """−log C(y|x), the mean over each run's batch, shape ``(runs,)``."""
    each = F.cross_entropy(logits.flatten(0, 1), label.flatten(), reduction="none")
    return each.view(label.shape).mean(dim=-1)


def train(
    G: Ensemble,
    D: Ensemble,
    draw: Draw,
    settings: dict[str, Any],
    *,
    saturating: bool = False,
    to_D: See = same,
    to_G: See = same,
    on_fake: Tensor | float = 0.0,
) -> dict[str, Tensor]:
    """Algorithm 1 with labels; a D that names the class is trained to, and G to be named.

    Args:
        G: noise and labels to samples.
        D: samples and labels to a logit; or an ensemble of :class:`Auxiliary`.
        draw: real samples, their labels, noise, and labels to make.
        settings: ``steps`` and ``rate``; perhaps the weight of ``R1``, which is taken at
            every fourth step, and the decay of G's ``averaging``.
        saturating: whether G has the minimax loss.
        to_D: what D sees of a label.
        to_G: what G sees of it.
        on_fake: for each run, how much the classifier learns from generated samples.

    Returns:
        G's weights by name, averaged over the steps if the settings ask for it.
    """
    r1, averaging = settings.get("R1", 0.0), settings.get("averaging", 0.0)
    average = {name: weight.detach().clone() for name, weight in G.named_parameters()}
    names = isinstance(D.module, Auxiliary)
    generator = minimax_generator if saturating else non_saturating_generator
    of_G, of_D = (
        torch.optim.Adam(m.parameters(), lr=settings["rate"], betas=(0.5, 0.999), fused=True)
        for m in (G, D)
    )

    def judged(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """The logit and the loss of the class."""
        if not names:
            logit = D(x, to_D(y)).squeeze(-1)
            return logit, torch.zeros(len(x))
        found = D(x)
        return found[..., 0], class_loss(found[..., 1:], y)

    def slope(x: Tensor, y: Tensor, fake: Tensor) -> Tensor:
        """R1, at real samples."""
        return PENALTIES["R1"](lambda at: judged(at, y)[0], x, fake)

    for step in range(int(settings["steps"])):
        x, y, z, asked = draw()
        with torch.no_grad():
            fake = G(z, to_G(asked))
        (real_logits, named), (fake_logits, fake_named) = judged(x, y), judged(fake, asked)
        of_D.zero_grad()
        loss = cross_entropy(real_logits, fake_logits) + named + on_fake * fake_named
        if r1 and step % 4 == 0:
            loss = loss + 4 * r1 * slope(x, y, fake)
        loss.sum().backward()
        of_D.step()
        _, _, z, asked = draw()
        fake_logits, fake_named = judged(G(z, to_G(asked)), asked)
        of_G.zero_grad()
        (generator(None, fake_logits) + fake_named).sum().backward()
        of_G.step()
        with torch.no_grad():
            for name, weight in G.named_parameters():
                average[name].lerp_(weight, 1 - averaging)
    return average


def on_the_ring(settings: dict[str, Any]) -> pd.DataFrame:
    """Train the rows of the ring; a row for each run."""
    each, std, frames = int(settings["runs"]), settings["std"], []
    centers = ring().centers
    for form, rows in (("concatenation", list(ROWS)), ("projection", ["4 labels", "8 labels"])):
        torch.manual_seed(0)
        random = Generator().manual_seed(0)
        runs = each * len(rows)

        def of_rows(values: list[Any], each: int = each) -> Tensor:
            return torch.tensor(values).repeat_interleave(each).unsqueeze(1)

        labels = of_rows([ROWS[row][0] for row in rows])
        sees = {who: of_rows([ROWS[row][1] in ("both", who) for row in rows]) for who in "GD"}
        shuffled = of_rows([ROWS[row][1] == "nobody" for row in rows])

        def draw(
            samples: int = int(settings["batch"]),
            runs: int = runs,
            labels: Tensor = labels,
            shuffled: Tensor = shuffled,
            random: Generator = random,
        ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
            mode, asked = (torch.randint(8, (runs, samples), generator=random) for _ in range(2))
            noise = torch.randn(runs, samples, 2, generator=random)
            x = F.embedding(mode, centers) + std * noise
            any_label = torch.randint(8, (runs, samples), generator=random)
            y = torch.where(shuffled, any_label, mode % labels)
            return x, y, torch.randn(runs, samples, 2, generator=random), asked % labels

        see_D, see_G = ((sees[who] | shuffled).long() for who in "DG")
        look = {"width": int(settings["width"]), "activation": "relu"}
        G = Ensemble(lambda look=look: Concatenated(2, 2, 8, **look), runs)
        D = Ensemble(
            (lambda look=look: Concatenated(2, 1, 8, **look))
            if form == "concatenation"
            else (lambda look=look: Projection(2, 8, **look)),
            runs,
        )
        train(
            G,
            D,
            draw,
            settings,
            to_D=lambda y, see=see_D: y * see,
            to_G=lambda y, see=see_G: y * see,
        )
        _, _, z, asked = draw(2_500)
        with torch.no_grad():
            x = G(z, asked * see_G)
        distance, nearest = torch.cdist(x, centers).min(dim=-1)
        share = F.one_hot(nearest, 8).float().mean(dim=1)
        right = (nearest % labels == asked).float().mean(dim=1)
        frames.append(
            pd.DataFrame(
                {
                    "discriminator": form,
                    "row": [row for row in rows for _ in range(each)],
                    "run": list(range(each)) * len(rows),
                    "effective": torch.special.entr(share).sum(dim=-1).exp().numpy().round(6),
                    "high_quality": (distance < 3 * std).float().mean(dim=1).numpy().round(6),
                    "accuracy": right.numpy().round(6),
                    "diverged": (~x.isfinite().all(dim=(1, 2))).tolist(),
                }
            )
        )
    return pd.concat(frames, ignore_index=True)


def on_the_overlap(settings: dict[str, Any]) -> pd.DataFrame:
    """Train on two classes that overlap; a row for each run."""
    runs, frames = int(settings["runs"]), []
    look = {"width": int(settings["width"])}
    kinds: dict[str, Callable[[], nn.Module]] = {
        "concatenation": lambda: Concatenated(1, 1, 2, **look),
        "projection": lambda: Projection(1, 2, **look),
        "auxiliary": lambda: Auxiliary(1, 2, **look),
        "auxiliary, real and generated": lambda: Auxiliary(1, 2, **look),
    }
    for kind, build in kinds.items():
        torch.manual_seed(0)
        random = Generator().manual_seed(0)

        def draw(
            samples: int = int(settings["batch"]), random: Generator = random
        ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
            y, asked = (torch.randint(2, (runs, samples), generator=random) for _ in range(2))
            noise, z = (torch.randn(runs, samples, 1, generator=random) for _ in range(2))
            return settings["distance"] * (2.0 * y.unsqueeze(-1) - 1) + noise, y, z, asked

        G, D = Ensemble(lambda: Concatenated(1, 1, 2, **look), runs), Ensemble(build, runs)
        train(G, D, draw, settings, saturating=True, on_fake=float("generated" in kind))
        _, _, z, asked = draw(10_000)
        with torch.no_grad():
            x = G(z, asked).squeeze(-1)
        right = ((x > 0).long() == asked).float()
        side = 2 * asked - 1
        along = (x * side).double()  # the classes are mirror images
        frames.append(
            pd.DataFrame(
                {
                    "kind": kind,
                    "run": range(runs),
                    "accuracy": right.mean(dim=1).numpy().round(6),
                    "mean": along.mean(dim=1).numpy().round(6),
                    "std": along.std(dim=1).numpy().round(6),
                    "diverged": (~x.isfinite().all(dim=1)).tolist(),
                }
            )
        )
    return pd.concat(frames, ignore_index=True)


PARTS = {"ring": (on_the_ring, RING), "overlap": (on_the_overlap, OVERLAP)}


def main() -> None:
    """Write the tables, and beside each a note of how it was made."""
    quick = "--quick" in sys.argv[1:]
    torch.set_num_threads(1)
    for part, (measure, usual) in PARTS.items():
        if not {part, "--quick"} & set(sys.argv[1:] or [part]):
            continue
        settings = usual | (QUICK if quick else {})
        begin = time.perf_counter()
        frame = measure(settings)
        seconds = {"seconds": round(time.perf_counter() - begin, 1)}
        command = "conditional_toys.py" + " --quick" * quick
        write(f"conditional_{part}", frame, command, settings, seconds, small=quick)


if __name__ == "__main__":
    main()
