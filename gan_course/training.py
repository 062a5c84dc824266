"""Algorithm 1 of Goodfellow et al. (2014), for one GAN or for thousands at once.

Every tensor of a training is ``(runs, batch, ...)``; one GAN is ``runs = 1``. The
trainer stops only between steps: interrupts, changes of settings and callbacks all
happen there.
"""

from __future__ import annotations

import copy
import math
import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from numbers import Real
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Generator, Tensor, nn
from torch.func import functional_call
from tqdm.auto import tqdm

from gan_course.adam import Adam, flatten_weights
from gan_course.distributions import Source, normal
from gan_course.losses import LOSSES
from gan_course.networks import Block, Ensemble, Solo, is_plain, mixes_samples
from gan_course.penalties import PENALTIES, Critic, mixing_weights
from gan_course.programs import PROGRAMS, Draws, Program

if TYPE_CHECKING:
    import pandas as pd

#: Bytes of one layer's output that an ensemble works on at once, for each thread of a CPU.
CACHE = 2 * 2**20


class NonFiniteError(ArithmeticError):
    """A loss or gradient became NaN or infinite; the update that would follow was not made.

    Weights, Adam's moments and the networks' buffers are those before that update, so the
    training can go on from there with other settings.

    Attributes:
        step: number of the step that failed, counted from 1.
        network: ``"discriminator"`` or ``"generator"``.
        history: the steps that :meth:`Trainer.train` had taken; ``None`` outside of it.
    """

    history: History | None = None

    def __init__(self, step: int, network: str, loss: str) -> None:
        super().__init__(
            f"step {step}: the {network}'s {loss} loss or its gradient is not finite. "
            "That update was not made. Lower the learning rates, or add a penalty."
        )
        self.step = step
        self.network = network


@dataclass(frozen=True)
class Settings:
    """What a reader can turn between two steps.

    Attributes:
        loss: a key of :data:`gan_course.losses.LOSSES`.
        k: discriminator steps for each generator step.
        batch: samples in each mini-batch.
        discriminator_rate: Adam's learning rate for D; a sequence has one for each run.
        generator_rate: Adam's learning rate for G, likewise.
        betas: Adam's decay rates.
        penalties: weight of each penalty by its key in :data:`gan_course.penalties.PENALTIES`.
        clip: bound on each of D's weights after its step (Arjovsky et al. 2017, algorithm 1);
            0 for none.
        packing: samples that D judges at once (Lin et al. 2018, PacGAN), side by side in its
            input; a divisor of ``batch``.
        unroll: steps of D that G looks ahead (Metz et al. 2017); 0 for none. The points where
            R2 and WGAN-GP measure do not move with G then.
        instance_noise: standard deviation of normal noise on all that D sees, real and
            generated (Sønderby et al. 2017).
        averaging: decay of the exponential average of G's weights; 0 keeps none.

    Raises:
        ValueError: a value is out of range; the message names it.
    """

    loss: str = "non-saturating"
    k: int = 1
    batch: int = 256
    discriminator_rate: float | Sequence[float] = 1e-3
    generator_rate: float | Sequence[float] = 1e-3
    betas: tuple[float, float] = (0.5, 0.999)
    penalties: Mapping[str, float] = field(default_factory=dict)
    clip: float = 0.0
    packing: int = 1
    unroll: int = 0
    instance_noise: float = 0.0
    averaging: float = 0.0

    def __post_init__(self) -> None:
        _one_of("loss", self.loss, LOSSES)
        for name, least in (("k", 1), ("batch", 1), ("packing", 1), ("unroll", 0)):
            count = getattr(self, name)
            if type(count) is not int or count < least:  # True is an int, too
                raise ValueError(f"{name} = {count!r}: must be a whole number, at least {least}")
        if self.batch % self.packing:
            raise ValueError(
                f"packing = {self.packing!r}: must divide the batch of {self.batch} samples"
            )
        for name in ("discriminator_rate", "generator_rate"):
            rate = getattr(self, name)
            if not all(_within(one, 0, math.inf) and one != 0 for one in _each(rate)):
                raise ValueError(f"{name} = {rate!r}: must be a positive number, and finite")
        if len(self.betas) != 2 or not all(_within(beta, 0, 1) for beta in self.betas):
            raise ValueError(f"betas = {self.betas!r}: two numbers, each at least 0 and below 1")
        if not isinstance(self.penalties, Mapping):
            raise ValueError(f"penalties = {self.penalties!r}: a weight for each name, a dict")
        for name, weight in self.penalties.items():
            _one_of("penalties", name, PENALTIES)
            if not _within(weight, 0, math.inf):
                raise ValueError(f"penalties[{name!r}] = {weight!r}: at least 0, and finite")
        for name in ("clip", "instance_noise"):
            if not _within(getattr(self, name), 0, math.inf):
                raise ValueError(f"{name} = {getattr(self, name)!r}: at least 0, and finite")
        if not _within(self.averaging, 0, 1):
            raise ValueError(f"averaging = {self.averaging!r}: at least 0 and below 1")


@dataclass(frozen=True)
class Linear:
    """A setting that changes with the steps: constant, then a straight line, then constant.

    Attributes:
        start: value up to step ``begin``.
        stop: value from step ``end`` on.
        begin: where the line begins, in steps of the training.
        end: where it ends.
    """

    start: float
    stop: float
    begin: int
    end: int

    def __post_init__(self) -> None:
        if not 0 <= self.begin < self.end:
            raise ValueError(f"begin = {self.begin!r}, end = {self.end!r}: 0 ≤ begin < end")

    def __call__(self, step: int) -> float:
        """The value at a step."""
        share = min(max((step - self.begin) / (self.end - self.begin), 0.0), 1.0)
        return self.start + share * (self.stop - self.start)


class Record(NamedTuple):
    """One step in numbers, each of shape ``(runs,)``.

    The discriminator's numbers are those of its last of k steps.
    """

    discriminator_loss: Tensor
    generator_loss: Tensor
    discriminator_gradient: Tensor  # norm over all weights
    generator_gradient: Tensor
    real: Tensor  # mean of D(x)
    fake: Tensor  # mean of D(G(z)), the same batch
    frozen: Tensor  # whether the run stopped at a non-finite loss


class History:
    """Per-step, per-run numbers of a training, kept on its device.

    Attributes:
        first: number of steps taken before this history began.
    """

    def __init__(self, first: int = 0) -> None:
        self.first = first
        self._records: list[Tensor] = []

    def __len__(self) -> int:
        return len(self._records)

    def extend(self, records: Tensor) -> None:
        """Add steps as the trainer measures them, shape ``(steps, quantities, runs)``."""
        self._records.extend(records.unbind())

    @property
    def last(self) -> Record:
        """The latest step."""
        return _unstacked(self._records[-1])

    def __getitem__(self, quantity: str) -> Tensor:
        """Return one field of :class:`Record` over time, shape ``(steps, runs)``, on the CPU."""
        _one_of("quantity", quantity, Record._fields)
        if not self._records:
            return torch.empty(0, 0)
        return torch.stack([r[Record._fields.index(quantity)] for r in self._records]).cpu()

    def frame(self) -> pd.DataFrame:
        """Return a tidy frame: a row for each step and run, a column for each quantity."""
        import pandas as pd  # noqa: PLC0415  # a second of start-up, for those who want a frame

        columns = {quantity: self[quantity] for quantity in Record._fields}
        steps, runs = columns["real"].shape
        index = pd.MultiIndex.from_product(
            [range(self.first + 1, self.first + steps + 1), range(runs)], names=["step", "run"]
        )
        frame = pd.DataFrame({q: v.flatten().numpy() for q, v in columns.items()}, index=index)
        return frame.astype({"frozen": bool}).reset_index()


class Batch(NamedTuple):
    """All that is random in one update, drawn before it."""

    noise: Tensor  # z, (runs, batch, ...)
    real: Tensor | None = None  # x, (runs, batch, ...), where the update looks at data
    blur: Tensor | None = None  # instance noise for the generated samples
    mix: Tensor | None = None  # weights between real and generated samples, for WGAN-GP

    def of(self, rows: slice) -> Batch:
        """The part of some runs."""
        return Batch(*(None if part is None else part[rows] for part in self))  # type: ignore[arg-type]


class Trainer:
    """Two networks, what they learn from, and the step that trains them.

    Args:
        generator: noise to samples; a plain module, or an :class:`Ensemble`.
        discriminator: samples to one logit each; the same number of runs. The trainer moves
            the weights of both in place.
        data: where real samples come from.
        prior: where noise comes from; default the standard normal in 2-D.
        settings: what can be changed between steps, see :meth:`set`.
        seed: of the batches and the noise. The networks bring their own weights.
        device: ``"auto"`` for a GPU where one works, else the CPU; or a device's name.
        program: how a step runs. ``"eager"``: operation by operation. ``"compiled"``: the
            whole step, optimiser included, through ``torch.compile``; the first step takes half
            a minute (seconds from a warm cache) and needs a C++ compiler. ``"captured"``: as a
            CUDA graph. All three are the same step, to rounding.

    Attributes:
        steps: number of steps taken.
        frozen: which runs stopped at a non-finite loss, shape ``(runs,)``.
        averaged: the generator with averaged weights; ``None`` without ``settings.averaging``.

    Raises:
        ValueError: the networks differ in their number of runs, or the device or the program
            cannot be used.
    """

    def __init__(
        self,
        generator: nn.Module,
        discriminator: nn.Module,
        data: Source,
        prior: Source | None = None,
        settings: Settings | None = None,
        *,
        seed: int = 0,
        device: str = "auto",
        program: str = "eager",
    ) -> None:
        self.device = pick_device(device)
        self.generator = _as_runs(generator).to(self.device)
        self.discriminator = _as_runs(discriminator).to(self.device)
        if self.generator.runs != self.discriminator.runs:
            raise ValueError(
                f"generator has {self.generator.runs} runs and discriminator "
                f"{self.discriminator.runs}: the players must come in pairs"
            )
        self.runs: int = self.generator.runs
        self.data = data.to(self.device)
        self.prior = (prior or normal(2)).to(self.device)
        self.random = Generator(self.device).manual_seed(seed)
        self.seed = seed
        self.steps = 0
        self.frozen = torch.zeros(self.runs, dtype=torch.bool, device=self.device)
        self.averaged: nn.Module | None = None
        self._adam = {
            "discriminator": Adam(self.discriminator, self.runs),
            "generator": Adam(self.generator, self.runs),
        }
        self._buffers = [*self.generator.buffers(), *self.discriminator.buffers()]
        self._ones = torch.ones(self.runs, device=self.device)
        self._rates: dict[str, Tensor] = {}
        self._apart = mixes_samples(self.discriminator)
        _one_of("program", program, PROGRAMS)
        self._program: Program = PROGRAMS[program](self)
        self._compiled = program == "compiled"
        self.settings = settings or Settings()
        self._blocks = [(rows, self._block(rows, program)) for rows in self._rows()]
        self._use_settings()

    def set(self, **changes: object) -> None:
        """Change settings from the next step on: ``trainer.set(k=5, loss="hinge")``.

        Raises:
            ValueError: a value is out of range; the old settings stay.
            TypeError: there is no such setting.
        """
        old = self.settings
        self.settings = replace(old, **changes)  # type: ignore[arg-type]
        try:
            self._use_settings()
        except ValueError:
            self.settings = old
            raise

    def _rows(self) -> list[slice]:
        """The runs in blocks that fit a processor's cache; none where all of them do.

        All at once, a wide ensemble waits for memory: what a layer returns has left the cache
        when the next one asks for it. Decided once, for the batch that the trainer starts with.
        """
        networks = self.generator, self.discriminator
        if self.runs == 1 or self.device.type != "cpu" or not all(map(is_plain, networks)):
            return []
        weights = [*self.generator.parameters(), *self.discriminator.parameters()]
        widest = max(weight.shape[1] for weight in weights)
        numbers = self.runs * 2 * self.settings.batch * widest  # D sees two batches
        blocks = min(math.ceil(4 * numbers / (CACHE * torch.get_num_threads())), self.runs)
        if blocks == 1:
            return []
        parts = torch.arange(self.runs).tensor_split(blocks)
        return [slice(int(part[0]), int(part[-1]) + 1) for part in parts]

    def _block(self, rows: slice, program: str) -> Trainer:
        """The same training of some runs only, in the same memory."""
        players = {p: Block(getattr(self, p), rows, a.weights[rows]) for p, a in self._adam.items()}
        block = copy.copy(self)
        vars(block).update(
            players,
            runs=players["generator"].runs,
            frozen=self.frozen[rows],
            _ones=self._ones[rows],
            _adam={p: a.part(players[p].weights, rows) for p, a in self._adam.items()},
            _buffers=[],  # none that a step changes
        )
        block._program = PROGRAMS[program](block)
        return block

    def _use_settings(self) -> None:
        rates = {player: self._rate(f"{player}_rate") for player in self._adam}
        for player, rate in rates.items():
            held = self._rates.get(player)
            if held is not None and held.shape == rate.shape:
                held.copy_(rate)  # where a captured step reads it
            else:
                self._rates[player] = rate
        if not self.settings.averaging:
            self.averaged = None
        elif self.averaged is None:
            self.averaged = copy.deepcopy(self.generator)
            parameters = [p for p in self.averaged.parameters() if p.requires_grad]
            self._average = flatten_weights(parameters, self.runs)
        for rows, block in self._blocks:
            block.settings = self.settings
            block._rates = {p: rate[rows] if rate.dim() else rate for p, rate in rates.items()}
            if self.averaged is None:
                block.averaged = None
            elif block.averaged is None:
                assert isinstance(self.averaged, Ensemble)
                block._average = self._average[rows]
                block.averaged = Block(self.averaged, rows, block._average)

    def _rate(self, name: str) -> Tensor:
        rate = getattr(self.settings, name)
        if isinstance(rate, Real):
            # The fused step reads it in double precision on the CPU, and in single on a GPU.
            kind = torch.float64 if self.device.type == "cpu" else torch.float32
            return torch.tensor(float(rate), dtype=kind, device=self.device)
        if len(rate) != self.runs:
            raise ValueError(f"{name} has {len(rate)} values: expected one for each of {self.runs}")
        return torch.tensor(list(rate), device=self.device).unsqueeze(1)

    # -- Algorithm 1 ------------------------------------------------------------------

    def step(self) -> Record:
        """Take k discriminator steps and one generator step.

        Raises:
            NonFiniteError: the loss of a single run, or of every run, is not finite.
        """
        history = History()
        self._advance(1, history)
        return history.last

    def discriminator_step(self) -> DiscriminatorStep:
        """Descend D's loss once, on a fresh batch of real and one of generated samples."""
        frozen, batch = self.frozen.clone(), self._draw_for_discriminator()
        parts = [block._discriminator_step(cut) for block, cut in self._in_blocks(batch)]
        self._raise_if_all_stopped("discriminator", frozen)
        return DiscriminatorStep(*(torch.cat(part) for part in zip(*parts, strict=True)))

    def generator_step(self) -> GeneratorStep:
        """Descend G's loss once, on a fresh batch of noise."""
        frozen, batch = self.frozen.clone(), self._draw_for_generator()
        parts = [block._generator_step(cut) for block, cut in self._in_blocks(batch)]
        self._raise_if_all_stopped("generator", frozen)
        return GeneratorStep(*(torch.cat(part) for part in zip(*parts, strict=True)))

    def _in_blocks(self, batch: Batch) -> Iterator[tuple[Trainer, Batch]]:
        """What moves the weights, each with its part of a batch."""
        yield from ((block, batch.of(rows)) for rows, block in self._blocks)
        if not self._blocks:
            yield self, batch

    def _steps(self, draws: Draws) -> Tensor:
        """Take steps on their batches; return their records, ``(steps, quantities, runs)``.

        This is all of the arithmetic: what a program compiles or captures.
        """
        return torch.stack([self._step(*batches) for batches in draws])

    def _step(self, *batches: Batch) -> Tensor:
        for batch in batches[:-1]:
            on_discriminator = self._discriminator_step(batch)
        on_generator = self._generator_step(batches[-1])
        return _stacked(
            Record(
                discriminator_loss=on_discriminator.loss,
                generator_loss=on_generator.loss,
                discriminator_gradient=on_discriminator.gradient,
                generator_gradient=on_generator.gradient,
                real=on_discriminator.real,
                fake=on_discriminator.fake,
                frozen=self.frozen,
            )
        )

    def _discriminator_step(self, batch: Batch) -> DiscriminatorStep:
        buffers = self._snapshot()
        with torch.no_grad():  # the generator stands still
            real, fake = self._shown(batch, self.generator(batch.noise))
        assert real is not None
        loss, real_logits, fake_logits = self.discriminator_loss(self.logits, real, fake, batch)
        gradient = self._descend("discriminator", loss, buffers, self.settings.clip)
        beliefs = torch.stack([real_logits, fake_logits]).detach().sigmoid().mean(dim=-1)
        return DiscriminatorStep(loss.detach(), gradient, *beliefs)

    def _generator_step(self, batch: Batch) -> GeneratorStep:
        objective, buffers = LOSSES[self.settings.loss], self._snapshot()
        real, fake = self._shown(batch, self.generator(batch.noise))
        critic = self._unrolled(real, fake, batch) if self.settings.unroll else self.logits
        if objective.relativistic:
            assert real is not None  # drawn for it
            loss = objective.generator(*self._judge(critic, real, fake))
        else:
            loss = objective.generator(None, critic(fake))
        gradient = self._descend("generator", loss, buffers)
        if self.averaged is not None:
            self._update_average()
        return GeneratorStep(loss.detach(), gradient)

    def discriminator_loss(
        self, critic: Critic, real: Tensor, fake: Tensor, batch: Batch
    ) -> tuple[Tensor, Tensor, Tensor]:
        """D's objective with its penalties, and the logits from which it is made.

        Args:
            critic: what D sees, ``(runs, batch, ...)``, to logits ``(runs, batch)``.
            real: samples as D sees them, ``(runs, batch, ...)``.
            fake: generated samples, likewise.
            batch: for the mixing weights of WGAN-GP.

        Returns:
            The loss, shape ``(runs,)``, and the logits of both batches, ``(runs, batch)``.
        """
        real_logits, fake_logits = self._judge(critic, real, fake)
        loss = LOSSES[self.settings.loss].discriminator(real_logits, fake_logits)
        for name, weight in self.settings.penalties.items():
            if weight:
                loss = loss + weight * PENALTIES[name](critic, real, fake, batch.mix)
        return loss, real_logits, fake_logits

    def _judge(self, critic: Critic, real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of real and generated samples, each ``(runs, batch)``."""
        if self._apart:
            return critic(real), critic(fake)
        # One pass over both batches costs less than two.
        real_logits, fake_logits = critic(torch.cat([real, fake], dim=1)).chunk(2, dim=1)
        return real_logits, fake_logits

    def _shown(self, batch: Batch, fake: Tensor) -> tuple[Tensor | None, Tensor]:
        """What D gets to see: instance noise added, samples packed."""
        real = batch.real
        if real is not None and fake.shape[2:] != real.shape[2:]:
            raise ValueError(
                f"generator returned samples of shape {tuple(fake.shape[2:])}: "
                f"expected {tuple(real.shape[2:])}, the shape of the data's"
            )
        if batch.blur is not None:
            fake = fake + batch.blur
        packing = self.settings.packing
        return real if real is None else pack(real, packing), pack(fake, packing)

    def _unrolled(self, real: Tensor | None, fake: Tensor, batch: Batch) -> Critic:
        """D as it will be after ``unroll`` more steps on this batch (Metz et al. 2017, eq. 7)."""
        assert real is not None
        adam = self._adam["discriminator"]
        names = [name for name, p in self.discriminator.named_parameters() if p.requires_grad]
        sizes = [p.numel() // self.runs for p in adam.parameters]
        # Running statistics and the like move on copies: D itself stays where it is.
        buffers = {name: buffer.clone() for name, buffer in self.discriminator.named_buffers()}

        def critic(weights: Tensor) -> Critic:
            parts = zip(names, torch.split(weights, sizes, dim=1), adam.parameters, strict=True)
            state = buffers | {name: part.reshape(p.shape) for name, part, p in parts}
            return lambda x: self._one_logit_each(functional_call(self.discriminator, state, x), x)

        def gradients(weights: Tensor) -> Tensor:
            loss, _, _ = self.discriminator_loss(critic(weights), real, fake, batch)
            (gradient,) = torch.autograd.grad(loss, weights, self._ones, create_graph=True)
            return gradient

        rate, options = self._rates["discriminator"], self.settings
        return critic(adam.look_ahead(gradients, options.unroll, rate, options.betas, options.clip))

    def logits(self, x: Tensor) -> Tensor:
        """D's logits, what it sees ``(runs, batch, ...)`` to ``(runs, batch)``."""
        return self._one_logit_each(self.discriminator(x), x)

    def _one_logit_each(self, logits: Tensor, x: Tensor) -> Tensor:
        if logits.numel() != x.shape[0] * x.shape[1]:
            raise ValueError(
                f"discriminator returned {tuple(logits.shape)} for samples {tuple(x.shape)}: "
                "expected one logit for each sample"
            )
        return logits.reshape(x.shape[:2])

    def _draw_for_discriminator(self) -> Batch:
        real = self._draw(self.data)
        noise = self._draw(self.prior)
        real, blur = self._blurred(real)
        mix = None
        if any(PENALTIES[name].mixes for name in self.settings.penalties):
            mix = mixing_weights(pack(real, self.settings.packing), self.random)
        return Batch(noise, real, blur, mix)

    def _draw_for_generator(self) -> Batch:
        if LOSSES[self.settings.loss].relativistic or self.settings.unroll:
            return self._draw_for_discriminator()
        noise = self._draw(self.prior)
        return Batch(noise, blur=self._blur())

    def _draw(self, source: Source) -> Tensor:
        return source.sample((self.runs, self.settings.batch), self.random)

    def _blurred(self, real: Tensor) -> tuple[Tensor, Tensor | None]:
        blur = self._blur()
        return (real, None) if blur is None else (real + blur, self._blur())

    def _blur(self) -> Tensor | None:
        """Instance noise for one batch of samples."""
        if not self.settings.instance_noise:
            return None
        shape = (self.runs, self.settings.batch, *self.data.event_shape)
        noise = torch.randn(shape, generator=self.random, device=self.device)
        return self.settings.instance_noise * noise

    def _descend(
        self, player: str, loss: Tensor, buffers: Sequence[Tensor], clip: float = 0.0
    ) -> Tensor:
        """Move one player's weights; return the norm of each run's gradient, shape ``(runs,)``.

        A run whose loss or gradient is not finite keeps its last good state: weights,
        Adam's moments, and the networks' buffers, whose earlier values ``buffers`` holds.
        The other runs move as if it were not there.
        """
        adam = self._adam[player]
        # Runs share no weight, so the sum's gradient is each run's own.
        gradients = torch.autograd.grad(loss, adam.parameters, self._ones)
        gradient = torch.cat([part.reshape(self.runs, -1) for part in gradients], dim=1)
        norms: Tensor = torch.linalg.vector_norm(gradient, dim=1)
        # A GPU would have to wait for an answer, and a program cannot: they always restore.
        if self.device.type == "cpu" and not torch.compiler.is_compiling():
            # The sum of all runs is finite only if each of them is.
            finite = math.isfinite(sum(loss.tolist()) + sum(norms.tolist()))
            if finite and not any(self.frozen.tolist()):
                adam.step(gradient, self._rates[player], self.settings.betas, clip)
                return norms
        self.frozen |= ~(loss.detach().abs() + norms < math.inf)  # also where it is NaN
        steps = adam.steps.clone()
        before = list(zip(self._buffers, buffers, strict=True))
        before += [(tensor, tensor.detach().clone()) for tensor in adam.state]
        adam.step(gradient, self._rates[player], self.settings.betas, clip)
        with torch.no_grad():
            for tensor, old in before:
                tensor.copy_(torch.where(self._frozen_in(tensor), old, tensor))
        adam.steps.copy_(torch.where(self.frozen.all(), steps, adam.steps))
        return norms

    def _snapshot(self) -> list[Tensor]:
        return [buffer.clone() for buffer in self._buffers]

    @torch.no_grad()
    def _update_average(self) -> None:
        assert self.averaged is not None
        pairs = [(self._average, self._adam["generator"].weights)]
        pairs += zip(self.averaged.buffers(), self.generator.buffers(), strict=True)
        for average, new in pairs:
            frozen = self._frozen_in(average)
            if average.is_floating_point():
                average.lerp_(new, ~frozen * (1 - self.settings.averaging))
            else:
                average.copy_(torch.where(frozen, average, new))

    def _frozen_in(self, tensor: Tensor) -> Tensor:
        """The mask of frozen runs in a shape that goes with one of the state's tensors."""
        # A plain network's buffers have no leading dimension; for its one run, none is needed.
        return self.frozen.view([self.runs, *[1] * (tensor.dim() - 1)] if tensor.dim() else [])

    def _advance(self, steps: int, history: History, *, program: Program | None = None) -> None:
        """Draw, take and write down steps, up to one that stops every run.

        Args:
            steps: how many.
            history: where to write them down.
            program: what takes them; default the trainer's.

        Raises:
            NonFiniteError: that step came; it is not written down.
        """
        frozen, k = self.frozen.clone(), self.settings.k
        draws = [
            [*(self._draw_for_discriminator() for _ in range(k)), self._draw_for_generator()]
            for _ in range(steps)
        ]
        if self._blocks:
            records = torch.cat([b._program(_of(rows, draws)) for rows, b in self._blocks], dim=-1)
        else:
            records = (program or self._program)(draws)
        if not all(self.frozen.tolist()):
            self.steps += steps
            history.extend(records)
            return
        stopped = records[:, Record._fields.index("frozen")].bool()
        good = int(stopped.all(dim=1).int().argmax())  # steps before the one that stopped all
        self.steps += good
        history.extend(records[:good])
        before = stopped[good - 1] if good else frozen
        last = _unstacked(records[good])
        by_generator = ~(last.generator_loss + last.generator_gradient).isfinite()
        by_discriminator = ~(last.discriminator_loss + last.discriminator_gradient).isfinite()
        guilty = bool((by_generator & ~by_discriminator & ~before).any())
        self._raise_if_all_stopped("generator" if guilty else "discriminator", before)

    def _together(self) -> int:
        """Steps that run before anybody looks.

        A call into a program has its price, which an ensemble's work hides; so has waiting for
        a GPU. A longer program takes longer to compile.
        """
        if self._compiled and not self._blocks:
            return max(1, 8 // (self.settings.k + 1)) if self.runs < 8 else 1
        return 1 if self.device.type == "cpu" else 20

    def _raise_if_all_stopped(self, player: str, before: Tensor) -> None:
        """End the training where no run is left; ``before`` is what was frozen before."""
        if self.frozen.all():
            # The runs that stopped just now are sound: other settings may carry them on.
            self.frozen.copy_(before)
            raise NonFiniteError(self.steps + 1, player, self.settings.loss)

    # -- many steps -------------------------------------------------------------------

    def train(
        self,
        steps: int,
        callback: Callable[[Trainer], object] | None = None,
        *,
        schedule: Mapping[str, Callable[[int], object]] | None = None,
        progress: bool | None = None,
    ) -> History:
        """Take steps until done or interrupted.

        An interrupt (Ctrl-C, or JupyterLab's stop button) lets the step finish, then
        returns the history so far.

        Args:
            steps: how many.
            callback: called with the trainer after each step; its exceptions end the training.
            schedule: settings that change with the steps, as functions of the number of steps
                taken so far; for instance ``{"generator_rate": Linear(1e-3, 1e-5, 0, 5_000)}``.
            progress: whether to show a bar; by default when it takes more than five seconds,
                unless the environment has ``TQDM_DISABLE``.

        Raises:
            ValueError: ``steps`` is negative, or a schedule gives a value out of range.
            NonFiniteError: see :meth:`step`.
        """
        if steps < 0:
            raise ValueError(f"steps = {steps!r}: must be at least 0")
        history = History(first=self.steps)
        quiet = progress is False or (progress is None and "TQDM_DISABLE" in os.environ)
        bar = tqdm(total=steps, disable=quiet, delay=5 if progress is None else 0, leave=False)
        together = self._together() if callback is None and not schedule else 1
        with _interrupts() as interrupted, bar:
            while len(history) < steps and not interrupted():
                now = min(together, steps - len(history))
                if schedule:
                    self.set(**{name: value(self.steps) for name, value in schedule.items()})
                try:
                    # A program is made for so many steps; those left over run as they are.
                    self._advance(now, history, program=None if now == together else self._steps)
                except NonFiniteError as error:
                    error.history = history
                    raise
                if callback is not None:
                    callback(self)
                bar.update(now)
        return history

    @torch.no_grad()
    def sample(self, samples: int, *, averaged: bool = False, seed: int | None = None) -> Tensor:
        """Generate samples, shape ``(runs, samples, ...)``; the training's randomness is untouched.

        Args:
            samples: number for each run.
            averaged: whether to use the averaged weights.
            seed: of the noise; default the trainer's.

        Raises:
            ValueError: ``averaged`` was asked for, but ``settings.averaging`` is 0.
        """
        network = self.averaged if averaged else self.generator
        if network is None:
            raise ValueError("averaged = True: there are no averages while settings.averaging is 0")
        random = Generator(self.device).manual_seed(self.seed if seed is None else seed)
        noise = self.prior.sample((self.runs, samples), random)
        with _standing_still(network):
            fake: Tensor = network(noise)
        return fake

    @torch.no_grad()
    def discriminate(self, x: Tensor) -> Tensor:
        """D(x), the probability of being real, samples ``(batch, ...)`` to ``(runs, batch)``.

        Like :meth:`sample`, it leaves the training untouched. With ``settings.packing``, a
        sample is a pack, see :func:`pack`.
        """
        with _standing_still(self.discriminator):
            logits = self.logits(x.to(self.device).expand(self.runs, *x.shape))
        return logits.sigmoid()


def pack(x: Tensor, packing: int) -> Tensor:
    """Put every ``packing`` samples side by side (Lin et al. 2018, PacGAN, section 2).

    Args:
        x: samples, ``(runs, batch, features, ...)``.
        packing: a divisor of the batch.

    Returns:
        ``(runs, batch / packing, packing × features, ...)``; images are packed as channels.
    """
    if packing == 1:
        return x
    return x.reshape(x.shape[0], -1, packing * x.shape[2], *x.shape[3:])


def _of(rows: slice, draws: Draws) -> Draws:
    """The part of some runs."""
    return [[batch.of(rows) for batch in batches] for batches in draws]


def _stacked(record: Record) -> Tensor:
    """A record as one tensor, ``(quantities, runs)``."""
    return torch.stack([*record[:-1], record.frozen.to(record.real.dtype)])


def _unstacked(columns: Tensor) -> Record:
    return Record(*columns)._replace(frozen=columns[-1].bool())


class DiscriminatorStep(NamedTuple):
    """What one discriminator step measured, each of shape ``(runs,)``."""

    loss: Tensor
    gradient: Tensor
    real: Tensor
    fake: Tensor


class GeneratorStep(NamedTuple):
    """What one generator step measured, each of shape ``(runs,)``."""

    loss: Tensor
    gradient: Tensor


def pick_device(name: str = "auto") -> torch.device:
    """Turn a device's name into a device that works.

    Args:
        name: ``"auto"`` for CUDA where it works, else the CPU; or any name that torch knows.

    Raises:
        ValueError: the named device cannot be used; the message says why.
    """
    if name == "auto":
        return _automatic_device()
    try:
        device = torch.device(name)
        torch.ones(2, device=device).sum().item()
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"device = {name!r} cannot be used here: {reason}") from None
    return device


@cache  # so that the choice is said once
def _automatic_device() -> torch.device:
    reason = "no CUDA device"
    if torch.cuda.is_available():
        try:
            device = pick_device("cuda")
        except ValueError as error:
            reason = str(error)
        else:
            print(f"Computing on {torch.cuda.get_device_name(device)}.")  # noqa: T201
            return device
    print(f"Computing on the CPU ({reason}).")  # noqa: T201
    return torch.device("cpu")


def _as_runs(network: nn.Module) -> Ensemble | Solo:
    return network if isinstance(network, Ensemble) else Solo(network)


@contextmanager
def _standing_still(network: nn.Module) -> Iterator[None]:
    """Use running statistics, and update none: batch norm, spectral norm, dropout."""
    modes = [(module, module.training) for module in network.modules()]
    network.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training


def _each(value: object) -> Sequence[object]:
    """The value of each run, or the one of all."""
    return value if isinstance(value, Sequence) and not isinstance(value, str) else [value]


def _one_of(name: str, value: str, allowed: Mapping[str, object] | Sequence[str]) -> None:
    if value not in allowed:
        raise ValueError(f"{name} = {value!r}: choose one of {sorted(allowed)}")


def _within(value: object, low: float, high: float) -> bool:
    return isinstance(value, Real) and low <= float(value) < high


@contextmanager
def _interrupts() -> Iterator[Callable[[], bool]]:
    """Collect SIGINT instead of raising in the middle of a step; yields a test for it."""
    seen: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield lambda: False  # only the main thread receives signals
        return
    previous = signal.signal(signal.SIGINT, lambda number, _frame: seen.append(number))
    try:
        yield lambda: bool(seen)
    finally:
        signal.signal(signal.SIGINT, previous)
