"""The driver: steps and commands take turns, and the kernel stays free."""

from __future__ import annotations

import asyncio
import threading

import pytest

from gan_course.lab import Driver


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
