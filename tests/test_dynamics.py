"""Games against closed forms, and against the library's own losses; facts 10, 11 and 13."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from gan_course import dynamics
from gan_course.distributions import Empirical, normal
from gan_course.dynamics import (
    UPDATES,
    bilinear,
    consensus,
    dirac,
    eigenvalues,
    flow,
    jacobian,
    jacobian_spectrum,
    trajectories,
)
from gan_course.losses import LOSSES
from gan_course.networks import Ensemble, mlp
from gan_course.penalties import PENALTIES
from gan_course.training import Settings, Trainer

REST = torch.zeros(2, dtype=torch.float64)
#: Mescheder's start (1, 1) where high means real.
START = torch.tensor([[-1.0, 1.0]], dtype=torch.float64)


def some_states() -> Tensor:
    return 2 * torch.randn(7, 2, generator=torch.Generator().manual_seed(0)).double()


def radius(path: Tensor) -> Tensor:
    return path.norm(dim=-1)


@pytest.mark.parametrize("loss", [*dynamics.PUSHES, "relativistic"])
@pytest.mark.parametrize(("r1", "r2"), [(0.0, 0.0), (0.7, 0.0), (0.0, 0.4), (0.7, 0.4)])
def test_the_field_is_the_descent_of_the_librarys_losses(loss: str, r1: float, r2: float):
    for state in some_states():
        theta, psi = state.clone().requires_grad_().unbind()
        real, fake = torch.zeros(1, 1, 1).double(), theta.reshape(1, 1, 1)

        def critic(x: Tensor, psi: Tensor = psi) -> Tensor:
            return (psi * x).squeeze(-1)

        of_G = LOSSES[loss].generator(critic(real), critic(fake))
        of_D = LOSSES[loss].discriminator(critic(real), critic(fake))
        for name, weight in (("R1", r1), ("R2", r2)):
            of_D = of_D + weight * PENALTIES[name](critic, real, fake)
        (down_G,) = torch.autograd.grad(of_G, theta, retain_graph=True)
        (down_D,) = torch.autograd.grad(of_D, psi)
        expected = -torch.stack([down_G, down_D])
        torch.testing.assert_close(dirac(loss, r1=r1, r2=r2)(state), expected, rtol=0, atol=1e-12)


def test_instance_noise_is_the_average_over_noisy_points():
    theta, psi, noise = 0.8, -1.1, 0.6
    n = torch.linspace(-9, 9, 20_001, dtype=torch.float64)
    weight = torch.exp(-(n**2) / 2) / math.sqrt(2 * math.pi) * (n[1] - n[0])
    real, fake = noise * n, theta + noise * n
    of_theta = (weight * psi * torch.sigmoid(psi * fake)).sum()
    of_psi = (weight * (real * torch.sigmoid(-psi * real) - fake * torch.sigmoid(psi * fake))).sum()
    found = dirac(noise=noise)(torch.tensor([theta, psi], dtype=torch.float64))
    torch.testing.assert_close(found, torch.stack([of_theta, of_psi]), rtol=0, atol=1e-9)


def test_relativistic_noise_is_the_average_over_noisy_pairs():
    theta, psi, noise = 0.8, -1.1, 0.6
    n = torch.linspace(-8, 8, 1_001, dtype=torch.float64)
    weight = torch.exp(-(n**2) / 2) / math.sqrt(2 * math.pi) * (n[1] - n[0])
    apart = theta + noise * (n[:, None] - n)  # a generated point less a real one
    pairs = weight[:, None] * weight
    of_theta = (pairs * psi * torch.sigmoid(-psi * apart)).sum()
    of_psi = -(pairs * apart * torch.sigmoid(psi * apart)).sum()
    found = dirac("relativistic", noise=noise)(torch.tensor([theta, psi], dtype=torch.float64))
    torch.testing.assert_close(found, torch.stack([of_theta, of_psi]), rtol=0, atol=1e-9)


def test_fact_10_the_eigenvalues_of_the_dirac_gan():
    half = torch.tensor([-0.5j, 0.5j], dtype=torch.complex128)
    for loss in ("minimax", "non-saturating", "relativistic"):
        torch.testing.assert_close(eigenvalues(dirac(loss), REST), half)
    torch.testing.assert_close(eigenvalues(dirac("wasserstein"), REST), 2 * half)


@pytest.mark.parametrize("gamma", [0.0, 0.3, 0.9, 1.5, 3.0])
def test_fact_10_r1_moves_the_eigenvalues_left(gamma: float):
    root = torch.sqrt(torch.tensor(gamma**2 / 4 - 0.25 + 0j, dtype=torch.complex128))
    found = eigenvalues(dirac(r1=gamma), REST)
    for expected in (-gamma / 2 - root, -gamma / 2 + root):
        assert (found - expected).abs().min() < 1e-12
    assert bool(found.imag.any()) == (gamma < 1)  # the critical gamma is 1


def test_fact_10_the_radius_of_simultaneous_descent():
    grow = eigenvalues(lambda s: UPDATES["simultaneous"](dirac(), s), REST).abs()
    torch.testing.assert_close(grow, torch.full((2,), 1.004988).double(), rtol=0, atol=5e-7)
    keep = eigenvalues(lambda s: UPDATES["alternating"](dirac(), s), REST).abs()
    torch.testing.assert_close(keep, torch.ones(2).double())


@pytest.mark.parametrize(
    ("field", "update", "start", "expected"),
    [
        (dirac(), "simultaneous", (-1.0, 1.0), 3.10),
        (dirac(), "simultaneous", (1.0, -1.0), 3.10),
        (dirac(), "simultaneous", (1.0, 1.0), 3.35),  # the same words, the other convention
        (dirac(), "alternating", (-1.0, 1.0), 1.41),  # D first, as in Algorithm 1
        (dirac("non-saturating"), "simultaneous", (-1.0, 1.0), 0.64),
        (dirac(r1=0.3), "simultaneous", (-1.0, 1.0), 0.0),
        (dirac(r1=1.0), "simultaneous", (-1.0, 1.0), 0.0),
    ],
)
def test_fact_10_five_hundred_steps(
    field: dynamics.Field, update: str, start: tuple[float, float], expected: float
):
    path = trajectories(field, torch.tensor([start]).double(), 500, update=update)
    assert radius(path)[-1].item() == pytest.approx(expected, abs=5e-3)


def test_fact_10_the_generator_first():
    state = START
    for _ in range(500):
        for rates in ((0.2, 0.0), (0.0, 0.2)):
            state = UPDATES["simultaneous"](dirac(), state, rates)
    assert radius(state).item() == pytest.approx(1.42, abs=5e-3)


@pytest.mark.parametrize("rate", [0.05, 0.2, 1.0])
def test_fact_11_the_bilinear_game(rate: float):
    starts = some_states()
    path = trajectories(bilinear, starts, 20, rates=(rate, rate))
    growth = radius(path)[1:] / radius(path)[:-1]
    torch.testing.assert_close(growth, torch.full_like(growth, math.sqrt(1 + rate**2)))
    circle = radius(flow(bilinear, starts, 20 * rate, 400))
    torch.testing.assert_close(circle, circle[:1].expand_as(circle), rtol=0, atol=1e-5)


def test_the_flow_turns_by_its_time():
    path = flow(bilinear, torch.tensor([[1.0, 0.0]]).double(), math.pi / 2, 100)
    torch.testing.assert_close(path[-1], torch.tensor([[0.0, 1.0]]).double(), rtol=0, atol=1e-8)


@pytest.mark.parametrize("gamma", [0.1, 0.3, 2.0])
def test_fact_13_r1_is_instance_noise(gamma: float):
    noisy = eigenvalues(dirac(noise=math.sqrt(2 * gamma)), REST)
    torch.testing.assert_close(noisy, eigenvalues(dirac(r1=gamma), REST))


def test_consensus_adds_the_slope_of_half_the_squared_velocity():
    for state in some_states():
        at = state.clone().requires_grad_()
        (slope,) = torch.autograd.grad(dirac()(at).square().sum() / 2, at)
        torch.testing.assert_close(consensus(dirac(), 0.4)(state), dirac()(state) - 0.4 * slope)
    # J = [[0, ½], [−½, 0]], so J − w JᵀJ has eigenvalues −w/4 ± i/2.
    expected = torch.tensor([-0.1 - 0.5j, -0.1 + 0.5j], dtype=torch.complex128)
    torch.testing.assert_close(eigenvalues(consensus(dirac(), 0.4), REST), expected)


def test_who_sees_what():
    x, y, g, d = 2.0, 3.0, 0.1, 0.2
    state = torch.tensor([[x, y]]).double()
    at_once = trajectories(bilinear, state, 1, rates=(g, d))[1]
    assert at_once.tolist() == [[pytest.approx(x - g * y), pytest.approx(y + d * x)]]
    in_turn = trajectories(bilinear, state, 1, rates=(g, d), update="alternating")[1]
    first = y + d * x
    assert in_turn.tolist() == [[pytest.approx(x - g * first), pytest.approx(first)]]
    three = trajectories(bilinear, state, 1, rates=(g, d), update="alternating", k=3)[1]
    last = y + 3 * d * x
    assert three.tolist() == [[pytest.approx(x - g * last), pytest.approx(last)]]


@pytest.mark.parametrize("field", [bilinear, dirac(noise=0.3), consensus(dirac(), 0.2)])
def test_many_starts_are_each_start_alone(field: dynamics.Field):
    starts = some_states()
    together = trajectories(field, starts, 5, update="alternating", k=2)
    assert together.shape == (6, 7, 2)
    alone = [trajectories(field, s[None], 5, update="alternating", k=2)[:, 0] for s in starts]
    torch.testing.assert_close(together, torch.stack(alone, dim=1))


def test_jacobian_rows_are_velocities():
    def field(s: Tensor) -> Tensor:
        return torch.stack([s[..., 0] + 2 * s[..., 1], 3 * s[..., 0] + 4 * s[..., 1]], dim=-1)

    expected = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    assert torch.equal(jacobian(field, torch.zeros(5, 2)), expected.expand(5, 2, 2))


def small_gan(runs: int, **settings: object) -> Trainer:
    torch.manual_seed(0)

    def build() -> torch.nn.Module:
        return mlp(1, 1, width=3, activation="tanh")

    chosen = Settings(batch=16, **settings)  # type: ignore[arg-type]
    return Trainer(
        Ensemble(build, runs), Ensemble(build, runs), normal(1), normal(1), chosen, device="cpu"
    )


class Point(nn.Module):
    """G(z) = θ."""

    def __init__(self) -> None:
        super().__init__()
        self.theta = nn.Parameter(torch.zeros(1))

    def forward(self, z: Tensor) -> Tensor:
        return 0 * z + self.theta


class Tilt(nn.Module):
    """a(x) = ψ x, close to rest: the norm that R1 squares has no second derivative at 0."""

    def __init__(self) -> None:
        super().__init__()
        self.psi = nn.Parameter(torch.full((1,), 1e-8))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.psi


@pytest.mark.parametrize("gamma", [0.0, 0.5])
def test_the_spectrum_of_the_dirac_gan_as_a_real_gan(gamma: float):
    players = Ensemble(Point, 2), Ensemble(Tilt, 2)
    settings = Settings(loss="minimax", penalties={"R1": gamma})
    trainer = Trainer(*players, Empirical(torch.zeros(4, 1)), normal(1), settings, device="cpu")
    found = jacobian_spectrum(trainer, batch=8)
    assert found.shape == (2, 2)
    expected = eigenvalues(dirac(r1=gamma), REST)
    for run in found:
        assert all((run - value).abs().min() < 1e-6 for value in expected)


def numerical_spectrum(trainer: Trainer, run: int, batch: int) -> Tensor:
    """Central differences of the two gradients, network by network, weight by weight."""
    G, D = trainer.generator.member(run).double(), trainer.discriminator.member(run).double()
    random = torch.Generator().manual_seed(0)
    real = trainer.data.sample((trainer.runs, batch), random).double()[run]
    z = trainer.prior.sample((trainer.runs, batch), random).double()[run]
    of_G, of_D = list(G.parameters()), list(D.parameters())
    objective = LOSSES[trainer.settings.loss]

    def velocity() -> Tensor:
        def critic(x: Tensor) -> Tensor:
            return D(x).reshape(1, -1) if x.dim() == 2 else D(x).squeeze(-1)

        a_real, a_fake = critic(real), critic(G(z))
        loss_D = objective.discriminator(a_real, a_fake)
        for name, weight in trainer.settings.penalties.items():
            loss_D = loss_D + weight * PENALTIES[name](critic, real[None], G(z)[None])
        down = torch.autograd.grad(objective.generator(a_real, a_fake), of_G, retain_graph=True)
        down += torch.autograd.grad(loss_D, of_D)
        return -torch.cat([part.flatten() for part in down])

    columns = []
    for weights in [*of_G, *of_D]:
        for i in range(weights.numel()):
            ends = []
            for shift in (1e-5, -1e-5):
                with torch.no_grad():
                    weights.view(-1)[i] += shift
                ends.append(velocity())
                with torch.no_grad():
                    weights.view(-1)[i] -= shift
            columns.append((ends[0] - ends[1]) / 2e-5)
    return torch.linalg.eigvals(torch.stack(columns, dim=1))


@pytest.mark.parametrize(
    "settings", [{"loss": "minimax"}, {"loss": "non-saturating", "penalties": {"R1": 0.5}}]
)
def test_the_spectrum_agrees_with_finite_differences(settings: dict[str, object]):
    trainer = small_gan(2, **settings)
    trainer.train(3)
    weights = [p.clone() for p in trainer.generator.parameters()]
    state = trainer.random.get_state()
    found = jacobian_spectrum(trainer, batch=20)
    for run in range(2):
        expected = numerical_spectrum(trainer, run, batch=20)
        gaps = (found[run][:, None] - expected).abs()
        assert gaps.min(dim=0).values.max() < 1e-4
        assert gaps.min(dim=1).values.max() < 1e-4
    assert all(
        torch.equal(a, b) for a, b in zip(weights, trainer.generator.parameters(), strict=True)
    )
    assert torch.equal(state, trainer.random.get_state())
    assert torch.equal(jacobian_spectrum(trainer, batch=20), found)  # always on the same samples
    assert not torch.allclose(jacobian_spectrum(trainer, batch=20, seed=1), found)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (lambda: dirac("hinge"), "loss = 'hinge'"),
        (lambda: dirac(r1=-1.0), "r1 = -1.0"),
        (lambda: dirac(noise=math.nan), "noise = nan"),
        (lambda: trajectories(bilinear, REST, 1), "starts has shape"),
        (lambda: flow(bilinear, REST, 1.0, 1), "starts has shape"),
        (lambda: trajectories(bilinear, START, 1, update="both"), "update = 'both'"),
        (lambda: trajectories(bilinear, START, 1, k=2), "k = 2"),
        (lambda: trajectories(bilinear, START, 1, update="alternating", k=0), "k = 0"),
    ],
)
def test_a_bad_value_is_named(bad: Callable[[], object], message: str):
    with pytest.raises(ValueError, match=message):
        bad()


def test_whole_numbers_move_as_floats_do():
    path = trajectories(bilinear, torch.tensor([[1, 1]]), 100)
    expected = trajectories(bilinear, torch.tensor([[1.0, 1.0]]), 100)
    assert torch.equal(path, expected)
    assert not torch.equal(path[-1], path[0])


def test_a_slope_that_is_not_finite_ends_no_process():
    """LAPACK crashes on it, with the kernel and all that the reader had there."""
    with pytest.raises(ValueError, match=r"field has a Jacobian that is not finite"):
        eigenvalues(lambda s: s.abs().sqrt(), REST)
    with pytest.raises(ValueError, match=r"point = nan"):
        eigenvalues(bilinear, torch.tensor([0.0, math.nan]))
    trainer = small_gan(3)
    with torch.no_grad():
        next(trainer.generator.parameters())[1] = math.nan
    with pytest.raises(ValueError, match=r"trainer has a Jacobian .* at \[\[1\]\] of \(3,\)"):
        jacobian_spectrum(trainer, batch=8)


def test_the_spectrum_has_the_instance_noise_of_the_training():
    """G(z) = θ, a(x) = ψ x at rest: with noise σ, d²/dψ² of D's loss is −σ²/2 (fact 13)."""
    settings = Settings(loss="minimax", instance_noise=1.2)
    players = Ensemble(Point, 1), Ensemble(Tilt, 1)
    trainer = Trainer(*players, Empirical(torch.zeros(4, 1)), normal(1), settings, device="cpu")
    (found,) = jacobian_spectrum(trainer, batch=100_000)
    expected = eigenvalues(dirac(noise=1.2), REST)
    assert all((found - value).abs().min() < 0.01 for value in expected)
    assert found.real.min() < -0.3


def test_the_spectrum_judges_packs():
    torch.manual_seed(0)
    networks = mlp(1, 1, width=3, activation="tanh"), mlp(2, 1, width=3, activation="tanh")
    settings = Settings(batch=16, packing=2)
    trainer = Trainer(*networks, normal(1), normal(1), settings, device="cpu")
    found = jacobian_spectrum(trainer, batch=16)
    assert found.shape == (1, sum(p.numel() for net in networks for p in net.parameters()))
    assert found.isfinite().all()
    with pytest.raises(ValueError, match="packing = 2"):
        jacobian_spectrum(trainer, batch=15)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (lambda: dirac(noise=math.inf), "noise = inf"),
        (lambda: dirac(r1=True), "r1 = True"),
        (lambda: flow(bilinear, START, 1.0, -3), "steps = -3"),
        (lambda: flow(bilinear, START, math.nan, 3), "time = nan"),
        (lambda: trajectories(bilinear, START, -1), "steps = -1"),
        (lambda: trajectories(bilinear, START, 2.5), r"steps = 2\.5"),
        (lambda: trajectories(bilinear, START, 0, rates=(0.1, math.nan)), r"rates\[1\] = nan"),
        (lambda: trajectories(bilinear, START, 1, rates=0.1), r"rates = 0\.1"),
        (lambda: trajectories(bilinear, START * math.nan, 1), "starts = nan"),
        (lambda: consensus(bilinear, math.nan), "weight = nan"),
        (lambda: jacobian_spectrum(small_gan(1), batch=0), "batch = 0"),
    ],
)
def test_what_is_no_number_is_named(bad: Callable[[], object], message: str):
    with pytest.raises(ValueError, match=message):
        bad()
