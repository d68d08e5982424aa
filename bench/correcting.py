"""In: flags. Out: time and memory of `gputwas fdr` over up to 7 x 10^8 tests, beside one read of their z."""

from __future__ import annotations

import argparse
import logging
import math
import shutil
import statistics
from pathlib import Path

import numpy as np

from bench import floors
from bench.record import Measurement, Ratio, Record, median
from bench.session import Session, add_common, begin
from bench.stores import make_association_store

__all__ = ["add_arguments", "main"]

log = logging.getLogger(__name__)
CORRECT = "correct"
PAPER = (19, 9_500, 3_935)  # tissues, models, traits: 7.1e8 tests
SLOWER, MEMORY = 2.0, 1e9  # asked for
BYTES_PER_TEST = 8  # z and effect, float32


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags of ``python -m bench fdr``."""
    add_common(parser)
    parser.add_argument("--traits", type=int, help=f"default: {PAPER[2]:,}, fewer where the disk is small")
    parser.add_argument(
        "--cold", action="store_true", help="also with the files dropped from the page cache before each run"
    )


def main(options: argparse.Namespace) -> int:
    """Measure and write the results."""
    with begin(options) as session:
        tissues, models, traits = (2, 500, 200) if session.quick else PAPER
        fit = int(shutil.disk_usage(session.work).free * 0.8 / (tissues * models * BYTES_PER_TEST))
        traits = options.traits or min(traits, fit)
        log.info("writing a store of %d tests", tissues * models * traits)
        store = session.work / f"associations-{tissues}x{models}x{traits}-seed{session.seed}"
        shutil.rmtree(store, ignore_errors=True)
        make_association_store(store, tissues, models, traits, seed=session.seed)
        columns = sorted(store.glob("shards/*/*.z.arrow"))
        measurements, ratios = [], []
        for state in ("warm", "cold") if options.cold else ("warm",):
            found = _turns(session, store, columns, state)
            measurements += found
            ratios += _ratios(found, state)
        tests = tissues * models * traits
        notes = [
            f"`gputwas fdr` over {tests:,} tests ({traits:,} traits, {tissues} tissues, {models:,} models; "
            "about 1 in 400 is far from null), whole processes. *correct*: all tests corrected and the "
            "findings counted (`--count-only`); *and list*: each finding also looked up (effect size, SNPs, "
            "annotation) and written as Parquet. The yardstick (*floor* in the table) is one streaming read "
            "of the z columns, one thread. *Warm*: files in the page cache, where starting Python is much of "
            "the time; *cold*: files dropped from it before each run.",
        ]
        session.keep(
            Record(
                "fdr", "Exact Benjamini-Hochberg over all tests", session.quick, session.about,
                {"tests": tests, "traits": traits, "cold": options.cold, "seed": session.seed}, notes,
                measurements, ratios, {"tests": tests},
            )
        )  # fmt: skip
    return 0


def _turns(session: Session, store: Path, columns: list[Path], state: str) -> list[Measurement]:
    found = []
    turns = {
        ("gputwas", CORRECT): ("--count-only",),
        ("floor", "read z once"): None,
        ("gputwas", "and list"): ("--out", session.folder("out") / "significant.parquet"),
    }
    for repeat in range(0 if session.quick else -1, session.repeats):
        for (program, step), words in turns.items():
            log.info("%s, %s: %s, repeat %d", state, program, step, repeat)
            if state == "cold":
                floors.forget(columns)
            used = floors.read_bytes(columns) if words is None else session.gputwas("fdr", store, *words)
            found.append(Measurement(state, program, step, repeat, used))
    return [item for item in found if item.repeat >= 0]


def _ratios(found: list[Measurement], state: str) -> list[Ratio]:
    walls = {item.step: np.zeros(0) for item in found}
    for item in found:
        walls[item.step] = np.append(walls[item.step], item.usage.wall_s)
    read = walls["read z once"]
    busier = median(found, "cpu_s", case=state, program="gputwas", step=CORRECT)
    busier /= median(found, "cpu_s", case=state, program="floor") or math.nan
    memory = max(item.usage.peak_rss_bytes for item in found if item.program == "gputwas")
    return [
        Ratio(
            f"{state}, correcting: wall time relative to one read of the z columns",
            statistics.median((walls[CORRECT] / read).tolist()), SLOWER, at_least=False,
        ),
        Ratio(f"{state}, correcting: processor time relative to one read", busier, at_least=False),
        Ratio(
            f"{state}, with the list of findings: wall time relative to one read",
            statistics.median((walls["and list"] / read).tolist()), at_least=False,
        ),
        Ratio(f"{state}: peak memory, GB", memory / 1e9, MEMORY / 1e9, at_least=False),
    ]  # fmt: skip
