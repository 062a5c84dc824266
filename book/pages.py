"""What Sphinx does not do by itself: links between chapters, captions, recordings, docstrings."""

from __future__ import annotations

import re
from collections.abc import Iterator
from types import BuiltinFunctionType

from docutils import nodes
from sphinx.addnodes import download_reference
from sphinx.application import Sphinx
from sphinx.util.osutil import relative_uri

#: "chapter 06", "chapters 02 to 04", "chapters 03, 05 and 06"; "appendix A1".
CHAPTERS = re.compile(
    r"\b(?:[Cc]hapters? \d\d(?:(?:, | and | to | or | – |–)\d\d)*|[Aa]ppendix A\d)\b"
)
NUMBER = re.compile(r"\d\d|A\d")
FRAME = (
    """<iframe class="recording" src="{}" title="A recording of the lab" loading="lazy"></iframe>"""
)


def link_chapters(app: Sphinx, page: nodes.document, name: str) -> None:
    """Make a link of each "chapter 06" in the text."""
    for text in list(page.findall(nodes.Text)):
        outside = not isinstance(text.parent, nodes.reference | nodes.literal | nodes.title)
        if outside and not isinstance(text.parent, nodes.raw | nodes.literal_block):
            pieces = list(_pieces(app, str(text), name))
            if len(pieces) > 1:
                text.parent.replace(text, pieces)


def _pieces(app: Sphinx, text: str, name: str) -> Iterator[nodes.Node]:
    end = 0
    for found in CHAPTERS.finditer(text):
        for number in NUMBER.finditer(found[0]):
            target = app.config.chapter_pages.get(number[0])
            if target is None or target == name:
                continue  # one that is not written yet, or this page
            # A single one is a link with its word, of several each number is one.
            alone = len(NUMBER.findall(found[0])) == 1
            start = found.start() if alone else found.start() + number.start()
            yield nodes.Text(text[end:start])
            end = found.start() + number.end()
            uri = relative_uri(app.builder.get_target_uri(name), app.builder.get_target_uri(target))
            yield nodes.reference("", text[start:end], refuri=uri, internal=True)
    yield nodes.Text(text[end:])


def caption_pictures(_app: Sphinx, page: nodes.document, _name: str) -> None:
    """Give each picture that a cell has drawn a caption as alternative text."""
    for image in page.findall(nodes.image):
        if image.get("alt", image["uri"]) == image["uri"]:
            image["alt"] = _caption(image)


def _caption(image: nodes.image) -> str:
    """The next paragraph in italics; of a widget without one, its figure's, above; a heading."""
    cell: nodes.Node = image
    while not isinstance(cell.parent, nodes.section):
        cell = cell.parent
    at, beside = cell.parent.index(cell), cell.parent.children
    for node in (*beside[at + 1 :], *reversed(beside[:at])):
        if isinstance(node, nodes.section):
            break
        if isinstance(node, nodes.paragraph) and isinstance(node.children[0], nodes.emphasis):
            return str(node.astext())
    return f"The figure of the section: {beside[0].astext()}"


def link_code(app: Sphinx, page: nodes.document, name: str) -> None:
    """Make a link of each name of the library that stands in the text as code."""
    if name.startswith("library/"):
        return
    known = app.config.library_names
    for literal in list(page.findall(nodes.literal)):
        target = known.get(literal.astext().removesuffix("()").removeprefix("gan_course."))
        if target and not isinstance(literal.parent, nodes.reference | nodes.title):
            there, anchor = target
            uri = relative_uri(app.builder.get_target_uri(name), app.builder.get_target_uri(there))
            link = nodes.reference("", "", refuri=f"{uri}#{anchor}", internal=True)
            literal.parent.replace(literal, link)
            link += literal


def collect_names(app: Sphinx, env: object) -> None:
    """The library's names, short and with their module, each with its page and anchor.

    A short name that two objects have is none.
    """
    names: dict[str, tuple[str, str] | None] = {}
    for full, _, kind, page, anchor, _ in app.env.get_domain("py").get_objects():
        if kind not in ("function", "class", "exception", "method", "data"):
            continue
        words = full.removeprefix("gan_course.").split(".")
        for start in range(len(words)):
            short = ".".join(words[start:])
            names[short] = None if short in names and start else (page, anchor)
    app.config.library_names = {short: there for short, there in names.items() if there}


def play_recordings(app: Sphinx, page: nodes.document, name: str) -> None:
    """Below a paragraph that links to a recording of the lab, play it."""
    for paragraph in list(page.findall(nodes.paragraph)):
        for link in list(paragraph.findall(download_reference)):
            if link["reftarget"].endswith(".html"):
                downloads = relative_uri(app.builder.get_target_uri(name), "_downloads/")
                frame = nodes.raw("", FRAME.format(downloads + link["filename"]), format="html")
                paragraph.parent.insert(paragraph.parent.index(paragraph) + 1, frame)


def as_rst(
    _app: Sphinx, _what: str, _name: str, value: object, _options: object, lines: list[str]
) -> None:
    """Docstrings are plain text: their tables become tables, their bars stay bars."""
    if isinstance(value, BuiltinFunctionType):
        lines.clear()  # a default value's own text, torch.sigmoid's for example
    told: list[str] = []
    for line in lines:
        if re.fullmatch(r"\|[-|: ]+\|", line):
            continue  # the rule below a table's head
        if line.startswith("|") and line.endswith("|"):
            if not (told and told[-1].startswith(("   * -", "     -"))):
                told += [".. list-table::", "   :header-rows: 1", ""]
            cells = [cell.strip() for cell in line.strip("|").split("|")]
            told += [f"   {'  ' if at else '* '}- {cell}" for at, cell in enumerate(cells)]
        else:
            told.append(re.sub(r"(?<![\\`])\|(?!`)", r"\|", line))
    lines[:] = told


def setup(app: Sphinx) -> dict[str, bool]:
    """Have Sphinx call these."""
    app.add_config_value("chapter_pages", {}, "env")
    app.add_config_value("library_names", {}, "")
    app.connect("env-updated", collect_names)
    for change in (play_recordings, caption_pictures, link_chapters, link_code):
        app.connect("doctree-resolved", change)
    app.connect("autodoc-process-docstring", as_rst, priority=400)
    return {"parallel_read_safe": True}
