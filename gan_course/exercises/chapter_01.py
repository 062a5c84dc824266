"""Specifications of the exercises of chapter 01, "Generative models"."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from gan_course.exercises import (
    Wrong,
    agrees,
    call,
    entries,
    expect,
    number,
    several,
    specification,
)
from gan_course.images import digits

FAMILY = {
    "walk": ("tractable", "the product of its tables is p(x), and all of them are known"),
    "relax": ("approximate", "its formula lacks the constant Z, which it cannot compute"),
    "paint": ("implicit", "it gives samples, and no formula for p(x)"),
    "cause": ("approximate", "it writes p(x) as an integral which it cannot compute"),
}


@specification("01.1")
def family(answer: object) -> None:
    """Each of four programs has its place in the tree."""
    filled = entries(answer, FAMILY)
    words = {word for word, _ in FAMILY.values()}
    for name, (word, reason) in FAMILY.items():
        if filled[name] not in words:
            raise Wrong(f"{name}: choose one of {', '.join(sorted(words))}.")
        if filled[name] != word:
            raise Wrong(f"{name} is not {filled[name]}: {reason}.")


@specification("01.2")
def ruined_model(answer: object) -> None:
    """Since q ≥ p / 100, log q ≥ log p − log 100; no smaller c will do."""
    if number(answer, "c, in nats,") < 0:
        raise Wrong("c is a loss in nats: it is subtracted, so it is positive.")
    hint = "Leave out r: q(x) ≥ 0.01 p(x). Take logarithms of both sides, in nats."
    expect(hint, answer, math.log(100), atol=0.01)


@specification("01.3")
def one_table(answer: object) -> None:
    """KL + mean log-likelihood = −H: −1.6 nats for both models."""
    found = _values(answer, "KL of b", "entropy", "best")
    if math.isclose(found["KL of b"], 1.1, abs_tol=0.005):
        raise Wrong("KL of b: the likelier model is the nearer one. Which of the two is likelier?")
    if math.isclose(found["KL of b"], 0.4, abs_tol=0.005):
        raise Wrong("KL of b: 0.4 is by how much the two differ; a's KL is given.")
    expect(
        "KL of b: KL + mean log-likelihood is one number for both.", found["KL of b"], 0.3, 0.005
    )
    if found["entropy"] < 0:
        raise Wrong("The entropy of a table is never negative: mind the sign of −H.")
    expect(
        "entropy: KL + mean log-likelihood = −H, with a's numbers.", found["entropy"], 1.6, 0.005
    )
    hint = "best: a KL is at least 0. What is left of the sum if it is 0?"
    expect(hint, found["best"], -1.6, 0.005)


def _values(answer: object, *keys: str) -> dict[str, float]:
    """A dictionary's numbers."""
    filled = entries(answer, keys)
    return {key: number(filled[key], f"{key}: it") for key in keys}


@specification("01.4")
def softplus_backward(answer: Callable[..., Any]) -> None:
    """The four gradients are those of autograd."""
    draw = Generator().manual_seed(0)
    x, W1, b1, w2, b2 = (
        torch.randn(shape, generator=draw, dtype=torch.float64)
        for shape in ((9, 2), (2, 4), (1, 4), (4, 1), (1, 1))
    )
    y = (x[:, :1] > 0).double()
    weights = [weight.clone().requires_grad_() for weight in (W1, b1, w2, b2)]
    a = F.softplus(x @ weights[0] + weights[1]) @ weights[2] + weights[3]
    wanted = torch.autograd.grad((F.softplus(a) - y * a).mean(), weights)
    names = "W1", "b1", "w2", "b2"
    found = several(call(answer, x, y, W1, b1, w2, b2), 4, f"gradients in {', '.join(names)}")
    hints = {
        "b2": "is δ_a = (σ(a) − y) / n, summed over the batch",
        "w2": "is hᵀ δ_a",
        "b1": "is δ_u, summed over the batch; the slope of softplus is σ, taken before the bend",
        "W1": "is xᵀ δ_u",
    }
    for slip, hint in SLIPS.items():
        wrong = _walk_back(slip, x, y, W1, b1, w2, b2)
        if all(agrees(mine, theirs, atol=1e-9) for mine, theirs in zip(found, wrong, strict=True)):
            raise Wrong(hint)
    by_name = dict(zip(names, zip(found, wanted, strict=True), strict=True))
    for name, hint in hints.items():  # in the order of the walk back
        expect(f"The gradient in {name} {hint}.", *by_name[name], atol=1e-9)


#: Usual slips on the walk back of 01.4.
SLIPS = {
    "−b1": "On the way there u is x W₁ + b₁; here b₁ is subtracted.",
    "no b1": "On the way there u is x W₁ + b₁; here b₁ is missing.",
    "−b2": "On the way there a is h w₂ + b₂; here b₂ is subtracted.",
    "no b2": "On the way there a is h w₂ + b₂; here b₂ is missing.",
    "b2 alone": "On the way there a is h w₂ + b₂; here h w₂ is missing.",
    "n times": "The loss is a mean: δ_a is divided by n; here it is multiplied.",
    "no n": "The loss is a mean: δ_a has to be divided by n.",
    "+y": "δ_a is (σ(a) − y)/n: here y is added.",
    "no y": "δ_a is (σ(a) − y)/n: here y is missing.",
    "y alone": "δ_a is (σ(a) − y)/n: here σ(a) is missing.",
    "y less": "δ_a is (σ(a) − y)/n: here it is y − σ(a).",
    "by the slope": "δ_u is δ_a w₂ᵀ *times* the slope σ(u); here it is divided by it.",
    "no slope": "δ_u is δ_a w₂ᵀ times the slope of the bend, σ(u), which is missing.",
    "slope alone": "δ_u is the slope σ(u) times δ_a w₂ᵀ, which is missing.",
    "slope of h": "The slope of softplus is σ(u), taken before the bend; here it is σ(h).",
    "tanh": "1 − h² is the slope of tanh; the bend is softplus here.",
}


def _walk_back(slip: str, *given: Tensor) -> tuple[Tensor, ...]:
    """The four gradients of 01.4 with one of :data:`SLIPS`."""
    x, y, W1, b1, w2, b2 = given
    signs = {"−b1": (-1, 1), "no b1": (0, 1), "−b2": (1, -1), "no b2": (1, 0)}.get(slip, (1, 1))
    u = x @ W1 + signs[0] * b1
    h = F.softplus(u)
    belief = torch.sigmoid((h @ w2) * (slip != "b2 alone") + signs[1] * b2)
    of_both = {"y alone": y, "y less": y - belief, "no y": belief, "+y": belief + y}
    d_a = of_both.get(slip, belief - y) * {"n times": len(x), "no n": 1}.get(slip, 1 / len(x))
    slope = {"slope of h": torch.sigmoid(h), "tanh": 1 - h**2}.get(slip, torch.sigmoid(u))
    back = d_a @ w2.T
    of_u = {"by the slope": back / slope, "no slope": back, "slope alone": slope}
    d_u = of_u.get(slip, back * slope)
    return x.T @ d_u, d_u.sum(dim=0, keepdim=True), h.T @ d_a, d_a.sum(dim=0, keepdim=True)


@specification("01.5")
def best_smudge(answer: object) -> None:
    """The held-out digits choose the best hundredth, the training digits the least noise."""
    found = _values(answer, "held-out", "training")
    for name, s in found.items():
        if not 0.05 <= s <= 1:
            raise Wrong(f"{name}: s lies between 0.05 and 1.")
    here = _held_out_likelihood(found["held-out"])
    for step, direction in ((0.01, "more"), (-0.01, "less")):
        if _held_out_likelihood(found["held-out"] + step) > here:
            raise Wrong(f"A little {direction} noise makes the held-out digits more likely.")
    hint = "training: each of these digits sits in the middle of its own component. Narrow it."
    expect(hint, found["training"], 0.05, atol=0.005)


def _held_out_likelihood(s: float) -> float:
    """Mean log density of the chapter's held-out digits under the smudging memoriser."""
    log_p = -_squared_distances() / (2 * s**2)
    return float(log_p.logsumexp(dim=1).mean() - 32 * math.log(2 * math.pi * s**2))


@cache
def _squared_distances() -> Tensor:
    """From each held-out digit of the chapter to each of its 1,000 training digits."""
    pixels = digits()[0].flatten(1).double()
    shuffled = torch.randperm(len(pixels), generator=Generator().manual_seed(0))
    train, held = pixels[shuffled[:1000]], pixels[shuffled[1000:]]
    return torch.cdist(held, train).square()


@specification("01.6")
def nearer_to_seen(answer: Callable[[Tensor, Tensor, Tensor], Any]) -> None:
    """The share of nearest neighbours among the seen rows, with as many unseen ones."""
    draw = Generator().manual_seed(0)
    rows = torch.randn(200, 3, generator=draw, dtype=torch.float64)
    new = torch.randn(40, 3, generator=draw, dtype=torch.float64)
    seen, unseen = rows[:60], rows[60:120]
    copies = seen[:30] + 0.01 * new[:30]
    share = call(answer, copies, seen, unseen)
    if agrees(share, torch.tensor(30.0), atol=1e-9):
        raise Wrong("That is how many samples are nearer to the seen; the share was asked for.")
    far, farther = (torch.cdist(copies, rows).amax(dim=1) for rows in (seen, unseen))
    if agrees(share, (far < farther).double().mean(), atol=1e-9):
        raise Wrong("That compares the farthest rows of each kind; the nearest decide.")
    expect("Return one number, a share from 0 to 1.", share, 0.5, atol=0.5)
    expect("Smudged copies of seen rows: all are nearer to the seen.", share, 1.0, 0.05)
    for size in (60, 140):  # alone, and with more unseen rows than seen ones
        wanted = _share_nearer(new, seen, rows[60 : 60 + size])
        found = call(answer, new, seen, rows[60 : 60 + size])
        hint = "For each sample, the nearest of each kind decides, by distance; then the share."
        if size > 60:
            hint = "More rows come nearer by chance: of each kind take as many as of the rarer one."
        expect(hint, found, wanted)
    found = call(answer, new, rows[60:], seen)
    hint = "There may be more seen rows than unseen ones, too: then cut the seen."
    expect(hint, found, _share_nearer(new, rows[60:120], seen))


def _share_nearer(samples: Tensor, seen: Tensor, unseen: Tensor) -> Tensor:
    fair = min(len(seen), len(unseen))
    near, far = (torch.cdist(samples, rows[:fair]).amin(dim=1) for rows in (seen, unseen))
    return (near < far).double().mean()
