"""A picture as bytes: a small head in JSON, and its numbers in one binary block.

``head["layout"]`` lists the arrays of the block in their order, as
``[name, type, shape, low, high]``. Type ``f4`` is little-endian float32, as it is. In
``u1`` and ``u2``, for recordings, 0 means ``low`` and the largest integer ``high``.
``js/basics.js`` reads the same.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Head = dict[str, Any]
Arrays = dict[str, NDArray[np.float32]]

TYPES = {"f4": "<f4", "u2": "<u2", "u1": "u1"}


def pack(arrays: Mapping[str, NDArray[np.float32]]) -> tuple[list[list[Any]], bytes]:
    """Return the layout and the bytes of ``arrays`` in float32."""
    layout = [[name, "f4", list(a.shape), 0.0, 1.0] for name, a in arrays.items()]
    return layout, b"".join(np.ascontiguousarray(a, "<f4").tobytes() for a in arrays.values())


def pack_small(arrays: Mapping[str, NDArray[np.float32]]) -> tuple[list[list[Any]], bytes]:
    """Return the layout and the bytes of ``arrays`` in 16 bits, a probability in 8.

    An array with numbers that are not finite stays float32: they stand for "nothing here".
    """
    layout: list[list[Any]] = []
    parts: list[bytes] = []
    for name, array in arrays.items():
        kind = "f4" if not np.isfinite(array).all() else "u1" if name == "belief" else "u2"
        low, high = _range(array, kind)
        layout.append([name, kind, list(array.shape), low, high])
        parts.append(_encode(array, kind, low, high).tobytes())
    return layout, b"".join(parts)


def unpack(layout: list[list[Any]], block: bytes) -> Arrays:
    """The inverse of :func:`pack`, and of :func:`pack_small` up to its rounding."""
    arrays, start = {}, 0
    for name, kind, shape, low, high in layout:
        count = math.prod(shape)
        raw = np.frombuffer(block, TYPES[kind], count, start).reshape(shape)
        start += raw.nbytes
        scale = 1.0 if kind == "f4" else (high - low) / _top(kind)
        arrays[name] = (low * (kind != "f4") + raw * scale).astype(np.float32)
    return arrays


def _range(array: NDArray[np.float32], kind: str) -> tuple[float, float]:
    if kind == "f4" or not array.size:
        return 0.0, 1.0
    return float(array.min()), float(array.max())


def _encode(array: NDArray[np.float32], kind: str, low: float, high: float) -> NDArray[Any]:
    if kind == "f4":
        return np.ascontiguousarray(array, "<f4")
    share = (np.asarray(array, np.float64) - low) / ((high - low) or 1.0)
    return np.rint(share * _top(kind)).astype(TYPES[kind])


def _top(kind: str) -> int:
    return int(np.iinfo(TYPES[kind]).max)
