"""Both ends of an answer's way from a submission to its judge.

:func:`hand_in` runs in the submission's kernel, in place of ``exercise``, and only writes the
answer down. The judge is another process: ``python -P -m gan_course.exercises.judge``. It has
imported the library before it sees an answer, and loads the specification afresh, so what a
submission has done to its own copy of the library does not matter.

An answer is a program, and whoever calls it runs it. What it changes of the library while it is
called is noticed, and earns nothing; one that is written against this judge can do all that the
account can that grades. So grade strangers in a container.
"""

from __future__ import annotations

import faulthandler
import json
import os
import pickle
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

from gan_course.exercises import SPECIFICATIONS, Open, Wrong, expect, find

#: Functions of these modules, and of the library, have to be the same when an answer has been
#: judged. Not PyTorch's: it exchanges some of its own when its parts are first used.
GUARDED = ("builtins", "math")


def hand_in(folder: str, key: str, answer: object) -> None:
    """Write an answer to ``folder``, by value: its functions, and what they refer to.

    Args:
        folder: where the judge finds it, as ``KEY.pkl``.
        key: the exercise, for example ``"05.2"``.
        answer: what the submission calls its answer.

    Raises:
        ValueError: the key is none.
    """
    import cloudpickle  # noqa: PLC0415  # the judge does without

    if not re.fullmatch(r"[A-Z\d]\d\.\d+", str(key)):
        raise ValueError(f"key = {key!r}: an exercise has a key such as '05.2'")
    state: dict[str, Any] = {"dtype": torch.get_default_dtype()}  # chapter 01 changes it
    try:
        state["answer"] = cloudpickle.dumps(answer)
    except Exception as error:  # whatever it holds: a lock, a generator, an open file
        state["problem"] = f"the answer can't be handed in: {type(error).__name__}: {error}"
    Path(folder, f"{key}.pkl").write_bytes(pickle.dumps(state))


def judge(key: str, file: Path) -> tuple[str, str]:
    """What an answer is worth: ``right``, ``wrong``, ``open`` or ``crashed``, and why."""
    check = find(key)
    before = _library()
    state = pickle.loads(file.read_bytes())
    if "problem" in state:
        return "crashed", state["problem"]
    torch.set_default_dtype(state["dtype"])
    try:
        answer = pickle.loads(state["answer"])
        if answer is ...:
            raise Open
        check(answer)
        found = "right", ""
    except Open:
        found = "open", ""
    except Wrong as wrong:
        found = "wrong", str(wrong)
    except BaseException as error:  # a SystemExit is the submission's, too
        found = "crashed", f"{type(error).__name__}: {error}"
    finally:
        torch.set_default_dtype(torch.float32)
    after = _library()
    changed = [name for name, thing in before.items() if after.get(name) != thing]
    if changed or _blind():
        return "crashed", f"the answer changes {', '.join(changed[:3]) or 'PyTorch'}: not judged"
    return found


def _library() -> dict[str, tuple[Any, ...]]:
    """The functions by which answers are judged, with their code, so that a change shows."""
    modules = [
        (name, module)
        for name, module in sys.modules.items()
        if isinstance(module, ModuleType) and (name in GUARDED or name.startswith("gan_course"))
    ]
    found = {
        f"{name}.{what}": (id(thing), id(getattr(thing, "__code__", None)))
        for name, module in modules
        for what, thing in vars(module).items()
        if callable(thing)
    }
    return found | {f"the specification of {k}": (id(s),) for k, s in SPECIFICATIONS.items()}


def _blind() -> bool:
    """Whether a comparison accepts what it must not, or the other way round."""
    try:
        expect("", torch.tensor([1.0, 2.0]), [1.0, 2.0])
    except Wrong:
        return True
    try:
        expect("", torch.tensor([1.0, 2.0]), [1.0, 3.0])
    except Wrong:
        return False
    return True


def main() -> None:
    """Judge ``FOLDER/KEY.pkl`` for each key; a line of JSON for each verdict.

    Arguments: the folder, the seconds that an answer may take, a folder with modules of the
    submission's own, and keys. A word that begins each line comes by standard input: what an
    answer prints is no verdict, and goes nowhere.
    """
    folder, seconds, helpers, *keys = sys.argv[1:]
    word = sys.stdin.readline().strip()
    lines = os.fdopen(os.dup(1), "w", encoding="utf-8")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    sys.path.append(helpers)  # last, so that it can't stand in front of the library
    torch.set_num_threads(1)
    for key in keys:
        find(key)  # imported, before any answer is
    with Path(folder, "late.txt").open("w", encoding="utf-8") as late:
        for key in keys:
            faulthandler.dump_traceback_later(float(seconds), exit=True, file=late)
            verdict, hint = judge(key, Path(folder, f"{key}.pkl"))
            faulthandler.cancel_dump_traceback_later()
            print(word, json.dumps([key, verdict, hint]), file=lines, flush=True)
            if hint.startswith("the answer changes"):
                break
    os._exit(0)  # without what the answers have left to be done at the end


if __name__ == "__main__":
    main()
