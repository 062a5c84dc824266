"""What every chapter's first cell does: style, seed, threads, and errors that are not lost.

Jupyter shows a cell as successful even when a thread, an asyncio task or a
widget's callback raised while it ran. After :func:`setup` such an error fails the
cell in which it happened, or, if it happens between cells, the next one executed.

Nothing but :func:`setup` is meant to be called from a chapter; the records that it reads
lie in :data:`RUNS`.
"""

from __future__ import annotations

import ast
import asyncio
import sys
import threading
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

import gan_course.plotting
from gan_course.training import pick_device

if TYPE_CHECKING:
    from IPython.core.interactiveshell import ExecutionInfo, InteractiveShell


def _runs() -> Path:
    checkout = Path(__file__).parent.parent / "figures" / "runs"
    return checkout if checkout.is_dir() else Path(__file__).parent / "runs"


#: The recorded sweeps: a table in CSV and its settings in JSON for each. ``figures/runs`` of a
#: checkout; a wheel carries them in itself, so that a chapter opened alone finds them, too.
RUNS = _runs()


class BackgroundError(RuntimeError):
    """A thread, a task or a callback raised; its own traceback is the cause."""


def setup(seed: int = 0) -> None:
    """Prepare a chapter: figure style, seed, one thread, no error lost; name the device.

    Calling it again, as when a reader runs the cell twice, changes nothing more.

    Args:
        seed: of PyTorch's generator and of NumPy's global one (seaborn draws from it).
    """
    torch.manual_seed(seed)
    np.random.seed(seed)  # noqa: NPY002
    torch.set_num_threads(1)  # small networks run faster so, and the same everywhere
    shell = _shell()
    if shell is not None:
        _draw_inline(shell)
        _honour_semicolons(shell)
        _watch_threads()
        _watch_tasks()
        _watch_callbacks(shell)
        _drain_after_each_cell(shell)
    gan_course.plotting.use_style()
    pick_device()


def _shell() -> InteractiveShell | None:
    """The running IPython shell, or None in a plain program."""
    if "IPython" not in sys.modules:
        return None
    from IPython import get_ipython  # noqa: PLC0415

    return get_ipython()


def _draw_inline(shell: InteractiveShell) -> None:
    from matplotlib_inline.backend_inline import set_matplotlib_formats  # noqa: PLC0415

    shell.run_line_magic("matplotlib", "inline")
    set_matplotlib_formats("png", metadata={"Software": None}, pil_kwargs={"optimize": True})


_running = {"cell": ""}


def _remember_cell(info: ExecutionInfo) -> None:
    _running["cell"] = info.raw_cell or ""


def _honour_semicolons(shell: InteractiveShell) -> None:
    """Let ``;`` hide a value where the cell is not in the history, too, as under nbval."""

    def quiet() -> bool:
        return _running["cell"].rstrip().endswith(";")

    shell.events.register("pre_run_cell", _remember_cell)
    shell.displayhook.quiet = quiet  # type: ignore[method-assign]


# --- The errors, and the function that ends every cell ---------------------------------

_errors: list[tuple[str, BaseException]] = []
_tasks: weakref.WeakSet[asyncio.Task[Any]] = weakref.WeakSet()


def drain(value: object = None) -> object:
    """Raise what threads, tasks and callbacks have left behind; else return ``value``."""
    for task in list(_tasks):
        _record_task(task)
    if _errors:
        errors, _errors[:] = _errors.copy(), []
        lines = [f"{type(error).__name__} in {where}: {error}" for where, error in errors]
        raise BackgroundError("\n".join(lines)) from errors[0][1]
    return value


class _EndWithDrain(ast.NodeTransformer):
    """Makes each cell end with :func:`drain`, its last value displayed as before."""

    def visit_Module(self, node: ast.Module) -> ast.Module:
        if not node.body:
            return node
        last = node.body[-1]
        call = ast.parse("__import__('gan_course.notebook').notebook.drain()", mode="eval").body
        assert isinstance(call, ast.Call)
        for part in ast.walk(call):
            ast.copy_location(part, last)
        if isinstance(last, ast.Expr):
            call.args.append(last.value)
            last.value = call
        else:
            node.body.append(ast.copy_location(ast.Expr(call), last))
        return node


def _drain_after_each_cell(shell: InteractiveShell) -> None:
    kept = [t for t in shell.ast_transformers if type(t).__name__ != _EndWithDrain.__name__]
    shell.ast_transformers[:] = [*kept, _EndWithDrain()]


# --- The three places where Jupyter loses an error --------------------------------------


def _watch_threads() -> None:
    def hook(arguments: threading.ExceptHookArgs) -> None:
        if arguments.exc_value is not None:
            name = arguments.thread.name if arguments.thread else "unknown"
            _errors.append((f"thread {name!r}", arguments.exc_value))

    threading.excepthook = hook


def _watch_tasks() -> None:
    def handle(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if error is None:
            loop.default_exception_handler(context)
        else:
            _errors.append(("an asyncio task", error))

    def make(
        loop: asyncio.AbstractEventLoop,
        coroutine: Any,
        **options: Any,
    ) -> asyncio.Task[Any]:
        task: asyncio.Task[Any] = asyncio.Task(coroutine, loop=loop, **options)
        _tasks.add(task)
        return task

    loop = asyncio.get_event_loop()
    loop.set_exception_handler(handle)
    loop.set_task_factory(make)


def _record_task(task: asyncio.Task[Any]) -> None:
    """Record the error of a finished task that nobody awaited."""
    # CPython keeps this flag to log "Task exception was never retrieved" at deletion.
    if task.done() and not task.cancelled() and getattr(task, "_log_traceback", False):
        error = task.exception()
        if error is not None:
            _errors.append((f"task {task.get_name()!r}", error))


def _watch_callbacks(shell: InteractiveShell) -> None:
    """Widgets catch what callbacks raise and hands it to ``shell.showtraceback``."""
    show = type(shell).showtraceback

    def showtraceback(*arguments: Any, **options: Any) -> None:
        caller = sys._getframe(1).f_globals.get("__name__", "")
        error = arguments[0][1] if arguments and arguments[0] else sys.exc_info()[1]
        if caller.split(".")[0] == "ipywidgets" and error is not None:
            _errors.append(("a widget's callback", error))
        show(shell, *arguments, **options)

    shell.showtraceback = showtraceback  # type: ignore[method-assign]
