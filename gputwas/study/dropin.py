"""`gputwas spredixcan`: one GWAS against one tissue, as SPrediXcan.py does it, in memory.

In: the reference program's options. Out: its csv, and an account of what was used. The numbers are the
reference's (alleles, duplicates, p = 0 and z rounded to float32 included); its silent failures are errors.
"""

from __future__ import annotations

import logging
import os
import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from gputwas.backends.choose import choose_backend
from gputwas.errors import InputError, UsageError
from gputwas.files import check_target
from gputwas.formats.covariance import Covariances, read_covariances
from gputwas.formats.metaxcan import read_associations, write_associations
from gputwas.formats.predictdb import TissueModels, read_models
from gputwas.formats.sqlite import open_read_only, table_names
from gputwas.formats.tables import check_table_path, write_table
from gputwas.ingest.models import Packing
from gputwas.ingest.trait import PanelFilter, PanelIndex, TraitStatistics, read_trait
from gputwas.stores.associations import Status
from gputwas.stores.models import ModelSet
from gputwas.study.compare import Comparison, compare_tables
from gputwas.study.dropin_gwas import GwasFlags, gwas_reader
from gputwas.study.dropin_products import OneTrait
from gputwas.study.dropin_words import in_words_of
from gputwas.study.results import TissueResult, calibrated, metaxcan_table, snp_extremes
from gputwas.study.snp_map import carry_over, gwas_side, read_snp_map
from gputwas.twas.spredixcan import prepare_scorer, score_traits

__all__ = ["SPrediXcanOptions", "SPrediXcanReport", "compare_with", "spredixcan_command"]

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class SPrediXcanOptions(GwasFlags):
    """Options of SPrediXcan.py under their own names, checked when built; those of the GWAS: `GwasFlags`.

    Attributes
    ----------
    single_snp_model : no LD is needed.
    gwas_h2, gwas_N : both or neither; calibrate z by the models' φ.
    MAX_R : only the first so many genes, by id, that have a SNP in the GWAS. (The reference takes genes in
        the order of its table of weights, and of the last one only the first SNP.)
    """

    model_db_path: str
    output_file: str
    covariance: str | None = None
    model_db_snp_key: str | None = None
    gwas_h2: float | None = None
    gwas_N: float | None = None
    single_snp_model: bool = False
    remove_ens_version: bool = False
    overwrite: bool = False
    additional_output: bool = False
    MAX_R: int | None = None

    def __post_init__(self) -> None:
        if (self.gwas_h2 is None) != (self.gwas_N is None):
            raise UsageError("calibration needs both --gwas_h2 and --gwas_N, or neither")
        if self.gwas_h2 is not None and not 0 <= self.gwas_h2 <= 1:
            raise UsageError(f"--gwas_h2 must be between 0 and 1, not {self.gwas_h2}")
        if self.gwas_N is not None and not self.gwas_N > 0:
            raise UsageError(f"--gwas_N must be above 0, not {self.gwas_N}")
        if self.covariance is None and not self.single_snp_model:
            raise UsageError("give --covariance FILE, or --single_snp_model if each gene has one SNP")
        if self.MAX_R is not None and self.MAX_R < 1:
            raise UsageError(f"--MAX_R must be at least 1, not {self.MAX_R}")
        self.check_gwas()


@dataclass(frozen=True)
class SPrediXcanReport:
    """What was computed: rows of the csv, how many genes got a z, and the account of the GWAS."""

    output_file: str
    n_genes: int
    n_scored: int
    snps_found: int
    snps_in_model: int
    trait: TraitStatistics
    seconds: float


def spredixcan_command(options: SPrediXcanOptions) -> SPrediXcanReport:
    """Score one GWAS against one tissue and write the csv.

    Raises
    ------
    InputError : a file is unusable, the output exists, nothing matches, or calibration lacks φ.
    """
    started = time.monotonic()
    _check_output(options)
    table, trait = _compute(options)
    os.makedirs(os.path.dirname(os.path.abspath(options.output_file)), exist_ok=True)
    write_associations(options.output_file, table)
    found = ~np.isnan(trait.z)
    return SPrediXcanReport(
        output_file=options.output_file,
        n_genes=table.num_rows,
        n_scored=table.num_rows - table["zscore"].null_count,
        snps_found=int(found.sum()),
        snps_in_model=found.size,
        trait=trait,
        seconds=time.monotonic() - started,
    )


def compare_with(
    old: str | os.PathLike[str], options: SPrediXcanOptions, out: str | os.PathLike[str] | None = None
) -> Comparison:
    """Re-score what an existing csv was made from and compare; with `out`, write every gene's verdict.

    Raises
    ------
    InputError : the old csv or an input is unusable.
    """
    if out is not None:
        check_table_path(out)
    result = compare_tables(read_associations(old), _compute(options)[0])
    if out is not None:
        write_table(result.table, out)
    return result


def _compute(options: SPrediXcanOptions) -> tuple[pa.Table, TraitStatistics]:
    with in_words_of(SPrediXcanOptions.__dataclass_fields__.keys()):
        model_set, trait = _models_and_gwas(options)
        table = _score(options, model_set, trait)
    if table.num_rows == 0:
        raise InputError("no gene has a SNP in the GWAS", path=options.gwas_file or options.gwas_folder)
    return table, trait


def _check_output(options: SPrediXcanOptions) -> None:
    check_target(options.output_file, folder_is_made=True)
    if os.path.exists(options.output_file) and not options.overwrite:
        raise InputError(
            "the output file exists already",
            path=options.output_file,
            remedy="Use --overwrite to replace it, or name another file.",
        )


def _models_and_gwas(options: SPrediXcanOptions) -> tuple[ModelSet, TraitStatistics]:
    """Read everything, the covariance beside the rest: inflating and parsing leave the interpreter free."""
    _check_database(options.model_db_path)  # or a wrong one were told only after the covariance is read
    covariances: Future[Covariances] | None = None
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="covariance") as beside:
        if options.covariance is not None and not options.single_snp_model:
            covariances = beside.submit(read_covariances, options.covariance)
        models = Packing([_tissue(options)])
        packed = beside.submit(
            models.finish,
            [None if covariances is None else covariances.result],
            allow_missing_ld=True,
            single_snp_model=options.single_snp_model,
        )
        del covariances  # their memory goes with the task that packs them
        try:
            trait = _gwas(options, models.panel)
        except Exception:
            packed.result()  # what is wrong with the models is said first
            raise
        return packed.result()[0], trait


def _check_database(path: str) -> None:
    """Raise what reading models from a file raises that holds none; looks at its first page only."""
    with open_read_only(path) as connection:
        there = table_names(connection)
    if not {"weights", "extra"} <= there:
        read_models(path)


def _tissue(options: SPrediXcanOptions) -> TissueModels:
    tissue = read_models(options.model_db_path, snp_key=options.model_db_snp_key)
    if options.gwas_h2 is not None and "phi" not in tissue.genes.column_names:
        raise InputError(
            "these models have no column phi, which the calibration by --gwas_h2 and --gwas_N needs",
            path=options.model_db_path,
            remedy="Use models that state phi, or leave the two options out.",
        )
    return tissue


def _gwas(options: SPrediXcanOptions, panel: pa.Table) -> TraitStatistics:
    snp_map = None if options.snp_map_file is None else read_snp_map(options.snp_map_file)
    wanted = PanelIndex(panel if snp_map is None else gwas_side(snp_map))
    seen = PanelFilter(wanted)
    trait = read_trait(
        gwas_reader(options, seen),
        wanted,
        mode="parity",
        keep_non_rsid=options.keep_non_rsid,
        pvalue_fix=options.input_pvalue_fix,
        seen=seen,
    )
    return trait if snp_map is None else carry_over(trait, snp_map, panel)


def _score(options: SPrediXcanOptions, model_set: ModelSet, trait: TraitStatistics) -> pa.Table:
    scorer = prepare_scorer(model_set, choose_backend("numpy"))
    scorer = replace(scorer, products=OneTrait(scorer.operator))
    beta = None if trait.beta is None else trait.beta[None, :]
    scores = score_traits(scorer, trait.z[None, :], beta)
    best, largest = snp_extremes(scorer, trait.z) if options.additional_output else (None, None)
    result = TissueResult(
        z=scores.z[:, 0], effect_size=scores.effect_size[:, 0], var_g=scores.var_g[:, 0],
        n_snps_used=scores.n_snps_used[:, 0], status=_first_genes(scores.status[:, 0], options.MAX_R),
        best_gwas_p=best, largest_weight=largest,
    )  # fmt: skip
    table = metaxcan_table(model_set.models, result, remove_ens_version=options.remove_ens_version)
    if options.gwas_h2 is not None and options.gwas_N is not None:
        table, lost = calibrated(table, model_set.models, options.gwas_N, options.gwas_h2)
        if lost:
            log.warning("%d genes have no phi and are left out, as the reference program does", lost)
    return table


def _first_genes(status: np.ndarray, most: int | None) -> np.ndarray:
    """Status with all but the first `most` genes that are in the GWAS marked as not in it."""
    if most is None:
        return status
    rank = np.cumsum(status != Status.NO_SNP_IN_GWAS)
    return np.where(rank > most, Status.NO_SNP_IN_GWAS, status).astype(status.dtype)
