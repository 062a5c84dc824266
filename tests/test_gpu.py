"""The command for machines with a GPU: what it does without one, and how it goes on."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from tools import ROOT, load

gpu = load("benchmarks/gpu.py")


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
