"""Chapter 04's exercises accept their solutions and reject plausible wrong answers."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.distributions import Normal, Uniform

from gan_course.exercises import Wrong, exercise
from gan_course.theory import JS, KL, REVERSE_KL, TV, f_divergence, jensen_shannon

LOG2 = math.log(2)
INFINITE = {"KL(p‖q)": True, "KL(q‖p)": False, "JS": False, "TV": False}
INFINITE |= {"χ²(p‖q)": True, "χ²(q‖p)": False}
SWAPPED = INFINITE | {"KL(p‖q)": False, "KL(q‖p)": True, "χ²(p‖q)": False, "χ²(q‖p)": True}


def uniforms(half: float = 0.5, base: float = math.e) -> Callable[[float], float]:
    def js(c: float) -> float:
        from_p = math.log(2 * c / (c + 1))
        from_q = math.log(2 / (c + 1)) / c + (1 - 1 / c) * LOG2
        return half * (from_p + from_q) / math.log(base)

    return js


def right_f(t: Tensor) -> Tensor:
    return t * torch.log(2 * t / (1 + t))


SOLUTIONS: list[tuple[str, Any]] = [
    ("04.1", INFINITE),
    ("04.2", (LOG2 - 0.42) / LOG2),
    ("04.2", 0.394),
    ("04.3", uniforms()),
    ("04.3", lambda c: jensen_shannon(Uniform(0.0, 1.0), Uniform(0.0, c)) if c < 1e3 else LOG2),
    ("04.4", right_f),
    ("04.4", lambda t: right_f(t) - (t - 1) / 2),  # flat at 1
    ("04.4", lambda t: right_f(t) + 3 * (t - 1)),
    ("04.5", 1.65),
    ("04.5", 1.6),
]

WRONG: list[tuple[str, Any]] = [
    ("04.1", SWAPPED),
    ("04.1", INFINITE | {"JS": True}),
    ("04.1", INFINITE | {"χ²(p‖q)": False}),
    ("04.1", INFINITE | {"KL(q‖p)": True}),
    ("04.1", INFINITE | {"TV": "no, never"}),
    ("04.1", {"KL(p‖q)": True}),
    ("04.1", "all of them"),
    ("04.2", LOG2 - 0.42),  # nats
    ("04.2", LOG2 - 0.21),  # the ½ forgotten
    ("04.2", (LOG2 - 0.21) / LOG2),
    ("04.2", (2 * LOG2 - 0.42) / LOG2),
    ("04.2", (0.42 - LOG2) / LOG2),
    ("04.2", (LOG2 - 0.42) * LOG2),  # nats are multiplied where they must be divided
    ("04.2", "0.394 bits"),
    ("04.3", uniforms(half=1.0)),
    ("04.3", uniforms(base=2.0)),
    ("04.3", math.log),  # KL(p‖q)
    ("04.3", lambda c: (1 - 1 / c) * LOG2),  # total variation times log 2, as for sliding
    ("04.3", lambda c: math.log(2 * c / (c + 1)) / 2),  # q's half forgotten
    ("04.3", lambda c: 1 - 1 / c),
    ("04.4", lambda t: torch.log(2 * t / (1 + t))),  # averages over q what p should
    ("04.4", lambda t: t * torch.log(t / (1 + t))),  # f(1) ≠ 0
    ("04.4", lambda t: t * torch.log(2 / (1 + t))),
    ("04.4", lambda t: 2 * right_f(t)),
    ("04.4", lambda t: torch.log(2 / (1 + t))),  # KL(q‖m)
    ("04.4", JS),
    ("04.4", KL),
    ("04.4", REVERSE_KL),
    ("04.4", TV),
    ("04.4", lambda t: right_f(t).mean()),
    ("04.5", 0.0),
    ("04.5", 1.0),
    ("04.5", 2.0),
    ("04.5", 3.0),
    ("04.5", -1.64),
    ("04.5", "1.64"),
]


@pytest.mark.parametrize(("key", "answer"), SOLUTIONS)
def test_solutions_are_right(key: str, answer: Any, capsys: pytest.CaptureFixture[str]) -> None:
    exercise(key, answer)
    assert capsys.readouterr().out == f"✓ Exercise {key}: right.\n"


@pytest.mark.parametrize(("key", "answer"), WRONG)
def test_wrong_answers_get_a_hint(key: str, answer: Any) -> None:
    with pytest.raises(Wrong, match=r".{15}"):
        exercise(key, answer)


@pytest.mark.parametrize(
    ("key", "answer"),
    [
        ("04.1", dict.fromkeys(INFINITE, ...)),
        ("04.2", ...),
        ("04.3", lambda c: ...),
        ("04.4", lambda t: None),
        ("04.5", ...),
    ],
)
def test_what_is_not_written_yet_is_open(
    key: str, answer: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    exercise(key, answer)
    assert "open" in capsys.readouterr().out


def test_the_steepest_point_is_where_the_library_has_it() -> None:
    distance = np.linspace(1.2, 2.1, 31)
    curve = [jensen_shannon(Normal(0.0, 1.0), Normal(float(d), 1.0)) for d in distance]
    exercise("04.5", float(distance[np.gradient(curve, distance).argmax()]))


def test_the_formula_of_exercise_3_is_the_integral() -> None:
    by_integral = f_divergence(JS, Uniform(0.0, 1.0), Uniform(0.0, 4.0))
    assert uniforms()(4.0) == pytest.approx(by_integral, abs=1e-7)
