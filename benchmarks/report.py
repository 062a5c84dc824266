"""Write what was measured into ``README.md``: ``python benchmarks/report.py``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent


def report(record: dict[str, Any]) -> str:
    """The record of ``run.py`` on one machine as Markdown tables."""
    versions = ", ".join(f"{name} {version}" for name, version in record["versions"].items())
    peak = ", ".join(
        f"{rate / 1e9:,.0f} GFLOP/s with {threads} thread{'s' * (threads != '1')}"
        for threads, rate in record["multiplications_per_second"].items()
    )
    parts = [
        f"{record['machine']}; {versions}; medians of {record['rounds']} rounds. "
        f"Matrix multiplication reaches {peak}.",
        targets(record),
        *(competition(row) for row in record["results"]),
    ]
    if "peak_megabytes" in record:
        parts.append(memory(record["peak_megabytes"]))
    return "\n\n".join(parts)


def targets(record: dict[str, Any]) -> str:
    """What we aim at beside what was measured, on a CPU; k = 1, no penalty."""
    rows = {
        row["width"]: row["contenders"]
        for row in record["results"]
        if (row["k"], row["R1"]) == (1, 0)
    }

    def best(width: int, what: str, number: str = "ratio") -> float:
        return max(row[number] for name, row in rows[width].items() if name.startswith(what))

    def against(width: int, what: str, other: str) -> float:
        return best(width, what) / best(width, other)

    lines = ["| on the CPU | target | measured |", "|---|---|---|"]
    for what, width, name, other, target in (
        ("one run, eager, against the plain loop", 16, "one run, eager", "plain loop", 1.6),
        ("one run, compiled, against the plain loop", 16, "one run, compiled", "plain loop", 4),
        ("one run, compiled, against the plain loop", 128, "one run, compiled", "plain loop", 2),
        ("one run, compiled, against JAX", 16, "one run, compiled", "JAX, 1 run", 0.6),
        ("one run, compiled, against JAX", 128, "one run, compiled", "JAX, 1 run", 0.6),
        ("ensemble of 64, against the plain loop", 16, "ensemble of 64", "plain loop", 20),
        ("ensemble of 64, against the plain loop", 128, "ensemble of 64", "plain loop", 4),
        ("ensemble of 64, against JAX", 16, "ensemble of 64", "JAX, 64 runs", 1.5),
        ("ensemble of 64, against JAX", 128, "ensemble of 64", "JAX, 64 runs", 1.5),
    ):
        if width in rows and any(entry.startswith(other) for entry in rows[width]):
            ratio = against(width, name, other)
            lines.append(f"| {what}, width {width} | ≥ {target:g} | {ratio:.2f} |")
    for width, target in ((128, 0.6), (512, 0.75)):
        if width in rows:
            share = best(width, "ensemble", "share_of_peak")
            lines.append(
                f"| ensemble's share of the matrix-multiply peak, width {width} "
                f"| ≥ {target:.0%} | {share:.0%} |"
            )
    for name, both in record.get("for_the_reader", {}).items():
        share = 1 - both["with"]["ratio"]
        lines.append(f"| records, checks, history, callback: {name} | ≤ 5% | {share:.1%} |")
    return "\n".join(lines)


def competition(row: dict[str, Any]) -> str:
    """All contenders on one work."""
    penalty = f", R1 {row['R1']}" if row["R1"] else ""
    lines = [
        f"**Width {row['width']}, k = {row['k']}{penalty}**",
        "",
        "| | GAN-steps a second | least and most | ratio | share of peak |",
        "|---|---|---|---|---|",
    ]
    for name, found in row["contenders"].items():
        low, high = found["spread"]
        lines.append(
            f"| {name} | {found['steps_per_second']:,.0f} | {low:,.0f} – {high:,.0f} "
            f"| {found['ratio']:.2f} | {found['share_of_peak']:.0%} |"
        )
    return "\n".join(lines)


def memory(found: dict[str, float]) -> str:
    """Megabytes at the peak."""
    lines = ["| peak memory above the imported library | megabytes |", "|---|---|"]
    lines += [f"| {name} | {megabytes:,.0f} |" for name, megabytes in found.items()]
    return "\n".join(lines)


def live_lab(record: dict[str, Any]) -> str:
    """The record of ``live_view.py`` as Markdown tables."""
    versions = ", ".join(f"{name} {version}" for name, version in record["versions"].items())
    lines = [
        f"{record['machine']}; python {record['python']}, {versions}.",
        "",
        "| | frames a second | from a choice to its picture, median | 95th percentile "
        "| steps a second |",
        "|---|---|---|---|---|",
    ]
    for name, scene in record["scenes"].items():
        lines.append(
            f"| {name} | {scene['frames_per_second']:.1f} | {scene['latency_ms_median']:.0f} ms "
            f"| {scene['latency_ms_p95']:.0f} ms | {scene['steps_per_second']:,.0f} |"
        )
    memory = record["memory"]
    begin, end = memory["growth_between_seconds"]
    growth = ", ".join(
        f"{name.replace('_', ' ')} {megabytes:+.1f}".replace("-", "−")
        for name, megabytes in memory["growth_mb"].items()
    )
    lines += ["", f"Memory in megabytes, from second {begin} to {end} of play: {growth}."]
    return "\n".join(lines)


def insert(text: str, mark: str, tables: str) -> str:
    """The README's text with the tables between its two marks of that name."""
    begin, end = f"<!-- {mark}: begin -->", f"<!-- {mark}: end -->"
    before, _, rest = text.partition(begin)
    _, _, after = rest.partition(end)
    return f"{before}{begin}\n\n{tables}\n\n{end}{after}"


def renewed(page: str) -> str:
    """The README's text with what the records say now."""
    for mark, tables, name in (("speed", report, "cpu"), ("live lab", live_lab, "live_view")):
        record = json.loads((HERE / "results" / f"{name}.json").read_text("utf-8"))
        page = insert(page, mark, tables(record))
    return page


def main() -> None:
    """Renew the README."""
    path = HERE / "README.md"
    path.write_text(renewed(path.read_text("utf-8")), "utf-8")


if __name__ == "__main__":
    main()
