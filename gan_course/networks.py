"""Networks: plain modules, and many copies of one trained as a single program."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call, vmap
from torch.nn.utils import parametrize

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "leaky relu": lambda: nn.LeakyReLU(0.2),
    "tanh": nn.Tanh,
    "softplus": nn.Softplus,
}


def mlp(
    inputs: int,
    outputs: int,
    *,
    width: int = 128,
    depth: int = 2,
    activation: str = "leaky relu",
    batch_norm: bool = False,
    spectral_norm: bool = False,
    minibatch_std: bool = False,
    fourier: int = 0,
    frequencies: tuple[float, float] = (0.3, 8.0),
) -> nn.Sequential:
    """A multilayer perceptron, samples ``(batch, inputs)`` to ``(batch, outputs)``.

    Args:
        inputs: number of features of a sample.
        outputs: number of features that come out.
        width: units in each hidden layer.
        depth: number of hidden layers; 0 is a linear map.
        activation: a key of :data:`ACTIVATIONS`.
        batch_norm: normalise each hidden layer over the batch (Ioffe & Szegedy 2015).
        spectral_norm: divide each weight by its largest singular value (Miyato et al. 2018).
        minibatch_std: for a discriminator; its last layer sees :class:`MinibatchStd`, too.
        fourier: waves in :class:`FourierFeatures` of the input; 0 for none.
        frequencies: of the longest and of the shortest wave.

    Raises:
        ValueError: a size is not positive, or the activation is unknown.
    """
    sizes = {"inputs": inputs, "outputs": outputs, "width": width, "depth + 1": depth + 1}
    for name, size in sizes.items():
        if size < 1:
            raise ValueError(f"{name} = {size!r}: must be at least 1")
    if activation not in ACTIVATIONS:
        raise ValueError(f"activation = {activation!r}: choose one of {sorted(ACTIVATIONS)}")

    def linear(fan_in: int, fan_out: int, *, bias: bool = True) -> nn.Linear:
        layer = nn.Linear(fan_in, fan_out, bias=bias)
        if spectral_norm:
            parametrize.register_parametrization(layer, "weight", SpectralNorm(layer.weight))
        return layer

    layers: list[nn.Module] = []
    if fourier:
        layers.append(FourierFeatures(inputs, fourier, frequencies))
        inputs += 2 * fourier
    for fan_in, fan_out in pairwise([inputs, *[width] * depth]):
        # Batch norm subtracts the mean, and any bias with it.
        layers.append(linear(fan_in, fan_out, bias=not batch_norm))
        if batch_norm:
            layers.append(nn.BatchNorm1d(fan_out))
        layers.append(ACTIVATIONS[activation]())
    features = width if depth else inputs
    if minibatch_std:
        layers.append(MinibatchStd())
        features += 1
    return nn.Sequential(*layers, linear(features, outputs))


class SpectralNorm(nn.Module):
    """Divide a weight by its largest singular value (Miyato et al. 2018, algorithm 1).

    Each training forward improves the estimate by one power iteration. PyTorch's own
    parametrization writes into buffers in a way that ``vmap`` cannot batch.

    Args:
        weight: the weight to normalise, shape ``(out, ...)``.
    """

    right: Tensor

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.register_buffer("right", torch.randn_like(weight.detach().flatten(1)[0]))
        for _ in range(15):  # start from a good estimate
            self._left(weight)

    def forward(self, weight: Tensor) -> Tensor:
        """Return ``weight / σ(weight)``."""
        left = self._left(weight)
        # The vectors are constants; the gradient flows through the weight alone.
        sigma = left @ (weight.flatten(1) @ self.right.clone())
        return weight / sigma

    @torch.no_grad()
    def _left(self, weight: Tensor) -> Tensor:
        matrix = weight.flatten(1)
        left = F.normalize(matrix @ self.right, dim=0)
        if self.training:
            self.right.copy_(F.normalize(matrix.mT @ left, dim=0))
        return F.normalize(matrix @ self.right, dim=0)


class FourierFeatures(nn.Module):
    """Show a network its input as waves, too (Tancik et al. 2020), so that it sees fine detail.

    Each wave has a direction of its own, drawn at random, and gives a sine and a cosine. The
    frequencies are evenly spaced on a logarithmic scale. Nothing here is trained.

    Args:
        inputs: number of features of a sample.
        waves: number of waves.
        frequencies: the lowest and the highest, in radians per unit of the input.

    Raises:
        ValueError: there are no waves, or the frequencies are not positive and in order.
    """

    waves: Tensor

    def __init__(self, inputs: int, waves: int, frequencies: tuple[float, float]) -> None:
        super().__init__()
        low, high = frequencies
        if waves < 1:
            raise ValueError(f"waves = {waves!r}: must be at least 1")
        if not 0 < low <= high < math.inf:
            raise ValueError(f"frequencies = {frequencies!r}: two numbers, 0 < low ≤ high")
        directions = F.normalize(torch.randn(inputs, waves), dim=0)
        lengths = torch.linspace(math.log(low), math.log(high), waves).exp()
        self.register_buffer("waves", directions * lengths)

    def forward(self, x: Tensor) -> Tensor:
        """Add the features: ``(batch, inputs)`` to ``(batch, inputs + 2 × waves)``."""
        phase = x @ self.waves
        return torch.cat([x, phase.sin(), phase.cos()], dim=-1)


class Ensemble(nn.Module):
    """Many independent copies of one network, trained as a single program.

    Every parameter and buffer of the network gets a leading dimension ``runs``, and so
    do its input and output: ``(runs, batch, ...)``. Run ``i`` never sees run ``j``.

    Linear layers become one batched product and elementwise activations act as they
    are; any other module (convolution, batch norm, one of your own) goes through
    ``torch.func.vmap``.

    Args:
        build: makes one network; called ``runs`` times, so that each copy has its own weights.
        runs: the number of copies.

    Attributes:
        module: the network with stacked parameters; ``module.state_dict()`` has the keys
            of one network, each value with ``runs`` in front.

    Raises:
        ValueError: ``runs`` is below 1.
    """

    def __init__(self, build: Callable[[], nn.Module], runs: int) -> None:
        super().__init__()
        if runs < 1:
            raise ValueError(f"runs = {runs!r}: an ensemble has at least 1")
        members = [build() for _ in range(runs)]
        self.runs = runs
        self.module = copy.deepcopy(members[0])
        _replace_tensors(self.module, lambda name: torch.stack([_get(m, name) for m in members]))

    def forward(self, x: Tensor, *label: Tensor) -> Tensor:
        """Apply copy ``i`` to ``x[i]``; ``x`` has shape ``(runs, batch, ...)``.

        What else a network of your own takes, such as a label, has shape ``(runs, batch)``.
        """
        for each in (x, *label):
            if each.dim() < 2 or each.shape[0] != self.runs:
                raise ValueError(
                    f"x has shape {tuple(each.shape)}: expected ({self.runs}, batch, ...)"
                )
        return _apply(self.module, x, *label)

    def member(self, run: int) -> nn.Module:
        """Lift one copy out as a plain network with weights of its own."""
        if not 0 <= run < self.runs:
            raise ValueError(f"run = {run!r}: expected 0 to {self.runs - 1}")
        member = copy.deepcopy(self.module)
        _replace_tensors(member, lambda name: _get(self.module, name)[run].clone())
        return member


#: Activations, which act on each number alone.
ELEMENTWISE = (nn.Identity, nn.LeakyReLU, nn.ReLU, nn.Sigmoid, nn.Softplus, nn.Tanh)


class MinibatchStd(nn.Module):
    """Show D how alike the samples of its batch are (Karras et al. 2018, section 3).

    One feature is added to every sample: the standard deviation of each feature over the
    batch, averaged over the features.
    """

    mixes_samples = True

    def forward(self, x: Tensor) -> Tensor:
        """Add the feature: ``(batch, features)`` to ``(batch, features + 1)``."""
        # The small number keeps the root differentiable where all samples are alike.
        spread = (x.var(dim=0, correction=0) + 1e-8).sqrt().mean()
        return torch.cat([x, spread.expand(len(x), 1)], dim=1)


def mixes_samples(network: nn.Module) -> bool:
    """Whether a layer looks across its batch, so that real and generated must not share one.

    A layer of your own says so by an attribute ``mixes_samples = True``.
    """
    return any(
        getattr(module, "mixes_samples", isinstance(module, nn.modules.batchnorm._BatchNorm))
        for module in network.modules()
    )


def is_plain(network: nn.Module) -> bool:
    """Whether a network is trained linear layers and activations, without a mode or a memory."""
    plain = (nn.Sequential, nn.Linear, *ELEMENTWISE, FourierFeatures)
    trained = all(parameter.requires_grad for parameter in network.parameters())
    return trained and all(type(module) in plain for module in network.modules())


def _apply(module: nn.Module, x: Tensor, *label: Tensor) -> Tensor:
    # `type(...) is`: a parametrized layer is a subclass, and needs vmap.
    if type(module) is nn.Sequential and not label:
        for layer in module:
            x = _apply(layer, x)
        return x
    if isinstance(module, ELEMENTWISE):
        return module(x)  # type: ignore[no-any-return]
    if type(module) is nn.Linear and module.bias is not None and x.dim() == 3:
        return torch.baddbmm(module.bias.unsqueeze(1), x, module.weight.mT)

    def one(state: dict[str, Tensor], *inputs: Tensor) -> Tensor:
        return functional_call(module, state, inputs)  # type: ignore[no-any-return]

    result: Tensor = vmap(one, randomness="different")(dict(_tensors(module)), x, *label)
    return result


def _tensors(module: nn.Module, *, tied: bool = False) -> Iterator[tuple[str, Tensor]]:
    """Name every tensor once, or, where layers share one, under each of its names."""
    yield from module.named_parameters(remove_duplicate=not tied)
    yield from module.named_buffers(remove_duplicate=not tied)


def _get(module: nn.Module, name: str) -> Tensor:
    owner, _, leaf = name.rpartition(".")
    tensor: Tensor = getattr(module.get_submodule(owner), leaf)
    return tensor.detach()


def _replace_tensors(module: nn.Module, new: Callable[[str], Tensor]) -> None:
    made: dict[int, Tensor] = {}  # what was shared stays shared
    for name, old in list(_tensors(module, tied=True)):
        owner, _, leaf = name.rpartition(".")
        if id(old) not in made:
            made[id(old)] = new(name)
            if isinstance(old, nn.Parameter):
                made[id(old)] = nn.Parameter(made[id(old)], requires_grad=old.requires_grad)
        setattr(module.get_submodule(owner), leaf, made[id(old)])
