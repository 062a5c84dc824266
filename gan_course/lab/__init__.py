"""A training under the reader's hands: the live lab."""

try:
    from gan_course.lab.driver import Driver
    from gan_course.lab.lab import Lab
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        f"the lab is shown by Jupyter's packages, and {error.name} is not installed: "
        'pip install "gan-course[book]"',
        name=error.name,
    ) from None

__all__ = ["Driver", "Lab"]
