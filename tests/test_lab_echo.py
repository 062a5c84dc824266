"""No echo of an older state moves what the reader has moved since; slow kernels are imitated."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from jupyter_browser import browser
from lab_page import Stage, picture_head, stage
from playwright.sync_api import Browser, expect

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def chrome(chromium_is_there: None) -> Iterator[Browser]:
    with browser() as started:
        yield started


@pytest.fixture
def lab(chrome: Browser) -> Iterator[Stage]:
    with stage(chrome) as made:
        made.mount(runs=4)
        yield made


def answer(lab: Stage, seen: int, number: int = 1, **state: Any) -> None:
    """A picture of a kernel that has seen so many of the reader's moves."""
    orders = lab.orders()
    page = orders[0]["page"] if orders else "nobody"
    lab.show(picture_head(seen={page: seen}, number=number, **state))


@pytest.mark.parametrize("playing", [False, True], ids=["paused", "playing"])
def test_eight_presses_on_a_slow_kernel_end_at_nine(lab: Stage, playing: bool) -> None:
    answer(lab, 0, playing=playing, values={"k": 1})
    k = lab.control("k")
    for press in range(8):  # each picture is three moves behind
        k.press("ArrowRight")
        behind = max(0, press - 2)
        answer(lab, behind, playing=playing, values={"k": 1 + behind})
        assert k.get_attribute("aria-valuetext") == str(press + 2)
    assert [order["values"]["k"] for order in lab.orders()] == list(range(2, 10))
    assert [order["number"] for order in lab.orders()] == list(range(1, 9))
    for seen in (6, 7):
        answer(lab, seen, playing=playing, values={"k": 1 + seen})
        assert k.get_attribute("aria-valuetext") == "9"
    answer(lab, 8, playing=playing, values={"k": 9})
    assert k.get_attribute("aria-valuetext") == "9"
    answer(lab, 8, playing=playing, values={"k": 4})  # set in Python
    assert k.get_attribute("aria-valuetext") == "4"
    assert k.evaluate("input => input.value") == "3"


def test_a_refused_move_goes_back_once_it_is_seen(lab: Stage) -> None:
    answer(lab, 0)
    lab.control("k").press("ArrowRight")
    answer(lab, 0)
    assert lab.control("k").get_attribute("aria-valuetext") == "2"
    answer(lab, 1)
    assert lab.control("k").get_attribute("aria-valuetext") == "1"


def test_another_page_s_moves_are_not_this_one_s(lab: Stage) -> None:
    answer(lab, 0)
    lab.control("k").press("ArrowRight")
    page = lab.orders()[0]["page"]
    lab.show(picture_head(seen={"another": 9, page: 0}, values={"k": 7}))
    assert lab.control("k").get_attribute("aria-valuetext") == "2"
    lab.show(picture_head(seen={"another": 9, page: 1}, values={"k": 7}))
    assert lab.control("k").get_attribute("aria-valuetext") == "7"


def test_each_page_of_a_lab_has_a_name_of_its_own(lab: Stage) -> None:
    """One name for two, and the kernel would take the second's first words for old ones."""
    names = []
    for _ in range(2):
        lab.mount()
        answer(lab, 0)
        lab.button("D step").click()
        names.append(lab.orders()[0]["page"])
    assert len(set(names)) == 2


def test_a_page_that_was_left_draws_nothing_more_and_says_nothing(lab: Stage) -> None:
    answer(lab, 0, step=7)
    lab.page.evaluate("window.leave()")
    said = lab.sent()
    answer(lab, 0, number=99, step=50)
    assert lab.text("facts").startswith("step 7")
    assert lab.sent() == said


def test_a_menu_keeps_the_last_choice(lab: Stage) -> None:
    answer(lab, 0, playing=True)
    menu, chosen = lab.control("loss"), "select => select.selectedOptions[0].textContent"
    for loss in ("hinge", "wasserstein"):
        menu.select_option(loss)
    answer(lab, 0, playing=True)
    answer(lab, 1, playing=True, values={"loss": "hinge"})
    assert menu.evaluate(chosen) == "wasserstein"
    answer(lab, 2, playing=True, values={"loss": "wasserstein"})
    assert menu.evaluate(chosen) == "wasserstein"


def test_boxes_keep_what_was_ticked_and_say_all_of_it(lab: Stage) -> None:
    answer(lab, 0, layers=["real"])
    boxes = lab.page.locator(".gan-layers")
    boxes.get_by_role("checkbox", name="generated").click()
    answer(lab, 0, layers=["real"])
    boxes.get_by_role("checkbox", name="arrows").click()
    answer(lab, 1, layers=["real", "generated"])
    ticked = "[...document.querySelectorAll('.gan-layers input')].map(input => input.checked)"
    assert lab.page.evaluate(ticked) == [True, True, False, False, True, False]
    said = [order["layers"] for order in lab.orders()]
    assert said == [["real", "generated"], ["real", "generated", "arrows"]]
    answer(lab, 2, layers=["real"])
    assert lab.page.evaluate(ticked) == [True, False, False, False, False, False]


def test_play_and_pause_take_turns_at_once(lab: Stage) -> None:
    answer(lab, 0)
    lab.button("Play").press("Enter")
    answer(lab, 0)
    expect(lab.button("Pause")).to_be_visible()
    lab.button("Pause").press("Enter")
    answer(lab, 1, playing=True)
    expect(lab.button("Play")).to_be_visible()
    assert [order["action"] for order in lab.orders()] == ["play", "pause"]
    answer(lab, 2, playing=True)  # and so it is, says the kernel
    expect(lab.button("Pause")).to_be_visible()


def test_a_remedy_that_was_taken_does_not_come_back(lab: Stage) -> None:
    remedy = {"label": "Start again slower", "values": {}}
    answer(lab, 0, remedy=remedy)
    button = lab.page.get_by_role("button", name="Start again slower")
    button.press("Enter")
    for seen, offered in ((0, remedy), (1, None)):
        answer(lab, seen, remedy=offered)
        expect(button).to_be_hidden()
    answer(lab, 1, remedy=remedy)
    expect(button).to_be_visible()


def test_the_last_tile_that_was_clicked_is_the_one_lifted(lab: Stage) -> None:
    answer(lab, 0)
    tiles = lab.page.locator(".gan-wall button")
    pressed = "[...document.querySelectorAll('.gan-wall button')].map(b => b.ariaPressed)"
    for tile in (1, 3):
        tiles.nth(tile).click()
    for seen, run in ((0, 0), (1, 1), (2, 3)):
        answer(lab, seen, run=run, playing=True)
        assert lab.page.evaluate(pressed) == ["false", "false", "false", "true"]
    answer(lab, 2, run=2, playing=True)
    assert lab.page.evaluate(pressed) == ["false", "false", "true", "false"]


def test_what_was_drawn_is_not_replaced_by_what_was_there(lab: Stage) -> None:
    answer(lab, 0)
    lab.control("data").select_option("grid")
    lab.button("Draw data").press("Enter")
    view = lab.page.locator("canvas.gan-view")
    for key in ("Space", "ArrowRight", "Space", "Enter"):
        view.press(key)
    assert [order["kind"] for order in lab.orders()] == ["set", "drawn"]
    chosen = "select => select.selectedOptions[0].textContent"
    for seen, data, shown in ((0, "ring", "grid"), (1, "grid", "grid"), (2, "drawn", "drawn")):
        answer(lab, seen, values={"data": data})
        assert lab.control("data").evaluate(chosen) == shown


def test_a_number_that_is_being_typed_is_left_alone(lab: Stage) -> None:
    answer(lab, 0, playing=True)
    seed = lab.control("seed")
    seed.focus()
    seed.press("Control+A")
    lab.page.keyboard.type("12")
    answer(lab, 0, playing=True)
    lab.page.keyboard.type("3")
    assert seed.input_value() == "123"
    seed.press("Enter")
    assert lab.orders()[-1]["values"] == {"seed": 123}
    seed.press("Control+A")
    lab.page.keyboard.type("9")
    seed.press("Control+A")
    seed.press("Delete")
    seed.blur()  # an empty box asks for nothing
    assert len([o for o in lab.orders() if o["values"] == {"seed": 0}]) == 0
    answer(lab, len(lab.orders()), values={"seed": 123})
    assert seed.input_value() == "123"


def test_what_the_hand_held_follows_once_it_is_let_go(lab: Stage) -> None:
    answer(lab, 0)
    lab.control("k").scroll_into_view_if_needed()
    box = lab.control("k").bounding_box()
    assert box is not None
    lab.page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    lab.page.mouse.down()
    answer(lab, len(lab.orders()), values={"k": 20})
    assert lab.control("k").get_attribute("aria-valuetext") != "20"
    lab.page.mouse.move(box["x"] - 300, box["y"] + 200)  # not over the slider any more
    answer(lab, len(lab.orders()), values={"k": 20})
    assert lab.control("k").get_attribute("aria-valuetext") == "1"
    lab.page.mouse.up()
    expect(lab.control("k")).to_have_attribute("aria-valuetext", "20")


def test_an_end_is_said_after_the_last_picture_and_stays(lab: Stage) -> None:
    lab.page.evaluate("""() => {
        const later = window.requestAnimationFrame;
        window.requestAnimationFrame = (call) => setTimeout(call, 50);
    }""")
    answer(lab, 0, step=11)
    answer(lab, 0, step=12)
    lab.end("It stopped.")
    assert lab.text("note") == "It stopped."
    assert lab.text("facts").startswith("step 12")
    answer(lab, 0, step=13)
    lab.page.evaluate("window.fire('destroy')")
    assert lab.text("note") == "It stopped."
    assert lab.page.locator(".gan-lab").evaluate("lab => lab.inert")


def test_pictures_are_acknowledged_seldom_and_the_last_one_always(lab: Stage) -> None:
    for number in range(1, 41):
        answer(lab, 0, number=number)
    expect_soon = "() => window.sent.filter(m => m.kind === 'acknowledge').length === 2"
    lab.page.wait_for_function(expect_soon)
    assert [message["number"] for message in lab.sent("acknowledge")] == [36, 40]
    assert lab.sent()[0] == {"kind": "hello"}


def test_an_end_before_the_first_picture_is_said_too(lab: Stage) -> None:
    lab.end("It stopped.")
    assert lab.text("note") == "It stopped."
