"""One trait's GWAS, aligned to a panel.

In: a reader of summary statistics (record batches with canonical columns) and a panel of variants. Out: z,
beta and standard error of every panel variant, NaN where the file has none, and an account of what became of
every row.

Each batch is cut to the panel's variants as soon as it is read, so memory grows with the panel and not with
the file. Alleles, strand, duplicates and the p = 0 rule are settled at the end, when all rows are known.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from gputwas.errors import InputError, UsageError
from gputwas.ingest.diagnose import Diagnosis, diagnose_identifiers, diagnose_rows
from gputwas.ingest.diagnose_keys import (
    AllelesIn,
    check_same_build,
    diagnose_map,
    diagnose_places,
    lift_warnings,
)
from gputwas.ingest.keys import Key, PlaceKey
from gputwas.ingest.layouts import Matched
from gputwas.ingest.matching import ROLES_USED, Matching, Reader, read_rows, where
from gputwas.ingest.panel import PanelFilter, PanelIndex
from gputwas.ingest.suspicions import suspicions
from gputwas.ingest.zscores import PVALUE_FIX, ZScores, z_scores
from gputwas.variants.align import Alignment, Mode, Palindromes, Reason, Strand, count_reasons
from gputwas.variants.duplicates import resolve_duplicates
from gputwas.variants.match import best_candidates

__all__ = ["MIN_FOUND", "ROLES_USED", "PanelFilter", "PanelIndex", "Reader", "TraitStatistics", "read_trait"]

log = logging.getLogger(__name__)

MIN_FOUND = 0.25
"""Below this share of the panel's variants found, a warning says what is probably wrong."""

Float = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class TraitStatistics:
    """One trait over the panel, in the orientation of the panel's effect alleles.

    Attributes
    ----------
    z : float32 (variants,), NaN = missing.
    beta : float64 (variants,) or None if the file has no effect size; NaN = missing.
    se : float64 (variants,) or None if the file has no standard error.
    effect : "beta", "log_odds" (beta is the logarithm of an odds ratio) or "none".
    counts : rows by reason (`Reason` names in lower case); they add up to `rows_read`.
    rows_read, rows_malformed : data rows of the file that could be read, and that could not.
    found_share : share, 0 to 1, of the panel's variants on the chromosomes of the file that have a z.
    sources : source of z -> rows it served, see `gputwas.ingest.zscores`.
    strand : strand of the file, strict mode.
    n : median sample size of the rows used, or None if the file does not say.
    layout : what was taken for what, in one line.
    dialect : name of the file's dialect.
    warnings : what a person must know.
    matched_by : "id", "position" or "map"; matched_how : the same in words.
    lifted : all rows by what became of them in the panel's build (mapped, moved, split, unmapped; reversed;
        reversed_indels, which are left out); empty if the file was not lifted.
    """

    z: npt.NDArray[np.float32]
    beta: Float | None
    se: Float | None
    effect: str
    counts: dict[str, int]
    rows_read: int
    rows_malformed: int
    found_share: float
    sources: dict[str, int]
    strand: Strand
    n: float | None
    layout: str
    dialect: str
    warnings: tuple[str, ...] = ()
    matched_by: str = "id"
    matched_how: str = "identifier"
    lifted: Mapping[str, int] = field(default_factory=dict)


def read_trait(
    reader: Reader,
    panel: pa.Table | PanelIndex,
    *,
    mode: Mode = "strict",
    keep_non_rsid: bool | None = None,
    pvalue_fix: float = PVALUE_FIX,
    palindromes: Palindromes = "infer",
    min_found: float = MIN_FOUND,
    build: str | None = None,
    seen: PanelFilter | None = None,
    key: Key | None = None,
) -> TraitStatistics:
    """Read one trait and align it to the panel.

    Parameters
    ----------
    reader : the trait's file or files.
    panel : the panel, or an index of it made once for many traits.
    mode : "strict" or "parity" (what MetaXcan does).
    keep_non_rsid : use rows whose identifier does not contain "rs"; None = no in parity, yes in strict mode.
    pvalue_fix : parity mode: stand-in for p = 0, see `z_scores`.
    palindromes : strict mode: what to do with A/T and C/G, see `align`.
    min_found : share of the panel below which a warning is given, 0 to 1.
    build : genome build of the file, if known; used in messages only.
    seen : the filter that the reader was opened with, if it was.
    key : by what rows are matched, see `gputwas.ingest.choose_key`; None = the panel's identifiers as text.

    Raises
    ------
    InputError
        If no variant of the panel is found or none is usable, with the likely cause and the remedy; if both
        alleles are the same in all rows; if there is no identifier, no allele or no statistic.
    """
    if not 0 <= min_found <= 1:
        raise UsageError(f"the least share of variants found must be between 0 and 1, not {min_found}")
    target = panel if isinstance(panel, PanelIndex) else PanelIndex(panel)
    keep_all = mode == "strict" if keep_non_rsid is None else keep_non_rsid
    by = key or target.key
    rows, numbers = read_rows(reader, target, Matching(mode, keep_all, palindromes, by.name), seen, by)
    explained = _Explained(target, rows, build, key)
    if not len(rows.file_rows):
        raise _nothing_found(reader, target, rows, explained)
    if by.placed:
        placed = int(reader.rows_read) if rows.placed is None else rows.placed
        possible = min(placed, target.on_chromosomes(rows.chromosomes))
        alleles: AllelesIn = "ids" if by.alleles else "rows" if rows.names_other_allele else "no"
        agree = check_same_build(
            rows.panel_rows, rows.alignment.reason, possible, where(reader), by.said, alleles=alleles
        )
        explained = replace(explained, agree=agree)
    scores = z_scores({k: v for k, v in numbers.items() if k != "n"}, mode=mode, pvalue_fix=pvalue_fix)
    numbers = {name: values[rows.file_rows] for name, values in numbers.items()}
    scores = replace(scores, z=scores.z[rows.file_rows])
    alignment = resolve_duplicates(
        rows.panel_rows, scores.z, rows.alignment, mode=mode, beta=numbers.get("beta")
    )
    statistics = _scatter(reader, target, rows, alignment, scores, numbers)
    statistics = replace(statistics, matched_by=by.by, matched_how=by.said, lifted=rows.lifted)
    _check_usable(reader, statistics, alignment)
    return _with_warnings(reader, statistics, rows, min_found, explained)


@dataclass(frozen=True)
class _Explained:
    """What is known when few or no rows were found, and what it means."""

    panel: PanelIndex
    rows: Matched
    build: str | None
    key: Key | None
    agree: bool = False  # alleles show that file and panel are on one build

    def diagnosis(self) -> Diagnosis:
        """Why so few rows were found."""
        if isinstance(self.key, PlaceKey):
            lifted = None if self.key.lift is None else self.key.lift.said
            return diagnose_places(
                self.panel.style, self.rows.placed, lifted, self.key.columns, agree=self.agree
            )
        if self.key is not None and self.key.placed:
            return diagnose_places(self.panel.style, None, None, None, agree=self.agree)
        sample = pa.chunked_array(list(self.rows.sample), pa.string()).combine_chunks()
        if self.key is not None and self.key.by == "map":
            return diagnose_map(sample, self.key.said)
        return diagnose_identifiers(sample, self.panel.ids, build=self.build, options=self.key is not None)


def _scatter(
    reader: Reader,
    panel: PanelIndex,
    rows: Matched,
    alignment: Alignment,
    scores: ZScores,
    numbers: dict[str, Float],
) -> TraitStatistics:
    kept = np.flatnonzero(alignment.sign)
    to, sign = rows.panel_rows[kept], alignment.sign[kept]
    z = np.full(len(panel), np.nan, np.float32)
    z[to] = scores.z[kept] * sign
    beta = se = None
    if "beta" in numbers:
        beta = np.full(len(panel), np.nan)
        beta[to] = numbers["beta"][kept] * sign
    if "se" in numbers:
        se = np.full(len(panel), np.nan)
        se[to] = numbers["se"][kept]
    sizes = numbers["n"][kept] if "n" in numbers else np.zeros(0)
    sizes = sizes[np.isfinite(sizes)]
    verdicts = alignment.reason[best_candidates(rows.file_rows, alignment.reason)]  # one of each row
    counts = count_reasons(verdicts)
    counts |= _rows_left_out(reader, rows, len(verdicts))
    return TraitStatistics(
        z, beta, se,
        effect="none" if beta is None else "log_odds" if reader.layout.effect_kind == "log_odds" else "beta",
        counts=counts,
        rows_read=int(reader.rows_read),
        rows_malformed=int(reader.rows_malformed),
        found_share=panel.share_found(len(kept), rows.chromosomes),
        sources=scores.sources,
        strand=alignment.strand,
        n=float(np.median(sizes)) if sizes.size else getattr(reader.layout, "n", None),
        layout=reader.layout.describe(),
        dialect=reader.layout.dialect,
        warnings=scores.warnings,
    )  # fmt: skip


def _rows_left_out(reader: Reader, rows: Matched, aligned: int) -> dict[str, int]:
    """Count the rows that never came to be aligned, by reason."""
    other_test = int(getattr(getattr(reader, "counts", None), "other_test", 0))
    elsewhere = int(reader.rows_read) - other_test - aligned - rows.not_rsid
    counts = {"not_in_panel": elsewhere, "not_rsid": rows.not_rsid, "other_test": other_test}
    return {name: count for name, count in counts.items() if count > 0}


def _check_usable(reader: Reader, statistics: TraitStatistics, alignment: Alignment) -> None:
    """Refuse a file of which nothing can be used."""
    if alignment.sign.any():
        return
    if (alignment.reason == Reason.SAME_ALLELES).all():
        problem = "effect allele and other allele are the same in every row for the models' variants"
    else:
        problem = "no row can be used for the models' variants"
    diagnosis = diagnose_rows(statistics.counts)
    raise InputError(
        problem, path=where(reader), found=f"{diagnosis.cause}; {statistics.layout}", remedy=diagnosis.remedy
    )


def _nothing_found(reader: Reader, panel: PanelIndex, rows: Matched, explained: _Explained) -> InputError:
    if reader.rows_read == 0:
        return InputError(
            "there are no data rows", path=where(reader), found=f"{reader.rows_malformed:,} malformed rows"
        )
    if rows.not_rsid:
        diagnosis = diagnose_rows({"not_rsid": rows.not_rsid})
    elif panel.on_chromosomes(rows.chromosomes) == 0:
        there = ", ".join(sorted(rows.chromosomes)[:30])
        diagnosis = Diagnosis(
            f"the models have no variant on the file's chromosomes ({there})",
            "Give the files of the other chromosomes as well, or other models.",
        )
    else:
        diagnosis = explained.diagnosis()
    return InputError(
        f"none of the models' {len(panel):,} variants is in this file: {diagnosis.cause}",
        path=where(reader),
        found=reader.layout.describe(),
        remedy=diagnosis.remedy,
    )


def _with_warnings(
    reader: Reader,
    statistics: TraitStatistics,
    rows: Matched,
    min_found: float,
    explained: _Explained,
) -> TraitStatistics:
    """Add what there is to warn about, and log it all."""
    warnings = [*statistics.warnings, *suspicions(reader)]
    if not rows.names_other_allele:
        warnings.append(
            "the file names no other allele; it was taken from the models, so a row of another variant with "
            "the same identifier and effect allele would not be noticed"
        )
    if statistics.found_share < min_found:
        kept = int(np.isfinite(statistics.z).sum())
        in_file = sum(n for name, n in statistics.counts.items() if name != "not_in_panel")
        diagnosis = diagnose_rows(statistics.counts) if kept < in_file / 2 else explained.diagnosis()
        warnings.append(
            f"only {kept:,} of the models' variants ({statistics.found_share:.1%}) are usable, less than "
            f"{min_found:.0%}: {diagnosis}"
        )
    warnings += lift_warnings(statistics.lifted)
    if lost := statistics.counts.get("palindromic") if statistics.strand == "unknown" else 0:
        warnings.append(
            f"{lost:,} A/T or C/G rows were dropped because the other rows do not tell which strand the file "
            "is on. If it is known to be the forward strand: --palindromes forward."
        )
    for warning in warnings:
        log.warning("%s: %s", where(reader), warning)
    return replace(statistics, warnings=tuple(warnings))
