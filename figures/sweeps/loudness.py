"""Is the reverse KL to blame, or is the non-saturating cost only louder?

Four costs of G under one D (the cross-entropy). At the best D each follows a known divergence
(chapter 05): 2 JS, KL(q‖p) − 2 JS, KL(p‖q), and −E logit D the reverse KL itself. Each is trained
as it is, and with the gradient of every step of G divided by its own norm, so that no cost is
louder than another at any time. All else is the plain setting of remedies.toml. Who is ahead is
asked at the moment of that table, and later.

    python figures/sweeps/loudness.py            # figures/runs/loudness.csv, .json
    python figures/sweeps/loudness.py --quick    # figures/runs/loudness.quick.csv, .json
"""

from __future__ import annotations

from functools import partial
from typing import Any

import pandas as pd
import torch
from by_script import record
from torch import Tensor

from gan_course.distributions import normal, ring
from gan_course.losses import LOSSES, cross_entropy
from gan_course.metrics import mode_coverage
from gan_course.networks import Ensemble, mlp

COSTS = {
    "minimax": LOSSES["minimax"].generator,
    "non-saturating": LOSSES["non-saturating"].generator,
    "maximum likelihood": LOSSES["maximum likelihood"].generator,
    "reverse KL": LOSSES["wasserstein"].generator,  # −E a; at D* the logit a is log p − log q
}
SETTINGS: dict[str, Any] = {
    "steps": [2_000, 4_000, 8_000],  # at which G is looked at
    "runs": 64,
    "batch": 64,
    "rate": 1e-3,
    "width": 16,
    "std": 0.05,
}
QUICK = SETTINGS | {"steps": [200, 300], "runs": 16}


def train(cost: str, equal: bool, settings: dict[str, Any]) -> tuple[dict[int, Tensor], Tensor]:
    """Train an ensemble by hand.

    Args:
        cost: a key of :data:`COSTS`.
        equal: whether the gradient of each step of G is divided by its norm, run by run.
        settings: as :data:`SETTINGS`.

    Returns:
        2,500 samples of each run at each look, by its step; and the norms of G's gradients, shape
        ``(steps, runs)``.
    """
    torch.manual_seed(0)
    random = torch.Generator().manual_seed(0)
    looks, runs, batch = settings["steps"], settings["runs"], settings["batch"]
    player = partial(mlp, width=settings["width"], activation="relu")
    G, D = Ensemble(lambda: player(2, 2), runs), Ensemble(lambda: player(2, 1), runs)
    data, prior, norms, samples = ring(std=settings["std"]), normal(2), [], {}
    of_G, of_D = (
        torch.optim.Adam(m.parameters(), lr=settings["rate"], betas=(0.5, 0.999), fused=True)
        for m in (G, D)
    )

    def logits(x: Tensor) -> Tensor:
        return D(x).squeeze(-1)

    for step in range(1, max(looks) + 1):
        real, z = (s.sample((runs, batch), random) for s in (data, prior))
        of_D.zero_grad()
        cross_entropy(logits(real), logits(G(z).detach())).sum().backward()
        of_D.step()
        z = prior.sample((runs, batch), random)
        of_G.zero_grad()
        COSTS[cost](None, logits(G(z))).sum().backward()
        squares = [p.grad.flatten(1).square().sum(dim=1) for p in G.parameters()]
        norm = torch.stack(squares).sum(dim=0).sqrt()
        norms.append(norm)
        if equal:
            for p in G.parameters():
                p.grad /= norm.clamp(min=1e-30).view(-1, *[1] * (p.dim() - 1))
        of_G.step()
        if step in looks:
            aside = random.clone_state()  # a look changes nothing of what follows
            with torch.no_grad():
                samples[step] = G(prior.sample((runs, 2_500), aside))
    return samples, torch.stack(norms)


def measure(settings: dict[str, Any]) -> pd.DataFrame:
    """Train every cost, as it is and equalised; a row for each run at each look."""
    target, frames = ring(std=settings["std"]), []
    for norm in ("own", "equal"):
        for cost in COSTS:
            looks, norms = train(cost, norm == "equal", settings)
            for step, samples in looks.items():
                found = mode_coverage(samples, target.centers, settings["std"])
                before = norms[:step]
                early, late = before[100:200].mean(dim=0), before[-100:].mean(dim=0)
                rows = {
                    "cell": len(frames),
                    "norm": norm,
                    "cost": cost,
                    "step": step,
                    "run": range(len(samples)),
                    "modes": found.modes.tolist(),
                    "high_quality": found.high_quality.numpy().round(6),
                    "reverse_kl": found.reverse_kl.numpy().round(6),
                    "diverged": (~samples.isfinite().all(dim=(1, 2))).tolist(),
                    "early_norm": early.numpy().round(6),
                    "late_norm": late.numpy().round(6),
                }
                frames.append(pd.DataFrame(rows))
            print(norm, cost, flush=True)
    return pd.concat(frames, ignore_index=True)


if __name__ == "__main__":
    record(__file__, measure, SETTINGS, QUICK)
