"""Specifications of the exercises of chapter 02, *The adversarial game*."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from functools import cache, lru_cache
from itertools import combinations
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from gan_course.distributions import ring
from gan_course.exercises import Wrong, agrees, call, expect, specification, whole_number
from gan_course.losses import cross_entropy
from gan_course.networks import Ensemble, mlp
from gan_course.training import Trainer


@specification("02.1")
def value_of_a_good_discriminator(answer: float) -> None:
    """V = log 0.9 + log(1 − 0.2)."""
    real, fake = math.log(0.9), math.log(0.8)
    for mistake, hint in (
        (real + math.log(0.2), "the second logarithm is of 1 − D(G(z)), and D(G(z)) is 0.2"),
        (-real - fake, "the sign: this is D's loss, −V"),
        ((real + fake) / 2, "a factor ½ too much: V is a sum of two means"),
        ((real + fake) / math.log(2), "these are bits: take natural logarithms"),
    ):
        if agrees(answer, mistake, atol=1e-3):
            raise Wrong(hint)
    expect(
        "V adds log D on real samples and log(1 − D) on generated ones, without a factor ½",
        answer,
        math.log(0.9) + math.log(0.8),
        atol=1e-3,
    )


@specification("02.2")
def discriminator_loss(answer: Callable[[Tensor, Tensor], Tensor]) -> None:
    """−V from logits, one number for each run."""
    random = torch.Generator().manual_seed(0)
    real, fake = torch.randn(2, 3, 64, generator=random).unbind()
    loss = call(answer, real, fake)
    expected = cross_entropy(real, fake)
    expect("one number for each run: take the mean over the batch", loss.shape, expected.shape)
    of_real, of_fake = F.softplus(-real), F.softplus(fake)
    for mistake, hint in (
        (of_real.mean(-1) - of_fake.mean(-1), "add the two halves: D pays for both kinds of error"),
        (of_real.mean(-1), "the half of the generated samples is missing"),
        (of_fake.mean(-1), "the half of the real samples is missing"),
        (of_real.sum(-1) + of_fake.mean(-1), "the real half is a sum: take its mean"),
        (of_real.mean(-1) + of_fake.sum(-1), "the generated half is a sum: take its mean"),
        (
            F.softplus(real).mean(-1) + of_fake.mean(-1),
            "the sign in the real half: D is to say that real samples are real",
        ),
        (
            of_real.mean(-1) + F.softplus(-fake).mean(-1),
            "the sign in the generated half: D is to say that generated samples are not real",
        ),
    ):
        if agrees(loss, mistake, atol=1e-4):
            raise Wrong(hint)
    expect("not −V: look at the signs and at both halves", loss, expected)
    expect(
        "the batch size changes the loss: take the mean, not the sum",
        call(answer, real[:, :8], fake[:, :8]),
        cross_entropy(real[:, :8], fake[:, :8]),
    )
    expect(
        "the two batches may differ in size, and each kind has a mean of its own",
        call(answer, real[:, :8], fake),
        cross_entropy(real[:, :8], fake),
    )
    far = torch.full((1, 4), 1e4)
    for of_data, of_fakes in ((-far, far), (far, -far), (far, far), (-far, -far)):
        loss = call(answer, of_data, of_fakes)
        if not bool(loss.isfinite().all()):
            raise Wrong("not finite at logits of ±10,000: use softplus or logsigmoid")
        expect("wrong at logits of ±10,000", loss, cross_entropy(of_data, of_fakes))


@specification("02.3")
def density_of_a_square(answer: Callable[[Tensor], Tensor]) -> None:
    """1 / (2√x): two preimages, each with density ½ and slope 2√x."""
    x = torch.linspace(0.05, 0.95, 19)
    density, right = call(answer, x), 0.5 / x.sqrt()
    if agrees(density, right / 2, atol=1e-4):
        raise Wrong("half of it is missing: two z lead to each x, √x and −√x")
    if agrees(density, 2 * right, atol=1e-4):
        raise Wrong("twice too much: z is uniform on an interval of length 2; its density is ½")
    if agrees(density, 2 * x.sqrt(), atol=1e-4) or agrees(density, x.sqrt(), atol=1e-4):
        raise Wrong("divide by the slope |G'(z)|, don't multiply: where G stretches, p_g is low")
    if agrees(density, x.sqrt() / 2, atol=1e-4):
        raise Wrong("the slope of z² is 2|z| = 2√x, all of it below the line of the fraction")
    expect("count the z that lead to x, and divide by |G'(z)|", density, right)


@specification("02.4")
def steps_until_the_fakes_are_caught(answer: int) -> None:
    """The first step at which the median over 11 seeds of the mean D(G(z)) is below 0.1."""
    steps = whole_number(answer, "a number of steps")
    beliefs = _beliefs()
    first = _first_below(beliefs.median(dim=1).values)
    if steps == first:
        return
    if steps == first - 1:
        raise Wrong("one too few: Python counts from 0, D's steps from 1")
    if steps == first + 1:
        raise Wrong("one too many: the first step below 0.1 counts itself, and D's steps from 1")
    if steps < 1:
        raise Wrong(f"{steps}: a number of steps is positive")
    if steps == 2 * first:
        raise Wrong("twice too many: only D takes steps here, and only its steps count")
    if steps == _first_below(beliefs.mean(dim=1)):
        raise Wrong("that is the step of the mean over the seeds; the median was asked for")
    if steps == _first_below(beliefs[:, 0]):
        raise Wrong("that is one seed; take the median over all 11")
    raise Wrong("not what these 11 seeds say: manual_seed(0), then G, then D; count D's steps")


@lru_cache(maxsize=1)
def _beliefs() -> Tensor:
    """The mean of D(G(z)) at D's first 150 steps against a G that stands still: (steps, 11)."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        generator = Ensemble(lambda: mlp(2, 2, width=64), 11)
        discriminator = Ensemble(lambda: mlp(2, 1, width=64), 11)
        trainer = Trainer(generator, discriminator, ring(std=0.05), device="cpu")
        return torch.stack([trainer.discriminator_step().fake for _ in range(150)])


def _first_below(beliefs: Tensor) -> int:
    return int((beliefs < 0.1).nonzero()[0]) + 1


# --- Rounds of algorithm 1, right and wrong ------------------------------------------------

Round = Callable[..., object]
ROUNDS = 3
HINTS = {
    "swapped": "D learns to call data fake: the labels of its loss are swapped",
    "attached": "D's loss sends a gradient into G: something must be detached",
    "kept": "D's gradient still holds that of earlier turns: it must be set to zero first",
    "kept G": "G's gradient still holds that of earlier rounds: it must be set to zero first",
    "minimax": "G minimises log(1 − D); the non-saturating loss is −log D",
    "same noise": "G's turn uses z_G, fresh noise, and not D's z_D again",
    "no G": "G has not moved: each player takes a step in its turn",
    "no D": "D has not moved: each player takes a step in its turn",
    "D twice": "D has taken two steps: with k = 1 each player takes one",
    "summed": "a loss is a mean over its batch, not a sum: the batch size must not matter",
    "swapped noise": "D's turn uses z_D, and z_G is for G's",
    "G first": "D's turn comes first, then G's",
    "G away": "G goes the wrong way: −log D is softplus of *minus* the logit",
    "no data": "D's loss has lost its real half",
    "no fakes": "D's loss has lost its generated half",
    "minus": "D's loss adds its two halves, it does not subtract one",
    "data away": "D learns to call real samples generated: the sign of its logits there",
    "fakes away": "D learns to call generated samples real: the sign of its logits there",
    "summed data": "the real half of D's loss is a sum over the batch, not a mean",
    "summed fakes": "the generated half of D's loss is a sum over the batch, not a mean",
    "summed G": "G's loss is a sum over its batch, not a mean",
}
#: Those of them that are looked for several at a time.
TOGETHER = list(HINTS)[: list(HINTS).index("G away")]


def _round(*faults: str) -> Round:
    """One round of algorithm 1 with these faults; with none, the right one."""

    def play(*given: Any) -> bool:
        G, D, of_G, of_D, x, z_D, z_G = given

        def mean(losses: Tensor, whose: str) -> Tensor:
            summed = {"summed", f"summed {whose}"} & set(faults)
            return losses.sum() if summed else losses.mean()

        def discriminator_turn() -> None:
            if "kept G" not in faults:
                of_G.zero_grad()
            sign = -1 if "swapped" in faults else 1
            fake = G(z_G if "swapped noise" in faults else z_D)
            fake = fake if "attached" in faults else fake.detach()
            on_data = sign if "data away" in faults else -sign
            on_fakes = -sign if "fakes away" in faults else sign
            of_data = mean(F.softplus(on_data * D(x)), "data") * ("no data" not in faults)
            of_fakes = mean(F.softplus(on_fakes * D(fake)), "fakes") * ("no fakes" not in faults)
            loss = of_data + (-of_fakes if "minus" in faults else of_fakes)
            if "kept" not in faults:
                of_D.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            for _ in range(0 if "no D" in faults else 2 if "D twice" in faults else 1):
                of_D.step()

        def generator_turn() -> None:
            a = D(G(z_D if "same noise" in faults else z_G))
            away = 1 if "G away" in faults else -1
            loss = mean(-F.softplus(a) if "minimax" in faults else F.softplus(away * a), "G")
            loss.backward()  # type: ignore[no-untyped-call]
            if "no G" not in faults:
                of_G.step()

        turns = (discriminator_turn, generator_turn)
        for turn in reversed(turns) if "G first" in faults else turns:
            turn()
        return True

    return play


def _weights_after(play: Round) -> tuple[Tensor, int]:
    """All weights after some rounds of plain gradient descent, which shows every gradient.

    Returns:
        The weights, and how many times a gradient has reached G's first weight.
    """
    reached = []
    random = torch.Generator().manual_seed(0)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        G, D = mlp(1, 2, width=8), mlp(2, 1, width=8)
    first_weight = next(G.parameters())
    first_weight.register_hook(lambda _: reached.append(True))  # type: ignore[no-untyped-call]
    with torch.no_grad():  # an opinion: at D = 1/2 the losses of G have the same slope
        first, *_, last = D.parameters()
        first.mul_(4)
        last.add_(2)
    of_G, of_D = (torch.optim.SGD(net.parameters(), lr=0.3) for net in (G, D))
    for _ in range(ROUNDS):
        x = torch.randn(16, 2, generator=random) + 1
        z_D, z_G = torch.randn(2, 16, 1, generator=random)
        call(play, G, D, of_G, of_D, x, z_D, z_G)
    weights = [weight.detach().flatten() for net in (G, D) for weight in net.parameters()]
    return torch.cat(weights), len(reached)


@cache
def _wrong_weights(*faults: str) -> Tensor:
    return _weights_after(_round(*faults))[0]


def _expect_round(answer: Round, faults: Iterable[str], last: str) -> None:
    """Compare the weights with those of the right round, then with those of wrong ones."""
    weights, reached = _weights_after(answer)
    if agrees(weights, _weights_after(_round())[0], atol=1e-4):
        if reached > ROUNDS:
            raise Wrong(f"the weights are right, but at a price: {HINTS['attached']}")
        return
    together = [chosen for count in (1, 2, 3) for chosen in combinations(faults, count)]
    for chosen in [*together, *((fault,) for fault in HINTS)]:
        if agrees(weights, _wrong_weights(*chosen), atol=1e-4):
            raise Wrong("; ".join(HINTS[fault] for fault in chosen))
    raise Wrong(last)


@specification("02.5")
def one_round(answer: Round) -> None:
    """One round of algorithm 1, k = 1."""
    _expect_round(
        answer,
        TOGETHER,
        "the weights are not those of algorithm 1: D's turn on x and z_D, then G's on z_G",
    )


@specification("02.6")
def mended_round(answer: Round) -> None:
    """The same round, found again behind three planted bugs."""
    _expect_round(
        answer,
        ("swapped", "attached", "kept"),
        "the weights are not those of algorithm 1, nor those of the three bugs: "
        "copy the round again and change nothing else",
    )
