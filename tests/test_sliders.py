"""Sliders without a kernel, in a real browser: the picture is that of its place, and no older."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, Route, expect
from test_places import BLUE, colour, filmed
from tools import ROOT, load

pytestmark = pytest.mark.browser
sliders = load("book/sliders.py")
STATIC = ROOT / "book" / "_static"
SITE = "http://book.test"
PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>t</title>
<link rel="stylesheet" href="../_static/book.css">{}<script src="../_static/sliders.js"></script>"""


@pytest.fixture
def page(browser: Browser, tmp_path: Path) -> Iterator[Page]:
    """A page with a widget whose picture is one colour, from its archive to the screen."""
    static = tmp_path / "_static"
    folder = static / "places" / "01_1"
    folder.mkdir(parents=True)
    archive = filmed(tmp_path / "01_1.zip")
    sliders.unpack(archive, folder)
    for name in ("book.css", "sliders.js"):
        (static / name).write_bytes((STATIC / name).read_bytes())
    (tmp_path / "notebooks").mkdir()
    path = tmp_path / "notebooks" / "01.html"
    widget = sliders.widget(sliders.places.described(archive), folder)
    path.write_text(PAGE.format(widget), encoding="utf-8")
    page = browser.new_page()
    told: list[str] = []
    page.on("pageerror", lambda error: told.append(str(error)))
    served(page, tmp_path)
    page.goto(path.as_uri())
    yield page
    page.close()
    assert told == []


def served(page: Page, folder: Path) -> None:
    """Let the page find a folder under an address, too, where a test can hold a file back."""

    def serve(route: Route) -> None:
        route.fulfill(path=folder / urlsplit(route.request.url).path.strip("/"))

    page.route(f"{SITE}/**", serve)


def seen(page: Page) -> tuple[int, ...]:
    """The colour of the picture that is on the screen, once it is there."""
    expect(page.locator("figure.sliders")).not_to_have_attribute("aria-busy", "true")
    shot = Image.open(io.BytesIO(page.locator("figure.sliders img").screenshot())).convert("RGB")
    pixels = np.asarray(shot)[3:-3, 3:-3].reshape(-1, 3)
    assert np.ptp(pixels, axis=0).max() == 0
    return tuple(int(v) for v in pixels[0])


def named(page: Page) -> tuple[float, float, str]:
    """The values that the labels name."""
    a, b = (float(said) for said in page.locator(".value").all_inner_texts())
    return a, b, page.locator("select").input_value()


def agrees(page: Page, *values: float | str) -> None:
    assert named(page) == values
    a, b, word = named(page)
    assert np.abs(np.subtract(seen(page), colour(a, b, word))).max() <= 1, values
    alt = page.locator("figure.sliders img").get_attribute("alt") or ""
    assert alt == f"One colour. Here a is {a:g}, b is {b:g}, word is {word}."


def test_keys_and_menu_show_the_picture_of_the_place_they_name(page: Page) -> None:
    agrees(page, 2, 5, "one")
    a, b = page.get_by_label("a", exact=True), page.get_by_label("b", exact=True)
    a.press("ArrowRight")
    agrees(page, 6, 5, "one")
    assert a.get_attribute("aria-valuetext") == "6"
    page.get_by_label("word").select_option("two")
    agrees(page, 6, 5, "two")
    b.press("Home")
    agrees(page, 6, 1, "two")
    a.press("Home")
    agrees(page, 0, 1, "two")
    b.press("End")
    agrees(page, 0, 7, "two")
    page.get_by_label("word").focus()
    page.keyboard.type("one")
    agrees(page, 0, 7, "one")
    assert "at 18 places. There, still is 0.5." in page.locator(".about").inner_text()


def test_every_place_by_keyboard(page: Page) -> None:
    for word in BLUE:
        page.get_by_label("word").select_option(word)
        for a, key in ((0, "Home"), (2, "ArrowRight"), (6, "ArrowRight")):
            page.get_by_label("a", exact=True).press(key)
            for b, press in ((1, "Home"), (5, "ArrowRight"), (7, "ArrowRight")):
                page.get_by_label("b", exact=True).press(press)
                agrees(page, a, b, word)


def test_a_late_picture_is_not_shown_and_the_old_one_is_dimmed(page: Page) -> None:
    """The first picture asked for is held back until the second has come."""
    page.goto(f"{SITE}/notebooks/01.html")
    held: list[Route] = []
    page.route(re.compile(r"\.webp$"), lambda route: held.append(route))  # noqa: PLW0108  (a method takes no mark)
    image = page.locator("figure.sliders img")
    before = image.get_attribute("src")
    page.get_by_label("a", exact=True).press("ArrowRight")
    expect(page.locator("figure.sliders")).to_have_attribute("aria-busy", "true")
    page.get_by_label("a", exact=True).press("Home")
    while len(held) < 2:
        page.wait_for_timeout(10)
    assert image.get_attribute("src") == before
    held[1].fallback()
    agrees(page, 0, 5, "one")
    held[0].fallback()
    page.wait_for_timeout(200)
    agrees(page, 0, 5, "one")


def test_a_picture_that_does_not_come_is_said_and_no_other_shown(page: Page) -> None:
    page.goto(f"{SITE}/notebooks/01.html")
    page.route(re.compile(r"\.webp$"), lambda route: route.abort())
    page.get_by_label("a", exact=True).press("ArrowRight")
    expect(page.locator(".about")).to_have_text("This picture could not be loaded.")
    expect(page.locator("figure.sliders img")).to_be_hidden()
    page.unroute(re.compile(r"\.webp$"))
    page.get_by_label("a", exact=True).press("ArrowLeft")
    agrees(page, 2, 5, "one")


def test_only_what_is_looked_at_is_loaded(page: Page) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.reload()
    assert sum(url.endswith(".webp") for url in asked) == 1
