"""Algorithm 1 of Goodfellow et al. (2014), for one GAN or for thousands at once.

Every tensor of a training is ``(runs, batch, ...)``; one GAN is ``runs = 1``. The
trainer stops only between steps: interrupts, changes of settings and callbacks all
happen there.
"""

from __future__ import annotations

import math
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from numbers import Real
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Generator, Tensor, nn
from torch.optim.adam import adam
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from tqdm.auto import tqdm

from gan_course.distributions import Source, normal
from gan_course.losses import LOSSES
from gan_course.networks import Ensemble, Solo
from gan_course.penalties import PENALTIES

if TYPE_CHECKING:
    import pandas as pd


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
        discriminator_rate: Adam's learning rate for D.
        generator_rate: Adam's learning rate for G.
        betas: Adam's decay rates.
        penalties: weight of each penalty by its key in :data:`gan_course.penalties.PENALTIES`.
        averaging: decay of the exponential average of G's weights; 0 keeps none.

    Raises:
        ValueError: a value is out of range; the message names it.
    """

    loss: str = "non-saturating"
    k: int = 1
    batch: int = 256
    discriminator_rate: float = 1e-3
    generator_rate: float = 1e-3
    betas: tuple[float, float] = (0.5, 0.999)
    penalties: Mapping[str, float] = field(default_factory=dict)
    averaging: float = 0.0

    def __post_init__(self) -> None:
        _one_of("loss", self.loss, LOSSES)
        for name in ("k", "batch"):
            count = getattr(self, name)
            if type(count) is not int or count < 1:  # True is an int, too
                raise ValueError(f"{name} = {count!r}: must be a whole number, at least 1")
        for name in ("discriminator_rate", "generator_rate"):
            rate = getattr(self, name)
            if not _within(rate, 0, math.inf) or rate == 0:
                raise ValueError(f"{name} = {rate!r}: must be a positive number, and finite")
        if len(self.betas) != 2 or not all(_within(beta, 0, 1) for beta in self.betas):
            raise ValueError(f"betas = {self.betas!r}: two numbers, each at least 0 and below 1")
        if not isinstance(self.penalties, Mapping):
            raise ValueError(f"penalties = {self.penalties!r}: a weight for each name, a dict")
        for name, weight in self.penalties.items():
            _one_of("penalties", name, PENALTIES)
            if not _within(weight, 0, math.inf):
                raise ValueError(f"penalties[{name!r}] = {weight!r}: at least 0, and finite")
        if not _within(self.averaging, 0, 1):
            raise ValueError(f"averaging = {self.averaging!r}: at least 0 and below 1")


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

    def append(self, record: Record) -> None:
        """Add one step."""
        self._records.append(torch.stack([column.float() for column in record]))

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


class Adam:
    """Adam (Kingma & Ba 2015, algorithm 1) for one network: its moments, and PyTorch's fused step.

    ``torch.optim.Adam`` calls the same function; around so small a network as ours its
    bookkeeping takes longer than the step.

    Attributes:
        parameters: the weights it moves.
        state: the weights and their two moments, every tensor that a step changes for a run.
    """

    def __init__(self, parameters: Iterable[nn.Parameter]) -> None:
        self.parameters: list[Tensor] = list(parameters)
        self._means = [torch.zeros_like(p) for p in self.parameters]
        self._squares = [torch.zeros_like(p) for p in self.parameters]
        self._steps = [torch.zeros((), device=p.device) for p in self.parameters]
        self.state: list[Tensor] = [*self.parameters, *self._means, *self._squares]

    @torch.no_grad()
    def step(self, gradients: Sequence[Tensor], rate: float, betas: tuple[float, float]) -> None:
        """Move every weight down its gradient."""
        adam(
            self.parameters,
            [_laid_out(g, p) for g, p in zip(gradients, self.parameters, strict=True)],
            self._means,
            self._squares,
            [],
            self._steps,
            fused=True,
            amsgrad=False,
            beta1=betas[0],
            beta2=betas[1],
            lr=rate,
            weight_decay=0.0,
            eps=1e-8,
            maximize=False,
        )


def _laid_out(gradient: Tensor, parameter: Tensor) -> Tensor:
    """The gradient in its weight's memory order, which the fused step takes for granted."""
    if gradient.stride() == parameter.stride():
        return gradient
    return torch.empty_like(parameter).copy_(gradient)


class Trainer:
    """Two networks, what they learn from, and the step that trains them.

    Args:
        generator: noise to samples; a plain module, or an :class:`Ensemble`.
        discriminator: samples to one logit each; the same number of runs.
        data: where real samples come from.
        prior: where noise comes from; default the standard normal in 2-D.
        settings: what can be changed between steps, see :meth:`set`.
        seed: of the batches and the noise. The networks bring their own weights.
        device: ``"auto"`` for a GPU where one works, else the CPU; or a device's name.

    Attributes:
        steps: number of steps taken.
        frozen: which runs stopped at a non-finite loss, shape ``(runs,)``.

    Raises:
        ValueError: the networks differ in their number of runs, or the device cannot be used.
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
        self.averaged: AveragedModel | None = None
        self._adam = {
            "discriminator": Adam(self.discriminator.parameters()),
            "generator": Adam(self.generator.parameters()),
        }
        self._buffers = [*self.generator.buffers(), *self.discriminator.buffers()]
        self.settings = settings or Settings()
        self._use_settings()

    def set(self, **changes: object) -> None:
        """Change settings from the next step on: ``trainer.set(k=5, loss="hinge")``.

        Raises:
            ValueError: a value is out of range; the old settings stay.
            TypeError: there is no such setting.
        """
        self.settings = replace(self.settings, **changes)  # type: ignore[arg-type]
        self._use_settings()

    def _use_settings(self) -> None:
        if not self.settings.averaging:
            self.averaged = None
            return
        if self.averaged is None:
            self.averaged = AveragedModel(self.generator, use_buffers=True)
        decay = get_ema_multi_avg_fn(self.settings.averaging)  # type: ignore[no-untyped-call]
        self.averaged.multi_avg_fn = decay

    # -- Algorithm 1 ------------------------------------------------------------------

    def step(self) -> Record:
        """Take k discriminator steps and one generator step.

        Raises:
            NonFiniteError: the loss of a single run, or of every run, is not finite.
        """
        for _ in range(self.settings.k):
            on_discriminator = self.discriminator_step()
        on_generator = self.generator_step()
        self.steps += 1
        return Record(
            discriminator_loss=on_discriminator.loss,
            generator_loss=on_generator.loss,
            discriminator_gradient=on_discriminator.gradient,
            generator_gradient=on_generator.gradient,
            real=on_discriminator.real,
            fake=on_discriminator.fake,
            frozen=self.frozen.clone(),
        )

    def discriminator_step(self) -> DiscriminatorStep:
        """Descend D's loss once, on a fresh batch of real and one of generated samples."""
        settings, buffers = self.settings, self._snapshot()
        real = self._draw(self.data)
        noise = self._draw(self.prior)
        with torch.no_grad():  # the generator stands still
            fake = self.generator(noise)
        if fake.shape != real.shape:
            raise ValueError(
                f"generator returned samples of shape {tuple(fake.shape[2:])}: "
                f"expected {tuple(real.shape[2:])}, the shape of the data's"
            )
        # One pass over both batches costs less than two.
        real_logits, fake_logits = self.logits(torch.cat([real, fake], dim=1)).chunk(2, dim=1)
        loss = LOSSES[settings.loss].discriminator(real_logits, fake_logits)
        for name, weight in settings.penalties.items():
            penalty = PENALTIES[name](self.logits, real, fake, self.random)
            loss = loss + weight * penalty
        gradient = self._descend("discriminator", loss, buffers)
        with torch.no_grad():
            return DiscriminatorStep(
                loss.detach(),
                gradient,
                real_logits.sigmoid().mean(dim=1),
                fake_logits.sigmoid().mean(dim=1),
            )

    def generator_step(self) -> GeneratorStep:
        """Descend G's loss once, on a fresh batch of noise."""
        objective, buffers = LOSSES[self.settings.loss], self._snapshot()
        real = self._draw(self.data) if objective.relativistic else None
        fake = self.generator(self._draw(self.prior))
        if real is None:
            real_logits, fake_logits = None, self.logits(fake)
        else:
            real_logits, fake_logits = self.logits(torch.cat([real, fake], dim=1)).chunk(2, dim=1)
        loss = objective.generator(real_logits, fake_logits)
        gradient = self._descend("generator", loss, buffers)
        if self.averaged is not None:
            self.averaged.update_parameters(self.generator)
        return GeneratorStep(loss.detach(), gradient)

    def logits(self, x: Tensor) -> Tensor:
        """D's logits, samples ``(runs, batch, ...)`` to ``(runs, batch)``."""
        logits: Tensor = self.discriminator(x)
        if logits.numel() != x.shape[0] * x.shape[1]:
            raise ValueError(
                f"discriminator returned {tuple(logits.shape)} for samples {tuple(x.shape)}: "
                "expected one logit for each sample"
            )
        return logits.reshape(x.shape[:2])

    def _draw(self, source: Source) -> Tensor:
        return source.sample((self.runs, self.settings.batch), self.random)

    def _descend(self, player: str, loss: Tensor, buffers: Sequence[Tensor]) -> Tensor:
        """Move one player's weights; return the norm of each run's gradient, shape ``(runs,)``.

        A run whose loss or gradient is not finite keeps its last good state: weights,
        Adam's moments, and the networks' buffers, whose earlier values ``buffers`` holds.
        The other runs move as if it were not there.
        """
        adam = self._adam[player]
        # Runs share no weight, so the sum's gradient is each run's own.
        gradients = torch.autograd.grad(loss.sum(), adam.parameters)
        norms = self._norms(gradients)
        stopped = self.frozen | ~(loss.detach() + norms).isfinite()
        before = list(zip(self._buffers, buffers, strict=True))
        frozen = bool(stopped.any())
        if frozen and bool(stopped.all()):
            self._restore(before, stopped)
            raise NonFiniteError(self.steps + 1, player, self.settings.loss)
        self.frozen = stopped
        if frozen:
            before += [(tensor, tensor.detach().clone()) for tensor in adam.state]
        adam.step(gradients, getattr(self.settings, f"{player}_rate"), self.settings.betas)
        if frozen:
            self._restore(before, stopped)
        return norms

    def _snapshot(self) -> list[Tensor]:
        return [buffer.clone() for buffer in self._buffers]

    def _norms(self, gradients: Sequence[Tensor]) -> Tensor:
        """Norm of each run's gradient over all weights, shape ``(runs,)``."""
        rows = [gradient.reshape(self.runs, -1) for gradient in gradients]
        norms: Tensor = torch.linalg.vector_norm(torch.cat(rows, dim=1), dim=1)
        return norms

    @torch.no_grad()
    def _restore(self, before: Sequence[tuple[Tensor, Tensor]], runs: Tensor) -> None:
        for tensor, old in before:
            if self.runs == 1:  # a plain network has no leading dimension
                tensor.copy_(old)
            else:
                tensor[runs] = old[runs]

    # -- many steps -------------------------------------------------------------------

    def train(
        self,
        steps: int,
        callback: Callable[[Trainer], object] | None = None,
        *,
        progress: bool | None = None,
    ) -> History:
        """Take steps until done or interrupted.

        An interrupt (Ctrl-C, or JupyterLab's stop button) lets the step finish, then
        returns the history so far.

        Args:
            steps: how many.
            callback: called with the trainer after each step; its exceptions end the training.
            progress: whether to show a bar; by default when it takes more than five seconds,
                unless the environment has ``TQDM_DISABLE``.

        Raises:
            ValueError: ``steps`` is negative.
            NonFiniteError: see :meth:`step`.
        """
        if steps < 0:
            raise ValueError(f"steps = {steps!r}: must be at least 0")
        history = History(first=self.steps)
        quiet = progress is False or (progress is None and "TQDM_DISABLE" in os.environ)
        bar = tqdm(range(steps), disable=quiet, delay=5 if progress is None else 0, leave=False)
        with _interrupts() as interrupted, bar:
            for _ in bar:
                try:
                    history.append(self.step())
                except NonFiniteError as error:
                    error.history = history
                    raise
                if callback is not None:
                    callback(self)
                if interrupted():
                    break
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
        network: nn.Module | None = self.averaged if averaged else self.generator
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

        Like :meth:`sample`, it leaves the training untouched.
        """
        with _standing_still(self.discriminator):
            logits = self.logits(x.to(self.device).expand(self.runs, *x.shape))
        return logits.sigmoid()


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
