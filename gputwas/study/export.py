"""One trait x tissue of an association store as SPrediXcan.py's csv, and the SNPs behind it.

In: an association store and, for what it does not hold itself (best GWAS p, largest weight, standard errors,
SNPs), the model and GWAS stores it was computed from. Out: a csv, and a table with a row per SNP of a model.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from gputwas.backends.choose import choose_backend
from gputwas.formats.metaxcan import write_associations
from gputwas.formats.tables import check_table_path, write_table
from gputwas.stores.associations import AssociationStore
from gputwas.stores.models import ModelSet
from gputwas.study.results import TissueResult, metaxcan_table, snp_extremes
from gputwas.twas.panel import find_panel, on_panel
from gputwas.twas.provenance import check_sources
from gputwas.twas.spredixcan import Scorer, prepare_scorer
from gputwas.twas.uncertainty import effect_standard_error

__all__ = ["SourceStores", "export_metaxcan", "export_snps", "stored_result"]

Path = str | os.PathLike[str]


@dataclass(frozen=True)
class SourceStores:
    """Model and GWAS store that an association store was computed from."""

    models: Path
    gwas: Path


@dataclass(frozen=True)
class _Detail:
    """One tissue's models with one trait's statistics on their variants."""

    model_set: ModelSet
    scorer: Scorer
    z: np.ndarray
    beta: np.ndarray | None


def stored_result(store: AssociationStore, trait: str, tissue: str) -> TissueResult:
    """Results of one trait x tissue as the store holds them.

    Raises
    ------
    InputError : the store has no such trait or tissue, or they are not computed yet.
    """
    rows = store.tissue_slice(tissue)
    pattern = store.read_pattern(store.pattern_of(trait))
    return TissueResult(
        z=store.read_trait(tissue, trait, "z").astype(np.float64),
        effect_size=store.read_trait(tissue, trait, "effect").astype(np.float64),
        var_g=pattern.var_g[rows],
        n_snps_used=pattern.n_snps_used[rows],
        status=pattern.status[rows],
    )


def export_metaxcan(
    path: Path,
    trait: str,
    tissue: str,
    out: Path,
    *,
    sources: SourceStores | None = None,
    standard_errors: bool = False,
    remove_ens_version: bool = False,
) -> pa.Table:
    """Write one trait x tissue as SPrediXcan.py's csv.

    Parameters
    ----------
    path : association store. sources : with them, best_gwas_p and largest_weight are added (the reference's
        --additional_output). standard_errors : also a column effect_se; needs `sources`.

    Returns
    -------
    The table written.

    Raises
    ------
    InputError : unknown trait or tissue, or stores that do not belong together.
    """
    store = AssociationStore.open(path)
    result = stored_result(store, trait, tissue)
    if sources is not None:
        detail = _detail(store, sources, trait, tissue)
        best, largest = snp_extremes(detail.scorer, detail.z)
        result = replace(result, best_gwas_p=best, largest_weight=largest)
        if standard_errors:
            result = replace(result, effect_se=_standard_errors(detail, result))
    rows = store.tissue_slice(tissue)
    models = store.models.slice(rows.start, rows.stop - rows.start)
    table = metaxcan_table(models, result, remove_ens_version=remove_ens_version)
    write_associations(out, table)
    return table


def _detail(store: AssociationStore, sources: SourceStores, trait: str, tissue: str) -> _Detail:
    every, gwas = check_sources(store, sources.models, sources.gwas, trait)
    model_set = every.subset([tissue])
    rows = find_panel(gwas.panel, model_set.panel)
    z, beta = gwas.read(trait)
    scorer = prepare_scorer(model_set, choose_backend("numpy"))
    return _Detail(model_set, scorer, on_panel(z, rows), None if beta is None else on_panel(beta, rows))


def _standard_errors(detail: _Detail, result: TissueResult) -> np.ndarray:
    out = np.full(result.z.shape, np.nan)
    known = np.flatnonzero(~np.isnan(result.effect_size))
    if detail.beta is not None and known.size:
        out[known] = effect_standard_error(detail.scorer, detail.z, detail.beta, result.var_g, known)
    return out


def export_snps(path: Path, trait: str, tissue: str, out: Path, *, sources: SourceStores) -> pa.Table:
    """Write one row per SNP of each model: what it weighs, what the GWAS says, whether it was used.

    Columns: gene, gene_name, variant_id, chromosome, position, effect_allele, other_allele, weight, ld_sd
    (sqrt of Γ_ll, empty without LD), z, beta, used. Weight, z and beta are for the effect allele named.

    Returns
    -------
    The table written, in the order of the models.
    """
    check_table_path(out)
    store = AssociationStore.open(path)
    store.locate(trait)
    detail = _detail(store, sources, trait, tissue)
    table = _snp_table(detail.model_set, detail.scorer, detail.z, detail.beta)
    write_table(table, out)
    return table


def _snp_table(model_set: ModelSet, scorer: Scorer, z: np.ndarray, beta: np.ndarray | None) -> pa.Table:
    """The table of `export_snps` for any models and (variants,) statistics."""
    sizes = np.diff(model_set.offsets)
    owner = np.repeat(np.arange(model_set.n_models), sizes)
    local = np.arange(owner.size) - np.repeat(model_set.offsets[:-1], sizes)
    in_ld = local < model_set.n_in_ld[owner]
    sigma = np.full(owner.size, np.nan)
    sigma[in_ld] = scorer.operator.sigma
    of_snp = np.asarray(z, dtype=np.float64)[model_set.variants]
    effect = np.full(owner.size, np.nan) if beta is None else np.asarray(beta, np.float64)[model_set.variants]
    genes = model_set.models.select(["gene", "gene_name"]).take(pa.array(owner))
    names = ["variant_id", "chromosome", "position", "effect_allele", "other_allele"]
    panel = model_set.panel.select([name for name in names if name in model_set.panel.column_names])
    columns = {name: genes[name] for name in genes.column_names}
    variants = panel.take(pa.array(model_set.variants))
    columns |= {name: variants[name] for name in variants.column_names}
    columns |= {
        "weight": pa.array(model_set.weights),
        "ld_sd": pa.array(sigma, from_pandas=True),
        "z": pa.array(of_snp, from_pandas=True),
        "beta": pa.array(effect, from_pandas=True),
        "used": pa.array(in_ld & ~np.isnan(of_snp)),
    }
    return pa.table(columns)
