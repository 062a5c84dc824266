"""Each picture is what its labels say it is."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from matplotlib import get_data_path
from PIL import Image, ImageDraw, ImageFont
from sklearn.datasets import load_digits
from torch import Generator, Tensor

from gan_course import images
from gan_course.images import GLYPH_FACTORS, SCENE_FACTORS, SceneFactors, Stacked, digits
from gan_course.networks import mlp
from gan_course.training import Settings, Trainer


def test_digits_are_scikit_learns_from_minus_one_to_one():
    pictures, labels = digits()
    reference = load_digits()
    assert pictures.shape == (1797, 1, 8, 8)
    np.testing.assert_allclose((pictures[:, 0].numpy() + 1) * 8, reference.images, atol=1e-5)
    assert (pictures.min().item(), pictures.max().item()) == (-1, 1)
    assert labels.tolist() == reference.target.tolist()


# --- Glyphs -------------------------------------------------------------------------------

GLYPHS, FACTORS = images.glyphs()
INK = (GLYPHS[:, 0] + 1) / 2

#: Family, slanted, bold: the file in which matplotlib ships that font.
FILES = {
    (0, 0, 0): "DejaVuSans",
    (0, 1, 1): "DejaVuSans-BoldOblique",
    (1, 0, 1): "DejaVuSansMono-Bold",
    (1, 1, 0): "DejaVuSansMono-Oblique",
    (2, 0, 1): "DejaVuSerif-Bold",
    (2, 1, 0): "DejaVuSerif-Italic",
    (3, 0, 0): "STIXGeneral",
    (3, 0, 1): "STIXGeneralBol",
    (3, 1, 0): "STIXGeneralItalic",
    (3, 1, 1): "STIXGeneralBolIta",
}


def cropped(ink: np.ndarray) -> np.ndarray:
    rows, columns = (ink.any(axis=axis).nonzero()[0] for axis in (1, 0))
    return ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def by_pillow(character: str, file: str, shape: tuple[int, int]) -> np.ndarray:
    """The character as another library draws it, at ten times the size."""
    font = ImageFont.truetype(f"{get_data_path()}/fonts/ttf/{file}.ttf", 10 * max(shape))
    canvas = Image.new("L", (30 * max(shape), 30 * max(shape)))
    ImageDraw.Draw(canvas).text((5 * max(shape), 5 * max(shape)), character, 255, font)
    ink = Image.fromarray(cropped(np.asarray(canvas)))
    return np.asarray(ink.resize(shape[::-1], Image.Resampling.BOX)) / 255


@pytest.mark.parametrize("style", FILES, ids=FILES.get)
def test_a_glyph_is_the_character_of_its_font(style: tuple[int, int, int]) -> None:
    font, slant, stroke = style
    chosen = (FACTORS.font == font) & (FACTORS.slant == slant) & (FACTORS.stroke == stroke)
    chosen &= (FACTORS.size == 2) & (FACTORS.place == 4)
    assert FACTORS.character[chosen].tolist() == list(range(10))
    found = [cropped(ink.numpy()) for ink in INK[chosen]]

    def apart(ink: np.ndarray, character: int, file: str) -> float:
        return float(np.abs(by_pillow(str(character), file, ink.shape) - ink).mean())

    for character, ink in enumerate(found):
        others = [apart(ink, other, FILES[style]) for other in range(10)]
        assert min(others) == others[character]
    fonts = {
        file: np.mean([apart(ink, character, file) for character, ink in enumerate(found)])
        for file in FILES.values()
    }
    assert min(fonts, key=fonts.__getitem__) == FILES[style], fonts


def test_every_combination_of_factors_occurs_once() -> None:
    rows = torch.stack(list(FACTORS), dim=1)
    assert len(rows) == len(rows.unique(dim=0)) == 10 * 4 * 2 * 2 * 3 * 9
    assert [len(part.unique()) for part in FACTORS] == [10, 4, 2, 2, 3, 9]
    assert list(FACTORS._fields)[1:] == list(GLYPH_FACTORS)


def paired(factor: str) -> list[Tensor]:
    """Ink by level of one factor, the others alike from level to level."""
    order = torch.stack([p for name, p in FACTORS._asdict().items() if name != factor], dim=1)
    place = [order[:, column] for column in range(order.shape[1])]
    rows = torch.arange(len(order))
    for column in reversed(place):
        rows = rows[column[rows].argsort(stable=True)]
    level = getattr(FACTORS, factor)
    return [INK[rows[level[rows] == k]] for k in range(int(level.max()) + 1)]


def extents(ink: Tensor, axis: int) -> tuple[Tensor, Tensor]:
    """First and last row (or column) with ink."""
    there = ink.amax(dim=3 - axis) > 0
    size = there.shape[1]
    return there.float().argmax(dim=1), size - 1 - there.flip(1).float().argmax(dim=1)


def test_bold_has_more_ink_than_regular() -> None:
    regular, bold = (ink.sum(dim=(1, 2)) for ink in paired("stroke"))
    assert (bold > regular).float().mean() > 0.99


def test_sizes_grow() -> None:
    heights = [last - first + 1 for first, last in (extents(ink, 1) for ink in paired("size"))]
    assert bool((heights[0] < heights[1]).all() & (heights[1] < heights[2]).all())
    tallest = [int(height.max()) for height in heights]
    for height, share in zip(tallest, (0.5, 0.6, 0.7), strict=True):
        # Hints move an edge by a pixel, in each version of matplotlib in its own way.
        assert abs(height - share * 28) <= 2.5


def test_a_wide_character_is_as_wide_as_a_tall_one_is_high() -> None:
    """None is higher or wider than a share of the picture, and the largest is just that."""
    pictures, factors = images.glyphs(40, "—W")
    ink = (pictures[:, 0] + 1) / 2
    (top, bottom), (left, right) = (extents(ink, axis) for axis in (1, 2))
    most = torch.maximum(bottom - top, right - left) + 1
    for level, share in enumerate((0.5, 0.6, 0.7)):
        for font in range(4):
            one = (factors.size == level) & (factors.font == font)
            assert abs(int(most[one].max()) - share * 40) <= 2.5, (level, font)


def test_places_move_the_middle_down_and_to_the_right() -> None:
    for place, ink in enumerate(paired("place")):
        for axis, step in zip((1, 2), divmod(place, 3), strict=True):
            first, last = extents(ink, axis)
            middle = (first + last) / 2
            assert bool(((middle - 13.5 - 3 * (step - 1)).abs() <= 0.5).all()), GLYPH_FACTORS
    assert GLYPH_FACTORS["place"][1] == "top"


def test_the_slanted_lean_to_the_right() -> None:
    """The ink of the upper half stands further to the right, beside the upright font's."""
    columns = torch.arange(28.0)
    lean = []
    for ink in paired("slant"):
        first, last = extents(ink, 1)
        middle = ((first + last) / 2).reshape(-1, 1, 1)
        above = ink * (torch.arange(28.0).reshape(1, -1, 1) < middle)
        below = ink * (torch.arange(28.0).reshape(1, -1, 1) > middle)
        at = [(half.sum(1) @ columns) / half.sum(dim=(1, 2)) for half in (above, below)]
        lean.append(at[0] - at[1])
    assert ((lean[1] - lean[0]) > 0).float().mean() > 0.95


def test_a_missing_character_is_named() -> None:
    with pytest.raises(ValueError, match=r"characters = '☃'.*ink in every font"):
        images.glyphs(16, "a☃")
    with pytest.raises(ValueError, match=r"characters = ' '.*ink"):
        images.glyphs(16, "a ")
    with pytest.raises(ValueError, match=r"characters = 'aa'.*different"):
        images.glyphs(16, "aa")
    with pytest.raises(ValueError, match=r"characters = .*stands alone"):
        images.glyphs(16, "\u0301")  # an accent without its letter


# --- Scenes -------------------------------------------------------------------------------


def test_held_out_scenes_are_new_pairs_of_known_words() -> None:
    seen, new, every = (
        torch.stack(list(images.shapes(split, copies=1)[1]), dim=1)
        for split in ("train", "held out", "all")
    )
    assert (len(seen), len(new), len(every)) == (180, 60, 240)
    rows = {tuple(row) for row in seen.tolist()} | {tuple(row) for row in new.tolist()}
    assert rows == {tuple(row) for row in every.tolist()}
    pairs = [{tuple(row) for row in part[:, 1:3].tolist()} for part in (seen, new)]
    assert not pairs[0] & pairs[1]
    for column, words in enumerate(SCENE_FACTORS.values()):
        assert seen[:, column].unique().tolist() == list(range(len(words)))


@pytest.mark.slow
def test_a_caption_says_what_is_seen() -> None:
    """Measured from the pixels alone: colour, area, middle and symmetry."""
    pictures, factors = images.shapes("all", copies=3)
    light = (pictures + 1) / 2
    cover = light.amax(dim=1)
    words = [images.captions(factors)[row].split(maxsplit=6) for row in range(len(cover))]
    colours = {
        "red": (1, 0, 0),
        "green": (0, 1, 0),
        "blue": (0.1, 0.3, 1),
        "yellow": (1, 1, 0),
        "purple": (0.7, 0, 1),
        "white": (1, 1, 1),
    }
    axis = (torch.arange(32) + 0.5) / 32 - 0.5
    for row, (_, size, colour, shape, _, _, place) in enumerate(words):
        ink = cover[row]
        found = light[row].sum(dim=(1, 2)) / light[row].amax(dim=0).sum()
        torch.testing.assert_close(found, torch.tensor(colours[colour]).float(), atol=0.01, rtol=0)
        area = math.pi * {"small": 0.09, "large": 0.16}[size] ** 2
        assert float(ink.mean()) == pytest.approx(area, abs=0.004)
        down, right = (float(ink.sum(dim=d) @ axis / ink.sum()) for d in (1, 0))
        lower, further = (
            {"t": -0.2, "b": 0.2, "c": 0}[place[0]],
            0.2 * (("right" in place) - ("left" in place)),
        )
        assert (down, right) == pytest.approx((lower, further), abs=0.04)
        if size == "small":  # drawn by the same lines; too coarse to measure
            continue
        height, width = (float(ink.sum(dim=d).max()) for d in (0, 1))
        full = float(ink.sum()) / height / width  # share of the box around it
        expected = {"circle": math.pi / 4, "square": 1, "triangle": 1 / 2, "cross": 5 / 9}[shape]
        assert full == pytest.approx(expected, abs=0.13)
        lopsided = float(ink.sum(dim=1) @ (axis - down) ** 3 / ink.sum()) / (height / 32) ** 3
        assert lopsided == pytest.approx(-1 / 135 if shape == "triangle" else 0, abs=0.003)


def test_copies_are_moved_by_up_to_a_pixel_each_on_its_own() -> None:
    pictures, factors = images.shapes("held out", copies=20, size=16)
    ink = (pictures + 1).amax(dim=1)
    axis = (torch.arange(16) + 0.5) / 16 - 0.5
    places = torch.tensor([[0.0, 0], [-1, -1], [-1, 1], [1, -1], [1, 1]]) / 5
    middles = torch.stack([ink.sum(dim=d) @ axis / ink.sum(dim=(1, 2)) for d in (2, 1)], dim=1)
    moved = 16 * (middles - places[factors.place])
    assert 0.9 < float(moved.abs().max()) < 1.2
    assert moved.mean(dim=0).abs().max() < 0.08
    torch.testing.assert_close(moved.std(dim=0), torch.full((2,), 3**-0.5), atol=0.05, rtol=0)
    assert abs(float(torch.corrcoef(moved.T)[0, 1])) < 0.1


def test_captions_are_read_back() -> None:
    factors = images.shapes("all", copies=1)[1]
    texts = images.captions(factors)
    assert len(set(texts)) == 240
    for one, other in zip(images.read_captions(texts), factors, strict=True):
        assert one.tolist() == other.tolist()
    with pytest.raises(ValueError, match=r"'a tiny red circle at the top left' is no caption"):
        images.read_captions(["a tiny red circle at the top left"])
    with pytest.raises(ValueError, match="is no caption"):
        images.read_captions(["circle red large a at the centre"])
    with pytest.raises(ValueError, match="factors"):
        images.captions(SceneFactors(*(torch.tensor([9]) for _ in range(4))))


def test_no_captions_are_no_factors() -> None:
    none = images.read_captions([])
    assert [len(part) for part in none] == [0] * 4
    assert images.captions(none) == []


@pytest.mark.parametrize(
    "spoil",
    [
        list,
        lambda f: SceneFactors(*(part.float() for part in f)),
        lambda f: SceneFactors(*(part > 0 for part in f)),
        lambda f: SceneFactors(*(part[0] for part in f)),
        lambda f: SceneFactors(*(part[:, None] for part in f)),
        lambda f: f._replace(colour=f.colour[:3]),
        lambda f: f._replace(place=f.place - 1),
        lambda f: (*f, f.size),
        lambda f: f[:3],
        lambda f: SceneFactors(*(part.numpy() for part in f)),
    ],
)
def test_what_are_no_factors_is_named(spoil: Callable[[SceneFactors], object]) -> None:
    factors = images.shapes("held out", copies=1, size=16)[1]
    assert images.captions(SceneFactors(*(part.byte() for part in factors)))[0].startswith(
        "a small"
    )
    with pytest.raises(ValueError, match=r"(?s)factors = .*must be SceneFactors"):
        images.captions(spoil(factors))  # type: ignore[arg-type]


def test_shapes_come_out_alike_from_one_seed() -> None:
    first, again, other = (images.shapes(copies=1, seed=seed)[0] for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


# --- Stacked digits -----------------------------------------------------------------------


def test_the_digits_of_a_stack_are_its_label_in_base_ten() -> None:
    """Red counts hundreds, green tens, blue ones: read from the pixels, row by row."""
    pictures, labels = digits()
    stack, label = Stacked(pictures, labels).pairs((200,), Generator().manual_seed(0))
    assert stack.shape == (200, 3, 8, 8)
    known = {picture.numpy().tobytes(): int(k) for picture, k in zip(pictures, labels, strict=True)}
    for picture, number in zip(stack, label.tolist(), strict=True):
        assert [known[channel.numpy().tobytes()] for channel in picture] == [
            int(digit) for digit in f"{number:03d}"
        ]


def test_the_thousand_labels_are_told_apart() -> None:
    triples = torch.cartesian_prod(*[torch.arange(10)] * 3)
    assert images.stacked_label(triples).tolist() == list(range(1000))
    assert images.stacked_label(torch.tensor([1, 2, 3])).item() == 123


def test_channels_are_drawn_independently() -> None:
    label = Stacked(*digits()).pairs((20_000,), Generator().manual_seed(0))[1]
    share = torch.bincount(digits()[1]) / 1797
    parts = label // 100, label // 10 % 10, label % 10
    for part in parts:
        found = torch.bincount(part, minlength=10) / len(label)
        torch.testing.assert_close(found, share, atol=0.012, rtol=0)
    same = float((parts[0] == parts[1]).float().mean())
    assert same == pytest.approx(float(share.square().sum()), abs=0.012)


def test_stacks_are_refused_by_name() -> None:
    pictures, labels = digits()
    for bad, name in (
        ((pictures.flatten(1), labels), "images"),
        ((torch.cat([pictures] * 3, dim=1), labels), "images"),
        ((pictures, labels + 1), "labels"),
        ((pictures, labels - 1), "labels"),
    ):
        with pytest.raises(ValueError, match=name):
            Stacked(*bad)


# --- What a training takes ----------------------------------------------------------------


class Told(torch.nn.Module):
    """A network that is told the label."""

    def __init__(self, inputs: int, outputs: tuple[int, ...], labels: int) -> None:
        super().__init__()
        self.words = torch.nn.Embedding(labels, 4)
        self.body, self.outputs = mlp(inputs + 4, math.prod(outputs), width=8), outputs

    def forward(self, x: Tensor, label: Tensor) -> Tensor:
        given = torch.cat([x.flatten(1), self.words(label)], dim=1)
        return self.body(given).unflatten(1, self.outputs)


def test_a_training_takes_them_with_and_without_labels() -> None:
    pictures, factors = images.glyphs(12, "01")
    told = Told(2, (1, 12, 12), 2), Told(144, (1,), 2)
    plain = (
        torch.nn.Sequential(mlp(2, 192, width=8), torch.nn.Unflatten(1, (3, 8, 8))),
        torch.nn.Sequential(torch.nn.Flatten(), mlp(192, 1, width=8)),
    )
    stacks = Told(2, (3, 8, 8), 1000), Told(192, (1,), 1000)
    for pair, data, shape in (
        (told, (pictures, factors.character), (1, 12, 12)),
        (plain, Stacked(*digits()), (3, 8, 8)),
        (stacks, Stacked(*digits(), labelled=True), (3, 8, 8)),
    ):
        trainer = Trainer(*pair, data, settings=Settings(batch=8), device="cpu")
        trainer.train(2, progress=False)
        label = None if pair is plain else torch.zeros(5, dtype=torch.long)
        assert trainer.sample(5, label=label).shape == (1, 5, *shape)
