"""What pyproject.toml can't say: a wheel carries the recorded sweeps, which chapters read."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

RUNS = Path(__file__).parent / "figures" / "runs"


class BuildWithRuns(build_py):
    """Copies ``figures/runs`` into the package, but for an editable one, which has them beside."""

    def run(self) -> None:
        """Build, then copy all records but the tests' small ones."""
        super().run()
        if not self.editable_mode:
            shutil.copytree(
                RUNS,
                Path(self.build_lib, "gan_course", "runs"),
                ignore=shutil.ignore_patterns("*.quick.*"),
                dirs_exist_ok=True,
            )


setup(cmdclass={"build_py": BuildWithRuns})
