"""The generator of mutants: its rules change what computes, and every module has tests to meet."""

from __future__ import annotations

import ast
from pathlib import Path

import mutants
import pytest

SOURCE = '''"""A module: 1 < 2."""
def f(x: int = 1) -> "a + b":
    """Of x < 3."""
    if x < 3:
        raise ValueError(f"x = {x - 1}: must be above {2 + 1}")
    y = -x.abs() + x.sum(dim=0)
    g(x, y)
    return y if x and y else h(0.5)
'''
EXPECTED = {
    "comparison": ["x <= 3"],
    "operator": ["-x.abs() - x.sum(dim=0)"],
    "sign": ["x.abs()"],
    "and, or": ["x or y"],
    "axis": ["dim=1"],
    "constant": ["2", "4", "1", "0.75"],
    "branches": ["not x < 3", "h(0.5) if x and y else y"],
    "dropped call": ["x"],
    "dropped statement": ["pass"],
    "exchanged arguments": ["g(y, x)"],
}


def test_each_rule_changes_what_computes_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "module.py").write_text(SOURCE, encoding="utf-8")
    monkeypatch.setattr(mutants, "ROOT", tmp_path)
    found: dict[str, list[str]] = {}
    code = SOURCE.encode()
    for mutant in mutants.python_mutants("module.py"):
        found.setdefault(mutant.kind, []).append(
            ast.unparse(ast.parse(mutant.new)) if mutant.kind != "axis" else mutant.new
        )
        assert code[mutant.start : mutant.end].decode() == mutant.old
        changed = code[: mutant.start] + mutant.new.encode() + code[mutant.end :]
        ast.parse(changed)
        assert (
            changed.decode().splitlines()[mutant.line - 1] != SOURCE.splitlines()[mutant.line - 1]
        )
    assert {kind: sorted(new) for kind, new in found.items()} == {
        kind: sorted(new) for kind, new in EXPECTED.items()
    }


def test_the_page_s_strings_and_comments_are_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = 'const a = 1 + b; // 2 + 3\nconst c = "4 < 5" + `${d} - 6`;\nif (!e && f <= 0) g();\n'
    (tmp_path / "page.js").write_text(code, encoding="utf-8")
    monkeypatch.setattr(mutants, "ROOT", tmp_path)
    found = [(m.line, m.old, m.new) for m in mutants.script_mutants("page.js")]
    expected = [(1, "1", "2"), (1, "+", "-"), (2, "+", "-"), (3, "!", ""), (3, "&&", "||")]
    assert sorted(found) == sorted([*expected, (3, "<=", "<"), (3, "0", "1")])


def test_every_module_meets_tests_that_are_there() -> None:
    subjects = mutants.subjects()
    missing = [
        path.name
        for path in (mutants.ROOT / "gan_course").rglob("*.py")
        if path.relative_to(mutants.ROOT).as_posix() not in subjects
        and not path.name.startswith("__")
    ]
    assert missing == []


@pytest.mark.slow
def test_a_sample_is_the_same_for_the_same_seed_and_of_every_module() -> None:
    first, again, other = (mutants.sampled(150, seed) for seed in (0, 0, 1))
    assert first == again != other
    assert len(first) >= 150
    whole = {file for file in mutants.subjects() if not file.endswith("__init__.py")}
    assert {mutant.file for mutant in first} >= whole
