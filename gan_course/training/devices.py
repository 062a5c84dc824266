"""Which device a training runs on, and whether that device computes rightly."""

from __future__ import annotations

import gc
import os
import platform
import tomllib
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from gan_course.arguments import shown


def pick_device(name: str | torch.device = "auto") -> torch.device:
    """Turn a device's name into a device that works.

    Args:
        name: ``"auto"`` for CUDA where it works, else the CPU; or any name that torch knows.
            Apple's ``"mps"`` is taken only where it is named: its second derivatives have been
            wrong, so it must first agree with the CPU on one.

    Raises:
        ValueError: the named device cannot be used; the message says why.
    """
    if not isinstance(name, str | torch.device):
        raise ValueError(f"device = {shown(name)}: must be a device's name")
    if name == "auto":
        return _automatic_device()
    try:
        device = torch.device(name)
        torch.ones(2, device=device).sum().item()
        if device.type not in ("cpu", "meta"):
            _compare_with_the_cpu(device)
    except (RuntimeError, AssertionError, NotImplementedError, TypeError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"device = {str(name)!r} cannot be used here: {reason}") from None
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


def _compare_with_the_cpu(device: torch.device) -> None:
    """Ask a device for a penalty's gradient, which takes a derivative of a derivative.

    Raises:
        RuntimeError: it does not agree with the CPU to 1 %.
    """
    at = torch.Generator().manual_seed(0)
    x, w, v = (torch.randn(size, generator=at) for size in ((8, 4), (4, 16), (16, 1)))
    here = _gradient_of_a_penalty(x, w, v)
    there = _gradient_of_a_penalty(x.to(device), w.to(device), v.to(device)).cpu()
    if not torch.allclose(there, here, rtol=1e-2, atol=1e-4):
        raise RuntimeError("it computes another gradient of a gradient penalty than the CPU")


def _gradient_of_a_penalty(x: Tensor, w: Tensor, v: Tensor) -> Tensor:
    x, w = x.requires_grad_(), w.requires_grad_()
    (slope,) = torch.autograd.grad(F.softplus(x @ w @ v).sum(), x, create_graph=True)
    (gradient,) = torch.autograd.grad(slope.square().sum(), w)
    return gradient


@contextmanager
def enough_memory(batch: int) -> Iterator[None]:
    """Say what to do when a device's memory runs out, and leave it free for the next try.

    Args:
        batch: of the training, for the advice.

    Raises:
        torch.OutOfMemoryError: with that advice; no tensor of the failed step is kept.
    """
    try:
        yield
    except torch.OutOfMemoryError as error:
        reason = str(error).splitlines()[0]
        # A traceback holds its frames, and each frame the tensors of the step that failed.
        traceback.clear_frames(error.__traceback__)
    else:
        return
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    smaller = f"batch={max(1, batch // 2)}" if batch > 1 else "smaller networks or fewer runs"
    raise torch.OutOfMemoryError(
        f"The device's memory does not hold this step ({reason}). That step was not made, and "
        f"its memory is free again. Try {smaller}: trainer.set(batch=…)."
    )


def about(device: str = "auto") -> dict[str, Any]:
    """Where a training runs, and with what: machine, threads, versions; for its record."""
    place = pick_device(device)
    cores = f"{os.cpu_count()} CPU cores ({platform.machine()})"
    return {
        "machine": cores if place.type == "cpu" else torch.cuda.get_device_name(place),
        "threads": torch.get_num_threads(),
        "versions": {
            "python": platform.python_version(),
            "torch": str(torch.__version__),
            "gan-course": _own_version(),
        },
    }


def _own_version() -> str:
    """The library's version, in a checkout that is not installed, too."""
    try:
        return version("gan-course")
    except PackageNotFoundError:
        project = Path(__file__).parents[2] / "pyproject.toml"
        return str(tomllib.loads(project.read_text("utf-8"))["project"]["version"])
