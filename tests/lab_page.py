"""The lab's own page in a Chromium, without Jupyter: what it draws, and what it says.

A test shows it pictures made by hand, reads the pixels of its canvases, and moves its controls.
"""

from __future__ import annotations

import base64
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray
from playwright.sync_api import Browser, Page

from gan_course.lab import front
from gan_course.lab.controls import LAYERS, TARGET_MENU, described, offered
from gan_course.lab.curves import NAMES
from gan_course.lab.frames import pack, pack_small

#: Colours of `lab.css` on light paper.
PAPER, INK = (255, 255, 255), (34, 34, 34)
REAL, FAKE, JUDGE, MESH = (0, 114, 178), (213, 94, 0), (0, 163, 131), (204, 121, 167)
#: Not the same on both sides of nought, so that a mirrored picture is another one.
WINDOW = (-1.0, 3.0)

PAGE = """<!doctype html><meta charset="utf-8"><style>body {{ margin: 0 }} {css}</style>
<main id="root"></main>
<script>
for (const method of ["fillText", "clearRect"]) {{
  const own = CanvasRenderingContext2D.prototype[method];
  CanvasRenderingContext2D.prototype[method] = function (...given) {{
    if (method === "clearRect") this.canvas.words = [];
    else this.canvas.words?.push(given);
    return own.apply(this, given);
  }};
}}
</script>
<script type="module">
const listeners = new Map();
const model = {{
  get: () => window.described,
  send: (message) => window.sent.push(message),
  on: (event, listener) => listeners.set(event, listener),
  off: (event) => listeners.delete(event),
}};
const drawn = () => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
let lab;
window.follow = async (address) => {{
  lab = await import(address);
}};
window.load = (code) => window.follow("data:text/javascript;base64," + code);
window.mount = (page) => {{
  window.leave?.();
  document.getElementById("root").replaceChildren();
  window.sent = [];
  window.described = page;
  window.leave = lab.default.render({{ model, el: document.getElementById("root") }});
}};
window.receive = async (message, block) => {{
  const bytes = Uint8Array.from(atob(block), (character) => character.charCodeAt(0));
  listeners.get("msg:custom")?.(message, [new DataView(bytes.buffer)]);
  await drawn();
}};
window.fire = (event) => listeners.get(event)?.();
window.replay = (recording) => {{
  const root = document.getElementById("root");
  root.replaceChildren();
  return lab.replay(root, recording);
}};
</script>"""

_PIXELS = """canvas => {
    const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext('2d');
    copy.drawImage(canvas, 0, 0);
    const { data } = copy.getImageData(0, 0, canvas.width, canvas.height);
    let text = '';
    for (let i = 0; i < data.length; i += 8192)
        text += String.fromCharCode(...data.subarray(i, i + 8192));
    return [canvas.width, canvas.height, btoa(text)];
}"""


def picture_head(**changes: Any) -> dict[str, Any]:
    """The head of a picture, see :meth:`gan_course.lab.Lab.frame`."""
    values = {name: control.default for name, control in controls(1).items()}
    return {
        "kind": "frame",
        "number": 1,
        "seen": {},
        "step": 7,
        "playing": False,
        "dimension": 2,
        "window": list(WINDOW),
        "values": values | changes.pop("values", {}),
        "layers": list(LAYERS),
        "reading": {"name": "D", "text": ""},
        "along": None,
        "tiles": [],
        "stopped": [],
        "measures": {"outside": 0.0, "real": 0.75, "fake": 0.25},
        "curves": NAMES,
        "note": {"kind": "", "text": ""},
        "remedy": None,
        "run": 0,
        "slow": False,
        "piece": None,
        "modes": 8,
        **changes,
    }


def controls(runs: int) -> dict[str, Any]:
    return offered(None, None, list(TARGET_MENU), runs)


class Stage:
    """A page with one lab on it.

    Attributes:
        console: what the page complained of.
    """

    def __init__(self, page: Page) -> None:
        self.page = page
        self.console: list[str] = []
        page.on("pageerror", lambda error: self.console.append(str(error)))
        page.on("console", lambda said: self.console.append(said.text))

    def load(self, js: str) -> Stage:
        """Have the page run this code from the next :meth:`mount` on."""
        code = base64.b64encode(js.encode()).decode("ascii")
        self.page.evaluate("code => window.load(code)", code)
        return self

    def mount(self, runs: int = 1) -> Stage:
        """Put a new lab on the page, in place of one that was there."""
        shown = [described(control) for control in controls(runs).values()]
        page = {"controls": shown, "layers": LAYERS, "runs": runs}
        self.page.evaluate("page => window.mount(page)", page)
        return self

    def play(self, pictures: Sequence[tuple[dict[str, Any], dict[str, Any]]], curves: Any) -> None:
        """Put a recording on the page: heads with their arrays, and the curves of all."""
        self.mount()
        blocks, heads = [], []
        for head, arrays in pictures:
            numbers = {name: np.asarray(array, np.float32) for name, array in arrays.items()}
            layout, block = pack_small(numbers)
            heads.append({**head, "layout": layout, "bytes": len(block)})
            blocks.append(block)
        layout, block = pack({"curves": np.asarray(curves, np.float32)})
        shown = [described(control) for control in controls(1).values()]
        recording = {
            "page": {"controls": shown, "layers": LAYERS, "runs": 1, "recorded": True},
            "heads": heads,
            "curves": {"layout": layout, "bytes": len(block)},
            "block": base64.b64encode(zlib.compress(b"".join([*blocks, block]))).decode("ascii"),
        }
        self.page.evaluate("recording => window.replay(recording)", recording)

    def show(self, head: dict[str, Any] | None = None, **arrays: Any) -> None:
        """Send a picture, and wait until it is drawn."""
        picture = self.packed(head or picture_head(), **arrays)
        self.page.evaluate("picture => window.receive(...picture)", picture)

    def packed(self, head: dict[str, Any], **arrays: Any) -> list[Any]:
        """A picture as it is sent: its message, and its block in base 64."""
        numbers = {name: np.asarray(array, np.float32) for name, array in arrays.items()}
        numbers.setdefault("curves", np.zeros((len(NAMES), 0), np.float32))
        layout, block = pack(numbers)
        return [{**head, "layout": layout}, base64.b64encode(block).decode("ascii")]

    def end(self, text: str) -> None:
        """Say that the lab has ended."""
        message = {"kind": "end", "text": text}
        self.page.evaluate("message => window.receive(message, '')", message)

    def sent(self, *kinds: str) -> list[dict[str, Any]]:
        """What the page has said of these kinds, or of all; its numbers and name left out."""
        messages = self.page.evaluate("window.sent")
        kept = [message for message in messages if message["kind"] in kinds or not kinds]
        extra = ("page", "number") if kinds != ("acknowledge",) else ()
        return [{k: v for k, v in message.items() if k not in extra} for message in kept]

    def orders(self) -> list[dict[str, Any]]:
        """What the reader has asked for, with its page and number."""
        quiet = ("hello", "acknowledge")
        return [m for m in self.page.evaluate("window.sent") if m["kind"] not in quiet]

    def text(self, name: str) -> str:
        return self.page.locator(f".gan-{name}").first.inner_text()

    def control(self, name: str) -> Any:
        return self.page.locator(f"[data-control={name}]")

    def button(self, name: str) -> Any:
        return self.page.locator(".gan-bar").get_by_role("button", name=name, exact=True)

    def panel(self, title: str) -> Any:
        """The figure of a curve."""
        figures = self.page.locator(".gan-curves figure")
        return figures.filter(has=self.page.get_by_text(title, exact=True))

    def words(self, place: Any = "canvas.gan-view") -> list[tuple[str, float, float]]:
        """What is written on a canvas, and where: text, x and y."""
        found = self._locator(place).evaluate("canvas => canvas.words")
        return [(text, x, y) for text, x, y in found]

    def canvas(self, place: Any = "canvas.gan-view") -> Canvas:
        """The pixels of a canvas, given by its selector or locator."""
        width, height, text = self._locator(place).evaluate(_PIXELS)
        data = np.frombuffer(base64.b64decode(text), np.uint8).reshape(height, width, 4)
        return Canvas(data)

    def _locator(self, place: Any) -> Any:
        return self.page.locator(place) if isinstance(place, str) else place


class Canvas:
    """The pixels of a canvas, laid on white paper, and where x and y are on it."""

    def __init__(self, data: NDArray[np.uint8], window: Sequence[float] = WINDOW) -> None:
        share = data[:, :, 3:] / 255
        self.colours = share * data[:, :, :3] + (1 - share) * 255
        self.height, self.width = data.shape[:2]
        self.window = window

    def place(self, x: float, y: float) -> tuple[float, float]:
        """Column and row of a point: x to the right, y upwards."""
        low, high = self.window
        across, up = ((v - low) / (high - low) for v in (x, y))
        return across * self.width, (1 - up) * self.height

    def around(self, x: float, y: float, radius: int = 2) -> NDArray[Any]:
        """The pixels about a point, shape ``(pixels, 3)``."""
        column, row = (round(v) for v in self.place(x, y))
        rows = slice(max(0, row - radius), row + radius + 1)
        return self.colours[rows, max(0, column - radius) : column + radius + 1].reshape(-1, 3)

    def has(self, x: float, y: float, colour: Sequence[int], radius: int = 2) -> bool:
        """Whether something of ``colour`` is drawn about a point."""
        return bool(like(self.around(x, y, radius), colour).any())

    def at(self, column: float, row: float, colour: Sequence[int], radius: int = 2) -> bool:
        """Whether something of ``colour`` is drawn about a pixel."""
        x, y = (round(v) for v in (column, row))
        rows = slice(max(0, y - radius), y + radius + 1)
        near = self.colours[rows, max(0, x - radius) : x + radius + 1].reshape(-1, 3)
        return bool(like(near, colour).any())

    def where(self, colour: Sequence[int], reach: float = 60) -> NDArray[Any]:
        """Columns and rows of all pixels of ``colour``, shape ``(pixels, 2)``."""
        return np.argwhere(like(self.colours, colour, reach))[:, ::-1]


def like(pixels: NDArray[Any], colour: Sequence[int], reach: float = 60) -> NDArray[np.bool_]:
    found: NDArray[np.bool_] = np.abs(pixels - np.array(colour)).max(axis=-1) < reach
    return found


@contextmanager
def stage(chrome: Browser, size: tuple[int, int] = (900, 1200)) -> Iterator[Stage]:
    """A page that is ready for :meth:`Stage.mount`; nothing to complain of in the end."""
    page = chrome.new_page(viewport={"width": size[0], "height": size[1]})
    made = Stage(page)
    page.set_content(PAGE.format(css=front.style()))
    page.wait_for_function("() => window.mount")
    try:
        yield made.load(front.script())
    finally:
        page.close()
    assert made.console == []
