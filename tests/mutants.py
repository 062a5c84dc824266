"""Small faults made by rule, in the library, the lab and the figures: do the tests notice?

    python tasks.py mutants                         some 160 of them, with a fixed seed
    python tasks.py mutants --seed 1 --only losses metrics

Each mutant, one changed place in a copy of the course, meets the tests of its module, until one
fails; without a mutant, all of them pass, or there is no verdict. What was found is written to
``tests/records/mutants.csv``. A survivor is a test that is missing, or no fault at all.
"""

from __future__ import annotations

import argparse
import ast
import csv
import multiprocessing
import os
import random
import re
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

ROOT = Path(__file__).resolve().parents[1]
RECORD = ROOT / "tests/records/mutants.csv"
PAGE = "gan_course/lab/js/"
PAGE_TESTS = ["tests/test_lab_drawing.py", "tests/test_lab_echo.py"]
#: Seconds after which a mutant's tests are taken to run for ever.
LIMIT = 900.0
#: One mutant of the page for so many of all.
SHARE_OF_THE_PAGE = 8
COPIED = ("gan_course", "tests", "figures", "benchmarks", "notebooks")
COPIED_FILES = ("conftest.py", "pyproject.toml", "tasks.py", "Makefile", "constraints.txt")
COPIED_FILES += ("README.md", "CONTRIBUTING.md", "environment.yml")


class Mutant(NamedTuple):
    """One change.

    Attributes:
        file: where, from the repository's root.
        line: its line, from 1.
        start: offset of the first byte replaced.
        end: offset behind the last.
        old: what stands there.
        new: what shall stand there.
        kind: the rule.
    """

    file: str
    line: int
    start: int
    end: int
    old: str
    new: str
    kind: str


# --- Rules for Python -------------------------------------------------------------------------

COMPARED: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
REVERSED: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Pow: ast.Mult,
    ast.Mod: ast.Mult,
}
#: Not objects with methods, but modules.
MODULES = ("torch", "np", "math", "F", "sp", "json", "plt", "time", "os")
#: Words of a message, a type, a name: changed, nothing computes another result.
QUIET = (ast.Raise, ast.Import, ast.ImportFrom, ast.JoinedStr, ast.Assert)


def _comparison(node: ast.AST) -> ast.AST | None:
    if isinstance(node, ast.Compare) and len(node.ops) == 1:
        return ast.Compare(node.left, [COMPARED[type(node.ops[0])]()], node.comparators)
    return None


def _operator(node: ast.AST) -> ast.AST | None:
    if isinstance(node, ast.BinOp) and type(node.op) in REVERSED and not _text(node):
        return ast.BinOp(node.left, REVERSED[type(node.op)](), node.right)
    return None


def _sign(node: ast.AST) -> ast.AST | None:
    minus = isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.Not)
    return node.operand if minus and not isinstance(node.operand, ast.Constant) else None


def _either(node: ast.AST) -> ast.AST | None:
    if isinstance(node, ast.BoolOp):
        return ast.BoolOp(ast.Or() if isinstance(node.op, ast.And) else ast.And(), node.values)
    return None


def _axis(node: ast.AST) -> ast.AST | None:
    if isinstance(node, ast.keyword) and node.arg in ("dim", "axis"):
        other = {"0": 1, "1": 0, "-1": 0, "2": 1}.get(ast.unparse(node.value))
        return None if other is None else ast.keyword(node.arg, ast.Constant(other))
    return None


def _constant(node: ast.AST) -> ast.AST | None:
    match node:
        case ast.Constant(value=bool(value)):
            return ast.Constant(not value)
        case ast.Constant(value=int(value)):
            return ast.Constant(value + 1)
        case ast.Constant(value=float(value)):
            return ast.Constant(1.5 * value if value else 1.0)
    return None


def _branches(node: ast.AST) -> ast.AST | None:
    if isinstance(node, ast.If):
        return ast.UnaryOp(ast.Not(), node.test)
    if isinstance(node, ast.IfExp):
        return ast.IfExp(node.test, node.orelse, node.body)
    return None


def _dropped_call(node: ast.AST) -> ast.AST | None:
    """A method without arguments, as in ``x.abs()``; not a function of a module."""
    match node:
        case ast.Call(func=ast.Attribute(value=ast.Name(id=name)), args=[]) if name in MODULES:
            return None
        case ast.Call(func=ast.Attribute(value=value), args=[], keywords=[]):
            return value
    return None


def _dropped_statement(node: ast.AST) -> ast.AST | None:
    return ast.Pass() if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call) else None


def _exchanged(node: ast.AST) -> ast.AST | None:
    match node:
        case ast.Call(func=ast.Name(id="isinstance" | "getattr" | "setattr")):
            return None  # an error, and no subtle one
        case ast.Call(args=[first, second, *rest]) if not isinstance(second, ast.Starred):
            return ast.Call(node.func, [second, first, *rest], node.keywords)
    return None


RULES: dict[str, Callable[[ast.AST], ast.AST | None]] = {
    "comparison": _comparison,
    "operator": _operator,
    "sign": _sign,
    "and, or": _either,
    "axis": _axis,
    "constant": _constant,
    "branches": _branches,
    "dropped call": _dropped_call,
    "dropped statement": _dropped_statement,
    "exchanged arguments": _exchanged,
}


def _text(node: ast.BinOp) -> bool:
    """Whether words are added, or a type's alternatives."""
    return any(
        isinstance(side, ast.JoinedStr) or isinstance(getattr(side, "value", None), str)
        for side in (node.left, node.right)
    )


def python_mutants(file: str) -> Iterator[Mutant]:
    """Every mutant of a module."""
    code = (ROOT / file).read_bytes()
    starts = [0]
    for line in code.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    for node in _visited(ast.parse(code)):
        for kind, rule in RULES.items():
            new = rule(node)
            if new is None:
                continue
            place = node.test if isinstance(node, ast.If) else node
            assert isinstance(place, ast.expr | ast.stmt | ast.keyword)
            assert place.end_lineno is not None and place.end_col_offset is not None
            start = starts[place.lineno - 1] + place.col_offset
            end = starts[place.end_lineno - 1] + place.end_col_offset
            text = ast.unparse(ast.fix_missing_locations(new))
            if isinstance(new, ast.expr) and not isinstance(new, ast.Constant):
                text = f"({text})"
            yield Mutant(file, place.lineno, start, end, code[start:end].decode(), text, kind)


def _visited(tree: ast.AST) -> Iterator[ast.AST]:
    """The nodes that compute something: no annotations, defaults of types, messages."""
    for child in ast.iter_child_nodes(tree):
        if isinstance(child, QUIET) or _annotation(tree, child):
            continue
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            continue
        if isinstance(child, ast.Call) and ast.unparse(child.func) in ("TypeVar", "cast", "warn"):
            continue
        yield child
        yield from _visited(child)


def _annotation(parent: ast.AST, child: ast.AST) -> bool:
    return any(
        getattr(parent, name, None) is child for name in ("annotation", "returns")
    ) or child in getattr(parent, "decorator_list", [])


# --- Rules for the page -----------------------------------------------------------------------

#: Strings, comments, templates and patterns are passed over, so that only code is changed.
PASSED = (
    r"//[^\n]*|/\*.*?\*/|\"[^\"\n]*\"|'[^'\n]*'|`[^`]*`|(?<=[(,] )/[^/\n]+/\w*|(?<=\()/[^/\n]+/\w*"
)
SCRIPT: dict[str, tuple[str, dict[str, str]]] = {
    "comparison": (
        r"(?<= )(===|!==|<=|>=|<|>)(?= )",
        {"===": "!==", "!==": "===", "<": "<=", "<=": "<", ">": ">=", ">=": ">"},
    ),
    "operator": (r"(?<= )[-+*/](?= )", {"+": "-", "-": "+", "*": "/", "/": "*"}),
    "and, or": (r"(?<= )(&&|\|\|)(?= )", {"&&": "||", "||": "&&"}),
    "negation": (r"(?<=[( ])!(?=[\w(])", {"!": ""}),
    "axis": (r"(?<=place\.)[xy](?=\()", {"x": "y", "y": "x"}),
    "constant": (r"(?<![\w.#$])\d+(\.\d+)?(?![\w.])", {}),
    "colour": (r"(?<=colors\.)(real|fake)\b", {"real": "fake", "fake": "real"}),
}


def script_mutants(file: str) -> Iterator[Mutant]:
    """Every mutant of the page's code."""
    code = (ROOT / file).read_text("utf-8")
    passed = [match.span() for match in re.finditer(PASSED, code, re.S)]
    for kind, (pattern, new) in SCRIPT.items():
        for match in re.finditer(pattern, code):
            if any(start <= match.start() < end for start, end in passed):
                continue
            old = match[0]
            text = new.get(
                old, str(float(old) * 1.5 if "." in old else int(old) + 1) if not new else ""
            )
            start = len(code[: match.start()].encode())
            line = code.count("\n", 0, match.start()) + 1
            yield Mutant(file, line, start, start + len(old.encode()), old, text, kind)


# --- Mutants meet tests -----------------------------------------------------------------------

#: Tests that a module meets besides those of its own name; of a folder, all its modules.
TESTS = {
    "arguments": ["plotting", "distributions"],
    "cells": ["explore", "live"],
    "drawings": ["checks"],
    "densities": ["quadrature", "theory"],
    "exercises/__init__": ["exercises", "chapter_01"],
    "exercises/chapter_a2": ["chapter_A2"],
    "exercises/judge": ["grade"],
    "families/": ["families"],
    "grading": ["grade"],
    "images/": ["images"],
    "lab/": ["lab_scene", "live", "still"],
    "metrics/": ["metrics", "mmd"],
    "networks": ["training"],
    "quadrature": ["theory"],
    "theory": ["quadrature"],
    "training/": ["training", "remedies", "state", "programs"],
}


def tests_of(file: str) -> list[str]:
    """The test files that a mutant of a file meets."""
    if file.startswith(PAGE):
        return PAGE_TESTS
    if file.startswith("figures/"):
        return ["tests/test_figures.py"]
    module = file.removeprefix("gan_course/").removesuffix(".py")
    own = Path(module).name
    others = [name for part, names in TESTS.items() if module.startswith(part) for name in names]
    found = [f"tests/test_{name}.py" for name in dict.fromkeys([own, *others])]
    return [name for name in found if (ROOT / name).exists()]


def copied(folder: Path) -> Path:
    """A copy of the course."""
    ignore = shutil.ignore_patterns("__pycache__", ".ipynb_checkpoints")
    for name in COPIED:
        shutil.copytree(ROOT / name, folder / name, ignore=ignore)
    for name in COPIED_FILES:
        shutil.copy(ROOT / name, folder)
    compile_all = SERVER.Process(target=_meet, args=(str(folder), ["--co", "tests"], True))
    compile_all.start()
    compile_all.join(LIMIT)
    if compile_all.exitcode is None:
        compile_all.kill()
        raise TimeoutError(f"the tests of the copy in {folder} were not collected in {LIMIT} s")
    return folder.resolve()


def _meet(folder: str, tests: list[str], compiled: bool = False) -> None:
    """In a process of its own: run some tests of a copy, and exit with what they found.

    Only a sound copy is compiled: a file's time has a grain, in which two mutants may fall.
    """
    os.chdir(folder)
    os.environ |= {"PYTHONPATH": folder, "PYTHONDONTWRITEBYTECODE": "" if compiled else "1"}
    sys.dont_write_bytecode = not compiled
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 1)
    os.dup2(nothing, 2)
    sys.path[:0] = [folder, f"{folder}/tests"]
    for name in [name for name in sys.modules if name.partition(".")[0] == "gan_course"]:
        del sys.modules[name]
    slow = ["-m", "not gpu", "--deselect=tests/test_live_kernel.py"]
    code = pytest.main(["-xq", "--tb=no", "-p", "no:cacheprovider", "-n0", *slow, *tests])
    os._exit(int(code))


def verdict(folder: Path, tests: list[str], limit: float = LIMIT) -> str:
    """What some tests say of a copy: ``noticed``, ``survived``, or ``endless``."""
    process = SERVER.Process(target=_meet, args=(str(folder), tests))
    process.start()
    process.join(limit)
    if process.exitcode is None:
        process.kill()
        process.join()
        return "endless"
    return "survived" if process.exitcode == 0 else "noticed"


SERVER: Any = multiprocessing.get_context("spawn" if os.name == "nt" else "forkserver")


def unsound(mutants: list[Mutant], folder: Path) -> list[str]:
    """The tests that fail without a mutant: they would notice everything."""
    meetings = {tuple(tests_of(mutant.file)) for mutant in mutants}
    return [", ".join(m) for m in sorted(meetings) if verdict(folder, [*m]) != "survived"]


def judged(mutant: Mutant, folder: Path) -> str:
    """Plant a mutant into a copy, and ask the tests that it meets."""
    place = folder / mutant.file
    sound = place.read_bytes()
    place.write_bytes(sound[: mutant.start] + mutant.new.encode() + sound[mutant.end :])
    try:
        return verdict(folder, tests_of(mutant.file))
    finally:
        place.write_bytes(sound)


def subjects() -> list[str]:
    """Every module that has tests, and the scripts of the figures."""
    found = [
        *sorted((ROOT / "gan_course").rglob("*.py")),
        *sorted((ROOT / "figures").glob("0*.py")),
    ]
    files = [path.relative_to(ROOT).as_posix() for path in found]
    return [file for file in files if tests_of(file)]


def sampled(count: int, seed: int) -> list[Mutant]:
    """A sample: of each file in proportion to its mutants' number, of its rules equally many."""
    chance = random.Random(seed)
    candidates = {file: list(python_mutants(file)) for file in subjects()}
    total = sum(map(len, candidates.values()))
    of_page = count // SHARE_OF_THE_PAGE
    chosen = []
    for found in candidates.values():
        share = max(1, round((count - of_page) * len(found) / total))
        chosen += _of_all_rules(found, share, chance)
    scripts = sorted((ROOT / PAGE).glob("*.js"))
    page = [m for path in scripts for m in script_mutants(path.relative_to(ROOT).as_posix())]
    chosen += _of_all_rules(page, of_page, chance)
    chance.shuffle(chosen)  # so that the first of them are a sample, too
    return chosen


def _of_all_rules(mutants: list[Mutant], count: int, chance: random.Random) -> list[Mutant]:
    chosen: list[Mutant] = []
    while mutants and len(chosen) < count:
        kind = chance.choice(sorted({mutant.kind for mutant in mutants}))
        mutant = chance.choice([mutant for mutant in mutants if mutant.kind == kind])
        mutants = [other for other in mutants if other != mutant]
        chosen.append(mutant)
    return chosen


def main() -> None:
    """Parse the command line, try the mutants, write the record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--count", type=int, default=160)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="*", default=[], help="parts of file names")
    options = parser.parse_args()
    SERVER.set_forkserver_preload(["torch", "pytest", "scipy.stats", "matplotlib.pyplot"])
    mutants = sampled(options.count, options.seed)
    mutants = [m for m in mutants if not options.only or any(o in m.file for o in options.only)]
    rows = []
    with tempfile.TemporaryDirectory() as place:
        folder = copied(Path(place))
        failing = unsound(mutants, folder)
        if failing:
            sys.exit(f"These fail without a mutant; mend them first: {'; '.join(failing)}")
        for number, mutant in enumerate(mutants, 1):
            begin = time.monotonic()
            found = judged(mutant, folder)
            taken = time.monotonic() - begin
            what = f"{mutant.file}:{mutant.line} {mutant.kind}: {mutant.old} → {mutant.new}"
            print(f"{number:4} {found:9} {taken:4.0f} s  {' '.join(what.split())}", flush=True)
            rows.append([*mutant[:2], mutant.kind, mutant.old, mutant.new, found])
            if not options.only:
                recorded(rows)
    print(Counter(row[-1] for row in rows))


def recorded(rows: list[list[Any]]) -> None:
    """Write what was found."""
    heads = ["file", "line", "kind", "old", "new", "verdict"]
    with RECORD.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows([heads, *rows])


if __name__ == "__main__":
    main()
