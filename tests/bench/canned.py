"""Measurements and records made up by hand."""

from __future__ import annotations

from typing import Any

from bench.measure import Usage
from bench.record import Measurement, Record

ABOUT: dict[str, Any] = {
    "machine": {
        "cpu": "A processor", "cores": 8, "memory_gib": 64.0, "system": "Linux x86_64", "load_before": 0.1,
        "commit": "abc",
    },
    "versions": {"gputwas": {"python": "3.11.7"}},
}  # fmt: skip


def spent(
    case: str, program: str, step: str, *cpu_s: float, wall_s: float | None = None, peak: int = 0
) -> list[Measurement]:
    """One measurement per repeat; the wall time is the processor time unless given."""
    return [
        Measurement(case, program, step, repeat, Usage(wall_s or seconds, seconds, 0.0, peak))
        for repeat, seconds in enumerate(cpu_s)
    ]


def record(subject: str, **fields: Any) -> Record:
    """A record of a subject on that machine."""
    return Record(
        subject, f"About {subject}", fields.pop("quick", False), ABOUT, fields.pop("parameters", {}), **fields
    )
