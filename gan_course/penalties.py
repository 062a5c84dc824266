"""Gradient penalties on the discriminator: where to measure, and what to charge.

Each penalty takes the norm n of D's gradient with respect to its *input*, sample
by sample, at some points, and charges a function of it:

| name    | points                         | charge   | source                            |
|---------|--------------------------------|----------|-----------------------------------|
| R1      | real samples                   | n² / 2   | Mescheder et al. 2018, eq. 9      |
| R2      | generated samples              | n² / 2   | Mescheder et al. 2018, eq. 10     |
| WGAN-GP | uniform between real and fake  | (n − 1)² | Gulrajani et al. 2017, eq. 3      |

The trainer adds ``weight × penalty`` to D's loss. With the factor ½ inside, the
weight of R1 is the γ of Mescheder et al.; codebases that leave it out need γ / 2.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Generator, Tensor

from gan_course.arguments import function, one_device, shown, tensor

Critic = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Penalty:
    """A penalty on the slope of D.

    Attributes:
        name: key in :data:`PENALTIES`.
        points: ``(real, fake, mix) -> points``, each ``(runs, batch, ...)``.
        charge: function of the gradient norms, ``(runs, batch)`` to ``(runs, batch)``.
        mixes: whether the points need ``mix``, see :func:`mixing_weights`.
    """

    name: str
    points: Callable[[Tensor, Tensor, Any], Tensor]
    charge: Callable[[Tensor], Tensor]
    mixes: bool = False

    def __call__(
        self, critic: Critic, real: Tensor, fake: Tensor, mix: Tensor | None = None
    ) -> Tensor:
        """Return the mean charge, shape ``(runs,)``, differentiable in D's weights.

        Args:
            critic: samples ``(runs, batch, ...)`` to logits ``(runs, batch)``.
            real: samples, shape ``(runs, batch, ...)`` of any rank above two.
            fake: generated samples of the same shape.
            mix: from :func:`mixing_weights`, for a penalty that ``mixes``; drawn if missing.

        Raises:
            ValueError: the samples do not fit, or there are none; the critic is no function, or
                its logits do not depend on the samples.
        """
        function("critic", critic)
        real = tensor("real", real, "(runs, batch, features, ...)", least=1, finite=False)
        fake = tensor("fake", fake, "(runs, batch, features, ...)", least=1, finite=False)
        if real.shape != fake.shape:
            raise ValueError(
                f"fake has shape {tuple(fake.shape)}: expected that of real, {tuple(real.shape)}"
            )
        one_device(real=real, fake=fake)
        if mix is not None and not isinstance(mix, Tensor):
            raise ValueError(f"mix = {shown(mix)}: must come from mixing_weights")
        if self.mixes and mix is None:
            mix = mixing_weights(real)
        points = self.points(real.detach(), fake.detach(), mix).requires_grad_()
        return self.charged(critic(points), points)

    def charged(self, logits: Tensor, points: Tensor) -> Tensor:
        """Return the mean charge, shape ``(runs,)``, where D has been asked already.

        Args:
            logits: D's at the points, shape ``(runs, batch)``.
            points: from which they were computed, shape ``(runs, batch, ...)``.
        """
        return self.charge(slope_norm(logits, points)).mean(dim=-1)


def gradient_norm(critic: Critic, points: Tensor) -> Tensor:
    """‖∇ₓ critic(x)‖ for each sample, shape ``(runs, batch)``, differentiable once more.

    The samples of a batch must not influence one another's logits (no batch norm in D).

    Raises:
        ValueError: the points are not of that shape, the critic is no function, or its logits
            do not depend on the points.
    """
    function("critic", critic)
    points = tensor("points", points, "(runs, batch, features, ...)", least=1, finite=False)
    points = points.detach().requires_grad_()
    return slope_norm(critic(points), points)


def slope_norm(logits: Tensor, points: Tensor) -> Tensor:
    """:func:`gradient_norm` from logits ``(runs, batch)`` and the points they were made from."""
    if not isinstance(logits, Tensor) or not logits.requires_grad:
        raise ValueError(
            f"critic returned {shown(logits)}: must compute its logits from the samples with torch"
        )
    # Each logit depends on its own sample only, so the sum's gradient holds all of them.
    (slopes,) = torch.autograd.grad(logits.sum(), points, create_graph=True)
    # vector_norm has gradient 0 at 0, where the root of a sum of squares has NaN.
    norm: Tensor = torch.linalg.vector_norm(slopes.flatten(start_dim=2), dim=-1)
    return norm


def mixing_weights(real: Tensor, generator: Generator | None = None) -> Tensor:
    """Where on its segment from fake to real each point of WGAN-GP lies, uniform on [0, 1].

    Gulrajani et al. 2017, algorithm 1, line 4.

    Args:
        real: samples, shape ``(runs, batch, ...)``.
        generator: random state.

    Returns:
        One weight for each sample, shape ``(runs, batch, 1, ...)``.

    Raises:
        ValueError: ``real`` has no runs or no batch.
    """
    real = tensor("real", real, "(runs, batch, ...)", finite=False)
    shape = real.shape[:2] + (1,) * (real.dim() - 2)
    return torch.rand(shape, generator=generator, device=real.device, dtype=real.dtype)


def _real(real: Tensor, _fake: Tensor, _mix: Tensor | None) -> Tensor:
    return real


def _fake(_real: Tensor, fake: Tensor, _mix: Tensor | None) -> Tensor:
    return fake


def _between(real: Tensor, fake: Tensor, mix: Tensor) -> Tensor:
    return fake + mix * (real - fake)


def _half_square(norm: Tensor) -> Tensor:
    return norm.square() / 2


def _distance_from_one(norm: Tensor) -> Tensor:
    return (norm - 1).square()


#: Every penalty by name.
PENALTIES: dict[str, Penalty] = {
    penalty.name: penalty
    for penalty in (
        Penalty("R1", _real, _half_square),
        Penalty("R2", _fake, _half_square),
        Penalty("WGAN-GP", _between, _distance_from_one, mixes=True),
    )
}
