"""Build the notebooks people read from the sources people edit.

    python notebooks/build.py [02 ...] [--force]    build what has changed, and run it
    python notebooks/build.py --check               only compare, say what has drifted

``source/NN_topic.md`` becomes two notebooks, both executed:

- ``NN_topic.ipynb``, the chapter. Lines between ``# BEGIN SOLUTION`` and
  ``# END SOLUTION`` become ``# your code here`` and ``...`` (a solution that is one
  assignment becomes ``name = ...``), and cells tagged ``solution`` are left out.
- ``solutions/NN_topic.ipynb``: the cells tagged ``setup`` and the section
  ``## Exercises``, with the solutions. A page without that section has no such notebook.

Cells tagged ``hide-input`` are folded. A cell that begins with a heading has its words for an id,
another what its source says, in short.

``{=expression:format ~tolerance}`` in the text becomes digits: the expression's value where
its ``## `` section ends. There, a folded cell tagged ``numbers`` recomputes all of them. The
text before the first code (the set-up aside) quotes values of the last section before the
exercises; the exercises, and what follows, can't quote any.

A cell that calls ``explore`` leaves the pictures of the static site, see ``places.py``.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import hashlib
import io
import itertools
import json
import os
import re
import sys
import tomllib
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import jupytext
import nbformat
import numpy as np
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from PIL import Image

import places
from gan_course.checks import NUMBER, Quoted

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
CACHE = ROOT / "build" / "notebooks.json"
REPOSITORY = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"][
    "gan-course"
]["repository"]
LARGEST = 1_000_000  # bytes; larger notebooks are slow to open and not shown on GitHub
UNSEEN = 8  # of 255: by so much a pixel's colour may change when a picture is made small
PROCESSES = 2

METADATA = {
    "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
SOLUTION = r"^([ \t]*)# BEGIN SOLUTION[ \t]*\n(.*?)^[ \t]*# END SOLUTION[ \t]*$"
SECTION = re.compile(r"\]\((?:(\w+)\.ipynb)?#([\w-]+)\)")
HEADING = re.compile(r"#{1,3} (.+)")
EXERCISES = r"^## Exercises[ \t]*$"
VIEW = "application/vnd.jupyter.widget-view+json"
WIDGET_TEXT = "An interactive widget: run this notebook in JupyterLab to use it."
NUMBERS = """import gan_course.checks

gan_course.checks.{function}(
    globals(),
    r\"\"\"
{lines}
\"\"\",
)"""
# What matters in Markdown to the one who looks for numbers: code, where there are none, and
# mathematics, where a minus is a hyphen. A blank line ends a formula that nobody has closed.
MARKS = re.compile(
    r"^(?P<fence>```+|~~~+).*?^(?P=fence)[ \t]*$"
    r"|(?P<ticks>`+)(?!`).*?(?<!`)(?P=ticks)(?!`)|<!--.*?-->|\\\$"
    r"|(?P<display>\$\$)|(?P<inline>\$)|(?P<blank>\n[ \t]*\n)|(?P<number>\{=)",
    re.M | re.S,
)


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
    return _notebook(_with_numbers(source, cells))


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


def with_install(setup: str, repository: str) -> str:
    """Say above a set-up's first import of the library what to do where it is not installed.

    An error there shows the line.

    Args:
        setup: the cell's code.
        repository: owner/name on GitHub, or nothing.
    """
    line = '# Not installed? Once, in a terminal in the course\'s folder: pip install -e ".[book]"'
    if repository:
        wanted = f"gan-course[book] @ git+https://github.com/{repository}"
        line = f'# Not installed? Once: %pip install "{wanted}", then restart the kernel.'
    return re.sub(r"^(?=from gan_course\b)", f"{line}\n", setup, count=1, flags=re.M)


def has_exercises(source: Path) -> bool:
    """Whether a page asks anything of its reader; 00 and the errata do not."""
    return bool(re.search(EXERCISES, source.read_text(encoding="utf-8"), flags=re.M))


def targets(source: Path) -> dict[Path, NotebookNode]:
    """Every notebook that comes from ``source``, by the path where it belongs."""
    reader = {HERE / f"{source.stem}.ipynb": chapter(source)}
    if not has_exercises(source):
        return reader
    return reader | {HERE / "solutions" / f"{source.stem}.ipynb": solutions(source)}


def _cells(source: Path) -> Iterator[NotebookNode]:
    for cell in jupytext.read(source, fmt="md:myst").cells:
        if cell.cell_type != "markdown":
            yield cell
            continue
        for text in split_at_headings(cell.source):
            yield new_markdown_cell(to_cells(text, source.stem), metadata=cell.metadata)


def split_at_headings(text: str) -> list[str]:
    """Cut Markdown before each heading below the title, those inside code fences excepted."""
    parts: list[list[str]] = [[]]
    fenced = False
    for line in text.splitlines():
        fenced ^= line.lstrip().startswith("```")
        if line.startswith(("## ", "### ")) and not fenced:
            parts.append([])
        parts[-1].append(line)
    return [joined for part in parts if (joined := "\n".join(part).strip("\n"))]


def to_cells(text: str, page: str) -> str:
    """Make links to sections, of ``page`` or another, links to the cells that they begin.

    JupyterLab finds a cell by its id; a heading it finds only where the reader has been before.
    """
    return SECTION.sub(lambda link: f"]({link[1] or page}.ipynb#cell-id={link[2]})", text)


def anchor(heading: str) -> str:
    """What a link calls a section, on the site as well: ``## Why `.detach()`?`` is why-detach."""
    words = re.sub(r"[^a-z0-9]+", "-", heading.lower())
    return words.lstrip("-0123456789").rstrip("-")[:64]


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
        if "setup" in _tags(cell):
            cell.source = with_install(cell.source, REPOSITORY)
        name = hashlib.sha256(cell.source.encode()).hexdigest()[:12]
        if cell.cell_type == "markdown" and (heading := HEADING.match(cell.source)):
            name = anchor(heading[1]) or name
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


# --- The numbers of the text -------------------------------------------------------------


class NumbersError(Exception):
    """Numbers that the text can't quote, one line for each."""


def quoted(markdown: str) -> Iterator[tuple[int, int, str, bool]]:
    """Each ``{=…}`` in Markdown: its start, its end, what it says, whether in a formula."""
    position, formula = 0, ""
    while mark := MARKS.search(markdown, position):
        position = mark.end()
        if mark["display"] or mark["inline"]:
            formula = "" if formula else mark[0]
        elif mark["blank"]:
            formula = formula if formula == "$$" else ""
            position -= 1  # the next line begins there, perhaps with a fence
        elif mark["number"]:
            end = _closing(markdown, position)
            yield mark.start(), end + 1, markdown[position:end], bool(formula)
            position = end + 1


def _closing(markdown: str, start: int) -> int:
    """Where the brace is that ends the ``{=`` before ``start``, which may hold braces itself."""
    line = markdown[start:].partition("\n")[0]
    ends = [start + found.start() for found in re.finditer("}", line)]
    for end in ends:
        with contextlib.suppress(SyntaxError):
            Quoted.read(markdown[start:end])
            return end
    return ends[0] if ends else start + len(line)


def _sections(cells: list[NotebookNode]) -> list[int]:
    """For each cell, how many ``## `` headings have come, its own included."""
    heads = (cell.cell_type == "markdown" and cell.source.startswith("## ") for cell in cells)
    return list(itertools.accumulate(heads))


def _places(source: Path, cells: list[NotebookNode]) -> list[int]:
    """For each cell, the section at whose end the numbers of its text are computed."""
    sections = _sections(cells)
    computing = (
        section
        for section, cell in zip(sections, cells, strict=True)
        if cell.cell_type == "code" and not {"setup", "numbers"} & set(_tags(cell))
    )
    first = next(computing, 0)
    exercises = (
        section
        for section, cell in zip(sections, cells, strict=True)
        if cell.cell_type == "markdown" and re.match(EXERCISES, cell.source, flags=re.M)
    )
    last = next(exercises, sections[-1] + 1) - 1
    late = [
        f"{_where(source, text, after='## Exercises')}: the exercises, and what follows, "
        "can't quote a number"
        for section, cell in zip(sections, cells, strict=True)
        if section > last and cell.cell_type == "markdown"
        for *_, text, _ in quoted(cell.source)
    ]
    if late:
        raise NumbersError("\n".join(late))
    return [section if section >= first else last for section in sections]


def _with_numbers(source: Path, cells: list[NotebookNode]) -> list[NotebookNode]:
    """Add the cells that compute the numbers of the text, one at the end of a section."""
    wanted: dict[int, dict[str, None]] = {}
    for place, cell in zip(_places(source, cells), cells, strict=True):
        if cell.cell_type == "markdown":
            wanted.setdefault(place, {}).update((text, None) for *_, text, _ in quoted(cell.source))
    result: list[NotebookNode] = []
    numbered = zip(_sections(cells), cells, strict=True)
    for section, group in itertools.groupby(numbered, key=lambda pair: pair[0]):
        result += [cell for _, cell in group]
        if lines := "\n".join(wanted.get(section, {})):
            code = NUMBERS.format(function="numbers", lines=lines)
            result.append(new_code_cell(code, metadata={"tags": ["numbers", "hide-input"]}))
    return result


def lines_of(cell: NotebookNode) -> list[str]:
    """The lines of a ``numbers`` cell."""
    found = re.search(r'r"""\n(.*)\n"""', cell.source, flags=re.S)
    return found[1].splitlines() if found else []


def state_numbers(cell: NotebookNode, digits: Mapping[str, str]) -> None:
    """Write ``digits`` into a ``numbers`` cell, which has none yet."""
    lines = [f"{line} → {digits[line]}" if line in digits else line for line in lines_of(cell)]
    cell.source = NUMBERS.format(function="numbers", lines="\n".join(lines))


def stated(cell: NotebookNode) -> dict[str, str]:
    """What a ``numbers`` cell states, by what the source says: ``digits`` or ``digits ← value``."""
    parts = (line.partition(" → ") for line in lines_of(cell))
    return {text: digits for text, arrow, digits in parts if arrow}


def write_numbers(source: Path, notebook: NotebookNode) -> None:
    """Write the digits of the ``numbers`` cells into the text."""
    sections = _sections(notebook.cells)
    digits = {
        section: stated(cell)
        for section, cell in zip(sections, notebook.cells, strict=True)
        if "numbers" in _tags(cell)
    }
    for place, cell in zip(_places(source, notebook.cells), notebook.cells, strict=True):
        if cell.cell_type == "markdown":
            for start, end, text, formula in reversed(list(quoted(cell.source))):
                if text in digits.get(place, {}):
                    shown = typeset(digits[place][text].partition(" ← ")[0], formula)
                    cell.source = cell.source[:start] + shown + cell.source[end:]


def typeset(digits: str, formula: bool = False) -> str:
    """Digits as a book prints them; what is no number stays as it is."""
    if not (number := NUMBER.fullmatch(digits)):
        return digits
    mantissa, _, power = digits.rstrip("%").partition("e")
    if formula:
        mantissa = mantissa.replace(",", "{,}")
        power = power and rf" \times 10^{{{int(power)}}}"
        return mantissa + power + (r"\,\%" if number[4] else "")
    raised = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
    power = power and f" × 10{str(int(power)).translate(raised)}"
    return mantissa.replace("-", "−") + power + (" %" if number[4] else "")


def _where(source: Path, text: str, after: str = "") -> str:
    """The chapter and the lines in which a number is quoted."""
    lines = source.read_text(encoding="utf-8").splitlines()
    first = lines.index(after) if after else 0
    found = [str(n) for n, line in enumerate(lines, 1) if n > first and f"{{={text}" in line]
    return f"{source.name}, line {' and '.join(found)}: {{={text}}}"


# --- Running a notebook ----------------------------------------------------------------


class Runner(NotebookClient):
    """Runs a notebook; asks the kernel for the digits of a ``numbers`` cell before it runs it."""

    def __init__(self, *args: Any, chapter: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.chapter, self.widgets = chapter, 0
        self.wrong: dict[str, str] = {}

    async def async_execute_cell(  # noqa: D102
        self, cell: NotebookNode, cell_index: int, *args: Any, **kwargs: Any
    ) -> NotebookNode:
        if "numbers" in _tags(cell):
            lines = lines_of(cell)
            code = NUMBERS.format(function="print_shown", lines="\n".join(lines))
            question = await self._aside(code, cell_index)
            found = dict(zip(lines, json.loads(question.outputs[0].text), strict=True))
            self.wrong |= {line: wrong for line, (_, wrong) in found.items() if wrong}
            if self.wrong:
                return cell
            state_numbers(cell, {line: digits for line, (digits, _) in found.items()})
        done = await super().async_execute_cell(cell, cell_index, *args, **kwargs)
        if cell.cell_type == "code" and places.CALL.search(cell.source):
            await self._film(cell.id, cell_index)
        return done

    async def _aside(self, code: str, cell_index: int) -> NotebookNode:
        """Run a cell that the reader's kernel has not; nbclient puts it in the place of one."""
        here, cell = self.nb.cells[cell_index], new_code_cell(code)
        await super().async_execute_cell(cell, cell_index, store_history=False)
        self.nb.cells[cell_index] = here
        self.code_cells_executed -= 1
        return cell

    async def _film(self, cell: str, cell_index: int) -> None:
        """Have the widget that was shown last draw the pictures of the static site."""
        self.widgets += 1
        chosen = places.chosen(self.chapter)
        if self.widgets <= len(chosen):  # else `problems` says so
            path = str(places.archive(self.chapter, self.widgets))
            shown = f"Out[max(Out)].sketch, {chosen[self.widgets - 1]!r}"
            found = f'__import__("sys").path.append({str(Path(__file__).parent)!r})'
            film = f'{found} or __import__("places").film({shown}, {path!r}, {cell!r})'
            await self._aside(film, cell_index)


def execute(notebook: NotebookNode, source: Path) -> NotebookNode:
    """Run every cell in a fresh kernel and keep what does not depend on the machine."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ["TQDM_DISABLE"] = "1"  # a bar shows on slow machines only
    client = Runner(
        notebook,
        chapter=source.stem[:2],
        kernel_name="python3",
        timeout=600,
        record_timing=False,
        coalesce_streams=True,  # else a slow line makes an output of its own, in some builds
        extra_arguments=["--IPKernelApp.log_level=40"],
        resources={"metadata": {"path": str(HERE)}},
    )
    client.execute()
    if client.wrong:
        wrong = (f"{_where(source, text)}: {problem}" for text, problem in client.wrong.items())
        raise NumbersError("\n".join(wrong))
    write_numbers(source, notebook)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = [kept for output in cell.outputs for kept in _frozen(output, client)]
            for output in cell.outputs:
                if picture := output.get("data", {}).get("image/png"):
                    output.data["image/png"] = with_few_colours(picture)
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


def with_few_colours(png: str) -> str:
    """A picture in at most 256 colours, a third of its bytes; as it was if one would see it.

    Args:
        png: in base64.
    """
    picture = Image.open(io.BytesIO(base64.b64decode(png)))
    if picture.mode == "RGBA" and picture.getchannel("A").getextrema() != (255, 255):
        return png  # transparent somewhere
    whole = picture.convert("RGB")
    small = whole.quantize(256, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    change = np.asarray(small.convert("RGB"), dtype=int) - np.asarray(whole, dtype=int)
    file = io.BytesIO()
    small.save(file, "png", optimize=True, dpi=picture.info.get("dpi", (72, 72)))
    fewer = base64.b64encode(file.getvalue()).decode()
    return fewer if abs(change).max() <= UNSEEN and len(fewer) < len(png) else png


def build(source: Path) -> list[str]:
    """Build and execute the notebooks of one source; return what is wrong with them."""
    try:
        wanted = targets(source)
    except NumbersError as error:
        return [str(error)]
    for path, notebook in wanted.items():
        path.parent.mkdir(exist_ok=True)
        try:
            nbformat.write(execute(notebook, source), path)
        except NumbersError as error:
            return [str(error)]
        except CellExecutionError as error:
            plain = re.sub(r"\x1b\[[0-9;]*m", "", str(error))  # no colours
            return [f"{path.name}: {plain}"]
    return problems(source)


# --- Comparing -----------------------------------------------------------------------------


def problems(source: Path) -> list[str]:
    """One line for each way in which the built notebooks differ from what they should be."""
    try:
        wanted = targets(source)
    except NumbersError as error:
        return [str(error)]
    return [
        f"{path.relative_to(ROOT).as_posix()}: {problem}"
        for path, notebook in wanted.items()
        for problem in (
            *_problems(source, path, notebook),
            *(places.problems(source.stem[:2], notebook) if path.parent == HERE else ()),
        )
    ]


def _problems(source: Path, path: Path, wanted: NotebookNode) -> Iterator[str]:
    if not path.exists():
        yield "missing, run `make notebooks`"
        return
    if (size := path.stat().st_size) > LARGEST:
        yield f"{size:,} bytes, more than {LARGEST:,}"
    built = nbformat.read(path, as_version=4)
    if built.metadata != METADATA:
        yield f"its metadata is {json.dumps(built.metadata)[:200]}"
    # The digits are those that the built cells assert: the text has to agree with them.
    digits = {cell.id: stated(cell) for cell in built.cells if "numbers" in _tags(cell)}
    for cell in wanted.cells:
        if cell.id in digits:
            state_numbers(cell, digits[cell.id])
    write_numbers(source, wanted)
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
