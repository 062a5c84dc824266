"""Networks: plain modules, and run i of an ensemble is the plain network i."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest
import torch
from torch import Generator, Tensor, nn
from torch.nn.utils import parametrizations
from toys import deconvolution

from gan_course.networks import (
    ACTIVATIONS,
    Ensemble,
    FourierFeatures,
    is_plain,
    mlp,
    residual_mlp,
)
from gan_course.training.state import Solo

RUNS, BATCH = 3, 16
Build = Callable[[], nn.Module]


class Tied(nn.Module):
    """Two layers that share a weight, as an auto-encoder's may."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(2, 2), nn.Linear(2, 2)
        self.second.weight = self.first.weight

    def forward(self, x: Tensor) -> Tensor:
        return self.second(self.first(x).tanh())


def spectral_convolution() -> nn.Sequential:
    from torch.nn.utils import parametrize

    from gan_course.networks import SpectralNorm

    layer = nn.Conv1d(1, 4, 2)
    parametrize.register_parametrization(layer, "weight", SpectralNorm(layer.weight))
    return nn.Sequential(nn.Unflatten(1, (1, 2)), layer, nn.Flatten())


def moved(network: nn.Module) -> nn.Module:
    """Away from a start with zeros."""
    for weight in network.parameters():
        nn.init.normal_(weight, 0, 0.3)
    return network


NETWORKS: dict[str, Build] = {
    "mlp": lambda: mlp(2, 3, width=16),
    "no bias": lambda: nn.Sequential(nn.Linear(2, 4, bias=False), nn.Softplus(), nn.Linear(4, 1)),
    "batch norm": lambda: mlp(2, 3, width=16, batch_norm=True),
    "spectral norm": lambda: mlp(2, 3, width=16, spectral_norm=True),
    "both norms": lambda: mlp(2, 3, width=16, batch_norm=True, spectral_norm=True),
    "minibatch std": lambda: mlp(2, 3, width=16, minibatch_std=True),
    "waves": lambda: mlp(2, 3, width=16, fourier=4),
    "residual": lambda: moved(residual_mlp(2, 3, width=16)),
    "convolutional": deconvolution,
    "spectral convolution": spectral_convolution,
    "nested": lambda: nn.Sequential(mlp(2, 4, width=8), nn.Sequential(nn.LayerNorm(4))),
    "tied": Tied,
}


def batch(seed: int = 0, *shape: int) -> Tensor:
    return torch.randn(*(shape or (RUNS, BATCH, 2)), generator=Generator().manual_seed(seed))


def ensemble(name: str, seed: int = 0) -> Ensemble:
    torch.manual_seed(seed)
    return Ensemble(NETWORKS[name], RUNS)


def top_singular_value(layer: nn.Module) -> Tensor:
    return torch.linalg.matrix_norm(layer.weight.detach().flatten(1), ord=2)


# -- mlp ------------------------------------------------------------------------------


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("depth", [0, 1, 3])
def test_mlp_is_its_layers_by_hand(activation: str, depth: int) -> None:
    network = mlp(4, 2, width=8, depth=depth, activation=activation)
    by_hand: dict[str, Callable[[Tensor], Tensor]] = {
        "relu": lambda h: h.clamp(min=0),
        "leaky relu": lambda h: torch.where(h > 0, h, 0.2 * h),
        "tanh": torch.tanh,
        "softplus": lambda h: (1 + h.exp()).log(),
    }
    linears = [layer for layer in network if isinstance(layer, nn.Linear)]
    sizes = [4, *[8] * depth, 2]
    assert [(layer.in_features, layer.out_features) for layer in linears] == list(
        itertools.pairwise(sizes)
    )
    h = x = batch(0, 5, 4)
    for layer in linears[:-1]:
        h = by_hand[activation](h @ layer.weight.T + layer.bias)
    torch.testing.assert_close(network(x), h @ linears[-1].weight.T + linears[-1].bias)


def test_mlp_options_add_what_they_name() -> None:
    plain, normed = mlp(2, 1), mlp(2, 1, batch_norm=True, depth=3)
    assert not [m for m in plain.modules() if isinstance(m, nn.BatchNorm1d)]
    assert len([m for m in normed.modules() if isinstance(m, nn.BatchNorm1d)]) == 3


@pytest.mark.parametrize("blocks", [0, 1, 3])
def test_residual_blocks_add_to_what_they_see(blocks: int) -> None:
    """Layer by layer, x + W₂ act(W₁ act(x) + b₁) + b₂, with the layers of a deep perceptron."""
    network = moved(residual_mlp(4, 2, width=8, blocks=blocks))
    layers = [layer for layer in network.modules() if isinstance(layer, nn.Linear)]
    plain = [w.shape for w in mlp(4, 2, width=8, depth=1 + 2 * blocks).parameters()]
    assert [w.shape for w in network.parameters()] == plain

    def act(h: Tensor) -> Tensor:
        return torch.where(h > 0, h, 0.2 * h)

    x = batch(0, 5, 4)
    first, *inner, last = [lambda h, m=m: h @ m.weight.T + m.bias for m in layers]
    h = first(x)
    for one, two in zip(inner[::2], inner[1::2], strict=True):
        h = h + two(act(one(act(h))))
    torch.testing.assert_close(network(x), last(act(h)))
    assert is_plain(network)


def test_residual_blocks_begin_as_if_they_were_not_there() -> None:
    torch.manual_seed(0)
    network = residual_mlp(4, 2, width=8, blocks=3, activation="tanh")
    first, *_, last = [layer for layer in network.modules() if isinstance(layer, nn.Linear)]
    x = batch(0, 5, 4)
    assert torch.equal(network(x), last(first(x).tanh()))
    # … and begin to move: the gradient reaches the zeros.
    network(x).square().sum().backward()
    assert all(bool(network[i].inner[-1].weight.grad.any()) for i in (1, 2, 3))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"inputs": 0, "outputs": 1}, "inputs = 0"),
        ({"inputs": 1, "outputs": 0}, "outputs = 0"),
        ({"inputs": 1, "outputs": 1, "width": 0}, "width = 0"),
        ({"inputs": 1, "outputs": 1, "blocks": -1}, "blocks = -1"),
        ({"inputs": 1, "outputs": 1, "activation": "swish"}, "activation = 'swish': .*relu"),
    ],
)
def test_residual_mlp_names_bad_arguments(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        residual_mlp(**options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"inputs": 0, "outputs": 1}, "inputs = 0"),
        ({"inputs": 1, "outputs": 0}, "outputs = 0"),
        ({"inputs": 1, "outputs": 1, "width": 0}, "width = 0"),
        ({"inputs": 1, "outputs": 1, "depth": -1}, "depth"),
        ({"inputs": 1, "outputs": 1, "fourier": -1}, "fourier = -1"),
        (
            {"inputs": 1, "outputs": 1, "fourier": 1, "frequencies": (2, 1)},
            r"frequencies = \(2, 1\)",
        ),
        ({"inputs": 1, "outputs": 1, "activation": "swish"}, "activation = 'swish': .*relu"),
    ],
)
def test_mlp_names_bad_arguments(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        mlp(**options)


def test_the_last_layer_sees_the_spread_of_its_batch() -> None:
    """Karras et al. 2018, section 3: σ over the batch, feature by feature, then their mean."""
    network = mlp(2, 1, width=4, depth=1, minibatch_std=True)
    x = batch(0, 6, 2)
    h = network[:2](x)
    mean = h.sum(dim=0) / 6
    spread = sum(((h[:, i] - mean[i]).square().sum() / 6).sqrt() for i in range(4)) / 4
    last = network[-1]
    expected = h @ last.weight[:, :4].T + spread * last.weight[:, 4] + last.bias
    torch.testing.assert_close(network(x), expected)


def test_samples_that_are_all_alike_have_a_spread_with_a_gradient() -> None:
    x = torch.ones(5, 2, requires_grad=True)
    mlp(2, 1, minibatch_std=True)(x).sum().backward()
    assert x.grad.isfinite().all()


def test_waves_are_sines_and_cosines_of_the_input_along_random_directions() -> None:
    torch.manual_seed(0)
    layer = FourierFeatures(2, 3, (0.5, 8.0))
    torch.testing.assert_close(layer.waves.norm(dim=0), torch.tensor([0.5, 2.0, 8.0]))
    x = batch(0, 5, 2)
    phases = [x[:, 0] * layer.waves[0, i] + x[:, 1] * layer.waves[1, i] for i in range(3)]
    columns = [*x.T, *(phase.sin() for phase in phases), *(phase.cos() for phase in phases)]
    torch.testing.assert_close(layer(x), torch.stack(columns, dim=1))
    assert not list(layer.parameters())


# -- spectral norm --------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
def test_spectral_norm_brings_the_largest_singular_value_to_one(seed: int) -> None:
    torch.manual_seed(seed)
    network = mlp(3, 4, width=20, spectral_norm=True)
    for _ in range(100):
        network(batch(0, 2, 3))
    for layer in network[::2]:
        assert float(top_singular_value(layer.eval())) == pytest.approx(1, abs=1e-3)


def test_spectral_norm_is_torchs_when_converged() -> None:
    torch.manual_seed(0)
    plain = nn.Linear(6, 5)
    ours = mlp(6, 5, depth=0, spectral_norm=True)[0]
    with torch.no_grad():
        ours.parametrizations.weight.original.copy_(plain.weight)
        ours.bias.copy_(plain.bias)
    theirs = parametrizations.spectral_norm(plain, n_power_iterations=1)
    x = batch(0, 7, 6)
    for _ in range(300):
        ours(x), theirs(x)
    torch.testing.assert_close(ours(x), theirs(x), rtol=1e-5, atol=1e-6)
    slopes = [
        torch.autograd.grad(layer(x).square().sum(), layer.parametrizations.weight.original)[0]
        for layer in (ours, theirs)
    ]
    torch.testing.assert_close(*slopes, rtol=1e-4, atol=1e-5)


def test_spectral_norm_stands_still_in_eval() -> None:
    network = mlp(2, 1, spectral_norm=True).eval()
    before = {name: buffer.clone() for name, buffer in network.named_buffers()}
    network(batch(0, 4, 2))
    assert before
    assert all(torch.equal(buffer, before[name]) for name, buffer in network.named_buffers())


def test_spectral_norm_follows_a_weight_that_moves() -> None:
    torch.manual_seed(0)
    layer = mlp(6, 5, depth=0, spectral_norm=True)[0]
    with torch.no_grad():
        layer.parametrizations.weight.original.copy_(3 * torch.randn(5, 6))
    for _ in range(100):
        layer(batch(0, 2, 6))
    assert float(top_singular_value(layer.eval())) == pytest.approx(1, abs=1e-3)


# -- Ensemble -------------------------------------------------------------------------


@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
@pytest.mark.parametrize("name", NETWORKS)
def test_run_i_is_member_i(name: str, training: bool) -> None:
    many = ensemble(name)
    many(batch(1))  # running statistics leave their start
    many.train(training)
    members = [many.member(run).train(training) for run in range(RUNS)]
    for seed in (2, 3):
        x = batch(seed)
        together = many(x)
        for run, member in enumerate(members):
            torch.testing.assert_close(together[run], member(x[run]), rtol=1e-5, atol=1e-6)
    for run, member in enumerate(members):
        for (key, buffer), (_, own) in zip(
            many.module.named_buffers(), member.named_buffers(), strict=True
        ):
            torch.testing.assert_close(buffer[run], own, rtol=1e-5, atol=1e-6, msg=key)


@pytest.mark.parametrize("name", NETWORKS)
def test_gradients_of_run_i_are_those_of_member_i(name: str) -> None:
    many = ensemble(name)
    members = [many.member(run) for run in range(RUNS)]
    x = batch(1)
    many(x).square().flatten(1).mean(dim=1).sum().backward()
    for run, member in enumerate(members):
        member(x[run]).square().mean().backward()
        for (key, stacked), (_, own) in zip(
            many.module.named_parameters(), member.named_parameters(), strict=True
        ):
            torch.testing.assert_close(stacked.grad[run], own.grad, rtol=1e-4, atol=1e-6, msg=key)


@pytest.mark.parametrize("name", NETWORKS)
def test_copies_differ_and_repeat_with_the_seed(name: str) -> None:
    many, again = ensemble(name), ensemble(name)
    x = batch(1)[:1].expand(RUNS, BATCH, 2)
    y = many(x)
    assert torch.equal(y, again(x))
    assert not torch.allclose(y[0], y[1])
    assert not torch.allclose(y[1], y[2])


@pytest.mark.parametrize("name", NETWORKS)
def test_ensemble_holds_runs_times_the_tensors_of_one(name: str) -> None:
    one, many = NETWORKS[name]().state_dict(), ensemble(name).module.state_dict()
    assert {key: (RUNS, *value.shape) for key, value in one.items()} == {
        key: tuple(value.shape) for key, value in many.items()
    }


@pytest.mark.parametrize("name", NETWORKS)
def test_ensemble_has_every_parameter_once(name: str) -> None:
    """A tied weight that is stacked under one of its names only would be shared by all runs."""
    one, many = NETWORKS[name](), ensemble(name)
    count = sum(p.numel() for p in one.parameters())
    assert sum(p.numel() for p in many.parameters()) == RUNS * count


def test_a_member_has_weights_of_its_own() -> None:
    many = ensemble("mlp")
    member, x = many.member(1), batch(1)
    before = many(x)
    with torch.no_grad():
        for weight in member.parameters():
            weight.zero_()
    assert torch.equal(many(x), before)
    assert all(p.requires_grad and p.is_leaf for p in member.parameters())


def test_runs_never_see_one_another() -> None:
    for name in ("batch norm", "convolutional"):
        many, x = ensemble(name), batch(1)
        poisoned = x.clone()
        poisoned[1] = torch.nan
        y, z = many(x), many(poisoned)
        assert z[1].isnan().all()
        assert torch.equal(y[[0, 2]], z[[0, 2]])


def test_ensemble_names_bad_arguments() -> None:
    with pytest.raises(ValueError, match="runs = 0"):
        Ensemble(NETWORKS["mlp"], 0)
    many = ensemble("mlp")
    for run in (-1, RUNS):
        with pytest.raises(ValueError, match=f"run = {run}: expected 0 to 2"):
            many.member(run)
    for shape in [(2, BATCH, 2), (2,)]:
        with pytest.raises(ValueError, match=r"x has shape .*expected \(3, batch, \.\.\.\)"):
            many(torch.zeros(shape))


def test_solo_is_the_network_itself() -> None:
    network = mlp(2, 1)
    solo, x = Solo(network), batch(1, 1, BATCH, 2)
    assert torch.equal(solo(x)[0], network(x[0]))
    assert solo.member(0) is network
    with pytest.raises(ValueError, match="run = 1"):
        solo.member(1)


def seen(ensemble: Ensemble, module: nn.Module, x: Tensor) -> int:
    calls: list[int] = []
    handle = module.register_forward_hook(lambda *_: calls.append(1))
    ensemble(x)
    handle.remove()
    return len(calls)


def test_a_hook_of_an_ensemble_is_called() -> None:
    many, x = Ensemble(lambda: nn.Sequential(nn.Linear(2, 2), nn.Tanh()), 3), batch(1)
    plain = many(x)
    for module in (many.module, many.module[0], many.module[1]):
        assert seen(many, module, x) == 1
    doubled = many.module[0].register_forward_hook(lambda _module, _inputs, output: 2 * output)
    assert not torch.allclose(many(x), plain)
    doubled.remove()
    torch.testing.assert_close(many(x), plain)


class Counting(nn.Module):
    """Counts its calls in a buffer: written into, or replaced."""

    def __init__(self, replace: bool) -> None:
        super().__init__()
        self.register_buffer("count", torch.zeros(()))
        self.layer, self.replace = nn.Linear(2, 1), replace

    def forward(self, x: Tensor) -> Tensor:
        if self.replace:
            self.count = self.count + 1
        else:
            self.count += 1
        return self.layer(x)


def test_state_is_kept_or_refused() -> None:
    many = Ensemble(lambda: Counting(replace=False), RUNS)
    for _ in range(2):
        many(batch(1))
    assert many.module.count.tolist() == [2.0] * RUNS
    with pytest.raises(ValueError, match="replaces its buffer 'count'"):
        Ensemble(lambda: Counting(replace=True), RUNS)(batch(1))


class Constant(nn.Module):
    """Keeps numbers of its own outside of parameters and buffers."""

    def __init__(self) -> None:
        super().__init__()
        self.shift = torch.randn(2)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.shift


ONE = mlp(2, 2)
WIDTHS = itertools.cycle([8, 9])
SLOPES = itertools.cycle([0.1, 0.3])
DEPTHS = itertools.cycle([1, 2])


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: ONE, "share weights: must make a new one at each call"),
        (lambda: nn.Sequential(ONE[0], nn.Linear(128, 1)), "share weights"),
        (ONE, "(?s)build = .*: must be a function that makes a network"),
        (3, "build = 3: must be a function"),
        (lambda: 3, "build made 3: must make a torch.nn.Module"),
        (lambda: mlp(2, 2, width=next(WIDTHS)), "differ in 0.out_features: 8 and 9"),
        (lambda: nn.LeakyReLU(next(SLOPES)), r"differ in negative_slope: 0\.1 and 0\.3"),
        (lambda: mlp(2, 2, depth=next(DEPTHS)), "differ in"),
        (Constant, "differ in shift"),
        (lambda: nn.GRU(2, 2), "GRU, which torch.func.vmap cannot run"),
        (lambda: nn.Sequential(nn.Linear(2, 2), nn.LSTM(2, 2)), "LSTM"),
    ],
)
def test_what_cannot_be_an_ensemble_is_refused(build: Build, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Ensemble(build, 2)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (lambda: Ensemble(NETWORKS["mlp"], True), "runs = True"),
        (lambda: Ensemble(NETWORKS["mlp"], 2.0), r"runs = 2\.0"),
        (lambda: mlp(True, 1), "inputs = True"),
        (lambda: mlp(2, 1, width=8.0), r"width = 8\.0"),
        (lambda: mlp(2, 1, fourier=-1), "fourier = -1"),
        (lambda: mlp(2, 1, batch_norm=1), "batch_norm = 1: must be True or False"),
        (lambda: mlp(2, 1, activation=None), "activation = None"),
        (lambda: mlp(2, 1, fourier=2, frequencies=(1.0, float("inf"))), r"frequencies\[1\] = inf"),
        (lambda: mlp(2, 1, fourier=2, frequencies=3), "frequencies = 3"),
        (lambda: ensemble("mlp").member(True), "run = True: expected 0 to 2"),
    ],
)
def test_a_count_is_a_whole_number(bad: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        bad()


def test_dropout_masks_differ_between_runs() -> None:
    """One mask for all runs would make a thousand of them one."""
    torch.manual_seed(0)
    many = Ensemble(lambda: nn.Dropout(0.5), 4)
    kept = many(torch.ones(4, 50, 20)).bool()
    for one, other in itertools.combinations(kept, 2):
        assert (one == other).double().mean().item() == pytest.approx(0.5, abs=0.08)
