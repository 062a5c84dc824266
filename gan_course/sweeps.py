"""Sweeps: many settings, each trained as an ensemble, measured and kept in one table.

In Python, settings are keyword arguments and the grid is a dictionary of lists::

    frame = sweep({"k": [1, 5], "rate": [1e-4, 1e-3]}, loss="hinge", steps=1_000, runs=32)

A recorded sweep is a TOML file with the same keys, which

    python -m gan_course sweep figures/sweeps/NAME.toml

trains again. Cells are trained one after the other, or, given any
:class:`concurrent.futures.Executor`, side by side: on this machine's cores or on a cluster::

    with ProcessPoolExecutor(4, multiprocessing.get_context("spawn")) as pool:
        frame = sweep({"k": [1, 5]}, journal=Path("k.journal"), executor=pool)

A key is a name of the top level, or of a table:

==================  =====================================================================
key                 what it sets
==================  =====================================================================
``steps``           generator steps of a training
``runs``            trainings in each cell of the grid; they differ in weights and batches
``samples``         samples of each run that are measured in the end
``averaged``        whether the averaged weights make them
``seed``            of the weights, the batches and the noise, the same in each cell
``target.name``     a key of :data:`gan_course.distributions.TARGETS` that has modes;
                    ``target.std`` and the like are its arguments
``prior.name``      a key of :data:`gan_course.distributions.PRIORS`; and ``prior.dim``
``networks.width``  and every other option of :func:`gan_course.networks.mlp`, for both
                    players; ``generator.width``, ``discriminator.width`` for one
``k``, ``loss``     and every other field of :class:`gan_course.training.Settings`
``rate``            both players' learning rates
``penalties.R1``    the weight of a penalty
``schedule.rate``   a setting that changes with the steps: ``{start = 1e-3, stop = 1e-5,
                    begin = 10_000, end = 20_000}``, see
                    :class:`gan_course.training.Linear`
==================  =====================================================================
"""

from __future__ import annotations

import inspect
import itertools
import json
import os
import time
import tomllib
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor, as_completed
from contextlib import suppress
from dataclasses import fields
from pathlib import Path
from threading import Lock
from typing import Any

import pandas as pd
import torch
from tqdm.auto import tqdm

from gan_course.arguments import file, flag, mapping, number, shown
from gan_course.checkpoints import replace_file
from gan_course.distributions import PRIORS, TARGETS, GaussianMixture
from gan_course.metrics import Interval, mean_interval, mode_coverage, proportion_interval
from gan_course.networks import Ensemble, mlp
from gan_course.penalties import PENALTIES
from gan_course.training import Linear, NonFiniteError, Settings, Trainer
from gan_course.training.devices import about

#: Values by dotted key: ``{"loss": "hinge", "generator.width": 16}``.
Cell = dict[str, Any]

PLAYERS = ("generator", "discriminator")
MEASURES = ("modes", "high_quality", "reverse_kl", "diverged")

#: Weights are drawn from torch's global state, which threads share.
_drawing = Lock()
#: What a schedule says, with an example of each.
_LINE: Cell = {"start": 0.1, "stop": 0.1, "begin": 0, "end": 100}


def sweep(
    grid: Mapping[str, Any] | None = None,
    *,
    variants: Mapping[str, Mapping[str, Any]] | None = None,
    journal: Path | None = None,
    executor: Executor | None = None,
    device: str = "auto",
    program: str = "eager",
    progress: bool = True,
    **settings: Any,
) -> pd.DataFrame:
    """Train every cell of a grid of settings, each as an ensemble, and measure its runs.

    Args:
        grid: a list of values for each key; their product is trained.
        variants: named changes, each crossed with the grid: ``{"plain": {}, "R1":
            {"penalties.R1": 0.1}}``.
        journal: a file in which each finished cell is kept at once. The cells that it holds
            are not trained again, if device, threads and versions are the same.
        executor: what trains the cells, several at once: a ``ProcessPoolExecutor`` (start its
            processes by ``"spawn"``: a fork of a process that has used torch may hang), a
            Dask cluster's ``client.get_executor()``, or whatever else submits functions and
            gives :class:`concurrent.futures.Future`. Default: none, one cell after the other.
            Each worker needs this library, of the same version, and takes as many threads as
            this process has. If a worker dies, a Dask cluster trains its cell again; a pool of
            processes breaks, and with the journal the next call goes on.
        device: see :func:`gan_course.training.pick_device`.
        program: see :class:`gan_course.training.Trainer`; to compile pays for long trainings.
        progress: whether to show a bar, unless the environment has ``TQDM_DISABLE``.
        **settings: what all cells share, see the head of this module.

    Returns:
        A row for each cell and run: ``cell``, the swept keys, ``run``, the measures of
        :func:`gan_course.metrics.mode_coverage`, and ``diverged``, whether the run stopped
        at a loss that is not finite; it is then measured where it stopped. The seconds that
        the cells took, added up, are in ``frame.attrs["seconds"]``, and where they were
        trained in ``frame.attrs["machine"]``.

    Raises:
        ValueError: a key or a value is not allowed; the message names it. All cells are
            checked before the first is trained.
        RuntimeError: the executor could not train a cell, or a worker has other versions. No
            other cell is begun then, and those that are finished are in the journal.
        KeyboardInterrupt: the sweep was interrupted.
    """
    journal = None if journal is None else file("journal", journal)
    plan = list(cells(grid, variants, settings))
    for _, cell in plan:
        _trainer(cell | {"runs": 1}, "cpu")  # complains of bad values
    here = about(device)
    names = [json.dumps([cell, here | {"program": program}], sort_keys=True) for _, cell in plan]
    done = _finished(journal)
    left = {name: pair for name, pair in zip(names, plan, strict=True) if name not in done}
    hidden = not progress or "TQDM_DISABLE" in os.environ
    total = sum(cell["steps"] for _, cell in left.values())
    with tqdm(total=total, unit="step", disable=hidden) as bar:
        if executor is None:
            found = _one_by_one(left, device, program, bar)
        else:
            found = _side_by_side(executor, left, device, program, bar)
        for name, result in found:
            done[name] = result
            if journal is not None:
                _append(journal, {"cell": name, **result})
    frames = [
        pd.DataFrame({"cell": number, **labels, **done[name]["rows"]})
        for number, (name, (labels, _)) in enumerate(zip(names, plan, strict=True))
    ]
    frame = pd.concat(frames, ignore_index=True)
    frame.attrs["seconds"] = sum(done[name]["seconds"] for name in names)
    frame.attrs["machine"] = "; ".join(sorted({(here | done[name])["machine"] for name in names}))
    return frame


# -- Where cells are trained ----------------------------------------------------------


def _one_by_one(
    left: Mapping[str, tuple[Cell, Cell]], device: str, program: str, bar: Any
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Train cells here; yield each one's name with its result."""
    for name, (labels, cell) in left.items():
        bar.set_description(_words(labels))
        yield name, _result(cell, device, program, about(device), bar.update)


def _side_by_side(
    executor: Executor, left: Mapping[str, tuple[Cell, Cell]], device: str, program: str, bar: Any
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Train cells where the executor does; yield each as it is finished, the failures last."""
    here, failures = about(device), []
    futures = {
        executor.submit(_result, cell, device, program, here): name
        for name, (_, cell) in left.items()
    }
    try:
        for future in as_completed(futures):
            name = futures.pop(future)
            labels, cell = left[name]
            if future.cancelled():
                continue
            if error := future.exception():
                failures.append((labels, error))
                for other in futures:  # those in work may end well
                    other.cancel()
                continue
            result = future.result()
            # A cluster keeps a result, and makes a lost one again, while somebody holds its future.
            del future
            bar.update(cell["steps"])
            yield name, result
    finally:
        for future in futures:
            future.cancel()
    for labels, error in failures:
        if not isinstance(error, Exception):
            raise error  # an interrupt
        raise RuntimeError(
            f"the cell {_words(labels)} was not trained: {error!r}. Those that were are kept, "
            "if there is a journal: the same call goes on after them"
        ) from error


def _result(
    cell: Cell,
    device: str,
    program: str,
    caller: Cell,
    tick: Callable[[int], object] = lambda _: None,
) -> dict[str, Any]:
    """Train and measure one cell in this process, which may be a worker's.

    Raises:
        RuntimeError: this process has other versions than its caller, which :func:`about` tells.
    """
    if torch.get_num_threads() != caller["threads"]:
        torch.set_num_threads(caller["threads"])
    mine = about(device)
    if mine["versions"] != caller["versions"]:
        raise RuntimeError(f"a worker has {mine['versions']}, its caller {caller['versions']}")
    begin = time.perf_counter()
    rows = _measure(cell, device, program, tick)
    return {"seconds": time.perf_counter() - begin, "rows": rows, "machine": mine["machine"]}


# -- Cells ----------------------------------------------------------------------------


def flat(table: Mapping[str, Any], prefix: str = "") -> Cell:
    """Join the keys of nested tables by dots: ``{"target": {"std": 1}}`` to ``target.std``."""
    cell: Cell = {}
    for key, value in table.items():
        if isinstance(value, Mapping):
            cell |= flat(value, f"{prefix}{key}.")
        else:
            cell[prefix + key] = value
    return cell


def cells(
    grid: Mapping[str, Any] | None,
    variants: Mapping[str, Mapping[str, Any]] | None,
    settings: Mapping[str, Any],
) -> Iterator[tuple[Cell, Cell]]:
    """List the cells of a sweep: what tells each from the others, and all that it is.

    Raises:
        ValueError: see :func:`complete`; or an axis of the grid is no list.
    """
    axes = flat({} if grid is None else mapping("grid", grid))
    variants = {} if variants is None else mapping("variants", variants)
    mapping("settings", settings)
    for name, changes in variants.items():
        mapping(f"variants[{name!r}]", changes)
    for key, values in axes.items():
        if not isinstance(values, list | tuple) or not values:
            raise ValueError(f"grid: {key} = {values!r}: expected a list of values")
    for name, changes in (variants or {"": {}}).items():
        for values in itertools.product(*axes.values()):
            point = dict(zip(axes, values, strict=True))
            labels = {key: _scalar(value) for key, value in point.items()}
            if variants:
                labels = {"variant": name, **labels}
            yield labels, complete(flat(settings), flat(changes), point)


def _scalar(value: Any) -> Any:
    return json.dumps(value) if isinstance(value, list | tuple) else value


def complete(*layers: Cell) -> Cell:
    """Lay settings over the defaults, so that a record says what was trained, come what may.

    A later layer stands above an earlier one; in one layer, what is said of one player stands
    above what is said of both.

    Raises:
        ValueError: a key is unknown, its value is not of its default's type, it has no effect, or a
            count is below 1.
    """
    said = {key: value for layer in layers for key, value in layer.items()}
    required, optional, general = _keys(said)
    allowed = required | optional
    allowed |= {both: allowed[key] for key, both in general.items()}
    for key, value in said.items():
        if key not in allowed:
            raise ValueError(f"{key} = {value!r}: there is no such key; {_like(key, allowed)}")
        if not _same_type(value, allowed[key]):
            kind = type(allowed[key]).__name__
            raise ValueError(f"{key} = {value!r}: expected {kind}, like {allowed[key]!r}")
    chosen: Cell = {}
    for layer in layers:
        chosen |= {key: layer[both] for key, both in general.items() if both in layer}
        chosen |= {key: value for key, value in layer.items() if key not in general.values()}
    for name in {key.split(".")[1] for key in chosen if key.startswith("schedule.")} & set(chosen):
        if chosen[name] != required[name]:  # a record's note says the defaults, too
            raise ValueError(f"{name} = {chosen[name]!r}: no effect, there is a schedule.{name}")
    cell = required | chosen
    for key in ("steps", "runs", "samples", "prior.dim"):
        if cell[key] < 1:
            raise ValueError(f"{key} = {cell[key]!r}: must be at least 1")
    return cell


def _keys(cell: Mapping[str, Any]) -> tuple[Cell, Cell, dict[str, str]]:
    """Keys that have a default; keys that may be absent; keys that a general one sets, too."""
    required: Cell = {
        "steps": 1_000,
        "runs": 32,
        "samples": 2_500,
        "averaged": False,
        "seed": 0,
        "target.name": "ring",
        "prior.name": "normal",
        "prior.dim": 2,
    }
    target = TARGETS.get(cell.get("target.name", "ring"))
    if target is None or target().modes is None:
        modal = sorted(name for name, build in TARGETS.items() if build().modes is not None)
        raise ValueError(f"target.name = {cell['target.name']!r}: choose one of {modal}")
    required |= {f"target.{name}": default for name, default in _defaults(target).items()}
    general: dict[str, str] = {}
    for player in PLAYERS:
        for name, default in _defaults(mlp).items():
            required[f"{player}.{name}"] = default
            general[f"{player}.{name}"] = f"networks.{name}"
        general[f"{player}_rate"] = "rate"
    plain = Settings()
    required |= {f.name: getattr(plain, f.name) for f in fields(Settings) if f.name != "penalties"}
    optional: Cell = {f"penalties.{name}": 0.0 for name in PENALTIES}
    for name in (f.name for f in fields(Settings) if isinstance(required.get(f.name), float)):
        for part, example in _LINE.items():
            optional[f"schedule.{name}.{part}"] = example
            if name in general:
                general[f"schedule.{name}.{part}"] = f"schedule.{general[name]}.{part}"
    return required, optional, general


def _defaults(function: Callable[..., object]) -> Cell:
    parameters = inspect.signature(function).parameters.values()
    return {p.name: p.default for p in parameters if p.default is not p.empty}


def _same_type(value: object, default: object) -> bool:
    if isinstance(default, tuple):
        return isinstance(value, list | tuple)
    if isinstance(default, float):
        return isinstance(value, int | float) and not isinstance(value, bool)
    return type(value) is type(default)


def _like(key: str, allowed: Mapping[str, Any]) -> str:
    """The allowed keys of the same table, or of the top level."""
    table = key.rpartition(".")[0]
    alike = sorted(name for name in allowed if name.rpartition(".")[0] == table)
    if alike:
        return f"allowed are {alike}"
    tables = sorted({name.rpartition(".")[0] for name in allowed} - {""})
    return f"allowed are tables {tables}"


def _part(cell: Mapping[str, Any], table: str) -> Cell:
    """The values of one table."""
    start = table + "."
    return {key[len(start) :]: value for key, value in cell.items() if key.startswith(start)}


def _words(labels: Mapping[str, Any]) -> str:
    return ", ".join(f"{key} = {value}" for key, value in labels.items())


# -- Training a cell ------------------------------------------------------------------


def _trainer(cell: Cell, device: str, program: str = "eager") -> Trainer:
    """The two ensembles and their trainer, from a complete cell.

    Raises:
        ValueError: a value is not allowed; the message names it.
    """
    if cell["prior.name"] not in PRIORS:
        raise ValueError(f"prior.name = {cell['prior.name']!r}: choose one of {sorted(PRIORS)}")
    prior = PRIORS[cell["prior.name"]](cell["prior.dim"])
    target = _target(cell)
    chosen = {f.name: cell[f.name] for f in fields(Settings) if f.name in cell}
    settings = Settings(
        **chosen | {"betas": tuple(cell["betas"]), "penalties": _part(cell, "penalties")}
    )
    if cell["averaged"] and not settings.averaging:
        raise ValueError("averaged = True: needs averaging above 0")
    _schedule(cell)
    sizes = {
        "generator": (prior.event_shape[0], target.event_shape[0]),
        "discriminator": (settings.packing * target.event_shape[0], 1),
    }
    seed = cell["seed"]
    with _drawing, torch.random.fork_rng(devices=[]):  # the weights are made on the CPU
        torch.manual_seed(seed)
        G, D = (
            Ensemble(lambda p=player: mlp(*sizes[p], **_part(cell, p)), cell["runs"])  # type: ignore[misc]
            for player in PLAYERS
        )
    return Trainer(G, D, target, prior, settings, seed=seed, device=device, program=program)


def _target(cell: Cell) -> GaussianMixture:
    arguments = _part(cell, "target")
    return TARGETS[arguments.pop("name")](**arguments)


def _schedule(cell: Cell) -> dict[str, Linear]:
    """The settings that change with the steps.

    Raises:
        ValueError: a schedule lacks one of its four numbers, or they do not fit.
    """
    lines: dict[str, Cell] = {}
    for key, value in _part(cell, "schedule").items():
        name, _, part = key.partition(".")
        lines.setdefault(name, {})[part] = value
    for name, line in lines.items():
        if set(line) != set(_LINE):
            raise ValueError(f"schedule.{name} = {line!r}: needs each of {sorted(_LINE)}")
    return {name: Linear(**line) for name, line in lines.items()}


def _measure(
    cell: Cell, device: str, program: str, tick: Callable[[int], object]
) -> dict[str, list[Any]]:
    """Train one cell, and measure its runs; ``tick`` is told of steps taken."""
    trainer, schedule = _trainer(cell, device, program), _schedule(cell)
    try:
        while trainer.steps < cell["steps"]:
            steps = min(cell["steps"] - trainer.steps, 250)
            taken = len(trainer.train(steps, schedule=schedule, progress=False))
            tick(taken)
            if taken < steps:  # the trainer keeps an interrupt to itself
                raise KeyboardInterrupt
        diverged = trainer.frozen
    except NonFiniteError:  # every run has stopped
        diverged = torch.ones_like(trainer.frozen)
    target = _target(cell).to(trainer.device)
    samples = trainer.sample(cell["samples"], averaged=cell["averaged"])
    found = mode_coverage(samples, target.centers, float(target.std[0]))
    return {
        "run": list(range(cell["runs"])),
        "modes": found.modes.tolist(),
        "high_quality": [round(share, 6) for share in found.high_quality.tolist()],
        "reverse_kl": [round(divergence, 6) for divergence in found.reverse_kl.tolist()],
        "diverged": diverged.tolist(),
    }


def _append(journal: Path, line: Mapping[str, Any]) -> None:
    with journal.open("a", encoding="utf-8") as file:
        # A line feed first: the line before may have been torn by the end of its process.
        file.write("\n" + json.dumps(line))


def _finished(journal: Path | None) -> dict[str, Any]:
    """The journal's cells by name."""
    done = {}
    if journal is not None and journal.exists():
        for line in journal.read_text("utf-8").splitlines():
            with suppress(json.JSONDecodeError):  # a torn line: that cell is trained again
                entry = json.loads(line)
                done[entry.pop("cell")] = entry
    return done


# -- Recorded sweeps ------------------------------------------------------------------


def read(path: Path, *, quick: bool = False) -> dict[str, Any]:
    """Read a TOML file into the arguments of :func:`sweep`.

    Args:
        path: the file. Its tables ``grid`` and ``variants`` are those of :func:`sweep`; its
            table ``quick`` says what a small version changes: any setting, the lists of
            ``quick.grid``, and in ``quick.variants`` the names of those to keep; all else
            is settings.
        quick: whether to read the small version.

    Raises:
        ValueError: the file is not TOML, or has no small version.
    """
    path, quick = file("path", path), flag("quick", quick)
    try:
        settings = tomllib.loads(path.read_text("utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{path}: {error}") from None
    grid, variants = flat(settings.pop("grid", {})), settings.pop("variants", {})
    small = settings.pop("quick", None)
    if quick:
        if small is None:
            raise ValueError(f"{path}: has no table [quick]")
        grid |= flat(small.pop("grid", {}))
        variants = {name: variants[name] for name in small.pop("variants", variants)}
        settings = flat(settings) | flat(small)
    return {"grid": grid, "variants": variants, **flat(settings)}


def record(
    path: Path,
    output: Path,
    *,
    quick: bool = False,
    executor: Executor | None = None,
    device: str = "auto",
    program: str = "eager",
) -> pd.DataFrame:
    """Train a recorded sweep; write its table, and beside it a note of how it was made.

    If it is interrupted, the next call goes on after the last finished cell. An older record
    is replaced when all is done, each of its files at once.

    Args:
        path: the sweep's TOML file.
        output: the table, CSV; the note's name ends in JSON.
        quick: whether to train the small version.
        executor: see :func:`sweep`.
        device: see :func:`sweep`.
        program: see :func:`sweep`.

    Raises:
        ValueError: see :func:`read` and :func:`sweep`.
    """
    arguments = read(path, quick=quick)
    output.parent.mkdir(parents=True, exist_ok=True)
    journal = output.with_suffix(".tmp")
    frame = sweep(**arguments, journal=journal, executor=executor, device=device, program=program)
    grid, variants = arguments.pop("grid"), arguments.pop("variants")
    first, *others = (cell for _, cell in cells(grid, variants, arguments))
    note = {
        "command": f"python -m gan_course sweep {path.as_posix()}" + " --quick" * quick,
        "seconds": round(frame.attrs["seconds"], 1),
        **about(device),
        "machine": frame.attrs["machine"],
        "program": program,
        "grid": grid,
        "variants": variants,
        # What the file says for all, which a variant may change, and all else that the cells share.
        "settings": {key: value for key, value in flat(arguments).items() if key not in flat(grid)}
        | {
            key: value
            for key, value in first.items()
            if all(other.get(key) == value for other in others)
        },
    }
    replace_file(output, frame.to_csv(index=False, lineterminator="\n").encode())
    replace_file(output.with_suffix(".json"), (json.dumps(note, indent=2) + "\n").encode())
    journal.unlink()
    return frame


def disagreements(one: pd.DataFrame, other: pd.DataFrame, confidence: float = 0.95) -> list[str]:
    """Say where two tables of one sweep differ by more than chance.

    For each cell and measure the intervals of both means must overlap. Their confidence is
    raised (Bonferroni), so that all of them hold at once with the probability ``confidence``.

    Raises:
        ValueError: the tables have not the same cells, one is no table of a sweep, or the
            confidence is not between 0 and 1.
    """
    for name, table in (("one", one), ("other", other)):
        if not isinstance(table, pd.DataFrame) or not {"cell", *MEASURES} <= {*table.columns}:
            raise ValueError(f"{name} = {shown(table)}: must be a table, as sweep() makes one")
    confidence = number("confidence", confidence, above=0, below=1)
    numbers = sorted(set(one["cell"]))
    if numbers != sorted(set(other["cell"])):
        raise ValueError(f"one has {len(numbers)} cells and other {other['cell'].nunique()}")
    each = 1 - (1 - confidence) / (2 * len(numbers) * len(MEASURES))
    found = []
    for cell, measure in itertools.product(numbers, MEASURES):
        a, b = (_interval(t.loc[t["cell"] == cell, measure], each) for t in (one, other))
        if a.low > b.high or b.low > a.high:
            found.append(f"cell {cell}, {measure}: {a.estimate:.4g} and {b.estimate:.4g}")
    return found


def _interval(values: pd.Series[Any], confidence: float) -> Interval:
    if values.dtype == bool:
        return proportion_interval(int(values.sum()), len(values), confidence)
    return mean_interval(values.to_numpy(), confidence)
