"""Chapter 07's exercises know right answers from plausible wrong ones."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import sympy as sp
import torch
from tools import ROOT, exercise_tests, load, made_again
from torch import Tensor

from gan_course.exercises import exercise
from gan_course.metrics import mean_interval
from gan_course.sweeps import disagreements


def count(
    samples: Tensor,
    centers: Tensor,
    std: float,
    *,
    reach: float = 3.0,
    need: int = 1,
    of_all: bool = True,
) -> tuple[int, Tensor]:
    distance, nearest = torch.cdist(samples, centers).min(dim=1)
    good = distance <= reach * std
    modes = int((nearest[good].bincount(minlength=len(centers)) >= need).sum())
    return modes, good.double().mean() if of_all else good.double().sum()


def within_reach(samples: Tensor, centers: Tensor, std: float) -> tuple[int, Tensor]:
    near = torch.cdist(samples, centers) <= 3 * std
    return int(near.any(dim=0).sum()), near.any(dim=1).double().mean()


def nearest_by_sum(samples: Tensor, centers: Tensor, std: float) -> tuple[int, Tensor]:
    nearest = torch.cdist(samples, centers, p=1).argmin(dim=1)
    good = (samples - centers[nearest]).norm(dim=1) <= 3 * std
    return len(nearest[good].unique()), good.double().mean()


def most_moves_by_numbers(K: int, eta: float, gamma: float) -> float:
    """The same bound without algebra: the largest g at which a round still shrinks."""
    low, high = 0.0, 1e4
    while high - low > 1e-4:
        g = (low + high) / 2
        of_D = np.array([[1, 0], [-eta / 2, 1 - eta * (1 / (2 * K) + gamma)]])
        of_G = np.array([[1, g * eta / (2 * K**2)], [0, 1]])
        shrinks = np.abs(np.linalg.eigvals(of_G @ of_D)).max() < 1
        low, high = (g, high) if shrinks else (low, g)
    return low


RIGHT = [
    ("07.1", 0.2231),
    ("07.2", lambda tau, goal: math.ceil(math.log(1 - goal) / math.log(1 - tau))),
    ("07.3", count),
    ("07.4", lambda K, eta, gamma: (16 * K**2 - 4 * K * eta - 8 * K**2 * eta * gamma) / eta**2),
    ("07.4", most_moves_by_numbers),
    ("07.5", lambda K, eta, part: math.ceil(math.log(1 - part) / 2 / math.log(1 - eta / 2 / K))),
]

WRONG = [
    ("07.1", "the entropy", math.log(20)),
    ("07.1", "the share that is missing", 0.2),
    ("07.1", "in bits", math.log2(25 / 20)),
    ("07.1", "the other sign", -0.2231),
    ("07.2", "rounded down", lambda t, g: int(math.log(1 - g) / math.log(1 - t))),
    ("07.2", "not rounded", lambda t, g: math.log(1 - g) / math.log(1 - t)),
    ("07.2", "goal over tau", lambda t, g: math.ceil(g / t)),
    ("07.2", "the wrong logarithms", lambda t, g: math.ceil(math.log(g) / math.log(t))),
    ("07.3", "two standard deviations", lambda x, c, s: count(x, c, s, reach=2)),
    ("07.3", "without the HQ filter", lambda x, c, s: (len(c), count(x, c, s)[1])),
    ("07.3", "a count in place of a share", lambda x, c, s: count(x, c, s, of_all=False)),
    ("07.3", "modes alone", lambda x, c, s: count(x, c, s)[0]),
    ("07.3", "two samples a mode", lambda x, c, s: count(x, c, s, need=2)),
    (
        "07.2",
        "one too many where it is exact",
        lambda t, g: int(math.log(1 - g) / math.log(1 - t)) + 1,
        "exactly",
    ),
    ("07.3", "every mode within reach", within_reach, "nearest"),
    ("07.3", "nearest by the sum of both coordinates", nearest_by_sum, "ordinary distance"),
    ("07.4", "the box", lambda K, eta, gamma: (16 * K**2 - 4 * K * eta) / eta**2, "determinant"),
    (
        "07.4",
        "friction helps",
        lambda K, e, c: (16 * K**2 - 4 * K * e + 8 * K**2 * e * c) / e**2,
        "trace",
    ),
    (
        "07.4",
        "a term of D's step lost",
        lambda K, e, c: 16 * K**2 / e**2 - 8 * K**2 * c / e,
        "4 K/η",
    ),
    ("07.4", "half of the first term", lambda K, e, c: 8 * K**2 / e**2 - 4 * K / e, "small steps"),
    ("07.4", "not a number", lambda K, e, c: math.nan),
    (
        "07.4",
        "the friction of one step",
        lambda K, e, c: (16 * K**2 - 4 * K * e) / e**2 - c,
        "solve",
    ),
    (
        "07.5",
        "s in place of 2s",
        lambda K, e, p: math.ceil(math.log(1 - p) / math.log(1 - e / 2 / K)),
        "2s",
    ),
    (
        "07.5",
        "rounded down",
        lambda K, e, p: int(math.log(1 - p) / 2 / math.log(1 - e / 2 / K)),
        "round up",
    ),
    (
        "07.5",
        "one too many where it is exact",
        lambda K, e, p: math.floor(math.log(1 - p) / (2 * math.log(1 - e / 2 / K))) + 1,
        "exactly",
    ),
    ("07.5", "not whole", lambda K, e, p: 1.5, "whole"),
]

test_right_answers, test_wrong_answers, test_stubs = exercise_tests(RIGHT, WRONG)


@pytest.mark.parametrize("kind", [int, float, np.int64, np.float64, torch.tensor])
def test_a_whole_number_of_any_type_is_whole(kind: type, capsys: pytest.CaptureFixture[str]):
    for key, answer in RIGHT:
        if key in ("07.2", "07.5"):
            exercise(key, lambda *x, answer=answer: kind(answer(*x)))
    assert capsys.readouterr().out.count("right") == 2


@pytest.mark.parametrize(("K", "eta"), [(3, 4.0), (4, 5.0), (8, 0.3)])
def test_the_boxed_bound_is_where_a_round_is_neutral(K: int, eta: float):
    """The formula that the chapter displays, against the eigenvalues of a round."""
    names = sp.symbols("K eta", positive=True)
    formula = (16 * names[0] ** 2 - 4 * names[0] * names[1]) / names[1] ** 2
    page = json.loads((ROOT / "notebooks/07_mode_collapse.ipynb").read_text(encoding="utf-8"))
    text = "".join("".join(cell["source"]) for cell in page["cells"])
    assert rf"\boxed{{\; g \;<\; {sp.latex(formula)} \;}}" in text
    g = float(formula.subs(dict(zip(names, (K, eta), strict=True))))
    of_D = torch.tensor([[1, 0], [-eta / 2, 1 - eta / (2 * K)]], dtype=torch.float64)
    of_G = torch.tensor([[1, g * eta / (2 * K**2)], [0, 1]], dtype=torch.float64)
    assert torch.linalg.eigvals(of_G @ of_D).abs().max().item() == pytest.approx(1, abs=1e-6)


def test_a_look_changes_nothing_of_what_follows():
    script = load("figures/sweeps/loudness.py")
    once, twice = (
        script.train("minimax", True, script.QUICK | {"steps": steps, "runs": 3})[0]
        for steps in ([6], [3, 6])
    )
    assert torch.equal(once[6], twice[6])
    assert not torch.equal(twice[3], twice[6])


@pytest.mark.slow
def test_the_costs_at_equal_norms_come_out_again():
    frame, record = made_again("loudness")
    assert disagreements(frame, record) == []


def test_an_equal_norm_is_equal(monkeypatch: pytest.MonkeyPatch):
    """A cost that is a thousand times louder trains the same, where norms are equalised."""
    script = load("figures/sweeps/loudness.py")
    settings = script.QUICK | {"steps": [5], "runs": 3}
    plain = script.train("minimax", True, settings)[0][5]
    own = script.train("minimax", False, settings)[0][5]
    cost = script.COSTS["minimax"]
    monkeypatch.setitem(script.COSTS, "minimax", lambda real, fake: 1_000 * cost(real, fake))
    loud = script.train("minimax", True, settings)[0][5]
    torch.testing.assert_close(loud, plain, rtol=1e-3, atol=1e-4)
    assert not torch.allclose(own, plain, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("script", "by"), [("noise", ["variant"]), ("opening", ["variant", "step"])]
)
def test_the_recorded_noise_comes_out_again(script: str, by: list[str]) -> None:
    frame, record = made_again(script)
    for (_, now), (name, then) in zip(frame.groupby(by), record.groupby(by), strict=True):
        for measured in ("modes", "high_quality", "reverse_kl"):
            a, b = (mean_interval(rows[measured], 0.9999) for rows in (now, then))
            assert a.low <= b.high and b.low <= a.high, (name, measured)
