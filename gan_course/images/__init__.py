"""Pictures to learn from, as tensors that live in memory: ``(samples, channels, height, width)``.

Numbers run from −1 to 1. Each data set is a pair of pictures and what is known of them, which a
:class:`~gan_course.training.Trainer` takes as it is: the pictures alone, or ``(pictures, labels)``
for networks that are told the label.

==================  ======================================================  ==================
data set            what it holds                                           needs a network
==================  ======================================================  ==================
``digits``          1,797 handwritten digits, 8 × 8                         no
``glyphs``          printed characters whose every factor is known          no
``shapes``          scenes of one shape, in colour, with captions           no
``Stacked``         three pictures in the colour channels: 1,000 modes      no
``mnist``           70,000 handwritten digits, 28 × 28                      the first time
``fashion_mnist``   70,000 pieces of clothing, 28 × 28                      the first time
``cifar10``         60,000 photographs of 10 kinds, 32 × 32, in colour      the first time
==================  ======================================================  ==================
"""

from gan_course.images.embedded import GLYPH_FACTORS, GlyphFactors, digits, glyphs
from gan_course.images.fetched import FetchError, cifar10, fashion_mnist, mnist
from gan_course.images.scenes import SCENE_FACTORS, SceneFactors, captions, read_captions, shapes
from gan_course.images.stacked import Stacked, stacked_label

__all__ = [
    "GLYPH_FACTORS",
    "SCENE_FACTORS",
    "FetchError",
    "GlyphFactors",
    "SceneFactors",
    "Stacked",
    "captions",
    "cifar10",
    "digits",
    "fashion_mnist",
    "glyphs",
    "mnist",
    "read_captions",
    "shapes",
    "stacked_label",
]
