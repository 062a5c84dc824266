"""`check` holds on either side of the claim, and prints the same whatever was measured."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from gan_course.checks import check

NAN, INF = math.nan, math.inf


@pytest.mark.parametrize(
    ("value", "expected", "atol", "line"),
    [
        (0.3133, 0.31, 0.01, "✓ claim: 0.31 ± 0.01"),
        (2, 2, 0, "✓ claim: 2, exactly"),
        (True, True, 0, "✓ claim"),
        (torch.tensor(True), True, 0, "✓ claim"),
        ([1.0, 2.0], [1.0, 2.1], 0.2, "✓ claim (± 0.2)"),
        (torch.ones(2, 3, requires_grad=True), 1, 0, "✓ claim"),
        (np.full(4, 1.5), 1.5, 0, "✓ claim: 1.5, exactly"),
        (torch.tensor([1.5]), torch.tensor([1.5]), 0, "✓ claim: 1.5, exactly"),
        (torch.tensor([1.4]), [1.5], 0.2, "✓ claim: 1.5 ± 0.2"),
        (torch.zeros(2, 3), torch.zeros(3), 0, "✓ claim"),
        (INF, INF, 0, "✓ claim: inf, exactly"),
        ([-INF, INF], [-INF, INF], 0.1, "✓ claim (± 0.1)"),
    ],
)
def test_a_claim_that_holds_prints_its_line(
    value: object, expected: object, atol: float, line: str, capsys: pytest.CaptureFixture
):
    check("claim", value, expected, atol)
    assert capsys.readouterr().out == line + "\n"


def test_the_line_does_not_depend_on_the_value(capsys: pytest.CaptureFixture):
    for value in (0.951, 1.0, 1.0499, torch.tensor(1.01)):
        check("claim", value, 1.0, 0.05)
    assert set(capsys.readouterr().out.splitlines()) == {"✓ claim: 1 ± 0.05"}


@pytest.mark.parametrize(
    ("value", "expected", "atol"),
    [
        (1.2, 1.0, 0.1),
        (0.8, 1.0, 0.1),
        (-1e9, 1.0, 0.1),
        (1.0 + 1e-12, 1.0, 0.0),
        ([1.0, 1.0, 1.2], 1.0, 0.1),
        ([1.0, 0.8, 1.0], 1.0, 0.1),
        (NAN, 1.0, 0.1),
        (NAN, NAN, 0.1),
        ([1.0, NAN], 1.0, 0.1),
        (1.0, NAN, 0.1),
        (INF, 1.0, 0.1),
        (1.0, INF, 0.1),
        (INF, -INF, 0.1),
        (None, 1.0, 0.1),
        (False, True, 0.0),
        ([], 1.0, 0.1),
        (torch.empty(0, 3), 1.0, 0.1),
        (1.0, [], 0.1),
        ([1.0, 1.0], [[1.0], [1.0]], 0.1),
        (1.0, [1.0, 1.0], 0.1),
        ([1.0, 1.0], [1.0, 1.0, 1.0], 0.1),
    ],
)
def test_a_claim_that_does_not_hold_fails_in_silence(
    value: object, expected: object, atol: float, capsys: pytest.CaptureFixture
):
    with pytest.raises(AssertionError, match="✗ the claim: "):
        check("the claim", value, expected, atol)
    assert capsys.readouterr().out == ""


def test_a_failure_shows_what_was_measured_and_expected():
    with pytest.raises(AssertionError, match=r"measured 0\.8, expected 1\.0 ± 0\.1"):
        check("claim", 0.8, 1.0, 0.1)
    long = np.ones(100)
    long[70] = 5
    with pytest.raises(AssertionError, match=r"measured \[5\.\]"):
        check("claim", long, 1.0, 0.1)


@pytest.mark.parametrize("atol", [-1.0, -1e-9, NAN, INF])
def test_a_tolerance_that_says_nothing_is_refused(atol: float):
    with pytest.raises(ValueError, match=f"atol = {atol}"):
        check("claim", 1.0, 1.0, atol)
