"""The loop around Algorithm 1: many steps, and everything that happens between two of them."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Generator, Tensor, nn
from torch.utils.data import Dataset
from tqdm.auto import tqdm

import gan_course.checkpoints
from gan_course.arguments import file, function, one_of, whole
from gan_course.distributions import normal
from gan_course.training.devices import enough_memory, pick_device
from gan_course.training.draws import AnySource, Batch, Draws, Turn, as_source, has_labels
from gan_course.training.history import (
    DiscriminatorStep,
    GeneratorStep,
    History,
    NonFiniteError,
    Record,
)
from gan_course.training.interrupts import interrupts
from gan_course.training.optimisers import as_rates
from gan_course.training.programs import PROGRAMS, Program, blocks, can_be_parted
from gan_course.training.ranks import ALONE, present
from gan_course.training.settings import FLUID, RATES, Settings, scheduled
from gan_course.training.setups import (
    checked_label,
    checked_samples,
    checked_schedule,
    checked_source,
    draws_by_itself,
    examine,
    examine_settings,
    refuse_wrappers,
    standing_still,
)
from gan_course.training.state import State, as_runs
from gan_course.training.step import Critic, Rates, Step

if TYPE_CHECKING:
    import numpy as np

    from gan_course.distributions import Source


class Trainer:
    """Two networks, what they learn from, and the step that trains them.

    Args:
        generator: noise to samples; a plain module, or an :class:`Ensemble`.
        discriminator: samples to one logit each; the same number of runs. The trainer moves
            the weights of both in place. Either may take labels as a second argument.
        data: where real samples come from: a source of the book, a tensor or an array of
            samples, a map-style ``Dataset``, or a pair ``(samples, labels)``.
        prior: where noise comes from; default the standard normal in 2-D.
        settings: what can be changed between steps, see :meth:`set`.
        seed: of the batches, the noise, and dropout. The networks bring their own weights.
        device: ``"auto"`` for a GPU where one works, else the CPU; or a device's name.
        program: how a step runs. ``"eager"``: operation by operation. ``"compiled"``: the
            whole step, optimiser included, through ``torch.compile``; the first step takes half
            a minute (seconds from a warm cache) and needs a C++ compiler. ``"captured"``: as a
            CUDA graph. All three are the same step, to rounding.

    Attributes:
        steps: number of steps taken.
        random: the state that every draw moves.
        ranks: the processes that train together, where it was made inside of
            :func:`gan_course.training.ranks.joined`; what the first one has goes for all.

    Raises:
        ValueError: the networks do not fit each other, the data or the prior, or the device or
            the program cannot be used; the message says which.
        RanksError: this process is one of several that have not joined.

    Example:
        >>> from gan_course.distributions import ring
        >>> from gan_course.networks import mlp
        >>> trainer = Trainer(mlp(2, 2), mlp(2, 1), ring(), device="cpu")
        >>> history = trainer.train(10)
        >>> len(history), trainer.sample(500).shape
        (10, torch.Size([1, 500, 2]))
    """

    def __init__(
        self,
        generator: nn.Module,
        discriminator: nn.Module,
        data: AnySource | Tensor | np.ndarray | Dataset[Any] | tuple[Tensor, Tensor],
        prior: Source | None = None,
        settings: Settings | None = None,
        *,
        seed: int = 0,
        device: str | torch.device = "auto",
        program: str = "eager",
    ) -> None:
        self.device = pick_device(device)
        self.seed = whole("seed", seed)
        self.program = one_of("program", program, PROGRAMS)
        self.ranks = present()
        if self.ranks.size > 1 and program != "eager":
            raise ValueError(f"program = {program!r}: several processes train together in 'eager'")
        refuse_wrappers("generator", generator)
        refuse_wrappers("discriminator", discriminator)
        self.generator = as_runs(generator).to(self.device)
        self.discriminator = as_runs(discriminator).to(self.device)
        self.state = State(self.generator, self.discriminator)
        self.runs = self.state.runs
        # An ensemble's runs never meet: each rank trains some. Else each takes some samples.
        self._by_runs = self.ranks.size > 1 and can_be_parted(self.state, self.ranks.size)
        sharing = ALONE if self._by_runs else self.ranks
        self.steps = 0
        self.random = Generator(self.device).manual_seed(self.seed)
        self._draws = Draws(
            as_source(data).to(self.device),
            checked_source("prior", normal(2) if prior is None else prior).to(self.device),
            self.runs,
            self.random,
            self.state.generator.weights.dtype,
            ranks=sharing,
        )
        self._settings = Settings() if settings is None else settings
        examine_settings(self.state, self._settings, sharing)
        self._whole = Step(self.state, self._settings, sharing)
        examine(self._whole, self.data, self.prior.event_shape)
        self._by_chance = any(map(draws_by_itself, (self.generator, self.discriminator)))
        self._chance = self._draws.by_layers if self._by_chance else nullcontext
        self._alike = self.ranks.size == 1
        # As many blocks on every rank, whatever its processor: one.
        rows = blocks(self.state, self._settings.batch) if self._alike else [slice(0, self.runs)]
        self._parts = self._divided([self.ranks.rows(self.runs)] if self._by_runs else rows)
        self._use(self._settings)

    def _divided(self, rows: list[slice]) -> list[tuple[slice, Step, Program]]:
        """What runs the steps: of all runs, or of some at a time, in the same memory."""
        make = PROGRAMS[self.program]
        # A part's weights are one tensor. What writes to several in one memory, torch 2.11 loses.
        one = self.program == "compiled" and can_be_parted(self.state, 2)
        if rows == [slice(0, self.runs)] and not one:
            return [(rows[0], self._whole, make(self._whole))]
        steps = [Step(self.state.part(some), self._settings, self._whole.ranks) for some in rows]
        return [(some, step, make(step)) for some, step in zip(rows, steps, strict=True)]

    # -- what can be changed between two steps ----------------------------------------

    @property
    def settings(self) -> Settings:
        """The present settings; to assign others is :meth:`set` with all of them."""
        return self._settings

    @settings.setter
    def settings(self, settings: Settings) -> None:
        examine_settings(self.state, settings, self._draws.ranks)
        if settings.packing != self._settings.packing:
            examine(Step(self.state, settings), self.data, self.prior.event_shape)
        self._use(settings)

    def set(self, **changes: object) -> None:
        """Change settings from the next step on: ``trainer.set(k=5, loss="hinge")``.

        Raises:
            ValueError: a value is out of range; the old settings stay.
            TypeError: there is no such setting.
        """
        self.settings = replace(self._settings, **changes)  # type: ignore[arg-type]

    def _use(self, settings: Settings) -> None:
        if settings.optimiser != self._settings.optimiser:
            for player in self.state.players:
                player.forget()
        self._settings = settings
        of_D, of_G = (as_rates([getattr(settings, name)], self.device)[0] for name in RATES)
        self._rates = of_D, of_G
        self.state.keep_average(bool(settings.averaging))
        for rows, step, _ in self._parts:
            step.use(settings)
            average = self.state.average
            if step is not self._whole and (average is None or step.state.average is None):
                step.state.average = average and average.part(rows)
        self._whole.use(settings)

    @property
    def data(self) -> AnySource:
        """Where real samples come from; another source may be assigned."""
        return self._draws.data

    @data.setter
    def data(self, data: object) -> None:
        self._draws.data = as_source(data).to(self.device)

    @property
    def prior(self) -> Source:
        """Where noise comes from; another source may be assigned."""
        return self._draws.prior

    @prior.setter
    def prior(self, prior: Source) -> None:
        self._draws.prior = checked_source("prior", prior).to(self.device)

    @property
    def frozen(self) -> Tensor:
        """Which runs stopped at a non-finite loss, shape ``(runs,)``."""
        return self.state.frozen

    @property
    def averaged(self) -> nn.Module | None:
        """The generator with averaged weights; ``None`` without ``settings.averaging``."""
        return None if self.state.average is None else self.state.average.network

    # -- Algorithm 1 ------------------------------------------------------------------

    def step(self) -> Record:
        """Take k discriminator steps and one generator step.

        An interrupt (Ctrl-C) lets the step finish; then it is given to whoever listens.

        Raises:
            NonFiniteError: the loss of a single run, or of every run, is not finite.
            KeyboardInterrupt: an interrupt came, and nobody else listens.
        """
        history = History()
        self._begin()
        with interrupts() as came:
            self._advance([self._settings], history)
        self._gather()
        if came():
            signal.raise_signal(signal.SIGINT)  # to whoever listens: a lab, or Python itself
        return history.last

    def discriminator_step(self) -> DiscriminatorStep:
        """Descend D's loss once, on a fresh batch of real and one of generated samples."""
        batch = self._draws.discriminator(self._settings)
        return DiscriminatorStep(*self._half("discriminator", batch, Step.discriminator_step))

    def generator_step(self) -> GeneratorStep:
        """Descend G's loss once, on a fresh batch of noise."""
        batch = self._draws.generator(self._settings)
        return GeneratorStep(*self._half("generator", batch, Step.generator_step))

    def _half(
        self, player: str, batch: Batch, take: Callable[[Step, Batch, Rates], tuple[Tensor, ...]]
    ) -> list[Tensor]:
        """One player's part of a step, for all runs."""
        self._begin()
        before, turn = self.frozen.clone(), Turn((batch,), self._rates)
        with self._chance(), enough_memory(self._settings.batch):
            cut = [(step, turn.of(rows)) for rows, step, _ in self._parts]
            found = [take(step, part.batches[0], part.rates) for step, part in cut]
        self._gather()
        self._raise_if_all_stopped(player, before)
        return [self._of_all_runs(torch.cat(part)) for part in zip(*found, strict=True)]

    def _gather(self) -> None:
        """Have all runs here, as they are where they are trained."""
        if self._by_runs:
            self.state.gather(self.ranks)

    def _of_all_runs(self, numbers: Tensor) -> Tensor:
        """Numbers of the runs that are trained here, ``(..., runs)``, with those of all others."""
        if not self._by_runs:
            return numbers
        whole = numbers.new_zeros(*numbers.shape[:-1], self.runs)
        whole[..., self.ranks.rows(self.runs)] = numbers
        return self.ranks.merged(whole, dim=numbers.dim() - 1)

    def _begin(self) -> None:
        """Take back what was parted; at first, be like the first rank in everything."""
        self.state.adopt()
        if not self._alike:
            self.load_state_dict(self.ranks.from_first(self.state_dict))
            self._alike = True

    def peek(self) -> Batch:
        """What the next :meth:`discriminator_step` will draw; the randomness is untouched."""
        before = self.random.get_state()
        batch = self._draws.discriminator(self._settings)
        self.random.set_state(before)
        return batch

    def discriminator_loss(
        self, critic: Critic, real: Tensor, fake: Tensor, batch: Batch
    ) -> tuple[Tensor, Tensor, Tensor]:
        """D's objective with its penalties, see :meth:`Step.discriminator_loss`."""
        return self._whole.discriminator_loss(critic, real, fake, batch)

    def logits(self, x: Tensor, label: Tensor | None = None) -> Tensor:
        """D's logits, what it sees ``(runs, batch, ...)`` to ``(runs, batch)``."""
        return self._whole.critic(x, label)

    def _turns(self, each: list[Settings]) -> list[Turn]:
        """Draw the batches of some steps."""
        drawn = []
        for settings in each:
            batches = [self._draws.discriminator(settings) for _ in range(settings.k)]
            drawn.append((*batches, self._draws.generator(settings)))
        return [Turn(*pair) for pair in zip(drawn, self._rates_of(each), strict=True)]

    def _rates_of(self, each: list[Settings]) -> list[Rates]:
        if all(settings is self._settings for settings in each):
            return [self._rates] * len(each)
        # In one tensor, so that a GPU is written to once.
        columns = [as_rates([getattr(one, name) for one in each], self.device) for name in RATES]
        return [(of_D, of_G) for of_D, of_G in zip(*columns, strict=True)]

    def _advance(self, each: list[Settings], history: History, *, eager: bool = False) -> None:
        """Draw, take and write down steps, up to one that stops every run.

        Args:
            each: the settings of each step; they differ in the rates and the noise alone.
            history: where to write the steps down.
            eager: whether to run them operation by operation, whatever the program.

        Raises:
            NonFiniteError: that step came; it is not written down.
        """
        frozen = self.frozen.clone()
        with self._chance(), enough_memory(self._settings.batch):
            turns = self._turns(each)
            _, step, program = self._parts[0]
            if step is self._whole:
                records = (step if eager else program)(turns)
            else:
                found = [
                    (step if eager else program)([turn.of(rows) for turn in turns])
                    for rows, step, program in self._parts
                ]
                records = self._of_all_runs(torch.cat(found, dim=-1))
                self.frozen.copy_(Record.of(records[-1]).frozen)
        self._settings, self._rates = each[-1], turns[-1].rates
        if not all(self.frozen.tolist()):
            self.steps += len(each)
            history.extend(records)
            return
        stopped = records[:, Record._fields.index("frozen")].bool()
        good = int(stopped.all(dim=1).int().argmax())  # steps before the one that stopped all
        self.steps += good
        history.extend(records[:good])
        before = stopped[good - 1] if good else frozen
        last = Record.of(records[good])
        by_generator = ~(last.generator_loss + last.generator_gradient).isfinite()
        by_discriminator = ~(last.discriminator_loss + last.discriminator_gradient).isfinite()
        guilty = bool((by_generator & ~by_discriminator & ~before).any())
        self._raise_if_all_stopped("generator" if guilty else "discriminator", before)

    def _raise_if_all_stopped(self, player: str, before: Tensor) -> None:
        """End the training where no run is left; ``before`` is what was frozen before."""
        if self.frozen.all():
            # The runs that stopped just now are sound: other settings may carry them on.
            self.frozen.copy_(before)
            raise NonFiniteError(self.steps + 1, player, self._settings.objective.name)

    def _together(self) -> int:
        """Steps that run before anybody looks.

        A call into a program has its price, which an ensemble's work hides; so has waiting for
        a GPU. A longer program takes longer to compile.
        """
        if self._by_chance:
            return 1  # chance begins anew with each call
        if self.program == "compiled" and len(self._parts) == 1 and self.runs < 8:
            return max(1, 8 // (self._settings.k + 1))
        return 1 if self.device.type == "cpu" else 20

    # -- many steps -------------------------------------------------------------------

    def train(
        self,
        steps: int,
        callback: Callable[[Trainer], object] | None = None,
        *,
        schedule: Mapping[str, Callable[[int], object]] | None = None,
        progress: bool | None = None,
        checkpoint: str | Path | None = None,
        every: int = 1_000,
        resume: bool = True,
    ) -> History:
        """Take steps until done or interrupted.

        An interrupt (Ctrl-C, or JupyterLab's stop button) lets the step finish, then
        returns the history so far. A second one is raised, so that it ends what is around
        the training, too.

        Args:
            steps: how many.
            callback: called with the trainer after each step; its exceptions end the training.
            schedule: settings that change with the steps, as functions of the number of steps
                taken so far; for instance ``{"generator_rate": Linear(1e-3, 1e-5, 0, 5_000)}``.
            progress: whether to show a bar; by default when it takes more than five seconds,
                unless the environment has ``TQDM_DISABLE``.
            checkpoint: a file to go on from, see :meth:`resume`, and to save to: every so many
                steps, at the end, and at an interrupt. ``steps`` then counts from the very
                beginning, so that the same call goes on with a training that was stopped.
            every: steps between two checkpoints.
            resume: whether to go on from the checkpoint; ``False`` where it was done before.

        Raises:
            ValueError: ``steps`` is negative, or a schedule gives a value out of range.
            TypeError: there is no such setting as a schedule names.
            NonFiniteError: see :meth:`step`.
            CheckpointError: the checkpoint that is there cannot be read.
            RanksError: another process of this training has ended or does not answer.
            KeyboardInterrupt: a second interrupt came before the first was heard.
        """
        steps, every = whole("steps", steps, at_least=0), whole("every", every, at_least=1)
        schedule = checked_schedule(schedule)
        if callback is not None:
            function("callback", callback)
        if checkpoint is not None:
            checkpoint = file("checkpoint", checkpoint)
        self._begin()
        if checkpoint is not None:
            if resume:
                self.resume(checkpoint)
            steps = max(0, steps - self.steps)
        saved, history = self.steps, History(first=self.steps)
        quiet = progress is False or (progress is None and "TQDM_DISABLE" in os.environ)
        quiet = quiet or not self.ranks.first
        bar = tqdm(total=steps, disable=quiet, delay=5 if progress is None else 0, leave=False)
        with interrupts() as came, bar:
            while len(history) < steps and not self.ranks.any(came() > 0):
                together = self._together()
                now = min(1 if callback else together, steps - len(history))
                each = self._scheduled(schedule, now)
                try:
                    # A program is made for so many steps; those left over run as they are.
                    self._advance(each, history, eager=len(each) != together)
                except NonFiniteError as error:
                    self._gather()
                    error.history = history
                    raise
                if callback is not None:
                    self._gather()
                    callback(self)
                    self.state.adopt()
                bar.update(len(each))
                if checkpoint is not None and self.steps - saved >= every:
                    self._gather()
                    self._save(checkpoint)
                    saved = self.steps
            self._gather()
            if checkpoint is not None and self.steps > saved:
                self._save(checkpoint)
        if came() > 1:
            raise KeyboardInterrupt
        return history

    def _scheduled(
        self, schedule: Mapping[str, Callable[[int], object]], steps: int
    ) -> list[Settings]:
        """The settings of the next steps."""
        each = scheduled(self._settings, schedule, self.steps, steps)
        if schedule.keys() - FLUID:
            self.settings = each[0]
        elif schedule:
            examine_settings(self.state, each[-1], self._draws.ranks)
        return each

    # -- looking on -------------------------------------------------------------------

    @torch.no_grad()
    def sample(
        self,
        samples: int,
        *,
        averaged: bool = False,
        seed: int | None = None,
        label: Tensor | None = None,
    ) -> Tensor:
        """Generate samples, shape ``(runs, samples, ...)``; the training's randomness is untouched.

        Args:
            samples: number for each run.
            averaged: whether to use the averaged weights.
            seed: of the noise; default the trainer's.
            label: what to generate, shape ``(samples,)``, for a G that takes labels; default
                labels as the data has them.

        Raises:
            ValueError: ``averaged`` was asked for, but ``settings.averaging`` is 0; or the
                labels do not fit.
        """
        samples = whole("samples", samples, at_least=0)
        weights = self.state.average if averaged else self.state.generator
        if weights is None:
            raise ValueError("averaged = True: there are no averages while settings.averaging is 0")
        random = Generator(self.device).manual_seed(
            self.seed if seed is None else whole("seed", seed)
        )
        noise = self.prior.sample((self.runs, samples), random).to(self._draws.dtype)
        if weights.labels and has_labels(self.data) and label is None:
            label = self.data.sample((self.runs, samples), random)[1]
        elif label is not None:
            if not weights.labels:
                raise ValueError("label was given, but the generator takes none")
            label = checked_label(weights, label, samples).expand(self.runs, samples)
        with standing_still(weights.network):
            return weights(noise, label)

    @torch.no_grad()
    def discriminate(self, x: Tensor, label: Tensor | None = None) -> Tensor:
        """D(x), what D says of samples ``(batch, ...)``, to ``(runs, batch)``.

        It is the probability of being real, where the loss makes it one, else a score; see
        :attr:`gan_course.losses.Loss.belief`. Like :meth:`sample`, it leaves the training
        untouched. With ``settings.packing``, a sample is a pack, see :func:`pack`.

        Raises:
            ValueError: ``x`` is no tensor of such samples, or ``label`` does not fit it.
        """
        first, *rest = self.data.event_shape
        x = checked_samples(x, (self._settings.packing * first, *rest))
        x = x.to(self.device, self._draws.dtype)
        if label is not None:
            judge = self.state.discriminator
            label = checked_label(judge, label, len(x)).expand(self.runs, len(x))
        with standing_still(self.discriminator):
            logits = self.logits(x.expand(self.runs, *x.shape), label)
        return self._settings.objective.belief(logits)

    # -- saving -----------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """All that the training is, networks, data and prior aside; made of plain values.

        Weights, moments, counts, buffers, averages, frozen runs, steps, the random state and
        the settings: from them a trainer of the same networks goes on bit for bit.
        """
        return {
            "steps": self.steps,
            "seed": self.seed,
            "settings": self._settings.plain(),
            "random": self.random.get_state(),
            "tensors": self.state.state_dict(),
        }

    def load_state_dict(self, saved: Mapping[str, Any]) -> None:
        """Go back to where :meth:`state_dict` was taken.

        Raises:
            ValueError: it was taken of another kind of training; then nothing has changed.
        """
        expected = {"steps", "seed", "settings", "random", "tensors"}
        if not isinstance(saved, Mapping) or saved.keys() != expected:
            raise ValueError(f"a saved training has the parts {sorted(expected)}, and no others")
        steps = whole("steps", saved["steps"], at_least=0)
        if saved["seed"] != self.seed:
            raise ValueError(f"seed = {self.seed!r}: the saved training has seed {saved['seed']!r}")
        settings = Settings.from_plain(saved["settings"], known=self._settings)
        examine_settings(self.state, settings, self._draws.ranks)
        self.state.check(saved["tensors"], average=bool(settings.averaging))
        try:
            Generator(self.device).set_state(saved["random"])
        except (RuntimeError, TypeError) as error:
            raise ValueError(f"random is no state of {self.device}'s generator: {error}") from None
        self._use(settings)
        self.state.load_state_dict(saved["tensors"])
        self.random.set_state(saved["random"])
        self.steps = steps

    def resume(self, checkpoint: str | Path) -> bool:
        """Go on from a checkpoint, if it is there; return whether it is.

        Of several ranks the first one reads it, or writes it: the others need not see the file.

        Raises:
            CheckpointError: it cannot be read.
            ValueError: it is of another kind of training, or has another seed.
        """
        self._begin()
        files = gan_course.checkpoints
        found: bool = self.ranks.from_first(
            lambda: files.exists(checkpoint) and bool(files.load(checkpoint, self))
        )
        self._alike = self.ranks.size == 1
        self._begin()
        return found

    def _save(self, checkpoint: str | Path) -> None:
        self.ranks.from_first(lambda: gan_course.checkpoints.save(checkpoint, self))

    def __getstate__(self) -> dict[str, Any]:
        arguments = (self.generator, self.discriminator, self.data, self.prior, self._settings)
        options = {"seed": self.seed, "device": str(self.device), "program": self.program}
        return {"arguments": arguments, "options": options, "saved": self.state_dict()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        # A copy's weights are no views of anything: it is made anew, and told where it was.
        self.__init__(*state["arguments"], **state["options"])  # type: ignore[misc]
        self.load_state_dict(state["saved"])
