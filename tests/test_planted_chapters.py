"""A fault of meaning in a chapter's code or figures is noticed by the checks beside it.

A sign in a formula, a term of an algorithm, two curves under each other's name: each is planted
into the cell, and the rest of its section executed in a copy of the process.
"""

from __future__ import annotations

import os
from typing import NamedTuple

import pytest
from tools import load

audit = load("notebooks/audit.py")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="Windows cannot copy a process"),
]


class Chapter(NamedTuple):
    """The faults of a chapter: what to write for what; and which other sections they need."""

    faults: dict[str, tuple[str, str]]
    also: tuple[str, ...] = ()


CHAPTERS = {
    "06": Chapter(
        {
            "the conserved quantity's sign": ("+ eta_ * x_ * y_", "- eta_ * x_ * y_"),
            "x sees y before its move": ("new_x = x_ - eta_ * new_y", "new_x = x_ - eta_ * y_"),
            "Adam without its bias correction": (
                "m / (1 - betas[0] ** t), v / (1 - betas[1] ** t)",
                "m, v",
            ),
        },
        also=("The Dirac-GAN",),
    ),
    "07": Chapter(
        {
            "the ceiling without HQ": (
                "(1 - (1 - 1 / K) ** (n * quality))",
                "(1 - (1 - 1 / K) ** n)",
            ),
            "the displayed ceiling": ("(1 - 1 / K_) ** (n_ * h_)", "(1 - 1 / K_) ** n_"),
            "the floor's K": ("(K_ - 1) / (2 * n_)", "(K_ + 1) / (2 * n_)"),
            "effective modes upside down": ("K * np.exp(-np", "K * np.exp(np"),
            "birthdays: pairs with themselves": (".sum() - times * samples", ".sum()"),
            "the displayed birthdays": ("(i_, 1, s_ - 1)", "(i_, 1, s_)"),
            "the exponential's half": ("-s_ * (s_ - 1) / (2 * N_)", "-s_ * (s_ - 1) / N_"),
            "V's sign": (
                "return (p * F.logsigmoid(a)).sum(-1) - ",
                "return (p * F.logsigmoid(a)).sum(-1) + ",
            ),
            "softmax without its mean": (" - (q * gain).sum(-1, keepdim=True))", ")"),
            "D learns from q alone": (
                "eta * (p * torch.sigmoid(-a) - q * torch.sigmoid(a))  # ∂V/∂a",
                "eta * (-q * torch.sigmoid(a))",
            ),
            "titles of the triangles turned": (
                'title=f"G moves {g} × per round"',
                'title=f"G moves {17 // g} × per round"',
            ),
            "panels of the triangles turned": (
                "paths.items(), strict=True):\n    ax.plot(*triangle",
                "reversed(paths.items()), strict=True):\n    ax.plot(*triangle",
            ),
            "the boxed bound: D's sign": ("[-eta_ / 2, 1 - eta_", "[eta_ / 2, 1 - eta_"),
            "the boxed bound: G's factor": ("g_ * eta_ / (2 * K_**2)", "g_ * eta_ / K_**2"),
            "unrolling: D's step turned": (
                "a = a + eta * (p * torch.sigmoid(-a) - q * torch.sigmoid(a))\n    return",
                "a = a - eta * (p * torch.sigmoid(-a) - q * torch.sigmoid(a))\n    return",
            ),
            "legend of loudness exchanged": (
                '"as it is" if norm == "own"',
                '"as it is" if norm == "equal"',
            ),
            "names of the costs reversed": (
                "for cost, value in price.items()]\nax",
                "for cost, value in reversed(price.items())]\nax",
            ),
            "the lead taken the other way": (
                'by_seed["effective"][one] - by_seed["effective"][other]',
                'by_seed["effective"][other] - by_seed["effective"][one]',
            ),
        }
    ),
    "08": Chapter(
        {
            "rows and columns of the plan": (
                "np.vstack([rows, columns])",
                "np.vstack([columns, rows])",
            ),
            "the area without its gaps": (
                "np.abs(crosses) @ np.diff(place)",
                "np.abs(crosses).sum()",
            ),
            "a matching that is not sorted out": (
                "return cost[i, j].mean(), j",
                "return cost[i, i].mean(), j",
            ),
            "the critic's sign": (
                "np.abs(place[:, None] - place) - psi, axis=1",
                "np.abs(place[:, None] - place) + psi, axis=1",
            ),
            "the dual turned": ("linprog(-earned,", "linprog(earned,"),
            "the gradient's sign": ("pushed = ways /", "pushed = -ways /"),
            "the width without b": ("(pushed * b.double()[", "(pushed * a.double()["),
            "a penalty without its 1": (
                "(gradient_norm(f, between) - 1).square()",
                "gradient_norm(f, between).square()",
            ),
            "MaxMin that drops the larger": (
                "[pairs.amax(dim=-1), pairs.amin(dim=-1)]",
                "[pairs.amin(dim=-1), pairs.amin(dim=-1)]",
            ),
            "the bound of clipping: one layer too many": (
                "c_ * sp.Pow(c_ * w_, h_, evaluate=False)",
                "sp.Pow(c_ * w_, h_, evaluate=False)",
            ),
            "legend of clipping reversed": (
                'bars(ax, depths, slopes[:, i], style, INK, f"c = {c:g}")',
                'bars(ax, depths, slopes[:, i], style, INK, f"c = {clips[2 - i]:g}")',
            ),
            "the stretch's sign": (
                "sp.diff(-s_ * t_ + lambda_ * (s_ - 1) ** 2, s_)",
                "sp.diff(s_ * t_ + lambda_ * (s_ - 1) ** 2, s_)",
            ),
            "the widget's truth turned": (
                'right.plot(SHIFTS, SHIFTS, "--"',
                'right.plot(SHIFTS, -SHIFTS, "--"',
            ),
            "the widget's values turned": ("says = start - means", "says = means - start"),
            "the widget's large dots elsewhere": (
                "[here] * 3, says[index]",
                "[here] * 3, says[index - 1]",
            ),
        }
    ),
}


@pytest.fixture(scope="module", params=CHAPTERS)
def verdicts(request: pytest.FixtureRequest) -> tuple[dict[str, bool], list[str]]:
    (source,) = audit.build.sources([request.param])
    return audit.planted(source, *CHAPTERS[request.param])


def test_every_planted_fault_is_noticed(verdicts: tuple[dict[str, bool], list[str]]):
    noticed, failures = verdicts
    assert [name for name, seen in noticed.items() if not seen] == []
    assert failures == []
