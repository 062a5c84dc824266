"""What importing the library brings along, and what it leaves for those who need it."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

#: Each takes a third of a second or more.
HEAVY = ["matplotlib", "pandas", "scipy", "seaborn", "sklearn", "IPython", "ipywidgets"]


def loaded(*modules: str) -> set[str]:
    code = (
        f"import sys, json, {', '.join(modules)}; "
        f"print(json.dumps([name for name in {HEAVY} if name in sys.modules]))"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=600
    )
    return set(json.loads(run.stdout))


@pytest.mark.slow
def test_the_library_is_imported_without_its_heavy_friends():
    parts = ["distributions", "dynamics", "images", "metrics", "theory", "training", "quadrature"]
    assert loaded("gan_course", *(f"gan_course.{part}" for part in parts)) == set()


@pytest.mark.slow
@pytest.mark.parametrize(("module", "allowed"), [("gan_course.plotting", {"matplotlib"})])
def test_a_module_brings_what_it_draws_with(module: str, allowed: set[str]):
    assert loaded(module) <= allowed
