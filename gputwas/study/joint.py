"""`gputwas multixcan` from what a user names: paths and numbers.

In: stores, cross-tissue LD as text or store, cut-offs. Out: a joint store and a report of the run.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from typing import cast

from gputwas.errors import UsageError
from gputwas.ingest.gene_ld import keep_gene_ld, read_gene_ld
from gputwas.stats.truncated import Cutoff, CutoffKind
from gputwas.stores.gene_ld import GeneLd
from gputwas.stores.models import read_models_store
from gputwas.twas.multixcan import DEFAULT_CUTOFF, JointReport, JointSettings, multixcan

__all__ = ["run_multixcan"]

log = logging.getLogger(__name__)

Path = str | os.PathLike[str]


def run_multixcan(
    associations: Path,
    out: Path,
    *,
    models: Path,
    gwas: Path,
    snp_covariance: Path | None,
    keep_ld: Path | None = None,
    cutoffs: Mapping[str, float] | None = None,
    regularization: float = 0.0,
    traits: Sequence[str] | None = None,
    tissues: Sequence[str] | None = None,
    backend: str = "auto",
    precision: str = "float32",
    memory: str | None = None,
    overwrite: bool = False,
) -> JointReport:
    """Combine the tissues of every gene in every trait.

    Parameters
    ----------
    snp_covariance : cross-tissue LD, MetaXcan's text or a store; None for ACAT alone, which needs neither
        `models` nor `gwas`.
    keep_ld : where the LD of a text file is kept as a store, and read from the next time.
    cutoffs : at most one, by the name that `Cutoff` has for it.

    Raises
    ------
    UsageError : several cut-offs, one out of range, or `keep_ld` without text.
    InputError, ResourceError : see `gputwas.twas.multixcan.multixcan` and `gputwas.ingest.gene_ld`.
    """
    settings = JointSettings(
        cutoff=_cutoff(cutoffs or {}), regularization=regularization, backend=backend, precision=precision,
        memory=memory, overwrite=overwrite,
    )  # fmt: skip
    if snp_covariance is None:
        return multixcan(associations, out, traits=traits, tissues=tissues, settings=settings)
    ld = _ld(snp_covariance, models, keep_ld, overwrite)
    report = multixcan(
        associations, out, models=models, gwas=gwas, ld=ld, traits=traits, tissues=tissues, settings=settings
    )
    if report.genes_in_ld < report.n_genes:
        log.warning(
            "%d of %d genes are not in the cross-tissue LD; they have no joint statistic, only ACAT",
            report.n_genes - report.genes_in_ld, report.n_genes,
        )  # fmt: skip
    return report


def _cutoff(given: Mapping[str, float]) -> Cutoff:
    if len(given) > 1:
        named = " and ".join(f"--cutoff-{kind.replace('_', '-')}" for kind in given)
        raise UsageError(f"{named} exclude each other; give one")
    for kind, value in given.items():
        try:
            return Cutoff(cast(CutoffKind, kind), value)
        except ValueError as error:
            raise UsageError(f"--cutoff-{kind.replace('_', '-')}: {error}") from error
    return DEFAULT_CUTOFF


def _ld(path: Path, models: Path, keep: Path | None, overwrite: bool) -> GeneLd:
    model_set = read_models_store(models)
    if keep is None:
        return read_gene_ld(path, model_set)
    if os.path.isdir(path):
        raise UsageError("--keep-ld keeps the LD of a text file; --snp-covariance is a store already")
    return keep_gene_ld(path, model_set, keep, overwrite=overwrite)
