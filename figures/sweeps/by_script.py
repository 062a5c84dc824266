"""What the sweeps that are scripts have in common: they write a table, and a note of its making."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from gan_course.checkpoints import replace_file
from gan_course.sweeps import about

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
    note = {
        "command": f"python figures/sweeps/{Path(script).name}" + " --quick" * small,
        "seconds": round(time.perf_counter() - begin, 1),
        **about("cpu"),
        "settings": chosen,
    }
    output = folder / (Path(script).stem + (".quick.csv" if small else ".csv"))
    replace_file(output, frame.to_csv(index=False, lineterminator="\n").encode())
    replace_file(output.with_suffix(".json"), (json.dumps(note, indent=2) + "\n").encode())
