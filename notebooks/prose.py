"""Which numbers of a chapter's text are claims, and which of these are typed by hand.

A claim, in the Markdown of ``source/NN_topic.md``, is

- a decimal number (0.693, −1.386, 3.2 × 10⁻⁵),
- a percentage (25 %, 97.5 percent),
- a count ``x of y`` (8 of 8, 3 out of 64),
- an interval ``a ± b``,
- a count of ten or more runs, seeds, steps, samples and the like (64 seeds, step 2,000).

No claims: code, display mathematics, links, headings, the reference list, the numbers of
chapters, sections, equations and versions, years, "95 % interval"; in the exercises, settings
in ``$…$``.

The builder generates a number from ``{=expression}`` and asserts it where it is computed. All
other claims are *typed*: nothing but the reader's trust ties them to the code.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

import build

#: What is taken out of the Markdown before looking for claims.
NO_PROSE = (
    r"\A---\n.*?\n---\n",  # front matter
    r"^(```+|~~~+).*?^\1[ \t]*$",  # code cells and blocks
    r"\$\$.*?\$\$",  # display mathematics
    r"^#+ (References|Further reading)\b.*?(?=^#+ |\Z)",  # the reference list
    r"^#+ .*?$",  # headings
    r"<!--.*?-->",
    r"`[^`\n]+`",
    r"!?\[[^\]]*\]\([^)]*\)",  # links and pictures
    r"<?https?://\S+",
    r"\b(doi|arXiv)[:\s]\s*\S+",
    r"(§|[Ss]ections?|[Ee]xercises?|[Cc]hapters?|[Ff]igures?|[Tt]heorems?|[Pp]ropositions?|"
    r"[Ll]emmas?|[Ee]quations?|[Pp]ython|PyTorch|JupyterLab)\s*\(?\d+(\.\d+)*\)?",
    r"\b95 % (confidence )?(interval|band)s?",
)
GENERATED = "¤"  # stands for a number that the builder writes
DIGITS = r"\d+(?:(?:,|\\,|\{,\}|[\u2009\u202f])\d{3}(?!\d))*"
NUMBER = rf"(?<![\w.])[-−]?{DIGITS}(?:\.\d+)?(?:[eE][-+−]?\d+)?(?!\w|\.\d)"
EITHER = rf"(?:{NUMBER}|{GENERATED}+)"
WORDS = "[Oo]ne|[Tt]wo|[Tt]hree|[Ff]our|[Ff]ive|[Ss]ix|[Ss]even|[Ee]ight|[Nn]ine|[Tt]en"
COUNTED = (
    "batche?|cell|classe?|copie?|copy|critic|digit|discriminator|distance|draw|direction|ensemble|"
    "epoch|example|filter|forger|game|generator|generation|GAN|image|iteration|latent|layer|line|"
    "minibatche?|mode|network|neighbour|pair|parameter|particle|photograph|picture|pixel|point|"
    "realisation|repetition|round|row|run|sample|sampling|seed|setting|shift|step|table|time|"
    "training|trial|turn|unit|update|value|weight"
)
#: By the kind of claim; the first group to match takes the number.
KINDS = {
    "a ± b": re.compile(rf"{EITHER}(?:\s*\\?%|\$)?\s*(?:±|\\pm)\s*\$?{EITHER}"),
    "x of y": re.compile(
        rf"(?:{EITHER}|\b(?:{WORDS})) (?:out )?of (?:the |all |these |those |its )?{EITHER}"
    ),
    "percentage": re.compile(rf"{NUMBER}\s*(?:\\,)?\s*(?:\\?%|percent\b|per cent\b)"),
    "decimal": re.compile(rf"(?<![\w.])[-−]?{DIGITS}\.\d+(?:[eE][-+−]?\d+)?(?!\w|\.\d)"),
    "count": re.compile(
        rf"{NUMBER}\$?[ \u00a0-](?:[\w-]+ ){{0,2}}(?:{COUNTED})s?\b"
        rf"|\b(?:step|seed|round)s? {NUMBER}"
    ),
}


class Typed(NamedTuple):
    """A claim that is typed: its line in the source, its kind, and its words."""

    line: int
    kind: str
    words: str


def _blank(found: re.Match[str]) -> str:
    return re.sub(r"[^\n]", " ", found[0])


def prose(source: str) -> str:
    """The Markdown that claims something; the rest is blank, so that all keeps its place."""
    for start, end, *_ in build.quoted(source):
        source = source[:start] + GENERATED * (end - start) + source[end:]
    for pattern in NO_PROSE:
        source = re.sub(pattern, _blank, source, flags=re.M | re.S)
    return source


def typed(source: str) -> Iterator[Typed]:
    """The claims of a chapter that nobody generates."""
    text = prose(source)
    exercises = re.search(r"^## Exercises[ \t]*$", source, flags=re.M)
    if exercises:
        end = exercises.start()
        text = text[:end] + re.sub(r"\$[^$\n]+\$", _blank, text[end:])
    found = []
    for kind, pattern in KINDS.items():
        for match in pattern.finditer(text):
            words = " ".join(re.sub(f"{GENERATED}+", "…", match[0]).split())
            if _is_claim(kind, words):
                line = 1 + text.count("\n", 0, match.start())
                found.append((match.start(), Typed(line, kind, words)))
        text = pattern.sub(_blank, text)
    yield from (claim for _, claim in sorted(found))


def _is_claim(kind: str, words: str) -> bool:
    numbers = [float(re.sub(r"[^\d.]", "", word)) for word in re.findall(NUMBER, words)]
    return bool(numbers) and (kind != "count" or numbers[0] >= 10)
