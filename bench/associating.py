"""In: flags. Out: time and memory of `gputwas associate` at paper scale on the CPU, beside a plain copy.

The yardstick is a plain copy of as many bytes by one thread: read every trait's file of the GWAS store (its
z and effect columns), write files of the same sizes as those of the result, each forced to disk as the
program does.
"""

from __future__ import annotations

import argparse
import logging
import math
import os
import shutil
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench import floors
from bench.measure import Usage
from bench.record import Measurement, Ratio, Record, median
from bench.session import Session, add_common, begin
from bench.stores import CASES, Case, make_gwas_store, make_model_store

__all__ = ["PAPER_TRAITS", "Inputs", "add_arguments", "main", "prepare", "run_once", "traits_that_fit"]

log = logging.getLogger(__name__)
PAPER_TRAITS = 3_935
MARGIN = 1.25  # of the disk, beyond what is written
CACHE_SHARE = 0.6  # of memory: a larger store cannot stay in the page cache beside the program
COLD = " *Cold*: the GWAS store was dropped from the page cache (POSIX_FADV_DONTNEED) before each."
SLOWER, MEMORY = 2.0, 4e9  # asked for


@dataclass(frozen=True)
class Inputs:
    """Stores on disk. `traits` of the GWAS store, `files` its trait files."""

    models: Path
    gwas: Path
    traits: int
    files: list[Path]
    bytes_read: int


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags of ``python -m bench associate``."""
    add_common(parser)
    parser.add_argument("--case", choices=("paper", "heavy", "both"), default="both", help="models")
    parser.add_argument(
        "--traits", type=int, help=f"default: {PAPER_TRAITS:,}, or an eighth where disk or memory is small"
    )
    parser.add_argument("--cold", action="store_true", help="also with the files dropped from the page cache")
    parser.add_argument(
        "--whole",
        action="store_true",
        help=f"all {PAPER_TRAITS:,} traits, only with the files dropped from the page cache, in which few "
        "machines can hold them; into results of their own",
    )


def traits_that_fit(case: Case, folder: Path) -> int:
    """All of the paper's traits, or an eighth if the disk is too small or the page cache cannot hold them."""
    per_trait = case.variants * 8 + case.tissues * case.models * 8 * 2  # z, effect; result, and its copy
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    cached = PAPER_TRAITS * case.variants * 8 <= memory * CACHE_SHARE
    enough = PAPER_TRAITS * per_trait * MARGIN <= shutil.disk_usage(folder).free
    return PAPER_TRAITS if cached and enough else PAPER_TRAITS // 8 + 1


def prepare(session: Session, name: str, traits: int) -> Inputs:
    """Write the stores of a case, or complete those that are there; sizes and seed are in their names."""
    case = CASES[name]
    sizes = f"{case.tissues}x{case.models}-{case.weights}-{case.variants}-seed{session.seed}"
    models = session.work / f"models-{name}-{sizes}"
    gwas = session.work / f"gwas-{name}-{sizes}-{traits}-traits"
    if not (models / "manifest.json").is_file():
        make_model_store(models, case.tissues, case.models, case.weights, case.variants, seed=session.seed)
    names = make_gwas_store(gwas, models, traits, seed=session.seed)
    files = [gwas / "traits" / f"{trait}.arrow" for trait in names]
    return Inputs(models, gwas, traits, files, sum(path.stat().st_size for path in files))


def run_once(session: Session, inputs: Inputs, traits: Sequence[str] = ()) -> Usage:
    """`gputwas associate` once into an empty folder, ``work/result``."""
    stores = ("--models", inputs.models, "--gwas", inputs.gwas)
    out = session.folder("result") / "store"
    chosen = [word for trait in traits for word in ("--trait", trait)]
    return session.gputwas("associate", *stores, "--out", out, *chosen)


def main(options: argparse.Namespace) -> int:
    """Measure the cases and write the results."""
    cases = ["quick"] if options.quick else ["paper", "heavy"] if options.case == "both" else [options.case]
    measurements: list[Measurement] = []
    ratios: list[Ratio] = []
    figures: dict[str, float] = {}
    notes = [
        "The yardstick (*floor* in the table) reads the trait files "
        "of the GWAS store (z and effect) and writes files as large as those "
        "of the result, each forced to disk, one thread, 8 MiB at a time. *Warm*: both ran once before, so "
        "the store is in the page cache as far as memory allows."
        + (COLD if "cold" in _states(options) else "")
    ]
    parameters: dict[str, object] = {"seed": options.seed, "cold": options.cold}
    with begin(options) as session:
        for case in cases:
            traits = options.traits or _traits(options, case, session)
            log.info("%s: writing stores, %d traits", case, traits)
            inputs = prepare(session, case, traits)
            parameters[case] = {**vars(CASES[case]), "traits": traits}
            for state in _states(options):
                found = _turns(session, inputs, f"{case}, {state}", cold=state == "cold")
                measurements += found
                ratios += _ratios(f"{case}, {state}", found)
            figures |= _figures(case, _states(options)[0], measurements, inputs)
            notes.append(_about(case, inputs, figures, chosen=session.quick or options.traits is not None))
            if options.work is None:
                shutil.rmtree(inputs.gwas)
        title = "Scoring at paper scale on the CPU against a plain copy"
        session.keep(
            Record(
                "associate-whole" if options.whole else "associate",
                title,
                session.quick,
                session.about,
                parameters,
                notes,
                measurements,
                ratios,
                figures,
            )
        )
    return 0


def _states(options: argparse.Namespace) -> tuple[str, ...]:
    """Of the page cache, the one that figures are taken from first."""
    if options.whole:
        return ("cold",)
    return ("warm", "cold") if options.cold else ("warm",)


def _traits(options: argparse.Namespace, case: str, session: Session) -> int:
    if session.quick:
        return 16
    return PAPER_TRAITS if options.whole else traits_that_fit(CASES[case], session.work)


def _turns(session: Session, inputs: Inputs, case: str, *, cold: bool) -> list[Measurement]:
    """Program and copy in turn; repeat -1 is untimed and tells how large the result's files are."""
    found = []
    for repeat in range(-1, session.repeats):
        for program in ("gputwas", "floor") if repeat % 2 else ("floor", "gputwas"):
            log.info("%s: %s, repeat %d", case, program, repeat)
            if cold:
                floors.forget(inputs.files)
            if program == "gputwas":
                used = run_once(session, inputs)
                sizes = floors.sizes_below(session.work / "result")
            else:
                used = floors.copy_bytes(inputs.files, sizes, session.folder("copy"))
            step = "associate" if program == "gputwas" else "plain copy"
            found.append(Measurement(case, program, step, repeat, used))
    return [item for item in found if item.repeat >= 0]


def _ratios(case: str, found: list[Measurement]) -> list[Ratio]:
    pairs = [
        {item.program: item.usage for item in found if item.repeat == repeat}
        for repeat in sorted({item.repeat for item in found})
    ]
    slower = statistics.median(pair["gputwas"].wall_s / pair["floor"].wall_s for pair in pairs)
    busier = statistics.median(pair["gputwas"].cpu_s / (pair["floor"].cpu_s or math.nan) for pair in pairs)
    memory = median(found, "peak_rss_bytes", case=case, program="gputwas")
    return [
        Ratio(f"{case}: wall time relative to a plain copy", slower, SLOWER, at_least=False),
        Ratio(f"{case}: processor time relative to a plain copy", busier, at_least=False),
        Ratio(f"{case}: peak memory, GB", memory / 1e9, MEMORY / 1e9, at_least=False),
    ]


def _figures(case: str, state: str, found: list[Measurement], inputs: Inputs) -> dict[str, float]:
    """Processor seconds per pair, and the bytes moved."""
    measured = f"{case}, {state}"
    pairs = inputs.traits * CASES[case].tissues
    return {
        f"{case}_cpu_s_per_pair": median(found, "cpu_s", case=measured, program="gputwas") / pairs,
        f"{case}_wall_s": median(found, "wall_s", case=measured, program="gputwas"),
        f"{case}_traits": inputs.traits,
        f"{case}_gigabytes_read": inputs.bytes_read / 1e9,
    }


def _about(case: str, inputs: Inputs, figures: dict[str, float], *, chosen: bool) -> str:
    """Sizes of a case, and why there are fewer traits than in the paper, where that was not asked for."""
    shape = CASES[case]
    part = ""
    if inputs.traits != PAPER_TRAITS:
        why = "" if chosen else ": disk or page cache of this machine do not hold them all"
        part = f" That is {inputs.traits / PAPER_TRAITS:.2g} of the paper's {PAPER_TRAITS:,} traits{why}."
    return (
        f"{case}: {inputs.traits:,} traits, {shape.tissues} tissues, {shape.models:,} models each, "
        f"{shape.tissues * shape.weights / 1e6:.1f} million weights, panel of {shape.variants:,} variants; "
        f"{figures[f'{case}_gigabytes_read']:.2f} GB to read.{part}"
    )
