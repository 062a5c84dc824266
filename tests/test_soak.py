"""The hundreds of tries of ``make soak``, a few of them here; and that they notice a loss."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from tools import ROOT, load

from gan_course.training import trainer

soak = load("benchmarks/soak.py")
posix = pytest.mark.skipif(not hasattr(soak.os, "fork"), reason="this system cannot fork")


@pytest.mark.parametrize("one_by_one", [False, True])
def test_interrupts_leave_the_training_whole(one_by_one: bool) -> None:
    assert soak.interrupts(8, one_by_one=one_by_one) == 0


IN_PLACE = """
def save(path, training):
    buffer = io.BytesIO()
    torch.save(training.state_dict(), buffer)
    with path.open("wb", buffering=0) as file:
        for byte in range(0, buffer.tell(), 512):
            file.write(buffer.getvalue()[byte : byte + 512])
"""


def killed(times: int, save: str) -> int:
    """How many kills lost a checkpoint, in a process that may fork: it has trained nothing yet."""
    code = f"""
import io, runpy, torch
torch.set_num_threads(1)
from gan_course.checkpoints import save
{save}
print(runpy.run_path("benchmarks/soak.py")["kills"]({times}, save))
"""
    run = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert run.returncode == 0, run.stderr
    return int(run.stdout)


@posix
def test_kills_leave_a_checkpoint() -> None:
    assert killed(5, "") == 0


@posix
def test_a_checkpoint_written_in_place_would_be_noticed() -> None:
    assert killed(10, IN_PLACE) > 0


@posix
def test_a_process_that_saves_nothing_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    idle = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    reader, writer = os.pipe()
    held = os.dup(writer)  # as the process does that has not saved yet
    with monkeypatch.context() as patch:
        patch.setattr(soak.os, "pipe", lambda: (reader, writer))
        patch.setattr(soak.os, "fork", lambda: idle.pid, raising=False)
        patch.setattr(soak, "PATIENCE", 0.1)
        with pytest.raises(TimeoutError, match=r"has saved nothing in 0\.1 s"):
            soak.kills(1, lambda *_: None)
    os.close(held)
    idle.wait(60)  # it was killed, and waited for already


@pytest.mark.parametrize("one_by_one", [False, True])
def test_an_interrupt_in_the_middle_of_a_step_would_be_noticed(
    one_by_one: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    @contextmanager
    def undeferred() -> Iterator[Callable[[], int]]:
        yield lambda: 0

    monkeypatch.setattr(trainer, "interrupts", undeferred)
    assert soak.interrupts(40, one_by_one=one_by_one) > 0
