"""Pictures a second beside the loop of PyTorch's own DCGAN tutorial.

    python benchmarks/tutorial.py [--quick] [--size 28]

Same networks, same start, same pictures, same batch, same Adam. The tutorial's loop calls D and its
``backward`` once for the real and once for the generated batch, lets both players' losses run
through all weights, asks five numbers back at each step, and draws its batches from a DataLoader;
here that one reads from memory, without a process of its own, which is the faster way for pictures
as small as these. The contenders take turns, several rounds. On a CPU each has one thread, and what
is counted is processor time, which a neighbour moves less than the clock. What a step computes is
counted as well, for on large pictures arithmetic is all there is. Results go to
``results/tutorial.json``, or ``tutorial_cuda.json``.
"""

from __future__ import annotations

import argparse
import copy
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch
from run import HERE, Contender, Operations, about, measure, summary, tell
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from gan_course.convolutional import Mixed, dcgan
from gan_course.distributions import Empirical, normal
from gan_course.images import digits, glyphs
from gan_course.training import Settings, Trainer, pick_device

LATENT = 100


class Work(NamedTuple):
    """A pair of networks and its batch.

    Attributes:
        size: of a picture's sides.
        channels: of a picture.
        width: of the networks.
        batch: pictures in a batch.
    """

    size: int
    channels: int
    width: int
    batch: int

    def pictures(self) -> Tensor:
        """Real ones: digits of 8 × 8, glyphs above; in colour, each channel alike."""
        images = digits()[0] if self.size == 8 else glyphs(self.size)[0]
        return images.repeat(1, self.channels, 1, 1)

    def networks(self) -> tuple[nn.Sequential, nn.Sequential]:
        """The published pair, at this size."""
        torch.manual_seed(0)
        return dcgan(self.size, self.channels, latent=LATENT, width=self.width, batch_norm="both")


#: The last one is the tutorial's own; the others are this book's.
WORKS = [Work(8, 1, 32, 64), Work(28, 1, 32, 64), Work(64, 3, 64, 128)]
RATE, BETAS = 2e-4, (0.5, 0.999)
ROUNDS = 3


class TutorialLoop:
    """The loop of PyTorch's DCGAN tutorial, step for step, on pictures in memory."""

    def __init__(
        self, G: nn.Module, D: nn.Module, pictures: Tensor, batch: int, device: str
    ) -> None:
        self.G, self.D = G.to(device), nn.Sequential(D, nn.Sigmoid()).to(device)
        self.device, self.criterion = device, nn.BCELoss()
        self.loader = DataLoader(
            TensorDataset(pictures), batch_size=batch, shuffle=True, drop_last=True
        )
        self.of_D = torch.optim.Adam(self.D.parameters(), lr=RATE, betas=BETAS)
        self.of_G = torch.optim.Adam(self.G.parameters(), lr=RATE, betas=BETAS)
        self.batches = iter(self.loader)
        self.losses: list[tuple[float, float]] = []

    def real(self) -> Tensor:
        """The next batch; a new epoch begins where one ends."""
        try:
            (batch,) = next(self.batches)
        except StopIteration:
            self.batches = iter(self.loader)
            (batch,) = next(self.batches)
        picture: Tensor = batch.to(self.device)
        return picture

    def step(self) -> tuple[float, float]:
        """D's step on a real and a generated batch, then G's on the same generated one."""
        self.D.zero_grad()
        real = self.real()
        label = torch.full((len(real),), 1.0, device=self.device)
        output = self.D(real).view(-1)
        of_real = self.criterion(output, label)
        of_real.backward()
        output.mean().item()
        fake = self.G(torch.randn(len(real), LATENT, device=self.device))
        label.fill_(0.0)
        output = self.D(fake.detach()).view(-1)
        of_fake = self.criterion(output, label)
        of_fake.backward()
        output.mean().item()
        self.of_D.step()
        self.G.zero_grad()
        label.fill_(1.0)
        output = self.D(fake).view(-1)
        of_G = self.criterion(output, label)
        of_G.backward()
        output.mean().item()
        self.of_G.step()
        found = (of_real + of_fake).item(), of_G.item()
        self.losses.append(found)
        return found

    def train(self, steps: int) -> None:
        """Take steps."""
        for _ in range(steps):
            self.step()


def trainer(work: Work, device: str, program: str = "eager", mixed: bool = False) -> Trainer:
    """The library's contender on the same networks."""
    G, D = work.networks()
    settings = Settings(batch=work.batch, discriminator_rate=RATE, generator_rate=RATE, betas=BETAS)
    players = (Mixed(G), Mixed(D)) if mixed else (G, D)
    return Trainer(
        *players,
        Empirical(work.pictures()),
        normal(LATENT),
        settings,
        device=device,
        program=program,
    )


def contenders(work: Work, device: str, *, quick: bool) -> dict[str, Contender]:
    """The tutorial's loop and the library's ways, by name; a step is one batch."""
    found: dict[str, Contender] = {}
    G, D = work.networks()
    loop = TutorialLoop(G, D, work.pictures(), work.batch, device)
    found["tutorial"] = Contender(loop.train, threads=1)
    ways: dict[str, dict[str, Any]] = {"eager": {}}
    if not quick and work.size == 8:
        ways["compiled"] = {"program": "compiled"}
    if device == "cuda":
        ways |= {
            "captured": {"program": "captured"},
            "bf16, channels last": {"mixed": True},
            "captured, bf16, channels last": {"program": "captured", "mixed": True},
        }
    for name, how in ways.items():
        ours = trainer(work, device, **how)
        found[name] = Contender(training(ours), threads=1)
    return found


def training(ours: Trainer) -> Callable[[int], object]:
    """What takes steps of a trainer, and shows nobody."""
    return lambda steps: ours.train(steps, progress=False)


def by_processor_time(
    competing: dict[str, Contender], rounds: int, seconds: float
) -> dict[str, list[float]]:
    """Steps of each in a second of processor time, round by round, after one that warms up."""
    rates: dict[str, list[float]] = {name: [] for name in competing}
    for turn in range(rounds + 1):
        for name, contender in competing.items():
            begin, steps = time.process_time(), 0
            while not steps or time.process_time() - begin < seconds:
                contender.train(1)
                steps += 1
            if turn:
                rates[name].append(steps / (time.process_time() - begin))
    return rates


def operations(work: Work) -> dict[str, float]:
    """Floating-point operations of a step, of the tutorial's and of ours."""
    G, D = work.networks()
    loop = TutorialLoop(copy.deepcopy(G), copy.deepcopy(D), work.pictures(), work.batch, "cpu")
    ours = trainer(work, "cpu")
    found = {}
    for name, step in (("tutorial", loop.step), ("ours", ours.step)):
        with Operations() as counter:
            step()
        found[name] = counter.total
    return found


def results(works: list[Work], device: str, *, quick: bool) -> list[dict[str, Any]]:
    """Measure the works in turn."""
    rounds, seconds = (1, 0.05) if quick else (ROUNDS, 0.5)
    found = []
    for work in works:
        competing = contenders(work, device, quick=quick)
        if device == "cpu":
            rates = by_processor_time(competing, rounds, seconds)
        else:
            rates = measure(competing, rounds, seconds, device)
        speeds = summary(rates, "tutorial")
        tell(f"{work.size} pixels, width {work.width}", speeds)
        for row in speeds.values():
            row["pictures_per_second"] = round(work.batch * row.pop("steps_per_second"), 1)
            row["spread"] = [round(work.batch * end, 1) for end in row["spread"]]
        found.append({**work._asdict(), "contenders": speeds, "operations": operations(work)})
    return found


def main() -> None:
    """Measure, print, write the results; of one size alone, beside those that are there."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="one short round, to see it run")
    parser.add_argument("--size", type=int, choices=[work.size for work in WORKS])
    parser.add_argument("--output", type=Path, help="where to write the results")
    options = parser.parse_args()
    torch.set_num_threads(1)
    device = pick_device().type
    name = "tutorial" if device == "cpu" else "tutorial_cuda"
    output = options.output or HERE / "results" / f"{name}.json"
    works = WORKS[:1] if options.quick else WORKS
    works = [work for work in works if options.size in (None, work.size)]
    new = results(works, device, quick=options.quick)
    before = json.loads(output.read_text("utf-8"))["results"] if output.exists() else []
    known = {row["size"]: row for row in [*before, *new]}
    record = {**about(device), "rounds": ROUNDS, "results": [known[size] for size in sorted(known)]}
    output.write_text(json.dumps(record, indent=2) + "\n", "utf-8")
    print(f"written to {output}; python benchmarks/report.py puts it into the README")


if __name__ == "__main__":
    main()
