"""What D sees of real and of generated pictures is changed alike, and in the way that is said."""

from __future__ import annotations

import pytest
import torch
from torch import Generator, Tensor, nn

from gan_course.augmentation import KINDS, Augment
from gan_course.convolutional import dcgan
from gan_course.distributions import Empirical, normal
from gan_course.networks import Ensemble
from gan_course.training import Settings, Trainer


def seen(kind: str, x: Tensor) -> Tensor:
    torch.manual_seed(0)
    return Augment([kind])(x)


def test_colour_moves_brightness_and_contrast_of_each_picture() -> None:
    x = torch.rand(4000, 3, 4, 4) * 2 - 1
    y = seen("colour", x)
    moved = y.mean(dim=(1, 2, 3)) - x.mean(dim=(1, 2, 3))
    assert float(moved.min()) == pytest.approx(-0.5, abs=0.02)
    assert float(moved.max()) == pytest.approx(0.5, abs=0.02)
    grey, was = y.mean(dim=1), x.mean(dim=1)
    contrast = grey.std(dim=(1, 2)) / was.std(dim=(1, 2))
    assert (float(contrast.min()), float(contrast.max())) == pytest.approx((0.5, 1.5), abs=0.02)
    colourful = (y - y.mean(dim=1, keepdim=True)).std(dim=(1, 2, 3))
    full = colourful / (x - x.mean(dim=1, keepdim=True)).std(dim=(1, 2, 3)) / contrast
    assert (float(full.min()), float(full.max())) == pytest.approx((0, 2), abs=0.02)


def test_translation_is_by_whole_pixels_up_to_an_eighth() -> None:
    x = torch.rand(500, 2, 16, 8) + 1
    y = seen("translation", x)
    found = set()
    for before, after in zip(x, y, strict=True):
        rows, columns = ((after[0] > 0).any(dim=d).nonzero().flatten() for d in (1, 0))
        patch = after[:, rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        at = [
            (a, b)
            for a in range(16 - patch.shape[1] + 1)
            for b in range(8 - patch.shape[2] + 1)
            if torch.equal(before[:, a : a + patch.shape[1], b : b + patch.shape[2]], patch)
        ]
        ((a, b),) = at
        found.add((int(rows[0]) - a, int(columns[0]) - b))
    assert found == {(a, b) for a in range(-2, 3) for b in range(-1, 2)}


def test_cutout_is_a_square_of_half_the_sides_anywhere() -> None:
    y = seen("cutout", torch.ones(4000, 1, 8, 8))[:, 0]
    size = (y == 0).sum(dim=(1, 2))
    assert int(size.max()) == 16
    assert set(y.unique().tolist()) == {0, 1}
    share = (y == 0).float().mean(dim=0)
    assert float(share.min()) > 0.03  # every pixel at times
    # A pixel is cut if the middle lies within 4 of the 8 rows, at the rim fewer; columns, too.
    assert float(share[4, 4]) == pytest.approx(1 / 4, abs=0.03)
    # The square reaches 2 pixels back from its middle and 1 beyond: 3 of 8 middles cut the first
    # row, 2 of 8 the last.
    corners = [float(share[row, column]) for row in (0, 7) for column in (0, 7)]
    assert corners == pytest.approx([9 / 64, 6 / 64, 6 / 64, 4 / 64], abs=0.025)


def test_it_is_off_in_evaluation_and_carries_the_gradient() -> None:
    x = torch.randn(6, 1, 8, 8, requires_grad=True)
    assert torch.equal(Augment().eval()(x), x)
    (slope,) = torch.autograd.grad(Augment()(x).square().sum(), x)
    assert bool(slope.isfinite().all()) and float(slope.abs().sum()) > 0


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
def test_the_kind_of_numbers_stays(dtype: torch.dtype) -> None:
    assert Augment()(torch.zeros(2, 1, 8, 8, dtype=dtype)).dtype == dtype


def test_the_kinds_come_in_their_order(monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[str] = []
    for name in KINDS:
        monkeypatch.setitem(KINDS, name, lambda x, name=name: called.append(name) or x)
    Augment()(torch.zeros(1, 1, 8, 8))
    Augment(["cutout", "colour"])(torch.zeros(1, 1, 8, 8))
    assert called == ["colour", "translation", "cutout", "cutout", "colour"]


class Spy(nn.Module):
    """Remembers how much of what it sees is grey."""

    def __init__(self) -> None:
        super().__init__()
        self.grey: list[Tensor] = []
        self.last = nn.Linear(64, 1)

    def forward(self, x: Tensor) -> Tensor:
        self.grey.append((x.detach() == 0).float().mean(dim=(1, 2, 3)))
        out: Tensor = self.last(x.flatten(1))
        return out


def test_real_and_generated_pictures_are_changed_alike() -> None:
    """Both are white; if one of them alone were cut, the other would stay without any grey."""
    white = nn.Sequential(nn.Linear(2, 64), nn.Unflatten(1, (1, 8, 8)))
    nn.init.zeros_(white[0].weight)
    nn.init.ones_(white[0].bias)
    spy = Spy()
    D = nn.Sequential(Augment(["cutout"]), spy)
    data = Empirical(torch.ones(9, 1, 8, 8))
    trainer = Trainer(white, D, data, settings=Settings(batch=64), device="cpu")
    spy.grey.clear()
    trainer.train(1, progress=False)
    looks = [part for look in spy.grey for part in look.split(64)]
    assert len(looks) >= 3  # real and generated for D, generated for G
    for look in looks:
        assert float(look.mean()) == pytest.approx(0.19, abs=0.05)


@pytest.mark.parametrize("runs", [None, 2])
def test_a_training_with_it_is_repeated_by_its_seed(runs: int | None) -> None:
    data = Empirical(torch.rand(20, 1, 8, 8, generator=Generator().manual_seed(0)) * 2 - 1)

    def player(index: int) -> nn.Module:
        def one() -> nn.Module:
            network = dcgan(8, latent=3, width=4)[index]
            return nn.Sequential(Augment(), *network) if index else network

        return one() if runs is None else Ensemble(one, runs)

    results = []
    for _ in range(2):
        torch.manual_seed(0)
        settings = Settings(batch=4, penalties={"R1": 0.1})
        players = player(0), player(1)
        trainer = Trainer(*players, data, normal(3), settings=settings, device="cpu")
        torch.manual_seed(len(results))  # what chance does elsewhere changes nothing
        trainer.train(3, progress=False)
        results.append(trainer.state.discriminator.weights.clone())
    assert torch.equal(*results)


@pytest.mark.parametrize("shape", [(2, 0, 8, 8), (2, 1, 0, 8), (2, 1, 8, 0)])
def test_empty_pictures_are_named_and_no_pictures_are_none(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"x has shape .*nothing in a picture"):
        Augment()(torch.zeros(shape))
    assert Augment()(torch.zeros(0, 1, 8, 8)).shape == (0, 1, 8, 8)


@pytest.mark.parametrize("kinds", ["colour", [], ["blur"], None, [1], 3])
def test_unknown_kinds_are_named(kinds: object) -> None:
    with pytest.raises(ValueError, match="kinds = "):
        Augment(kinds)  # type: ignore[arg-type]
