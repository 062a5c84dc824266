"""Specifications of the exercises of chapter 09, *Images*."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from gan_course.exercises import (
    Wrong,
    agrees,
    call,
    entries,
    expect,
    number,
    specification,
    whole_number,
)
from gan_course.metrics import density_coverage, frechet_distance, precision_recall


@specification("09.1")
def padding_that_doubles(answer: Callable[[int, int], int]) -> None:
    """2 − k + 2p, from (n − 1) 2 + k − 2p + output_padding = 2n."""
    cases = ((4, 1), (3, 1), (5, 2), (7, 3), (6, 2), (2, 0), (5, 1), (4, 2))
    found = [whole_number(call(answer, k, p), "a padding") for k, p in cases]
    sizes = torch.tensor([(1, k, p) for k, p in cases]).double()
    yours = torch.tensor(found).double()
    terms = torch.linalg.lstsq(sizes, yours.unsqueeze(1)).solution.flatten()
    if torch.allclose(sizes @ terms, yours, atol=1e-6):  # as good as any formula in k and p
        for term, mine, right in zip(("1", "k", "p"), terms.tolist(), (2, -1, 2), strict=True):
            if abs(mine - right) > 1e-6:
                has = "the constant is" if term == "1" else f"the factor of {term} is"
                sign = ", with the wrong sign" if abs(mine + right) < 1e-6 else ""
                raise Wrong(
                    f"In your formula {has} {round(mine, 6) + 0.0:g}{sign}. Solve (n − 1) 2 + k "
                    "− 2p + output_padding = 2n for the last: what is it there?"
                )
    for (k, p), padding in zip(cases, found, strict=True):
        expect(
            f"not right at k = {k}, p = {p}: (n − 1) 2 + k − 2p + output_padding has to be 2n, "
            "for every n",
            padding,
            2 - k + 2 * p,
            atol=0,
        )


def _points(seed: int, samples: int, scale: list[float]) -> Tensor:
    """Normal points whose axes differ and lean on one another."""
    random = torch.Generator().manual_seed(seed)
    mix = torch.eye(len(scale)) + 0.5 * torch.ones(len(scale), len(scale)).tril(-1)
    return torch.randn(samples, len(scale), generator=random) * torch.tensor(scale) @ mix


#: The four parts of 09.2, each with its factor.
_PARTS = {
    "the squared distance of the means": 1.0,
    "tr Σx": 1.0,
    "tr Σy": 1.0,
    "the trace of the root of the product": -2.0,
}


class _Moments:
    """What a Fréchet distance is made of, of one pair of samples."""

    def __init__(self, x: Tensor, y: Tensor) -> None:
        self.x, self.y = x.double(), y.double()
        self.of_x, self.of_y = self.x.T.cov(), self.y.T.cov()
        self.product = self.of_x @ self.of_y
        self.eigenvalues = torch.linalg.eigvals(self.product).real
        self.apart = self.distance(self.x.mean(dim=0), self.y.mean(dim=0))
        self.traces = (self.of_x.trace() + self.of_y.trace()).item()
        self.shared = self.eigenvalues.clamp(min=0).sqrt().sum().item()

    @staticmethod
    def distance(one: Tensor, other: Tensor) -> float:
        return (one - other).square().sum().item()

    def with_factors(self, factors: list[float]) -> float:
        """The four parts, each with a factor, added up."""
        parts = [self.apart, self.of_x.trace().item(), self.of_y.trace().item(), self.shared]
        return float(sum(f * part for f, part in zip(factors, parts, strict=True)))

    def mistaken(self) -> dict[str, float]:
        """What usual mistakes give, each by its hint."""
        x, y, rest = self.x, self.y, self.traces - 2 * self.shared
        n_x, n_y = (1 - 1 / len(one) for one in (x, y))
        biased = n_x * self.of_x.trace() + n_y * self.of_y.trace()
        means, sums = [one.mean(dim=0) for one in (x, y)], [one.sum(dim=0) for one in (x, y)]
        outer = self.apart + self.traces
        each = self.product.clamp(min=0).sqrt().trace().item()
        cut = self.eigenvalues.clamp(min=1).sqrt().sum().item()
        return {
            "Your covariances divide by n: here they divide by n − 1.": self.apart
            + (biased - 2 * math.sqrt(n_x * n_y) * self.shared).item(),
            "The product has lost its root: take that of its eigenvalues, then their sum.": outer
            - 2 * self.product.trace().item(),
            "That is the root of each number of the product. The matrix root is another matrix, "
            "whose trace is the sum of the roots of the eigenvalues.": outer - 2 * each,
            "Eigenvalues of the product are cut off at 1: the cut belongs at 0.": outer - 2 * cut,
            "The means are added: their difference counts.": self.distance(means[0], -means[1])
            + rest,
            "Of x you take a sum where its mean belongs.": self.distance(sums[0], means[1]) + rest,
            "Of y you take a sum where its mean belongs.": self.distance(means[0], sums[1]) + rest,
            "The mean of y is missing.": self.distance(means[0], 0 * means[1]) + rest,
            "The mean of x is missing.": self.distance(0 * means[0], means[1]) + rest,
        }


def _name_the_slip(found: list[float], pairs: list[_Moments]) -> None:
    """Say what is wrong with distances of some pairs, where one mistake explains all of them."""

    def explains(given: list[float]) -> bool:
        return all(
            abs(mine - other) < 1e-4 * (pair.apart + pair.traces)
            for mine, other, pair in zip(found, given, pairs, strict=True)
        )

    d, right = pairs[0].x.shape[1], list(_PARTS.values())
    for place, name in enumerate(_PARTS):
        for factor in (0.0, -1.0, 1.0, 2.0, -3.0, 1 / d, -2 / d):
            mine = [*right[:place], factor, *right[place + 1 :]]
            if mine != right and explains([pair.with_factors(mine) for pair in pairs]):
                raise Wrong(
                    "All three terms count, that of the means and both of the trace. In your "
                    f"answer {name} has the factor {factor:.3g}, and ought to have "
                    f"{right[place]:.3g}."
                )
    for hint in pairs[0].mistaken():
        if explains([pair.mistaken()[hint] for pair in pairs]):
            raise Wrong(hint)


@specification("09.2")
def frechet(answer: Callable[[Tensor, Tensor], Tensor]) -> None:
    """The library's distance, on samples whose covariances do not commute."""
    x, y = _points(0, 40, [1.0, 2.0, 0.5]), _points(1, 30, [2.0, 0.3, 1.0]) + 0.7
    turned = y @ torch.linalg.qr(_points(2, 3, [1.0, 1.0, 1.0])).Q

    def of(a: Tensor, b: Tensor) -> float:
        return number(call(answer, a, b), "a distance")

    moved = of(x, x + 3.0)
    if agrees(moved, 9.0 * len(x), atol=1e-2):
        raise Wrong("Your means are over the features: dim = 0 counts the samples.")
    pairs = {"x and y": (x, y), "y and x": (y, x), "turned axes": (x, turned)}
    found = {name: of(*pair) for name, pair in pairs.items()}
    truth = {name: frechet_distance(a[None], b[None]).item() for name, (a, b) in pairs.items()}
    if not all(agrees(found[name], truth[name], atol=2e-3 * truth[name]) for name in pairs):
        _name_the_slip(list(found.values()), [_Moments(*pair) for pair in pairs.values()])
    expect(
        "the same points moved by 3 in each of three dimensions: the root of the product of equal "
        "covariances cancels them, and the squared distance of the means is left",
        moved,
        27.0,
        atol=1e-2,
    )
    for name in pairs:
        expect(
            f"{name}: all three terms count. Covariances divide by n − 1; the matrix root is that "
            "of the product, and no root of single numbers",
            found[name],
            truth[name],
            atol=2e-3 * truth[name],
        )
    for slope in torch.linspace(0.3, 3.0, 16).tolist():  # about half of them round below 0
        line = torch.cat([x[:, :1], slope * x[:, :1]], dim=1)
        on_a_line = frechet_distance(line[None], y[None, :, :2]).item()
        mine = of(line, y[:, :2])
        if math.isnan(mine):
            raise Wrong(
                "Features on one line have an eigenvalue 0, which rounding makes negative, and "
                "you take its root: cut it off at 0 before."
            )
        expect(
            "features on one line have an eigenvalue 0, which rounding makes negative: its root "
            "is 0",
            mine,
            on_a_line,
            atol=2e-2 * on_a_line,
        )


@specification("09.3")
def floor_of_sizes(answer: Callable[[int, int, int, float], float]) -> None:
    """σ² d (d + 5) / 4 × (1/n + 1/m), to first order: n − 1 in place of n is right, too."""
    endless = 10**9

    def of(d: int, n: int, m: int, variance: float) -> float:
        return number(call(answer, d, n, m, variance), "a floor")

    base = of(8, 500, 500, 1.0)
    if base and math.isfinite(base):
        changes = {
            "at three times the variance": (of(8, 500, 500, 3.0), 3.0),
            "with 16 features in place of 8": (of(16, 500, 500, 1.0), 16 * 21 / (8 * 13)),
            "with twice as many of both": (of(8, 1_000, 1_000, 1.0), 0.5),
            "where n is endless": (of(8, endless, 500, 1.0), 0.5),
            "where m is endless": (of(8, 500, endless, 1.0), 0.5),
        }
        for what, (changed, right) in changes.items():
            if abs(changed / base - right) > 0.015 * right:
                raise Wrong(
                    f"Look at this factor: {what}, your floor is {changed / base:.3g} times what "
                    f"it was. It ought to be {right:.3g} times: σ² d (d + 5) / 2n is what is left "
                    "for n = m, and of each 2/n one 1/n comes from x, one 1/m from y."
                )
        right = 8 * 13 / (2 * 500)
        if abs(base - right) > 0.015 * right:
            raise Wrong(
                f"All sizes are in their places, but for n = m your floor is {base / right:.3g} "
                "times σ² d (d + 5) / 2n: look at the number in front."
            )
    elif not base:
        raise Wrong("For n = m your floor is 0: both samples add to it.")
    for d, n, m, variance in ((8, 500, 500, 1.0), (64, 200, 800, 1.0), (16, 100, endless, 3.0)):
        truth = variance * d * (d + 5) / 4 * (1 / n + 1 / m)
        expect(
            f"not right at d = {d}, n = {n}, m = {m}, variance = {variance:g}: with n = m it is "
            "σ² d (d + 5) / 2n; each variance is now a sum of two, one over n and one over m",
            of(d, n, m, variance),
            truth,
            atol=0.015 * truth,
        )


def _miscounted(generated: Tensor, real: Tensor, k: int) -> dict[str, float]:
    """What usual mistakes give for a coverage, each by its hint."""
    own, apart = torch.cdist(real, real), torch.cdist(real, generated)
    near, reach = own.sort(dim=1).values, own.argsort(dim=1)
    nearest, farthest = apart.amin(dim=1), apart.amax(dim=1)
    of_generated = torch.cdist(generated, generated).sort(dim=1).values[:, k]
    both = precision_recall(generated[None], real[None], k)
    whose = "Whose balls are they, and of whom is it the share?"
    right = nearest <= near[:, k]
    inside = {
        "Each point is its own first neighbour in your count: the k-th other one is the "
        "(k + 1)-th.": nearest <= near[:, k - 1],
        "Your balls reach one neighbour too far.": nearest <= near[:, k + 1],
        "No ball of yours counts. Has it the radius 0, that of the point itself? Or do you ask for "
        "balls with all generated points, where one is enough?": farthest <= near[:, k],
        "Those are balls around generated points: coverage has them around real ones.": (
            apart.amin(dim=0) <= of_generated
        ),
        "Your radius is a place and no distance: kthvalue returns both, values first.": nearest
        <= reach[:, k],
        "Those are the balls that hold *no* generated point.": ~right,
    }
    shares = {hint: balls.double().mean().item() for hint, balls in inside.items()}
    return shares | {
        f"That is precision. {whose}": both.precision.item(),
        f"That is recall. {whose}": both.recall.item(),
        "That is a number of balls: coverage is the share of all.": right.double().sum().item(),
        "A share is never negative: look at the sign.": -right.double().mean().item(),
    }


@specification("09.4")
def coverage(answer: Callable[[Tensor, Tensor, int], Tensor]) -> None:
    """The library's coverage; and what each mix-up gives instead is named."""
    real, generated = _points(3, 60, [1.0, 1.0]), 0.4 * _points(4, 25, [1.0, 1.0]) + 0.8
    counts = 1, 2, 3, 4, 5
    found = [number(call(answer, generated, real, k), "a coverage") for k in counts]
    truth = [density_coverage(generated[None], real[None], k).coverage.item() for k in counts]
    if not agrees(found, truth):
        mistakes = [_miscounted(generated, real, k) for k in counts]
        for hint in mistakes[0]:  # five numbers, so that none fits by chance
            if agrees(found, [each[hint] for each in mistakes]):
                raise Wrong(hint)
    expect(
        "not right for k = 1 to 5: the balls stand around the real points, and the point itself "
        "is not one of its k neighbours; count the balls that hold a generated point",
        found,
        truth,
    )
    edge = torch.tensor([[0.0], [1.0], [3.0]])
    at_the_rim = number(call(answer, torch.tensor([[-1.0]]), edge, 1), "a coverage")
    if agrees(at_the_rim, 0.0):
        raise Wrong("You leave out a generated point exactly at the rim of a ball: ≤, not <.")
    expect(
        "a generated point exactly at the rim of a ball lies in it: ≤, not <",
        at_the_rim,
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
