"""What several test files need."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import pandas as pd
import pytest

from gan_course.exercises import Wrong, exercise

ROOT = Path(__file__).resolve().parents[1]
#: Where the sweeps' records lie.
RUNS = ROOT / "figures" / "runs"


def load(path: str) -> ModuleType:
    """Import a script of the repository, for example ``tasks.py``, with those beside it at hand."""
    name = f"course_{Path(path).stem}"
    if name not in sys.modules:
        if (folder := str((ROOT / path).parent)) not in sys.path:
            sys.path.append(folder)
        spec = importlib.util.spec_from_file_location(name, ROOT / path)
        assert spec is not None and spec.loader is not None
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]


def made_again(name: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """A script's small version, made anew, and its record; both have the settings of now."""
    script = load(f"figures/sweeps/{name}.py")
    notes = [json.loads((RUNS / f"{name}{q}.json").read_text("utf-8")) for q in ("", ".quick")]
    assert [note["settings"] for note in notes] == [script.SETTINGS, script.QUICK]
    record, frame = pd.read_csv(RUNS / f"{name}.quick.csv"), script.measure(script.QUICK)
    assert list(frame.columns) == list(record.columns)
    return frame, record


def exercise_tests(
    right: Sequence[tuple[str, Any]], wrong: Sequence[tuple[Any, ...]]
) -> tuple[Callable[..., None], Callable[..., None], Callable[..., None]]:
    """The three tests of a chapter's exercises: right answers, wrong ones, none yet.

    Args:
        right: rows of an exercise's key and an answer.
        wrong: rows of a key, the mistake in words, the answer and, where it matters, a
            pattern of the hint; without one, any hint of more than 20 characters will do.
    """
    hinted = [
        pytest.param(key, answer, *hint or [r"(?s).{21}"], id=f"{key} {mistake}")
        for key, mistake, answer, *hint in wrong
    ]

    @pytest.mark.parametrize(("key", "answer"), right, ids=[key for key, _ in right])
    def is_right(key: str, answer: Any, capsys: pytest.CaptureFixture[str]) -> None:
        exercise(key, answer)
        assert capsys.readouterr().out == f"✓ Exercise {key}: right.\n"

    @pytest.mark.parametrize(("key", "answer", "hint"), hinted)
    def gets_a_hint(key: str, answer: Any, hint: str) -> None:
        with pytest.raises(Wrong, match=hint):
            exercise(key, answer)

    @pytest.mark.parametrize(("key", "answer"), dict(right).items(), ids=dict(right))
    def is_open(key: str, answer: Any, capsys: pytest.CaptureFixture[str]) -> None:
        exercise(key, stub(answer))
        assert f"Exercise {key} is open" in capsys.readouterr().out

    return is_right, gets_a_hint, is_open


def stub(answer: object) -> object:
    """What stands in the notebook in place of such an answer."""
    if isinstance(answer, Mapping):
        return dict.fromkeys(answer, ...)
    return (lambda *_: None) if callable(answer) else ...
