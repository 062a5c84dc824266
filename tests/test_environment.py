"""One place says which versions are allowed, and what is tested satisfies it."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.version import Version
from tools import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
REQUIREMENTS = [
    Requirement(line)
    for lines in (PROJECT["dependencies"], *PROJECT["optional-dependencies"].values())
    for line in lines
    if not line.startswith(f"{PROJECT['name']}[")  # another of its extras
]
ENVIRONMENT = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
CONSTRAINTS = [
    line.rstrip("\\ ")
    for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    if not line.startswith(" ")  # hashes, and what asks for it
]


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def pins() -> dict[str, list[Requirement]]:
    found: dict[str, list[Requirement]] = {}
    for requirement in map(Requirement, CONSTRAINTS):
        found.setdefault(normal(requirement.name), []).append(requirement)
    return found


# --- environment.yml ----------------------------------------------------------------------


def conda() -> list[str]:
    return [line for line in ENVIRONMENT["dependencies"] if isinstance(line, str)]


def pip() -> list[str]:
    (part,) = (part for part in ENVIRONMENT["dependencies"] if isinstance(part, dict))
    return list(part["pip"])


def test_conda_users_get_the_extras_of_pyproject() -> None:
    (line,) = pip()
    match = re.fullmatch(r"-e \.\[([a-z,]+)\]", line)
    assert match is not None
    extras = match[1].split(",")
    assert "book" in extras
    assert set(extras) <= set(PROJECT["optional-dependencies"])


def test_nothing_is_pinned_twice() -> None:
    assert {re.split(r"[<>=! ]", line)[0] for line in conda()} == {"python", "pip"}
    assert not any("=" in line and not line.startswith("python>=") for line in conda())


def test_conda_has_the_python_that_the_course_needs() -> None:
    assert f"python{PROJECT['requires-python']}" in conda()


# --- constraints.txt ----------------------------------------------------------------------


@pytest.mark.parametrize("requirement", REQUIREMENTS, ids=str)
def test_the_tested_version_is_allowed(requirement: Requirement) -> None:
    found = pins().get(normal(requirement.name), [])
    assert found, f"constraints.txt does not name {requirement.name}"
    for pin in found:
        assert requirement.specifier.contains(version(pin), prereleases=False)


def version(pin: Requirement) -> str:
    (specifier,) = pin.specifier
    assert specifier.operator == "=="
    return specifier.version


def test_constraints_hold_on_every_machine() -> None:
    for line in CONSTRAINTS:
        assert "//" not in line
        local = Version(version(Requirement(line))).local
        assert local is None, f"{line}: +cpu and the like exist on one index only"


def test_no_package_is_pinned_twice_for_one_machine() -> None:
    for requirements in pins().values():
        markers = [str(requirement.marker) for requirement in requirements]
        assert len(set(markers)) == len(markers)
        assert len(markers) == 1 or "None" not in markers


# --- Known holes ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "refused", "allowed"),
    [
        ("torch", "2.10", "2.10.1"),
        ("jupyterlab", "4.5.6", "4.5.7"),
        ("jupyter-server", "2.19.9", "2.20.0"),
    ],
)
def test_versions_with_known_holes_are_refused(name: str, refused: str, allowed: str) -> None:
    (requirement,) = (r for r in REQUIREMENTS if r.name == name)
    assert requirement.specifier.contains(allowed)
    assert not requirement.specifier.contains(refused)


def test_the_oldest_versions_are_the_ones_that_are_promised() -> None:
    """A floor of pyproject.toml is what its row of continuous integration installs."""
    lines = (ROOT / "constraints-oldest.txt").read_text(encoding="utf-8").splitlines()
    pinned = [Requirement(line) for line in lines if line and not line.startswith("#")]
    oldest = {one.name: Version(next(iter(one.specifier)).version) for one in pinned}
    book = [*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["book"]]
    assert {Requirement(line).name for line in book} <= oldest.keys()
    for requirement in REQUIREMENTS:
        tried = oldest.get(requirement.name)
        floors = [s.version for s in requirement.specifier if s.operator == ">="]
        if tried and floors:
            assert requirement.specifier.contains(tried), requirement
            assert tried.release[:2] == Version(floors[0]).release[:2], requirement


# --- Continuous integration ---------------------------------------------------------------


WORKFLOWS = sorted(ROOT.glob(".github/workflows/*.yml"))


def workflow(path: Path = ROOT / ".github" / "workflows" / "ci.yml") -> dict[str, Any]:
    return dict(yaml.safe_load(path.read_text(encoding="utf-8")))


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_actions_are_pinned_by_their_full_hash(path: Path) -> None:
    used = [step["uses"] for job in workflow(path)["jobs"].values() for step in job["steps"]
            if "uses" in step]  # fmt: skip
    assert used
    assert all(re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", use) for use in used)


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_may_only_read(path: Path) -> None:
    assert workflow(path)["permissions"] == {"contents": "read"}
    assert not any("permissions" in job for job in workflow(path)["jobs"].values())
    assert all("timeout-minutes" in job for job in workflow(path)["jobs"].values())


def test_every_python_between_the_oldest_and_the_newest_is_tried() -> None:
    tried = [str(one) for one in workflow()["jobs"]["test"]["strategy"]["matrix"]["python"]]
    minors = [Version(one).minor for one in tried]
    assert minors == [*range(min(minors), max(minors) + 1)] and {12, 13} <= {*minors}


def test_known_holes_of_what_is_pinned_are_looked_up() -> None:
    """Weekly, and when a pin changes: all of constraints.txt, each version as its hash says."""
    (job,) = workflow(ROOT / ".github" / "workflows" / "advisories.yml")["jobs"].values()
    (line,) = (step["run"] for step in job["steps"] if "constraints.txt" in step.get("run", ""))
    assert line.split()[0] == "pip-audit"
    assert {"--require-hashes", "--disable-pip", "--strict"} <= {*line.split()}


def test_the_oldest_python_is_the_one_that_is_promised() -> None:
    oldest = PROJECT["requires-python"].removeprefix(">=")
    job = workflow()["jobs"]["test"]
    assert min(job["strategy"]["matrix"]["python"], key=Version) == oldest


def test_machines_run_the_readers_own_command() -> None:
    job = workflow()["jobs"]["test"]
    assert "python tasks.py test" in [step.get("run") for step in job["steps"]]
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert script.rstrip().splitlines()[-1] == "make test"
