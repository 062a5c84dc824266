"""Networks with labels: each is what its formula says, one by one and many at once."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor, nn

from gan_course.conditional import Auxiliary, Concatenated, Normalised, Projection, one_hot
from gan_course.distributions import Labelled
from gan_course.networks import Ensemble
from gan_course.training import Settings, Trainer

KINDS: dict[str, Callable[[], nn.Module]] = {
    "concatenation": lambda: Concatenated(2, 3, 4, width=8),
    "normalisation": lambda: Normalised(2, 3, 4, width=8),
    "projection": lambda: Projection(2, 4, width=8),
}


@pytest.fixture
def x() -> Tensor:
    return torch.randn(6, 2, generator=torch.Generator().manual_seed(0))


LABEL = torch.tensor([0, 3, 3, 1, 2, 0])


def test_a_one_stands_at_the_label():
    assert one_hot(torch.tensor([2, 0]), 3).tolist() == [[0, 0, 1], [1, 0, 0]]


@pytest.mark.parametrize("label", [torch.tensor([0.0, 1.0]), [0, 1]])
def test_labels_are_whole_numbers(label: object):
    with pytest.raises(ValueError, match=r"label = .*whole numbers"):
        one_hot(label, 3)  # type: ignore[arg-type]


def test_concatenation_is_a_perceptron_of_both(x: Tensor):
    network = Concatenated(2, 3, 4, width=8)
    by_hand = network.network(torch.cat([x, torch.eye(4)[LABEL]], dim=1))
    torch.testing.assert_close(network(x, LABEL), by_hand)


def test_projection_is_its_formula(x: Tensor):
    network = Projection(2, 4, width=8)
    phi = network.phi(x)
    for row, label, found in zip(phi, LABEL, network(x, LABEL), strict=True):
        torch.testing.assert_close(found, (network.v[label] @ row).view(1) + network.psi(row))


def test_the_projection_is_on_the_last_hidden_layer():
    network = Projection(2, 4, width=8, depth=3)
    assert network.v.shape == (4, 8)
    assert [type(part).__name__ for part in network.phi] == ["Linear", "LeakyReLU"] * 3


def test_normalisation_gives_each_class_its_own_scale_and_shift(x: Tensor):
    network = Normalised(2, 3, 4, width=8, depth=1)
    hidden = network.layers[0](x)
    hidden = (hidden - hidden.mean(dim=0)) / (hidden.var(dim=0, correction=0) + 1e-5).sqrt()
    gain, bias = network.gains[0][LABEL], network.biases[0][LABEL]
    by_hand = network.head((hidden * gain + bias).relu())
    torch.testing.assert_close(network(x, LABEL), by_hand)


@pytest.mark.parametrize(
    "build",
    [
        partial(Concatenated, 2, 3, 4),
        partial(Normalised, 2, 3, 4),
        partial(Projection, 2, 4),
        partial(Auxiliary, 2, 4),
    ],
)
def test_sizes_and_bends_are_those_asked_for(build: Callable[..., nn.Module]):
    for depth, activation, bend in ((1, "tanh", nn.Tanh), (3, "softplus", nn.Softplus)):
        network = build(width=7, depth=depth, activation=activation)
        layers = [part for part in network.modules() if isinstance(part, nn.Linear)]
        assert [layer.out_features for layer in layers[:-1]] == [7] * depth
        bends = [part for part in network.modules() if isinstance(part, nn.Tanh | nn.Softplus)]
        assert bends and all(type(part) is bend for part in bends)


def test_labels_are_of_the_samples_kind():
    assert one_hot(torch.tensor([1]), 2, torch.float64).dtype == torch.float64
    network = Concatenated(2, 1, 2, width=4).double()
    assert network(torch.zeros(3, 2).double(), torch.zeros(3).long()).dtype == torch.float64


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [torch.uint8, torch.int8, torch.int16, torch.int32])
def test_a_label_chooses_its_row_whatever_its_kind_of_whole_number(
    kind: str, dtype: torch.dtype, x: Tensor
):
    """Bytes that choose rows would be a mask: of a batch as large as the classes, and silent."""
    network = KINDS[kind]().eval()
    for label in (LABEL, torch.tensor([1, 2, 3, 1])):
        some = x[: len(label)]
        assert torch.equal(network(some, label.to(dtype)), network(some, label))


@pytest.mark.parametrize("kind", KINDS)
def test_samples_of_another_kind_or_place_are_named(kind: str, x: Tensor):
    network = KINDS[kind]()
    with pytest.raises(ValueError, match=r"x has dtype torch.float64: expected torch.float32"):
        network(x.double(), LABEL)
    with pytest.raises(ValueError, match="x is on device meta: expected cpu"):
        network(x.to("meta"), LABEL)
    with pytest.raises(ValueError, match="label is on device meta: expected cpu"):
        network(x, LABEL.to("meta"))
    with torch.autocast("cpu", torch.bfloat16):
        assert network(x.bfloat16(), LABEL).shape[0] == len(x)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ([[0.0, 0.0]], "x = .*must be a tensor of floats"),
        (torch.zeros(2, 3), r"x has shape \(2, 3\): expected \(batch, 2\)"),
        (torch.zeros(2, 2, dtype=torch.long), "(?s)x = .*must be a tensor of floats"),
        (torch.zeros(2, 2).double(), "x has dtype torch.float64"),
    ],
)
def test_an_auxiliary_names_what_does_not_fit(wrong: object, message: str):
    with pytest.raises(ValueError, match=message):
        Auxiliary(2, 4, width=8)(wrong)


@pytest.mark.parametrize("kind", KINDS)
def test_the_first_class_that_there_is_not_is_named(kind: str, x: Tensor):
    network = KINDS[kind]()
    for wrong in (4, -1):
        with pytest.raises(ValueError, match=r"label = .*must be from 0 to 3"):
            network(x, torch.full((6,), wrong))
    with pytest.raises(ValueError, match=r"label = .*must be from 0 to 2"):
        one_hot(torch.tensor([0, 3]), 3)


def test_in_evaluation_a_sample_does_not_depend_on_its_batch(x: Tensor):
    network = Normalised(2, 3, 4, width=8)
    for _ in range(20):
        network(
            torch.randn(50, 2, generator=torch.Generator().manual_seed(1)), LABEL.repeat(9)[:50]
        )
    network.eval()
    alone = torch.cat(
        [network(one[None], label[None]) for one, label in zip(x, LABEL, strict=True)]
    )
    torch.testing.assert_close(network(x, LABEL), alone)
    assert float(alone.detach().std()) > 0.05


def test_a_projection_starts_with_labels_as_loud_as_any_unit():
    torch.manual_seed(0)
    v = Projection(2, 50, width=64).v.detach()
    assert float(v.std()) == pytest.approx(1 / 8, rel=0.05)


@pytest.mark.parametrize("kind", KINDS)
def test_another_label_makes_another_output(kind: str, x: Tensor):
    network = KINDS[kind]().eval()
    found = [network(x, torch.full((6,), label)) for label in range(4)]
    assert all(not torch.allclose(found[0], other) for other in found[1:])


@pytest.mark.parametrize("kind", KINDS)
def test_many_are_each_by_itself(kind: str, x: Tensor):
    many = Ensemble(KINDS[kind], 3)
    labels = torch.stack([LABEL, LABEL.flip(0), LABEL])
    members = [many.member(run) for run in range(3)]
    found = many(x.expand(3, -1, -1), labels)
    for member, label, row in zip(members, labels, found, strict=True):
        torch.testing.assert_close(member(x, label), row)


def test_an_auxiliary_has_a_logit_and_the_classes(x: Tensor):
    assert Auxiliary(2, 4, width=8)(x).shape == (6, 5)


def pair(projects: bool) -> tuple[Ensemble, Ensemble]:
    torch.manual_seed(0)
    judge = partial(Projection, 2, 2) if projects else partial(Concatenated, 2, 1, 2)
    G = Ensemble(lambda: Concatenated(2, 2, 2, width=16), 2)
    return G, Ensemble(lambda: judge(width=16), 2)


@pytest.mark.slow
@pytest.mark.parametrize("projects", [False, True])
def test_a_trainer_makes_what_is_asked_for(projects: bool):
    random = torch.Generator().manual_seed(0)
    label = torch.arange(400) % 2
    data = torch.randn(400, 2, generator=random) + 3 * (2.0 * label.unsqueeze(1) - 1)
    settings = Settings(batch=64, discriminator_rate=3e-3, generator_rate=3e-3)
    trainer = Trainer(
        *pair(projects), Labelled(data, label), settings=settings, seed=0, device="cpu"
    )
    trainer.train(300)
    made = [trainer.sample(200, label=torch.full((200,), y)).mean(dim=(1, 2)) for y in (0, 1)]
    assert made[0].max() < -1.5
    assert made[1].min() > 1.5


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Concatenated(2, 3, 0), "classes = 0"),
        (lambda: Concatenated(0, 3, 2), "inputs = 0"),
        (lambda: Projection(2, 0), "classes = 0"),
        (lambda: Projection(2, 3, depth=0), "depth = 0"),
        (lambda: Normalised(2, 3, 4, depth=0), "depth = 0"),
        (lambda: Normalised(2, 0, 4), "outputs = 0"),
        (lambda: Auxiliary(2, 1.5), "classes = 1.5"),  # type: ignore[arg-type]
        (lambda: Normalised(2, 3, 4, activation="sine"), "activation"),
    ],
)
def test_what_cannot_be_built(build: Callable[[], nn.Module], message: str):
    with pytest.raises(ValueError, match=message):
        build()
