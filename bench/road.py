"""In: the results of the other subjects. Out: core-hours of the paper's whole study, computed from them.

Nothing is measured here: every number is a product of measured parts, and says which.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

from bench.inputs import BIG40_ROWS
from bench.record import Ratio, Record, read_records
from bench.session import add_common, begin

__all__ = ["add_arguments", "main", "road"]

TRAITS, TISSUES = 3_935, 19
ASSUMED_S = 20.0  # processor time of one SPrediXcan.py run where it was not measured
HOUR = 3_600.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags of ``python -m bench road``."""
    add_common(parser)


def main(options: argparse.Namespace) -> int:
    """Compute from the committed results and write the page."""
    with begin(options) as session:
        record = road(read_records(session.results), session.about, quick=session.quick)
        if record is None:
            print(
                "nothing to compute from: run `python -m bench import` and `python -m bench associate` first"
            )
            return 0 if session.quick else 1
        session.keep(record)
    return 0


def road(records: Mapping[str, Record], about: dict[str, Any], *, quick: bool = False) -> Record | None:
    """The whole road from files to associations; None if its parts were not measured."""
    if "import" not in records or not {"associate", "many"} & records.keys():
        return None
    parts = _parts(records)
    ours = sum(hours for _, hours, _ in parts if hours is not None)
    pairs = TRAITS * TISSUES
    lines = [
        f"{pairs:,} pairs: {TRAITS:,} traits of {BIG40_ROWS:,} rows in {TISSUES} tissues. Core-hours:",
        "",
    ]
    lines += ["| part | core-hours | from |", "|---|---:|---|"]
    lines += [f"| {name} | {hours:.3g} | {source} |" for name, hours, source in parts]
    whole = "gputwas, all of it" if "models" in records else "gputwas, without importing models"
    lines += [f"| **{whole}** | **{ours:.3g}** | sum |"]
    ratios = []
    measured = _metaxcan(records)
    if measured is not None:
        seconds, source = measured
        lines.append(
            f"| MetaXcan, measured | {seconds * pairs / HOUR:.3g} | {seconds:.1f} s x {pairs:,}, {source} |"
        )
        ratios.append(Ratio(f"times less than MetaXcan measured ({source})", seconds * pairs / HOUR / ours))
    assumed = ASSUMED_S * pairs / HOUR
    lines.append(
        f"| MetaXcan, taken as {ASSUMED_S:.0f} s a run | {assumed:.3g} | {ASSUMED_S:.0f} s x {pairs:,} |"
    )
    ratios.append(Ratio(f"times less than MetaXcan, taken as {ASSUMED_S:.0f} s a run", assumed / ours))
    inflating = _per_file(records["import"], "inflate_cpu_s")
    floor = inflating[0] * TRAITS / HOUR
    lines.append(
        f"| floor: inflate every file once (ISA-L) | {floor:.3g} | {inflating[0]:.2f} s x {TRAITS:,} |"
    )
    ratios.append(Ratio("relative to the floor", ours / floor, None, at_least=False))
    figures = {"core_hours": ours, "floor_core_hours": floor}
    notes = ["Computed from measured parts, not measured as a whole.", *_missing(records), "\n".join(lines)]
    parameters = {"traits": TRAITS, "tissues": TISSUES, "rows": BIG40_ROWS}
    return Record(
        "road", "The whole road at paper scale", quick, about, parameters, notes, [], ratios, figures
    )


def _missing(records: Mapping[str, Record]) -> list[str]:
    """What is not in the sum, or not on the page, because it was not measured."""
    notes = []
    if "models" not in records:
        notes.append(
            "**Not in the sum**: importing the models, which was not measured (`python -m bench models`)."
        )
    if _metaxcan(records) is None:
        notes.append("MetaXcan was not measured here (`python -m bench many --metaxcan ...`).")
    return notes


def _parts(records: Mapping[str, Record]) -> list[tuple[str, float, str]]:
    """Name, core-hours and source of each part of the work."""
    first, how = _per_file(records["import"], "first_cpu_s")
    known, _ = _per_file(records["import"], "known_cpu_s")
    parts = []
    if "models" in records:
        tissue = records["models"].figures["tissue_cpu_s"]
        parts.append(("models import", tissue * TISSUES / HOUR, f"{tissue:.2f} s x {TISSUES}"))
    hours = (first + known * (TRAITS - 1)) / HOUR
    parts.append(("gwas import", hours, f"{first:.2f} s + {known:.2f} s x {TRAITS - 1:,}, {how}"))
    if "associate" in records:
        figures = records["associate"].figures
        case = next(name for name in ("paper", "heavy", "quick") if f"{name}_cpu_s_per_pair" in figures)
        pair, source = figures[f"{case}_cpu_s_per_pair"], f"`associate`, {case}"
    else:
        pair, source = records["many"].figures["associate_cpu_s_per_pair"], "`many`"
    parts.append(("associate", pair * TRAITS * TISSUES / HOUR, f"{pair * 1e3:.3g} ms per pair, {source}"))
    return parts


def _per_file(record: Record, name: str) -> tuple[float, str]:
    """Processor seconds of one full file, and how they were found: measured, or in proportion to rows."""
    rows = max(record.parameters["rows"])
    seconds = record.figures[f"{name}_{rows}"]
    if rows == BIG40_ROWS:
        return seconds, "measured on files of full length"
    return seconds * BIG40_ROWS / rows, f"in proportion from {rows:,} rows"


def _metaxcan(records: Mapping[str, Record]) -> tuple[float, str] | None:
    """Processor seconds of one run of MetaXcan, from the longest files it was timed on."""
    for name in ("many-17m", "many"):
        if name in records and "metaxcan_cpu_s_per_pair" in records[name].figures:
            rows = records[name].parameters["rows"]
            return records[name].figures["metaxcan_cpu_s_per_pair"], f"files of {rows:,} rows"
    return None
