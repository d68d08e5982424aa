"""`gputwas spredixcan` and `gputwas smultixcan`: the flags of MetaXcan's programs under their own names.

In: a command line of the reference program. Out: what it writes, by a call of one function of `study`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import typer
from typer.core import TyperCommand

if TYPE_CHECKING:
    from gputwas.study.dropin import SPrediXcanOptions
    from gputwas.study.dropin_multixcan import SMultiXcanOptions

__all__ = ["parse_flags", "register"]

_SEVERAL = (
    "--split_column",
    "--models_name_filter",
    "--metaxcan_filter",
)  # take all words up to the next flag


class _AsArgparse(TyperCommand):
    """Reads flags as Python's argparse does for MetaXcan: several words after one, unique beginnings."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        names = [name for parameter in self.params for name in parameter.opts if name.startswith("--")]
        return super().parse_args(ctx, _spelled_out(args, names))


def _spelled_out(words: list[str], names: list[str]) -> list[str]:
    """The words with flags in full, and a flag that takes several words before each of them."""
    out: list[str] = []
    several = ""
    for word in words:
        if word.startswith("--") and len(word) > 2:
            flag, sign, value = word.partition("=")
            fitting = [name for name in names if name.startswith(flag)]
            flag = fitting[0] if len(fitting) == 1 and flag not in names else flag
            several = flag if flag in _SEVERAL and not sign else ""
            if not several:
                out.append(flag + sign + value)
        elif several:
            out += [several, word]
        else:
            out.append(word)
    return out


def register(app: typer.Typer) -> None:
    """Hang the commands under the main one."""
    app.command("spredixcan", cls=_AsArgparse)(spredixcan)
    app.command("smultixcan", cls=_AsArgparse)(smultixcan)


def _flag(name: str, text: str) -> typer.models.OptionInfo:
    return typer.Option(f"--{name}", help=text)


_GwasFile: TypeAlias = Annotated[str | None, _flag("gwas_file", "The GWAS, one file.")]
_GwasFolder: TypeAlias = Annotated[str | None, _flag("gwas_folder", "Folder with the files of one GWAS.")]
_GwasFilePattern: TypeAlias = Annotated[
    str | None, _flag("gwas_file_pattern", "Regular expression that names in --gwas_folder begin with.")
]
_SnpColumn: TypeAlias = Annotated[str, _flag("snp_column", "Column of SNP ids.")]
_EffectAlleleColumn: TypeAlias = Annotated[str, _flag("effect_allele_column", "Effect allele.")]
_NonEffectAlleleColumn: TypeAlias = Annotated[str, _flag("non_effect_allele_column", "Other allele.")]
_ChromosomeColumn: TypeAlias = Annotated[str | None, _flag("chromosome_column", "Taken and not used.")]
_PositionColumn: TypeAlias = Annotated[str | None, _flag("position_column", "Taken and not used.")]
_FreqColumn: TypeAlias = Annotated[str | None, _flag("freq_column", "Taken and not used.")]
_BetaColumn: TypeAlias = Annotated[str | None, _flag("beta_column", "Effect size.")]
_BetaSignColumn: TypeAlias = Annotated[str | None, _flag("beta_sign_column", "Sign of the effect, + or -.")]
_OrColumn: TypeAlias = Annotated[str | None, _flag("or_column", "Odds ratio.")]
_SeColumn: TypeAlias = Annotated[str | None, _flag("se_column", "Standard error of the effect.")]
_ZscoreColumn: TypeAlias = Annotated[str | None, _flag("zscore_column", "z-score.")]
_PvalueColumn: TypeAlias = Annotated[str | None, _flag("pvalue_column", "p-value (not -log10).")]
_Separator: TypeAlias = Annotated[
    str | None, _flag("separator", "Cell separator; any whitespace by default.")
]
_SkipUntilHeader: TypeAlias = Annotated[
    str | None, _flag("skip_until_header", "Skip what stands before this header line.")
]
_HandleEmptyColumns: TypeAlias = Annotated[bool, _flag("handle_empty_columns", "Cells may be empty.")]
_InputPvalueFix: TypeAlias = Annotated[
    float, _flag("input_pvalue_fix", "Stand-in for p = 0 (1e-300 works here); 0 drops such rows.")
]
_KeepNonRsid: TypeAlias = Annotated[bool, _flag("keep_non_rsid", "Use ids that are no rs numbers.")]
_SnpMapFile: TypeAlias = Annotated[str | None, _flag("snp_map_file", "Map of GWAS SNPs to model variants.")]
_SplitColumn: TypeAlias = Annotated[list[str] | None, _flag("split_column", "Taken and not used.")]


def spredixcan(
    context: typer.Context,
    model_db_path: Annotated[str, _flag("model_db_path", "Prediction models (.db).")],
    output_file: Annotated[str, _flag("output_file", "The csv to write.")],
    covariance: Annotated[str | None, _flag("covariance", "LD covariance of the models (.txt.gz).")] = None,
    model_db_snp_key: Annotated[str | None, _flag("model_db_snp_key", "Column of the SNP ids.")] = None,
    gwas_file: _GwasFile = None,
    gwas_folder: _GwasFolder = None,
    gwas_file_pattern: _GwasFilePattern = None,
    gwas_h2: Annotated[float | None, _flag("gwas_h2", "Heritability of the trait, for calibration.")] = None,
    gwas_N: Annotated[float | None, _flag("gwas_N", "Sample size of the GWAS, for calibration.")] = None,
    snp_column: _SnpColumn = "SNP",
    effect_allele_column: _EffectAlleleColumn = "A1",
    non_effect_allele_column: _NonEffectAlleleColumn = "A2",
    chromosome_column: _ChromosomeColumn = None,
    position_column: _PositionColumn = None,
    freq_column: _FreqColumn = None,
    beta_column: _BetaColumn = None,
    beta_sign_column: _BetaSignColumn = None,
    or_column: _OrColumn = None,
    se_column: _SeColumn = None,
    zscore_column: _ZscoreColumn = None,
    pvalue_column: _PvalueColumn = None,
    separator: _Separator = None,
    skip_until_header: _SkipUntilHeader = None,
    handle_empty_columns: _HandleEmptyColumns = False,
    input_pvalue_fix: _InputPvalueFix = 1e-50,
    keep_non_rsid: _KeepNonRsid = False,
    snp_map_file: _SnpMapFile = None,
    split_column: _SplitColumn = None,
    single_snp_model: Annotated[bool, _flag("single_snp_model", "One SNP per gene; no covariance.")] = False,
    stream_covariance: Annotated[
        bool, _flag("stream_covariance", "Taken for compatibility; memory is bounded anyway.")
    ] = False,
    remove_ens_version: Annotated[bool, _flag("remove_ens_version", "ENSG1.2 becomes ENSG1.")] = False,
    verbosity: Annotated[int, _flag("verbosity", "As in MetaXcan: 10 normal, above 10 quiet.")] = 10,
    throw: Annotated[bool, _flag("throw", "Show a traceback with an error (as --debug).")] = False,
    overwrite: Annotated[bool, _flag("overwrite", "Replace the output file.")] = False,
    additional_output: Annotated[
        bool, _flag("additional_output", "Add best_gwas_p and largest_weight.")
    ] = False,
    MAX_R: Annotated[int | None, typer.Option("--MAX_R", help="Only the first R genes, by id.")] = None,
) -> None:
    """One GWAS x one tissue: the flags and the csv of SPrediXcan.py.

    Where SPrediXcan.py fails in silence, this command says so and exits with another code than 0. One mistake
    no program can see: effect and non-effect allele swapped turn every sign (you are warned where the header
    tells the format, as BIG40's does).

    Example:

        \b
        gputwas spredixcan --model_db_path JTI_Liver.db --covariance JTI_Liver.txt.gz \\
          --gwas_file 0001.txt.gz --snp_column rsid --effect_allele_column a2 \\
          --non_effect_allele_column a1 --beta_column beta --se_column se --output_file liver.csv
    """
    import logging
    import traceback

    from gputwas.cli.lean import with_one_blas_thread, with_plain_memory, without_pandas

    with_one_blas_thread()
    without_pandas()
    with_plain_memory()
    from gputwas.study.dropin import spredixcan_command

    log = logging.getLogger("gputwas")
    if verbosity > 10:
        log.setLevel(logging.WARNING)
    try:
        report = spredixcan_command(_options(context))
    except Exception:
        if throw:
            traceback.print_exc()
        raise
    log.info(
        "%s: %d genes, %d with a z-score; %.1f %% of the models' %d SNPs found; %.2f s",
        report.output_file, report.n_genes, report.n_scored,
        100 * report.snps_found / max(report.snps_in_model, 1), report.snps_in_model, report.seconds,
    )  # fmt: skip


def _options(context: typer.Context) -> SPrediXcanOptions:
    from gputwas.study.dropin import SPrediXcanOptions

    names = SPrediXcanOptions.__dataclass_fields__
    return SPrediXcanOptions(**{name: value for name, value in context.params.items() if name in names})


def smultixcan(
    context: typer.Context,
    models_folder: Annotated[str, _flag("models_folder", "Folder with the prediction models (.db).")],
    metaxcan_folder: Annotated[str, _flag("metaxcan_folder", "Folder with the S-PrediXcan results.")],
    output: Annotated[str, _flag("output", "The table to write.")],
    models_name_filter: Annotated[
        list[str] | None, _flag("models_name_filter", "Regular expressions; any finds itself in a name.")
    ] = None,
    models_name_pattern: Annotated[
        str | None, _flag("models_name_pattern", "Regular expression, the tissue of a model in brackets.")
    ] = None,
    model_db_snp_key: Annotated[str | None, _flag("model_db_snp_key", "Column of the SNP ids.")] = None,
    metaxcan_filter: Annotated[
        list[str] | None, _flag("metaxcan_filter", "Regular expressions; all fit names from the beginning.")
    ] = None,
    metaxcan_file_name_parse_pattern: Annotated[
        str | None,
        _flag("metaxcan_file_name_parse_pattern", "Regular expression, phenotype and tissue in brackets."),
    ] = None,
    snp_covariance: Annotated[
        str | None, _flag("snp_covariance", "Covariance of SNPs across tissues (.txt.gz).")
    ] = None,
    cleared_snps: Annotated[
        str | None, _flag("cleared_snps", "Table with column rsid: SNPs that count; no GWAS is read.")
    ] = None,
    model_product: Annotated[
        str | None, _flag("model_product", "Table gene, model1, model2, value instead of a covariance.")
    ] = None,
    permissive_model_product: Annotated[
        bool, _flag("permissive_model_product", "Tissues may be missing in the product.")
    ] = False,
    regularization: Annotated[float | None, _flag("regularization", "Added to the diagonal.")] = None,
    cutoff_condition_number: Annotated[
        float | None,
        _flag("cutoff_condition_number", "Keep eigenvalues of largest / this or more; 30 is usual."),
    ] = None,
    cutoff_eigen_ratio: Annotated[
        float | None, _flag("cutoff_eigen_ratio", "Keep eigenvalues of this x the largest or more.")
    ] = None,
    cutoff_trace_ratio: Annotated[
        float | None, _flag("cutoff_trace_ratio", "Keep eigenvalues of this x their sum or more.")
    ] = None,
    cutoff_threshold: Annotated[
        float | None, _flag("cutoff_threshold", "Keep eigenvalues that make up 1 - this of their sum.")
    ] = None,
    gwas_file: _GwasFile = None,
    gwas_folder: _GwasFolder = None,
    gwas_file_pattern: _GwasFilePattern = None,
    snp_column: _SnpColumn = "SNP",
    effect_allele_column: _EffectAlleleColumn = "A1",
    non_effect_allele_column: _NonEffectAlleleColumn = "A2",
    chromosome_column: _ChromosomeColumn = None,
    position_column: _PositionColumn = None,
    freq_column: _FreqColumn = None,
    beta_column: _BetaColumn = None,
    beta_sign_column: _BetaSignColumn = None,
    or_column: _OrColumn = None,
    se_column: _SeColumn = None,
    zscore_column: _ZscoreColumn = None,
    pvalue_column: _PvalueColumn = None,
    separator: _Separator = None,
    skip_until_header: _SkipUntilHeader = None,
    handle_empty_columns: _HandleEmptyColumns = False,
    input_pvalue_fix: _InputPvalueFix = 1e-50,
    keep_non_rsid: _KeepNonRsid = False,
    snp_map_file: _SnpMapFile = None,
    split_column: _SplitColumn = None,
    trimmed_ensemble_id: Annotated[
        bool, _flag("trimmed_ensemble_id", "ENSG1.2 becomes ENSG1 in models and covariance.")
    ] = False,
    MAX_M: Annotated[int | None, typer.Option("--MAX_M", help="Only the first M genes.")] = None,
    verbosity: Annotated[int, _flag("verbosity", "As in MetaXcan: 10 normal, above 10 quiet.")] = 10,
    throw: Annotated[
        bool, _flag("throw", "Stop at a gene that cannot be tested; show a traceback with an error.")
    ] = False,
    overwrite: Annotated[bool, _flag("overwrite", "Replace the output file.")] = False,
) -> None:
    """One trait x all tissues, joined per gene: the flags and the table of SMulTiXcan.py.

    Give exactly one --cutoff_...; its meaning and what happens at its boundary are the same on every machine.
    For all traits at once see `gputwas multixcan`.

    Example:

        \b
        gputwas smultixcan --models_folder models --metaxcan_folder results \\
          --metaxcan_filter 'trait1_.*csv' --snp_covariance snp_covariance.txt.gz \\
          --gwas_file trait1.txt.gz --snp_column rsid --effect_allele_column a2 \\
          --non_effect_allele_column a1 --beta_column beta --se_column se \\
          --cutoff_condition_number 30 --output trait1_multixcan.tsv
    """
    import logging
    import traceback

    from gputwas.cli.lean import with_plain_memory, without_pandas

    without_pandas()
    with_plain_memory()
    from gputwas.study.dropin_multixcan import smultixcan_command

    log = logging.getLogger("gputwas")
    if verbosity > 10:
        log.setLevel(logging.WARNING)
    try:
        report = smultixcan_command(_joint_options(context))
    except Exception:
        if throw:
            traceback.print_exc()
        raise
    log.info(
        "%s: %d genes, %d tested, %d left out; %.2f s",
        report.output, report.n_genes, report.n_tested, sum(report.left_out.values()), report.seconds,
    )  # fmt: skip


def _joint_options(context: typer.Context) -> SMultiXcanOptions:
    from gputwas.study.dropin_multixcan import SMultiXcanOptions

    names = SMultiXcanOptions.__dataclass_fields__
    given = {name: value for name, value in context.params.items() if name in names and value is not None}
    filters = {name: tuple(value) for name, value in given.items() if isinstance(value, list)}
    return SMultiXcanOptions(**(given | filters), strict_genes=context.params["throw"])


def parse_flags(words: list[str]) -> SPrediXcanOptions:
    """Options from a command line of `gputwas spredixcan`, without running it."""
    app = typer.Typer()
    app.command("spredixcan", cls=_AsArgparse)(spredixcan)
    return _options(typer.main.get_command(app).make_context("gputwas spredixcan", words))  # type: ignore[arg-type]
