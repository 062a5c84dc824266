"""One training on several processes, each of which computes on its share of every batch.

``torchrun --nproc-per-node=4 -m gan_course train ring`` starts four processes, the ranks. All
begin with the same weights and draw the same batches from the same seed; each computes on its
share of the samples, and what it finds is averaged over the ranks before anything moves. So
all take the same step, as one process would with the whole batch, and a checkpoint knows
nothing of their number. (As one process would: where losses and penalties are means over samples,
pairs or packs, as the book's are, and no layer looks across its batch. Batch norm and the
minibatch standard deviation see a rank's own share.)

This is what ``DistributedDataParallel`` does, too. It cannot be used here: it collects gradients
as ``backward`` writes them into ``.grad``, and "doesn't work with ``torch.autograd.grad``" (its
documentation), by which a step gets D's gradient, penalties included, in one pass, and looks
ahead when it unrolls. A player's gradient is one flat tensor anyway: to average it is one call.

The runs of an ensemble never meet. If its networks are plain perceptrons and it has a run for
each rank, each rank trains some of the runs, on their whole batches, and all are brought together
where somebody may look: in a callback, in a checkpoint, in the end.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from gan_course.training.devices import pick_device


class RanksError(RuntimeError):
    """The processes of a training are not, or no longer, together; one cannot go on alone."""


@dataclass(frozen=True)
class Ranks:
    """The processes of a training, and which of them this one is.

    Every method is called by all ranks, in the same order.

    Attributes:
        rank: this process, counted from 0.
        size: number of processes.
    """

    rank: int = 0
    size: int = 1

    @property
    def first(self) -> bool:
        """Whether this is the rank that writes files and shows what is going on."""
        return self.rank == 0

    def share(self, part: Tensor) -> Tensor:
        """This rank's share of a batch, ``(runs, batch, ...)`` to ``(runs, batch / size, ...)``."""
        if self.size == 1:
            return part
        samples = part.shape[1] // self.size
        return part[:, self.rank * samples : (self.rank + 1) * samples]

    def rows(self, runs: int) -> slice:
        """The runs of an ensemble that are this rank's."""
        return slice(self.rank * runs // self.size, (self.rank + 1) * runs // self.size)

    def merged(self, tensor: Tensor, dim: int = 0) -> Tensor:
        """A tensor of all runs, of which each rank knows its own :meth:`rows` of ``dim``.

        Raises:
            RanksError: another rank is gone.
        """
        mine = self.rows(tensor.shape[dim])
        here = (dim, mine.start, mine.stop - mine.start)
        kind = torch.uint8 if tensor.dtype == torch.bool else tensor.dtype
        # Others' numbers are added to zeros, which changes none of them.
        whole = torch.zeros(tensor.shape, dtype=kind, device=tensor.device)
        whole.narrow(*here).copy_(tensor.detach().narrow(*here))
        with self._waiting():
            dist.all_reduce(whole)
        return whole.to(tensor.dtype)

    def mean(self, tensor: Tensor) -> Tensor:
        """The mean over all ranks, through which gradients flow; the same bits on each.

        Raises:
            RanksError: another rank is gone.
        """
        if self.size == 1:
            return tensor
        mean: Tensor = _Mean.apply(tensor, self)  # type: ignore[no-untyped-call]
        return mean

    def pool(
        self,
        loss: Tensor,
        gradient: Tensor,
        buffers: Sequence[Tensor],
        before: Sequence[Tensor],
    ) -> tuple[Tensor, Tensor]:
        """What one process would have found on the whole batch, in one exchange.

        Batch norm normalises with the statistics of a rank's own share, as in
        ``DistributedDataParallel``; its running statistics move by the mean of what all shares
        would have moved them. What all ranks move alike, as spectral norm its vectors, or
        leave alone, stays alike.

        Args:
            loss: on this rank's share, shape ``(runs,)``.
            gradient: likewise, shape ``(runs, weights)``.
            buffers: the networks', after the forward passes; moved in place.
            before: the same before them.

        Returns:
            The loss and the gradient on the whole batch.

        Raises:
            RanksError: another rank is gone.
        """
        if self.size == 1:
            return loss, gradient
        pairs = [(b, old) for b, old in zip(buffers, before, strict=True) if b.is_floating_point()]
        parts = [loss, gradient, *(buffer - old for buffer, old in pairs)]
        flat = self.mean(torch.cat([part.detach().flatten().to(gradient) for part in parts]))
        sizes = [part.numel() for part in parts]
        loss, gradient, *moves = (
            found.view_as(part) for found, part in zip(torch.split(flat, sizes), parts, strict=True)
        )
        for (buffer, old), move in zip(pairs, moves, strict=True):
            buffer.copy_(old + move)
        return loss, gradient

    def any(self, here: bool) -> bool:
        """Whether it is so on any rank.

        Raises:
            RanksError: another rank is gone.
        """
        if self.size == 1:
            return here
        found = torch.tensor(float(here), device=_place())
        with self._waiting():
            dist.all_reduce(found, dist.ReduceOp.MAX)
            return bool(found)

    def from_first(self, make: Callable[[], Any]) -> Any:
        """What the first rank makes, on every rank: tensors, on the CPU, and plain values.

        Raises:
            RanksError: another rank is gone.
            Exception: whatever ``make`` raised on the first rank is raised on each.
        """
        if self.size == 1:
            return make()
        sent: list[Any] = [None, None]
        if self.first:
            try:
                made = io.BytesIO()
                torch.save(make(), made)
                sent[0] = made.getvalue()
            except Exception as error:  # the others wait for it
                sent[1] = error
        with self._waiting():
            dist.broadcast_object_list(sent, src=0)
        content, failure = sent
        if failure is not None:
            raise failure
        return torch.load(io.BytesIO(content), weights_only=True, map_location="cpu")

    @contextmanager
    def _waiting(self) -> Iterator[None]:
        """Say what it means if an exchange fails."""
        try:
            yield
        except RuntimeError as error:
            raise RanksError(
                f"rank {self.rank} of {self.size}: another rank has ended or did not answer in "
                f"time, so this one ends, too ({str(error).splitlines()[0]}). Its own message "
                "says why; the training goes on from its last checkpoint"
            ) from None


#: A process that trains by itself.
ALONE = Ranks()


class _Mean(torch.autograd.Function):
    """A mean over ranks. Each rank's loss depends on it, so its gradient is theirs, averaged."""

    @staticmethod
    def forward(ctx: Any, tensor: Tensor, ranks: Ranks) -> Tensor:
        ctx.ranks = ranks
        total = tensor.detach().clone()
        with ranks._waiting():
            dist.all_reduce(total)
        return total / ranks.size

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return ctx.ranks.mean(gradients[0].contiguous()), None


def _place() -> torch.device:
    """Where ranks exchange tensors."""
    return torch.device("cuda" if dist.get_backend() == "nccl" else "cpu")


@contextmanager
def joined(device: str = "auto", timeout: float = 600.0) -> Iterator[Ranks]:
    """Join the processes that ``torchrun`` started; alone, where it started no other.

    A :class:`~gan_course.training.Trainer` that is made inside trains with them all.

    Args:
        device: see :func:`gan_course.training.pick_device`. On GPUs, each rank of a machine has
            one of its own, and they talk over nccl; on processors over gloo.
        timeout: seconds that a rank waits for another.

    Yields:
        Which rank this process is.

    Raises:
        ValueError: the machine has fewer GPUs than ranks, or the timeout is not positive.
    """
    if timeout <= 0:
        raise ValueError(f"timeout = {timeout!r}: must be above 0, in seconds")
    if started() == 1:
        yield ALONE
        return
    if device != "cpu" and torch.cuda.is_available():
        here, there = int(os.environ.get("LOCAL_RANK", "0")), torch.cuda.device_count()
        if here >= there:
            raise ValueError(
                f"device = {device!r}: this machine has {there} GPUs, and none for its rank "
                f"{here}. Start as many ranks as there are GPUs, or say device = 'cpu'"
            )
        torch.cuda.set_device(here)  # what "cuda" means in this process
    backend = "nccl" if pick_device(device).type == "cuda" else "gloo"
    dist.init_process_group(backend, timeout=timedelta(seconds=timeout))
    try:
        yield present()
    finally:
        dist.destroy_process_group()


def started() -> int:
    """How many processes ``torchrun`` says it started."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def present() -> Ranks:
    """The processes that this one has joined.

    Raises:
        RanksError: it was started as one of several and has joined none.
    """
    if dist.is_available() and dist.is_initialized():
        return Ranks(dist.get_rank(), dist.get_world_size())
    if started() > 1:
        raise RanksError(
            f"WORLD_SIZE = {started()}: this process is one of several that have not joined, and "
            "each would train a copy of its own. Make the Trainer inside `with "
            "gan_course.training.ranks.joined():`, or unset WORLD_SIZE where copies are meant"
        )
    return ALONE
