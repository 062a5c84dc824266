"""Specifications of the exercises of chapter 01, "Generative models"."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from gan_course.exercises import Open, Wrong, call, expect, specification
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
    if not isinstance(answer, Mapping) or set(answer) != set(FAMILY):
        raise Wrong(f"The answer is a dictionary with the keys {', '.join(FAMILY)}.")
    if any(word is ... for word in answer.values()):
        raise Open
    words = {word for word, _ in FAMILY.values()}
    for name, (word, reason) in FAMILY.items():
        if answer[name] not in words:
            raise Wrong(f"{name}: choose one of {', '.join(sorted(words))}.")
        if answer[name] != word:
            raise Wrong(f"{name} is not {answer[name]}: {reason}.")


@specification("01.2")
def ruined_model(answer: object) -> None:
    """Since q ≥ p / 100, log q ≥ log p − log 100; no smaller c will do."""
    if isinstance(answer, int | float | Tensor) and float(answer) < 0:
        raise Wrong("c is a loss in nats: it is subtracted, so it is positive.")
    hint = "Leave out r: q(x) ≥ 0.01 p(x). Take logarithms of both sides, in nats."
    expect(hint, answer, math.log(100), atol=0.01)


@specification("01.3")
def laplace(answer: Callable[[Tensor], Any]) -> None:
    """The median, and the mean absolute deviation from it."""
    x = torch.empty(201, dtype=torch.float64)
    x.exponential_(generator=Generator().manual_seed(0))  # skewed: mean and median differ
    for data in (x, 3 * x - 7, torch.tensor([5.0, 1.0, 1.5], dtype=torch.float64)):
        m, s = _two(call(answer, data))
        best = data.median()
        expect("m: the sum of |x − m| is flat where as many lie above m as below", m, best)
        spread = (data - best).abs().mean()
        expect("s: set the derivative of −log s − mean|x − m| / s to zero", s, spread)


def _two(answer: object) -> tuple[object, object]:
    if not isinstance(answer, tuple | list) or len(answer) != 2:
        raise Wrong("Return two numbers, m and s.")
    return answer[0], answer[1]


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
    found = call(answer, x, y, W1, b1, w2, b2)
    if not isinstance(found, tuple | list) or len(found) != 4:
        raise Wrong("Return four gradients, in the order W1, b1, w2, b2.")
    hints = {
        "b2": "is δ_a = (σ(a) − y) / n, summed over the batch",
        "w2": "is hᵀ δ_a",
        "b1": "is δ_h, summed over the batch; the slope of softplus is σ, taken before the bend",
        "W1": "is xᵀ δ_h",
    }
    by_name = dict(zip(("W1", "b1", "w2", "b2"), zip(found, wanted, strict=True), strict=True))
    for name, hint in hints.items():  # in the order of the walk back
        expect(f"The gradient in {name} {hint}.", *by_name[name], atol=1e-9)


@specification("01.5")
def best_smudge(answer: object) -> None:
    """A hundredth more or less makes the held-out digits less likely."""
    expect("The answer is one number.", answer, answer)
    s = float(torch.as_tensor(answer))
    if not 0.05 <= s <= 1:
        raise Wrong("s lies between 0.05 and 1.")
    here = _held_out_likelihood(s)
    for other, direction in ((s + 0.01, "more"), (s - 0.01, "less")):
        if _held_out_likelihood(other) > here:
            raise Wrong(
                f"A little {direction} noise makes the held-out digits more likely. "
                "(The training digits have another favourite: a copy without any.)"
            )


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
