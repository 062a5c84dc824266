"""Algorithm 1 of Goodfellow et al. (2014): the arithmetic of one step, and nothing else.

All that is random was drawn before (:mod:`~gan_course.training.draws`), all that moves lies in
a :class:`~gan_course.training.state.State`, and the loop around it is the trainer's. So the same
step can run operation by operation, be compiled, or be captured as a CUDA graph.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from gan_course.networks import mixes_samples
from gan_course.training.draws import Batch, Turn, pack
from gan_course.training.history import DiscriminatorStep, GeneratorStep, Record
from gan_course.training.optimisers import OPTIMISERS, Moments, bounded, smooth_root
from gan_course.training.ranks import ALONE, Ranks
from gan_course.training.settings import Settings
from gan_course.training.state import Player, State

#: What D says of samples ``(runs, batch, ...)`` and perhaps their labels: ``(runs, batch)``.
Critic = Callable[..., Tensor]
#: D's learning rate and G's, each one number, ``()``, or one a run, ``(runs, 1)``.
Rates = tuple[Tensor, Tensor]


class Step:
    """k steps of the discriminator, then one of the generator.

    Args:
        state: what the step moves.
        settings: how; see :meth:`use`.
        ranks: the processes that take it together, each on its share of the batch.
    """

    def __init__(self, state: State, settings: Settings, ranks: Ranks = ALONE) -> None:
        self.state, self.ranks = state, ranks
        self.use(settings)
        weights = state.discriminator.weights
        self.ones = torch.ones(state.runs, dtype=weights.dtype, device=weights.device)
        # Added to samples, it lets a penalty ask for D's slope there.
        self.anchor = weights.new_zeros(()).requires_grad_()
        # Batch norm and its like must not see real and generated samples in one batch.
        self.apart = mixes_samples(state.discriminator.network)

    def use(self, settings: Settings) -> None:
        """Go by other settings from the next step on."""
        self.settings = settings
        self.objective, self.charges = settings.objective, settings.charges

    def __call__(self, turns: Sequence[Turn]) -> Tensor:
        """Take steps; return their records, ``(steps, quantities, runs)``."""
        return torch.stack([self.step(turn).stacked() for turn in turns])

    def step(self, turn: Turn) -> Record:
        """Algorithm 1, once through its loop."""
        *for_discriminator, for_generator = turn.batches
        for batch in for_discriminator:  # k of them
            judged = self.discriminator_step(batch, turn.rates)
        moved = self.generator_step(for_generator, turn.rates)
        return Record(
            discriminator_loss=judged.loss,
            generator_loss=moved.loss,
            discriminator_gradient=judged.gradient,
            generator_gradient=moved.gradient,
            real=judged.real,
            fake=judged.fake,
            frozen=self.state.frozen,
        )

    def discriminator_step(self, batch: Batch, rates: Rates) -> DiscriminatorStep:
        """Move D down its loss on a batch of real and one of generated samples."""
        buffers = self.state.copied_buffers()
        with torch.no_grad():  # the generator stands still
            real, fake = self.shown(batch)
        loss, real_logits, fake_logits = self.discriminator_loss(self.critic, real, fake, batch)
        player, clip = self.state.discriminator, self.settings.clip
        loss, norms = self.descend(player, loss, rates[0], buffers, clip)
        logits = torch.stack([real_logits, fake_logits]).detach()
        beliefs = self.ranks.mean(self.objective.belief(logits).mean(dim=-1))
        return DiscriminatorStep(loss, norms, *beliefs)

    def generator_step(self, batch: Batch, rates: Rates) -> GeneratorStep:
        """Move G down its loss on a batch of generated samples."""
        objective, buffers = self.objective, self.state.copied_buffers()
        real, fake = self.shown(batch)
        critic, label = self.critic, self.packed_label(batch)
        if self.settings.unroll:
            critic = self.unrolled(real, fake, batch, rates[0])
        if objective.relativistic:
            loss = objective.generator(*self.judge(critic, real, fake, label))
        else:
            loss = objective.generator(None, asked(critic, fake, label))
        loss, norms = self.descend(self.state.generator, loss, rates[1], buffers)
        self.state.update_average(self.settings.averaging)
        return GeneratorStep(loss, norms)

    # -- what the players see and say -------------------------------------------------

    def shown(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """What D gets to see: real and generated samples, with instance noise, packed."""
        real, fake = batch.real, self.state.generator(batch.noise, batch.label)
        if real is not None and fake.shape[2:] != real.shape[2:]:
            raise ValueError(
                f"generator returned samples of shape {tuple(fake.shape[2:])}: "
                f"expected {tuple(real.shape[2:])}, the shape of the data's"
            )
        if batch.blur is not None:
            fake = fake + batch.blur
        packing = self.settings.packing
        return real if real is None else pack(real, packing), pack(fake, packing)  # type: ignore[return-value]

    def packed_label(self, batch: Batch) -> Tensor | None:
        """The labels of what D sees."""
        return batch.label if batch.label is None else pack(batch.label, self.settings.packing)

    def critic(self, x: Tensor, label: Tensor | None = None) -> Tensor:
        """D's logits, what it sees ``(runs, batch, ...)`` to ``(runs, batch)``."""
        return one_logit_each(self.state.discriminator(x, label), x)

    def judge(
        self, critic: Critic, real: Tensor, fake: Tensor, label: Tensor | None, apart: bool = False
    ) -> tuple[Tensor, Tensor]:
        """Logits of real and of generated samples, each ``(runs, batch)``."""
        if apart or self.apart:
            return asked(critic, real, label), asked(critic, fake, label)
        # One pass over both batches costs less than two.
        both = None if label is None else torch.cat([label, label], dim=1)
        logits = asked(critic, torch.cat([real, fake], dim=1), both)
        real_logits, fake_logits = logits.chunk(2, dim=1)
        return real_logits, fake_logits

    def discriminator_loss(
        self, critic: Critic, real: Tensor, fake: Tensor, batch: Batch
    ) -> tuple[Tensor, Tensor, Tensor]:
        """D's objective with its penalties, and the logits from which it is made.

        Args:
            critic: what D sees, ``(runs, batch, ...)``, to logits ``(runs, batch)``.
            real: samples as D sees them, ``(runs, batch, ...)``.
            fake: generated samples, likewise.
            batch: for the labels, and for the mixing weights of WGAN-GP.

        Returns:
            The loss, shape ``(runs,)``, and the logits of both batches, ``(runs, batch)``.
        """
        charges, label = self.charges, self.packed_label(batch)
        if charges:
            real, fake = real + self.anchor, fake + self.anchor
        points = [penalty.points(real, fake, batch.mix) for penalty, _ in charges]
        # A penalty on real or generated samples takes the slope of logits that are needed anyway.
        shared = any(at is real or at is fake for at in points)
        real_logits, fake_logits = self.judge(critic, real, fake, label, apart=shared)
        loss = self.objective.discriminator(real_logits, fake_logits)
        for (penalty, weight), at in zip(charges, points, strict=True):
            if at is real or at is fake:
                logits = real_logits if at is real else fake_logits
            else:
                logits = asked(critic, at, label)
            loss = loss + weight * penalty.charged(logits, at)
        return loss, real_logits, fake_logits

    def unrolled(self, real: Tensor, fake: Tensor, batch: Batch, rate: Tensor) -> Critic:
        """D as it will be after ``unroll`` more steps on this batch (Metz et al. 2017, eq. 7)."""
        player, settings = self.state.discriminator, self.settings
        weights = player.weights.detach() + self.anchor
        moments = Moments(*(moment.clone() for moment in player.moments))
        # Running statistics and the like move on copies: D itself stays where it is.
        buffers = player.copied_buffers()

        def ahead(weights: Tensor) -> Critic:
            network = player.applied(weights, buffers)
            return lambda x, label=None: one_logit_each(network(x, label), x)

        for step in range(1, settings.unroll + 1):
            loss, _, _ = self.discriminator_loss(ahead(weights), real, fake, batch)
            (gradient,) = torch.autograd.grad(loss, weights, self.ones, create_graph=True)
            gradient = bounded(self.ranks.mean(gradient), settings.gradient_clip)
            direction, moments = OPTIMISERS[settings.optimiser](
                gradient, moments, player.count + step, settings.betas, smooth_root
            )
            weights = weights - rate * direction
            if settings.clip:
                weights = weights.clamp(-settings.clip, settings.clip)
        return ahead(weights)

    # -- moving -----------------------------------------------------------------------

    def descend(
        self,
        player: Player,
        loss: Tensor,
        rate: Tensor,
        buffers: Sequence[Tensor],
        clip: float = 0.0,
    ) -> tuple[Tensor, Tensor]:
        """Move one player's weights; return the loss and its gradient's norm, each ``(runs,)``.

        A run whose loss or gradient is not finite keeps its last good state: weights, moments,
        and the networks' buffers, whose earlier values ``buffers`` holds. The other runs move
        as if it were not there.
        """
        state = self.state
        # Runs share no weight, so the sum's gradient is each run's own.
        gradients = torch.autograd.grad(loss, player.leaves, self.ones)
        gradient = torch.cat([part.reshape(state.runs, -1) for part in gradients], dim=1)
        loss, gradient = self.ranks.pool(loss.detach(), gradient, state.buffers(), buffers)
        norms: Tensor = torch.linalg.vector_norm(gradient, dim=1)
        gradient = bounded(gradient, self.settings.gradient_clip)
        # A GPU would have to wait for an answer, and a program cannot ask: they always choose.
        if loss.device.type == "cpu" and not torch.compiler.is_compiling():
            # The sum of all runs is finite only if each of them is.
            finite = math.isfinite(sum(loss.tolist()) + sum(norms.tolist()))
            if finite and not any(state.frozen.tolist()):
                player.move(gradient, rate, self.settings, clip)
                return loss, norms
        state.frozen |= ~(loss.abs() + norms < math.inf)  # also where it is NaN
        player.move(gradient, rate, self.settings, clip, state.frozen)
        state.restore_frozen(buffers)
        return loss, norms


def asked(critic: Critic, x: Tensor, label: Tensor | None) -> Tensor:
    """What a critic says of samples, and of their labels where there are any."""
    return critic(x) if label is None else critic(x, label)


def one_logit_each(logits: Tensor, x: Tensor) -> Tensor:
    """Logits in the shape ``(runs, batch)`` of the samples they judge."""
    if logits.numel() != x.shape[0] * x.shape[1]:
        raise ValueError(
            f"discriminator returned {tuple(logits.shape)} for samples {tuple(x.shape)}: "
            "expected one logit for each sample"
        )
    return logits.reshape(x.shape[:2])
