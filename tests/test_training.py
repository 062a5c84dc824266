"""The trainer is Algorithm 1; it stops only between updates and survives bad ones."""

from __future__ import annotations

import _thread
import copy
import math
import random
import signal
import threading
import time
from collections.abc import Iterator

import pandas as pd
import pytest
import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn
from toys import PAIRS, Poison, Slice, differing, state, trainer

from gan_course.distributions import normal, ring
from gan_course.losses import LOSSES
from gan_course.networks import Ensemble, mlp
from gan_course.penalties import PENALTIES
from gan_course.training import (
    History,
    NonFiniteError,
    Record,
    Settings,
    Trainer,
    devices,
    pick_device,
)
from gan_course.training.history import LATELY
from gan_course.training.state import Player

# -- Algorithm 1 ----------------------------------------------------------------------


def norm(parameters: Iterator[nn.Parameter]) -> Tensor:
    return torch.cat([p.grad.flatten() for p in parameters]).norm()


def algorithm_1(G: nn.Module, D: nn.Module, steps: int, k: int, batch: int) -> dict[str, Tensor]:
    """Goodfellow et al. 2014, algorithm 1, as a reader would write it."""
    data, prior, at = ring(), normal(2), Generator().manual_seed(0)
    adam_D, adam_G = (
        torch.optim.Adam(network.parameters(), lr=rate, betas=(0.5, 0.999), fused=True)
        for network, rate in ((D, 2e-3), (G, 1e-3))
    )
    for _ in range(steps):
        for _ in range(k):
            x, z = data.sample((1, batch), at)[0], prior.sample((1, batch), at)[0]
            on_real, on_fake = D(torch.cat([x, G(z).detach()])).squeeze(1).chunk(2)
            loss_D = F.softplus(-on_real).mean() + F.softplus(on_fake).mean()
            adam_D.zero_grad()
            loss_D.backward()
            gradient_D = norm(D.parameters())
            adam_D.step()
        z = prior.sample((1, batch), at)[0]
        loss_G = F.softplus(-D(G(z))).mean()
        adam_G.zero_grad()
        loss_G.backward()
        gradient_G = norm(G.parameters())
        adam_G.step()
    return {
        "discriminator_loss": loss_D.detach(),
        "generator_loss": loss_G.detach(),
        "discriminator_gradient": gradient_D,
        "generator_gradient": gradient_G,
        "real": on_real.sigmoid().mean().detach(),
        "fake": on_fake.sigmoid().mean().detach(),
    }


@pytest.mark.parametrize("k", [1, 2, 5])
def test_step_is_algorithm_1_bit_for_bit(k: int):
    ours = trainer(k=k, discriminator_rate=2e-3)
    G, D = (copy.deepcopy(n.module) for n in (ours.generator, ours.discriminator))
    by_hand = algorithm_1(G, D, steps=3, k=k, batch=16)
    history = ours.train(3)
    for network, own in ((ours.generator.module, G), (ours.discriminator.module, D)):
        assert differing(network.state_dict(), own.state_dict()) == []
    for quantity, expected in by_hand.items():
        torch.testing.assert_close(history[quantity][-1, 0], expected, rtol=1e-5, atol=1e-7)


@pytest.fixture
def moves(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The players in the order in which they move."""
    seen: list[str] = []
    move = Player.move

    def spy(self: Player, *arguments: object) -> None:
        seen.append(self.name)
        move(self, *arguments)

    monkeypatch.setattr(Player, "move", spy)
    return seen


@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize("runs", [None, 2])
def test_discriminator_moves_k_times_and_generator_once(k: int, runs: int | None, moves: list[str]):
    data, prior = Poison(ring()), Poison(normal(2))
    ours = trainer(k=k, runs=runs, data=data, prior=prior)
    D, G = "discriminator", "generator"
    ours.train(2)
    assert moves == [*[D] * k, G] * 2
    assert (data.calls, prior.calls) == (2 * k, 2 * (k + 1))
    ours.set(k=2)
    ours.step()
    assert moves[-3:] == [D, D, G]


def test_relativistic_generator_sees_fresh_real_samples():
    data = Poison(ring())
    trainer(k=2, data=data, loss="relativistic").train(3)
    assert data.calls == 3 * (2 + 1)


@pytest.mark.parametrize("pair", PAIRS)
@pytest.mark.parametrize("runs", [None, 2])
def test_each_player_moves_alone(pair: str, runs: int | None):
    ours = trainer(pair, runs)

    def weights(player: str) -> dict[str, Tensor]:
        return {n: p.detach().clone() for n, p in getattr(ours, player).named_parameters()}

    for step, other in [
        (ours.discriminator_step, "generator"),
        (ours.generator_step, "discriminator"),
    ]:
        player = "discriminator" if other == "generator" else "generator"
        before, own = weights(other), weights(player)
        step()
        assert differing(weights(other), before) == []
        assert differing(weights(player), own)
        assert all(p.grad is None for p in getattr(ours, other).parameters())


@pytest.mark.parametrize("penalties", [{}, {"R2": 0.1}], ids=["plain", "R2"])
def test_discriminator_step_does_not_look_through_the_generator(penalties: dict[str, float]):
    """Its graph ends at the fake samples: `.detach()`, or no graph in the first place."""
    ours, graphs = trainer(k=2, penalties=penalties), []
    ours.generator.register_forward_hook(lambda *call: graphs.append(call[2].requires_grad))
    ours.train(2)
    assert graphs == [False, False, True] * 2


def test_rates_belong_to_their_players():
    """Adam's first move of a weight is its rate, whatever the gradient's size."""
    ours = trainer(discriminator_rate=3e-3, generator_rate=7e-4)
    for player, rate in [("discriminator", 3e-3), ("generator", 7e-4)]:
        network = getattr(ours, player)
        before = [p.detach().clone() for p in network.parameters()]
        getattr(ours, f"{player}_step")()
        moved = [
            (p.detach() - b).abs().max().item()
            for p, b in zip(network.parameters(), before, strict=True)
        ]
        assert max(moved) == pytest.approx(rate, rel=1e-2)


@pytest.mark.parametrize("loss", LOSSES)
def test_each_player_gains_by_its_step(loss: str):
    ours = trainer(loss=loss, batch=512, discriminator_rate=1e-2, generator_rate=1e-2)
    x, z = (s.sample((1, 512), Generator().manual_seed(9)) for s in (ours.data, ours.prior))

    def scores() -> tuple[float, float]:
        with torch.no_grad():
            return ours.logits(x).mean().item(), ours.logits(ours.generator(z)).mean().item()

    real, fake = scores()
    for _ in range(5):
        ours.discriminator_step()
    judged_real, judged_fake = scores()
    assert judged_real - judged_fake > real - fake + 0.01
    ours.generator_step()
    assert scores()[1] > judged_fake


@pytest.mark.parametrize("penalty", PENALTIES)
@pytest.mark.parametrize("pair", PAIRS)
@pytest.mark.parametrize("runs", [None, 2])
def test_penalty_is_added_with_its_weight(penalty: str, pair: str, runs: int | None):
    def first_loss(weight: float) -> Tensor:
        return trainer(pair, runs, penalties={penalty: weight}).discriminator_step().loss

    # Not beside 0: without penalties D judges both batches in one pass, and spectral norm
    # improves its estimate once a pass.
    one, two, four = (first_loss(weight) for weight in (1.0, 2.0, 4.0))
    assert (two - one).abs().min() > 1e-5
    torch.testing.assert_close(four - one, 3 * (two - one), rtol=1e-3, atol=1e-6)


def test_gradients_left_by_the_reader_do_not_count():
    ours, same = trainer(), trainer()
    for parameter in [*ours.generator.parameters(), *ours.discriminator.parameters()]:
        parameter.grad = torch.ones_like(parameter)
    ours.train(2), same.train(2)
    assert differing(state(ours), state(same)) == []
    assert all(bool((p.grad == 1).all()) for p in ours.generator.parameters())


# -- an ensemble is many trainings ----------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("pair", ["mlp", "convolutional"])
@pytest.mark.parametrize(
    "options", [{}, {"k": 2, "penalties": {"R1": 0.1}, "averaging": 0.9}], ids=["plain", "rich"]
)
def test_run_i_follows_the_plain_network(pair: str, options: dict):
    runs, many = 3, trainer(pair, 3, **options)
    plain = [
        Trainer(
            many.generator.member(run),
            many.discriminator.member(run),
            Slice(many.data, runs, run),
            Slice(many.prior, runs, run),
            many.settings,
            device="cpu",
        )
        for run in range(runs)
    ]
    history = many.train(20)
    for run, alone in enumerate(plain):
        own = alone.train(20)
        for quantity in Record._fields:
            torch.testing.assert_close(
                history[quantity][:, run], own[quantity][:, 0], rtol=1e-4, atol=1e-6
            )
        for (name, together), single in zip(
            state(many).items(), state(alone).values(), strict=True
        ):
            error = (together[run].double() - single.double()).norm()
            assert error <= 1e-5 * single.double().norm().clamp(min=1e-3), name


@pytest.mark.parametrize("pair", PAIRS)
def test_the_same_seed_gives_the_same_training_bit_for_bit(pair: str):
    one, same, other = (trainer(pair, 2, seed=seed) for seed in (3, 3, 4))
    histories = [t.train(5) for t in (one, same, other)]
    assert differing(state(one), state(same)) == []
    assert torch.equal(histories[0]["real"], histories[1]["real"])
    assert differing(state(one), state(other))


def test_training_leaves_the_global_state_alone():
    ours, before = trainer("norms", 2, penalties={"WGAN-GP": 1.0}), torch.get_rng_state()
    ours.train(2)
    ours.sample(4)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_run_can_be_lifted_out_and_watched_alone():
    ours = trainer("norms", 3)
    ours.train(3)
    fake = ours.sample(50, seed=1)
    z = ours.prior.sample((3, 50), Generator().manual_seed(1))
    for run in range(3):
        member = ours.generator.member(run).eval()
        torch.testing.assert_close(member(z[run]), fake[run], rtol=1e-5, atol=1e-6)


def test_players_come_in_pairs():
    with pytest.raises(ValueError, match="generator has 2 runs and discriminator 1"):
        Trainer(Ensemble(lambda: mlp(2, 2), 2), mlp(2, 1), ring(), device="cpu")


# -- settings -------------------------------------------------------------------------

CHANGES: dict[str, object] = {
    "loss": "hinge",
    "k": 2,
    "batch": 24,
    "discriminator_rate": 5e-3,
    "generator_rate": 5e-3,
    "betas": (0.0, 0.9),
    "penalties": {"R1": 1.0},
    "clip": 0.1,
    "unroll": 1,
    "instance_noise": 0.5,
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_setting_changed_is_a_setting_given(name: str):
    change = {name: CHANGES[name]}
    default, given, changed = trainer(), trainer(**change), trainer()
    changed.set(**change)
    for ours in (default, given, changed):
        ours.train(3)
    assert differing(state(changed), state(given)) == []
    assert differing(state(default), state(given))


BAD: list[tuple[str, object, str]] = [
    ("loss", "hing", r"loss = 'hing': choose one of \['hinge', 'least squares'"),
    ("k", 0, "k = 0: must be a whole number, at least 1"),
    ("k", -1, "k = -1"),
    ("k", 1.5, "k = 1.5"),
    ("k", True, "k = True"),
    ("batch", 0, "batch = 0: must be a whole number, at least 1"),
    ("discriminator_rate", -0.1, "discriminator_rate = -0.1: must be a finite number, at least 0"),
    ("discriminator_rate", True, "discriminator_rate = True: must be a finite number"),
    ("discriminator_rate", math.nan, "discriminator_rate = nan"),
    ("generator_rate", -1e-3, "generator_rate = -0.001"),
    ("generator_rate", math.inf, "generator_rate = inf: must be a finite number"),
    ("generator_rate", "fast", "generator_rate = 'fast'"),
    ("generator_rate", [1e-3, -1.0], r"generator_rate\[1\] = -1.0: must be a finite number"),
    ("betas", (0.5, 1.0), r"betas\[1\] = 1.0: must be a finite number, at least 0 and below 1"),
    ("betas", (-0.1, 0.9), r"betas\[0\] = -0.1"),
    ("betas", 0.5, "betas = 0.5: two numbers"),
    ("optimiser", "adam", r"optimiser = 'adam': choose one of \['Adam', 'RMSprop', 'SGD'\]"),
    ("gradient_clip", -1.0, "gradient_clip = -1.0: must be a finite number, at least 0"),
    ("betas", (0.5,), r"betas = \(0.5,\)"),
    ("penalties", {"R3": 1.0}, r"penalties = 'R3': choose one of \['R1', 'R2', 'WGAN-GP'\]"),
    ("penalties", {"R1": -1.0}, r"penalties\['R1'\] = -1.0: must be a finite number, at least 0"),
    ("penalties", {"R1": math.nan}, r"penalties\['R1'\] = nan"),
    ("penalties", ["R1"], r"penalties = \['R1'\]: a weight for each name"),
    ("clip", -0.01, "clip = -0.01: must be a finite number, at least 0"),
    ("clip", math.inf, "clip = inf"),
    ("packing", 0, "packing = 0: must be a whole number, at least 1"),
    ("packing", 2.0, "packing = 2.0"),
    ("packing", 3, "packing = 3: must divide the batch of .* samples"),
    ("unroll", -1, "unroll = -1: must be a whole number, at least 0"),
    ("unroll", 0.5, "unroll = 0.5"),
    ("unroll", True, "unroll = True"),
    ("instance_noise", -1.0, "instance_noise = -1.0: must be a finite number, at least 0"),
    ("instance_noise", math.nan, "instance_noise = nan"),
    ("averaging", 1.0, "averaging = 1.0: must be a finite number, at least 0 and below 1"),
    ("averaging", -0.1, "averaging = -0.1"),
    ("averaging", math.nan, "averaging = nan"),
]


@pytest.mark.parametrize(("name", "value", "message"), BAD)
def test_a_bad_setting_is_named_and_the_old_ones_stay(name: str, value: object, message: str):
    with pytest.raises(ValueError, match=message):
        Settings(**{name: value})
    ours, same = trainer(), trainer()
    with pytest.raises(ValueError, match=message):
        ours.set(**{name: value})
    assert ours.settings == same.settings
    ours.train(2), same.train(2)
    assert differing(state(ours), state(same)) == []


def test_an_unknown_setting_is_named():
    with pytest.raises(TypeError, match="speed"):
        trainer().set(speed=2)


@pytest.mark.parametrize(
    ("G", "D", "message"),
    [
        (mlp(2, 2), mlp(2, 2), r"discriminator returned \(1, 2, 2\) .* one logit for each"),
        (mlp(2, 3), mlp(3, 1), r"generator returned samples of shape \(3,\): expected \(2,\)"),
        (mlp(2, 1), mlp(2, 1), r"generator returned samples of shape \(1,\): expected \(2,\)"),
    ],
)
def test_networks_of_the_wrong_size_are_named(G: nn.Module, D: nn.Module, message: str):
    with pytest.raises(ValueError, match=message):
        Trainer(G, D, ring(), settings=Settings(batch=16), device="cpu").step()


# -- averaging ------------------------------------------------------------------------


@pytest.mark.parametrize("pair", PAIRS)
@pytest.mark.parametrize("runs", [None, 2])
def test_averaged_weights_are_the_exponential_average(pair: str, runs: int | None):
    ours = trainer(pair, runs, averaging=0.8)
    average = {name: value.clone() for name, value in ours.generator.state_dict().items()}

    def follow(trainer: Trainer) -> None:
        for name, value in trainer.generator.state_dict().items():
            average[name] = (
                0.8 * average[name] + 0.2 * value if value.is_floating_point() else value.clone()
            )

    ours.train(6, callback=follow)
    averaged = ours.averaged.state_dict()
    for name, expected in average.items():
        if expected.is_floating_point():
            torch.testing.assert_close(averaged[name], expected, rtol=1e-5, atol=1e-6, msg=name)
    plain = copy.deepcopy(ours.generator)
    plain.load_state_dict(averaged)
    z = ours.prior.sample((ours.runs, 5), Generator().manual_seed(4))
    expected = plain.eval()(z)
    assert torch.equal(ours.sample(5, averaged=True, seed=4), expected)
    assert not torch.equal(ours.sample(5, seed=4), expected)


def test_averaging_can_be_switched_off_and_on():
    ours = trainer()
    with pytest.raises(ValueError, match=r"averaged = True: .*averaging is 0"):
        ours.sample(2, averaged=True)
    ours.step()
    ours.set(averaging=0.9)
    assert torch.equal(ours.sample(2, averaged=True), ours.sample(2))  # starts from here
    ours.set(averaging=0.0)
    assert ours.averaged is None


# -- looking on -----------------------------------------------------------------------


@pytest.mark.parametrize("pair", PAIRS)
@pytest.mark.parametrize("runs", [None, 2])
def test_looking_on_does_not_disturb_the_training(pair: str, runs: int | None):
    ours, watched = trainer(pair, runs, averaging=0.9), trainer(pair, runs, averaging=0.9)

    def look(trainer: Trainer) -> None:
        x = trainer.sample(7)
        trainer.sample(7, averaged=True, seed=5)
        assert trainer.discriminate(x[0]).shape == (trainer.runs, 7)

    watched.train(4, callback=look)
    ours.train(4)
    assert differing(state(ours), state(watched)) == []
    assert ours.generator.training
    assert watched.generator.training
    assert watched.discriminator.training


def test_looking_on_keeps_each_layers_own_mode():
    ours = trainer("norms")
    layer = ours.generator.module[1].eval()  # statistics that a reader has frozen
    ours.sample(3)
    assert not layer.training
    assert ours.generator.module[4].training


@pytest.mark.parametrize("runs", [None, 3])
def test_samples_have_a_seed_of_their_own(runs: int | None):
    ours = trainer(runs=runs, seed=6)
    assert ours.sample(5).shape == (runs or 1, 5, 2)
    assert torch.equal(ours.sample(5), ours.sample(5, seed=6))
    assert not torch.equal(ours.sample(5), ours.sample(5, seed=7))
    assert not ours.sample(5).requires_grad


def test_discriminate_is_the_probability_of_being_real():
    ours, x = trainer(runs=2), torch.randn(5, 2)
    for run in range(2):
        logits = ours.discriminator.member(run)(x).squeeze(1)
        torch.testing.assert_close(ours.discriminate(x)[run], 1 / (1 + (-logits).exp()))


# -- many steps -----------------------------------------------------------------------


def test_callback_is_called_after_each_step():
    seen: list[int] = []
    ours = trainer()
    ours.train(4, callback=lambda t: seen.append(t.steps))
    ours.train(2, callback=lambda t: seen.append(t.steps))
    assert seen == [1, 2, 3, 4, 5, 6]


def test_an_exception_in_a_callback_ends_the_training():
    ours, handler = trainer(), signal.getsignal(signal.SIGINT)

    def fail(trainer: Trainer) -> None:
        if trainer.steps == 3:
            raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        ours.train(9, callback=fail)
    assert ours.steps == 3
    assert signal.getsignal(signal.SIGINT) is handler
    assert len(ours.train(2)) == 2


def test_negative_steps_are_named():
    with pytest.raises(ValueError, match="steps = -1"):
        trainer().train(-1)


@pytest.mark.parametrize(("progress", "shown"), [(True, True), (False, False), (None, False)])
def test_a_short_training_shows_no_bar_unless_asked(
    progress: bool | None, shown: bool, capfd: pytest.CaptureFixture
):
    trainer().train(3, progress=progress)
    assert ("/3 [" in capfd.readouterr().err) == shown


@pytest.mark.parametrize("silenced", [False, True])
def test_a_long_training_shows_a_bar_unless_silenced(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture, silenced: bool
):
    monkeypatch.delenv("TQDM_DISABLE", raising=False)
    if silenced:
        monkeypatch.setenv("TQDM_DISABLE", "1")
    clock = iter(range(0, 10**6, 3))  # three seconds pass whenever the bar looks
    monkeypatch.setattr("tqdm.std.time", lambda: next(clock))
    trainer().train(4)
    assert ("/4 [" in capfd.readouterr().err) is not silenced


# -- history --------------------------------------------------------------------------


@pytest.mark.parametrize("runs", [None, 3])
def test_history_has_a_row_for_each_step_and_run(runs: int | None):
    ours, count = trainer(runs=runs), runs or 1
    ours.train(2)
    history = ours.train(5)
    frame = history.frame()
    assert len(history) == 5
    assert list(frame.columns) == ["step", "run", *Record._fields]
    assert frame["step"].tolist() == [step for step in range(3, 8) for _ in range(count)]
    assert frame["run"].tolist() == list(range(count)) * 5
    assert frame["frozen"].dtype == bool
    assert not frame.isna().to_numpy().any()
    for quantity in Record._fields:
        assert history[quantity].shape == (5, count)
        table = frame.pivot_table(index="step", columns="run", values=quantity)
        torch.testing.assert_close(torch.tensor(table.to_numpy(dtype="float32")), history[quantity])


def test_history_is_what_the_steps_measured():
    ours, same = trainer(runs=2), trainer(runs=2)
    history = ours.train(3)
    for step in range(3):
        for quantity, value in same.step()._asdict().items():
            assert torch.equal(history[quantity][step], value.float())


def test_an_empty_history_is_an_empty_frame():
    history = trainer().train(0)
    assert len(history) == 0
    assert isinstance(history.frame(), pd.DataFrame)
    assert list(history.frame().columns) == ["step", "run", *Record._fields]


def test_an_unknown_quantity_is_named():
    with pytest.raises(ValueError, match=r"quantity = 'loss': choose one of \['discriminator_"):
        History()["loss"]


# -- interrupts -----------------------------------------------------------------------


def test_an_interrupt_lets_the_step_finish():
    ours, handler = trainer(), signal.getsignal(signal.SIGINT)

    def interrupt(trainer: Trainer) -> None:
        if trainer.steps == 3:
            signal.raise_signal(signal.SIGINT)

    assert len(ours.train(50, callback=interrupt)) == 3
    assert signal.getsignal(signal.SIGINT) is handler
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)


def interrupt_after(seconds: float) -> None:
    time.sleep(seconds)
    _thread.interrupt_main()


def test_interrupts_at_random_times_tear_nothing():
    """Wherever the signal falls, the state is that of an uninterrupted training."""
    delays = random.Random(0)
    ours, same = trainer("norms", averaging=0.9), trainer("norms", averaging=0.9)

    def arm(trainer: Trainer) -> None:
        if not armed:
            armed.append(threading.Thread(target=interrupt_after, args=(delays.uniform(0, 0.02),)))
            armed[0].start()

    for _ in range(25):
        armed: list[threading.Thread] = []
        before = ours.steps
        history = ours.train(10**6, callback=arm)
        armed[0].join(60)
        assert not armed[0].is_alive(), "a thread that did not end in 60 s"
        assert len(history) == ours.steps - before
        assert history.frame()["step"].iloc[-1] == ours.steps
        same.train(ours.steps - before)
        assert differing(state(ours), state(same)) == []


def test_training_works_outside_the_main_thread():
    ours, same = trainer(), trainer()
    thread = threading.Thread(target=ours.train, args=(3,))
    thread.start()
    thread.join(60)
    assert not thread.is_alive(), "a thread that did not end in 60 s"
    same.train(3)
    assert ours.steps == 3
    assert differing(state(ours), state(same)) == []


# -- losses that are not finite -------------------------------------------------------

PLAYERS = ["discriminator", "generator"]


def poisoned(
    player: str, pair: str = "norms", runs: int | None = None, **fault: object
) -> tuple[Trainer, Trainer]:
    """A training whose third step is bad for one player, and the same one in good health."""
    calls = {"discriminator": ("data", 3), "generator": ("prior", 6)}[player]
    sources = {"data": PAIRS[pair][2], "prior": normal(2)}
    bad = {calls[0]: Poison(sources[calls[0]], at=[calls[1]], **fault)}
    return trainer(pair, runs, averaging=0.9, **bad), trainer(pair, runs, averaging=0.9)


def up_to_the_bad_update(ours: Trainer, player: str) -> Trainer:
    ours.train(2)
    if player == "generator":
        ours.discriminator_step()
    return ours


@pytest.mark.parametrize("value", [math.nan, math.inf], ids=["nan", "inf"])
@pytest.mark.parametrize("pair", PAIRS)
@pytest.mark.parametrize("player", PLAYERS)
def test_a_bad_loss_never_reaches_the_weights(player: str, pair: str, value: float):
    ours, healthy = poisoned(player, pair, value=value)
    message = f"step 3: the {player}'s non-saturating loss or its gradient is not finite"
    with pytest.raises(NonFiniteError, match=message) as caught:
        ours.train(10)
    assert (caught.value.step, caught.value.network, ours.steps) == (3, player, 2)
    assert caught.value.history is not None
    assert len(caught.value.history) == 2  # what led to it can be drawn
    assert caught.value.history.last.real.isfinite().all()
    assert differing(state(ours), state(up_to_the_bad_update(healthy, player))) == []


def test_training_goes_on_after_a_bad_loss():
    ours, _ = poisoned("discriminator")
    with pytest.raises(NonFiniteError):
        ours.train(10)
    ours.set(discriminator_rate=1e-4)
    history = ours.train(4)
    assert history.frame()["step"].tolist() == [3, 4, 5, 6]
    assert not history["frozen"].any()
    assert history["generator_loss"].isfinite().all()


@pytest.mark.parametrize("runs", [None, 2])
@pytest.mark.parametrize("rate", ["discriminator_rate", "generator_rate"])
def test_a_training_that_blows_up_stops_with_finite_weights(runs: int | None, rate: str):
    ours = trainer(runs=runs, **{rate: 1e30})
    with pytest.raises(NonFiniteError, match="not finite"):
        ours.train(50)
    assert all(tensor.isfinite().all() for tensor in state(ours).values())


@pytest.mark.parametrize("pair", PAIRS)
@pytest.mark.parametrize("player", PLAYERS)
def test_a_bad_run_freezes_and_the_others_go_on_bit_identically(player: str, pair: str):
    others = [0, 2, 3]
    ours, healthy = poisoned(player, pair, runs=4, spoiled=[1])
    history, expected = ours.train(8), healthy.train(8)
    assert differing(state(ours), state(healthy), others) == []
    for quantity in Record._fields:
        assert torch.equal(history[quantity][:, others], expected[quantity][:, others])
    assert ours.frozen.tolist() == [False, True, False, False]
    assert history["frozen"][:, 1].tolist() == [0, 0, 1, 1, 1, 1, 1, 1]
    assert not history[f"{player}_loss"][2, 1].isfinite()


@pytest.mark.parametrize("pair", PAIRS)
@pytest.mark.parametrize("player", PLAYERS)
def test_a_frozen_run_keeps_its_last_good_state(player: str, pair: str):
    ours, healthy = poisoned(player, pair, runs=4, spoiled=[1])
    ours.train(8)
    last_good = state(up_to_the_bad_update(healthy, player))
    found = {name: t for name, t in state(ours).items() if not name.startswith("averaged")}
    expected = {name: last_good[name] for name in found}
    assert differing(found, expected, 1) == []


def test_runs_freeze_one_by_one_until_none_is_left():
    class Wilting(Poison):
        def sample(self, shape: tuple[int, ...] = (), generator: Generator | None = None) -> Tensor:
            self.at, self.spoiled = range(3, 99), slice(0, max(0, self.calls - 1))
            return super().sample(shape, generator)

    ours, frozen = trainer(runs=3, data=Wilting(ring())), []
    with pytest.raises(NonFiniteError, match="step 5"):
        ours.train(9, callback=lambda t: frozen.append(t.frozen.tolist()))
    assert frozen == [
        [False, False, False],
        [False, False, False],
        [True, False, False],
        [True, True, False],
    ]
    assert all(tensor.isfinite().all() for tensor in state(ours).values())


# -- devices --------------------------------------------------------------------------


@pytest.fixture
def fresh_choice() -> Iterator[None]:
    devices._automatic_device.cache_clear()
    yield
    devices._automatic_device.cache_clear()


@pytest.fixture
def broken_cuda(monkeypatch: pytest.MonkeyPatch, fresh_choice: None) -> None:
    """A machine whose GPU this build of torch has no code for."""
    ones = torch.ones

    def fail(*size: int, device: object = None) -> Tensor:
        if torch.device(device).type == "cuda":
            raise RuntimeError("CUDA error: no kernel image is available\nCompile with ...")
        return ones(*size, device=device)

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch, "ones", fail)


def test_auto_falls_back_and_says_so_once(broken_cuda: None, capsys: pytest.CaptureFixture):
    assert [pick_device("auto").type for _ in range(3)] == ["cpu"] * 3
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("Computing on the CPU")
    assert "no kernel image" in line


def test_auto_says_when_there_is_no_gpu(
    fresh_choice: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    ours = Trainer(mlp(2, 2), mlp(2, 1), ring())
    assert ours.device.type == "cpu"
    assert capsys.readouterr().out == "Computing on the CPU (no CUDA device).\n"


def test_auto_takes_a_gpu_that_works(
    fresh_choice: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
):
    ones = torch.ones
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "a fine GPU")
    monkeypatch.setattr(torch, "ones", lambda *size, device: ones(*size, device="cpu"))
    monkeypatch.setattr(devices, "_compare_with_the_cpu", lambda _: None)
    assert pick_device("auto").type == "cuda"
    assert capsys.readouterr().out == "Computing on a fine GPU.\n"


@pytest.mark.parametrize("name", ["cuda", "cuda:0"])
def test_a_device_asked_for_by_name_never_falls_back(name: str, broken_cuda: None):
    with pytest.raises(ValueError, match=f"device = '{name}' cannot be used here: ") as caught:
        Trainer(mlp(2, 2), mlp(2, 1), ring(), device=name)
    assert "\n" not in str(caught.value)
    assert "no kernel image" in str(caught.value)


def test_an_unknown_device_is_named():
    with pytest.raises(ValueError, match="device = 'abacus' cannot be used here"):
        pick_device("abacus")


# --- What a training suffers from ---------------------------------------------------------


def lately(loss: str = "non-saturating", steps: int = 200, **settings: object) -> str:
    ours = trainer(loss=loss, batch=64, **settings)
    history = ours.train(steps)
    return history.symptom(ours.settings.objective)


@pytest.mark.parametrize("loss", ["non-saturating", "least squares", "hinge", "relativistic"])
def test_a_training_that_is_well_has_no_symptom(loss: str):
    assert lately(loss) == ""


@pytest.mark.slow
def test_what_a_training_suffers_from_is_said():
    assert "nearly perfect" in lately(discriminator_rate=1e-1, generator_rate=0.0)
    assert "The losses run away" in lately("wasserstein", discriminator_rate=1e-1)
    assert "gradient has vanished" in lately("wasserstein", clip=1e-6)
    assert History().symptom(LOSSES["hinge"]) == ""


def test_runs_that_stopped_are_said():
    history = History()
    history.extend(torch.ones(LATELY, len(Record._fields), 3))
    assert "The training stopped" in history.symptom(LOSSES["hinge"])


@pytest.mark.parametrize(("at", "said"), [(-LATELY - 1, False), (-LATELY, True), (-1, True)])
def test_a_symptom_is_of_the_last_hundred_steps(at: int, said: bool):
    records = torch.full((2 * LATELY, len(Record._fields), 2), 0.5)
    records[:, Record._fields.index("frozen")] = 0
    records[at, Record._fields.index("generator_loss")] = -1e9
    history = History()
    history.extend(records)
    assert bool(history.symptom(LOSSES["wasserstein"])) is said


@pytest.mark.parametrize("wild", [2, 3])
def test_a_symptom_is_that_of_most_runs_however_wild_the_others(wild: int):
    """Two runs of five may lose by 10⁹ without a word; three are a symptom, by 2,000 each."""
    records = torch.full((2, len(Record._fields), 5), 0.5)
    records[:, Record._fields.index("frozen")] = 0
    records[:, Record._fields.index("generator_loss"), :wild] = 1e9 if wild == 2 else 2e3
    history = History()
    history.extend(records)
    assert bool(history.symptom(LOSSES["wasserstein"])) is (wild == 3)
