"""In: a study on disk and a program. Out: what a run cost, and its z-scores compared with the formula.

A *pair* is (tissue, number of the trait). The peers start once per pair, as their users do.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from bench import agree, measure
from bench.inputs import Study, Tissue
from bench.measure import Usage
from bench.peers import Programs

__all__ = ["FILE_BOUND", "STORE_BOUND", "check_store", "expected", "score_pair"]

FILE_BOUND = 5e-6  # the peers round the GWAS z to float32
STORE_BOUND = 1e-5  # relative, of the float32 stores


def expected(study: Study, tissue: Tissue, trait: int) -> dict[str, float]:
    """The right z-score of every gene of a pair, from the formula."""
    z = study.expected_z(tissue, trait)
    there = np.isfinite(z)
    return dict(zip(tissue.genes[there].tolist(), z[there].tolist(), strict=True))


def score_pair(
    name: str, programs: Programs, study: Study, tissue: Tissue, trait: int, out: Path
) -> tuple[Usage, float | str]:
    """Start a program on one pair; `out` is an empty folder.

    Returns
    -------
    What it cost, and the largest difference of a z-score from the formula. Only pytwas may be wrong without
    ending the run; then the difference is what was wrong, in words.

    Raises
    ------
    Disagreement, CommandFailed
    """
    csv = out / f"{tissue.name}-{trait}.csv"
    command = programs.spredixcan(name, tissue.model, tissue.covariance, study.gwas[trait], csv)
    used, printed = measure.run(command)
    if not csv.is_file():  # MetaXcan may fail with exit status 0
        raise measure.CommandFailed(f"{name} wrote nothing; it said:\n{printed[-3000:]}")
    try:
        return used, agree.compare(name, agree.read_z(csv), expected(study, tissue, trait), FILE_BOUND)
    except agree.Disagreement as error:
        if name != "pytwas":
            raise
        return used, str(error)


def check_store(path: Path, study: Study, pairs: Sequence[tuple[Tissue, int]]) -> float:
    """Largest difference of a z-score in an association store from the formula.

    Raises
    ------
    Disagreement
    """
    from gputwas.stores.associations import AssociationStore

    store = AssociationStore.open(path)
    genes = np.asarray(store.models["gene"])
    worst = 0.0
    for tissue, trait in pairs:
        z = store.read_trait(tissue.name, study.gwas[trait].name.split(".")[0])
        there = np.isfinite(z)
        names = genes[store.tissue_slice(tissue.name)][there].tolist()
        got = dict(zip(names, z[there].astype(np.float64).tolist(), strict=True))
        wanted = expected(study, tissue, trait)
        worst = max(worst, agree.compare("gputwas", got, wanted, FILE_BOUND, STORE_BOUND))
    return worst
