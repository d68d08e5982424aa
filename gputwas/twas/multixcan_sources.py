"""What a joint analysis is computed from: stores that belong together, and the traits and tissues chosen.

In: paths of an association store and of the models, GWAS and cross-tissue LD behind it. Out: a
`JointSelection`, open for reading, or an error that names what does not fit.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import xxhash

from gputwas.errors import InputError
from gputwas.stores.associations import AssociationStore, Status
from gputwas.stores.gene_ld import GeneLd
from gputwas.stores.gwas import GwasStore
from gputwas.stores.models import ModelSet, read_models_store
from gputwas.stores.panel import PanelMap
from gputwas.twas.multixcan_genes import GeneDesign, GeneSet, design_genes, gene_set
from gputwas.twas.panel import find_panel, on_panel
from gputwas.twas.provenance import association_inputs, check_sources

__all__ = ["ASSOCIATIONS", "JointSelection", "associations_digest", "select_joint"]

Path = str | os.PathLike[str]
ASSOCIATIONS = "the associations"  # their name in the manifest and in messages


@dataclass(frozen=True, eq=False)
class JointSelection:
    """What is to be combined.

    Attributes
    ----------
    associations : the store of z-scores. traits, tissues : names, in its order.
    models : its model table, the rows of the tissues chosen; `rows` are their places there.
    genes : the genes of these models. design : how they meet the LD; None without LD.
    gwas, to_panel : the GWAS store and the way from its panel to that of the models; None without LD.
    """

    associations: AssociationStore
    traits: list[str]
    tissues: list[str]
    models: pa.Table
    rows: np.ndarray
    genes: GeneSet
    design: GeneDesign | None
    gwas: GwasStore | None
    to_panel: PanelMap | None

    def has_z(self, digest: str) -> np.ndarray:
        """bool (models,): models that have a z-score under a pattern of missing SNPs."""
        return self.associations.read_pattern(digest).status[self.rows] == Status.OK

    def present(self, trait: str) -> np.ndarray:
        """bool (panel of the models,): SNPs that have a z-score in a trait.

        Raises
        ------
        InputError : they are not those that the association store has recorded.
        """
        assert self.gwas is not None
        found = ~np.isnan(on_panel(self.gwas.read(trait)[0], self.to_panel))
        digest = xxhash.xxh3_128_hexdigest(np.packbits(found).tobytes())  # as twas.patterns names it
        if digest != self.associations.pattern_of(trait):
            raise InputError(
                f"the GWAS store has other SNPs of trait {trait} than the associations were computed from",
                path=self.gwas.path,
                remedy="Run `gputwas associate` again.",
            )
        return found

    def inputs(self) -> dict[str, dict[str, str]]:
        """What decides the results, by content, for a manifest."""
        found = {ASSOCIATIONS: {"xxh3_128": associations_digest(self.associations)}}
        if self.design is not None:
            found["the cross-tissue LD"] = {"xxh3_128": self.design.ld.digest}
        return found


def associations_digest(store: AssociationStore) -> str:
    """Digest of all that decides the values of an association store."""
    named = json.dumps([store.manifest.parameters, store.manifest.inputs], sort_keys=True)
    return xxhash.xxh3_128_hexdigest(named.encode())


def select_joint(
    associations: Path,
    *,
    models: Path | None = None,
    gwas: Path | None = None,
    ld: GeneLd | None = None,
    traits: Sequence[str] | None = None,
    tissues: Sequence[str] | None = None,
) -> JointSelection:
    """Open what a joint analysis needs.

    Parameters
    ----------
    models, gwas : the stores that the associations were computed from, needed with `ld`.
    ld : cross-tissue LD; without it only what needs none can be computed.
    traits, tissues : only these; all by default.

    Raises
    ------
    InputError : the associations are not complete, a trait or tissue is unknown, or the stores do not belong
        together.
    """
    store = AssociationStore.open(associations)
    if not store.is_complete:
        raise InputError(
            "the associations are not complete",
            path=associations,
            remedy="Run the same `gputwas associate` again; it goes on where it was.",
        )
    names = _chosen(store, traits, store.trait_names, "trait")
    kept = _chosen(store, tissues, store.tissues, "tissue")
    slices = [store.tissue_slice(tissue) for tissue in kept]
    rows = np.concatenate([np.arange(found.start, found.stop) for found in slices])
    table = pa.concat_tables([store.models.slice(s.start, s.stop - s.start) for s in slices])
    table = table.select(["tissue", "gene", "gene_name"]).combine_chunks()
    if ld is None or models is None or gwas is None:
        return JointSelection(store, names, kept, table, rows, gene_set(table), None, None, None)
    model_set, gwas_store = _sources(store, models, gwas, names)
    design = design_genes(model_set.subset(kept), ld)
    way = find_panel(gwas_store.panel, model_set.panel)
    return JointSelection(store, names, kept, table, rows, design.genes, design, gwas_store, way)


def _chosen(store: AssociationStore, wanted: Sequence[str] | None, known: list[str], what: str) -> list[str]:
    """Names in the order of the store."""
    if wanted is None:
        return known
    if absent := sorted(set(wanted) - set(known)):
        raise InputError(
            f"there is no such {what} in the association store",
            path=store.path,
            found=", ".join(absent[:5]),
            remedy=f"It has {', '.join(known[:20])}{', ...' if len(known) > 20 else ''}.",
        )
    chosen = set(wanted)
    return [name for name in known if name in chosen]


def _sources(
    store: AssociationStore, models: Path, gwas: Path, traits: Sequence[str]
) -> tuple[ModelSet, GwasStore]:
    """The models and GWAS of the associations, checked by content for every trait."""
    known = read_models_store(models).tissues
    if lacking := [tissue for tissue in store.tissues if tissue not in known]:
        raise InputError(
            "there are associations of tissues that have no models here",
            path=models,
            found=", ".join(lacking[:5]),
            expected=f"the models that {store.path} was computed from",
            remedy=f"Name the model store that was given to `gputwas associate` for {store.path}.",
        )
    model_set, gwas_store = check_sources(store, models, gwas, traits[0])
    for name, described in association_inputs(model_set, gwas_store, traits).items():
        if store.manifest.inputs.get(name) != described:
            raise InputError(
                f"the associations were computed from another {name}",
                path=gwas,
                remedy=f"Name the stores that were given to `gputwas associate` for {store.path}.",
            )
    return model_set, gwas_store
