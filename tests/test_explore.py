"""Sliders redraw, at once without a loop and once for many moves with one."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterator

import matplotlib.pyplot as plt
import pytest
from ipywidgets import VBox
from ipywidgets.widgets.widget import _instances
from matplotlib.figure import Figure

from gan_course import cells
from gan_course.cells import Cell
from gan_course.explore import PAUSE, Suggested, explore, on_press


def controls(box: VBox) -> list:
    return list(box.children[0].children)


def recorder() -> tuple[list[dict], object]:
    seen: list[dict] = []

    def draw(figure: Figure, **values: object) -> None:
        figure.add_subplot().set_title(str(values))
        seen.append(values)

    return seen, draw


def test_each_control_redraws_the_picture() -> None:
    seen, draw = recorder()
    box = explore(draw, mean=(-1.0, 1.0, 0.0), loss=["one", "two"])
    first = bytes(box.children[1].value)
    assert first.startswith(b"\x89PNG")
    slider, menu = controls(box)
    slider.value, menu.value = 0.5, "two"
    assert seen == [
        {"mean": 0.0, "loss": "one"},
        {"mean": 0.5, "loss": "one"},
        {"mean": 0.5, "loss": "two"},
    ]
    assert bytes(box.children[1].value) != first


def test_words_that_are_suggested_may_be_others() -> None:
    seen, draw = recorder()
    (field,) = controls(explore(draw, caption=Suggested(["a circle", "a cross"])))
    assert field.options == ("a circle", "a cross")
    field.value = "two"
    assert [values["caption"] for values in seen] == ["a circle", "two"]
    with pytest.raises(ValueError, match="caption"):
        explore(draw, caption=Suggested())
    with pytest.raises(ValueError, match="caption: 'a circle' occurs twice"):
        explore(draw, caption=Suggested(["a circle", "a cross", "a circle"]))


def test_the_picture_has_words_and_no_tooltip() -> None:
    """With a tooltip, ipywidgets 8.1 shows "Click to show javascript error" in its place."""
    picture, spoken = explore(recorder()[1], alt="a < b", mean=(0.0, 1.0, 0.0)).children[1:]
    assert picture.tooltip is None
    assert "a &lt; b" in spoken.value


def test_its_sketch_draws_what_the_widget_shows() -> None:
    box = explore(recorder()[1], size=(3, 1), alt="a title", mean=(0.0, 1.0, 0.5), k=(1, 5, 2))
    assert box.sketch.png(mean=0.5, k=2) == bytes(box.children[1].value)
    assert box.sketch.png(mean=0.5, k=3) != bytes(box.children[1].value)
    assert (box.sketch.size, box.sketch.alt) == ((3, 1), "a title")


def test_both_ends_and_the_middle_can_be_drawn() -> None:
    seen, draw = recorder()
    (slider,) = controls(explore(draw, std=(0.1, 2.1, 1.0)))
    for value in (slider.min, 1.1, slider.max):
        slider.value = value
    assert [values["std"] for values in seen] == [1.0, 0.1, 1.1, 2.1]


def test_many_moves_in_a_loop_are_one_drawing_of_the_last() -> None:
    async def session() -> list[dict]:
        seen, draw = recorder()
        (slider,) = controls(explore(draw, mean=(0.0, 1.0, 0.0)))
        for step in range(1, 21):
            slider.value = step / 20
        assert len(seen) == 1
        await asyncio.sleep(10 * PAUSE)
        slider.value = 0.25
        await asyncio.sleep(10 * PAUSE)
        return seen

    assert [values["mean"] for values in asyncio.run(session())] == [0.0, 1.0, 0.25]


@pytest.mark.slow
def test_no_pyplot_figure_is_left() -> None:
    before = plt.get_fignums()
    (slider,) = controls(explore(recorder()[1], mean=(0.0, 1.0, 0.0)))
    for step in range(30):
        slider.value = step / 30
    gc.collect()
    assert plt.get_fignums() == before


def test_what_draw_raises_is_not_swallowed() -> None:
    def draw(figure: Figure, mean: float) -> None:
        if mean > 0:
            raise ArithmeticError("boom")

    (slider,) = controls(explore(draw, mean=(0.0, 1.0, 0.0)))
    with pytest.raises(ArithmeticError, match="boom"):
        slider.value = 1.0


def test_a_slider_has_a_hundred_steps_or_those_it_is_given() -> None:
    sliders = controls(explore(recorder()[1], mean=(-1.0, 1.0, 0.0), shift=(0.0, 3.0, 2.0, 0.5)))
    assert [slider.step for slider in sliders] == pytest.approx([0.02, 0.5])


@pytest.mark.parametrize(
    ("control", "step"), [((0, 10, 3), 1), ((0, 1000, 30), 10), ((2, 64, 4, 2), 2)]
)
def test_a_range_of_whole_numbers_gives_whole_numbers(control: tuple, step: int) -> None:
    seen, draw = recorder()
    (slider,) = controls(explore(draw, k=control))
    assert (slider.min, slider.max, slider.step) == (*control[:2], step)
    slider.value = control[2] + step
    assert [values["k"] for values in seen] == [control[2], control[2] + step]
    assert all(type(values["k"]) is int for values in seen)


def test_a_cell_that_runs_again_leaves_no_widget_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    def count() -> int:
        return len(_instances)

    def again(name: str, run: str) -> VBox:
        monkeypatch.setattr(cells, "running", lambda: Cell(name, run))
        return explore(recorder()[1], mean=(0.0, 1.0, 0.5), loss=["one", "two"])

    other = again("other", "0")
    before = count()
    first = again("this", "1")
    made = count() - before
    for run in range(2, 6):
        last = again("this", str(run))
        assert count() == before + made
    assert first.comm is None and last.comm is not None and other.comm is not None


@pytest.mark.parametrize("control", [(0.0, 1.0, 2.0), (0.0, 1.0, 0.5, 0.0)])
def test_a_slider_that_cannot_be_is_named(control: tuple) -> None:
    with pytest.raises(ValueError, match="mean"):
        explore(recorder()[1], mean=control)


def test_a_button_draws_anew_and_shows_each_piece() -> None:
    shown: list[bytes] = []
    free: list[bool] = []

    def draw(figure: Figure) -> Iterator[None]:
        for place in range(3):
            figure.add_subplot(1, 3, place + 1).set_title(str(len(shown)))
            yield
            shown.append(bytes(box.children[1].value) if box else b"")
            free.append(not box.children[0].children[0].disabled if box else False)

    box: VBox | None = None
    box = on_press(draw, "Go", alt="three")
    assert len(shown) == 3  # drawn once, without a press
    button, picture = box.children[0].children[0], box.children[1]
    assert button.description == "Go"
    assert "three" in box.children[2].value
    before = bytes(picture.value)
    button.click()
    assert len(shown) == 6
    assert len({*shown[3:], before}) == 4  # a new picture after each piece
    assert free == [False] * 6  # no second press in the meantime
    assert not button.disabled


def test_a_button_names_a_bad_argument() -> None:
    with pytest.raises(ValueError, match="draw"):
        on_press(3, "Go")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="label = 3"):
        on_press(lambda _: [], 3)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="size"):
        on_press(lambda _: [], "Go", size=(1.0,))  # type: ignore[arg-type]
