"""Specifications of the exercises of chapter 10, *Conditioning and inference*."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gan_course.exercises import (
    Open,
    Wrong,
    agrees,
    call,
    expect,
    number,
    several,
    specification,
    truth,
)

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


#: Where the pairs lie that 10.2 counts, and what has to be added there.
_CELLS = {
    "the data in the right cells": "½ · K · (1/K) · log of 1/K over the mean of 1/K and 1/K²",
    "the generator in the right cells": "½ · K · (1/K²) · log of 1/K² over the mean of both",
    "the other cells, where the generator is alone": "½ · (K² − K) · (1/K²) · log 2",
}


def _of_the_table(K: int) -> dict[str, float]:
    """What each part of the K × K table adds to the JS, in the order of :data:`_CELLS`."""
    p, q = 1 / K, 1 / K**2  # mass in each of the K right cells; q is in K² − K others, too
    middle = (p + q) / 2
    of_p, of_q = (K * mass * math.log(mass / middle) / 2 for mass in (p, q))
    return dict(zip(_CELLS, (of_p, of_q, (K * K - K) * q * math.log(2) / 2), strict=True))


def _name_the_cells(answer: Callable[[int], float]) -> None:
    """Say in which cells the count is wrong, where it is right in all others."""
    sizes = (2, 3, 4, 7, 10, 30, 100, 1_000)
    yours = np.array([number(call(answer, K), "a divergence") for K in sizes])
    parts = {name: np.array([_of_the_table(K)[name] for K in sizes]) for name in _CELLS}
    wrong = yours - sum(parts.values())
    factor, K = yours[0] / (yours - wrong)[0], np.array(sizes, dtype=float)
    if np.ptp(wrong) < 1e-9 or np.allclose(yours, factor * (yours - wrong)):
        return  # off by the same, or by a factor, everywhere: `expect` says so
    if np.ptp(wrong * K) < 1e-8:
        raise Wrong(
            f"Your sum is off by {wrong[0] * K[0]:.3g}/K: the generator's part in the right cells "
            "and that of the other cells have such a term. Look at their factors."
        )
    ones, logs = np.ones_like(K), [np.log(K + shift) for shift in (-1, 0, 1, 2)]
    shapes = {  # narrow ones first: what a slip there can add
        "the other cells, where the generator is alone": ([ones, 1 / K], [1 / (K - 1)]),
        "the data in the right cells": ([ones, *logs], []),
        "the generator in the right cells": (
            [ones / K, *[log / K for log in logs]],
            [K, *[K * log for log in logs], ones, *logs],
        ),
    }
    for name, (near, far) in shapes.items():
        for shape in (near, near + far):
            terms = np.stack(shape, axis=1)
            scale = np.abs(terms).max(axis=0)
            factors = np.linalg.lstsq(terms / scale, wrong, rcond=None)[0]
            left = np.abs(terms / scale @ factors - wrong).max()
            if left < 1e-8 * (1 + np.abs(wrong).max()) and len(shape) < len(sizes) - 1:
                raise Wrong(
                    f"One part of your sum is wrong, that of {name}: for K = 10 it adds "
                    f"{parts[name][4] + wrong[4]:.3g} and ought to add {parts[name][4]:.3g}, "
                    f"{_CELLS[name]}."
                )
    end = number(call(answer, 10**9), "a divergence")
    if abs(end - math.log(2)) > 1e-4:
        raise Wrong(
            f"With endlessly many classes the deaf are never right: JS tends to log 2. Yours "
            f"tends to {end:.3g}."
        )


@specification("10.2")
def js_of_the_deaf(answer: Callable[[int], float]) -> None:
    """JS between p(x, y) and p(x) π(y), counted on the K × K table of classes and labels."""
    sizes = (2, 3, 10, 1_000)
    exact = [sum(_of_the_table(K).values()) for K in sizes]
    found = [number(call(answer, K), "a divergence") for K in sizes]
    if not agrees(found, exact, atol=1e-6):
        _name_the_cells(answer)
    expect(
        f"not right for K = {', '.join(map(str, sizes))}: make a K × K table. The data have 1/K "
        "on each cell of the diagonal, the generator 1/K² on every cell",
        found,
        exact,
        atol=1e-6,
    )


def _name_the_term(
    answer: Callable[..., Tensor], phi: Tensor, y: Tensor, v: Tensor, w: Tensor
) -> None:
    """Say which term has the wrong factor, or what stands for v[y] · φ."""
    ones, biases = torch.ones(len(y)), (0.7, -1.3)
    rows = [call(answer, phi, y, v, w, torch.tensor(b)) for b in biases]
    if any(not isinstance(row, Tensor) or row.shape != y.shape for row in rows):
        return
    yours = torch.stack(rows).detach().double()

    def factors(of_label: Tensor) -> Tensor | None:
        """Of v[y] · φ, w · φ and b, if all of the answer is made of them."""
        parts = [torch.stack([of_label, phi @ w, b * ones]) for b in biases]
        terms = torch.cat(parts, dim=1).T.double()
        found = torch.linalg.lstsq(terms, yours.flatten().unsqueeze(1)).solution
        return found.flatten() if torch.allclose(terms @ found, yours.view(-1, 1)) else None

    found = factors((phi * v[y]).sum(dim=1))
    if found is not None:
        for term, factor in zip(("v[y] · φ", "w · φ", "b"), found.tolist(), strict=True):
            if abs(factor - 1) > 1e-4:
                raise Wrong(f"The term {term} has the factor {factor:.3g} in your logits, not 1.")
    others = {
        "The label's part divides features by v[y], where it multiplies.": (phi / v[y]).sum(1),
        "The features are added up without v[y]: the label chooses no direction.": phi.sum(dim=1),
        "The row v[y] is added up without the features: it says nothing of x.": v[y].sum(dim=1),
        "You take the first rows of v: each sample has its own class's row v[y].": (phi @ v[0]),
        "You add up all classes: only the row v[y] counts.": (phi @ v.T).sum(dim=1),
    }
    for hint, part in others.items():
        if factors(part) is not None:
            raise Wrong(hint)


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
    _name_the_term(answer, phi, y, v, w)
    for b in (0.7, -1.3):
        expect(
            "each sample has its own class's row v[y]; multiply it with the features and add up, "
            "then add ψ, w · φ + b",
            call(answer, phi, y, v, w, torch.tensor(b)),
            np.array(each) + b,
            atol=1e-4,
        )


def _name_the_end(answer: Callable[[float], float]) -> None:
    """Say at which end a mean is wrong: classes far apart, or nearly one."""
    far = number(call(answer, 6.0), "a mean")
    near, start = number(call(answer, 1e-4), "a mean"), math.sqrt(2 / math.pi)
    for m, yours, right, why in (
        (6, far, 6.0, "classes far apart have nothing that is cut off, and the mean is m"),
        (
            0,
            near,
            start,
            "the classes are one, and this one gets the upper half of a standard normal, whose "
            f"mean is √(2/π) = {start:.4f}",
        ),
    ):
        if abs(yours - right) > 2e-3:
            raise Wrong(
                f"At m = {m} {why}; yours is {yours:.4g}. Look at the term that counts there, the "
                + ("one with m." if m else "one with the density.")
            )
    middle = number(call(answer, 1.0), "a mean")
    both = start * math.exp(-0.5) + math.erf(math.sqrt(0.5))
    raise Wrong(
        "Both ends are right, m = 0 and m far out; what lies between is not: at m = 1 yours is "
        f"{middle:.4g}, and it is {both:.4g}. Look at what is inside of the exponential and of Φ: "
        "the widths there are 1."
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
    found = [number(call(answer, m), "a mean") for m in means]
    if not agrees(found, exact):
        _name_the_end(answer)
    expect(
        f"not right at m = {', '.join(map(str, means))}: as λ → 0 the mixture is the data's, and "
        "this class gets all of it that lies above 0",
        found,
        exact,
        atol=1e-5,
    )


def _name_the_sum(bound: object, gap: object, joint: Tensor, Q: Tensor) -> None:
    """Say which usual mistake gives this bound, or this gap."""
    H, H_x = (torch.special.entr(joint.sum(dim=dim)).sum() for dim in (1, 0))
    score, posterior = (joint * Q.log()).sum(), joint / joint.sum(dim=0)
    cells, codes = joint.numel(), len(joint)
    divergence = (joint * (posterior / Q).log()).sum()
    backwards = (joint.sum(dim=0) * Q * (Q / posterior).log()).sum()
    of_bound = {
        "The entropy H(c) is missing: E log Q alone is negative, and no information.": score,
        "That is H(c) alone: what Q says of the code is missing.": H,
        "The entropy counts, with a plus: H(c) + E log Q.": score - H,
        "E log Q has the wrong sign: it is negative, and is added.": H - score,
        "That is the entropy of the pictures: the code's is asked, over the rows.": H_x + score,
        "Your entropy is a mean over the codes: it is a sum.": H / codes + score,
        "E log Q is weighed by the pairs' probabilities: a mean of all cells is none.": H
        + score / cells,
        "log Q is added up without the pairs' probabilities.": H + Q.log().sum(),
        "That is the sum of the probabilities, with no log Q in it.": H + joint.sum(),
        "Q has lost the log, or the log its weights: p(c, x) multiplies log Q.": H
        + (joint / Q.log()).sum(),
    }
    of_gap = {
        "The gap has the wrong sign: KL is not negative.": -divergence,
        "The KL is turned round: p(c|x) stands first.": backwards,
        "The gap is a mean of all cells: each counts with its probability.": divergence / cells,
        "In the KL stands p(c, x) where p(c|x) belongs.": (joint * (joint / Q).log()).sum(),
        "p(c|x) is p(c, x) over p(x), the sum of its column.": torch.xlogy(
            joint, joint / joint.mean(dim=0) / Q
        ).sum(),
        "p(c|x) is p(c, x) divided by p(x), not multiplied.": torch.xlogy(
            joint, joint * joint.sum(dim=0) / Q
        ).sum(),
        "The KL compares p(c|x) with Q: their ratio, not their product.": torch.xlogy(
            joint, posterior * Q
        ).sum(),
        "Q is missing in the KL.": torch.xlogy(joint, posterior).sum(),
    }
    for value, mistakes in ((bound, of_bound), (gap, of_gap)):
        for hint, mistaken in mistakes.items():
            if agrees(value, float(mistaken)):
                raise Wrong(hint)


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
    _name_the_sum(bound, gap, joint, Q)
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
