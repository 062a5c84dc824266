"""Build the notebooks people read from the sources people edit.

    python notebooks/build.py [02 ...] [--force]    build what has changed, and run it
    python notebooks/build.py --check               only compare, say what has drifted

``source/NN_topic.md`` becomes two notebooks, both executed:

- ``NN_topic.ipynb``, the chapter. Lines between ``# BEGIN SOLUTION`` and
  ``# END SOLUTION`` become ``# your code here`` and ``...`` (a solution that is one
  assignment becomes ``name = ...``), and cells tagged ``solution`` are left out.
- ``solutions/NN_topic.ipynb``: the cells tagged ``setup`` and the section
  ``## Exercises``, with the solutions.

Cells tagged ``hide-input`` are folded. Cell ids are made of what the cell says.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import jupytext
import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbformat import NotebookNode
from nbformat.v4 import new_markdown_cell, new_notebook, new_output

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
CACHE = ROOT / "build" / "notebooks.json"
LARGEST = 1_000_000  # bytes; larger notebooks are slow to open and not shown on GitHub
PROCESSES = 2

METADATA = {
    "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
SOLUTION = r"^([ \t]*)# BEGIN SOLUTION[ \t]*\n(.*?)^[ \t]*# END SOLUTION[ \t]*$"
VIEW = "application/vnd.jupyter.widget-view+json"
WIDGET_TEXT = "An interactive widget: run this notebook in JupyterLab to use it."


# --- From a source to two notebooks, not yet executed ------------------------------------


def sources(chosen: list[str] | None = None) -> list[Path]:
    """The chapters' sources, or those whose names start with one of ``chosen``."""
    found = sorted((HERE / "source").glob("[0-9A-Z]*.md"))
    kept = [path for path in found if not chosen or path.stem.startswith(tuple(chosen))]
    if chosen and not kept:
        sys.exit(f"No chapter starts with {' or '.join(chosen)}: there are {_names(found)}.")
    return kept


def chapter(source: Path) -> NotebookNode:
    """The reader's notebook: the whole chapter, its exercises open."""
    cells = [cell for cell in _cells(source) if "solution" not in _tags(cell)]
    for cell in cells:
        cell.source = without_solutions(cell.source)
    return _notebook(cells)


def solutions(source: Path) -> NotebookNode:
    """The solutions' notebook: the set-up and the exercises, written."""
    cells = list(_cells(source))
    setup = [cell for cell in cells if cell.cell_type == "code" and "setup" in _tags(cell)]
    exercises = [cell for cell in _section(cells, "## Exercises") if cell not in setup]
    for cell in cells:
        cell.source = re.sub(r"^[ \t]*# (BEGIN|END) SOLUTION[ \t]*\n?", "", cell.source, flags=re.M)
        cell.source = cell.source.rstrip("\n")
    return _notebook([_solutions_title(source, cells), *setup, *exercises])


def without_solutions(code: str) -> str:
    """Replace each marked solution by one line, at the same indentation.

    A solution that is one assignment keeps its name: ``answer = ...``.
    """
    return re.sub(SOLUTION, _open, code, flags=re.M | re.S)


def _open(solution: re.Match[str]) -> str:
    indentation, body = solution.groups()
    assignment = re.fullmatch(r"\s*(\w+(?:: [^=\n]+)?) = [^\n]*\n", body)
    if assignment:
        return f"{indentation}{assignment[1]} = ...  # your code here"
    return f"{indentation}# your code here\n{indentation}..."


def targets(source: Path) -> dict[Path, NotebookNode]:
    """Every notebook that comes from ``source``, by the path where it belongs."""
    return {
        HERE / f"{source.stem}.ipynb": chapter(source),
        HERE / "solutions" / f"{source.stem}.ipynb": solutions(source),
    }


def _cells(source: Path) -> Iterator[NotebookNode]:
    for cell in jupytext.read(source, fmt="md:myst").cells:
        if cell.cell_type != "markdown":
            yield cell
            continue
        for text in split_at_headings(cell.source):
            yield new_markdown_cell(text, metadata=cell.metadata)


def split_at_headings(text: str) -> list[str]:
    """Cut Markdown before each ``## `` heading, those inside code fences excepted."""
    parts: list[list[str]] = [[]]
    fenced = False
    for line in text.splitlines():
        fenced ^= line.lstrip().startswith("```")
        if line.startswith("## ") and not fenced:
            parts.append([])
        parts[-1].append(line)
    return [joined for part in parts if (joined := "\n".join(part).strip("\n"))]


def _section(cells: list[NotebookNode], heading: str) -> Iterator[NotebookNode]:
    inside = False
    for cell in cells:
        if cell.cell_type == "markdown" and cell.source.startswith("## "):
            inside = cell.source.splitlines()[0].strip() == heading
        if inside:
            yield cell


def _solutions_title(source: Path, cells: list[NotebookNode]) -> NotebookNode:
    first = next(cell.source for cell in cells if cell.cell_type == "markdown")
    title = first.splitlines()[0].removeprefix("# ")
    return new_markdown_cell(
        f"# Solutions: {title}\n\nThe exercises of [the chapter](../{source.stem}.ipynb), solved. "
        "Try them there first: an exercise teaches by being open."
    )


def _notebook(cells: list[NotebookNode]) -> NotebookNode:
    notebook = new_notebook(cells=cells, metadata=METADATA)
    taken: dict[str, int] = {}
    for cell in cells:
        cell.metadata = _metadata(_tags(cell))
        name = hashlib.sha256(cell.source.encode()).hexdigest()[:12]
        taken[name] = taken.get(name, 0) + 1
        cell.id = name if taken[name] == 1 else f"{name}-{taken[name]}"
    return notebook


def _metadata(tags: list[str]) -> dict[str, Any]:
    metadata: dict[str, Any] = {"tags": tags} if tags else {}
    if "hide-input" in tags:
        metadata["jupyter"] = {"source_hidden": True}
    return metadata


def _tags(cell: NotebookNode) -> list[str]:
    return list(cell.metadata.get("tags", []))


# --- Running a notebook ----------------------------------------------------------------


def execute(notebook: NotebookNode) -> NotebookNode:
    """Run every cell in a fresh kernel and keep what does not depend on the machine."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ["TQDM_DISABLE"] = "1"  # a bar shows on slow machines only
    client = NotebookClient(
        notebook,
        kernel_name="python3",
        timeout=600,
        record_timing=False,
        coalesce_streams=True,  # else a slow line makes an output of its own, in some builds
        extra_arguments=["--IPKernelApp.log_level=40"],
        resources={"metadata": {"path": str(HERE)}},
    )
    client.execute()
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = [kept for output in cell.outputs for kept in _frozen(output, client)]
    notebook.metadata = METADATA
    return notebook


def _frozen(output: NotebookNode, client: NotebookClient) -> Iterator[NotebookNode]:
    """In place of a widget's view, which is empty without a kernel: its picture, and a word.

    The picture is the one that the widget shows of itself, or the first Image inside it.
    """
    data = output.get("data", {})
    if VIEW not in data:
        yield output
        return
    picture = data.get("image/png") or _picture(data[VIEW]["model_id"], client)
    if picture:
        said = {"image/png": output.metadata["image/png"]} if "image/png" in data else {}
        yield new_output("display_data", data={"image/png": picture}, metadata=said)
    yield new_output("display_data", data={"text/plain": WIDGET_TEXT})


def _picture(model: str, client: NotebookClient) -> str | None:
    """The PNG of the first Image widget inside ``model``, in base64."""
    for buffer in client.widget_buffers.get(model, {}).values():
        if buffer["data"].startswith("iVBORw0KGgo"):
            return str(buffer["data"])
    children = client.widget_state.get(model, {}).get("children", [])
    pictures = (_picture(child.removeprefix("IPY_MODEL_"), client) for child in children)
    return next((picture for picture in pictures if picture), None)


def build(source: Path) -> list[str]:
    """Build and execute the notebooks of one source; return what is wrong with them."""
    for path, notebook in targets(source).items():
        path.parent.mkdir(exist_ok=True)
        try:
            nbformat.write(execute(notebook), path)
        except CellExecutionError as error:
            plain = re.sub(r"\x1b\[[0-9;]*m", "", str(error))  # no colours
            return [f"{path.name}: {plain}"]
    return problems(source)


# --- Comparing -----------------------------------------------------------------------------


def problems(source: Path) -> list[str]:
    """One line for each way in which the built notebooks differ from what they should be."""
    return [
        f"{path.relative_to(ROOT).as_posix()}: {problem}"
        for path, wanted in targets(source).items()
        for problem in _problems(path, wanted)
    ]


def _problems(path: Path, wanted: NotebookNode) -> Iterator[str]:
    if not path.exists():
        yield "missing, run `make notebooks`"
        return
    if (size := path.stat().st_size) > LARGEST:
        yield f"{size:,} bytes, more than {LARGEST:,}"
    built = nbformat.read(path, as_version=4)
    if built.metadata != METADATA:
        yield f"its metadata is {json.dumps(built.metadata)[:200]}"
    yield from _differences(built.cells, wanted.cells)
    for cell in built.cells:
        yield from _bad_outputs(cell)


def _differences(built: list[NotebookNode], wanted: list[NotebookNode]) -> Iterator[str]:
    for number, (have, want) in enumerate(zip(built, wanted, strict=False)):
        for part in ("cell_type", "id", "source", "metadata"):
            if have.get(part) != want[part]:
                yield f"cell {number}: its {part} is not what its source says, run `make notebooks`"
                return
    if len(built) != len(wanted):
        yield f"{len(built)} cells in place of {len(wanted)}, run `make notebooks`"


def _bad_outputs(cell: NotebookNode) -> Iterator[str]:
    for output in cell.get("outputs", []):
        if output.output_type == "error":
            yield f"cell {cell.id} ends in an error: {output.ename}: {output.evalue}"
        elif output.get("name") == "stderr":
            yield f"cell {cell.id} writes to stderr: {output.text[:200]}"
        elif VIEW in output.get("data", {}):
            yield f"cell {cell.id} holds a widget's view, which is empty without a kernel"


# --- What has changed since the last build ----------------------------------------------


def state(source: Path) -> str:
    """A hash of all that a chapter's outputs come from: its source and the library."""
    files = [source, Path(__file__), *sorted((ROOT / "gan_course").rglob("*.py"))]
    return hashlib.sha256(b"\0".join(file.read_bytes() for file in files)).hexdigest()


def _built() -> dict[str, str]:
    return json.loads(CACHE.read_text()) if CACHE.exists() else {}


def _remember(source: Path, value: str) -> None:
    CACHE.parent.mkdir(exist_ok=True)
    CACHE.write_text(json.dumps(_built() | {source.stem: value}, indent=1) + "\n")


def _names(paths: list[Path]) -> str:
    return ", ".join(path.stem for path in paths) or "none"


def _build_all(chosen: list[Path], force: bool) -> list[str]:
    before = _built()
    states = {source: state(source) for source in chosen}
    changed = [s for s in chosen if force or before.get(s.stem) != states[s] or problems(s)]
    print(f"to build: {_names(changed)}", flush=True)
    found: list[str] = []
    with ProcessPoolExecutor(PROCESSES) as pool:
        for source, bad in zip(changed, pool.map(build, changed), strict=True):
            print(f"built {source.stem}", flush=True)
            found += bad
            if not bad:
                _remember(source, states[source])
    return found


def main() -> None:
    """Parse the command line, build or compare, and fail when something is wrong."""
    parser = argparse.ArgumentParser(description="Build the notebooks from notebooks/source.")
    parser.add_argument("chapters", nargs="*", help="how names start, for example 02; else all")
    parser.add_argument("--check", action="store_true", help="only compare, change nothing")
    parser.add_argument("--force", action="store_true", help="build what has not changed, too")
    arguments = parser.parse_args()
    chosen = sources(arguments.chapters)
    if arguments.check:
        found = [problem for source in chosen for problem in problems(source)]
    else:
        found = _build_all(chosen, arguments.force)
    sys.exit("\n".join(found) if found else 0)


if __name__ == "__main__":
    main()
