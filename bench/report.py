"""In: records. Out: Markdown: the page of one subject, and the table of all of them."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from bench.record import Measurement, Ratio, Record, summed

__all__ = ["machine_line", "number", "overview", "page", "ratio_rows", "table"]

BUSY = "Other work ran on the machine meanwhile: wall times are rough, processor time is the steadier figure."
QUICK = "**Small sizes, only to show that everything runs: the figures mean nothing.**"
VERDICTS = {True: "yes", False: "**no**", None: ""}


def page(record: Record) -> str:
    """Page of one subject."""
    lines = [f"# {record.title}", "", machine_line(record.about["machine"]), ""]
    if record.quick:
        lines += [QUICK, ""]
    if record.about["machine"]["load_before"] > record.about["machine"]["cores"] / 4:
        lines += [BUSY, ""]
    for program, found in record.about["versions"].items():
        lines.append(f"- {program}: " + ", ".join(f"{name} {version}" for name, version in found.items()))
    lines += ["", *(part for note in record.notes for part in (note, ""))]
    if record.ratios:
        lines += ["| what | measured | asked for | kept |", "|---|---:|---:|---|"]
        rows = ratio_rows(record.ratios, judged=not record.quick)
        lines += [f"| {' | '.join(cells)} |" for cells in rows]
    for case in dict.fromkeys(item.case for item in record.measurements):
        mine = [item for item in record.measurements if item.case == case]
        lines += ["", f"## {case}", "", table(mine, sums=record.sequence)]
    return "\n".join(lines).rstrip() + "\n"


def machine_line(machine: Mapping[str, Any]) -> str:
    """What ran where, in a sentence."""
    return (
        f"{machine['cpu']}, {machine['cores']} cores, {machine['memory_gib']} GiB, {machine['system']}; "
        f"load before the start {machine['load_before']}; commit {machine['commit']}."
    )


def ratio_rows(ratios: Sequence[Ratio], *, judged: bool = True) -> list[tuple[str, str, str, str]]:
    """Cells of each ratio: what, measured, asked for, kept (where figures are to be judged)."""
    rows = []
    for ratio in ratios:
        what = f"{ratio.what} ({ratio.note})" if ratio.note else ratio.what
        sign = "≥" if ratio.at_least else "≤"
        asked = "" if ratio.target is None else f"{sign} {number(ratio.target)}"
        rows.append((what, number(ratio.value), asked, VERDICTS[ratio.met if judged else None]))
    return rows


def number(value: float) -> str:
    """Three digits that count, with separators where it is large; a dash where there is none."""
    if not math.isfinite(value):
        return "–"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def table(items: Sequence[Measurement], *, sums: bool = False) -> str:
    """Medians over repeats, one row per program and step; with `sums` also a program's steps together."""
    rows = [
        "| program | step | repeats | wall s (min .. max) | processor s | peak memory MiB |",
        "|---|---|---:|---:|---:|---:|",
    ]
    for program in dict.fromkeys(item.program for item in items):
        mine = [item for item in items if item.program == program]
        steps = list(dict.fromkeys(item.step for item in mine))
        for step in steps:
            rows.append(_row(program, step, [item for item in mine if item.step == step]))
        if sums and len(steps) > 1:
            rows.append(_row(program, "**sum**", summed(mine)))
    return "\n".join(rows)


def _row(program: str, step: str, items: Sequence[Measurement]) -> str:
    walls = [item.usage.wall_s for item in items]
    cpu = statistics.median(item.usage.cpu_s for item in items)
    peak = statistics.median(item.usage.peak_rss_bytes for item in items) / 2**20
    memory = f"{peak:.0f}" if peak else ""
    wall = f"{statistics.median(walls):.2f} ({min(walls):.2f} .. {max(walls):.2f})"
    return f"| {program} | {step} | {len(items)} | {wall} | {cpu:.2f} | {memory} |"


def overview(records: Mapping[str, Record]) -> str:
    """Table of every subject's ratios, for the README."""
    rows = ["| subject | what | measured | asked for | kept |", "|---|---|---:|---:|---|"]
    for name, record in records.items():
        link = f"[{name}](results/{name}.md)" + (" (small sizes)" if record.quick else "")
        rows += [
            f"| {link} | {' | '.join(cells)} |"
            for cells in ratio_rows(record.ratios, judged=not record.quick)
        ]
    return "\n".join(rows) + "\n"
