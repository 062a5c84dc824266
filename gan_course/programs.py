"""How a trainer runs its steps: operation by operation, compiled, or as a CUDA graph.

All three run the one function :meth:`gan_course.training.Trainer._steps`, which is arithmetic
alone: everything random is drawn before it.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

if TYPE_CHECKING:
    from gan_course.training import Batch, Trainer

#: For each step the batches of its updates: k of the discriminator's, one of the generator's.
Draws = Sequence[Sequence["Batch"]]
#: Takes steps; returns their records, ``(steps, quantities, runs)``.
Program = Callable[[Draws], Tensor]


class Captured:
    """Steps as a CUDA graph: recorded once for given settings, then replayed."""

    def __init__(self, trainer: Trainer) -> None:
        if trainer.device.type != "cuda":
            raise ValueError(
                f"program = 'captured' on {trainer.device}: CUDA graphs need a CUDA device"
            )
        self.trainer = trainer
        self.key: object = None

    def __call__(self, draws: Draws) -> Tensor:
        """Replay a step on each step's batches."""
        # Rates are read from memory at every replay; anything else is part of the recording.
        settings = replace(self.trainer.settings, discriminator_rate=1.0, generator_rate=1.0)
        memory = [rate.data_ptr() for rate in self.trainer._rates.values()]
        if self.trainer.averaged is not None:
            memory.append(self.trainer._average.data_ptr())
        key = settings, memory
        if self.key != key:
            self._record(draws[0])
            self.key = key
        records = []
        for batches in draws:
            for held, drawn in zip(self.batches, batches, strict=True):
                for to, value in zip(held, drawn, strict=True):
                    if to is not None and value is not None:
                        to.copy_(value)
            self.graph.replay()
            records.append(self.record.clone())
        return torch.cat(records)

    def _record(self, batches: Sequence[Batch]) -> None:
        trainer = self.trainer
        self.batches = copy.deepcopy(batches)
        state = [trainer.frozen, *trainer._buffers]
        for adam in trainer._adam.values():
            state += [*adam.state, adam.steps]
        if trainer.averaged is not None:
            state += [trainer._average, *trainer.averaged.buffers()]
        before = [tensor.clone() for tensor in state]
        side = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(3):  # libraries choose their kernels and their workspace
                trainer._steps([self.batches])
        torch.cuda.current_stream().wait_stream(side)
        self.graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graph):
            self.record = trainer._steps([self.batches])
        for tensor, old in zip(state, before, strict=True):
            tensor.copy_(old)


def _eager(trainer: Trainer) -> Program:
    return trainer._steps


def _compiled(trainer: Trainer) -> Program:
    if trainer.device.type == "cpu":
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
    # Every trainer, and every change of settings, makes a version of one function.
    torch._dynamo.config.recompile_limit = 64
    # A call costs less from C++ than from Python.
    options: dict[str, str | int | bool | Callable[..., Any]] = {
        "cpp_wrapper": trainer.device.type == "cpu"
    }
    return torch.compile(trainer._steps, fullgraph=True, dynamic=False, options=options)


#: How a trainer runs its steps, by name.
PROGRAMS: dict[str, Callable[[Trainer], Program]] = {
    "eager": _eager,
    "compiled": _compiled,
    "captured": Captured,
}
