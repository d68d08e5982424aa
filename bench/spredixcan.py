"""In: flags. Out: gputwas, MetaXcan and pytwas timed in turn on one trait in one tissue, same files.

Every program reads everything anew. Times are kept once answers agree with the formula.
"""

from __future__ import annotations

import argparse
import logging

from bench import floors, turns
from bench.inputs import HEAVY, JTI, Sizes, Study, make_study
from bench.record import Measurement, Ratio, Record, median
from bench.session import Session, add_common, begin

__all__ = ["add_arguments", "main"]

log = logging.getLogger(__name__)
CASES = {"jti": JTI, "heavy": HEAVY}
FASTER = {"jti": 5.0, "heavy": 10.0}  # asked for, wall time against MetaXcan


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags of ``python -m bench spredixcan``."""
    add_common(parser)
    parser.add_argument("--case", choices=(*CASES, "both"), default="both", help="shape of the models")
    parser.add_argument("--rows", type=int, default=1_000_000, help="rows of the GWAS (BIG40: 17,103,079)")
    parser.add_argument("--genes", type=int, help="models (default: the case's)")
    parser.add_argument("--weights", type=int, help="weights (default: the case's)")


def main(options: argparse.Namespace) -> int:
    """Measure both cases and write the results."""
    cases = list(CASES) if options.case == "both" else [options.case]
    measurements: list[Measurement] = []
    ratios: list[Ratio] = []
    notes = [
        "Each program gets the same files and flags and reads everything anew; whole processes are measured. "
        "The floor is to decompress the GWAS and the covariance once with ISA-L."
    ]
    with begin(options) as session:
        for case in cases:
            sizes = _sizes(case, options)
            log.info("%s: writing inputs, %s", case, sizes)
            study = make_study(session.folder(f"input-{case}"), sizes, session.seed)
            found, differences = _case(case, session, study)
            measurements += found
            ratios += _ratios(case, found)
            told = (f"{k} {v:.1e}" if isinstance(v, float) else v for k, v in differences.items())
            notes.append(
                f"{case}: GWAS of {sizes.rows:,} rows, {sizes.genes:,} models, {sizes.weights:,} weights. "
                f"Largest difference of a z-score from the formula in float64: {'; '.join(told)}."
            )
        parameters = {"rows": options.rows, "cases": cases, "seed": session.seed}
        session.keep(
            Record(
                "spredixcan", "One trait in one tissue, side by side", session.quick, session.about,
                parameters, notes, measurements, ratios, _figures(measurements),
            )
        )  # fmt: skip
    return 0


def _sizes(case: str, options: argparse.Namespace) -> Sizes:
    genes, weights = CASES[case]
    if options.quick:
        return Sizes(min(options.rows, 60_000), genes // 10, weights // 10)
    return Sizes(options.rows, options.genes or genes, options.weights or weights)


def _case(case: str, session: Session, study: Study) -> tuple[list[Measurement], dict[str, float | str]]:
    """Programs in turn; repeat -1 is untimed: it warms the file cache and finds wrong answers."""
    names = session.programs.names()
    differences: dict[str, float | str] = {}
    measurements: list[Measurement] = []
    files = [study.gwas[0], study.tissues[0].covariance]
    for repeat in range(0 if session.quick else -1, session.repeats):
        first = repeat % len(names)
        for name in names[first:] + names[:first]:
            log.info("%s: %s, repeat %d", case, name, repeat)
            used, differences[name] = turns.score_pair(
                name, session.programs, study, study.tissues[0], 0, session.folder(f"out-{name}")
            )
            if repeat >= 0:
                measurements.append(Measurement(case, name, "spredixcan", repeat, used))
        if repeat >= 0:
            measurements.append(Measurement(case, "floor", "inflate", repeat, floors.inflate(files)))
    return measurements, differences


def _ratios(case: str, found: list[Measurement]) -> list[Ratio]:
    """Wall time and memory against each peer, and processor time against the floor."""
    peers = [name for name in ("MetaXcan", "pytwas") if any(item.program == name for item in found)]
    mine = {
        name: median(found, name, case=case, program="gputwas")
        for name in ("wall_s", "cpu_s", "peak_rss_bytes")
    }
    ratios = []
    for peer in peers:
        wall = median(found, "wall_s", case=case, program=peer) / mine["wall_s"]
        memory = mine["peak_rss_bytes"] / median(found, "peak_rss_bytes", case=case, program=peer)
        faster = FASTER[case] if peer == "MetaXcan" else 10.0
        ratios.append(Ratio(f"{case}: times less wall time than {peer}", wall, faster))
        smaller = 1.0 if peer == "MetaXcan" else 1 / 3
        asked = smaller if peer == "pytwas" or case == "jti" else None
        ratios.append(Ratio(f"{case}: peak memory relative to {peer}", memory, asked, at_least=False))
    over = mine["cpu_s"] / median(found, "cpu_s", case=case, program="floor")
    return [*ratios, Ratio(f"{case}: processor time relative to the floor", over, None, at_least=False)]


def _figures(measurements: list[Measurement]) -> dict[str, float]:
    """Processor seconds of MetaXcan for one pair, for the whole road."""
    cases = {item.case for item in measurements if item.program == "MetaXcan"}
    return {
        f"metaxcan_cpu_s_{case}": median(measurements, "cpu_s", case=case, program="MetaXcan")
        for case in sorted(cases)
    }
