"""Networks for pictures: DCGAN of 2015, and a plain residual pair of 2024, at any size."""

from __future__ import annotations

import itertools
import math
from typing import TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gan_course.arguments import one_of, shown, whole


def dcgan(
    size: int,
    channels: int = 1,
    *,
    latent: int = 64,
    width: int = 32,
    upsampling: str = "transposed",
    batch_norm: str = "generator",
) -> tuple[nn.Sequential, nn.Sequential]:
    """A generator and a discriminator of convolutions (Radford et al. 2016, section 3).

    G lays z out as a small picture of many channels, then doubles its sides and halves its
    channels until it has the size; D goes the same way back. At 64 pixels, with 100 numbers of z,
    a width of 128 and batch norm in both, it is the published pair but for its kernels: 4 by 4, as
    in most later code, where the paper has 5 by 5.

    An ensemble needs one at a time: ``Ensemble(lambda: dcgan(8)[0], 16)``.

    Args:
        size: height and width of a picture: 4, 5, 6 or 7, doubled once or more (8, 16, 28, 32, 64).
        channels: of a picture; 1 for grey, 3 for colour.
        latent: dimension of z.
        width: channels next to the picture; they double with each halving of the sides.
        upsampling: ``"transposed"`` convolutions, or ``"resize"``, a nearest-neighbour enlargement
            and a convolution, whose kernel overlaps itself evenly (Odena et al. 2016).
        batch_norm: in the ``"generator"``, in ``"both"`` as published, or in ``"neither"``. In D it
            ties the samples of a batch together, which a gradient penalty must not see.

    Returns:
        G, from ``(batch, latent)`` to ``(batch, channels, size, size)`` between −1 and 1, and D,
        from there to ``(batch, 1)``.

    Raises:
        ValueError: a size is no whole number or not possible, or a choice is unknown.

    Example:
        >>> generator, discriminator = dcgan(28)
        >>> discriminator(generator(torch.randn(5, 64))).shape
        torch.Size([5, 1])
    """
    base, widths = _stages(size, width)
    channels, latent = _count("channels", channels), _count("latent", latent)
    one_of("upsampling", upsampling, ["transposed", "resize"])
    one_of("batch_norm", batch_norm, ["generator", "both", "neither"])
    normed_G, normed_D = batch_norm != "neither", batch_norm == "both"

    def norm(features: int, normed: bool) -> list[nn.Module]:
        return [nn.BatchNorm2d(features)] if normed else []

    # Batch norm subtracts the mean, and any bias with it.
    G: list[nn.Module] = [
        nn.Linear(latent, widths[0] * base**2, bias=not normed_G),
        nn.Unflatten(1, (widths[0], base, base)),
        *norm(widths[0], normed_G),
        nn.ReLU(),
    ]
    for inputs, outputs in itertools.pairwise(widths):
        G += _doubled(inputs, outputs, upsampling, bias=not normed_G)
        G += [*norm(outputs, normed_G), nn.ReLU()]
    G += [*_doubled(widths[-1], channels, upsampling, bias=True), nn.Tanh()]

    D: list[nn.Module] = [nn.Conv2d(channels, widths[-1], 4, 2, 1), nn.LeakyReLU(0.2)]
    for outputs, inputs in reversed(list(itertools.pairwise(widths))):
        D += [nn.Conv2d(inputs, outputs, 4, 2, 1, bias=not normed_D)]
        D += [*norm(outputs, normed_D), nn.LeakyReLU(0.2)]
    D += [nn.Flatten(), nn.Linear(widths[0] * base**2, 1)]
    generator, discriminator = nn.Sequential(*G), nn.Sequential(*D)
    if batch_norm == "both":  # as published; without norms behind it, so small a start is dead
        generator.apply(_published_start)
        discriminator.apply(_published_start)
    return generator, discriminator


def modern(
    size: int,
    channels: int = 1,
    *,
    latent: int = 64,
    width: int = 32,
    blocks: int = 1,
) -> tuple[nn.Sequential, nn.Sequential]:
    """A residual pair without any norm (R3GAN: Huang et al. 2024, section 3.3).

    Its training is kept steady by the loss, relativistic with R1 and R2, and by its start: each
    residual block begins as the identity, and its other weights are scaled down by the fourth root
    of the number of blocks (Fixup: Zhang et al. 2019). Here the 3 × 3 convolutions are whole
    instead of grouped, and the channels few.

    Args:
        size: height and width of a picture, as :func:`dcgan` takes them.
        channels: of a picture.
        latent: dimension of z.
        width: channels next to the picture; four times as many, at most, where it is coarse.
        blocks: residual blocks at each resolution.

    Returns:
        G, from ``(batch, latent)`` to ``(batch, channels, size, size)``, and D, from there to
        ``(batch, 1)``.

    Raises:
        ValueError: a size is no whole number or not possible.

    Example:
        >>> generator, discriminator = modern(16, channels=3)
        >>> generator(torch.randn(5, 64)).shape
        torch.Size([5, 3, 16, 16])
    """
    base, widths = _stages(size, width)
    channels, latent = _count("channels", channels), _count("latent", latent)
    blocks = whole("blocks", blocks, at_least=1, at_most=100)
    finest = widths[-1]
    widths = [min(w, 4 * finest) for w in (2 * widths[0], *widths)]
    total = blocks * len(widths)

    def stage(features: int) -> list[nn.Module]:
        return [Residual(features, total) for _ in range(blocks)]

    G: list[nn.Module] = [Basis(latent, widths[0], base), *stage(widths[0])]
    D: list[nn.Module] = [_he(nn.Conv2d(channels, finest, 1)), *stage(finest)]
    for inputs, outputs in itertools.pairwise(widths):
        G += [nn.Upsample(scale_factor=2, mode="bilinear"), _he(nn.Conv2d(inputs, outputs, 1))]
        G += stage(outputs)
    for outputs, inputs in reversed(list(itertools.pairwise(widths))):
        D += [nn.AvgPool2d(2), _he(nn.Conv2d(inputs, outputs, 1)), *stage(outputs)]
    G += [_he(nn.Conv2d(finest, channels, 1))]
    whole_picture = nn.Conv2d(widths[0], widths[0], base, groups=widths[0], bias=False)
    D += [_he(whole_picture), nn.Flatten()]
    D += [_he(nn.Linear(widths[0], 1))]
    return nn.Sequential(*G), nn.Sequential(*D)


class Mixed(nn.Module):
    """A network whose convolutions and products are in bfloat16, on pictures with channels last.

    That is what a GPU's matrix units are made for. A number in bfloat16 has 8 binary digits, so
    each layer errs by up to 0.4 %, and the gradients of a loss and of R1 by not much more. Weights
    and moments stay in single precision: rounded to 8 digits, many would not move at all. For one
    training, not for an ensemble. How fast it is on a GPU is not yet measured.

    Args:
        network: from ``(batch, ...)`` to whatever it makes.

    Example:
        >>> generator, discriminator = (Mixed(player) for player in dcgan(8))
        >>> discriminator(generator(torch.randn(5, 64))).dtype
        torch.float32
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        """Keep the network's shapes."""
        if x.dim() == 4:
            x = x.contiguous(memory_format=torch.channels_last)
        # No cache of rounded weights: a step moves them, and a CUDA graph must not keep old ones.
        with torch.autocast(x.device.type, torch.bfloat16, cache_enabled=False):
            y: Tensor = self.network(x)
        return y.float()


class Residual(nn.Module):
    """x + f(x), where f is three convolutions, and 0 at the start.

    Args:
        features: channels that go in and come out; between them there are twice as many.
        blocks: of the whole network, by which the start is scaled.
    """

    def __init__(self, features: int, blocks: int) -> None:
        super().__init__()
        scale = blocks**-0.25  # L^(−1 / (2m − 2)), with m = 3 layers in a block
        self.inward = _he(nn.Conv2d(features, 2 * features, 1), scale)
        self.middle = _he(nn.Conv2d(2 * features, 2 * features, 3, padding=1), scale)
        self.outward = nn.Conv2d(2 * features, features, 1, bias=False)
        nn.init.zeros_(self.outward.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Keep the shape ``(batch, features, height, width)``."""
        hidden = F.leaky_relu(self.inward(x), 0.2)
        y: Tensor = x + self.outward(F.leaky_relu(self.middle(hidden), 0.2))
        return y


class Basis(nn.Module):
    """Learned small pictures, each as strong as z says.

    Args:
        latent: dimension of z.
        features: how many pictures.
        side: their height and width.
    """

    def __init__(self, latent: int, features: int, side: int) -> None:
        super().__init__()
        self.pictures = nn.Parameter(torch.randn(features, side, side))
        self.strength = _he(nn.Linear(latent, features), math.sqrt(0.5))

    def forward(self, z: Tensor) -> Tensor:
        """``(batch, latent)`` to ``(batch, features, side, side)``."""
        strength: Tensor = self.strength(z)
        return self.pictures * strength.unsqueeze(-1).unsqueeze(-1)


def _doubled(inputs: int, outputs: int, upsampling: str, *, bias: bool) -> list[nn.Module]:
    """Twice the sides: h × w to 2h × 2w."""
    if upsampling == "transposed":
        return [nn.ConvTranspose2d(inputs, outputs, 4, 2, 1, bias=bias)]
    return [nn.Upsample(scale_factor=2), nn.Conv2d(inputs, outputs, 3, padding=1, bias=bias)]


def _stages(size: object, width: object) -> tuple[int, list[int]]:
    """Side of the coarsest picture, and channels from the coarsest to the finest."""
    side = whole("size", size, at_least=8, at_most=1024)
    doublings = 0
    while side % 2 == 0 and side > 7:
        side, doublings = side // 2, doublings + 1
    if not 4 <= side <= 7:
        raise ValueError(
            f"size = {shown(size)}: must be 4, 5, 6 or 7, doubled once or more, as 8, 28 or 64"
        )
    width = _count("width", width)
    return side, [width * 2**k for k in reversed(range(doublings))]


def _count(name: str, value: object) -> int:
    return whole(name, value, at_least=1, at_most=10**4)


Layer = TypeVar("Layer", nn.Conv2d, nn.Linear)


def _he(layer: Layer, scale: float = 1.0) -> Layer:
    """He's start, with outputs as large as inputs where each unit is heard half of the time."""
    nn.init.kaiming_normal_(layer.weight, a=0.2)
    with torch.no_grad():
        layer.weight.mul_(scale)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


def _published_start(module: nn.Module) -> None:
    """Weights of standard deviation .02, scales around 1 (Radford et al. 2016, section 4)."""
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
        nn.init.normal_(module.weight, 0, 0.02)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1, 0.02)
