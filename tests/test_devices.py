"""What the library does with tensors of another device than the CPU, on a device that stands in."""

from __future__ import annotations

import ast
import copy
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import pandas as pd
import pytest
import torch
import toys
from standin import DEVICE, StandIn, install
from test_properties import CALLED, CALLS, MORE
from tools import ROOT
from torch import Tensor, distributions, nn
from torch.utils._pytree import tree_leaves, tree_map

from gan_course import dynamics, families, images, metrics, plotting
from gan_course.distributions import ring
from gan_course.lab import Lab
from gan_course.losses import LOSSES
from gan_course.networks import Ensemble, mlp
from gan_course.penalties import PENALTIES
from gan_course.training import Linear, Settings, Trainer


@pytest.fixture(autouse=True)
def device(monkeypatch: pytest.MonkeyPatch) -> Iterator[torch.device]:
    install(monkeypatch)
    yield DEVICE


def there(value: Any) -> Any:
    """An argument as it is on the device."""
    if isinstance(value, Tensor) or (hasattr(value, "event_shape") and hasattr(value, "sample")):
        if isinstance(value, distributions.Normal):
            return distributions.Normal(value.loc.to(DEVICE), value.scale.to(DEVICE))
        return value.to(DEVICE)
    if isinstance(value, nn.Module):
        return value.to(DEVICE)
    return value


def here(value: Any) -> Any:
    return value.cpu() if isinstance(value, Tensor) else value


def same(result: Any, expected: Any) -> None:
    for one, other in zip(tree_leaves(result), tree_leaves(expected), strict=True):
        if isinstance(other, Tensor):
            torch.testing.assert_close(here(one), other)
        elif isinstance(other, float):
            assert one == pytest.approx(other, rel=1e-5)


def there_too(call: Callable[..., Any]) -> Callable[..., Any]:
    """A source's method, or an ensemble, on the device."""
    if isinstance(call, nn.Module):
        return there(copy.deepcopy(call))
    owner = getattr(call, "__self__", None)
    return getattr(there(owner), call.__name__) if hasattr(owner, "sample") else call


#: What has no network of its own, which would have to move as well.
ALONE = [name for name in CALLS if name not in MORE]


@pytest.mark.parametrize("name", ALONE)
def test_public_functions_take_tensors_of_the_device(name: str) -> None:
    call, right = CALLS[name]
    torch.manual_seed(0)
    expected = call(**right)
    torch.manual_seed(0)
    same(there_too(call)(**{key: tree_map(there, value) for key, value in right.items()}), expected)


@pytest.mark.parametrize("name", ALONE)
def test_tensors_of_two_devices_are_refused_by_name(name: str) -> None:
    call, right = CALLS[name]
    for argument, value in right.items():
        if not isinstance(value, Tensor) and not hasattr(value, "event_shape"):
            continue
        torch.manual_seed(0)
        expected = call(**right)
        torch.manual_seed(0)
        try:
            result = call(**(right | {argument: there(value)}))
        except (ValueError, TypeError) as error:
            assert "device" in str(error), error
            assert any(w in str(error) for w in CALLED.get(argument, argument).split("|")), error
        else:
            same(result, expected)


#: Two networks, and the data for them.
PAIRS: dict[str, Any] = toys.PAIRS | {
    "packed": (lambda: mlp(2, 2, width=8), lambda: mlp(4, 1, width=8), ring()),
    "dropout": (
        lambda: mlp(2, 2, width=8),
        lambda: nn.Sequential(nn.Linear(2, 8), nn.Dropout(), nn.Linear(8, 1)),
        ring(),
    ),
}


def trained(
    device: str, pair: str, runs: int | None, changes: dict[str, Any]
) -> tuple[Trainer, pd.DataFrame]:
    generator, discriminator, data = PAIRS[pair]
    torch.manual_seed(0)
    players = [
        build() if runs is None else Ensemble(build, runs) for build in (generator, discriminator)
    ]
    schedule = changes.get("schedule")
    settings = Settings(batch=8, **{name: v for name, v in changes.items() if name != "schedule"})
    made = Trainer(*players, data, settings=settings, device=device)
    return made, made.train(3, schedule=schedule, progress=False).frame()


#: Settings, and the networks and runs that they are tried on.
TRAININGS: dict[str, tuple[str, int | None, dict[str, Any]]] = (
    {
        f"{loss}, {runs}": ("mlp", runs, {"loss": loss, "optimiser": "SGD"})
        for loss in LOSSES
        for runs in (None, 2)
    }
    | {name: ("mlp", 2, {"penalties": {name: 0.1}}) for name in PENALTIES}
    | {
        "norms": ("norms", 2, {"averaging": 0.9}),
        "convolutional": ("convolutional", None, {"averaging": 0.9}),
        "convolutional ensemble": ("convolutional", 2, {"penalties": {"R1": 0.1}}),
        "k, packing, noise": ("packed", 2, {"k": 2, "packing": 2, "instance_noise": 0.1}),
        "unrolled": ("norms", 2, {"unroll": 2}),
        "clipped": ("mlp", None, {"optimiser": "RMSprop", "clip": 0.1}),
        "bounded": ("mlp", None, {"optimiser": "SGD", "gradient_clip": 0.1}),
        "dropout": ("dropout", None, {}),
        "schedule": ("mlp", 2, {"schedule": {"generator_rate": Linear(1e-3, 0.0, 0, 10)}}),
    }
)


@pytest.mark.parametrize("name", TRAININGS)
def test_a_training_on_the_device_is_the_one_on_the_cpu(name: str) -> None:
    pair, runs, changes = TRAININGS[name]
    expected, seen = trained("cpu", pair, runs, changes)
    made, also_seen = trained("standin", pair, runs, changes)
    assert all(isinstance(tensor, StandIn) for tensor in made.state.tensors().values())
    same(made.state_dict()["tensors"], expected.state_dict()["tensors"])
    pd.testing.assert_frame_equal(also_seen, seen, rtol=1e-4, atol=1e-6)
    samples = made.sample(5)
    assert isinstance(samples, StandIn)
    same(samples, expected.sample(5))
    if pair != "packed":  # there D sees two at a time
        same(made.discriminate(samples[0]), expected.discriminate(samples[0].cpu()))


@pytest.mark.slow
@pytest.mark.parametrize("back", ["cpu", "standin"])
def test_a_training_saved_on_the_device_goes_on_anywhere(back: str, tmp_path: Path) -> None:
    for device in ("standin", back):
        made, _ = trained(device, "norms", 2, {"averaging": 0.9})
        made.train(6, checkpoint=tmp_path / "training.pt", progress=False)
        made.train(9, checkpoint=tmp_path / "training.pt", progress=False)
    assert made.steps == 9


#: Models of chapter 11, small.
FAMILIES: dict[str, Callable[[], Any]] = {
    "VAE": lambda: families.VAE(mlp(2, 2, width=4), mlp(1, 2, width=4), 1),
    "autoregressive, real": lambda: families.Autoregressive(
        families.masked_network(2, 6, width=4), families.MixtureHead(2), 2
    ),
    "autoregressive, values": lambda: families.Autoregressive(
        families.masked_network(2, 3, width=4), families.ValueHead(3), 2
    ),
    "flow": lambda: families.RealNVP([mlp(2, 4, width=4) for _ in range(2)], 2),
    "diffusion": lambda: families.Diffusion(mlp(3, 2, width=4), 2),
    "flow matching": lambda: families.FlowMatching(mlp(3, 2, width=4), 2),
}


class Values:
    """Values 0, 1 and 2, where their generator is."""

    def sample(self, shape: Any, generator: torch.Generator | None = None) -> Tensor:
        where = torch.device("cpu") if generator is None else generator.device
        return torch.randint(3, (*shape, 2), generator=generator, device=where).float()


@pytest.mark.parametrize("name", FAMILIES)
def test_a_family_on_the_device_is_the_one_on_the_cpu(name: str) -> None:
    found = []
    for device in ("cpu", "standin"):
        torch.manual_seed(0)
        model = FAMILIES[name]().to(device)
        generator = torch.Generator(device).manual_seed(1)
        fitted: Any = families.fit(model, Values(), 2, batch=8, generator=generator)
        # Each step of theirs is like the one before.
        steps = {"steps": 10} if name in ("diffusion", "flow matching") else {}
        samples = fitted.sample((5,), generator=generator, **steps)
        assert samples.device.type == device
        x = torch.arange(6.0).reshape(3, 2).remainder(3)
        found.append([samples, fitted.log_prob(x.to(device), **steps), *fitted.parameters()])
        elsewhere = x.to("standin" if device == "cpu" else "cpu")
        with pytest.raises(ValueError, match=rf"x is on device .*: expected {device}"):
            fitted.log_prob(elsewhere)
    same(*reversed(found))


def test_labels_go_to_the_device() -> None:
    class Told(nn.Module):
        def __init__(self, outputs: int) -> None:
            super().__init__()
            self.words, self.layer = nn.Embedding(3, 2), nn.Linear(4, outputs)

        def forward(self, x: Tensor, label: Tensor) -> Tensor:
            return self.layer(torch.cat([x, self.words(label)], dim=-1))

    data = torch.randn(12, 2), torch.arange(12) % 3
    made = Trainer(Told(2), Told(1), data, settings=Settings(batch=4), device="standin")
    made.train(2, progress=False)
    assert isinstance(made.sample(4, label=torch.tensor([0, 1, 2, 0])), StandIn)


def test_what_a_chapter_does_with_a_trained_game() -> None:
    """Measures, figures and spectra take what a trainer on the device hands out."""
    made, frame = trained("standin", "mlp", 2, {})
    samples, target = made.sample(40), ring().to(DEVICE)
    coverage = metrics.mode_coverage(samples, target.modes, std=0.01)
    assert coverage.high_quality.shape == (2,)
    assert metrics.sliced_wasserstein(samples, target.sample((2, 40))).shape == (2,)
    figure, axes = plt.subplots(2)
    plotting.plot_samples(axes[0], target.sample((40,)), samples[0], window=target.window)
    plotting.plot_belief(axes[1], lambda x: made.discriminate(x)[0], target.window, resolution=5)
    plt.close(figure)
    assert len(frame) == 6


def test_pictures_are_judged_on_the_device() -> None:
    pictures, labels = images.digits()
    judge = metrics.train_classifier(pictures, labels, steps=2)
    expected = metrics.picture_quality(pictures[None, :40], pictures[40:80], judge)
    with pytest.raises(ValueError, match="images is on device"):
        judge.features(pictures.to(DEVICE))
    pictures = pictures.to(DEVICE)
    found = metrics.picture_quality(pictures[None, :40], pictures[40:80], judge.to(DEVICE))
    assert all(isinstance(part, StandIn) for part in found)
    same(found, expected)
    assert metrics.train_classifier(pictures, labels.to(DEVICE), steps=2).accuracy.estimate >= 0


def test_the_spectrum_of_a_training_on_the_device() -> None:
    spectra = []
    for device in ("cpu", "standin"):
        torch.manual_seed(0)
        pair = nn.Linear(2, 2), nn.Linear(2, 1)
        made = Trainer(*pair, ring(), settings=Settings(batch=8), device=device)
        spectra.append(dynamics.jacobian_spectrum(made, batch=16))
    same(*reversed(spectra))


def test_a_lab_draws_a_training_on_the_device() -> None:
    made = Lab(width=8, batch=32, device="standin")
    try:
        made.run(2)
        head, arrays = made.frame()
        assert head["step"] == 2
        assert all(not isinstance(array, StandIn) for array in arrays.values())
    finally:
        made.stop()


#: The chapters of small networks.
SOURCES = sorted((ROOT / "notebooks" / "source").glob("0[1-8]_*.md"))


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
def test_a_chapter_says_where_it_trains(source: Path) -> None:
    """On a machine with a GPU small networks stay on the CPU, and meet nothing from elsewhere."""
    cells = re.findall(r"^```\{code-cell\}.*?\n(.*?)^```", source.read_text("utf-8"), re.M | re.S)
    code = "\n".join(cells)
    silent = [
        f"{called} at {node.lineno}"
        for node in ast.walk(ast.parse(re.sub(r"^:tags:.*$|^%.*$", "", code, flags=re.M)))
        if isinstance(node, ast.Call)
        and (called := getattr(node.func, "id", "")) in {"Trainer", "sweep"}
        and not any(word.arg in {"device", None} for word in node.keywords)
    ]
    assert not silent
