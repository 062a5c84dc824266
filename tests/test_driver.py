"""The driver: steps and commands take turns, and the kernel stays free."""

from __future__ import annotations

import asyncio
import itertools
import threading

import pytest

from gan_course.lab import Driver, driver
from gan_course.lab.driver import SLICE


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


def test_the_kernel_stays_free_while_it_trains(monkeypatch: pytest.MonkeyPatch) -> None:
    """Others get their turn after each slice; a step takes a millisecond of a clock of our own."""
    log: list[str] = []
    clock = [0.0]
    monkeypatch.setattr(driver.time, "perf_counter", lambda: clock[0])

    def step() -> None:
        log.append("step")
        clock[0] += 1e-3

    async def scene() -> None:
        made = Driver(step, lambda: None, limit=10 * SLICE / 1e-3).start()
        made.post(made.play)
        await asyncio.sleep(0)
        while made.playing or "step" not in log:
            log.append("turn")
            await asyncio.sleep(0)
        await made.close()

    asyncio.run(scene())
    runs = [len(list(steps)) for name, steps in itertools.groupby(log) if name == "step"]
    assert max(runs) <= SLICE / 1e-3 + 1
    assert len(runs) >= 9


def test_a_command_from_another_thread_wakes_the_task() -> None:
    async def scene() -> list[str]:
        seen: list[str] = []
        driver = Driver(lambda: None, lambda: seen.append("drawn")).start()
        await asyncio.sleep(0)
        thread = threading.Thread(target=lambda: driver.post(lambda: seen.append("posted")))
        thread.start()
        thread.join(60)
        assert not thread.is_alive(), "a thread that did not end in 60 s"
        await asyncio.sleep(0.05)
        await driver.close()
        return seen

    assert asyncio.run(scene())[:2] == ["posted", "drawn"]


def test_what_was_asked_for_while_no_picture_was_wanted_is_shown_once_one_is() -> None:
    """It rests, its window is full, and what makes room has nothing of its own to show."""
    log: list[str] = []
    wanted = [False]
    made = Driver(lambda: None, lambda: log.append("draw"), ready=lambda: wanted[0])

    def make_room() -> bool:
        wanted[0] = True
        return False

    made.post(lambda: log.append("moved"))
    made._slice()
    made.post(make_room)
    made._slice()
    assert log == ["moved", "draw"]


def test_a_higher_speed_acts_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    log: list[str] = []
    clock = [100.0]
    monkeypatch.setattr(driver.time, "perf_counter", lambda: clock[0])
    made = Driver(lambda: log.append("step"), lambda: None)
    made.speed, made.playing = 0.5, True
    made._slice()
    clock[0] += 1.9
    made._slice()
    assert log == ["step"]  # the next is due in a tenth of a second
    made.speed = 10
    clock[0] += 0.1
    made._slice()
    assert log == ["step", "step"]
    clock[0] += 0.05
    made.speed = 1000
    made._slice()
    clock[0] += 0.001
    made._slice()
    assert len(log) >= 3


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
