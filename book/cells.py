"""In a page's code, each name of the library is a link to what the library's page says of it.

What one block imports, those below it have. A variable is followed to its class, so ``train`` of
``trainer.train()`` is found; a name that the code gives to something else is none of ours.
"""

from __future__ import annotations

import ast
import contextlib
import inspect
import re
import typing
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from html import unescape
from importlib import import_module
from typing import Any, NamedTuple

LIBRARY = "gan_course"
BLOCK = re.compile(
    r'(<div class="(?:doctest )?highlight-(?:ipython3|python|default) notranslate">'
    r'<div class="highlight"><pre>)'
    r"(.*?)(</pre>)",
    re.DOTALL,
)
TOKEN = re.compile(r"<span[^>]*>([^<]*)</span>|<[^>]*>|([^<]+)")
SHELL = re.compile('<span class="g[op]"')  # a prompt of Python's, and what it has put out
LINK = '<a class="library-name" href="{}">{}</a>'


class Meant(NamedTuple):
    """The full name of what an expression is, or of the class that it is an instance of."""

    name: str
    instance: bool = False


class Place(NamedTuple):
    """A word of the code, where it begins (column in bytes), and its full name."""

    line: int
    column: int
    word: str
    name: str


Known = dict[str, Meant]
Address = Callable[[str], str | None]


def with_links(page: str, address: Address) -> str:
    """A page's HTML, in whose code the names of the library are links.

    Args:
        page: the HTML.
        address: of an object's full name its address, or None where it has none.
    """
    known: Known = {}

    def linked(block: re.Match[str]) -> str:
        return block[1] + _linked(block[2], known, address) + block[3]

    return BLOCK.sub(linked, page)


def _linked(block: str, known: Known, address: Address) -> str:
    tokens = list(TOKEN.finditer(block))
    words = ["" if SHELL.match(t[0]) else unescape(t[1] or t[2] or "") for t in tokens]
    code = "".join(words)
    try:
        tree = ast.parse(code)
    except SyntaxError:  # a command of IPython's
        return block
    starts, at = {}, 0
    for number, word in enumerate(words):
        starts[at] = number if word else -1
        at += len(word)
    lines = code.split("\n")
    first = [0]
    for line in lines:
        first.append(first[-1] + len(line) + 1)
    pieces = [token[0] for token in tokens]
    for place in names(tree.body, known):
        before = lines[place.line - 1].encode()[: place.column].decode()
        number = starts.get(first[place.line - 1] + len(before), -1)
        there = address(place.name)
        if there and number >= 0 and words[number] == place.word:
            pieces[number] = LINK.format(there, pieces[number])
    return "".join(pieces)


def names(statements: Iterable[ast.AST], known: Known) -> Iterator[Place]:
    """The names of the library in some code; ``known`` has those of the code above it."""
    for statement in statements:
        if isinstance(statement, ast.Import | ast.ImportFrom):
            yield from _imported(statement, known)
            continue
        inner = known
        if isinstance(statement, ast.FunctionDef | ast.ClassDef):
            known.pop(statement.name, None)
            inner = {**known}
        parts = list(ast.iter_child_nodes(statement))
        kinds = ast.stmt | ast.excepthandler | ast.match_case
        for part in parts:
            if not isinstance(part, kinds):
                yield from _read(part, inner)
        _bind(statement, inner)
        yield from names((part for part in parts if isinstance(part, kinds)), inner)


def _imported(statement: ast.Import | ast.ImportFrom, known: Known) -> Iterator[Place]:
    module = getattr(statement, "module", None)
    if module and module.split(".")[0] == LIBRARY:
        yield Place(statement.lineno, statement.col_offset + len("from "), module, module)
    for alias in statement.names:
        full = f"{module}.{alias.name}" if module else alias.name
        name = alias.asname or alias.name.split(".")[0]
        known.pop(name, None)
        if full.split(".")[0] == LIBRARY:
            known[name] = Meant(full if module or alias.asname else LIBRARY)
            yield Place(alias.lineno, alias.col_offset, alias.name, full)


def _read(part: ast.AST, known: Known) -> Iterator[Place]:
    """The names in an expression; what it binds itself hides them."""
    inside = list(ast.walk(part))
    hidden = {node.arg for node in inside if isinstance(node, ast.arg)}
    hidden |= {n.id for n in inside if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    known = {name: meant for name, meant in known.items() if name not in hidden}
    for node in inside:
        meant = _meant(node, known)
        if isinstance(node, ast.Name) and meant and not meant.instance:
            yield Place(node.lineno, node.col_offset, node.id, meant.name)
        elif isinstance(node, ast.Attribute) and meant:
            column = (node.end_col_offset or 0) - len(node.attr.encode())
            yield Place(node.end_lineno or 0, column, node.attr, meant.name)


def _bind(statement: ast.AST, known: Known) -> None:
    """Let go of the names that a statement binds; keep what it makes of a class of the library."""
    value = _meant(getattr(statement, "value", None), known)
    targets = [getattr(statement, "target", None), *getattr(statement, "targets", [])]
    targets += [item.optional_vars for item in getattr(statement, "items", [])]
    for target in filter(None, targets):
        for node in ast.walk(target):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                known.pop(node.id, None)
        if isinstance(target, ast.Name) and value and value.instance:
            known[target.id] = value
    if isinstance(statement, ast.FunctionDef):
        for argument in (a for a in ast.walk(statement.args) if isinstance(a, ast.arg)):
            known.pop(argument.arg, None)
            kind = _meant(argument.annotation, known)
            if kind and (made := _made(kind.name)):
                known[argument.arg] = made


def _meant(node: ast.AST | None, known: Known) -> Meant | None:
    if isinstance(node, ast.Name):
        return known.get(node.id)
    if isinstance(node, ast.Attribute):
        of = _meant(node.value, known)
        return of and Meant(f"{of.name}.{node.attr}")
    if isinstance(node, ast.Call):
        called = _meant(node.func, known)
        return None if called is None or called.instance else _made(called.name)
    return None


@cache
def _made(name: str) -> Meant | None:
    """What a call of the library returns, if it is of a class of the library."""
    made = thing(name)
    if not inspect.isclass(made):
        with contextlib.suppress(NameError, TypeError):
            made = typing.get_type_hints(made).get("return")
    inside = inspect.isclass(made) and made.__module__.split(".")[0] == LIBRARY
    return Meant(full_name(made), instance=True) if inside else None


@cache
def thing(name: str) -> Any:
    """What has such a full name; None, if nothing has."""
    parts = name.split(".")
    for end in range(len(parts), 0, -1):
        with contextlib.suppress(ImportError):
            found: Any = import_module(".".join(parts[:end]))
            for part in parts[end:]:
                found = getattr(found, part, None)
            return found
    return None


def full_name(found: Any) -> str:
    """The module in which something was defined, and its name there."""
    return f"{getattr(found, '__module__', '')}.{getattr(found, '__qualname__', '')}"
