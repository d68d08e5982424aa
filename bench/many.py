"""In: flags. Out: processor time per trait-tissue of many traits in several tissues, against MetaXcan's.

gputwas imports the models once, each GWAS once, and scores all pairs in one command; MetaXcan starts once per
pair, so its cost per pair is measured on a sample spread over the files.
"""

from __future__ import annotations

import argparse
import logging
import math
from typing import Any

from bench import turns
from bench.inputs import MANY, Sizes, Study, Tissue, make_study
from bench.record import Measurement, Ratio, Record, median
from bench.session import Session, add_common, begin

__all__ = ["add_arguments", "main"]

log = logging.getLogger(__name__)
CASE = "many"
PAPER_TRAITS = 3_935
LONG = 10_000_000  # rows from which the long files' targets hold


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags of ``python -m bench many``."""
    add_common(parser, repeats=1)
    parser.add_argument("--rows", type=int, default=1_000_000, help="rows of each GWAS (BIG40: 17103079)")
    parser.add_argument("--traits", type=int, default=200)
    parser.add_argument("--tissues", type=int, default=5)
    parser.add_argument("--genes", type=int, default=MANY[0], help="models per tissue")
    parser.add_argument("--weights", type=int, default=MANY[1], help="weights per tissue, on average")
    parser.add_argument("--sample", type=int, default=3, help="pairs on which MetaXcan is timed")


def main(options: argparse.Namespace) -> int:
    """Measure and write the results, NAME being `many`, or `many-17m` for files of full length."""
    sizes = Sizes(options.rows, options.genes, options.weights, options.traits, options.tissues)
    if options.quick:
        sizes = Sizes(40_000, 600, 7_000, traits=6, tissues=2)
    with begin(options) as session:
        log.info("writing inputs, %s", sizes)
        study = make_study(session.folder("input"), sizes, session.seed)
        sample = _spread(study, 1 if session.quick else options.sample)
        measurements: list[Measurement] = []
        worst = 0.0
        for repeat in range(session.repeats):
            found, difference = _gputwas(session, study, sample, repeat)
            measurements += found
            worst = max(worst, difference)
        measurements += _metaxcan(session, study, sample)
        session.keep(_record(session, sizes, measurements, len(sample), worst))
    return 0


def _spread(study: Study, count: int) -> list[tuple[Tissue, int]]:
    """Pairs spread over traits and tissues."""
    traits, tissues = len(study.gwas), len(study.tissues)
    count = min(count, traits * tissues)
    return [(study.tissues[k % tissues], k * (traits - 1) // max(count - 1, 1)) for k in range(count)]


def _gputwas(
    session: Session, study: Study, sample: list[tuple[Tissue, int]], repeat: int
) -> tuple[list[Measurement], float]:
    """Import models and GWAS, score, and the runs by whose difference the cost of one more trait is known."""
    out = session.folder("out")
    models = [tissue.model for tissue in study.tissues]
    stores = ("--models", out / "models", "--gwas", out / "gwas")
    one = study.gwas[0].name.split(".")[0]
    imports = ("gwas", "import", "--models", out / "models")
    commands: dict[tuple[str, str], list[Any]] = {
        ("gputwas", "models import"): ["models", "import", *models, "--out", out / "models"],
        ("gputwas", "gwas import"): [*imports, *study.gwas, "--out", out / "gwas"],
        ("gputwas", "associate"): ["associate", *stores, "--out", out / "result"],
        ("gputwas, one trait", "gwas import"): [*imports, study.gwas[0], "--out", out / "gwas-one"],
        ("gputwas, one trait", "associate"): [
            "associate", *stores, "--trait", one, "--out", out / "result-one",
        ],
    }  # fmt: skip
    found = []
    for (program, step), words in commands.items():
        log.info("%s: %s, repeat %d", program, step, repeat)
        found.append(Measurement(CASE, program, step, repeat, session.gputwas(*words)))
    return found, turns.check_store(out / "result", study, sample)


def _metaxcan(session: Session, study: Study, sample: list[tuple[Tissue, int]]) -> list[Measurement]:
    """SPrediXcan.py on each pair of the sample; each pair is a repeat."""
    if session.programs.metaxcan is None:
        return []
    found = []
    for number, (tissue, trait) in enumerate(sample):
        log.info("MetaXcan: %s, trait %d", tissue.name, trait + 1)
        out = session.folder("out-metaxcan")
        used, _ = turns.score_pair("MetaXcan", session.programs, study, tissue, trait, out)
        found.append(Measurement(CASE, "MetaXcan", "spredixcan, one pair", number, used))
    return found


def _record(
    session: Session, sizes: Sizes, measurements: list[Measurement], sample: int, worst: float
) -> Record:
    costs = _costs(measurements, sizes)
    subject = "many" if sizes.rows < LONG else "many-17m"
    title = f"{sizes.traits} traits in {sizes.tissues} tissues, files of {sizes.rows:,} rows"
    notes = [
        f"{sizes.genes:,} models with {sizes.weights:,} weights per tissue, {sizes.found:.0%} of the model "
        "SNPs in the GWAS. gputwas: whole processes, all their threads and workers. *One trait*: the same "
        "commands for the first trait alone, whose cost is mostly that of starting and reading the models; "
        "the difference is what one more trait costs.",
        f"MetaXcan starts once per pair; its cost is the median of {sample} pairs spread over the files.",
        f"Largest difference of a z-score of gputwas from the formula, in those pairs: {worst:.1e}.",
    ]
    parameters = {
        "rows": sizes.rows, "genes": sizes.genes, "weights": sizes.weights, "traits": sizes.traits,
        "tissues": sizes.tissues, "seed": session.seed,
    }  # fmt: skip
    return Record(
        subject, title, session.quick, session.about, parameters, notes, measurements,
        _ratios(costs, sizes), costs, sequence=True,
    )  # fmt: skip


def _costs(found: list[Measurement], sizes: Sizes) -> dict[str, float]:
    """Processor seconds: of one pair as measured, and of one more trait by difference."""

    def cpu(program: str, step: str) -> float:
        return median(found, "cpu_s", case=CASE, program=program, step=step)

    pairs, more = sizes.traits * sizes.tissues, max(sizes.traits - 1, 1)
    steps = {step: cpu("gputwas", step) for step in ("models import", "gwas import", "associate")}
    alone = {step: cpu("gputwas, one trait", step) for step in ("gwas import", "associate")}
    costs = {
        "associate_cpu_s_per_pair": steps["associate"] / pairs,
        "all_cpu_s_per_pair": sum(steps.values()) / pairs,
        "more_import_cpu_s": (steps["gwas import"] - alone["gwas import"]) / more,
        "more_associate_cpu_s_per_pair": (steps["associate"] - alone["associate"]) / (more * sizes.tissues),
        "models_import_cpu_s_per_tissue": steps["models import"] / sizes.tissues,
    }
    if any(item.program == "MetaXcan" for item in found):
        costs["metaxcan_cpu_s_per_pair"] = median(found, "cpu_s", case=CASE, program="MetaXcan")
    return costs


def _ratios(costs: dict[str, float], sizes: Sizes) -> list[Ratio]:
    """Times less processor time than MetaXcan."""
    reference = costs.get("metaxcan_cpu_s_per_pair")
    if reference is None:
        return []
    less = "times less processor time per trait-tissue than MetaXcan"
    long = sizes.rows >= LONG
    scored = None if long else 20_000.0
    ratios = [
        Ratio(f"associate alone: {less}", reference / costs["associate_cpu_s_per_pair"], scored),
        Ratio(
            f"associate, one more trait: {less}",
            _over(reference, costs["more_associate_cpu_s_per_pair"]),
            note="by difference: without starting up and reading the models",
        ),
        Ratio(f"imports counted: {less}", reference / costs["all_cpu_s_per_pair"], None if long else 100.0),
    ]  # fmt: skip
    if long:
        for tissues, target in ((5, 20.0), (19, 70.0)):
            pair = _over(reference, per_pair(costs, tissues))
            note = f"computed from the cost of one more trait, for {PAPER_TRAITS:,} traits"
            ratios.append(Ratio(f"imports counted, {tissues} tissues: {less}", pair, target, note=note))
    return ratios


def _over(reference: float, seconds: float) -> float:
    """How many times less; not a number where a difference drowned in noise."""
    return reference / seconds if seconds > 0 else math.nan


def per_pair(costs: dict[str, float], tissues: int, traits: int = PAPER_TRAITS) -> float:
    """Processor seconds of one of `traits` x `tissues` pairs, all imports counted."""
    imported = costs["more_import_cpu_s"] / tissues + costs["models_import_cpu_s_per_tissue"] / traits
    return imported + costs["more_associate_cpu_s_per_pair"]
