"""What every function asks of its arguments, in one voice: ``name = value: what is allowed``.

Each function returns the value in the one form that the caller goes on with, or raises a
``ValueError`` that names the argument, what it was, and what is allowed. ``True`` and
``False`` are truth values here, never the numbers 1 and 0.
"""

from __future__ import annotations

import math
import operator
import os
from collections.abc import Iterable, Mapping, Sequence
from numbers import Real
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

#: What is beyond is a slip, which torch would say in its own words, or count to for ever.
_LARGEST = 2**63 - 1


def whole(
    name: str, value: object, *, at_least: int | None = None, at_most: int | None = None
) -> int:
    """A whole number: an int, or NumPy's or torch's integer of one element.

    Args:
        name: the argument, as the caller writes it.
        value: what was given.
        at_least: the smallest that is allowed.
        at_most: the largest that is allowed.

    Raises:
        ValueError: it is a truth value, no integer, or out of range.
    """
    try:
        number = None if _is_truth(value) else operator.index(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, RuntimeError):  # torch has a kind of its own for each
        number = None
    if number is not None and at_most is None and number > _LARGEST:
        at_most = _LARGEST
    if number is None or not _between(number, at_least, at_most, None, None):
        must = _allowed("a whole number", at_least, at_most, None, None)
        raise ValueError(f"{name} = {shown(value)}: must be {must}")
    return number


def number(
    name: str,
    value: object,
    *,
    at_least: float | None = None,
    at_most: float | None = None,
    above: float | None = None,
    below: float | None = None,
) -> float:
    """A finite real number: Python's, NumPy's, or a tensor's of one element.

    Args:
        name: the argument, as the caller writes it.
        value: what was given.
        at_least: the smallest that is allowed.
        at_most: the largest that is allowed.
        above: all that are allowed are larger.
        below: all that are allowed are smaller.

    Raises:
        ValueError: it is a truth value, no number, NaN, infinite, or out of range.
    """
    found = None if _is_truth(value) else _real(value)
    if (
        found is None
        or not math.isfinite(found)
        or not _between(found, at_least, at_most, above, below)
    ):
        must = _allowed("a finite number", at_least, at_most, above, below)
        raise ValueError(f"{name} = {shown(value)}: must be {must}")
    return found


def one_of(name: str, value: object, allowed: Iterable[str]) -> str:
    """One of some names.

    Args:
        name: the argument, as the caller writes it.
        value: what was given.
        allowed: the names, or a registry that has them as keys.

    Raises:
        ValueError: it is none of them.
    """
    names = sorted(allowed)
    if not isinstance(value, str) or value not in names:
        raise ValueError(f"{name} = {shown(value)}: choose one of {names}")
    return value


def flag(name: str, value: object) -> bool:
    """``True`` or ``False``, NumPy's too; a number or a word is neither.

    Args:
        name: the argument, as the caller writes it.
        value: what was given.

    Raises:
        ValueError: it is no truth value.
    """
    if not isinstance(value, bool | np.bool_):
        raise ValueError(f"{name} = {shown(value)}: must be True or False")
    return bool(value)


def function(name: str, value: object) -> None:
    """Something that can be called.

    Args:
        name: the argument, as the caller writes it.
        value: what was given.

    Raises:
        ValueError: it cannot be called.
    """
    if not callable(value):
        raise ValueError(f"{name} = {shown(value)}: must be a function")


def mapping(name: str, value: object) -> Mapping[Any, Any]:
    """A dictionary, or whatever else has keys and values.

    Args:
        name: the argument, as the caller writes it.
        value: what was given.

    Raises:
        ValueError: it is none.
    """
    if not isinstance(value, Mapping):
        raise ValueError(f"{name} = {shown(value)}: must be a dictionary")
    return value


def words_of(text: str) -> list[str]:
    """A text's words; capital letters, commas, a full stop at the end do not matter.

    Example:
        >>> words_of(" A large, red circle. ")
        ['a', 'large', 'red', 'circle']
    """
    return text.lower().replace(",", " ").strip().removesuffix(".").split()


def file(name: str, value: object) -> Path:
    """Where a file is, or will be.

    Args:
        name: the argument, as the caller writes it.
        value: what was given.

    Raises:
        ValueError: it is no path, or an empty one.
    """
    if not isinstance(value, str | os.PathLike) or not os.fspath(value):
        raise ValueError(f"{name} = {shown(value)}: must be a path")
    return Path(value)


def sizes(name: str, value: object) -> tuple[int, ...]:
    """How many samples to draw, ``(runs, batch)`` or the like; a size may be 0, or there is none.

    Args:
        name: the argument, as the caller writes it.
        value: what was given.

    Raises:
        ValueError: it is no sequence of whole numbers.
    """
    if not isinstance(value, Sequence) or isinstance(value, str | bytes):
        raise ValueError(f"{name} = {shown(value)}: must be a sequence of whole numbers, as (5,)")
    return tuple(whole(name, size, at_least=0, at_most=2**31) for size in value)


def tensor(
    name: str,
    value: object,
    shape: str,
    *,
    least: int = 0,
    finite: bool = True,
    dtype: torch.dtype | None = None,
) -> Tensor:
    """Real numbers as a floating-point tensor; a tensor of floats is returned as it is.

    Args:
        name: the argument, as the caller writes it.
        value: a tensor, an array, or nested sequences of numbers. Integers become floats.
        shape: what its dimensions mean, as the message will have it: ``"(runs, samples, dim)"``.
            Ends with ``...`` where any number of dimensions may follow.
        least: how many of each dimension there must be.
        finite: whether NaN and infinities are refused. Looking at the values waits for a GPU
            and breaks ``vmap``, so a function inside a training step asks ``False``.
        dtype: of the result; default that of a tensor of floats, else torch's default.

    Raises:
        ValueError: it has no numbers, another rank, too few of something, or is not finite.
    """
    found = _as_tensor(name, value, shape, dtype)
    names = [part.strip() for part in shape.strip("()").split(",") if part.strip()]
    rank = len(names) - ("..." in names)
    fits = found.dim() >= rank if "..." in names else found.dim() == rank
    if not fits or any(size < least for size in found.shape):
        enough = f", at least {least} of each" if least else ""
        raise ValueError(f"{name} has shape {tuple(found.shape)}: expected {shape}{enough}")
    if finite and found.is_meta:
        raise ValueError(f"{name} is on device meta: must have numbers")
    if finite and not bool(found.isfinite().all()):
        at = (~found.isfinite()).nonzero()[0].tolist()
        raise ValueError(f"{name} = {found[tuple(at)].item()} at {at}: must be finite numbers")
    return found


def are_whole(value: object) -> bool:
    """Whether it is a tensor of whole numbers, of any size in memory; truth values are none."""
    kinds = (torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64)
    return isinstance(value, Tensor) and value.dtype in kinds


def floats(name: str, value: object, shape: tuple[int, ...], like: Tensor) -> Tensor:
    """A tensor of floats ``(batch, *shape)``, as a network reads it.

    Args:
        name: the argument, as the caller writes it.
        value: what was given.
        shape: of one sample.
        like: a weight of the network, for the kind of floats and the device.

    Raises:
        ValueError: it is none, or of another kind or on another device than the weights.
    """
    wanted = f"(batch, {', '.join(map(str, shape))})"
    if not isinstance(value, Tensor) or not value.is_floating_point():
        raise ValueError(f"{name} = {shown(value)}: must be a tensor of floats, {wanted}")
    if value.dim() != 1 + len(shape) or value.shape[1:] != shape:
        raise ValueError(f"{name} has shape {tuple(value.shape)}: expected {wanted}")
    one_device(weights=like, **{name: value})
    if value.dtype != like.dtype and not torch.is_autocast_enabled(value.device.type):
        raise ValueError(f"{name} has dtype {value.dtype}: expected {like.dtype}, as the weights")
    return value


def one_device(**tensors: Tensor | None) -> None:
    """Tensors that are about to meet lie on one device.

    Args:
        tensors: by the names of the arguments; ``None`` is passed over.

    Raises:
        ValueError: two lie on different devices.
    """
    (first, where), *others = [(n, t.device) for n, t in tensors.items() if t is not None]
    for name, device in others:
        if device != where:
            raise ValueError(f"{name} is on device {device}: expected {where}, that of {first}")


def shown(value: object, length: int = 80) -> str:
    """The value as an error shows it: an array by its shape, a long text cut off."""
    if isinstance(value, Tensor | np.ndarray) and value.ndim and math.prod(value.shape) > 8:
        return f"<{type(value).__name__} of shape {tuple(value.shape)}>"
    text = repr(value)
    return text if len(text) <= length else f"{text[: length - 1]}…"


def _as_tensor(name: str, value: object, shape: str, dtype: torch.dtype | None) -> Tensor:
    try:
        found = value if isinstance(value, Tensor) else torch.as_tensor(value)
    except (TypeError, ValueError, RuntimeError, OverflowError):
        found = None
    if found is None or found.dtype == torch.bool or found.is_complex():
        raise ValueError(f"{name} = {shown(value)}: must be real numbers, {shape}")
    if dtype is None and not found.is_floating_point():
        dtype = torch.get_default_dtype()
    return found if dtype is None else found.to(dtype)


def _is_truth(value: object) -> bool:
    return isinstance(value, bool) or getattr(value, "dtype", None) in (torch.bool, np.bool_)


def _real(value: object) -> float | None:
    """The value as a float; ``None`` if it is no real number."""
    one = isinstance(value, Tensor | np.ndarray) and math.prod(value.shape) == 1
    if one:
        value = value.item()  # type: ignore[attr-defined]
    try:
        return float(value) if isinstance(value, Real) else None
    except OverflowError:  # an int beyond all floats
        return None


def _between(
    value: float,
    at_least: float | None,
    at_most: float | None,
    above: float | None,
    below: float | None,
) -> bool:
    return (
        (at_least is None or value >= at_least)
        and (at_most is None or value <= at_most)
        and (above is None or value > above)
        and (below is None or value < below)
    )


def _allowed(
    kind: str,
    at_least: float | None,
    at_most: float | None,
    above: float | None,
    below: float | None,
) -> str:
    limits = {"at least": at_least, "above": above, "at most": at_most, "below": below}
    said = [f"{words} {limit}" for words, limit in limits.items() if limit is not None]
    return ", ".join([kind, " and ".join(said)]) if said else kind
