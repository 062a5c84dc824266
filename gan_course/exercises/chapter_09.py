"""Specifications of the exercises of chapter 09, *Images*."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from gan_course.exercises import Wrong, call, entries, expect, number, specification, whole_number
from gan_course.metrics import density_coverage, frechet_distance, precision_recall


@specification("09.1")
def padding_that_doubles(answer: Callable[[int, int], int]) -> None:
    """2 − k + 2p, from (n − 1) 2 + k − 2p + output_padding = 2n."""
    for k, p in ((4, 1), (3, 1), (5, 2), (7, 3), (6, 2), (2, 0), (5, 1), (4, 2)):
        found = whole_number(call(answer, k, p), "a padding")
        expect(
            f"not right at k = {k}, p = {p}: (n − 1) 2 + k − 2p + output_padding has to be 2n, "
            "for every n",
            found,
            2 - k + 2 * p,
            atol=0,
        )


def _points(seed: int, samples: int, scale: list[float]) -> Tensor:
    """Normal points whose axes differ and lean on one another."""
    random = torch.Generator().manual_seed(seed)
    mix = torch.eye(len(scale)) + 0.5 * torch.ones(len(scale), len(scale)).tril(-1)
    return torch.randn(samples, len(scale), generator=random) * torch.tensor(scale) @ mix


@specification("09.2")
def frechet(answer: Callable[[Tensor, Tensor], Tensor]) -> None:
    """The library's distance, on samples whose covariances do not commute."""
    x, y = _points(0, 40, [1.0, 2.0, 0.5]), _points(1, 30, [2.0, 0.3, 1.0]) + 0.7
    turned = y @ torch.linalg.qr(_points(2, 3, [1.0, 1.0, 1.0])).Q
    far = x + 3.0
    expect(
        "the same points moved by 3 in each of three dimensions: the root of the product of equal "
        "covariances cancels them, and the squared distance of the means is left",
        number(call(answer, x, far), "a distance"),
        27.0,
        atol=1e-2,
    )
    for name, a, b in (("x and y", x, y), ("y and x", y, x), ("turned axes", x, turned)):
        truth = frechet_distance(a.unsqueeze(0), b.unsqueeze(0)).item()
        expect(
            f"{name}: all three terms count. Covariances divide by n − 1; the matrix root is that "
            "of the product, and no root of single numbers",
            number(call(answer, a, b), "a distance"),
            truth,
            atol=2e-3 * truth,
        )
    for slope in torch.linspace(0.3, 3.0, 16).tolist():  # about half of them round below 0
        line = torch.cat([x[:, :1], slope * x[:, :1]], dim=1)
        truth = frechet_distance(line.unsqueeze(0), y[:, :2].unsqueeze(0)).item()
        expect(
            "features on one line have an eigenvalue 0, which rounding makes negative: its root "
            "is 0",
            number(call(answer, line, y[:, :2]), "a distance"),
            truth,
            atol=2e-2 * truth,
        )


@specification("09.3")
def floor_of_sizes(answer: Callable[[int, int, int, float], float]) -> None:
    """σ² d (d + 5) / 4 × (1/n + 1/m), to first order: n − 1 in place of n is right, too."""
    for d, n, m, variance in ((8, 500, 500, 1.0), (64, 200, 800, 1.0), (16, 100, 10**9, 3.0)):
        truth = variance * d * (d + 5) / 4 * (1 / n + 1 / m)
        expect(
            f"not right at d = {d}, n = {n}, m = {m}, variance = {variance:g}: with n = m it is "
            "σ² d (d + 5) / 2n; each variance is now a sum of two, one over n and one over m",
            number(call(answer, d, n, m, variance), "a floor"),
            truth,
            atol=0.015 * truth,
        )


@specification("09.4")
def coverage(answer: Callable[[Tensor, Tensor, int], Tensor]) -> None:
    """The library's coverage; and what each mix-up gives instead is named."""
    real, generated = _points(3, 60, [1.0, 1.0]), 0.4 * _points(4, 25, [1.0, 1.0]) + 0.8
    for k in (1, 3, 5):
        truth = density_coverage(generated.unsqueeze(0), real.unsqueeze(0), k).coverage.item()
        found = number(call(answer, generated, real, k), "a coverage")
        both = precision_recall(generated.unsqueeze(0), real.unsqueeze(0), k)
        for name, other in (("precision", both.precision), ("recall", both.recall)):
            if abs(found - other.item()) < 1e-6 and abs(found - truth) > 1e-6:
                raise Wrong(f"that is {name}. Whose balls are they, and of whom is it the share?")
        expect(
            f"not right at k = {k}: the balls stand around the real points, and the point itself "
            "is not one of its k neighbours; count the balls that hold a generated point",
            found,
            truth,
        )
    edge = torch.tensor([[0.0], [1.0], [3.0]])
    expect(
        "a generated point exactly at the rim of a ball lies in it: ≤, not <",
        number(call(answer, torch.tensor([[-1.0]]), edge, 1), "a coverage"),
        1 / 3,
    )


DIAGNOSIS = {
    "A": "nothing",
    "B": "flattery",
    "C": "half of the classes",
    "D": "photocopier",
    "E": "blur",
}
_HINTS = {
    "A": "every score is one that real digits have",
    "B": "the distance is perfect, and hardly any picture lies among real ones",
    "C": "each picture is fine; what about all of them together?",
    "D": "every score is perfect but one, and that one asks a different question",
    "E": "no picture lies among real ones, and the distance knows it",
}


@specification("09.5")
def diagnosis(answer: dict[str, object]) -> None:
    """A row each, by the scores that only this fault has."""
    filled = entries(answer, DIAGNOSIS)
    for row, fault in DIAGNOSIS.items():
        said = str(filled[row]).strip().lower()
        if said not in DIAGNOSIS.values():
            raise Wrong(f"{row}: answer with one of {', '.join(sorted(DIAGNOSIS.values()))}")
        if said != fault:
            raise Wrong(f"{row} is not “{said}”: {_HINTS[row]}")
