"""Measure GAN-steps a second beside the loop that courses teach: ``make bench``.

    python benchmarks/run.py [--targets] [--quick] [--jax]

All contenders do the same work in one process: the ring, batch 256, two hidden layers,
non-saturating loss, Adam. First it is checked that they compute the same thing. Then they
take turns, several rounds, so that whatever else the machine does falls on all of them;
the report gives medians over the rounds, their spread, and ratios to the plain loop.
Results go to ``results/<device>.json`` with device and versions.
"""

from __future__ import annotations

import argparse
import copy
import json
import multiprocessing
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from gan_course.distributions import normal, ring
from gan_course.networks import Ensemble, mlp
from gan_course.training import Settings, Trainer, pick_device
from gan_course.training.draws import Draws
from gan_course.training.state import Player
from gan_course.training.step import Step

HERE = Path(__file__).parent
BATCH = 256
CORES = os.cpu_count() or 1
#: Width of the hidden layers, k, weight of R1: what the targets are about, and everything.
TARGETS = [(width, 1, 0.0) for width in (16, 128, 512)]
WORK = sorted(product((16, 128, 512), (1, 5), (0.0, 0.1)), key=lambda work: work not in TARGETS)
#: Rows of the matrices whose multiplication is the machine's peak.
SIZE = {"cpu": 1024, "cuda": 8192}
#: For the curves: runs of an ensemble, and widths of one run.
RUNS, WIDTHS = [1, 2, 4, 8, 16, 32, 64, 128, 256], [16, 32, 64, 128, 256, 512]


class PlainLoop:
    """The loop of most tutorials: separate forwards, BCELoss on a sigmoid, ``.item()``."""

    def __init__(self, G: nn.Module, D: nn.Module, *, k: int, r1: float, device: str) -> None:
        self.G, self.D, self.k, self.r1 = G.to(device), D.to(device), k, r1
        self.data, self.prior = ring().to(device), normal(2).to(device)
        adam = {"lr": 1e-3, "betas": (0.5, 0.999)}
        self.of_G = torch.optim.Adam(G.parameters(), **adam)
        self.of_D = torch.optim.Adam(D.parameters(), **adam)
        self.bce = nn.BCELoss()
        self.real = torch.ones(BATCH, 1, device=device)
        self.fake = torch.zeros(BATCH, 1, device=device)
        self.random = torch.Generator(device).manual_seed(0)

    def draw(self, source: Any) -> Tensor:
        """A batch."""
        sample: Tensor = source.sample((BATCH,), self.random)
        return sample

    def step(self) -> tuple[float, float]:
        """Take k discriminator steps and one generator step."""
        for _ in range(self.k):
            x = self.draw(self.data).requires_grad_(self.r1 > 0)
            generated = self.G(self.draw(self.prior))
            logits = self.D(x)
            loss_D = self.bce(torch.sigmoid(logits), self.real)
            loss_D = loss_D + self.bce(torch.sigmoid(self.D(generated.detach())), self.fake)
            if self.r1:
                (slope,) = torch.autograd.grad(logits.sum(), x, create_graph=True)
                loss_D = loss_D + self.r1 / 2 * slope.square().sum(dim=1).mean()
            self.of_D.zero_grad()
            loss_D.backward()
            self.of_D.step()
        generated = self.G(self.draw(self.prior))
        loss_G = self.bce(torch.sigmoid(self.D(generated)), self.real)
        self.of_G.zero_grad()
        loss_G.backward()
        self.of_G.step()
        return loss_D.item(), loss_G.item()

    def train(self, steps: int) -> None:
        """Take steps."""
        for _ in range(steps):
            self.step()


def bare(ours: Trainer, steps: int) -> None:
    """The same steps without what they do for the reader: no record, no check, no history."""
    step, players = Step(ours.state, ours.settings), ours.state
    draws = Draws(ours.data, ours.prior, ours.runs, ours.random, torch.float32)
    rate = torch.tensor(1e-3, dtype=torch.float64)

    def move(player: Player, loss: Tensor) -> None:
        gradients = torch.autograd.grad(loss, player.leaves, step.ones)
        flat = torch.cat([part.reshape(ours.runs, -1) for part in gradients], dim=1)
        player.move(flat, rate, ours.settings)

    for _ in range(steps):
        batch = draws.discriminator(ours.settings)
        with torch.no_grad():
            real, fake = step.shown(batch)
        move(players.discriminator, step.discriminator_loss(step.critic, real, fake, batch)[0])
        _, fake = step.shown(draws.generator(ours.settings))
        move(players.generator, step.objective.generator(None, step.critic(fake)))


def trainer(
    width: int,
    k: int = 1,
    r1: float = 0.0,
    runs: int | None = None,
    *,
    device: str = "cpu",
    program: str = "eager",
) -> Trainer:
    """The library's contender; ``runs`` is ``None`` for a plain network."""
    torch.manual_seed(0)
    networks: list[nn.Module] = [
        mlp(2, outputs, width=width, activation="relu")
        if runs is None
        else Ensemble(lambda outputs=outputs: mlp(2, outputs, width=width, activation="relu"), runs)
        for outputs in (2, 1)
    ]
    settings = Settings(k=k, batch=BATCH, penalties={"R1": r1} if r1 else {})
    return Trainer(*networks, ring(), normal(2), settings, device=device, program=program)


class Contender(NamedTuple):
    """Something that trains.

    Attributes:
        train: takes a number of steps; a step is one of every run.
        runs: GANs that train at once.
        threads: of PyTorch's; 0 for one that chooses for itself.
        steps: the smallest number of steps it takes at once.
    """

    train: Callable[[int], object]
    runs: int = 1
    threads: int = 1
    steps: int = 1


# -- do they compute the same thing? --------------------------------------------------


def assert_same_work(k: int, r1: float, device: str, program: str = "eager") -> None:
    """The plain loop and the library follow one trajectory for 20 steps, to 1e-4."""
    ours = trainer(16, k, r1, device=device, program=program)
    G, D = (copy.deepcopy(n.module) for n in (ours.generator, ours.discriminator))
    plain = PlainLoop(G, D, k=k, r1=r1, device=device)
    for _ in range(19):
        plain.step()
    losses = plain.step()
    record = ours.train(20, progress=False).last
    measured = torch.tensor([record.discriminator_loss.item(), record.generator_loss.item()])
    torch.testing.assert_close(measured, torch.tensor(losses), rtol=1e-4, atol=1e-5)


def assert_jax_does_the_same_work(k: int, r1: float) -> None:
    """Fed the same batches, JAX and the plain loop follow one trajectory for 20 steps."""
    import jax_loop  # noqa: PLC0415  # an extra
    import numpy as np  # noqa: PLC0415

    torch.manual_seed(0)
    G, D = (mlp(2, outputs, width=16, activation="relu") for outputs in (2, 1))
    players = tuple(jax_loop.fresh(jax_loop.weights(network)) for network in (G, D))
    plain = PlainLoop(G, D, k=k, r1=r1, device="cpu")
    for _ in range(20):
        xs, zs = ring().sample((k, BATCH)), normal(2).sample((k + 1, BATCH))
        order = iter([batch for pair in zip(xs, zs, strict=False) for batch in pair] + [zs[-1]])
        plain.draw = lambda _, order=order: next(order)  # type: ignore[method-assign,misc]
        players, theirs = jax_loop.step(players, xs.numpy(), zs.numpy(), r1)
        ours = plain.step()
    np.testing.assert_allclose(ours, [float(loss) for loss in theirs], rtol=1e-4, atol=1e-5)


# -- who competes ---------------------------------------------------------------------


def programs(device: str, *, quick: bool) -> list[str]:
    """How the library can run a step here; to compile is not quick."""
    return ["eager", *["compiled"] * (not quick), *["captured"] * (device != "cpu")]


def contenders(
    width: int, k: int, r1: float, runs: list[int], device: str, *, jax: bool, quick: bool
) -> dict[str, Contender]:
    """Every contender by name."""
    torch.manual_seed(0)
    networks = [mlp(2, outputs, width=width, activation="relu") for outputs in (2, 1)]
    plain = PlainLoop(*copy.deepcopy(networks), k=k, r1=r1, device=device)
    found = {"plain loop": Contender(plain.train)}
    large = max(count for count in runs if count <= 64)
    for program in programs(device, quick=quick):

        def of(count: int, threads: int, program: str = program) -> Callable[[int], object]:
            torch.set_num_threads(threads)  # an ensemble's blocks depend on it
            runs = None if count == 1 else count
            ours = trainer(width, k, r1, runs, device=device, program=program)
            return lambda steps: ours.train(steps, progress=False)

        for count in (1, *runs):
            if program == "compiled" and device == "cpu" and count not in (1, large):
                continue  # compiling takes its time
            who = "one run" if count == 1 else f"ensemble of {count}"
            # A second thread costs a small run more than it brings.
            shared = count == large or (count == 1 and program == "compiled" and width > 16)
            for threads in sorted({1, CORES}) if device == "cpu" and shared else [1]:
                name = f"{who}, {program}" + f", {threads} threads" * (threads > 1)
                least = 8 if count == 1 else 1
                found[name] = Contender(of(count, threads), count, threads, least)
    if jax:
        import jax_loop  # noqa: PLC0415  # an extra

        for count in (1, large):
            ours = [Ensemble(lambda n=n: copy.deepcopy(n), count).module for n in networks]
            pair = networks if count == 1 else ours
            length = 50 if count == 1 else 5  # steps in one call
            call = jax_loop.program(*pair, count, ring(), length, k=k, batch=BATCH, r1=r1)

            def scan(steps: int, call: Callable[[], object] = call, length: int = length) -> None:
                for _ in range(steps // length):
                    call()

            found[f"JAX, {count} run{'s' * (count > 1)}"] = Contender(scan, count, 0, length)
    return found


# -- measuring ------------------------------------------------------------------------


def rate(contender: Contender, seconds: float, device: str) -> float:
    """GAN-steps a second over about ``seconds``."""
    torch.set_num_threads(contender.threads or CORES)

    def elapsed(steps: int) -> float:
        start = time.perf_counter()
        contender.train(steps)
        if device != "cpu":
            torch.cuda.synchronize()
        return time.perf_counter() - start

    least = contender.steps
    elapsed(least)  # the first call may compile
    steps = max(1, int(seconds / elapsed(least))) * least
    return contender.runs * steps / elapsed(steps)


def measure(
    competing: dict[str, Contender], rounds: int, seconds: float, device: str
) -> dict[str, list[float]]:
    """GAN-steps a second of each, round by round: a neighbour's load falls on all of them."""
    rates: dict[str, list[float]] = {name: [] for name in competing}
    for _ in range(rounds):
        for name, contender in competing.items():
            rates[name].append(rate(contender, seconds, device))
    return rates


def summary(rates: dict[str, list[float]], base: str) -> dict[str, Any]:
    """Median GAN-steps a second, the least and the most, and the ratio to ``base``."""
    return {
        name: {
            "steps_per_second": round(statistics.median(values), 1),
            "spread": [round(min(values), 1), round(max(values), 1)],
            "ratio": round(ratio(values, rates[base]), 3),
        }
        for name, values in rates.items()
    }


def ratio(values: list[float], base: list[float]) -> float:
    """The median over the rounds of the ratios inside a round."""
    return statistics.median(v / b for v, b in zip(values, base, strict=True))


def multiplication(threads: int, device: str) -> Contender:
    """The machine's best in single precision: its steps are ``torch.mm`` of large matrices."""
    size = SIZE[device]
    a, b = torch.randn(2, size, size, device=device)
    out = torch.empty_like(a)

    def multiply(steps: int) -> None:
        for _ in range(steps):
            torch.mm(a, b, out=out)

    return Contender(multiply, threads=threads)


class Operations(TorchDispatchMode):
    """Counts floating-point operations; ``FlopCounterMode`` cannot see a gradient's gradient."""

    total = 0.0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Run an operation; add its count if it is a matrix product."""
        out = func(*args, **(kwargs or {}))
        count = flop_registry.get(func._overloadpacket)
        self.total += count(*args, **(kwargs or {}), out_val=out) if count else 0
        return out


def operations(width: int, k: int, r1: float) -> float:
    """Floating-point operations that the matrix products of one GAN-step take."""
    ours = trainer(width, k, r1)
    with Operations() as counter:
        ours.step()
    return counter.total


#: Seconds after which a training whose memory is measured is given up.
LONGEST = 600


def _high_water(device: str) -> float:
    """Megabytes that this process has held at most, of the device's memory."""
    if device != "cpu":
        return torch.cuda.max_memory_allocated() / 2**20
    # `getrusage` would tell the parent's.
    lines = Path("/proc/self/status").read_text("utf-8").splitlines()
    (line,) = (line for line in lines if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def _peak(width: int, runs: int | None, program: str, device: str, results: Any) -> None:
    torch.set_num_threads(1)
    before = _high_water(device)
    trainer(width, runs=runs, program=program, device=device).train(40, progress=False)
    results.put(_high_water(device) - before)


def peak_memory(width: int, runs: int | None, program: str, device: str) -> float:
    """Megabytes that a training adds to a process that has imported the library, at its peak."""
    fresh = multiprocessing.get_context("spawn")
    results = fresh.Queue()
    process = fresh.Process(target=_peak, args=(width, runs, program, device, results))
    process.start()
    process.join(LONGEST)
    if process.exitcode is None:
        process.kill()
        raise TimeoutError(f"the training whose memory is measured took more than {LONGEST} s")
    if process.exitcode:
        raise RuntimeError("the training whose memory is measured ended with the error above")
    megabytes: float = results.get()
    return round(megabytes, 1)


def about(device: str) -> dict[str, Any]:
    """Where this was measured, and with what."""
    cpu = f"{os.cpu_count()} CPU cores ({platform.machine()})"
    versions = {"python": platform.python_version(), "torch": torch.__version__}
    if "jax" in sys.modules:
        versions["jax"] = sys.modules["jax"].__version__
    return {
        "machine": cpu if device == "cpu" else torch.cuda.get_device_name(),
        "load_at_the_start": [round(load, 2) for load in os.getloadavg()],
        "versions": versions,
    }


def tell(what: str, found: dict[str, Any]) -> None:
    """Print what :func:`measure` found."""
    for name, row in found.items():
        speed = f"{row['steps_per_second']:10.0f} GAN-steps/s  × {row['ratio']:.2f}"
        share = f"  {row['share_of_peak']:.0%} of peak" if "share_of_peak" in row else ""
        print(f"{what}  {name:36}{speed}{share}", flush=True)


def competition(record: dict[str, Any], options: argparse.Namespace, device: str) -> None:
    """All contenders on each work, beside the machine's matrix multiplication."""
    peaks = {threads: f"torch.mm, {threads}" for threads in {1, CORES}}
    record["multiplications_per_second"] = {}
    record["results"] = []
    runs = [8, 64, 256] if device == "cpu" else [64, 1024, 4096]
    for width, k, r1 in options.work:
        affordable = [count for count in runs if device != "cpu" or count * width <= 8192]
        if options.quick:
            affordable = [8]
        competing = contenders(
            width, k, r1, affordable, device, jax=options.jax, quick=options.quick
        )
        beside = {name: multiplication(threads, device) for threads, name in peaks.items()}
        rates = measure(competing | beside, options.rounds, options.seconds, device)
        found = summary({name: rates[name] for name in competing}, "plain loop")
        arithmetic = operations(width, k, r1) / (2 * SIZE[device] ** 3)  # in multiplications
        for name, contender in competing.items():
            peak = rates[peaks[contender.threads or CORES]]
            found[name]["share_of_peak"] = round(arithmetic * ratio(rates[name], peak), 3)
        for threads, name in peaks.items():
            best = 2 * SIZE[device] ** 3 * statistics.median(rates[name])
            record["multiplications_per_second"].setdefault(str(threads), []).append(round(best))
        record["results"].append({"width": width, "k": k, "R1": r1, "contenders": found})
        tell(f"width {width:3}  k {k}  R1 {r1:<4}", found)
        options.write()


def for_the_reader(record: dict[str, Any], options: argparse.Namespace, device: str) -> None:
    """What records, checks for finite values, history and a callback cost."""
    record["for_the_reader"] = {}
    torch.set_num_threads(1)
    for width, count in ((16, None), (16, 64), (128, None)):
        ours = trainer(width, runs=count, device=device)
        stripped = trainer(width, runs=count, device=device)
        both = {
            "with": Contender(
                lambda steps, ours=ours: ours.train(steps, lambda _: None, progress=False),
                count or 1,
            ),
            "without": Contender(lambda steps, ours=stripped: bare(ours, steps), count or 1),
        }
        found = summary(measure(both, 15, options.seconds, device), "without")
        tell(f"records, checks, history, a callback: width {width}, {count or 1} runs", found)
        record["for_the_reader"][f"width {width}, {count or 1} runs"] = found
        options.write()


def curves(record: dict[str, Any], options: argparse.Namespace, device: str) -> None:
    """GAN-steps a second against the number of runs, and against the width."""

    def alone(width: int, count: int) -> Contender:
        torch.set_num_threads(1)
        ours = trainer(width, runs=count, device=device)
        return Contender(lambda steps: ours.train(steps, progress=False), count)

    record["runs"] = {}
    for width in (16, 128):
        counts = [count for count in RUNS if count * width <= 8192]
        curve = {str(count): alone(width, count) for count in counts}
        rates = measure(curve, options.rounds, options.seconds, device)
        record["runs"][str(width)] = summary(rates, "1")
        tell(f"runs of width {width}", record["runs"][str(width)])
        options.write()
    curve = {str(width): alone(width, 1) for width in WIDTHS}
    record["widths"] = summary(measure(curve, options.rounds, options.seconds, device), "16")
    tell("one run of width", record["widths"])
    options.write()


def memory(record: dict[str, Any], options: argparse.Namespace, device: str) -> None:
    """Peak memory."""
    trainings = [(16, None, "eager"), (16, 64, "eager"), (128, 64, "eager"), (16, 64, "compiled")]
    trainings.append((16, 256, "eager") if device == "cpu" else (128, 1024, "captured"))
    record["peak_megabytes"] = {
        f"width {width}, {count or 1} runs, {program}": peak_memory(width, count, program, device)
        for width, count, program in trainings
    }
    print(record["peak_megabytes"])
    options.write()


def main() -> None:
    """Measure, print a table, write the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--targets", action="store_true", help="k = 1, no penalty: a third of it")
    parser.add_argument("--quick", action="store_true", help="one short round, to see it run")
    parser.add_argument("--output", type=Path, help="where to write the results")
    parser.add_argument("--jax", action="store_true", help="JAX competes, too")
    options = parser.parse_args()
    device = pick_device().type
    output = options.output or HERE / "results" / f"{device}.json"
    options.rounds, options.seconds = (1, 0.05) if options.quick else (5, 0.5)
    options.work = WORK[:1] if options.quick else TARGETS if options.targets else WORK
    record: dict[str, Any] = {**about(device), "batch": BATCH, "rounds": options.rounds}
    # After each part, so that a run that is stopped keeps what it has measured.
    options.write = lambda: output.write_text(json.dumps(record, indent=2) + "\n")
    for k, r1 in {(k, r1) for _, k, r1 in options.work}:
        assert_same_work(k, r1, device)
        if options.jax:
            assert_jax_does_the_same_work(k, r1)
    for program in programs(device, quick=options.quick):
        assert_same_work(1, 0.0, device, program)
    record |= about(device)  # JAX is imported by now
    if not options.quick:
        for_the_reader(record, options, device)
    competition(record, options, device)
    if not options.quick:
        curves(record, options, device)
        if sys.platform == "linux":  # /proc knows
            memory(record, options, device)
    print(f"written to {output}; python benchmarks/report.py puts it into the README")


if __name__ == "__main__":
    main()
