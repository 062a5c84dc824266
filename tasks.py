"""The course's commands, for every system: ``python tasks.py lab``.

Standard library only. It sets up an environment of its own in ``.venv``, once,
and runs everything in it. To use an environment of yours (conda, JupyterHub, a
GPU build) instead, set GAN_COURSE_PYTHON to the path of its Python, or to the
word ``python`` where that is the one you mean.
"""

import sys

if sys.version_info < (3, 11):  # noqa: UP036
    sys.exit("The GAN course needs Python 3.11 or later; this is %d.%d." % sys.version_info[:2])  # noqa: UP031

import argparse
import hashlib
import json
import os
import re
import shutil
import subprocess
import tomllib
import venv
from collections.abc import Callable, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
STAMP = VENV / "stamp.json"
OWN = "GAN_COURSE_PYTHON"
# What must be importable for an extra of pyproject.toml to count as there.
MODULES = {
    "": ("torch", "numpy", "scipy", "sklearn", "pandas", "matplotlib", "seaborn", "tqdm"),
    "book": (
        "jupyterlab",
        "ipykernel",
        "ipywidgets",
        "anywidget",
        "sympy",
        "jupytext",
        "nbclient",
        "jupyter_client",
        "cloudpickle",
    ),
    "test": (
        "pytest",
        "xdist",
        "pytest_timeout",
        "nbval",
        "nbconvert",
        "playwright",
        "axe_playwright_python",
        "ruff",
        "mypy",
        "yaml",
    ),
    "site": ("sphinx", "myst_nb", "furo", "sphinx-mathjax-offline", "pybtex", "sphinx_revealjs"),
    "bench": ("jax",),
}


# --- The environment ---------------------------------------------------------------------


def python(*extras: str) -> str:
    """The Python to run with: the user's own, or that of ``.venv``, set up when needed.

    Args:
        extras: those of pyproject.toml that the command needs; ``.venv`` always has
            ``book`` and ``test``.
    """
    own = os.environ.get(OWN)
    if own:
        return _users_own(own, extras)
    wanted = {"book", "test", *extras}
    inside = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    inputs, installed = _stamp()
    if inputs != _inputs() or not wanted <= installed or not inside.exists():
        _install(str(inside), sorted(wanted | installed))
    return str(inside)


def _stamp() -> tuple[str, set[str]]:
    """What ``.venv`` was last made from, and the extras it has."""
    try:
        stamp = json.loads(STAMP.read_text())
        return str(stamp["inputs"]), set(stamp["extras"])
    except (OSError, ValueError, KeyError):
        return "", set()


def _inputs() -> str:
    """What ``.venv`` is made from: when this changes, pip is called again."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    constraints = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    everything = json.dumps([str(ROOT), project, constraints], sort_keys=True)
    return hashlib.sha256(everything.encode()).hexdigest()


def _install(inside: str, extras: list[str]) -> None:
    STAMP.unlink(missing_ok=True)
    if not _answers([inside, "-m", "pip", "--version"]):
        say(f"making {VENV}: with all packages about 2 GB, a few minutes, once")
        try:
            venv.create(VENV, clear=True, with_pip=True)
        except (OSError, subprocess.CalledProcessError) as error:
            sys.exit(f"{VENV} cannot be made ({error}); Debian and Ubuntu need python3-venv.")
    say(f"installing the course with its extras {', '.join(extras)}")
    locked, pins = VENV / "locked.txt", VENV / "pins.txt"
    hashed, plain = pinned(extras)
    locked.write_text(hashed, encoding="utf-8")
    pins.write_text(plain, encoding="utf-8")
    pip = [inside, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    for wanted in (
        ["--require-hashes", "--no-deps", "-r", str(locked)],
        ["--no-build-isolation", "-c", str(pins), "-e", f".[{','.join(extras)}]"],
    ):
        if subprocess.run([*pip, *wanted], cwd=ROOT, check=False).returncode:
            sys.exit("pip could not install the course, for the reason above. Try it again.")
    STAMP.write_text(json.dumps({"inputs": _inputs(), "extras": extras}))


# What no hash is asked of: which build of it suits (for the CPU, for one CUDA or another) is
# the index's choice, and each index has hashes of its own. Its version is pinned, as all are.
BUILDS = ("torch", "triton", "nvidia-", "cuda-")


def pinned(extras: Sequence[str]) -> tuple[str, str]:
    """The lines of constraints.txt with hashes that some extras need, and all without hashes.

    A line names after `# via` what asks for it; so what the extras need is found without pip.
    """
    text = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    blocks = re.findall(r"^[\w.-]+==.*\n(?:[ \t].*\n)*", text, re.M)
    asked = {block: re.sub(r"#( via)?|--hash=\S+|\\\n", " ", block).split() for block in blocks}
    toml = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    project = toml["project"]
    wanted = [*toml["build-system"]["requires"], *project["dependencies"]]
    chosen = [*extras]
    for extra in chosen:
        lines = project["optional-dependencies"][extra]
        wanted += lines
        # One extra may ask for another of ours, as gan-course[site] does.
        ours = [re.fullmatch(r"([\w-]+)\[(\w+)\]", line) for line in lines]
        chosen += [m[2] for m in ours if m and m[1] == project["name"] and m[2] not in chosen]
    needed = {_name(line) for line in wanted} - {project["name"]}
    for _ in blocks:  # as long as a chain can be
        needed |= {_name(block) for block in blocks if needed & {*asked[block][1:]}}
    hashed = [b for b in blocks if _name(b) in needed and not _name(b).startswith(BUILDS)]
    return "".join(hashed), "".join(block.split("\n")[0].rstrip("\\ ") + "\n" for block in blocks)


def _name(requirement: str) -> str:
    """The normal form of the name that a requirement begins with."""
    found = re.match(r"[\w.-]*\w", requirement)
    return re.sub(r"[-_.]+", "-", found[0] if found else "").lower()


def _answers(command: list[str]) -> bool:
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except OSError:
        return False


# Names the modules that are not installed; one that only lies in this folder does not count.
LOOK = """
import sys
from importlib.util import find_spec
if sys.version_info < (3, 11):
    sys.exit("it is Python %d.%d, 3.11 or later is needed" % sys.version_info[:2])
sys.path.pop(0)
print(*[module for module in sys.argv[1:] if find_spec(module) is None])
"""


def _users_own(own: str, extras: Sequence[str]) -> str:
    found = shutil.which(own)
    if found is None:
        sys.exit(f"{OWN} = {own!r}: there is no such Python.")
    modules = ["gan_course", *(name for extra in ("", *extras) for name in MODULES[extra])]
    command = [found, "-c", LOOK, *modules]
    answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if answer.returncode:
        why = [OWN, *answer.stderr.strip().splitlines()][-1]
        sys.exit(f"{OWN} = {own!r} does not work: {why}")
    missing = answer.stdout.split()
    if missing:
        remedy = f'cd "{ROOT}" && "{found}" -m pip install -e ".[{",".join(extras) or "book"}]"'
        sys.exit(f"{found} lacks {', '.join(missing)}. Install what is missing: {remedy}")
    return found


# --- The commands ------------------------------------------------------------------------


def lab(rest: list[str]) -> None:
    """Open the chapters in JupyterLab."""
    as_root = ["--allow-root"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
    first = "/lab/tree/notebooks/00_start_here.ipynb"
    where = [f"--ServerApp.root_dir={ROOT}", f"--LabApp.default_url={first}"]
    run([python("book"), "-m", "jupyterlab", *as_root, *where, *rest])


def test(rest: list[str]) -> None:
    """Run every test, notebooks and style included; --quick: the daily part; 03: one chapter's."""
    chapters = [word for word in rest if re.fullmatch(r"[\dA-Z]\d", word)]
    rest = [word for word in rest if word not in chapters]
    if chapters:
        for chapter in chapters:
            _test_chapter(chapter, rest)
        return
    chosen = any((ROOT / word.split("::")[0]).exists() for word in rest)
    quick = "--quick" in rest
    places = [] if chosen else ["tests"] if quick else ["tests", "notebooks"]
    options = ["-p", "no:nbval"] if quick else NBVAL  # its import takes seconds
    run([python("book", "test"), "-m", "pytest", *WORKERS, *options, *places, *rest])


def _test_chapter(chapter: str, rest: Sequence[str]) -> None:
    """Build a chapter if its source has changed, and check all that is said of it."""
    built = sorted((ROOT / "notebooks").glob(f"**/{chapter}_*.ipynb"))
    sources = [*(ROOT / "notebooks/source").glob(f"{chapter}_*.md")]
    if not sources:
        sys.exit(f"There is no chapter {chapter}: no notebooks/source/{chapter}_*.md.")
    interpreter = python("book", "test")
    run([interpreter, "notebooks/build.py", chapter])
    run([interpreter, "-m", "ruff", "check", *map(str, built)])
    run([interpreter, "-m", "ruff", "format", "--check", *map(str, built)])
    tests = [f"tests/test_chapter_{chapter}.py", "tests/test_prose.py"]
    named = f"{sources[0].stem} or chapter_{chapter}"  # of the prose's tests, this chapter's
    run(
        [
            interpreter,
            "-m",
            "pytest",
            *WORKERS,
            *NBVAL,
            *map(str, built),
            *tests,
            "-k",
            named,
            *rest,
        ]
    )


NBVAL = [
    "--nbval",
    "--nbval-current-env",
    "--nbval-sanitize-with=tests/sanitize.cfg",
    "--nbval-cell-timeout=300",
]
WORKERS = [
    "--numprocesses=2",
    "--dist=loadfile",
    "--no-loadscope-reorder",  # conftest.py puts the long ones first
]


def notebooks(rest: list[str]) -> None:
    """Build the notebooks whose sources have changed, and run them."""
    run([python("book"), "notebooks/build.py", *rest])


def book(rest: list[str]) -> None:
    """Write the static book to site/."""
    run([python("book", "site"), "-m", "sphinx", "-W", "--keep-going", "-q", "book", "site", *rest])
    say(f"the book is in {ROOT / 'site' / 'index.html'}")


def slides(rest: list[str]) -> None:
    """Write a deck of slides for each chapter to slides/."""
    options = ["-W", "--keep-going", "-q", "-b", "revealjs"]
    run([python("book", "site"), "-m", "sphinx", *options, "book/slides", "slides", *rest])
    say(f"the decks are in {ROOT / 'slides' / 'index.html'}")


def figures(rest: list[str]) -> None:
    """Draw the figures again, each from its script."""
    interpreter = python()
    for script in sorted((ROOT / "figures").glob("[0-9]*.py")):
        run([interpreter, str(script), *rest])


def bench(rest: list[str]) -> None:
    """Measure the speed; --jax adds a contender (and installs it)."""
    run([python(*(["bench"] if "--jax" in rest else [])), "benchmarks/run.py", *rest])


def mutants(rest: list[str]) -> None:
    """Change the course in 160 places, one by one: do the tests notice? --only losses metrics."""
    run([python("book", "test"), "tests/mutants.py", *rest])


def gpu(rest: list[str]) -> None:
    """Run and measure what needs a GPU, with the Python at hand; resumable."""
    # An environment of ours would have PyTorch's build for the CPU.
    able = _answers([sys.executable, "-c", "import torch"])
    run(
        [sys.executable if able and OWN not in os.environ else python(), "benchmarks/gpu.py", *rest]
    )


def soak(rest: list[str]) -> None:
    """Interrupt trainings and kill savers, hundreds of times; note what was lost."""
    run([python(), "benchmarks/soak.py", *rest])


def lint(rest: list[str]) -> None:
    """Check style and types: ruff and mypy."""
    interpreter = python("test")
    run([interpreter, "-m", "ruff", "check", *rest])
    run([interpreter, "-m", "ruff", "format", "--check", *rest])
    run([interpreter, "-m", "mypy"])


def clean(rest: list[str]) -> None:
    """Remove what the commands have made, no source; --all removes .venv, too."""
    caches = [".pytest_cache", ".mypy_cache", ".ruff_cache", "gan_course.egg-info"]
    caches += ["build", "site", "slides", "jupyter_execute", "book/notebooks", "book/figures"]
    caches += [
        "book/slides/pictures",
        "book/library",
        "book/_static/places",
        "book/_static/trainings",
    ]
    deep = [p for top in PARTS for p in (ROOT / top).rglob("*") if p.name in GENERATED]
    caches += [VENV.name] if "--all" in rest else []
    for path in [*(ROOT / name for name in caches), *deep]:
        if path.is_dir():
            say(f"removing {path.relative_to(ROOT)}")
            shutil.rmtree(path)


PARTS = ("gan_course", "tests", "notebooks", "figures", "benchmarks", "book")
GENERATED = ("__pycache__", ".ipynb_checkpoints", ".pytest_cache", ".virtual_documents")

COMMANDS: dict[str, Callable[[list[str]], None]] = {
    "lab": lab,
    "test": test,
    "notebooks": notebooks,
    "book": book,
    "slides": slides,
    "figures": figures,
    "bench": bench,
    "mutants": mutants,
    "gpu": gpu,
    "soak": soak,
    "lint": lint,
    "clean": clean,
}


def run(command: Sequence[str]) -> None:
    """Say what is run, run it in the repository, and stop where it fails."""
    say(" ".join([Path(command[0]).name, *command[1:]]))
    try:
        code = subprocess.run(command, cwd=ROOT, env=environment(), check=False).returncode
    except KeyboardInterrupt:
        sys.exit(130)
    if code:
        sys.exit(code)


def environment() -> dict[str, str]:
    """The environment variables of what is run: one thread, JupyterLab's settings."""
    settings = [str(ROOT / ".jupyter"), os.environ.get("JUPYTER_CONFIG_PATH", "")]
    ours = {
        "JUPYTER_CONFIG_PATH": os.pathsep.join(filter(None, settings)),
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1"),
    }
    return {**os.environ, **ours}


def say(what: str) -> None:
    """Tell the user, at once."""
    print(f"[course] {what}", flush=True)


def main() -> None:
    """Parse the command line; without a command, list them."""
    listed = "\n".join(f"  {name:10} {command.__doc__}" for name, command in COMMANDS.items())
    parser = argparse.ArgumentParser(
        usage="python tasks.py COMMAND [OPTIONS], or: make COMMAND",
        description=f"commands:\n{listed}",
        epilog="Options after the command go to the program it runs.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    if not sys.argv[1:]:
        parser.print_help()
        return
    parser.add_argument("command", choices=COMMANDS, metavar="COMMAND")
    arguments, rest = parser.parse_known_args(sys.argv[1:2])
    COMMANDS[arguments.command]([*rest, *sys.argv[2:]])


if __name__ == "__main__":
    main()
