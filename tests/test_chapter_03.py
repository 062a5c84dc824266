"""Chapter 03's exercises know right answers from plausible wrong ones."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from tools import exercise_tests

from gan_course.distributions import GaussianMixture, normal
from gan_course.exercises import Wrong, exercise
from gan_course.exercises.chapter_03 import RIDGE_PRICES, THICKNESS
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
    ("03.5", RIDGE_PRICES),
    ("03.5", {ridge: 1.1 * price for ridge, price in RIDGE_PRICES.items()}),
    ("03.5", {np.float32(r): torch.tensor(v) for r, v in RIDGE_PRICES.items()}),
    ("03.5", {Fraction(1, 10**i): np.float64(RIDGE_PRICES[10.0**-i]) for i in range(5)}),
]

# The mean excess by hand, of another solver: what a reader might hand in.
OWN_SAMPLES = {1e-4: -0.894, 1e-3: -0.905, 1e-2: -0.924, 1e-1: -1.013, 1.0: -1.250}
MEDIANS = {1e-4: 0.0408, 1e-3: 0.0226, 1e-2: 0.0152, 1e-1: 0.0875, 1.0: 0.3207}

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
    ("03.2", "linear in π", lambda a, s: a + (2 * s - 1) * 1.3862943611198906 / 0.6, "0.05"),
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
    ("03.5", "V on its own samples", OWN_SAMPLES, "that is a V"),
    ("03.5", "the median", MEDIANS, "median"),
    ("03.5", "with the factor ½", {r: v / 2 for r, v in RIDGE_PRICES.items()}, "factor ½"),
    ("03.5", "double", {r: 2 * v for r, v in RIDGE_PRICES.items()}, "once"),
    ("03.5", "one ridge", {0.01: 0.0173}, "0.0001 is missing"),
    ("03.5", "no ridge at all", dict.fromkeys(RIDGE_PRICES, 0.0478), "ridge 0.001"),
    (
        "03.5",
        "upside down",
        dict(zip(RIDGE_PRICES, reversed(RIDGE_PRICES.values()), strict=True)),
        "ridge 0.0001",
    ),
    ("03.5", "the best of them", 0.01, "dictionary"),
    ("03.5", "words", {0.01: "small"}, "one number"),
]

test_right_answers, test_wrong_answers, test_stubs = exercise_tests(RIGHT, WRONG)


def test_the_thickness_is_where_the_value_passes() -> None:
    p = normal(1)
    for factor, side in ((0.999, 1), (1.001, -1)):
        q = GaussianMixture([0.0], factor * THICKNESS)
        assert side * (value(optimal_discriminator(p, q), p, q) + 0.1) > 0


@pytest.fixture(scope="module")
def simulated() -> dict[str, dict[float, float]]:
    """What 400 data sets say, by a solver of the test's own."""
    random = torch.Generator().manual_seed(3)
    p, q = GaussianMixture([-2.0, 2.0], 1.0), normal(1)
    n, runs, found = 100, 400, {}
    points = torch.cat([law.sample((runs, n), random) for law in (p, q)], dim=1).double()
    grid = torch.linspace(-9, 9, 1801, dtype=torch.float64)[:, None]
    real, fake = (law.log_prob(grid).exp().double() for law in (p, q))
    best = optimal_discriminator(p, q).logit(grid)
    of_best = (real * _log(best) + fake * _log(-best)).sum() * 0.01
    for ridge in RIDGE_PRICES:
        a = (_broken(grid) @ _fitted(points, n, ridge))[..., 0]
        value_ = (real * _log(a) + fake * _log(-a)).sum(dim=1) * 0.01
        found[ridge] = of_best - value_
    return {
        "mean": {ridge: float(lost.mean()) for ridge, lost in found.items()},
        "one data set": {ridge: float(lost[0]) for ridge, lost in found.items()},
        "median": {ridge: float(lost.median()) for ridge, lost in found.items()},
    }


@pytest.mark.slow
def test_the_mean_excess_is_the_one_that_simulation_finds(
    simulated: dict[str, dict[float, float]],
) -> None:
    exercise("03.5", simulated["mean"])


@pytest.mark.parametrize("what", ["one data set", "median"])
def test_what_is_not_the_mean_is_refused(
    what: str, simulated: dict[str, dict[float, float]]
) -> None:
    with pytest.raises(Wrong):
        exercise("03.5", simulated[what])


def _log(a: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.logsigmoid(a)


def _broken(x: torch.Tensor) -> torch.Tensor:
    """1, x and the eight corners of 9 pieces on [−3, 3], for x of shape (..., 1)."""
    corners = torch.arange(1, 9, dtype=torch.float64) * 6 / 9 - 3
    return torch.cat([torch.ones_like(x), x, (x - corners).clamp(min=0)], dim=-1)


def _fitted(points: torch.Tensor, n: int, ridge: float) -> torch.Tensor:
    """Ridge logistic regression by Newton's method; the first n of each data set are real."""
    phi = _broken(points)
    label = (torch.arange(2 * n) < n).double()[:, None]
    w = torch.zeros(len(points), phi.shape[-1], 1, dtype=torch.float64)
    eye = ridge * torch.eye(phi.shape[-1], dtype=torch.float64)
    for _ in range(40):
        d = torch.sigmoid(phi @ w)
        slope = phi.mT @ (label - d) / n - ridge * w
        step = torch.linalg.solve(phi.mT @ (d * (1 - d) * phi) / n + eye, slope)
        w = w + step / ((phi @ step).abs().amax(dim=(1, 2), keepdim=True) / 2).clamp(min=1)
    return w
