"""A training under the reader's hands: the driver, and the small panel of chapter 02."""

from gan_course.lab.driver import Driver
from gan_course.lab.playground import Playground

__all__ = ["Driver", "Playground"]
