"""A classifier that is trained here, and what it says of good and of bad forgers."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from gan_course.images import Stacked, digits, stacked_label
from gan_course.metrics import (
    Classifier,
    Interval,
    PictureQuality,
    density_coverage,
    frechet_distance,
    kernel_distance,
    label_coverage,
    picture_quality,
    precision_recall,
    train_classifier,
)

PICTURES, LABELS = digits()
ORDER = torch.randperm(len(PICTURES), generator=Generator().manual_seed(1))
#: What forgers know, and what they are compared with.
KNOWN, REAL = ORDER[:600], ORDER[600:1200]


@pytest.fixture(scope="module")
def judge() -> Classifier:
    return train_classifier(PICTURES, LABELS, steps=150)


@pytest.mark.slow
def test_it_states_how_good_it_is_on_pictures_held_out(judge: Classifier) -> None:
    assert judge.accuracy.low < judge.accuracy.estimate < judge.accuracy.high
    assert judge.accuracy.estimate > 0.95
    assert f"{judge.accuracy.estimate:.3f}" in repr(judge)


@pytest.mark.slow
def test_its_accuracy_is_that_of_pictures_it_was_not_trained_on() -> None:
    """Labels drawn at random can be learned by heart, and are then of no use for others."""
    random = torch.randint(2, (260,), generator=Generator().manual_seed(0))
    poor = train_classifier(PICTURES[:260], random, steps=150, held_out=100)
    assert poor.accuracy.estimate == pytest.approx(0.5, abs=0.16)
    assert (poor.classify(PICTURES[:260]) == random).float().mean() > 0.7


def test_the_same_seed_is_the_same_classifier_and_touches_no_other_state() -> None:
    torch.manual_seed(0)
    before = torch.get_rng_state()
    one, same, other = (train_classifier(PICTURES, LABELS, steps=3, seed=s) for s in (0, 0, 1))
    assert torch.equal(torch.get_rng_state(), before)
    x = PICTURES[:9]
    assert torch.equal(one.features(x), same.features(x))
    assert not torch.equal(one.features(x), other.features(x))


def test_a_picture_alone_has_the_features_that_it_has_among_others(judge: Classifier) -> None:
    state = {name: value.clone() for name, value in judge.network.state_dict().items()}
    judge.network.train()  # as somebody may have left it
    together = judge.features(PICTURES[:40])
    alone = torch.cat([judge.features(picture[None]) for picture in PICTURES[:40]])
    torch.testing.assert_close(together, alone, atol=1e-4, rtol=1e-4)
    for name, value in judge.network.state_dict().items():
        assert torch.equal(value, state[name])


def test_features_are_what_the_last_layer_reads(judge: Classifier) -> None:
    x = PICTURES[:24].unflatten(0, (2, 3, 4))
    features = judge.features(x)
    assert features.shape == (2, 3, 4, 64)
    last = judge.network[-1]
    assert isinstance(last, nn.Linear)
    assert torch.equal(last(features).argmax(-1), judge.classify(x))
    assert judge.classify(PICTURES).shape == LABELS.shape
    many = PICTURES.repeat(2, 1, 1, 1)
    assert (
        torch.equal(judge.features(many)[:1797], judge.features(many)[1797:])
        or (judge.features(many)[:1797] - judge.features(many)[1797:]).abs().max() < 1e-4
    )


def test_each_quality_is_the_measure_of_its_name(judge: Classifier) -> None:
    made = (PICTURES[KNOWN[:40]] * 0.7)[LABELS[KNOWN[:40]] < 7].unsqueeze(0)
    real = PICTURES[REAL[:60]]
    x, y = judge.features(made), judge.features(real).unsqueeze(0)
    share = torch.bincount(judge.classify(real), minlength=10)
    expected = PictureQuality(
        frechet_distance(x, y),
        kernel_distance(x, y),
        *precision_recall(x, y),
        *density_coverage(x, y),
        label_coverage(judge.classify(made), share).kl,
    )
    found = picture_quality(made, real, judge)
    for name, value in found._asdict().items():
        torch.testing.assert_close(value, getattr(expected, name), msg=name)
    assert len({round(float(value), 6) for value in found}) == 7  # so none stands for another


def quality(judge: Classifier, forged: Tensor) -> PictureQuality:
    return PictureQuality(*map(float, picture_quality(forged[None], PICTURES[REAL], judge)))


def test_other_real_pictures_are_the_ceiling_of_every_measure(judge: Classifier) -> None:
    """A model that is broken, noise, is the floor."""
    ceiling = quality(judge, PICTURES[KNOWN])
    noise = torch.rand(600, 1, 8, 8, generator=Generator().manual_seed(0)) * 2 - 1
    floor = quality(judge, noise)
    assert ceiling.frechet < floor.frechet / 50
    assert abs(ceiling.kernel) < floor.kernel / 50
    assert min(ceiling.precision, ceiling.recall, ceiling.coverage) > 0.85
    assert floor.precision < 0.4
    assert floor.coverage < 0.15
    assert ceiling.density == pytest.approx(1, abs=0.1)
    assert ceiling.balance < 0.02


def test_half_of_the_classes_missing(judge: Classifier) -> None:
    ceiling = quality(judge, PICTURES[KNOWN])
    half = quality(judge, PICTURES[KNOWN][LABELS[KNOWN] < 5])
    assert half.precision > ceiling.precision - 0.1
    assert half.recall < 0.75 * ceiling.recall
    assert half.coverage < 0.65 * ceiling.coverage
    assert half.balance == pytest.approx(0.69, abs=0.1)  # log 2
    assert half.frechet > 10 * ceiling.frechet


def test_blur(judge: Classifier) -> None:
    blurred = quality(judge, F.avg_pool2d(PICTURES[KNOWN], 3, 1, 1, count_include_pad=False))
    ceiling = quality(judge, PICTURES[KNOWN])
    assert blurred.frechet > 10 * ceiling.frechet
    assert blurred.kernel > 10 * abs(ceiling.kernel)
    assert blurred.coverage < 0.8 * ceiling.coverage


def test_stacked_digits_are_counted_by_channel(judge: Classifier) -> None:
    stack, label = Stacked(PICTURES, LABELS).pairs((3, 400), Generator().manual_seed(0))
    seen = stacked_label(judge.classify(stack.unsqueeze(-3)))
    assert seen.shape == (3, 400)
    assert float((seen == label).float().mean()) > 0.9
    assert label_coverage(seen, torch.ones(1000)).classes.float().mean() > 300


def test_pictures_of_another_kind_are_refused_by_name(judge: Classifier) -> None:
    for bad, words in (
        (PICTURES * 127.5, "images reaches 127.5: must be from −1 to 1"),
        (PICTURES.expand(-1, 3, 8, 8), "images has shape"),
        (PICTURES[0], "images has shape"),
        (PICTURES / 0, "finite"),
    ):
        with pytest.raises(ValueError, match=words):
            judge.features(bad)
    with pytest.raises(ValueError, match="classifier = "):
        picture_quality(PICTURES[None, :9], PICTURES[:9], judge.network)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="network"):
        Classifier(nn.Linear(2, 2), Interval(0, 0, 1))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"(?s)network = .*weight for each channel"):
        Classifier(nn.Sequential(nn.Flatten(), nn.ReLU()), Interval(0, 0, 1))
    with pytest.raises(ValueError, match=r"accuracy = 0\.9: must be an Interval"):
        Classifier(judge.network, 0.9)  # type: ignore[arg-type]
    with pytest.raises(
        ValueError, match=r"images has shape .*3, 3\), which the classifier does not"
    ):
        judge.features(PICTURES[:2, :, :3, :3])


@pytest.mark.parametrize("dtype", [torch.float16, torch.float64])
def test_pictures_in_another_precision_are_those_in_single(dtype: torch.dtype) -> None:
    one, other = (
        train_classifier(x, LABELS[:60], steps=2, held_out=20)
        for x in (PICTURES[:60], PICTURES[:60].to(dtype))
    )
    found = other.features(PICTURES[:9].to(dtype))
    torch.testing.assert_close(found, one.features(PICTURES[:9]))


@pytest.mark.parametrize(
    "labels", [LABELS[:60] - 1, LABELS[:60] + 10**9, LABELS[:60] > 0, LABELS[:60].float()]
)
def test_labels_of_no_class_are_named(labels: Tensor) -> None:
    with pytest.raises(ValueError, match="labels "):
        train_classifier(PICTURES[:60], labels, steps=1, held_out=20)


def test_what_lies_beyond_black_and_white_is_seen_as_shown(judge: Classifier) -> None:
    x = PICTURES[:9] * 1.5
    assert torch.equal(judge.features(x), judge.features(x.clamp(-1, 1)))
