"""How steps run: operation by operation, compiled, or as a CUDA graph; whole or in parts.

All run the one function :class:`~gan_course.training.step.Step`, which is arithmetic alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.torch_version import TorchVersion

from gan_course.networks import is_plain
from gan_course.training.draws import Turn
from gan_course.training.state import State
from gan_course.training.step import Step

#: Takes steps; returns their records, ``(steps, quantities, runs)``.
Program = Callable[[Sequence[Turn]], Tensor]

#: Bytes of one layer's output that an ensemble works on at once, for each thread of a CPU.
CACHE = 2 * 2**20


class Captured:
    """Steps as a CUDA graph: recorded once for given settings, then replayed.

    Args:
        step: what is recorded.

    Raises:
        ValueError: its state is not on a CUDA device.
    """

    def __init__(self, step: Step) -> None:
        device = step.state.frozen.device
        if device.type != "cuda":
            raise ValueError(f"program = 'captured' on {device}: CUDA graphs need a CUDA device")
        self.step = step
        self.key: object = None

    def __call__(self, turns: Sequence[Turn]) -> Tensor:
        """Replay a step on each step's batches and rates."""
        moved = [tensor.data_ptr() for tensor in self.step.state.tensors().values()]
        settings = replace(self.step.settings, discriminator_rate=1.0, generator_rate=1.0)
        # Rates come with each turn; anything else is part of the recording.
        key = settings, moved, [tensor.shape for tensor in _tensors(turns[0])]
        if self.key != key:
            self._record(turns[0])
            self.key = key
        records = []
        for turn in turns:
            for held, drawn in zip(_tensors(self.turn), _tensors(turn), strict=True):
                held.copy_(drawn)
            self.graph.replay()
            records.append(self.record.clone())
        return torch.cat(records)

    def _record(self, turn: Turn) -> None:
        copies = iter([tensor.clone() for tensor in _tensors(turn)])
        batches = tuple(
            batch._replace(**{name: next(copies) for name, part in _named(batch)})
            for batch in turn.batches
        )
        self.turn = Turn(batches, (next(copies), next(copies)))
        state = self.step.state.tensors().values()
        before = [tensor.detach().clone() for tensor in state]
        side = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(3):  # libraries choose their kernels and their workspace
                self.step([self.turn])
        torch.cuda.current_stream().wait_stream(side)
        self.graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graph):
            self.record = self.step([self.turn])
        with torch.no_grad():
            for tensor, old in zip(state, before, strict=True):
                tensor.copy_(old)


def _named(batch: Any) -> list[tuple[str, Tensor]]:
    return [(name, part) for name, part in batch._asdict().items() if part is not None]


def _tensors(turn: Turn) -> list[Tensor]:
    """All that a step is given, in order."""
    return [part for batch in turn.batches for _, part in _named(batch)] + list(turn.rates)


def _eager(step: Step) -> Program:
    return step


def _compiled(step: Step) -> Program:
    device, leaves = step.state.frozen.device, [p.leaves for p in step.state.players]
    several = step.state.runs > 1 and max(map(len, leaves)) > 1
    if several and TorchVersion(torch.__version__) < "2.13":
        raise ValueError(
            "program = 'compiled' for an ensemble whose networks are more than linear layers and "
            f"activations: needs torch 2.13 or later, this is {torch.__version__}; choose 'eager'"
        )
    if device.type == "cpu":
        from torch._inductor.cpp_builder import get_cpp_compiler  # noqa: PLC0415  # takes seconds

        try:
            get_cpp_compiler()
        except RuntimeError as error:
            raise ValueError(
                f"program = 'compiled' needs a C++ compiler, such as g++ or clang++, on the path "
                f"or named by the environment's CXX: {error}"
            ) from None
    # Without it, `torch.autograd.grad` would cut the step in pieces.
    torch._dynamo.config.trace_autograd_ops = True
    # Every training, and every change of settings, makes a version of one function.
    torch._dynamo.config.recompile_limit = 64
    # A call costs less from C++ than from Python.
    options: dict[str, str | int | bool | Callable[..., Any]] = {
        "cpp_wrapper": device.type == "cpu"
    }
    return torch.compile(step.__call__, fullgraph=True, dynamic=False, options=options)


#: How steps run, by name.
PROGRAMS: dict[str, Callable[[Step], Program]] = {
    "eager": _eager,
    "compiled": _compiled,
    "captured": Captured,
}


def can_be_parted(state: State, parts: int) -> bool:
    """Whether the runs of a state can be trained in so many parts."""
    return state.runs >= parts > 1 and all(is_plain(p.network.module) for p in state.players)


def blocks(state: State, batch: int) -> list[slice]:
    """The runs in parts that fit a processor's cache; one part where all of them do.

    All at once, a wide ensemble waits for memory: what a layer returns has left the cache when
    the next one asks for it.

    Args:
        state: of the training.
        batch: samples of a mini-batch; D sees two.
    """
    whole = [slice(0, state.runs)]
    networks = [player.network.module for player in state.players]
    on_cpu = state.frozen.device.type == "cpu"
    if state.runs == 1 or not on_cpu or not all(map(is_plain, networks)):
        return whole
    widest = max(weight.shape[1] for net in networks for weight in net.parameters())
    numbers = state.runs * 2 * batch * widest
    count = min(math.ceil(4 * numbers / (CACHE * torch.get_num_threads())), state.runs)
    if count == 1:
        return whole
    parts = torch.arange(state.runs).tensor_split(count)
    return [slice(int(part[0]), int(part[-1]) + 1) for part in parts]
