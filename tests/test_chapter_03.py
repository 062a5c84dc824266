"""Chapter 03's exercises accept their solutions and reject plausible wrong answers."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from gan_course.distributions import GaussianMixture, normal
from gan_course.exercises import Wrong, exercise
from gan_course.exercises.chapter_03 import SAMPLES, THICKNESS
from gan_course.theory import optimal_discriminator, value

SOLUTIONS: list[tuple[str, Any]] = [
    ("03.1", [5 / 6, 1 / 2, 1 / 2, 0]),
    ("03.1", (0.833, 0.5, 0.5, 0)),
    ("03.1", torch.tensor([5, 3, 2, 0]) / torch.tensor([6, 6, 4, 4])),
    ("03.2", lambda a, s: a + math.log(s / (1 - s))),
    ("03.2", lambda a, s: a + torch.logit(s)),
    ("03.2", lambda a, s: torch.logit(s * a.exp() / (s * a.exp() + 1 - s))),
    ("03.3", lambda D, alpha, beta: (D - beta) / (1 - alpha - D)),
    ("03.4", 0.0094),
    ("03.4", THICKNESS),
    ("03.5", 1102),
    ("03.5", 1000),
    ("03.5", 1200),
]

WRONG: list[tuple[str, Any]] = [
    ("03.1", [1 / 6, 1 / 2, 1 / 2, 1]),  # the other label
    ("03.1", [1, 0, 0, 0]),  # verdicts
    ("03.1", [1, 1, 1, 0]),
    ("03.1", [0.5, 0.3, 0.2, 0]),  # p
    ("03.1", [5, 1, 1, 0]),  # the ratio
    ("03.1", [5 / 6, 1, 1, 0]),  # "a perfect note gets 1"
    ("03.1", [5 / 6, 3 / 6, 2 / 4, 4 / 4]),
    ("03.1", [5 / 6, 1 / 2, 1 / 2]),
    ("03.1", 5 / 6),
    ("03.1", "mostly the first"),
    ("03.2", lambda a, s: a),
    ("03.2", lambda a, s: a - torch.logit(s)),
    ("03.2", lambda a, s: a + s.log()),  # 1 − π forgotten
    ("03.2", lambda a, s: a * s / (1 - s)),
    ("03.2", lambda a, s: torch.sigmoid(a + torch.logit(s))),  # the probability
    ("03.2", lambda a, s: a + torch.logit(s).abs()),
    ("03.2", 0.75),
    ("03.3", lambda D, alpha, beta: D / (1 - D)),
    ("03.3", lambda D, alpha, beta: (D - beta) / (1 - alpha - beta)),  # D* itself
    ("03.3", lambda D, alpha, beta: (1 - alpha - D) / (D - beta)),
    ("03.3", lambda D, alpha, beta: D / (1 - alpha - D)),
    ("03.3", lambda D, alpha, beta: (D - beta) / (1 - D)),
    ("03.3", lambda D, alpha, beta: D / ((1 - alpha) * (1 - D))),  # a term dropped
    ("03.4", 0.024),  # the factor ½
    ("03.4", THICKNESS**2),  # the variance
    ("03.4", -THICKNESS),
    ("03.4", 0.0090),
    ("03.4", 0.0098),
    ("03.4", "thin"),
    ("03.5", 602),  # two weights
    ("03.5", 1500),  # h forgotten
    ("03.5", 1301),  # h in place of 2h
    ("03.5", 551),  # with the factor ½
    ("03.5", 2204),
    ("03.5", "a thousand"),
]


@pytest.mark.parametrize(("key", "answer"), SOLUTIONS)
def test_solutions_are_right(key: str, answer: Any, capsys: pytest.CaptureFixture[str]) -> None:
    exercise(key, answer)
    assert capsys.readouterr().out == f"✓ Exercise {key}: right.\n"


@pytest.mark.parametrize(("key", "answer"), WRONG)
def test_wrong_answers_get_a_hint(key: str, answer: Any) -> None:
    with pytest.raises(Wrong, match=r".{15}"):
        exercise(key, answer)


@pytest.mark.parametrize(
    ("key", "answer", "hint"),
    [
        ("03.1", [1 / 6, 1 / 2, 1 / 2, 1], "counterfeit"),
        ("03.1", [1, 0, 1, 0], "verdict"),
        ("03.2", lambda a, s: -a, "as many real"),
        ("03.3", lambda D, alpha, beta: D / (1 - D), "α = 0.1, β = 0"),
        ("03.5", 602, "count the weights"),
    ],
)
def test_the_hint_fits_the_mistake(key: str, answer: Any, hint: str) -> None:
    with pytest.raises(Wrong, match=hint):
        exercise(key, answer)


def test_the_thickness_is_where_the_value_passes() -> None:
    p = normal(1)
    for factor, side in ((0.999, 1), (1.001, -1)):
        q = GaussianMixture([0.0], factor * THICKNESS)
        assert side * (value(optimal_discriminator(p, q), p, q) + 0.1) > 0


def test_the_number_of_samples_is_the_one_that_simulation_needs() -> None:
    """Mean excess of logistic regressions on 1,000 data sets of that size, in float64."""
    random = torch.Generator().manual_seed(0)
    n, total = int(SAMPLES), []
    axis = torch.linspace(-6, 7, 66, dtype=torch.float64)
    grid = _features(torch.cartesian_prod(axis, axis))
    p = torch.exp(-(grid[:, 1:] ** 2).sum(dim=1) / 2) / (2 * math.pi)
    q = p * torch.exp(grid[:, 1] - 0.5)
    for _ in range(20):
        points = torch.randn(50, 2 * n, 2, generator=random, dtype=torch.float64)
        points[:, n:, 0] += 1
        a = _fitted(points, n) @ grid.T
        best = 0.5 - grid[:, 1]
        d = torch.sigmoid(best)
        soft = torch.nn.functional.softplus
        kl = d * (soft(-a) - soft(-best)) + (1 - d) * (soft(a) - soft(best))
        total.append(((p + q) * kl).sum(dim=1) * (axis[1] - axis[0]) ** 2)
    assert abs(float(torch.cat(total).mean()) - 1e-3) < 1e-4


def _features(points: torch.Tensor) -> torch.Tensor:
    return torch.cat([torch.ones_like(points[..., :1]), points], dim=-1)


def _fitted(points: torch.Tensor, n: int) -> torch.Tensor:
    """Logistic regression by Newton's method; the first n of each data set are real."""
    phi = _features(points)
    label = (torch.arange(2 * n) < n).double()[:, None]
    w = torch.zeros(len(points), 3, 1, dtype=torch.float64)
    for _ in range(8):
        d = torch.sigmoid(phi @ w)
        w = w + torch.linalg.solve(phi.mT @ (d * (1 - d) * phi), phi.mT @ (label - d))
    return w[..., 0]


@pytest.mark.parametrize(
    ("key", "answer"), [("03.1", ...), ("03.2", lambda a, s: ...), ("03.3", lambda *_: None)]
)
def test_what_is_not_written_yet_is_open(
    key: str, answer: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    exercise(key, answer)
    assert "open" in capsys.readouterr().out
