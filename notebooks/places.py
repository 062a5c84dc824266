"""The pictures that a slider shows on the static site, drawn in advance at some places.

``places.toml`` says at which. When ``build.py`` has run a cell that calls ``explore``, it has the
kernel draw them, so they show what the chapter has computed; they lie in
``figures/places/NN_1.zip``, NN_2 for a chapter's second widget, with ``places.json``, which says
what they are. The site unpacks them, see ``book/sliders.py``.
"""

from __future__ import annotations

import io
import itertools
import json
import random
import re
import tomllib
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from nbformat import NotebookNode
from PIL import Image

from gan_course.checkpoints import replace_file
from gan_course.explore import Control, Sketch

HERE = Path(__file__).resolve().parent
FOLDER = HERE.parent / "figures" / "places"
TABLE = HERE / "places.toml"
CALL = re.compile(r"^explore\(", re.M)
#: Dots per inch: a figure eight inches wide fills the site's column.
DOTS = 92
COLOURS = 64
LARGEST = 1_500_000  # bytes of a widget's pictures, of which a reader loads one at a time
Places = Mapping[str, Sequence[Any]]


def chosen(chapter: str) -> list[Places]:
    """The places of each of a chapter's widgets, in their order."""
    table: dict[str, list[Places]] = tomllib.loads(TABLE.read_text(encoding="utf-8"))
    return table.get(chapter, [])


def archive(chapter: str, widget: int) -> Path:
    """Where the pictures of a chapter's widget lie; the first is 1."""
    return FOLDER / f"{chapter}_{widget}.zip"


def widgets(notebook: NotebookNode) -> list[NotebookNode]:
    """The cells of a chapter that call ``explore``, in their order."""
    return [c for c in notebook.cells if c.cell_type == "code" and CALL.search(c.source)]


def problems(chapter: str, notebook: NotebookNode) -> Iterator[str]:
    """What is wrong with the pictures of a chapter's widgets, in words."""
    cells, tables = widgets(notebook), chosen(chapter)
    if len(cells) != len(tables):
        yield f"{len(cells)} cells call explore, {TABLE.name} has places for {len(tables)}"
        return
    for number, (cell, places) in enumerate(zip(cells, tables, strict=True), 1):
        path = archive(chapter, number)
        if not path.exists():
            yield f"{path.name} is missing, run `make notebooks ARGS={chapter}`"
            continue
        note = described(path)
        moved = {c["name"]: c["places"] for c in note["controls"] if c["name"] in places}
        if note["cell"] != cell.id or moved != places:
            yield f"{path.name} was drawn by another cell, or at other places than {TABLE.name}'s"


def described(path: Path) -> dict[str, Any]:
    """What an archive says of its pictures.

    ``controls`` are those of the widget, in their order: ``name``, ``places``, and ``start``, the
    place at which it begins. ``pictures`` has the number of the file for each place, the last
    control's places one after another.
    """
    with zipfile.ZipFile(path) as file:
        note: dict[str, Any] = json.loads(file.read("places.json"))
        return note


def film(sketch: Sketch, places: Places, path: str | Path, cell: str) -> None:
    """Draw ``sketch`` at every place, and keep the pictures.

    Args:
        sketch: of the widget.
        places: for each control that is to move, where it stops; a menu that is not named has all
            of its words, a slider that is not named stays at its start.
        path: the archive to write.
        cell: the id of the cell.

    Raises:
        ValueError: a place lies outside its control, its start is none, or there are too many.
    """
    path = Path(path)
    if unknown := places.keys() - sketch.controls.keys():
        raise ValueError(f"{TABLE.name}: {sorted(unknown)} are no controls of {path.stem}")
    controls = [_stops(name, control, places) for name, control in sketch.controls.items()]
    files: dict[bytes, int] = {}
    pictures = []
    with _undisturbed():
        for values in itertools.product(*(control["places"] for control in controls)):
            named = dict(zip(sketch.controls, values, strict=True))
            picture = compact(sketch.png(DOTS, **named))
            pictures.append(files.setdefault(picture, len(files)))
    if (size := sum(map(len, files))) > LARGEST:
        raise ValueError(f"{path.name}: {size:,} bytes of {len(files)} pictures: ask for fewer")
    note = {"cell": cell, "alt": sketch.alt, "controls": controls, "pictures": pictures}
    path.parent.mkdir(exist_ok=True)
    replace_file(path, _zipped(note, list(files)))


def _stops(name: str, control: Control, places: Places) -> dict[str, Any]:
    """A control's places, and which of them is its start."""
    if not isinstance(control, tuple):
        stops, start = list(places.get(name, control)), control[0]
        outside = [stop for stop in stops if stop not in control]
    else:
        low, high, start = control[:3]
        kind = int if all(type(end) is int for end in control) else float
        stops = [kind(stop) for stop in places.get(name, [start])]
        outside = [stop for stop in stops if not low <= stop <= high]
    if outside or start not in stops or len({*stops}) < len(stops):
        raise ValueError(
            f"{TABLE.name}: {name} = {stops}: must be different places of {control!r}, {start!r} "
            "among them"
        )
    return {"name": name, "places": stops, "start": stops.index(start)}


class _undisturbed:  # noqa: N801
    """A block whose random draws don't change those of the cells below, which a reader has not."""

    def __enter__(self) -> None:
        self.before = random.getstate(), np.random.get_state(), torch.get_rng_state()  # noqa: NPY002

    def __exit__(self, *_: object) -> None:
        random.setstate(self.before[0])
        np.random.set_state(self.before[1])  # noqa: NPY002
        torch.set_rng_state(self.before[2])


def compact(png: bytes) -> bytes:
    """A picture as a lossless WebP in few colours, a third of its bytes."""
    whole = Image.open(io.BytesIO(png)).convert("RGB")
    # One round of k-means: without it greys are tinted.
    few = whole.quantize(COLOURS, Image.Quantize.MAXCOVERAGE, 1, dither=Image.Dither.NONE)
    file = io.BytesIO()
    few.convert("RGB").save(file, "webp", lossless=True, quality=80, method=4)
    return file.getvalue()


def _zipped(note: Mapping[str, Any], pictures: Sequence[bytes]) -> bytes:
    """An archive that is the same bytes for the same pictures, whenever it is written."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        text = json.dumps(note, ensure_ascii=False).encode()
        named = {f"{number}.webp": picture for number, picture in enumerate(pictures)}
        for name, content in ({"places.json": text} | named).items():
            file.writestr(zipfile.ZipInfo(name), content)
    return buffer.getvalue()
