"""Saved trainings that are never half written, never taken for whole when damaged.

A checkpoint is two files: ``PATH``, and ``PATH.sha256`` with its checksum, as ``sha256sum`` writes
it. The one before it is kept as ``PATH.previous``. A new one is written beside them, forced onto
the disk, and put in place by renaming, so that a process that is killed at any moment leaves one
that loads. Loading takes tensors and plain values only (``weights_only=True``): a checkpoint cannot
run code.
"""

from __future__ import annotations

import errno
import hashlib
import io
import math
import os
import pickle
import shutil
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.utils._pytree import tree_map_only

from gan_course.arguments import file, shown


class Saved(Protocol):
    """What can be saved: a :class:`gan_course.training.Trainer`, for one."""

    def state_dict(self) -> Mapping[str, Any]:
        """Everything it is, as tensors and plain values."""

    def load_state_dict(self, saved: Mapping[str, Any], /) -> None:
        """Go back to it, or raise ``ValueError`` and change nothing."""


class CheckpointError(RuntimeError):
    """No checkpoint could be loaded; the message says why, file by file."""


def save(path: str | Path, training: Saved) -> None:
    """Write a checkpoint; the one that was there is kept as ``PATH.previous``.

    Args:
        path: where; its folder must exist.
        training: what to save.

    Raises:
        OSError: the disk is full, or the folder is not there or cannot be written to. An old
            checkpoint stays.
    """
    path = file("path", path)
    _check_training(training, "state_dict")
    buffer = io.BytesIO()
    # On the CPU, so that it can be read where the training's device is not.
    torch.save(tree_map_only(Tensor, Tensor.cpu, dict(training.state_dict())), buffer)
    content = buffer.getvalue()
    new, new_sum = _beside(path, ".new"), _beside(path, ".new.sha256")
    line = f"{hashlib.sha256(content).hexdigest()}  {path.name}\n"
    try:
        _write(new, content)
        _write(new_sum, line.encode())
    except OSError as error:
        for part in (new, new_sum):
            part.unlink(missing_ok=True)
        full = error.errno in (errno.ENOSPC, errno.EFBIG, errno.EDQUOT)
        why = f"it needs {math.ceil(len(content) / 1e5) / 10} MB" if full else str(error.strerror)
        if not path.parent.exists():
            why = "its folder does not exist"
        stays = "; the old one stays" if exists(path) else ""
        raise OSError(
            error.errno, f"the checkpoint was not written ({why}){stays}", str(path)
        ) from None
    # Wherever this is stopped, one of both is there with its checksum. A damaged one is no
    # replacement for the good one before it.
    if path.exists() and _whole(path) is not None:
        shutil.copyfile(_sum_of(path), _beside(path, ".old.sha256"))
        _beside(path, ".old.sha256").replace(_sum_of(_previous(path)))
        path.replace(_previous(path))
    new_sum.replace(_sum_of(path))
    new.replace(path)
    _force(path.parent)


def load(path: str | Path, training: Saved) -> Path:
    """Go on from a checkpoint; from the one before it, with a warning, where it is damaged.

    Args:
        path: as :func:`save` was given it.
        training: made as the saved one was; only a state that fits is taken over.

    Returns:
        The file that was loaded.

    Raises:
        FileNotFoundError: there is none.
        CheckpointError: there are some, and none could be read.
        ValueError: it is the checkpoint of another kind of training.
    """
    path = file("path", path)
    _check_training(training, "load_state_dict")
    found = [one for one in (path, _previous(path)) if one.exists()]
    if not found:
        raise FileNotFoundError(errno.ENOENT, "there is no checkpoint", str(path))
    damages = []
    for one in found:
        content = _whole(one)
        if content is None:
            damages.append(f"{one} does not have its checksum")
            continue
        try:
            state = torch.load(io.BytesIO(content), weights_only=True, map_location="cpu")
        except (pickle.UnpicklingError, RuntimeError, EOFError) as error:
            damages.append(f"{one} holds more than tensors and numbers: {_first_line(error)}")
            continue
        if damages:
            warnings.warn(f"{'; '.join(damages)}. Loaded {one}.", stacklevel=2)
        training.load_state_dict(state)
        return one
    raise CheckpointError("; ".join(damages))


def exists(path: str | Path) -> bool:
    """Whether there is something to go on from.

    Raises:
        ValueError: ``path`` is no path.
    """
    path = file("path", path)
    return path.exists() or _previous(path).exists()


def _check_training(training: object, method: str) -> None:
    if not hasattr(training, method):
        raise ValueError(f"training = {shown(training)}: must have a {method}, as a Trainer has")


def _whole(path: Path) -> bytes | None:
    """What a file holds; ``None`` where it does not have its checksum."""
    content = path.read_bytes()
    sound = hashlib.sha256(content).hexdigest() == _read_sum(_sum_of(path))
    return content if sound else None


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)


def _previous(path: Path) -> Path:
    return _beside(path, ".previous")


def _sum_of(path: Path) -> Path:
    return _beside(path, ".sha256")


def _read_sum(path: Path) -> str:
    try:
        return path.read_text("utf-8").split()[0]
    except (OSError, UnicodeDecodeError, IndexError):
        return ""


def replace_file(path: Path, content: bytes) -> None:
    """Write a file that is wholly the old one or wholly the new one, whatever happens.

    Raises:
        OSError: the disk is full, or the folder cannot be written to. The old file stays.
    """
    new = _beside(path, ".new")
    try:
        _write(new, content)
    except OSError:
        new.unlink(missing_ok=True)
        raise
    new.replace(path)
    _force(path.parent)


def _write(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _force(folder: Path) -> None:
    """Force a renaming onto the disk, where a system lets folders be opened."""
    if os.name != "nt":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
