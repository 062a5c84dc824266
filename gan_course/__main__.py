"""The library's commands: ``python -m gan_course sweep figures/sweeps/NAME.toml``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from gan_course.sweeps import record


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command that the arguments name."""
    parser = argparse.ArgumentParser(prog="python -m gan_course", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="command")
    sweep = commands.add_parser(
        "sweep",
        help="train a recorded sweep again, and write its record",
        description="Train a recorded sweep again, and write its record. One that was "
        "interrupted goes on after its last finished cell.",
    )
    sweep.add_argument("path", type=Path, help="what to train, a TOML file")
    sweep.add_argument("--quick", action="store_true", help="the file's small version")
    sweep.add_argument("--output", type=Path, help="default: ../runs/NAME.csv, seen from PATH")
    sweep.add_argument("--device", default="auto", help="auto, cpu, cuda; default: %(default)s")
    sweep.add_argument("--program", default="eager", help="eager, compiled, captured")
    sweep.add_argument("--threads", type=int, help="of the processor; default: torch chooses")
    options = parser.parse_args(arguments)
    if options.threads:
        torch.set_num_threads(options.threads)
    name = options.path.stem + (".quick" if options.quick else "")
    output = options.output or options.path.parent.parent / "runs" / f"{name}.csv"
    try:
        record(
            options.path,
            output,
            quick=options.quick,
            device=options.device,
            program=options.program,
        )
    except KeyboardInterrupt:
        sys.exit("Interrupted. The same command goes on after the last finished cell.")
    except (ValueError, OSError) as error:
        sys.exit(f"{error}")
    print(f"written to {output}")  # noqa: T201


if __name__ == "__main__":
    main()
