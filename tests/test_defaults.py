"""What a function does where nothing is said, and the library's constants, are on record.

The book's numbers and the published protocols depend on them, and hardly a test would notice
another one. Whoever changes one on purpose writes the record anew:
``python tests/test_defaults.py``.
"""

from __future__ import annotations

import importlib
import inspect
import json
import pkgutil
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import gan_course

RECORD = Path(__file__).parent / "records" / "defaults.json"
#: Parts that need a notebook, or that are no library: the exercises' specifications.
LEFT_OUT = ("__main__", "gan_course.notebook", "gan_course.exercises.chapter_")
PLAIN = (bool, int, float, str, tuple, type(None))


def modules() -> Iterator[ModuleType]:
    for part in pkgutil.walk_packages(gan_course.__path__, "gan_course."):
        if not any(name in part.name for name in LEFT_OUT):
            yield importlib.import_module(part.name)


def found() -> dict[str, str]:
    """Each default and each constant by its name, as text."""
    said: dict[str, str] = {}
    for module in modules():
        short = module.__name__.removeprefix("gan_course.")
        for name, thing in vars(module).items():
            if name.lstrip("_").isupper() and is_plain(thing):
                said[f"{short}.{name}"] = repr(thing)
            elif getattr(thing, "__module__", "") == module.__name__:
                said |= defaults(f"{short}.{name}", thing)
    return dict(sorted(said.items()))


def defaults(name: str, thing: Any) -> dict[str, str]:
    functions: dict[str, Callable[..., Any]] = {}
    if inspect.isclass(thing):
        methods = {n: m for n, m in vars(thing).items() if inspect.isfunction(m)}
        functions = {f"{name}.{n}": m for n, m in methods.items() if n[0] != "_" or n == "__init__"}
    elif inspect.isfunction(thing):
        functions = {name: thing}
    return {
        f"{path}({parameter.name})": repr(parameter.default)
        for path, function in functions.items()
        for parameter in inspect.signature(function).parameters.values()
        if parameter.default is not parameter.empty and is_plain(parameter.default)
    }


def is_plain(value: Any) -> bool:
    inside = value if isinstance(value, tuple) else ()
    return isinstance(value, PLAIN) and all(is_plain(part) for part in inside)


def test_defaults_and_constants_are_those_on_record() -> None:
    record, now = json.loads(RECORD.read_text("utf-8")), found()
    known = record.keys() & now.keys()
    assert {name: now[name] for name in known} == {name: record[name] for name in known}
    assert len(known) > 0.9 * len(record)  # what was renamed is written anew
    assert now["metrics.features.density_coverage(k)"] == "5"
    assert now["training.settings.Settings.__init__(betas)"] == "(0.5, 0.999)"


if __name__ == "__main__":
    RECORD.write_text(json.dumps(found(), indent=1, ensure_ascii=False) + "\n", "utf-8")
