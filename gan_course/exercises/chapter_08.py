"""Specifications of the exercises of chapter 08, *Wasserstein and its kin*."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType

import numpy as np
from numpy.typing import NDArray

from gan_course.exercises import (
    Wrong,
    call,
    entries,
    expect,
    number,
    several,
    specification,
    truth,
    whole_number,
)

Array = NDArray[np.float64]

CHANGES = {
    "JS": False,
    "TV": False,
    "W1": True,
    "best hinge loss": False,
    "best least squares": False,
    "best value at slope ≤ 2": True,
}


@specification("08.1")
def what_changes(answer: dict[str, object]) -> None:
    """On disjoint supports f-divergences stand still; what has a leash does not."""
    filled = entries(answer, CHANGES)
    for name, changes in CHANGES.items():
        if truth(filled[name], name) != changes:
            raise Wrong(
                f"{name}: the supports do not meet at t = 2 nor at t = 3. "
                "Is it made of density ratios, or of distances?"
            )


@specification("08.2")
def best_prices(answer: Callable[[float, float], tuple[float, float]]) -> None:
    """Any φ, ψ ≤ τ with φ + ψ = min(t, 2τ)."""
    for t, tau in ((1.0, 2.0), (3.0, 1.0), (0.5, 0.4), (2.0, 1.5)):
        here = f"at t = {t}, τ = {tau}"
        found = several(call(answer, t, tau), 2, "two prices")
        prices = [number(price, "a price") for price in found]
        earned = sum(prices)
        if max(prices) > tau + 1e-5:
            raise Wrong(f"{here}: a price is above τ; for τ the earth may stay where it is")
        if earned > t + 1e-5:
            raise Wrong(f"{here}: φ + ψ is above t, the length of the way: who would pay that?")
        hint = "dearer prices are permitted: raise them until φ + ψ = t or both are τ"
        expect(f"{here}: {hint}", earned, min(t, 2 * tau))


def by_hand(answer: Callable[[Array, Array, Array], float], *heaps: Array) -> object:
    """The answer's value, unless a ready distance or program has a part in it, by any name."""
    used: list[str] = []

    def notice(frame: FrameType, event: str, called: object) -> None:
        if event == "call":
            name, module = frame.f_code.co_name, frame.f_globals.get("__name__", "")
        else:  # of a function that is written in C
            name = getattr(called, "__name__", "")
            module = (event == "c_call" and getattr(called, "__module__", "")) or ""
        if module.split(".")[0] == "scipy" or module == "gan_course.theory":
            used.append(name)

    others = sys.getprofile()
    sys.setprofile(notice)
    try:
        found = call(answer, *heaps)
    finally:
        sys.setprofile(others)
        if used:
            raise Wrong(f"by hand, please: {used[0]} does the work for you")
    return found


@specification("08.3")
def earth_mover(answer: Callable[[Array, Array, Array], float]) -> None:
    """Σ |cumulative surplus| × gap, over the sorted places."""
    place = np.array([0.0, 1.0, 3.0])
    p, q = np.array([0.5, 0.3, 0.2]), np.array([0.2, 0.2, 0.6])
    expect(
        "not the chapter's 1.1: across each gap, |F_p − F_q| times the gap's length",
        by_hand(answer, place, p, q),
        1.1,
    )
    expect("the other way round it must cost the same", by_hand(answer, place, q, p), 1.1)
    order = np.array([2, 0, 1])
    expect(
        "the places may come in any order: sort them, and the volumes with them",
        by_hand(answer, place[order], p[order], q[order]),
        1.1,
    )
    there_and_back = np.array([0.0, 0.5, 0.5]), np.array([0.5, 0.5, 0.0])
    expect(
        "surplus on both sides: 0.5 crosses each gap", by_hand(answer, place, *there_and_back), 1.5
    )
    outward = np.array([0.0, 1.0, 0.0]), np.array([0.5, 0.0, 0.5])
    expect(
        "from the middle outwards: take the absolute value gap by gap, before you add up",
        by_hand(answer, place, *outward),
        1.5,
    )
    uneven = np.array([-1.3, 0.4, 0.45, 2.2])
    p, q = np.array([0.1, 0.4, 0.2, 0.3]), np.array([0.35, 0.15, 0.4, 0.1])
    expect(
        "places need not be whole numbers, nor three: each gap has its own length",
        by_hand(answer, uneven, p, q),
        float(np.abs(np.cumsum(p - q))[:-1] @ np.diff(uneven)),
    )


@specification("08.4")
def value_under_r1(answer: Callable[[float, float], tuple[float, int]]) -> None:
    """−st + γs²/2 is least at s = t/γ, and nowhere else level; the value is s·t."""
    for t, gamma in ((1.0, 1.0), (3.0, 2.0), (0.5, 0.1)):
        found = several(call(answer, t, gamma), 2, "two things, the value and the number,")
        expect(
            f"not right at t = {t}, γ = {gamma}: find the s at which −st + γs²/2 is least, "
            "then the value s·t, without the penalty",
            found[0],
            t**2 / gamma,
        )
        expect(
            "the penalty s² has no corner at 0 and no second valley: where is −t + γs = 0?",
            found[1],
            1,
            atol=0,
        )


@specification("08.5")
def samples_for_a_distance(answer: object) -> None:
    """256: at 128 the mean is about 0.35, at 256 about 0.26."""
    points = whole_number(answer, "a number of points")
    expect(
        "not the smallest power of two: average over many pairs of samples of n points, "
        "each matched with linear_sum_assignment",
        points,
        256,
        atol=0,
    )


@specification("08.6")
def left_of_the_tent(answer: Callable[[float, float], float]) -> None:
    """(1 − α)/(1 + ρ), the largest slope over all splits, found by brute force."""
    share = np.linspace(0, 1, 100_001)
    for alpha, ratio in ((0.0, 1.0), (0.2, 1.0), (0.2, 3.0), (0.5, 0.25)):
        # |A| = share, |B| = 1 − share, of opposite signs; left and right as steep as they come
        left, right = (1 - share) - alpha * share, share - alpha * (1 - share)
        best = np.minimum(left, right / ratio).max()
        hint = (
            f"not right at α = {alpha}, ratio = {ratio}: solve A + αB = −ratio·s, αA + B = s for "
            "A and B, and put them into |A| + |B| = 1"
        )
        if alpha == 0:
            hint = "a symmetric tent of ReLU units: each side gets half"
        expect(hint, call(answer, alpha, ratio), best, atol=1e-4)
