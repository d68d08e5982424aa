"""What is to be scored: models and traits chosen from two stores, and how their panels fit together.

In: paths, names of traits and tissues. Out: a `Selection`, open for reading.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gputwas.errors import InputError
from gputwas.stores.gwas import GwasStore
from gputwas.stores.models import ModelSet, read_models_store
from gputwas.stores.panel import PanelMap
from gputwas.twas.panel import find_panel, on_panel

__all__ = ["Selection", "select"]


@dataclass(frozen=True)
class Selection:
    """Models and traits to score.

    Attributes
    ----------
    models, gwas : the stores. traits : names, in the order of the GWAS store.
    rows : the way from the panel of the GWAS store to that of the models; None if they are the same.
    """

    models: ModelSet
    gwas: GwasStore
    traits: list[str]
    rows: PanelMap | None

    @property
    def n_variants(self) -> int:
        """Variants of the models' panel."""
        return self.models.panel.num_rows

    @property
    def variants_found(self) -> int:
        """Those of them that the GWAS store's panel has."""
        return self.n_variants if self.rows is None else self.rows.found

    def columns(self, traits: Sequence[str]) -> tuple[list[np.ndarray], list[np.ndarray | None]]:
        """z and beta of traits, each float32 (variants of the models,), NaN where missing; beta or None."""
        found = [self.gwas.read(trait) for trait in traits]
        z = [on_panel(column, self.rows) for column, _ in found]
        return z, [None if column is None else on_panel(column, self.rows) for _, column in found]


def select(
    models: str | os.PathLike[str],
    gwas: str | os.PathLike[str],
    *,
    traits: Sequence[str] | None = None,
    tissues: Sequence[str] | None = None,
) -> Selection:
    """Open a ModelStore and a GwasStore for scoring.

    Parameters
    ----------
    traits, tissues : only these; all by default.

    Raises
    ------
    InputError : a store is unusable, a trait or tissue is unknown, or the panels have nothing in common.
    """
    model_set, gwas_store = _chosen_models(models, tissues), GwasStore.open(gwas)
    names = _chosen_traits(gwas_store, traits)
    return Selection(model_set, gwas_store, names, find_panel(gwas_store.panel, model_set.panel))


def _chosen_models(path: str | os.PathLike[str], tissues: Sequence[str] | None) -> ModelSet:
    models = read_models_store(path)
    if tissues is None:
        return models
    if absent := [tissue for tissue in tissues if tissue not in models.tissues]:
        raise InputError(
            "there is no such tissue in the model store",
            path=path,
            found=", ".join(absent[:5]),
            remedy=f"Its tissues are {', '.join(models.tissues)}.",
        )
    return models.subset(tissues)


def _chosen_traits(gwas: GwasStore, traits: Sequence[str] | None) -> list[str]:
    """Traits in the order of the store, so that the same choice gives the same blocks."""
    known = gwas.traits
    if not known:
        raise InputError(
            "the GWAS store holds no trait", path=gwas.path, remedy="Add some: gputwas gwas import."
        )
    if traits is None:
        return known
    wanted = set(traits)
    absent = sorted(wanted - set(known))
    if absent:
        raise InputError(
            "there is no such trait in the GWAS store",
            path=gwas.path,
            found=", ".join(absent[:5]),
            remedy=f"See what is there: gputwas gwas list {gwas.path}.",
        )
    return [name for name in known if name in wanted]
