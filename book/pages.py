"""What Sphinx does not do by itself: links between chapters, captions, recordings, docstrings."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from types import BuiltinFunctionType
from typing import Any

import cells
from docutils import nodes
from references import cited, listed
from sphinx.addnodes import download_reference
from sphinx.application import Sphinx
from sphinx.util.osutil import relative_uri

#: "chapter 06", "chapters 02 to 04", "chapters 03, 05 and 06"; "appendix A1".
CHAPTERS = re.compile(
    r"\b(?:[Cc]hapters? \d\d(?:(?:, | and | to | or | – |–)\d\d)*|[Aa]ppendix A\d)\b"
)
NUMBER = re.compile(r"\d\d|A\d")
#: Pages of their own.
BIBLIOGRAPHY, GLOSSARY = "bibliography", "glossary"
FRAME = (
    """<iframe class="recording" src="{}" title="A recording of the lab" loading="lazy"></iframe>"""
)


def link_chapters(app: Sphinx, page: nodes.document, name: str) -> None:
    """Make a link of each "chapter 06" in the text."""
    for text in _plain_texts(page):
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


def _plain_texts(part: nodes.Node) -> list[nodes.Text]:
    """The texts in which something may become a link: no links, code, formulas or headings."""
    without = nodes.reference | nodes.literal | nodes.title | nodes.raw | nodes.literal_block
    without |= nodes.math | nodes.math_block | nodes.rubric
    return [text for text in part.findall(nodes.Text) if not isinstance(_holder(text), without)]


def _holder(text: nodes.Node) -> nodes.Node:
    """What a text stands in: a link to a heading has its words in an element of their own."""
    holder = text.parent
    while isinstance(holder, nodes.inline | nodes.emphasis | nodes.strong):
        holder = holder.parent
    return holder


def _link(
    app: Sphinx, name: str, text: nodes.Text, spans: list[tuple[int, int, str, str]]
) -> list[nodes.Text]:
    """Make links of parts of a text: start, end, page, anchor. Returns the texts between them."""
    pieces: list[nodes.Node] = []
    end = 0
    for start, last, there, anchor in spans:
        uri = relative_uri(app.builder.get_target_uri(name), app.builder.get_target_uri(there))
        words = str(text)[start:last]
        pieces.append(nodes.Text(str(text)[end:start]))
        pieces.append(nodes.reference("", words, refuri=f"{uri}#{anchor}", internal=True))
        end = last
    pieces.append(nodes.Text(str(text)[end:]))
    text.parent.replace(text, pieces)
    return [piece for piece in pieces if isinstance(piece, nodes.Text)]


def link_citations(app: Sphinx, page: nodes.document, name: str) -> None:
    """Make a link to the bibliography of each citation, and of each title in a list of them."""
    if not name.startswith("notebooks/"):
        return
    for section in page.findall(nodes.section):
        if section[0].astext() == "References":
            for item in section.findall(nodes.list_item):
                for one in listed(item.astext()):
                    _link_title(app, name, item, one.key, (one.title, one.short_title))
    for text in _plain_texts(page):
        if spans := [(a, b, BIBLIOGRAPHY, f"cite-{key}") for a, b, key in cited(str(text))]:
            _link(app, name, text, spans)


def _link_title(
    app: Sphinx, name: str, item: nodes.Node, key: str, titles: tuple[str, ...]
) -> None:
    for title in titles:
        for text in _plain_texts(item):
            if found := re.search(re.escape(title), str(text), flags=re.IGNORECASE):
                _link(app, name, text, [(*found.span(), BIBLIOGRAPHY, f"cite-{key}")])
                return


def link_back(app: Sphinx, page: nodes.document, name: str) -> None:
    """Below each entry of the bibliography, the chapters that name it, and what for."""
    if name != BIBLIOGRAPHY:
        return
    for entry in page.findall(nodes.citation):
        (key,) = (name.removeprefix("cite-") for name in entry["ids"])
        known = app.config.chapter_pages
        said = app.config.cited_in.get(key, {})
        chapters = [number for number in said if number in known]
        body = next(iter(entry.findall(nodes.paragraph)))
        words = "Chapters " if len(chapters) > 1 else "Chapter "
        for number in chapters:
            there = app.config.chapter_pages[number]
            uri = relative_uri(app.builder.get_target_uri(name), app.builder.get_target_uri(there))
            body += nodes.Text(f" {words}" if number == chapters[0] else "; ")
            body += nodes.reference("", number, refuri=f"{uri}#references", internal=True)
            body += nodes.Text(f": {said[number]}" if said[number] else "")
        if chapters:
            body += nodes.Text(".")


def link_terms(app: Sphinx, page: nodes.document, name: str) -> None:
    """Make a link to the glossary of each term, where a chapter first uses it."""
    if not name.startswith("notebooks/") or "/solutions/" in name:
        return
    terms = {
        words: anchor
        for words, _, kind, there, anchor, _ in app.env.get_domain("std").get_objects()
        if kind == "term" and there == GLOSSARY
    }
    pattern = pattern_of(terms)
    seen: set[str] = set()
    for text in _plain_texts(page):
        spans = []
        for found in pattern.finditer(str(text)):
            words = term_of(found[0], terms)
            if words not in seen:
                seen.add(words)
                spans.append((*found.span(), GLOSSARY, terms[words]))
        if spans:
            _link(app, name, text, spans)


def pattern_of(terms: Iterable[str]) -> re.Pattern[str]:
    """Any of some terms, in singular or plural; the longest where several fit."""
    longest = sorted(terms, key=len, reverse=True)
    either = "|".join(
        re.escape(term) if term != term.lower() else rf"(?i:{re.escape(term)})" for term in longest
    )
    return re.compile(rf"(?<![\w-])(?:{either})s?(?![\w-])")


def term_of(words: str, terms: Collection[str]) -> str:
    """The term that stands in a text as ``words``."""
    ways = (words, words.lower(), words.removesuffix("s"), words.lower().removesuffix("s"))
    return next(way for way in ways if way in terms)


def offer_to_run(app: Sphinx, page: nodes.document, name: str) -> None:
    """Below a chapter's title, the ways to run it."""
    if name in app.config.chapter_pages.values():
        line = nodes.paragraph(classes=["run-it"])
        front = relative_uri(app.builder.get_target_uri(name), app.builder.get_target_uri("index"))
        how = nodes.reference("", "", refuri=f"{front}#run-it-yourself", internal=True)
        how += nodes.literal("", "make lab")
        line += [nodes.Text("Run it: "), how, nodes.Text(", then open ")]
        line += nodes.literal("", f"{name}.ipynb")
        for place, uri in launches(app.config.repository, f"{name}.ipynb").items():
            line += [nodes.Text(" · "), nodes.reference("", place, refuri=uri)]
        next(iter(page.findall(nodes.title))).parent.insert(1, line)


def launches(repository: str, notebook: str) -> dict[str, str]:
    """Where a notebook of a public repository, ``owner/name`` on GitHub, opens by a click."""
    if not repository:
        return {}
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", repository):
        raise ValueError(f"repository = {repository!r}: must be owner/name, or nothing")
    place = f"{repository}/blob/main/{notebook}"
    return {
        "Colab": f"https://colab.research.google.com/github/{place}",
        "Binder": f"https://mybinder.org/v2/gh/{repository}/main?urlpath=lab/tree/{notebook}",
        "GitHub": f"https://github.com/{place}",
    }


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

    A short name that two objects have is none, and neither is a method's without its class.
    """
    names: dict[str, tuple[str, str] | None] = {}
    objects = list(app.env.get_domain("py").get_objects())
    app.config.library_objects = {full: (page, there) for full, _, _, page, there, _ in objects}
    for full, _, kind, page, anchor, _ in objects:
        if kind not in ("function", "class", "exception", "method", "data"):
            continue
        words = full.removeprefix("gan_course.").split(".")
        for start in range(len(words) - (kind == "method")):
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


def level_captions(
    _app: Sphinx, _name: str, _template: str, context: dict[str, Any], _page: nodes.document | None
) -> None:
    """Sphinx calls the captions in the sidebar headings, and forgets of which level."""
    sidebar = context["furo_navigation_tree"]
    sidebar = sidebar.replace('role="heading"', 'role="heading" aria-level="2"')
    context["furo_navigation_tree"] = sidebar


def link_cells(
    app: Sphinx, name: str, _template: str, context: dict[str, Any], _page: nodes.document | None
) -> None:
    """Make a link of each name of the library in a page's code, so that formulas are a step away.

    The checks' names are none: they are most of them, and the same few.
    """
    known = app.config.library_objects

    def address(full: str) -> str | None:
        there = known.get(full) or known.get(cells.full_name(cells.thing(full)))
        if there is None or there[0] == "library/checks":
            return None
        here = app.builder.get_target_uri(name)
        return f"{relative_uri(here, app.builder.get_target_uri(there[0]))}#{there[1]}"

    if name in app.env.found_docs:
        context["body"] = cells.with_links(context["body"], address)


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
    app.add_config_value("cited_in", {}, "env")
    app.add_config_value("library_names", {}, "")
    app.add_config_value("library_objects", {}, "")
    app.connect("env-updated", collect_names)
    app.add_config_value("repository", "", "env", [str])
    changes = (play_recordings, caption_pictures, link_chapters, link_code)
    for change in (*changes, link_citations, link_terms, link_back, offer_to_run):
        app.connect("doctree-resolved", change)
    app.connect("html-page-context", level_captions, priority=900)  # after the theme's own
    app.connect("html-page-context", link_cells)
    app.connect("autodoc-process-docstring", as_rst, priority=400)
    return {"parallel_read_safe": True}
