"""Everything that needs a GPU, by one command: ``make gpu``.

    python benchmarks/gpu.py [--again] [PART ...]

A machine with PyTorch and a CUDA device is enough: no Jupyter, no pytest, no network. Each part
runs in a process of its own for at most eight minutes. What has passed is noted in
``results/gpu.json`` with the device and the versions, and is not run again for the same commit, so
an interrupted run goes on when the same command is given again. Without a GPU there is nothing to
do, and that is no error.
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import product
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
RECORD = HERE / "results" / "gpu.json"
LIMIT = 8 * 60


# -- what is compared -----------------------------------------------------------------


def agreement() -> dict[str, Any]:
    """Captured and compiled steps follow the eager ones on the GPU, through changed settings."""
    import torch  # noqa: PLC0415  # --help needs none

    from gan_course.distributions import ring  # noqa: PLC0415
    from gan_course.networks import Ensemble, mlp  # noqa: PLC0415
    from gan_course.training import Linear, Record, Settings, Trainer  # noqa: PLC0415

    def build(program: str, runs: int | None) -> Trainer:
        torch.manual_seed(0)
        players = [
            mlp(2, o, width=32) if runs is None else Ensemble(lambda o=o: mlp(2, o, width=32), runs)
            for o in (2, 1)
        ]
        return Trainer(
            *players, ring(), settings=Settings(batch=64), device="cuda", program=program
        )

    changes: list[dict[str, Any]] = [
        {},
        {"penalties": {"R1": 0.1}, "averaging": 0.9},
        {"loss": "relativistic", "k": 2, "penalties": {"WGAN-GP": 1.0}},
        {"unroll": 1, "penalties": {}, "generator_rate": 3e-3},
        {"optimiser": "RMSprop", "unroll": 0, "clip": 0.1, "averaging": 0.0},
    ]
    worst = 0.0
    for program, runs in product(("captured", "compiled"), (None, 8)):
        ours, eager = build(program, runs), build("eager", runs)
        for change in changes:
            for one in (ours, eager):
                one.set(**change)
            line = {"discriminator_rate": Linear(1e-3, 1e-4, 0, 100)}
            history, expected = (one.train(43, schedule=line) for one in (ours, eager))
            for quantity in Record._fields:
                torch.testing.assert_close(
                    history[quantity], expected[quantity], rtol=1e-2, atol=1e-3
                )
            loss = history["discriminator_loss"] - expected["discriminator_loss"]
            worst = max(worst, loss.abs().max().item())
    return {"worst_difference_of_a_loss": worst}


def resuming() -> dict[str, Any]:
    """A training on the GPU goes on bit for bit from its saved state, eager and captured."""
    import torch  # noqa: PLC0415

    from gan_course.distributions import ring  # noqa: PLC0415
    from gan_course.networks import Ensemble, mlp  # noqa: PLC0415
    from gan_course.training import Settings, Trainer  # noqa: PLC0415

    for program in ("eager", "captured"):
        made = []
        for _ in range(3):
            torch.manual_seed(0)
            players = [Ensemble(lambda o=o: mlp(2, o, spectral_norm=True), 4) for o in (2, 1)]
            settings = Settings(batch=64, averaging=0.9)
            made.append(
                Trainer(*players, ring(), settings=settings, device="cuda", program=program)
            )
        through, first, second = made
        through.train(60), first.train(30)
        second.load_state_dict(first.state_dict())
        second.train(30)
        for name, tensor in second.state.state_dict().items():
            if not torch.equal(tensor, through.state.state_dict()[name]):
                raise AssertionError(f"{program}: {name} differs after 30 + 30 steps")
    return {"programs": ["eager", "captured"]}


def mixed_precision() -> dict[str, Any]:
    """A DCGAN in bf16 with channels last stays near the one in single precision on the GPU."""
    import torch  # noqa: PLC0415

    from gan_course.convolutional import Mixed, dcgan  # noqa: PLC0415
    from gan_course.distributions import Empirical, normal  # noqa: PLC0415
    from gan_course.training import Settings, Trainer  # noqa: PLC0415

    images = torch.rand(256, 1, 28, 28, generator=torch.Generator().manual_seed(0)) * 2 - 1

    def build(program: str, wrap: Callable[[Any], Any]) -> Trainer:
        torch.manual_seed(0)
        players = [wrap(player) for player in dcgan(28)]
        settings = Settings(batch=64, discriminator_rate=2e-4, generator_rate=2e-4)
        data, prior = Empirical(images), normal(64)
        return Trainer(*players, data, prior, settings, device="cuda", program=program)

    single = build("eager", lambda player: player).train(20)["discriminator_loss"]
    worst = {}
    for program in ("eager", "captured"):
        loss = build(program, Mixed).train(20)["discriminator_loss"]
        torch.testing.assert_close(loss, single, rtol=0.1, atol=0.05)
        worst[program] = (loss - single).abs().max().item()
    return {"worst_difference_of_a_loss": worst}


#: Functions that compare, by the name of their part.
CHECKS: dict[str, Callable[[], dict[str, Any]]] = {
    "agreement": agreement,
    "resuming": resuming,
    "mixed precision": mixed_precision,
}
#: Every part, as the command that runs it.
PARTS: dict[str, list[str]] = {
    **{name: [str(HERE / "gpu.py"), "--check", name] for name in CHECKS},
    "benchmark": [str(HERE / "run.py"), "--targets"],
    "pictures": [str(HERE / "tutorial.py")],
    **{
        f"chapter 11, {task}": [str(HERE / "stand.py"), task]
        for task in ("ring", "grid", "stacked", "glyphs")
    },
    **{
        f"chapter 11, families, {task}": [str(HERE / "stand.py"), f"families-{task}"]
        for task in ("ring", "grid", "digits", "glyphs")
    },
}


# -- running the parts ----------------------------------------------------------------


def device() -> str:
    """Name of the GPU; empty where there is none."""
    import torch  # noqa: PLC0415

    return torch.cuda.get_device_name() if torch.cuda.is_available() else ""


def commit() -> str:
    """What is checked out, ``unknown`` outside of a repository."""
    command = ["git", "describe", "--always", "--dirty", "--exclude=*"]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return found.stdout.strip() or "unknown"


def run_part(name: str) -> dict[str, Any]:
    """Run one part in a process of its own; say how it ended."""
    start = time.monotonic()
    try:
        ended = subprocess.run(
            [sys.executable, *PARTS[name]], cwd=ROOT, timeout=LIMIT, check=False
        ).returncode
        verdict = "passed" if ended == 0 else f"failed with exit status {ended}"
    except subprocess.TimeoutExpired:
        verdict = f"stopped after {LIMIT} s"
    return {"verdict": verdict, "seconds": round(time.monotonic() - start, 1)}


def run_parts(chosen: list[str], *, again: bool) -> bool:
    """Run the parts that have not passed yet, and note each; whether all of them passed."""
    import torch  # noqa: PLC0415

    record = json.loads(RECORD.read_text("utf-8")) if RECORD.exists() else {}
    here = {
        "commit": commit(),
        "machine": device(),
        "versions": {"python": platform.python_version(), "torch": torch.__version__},
    }
    good = True
    for name in chosen:
        done = record.get(name, {})
        same = all(done.get(key) == value for key, value in here.items())
        if done.get("verdict") == "passed" and same and not again:
            print(f"{name}: passed already")
            continue
        print(f"{name}: begins", flush=True)
        found = run_part(name)
        when = datetime.now(UTC).isoformat(timespec="seconds")
        record[name] = {**found, **here, "date": when}
        RECORD.write_text(json.dumps(record, indent=2) + "\n", "utf-8")
        print(f"{name}: {found['verdict']}, {found['seconds']} s", flush=True)
        good &= found["verdict"] == "passed"
    return good


def main() -> None:
    """Parse the command line; run what is asked for, where there is a GPU."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("parts", nargs="*", choices=[[], *PARTS], help="default all")
    parser.add_argument("--again", action="store_true", help="run what has passed, too")
    parser.add_argument("--check", choices=CHECKS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if not device():
        print("There is no CUDA device here, so there is nothing to run.")
        return
    if arguments.check:
        print(CHECKS[arguments.check]())
    elif not run_parts(arguments.parts or list(PARTS), again=arguments.again):
        sys.exit(1)


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))  # a checkout that is not installed
    main()
