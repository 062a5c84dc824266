"""Pictures that need no network: handwritten digits, and printed characters."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gan_course.arguments import shown, whole

if TYPE_CHECKING:
    from matplotlib.ft2font import FT2Font


def digits() -> tuple[Tensor, Tensor]:
    """The 1,797 handwritten digits that ship inside scikit-learn (Alpaydin & Kaynak 1998).

    Returns:
        Images of shape ``(1797, 1, 8, 8)``, scaled from 0 … 16 to −1 … 1, and their
        labels of shape ``(1797,)``.
    """
    from sklearn.datasets import load_digits  # noqa: PLC0415  # half a second, for one data set

    pixels, labels = load_digits(return_X_y=True)
    images = torch.as_tensor(pixels, dtype=torch.float32).reshape(-1, 1, 8, 8) / 8 - 1
    return images, torch.as_tensor(labels)


class GlyphFactors(NamedTuple):
    """What is known of each printed character: whole numbers, each of shape ``(samples,)``.

    The numbers count from 0 in the order of the names in :data:`GLYPH_FACTORS`.

    Attributes:
        character: which of the characters; the label of a class.
        font: which family of fonts.
        slant: upright or slanted.
        stroke: regular or bold.
        size: small, medium or large.
        place: where the middle of the character stands.
    """

    character: Tensor
    font: Tensor
    slant: Tensor
    stroke: Tensor
    size: Tensor
    place: Tensor


#: The levels of each factor but the character.
GLYPH_FACTORS: dict[str, tuple[str, ...]] = {
    "font": ("DejaVu Sans", "DejaVu Sans Mono", "DejaVu Serif", "STIX General"),
    "slant": ("upright", "slanted"),
    "stroke": ("regular", "bold"),
    "size": ("small", "medium", "large"),
    "place": (
        *("top left", "top", "top right"),
        *("left", "centre", "right"),
        *("bottom left", "bottom", "bottom right"),
    ),
}

#: The files that ship with matplotlib: of each family upright, upright bold, slanted, slanted bold.
_FILES = [
    [f"DejaVuSans{style}" for style in ("", "-Bold", "-Oblique", "-BoldOblique")],
    [f"DejaVuSansMono{style}" for style in ("", "-Bold", "-Oblique", "-BoldOblique")],
    [f"DejaVuSerif{style}" for style in ("", "-Bold", "-Italic", "-BoldItalic")],
    [f"STIXGeneral{style}" for style in ("", "Bol", "Italic", "BolIta")],
]
#: Height of the tallest character, as a share of the picture's.
_HEIGHTS = (0.5, 0.6, 0.7)


def glyphs(size: int = 28, characters: str = "0123456789") -> tuple[Tensor, GlyphFactors]:
    """Printed characters, one for each combination of factors that are known.

    4 families of fonts × upright or slanted × regular or bold × 3 sizes × 9 places: 432 pictures
    of each character, so a perfect generator has each level of a factor equally often, and each
    independently of the others. The fonts ship with matplotlib, whose own machinery draws them.
    The ink is centred, then moved by a ninth of the picture; on a grey scale, not hinted.

    Args:
        size: height and width of a picture, in pixels.
        characters: which ones, each once.

    Returns:
        Images of shape ``(432 × characters, 1, size, size)``, −1 for the ground and up to 1 for
        the ink, and their factors; ``factors.character`` is the label.

    Raises:
        ValueError: ``size`` is no whole number from 12 to 128, or a character occurs twice, is
            empty, or is not in all fonts.

    Example:
        >>> images, factors = glyphs(16, "ab")
        >>> images.shape, factors.font.unique().tolist()
        (torch.Size([864, 1, 16, 16]), [0, 1, 2, 3])
    """
    size = whole("size", size, at_least=12, at_most=128)
    if not isinstance(characters, str) or not 0 < len(characters) == len(set(characters)) <= 100:
        raise ValueError(f"characters = {shown(characters)}: must be 1 to 100 different ones")
    counts = [len(characters), *(len(names) for names in GLYPH_FACTORS.values())]
    rows = torch.cartesian_prod(*(torch.arange(count) for count in counts))
    ink: dict[tuple[int, ...], list[NDArray[np.uint8]]] = {}
    pictures = np.zeros((len(rows), size, size), dtype=np.uint8)
    for picture, (character, font, slant, stroke, height, place) in zip(
        pictures, rows.tolist(), strict=True
    ):
        style = font, slant, stroke, height
        if style not in ink:  # all characters at once, since the largest has to fit
            ink[style] = _inked(
                _FILES[font][2 * slant + stroke], _HEIGHTS[height] * size, characters
            )
        _put(picture, ink[style][character], place)
    images = torch.as_tensor(pictures, dtype=torch.float32).unsqueeze(1) / 127.5 - 1
    return images, GlyphFactors(*(column.clone() for column in rows.unbind(dim=1)))


def _inked(file: str, room: float, characters: str) -> list[NDArray[np.uint8]]:
    """The ink of each character, cropped to it; the largest is ``room`` pixels high or wide."""
    from matplotlib import get_data_path  # noqa: PLC0415  # half a second, for one data set
    from matplotlib.ft2font import FT2Font, LoadFlags  # noqa: PLC0415

    face = FT2Font(f"{get_data_path()}/fonts/ttf/{file}.ttf")
    face.set_size(room / _extent(face, characters), 72)  # points of 1/72 inch at 72 dpi: pixels
    found = []
    for character in characters:
        face.set_text(character, 0, flags=LoadFlags.NO_HINTING)
        face.draw_glyphs_to_bitmap(antialiased=True)
        ink = np.array(face.get_image(), dtype=np.uint8)
        rows, columns = (np.flatnonzero(ink.any(axis=axis)) for axis in (1, 0))
        found.append(ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1])
        if max(found[-1].shape) > room + 2:  # an accent without its letter is drawn with a circle
            raise ValueError(f"characters = {character!r}: must be one that stands alone")
    return found


def _extent(face: FT2Font, characters: str) -> float:
    """Height or width of the largest character, whichever is more, in units of the font's size."""
    from matplotlib.ft2font import LoadFlags  # noqa: PLC0415

    points = 1000
    face.set_size(points, 72)
    most = 0.0
    for character in characters:
        known = face.get_char_index(ord(character))  # 0 for none
        box = face.load_char(ord(character), LoadFlags.NO_HINTING).bbox if known else (0, 0, 0, 0)
        left, bottom, right, top = box
        if right <= left or top <= bottom:
            raise ValueError(
                f"characters = {character!r}: must have ink in every font, and has none in "
                f"{face.family_name}"
            )
        most = max(most, right - left, top - bottom)
    return most / 64 / points  # FreeType measures in 64ths of a pixel


def _put(picture: NDArray[np.uint8], ink: NDArray[np.uint8], place: int) -> None:
    """Draw the ink into a picture, its middle at one of the nine places."""
    side = len(picture)
    row, column = (side // 9 * (part - 1) for part in divmod(place, 3))
    top = math.ceil((side - ink.shape[0]) / 2) + row
    left = math.ceil((side - ink.shape[1]) / 2) + column
    picture[top : top + ink.shape[0], left : left + ink.shape[1]] = ink
