"""Networks that are told a class: what G is asked for, and what D is to expect.

Each takes ``(x, label)``, one label for each sample, so it goes into an
:class:`~gan_course.networks.Ensemble` and into a :class:`~gan_course.training.Trainer` whose data
have labels.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from gan_course.arguments import are_whole, floats, one_device, one_of, shown, whole
from gan_course.networks import ACTIVATIONS, mlp

#: More classes or units than this are a slip.
_MOST = 10**6


def one_hot(label: Tensor, classes: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """Labels ``(batch,)`` as rows of zeros with a one, ``(batch, classes)``.

    Raises:
        ValueError: ``classes`` is below 1, or the labels are no whole numbers from 0 to
            ``classes − 1``.
    """
    classes = whole("classes", classes, at_least=1, at_most=_MOST)
    _check_label(label, classes)
    if not isinstance(dtype, torch.dtype):
        raise ValueError(f"dtype = {shown(dtype)}: must be a torch.dtype")
    return _rows(label, classes, dtype)


def _rows(label: Tensor, classes: int, dtype: torch.dtype) -> Tensor:
    # `F.one_hot` looks at its values, which vmap cannot.
    return (label.unsqueeze(-1) == torch.arange(classes, device=label.device)).to(dtype)


def _check_label(label: Tensor, classes: int) -> None:
    if not are_whole(label):
        raise ValueError(f"label = {shown(label)}: must be a tensor of whole numbers, (batch,)")
    if torch.compiler.is_compiling() or label.device.type != "cpu":  # to look would be to wait
        return
    try:
        low, high = (int(end) for end in label.aminmax())
    except RuntimeError:  # there are none; or this is inside vmap, which cannot look
        return
    if low < 0 or high >= classes:
        raise ValueError(f"label = {shown(label)}: must be from 0 to {classes - 1}")


def _features(
    x: object, inputs: int, label: Tensor, classes: int, like: Tensor
) -> tuple[Tensor, Tensor]:
    """Samples ``(batch, inputs)``, and as many labels, each of a class that there is."""
    _check_label(label, classes)
    x = floats("x", x, (inputs,), like)
    if label.shape != x.shape[:1]:
        raise ValueError(f"label has shape {tuple(label.shape)}: expected ({len(x)},), as x")
    one_device(x=x, label=label)
    return x, label.long()  # bytes would be a mask where they choose rows


class Concatenated(nn.Module):
    """A network that reads the class beside its input (Mirza & Osindero 2014).

    Args:
        inputs: features of the noise, or of a sample.
        outputs: features that come out.
        classes: how many labels there are.
        width: units in each hidden layer.
        depth: number of hidden layers.
        activation: a key of :data:`gan_course.networks.ACTIVATIONS`.

    Raises:
        ValueError: as :func:`gan_course.networks.mlp`; or there is no class.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        classes: int,
        *,
        width: int = 128,
        depth: int = 2,
        activation: str = "leaky relu",
    ) -> None:
        super().__init__()
        self.classes = whole("classes", classes, at_least=1, at_most=_MOST)
        inputs = self.inputs = whole("inputs", inputs, at_least=1, at_most=_MOST)
        self.network = mlp(
            inputs + self.classes, outputs, width=width, depth=depth, activation=activation
        )

    def forward(self, x: Tensor, label: Tensor) -> Tensor:
        """Samples ``(batch, inputs)`` and labels ``(batch,)`` to ``(batch, outputs)``."""
        x, label = _features(x, self.inputs, label, self.classes, next(self.parameters()))
        y = _rows(label, self.classes, x.dtype)  # the labels have been looked at
        result: Tensor = self.network(torch.cat([x, y], dim=-1))
        return result


class Normalised(nn.Module):
    """A generator whose class sets the scale and the shift after each normalisation.

    Conditional batch norm (Dumoulin et al. 2017; de Vries et al. 2017): the hidden units are
    normalised over the batch of all classes, and each class has its own gain and bias.

    Args:
        inputs: features of the noise.
        outputs: features that come out.
        classes: how many labels there are.
        width: units in each hidden layer.
        depth: number of hidden layers, at least 1.
        activation: a key of :data:`gan_course.networks.ACTIVATIONS`.

    Raises:
        ValueError: a size is no whole number or too small.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        classes: int,
        *,
        width: int = 128,
        depth: int = 2,
        activation: str = "relu",
    ) -> None:
        super().__init__()
        classes, depth = (
            whole("classes", classes, at_least=1, at_most=_MOST),
            whole("depth", depth, at_least=1, at_most=1000),
        )
        self.classes = classes
        self.inputs = whole("inputs", inputs, at_least=1, at_most=_MOST)
        sizes = [
            self.inputs,
            *[whole("width", width, at_least=1, at_most=_MOST)] * depth,
        ]
        self.layers = nn.ModuleList(nn.Linear(a, b, bias=False) for a, b in pairwise(sizes))
        self.norms = nn.ModuleList(nn.BatchNorm1d(width, affine=False) for _ in range(depth))
        self.gains = nn.ParameterList(torch.ones(classes, width) for _ in range(depth))
        self.biases = nn.ParameterList(0.1 * torch.randn(classes, width) for _ in range(depth))
        self.bend = ACTIVATIONS[one_of("activation", activation, ACTIVATIONS)]()
        self.head = nn.Linear(width, whole("outputs", outputs, at_least=1, at_most=_MOST))

    def forward(self, x: Tensor, label: Tensor) -> Tensor:
        """Noise ``(batch, inputs)`` and labels ``(batch,)`` to ``(batch, outputs)``."""
        x, label = _features(x, self.inputs, label, self.classes, self.head.weight)
        parts = zip(self.layers, self.norms, self.gains, self.biases, strict=True)
        for layer, norm, gain, bias in parts:
            x = self.bend(norm(layer(x)) * gain[label] + bias[label])
        result: Tensor = self.head(x)
        return result


class Projection(nn.Module):
    """A discriminator of the form ψ(φ(x)) + v_y · φ(x) (Miyato & Koyama 2018, equation 4).

    φ is all of a perceptron but its last layer, ψ is that layer, and v has a row for each class.

    Args:
        inputs: features of a sample.
        classes: how many labels there are.
        width: units in each hidden layer, and so the dimension of φ.
        depth: number of hidden layers, at least 1.
        activation: a key of :data:`gan_course.networks.ACTIVATIONS`.

    Raises:
        ValueError: as :func:`gan_course.networks.mlp`; or there is no class or no hidden layer.
    """

    def __init__(
        self,
        inputs: int,
        classes: int,
        *,
        width: int = 128,
        depth: int = 2,
        activation: str = "leaky relu",
    ) -> None:
        super().__init__()
        classes, depth = (
            whole("classes", classes, at_least=1, at_most=_MOST),
            whole("depth", depth, at_least=1, at_most=1000),
        )
        self.classes, self.inputs = classes, whole("inputs", inputs, at_least=1, at_most=_MOST)
        *body, head = mlp(inputs, 1, width=width, depth=depth, activation=activation)
        self.phi, self.psi = nn.Sequential(*body), head
        self.v = nn.Parameter(torch.randn(classes, width) / width**0.5)

    def forward(self, x: Tensor, label: Tensor) -> Tensor:
        """Samples ``(batch, inputs)`` and labels ``(batch,)`` to logits ``(batch, 1)``."""
        x, label = _features(x, self.inputs, label, self.classes, self.v)
        phi = self.phi(x)
        result: Tensor = self.psi(phi) + (phi * self.v[label]).sum(dim=-1, keepdim=True)
        return result


class Auxiliary(nn.Module):
    """A discriminator that also names the class, and is not told it (Odena et al. 2017, AC-GAN).

    Args:
        inputs: features of a sample.
        classes: how many labels there are.
        width: units in each hidden layer.
        depth: number of hidden layers.
        activation: a key of :data:`gan_course.networks.ACTIVATIONS`.

    Raises:
        ValueError: as :func:`gan_course.networks.mlp`; or there is no class.
    """

    def __init__(
        self,
        inputs: int,
        classes: int,
        *,
        width: int = 128,
        depth: int = 2,
        activation: str = "leaky relu",
    ) -> None:
        super().__init__()
        classes = whole("classes", classes, at_least=1, at_most=_MOST)
        self.inputs = whole("inputs", inputs, at_least=1, at_most=_MOST)
        self.network = mlp(inputs, 1 + classes, width=width, depth=depth, activation=activation)

    def forward(self, x: Tensor) -> Tensor:
        """Samples ``(batch, inputs)`` to ``(batch, 1 + classes)``, the logit and the classes'."""
        x = floats("x", x, (self.inputs,), next(self.parameters()))
        result: Tensor = self.network(x)
        return result
