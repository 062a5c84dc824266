"""Decks of slides, each from a chapter's notebook: what a class looks at together.

A rule chooses, so that a chapter needs nothing written for its deck: the question, then of each
section the figures with their captions, the displayed formulas with the sentence that leads to
them, tables, and the lists of *Objectives* and *Recap*. A section without any of these keeps its
opening paragraph, or, of each paragraph with a name, the first sentence. Two tags overrule it:
``slide`` puts a cell on a slide of its own, ``no-slide`` leaves one out.
"""

from __future__ import annotations

import base64
import math
import re
import shutil
from dataclasses import dataclass, field
from pathlib import Path

import nbformat
from nbformat import NotebookNode

HERE = Path(__file__).resolve().parent
NOTEBOOKS = HERE.parent.parent / "notebooks"
#: Sections that are for the reader alone.
LEFT_OUT = {"Exercises", "References"}
#: Sections whose lists are shown.
LISTS = {"Objectives", "Recap", "What can go wrong"}
#: Characters of a list for which a slide has room, and those of which a line is worth at least.
ROOM, LINE = 700, 80
#: Two formulas share a slide when together they have no more lines.
LINES = 5
TAGS = {"slide", "no-slide"}
NEXT = "\n\n```{revealjs-break}\n```\n\n"
SENTENCE = re.compile(r"(?<=[.?!])\s+(?=[A-Z*$“\"])")
LINK = re.compile(r"(?<!!)\[([^]]+)\]\([^)]+\)")


@dataclass
class Part:
    """A heading, with the text of each slide below it."""

    level: int
    title: str
    slides: list[str] = field(default_factory=list)
    opening: str = ""
    named: list[str] = field(default_factory=list)

    @property
    def left_out(self) -> bool:
        """Whether nothing of it is shown."""
        return self.title in LEFT_OUT

    def text(self) -> str:
        """All its slides as Markdown; one without anything to show says what it is about."""
        slides = self.slides or _lists([f"- {named}" for named in self.named])
        if not slides and self.opening and self.level == 2:
            slides = [self.opening]
        if not slides or self.left_out:
            return ""
        return f"{'#' * self.level} {self.title}\n\n" + NEXT.join(slides) + "\n\n"


def stage() -> None:
    """Write each chapter's deck and its pictures beside this file, and the list of all decks."""
    pictures = HERE / "pictures"
    if pictures.exists():
        shutil.rmtree(pictures)
    pictures.mkdir()
    for old in HERE.glob("*.md"):
        old.unlink()
    lines = []
    for path in sorted(NOTEBOOKS.glob("[0-9A][0-9]_*.ipynb")):
        text = deck(nbformat.read(path, as_version=4), path.stem, pictures)
        (HERE / f"{path.stem}.md").write_text(text, encoding="utf-8")
        title = text.partition("\n")[0].removeprefix("# ")
        lines.append(f"* [{title}]({path.stem}.md)\n")
    half = (len(lines) + 1) // 2  # so many for which a slide has room
    (HERE / "index.md").write_text(
        "# The GAN course: slides\n\nThe arrow keys go down in a section and right to the next; "
        "Space takes all in order. `?` lists the other keys.\n\n## Decks\n\n"
        + "".join(lines[:half])
        + "\n```{revealjs-break}\n```\n\n"
        + "".join(lines[half:]),
        encoding="utf-8",
    )


def deck(notebook: NotebookNode, stem: str, pictures: Path) -> str:
    """The Markdown of a chapter's slides; its figures are written into ``pictures``."""
    parts = [Part(1, "")]
    for at, cell in enumerate(notebook.cells):
        tags = cell.metadata.get("tags", [])
        if cell.cell_type == "markdown":
            _read(cell.source, parts, [tag for tag in tags if tag in TAGS])
        elif "no-slide" not in tags and not parts[-1].left_out:
            if "slide" in tags:
                parts[-1].slides.append(f"```python\n{cell.source}\n```")
            for png in _pngs(cell):
                name = f"{stem}_{at}.png"
                (pictures / name).write_bytes(base64.b64decode(png))
                parts[-1].slides.append(_figure(name, _caption(notebook.cells[at + 1 :])))
    parts[1].title = f"{stem[:2]} {parts[1].title}"
    return "".join(part.text() for part in parts)


def _read(source: str, parts: list[Part], tags: list[str]) -> None:
    """Take what is shown of a cell of text."""
    alone, before = "", ""  # the formula that has a slide to itself, the block before
    for block in re.split(r"\n\s*\n", LINK.sub(r"\1", source)):
        heading = re.match(r"(#{1,3}) (.+)", block)
        if heading:
            level, left_out = len(heading[1]), parts[-1].left_out
            # Below a section that is left out, so is all that belongs to it.
            title = parts[-1].title if left_out and level == 3 else heading[2]
            parts.append(Part(level, title))
            alone = ""
        elif "slide" in tags:
            parts[-1].slides.append(block)
        elif not tags:
            part = parts[-1]
            if block.startswith("$$"):
                lead = "" if before.startswith("$$") else _lead(before)
                shown = f"{lead}\n\n{block}".strip()
                both = f"{alone}\n\n{shown}"
                if alone and both.count("\\\\") + 2 <= LINES:
                    part.slides[-1], alone = both, ""
                else:
                    part.slides.append(shown)
                    alone = shown
            elif block.startswith("| "):
                head, rule, *rows = block.split("\n")
                part.slides += [f"{head}\n{rule}\n{some}" for some in _lists(rows)]
            elif block.startswith("**The question."):
                part.slides.append(block)
            elif block.startswith("- ") and part.title in LISTS:
                part.slides += _lists(block.split("\n"))
            elif named := re.match(r"\*\*.+?\*\*", block):
                part.named.append(named[0] + SENTENCE.split(block[named.end() :])[0])
            elif not block.startswith(("*", ":::", "```", "<")):
                part.opening = part.opening or block
        before = "" if heading else block


def _lead(text: str) -> str:
    """The last sentence of a text; one like "So" says nothing without the one before it."""
    *earlier, last = SENTENCE.split(text)
    return f"{earlier[-1]} {last}" if earlier and len(last.split()) == 1 else last


def _lists(lines: list[str]) -> list[str]:
    """The lines of a list or table, on as few slides as have room, about equally full."""
    lengths = [max(len(line), LINE) for line in lines]
    share = sum(lengths) / math.ceil(sum(lengths) / ROOM) if lines else 0
    slides: dict[int, list[str]] = {}
    before = 0.0
    for line, length in zip(lines, lengths, strict=True):
        slides.setdefault(int((before + length / 2) / share), []).append(line)
        before += length
    return ["\n".join(slide) for slide in slides.values()]


def _pngs(cell: NotebookNode) -> list[str]:
    """The pictures that a cell has drawn."""
    data = [output.get("data", {}) for output in cell.outputs]
    return [bundle["image/png"] for bundle in data if "image/png" in bundle]


def _caption(after: list[NotebookNode]) -> str:
    """What stands in italics right below a picture."""
    text = next((cell.source for cell in after if cell.cell_type == "markdown"), "")
    first = LINK.sub(r"\1", text.partition("\n\n")[0])
    return first if re.match(r"\*[^*]", first) else ""


def _figure(name: str, caption: str) -> str:
    alt = re.sub(r"[*$`\\]", "", caption) or "The figure of this section"
    return f"```{{image}} pictures/{name}\n:alt: {alt}\n```\n\n{caption}"
