"""The benchmark runs, and its contenders do the same work."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from tools import ROOT, load

run, report = load("benchmarks/run.py"), load("benchmarks/report.py")


@pytest.mark.parametrize(("k", "r1"), [(1, 0.0), (3, 0.0), (1, 0.1)])
def test_the_plain_loop_and_the_library_do_the_same_work(k: int, r1: float) -> None:
    run.assert_same_work(k, r1, "cpu")
    with pytest.raises(AssertionError):  # and another amount of work is noticed
        ours = run.trainer(16, k, r1)
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
    expected = {"plain loop", "one run, eager", "ensemble of 8, eager"}
    if run.CORES > 1:
        expected.add(f"ensemble of 8, eager, {run.CORES} threads")
    assert set(result["contenders"]) == expected
    assert result["contenders"]["plain loop"]["ratio"] == 1
    assert all(row["steps_per_second"] > 0 for row in result["contenders"].values())
    assert record["versions"]["torch"] == torch.__version__


def test_operations_are_those_of_the_matrix_products() -> None:
    """By hand: forward, and back to the inputs where a graph goes on, and to the weights."""
    batch, width = run.BATCH, 16

    def layers(*sizes: int) -> list[int]:
        return [2 * batch * a * b for a, b in pairwise(sizes)]

    G, D = layers(2, width, width, 2), layers(2, width, width, 1)
    by_D = sum(G) + 2 * (3 * sum(D) - D[0])  # no gradient at the samples
    by_G = 3 * sum(G) - G[0] + 2 * sum(D)
    assert run.operations(width, 1, 0.0) == by_D + by_G


def test_the_bare_trainer_takes_the_same_steps() -> None:
    ours, stripped = run.trainer(16, runs=2), run.trainer(16, runs=2)
    ours.train(3)
    run.bare(stripped, 3)
    for one, other in zip(
        ours.generator.parameters(), stripped.generator.parameters(), strict=True
    ):
        assert torch.equal(one, other)


def test_the_tutorial_and_the_library_train_alike_and_their_speeds_are_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tutorial = load("benchmarks/tutorial.py")
    work = tutorial.Work(8, 1, 4, 16)
    G, D = work.networks()
    loop = tutorial.TutorialLoop(G, D, work.pictures()[:16], 16, "cpu")
    real = loop.real()
    loop.real = lambda: real
    torch.manual_seed(1)
    before = [network(x) for network, x in ((G, torch.randn(16, 100)), (D, real))]
    with torch.no_grad():
        logits = D(real), D(before[0])
    expected = sum(
        torch.nn.functional.softplus(sign * a).mean()
        for sign, a in zip((-1, 1), logits, strict=True)
    )
    torch.manual_seed(1)
    of_D, _ = loop.step()
    assert of_D == pytest.approx(expected.item(), rel=1e-4)
    assert not torch.equal(D(real), before[1])  # and both have moved
    arguments = ["tutorial.py", "--quick", "--output", str(tmp_path / "out.json")]
    monkeypatch.setattr("sys.argv", arguments)
    tutorial.main()
    (row,) = json.loads((tmp_path / "out.json").read_text("utf-8"))["results"]
    assert row["contenders"]["tutorial"]["ratio"] == 1
    # New noise for G's step costs a pass through G; D's weights need no gradient there.
    assert 1 < row["operations"]["ours"] / row["operations"]["tutorial"] < 1.5
    table = report.pictures([{**json.loads((tmp_path / "out.json").read_text("utf-8"))}, None])
    assert table.count("not yet measured") == 1 and "1 × 8 × 8" in table


def test_readers_are_counted_by_memory_and_by_cores() -> None:
    """By hand: 200 MB each of 2,000; 27 at rest take 0.54 of 2 cores, 3 share what is left."""
    pytest.importorskip("psutil")
    readers = load("benchmarks/readers.py")

    def state(kernel: float, share: float) -> dict[str, Any]:
        memory = {"kernel": kernel, "server": 50.0}
        return {"memory_mb": memory, "processor": {"kernel": share, "server": 0.01}}

    states = {
        "idle": state(90, 0),
        "the lab open, paused": state(100, 0.01),
        "the lab playing": state(150, 0.9) | {"steps_per_processor_second": 100.0},
    }
    found = readers.fits(states, {"cores": 2, "memory_mb": 3_000, "system_mb": 1_000})
    assert found["by_memory"] == 10 and found["memory_mb_each"] == 200
    assert found["processor_of_a_class_at_rest"] == 0.6
    assert found["cores_for_each_training"] == pytest.approx((2 - 0.54) / 3, abs=0.005)
    assert found["steps_per_second_of_each_training"] == 49
    alone = readers.fits(states, {"cores": 64, "memory_mb": 3_000, "system_mb": 1_000})
    assert alone["cores_for_each_training"] == 1  # a training is one thread


def test_the_pages_show_the_records() -> None:
    for path, renew in report.PAGES.items():
        page = path.read_text("utf-8")
        assert renew(page) == page, f"{path}: run python benchmarks/report.py"
    page = (ROOT / "benchmarks" / "README.md").read_text("utf-8")
    assert "GAN-steps" in page and "frames a second" in page


def test_committed_results_name_their_machine() -> None:
    for path in (ROOT / "benchmarks" / "results").glob("*.json"):
        record = json.loads(path.read_text())
        assert record["machine"], path
        assert record["versions"]["torch"], path
