"""Frame rate, latency and memory of the live lab in JupyterLab, in a real browser.

    python benchmarks/live_view.py --json benchmarks/results/live_view.json

Kernel, server and browser share this machine. A frame is one drawing of the main view. The
latency is that of a menu: from the choice of another loss to the first picture in which the
kernel answers it (its note on the wasserstein critic comes or goes). Then the first scene plays
for ten minutes while the memory of the three is noted. ``--short`` only shows that it runs;
``--seconds 0`` or ``--memory 0`` leaves a part out, and what the file says of it stays.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
from nbformat.v4 import new_code_cell, new_notebook

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from jupyter_browser import NO_CHROMIUM, Lab, chromium, course

START = "import torch\ntorch.set_num_threads(1)\nfrom gan_course.lab import Lab\n"
SCENES = {
    "1,000 samples, 64 x 64 surface, 10 x 10 manifold": (
        "Lab(layers=('real', 'generated', 'belief', 'manifold'))"
    ),
    "the same, with arrows and D*": (
        "Lab(layers=('real', 'generated', 'belief', 'manifold', 'arrows', 'optimal'))"
    ),
    "a wall of 64 runs, width 16, batch 64": "Lab(runs=64, width=16, batch=64)",
}
KERNEL = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}

# Count drawings from outside: each begins by clearing the main view.
_COUNT = """() => {
    window.drawn = [];
    const clear = CanvasRenderingContext2D.prototype.clearRect;
    CanvasRenderingContext2D.prototype.clearRect = function (...box) {
        if (this.canvas.className.includes('gan-view')) window.drawn.push(performance.now());
        return clear.apply(this, box);
    };
}"""

# Choose a loss; resolves when the note has answered, with the milliseconds that took.
_CHOOSE = """loss => new Promise(resolve => {
    const note = document.querySelector('.gan-note');
    const menu = document.querySelector('[data-control=loss]');
    const start = performance.now();
    const seen = new MutationObserver(() => {
        seen.disconnect();
        resolve(performance.now() - start);
    });
    seen.observe(note, {childList: true, characterData: true, subtree: true});
    menu.value = [...menu.options].findIndex(option => option.textContent === loss);
    menu.dispatchEvent(new Event('change'));
})"""


def resident(lab: Lab) -> dict[str, float]:
    """Megabytes of this session's kernel, server and browser; Linux only."""
    names = {"kernel": "ipykernel", "server": "jupyterlab", "browser": "--type=renderer"}
    parents = {pid: parent for pid, parent, _ in _processes()}
    ours = {os.getpid()}
    for _ in range(8):
        ours |= {pid for pid, parent in parents.items() if parent in ours}
    sizes = dict.fromkeys(names, 0.0)
    for pid, _, command in _processes():
        for name, word in names.items():
            if pid in ours and word in command:
                pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
                sizes[name] = max(sizes[name], pages * os.sysconf("SC_PAGE_SIZE") / 1e6)
    return {name: round(size, 1) for name, size in sizes.items()}


def _processes() -> list[tuple[int, int, str]]:
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((folder / "stat").read_text().rsplit(")", 1)[1].split()[1])
            command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except (OSError, IndexError):
            continue
        found.append((int(folder.name), parent, command))
    return found


def steps(lab: Lab) -> int:
    """The step that the page shows."""
    return int(lab.page.locator(".gan-facts").inner_text().split()[1])


def measure(lab: Lab, seconds: float, moves: int) -> dict[str, Any]:
    """Play one scene: its frames, how long a choice takes, and what it keeps."""
    lab.page.evaluate(_COUNT)
    lab.page.get_by_role("button", name="Play", exact=True).click()
    time.sleep(3)
    before, memory = steps(lab), resident(lab)
    lab.page.evaluate("() => { window.drawn = []; }")
    start = time.perf_counter()
    time.sleep(seconds)
    wall = time.perf_counter() - start
    drawn = np.array(lab.page.evaluate("window.drawn"))
    taken, memory_after = steps(lab) - before, resident(lab)
    delays = []
    for move in range(moves):
        loss = ("wasserstein", "hinge")[move % 2]
        delays.append(lab.page.evaluate(_CHOOSE, loss))
        lab.page.wait_for_timeout(150 + 37 * (move % 5))
    return {
        "frames_per_second": round(len(drawn) / wall, 1),
        "frame_gap_ms_p95": round(float(np.percentile(np.diff(drawn), 95)), 1),
        "steps_per_second": round(taken / wall, 1),
        "latency_ms_median": round(float(np.median(delays)), 1),
        "latency_ms_p95": round(float(np.percentile(delays, 95)), 1),
        "moves": moves,
        "memory_mb_at_start": memory,
        "memory_mb_at_end": memory_after,
        "seconds": round(wall, 1),
        "load": [round(load, 2) for load in os.getloadavg()],
    }


def remember(lab: Lab, seconds: float) -> dict[str, Any]:
    """Play one scene and note the memory, twenty times and at the start."""
    devtools = lab.page.context.new_cdp_session(lab.page)
    lab.page.get_by_role("button", name="Play", exact=True).click()
    lab.page.wait_for_timeout(5000)
    began, samples = time.perf_counter(), []
    for sample in range(21):
        lab.page.wait_for_timeout(
            max(0, 1e3 * (began + sample * seconds / 20 - time.perf_counter()))
        )
        devtools.send("HeapProfiler.collectGarbage")
        heap = devtools.send("Runtime.getHeapUsage")["usedSize"] / 1e6
        now = round(time.perf_counter() - began)
        samples.append({"seconds": now, **resident(lab), "page_heap": round(heap, 1)})
    return {
        "scene": next(iter(SCENES)),
        "steps": steps(lab),
        "growth_mb": {
            name: round(samples[-1][name] - samples[len(samples) // 4][name], 1)
            for name in ("kernel", "server", "browser", "page_heap")
        },
        "growth_between_seconds": [samples[len(samples) // 4]["seconds"], samples[-1]["seconds"]],
        "load": [round(load, 2) for load in os.getloadavg()],
        "samples_mb": samples,
    }


def scene(code: str, look: Callable[[Lab], dict[str, Any]]) -> dict[str, Any]:
    """Open a notebook with one lab, and look at it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "live.ipynb"
        nbformat.write(new_notebook(cells=[new_code_cell(START + code)], metadata=KERNEL), path)
        with course(Path(folder)) as started, started.opened(path) as lab:
            lab.run_all()
            lab.page.wait_for_selector(".gan-facts:has-text('step')")
            return look(lab)


def main() -> None:
    """Measure every scene, then the memory; print, and write where asked."""
    parser = argparse.ArgumentParser(description="Measure the live lab in a browser.")
    parser.add_argument("--seconds", type=float, default=20, help="of each scene; 0 for none")
    parser.add_argument("--moves", type=int, default=40, help="choices whose latency is taken")
    parser.add_argument("--memory", type=float, default=600, help="seconds; 0 for none")
    parser.add_argument("--short", action="store_true", help="a minute in all")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    if chromium() is None:
        sys.exit(NO_CHROMIUM)
    if arguments.short:
        arguments.seconds, arguments.moves, arguments.memory = 3, 4, 10
    result: dict[str, Any] = {}
    if arguments.json and arguments.json.exists():
        result = json.loads(arguments.json.read_text(encoding="utf-8"))
    result |= about()
    commands = result.setdefault("commands", {})  # of each part, for they may be run apart
    command = " ".join(["python benchmarks/live_view.py", *sys.argv[1:]])
    if arguments.seconds:
        commands["scenes"] = command
        look = partial(measure, seconds=arguments.seconds, moves=arguments.moves)
        result["scenes"] = {name: scene(code, look) for name, code in SCENES.items()}
    if arguments.memory:
        commands["memory"] = command
        first = next(iter(SCENES.values()))
        result["memory"] = scene(first, partial(remember, seconds=arguments.memory))
    print(json.dumps(result, indent=1))
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


def about() -> dict[str, Any]:
    """The machine and the versions."""
    packages = ("torch", "jupyterlab", "ipykernel", "ipywidgets", "anywidget", "playwright")
    return {
        "machine": f"{os.cpu_count()} CPU cores ({platform.machine()}), no GPU in the browser",
        "python": platform.python_version(),
        "versions": {name: version(name) for name in packages},
    }


if __name__ == "__main__":
    main()
