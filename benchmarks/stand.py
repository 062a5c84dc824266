"""Chapter 11's modern baseline at full size: more steps, wider networks, on a GPU.

    python benchmarks/stand.py [ring grid stacked] [--device cuda]

The rows, the rates and the measures are those of ``figures/sweeps/baseline.py``, the settings its
``FULL``. Each row is written to ``results/stand_TARGET.csv`` when it is done, and is not trained
again with the same settings, so an interrupted run goes on when the command is given again. The
families are no part of it: they are compared at equal processor time.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import pandas as pd

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results"
sys.path += [str(HERE.parent / "figures" / "sweeps"), str(HERE.parent)]

import baseline  # noqa: E402  # lies in figures/sweeps

from gan_course.checkpoints import replace_file  # noqa: E402
from gan_course.training.devices import about  # noqa: E402


def ladder(target: str, settings: dict[str, Any], device: str, folder: Path = RESULTS) -> int:
    """Train the rows of a target that are not there yet; how many were trained.

    Args:
        target: ``"ring"``, ``"grid"`` or ``"stacked"``.
        settings: as ``baseline.SETTINGS``.
        device: where it trains.
        folder: of the table and of the note beside it.

    Raises:
        OSError: a file cannot be written. What was there stays.
    """
    table, note = folder / f"stand_{target}.csv", folder / f"stand_{target}.json"
    own = settings | {"targets": {target: settings["targets"][target]}}
    made_by = {"settings": own} | about(device)
    known = note.exists() and table.exists() and json.loads(note.read_text("utf-8")) == made_by
    frames = [pd.read_csv(table)] if known else []
    there = set(frames[0]["row"]) if known else set()
    rows = [row for row in baseline.ROWS if row not in there]
    for row in rows:
        frames.append(baseline.measure(target, settings, [row], device))
        together = pd.concat(frames, ignore_index=True)
        replace_file(table, together.to_csv(index=False, lineterminator="\n").encode())
        replace_file(note, (json.dumps(made_by, indent=2) + "\n").encode())
    return len(rows)


def main() -> None:
    """Parse the command line; train what is missing."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    targets = baseline.FULL["targets"]
    parser.add_argument("targets", nargs="*", choices=[[], *targets], help="default all")
    parser.add_argument("--device", default="cuda")
    arguments = parser.parse_args()
    for target in arguments.targets or targets:
        trained = ladder(target, baseline.FULL, arguments.device)
        print(f"{target}: {trained} rows trained, in {RESULTS / f'stand_{target}.csv'}")


if __name__ == "__main__":
    main()
