"""Every number that the prose claims is generated, and so asserted where it is computed.

``notebooks/prose.py`` says what a claim is. A setting that the prose repeats is written as code:
`rate=0.001`.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from tools import load

rule = load("notebooks/prose.py")


@pytest.mark.parametrize("path", rule.build.sources(), ids=lambda path: path.stem)
def test_no_number_of_the_prose_is_typed(path: Path) -> None:
    typed = rule.typed(path.read_text(encoding="utf-8"))
    assert [f"{path.name}, line {line}: {words!r}" for line, _, words in typed] == []


# --- The rule -----------------------------------------------------------------------------

GENERATED = """---
title: 0.5
---

# Chapter 2.5 of 64 seeds

All {=n} of {=runs} runs ({=share:.0%}), $x = {=x:.1f}$ and {=x:.1f} ± {=half:.1f ~.2}: 8 modes
in three dimensions since 2014, with 95 % intervals, `rate=0.5` and [64 seeds](https://a.org/0.5).
PLACE

$$
0.123 \\pm 3.21
$$

```{code-cell} python
x = 0.25  # of 64 seeds
```

## Exercises

Take $a = 0.5$, and `steps=2000`.

## References

1. Somebody, 4.56 % of 64 seeds.
"""


@pytest.mark.parametrize(
    ("typed", "kind", "words"),
    [
        ("a loss of 0.693", "decimal", "0.693"),
        ("$x = -0.5$", "decimal", "-0.5"),
        ("**−1.5**", "decimal", "−1.5"),
        ("a quarter, 25 %", "percentage", "25 %"),
        ("$25\\,\\%$ of it", "percentage", "25\\,\\%"),
        ("12.5 percent", "percentage", "12.5 percent"),
        ("95 % of it", "percentage", "95 %"),
        ("7 of 8 forgers", "x of y", "7 of 8"),
        ("3 out of the 64", "x of y", "3 out of the 64"),
        ("{=n} of 8", "x of y", "… of 8"),
        ("one of 8", "x of y", "one of 8"),
        ("3 ± 1", "a ± b", "3 ± 1"),
        ("{=n} ± 1", "a ± b", "… ± 1"),
        ("$3 \\pm 1$", "a ± b", "3 \\pm 1"),
        ("over 64 seeds", "count", "64 seeds"),
        ("the 2,000 generator steps", "count", "2,000 generator steps"),
        ("$12{,}345$ samples", "count", "12{,}345$ samples"),
        ("from step 400 on", "count", "step 400"),
    ],
)
def test_a_typed_number_is_noticed(typed: str, kind: str, words: str) -> None:
    before = GENERATED.partition("PLACE")[0].count("\n") + 1
    found = list(rule.typed(GENERATED.replace("PLACE", typed)))
    assert found == [(before, kind, words)]


@pytest.mark.parametrize(
    "words",
    [
        "8 modes",
        "`64 seeds`",
        "chapter 12",
        "in 2014",
        "<!-- 0.5 -->",
        "{=n:,} steps",
        "$x^2 / 16$",
    ],
)
def test_what_is_no_claim_or_generated_may_stand(words: str) -> None:
    assert list(rule.typed(GENERATED.replace("PLACE", words))) == []


def test_exercises_may_set_numbers_in_formulas_only() -> None:
    text = GENERATED.replace("`steps=2000`", "2,000 steps")
    assert [words for *_, words in rule.typed(text)] == ["2,000 steps"]
