"""What there is to see of a training: arrays for the picture, numbers for the curves.

Everything here only looks. The networks are those of one run, plain modules.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import torch
from torch import Generator, Tensor, nn

from gan_course.distributions import GaussianMixture, Uniform, drawn, pushforward_density
from gan_course.lab.scores import Best, Reading, reading
from gan_course.losses import LOSSES, value
from gan_course.metrics import mode_coverage
from gan_course.training import Trainer, pack

Target = GaussianMixture | Uniform

SHOWN = 1000  # generated samples
REAL = 500
GRID = 64  # points a side of D's surface
MESH = 11  # lines each way of the generator's grid: 10 × 10 cells
ARROWS = 80
LINE = 301  # points of a curve over x, in one dimension
CELLS = 40  # a side, in which the laws are compared
COUNTED = 8000  # generated samples that are sorted into cells
THUMBNAIL = 100  # samples of each run of a wall
PACKED = (
    "D judges packs of {} samples at once. It has no answer to a single place, so there is no D(x) "
    "to shade and no single D*: both are functions of a whole pack (chapter 07)."
)


def checked_target(name: str, target: Any) -> Target:
    """Return ``target``, if the lab can show it.

    Raises:
        ValueError: it is no distribution of the course's, or not in one or two dimensions.
    """
    if not isinstance(target, GaussianMixture | Uniform) or target.event_shape[0] > 2:
        raise ValueError(
            f"{name} = {target!r}: must be a GaussianMixture or Uniform in one or two dimensions"
        )
    return target


def target_of(points: Sequence[Sequence[float]]) -> GaussianMixture:
    """A Gaussian kernel on each of some points in the plane, narrow: a line stays a line.

    Raises:
        ValueError: there are fewer than two points, or they are not in the plane.
    """
    try:
        place = torch.as_tensor(points, dtype=torch.float32)
    except (TypeError, ValueError, RuntimeError, OverflowError) as error:  # several lengths, words
        raise ValueError(f"points: expected two numbers for each ({error})") from None
    if place.dim() != 2 or place.shape[1] != 2 or not bool(place.isfinite().all()):
        raise ValueError(f"points have shape {tuple(place.shape)}: expected (points, 2), finite")
    return drawn(place, std=max(0.02 * float(place.max() - place.min()), 1e-3))


class Truth(NamedTuple):
    """What the best discriminator would say to this generator, from laws sorted into cells.

    Attributes:
        optimal: D* in each cell, NaN where neither law has mass; shape ``(cells,)`` or
            ``(cells, cells)``.
        gap: by how much D's loss is above that of D*, never negative; with cross-entropy
            V(D*) − V(D) in nats. NaN, like the next, where there is no one D*.
        least: the loss of D*.
        divergence: Jensen-Shannon divergence in nats, at least that of the sorted laws.
    """

    optimal: Tensor
    gap: float
    least: float
    divergence: float


@dataclass(frozen=True)
class Scene:
    """One run of a training, and all that can be seen of it.

    Attributes:
        generator: noise ``(batch, noise)`` to samples ``(batch, dim)``.
        discriminator: samples, or packs of them side by side, to logits ``(batch, 1)``.
        data: the target, in one or two dimensions.
        prior: where the noise comes from.
        loss: a key of :data:`gan_course.losses.LOSSES`.
        seed: of the samples shown, so that they move only when the generator moves.
        packing: samples that the discriminator judges at once.
    """

    generator: nn.Module
    discriminator: nn.Module
    data: Target
    prior: Target
    loss: str
    seed: int
    packing: int = 1

    @classmethod
    def of(cls, trainer: Trainer, run: int = 0) -> Scene:
        """Look at one run of ``trainer``; the data and the prior must be the course's own."""
        players = (trainer.generator.member(run), trainer.discriminator.member(run))
        data, prior = trainer.data, trainer.prior
        assert isinstance(data, Target) and isinstance(prior, Target)
        settings = trainer.settings
        return cls(*players, data, prior, settings.objective.name, trainer.seed, settings.packing)

    # -- what several parts need ---------------------------------------------------------

    @property
    def dimension(self) -> int:
        """Number of axes of x."""
        return self.data.event_shape[0]

    @property
    def noise(self) -> int:
        """Number of axes of z."""
        return self.prior.event_shape[0]

    @cached_property
    def real(self) -> Tensor:
        """Some samples of the data, always the same."""
        return self.data.sample((REAL,), self._random())

    @cached_property
    def fake(self) -> Tensor:
        """Some generated samples, of the same noise each time."""
        return self._generate(self.prior.sample((SHOWN,), self._random()))

    @cached_property
    def scores(self) -> tuple[Tensor, Tensor]:
        """What D returns for those real and those generated samples."""
        return self._logits(self.real), self._logits(self.fake)

    @cached_property
    def reading(self) -> Reading:
        """What these numbers mean under the loss."""
        return reading(self.loss)

    @property
    def explanation(self) -> str:
        """What to tell a reader who looks for D(x), a probability; empty where it is one."""
        return PACKED.format(self.packing) if self.packing > 1 else self.reading.text

    @property
    def best(self) -> Best | None:
        """D* of a single sample, if there is one."""
        return self.reading.best if self.packing == 1 else None

    def _shade(self, logits: Tensor) -> Tensor:
        real, fake = self.scores
        return self.reading.shade(logits, (real.mean() + fake.mean()) / 2)

    def _random(self) -> Generator:
        device = next(self.generator.parameters()).device
        return Generator(device).manual_seed(self.seed)

    @torch.no_grad()
    def _generate(self, z: Tensor) -> Tensor:
        x: Tensor = self.generator(z)
        return x

    @torch.no_grad()
    def _logits(self, x: Tensor) -> Tensor:
        return self._judged(x)

    def _judged(self, x: Tensor) -> Tensor:
        """D's logits of samples ``(n, dim)``, ``(n / packing,)``; what fills no pack is let go."""
        whole = x[: len(x) - len(x) % self.packing]
        logits: Tensor = self.discriminator(pack(whole.unsqueeze(0), self.packing).squeeze(0))
        return logits.squeeze(-1)

    def _axis(self, points: int) -> Tensor:
        return torch.linspace(*self.data.window, points, device=self.real.device)

    # -- the picture ---------------------------------------------------------------------

    def arrays(self, layers: Collection[str]) -> dict[str, Tensor]:
        """The arrays that ``layers`` need, by the names that the page knows."""
        parts = {
            "real": self._data,
            "generated": self._generated,
            "belief": self._belief,
            "manifold": self._manifold,
            "arrows": lambda: {"arrows": self._arrows()},
            "optimal": self._optimal,
        }
        return {name: array for layer in layers for name, array in parts[layer]().items()}

    def _data(self) -> dict[str, Tensor]:
        """Samples; on a line the density as well."""
        if self.dimension == 2:
            return {"real": self.real}
        return {"real": self.real, "p": self.data.log_prob(self._axis(LINE).unsqueeze(-1)).exp()}

    def _generated(self) -> dict[str, Tensor]:
        if self.dimension == 2:
            return {"fake": self.fake}
        return {"fake": self.fake, "q": self._density(self._axis(LINE))}

    def _belief(self) -> dict[str, Tensor]:
        """D over the plane or the line, as a shade from 0 to 1; of packs there is none."""
        if self.packing > 1:
            return {}
        if self.dimension == 2:
            axis = self._axis(GRID)
            logits = self._logits(torch.cartesian_prod(axis, axis)).reshape(GRID, GRID).T
        else:
            logits = self._logits(self._axis(LINE).unsqueeze(-1))
        return {"belief": self._shade(logits)}

    def _density(self, x: Tensor) -> Tensor:
        """p_g on a line: exact for one-dimensional noise, else a histogram's."""
        if self.noise == 1:
            return pushforward_density(self.generator, self.prior, x, 1001)
        low, high = self.data.window
        fake = self.fake.squeeze(-1).cpu()
        counts = torch.histc(fake[(fake >= low) & (fake <= high)], CELLS, low, high)
        cell = ((x.cpu() - low) / (high - low) * CELLS).long().clamp(0, CELLS - 1)
        return counts[cell] * CELLS / (len(fake) * (high - low))

    def _manifold(self) -> dict[str, Tensor]:
        """Where the grid of z goes; its cells hold equal mass of the prior."""
        axis = self._quantiles(MESH)
        if self.dimension == 1 and self.noise == 1:
            z = self._quantiles(2 * MESH - 1).unsqueeze(-1)
            low, high = self.prior.window
            return {"ladder": torch.cat([(z - low) / (high - low), self._generate(z)], dim=1)}
        if self.dimension == 2 and self.noise == 1:
            z = self._quantiles(20 * MESH).unsqueeze(-1)
            return {"thread": self._generate(z)}
        if self.dimension == 2 and self.noise == 2:
            mesh = self._generate(torch.cartesian_prod(axis, axis))
            return {"mesh": mesh.reshape(MESH, MESH, 2)}
        return {}

    def _quantiles(self, points: int) -> Tensor:
        share = torch.linspace(0.01, 0.99, points, device=self.real.device)
        if isinstance(self.prior, Uniform):
            return 2 * share - 1
        z: Tensor = torch.special.ndtri(share)
        return z

    def _arrows(self) -> Tensor:
        """Samples and the negative slope of the generator's loss there, ``(arrows, 2 dim)``."""
        arrows = ARROWS - ARROWS % self.packing
        x = self.fake[:arrows].clone().requires_grad_()
        with torch.enable_grad():
            logits = self._judged(x).reshape(1, -1)
            real = self._logits(self.real[:arrows]).reshape(1, -1)
            cost = LOSSES[self.loss].generator(real, logits) * logits.numel()
            (slope,) = torch.autograd.grad(cost.sum(), x)
        return torch.cat([x.detach(), -slope], dim=1)

    def _optimal(self) -> dict[str, Tensor]:
        return {} if self.best is None else {"optimal": self.truth.optimal}

    # -- the numbers ---------------------------------------------------------------------

    def measures(self) -> dict[str, float]:
        """What D says and earns and, where the data has modes, how many are covered.

        V(D, G) and probabilities only where D gives probabilities; else its scores and its loss.
        """
        real, fake = self.scores
        numbers = {"outside": self._outside().float().mean().item()}
        if self.reading.probability:
            numbers |= {
                "real": real.sigmoid().mean().item(),
                "fake": fake.sigmoid().mean().item(),
                "value": value(real, fake).item(),
            }
        else:
            numbers |= {
                "real_score": real.mean().item(),
                "fake_score": fake.mean().item(),
                # A relativistic loss takes them in pairs.
                "loss": LOSSES[self.loss].discriminator(real, fake[: len(real)]).item(),
            }
        if self.data.modes is not None and isinstance(self.data, GaussianMixture):
            std = float(self.data.std.max())
            coverage = mode_coverage(self.fake.unsqueeze(0), self.data.modes, std)
            numbers |= {
                "modes": coverage.modes.item(),
                "quality": coverage.high_quality.item(),
            }
        return numbers

    def theory(self) -> dict[str, float]:
        """How far D is from D*, in the currency of the loss, and G's law from the data's."""
        distance = {"divergence": self.truth.divergence}
        if self.best is None:
            return distance
        if self.reading.probability:
            return {**distance, "gap": self.truth.gap}
        return {**distance, "least": self.truth.least}

    def _outside(self) -> Tensor:
        low, high = self.data.window
        return ((self.fake < low) | (self.fake > high)).any(dim=-1)

    @cached_property
    def truth(self) -> Truth:
        """D* and what follows from it, from the shares of both laws in the same cells.

        The Jensen-Shannon divergence compares the laws, whatever D does.
        """
        p, q = self._data_shares(), self._generated_shares()
        both = p + q
        # Σ p log(p / m) + Σ q log(q / m) with m = (p + q) / 2, halved.
        entropies = torch.xlogy(p, p) + torch.xlogy(q, q) - torch.xlogy(both, both)
        divergence = entropies.sum().item() / 2 + math.log(2)
        if self.best is None:
            nowhere = torch.full((CELLS,) * self.dimension, math.nan)
            return Truth(nowhere, math.nan, math.nan, divergence)
        low, high = self.data.window
        half = (high - low) / CELLS / 2
        middle = torch.linspace(low + half, high - half, CELLS, device=p.device)
        x = torch.cartesian_prod(*[middle] * self.dimension).reshape(-1, self.dimension)
        # One belief for all that is outside the window: D's mean on the generated samples.
        logits = torch.cat([self._logits(x), self.scores[1].mean().reshape(1)])
        best = self.best(p, q)
        least = self._expected_loss(best, p, q)
        shown = torch.where(both > 1e-5, self._shade(best), math.nan)[:-1]
        return Truth(
            shown if self.dimension == 1 else shown.reshape(CELLS, CELLS).T,
            self._expected_loss(logits, p, q) - least,
            least,
            divergence,
        )

    def _expected_loss(self, scores: Tensor, p: Tensor, q: Tensor) -> float:
        """D's loss if it returned ``scores`` in the cells, which the laws fill with p and q.

        The other half of the loss is nought where D returns just what it is asked for.
        """
        assert self.reading.labels is not None
        fake, real = (torch.full_like(scores, label).unsqueeze(-1) for label in self.reading.labels)
        loss, column = LOSSES[self.loss].discriminator, scores.unsqueeze(-1)
        return (p * loss(column, fake) + q * loss(real, column)).sum().item()

    def _data_shares(self) -> Tensor:
        """The data's mass in every cell and, last, outside the window."""
        edges = self._axis(CELLS + 1)
        if isinstance(self.data, Uniform):
            low, high = self.data.low.unsqueeze(-1), self.data.high.unsqueeze(-1)
            shares = ((edges - low) / (high - low)).clamp(0, 1).diff(dim=-1).unsqueeze(0)
            weights = torch.ones(1, device=edges.device)
        else:
            scaled = (edges - self.data.centers.unsqueeze(-1)) / self.data.std.reshape(-1, 1, 1)
            shares = torch.special.ndtr(scaled).diff(dim=-1)
            weights = self.data.weights
        if self.dimension == 1:
            cells = weights @ shares[:, 0]
        else:
            cells = torch.einsum("k,kx,ky->xy", weights, shares[:, 0], shares[:, 1]).flatten()
        return torch.cat([cells, (1 - cells.sum()).clamp_min(0).reshape(1)])

    def _generated_shares(self) -> Tensor:
        """The same of the generator's law, by counting."""
        x = self._generate(self.prior.sample((COUNTED,), self._random()))
        low, high = self.data.window
        cell = ((x - low) / (high - low) * CELLS).floor()
        inside = ((cell >= 0) & (cell < CELLS)).all(dim=-1)
        index = cell.clamp(0, CELLS - 1).long()
        flat = index[:, 0] if self.dimension == 1 else index[:, 0] * CELLS + index[:, 1]
        last = CELLS**self.dimension
        counts = torch.bincount(torch.where(inside, flat, last), minlength=last + 1)
        return counts.float() / COUNTED


def wall(trainer: Trainer) -> dict[str, Tensor]:
    """Some samples of every run and, where the data has modes, how many of them each covers."""
    samples = trainer.sample(THUMBNAIL)
    data = trainer.data
    if not isinstance(data, GaussianMixture) or data.modes is None:
        return {"wall": samples}
    coverage = mode_coverage(samples, data.modes, float(data.std.max()))
    return {"wall": samples, "covered": coverage.modes}
