"""The GWAS store: z and effect of every trait over one panel of variants, one file per trait.

In: float32 arrays (variants,) and what is known of the trait. Out: memory-mapped views of them. Traits may be
added by several worker processes at a time, in any order; each is there whole or not at all.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from gputwas.errors import InputError
from gputwas.stores.arrow import array_view, open_batch, open_table, write_arrays, write_table
from gputwas.stores.folder import Claim, claim, make_folders
from gputwas.stores.handle import StoreHandle
from gputwas.stores.hashing import ContentHash
from gputwas.stores.manifest import Manifest, new_manifest, to_plain
from gputwas.stores.names import file_stem
from gputwas.stores.panel import check_panel, panel_digest
from gputwas.stores.trait_index import INDEX_NAME, METADATA_KEY, SUFFIX, read_index, read_metadata

__all__ = ["EFFECT_KINDS", "GwasStore"]

log = logging.getLogger(__name__)

FORMAT = "gputwas.gwas"
EFFECT_KINDS = ("beta", "log_odds", "none")
_TRAITS = "traits"
_CONTENTS = ("panel.arrow", _TRAITS, INDEX_NAME)


class GwasStore(StoreHandle):
    """A folder of traits over one panel; made by `create`, `open`, never directly.

    A store made by `create` holds the lock until `close`, or the end of the ``with`` block. Pickling hands a
    worker process the right to add traits, not the lock.
    """

    FORMAT = FORMAT
    _begun: Claim | None = None  # where `create` made the store, and did not find it

    def _before_release(self) -> None:
        self.index()  # brings the list of traits up to date

    @classmethod
    def create(
        cls,
        path: str | os.PathLike[str],
        panel: pa.Table,
        parameters: Mapping[str, Any],
        *,
        overwrite: bool = False,
    ) -> GwasStore:
        """Begin a store, or go on with the one that is there.

        Parameters
        ----------
        panel : table (variants,) with variant_id, effect_allele, other_allele, chromosome?, position?.
        parameters : what decides how GWAS files become rows (mode of alignment and so on).
        overwrite : remove all traits and begin anew.

        Raises
        ------
        InputError
            If the panel is unusable, the folder holds something else or a store with another panel or other
            parameters, or another process writes to it.
        ResourceError
            If the disk is full.
        """
        check_panel(panel)
        held = claim(
            path, FORMAT, contents=_CONTENTS, parameters=parameters, inputs={}, overwrite=overwrite
        )  # fmt: skip
        try:
            manifest = held.manifest
            if manifest is None:
                make_folders(held.path, [_TRAITS])
                write_table(os.path.join(held.path, "panel.arrow"), panel)
                content = {"panel": panel_digest(panel), "variants": panel.num_rows}
                manifest = new_manifest(FORMAT, parameters, {}, content)
                manifest.write(held.path)
            else:
                _check_same_panel(held.path, manifest, panel)
        except BaseException:
            if held.manifest is None:
                held.abandon()
            held.lock.release()
            raise
        store = cls(held.path, manifest, held.lock, writable=True)
        store._begun = held if held.manifest is None else None
        return store

    def discard_if_empty(self) -> bool:
        """Remove a store that `create` began just now and that has no trait; returns whether it did.

        Nothing may be done with the store afterwards.
        """
        if self._begun is None or self._lock is None or not self._lock.held or self.traits:
            return False
        self._begun.abandon()
        self._writable = False
        return True

    @cached_property
    def panel(self) -> pa.Table:
        """The panel, memory-mapped."""
        return open_table(os.path.join(self.path, "panel.arrow"))

    @property
    def panel_digest(self) -> str:
        """Digest of identifiers and alleles of the panel, see `panel.panel_digest`."""
        return self.manifest.content["panel"]

    @property
    def n_variants(self) -> int:
        """Rows of the panel and of each trait."""
        return self.manifest.content["variants"]

    @property
    def traits(self) -> list[str]:
        """Names of the traits, sorted; looks at the folder each time."""
        return self.index()["trait"].to_pylist()

    def index(self) -> pa.Table:
        """Table (traits,): trait, file, bytes, modified_ns, metadata (JSON); looks at the folder."""
        return read_index(self.path, os.path.join(self.path, _TRAITS))

    def traits_table(self, traits: Sequence[str] | None = None) -> pa.Table:
        """Metadata of traits (all, sorted, if not named) as columns.

        Annotations become columns of their own names, counts by reason columns ``n_<reason>``; what a trait
        lacks is null.
        """
        index = self.index()
        known = dict(zip(index["trait"].to_pylist(), index["metadata"].to_pylist(), strict=True))
        for trait in traits or ():
            if trait not in known:
                raise self._no_trait(trait)
        names = list(known) if traits is None else list(traits)
        rows = [_flat(json.loads(known[name])) for name in names]
        columns = list(dict.fromkeys(["trait", *(name for row in rows for name in row)]))
        return pa.table({name: _column([row.get(name) for row in rows]) for name in columns})

    def has(self, trait: str, input_hash: str | None = None) -> bool:
        """Whether a trait is there (and, if given, was read from inputs with this hash)."""
        path = self._file(trait)
        if not os.path.exists(path):
            return False
        return input_hash is None or read_metadata(path).get("input_hash") == input_hash

    def metadata(self, trait: str) -> dict[str, Any]:
        """What is known of a trait.

        Raises
        ------
        InputError
            If there is no such trait.
        """
        return read_metadata(self._existing(trait))

    def add(
        self,
        trait: str,
        z: np.ndarray,
        beta: np.ndarray | None,
        metadata: Mapping[str, Any],
        *,
        replace: bool = False,
    ) -> bool:
        """Add a trait in one step.

        Parameters
        ----------
        z : float32 (variants,): z-score of the panel's effect allele, NaN where missing.
        beta : float32 (variants,): effect of that allele (log odds for odds ratios), NaN where missing; None
            where the GWAS has no effects.
        metadata : input_hash (of the files read) and effect, one of `EFFECT_KINDS`, are needed; trait and
            content_hash (of z and beta) are added.
        replace : write over a trait that was read from other inputs.

        Returns
        -------
        Whether the trait was written: False if it was there already, from the same inputs.

        Raises
        ------
        InputError
            If a trait of this name was read from other inputs.
        ResourceError
            If the disk is full.
        """
        if not self._writable:
            raise RuntimeError(f"{self.path} was opened for reading")
        arrays = self._checked(z, beta, metadata)
        path = self._file(trait)
        if not replace and os.path.exists(path):
            self._check_same_inputs(path, trait, metadata)
            return False
        content = ContentHash()
        for name, array in arrays.items():
            content.add_array(name, array)
        plain = to_plain(dict(metadata) | {"trait": trait, "content_hash": content.hexdigest()})
        text = json.dumps(plain, sort_keys=True, allow_nan=False)
        write_arrays(path, arrays, {METADATA_KEY: text.encode()})
        return True

    def _checked(
        self, z: np.ndarray, beta: np.ndarray | None, metadata: Mapping[str, Any]
    ) -> dict[str, np.ndarray]:
        arrays = {"z": z} if beta is None else {"z": z, "beta": beta}
        for name, array in arrays.items():
            if array.dtype != np.float32 or array.shape != (self.n_variants,):
                raise ValueError(f"{name} is {array.dtype} {array.shape}, not float32 ({self.n_variants},)")
        if metadata["effect"] not in EFFECT_KINDS or (metadata["effect"] == "none") != (beta is None):
            raise ValueError(
                f"effect is {metadata['effect']!r} and beta {'absent' if beta is None else 'given'}"
            )
        if not isinstance(metadata["input_hash"], str):
            raise ValueError("input_hash is not a string")
        return arrays

    def _check_same_inputs(self, path: str, trait: str, metadata: Mapping[str, Any]) -> None:
        old = read_metadata(path)
        if old.get("input_hash") != metadata["input_hash"]:
            sources = ", ".join(map(str, old.get("source") or ["other files"]))
            raise InputError(
                f"a trait named {trait!r} is in the store already, read from {sources}, "
                "which are not the same contents",
                path=self.path,
                remedy="Give the trait another name, or use --overwrite to read it anew.",
            )

    def read(self, trait: str) -> tuple[np.ndarray, np.ndarray | None]:
        """z and beta of a trait as read-only float32 (variants,) views; beta is None if it has no effects.

        Raises
        ------
        InputError
            If there is no such trait, or its file is damaged.
        """
        batch = open_batch(self._existing(trait))
        views = {name: array_view(batch[name]) for name in batch.schema.names}
        return views["z"], views.get("beta")

    def read_block(
        self, traits: Sequence[str], kind: Literal["z", "beta"] = "z", out: np.ndarray | None = None
    ) -> np.ndarray:
        """Copy traits into a float32 (traits, variants) array.

        Parameters
        ----------
        kind : "z", or "beta", which is NaN for a trait without effects.
        out : array of that shape (rows contiguous) to fill, else a new one is made.
        """
        shape = (len(traits), self.n_variants)
        if out is None:
            out = np.empty(shape, dtype=np.float32)
        elif out.shape != shape or out.dtype != np.float32:
            raise ValueError(f"out is {out.dtype} {out.shape}, not float32 {shape}")
        for row, trait in enumerate(traits):
            z, beta = self.read(trait)
            if kind == "z":
                out[row] = z
            else:
                out[row] = np.nan if beta is None else beta
        return out

    def file_of(self, trait: str) -> str:
        """Path of a trait's file; an InputError if there is no such trait."""
        return self._existing(trait)

    def _file(self, trait: str) -> str:
        return os.path.join(self.path, _TRAITS, file_stem(trait) + SUFFIX)

    def _existing(self, trait: str) -> str:
        path = self._file(trait)
        if not os.path.exists(path):
            raise self._no_trait(trait)
        return path

    def _no_trait(self, trait: str) -> InputError:
        return InputError(
            f"there is no trait named {trait!r}",
            path=self.path,
            remedy=f"See `gputwas gwas list {self.path}` for those that are there.",
        )


def _check_same_panel(path: str, manifest: Manifest, panel: pa.Table) -> None:
    if manifest.content.get("panel") != panel_digest(panel):
        raise InputError(
            "the store has another panel of variants",
            path=path,
            found=f"{manifest.content.get('variants'):,} variants in the store",
            expected=f"the {panel.num_rows:,} variants of the models given now, in the same order",
            remedy="Use --overwrite to write it anew, or name another folder.",
        )


def _flat(metadata: dict[str, Any]) -> dict[str, Any]:
    nested = {
        "counts": metadata.pop("counts", None) or {},
        "annotation": metadata.pop("annotation", None) or {},
    }
    for reason, count in nested["counts"].items():
        metadata[f"n_{reason}"] = count
    for name, value in nested["annotation"].items():
        metadata[name if name not in metadata else f"annotation_{name}"] = value
    return {name: json.dumps(value) if isinstance(value, dict) else value for name, value in metadata.items()}


def _column(values: list[Any]) -> pa.Array:
    kinds = {type(value) for value in values if value is not None}
    if kinds <= {int, float} and len(kinds) == 2:
        values = [None if value is None else float(value) for value in values]
    elif len(kinds) > 1:
        values = [value if value is None or isinstance(value, str) else json.dumps(value) for value in values]
    return pa.array(values)
