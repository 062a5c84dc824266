"""The teachers' page of exercises: what each specification looks for, read from its code."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
#: What we would allow for an exercise of a kind, in minutes. Nobody has measured it.
MINUTES = {"predict": 5, "derive": 15, "implement": 20, "investigate": 25}
HEAD = """# Exercises, for teachers

Each exercise with what its check looks for: the mistakes that it knows, in the words that a reader
gets to see, where … stands for a part of the answer. They are read from the specifications
themselves. What a mistake reveals is in its hint: most name the step that went wrong. That these
are the mistakes of a class is our guess; nobody has counted them.

Easier kinds come first. The minutes are guesses, too."""
HEADING = re.compile(r"^### (Exercise ([\dA-Z]\d\.\d+) \(?([^()\n]+?)\)?)$", flags=re.M)
#: A hint has at least so many words; shorter strings are names.
WORDS = 4


def exercises(source: str) -> Iterator[tuple[str, str, str]]:
    """A chapter's exercises: key, kind, anchor of the heading."""
    for heading, key, kind in HEADING.findall(source):
        yield key, kind.lower(), re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def hints(key: str) -> list[str]:
    """What the specification of an exercise may say of a wrong answer, in the order of its code."""
    path = ROOT / "gan_course" / "exercises" / f"chapter_{key[:2].lower()}.py"
    module = ast.parse(path.read_text(encoding="utf-8"))
    named: dict[str, ast.AST] = {}
    for node in module.body:
        if isinstance(node, ast.ClassDef) or (
            isinstance(node, ast.FunctionDef) and not _is_specification(node)
        ):
            named[node.name] = node
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            named[node.targets[0].id] = node
    wanted: list[ast.AST] = [
        node
        for node in module.body
        if isinstance(node, ast.FunctionDef) and _is_specification(node, key)
    ]
    found: dict[str, None] = {}
    while wanted:
        node = wanted.pop(0)
        found.update(dict.fromkeys(_sentences(node)))
        for part in ast.walk(node):
            if isinstance(part, ast.Name) and part.id in named:
                wanted.append(named.pop(part.id))
    return list(found)


def _is_specification(function: ast.FunctionDef, key: str = "") -> bool:
    """Whether it is an exercise's specification; of this key, if one is given."""
    decorators = [ast.unparse(one) for one in function.decorator_list]
    return any(one.startswith(f"specification({key!r})" if key else "specification(")
               for one in decorators)  # fmt: skip


def _sentences(node: ast.AST) -> Iterator[str]:
    """The strings of some code that are words to a reader, docstrings left out."""
    docs = {
        ast.get_docstring(part, clean=False)
        for part in ast.walk(node)
        if isinstance(part, ast.FunctionDef | ast.ClassDef)
    }
    inside = {
        id(part) for one in ast.walk(node) if isinstance(one, ast.JoinedStr) for part in one.values
    }
    for part in ast.walk(node):
        text = ""
        if isinstance(part, ast.JoinedStr):
            text = "".join(
                one.value if isinstance(one, ast.Constant) else "…" for one in part.values
            )
        elif isinstance(part, ast.Constant) and isinstance(part.value, str):
            text = "" if id(part) in inside or part.value in docs else part.value
        if len(re.findall(r"\w*[^\W\d_]\w*", text)) >= WORDS and not text.startswith("\n"):
            yield text.rstrip(" ,:")


def page() -> str:
    """The page on the exercises, for teachers: by difficulty, and what each says of mistakes."""
    sources = sorted((ROOT / "notebooks" / "source").glob("[0-9A-Z]*.md"))
    found = {path.stem: list(exercises(path.read_text(encoding="utf-8"))) for path in sources}
    kinds: dict[str, list[str]] = {kind: [] for kind in MINUTES}
    parts: list[str] = []
    for stem, rows in found.items():
        if rows:
            parts.append(f"## {'Appendix' if stem[0] == 'A' else 'Chapter'} {stem[:2]}\n")
        for key, kind, anchor in rows:
            link = f"[{key}](notebooks/{stem}.ipynb#{anchor})"
            kinds[usual(kind)].append(link)
            said = "".join(f"- {_as_markdown(hint)}\n" for hint in hints(key))
            parts.append(f"**{link}, {kind}**\n\n{said}")
    rows = [f"| {kind} | {MINUTES[kind]} | {', '.join(kinds[kind])} |" for kind in MINUTES]
    table = "\n".join(["| kind | minutes, guessed | exercises |", "|---|---|---|", *rows])
    return f"{HEAD}\n\n{table}\n\n" + "\n".join(parts)


def usual(kind: str) -> str:
    """One of the kinds of ``MINUTES``; what has another name is code to write."""
    return kind if kind in MINUTES else "implement"


def _as_markdown(hint: str) -> str:
    return re.sub(r"([*_|<\[\]`$\\])", r"\\\1", hint)
