"""A training under the reader's hands: the live lab."""

from gan_course.lab.driver import Driver
from gan_course.lab.lab import Lab

__all__ = ["Driver", "Lab"]
