"""The library's commands: ``python -m gan_course sweep``, ``train``, ``audit``, ``grade``.

``torchrun --nproc-per-node=2 -m gan_course train NAME`` trains on two processes together.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from torch import nn

from gan_course.checkpoints import CheckpointError
from gan_course.distributions import TARGETS, Empirical, GaussianMixture, normal
from gan_course.images import digits
from gan_course.losses import LOSSES
from gan_course.metrics import mode_coverage, squared_mmd
from gan_course.networks import Ensemble, mlp
from gan_course.sweeps import record
from gan_course.training import History, NonFiniteError, Settings, Trainer
from gan_course.training.programs import PROGRAMS
from gan_course.training.ranks import RanksError, joined

#: The target that is made of pictures.
DIGITS = "digits"


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command that the arguments name."""
    parser = argparse.ArgumentParser(prog="python -m gan_course", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="command")
    sweep = commands.add_parser(
        "sweep",
        help="train a recorded sweep again, and write its record",
        description="Train a recorded sweep again, and write its record. One that was "
        "interrupted goes on after its last finished cell.",
    )
    sweep.add_argument("path", type=Path, help="what to train, a TOML file")
    sweep.add_argument("--quick", action="store_true", help="the file's small version")
    sweep.add_argument("--output", type=Path, help="default: ../runs/NAME.csv, seen from PATH")
    sweep.set_defaults(run=_sweep)
    train = commands.add_parser(
        "train",
        help="train GANs on one of the book's targets, or on handwritten digits",
        description="Train GANs on one of the book's targets, or on handwritten digits, with a "
        "checkpoint: given again, the same command goes on where it was stopped. With torchrun "
        "--nproc-per-node=N -m gan_course train …, N processes train together, each on its "
        "share of every batch, or of the runs.",
    )
    train.add_argument("target", choices=[*TARGETS, DIGITS], help="what to learn")
    train.add_argument("--steps", type=int, default=5_000, help="in all; default: %(default)s")
    train.add_argument("--checkpoint", type=Path, help="default: TARGET.pt, in this folder")
    train.add_argument("--every", type=int, default=1_000, help="steps between two checkpoints")
    train.add_argument("--runs", type=int, default=1, help="GANs at once; default: %(default)s")
    train.add_argument("--loss", choices=LOSSES, default="non-saturating")
    train.add_argument("--k", type=int, default=1, help="D steps for each G step")
    train.add_argument("--seed", type=int, default=0)
    train.add_argument(
        "--timeout",
        type=float,
        default=600,
        help="seconds that a process of torchrun waits for another; default: %(default)s",
    )
    train.set_defaults(run=_train)
    audit = commands.add_parser(
        "audit",
        help="what would the tests of the book notice?",
        description="Shift every number of the chapters' text, and count what is noticed; "
        "needs a checkout of the course.",
    )
    audit.add_argument("chapters", nargs="*", help="how names start, for example 06; else all")
    audit.add_argument(
        "--run", dest="execute", action="store_true", help="execute them, and judge their checks"
    )
    audit.set_defaults(run=_audit, threads=1)
    grade = commands.add_parser(
        "grade",
        help="which exercises of submitted notebooks are right?",
        description="Run the exercises of submitted notebooks, each in a kernel of its own, and "
        "judge the answers: right, wrong with which hint, open, or crashed. A submission runs as "
        "you: grade strangers in a container.",
    )
    grade.add_argument("paths", nargs="+", type=Path, metavar="FILE.ipynb")
    grade.add_argument("--jobs", type=int, default=1, help="side by side; default: %(default)s")
    grade.add_argument("--format", choices=("text", "csv", "json"), default="text")
    grade.add_argument("--output", type=Path, help="where the table goes, if not to the screen")
    grade.add_argument(
        "--limit", type=float, default=120, help="seconds for a cell; default: %(default)g"
    )
    grade.add_argument(
        "--whole", action="store_true", help="run the cells above the exercises, too"
    )
    grade.set_defaults(run=_grade, threads=None)
    for command in (sweep, train):
        command.add_argument("--device", default="auto", help="auto, cpu, cuda")
        command.add_argument("--program", choices=PROGRAMS, default="eager")
        command.add_argument("--threads", type=int, help="of the processor; torch chooses")
    options = parser.parse_args(arguments)
    if options.threads:
        torch.set_num_threads(options.threads)
    try:
        options.run(options)
    except (ValueError, OSError, NonFiniteError, CheckpointError, RanksError) as error:
        sys.exit(f"{error}")


def _sweep(options: argparse.Namespace) -> None:
    name = options.path.stem + (".quick" if options.quick else "")
    output = options.output or options.path.parent.parent / "runs" / f"{name}.csv"
    try:
        record(
            options.path,
            output,
            quick=options.quick,
            device=options.device,
            program=options.program,
        )
    except KeyboardInterrupt:
        sys.exit("Interrupted. The same command goes on after the last finished cell.")
    print(f"written to {output}")  # noqa: T201


def _train(options: argparse.Namespace) -> None:
    with joined(options.device, options.timeout) as ranks:
        trainer = _trainer(options)
        path = options.checkpoint or Path(f"{options.target.replace(' ', '_')}.pt")
        wanted = trainer.settings
        if trainer.resume(path) and trainer.settings != wanted:
            made = trainer.settings
            raise ValueError(
                f"{path} was made with loss = {made.loss!r}, k = {made.k}: "
                "give the same options, or another --checkpoint"
            )
        history = History()
        with suppress(KeyboardInterrupt):  # a second one: what was trained is saved by then
            history = trainer.train(
                options.steps, checkpoint=path, every=options.every, resume=False
            )
    if not ranks.first:
        return
    print(f"{trainer.steps} steps, in {path}")  # noqa: T201
    if trainer.steps < options.steps:
        sys.exit("Interrupted. The same command goes on from there.")
    for line in _scores(trainer):
        print(line)  # noqa: T201
    if illness := history.symptom(trainer.settings.objective):
        print(illness)  # noqa: T201


def _trainer(options: argparse.Namespace) -> Trainer:
    """What the command trains: small perceptrons, on points or on pictures."""
    data: Any
    if options.target == DIGITS:
        data, prior = digits()[0], normal(16)
        shape = data.shape[1:]

        def generator() -> nn.Module:
            return nn.Sequential(mlp(16, shape.numel()), nn.Unflatten(1, shape), nn.Tanh())

        def discriminator() -> nn.Module:
            return nn.Sequential(nn.Flatten(), mlp(shape.numel(), 1))
    else:
        data, prior = TARGETS[options.target](), normal(2)

        def generator() -> nn.Module:
            return mlp(2, 2)

        def discriminator() -> nn.Module:
            return mlp(2, 1)

    torch.manual_seed(options.seed)
    return Trainer(
        Ensemble(generator, options.runs),
        Ensemble(discriminator, options.runs),
        data,
        prior,
        Settings(loss=options.loss, k=options.k),
        seed=options.seed,
        device=options.device,
        program=options.program,
    )


def _scores(trainer: Trainer) -> Iterator[str]:
    """How well each run does, in words, where there is a measure."""
    data = trainer.data
    if isinstance(data, Empirical):
        real, fake = data.data.flatten(1), trainer.sample(len(data.data)).flatten(2)
        bandwidth = float(torch.pdist(real[:500]).median())
        for run, one in enumerate(fake):
            found = float(squared_mmd(one.unsqueeze(0), real.unsqueeze(0), bandwidth))
            yield f"run {run}: MMD² to the data {found:.4f}; perfect samples have 0 on average"
    elif isinstance(data, GaussianMixture) and data.modal:
        coverage = mode_coverage(trainer.sample(2_500), data.centers, float(data.std[0]))
        for run, (modes, share) in enumerate(
            zip(coverage.modes, coverage.high_quality, strict=True)
        ):
            yield f"run {run}: {int(modes)} modes, HQ {float(share):.1%}"


def _audit(options: argparse.Namespace) -> None:
    notebooks = Path(__file__).resolve().parents[1] / "notebooks"
    if not (notebooks / "audit.py").exists():
        raise ValueError(f"there are no chapters in {notebooks}: audit needs a checkout")
    sys.path.insert(0, str(notebooks))
    importlib.import_module("audit").main(options.chapters, execute=options.execute)


def _grade(options: argparse.Namespace) -> None:
    from gan_course import grading  # noqa: PLC0415  # it needs Jupyter's packages

    def say(results: list[grading.Result]) -> None:
        right = sum(result.verdict == "right" for result in results)
        print(f"{results[0].file}: {right} of {len(results)}", file=sys.stderr)  # noqa: T201

    results = grading.grade(
        options.paths, jobs=options.jobs, limit=options.limit, whole=options.whole, done=say
    )
    table = grading.FORMATS[options.format](results)
    if options.output:
        options.output.write_text(table, encoding="utf-8")
    else:
        print(table, end="")  # noqa: T201


if __name__ == "__main__":
    main()
