"""Everything that a step of training moves, as flat tensors that cannot be lost."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.func import functional_call

from gan_course.networks import Ensemble
from gan_course.training.optimisers import OPTIMISERS, Moments, fused_adam
from gan_course.training.ranks import Ranks
from gan_course.training.settings import Settings

#: Name of the averaged generator in a saved state.
AVERAGED = "averaged"


class Solo(nn.Module):
    """A plain network seen as an ensemble of one, sharing its weights.

    Example:
        >>> Solo(nn.Linear(2, 1))(torch.zeros(1, 9, 2)).shape
        torch.Size([1, 9, 1])
    """

    runs = 1

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, x: Tensor, *label: Tensor) -> Tensor:
        """Apply the network to ``x[0]``; shapes ``(1, batch, ...)``."""
        output: Tensor = self.module(x.squeeze(0), *(y.squeeze(0) for y in label))
        return output.unsqueeze(0)

    def member(self, run: int) -> nn.Module:
        """The network itself."""
        if run != 0:
            raise ValueError(f"run = {run!r}: there is one run, 0")
        return self.module


def as_runs(network: nn.Module) -> Ensemble | Solo:
    """A network as the trainer holds it: with a leading dimension of runs."""
    return network if isinstance(network, Ensemble | Solo) else Solo(network)


def takes_labels(network: Ensemble | Solo) -> bool:
    """Whether the network's ``forward`` has a second argument, the label."""
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    parameters = inspect.signature(network.module.forward).parameters.values()
    return sum(parameter.kind in kinds for parameter in parameters) > 1


class Slot(NamedTuple):
    """Where a network holds one of its weights."""

    name: str  # as in named_parameters
    module: nn.Module
    leaf: str
    held: nn.Parameter
    address: int  # of its numbers
    trained: bool
    form: tuple[object, ...]  # what must not change while a training goes on

    def kept(self) -> bool:
        """Whether the weight is where it was."""
        now = getattr(self.module, self.leaf, None)
        return (
            now is self.held
            and now.requires_grad is self.trained
            and (not self.trained or now.data_ptr() == self.address)
        )


class Weights:
    """A network's trained weights as one tensor, of which the network's own are views.

    So a step, a norm or an average is one operation, however many layers there are.

    Args:
        name: of the network, for messages.
        network: whose weights these are.

    Attributes:
        weights: the trained weights, shape ``(runs, weights of one run)``.
        leaves: what gradients are taken of: the network's own weights, or, of a part, all.
        labels: whether the network takes labels.
        buffer_slots: the modules that hold its buffers, each with the buffer's name there.
    """

    def __init__(self, name: str, network: Ensemble | Solo) -> None:
        self.name, self.network = name, network
        self.labels = takes_labels(network)
        self.runs: int = network.runs
        self.buffer_slots = [
            (module, leaf)
            for module in network.modules()
            for leaf, _ in module.named_buffers(recurse=False)
        ]
        slots = list(_slots(network))
        kinds = {(slot.held.dtype, slot.held.device) for slot in slots if slot.trained}
        if len(kinds) != 1:
            raise ValueError(
                f"the {name} has no weights to train"
                if not kinds
                else f"the {name}'s weights are of {len(kinds)} kinds, {kinds}: "
                "expected one dtype on one device"
            )
        trained = [slot.held for slot in slots if slot.trained]
        self._names = [slot.name for slot in slots if slot.trained]
        self._shapes = [held.shape for held in trained]
        self._sizes = [held.numel() // self.runs for held in trained]
        self._form: list[nn.Module] = [network]
        self._constants: dict[str, Tensor] | None = None  # a part's buffers
        self.leaves: list[Tensor] = list(trained)
        self.weights = torch.cat([w.detach().reshape(self.runs, -1) for w in trained], dim=1)
        self._point(slots)

    def __call__(self, x: Tensor, label: Tensor | None = None) -> Tensor:
        """Apply the network, ``(runs, batch, ...)``; the label goes in where it takes one."""
        if self._constants is None:
            output: Tensor = self.network(*self._inputs(x, label))
            return output
        return self.applied(self.leaves[0], self._constants)(x, label)

    def applied(self, weights: Tensor, buffers: Mapping[str, Tensor]) -> Callable[..., Tensor]:
        """The network with other weights, shape ``(runs, weights)``, and other buffers."""
        parts = zip(
            self._names, torch.split(weights, self._sizes, dim=1), self._shapes, strict=True
        )
        state = {name: part.reshape(shape) for name, part, shape in parts} | dict(buffers)

        def call(x: Tensor, label: Tensor | None = None) -> Tensor:
            output: Tensor = functional_call(self._form[0], state, self._inputs(x, label))
            return output

        return call

    def _inputs(self, x: Tensor, label: Tensor | None) -> tuple[Tensor, ...]:
        return (x, label) if self.labels and label is not None else (x,)

    def buffers(self) -> list[Tensor]:
        """Running statistics and the like, as they are now."""
        return [getattr(module, leaf) for module, leaf in self.buffer_slots]

    def copied_buffers(self) -> dict[str, Tensor]:
        """The buffers by name, copied."""
        named = self._form[0].named_buffers() if self._constants is None else ()
        return {name: buffer.clone() for name, buffer in named} | (self._constants or {})

    def part(self, rows: slice) -> Weights:
        """The weights of some runs, in the same memory.

        One leaf holds them all: a compiled program remembers how several tensors share a
        memory, and what was compiled for one part would write into its place for another.
        """
        part = copy.copy(self)
        part.weights = self.weights[rows].detach().requires_grad_()
        part.runs = len(part.weights)
        part.leaves = [part.weights]
        part._shapes = [torch.Size((part.runs, *shape[1:])) for shape in self._shapes]
        form = copy.deepcopy(self.network).to("meta")  # no numbers
        form.runs = part.runs
        part._form = [form]
        part._constants = {name: b[rows] for name, b in self.network.named_buffers()}
        part.buffer_slots = []  # none that a step changes
        return part

    def adopt(self) -> bool:
        """Take the weights back into the one tensor, if anything has parted them.

        Copying a network, casting it, loading into it, or training it elsewhere can leave it
        with weights of its own; then this tensor would be trained, and the network not.

        Returns:
            Whether the weights had been parted.

        Raises:
            ValueError: the network is not the one that the training began with.
        """
        if all(slot.kept() for slot in self._slots):
            return False
        slots = list(_slots(self.network))
        before, now = ([slot.form for slot in some] for some in (self._slots, slots))
        if before != now:
            pairs = ((b, n) for b, n in zip(before, now, strict=False) if b != n)
            change = next(pairs, ("layers", "layers"))
            raise ValueError(
                f"the {self.name} is not what this training began with: {_words(change[0])} "
                f"became {_words(change[1])}. Make a new Trainer of it."
            )
        trained = [slot.held.detach().reshape(self.runs, -1) for slot in slots if slot.trained]
        self.weights.copy_(torch.cat(trained, dim=1))
        self._point(slots)
        return True

    def _point(self, slots: list[Slot]) -> None:
        """Let the network's trained weights be views of the one tensor."""
        parts = iter(torch.split(self.weights, self._sizes, dim=1))
        for slot in slots:
            if slot.trained:
                slot.held.data = next(parts).view(slot.held.shape)
        self.leaves = [slot.held for slot in slots if slot.trained]
        self._slots = [slot._replace(address=slot.held.data_ptr()) for slot in slots]


class Player(Weights):
    """A network with what an optimiser remembers of it.

    Attributes:
        moments: mean and mean square of its gradients, each ``(runs, weights)``.
        count: updates made of each run, shape ``(runs, 1)``.
    """

    def __init__(self, name: str, network: Ensemble | Solo) -> None:
        super().__init__(name, network)
        mean, square = torch.zeros_like(self.weights), torch.zeros_like(self.weights)
        self.moments = Moments(mean, square)
        self.count = torch.zeros(self.runs, 1, device=self.weights.device)

    @torch.no_grad()
    def move(
        self,
        gradient: Tensor,
        rate: Tensor,
        settings: Settings,
        clip: float = 0.0,
        frozen: Tensor | None = None,
    ) -> None:
        """Take one step of the optimiser, ``weights − rate × direction``.

        Args:
            gradient: of the loss, shape ``(runs, weights)``.
            rate: one number for all runs, shape ``()``, or one for each, ``(runs, 1)``.
            settings: which optimiser, and its decay rates.
            clip: bound on each weight after the step; 0 for none.
            frozen: runs that stay where they are, shape ``(runs,)``; ``None`` if none does.
        """
        name, betas = settings.optimiser, settings.betas
        held = (self.weights, self.count, *self.moments)
        if name == "Adam" and not rate.dim() and self._in_step(frozen):
            before = [] if frozen is None else [tensor.clone() for tensor in held]
            self.count += 1
            alive = self.count if frozen is None or self.runs == 1 else self.count[~frozen]
            count = alive if self.runs == 1 else alive[0]
            fused_adam(self.weights, gradient, self.moments, count=count, betas=betas, rate=rate)
            if clip:
                self.weights.clamp_(-clip, clip)
            if frozen is not None:
                for tensor, old in zip(held, before, strict=True):
                    tensor.copy_(torch.where(frozen_in(frozen, tensor), old, tensor))
            return
        count = self.count + 1
        direction, moments = OPTIMISERS[name](gradient, self.moments, count, betas)
        weights = self.weights - rate * direction
        if clip:
            weights = weights.clamp(-clip, clip)
        for tensor, new in zip(held, (weights, count, *moments), strict=True):
            chosen = new if frozen is None else torch.where(frozen_in(frozen, tensor), tensor, new)
            tensor.copy_(chosen)

    def _in_step(self, frozen: Tensor | None) -> bool:
        """Whether as many updates were made of each run that moves, where a host may ask."""
        if self.count.device.type != "cpu" or torch.compiler.is_compiling():
            return False
        if self.runs == 1:
            return True
        counts = self.count if frozen is None else self.count[~frozen]
        return len(set(counts.flatten().tolist())) == 1

    def forget(self) -> None:
        """Begin with no moments, as another optimiser has to."""
        for memory in (*self.moments, self.count):
            memory.zero_()

    def part(self, rows: slice) -> Player:
        """The player of some runs, in the same memory."""
        part = super().part(rows)
        assert isinstance(part, Player)
        part.moments = Moments(self.moments.mean[rows], self.moments.square[rows])
        part.count = self.count[rows]
        return part


class State:
    """Both players, G's average, and which runs have stopped.

    Args:
        generator: a network with a leading dimension of runs.
        discriminator: likewise.

    Attributes:
        frozen: which runs stopped at a non-finite loss, shape ``(runs,)``.
        average: G's averaged weights; ``None`` where there are none.

    Raises:
        ValueError: the players differ in their number of runs, or share a weight.
    """

    def __init__(self, generator: Ensemble | Solo, discriminator: Ensemble | Solo) -> None:
        if generator.runs != discriminator.runs:
            raise ValueError(
                f"generator has {generator.runs} runs and discriminator "
                f"{discriminator.runs}: the players must come in pairs"
            )
        theirs = {id(p): name for name, p in discriminator.module.named_parameters()}
        for name, parameter in generator.module.named_parameters():
            if id(parameter) in theirs:
                raise ValueError(
                    f"generator and discriminator share the weight {name!r} (in the "
                    f"discriminator {theirs[id(parameter)]!r}): each player moves its own"
                )
        self.generator = Player("generator", generator)
        self.discriminator = Player("discriminator", discriminator)
        self.runs: int = generator.runs
        self.frozen = torch.zeros(self.runs, dtype=torch.bool, device=self.generator.weights.device)
        self.average: Weights | None = None

    @property
    def players(self) -> tuple[Player, Player]:
        """The generator and the discriminator."""
        return self.generator, self.discriminator

    def keep_average(self, keep: bool) -> None:
        """Begin an average at G's present weights, or drop it."""
        if not keep:
            self.average = None
        elif self.average is None:
            network = copy.deepcopy(self.generator.network)
            self.average = Weights(AVERAGED, network)

    def part(self, rows: slice) -> State:
        """The state of some runs, in the same memory; for networks that :func:`is_plain`."""
        part = copy.copy(self)
        part.generator, part.discriminator = (player.part(rows) for player in self.players)
        part.runs = part.generator.runs
        part.frozen = self.frozen[rows]
        part.average = self.average and self.average.part(rows)
        return part

    @torch.no_grad()
    def gather(self, ranks: Ranks) -> None:
        """Have all runs here, of which each rank has trained its :meth:`Ranks.rows`."""
        for tensor in self.tensors().values():
            tensor.copy_(ranks.merged(tensor))

    def adopt(self) -> None:
        """Take back whatever was parted, see :meth:`Weights.adopt`."""
        for weights in (*self.players, self.average):
            if weights is not None:
                weights.adopt()

    def buffers(self) -> list[Tensor]:
        """Both networks' buffers, as they are now."""
        return [*self.generator.buffers(), *self.discriminator.buffers()]

    def copied_buffers(self) -> list[Tensor]:
        """Copies of both networks' buffers."""
        return [buffer.clone() for buffer in self.buffers()]

    @torch.no_grad()
    def restore_frozen(self, buffers: Sequence[Tensor]) -> None:
        """Give the runs that have stopped back what :meth:`copied_buffers` held."""
        for buffer, old in zip(self.buffers(), buffers, strict=True):
            buffer.copy_(torch.where(frozen_in(self.frozen, buffer), old, buffer))

    @torch.no_grad()
    def update_average(self, decay: float) -> None:
        """Let the average, if there is one, follow G's weights; whole numbers it takes over."""
        if self.average is None:
            return
        pairs = [(self.average.weights, self.generator.weights)]
        pairs += zip(self.average.buffers(), self.generator.buffers(), strict=True)
        for average, new in pairs:
            frozen = frozen_in(self.frozen, average)
            if average.is_floating_point():
                average.lerp_(new, (~frozen).to(average) * (1 - decay))
            else:
                average.copy_(torch.where(frozen, average, new))

    def tensors(self) -> dict[str, Tensor]:
        """Everything that a step moves, by name, in the memory where it moves."""
        found = {"frozen": self.frozen}
        for player in self.players:
            found |= {
                f"{player.name}.mean": player.moments.mean,
                f"{player.name}.square": player.moments.square,
                f"{player.name}.count": player.count,
            }
        for weights in (*self.players, self.average):
            if weights is not None:
                module = weights.network.module
                named = [*module.named_parameters(), *module.named_buffers()]
                found |= {f"{weights.name}.network.{name}": tensor for name, tensor in named}
        return found

    def state_dict(self) -> dict[str, Tensor]:
        """A copy of everything that a step moves, by name."""
        return {name: tensor.detach().clone() for name, tensor in self.tensors().items()}

    def check(self, saved: Mapping[str, Tensor], *, average: bool) -> None:
        """Compare a saved state with this one, in form.

        Args:
            saved: from :meth:`state_dict`.
            average: whether it should hold averaged weights.

        Raises:
            ValueError: it is not the state of such a training.
        """
        mine = {n: t for n, t in self.tensors().items() if not n.startswith(AVERAGED)}
        if average:
            module = self.generator.network.module
            named = [*module.named_parameters(), *module.named_buffers()]
            mine |= {f"{AVERAGED}.network.{name}": tensor for name, tensor in named}
        for name in sorted(mine.keys() ^ saved.keys()):
            where = "is missing" if name in mine else "has no place here"
            raise ValueError(f"the saved state is of another training: {name!r} {where}")
        for name, tensor in mine.items():
            found = saved[name]
            if found.shape != tensor.shape or found.dtype != tensor.dtype:
                raise ValueError(
                    f"the saved state is of another training: {name!r} has shape "
                    f"{tuple(found.shape)} and {found.dtype}, expected {tuple(tensor.shape)} "
                    f"and {tensor.dtype}"
                )

    @torch.no_grad()
    def load_state_dict(self, saved: Mapping[str, Tensor]) -> None:
        """Go back to a saved state that fits, see :meth:`check`."""
        self.adopt()
        for name, tensor in self.tensors().items():
            tensor.copy_(saved[name])


def _slots(network: nn.Module) -> Iterator[Slot]:
    """Where each weight is, a weight that layers share once."""
    owners: dict[int, tuple[nn.Module, str]] = {}
    for module in network.modules():
        for leaf, parameter in module.named_parameters(recurse=False):
            owners.setdefault(id(parameter), (module, leaf))
    for name, parameter in network.named_parameters():
        owner, leaf = owners[id(parameter)]
        trained = parameter.requires_grad
        form = name, tuple(parameter.shape), parameter.dtype, parameter.device, trained
        yield Slot(name, owner, leaf, parameter, parameter.data_ptr(), trained, form)


def _words(form: Any) -> str:
    if isinstance(form, str):
        return f"its {form}"
    name, shape, dtype, device, trained = form
    kept = "" if trained else ", not trained"
    return f"{name} {shape} {str(dtype).removeprefix('torch.')} on {device}{kept}"


def frozen_in(frozen: Tensor, tensor: Tensor) -> Tensor:
    """The mask of frozen runs in a shape that goes with one of the state's tensors."""
    # A plain network's buffers have no leading dimension; for its one run, none is needed.
    return frozen.view([len(frozen), *[1] * (tensor.dim() - 1)] if tensor.dim() else [])
