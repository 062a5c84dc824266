"""The pictures of the static site's sliders: each is that of its place."""

from __future__ import annotations

import base64
import io
import itertools
import random
import zipfile
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from nbformat.v4 import new_code_cell, new_notebook
from PIL import Image
from tools import ROOT, load

from gan_course.explore import Sketch

places = load("notebooks/places.py")
BLUE = {"one": 0.2, "two": 0.8}
TABLE = {"a": [0, 2, 6], "b": [1, 5, 7]}


def draw(figure: Figure, a: float, b: int, word: str, still: float = 0.5) -> None:
    """A picture that is one colour, of its three quantities."""
    assert (type(a), type(b), still) == (float, int, 0.5)
    figure.set_facecolor((a / 10, b / 10, BLUE[word]))


def colour(a: float, b: float, word: str) -> tuple[int, ...]:
    return tuple(round(255 * share) for share in (a / 10, b / 10, BLUE[word]))


def sketch(**changes: Any) -> Sketch:
    controls = {"a": (0.0, 10.0, 2.0), "b": (0, 10, 5), "word": [*BLUE], "still": (0.0, 1.0, 0.5)}
    return Sketch(changes.pop("draw", draw), (0.4, 0.2), "One colour", controls | changes)


def filmed(path: Path, **changes: Any) -> Path:
    places.film(sketch(**changes), TABLE, path, "this cell")
    return path


def picture(path: Path, number: int) -> Image.Image:
    with zipfile.ZipFile(path) as file:
        return Image.open(io.BytesIO(file.read(f"{number}.webp"))).convert("RGB")


def test_each_place_has_the_picture_that_is_drawn_there(tmp_path: Path) -> None:
    path = filmed(tmp_path / "01_1.zip")
    note = places.described(path)
    assert [control["name"] for control in note["controls"]] == ["a", "b", "word", "still"]
    assert [control["start"] for control in note["controls"]] == [1, 1, 0, 0]
    assert (note["cell"], note["alt"]) == ("this cell", "One colour")
    stops = itertools.product(*TABLE.values(), BLUE)
    for number, values in zip(note["pictures"], stops, strict=True):
        found = np.asarray(picture(path, number)).reshape(-1, 3)
        assert np.abs(found - np.array(colour(*values))).max() <= 1, values


def test_pictures_that_are_the_same_are_one(tmp_path: Path) -> None:
    def deaf(figure: Figure, a: float, b: int, word: str, still: float) -> None:
        draw(figure, a, 5, word)

    path = filmed(tmp_path / "01_1.zip", draw=deaf)
    pictures = places.described(path)["pictures"]
    assert (len(pictures), len({*pictures})) == (18, 6)


def test_an_archive_is_the_same_bytes_each_time_and_disturbs_no_draws(tmp_path: Path) -> None:
    def noisy(figure: Figure, a: float, b: int, word: str, still: float) -> None:
        random.random(), np.random.rand(), torch.rand(())  # noqa: NPY002
        draw(figure, a, b, word)

    def next_draws() -> tuple[float, float, float]:
        return random.random(), np.random.rand(), torch.rand(()).item()  # noqa: NPY002

    states = random.getstate(), np.random.get_state(), torch.get_rng_state()  # noqa: NPY002
    expected = next_draws()
    random.setstate(states[0])
    np.random.set_state(states[1])  # noqa: NPY002
    torch.set_rng_state(states[2])
    one, two = (filmed(tmp_path / f"{n}.zip", draw=noisy) for n in "12")
    assert next_draws() == expected
    assert one.read_bytes() == two.read_bytes()


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"c": [1]}, "are no controls"),
        ({"a": [0, 1]}, r"2\.0 among"),
        ({"a": [2, 11]}, "a = "),
        ({"a": [2, 2]}, "different"),
        ({"word": ["one", "three"]}, "word = "),
    ],
)
def test_places_that_cannot_be_are_named(
    table: dict[str, list[Any]], message: str, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=message):
        places.film(sketch(), table, tmp_path / "01_1.zip", "cell")


def test_too_many_bytes_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(places, "LARGEST", 100)
    with pytest.raises(ValueError, match="ask for fewer"):
        filmed(tmp_path / "01_1.zip")
    assert not (tmp_path / "01_1.zip").exists()


def test_what_is_wrong_with_a_chapter_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(places, "FOLDER", tmp_path)
    monkeypatch.setattr(places, "TABLE", tmp_path / "places.toml")
    places.TABLE.write_text("[[01]]\n" + "".join(f"{k} = {v}\n" for k, v in TABLE.items()))
    cell = new_code_cell("explore(\n    draw,\n)")
    notebook = new_notebook(cells=[new_code_cell("x = 1"), cell])
    assert "is missing" in next(places.problems("01", notebook))
    path = tmp_path / "01_1.zip"
    places.film(sketch(), TABLE, path, cell.id)
    assert list(places.problems("01", notebook)) == []
    places.film(sketch(), TABLE, path, "another")
    assert "another cell" in next(places.problems("01", notebook))
    places.film(sketch(), TABLE | {"b": [1, 5]}, path, cell.id)
    assert "other places" in next(places.problems("01", notebook))
    assert "places for 1" in next(places.problems("01", new_notebook()))


@pytest.mark.parametrize("path", sorted(places.FOLDER.glob("*.zip")), ids=lambda path: path.stem)
def test_the_picture_of_the_notebook_is_that_of_the_start(path: Path) -> None:
    """None of the others is as near to it: pictures of another run, or in another order, are."""
    chapter, number = path.stem.split("_")
    (built,) = (ROOT / "notebooks").glob(f"{chapter}_*.ipynb")
    cell = places.widgets(nbformat.read(built, as_version=4))[int(number) - 1]
    shown = next(o for o in cell.outputs if "image/png" in o.get("data", {}))
    wanted = coarse(Image.open(io.BytesIO(base64.b64decode(shown.data["image/png"]))))
    note = places.described(path)
    start = 0
    for control in note["controls"]:
        start = start * len(control["places"]) + control["start"]
    away = [
        np.abs(coarse(picture(path, number)) - wanted).mean()
        for number in range(max(note["pictures"]) + 1)
    ]
    assert int(np.argmin(away)) == note["pictures"][start]


def coarse(image: Image.Image) -> np.ndarray:
    """What is left of a picture of any number of dots per inch."""
    return np.asarray(image.convert("L").resize((240, 90), Image.Resampling.BOX)).astype(float)


def test_the_archives_are_small_and_all_known() -> None:
    found = sorted(places.FOLDER.glob("*.zip"))
    known = [
        places.archive(path.name[:2], number)
        for path in sorted((ROOT / "notebooks").glob("[0-9A][0-9]_*.ipynb"))
        for number, _ in enumerate(places.chosen(path.name[:2]), 1)
    ]
    assert found == known and len(found) >= 9
    assert max(path.stat().st_size for path in found) < places.LARGEST * 1.1
