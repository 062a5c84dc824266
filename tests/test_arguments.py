"""The checks of arguments: what each lets through, and in which words it refuses."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch

from gan_course import arguments

ONE = [1, np.int64(1), np.uint8(1), np.array(1), torch.tensor(1), torch.tensor([1])]
NEVER = [True, np.True_, torch.tensor(True), None, "1", "", [1, 2], 1j, object(), [], {}]
NOT_FINITE = [math.nan, math.inf, -math.inf, np.float32("nan"), torch.tensor(math.inf), 10**400]


@pytest.mark.parametrize("value", ONE, ids=repr)
def test_every_integer_is_a_whole_number(value: Any):
    found = arguments.whole("k", value, at_least=1, at_most=1)
    assert type(found) is int
    assert found == 1


@pytest.mark.parametrize("value", [*NEVER, 1.0, 2.5, np.float64(1), torch.ones(1), math.nan])
def test_what_is_no_whole_number(value: Any):
    with pytest.raises(ValueError, match=r"^k = .*: must be a whole number, at least 1$"):
        arguments.whole("k", value, at_least=1)


@pytest.mark.parametrize("value", [*ONE, 1.0, np.float32(1), torch.ones(1, 1), Fraction(1)])
def test_every_real_number_is_a_number(value: Any):
    found = arguments.number("rate", value, at_least=1, at_most=1)
    assert type(found) is float
    assert found == 1


@pytest.mark.parametrize("value", [*NEVER, *NOT_FINITE, np.zeros(2), torch.zeros(0)])
def test_what_is_no_number(value: Any):
    with pytest.raises(ValueError, match=r"(?s)^rate = .*: must be a finite number, above 0$"):
        arguments.number("rate", value, above=0)


def test_the_ends_of_a_range():
    for kind, inside, outside in [
        ("at_least", [0, 1], [-1]),
        ("at_most", [0, -1], [1]),
        ("above", [1e-300], [0, -1]),
        ("below", [-1e-300], [0, 1]),
    ]:
        for value in inside:
            assert arguments.number("x", value, **{kind: 0}) == value
        for value in outside:
            words = f"x = {value}: must be a finite number, {kind.replace('_', ' ')} 0"
            with pytest.raises(ValueError, match=f"^{words}$"):
                arguments.number("x", value, **{kind: 0})
    with pytest.raises(ValueError, match=r"^k = 4: must be a whole number, at least 1 and at most"):
        arguments.whole("k", 4, at_least=1, at_most=3)


def test_names():
    assert arguments.one_of("loss", "hinge", {"hinge": 1}) == "hinge"
    for value in ["Hinge", None, ["hinge"], {}, 3, torch.zeros(2)]:
        with pytest.raises(ValueError, match=r"^loss = .*: choose one of \['a', 'hinge'\]$"):
            arguments.one_of("loss", value, ["hinge", "a"])


def test_truth_values():
    assert arguments.flag("modal", np.True_) is True
    for value in [1, 0, None, "yes", torch.tensor(True)]:
        with pytest.raises(ValueError, match=r"^modal = .*: must be True or False$"):
            arguments.flag("modal", value)


def test_functions():
    arguments.function("draw", print)
    with pytest.raises(ValueError, match=r"^draw = 3: must be a function$"):
        arguments.function("draw", 3)


@pytest.mark.parametrize(
    "value", [[[1, 2]], np.ones((1, 2)), np.ones((1, 2), int), torch.ones(1, 2)]
)
def test_numbers_become_a_tensor(value: Any):
    found = arguments.tensor("x", value, "(batch, dim)")
    assert found.is_floating_point()
    assert found.shape == (1, 2)
    assert arguments.tensor("x", value, "(batch, ...)", dtype=torch.float64).dtype == torch.float64


def test_a_tensor_of_floats_stays_what_it_is():
    x = torch.ones(2, 3, requires_grad=True)
    assert arguments.tensor("x", x, "(batch, dim)") is x


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (None, r"x = None: must be real numbers, \(batch, dim\)"),
        ("text", "x = 'text': must be real numbers"),
        ([[1, 2], [3]], r"x = \[\[1, 2\], \[3\]\]: must be real"),
        ([[True]], r"x = \[\[True\]\]: must be real"),
        (torch.zeros(2, 2, dtype=torch.complex64), "must be real"),
        (torch.zeros(3), r"x has shape \(3,\): expected \(batch, dim\), at least 1 of each"),
        (torch.zeros(0, 2), r"x has shape \(0, 2\): expected"),
        ([[0.0, math.nan]], r"x = nan at \[0, 1\]: must be finite numbers"),
        ([[math.inf, 0.0]], r"x = inf at \[0, 0\]"),
    ],
)
def test_what_is_no_tensor(value: Any, message: str):
    with pytest.raises(ValueError, match=message):
        arguments.tensor("x", value, "(batch, dim)", least=1)


def test_looking_at_the_values_can_be_left_out():
    assert arguments.tensor("x", [math.nan], "(batch)", finite=False).isnan().all()


def test_an_error_stays_short():
    assert arguments.shown(torch.zeros(3, 1000)) == "<Tensor of shape (3, 1000)>"
    assert arguments.shown(np.zeros(1000)) == "<ndarray of shape (1000,)>"
    assert len(arguments.shown(list(range(1000)))) == 80
