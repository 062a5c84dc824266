"""The benchmark runs, and its contenders do the same work."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from tools import ROOT, load

run = load("benchmarks/run.py")


@pytest.mark.parametrize(("k", "r1"), [(1, 0.0), (3, 0.0), (1, 0.1)])
def test_the_plain_loop_and_the_library_do_the_same_work(k: int, r1: float) -> None:
    run.assert_same_work(k, r1, "cpu")
    with pytest.raises(AssertionError):  # and another amount of work is noticed
        ours = run.trainer(16, k, r1, None, "cpu")
        plain = run.PlainLoop(
            ours.generator.module, ours.discriminator.module, k=k + 1, r1=r1, device="cpu"
        )
        torch.testing.assert_close(ours.step().discriminator_loss.item(), plain.step()[0])


def test_a_quick_run_writes_what_it_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["run.py", "--quick", "--output", str(tmp_path / "out.json")])
    run.main()
    record = json.loads((tmp_path / "out.json").read_text())
    (result,) = record["results"]
    assert set(result["contenders"]) == {"plain loop", "one run", "ensemble of 8"}
    assert result["contenders"]["plain loop"]["ratio"] == 1
    assert all(row["steps_per_second"] > 0 for row in result["contenders"].values())
    assert record["versions"]["torch"] == torch.__version__


def test_committed_results_name_their_machine() -> None:
    for path in (ROOT / "benchmarks" / "results").glob("*.json"):
        record = json.loads(path.read_text())
        assert record["machine"], path
        assert record["versions"]["torch"], path
