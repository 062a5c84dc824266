"""Chapter 11's modern baseline and its families at full size: longer and wider, on a GPU.

    python benchmarks/stand.py [ring grid stacked glyphs families-ring …] [--device cuda]

The rows, the rates and the measures are those of ``figures/sweeps/baseline.py`` and
``families.py``, the settings their ``FULL``. The families are compared at equal time here, too:
each takes as many steps as this very device makes in the same seconds. Each row is written to
``results/stand_TARGET.csv`` when it is done, and is not trained again with the same settings, so an
interrupted run goes on when the command is given again.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pandas as pd

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results"
sys.path += [str(HERE.parent / "figures" / "sweeps"), str(HERE.parent)]

import baseline  # noqa: E402  # lies in figures/sweeps
import families  # noqa: E402

from gan_course.checkpoints import replace_file  # noqa: E402
from gan_course.training.devices import about  # noqa: E402


def ladder(target: str, settings: dict[str, Any], device: str, folder: Path = RESULTS) -> int:
    """Train the rows of a target that are not there yet; how many were trained.

    Args:
        target: ``"ring"``, ``"grid"``, ``"stacked"`` or ``"glyphs"``.
        settings: as ``baseline.SETTINGS``.
        device: where it trains.
        folder: of the table and of the note beside it.

    Raises:
        OSError: a file cannot be written. What was there stays.
    """
    own = settings | {"targets": {target: settings["targets"][target]}}

    def measure(row: str) -> pd.DataFrame:
        return baseline.measure(target, settings, [row], device)

    return resumed(target, baseline.ROWS, measure, {"settings": own} | about(device), folder)


def compared(task: str, settings: dict[str, Any], device: str, folder: Path = RESULTS) -> int:
    """Train the families of a task that are not there yet; how many rows were made.

    Args:
        task: ``"ring"``, ``"grid"``, ``"digits"`` or ``"glyphs"``.
        settings: as ``families.FULL``.
        device: where it trains.
        folder: of the table and of the note beside it.

    Raises:
        OSError: a file cannot be written. What was there stays.
    """
    rows = ["beside", *settings["families"][task]]

    def measure(row: str) -> pd.DataFrame:
        return families.measure_full(task, row, settings, device)

    made_by = {"settings": settings} | about(device)
    return resumed(f"families-{task}", rows, measure, made_by, folder)


def resumed(
    name: str,
    rows: Iterable[str],
    measure: Callable[[str], pd.DataFrame],
    made_by: dict[str, Any],
    folder: Path,
) -> int:
    """Measure the rows that a table lacks, and write it after each; how many there were."""
    table, note = folder / f"stand_{name}.csv", folder / f"stand_{name}.json"
    known = note.exists() and table.exists() and json.loads(note.read_text("utf-8")) == made_by
    frames = [pd.read_csv(table)] if known else []
    there = set(frames[0]["row"]) if known else set()
    missing = [row for row in rows if row not in there]
    for row in missing:
        frames.append(measure(row))
        together = pd.concat(frames, ignore_index=True)
        replace_file(table, together.to_csv(index=False, lineterminator="\n").encode())
        replace_file(note, (json.dumps(made_by, indent=2) + "\n").encode())
    return len(missing)


def main() -> None:
    """Parse the command line; train what is missing."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    compare = [f"families-{name}" for name in families.FULL["families"]]
    targets = [*baseline.FULL["targets"], *compare]
    parser.add_argument("targets", nargs="*", choices=[[], *targets], help="default all")
    parser.add_argument("--device", default="cuda")
    arguments = parser.parse_args()
    for target in arguments.targets or targets:
        if target in compare:
            task = target.removeprefix("families-")
            made = compared(task, families.FULL, arguments.device)
        else:
            made = ladder(target, baseline.FULL, arguments.device)
        print(f"{target}: {made} rows made, in {RESULTS / f'stand_{target}.csv'}")


if __name__ == "__main__":
    main()
