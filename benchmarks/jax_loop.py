"""The same training in JAX: one program of many steps by ``scan``, many runs by ``vmap``."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from torch import nn

from gan_course.distributions import GaussianMixture

Tree = Any  # a nest of JAX arrays
RATE, BETAS, EPS = 1e-3, (0.5, 0.999), 1e-8


def weights(network: nn.Module) -> Tree:
    """A torch network's layers as ``[(weight, bias), ...]``, with ``runs`` in front if it has."""
    state = {name: jnp.asarray(t.detach().numpy()) for name, t in network.named_parameters()}
    names = sorted({name.rsplit(".", 1)[0] for name in state}, key=lambda n: int(n.split(".")[-1]))
    return [(state[f"{name}.weight"], state[f"{name}.bias"]) for name in names]


def forward(layers: Tree, x: jax.Array) -> jax.Array:
    """The multilayer perceptron with ReLU."""
    for weight, bias in layers[:-1]:
        x = jax.nn.relu(x @ weight.T + bias)
    weight, bias = layers[-1]
    return x @ weight.T + bias


def discriminator_loss(D: Tree, x: jax.Array, fake: jax.Array, r1: float) -> jax.Array:
    """−V(D, G), and R1 where it is asked for."""
    real_logits, fake_logits = jnp.split(forward(D, jnp.concatenate([x, fake])), 2)
    loss = jax.nn.softplus(-real_logits).mean() + jax.nn.softplus(fake_logits).mean()
    if r1:
        slope = jax.grad(lambda x: forward(D, x).sum())(x)
        loss = loss + r1 / 2 * jnp.square(slope).sum(axis=1).mean()
    return loss


def generator_loss(G: Tree, D: Tree, z: jax.Array) -> jax.Array:
    """−E log D(G(z))."""
    return jax.nn.softplus(-forward(D, forward(G, z))).mean()


def fresh(layers: Tree) -> Tree:
    """A player at the start: weights, Adam's two moments, its step count."""
    zeros = jax.tree.map(jnp.zeros_like, layers)
    return layers, zeros, zeros, jnp.zeros(())


def descend(player: Tree, gradient: Tree) -> Tree:
    """One step of Adam."""
    layers, mean, square, t = player
    t = t + 1
    mean = jax.tree.map(lambda m, g: BETAS[0] * m + (1 - BETAS[0]) * g, mean, gradient)
    square = jax.tree.map(lambda s, g: BETAS[1] * s + (1 - BETAS[1]) * g * g, square, gradient)

    def move(w: jax.Array, m: jax.Array, s: jax.Array) -> jax.Array:
        root = jnp.sqrt(s / (1 - BETAS[1] ** t)) + EPS
        return w - RATE * m / (1 - BETAS[0] ** t) / root

    return jax.tree.map(move, layers, mean, square), mean, square, t


def step(players: Tree, xs: jax.Array, zs: jax.Array, r1: float) -> tuple[Tree, Tree]:
    """Algorithm 1's step on ``k`` real and ``k + 1`` noise batches; also returns both losses."""
    G, D = players
    for x, z in zip(xs, zs, strict=False):
        value = jax.value_and_grad(discriminator_loss)
        last_D, gradient = value(D[0], x, forward(G[0], z), r1)
        D = descend(D, gradient)
    last_G, gradient = jax.value_and_grad(generator_loss)(G[0], D[0], zs[-1])
    return (descend(G, gradient), D), (last_D, last_G)


def draw(key: jax.Array, target: GaussianMixture, k: int, batch: int) -> tuple[jax.Array, ...]:
    """Batches for one step: real ``(k, batch, 2)`` and noise ``(k + 1, batch, 2)``."""
    which, blur, noise = jax.random.split(key, 3)
    centers, std = jnp.asarray(target.centers.numpy()), float(target.std[0])
    x = centers[jax.random.randint(which, (k, batch), 0, len(centers))]
    x = x + std * jax.random.normal(blur, x.shape)
    return x, jax.random.normal(noise, (k + 1, batch, 2))


def program(
    G: nn.Module,
    D: nn.Module,
    runs: int,
    target: GaussianMixture,
    steps: int,
    *,
    k: int,
    batch: int,
    r1: float,
) -> Callable[[], object]:
    """A call that takes ``steps`` of every run, compiled."""
    players = tuple(jax.vmap(fresh)(weights(n)) if runs > 1 else fresh(weights(n)) for n in (G, D))
    one = partial(step, r1=r1)
    many = jax.vmap(one) if runs > 1 else one
    sample = partial(draw, target=target, k=k, batch=batch)

    def body(players: Tree, key: jax.Array) -> tuple[Tree, Tree]:
        keys = jax.random.split(key, runs)
        return many(players, *(jax.vmap(sample)(keys) if runs > 1 else sample(keys[0])))

    scan = jax.jit(lambda players, key: jax.lax.scan(body, players, jax.random.split(key, steps)))
    state = {"players": players, "key": jax.random.key(0)}

    def call() -> None:
        state["key"], key = jax.random.split(state["key"])
        state["players"], losses = scan(state["players"], key)
        jax.block_until_ready(losses)

    return call
