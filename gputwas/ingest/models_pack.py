"""Prediction models and their covariances, packed for batched products.

In: the tables of any number of tissues. Out: a `ModelSet` over one panel of variants, and an account of what
was left out and why.
"""

from __future__ import annotations

import logging
import re
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gputwas.errors import InputError, UsageError
from gputwas.formats.covariance import Covariances
from gputwas.formats.predictdb import TissueModels
from gputwas.formats.triangles import Triangles
from gputwas.ingest.models_entries import TissueEntries, tissue_entries
from gputwas.ingest.models_ld import TissueLD, tissue_ld, triangles_ld, unit_ld
from gputwas.ingest.models_panel import join_panel
from gputwas.ingest.models_report import ImportReport, TissueReport
from gputwas.progress import progress
from gputwas.stores.arrow import joined
from gputwas.stores.models import ModelSet
from gputwas.variants.identifiers import style_of

__all__ = ["CovarianceSource", "Packing", "pack_models"]

log = logging.getLogger(__name__)

CovarianceSource = Covariances | Triangles | Callable[[], Covariances | Triangles] | None
_PERFORMANCE = ("pred_perf_r2", "pred_perf_pval", "pred_perf_qval", "phi")
_VERSION = re.compile(r"\.\d+$")


@dataclass(frozen=True)
class _Rules:
    allow_missing_ld: bool
    single_snp_model: bool


def pack_models(
    sources: Sequence[tuple[TissueModels, CovarianceSource]],
    *,
    allow_missing_ld: bool = False,
    single_snp_model: bool = False,
    gene_table: pa.Table | None = None,
) -> tuple[ModelSet, ImportReport]:
    """Pack models and LD of all tissues.

    Parameters
    ----------
    sources : models and covariances of each tissue. The covariances may be a function that reads them, so
        that only one tissue's are in memory at a time; None is for `single_snp_model`.
    allow_missing_ld : leave SNPs that the covariance lacks out of z and var_g, as MetaXcan does, and count
        them.
    single_snp_model : every model has one SNP and Γ = 1; no covariance is used.
    gene_table : gene, chromosome, start, end and perhaps gene_name; ids are compared without their version
        where they differ with it.

    Returns
    -------
    ModelSet, ImportReport
        Tissues in the order given, genes by id. Tissues without any model are not in the set.

    Raises
    ------
    InputError
        If two tissues have one name, there is no model at all, a SNP lacks LD (unless allowed), no SNP of a
        tissue is in its covariance, the covariance of a pair is missing, or every var_g of a tissue is <= 0.
    UsageError
        If a tissue has no covariances and the models are not said to be of a single SNP.
    """
    packing = Packing([models for models, _ in sources], gene_table=gene_table)
    return packing.finish(
        [source for _, source in sources],
        allow_missing_ld=allow_missing_ld,
        single_snp_model=single_snp_model,
    )


class Packing:
    """Models whose panel is known and whose LD is still to come.

    Reading a GWAS needs the panel alone, so LD can be read and packed beside it. `Packing(models)` and then
    `finish(sources)` are `pack_models`; parameters and errors are the same.

    Attributes
    ----------
    panel : table (variants,) of the variants of all models, as `ModelSet.panel`.
    """

    def __init__(self, models: Sequence[TissueModels], *, gene_table: pa.Table | None = None) -> None:
        self._started = time.monotonic()
        _check_names(models)
        self._warnings: list[str] = []
        every = [tissue_entries(of_tissue) for of_tissue in models]
        for entries in every:
            if not entries.genes.num_rows:
                self._warnings.append(f"{entries.path}: tissue {entries.tissue} has no model and is left out")
                log.warning(self._warnings[-1])
        self._has_models = [bool(entries.genes.num_rows) for entries in every]
        self._entries = [entries for entries in every if entries.genes.num_rows]
        if not self._entries:
            raise InputError(
                "there is no model with weights in the database",
                path=models[0].path if models else None,
                remedy="Some releases hold a tissue for which nothing was learnt; leave it out.",
            )
        self._places = [_gene_places(entries.genes, gene_table) for entries in self._entries]
        self._joined = join_panel(self._entries, [place["chromosome"] for place in self._places])
        self.panel: pa.Table = self._joined.table

    def finish(
        self,
        sources: Sequence[CovarianceSource],
        *,
        allow_missing_ld: bool = False,
        single_snp_model: bool = False,
    ) -> tuple[ModelSet, ImportReport]:
        """Pack the LD, one source per tissue in the order of the models."""
        rules = _Rules(allow_missing_ld, single_snp_model)
        joined = self._joined
        kept = [source for source, used in zip(sources, self._has_models, strict=True) if used]
        packed, reports = [], []
        with progress("Models and LD", len(kept), "tissues") as shown:
            for entries, source, rows, signs in zip(
                self._entries, kept, joined.rows, joined.signs, strict=True
            ):
                begun = time.monotonic()
                ld = _ld(entries, signs, source, rules)
                packed.append(ld)
                reports.append(_report(entries, ld, rows, signs, time.monotonic() - begun))
                self._warnings.extend(_warn(reports[-1]))
                shown.advance()
        model_set = _assemble(self.panel, self._entries, self._places, packed, joined.rows, joined.signs)
        seconds = time.monotonic() - self._started
        return model_set, ImportReport(tuple(reports), self.panel.num_rows, tuple(self._warnings), seconds)


def _check_names(models: Sequence[TissueModels]) -> None:
    for tissue, count in Counter(model.tissue for model in models).items():
        if count > 1:
            raise InputError(
                f"{count} databases are of the tissue {tissue!r}",
                found=", ".join(model.path for model in models if model.tissue == tissue),
                remedy="Import models of different methods into stores of their own.",
            )


def _ld(entries: TissueEntries, signs: np.ndarray, source: CovarianceSource, rules: _Rules) -> TissueLD:
    if rules.single_snp_model:
        return unit_ld(entries)
    if source is None:
        raise UsageError(f"{entries.path}: the models of {entries.tissue} need a covariance (--covariance).")
    covariances = source() if callable(source) else source
    if isinstance(covariances, Triangles):
        ld = triangles_ld(entries, signs, covariances)
    else:
        ld = tissue_ld(entries, signs, covariances)
    if not ld.n_in_ld.any():
        raise InputError(
            f"no SNP of the models of {entries.tissue} is in this covariance, it belongs to other models",
            path=covariances.path,
            found=style_of(covariances.snps).describe(),
            expected=style_of(entries.ids).describe(),
            remedy="Give the covariance that was released with these models; "
            "if the two name SNPs differently, choose the models' column with --model-db-snp-key.",
        )
    if not rules.allow_missing_ld:
        _refuse_missing_ld(entries, ld, covariances)
    if not np.any(ld.var_g > 0):
        raise InputError(
            f"var_g of every model of {entries.tissue} is zero or negative, so no association is defined",
            path=covariances.path,
            found=f"{entries.genes.num_rows} models",
            remedy="Check that the covariance belongs to these models and is not rounded to nothing.",
        )
    return ld


def _refuse_missing_ld(entries: TissueEntries, ld: TissueLD, covariances: Covariances | Triangles) -> None:
    sizes = entries.sizes
    missing = int(sizes.sum()) - int(ld.n_in_ld.sum())
    if not missing:
        return
    lacking = ld.n_in_ld < sizes
    model = int(np.argmax(lacking))
    entry = int(ld.order[int(sizes[:model].sum()) + int(ld.n_in_ld[model])])
    raise InputError(
        f"tissue {entries.tissue}: {missing:,} SNPs of {int(lacking.sum()):,} of the {len(sizes):,} models "
        f"are not in the covariance, the first is {entries.ids[int(entries.snp[entry])]} of gene "
        f"{entries.genes['gene'][model]}",
        path=covariances.path,
        remedy="Give the covariance that was released with these models, or pass --allow-missing-ld to leave "
        "these SNPs out, as MetaXcan does.",
    )


def _report(
    entries: TissueEntries, ld: TissueLD, rows: np.ndarray, signs: np.ndarray, seconds: float
) -> TissueReport:
    return TissueReport(
        tissue=entries.tissue,
        models=entries.genes.num_rows,
        weights=len(entries.weights),
        snps=int(np.count_nonzero(np.bincount(rows))),
        genes_without_weights=entries.genes_without_weights,
        weights_left_out=sum(entries.weights_left_out.values()),
        snps_without_ld=len(entries.weights) - int(ld.n_in_ld.sum()),
        models_without_ld=int((ld.n_in_ld == 0).sum()),
        no_variance=int((ld.var_g <= 0).sum()),
        turned=int((signs < 0).sum()),
        seconds=seconds,
    )


def _warn(report: TissueReport) -> list[str]:
    found = []
    if report.no_variance:
        found.append(
            f"tissue {report.tissue}: var_g of {report.no_variance:,} of {report.models:,} models is zero or "
            "negative (a covariance rounded to few decimals need not be positive definite); they get no z"
        )
    if report.snps_without_ld:
        found.append(
            f"tissue {report.tissue}: {report.snps_without_ld:,} SNPs are not in the covariance and are left "
            f"out, {report.models_without_ld:,} models lose all of theirs"
        )
    for text in found:
        log.warning(text)
    return found


def _gene_places(genes: pa.Table, gene_table: pa.Table | None) -> dict[str, pa.Array]:
    """Chromosome, start, end and name of each gene from the gene table; null where it does not tell."""
    types = {"chromosome": pa.string(), "start": pa.int64(), "end": pa.int64(), "gene_name": pa.string()}
    if gene_table is None:
        return {name: pa.nulls(genes.num_rows, kind) for name, kind in types.items()}
    known = gene_table["gene"].cast(pa.string())
    row = pc.index_in(genes["gene"], value_set=known)
    plain, known_plain = (
        pc.replace_substring_regex(ids, _VERSION.pattern, "") for ids in (genes["gene"], known)
    )
    row = pc.coalesce(row, pc.index_in(plain, value_set=known_plain)).combine_chunks()
    found = {
        name: gene_table[name].cast(kind).take(row).combine_chunks()
        if name in gene_table.column_names
        else pa.nulls(genes.num_rows, kind)
        for name, kind in types.items()
    }
    found["chromosome"] = pc.replace_substring_regex(found["chromosome"], "^(?i:chr)", "")
    return found


def _assemble(
    panel: pa.Table,
    tissues: Sequence[TissueEntries],
    places: Sequence[dict[str, pa.Array]],
    packed: Sequence[TissueLD],
    rows: Sequence[np.ndarray],
    signs: Sequence[np.ndarray],
) -> ModelSet:
    sizes = np.concatenate([entries.sizes for entries in tissues])
    n_in_ld = np.concatenate([ld.n_in_ld for ld in packed])
    triangles = n_in_ld.astype(np.int64) * (n_in_ld.astype(np.int64) + 1) // 2
    weights = [e.weights[ld.order] * s[ld.order] for e, ld, s in zip(tissues, packed, signs, strict=True)]
    return ModelSet(
        panel=panel,
        models=pa.concat_tables(map(_models_table, tissues, places, packed)).combine_chunks(),
        offsets=_offsets(sizes),
        variants=joined([r[ld.order] for r, ld in zip(rows, packed, strict=True)]),
        weights=joined(weights),
        n_in_ld=n_in_ld,
        ld_offsets=_offsets(triangles),
        ld=joined([ld.ld for ld in packed]),
    )


def _offsets(lengths: np.ndarray) -> np.ndarray:
    return np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)


def _models_table(entries: TissueEntries, places: dict[str, pa.Array], ld: TissueLD) -> pa.Table:
    genes = entries.genes
    count = genes.num_rows
    performance = {
        name: genes[name] if name in genes.column_names else pa.nulls(count, pa.float64())
        for name in _PERFORMANCE
    }
    return pa.table(
        {
            "tissue": pa.array([entries.tissue] * count, pa.string()),
            "gene": genes["gene"],
            "gene_name": pc.coalesce(genes["gene_name"], places["gene_name"]),
            "chromosome": places["chromosome"],
            "start": places["start"],
            "end": places["end"],
            "n_snps_in_model": genes["n_snps_in_model"],
            "n_snps_in_cov": ld.n_in_cov,
            **performance,
            "var_g": pa.array(ld.var_g),
        }
    )
