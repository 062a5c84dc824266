"""Chapter 01's exercises accept their solutions and reject plausible wrong answers."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from gan_course.exercises import Wrong, exercise
from gan_course.exercises.chapter_01 import _held_out_likelihood

RIGHT = {"walk": "tractable", "relax": "approximate", "paint": "implicit", "cause": "approximate"}


def laplace(x: Tensor) -> tuple[Tensor, Tensor]:
    return x.median(), (x - x.median()).abs().mean()


def network(
    slope: Callable[[Tensor], Tensor] = torch.sigmoid,
    bend: Callable[[Tensor], Tensor] = F.softplus,
    sign: float = 1.0,
    mean: bool = True,
) -> Callable[..., Any]:
    """The walk back through one hidden layer, with a place for each usual mistake."""

    def backward(x: Tensor, y: Tensor, *weights: Tensor) -> tuple[Tensor, ...]:
        W1, b1, w2, b2 = weights
        u = x @ W1 + b1
        h = bend(u)
        d_a = sign * (torch.sigmoid(h @ w2 + b2) - y) / (len(x) if mean else 1)
        d_u = d_a @ w2.T * slope(u)
        return x.T @ d_u, d_u.sum(0, keepdim=True), h.T @ d_a, d_a.sum(0, keepdim=True)

    return backward


def scan() -> float:
    return max((s / 100 for s in range(5, 101)), key=_held_out_likelihood)


SOLUTIONS: list[tuple[str, Any]] = [
    ("01.1", RIGHT),
    ("01.2", math.log(100)),
    ("01.2", 4.605),
    ("01.2", torch.tensor(4.605)),
    ("01.3", laplace),
    ("01.4", network()),
]

WRONG: list[tuple[str, Any]] = [
    ("01.1", RIGHT | {"cause": "tractable"}),  # the formula is there, the integral is not
    ("01.1", RIGHT | {"cause": "implicit"}),
    ("01.1", RIGHT | {"relax": "implicit"}),
    ("01.1", RIGHT | {"walk": "approximate"}),
    ("01.1", RIGHT | {"paint": "approximate"}),
    ("01.1", RIGHT | {"paint": "GAN"}),
    ("01.1", {"walk": "tractable"}),
    ("01.1", "implicit"),
    ("01.2", math.log(99)),
    ("01.2", 2.0),  # to base 10
    ("01.2", math.log2(100)),
    ("01.2", -math.log(0.99)),
    ("01.2", -math.log(100)),
    ("01.2", 0.99),
    ("01.2", "much"),
    ("01.3", lambda x: (x.mean(), (x - x.mean()).abs().mean())),
    ("01.3", lambda x: (x.median(), x.std())),
    ("01.3", lambda x: (x.median(), (x - x.median()).square().mean().sqrt())),
    ("01.3", lambda x: (x.median(), (x - x.median()).abs().sum() / (len(x) - 1))),
    ("01.3", lambda x: (x.median(), (x - x.median()).abs().median())),
    ("01.3", lambda x: x.median()),
    ("01.4", network(slope=lambda u: 1 - F.softplus(u) ** 2)),  # the slope of tanh
    ("01.4", network(slope=lambda u: torch.sigmoid(F.softplus(u)))),  # taken after the bend
    ("01.4", network(slope=torch.ones_like)),
    ("01.4", network(bend=torch.relu)),
    ("01.4", network(sign=-1)),
    ("01.4", network(mean=False)),
    ("01.4", lambda *weights: network()(*weights)[::-1]),
    ("01.4", lambda *weights: network()(*weights)[:2]),
    ("01.5", 0.05),  # the training digits' choice
    ("01.5", 1.0),
    ("01.5", 0.0),
    ("01.5", 0.2),
    ("01.5", "0.3 or so"),
]


@pytest.mark.parametrize(("key", "answer"), SOLUTIONS)
def test_solutions_are_right(key: str, answer: Any, capsys: pytest.CaptureFixture[str]) -> None:
    exercise(key, answer)
    assert capsys.readouterr().out == f"✓ Exercise {key}: right.\n"


@pytest.mark.parametrize(("key", "answer"), WRONG)
def test_wrong_answers_get_a_hint(key: str, answer: Any) -> None:
    with pytest.raises(Wrong, match=r".{15}"):
        exercise(key, answer)


def test_the_best_smudge_is_inside_and_only_its_neighbourhood_is_right() -> None:
    best = scan()
    exercise("01.5", best)
    for other in (best - 0.02, best + 0.02):
        with pytest.raises(Wrong):
            exercise("01.5", other)


@pytest.mark.parametrize(
    ("key", "answer"),
    [("01.1", ...), ("01.2", ...), ("01.3", lambda x: ...), ("01.4", lambda *_: None)],
)
def test_what_is_not_written_yet_is_open(
    key: str, answer: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    exercise(key, answer)
    assert "open" in capsys.readouterr().out
