"""Chapter 03's exercises know right answers from plausible wrong ones."""

from __future__ import annotations

import math

import numpy as np
import torch
from tools import exercise_tests

from gan_course.distributions import GaussianMixture, normal
from gan_course.exercises.chapter_03 import SAMPLES, THICKNESS
from gan_course.theory import optimal_discriminator, value

RIGHT = [
    ("03.1", [5 / 6, 1 / 2, 1 / 2, 0]),
    ("03.1", (0.833, 0.5, 0.5, 0)),
    ("03.1", torch.tensor([5, 3, 2, 0]) / torch.tensor([6, 6, 4, 4])),
    ("03.2", lambda a, s: a + math.log(s / (1 - s))),
    ("03.2", lambda a, s: a + torch.logit(s)),
    ("03.2", lambda a, s: torch.logit(s * a.exp() / (s * a.exp() + 1 - s))),
    ("03.3", lambda D, alpha, beta: (D - beta) / (1 - alpha - D)),
    ("03.4", 0.0094),
    ("03.4", THICKNESS),
    ("03.4", np.float64(0.0094)),
    ("03.4", torch.tensor(0.0094)),
    ("03.5", 1102),
    ("03.5", 1060),
    ("03.5", np.int64(1150)),
]

WRONG = [
    ("03.1", "the other label", [1 / 6, 1 / 2, 1 / 2, 1], "counterfeit"),
    ("03.1", "verdicts", [1, 0, 0, 0]),
    ("03.1", "verdicts, ties real", [1, 1, 1, 0]),
    ("03.1", "verdicts, one tie real", [1, 0, 1, 0], "verdict"),
    ("03.1", "p", [0.5, 0.3, 0.2, 0]),
    ("03.1", "the ratio", [5, 1, 1, 0]),
    ("03.1", "a perfect note gets 1", [5 / 6, 1, 1, 0]),
    ("03.1", "the last one turned", [5 / 6, 3 / 6, 2 / 4, 4 / 4]),
    ("03.1", "three of four", [5 / 6, 1 / 2, 1 / 2]),
    ("03.1", "one number", 5 / 6),
    ("03.1", "words", "mostly the first"),
    ("03.2", "nothing to shift", lambda a, s: a),
    ("03.2", "the other sign", lambda a, s: a - torch.logit(s)),
    ("03.2", "1 − π forgotten", lambda a, s: a + s.log()),
    ("03.2", "counterfeits high", lambda a, s: -a, "as many real"),
    ("03.2", "times the odds", lambda a, s: a * s / (1 - s)),
    ("03.2", "the probability", lambda a, s: torch.sigmoid(a + torch.logit(s))),
    ("03.2", "always towards real", lambda a, s: a + torch.logit(s).abs()),
    ("03.2", "a number", 0.75),
    ("03.3", "the odds of D alone", lambda D, alpha, beta: D / (1 - D), "α = 0.1, β = 0"),
    ("03.3", "D* itself", lambda D, alpha, beta: (D - beta) / (1 - alpha - beta)),
    ("03.3", "upside down", lambda D, alpha, beta: (1 - alpha - D) / (D - beta)),
    ("03.3", "β forgotten", lambda D, alpha, beta: D / (1 - alpha - D)),
    ("03.3", "α forgotten", lambda D, alpha, beta: (D - beta) / (1 - D)),
    ("03.3", "a term dropped", lambda D, alpha, beta: D / ((1 - alpha) * (1 - D))),
    ("03.4", "the factor ½", 0.024, "factor ½"),
    ("03.4", "the variance", THICKNESS**2, "standard deviation"),
    ("03.4", "the other sign", -THICKNESS),
    ("03.4", "a little too thin", 0.0093),
    ("03.4", "a little too thick", 0.0095),
    ("03.4", "words", "thin"),
    ("03.5", "two weights", 602, "count the weights"),
    ("03.5", "h forgotten", 1500, "take off 2h"),
    ("03.5", "h = 1/2", 1000, "equal densities"),
    ("03.5", "h in place of 2h", 1301),
    ("03.5", "with the factor ½", 551),
    ("03.5", "double", 2204),
    ("03.5", "words", "a thousand"),
]

test_right_answers, test_wrong_answers, test_stubs = exercise_tests(RIGHT, WRONG)


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
