"""Sweeps on many workers: the same table, whoever trains a cell and whoever dies meanwhile."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from functools import wraps
from importlib.metadata import Distribution, PackageNotFoundError, version
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch

from gan_course import sweeps
from gan_course.__main__ import main
from gan_course.networks import mlp
from gan_course.sweeps import record, sweep
from gan_course.training import devices
from gan_course.training.devices import about

AXES = {"k": [1, 2, 3, 4, 5, 6]}
TINY: dict[str, Any] = {
    "steps": 3,
    "runs": 2,
    "samples": 50,
    "batch": 8,
    "networks.width": 4,
    "target.std": 0.3,
    "device": "cpu",
    "progress": False,
}


class Through(Executor):
    """Passes each function on to another executor, wrapped."""

    def __init__(self, executor: Executor, wrap: Callable[..., Any], *arguments: Any) -> None:
        self.executor, self.wrap, self.arguments = executor, wrap, arguments

    def submit(self, function: Any, /, *rest: Any, **more: Any) -> Future[Any]:
        return self.executor.submit(self.wrap, *self.arguments, function, *rest, **more)


class Here(Executor):
    """Calls each function at once, where it is submitted."""

    def submit(self, function: Any, /, *arguments: Any, **more: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(function(*arguments, **more))
        except Exception as error:
            future.set_exception(error)
        return future


def processes() -> ProcessPoolExecutor:
    return ProcessPoolExecutor(2, multiprocessing.get_context("spawn"))


@contextmanager
def dask() -> Iterator[Executor]:
    """Two worker processes on this machine, without a page to look at them."""
    from distributed import Client, LocalCluster

    with (
        LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address="127.0.0.1:0", host="127.0.0.1"
        ) as cluster,
        Client(cluster) as client,
    ):
        yield client.get_executor()


def lines(path: Path) -> list[list[str]]:
    return [line.split() for line in path.read_text("utf-8").splitlines()] if path.exists() else []


def kept(journal: Path) -> Counter[int]:
    """How often each value of k is in a journal."""
    entries = journal.read_text("utf-8").splitlines() if journal.exists() else []
    return Counter(json.loads(json.loads(entry)["cell"])[0]["k"] for entry in entries if entry)


def noted(log: Path, journal: Path, dies_at: int, function: Any, cell: Any, *rest: Any) -> Any:
    """Train a cell and note it down; the first worker to begin cell ``dies_at`` is killed.

    It dies when all that was finished is in the journal, so that what is trained twice was
    trained twice for no reason.
    """
    note(log, "begun", cell)
    begun = [line[1] for line in lines(log) if line[0] == "begun"]
    if cell["k"] == dies_at and begun.count(str(dies_at)) == 1:
        until = time.monotonic() + 120
        while time.monotonic() < until and (holds_results() or finished(log) - kept(journal)):
            time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGKILL)
    result = function(cell, *rest)
    note(log, "finished", cell)
    return result


def note(log: Path, what: str, cell: Any) -> None:
    with log.open("a", encoding="utf-8") as file:
        file.write(f"{what} {cell['k']}\n")


def finished(log: Path) -> Counter[int]:
    return Counter(int(k) for what, k in lines(log) if what == "finished")


def holds_results() -> bool:
    """Whether a worker of Dask still keeps what it made."""
    from distributed import get_worker

    try:
        return bool(get_worker().data)
    except ValueError:  # this is none
        return False


# --- The same table -----------------------------------------------------------------------


@pytest.fixture(scope="module")
def alone() -> pd.DataFrame:
    return sweep(AXES, **TINY)


def test_threads_make_the_same_table(alone: pd.DataFrame, monkeypatch: pytest.MonkeyPatch):
    @wraps(mlp)
    def slow(*sizes: int, **options: Any) -> torch.nn.Module:
        time.sleep(0.01)  # others have their turn between the seed and the weights
        return mlp(*sizes, **options)

    monkeypatch.setattr(sweeps, "mlp", slow)
    before = torch.get_rng_state()
    with ThreadPoolExecutor(4) as pool:
        pd.testing.assert_frame_equal(sweep(AXES, executor=pool, **TINY), alone)
    assert torch.equal(torch.get_rng_state(), before)


def test_processes_make_the_same_table_and_record(
    alone: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    path = tmp_path / "k.toml"
    plain = {key: value for key, value in TINY.items() if key not in ("device", "progress")}
    text = "".join(f"{key} = {value}\n" for key, value in plain.items())
    path.write_text(f"{text}[grid]\nk = {AXES['k']}\n", "utf-8")
    with processes() as pool:
        frame = record(path, tmp_path / "k.csv", executor=pool, device="cpu")
    pd.testing.assert_frame_equal(frame, alone)
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "k.csv"), alone)
    assert json.loads((tmp_path / "k.json").read_text("utf-8"))["machine"] == about()["machine"]


# --- A worker that dies -------------------------------------------------------------------


def test_a_dask_cluster_loses_a_worker_and_no_cell(alone: pd.DataFrame, tmp_path: Path):
    log, journal = tmp_path / "log", tmp_path / "journal"
    with dask() as cluster:
        through = Through(cluster, noted, log, journal, 3)
        frame = sweep(AXES, journal=journal, executor=through, **TINY)
    pd.testing.assert_frame_equal(frame, alone)
    assert kept(journal) == Counter(AXES["k"])  # each once
    assert finished(log) == Counter(AXES["k"])  # none was trained to its end twice
    assert lines(log).count(["begun", "3"]) == 2  # the one whose worker died


def test_a_broken_pool_is_said_and_the_next_call_goes_on(alone: pd.DataFrame, tmp_path: Path):
    log, journal = tmp_path / "log", tmp_path / "journal"
    arguments = noted, log, journal, 3
    with (
        processes() as pool,
        pytest.raises(RuntimeError, match=r"was not trained: BrokenProcessPool.*same call goes on"),
    ):
        sweep(AXES, journal=journal, executor=Through(pool, *arguments), **TINY)
    was, begun = kept(journal), len(lines(log))
    assert 3 not in was
    assert was
    with processes() as pool:
        frame = sweep(AXES, journal=journal, executor=Through(pool, *arguments), **TINY)
    pd.testing.assert_frame_equal(frame, alone)
    assert kept(journal) == Counter(AXES["k"])
    again = Counter(int(k) for what, k in lines(log)[begun:] if what == "begun")
    assert was + again == Counter(AXES["k"])


def test_a_cell_that_fails_is_named_and_the_others_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def failing(cell: Any, *rest: Any) -> Any:
        if cell["k"] == 3:
            raise MemoryError("no more")
        return measure(cell, *rest)

    measure, journal = sweeps._measure, tmp_path / "journal"
    monkeypatch.setattr(sweeps, "_measure", failing)
    with (
        ThreadPoolExecutor(1) as pool,
        pytest.raises(RuntimeError, match=r"cell k = 3 .*MemoryError\('no more'\)"),
    ):
        sweep(AXES, journal=journal, executor=pool, **TINY)
    assert {1, 2} <= set(kept(journal)) <= {1, 2, 4, 5, 6}


def test_an_interrupt_in_a_worker_is_an_interrupt(monkeypatch: pytest.MonkeyPatch):
    def interrupted(*_: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(sweeps, "_measure", interrupted)
    with ThreadPoolExecutor(1) as pool, pytest.raises(KeyboardInterrupt):
        sweep(AXES, executor=pool, **TINY)


# --- What a worker must be ----------------------------------------------------------------


def test_a_worker_of_another_version_is_refused(monkeypatch: pytest.MonkeyPatch):
    versions = iter(["1", "1", "2"])  # the sweep's, the executor's, the worker's
    monkeypatch.setattr(devices, "_own_version", lambda: next(versions))
    with pytest.raises(RuntimeError, match=r"a worker has .*'2'.*, its caller .*'1'"):
        sweep({"k": [1]}, executor=Here(), **TINY)


def test_a_worker_takes_as_many_threads_as_its_caller():
    def with_more(function: Any, *arguments: Any) -> Any:
        torch.set_num_threads(2)
        return function(*arguments)

    torch.set_num_threads(1)  # whatever a test before this one has left
    try:
        sweep({"k": [1]}, executor=Through(Here(), with_more), **TINY)
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(1)


def test_a_checkout_that_is_not_installed_sweeps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    installed, find = version("gan-course"), Distribution.from_name

    def missing(name: str) -> Distribution:
        if name == "gan-course":
            raise PackageNotFoundError(name)
        return find(name)

    monkeypatch.setattr(Distribution, "from_name", missing)
    with pytest.raises(PackageNotFoundError):
        version("gan-course")
    assert about("cpu")["versions"]["gan-course"] == installed
    (tmp_path / "k.toml").write_text("steps = 1\nruns = 1\nbatch = 8\nsamples = 9\n", "utf-8")
    main(["sweep", str(tmp_path / "k.toml"), "--output", str(tmp_path / "k.csv"), "--device=cpu"])
    assert len(pd.read_csv(tmp_path / "k.csv")) == 1


# --- What is written ----------------------------------------------------------------------


def test_a_record_is_the_old_one_or_the_new_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "k.toml").write_text("steps = 1\nruns = 1\nbatch = 8\nsamples = 9\n", "utf-8")
    output = tmp_path / "k.csv"
    output.write_text("an older record", "utf-8")

    def full(_: int) -> None:
        assert output.read_text("utf-8") == "an older record"
        raise OSError("no space left")

    with monkeypatch.context() as patch, pytest.raises(OSError, match="no space"):
        patch.setattr(os, "fsync", full)
        record(tmp_path / "k.toml", output, device="cpu")
    assert output.read_text("utf-8") == "an older record"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["k.csv", "k.tmp", "k.toml"]
    record(tmp_path / "k.toml", output, device="cpu")
    assert len(pd.read_csv(output)) == 1
    assert sorted(p.name for p in tmp_path.iterdir()) == ["k.csv", "k.json", "k.toml"]
