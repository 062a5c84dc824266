"""Specifications of the exercises of chapter 10, *Conditioning and inference*."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gan_course.exercises import Open, Wrong, call, expect, number, several, specification, truth

VERDICTS = {
    "perfect": (True, True, True),
    "next class": (False, True, False),
    "deaf": (False, True, False),
    "one a class": (True, False, False),
}
_ASKED = (
    "accuracy asks whether the picture is of the class that was asked for",
    "without labels only the mixture of all samples counts",
    "the conditional game is at −2 log 2 only where each class is the data's",
)


@specification("10.1")
def verdicts(answer: dict[str, Any]) -> None:
    """Who passes label accuracy, the mixture, and the conditional game."""
    if not isinstance(answer, dict) or set(answer) != set(VERDICTS):
        raise Wrong(f"answer with a dict that has the keys {', '.join(VERDICTS)}")
    rows = [row if isinstance(row, tuple | list) else [row] for row in answer.values()]
    if any(value is ... for row in rows for value in row):
        raise Open
    for name, expected in VERDICTS.items():
        given = several(answer[name], 3, f"three answers for {name!r}")
        for found, right, hint in zip(given, expected, _ASKED, strict=True):
            if truth(found, name) != right:
                raise Wrong(f"{name}: {hint}")


@specification("10.2")
def js_of_the_deaf(answer: Callable[[int], float]) -> None:
    """JS between p(x, y) and p(x) π(y), counted on the K × K table of classes and labels."""
    exact = []
    sizes = (2, 3, 10, 1_000)
    for K in sizes:
        p, q = 1 / K, 1 / K**2  # mass in each of the K right cells; q is in K² − K others, too
        middle = (p + q) / 2
        right = K * (p * math.log(p / middle) + q * math.log(q / middle)) / 2
        exact.append(right + (K * K - K) * q * math.log(2) / 2)
    expect(
        f"not right for K = {', '.join(map(str, sizes))}: make a K × K table. The data have 1/K "
        "on each cell of the diagonal, the generator 1/K² on every cell",
        [number(call(answer, K), "a divergence") for K in sizes],
        exact,
        atol=1e-6,
    )


@specification("10.3")
def projection_logits(answer: Callable[[Tensor, Tensor, Tensor, Tensor, Tensor], Tensor]) -> None:
    """v_y · φ + w · φ + b, by a loop."""
    random = torch.Generator().manual_seed(0)
    phi, v = torch.randn(5, 3, generator=random), torch.randn(4, 3, generator=random)
    w, y = torch.randn(3, generator=random), torch.tensor([3, 0, 0, 2, 3])
    each = [
        sum(float(f) * (float(a) + float(c)) for f, a, c in zip(row, v[label], w, strict=True))
        for row, label in zip(phi.tolist(), y.tolist(), strict=True)
    ]
    for b in (0.7, -1.3):
        expect(
            "each sample has its own class's row v[y]; multiply it with the features and add up, "
            "then add ψ, w · φ + b",
            call(answer, phi, y, v, w, torch.tensor(b)),
            np.array(each) + b,
            atol=1e-4,
        )


@specification("10.4")
def mean_without_overlap(answer: Callable[[float], float]) -> None:
    """E|x| under the mixture, by a sum over the line."""
    x = np.linspace(-12, 12, 240_001)
    exact = []
    means = (0.5, 1.0, 2.0)
    for m in means:
        mixture = (np.exp(-((x - m) ** 2) / 2) + np.exp(-((x + m) ** 2) / 2)) / 2
        exact.append(float(np.abs(x) @ mixture / mixture.sum()))
    expect(
        f"not right at m = {', '.join(map(str, means))}: as λ → 0 the mixture is the data's, and "
        "this class gets all of it that lies above 0",
        [number(call(answer, m), "a mean") for m in means],
        exact,
        atol=1e-5,
    )


@specification("10.5")
def bound_and_gap(answer: Callable[[Tensor, Tensor], tuple[float, float]]) -> None:
    """H(c) + E log Q and E KL(p(c|x)‖Q), which add up to the mutual information."""
    random = torch.Generator().manual_seed(1)
    joint = torch.rand(3, 4, generator=random).double() + 0.05
    joint /= joint.sum()
    Q = torch.rand(3, 4, generator=random).double() + 0.1
    Q /= Q.sum(dim=0)
    independent = joint.sum(dim=1, keepdim=True) * joint.sum(dim=0)
    information = float((joint * (joint / independent).log()).sum())
    code = joint.sum(dim=1)
    exact = float((joint * Q.log()).sum() - (code * code.log()).sum())
    bound, gap = several(call(answer, joint, Q), 2, "two numbers, the bound and the gap,")
    expect("the bound is H(c) + E log Q(c|x), the mean over the pairs (c, x)", bound, exact)
    expect(
        "the gap is what is missing to I(c; x): the mean over x of KL(p(c|x) ‖ Q(c|x))",
        gap,
        information - exact,
    )
    posterior = joint / joint.sum(dim=0)
    bound, gap = several(call(answer, joint, posterior), 2, "two numbers")
    expect("with Q = p(c|x) the bound is the mutual information itself", bound, information)
    expect("and there is no gap", gap, 0.0)
