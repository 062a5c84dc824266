"""On the static site, a widget of sliders shows pictures that were drawn in advance."""

from __future__ import annotations

import json
import math
import shutil
import zipfile
from html import escape
from io import BytesIO
from pathlib import Path
from typing import Any

from nbformat import NotebookNode
from nbformat.v4 import new_output
from PIL import Image

import places

#: Where the pictures stand on the site, and the way there from a chapter's page.
FOLDER = Path(__file__).resolve().parent / "_static" / "places"
FROM_PAGE = "../_static/places"
WIDGET = """<figure class="sliders" data-sketch="{sketch}">
<div class="controls" hidden>{controls}</div>
<img src="{folder}/{first}.webp" width="{width}" height="{height}" alt="{alt}">
<p class="about">{about}</p>
</figure>
"""
SLIDER = """<div><label for="{id}">{name}</label><input id="{id}" type="range" min="0" \
max="{last}" value="{start}" step="1" autocomplete="off" aria-valuetext="{shown}">\
<span class="value" aria-hidden="true">{shown}</span></div>"""
MENU = """<div><label for="{id}">{name}</label><select id="{id}" autocomplete="off">{options}\
</select></div>"""


def place(chapter: str, notebook: NotebookNode) -> None:
    """Unpack the pictures of a chapter's widgets, and put them in the place of the first one."""
    for number, cell in enumerate(places.widgets(notebook), 1):
        path = places.archive(chapter, number)
        folder = FOLDER / path.stem
        unpack(path, folder)
        shown = widget(places.described(path), folder)
        cell.outputs = [new_output("display_data", data={"text/html": shown})]


def unpack(archive: Path, folder: Path) -> None:
    """Put an archive's pictures into a folder of their own."""
    shutil.rmtree(folder, ignore_errors=True)
    with zipfile.ZipFile(archive) as file:
        file.extractall(folder)
    (folder / "places.json").unlink()


def widget(note: dict[str, Any], folder: Path) -> str:
    """The HTML of a widget; ``note`` is that of :func:`places.described`."""
    moving = [control for control in note["controls"] if len(control["places"]) > 1]
    first = 0
    for control in note["controls"]:
        first = first * len(control["places"]) + control["start"]
    picture = note["pictures"][first]
    with Image.open(BytesIO((folder / f"{picture}.webp").read_bytes())) as image:
        width, height = image.size
    address = f"{FROM_PAGE}/{folder.name}"
    sketch = {
        "folder": address,
        "alt": note["alt"],
        "names": [_words(control["name"]) for control in moving],
        "places": [[shown(stop) for stop in control["places"]] for control in moving],
        "pictures": note["pictures"],
    }
    return WIDGET.format(
        sketch=escape(json.dumps(sketch, ensure_ascii=False)),
        controls="".join(_control(control, folder.name) for control in moving),
        folder=address,
        first=picture,
        width=width,
        height=height,
        alt=escape(_alt(note["alt"], note["controls"])),
        about=_about(note["controls"]),
    )


def shown(stop: float | str) -> str:
    """A place as a reader sees it."""
    return stop if isinstance(stop, str) else f"{stop:g}".replace("-", "−")


def _alt(words: str, controls: list[dict[str, Any]]) -> str:
    """What the first picture shows, as sliders.js says it of the others."""
    moving = [control for control in controls if len(control["places"]) > 1]
    values = (f"{_words(c['name'])} is {shown(c['places'][c['start']])}" for c in moving)
    return f"{words.removesuffix('.')}. Here {', '.join(values)}."


def _words(name: str) -> str:
    return name.strip("_").replace("_", " ")


def _control(control: dict[str, Any], widget: str) -> str:
    stops = [escape(shown(stop)) for stop in control["places"]]
    named = {"name": escape(_words(control["name"])), "id": f"{widget}-{control['name']}"}
    start = control["start"]
    if isinstance(control["places"][0], str):
        chosen = [" selected" if at == start else "" for at in range(len(stops))]
        both = zip(stops, chosen, strict=True)
        options = "".join(f"<option{selected}>{stop}</option>" for stop, selected in both)
        return MENU.format(options=options, **named)
    return SLIDER.format(last=len(stops) - 1, start=start, shown=stops[start], **named)


def _about(controls: list[dict[str, Any]]) -> str:
    count = math.prod(len(control["places"]) for control in controls)
    still = [control for control in controls if len(control["places"]) == 1]
    kept = "".join(f" There, {_words(c['name'])} is {shown(c['places'][0])}." for c in still)
    return escape(f"Drawn in advance, at {count} places.{kept} In JupyterLab every place is drawn.")
