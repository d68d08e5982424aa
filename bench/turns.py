"""In: a study on disk and a program. Out: what each of its steps cost, and the z-scores it gave.

A *pair* is (tissue name, trait number). The peers start once per pair; gputwas does the same or else imports
once and scores all pairs together.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from bench import measure
from bench.agree import read_z
from bench.inputs import Study, Tissue
from bench.measure import Usage
from bench.peers import Programs

__all__ = ["Answers", "expected", "floor", "take"]

Answers = dict[tuple[str, int], dict[str, float]]
Steps = list[tuple[str, Usage]]

DECOMPRESS = """
import sys
from isal import igzip
for name in sys.argv[1:]:
    with igzip.open(name) as handle:
        while handle.read(1 << 20):
            pass
"""


def expected(study: Study) -> Answers:
    """The right z-score of every pair and gene, from the formula."""
    found: Answers = {}
    for tissue in study.tissues:
        for trait in range(len(study.gwas)):
            z = study.expected_z(tissue, trait)
            there = np.isfinite(z)
            found[tissue.name, trait] = dict(
                zip(tissue.genes[there].tolist(), z[there].tolist(), strict=True)
            )
    return found


def floor(study: Study) -> tuple[str, int, Usage]:
    """Cost of what nobody can avoid: to decompress every GWAS and covariance file once, with ISA-L."""
    files = [*study.gwas, *(tissue.covariance for tissue in study.tissues)]
    command = [sys.executable, "-I", "-c", DECOMPRESS, *map(str, files)]
    measure.run(command)  # warms the file cache
    return "decompress each input once", 0, measure.run(command)[0]


def take(name: str, programs: Programs, study: Study, out: Path, *, together: bool) -> tuple[Steps, Answers]:
    """One turn of one program over all pairs; `out` is an empty folder."""
    if together:
        return _together(programs, study, out)
    return _pair_by_pair(name, programs, study, out)


def _environment() -> dict[str, str]:
    """This environment without what would lead another interpreter to this one's packages."""
    return {
        key: value
        for key, value in os.environ.items()
        if key not in ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")
    }


def _sum(usages: Sequence[Usage]) -> Usage:
    """Several runs one after the other: times add up, of the memory the largest counts."""
    return Usage(
        sum(used.wall_s for used in usages),
        sum(used.user_s for used in usages),
        sum(used.system_s for used in usages),
        max(used.peak_rss_bytes for used in usages),
    )


def _pair_by_pair(name: str, programs: Programs, study: Study, out: Path) -> tuple[Steps, Answers]:
    """Start the program once per tissue and trait."""
    usages, answers = [], {}
    for tissue in study.tissues:
        for trait, gwas in enumerate(study.gwas):
            csv = out / f"{tissue.name}-{trait}.csv"
            command = programs.spredixcan(name, tissue.model, tissue.covariance, gwas, csv)
            used, printed = measure.run(command, env=_environment())
            if not csv.is_file():  # MetaXcan may fail with exit status 0
                raise measure.CommandFailed(f"{name} wrote nothing; it said:\n{printed[-3000:]}")
            usages.append(used)
            answers[tissue.name, trait] = read_z(csv)
    runs = "spredixcan" if len(usages) == 1 else f"spredixcan, {len(usages)} runs"
    return [(runs, _sum(usages))], answers


def _together(programs: Programs, study: Study, out: Path) -> tuple[Steps, Answers]:
    """Import models and GWAS once, score all pairs in one command; read the answers from exported tables."""
    models, gwas, result = (str(out / name) for name in ("models", "gwas", "associations"))
    commands = {
        "models import": ["models", "import", *_model_files(study.tissues), "--out", models],
        "gwas import": ["gwas", "import", *map(str, study.gwas), "--models", models, "--out", gwas],
        "associate": ["associate", "--models", models, "--gwas", gwas, "--out", result],
    }
    steps = []
    for step, words in commands.items():
        used, _ = measure.run([str(programs.gputwas), *words], env=_environment())
        steps.append((step, used))
    return steps, _exported(programs, study, result, out)


def _model_files(tissues: Sequence[Tissue]) -> list[str]:
    """Arguments that name the models."""
    return [str(tissue.model) for tissue in tissues]


def _exported(programs: Programs, study: Study, result: str, out: Path) -> Answers:
    """z-scores of every pair, by the command that writes MetaXcan's tables."""
    answers: Answers = {}
    for tissue in study.tissues:
        for trait, gwas in enumerate(study.gwas):
            csv = out / f"{tissue.name}-{trait}.csv"
            pair = ["--tissue", tissue.name, "--trait", gwas.name.split(".")[0]]
            measure.run([str(programs.gputwas), "export", "metaxcan", result, *pair, "--out", str(csv)])
            answers[tissue.name, trait] = read_z(csv)
    return answers
