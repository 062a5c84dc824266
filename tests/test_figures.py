"""The pictures that the README and the chapters show: there, described, and drawn by a command."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image, ImageChops
from tools import ROOT, load

from gan_course.lab import front

LARGEST = 1_500_000
README = (ROOT / "README.md").read_text(encoding="utf-8")
#: Words for those who do not see it, and the file.
PICTURES = re.findall(r"!\[([^\]]*)\]\(([^)]+)\)", README)
FILM = ROOT / "figures" / "02_lab.webp"
RECORDING = FILM.with_suffix(".html")


def test_the_readme_shows_a_training_and_the_lab() -> None:
    assert [name for _, name in PICTURES] == ["figures/02_training.svg", "figures/02_lab.webp"]


@pytest.mark.parametrize(("words", "name"), PICTURES, ids=[name for _, name in PICTURES])
def test_a_picture_is_described_captioned_and_drawn_by_a_command(words: str, name: str) -> None:
    assert len(words) > 80
    assert (ROOT / name).stat().st_size < LARGEST
    (caption,) = re.findall(rf"\({re.escape(name)}\)\n\n\*([^*]+)\*\n", README)
    (script,) = re.findall(r"`(figures/\w+\.py)`", caption)
    assert Path(script).stem == Path(name).stem
    assert (ROOT / script).exists()


def test_the_film_of_the_lab_moves() -> None:
    with Image.open(FILM) as film:
        assert film.width == 830  # of a README on GitHub, and no more
        pictures = []
        for number in range(film.n_frames):
            film.seek(number)
            pictures.append(film.convert("L"))
    assert len(pictures) > 30
    moved = [ImageChops.difference(a, b).getbbox() for a, b in itertools.pairwise(pictures)]
    assert None not in moved


def test_a_chapter_links_to_its_recording() -> None:
    source = (ROOT / "notebooks/source/02_the_adversarial_game.md").read_text(encoding="utf-8")
    assert f"(../figures/{RECORDING.name})" in source
    page = RECORDING.read_text(encoding="utf-8")
    assert RECORDING.stat().st_size < 1_000_000
    assert not re.search(r"https?://|\bsrc=|import\s*\(", page)


@pytest.mark.parametrize("part", [front.script, front.style], ids=["script", "style"])
def test_the_recording_is_played_by_the_present_lab(part: Callable[[], str]) -> None:
    recorded = RECORDING.read_text(encoding="utf-8")
    assert part() in recorded, f"the lab's {part.__name__} has changed: run figures/02_lab.py"


@pytest.mark.browser
@pytest.mark.usefixtures("chromium_is_there")
def test_the_lab_is_filmed_while_its_controls_move(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = load("figures/02_lab.py")
    monkeypatch.setattr(script, "MORE_K", 10)
    monkeypatch.setattr(script, "NEW_LOSS", 50)
    lab = script.make_lab()
    pictures = script.film(lab, steps=60)
    assert (lab.trainer.steps, lab.values["k"], lab.values["loss"]) == (60, 5, "wasserstein")
    script.save(pictures, tmp_path / "film.webp")
    with Image.open(tmp_path / "film.webp") as film:
        assert film.n_frames == len(pictures) == 7
