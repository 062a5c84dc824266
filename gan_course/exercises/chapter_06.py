"""Specifications of the exercises of chapter 06, *Training dynamics*."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor

from gan_course.dynamics import Field, bilinear, dirac, simultaneous, trajectories
from gan_course.exercises import (
    Open,
    Wrong,
    call,
    expect,
    several,
    specification,
    whole_number,
)


@specification("06.1")
def largest_step(answer: float) -> None:
    """|1 + ηλ|² = 1 − ηγ + η²/4 is below 1 for η < 4γ."""
    expect("look for |1 + ηλ| = 1: write out 1 + 2η Re λ + η² |λ|²", answer, 2.4, atol=1e-3)


@specification("06.2")
def conserved(answer: Callable[[Tensor, Tensor, float], Tensor]) -> None:
    """x² + y² − ηxy, or any function of it, when x moves first."""
    random = torch.Generator().manual_seed(0)
    x, y = torch.randn(2, 20, generator=random).double()
    for eta in (0.2, 0.7):
        before = torch.as_tensor(call(answer, x, y, eta)).double()
        range_of = float(before.max() - before.min())
        if before.shape == x.shape:
            _name_the_wrong_part(before, x, y, eta)
        new_x = x - eta * y
        new_y = y + eta * new_x
        expect(
            "it changes when x moves first and y second: multiply out with x' = x − ηy",
            call(answer, new_x, new_y, eta),
            before,
            atol=1e-5 * range_of,
        )
        if before.shape != x.shape or not range_of > 1e-6 * float(before.abs().max()):
            raise Wrong("a constant is conserved, but it says nothing: use x and y")
        expect(
            "each game has its own x and y: in another order, its value must go with it",
            call(answer, x.flip(0), y.flip(0), eta),
            before.flip(0),
            atol=1e-5 * range_of,
        )


def _name_the_wrong_part(value: Tensor, x: Tensor, y: Tensor, eta: float) -> None:
    """Of a value made of x², y² and xy, say which part is not in proportion."""
    parts = torch.stack([x**2, y**2, x * y], dim=1)
    of_x, of_y, of_both = fitted = torch.linalg.lstsq(parts, value.double()).solution
    if not torch.allclose(parts @ fitted, value.double(), atol=1e-9) or abs(of_x) < 1e-9:
        return
    if abs(of_y / of_x - 1) > 1e-4:
        raise Wrong(f"x² and y² count alike in what is conserved; here y² has {of_y / of_x:.3g}")
    if abs(of_both / of_x + eta) > 1e-4:
        raise Wrong(
            f"x² + y² is right, but xy has the factor {of_both / of_x:.3g} at η = {eta}: "
            "when x moves first, what is the sign of the mixed term, and how does η enter?"
        )


@specification("06.3")
def extragradient(answer: Callable[[Field, Tensor, float], Tensor]) -> None:
    """State + η · v(state + η · v(state))."""
    states = torch.randn(9, 2, generator=torch.Generator().manual_seed(0)).double()
    for field, eta in ((bilinear, 0.3), (dirac(r1=0.3), 0.7)):
        ahead = simultaneous(field, states, (eta, eta))
        found = torch.as_tensor(call(answer, field, states, eta)).double()
        for mistake, hint in (
            (ahead, "that is a plain step: the velocity has to be that of the look-ahead"),
            (ahead + eta * field(ahead), "that is two steps: the second starts from the old state"),
            (states - eta * field(ahead), "that goes against the field: add the velocity"),
            (states + field(ahead), "the step's size η is missing where you go from the old state"),
            (states + eta * field(states + field(states)), "the look-ahead is η long, too"),
            (states + eta * field(states - eta * field(states)), "you look back, not ahead"),
            (eta * field(ahead), "that is the way alone: add the old state"),
        ):
            if found.shape == mistake.shape and torch.allclose(found, mistake, atol=1e-9):
                raise Wrong(hint)
        expect(
            "go back: step from the *old* state, by η times the velocity of the look-ahead",
            call(answer, field, states, eta),
            states + eta * field(ahead),
            atol=1e-9,
        )


@specification("06.4")
def steps_or_rate(answer: Sequence[int]) -> None:
    """Four steps of D, or one step of three times the rate, end within 0.00014 of rest."""
    parts = several(answer, 2, "two whole numbers, (k, m),")
    if any(part is ... for part in parts):
        raise Open
    k, m = (whole_number(part, "k and m: each") for part in parts)
    start = torch.tensor([[-1.0, 1.0]], dtype=torch.float64)
    rounds = partial(trajectories, dirac(r1=0.3), start, 100, update="alternating")
    ways: dict[str, tuple[int, Callable[[int], Tensor]]] = {
        "k": (k, lambda n: rounds(k=n)[-1]),
        "m": (m, lambda n: rounds(rates=(0.2, 0.2 * n))[-1]),
    }
    for name, (found, end) in ways.items():
        if not 1 <= found <= 100:
            raise Wrong(f"{name} = {found}: try 1, 2, 3, …")
        if not end(found).norm() < 1.4e-4:
            raise Wrong(f"{name} = {found} is too few: 100 rounds from (−1, 1) end farther out")
        if found > 1 and end(found - 1).norm() < 1.4e-4:
            raise Wrong(f"{name} = {found} is not the smallest: {found - 1} is enough")
