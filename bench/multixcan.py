"""In: flags. Out: what S-MultiXcan costs per trait, all genes at once, against SMulTiXcan.py.

The reference is timed on the first genes of the same study, and on three times as many, so that its start and
its cost per gene are told apart; what all genes would take follows from the two. Its answer and ours must
agree before anything is written.
"""

from __future__ import annotations

import argparse
import csv
import logging
import math
from dataclasses import replace
from pathlib import Path

from bench import measure
from bench.agree import Disagreement, compare
from bench.joint_inputs import JointSizes, JointStudy, make_joint_study, write_reference_files
from bench.record import Measurement, Ratio, Record, median
from bench.session import Session, add_common, begin

__all__ = ["add_arguments", "main"]

log = logging.getLogger(__name__)
CASE, PATTERNS = "one pattern of missing SNPs", "a pattern for every 16 traits"
WANTED = 200.0  # times less processor time per trait
LOG10_P = 1e-5  # results are stored as float32: a chi-square of 300 has its log10 p to about this


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags of ``python -m bench multixcan``."""
    add_common(parser, repeats=1)
    parser.add_argument("--traits", type=int, default=1_000)
    parser.add_argument("--genes", type=int, default=20_000)
    parser.add_argument("--sample", type=int, default=300, help="genes on which SMulTiXcan.py is timed first")


def main(options: argparse.Namespace) -> int:
    """Measure and write the results."""
    sizes = JointSizes(genes=options.genes, traits=options.traits)
    sample = options.sample
    if options.quick:
        sizes, sample = JointSizes(genes=60, tissues=5, traits=32, snps=20, weights=5), 10
    with begin(options) as session:
        found = []
        study = _study(session, "study", sizes)
        reference = _reference(session, study, sample)
        found += _ours(session, study, CASE)
        worst = _check(session, study, reference)
        found += [item for item, _ in reference]
        some = replace(sizes, traits=min(128, sizes.traits), patterns=8)
        found += _ours(session, _study(session, "patterns", some), PATTERNS)
        session.keep(_record(session, sizes, some, found, sample, worst))
    return 0


def _study(session: Session, name: str, sizes: JointSizes) -> JointStudy:
    log.info("writing stores, %s", sizes)
    return make_joint_study(session.folder(name), sizes, session.seed)


def _ours(session: Session, study: JointStudy, case: str) -> list[Measurement]:
    """All traits; and one trait, whose cost is that of starting and of a pattern."""
    found = []
    for repeat in range(session.repeats):
        for step, words in (("all traits", []), ("one trait", ["--trait", "0001"])):
            log.info("gputwas: %s, %s, repeat %d", case, step, repeat)
            out = study.folder / f"joint {step}"
            command = ["multixcan", *study.words(), "--out", out, "--overwrite", "--backend", "numpy", *words]
            found.append(Measurement(case, "gputwas", step, repeat, session.gputwas(*command)))
    return found


def _reference(session: Session, study: JointStudy, sample: int) -> list[tuple[Measurement, Path]]:
    """SMulTiXcan.py on the first genes, and on three times as many; its tables."""
    programs = session.programs
    if programs.metaxcan is None:
        return []
    found = []
    for genes in (sample, 3 * sample):
        folder = session.folder(f"reference-{genes}")
        flags = write_reference_files(folder, study, genes)
        out = folder / "out.tsv"
        log.info("SMulTiXcan.py: one trait, %d genes", genes)
        program = [str(programs.metaxcan_python), str(programs.metaxcan / "SMulTiXcan.py")]
        used, _ = measure.run([*program, *flags, "--output", str(out)])
        found.append((Measurement(CASE, "MetaXcan", f"one trait, {genes} genes", 0, used), out))
    return found


def _check(session: Session, study: JointStudy, reference: list[tuple[Measurement, Path]]) -> float:
    """Largest difference in log10 p of trait 1 from the reference's larger table."""
    if not reference:
        return math.nan
    out = study.folder / "0001.tsv"
    session.gputwas(
        "export", "multixcan", study.folder / "joint all traits", "0001",
        "--associations", study.folder / "associations", "--out", out,
    )  # fmt: skip
    ours, theirs = _table(out), _table(reference[-1][1])
    if not theirs:
        raise Disagreement("SMulTiXcan.py found no gene")
    for gene, (_, components) in theirs.items():
        if gene not in ours or ours[gene][1] != components:
            raise Disagreement(f"n_indep of {gene} is {ours.get(gene)}, expected {components}")
    wanted = {gene: p for gene, (p, _) in theirs.items()}
    return compare("log10 p", {gene: ours[gene][0] for gene in theirs}, wanted, LOG10_P)


def _table(path: Path) -> dict[str, tuple[float, int]]:
    """Gene -> log10 p and n_indep of a table of SMulTiXcan.py; genes whose p is 0 or NA are left out."""
    with open(path, newline="") as handle:
        rows = [row for row in csv.DictReader(handle, delimiter="\t") if row["pvalue"] != "NA"]
    known = [row for row in rows if float(row["pvalue"]) > 0]
    return {row["gene"]: (math.log10(float(row["pvalue"])), int(float(row["n_indep"]))) for row in known}


def _record(
    session: Session,
    sizes: JointSizes,
    some: JointSizes,
    found: list[Measurement],
    sample: int,
    worst: float,
) -> Record:
    figures = _figures(found, sizes, some, sample)
    notes = [
        f"{sizes.genes:,} genes with models in all of {sizes.tissues} tissues, {sizes.weights} weights each, "
        f"{sizes.snps} SNPs per gene in the cross-tissue LD; {sizes.traits:,} traits. *all traits*: whole "
        "process of `gputwas multixcan` from its stores, statistic and ACAT of every gene and trait written; "
        "*one trait*: the same for a single one. Both start with reading the stores, correlating the tissues "
        "of every gene and decomposing the correlations, which traits with the same missing SNPs share.",
        f"*{PATTERNS}*: {some.traits} traits with {some.patterns} patterns of missing SNPs, few genes the "
        "same in two of them; a further pattern costs "
        f"{figures['cpu_s_per_pattern']:.2f} s of processor time.",
    ]
    ratios = [Ratio("processor seconds per trait", figures["cpu_s_per_trait"], at_least=False)]
    if "reference_cpu_s_per_trait" in figures:
        notes.append(
            f"SMulTiXcan.py (--cleared_snps, --cutoff_condition_number 30) was run on {sample} and on "
            f"{3 * sample} of the genes: {figures['reference_cpu_s_start']:.1f} s to start and "
            f"{1e3 * figures['reference_cpu_s_per_gene']:.1f} ms per gene, so one trait of all genes takes "
            f"{figures['reference_cpu_s_per_trait']:.0f} s. On those {3 * sample} genes n_indep is the same "
            f"everywhere and log10 p differs by at most {worst:.1e}; ours are stored as float32."
        )
        theirs = figures["reference_cpu_s_per_trait"]
        ratios += [
            Ratio("times less processor time per trait than SMulTiXcan.py",
                  theirs / figures["cpu_s_per_trait"], WANTED),
            Ratio(f"the same with {PATTERNS}", theirs / figures["patterns_cpu_s_per_trait"]),
            Ratio("the same for a single trait", theirs / figures["one_trait_cpu_s"]),
        ]  # fmt: skip
    memory = max(item.usage.peak_rss_bytes for item in found if item.program == "gputwas")
    ratios.append(Ratio("peak memory, GB", memory / 1e9, at_least=False))
    parameters = {"study": vars(sizes), "patterns": vars(some), "sample": sample, "seed": session.seed}
    return Record(
        "multixcan", "S-MultiXcan of all genes in all traits", session.quick, session.about, parameters,
        notes, found, ratios, figures,
    )  # fmt: skip


def _figures(found: list[Measurement], sizes: JointSizes, some: JointSizes, sample: int) -> dict[str, float]:
    def cpu(case: str, program: str, step: str) -> float:
        return median(found, "cpu_s", case=case, program=program, step=step)

    whole, one = (cpu(CASE, "gputwas", step) for step in ("all traits", "one trait"))
    mixed = cpu(PATTERNS, "gputwas", "all traits")
    more = max(whole - one, 0.0) / max(sizes.traits - 1, 1)
    figures = {
        "cpu_s_per_trait": whole / sizes.traits,
        "cpu_s_per_further_trait": more,
        "one_trait_cpu_s": one,
        "patterns_cpu_s_per_trait": mixed / some.traits,
        "cpu_s_per_pattern": max(mixed - one - more * (some.traits - 1), 0.0) / (some.patterns - 1),
    }
    if any(item.program == "MetaXcan" for item in found):
        small, large = (cpu(CASE, "MetaXcan", f"one trait, {n} genes") for n in (sample, 3 * sample))
        per_gene = (large - small) / (2 * sample)
        start = max(small - sample * per_gene, 0.0)
        figures["reference_cpu_s_per_gene"], figures["reference_cpu_s_start"] = per_gene, start
        figures["reference_cpu_s_per_trait"] = start + sizes.genes * per_gene
    return figures
