"""Write what was measured into its pages: ``python benchmarks/report.py``."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
Record = dict[str, Any]

PLAIN, ALONE, FAST = "plain loop", "one run, eager", "one run, (compiled|captured)"
#: Who beside whom, by patterns of their names, and at which width: in words; on two CPU cores and
#: on a data-centre GPU, the least ratio that we aim at.
RATIOS = [
    ("one run, eager, against the plain loop", ALONE, PLAIN, 16, 1.6, 1.5),
    ("one run, compiled or captured, against the plain loop", FAST, PLAIN, 16, 4, 10),
    ("one run, compiled or captured, against the plain loop", FAST, PLAIN, 128, 2, None),
    ("one run, compiled or captured, against JAX", FAST, "JAX, 1 run", 16, 0.6, 1),
    ("one run, compiled or captured, against JAX", FAST, "JAX, 1 run", 128, 0.6, 1),
    ("ensemble of 64, against the plain loop", "ensemble of 64,", PLAIN, 16, 20, 60),
    ("ensemble of 64, against the plain loop", "ensemble of 64,", PLAIN, 128, 4, None),
    ("ensemble of 1,024, against the plain loop", "ensemble of 1024,", PLAIN, 16, None, 500),
    ("ensemble against JAX", "ensemble of 64,", "JAX, 64 runs", 16, 1.5, 1),
    ("ensemble against JAX", "ensemble of 64,", "JAX, 64 runs", 128, 1.5, 1),
]
#: By width, an ensemble's least share of the matrix-multiply peak.
SHARES = [(128, 0.6, 0.3), (512, 0.75, 0.5)]
#: The largest share of a step that records, checks, history and a callback may take.
FOR_THE_READER = 0.05


def targets(records: list[Record | None]) -> str:
    """What we aim at beside what was measured, on the CPU and on the GPU; k = 1, no penalty."""
    lines = [
        "| | two CPU cores: target | measured | data-centre GPU: target | measured |",
        "|---|---|---|---|---|",
    ]

    def line(what: str, aim: str, aims: list[Any], number: str, numbers: list[Any]) -> None:
        cells = []
        for aimed, found in zip(aims, numbers, strict=True):
            measured = "not yet measured" if found is None else number.format(found)
            cells += ["–", "–"] if aimed is None else [aim.format(aimed), measured]
        lines.append(f"| {what} | {' | '.join(cells)} |".replace("| -", "| −"))

    for what, who, other, width, *least in RATIOS:
        pairs = [
            [best(record, width, name, "ratio") for name in (who, other)] for record in records
        ]
        ratios = [ours / theirs if ours and theirs else None for ours, theirs in pairs]
        line(f"{what}, width {width}", "≥ {}", least, "{:.2f}", ratios)
    for width, *least in SHARES:
        shares = [best(record, width, "ensemble", "share_of_peak") for record in records]
        what = f"ensemble's share of the matrix-multiply peak, width {width}"
        line(what, "≥ {:.0%}", least, "{:.0%}", shares)
    costs = [(record or {}).get("for_the_reader", {}) for record in records]
    for name in dict.fromkeys(name for cost in costs for name in cost):
        shares = [1 - cost[name]["with"]["ratio"] if name in cost else None for cost in costs]
        what = f"records, checks, history, callback: {name}"
        line(what, "≤ {:.0%}", [FOR_THE_READER] * len(costs), "{:.1%}", shares)
    return "\n".join(lines)


def best(record: Record | None, width: int, who: str, number: str) -> float | None:
    """The largest number among the contenders whose names begin so; ``None`` without any."""
    rows = record["results"] if record else []
    return max(
        (
            found[number]
            for row in rows
            if (row["width"], row["k"], row["R1"]) == (width, 1, 0)
            for name, found in row["contenders"].items()
            if re.match(who, name)
        ),
        default=None,
    )


def report(record: Record) -> str:
    """The record of ``run.py`` on one machine as Markdown tables."""
    versions = ", ".join(f"{name} {version}" for name, version in record["versions"].items())
    peak = ", ".join(
        f"{min(rates) / 1e9:,.0f} to {max(rates) / 1e9:,.0f} GFLOP/s with {threads} "
        f"thread{'s' * (threads != '1')}"
        for threads, rates in record["multiplications_per_second"].items()
    )
    parts = [
        f"{record['machine']}; {versions}; medians of {record['rounds']} rounds. "
        f"From work to work, matrix multiplication reached {peak}.",
        *(competition(row) for row in record["results"]),
    ]
    if "peak_megabytes" in record:
        parts.append(memory(record["peak_megabytes"]))
    return "\n\n".join(parts)


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


def pictures(records: list[Record | None]) -> str:
    """The records of ``tutorial.py``, on the CPU and on the GPU, as a Markdown table."""
    cpu, cuda = records
    if cpu is None:
        return "Not yet measured."
    versions = ", ".join(f"{name} {version}" for name, version in cpu["versions"].items())
    lines = [
        f"{cpu['machine']}; {versions}; medians of {cpu['rounds']} rounds, ratios inside a round.",
        "",
        "| pictures, width, batch | tutorial, pictures a second | eager, ratio | compiled, ratio "
        "| operations of a step, ratio | on a GPU, best ratio |",
        "|---|---|---|---|---|---|",
    ]
    on_gpu = {row["size"]: row for row in cuda["results"]} if cuda else {}
    for row in cpu["results"]:
        found, work = row["contenders"], row["operations"]
        ours = [
            f"{found[name]['ratio']:.2f}" if name in found else "not measured"
            for name in ("eager", "compiled")
        ]
        far = on_gpu.get(row["size"])
        best = max(one["ratio"] for one in far["contenders"].values()) if far else None
        lines.append(
            f"| {row['channels']} × {row['size']} × {row['size']}, {row['width']}, {row['batch']} "
            f"| {found['tutorial']['pictures_per_second']:,.0f} | {' | '.join(ours)} "
            f"| {work['ours'] / work['tutorial']:.2f} "
            f"| {'not yet measured' if best is None else format(best, '.2f')} |"
        )
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


def readers(record: Record) -> str:
    """The record of ``readers.py`` as a Markdown table, and what follows for a class."""
    versions = ", ".join(f"{name} {version}" for name, version in record["versions"].items())
    lines = [
        f"{record['machine']}; python {record['python']}, {versions}; load of the machine "
        f"{record['load'][0]:.0f}.",
        "",
        "| | kernel, MB | its server, MB | kernel, of a core | its server, of a core |",
        "|---|---|---|---|---|",
    ]
    for name, state in record["states"].items():
        memory, processor = state["memory_mb"], state["processor"]
        taken = "all it gets" if "steps" in state else f"{processor['kernel']:.1%}"
        lines.append(
            f"| {name} | {memory['kernel']:.0f} | {memory['server']:.0f} | {taken} "
            f"| {processor['server']:.1%} |"
        )
    found, server, group = record["fits"], record["server"], record["class"]
    training = round(group["readers"] * group["share_that_trains"])
    lines += [
        "",
        f"So {server['cores']} cores and {server['memory_mb'] / 1000:.0f} GB hold "
        f"**{found['by_memory']:.0f} readers by memory** ({found['memory_mb_each']:.0f} MB each, "
        f"{server['system_mb'] / 1000:.0f} GB left to the system). "
        f"{group['readers']} readers at rest take {found['processor_of_a_class_at_rest']:.0%} of "
        f"a core. When {training} of them train at the same moment, each has "
        f"{found['cores_for_each_training']:.0%} of a core, and takes some "
        f"{found['steps_per_second_of_each_training']:.0f} steps a second.",
    ]
    return "\n".join(lines)


def insert(text: str, mark: str, tables: str) -> str:
    """The README's text with the tables between its two marks of that name."""
    begin, end = f"<!-- {mark}: begin -->", f"<!-- {mark}: end -->"
    before, _, rest = text.partition(begin)
    _, _, after = rest.partition(end)
    return f"{before}{begin}\n\n{tables}\n\n{end}{after}"


def renewed(page: str) -> str:
    """The README's text with what the records say now."""
    names = ("cpu", "cuda", "live_view", "tutorial", "tutorial_cuda")
    paths = [HERE / "results" / f"{name}.json" for name in names]
    cpu, cuda, live, *seen = (
        json.loads(p.read_text("utf-8")) if p.exists() else None for p in paths
    )
    page = insert(page, "targets", targets([cpu, cuda]))
    page = insert(page, "speed", "\n\n".join(report(record) for record in (cpu, cuda) if record))
    page = insert(page, "pictures", pictures(seen))
    return insert(page, "live lab", live_lab(live))


def taught(page: str) -> str:
    """The teachers' page with what the record says now."""
    record = json.loads((HERE / "results" / "readers.json").read_text("utf-8"))
    return insert(page, "readers", readers(record))


#: The pages with numbers, and what renews them.
PAGES = {HERE / "README.md": renewed, HERE.parent / "TEACHING.md": taught}


def main() -> None:
    """Renew the pages."""
    for path, renew in PAGES.items():
        path.write_text(renew(path.read_text("utf-8")), "utf-8")


if __name__ == "__main__":
    main()
