"""Every public function under odd arguments: a right result, or an error that names the argument.

Never another exception, never NaN in silence. Where a closed form or SciPy knows the answer,
random input agrees with it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from matplotlib.figure import Figure
from scipy import stats
from torch import Generator, Tensor, distributions, nn

from gan_course import (
    augmentation,
    captioned,
    checkpoints,
    checks,
    conditional,
    convolutional,
    dynamics,
    exercises,
    explore,
    families,
    grading,
    images,
    metrics,
    networks,
    plotting,
    quadrature,
    sweeps,
    theory,
)
from gan_course import distributions as targets
from gan_course.losses import LOSSES, value
from gan_course.penalties import PENALTIES, gradient_norm, mixing_weights
from gan_course.training import History, Linear, Settings, Trainer, pack
from gan_course.training.history import symptom

CALM = settings(
    deadline=None,
    derandomize=True,
    database=None,
    max_examples=25,
    suppress_health_check=list(HealthCheck),
)

#: What a slip of the hand, another library or an empty data set may pass.
ODD: list[Any] = [
    *[0, -1, 1, 2.5, math.nan, math.inf, -math.inf, 1e308, -1e308, 1e-308, 10**400],
    *[True, False, None, "", "hinge", b"x", 1j, [], {}, [1, "a"], [[1], [2, 3]], object()],
    np.float32("nan"),
    np.zeros(0),
    np.ones((2, 3)),
    np.array(["a"]),
    torch.zeros(0),
    torch.tensor(math.nan),
    torch.ones(3, dtype=torch.long),
    torch.ones(1, 4, 2, dtype=torch.bool),
    torch.ones(1, 4, 2, dtype=torch.float64),
    torch.ones(1, 4, 2, dtype=torch.float16),
    torch.ones(1, 4, 2, dtype=torch.complex64),
    torch.full((1, 4, 2), math.nan),
    torch.full((1, 4, 2), 1e38),
    torch.full((4, 2), -math.inf),
    torch.zeros(1, 0, 2),
    torch.zeros(0, 4, 2),
    torch.zeros(2, 1, 4, 2),
]

X = torch.randn(1, 4, 2, generator=Generator().manual_seed(0))
Y = torch.randn(1, 5, 2, generator=Generator().manual_seed(1))
N, M = distributions.Normal(0.0, 1.0), distributions.Normal(1.0, 2.0)
RING = targets.ring()


def identity(z: Tensor) -> Tensor:
    return z


def still(state: Tensor) -> Tensor:
    return 0 * state


def slope(x: Tensor) -> Tensor:
    return x.square().flatten(2).sum(-1)


def shifted(mean: Tensor) -> Any:
    return distributions.Normal(mean, 1.0)


def panels(**given: Any) -> None:
    plt.close(plotting.panels(**given)[0].figure)


AX, LABELLED = Figure().subplots(), Figure().subplots()
LABELLED.plot([0, 1], label="one")
ROW = X[0, :, 0]
TABLE = pd.DataFrame(
    {"step": [1, 1, 2, 2], "run": [0, 1, 0, 1], "loss": [1.0, 2.0, 0.5, 1.5], "ended": [True] * 4}
)


def judged(**given: Any) -> Any:
    """A classifier's accuracy."""
    return metrics.train_classifier(**given).accuracy


Asked = tuple[Callable[..., Any], dict[str, Any]]


def sizes(build: Callable[..., nn.Module], **given: Any) -> Asked:
    """A conditional network and its arguments."""
    return build, {**given, "classes": 2, "width": 4, "depth": 1, "activation": "relu"}


def trainer(**given: Any) -> Trainer:
    """A small training, with one argument changed."""
    players = {
        "generator": networks.mlp(2, 2, width=4),
        "discriminator": networks.mlp(2, 1, width=4),
    }
    return Trainer(**{**players, "data": RING, "device": "cpu", **given})


LABEL = torch.tensor([0, 1, 1, 0])
#: Families, each with networks of its own; their weights are floats, so x becomes one.
FLOW = families.RealNVP([networks.mlp(2, 4, width=4) for _ in range(2)], 2)
AUTO = families.VAE(networks.mlp(2, 2, width=4), networks.mlp(1, 2, width=4), 1)
NOISY = families.Diffusion(networks.mlp(3, 2, width=4), 2)
MATCH = families.FlowMatching(networks.mlp(3, 2, width=4), 2)
MIXED, VALUES = families.MixtureHead(2), families.ValueHead(3)
TURNS = families.Autoregressive(families.masked_network(2, 6, width=4), MIXED, 2)
WORDS = families.Autoregressive(families.masked_network(2, 3, width=4), VALUES, 2)
TRAINER = trainer()
TABLES = pd.DataFrame(
    {"cell": [0, 0], "modes": [1, 2], "high_quality": [1, 2.0], "reverse_kl": [1, 2.0]}
).assign(diverged=[True, False])

#: What belongs to no part of the library that is asked below: families, labels, trainings, records.
MORE: dict[str, Asked] = {
    "VAE": (
        families.VAE,
        {"encoder": AUTO.encoder, "decoder": AUTO.decoder, "latent": 1, "std": 0.1},
    ),
    "elbo": (AUTO.elbo, {"x": X}),
    "posterior": (AUTO.posterior, {"x": X}),
    "log_joint": (AUTO.log_joint, {"x": X, "z": X[..., :1]}),
    "a VAE's log_prob": (AUTO.log_prob, {"x": X, "draws": 2}),
    "a VAE's sample": (AUTO.sample, {"shape": (2,), "noise": True}),
    "Diffusion": (families.Diffusion, {"network": NOISY.network, "dim": 2, "low": 0.1, "high": 9}),
    "noise": (NOISY.noise, {"x": X, "sigma": torch.ones(1, 4, 1)}),
    "score": (NOISY.score, {"x": X, "sigma": torch.ones(1, 4, 1)}),
    "a diffusion's loss": (NOISY.loss, {"x": X}),
    "levels": (NOISY.levels, {"steps": 3}),
    "a diffusion's sample": (NOISY.sample, {"shape": (2,), "steps": 2}),
    "a diffusion's log_prob": (NOISY.log_prob, {"x": X, "steps": 2}),
    "FlowMatching": (families.FlowMatching, {"network": MATCH.network, "dim": 2}),
    "velocity": (MATCH.velocity, {"x": X, "t": torch.ones(1, 4, 1)}),
    "flow matching's loss": (MATCH.loss, {"x": X}),
    "flow matching's sample": (MATCH.sample, {"shape": (2,), "steps": 2}),
    "flow matching's log_prob": (MATCH.log_prob, {"x": X, "steps": 2}),
    "along": (
        families.along,
        {"field": lambda x, t: x, "x": X, "start": 0.0, "stop": 1.0, "steps": 2},
    ),
    "masked_network": (
        families.masked_network,
        {"dim": 2, "outputs": 3, "width": 4, "depth": 1, "waves": 1},
    ),
    "MaskedLinear": (families.MaskedLinear, {"mask": torch.ones(2, 3)}),
    "Waves": (families.Waves, {"frequencies": torch.ones(2)}),
    "MixtureHead": (families.MixtureHead, {"components": 2}),
    "ValueHead": (families.ValueHead, {"values": 3}),
    "a value's log_prob": (
        VALUES.log_prob,
        {"given": torch.zeros(4, 2, 3), "x": torch.zeros(4, 2)},
    ),
    "Autoregressive": (
        families.Autoregressive,
        {"network": TURNS.network, "head": MIXED, "dim": 2},
    ),
    "turns' log_prob": (TURNS.log_prob, {"x": X}),
    "turns' sample": (TURNS.sample, {"shape": (2,)}),
    "words' log_prob": (WORDS.log_prob, {"x": torch.zeros(4, 2)}),
    "RealNVP": (families.RealNVP, {"networks": [*FLOW.networks], "dim": 2, "most": 2.0}),
    "inverse": (FLOW.inverse, {"x": X}),
    "a flow's log_prob": (FLOW.log_prob, {"x": X}),
    "a flow's sample": (FLOW.sample, {"shape": (2,)}),
    "fit": (
        families.fit,
        {"model": FLOW, "source": RING, "batch": 4, "rate": 1e-3, "averaging": 0.9, "runs": 0}
        | {"steps": 1},
    ),
    "one_hot": (conditional.one_hot, {"label": LABEL, "classes": 2, "dtype": torch.float32}),
    "Concatenated": sizes(conditional.Concatenated, inputs=2, outputs=1),
    "Normalised": sizes(conditional.Normalised, inputs=2, outputs=1),
    "Projection": sizes(conditional.Projection, inputs=2),
    "Auxiliary": sizes(conditional.Auxiliary, inputs=2),
    "a concatenation": (
        conditional.Concatenated(2, 1, 2, width=4),
        {"x": X[0], "label": LABEL},
    ),
    "a normalisation": (conditional.Normalised(2, 1, 2, width=4), {"x": X[0], "label": LABEL}),
    "a projection": (conditional.Projection(2, 2, width=4), {"x": X[0], "label": LABEL}),
    "bag_of_words": (captioned.bag_of_words, {"texts": ["a"], "words": ["a", "b"]}),
    "matching_aware": (
        captioned.matching_aware,
        {"real": X[..., 0], "wrong": X[..., 1], "fake": X[..., 1]},
    ),
    "CaptionGenerator": (
        captioned.CaptionGenerator,
        {"words": 2, "size": 2, "latent": 2, "text": 2, "width": 4},
    ),
    "CaptionDiscriminator": (
        captioned.CaptionDiscriminator,
        {"words": 2, "size": 2, "text": 2, "width": 4},
    ),
    "a captioned picture": (
        captioned.CaptionGenerator(2, 2, latent=2, width=4),
        {"z": X[0], "bag": X[0]},
    ),
    "a picture with its caption": (
        captioned.CaptionDiscriminator(2, 1, width=4),
        {"x": torch.zeros(4, 3, 1, 1), "bag": X[0]},
    ),
    "residual_mlp": (
        networks.residual_mlp,
        {"inputs": 2, "outputs": 1, "width": 4, "blocks": 1, "activation": "relu"},
    ),
    "FourierFeatures": (
        networks.FourierFeatures,
        {"inputs": 2, "waves": 3, "frequencies": (0.3, 8.0)},
    ),
    "MinibatchStd": (networks.MinibatchStd(), {"x": X[0]}),
    "an Augment": (augmentation.Augment(), {"x": torch.zeros(2, 1, 8, 8)}),
    "js_of_masses": (
        metrics.js_of_masses,
        {"p": torch.tensor([0.5, 0.5]), "q": torch.tensor([0.4, 0.6])},
    ),
    "line_masses": (metrics.line_masses, {"generator": identity, "edges": [-1.0, 0.0, 1.0]}),
    "Labelled": (targets.Labelled, {"data": X[0], "labels": LABEL}),
    "bilinear": (dynamics.bilinear, {"state": X}),
    "jacobian_spectrum": (
        dynamics.jacobian_spectrum,
        {"trainer": TRAINER, "batch": 4, "seed": 0},
    ),
    "Linear": (Linear, {"start": 1.0, "stop": 0.0, "begin": 0, "end": 3}),
    "a line": (Linear(1.0, 0.0, 0, 3), {"step": 1}),
    "Settings": (Settings, {"betas": (0.5, 0.9), "discriminator_rate": 0.1, "k": 1, "clip": 0.0}),
    "Trainer": (trainer, {"prior": None, "settings": None, "seed": 0, "program": "eager"}),
    "Trainer, device": (trainer, {"device": "cpu"}),
    "discriminate": (TRAINER.discriminate, {"x": X[0]}),
    "pack": (pack, {"x": X, "packing": 2}),
    "symptom": (symptom, {"measures": {"real": 0.5}}),
    "History": (History, {"first": 0}),
    "extend": (History().extend, {"records": torch.zeros(1, 7, 2)}),
    "disagreements": (
        sweeps.disagreements,
        {"one": TABLES, "other": TABLES, "confidence": 0.9},
    ),
    "cells": (
        lambda **given: [*sweeps.cells(**given)],
        {"grid": {"k": [1]}, "variants": None, "settings": {"runs": 1}},
    ),
    "exists": (checkpoints.exists, {"path": "nowhere.pt"}),
    "drawn": (checks.drawn, {"ax": Figure().subplots()}),
    "find": (exercises.find, {"key": "01.1"}),
    "keys_of": (exercises.keys_of, {"chapter": "01"}),
    "grade": (grading.grade, {"paths": [], "jobs": 1, "limit": 1.0, "setup_limit": 1.0}),
}

#: A call that is right; each of its arguments is replaced in turn.
CALLS: dict[str, tuple[Callable[..., Any], dict[str, Any]]] = (
    {
        "GaussianMixture": (
            targets.GaussianMixture,
            {"centers": [[0.0, 1.0], [1.0, 2.0]], "std": 0.1, "weights": [1, 2], "modal": True},
        ),
        "Uniform": (targets.Uniform, {"low": [0.0], "high": [1.0]}),
        "Empirical": (targets.Empirical, {"data": X[0]}),
        "normal": (targets.normal, {"dim": 2}),
        "uniform": (targets.uniform, {"dim": 2}),
        "codebook": (targets.codebook, {"dim": 4, "codes": 8, "std": 0.1}),
        "ring": (targets.ring, {"modes": 8, "radius": 1.0, "std": 0.01}),
        "grid": (targets.grid, {"side": 5, "spacing": 2.0, "std": 0.05}),
        "two_moons": (targets.two_moons, {"std": 0.1}),
        "spiral": (targets.spiral, {"turns": 1.0, "std": 0.1}),
        "drawn": (targets.drawn, {"points": X[0], "std": 0.1}),
        "sample": (RING.sample, {"shape": (2,)}),
        "log_prob": (RING.log_prob, {"x": X}),
        "box's log_prob": (targets.uniform(2).log_prob, {"x": X}),
        "pushforward_density": (
            targets.pushforward_density,
            {"generator": identity, "prior": targets.normal(1), "x": X[0, :, 0], "resolution": 11},
        ),
        "kl_divergence": (theory.kl_divergence, {"p": N, "q": M, "tolerance": 1e-6}),
        "f_divergence": (theory.f_divergence, {"f": theory.JS, "p": N, "q": M}),
        "optimal_discriminator": (
            theory.optimal_discriminator,
            {"p": N, "q": M, "real_target": 0.9, "fake_target": 0.1},
        ),
        "D*": (theory.optimal_discriminator(N, M), {"x": X}),
        "value": (
            theory.value,
            {"discriminator": theory.optimal_discriminator(N, M), "p": N, "q": M},
        ),
        "generator_cost": (theory.generator_cost, {"loss": "minimax", "p": N, "q": M}),
        "generator_gradient": (
            theory.generator_gradient,
            {"loss": "minimax", "p": N, "generator_family": shifted, "parameter": 0.5},
        ),
        "followed_gradient": (
            theory.followed_gradient,
            {
                "loss": "minimax",
                "p": N,
                "generator_family": shifted,
                "parameter": 0.5,
                "step": 0.1,
                "tolerance": 1e-6,
            },
        ),
        "wasserstein1": (theory.wasserstein1, {"p": N, "q": M, "tolerance": 1e-6}),
        "dirac": (dynamics.dirac, {"loss": "minimax", "r1": 0.1, "noise": 0.1}),
        "consensus": (dynamics.consensus, {"field": still, "weight": 0.1}),
        "simultaneous": (
            dynamics.simultaneous,
            {"field": still, "state": X, "rates": (0.1, 0.1), "k": 1},
        ),
        "alternating": (
            dynamics.alternating,
            {"field": still, "state": X, "rates": (0.1, 0.1), "k": 2},
        ),
        "trajectories": (
            dynamics.trajectories,
            {
                "field": still,
                "starts": X[0],
                "steps": 2,
                "rates": (0.1, 0.1),
                "update": "simultaneous",
                "k": 1,
            },
        ),
        "flow": (dynamics.flow, {"field": still, "starts": X[0], "time": 1.0, "steps": 2}),
        "jacobian": (dynamics.jacobian, {"field": still, "point": X}),
        "eigenvalues": (dynamics.eigenvalues, {"field": still, "point": X}),
        "mode_coverage": (metrics.mode_coverage, {"samples": X, "centers": X[0], "std": 0.1}),
        "mode_coverage_of_perfect_samples": (
            metrics.mode_coverage_of_perfect_samples,
            {"target": RING, "samples": 10},
        ),
        "nearest_neighbors": (metrics.nearest_neighbors, {"samples": X[0], "data": Y[0]}),
        "frechet_distance": (metrics.frechet_distance, {"x": X, "y": Y}),
        "kernel_distance": (metrics.kernel_distance, {"x": X, "y": Y}),
        "precision_recall": (metrics.precision_recall, {"x": X, "y": Y, "k": 2}),
        "density_coverage": (metrics.density_coverage, {"x": X, "y": Y, "k": 2}),
        "coverage_of_perfect_samples": (
            metrics.coverage_of_perfect_samples,
            {"samples": 5, "others": 6, "k": 2},
        ),
        "label_coverage": (
            metrics.label_coverage,
            {"labels": torch.tensor([[0, 1, 1]]), "share": torch.ones(2)},
        ),
        "memorisation": (
            metrics.memorisation,
            {"x": X, "train": Y[0], "held_out": X[0], "permutations": 3},
        ),
        "train_classifier": (
            judged,
            {
                "images": torch.zeros(6, 1, 8, 8),
                "labels": torch.arange(6) % 2,
                "steps": 1,
                "features": 2,
                "held_out": 2,
                "seed": 0,
            },
        ),
        "squared_mmd": (metrics.squared_mmd, {"x": X, "y": Y, "bandwidth": 1.0}),
        "two_sample_test": (
            metrics.two_sample_test,
            {"x": X, "y": Y, "bandwidth": 1.0, "permutations": 9},
        ),
        "sliced_wasserstein": (
            metrics.sliced_wasserstein,
            {"x": X, "y": Y, "projections": 3, "p": 2.0},
        ),
        "two_sample_floor": (
            metrics.two_sample_floor,
            {"distance": metrics.sliced_wasserstein, "source": RING, "samples": 3, "runs": 2},
        ),
        "mean_interval": (metrics.mean_interval, {"values": [1.0, 2.0], "confidence": 0.9}),
        "proportion_interval": (
            metrics.proportion_interval,
            {"successes": 1, "runs": 3, "confidence": 0.9},
        ),
        "mlp": (
            networks.mlp,
            {
                "inputs": 2,
                "outputs": 1,
                "width": 4,
                "depth": 1,
                "activation": "tanh",
                "batch_norm": False,
                "spectral_norm": False,
                "minibatch_std": False,
                "fourier": 2,
                "frequencies": (0.3, 8.0),
            },
        ),
        "Augment": (augmentation.Augment, {"kinds": ["cutout"]}),
        "dcgan": (
            convolutional.dcgan,
            {
                "size": 8,
                "channels": 1,
                "latent": 2,
                "width": 2,
                "upsampling": "resize",
                "batch_norm": "both",
            },
        ),
        "modern": (
            convolutional.modern,
            {"size": 8, "channels": 1, "latent": 2, "width": 2, "blocks": 1},
        ),
        "Ensemble": (networks.Ensemble, {"build": lambda: nn.Linear(2, 1), "runs": 2}),
        "member": (networks.Ensemble(lambda: nn.Linear(2, 1), 2).member, {"run": 1}),
        "an ensemble": (networks.Ensemble(lambda: nn.Linear(2, 1), 1), {"x": X}),
        "V": (value, {"real_logits": X[..., 0], "fake_logits": X[..., 1]}),
        "gradient_norm": (gradient_norm, {"critic": slope, "points": X}),
        "mixing_weights": (mixing_weights, {"real": X}),
        "plot_samples": (
            plotting.plot_samples,
            {"ax": AX, "real": X[0], "fake": Y[0], "window": (-1.0, 1.0)},
        ),
        "plot_belief": (
            plotting.plot_belief,
            {
                "ax": AX,
                "discriminate": lambda x: x[:, 0].sigmoid(),
                "window": (-1.0, 1.0),
                "resolution": 5,
            },
        ),
        "plot_images": (
            plotting.plot_images,
            {"ax": AX, "images": torch.zeros(3, 1, 2, 2), "columns": 2},
        ),
        "plot_game": (
            plotting.plot_game,
            {"ax": AX, "x": ROW, "data_density": ROW, "generated_density": ROW, "belief": ROW},
        ),
        "plot_arrows": (
            plotting.plot_arrows,
            {"ax": AX, "z": ROW, "x": ROW, "window": (-1.0, 1.0)},
        ),
        "plot_runs": (
            plotting.plot_runs,
            {"ax": AX, "frame": TABLE, "quantity": "loss", "label": "G"},
        ),
        "plot_shares": (
            plotting.plot_shares,
            {"ax": AX, "frame": TABLE, "event": "ended", "x": "run", "y": "step"},
        ),
        "legend_below": (plotting.legend_below, {"ax": LABELLED, "columns": 2}),
        "panels": (panels, {"count": 2, "width": 1.0, "height": 1.0}),
        "glyphs": (images.glyphs, {"size": 12, "characters": "ab"}),
        "shapes": (images.shapes, {"split": "held out", "copies": 1, "size": 16, "seed": 0}),
        "captions": (images.captions, {"factors": images.shapes("held out", 1, 16)[1]}),
        "read_captions": (images.read_captions, {"texts": ["a small red cross at the centre"]}),
        "Stacked": (
            images.Stacked,
            {"images": torch.zeros(3, 1, 2, 2), "labels": torch.arange(3), "labelled": True},
        ),
        "a stack's sample": (
            images.Stacked(torch.zeros(3, 1, 2, 2), torch.arange(3)).sample,
            {"shape": (2,)},
        ),
        "stacked_label": (images.stacked_label, {"classes": torch.tensor([[1, 2, 3]])}),
        "explore": (
            explore.explore,
            {"draw": lambda _, q: None, "size": (2.0, 1.0), "alt": "", "q": (0.0, 1.0, 0.5)},
        ),
    }
    | MORE
    | {
        f"{name}, {player}": (
            getattr(loss, player),
            {"real_logits": X[..., 0], "fake_logits": X[..., 1]},
        )
        for name, loss in LOSSES.items()
        for player in ("discriminator", "generator")
    }
    | {
        name: (penalty, {"critic": slope, "real": X, "fake": X + 1})
        for name, penalty in PENALTIES.items()
    }
)
OBJECTIVES = {play for loss in LOSSES.values() for play in (loss.discriminator, loss.generator)}
#: Other words for an argument in a message.
CALLED = {
    "frequencies": "frequencies",
    "rates": "rates",
    "centers": "centers|weights",
    "generator_family": "generator_family|q = |p = |q has",
    "starts": "starts",
    "state": "state",
    "x": "x |x, |that of x",
    "y": "y |x ",
    "k": "k |k=",
    "train": "train|held_out",
    "held_out": "held_out|train",
    "real": "real|fake",
    "real_logits": "real_logits|fake_logits",
    "fake_logits": "real_logits|fake_logits",
    "discriminator": "discriminator",
    "samples": "samples",
    "p": "p |q ",
    "real_target": "real_target",
    "source": "source",
    "images": "images|labels",
    "given": "given|x has|x = ",
    "z": "z |z has|x has",
    "classes": "classes|label = ",
    "data": "data|labels has",
    "network": "network",
    "low": "low|high",
    "begin": "begin",
    "first": "first",
    "one": "one ",
    "other": "other ",
}
#: Functions into which NaN may go, and out of which it then may come: it is looked for there.
PASS_NAN = (
    {
        *(
            "elbo",
            "posterior",
            "log_joint",
            "a VAE's log_prob",
            "noise",
            "score",
            "velocity",
            "along",
        ),
        *("a diffusion's loss", "a diffusion's log_prob", "flow matching's loss", "inverse"),
        *("flow matching's log_prob", "turns' log_prob", "a flow's log_prob", "a value's log_prob"),
        *("a concatenation", "a normalisation", "a projection", "MinibatchStd", "an Augment"),
        *("matching_aware", "a captioned picture", "a picture with its caption"),
        *("discriminate", "pack", "bilinear"),
    }
    | {"V", "gradient_norm", "D*", "log_prob", "box's log_prob", "an ensemble"}
    | {
        "simultaneous",
        "alternating",
    }
)


def has_nan(result: Any) -> bool:
    if isinstance(result, Tensor):
        return bool(result.isnan().any()) if result.dtype.is_floating_point else False
    if isinstance(result, np.ndarray | float):
        return bool(np.isnan(result).any())
    if isinstance(result, tuple):
        return any(has_nan(part) for part in result)
    return False


def holds_nan(odd: Any) -> bool:
    try:
        return bool(~torch.as_tensor(odd).isfinite().all())
    except (TypeError, ValueError, RuntimeError, OverflowError):
        return False


def is_huge(odd: Any) -> bool:
    return isinstance(odd, Tensor) and odd.is_floating_point() and bool((odd.abs() > 1e30).any())


#: Whose every call is an integral, or several.
LONG = ("followed_gradient", "generator_gradient", "wasserstein1")


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.slow) if name in LONG else name for name in CALLS],
)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_an_odd_argument_is_right_or_named(name: str) -> None:
    call, right = CALLS[name]
    call(**right)
    refused = False
    for argument in right:
        words = CALLED.get(argument, argument).split("|")
        for odd in ODD:
            before = torch.get_num_threads()
            try:
                result = call(**(right | {argument: odd}))
            except (ValueError, TypeError) as error:
                said, refused = str(error), True
                assert any(word in said for word in words), f"{argument} = {odd!r}: {error!r}"
            except quadrature.IntegrationError:
                pass  # an integral that cannot be had says so
            except Exception as error:
                # A training that leaves the numbers says so; an OverflowError would be a slip.
                if name != "fit" or type(error) is not ArithmeticError:
                    pytest.fail(f"{argument} = {odd!r}: {error!r}")
            else:
                passes = name in PASS_NAN or name in PENALTIES or "," in name
                # A network's weights may make NaN of what nearly leaves float32.
                wild = holds_nan(odd) or (name in MORE and is_huge(odd))
                silent = has_nan(result) and not (passes and wild)
                assert not silent, f"{argument} = {odd!r}: {result!r}"
            assert torch.get_num_threads() == before
    if refused and not documented(call):
        pytest.fail(f"{name} refuses arguments, and its docstring does not say so")


def documented(call: Callable[..., Any]) -> bool:
    """Whether a docstring says what is raised, here or where it points to."""
    owner = LOSSES["hinge"] if call in OBJECTIVES else call
    places = (owner, getattr(owner, "__init__", None), type(owner), type(owner).__call__)
    said = "\n".join(place.__doc__ or "" for place in places if place is not None)
    ours = "gan_course" in (getattr(owner, "__module__", None) or "")
    return not ours or "Raises:" in said or "errors as :func:" in said


def test_digits_need_no_argument() -> None:
    pixels, labels = images.digits()
    assert pixels.shape == (1797, 1, 8, 8)
    assert (float(pixels.min()), float(pixels.max())) == (-1, 1)
    assert labels.unique().tolist() == list(range(10))


# -- statistics ---------------------------------------------------------------------------

seeds = st.integers(0, 2**31)
scales = st.floats(-3, 3).map(lambda power: 10.0**power)


@pytest.mark.slow
@CALM
@given(seeds, st.integers(1, 5), st.floats(0.1, 3), st.floats(0.1, 3), scales)
def test_kl_of_normals_is_the_closed_form(
    seed: int, _: int, s: float, t: float, unit: float
) -> None:
    m = float(np.random.default_rng(seed).normal()) * unit
    s, t = s * unit, t * unit
    p, q = (
        distributions.Normal(*torch.tensor([a, b], dtype=torch.float64))
        for a, b in ((0.0, s), (m, t))
    )
    expected = math.log(t / s) + (s**2 + m**2) / (2 * t**2) - 0.5
    assert theory.kl_divergence(p, q) == pytest.approx(expected, abs=1e-8, rel=1e-8)
    moved = distributions.Normal(torch.tensor(m, dtype=torch.float64), p.scale)
    assert theory.wasserstein1(p, moved) == pytest.approx(abs(m), rel=1e-6, abs=1e-6 * unit)
    assert 0 <= theory.jensen_shannon(p, q) <= math.log(2) + 1e-9


@CALM
@given(seeds, st.integers(1, 30), st.integers(1, 30), scales, st.floats(-5, 5))
def test_wasserstein_on_a_line_is_scipys(
    seed: int, n: int, m: int, unit: float, shift: float
) -> None:
    random = np.random.default_rng(seed)
    x, y = unit * random.normal(size=n), unit * (random.normal(size=m) + shift)
    found = metrics.sliced_wasserstein(
        torch.tensor(x).reshape(1, n, 1), torch.tensor(y).reshape(1, m, 1), 1
    )
    assert float(found) == pytest.approx(stats.wasserstein_distance(x, y), rel=1e-9, abs=1e-12)


@CALM
@given(seeds, st.integers(2, 40), st.floats(0.01, 0.99), scales)
def test_a_mean_interval_is_scipys(seed: int, runs: int, confidence: float, unit: float) -> None:
    values = unit * np.random.default_rng(seed).normal(size=runs)
    found = metrics.mean_interval(values, confidence)
    expected = stats.t.interval(confidence, runs - 1, values.mean(), stats.sem(values))
    assert (found.low, found.high) == pytest.approx(tuple(expected), rel=1e-9)


@CALM
@given(st.integers(1, 500), st.floats(0, 1), st.floats(0.01, 0.99))
def test_a_proportion_is_inside_its_interval(runs: int, share: float, confidence: float) -> None:
    successes = round(share * runs)
    found = metrics.proportion_interval(successes, runs, confidence)
    assert -1e-12 <= found.low <= found.estimate + 1e-12
    assert found.estimate - 1e-12 <= found.high <= 1 + 1e-12
    mirrored = metrics.proportion_interval(runs - successes, runs, confidence)
    assert found.low == pytest.approx(1 - mirrored.high, abs=1e-9)


@CALM
@given(seeds, st.integers(1, 6), st.integers(1, 3), scales)
def test_a_mixtures_density_is_scipys(seed: int, parts: int, dim: int, unit: float) -> None:
    random = np.random.default_rng(seed)
    centers, std = unit * random.normal(size=(parts, dim)), unit * random.uniform(0.5, 2, parts)
    weights = random.uniform(0.1, 1, parts)
    x = unit * random.normal(size=(5, dim))
    mixture = targets.GaussianMixture(centers, std.tolist(), weights.tolist())
    expected = sum(
        w * stats.multivariate_normal(c, s**2 * np.eye(dim)).pdf(x).reshape(5)
        for w, c, s in zip(weights / weights.sum(), centers, std, strict=True)
    )
    found = mixture.log_prob(torch.tensor(x).float()).double().numpy()
    np.testing.assert_allclose(found, np.log(expected), atol=1e-3, rtol=1e-4)


@CALM
@given(seeds, st.integers(2, 12), st.integers(2, 12), st.floats(0.1, 5))
def test_mmd_is_its_definition(seed: int, n: int, m: int, bandwidth: float) -> None:
    random = np.random.default_rng(seed)
    x, y = random.normal(size=(n, 2)), random.normal(size=(m, 2))

    def kernel(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        apart = ((a[:, None] - b[None]) ** 2).sum(-1)
        return np.asarray(np.exp(-apart / (2 * bandwidth**2)))

    expected = (
        (kernel(x, x).sum() - n) / (n * (n - 1))
        + (kernel(y, y).sum() - m) / (m * (m - 1))
        - 2 * kernel(x, y).mean()
    )
    found = metrics.squared_mmd(torch.tensor(x)[None], torch.tensor(y)[None], bandwidth)
    assert float(found) == pytest.approx(expected, abs=1e-12)


@CALM
@given(seeds, st.integers(1, 6), st.floats(0, 2), st.floats(0, 2))
def test_a_path_is_the_power_of_its_update(seed: int, steps: int, g: float, d: float) -> None:
    start = torch.randn(3, 2, generator=Generator().manual_seed(seed), dtype=torch.float64)
    path = dynamics.trajectories(dynamics.bilinear, start, steps, rates=(g, d))
    matrix = torch.tensor([[1.0, -g], [d, 1.0]], dtype=torch.float64)
    expected = start @ torch.linalg.matrix_power(matrix, steps).T
    torch.testing.assert_close(path[-1], expected)
