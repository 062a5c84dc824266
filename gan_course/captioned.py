"""Networks that read a caption: text to picture in miniature (Reed et al. 2016).

A caption becomes numbers by :func:`bag_of_words`. G lays its embedding beside the noise; D lays it
beside what a layer has made of the picture, and so has to say whether both belong
together (:func:`matching_aware`).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gan_course.arguments import floats, shown, whole, words_of
from gan_course.losses import cross_entropy
from gan_course.networks import mlp

_MOST = 10**6


def bag_of_words(texts: Sequence[str], words: Sequence[str]) -> Tensor:
    """How often each word occurs in each text; in which order is forgotten.

    Args:
        texts: captions. Capital letters, commas and a full stop at the end do not matter.
        words: the vocabulary, different words in small letters.

    Returns:
        Counts of shape ``(texts, words)``.

    Raises:
        ValueError: a text is empty or has a word that is not in the vocabulary; the message shows
            the word and the vocabulary.

    Example:
        >>> bag_of_words(["a red, red circle."], ["a", "blue", "circle", "red"])
        tensor([[1., 0., 1., 2.]])
    """
    for name, given in (("texts", texts), ("words", words)):
        listed = isinstance(given, Sequence) and not isinstance(given, str)
        if not listed or not all(isinstance(part, str) for part in given):
            raise ValueError(f"{name} = {shown(given)}: must be a sequence of words")
    place = {word: number for number, word in enumerate(words)}
    if len(place) < max(1, len(words)) or any(words_of(word) != [word] for word in words):
        raise ValueError(
            f"words = {shown(words)}: must be different words in small letters, at least one"
        )
    counts = torch.zeros(len(texts), len(words))
    for row, text in zip(counts, texts, strict=True):
        found = words_of(text)
        unknown = [word for word in found if word not in place]
        if unknown or not found:
            wrong = f"{shown(unknown[0])} is no word" if unknown else "an empty text has no word"
            raise ValueError(f"texts: {wrong} of the vocabulary: {', '.join(words)}")
        for word in found:
            row[place[word]] += 1
    return counts


def matching_aware(real: Tensor, wrong: Tensor, fake: Tensor) -> Tensor:
    """The loss of a D that sees three kinds of pairs (GAN-CLS: Reed et al. 2016, algorithm 1).

    −log D(x, t) − ½ [log(1 − D(x, t′)) + log(1 − D(G(z, t), t))], each a mean over the batch.

    Args:
        real: logits of real pictures with their captions, shape ``(runs, batch)``.
        wrong: of real pictures with wrong captions.
        fake: of generated pictures with the captions that were asked for.

    Returns:
        The loss of each run, shape ``(runs,)``.

    Raises:
        ValueError: they are no logits, or the three differ in shape.
    """
    for name, logits in {"real": real, "wrong": wrong, "fake": fake}.items():
        if not isinstance(logits, Tensor) or not logits.is_floating_point() or not logits.numel():
            raise ValueError(f"{name} = {shown(logits)}: must be a tensor of floats, (runs, batch)")
        if logits.shape != real.shape:
            shape, of_real = tuple(logits.shape), tuple(real.shape)
            raise ValueError(f"{name} has shape {shape}: expected that of real, {of_real}")
    return (cross_entropy(real, wrong) + cross_entropy(real, fake)) / 2


class CaptionGenerator(nn.Module):
    """Noise and a caption to a picture: the embedded caption is concatenated with z.

    It begins with dark pictures, since the scenes have a black ground.

    Args:
        words: size of the vocabulary.
        size: height and width of a picture in pixels; it has three colours.
        latent: dimension of z.
        text: features of the embedded caption.
        width: units in each of two hidden layers.

    Raises:
        ValueError: a size is no whole number or too small.
    """

    def __init__(
        self, words: int, size: int = 16, *, latent: int = 8, text: int = 32, width: int = 96
    ) -> None:
        super().__init__()
        self.size = whole("size", size, at_least=1, at_most=1024)
        self.latent = whole("latent", latent, at_least=1, at_most=_MOST)
        self.embed = _Embedding(words, text)
        self.network = mlp(self.latent + text, 3 * self.size**2, width=width)
        nn.init.constant_(self.network[-1].get_parameter("bias"), -1.5)

    def forward(self, z: Tensor, bag: Tensor) -> Tensor:
        """Noise ``(batch, latent)`` and counts ``(batch, words)`` to ``(batch, 3, size, size)``."""
        z = floats("z", z, (self.latent,), self.embed.vectors)
        pixels: Tensor = self.network(torch.cat([z, self.embed(bag, len(z))], dim=1)).tanh()
        return pixels.reshape(len(z), 3, self.size, self.size)


class CaptionDiscriminator(nn.Module):
    """Does this picture belong to this caption? The caption is concatenated at depth.

    A layer reads the picture alone; the embedded caption is laid beside its features, and two more
    layers judge both together (Reed et al. 2016, figure 2, with perceptrons for convolutions).
    Pictures come in from −1 to 1, and are looked at with black as 0: most of a scene is black, and
    would drown the rest.

    Args:
        words: size of the vocabulary.
        size: height and width of a picture in pixels; it has three colours.
        text: features of the embedded caption.
        width: units in each of two hidden layers.

    Raises:
        ValueError: a size is no whole number or too small.
    """

    def __init__(self, words: int, size: int = 16, *, text: int = 32, width: int = 96) -> None:
        super().__init__()
        self.size = whole("size", size, at_least=1, at_most=1024)
        self.embed = _Embedding(words, text)
        width = whole("width", width, at_least=1, at_most=_MOST)
        read = nn.Linear(3 * self.size**2, width)
        self.look = nn.Sequential(nn.Flatten(), read, nn.LeakyReLU(0.2))
        self.judge = mlp(width + text, 1, width=width, depth=1)

    def forward(self, x: Tensor, bag: Tensor) -> Tensor:
        """Logits ``(batch, 1)``.

        Args:
            x: pictures, shape ``(batch, 3, size, size)``.
            bag: counts of their captions, shape ``(batch, words)``.
        """
        x = floats("x", x, (3, self.size, self.size), self.embed.vectors)
        seen = torch.cat([self.look(2 * (x + 1)), self.embed(bag, len(x))], dim=1)
        logits: Tensor = self.judge(seen)
        return logits


class _Embedding(nn.Module):
    """The sum of a caption's words, each a learned vector, and a projection of it."""

    def __init__(self, words: int, text: int) -> None:
        super().__init__()
        self.words = whole("words", words, at_least=1, at_most=_MOST)
        text = whole("text", text, at_least=1, at_most=_MOST)
        self.vectors = nn.Parameter(2.5 * torch.randn(self.words, text))
        self.project = nn.Linear(text, text)

    def forward(self, bag: Tensor, batch: int) -> Tensor:
        """Counts ``(batch, words)`` to ``(batch, text)``."""
        bag = floats("bag", bag, (self.words,), self.vectors)
        if len(bag) != batch:
            raise ValueError(f"bag has shape {tuple(bag.shape)}: expected ({batch}, {self.words})")
        return F.leaky_relu(self.project(bag @ self.vectors), 0.2)
