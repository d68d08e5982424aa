"""The model store: prediction models of all tissues, packed once, memory-mapped ever after.

In: a `ModelSet` (panel, model table, weights, LD). Out: the same `ModelSet` read back from a folder, its
arrays being views of the files.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa

from gputwas.errors import InputError
from gputwas.stores.arrow import array_view, open_batch, open_table, write_arrays, write_table
from gputwas.stores.hashing import ContentHash
from gputwas.stores.manifest import read_manifest
from gputwas.stores.panel import check_panel
from gputwas.stores.tissues import tissue_slices
from gputwas.stores.whole import is_current, write_whole

__all__ = [
    "ModelSet",
    "check_model_set",
    "models_store_is_current",
    "read_models_store",
    "write_models_store",
]

FORMAT = "gputwas.models"
MODEL_COLUMNS = ("tissue", "gene", "gene_name", "var_g")
_CONTENTS = ("panel.arrow", "models.arrow", "offsets.arrow", "weights.arrow", "ld.arrow")
_DTYPES = {
    "offsets": np.int64, "variants": np.int32, "weights": np.float64,
    "n_in_ld": np.int32, "ld_offsets": np.int64, "ld": np.float64,
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class ModelSet:
    """Prediction models of any number of tissues over one panel of variants.

    Attributes
    ----------
    panel : table (variants,): variant_id, chromosome?, position?, effect_allele, other_allele; one row per
        identifier and unordered pair of alleles.
    models : table (models,): tissue, gene, gene_name, chromosome?, start?, end?, n_snps_in_model?,
        n_snps_in_cov? (null where the gene is absent from the covariance), pred_perf_r2?, pred_perf_pval?,
        pred_perf_qval?, phi? and var_g (all SNPs present; NaN if none has LD). A tissue's models are
        contiguous, tissues in the order of import, genes sorted by identifier.
    offsets : int64 (models + 1,): where each model's entries begin in `variants` and `weights`.
    variants : int32 (entries,): rows of the panel.
    weights : float64 (entries,): weight of the panel's effect allele.
    n_in_ld : int32 (models,): the first `n_in_ld` entries of a model have LD, in LD order; the others never
        enter z or var_g.
    ld_offsets : int64 (models + 1,): where each model's triangle begins in `ld`.
    ld : float64: upper triangles row by row (i <= j), n (n + 1) / 2 values for n = `n_in_ld`: SNP covariance
        in the orientation of the panel's alleles.
    """

    panel: pa.Table
    models: pa.Table
    offsets: np.ndarray
    variants: np.ndarray
    weights: np.ndarray
    n_in_ld: np.ndarray
    ld_offsets: np.ndarray
    ld: np.ndarray

    @property
    def n_models(self) -> int:
        """Number of models, all tissues together."""
        return self.models.num_rows

    @cached_property
    def tissues(self) -> list[str]:
        """Tissues in the order of the model table."""
        return list(self._tissue_slices)

    @cached_property
    def _tissue_slices(self) -> dict[str, slice]:
        return tissue_slices(self.models)

    def tissue_slice(self, tissue: str) -> slice:
        """Rows of the model table that belong to a tissue.

        Raises
        ------
        InputError
            If there is no such tissue.
        """
        try:
            return self._tissue_slices[tissue]
        except KeyError:
            known = ", ".join(self.tissues)
            raise InputError(
                "there are no models of this tissue", found=repr(tissue), remedy=f"Its tissues are {known}."
            ) from None

    def subset(self, tissues: Sequence[str]) -> ModelSet:
        """Models of some tissues, in the order of this set, over the same panel; views where they suffice."""
        wanted = {tissue: self.tissue_slice(tissue) for tissue in tissues}
        runs = [self._tissue_slices[tissue] for tissue in self.tissues if tissue in wanted]
        entries = [slice(int(self.offsets[r.start]), int(self.offsets[r.stop])) for r in runs]
        triangles = [slice(int(self.ld_offsets[r.start]), int(self.ld_offsets[r.stop])) for r in runs]
        tables = [self.models.slice(r.start, r.stop - r.start) for r in runs]
        return ModelSet(
            panel=self.panel,
            models=pa.concat_tables(tables) if tables else self.models.slice(0, 0),
            offsets=_restarted(self.offsets, runs),
            variants=_pieces(self.variants, entries),
            weights=_pieces(self.weights, entries),
            n_in_ld=_pieces(self.n_in_ld, runs),
            ld_offsets=_restarted(self.ld_offsets, runs),
            ld=_pieces(self.ld, triangles),
        )

    def ld_matrix(self, model: int) -> np.ndarray:
        """LD of one model as a symmetric float64 (n_in_ld, n_in_ld) matrix."""
        size = int(self.n_in_ld[model])
        matrix = np.zeros((size, size))
        upper = np.triu_indices(size)
        matrix[upper] = self.ld[self.ld_offsets[model] : self.ld_offsets[model + 1]]
        matrix.T[upper] = matrix[upper]
        return matrix

    @cached_property
    def digest(self) -> str:
        """Content hash, the same on every machine; results computed from these models carry it."""
        content = ContentHash().add_table("panel", self.panel).add_table("models", self.models)
        for name in _DTYPES:
            content.add_array(name, getattr(self, name))
        return content.hexdigest()


def _pieces(array: np.ndarray, runs: Sequence[slice]) -> np.ndarray:
    if len(runs) == 1:
        return array[runs[0]]
    return np.concatenate([array[run] for run in runs]) if runs else array[:0]


def _restarted(offsets: np.ndarray, runs: Sequence[slice]) -> np.ndarray:
    lengths = _pieces(np.diff(offsets), runs)
    return np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)


def check_model_set(model_set: ModelSet) -> None:
    """Refuse a model set that contradicts itself or its panel; reads every array once.

    Raises
    ------
    InputError
        If the panel or the model table is unusable.
    ValueError
        If arrays do not fit each other, which is a defect of the caller.
    """
    check_panel(model_set.panel)
    for name in MODEL_COLUMNS:
        if name not in model_set.models.column_names:
            raise InputError("the table of models lacks a column", column=name)
    for name in ("tissue", "gene"):
        if model_set.models[name].null_count:
            raise InputError("a model lacks its name", column=name)
    tissue_slices(model_set.models)
    problem = _shape_problem(model_set)
    if problem:
        raise ValueError(problem)
    variants = model_set.variants
    if len(variants) and not 0 <= variants.min() <= variants.max() < model_set.panel.num_rows:
        raise ValueError("a model uses a variant outside the panel")
    for name in ("weights", "ld"):
        if not np.all(np.isfinite(getattr(model_set, name))):
            raise ValueError(f"{name} hold values that are not finite")


def _shape_problem(model_set: ModelSet) -> str | None:
    """What is wrong with the shapes, without reading the large arrays."""
    count = model_set.n_models
    for name, dtype in _DTYPES.items():
        array = getattr(model_set, name)
        if array.dtype != dtype or array.ndim != 1:
            return f"{name} is {array.dtype} {array.shape}, not a vector of {np.dtype(dtype)}"
    offsets, ld_offsets, n_in_ld = model_set.offsets, model_set.ld_offsets, model_set.n_in_ld
    if not len(offsets) == len(ld_offsets) == len(n_in_ld) + 1 == count + 1:
        return f"{count} models have {len(offsets)} and {len(ld_offsets)} offsets and {len(n_in_ld)} LD sizes"
    if offsets[0] != 0 or offsets[-1] != len(model_set.variants) or offsets[-1] != len(model_set.weights):
        return f"offsets end at {offsets[-1]}, but there are {len(model_set.weights)} weights"
    if ld_offsets[0] != 0 or ld_offsets[-1] != len(model_set.ld):
        return f"LD offsets end at {ld_offsets[-1]}, but there are {len(model_set.ld)} LD values"
    size = n_in_ld.astype(np.int64)
    if np.any(size < 0) or np.any(size > np.diff(offsets)):
        return "a model has more SNPs in LD than entries"
    if np.any(np.diff(ld_offsets) != size * (size + 1) // 2):
        return "an LD triangle does not have n (n + 1) / 2 values"
    return None


def models_store_is_current(
    path: str | os.PathLike[str], *, inputs: Mapping[str, Mapping[str, Any]], parameters: Mapping[str, Any]
) -> bool:
    """Whether a finished store from these inputs and parameters is there, so importing can be skipped."""
    return is_current(path, FORMAT, inputs=inputs, parameters=parameters)


def write_models_store(
    path: str | os.PathLike[str],
    model_set: ModelSet,
    *,
    inputs: Mapping[str, Mapping[str, Any]],
    parameters: Mapping[str, Any],
    overwrite: bool = False,
) -> None:
    """Write a model set, whole or not at all; see `gputwas.stores.whole.write_whole`."""
    check_model_set(model_set)
    write_whole(
        path, FORMAT, lambda folder: _write_files(folder, model_set), files=_CONTENTS,
        content={"digest": model_set.digest, "models": model_set.n_models, "tissues": model_set.tissues},
        inputs=inputs, parameters=parameters, overwrite=overwrite,
    )  # fmt: skip


def _write_files(folder: str, model_set: ModelSet) -> None:
    write_table(os.path.join(folder, "panel.arrow"), model_set.panel)
    write_table(os.path.join(folder, "models.arrow"), model_set.models)
    offsets = {
        "offsets": model_set.offsets,
        "ld_offsets": model_set.ld_offsets,
        "n_in_ld": np.append(model_set.n_in_ld, np.int32(0)),  # one row more than models, as the offsets
    }
    write_arrays(os.path.join(folder, "offsets.arrow"), offsets)
    entries = {"variants": model_set.variants, "weights": model_set.weights}
    write_arrays(os.path.join(folder, "weights.arrow"), entries)
    write_arrays(os.path.join(folder, "ld.arrow"), {"ld": model_set.ld})


def read_models_store(path: str | os.PathLike[str]) -> ModelSet:
    """Memory-map a model store; only shapes and offsets are checked.

    Raises
    ------
    InputError
        If the folder is no model store, was written by a newer version, or a file is missing or damaged.
    """
    manifest = read_manifest(path, FORMAT)
    tables = {name: open_table(os.path.join(path, f"{name}.arrow")) for name in ("panel", "models")}
    arrays: dict[str, np.ndarray] = {}
    for file in ("offsets", "weights", "ld"):
        batch = open_batch(os.path.join(path, f"{file}.arrow"))
        arrays |= {name: array_view(batch[name]) for name in batch.schema.names}
    arrays["n_in_ld"] = arrays["n_in_ld"][:-1]
    model_set = ModelSet(panel=tables["panel"], models=tables["models"], **arrays)
    problem = _shape_problem(model_set)
    if problem:
        raise InputError(
            f"the store is damaged: {problem}",
            path=path,
            remedy="Import the models again with --overwrite, or into another folder.",
        )
    if "digest" in manifest.content:
        model_set.__dict__["digest"] = manifest.content["digest"]  # spares reading everything
    return model_set
