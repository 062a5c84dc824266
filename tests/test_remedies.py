"""What may help a training, each remedy against the definition in its paper."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence

import pytest
import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn
from toys import (
    PAIRS,
    Poison,
    Slice,
    convolution,
    counts,
    deconvolution,
    differing,
    images,
    state,
    trainer,
)

from gan_course.distributions import Empirical, Source, normal, ring
from gan_course.networks import Ensemble, mixes_samples, mlp
from gan_course.training import Linear, NonFiniteError, Record, Settings, Trainer, pack
from gan_course.training.optimisers import bounded
from gan_course.training.settings import scheduled
from gan_course.training.state import Player

RUNS = [None, 3]
FAR = 1_000.0  # where real samples lie, out of the generator's reach
Build = Callable[[], nn.Module]


def build(
    generator: Build,
    discriminator: Build,
    runs: int | None = None,
    *,
    data: Source | None = None,
    prior: Source | None = None,
    **settings: object,
) -> Trainer:
    """A small training of given networks, the same every time."""
    torch.manual_seed(0)
    players = [one() if runs is None else Ensemble(one, runs) for one in (generator, discriminator)]
    chosen = Settings(**({"batch": 12} | settings))
    return Trainer(*players, data or ring(), prior, chosen, device="cpu")


def small(inputs: int = 2, outputs: int = 1, **options: object) -> Build:
    return lambda: mlp(inputs, outputs, width=8, **({"activation": "tanh"} | options))


def shown(ours: Trainer) -> list[Tensor]:
    """What D is shown from now on, call by call, each ``(runs, batch, ...)``."""
    seen: list[Tensor] = []
    ours.discriminator.register_forward_pre_hook(lambda _, x: seen.append(x[0].detach().clone()))
    return seen


def far() -> Empirical:
    """Real samples that none takes for generated ones."""
    return Empirical(FAR + torch.randn(50, 2, generator=Generator().manual_seed(0)))


def members(ours: Trainer) -> list[tuple[nn.Module, nn.Module]]:
    return [
        (ours.generator.member(run), ours.discriminator.member(run)) for run in range(ours.runs)
    ]


# -- packing: Lin et al. 2018 ---------------------------------------------------------


@pytest.mark.parametrize("packing", [1, 2, 3])
@pytest.mark.parametrize("shape", [(3,), (2, 4, 5)], ids=["vectors", "images"])
def test_a_pack_is_its_samples_side_by_side(packing: int, shape: tuple[int, ...]):
    x = torch.randn(2, 6, *shape, generator=Generator().manual_seed(0))
    packs = pack(x, packing)
    assert packs.shape == (2, 6 // packing, packing * shape[0], *shape[1:])
    for run in range(2):
        for i in range(6 // packing):
            own = [x[run, i * packing + j] for j in range(packing)]
            assert torch.equal(packs[run, i], torch.cat(own))  # images: channel after channel


@pytest.mark.parametrize("loss", ["non-saturating", "relativistic"])
@pytest.mark.parametrize("minibatch_std", [False, True], ids=["together", "apart"])
@pytest.mark.parametrize("runs", RUNS)
def test_a_pack_is_all_real_or_all_generated(runs: int | None, minibatch_std: bool, loss: str):
    D = small(2 * 3, minibatch_std=minibatch_std)
    ours = build(small(2, 2), D, runs, data=far(), packing=3, loss=loss)
    seen = shown(ours)
    ours.train(2)
    real = [(x > FAR / 2) for x in seen]
    assert all(torch.equal(r.all(dim=2), r.any(dim=2)) for r in real)
    # For the relativistic loss the generator's step looks at real packs, too.
    steps = 4 if loss == "relativistic" else 2
    assert sum(int(r.all(dim=2).sum()) for r in real) == steps * ours.runs * 12 / 3
    assert sum(int((~r).all(dim=2).sum()) for r in real) == 4 * ours.runs * 12 / 3


@pytest.mark.parametrize("packing", [2, 3])
@pytest.mark.parametrize("runs", RUNS)
def test_losses_are_those_of_the_packs(runs: int | None, packing: int):
    ours = build(small(2, 2), small(2 * packing), runs, packing=packing)
    at, count = Generator().manual_seed(0), ours.runs
    x, z = ours.data.sample((count, 12), at), ours.prior.sample((count, 12), at)
    again = ours.prior.sample((count, 12), at)

    def judged(D: nn.Module, samples: Tensor) -> Tensor:
        return torch.cat(
            [D(torch.cat(list(samples[i : i + packing]))) for i in range(0, 12, packing)]
        )

    with torch.no_grad():
        expected = [
            F.softplus(-judged(D, x[run])).mean() + F.softplus(judged(D, G(z[run]))).mean()
            for run, (G, D) in enumerate(members(ours))
        ]
    torch.testing.assert_close(ours.discriminator_step().loss, torch.stack(expected))
    with torch.no_grad():
        expected = [
            F.softplus(-judged(D, G(again[run]))).mean() for run, (G, D) in enumerate(members(ours))
        ]
    torch.testing.assert_close(ours.generator_step().loss, torch.stack(expected))


def test_packing_must_divide_the_batch():
    message = "packing = 5: must divide the batch of 12"
    with pytest.raises(ValueError, match=message):
        Settings(batch=12, packing=5)
    ours = build(small(2, 2), small(4), packing=2)
    with pytest.raises(ValueError, match=message):
        ours.set(packing=5)
    with pytest.raises(ValueError, match="packing = 2: must divide the batch of 13"):
        ours.set(batch=13)
    assert (ours.settings.packing, ours.settings.batch) == (2, 12)


@pytest.mark.parametrize("kind", ["vectors", "images"])
@pytest.mark.parametrize("runs", RUNS)
def test_wgan_gp_looks_between_packs_with_one_weight_each(runs: int | None, kind: str):
    def judge() -> nn.Module:
        network = convolution()
        network[0] = nn.Conv2d(2, 4, 4, stride=2, padding=1)
        return network

    players = {"vectors": (small(2, 2), small(4)), "images": (deconvolution, judge)}[kind]
    data = {"vectors": ring(), "images": images()}[kind]
    ours = build(*players, runs, data=data, packing=2, penalties={"WGAN-GP": 1.0})
    seen = shown(ours)
    ours.discriminator_step()
    both, points = seen
    real, fake = both.chunk(2, dim=1)
    weights = ((points - fake).double() / (real - fake).double()).flatten(2)
    assert weights.shape[:2] == (ours.runs, 6)
    # The median, for where real and generated are close together the quotient is rough.
    mix = weights.median(dim=2, keepdim=True).values
    between = mix * real.flatten(2) + (1 - mix) * fake.flatten(2)
    torch.testing.assert_close(points.flatten(2).double(), between, rtol=0, atol=1e-4)
    assert bool(((mix > 0) & (mix < 1)).all())
    assert len(mix.unique()) == mix.numel()


# -- minibatch standard deviation: Karras et al. 2018 ---------------------------------


class Own(nn.Linear):
    """A layer of a reader's own that looks across its batch."""

    mixes_samples = True


@pytest.mark.parametrize(
    ("network", "mixes"),
    [
        (mlp(2, 1), False),
        (mlp(2, 1, spectral_norm=True), False),
        (mlp(2, 1, batch_norm=True), True),
        (mlp(2, 1, minibatch_std=True), True),
        (nn.Sequential(nn.Sequential(Own(2, 1))), True),
        (deconvolution(), True),  # batch norm for images
    ],
    ids=["plain", "spectral norm", "batch norm", "minibatch std", "own", "images"],
)
def test_a_layer_that_mixes_samples_is_found(network: nn.Module, mixes: bool):
    assert mixes_samples(network) is mixes
    assert mixes_samples(Ensemble(lambda: copy.deepcopy(network), 2)) is mixes


@pytest.mark.parametrize("unroll", [0, 1])
@pytest.mark.parametrize("loss", ["non-saturating", "relativistic"])
@pytest.mark.parametrize("option", ["minibatch_std", "batch_norm"])
@pytest.mark.parametrize("runs", RUNS)
def test_real_and_generated_never_share_a_batch(
    runs: int | None, option: str, loss: str, unroll: int
):
    ours = build(small(2, 2), small(**{option: True}), runs, data=far(), loss=loss, unroll=unroll)
    seen = shown(ours)
    ours.train(2)
    kinds = [(x > FAR / 2).flatten(1) for x in seen]
    assert all(bool(k.all()) or not k.any() for k in kinds)
    assert {bool(k.all()) for k in kinds} == {False, True}


# -- unrolled GANs: Metz et al. 2017 --------------------------------------------------


class Double:
    """A source in double precision."""

    def __init__(self, source: Source) -> None:
        self.source, self.event_shape = source, source.event_shape

    def sample(self, shape: Sequence[int] = (), generator: Generator | None = None) -> Tensor:
        return self.source.sample(shape, generator).double()

    def to(self, _: torch.device | str) -> Double:
        return self


RATE, BETAS = 0.03, (0.0, 0.9)


class ByHand:
    """The same training as ``ours``, as torch writes it, for plain networks."""

    def __init__(self, ours: Trainer) -> None:
        self.settings, self.random = ours.settings, Generator().manual_seed(0)
        self.data, self.prior = ours.data, ours.prior
        self.G, self.D = (copy.deepcopy(n.module) for n in (ours.generator, ours.discriminator))
        self.adam = torch.optim.Adam(self.D.parameters(), lr=RATE, betas=BETAS)

    def draw(self) -> tuple[Tensor, Tensor]:
        shape = (1, self.settings.batch)
        x = self.data.sample(shape, self.random)[0]
        return x, self.prior.sample(shape, self.random)[0]

    def draw_noise(self) -> Tensor:
        return self.prior.sample((1, self.settings.batch), self.random)[0]

    def step(self, D: nn.Module, adam: torch.optim.Adam, x: Tensor, fake: Tensor) -> None:
        real = x.clone().requires_grad_()
        loss = F.softplus(-D(real)).mean() + F.softplus(D(fake)).mean()
        if r1 := self.settings.penalties.get("R1"):
            (slope,) = torch.autograd.grad(D(real).sum(), real, create_graph=True)
            loss = loss + r1 * slope.square().sum(dim=1).mean() / 2
        adam.zero_grad()
        loss.backward()
        adam.step()
        if clip := self.settings.clip:
            with torch.no_grad():
                for weight in D.parameters():
                    weight.clamp_(-clip, clip)

    def loss_after(self, steps: int, x: Tensor, z: Tensor) -> float:
        """G's loss against D after so many more steps on this batch; nothing stays of them."""
        D, adam = copy.deepcopy(self.D), copy.deepcopy(self.adam.state_dict())
        ahead = torch.optim.Adam(D.parameters(), lr=RATE, betas=BETAS)
        ahead.load_state_dict(adam)
        fake = self.G(z).detach()
        for _ in range(steps):
            self.step(D, ahead, x, fake)
        with torch.no_grad():
            return F.softplus(-D(fake)).mean().item()

    def slope(self, steps: int, x: Tensor, z: Tensor, move: float = 1e-6) -> Tensor:
        """Its finite difference in each of G's weights, first to last."""
        slopes = []
        for weight in self.G.parameters():
            flat = weight.data.view(-1)
            for i in range(len(flat)):
                middle, ends = flat[i].item(), []
                for to in (middle + move, middle - move):
                    flat[i] = to
                    ends.append(self.loss_after(steps, x, z))
                flat[i] = middle
                slopes.append((ends[0] - ends[1]) / (2 * move))
        return torch.tensor(slopes, dtype=torch.float64)


def unrolling(**settings: object) -> tuple[Trainer, ByHand]:
    """A training in double precision after two steps of D, and the same by hand."""
    ours = build(
        lambda: mlp(2, 2, width=3, depth=1, activation="tanh").double(),
        lambda: mlp(2, 1, width=4, depth=1, activation="tanh").double(),
        data=Double(ring()),
        prior=Double(normal(2)),
        discriminator_rate=RATE,
        betas=BETAS,
        **settings,
    )
    by_hand = ByHand(ours)
    for _ in range(2):
        ours.discriminator_step()
        x, z = by_hand.draw()
        by_hand.step(by_hand.D, by_hand.adam, x, by_hand.G(z).detach())
    return ours, by_hand


@pytest.mark.parametrize(
    "others", [{}, {"penalties": {"R1": 0.3}}, {"clip": 0.3}], ids=["plain", "R1", "clip"]
)
@pytest.mark.parametrize("unroll", [0, 1, 3])
def test_unrolled_gradient_is_the_finite_difference(unroll: int, others: dict):
    ours, by_hand = unrolling(unroll=unroll, **others)
    x, z = by_hand.draw() if unroll else (None, by_hand.draw_noise())
    loss = ours.generator_step().loss
    assert loss.item() == pytest.approx(by_hand.loss_after(unroll, x, z), rel=1e-6)
    gradient = ours.state.generator.moments.mean[0]  # its mean, as the first decay rate is 0
    expected = by_hand.slope(unroll, x, z)
    torch.testing.assert_close(gradient, expected, rtol=1e-4, atol=1e-7)
    if unroll:  # and looking ahead matters
        assert (expected - by_hand.slope(0, x, z)).norm() > 0.02 * expected.norm()


@pytest.mark.parametrize("pair", ["norms", "batch norm"])
@pytest.mark.parametrize("runs", RUNS)
def test_looking_ahead_leaves_the_discriminator_where_it_is(runs: int | None, pair: str):
    D = small(spectral_norm=True) if pair == "norms" else small(batch_norm=True)
    ours = build(small(2, 2), D, runs, unroll=3, penalties={"R1": 0.1} if pair == "norms" else {})
    ours.train(2)
    before, made = state(ours, ["discriminator"]), counts(ours)["discriminator"]
    moving = state(ours, ["generator"])
    ours.generator_step()
    assert differing(state(ours, ["discriminator"]), before) == []
    assert counts(ours)["discriminator"] == made
    assert differing(state(ours, ["generator"]), moving)
    assert all(p.grad is None for p in ours.discriminator.parameters())


def test_unrolling_draws_the_real_samples_it_needs():
    data = Poison(ring())
    build(small(2, 2), small(), data=data, unroll=2).train(3)
    assert data.calls == 3 * (1 + 1)


# -- weight clipping: Arjovsky et al. 2017, algorithm 1 -------------------------------


def clipped(ours: Trainer) -> list[bool]:
    bound = ours.settings.clip
    return [bool((p.abs() <= bound).all()) for p in ours.discriminator.parameters()]


@pytest.mark.parametrize("pair", PAIRS)
@pytest.mark.parametrize("runs", RUNS)
def test_every_weight_of_the_discriminator_is_within_its_bound_after_each_step(
    runs: int | None, pair: str
):
    ours = trainer(pair, runs, clip=0.02, loss="wasserstein", k=3, discriminator_rate=5e-3)
    assert not all(clipped(ours))
    for _ in range(3):
        moving = state(ours, ["generator"])
        ours.discriminator_step()
        assert all(clipped(ours))
        weights = {name for name, _ in ours.generator.named_parameters()}
        moved = differing(state(ours, ["generator"]), moving)
        assert not weights & {name.removeprefix("generator ") for name in moved}
    before = {name: p.detach().clone() for name, p in ours.generator.named_parameters()}
    history = ours.train(2, callback=lambda _: None)
    assert all(clipped(ours))
    assert len(history) == 2
    assert any((p.abs() > 0.02).any() for p in ours.generator.parameters())
    assert any(not torch.equal(p, before[n]) for n, p in ours.generator.named_parameters())


@pytest.mark.parametrize("rates", [1e-2, [1e-2, 2e-3, 5e-3]], ids=["one rate", "rates"])
def test_clipping_is_the_last_thing_a_step_does(rates: object):
    bound, runs = 0.3, 3
    ours, free = (trainer(runs=runs, clip=c, discriminator_rate=rates) for c in (bound, 0.0))
    ours.discriminator_step(), free.discriminator_step()
    for own, other in zip(
        ours.discriminator.parameters(), free.discriminator.parameters(), strict=True
    ):
        torch.testing.assert_close(own, other.clamp(-bound, bound))
    assert not all((p.abs() < bound).all() for p in free.discriminator.parameters())


@pytest.mark.parametrize("runs", [None, 4])
def test_a_step_that_is_refused_clips_nothing(runs: int | None):
    spoiled = slice(None) if runs is None else [1]
    ours = trainer(runs=runs, clip=0.02, data=Poison(ring(), at=[1], spoiled=spoiled))
    before = state(ours)
    if runs is None:
        with pytest.raises(NonFiniteError):
            ours.train(3)
        assert differing(state(ours), before) == []
    else:
        ours.train(3)
        own = {name: t for name, t in state(ours).items() if name.startswith("discriminator")}
        assert differing(own, {name: before[name] for name in own}, 1) == []
        assert (ours.state.discriminator.weights[[0, 2, 3]].abs() <= 0.02).all()


# -- instance noise: Sønderby et al. 2017 ---------------------------------------------


def blank(runs: int | None, **settings: object) -> Trainer:
    """Real and generated samples are all 0, so that D is shown noise alone."""

    def silent() -> nn.Module:
        network = mlp(2, 2, depth=0)
        for parameter in network.parameters():
            nn.init.zeros_(parameter)
        return network

    still = {"generator_rate": 1e-12, "data": Empirical(torch.zeros(3, 2))}
    return build(silent, small(), runs, batch=4000, **still, **settings)


@pytest.mark.parametrize("loss", ["non-saturating", "relativistic"])
@pytest.mark.parametrize("std", [0.0, 0.5, 2.0])
@pytest.mark.parametrize("runs", RUNS)
def test_all_that_the_discriminator_sees_has_noise_of_its_own(
    runs: int | None, std: float, loss: str
):
    ours = blank(runs, instance_noise=std, loss=loss)
    seen = shown(ours)
    ours.discriminator_step()
    real, fake = seen[0].chunk(2, dim=1)
    noises = [real, fake]
    seen.clear()
    ours.generator_step()
    noises += seen[0].chunk(2, dim=1) if loss == "relativistic" else [seen[0]]
    noises = [noise[run, :, i] for noise in noises for run in range(ours.runs) for i in range(2)]
    if std == 0:
        assert all(not noise.any() for noise in noises)
        return
    for noise in noises:
        assert noise.std().item() == pytest.approx(std, rel=0.06)  # five standard errors
        assert noise.mean().item() == pytest.approx(0, abs=0.08 * std)
    # Batches, runs and coordinates have noises that know nothing of one another.
    correlations = torch.corrcoef(torch.stack(noises)) - torch.eye(len(noises))
    assert correlations.abs().max() < 0.08


def test_instance_noise_follows_its_schedule():
    ours, line = blank(None), Linear(2.0, 0.0, 1, 5)
    seen, per_step = shown(ours), []

    def look(_: Trainer) -> None:
        per_step.append([x.std().item() for x in seen])
        seen.clear()

    ours.train(7, callback=look, schedule={"instance_noise": line})
    assert [len(stds) for stds in per_step] == [2] * 7  # a step of D and one of G
    for step, stds in enumerate(per_step):
        assert stds == pytest.approx([line(step)] * 2, rel=0.06, abs=1e-6)
    assert ours.settings.instance_noise == 0


# -- a rate for each run --------------------------------------------------------------

RATES = [1e-3, 3e-3, 1e-2]


TORCHS = {
    "Adam": lambda w, rate: torch.optim.Adam([w], lr=rate, betas=(0.5, 0.999)),
    "Adam of other betas": lambda w, rate: torch.optim.Adam([w], lr=rate, betas=(0.0, 0.9)),
    "RMSprop": lambda w, rate: torch.optim.RMSprop([w], lr=rate),
    "SGD": lambda w, rate: torch.optim.SGD([w], lr=rate),
}


@pytest.mark.parametrize("name", TORCHS)
@pytest.mark.parametrize("rates", [RATES, [2e-3]], ids=["each", "one"])
@pytest.mark.parametrize("bound", [0.0, 2.0])
def test_an_optimiser_is_torchs_for_each_run(rates: list[float], name: str, bound: float):
    random, runs = Generator().manual_seed(0), 3
    betas = (0.0, 0.9) if name.endswith("betas") else (0.5, 0.999)
    settings = Settings(optimiser=name.split(maxsplit=1)[0], betas=betas)
    torch.manual_seed(0)
    ours = Player("generator", Ensemble(lambda: nn.Linear(8, 5), runs))
    each = rates * (runs // len(rates))
    weights = [nn.Parameter(one.clone()) for one in ours.weights]
    theirs = [TORCHS[name](w, rate) for w, rate in zip(weights, each, strict=True)]
    rate = torch.tensor(each).unsqueeze(1) if len(rates) > 1 else torch.tensor(rates[0])
    for steps in range(1, 101):
        gradient = torch.randn(runs, 45, generator=random)
        ours.move(bounded(gradient, bound), rate, settings)
        for own, weight, optimiser in zip(gradient, weights, theirs, strict=True):
            weight.grad = own.clone()
            if bound:
                torch.nn.utils.clip_grad_norm_([weight], bound)
            optimiser.step()
        for found, weight, one in zip(ours.weights, weights, each, strict=True):
            torch.testing.assert_close(found, weight.detach(), rtol=1e-6, atol=3e-5 * one * steps)


def test_another_optimiser_begins_with_no_memory():
    ours = trainer()
    ours.train(3)
    ours.set(optimiser="RMSprop")
    assert not ours.state.generator.moments.square.any()
    assert counts(ours) == {"generator": [0], "discriminator": [0]}
    ours.train(2)
    ours.set(k=2)  # what does not change it, keeps it
    assert counts(ours) == {"generator": [2], "discriminator": [2]}


@pytest.mark.parametrize("player", ["generator", "discriminator"])
def test_at_a_rate_of_0_a_player_stands_still(player: str):
    ours = trainer(**{f"{player}_rate": 0})
    before = {name: t for name, t in state(ours).items() if f"{player}.network" in name}
    ours.train(3)
    assert differing({name: state(ours)[name] for name in before}, before) == []


def test_the_gradients_bound_acts_in_the_step_and_in_the_steps_ahead():
    """With plain descent, no player moves further than rate × bound, whatever the loss."""
    options = {"optimiser": "SGD", "discriminator_rate": 1.0, "generator_rate": 1.0}
    for unroll in (0, 2):
        ours = trainer(runs=2, gradient_clip=1e-3, unroll=unroll, **options)
        before = [player.weights.clone() for player in ours.state.players]
        record = ours.step()
        for player, old in zip(ours.state.players, before, strict=True):
            moved = (player.weights - old).norm(dim=1)
            torch.testing.assert_close(moved, torch.full((2,), 1e-3), rtol=1e-2, atol=0)
        assert (record.generator_gradient > 1e-2).all()  # what was measured is not bounded
    for bound, moves in ((1e-6, False), (1.0, True)):
        ahead, plain = (
            trainer(gradient_clip=bound, unroll=unroll, **options).step().generator_loss
            for unroll in (2, 0)
        )
        assert bool((ahead - plain).abs() > 1e-3) is moves


def alone(many: Trainer, run: int, **changes: object) -> Trainer:
    """The plain training of one run of an ensemble."""
    ours = Trainer(
        copy.deepcopy(many.generator.member(run)),
        copy.deepcopy(many.discriminator.member(run)),
        Slice(many.data, many.runs, run),
        Slice(many.prior, many.runs, run),
        many.settings if not changes else None,
        device="cpu",
    )
    if changes:
        plain = {name: getattr(many.settings, name) for name in many.settings.__dataclass_fields__}
        ours.set(**(plain | changes))
    return ours


def assert_follows(history: object, many: Trainer, run: int, single: Trainer) -> None:
    own = single.train(len(history))
    for quantity in Record._fields:
        torch.testing.assert_close(
            history[quantity][:, run], own[quantity][:, 0], rtol=1e-4, atol=1e-6
        )
    for (name, together), one in zip(state(many).items(), state(single).values(), strict=True):
        error = (together[run].double() - one.double()).norm()
        assert error <= 1e-4 * one.double().norm().clamp(min=1e-3), name


def test_each_run_learns_at_its_own_rate():
    many = trainer(runs=3, discriminator_rate=RATES, generator_rate=RATES[::-1])
    singles = [
        alone(many, run, discriminator_rate=RATES[run], generator_rate=RATES[2 - run])
        for run in range(3)
    ]
    history = many.train(20)
    for run, single in enumerate(singles):
        assert_follows(history, many, run, single)


def test_rates_may_come_and_go():
    """From one rate to several and back, Adam's moments stay."""
    ours, same = trainer(runs=3), trainer(runs=3)
    for rate in (1e-3, [1e-3] * 3, (1e-3, 1e-3, 1e-3), 1e-3):
        ours.set(discriminator_rate=rate, generator_rate=rate)
        ours.train(3), same.train(3)
    for one, other in zip(state(ours).values(), state(same).values(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("player", ["discriminator", "generator"])
def test_a_wrong_number_of_rates_is_named_and_the_old_ones_stay(player: str):
    name, old = f"{player}_rate", [1e-3, 2e-3, 3e-3]
    message = f"{name} has 2 values: expected one for each of 3"
    with pytest.raises(ValueError, match=message):
        trainer(runs=3, **{name: [1e-3] * 2})
    ours, same = (trainer(runs=3, **{name: old}) for _ in range(2))
    with pytest.raises(ValueError, match=message):
        ours.set(**{name: [1e-2] * 2}, k=3, averaging=0.9)
    assert ours.settings == same.settings
    assert ours.averaged is None
    ours.train(2), same.train(2)
    assert differing(state(ours), state(same)) == []


# -- run i of an ensemble is the plain training, with any remedy ----------------------

REMEDIES: dict[str, tuple[Build, dict]] = {
    "packing": (small(4), {"packing": 2}),
    "minibatch std": (small(minibatch_std=True), {}),
    "minibatch std of packs": (small(6, minibatch_std=True), {"packing": 3}),
    "clip": (small(), {"clip": 0.1, "loss": "wasserstein"}),
    "unroll": (small(), {"unroll": 2}),
    "unroll, richer": (
        small(4, spectral_norm=True),
        {"unroll": 1, "k": 2, "packing": 2, "penalties": {"R1": 0.1}, "loss": "least squares"},
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("remedy", REMEDIES)
def test_run_i_follows_the_plain_network(remedy: str):
    D, settings = REMEDIES[remedy]
    many = build(small(2, 2), D, 3, **settings)
    singles = [alone(many, run) for run in range(3)]
    history = many.train(12)
    for run, single in enumerate(singles):
        assert_follows(history, many, run, single)


@pytest.mark.parametrize("remedy", REMEDIES)
def test_a_run_that_stops_leaves_the_others_alone(remedy: str):
    D, settings = REMEDIES[remedy]
    data = Poison(ring(), at=[4], spoiled=[1])
    ours, healthy = (build(small(2, 2), D, 3, data=d, **settings) for d in (data, ring()))
    history, expected = ours.train(6), healthy.train(6)
    assert ours.frozen.tolist() == [False, True, False]
    assert differing(state(ours), state(healthy), [0, 2]) == []
    assert torch.equal(history["generator_loss"][:, [0, 2]], expected["generator_loss"][:, [0, 2]])
    assert all(tensor.isfinite().all() for tensor in state(ours).values())


# -- settings that change with the steps ----------------------------------------------


@pytest.mark.parametrize(
    ("step", "value"),
    [(0, 4.0), (10, 4.0), (12, 3.5), (20, 1.5), (29, -0.75), (30, -1.0), (31, -1.0), (10**6, -1.0)],
)
def test_a_line_is_constant_then_straight_then_constant(step: int, value: float):
    assert Linear(4.0, -1.0, 10, 30)(step) == pytest.approx(value)


@pytest.mark.parametrize(("begin", "end"), [(5, 5), (6, 5), (-1, 5)])
def test_a_line_begins_before_it_ends(begin: int, end: int):
    with pytest.raises(ValueError, match=rf"begin = {begin}, end = {end}: 0 ≤ begin < end"):
        Linear(1.0, 0.0, begin, end)


@pytest.fixture
def rates(monkeypatch: pytest.MonkeyPatch) -> list[list[float]]:
    """The rates of every step of either player, in turn."""
    seen: list[list[float]] = []
    move = Player.move

    def spy(self: Player, gradient: Tensor, rate: Tensor, *others: object) -> None:
        seen.append(rate.flatten().tolist())
        move(self, gradient, rate, *others)

    monkeypatch.setattr(Player, "move", spy)
    return seen


def test_a_schedule_sets_the_rate_of_each_step(rates: list[list[float]]):
    ours, line = trainer(generator_rate=0.5), Linear(1e-2, 1e-3, 2, 6)
    for steps in (3, 5):  # a later training goes on where the earlier one stopped
        ours.train(steps, schedule={"generator_rate": line})
    assert rates[1::2] == [pytest.approx([line(step)]) for step in range(8)]
    assert rates[::2] == [pytest.approx([1e-3])] * 8
    assert ours.settings.generator_rate == line(7)  # and it stays
    ours.train(1)
    assert rates[-1] == pytest.approx([line(7)])


def test_a_schedule_is_asked_for_each_of_many_steps_at_once():
    """As a program of many steps asks, and a GPU."""
    line = Linear(1e-2, 1e-3, 2, 6)
    each = scheduled(Settings(), {"generator_rate": line, "instance_noise": float}, 3, 4)
    assert [one.generator_rate for one in each] == [line(step) for step in (3, 4, 5, 6)]
    assert [one.instance_noise for one in each] == [3.0, 4.0, 5.0, 6.0]


def test_a_schedule_may_set_a_rate_for_each_run(rates: list[list[float]]):
    each = [[1e-3, 2e-3], [3e-3, 4e-3]]
    trainer(runs=2).train(2, schedule={"discriminator_rate": each.__getitem__})
    assert rates[::2] == [pytest.approx(one) for one in each]


def test_a_schedule_is_a_setting_changed_by_hand():
    ours, by_hand = trainer("norms", 2), trainer("norms", 2)
    counts = [1, 3, 2]
    history = ours.train(
        3, schedule={"k": counts.__getitem__, "discriminator_rate": Linear(1e-2, 1e-3, 0, 2)}
    )
    for k, rate in zip(counts, [1e-2, 5.5e-3, 1e-3], strict=True):
        by_hand.set(k=k, discriminator_rate=rate)
        by_hand.step()
    assert len(history) == 3
    for one, other in zip(state(ours).values(), state(by_hand).values(), strict=True):
        torch.testing.assert_close(one, other)


def test_a_schedule_of_an_unknown_setting_is_named():
    ours = trainer()
    with pytest.raises(TypeError, match="speed"):
        ours.train(3, schedule={"speed": lambda step: step})
    assert ours.steps == 0


def test_a_schedule_out_of_range_stops_at_that_step():
    ours = trainer()
    with pytest.raises(ValueError, match=r"generator_rate = -0\.0005: must be a finite number"):
        ours.train(9, schedule={"generator_rate": Linear(1e-3, -1e-3, 0, 4)})
    assert ours.steps == 3
    assert ours.settings.generator_rate == pytest.approx(0.0)
    assert len(ours.train(1)) == 1


# -- a training that stops ------------------------------------------------------------


@pytest.mark.parametrize("runs", [None, 3])
@pytest.mark.parametrize("player", ["discriminator", "generator"])
def test_adams_count_is_that_of_the_updates_made(player: str, runs: int | None):
    """Moments of n updates with the bias of n + 1 would be another Adam."""
    bad = (
        {"data": Poison(ring(), at=[3])}
        if player == "discriminator"
        else {"prior": Poison(normal(2), at=[6])}
    )
    ours = trainer(runs=runs, **bad)
    with pytest.raises(NonFiniteError, match=f"step 3: the {player}"):
        ours.train(9)
    of_D = 2 + (player == "generator")
    assert counts(ours) == {"discriminator": [of_D] * ours.runs, "generator": [2] * ours.runs}
    ours.train(4)
    assert counts(ours)["generator"] == [6] * ours.runs


def test_each_run_has_a_count_of_its_own():
    ours = trainer(runs=3, data=Poison(ring(), at=[3], spoiled=[0, 2]))
    ours.train(6)
    assert counts(ours) == {"generator": [2, 6, 2], "discriminator": [2, 6, 2]}


def test_a_bound_shortens_long_gradients_and_leaves_short_ones():
    gradients = torch.tensor([[3.0, 4.0], [0.3, 0.4], [0.0, 0.0]])
    torch.testing.assert_close(
        bounded(gradients, 1.0), torch.tensor([[0.6, 0.8], [0.3, 0.4], [0.0, 0.0]])
    )
    assert torch.equal(bounded(gradients, 0.0), gradients)
