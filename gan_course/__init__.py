"""The library behind the GAN course: each formula of the book under the book's name.

=================  ==========================================================  ========
module             what it holds                                               chapter
=================  ==========================================================  ========
``distributions``  targets and priors with exact densities                     02
``densities``      a distribution as an integral needs it                      03
``quadrature``     integrals on the line and in the plane                      03
``theory``         D*, V, divergences, W1, generator gradients by quadrature   03 – 05
``losses``         the objectives of both players, as functions of logits      02, 05
``penalties``      R1, R2, WGAN-GP                                             02
``networks``       ``mlp``, and ``Ensemble``: many copies as one program       02
``convolutional``  DCGAN and a residual pair, for pictures of any size         09
``conditional``    networks that are told a class                              10
``captioned``      networks that read a caption, and what they read           10
``augmentation``   pictures changed at random before D looks                   09
``families``       VAE, autoregressive, diffusion, flow matching, a flow        11
``training``       Algorithm 1: ``Settings``, ``Trainer``, ``History``         02
``dynamics``       games as vector fields, eigenvalues; a GAN's Jacobian       06
``metrics``        modes, distances, intervals; pictures seen by a classifier  01, 07, 09
``sweeps``         a grid of settings, each an ensemble; records               07
``images``         digits, glyphs, scenes, stacked digits, MNIST and its kin   02, 09
``plotting``       figures that take an axis and return it                     all
``lab``            a training under the reader's hands                         02
``explore``        a picture with sliders                                      01
``arguments``      what every function asks of its arguments                   all
``checks``         ``check``: the assertion behind every number of the prose   all
``exercises``      each exercise's specification; how far you are              all
``grading``        which exercises of submitted notebooks are right            all
``notebook``       what a chapter's first cell does                            all
=================  ==========================================================  ========

Importing it needs no Jupyter; ``gan_course.Lab`` is loaded when it is first asked for.
"""

from typing import TYPE_CHECKING, Any

from gan_course.distributions import Empirical, GaussianMixture, Uniform
from gan_course.exercises import progress
from gan_course.losses import LOSSES, Loss
from gan_course.networks import Ensemble, mlp
from gan_course.penalties import PENALTIES, Penalty
from gan_course.training import History, NonFiniteError, Settings, Trainer

if TYPE_CHECKING:
    from gan_course.lab import Lab as Lab

__all__ = [
    "LOSSES",
    "PENALTIES",
    "Empirical",
    "Ensemble",
    "GaussianMixture",
    "History",
    "Loss",
    "NonFiniteError",
    "Penalty",
    "Settings",
    "Trainer",
    "Uniform",
    "mlp",
    "progress",
]


def __getattr__(name: str) -> Any:
    if name == "Lab":  # it alone needs Jupyter's packages
        from gan_course.lab import Lab  # noqa: PLC0415

        return Lab
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
