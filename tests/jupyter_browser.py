"""JupyterLab on loopback, driven in a real Chromium as a reader would."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright
from tools import ROOT, load

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "msedge")
PLACES = (
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    r"C:\Program Files\Google\Chrome\Application\chrome.exe",
    r"C:\Program Files (x86)\Microsoft\Edge\Application\msedge.exe",
)
NO_CHROMIUM = (
    "no Chromium here: install it (Debian: apt-get install chromium), or set CHROMIUM to its path"
)
# What a browser without a GPU, or JupyterLab itself, says without anything being wrong.
HARMLESS = ("favicon", "GPU stall", "WebGL", "net::ERR_ABORTED", "ResizeObserver")


def chromium() -> str | None:
    """The path of a Chromium, Chrome or Edge on this machine."""
    named = os.environ.get("CHROMIUM", "")
    found = (shutil.which(name) for name in (named, *NAMES) if name)
    return next((path for path in (*found, *PLACES) if path and Path(path).exists()), None)


@contextlib.contextmanager
def serving(root: Path, home: Path) -> Iterator[str]:
    """Serve ``root`` in JupyterLab; yields the server's address with ``{}`` for a path in it.

    Args:
        root: the folder with the notebooks.
        home: a folder for settings, workspaces and logs, so that none of the user's is touched.
    """
    port, token = _free_port(), secrets.token_hex(8)
    address = f"http://127.0.0.1:{port}/{{}}?token={token}"
    log = home / "jupyterlab.log"
    options = [f"--port={port}", "--ServerApp.port_retries=0", f"--IdentityProvider.token={token}"]
    options += ["--no-browser", "--ip=127.0.0.1", f"--ServerApp.root_dir={root}", "--allow-root"]
    options += ["--LabApp.expose_app_in_browser=True", "--LabApp.extension_manager=readonly"]
    with log.open("wb") as file:
        server = subprocess.Popen(
            [sys.executable, "-m", "jupyterlab", *options],
            stdout=file,
            stderr=subprocess.STDOUT,
            env=_environment(home),
            cwd=root,
        )
        try:
            _wait(address.format("api/status"), server, log)
            yield address
        finally:
            _stop(server)


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _environment(home: Path) -> dict[str, str]:
    """The variables under which ``make lab`` runs, with a home of its own."""
    folders = {
        "JUPYTER_CONFIG_DIR": "config",
        "JUPYTER_RUNTIME_DIR": "runtime",
        "IPYTHONDIR": "ipython",
        "JUPYTERLAB_WORKSPACES_DIR": "workspaces",
        "JUPYTERLAB_SETTINGS_DIR": "settings",
    }
    ours = {name: str(home / folder) for name, folder in folders.items()}
    return {**load("tasks.py").environment(), **ours}


def _wait(address: str, server: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + 300  # a busy machine is no failure
    while server.poll() is None and time.monotonic() < end:
        with contextlib.suppress(urllib.error.URLError, ConnectionError, TimeoutError):
            urllib.request.urlopen(address, timeout=5).close()
            return
        time.sleep(0.1)
    raise RuntimeError(f"JupyterLab did not start:\n{log.read_text(errors='replace')[-3000:]}")


def _stop(server: subprocess.Popen[bytes]) -> None:
    """One polite signal: the server shuts its kernels down before it ends."""
    if os.name == "nt":
        server.terminate()
    else:
        server.send_signal(signal.SIGTERM)
    try:
        server.wait(30)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()


@dataclass
class Lab:
    """A notebook open in JupyterLab: what a reader sees, and can do."""

    page: Page
    console: list[str] = field(default_factory=list)

    def open(self, address: str) -> None:
        """Open the notebook at an address and wait until its kernel is there."""
        self.page.goto(address)
        self.page.wait_for_selector(".jp-NotebookPanel .jp-Notebook .jp-Cell", timeout=300_000)
        # Before the kernel is connected, "Run All" opens a dialog.
        self.page.wait_for_function(
            "() => window.jupyterapp?.shell.currentWidget?.sessionContext?.session?.kernel?.status"
            " === 'idle'",
            timeout=300_000,
        )

    def run_all(self, timeout: float = 600) -> None:
        """Run every cell from the menu and wait until each has a number."""
        self.clear()
        self._menu("Run", "Run All Cells")
        # Asked twice a second: at each frame, the question costs more than many a cell.
        self.page.wait_for_function(
            f"() => {_DONE}.every(done => done)", timeout=timeout * 1e3, polling=500
        )

    def run_cell(self, at: int) -> None:
        """Run one cell, and wait until it has run."""
        self.page.evaluate(_RUN, at)

    def said(self, at: int) -> Any:
        """Run one cell, and return what it printed, read as JSON."""
        return json.loads(self.page.evaluate(_RUN, at))

    def clear(self) -> None:
        """Clear all outputs, so that what is seen later is new."""
        self._menu("Edit", "Clear Outputs of All Cells")
        self.page.wait_for_function(f"() => {_DONE}.every(done => !done)")

    def _menu(self, menu: str, item: str) -> None:
        self.page.get_by_role("menuitem", name=menu, exact=True).click()
        self.page.get_by_role("menuitem", name=item, exact=True).click()

    def errors(self) -> list[str]:
        """The text of every output that is an error or comes from stderr."""
        return [text for cell in self.page.evaluate(f"() => {_CELLS}") for text in cell["bad"]]

    def outputs(self) -> list[list[dict[str, Any]]]:
        """What each code cell has put out, as the notebook's file would hold it."""
        return list(self.page.evaluate(f"() => {_CELLS}.map(cell => cell.outputs)"))

    def complaints(self) -> list[str]:
        """What the browser's console calls an error, the harmless left out."""
        return [text for text in self.console if not any(word in text for word in HARMLESS)]

    def crowded(self) -> list[str]:
        """What on the screen is cut off, overlaps, or is wider than its place, in words."""
        return list(self.page.evaluate(_CROWDED))

    def switch_theme(self, name: str) -> None:
        """Switch to JupyterLab's theme ``Light`` or ``Dark``, and wait until it is there."""
        command = "name => window.jupyterapp.commands.execute('apputils:change-theme', name)"
        self.page.evaluate(command, {"theme": f"JupyterLab {name}"})
        light = "light => document.body.dataset.jpThemeLight === light"
        self.page.wait_for_function(light, arg=str(name == "Light").lower())

    def scroll_to(self, fraction: float) -> float:
        """Scroll the notebook; returns how many screenfuls it has."""
        return float(self.page.evaluate(_SCROLL, fraction))

    def unrendered_mathematics(self) -> list[str]:
        """Paragraphs in which a dollar sign still stands beside TeX."""
        self.scroll_to(1)
        self.scroll_to(0)
        texts = self.page.locator(".jp-RenderedMarkdown").all_inner_texts()
        return [text for text in texts if "$" in text and "\\" in text]

    def slider(self) -> Locator:
        """The handle of the first slider, for the keyboard."""
        return self.page.locator(".jp-OutputArea .widget-slider .noUi-handle").first

    def picture(self) -> str:
        """The address of the widget's picture, which changes with what it shows."""
        return str(self.page.locator(".jp-OutputArea img.widget-image").first.get_attribute("src"))

    def wait_for_another_picture(self, than: str) -> str:
        """Wait until the picture differs from ``than``, and return it."""
        image = self.page.locator(".jp-OutputArea img.widget-image").first
        expect(image).not_to_have_attribute("src", than, timeout=30_000)
        return self.picture()


# Run a cell, and return the text it printed.
_RUN = """async at => {
    const notebook = window.jupyterapp.shell.currentWidget.content;
    notebook.activeCellIndex = at;
    const late = new Promise((_, fail) => setTimeout(
        () => fail(new Error(`cell ${at} has not run within 300 s`)), 300e3));
    await Promise.race([window.jupyterapp.commands.execute('notebook:run-cell'), late]);
    const outputs = notebook.widgets[at].model.outputs.toJSON();
    return outputs.map(output => [].concat(output.text ?? '').join('')).join('');
}"""

# Cells are read from the model: those far from the screen have no element.
_CODE = """[...window.jupyterapp.shell.currentWidget.content.widgets]
    .map(cell => cell.model).filter(model => model.type === 'code')"""
_DONE = f"""{_CODE}
    .map(model => model.executionCount !== null && model.executionState !== 'running')"""
_CELLS = (
    _CODE
    + """.map(model => {
        const outputs = model.outputs.toJSON();
        const bad = outputs.filter(o => o.output_type === 'error' || o.name === 'stderr')
            .map(o => o.evalue ? `${o.ename}: ${o.evalue}` : [].concat(o.text).join(''));
        return {bad, outputs};
    })"""
)

# In the lab: no text cut off, nothing outside, no two things on one spot. Elsewhere in the
# notebook: nothing so wide that it has to be scrolled sideways.
_CROWDED = r"""() => {
    const said = [];
    const words = e => e.selectedOptions?.[0]?.textContent ?? (e.value || e.textContent).trim();
    const name = e => `${e.tagName} ${e.className || e.parentElement.className} ` +
        `"${words(e).slice(0, 40)}"`;
    const seen = e => e.checkVisibility() && e.getClientRects().length > 0;
    const onScreen = e => {
        const box = e.getBoundingClientRect();
        return seen(e) && box.bottom > 0 && box.top < innerHeight;
    };
    const wide = '.jp-RenderedMarkdown, .jp-OutputArea-output';
    for (const e of [...document.querySelectorAll(wide)].filter(onScreen)) {
        if (e.scrollWidth > e.clientWidth + 1) said.push(`wider than its place: ${name(e)}`);
    }
    const pen = document.createElement('canvas').getContext('2d');
    for (const lab of [...document.querySelectorAll('.gan-lab')].filter(onScreen)) {
        const edge = lab.getBoundingClientRect();
        const things = [...lab.querySelectorAll('*')].filter(seen).filter(e =>
            ['CANVAS', 'INPUT', 'SELECT', 'BUTTON'].includes(e.tagName) ||
            [...e.childNodes].some(n => n.nodeType === 3 && n.data.trim()));
        const place = e => {
            if (e.tagName !== 'P' && e.tagName !== 'LABEL') return e.getBoundingClientRect();
            const range = document.createRange();  // the text alone
            range.selectNodeContents(e);
            return range.getBoundingClientRect();
        };
        const boxes = things.map(place);
        things.forEach((e, i) => {
            const box = boxes[i];
            if (box.left < edge.left - 1 || box.right > edge.right + 1)
                said.push(`outside: ${name(e)}`);
            const style = getComputedStyle(e);
            pen.font = style.font;
            const needs = e.tagName === 'SELECT' ? pen.measureText(words(e)).width + 22
                : ['INPUT', 'CANVAS'].includes(e.tagName) || style.display === 'inline' ? 0
                : e.scrollWidth - 1;
            if (needs > e.clientWidth) said.push(`cut off: ${name(e)}`);
            for (let j = 0; j < i; j++) {
                const [other, o] = [things[j], boxes[j]];
                const across = Math.min(box.right, o.right) - Math.max(box.left, o.left);
                const down = Math.min(box.bottom, o.bottom) - Math.max(box.top, o.top);
                if (across > 2 && down > 2 && !other.contains(e) && !e.contains(other))
                    said.push(`on one spot: ${name(e)} and ${name(other)}`);
            }
        });
    }
    return said;
}"""

_SCROLL = """async fraction => {
    const box = [...document.querySelectorAll('.jp-WindowedPanel-outer')].pop();
    box.scrollTop = fraction * (box.scrollHeight - box.clientHeight);
    await new Promise(resolve => setTimeout(resolve, 300));
    return box.scrollHeight / box.clientHeight;
}"""

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-background-timer-throttling",
]


@contextlib.contextmanager
def browser() -> Iterator[Browser]:
    """A Chromium."""
    with sync_playwright() as playwright:
        chrome = playwright.chromium.launch(executable_path=chromium(), args=FLAGS)
        try:
            yield chrome
        finally:
            chrome.close()


@dataclass
class Course:
    """A JupyterLab and a Chromium, for one notebook after the other."""

    folder: Path
    address: str
    chromium: Browser

    @contextlib.contextmanager
    def opened(self, notebook: Path, width: int = 1280, height: int = 1000) -> Iterator[Lab]:
        """A copy of ``notebook`` in a window of its own; its kernel ends with it."""
        shutil.copy(notebook, self.folder / "course" / "notebooks")
        shutil.rmtree(self.folder / "home" / "settings", ignore_errors=True)  # another's theme
        page = self.chromium.new_page(viewport={"width": width, "height": height})
        lab = Lab(page)
        page.on("pageerror", lambda error: lab.console.append(str(error)))
        page.on(
            "console",
            lambda said: lab.console.append(said.text) if said.type == "error" else None,
        )
        # A workspace of its own, or JupyterLab would open the last one's notebooks, too.
        place = f"lab/workspaces/t{secrets.token_hex(3)}/tree/notebooks/{notebook.name}"
        try:
            lab.open(self.address.format(place))
            yield lab
        finally:
            page.close()
            self._end_kernels()

    def _end_kernels(self) -> None:
        with urllib.request.urlopen(self.address.format("api/sessions"), timeout=30) as answer:
            sessions = json.load(answer)
        for session in sessions:
            address = self.address.format(f"api/sessions/{session['id']}")
            urllib.request.urlopen(
                urllib.request.Request(address, method="DELETE"), timeout=30
            ).close()


@contextlib.contextmanager
def course(folder: Path) -> Iterator[Course]:
    """JupyterLab over a course in ``folder``, which has the book's figures, and a Chromium."""
    root, home = folder / "course", folder / "home"
    (root / "notebooks").mkdir(parents=True)
    home.mkdir()
    shutil.copytree(ROOT / "figures", root / "figures")
    with serving(root, home) as address, browser() as chrome:
        yield Course(folder, address, chrome)
