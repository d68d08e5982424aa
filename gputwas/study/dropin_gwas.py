"""The GWAS as MetaXcan's programs are told of it: flags that they share, and a reader that goes by them.

In: flags under the reference's names. Out: the files in the reference's order, and a reader of their rows.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass

from gputwas.errors import InputError, UsageError
from gputwas.formats.sumstats import SumstatsReader, open_sumstats
from gputwas.ingest.panel import PanelFilter
from gputwas.study.unnamed_columns import with_unnamed_columns

__all__ = ["GwasFlags", "gwas_paths", "gwas_reader"]

_BLOCK_BYTES = (
    2 << 20
)  # of GWAS text at a time: the process stays small, and a block in the processor's cache


@dataclass(frozen=True, kw_only=True)
class GwasFlags:
    """Flags of a GWAS.

    Attributes
    ----------
    gwas_file, or gwas_folder with gwas_file_pattern (a regular expression that names match from their
        beginning).
    *_column : names of GWAS columns. separator : None is any whitespace.
    input_pvalue_fix : stand-in for p = 0; 0 drops those rows.
    """

    gwas_file: str | None = None
    gwas_folder: str | None = None
    gwas_file_pattern: str | None = None
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

    def check_gwas(self) -> None:
        """Refuse flags that name no GWAS, two of them, or no source of z.

        Raises
        ------
        UsageError : as said.
        """
        if (self.gwas_file is None) == (self.gwas_folder is None):
            raise UsageError("give either --gwas_file or --gwas_folder (with --gwas_file_pattern)")
        if self.gwas_file_pattern and not self.gwas_folder:
            raise UsageError("--gwas_file_pattern needs --gwas_folder")
        if not 0 <= self.input_pvalue_fix <= 1:
            raise UsageError(f"--input_pvalue_fix must be between 0 and 1, not {self.input_pvalue_fix}")
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


def _check_statistic(flags: GwasFlags) -> None:
    """Refuse flags that do not say where z comes from (rules of the reference's M03_betas.py)."""
    effect = flags.beta_column or flags.or_column
    if flags.zscore_column:
        return
    if flags.pvalue_column:
        if not (effect or flags.beta_sign_column):
            raise UsageError(
                "a p-value has no direction: name --beta_column, --or_column or --beta_sign_column too"
            )
    elif not (flags.se_column and effect):
        raise UsageError(
            "name where z comes from: --zscore_column, or --pvalue_column with an effect or its sign, "
            "or --se_column with --beta_column or --or_column"
        )


def gwas_paths(flags: GwasFlags) -> list[str]:
    """Files of the GWAS in the order in which the reference reads them.

    Raises
    ------
    InputError : the folder is missing, or no file's name fits the pattern.
    """
    if flags.gwas_file:
        return [flags.gwas_file]
    folder = str(flags.gwas_folder)
    if not os.path.isdir(folder):
        raise InputError("there is no such folder", path=folder, remedy="Check --gwas_folder.")
    names = sorted(name for name in os.listdir(folder) if os.path.isfile(os.path.join(folder, name)))
    try:
        pattern = re.compile(flags.gwas_file_pattern or "")
    except re.error as error:
        raise UsageError(
            f"--gwas_file_pattern {flags.gwas_file_pattern!r} is not a regular expression ({error}); write "
            ".*gz and not *.gz"
        ) from error
    chosen = [os.path.join(folder, name) for name in names if pattern.match(name)]  # at the name's beginning
    if not chosen:
        shown = ", ".join(names[:5]) or "an empty folder"
        raise InputError(
            "no file name fits --gwas_file_pattern",
            path=folder,
            found=shown,
            expected=f"names that match {flags.gwas_file_pattern!r} from their beginning",
            remedy="The pattern is a regular expression, not a wildcard: .*gz and not *.gz.",
        )
    return chosen


def gwas_reader(flags: GwasFlags, keep: PanelFilter) -> SumstatsReader:
    """A reader of the rows that `keep` wants, with the columns that the reference would take.

    Raises
    ------
    InputError : a file is missing or no table, or lacks a column that was named.
    """
    header = _open(flags, {"variant_id": flags.snp_column}, keep).layout.header
    columns = with_unnamed_columns(flags.columns(), header)
    if "TEST" in header:
        # PLINK 2 writes rows of covariates and other models below those of the SNP; the reference lets the
        # last of them win, here only additive rows count
        columns["test"] = "TEST"
    return _open(flags, columns, keep)


def _open(flags: GwasFlags, columns: dict[str, str], keep: PanelFilter) -> SumstatsReader:
    return open_sumstats(
        gwas_paths(flags),
        columns=columns,
        separator=flags.separator,
        skip_until_header=flags.skip_until_header,
        handle_empty_columns=flags.handle_empty_columns,
        parity=True,
        keep=keep,
        block_bytes=_BLOCK_BYTES,
    )
