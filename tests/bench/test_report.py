"""Medians, sums over steps and ratios in the table are those of the measurements."""

from __future__ import annotations

import json
from pathlib import Path

from bench.measure import Usage
from bench.report import Measurement, markdown, write_lines

MIB = 2**20
MEASURED = [
    *(
        Measurement("one", "slow", "run", k, Usage(wall, wall, 1.0, 10 * MIB))
        for k, wall in enumerate([10.0, 30.0, 12.0])
    ),
    *(Measurement("one", "fast", "import", k, Usage(1.0, 1.0, 0.0, 3 * MIB)) for k in range(3)),
    *(Measurement("one", "fast", "score", k, Usage(2.0, 0.5, 0.5, 7 * MIB)) for k in range(3)),
]


def cells(table: str, program: str, step: str) -> list[str]:
    """Cells of one line of the table."""
    (line,) = [line for line in table.splitlines() if line.startswith(f"| {program} | {step} |")]
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_medians_and_ratios() -> None:
    table = markdown(MEASURED, base="slow")
    assert cells(table, "slow", "run")[2:] == ["3", "12.00 (10.00 .. 30.00)", "13.00", "10", "1", "1"]
    assert cells(table, "fast", "score")[2:] == ["3", "2.00 (2.00 .. 2.00)", "1.00", "7", "0.167", "0.0769"]


def test_steps_are_summed_and_memory_is_the_largest() -> None:
    assert cells(markdown(MEASURED, base="slow"), "fast", "**sum**")[3:] == [
        "3.00 (3.00 .. 3.00)",
        "2.00",
        "7",
        "0.25",
        "0.154",
    ]


def test_one_line_per_repeat(tmp_path: Path) -> None:
    write_lines(tmp_path / "x.jsonl", MEASURED, {"machine": {"cores": 2}})
    records = [json.loads(line) for line in (tmp_path / "x.jsonl").read_text().splitlines()]
    assert len(records) == len(MEASURED)
    assert (
        records[1]["wall_s"] == 30.0 and records[1]["machine"] == {"cores": 2} and records[1]["repeat"] == 1
    )
