"""What a training moves cannot be lost: whatever parts the weights, the next step finds them."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset
from toys import PAIRS, Poison, differing, trainer

from gan_course.distributions import Empirical, Labelled, normal, ring, uniform
from gan_course.losses import LOSSES, Loss
from gan_course.networks import Ensemble, mlp
from gan_course.penalties import PENALTIES
from gan_course.training import NonFiniteError, Settings, Trainer, programs

# -- parted and found again -----------------------------------------------------------


def assign(ours: Trainer) -> Trainer:
    network = ours.generator
    network.load_state_dict(copy.deepcopy(network.state_dict()), assign=True)
    return ours


def vector(ours: Trainer) -> Trainer:
    weights = list(ours.discriminator.parameters())
    vector = torch.cat([weight.detach().flatten() for weight in weights])
    nn.utils.vector_to_parameters(vector, weights)
    return ours


def cast(ours: Trainer) -> Trainer:
    ours.generator.double().float()
    ours.discriminator.double().float()
    return ours


def elsewhere(ours: Trainer) -> Trainer:
    Trainer(ours.generator, ours.discriminator, ring(), ours.prior, ours.settings, device="cpu")
    return ours


PARTED: dict[str, Callable[[Trainer], Trainer]] = {
    "copied": copy.deepcopy,
    "pickled": lambda ours: pickle.loads(pickle.dumps(ours)),
    "cast there and back": cast,
    "loaded by assignment": assign,
    "set from a vector": vector,
    "given to a second trainer": elsewhere,
}


@pytest.mark.parametrize("how", PARTED)
@pytest.mark.parametrize("runs", [None, 3])
@pytest.mark.parametrize("pair", ["mlp", "norms"])
def test_a_training_that_was_parted_from_its_weights_goes_on(how: str, runs: int | None, pair: str):
    if (how, pair) == ("pickled", "norms"):
        pair = "convolutional"  # torch pickles no parametrization
    ours, untouched = trainer(pair, runs, averaging=0.9), trainer(pair, runs, averaging=0.9)
    ours.train(3), untouched.train(3)
    ours = PARTED[how](ours)
    ours.train(3), untouched.train(3)
    assert differing(ours.state.state_dict(), untouched.state.state_dict()) == []
    assert ours.steps == 6


def test_a_copy_trains_itself_alone():
    ours = trainer()
    other, before = copy.deepcopy(ours), ours.state.state_dict()
    other.train(2)
    assert differing(ours.state.state_dict(), before) == []
    assert differing(other.state.state_dict(), before)


def test_what_a_reader_writes_into_a_weight_counts():
    ours = assign(trainer())
    with torch.no_grad():
        next(ours.generator.parameters()).mul_(2)
    doubled = next(ours.generator.parameters()).clone()
    ours.set(generator_rate=0)
    ours.step()
    assert torch.equal(next(ours.generator.parameters()), doubled)


CHANGED: dict[str, Callable[[Trainer], object]] = {
    "generator.*float32.*became.*float64": lambda ours: ours.generator.double(),
    r"discriminator.*became.*not trained": lambda ours: next(
        ours.discriminator.parameters()
    ).requires_grad_(False),
}


@pytest.mark.parametrize("message", CHANGED)
def test_another_network_is_refused(message: str):
    ours = trainer()
    ours.train(1)
    CHANGED[message](ours)
    with pytest.raises(ValueError, match=message):
        ours.step()


def test_a_layer_unfrozen_later_is_refused():
    G = mlp(2, 2, width=8)
    G[0].requires_grad_(False)
    ours, before = Trainer(G, mlp(2, 1, width=8), ring(), device="cpu"), G[0].weight.clone()
    ours.train(2)
    assert torch.equal(G[0].weight, before)
    G[0].requires_grad_(True)
    with pytest.raises(ValueError, match=r"the generator is not what .* not trained became"):
        ours.train(1)


def test_players_that_share_a_weight_are_refused():
    layer = nn.Linear(2, 2)
    with pytest.raises(ValueError, match=r"share the weight '0\.weight'"):
        Trainer(nn.Sequential(layer), nn.Sequential(layer, nn.Linear(2, 1)), ring(), device="cpu")


def test_settings_assigned_are_settings_set():
    ours, same = trainer(), trainer()
    wanted = Settings(batch=16, loss="hinge", discriminator_rate=1e-2)
    ours.settings = wanted
    same.set(loss="hinge", discriminator_rate=1e-2)
    ours.train(3), same.train(3)
    assert differing(ours.state.state_dict(), same.state.state_dict()) == []


def test_settings_are_frozen_all_the_way_down():
    penalties, rates = {"R1": 1.0}, [1e-3, 2e-3]
    settings = Settings(penalties=penalties, generator_rate=rates)
    penalties["R1"], rates[0] = 5.0, 9.0
    assert settings.penalties["R1"] == 1.0
    assert settings.generator_rate == (1e-3, 2e-3)
    with pytest.raises(TypeError):
        settings.penalties["R1"] = 2.0
    for copied in (copy.deepcopy(settings), pickle.loads(pickle.dumps(settings))):
        assert copied == settings


@pytest.mark.parametrize(
    "number", [np.float64(0.01), np.array([0.01]), torch.tensor(0.01), np.float32(0.01)]
)
def test_numbers_of_other_libraries_are_numbers(number: Any):
    settings = Settings(discriminator_rate=number, k=np.int64(2), batch=torch.tensor(8))
    assert settings.discriminator_rate == pytest.approx(0.01)
    assert (type(settings.discriminator_rate), settings.k, settings.batch) == (float, 2, 8)


# -- saved and loaded -----------------------------------------------------------------

RICH = {"averaging": 0.9, "penalties": {"R1": 0.1}, "k": 2, "instance_noise": 0.1}


class Dropping(nn.Sequential):
    """A network with dropout, which draws by itself."""

    def __init__(self, outputs: int) -> None:
        super().__init__(nn.Linear(2, 8), nn.Dropout(0.5), nn.Tanh(), nn.Linear(8, outputs))


def dropping(runs: int | None) -> Trainer:
    torch.manual_seed(0)
    players = [
        Dropping(o) if runs is None else Ensemble(lambda o=o: Dropping(o), runs) for o in (2, 1)
    ]
    return Trainer(*players, ring(), settings=Settings(batch=16), device="cpu")


class Mask(nn.Module):
    """A network that is dropout alone, and remembers which units were dropped."""

    def __init__(self) -> None:
        super().__init__()
        self.drop, self.last = nn.Dropout(0.5), nn.Linear(64, 1)
        self.seen: list[Tensor] = []

    def forward(self, x: Tensor) -> Tensor:
        kept = self.drop(torch.ones(len(x), 64))
        self.seen.append((kept > 0).double())
        out: Tensor = self.last(kept + 0 * x[:, :1])
        return out


def test_dropout_draws_anew_at_each_look_of_each_step():
    judge, settings = Mask(), Settings(batch=4)
    ours = Trainer(mlp(2, 2, width=4), judge, ring(), settings=settings, device="cpu")
    judge.seen.clear()
    ours.train(3, progress=False)
    masks = torch.cat(judge.seen)
    assert len(masks) == 3 * 3 * 4  # real and generated for D, generated for G
    alike = masks @ masks.T + (1 - masks) @ (1 - masks).T  # units of 64, as many as by chance
    assert float(alike.fill_diagonal_(0).max()) < 60
    assert 0.45 < float(masks.mean()) < 0.55


TRAININGS: dict[str, Callable[[int | None], Trainer]] = {
    **{
        pair: lambda runs, pair=pair: trainer(
            pair, runs, **({**RICH, "penalties": {}} if pair != "mlp" else RICH)
        )
        for pair in PAIRS
    },
    "dropout": dropping,
    "RMSprop": lambda runs: trainer(runs=runs, optimiser="RMSprop"),
}


@pytest.mark.parametrize("runs", [None, 4])
@pytest.mark.parametrize("kind", TRAININGS)
def test_60_steps_are_30_and_30(kind: str, runs: int | None):
    through, first, second = (TRAININGS[kind](runs) for _ in range(3))
    through.train(20)
    first.train(10)
    torch.manual_seed(99)  # a layer that draws by itself must not hear of it
    second.load_state_dict(first.state_dict())
    second.train(10)
    assert differing(second.state.state_dict(), through.state.state_dict()) == []
    assert second.steps == through.steps == 20
    assert torch.equal(second.random.get_state(), through.random.get_state())


@pytest.mark.slow
def test_60_steps_are_30_and_30_in_blocks(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(programs, "CACHE", 2 * 2 * 16 * 16 * 4)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    through, first, second = (trainer(runs=5, **RICH) for _ in range(3))
    assert len(first._parts) > 1
    through.train(20), first.train(10)
    second.load_state_dict(first.state_dict())
    second.train(10)
    assert differing(second.state.state_dict(), through.state.state_dict()) == []


@pytest.mark.slow
def test_every_part_of_the_state_matters():
    """A training that goes on without one of them is another training."""
    first = trainer("norms", 3, averaging=0.9, data=Poison(ring(), at=[2], spoiled=[1]))
    first.train(4)
    saved = first.state_dict()

    def gone_on(saved: dict[str, Any]) -> dict[str, Tensor]:
        second = trainer("norms", 3, averaging=0.9, weights=1)
        second.load_state_dict(saved)
        second.train(3)
        return second.state.state_dict() | {"steps": torch.tensor(second.steps)}

    right = gone_on(saved)
    fresh = trainer("norms", 3, averaging=0.9, weights=2, seed=5).state_dict()
    fresh["settings"]["k"] = 2
    for part in ("steps", "settings", "random"):
        assert differing(gone_on({**saved, part: fresh[part]}), right), part
    for name in saved["tensors"]:
        if name.endswith("num_batches_tracked"):
            continue  # a counter that nothing reads
        other = fresh["tensors"][name]
        other = 1 - other if name.endswith("spectral") else other
        assert differing(gone_on({**saved, "tensors": {**saved["tensors"], name: other}}), right), (
            name
        )


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda saved: saved["tensors"].pop("generator.mean"), "'generator.mean' is missing"),
        (lambda saved: saved["tensors"].update(x=torch.ones(1)), "'x' has no place here"),
        (
            lambda saved: saved["tensors"].update({"generator.count": torch.ones(3, 1)}),
            r"'generator.count' has shape \(3, 1\)",
        ),
        (lambda saved: saved.pop("random"), "has the parts"),
        (lambda saved: saved["settings"].update(k=0), "k = 0"),
        (lambda saved: saved["settings"].pop("k"), "settings of another version: k"),
        (lambda saved: saved["settings"].update(averaging=0.5), "averaged.* is missing"),
        (lambda saved: saved.update(random=torch.zeros(3)), "random"),
    ],
)
def test_a_state_that_does_not_fit_changes_nothing(spoil: Callable[[dict], object], message: str):
    ours, other = trainer(), trainer(weights=1)
    other.train(2)
    before, saved = ours.state_dict(), other.state_dict()
    spoil(saved)
    with pytest.raises(ValueError, match=message):
        ours.load_state_dict(saved)
    after = ours.state_dict()
    assert differing(after["tensors"], before["tensors"]) == []
    assert (after["steps"], after["settings"]) == (before["steps"], before["settings"])
    assert torch.equal(after["random"], before["random"])


# -- losses and penalties of a reader's own -------------------------------------------


def test_a_loss_and_a_penalty_of_ones_own():
    known = LOSSES["hinge"]
    own = Loss("mine", known.discriminator, known.generator)
    charge = PENALTIES["R1"]
    ours = trainer(loss=own, penalties={charge: 0.5})
    same = trainer(loss="hinge", penalties={"R1": 0.5})
    ours.train(3), same.train(3)
    assert differing(ours.state.state_dict(), same.state.state_dict()) == []
    again = trainer(loss=own, penalties={charge: 0.5})
    again.load_state_dict(ours.state_dict())
    assert again.settings.loss is own
    with pytest.raises(ValueError, match="loss = 'mine': choose one of"):
        trainer().load_state_dict(ours.state_dict())


# -- data as people have it -----------------------------------------------------------

ROWS = torch.randn(9, 2, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    "data",
    [ROWS, ROWS.numpy(), ROWS.double().numpy(), TensorDataset(ROWS), list(ROWS)],
    ids=["tensor", "array", "float64", "dataset", "list"],
)
def test_data_as_people_have_it(data: Any):
    ours, same = (trainer(data=one) for one in (data, Empirical(ROWS)))
    ours.train(3), same.train(3)
    assert differing(ours.state.state_dict(), same.state.state_dict()) == []


@pytest.mark.parametrize(
    ("data", "error", "message"),
    [
        (DataLoader(TensorDataset(ROWS)), TypeError, r"data=loader\.dataset"),
        (7, TypeError, "data = 7: expected a source"),
        ("ring", TypeError, "data = 'ring': expected a source"),
        (ROWS.clone().index_fill_(0, torch.tensor(3), torch.nan), ValueError, r"data\[3\]"),
        (["a", "b"], TypeError, r"data\[0\] is a str: expected a tensor"),
        ([], ValueError, r"data = \[\]: it has no samples"),
        ((ROWS, torch.arange(8)), ValueError, r"labels has shape \(8,\)"),
        ((ROWS, torch.rand(9)), ValueError, "whole numbers"),
    ],
)
def test_data_that_cannot_be_used_is_named(data: Any, error: type[Exception], message: str):
    with pytest.raises(error, match=message):
        Trainer(mlp(2, 2), mlp(2, 1), data, device="cpu")


def test_networks_in_double_precision_get_double_samples():
    G, D = mlp(2, 2, width=8).double(), mlp(2, 1, width=8).double()
    ours = Trainer(G, D, ROWS, settings=Settings(instance_noise=0.1), device="cpu")
    assert ours.train(2)["real"].dtype == torch.float64
    assert ours.sample(3).dtype == torch.float64


# -- labels ---------------------------------------------------------------------------


class Conditional(nn.Module):
    """A network that is told a label."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.body = nn.Linear(inputs + 3, outputs)
        self.names = nn.Embedding(4, 3)

    def forward(self, x: Tensor, label: Tensor) -> Tensor:
        names = self.names(label)
        return self.body(torch.cat([x, names if names.dim() == x.dim() else names.flatten(1)], 1))


class Packed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body, self.names = nn.Linear(4 + 6, 1), nn.Embedding(4, 3)

    def forward(self, x: Tensor, label: Tensor) -> Tensor:
        return self.body(torch.cat([x, self.names(label).flatten(1)], 1))


CENTERS = torch.tensor([[0.0, 0.0], [9.0, 0.0], [0.0, 9.0], [9.0, 9.0]])
LABELS = torch.arange(40) % 4
POINTS = CENTERS[LABELS] + 0.01 * torch.randn(40, 2, generator=torch.Generator().manual_seed(0))


def labelled(runs: int | None = None, D: Callable[[], nn.Module] | None = None, **settings: object):
    torch.manual_seed(0)
    builds = [lambda: Conditional(2, 2), D or (lambda: Conditional(2, 1))]
    players = [one() if runs is None else Ensemble(one, runs) for one in builds]
    chosen = Settings(**({"batch": 16} | settings))
    return Trainer(*players, (POINTS, LABELS), settings=chosen, device="cpu")


@pytest.mark.parametrize("runs", [None, 3])
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"loss": "relativistic", "penalties": {"R1": 0.1, "R2": 0.1}},
        {"penalties": {"WGAN-GP": 1.0}, "unroll": 1},
    ],
    ids=["plain", "relativistic", "unrolled"],
)
def test_real_samples_keep_their_labels(runs: int | None, settings: dict[str, object]):
    ours = labelled(runs, **settings)
    seen: list[tuple[Tensor, Tensor]] = []
    ours.discriminator.register_forward_pre_hook(lambda _, given: seen.append(given))
    ours.train(2)
    assert seen
    for x, label in seen:
        real = x.amax(dim=2) > 5  # the generator is nowhere near
        near = torch.cdist(x[real].detach(), CENTERS).argmin(dim=1)
        if "WGAN-GP" not in settings.get("penalties", {}):
            assert torch.equal(near, label[real])
        assert label.shape == x.shape[:2]


@pytest.mark.parametrize("runs", [None, 2])
def test_labels_are_packed_with_their_samples(runs: int | None):
    ours = labelled(runs, Packed, packing=2, penalties={"R1": 0.1})
    seen: list[tuple[Tensor, Tensor]] = []
    ours.discriminator.register_forward_pre_hook(lambda _, given: seen.append(given))
    ours.train(2)
    for x, label in seen:
        parts = x.detach().unflatten(2, (2, 2))
        real = parts.amax(dim=3) > 5
        near = torch.cdist(parts[real], CENTERS).argmin(dim=1)
        assert torch.equal(near, label[real])


def test_an_ensemble_with_labels_is_many_trainings():
    ours = labelled(3, penalties={"R1": 0.1})
    before = copy.deepcopy((ours.generator.member(1), ours.discriminator.member(1)))
    batch = ours.peek()
    record = ours.discriminator_step()
    G, D = before
    with torch.no_grad():
        fake = G(batch.noise[1], batch.label[1])
    real = batch.real[1].requires_grad_()
    a, b = D(real, batch.label[1]), D(fake, batch.label[1])
    (slope,) = torch.autograd.grad(a.sum(), real)
    loss = nn.functional.softplus(-a).mean() + nn.functional.softplus(b).mean()
    expected = loss + 0.05 * slope.square().sum(1).mean()
    torch.testing.assert_close(record.loss[1], expected.detach())


def test_samples_of_a_label():
    ours = labelled()
    label = torch.tensor([2, 2, 0])
    z = normal(2).sample((1, 3), torch.Generator().manual_seed(0))
    expected = ours.generator.member(0)(z[0], label)
    torch.testing.assert_close(ours.sample(3, label=label)[0], expected.detach())
    assert ours.sample(5).shape == (1, 5, 2)
    assert ours.discriminate(POINTS[:3], LABELS[:3]).shape == (1, 3)
    with pytest.raises(ValueError, match=r"label has shape \(3,\): expected \(4,\)"):
        ours.sample(4, label=label)
    with pytest.raises(ValueError, match="the generator takes none"):
        trainer().sample(3, label=label)


def test_unconditional_networks_may_train_on_labelled_data():
    ours = Trainer(mlp(2, 2), mlp(2, 1), Labelled(POINTS, LABELS), device="cpu")
    assert ours.train(2).last.real.isfinite().all()


def test_a_network_that_needs_labels_says_so():
    with pytest.raises(ValueError, match=r"the generator cannot take noise .*'label'"):
        Trainer(Conditional(2, 2), mlp(2, 1), ring(), device="cpu")


# -- wrong set-ups --------------------------------------------------------------------


class Mixing(nn.Linear):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x - x.mean(dim=0))


class Deaf(nn.Linear):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(torch.ones_like(x))


@pytest.mark.parametrize(
    ("G", "D", "options", "message"),
    [
        (mlp(2, 2), nn.Sequential(mlp(2, 1), nn.Sigmoid()), {}, "ends in Sigmoid"),
        (mlp(2, 2), nn.Sequential(Mixing(2, 1)), {}, "looks across its batch"),
        (mlp(2, 2), nn.Sequential(Deaf(2, 1)), {}, "ignores its input"),
        (mlp(2, 2), nn.Identity(), {}, "the discriminator has no weights to train"),
        (mlp(5, 2), mlp(2, 1), {}, r"the generator cannot take noise of shape \(1, 2, 2\)"),
        (mlp(2, 2), mlp(3, 1), {}, r"the discriminator cannot take samples of shape \(1, 2, 2\)"),
        (mlp(2, 2), mlp(2, 1), {"prior": uniform(3)}, r"cannot take noise of shape \(1, 2, 3\)"),
        (
            mlp(2, 2),
            mlp(2, 1, batch_norm=True),
            {"settings": Settings(penalties={"R1": 1})},
            "penalties = R1: the discriminator has BatchNorm1d",
        ),
        (mlp(2, 2), mlp(2, 1), {"settings": Settings(packing=2)}, r"cannot take samples"),
        (nn.DataParallel(mlp(2, 2)), mlp(2, 1), {}, "wrapped in DataParallel"),
    ],
)
def test_a_wrong_set_up_is_said(G: nn.Module, D: nn.Module, options: dict, message: str):
    with pytest.raises(ValueError, match=message):
        Trainer(G, D, ring(), device="cpu", **options)


def test_a_wrong_set_up_is_said_when_it_is_set():
    ours = trainer()
    with pytest.raises(ValueError, match="cannot take samples of shape"):
        ours.set(packing=2)
    assert ours.settings.packing == 1
    normed = Trainer(mlp(2, 2), mlp(2, 1, batch_norm=True), ring(), device="cpu")
    with pytest.raises(ValueError, match="penalties = R2"):
        normed.set(penalties={"R2": 0.1})
    ours.train(1), normed.train(1)


class Counting(nn.Linear):
    """A layer that counts its calls."""

    mixes_samples = False

    def __init__(self) -> None:
        super().__init__(2, 1)
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        self.calls = self.calls + 1
        return super().forward(x)


def test_looking_at_a_set_up_leaves_no_trace():
    D = Counting()
    Trainer(mlp(2, 2), D, ring(), device="cpu")
    assert D.calls == 0
    ours = trainer("norms", seed=3)
    assert torch.equal(ours.random.get_state(), torch.Generator().manual_seed(3).get_state())
    assert all(module.training for module in ours.discriminator.modules())


def test_what_d_says_is_read_as_the_loss_means_it():
    ours, x = trainer(loss="least squares"), torch.randn(5, 2)
    torch.testing.assert_close(ours.discriminate(x), ours.logits(x[None]).detach())
    ours.set(loss="minimax")
    torch.testing.assert_close(ours.discriminate(x), ours.logits(x[None]).detach().sigmoid())


# -- interrupts -----------------------------------------------------------------------


def test_a_second_interrupt_is_raised(monkeypatch: pytest.MonkeyPatch):
    import signal

    ours = trainer()

    def twice(trainer: Trainer) -> None:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        ours.train(9, callback=twice)
    assert ours.steps == 1


def test_an_interrupt_in_a_single_step_comes_after_it(monkeypatch: pytest.MonkeyPatch):
    import signal

    class Interrupting(Poison):
        def sample(self, *arguments: Any, **options: Any) -> Tensor:
            signal.raise_signal(signal.SIGINT)
            return super().sample(*arguments, **options)

    ours, same = trainer(data=Interrupting(ring())), trainer()
    with pytest.raises(KeyboardInterrupt):
        ours.step()
    same.step()
    assert differing(ours.state.state_dict(), same.state.state_dict()) == []


def test_an_interrupt_in_a_single_step_is_given_to_whoever_listens():
    import signal

    class Interrupting(Poison):
        def sample(self, *arguments: Any, **options: Any) -> Tensor:
            signal.raise_signal(signal.SIGINT)
            return super().sample(*arguments, **options)

    heard: list[int] = []
    previous = signal.signal(signal.SIGINT, lambda number, _: heard.append(number))
    try:
        trainer(data=Interrupting(ring())).step()
    finally:
        signal.signal(signal.SIGINT, previous)
    assert len(heard) == 1


def test_an_error_of_a_training_can_be_sent_on():
    error = pickle.loads(pickle.dumps(NonFiniteError(3, "generator", "hinge")))
    assert str(error).startswith("step 3: the generator's hinge loss")
