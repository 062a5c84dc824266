"""Chapter 06's exercises know right answers from plausible wrong ones."""

from __future__ import annotations

import math

import numpy as np
import torch
from tools import exercise_tests

RIGHT = [
    ("06.1", 2.4),
    ("06.2", lambda x, y, eta: 3 * (x**2 + y**2 - eta * x * y) + 1),
    ("06.3", lambda field, s, eta: s + eta * field(s + eta * field(s))),
    ("06.4", 4),
    ("06.4", np.int64(4)),
]

WRONG = [
    ("06.1", "γ in place of 4γ", 0.6),
    ("06.1", "half", 1.2),
    ("06.1", "the bound without R1", 4.0),
    ("06.1", "any step size", math.inf),
    ("06.2", "the radius", lambda x, y, eta: x**2 + y**2),
    ("06.2", "what y first conserves", lambda x, y, eta: x**2 + y**2 + eta * x * y),
    ("06.2", "twice the mixed term", lambda x, y, eta: x**2 + y**2 - 2 * eta * x * y),
    ("06.2", "the value", lambda x, y, eta: x * y),
    ("06.2", "a constant", lambda x, y, eta: torch.zeros_like(x)),
    ("06.3", "a plain step", lambda field, s, eta: s + eta * field(s)),
    (
        "06.3",
        "two plain steps",
        lambda field, s, eta: s + eta * field(s) + eta * field(s + eta * field(s)),
    ),
    ("06.3", "half a look ahead", lambda field, s, eta: s + eta * field(s + eta / 2 * field(s))),
    (
        "06.3",
        "the mean of both",
        lambda field, s, eta: s + eta / 2 * (field(s) + field(s + eta * field(s))),
    ),
    ("06.3", "looking back", lambda field, s, eta: s + eta * field(s - eta * field(s))),
    ("06.4", "one too few", 3),
    ("06.4", "one too many", 5),
    ("06.4", "one step is enough", 1),
    ("06.4", "not whole", 3.5),
]

test_right_answers, test_wrong_answers, test_stubs = exercise_tests(RIGHT, WRONG)
