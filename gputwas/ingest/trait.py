"""One trait's GWAS, aligned to a panel.

In: a reader of summary statistics (record batches with canonical columns) and a panel of variants. Out: z,
beta and standard error of every panel variant, NaN where the file has none, and an account of what became of
every row.

Each batch is cut to the panel's variants as soon as it is read, so memory grows with the panel and not with
the file. Alleles, strand, duplicates and the p = 0 rule are settled at the end, when all rows are known.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from gputwas.errors import InputError, UsageError
from gputwas.ingest.diagnose import Diagnosis, diagnose_identifiers, diagnose_rows
from gputwas.ingest.panel import PanelFilter, PanelIndex, one_array
from gputwas.ingest.suspicions import suspicions
from gputwas.ingest.zscores import PVALUE_FIX, ZScores, z_scores
from gputwas.variants.align import (
    Alignment,
    Mode,
    Palindromes,
    Reason,
    Strand,
    align,
    count_reasons,
    infer_other_allele,
)
from gputwas.variants.duplicates import resolve_duplicates
from gputwas.variants.match import best_candidates

__all__ = ["MIN_FOUND", "ROLES_USED", "PanelFilter", "PanelIndex", "Reader", "TraitStatistics", "read_trait"]

log = logging.getLogger(__name__)

MIN_FOUND = 0.25
"""Below this share of the panel's variants found, a warning says what is probably wrong."""

_NUMBERS = ("z", "beta", "se", "p", "nlog10_p", "sign", "n")
_TEXTS = ("variant_id", "effect_allele", "other_allele")
ROLES_USED = (*_TEXTS, *_NUMBERS, "chromosome")
"""Columns that `read_trait` looks at; a reader may leave out all others."""


Float = npt.NDArray[np.float64]


class Reader(Protocol):
    """What `read_trait` needs of a reader of summary statistics."""

    @property
    def paths(self) -> Sequence[str]:
        """The files."""

    @property
    def layout(self) -> Any:
        """What was taken for what."""

    @property
    def rows_read(self) -> int:
        """Well-formed data rows, known after the iteration."""

    @property
    def rows_malformed(self) -> int:
        """Rows that could not be split into the header's columns."""

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        """Yield batches of rows in file order."""


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
    rows = _collect(reader, target, keep_all, seen or PanelFilter(target), mode, filtered=seen is not None)
    if rows.table is None or rows.table.num_rows == 0:
        raise _nothing_found(reader, target, rows, build)
    alignment, panel_rows, file_rows = _align(rows, target, mode, palindromes)
    numbers = {name: _float(rows.table[name]) for name in _NUMBERS if name in rows.table.column_names}
    scores = z_scores({k: v for k, v in numbers.items() if k != "n"}, mode=mode, pvalue_fix=pvalue_fix)
    numbers = {name: values[file_rows] for name, values in numbers.items()}
    scores = replace(scores, z=scores.z[file_rows])
    alignment = resolve_duplicates(panel_rows, scores.z, alignment, mode=mode, beta=numbers.get("beta"))
    statistics = _scatter(reader, target, rows, alignment, (panel_rows, file_rows), scores, numbers)
    _check_usable(reader, statistics, alignment)
    return _with_warnings(reader, statistics, rows, target, min_found, build)


@dataclass
class _Rows:
    """The file's rows for variants of the panel, and what is needed to say why there are so few."""

    table: pa.Table | None = None
    pair_rows: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    pair_panel: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    not_rsid: int = 0
    chromosomes: set[str] = field(default_factory=set)
    sample: list[pa.Array] = field(default_factory=list)


def _collect(
    reader: Reader, panel: PanelIndex, keep_all: bool, seen: PanelFilter, mode: Mode, *, filtered: bool
) -> _Rows:
    """Read all batches and keep the rows whose identifier is in the panel."""
    found = _Rows(sample=seen.sample)
    tables, pair_rows, pair_panel, kept = [], [], [], 0
    for batch in reader:
        names = batch.schema.names
        _require_columns(reader, names, mode)
        ids = batch["variant_id"]
        if not filtered:
            seen(ids)
        if "chromosome" in names:
            found.chromosomes.update(pc.unique(pc.drop_null(batch["chromosome"])).to_pylist())
        rows, panel_rows = panel.index.find(ids)
        if not keep_all and len(rows):
            has_rs = np.asarray(pc.match_substring(ids.take(pa.array(rows)), "rs"))
            found.not_rsid += len(np.unique(rows[~has_rs]))
            rows, panel_rows = rows[has_rs], panel_rows[has_rs]
        different, position = np.unique(rows, return_inverse=True)
        wanted = [name for name in (*_TEXTS, *_NUMBERS) if name in names]
        tables.append(pa.table([batch[name].take(pa.array(different)) for name in wanted], names=wanted))
        pair_rows.append(position + kept)
        pair_panel.append(panel_rows)
        kept += len(different)
    # Of a reader that leaves out rows the batches show only chromosomes on which something is wanted.
    found.chromosomes.update(getattr(getattr(reader, "counts", None), "chromosomes", ()))
    if tables:
        found.table = pa.concat_tables(tables, promote_options="permissive").combine_chunks()
        found.pair_rows, found.pair_panel = np.concatenate(pair_rows), np.concatenate(pair_panel)
    return found


def _require_columns(reader: Reader, names: Iterable[str], mode: Mode) -> None:
    words = {"variant_id": "variant identifiers", "effect_allele": "effect alleles"}
    if mode == "parity":  # in strict mode the panel supplies it, see `infer_other_allele`
        words["other_allele"] = "other alleles"
    for role, word in words.items():
        if role not in names:
            raise InputError(
                f"there is no column of {word}",
                path=_where(reader),
                found=reader.layout.describe(),
                remedy=f"Name it: --column {role}=NAME.",
            )


def _align(
    rows: _Rows, panel: PanelIndex, mode: Mode, palindromes: Palindromes
) -> tuple[Alignment, npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Verdict, panel variant and row of the file: each row once, at multi-allelic sites with what fits.

    In strict mode a row that fits several panel variants (one SNP that two tissues' models write on opposite
    strands) is there once for each of them.
    """
    assert rows.table is not None
    gwas, ours = pa.array(rows.pair_rows), pa.array(rows.pair_panel)
    panel_alleles = panel.effect.take(ours), panel.other.take(ours)
    effect = one_array(rows.table["effect_allele"]).take(gwas)
    if "other_allele" in rows.table.column_names:
        other = one_array(rows.table["other_allele"]).take(gwas)
    else:
        other = infer_other_allele(*panel_alleles, effect)
        # A row has one other allele, that of the variant it fits best.
        likely = align(*panel_alleles, effect, other, mode=mode, palindromes=palindromes, rows=rows.pair_rows)
        other = other.take(pa.array(best_candidates(rows.pair_rows, likely.reason))).take(gwas)
    pairs = align(*panel_alleles, effect, other, mode=mode, palindromes=palindromes, rows=rows.pair_rows)
    used = best_candidates(rows.pair_rows, pairs.reason)
    if mode == "strict":
        used = np.union1d(used, np.flatnonzero(pairs.sign))
    verdicts = Alignment(pairs.sign[used], pairs.reason[used], pairs.strand)
    return verdicts, rows.pair_panel[used], rows.pair_rows[used]


def _scatter(
    reader: Reader,
    panel: PanelIndex,
    rows: _Rows,
    alignment: Alignment,
    places: tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]],
    scores: ZScores,
    numbers: dict[str, Float],
) -> TraitStatistics:
    panel_rows, file_rows = places
    kept = np.flatnonzero(alignment.sign)
    to, sign = panel_rows[kept], alignment.sign[kept]
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
    verdicts = alignment.reason[best_candidates(file_rows, alignment.reason)]  # one of each row
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


def _rows_left_out(reader: Reader, rows: _Rows, aligned: int) -> dict[str, int]:
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
        problem, path=_where(reader), found=f"{diagnosis.cause}; {statistics.layout}", remedy=diagnosis.remedy
    )


def _nothing_found(reader: Reader, panel: PanelIndex, rows: _Rows, build: str | None) -> InputError:
    if reader.rows_read == 0:
        return InputError(
            "there are no data rows", path=_where(reader), found=f"{reader.rows_malformed:,} malformed rows"
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
        diagnosis = _diagnosis(panel, rows, build)
    return InputError(
        f"none of the models' {len(panel):,} variants is in this file: {diagnosis.cause}",
        path=_where(reader),
        found=reader.layout.describe(),
        remedy=diagnosis.remedy,
    )


def _diagnosis(panel: PanelIndex, rows: _Rows, build: str | None) -> Diagnosis:
    return diagnose_identifiers(
        pa.chunked_array(rows.sample, pa.string()).combine_chunks(), panel.ids, build=build
    )


def _with_warnings(
    reader: Reader,
    statistics: TraitStatistics,
    rows: _Rows,
    panel: PanelIndex,
    min_found: float,
    build: str | None,
) -> TraitStatistics:
    """Add what there is to warn about, and log it all."""
    warnings = [*statistics.warnings, *suspicions(reader)]
    if rows.table is not None and "other_allele" not in rows.table.column_names:
        warnings.append(
            "the file names no other allele; it was taken from the models, so a row of another variant with "
            "the same identifier and effect allele would not be noticed"
        )
    if statistics.found_share < min_found:
        kept = int(np.isfinite(statistics.z).sum())
        in_file = sum(n for name, n in statistics.counts.items() if name != "not_in_panel")
        diagnosis = diagnose_rows(statistics.counts) if kept < in_file / 2 else _diagnosis(panel, rows, build)
        warnings.append(
            f"only {kept:,} of the models' variants ({statistics.found_share:.1%}) are usable, less than "
            f"{min_found:.0%}: {diagnosis}"
        )
    if lost := statistics.counts.get("palindromic") if statistics.strand == "unknown" else 0:
        warnings.append(
            f"{lost:,} A/T or C/G rows were dropped because the other rows do not tell which strand the file "
            "is on. If it is known to be the forward strand: --palindromes forward."
        )
    for warning in warnings:
        log.warning("%s: %s", _where(reader), warning)
    return replace(statistics, warnings=tuple(warnings))


def _where(reader: Reader) -> str:
    first = str(reader.paths[0]) if reader.paths else "(no file)"
    return first if len(reader.paths) < 2 else f"{first} and {len(reader.paths) - 1:,} more"


def _float(column: pa.ChunkedArray) -> Float:
    return np.asarray(pc.fill_null(column.cast(pa.float64()), np.nan), dtype=np.float64)
