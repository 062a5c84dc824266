"""Adam over weights that lie in one tensor, for one network or an ensemble."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

#: Added to the root, as everywhere.
EPSILON = 1e-8


class Adam:
    """Adam (Kingma & Ba 2015, algorithm 1) for one network.

    The network's weights become views of one tensor, so that a step, a norm or an average is
    one operation, however many layers there are.

    Attributes:
        parameters: the weights it moves, as the network has them.
        weights: the same memory as one tensor, shape ``(runs, weights of one run)``.
        state: the weights and their two moments, of that shape.
        steps: number of steps taken.
    """

    def __init__(self, network: nn.Module, runs: int) -> None:
        self.parameters: list[nn.Parameter] = [p for p in network.parameters() if p.requires_grad]
        self.weights = flatten_weights(self.parameters, runs)
        mean, square = torch.zeros_like(self.weights), torch.zeros_like(self.weights)
        self.state: list[Tensor] = [self.weights, mean, square]
        self.steps = torch.zeros((), device=self.weights.device)

    def part(self, weights: nn.Parameter, runs: slice) -> Adam:
        """The optimiser of some runs, in the same memory; ``weights`` are theirs."""
        part = copy.copy(self)
        part.parameters, part.weights = [weights], weights
        part.state = [weights, *(moment[runs] for moment in self.state[1:])]
        part.steps = self.steps.clone()
        return part

    @torch.no_grad()
    def step(
        self, gradient: Tensor, rate: Tensor, betas: tuple[float, float], clip: float = 0.0
    ) -> None:
        """Move the weights down the gradient, of shape ``(runs, weights)``.

        Args:
            gradient: of every weight.
            rate: one number for all runs, or one for each, shape ``(runs, 1)``.
            betas: decay rates of the two moments.
            clip: bound on each weight after the step; 0 for none.
        """
        weights, mean, square = self.state
        self.steps += 1
        if rate.dim() == 0 and not torch.compiler.is_compiling():
            # torch.optim.Adam(fused=True) ends in this call. Around networks as small as ours
            # its bookkeeping takes four times as long as the step.
            torch._fused_adam_(
                [weights],
                [gradient],
                [mean],
                [square],
                [],
                [self.steps],
                lr=rate,
                beta1=betas[0],
                beta2=betas[1],
                weight_decay=0.0,
                eps=EPSILON,
                amsgrad=False,
                maximize=False,
            )
        else:  # the same for a rate of each run; a compiler fuses it anyway
            mean.lerp_(gradient, 1 - betas[0])
            square.lerp_(gradient.square(), 1 - betas[1])
            root = (square / (1 - betas[1] ** self.steps)).sqrt() + EPSILON
            weights -= rate / (1 - betas[0] ** self.steps) * mean / root
        if clip:
            weights.clamp_(-clip, clip)

    def look_ahead(
        self,
        gradients: Callable[[Tensor], Tensor],
        steps: int,
        rate: Tensor,
        betas: tuple[float, float],
        clip: float = 0.0,
    ) -> Tensor:
        """The weights after more steps, as a differentiable function; nothing moves.

        Args:
            gradients: weights to their gradient, both ``(runs, weights)``.
            steps: how many.
            rate: as in :meth:`step`.
            betas: decay rates of the two moments.
            clip: as in :meth:`step`.
        """
        weights, mean, square = (tensor.detach().clone() for tensor in self.state)
        weights.requires_grad_()
        for ahead in range(1, steps + 1):
            gradient, t = gradients(weights), self.steps + ahead
            mean = betas[0] * mean + (1 - betas[0]) * gradient
            square = betas[1] * square + (1 - betas[1]) * gradient.square()
            # The small number goes under the root, which has no derivative at 0.
            root = (square / (1 - betas[1] ** t) + EPSILON**2).sqrt()
            weights = weights - rate * mean / (1 - betas[0] ** t) / root
            if clip:
                weights = weights.clamp(-clip, clip)
        return weights


def flatten_weights(parameters: Sequence[nn.Parameter], runs: int) -> Tensor:
    """Move weights into one tensor ``(runs, weights)`` of which they become views."""
    kinds = {(p.dtype, p.device) for p in parameters}
    if len(kinds) != 1:
        raise ValueError(f"the network's weights are {kinds}: expected one dtype on one device")
    flat = torch.cat([p.detach().reshape(runs, -1) for p in parameters], dim=1)
    sizes = [p.numel() // runs for p in parameters]
    for parameter, part in zip(parameters, torch.split(flat, sizes, dim=1), strict=True):
        parameter.data = part.view(parameter.shape)
    return flat
