"""The five families, each beside a reference that knows nothing of its code."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Generator, Tensor, nn

from gan_course.distributions import Empirical, GaussianMixture, drawn, normal, ring
from gan_course.families import (
    VAE,
    Autoregressive,
    Diffusion,
    FlowMatching,
    MaskedLinear,
    MixtureHead,
    RealNVP,
    ValueHead,
    along,
    fit,
    masked_network,
    quickly,
)
from gan_course.families.quick import SHARES, Standard
from gan_course.metrics import sliced_wasserstein
from gan_course.networks import Ensemble, mlp

BELLS = GaussianMixture([-2.0, 1.0], std=0.5, weights=[0.3, 0.7])


def seeded(seed: int = 0) -> Generator:
    torch.manual_seed(seed)
    return torch.Generator().manual_seed(seed)


class Formula(nn.Module):
    """A function in a network's place; its one weight says of what kind its numbers are."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function, self.kind = function, nn.Parameter(torch.zeros(1).double())

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


# --- Variational autoencoder --------------------------------------------------------------


def small_vae() -> VAE:
    seeded(3)
    model = VAE(mlp(2, 2, width=8), mlp(1, 2, width=8), latent=1).double()
    model.log_std.data.fill_(-0.4)
    return model


def by_quadrature(model: VAE, x: Tensor) -> tuple[float, float]:
    """The evidence log p(x) and the ELBO of one x, by sums over a latent of one dimension."""
    z = np.linspace(-9, 9, 400_001)
    with torch.no_grad():
        mean, log_std = (part.item() for part in model.encoder(x[None])[0])
        center = model.decoder(torch.from_numpy(z)[:, None]).numpy()
    sigma = math.exp(model.log_std.item())
    log_joint = stats.norm(center, sigma).logpdf(x.numpy()).sum(axis=1) + stats.norm.logpdf(z)
    q = stats.norm(mean, math.exp(log_std))
    width = z[1] - z[0]
    evidence = np.log(np.exp(log_joint).sum() * width)
    return evidence, (q.pdf(z) * (log_joint - q.logpdf(z))).sum() * width


def test_the_elbo_is_that_of_quadrature():
    model, x = small_vae(), torch.tensor([0.4, -0.2]).double()
    evidence, elbo = by_quadrature(model, x)
    found = model.elbo(x.expand(200_000, -1), seeded(1)).detach()
    assert abs(found.mean().item() - elbo) < 4 * found.std().item() / math.sqrt(len(found))
    assert elbo < evidence - 0.01


def test_the_importance_bound_gets_tight():
    model, x = small_vae(), torch.tensor([[0.4, -0.2]]).double()
    evidence, elbo = by_quadrature(model, x[0])
    with torch.no_grad():
        one = model.log_prob(x.expand(4_000, -1), seeded(1), draws=1).mean().item()
        many = model.log_prob(x.expand(300, -1), seeded(2), draws=600).mean().item()
    assert abs(one - elbo) < 0.1
    assert abs(many - evidence) < 0.01


def test_a_vae_samples_its_own_law():
    model, random = small_vae(), seeded(4)
    with torch.no_grad():
        x = model.sample((20_000,), random)
        means = model.sample((20_000,), random, noise=False)
        z = torch.randn(20_000, 1, generator=random).double()
        center = model.decoder(z)
    torch.testing.assert_close(means.mean(dim=0), center.mean(dim=0), atol=0.02, rtol=0)
    sigma = math.exp(2 * model.log_std.item())
    torch.testing.assert_close(x.var(dim=0), center.var(dim=0) + sigma, atol=0.03, rtol=0)


# --- Autoregressive model -----------------------------------------------------------------


@pytest.mark.parametrize("depth", [1, 3])
def test_an_output_sees_the_coordinates_before_it(depth: int):
    seeded()
    network, x = (
        masked_network(4, 3, width=9, depth=depth, waves=2).double(),
        torch.randn(4).double(),
    )
    jacobian = torch.autograd.functional.jacobian(network, x).view(4, 3, 4).abs().sum(dim=1)
    assert bool((jacobian.tril(-1) > 0)[torch.ones(4, 4).tril(-1).bool()].all())
    assert not bool(jacobian.triu().any())


def test_probabilities_of_all_pictures_add_up_to_one():
    seeded()
    head = ValueHead(3)
    model = Autoregressive(masked_network(4, 3, width=12), head, dim=4).double()
    every = torch.tensor(list(itertools.product(range(3), repeat=4))).double()
    with torch.no_grad():
        total = model.log_prob(every).exp().sum()
    torch.testing.assert_close(total, torch.ones_like(total))


def test_values_are_drawn_by_their_probabilities():
    random = seeded(1)
    model = Autoregressive(masked_network(2, 3, width=12), ValueHead(3), dim=2)
    for layer in model.network:
        if isinstance(layer, MaskedLinear):
            layer.weight.data *= 4
    every = torch.tensor(list(itertools.product(range(3), repeat=2))).float()
    with torch.no_grad():
        expected = model.log_prob(every).exp()
        x = model.sample((40_000,), random)
    found = torch.bincount((3 * x[:, 0] + x[:, 1]).long(), minlength=9) / len(x)
    torch.testing.assert_close(found, expected, atol=0.01, rtol=0)
    assert expected.std() > 0.02


def autoregressive_toy() -> Autoregressive:
    seeded(2)
    head = MixtureHead(3)
    return Autoregressive(masked_network(2, head.outputs, width=16, waves=1), head, 2).double()


def coupling_toy() -> RealNVP:
    seeded(5)
    flow = RealNVP([mlp(2, 4, width=8) for _ in range(3)], dim=2).double()
    for layer in flow.modules():
        if isinstance(layer, nn.Linear):
            layer.weight.data *= 1.2
    return flow


def on_a_grid(model: Any, reach: float = 9.0, cells: int = 700) -> tuple[Tensor, Tensor, float]:
    side = torch.linspace(-reach, reach, cells).double()
    points = torch.cartesian_prod(side, side)
    with torch.no_grad():
        return points, model.log_prob(points).exp(), float(side[1] - side[0]) ** 2


@pytest.mark.parametrize("build", [autoregressive_toy, coupling_toy])
def test_a_density_in_the_plane_integrates_to_one_and_is_that_of_the_samples(
    build: Callable[[], Any],
):
    model = build()
    points, density, cell = on_a_grid(model)
    assert abs(density.sum().item() * cell - 1) < 5e-4
    with torch.no_grad():
        x = model.sample((50_000,), seeded(6))
    for direction in torch.tensor([[1.0, 0], [0, 1], [1, 1]]).double():
        for function in (lambda v: v, lambda v: v.square(), torch.sin):
            exact = (function(points @ direction) * density).sum().item() * cell
            seen = function(x @ direction)
            assert abs(seen.mean().item() - exact) < 4.5 * seen.std().item() / math.sqrt(len(x))


# --- Normalising flow ---------------------------------------------------------------------


def test_the_change_of_variables_is_that_of_autograd():
    flow = coupling_toy()
    for x in torch.randn(5, 2, generator=seeded(1)).double():
        z, log_det = flow.inverse(x[None])
        jacobian = torch.autograd.functional.jacobian(lambda x: flow.inverse(x[None])[0][0], x)
        expected = torch.linalg.det(jacobian).abs().log()
        torch.testing.assert_close(log_det[0], expected)
        by_scipy = stats.norm.logpdf(z.detach().numpy()).sum() + expected.item()
        assert abs(flow.log_prob(x[None]).item() - by_scipy) < 1e-9


def test_sampling_undoes_the_layers():
    flow = coupling_toy()
    with torch.no_grad():
        x = flow.sample((200,), seeded(7))
        z = torch.randn(200, 2, generator=seeded(7), dtype=torch.float64)
        torch.testing.assert_close(flow.inverse(x)[0], z)


def test_all_coordinates_are_changed():
    flow = coupling_toy()
    jacobian = torch.autograd.functional.jacobian(
        lambda x: flow.inverse(x[None])[0][0], torch.tensor([0.3, 0.4]).double()
    )
    assert bool((jacobian.abs() > 1e-6).all())
    assert not torch.allclose(jacobian, torch.eye(2).double(), atol=1e-3)


# --- Diffusion ----------------------------------------------------------------------------


def log_noisy(x: Tensor, sigma: Tensor) -> Tensor:
    """Log density of the bells with noise, in closed form."""
    std = (0.25 + sigma.square()).sqrt()
    parts = [
        math.log(w) - ((x - c) / std).square() / 2 - std.log() for w, c in ((0.3, -2.0), (0.7, 1.0))
    ]
    return torch.stack(parts).logsumexp(dim=0)


def exact_noise(given: Tensor) -> Tensor:
    """E[ε | x] for the bells, by Bayes' rule, of what the network is shown."""
    shown, level = given.chunk(2, dim=-1)
    sigma = 0.002 * (10 / 0.002) ** ((level + 1) / 2)
    x, variance = shown * (1 + sigma.square()).sqrt(), 0.25 + sigma.square()
    off = torch.stack([x + 2, x - 1])
    log_share = torch.tensor([0.3, 0.7]).log().view(2, *[1] * x.dim()) - off.square() / 2 / variance
    return (log_share.softmax(dim=0) * sigma * off / variance).sum(dim=0)


@pytest.fixture
def perfect() -> Diffusion:
    return Diffusion(Formula(exact_noise), dim=1)


def test_the_score_is_that_of_the_noisy_mixture(perfect: Diffusion):
    x, sigma = torch.linspace(-4, 4, 41).double()[:, None], torch.full((41, 1), 0.3).double()
    h = 1e-5
    slope = (log_noisy(x + h, sigma) - log_noisy(x - h, sigma)) / (2 * h)
    torch.testing.assert_close(perfect.score(x, sigma), slope, atol=1e-6, rtol=1e-6)


def test_the_loss_is_least_at_the_score(perfect: Diffusion):
    x = BELLS.sample((100_000,), seeded(1)).double()

    def loss(shift: float, factor: float) -> float:
        network = Formula(lambda given: factor * exact_noise(given) + shift)
        return Diffusion(network, dim=1).loss(x, seeded(2)).mean().item()

    best = loss(0, 1)
    assert all(loss(*other) > best + 1e-3 for other in ((0.1, 1), (-0.1, 1), (0, 0.8), (0, 1.2)))


def test_a_perfect_guess_samples_the_data(perfect: Diffusion):
    x = perfect.sample((4_000,), seeded(3), steps=200).flatten()
    law = BELLS.density
    assert stats.kstest(x.numpy(), lambda v: law.cdf(torch.tensor(v)).numpy()).pvalue > 0.01
    few = perfect.sample((4_000,), seeded(3), steps=3).flatten()
    assert stats.kstest(few.numpy(), lambda v: law.cdf(torch.tensor(v)).numpy()).pvalue < 1e-6


def test_one_step_is_the_mean_of_the_data(perfect: Diffusion):
    x = perfect.sample((2_000,), seeded(3), steps=1)
    assert abs(x.mean().item() - 0.1) < 0.02
    assert x.std().item() < 0.5


def test_the_density_of_a_perfect_guess_is_the_data_s(perfect: Diffusion):
    x = torch.linspace(-3, 2, 11)[:, None].double()
    torch.testing.assert_close(
        perfect.log_prob(x, steps=200), BELLS.log_prob(x.float()).double(), atol=0.05, rtol=0
    )


def test_a_diffusion_begins_as_wide_as_data_of_spread_one_with_all_its_noise():
    """A network that guesses no noise leaves the start as it is: √(1 + high²) normal numbers."""
    model = Diffusion(Formula(lambda given: 0 * given[..., :1]), dim=1, low=0.1, high=2.0)
    z = torch.randn(6, 1, generator=seeded(5), dtype=torch.float64)
    torch.testing.assert_close(model.sample((6,), seeded(5), steps=3), math.sqrt(5) * z)
    x = torch.linspace(-3, 3, 7).double()[:, None]
    expected = torch.from_numpy(stats.norm(0, math.sqrt(5)).logpdf(x.numpy())).flatten()
    torch.testing.assert_close(model.log_prob(x, steps=3), expected)


@pytest.mark.parametrize("kind", [Diffusion, FlowMatching])
def test_every_sample_has_a_level_or_a_time_of_its_own(kind: Callable[..., Any]):
    shown = []

    def look(given: Tensor) -> Tensor:
        shown.append(given[..., -1])
        return given[..., :1]

    kind(Formula(look), dim=1).loss(torch.zeros(2, 500, 1), seeded(1))
    level = shown[0]
    assert len(level.unique()) > 990
    for run in level.double():  # evenly, from −1 to 1
        assert stats.kstest(run.numpy(), stats.uniform(-1, 2).cdf).pvalue > 1e-3


@pytest.mark.parametrize("steps", [1, 2, 7])
def test_a_sampler_calls_the_network_once_a_step(steps: int):
    calls = []

    def counted(given: Tensor) -> Tensor:
        calls.append(len(given))
        return torch.zeros_like(given[..., :1])

    for kind in (Diffusion, FlowMatching):
        calls.clear()
        kind(Formula(counted), 1).sample((5,), steps=steps)
        assert calls == [5] * steps


def test_the_levels_fall_to_nothing():
    levels = Diffusion(mlp(2, 1), dim=1).levels(6)
    assert levels.shape == (7,)
    assert levels[0] == 10 and levels[-1] == 0
    torch.testing.assert_close(levels[-2].item(), 0.002, atol=1e-6, rtol=0)
    ratio = levels[1:-1] / levels[:-2]
    torch.testing.assert_close(ratio, ratio[:1].expand(5))


# --- Flow matching ------------------------------------------------------------------------

MEAN, STD = 1.5, 0.4


def gaussian_field(given: Tensor) -> Tensor:
    """E[x − z | x_t] for data N(1.5, 0.4²): jointly normal, so a regression line."""
    x, t = given[..., :1], (given[..., 1:] + 1) / 2
    variance = (1 - t) ** 2 + t**2 * STD**2
    covariance = t * STD**2 - (1 - t)
    return MEAN + covariance / variance * (x - t * MEAN)


@pytest.mark.slow
def test_the_learnt_field_of_a_gaussian_is_the_closed_form():
    source = GaussianMixture([MEAN], std=STD)
    random = seeded(1)
    model = fit(FlowMatching(mlp(2, 1, width=32), dim=1), source, 800, rate=3e-3, generator=random)
    t = torch.rand(2_000, 1, generator=random)
    x = (1 - t) * torch.randn(2_000, 1, generator=random) + t * source.sample((2_000,), random)
    with torch.no_grad():
        found = model.velocity(x, t)
    expected = gaussian_field(torch.cat([x, 2 * t - 1], dim=-1))
    assert (found - expected).square().mean() < 0.01 < expected.var() / 10


def test_the_exact_field_carries_noise_to_the_gaussian():
    model = FlowMatching(Formula(gaussian_field), dim=1)
    x = model.sample((5_000,), seeded(2), steps=100).flatten()
    assert stats.kstest(x.numpy(), stats.norm(MEAN, STD).cdf).pvalue > 0.01
    at = torch.linspace(0.3, 2.7, 9)[:, None].double()
    expected = stats.norm(MEAN, STD).logpdf(at.numpy()).ravel()
    np.testing.assert_allclose(model.log_prob(at, steps=100).numpy(), expected, atol=1e-4)


def test_one_step_of_the_exact_field_is_the_mean():
    model = FlowMatching(Formula(gaussian_field), dim=1)
    x = model.sample((2_000,), seeded(2), steps=1)
    torch.testing.assert_close(x, torch.full_like(x, MEAN))


def test_the_loss_of_flow_matching_is_least_at_the_field():
    x = GaussianMixture([MEAN], std=STD).sample((100_000,), seeded(1)).double()

    def loss(shift: float, factor: float) -> float:
        network = Formula(lambda given: factor * gaussian_field(given) + shift)
        return FlowMatching(network, dim=1).loss(x, seeded(2)).mean().item()

    best = loss(0, 1)
    assert all(loss(*other) > best + 1e-3 for other in ((0.1, 1), (-0.1, 1), (0, 0.9), (0, 1.1)))


def test_along_a_linear_field_the_integral_is_its_trace():
    matrix = torch.tensor([[0.3, -1.0], [0.5, 0.2]]).double()
    x = torch.randn(3, 4, 2, generator=seeded()).double()
    end, total = along(lambda x, t: x @ matrix.T, x, 0.0, 2.0, 40)
    torch.testing.assert_close(end, x @ torch.matrix_exp(2 * matrix).T, atol=1e-5, rtol=0)
    torch.testing.assert_close(total, torch.full((3, 4), 2 * 0.5).double())


# --- All of them --------------------------------------------------------------------------


def families(runs: int | None = None) -> dict[str, Any]:
    def built(build: Callable[[], nn.Module]) -> nn.Module:
        return build() if runs is None else Ensemble(build, runs)

    head = MixtureHead(4)
    return {
        "VAE": VAE(built(lambda: mlp(2, 4, width=16)), built(lambda: mlp(2, 2, width=16)), 2),
        "autoregressive": Autoregressive(
            built(lambda: masked_network(2, head.outputs, width=16, waves=2)), head, 2
        ),
        "diffusion": Diffusion(built(lambda: mlp(3, 2, width=16, fourier=2)), 2),
        "flow matching": FlowMatching(built(lambda: mlp(3, 2, width=16)), 2),
        "normalising flow": RealNVP([built(lambda: mlp(2, 4, width=16)) for _ in range(4)], 2),
    }


@pytest.mark.slow
@pytest.mark.parametrize("name", families())
def test_training_helps_and_runs_are_their_own(name: str):
    random = seeded()
    model = families(2)[name]
    target = ring(4, radius=1.4, std=0.2)
    x = target.sample((2, 1_000), random)
    with torch.no_grad():
        before = model.loss(x, seeded(1)).mean(dim=-1)
    trained = fit(model, target, 150, batch=64, rate=3e-3, averaging=0.9, runs=2, generator=random)
    with torch.no_grad():
        after = trained.loss(x, seeded(1)).mean(dim=-1)
    assert after.shape == (2,) and bool((after < before - 0.05).all())
    assert after[0] != after[1]
    samples = trained.sample((2, 50), random)
    assert samples.shape == (2, 50, 2) and bool(samples.isfinite().all())
    assert not samples.requires_grad
    assert trained.log_prob(x[:, :3]).shape == (2, 3)


@pytest.mark.parametrize("name", families())
def test_the_same_seed_draws_the_same(name: str):
    seeded()
    model = families()[name]
    with torch.no_grad():
        first, second, other = (model.sample((5,), seeded(n)) for n in (1, 1, 2))
    assert torch.equal(first, second) and not torch.equal(first, other)


@pytest.mark.parametrize("name", families())
def test_nothing_is_drawn_from_elsewhere(name: str):
    """The generator alone decides: the loss, the samples, and what is drawn of a density."""
    seeded()
    model, x = families()[name], torch.randn(6, 2, generator=seeded(3))
    found = []
    for elsewhere in (1, 2):
        torch.manual_seed(elsewhere)
        random = torch.Generator().manual_seed(0)
        with torch.no_grad():
            found.append([model.loss(x, random), model.sample((4,), random)])
            found[-1].append(model.log_prob(x, random))
    assert all(torch.equal(*pair) for pair in zip(*found, strict=True))


def test_fit_is_adam_by_hand(monkeypatch: pytest.MonkeyPatch):
    """Its rates, its decay rates, and the average of the weights after each step."""
    rates, weights, adam = [], [], torch.optim.Adam

    class Spy(adam):  # type: ignore[misc, valid-type]
        def step(self, *given: Any) -> None:
            (group,) = self.param_groups
            assert group["betas"] == (0.9, 0.999)
            rates.append(group["lr"])
            super().step(*given)
            weights.append(model.weight.detach().clone())

    monkeypatch.setattr(torch.optim, "Adam", Spy)
    model = nn.Linear(1, 1, bias=False)
    model.loss = lambda x, generator: (model(x) - 3).square().squeeze(-1)  # type: ignore[assignment]
    expected = model.weight.detach().clone()
    average = fit(model, normal(1), 8, batch=2, rate=0.1, averaging=0.75)
    falling = [0.1 * (1 - 0.99 * (2 * step / 8 - 1)) for step in range(4, 8)]
    assert rates == pytest.approx([0.1] * 4 + falling)
    for each in weights:
        expected = 0.75 * expected + 0.25 * each
    torch.testing.assert_close(average.weight, expected)
    assert not average.weight.requires_grad


@pytest.mark.parametrize("name", families())
def test_a_training_that_leaves_the_numbers_says_so(name: str):
    """At a scale whose squares no float32 holds; and the last good weights stay."""
    model, far = families()[name], GaussianMixture(torch.full((1, 2), 1e38), 1e37)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    with pytest.raises(ArithmeticError, match=r"step 1: the loss is (nan|inf).*spread of about"):
        fit(model, far, 3, batch=4, generator=seeded())
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


def test_weights_that_leave_the_numbers_in_the_last_step_are_not_returned():
    model = families()["VAE"]
    with pytest.raises(
        ArithmeticError, match=r"last weights are not finite: lower the rate, 1e\+300"
    ):
        fit(model, normal(2), 1, batch=4, rate=1e300, generator=seeded())


def test_a_value_is_shown_from_minus_one_to_one():
    shown = ValueHead(5).seen(torch.arange(5.0))
    assert shown.tolist() == [-1, -0.5, 0, 0.5, 1]


def test_waves_run_from_three_tenths_to_ten_radians():
    waves = masked_network(2, 1, width=4, waves=3)[0]
    assert waves.frequencies.tolist() == pytest.approx([0.3, math.sqrt(3), 10])


def test_a_mixture_s_parts_may_be_as_narrow_as_a_thousandth():
    head = MixtureHead(1)
    given = torch.tensor([[[0.0, 0.0, -9.0]]])
    peak = head.log_prob(given, torch.tensor([[-1.5]])).item()
    expected = 7 - math.log(2 * math.pi) / 2  # exp(−6 − 1): the floor
    assert peak == pytest.approx(expected)


def test_fit_gives_averaged_weights_and_ends_slowly():
    model = nn.Linear(1, 1)
    model.loss = lambda x, generator: -model.weight.sum() + 0 * x.sum(dim=-1)  # type: ignore[assignment]
    before = model.weight.item()
    average = fit(model, normal(1), 100, batch=2, rate=0.01, averaging=0.9)
    walked = model.weight.item() - before  # Adam's steps have the length of the rate
    assert abs(walked - 0.01 * (50 + 0.505 * 50)) < 0.01
    assert 0 < model.weight.item() - average.weight.item() < 0.02


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: VAE(mlp(2, 4), mlp(2, 2), latent=0), "latent = 0: must be a whole number"),
        (lambda: VAE(3, mlp(2, 2), latent=1), "encoder = 3: must be a function"),
        (lambda: masked_network(9, 2, width=4), "width = 4: .*at least 8"),
        (lambda: MixtureHead(0), "components = 0"),
        (lambda: ValueHead(1), "values = 1: .*at least 2"),
        (lambda: Autoregressive(mlp(2, 4), "mixture", 2), "head = 'mixture': must be"),
        (lambda: Diffusion(mlp(3, 2), 2, low=2, high=1), "high = 1: .*above 2"),
        (lambda: Diffusion(mlp(3, 2), 2).sample((1,), steps=0), "steps = 0"),
        (lambda: FlowMatching(mlp(3, 2), 2).sample((1,), steps=0), "steps = 0"),
        (lambda: RealNVP([], 2), r"networks = \[\]: must be a list"),
        (lambda: RealNVP([mlp(2, 4)], 1), "dim = 1: .*at least 2"),
        (lambda: fit(mlp(2, 2), ring(), 5), "model.loss = None: must be a function"),
        (lambda: fit(families()["VAE"], ring(), 0), "steps = 0"),
        (lambda: fit(families()["VAE"], ring(), 1, rate=0), "rate = 0: .*above 0"),
        (lambda: families()["VAE"].loss(torch.zeros(3)), r"x has shape \(3,\): expected"),
        (lambda: fit(families()["VAE"].requires_grad_(False), ring(), 1), "(?s)model = .*to train"),
        (lambda: next(quickly(torch.zeros(3, 2))), "(?s)source = .*have a sample"),
        (lambda: Diffusion(mlp(3, 2), 2).score(torch.zeros(2, 2), torch.zeros(2, 1)), "sigma = "),
    ],
)
def test_a_bad_argument_is_named(make: Callable[[], Any], message: str):
    with pytest.raises(ValueError, match=message):
        make()


Q = torch.zeros(4, 2)


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda: Diffusion(mlp(3, 1), 2).loss(Q), r"network returned shape \(4, 1\): .*\(4, 2\)"),
        (lambda: FlowMatching(mlp(3, 1), 2).loss(Q), r"network returned shape \(4, 1\): .*\(4, 2"),
        (lambda: FlowMatching(mlp(2, 2), 2).sample((4,)), r"x has shape \(4, 3\), which the netw"),
        (lambda: RealNVP([mlp(2, 2)], 2).log_prob(Q), r"network returned shape \(4, 2\): .*\(4, 4"),
        (lambda: RealNVP([mlp(3, 4)], 2).sample((4,)), r"x has shape \(4, 2\), which the network"),
        (
            lambda: VAE(mlp(2, 3), mlp(2, 2), 2).elbo(Q),
            r"encoder returned shape \(4, 3\): .*\(4, 4",
        ),
        (
            lambda: VAE(mlp(2, 4), mlp(2, 1), 2).elbo(Q),
            r"decoder returned shape \(4, 1\): .*\(4, 2",
        ),
        (
            lambda: Autoregressive(mlp(2, 5), MixtureHead(1), 2).log_prob(Q),
            r"network returned shape \(4, 5\): expected \(4, 6\)",
        ),
    ],
)
def test_a_network_that_does_not_fit_is_named(ask: Callable[[], Any], message: str):
    """One number where two are due would be taken twice, and nothing would be said."""
    with pytest.raises(ValueError, match=message):
        ask()


@pytest.mark.parametrize("name", families())
def test_one_sample_without_a_batch(name: str):
    model = families()[name]
    with torch.no_grad():
        one, among = model.sample((), seeded(1)), model.sample((1,), seeded(1))
    assert torch.equal(one, among[0])


def test_the_trained_model_has_the_running_statistics():
    seeded()
    model = VAE(mlp(2, 4, width=8, batch_norm=True), mlp(2, 2, width=8), latent=2)
    trained = fit(model, normal(2), 5, batch=32, generator=seeded())
    mean, *_ = (b for n, b in trained.named_buffers() if n.endswith("running_mean"))
    own, *_ = (b for n, b in model.named_buffers() if n.endswith("running_mean"))
    assert torch.equal(mean, own) and float(mean.abs().max()) > 1e-3


def test_along_a_bent_field_the_integral_is_that_of_its_closed_form():
    """dx/dt = −x²: x = x₀ / (1 + x₀t), and the divergence −2x adds up to −2 log(1 + x₀t)."""
    x = torch.tensor([[0.5], [1.0], [2.0]], dtype=torch.float64)
    at, gained = along(lambda x, t: -x.square(), x, 0.0, 1.0, steps=40)
    torch.testing.assert_close(at, x / (1 + x), atol=1e-6, rtol=0)
    torch.testing.assert_close(gained, -2 * (1 + x).log().flatten(), atol=1e-5, rtol=0)


def test_pictures_are_learnt_by_value():
    rows = torch.tensor([[0.0, 1, 2], [2, 2, 0]])
    head, random = ValueHead(3), seeded()
    model = Autoregressive(masked_network(3, 3, width=16), head, dim=3)
    trained = fit(model, Empirical(rows), 300, batch=16, rate=1e-2, generator=random)
    with torch.no_grad():
        assert trained.log_prob(rows).exp().sum() > 0.9


# --- A first look at all of them -----------------------------------------------------------


def corner() -> GaussianMixture:
    """What a reader might draw: two strokes, far from the origin, in units of their own."""
    stroke = torch.linspace(0, 1, 40)
    down = torch.stack([torch.zeros(40), stroke], dim=1)
    return drawn(30 + 4 * torch.cat([down, down.flip(1)]), std=0.15)


@pytest.mark.slow
def test_a_second_each_is_enough_to_see_what_was_drawn():
    target = corner()
    random = torch.Generator().manual_seed(5)
    fresh, other = target.sample((2, 500), random)
    bell = fresh.mean(dim=0) + fresh.std(dim=0) * torch.randn(500, 2, generator=random)
    far = [
        float(sliced_wasserstein(x[None], other[None], generator=seeded()))
        for x in (bell, *(x for _, x in quickly(target)))
    ]
    assert max(far[1:]) < 0.8 * far[0], far  # nearer than one Gaussian, though it has the moments


@pytest.mark.slow
def test_quick_families_are_six_and_draw_in_the_units_of_the_data():
    state = torch.random.get_rng_state()
    found = dict(quickly(corner(), steps=40, samples=60))
    assert list(found) == list(SHARES)
    for name, x in found.items():
        assert x.shape == (60, 2), name
        assert not x.requires_grad
        assert (x.mean(dim=0) - 31).abs().max() < 4, name  # not around 0, where z is
    assert torch.equal(state, torch.random.get_rng_state())
    again = dict(quickly(corner(), steps=40, samples=60))
    assert all(torch.equal(found[name], again[name]) for name in found)
    other = dict(quickly(corner(), steps=40, samples=60, seed=1))
    assert not any(torch.equal(found[name], other[name]) for name in found)


def test_shifted_and_scaled_and_back():
    target = corner()
    data = Standard(target)
    x = data.sample((2, 5_000), torch.Generator().manual_seed(1))
    assert x.shape == (2, 5_000, 2)
    assert x.mean().abs() < 0.05
    assert float(x.std()) == pytest.approx(1, abs=0.05)
    same = target.sample((2, 5_000), torch.Generator().manual_seed(1))
    torch.testing.assert_close(data.back(x), same, rtol=0, atol=1e-4)


def test_quick_families_want_points_of_the_plane():
    with pytest.raises(ValueError, match="points of the plane"):
        next(quickly(normal(3)))
    for argument in ("steps", "samples"):
        with pytest.raises(ValueError, match=argument):
            next(quickly(corner(), **{argument: 0}))
