"""A training under the reader's hands: the live lab, and the small panel of chapter 02."""

from gan_course.lab.driver import Driver
from gan_course.lab.lab import Lab
from gan_course.lab.playground import Playground

__all__ = ["Driver", "Lab", "Playground"]
