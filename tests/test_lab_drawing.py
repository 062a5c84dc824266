"""What the lab's page draws and says: pictures made by hand, without symmetry, read by pixel."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest
from jupyter_browser import browser
from lab_page import (
    FAKE,
    INK,
    JUDGE,
    MESH,
    PAPER,
    REAL,
    WINDOW,
    Canvas,
    Stage,
    controls,
    like,
    picture_head,
    stage,
)
from numpy.typing import NDArray
from playwright.sync_api import Browser, expect
from tools import ROOT

from gan_course.lab import front
from gan_course.lab.controls import LAYERS
from gan_course.lab.curves import NAMES

pytestmark = pytest.mark.browser

LOW, HIGH = WINDOW
SIDE = 41


@pytest.fixture(scope="module")
def chrome(chromium_is_there: None) -> Iterator[Browser]:
    with browser() as started:
        yield started


@pytest.fixture(scope="module")
def page(chrome: Browser) -> Iterator[Stage]:
    with stage(chrome) as made:
        yield made


@pytest.fixture
def lab(page: Stage) -> Iterator[Stage]:
    yield page.mount()
    assert page.console == []


@pytest.fixture
def wall(page: Stage) -> Iterator[Stage]:
    yield page.mount(runs=6)
    assert page.console == []


def shade(share: float) -> NDArray[Any]:
    """The colour of a probability: half its end's, half the paper's, where D is sure."""
    end = np.array(REAL if share > 0.5 else FAKE)
    return np.array(PAPER) + 0.5 * abs(2 * share - 1) * (end - PAPER)


def colour(canvas: Canvas, x: float, y: float) -> NDArray[Any]:
    """The colour of one pixel."""
    return canvas.around(x, y, radius=0)[0]


def same(found: NDArray[Any], expected: Any, within: float = 3) -> bool:
    return bool(np.abs(found - np.array(expected)).max() <= within)


def darkness(canvas: Canvas, column: float, row: float, radius: int = 3) -> float:
    """How much ink there is about a pixel: 765 for a black one."""
    x, y = round(column), round(row)
    near = canvas.colours[y - radius : y + radius + 1, x - radius : x + radius + 1]
    return float((255 - near).sum())


def grid(side: int = SIDE) -> tuple[NDArray[Any], NDArray[Any]]:
    """The points of a surface: rows run along y, from below, columns along x."""
    axis = np.linspace(LOW, HIGH, side)
    x, y = np.meshgrid(axis, axis)
    return x, y


# --- The plane --------------------------------------------------------------------------------

QUARTERS = {(0.0, 2.0): 0.8, (2.0, 2.0): 0.4, (0.0, 0.0): 0.0, (2.0, 0.0): 1.0}


def quartered(side: int) -> NDArray[Any]:
    """A surface with another value in each quarter of the window."""
    (a, b), (c, d) = ([QUARTERS[x, y] for x in (0.0, 2.0)] for y in (0.0, 2.0))
    rows, columns = np.indices((side, side)) >= side / 2
    return np.where(rows, np.where(columns, d, c), np.where(columns, b, a))


@pytest.mark.parametrize(("layer", "side"), [("belief", 40), ("optimal", 10)])
def test_a_surface_lies_the_right_way_round_in_its_colours(
    lab: Stage, layer: str, side: int
) -> None:
    lab.show(**{layer: quartered(side)})
    canvas = lab.canvas()
    for place, share in QUARTERS.items():
        assert same(colour(canvas, *place), shade(share)), place


def test_d_is_painted_from_edge_to_edge_and_smoothly_between_its_points(lab: Stage) -> None:
    lab.show(belief=np.tile([0.5, 0.75, 1.0], (3, 1)))
    canvas = lab.canvas()
    for share in (0.05, 0.25, 0.5, 0.75, 0.95):
        found = colour(canvas, LOW + share * (HIGH - LOW), 0.3)
        assert same(found, shade(0.5 + share / 2), 12), share


def test_the_cells_of_d_star_are_sharp_and_empty_ones_are_paper(lab: Stage) -> None:
    cells = np.array([[0.0, 0.2, 0.7], [1.0, np.nan, 0.9], [0.3, 0.6, 0.1]])
    lab.show(optimal=cells)
    canvas, size = lab.canvas(), (HIGH - LOW) / 3
    for (row, column), share in np.ndenumerate(cells):
        for dx in (0.06, 0.5, 0.94):
            x, y = LOW + (column + dx) * size, LOW + (row + 0.3) * size
            expected = PAPER if math.isnan(share) else shade(share)
            assert same(colour(canvas, x, y), expected), (row, column, dx)


def test_d_star_is_painted_in_place_of_d_whose_border_stays(lab: Stage) -> None:
    x, _ = grid()
    lab.show(optimal=np.full((4, 4), 1.0), belief=(0.5 + (x - 0.55) / 10))
    canvas = lab.canvas()
    assert same(colour(canvas, -0.5, 0), shade(1.0)) and same(colour(canvas, 2, 0), shade(1.0))
    assert canvas.has(0.55, 1.2, INK) and canvas.has(0.55, -0.6, INK)


def test_the_border_runs_where_d_is_one_half(lab: Stage) -> None:
    x, y = grid()
    lab.show(belief=1 / (1 + np.exp(-(y - 0.4 * x**2 - 0.2))))  # not the same from any side
    canvas = lab.canvas()
    found = canvas.where(INK, 90)
    for across in (-0.7, 0.0, 0.9, 1.7, 2.4):
        up = 0.4 * across**2 + 0.2
        assert canvas.has(across, up, INK, 3), across
        column, row = canvas.place(across, up)
        off = np.abs(found[np.abs(found[:, 0] - column) < 1][:, 1] - row)
        assert len(off) and off.max() < 6, across  # and nowhere else


REALS = np.array([[-0.6, 2.3], [1.7, 0.2], [2.6, 1.5]])
FAKES = np.array([[0.4, 2.6], [-0.3, -0.7], [2.2, -0.2]])


def test_dots_are_real_and_crosses_are_generated_at_their_places(lab: Stage) -> None:
    lab.show(real=REALS, fake=FAKES)
    canvas = lab.canvas()
    for x, y in REALS:
        assert canvas.has(x, y, REAL, 1) and not canvas.has(x, y, FAKE, 4)
    for x, y in FAKES:
        assert canvas.has(x, y, FAKE, 1) and not canvas.has(x, y, REAL, 4)
        column, row = canvas.place(x, y)
        for dx, dy in ((-2, -2), (2, -2), (-2, 2), (2, 2)):  # both strokes of the cross
            assert darkness(canvas, column + dx, row + dy, 1) > 100
    for x, y in [*REALS, *FAKES]:  # nothing at the mirror images
        for mirrored in ((2 - x, y), (x, 2 - y), (y, x)):
            assert same(colour(canvas, *mirrored), PAPER)
    assert len(canvas.where(REAL)) <= 3 * 16 and len(canvas.where(FAKE, 120)) <= 3 * 49


def test_a_layer_that_was_not_sent_is_not_drawn(lab: Stage) -> None:
    lab.show(real=REALS, fake=FAKES, belief=quartered(40))
    lab.show(real=REALS)
    canvas = lab.canvas()
    assert not len(canvas.where(FAKE)) and len(canvas.where(REAL))
    assert same(colour(canvas, 2, 0), PAPER)


def test_the_mesh_has_its_corners_and_is_darker_where_it_is_dense(lab: Stage) -> None:
    corners = np.array(
        [
            [[-0.8, -0.6], [-0.7, 0.9], [-0.5, 2.4]],
            [[0.3, -0.8], [0.5, 0.7], [0.2, 2.8]],
            [[0.8, -0.3], [1.0, 0.5], [2.7, 1.9]],
        ]
    )
    lab.show(mesh=corners)
    canvas = lab.canvas()
    lines = [(corners[i, j], corners[i, j + 1]) for i in range(3) for j in range(2)]
    lines += [(corners[i, j], corners[i + 1, j]) for i in range(2) for j in range(3)]
    for start, end in lines:
        for share in (0.2, 0.5, 0.8):
            near = canvas.around(*(start + share * (end - start)), 2)
            assert like(near, MESH, 90).any(), (start, end, share)
    small, large = (colour(canvas, *corners[[i, i, i + 1, i + 1], [j, j + 1, j, j + 1]].mean(0))
                    for i, j in ((1, 0), (1, 1)))  # fmt: skip
    darkness = [np.abs(found - PAPER).sum() for found in (small, large)]
    assert darkness[0] > 2 * darkness[1] > 0
    assert same(colour(canvas, 2.7, -0.5), PAPER)


def test_a_thread_runs_through_its_points_in_turn(lab: Stage) -> None:
    points = np.array([[-0.5, 0.0], [1.0, 2.5], [2.5, 0.5], [2.0, -0.5]])
    lab.show(thread=points)
    canvas = lab.canvas()
    for start, end in itertools.pairwise(points):
        for share in (0.1, 0.5, 0.9):
            assert canvas.has(*(start + share * (end - start)), MESH, 1)
    for x, y in ((0.75, -0.25), (1.0, 0.25), (0.25, 2.5)):  # neither closed nor mirrored
        assert same(colour(canvas, x, y), PAPER)


#: Place and slope of an arrow, and how far it reaches: half the full tenth at a slope of 2 / 4.
ARROWS = {
    (0.0, 2.0, 0.5, 0.0): 0.2,
    (2.0, 2.0, 0.0, 1.5): 0.3,
    (0.0, 0.0, -1e6, 0.0): 0.4,
    (2.0, -0.3, 0.0, -0.5): 0.2,
    (1.0, 1.0, 0.3, 0.4): 0.2,
}


def test_an_arrow_points_along_its_slope_and_its_length_saturates(lab: Stage) -> None:
    lab.show(arrows=np.array([*ARROWS]))
    canvas = lab.canvas()
    for (x, y, u, v), reach in ARROWS.items():
        direction = np.array([u, v]) / math.hypot(u, v)
        place = np.array([x, y])
        for share in (0.1, 0.5, 0.9):
            assert canvas.has(*(place + share * reach * direction), INK, 1), (x, y, share)
        beyond, behind = reach + 0.05, -0.05
        for share in (beyond, behind, 2 * reach, -0.5 * reach):
            assert not canvas.has(*(place + share * direction), INK, 1), (x, y, share)
        head, tail = (canvas.place(*(place + s * reach * direction)) for s in (0.9, 0.3))
        assert darkness(canvas, *head) > 1.4 * darkness(canvas, *tail), (x, y)
        assert 3500 < darkness(canvas, *tail) < 6600  # one pixel thick


def test_a_slope_of_nothing_has_no_arrow(lab: Stage) -> None:
    lab.show(arrows=np.array([[0.0, 2.0, 0.0, 0.0], [2.0, 0.0, 1e-3, 0.0]]))
    assert not len(lab.canvas().where(INK))


def test_in_slow_motion_what_is_not_spoken_of_fades(lab: Stage) -> None:
    piece = {"text": "D looks.", "highlight": ["generated"]}
    lab.show(picture_head(piece=piece), real=REALS, fake=FAKES)
    canvas = lab.canvas()
    assert canvas.has(*FAKES[0], FAKE, 1)
    darkest = canvas.around(*REALS[0], 2).min(axis=0)
    assert same(darkest, np.array(PAPER) + 0.25 * (np.array(REAL) - PAPER), 8)
    assert lab.text("piece") == "D looks."
    lab.show(picture_head(), real=REALS, fake=FAKES)
    assert lab.canvas().has(*REALS[0], REAL, 1)
    assert lab.page.locator(".gan-piece").is_hidden()


#: A layer of slow motion, what belongs to it, and a place and a colour where it is drawn.
SPOKEN_OF: dict[str, tuple[str, Any, tuple[float, float], Any]] = {
    "real": ("real", [[2.6, 2.6]], (2.6, 2.6), REAL),
    "generated": ("fake", [[-0.6, 2.6]], (-0.6, 2.6), FAKE),
    "manifold": ("thread", [[-0.9, 1.2], [2.9, 1.2]], (0.0, 1.2), MESH),
    "arrows": ("arrows", [[1.0, -0.6, 1e6, 0.0]], (1.2, -0.6), INK),
    "optimal": ("optimal", np.full((4, 4), 1.0), (2.6, 0.2), shade(1.0)),
}


@pytest.mark.parametrize("spoken", SPOKEN_OF)
def test_in_slow_motion_the_layer_that_is_spoken_of_alone_is_strong(
    lab: Stage, spoken: str
) -> None:
    arrays = {name: array for name, array, *_ in SPOKEN_OF.values()}
    lab.show(picture_head(piece={"text": "Look.", "highlight": [spoken]}), **arrays)
    canvas = lab.canvas()
    for layer, (_, _, place, ink) in SPOKEN_OF.items():
        near = np.abs(canvas.around(*place, 1) - np.array(ink)).max(axis=1).min()
        assert bool(near < 20) is (layer == spoken), (layer, near)


def test_of_two_pictures_at_once_the_newer_is_drawn_and_acknowledged(lab: Stage) -> None:
    lab.show(picture_head(number=1))
    send = """([older, newer, blocks]) => {
        const bytes = text => Uint8Array.from(atob(text), c => c.charCodeAt(0));
        const later = window.requestAnimationFrame;
        window.receive(older, blocks[0]);
        return window.receive(newer, blocks[1]);
    }"""
    older, newer = (
        lab.packed(picture_head(number=n, step=n), real=REALS[n : n + 1]) for n in (1, 2)
    )
    lab.page.evaluate(send, [older[0], newer[0], [older[1], newer[1]]])
    canvas = lab.canvas()
    assert canvas.has(*REALS[2], REAL) and not canvas.has(*REALS[1], REAL)
    assert lab.text("facts").startswith("step 2")
    lab.page.wait_for_function("() => window.sent.some(m => m.kind === 'acknowledge')")
    assert lab.sent("acknowledge")[-1]["number"] == 2


DARK = {"--jp-layout-color0": "#111", "--jp-ui-font-color1": "#eee"}
_STYLE = "([name, value]) => document.documentElement.style.setProperty(name, value)"


def test_dark_paper_has_its_own_colours(lab: Stage) -> None:
    try:
        for name, value in DARK.items():
            lab.page.evaluate(_STYLE, [name, value])
        lab.show(real=REALS, fake=FAKES, belief=np.full((9, 9), 1.0))
        canvas = lab.canvas()
    finally:
        for name in DARK:
            lab.page.evaluate(_STYLE, [name, ""])
    assert canvas.has(*REALS[0], (86, 180, 233)) and canvas.has(*FAKES[0], (255, 140, 66))
    halfway = np.mean([(17, 17, 17), (86, 180, 233)], axis=0)
    assert same(colour(canvas, 1.0, -0.7), halfway)


def test_on_dark_paper_d_and_the_manifold_keep_their_hues(lab: Stage) -> None:
    judge, mesh = (31, 199, 164), (221, 156, 192)
    try:
        for name, value in DARK.items():
            lab.page.evaluate(_STYLE, [name, value])
        lab.show(thread=[[-0.5, 0.0], [2.5, 0.0]], curves=curves())
        canvas = lab.canvas()
        panel = lab.canvas(lab.panel("V(D, G)").locator("canvas"))
    finally:
        for name in DARK:
            lab.page.evaluate(_STYLE, [name, ""])
    assert canvas.has(1.0, 0.0, mesh) and not len(canvas.where(judge, 40))
    assert len(panel.where(judge, 40)) > 20 and not len(panel.where(mesh, 40))


# --- The line ---------------------------------------------------------------------------------


def line_head(**changes: Any) -> dict[str, Any]:
    return picture_head(dimension=1, modes=1, **changes)


def height(canvas: Canvas, value: float, top: float = 1.05) -> float:
    """The row at which the line's picture has a value."""
    floor = 0.78 * canvas.height
    return floor - value / top * (floor - 8)


def on_curve(canvas: Canvas, values: NDArray[Any], colour: Sequence[int]) -> list[bool]:
    """Whether a curve of ``colour`` runs through its values; dashes may leave gaps."""
    found = []
    for share in (0.15, 0.3, 0.55, 0.7):
        near = np.linspace(share - 0.02, share + 0.02, 9)
        rows = np.interp(near, np.linspace(0, 1, len(values)), values)
        places = zip(near * canvas.width, rows, strict=True)
        found.append(any(canvas.at(x, height(canvas, v), colour, 1) for x, v in places))
    return found


SHARE = np.linspace(0, 1, 301)
LINES = {
    "p": (0.1 + 0.5 * SHARE, REAL),
    "q": (0.75 - 0.3 * SHARE**2, FAKE),
    "belief": (0.9 - 0.85 * SHARE, JUDGE),
}


@pytest.mark.parametrize("name", LINES)
def test_each_curve_of_the_line_has_its_height_and_its_colour(lab: Stage, name: str) -> None:
    values, colour = LINES[name]
    lab.show(line_head(), **{name: values})
    canvas = lab.canvas()
    assert all(on_curve(canvas, values, colour))
    mirrored = on_curve(canvas, values[::-1], colour), on_curve(canvas, 1.05 - values, colour)
    assert sum(map(sum, mirrored)) <= 1  # where it crosses its mirror image
    for _, (others, other) in LINES.items():
        if other != colour:
            assert not any(on_curve(canvas, others, other))


def test_a_density_above_one_shrinks_the_scale_for_all(lab: Stage) -> None:
    high = 2.0 * SHARE
    lab.show(line_head(), p=high, belief=np.full(301, 0.5))
    canvas = lab.canvas()
    row = height(canvas, 0.5, top=2.6)
    assert any(canvas.at(x, row, JUDGE, 1) for x in range(20, 60))
    assert any(
        canvas.at(0.5 * canvas.width + x, height(canvas, 1.0, 2.6), REAL, 3) for x in range(9)
    )


def test_d_star_of_the_line_has_gaps_where_nothing_is_known(lab: Stage) -> None:
    cells = np.full(40, 0.7)
    cells[8:20] = np.nan
    cells[30:] = 0.2
    lab.show(line_head(), optimal=cells)
    canvas = lab.canvas()

    def drawn(first: float, last: float, value: float) -> bool:
        columns = np.linspace(first / 40, last / 40, 40) * canvas.width
        return max(darkness(canvas, x, height(canvas, value), 1) for x in columns) > 300

    assert drawn(1, 7, 0.7) and drawn(21, 29, 0.7) and drawn(31, 35, 0.2)
    assert not drawn(8.5, 19.5, 0.7) and not drawn(1, 29, 0.2)
    row = round(height(canvas, 0.7))
    dark = np.flatnonzero((255 - canvas.colours[row - 1 : row + 2]).sum(axis=(0, 2)) > 100)
    ends = [(cell + 0.5) / 40 * canvas.width for cell in (0, 7, 20)]  # in the middle of a cell
    assert all(np.abs(dark - end).min() < 4 for end in ends)
    assert not ((dark > ends[1] + 1) & (dark < ends[2] - 1)).any()
    assert dark.min() > ends[0] - 2


def test_the_line_is_drawn_on_its_scale_with_names(lab: Stage) -> None:
    reading = {"name": "(D + 1)/2", "text": ""}
    arrays = {name: values for name, (values, _) in LINES.items()}
    lab.show(line_head(reading=reading), **arrays, optimal=np.full(40, 0.3))
    words = {text: (x, y) for text, x, y in lab.words()}
    canvas = lab.canvas()
    for level in (0, 0.5, 1):
        row = height(canvas, level)
        assert words[f"{level:g}"] == pytest.approx((2, row - 2))
        assert darkness(canvas, 200, row, 2) > 200
    names = {"p_data": REAL, "p_g": FAKE, "(D* + 1)/2": INK, "(D + 1)/2": JUDGE}
    for name, colour in names.items():
        x, y = words[name]
        columns = range(round(x) - 21, round(x) - 5)
        near = canvas.colours[round(y) - 5 : round(y) - 2, columns].reshape(-1, 3)
        assert like(near, colour, 120).any(), name
    lab.show(line_head(), p=LINES["p"][0])
    assert [text for text, *_ in lab.words()] == ["0", "0.5", "1", "p_data"]


def test_p_is_dotted_and_q_is_not(lab: Stage) -> None:
    lab.show(line_head(), p=np.full(301, 0.3), q=np.full(301, 0.7))
    canvas = lab.canvas()
    shares = []
    for level, colour in ((0.3, REAL), (0.7, FAKE)):
        row = round(height(canvas, level))
        near = canvas.colours[row - 1 : row + 2, 10 : canvas.width - 120]
        shares.append(like(near, colour, 90).any(axis=0).mean())
    assert 0.2 < shares[0] < 0.9
    assert shares[1] == 1


def test_samples_of_the_line_stand_under_the_curves(lab: Stage) -> None:
    lab.show(line_head(), real=[[-0.5], [2.0]], fake=[[0.2], [2.7]])
    canvas = lab.canvas()
    floor = 0.78 * canvas.height
    for row, samples in ((floor + 6, [-0.5, 2.0]), (floor + 14, [0.2, 2.7])):
        marked = np.flatnonzero(np.abs(canvas.colours[round(row)] - PAPER).sum(axis=1) > 60)
        expected = [canvas.place(x, 0)[0] for x in samples]
        assert {round(c) for c in marked} <= {round(e) + d for e in expected for d in (-1, 0, 1)}
        assert all(np.abs(marked - e).min() <= 1 for e in expected)
        pixel = canvas.colours[round(row), marked[0]]
        assert bool(pixel[2] > pixel[0]) is (samples[0] == -0.5)  # real is blue


def test_pulls_on_the_line_point_along_their_slopes(lab: Stage) -> None:
    slopes = {0: (-0.5, 0.5), 4: (1.0, -1e6), 8: (2.5, 0.5)}
    arrows = np.zeros((12, 2))
    for place, arrow in slopes.items():
        arrows[place] = arrow
    lab.show(line_head(), arrows=arrows)
    canvas = lab.canvas()
    row = 0.78 * canvas.height + 25
    for x, slope in slopes.values():
        reach = 0.4 * abs(slope) / (abs(slope) + 0.5) * np.sign(slope)
        for share, there in ((0.1, True), (0.9, True), (1.2, False), (-0.3, False)):
            column = canvas.place(x + share * reach, 0)[0]
            assert canvas.at(column, row, INK, 1) is there, (x, share)


def test_the_ladder_leads_from_z_below_to_x_above(lab: Stage) -> None:
    rungs = np.array([[0.1, -0.2], [0.6, 2.6]])
    lab.show(line_head(), ladder=rungs)
    canvas = lab.canvas()
    below, above = canvas.height - 12, 0.78 * canvas.height + 31
    for share_of_z, x in rungs:
        start, end = share_of_z * canvas.width, canvas.place(x, 0)[0]
        for share in (0.05, 0.5, 0.95):
            column, row = start + share * (end - start), below + share * (above - below)
            assert darkness(canvas, column, row, 1) > 200, (share_of_z, share)
        run, rise = np.array([end - start, above - below]) / math.hypot(end - start, above - below)
        tip = darkness(canvas, end - 4 * run, above - 4 * rise)
        assert tip > 1.4 * darkness(canvas, start + 8 * run, below + 8 * rise)
    assert ("z", 2, canvas.height - 2) in lab.words()


# --- The curves -------------------------------------------------------------------------------

#: Each panel's lines: what is drawn, what it is called, in which colour.
PANELS: dict[str, list[tuple[str, str, Sequence[int]]]] = {
    "D, on average": [("real", "real", REAL), ("fake", "generated", FAKE)],
    "scores, on average": [("real_score", "real", REAL), ("fake_score", "generated", FAKE)],
    "V(D, G)": [("value", "V (thin line: −2 log 2)", JUDGE)],
    "loss, penalty left out": [("loss", "D", JUDGE), ("least", "D*", INK)],
    "distances to the theory, in nats": [
        ("gap", "V(D*) − V(D)", JUDGE),
        ("divergence", "JS(data, generated)", FAKE),
    ],
    "gradient norms": [
        ("discriminator_gradient", "D", JUDGE),
        ("generator_gradient", "G", FAKE),
    ],
    "modes covered": [("modes", "", REAL)],
}
#: Lower and upper end of each panel with the curves below, and its thin lines.
SCALES = {
    "D, on average": (0, 1, [0.5]),
    "scores, on average": (-2, 3, []),
    "V(D, G)": (-2 * math.log(2), -0.5, [-2 * math.log(2)]),
    "loss, penalty left out": (0.2, 1.2, []),
    "distances to the theory, in nats": (0, 0.8, []),
    "gradient norms": (1e-3, 10, []),
    "modes covered": (0, 8, []),
}
#: At the steps 0, 10 and 40.
CURVES = {
    "step": [0, 10, 40],
    "real": [0.9, 0.6, 0.8],
    "fake": [0.3, 0.35, 0.1],
    "real_score": [1, 3, 2],
    "fake_score": [-1, -2, 0],
    "value": [-1.2, -0.5, -0.9],
    "loss": [1.2, 0.7, 0.9],
    "least": [0.5, 0.2, 0.4],
    "gap": [0.8, 0.3, 0.5],
    "divergence": [0.6, 0.4, 0.2],
    "discriminator_gradient": [10, 0.1, 1],
    "generator_gradient": [0.001, 0.01, 0.003],
    "modes": [1, 6, 4],
}


def curves(**changes: list[float]) -> NDArray[Any]:
    return np.array([{**CURVES, **changes}[name] for name in NAMES])


def panel_place(canvas: Canvas, title: str, step: float, value: float) -> tuple[float, float]:
    """Column and row of a step and a value in a panel."""
    bottom, top, _ = SCALES[title]
    if title == "gradient norms":
        value, bottom, top = (math.log10(v) for v in (value, bottom, top))
    down = (value - bottom) / (top - bottom) * (canvas.height - 22)
    return 40 + step / 40 * (canvas.width - 44), canvas.height - 14 - down


@pytest.mark.parametrize("title", PANELS)
def test_each_curve_of_a_panel_has_its_place_its_colour_and_its_name(
    lab: Stage, title: str
) -> None:
    lab.show(curves=curves())
    figure = lab.panel(title)
    canvas = lab.canvas(figure.locator("canvas"))
    for name, label, colour in PANELS[title]:
        values = CURVES[name]
        for step, value in zip(CURVES["step"], values, strict=True):
            column, row = panel_place(canvas, title, step, value)
            assert canvas.at(column, row, colour, 2), (name, step)
        at = 20 / 40 if title != "gradient norms" else None
        if at is not None:  # straight in between
            between = np.interp(20, CURVES["step"], values)
            column, row = panel_place(canvas, title, 20, between)
            near = [canvas.at(column + d, row, colour, 3) for d in range(-4, 5)]
            assert any(near), name
        if label:
            key = figure.locator(".gan-label", has_text=label).first
            assert key.inner_text().strip() == label or key.text_content() == label
            said = key.locator(".gan-line").evaluate("k => getComputedStyle(k).borderTopColor")
            assert said == f"rgb{colour}"
    for other in {REAL, FAKE, JUDGE} - {colour for *_, colour in PANELS[title]}:
        assert not len(canvas.where(other, 40))
    assert figure.locator(".gan-label").all_inner_texts() == [
        label for _, label, _ in PANELS[title] if label
    ]


@pytest.mark.parametrize("title", PANELS)
def test_a_panel_says_its_scale(lab: Stage, title: str) -> None:
    lab.show(curves=curves())
    place = lab.panel(title).locator("canvas")
    canvas = lab.canvas(place)
    bottom, top, marks = SCALES[title]
    words = {text: (x, y) for text, x, y in lab.words(place)}
    for end in (bottom, top):
        _, row = panel_place(canvas, title, 0, end)
        text = {1e-3: "1e−3"}.get(end, f"{end:.2g}".replace("-", "−"))
        assert words[text] == pytest.approx((35, row + 4), abs=0.01)
    assert words["step 40"] == pytest.approx((canvas.width - 2, canvas.height - 2))
    assert len(words) == 3
    for mark in (bottom, *marks):
        column, row = panel_place(canvas, title, 33, mark)
        assert any(
            not same(canvas.colours[round(row) + d, round(column)], PAPER, 20) for d in (0, 1)
        )


def test_dashes_tell_the_second_line_from_the_first(lab: Stage) -> None:
    flat = curves(real=[0.8] * 3, fake=[0.2] * 3)
    lab.show(curves=flat)
    canvas = lab.canvas(lab.panel("D, on average").locator("canvas"))

    def share(value: float, colour: Sequence[int]) -> float:
        row = panel_place(canvas, "D, on average", 0, value)[1]
        columns = range(45, canvas.width - 15)
        return float(
            np.mean(
                [
                    canvas.at(column, row, colour, 0) or canvas.at(column, row - 1, colour, 0)
                    for column in columns
                ]
            )
        )

    assert share(0.8, REAL) == 1
    assert 0.3 < share(0.2, FAKE) < 0.85


def test_a_key_is_dashed_where_its_line_is(lab: Stage) -> None:
    lab.show(curves=curves())
    style = "keys => keys.map(key => getComputedStyle(key).borderTopStyle)"
    for title, lines in PANELS.items():
        keys = lab.panel(title).locator(".gan-line").evaluate_all(style)
        assert keys == ["solid", "dashed"][: sum(bool(label) for _, label, _ in lines)], title


def test_the_norms_scale_is_logarithmic_and_leaves_nought_out(lab: Stage) -> None:
    lab.show(curves=curves(generator_gradient=[0.0, 0.001, 0.1]))
    canvas = lab.canvas(lab.panel("gradient norms").locator("canvas"))
    assert canvas.at(*panel_place(canvas, "gradient norms", 40, 0.1), FAKE)
    assert not canvas.at(*panel_place(canvas, "gradient norms", 0, 0.001), FAKE, 4)


def test_what_is_not_measured_leaves_the_page(lab: Stage) -> None:
    nothing = [math.nan] * 3
    lab.show(curves=curves(value=nothing, real_score=nothing, fake_score=nothing, least=nothing))
    titles = lab.page.locator(".gan-curves figure:not([hidden]) b").all_inner_texts()
    assert titles == [t for t in PANELS if t not in ("V(D, G)", "scores, on average")]
    shown = lab.panel("loss, penalty left out").locator(".gan-label:not([hidden])")
    assert shown.all_inner_texts() == ["D"]


def test_as_many_modes_as_the_data_has_are_the_top(lab: Stage) -> None:
    lab.show(picture_head(modes=25), curves=curves())
    assert "25" in [text for text, *_ in lab.words(lab.panel("modes covered").locator("canvas"))]


def test_the_keys_of_the_layers_have_their_colours(lab: Stage) -> None:
    style = "(key, name) => getComputedStyle(key)[name]"

    def key(name: str, of: str) -> str:
        return str(lab.page.locator(f".gan-layers .gan-{name}").evaluate(style, of))

    assert key("real", "backgroundColor") == f"rgb{REAL}"
    assert f"rgb{FAKE}" in key("generated", "backgroundImage")
    bar = key("belief", "backgroundImage")
    assert bar.startswith("linear-gradient(90deg")
    assert -1 < bar.find(f"rgb{FAKE}") < bar.find(f"rgb{REAL}")  # from generated to real
    assert key("manifold", "borderTopColor") == f"rgb{MESH}"


# --- The wall ---------------------------------------------------------------------------------

#: One place for each run, no two alike from any side.
PLACES = np.array([[-0.6, 2.4], [0.1, 0.6], [0.9, 2.7], [1.3, -0.5], [2.2, 1.4], [2.7, 0.1]])


def hung(**changes: Any) -> dict[str, Any]:
    tiles = [f"0.{run}1" for run in range(6)]
    return picture_head(along="generator_rate", tiles=tiles, stopped=[4], **changes)


def tile(wall: Stage, run: int) -> Any:
    return wall.page.locator(".gan-wall button").nth(run)


def test_each_tile_shows_its_own_run_in_rows(wall: Stage) -> None:
    wall.show(hung(), wall=PLACES[:, None].repeat(3, 1), covered=np.arange(6), real=REALS)
    boxes = []
    for run in range(6):
        canvas = wall.canvas(tile(wall, run).locator("canvas"))
        for other, place in enumerate(PLACES):
            assert canvas.has(*place, FAKE, 1) is (run == other), (run, other)
        for place in REALS:
            darkest = canvas.around(*place, 1).min(axis=0)
            assert darkest[2] > darkest[0] + 20  # faded blue
        state = "stopped" if run == 4 else f"{run} of 8"
        assert tile(wall, run).inner_text().split("\n") == [f"0.{run}1", state]
        says = f"Run {run + 1}, rate of G 0.{run}1, {run} of 8 modes"
        label = tile(wall, run).get_attribute("aria-label")
        assert label == says + (", stopped" if run == 4 else "")
        boxes.append(tile(wall, run).bounding_box())
    rows, columns = ([box[axis] for box in boxes if box] for axis in ("y", "x"))
    assert rows[0] == rows[1] == rows[2] < rows[3] == rows[4] == rows[5]
    assert columns[:3] == columns[3:] == sorted(columns[:3])
    assert (
        "below each, its rate of G and the modes covered"
        in wall.page.locator(".gan-runs .gan-reading").inner_text()
    )


def test_a_tile_has_eighty_real_samples(wall: Stage) -> None:
    across, up = np.meshgrid(np.linspace(-0.8, 2.8, 9), np.linspace(-0.8, 2.8, 9))
    real = np.stack([across.ravel(), up.ravel()], axis=1)
    wall.show(hung(), wall=np.full((6, 1, 2), 9.0), real=real)
    canvas = wall.canvas(tile(wall, 3).locator("canvas"))
    drawn = [canvas.around(*place, 1).min() < 200 for place in real]
    assert drawn == [True] * 80 + [False]


def test_on_a_screen_of_fine_pixels_the_picture_is_as_large_and_finer(lab: Stage) -> None:
    ratio = "r => Object.defineProperty(window, 'devicePixelRatio', {value: r, configurable: true})"
    lab.show(real=REALS, fake=FAKES)
    coarse = lab.canvas()
    try:
        lab.page.evaluate(ratio, 2)
        lab.show(real=REALS, fake=FAKES, curves=curves())
        fine = lab.canvas()
        panel = lab.canvas(lab.panel("D, on average").locator("canvas"))
    finally:
        lab.page.evaluate(ratio, 1)
    assert (fine.width, fine.height) == (2 * coarse.width, 2 * coarse.height)
    assert all(fine.has(x, y, REAL, 2) for x, y in REALS)
    assert all(fine.has(x, y, FAKE, 2) for x, y in FAKES)
    assert 3 < len(fine.where(REAL)) / len(coarse.where(REAL)) < 5
    assert panel.where(REAL)[:, 0].max() > 0.9 * panel.width


def test_a_tile_of_the_line_has_rugs(wall: Stage) -> None:
    runs = np.linspace(-0.7, 1.9, 6)[:, None, None].repeat(3, 1)
    wall.show(line_head(), wall=runs, real=[[2.5]])
    for run in range(6):
        canvas = wall.canvas(tile(wall, run).locator("canvas"))
        row = round(canvas.width / 2 + 3)
        marked = np.flatnonzero(np.abs(canvas.colours[row] - PAPER).sum(axis=1) > 60)
        assert np.abs(marked - canvas.place(runs[run, 0, 0], 0)[0]).max() <= 1
        above = np.flatnonzero(np.abs(canvas.colours[row - 8] - PAPER).sum(axis=1) > 30)
        assert np.abs(above - canvas.place(2.5, 0)[0]).max() <= 1
        orange, blue = canvas.colours[row, marked[0]], canvas.colours[row - 8, above[0]]
        assert orange[0] > orange[2] and blue[2] > blue[0]


def test_while_it_plays_every_tile_and_curve_is_renewed_within_five_pictures(wall: Stage) -> None:
    wall.show(hung(), wall=PLACES[:, None])
    moved = PLACES[::-1] * 0.9
    for number in range(2, 7):
        wall.show(hung(playing=True, number=number), wall=moved[:, None], curves=curves())
    for run in range(6):
        canvas = wall.canvas(tile(wall, run).locator("canvas"))
        assert canvas.has(*moved[run], FAKE, 1) and not canvas.has(*PLACES[run], FAKE, 1)
    assert len(wall.canvas(wall.panel("V(D, G)").locator("canvas")).where(JUDGE))


def test_the_lifted_tile_is_marked_and_a_click_asks_for_its_run(wall: Stage) -> None:
    wall.show(hung(run=2), wall=PLACES[:, None])
    pressed = "[...document.querySelectorAll('.gan-wall button')].map(b => b.ariaPressed)"
    assert wall.page.evaluate(pressed) == ["true" if run == 2 else "false" for run in range(6)]
    tile(wall, 4).click()
    assert wall.sent("lift") == [{"kind": "lift", "run": 4}]
    assert wall.control("generator_rate").is_disabled()
    assert wall.control("discriminator_rate").is_enabled()
    seeds = picture_head(run=4, modes=0)
    wall.show(seeds, wall=PLACES[:, None])
    note = wall.page.locator(".gan-runs .gan-reading").inner_text()
    assert note == "6 runs that differ in their seed. Click one to lift it."


# --- What is said -----------------------------------------------------------------------------


def test_every_control_says_its_name_and_its_value_and_shows_it(lab: Stage) -> None:
    lab.show()
    for name, control in controls(1).items():
        options, labels = list(control.options), list(control.labels or control.options)
        element, so_far, expected = lab.control(name), len(lab.orders()), []
        if control.menu:
            for at, label in enumerate(labels):
                element.select_option(str(label))
                expected.append(options[at])
        elif len(options) > 100:
            element.fill("417")
            element.press("Enter")
            expected.append(417)
        else:
            for key, at in (("End", -1), ("ArrowLeft", -2), ("Home", 0), ("ArrowRight", 1)):
                element.press(key)
                row = lab.page.locator("label", has=element)
                shown = row.locator(".gan-value").inner_text()
                assert shown == str(labels[at]) == element.get_attribute("aria-valuetext")
                expected.append(options[at])
        said = [order["values"] for order in lab.orders()[so_far:]]
        assert said == [{name: value} for value in expected]


_EXPLAINED = """() => {
    const help = document.querySelector('.gan-help');
    return [...document.querySelectorAll('.gan-lab [aria-description]')].map(part => {
        const row = part.closest('label') ?? part;
        row.dispatchEvent(new PointerEvent('pointerenter'));
        const entered = help.textContent;
        part.dispatchEvent(new FocusEvent('focusin', { bubbles: true }));
        const legend = part.closest('fieldset')?.querySelector('legend').textContent ?? '';
        const name = part.dataset.control ?? row.textContent;
        return [name, legend, row.title, part.getAttribute('aria-description'), entered,
                help.textContent];
    });
}"""


def test_what_a_part_is_for_is_said_by_tooltip_by_help_and_to_a_screen_reader(lab: Stage) -> None:
    lab.show()
    expected = {
        name: (control.group, control.help, f"{control.help} Chapter {control.chapter}.")
        for name, control in controls(1).items()
    }
    words = {"optimal": "D*", "belief": "D(x)"}
    expected |= {words.get(name, name): ("Layers", help, help) for name, help in LAYERS.items()}
    found = {name: rest for name, *rest in lab.page.evaluate(_EXPLAINED)}
    for name, (group, help, line) in expected.items():
        assert found.pop(name) == [group, help, help, line, line], name
    begins = {
        "Play": "Train until",
        "D step": "Move the discriminator once.",
        "G step": "Move the generator once.",
        "Slow motion": "One round in slow motion",
        "Draw data": "Draw a distribution",
        "Reset": "Fresh networks",
    }
    assert list(found) == list(begins)
    for name, (_, *said) in found.items():
        assert len(set(said)) == 1 and said[0].startswith(begins[name]), name
    canvases = lab.page.locator(".gan-curves canvas")
    spoken = canvases.evaluate_all("all => all.map(canvas => canvas.ariaLabel)")
    assert spoken == list(PANELS)


def test_help_leads_to_the_chapter_of_the_control(
    page: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT / "notebooks")
    lab = page.mount()
    lab.show()
    for name in ("k", "packing"):
        lab.control(name).focus()
        link = lab.page.locator(".gan-help a")
        chapter = controls(1)[name].chapter
        assert link.inner_text() == f"Chapter {chapter}."
        (notebook,) = (ROOT / "notebooks").glob(f"{chapter}_*.ipynb")
        assert link.get_attribute("href") == notebook.name
        assert (link.get_attribute("target"), link.get_attribute("rel")) == ("_blank", "noopener")


def test_a_number_is_rounded_and_has_the_ends_of_its_range(lab: Stage) -> None:
    lab.show()
    seed = lab.control("seed")
    assert (seed.get_attribute("min"), seed.get_attribute("max")) == ("0", "999")
    seed.fill("416.7")
    seed.press("Enter")
    assert lab.orders()[-1]["values"] == {"seed": 417}


def test_every_control_shows_the_kernel_s_value(lab: Stage) -> None:
    for at in (0, -1, 1):
        values = {name: list(control.options)[at] for name, control in controls(1).items()}
        lab.show(picture_head(values=values))
        for name, control in controls(1).items():
            labels = [str(label) for label in control.labels or control.options]
            element = lab.control(name)
            if control.menu:
                shown = element.evaluate("s => s.selectedOptions[0].textContent")
            elif name == "seed":
                shown = element.input_value()
            else:
                shown = element.get_attribute("aria-valuetext")
                assert element.input_value() == str(range(len(labels))[at])
                row = lab.page.locator("label", has=element)
                assert row.locator(".gan-value").inner_text() == shown
            assert shown == labels[at], name


def test_a_value_between_two_stops_is_said_as_it_is(lab: Stage) -> None:
    lab.show(picture_head(values={"generator_rate": 0.0042, "k": 3}))
    slider = lab.control("generator_rate")
    assert slider.get_attribute("aria-valuetext") == "0.0042"
    stops = np.array(controls(1)["generator_rate"].options)
    assert slider.input_value() == str(np.abs(stops - 0.0042).argmin())


BUTTONS = {
    "Play": {"kind": "do", "action": "play"},
    "D step": {"kind": "do", "action": "D step"},
    "G step": {"kind": "do", "action": "G step"},
    "Slow motion": {"kind": "do", "action": "slow motion"},
    "Reset": {"kind": "do", "action": "reset"},
}


def test_every_button_says_what_it_is_called(lab: Stage) -> None:
    lab.show()
    for name in BUTTONS:
        lab.button(name).click()
    assert lab.sent("do") == [*BUTTONS.values()]
    lab.show(picture_head(playing=True, slow=True, seen={lab.orders()[0]["page"]: 5}))
    lab.button("Pause").press("Enter")
    assert lab.sent("do")[-1] == {"kind": "do", "action": "pause"}
    assert lab.button("Slow motion").get_attribute("aria-pressed") == "true"


def test_a_remedy_is_offered_by_its_name_and_taken_once(lab: Stage) -> None:
    lab.show(picture_head(remedy={"label": "Slower, please", "values": {}}))
    lab.page.get_by_role("button", name="Slower, please").click()
    assert lab.sent("remedy") == [{"kind": "remedy"}]
    expect(lab.page.locator(".gan-remedy")).to_be_hidden()


MEASURES = {
    "outside": 0.25,
    "value": -1.2345,
    "loss": 0.5678,
    "least": 0.1234,
    "modes": 5,
    "quality": 0.876,
    "gap": 0.0456,
    "divergence": 0.3333,
    "real": 0.81,
    "fake": 0.19,
}
FACTS = (
    "step 7 · V = −1.234 · D's loss = 0.568 · of D* = 0.123 · 5 of 8 modes · 88\u00a0% near one · "
    "V(D*) − V(D) = 0.046 · JS = 0.333 · 25\u00a0% of the samples outside the picture"
)


def test_the_facts_are_the_measures(lab: Stage) -> None:
    lab.show(picture_head(measures=MEASURES))
    facts = lab.page.locator(".gan-facts").text_content()
    assert facts.replace("−1.235", "−1.234") == FACTS
    spoken = lab.page.locator("canvas.gan-view").get_attribute("aria-label")
    assert FACTS.split(" · ")[4] in spoken
    assert spoken.endswith("D averages 0.81 on real and 0.19 on generated samples.")
    scores = {"outside": 0.0, "real_score": 2.5, "fake_score": -1.25, "loss": None}
    lab.show(picture_head(measures=scores))
    assert lab.text("facts") == "step 7 · D's loss = not finite"
    spoken = lab.page.locator("canvas.gan-view").get_attribute("aria-label")
    assert "2.50 on real and −1.25 on generated" in spoken


def test_while_it_plays_the_picture_is_described_now_and_then(lab: Stage) -> None:
    """Not with each picture: a screen reader would speak without end."""
    clock = "time => { performance.now = () => time; }"
    spoken = []
    for number, time in enumerate((10_000, 10_100, 11_400, 11_600), 1):
        lab.page.evaluate(clock, time)
        lab.show(picture_head(number=number, step=number, playing=True))
        label = lab.page.locator("canvas.gan-view").get_attribute("aria-label")
        spoken.append(int(re.findall(r"step (\d+)", str(label))[0]))
    lab.page.evaluate("() => { delete performance.now; }")
    assert spoken == [1, 1, 1, 4]


def test_notes_and_readings_are_said_as_text(lab: Stage) -> None:
    note = {"kind": "warning", "text": "<b>Mind</b> this"}
    lab.show(picture_head(note=note, reading={"name": "D", "text": "A score."}))
    assert lab.page.locator(".gan-note").text_content() == "<b>Mind</b> this"
    assert lab.page.locator(".gan-note").get_attribute("data-kind") == "warning"
    assert lab.text("reading") == "A score."
    lab.show(picture_head())
    assert lab.page.locator(".gan-note").text_content() == ""


# --- Data drawn by hand -----------------------------------------------------------------------


def test_what_is_drawn_with_the_pointer_is_where_it_was_drawn(lab: Stage) -> None:
    lab.show()
    lab.button("Draw data").press("Enter")
    box = lab.page.locator("canvas.gan-view").bounding_box()
    path = [(0.2, 0.3), (0.5, 0.35), (0.6, 0.8)]
    mouse = lab.page.mouse
    mouse.move(
        *(box[a] + s * box[b] for a, b, s in zip("xy", ("width", "height"), path[0], strict=True))
    )
    mouse.down()
    for place in path[1:]:
        mouse.move(
            *(box[a] + s * box[b] for a, b, s in zip("xy", ("width", "height"), place, strict=True))
        )
    expected = [(LOW + 4 * across, HIGH - 4 * down) for across, down in path]
    canvas = lab.canvas()
    assert all(canvas.has(x, y, REAL, 3) for x, y in expected)
    mouse.up()
    (drawn,) = lab.sent("drawn")
    np.testing.assert_allclose(drawn["points"], expected, atol=0.03)
    assert lab.button("Draw data").get_attribute("aria-pressed") == "false"
    assert not len(lab.canvas().where(REAL))


def test_what_is_drawn_with_the_keys_is_where_the_cursor_was(lab: Stage) -> None:
    lab.show()
    lab.button("Draw data").press("Enter")
    view = lab.page.locator("canvas.gan-view")
    for key in ("ArrowRight",) * 5 + ("Space",) + ("ArrowUp",) * 10 + ("ArrowLeft", "Space"):
        view.press(key)
    canvas = lab.canvas()
    column, row = canvas.place(1.32, 1.8)
    assert canvas.at(column - 6, row - 6, INK, 1) and canvas.at(column + 6, row + 6, INK, 1)
    view.press("Enter")
    (drawn,) = lab.sent("drawn")
    np.testing.assert_allclose(drawn["points"], [[1.4, 1.0], [1.32, 1.8]], atol=1e-6)
    lab.button("Draw data").press("Enter")
    view.press("Space")
    view.press("ArrowDown")
    view.press("Space")
    view.press("Escape")
    assert len(lab.sent("drawn")) == 1


def test_a_drawing_that_was_given_up_is_not_sent_with_the_next(lab: Stage) -> None:
    lab.show()
    view = lab.page.locator("canvas.gan-view")
    lab.button("Draw data").press("Enter")
    for key in ("Space", "ArrowUp", "Space", "Escape"):
        view.press(key)
    lab.button("Draw data").press("Enter")
    for key in ("Space", "ArrowRight", "Space", "Enter"):
        view.press(key)
    (drawn,) = lab.sent("drawn")
    np.testing.assert_allclose(drawn["points"], [[1.0, 1.0], [1.08, 1.0]], atol=1e-6)


def test_the_cursor_stays_on_the_picture(lab: Stage) -> None:
    lab.show()
    lab.button("Draw data").press("Enter")
    keys = ["ArrowRight", "ArrowUp"] * 30 + [" ", "ArrowLeft", " "]
    keys += ["ArrowLeft", "ArrowDown"] * 60 + [" ", "Enter"]
    lab.page.locator("canvas.gan-view").evaluate(
        """(canvas, keys) => {
            for (const key of keys) canvas.dispatchEvent(new KeyboardEvent('keydown', { key }));
        }""",
        keys,
    )
    (drawn,) = lab.sent("drawn")
    expected = [[HIGH, HIGH], [HIGH - 0.08, HIGH], [LOW, LOW]]
    np.testing.assert_allclose(drawn["points"], expected, atol=1e-6)


def test_what_is_drawn_lies_in_the_window_that_is_on_the_screen(lab: Stage) -> None:
    lab.show()
    lab.show(picture_head(window=[0.0, 10.0]))  # of other data, since
    lab.button("Draw data").press("Enter")
    for key in ("Space", "ArrowRight", "Space", "Enter"):
        lab.page.locator("canvas.gan-view").press(key)
    (drawn,) = lab.sent("drawn")
    np.testing.assert_allclose(drawn["points"], [[5.0, 5.0], [5.2, 5.0]], atol=1e-6)


def test_a_long_drawing_is_thinned_evenly(lab: Stage) -> None:
    lab.show()
    lab.button("Draw data").press("Enter")
    lab.page.locator("canvas.gan-view").evaluate("""canvas => {
        const box = canvas.getBoundingClientRect();
        for (let i = 0; i < 1000; i++) {
            const place = { clientX: box.left + box.width * i / 1000, clientY: box.top + 9 };
            canvas.dispatchEvent(new PointerEvent('pointermove', { ...place, buttons: 1 }));
        }
        canvas.dispatchEvent(new PointerEvent('pointerup'));
    }""")
    (drawn,) = lab.sent("drawn")
    across = np.array(drawn["points"])[:, 0]
    assert 200 <= len(across) <= 400
    assert np.diff(across).std() < 1e-3 and across[-1] > HIGH - 0.1


# --- The code's parts -------------------------------------------------------------------------

JS = front.HERE / "js"
DECLARED = r"^(?:export )?(?:async )?(?:function|const|let) (\w+)"
IMPORTED = r"^import \{ ([^}]+) \} from \"\./(\w+)\.js\";"


def parts() -> dict[str, str]:
    return {path.stem: path.read_text(encoding="utf-8") for path in JS.glob("*.js")}


def test_every_module_of_the_page_is_in_it_once_after_what_it_imports() -> None:
    assert sorted(parts()) == sorted(front.MODULES)
    names = [name for code in parts().values() for name in re.findall(DECLARED, code, re.M)]
    assert len(names) == len(set(names))
    for name, code in parts().items():
        before = front.MODULES[: front.MODULES.index(name)]
        for taken, module in re.findall(IMPORTED, code, re.M):
            assert module in before, f"{name} imports {module}"
            exported = re.findall(
                DECLARED.replace("(?:export )?", "export "), parts()[module], re.M
            )
            assert set(taken.split(", ")) <= set(exported), f"{name} imports {taken}"


def test_the_modules_run_as_they_are_written(page: Stage) -> None:
    """With their own imports, so that none is missing: in each kind of picture."""

    def serve(route: Any) -> None:
        name = route.request.url.rpartition("/")[2]
        code = MAIN if name == "main.js" else (JS / name).read_text(encoding="utf-8")
        headers = {"Access-Control-Allow-Origin": "*"}
        route.fulfill(body=code, content_type="text/javascript", headers=headers)

    page.page.route("http://lab.test/*", serve)
    try:
        page.page.evaluate("() => window.follow('http://lab.test/main.js')")
        lab = page.mount(runs=6)
        plane = {"belief": quartered(40), "mesh": np.zeros((3, 3, 2)), "thread": REALS}
        lab.show(hung(), real=REALS, fake=FAKES, wall=PLACES[:, None], curves=curves(), **plane)
        lab.show(hung(), arrows=np.array([*ARROWS]), optimal=quartered(10))
        lines = {name: values for name, (values, _) in LINES.items()}
        runs = np.zeros((6, 3, 1))
        lab.show(line_head(), real=[[0.5]], fake=[[1.0]], wall=runs, ladder=[[0, 1]], **lines)
        lab.show(line_head(), arrows=np.ones((9, 2)), optimal=np.full(40, 0.5))
        lab.control("k").press("ArrowRight")
        lab.button("Draw data").press("Enter")
        for key in ("Space", "ArrowUp", "Space", "Enter"):
            lab.page.locator("canvas.gan-view").press(key)
        lab.end("It stopped.")
        record(page)
        assert page.text("facts") == "step 0"
        assert page.console == []
    finally:
        page.page.unroute("http://lab.test/*")
        page.load(front.script())


MAIN = """export { replay } from "./replay.js";
import { render } from "./jupyter.js";
export default { render };
"""


# --- A recording ------------------------------------------------------------------------------


@pytest.fixture
def recording(page: Stage) -> Iterator[Stage]:
    yield record(page)
    assert page.console == []


def record(page: Stage) -> Stage:
    """Three pictures, at the steps 0, 10 and 40, in which k and the samples move."""
    pictures = []
    for at, step in enumerate(CURVES["step"]):
        head = picture_head(step=step, values={"k": 3 + at}, layers=["real", "generated", "belief"])
        arrays = {"real": REALS, "fake": FAKES + np.array([0.0, 0.1 * at]), "belief": quartered(40)}
        pictures.append((head, arrays))
    page.play(pictures, curves())
    return page


def test_a_recording_shows_each_picture_at_its_time(recording: Stage) -> None:
    for at, key in enumerate(("Home", "ArrowRight", "End")):
        recording.page.get_by_label("time").press(key)
        assert recording.text("facts").startswith(f"step {CURVES['step'][at]}")
        time = recording.page.get_by_label("time")
        assert time.input_value() == str(at)
        assert time.get_attribute("aria-valuetext") == f"step {CURVES['step'][at]}"
        canvas = recording.canvas()
        for number, (x, y) in enumerate(FAKES):
            assert canvas.has(x, y + 0.1 * at, FAKE, 1), (at, number)
        assert all(canvas.has(x, y, REAL, 1) for x, y in REALS)
        for place, share in QUARTERS.items():
            assert same(colour(canvas, *place), shade(share), 4)
        k = recording.control("k")
        assert k.get_attribute("aria-valuetext") == str(3 + at) and k.is_disabled()
        written = recording.words(recording.panel("D, on average").locator("canvas"))
        assert f"step {CURVES['step'][at]}" in [text for text, *_ in written]
        norms = recording.panel("gradient norms").locator("canvas")
        assert len(recording.canvas(norms).where(JUDGE)) > (0 if at == 0 else 20)
    assert recording.page.get_by_role("button", name="D step").count() == 0


def test_a_layer_of_a_recording_is_hidden_and_shown_again(recording: Stage) -> None:
    boxes = recording.page.locator(".gan-layers")
    assert boxes.locator("label:not([hidden])").count() == 3
    shown = {"real": REAL, "generated": FAKE}
    for name, gone in shown.items():
        box = boxes.get_by_role("checkbox", name=name)
        box.click()
        assert not len(recording.canvas().where(gone, 40))
        assert all(len(recording.canvas().where(c, 40)) for n, c in shown.items() if n != name)
        box.click()
        assert len(recording.canvas().where(gone, 40))
    boxes.get_by_role("checkbox", name="D(x)").click()
    assert same(colour(recording.canvas(), 2.0, 0.0), PAPER)


def test_each_layer_of_a_line_s_recording_hides_all_that_is_its_own(page: Stage) -> None:
    layers = list(LAYERS)
    arrays = {
        **{name: values for name, (values, _) in LINES.items()},
        **{"real": [[0.5]], "fake": [[1.0]], "ladder": [[0, 1]], "optimal": np.full(40, 0.5)},
        "arrows": np.full((9, 2), 0.5),
    }
    page.play([(line_head(step=0, layers=layers), arrays)], curves())
    written = {
        "real": "p_data",
        "generated": "p_g",
        "belief": "D",
        "optimal": "D*",
        "manifold": "z",
    }
    boxes = page.page.locator(".gan-layers input")

    def seen() -> set[str]:
        """The layers of which something is written or, where nothing is, drawn."""
        texts, canvas = {text for text, *_ in page.words()}, page.canvas()
        pull = canvas.at(canvas.place(0.55, 0)[0], 0.78 * canvas.height + 25, INK, 1)
        return {name for name, text in written.items() if text in texts} | {"arrows"} & {
            "arrows" if pull else ""
        }

    assert seen() == set(layers)
    for at, name in enumerate(layers):
        boxes.nth(at).click()
        assert seen() == set(layers) - {name}
        boxes.nth(at).click()
    assert page.console == []


def test_a_recording_plays_some_ten_pictures_a_second(recording: Stage) -> None:
    spy = """() => {
        const own = window.setInterval;
        window.paces = [];
        window.setInterval = (call, ms) => (window.paces.push(ms), own(call, ms));
        document.querySelector(".gan-bar button").click();
        window.setInterval = own;
        return window.paces;
    }"""
    (pace,) = recording.page.evaluate(spy)
    assert 50 <= pace <= 200
    expect(recording.page.locator(".gan-facts")).to_contain_text("step 40")


def test_a_recording_plays_to_its_end_and_then_from_its_start(recording: Stage) -> None:
    play = recording.page.locator(".gan-bar").get_by_role("button").first
    facts = recording.page.locator(".gan-facts")
    for _ in range(2):
        play.press("Enter")
        expect(facts).to_contain_text("step 40")
        expect(play).to_have_text("Play")
        assert recording.page.get_by_label("time").input_value() == "2"
    at_once = "play => { play.click(); return document.querySelector('.gan-facts').textContent; }"
    assert play.evaluate(at_once) == "step 0"
    assert play.inner_text() == "Pause"
    expect(facts).to_contain_text("step 40")
