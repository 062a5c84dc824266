"""What Sphinx reads below its own folder: chapters, figures, the chapter map, the library."""

from __future__ import annotations

import ast
import re
import shutil
from collections import defaultdict
from pathlib import Path

import nbformat
import player
import sliders
from nbformat import NotebookNode
from nbformat.v4 import new_markdown_cell
from references import items, listed, said_of
from teaching import page

from gan_course.lab.still import TEXT

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
#: Where each kind of generated page stands; all of it is made anew by each build.
GENERATED = (
    *("notebooks", "figures", "library", "_static/places", "_static/trainings"),
    *("chapter_map.md", "exercises.md"),
)
#: Where a chapter's links lead, in the repository and on the site.
MOVED = {
    "](../book/": "](../",
    "](../TEACHING.md": "](../teaching.md",
    "ipynb#cell-id=": "ipynb#",
}
#: A space at which no line ends: "46 %", "93 ± 7".
WITHIN = re.compile(r"(?<=\d) (?=%|± ?\d)|(?<=\d ±) (?=\d)")
#: In place of the words that a notebook has below such a picture.
STANDS_STILL = (
    '<p class="about">A picture of it, which stands still. It moves in '
    '<a href="../index.html#run-it-yourself">JupyterLab</a>; <a href="../trainings.html">recorded '
    "trainings</a> of the lab play without Python.</p>"
)
#: The library's modules in the order of its own page, with what it says of each.
MODULE = re.compile(r"^``(\w+)``\s+(.+?)\s{2,}(.+)$", re.MULTILINE)


def stage() -> dict[str, str]:
    """Bring everything here; returns the page of each chapter by its number."""
    for name in GENERATED:
        if (HERE / name).is_dir():
            shutil.rmtree(HERE / name)
    data = ("runs", "sweeps", "places*")
    left_out = shutil.ignore_patterns("source", "*.py", "__pycache__", ".*", *data)
    for folder in ("notebooks", "figures"):
        shutil.copytree(ROOT / folder, HERE / folder, ignore=left_out)
    chapters = sorted((HERE / "notebooks").glob("[0-9A][0-9]_*.ipynb"))
    rows, used = [], defaultdict(list)
    for path in chapters:
        notebook = nbformat.read(path, as_version=4)
        rows.append(_row(path, notebook))
        for name in _imported(notebook):
            used[name].append(path.stem[:2])
        _number(path, notebook)
        _fold(notebook)
        sliders.place(path.stem[:2], notebook)
        _lead_on(notebook)
        nbformat.write(notebook, path)
    (HERE / "chapter_map.md").write_text(_table(rows), encoding="utf-8")
    (HERE / "exercises.md").write_text(page(), encoding="utf-8")
    _library(used)
    player.write()
    return {path.stem[:2]: f"notebooks/{path.stem}" for path in chapters}


def cited_in_chapters() -> dict[str, dict[str, str]]:
    """For each entry of the bibliography, the chapters whose lists name it, and what they say."""
    found: dict[str, dict[str, str]] = {}
    for path in sorted((ROOT / "notebooks" / "source").glob("[0-9A-Z]*.md")):
        for item in items(path.read_text(encoding="utf-8")):
            for one in listed(item):
                found.setdefault(one.key, {})[path.stem[:2]] = said_of(item)
    return found


def _number(path: Path, notebook: NotebookNode) -> None:
    """Put the chapter's number into its title, its solutions below it; mend links to here."""
    for cell in notebook.cells:  # the book's own pages stand one folder up here
        for here, there in MOVED.items():
            cell.source = cell.source.replace(here, there)
        if cell.cell_type == "markdown":
            cell.source = WITHIN.sub("\u00a0", cell.source)
    first = notebook.cells[0]
    first.source = first.source.replace("# ", f"# {path.stem[:2]} ", 1)
    if (path.parent / "solutions" / path.name).exists():
        toctree = f"```{{toctree}}\n:hidden:\n\nSolutions <solutions/{path.stem}>\n```"
        notebook.cells.append(new_markdown_cell(toctree))


def _fold(notebook: NotebookNode) -> None:
    """Where the code is folded, its ticks are, too; the line that is left says how many."""
    for cell in notebook.cells:
        tags = cell.metadata.get("tags", [])
        lines = ticks(cell) if "hide-input" in tags else []
        if lines:
            tags[tags.index("hide-input")] = "hide-cell"
            said = lines[0] if len(lines) == 1 else f"✓ {len(lines)} checks"
            prompt = {"code_prompt_show": said, "code_prompt_hide": said}
            cell.metadata["mystnb"] = prompt


def ticks(cell: NotebookNode) -> list[str]:
    """The lines of a cell that puts out nothing but passed checks."""
    if cell.cell_type != "code" or any("text" not in output for output in cell.outputs):
        return []
    lines = "".join(output.text for output in cell.outputs).splitlines()
    return lines if all(line.startswith("✓ ") for line in lines) else []


def _lead_on(notebook: NotebookNode) -> None:
    """Below the picture of a widget that does not move here, say where it does."""
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if output.get("data", {}).get("text/plain") == TEXT:
                output.data = {"text/html": STANDS_STILL}


def _row(path: Path, notebook: NotebookNode) -> tuple[str, str, str, str, str]:
    """A chapter's number, page, title, question and time."""
    text = "\n".join(cell.source for cell in notebook.cells[:3] if cell.cell_type == "markdown")
    title = text.splitlines()[0].removeprefix("# ")
    question = re.search(r"\*\*The question\.\*\* (.+)", text)
    time = re.search(r"\*\*Time:\*\* (.+?)\.", text)
    if question is None or time is None:
        raise ValueError(f"{path.name}: its first cells have no **The question.** or **Time:**")
    return path.stem[:2], f"notebooks/{path.stem}.ipynb", title, question[1], time[1]


def _table(rows: list[tuple[str, str, str, str, str]]) -> str:
    head = "| | chapter | its question | time |\n|---|---|---|---|\n"
    lines = (
        f"| {number} | [{title}]({page}) | {question} | {time} |\n"
        for number, page, title, question, time in rows
    )
    return head + "".join(lines)


def _imported(notebook: NotebookNode) -> set[str]:
    """Full names of what a notebook's cells import from the library."""
    names: set[str] = set()
    for cell in notebook.cells:
        if cell.cell_type != "code" or "gan_course" not in cell.source:
            continue
        for node in ast.walk(ast.parse(cell.source)):
            if isinstance(node, ast.ImportFrom) and str(node.module).startswith("gan_course"):
                names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def _library(used: dict[str, list[str]]) -> None:
    """A page for each module that the package's own docstring names, and their index."""
    import gan_course  # noqa: PLC0415

    folder = HERE / "library"
    folder.mkdir()
    modules = MODULE.findall(gan_course.__doc__ or "")
    for name, _, _ in modules:
        full = f"gan_course.{name}"
        rows = sorted(
            (what, numbers) for what, numbers in used.items() if what.startswith(f"{full}.")
        )
        where = "".join(
            f"* {{py:obj}}`{what.removeprefix(full + '.')} <{what}>`: "
            + ("chapters " if len(numbers) > 1 else "chapter ")
            + ", ".join(numbers)
            + "\n"
            for what, numbers in rows
        )
        text = f"# {name}\n\n```{{eval-rst}}\n.. automodule:: {full}\n   :members:\n```\n"
        text += f"\n## Where the book uses it\n\n{where}" if where else ""
        (folder / f"{name}.md").write_text(text, encoding="utf-8")
    lines = "".join(f"* [{name}]({name}.md): {what.strip()}\n" for name, what, _ in modules)
    toctree = "".join(f"{name}\n" for name, _, _ in modules)
    (folder / "index.md").write_text(
        "# The library\n\nEvery formula of the book, under the book's name. Each page is made of "
        f"the library's docstrings.\n\n{lines}\n```{{toctree}}\n:hidden:\n\n{toctree}```\n",
        encoding="utf-8",
    )
