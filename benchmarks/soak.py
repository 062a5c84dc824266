"""What must never be lost, tried hundreds of times: ``make soak``.

    python benchmarks/soak.py [--times N] [--check]

- *train*: interrupts at random moments of ``Trainer.train``;
- *step*: the same in a loop of ``Trainer.step``;
- *kill*: a process that saves checkpoints as fast as it can is killed (``SIGKILL``).

After each interrupt the training must be, bit for bit, the one that was never interrupted, at the
same step; after each kill a checkpoint must load and be one that was saved. The counts are noted in
``results/soak.json``; ``--check`` notes nothing. One failure ends it with an error.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import random
import select
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gan_course.training import Trainer

HERE = Path(__file__).resolve().parent
RECORD = HERE / "results" / "soak.json"
#: Seconds in which a process that saves as fast as it can has saved once, on any machine.
PATIENCE = 300.0
#: Tries of each kind: an interrupt and a kill have other prices.
TIMES = {"train": 300, "step": 300, "kill": 200}


def build() -> Trainer:
    """A small training with all that a training can hold: moments, buffers, an average."""
    import torch  # noqa: PLC0415  # --help needs none

    from gan_course.distributions import ring  # noqa: PLC0415
    from gan_course.networks import Ensemble, mlp  # noqa: PLC0415
    from gan_course.training import Settings, Trainer  # noqa: PLC0415

    torch.manual_seed(0)
    return Trainer(
        Ensemble(lambda: mlp(2, 2, width=8, batch_norm=True), 2),
        Ensemble(lambda: mlp(2, 1, width=8, spectral_norm=True), 2),
        ring(),
        settings=Settings(batch=8, averaging=0.9),
        device="cpu",
    )


def fingerprint(trainer: Trainer) -> str:
    """A hash of everything that the next step depends on."""
    saved = trainer.state_dict()
    parts = [saved["random"], *saved["tensors"].values()]
    digest = hashlib.sha256(str(saved["steps"]).encode())
    for part in parts:
        digest.update(part.detach().contiguous().view(-1).numpy().tobytes())
    return digest.hexdigest()


class Undisturbed:
    """Fingerprints of the training that nobody interrupts, step by step."""

    def __init__(self) -> None:
        self.trainer = build()
        self.seen = [fingerprint(self.trainer)]

    def at(self, step: int) -> str:
        """Its fingerprint after so many steps."""
        while len(self.seen) <= step:
            self.trainer.step()
            self.seen.append(fingerprint(self.trainer))
        return self.seen[step]


def interrupts(times: int, *, one_by_one: bool, seed: int = 0) -> int:
    """How many of so many interrupts left a training that is not the undisturbed one."""
    import torch  # noqa: PLC0415  # --help needs none

    chance, undisturbed, trainer, torn = random.Random(seed), Undisturbed(), build(), 0
    # A process started by a shell's `&` ignores SIGINT, and would train for ever.
    previous = signal.signal(signal.SIGINT, signal.default_int_handler)
    for _ in range(times):
        ended = threading.Event()

        def disturb(wait: float, ended: threading.Event = ended) -> None:
            while not ended.wait(wait):
                os.kill(os.getpid(), signal.SIGINT)
                wait = 10.0  # Python swallows what is raised in a finalizer: press again

        thread = threading.Thread(target=disturb, args=(chance.uniform(0.0, 0.02),))
        try:
            thread.start()
            if one_by_one:
                while True:
                    trainer.step()
            trainer.train(10**6, progress=False)
        except KeyboardInterrupt:
            pass
        ended.set()
        thread.join()
        # An interrupt in the end of a ``no_grad`` leaves the whole process without gradients.
        forgotten = not torch.is_grad_enabled()
        torch.set_grad_enabled(True)
        if forgotten or fingerprint(trainer) != undisturbed.at(trainer.steps):
            torn, trainer = torn + 1, build()
    signal.signal(signal.SIGINT, previous)
    return torn


def kills(times: int, save: Callable[[Path, Trainer], None], seed: int = 0) -> int:
    """How many of so many kills left no checkpoint that loads, or one that was never saved."""
    from gan_course import checkpoints  # noqa: PLC0415

    chance, lost = random.Random(seed), 0
    undisturbed = Undisturbed()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "training.pt"
        checkpoints.save(path, build())
        for _ in range(times):
            saved, saves = os.pipe()
            child = os.fork()
            if not child:
                trainer = build()
                while True:
                    trainer.step()
                    save(path, trainer)
                    os.write(saves, b".")
            os.close(saves)  # or a child that fails would be waited for
            answered, *_ = select.select([saved], [], [], PATIENCE)
            if answered:
                os.read(saved, 1)  # from its first save on it does nothing else
                time.sleep(chance.uniform(0.0, 0.05))
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            os.close(saved)
            if not answered:
                raise TimeoutError(f"the process to be killed has saved nothing in {PATIENCE:g} s")
            trainer = build()
            try:
                checkpoints.load(path, trainer)
                whole = fingerprint(trainer) == undisturbed.at(trainer.steps)
            except (OSError, RuntimeError, ValueError):
                whole = False
            if not whole:
                lost += 1
                for left in Path(folder).iterdir():
                    left.unlink()
                checkpoints.save(path, build())
    return lost


def main() -> None:
    """Parse the command line, try everything, note the counts."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--times", type=int, help=f"tries of each kind; default {TIMES}")
    parser.add_argument("--check", action="store_true", help="note nothing")
    arguments = parser.parse_args()
    import torch  # noqa: PLC0415

    from gan_course import checkpoints  # noqa: PLC0415

    torch.set_num_threads(1)  # a fork keeps one thread
    times = {name: arguments.times or count for name, count in TIMES.items()}
    torn = {
        "train": interrupts(times["train"], one_by_one=False),
        "step": interrupts(times["step"], one_by_one=True),
    }
    if hasattr(os, "fork"):  # not on Windows
        torn["kill"] = kills(times["kill"], checkpoints.save)
    for name, count in torn.items():
        print(f"{name}: {count} of {times[name]} lost")
    if not arguments.check:
        record = {
            "lost": torn,
            "times": {name: times[name] for name in torn},
            "machine": f"{platform.system()}, {os.cpu_count()} cores",
            "versions": {"python": platform.python_version(), "torch": torch.__version__},
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        RECORD.write_text(json.dumps(record, indent=2) + "\n", "utf-8")
    if any(torn.values()):
        sys.exit("something was lost")


if __name__ == "__main__":
    sys.path.insert(0, str(HERE.parent))  # a checkout that is not installed
    main()
