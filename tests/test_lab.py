"""The driver and the panel: every control works while a training runs."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import ipywidgets as widgets
import matplotlib.pyplot as plt
import pytest
import torch

from gan_course.lab import Driver, Playground


@pytest.fixture
def panel() -> Iterator[Playground]:
    playground = Playground(width=8)
    yield playground
    playground.close()


def controls(panel: Playground) -> dict[str, widgets.Widget]:
    """Every control of the panel by its label."""
    rows = [row for row in panel.children if isinstance(row, widgets.HBox)]
    return {control.description: control for row in rows for control in row.children}


def extremes(control: widgets.Widget) -> list[object]:
    """The least, middle and largest value of a control."""
    if isinstance(control, widgets.Dropdown):
        return list(control.options)
    if isinstance(control, widgets.FloatLogSlider):
        return [
            control.base**e for e in (control.min, (control.min + control.max) / 2, control.max)
        ]
    return [control.min, (control.min + control.max) // 2, control.max]


# --- The driver ------------------------------------------------------------------------


def test_commands_act_between_steps_in_their_order() -> None:
    log: list[str] = []
    driver = Driver(lambda: log.append("step"), lambda: log.append("draw"))
    driver.post(lambda: log.append("first"))
    driver.post(lambda: log.append("second"))
    driver.run(2)
    assert log == ["first", "second", "step", "step", "draw"]


def test_the_task_trains_while_playing_and_rests_when_paused() -> None:
    async def scene() -> tuple[int, int, int]:
        taken = []
        driver = Driver(lambda: taken.append(1), lambda: None).start()
        await asyncio.sleep(0.05)
        before = len(taken)
        driver.post(driver.play)
        await asyncio.sleep(0.1)
        driver.post(driver.pause)
        await asyncio.sleep(0.1)
        during = len(taken)
        await asyncio.sleep(0.1)
        await driver.close()
        return before, during, len(taken)

    before, during, after = asyncio.run(scene())
    assert before == 0
    assert during > 0
    assert after == during


def test_the_kernel_stays_free_while_it_trains() -> None:
    async def scene() -> int:
        driver = Driver(lambda: None, lambda: None).start()
        driver.post(driver.play)
        turns = 0
        for _ in range(20):
            await asyncio.sleep(0)
            turns += 1
        await driver.close()
        return turns

    assert asyncio.run(scene()) == 20


def test_a_command_from_another_thread_wakes_the_task() -> None:
    async def scene() -> list[str]:
        seen: list[str] = []
        driver = Driver(lambda: None, lambda: seen.append("drawn")).start()
        await asyncio.sleep(0)
        thread = threading.Thread(target=lambda: driver.post(lambda: seen.append("posted")))
        thread.start()
        thread.join()
        await asyncio.sleep(0.05)
        await driver.close()
        return seen

    assert asyncio.run(scene())[:2] == ["posted", "drawn"]


def test_playing_ends_by_itself() -> None:
    async def scene() -> tuple[int, bool]:
        taken = []
        driver = Driver(lambda: taken.append(1), lambda: None, limit=25).start()
        driver.post(driver.play)
        await asyncio.sleep(0.2)
        playing = driver.playing
        await driver.close()
        return len(taken), playing

    assert asyncio.run(scene()) == (25, False)


def test_an_error_in_a_step_comes_out_of_close() -> None:
    def fail() -> None:
        raise ZeroDivisionError("in a step")

    async def scene() -> None:
        driver = Driver(fail, lambda: None).start()
        driver.post(driver.play)
        await asyncio.sleep(0.05)
        await driver.close()

    with pytest.raises(ZeroDivisionError, match="in a step"):
        asyncio.run(scene())


# --- The panel -------------------------------------------------------------------------


def test_every_control_works_at_its_extremes_while_training(panel: Playground) -> None:
    for label, control in controls(panel).items():
        if isinstance(control, widgets.Button):
            continue
        start = control.value
        for value in extremes(control):
            control.value = value
            panel.driver.run(2)
        control.value = start
        panel.driver.run(1)
        assert bytes(panel.picture.value).startswith(b"\x89PNG"), label
    assert panel.trainer.steps > 20


def test_a_slider_acts_at_the_next_step(panel: Playground) -> None:
    controls(panel)["k"].value = 7
    assert panel.trainer.settings.k == 1
    panel.driver.run(1)
    assert panel.trainer.settings.k == 7


def test_a_step_of_one_player_moves_that_player_only(panel: Playground) -> None:
    players = {"D step": panel.trainer.discriminator, "G step": panel.trainer.generator}
    for label, moved in players.items():
        before = {
            name: torch.cat([p.flatten() for p in net.parameters()]).clone()
            for name, net in players.items()
        }
        picture = bytes(panel.picture.value)
        controls(panel)[label].click()
        panel.driver.run(0)
        for name, net in players.items():
            after = torch.cat([p.flatten() for p in net.parameters()])
            assert torch.equal(before[name], after) is (net is not moved), (label, name)
        assert bytes(panel.picture.value) != picture


def test_reset_brings_back_the_first_picture_and_keeps_the_settings(panel: Playground) -> None:
    controls(panel)["k"].value = 3
    panel.driver.run(0)
    first = bytes(panel.picture.value)
    panel.driver.run(5)
    assert bytes(panel.picture.value) != first
    controls(panel)["Reset"].click()
    panel.driver.run(0)
    assert panel.trainer.steps == 0
    assert panel.trainer.settings.k == 3


def test_a_training_that_breaks_says_so_in_the_caption(panel: Playground) -> None:
    with torch.no_grad():
        for parameter in panel.trainer.generator.parameters():
            parameter.fill_(torch.nan)
    panel.driver.run(1)
    assert "not finite" in panel.caption.value
    assert panel.driver.playing is False


def test_running_the_cell_again_ends_the_old_panel() -> None:
    async def scene() -> tuple[bool, bool]:
        old = Playground(width=8)
        new = Playground(width=8)
        await asyncio.wait_for(old.driver.close(), timeout=5)
        alive = new.driver._task is not None and not new.driver._task.done()
        new.close()
        return old.driver._closed, alive

    assert asyncio.run(scene()) == (True, True)


def test_two_hundred_moves_leave_no_figure_open(panel: Playground) -> None:
    before = len(plt.get_fignums())
    slider = controls(panel)["k"]
    for move in range(200):
        slider.value = 1 + move % 10
    panel.driver.run(1)
    assert len(plt.get_fignums()) == before
