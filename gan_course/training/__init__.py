"""Algorithm 1 of Goodfellow et al. (2014), for one GAN or for thousands at once.

Every tensor of a training is ``(runs, batch, ...)``; one GAN is ``runs = 1``. Each file imports
only those above it:

| file | holds |
|---|---|
| ``optimisers`` | Adam, RMSprop, SGD, as functions of many runs |
| ``settings`` | what a reader can turn between two steps |
| ``history`` | what was measured, step by step |
| ``devices`` | which device, and whether it computes rightly |
| ``ranks`` | one training on several processes |
| ``draws`` | all that is random |
| ``state`` | all that moves |
| ``step`` | Algorithm 1: the arithmetic of one step |
| ``setups`` | wrong set-ups, said before the first step |
| ``interrupts`` | Ctrl-C, between two steps |
| ``programs`` | how steps run: eager, compiled, captured; whole or in blocks |
| ``trainer`` | the loop: many steps, interrupts, schedules, looking on |
"""

from gan_course.training.devices import pick_device
from gan_course.training.draws import Batch, pack
from gan_course.training.history import (
    DiscriminatorStep,
    GeneratorStep,
    History,
    NonFiniteError,
    Record,
)
from gan_course.training.settings import Linear, Settings
from gan_course.training.trainer import Trainer

__all__ = [
    "Batch",
    "DiscriminatorStep",
    "GeneratorStep",
    "History",
    "Linear",
    "NonFiniteError",
    "Record",
    "Settings",
    "Trainer",
    "pack",
    "pick_device",
]
