"""The assertion behind every number in the prose."""

from __future__ import annotations

import numpy as np
import torch


def _array(value: object) -> np.ndarray:
    if isinstance(value, torch.Tensor):
        value = value.detach().cpu()
    return np.asarray(value, dtype=np.float64)


def check(claim: str, value: object, expected: object, atol: float = 0.0) -> None:
    """Assert that ``|value − expected| ≤ atol`` everywhere, and say so in one line.

    The printed line holds the claim, the expectation and the tolerance, never
    the measured value: it is the same on every machine.

    Args:
        claim: what the text says, in words.
        value: what was measured: a number, a truth value, an array or a tensor.
        expected: what the text claims; a shape that broadcasts to that of ``value``.
        atol: the largest absolute difference allowed, on either side.

    Raises:
        ValueError: ``atol`` is negative, infinite or not a number.
        AssertionError: the claim does not hold; the message has both values.
    """
    if not 0 <= atol < np.inf:
        raise ValueError(f"atol = {atol!r}: a tolerance is a finite number ≥ 0")
    measured, claimed = _array(value), _array(expected)
    if measured.size == 0:
        raise AssertionError(f"✗ {claim}: there is nothing to check, the value is empty")
    try:
        np.broadcast_to(claimed, measured.shape)
    except ValueError:
        raise AssertionError(
            f"✗ {claim}: measured shape {measured.shape}, expected {claimed.shape}"
        ) from None
    # Equal infinities agree; NaN never does.
    with np.errstate(invalid="ignore"):
        agree = (np.abs(measured - claimed) <= atol) | (measured == claimed)
    if not agree.all():
        raise AssertionError(
            f"✗ {claim}: measured {measured if measured.size <= 8 else measured[~agree][:8]}, "
            f"expected {claimed if claimed.size <= 8 else '(array)'} ± {atol:g}"
        )
    print(f"✓ {claim}{_expectation(claimed, atol)}")


def _expectation(claimed: np.ndarray, atol: float) -> str:
    if claimed.size > 1:
        return f" (± {atol:g})" if atol else ""
    number = claimed.item()
    if atol:
        return f": {number:g} ± {atol:g}"
    return "" if number in (0, 1) else f": {number:g}, exactly"
