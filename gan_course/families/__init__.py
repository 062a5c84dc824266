"""Five other ways to learn a distribution, each in the plainest form that can be read.

A variational autoencoder, an autoregressive model, a diffusion model, flow matching and a
normalising flow. Each is a module that holds its networks. ``loss(x, generator)`` gives one number
a sample, to be made small; ``sample(shape, generator)`` draws; ``log_prob`` is the log density
in nats, where there is one. :func:`fit` is the whole training, and :func:`quickly` a first look at
all of them, and a GAN, on points of the plane.

A point has shape ``(dim,)``, a batch ``(..., batch, dim)``: with
:class:`~gan_course.networks.Ensemble` for networks, ``(runs, batch, dim)``, and ``runs`` models are
trained as one program. Data should have a mean near 0 and a spread near 1.
"""

from gan_course.families.autoregressive import (
    Autoregressive,
    MaskedLinear,
    MixtureHead,
    ValueHead,
    Waves,
    masked_network,
)
from gan_course.families.continuous import Diffusion, FlowMatching, along
from gan_course.families.coupling import RealNVP
from gan_course.families.quick import quickly
from gan_course.families.training import Family, fit
from gan_course.families.vae import VAE

__all__ = [
    "VAE",
    "Autoregressive",
    "Diffusion",
    "Family",
    "FlowMatching",
    "MaskedLinear",
    "MixtureHead",
    "RealNVP",
    "ValueHead",
    "Waves",
    "along",
    "fit",
    "masked_network",
    "quickly",
]
