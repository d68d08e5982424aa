"""`gputwas spredixcan`: one GWAS against one tissue, as SPrediXcan.py does it, in memory.

In: the reference program's options. Out: its csv, and an account of what was used. The numbers are the
reference's (alleles, duplicates, p = 0 and z rounded to float32 included); its silent failures are errors.
"""

from __future__ import annotations

import logging
import os
import re
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
from gputwas.formats.sumstats import SumstatsReader, open_sumstats
from gputwas.formats.tables import check_table_path, write_table
from gputwas.ingest.models import Packing
from gputwas.ingest.trait import PanelFilter, PanelIndex, TraitStatistics, read_trait
from gputwas.stores.associations import Status
from gputwas.stores.models import ModelSet
from gputwas.study.compare import Comparison, compare_tables
from gputwas.study.dropin_products import OneTrait
from gputwas.study.dropin_words import in_words_of
from gputwas.study.results import TissueResult, calibrated, metaxcan_table, snp_extremes
from gputwas.study.snp_map import carry_over, gwas_side, read_snp_map
from gputwas.study.unnamed_columns import with_unnamed_columns
from gputwas.twas.spredixcan import prepare_scorer, score_traits

__all__ = ["SPrediXcanOptions", "SPrediXcanReport", "compare_with", "gwas_paths", "spredixcan_command"]

log = logging.getLogger(__name__)

_BLOCK_BYTES = (
    2 << 20
)  # of GWAS text at a time: the process stays small, and a block in the processor's cache


@dataclass(frozen=True)
class SPrediXcanOptions:
    """Options of SPrediXcan.py under their own names, checked when built.

    Attributes
    ----------
    gwas_file, or gwas_folder with gwas_file_pattern (a regular expression that names match from their
        beginning).
    *_column : names of GWAS columns. separator : None is any whitespace.
    input_pvalue_fix : stand-in for p = 0; 0 drops those rows. single_snp_model : no LD is needed.
    gwas_h2, gwas_N : both or neither; calibrate z by the models' φ.
    MAX_R : only the first so many genes, by id, that have a SNP in the GWAS. (The reference takes genes in
        the order of its table of weights, and of the last one only the first SNP.)
    """

    model_db_path: str
    output_file: str
    covariance: str | None = None
    model_db_snp_key: str | None = None
    gwas_file: str | None = None
    gwas_folder: str | None = None
    gwas_file_pattern: str | None = None
    gwas_h2: float | None = None
    gwas_N: float | None = None
    snp_column: str = "SNP"
    effect_allele_column: str = "A1"
    non_effect_allele_column: str = "A2"
    beta_column: str | None = None
    beta_sign_column: str | None = None
    or_column: str | None = None
    se_column: str | None = None
    zscore_column: str | None = None
    pvalue_column: str | None = None
    separator: str | None = None
    skip_until_header: str | None = None
    handle_empty_columns: bool = False
    input_pvalue_fix: float = 1e-50
    keep_non_rsid: bool = False
    snp_map_file: str | None = None
    single_snp_model: bool = False
    remove_ens_version: bool = False
    overwrite: bool = False
    additional_output: bool = False
    MAX_R: int | None = None

    def __post_init__(self) -> None:
        if (self.gwas_file is None) == (self.gwas_folder is None):
            raise UsageError("give either --gwas_file or --gwas_folder (with --gwas_file_pattern)")
        if self.gwas_file_pattern and not self.gwas_folder:
            raise UsageError("--gwas_file_pattern needs --gwas_folder")
        if (self.gwas_h2 is None) != (self.gwas_N is None):
            raise UsageError("calibration needs both --gwas_h2 and --gwas_N, or neither")
        if self.gwas_h2 is not None and not 0 <= self.gwas_h2 <= 1:
            raise UsageError(f"--gwas_h2 must be between 0 and 1, not {self.gwas_h2}")
        if self.gwas_N is not None and not self.gwas_N > 0:
            raise UsageError(f"--gwas_N must be above 0, not {self.gwas_N}")
        if not 0 <= self.input_pvalue_fix <= 1:
            raise UsageError(f"--input_pvalue_fix must be between 0 and 1, not {self.input_pvalue_fix}")
        if self.covariance is None and not self.single_snp_model:
            raise UsageError("give --covariance FILE, or --single_snp_model if each gene has one SNP")
        if self.MAX_R is not None and self.MAX_R < 1:
            raise UsageError(f"--MAX_R must be at least 1, not {self.MAX_R}")
        _check_statistic(self)

    def columns(self) -> dict[str, str]:
        """Role -> GWAS column, for the roles that were named."""
        named = {
            "variant_id": self.snp_column,
            "effect_allele": self.effect_allele_column,
            "other_allele": self.non_effect_allele_column,
            "z": self.zscore_column,
            "beta": self.beta_column,
            "odds_ratio": self.or_column,
            "sign": self.beta_sign_column,
            "se": self.se_column,
            "p": self.pvalue_column,
        }
        return {role: name for role, name in named.items() if name}


def _check_statistic(options: SPrediXcanOptions) -> None:
    """Refuse options that do not say where z comes from (rules of the reference's M03_betas.py)."""
    effect = options.beta_column or options.or_column
    if options.zscore_column:
        return
    if options.pvalue_column:
        if not (effect or options.beta_sign_column):
            raise UsageError(
                "a p-value has no direction: name --beta_column, --or_column or --beta_sign_column too"
            )
    elif not (options.se_column and effect):
        raise UsageError(
            "name where z comes from: --zscore_column, or --pvalue_column with an effect or its sign, "
            "or --se_column with --beta_column or --or_column"
        )


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


def gwas_paths(options: SPrediXcanOptions) -> list[str]:
    """Files of the GWAS in the order in which the reference reads them.

    Raises
    ------
    InputError : the folder is missing, or no file's name fits the pattern.
    """
    if options.gwas_file:
        return [options.gwas_file]
    folder = str(options.gwas_folder)
    if not os.path.isdir(folder):
        raise InputError("there is no such folder", path=folder, remedy="Check --gwas_folder.")
    names = sorted(name for name in os.listdir(folder) if os.path.isfile(os.path.join(folder, name)))
    try:
        pattern = re.compile(options.gwas_file_pattern or "")
    except re.error as error:
        raise UsageError(
            f"--gwas_file_pattern {options.gwas_file_pattern!r} is not a regular expression ({error}); write "
            ".*gz and not *.gz"
        ) from error
    chosen = [os.path.join(folder, name) for name in names if pattern.match(name)]  # at the name's beginning
    if not chosen:
        shown = ", ".join(names[:5]) or "an empty folder"
        raise InputError(
            "no file name fits --gwas_file_pattern",
            path=folder,
            found=shown,
            expected=f"names that match {options.gwas_file_pattern!r} from their beginning",
            remedy="The pattern is a regular expression, not a wildcard: .*gz and not *.gz.",
        )
    return chosen


def _gwas(options: SPrediXcanOptions, panel: pa.Table) -> TraitStatistics:
    snp_map = None if options.snp_map_file is None else read_snp_map(options.snp_map_file)
    wanted = PanelIndex(panel if snp_map is None else gwas_side(snp_map))
    seen = PanelFilter(wanted)
    header = _reader(options, {"variant_id": options.snp_column}, seen).layout.header
    columns = with_unnamed_columns(options.columns(), header)
    if "TEST" in header:
        # PLINK 2 writes rows of covariates and other models below those of the SNP; the reference lets the
        # last of them win, here only additive rows count
        columns["test"] = "TEST"
    trait = read_trait(
        _reader(options, columns, seen),
        wanted,
        mode="parity",
        keep_non_rsid=options.keep_non_rsid,
        pvalue_fix=options.input_pvalue_fix,
        seen=seen,
    )
    return trait if snp_map is None else carry_over(trait, snp_map, panel)


def _reader(options: SPrediXcanOptions, columns: dict[str, str], keep: PanelFilter) -> SumstatsReader:
    return open_sumstats(
        gwas_paths(options),
        columns=columns,
        separator=options.separator,
        skip_until_header=options.skip_until_header,
        handle_empty_columns=options.handle_empty_columns,
        parity=True,
        keep=keep,
        block_bytes=_BLOCK_BYTES,
    )


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
