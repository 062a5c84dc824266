"""What the book cites: the entries of references.bib, and where a text names one."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

from pybtex.database import parse_file
from pybtex.richtext import Text

FILE = Path(__file__).with_name("references.bib")
#: Between an author and a year in a text.
GAP = r"(?:['’]s)?,?\s+"
#: How what names an entry ends, in an item of a list: a year, an arXiv number, pages, a journal.
NAMED = re.compile(
    r"(?:(?:19|20)\d\d\*?|\d{4}\.\d{4,5}(?:\]\([^)]*\))?|\d–\d+|Springer|\*[A-Z][^*]*\*(?: \d+)?)"
    r"\.(?:\s|$)|github\.com\S*(?:\s|$)"
)


class Reference(NamedTuple):
    """An entry: its key, its authors' surnames, its year, its title as plain text, arXiv number.

    Some lists give a title up to its colon, or as the entry's field ``shorttitle`` says.
    """

    key: str
    surnames: tuple[str, ...]
    year: str
    title: str
    short_title: str
    eprint: str

    @property
    def cited_as(self) -> str:
        """A pattern of what a text calls it: "Lin et al., 2018", "Goodfellow's (2016)"."""
        names = [re.escape(name) for name in self.surnames]
        if len(names) == 1:
            authors = names[0]
        elif len(names) == 2:
            authors = rf"{names[0]} (?:&|and) {names[1]}"
        else:
            several = rf"{', '.join(names[:-1])},? (?:&|and) {names[-1]}"
            authors = rf"(?:{names[0]} et al\.|{several})"
        return rf"{authors}{GAP}(?:\({self.year}\)|\(?{self.year})"


@cache
def references() -> dict[str, Reference]:
    """All entries by their keys."""
    found = {}
    for key, entry in parse_file(FILE, bib_format="bibtex").entries.items():
        people = [person.prelast_names + person.last_names for person in entry.persons["author"]]
        title = _plain(entry.fields["title"])
        found[key] = Reference(
            key,
            tuple(_plain(" ".join(names)) for names in people),
            entry.fields.get("year", ""),
            title,
            entry.fields.get("shorttitle", title.partition(": ")[0]),
            entry.fields.get("eprint", ""),
        )
    return found


def _plain(latex: str) -> str:
    return str(Text.from_latex(latex))


def _shortly(one: Reference) -> tuple[str, ...]:
    names = one.surnames if len(one.surnames) < 3 else (one.surnames[0], "et al.")
    return (*names, one.year)


@cache
def _citations() -> tuple[re.Pattern[str], tuple[Reference, ...]]:
    ways = Counter(map(_shortly, references().values()))
    # Two that a text would call the same are left alone: nobody can say which is meant.
    known = tuple(one for one in references().values() if one.year and ways[_shortly(one)] == 1)
    return re.compile("|".join(f"({one.cited_as})" for one in known)), known


def cited(text: str) -> Iterator[tuple[int, int, str]]:
    """Where a text cites an entry by author and year: start, end, key."""
    pattern, known = _citations()
    for found in pattern.finditer(text):
        yield found.start(), found.end(), known[(found.lastindex or 1) - 1].key


def listed(item: str) -> Iterator[Reference]:
    """The entries that an item of a chapter's list of references names, by author and title."""
    item = re.sub(r"[*$\s]+", " ", item)
    here = [
        (at, one)
        for one in references().values()
        for title in (one.title, one.short_title)
        if (at := _place(title, item)) >= 0 and _place(one.surnames[0], item[:at]) >= 0
    ]
    taken: list[tuple[int, int]] = []
    for at, one in sorted(here, key=lambda pair: -len(pair[1].title)):
        end = at + len(one.short_title)
        if all(end <= first or at >= last for first, last in taken):
            taken.append((at, end))
            yield one


def _place(words: str, text: str) -> int:
    found = re.search(rf"(?<!\w){re.escape(words)}(?!\w)", text, flags=re.IGNORECASE)
    return found.start() if found else -1


def said_of(item: str) -> str:
    """What an item of a chapter's list says of its entry beyond naming it, as plain text."""
    named = [found.end() for found in NAMED.finditer(item)]
    words = item[named[-1] :].strip().removesuffix(".") if named else ""
    words = re.sub(r"\\(?:mathrm|text)\{(.*?)\}", r"\1", words)
    words = re.sub(r"\$(.*?)\$", lambda formula: formula[1].replace("-", "−"), words)
    for tex, plain in {r"\,": " ", r"\log": "log", "^*": "*"}.items():
        words = words.replace(tex, plain)
    return words


def items(markdown: str) -> list[str]:
    """The items of a chapter's list of references; none where it has no such list."""
    _, _, after = markdown.partition("## References\n")
    return re.findall(r"^- (.+)$", after, flags=re.M)
