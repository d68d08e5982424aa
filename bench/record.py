"""In: what a subject measured. Out: NAME.json, from which every page is written, and read back."""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from bench.measure import Usage

__all__ = ["Measurement", "Ratio", "Record", "median", "read_records", "summed", "write_record"]


@dataclass(frozen=True)
class Measurement:
    """One step of one program, once. `case` names the input, `step` the command, `repeat` counts from 0."""

    case: str
    program: str
    step: str
    repeat: int
    usage: Usage


@dataclass(frozen=True)
class Ratio:
    """One line of what was to be shown.

    Attributes
    ----------
    what : in words. value : measured. target : what is asked for, None where nothing is.
    at_least : whether the target is a lower bound. note : how the value came to be, where that needs saying.
    """

    what: str
    value: float
    target: float | None = None
    at_least: bool = True
    note: str = ""

    @property
    def met(self) -> bool | None:
        """Whether the value keeps the target; None without one."""
        if self.target is None or not math.isfinite(self.value):
            return None
        return self.value >= self.target if self.at_least else self.value <= self.target


@dataclass(frozen=True)
class Record:
    """All that one subject found.

    Attributes
    ----------
    subject : name of the subcommand. title : of its page. quick : sizes were small, figures mean nothing.
    about : machine and versions. parameters : sizes. notes : sentences for the page.
    measurements, ratios : see there.
    figures : further numbers, by name, that other pages compute with.
    sequence : a program's steps follow each other, so their sum means something.
    """

    subject: str
    title: str
    quick: bool
    about: dict[str, Any]
    parameters: dict[str, Any]
    notes: list[str] = field(default_factory=list)
    measurements: list[Measurement] = field(default_factory=list)
    ratios: list[Ratio] = field(default_factory=list)
    figures: dict[str, Any] = field(default_factory=dict)
    sequence: bool = False


def write_record(path: Path, record: Record) -> None:
    """Write a record as JSON."""
    plain = asdict(record)
    for item in plain["measurements"]:
        item.update(item.pop("usage"))
    for item in plain["ratios"]:
        item["value"] = item["value"] if math.isfinite(item["value"]) else None
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(plain, indent=1) + "\n")


def read_records(folder: Path) -> dict[str, Record]:
    """Every record of a folder, by the name of its file."""
    found = {}
    for path in sorted(folder.glob("*.json")):
        plain = json.loads(path.read_text())
        usages = ("wall_s", "user_s", "system_s", "peak_rss_bytes")
        measured = []
        for item in plain["measurements"]:
            usage = Usage(*(item.pop(name) for name in usages))
            measured.append(Measurement(usage=usage, **item))
        plain["measurements"] = measured
        for item in plain["ratios"]:
            item["value"] = math.nan if item["value"] is None else item["value"]
        plain["ratios"] = [Ratio(**item) for item in plain["ratios"]]
        found[path.stem] = Record(**plain)
    return found


def median(items: Iterable[Measurement], quantity: str, *, case: str, program: str, step: str = "") -> float:
    """Median over repeats of one quantity of the usage, of a program's step (all steps summed by default)."""
    mine = [item for item in items if (item.case, item.program) == (case, program)]
    chosen = [item for item in mine if item.step == step] if step else summed(mine)
    if not chosen:
        raise KeyError(f"nothing was measured of {program} {step or 'at all'} in {case}")
    return statistics.median(getattr(item.usage, quantity) for item in chosen)


def summed(items: Sequence[Measurement]) -> list[Measurement]:
    """Repeats of one program with its steps added up; of the memory the largest counts."""
    found = []
    for repeat in sorted({item.repeat for item in items}):
        parts = [item.usage for item in items if item.repeat == repeat]
        usage = Usage(
            sum(part.wall_s for part in parts),
            sum(part.user_s for part in parts),
            sum(part.system_s for part in parts),
            max(part.peak_rss_bytes for part in parts),
        )
        first = next(item for item in items if item.repeat == repeat)
        found.append(replace(first, step="sum", usage=usage))
    return found
