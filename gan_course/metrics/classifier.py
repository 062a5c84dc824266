"""A small classifier, trained here: what it sees in pictures is what they are measured by."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from gan_course.arguments import one_device, shown, tensor, whole
from gan_course.distributions import Labelled
from gan_course.metrics.features import (
    density_coverage,
    frechet_distance,
    kernel_distance,
    label_coverage,
    precision_recall,
)
from gan_course.metrics.samples import Interval, proportion_interval

#: Pictures that pass the network at a time.
_ROWS = 1024
#: A class beyond is a slip, whose network would fill the memory.
_LAST = 10**5


class Classifier:
    """A trained network for pictures, always in evaluation mode: it changes by no look.

    Args:
        network: pictures ``(samples, channels, height, width)`` to logits ``(samples, classes)``;
            a ``Sequential`` whose last layer reads the features.
        accuracy: on pictures that it was not trained on, with its interval.

    Attributes:
        accuracy: as above. A measure is no better than the eyes it sees with.

    Raises:
        ValueError: the network is no ``Sequential`` of two layers or more that begins with a
            weight for each channel, or the accuracy no interval.
    """

    def __init__(self, network: nn.Sequential, accuracy: Interval) -> None:
        if not isinstance(network, nn.Sequential) or len(network) < 2:
            raise ValueError(
                f"network = {shown(network)}: must be a Sequential of 2 or more layers"
            )
        weight = next(network.parameters(), None)
        if weight is None or weight.dim() < 2:
            raise ValueError(
                f"network = {shown(network)}: must begin with a layer that has a weight for each "
                "channel of a picture"
            )
        if not isinstance(accuracy, Interval):
            raise ValueError(f"accuracy = {shown(accuracy)}: must be an Interval")
        self.network, self.accuracy = network, accuracy

    def __repr__(self) -> str:
        return f"Classifier(accuracy={self.accuracy.estimate:.3f} on pictures held out)"

    def features(self, images: Tensor) -> Tensor:
        """What the last layer reads, shape ``(..., features)``.

        Args:
            images: shape ``(..., channels, height, width)``, from −1 to 1; what a generator makes
                beyond is seen as it is shown, as black and white.

        Raises:
            ValueError: the shape does not fit, or the numbers are on another scale.
        """
        return self._passed(self.network[:-1], images)

    def classify(self, images: Tensor) -> Tensor:
        """The likeliest class of each picture, shape ``(...)``; errors as :func:`features`."""
        return self._passed(self.network, images).argmax(dim=-1)

    def to(self, device: torch.device | str) -> Classifier:
        """Return this classifier, moved to ``device``."""
        self.network.to(device)
        return self

    @torch.no_grad()
    def _passed(self, layers: nn.Module, images: Tensor) -> Tensor:
        images = tensor("images", images, "(..., channels, height, width)", least=1)
        weight = next(self.network.parameters())
        shape = f"(..., {weight.shape[1]}, height, width)"
        if images.dim() < 4 or images.shape[-3] != weight.shape[1]:
            raise ValueError(f"images has shape {tuple(images.shape)}: expected {shape}")
        if float(images.abs().max()) > 15:  # a generator without bounds may start at 5
            raise ValueError(
                f"images reaches {float(images.abs().max()):.4g}: must be from −1 to 1, as the "
                "pictures that the classifier has seen"
            )
        one_device(classifier=weight, images=images)
        self.network.eval()
        rows = images.flatten(0, -4).to(weight.dtype).clamp(-1, 1)
        try:
            found = [layers(rows[start : start + _ROWS]) for start in range(0, len(rows), _ROWS)]
        except RuntimeError as error:
            raise ValueError(
                f"images has shape {tuple(images.shape)}, which the classifier does not take: "
                f"{error}"
            ) from error
        seen: Tensor = torch.cat(found)
        return seen.reshape(*images.shape[:-3], *seen.shape[1:])


def train_classifier(
    images: Tensor,
    labels: Tensor,
    *,
    steps: int = 400,
    features: int = 64,
    held_out: int = 400,
    seed: int = 0,
) -> Classifier:
    """Train a small convolutional classifier, seconds on a CPU, and state how good it is.

    Args:
        images: shape ``(samples, channels, height, width)``, from −1 to 1; at least 8 × 8.
        labels: their classes from 0 on, shape ``(samples,)``.
        steps: of Adam, each on 128 pictures.
        features: what the last layer reads.
        held_out: pictures, drawn at random, that it is not trained on but judged by.
        seed: of the weights, the batches, and which pictures are held out.

    Raises:
        ValueError: the shapes do not fit, or a number is out of range.

    Example:
        >>> from gan_course.images import digits
        >>> judge = train_classifier(*digits(), steps=30)
        >>> judge.features(digits()[0][:5]).shape
        torch.Size([5, 64])
    """
    shape = "(samples, channels, height, width)"
    images = tensor("images", images, shape, least=1, dtype=torch.float32)
    if not isinstance(labels, Tensor):
        raise ValueError(f"labels = {shown(labels)}: must be a tensor of whole numbers, (samples,)")
    one_device(images=images, labels=labels)
    if min(images.shape[2:]) < 8 or labels.shape != images.shape[:1]:
        raise ValueError(
            f"images {tuple(images.shape)}, labels {tuple(labels.shape)}: expected pictures of "
            "at least 8 × 8, and a label for each"
        )
    steps = whole("steps", steps, at_least=1, at_most=10**6)
    features = whole("features", features, at_least=1, at_most=10**4)
    held_out = whole("held_out", held_out, at_least=1, at_most=len(images) - 1)
    random = Generator(images.device).manual_seed(
        whole("seed", seed, at_least=0, at_most=2**63 - 1)
    )
    order = torch.randperm(len(images), generator=random, device=images.device)
    unseen, seen = order[:held_out], order[held_out:]
    data = Labelled(images[seen], labels[seen])
    if int(labels.min()) < 0 or int(labels.max()) > _LAST:
        raise ValueError(f"labels = {shown(labels)}: must be from 0 to {_LAST} at most")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = _network(images.shape[1], features, int(labels.max()) + 1).to(images.device)
    optimiser = torch.optim.Adam(network.parameters(), 3e-3)
    schedule = torch.optim.lr_scheduler.LinearLR(optimiser, 1, 0.05, steps)
    for _ in range(steps):
        x, y = data.sample((128,), random)
        loss = F.cross_entropy(network(x), y)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        schedule.step()
    network.requires_grad_(False)
    judge = Classifier(network, Interval(0.0, 0.0, 1.0))
    right = int((judge.classify(images[unseen]) == labels[unseen]).sum())
    judge.accuracy = proportion_interval(right, held_out)
    return judge


def _network(channels: int, features: int, classes: int) -> nn.Sequential:
    def block(inputs: int, outputs: int) -> list[nn.Module]:
        convolution = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
        return [convolution, nn.BatchNorm2d(outputs), nn.ReLU(), nn.MaxPool2d(2)]

    return nn.Sequential(
        *block(channels, 16),
        *block(16, 32),
        nn.AdaptiveAvgPool2d(2),
        nn.Flatten(),
        nn.Linear(128, features),
        nn.ReLU(),
        nn.Linear(features, classes),
    )


class PictureQuality(NamedTuple):
    """Outcome of :func:`picture_quality`, each of shape ``(runs,)``.

    Attributes:
        frechet: :func:`frechet_distance`, 0 at best.
        kernel: :func:`kernel_distance`, 0 at best.
        precision: :func:`precision_recall`, 1 at best, and so the next three.
        recall: likewise.
        density: :func:`density_coverage`.
        coverage: likewise.
        balance: :func:`label_coverage`, KL from the real labels as the classifier sees them, in
            nats, 0 at best.
    """

    frechet: Tensor
    kernel: Tensor
    precision: Tensor
    recall: Tensor
    density: Tensor
    coverage: Tensor
    balance: Tensor


def picture_quality(generated: Tensor, real: Tensor, classifier: Classifier) -> PictureQuality:
    """Every measure of generated pictures beside real ones, as one classifier sees both.

    Put other real pictures in the place of generated ones, as many, to see what a perfect
    generator scores; and noise, to see what a broken one does.

    Args:
        generated: shape ``(runs, samples, channels, height, width)``, from −1 to 1.
        real: shape ``(others, channels, height, width)``, from −1 to 1, seen by all runs.
        classifier: whose features are compared.

    Raises:
        ValueError: the shapes do not fit, or pictures are on another scale.
    """
    if not isinstance(classifier, Classifier):
        raise ValueError(f"classifier = {shown(classifier)}: must be a Classifier")
    generated = tensor("generated", generated, "(runs, samples, channels, height, width)", least=1)
    real = tensor("real", real, "(others, channels, height, width)", least=1)
    x, y = classifier.features(generated), classifier.features(real)
    y = y.expand(len(x), -1, -1)
    seen, shown_as = classifier.classify(real), classifier.classify(generated)
    classes = 1 + max(int(seen.max()), int(shown_as.max()))
    share = torch.bincount(seen, minlength=classes)
    return PictureQuality(
        frechet_distance(x, y),
        kernel_distance(x, y),
        *precision_recall(x, y),
        *density_coverage(x, y),
        label_coverage(shown_as, share).kl,
    )
