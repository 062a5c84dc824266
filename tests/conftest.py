"""Shared by all tests: one thread, no screen, no figure left open, one JupyterLab a file."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from jupyter_browser import Course
    from matplotlib.axes import Axes
    from playwright.sync_api import Browser

pytest.register_assert_rewrite("tools", "toys")  # a failed assert shows its values
# What a shell starts with `&` ignores SIGINT, and so would the processes that tests interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(trylast=True)  # xdist's has been called
def pytest_configure(config: pytest.Config) -> None:
    """One thread, no screen; who only hands tests to the workers need not wait for torch."""
    if config.pluginmanager.hasplugin("dsession"):
        return
    import matplotlib as mpl

    # The device of test_devices.py must be there before autograd's threads are, which start with
    # the first backward: some files of tests do that when they are imported.
    import standin  # noqa: F401
    import torch

    mpl.use("Agg")
    torch.set_num_threads(1)


@pytest.fixture
def ax() -> Iterator[Axes]:
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots()
    yield axes
    plt.close(figure)


@pytest.fixture(scope="session")
def chromium_is_there() -> None:
    from jupyter_browser import NO_CHROMIUM, chromium

    if chromium() is None:
        assert not os.environ.get("CI"), NO_CHROMIUM
        pytest.skip(NO_CHROMIUM)


@pytest.fixture(scope="module")
def browser(chromium_is_there: None) -> Iterator[Browser]:
    """A browser for pages that need no JupyterLab."""
    from jupyter_browser import chromium
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def course(chromium_is_there: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Course]:
    """JupyterLab and a browser; starting them takes longer than most tests."""
    from jupyter_browser import course

    with course(tmp_path_factory.mktemp("course")) as started:
        yield started
