"""In: measured steps. Out: one JSON line per repeat, and a Markdown table of medians."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bench.measure import Usage

__all__ = ["Measurement", "markdown", "write_lines"]


@dataclass(frozen=True)
class Measurement:
    """One step of one program, once. `case` names the input, `step` the command, `repeat` counts from 0."""

    case: str
    program: str
    step: str
    repeat: int
    usage: Usage


def write_lines(path: Path, measurements: Iterable[Measurement], about: dict[str, Any]) -> None:
    """Write one JSON object per measurement; `about` (machine, versions, parameters) goes into each."""
    lines = []
    for item in measurements:
        record = {**asdict(item), **about}
        record.update(record.pop("usage"))
        lines.append(json.dumps(record, sort_keys=True))
    path.write_text("\n".join(lines) + "\n")


def _median(items: Sequence[Measurement], field: str) -> float:
    """Median of one field of the usage over repeats."""
    return statistics.median(getattr(item.usage, field) for item in items)


def markdown(measurements: Sequence[Measurement], base: str) -> str:
    """Table of medians: one row per program and step, times also as multiples of program `base`'s sum.

    Steps of a program within one repeat are summed where there are several (peak memory: their maximum).
    """
    rows = [
        "| program | step | repeats | wall s (min .. max) | processor s | peak memory MiB | wall, relative "
        "| processor, relative |",
        "|---|---|---:|---:|---:|---:|---:|---:|",
    ]
    totals = {
        program: _totals(measurements, program) for program in dict.fromkeys(m.program for m in measurements)
    }
    reference = totals.get(base, ())
    for program, total in totals.items():
        steps = dict.fromkeys(m.step for m in measurements if m.program == program)
        for step in steps:
            chosen = [m for m in measurements if (m.program, m.step) == (program, step)]
            rows.append(_row(program, step, chosen, reference))
        if len(steps) > 1:
            rows.append(_row(program, "**sum**", total, reference))
    return "\n".join(rows) + "\n"


def _totals(measurements: Sequence[Measurement], program: str) -> list[Measurement]:
    """Each repeat of a program with its steps summed."""
    mine = [m for m in measurements if m.program == program]
    found = []
    for repeat in sorted({m.repeat for m in mine}):
        parts = [m.usage for m in mine if m.repeat == repeat]
        usage = Usage(
            sum(p.wall_s for p in parts),
            sum(p.user_s for p in parts),
            sum(p.system_s for p in parts),
            max(p.peak_rss_bytes for p in parts),
        )
        found.append(Measurement(mine[0].case, program, "sum", repeat, usage))
    return found


def _row(program: str, step: str, items: Sequence[Measurement], reference: Sequence[Measurement]) -> str:
    """One line of the table; times relative to those of `reference`, if there are any."""
    walls = [item.usage.wall_s for item in items]
    relative = " | ".join(
        f"{_median(items, field) / _median(reference, field):.3g}" if reference else ""
        for field in ("wall_s", "cpu_s")
    )
    wall = f"{_median(items, 'wall_s'):.2f} ({min(walls):.2f} .. {max(walls):.2f})"
    return (
        f"| {program} | {step} | {len(items)} | {wall} "
        f"| {_median(items, 'cpu_s'):.2f} | {_median(items, 'peak_rss_bytes') / 2**20:.0f} | {relative} |"
    )
