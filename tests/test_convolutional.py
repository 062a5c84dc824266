"""Networks for pictures: shapes, the published pair, ensembles, and a start that is careful."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from gan_course.convolutional import Mixed, Residual, dcgan, modern
from gan_course.distributions import Empirical, normal
from gan_course.networks import Ensemble, mixes_samples
from gan_course.training import Settings, Trainer

PAIRS: dict[str, Callable[..., tuple[nn.Sequential, nn.Sequential]]] = {
    "dcgan": dcgan,
    "resize": lambda *a, **k: dcgan(*a, upsampling="resize", **k),
    "both": lambda *a, **k: dcgan(*a, batch_norm="both", **k),
    "neither": lambda *a, **k: dcgan(*a, batch_norm="neither", **k),
    "modern": modern,
}


@pytest.mark.parametrize("name", PAIRS)
@pytest.mark.parametrize("size", [8, 16, 20, 28, 32, 64])
def test_noise_becomes_pictures_and_pictures_one_logit(name: str, size: int) -> None:
    for channels in (1, 3):
        G, D = PAIRS[name](size, channels, latent=5, width=4)
        x = G(torch.randn(3, 5))
        assert x.shape == (3, channels, size, size)
        assert D(x).shape == (3, 1)
        if name != "modern":
            assert float(x.detach().abs().max()) <= 1


def test_at_64_pixels_it_is_the_published_pair() -> None:
    """Written as published, from convolutions alone; PyTorch's tutorial counts the weights."""
    ours = dcgan(64, 3, latent=100, width=64, batch_norm="both")
    up, down = [512, 256, 128, 64, 3], [3, 64, 128, 256, 512]
    G: list[nn.Module] = [nn.ConvTranspose2d(100, 512, 4, bias=False)]
    for a, b in itertools.pairwise(up):
        last = {"bias": b == 3}
        G += [nn.BatchNorm2d(a), nn.ReLU(), nn.ConvTranspose2d(a, b, 4, 2, 1, **last)]
    G += [nn.Tanh()]
    D: list[nn.Module] = []
    for a, b in itertools.pairwise(down):
        D += [nn.Conv2d(a, b, 4, 2, 1, bias=a == 3)]
        D += [*([] if a == 3 else [nn.BatchNorm2d(b)]), nn.LeakyReLU(0.2)]
    D += [nn.Conv2d(512, 1, 4)]
    sizes = [sum(p.numel() for p in network.parameters()) for network in ours]
    assert sizes == [3_576_704 + 3, 2_765_568 + 64 + 1]  # and the biases it leaves out
    for network, theirs in zip(ours, (nn.Sequential(*G), nn.Sequential(*D)), strict=True):
        pairs = zip(theirs.state_dict().items(), network.state_dict().values(), strict=True)
        theirs.load_state_dict({name: value_as(old, new) for (name, old), new in pairs})
    z = torch.randn(2, 100, generator=Generator().manual_seed(0))
    x = ours[0](z)
    torch.testing.assert_close(x, nn.Sequential(*G)(z[:, :, None, None]), atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(ours[1](x), nn.Sequential(*D)(x).flatten(1), atol=1e-5, rtol=1e-4)


def value_as(old: Tensor, new: Tensor) -> Tensor:
    """A linear layer's weights as those of a convolution."""
    if new.dim() == 2 and old.shape[0] != new.shape[0]:
        new = new.T  # a transposed convolution counts its inputs first
    return new.reshape(old.shape)


def test_the_published_start() -> None:
    G, D = dcgan(32, width=64, batch_norm="both")
    for module in (*G, *D):
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            assert float(module.weight.detach().std()) == pytest.approx(0.02, rel=0.1)
        elif isinstance(module, nn.BatchNorm2d):
            assert float(module.weight.detach().mean()) == pytest.approx(1, abs=0.01)


def test_where_the_norms_are() -> None:
    for batch_norm, expected in (
        ("generator", (True, False)),
        ("both", (True, True)),
        ("neither", (False, False)),
    ):
        assert tuple(map(mixes_samples, dcgan(16, batch_norm=batch_norm))) == expected
    assert tuple(map(mixes_samples, modern(16))) == (False, False)


def test_resizing_leaves_no_chequers() -> None:
    """One kernel everywhere, on a plain ground: away from the rim nothing may show."""
    for name, layer in (("resize", 1), ("transposed", 0)):
        G = dcgan(16, upsampling=name, width=4)[0]
        last = list(G)[-2 - layer : -1]
        plain = nn.Sequential(*last)(torch.ones(1, 4, 8, 8)).detach()[0, 0, 4:-4, 4:-4]
        assert (float(plain.std()) < 1e-6) == (name == "resize")


@pytest.mark.slow
def test_the_modern_pair_starts_as_if_its_blocks_were_not_there() -> None:
    for network in modern(32, 3, blocks=2):
        x = torch.randn(64, 64) if network[0].__class__.__name__ == "Basis" else None
        x = torch.randn(64, 3, 32, 32) if x is None else x
        without = nn.Sequential(*(m for m in network if not isinstance(m, Residual)))
        torch.testing.assert_close(network(x), without(x))
        scale = float(network(x).detach().std())
        assert 0.2 < scale < 5  # neither dies nor explodes
    block = Residual(16, 16)
    # He: variance 2 / (1 + .2²) / inputs; at 16 blocks the weights are half as large.
    expected = (2 / 1.04 / 16) ** 0.5 / 2
    assert float(block.inward.weight.detach().std()) == pytest.approx(expected, rel=0.15)
    x = torch.randn(1, 16, 4, 4)
    (slope,) = torch.autograd.grad(block(x).square().sum(), block.outward.weight)
    assert float(slope.abs().max()) > 0  # it can leave its start


def test_the_modern_pair_is_written_as_published() -> None:
    G, D = modern(32, 3, width=4)
    larger = [layer for layer in G if isinstance(layer, nn.Upsample)]
    assert len(larger) == 3 and {layer.mode for layer in larger} == {"bilinear"}
    assert sum(isinstance(layer, nn.AvgPool2d) for layer in D) == 3
    widths = [layer.inward.in_channels for layer in G if isinstance(layer, Residual)]
    assert widths == [16, 16, 8, 4]  # four times the finest at most
    block = Residual(4, 1)
    nn.init.normal_(block.outward.weight)
    x = torch.randn(2, 4, 5, 5)
    hidden = F.leaky_relu(block.middle(F.leaky_relu(block.inward(x), 0.2)), 0.2)
    torch.testing.assert_close(block(x), x + block.outward(hidden))


@pytest.mark.parametrize("runs", [None, 3])
@pytest.mark.parametrize("name", PAIRS)
def test_they_train_alone_and_as_an_ensemble(name: str, runs: int | None) -> None:
    data = Empirical(torch.rand(20, 1, 8, 8, generator=Generator().manual_seed(0)) * 2 - 1)
    build = PAIRS[name]
    settings: dict[str, Any] = {"batch": 4}
    if name != "both":  # a penalty on one sample must not see the others
        settings |= {"loss": "relativistic", "penalties": {"R1": 0.1, "R2": 0.1}}

    def player(index: int) -> nn.Module:
        def one() -> nn.Module:
            return build(8, latent=3, width=4)[index]

        return one() if runs is None else Ensemble(one, runs)

    trainer = Trainer(
        *(player(0), player(1)),
        data,
        normal(3),
        settings=Settings(**settings),
        device="cpu",
    )
    before = [p.detach().clone() for p in trainer.discriminator.parameters()]
    trainer.train(2, progress=False)
    assert trainer.sample(5).shape == (runs or 1, 5, 1, 8, 8)
    moved = [
        not torch.equal(a, b)
        for a, b in zip(before, trainer.discriminator.parameters(), strict=True)
    ]
    assert all(moved[:-1])  # D's last bias means nothing to a loss that compares
    if runs:  # any run can be lifted out, and is the same network
        z = torch.randn(runs, 5, 3)
        trainer.generator.eval()
        lifted = trainer.generator.member(1).eval()
        torch.testing.assert_close(lifted(z[1]), trainer.generator(z)[1])


@pytest.mark.parametrize("size", [4, 7, 9, 18, 26, 30, 0, 2.5, "8"])
def test_other_sizes_are_refused_by_name(size: object) -> None:
    for build in (dcgan, modern):
        with pytest.raises(ValueError, match="size = "):
            build(size)


def test_mixed_rounds_inside_and_keeps_single_precision_outside() -> None:
    """Outputs and gradients, that of R1's too, err by what eight binary digits leave."""
    torch.manual_seed(0)
    G, D = dcgan(8)
    x, z = 2 * torch.rand(64, 1, 8, 8) - 1, torch.randn(64, 64)
    for network, inputs in ((G, z), (D, x)):
        exact, rounded = network(inputs), Mixed(network)(inputs)
        assert rounded.dtype == torch.float32
        error = (rounded - exact).norm() / exact.norm()
        assert 1e-4 < error < 2e-2, error

    def gradient(network: nn.Module, penalised: bool) -> Tensor:
        at = x.clone().requires_grad_()
        cost = nn.functional.softplus(-network(at)).mean()
        if penalised:
            (slope,) = torch.autograd.grad(network(at).sum(), at, create_graph=True)
            cost = slope.square().sum() / len(x)
        parts = torch.autograd.grad(cost, list(D.parameters()), materialize_grads=True)
        return torch.cat([part.flatten() for part in parts])

    for penalised in (False, True):
        exact, rounded = gradient(D, penalised), gradient(Mixed(D), penalised)
        error = (rounded - exact).norm() / exact.norm()
        assert 1e-4 < error < 2e-2, error


def test_mixed_trains_in_single_precision() -> None:
    """The weights that move are float32; in bfloat16 most of Adam's steps would be lost."""
    torch.manual_seed(0)
    settings = Settings(batch=16, discriminator_rate=2e-4, generator_rate=2e-4)
    images = 2 * torch.rand(64, 1, 8, 8) - 1
    trainer = Trainer(
        *(Mixed(player) for player in dcgan(8, width=8)),
        Empirical(images),
        normal(64),
        settings,
        device="cpu",
    )
    before = trainer.state.discriminator.weights.clone()
    trainer.train(1, progress=False)
    after = trainer.state.discriminator.weights
    assert after.dtype == torch.float32
    assert (after != before).double().mean() > 0.95
    assert (after.bfloat16() != before.bfloat16()).double().mean() < 0.75
