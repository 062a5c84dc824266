"""Record the live lab for readers without Python.

It writes ``02_lab.html``, a recording that plays in any browser, and ``02_lab.webp``, the lab
itself while somebody moves k and the loss by keyboard. The second needs a Chromium.
"""

from __future__ import annotations

import base64
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import torch
from PIL import Image
from playwright.sync_api import Page

from gan_course.lab import Lab, front
from gan_course.lab.frames import pack

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "tests"))
from jupyter_browser import NO_CHROMIUM, browser, chromium  # noqa: E402

EVERY = 10  # steps from one picture to the next
STEPS, MORE_K, NEW_LOSS = 450, 150, 300
CHANGES = {MORE_K: {"k": 5}, NEW_LOSS: {"loss": "wasserstein"}}
PACE, REST = 120, 1500  # ms for a picture, and for the last one
SIZE = {"width": 830, "height": 660}
PAGE = """<!doctype html><meta charset="utf-8"><style>body {{ margin: 0 }} {css}</style>
<script type="module">{js}
const view = mount(document.body, {page}, (message) => window.tell(message));
window.show = (head, block) => {{
  const bytes = Uint8Array.from(atob(block), (character) => character.charCodeAt(0));
  view.show(head, decode(head.layout, new DataView(bytes.buffer)));
}};
</script>"""


def make_lab() -> Lab:
    """The lab that is recorded: few controls, so that they are seen."""
    controls = ["k", "loss", "penalty", "discriminator_rate", "generator_rate"]
    return Lab(controls=controls, layers=["real", "generated", "belief"])


@contextmanager
def page_of(lab: Lab) -> Iterator[Page]:
    """The lab's own page in a Chromium; what is done there reaches the lab."""
    parts = {"css": front.style(), "js": front.script()}
    with browser() as chrome:
        page = chrome.new_page(viewport=SIZE)
        page.expose_function("tell", lab.receive)
        page.set_content(PAGE.format(page=json.dumps(lab.view.page), **parts))
        page.wait_for_function("() => window.show")
        yield page


def photograph(lab: Lab, page: Page) -> Image.Image:
    """Show the lab as it is now, and take a picture of its page."""
    head, arrays = lab.frame()
    layout, block = pack(arrays)
    page.evaluate(
        "([head, block]) => window.show(head, block)",
        [{**head, "layout": layout}, base64.b64encode(block).decode("ascii")],
    )
    return Image.open(BytesIO(page.screenshot())).convert("RGB")


def move(page: Page, step: int) -> None:
    """Do by keyboard what :data:`CHANGES` says; a slider takes one press a picture."""
    if MORE_K <= step < MORE_K + 4 * EVERY:
        page.get_by_role("slider", name="k (D steps)").press("ArrowRight")
    if step == NEW_LOSS:
        page.get_by_role("combobox", name="loss").focus()
        page.keyboard.type("wass")


def film(lab: Lab, steps: int = STEPS) -> list[Image.Image]:
    """Train for ``steps`` steps, and take a picture of the page every :data:`EVERY` steps."""
    with page_of(lab) as page:
        page.get_by_role("button", name="Play").press("Enter")
        lab.run(0)
        pictures = [photograph(lab, page)]
        for step in range(0, steps, EVERY):
            move(page, step)
            lab.run(EVERY)
            pictures.append(photograph(lab, page))
    return pictures


def save(pictures: list[Image.Image], path: Path) -> None:
    """Write an animation that plays for ever."""
    first, *others = pictures
    durations = [PACE] * len(others) + [REST]
    first.save(
        path, save_all=True, append_images=others, duration=durations, loop=0, quality=45, method=6
    )


def main() -> None:
    """Write the recording, then the animation."""
    torch.set_num_threads(1)
    make_lab().record(HERE / "02_lab.html", STEPS, EVERY, CHANGES)
    if chromium() is None:
        sys.exit(f"02_lab.webp is not drawn: {NO_CHROMIUM}")
    save(film(make_lab()), HERE / "02_lab.webp")


if __name__ == "__main__":
    main()
