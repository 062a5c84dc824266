"""Penalties against closed forms, finite differences and their own points."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from scipy import stats
from torch import Generator, Tensor

from gan_course.networks import Ensemble, mlp
from gan_course.penalties import PENALTIES, gradient_norm, mixing_weights

SHAPES = {"number": (1,), "vector": (3,), "image": (2, 4, 5)}
RUNS, BATCH = 2, 6


def samples(shape: tuple[int, ...], seed: int = 0, batch: int = BATCH) -> tuple[Tensor, Tensor]:
    random = Generator().manual_seed(seed)
    real, fake = torch.randn(2, RUNS, batch, *shape, generator=random).double()
    return real, fake + 2


def linear(slope: Tensor) -> Callable[[Tensor], Tensor]:
    """critic(x) = ⟨slope, x⟩ + 1: the gradient's norm is ‖slope‖ everywhere."""
    return lambda x: (x * slope).flatten(2).sum(-1) + 1


def quadratic(x: Tensor) -> Tensor:
    """critic(x) = ‖x‖²: the gradient's norm is 2‖x‖."""
    return x.square().flatten(2).sum(-1)


def norms(x: Tensor) -> Tensor:
    return x.flatten(2).square().sum(-1).sqrt()


#: The charge of a gradient of norm n, from each penalty's paper.
CHARGES: dict[str, Callable[[Tensor], Tensor]] = {
    "R1": lambda n: n**2 / 2,
    "R2": lambda n: n**2 / 2,
    "WGAN-GP": lambda n: (n - 1) ** 2,
}


def test_every_penalty_has_its_charge_here() -> None:
    assert set(PENALTIES) == set(CHARGES)
    assert all(PENALTIES[name].name == name for name in PENALTIES)


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("name", PENALTIES)
def test_linear_critic_pays_for_its_slope_alone(name: str, shape: tuple[int, ...]) -> None:
    slope = torch.randn(shape, generator=Generator().manual_seed(3)).double()
    charged = PENALTIES[name](linear(slope), *samples(shape))
    expected = CHARGES[name](slope.norm()).expand(RUNS)
    torch.testing.assert_close(charged, expected)


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_quadratic_critic_pays_where_the_penalty_looks(shape: tuple[int, ...]) -> None:
    real, fake = samples(shape)
    for name, points in [("R1", real), ("R2", fake)]:
        expected = CHARGES[name](2 * norms(points)).mean(dim=1)
        torch.testing.assert_close(PENALTIES[name](quadratic, real, fake), expected)
    same = PENALTIES["WGAN-GP"](quadratic, real, real)  # between a point and itself
    torch.testing.assert_close(same, CHARGES["WGAN-GP"](2 * norms(real)).mean(dim=1))


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_gradient_norm_is_the_finite_difference(shape: tuple[int, ...]) -> None:
    x, _ = samples(shape)
    critic: Callable[[Tensor], Tensor] = lambda x: x.sin().flatten(2).prod(-1)  # noqa: E731
    step = 1e-6
    moves = step * torch.eye(x[0, 0].numel()).double().reshape(-1, 1, 1, *shape)
    slopes = torch.stack([(critic(x + m) - critic(x - m)) / (2 * step) for m in moves])
    torch.testing.assert_close(
        gradient_norm(critic, x), slopes.square().sum(0).sqrt(), rtol=1e-6, atol=1e-8
    )


@pytest.mark.parametrize("name", PENALTIES)
def test_constant_critic_has_finite_value_and_gradient(name: str) -> None:
    """At a zero gradient a hand-written root of a sum of squares gives NaN."""
    weight = torch.zeros(3, requires_grad=True)
    real, fake = (x.float() for x in samples((3,)))
    charged = PENALTIES[name](linear(weight), real, fake)
    (slope,) = torch.autograd.grad(charged.sum(), weight)
    assert torch.equal(charged, torch.full((RUNS,), {"WGAN-GP": 1.0}.get(name, 0.0)))
    assert slope.isfinite().all()


@pytest.mark.parametrize("name", PENALTIES)
def test_gradient_in_the_weights_is_the_closed_form(name: str) -> None:
    """d(n²/2)/dw = w and d(n − 1)²/dw = 2(n − 1) w/n for critic(x) = ⟨w, x⟩."""
    weight = torch.tensor([0.5, -2.0, 1.0]).double().requires_grad_()
    charged = PENALTIES[name](linear(weight), *samples((3,)))
    (slope,) = torch.autograd.grad(charged[0], weight)
    w, n = weight.detach(), weight.detach().norm()
    expected = 2 * (n - 1) * w / n if name == "WGAN-GP" else w
    torch.testing.assert_close(slope, expected)


@pytest.mark.parametrize("name", PENALTIES)
def test_penalty_moves_neither_samples_nor_generator(name: str) -> None:
    real, fake = (x.requires_grad_() for x in samples((3,)))
    weight = torch.ones(3, dtype=torch.double, requires_grad=True)
    charged = PENALTIES[name](lambda x: linear(weight)(x.square()), real, fake)
    found = torch.autograd.grad(charged.sum(), (real, fake, weight), allow_unused=True)
    assert found[0] is None
    assert found[1] is None
    assert found[2].abs().sum() > 0


@pytest.mark.parametrize("name", PENALTIES)
def test_mean_is_over_the_batch_and_runs_stay_apart(name: str) -> None:
    real, _ = samples((3,))
    both = PENALTIES[name](quadratic, real.repeat(1, 50, 1), real.repeat(1, 50, 1))
    torch.testing.assert_close(both, PENALTIES[name](quadratic, real, real))
    assert both.shape == (RUNS,)
    assert both[0] != both[1]


def interpolation_weights(shape: tuple[int, ...], seed: int) -> Tensor:
    """Where on the segment each point lies, seen coordinate by coordinate."""
    real, fake = (x.double() for x in samples(shape, batch=2000))
    mix = mixing_weights(real, Generator().manual_seed(seed))
    points = PENALTIES["WGAN-GP"].points(real, fake, mix)
    return ((points - fake) / (real - fake)).flatten(2)


@pytest.mark.parametrize("shape", [(3,), (2, 2, 2)], ids=["vector", "image"])
@pytest.mark.parametrize("seed", [0, 1])
def test_wgan_gp_weights_are_uniform_and_one_for_each_sample(
    shape: tuple[int, ...], seed: int
) -> None:
    weights = interpolation_weights(shape, seed)
    first = weights[..., 0]
    torch.testing.assert_close(weights, first.unsqueeze(-1).expand_as(weights))
    assert len(first.flatten().unique()) > 0.99 * first.numel()
    assert stats.kstest(first.flatten().numpy(), stats.uniform.cdf).pvalue > 1e-3


def test_mixing_weights_repeat_with_their_generator() -> None:
    before = torch.get_rng_state()
    draws = [mixing_weights(samples((3,))[0], Generator().manual_seed(seed)) for seed in (0, 0, 1)]
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])


@pytest.mark.parametrize("name", PENALTIES)
@pytest.mark.parametrize("spectral_norm", [False, True])
def test_ensemble_pays_what_each_member_would(name: str, spectral_norm: bool) -> None:
    ensemble = Ensemble(
        lambda: mlp(3, 1, width=8, activation="tanh", spectral_norm=spectral_norm), RUNS
    ).eval()
    real, fake = (x.float() for x in samples((3,)))
    mix = mixing_weights(real)
    points = PENALTIES[name].points(real, fake, mix)
    charged = PENALTIES[name](lambda x: ensemble(x).squeeze(-1), real, fake, mix)
    for run in range(RUNS):
        member = ensemble.member(run)
        norm = gradient_norm(lambda x, member=member: member(x[0]).T, points[run].unsqueeze(0))
        torch.testing.assert_close(charged[run], CHARGES[name](norm).mean())
