"""What a reader costs a server that many share: memory and processor of a kernel, state by state.

    python benchmarks/readers.py --json benchmarks/results/readers.json

One notebook in JupyterLab, as a reader would have it: the library imported; the lab open; the lab
playing; its page closed while it plays. Of the kernel, and of the server, it notes the memory that
is theirs alone (what other kernels can't share) and the processor's seconds they took in each
state, which a busy neighbour does not change while nothing trains. While it plays, a kernel takes
what it gets: its steps per second of processor count. ``report.py`` then writes them into
``TEACHING.md``. The browser is the reader's, and not counted. Linux only.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import nbformat
import psutil
from live_view import KERNEL, START, about, steps
from nbformat.v4 import new_code_cell, new_notebook

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from jupyter_browser import NO_CHROMIUM, Lab, chromium, course

#: The server for which readers are counted: cores, megabytes, megabytes left to the system.
SERVER = {"cores": 2, "memory_mb": 24_000, "system_mb": 2_000}
#: Readers of a class, and the share of them who train at one moment.
CLASS, TRAINING = 30, 0.1


def ours() -> dict[str, psutil.Process]:
    """This session's kernel and server."""
    names = {"kernel": "ipykernel_launcher", "server": "jupyterlab"}
    below = psutil.Process().children(recursive=True)
    return {
        name: process
        for process in below
        for name, word in names.items()
        if any(word in part for part in process.cmdline())
    }


def observed(seconds: float, lab: Lab | None = None) -> dict[str, Any]:
    """What kernel and server take while nobody does anything."""
    processes = ours()
    before = {name: sum(p.cpu_times()[:2]) for name, p in processes.items()}
    step, start = steps(lab) if lab else 0, time.monotonic()
    time.sleep(seconds)
    wall = time.monotonic() - start
    taken = {name: sum(p.cpu_times()[:2]) - before[name] for name, p in processes.items()}
    found: dict[str, Any] = {
        "seconds": round(wall, 1),
        "memory_mb": {
            name: round(p.memory_full_info().uss / 1e6, 1) for name, p in processes.items()
        },
        "processor": {name: round(taken[name] / wall, 4) for name in processes},
    }
    if lab:
        found["steps"] = steps(lab) - step
        found["steps_per_processor_second"] = round(found["steps"] / taken["kernel"], 1)
    return found


def states(seconds: float) -> dict[str, Any]:
    """A reader's kernel, from state to state."""
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "reader.ipynb"
        cells = [new_code_cell(START + "import gan_course.training"), new_code_cell("Lab()")]
        nbformat.write(new_notebook(cells=cells, metadata=KERNEL), path)
        with course(Path(folder)) as started, started.opened(path) as lab:
            lab.run_cell(0)
            time.sleep(3)
            found["idle, the library imported"] = observed(seconds)
            lab.run_cell(1)
            lab.page.wait_for_selector(".gan-facts:has-text('step')")
            time.sleep(3)
            found["the lab open, paused"] = observed(seconds)
            lab.page.get_by_role("button", name="Play", exact=True).click()
            time.sleep(5)
            found["the lab playing"] = observed(seconds, lab)
            lab.page.goto("about:blank")
            time.sleep(15)  # until no picture is acknowledged any more
            found["its page closed while it plays"] = observed(seconds)
    return found


def fits(found: dict[str, Any], server: dict[str, int]) -> dict[str, float]:
    """How many readers a machine holds, each with a kernel and, as under JupyterHub, a server.

    By memory, each plays the lab. By cores, of a class some train and the others have the lab
    open; where more of them train, each training is slower, and nothing else happens.
    """
    playing, paused = found["the lab playing"], found["the lab open, paused"]
    each = max(sum(state["memory_mb"].values()) for state in found.values())
    at_rest = CLASS * sum(paused["processor"].values())
    cores = (server["cores"] - (1 - TRAINING) * at_rest) / (CLASS * TRAINING)
    return {
        "memory_mb_each": round(each),
        "by_memory": int((server["memory_mb"] - server["system_mb"]) // each),
        "processor_of_a_class_at_rest": round(at_rest, 3),
        "cores_for_each_training": round(min(1.0, cores), 2),
        "steps_per_second_of_each_training": round(
            playing["steps_per_processor_second"] * min(1.0, cores)
        ),
    }


def main() -> None:
    """Measure, print, and write where asked."""
    parser = argparse.ArgumentParser(description="Measure what a reader's kernel takes.")
    parser.add_argument("--seconds", type=float, default=30, help="of each state")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    if chromium() is None:
        sys.exit(NO_CHROMIUM)
    if platform.system() != "Linux":
        sys.exit("readers.py reads what Linux knows of its processes.")
    found = states(arguments.seconds)
    result = {
        **about(),
        "command": " ".join(["python benchmarks/readers.py", *sys.argv[1:]]),
        "load": [round(load, 2) for load in os.getloadavg()],
        "server": SERVER,
        "class": {"readers": CLASS, "share_that_trains": TRAINING},
        "states": found,
        "fits": fits(found, SERVER),
    }
    print(json.dumps(result, indent=1))
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
