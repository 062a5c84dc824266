"""Chapter 04's exercises know right answers from plausible wrong ones."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from tools import exercise_tests
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


RIGHT = [
    ("04.1", INFINITE),
    ("04.2", (LOG2 - 0.42) / LOG2),
    ("04.2", 0.394),
    ("04.3", uniforms()),
    ("04.3", lambda c: jensen_shannon(Uniform(0.0, 1.0), Uniform(0.0, c)) if c < 1e3 else LOG2),
    ("04.4", right_f),
    ("04.4", lambda t: right_f(t) - (t - 1) / 2),  # flat at 1
    ("04.4", lambda t: right_f(t) + 3 * (t - 1)),
    ("04.4", lambda t: t * torch.log(t) - t * torch.log((1 + t) / 2)),  # no number at infinity
    ("04.4", lambda t: torch.tensor([right_f(ratio) for ratio in t])),  # in single precision
    ("04.5", 1.65),
    ("04.5", 1.6),
]

WRONG = [
    ("04.1", "the other way round", SWAPPED, "exchanged"),
    ("04.1", "JS has no bound", INFINITE | {"JS": True}, "ceiling"),
    ("04.1", "χ² is finite", INFINITE | {"χ²(p‖q)": False}, "second law"),
    ("04.1", "both KL are infinite", INFINITE | {"KL(q‖p)": True}, "1 of the 6.*sampled"),
    ("04.1", "words for a truth value", INFINITE | {"TV": "no, never"}),
    ("04.1", "five missing", {"KL(p‖q)": True}),
    ("04.1", "words", "all of them"),
    ("04.2", "nats", LOG2 - 0.42),
    ("04.2", "the ½ forgotten", LOG2 - 0.21),
    ("04.2", "the ½ forgotten, in bits", (LOG2 - 0.21) / LOG2),
    ("04.2", "twice log 2", (2 * LOG2 - 0.42) / LOG2),
    ("04.2", "the other sign", (0.42 - LOG2) / LOG2),
    ("04.2", "nats multiplied where they must be divided", (LOG2 - 0.42) * LOG2),
    ("04.2", "words", "0.394 bits"),
    ("04.3", "the ½ forgotten", uniforms(half=1.0), "2 times what it should be"),
    ("04.3", "in bits", uniforms(base=2.0), r"1\.443 times"),
    ("04.3", "KL(p‖q)", math.log, r"holds 1 · log c,"),
    ("04.3", "total variation times log 2, as for sliding", lambda c: (1 - 1 / c) * LOG2),
    ("04.3", "q's half forgotten", lambda c: math.log(2 * c / (c + 1)) / 2, r"no log\(c \+ 1\)/c"),
    ("04.3", "total variation", lambda c: 1 - 1 / c),
    (
        "04.4",
        "averages over q what p should",
        lambda t: torch.log(2 * t / (1 + t)),
        "a t is missing",
    ),
    ("04.4", "the 2 forgotten", lambda t: t * torch.log(t / (1 + t)), "the 2 is missing"),
    ("04.4", "the t of the numerator", lambda t: t * torch.log(2 / (1 + t)), "lost the t"),
    ("04.4", "twice", lambda t: 2 * right_f(t), "twice K"),
    ("04.4", "half", lambda t: right_f(t) / 2, "half of K:"),
    ("04.4", "twice, flat at 1", lambda t: 2 * right_f(t) - (t - 1), "twice K"),
    ("04.4", "KL(q‖m)", lambda t: torch.log(2 / (1 + t)), "samples are p's"),
    ("04.4", "JS", JS, "it is JS"),
    ("04.4", "KL", KL, r"it is KL\(p‖q\)"),
    ("04.4", "reverse KL", REVERSE_KL, r"it is KL\(q‖p\)"),
    ("04.4", "total variation", TV),
    ("04.4", "one number for all", lambda t: right_f(t).mean()),
    ("04.5", "no distance", 0.0),
    ("04.5", "one deviation", 1.0, "still grows"),
    ("04.5", "two deviations", 2.0, "falls already"),
    ("04.5", "three deviations", 3.0),
    ("04.5", "the other side", -1.64),
    ("04.5", "words", "1.64"),
]

test_right_answers, test_wrong_answers, test_stubs = exercise_tests(RIGHT, WRONG)


@pytest.mark.slow
def test_the_steepest_point_is_where_the_library_has_it() -> None:
    distance = np.linspace(1.2, 2.1, 31)
    curve = [jensen_shannon(Normal(0.0, 1.0), Normal(float(d), 1.0)) for d in distance]
    exercise("04.5", float(distance[np.gradient(curve, distance).argmax()]))


def test_the_formula_of_exercise_3_is_the_integral() -> None:
    by_integral = f_divergence(JS, Uniform(0.0, 1.0), Uniform(0.0, 4.0))
    assert uniforms()(4.0) == pytest.approx(by_integral, abs=1e-7)


def test_no_hint_of_exercise_1_gives_an_answer_away() -> None:
    for name in INFINITE:
        with pytest.raises(Wrong) as caught:
            exercise("04.1", INFINITE | {name: not INFINITE[name]})
        assert "finite" not in str(caught.value)
