"""tasks.py sets up once, says what it does, and gives one clear line where it cannot."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest
from tools import ROOT, load

tasks = load("tasks.py")
INSIDE = "Scripts/python.exe" if os.name == "nt" else "bin/python"


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """A bare repository, and the list of the commands that tasks.py runs in it."""
    for name in ("pyproject.toml", "constraints.txt"):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    monkeypatch.setattr(tasks, "ROOT", tmp_path)
    monkeypatch.setattr(tasks, "VENV", tmp_path / ".venv")
    monkeypatch.setattr(tasks, "STAMP", tmp_path / ".venv" / "stamp.json")
    monkeypatch.delenv(tasks.OWN, raising=False)
    seen: list[list[str]] = []

    def create(folder: Path, **options: Any) -> None:
        seen.append(["venv", str(options["clear"])])
        (folder / INSIDE).parent.mkdir(parents=True, exist_ok=True)
        (folder / INSIDE).touch()

    def run(command: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
        seen.append([str(word) for word in command])
        works = Path(command[0]).exists()
        return subprocess.CompletedProcess(command, 0 if works else 1, "", "")

    monkeypatch.setattr(tasks.venv, "create", create)
    monkeypatch.setattr(tasks.subprocess, "run", run)
    return seen


def pips(calls: list[list[str]]) -> list[str]:
    """What each installation is of; pip is called twice for one, with hashes and without."""
    installed = [command for command in calls if "install" in command]
    assert ["--require-hashes" in command for command in installed] == [True, False] * (
        len(installed) // 2
    )
    return [command[-1] for command in installed[1::2]]


def test_a_bare_machine_is_set_up_once(
    calls: list[list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    first = tasks.python()
    assert Path(first) == tasks.VENV / INSIDE
    assert calls[1] == ["venv", "True"]
    assert pips(calls) == [".[book,test]"]
    assert calls[3][calls[3].index("-c") + 1] == str(tasks.VENV / "pins.txt")
    assert "making" in capsys.readouterr().out
    calls.clear()
    assert tasks.python() == first
    assert calls == []
    assert capsys.readouterr().out == ""


def test_an_extra_is_added_and_kept(calls: list[list[str]]) -> None:
    tasks.python()
    tasks.python("site")
    tasks.python("site")
    tasks.python()
    assert pips(calls) == [".[book,test]", ".[book,site,test]"]
    assert calls.count(["venv", "True"]) == 1


@pytest.mark.parametrize("name", ["constraints.txt", "pyproject.toml"])
def test_changed_requirements_are_installed(calls: list[list[str]], name: str) -> None:
    tasks.python()
    path = tasks.ROOT / name
    path.write_text(path.read_text(encoding="utf-8").replace("torch", "Torch"), encoding="utf-8")
    tasks.python()
    tasks.python()
    assert len(pips(calls)) == 2
    assert calls.count(["venv", "True"]) == 1


def test_a_changed_style_rule_installs_nothing(calls: list[list[str]]) -> None:
    tasks.python()
    with (tasks.ROOT / "pyproject.toml").open("a", encoding="utf-8") as file:
        file.write("\n[tool.other]\nx = 1\n")
    tasks.python()
    assert len(pips(calls)) == 1


def test_a_failing_pip_is_one_line_and_leaves_no_stamp(
    calls: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    tasks.python()
    (tasks.ROOT / "constraints.txt").write_text("torch==0\n", encoding="utf-8")

    def run(command: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(command, int("install" in command))

    monkeypatch.setattr(tasks.subprocess, "run", run)
    for _ in range(2):
        with pytest.raises(SystemExit, match=r"^pip could not install the course") as stop:
            tasks.python()
        assert "\n" not in str(stop.value)
        assert not tasks.STAMP.exists()


def test_a_system_without_venv_is_told_what_to_install(
    calls: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def create(*_: object, **__: object) -> None:
        raise subprocess.CalledProcessError(1, "ensurepip")

    monkeypatch.setattr(tasks.venv, "create", create)
    with pytest.raises(SystemExit, match="python3-venv"):
        tasks.python()


PINS = """\
able==1.0 \\
    --hash=sha256:aa \\
    --hash=sha256:bb
    # via gan-course (pyproject.toml)
baker==2.0 ; python_full_version < '3.12' \\
    --hash=sha256:cc
    # via
    #   able
    #   elsewhere
baker==2.1 ; python_full_version >= '3.12' \\
    --hash=sha256:dd
    # via
    #   able
    #   elsewhere
cloud==3.0 \\
    --hash=sha256:ee
    # via baker
elsewhere==4.0 \\
    --hash=sha256:ff
    # via gan-course (pyproject.toml)
nvidia-x==6.0 \\
    --hash=sha256:22
    # via torch
setuptools==5.0 \\
    --hash=sha256:11
    # via torch
torch==7.0 \\
    --hash=sha256:33
    # via gan-course (pyproject.toml)
"""
ASKING = """[build-system]
requires = ["setuptools>=4"]
[project]
name = "gan-course"
dependencies = ["torch>6"]
[project.optional-dependencies]
book = ["Able>=1"]
site = ["elsewhere"]
test = ["gan-course[site]", "gan-course[test]"]
"""


@pytest.fixture
def asking(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "constraints.txt").write_text(PINS, encoding="utf-8")
    (tmp_path / "pyproject.toml").write_text(ASKING, encoding="utf-8")
    monkeypatch.setattr(tasks, "ROOT", tmp_path)


def test_what_the_extras_need_has_its_hashes_but_for_builds_of_torch(asking: None) -> None:
    def names(text: str) -> list[str]:
        return [line.split("==")[0] for line in text.splitlines() if "==" in line.split(";")[0]]

    hashed, plain = tasks.pinned(["book"])
    assert names(hashed) == ["able", "baker", "baker", "cloud", "setuptools"]
    assert hashed.startswith(PINS.partition("cloud")[0])
    assert names(tasks.pinned(["site"])[0]) == [
        "baker",
        "baker",
        "cloud",
        "elsewhere",
        "setuptools",
    ]
    assert tasks.pinned(["test"])[0] == tasks.pinned(["site"])[0]  # one extra asks for another
    assert names(plain) == names(PINS) and "hash" not in plain and "\\" not in plain
    assert "baker==2.0 ; python_full_version < '3.12'\n" in plain


def test_every_tested_version_has_its_hashes() -> None:
    """The whole file can be asked for them: pip install --require-hashes -r constraints.txt."""
    hashed, plain = tasks.pinned(["book", "test"])
    text = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    blocks = re.split(r"^(?=\w)", text, flags=re.M)[1:]
    assert len(blocks) == len(plain.splitlines()) > 150
    assert all(re.search(r"\\\n    --hash=sha256:[0-9a-f]{64}( |$)", b, re.M) for b in blocks)
    assert re.search(r"^pytest==", hashed, re.M) and not re.search(r"^torch==|^jax==", hashed, re.M)


# --- An environment of the user's own ---------------------------------------------------


def test_the_users_own_python_is_used_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(tasks.OWN, sys.executable)
    monkeypatch.setattr(tasks, "_install", lambda *_: pytest.fail("installed something"))
    assert tasks.python() == sys.executable


def test_a_missing_module_is_named_with_its_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(tasks.OWN, sys.executable)
    monkeypatch.setitem(tasks.MODULES, "test", ("pytest", "no_such_module"))
    assert tasks.python("book") == sys.executable
    with pytest.raises(SystemExit) as stop:
        tasks.python("book", "test")
    said = str(stop.value)
    assert "lacks no_such_module." in said
    assert '-m pip install -e ".[book,test]"' in said
    assert "\n" not in said


def test_a_python_that_is_not_there_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(tasks.OWN, "/no/such/python")
    with pytest.raises(SystemExit, match="there is no such Python"):
        tasks.python()


def test_an_old_python_of_the_users_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(tasks.OWN, sys.executable)
    monkeypatch.setattr(tasks, "LOOK", tasks.LOOK.replace("(3, 11)", "(99, 0)"))
    with pytest.raises(SystemExit, match=r"does not work: it is Python 3\.\d+, 3\.11 or later"):
        tasks.python()


def test_the_course_itself_must_be_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "only_here.py").touch()
    monkeypatch.setattr(tasks, "ROOT", tmp_path)
    monkeypatch.setenv(tasks.OWN, sys.executable)
    monkeypatch.setitem(tasks.MODULES, "", ("only_here",))
    with pytest.raises(SystemExit, match="lacks only_here"):
        tasks.python()


def test_modules_are_those_of_the_extras() -> None:
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = {"": project["dependencies"], **project["optional-dependencies"]}
    for extra, modules in tasks.MODULES.items():
        assert len(modules) <= len(extras[extra])


# --- The commands -----------------------------------------------------------------------


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The programs that a command starts, with no environment set up."""
    seen: list[list[str]] = []
    monkeypatch.setattr(tasks, "python", lambda *extras: " ".join(["python", *extras]))
    monkeypatch.setattr(tasks, "run", seen.append)
    return seen


def test_options_pass_through(started: list[list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    for line in ("lab --no-browser --port 9999", "notebooks 02 --force", "bench --jax"):
        monkeypatch.setattr(sys, "argv", ["tasks.py", *line.split()])
        tasks.main()
    assert started[0][-3:] == ["--no-browser", "--port", "9999"]
    assert started[1] == ["python book", "notebooks/build.py", "02", "--force"]
    assert started[2] == ["python bench", "benchmarks/run.py", "--jax"]


def test_root_alone_is_allowed_to_be_root(
    started: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    for user in (0, 1000):
        monkeypatch.setattr(os, "geteuid", lambda user=user: user, raising=False)
        tasks.lab([])
    assert ["--allow-root" in command for command in started] == [True, False]


def test_jupyterlab_opens_at_a_page_that_is_there(started: list[list[str]]) -> None:
    tasks.lab([])
    (page,) = (word.partition("/lab/tree/")[2] for word in started[0] if "default_url" in word)
    assert page and (ROOT / page).is_file()


def test_all_tests_run_unless_some_are_chosen(started: list[list[str]]) -> None:
    tasks.test(["-x"])
    tasks.test(["tests/test_tasks.py::test_options_pass_through"])
    assert started[0][-3:] == ["tests", "notebooks", "-x"]
    assert "notebooks" not in started[1]
    tasks.test(["--quick"])
    assert started[2][-2:] == ["tests", "--quick"]
    assert ["--nbval" in command for command in started] == [True, True, False]


def test_one_chapter_is_checked_by_one_command(started: list[list[str]]) -> None:
    tasks.test(["03", "-x"])
    build, check, form, test = (command[1:] for command in started)
    assert build == ["notebooks/build.py", "03"]
    notebooks = [word for word in test if word.endswith(".ipynb")]
    names = [path.relative_to(ROOT).as_posix() for path in map(Path, notebooks)]
    chapter, solutions = (name.rpartition("/")[0] for name in names)
    assert (chapter, solutions) == ("notebooks", "notebooks/solutions")
    assert check[2:] == ["check", *notebooks] and form[2:] == ["format", "--check", *notebooks]
    assert "--nbval" in test and "tests/test_chapter_03.py" in test and test[-1] == "-x"
    with pytest.raises(SystemExit, match="no chapter 77"):
        tasks.test(["77"])


QUICK = """
import pytest
@pytest.mark.slow
def test_slow(): pass
@pytest.mark.browser
def test_browser(): pass
def test_short(): pass
"""


@pytest.mark.slow
def test_quick_leaves_out_what_is_slow(pytester: pytest.Pytester) -> None:
    pytester.makeini("[pytest]\nmarkers = slow\n    browser")
    pytester.makeconftest((ROOT / "conftest.py").read_text(encoding="utf-8"))
    pytester.makepyfile(QUICK, test_soak="raise SystemError('it is read')\n")
    pytester.runpytest_subprocess("--quick").assert_outcomes(passed=1, deselected=2)
    pytester.path.joinpath("test_soak.py").write_text("def test(): pass\n", encoding="utf-8")
    pytester.runpytest_subprocess().assert_outcomes(passed=4)


BROWSER = """
import os, pytest
from pathlib import Path
@pytest.mark.browser
@pytest.mark.parametrize(
    "path", [Path(f"{name}.ipynb").resolve() for name in ("one", "other")], ids=lambda p: p.stem
)
def test_a_chapter_runs_in_the_browser(path):
    Path(f"ran-{path.stem}").write_text(os.environ.get("PYTEST_XDIST_WORKER", "alone"))
"""
STUB = "import os\ndef chromium(): return os.environ.get('HAS_CHROMIUM') or None\n"


@pytest.fixture
def chapters(pytester: pytest.Pytester) -> pytest.Pytester:
    """Two chapters, and tests that run them in the browser; the second has a solution besides."""
    pytester.makeini("[pytest]\nmarkers = slow\n    browser")
    pytester.makeconftest((ROOT / "conftest.py").read_text(encoding="utf-8"))
    pytester.makepyfile(test_browser=BROWSER, jupyter_browser=STUB)
    for name in ("one.ipynb", "other.ipynb", "solution.ipynb"):
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1")])
        nbformat.write(notebook, pytester.path / name)
    return pytester


@pytest.mark.slow
@pytest.mark.parametrize(
    ("browser", "options", "cells"),
    [
        ("yes", [], ["solution.ipynb"]),
        ("", [], ["one.ipynb", "other.ipynb", "solution.ipynb"]),
        ("yes", ["-m", "not browser"], ["one.ipynb", "other.ipynb", "solution.ipynb"]),
        ("yes", ["-k", "solution or one"], ["solution.ipynb"]),
    ],
)
def test_a_chapter_runs_once_where_there_is_a_browser(
    browser: str,
    options: list[str],
    cells: list[str],
    chapters: pytest.Pytester,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HAS_CHROMIUM", browser)
    places = ["test_browser.py", "one.ipynb", "other.ipynb", "solution.ipynb"]
    told = chapters.runpytest_subprocess("--nbval", "--co", "-q", *options, *places).outlines
    assert [line.split("::")[0] for line in told if "Cell" in line] == cells


@pytest.mark.slow
def test_chapters_are_divided_among_the_workers(chapters: pytest.Pytester) -> None:
    chapters.runpytest_subprocess("-n2", "--dist=loadfile", "test_browser.py").assert_outcomes(
        passed=2
    )
    assert {path.read_text() for path in chapters.path.glob("ran-*")} == {"gw0", "gw1"}


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="the shell that closes it is POSIX's")
def test_tests_run_without_a_standard_input(pytester: pytest.Pytester) -> None:
    pytester.makeini("[pytest]\nmarkers = slow\n    browser")
    pytester.makeconftest((ROOT / "conftest.py").read_text(encoding="utf-8"))
    pytester.makepyfile("import IPython.utils.encoding\ndef test(): pass")
    closed = ["sh", "-c", 'exec "$0" -m pytest -q <&-', sys.executable]
    done = subprocess.run(
        closed, cwd=pytester.path, capture_output=True, text=True, check=False, timeout=600
    )
    assert done.returncode == 0, done.stdout


def test_one_thread_unless_the_user_says_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert tasks.environment()["OMP_NUM_THREADS"] == "1"
    monkeypatch.setenv("OMP_NUM_THREADS", "4")
    assert tasks.environment()["OMP_NUM_THREADS"] == "4"


def test_jupyterlab_finds_the_courses_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUPYTER_CONFIG_PATH", "mine")
    first, second = tasks.environment()["JUPYTER_CONFIG_PATH"].split(os.pathsep)
    settings = Path(first) / "labconfig" / "default_setting_overrides.json"
    assert json.loads(settings.read_text(encoding="utf-8"))
    assert second == "mine"


def test_a_failing_program_fails_the_command() -> None:
    with pytest.raises(SystemExit, match=r"^3$"):
        tasks.run([sys.executable, "-c", "raise SystemExit(3)"])


def test_clean_removes_what_was_made_and_no_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks, "ROOT", tmp_path)
    monkeypatch.setattr(tasks, "VENV", tmp_path / ".venv")
    sources = [
        "gan_course/a.py",
        "notebooks/02_a.ipynb",
        "notebooks/source/02_a.md",
        "book/conf.py",
    ]
    made = [".venv/bin/python", "site/index.html", "build/x", "gan_course/__pycache__/a.pyc"]
    for name in [*sources, *made]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    tasks.clean([])
    assert (tmp_path / ".venv").exists()
    tasks.clean(["--all"])
    assert all((tmp_path / name).exists() for name in sources)
    assert not any((tmp_path / name).parent.exists() for name in made)


def test_without_a_command_the_commands_are_listed() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "tasks.py"], capture_output=True, text=True, check=True, timeout=600
    )
    named = [line.split()[0] for line in done.stdout.splitlines() if line.startswith("  ")]
    assert named[:-1] == list(tasks.COMMANDS)


def test_the_makefile_forwards_every_command() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert f"COMMANDS = {' '.join(tasks.COMMANDS)}\n" in makefile


# --- Python itself ------------------------------------------------------------------------


def test_an_old_python_gets_one_line() -> None:
    source = (ROOT / "tasks.py").read_text(encoding="utf-8")
    ast.parse(source, feature_version=(3, 6))  # so that it gets as far as the check
    old = "import sys; sys.version_info = (3, 8, 10, 'final', 0); import runpy; "
    done = subprocess.run(
        [sys.executable, "-c", f"{old}runpy.run_path({str(ROOT / 'tasks.py')!r})"],
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == 1
    assert done.stderr == "The GAN course needs Python 3.11 or later; this is 3.8.\n"


# --- Style and types ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "command",
    [
        pytest.param(["ruff", "check"], id="ruff check"),
        pytest.param(["ruff", "format", "--check"], id="ruff format --check"),
        pytest.param(["mypy"], marks=pytest.mark.slow, id="mypy"),
    ],
)
def test_style_and_types(command: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout + done.stderr
