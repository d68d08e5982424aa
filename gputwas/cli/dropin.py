"""`gputwas spredixcan`: the flags of SPrediXcan.py under their own names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand

if TYPE_CHECKING:
    from gputwas.study.dropin import SPrediXcanOptions

__all__ = ["parse_flags", "register"]


class _AsArgparse(TyperCommand):
    """Reads flags as Python's argparse does for SPrediXcan.py: several words after one, unique beginnings."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        names = [name for parameter in self.params for name in parameter.opts if name.startswith("--")]
        return super().parse_args(ctx, _spelled_out(args, names))


def _spelled_out(words: list[str], names: list[str]) -> list[str]:
    """The words with flags in full, and `--split_column` before each of its words."""
    out: list[str] = []
    splitting = False
    for word in words:
        if word.startswith("--") and len(word) > 2:
            flag, sign, value = word.partition("=")
            fitting = [name for name in names if name.startswith(flag)]
            flag = fitting[0] if len(fitting) == 1 and flag not in names else flag
            splitting = flag == "--split_column" and not sign
            if not splitting:
                out.append(flag + sign + value)
        elif splitting:
            out += ["--split_column", word]
        else:
            out.append(word)
    return out


def register(app: typer.Typer) -> None:
    """Hang the command under the main one."""
    app.command("spredixcan", cls=_AsArgparse)(spredixcan)


def _flag(name: str, text: str) -> typer.models.OptionInfo:
    return typer.Option(f"--{name}", help=text)


def spredixcan(
    context: typer.Context,
    model_db_path: Annotated[str, _flag("model_db_path", "Prediction models (.db).")],
    output_file: Annotated[str, _flag("output_file", "The csv to write.")],
    covariance: Annotated[str | None, _flag("covariance", "LD covariance of the models (.txt.gz).")] = None,
    model_db_snp_key: Annotated[str | None, _flag("model_db_snp_key", "Column of the SNP ids.")] = None,
    gwas_file: Annotated[str | None, _flag("gwas_file", "The GWAS, one file.")] = None,
    gwas_folder: Annotated[str | None, _flag("gwas_folder", "Folder with the files of one GWAS.")] = None,
    gwas_file_pattern: Annotated[
        str | None, _flag("gwas_file_pattern", "Regular expression that names in --gwas_folder begin with.")
    ] = None,
    gwas_h2: Annotated[float | None, _flag("gwas_h2", "Heritability of the trait, for calibration.")] = None,
    gwas_N: Annotated[float | None, _flag("gwas_N", "Sample size of the GWAS, for calibration.")] = None,
    snp_column: Annotated[str, _flag("snp_column", "Column of SNP ids.")] = "SNP",
    effect_allele_column: Annotated[str, _flag("effect_allele_column", "Effect allele.")] = "A1",
    non_effect_allele_column: Annotated[str, _flag("non_effect_allele_column", "Other allele.")] = "A2",
    chromosome_column: Annotated[str | None, _flag("chromosome_column", "Taken and not used.")] = None,
    position_column: Annotated[str | None, _flag("position_column", "Taken and not used.")] = None,
    freq_column: Annotated[str | None, _flag("freq_column", "Taken and not used.")] = None,
    beta_column: Annotated[str | None, _flag("beta_column", "Effect size.")] = None,
    beta_sign_column: Annotated[str | None, _flag("beta_sign_column", "Sign of the effect, + or -.")] = None,
    or_column: Annotated[str | None, _flag("or_column", "Odds ratio.")] = None,
    se_column: Annotated[str | None, _flag("se_column", "Standard error of the effect.")] = None,
    zscore_column: Annotated[str | None, _flag("zscore_column", "z-score.")] = None,
    pvalue_column: Annotated[str | None, _flag("pvalue_column", "p-value (not -log10).")] = None,
    separator: Annotated[str | None, _flag("separator", "Cell separator; any whitespace by default.")] = None,
    skip_until_header: Annotated[
        str | None, _flag("skip_until_header", "Skip what stands before this header line.")
    ] = None,
    handle_empty_columns: Annotated[bool, _flag("handle_empty_columns", "Cells may be empty.")] = False,
    input_pvalue_fix: Annotated[
        float, _flag("input_pvalue_fix", "Stand-in for p = 0 (1e-300 works here); 0 drops such rows.")
    ] = 1e-50,
    keep_non_rsid: Annotated[bool, _flag("keep_non_rsid", "Use ids that are no rs numbers.")] = False,
    snp_map_file: Annotated[str | None, _flag("snp_map_file", "Map of GWAS SNPs to model variants.")] = None,
    split_column: Annotated[list[str] | None, _flag("split_column", "Taken and not used.")] = None,
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

    from gputwas.cli.lean import with_plain_memory, without_pandas

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


def parse_flags(words: list[str]) -> SPrediXcanOptions:
    """Options from a command line of `gputwas spredixcan`, without running it."""
    app = typer.Typer()
    register(app)
    return _options(typer.main.get_command(app).make_context("gputwas spredixcan", words))  # type: ignore[arg-type]
