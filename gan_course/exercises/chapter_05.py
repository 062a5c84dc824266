"""Specifications of the exercises of chapter 05, *Generator gradients*."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from gan_course.exercises import Open, Wrong, call, expect, number, several, specification


@specification("05.1")
def slopes_of_three_costs(answer: Sequence[float]) -> None:
    """Sizes D, 1 − D and D/(1 − D) at D = 0.2."""
    parts = several(answer, 3, "three sizes, in the order of the text,")
    if any(part is ... for part in parts):
        raise Open
    sizes = [number(part, "a size") for part in parts]
    if min(sizes) < 0 < max(sizes):
        raise Wrong("sizes have no sign, and the three slopes in a are all negative: not a mixture")
    minimax, non_saturating, maximum_likelihood = map(abs, sizes)
    expect("minimax: the derivative of softplus is σ", minimax, 0.2, 1e-3)
    expect("non-saturating: it is large where D is small", non_saturating, 0.8, 1e-3)
    expect(
        "maximum likelihood: the odds, the slope in a and not in D", maximum_likelihood, 0.25, 1e-3
    )


@specification("05.2")
def reverse_kl_cost(answer: Callable[[Tensor], Tensor]) -> None:
    """c(a) = −a, up to a constant."""
    a = torch.linspace(-12, 12, 25, dtype=torch.float64)
    cost = torch.as_tensor(call(answer, a))
    expect("one cost for each logit", cost.shape, a.shape)
    if bool((cost.diff() >= 0).any()):
        raise Wrong("this cost does not fall as a grows: look at the sign, log r is a")
    expect(
        "f(r) − r f'(r) with f = −log r: what remains of r f'(r), and what is log r in terms of a?",
        cost - cost[12],
        -a,
    )


#: What 05.3 may be made of, under the names PyTorch's dispatcher calls it by: arithmetic,
#: comparison, making and shaping. All else is a ready-made loss or a part of one.
ALLOWED = """
exp log1p log sigmoid abs neg sign sgn heaviside add sub rsub mul div pow sqrt mv mm dot mean sum
maximum minimum max min amax amin clamp clamp_min clamp_max relu where gt ge lt le eq ne all any
local_scalar_dense logical_and logical_or logical_not bitwise_and bitwise_or bitwise_not zeros
zeros_like ones ones_like full full_like new_zeros empty empty_like fill zero scalar_tensor
lift_fresh copy clone detach alias to_copy view unsafe_view reshape expand unsqueeze squeeze
select slice transpose permute t cat stack unbind split
"""


class _Operations(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Notes what PyTorch really computes meanwhile, by whichever function it was called."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.names: set[str] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.names.add(func.overloadpacket.__name__.strip("_"))
        return func(*args, **(kwargs or {}))


@specification("05.3")
def non_saturating(answer: Callable[[Tensor], Tensor]) -> None:
    """log(1 + e^(−a)), with its slope, at every logit; by hand."""
    logits = torch.randn(3, 64, generator=torch.Generator().manual_seed(0))
    expect(
        "one number for each run: take the mean over the batch",
        torch.as_tensor(call(answer, logits)).shape,
        (3,),
    )
    expect(
        "not −E log D: compare with softplus(−a)",
        call(answer, logits),
        F.softplus(-logits).mean(-1),
    )
    with _Operations() as used:
        answer(logits.clone())
    if ready := sorted(used.names - set(ALLOWED.split())):
        raise Wrong(
            f"right, but by {ready[0].removesuffix('_forward')}, a ready-made loss or a part of "
            "one, which knows already where log(1 + e^(−a)) runs out: write it from exp, log1p "
            "and abs, to see it yourself"
        )
    # One logit a run, so that no other logit hides an error; 0 is the corner of max(−a, 0).
    a = torch.tensor([-1e4, -200.0, -60.0, -30.0, -20.0, -1.0, 0.0, 1.0, 20.0, 200.0, 1e4])
    leaf = a.unsqueeze(-1).requires_grad_()
    cost = call(answer, leaf)
    (slope,) = torch.autograd.grad(cost.sum(), leaf)
    if not bool(cost.isfinite().all()):
        raise Wrong("infinite or not a number at a large logit: never take exp of a positive one")
    expect("wrong at a large logit", cost / (1 + a.abs()), F.softplus(-a) / (1 + a.abs()))
    if not bool(slope.isfinite().all()):
        raise Wrong("the value is right, but its slope at a large logit is not a number")
    at_zero = a == 0
    expect(
        "the slope at 0 is not −½: clamp counts its whole slope at the corner, abs counts none",
        slope.squeeze(-1)[at_zero],
        -torch.sigmoid(-a)[at_zero],
    )
    expect(
        "the slope vanishes at a negative logit: no sigmoid or epsilon inside the log",
        slope.squeeze(-1),
        -torch.sigmoid(-a),
    )
    fooled = (a > 0) & (a <= 20)  # there the cost is small, and 1 + e^(−a) rounds to 1
    expect(
        "nothing is left of a small cost: log(1 + x) rounds a small x away, log1p(x) keeps it",
        cost[fooled] / F.softplus(-a[fooled]),
        torch.ones(int(fooled.sum())),
        atol=1e-4,
    )


@specification("05.4")
def cost_that_follows(answer: Callable[..., Any]) -> None:
    """c(a) = f(r) − r f′(r) with r = e^a, for any f; G learns from its slope, −r² f″(r)."""
    a = torch.linspace(-2, 2, 9, dtype=torch.float64)
    r = torch.exp(a)
    # f, and f, f′, f″ at r
    families: dict[str, tuple[Callable[[Tensor], Tensor], Tensor, Tensor, Tensor]] = {
        "(r − 1)²": (lambda t: (t - 1) ** 2, (r - 1) ** 2, 2 * (r - 1), 2 * torch.ones_like(r)),
        "r log r": (lambda t: t * torch.log(t), r * a, a + 1, 1 / r),
        "−log r": (lambda t: -torch.log(t), -a, -1 / r, 1 / r**2),
    }
    for name, (f, f_there, slope, bend) in families.items():
        cost = call(answer, f)
        if not callable(cost):
            raise Wrong(f"return a function of the logits, not {cost!r}")
        leaf = a.clone().requires_grad_()
        found = torch.as_tensor(call(cost, leaf))
        expect(f"f = {name}: one cost for each logit", found.shape, a.shape)
        for mistake, hint in (
            (f_there, "that is f(r) itself: take off r f′(r)"),
            (f_there - slope, "the slope f′(r) has to be multiplied by r"),
            (f_there + r * slope, "r f′(r) is taken off, not added"),
            (r * slope - f_there, "the sign is turned round"),
        ):
            if not torch.allclose(mistake, f_there - r * slope) and _agree(found, mistake):
                raise Wrong(f"f = {name}: {hint}")
        expect(f"f = {name}: not f(r) − r f′(r) with r = e^a", found, f_there - r * slope)
        _learns_from(found, leaf, name, -(r**2) * bend, r)


def _learns_from(found: Tensor, leaf: Tensor, name: str, expected: Tensor, r: Tensor) -> None:
    """Whether the slope that a right cost hands to the logits is right, too."""
    found_slope = None
    if found.requires_grad:
        (found_slope,) = torch.autograd.grad(found.sum(), leaf, allow_unused=True)
    if found_slope is None:
        raise Wrong(
            f"f = {name}: the value is right, but it has no slope in a, and G learns from nothing "
            "else: leave out the detach() between a and the cost"
        )
    if _agree(found_slope, torch.zeros_like(r)):
        raise Wrong(
            f"f = {name}: the value is right, but its slope in a is 0: f′(r) is a constant to "
            "autograd. Let it keep the graph of f′: create_graph=True, or torch.func.grad"
        )
    expect(
        f"f = {name}: the value is right, its slope in a is not −r² f″(r)", found_slope, expected
    )


def _agree(found: object, other: Tensor) -> bool:
    return torch.allclose(torch.as_tensor(found).detach().double(), other, atol=1e-6)


@specification("05.5")
def half_of_the_gradient(answer: float) -> None:
    """Φ(θ − 2.326) = ½."""
    theta = math.sqrt(2) * float(torch.erfinv(torch.tensor(0.98, dtype=torch.float64)))
    expect(
        "the best hundredth does not carry half of the weight e^a there", answer, theta, atol=0.06
    )
