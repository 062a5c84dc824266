"""What a reader can turn between two steps, checked when it is turned."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from types import MappingProxyType
from typing import Any

import numpy as np
from torch import Tensor

from gan_course.arguments import number, one_of, shown, whole
from gan_course.losses import LOSSES, Loss
from gan_course.penalties import PENALTIES, Penalty
from gan_course.training.optimisers import OPTIMISERS

#: Settings that a step is given with its batches, so that a schedule of them costs nothing.
RATES = ("discriminator_rate", "generator_rate")
#: Settings that change nothing but the batches and what goes with them.
FLUID = frozenset({*RATES, "instance_noise"})
#: A rate for all runs, or one for each.
Rate = float | tuple[float, ...]


@dataclass(frozen=True)
class Settings:
    """What a reader can turn between two steps.

    Numbers may be Python's, NumPy's or a tensor's; they are kept as Python's. Nothing in a
    settings object can be changed afterwards; :func:`dataclasses.replace` makes another.

    Attributes:
        loss: a key of :data:`gan_course.losses.LOSSES`, or a
            :class:`~gan_course.losses.Loss` of your own.
        k: discriminator steps for each generator step.
        batch: samples in each mini-batch.
        optimiser: a key of :data:`gan_course.training.optimisers.OPTIMISERS`. A change starts
            the moments anew.
        discriminator_rate: learning rate of D; a sequence has one for each run. At 0 the
            player stands still.
        generator_rate: learning rate of G, likewise.
        betas: Adam's decay rates.
        penalties: weight of each penalty, by its key in
            :data:`gan_course.penalties.PENALTIES` or by a
            :class:`~gan_course.penalties.Penalty` of your own.
        clip: bound on each of D's weights after its step (Arjovsky et al. 2017, algorithm 1);
            0 for none.
        gradient_clip: bound on the norm of each player's gradient, for each run; 0 for none.
        packing: samples that D judges at once (Lin et al. 2018, PacGAN), side by side in its
            input; a divisor of ``batch``.
        unroll: steps of D that G looks ahead (Metz et al. 2017); 0 for none. The points where
            R2 and WGAN-GP measure do not move with G then.
        instance_noise: standard deviation of normal noise on all that D sees, real and
            generated (Sønderby et al. 2017).
        averaging: decay of the exponential average of G's weights; 0 keeps none.

    Raises:
        ValueError: a value is out of range; the message names it.

    Example:
        >>> settings = Settings(loss="hinge", k=2, penalties={"R1": 0.1})
        >>> settings.penalties["R1"]
        0.1
    """

    loss: str | Loss = "non-saturating"
    k: int = 1
    batch: int = 256
    optimiser: str = "Adam"
    discriminator_rate: float | Sequence[float] = 1e-3
    generator_rate: float | Sequence[float] = 1e-3
    betas: tuple[float, float] = (0.5, 0.999)
    penalties: Mapping[str | Penalty, float] = field(default_factory=dict)
    clip: float = 0.0
    gradient_clip: float = 0.0
    packing: int = 1
    unroll: int = 0
    instance_noise: float = 0.0
    averaging: float = 0.0

    def __post_init__(self) -> None:
        for name, allowed in _ALLOWED.items():
            object.__setattr__(self, name, allowed(name, getattr(self, name)))
        if self.batch % self.packing:
            raise ValueError(
                f"packing = {self.packing!r}: must divide the batch of {self.batch} samples"
            )

    def __reduce__(self) -> tuple[Callable[..., Settings], tuple[object, ...]]:
        # A read-only view of a dict cannot be copied or pickled; the dict can.
        values = [getattr(self, one.name) for one in fields(self)]
        plain = [dict(v) if isinstance(v, MappingProxyType) else v for v in values]
        return Settings, tuple(plain)

    def with_rates(self, **changes: object) -> Settings:
        """These settings with other rates or another instance noise, and no other check.

        Raises:
            ValueError: a value is out of range.
        """
        other = object.__new__(Settings)
        checked = {name: _ALLOWED[name](name, value) for name, value in changes.items()}
        other.__dict__.update(vars(self) | checked)
        return other

    def plain(self) -> dict[str, Any]:
        """The settings as names, numbers, lists and dicts."""
        values: dict[str, Any] = {one.name: getattr(self, one.name) for one in fields(self)}
        values["loss"] = self.objective.name
        values["penalties"] = {
            getattr(penalty, "name", penalty): weight for penalty, weight in self.penalties.items()
        }
        return {name: list(v) if isinstance(v, tuple) else v for name, v in values.items()}

    @classmethod
    def from_plain(cls, values: Mapping[str, Any], known: Settings) -> Settings:
        """The settings that :meth:`plain` wrote down.

        Args:
            values: what it wrote.
            known: settings whose loss and penalties stand for their names, too.

        Raises:
            ValueError: a value is out of range, or a setting is missing or unknown.
        """
        names = {one.name for one in fields(cls)}
        if values.keys() != names:
            strange = ", ".join(sorted(values.keys() ^ names))
            raise ValueError(f"settings of another version: {strange}")
        own: dict[str, Any] = {key.name: key for key in known.penalties if isinstance(key, Penalty)}
        if isinstance(known.loss, Loss) and values["loss"] == known.loss.name:
            values = {**values, "loss": known.loss}
        penalties = {own.get(name, name): weight for name, weight in values["penalties"].items()}
        return cls(**{**values, "penalties": penalties})

    @cached_property
    def objective(self) -> Loss:
        """The loss itself."""
        return LOSSES[self.loss] if isinstance(self.loss, str) else self.loss

    @cached_property
    def charges(self) -> list[tuple[Penalty, float]]:
        """The penalties themselves, each with its weight; those of weight 0 left out."""
        return [
            (PENALTIES[penalty] if isinstance(penalty, str) else penalty, weight)
            for penalty, weight in self.penalties.items()
            if weight
        ]


@dataclass(frozen=True)
class Linear:
    """A setting that changes with the steps: constant, then a straight line, then constant.

    Attributes:
        start: value up to step ``begin``.
        stop: value from step ``end`` on.
        begin: where the line begins, in steps of the training.
        end: where it ends.

    Raises:
        ValueError: a value is not finite, or the steps are not in order.

    Example:
        >>> Linear(1.0, 0.0, begin=100, end=200)(150)
        0.5
    """

    start: float
    stop: float
    begin: int
    end: int

    def __post_init__(self) -> None:
        for name in ("start", "stop"):
            object.__setattr__(self, name, number(name, getattr(self, name)))
        for name in ("begin", "end"):
            object.__setattr__(self, name, whole(name, getattr(self, name)))
        if not 0 <= self.begin < self.end:
            raise ValueError(f"begin = {self.begin!r}, end = {self.end!r}: 0 ≤ begin < end")

    def __call__(self, step: int) -> float:
        """The value at a step.

        Raises:
            ValueError: ``step`` is no number.
        """
        at = number("step", step)
        share = min(max((at - self.begin) / (self.end - self.begin), 0.0), 1.0)
        return self.start + share * (self.stop - self.start)


def scheduled(
    settings: Settings, schedule: Mapping[str, Callable[[int], object]], first: int, steps: int
) -> list[Settings]:
    """The settings of the next steps; of one alone, where more than :data:`FLUID` changes.

    Args:
        settings: the present ones.
        schedule: functions of the number of steps taken, by name.
        first: steps taken so far.
        steps: how many are asked for.

    Returns:
        At least one, at most ``steps``: those before a value that is out of range.

    Raises:
        ValueError: the first value is out of range.
        TypeError: there is no such setting.
    """
    if not schedule:
        return [settings] * steps
    if unknown := schedule.keys() - {one.name for one in fields(Settings)}:
        raise TypeError(f"schedule = {sorted(unknown)}: there is no such setting")
    if schedule.keys() - FLUID:
        return [replace(settings, **{name: value(first) for name, value in schedule.items()})]  # type: ignore[arg-type]
    each: list[Settings] = []
    for step in range(first, first + steps):
        try:
            changed = {name: value(step) for name, value in schedule.items()}
            each.append(settings.with_rates(**changed))
        except ValueError:
            if each:  # those before it are taken first
                break
            raise
    return each


# --- What each setting may be ------------------------------------------------------------


def _loss(name: str, value: object) -> str | Loss:
    return value if isinstance(value, Loss) else one_of(name, value, LOSSES)


def _optimiser(name: str, value: object) -> str:
    return one_of(name, value, OPTIMISERS)


def _at_least(least: int) -> Callable[[str, object], int]:
    return lambda name, value: whole(name, value, at_least=least)


def _weight(name: str, value: object) -> float:
    return number(name, value, at_least=0)


def _decay(name: str, value: object) -> float:
    return number(name, value, at_least=0, below=1)


def rate(name: str, value: object) -> Rate:
    """A learning rate, or one for each run.

    Raises:
        ValueError: it is negative, not finite, or no number.
    """
    if isinstance(value, Sequence | np.ndarray | Tensor) and not isinstance(value, str | bytes):
        one = isinstance(value, np.ndarray | Tensor) and math.prod(value.shape) == 1
        if not one:
            return tuple(
                number(f"{name}[{run}]", each, at_least=0) for run, each in enumerate(value)
            )
    return number(name, value, at_least=0)


def _betas(name: str, value: object) -> tuple[float, float]:
    tensors = isinstance(value, np.ndarray | Tensor) and value.ndim == 1
    pair = list(value) if tensors or isinstance(value, Sequence) else []  # type: ignore[call-overload]
    if len(pair) != 2:
        raise ValueError(f"{name} = {shown(value)}: two numbers, each at least 0 and below 1")
    return _decay(f"{name}[0]", pair[0]), _decay(f"{name}[1]", pair[1])


def _penalties(name: str, value: object) -> Mapping[str | Penalty, float]:
    if not isinstance(value, Mapping):
        raise ValueError(f"{name} = {shown(value)}: a weight for each name, a dict")
    weights = {
        penalty if isinstance(penalty, Penalty) else one_of(name, penalty, PENALTIES): _weight(
            f"{name}[{getattr(penalty, 'name', penalty)!r}]", weight
        )
        for penalty, weight in value.items()
    }
    return MappingProxyType(weights)


_ALLOWED: dict[str, Callable[[str, Any], object]] = {
    "loss": _loss,
    "k": _at_least(1),
    "batch": _at_least(1),
    "optimiser": _optimiser,
    "discriminator_rate": rate,
    "generator_rate": rate,
    "betas": _betas,
    "penalties": _penalties,
    "clip": _weight,
    "gradient_clip": _weight,
    "packing": _at_least(1),
    "unroll": _at_least(0),
    "instance_noise": _weight,
    "averaging": _decay,
}
