"""Each loss against its equation, written out naively in float64."""

from __future__ import annotations

import ast
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mpmath import mp
from numpy import exp, log, mean
from torch import Tensor

import gan_course
from gan_course.losses import EXP_CAP, LOSSES, value

Equation = Callable[[np.ndarray, np.ndarray], float]


def sigmoid(a: np.ndarray) -> np.ndarray:
    return 1 / (1 + exp(-a))


def cross_entropy(r: np.ndarray, f: np.ndarray) -> float:
    return -mean(log(sigmoid(r))) - mean(log(1 - sigmoid(f)))


#: Discriminator's and generator's cost of the logits on real (r) and fake (f) samples.
EQUATIONS: dict[str, tuple[Equation, Equation]] = {
    "minimax": (cross_entropy, lambda _, f: mean(log(1 - sigmoid(f)))),
    "non-saturating": (cross_entropy, lambda _, f: -mean(log(sigmoid(f)))),
    "maximum likelihood": (cross_entropy, lambda _, f: -mean(sigmoid(f) / (1 - sigmoid(f)))),
    "least squares": (
        lambda r, f: mean((r - 1) ** 2) / 2 + mean(f**2) / 2,
        lambda _, f: mean((f - 1) ** 2) / 2,
    ),
    "hinge": (
        lambda r, f: mean(np.maximum(0, 1 - r)) + mean(np.maximum(0, 1 + f)),
        lambda _, f: -mean(f),
    ),
    "wasserstein": (lambda r, f: mean(f) - mean(r), lambda _, f: -mean(f)),
    "relativistic": (
        lambda r, f: -mean(log(sigmoid(r - f))),
        lambda r, f: -mean(log(sigmoid(f - r))),
    ),
}
PLAYERS = ["discriminator", "generator"]
#: Where more is better for the player: D on real, D on fake, G on fake.
FALLING_IN_REAL = sorted(set(LOSSES) - {"least squares"})


def logits(runs: int = 3, batch: int = 50, seed: int = 0) -> tuple[Tensor, Tensor]:
    random = torch.Generator().manual_seed(seed)
    real, fake = (3 * torch.randn(runs, batch, generator=random).double() for _ in range(2))
    return real, fake


def cost(name: str, player: str, real: Tensor, fake: Tensor) -> Tensor:
    return getattr(LOSSES[name], player)(real, fake)


def slopes(name: str, player: str, real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
    """Gradients of the summed cost in the real and the fake logits; 0 where it has none."""
    real, fake = real.clone().requires_grad_(), fake.clone().requires_grad_()
    total = cost(name, player, real, fake).sum()
    gradients = torch.autograd.grad(total, (real, fake), allow_unused=True)
    return tuple(torch.zeros_like(real) if g is None else g for g in gradients)  # type: ignore[return-value]


def test_every_loss_has_its_equation_here() -> None:
    assert set(LOSSES) == set(EQUATIONS)
    assert all(LOSSES[name].name == name for name in LOSSES)


@pytest.mark.parametrize("name", EQUATIONS)
@pytest.mark.parametrize("player", PLAYERS)
def test_loss_is_its_equation_for_each_run(name: str, player: str) -> None:
    real, fake = logits()
    equation = EQUATIONS[name][PLAYERS.index(player)]
    expected = [equation(r, f) for r, f in zip(real.numpy(), fake.numpy(), strict=True)]
    torch.testing.assert_close(
        cost(name, player, real, fake), torch.tensor(expected).double(), rtol=1e-9, atol=1e-9
    )


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("player", PLAYERS)
def test_batch_size_does_not_change_the_loss(name: str, player: str) -> None:
    real, fake = logits()
    once = cost(name, player, real, fake)
    thrice = cost(name, player, real.repeat(1, 3), fake.repeat(1, 3))
    assert once.shape == (3,)
    torch.testing.assert_close(thrice, once)


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("player", PLAYERS)
def test_runs_do_not_mix(name: str, player: str) -> None:
    real, fake = logits()
    alone = cost(name, player, real[1:2], fake[1:2])
    torch.testing.assert_close(cost(name, player, real, fake)[1:2], alone, rtol=0, atol=0)


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("player", PLAYERS)
def test_finite_with_finite_gradients_at_huge_logits(name: str, player: str) -> None:
    huge = torch.tensor([-1e4, -50.0, -16.64, 0.0, 16.64, EXP_CAP, 50.0, 1e4])
    real, fake = torch.cartesian_prod(huge, huge).T.unsqueeze(-1)
    assert cost(name, player, real, fake).isfinite().all()
    assert all(slope.isfinite().all() for slope in slopes(name, player, real, fake))


def sweep(name: str, player: str, side: str) -> Tensor:
    """The cost along logits from −1e4 to 1e4 on one side, the other side at 0."""
    tail = torch.logspace(-3, 4, 200)
    line = torch.cat([-tail.flip(0), torch.zeros(1), tail]).unsqueeze(-1)
    zero = torch.zeros_like(line)
    real, fake = (line, zero) if side == "real" else (zero, line)
    return cost(name, player, real, fake)


@pytest.mark.parametrize("name", FALLING_IN_REAL)
def test_monotone_up_to_huge_logits(name: str) -> None:
    """High means real: D gains on real and loses on fake samples, G gains on fake ones."""
    assert (sweep(name, "discriminator", "real").diff() <= 0).all()
    assert (sweep(name, "discriminator", "fake").diff() >= 0).all()
    assert (sweep(name, "generator", "fake").diff() <= 0).all()


def test_least_squares_aims_at_its_labels() -> None:
    """½(a − 1)² and ½a²: monotone up to the label, and back."""
    for player, side, label in [
        ("discriminator", "real", 1.0),
        ("discriminator", "fake", 0.0),
        ("generator", "fake", 1.0),
    ]:
        at = torch.tensor([[label - 2.0], [label], [label + 2.0]])
        zero = torch.zeros_like(at)
        pair = (at, zero) if side == "real" else (zero, at)
        below, best, above = cost("least squares", player, *pair).tolist()
        assert below - best == pytest.approx(2.0)
        assert above - best == pytest.approx(2.0)


def test_value_is_minus_two_log_two_at_one_half() -> None:
    zero = torch.zeros(4, 7).double()
    torch.testing.assert_close(value(zero, zero), torch.full((4,), -2 * log(2)).double())
    real, fake = logits()
    torch.testing.assert_close(value(real, fake), -cost("minimax", "discriminator", real, fake))


#: Goodfellow 2016, figure 16: |d cost / d a| of the three costs, at D = sigmoid(a).
STRENGTH: dict[str, Callable[[Tensor], Tensor]] = {
    "minimax": lambda D: D,
    "non-saturating": lambda D: 1 - D,
    "maximum likelihood": lambda D: D / (1 - D),
}


@pytest.mark.parametrize("name", STRENGTH)
def test_generator_feels_the_slope_of_goodfellows_figure_16(name: str) -> None:
    a = torch.linspace(-12, 12, 49).double().unsqueeze(-1)
    _, slope = slopes(name, "generator", a, a)
    torch.testing.assert_close(-slope, STRENGTH[name](a.sigmoid()), rtol=1e-7, atol=1e-12)


def test_maximum_likelihood_continues_by_its_tangent() -> None:
    a = EXP_CAP + torch.tensor([[0.0], [1.0], [5.0]]).double()
    _, slope = slopes("maximum likelihood", "generator", a, a)
    torch.testing.assert_close(-slope, torch.full_like(a, exp(EXP_CAP)))
    torch.testing.assert_close(
        -cost("maximum likelihood", "generator", a, a),
        exp(EXP_CAP) * torch.tensor([1.0, 2.0, 6.0]).double(),
    )


@pytest.mark.parametrize("name", LOSSES)
def test_relativistic_says_whether_the_generator_reads_real_logits(name: str) -> None:
    loss, (real, fake) = LOSSES[name], logits()
    reads = not torch.equal(loss.generator(real, fake), loss.generator(real + 1, fake))
    assert reads == loss.relativistic
    if not loss.relativistic:
        assert torch.equal(loss.generator(None, fake), loss.generator(real, fake))


@pytest.mark.parametrize("name", LOSSES)
def test_discriminator_reads_both_halves(name: str) -> None:
    real, fake = logits()
    for slope in slopes(name, "discriminator", real, fake):
        assert slope.abs().amax(dim=1).min() > 1e-3 / real.shape[1]


def called(node: ast.AST) -> str:
    """The bare name of the function that a node calls, or nothing."""
    function = node.func if isinstance(node, ast.Call) else None
    return getattr(function, "attr", getattr(function, "id", ""))


def is_unsafe(node: ast.AST) -> bool:
    """`BCELoss`, or a logarithm of a sigmoid, as `log(sigmoid(a))` or `sigmoid(a).log()`."""
    if called(node) in ("BCELoss", "binary_cross_entropy"):
        return True
    if called(node) not in ("log", "log2", "log10"):
        return False
    inside = [*node.args, getattr(node.func, "value", None)]
    return any(
        called(part) == "sigmoid" for argument in inside if argument for part in ast.walk(argument)
    )


@pytest.mark.parametrize(
    ("code", "unsafe"),
    [
        ("nn.BCELoss()(a.sigmoid(), y)", True),
        ("torch.log(torch.sigmoid(a) + 1e-8)", True),
        ("(1 - a.sigmoid()).log()", True),
        ("F.softplus(-a).log() + a.sigmoid()", False),
    ],
)
def test_the_unsafe_is_recognised(code: str, unsafe: bool):
    assert any(is_unsafe(node) for node in ast.walk(ast.parse(code))) == unsafe


def test_package_never_takes_the_log_of_a_sigmoid():
    """From a = 16.64 on it is log 0; `BCELoss` clamps it at 100, with no gradient."""
    files = list(Path(gan_course.__file__).parent.rglob("*.py"))
    assert "losses.py" in {file.name for file in files}
    found = [
        f"{file.name}:{node.lineno}"
        for file in files
        for node in ast.walk(ast.parse(file.read_text("utf-8")))
        if is_unsafe(node)
    ]
    assert found == []


#: A cost of one real and one fake logit, as exact as one likes.
EXACT: dict[str, tuple[Callable[..., Any], Callable[..., Any]]] = {
    "minimax": (lambda r, f: softplus(-r) + softplus(f), lambda _, f: -softplus(f)),
    "non-saturating": (lambda r, f: softplus(-r) + softplus(f), lambda _, f: softplus(-f)),
    "maximum likelihood": (
        lambda r, f: softplus(-r) + softplus(f),
        lambda _, f: -mp.exp(min(f, 20)) * (1 + max(f - 20, 0)),
    ),
    "least squares": (lambda r, f: ((r - 1) ** 2 + f**2) / 2, lambda _, f: (f - 1) ** 2 / 2),
    "hinge": (lambda r, f: max(0, 1 - r) + max(0, 1 + f), lambda _, f: -f),
    "wasserstein": (lambda r, f: f - r, lambda _, f: -f),
    "relativistic": (lambda r, f: softplus(f - r), lambda r, f: softplus(r - f)),
}
FAR = [-1e4, -800.0, -300.0, -50.0, -21.0, -19.5, -3.0, -0.3, 0.0, 0.3, 3.0, 19.5, 21.0, 50.0, 1e4]


def softplus(a: Any) -> Any:
    return mp.log1p(mp.exp(a)) if a < 0 else a + mp.log1p(mp.exp(-a))


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("player", PLAYERS)
def test_values_and_slopes_far_out(name: str, player: str) -> None:
    """A clamp where nothing is seen at logits of a usual size: digit for digit, up to 1e4."""
    exact = EXACT[name][PLAYERS.index(player)]
    other = 0.125
    for side in (0, 1):
        at = torch.tensor(FAR, dtype=torch.float64).unsqueeze(-1)
        rest = torch.full_like(at, other)
        pair = (at, rest) if side == 0 else (rest, at)
        value, slope = cost(name, player, *pair), slopes(name, player, *pair)[side].squeeze(-1)
        with mp.workdps(500):

            def along(a: Any, side: int = side) -> Any:
                return exact(a, mp.mpf(other)) if side == 0 else exact(mp.mpf(other), a)

            values = [float(along(mp.mpf(a))) for a in FAR]
            step = mp.mpf(10) ** -20
            rises = [along(mp.mpf(a) + step) - along(mp.mpf(a) - step) for a in FAR]
            rates = [float(rise / (2 * step)) for rise in rises]
        # torch's softplus is a straight line from 20 on: it leaves out e⁻²⁰ = 2e-9.
        np.testing.assert_allclose(value.numpy(), values, rtol=4e-9, atol=1e-290)
        np.testing.assert_allclose(slope.numpy(), rates, rtol=4e-9, atol=1e-290)
