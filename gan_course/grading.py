"""Grading submitted notebooks: ``python -m gan_course grade FILE.ipynb …``.

A submission runs in a kernel of its own: the cells tagged ``setup``, and those below
``## Exercises``. What it prints is thrown away, unread. Its calls of ``exercise`` are rewritten,
so that they only hand the answer in, whatever the submission calls ``exercise``; another process
judges it (:mod:`gan_course.exercises.judge`). A cell that takes too long, or ends its kernel, is
left out, and the rest runs in a fresh one.
"""

from __future__ import annotations

import ast
import asyncio
import csv
import io
import json
import os
import queue
import re
import secrets
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

from gan_course.exercises import keys_of

ROOT = Path(__file__).resolve().parents[1]
VERDICTS = {"right": "✓", "wrong": "✗", "open": "○", "crashed": "!"}
#: Seconds that the set-up may take, and by default a cell, or an answer while it is judged.
SETUP, CELL = 300.0, 120.0
#: So many cells of a submission may hang or end their kernel; then it is judged as it is.
MOST_STOPS = 8
#: What a hint may be long.
LONGEST = 500


class Result(NamedTuple):
    """What became of one exercise of one submission.

    Attributes:
        file: the submission's path.
        exercise: its key, for example ``"05.2"``; empty where the file is not of any chapter.
        verdict: ``right``, ``wrong``, ``open`` or ``crashed``.
        hint: what the reader would have been told, or what went wrong.
    """

    file: str
    exercise: str
    verdict: str
    hint: str


class Cell(NamedTuple):
    """A cell of code that is to run: with its set-up's limit or its own, and what it asks."""

    code: str
    is_setup: bool
    keys: tuple[str, ...]


class Stopped(Exception):
    """A cell has taken too long, or has ended its kernel; the message says which."""


def grade(
    paths: Sequence[Path],
    *,
    jobs: int = 1,
    limit: float = CELL,
    setup_limit: float = SETUP,
    whole: bool = False,
    done: Callable[[list[Result]], object] = lambda results: None,
) -> list[Result]:
    """Grade submissions, each on its own.

    Args:
        paths: notebooks, each with the exercises of one chapter.
        jobs: how many at the same time.
        limit: seconds that a cell may take, and an answer while it is judged.
        setup_limit: seconds that a cell of the set-up may take.
        whole: run the cells above the exercises, too.
        done: called with a submission's results as soon as they are there.

    Returns:
        One result for each exercise of the chapter, submission after submission.

    Raises:
        ValueError: ``jobs`` or a limit is not positive.
    """
    for name, value in (("jobs", jobs), ("limit", limit), ("setup_limit", setup_limit)):
        if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
            raise ValueError(f"{name} = {value!r}: it has to be positive")
    given: object = paths
    is_list = isinstance(given, Sequence) and not isinstance(given, str)
    if not is_list or not all(isinstance(path, Path) for path in paths):
        raise ValueError(f"paths = {paths!r}: must be a list of pathlib.Path")

    def one(path: Path) -> list[Result]:
        try:
            results = _grade_one(path, limit, setup_limit, whole)
        except Exception as error:  # one submission never stops the others
            results = _of_all(path, _chapter(path, []), "crashed", _short(error))
        done(results)
        return results

    with ThreadPoolExecutor(jobs) as executor:
        return [result for results in executor.map(one, paths) for result in results]


def _grade_one(path: Path, limit: float, setup_limit: float, whole: bool) -> list[Result]:
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        folder = Path(name)
        try:
            cells = list(_cells(path, folder, whole))
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            return _of_all(path, _chapter(path, []), "crashed", f"no notebook: {_short(error)}")
        chapter = _chapter(path, cells)
        errors = asyncio.run(_run(cells, path, folder, limit, setup_limit))
        keys = _keys(chapter)
        there = [key for key in keys if (folder / f"{key}.pkl").exists()]
        judged = dict(_judged(there, path, folder, limit))
    asked = {key for cell in cells for key in cell.keys}
    missing = {key: ("open", "" if key in asked else "its cell is missing") for key in keys}
    failed = {
        key: ("crashed", errors[at])
        for at, cell in enumerate(cells)
        if at in errors
        for key in cell.keys
    }
    verdicts = missing | {key: failed[key] for key in keys if key in failed} | judged
    found = [Result(str(path), key, *verdicts[key]) for key in keys]
    return found or [Result(str(path), "", "crashed", "no exercise of the book is in it")]


def _of_all(path: Path, chapter: str, verdict: str, hint: str) -> list[Result]:
    return [Result(str(path), key, verdict, hint) for key in _keys(chapter) or [""]]


def _keys(chapter: str) -> list[str]:
    """All exercises of a chapter; none of one that is not there."""
    try:
        return keys_of(chapter)
    except ValueError:
        return []


def _chapter(path: Path, cells: Sequence[Cell]) -> str:
    """The chapter that most exercises are of; without any, what the file's name says."""
    asked = Counter(key[:2] for cell in cells for key in cell.keys)
    number = re.search(r"(?<![a-zA-Z\d])[A-Z\d]\d", path.name)
    return asked.most_common(1)[0][0] if asked else number[0] if number else ""


def _short(what: object) -> str:
    text = what if isinstance(what, str) else f"{type(what).__name__}: {what}"
    text = re.sub(r"\x1b\[[\d;]*m", "", text).strip()
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


# --- From a notebook to code that hands its answers in -----------------------------------


def _cells(path: Path, folder: Path, whole: bool) -> Iterator[Cell]:
    """What is run of a notebook; all of it above the exercises where no cell says ``setup``."""
    cells = [
        (
            cell["cell_type"],
            "".join(cell["source"]),
            "setup" in cell.get("metadata", {}).get("tags", []),
        )
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]
    ]
    heads = (
        at
        for at, (kind, text, _) in enumerate(cells)
        if kind == "markdown" and re.match(r"## Exercises\s*$", text, flags=re.M)
    )
    first = next(heads, 0)
    whole = whole or not any(is_setup for *_, is_setup in cells)
    for at, (kind, text, is_setup) in enumerate(cells):
        if kind == "code" and (at >= first or is_setup or whole):
            keys = tuple(re.findall(r"exercise\(\s*[\"']([A-Z\d]\d\.\d+)[\"']", text))
            yield Cell(rewritten(text, str(folder)), at < first or is_setup, keys)


class _HandIn(ast.NodeTransformer):
    """Makes each call of ``exercise`` hand its answer in, to ``folder``."""

    def __init__(self, folder: str) -> None:
        self.folder = folder

    def visit_Call(self, node: ast.Call) -> ast.Call:
        self.generic_visit(node)
        name = getattr(node.func, "id", getattr(node.func, "attr", ""))
        if name == "exercise":
            where = "__import__('gan_course.exercises.judge').exercises.judge.hand_in"
            node.func = ast.parse(where, mode="eval").body
            node.args.insert(0, ast.Constant(self.folder))
        return node


def rewritten(code: str, folder: str) -> str:
    """A cell's code, in which ``exercise`` only hands in; as it was where it is no Python."""
    from IPython.core.inputtransformer2 import TransformerManager  # noqa: PLC0415

    plain = re.sub(r"\A\s*%%(time|capture)\b.*\n", "", code)
    try:
        tree = ast.parse(TransformerManager().transform_cell(plain))
    except (SyntaxError, ValueError):
        return code
    return ast.unparse(ast.fix_missing_locations(_HandIn(folder).visit(tree)))


# --- The submission's kernel ---------------------------------------------------------------


async def _run(
    cells: Sequence[Cell], path: Path, folder: Path, limit: float, setup_limit: float
) -> dict[int, str]:
    """Run cells in their order, past those that hang or end their kernel; errors by place."""
    left_out: dict[int, str] = {}
    while True:
        errors: dict[int, str] = {}
        kernel = _Kernel()
        await kernel.start(path, folder)
        try:
            for at, cell in enumerate(cells):
                if at in left_out:
                    continue
                try:
                    error = await kernel.run(cell.code, setup_limit if cell.is_setup else limit)
                except Stopped as stopped:
                    left_out[at] = str(stopped)
                    break
                if error:
                    errors[at] = error
            else:
                return errors | left_out
        finally:
            await kernel.end()
        if len(left_out) == MOST_STOPS:
            why = f"not run: {MOST_STOPS} cells before it have stopped the kernel"
            return dict.fromkeys(range(max(left_out), len(cells)), why) | errors | left_out


class _Kernel:
    """A kernel to which nobody listens, so that what it prints goes nowhere."""

    def __init__(self) -> None:
        from jupyter_client.manager import AsyncKernelManager  # noqa: PLC0415

        self._manager = AsyncKernelManager(kernel_name="python3")

    async def start(self, path: Path, folder: Path) -> None:
        """Start it in ``folder / "notebooks"``, with what lies beside ``path`` at hand."""
        here = folder / "notebooks"
        here.mkdir(exist_ok=True)
        await self._manager.start_kernel(
            cwd=str(here),
            env=_environment(str(path.parent.resolve())),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            extra_arguments=["--HistoryManager.enabled=False"],
        )
        self._client = self._manager.client()
        self._client.start_channels(shell=True, iopub=False, stdin=False, hb=False, control=False)

    async def run(self, code: str, limit: float) -> str:
        """Run code; its error, in a line, or nothing.

        Raises:
            Stopped: it took longer than ``limit`` seconds, or the kernel has ended.
        """
        asked = self._client.execute(
            code, store_history=False, allow_stdin=False, stop_on_error=False
        )
        end = time.monotonic() + limit
        while (left := end - time.monotonic()) > 0:
            try:
                reply = await self._client.get_shell_msg(timeout=min(left, 1.0))
            except queue.Empty:
                if await self._manager.is_alive():
                    continue
                raise Stopped("the cell has ended its kernel") from None
            if reply["parent_header"].get("msg_id") == asked:
                said: dict[str, Any] = reply["content"]
                is_right = said["status"] == "ok"
                return "" if is_right else _short(f"{said.get('ename')}: {said.get('evalue')}")
        raise Stopped(f"the cell runs longer than {limit:g} s")

    async def end(self) -> None:
        """Kill the kernel, and what it has started."""
        self._client.stop_channels()
        await self._manager.shutdown_kernel(now=True)


def _environment(*folders: str) -> dict[str, str]:
    """Ours, with this very library first and some folders last on Python's path."""
    path = [str(ROOT), os.environ.get("PYTHONPATH", ""), *folders]
    ours = {"OMP_NUM_THREADS": "1", "TQDM_DISABLE": "1"}
    return {**os.environ, **ours, "PYTHONPATH": os.pathsep.join(filter(None, path))}


# --- The judge ---------------------------------------------------------------------------------


def _judged(
    keys: list[str], path: Path, folder: Path, limit: float
) -> Iterator[tuple[str, tuple[str, str]]]:
    """Each key with its verdict and hint; a process that an answer ends is started again."""
    module = [sys.executable, "-P", "-m", "gan_course.exercises.judge"]
    while keys:
        word = secrets.token_hex()
        command = [*module, str(folder), str(limit), str(path.parent.resolve()), *keys]
        with subprocess.Popen(
            command,
            cwd=folder / "notebooks",
            env=_environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            encoding="utf-8",
        ) as process:
            try:
                # The judge has a watchdog of its own; this is for one that is past barking.
                said, _ = process.communicate(f"{word}\n", timeout=SETUP + 2 * limit * len(keys))
            except subprocess.TimeoutExpired:
                process.kill()
                said, _ = process.communicate()
        lines = [line.removeprefix(word) for line in said.splitlines() if line.startswith(word)]
        for key, verdict, hint in map(json.loads, lines):
            yield key, (verdict, _short(hint))
        keys = keys[len(lines) :]
        if keys and "the answer changes" not in "".join(lines[-1:]):
            late = folder / "late.txt"
            is_late = late.exists() and late.stat().st_size
            why = f"runs longer than {limit:g} s" if is_late else "ends its process"
            yield keys[0], ("crashed", f"the answer {why} while it is judged")
            keys = keys[1:]


# --- The table -----------------------------------------------------------------------------------


def as_json(results: Sequence[Result]) -> str:
    """A list of objects, one for each result."""
    rows = [result._asdict() for result in results]
    return json.dumps(rows, indent=1, ensure_ascii=False) + "\n"


def as_csv(results: Sequence[Result]) -> str:
    """A line for each result, below a head; no cell of it is a formula to a spreadsheet."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(Result._fields)
    for result in results:
        writer.writerow([f"'{part}" if part[:1] in {*"=+-@"} else part for part in result])
    return text.getvalue()


def as_text(results: Sequence[Result]) -> str:
    """A line for each submission with a mark for each exercise; then the hints."""
    lines = ["  ".join(f"{mark} {word}" for word, mark in VERDICTS.items())]
    width = max((len(result.file) for result in results), default=0)
    heads: list[str] = []
    for file in dict.fromkeys(result.file for result in results):
        row = [result for result in results if result.file == file]
        keys = [result.exercise or "    " for result in row]
        if keys != heads:
            lines += ["", f"{'':{width}}  {'  '.join(keys)}"]
            heads = keys
        marks = "  ".join(f"{VERDICTS[one.verdict]:^{len(one.exercise) or 4}}" for one in row)
        right = sum(one.verdict == "right" for one in row)
        lines.append(f"{file:{width}}  {marks}  {right} of {len(row)}")
    hints = [
        f"{one.file} {one.exercise} {one.verdict}: {one.hint}".replace("  ", " ")
        for one in results
        if one.hint
    ]
    return "\n".join([*lines, "", *hints]).rstrip() + "\n"


FORMATS: dict[str, Callable[[Sequence[Result]], str]] = {
    "text": as_text,
    "csv": as_csv,
    "json": as_json,
}
