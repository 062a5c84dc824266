"""Wrong set-ups, said before the first step rather than in the middle of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Generator, Tensor, nn

from gan_course.arguments import function, mapping, shown, tensor
from gan_course.distributions import Source
from gan_course.networks import mixes_samples
from gan_course.training.draws import AnySource, Batch, has_labels
from gan_course.training.ranks import Ranks
from gan_course.training.settings import Settings
from gan_course.training.state import Player, State, Weights
from gan_course.training.step import Step

#: What turns a logit into something else, at the end of D.
SQUASHING = (nn.Sigmoid, nn.Softmax, nn.LogSigmoid, nn.Hardsigmoid)
#: Distributed wrappers, which a plain step would drive wrongly and without a word.
WRAPPERS = (nn.DataParallel, nn.parallel.DistributedDataParallel)


def refuse_wrappers(name: str, network: nn.Module) -> None:
    """A network that is wrapped for many devices must be driven by what wrapped it.

    Raises:
        ValueError: it is wrapped.
        TypeError: it is no module.
    """
    if not isinstance(network, nn.Module):
        raise TypeError(f"{name} = {network!r}: expected a torch.nn.Module")
    if any(isinstance(module, WRAPPERS) for module in network.modules()):
        raise ValueError(
            f"{name} is wrapped in {type(network).__name__}, whose gradients a trainer does not "
            "drive: pass the network inside. Processes that torchrun started train it together "
            "inside `with gan_course.training.ranks.joined():`"
        )


def examine_settings(state: State, settings: Settings, ranks: Ranks) -> None:
    """What settings ask of the networks, and of the processes that train them.

    Raises:
        ValueError: they are no settings; a rate for each run, but another number of runs; batch
            statistics in D together with a penalty on its slope; or a batch that ranks cannot
            share.
    """
    if not isinstance(settings, Settings):
        raise ValueError(f"settings = {shown(settings)}: must be Settings(…)")
    if settings.batch % (ranks.size * settings.packing):
        raise ValueError(
            f"batch = {settings.batch!r}: must be a multiple of {ranks.size} ranks × "
            f"{settings.packing} samples that D judges at once"
        )
    for name in ("discriminator_rate", "generator_rate"):
        rate = getattr(settings, name)
        if isinstance(rate, tuple) and len(rate) != state.runs:
            raise ValueError(
                f"{name} has {len(rate)} values: expected one for each of {state.runs} runs"
            )
    norms = nn.modules.batchnorm._BatchNorm
    layers = [m for m in state.discriminator.network.modules() if isinstance(m, norms)]
    if settings.charges and layers:
        names = ", ".join(penalty.name for penalty, _ in settings.charges)
        raise ValueError(
            f"penalties = {names}: the discriminator has {type(layers[0]).__name__}, which lets "
            "one sample change another's logit, so that D has no slope at a sample of its own. "
            "Leave batch norm out of D, or use layer norm"
        )


def examine(step: Step, data: AnySource, prior_shape: torch.Size) -> None:
    """Try both networks on two samples, standing still.

    Args:
        step: of the training; nothing of its state is changed.
        data: for the shape of samples, and for labels.
        prior_shape: shape of one sample of noise.

    Raises:
        ValueError: noise does not fit G, G's samples do not fit the data, or D does not give a
            logit for each sample, made of that sample.
    """
    state, packing = step.state, step.settings.packing
    D, G = state.discriminator, state.generator
    last = [m for m in D.network.modules() if not list(m.children())][-1]
    if isinstance(last, SQUASHING):
        raise ValueError(
            f"the discriminator ends in {type(last).__name__}: every loss here takes logits, the "
            "numbers before it. Leave that layer out; trainer.discriminate gives D(x)"
        )
    weights, at = G.weights, Generator().manual_seed(0)
    samples = 2 * packing
    noise = torch.randn((state.runs, samples, *prior_shape), generator=at)
    noise, label = noise.to(weights), None
    if has_labels(data):
        # A copy, and a generator of its own: the training's draws begin where they would.
        random = Generator(weights.device).manual_seed(0)
        label = data.sample((state.runs, samples), random)[1]
        for player in state.players:
            refuse_unknown_labels(player, getattr(data, "labels", label))
    with _standing_still(G), _standing_still(D):
        with torch.no_grad(), _named(G, "noise", noise, label):
            fake = G(noise, label)
        if fake.shape[2:] != data.event_shape:
            raise ValueError(
                f"generator returned samples of shape {tuple(fake.shape[2:])}: "
                f"expected {tuple(data.event_shape)}, the shape of the data's"
            )
        real, _ = step.shown(Batch(noise, fake, label))
        label = step.packed_label(Batch(noise, fake, label))
        _examine_discriminator(step, real.detach().requires_grad_(), label)


def refuse_unknown_labels(player: Weights, label: Tensor) -> None:
    """Labels must be of the classes that a network knows, where it says by ``classes`` how many.

    Inside of an ensemble nobody can look at them: one too many would be no class at all.

    Raises:
        ValueError: one is negative or too large.
    """
    known = [getattr(module, "classes", None) for module in player.network.modules()]
    counts = [count for count in known if type(count) is int]
    if not player.labels or not counts or not label.numel():
        return
    low, high = (int(end) for end in label.aminmax())
    if low < 0 or high >= min(counts):
        raise ValueError(
            f"label = {low if low < 0 else high}: must be from 0 to {min(counts) - 1}, the classes "
            f"that the {player.name} knows"
        )


def checked_label(player: Weights, label: object, samples: int) -> Tensor:
    """Labels ``(samples,)`` of classes that a network knows, on its device.

    Raises:
        ValueError: they are no such tensor, or one is no class.
    """
    if not isinstance(label, Tensor):
        raise ValueError(f"label = {shown(label)}: must be a tensor, ({samples},)")
    if label.shape != (samples,):
        raise ValueError(f"label has shape {tuple(label.shape)}: expected ({samples},)")
    refuse_unknown_labels(player, label)
    return label.to(player.weights.device)


def checked_samples(x: object, event_shape: Sequence[int]) -> Tensor:
    """Samples ``(batch, *event_shape)``.

    Raises:
        ValueError: they are no such tensor.
    """
    found = tensor("x", x, "(batch, features, ...)", finite=False)
    if found.shape[1:] != (*event_shape,):
        words = ", ".join(map(str, event_shape))
        raise ValueError(f"x has shape {tuple(found.shape)}: expected (batch, {words})")
    return found


def checked_schedule(schedule: object) -> Mapping[str, Callable[[int], float]]:
    """A function of the step for each setting that changes; none for ``None``.

    Raises:
        ValueError: it is no dictionary, or of something else.
    """
    found = {} if schedule is None else mapping("schedule", schedule)
    for name, value in found.items():
        function(f"schedule[{name!r}]", value)
    return found


def checked_source(name: str, value: Any) -> Source:
    """What draws samples of a known shape.

    Raises:
        ValueError: it does not.
    """
    if not (hasattr(value, "sample") and hasattr(value, "event_shape")):
        raise ValueError(f"{name} = {shown(value)}: must be a source, such as normal(2)")
    return value  # type: ignore[no-any-return]


def _examine_discriminator(step: Step, x: Tensor, label: Tensor | None) -> None:
    D = step.state.discriminator
    with _named(D, "samples", x, label):
        logits = step.critic(x, label)
    (slopes,) = torch.autograd.grad(logits.sum(), x, allow_unused=True)
    if slopes is None:
        raise ValueError("the discriminator ignores its input: its logit does not depend on x")
    if mixes_samples(D.network) or x.shape[1] < 2:
        return
    (slopes,) = torch.autograd.grad(step.critic(x, label)[:, 0].sum(), x)
    if bool(slopes[:, 1:].any()):
        raise ValueError(
            "a layer of the discriminator looks across its batch: one sample's logit changes "
            "with another sample. Real and generated samples must not share a batch then. Say "
            "so in the layer's class, mixes_samples = True"
        )


@contextmanager
def _named(player: Player, what: str, x: Tensor, label: Tensor | None) -> Iterator[None]:
    """Say what a network could not take."""
    try:
        yield
    except (RuntimeError, TypeError, IndexError) as error:
        labels = "" if label is None else f" with labels {tuple(label.shape)}"
        raise ValueError(
            f"the {player.name} cannot take {what} of shape {tuple(x.shape)}{labels}, "
            f"(runs, batch, ...): {str(error).splitlines()[0]}"
        ) from error


@contextmanager
def _standing_still(player: Player) -> Iterator[None]:
    """As :func:`standing_still`, and buffers that move all the same go back."""
    held = [(*slot, getattr(*slot)) for slot in player.buffer_slots]
    copies = [buffer.clone() for *_, buffer in held]
    with standing_still(player.network):
        yield
    for (module, leaf, buffer), old in zip(held, copies, strict=True):
        setattr(module, leaf, buffer.copy_(old))


@contextmanager
def standing_still(network: nn.Module) -> Iterator[None]:
    """Use running statistics, and update none: batch norm, spectral norm, dropout."""
    modes = [(module, module.training) for module in network.modules()]
    network.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training


def draws_by_itself(network: nn.Module) -> bool:
    """Whether a layer may draw random numbers in its forward, as dropout does."""
    chance = (nn.modules.dropout._DropoutNd, nn.RReLU)
    known = ("torch.nn.", "gan_course.")
    return any(
        isinstance(module, chance)
        or getattr(module, "draws", False)
        or not type(module).__module__.startswith(known)
        for module in network.modules()
    )
