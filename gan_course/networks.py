"""Networks: plain modules, and many copies of one trained as a single program."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call, vmap
from torch.nn.utils import parametrize

from gan_course.arguments import flag, number, one_device, one_of, shown, whole

#: More runs or units than this are a slip, which would fill the memory without a word.
_MOST = 10**6

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
        ValueError: a size is no whole number or too small, a switch is neither ``True`` nor
            ``False``, the activation is unknown, or the frequencies are not in order.
    """
    inputs, outputs = (
        whole("inputs", inputs, at_least=1, at_most=_MOST),
        whole("outputs", outputs, at_least=1, at_most=_MOST),
    )
    width, depth = (
        whole("width", width, at_least=1, at_most=_MOST),
        whole("depth", depth, at_least=0, at_most=1000),
    )
    fourier = whole("fourier", fourier, at_least=0, at_most=_MOST)
    one_of("activation", activation, ACTIVATIONS)
    batch_norm, spectral_norm = flag("batch_norm", batch_norm), flag("spectral_norm", spectral_norm)
    minibatch_std = flag("minibatch_std", minibatch_std)

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


def residual_mlp(
    inputs: int,
    outputs: int,
    *,
    width: int = 128,
    blocks: int = 2,
    activation: str = "leaky relu",
) -> nn.Sequential:
    """A perceptron of residual blocks without any norm: x + f(x), with f = 0 at the start.

    It has the layers of ``mlp(inputs, outputs, width=width, depth=1 + 2 * blocks)``, as many
    weights, and a start of the same law but for one thing: the second layer of each block begins
    at zero, so that a deep network begins as a shallow one (Fixup: Zhang et al. 2019, section 3).

    Args:
        inputs: number of features of a sample.
        outputs: number of features that come out.
        width: units in each hidden layer.
        blocks: residual blocks, of two layers each.
        activation: a key of :data:`ACTIVATIONS`.

    Raises:
        ValueError: a size is no whole number or too small, or the activation is unknown.

    Example:
        >>> residual_mlp(2, 1)(torch.randn(5, 2)).shape
        torch.Size([5, 1])
    """
    inputs = whole("inputs", inputs, at_least=1, at_most=_MOST)
    outputs = whole("outputs", outputs, at_least=1, at_most=_MOST)
    width = whole("width", width, at_least=1, at_most=_MOST)
    blocks = whole("blocks", blocks, at_least=0, at_most=1000)
    act = ACTIVATIONS[one_of("activation", activation, ACTIVATIONS)]

    def block() -> nn.Module:
        last = nn.Linear(width, width)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        return Skip(nn.Sequential(act(), nn.Linear(width, width), act(), last))

    return nn.Sequential(
        nn.Linear(inputs, width),
        *(block() for _ in range(blocks)),
        act(),
        nn.Linear(width, outputs),
    )


class Skip(nn.Module):
    """x + f(x) (He et al. 2016, eq. 1).

    Args:
        inner: f, which keeps the shape of x.
    """

    def __init__(self, inner: nn.Sequential) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> Tensor:
        """Keep the shape of ``x``."""
        y: Tensor = x + self.inner(x)
        return y


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
        inputs = whole("inputs", inputs, at_least=1, at_most=_MOST)
        waves = whole("waves", waves, at_least=1, at_most=_MOST)
        if not isinstance(frequencies, Sequence) or len(frequencies) != 2:
            raise ValueError(f"frequencies = {shown(frequencies)}: two numbers, 0 < low ≤ high")
        low = number("frequencies[0]", frequencies[0], above=0)
        high = number("frequencies[1]", frequencies[1], above=0)
        if low > high:
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
    ``torch.func.vmap``, and so does one with hooks: a hook sees one run's tensors, and is called
    once for all runs.

    Args:
        build: makes one network, ``lambda: mlp(2, 2)``; called ``runs`` times, so that each copy
            has its own weights. All are alike in all but the numbers in parameters and buffers.
        runs: the number of copies.

    Attributes:
        module: the network with stacked parameters; ``module.state_dict()`` has the keys
            of one network, each value with ``runs`` in front.

    Raises:
        ValueError: ``runs`` is below 1; ``build`` is no function, makes no module, the same one
            twice, or modules that differ in more than their numbers; or a module cannot be one
            of many: a GRU, an LSTM, or one that keeps numbers where an ensemble cannot see them.
    """

    def __init__(self, build: Callable[[], nn.Module], runs: int) -> None:
        super().__init__()
        runs = whole("runs", runs, at_least=1, at_most=_MOST)
        if isinstance(build, nn.Module) or not callable(build):
            raise ValueError(
                f"build = {shown(build)}: must be a function that makes a network at each call, "
                "such as lambda: mlp(2, 2)"
            )
        members = [build() for _ in range(runs)]
        _check_members(members)
        self.runs = runs
        self._seen = not _keeps_state(members[0])
        self.module = copy.deepcopy(members[0])
        _replace_tensors(self.module, lambda name: torch.stack([_get(m, name) for m in members]))

    def forward(self, x: Tensor, *label: Tensor) -> Tensor:
        """Apply copy ``i`` to ``x[i]``; ``x`` has shape ``(runs, batch, ...)``.

        What else a network of your own takes, such as a label, has shape ``(runs, batch)``.
        """
        for each in (x, *label):
            if not isinstance(each, Tensor):
                raise ValueError(f"x = {shown(each)}: must be a tensor ({self.runs}, batch, ...)")
            if each.dim() < 2 or each.shape[0] != self.runs:
                raise ValueError(
                    f"x has shape {tuple(each.shape)}: expected ({self.runs}, batch, ...)"
                )
        if not (self._seen or torch.compiler.is_compiling()):
            self._check_state(x, *label)
        try:
            return _apply(self.module, x, *label)
        except RuntimeError as error:
            dtypes = {tensor.dtype for tensor in self.parameters()}
            if dtypes and x.dtype not in dtypes:
                raise ValueError(f"x has dtype {x.dtype}: expected {dtypes.pop()}") from error
            for weights in self.parameters():
                one_device(weights=weights, x=x)
            raise

    def _check_state(self, *inputs: Tensor) -> None:
        """Refuse a buffer that ``forward`` replaces: outside of it, the old one stays."""
        one = self.member(0)
        for module in one.modules():  # a hook is not to be called for this
            module._forward_hooks.clear()
            module._forward_pre_hooks.clear()
        before = dict(one.named_buffers())
        device = inputs[0].device
        with torch.no_grad(), torch.random.fork_rng([device] if device.type == "cuda" else []):
            one(*(each[0] for each in inputs))
        after = dict(one.named_buffers())
        replaced = [name for name, buffer in before.items() if after.get(name) is not buffer]
        if replaced:
            raise ValueError(
                f"build makes a network whose forward replaces its buffer {replaced[0]!r}, which "
                "an ensemble would drop: write into it, as in self.count.add_(1)"
            )
        self._seen = True

    def member(self, run: int) -> nn.Module:
        """Lift one copy out as a plain network with weights of its own.

        Raises:
            ValueError: there is no such run.
        """
        try:
            run = whole("run", run, at_least=0, at_most=self.runs - 1)
        except ValueError:
            raise ValueError(f"run = {shown(run)}: expected 0 to {self.runs - 1}") from None
        member = copy.deepcopy(self.module)
        _replace_tensors(member, lambda name: _get(self.module, name)[run].clone())
        return member


#: Activations, which act on each number alone.
ELEMENTWISE = (nn.Identity, nn.LeakyReLU, nn.ReLU, nn.Sigmoid, nn.Softplus, nn.Tanh)


class MinibatchStd(nn.Module):
    """Show D how alike the samples of its batch are (Karras et al. 2018, section 3).

    One feature is added to every sample: the standard deviation of each feature over the
    batch, averaged over the features.

    Raises:
        ValueError: by its forward, if ``x`` is of another shape, or no floats.
    """

    mixes_samples = True

    def forward(self, x: Tensor) -> Tensor:
        """Add the feature: ``(batch, features)`` to ``(batch, features + 1)``.

        Raises:
            ValueError: ``x`` is of another shape, or no floats.
        """
        if not isinstance(x, Tensor) or x.dim() != 2 or not x.is_floating_point():
            raise ValueError(f"x = {shown(x)}: must be a tensor of floats, (batch, features)")
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
    plain = (nn.Sequential, nn.Linear, *ELEMENTWISE, FourierFeatures, Skip)
    trained = all(parameter.requires_grad for parameter in network.parameters())
    return trained and all(
        type(module) in plain and not _hooked(module) for module in network.modules()
    )


def _hooked(module: nn.Module) -> bool:
    """Whether something asks to be called with what goes through a module."""
    return bool(
        module._forward_hooks
        or module._forward_pre_hooks
        or module._backward_hooks
        or module._backward_pre_hooks
    )


def _own(module: nn.Module) -> bool:
    return not type(module).__module__.startswith(("torch.", "gan_course."))


def _keeps_state(network: nn.Module) -> bool:
    """Whether a module of the reader's own has buffers, which its forward may replace."""
    return any(_own(module) and any(True for _ in module.buffers()) for module in network.modules())


def _check_members(members: list[nn.Module]) -> None:
    """Refuse what cannot be stacked, or would be one network seen many times."""
    for member in members:
        if not isinstance(member, nn.Module):
            raise ValueError(f"build made {shown(member)}: must make a torch.nn.Module")
    first, *others = members
    for module in first.modules():
        if isinstance(module, nn.RNNBase):
            raise ValueError(
                f"build makes a network with {type(module).__name__}, which torch.func.vmap "
                "cannot run: step through nn.GRUCell or nn.LSTMCell in a loop, or train one run"
            )
    own = {id(tensor) for _, tensor in _tensors(first)}
    form = _form(first)
    for other in others:
        if other is first or own & {id(tensor) for _, tensor in _tensors(other)}:
            raise ValueError(
                "build makes networks that share weights: must make a new one at each call, such "
                "as lambda: mlp(2, 2)"
            )
        if (found := _form(other)) != form:
            differ = [part for part in {**form, **found} if form.get(part) != found.get(part)]
            part = differ[0]
            raise ValueError(
                f"build makes networks that differ in {part}: {form.get(part, 'none')} and "
                f"{found.get(part, 'none')}; must make them alike but for their weights"
            )


def _form(network: nn.Module) -> dict[str, object]:
    """All of a network but the numbers in its parameters and buffers."""
    form: dict[str, object] = {}
    for path, module in network.named_modules():
        form[f"{path or 'the network'}"] = type(module).__name__
        for key, part in vars(module).items():
            if isinstance(part, Tensor):
                form[f"{path}.{key}".lstrip(".")] = part.tolist()
            elif not key.startswith("_") and isinstance(part, bool | int | float | str | tuple):
                form[f"{path}.{key}".lstrip(".")] = repr(part)
    for name, tensor in _tensors(network, tied=True):
        form[name] = f"{tuple(tensor.shape)} {tensor.dtype} {tensor.requires_grad}"
    return form


def _apply(module: nn.Module, x: Tensor, *label: Tensor) -> Tensor:
    # `type(...) is`: a parametrized layer is a subclass, and needs vmap.
    if type(module) is nn.Sequential and not label and not _hooked(module):
        for layer in module:
            x = _apply(layer, x)
        return x
    if type(module) is Skip and not label and not _hooked(module):
        return x + _apply(module.inner, x)
    if isinstance(module, ELEMENTWISE):
        return module(x)  # type: ignore[no-any-return]
    biased = type(module) is nn.Linear and module.bias is not None
    if isinstance(module, nn.Linear) and biased and x.dim() == 3 and not _hooked(module):
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
