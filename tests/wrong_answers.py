"""Wrong answers made by machine from each right one: what a reader's slip may look like.

A mutant differs from a solution of the book in one place: a sign, one more or one less, another
axis, a factor or a term that is missing, the other comparison, a call that is forgotten, an
argument that is changed in place.
"""

from __future__ import annotations

import ast
import copy
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from tools import load

build = load("notebooks/build.py")

ASKED = re.compile(r'^exercise\("([\w.]+)", (.+)\)$', flags=re.M)
SWAPS = {
    "mean": "sum",
    "sum": "mean",
    "min": "max",
    "max": "min",
    "amin": "amax",
    "amax": "amin",
    "ceil": "floor",
    "argmin": "argmax",
    "argmax": "argmin",
    "median": "mean",
    "unique": "clone",
    "abs": "clone",
}


class Exercise(NamedTuple):
    """An exercise: its key, the code of its solution, the answer in it, and what it sees."""

    key: str
    code: str
    answer: str
    names: dict[str, Any]


class Mutant(NamedTuple):
    """A wrong answer: what kind of slip, where, and the answer itself."""

    kind: str
    words: str
    answer: Any


def exercises(chapter: str) -> Iterator[Exercise]:
    """Every exercise of a chapter, its solution executed."""
    (source,) = build.sources([chapter])
    names: dict[str, Any] = {"__name__": "__main__"}
    written = ""  # since the last exercise
    for cell in build.solutions(source).cells:
        if cell.cell_type != "code" or "solution" in build._tags(cell):
            continue
        code, asked = cell.source, ASKED.search(cell.source)
        if "setup" in build._tags(cell):
            exec(code, names)
            continue
        written += ASKED.sub("", code) + "\n"
        if asked:
            exec(written, names)
            yield Exercise(asked[1], written, asked[2], dict(names))
            written = ""


def mutants(exercise: Exercise) -> Iterator[Mutant]:
    """Every mutant of an exercise's solution."""
    right = eval(exercise.answer, exercise.names)
    if not callable(right):
        yield from values(right)
        return
    yield Mutant("in place", "the arguments are changed", in_place(right))
    tree = what_counts(ast.parse(exercise.code), exercise.answer)
    seen = {ast.unparse(tree)}
    for kind, words, changed in changes(tree):
        if (text := ast.unparse(changed)) not in seen:
            seen.add(text)
            names = dict(exercise.names)
            exec(compile(text, f"<{exercise.key}: {words}>", "exec"), names)
            yield Mutant(kind, words, names[exercise.answer])


def values(right: Any) -> Iterator[Mutant]:
    """Wrong values for a right one: a number, a word, or several."""
    if isinstance(right, Mapping):
        words = {word for word in right.values() if isinstance(word, str)}
        for name, value in right.items():
            others = words - {value} if isinstance(value, str) else ()
            for other in others:
                yield Mutant("word", f"{name}: {other}", {**right, name: other})
            for wrong in () if isinstance(value, str) else values(value):
                yield Mutant(wrong.kind, f"{name}: {wrong.words}", {**right, name: wrong.answer})
    elif isinstance(right, list | tuple):
        for place, value in enumerate(right):
            for wrong in values(value):
                answer = [*right[:place], wrong.answer, *right[place + 1 :]]
                yield Mutant(wrong.kind, f"{place}: {wrong.words}", answer)
        if len(set(right)) > 1 and right != right[::-1]:
            yield Mutant("order", "reversed", right[::-1])
    elif isinstance(right, bool):
        yield Mutant("sign", str(not right), not right)
    else:
        number = float(right)
        if number:
            yield Mutant("sign", "negative", -right)
            yield Mutant("factor", "twice", 2 * right)
            yield Mutant("factor", "half", right / 2)
        if isinstance(right, int):
            yield Mutant("off by one", "one more", right + 1)
            yield Mutant("off by one", "one less", right - 1)


def in_place(right: Callable[..., Any]) -> Callable[..., Any]:
    """The right answer, which leaves its arguments in ruins."""

    def answer(*arguments: Any) -> Any:
        result = right(*arguments)
        result = copy.deepcopy(result) if isinstance(result, np.ndarray) else result
        answer.changed |= any(isinstance(x, torch.Tensor | np.ndarray) for x in arguments)
        for argument in arguments:
            if isinstance(argument, torch.Tensor):
                argument.data.add_(1)
            elif isinstance(argument, np.ndarray):
                np.add(argument, 1, out=argument)
        return result

    answer.changed = False
    return answer


# --- One change to the code ---------------------------------------------------------------


def changes(tree: ast.Module) -> Iterator[tuple[str, str, ast.Module]]:
    """Each tree that differs in one place, with the kind of slip and its words."""
    count = sum(1 for _ in ast.walk(tree))
    for place in range(count):
        for kind, words, replace in slips(nth(tree, place)):
            changed = copy.deepcopy(tree)
            put(changed, place, replace)
            yield kind, words, ast.fix_missing_locations(changed)


def what_counts(tree: ast.Module, answer: str) -> ast.Module:
    """The answer's function as it is defined last, and those that it calls."""
    functions = {part.name: part for part in tree.body if isinstance(part, ast.FunctionDef)}
    wanted, found = [answer], list[ast.stmt]()
    while wanted:
        function = functions.pop(wanted.pop(), None)
        if function is not None:
            found.insert(0, function)
            wanted += [part.id for part in ast.walk(function) if isinstance(part, ast.Name)]
    return ast.Module(found, [])


def nth(tree: ast.AST, place: int) -> ast.AST:
    return next(node for number, node in enumerate(ast.walk(tree)) if number == place)


def put(tree: ast.Module, place: int, replace: Callable[[Any], ast.AST | None]) -> None:
    """Put something else in the place of a node, or remove it."""
    old = nth(tree, place)
    new = replace(old)
    for parent in ast.walk(tree):
        for field, value in ast.iter_fields(parent):
            if value is old:
                setattr(parent, field, new)
            elif isinstance(value, list) and any(part is old for part in value):
                kept = [new if part is old else part for part in value]
                setattr(parent, field, [part for part in kept if part is not None] or [ast.Pass()])


def slips(  # noqa: PLR0912
    node: ast.AST,
) -> Iterator[tuple[str, str, Callable[[Any], ast.AST | None]]]:
    """What may go wrong at a node."""
    text = ast.unparse(node) if not isinstance(node, ast.Module) else ""
    if isinstance(node, ast.BinOp):
        kind, other = OPERATORS.get(type(node.op), ("", None))
        if other is not None:
            yield kind, f"{text}: {other.__name__}", lambda n: ast.BinOp(n.left, other(), n.right)
        if isinstance(node.op, ast.Mult | ast.Add | ast.Sub):
            missing = "factor" if isinstance(node.op, ast.Mult) else "term"
            yield missing, f"{text}: the left alone", lambda n: n.left
            yield missing, f"{text}: the right alone", lambda n: n.right
        elif isinstance(node.op, ast.Div | ast.Pow):
            yield "factor", f"{text}: the left alone", lambda n: n.left
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        if not isinstance(node.operand, ast.Constant):
            yield "sign", f"{text}: without its sign", lambda n: n.operand
    elif isinstance(node, ast.Compare):
        for other in COMPARISONS.get(type(node.ops[0]), ()):
            yield (
                "comparison",
                f"{text}: {other.__name__}",
                lambda n, other=other: ast.Compare(n.left, [other()], n.comparators),
            )
    elif isinstance(node, ast.keyword) and node.arg in ("dim", "axis"):
        other_axis = 1 if text.endswith("0") else 0
        constant = ast.Constant(other_axis)
        yield "axis", f"{text}: {other_axis}", lambda n: ast.keyword(n.arg, constant)
    elif isinstance(node, ast.Constant) and type(node.value) in (int, float):
        one = 1 if type(node.value) is int else node.value
        for step in (one, -one):
            changed = ast.Constant(node.value + step)
            yield "off by one", f"{text}: {changed.value}", lambda n, c=changed: c
    elif isinstance(node, ast.Attribute) and node.attr in SWAPS:
        other_name = SWAPS[node.attr]
        yield (
            "other function",
            f"{text}: {other_name}",
            lambda n: ast.Attribute(n.value, other_name, n.ctx),
        )
    elif isinstance(node, ast.Name) and node.id in ("abs", "min", "max"):
        other_name = {"abs": "float", "min": "max", "max": "min"}[node.id]
        yield "other function", f"{text}: {other_name}", lambda n: ast.Name(other_name, n.ctx)
    elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        yield "forgotten call", text, lambda n: None
    elif isinstance(node, ast.Return) and node.value is not None:
        if not isinstance(node.value, ast.Tuple | ast.Constant):
            yield "sign", f"{text}: negative", lambda n: ast.Return(negative(n.value))
    elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith(".detach"):
        yield "forgotten call", text, lambda n: n.func.value


def negative(value: ast.expr) -> ast.expr:
    return ast.UnaryOp(ast.USub(), value)


OPERATORS: dict[type[ast.operator], tuple[str, type[ast.operator]]] = {
    ast.Add: ("sign", ast.Sub),
    ast.Sub: ("sign", ast.Add),
    ast.Mult: ("factor", ast.Div),
    ast.Div: ("factor", ast.Mult),
    ast.Pow: ("factor", ast.Mult),
}
COMPARISONS: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.Gt),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.Lt),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
}
