"""A training as one HTML file, which plays without a kernel and without a network."""

from __future__ import annotations

import base64
import html
import json
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gan_course.arguments import shown, whole
from gan_course.lab import front
from gan_course.lab.controls import check_changes
from gan_course.lab.frames import pack, pack_small

if TYPE_CHECKING:
    from gan_course.lab.lab import Lab

PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
{css}
{theme}
</style>
<main id="lab"></main>
<script type="application/json" id="recording">{recording}</script>
<script type="module">
{js}
const recording = JSON.parse(document.getElementById("recording").textContent);
const player = document.getElementById("lab");
replay(player, recording);
// A page that frames the recording gives it the height that this asks for.
new ResizeObserver(() => {{
  const recordingHeight = player.offsetTop + player.scrollHeight + 8;
  if (parent !== window) parent.postMessage({{ recordingHeight }}, "*");
}}).observe(player);
</script>
</html>
"""

# In JupyterLab the theme gives these; here the page that frames the recording, or the system.
THEME = """:root {
  color-scheme: light dark;
  --jp-layout-color0: light-dark(#fff, #111);
  --jp-layout-color1: light-dark(#fff, #1c1c1c);
  --jp-layout-color2: light-dark(#eee, #333);
  --jp-ui-font-color1: light-dark(#222, #eee);
  --jp-ui-font-color2: light-dark(#666, #aaa);
  --jp-border-color2: light-dark(#ccc, #555);
  --jp-brand-color1: light-dark(#1976d2, #64b5f6);
}
body { background: var(--jp-layout-color0); }"""


def check(
    lab: Lab, path: Path, steps: int, every: int, changes: Mapping[int, Mapping[str, Any]]
) -> None:
    """Raise a ``ValueError`` that says why ``lab`` can't be recorded so, if it can't."""
    if path.suffix != ".html":
        raise ValueError(f"path = {str(path)!r}: must end in .html")
    if not isinstance(changes, Mapping):
        raise ValueError(
            f"changes = {shown(changes)}: must be a dictionary, as {{300: {{'k': 5}}}}"
        )
    for at, change in changes.items():
        if not isinstance(change, Mapping):
            raise ValueError(f"changes: {shown(change)} at {shown(at)}: must be a dictionary")
        step = whole("changes: step", at)
        check_changes(change, lab.values, lab.controls)
        fresh = [name for name in change if lab.controls[name].fresh]
        if fresh:
            raise ValueError(f"changes: {fresh[0]} needs new networks, which end a recording")
        if not 0 <= step < steps or step % every:
            raise ValueError(f"changes: step {step}: must be a multiple of {every} below {steps}")


def record(
    lab: Lab, steps: int, every: int, changes: Mapping[int, Mapping[str, Any]]
) -> dict[str, Any]:
    """Train for ``steps`` steps, and keep a picture of the start and of every ``every`` steps.

    Positions are kept in 16 bits, probabilities in 8; the curves only once. Each of ``changes``
    is made when so many steps of the recording are over, and told from then on.
    """
    lab.run(0)
    first = lab.trainer.steps
    heads, blocks, told = [], [], ""
    while True:
        head, arrays = lab.frame()
        curves = arrays.pop("curves")
        layout, block = pack_small(arrays)
        head |= {"playing": False, "layout": layout, "bytes": len(block)}
        head["note"] = {**head["note"], "text": f"{told} {head['note']['text']}".strip()}
        heads.append(head)
        blocks.append(block)
        done = head["step"] - first
        if done >= steps or head["remedy"]:
            break
        if done in changes:
            lab.set(**changes[done])
            settings = (f"{lab.controls[name].label} = {v}" for name, v in changes[done].items())
            told = f"From step {head['step']}: {', '.join(settings)}."
        lab.run(min(every, steps - done))
    layout, block = pack({"curves": curves})
    return {
        "page": {**lab.view.page, "recorded": True},
        "heads": heads,
        "curves": {"layout": layout, "bytes": len(block)},
        "block": base64.b64encode(zlib.compress(b"".join([*blocks, block]), 9)).decode("ascii"),
    }


def write(path: Path, recording: dict[str, Any], title: str) -> None:
    """Write the page that plays ``recording``."""
    # In a script element, "<" could end it; JSON has another way to write the same character.
    data = json.dumps(recording, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")
    parts = {"css": front.style(), "js": front.script()}
    page = PAGE.format(title=html.escape(title), recording=data, theme=THEME, **parts)
    path.write_text(page, encoding="utf-8")
