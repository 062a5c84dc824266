"""What a training was: its numbers step by step, and what they say of its health."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from gan_course.arguments import mapping, one_of, shown, whole

if TYPE_CHECKING:
    import pandas as pd

    from gan_course.losses import Loss

#: Calls after which a history joins what they added.
CHUNKS = 512
#: Steps that a diagnosis looks back on.
LATELY = 100
#: A loss beyond which a training is said to diverge, and a gradient of G that moves nothing.
RUNAWAY, VANISHED = 1e3, 1e-6


class NonFiniteError(ArithmeticError):
    """A loss or gradient became NaN or infinite; the update that would follow was not made.

    Weights, moments and the networks' buffers are those before that update, so the training
    can go on from there with other settings.

    Attributes:
        step: number of the step that failed, counted from 1.
        network: ``"discriminator"`` or ``"generator"``.
        history: the steps that :meth:`Trainer.train` had taken; ``None`` outside of it.
    """

    history: History | None = None

    def __init__(self, step: int, network: str, loss: str) -> None:
        super().__init__(step, network, loss)  # so that it can be pickled
        self.step = step
        self.network = network
        self.loss = loss

    def __str__(self) -> str:
        return (
            f"step {self.step}: the {self.network}'s {self.loss} loss or its gradient is not "
            "finite. That update was not made. Lower the learning rates, or add a penalty."
        )


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

    def stacked(self) -> Tensor:
        """As one tensor, ``(quantities, runs)``."""
        return torch.stack([*self[:-1], self.frozen.to(self.real.dtype)])

    @classmethod
    def of(cls, columns: Tensor) -> Record:
        """From one tensor, ``(quantities, runs)``."""
        return cls(*columns)._replace(frozen=columns[-1].bool())


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


class History:
    """Per-step, per-run numbers of a training, kept on its device.

    Attributes:
        first: number of steps taken before this history began.

    Raises:
        ValueError: ``first`` is no whole number, or negative.

    Example:
        >>> history = History(first=100)
        >>> history.extend(torch.zeros(3, len(Record._fields), 2))  # three steps of two runs
        >>> len(history), history["real"].shape
        (3, torch.Size([3, 2]))
    """

    def __init__(self, first: int = 0) -> None:
        self.first = whole("first", first, at_least=0)
        self._joined: list[Tensor] = []
        self._fresh: list[Tensor] = []
        self._steps = 0

    def __len__(self) -> int:
        return self._steps

    def extend(self, records: Tensor) -> None:
        """Add steps as the trainer measures them, shape ``(steps, quantities, runs)``.

        Raises:
            ValueError: they are of another shape.
        """
        fits = isinstance(records, Tensor) and records.dim() == 3
        if not fits or records.shape[1] != len(Record._fields):
            expected = f"(steps, {len(Record._fields)}, runs)"
            raise ValueError(f"records = {shown(records)}: must be a tensor, {expected}")
        if steps := records.shape[0]:
            self._fresh.append(records)
            self._steps += steps
        if len(self._fresh) == CHUNKS:  # thousands of small tensors are slow to read
            self._joined.append(torch.cat(self._fresh))
            self._fresh = []

    @property
    def last(self) -> Record:
        """The latest step.

        Raises:
            ValueError: no step was taken.
        """
        if not self._steps:
            raise ValueError("the history is empty: no step was taken")
        return Record.of((self._fresh or self._joined)[-1][-1])

    def __getitem__(self, quantity: str) -> Tensor:
        """Return one field of :class:`Record` over time, shape ``(steps, runs)``, on the CPU.

        Raises:
            ValueError: there is no such field.
        """
        column = Record._fields.index(one_of("quantity", quantity, Record._fields))
        if not self._steps:
            return torch.empty(0, 0)
        return torch.cat([chunk[:, column] for chunk in (*self._joined, *self._fresh)]).cpu()

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

    def symptom(self, objective: Loss) -> str:
        """Say what most runs of the training suffer from of late; empty if they look well.

        Args:
            objective: the loss, which says whether D gives probabilities.
        """
        if not self._steps:
            return ""
        lately = {name: self[name][-LATELY:].float() for name in Record._fields}
        measures = {name: float(values.mean(dim=0).median()) for name, values in lately.items()}
        if not objective.gives_probabilities:
            del measures["real"], measures["fake"]
        return symptom(measures)


def symptom(measures: Mapping[str, float]) -> str:
    """Say what a training suffers from, and what helps; empty if it looks well.

    Args:
        measures: any of ``real`` and ``fake``, what D says of either, where that is a
            probability; ``outside``, the share of samples that are far from all data;
            ``frozen``, the share of steps after the training stopped; and the losses and norms
            of gradients of a :class:`Record`.

    Raises:
        ValueError: ``measures`` is no dictionary.
    """
    mapping("measures", measures)
    if measures.get("frozen", 0) > 0.5:
        return (
            "The training stopped: a loss or its gradient was not finite. "
            "Lower the rates or add R1, and start again (chapter 06)."
        )
    if measures.get("outside", 0) > 0.9:
        return (
            "The generator has run away: nearly all samples are outside the picture. "
            "Lower the rates or add R1, then reset (chapter 06)."
        )
    if measures.get("real", 0) > 0.99 and measures.get("fake", 1) < 0.01:
        return (
            "D is nearly perfect, and G learns little from it. "
            "Lower D's rate or k, or add R1 (chapter 05)."
        )
    losses = ("discriminator_loss", "generator_loss")
    if any(abs(measures.get(name, 0)) > RUNAWAY for name in losses):
        return (
            "The losses run away. Lower the rates; a critic without bounds needs a penalty, such "
            "as WGAN-GP (chapters 06 and 08)."
        )
    if measures.get("generator_gradient", 1) < VANISHED:
        return (
            "G's gradient has vanished: D says the same of all its samples. Lower D's rate or k, "
            "or choose the non-saturating loss (chapter 05)."
        )
    return ""
