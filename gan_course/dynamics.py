"""Games as vector fields: what two players do who each follow a gradient.

The state of a game of two numbers is ``(θ, ψ)``, the generator's number first, shape
``(..., 2)``. A field maps states to velocities of the same shape. The generator moves
*down* its loss and the discriminator *down* its own, so a game of value V has the
velocity ``(−∂V/∂θ, +∂V/∂ψ)``.

In the Dirac-GAN (Mescheder et al. 2018, section 2) the data is a point at 0, the generator
a point at θ, and the discriminator has the logit ``a(x) = ψ x``. **High means real**, as
everywhere in this book. Mescheder et al. let high mean generated: their ψ is our −ψ, and
their start (1, 1) is our (1, −1), of which (−1, 1) is the mirror image.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Generator, Tensor
from torch.func import jacrev, vjp, vmap

from gan_course.arguments import function, number, one_of, shown, tensor, whole
from gan_course.training import Trainer, pack
from gan_course.training.draws import Draws
from gan_course.training.state import takes_labels

#: States to velocities, ``(..., n)`` to ``(..., n)``, each state on its own.
Field = Callable[[Tensor], Tensor]
Slope = Callable[[Tensor], Tensor]

#: Rows of a real GAN's Jacobian that are differentiated at once.
_ROWS = 64
_ONLY_G = (1.0, 0.0)
_ONLY_D = (0.0, 1.0)


# --- The games ---------------------------------------------------------------------------


def bilinear(state: Tensor) -> Tensor:
    """The game V = x y, in which x descends and y ascends: velocity (−y, x).

    Raises:
        ValueError: ``state`` is no tensor ``(..., 2)``.
    """
    numbers = isinstance(state, Tensor) and state.dtype != torch.bool
    if not numbers or not state.dim() or state.shape[-1] != 2:
        raise ValueError(f"state = {shown(state)}: must be a tensor, (..., 2)")
    x, y = state.unbind(-1)
    return torch.stack([-y, x], dim=-1)


def _away(a: Tensor) -> Tensor:
    return torch.sigmoid(-a)


#: For each loss, as functions of the logit a: how hard the generator pushes its a up, and
#: how hard the discriminator pushes a up on data and down on generated samples.
PUSHES: dict[str, tuple[Slope, Slope, Slope]] = {
    "minimax": (torch.sigmoid, _away, torch.sigmoid),
    "non-saturating": (_away, _away, torch.sigmoid),
    "wasserstein": (torch.ones_like, torch.ones_like, torch.ones_like),
}


def dirac(loss: str = "minimax", r1: float = 0.0, noise: float = 0.0, *, r2: float = 0.0) -> Field:
    """The Dirac-GAN's field, Mescheder et al. 2018, sections 2 and 3; a(x) = ψ x, high is real.

    Args:
        loss: a key of :data:`PUSHES`, or ``"relativistic"``, whose push is a function of the
            difference of two logits (Huang et al. 2024, eq. 2).
        r1: weight γ of R1, γ/2 · E ‖∇ₓ a‖² at the data (their eq. 9): here γ/2 · ψ².
        noise: standard deviation of the instance noise added to data and samples alike.
        r2: weight of R2, the same charge at the samples (their eq. 10). The slope of a straight
            line is ψ there, too, so here it is more of the same.

    Returns:
        A function of states ``(..., 2)``, to velocities of the same shape.

    Raises:
        ValueError: the loss is unknown, or a weight negative.
    """
    one_of("loss", loss, [*PUSHES, "relativistic"])
    friction = number("r1", r1, at_least=0) + number("r2", r2, at_least=0)
    noise = number("noise", noise, at_least=0)
    nodes, shares = _normal_quadrature(32 if noise else 1)

    def without_noise(state: Tensor) -> Tensor:
        theta, psi = state.unbind(-1)
        on_generator, _, on_fake = PUSHES[loss]
        a = psi * theta
        return torch.stack([psi * on_generator(a), -theta * on_fake(a) - friction * psi], dim=-1)

    if not noise and loss in PUSHES:
        return without_noise

    def field(state: Tensor) -> Tensor:
        theta, psi = state[..., :1], state[..., 1:]  # keeps a dimension, for the noise
        real, weights = noise * nodes.to(state), shares.to(state)
        if loss == "relativistic":  # the noise of a pair is a normal number of √2 times its width
            apart = theta + math.sqrt(2) * real
            of_theta = psi * torch.sigmoid(-psi * apart)
            of_psi = -apart * torch.sigmoid(psi * apart)
        else:
            on_generator, on_real, on_fake = PUSHES[loss]
            fake = theta + real
            of_theta = psi * on_generator(psi * fake)
            of_psi = real * on_real(psi * real) - fake * on_fake(psi * fake)
        return torch.stack([of_theta @ weights, (of_psi - friction * psi) @ weights], dim=-1)

    return field


def _normal_quadrature(points: int) -> tuple[Tensor, Tensor]:
    """Nodes and weights of E f(n) for a standard normal n (Gauss-Hermite)."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(points)
    return torch.from_numpy(nodes), torch.from_numpy(weights / weights.sum())


def consensus(field: Field, weight: float) -> Field:
    """Consensus optimisation (Mescheder et al. 2017, eq. 8): v − weight · ∇ ½‖v‖² = v − weight Jᵀv.

    Args:
        field: the velocity v of each state.
        weight: how much both players want to stand still, at least 0.

    Raises:
        ValueError: the weight is out of range.
    """
    weight = number("weight", weight, at_least=0)

    def agreeing(state: Tensor) -> Tensor:
        velocity, pull_back = vjp(field, state)[:2]
        return velocity - weight * pull_back(velocity)[0]  # type: ignore[no-any-return]

    return agreeing


# --- Moving ------------------------------------------------------------------------------


def simultaneous(
    field: Field, state: Tensor, rates: tuple[float, float] = (0.2, 0.2), k: int = 1
) -> Tensor:
    """Both players move at once, each against the other's old position.

    Args:
        field: the game.
        state: shape ``(..., 2)``.
        rates: step size of the generator and of the discriminator.
        k: 1; more steps of one player have an order, so they are not simultaneous.

    Raises:
        ValueError: ``k`` is not 1, or a rate is negative or not finite.
    """
    function("field", field)
    if whole("k", k, at_least=1) != 1:
        raise ValueError(f"k = {k!r}: more discriminator steps need the alternating update")
    state = _as_state("state", state)
    return _round(field, state, _turns(simultaneous, state, rates, k))


def alternating(
    field: Field, state: Tensor, rates: tuple[float, float] = (0.2, 0.2), k: int = 1
) -> Tensor:
    """The discriminator moves k times, then the generator, who sees where it went (Algorithm 1).

    Args:
        field: the game.
        state: shape ``(..., 2)``.
        rates: step size of the generator and of the discriminator.
        k: steps of the discriminator.

    Raises:
        ValueError: ``k`` is below 1, or a rate is negative or not finite.
    """
    function("field", field)
    k = whole("k", k, at_least=1, at_most=10**4)
    state = _as_state("state", state)
    return _round(field, state, _turns(alternating, state, rates, k))


def _turns(update: Callable[..., Tensor], state: Tensor, rates: object, k: int) -> list[Tensor]:
    """The rates of both players, ``(2,)``, in each turn of a round; who waits has a rate of 0."""
    rate = state.new_tensor(_two_rates(rates))
    if update is simultaneous:
        return [rate]
    return [state.new_tensor(player) * rate for player in [*[_ONLY_D] * k, _ONLY_G]]


def _round(field: Field, state: Tensor, turns: Sequence[Tensor]) -> Tensor:
    for rate in turns:
        state = state + rate * field(state)
    return state


#: Ways to take turns, by name.
UPDATES = {"simultaneous": simultaneous, "alternating": alternating}


def trajectories(
    field: Field,
    starts: Tensor,
    steps: int,
    *,
    rates: tuple[float, float] = (0.2, 0.2),
    update: str = "simultaneous",
    k: int = 1,
) -> Tensor:
    """Play from many starts at once.

    Args:
        field: the game.
        starts: shape ``(starts, 2)``.
        steps: updates to take.
        rates: step size of the generator and of the discriminator.
        update: a key of :data:`UPDATES`.
        k: discriminator steps in each alternating update.

    Returns:
        The states, the starts first, shape ``(steps + 1, starts, 2)``.

    Raises:
        ValueError: a value is out of range; the message names it.
    """
    function("field", field)
    play = UPDATES[one_of("update", update, UPDATES)]
    states = [tensor("starts", starts, "(starts, 2)", least=1)]
    _check_two("starts", states[0])
    play(field, states[0], rates, k)  # a wrong rate is named for no steps, too
    turns = _turns(play, states[0], rates, k)
    for _ in range(whole("steps", steps, at_least=0, at_most=10**7)):
        states.append(_round(field, states[-1], turns))
    return torch.stack(states)


def flow(field: Field, starts: Tensor, time: float, steps: int) -> Tensor:
    """The continuous game: what infinitely small steps would do (Runge-Kutta of order 4).

    Args:
        field: the game.
        starts: shape ``(starts, 2)``.
        time: how long to follow the field; n gradient steps of size η take the time n η.
        steps: pieces to cut the time into.

    Returns:
        The states, shape ``(steps + 1, starts, 2)``.

    Raises:
        ValueError: the time is not finite, there are no steps, or the starts are no states.
    """
    function("field", field)
    steps = whole("steps", steps, at_least=1, at_most=10**7)
    states = [tensor("starts", starts, "(starts, 2)", least=1)]
    _check_two("starts", states[0])
    h = number("time", time, at_least=-1e9, at_most=1e9) / steps
    for _ in range(steps):
        at = states[-1]
        v1 = field(at)
        v2 = field(at + h / 2 * v1)
        v3 = field(at + h / 2 * v2)
        v4 = field(at + h * v3)
        states.append(at + h / 6 * (v1 + 2 * v2 + 2 * v3 + v4))
    return torch.stack(states)


def _as_state(name: str, state: object) -> Tensor:
    """States of two numbers, as floats: in whole numbers a rate of 0.2 would be 0."""
    found = tensor(name, state, "(..., 2)", finite=False)
    _check_two(name, found)
    return found


def _check_two(name: str, state: Tensor) -> None:
    if not state.dim() or state.shape[-1] != 2:
        raise ValueError(f"{name} has shape {tuple(state.shape)}: expected (..., 2)")


def _two_rates(rates: object) -> tuple[float, float]:
    rates = rates.tolist() if isinstance(rates, Tensor | np.ndarray) else rates
    if not isinstance(rates, Sequence) or len(rates) != 2:
        raise ValueError(f"rates = {shown(rates)}: two numbers, the generator's and D's")
    return (number("rates[0]", rates[0], at_least=0), number("rates[1]", rates[1], at_least=0))


# --- Looking closely ---------------------------------------------------------------------


def jacobian(field: Field, point: Tensor) -> Tensor:
    """The Jacobian of a field, or of an update, at points ``(..., n)``, by autograd.

    Returns:
        Row i, column j has the derivative of velocity i in coordinate j, ``(..., n, n)``.

    Raises:
        ValueError: the points are no finite numbers.
    """
    function("field", field)
    point = tensor("point", point, "(n, ...)", least=1)
    if point.dtype in (torch.float16, torch.bfloat16):  # in which LAPACK knows no matrices
        point = point.float()
    n = point.shape[-1]
    matrices: Tensor = vmap(jacrev(field))(point.reshape(-1, n))
    return matrices.reshape(*point.shape, n)


def eigenvalues(field: Field, point: Tensor) -> Tensor:
    """The complex eigenvalues of :func:`jacobian`, points ``(..., n)`` to ``(..., n)``.

    Small steps along a field converge to its rest point where all real parts are negative;
    an update, where all absolute values are below 1. Sorted by imaginary, then real part.

    Raises:
        ValueError: the points are no finite numbers, or the field has no finite slope there.
    """
    found = _finite_eigenvalues("field", jacobian(field, point))
    found = found.gather(-1, found.real.argsort(dim=-1, stable=True))
    return found.gather(-1, found.imag.argsort(dim=-1, stable=True))


def jacobian_spectrum(trainer: Trainer, batch: int = 512, seed: int = 0) -> Tensor:
    """Eigenvalues of the Jacobian of a real GAN's gradient field, all runs at once.

    The field is (−∇ L_G, −∇ L_D), over all weights of both networks: the generator's loss in
    the generator's weights, the discriminator's, with its penalties, in the discriminator's.
    It is the field of plain gradient descent on one fixed batch; Adam moves differently. What D
    sees is what it sees in training: with its instance noise, and in packs. Steps of looking
    ahead (``unroll``) are left out. The training is not touched.

    Args:
        trainer: two networks at any moment of their training; all their weights are used, and
            the matrix has as many rows. Where D's slope is exactly 0, a penalty's second
            derivative is lost (the norm has none there).
        batch: samples of data and of noise that stand for the two expectations; with
            ``settings.packing``, a multiple of it.
        seed: of those samples.

    Returns:
        Complex eigenvalues in double precision, shape ``(runs, weights)``.

    Raises:
        ValueError: ``batch`` or ``seed`` is out of range, or a run's slopes are not finite.
    """
    if not isinstance(trainer, Trainer):
        raise ValueError(f"trainer = {shown(trainer)}: must be a Trainer")
    settings = replace(trainer.settings, batch=whole("batch", batch, at_least=1, at_most=10**6))
    seed = whole("seed", seed)
    G, D = (copy.deepcopy(net).double() for net in (trainer.generator, trainer.discriminator))
    random = Generator(trainer.device).manual_seed(seed)
    draws = Draws(trainer.data, trainer.prior, trainer.runs, random, torch.float64)
    drawn = draws.discriminator(settings)
    assert drawn.real is not None
    label = () if drawn.label is None else (drawn.label,)
    fake = G(drawn.noise, *(label if takes_labels(trainer.generator) else ()))
    if drawn.blur is not None:
        fake = fake + drawn.blur
    real, fake = pack(drawn.real, settings.packing), pack(fake, settings.packing)

    def critic(x: Tensor, label: Tensor | None = None) -> Tensor:
        labels = (label,) if label is not None and takes_labels(trainer.discriminator) else ()
        return D(x, *labels).reshape(x.shape[:2])  # type: ignore[no-any-return]

    loss_of_D, *logits = trainer.discriminator_loss(critic, real, fake, drawn)
    loss_of_G = trainer.settings.objective.generator(*logits)
    of_G, of_D = list(G.parameters()), list(D.parameters())
    # Runs share no weight, so the sum's gradient is each run's own.
    down = torch.autograd.grad(loss_of_G.sum(), of_G, create_graph=True)
    down += torch.autograd.grad(loss_of_D.sum(), of_D, create_graph=True)
    velocity = -torch.cat([part.reshape(trainer.runs, -1) for part in down], dim=1)

    rows, one_hot = [], torch.eye(velocity.shape[1], dtype=torch.float64).to(velocity)
    for first in range(0, len(one_hot), _ROWS):
        entries = one_hot[first : first + _ROWS]
        parts = torch.autograd.grad(
            velocity,
            [*of_G, *of_D],
            entries.unsqueeze(1).expand(-1, trainer.runs, -1),
            retain_graph=True,
            is_grads_batched=True,
            materialize_grads=True,
        )
        shape = len(entries), trainer.runs, -1
        rows.append(torch.cat([part.reshape(shape) for part in parts], dim=2))
    return _finite_eigenvalues("trainer", torch.cat(rows).transpose(0, 1))


def _finite_eigenvalues(name: str, matrices: Tensor) -> Tensor:
    """Eigenvalues, ``(..., n, n)`` to ``(..., n)``; LAPACK may crash the process on a NaN."""
    bad = ~matrices.isfinite().all(dim=-1).all(dim=-1)
    if bool(bad.any()):
        where = bad.nonzero().tolist()[:8]
        raise ValueError(
            f"{name} has a Jacobian that is not finite, at {where} of {tuple(bad.shape)}: "
            "must have finite slopes in all of its weights or coordinates"
        )
    found: Tensor = torch.linalg.eigvals(matrices)
    return found
