"""The live lab in JupyterLab in a real browser, moved by keyboard and pointer."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from jupyter_browser import Course, Lab
from live_page import ask, button, notebook, picture, start, theme, wait_for_step, wait_until
from playwright.sync_api import Page, expect

import gan_course.lab

pytestmark = pytest.mark.browser


def test_a_reader_trains_by_keyboard(course: Course, tmp_path: Path) -> None:
    with course.opened(notebook(tmp_path, "width=16, batch=64")) as lab:
        start(lab)
        k = lab.page.get_by_label("k (D steps)")
        k.press("ArrowRight")
        k.press("ArrowRight")
        wait_until(lab, k=3)
        before = picture(lab)
        button(lab, "D step").press("Enter")
        expect(lab.page.locator(".gan-note")).to_contain_text("One D step")
        assert picture(lab) != before
        button(lab, "Play").press("Enter")
        wait_for_step(lab, 20)
        lab.page.locator("[data-control=loss]").focus()
        lab.page.keyboard.type("wass")
        expect(lab.page.locator(".gan-note")).to_contain_text("unbounded")
        wait_until(lab, loss="wasserstein")
        button(lab, "Pause").press("Enter")
        expect(button(lab, "Play")).to_be_visible()
        steps = ask(lab)["steps"]
        wait_for_step(lab, steps)  # the button answers before the last picture comes
        still = picture(lab)
        lab.page.wait_for_timeout(1000)
        assert ask(lab)["steps"] == steps
        assert picture(lab) == still != before
        assert lab.page.get_by_label("k (D steps)").get_attribute("aria-valuetext") == "3"
        assert lab.errors() == []
        assert lab.complaints() == []


def changed(lab: Lab, before: str) -> bool:
    """Whether the picture becomes another one; a control answers before its picture comes."""
    for _ in range(100):
        if picture(lab) != before:
            return True
        lab.page.wait_for_timeout(100)
    return False


def test_a_run_is_lifted_and_a_distribution_drawn(course: Course, tmp_path: Path) -> None:
    along = "runs=16, along='generator_rate', width=8, batch=32"
    with course.opened(notebook(tmp_path, along)) as lab:
        start(lab)
        button(lab, "G step").press("Enter")  # until then all are the same
        expect(lab.page.locator(".gan-note")).to_contain_text("One G step")
        before = picture(lab)
        thumbnail = lab.page.locator(".gan-wall button").nth(5)
        thumbnail.press("Enter")
        expect(thumbnail).to_have_attribute("aria-pressed", "true")
        wait_until(lab, run=5)
        assert changed(lab, before)
        rate = lab.page.locator("[data-control=generator_rate]")
        expect(rate).to_be_disabled()
        expect(thumbnail).to_contain_text(rate.get_attribute("aria-valuetext") or "nothing")
        button(lab, "Draw data").press("Enter")
        box = lab.page.locator("canvas.gan-view").bounding_box()
        assert box is not None
        lab.page.mouse.move(box["x"] + 50, box["y"] + 60)
        lab.page.mouse.down()
        lab.page.mouse.move(box["x"] + 200, box["y"] + 160, steps=10)
        lab.page.mouse.up()
        data = lab.page.locator("[data-control=data]")
        expect(data.locator("option:checked")).to_have_text("drawn")
        assert ask(lab)["dots"] > 5
        button(lab, "Draw data").press("Enter")
        for key in ("Space", "ArrowRight", "ArrowRight", "Space", "Enter"):
            lab.page.locator("canvas.gan-view").press(key)
        wait_until(lab, dots=2, data="drawn")
        assert lab.complaints() == []


SLOW_KERNEL = """
import time
draw = lab.driver.draw
def slowly():
    time.sleep(0.25)
    draw()
lab.driver.draw = slowly
"""


def test_no_press_is_lost_on_a_slow_kernel(course: Course, tmp_path: Path) -> None:
    with course.opened(notebook(tmp_path, "width=8, batch=32", SLOW_KERNEL)) as lab:
        start(lab)
        k = lab.page.get_by_label("k (D steps)")
        last = 1
        for name in ("Play", "Pause"):  # while it rests, then while it trains
            for _ in range(8):
                k.press("ArrowRight")
            last += 8
            expect(k).to_have_attribute("aria-valuetext", str(last))
            wait_until(lab, k=last)
            button(lab, name).press("Enter")
            steps = ask(lab)["steps"]
            if name == "Play":
                wait_for_step(lab, steps + 3)  # pictures have come since
            assert k.get_attribute("aria-valuetext") == str(last)
        assert lab.errors() == []
        assert lab.complaints() == []


THEMES, WIDTHS = ("Light", "Dark"), (1280, 800)
SCENES = {
    "plane": "width=16, batch=64",
    "line": "'two bumps (1-D)', noise=1, width=16, loss='wasserstein', layers=LAYERS",
    "wall": "runs=16, along='generator_rate', width=8, batch=32, loss='hinge', layers=LAYERS",
}


@pytest.mark.parametrize("scene", SCENES)
def test_nothing_is_cut_off_or_overlaps_in_either_theme(
    scene: str, course: Course, tmp_path: Path
) -> None:
    with course.opened(notebook(tmp_path, SCENES[scene])) as lab:
        start(lab)
        button(lab, "Play").press("Enter")
        wait_for_step(lab, 10)
        button(lab, "Pause").press("Enter")
        expect(button(lab, "Play")).to_be_visible()
        seen = set()
        for name in THEMES:
            theme(lab, name)
            for width in WIDTHS:
                lab.page.set_viewport_size({"width": width, "height": 1400})
                lab.page.wait_for_timeout(500)
                seen.add(lab.page.screenshot(path=tmp_path / f"{scene}-{name}-{width}.png"))
                assert lab.crowded() == []
        assert len(seen) == len(THEMES) * len(WIDTHS)
        assert lab.complaints() == []
        lab.page.add_style_tag(
            content=".gan-lab .gan-facts { margin-top: -3em } .gan-lab select { width: 4em }"
        )
        found = " ".join(lab.crowded())
        assert "on one spot" in found and "cut off" in found


# Which panels of curves are on the page, and whether something in colour is drawn there.
COLOURED = """() => [...document.querySelectorAll('.gan-curves figure')]
    .filter(figure => !figure.hidden).map(figure => {
        const canvas = figure.querySelector('canvas');
        const [width, height] = [canvas.width, canvas.height];
        const copy = new OffscreenCanvas(width, height).getContext('2d');
        copy.drawImage(canvas, 0, 0);
        const { data } = copy.getImageData(0, 0, width, height);
        const strong = i => data[i + 3] > 200 && Math.abs(data[i] - data[i + 2]) > 80;
        const coloured = [...data.keys()].some(i => i % 4 === 0 && strong(i));
        return [figure.querySelector('b').textContent, coloured];
    })"""


def test_a_recording_plays_from_disk(course: Course, tmp_path: Path) -> None:
    made = gan_course.lab.Lab(width=8, batch=32, layers=["real", "generated", "belief"])
    path = made.record(tmp_path / "run.html", steps=30, every=10)
    made.stop()
    page = course.chromium.new_page(offline=True)
    console: list[str] = []
    page.on("pageerror", lambda error: console.append(str(error)))
    page.on("console", lambda said: console.append(said.text))
    page.on("request", lambda request: console.append(request.url))
    page.goto(path.as_uri())
    facts = page.locator(".gan-facts")
    expect(facts).to_contain_text("step 0 ")
    expect(page.get_by_label("k (D steps)")).to_be_disabled()
    expect(page.get_by_role("button", name="D step")).to_have_count(0)
    canvas = "document.querySelector('canvas.gan-view').toDataURL()"
    first = page.evaluate(canvas)
    beginning = {"D, on average": True, "V(D, G)": True, "modes covered": True}
    assert dict(page.evaluate(COLOURED)) == beginning
    page.get_by_label("time").press("End")
    expect(facts).to_contain_text("step 30 ")
    assert dict(page.evaluate(COLOURED)) == {**beginning, "gradient norms": True}
    last = page.evaluate(canvas)
    assert last != first
    page.get_by_role("checkbox", name="generated").click()
    assert page.evaluate(canvas) != last
    page.get_by_role("button", name="Play").press("Enter")
    expect(facts).to_contain_text("step 30 ")
    page.close()
    assert console == [path.as_uri()]


BOOK = "<!doctype html><html {}><body {}><iframe src='{}' style='width: 900px; height: 900px'>"
PAPERS = {"light": "rgb(255, 255, 255)", "dark": "rgb(17, 17, 17)"}
HAS = """([paper, dark]) => {
    const lab = document.querySelector('.gan-lab');
    return lab !== null && getComputedStyle(lab).backgroundColor === paper
        && lab.classList.contains('gan-dark') === dark;
}"""


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    made = gan_course.lab.Lab(width=8, batch=32)
    made.stop()
    return made.record(tmp_path / "run.html", steps=1)


@contextmanager
def system(course: Course, theme: str) -> Iterator[Page]:
    """A page on a system with that theme, and nothing to complain of in the end."""
    page = course.chromium.new_page(color_scheme=theme)
    console: list[str] = []
    page.on("pageerror", lambda error: console.append(str(error)))
    page.on("console", lambda said: console.append(said.text))
    yield page
    page.close()
    assert console == []


def serve(page: Page, book: str, recording: Path) -> None:
    """Open ``book``; every host has the recording."""
    page.route("http://*/run.html", lambda route: route.fulfill(path=recording))
    page.route(
        "http://book.test/", lambda route: route.fulfill(body=book, content_type="text/html")
    )
    page.goto("http://book.test/")


def shows(page: Page, theme: str) -> None:
    """Wait until a recording has that theme's paper and inks."""
    page.frames[-1].wait_for_function(HAS, arg=[PAPERS[theme], theme == "dark"])


@pytest.mark.parametrize("tag", ["html", "body"])
def test_a_recording_follows_the_theme_of_the_book(
    tag: str, course: Course, recording: Path
) -> None:
    chosen = ["data-theme='light'" if name == tag else "" for name in ("html", "body")]
    with system(course, "dark") as page:
        serve(page, BOOK.format(*chosen, "run.html"), recording)
        shows(page, "light")
        book = page.locator(tag).first
        for theme in ("dark", "light"):
            book.evaluate("(book, theme) => { book.dataset.theme = theme }", theme)
            shows(page, theme)
        book.evaluate("book => { book.dataset.theme = 'auto' }")
        shows(page, "dark")


def test_a_recording_follows_the_system_where_no_book_can_be_asked(
    course: Course, recording: Path
) -> None:
    around = recording.with_name("book.html")
    around.write_text(BOOK.format("data-theme='light'", "", "run.html"), encoding="utf-8")
    with system(course, "dark") as page:
        serve(page, BOOK.format("data-theme='light'", "", "http://other.test/run.html"), recording)
        shows(page, "dark")
        for address in (around.as_uri(), recording.as_uri()):
            page.goto(address)
            for theme in ("light", "dark"):
                page.emulate_media(color_scheme=theme)
                shows(page, theme)
