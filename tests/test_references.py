"""The book's pages of reference, against the chapters: bibliography, glossary, notation."""

from __future__ import annotations

import re
import tomllib
from importlib.util import find_spec

import pytest
import yaml
from tools import ROOT, load

if find_spec("pybtex") is None:
    pytest.skip("the extra `site` is not installed", allow_module_level=True)

references = load("book/references.py")
SOURCES = sorted((ROOT / "notebooks" / "source").glob("[0-9A-Z]*.md"))
ITEMS = [
    pytest.param(item, id=f"{path.stem[:2]} {item[:40]}")
    for path in SOURCES
    for item in references.items(path.read_text("utf-8"))
]
#: A term, a line of its own below others of its kind, and the indented sentence.
ENTRY = re.compile(r"((?:^[^\s`#].*\n)+)^  (.+)$", flags=re.M)
HOME = re.compile(r" \[Chapter (\w\w)\]\(notebooks/(\w+)\.ipynb#([^)]+)\)$")


@pytest.mark.parametrize("item", ITEMS)
def test_what_a_chapter_lists_is_in_the_bibliography_with_the_same_facts(item: str) -> None:
    found = list(references.listed(item))
    journals = re.search(r"\(\d{4}\)\.", item)  # chapter 01 has them in italics, the others titles
    assert len(found) == (1 if journals else item.count("*") // 2), item
    numbers = re.findall(r"\b\d{4}\.\d{4,5}\b", item)
    years = re.findall(r"\b(?:19|20)\d\d\b", re.sub(r"\d{4}\.\d{4,5}", "", item))
    for one in found:
        assert not years or one.year in years
        missing = [name for name in one.surnames if name not in item]
        assert not missing or "et al." in item
    assert {*numbers} <= {one.eprint for one in found}


def test_what_a_chapter_names_is_there_and_nothing_is_there_twice() -> None:
    """Works that only the library's code names may be there, too."""
    text = [item for path in SOURCES for item in references.items(path.read_text("utf-8"))]
    named = {one.key for item in text for one in references.listed(item)}
    known = references.references()
    assert named <= known.keys()
    code = "\n".join(path.read_text("utf-8") for path in (ROOT / "gan_course").rglob("*.py"))
    for key in known.keys() - named:
        one = known[key]
        assert re.search(rf"{one.surnames[0]}[^\n]{{0,60}}{one.year}", code), key
    assert len({one.title.lower() for one in known.values()}) == len(known)


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("as Goodfellow et al. (2014) say", "goodfellow2014"),
        ("are Goodfellow's (2016).", "goodfellow2016"),
        ("(Arjovsky et al. 2017)", "arjovsky2017wasserstein"),
        ("Arjovsky & Bottou (2017)", "arjovsky2017principled"),
        ("(Mescheder et al., 2018)", "mescheder2018"),
        ("(Endres and Schindelin 2003)", "endres2003"),
        ("Sun, Fang & Schwing (2020)", "sun2020"),
        ("Gulrajani et al. (2018)", None),
        ("Song et al., 2021", None),  # there are two
    ],
)
def test_a_citation_is_found_by_authors_and_year(text: str, key: str | None) -> None:
    assert [found for *_, found in references.cited(text)] == ([key] if key else [])


@pytest.mark.parametrize(
    ("item", "words"),
    [
        ("I. G. *Nets.* NeurIPS 2014. It is $2\\,\\mathrm{JS} - \\log 4$.", "It is 2 JS − log 4"),
        ("Gretton, A. (2012). A test. *Journal 13*, 723–773. Section 8.", "Section 8"),
        ("Theis. *ICLR*. [arXiv:1511.01844](https://arxiv.org/abs/1511.01844). In all.", "In all"),
        ("S. Chintala. *Tips.* 2016. github.com/soumith/ganhacks. Number 4.", "Number 4"),
        ("C. Anil. *Sorting.* ICML 2019.", ""),
        ("N. Inkawhich. *DCGAN Tutorial.* PyTorch tutorials.", ""),
    ],
)  # fmt: skip
def test_what_a_list_says_of_an_entry(item: str, words: str) -> None:
    assert references.said_of(item) == words


# --- The glossary -----------------------------------------------------------------------------


def glossary() -> dict[tuple[str, ...], str]:
    text = (ROOT / "book" / "glossary.md").read_text("utf-8")
    inside = text.partition("```{glossary}\n")[2].partition("\n```")[0]
    return {(*names.split("\n")[:-1],): said for names, said in ENTRY.findall(inside)}


def anchors(path: str) -> set[str]:
    text = (ROOT / "notebooks" / "source" / f"{path}.md").read_text("utf-8")
    heads = re.findall(r"^#{1,3} (.+)$", re.sub(r"^```.*?^```", "", text, flags=re.M | re.S), re.M)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


def test_each_term_has_a_sentence_and_a_home_that_is_there() -> None:
    found = glossary()
    assert len(found) > 60
    for names, said in found.items():
        home = HOME.search(said)
        assert home is not None, names
        assert len(said[: home.start()].split()) > 4, names
        assert home[2].startswith(home[1])
        assert home[3] in anchors(home[2]), names


def test_each_term_is_used_by_its_home() -> None:
    """And so it is linked at least once."""
    for names, said in glossary().items():
        home = HOME.search(said)
        assert home is not None
        text = (ROOT / "notebooks" / "source" / f"{home[2]}.md").read_text("utf-8").lower()
        assert any(name.lower() in text for name in names), names


def test_terms_stand_in_the_order_of_the_alphabet() -> None:
    names = [names[0].lower() for names in glossary()]
    assert names == sorted(names)


def test_only_whole_terms_are_linked() -> None:
    pages = load("book/pages.py")
    terms = {"prior": "a", "Dirac-GAN": "b", "zero-sum": "c", "f-divergence": "d", "mode": "e"}
    terms |= {"mode collapse": "f"}
    text = "Priors of a Dirac-GAN: not a priority, mode collapse, non-zero-sum, an f-divergence"
    found = [pages.term_of(one[0], terms) for one in pages.pattern_of(terms).finditer(text)]
    assert found == ["prior", "Dirac-GAN", "mode collapse", "f-divergence"]


# --- Notation ---------------------------------------------------------------------------------


def test_the_notation_names_what_the_library_has() -> None:
    """A word of the column "in the library" is a name in its code."""
    text = (ROOT / "book" / "notation.md").read_text("utf-8").partition("## Distances")[0]
    code = "\n".join(path.read_text("utf-8") for path in (ROOT / "gan_course").rglob("*.py"))
    names = [name for row in re.findall(r"^\|.*\| ([^|]*) \|$", text, flags=re.M)
             for name in re.findall(r"`([\w.]+)`", row)]  # fmt: skip
    assert len(names) > 10
    assert [name for name in names if not re.search(rf"\b{re.escape(name)}\b", code)] == []


# --- How to cite ------------------------------------------------------------------------------


def test_what_is_cited_is_this_version() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    assert {"cff-version", "message", "title", "authors"} <= cited.keys()  # what the format asks
    assert cited["version"] == project["version"]
    assert " AND ".join(cited["license"]) == project["license"]
    readme = (ROOT / "README.md").read_text("utf-8")
    assert f"Version {project['version']}" in readme and cited["title"] in readme


def test_the_readme_asks_the_chapters_questions() -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    asked = dict(re.findall(r"^\| (\d\d) \| \[.+?\]\(.+?\) \| (.+) \|$", readme, flags=re.M))
    chapters = [path for path in SOURCES if path.stem[0] != "A"]
    assert asked.keys() == {path.stem[:2] for path in chapters}
    for path in chapters:
        question = re.findall(r"\*\*The question\.\*\* (.+)", path.read_text("utf-8"))
        assert [asked[path.stem[:2]]] == [words.replace("$", "") for words in question]
