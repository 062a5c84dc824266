"""What the sweeps that are scripts have in common: they write a table, and a note of its making."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from gan_course.checkpoints import replace_file
from gan_course.training.devices import about

RUNS = Path(__file__).parent.parent / "runs"
Table = dict[str, Any]


def record(
    script: str,
    measure: Callable[[Table], pd.DataFrame],
    settings: Table,
    quick: Table,
    folder: Path = RUNS,
) -> None:
    """Make a script's table on one thread; replace its record, each file at once.

    Args:
        script: the script's ``__file__``; NAME.py records NAME.csv and NAME.json.
        measure: trains with some settings; a row for each run.
        settings: of the record.
        quick: of the small version, which ``--quick`` on the command line asks for.
        folder: where the record is.

    Raises:
        OSError: a file cannot be written. The old one stays.
    """
    small = "--quick" in sys.argv[1:]
    chosen = quick if small else settings
    torch.set_num_threads(1)
    begin = time.perf_counter()
    frame = measure(chosen)
    seconds = {"seconds": round(time.perf_counter() - begin, 1)}
    command = Path(script).name + " --quick" * small
    write(Path(script).stem, frame, command, chosen, seconds, small=small, folder=folder)


def record_parts(
    script: str,
    parts: Mapping[str, Callable[[Table], Iterable[Table]]],
    settings: Mapping[str, Table],
    quick: Mapping[str, Table],
    said: Table | None = None,
) -> None:
    """Make the parts of a script that the command line names, or all, each a record of its own.

    Args:
        script: the script's ``__file__``; NAME.py records NAME_PART.csv and NAME_PART.json.
        parts: what gives a part's rows, from its settings.
        settings: of each part's record.
        quick: of its small version, which ``--quick`` on the command line asks for.
        said: what the notes say of all parts.

    Raises:
        OSError: a file cannot be written. The old one stays.
    """
    small = "--quick" in sys.argv[1:]
    name = Path(script).stem
    torch.set_num_threads(1)
    for part in [word for word in sys.argv[1:] if word != "--quick"] or parts:
        chosen = (quick if small else settings)[part]
        begin = time.process_time()
        frame = pd.DataFrame(parts[part](chosen))
        took = {"processor seconds": round(time.process_time() - begin, 1)}
        command = f"{name}.py {part}" + " --quick" * small
        write(f"{name}_{part}", frame, command, chosen, took | (said or {}), small=small)


def write(
    name: str,
    frame: pd.DataFrame,
    command: str,
    settings: Table,
    said: Table,
    *,
    small: bool,
    folder: Path = RUNS,
) -> None:
    """Replace a record, NAME.csv and the note of its making NAME.json, each file at once.

    Args:
        name: of the record; the small version's files end in ``.quick``.
        frame: the table.
        command: the script and its options, which make the table again.
        settings: what was trained with.
        said: what else the note says, the time it took first of all.
        small: whether it is the small version.
        folder: where the record is.

    Raises:
        OSError: a file cannot be written. The old one stays.
    """
    made_by = {"command": f"python figures/sweeps/{command}"}
    note = made_by | said | about("cpu") | {"settings": settings}
    output = folder / (name + (".quick.csv" if small else ".csv"))
    replace_file(output, frame.to_csv(index=False, lineterminator="\n").encode())
    replace_file(output.with_suffix(".json"), (json.dumps(note, indent=2) + "\n").encode())
