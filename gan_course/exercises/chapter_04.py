"""Specifications of the exercises of chapter 04, *Divergences*."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from gan_course.exercises import Wrong, call, entries, expect, number, specification, truth
from gan_course.theory import JS

# p = N(0, 1) against q = U[−1, 1]: which is infinite.
INFINITE = {
    "KL(p‖q)": True,  # p has mass where q is 0, and missing is infinitely dear
    "KL(q‖p)": False,  # all of q's samples fall where p is positive
    "JS": False,
    "TV": False,
    "χ²(p‖q)": True,  # f(t)/t = (t − 1)²/t has no bound
    "χ²(q‖p)": False,  # q/p is bounded
}
#: What to look at again, by what is wrong; no hint says which answer is.
LOOK_AGAIN = {
    ("KL(p‖q)", "KL(q‖p)"): "The first law of a KL is the one that is sampled. Which of p and q "
    "draws samples that are impossible under the other?",
    ("χ²(p‖q)", "χ²(q‖p)"): "χ²(a‖b) is E_b (a/b − 1)². Where is the second law 0, or next to it, "
    "and is the first one there?",
    ("JS", "TV"): "Look up both prices, of inventing and of missing: do JS and TV have a ceiling?",
}


@specification("04.1")
def infinite_divergences(answer: object) -> None:
    """Infinite are KL(p‖q) and χ²(p‖q): q misses the tails of p."""
    filled = entries(answer, INFINITE)
    wrong = {name for name in INFINITE if truth(filled[name], name) != INFINITE[name]}
    if wrong >= {"KL(p‖q)", "KL(q‖p)", "χ²(p‖q)", "χ²(q‖p)"}:
        raise Wrong("p and q are exchanged: here q, the uniform, misses a part of p.")
    for names, question in LOOK_AGAIN.items():
        if wrong & set(names):
            raise Wrong(f"{len(wrong)} of the 6 are wrong. {question}")


@specification("04.2")
def bits_of_a_loss(answer: object) -> None:
    """JS = log 2 − J_D, divided by log 2 for bits."""
    nats = math.log(2) - 0.42
    if math.isclose(number(answer, "JS"), nats, abs_tol=2e-3):
        raise Wrong("That is JS in nats: divide by log 2.")
    hint = (
        "The printed loss is a mean, J_D = −V/2, and V = 2 JS − 2 log 2. Then turn nats into bits"
    )
    expect(hint, answer, nats / math.log(2), atol=1e-3)


@specification("04.3")
def js_of_uniforms(answer: Callable[[float], float]) -> None:
    """JS of U[0, 1] and U[0, c]: two intervals, with m constant on each."""
    _name_the_wrong_part(answer)
    expect("c = 1: the two laws are the same, so JS is 0", call(answer, 1.0), 0.0)
    expect(
        "for c → ∞ nearly nothing overlaps, and JS goes to log 2 in nats: mind the halves",
        call(answer, 1e9),
        math.log(2),
    )
    for c in (1.5, 3.0, 10.0):
        m = (1 + 1 / c) / 2
        from_p = -math.log(m)
        from_q = -math.log(c * m) / c + (1 - 1 / c) * math.log(2)
        hint = f"at c = {c}: q is 1/c on [0, c]; treat [0, 1], where both live, apart from (1, c]"
        expect(hint, call(answer, c), (from_p + from_q) / 2)


#: JS of the uniforms, multiplied out: its share of each of these, and where it comes from.
PARTS: dict[str, tuple[Callable[[float], float], float, str]] = {
    "log c": (math.log, 0.5, "p/m on [0, 1] is 2c/(c + 1)"),
    "log(c + 1)": (lambda c: math.log(c + 1), -0.5, "p/m on [0, 1] is 2c/(c + 1)"),
    "log(c + 1)/c": (
        lambda c: math.log(c + 1) / c,
        -0.5,
        "on [0, 1], where q has the mass 1/c, q/m is 2/(c + 1)",
    ),
    "log(c)/c": (lambda c: math.log(c) / c, 0, "on [0, 1] q/m is 2/(c + 1), without a c above"),
    "1/c": (
        lambda c: 1 / c,
        0,
        "q has the mass 1/c on [0, 1] and 1 − 1/c beyond, where q/m is 2; the logarithms of 2 "
        "that are divided by c cancel",
    ),
    "a constant": (lambda c: 1.0, math.log(2), "log 2 comes once from p and once from q, halved"),
    "c": (lambda c: c, 0, "q has the mass 1/c on [0, 1]: divide by c, don't multiply"),
    "c log(c + 1)": (
        lambda c: c * math.log(c + 1),
        0,
        "q has the mass 1/c on [0, 1]: divide by c, don't multiply",
    ),
}


def _name_the_wrong_part(answer: Callable[[float], float]) -> None:
    """Of a formula made of :data:`PARTS`, say which part has the wrong share."""
    points = [1.3, 1.7, 2.2, 2.9, 3.7, 4.6, 5.8, 7.1, 8.9, 11.0, 13.0, 16.0]
    table = torch.tensor(
        [[part(c) for part, _, _ in PARTS.values()] for c in points], dtype=torch.float64
    )
    try:
        values = torch.tensor([float(call(answer, c)) for c in points], dtype=torch.float64)
    except (TypeError, ValueError, ZeroDivisionError):
        return
    shares = torch.linalg.lstsq(table, values).solution
    wanted = torch.tensor([right for _, right, _ in PARTS.values()], dtype=torch.float64)
    is_made_of_them = torch.allclose(table @ shares, values, rtol=0, atol=1e-9)
    if not is_made_of_them or torch.allclose(table @ wanted, values, rtol=0, atol=1e-5):
        return
    factor = float((shares * wanted).sum() / wanted.square().sum())
    if abs(factor - 1) > 1e-4 and torch.allclose(shares, factor * wanted, rtol=0, atol=1e-6):
        raise Wrong(f"All of it is {factor:.4g} times what it should be: half of two KLs, in nats.")
    for share, (name, (_, right, origin)) in zip(shares.tolist(), PARTS.items(), strict=True):
        if abs(share - right) > 1e-4:
            held = f"{share:.3g}" if name == "a constant" else f"{share:.3g} · {name}"
            held = held if abs(share) > 1e-6 else f"no {name}"
            raise Wrong(f"Multiplied out, your formula holds {held}, and that is wrong: {origin}.")


#: The f of plausible mistakes in 04.4, each with what it really is.
MISTAKES: list[tuple[Callable[[Tensor], Tensor], str]] = [
    (
        lambda t: torch.log(2 * t / (1 + t)),
        "the average is over q: E_p g = E_q t g, a t is missing",
    ),
    (lambda t: t * torch.log(2 / (1 + t)), "p/m = 2t/(1 + t): its numerator has lost the t"),
    (lambda t: 2 * t * torch.log(2 * t / (1 + t)), "it is twice K: one KL, nothing added to it"),
    (lambda t: t * torch.log(2 * t / (1 + t)) / 2, "it is half of K: the ½ stands before KL in JS"),
    (lambda t: torch.log(2 / (1 + t)), "it is KL(q‖m): the samples are p's"),
    (JS, "it is JS, half of K(p, q) and half of K(q, p)"),
    (lambda t: t * torch.log(t), "it is KL(p‖q): p is to be compared with m"),
    (lambda t: -torch.log(t), "it is KL(q‖p): the samples are p's, to be compared with m"),
]


#: Plausible mistakes in p/m.
RATIOS: list[tuple[Callable[[Tensor], Tensor], str]] = [
    (lambda t: t / (1 + t), "the 2 is missing, since m is *half* of p + q"),
    (lambda t: 2 * t, "here p is divided by q/2, and m holds p, too"),
    (lambda t: 2 * torch.ones_like(t), "here p is divided by p/2, and m holds q, too"),
    (lambda t: 2 * t * (1 + t), "divide by 1 + t, don't multiply"),
]


@specification("04.4")
def f_of_half_a_jensen_shannon(answer: Callable[[Tensor], Tensor]) -> None:
    """KL(p‖m) is generated by t log(2t / (1 + t)), up to c (t − 1)."""
    t = torch.logspace(-2, 2, 41, dtype=torch.float64)
    value = call(answer, t)
    if not isinstance(value, Tensor) or value.shape != t.shape:
        raise Wrong("Return a tensor with the shape of t: f acts on each ratio.")
    value = value.double()
    for ratio, what in RATIOS:
        if torch.allclose(value, t * torch.log(ratio(t)), atol=1e-9):
            raise Wrong(f"p/m is 2t/(1 + t), for m/q = (1 + t)/2: {what}.")
    expect("f(1) must be 0: where p and q agree, nothing is to pay", value[20], 0.0, atol=1e-6)
    for mistake, what in MISTAKES:
        if torch.allclose(_beside_the_line(value, t), _beside_the_line(mistake(t), t), atol=1e-4):
            raise Wrong(f"This f makes another divergence: {what}.")
    wanted = t * torch.log(2 * t / (1 + t))
    hint = "write KL(p‖m) as an average over q of a function of t = p/q; m/q = (1 + t)/2"
    expect(hint, _beside_the_line(value, t), _beside_the_line(wanted, t), atol=1e-4)


def _beside_the_line(value: Tensor, t: Tensor) -> Tensor:
    """What f is without its c (t − 1), which is free: the line through its last value."""
    return value - value[-1] / (t[-1] - 1) * (t - 1)


@specification("04.5")
def strongest_pull(answer: object) -> None:
    """The slope of JS(N(0, 1), N(d, 1)) in d is largest at its inflection."""
    distance = number(answer, "d")
    if distance <= 0:
        raise Wrong("d is a distance: it is positive.")
    if abs(distance - 1.636) > 0.05:
        side = "still grows" if distance < 1.636 else "falls already"
        raise Wrong(
            f"Near d = {distance:g} the slope of JS {side} with d. (JS is flat at 0 and flat far "
            "away: its steepest point lies in between.)"
        )
