"""Chapter 02's exercises know right answers from plausible wrong ones."""

from __future__ import annotations

import math

import torch.nn.functional as F
from tools import exercise_tests

RIGHT = [
    ("02.1", math.log(0.9) + math.log(0.8)),
    ("02.2", lambda real, fake: F.softplus(-real).mean(-1) + F.softplus(fake).mean(-1)),
    ("02.3", lambda x: 0.5 / x.sqrt()),
    ("02.4", 93),
]

WRONG = [
    ("02.1", "half of V", -0.164),
    ("02.1", "the loss in place of the value", 0.329),
    ("02.1", "1 − D forgotten", math.log(0.9) + math.log(0.2)),
    ("02.1", "logarithms to base 10", math.log10(0.72)),
    ("02.2", "V in place of −V", lambda r, f: -F.softplus(-r).mean(-1) - F.softplus(f).mean(-1)),
    ("02.2", "the fake half dropped", lambda r, f: F.softplus(-r).mean(-1)),
    ("02.2", "labels swapped", lambda r, f: F.softplus(r).mean(-1) + F.softplus(-f).mean(-1)),
    ("02.2", "the sum", lambda r, f: F.softplus(-r).sum(-1) + F.softplus(f).sum(-1)),
    ("02.2", "the mean over runs", lambda r, f: F.softplus(-r).mean() + F.softplus(f).mean()),
    ("02.2", "the factor ½", lambda r, f: (F.softplus(-r).mean(-1) + F.softplus(f).mean(-1)) / 2),
    (
        "02.2",
        "log of a sigmoid",
        lambda r, f: -r.sigmoid().log().mean(-1) - (1 - f.sigmoid()).log().mean(-1),
    ),
    (
        "02.2",
        "an epsilon in the log",
        lambda r, f: -(r.sigmoid() + 1e-8).log().mean(-1) - (1 - f.sigmoid() + 1e-8).log().mean(-1),
    ),
    ("02.3", "one preimage", lambda x: 0.25 / x.sqrt()),
    ("02.3", "no slope", lambda x: 0.5 + 0 * x),
    ("02.3", "times the slope", lambda x: 2 * x.sqrt()),
    ("02.3", "the slope of the inverse misread", lambda x: 1 / x.sqrt()),
    ("02.4", "half a batch", 46),
    ("02.4", "never", 200),
    ("02.4", "not whole", 92.5),
]

test_right_answers, test_wrong_answers, test_stubs = exercise_tests(RIGHT, WRONG)
