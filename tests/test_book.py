"""The static book: built without a warning, and read in a real browser, wide and narrow."""

from __future__ import annotations

import itertools
import re
import subprocess
import sys
import zipfile
from functools import cache
from html import unescape
from importlib.util import find_spec
from pathlib import Path
from typing import Literal
from urllib.parse import unquote, urldefrag

import pytest
from axe_playwright_python.sync_playwright import Axe
from bs4 import BeautifulSoup, Tag
from playwright.sync_api import Browser, Locator, Page, expect
from tools import ROOT, load

load("notebooks/places.py")  # which the next one imports
sliders = load("book/sliders.py")

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(find_spec("furo") is None, reason="the extra `site` is not installed"),
]
launches = load("book/pages.py").launches
PHONE, DESK = 390, 1280
REFERENCE = ("trainings", "notation", "glossary", "bibliography", "teaching", "exercises")
HEAVIEST = 3_000_000  # bytes of a page and all that it loads at first


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The book, built; a warning fails it."""
    folder = tmp_path_factory.mktemp("book")
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "book"]
    run = subprocess.run(
        [*command, str(folder)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    return folder


def pages(site: Path) -> list[Path]:
    """What a reader reads: not the search page, not the sources of the library."""
    found = [site / "index.html", *site.glob("notebooks/**/*.html"), *site.glob("library/*.html")]
    found += [site / f"{name}.html" for name in REFERENCE]
    assert len(found) > 30
    return found


CODE = re.compile(r'<div class="highlight">.*?</pre></div>', re.DOTALL)
LINK = re.compile(r"<a .*?</a>", re.DOTALL)


@cache
def parsed(path: Path) -> BeautifulSoup:
    """A page in which of the code, half of it, only the links are left."""
    text = path.read_text("utf-8")
    links_alone = CODE.sub(lambda code: f"<pre>{''.join(LINK.findall(code[0]))}</pre>", text)
    return BeautifulSoup(links_alone, "html.parser")


def inside(path: Path) -> Tag:
    """What a page says, without what stands around it."""
    article = parsed(path).select_one("article")
    assert article is not None
    return article


def test_no_link_is_dead(site: Path) -> None:
    ids = {
        path: {"", *map(unescape, re.findall(r'(?<![\w-])id="([^"]+)"', path.read_text("utf-8")))}
        for path in site.rglob("*.html")
        if "_downloads" not in path.parts
    }
    for path in pages(site):
        for tag in parsed(path).select("a[href], img[src], iframe[src]"):
            address = str(tag.get("href") or tag["src"])
            if re.match(r"https?:|mailto:|data:", address):
                continue
            place, anchor = urldefrag(unquote(address))
            target = (path.parent / place).resolve() if place else path
            assert target.is_file(), f"{path.name}: {address}"
            assert anchor in ids.get(target, {""}), f"{path.name}: {address}"


def test_no_link_lies_in_a_link(site: Path) -> None:
    """A browser would end the outer one where the inner begins, and leave it without a word."""
    for path in pages(site):
        for link in inside(path).select("a[href]"):
            assert link.find_parent("a") is None, (path.name, str(link))


def test_each_picture_says_what_it_shows(site: Path) -> None:
    for path in pages(site):
        for image in inside(path).select("img"):
            alt = str(image.get("alt", ""))
            assert len(alt.split()) > 4, f"{path.name}: {image['src']}: {alt!r}"


def test_chapters_are_numbered_linked_and_have_their_solutions(site: Path) -> None:
    chapters = sorted(site.glob("notebooks/[0-9A]*.html"))
    linked = []
    for path in chapters:
        here, article = path.name[:2], inside(path)
        title = article.find("h1")
        assert title is not None and title.get_text().startswith(here)
        below = parsed(path).select(f".sidebar-tree a[href$='solutions/{path.name}']")
        assert bool(below) == (path.parent / "solutions" / path.name).exists()
        for link in article.select("a.reference"):
            number = re.fullmatch(r"(?:chapter )?(\d\d)", link.get_text())
            if number:
                linked.append((here, number[1], Path(str(link["href"])).name[:2]))
    assert len(linked) > 50
    assert all(text == there != here for here, text, there in linked)


def test_folded_code_has_its_ticks_folded(site: Path) -> None:
    """A list of fifty ticks below a figure is for who asks; a figure and a table stay."""
    text = (site / "notebooks" / "A2_failure_clinic.html").read_text("utf-8")
    clinic = BeautifulSoup(text, "html.parser")
    shown = clinic.select("div.cell.tag_hide-input > div.cell_output")
    assert [
        output.get_text() for output in shown if output.get_text().strip().startswith("✓")
    ] == []
    assert len([output for output in shown if output.img]) == 3
    folded = [line.get_text() for line in clinic.select("div.cell.tag_hide-cell p.collapsed")]
    assert any(re.fullmatch(r"✓ \d\d+ checks", line) for line in folded)


def test_a_name_in_the_text_leads_to_the_library(site: Path) -> None:
    article = inside(site / "notebooks" / "06_training_dynamics.html")
    links = {tag.get_text(): str(tag["href"]) for tag in article.select("a[href]:has(code)")}
    assert links["dirac"].endswith("library/dynamics.html#gan_course.dynamics.dirac")
    notation = [tag.get_text() for tag in inside(site / "notation.html").select("a:has(code)")]
    assert notation == ["optimal_discriminator"]  # and not noise, some class's method


def test_a_name_in_a_cell_leads_to_the_library(site: Path) -> None:
    """So what computes a formula is one step from it; imports of an earlier cell count."""
    article = inside(site / "notebooks" / "04_divergences.html")
    links = [(tag.get_text(), str(tag["href"])) for tag in article.select("pre a[href]")]
    there = "../library/theory.html#gan_course.theory.f_divergence"
    assert links.count(("f_divergence", there)) > 1  # where it is imported, and where it computes
    assert "check" not in dict(links)


def test_terms_and_citations_lead_to_their_pages_and_back(site: Path) -> None:
    """A term once on a page, where it is used first; a reference of the list, and in the text."""
    for path in sorted(site.glob("notebooks/[0-9A]*.html")):
        links = [(tag.get_text(), str(tag["href"])) for tag in inside(path).select("a[href]")]
        terms = [there for _, there in links if "glossary.html#" in there]
        assert len(terms) == len({*terms}), path.name
        if inside(path).find(id="references") and path.name[:2].isdigit():
            assert len(terms) > 5, path.name
            assert any("bibliography.html#cite-" in there for _, there in links), path.name
    article = inside(site / "notebooks" / "06_training_dynamics.html")
    links = {tag.get_text(): str(tag["href"]) for tag in article.select("a[href]")}
    assert links["Heusel et al. (2017)"].endswith("bibliography.html#cite-heusel2017")
    assert links["Gradient descent GAN optimization is locally stable"].endswith("nagarajan2017")
    assert links["Dirac-GAN"].endswith("glossary.html#term-Dirac-GAN")
    entry = parsed(site / "bibliography.html").select("#cite-heusel2017 ~ p, #cite-heusel2017 p")
    back = [str(tag["href"]) for tag in entry[0].select("a[href*=notebooks]")]
    assert [Path(there).name[:2] for there in back] == ["06", "09"]
    assert "06; 09: The Fréchet distance of features." in entry[0].get_text()


def test_pages_fit_are_light_ask_nobody_and_their_sliders_show_what_they_say(
    site: Path, browser: Browser
) -> None:
    """No error in the console, no request that leaves the folder, nothing wider than the window.

    A page is opened once, for its formulas take seconds to set.
    """
    page = browser.new_page(viewport={"width": PHONE, "height": 900})
    told: list[str] = []
    asked: list[str] = []
    page.on("console", lambda said: told.append(said.text) if said.type == "error" else None)
    page.on("pageerror", lambda error: told.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    reference = [site / f"{name}.html" for name in REFERENCE]
    moved = 0
    for path in [site / "index.html", *reference, *sorted(site.glob("notebooks/[0-9A]*.html"))]:
        asked.clear()
        page.set_viewport_size({"width": PHONE, "height": 900})
        opened(page, path)
        assert page.evaluate(LEVELS) == [], path.name
        for width in (PHONE, DESK):
            page.set_viewport_size({"width": width, "height": 900})
            page.wait_for_function("width => innerWidth === width", arg=width)
            assert page.evaluate("document.documentElement.scrollWidth") <= width, path.name
        archives = sorted(sliders.places.FOLDER.glob(f"{path.name[:2]}_*.zip"))
        is_light(page, path, site, asked, pictures=len(archives))
        assert page.locator("figure.sliders").count() == len(archives)
        for figure, archive in zip(page.locator("figure.sliders").all(), archives, strict=True):
            moved += moves(figure, path, archive)
        assert not told, (path.name, told)
        assert [url for url in asked if not ours(url, site)] == [], path.name
    page.close()
    assert moved > 20


def is_light(page: Page, path: Path, site: Path, asked: list[str], pictures: int) -> None:
    """What a page loads at first is small; pictures of sliders come as they are reached."""
    page.wait_for_load_state()
    files = {site / unquote(url.removeprefix(f"{site.as_uri()}/")) for url in asked}
    parts = [file for file in files if file.is_file() and "_downloads" not in file.parts]
    assert sum(file.stat().st_size for file in parts) < HEAVIEST, path.name
    assert sum(file.suffix == ".webp" for file in parts) <= pictures, path.name


def moves(figure: Locator, path: Path, archive: Path) -> int:
    """Move each control of a widget: the picture is that of its place. Returns how many."""
    controls = figure.locator("input, select").all()
    for control in controls:
        last = control.evaluate("e => e.max ? e.value === e.max : false")
        control.press("ArrowLeft" if last else "ArrowRight")
        assert shown_bytes(figure, path) == drawn_bytes(figure, archive), archive.name
    return len(controls)


def ours(url: str, site: Path) -> bool:
    return url.startswith((site.as_uri(), "data:", "blob:"))


# Headings that skip a level: a screen reader's list of them would have holes.
LEVELS = """() => {
    const levels = [...document.querySelectorAll("article :is(h1, h2, h3, h4, h5)")];
    return levels.filter((h, i) => i && +h.tagName[1] > +levels[i - 1].tagName[1] + 1)
        .map((h) => h.textContent);
}"""


def opened(page: Page, path: Path) -> None:
    """Open a page and wait until its formulas are set."""
    page.goto(path.as_uri())
    page.wait_for_function(
        "!document.querySelector('.math') || document.querySelector('mjx-container')",
        timeout=120_000,
    )
    page.evaluate("window.MathJax && MathJax.startup && MathJax.startup.promise.then(() => true)")


WCAG = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]
#: A page of each kind: front, library, chapter.
KINDS = ("index", "library/losses", "notebooks/00_start_here")


@pytest.mark.parametrize(
    ("scheme", "rules", "names"),
    [("light", WCAG, KINDS), ("dark", ["color-contrast"], KINDS[2:])],
    ids=["light", "dark"],
)
def test_axe_finds_nothing(
    site: Path,
    browser: Browser,
    scheme: Literal["light", "dark"],
    rules: list[str],
    names: list[str],
) -> None:
    """Names, roles, contrast, order, keyboard: what axe-core knows of WCAG 2.1, A and AA."""
    page = browser.new_page(viewport={"width": DESK, "height": 900}, color_scheme=scheme)
    for name in names:
        opened(page, site / f"{name}.html")
        results = Axe().run(page, options={"runOnly": rules})
        assert results.response["passes"], "nothing was looked at"
        assert not results.violations_count, f"{name}: {results.generate_report()}"
    page.close()


def test_on_paper_a_chapter_is_whole(site: Path, browser: Browser) -> None:
    """Nothing is cut off at the right edge; what only a screen can use is not printed."""
    page = browser.new_page(viewport={"width": 700, "height": 1000})  # A4 less its margins
    page.emulate_media(media="print")
    opened(page, site / "notebooks" / "02_the_adversarial_game.html")
    cut = page.evaluate(CUT)
    assert cut == [], cut
    assert page.locator("iframe.recording").first.is_hidden()
    assert page.locator(".sidebar-drawer").first.is_hidden()
    page.close()


CUT = """() => [...document.querySelectorAll("article :is(p, pre, table, img, mjx-container)")]
    .filter((e) => e.getClientRects().length && e.getBoundingClientRect().right > innerWidth)
    .map((e) => `${e.tagName}: ${e.textContent.slice(0, 60)}`)"""


def test_a_public_repository_gives_each_chapter_its_buttons(site: Path) -> None:
    notebook = "notebooks/03_the_optimal_discriminator.ipynb"
    links = launches("someone/gan-course", notebook)
    place = f"someone/gan-course/blob/main/{notebook}"
    assert links["Colab"] == f"https://colab.research.google.com/github/{place}"
    binder = "https://mybinder.org/v2/gh/someone/gan-course/main"
    assert links["Binder"] == f"{binder}?urlpath=lab/tree/{notebook}"
    assert launches("", notebook) == {}
    with pytest.raises(ValueError, match="owner/name"):
        launches("https://github.com/someone/gan-course", notebook)
    line = inside((site / notebook).with_suffix(".html")).select_one("p.run-it")
    assert line is not None and notebook in line.get_text()
    assert [str(link["href"]) for link in line.select("a")] == ["../index.html#run-it-yourself"]


def test_a_recording_gets_the_height_it_asks_for(site: Path, browser: Browser) -> None:
    for width in (PHONE, DESK):
        page = browser.new_page(viewport={"width": width, "height": 900})
        page.goto((site / "index.html").as_uri())
        frame = page.frame_locator("iframe.recording")
        frame.locator("canvas").first.wait_for(timeout=120_000)
        page.wait_for_function(
            "document.querySelector('iframe.recording').style.height.endsWith('px')"
        )
        inner = frame.locator("html").evaluate("e => [e.scrollHeight, innerHeight]")
        assert inner[0] <= inner[1], "a part of the recording would have to be scrolled to"
        lab = frame.locator("#lab").evaluate("e => e.offsetTop + e.scrollHeight")
        assert inner[1] - lab < 40
        page.close()


def shown_bytes(figure: Locator, path: Path) -> bytes:
    """The picture that a widget shows, once it is there."""
    expect(figure).not_to_have_attribute("aria-busy", "true")
    image = figure.locator("img")
    assert image.evaluate("e => e.complete && e.naturalWidth > 300")
    return (path.parent / str(image.get_attribute("src"))).resolve().read_bytes()


def drawn_bytes(figure: Locator, archive: Path) -> bytes:
    """The picture that was drawn with the values that the widget's controls name."""
    named = {
        control.locator("label").inner_text(): control.locator(".value, select").evaluate(
            "e => e.value ?? e.textContent"
        )
        for control in figure.locator(".controls > div").all()
    }
    note = sliders.places.described(archive)
    stops = [control["places"] for control in note["controls"]]
    for number, values in zip(note["pictures"], itertools.product(*stops), strict=True):
        said = {
            control["name"].strip("_").replace("_", " "): sliders.shown(value)
            for control, value in zip(note["controls"], values, strict=True)
            if len(control["places"]) > 1
        }
        if said == named:
            with zipfile.ZipFile(archive) as file:
                return file.read(f"{number}.webp")
    raise AssertionError(f"{archive.name}: nothing was drawn at {named}")
