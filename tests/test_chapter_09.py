"""Chapter 09's exercises know right answers from plausible wrong ones; its records come again."""

from __future__ import annotations

import json
from functools import partial

import pandas as pd
import pytest
import torch
from tools import RUNS, exercise_tests, load
from torch import Tensor, nn

from gan_course.images import Stacked, digits
from gan_course.metrics import mean_interval, train_classifier
from gan_course.training import Trainer


def frechet(
    x: Tensor, y: Tensor, *, ddof: int = 1, root: str = "matrix", factor: float = 2, means: int = 1
) -> Tensor:
    x, y = x.double(), y.double()
    of_x, of_y = (torch.cov(a.T, correction=ddof) for a in (x, y))
    if root == "matrix":
        shared = torch.linalg.eigvals(of_x @ of_y).real.clamp(min=0).sqrt().sum()
    elif root == "none":
        shared = (of_x @ of_y).trace()
    else:
        shared = (of_x @ of_y).clamp(min=0).sqrt().trace()
    apart = (x.mean(0) - y.mean(0)).square().sum()
    return means * apart + of_x.trace() + of_y.trace() - factor * shared


def coverage(
    x: Tensor, y: Tensor, k: int, *, skip: int = 1, strict: bool = False, turned: bool = False
) -> Tensor:
    if turned:
        x, y = y, x
    radius = torch.cdist(y, y).kthvalue(k + skip, dim=1)[0]
    nearest = torch.cdist(y, x).amin(dim=1)
    return (nearest < radius if strict else nearest <= radius).double().mean()


def precision(x: Tensor, y: Tensor, k: int) -> Tensor:
    radius = torch.cdist(y, y).kthvalue(k + 1, dim=1)[0]
    return (torch.cdist(x, y) <= radius).any(dim=1).double().mean()


WORDS = {
    "A": "nothing",
    "B": "flattery",
    "C": "half of the classes",
    "D": "photocopier",
    "E": "blur",
}

RIGHT = [
    ("09.1", lambda k, p: 2 * p + 2 - k),
    ("09.2", frechet),
    ("09.3", lambda d, n, m, v: v * (d**2 + 5 * d) * (n + m) / (4 * n * m)),
    ("09.3", lambda d, n, m, v: v * d * (d + 5) / 4 * (1 / (n - 1) + 1 / (m - 1))),
    ("09.4", coverage),
    ("09.5", WORDS),
]

WRONG = [
    ("09.1", "always none", lambda k, p: 0),
    ("09.1", "always one", lambda k, p: 1),
    ("09.1", "the sign turned", lambda k, p: k - 2 - 2 * p, "sign"),
    ("09.1", "n s in place of (n − 1) s", lambda k, p: 2 * p - k),
    ("09.1", "what fits the usual kernels", lambda k, p: k % 2),
    ("09.1", "one padding", lambda k, p: 2 - k + p, "factor of p is 1"),
    ("09.2", "no root", lambda x, y: frechet(x, y, root="none"), "lost its root"),
    ("09.2", "the root of each number", lambda x, y: frechet(x, y, root="each"), "each number"),
    ("09.2", "covariances over n", lambda x, y: frechet(x, y, ddof=0), "n − 1"),
    ("09.2", "without the 2", lambda x, y: frechet(x, y, factor=1), "has the factor -1"),
    ("09.2", "without the means", lambda x, y: frechet(x, y, means=0), "means"),
    ("09.2", "the means alone", lambda x, y: (x.mean(0) - y.mean(0)).square().sum(), "three"),
    ("09.2", "the root of the distance", lambda x, y: frechet(x, y).sqrt()),
    (
        "09.3",
        "the larger sample ignored",
        lambda d, n, m, v: v * d * (d + 5) / 2 / n,
        "n is endless",
    ),
    ("09.3", "half of it", lambda d, n, m, v: v * d * (d + 5) / 4 / n),
    ("09.3", "both over the sum", lambda d, n, m, v: v * d * (d + 5) / (n + m), "n is endless"),
    ("09.3", "the means alone", lambda d, n, m, v: v * d * (1 / n + 1 / m)),
    ("09.3", "the covariances alone", lambda d, n, m, v: v * d * (d + 1) / 4 * (1 / n + 1 / m)),
    ("09.3", "a deviation", lambda d, n, m, v: v**0.5 * d * (d + 5) / 4 * (1 / n + 1 / m)),
    ("09.4", "own neighbour", lambda x, y, k: coverage(x, y, k, skip=0), "own first neighbour"),
    (
        "09.4",
        "balls of generated points",
        lambda x, y, k: coverage(x, y, k, turned=True),
        "around generated points",
    ),
    ("09.4", "precision", precision, "precision"),
    ("09.4", "recall", lambda x, y, k: precision(y, x, k), "recall"),
    ("09.4", "a rim that is outside", lambda x, y, k: coverage(x, y, k, strict=True), "rim"),
    ("09.4", "a count", lambda x, y, k: coverage(x, y, k) * len(y), "number of balls"),
    ("09.5", "one row alone", {"A": "nothing"}, "keys"),
    ("09.5", "a word of one's own", WORDS | {"B": "noise"}, "B: answer with one of"),
    *(
        ("09.5", f"{row} is {other}", WORDS | {row: other}, f"{row} is not")
        for row, word in WORDS.items()
        for other in WORDS.values()
        if other != word
    ),
]

test_right_answers, test_wrong_answers, test_stubs = exercise_tests(RIGHT, WRONG)

PARTS = [("pictures", part) for part in ("digits", "few", "stacked", "glyphs")]
PARTS += [("hacks", part) for part in ("tricks", "one", "latent", "packed", "batches", "late")]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "part"), PARTS)
def test_small_records_come_out_again(name: str, part: str):
    """Means agree with those of the small record, within intervals that all hold at once."""
    script = load(f"figures/sweeps/{name}.py")
    for quick, settings in (("", script.SETTINGS), (".quick", script.QUICK)):
        note = json.loads((RUNS / f"{name}_{part}{quick}.json").read_text("utf-8"))
        assert note["settings"] == json.loads(json.dumps(settings[part]))
        if name == "pictures":
            assert note["recipe"] == json.loads(json.dumps(script.RECIPE))
    record = pd.read_csv(RUNS / f"{name}_{part}.quick.csv")
    frame = pd.DataFrame(script.PARTS[part](script.QUICK[part]))
    assert list(frame.columns) == list(record.columns)
    known = ("variant", "step", "factor", "company", "trick", "weights", "rate", "way", "scale")
    keys = [key for key in known if key in record]
    measures = [column for column in record if column not in {*keys, "run", "seconds"}]
    cells = dict(list(record.groupby(keys)))
    for cell, rows in frame.groupby(keys):
        for measure in measures:
            if len(rows) < 2 or rows[measure].isna().any():
                continue
            a, b = (mean_interval(t[measure], 0.9995) for t in (rows, cells[cell]))
            assert a.low <= b.high, (cell, measure)
            assert b.low <= a.high, (cell, measure)


def test_sizes_are_measured_after_equal_times(monkeypatch: pytest.MonkeyPatch):
    """On made-up pictures: every size, player, rate and moment; both players for the time asked."""
    script = load("figures/sweeps/pictures.py")
    note = json.loads((RUNS / "pictures_sizes.json").read_text("utf-8"))
    assert note["settings"] == json.loads(json.dumps(script.SETTINGS["sizes"]))
    random = torch.Generator().manual_seed(0)
    made_up = 2 * torch.rand(400, 1, 28, 28, generator=random) - 1, torch.arange(400) % 10
    monkeypatch.setattr(script, "mnist", {"test": made_up}.__getitem__)
    monkeypatch.setattr(script, "SHARES", [100, 200, 50, 50])
    monkeypatch.setattr(script, "train_classifier", partial(train_classifier, steps=2))
    small = {"runs": 1, "rates": [1e-3], "seconds": {"8": [0.01, 0.3], "28": [0.3]}}
    frame = pd.DataFrame(script.of_sizes(small))
    assert list(frame.columns) == list(pd.read_csv(RUNS / "pictures_sizes.csv").columns)
    trained = frame[frame["moment"] > 0].set_index(["side", "variant", "moment"])
    assert len(trained) == 6
    steps = trained["steps"]
    assert steps["8", "DCGAN", 0.01] == 10 < steps["8", "DCGAN", 0.3]
    assert steps["28", "DCGAN", 0.3] < steps["28", "perceptrons", 0.3]  # a step costs more


def test_a_glyph_is_what_was_asked_for_and_its_judge_is_told_what_it_should_be():
    """Both players hear the character, and nobody else's."""
    script = load("figures/sweeps/pictures.py")
    torch.manual_seed(0)
    G, D = script.Asked(4).eval(), script.Expecting(4)
    z, label = torch.randn(2, 64), torch.tensor([3, 7])
    made = G(z, label)
    assert made.shape == (2, 1, 16, 16)
    assert torch.equal(made[0], G(z, torch.tensor([3, 8]))[0])
    assert not torch.allclose(made[1], G(z, torch.tensor([3, 8]))[1], atol=1e-3)
    v = D.v.detach().clone()
    told, other = D(made, label), D(made, torch.tensor([3, 8]))
    assert torch.equal(told[0], other[0])
    apart = ((v[7] - v[8]) * D.phi(made[1:])).sum()
    torch.testing.assert_close((told - other)[1, 0], apart)


def test_the_hacks_are_what_they_say():
    """Each training of the record has the players, settings and pictures of its hacks."""
    hacks = load("figures/sweeps/hacks.py")
    small = hacks.SETTINGS["tricks"] | {"runs": 1, "width": 8, "steps": [4, 8]}

    def trained(*on: str) -> Trainer:
        *_, (_, trainer) = hacks.tricky(frozenset(on), small)
        return trainer

    bare, every = trained(), trained(*hacks.TRICKS[:-1])
    assert bare.steps == every.steps == 8
    assert trained("k = 3").steps == 4  # of 3 + 1 evaluations each, where others have 1 + 1
    assert (bare.settings.betas, every.settings.betas) == ((0.9, 0.999), (0.5, 0.999))
    for trainer, has in ((bare, False), (every, True)):
        for network in (trainer.generator, trainer.discriminator):
            kinds = {type(module) for module in network.modules()}
            assert (nn.BatchNorm1d in kinds) is has
        assert (nn.Tanh in {type(m) for m in trainer.generator.modules()}) is has
        assert (nn.LeakyReLU in {type(m) for m in trainer.discriminator.modules()}) is has
        drawn = trainer.data.sample((64,))
        assert bool(drawn.min() < 0) is has
        assert bool(trainer.prior.sample((64,)).abs().max() > 1) is has
    sets = hacks.sets_of_tricks()
    assert sets["bare", "noise in D"] == {"noise in D"}
    assert sets["all", "noise in D"] == set(hacks.TRICKS) - {"noise in D", "k = 3"}
    assert sets["all", "k = 3"] == set(hacks.TRICKS)


def test_smoothed_and_flipped_labels_are_the_losses_of_their_names():
    labels_loss = load("figures/sweeps/hacks.py").labels_loss
    real, fake = torch.randn(2, 3, 20_000, generator=torch.Generator().manual_seed(0))
    softplus = nn.functional.softplus
    smooth = 0.9 * softplus(-real) + 0.1 * softplus(real) + softplus(fake)
    found = labels_loss(True, False).discriminator(real, fake)
    torch.testing.assert_close(found, smooth.mean(dim=-1))
    torch.manual_seed(0)
    flipped = (
        0.95 * (softplus(-real) + softplus(fake)) + 0.05 * (softplus(real) + softplus(-fake))
    ).mean(dim=-1)
    found = labels_loss(False, True).discriminator(real, fake)
    torch.testing.assert_close(found, flipped, rtol=0.02, atol=0)
    assert not torch.equal(found, labels_loss(False, True).discriminator(real, fake))


def test_the_discriminator_steps_once_for_two_steps_of_the_generator():
    """Its weights stay where they are in every other step."""
    hacks = load("figures/sweeps/hacks.py")
    images, labels = digits()
    small = hacks.SETTINGS["packed"] | {"runs": 1, "width": 2, "steps": [1, 2, 3]}
    seen = [
        [p.detach().clone() for p in trainer.discriminator.parameters()]
        for _, trainer in hacks.stacking(Stacked(images[:64], labels[:64]), small)
    ]
    still, moved = ([torch.equal(a, b) for a, b in zip(*pair)] for pair in (seen[:2], seen[1:]))  # noqa: B905
    assert all(still) and not any(moved)


def test_arithmetic_finds_a_direction_that_is_there_and_none_where_there_is_none():
    """A judge that reads the sign of one number, on points whose classes lie along it."""
    hacks = load("figures/sweeps/hacks.py")

    class Judge:
        def classify(self, z: Tensor) -> Tensor:
            return (z[..., 0] > 0).long() + 2 * (z[..., 1] > 0).long()

    z = torch.randn(8_000, 64, generator=torch.Generator().manual_seed(0))
    random = torch.Generator().manual_seed(1)
    found = hacks.moved(z, lambda points: points, Judge(), [1.0, 3.0], random)
    assert found["right", 3.0] > 0.9 > found["right", 1.0] > 0.3
    assert found["random", 3.0] < 0.2


def test_the_parts_of_the_digits_share_nothing():
    """A copy between two parts would make the test for copies blind, or the judge partial."""
    parts = load("figures/sweeps/pictures.py").split()
    assert [len(images) for images, _ in parts] == [297, 500, 500, 500]
    pictures = torch.cat([images for images, _ in parts]).flatten(1)
    assert len(pictures) == 1_797
    assert len(pictures.unique(dim=0)) == 1_797


def test_parity_explains_a_checkerboard_and_no_stripe_of_three():
    parity = load("figures/sweeps/pictures.py").parity
    rows, columns = torch.meshgrid(torch.arange(8), torch.arange(8), indexing="ij")
    board = ((rows + columns) % 2).float()
    torch.testing.assert_close(parity(board[None]), torch.tensor(1.0))
    slow = (columns // 2 % 2).float()
    torch.testing.assert_close(parity(slow[None]), torch.tensor(0.0))
