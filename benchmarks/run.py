"""Measure GAN-steps a second beside the loop that courses teach: ``make bench``.

    python benchmarks/run.py [--quick] [--jax]

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
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from gan_course.distributions import normal, ring
from gan_course.networks import Ensemble, mlp
from gan_course.training import Settings, Trainer, pick_device

HERE = Path(__file__).parent
BATCH = 256
#: Width of the hidden layers, k, weight of R1.
WORK = [(16, 1, 0.0), (16, 5, 0.0), (16, 1, 0.1), (128, 1, 0.0), (512, 1, 0.0)]

Step = Callable[[], object]


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


def trainer(width: int, k: int, r1: float, runs: int | None, device: str) -> Trainer:
    """The library's contender; ``runs`` is ``None`` for a plain network."""
    torch.manual_seed(0)
    networks: list[nn.Module] = [
        mlp(2, outputs, width=width)
        if runs is None
        else Ensemble(lambda outputs=outputs: mlp(2, outputs, width=width), runs)
        for outputs in (2, 1)
    ]
    settings = Settings(k=k, batch=BATCH, penalties={"R1": r1} if r1 else {})
    return Trainer(*networks, ring(), normal(2), settings, device=device)


def assert_same_work(k: int, r1: float, device: str) -> None:
    """The plain loop and the library follow one trajectory for 20 steps, to 1e-4."""
    ours = trainer(16, k, r1, None, device)
    G, D = (copy.deepcopy(n.module) for n in (ours.generator, ours.discriminator))
    plain = PlainLoop(G, D, k=k, r1=r1, device=device)
    for _ in range(20):
        record = ours.step()
        losses = plain.step()
    measured = torch.tensor([record.discriminator_loss.item(), record.generator_loss.item()])
    torch.testing.assert_close(measured, torch.tensor(losses), rtol=1e-4, atol=1e-5)


def assert_jax_does_the_same_work(k: int, r1: float) -> None:
    """Fed the same batches, JAX and the plain loop follow one trajectory for 20 steps."""
    import jax_loop  # noqa: PLC0415  # an extra
    import numpy as np  # noqa: PLC0415

    torch.manual_seed(0)
    G, D = mlp(2, 2, width=16), mlp(2, 1, width=16)
    players = tuple(jax_loop.fresh(jax_loop.weights(network)) for network in (G, D))
    plain = PlainLoop(G, D, k=k, r1=r1, device="cpu")
    for _ in range(20):
        xs, zs = ring().sample((k, BATCH)), normal(2).sample((k + 1, BATCH))
        order = iter([batch for pair in zip(xs, zs, strict=False) for batch in pair] + [zs[-1]])
        plain.draw = lambda _, order=order: next(order)  # type: ignore[method-assign,misc]
        players, theirs = jax_loop.step(players, xs.numpy(), zs.numpy(), r1)
        ours = plain.step()
    np.testing.assert_allclose(ours, [float(loss) for loss in theirs], rtol=1e-4, atol=1e-5)


def contenders(
    width: int, k: int, r1: float, runs: list[int], device: str, *, jax: bool
) -> dict[str, tuple[Step, int]]:
    """Every contender by name: what to call, and how many GAN-steps one call is."""
    torch.manual_seed(0)
    networks = [mlp(2, outputs, width=width) for outputs in (2, 1)]
    plain = PlainLoop(*copy.deepcopy(networks), k=k, r1=r1, device=device)
    found: dict[str, tuple[Step, int]] = {"plain loop": (plain.step, 1)}
    found["one run"] = trainer(width, k, r1, None, device).step, 1
    for count in runs:
        found[f"ensemble of {count}"] = trainer(width, k, r1, count, device).step, count
    if jax:
        import jax_loop  # noqa: PLC0415  # an extra

        for count in (1, *runs):
            ours = [Ensemble(lambda n=n: copy.deepcopy(n), count).module for n in networks]
            pair = networks if count == 1 else ours
            call = jax_loop.program(*pair, count, ring(), k=k, batch=BATCH, r1=r1)
            found[f"JAX, {count} run{'s' * (count > 1)}"] = call, count * jax_loop.SCAN
    return found


def rate(step: Step, seconds: float, device: str) -> float:
    """Steps a second over about ``seconds``."""

    def elapsed(steps: int) -> float:
        start = time.perf_counter()
        for _ in range(steps):
            step()
        if device != "cpu":
            torch.cuda.synchronize()
        return time.perf_counter() - start

    elapsed(1)  # the first call may compile
    steps = max(1, int(seconds / elapsed(2) * 2))
    return steps / elapsed(steps)


def measure(
    steps: dict[str, tuple[Step, int]], rounds: int, seconds: float, device: str
) -> dict[str, Any]:
    """Median GAN-steps a second, the least and the most, and the ratio to the plain loop."""
    rates: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(rounds):
        for name, (step, count) in steps.items():
            rates[name].append(count * rate(step, seconds, device))
    plain = rates["plain loop"]
    return {
        name: {
            "steps_per_second": round(statistics.median(values), 1),
            "spread": [round(min(values), 1), round(max(values), 1)],
            # Round by round: a neighbour's load falls on both sides of a ratio.
            "ratio": round(statistics.median(v / p for v, p in zip(values, plain, strict=True)), 2),
        }
        for name, values in rates.items()
    }


def about(device: str) -> dict[str, Any]:
    """Where this was measured, and with what."""
    cpu = f"{os.cpu_count()} CPU cores ({platform.machine()})"
    versions = {"python": platform.python_version(), "torch": torch.__version__}
    if "jax" in sys.modules:
        versions["jax"] = sys.modules["jax"].__version__
    return {
        "machine": cpu if device == "cpu" else torch.cuda.get_device_name(),
        "threads": torch.get_num_threads(),
        "versions": versions,
    }


def main() -> None:
    """Measure, print a table, write the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="one short round, to see it run")
    parser.add_argument("--output", type=Path, help="where to write the results")
    parser.add_argument("--jax", action="store_true", help="JAX competes, too")
    options = parser.parse_args()
    device = pick_device().type
    runs = [8, 64, 256] if device == "cpu" else [64, 1024, 4096]
    work, rounds, seconds = (WORK, 7, 1.0)
    if options.quick:
        work, rounds, seconds, runs = WORK[:1], 1, 0.05, [8]
    for k, r1 in {(k, r1) for _, k, r1 in work}:
        assert_same_work(k, r1, device)
        if options.jax:
            assert_jax_does_the_same_work(k, r1)

    output = options.output or HERE / "results" / f"{device}.json"
    results: list[dict[str, Any]] = []
    for width, k, r1 in work:
        affordable = [count for count in runs if device != "cpu" or count * width <= 8192]
        competing = contenders(width, k, r1, affordable, device, jax=options.jax)
        found = measure(competing, rounds, seconds, device)
        results.append({"width": width, "k": k, "R1": r1, "contenders": found})
        for name, row in found.items():
            print(
                f"width {width:3}  k {k}  R1 {r1:<4}  {name:16}"
                f"{row['steps_per_second']:10.0f} GAN-steps/s  × {row['ratio']}",
                flush=True,
            )
        # After each row, so that a run that is stopped keeps what it has measured.
        record = {**about(device), "batch": BATCH, "rounds": rounds, "results": results}
        output.write_text(json.dumps(record, indent=2) + "\n")
    print(f"written to {output}")


if __name__ == "__main__":
    main()
