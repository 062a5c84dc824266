"""The objectives: a loss is a discriminator and a generator function of logits.

Write ``a = logit D(x)``, the number the discriminator really outputs. High means
real, everywhere. Then log D = −softplus(−a) and log(1 − D) = −softplus(a), which
stay finite where ``log(1 − sigmoid(a))`` is −inf (in float32 from a = 16.64 on).

Every function takes logits of shape ``(runs, batch)`` and returns the mean over
the batch, shape ``(runs,)``, to be *minimised*. What is no tensor of floats, or empty, is a
``ValueError``; NaN stays NaN, which the trainer looks for.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from gan_course.arguments import one_device, shown

Cost = Callable[[Any, Tensor], Tensor]

#: Beyond this logit exp is continued by its tangent, so that float32 stays finite.
EXP_CAP = 20.0


@dataclass(frozen=True)
class Loss:
    """The two objectives of a GAN, as functions of the discriminator's logits.

    Attributes:
        name: key in :data:`LOSSES`, as sliders and sweeps show it.
        discriminator: what D minimises, of ``(real_logits, fake_logits)``.
        generator: what G minimises, of ``(real_logits, fake_logits)``.
        relativistic: whether ``generator`` reads the real logits. Where it does
            not, the trainer passes ``None`` and saves a forward of D.
        belief: what D's output says of a sample: a probability of being real, σ(a), where the
            loss makes it one; for least squares the output itself is; for a critic it is a
            score, of which only the order and the differences count.

    Raises:
        ValueError: by both objectives, if the logits are no tensors of shape ``(runs, batch)``
            that fit, or there are none.
    """

    name: str
    discriminator: Callable[[Tensor, Tensor], Tensor]
    generator: Callable[[Any, Tensor], Tensor]
    relativistic: bool = False
    belief: Callable[[Tensor], Tensor] = torch.sigmoid

    @property
    def gives_probabilities(self) -> bool:
        """Whether what D says of a sample is the probability that it is real."""
        return self.belief is torch.sigmoid


def _as_it_is(output: Tensor) -> Tensor:
    return output


def _of_logits(loss: Cost) -> Cost:
    """Let a loss name what is wrong with its arguments, before torch says it in its words."""
    pairs = loss.__name__.startswith("relativistic")
    reads_real = "real_logits" in inspect.signature(loss).parameters

    @functools.wraps(loss)
    def cost(real_logits: Any, fake_logits: Tensor) -> Tensor:
        checked = {"real_logits": real_logits} if reads_real else {}
        for name, logits in (checked | {"fake_logits": fake_logits}).items():
            if not isinstance(logits, Tensor) or not logits.is_floating_point():
                raise ValueError(f"{name} = {shown(logits)}: must be a tensor of floats")
            if not logits.numel():
                raise ValueError(f"{name} has shape {tuple(logits.shape)}: there is nothing in it")
        if checked:
            one_device(real_logits=real_logits, fake_logits=fake_logits)
        if pairs and real_logits.shape != fake_logits.shape:
            raise ValueError(
                f"fake_logits has shape {tuple(fake_logits.shape)}: expected that of real_logits, "
                f"{tuple(real_logits.shape)}, which it is compared with"
            )
        return loss(real_logits, fake_logits)

    return cost


@_of_logits
def cross_entropy(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """−E log D(x) − E log(1 − D(G(z))): the negative of V(D, G), Goodfellow et al. 2014, eq. 1."""
    return F.softplus(-real_logits).mean(dim=-1) + F.softplus(fake_logits).mean(dim=-1)


@_of_logits
def minimax_generator(_: Tensor | None, fake_logits: Tensor) -> Tensor:
    """E log(1 − D(G(z))), Goodfellow et al. 2014, eq. 1."""
    return -F.softplus(fake_logits).mean(dim=-1)


@_of_logits
def non_saturating_generator(_: Tensor | None, fake_logits: Tensor) -> Tensor:
    """−E log D(G(z)), Goodfellow et al. 2014, section 3."""
    return F.softplus(-fake_logits).mean(dim=-1)


@_of_logits
def maximum_likelihood_generator(_: Tensor | None, fake_logits: Tensor) -> Tensor:
    """−E exp(logit D(G(z))), Goodfellow 2016, section 3.2.4; linear beyond ``EXP_CAP``."""
    capped = fake_logits.clamp(max=EXP_CAP)
    return -(capped.exp() * (1 + fake_logits - capped)).mean(dim=-1)


@_of_logits
def least_squares_discriminator(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """½ E (D(x) − 1)² + ½ E D(G(z))², with D the raw output, Mao et al. 2017, eq. 9."""
    return ((real_logits - 1).square().mean(dim=-1) + fake_logits.square().mean(dim=-1)) / 2


@_of_logits
def least_squares_generator(_: Tensor | None, fake_logits: Tensor) -> Tensor:
    """½ E (D(G(z)) − 1)², Mao et al. 2017, eq. 9."""
    return (fake_logits - 1).square().mean(dim=-1) / 2


@_of_logits
def hinge_discriminator(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """E max(0, 1 − D(x)) + E max(0, 1 + D(G(z))), Lim & Ye 2017; Miyato et al. 2018, eq. 16."""
    return F.relu(1 - real_logits).mean(dim=-1) + F.relu(1 + fake_logits).mean(dim=-1)


@_of_logits
def wasserstein_discriminator(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """E f(G(z)) − E f(x), the critic's side of Arjovsky et al. 2017, eq. 2."""
    return fake_logits.mean(dim=-1) - real_logits.mean(dim=-1)


@_of_logits
def critic_generator(_: Tensor | None, fake_logits: Tensor) -> Tensor:
    """−E f(G(z)), Arjovsky et al. 2017, eq. 2; the hinge loss shares it (Miyato et al., eq. 17)."""
    return -fake_logits.mean(dim=-1)


@_of_logits
def relativistic_discriminator(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """−E log σ(f(x) − f(G(z))), pair by pair, Jolicoeur-Martineau 2018, section 4.1."""
    return F.softplus(fake_logits - real_logits).mean(dim=-1)


@_of_logits
def relativistic_generator(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """−E log σ(f(G(z)) − f(x)), pair by pair, Jolicoeur-Martineau 2018, section 4.1."""
    return F.softplus(real_logits - fake_logits).mean(dim=-1)


#: Every loss by name: the choices of a slider, a sweep and the tests.
LOSSES: dict[str, Loss] = {
    loss.name: loss
    for loss in (
        Loss("non-saturating", cross_entropy, non_saturating_generator),
        Loss("minimax", cross_entropy, minimax_generator),
        Loss("maximum likelihood", cross_entropy, maximum_likelihood_generator),
        Loss(
            "least squares",
            least_squares_discriminator,
            least_squares_generator,
            belief=_as_it_is,
        ),
        Loss("hinge", hinge_discriminator, critic_generator, belief=_as_it_is),
        Loss("wasserstein", wasserstein_discriminator, critic_generator, belief=_as_it_is),
        Loss(
            "relativistic",
            relativistic_discriminator,
            relativistic_generator,
            relativistic=True,
            belief=_as_it_is,
        ),
    )
}


def value(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """V(D, G) = E log D(x) + E log(1 − D(G(z))), shape ``(runs,)``, in nats.

    Goodfellow et al. 2014, eq. 1, without the factor ½ that some texts carry: the
    value at the equilibrium is −2 log 2.

    Raises:
        ValueError: the logits are no tensors of shape ``(runs, batch)``, equally many runs.
    """
    return -cross_entropy(real_logits, fake_logits)
