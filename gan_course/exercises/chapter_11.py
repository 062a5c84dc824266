"""Specifications of the exercises of chapter 11, *Where GANs stand*."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gan_course.exercises import Wrong, call, entries, expect, number, several, specification

FAMILIES = ("GAN", "VAE", "autoregressive", "normalising flow", "diffusion")
PREDICTIONS = {
    "one pass": (
        "GAN",
        "with one step the diffusion's best guess from pure noise is the mean of the data, which "
        "lies on no mode; a GAN is trained for its one pass",
    ),
    "bridges": (
        "normalising flow",
        "an invertible continuous map cannot tear one bell into several; a mixture has components "
        "that need not touch",
    ),
    "more pixels": (
        "autoregressive",
        "who draws the coordinates one after the other? The others draw all of them at once",
    ),
    "exact": (
        "normalising flow",
        "log p(x) is the ELBO and a KL that nobody knows; a change of variables leaves nothing out",
    ),
}
FAULTS = {
    "A": ("nothing", "look again: tuning, seeds, samples and time are alike; steps need not be"),
    "B": ("tuning", "how many settings was the old method allowed, on these data?"),
    "C": ("sample size", "a Fréchet distance falls with the number of pictures (chapter 09)"),
}


def _words(answer: Any, right: dict[str, tuple[str, str]], allowed: tuple[str, ...]) -> None:
    """Compare words by their keys; the hint is of the first that is wrong."""
    filled = entries(answer, right)
    for key, (expected, hint) in right.items():
        if filled[key] not in allowed:
            raise Wrong(f"{key}: answer with one of {', '.join(allowed)}, not {filled[key]!r}")
        if filled[key] != expected:
            raise Wrong(f"{key}: {hint}")


@specification("11.1")
def predictions(answer: dict[str, str]) -> None:
    """What the derivations say before a measurement."""
    _words(answer, PREDICTIONS, FAMILIES)


@specification("11.2")
def tight_encoder(answer: Callable[[float, float, float], tuple[float, float]]) -> None:
    """The posterior's mean and variance, by sums over z."""
    z = np.linspace(-12, 12, 400_001)
    for x, a, s in ((1.0, 1.0, 1.0), (0.7, 2.0, 0.5), (-1.5, 0.6, 1.3)):
        weight = np.exp(-(z**2) / 2 - (x - a * z) ** 2 / (2 * s**2))
        weight /= weight.sum()
        mean = float(weight @ z)
        variance = float(weight @ (z - mean) ** 2)
        m, v = several(call(answer, x, a, s), 2, "two numbers, the mean and the variance,")
        m, v = number(m, "a mean"), number(v, "a variance")
        if math.isclose(v, math.sqrt(variance), abs_tol=1e-6) and abs(variance - v) > 1e-3:
            raise Wrong("the second number is the variance, not its root")
        turned = abs(m * s**2 - v * a * x) < 1e-6
        if turned and abs(m - mean) > 1e-4:
            raise Wrong(
                "mean and variance fit each other, but both have the wrong denominator: it is the "
                "variance of x, of a z and of the noise together"
            )
        expect(
            "the bound is tight where the encoder is the posterior p(z|x). Complete the square in "
            "z of z²/2 + (x − a z)²/(2 s²); its mean",
            m,
            mean,
            atol=1e-5,
        )
        expect("the posterior's variance: precisions add up, 1 + a²/s²", v, variance, atol=1e-5)


@specification("11.3")
def noisy_score(
    answer: Callable[[Tensor, Tensor, Tensor, float, float], Tensor],
) -> None:
    """The slope of the log density, by autograd."""
    x = torch.linspace(-3, 3, 13).double()
    centers = torch.tensor([-1.5, 0.5, 2.0]).double()
    weights = torch.tensor([0.2, 0.5, 0.3]).double()
    for std, sigma in ((0.5, 0.3), (0.1, 1.0)):
        alone = call(answer, x, centers[:1], torch.ones(1).double(), std, sigma)
        slope = (centers[0] - x) / (std**2 + sigma**2)
        one_is_right = isinstance(alone, Tensor) and alone.shape == slope.shape
        one_is_right = one_is_right and torch.allclose(alone.double(), slope, atol=1e-4)
        at = x.clone().requires_grad_()
        width = math.hypot(std, sigma)
        log_density = -(((at[:, None] - centers) / width) ** 2) / 2
        (exact,) = torch.autograd.grad((log_density + weights.log()).logsumexp(1).sum(), at)
        found = call(answer, x, centers, weights, std, sigma)
        if isinstance(found, Tensor) and found.shape == exact.shape:
            if torch.allclose(found.double(), -exact, atol=1e-4):
                raise Wrong("the score points to where the density grows: the sign is turned")
            if torch.allclose(found.double(), -sigma * exact, atol=1e-4):
                raise Wrong("this is the mean noise E[ε | x]; the score is −1/σ times as large")
            if one_is_right and not torch.allclose(found.double(), exact, atol=1e-4):
                raise Wrong(
                    "for a single mode it is right, so the shares are not: that of mode k at x is "
                    "w_k N(x; c_k, std² + σ²), divided by the sum over the modes"
                )
            if not one_is_right:
                raise Wrong(
                    "already for a single mode it is not right: data of variance std² with noise "
                    "of variance σ² have the score (c − x) / (std² + σ²)"
                )
        expect(
            "with noise each mode is a normal law of variance std² + σ²; weigh each mode's slope "
            "(c_k − x)/(std² + σ²) by its share of the density at x",
            found,
            exact,
            atol=1e-4,
        )


@specification("11.4")
def field_of_a_point(answer: Callable[[float, float, float], float]) -> None:
    """The only z that leads through y at time t, and its line's velocity."""
    for y, t, c in ((0.0, 0.0, 1.0), (0.3, 0.5, 2.0), (-1.2, 0.8, -0.5)):
        z = (y - t * c) / (1 - t)
        found = number(call(answer, y, t, c), "a velocity")
        if abs(found - (y - c) / (1 - t)) < 1e-6:
            raise Wrong("the velocity is x − z, from noise to data: the sign is turned")
        if abs(found - (c - y)) < 1e-6 and t:
            raise Wrong("c − y is the way that is left; the time that is left is 1 − t")
        expect(
            "all lines end at c, so only one passes y at time t: solve y = (1 − t) z + t c for z, "
            "and take c − z",
            found,
            c - z,
            atol=1e-6,
        )


@specification("11.5")
def faults(answer: dict[str, str]) -> None:
    """Which of three comparisons is fair, and what is wrong with the others."""
    _words(answer, FAULTS, ("tuning", "sample size", "best seed", "nothing"))
