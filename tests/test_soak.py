"""The hundreds of tries of ``make soak``, a few of them here; and that they notice a loss."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from tools import load

from gan_course import checkpoints
from gan_course.training import Trainer, trainer

soak = load("benchmarks/soak.py")
posix = pytest.mark.skipif(not hasattr(soak.os, "fork"), reason="this system cannot fork")


@pytest.mark.parametrize("one_by_one", [False, True])
def test_interrupts_leave_the_training_whole(one_by_one: bool) -> None:
    assert soak.interrupts(8, one_by_one=one_by_one) == 0


@posix
def test_kills_leave_a_checkpoint() -> None:
    assert soak.kills(5, checkpoints.save) == 0


@pytest.mark.parametrize("one_by_one", [False, True])
def test_an_interrupt_in_the_middle_of_a_step_would_be_noticed(
    one_by_one: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    @contextmanager
    def undeferred() -> Iterator[Callable[[], int]]:
        yield lambda: 0

    monkeypatch.setattr(trainer, "_interrupts", undeferred)
    assert soak.interrupts(40, one_by_one=one_by_one) > 0


@posix
def test_a_checkpoint_written_in_place_would_be_noticed() -> None:
    def in_place(path: Path, training: Trainer) -> None:
        buffer = io.BytesIO()
        torch.save(training.state_dict(), buffer)
        with path.open("wb", buffering=0) as file:
            for byte in range(0, buffer.tell(), 512):
                file.write(buffer.getvalue()[byte : byte + 512])

    assert soak.kills(10, in_place) > 0
