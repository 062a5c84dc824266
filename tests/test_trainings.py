"""The recorded trainings of the static book: the record, and its player in a real browser."""

from __future__ import annotations

import base64
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from playwright.sync_api import Browser, Page, Route, expect
from test_sliders import SITE, served
from tools import ROOT, RUNS, load, made_again

from gan_course.distributions import ring

script = load("figures/sweeps/trainings.py")
player = load("book/player.py")
STATIC = ROOT / "book" / "_static"
ORANGE, BLUE = (0xD5, 0x5E, 0x00), (0x00, 0x72, 0xB2)
#: k, loss, step and seed, picked by hand.
PICKED = [(1, "non-saturating", 150, 0), (10, "minimax", 100, 4), (20, "wasserstein", 200, 2)]


@pytest.fixture(scope="module")
def note() -> dict:
    return json.loads((RUNS / "trainings.json").read_text("utf-8"))


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return pd.read_csv(RUNS / "trainings.csv")


@pytest.fixture(scope="module")
def kept() -> dict[str, np.ndarray]:
    return dict(np.load(RUNS / "trainings.npz"))


# --- The record ---------------------------------------------------------------------------


def test_the_small_record_is_made_again() -> None:
    frame, record = made_again("trainings")
    pd.testing.assert_frame_equal(frame, record, rtol=0, atol=0.02, check_dtype=False)


def test_a_byte_is_a_place_in_the_window_and_the_last_is_outside() -> None:
    x = torch.tensor([[-2.0, 2.0], [0.0, 1.0], [0.0, 2.1], [float("nan"), 0.0]])
    found = script.as_bytes(x, (-2.0, 2.0)).tolist()
    assert found == [[0, 254], [127, 190], [255, 255], [255, 255]]


def test_the_lowest_row_of_the_shade_is_the_first() -> None:
    fine = torch.linspace(0, 1, 64).unsqueeze(1).expand(64, 64)
    found = script.coarse(fine)
    assert found.shape == (16, 16)
    assert found[:, 3].tolist() == [17 * row for row in range(16)]


@pytest.mark.slow
def test_pictures_and_numbers_are_of_the_same_trainings(
    note: dict, table: pd.DataFrame, kept: dict[str, np.ndarray]
) -> None:
    """The share of the kept samples near a mode is the table's, loss by loss and k by k."""
    settings = note["settings"]
    target = ring(std=0.05)
    low, high = target.window
    points = kept["points"]
    x = low + points / script.TOP * (high - low)
    away = np.min(np.linalg.norm(x[..., None, :] - target.modes.numpy(), axis=-1), axis=-1)
    near = ((away < 3 * 0.05) & (points[..., 0] <= script.TOP)).mean(axis=-1)
    said = table.set_index(["loss", "k", "step", "run"])["high_quality"]
    order = (settings["losses"], settings["k"], table["step"].unique(), range(settings["runs"]))
    told = said.reindex(pd.MultiIndex.from_product(order)).to_numpy().reshape(near.shape)
    assert np.abs(near - told).mean() < 0.04
    assert np.abs(near - told[::-1]).mean() > 0.06
    assert np.abs(near - told[:, ::-1]).mean() > 0.06
    assert kept["belief"].shape == (*points.shape[:4], script.SIDE, script.SIDE)


def test_what_the_page_says_of_the_record_is_so(note: dict, kept: dict[str, np.ndarray]) -> None:
    settings = note["settings"]
    text = (ROOT / "book" / "trainings.md").read_text("utf-8")
    losses, ks, runs = len(settings["losses"]), len(settings["k"]), settings["runs"]
    points = kept["points"].shape[-2]
    for said in (
        f"for each of {ks} values of $k$ and each of {losses} losses, {runs} trainings",
        f"generated samples, {points} of each run",
        f"a ring of 8 modes, {runs} seeds at once, {settings['steps']} steps, in batches of "
        f"{settings['batch']}",
        f"Every {settings['every']} steps the record keeps {points} samples",
        f"a grid of {script.SIDE} × {script.SIDE} points",
        f"{runs} seeds are an illustration",
    ):
        assert said in text, said
    assert len(script.Lab(controls=[]).trainer.data.modes) == 8


# --- The player ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page with the player alone, and its recordings."""
    folder = tmp_path_factory.mktemp("player")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(player, "FOLDER", folder / "_static" / "trainings")
        player.write()
    for name in ("book.css", "trainings.js"):
        (folder / "_static" / name).write_bytes((STATIC / name).read_bytes())
    html = (folder / "_static" / "trainings" / "player.html").read_text("utf-8")
    head = '<!doctype html><html lang="en"><meta charset="utf-8"><title>t</title>'
    style = '<link rel="stylesheet" href="_static/book.css">'
    (folder / "index.html").write_text(head + style + html, "utf-8")
    return folder


@pytest.fixture
def page(browser: Browser, folder: Path) -> Iterator[Page]:
    page = browser.new_page(viewport={"width": 760, "height": 900})
    told: list[str] = []
    page.on("pageerror", lambda error: told.append(str(error)))
    # The delays of whatever is done again and again.
    page.add_init_script(
        "const again = window.setInterval; window.delays = [];"
        "window.setInterval = (f, ms) => { window.delays.push(ms); return again(f, ms); };"
    )
    served(page, folder)
    page.goto((folder / "index.html").as_uri())
    ready(page)
    yield page
    page.close()
    assert told == []


def ready(page: Page) -> None:
    expect(page.locator(".trainings")).not_to_have_attribute("aria-busy", "true")
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => setTimeout(done)))")


def go(page: Page, note: dict, picked: tuple[int, str, int, int]) -> tuple[int, int, int]:
    """Choose a moment by the keyboard; return its place in what was kept."""
    k, loss, step, seed = picked
    settings = note["settings"]
    slider = page.get_by_label("k (D steps)")
    slider.press("Home")
    for _ in range(settings["k"].index(k)):
        slider.press("ArrowRight")
    page.get_by_label("loss").select_option(loss)
    time = page.get_by_label("step", exact=True)
    time.press("Home")
    for _ in range(step // settings["every"]):
        time.press("ArrowRight")
    page.locator(".wall button").nth(seed).press("Enter")
    ready(page)
    return [*settings["losses"]].index(loss), settings["k"].index(k), step // settings["every"]


def canvas(page: Page, place: str) -> np.ndarray:
    url = page.locator(place).evaluate("canvas => canvas.toDataURL()")
    image = Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2])))
    image = image.convert("RGBA")
    paper = Image.new("RGBA", image.size, "white")
    return np.asarray(Image.alpha_composite(paper, image).convert("RGB")).astype(int)


def at(pixels: np.ndarray, points: np.ndarray) -> np.ndarray:
    """The colours at points in bytes, those outside left out."""
    inside = points[points[:, 0] <= script.TOP].astype(float) / script.TOP
    side = len(pixels)
    column = (inside[:, 0] * side).astype(int).clip(0, side - 1)
    row = ((1 - inside[:, 1]) * side).astype(int).clip(0, side - 1)
    return pixels[row, column]


def like(colours: np.ndarray, colour: tuple[int, ...]) -> float:
    """The share of colours that are one, or nearly."""
    return float((np.abs(colours - np.array(colour)).max(axis=-1) < 70).mean())


@pytest.mark.browser
@pytest.mark.parametrize("picked", PICKED, ids=str)
def test_what_is_drawn_and_said_is_the_record(
    picked: tuple[int, str, int, int],
    page: Page,
    note: dict,
    table: pd.DataFrame,
    kept: dict[str, np.ndarray],
) -> None:
    k, loss, step, seed = picked
    settings = note["settings"]
    place = go(page, note, picked)
    points, belief = kept["points"][place], kept["belief"][place]

    pixels = canvas(page, ".main")
    assert like(at(pixels, points[seed]), ORANGE) > 0.97
    # Of the next seed, k, loss and moment, and with the axes exchanged, it is another picture.
    row, column, moment = place
    others = [
        points[seed - 1],
        points[seed][:, ::-1],
        kept["points"][row, column - 1, moment, seed],
        kept["points"][row - 1, column, moment, seed],
        kept["points"][row, column, moment - 1, seed],
    ]
    for other in others:
        assert like(at(pixels, other), ORANGE) < 0.9
    assert like(at(pixels, kept["real"]), BLUE) + like(at(pixels, kept["real"]), ORANGE) > 0.6
    for run in range(settings["runs"]):
        tile = canvas(page, f".wall button:nth-child({run + 1}) canvas")
        assert like(at(tile, points[run]), ORANGE) > 0.8

    # The shade, where no point is near.
    shade = belief[seed].astype(int)
    ends = [
        255 - (255 - np.array(c)) * 0.5 * np.abs(shade / 127.5 - 1)[..., None]
        for c in (ORANGE, BLUE)
    ]
    expected = np.where((shade < 127.5)[..., None], *ends)
    grid = np.linspace(0, script.TOP, script.SIDE)
    nodes = np.stack(np.meshgrid(grid, grid), axis=-1)[1:-1, 1:-1].reshape(-1, 2)
    every = np.concatenate([points[seed], kept["real"]]).astype(float)
    lonely = np.linalg.norm(nodes[:, None] - every, axis=-1).min(axis=-1) > 8
    wanted = expected[1:-1, 1:-1].reshape(-1, 3)
    away = np.abs(at(pixels, nodes) - wanted).max(axis=-1)[lonely]
    assert np.median(away) < 12

    where = (table["loss"] == loss) & (table["k"] == k) & (table["step"] == step)
    rows = table[where].set_index("run")
    said = page.locator(".said").inner_text()
    own = rows.loc[seed]
    all_eight = int((rows["modes"] == 8).sum())
    numbers = [f"{own[name]:.2f}".replace("-", "−") for name in ("real", "fake")]
    assert said == (
        f"k = {k}, {loss}, step {step}. Seed {seed + 1}: {own['modes']:.0f} of 8 modes, "
        f"{np.floor(100 * own['high_quality'] + 0.5):.0f} % HQ, D averages {numbers[0]} on real "
        f"and {numbers[1]} on generated samples. All 8 modes: {all_eight} of "
        f"{settings['runs']} seeds."
    )
    pressed = page.locator(".wall button[aria-pressed=true]")
    assert pressed.count() == 1
    assert f"Seed {seed + 1}," in str(pressed.get_attribute("aria-label"))


def cuts(belief: np.ndarray) -> np.ndarray:
    """Where the shade passes one half between two neighbours, in bytes, as ``at`` takes them."""
    away = belief.astype(float) - 127.5
    found = []
    for across, values in ((0, away), (1, away.T)):  # along a row, along a column
        for row, start in zip(*np.nonzero(values[:, :-1] * values[:, 1:] < 0), strict=True):
            share = values[row, start] / (values[row, start] - values[row, start + 1])
            place = (start + share, row)
            found.append(place if across == 0 else place[::-1])
    return np.array(found) / (len(belief) - 1) * script.TOP


def inked(pixels: np.ndarray, places: np.ndarray) -> float:
    """The share of places with something black about them."""
    black = np.pad(pixels.max(axis=-1) < 110, 2)
    near = np.lib.stride_tricks.sliding_window_view(black, (5, 5)).any(axis=(2, 3))
    return float(at(near, places).mean())


@pytest.mark.browser
@pytest.mark.parametrize("picked", PICKED[1:], ids=str)
def test_the_border_and_the_curves_are_the_record_s(
    picked: tuple[int, str, int, int],
    page: Page,
    note: dict,
    table: pd.DataFrame,
    kept: dict[str, np.ndarray],
) -> None:
    k, loss, step, seed = picked
    settings = note["settings"]
    place = go(page, note, picked)
    border, pixels = cuts(kept["belief"][place][seed]), canvas(page, ".main")
    assert len(border) > 10
    assert inked(pixels, border) > 0.7  # dots and crosses lie on some of it
    assert inked(pixels, border[:, ::-1]) < 0.5

    rows = table[(table["loss"] == loss) & (table["k"] == k)]
    both = rows[["real", "fake"]].to_numpy()
    ends = (0, 1) if loss != "wasserstein" else (np.nanmin(both), np.nanmax(both))
    own = rows[rows["run"] == seed].sort_values("step")
    panels = [("modes", 0, 8, ORANGE), ("high_quality", 0, 1, ORANGE), ("real", *ends, BLUE)]
    for at_panel, (name, low, high, colour) in enumerate(panels, 1):
        drawn = canvas(page, f".curves figure:nth-child({at_panel}) canvas")
        height, width = drawn.shape[:2]
        across = 34 + np.linspace(0, 1, len(own)) * (width - 40)
        down = height - 16 - (own[name] - low) / (high - low) * (height - 24)
        marked = np.abs(drawn - np.array(colour)).max(axis=-1) < 70
        places = zip(across.round().astype(int), down.round().astype(int), strict=True)
        there = [marked[y - 2 : y + 3, x - 1 : x + 2].any() for x, y in places]
        if name == "real":  # where the line of generated samples, drawn after it, does not hide it
            apart = np.abs(own["real"] - own["fake"]) / (high - low) * (height - 24) > 5
            there = np.array(there)[apart.to_numpy()]
        assert len(there) > 2 and np.mean(there) > 0.8, name
        if name == "modes":  # the line of the chosen seed alone is wide; seen where it is flat
            middles = (across[:-1] + across[1:]).round().astype(int) // 2
            level = np.flatnonzero(np.diff(own[name]) == 0)
            rows_of = [slice(round(y) - 4, round(y) + 5) for y in down.to_numpy()[level]]
            inks = [
                (1 - drawn[y, x, 2] / 255).sum()
                for y, x in zip(rows_of, middles[level], strict=True)
            ]
            assert len(inks) > 5 and np.median(inks) > 1.8
        now = round(across[step // settings["every"]])
        assert (drawn[5:-17, now - 1 : now + 2].max(axis=2) < 230).any(axis=1).mean() > 0.95
    says = page.locator(".judge").inner_text()
    assert says.startswith("D's score" if loss == "wasserstein" else "D(x), solid")


@pytest.mark.browser
def test_it_plays_to_its_last_moment_and_then_from_its_first(page: Page) -> None:
    time, play = page.get_by_label("step", exact=True), page.locator(".play")
    last = str(time.get_attribute("max"))
    time.press("End")
    time.press("ArrowLeft")
    play.press("Enter")
    expect(play).to_have_text("Pause")
    expect(play).to_have_text("Play")
    assert time.input_value() == last
    said = str(time.get_attribute("aria-valuetext"))
    assert f"step {said}." in page.locator(".said").inner_text()
    at_once = "play => { play.click(); return document.querySelector('.moment').value; }"
    assert play.evaluate(at_once) == "0"
    play.press("Enter")


@pytest.mark.browser
def test_it_plays_pauses_and_keeps_quiet_meanwhile(page: Page) -> None:
    time, said = page.get_by_label("step", exact=True), page.locator(".said")
    page.get_by_role("button", name="Play").press("Enter")
    expect(said).to_have_attribute("aria-live", "off")
    page.wait_for_function("() => document.querySelector('.moment').value >= 2")
    page.get_by_role("button", name="Pause").press("Enter")
    expect(said).to_have_attribute("aria-live", "polite")
    before = time.input_value()
    page.get_by_label("k (D steps)").press("End")  # another recording, the same moment
    ready(page)
    assert time.input_value() == before
    assert "k = 20" in said.inner_text()
    page.emulate_media(reduced_motion="reduce")
    page.get_by_role("button", name="Play").press("Enter")
    ordinary, calm = page.evaluate("window.delays")[-2:]
    assert calm >= 5 * ordinary
    page.get_by_role("button", name="Pause").press("Enter")


@pytest.mark.browser
def test_a_late_recording_is_not_shown_and_a_missing_one_is_told(page: Page) -> None:
    page.goto(f"{SITE}/index.html")
    ready(page)
    held: list[Route] = []
    recordings = re.compile(r"trainings/.*\.js$")
    page.route(recordings, lambda route: held.append(route))  # noqa: PLW0108  (a method takes no mark)
    k = page.get_by_label("k (D steps)")
    k.press("ArrowRight")
    expect(page.locator(".trainings")).to_have_attribute("aria-busy", "true")
    k.press("ArrowRight")
    while len(held) < 2:
        page.wait_for_timeout(10)
    held[1].fallback()
    ready(page)
    held[0].fallback()
    page.wait_for_timeout(200)
    assert "k = 3," in page.locator(".said").inner_text()
    page.unroute(recordings)
    page.route(recordings, lambda route: route.abort())
    k.press("End")
    expect(page.locator(".said")).to_have_text("This recording could not be loaded.")
    expect(page.locator(".main")).to_be_hidden()
    page.unroute(recordings)
    k.press("ArrowLeft")
    ready(page)
    expect(page.locator(".main")).to_be_visible()
    assert "k = 10," in page.locator(".said").inner_text()


@pytest.mark.browser
def test_one_recording_is_loaded_and_all_are_small(page: Page, folder: Path) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.reload()
    ready(page)
    assert sum("trainings/" in url for url in asked) == 1
    assert all(url.startswith((folder.as_uri(), "data:", "blob:")) for url in asked)
    sizes = [path.stat().st_size for path in (folder / "_static" / "trainings").glob("*.js")]
    assert len(sizes) == 35
    assert max(sizes) < 150_000
    assert sum(path.stat().st_size for path in RUNS.glob("trainings.*")) < 4_000_000
