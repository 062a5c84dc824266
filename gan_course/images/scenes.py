"""Scenes of one shape, in colour, each with a caption that says all of it."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Generator, Tensor

from gan_course.arguments import are_whole, one_of, shown, whole, words_of


class SceneFactors(NamedTuple):
    """What is known of each scene: whole numbers, each of shape ``(samples,)``.

    The numbers count from 0 in the order of the words in :data:`SCENE_FACTORS`.

    Attributes:
        size: small or large.
        colour: of the shape; the ground is black.
        shape: which figure.
        place: where its middle stands, up to one pixel.
    """

    size: Tensor
    colour: Tensor
    shape: Tensor
    place: Tensor


#: The words of each factor.
SCENE_FACTORS: dict[str, tuple[str, ...]] = {
    "size": ("small", "large"),
    "colour": ("red", "green", "blue", "yellow", "purple", "white"),
    "shape": ("circle", "square", "triangle", "cross"),
    "place": ("centre", "top left", "top right", "bottom left", "bottom right"),
}
_COLOURS = torch.tensor([[1.0, 0, 0], [0, 1, 0], [0.1, 0.3, 1], [1, 1, 0], [0.7, 0, 1], [1, 1, 1]])
_RADII = torch.tensor([0.09, 0.16])  # of a circle, as a share of the picture's side
_PLACES = torch.tensor([[0.0, 0], [-1, -1], [-1, 1], [1, -1], [1, 1]]) / 5  # down, to the right
_FINE = 4  # points along each side of a pixel, whose mean is its colour


def shapes(
    split: str = "train", copies: int = 10, size: int = 32, seed: int = 0
) -> tuple[Tensor, SceneFactors]:
    """Scenes such as *a small red circle at the top left*, in every combination of a split.

    Of the 24 pairs of colour and shape, 6 are held out: the training has seen their colour and
    their shape, but never together. So one can ask whether a generator composes, or remembers.

    Args:
        split: ``"train"``, ``"held out"``, or ``"all"``.
        copies: how often each scene occurs, its middle each time moved by up to a pixel.
        size: height and width of a picture, in pixels.
        seed: of those small moves.

    Returns:
        Images of shape ``(samples, 3, size, size)``, from −1 to 1, and their factors; 180 × copies
        of them in ``"train"``, 60 × copies held out. :func:`captions` puts factors into words.

    Raises:
        ValueError: the split is unknown, ``size`` is no whole number from 16 to 128, or
            ``copies`` is below 1.

    Example:
        >>> images, factors = shapes("held out", copies=1)
        >>> images.shape, captions(factors)[0]
        (torch.Size([60, 3, 32, 32]), 'a small red circle at the centre')
    """
    one_of("split", split, ["train", "held out", "all"])
    copies = whole("copies", copies, at_least=1, at_most=1000)
    size, seed = (
        whole("size", size, at_least=16, at_most=128),
        whole("seed", seed, at_least=0, at_most=2**63 - 1),
    )
    levels = [torch.arange(len(words)) for words in SCENE_FACTORS.values()]
    scenes = torch.cartesian_prod(*levels)
    held_out = scenes[:, 1] % len(SCENE_FACTORS["shape"]) == scenes[:, 2]
    if split != "all":
        scenes = scenes[held_out == (split == "held out")]
    factors = SceneFactors(*scenes.repeat_interleave(copies, dim=0).T.contiguous())
    moves = torch.rand(len(factors.size), 2, generator=Generator().manual_seed(seed)) * 2 - 1
    centers = _PLACES[factors.place] + moves / size
    some = [slice(start, start + 256) for start in range(0, len(centers), 256)]
    pictures = [
        _painted(centers[rows], SceneFactors(*(part[rows] for part in factors)), size)
        for rows in some
    ]
    return torch.cat(pictures), factors


def captions(factors: SceneFactors) -> list[str]:
    """Put factors into words, one sentence for each scene.

    Args:
        factors: as :func:`shapes` returns them.

    Raises:
        ValueError: they are none, not equally many, or a number stands for no word.
    """
    sentence, choices = "a {} {} {} at the {}", list(SCENE_FACTORS.values())
    columns: list[list[int]] = []
    if isinstance(factors, tuple) and all(are_whole(part) and part.dim() == 1 for part in factors):
        columns = [part.tolist() for part in factors]
    fits = len(columns) == len(choices) and len({len(column) for column in columns}) == 1
    if not fits or not all(
        0 <= number < len(words)
        for words, column in zip(choices, columns, strict=True)
        for number in column
    ):
        raise ValueError(f"factors = {shown(factors)}: must be SceneFactors, as shapes() makes")
    return [
        sentence.format(*(words[number] for words, number in zip(choices, row, strict=True)))
        for row in zip(*columns, strict=True)
    ]


def read_captions(texts: Sequence[str]) -> SceneFactors:
    """The factors that captions speak of: :func:`captions`, backwards.

    Capital letters, commas, spaces and a full stop at the end do not matter.

    Raises:
        ValueError: a text is no caption; the message shows it and the grammar.
    """
    choices = {name: "|".join(words) for name, words in SCENE_FACTORS.items()}
    grammar = "a ({size}) ({colour}) ({shape}) at the ({place})".format(**choices)
    rows = []
    if isinstance(texts, str) or not isinstance(texts, Sequence):
        raise ValueError(f"texts = {shown(texts)}: must be a sequence of captions")
    for text in texts:
        match = re.fullmatch(grammar, " ".join(words_of(text))) if isinstance(text, str) else None
        if match is None:
            raise ValueError(f"texts: {shown(text)} is no caption: must be {grammar}")
        found = zip(SCENE_FACTORS.values(), match.groups(), strict=True)
        rows.append([words.index(word) for words, word in found])
    return SceneFactors(*torch.tensor(rows, dtype=torch.long).reshape(-1, 4).T.contiguous())


def _painted(centers: Tensor, factors: SceneFactors, size: int) -> Tensor:
    """Scenes ``(samples, 3, size, size)``; the middle of a picture is (0, 0), its side 1."""
    fine = _FINE * size
    axis = (torch.arange(fine) + 0.5) / fine - 0.5
    y = (axis.reshape(1, fine, 1) - centers[:, 0].reshape(-1, 1, 1)).expand(-1, fine, fine)
    x = (axis.reshape(1, 1, fine) - centers[:, 1].reshape(-1, 1, 1)).expand(-1, fine, fine)
    radius = _RADII[factors.size].reshape(-1, 1, 1)
    # All four have the area of the circle, π radius², so that size is size.
    side = math.sqrt(math.pi)
    third = math.sqrt(math.pi / (3 * math.sqrt(3)))  # a triangle's middle to its sides
    arm = math.sqrt(
        math.pi / 20
    )  # half of the breadth of a cross's arms, which are 3 times as long
    ways = torch.stack(
        [
            x.square() + y.square() <= radius.square(),
            torch.maximum(x.abs(), y.abs()) <= radius * side / 2,
            torch.maximum(y, (math.sqrt(3) * x.abs() - y) / 2) <= radius * third,
            (torch.minimum(x.abs(), y.abs()) <= radius * arm)
            & (torch.maximum(x.abs(), y.abs()) <= radius * 3 * arm),
        ]
    )
    inside = ways[factors.shape, torch.arange(len(centers))].float()
    cover = inside.reshape(-1, size, _FINE, size, _FINE).mean(dim=(2, 4))
    return cover.unsqueeze(1) * _COLOURS[factors.colour].reshape(-1, 3, 1, 1) * 2 - 1
