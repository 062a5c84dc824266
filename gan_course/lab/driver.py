"""One asyncio task trains in short slices, so that the kernel stays free.

Widget callbacks arrive on the kernel's main thread or on a subshell's, in the middle
of other things. So they never train and never draw: they :meth:`~Driver.post` a
command, and the driver carries it out between two steps.
"""

from __future__ import annotations

import asyncio
import queue
import signal
import threading
import time
from collections.abc import Callable

Command = Callable[[], object]

#: Seconds of training before the driver lets the kernel do something else.
SLICE = 0.03
#: Seconds that the kernel has between two slices, for messages and other cells.
BREATH = 0.01


class Driver:
    """Runs ``step`` while playing, and ``draw`` after each slice or command.

    Args:
        step: takes one training step.
        draw: shows the present state.
        limit: playing pauses by itself after this many steps, so that a page that was
            closed is not sent pictures for ever.

    Attributes:
        playing: whether steps are being taken.
        error: what ended the driver, if something did; :meth:`close` raises it.
    """

    def __init__(self, step: Command, draw: Command, limit: int = 3000) -> None:
        self.step, self.draw, self.limit = step, draw, limit
        self.playing = False
        self.error: BaseException | None = None
        self._commands: queue.SimpleQueue[Command] = queue.SimpleQueue()
        self._left = limit
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
        self.draw()

    async def close(self) -> None:
        """End the task and wait for it.

        Raises:
            BaseException: whatever ended the task before.
        """
        self._closed = True
        self.post(self.pause)
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
            try:
                self._slice()
            except Exception as error:
                self.playing, self.error, self._closed = False, error, True
                raise
            if self.playing:
                self._arm()
                await asyncio.sleep(BREATH)
            else:
                await self._wake.wait()
                self._wake.clear()

    def _slice(self) -> None:
        changed = self._apply()
        end = time.perf_counter() + SLICE
        while self.playing and time.perf_counter() < end:
            self.step()
            changed = True
            self._left -= 1
            self.playing = self._left > 0
        if changed:
            self.draw()

    def _apply(self) -> bool:
        changed = False
        while True:
            try:
                command = self._commands.get_nowait()
            except queue.Empty:
                return changed
            command()
            changed = True

    def _arm(self) -> None:
        """Let JupyterLab's interrupt button pause.

        Between cells ipykernel ignores SIGINT; while it does, our handler takes its place.
        """
        if threading.current_thread() is not threading.main_thread():
            return
        if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:

            def pause(*_: object) -> None:
                self.pause()
                signal.signal(signal.SIGINT, signal.SIG_IGN)

            signal.signal(signal.SIGINT, pause)
