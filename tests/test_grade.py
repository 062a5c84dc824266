"""Submissions are graded in a kernel of their own, and gain nothing by what they do there."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
from tools import ROOT

from gan_course import __main__ as commands
from gan_course import grading
from gan_course.grading import FORMATS, Result, grade, rewritten

SETUP = """import torch
from gan_course.exercises import exercise"""
RIGHT = {"05.1": "(0.2, 0.8, 0.25)", "05.2": "lambda a: -a", "05.5": "2.326"}


def notebook(folder: Path, *cells: str, setup: str = SETUP, name: str = "05_mine.ipynb") -> Path:
    """A submission: a set-up, then cells below the exercises' heading."""
    made = [
        {"cell_type": "code", "source": setup, "metadata": {"tags": ["setup"]}},
        {"cell_type": "code", "source": "raise SystemError('not run')", "metadata": {}},
        {"cell_type": "markdown", "source": "## Exercises\n\nAll of them.", "metadata": {}},
        *({"cell_type": "code", "source": [*cell.splitlines(True)]} for cell in cells),
    ]
    path = folder / name
    path.write_text(json.dumps({"cells": made, "nbformat": 4, "nbformat_minor": 5}), "utf-8")
    return path


def by_key(results: list[Result]) -> dict[str, tuple[str, str]]:
    return {result.exercise: result[2:] for result in results}


def asked(key: str, before: str = "", answer: str = "") -> str:
    return f'{before}\nexercise("{key}", {answer or RIGHT[key]})'


@pytest.mark.slow
def test_the_solutions_are_right_and_the_chapter_is_open() -> None:
    """Chapter 01 changes the default dtype, which its answers need."""
    paths = [
        ROOT / "notebooks" / folder / "01_generative_models.ipynb" for folder in ("solutions", ".")
    ]
    results = grade(paths, jobs=2)
    keys = [f"01.{number}" for number in range(1, 7)]
    assert [one.exercise for one in results] == keys + keys
    assert [one.verdict for one in results] == 6 * ["right"] + 6 * ["open"]


HOSTILE = {
    "in its kernel": [
        asked("05.1", "def exercise(*_): print('✓')", "(0.2, 0.8, 0.2)"),
        asked(
            "05.2",
            "import gan_course.exercises as e, gan_course.exercises.chapter_05 as c\n"
            "e.SPECIFICATIONS['05.2'] = lambda answer: None\n"
            "e.expect = c.expect = torch.allclose = lambda *_, **__: True",
            "lambda a: a",
        ),
        "while True:\n    try:\n        while True: pass\n    except KeyboardInterrupt: pass\n"
        'exercise("05.3", 1)',
        'import os; os._exit(0)\nexercise("05.4", 1)',
        asked("05.5", "for _ in range(50): print('x' * 1_000_000)"),
    ],
    "before its judge": [
        asked("05.1", answer="(part for part in (0.2, 0.8, 0.25))"),
        asked(
            "05.2",
            "def flat(a):\n"
            "    import gan_course.exercises.chapter_05 as c\n"
            "    c.expect = lambda *_, **__: True\n"
            "    return -2 * a",
            "flat",
        ),
        asked("05.3", "def hangs(a):\n    while True: pass", "hangs"),
        asked("05.4", "def leaves(f):\n    import os; os._exit(0)", "leaves"),
        f"%%time\n{asked('05.5', 'print(right here' + chr(10))}",
        asked("05.5", "import seen\n%matplotlib inline", "seen.theta()"),
    ],
}


@pytest.fixture(scope="module")
def verdicts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, tuple[str, str]]]:
    """Both submissions, side by side: in each something runs until its limit."""
    folder = tmp_path_factory.mktemp("hostile")
    (folder / "seen.py").write_text("def theta(): return 2.326\n", "utf-8")
    paths = {
        where: notebook(folder, *cells, name=f"05_{number}.ipynb")
        for number, (where, cells) in enumerate(HOSTILE.items())
    }
    results = grade([*paths.values()], jobs=2, limit=15)
    return {
        where: by_key([one for one in results if Path(one.file) == path])
        for where, path in paths.items()
    }


@pytest.mark.slow
def test_what_a_submission_does_in_its_kernel_gains_nothing(
    verdicts: dict[str, dict[str, tuple[str, str]]],
) -> None:
    found = verdicts["in its kernel"]
    assert found["05.1"][0] == "wrong" and "maximum likelihood" in found["05.1"][1]
    assert found["05.2"][0] == "wrong" and "does not fall" in found["05.2"][1]
    assert found["05.3"] == ("crashed", "the cell runs longer than 15 s")
    assert found["05.4"] == ("crashed", "the cell has ended its kernel")
    assert found["05.5"] == ("right", "")


@pytest.mark.slow
def test_what_an_answer_does_before_its_judge_gains_nothing(
    verdicts: dict[str, dict[str, tuple[str, str]]],
) -> None:
    found = verdicts["before its judge"]
    assert found["05.1"][0] == "crashed" and "can't be handed in" in found["05.1"][1]
    assert found["05.2"][0] == "crashed" and "chapter_05.expect" in found["05.2"][1]
    assert found["05.3"] == ("crashed", "the answer runs longer than 15 s while it is judged")
    assert found["05.4"] == ("crashed", "the answer ends its process while it is judged")
    assert found["05.5"] == ("right", "")


@pytest.mark.slow
def test_names_of_the_chapter_are_there_when_it_runs_as_a_whole(tmp_path: Path) -> None:
    path = notebook(tmp_path, asked("05.5", answer="theta"))
    text = path.read_text("utf-8").replace("raise SystemError('not run')", "theta = 2.326")
    path.write_text(text, "utf-8")
    assert by_key(grade([path]))["05.5"] == ("crashed", "NameError: name 'theta' is not defined")
    found = by_key(grade([path], whole=True))
    assert found["05.5"] == ("right", "")
    assert found["05.4"] == ("open", "its cell is missing")


@pytest.mark.parametrize("text", ["", "no", "[]", '{"cells": [1]}', '{"worksheets": []}', "\ufeff"])
def test_a_broken_file_stops_nobody(tmp_path: Path, text: str) -> None:
    path = tmp_path / "05_broken.ipynb"
    path.write_text(text, "utf-8")
    broken, missing = grade([path, tmp_path / "00_missing.ipynb"])[::5]
    assert broken.exercise == "05.1" and broken.verdict == "crashed"
    assert broken.hint.startswith("no notebook: ")
    assert missing[1:3] == ("", "crashed")


@pytest.mark.parametrize(
    ("name", "chapter"),
    [("05_mine.ipynb", "05"), ("A2_mine.ipynb", "A2"), ("alice-03.ipynb", "03"), ("my.ipynb", "")],
)
def test_a_file_without_exercises_is_of_the_chapter_in_its_name(name: str, chapter: str) -> None:
    assert grading._chapter(Path(name), []) == chapter
    cells = [grading.Cell("", False, ("04.1", "04.2")), grading.Cell("", False, ("02.1",))]
    assert grading._chapter(Path(name), cells) == "04"


def test_only_calls_of_exercise_are_rewritten() -> None:
    code = "%matplotlib inline\nx = exercise('05.1', check(2))\ngan_course.exercises.exercise(k, 1)"
    new = rewritten(code, "/folder")
    assert new.count("hand_in('/folder', ") == 2 and "check(2)" in new
    assert rewritten("this is no Python", "/folder") == "this is no Python"


RESULTS = [
    Result("a.ipynb", "05.1", "right", ""),
    Result("a.ipynb", "05.2", "wrong", "=look, at the sign"),
    Result("b.ipynb", "", "crashed", "no notebook"),
]


def test_tables_say_the_same_in_three_ways() -> None:
    assert [Result(**row) for row in json.loads(FORMATS["json"](RESULTS))] == RESULTS
    rows = [*csv.reader(io.StringIO(FORMATS["csv"](RESULTS)))]
    assert rows[0] == [*Result._fields]
    assert rows[2] == ["a.ipynb", "05.2", "wrong", "'=look, at the sign"]  # no formula
    text = FORMATS["text"](RESULTS)
    assert "a.ipynb   ✓     ✗    1 of 2" in text
    assert "a.ipynb 05.2 wrong: =look, at the sign" in text
    assert "b.ipynb crashed: no notebook" in text


def test_no_cell_of_a_table_is_a_formula_and_each_verdict_has_its_mark() -> None:
    verdicts = {"right": "✓", "wrong": "✗", "open": "○", "crashed": "!"}
    results = [
        Result("a.ipynb", f"05.{number}", verdict, f"{sign}1+1")
        for number, (verdict, sign) in enumerate(zip(verdicts, "=+-@", strict=True), 1)
    ]
    _, *rows = csv.reader(io.StringIO(FORMATS["csv"](results)))
    assert [row[3] for row in rows] == ["'=1+1", "'+1+1", "'-1+1", "'@1+1"]
    line = next(row for row in FORMATS["text"](results).splitlines() if row.startswith("a.ipynb"))
    assert line.split()[1:5] == [*verdicts.values()]
    assert line.endswith("1 of 4")


@pytest.mark.parametrize("name", ["jobs", "limit", "setup_limit"])
def test_wrong_limits_are_named(name: str) -> None:
    with pytest.raises(ValueError, match=rf"^{name} = 0: it has to be positive$"):
        grade([], **{name: 0})  # type: ignore[arg-type]


def test_the_command_writes_its_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def graded(paths: list[Path], **options: object) -> list[Result]:
        assert [path.name for path in paths] == ["a.ipynb", "b.ipynb"]
        assert options["jobs"] == 2 and options["limit"] == 120
        return RESULTS

    monkeypatch.setattr(grading, "grade", graded)
    words = ["grade", "a.ipynb", "b.ipynb", "--jobs", "2", "--format", "json"]
    commands.main([*words, "--output", str(tmp_path / "table.json")])
    assert (tmp_path / "table.json").read_text("utf-8") == FORMATS["json"](RESULTS)
    commands.main(words)
    assert capsys.readouterr().out == FORMATS["json"](RESULTS)
