"""The association store: z and effect size of every model in every trait, one tissue and block at a time.

In: arrays (models of a tissue, traits of a block). Out: memory-mapped views of them, in any order. Blocks may
be written by several worker processes, in any order; each is there whole or not at all.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from gputwas.errors import InputError
from gputwas.stores.arrow import (
    array_view,
    float_columns,
    open_batch,
    open_matrix,
    open_table,
    write_batch,
    write_table,
)
from gputwas.stores.blocks import BlockedStore
from gputwas.stores.folder import Claim, claim, make_folders
from gputwas.stores.hashing import ContentHash
from gputwas.stores.lock import StoreLock
from gputwas.stores.manifest import Manifest, new_manifest, read_json, to_plain, write_json
from gputwas.stores.names import file_stem
from gputwas.stores.patterns import PATTERN_FOLDERS, Pattern, PatternFolder, Status
from gputwas.stores.tissues import tissue_slices

__all__ = ["AssociationStore", "Kind", "Pattern", "Status"]

FORMAT = "gputwas.associations"
_SHARDS = "shards"
_CONTENTS = ("run.json", "models.arrow", "traits.arrow", _SHARDS, *PATTERN_FOLDERS)

Kind = Literal["z", "effect"]
_KINDS: tuple[Kind, Kind] = ("z", "effect")


class AssociationStore(BlockedStore):
    """Results of models x traits; made by `create` or `open`, never directly.

    A store made by `create` holds the lock until `close`, or the end of the ``with`` block. Pickling hands a
    worker process the right to write blocks and patterns, not the lock. Write a block's patterns before its
    z and effects: a block that is there is not computed again.
    """

    FORMAT = FORMAT
    WHICH_TRAITS = "`gputwas gwas list` names those scored."

    def __init__(self, path: str, manifest: Manifest, lock: StoreLock | None, writable: bool) -> None:
        super().__init__(path, manifest, lock, writable)
        self._patterns = PatternFolder(path)

    @classmethod
    def create(
        cls,
        path: str | os.PathLike[str],
        *,
        models: pa.Table,
        traits: pa.Table,
        block_size: int,
        parameters: Mapping[str, Any],
        inputs: Mapping[str, Mapping[str, Any]],
        overwrite: bool = False,
    ) -> AssociationStore:
        """Begin a store, or go on with the one that is there.

        Parameters
        ----------
        models : table (models,) with tissue and gene, a tissue's models contiguous.
        traits : table (traits,) with trait (no name twice) and any metadata; their order makes the blocks.
        block_size : traits in a block.
        parameters : what decides the values (precision and so on); not device or number of workers.
        inputs : name -> description with ``xxh3_128`` of model store and traits.
        overwrite : begin anew, whatever is there.

        Raises
        ------
        InputError
            If two traits have one name, the folder holds something else or a store of other models, traits,
            parameters or inputs, or another process writes to it.
        ResourceError
            If the disk is full.
        """
        _check_tables(models, traits, block_size)
        held = claim(
            path, FORMAT, contents=_CONTENTS, parameters=parameters, inputs=inputs, overwrite=overwrite
        )  # fmt: skip
        try:
            manifest = held.manifest
            if manifest is None:
                manifest = _begin(held, models, traits, block_size, parameters, inputs)
            else:
                _check_same(held.path, manifest, models, traits, block_size)
        except BaseException:
            if held.manifest is None:
                held.abandon()
            held.lock.release()
            raise
        return cls(held.path, manifest, held.lock, writable=True)

    # What the rows and columns are

    @cached_property
    def models(self) -> pa.Table:
        """Table (models,): the rows of all tissues, tissue after tissue."""
        return open_table(os.path.join(self.path, "models.arrow"))

    @property
    def tissues(self) -> list[str]:
        """Tissues in the order of the model table."""
        return list(self._tissue_slices)

    @cached_property
    def _tissue_slices(self) -> dict[str, slice]:
        return tissue_slices(self.models)

    def tissue_slice(self, tissue: str) -> slice:
        """Rows of the model table (and of patterns) that belong to a tissue.

        Raises
        ------
        InputError
            If the store has no such tissue.
        """
        if tissue not in self._tissue_slices:
            known = ", ".join(self.tissues)
            raise InputError(
                "the store has no such tissue",
                path=self.path,
                found=repr(tissue),
                remedy=f"Its tissues are {known}.",
            )
        return self._tissue_slices[tissue]

    # z and effect

    def has_block(self, tissue: str, block: int) -> bool:
        """Whether z and effect of a tissue and block are there."""
        return all(os.path.exists(self._shard(tissue, block, kind)) for kind in _KINDS)

    def write_block(self, tissue: str, block: int, z: np.ndarray, effect: np.ndarray) -> None:
        """Write a tissue's results of one block.

        Parameters
        ----------
        z, effect : float32 or float64, both the same, (models of the tissue, traits of the block), NaN where
            there is none. float64 doubles the store.

        Raises
        ------
        ResourceError
            If the disk is full.
        """
        self._check_writable()
        rows = self.tissue_slice(tissue)
        names = self.block_traits(block)
        shape = (rows.stop - rows.start, len(names))
        for kind, values in zip(_KINDS, (z, effect), strict=True):
            if values.shape != shape or values.dtype not in (np.float32, np.float64):
                raise ValueError(f"{kind} is {values.dtype} {values.shape}, not float32 or float64 {shape}")
        if z.dtype != effect.dtype:
            raise ValueError(f"z is {z.dtype} and effect {effect.dtype}, both must be the same")
        for kind, values in zip(_KINDS, (z, effect), strict=True):
            write_batch(self._shard(tissue, block, kind), names, float_columns(values))

    def read_block(self, tissue: str, block: int, kind: Kind = "z") -> np.ndarray:
        """Results of a tissue and block as a read-only (models, traits) view, columns contiguous.

        Raises
        ------
        InputError
            If the block was not computed yet, or its file is damaged.
        """
        rows = self.tissue_slice(tissue)
        path = self._existing(tissue, block, kind)
        values = open_matrix(path, self.block_traits(block), rows.stop - rows.start)
        if values is None:
            raise InputError("a block does not have the models and traits of the store", path=path)
        return values

    def read_trait(self, tissue: str, trait: str, kind: Kind = "z") -> np.ndarray:
        """Results of one trait in one tissue, read-only (models,); errors as for `read_block`."""
        block, column = self.locate(trait)
        return array_view(open_batch(self._existing(tissue, block, kind)).column(column))

    def iter_tissue(self, tissue: str, kind: Kind = "z") -> Iterator[tuple[int, list[str], np.ndarray]]:
        """All blocks of a tissue in order: number, names of the traits, (models, traits) view."""
        for block in range(self.n_blocks):
            yield block, self.block_traits(block), self.read_block(tissue, block, kind)

    def _shard(self, tissue: str, block: int, kind: str) -> str:
        if kind not in _KINDS:
            raise ValueError(f"kind is one of {_KINDS}, not {kind!r}")
        return os.path.join(self.path, _SHARDS, file_stem(tissue), f"{block:05d}.{kind}.arrow")

    def _existing(self, tissue: str, block: int, kind: str) -> str:
        path = self._shard(tissue, block, kind)
        if not os.path.exists(path):
            raise InputError(
                "these results were not computed yet",
                path=path,
                remedy="Run the same `gputwas associate` again; it goes on where it was.",
            )
        return path

    # Patterns of missing SNPs

    def has_pattern(self, digest: str) -> bool:
        """Whether a pattern was written."""
        return self._patterns.has(digest)

    def write_pattern(
        self, digest: str, n_snps_used: np.ndarray, var_g: np.ndarray, status: np.ndarray
    ) -> None:
        """Write what a pattern of missing SNPs makes of every model; a pattern that is there is kept.

        Parameters
        ----------
        digest : hexadecimal name of the pattern.
        n_snps_used : int32 (models,); var_g : float64 (models,); status : uint8 (models,), see `Pattern`.
        """
        self._check_writable()
        self._patterns.write(digest, Pattern(n_snps_used, var_g, status), self.models.num_rows)

    def read_pattern(self, digest: str) -> Pattern:
        """Memory-map a pattern; an InputError if it was not written or its file is damaged."""
        return self._patterns.read(digest)

    def has_block_patterns(self, block: int) -> bool:
        """Whether the patterns of a block's traits were recorded."""
        return self._patterns.has_block(block)

    def write_block_patterns(self, block: int, digests: Sequence[str]) -> None:
        """Record the digest of the pattern of each trait of a block, in their order."""
        self._check_writable()
        self._patterns.write_block(block, self.block_traits(block), digests)

    def pattern_of(self, trait: str) -> str:
        """Digest of a trait's pattern; an InputError if there is no such trait or it was not recorded yet."""
        return self._patterns.of_block(self.locate(trait)[0])[trait]

    # The end

    def finish(self, run: Mapping[str, Any]) -> None:
        """Write run.json, which says that everything is there.

        Parameters
        ----------
        run : versions, device, precision, time, memory: how the results came to be.

        Raises
        ------
        RuntimeError
            If a block or pattern is missing.
        """
        self._check_writable()
        missing = self._missing()
        if missing:
            raise RuntimeError(f"{self.path} is not complete: {missing} is missing")
        write_json(os.path.join(self.path, "run.json"), run)

    def _missing(self) -> str | None:
        for block in range(self.n_blocks):
            if not self.has_block_patterns(block):
                return f"the record of patterns of block {block}"
            for digest in set(self._patterns.of_block(block).values()):
                if not self.has_pattern(digest):
                    return f"pattern {digest}"
            for tissue in self.tissues:
                if not self.has_block(tissue, block):
                    return f"block {block} of {tissue}"
        return None

    @property
    def is_complete(self) -> bool:
        """Whether the run that wrote the store came to its end."""
        return os.path.exists(os.path.join(self.path, "run.json"))

    @property
    def run(self) -> dict[str, Any]:
        """Contents of run.json; an InputError if the store is not complete."""
        return read_json(os.path.join(self.path, "run.json"))

    def _check_writable(self) -> None:
        if not self._writable:
            raise RuntimeError(f"{self.path} was opened for reading")


def _check_tables(models: pa.Table, traits: pa.Table, block_size: int) -> None:
    if block_size < 1:
        raise ValueError(f"block_size is {block_size}")
    tissue_slices(models)
    names = traits["trait"].to_pylist()
    if len(set(names)) < len(names):
        repeated = next(name for name in names if names.count(name) > 1)
        raise InputError(
            "two traits have one name", found=repeated, remedy="Give each trait a name of its own."
        )


def _begin(
    held: Claim,
    models: pa.Table,
    traits: pa.Table,
    block_size: int,
    parameters: Mapping[str, Any],
    inputs: Mapping[str, Mapping[str, Any]],
) -> Manifest:
    shards = [os.path.join(_SHARDS, file_stem(tissue)) for tissue in tissue_slices(models)]
    make_folders(held.path, [_SHARDS, *shards, *PATTERN_FOLDERS])
    write_table(os.path.join(held.path, "models.arrow"), models)
    write_table(os.path.join(held.path, "traits.arrow"), traits)
    content = {"block_size": block_size, "models": _digest(models), "traits": traits.num_rows}
    manifest = new_manifest(FORMAT, parameters, inputs, content)
    manifest.write(held.path)
    return manifest


def _check_same(path: str, manifest: Manifest, models: pa.Table, traits: pa.Table, block_size: int) -> None:
    found = []
    old = open_table(os.path.join(path, "traits.arrow"))
    if manifest.content["models"] != _digest(models):
        found.append("the models are others")
    if old["trait"].to_pylist() != traits["trait"].to_pylist():
        found.append(f"it has {old.num_rows:,} traits, now there are {traits.num_rows:,} or in another order")
    if manifest.content["block_size"] != block_size:
        found.append(f"block_size was {manifest.content['block_size']} and is now {block_size}")
    if found:
        raise InputError(
            f"the store was written differently: {'; '.join(found)}",
            path=path,
            remedy="Use --overwrite to write it anew, or name another folder.",
        )
    if old.schema != traits.schema or to_plain(old.to_pydict()) != to_plain(traits.to_pydict()):
        # Annotations and sample sizes do not enter z; the newest are right.
        write_table(os.path.join(path, "traits.arrow"), traits)


def _digest(table: pa.Table) -> str:
    return ContentHash().add_table("models", table).hexdigest()
