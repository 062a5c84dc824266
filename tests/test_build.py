"""The notebooks are what their sources say, and hold no error, no stderr, no machine."""

from __future__ import annotations

import base64
import io
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import nbformat
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from tools import ROOT, load

build = load("notebooks/build.py")
SOURCES = build.sources()
ASKING = [path for path in SOURCES if build.has_exercises(path)]

SOURCE = '''---
kernelspec:
  display_name: Python 3
  language: python
  name: python3
---

# The trial

Words.

```{code-cell} python
:tags: [setup, hide-input]

import math
```

```{code-cell} python
print("in the chapter only")
```

More words.

## Exercises

### First

```{code-cell} python
def twice(x):
    """Twice x."""
    # BEGIN SOLUTION
    doubled = 2 * x
    return doubled
    # END SOLUTION


# BEGIN SOLUTION
answer = 7
# END SOLUTION
print("open" if twice(1) is None else twice(answer))
```

```{code-cell} python
:tags: [solution]

print("for those who have tried")
```

## References

1. None.
'''


def live_in(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let the builder take ``folder`` for the repository and its notebooks."""
    monkeypatch.setattr(build, "HERE", folder)
    monkeypatch.setattr(build, "ROOT", folder)
    return folder / "source" / "02_trial.md"


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small chapter in a folder of its own."""
    path = live_in(tmp_path, monkeypatch)
    path.parent.mkdir()
    path.write_text(SOURCE, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def built_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder where the small chapter has been built and run."""
    folder = tmp_path_factory.mktemp("built")
    with pytest.MonkeyPatch.context() as monkeypatch:
        path = live_in(folder, monkeypatch)
        path.parent.mkdir()
        path.write_text(SOURCE, encoding="utf-8")
        assert build.build(path) == []
    return folder


@pytest.fixture
def built(built_once: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The small chapter, built and run, in a folder of its own."""
    shutil.copytree(built_once, tmp_path, dirs_exist_ok=True)
    return live_in(tmp_path, monkeypatch)


def code(notebook: Any) -> str:
    return "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "code")


def everything(notebook: Any) -> str:
    return "\n".join(cell.source for cell in notebook.cells)


# --- The committed notebooks ------------------------------------------------------------


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_notebooks_are_what_their_source_says(path: Path) -> None:
    assert build.problems(path) == []


def test_every_notebook_has_a_source() -> None:
    wanted = {path for source in SOURCES for path in build.targets(source)}
    found = {*ROOT.glob("notebooks/*.ipynb"), *ROOT.glob("notebooks/solutions/*.ipynb")}
    assert found == wanted


def exercise_cells(path: Path) -> list[tuple[str, str]]:
    """Key and output of each cell that checks an exercise."""
    cells = nbformat.read(path, as_version=4).cells
    return [
        (match[1], "".join(output.get("text", "?") for output in cell.outputs))
        for cell in cells
        if cell.cell_type == "code"
        and (match := re.search(r'^exercise\("([^"]+)"', cell.source, flags=re.M))
    ]


@pytest.mark.parametrize("path", ASKING, ids=lambda path: path.stem)
def test_exercises_are_open_for_readers_and_right_in_the_solutions(path: Path) -> None:
    reader = exercise_cells(ROOT / "notebooks" / f"{path.stem}.ipynb")
    solved = exercise_cells(ROOT / "notebooks" / "solutions" / f"{path.stem}.ipynb")
    tail = "is open: write your answer above, then run the cell again.\n"
    assert reader == [(key, f"○ Exercise {key} {tail}") for key, _ in reader]
    assert solved == [(key, f"✓ Exercise {key}: right.\n") for key, _ in reader]
    assert len(reader) >= 3


# --- What the builder does --------------------------------------------------------------


def test_the_readers_notebook_is_open(source: Path) -> None:
    reader = build.chapter(source)
    assert '    """Twice x."""\n    # your code here\n    ...\n' in code(reader)
    assert "answer = ...  # your code here\nprint" in code(reader)
    assert "doubled" not in code(reader)
    assert "7" not in code(reader)
    assert "for those who have tried" not in code(reader)
    assert "BEGIN" not in code(reader)
    assert "## References" in everything(reader)


def test_the_solutions_hold_the_setup_and_the_exercises(source: Path) -> None:
    solved = build.solutions(source)
    assert [cell.cell_type for cell in solved.cells] == ["markdown", "code", *solved_tail()]
    assert solved.cells[0].source.startswith("# Solutions: The trial\n")
    assert "](../02_trial.ipynb)" in solved.cells[0].source
    assert "    doubled = 2 * x\n    return doubled\n" in code(solved)
    assert "for those who have tried" in code(solved)
    assert "SOLUTION" not in code(solved)
    assert "in the chapter only" not in code(solved)
    assert "More words" not in everything(solved)
    assert "## References" not in everything(solved)


def solved_tail() -> list[str]:
    return ["markdown", "markdown", "code", "code"]


def test_a_page_that_asks_nothing_has_no_solutions(source: Path) -> None:
    assert [path.parent.name for path in build.targets(source)][1:] == ["solutions"]
    source.write_text(SOURCE.replace("## Exercises", "## Not exercises"), encoding="utf-8")
    assert [path.name for path in build.targets(source)] == ["02_trial.ipynb"]


def test_hidden_input_is_folded_in_jupyterlab(source: Path) -> None:
    cell = build.chapter(source).cells[1]
    assert cell.metadata == {
        "tags": ["setup", "hide-input"],
        "jupyter": {"source_hidden": True},
    }


def test_headings_begin_cells_but_not_inside_fences() -> None:
    text = "# A\n\nwords\n\n## B\n\n```python\n## not a heading\n```\n\n### C"
    assert build.split_at_headings(text) == [
        "# A\n\nwords",
        "## B\n\n```python\n## not a heading\n```",
        "### C",
    ]


def test_a_link_to_a_section_leads_to_the_cell_that_it_begins(source: Path) -> None:
    links = "[a](#a-why-b), [b](01_first.ipynb#two), [c](01_first.ipynb), [d](https://x.org/#e)"
    text = SOURCE.replace("More words.", f"## 1. A: why `b`?\n\n{links}")
    source.write_text(text, encoding="utf-8")
    cells = build.chapter(source).cells
    (section,) = (cell for cell in cells if cell.source.startswith("## 1."))
    assert section.id == "a-why-b"
    assert section.source.endswith(
        "[a](02_trial.ipynb#cell-id=a-why-b), [b](01_first.ipynb#cell-id=two), "
        "[c](01_first.ipynb), [d](https://x.org/#e)"
    )


def test_each_link_to_a_section_finds_its_cell() -> None:
    ids = {s.stem: {cell.id for cell in build.chapter(s).cells} for s in SOURCES}
    links = [
        (source.stem, *found)
        for source in SOURCES
        for cell in build.chapter(source).cells
        for found in re.findall(r"\]\(([^)]*)\.ipynb#([^)]*)\)", cell.source)
    ]
    assert len(links) > 40
    for here, page, place in links:
        assert place.removeprefix("cell-id=") in ids[page], (here, page, place)


def test_ids_depend_on_what_a_cell_says_alone(source: Path) -> None:
    before = build.chapter(source).cells
    source.write_text(SOURCE.replace("More words.", "Other words."), encoding="utf-8")
    after = build.chapter(source).cells
    (changed,) = (at for at, cell in enumerate(before) if cell.source == "More words.")
    assert [at for at in range(len(after)) if before[at].id != after[at].id] == [changed]
    assert len({cell.id for cell in after}) == len(after)


def test_equal_cells_have_different_ids(source: Path) -> None:
    again = '```{code-cell} python\nprint("in the chapter only")\n```\n\nMore words.'
    source.write_text(SOURCE.replace("More words.", again), encoding="utf-8")
    ids = [cell.id for cell in build.chapter(source).cells]
    assert len(set(ids)) == len(ids)


def test_nothing_of_the_machine_is_kept(built: Path) -> None:
    for path in build.targets(built):
        notebook = nbformat.read(path, as_version=4)
        assert notebook.metadata == build.METADATA
        assert all(set(cell.metadata) <= {"tags", "jupyter"} for cell in notebook.cells)


def test_building_twice_gives_the_same_bytes(built: Path) -> None:
    before = {path: path.read_bytes() for path in build.targets(built)}
    assert build.build(built) == []
    assert {path: path.read_bytes() for path in before} == before


def test_a_widget_leaves_its_picture(source: Path) -> None:
    widget = (
        "import io, matplotlib.pyplot as plt\nfrom ipywidgets import HBox, Image, VBox\n"
        "buffer = io.BytesIO()\nplt.figure(figsize=(1, 1)).savefig(buffer)\nplt.close()\n"
        "image = Image()\nimage.value = buffer.getvalue()\nVBox([HBox(), image])"
    )
    source.write_text(SOURCE.replace('print("in the chapter only")', widget), encoding="utf-8")
    assert build.build(source) == []
    picture, words = (
        nbformat.read(source.parents[1] / "02_trial.ipynb", as_version=4).cells[2].outputs
    )
    assert set(picture.data) == {"image/png"}
    assert words.data == {"text/plain": build.WIDGET_TEXT}


def test_a_slider_leaves_the_pictures_of_its_places(
    source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Drawn when its cell has run; the cells below, and their numbers, are as without."""
    monkeypatch.setattr(build.places, "TABLE", source.with_name("places.toml"))
    monkeypatch.setattr(build.places, "FOLDER", source.with_name("places"))
    build.places.TABLE.write_text("[[02]]\nx = [1, 2]\n")
    widget = (
        "import random\nfrom gan_course.explore import explore\n"
        "def draw(figure, x):\n    random.random(), figure.set_facecolor((x / 4, 0, 0))\n"
        "random.seed(0)\nexplore(\n    draw, size=(1, 1), x=(0.0, 4.0, 2.0)\n)"
    )
    source.write_text(SOURCE.replace('print("in the chapter only")', widget), encoding="utf-8")
    assert build.build(source) == []
    cell = nbformat.read(source.parents[1] / "02_trial.ipynb", as_version=4).cells[2]
    assert len(cell.outputs) == 2 and cell.execution_count == 2
    note = build.places.described(build.places.archive("02", 1))
    assert (note["cell"], note["pictures"]) == (cell.id, [0, 1])
    build.places.TABLE.write_text("[[02]]\nx = [2, 3]\n")
    (problem,) = build.problems(source)
    assert "at other places" in problem


def test_a_lab_leaves_its_picture_and_what_it_shows_in_words(source: Path) -> None:
    lab = "from gan_course.lab import Lab\n\nlab = Lab(width=8)\nlab.run(3)\nlab"
    source.write_text(SOURCE.replace('print("in the chapter only")', lab), encoding="utf-8")
    assert build.build(source) == []
    notebook = nbformat.read(source.parents[1] / "02_trial.ipynb", as_version=4)
    picture, words = notebook.cells[2].outputs
    assert picture.data["image/png"].startswith("iVBORw0KGgo")
    assert "The lab after 3 steps" in picture.metadata["image/png"]["alt"]
    assert words.data == {"text/plain": build.WIDGET_TEXT}


def png(picture: NDArray[np.uint8]) -> str:
    """A picture of shape (height, width, channels), in base64."""
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "png", optimize=True)
    return base64.b64encode(file.getvalue()).decode()


def pixels(picture: str) -> NDArray[np.int64]:
    image = Image.open(io.BytesIO(base64.b64decode(picture)))
    return np.asarray(image.convert("RGB"), dtype=int)


def test_a_figure_is_a_third_as_large_and_looks_the_same() -> None:
    axes = plt.subplots(figsize=(4, 3))[1]
    axes.plot(np.sin(np.linspace(0, 40, 200)), color="#D55E00", alpha=0.6, label="a line")
    axes.fill_between(range(200), -1, 1, color="#0072B2", alpha=0.3)
    axes.legend()
    file = io.BytesIO()
    axes.figure.savefig(file)
    plt.close("all")
    before = base64.b64encode(file.getvalue()).decode()
    after = build.with_few_colours(before)
    assert len(after) < 0.6 * len(before)
    assert abs(pixels(after) - pixels(before)).max() <= build.UNSEEN
    assert build.with_few_colours(after) == after


def test_a_picture_that_needs_its_colours_keeps_them() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    assert build.with_few_colours(png(noise)) == png(noise)


def test_a_transparent_picture_stays_transparent() -> None:
    clear = np.full((64, 64, 4), 255, dtype=np.uint8)
    clear[..., 3] = np.random.default_rng(0).integers(0, 256, (64, 64))
    assert build.with_few_colours(png(clear)) == png(clear)


# --- What it finds ------------------------------------------------------------------------


def edit(path: Path, change: Any) -> None:
    notebook = nbformat.read(path, as_version=4)
    change(notebook)
    nbformat.write(notebook, path)


def set_source(notebook: Any) -> None:
    notebook.cells[2].source += "  # edited"


def set_id(notebook: Any) -> None:
    notebook.cells[2].id = "other"


def set_tags(notebook: Any) -> None:
    notebook.cells[2].metadata["tags"] = ["nbval-skip"]


def set_timing(notebook: Any) -> None:
    notebook.cells[2].metadata["execution"] = {"iopub.status.busy": "2026"}


def set_metadata(notebook: Any) -> None:
    notebook.metadata["language_info"]["version"] = "3.11.7"


def drop_cell(notebook: Any) -> None:
    del notebook.cells[-1]


def print_to_stderr(notebook: Any) -> None:
    output = nbformat.v4.new_output("stream", name="stderr", text="a warning")
    notebook.cells[2].outputs.append(output)


def fail(notebook: Any) -> None:
    output = nbformat.v4.new_output("error", ename="ValueError", evalue="no", traceback=[])
    notebook.cells[2].outputs.append(output)


def keep_view(notebook: Any) -> None:
    output = nbformat.v4.new_output("display_data", data={build.VIEW: {"model_id": "1"}})
    notebook.cells[2].outputs.append(output)


def grow(notebook: Any) -> None:
    output = nbformat.v4.new_output("stream", name="stdout", text="x" * 1_000_001)
    notebook.cells[2].outputs.append(output)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (set_source, "its id|its source"),
        (set_id, "its id"),
        (set_tags, "its metadata"),
        (set_timing, "its metadata"),
        (set_metadata, "its metadata is"),
        (drop_cell, "cells in place of"),
        (print_to_stderr, "writes to stderr: a warning"),
        (fail, "ends in an error: ValueError: no"),
        (keep_view, "a widget's view"),
        (grow, "bytes, more than 1,000,000"),
    ],
)
def test_a_notebook_that_drifts_is_found(built: Path, change: Any, said: str) -> None:
    edit(built.parents[1] / "02_trial.ipynb", change)
    (problem,) = build.problems(built)
    assert problem.startswith("02_trial.ipynb: ")
    assert re.search(said, problem)


def test_an_edited_source_is_found(built: Path) -> None:
    built.write_text(SOURCE.replace("answer = 7", "answer = 8"), encoding="utf-8")
    (problem,) = build.problems(built)
    assert problem.startswith("solutions/02_trial.ipynb: ")


def test_a_missing_notebook_is_found(built: Path) -> None:
    shutil.rmtree(built.parents[1] / "solutions")
    assert build.problems(built) == [
        "solutions/02_trial.ipynb: missing, run `make notebooks`",
    ]


def test_a_cell_that_fails_is_reported_and_not_written(source: Path) -> None:
    source.write_text(SOURCE.replace('print("in', 'raise KeyError("in'), encoding="utf-8")
    (problem,) = build.build(source)
    assert problem.startswith("02_trial.ipynb: ")
    assert "KeyError" in problem
    assert not (source.parents[1] / "02_trial.ipynb").exists()


def test_an_unknown_chapter_is_one_clear_line(
    source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["build.py", "77"])
    with pytest.raises(SystemExit, match=r"No chapter starts with 77: there are 02_trial\."):
        build.main()


def test_only_what_has_changed_is_built(
    source: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(build, "CACHE", source.parents[1] / "build" / "notebooks.json")
    monkeypatch.setattr(build, "ProcessPoolExecutor", Here)
    said = []
    for argument in ([], [], ["--force"]):
        monkeypatch.setattr(sys, "argv", ["build.py", *argument])
        with pytest.raises(SystemExit, match=r"^0$"):
            build.main()
        said.append(capsys.readouterr().out.splitlines()[0])
    assert said == ["to build: 02_trial", "to build: none", "to build: 02_trial"]


class Here:
    """A pool of processes that is none: what is patched stays patched."""

    def __init__(self, count: int) -> None:
        del count

    def __enter__(self) -> Here:
        return self

    def __exit__(self, *error: object) -> None:
        return None

    def map(self, function: Any, values: Any) -> Any:
        return map(function, values)


# --- The numbers of the text --------------------------------------------------------------

QUOTING = """---
kernelspec:
  display_name: Python 3
  language: python
  name: python3
---

# The trial of {=runs} runs

```{code-cell} python
:tags: [setup]

import math
```

## First

Code is left alone: `{=runs}`. It grows by {=growth["a"]:.3f}, in $x = {=-growth["a"]:.2f}$ and

```
{=runs}
```

```{code-cell} python
growth = {"a": 1.02}
runs = 4
```

Of these, {=runs} of {=2 * runs} ({=runs / (2 * runs):.1%}), at least {=-growth["a"]:.2f ~.3}.

$$
E = {=r"\\frac{x}{y}"} \\cdot {=1e-7:.1e}
$$

## Second

```{code-cell} python
runs = 12_345
```

Now there are {=runs:,} with {=growth["a"] / 1e5:.1e}, or ${=runs:,}$.

## Exercises

```{code-cell} python
print("nothing to quote")
```
"""


@pytest.fixture(scope="module")
def quoting_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("quoting")
    with pytest.MonkeyPatch.context() as monkeypatch:
        path = live_in(folder, monkeypatch)
        path.parent.mkdir()
        path.write_text(QUOTING, encoding="utf-8")
        assert build.build(path) == []
    return folder


@pytest.fixture
def quoting(quoting_once: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small chapter that quotes numbers, built and run."""
    shutil.copytree(quoting_once, tmp_path, dirs_exist_ok=True)
    return live_in(tmp_path, monkeypatch)


def page(source: Path) -> Any:
    return nbformat.read(source.parents[1] / "02_trial.ipynb", as_version=4)


def test_the_text_has_the_digits_of_its_section(quoting: Path) -> None:
    text = "\n".join(cell.source for cell in page(quoting).cells if cell.cell_type == "markdown")
    assert "# The trial of 12345 runs" in text
    assert "left alone: `{=runs}`. It grows by 1.020, in $x = -1.02$ and" in text
    assert "```\n{=runs}\n```" in text
    assert "Of these, 4 of 8 (50.0 %), at least −1.02." in text
    assert "E = \\frac{x}{y} \\cdot 1.0 \\times 10^{-7}" in text
    assert "there are 12,345 with 1.0 × 10⁻⁵, or $12{,}345$." in text


def test_each_section_ends_in_a_folded_cell_that_asserts_its_numbers(quoting: Path) -> None:
    first, second = [cell for cell in page(quoting).cells if "numbers" in build._tags(cell)]
    assert first.metadata.jupyter.source_hidden
    assert '\ngrowth["a"]:.3f → 1.020 ← 1.02\n' in first.source
    assert '\n-growth["a"]:.2f ~.3 → -1.02 ← -1.02\n' in first.source
    assert first.outputs[0].text == "✓ 8 numbers of this section's text, recomputed\n"
    assert second.source.count(" → ") == 3
    assert [cell.execution_count for cell in page(quoting).cells if "execution_count" in cell] == [
        *range(1, 7)
    ]


def test_digits_leave_the_ids_alone(quoting: Path) -> None:
    assert build.problems(quoting) == []
    before = [cell.id for cell in page(quoting).cells]
    quoting.write_text(QUOTING.replace("1.02}", "1.03}"), encoding="utf-8")
    assert build.build(quoting) == []
    after = [cell.id for cell in page(quoting).cells]
    assert [a == b for a, b in zip(before, after, strict=True)].count(False) == 1


@pytest.mark.parametrize(
    ("old", "new"), [("1.020", "1.021"), ("−1.02", "1.02"), ("4 of 8", "4 of 9")]
)
def test_an_edited_digit_is_found(quoting: Path, old: str, new: str) -> None:
    def change(notebook: Any) -> None:
        (cell,) = [c for c in notebook.cells if c.cell_type == "markdown" and old in c.source]
        cell.source = cell.source.replace(old, new)

    edit(quoting.parents[1] / "02_trial.ipynb", change)
    assert "its source is not what its source says" in build.problems(quoting)[0]


def test_an_edited_digit_of_the_assertion_is_found(quoting: Path) -> None:
    def change(notebook: Any) -> None:
        for cell in notebook.cells:
            cell.source = cell.source.replace("→ 1.020", "→ 1.021")

    edit(quoting.parents[1] / "02_trial.ipynb", change)
    assert "its source is not what its source says" in build.problems(quoting)[0]


def test_digits_edited_everywhere_fail_when_run(quoting: Path) -> None:
    notebook = page(quoting)
    for cell in notebook.cells:
        cell.source = cell.source.replace("1.020 ← 1.02", "1.022 ← 1.022")
    names: dict[str, Any] = {}
    with pytest.raises(
        AssertionError, match=r"✗ growth\[\"a\"\]:\.3f: stated 1\.022, measured 1\.02"
    ):
        exec(code(notebook), names)


def test_every_wrong_number_is_told_with_its_line(source: Path) -> None:
    wrong = QUOTING.replace("{=runs:,}", "{=rums:,}").replace("{=2 * runs}", "{=2 *}")
    source.write_text(wrong, encoding="utf-8")
    (problem,) = build.build(source)
    assert problem.splitlines() == [
        "02_trial.md, line 29: {=2 *}: SyntaxError: not an expression",
        "02_trial.md, line 41: {=rums:,}: NameError: name 'rums' is not defined",
    ]
    assert not (source.parents[1] / "02_trial.ipynb").exists()


def test_exercises_quote_no_numbers(source: Path) -> None:
    source.write_text(QUOTING.replace("## Exercises", "## Exercises\n\n{=runs}"), encoding="utf-8")
    (problem,) = build.build(source)
    assert problem == (
        "02_trial.md, line 45: {=runs}: the exercises, and what follows, can't quote a number"
    )
    assert build.problems(source) == [problem]


def test_a_set_up_says_how_to_install_the_library() -> None:
    code = (
        "import torch\n\nfrom gan_course.checks import check\nfrom gan_course.losses import bce\n"
    )
    told = build.with_install(code, "someone/gan-course").splitlines()
    assert told[3] == "from gan_course.checks import check"
    assert 'install "gan-course[book] @ git+https://github.com/someone/gan-course"' in told[2]
    assert "\n".join(told).count("# Not installed?") == 1
    assert 'pip install -e ".[book]"' in build.with_install(code, "").splitlines()[2]
    assert build.with_install("import torch\n", "") == "import torch\n"
    for path in ASKING:
        cells = build.chapter(path).cells
        assert sum("# Not installed?" in cell.source for cell in cells) == 1, path.name
