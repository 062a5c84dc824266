"""Ctrl-C between two steps, never in the middle of one."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def interrupts() -> Iterator[Callable[[], int]]:
    """Collect SIGINT instead of raising in the middle of a step; yields how many came."""
    seen: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield lambda: 0  # only the main thread receives signals
        return
    previous = signal.signal(signal.SIGINT, lambda number, _frame: seen.append(number))
    try:
        yield lambda: len(seen)
    finally:
        signal.signal(signal.SIGINT, previous)
