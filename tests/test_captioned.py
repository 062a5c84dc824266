"""Captions: what a bag of words keeps, that both players read it, and what D is to tell apart."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from gan_course.captioned import (
    CaptionDiscriminator,
    CaptionGenerator,
    bag_of_words,
    matching_aware,
)
from gan_course.images import captions, read_captions, shapes
from gan_course.networks import Ensemble

WORDS = ["a", "blue", "circle", "red", "square"]
RED, BLUE = bag_of_words(["a red circle", "a blue circle"], WORDS)


def rows(bag: Tensor) -> Tensor:
    return bag.expand(4, -1)


def test_words_are_counted():
    found = bag_of_words(["A red, red circle.", "square"], WORDS)
    assert found.tolist() == [[1, 0, 1, 2, 0], [0, 0, 0, 0, 1]]


@pytest.mark.parametrize(
    "typed",
    [
        "A LARGE RED CIRCLE AT THE CENTRE",
        " a large  red circle at\nthe centre. ",
        "a large, red circle at the centre",
    ],
)
def test_both_readers_take_a_caption_as_people_type_it(typed: str):
    text = "a large red circle at the centre"
    vocabulary = sorted(set(text.split()))
    assert torch.equal(bag_of_words([typed], vocabulary), bag_of_words([text], vocabulary))
    assert read_captions([typed]) == read_captions([text])


def test_order_is_forgotten():
    one, other = bag_of_words(["a red circle a blue square", "a blue circle a red square"], WORDS)
    assert one.tolist() == other.tolist()


def test_each_scene_has_a_bag_of_its_own():
    texts = captions(shapes("all", copies=1, size=16)[1])
    words = sorted({word for text in texts for word in text.split()})
    assert len(bag_of_words(texts, words).unique(dim=0)) == len(texts) == 240


@pytest.mark.parametrize(
    ("texts", "words", "message"),
    [
        (["a pink circle"], WORDS, r"texts: 'pink' is no word of the vocabulary: a, blue, circle"),
        ([""], WORDS, "texts: an empty text has no word of the vocabulary: a, blue"),
        (["a", " . "], WORDS, "texts: an empty text"),
        ("a red circle", WORDS, "texts = 'a red circle': must be a sequence"),
        ([3], WORDS, "texts = .*must be a sequence"),
        (["a"], ["a", "a"], "words = .*must be different words"),
        (["a"], [], "words = .*at least one"),
        (["a"], "a", "words = 'a'"),
        (["a red"], ["a", "Red"], r"words = \['a', 'Red'\]: must be different words in small"),
        (["a"], ["a", "a red"], "words = .*in small letters"),
    ],
)
def test_what_is_no_caption_is_named(texts: object, words: object, message: str):
    with pytest.raises(ValueError, match=message):
        bag_of_words(texts, words)  # type: ignore[arg-type]


def test_the_loss_is_that_of_the_paper():
    real, wrong, fake = torch.randn(3, 2, 5, generator=torch.Generator().manual_seed(0))
    yes = torch.sigmoid
    by_hand = -(yes(real).log() + ((1 - yes(wrong)).log() + (1 - yes(fake)).log()) / 2).mean(dim=1)
    torch.testing.assert_close(matching_aware(real, wrong, fake), by_hand)


@pytest.mark.parametrize("name", ["real", "wrong", "fake"])
def test_logits_have_one_shape(name: str):
    logits = dict.fromkeys(["real", "wrong", "fake"], torch.zeros(2, 3))
    with pytest.raises(ValueError, match="has shape"):
        matching_aware(**logits | {name: torch.zeros(2, 4)})
    with pytest.raises(ValueError, match=f"(?s){name} = .*floats"):
        matching_aware(**logits | {name: torch.zeros(2, 3, dtype=torch.long)})


def test_each_kind_of_pair_moves_the_loss():
    logits = torch.zeros(3, 1, 4, requires_grad=True)
    matching_aware(*logits).sum().backward()
    assert logits.grad is not None
    # Half of each mean's slope at 0, −1/2 · 1/4, +1/2 · 1/2 · 1/4.
    torch.testing.assert_close(logits.grad[:, 0, 0], torch.tensor([-0.125, 0.0625, 0.0625]))


def test_generator_reads_the_caption_and_the_noise():
    torch.manual_seed(0)
    generator = CaptionGenerator(len(WORDS), latent=3)
    z = torch.randn(4, 3)
    red, blue = generator(z, rows(RED)), generator(z, rows(BLUE))
    assert red.shape == (4, 3, 16, 16)
    assert (red - blue).abs().amax(dim=(1, 2, 3)).min() > 0.01
    assert (red[0] - red[1]).abs().max() > 0.01
    assert red.mean() < -0.8  # dark at first


def test_discriminator_reads_the_caption_and_the_picture():
    torch.manual_seed(0)
    discriminator = CaptionDiscriminator(len(WORDS))
    x = torch.rand(4, 3, 16, 16) * 2 - 1
    red, blue = discriminator(x, rows(RED)), discriminator(x, rows(BLUE))
    assert red.shape == (4, 1)
    assert (red - blue).abs().min() > 1e-3
    assert red.std() > 1e-3


def test_discriminator_is_its_layers():
    torch.manual_seed(0)
    D = CaptionDiscriminator(len(WORDS))
    x = torch.rand(4, 3, 16, 16) * 2 - 1
    first, *_ = (layer for layer in D.look if isinstance(layer, torch.nn.Linear))
    seen = F.leaky_relu(first(2 * (x.flatten(1) + 1)), 0.2)
    text = F.leaky_relu(D.embed.project(rows(RED) @ D.embed.vectors), 0.2)
    torch.testing.assert_close(D(x, rows(RED)), D.judge(torch.cat([seen, text], dim=1)))


def test_many_at_once_are_each_by_itself():
    torch.manual_seed(0)
    G = Ensemble(lambda: CaptionGenerator(len(WORDS), width=8), 3)
    D = Ensemble(lambda: CaptionDiscriminator(len(WORDS), width=8), 3)
    z, bag = torch.randn(3, 4, 8), rows(RED).expand(3, -1, -1)
    x = G(z, bag)
    torch.testing.assert_close(x[1], G.member(1)(z[1], bag[1]))
    torch.testing.assert_close(D(x, bag)[1], D.member(1)(x[1], bag[1]))


@pytest.mark.parametrize(
    ("x", "bag", "message"),
    [
        (torch.zeros(4, 8), rows(RED)[:3], r"bag has shape \(3, 5\): expected \(4, 5\)"),
        (torch.zeros(4, 8), torch.zeros(4, 6), r"bag has shape \(4, 6\)"),
        (torch.zeros(4, 8), rows(RED).long(), "bag = .*floats"),
        (torch.zeros(4, 7), rows(RED), r"z has shape \(4, 7\): expected \(batch, 8\)"),
        ([0.0], rows(RED), "z = .*floats"),
        (
            torch.zeros(4, 8).double(),
            rows(RED),
            r"z has dtype torch.float64: expected torch.float32",
        ),
        (torch.zeros(4, 8), rows(RED).double(), r"bag has dtype torch.float64: expected torch.f"),
        (torch.zeros(4, 8, device="meta"), rows(RED), "z is on device meta: expected cpu"),
    ],
)
def test_what_does_not_fit_is_named(x: object, bag: object, message: str):
    with pytest.raises(ValueError, match=message):
        CaptionGenerator(len(WORDS))(x, bag)
