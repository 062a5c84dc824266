"""The command for machines with a GPU: what it does without one, and how it goes on."""

from __future__ import annotations

import json
import subprocess
import sys
from functools import cache, partialmethod
from pathlib import Path

import pandas as pd
import pytest
import torch
from standin import install
from tools import ROOT, load

gpu = load("benchmarks/gpu.py")
stand = load("benchmarks/stand.py")


@pytest.mark.slow
@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_without_a_gpu_it_says_so_and_ends_well():
    run = subprocess.run(
        [sys.executable, "tasks.py", "gpu"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert run.returncode == 0, run.stderr
    assert "There is no CUDA device here" in run.stdout


@pytest.fixture
def parts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Three parts, of which one fails and one does not end; each leaves a line in ``ran``."""
    ran = tmp_path / "ran"
    note = f"open({str(ran)!r}, 'a').write('%s\\n')"
    commands = {
        "good": ["-c", note % "good"],
        "bad": ["-c", note % "bad" + "; raise SystemExit(3)"],
        "slow": ["-c", note % "slow" + "; import time; time.sleep(60)"],
    }
    monkeypatch.setattr(gpu, "PARTS", commands)
    monkeypatch.setattr(gpu, "LIMIT", 2)
    monkeypatch.setattr(gpu, "RECORD", tmp_path / "gpu.json")
    monkeypatch.setattr(gpu, "device", lambda: "a GPU")
    monkeypatch.setattr(gpu, "commit", lambda: "abc")
    return ran


@pytest.mark.slow
def test_each_part_is_noted_and_what_passed_is_not_run_again(
    parts: Path, monkeypatch: pytest.MonkeyPatch
):
    assert not gpu.run_parts(["good", "bad", "slow"], again=False)
    record = json.loads(gpu.RECORD.read_text())
    verdicts = {name: part["verdict"] for name, part in record.items()}
    assert verdicts == {
        "good": "passed",
        "bad": "failed with exit status 3",
        "slow": "stopped after 2 s",
    }
    assert record["good"]["machine"] == "a GPU"
    assert record["good"]["versions"]["torch"] == torch.__version__
    assert not gpu.run_parts(["good", "bad"], again=False)
    assert parts.read_text().split() == ["good", "bad", "slow", "bad"]
    monkeypatch.setattr(gpu, "commit", lambda: "def")
    assert gpu.run_parts(["good"], again=False)
    assert parts.read_text().split()[-1] == "good"


def test_the_parts_are_there():
    for command in gpu.PARTS.values():
        assert Path(command[0]).exists()


# --- Chapter 11's baseline at full size ---------------------------------------------------------


def small(target: str, **more: object) -> dict[str, object]:
    """Settings of a few steps."""
    own = stand.baseline.SETTINGS["targets"][target]
    own = own | {"steps": [3, 6], "runs": 2, "samples": 40, "width": 8} | more
    return stand.baseline.SETTINGS | {"rates": [1e-3, 1e-2], "targets": {target: own}}


@pytest.mark.parametrize("target", ["ring", "grid"])
def test_the_rows_of_the_baseline_train_on_another_device(
    target: str, monkeypatch: pytest.MonkeyPatch
):
    rows = ["non-saturating", "+ residual = full"]
    there = stand.baseline.measure(target, small(target), rows)
    install(monkeypatch)
    found = stand.baseline.measure(target, small(target), rows, "standin")
    pd.testing.assert_frame_equal(found, there, rtol=1e-3, atol=1e-3)
    assert list(found["row"].unique()) == rows


def test_an_interrupted_baseline_goes_on_after_the_last_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    asked: list[str] = []

    def measure(target: str, settings: object, rows: list[str], device: str) -> pd.DataFrame:
        if len(asked) == 3:
            asked.append("stopped")
            raise KeyboardInterrupt
        asked.extend(rows)
        return pd.DataFrame({"row": rows, "device": device})

    monkeypatch.setattr(stand.baseline, "measure", measure)
    rows = list(stand.baseline.ROWS)
    with pytest.raises(KeyboardInterrupt):
        stand.ladder("ring", small("ring"), "cpu", tmp_path)
    assert stand.ladder("ring", small("ring"), "cpu", tmp_path) == len(rows) - 3
    assert [row for row in asked if row != "stopped"] == rows
    assert list(pd.read_csv(tmp_path / "stand_ring.csv")["row"]) == rows
    assert stand.ladder("ring", small("ring"), "cpu", tmp_path) == 0
    assert stand.ladder("ring", small("ring", width=9), "cpu", tmp_path) == len(rows)
    assert json.loads((tmp_path / "stand_ring.json").read_text())["settings"] == small(
        "ring", width=9
    )


def test_full_size_is_larger_in_every_target():
    for name, full in stand.baseline.FULL["targets"].items():
        recorded = stand.baseline.SETTINGS["targets"][name]
        assert full["steps"][-1] >= 5 * recorded["steps"][-1]
        assert full["width"] > recorded["width"]
        assert full.keys() == recorded.keys()
        assert {key: full[key] for key in ("gamma", "runs", "samples")} == {
            key: recorded[key] for key in ("gamma", "runs", "samples")
        }
        assert gpu.PARTS[f"chapter 11, {name}"][1] == name


# --- Chapter 11's families at full size ---------------------------------------------------------


def few(**more: object) -> dict[str, object]:
    """Settings of a few steps, for small networks."""
    own = {"runs": 2, "rates": [1e-3], "sampler steps": [2], "draws": 2, "seconds": 0.01}
    sizes = {
        "samples": {"ring": 40, "digits": 40},
        "weights": {"ring": 3_000, "digits": 54_000},
    }
    return stand.families.FULL | own | sizes | more


@pytest.mark.slow
@pytest.mark.parametrize("task", ["ring", "digits"])
def test_the_families_train_on_another_device(task: str, monkeypatch: pytest.MonkeyPatch):
    families, places = stand.families, []
    monkeypatch.setattr(families, "steps_in", lambda *_: 4)
    monkeypatch.setattr(families, "tasks", cache(families.tasks))
    monkeypatch.setattr(families.Toy, "mass", partialmethod(families.Toy.mass, cells=60))
    monkeypatch.setattr(families, "clock", lambda place: places.append(place.type) or 0.0)
    every = families.FULL["families"][task]
    rows = ["beside", *(every if task == "ring" else ["GAN", "VAE", "autoregressive", "diffusion"])]
    there = [families.measure_full(task, row, few(), "cpu") for row in rows]
    assert set(places) == {"cpu"}
    install(monkeypatch)
    places.clear()
    found = [families.measure_full(task, row, few(), "standin") for row in rows]
    assert set(places) == {"standin"}
    for ours, theirs in zip(found, there, strict=True):
        pd.testing.assert_frame_equal(ours, theirs, rtol=1e-2, atol=1e-3)
    assert [table["row"].iloc[0] for table in found] == rows


def test_each_family_takes_the_steps_that_fit_into_the_seconds(monkeypatch: pytest.MonkeyPatch):
    asked: list[int] = []

    def trained(*_: object, steps: int, **__: object) -> tuple[None, float]:
        asked.append(steps)
        return None, 100.0 if len(asked) == 1 else steps * 0.25  # the first one is slow

    monkeypatch.setattr(stand.families, "trained", trained)
    task = stand.families.on_grid()
    assert stand.families.steps_in(task, "ring", "VAE", few(seconds=15.0), "cpu") == 60
    assert len(asked) == 2


def test_interrupted_families_go_on_after_the_last_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    asked: list[str] = []

    def measure(task: str, row: str, settings: object, device: str) -> pd.DataFrame:
        if len(asked) == 3:
            asked.append("stopped")
            raise KeyboardInterrupt
        asked.append(row)
        return pd.DataFrame({"row": [row] * 2, "family": row, "device": device})

    monkeypatch.setattr(stand.families, "measure_full", measure)
    rows = ["beside", *stand.families.FULL["families"]["glyphs"]]
    with pytest.raises(KeyboardInterrupt):
        stand.compared("glyphs", few(), "cpu", tmp_path)
    assert stand.compared("glyphs", few(), "cpu", tmp_path) == len(rows) - 3
    assert [row for row in asked if row != "stopped"] == rows
    assert list(pd.read_csv(tmp_path / "stand_families-glyphs.csv")["row"].unique()) == rows
    assert stand.compared("glyphs", few(), "cpu", tmp_path) == 0
    assert stand.compared("glyphs", few(seconds=1.0), "cpu", tmp_path) == len(rows)


def test_full_size_is_wider_for_every_family():
    families = stand.families
    full, known = families.FULL, {"ring": families.SETTINGS, "digits": families.SETTINGS}
    known |= {"grid": families.GRID, "glyphs": families.GLYPHS}
    assert set(full["families"]) == set(known)
    for name, settings in known.items():
        assert full["weights"][name] >= 4 * settings["weights"][name]
        assert full["samples"][name] == settings["samples"][name]
        assert full["families"][name] == list(settings["steps"][name])
        assert gpu.PARTS[f"chapter 11, families, {name}"][1] == f"families-{name}"
    assert {key: full[key] for key in ("runs", "rates")} == {
        key: families.SETTINGS[key] for key in ("runs", "rates")
    }
