"""Where associations come from: what is recorded, and whether given stores are the ones recorded.

In: model and GWAS stores, a run. Out: names and digests for an association store's manifest, and the contents
of its run.json.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from gputwas.errors import InputError
from gputwas.stores.associations import AssociationStore
from gputwas.stores.gwas import GwasStore
from gputwas.stores.models import ModelSet, read_models_store

__all__ = ["association_inputs", "check_sources"]

Path = str | os.PathLike[str]

MODELS, PANEL = "the set of models", "the panel of the GWAS store"  # names in the manifest and in messages


def association_inputs(models: ModelSet, gwas: GwasStore, traits: Sequence[str]) -> dict[str, dict[str, str]]:
    """What results are computed from, by content: the models of the tissues, the GWAS panel, each trait.

    Each trait is an input of its own, so that a refusal to go on can name those that changed.
    """
    hashes = gwas.traits_table(traits)["content_hash"].to_pylist()
    inputs = {MODELS: models.digest, PANEL: gwas.panel_digest}
    inputs |= {_trait(name): digest for name, digest in zip(traits, hashes, strict=True)}
    return {name: {"xxh3_128": digest} for name, digest in inputs.items()}


def check_sources(
    store: AssociationStore, models: Path, gwas: Path, trait: str
) -> tuple[ModelSet, GwasStore]:
    """Open the stores that a trait's associations were computed from.

    Returns
    -------
    The models of the association store's tissues, and the GWAS store.

    Raises
    ------
    InputError : the associations come from other models, or from other values of this trait.
    """
    model_set, gwas_store = read_models_store(models), GwasStore.open(gwas)
    lacking = [tissue for tissue in store.tissues if tissue not in model_set.tissues]
    if not lacking and store.tissues != model_set.tissues:
        model_set = model_set.subset(store.tissues)
    recorded = store.manifest.inputs
    if lacking or model_set.digest != recorded[MODELS]["xxh3_128"]:
        raise _other("these models", store, models)
    if gwas_store.panel_digest != recorded[PANEL]["xxh3_128"]:
        raise _other("this GWAS store", store, gwas)
    if gwas_store.metadata(trait)["content_hash"] != recorded[_trait(trait)]["xxh3_128"]:
        raise _other(f"the values that the GWAS store now has for trait {trait}", store, gwas)
    return model_set, gwas_store


def _trait(name: str) -> str:
    return f"trait {name}"


def _other(what: str, store: AssociationStore, path: Path) -> InputError:
    return InputError(
        f"the associations were not computed from {what}",
        path=path,
        remedy=f"Name the store that was given to `gputwas associate` for {store.path}, or run it again.",
    )
