"""`gputwas smultixcan`: S-PrediXcan results of several tissues joined into one test per gene.

In: the options of SMulTiXcan.py. Out: its table. The numbers are the reference's; its silent failures are
errors, and genes that it leaves out without a word are counted.

It differs on purpose where the reference's answer is chance: at the boundary of a cut-off, and in components
that are nothing but rounding (`gputwas.stats.truncated.truncate`); in tissues whose variance has cancelled to
rounding, which have no part in the test; where two results or two models are of one tissue, or several
cut-offs are given, which is refused. A GWAS is read as `gputwas spredixcan` reads it, and genes of a model
product come in the file's order. An eigenvalue near 0 is only as good as rounding lets it be: eigen_min of
nearly equal tissues agrees to 1e-15 of eigen_max, not in its digits.
"""

from __future__ import annotations

import logging
import math
import os
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import pyarrow as pa
import pyarrow.compute as pc

from gputwas.errors import InputError, UsageError
from gputwas.files import check_target
from gputwas.formats.covariance import read_covariances
from gputwas.formats.predictdb import TissueModels
from gputwas.stats.truncated import Cutoff
from gputwas.study.dropin_gwas import GwasFlags
from gputwas.study.dropin_multixcan_genes import GeneTissues, genes_of_covariance, genes_of_product
from gputwas.study.dropin_multixcan_inputs import (
    TissueScores,
    gwas_model_snps,
    model_files,
    read_columns,
    read_scores,
    read_tissue_models,
    trimmed,
    turned_snps,
)
from gputwas.study.dropin_multixcan_table import JointStatus, joint_table, write_joint_table
from gputwas.study.dropin_words import in_words_of

__all__ = ["SMultiXcanOptions", "SMultiXcanReport", "smultixcan_command"]

log = logging.getLogger(__name__)

_CUTOFFS = ("condition_number", "eigen_ratio", "trace_ratio", "threshold")


@dataclass(frozen=True, kw_only=True)
class SMultiXcanOptions(GwasFlags):
    """Options of SMulTiXcan.py under their own names, checked when built; those of the GWAS: `GwasFlags`.

    Attributes
    ----------
    models_name_filter, metaxcan_filter : regular expressions, as the reference takes them: any finds
        something in a model's name; all match a result's name from its beginning.
    snp_covariance with cleared_snps or a GWAS, or model_product : where the correlation of tissues is from.
    cutoff_* : exactly one; see `gputwas.stats.truncated.Cutoff`.
    MAX_M : only the first so many genes of the covariance.
    strict_genes : a gene that cannot be tested ends the run (the reference's --throw).
    """

    output: str
    models_folder: str
    metaxcan_folder: str
    models_name_filter: tuple[str, ...] | None = None
    models_name_pattern: str | None = None
    model_db_snp_key: str | None = None
    metaxcan_filter: tuple[str, ...] = (".*csv",)
    metaxcan_file_name_parse_pattern: str | None = None
    snp_covariance: str | None = None
    cleared_snps: str | None = None
    model_product: str | None = None
    permissive_model_product: bool = False
    regularization: float | None = None
    cutoff_condition_number: float | None = None
    cutoff_eigen_ratio: float | None = None
    cutoff_trace_ratio: float | None = None
    cutoff_threshold: float | None = None
    trimmed_ensemble_id: bool = False
    MAX_M: int | None = None
    overwrite: bool = False
    strict_genes: bool = False

    def __post_init__(self) -> None:
        self.cutoff()
        if (self.snp_covariance is None) == (self.model_product is None):
            raise UsageError("give either --snp_covariance or --model_product")
        if self.regularization is not None and not 0 <= self.regularization < math.inf:
            raise UsageError(f"--regularization must be a number of 0 or above, not {self.regularization}")
        if self.MAX_M is not None and self.MAX_M < 1:
            raise UsageError(f"--MAX_M must be at least 1, not {self.MAX_M}")
        if self.model_product is None and self.cleared_snps is None:
            if self.gwas_file is None and self.gwas_folder is None:
                raise UsageError("give the SNPs of the GWAS: --cleared_snps, or --gwas_file or --gwas_folder")
            self.check_gwas()

    def cutoff(self) -> Cutoff:
        """The one cut-off that is given.

        Raises
        ------
        UsageError : none or several are given, or the value makes no sense.
        """
        given = {kind: getattr(self, f"cutoff_{kind}") for kind in _CUTOFFS}
        flags = [f"--cutoff_{kind}" for kind, value in given.items() if value is not None]
        if len(flags) != 1:
            every = ", ".join(f"--cutoff_{kind}" for kind in _CUTOFFS)
            raise UsageError(f"give exactly one of {every}, not {' and '.join(flags) or 'none'}")
        try:
            return next(Cutoff(kind, value) for kind, value in given.items() if value is not None)  # type: ignore[arg-type]
        except ValueError as error:
            raise UsageError(f"{flags[0]}: {error}") from error


@dataclass(frozen=True)
class SMultiXcanReport:
    """What was computed: rows of the table, those with a p, and genes left out by reason."""

    output: str
    n_genes: int
    n_tested: int
    left_out: dict[str, int]
    seconds: float


def smultixcan_command(options: SMultiXcanOptions) -> SMultiXcanReport:
    """Join the results of one trait over its tissues and write the table.

    Raises
    ------
    InputError : a file is unusable, the output exists, or nothing matches.
    """
    started = time.monotonic()
    check_target(options.output, folder_is_made=True)
    if os.path.exists(options.output) and not options.overwrite:
        raise InputError(
            "the output file exists already",
            path=options.output,
            remedy="Use --overwrite to replace it, or name another file.",
        )
    with in_words_of(SMultiXcanOptions.__dataclass_fields__.keys()):
        table, left_out = _compute(options)
    os.makedirs(os.path.dirname(os.path.abspath(options.output)), exist_ok=True)
    write_joint_table(options.output, table)
    return SMultiXcanReport(
        output=options.output,
        n_genes=table.num_rows,
        n_tested=table.num_rows - table["pvalue"].null_count,
        left_out=dict(left_out),
        seconds=time.monotonic() - started,
    )


def _compute(options: SMultiXcanOptions) -> tuple[pa.Table, Counter[str]]:
    scores = read_scores(
        options.metaxcan_folder, options.metaxcan_filter, options.metaxcan_file_name_parse_pattern
    )
    files = model_files(options.models_folder, options.models_name_filter, options.models_name_pattern)
    models = read_tissue_models(files, options.model_db_snp_key)
    names = _gene_names(models, trim=options.trimmed_ensemble_id)
    found, left_out = _usable(_genes(options, scores, models), names, options)
    for reason, count in left_out.items():
        unit = "gene" if count == 1 else "genes"
        log.warning("left out, as the reference program does, %d %s: %s", count, unit, reason)
    if not found:
        raise InputError(
            "no gene can be reported",
            path=options.snp_covariance or options.model_product,
            found="; ".join(f"{count} genes: {reason}" for reason, count in left_out.items())
            or "no gene of this file is in the models and results",
            remedy="Check that results, models and this file have the same gene ids "
            "(--trimmed_ensemble_id) and SNP ids (--model_db_snp_key).",
        )
    table = joint_table(
        found,
        [names[gene.gene] for gene in found],
        scores.tissues,
        options.cutoff(),
        options.regularization or 0.0,
    )
    if pc.all(pc.equal(table["status"], JointStatus.NO_METAXCAN_RESULTS)).as_py():
        log.warning(
            "no gene was tested, none has a result of S-PrediXcan; if ids have a version (ENSG1.2) in one "
            "file and none in another, give --trimmed_ensemble_id"
        )
    return table, left_out


def _gene_names(models: Sequence[TissueModels], *, trim: bool) -> dict[str, str | None]:
    names: dict[str, str | None] = {}
    for one in models:
        ids = trimmed(one.genes["gene"]) if trim else one.genes["gene"]
        names.update(zip(ids.to_pylist(), one.genes["gene_name"].to_pylist(), strict=True))
    return names


def _genes(
    options: SMultiXcanOptions, scores: TissueScores, models: Sequence[TissueModels]
) -> Iterator[GeneTissues]:
    if options.model_product is not None:
        return genes_of_product(
            options.model_product,
            scores,
            trim=options.trimmed_ensemble_id,
            permissive=options.permissive_model_product,
        )
    _compare_tissues(options, scores, models)
    if turned := turned_snps(models):
        log.warning(
            "models disagree about the effect allele of %s (%s): their weights are multiplied as they are, "
            "as the reference program does, so correlations of tissues may have the wrong sign; "
            "`gputwas multixcan` turns them",
            "1 SNP" if len(turned) == 1 else f"{len(turned)} SNPs", ", ".join(turned[:3]),
        )  # fmt: skip
    snps = _snps(options, models)
    covariances = read_covariances(str(options.snp_covariance))
    return genes_of_covariance(covariances, snps, models, scores, trim=options.trimmed_ensemble_id)


def _compare_tissues(
    options: SMultiXcanOptions, scores: TissueScores, models: Sequence[TissueModels]
) -> None:
    """Refuse results and models that have no tissue in common; say which results have no model."""
    modelled = {one.tissue for one in models if one.weights.num_rows}
    alone = [tissue for tissue in scores.tissues if tissue not in modelled]
    if len(alone) == len(scores.tissues):
        raise InputError(
            "results and models have no tissue in common",
            path=options.metaxcan_folder,
            found=f"results of {', '.join(scores.tissues[:5])}; models of {', '.join(sorted(modelled)[:5])}",
            remedy="Say which part of the names is the tissue: --models_name_pattern and "
            "--metaxcan_file_name_parse_pattern.",
        )
    if alone:
        log.warning(
            "there are results but no models of %s: they count in n and z_min to z_sd, but not in the test",
            ", ".join(alone),
        )


def _snps(options: SMultiXcanOptions, models: Sequence[TissueModels]) -> pa.Array:
    if options.cleared_snps is None:
        if options.snp_map_file is not None:
            log.warning("--snp_map_file is not used, as SMulTiXcan.py does not use it")
        return gwas_model_snps(options, models)
    if options.gwas_file or options.gwas_folder:
        log.warning("the GWAS is not read: --cleared_snps says which SNPs count")
    table = read_columns(options.cleared_snps, {"rsid": pa.string()}, "the list of cleared SNPs")
    if table.num_rows == 0:
        raise InputError("the list of cleared SNPs is empty", path=options.cleared_snps)
    return pc.unique(table["rsid"])


def _usable(
    genes: Iterator[GeneTissues], names: dict[str, str | None], options: SMultiXcanOptions
) -> tuple[list[GeneTissues], Counter[str]]:
    """Genes that are reported, and the others by reason."""
    found: list[GeneTissues] = []
    left_out: Counter[str] = Counter()
    for gene in islice((gene for gene in genes if gene.gene in names), options.MAX_M):
        if gene.problem is None:
            found.append(gene)
        elif options.strict_genes:
            raise InputError(
                f"gene {gene.gene} cannot be tested: {gene.problem}",
                path=options.snp_covariance or options.model_product,
                remedy="Leave --throw out to go on without it.",
            )
        else:
            left_out[gene.problem] += 1
            log.debug("gene %s is left out: %s", gene.gene, gene.problem)
    return found, left_out
