"""One asyncio task trains in short slices, so that the kernel stays free.

Widget callbacks arrive on the kernel's main thread or on a subshell's, in the middle
of other things. So they never train and never draw: they :meth:`~Driver.post` a
command, and the driver carries it out between two steps.
"""

from __future__ import annotations

import asyncio
import math
import queue
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress

Command = Callable[[], object]

#: Seconds of training before the driver lets the kernel do something else. What a reader moves
#: waits for its end: with 0.02 a tenth of a second was missed at the 95th percentile.
SLICE = 0.012
#: Seconds from one slice to the next, if slice and picture take less: 36 pictures a second.
PACE = 1 / 36
#: Seconds that the kernel has between two slices at least, for messages and other cells.
BREATH = 0.004


class Driver:
    """Runs ``step`` while playing, and ``draw`` after each slice or command.

    Args:
        step: takes one training step.
        draw: shows the present state.
        limit: playing pauses by itself after this many steps; for a view that cannot say
            whether anybody still looks.
        ready: whether another picture is wanted. While it is not, no step is taken either;
            whoever makes it true again posts something, which wakes the driver.
        failed: called with what ended the driver, so that the page can say it.

    Attributes:
        playing: whether steps are being taken.
        speed: the largest number of steps in a second.
        error: what ended the driver, if something did; :meth:`close` raises it.
    """

    def __init__(
        self,
        step: Command,
        draw: Command,
        limit: float = 3000,
        ready: Callable[[], bool] = lambda: True,
        failed: Callable[[Exception], object] = lambda _: None,
    ) -> None:
        self.step, self.draw, self.limit = step, draw, limit
        self.ready, self.failed = ready, failed
        self.playing = False
        self.speed = math.inf
        self.error: BaseException | None = None
        self._commands: queue.SimpleQueue[Command] = queue.SimpleQueue()
        self._left = limit
        self._due = 0.0  # when the next step may be taken
        self._changed = False  # since the last picture
        self._closed = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None

    def start(self) -> Driver:
        """Start the task on the running event loop; without one, :meth:`run` drives by hand."""
        try:
            self._loop = asyncio.get_running_loop()
        except RuntimeError:
            return self
        self._wake = asyncio.Event()
        self._task = self._loop.create_task(self._drive())
        return self

    def post(self, command: Command) -> None:
        """Have ``command`` carried out between two steps; may be called on any thread."""
        self._commands.put(command)
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._wake.set)

    def play(self) -> None:
        """Take steps until paused; to be posted."""
        self.playing, self._left = True, self.limit

    def pause(self) -> None:
        """Stop taking steps; to be posted."""
        self.playing = False

    def run(self, steps: int) -> None:
        """Carry out the commands, take ``steps`` steps and draw, here and now."""
        self._apply()
        for _ in range(steps):
            self.step()
            self._apply()
        self._show()

    async def close(self) -> None:
        """End the task and wait for it.

        Raises:
            BaseException: whatever ended the task before.
        """
        self.stop()
        if self._task is not None:
            await self._task
        if self.error is not None:
            raise self.error

    def stop(self) -> None:
        """End the task without waiting."""
        self._closed = True
        self.post(self.pause)

    async def _drive(self) -> None:
        while not self._closed:
            start = time.perf_counter()
            try:
                self._slice()
            except Exception as error:
                self.playing, self.error, self._closed = False, error, True
                self.failed(error)
                raise
            if self.playing and self.ready():
                self._arm()
                await asyncio.sleep(BREATH)
                await self._rest(PACE - (time.perf_counter() - start))
            else:
                await self._rest(None)

    async def _rest(self, seconds: float | None) -> None:
        """Sleep until something is posted, and no longer than ``seconds``."""
        if seconds is None or seconds > 0:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), seconds)
        self._wake.clear()

    def _slice(self) -> None:
        asked = self._apply()
        self._changed |= asked
        if not self.ready():
            return
        now = time.perf_counter()
        end = now + SLICE
        self._due = min(self._due, now + 1 / self.speed)  # the speed may have risen since
        while self.playing and self._due <= now < end:
            self.step()
            self._changed = True
            self._left -= 1
            self.playing = self.playing and self._left > 0
            self._due = max(self._due, now - PACE) + 1 / self.speed
            now = time.perf_counter()
            asked |= self._apply()
            if asked:  # a reader who moved something sees the next step at once
                break
        if self._changed:
            self._show()

    def _show(self) -> None:
        self._changed = False
        self.draw()

    def _apply(self) -> bool:
        changed = False
        while True:
            try:
                command = self._commands.get_nowait()
            except queue.Empty:
                return changed
            # An acknowledgement changes nothing that a picture could show, and says so.
            changed |= command() is not False

    def _arm(self) -> None:
        """Let JupyterLab's interrupt button pause.

        Between cells ipykernel ignores SIGINT; while it does, our handler takes its place.
        """
        if threading.current_thread() is not threading.main_thread():
            return
        if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:

            def pause(*_: object) -> None:
                self.pause()
                self.post(self.pause)  # wakes the driver, which shows that it rests
                signal.signal(signal.SIGINT, signal.SIG_IGN)

            signal.signal(signal.SIGINT, pause)
