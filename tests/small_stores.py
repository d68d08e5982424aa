"""Model and GWAS stores written straight from random arrays, without files of other programs in between."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from gputwas.backends.choose import choose_backend
from gputwas.stores.gwas import GwasStore
from gputwas.stores.models import ModelSet, write_models_store
from gputwas.twas.spredixcan import prepare_scorer

TIMES = ("manifest.json", "run.json", ".lock")  # hold the time of the run, or nothing


def with_var_g(models: ModelSet) -> ModelSet:
    """The same set with the columns that importing adds to the table of models."""
    table = models.models
    full = prepare_scorer(models, choose_backend("numpy")).full_var_g
    columns = {
        "var_g": pa.array(full),
        "pred_perf_r2": pa.array(np.linspace(0.1, 0.9, table.num_rows)),
        "pred_perf_pval": pa.array(np.linspace(1e-9, 0.04, table.num_rows)),
        "pred_perf_qval": pa.nulls(table.num_rows, pa.float64()),
    }
    for name, values in columns.items():
        table = table.append_column(name, values)
    return ModelSet(models.panel, table, models.offsets, models.variants, models.weights,
                    models.n_in_ld, models.ld_offsets, models.ld)  # fmt: skip


def write_models(folder: Path, models: ModelSet) -> ModelSet:
    """Write a model store; returns the set as written."""
    whole = with_var_g(models)
    write_models_store(folder, whole, inputs={}, parameters={"random": True})
    return whole


def write_gwas(
    folder: Path,
    panel: pa.Table,
    z: np.ndarray,
    beta: np.ndarray | None,
    *,
    names: Sequence[str] | None = None,
    without_effect: Sequence[str] = (),
) -> list[str]:
    """Write a GWAS store of (traits, variants) arrays, in the order given; returns the traits' names."""
    names = [f"trait_{i:02d}" for i in range(len(z))] if names is None else list(names)
    with GwasStore.create(folder, panel, {"mode": "strict"}) as store:
        for i, name in enumerate(names):
            effect = None if beta is None or name in without_effect else beta[i]
            metadata = {"input_hash": f"{i:032x}", "effect": "none" if effect is None else "beta", "n": 1000}
            store.add(name, z[i], effect, metadata)
    return names


def contents(folder: Path) -> dict[str, str]:
    """Digest of every file of a store but those that hold the time of the run."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in TIMES
    }
