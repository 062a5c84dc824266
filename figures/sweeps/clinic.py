"""Fifteen trainings with one fault each, and a healthy one: what a failure looks like.

All learn the ring, from the same seeds and by the same program, `Training` below, in which each
fault is one line. After `steps` the fault is taken out, and the training goes on for as long in
two ways: as it stands ("mended"), and with the memory of both Adams cleared ("renewed"). The
healthy training goes on, too. Whoever reads the table sees patients, not their faults: they
stand in the order of a hash.

    python figures/sweeps/clinic.py            # figures/runs/clinic.csv, clinic_samples.csv
    python figures/sweeps/clinic.py --quick    # figures/runs/clinic.quick.csv, …
"""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pandas as pd
import torch
import torch.nn.functional as F
from by_script import record, write
from torch import Tensor, nn

from gan_course.distributions import ring
from gan_course.exercises.chapter_a2 import CAUSES, patient
from gan_course.metrics import mode_coverage

SETTINGS: dict[str, Any] = {
    "runs": 12,
    "seed": 100,
    "steps": 800,
    "moments": [0, 25, 50, 100, 150, 200, 300, 400, 500, 600, 700, 800],
    "batch": 64,
    "width": 32,
    "rates": [2e-3, 1e-3],
    "R1": 0.05,
    "shown": 120,
}
QUICK = SETTINGS | {"runs": 4, "steps": 40, "moments": [0, 20, 40], "batch": 32, "shown": 10}
TARGET, STD = ring(std=0.05), 0.05
LOOK = 1_000  # samples of each run in a measurement


@dataclass(frozen=True)
class Fault:
    """What one training does otherwise. The defaults do nothing wrong."""

    d_rate: float = 1.0  # times that of the settings
    g_rate: float = 1.0
    penalty: float = 1.0
    ahead: int = 0  # steps of D alone, first
    exchanged: bool = False  # D's labels: data are "generated", samples are "real"
    climbs: bool = False  # G goes up its loss
    attached: bool = False  # D's turn leaves a gradient in G, which G takes along
    sigmoid: bool = False  # between D and a loss that takes logits
    same_noise: bool = False  # sixteen vectors, drawn once
    spread: float = 1.0  # of the noise
    last: Callable[[Tensor], Tensor] = torch.clone  # of G
    scale: float = 1.0  # of the data
    few: int = 0  # data points, where they are few
    batch_norm: bool = False  # in D, over the real batch and over the generated one


#: By the cause, in the words of the exercises.
FAULTS = dict(
    zip(
        CAUSES,
        [
            Fault(g_rate=0.0),
            Fault(d_rate=0.01),
            Fault(exchanged=True),
            Fault(climbs=True),
            Fault(attached=True),
            Fault(sigmoid=True),
            Fault(ahead=1_000, penalty=0.0),
            Fault(d_rate=30.0, g_rate=30.0),
            Fault(penalty=1e5),
            Fault(same_noise=True),
            Fault(last=torch.relu),
            Fault(last=torch.tanh, scale=2.0),
            Fault(few=16),
            Fault(batch_norm=True),
            Fault(spread=0.02),
        ],
        strict=True,
    )
)


class Player(nn.Module):
    """Perceptrons side by side, ``(runs, batch, 2)`` to ``(runs, batch, outputs)``."""

    def __init__(self, outputs: int, width: int, runs: int) -> None:
        super().__init__()
        sizes = [(2, width), (width, width), (width, outputs)]
        layers = [[nn.Linear(*size) for _ in range(runs)] for size in sizes]
        self.weights = nn.ParameterList(
            torch.stack([one.weight.T for one in row]) for row in layers
        )
        self.biases = nn.ParameterList(
            torch.stack([one.bias[None] for one in row]) for row in layers
        )

    def forward(self, x: Tensor, *, batch_norm: bool = False) -> Tensor:
        """Apply each to its own batch."""
        for weight, bias in zip(self.weights[:-1], self.biases[:-1], strict=True):
            x = torch.baddbmm(bias, x, weight)
            if batch_norm:
                deviation = (x.var(dim=1, correction=0, keepdim=True) + 1e-5).sqrt()
                x = (x - x.mean(dim=1, keepdim=True)) / deviation
            x = F.leaky_relu(x, 0.2)
        return torch.baddbmm(self.biases[-1], x, self.weights[-1])

    def flat(self) -> Tensor:
        """All weights of each run, shape ``(runs, weights)``."""
        return torch.cat([p.detach().flatten(1) for p in self.parameters()], dim=1)

    def gradient(self) -> Tensor:
        """Its norm, shape ``(runs,)``."""
        found = [torch.zeros_like(p) if p.grad is None else p.grad for p in self.parameters()]
        return torch.cat([gradient.flatten(1) for gradient in found], dim=1).norm(dim=1)


class Training:
    """Algorithm 1 for all runs at once, with a fault."""

    def __init__(self, fault: Fault, settings: dict[str, Any]) -> None:
        torch.manual_seed(settings["seed"])
        self.seed(settings["seed"])
        self.settings, self.runs = settings, settings["runs"]
        self.G, self.D = (Player(n, settings["width"], self.runs) for n in (2, 1))
        self.begun = self.G.flat(), self.D.flat()
        sixteen = torch.randn(self.runs, 16, 2, generator=self.of_noise)
        self.noise = sixteen.repeat(1, settings["batch"] // 16, 1)
        self.points = TARGET.sample((self.runs, 64), self.of_data)
        self.said = dict.fromkeys(("D_loss", "G_loss", "D_gradient", "G_gradient"), torch.zeros(1))
        self.clear()
        self.use(fault)
        for _ in range(fault.ahead):
            self.discriminator_step()
        self.seed(settings["seed"] + 1)  # as in every other training, whatever came before

    def seed(self, seed: int) -> None:
        """Data and noise each have their own randomness: what a fault draws shifts no other."""
        self.of_data = torch.Generator().manual_seed(seed)
        self.of_noise = torch.Generator().manual_seed(seed + 1_000)

    def clear(self) -> None:
        """Let both optimisers forget what they have seen."""
        self.of_G, self.of_D = (
            torch.optim.Adam(player.parameters(), betas=(0.5, 0.99), fused=True)
            for player in (self.G, self.D)
        )

    def use(self, fault: Fault) -> None:
        """Go on with this fault; what has been learned stays, and what Adam remembers."""
        self.fault = fault
        rate_of_D, rate_of_G = self.settings["rates"]
        self.of_D.param_groups[0]["lr"] = rate_of_D * fault.d_rate
        self.of_G.param_groups[0]["lr"] = rate_of_G * fault.g_rate

    def data(self, samples: int) -> Tensor:
        """As the program draws them, shape ``(runs, samples, 2)``."""
        if few := self.fault.few:
            chosen = torch.randint(few, (self.runs, samples, 1), generator=self.of_data)
            return self.points[:, :few].gather(1, chosen.expand(-1, -1, 2))
        return self.fault.scale * TARGET.sample((self.runs, samples), self.of_data)

    def z(self, samples: int) -> Tensor:
        """Noise, as the program draws it when it is asked for new samples."""
        return self.fault.spread * torch.randn(self.runs, samples, 2, generator=self.of_noise)

    def batch(self) -> Tensor:
        """Samples for a step of either player."""
        z = self.noise if self.fault.same_noise else self.z(self.settings["batch"])
        return self.generate(z)

    def generate(self, z: Tensor) -> Tensor:
        """Samples of G, shape ``(runs, batch, 2)``."""
        return self.fault.last(self.G(z))

    def logits(self, x: Tensor) -> Tensor:
        """What the loss takes for D's logits, shape ``(runs, batch)``."""
        a = self.D(x, batch_norm=self.fault.batch_norm).squeeze(-1)
        return a.sigmoid() if self.fault.sigmoid else a

    def belief(self, x: Tensor) -> Tensor:
        """What the program takes for D's probability, shape ``(runs,)``."""
        with torch.no_grad():
            a = self.logits(x)
            return (a if self.fault.sigmoid else a.sigmoid()).mean(dim=1)

    def discriminator_step(self) -> None:
        """Move D."""
        real, fake = self.data(self.settings["batch"]).requires_grad_(), self.batch()
        if not self.fault.attached:
            fake = fake.detach()
        a, b = self.logits(real), self.logits(fake)
        (slope,) = torch.autograd.grad(a.sum(), real, create_graph=True)
        penalty = slope.square().sum(dim=2).mean(dim=1) / 2
        if self.fault.exchanged:
            a, b = -a, -b
        loss = F.softplus(-a).mean(dim=1) + F.softplus(b).mean(dim=1)
        self.of_D.zero_grad()
        (loss + self.settings["R1"] * self.fault.penalty * penalty).sum().backward()
        self.said |= {"D_loss": loss.detach(), "D_gradient": self.D.gradient()}
        self.of_D.step()

    def generator_loss(self) -> Tensor:
        """What G goes down, or should, shape ``(runs,)``."""
        a = self.logits(self.batch())
        return F.softplus(-a).mean(dim=1)

    def generator_step(self) -> None:
        """Move G."""
        if not self.fault.attached:
            self.of_G.zero_grad()
        loss = self.generator_loss()
        (-loss if self.fault.climbs else loss).sum().backward()
        self.said |= {"G_loss": loss.detach(), "G_gradient": self.G.gradient()}
        self.of_G.step()
        self.of_G.zero_grad()

    def symptoms(self) -> dict[str, Tensor]:
        """What the program itself can see, each of shape ``(runs,)``."""
        with torch.no_grad():
            x, y = self.generate(self.z(LOOK)), self.data(LOOK)
        found = mode_coverage(x / self.fault.scale, TARGET.centers, STD)
        spread = x.std(dim=1).mean(dim=1) / self.fault.scale
        beliefs = {"D_real": self.belief(y), "D_fake": self.belief(x)}
        counted = {"modes": found.modes, "HQ": found.high_quality, "spread": spread}
        return self.said | beliefs | counted

    def tests(self) -> dict[str, Tensor]:
        """What has to be asked for, each of shape ``(runs,)``."""
        scale = self.fault.scale
        fresh = scale * TARGET.sample((self.runs, LOOK), self.of_data)
        with torch.no_grad():
            x, own = self.generate(self.z(LOOK)), self.generate(self.noise)
            mixed = torch.cat([fresh, x], dim=1)
            norm = self.fault.batch_norm
            apart = self.D(fresh, batch_norm=norm).squeeze(-1).sigmoid().mean(dim=1)
            among = self.D(mixed, batch_norm=norm).squeeze(-1).sigmoid()[:, :LOOK].mean(dim=1)
            wide = self.generate(self.z(LOOK) / self.fault.spread).std(dim=1).mean(dim=1)
            narrow = x.std(dim=1).mean(dim=1)
        at = fresh.requires_grad_()
        (slope,) = torch.autograd.grad(self.logits(at).sum(), at)
        moved = [
            (player.flat() - begun).norm(dim=1) / begun.norm(dim=1)
            for player, begun in zip((self.G, self.D), self.begun, strict=True)
        ]
        rise, left = self._one_step()
        return {
            "G_moved": moved[0],
            "D_moved": moved[1],
            "rise": rise,
            "slope": slope.norm(dim=2).mean(dim=1).detach() * scale,
            "left": left,
            "own_HQ": mode_coverage(own / scale, TARGET.centers, STD).high_quality,
            "least": x.amin(dim=(1, 2)) / scale,
            "reach": x.abs().amax(dim=(1, 2)) / fresh.detach().abs().amax(dim=(1, 2)),
            "known": self.belief(self.data(LOOK)) - self.belief(fresh.detach()),
            "company": apart - among,
            "stretched": wide / narrow,
        }

    def _one_step(self) -> tuple[Tensor, Tensor]:
        """By how much G's step raises D's mean logit of the samples of one noise, D standing.

        And the norm of the gradient that D's turn has left in G. Each of shape ``(runs,)``;
        nothing of it is kept.
        """
        kept = self.kept()
        z = self.noise if self.fault.same_noise else self.z(LOOK)

        def look() -> Tensor:
            with torch.no_grad():
                a: Tensor = self.D(self.generate(z), batch_norm=self.fault.batch_norm)
                return a.mean(dim=(1, 2))

        self.discriminator_step()
        left, before = self.G.gradient(), look()
        self.generator_step()
        rise = look() - before
        self.restore(kept)
        return rise, left

    def kept(self) -> list[dict[str, Any]]:
        """Copies of both players and of what their Adams remember."""
        parts = self.G, self.D, self.of_G, self.of_D
        return [copy.deepcopy(part.state_dict()) for part in parts]

    def restore(self, kept: list[dict[str, Any]]) -> None:
        """Go back to where :meth:`kept` was called."""
        parts = self.G, self.D, self.of_G, self.of_D
        for part, state in zip(parts, kept, strict=True):
            part.load_state_dict(copy.deepcopy(state))

    def train(self, steps: int) -> None:
        """Both players in turn."""
        for _ in range(steps):
            self.discriminator_step()
            self.generator_step()


def examine(
    number: int, fault: Fault, settings: dict[str, Any]
) -> tuple[list[pd.DataFrame], list[pd.DataFrame]]:
    """Train with a fault, then without, in two ways; rows of numbers, and rows of samples."""
    training = Training(fault, settings)
    rows, samples = follow(training, number, "ill", settings)
    left = training.kept()
    for phase in ("mended", "renewed") if number else ("mended",):
        training.restore(left)
        training.seed(settings["seed"] + 2)  # both ways meet the same draws
        if phase == "renewed":
            training.clear()
        training.use(Fault(scale=fault.scale))
        more, seen = follow(training, number, phase, settings)
        rows += more
        samples += seen
    return rows, samples


def follow(
    training: Training, number: int, phase: str, settings: dict[str, Any]
) -> tuple[list[pd.DataFrame], list[pd.DataFrame]]:
    """Train, and look at each moment; one run's samples in the end."""
    rows, steps = [], 0
    for moment in settings["moments"]:
        training.train(moment - steps)
        steps = moment
        if phase != "ill" and not moment:
            continue
        about = {"patient": number, "phase": phase, "step": moment, "run": range(training.runs)}
        numbers = training.symptoms()
        if moment == settings["steps"]:
            numbers |= training.tests()
        columns = {name: value.expand(training.runs) for name, value in numbers.items()}
        rows.append(pd.DataFrame(about | {n: c.tolist() for n, c in columns.items()}))
    shown = int(numbers["HQ"].argsort()[training.runs // 2])
    with torch.no_grad():
        x = training.generate(training.z(settings["shown"]))[shown] / training.fault.scale
    places = dict(zip("xy", x.T.tolist(), strict=True))
    return rows, [pd.DataFrame({"patient": number, "phase": phase, "run": shown} | places)]


SHOWN: list[pd.DataFrame] = []


def measure(settings: dict[str, Any]) -> pd.DataFrame:
    """Examine everybody; a row for each patient, phase, moment and run."""
    SHOWN.clear()
    faults = {0: Fault()} | {patient(cause): fault for cause, fault in FAULTS.items()}
    frames = []
    for number in sorted(faults):
        rows, samples = examine(number, faults[number], settings)
        frames += rows
        SHOWN.extend(samples)
        print(number, flush=True)
    return pd.concat(frames, ignore_index=True).round(5)


if __name__ == "__main__":
    record(__file__, measure, SETTINGS, QUICK)
    small = "--quick" in sys.argv[1:]
    frame = pd.concat(SHOWN, ignore_index=True).round(3)
    command = "clinic.py" + " --quick" * small
    write("clinic_samples", frame, command, QUICK if small else SETTINGS, {}, small=small)
