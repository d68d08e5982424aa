"""The joint store: one test over all tissues for every gene in every trait, a block of traits at a time.

In: arrays (genes, traits of a block), and what only depends on which SNPs a trait has. Out: memory-mapped
views of them. A block is there whole or not at all; one that is there is not computed again.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
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
    write_arrays,
    write_batch,
    write_table,
)
from gputwas.stores.blocks import BlockedStore
from gputwas.stores.folder import claim, make_folders
from gputwas.stores.hashing import ContentHash
from gputwas.stores.manifest import Manifest, new_manifest, read_json, write_json

__all__ = ["JointKind", "JointPattern", "JointStatus", "JointStore"]

FORMAT = "gputwas.joint"
_SHARDS, _PATTERNS, _OF_BLOCKS = _FOLDERS = ("shards", "patterns", "patterns_of_blocks")
_CONTENTS = ("run.json", "genes.arrow", "models.arrow", "traits.arrow", *_FOLDERS)
_OF_GENES = {
    "n_indep": np.int32, "n_tissues": np.int32, "eigen_max": np.float64, "eigen_min": np.float64,
    "eigen_min_kept": np.float64, "tmi": np.float64, "status": np.int8,
}  # fmt: skip

JointKind = Literal["statistic", "acat"]


class JointStatus(IntEnum):
    """Why a gene has no joint statistic; the numbers are those of SMulTiXcan.py (JointAnalysis.py)."""

    OK = 0
    NO_LD = -1  # the gene is not in the cross-tissue LD, or none of its SNPs there is in the GWAS
    NO_RESULT = -2  # no tissue has a z-score
    NO_TISSUE = -3  # no tissue with a z-score has variance by the cross-tissue LD
    UNDERFLOW = -4  # p is below the smallest float64; never stored, for nlog10_p is finite: exports say it


@dataclass(frozen=True, eq=False)
class JointPattern:
    """What a pattern of missing SNPs makes of every gene.

    Attributes
    ----------
    n_indep, n_tissues : int32 (genes,): components kept, tissues tested; 0 where there is no statistic.
    eigen_max, eigen_min, eigen_min_kept, tmi : float64 (genes,), NaN where there is no statistic.
    status : int8 (genes,): values of `JointStatus`.
    tested : bool (models,): models that the statistics of their genes are made of.
    """

    n_indep: np.ndarray
    n_tissues: np.ndarray
    eigen_max: np.ndarray
    eigen_min: np.ndarray
    eigen_min_kept: np.ndarray
    tmi: np.ndarray
    status: np.ndarray
    tested: np.ndarray


class JointStore(BlockedStore):
    """Results of genes x traits; made by `create` or `open`, never directly.

    A store made by `create` holds the lock until `close`, or the end of the ``with`` block. Write a block's
    patterns before its values: a block that is there is not computed again.
    """

    FORMAT = FORMAT
    WHICH_TRAITS = "Name one that was given to `multixcan`."

    def __init__(self, path: str, manifest: Manifest, lock: Any, writable: bool) -> None:
        super().__init__(path, manifest, lock, writable)
        self.kinds: tuple[JointKind, ...] = tuple(manifest.content["kinds"])

    @classmethod
    def create(
        cls,
        path: str | os.PathLike[str],
        *,
        genes: pa.Table,
        models: pa.Table,
        traits: pa.Table,
        block_size: int,
        kinds: Sequence[JointKind],
        parameters: Mapping[str, Any],
        inputs: Mapping[str, Mapping[str, Any]],
        overwrite: bool = False,
    ) -> JointStore:
        """Begin a store, or go on with the one that is there.

        Parameters
        ----------
        genes : table (genes,) with gene and gene_name. models : table (models,) with tissue and gene.
        traits : table (traits,) with trait; their order makes the blocks. block_size : traits in a block.
        kinds : values that a block has: "statistic" and "acat", or "acat" alone.
        parameters : what decides the values. inputs : name -> description with ``xxh3_128``.
        overwrite : begin anew, whatever is there.

        Raises
        ------
        InputError
            If the folder holds something else or a store of other genes, traits, parameters or inputs, or
            another process writes to it.
        ResourceError
            If the disk is full.
        """
        held = claim(
            path, FORMAT, contents=_CONTENTS, parameters=parameters, inputs=inputs, overwrite=overwrite
        )  # fmt: skip
        content = {
            "block_size": block_size, "kinds": list(kinds), "genes": _digest(genes),
            "models": _digest(models.select(["tissue", "gene"])), "traits": _digest(traits.select(["trait"])),
        }  # fmt: skip
        try:
            manifest = held.manifest
            if manifest is None:
                make_folders(held.path, _FOLDERS)
                for name, table in (("genes", genes), ("models", models), ("traits", traits)):
                    write_table(os.path.join(held.path, f"{name}.arrow"), table)
                manifest = new_manifest(FORMAT, parameters, inputs, content)
                manifest.write(held.path)
            elif changed := [name for name in content if manifest.content.get(name) != content[name]]:
                raise InputError(
                    f"the store was written with other {', '.join(changed)}",
                    path=held.path,
                    remedy="Use --overwrite to write it anew, or name another folder.",
                )
        except BaseException:
            if held.manifest is None:
                held.abandon()
            held.lock.release()
            raise
        return cls(held.path, manifest, held.lock, writable=True)

    # What the rows and columns are

    @cached_property
    def genes(self) -> pa.Table:
        """Table (genes,): the rows of every block."""
        return open_table(os.path.join(self.path, "genes.arrow"))

    @cached_property
    def models(self) -> pa.Table:
        """Table (models,): tissue and gene, in the order of the association store."""
        return open_table(os.path.join(self.path, "models.arrow"))

    # Values

    def has_block(self, block: int) -> bool:
        """Whether all values of a block are there."""
        return all(os.path.exists(self._shard(block, kind)) for kind in self.kinds)

    def write_block(self, block: int, values: Mapping[JointKind, np.ndarray]) -> None:
        """Write a block: for each of `kinds` a float32 or float64 (genes, traits of the block) array.

        ``statistic`` is chi-square with the pattern's n_indep degrees of freedom, ``acat`` is -log10 p; NaN
        where there is none.
        """
        self._check_writable()
        names = self.block_traits(block)
        shape = (self.genes.num_rows, len(names))
        if set(values) != set(self.kinds):
            raise ValueError(f"a block has {self.kinds}, not {tuple(values)}")
        for kind, array in values.items():
            if array.shape != shape or array.dtype not in (np.float32, np.float64):
                raise ValueError(f"{kind} is {array.dtype} {array.shape}, not float32 or float64 {shape}")
        for kind in self.kinds:
            write_batch(self._shard(block, kind), names, float_columns(values[kind]))

    def read_block(self, block: int, kind: JointKind = "statistic") -> np.ndarray:
        """Values of a block, a read-only (genes, traits) view; an InputError if not there or damaged."""
        path = _existing(self._shard(block, kind))
        values = open_matrix(path, self.block_traits(block), self.genes.num_rows)
        if values is None:
            raise InputError("a block does not have the genes and traits of the store", path=path)
        return values

    def read_trait(self, trait: str, kind: JointKind = "statistic") -> np.ndarray:
        """Values of one trait, read-only (genes,); errors as for `read_block`."""
        block, column = self.locate(trait)
        return array_view(open_batch(_existing(self._shard(block, kind))).column(column))

    def _shard(self, block: int, kind: str) -> str:
        if kind not in self.kinds:
            raise ValueError(f"the store has {', '.join(self.kinds)}, not {kind!r}")
        return os.path.join(self.path, _SHARDS, f"{block:05d}.{kind}.arrow")

    # Patterns of missing SNPs

    def has_pattern(self, digest: str) -> bool:
        """Whether a pattern was written."""
        return all(os.path.exists(self._pattern(digest, part)) for part in ("genes", "models"))

    def write_pattern(self, digest: str, pattern: JointPattern) -> None:
        """Write a pattern under its hexadecimal name; one that is there is kept."""
        self._check_writable()
        arrays = {name: getattr(pattern, name) for name in _OF_GENES}
        for name, dtype in _OF_GENES.items():
            array = arrays[name]
            if array.dtype != dtype or array.shape != (self.genes.num_rows,):
                raise ValueError(
                    f"{name} is {array.dtype} {array.shape}, not {np.dtype(dtype)} ({self.genes.num_rows},)"
                )
        if pattern.tested.dtype != bool or pattern.tested.shape != (self.models.num_rows,):
            raise ValueError(f"tested is {pattern.tested.dtype} {pattern.tested.shape}, not bool (models,)")
        if not self.has_pattern(digest):
            write_arrays(self._pattern(digest, "genes"), arrays)
            write_arrays(self._pattern(digest, "models"), {"tested": pattern.tested.astype(np.uint8)})

    def read_pattern(self, digest: str) -> JointPattern:
        """Memory-map a pattern; an InputError if it was not written or its file is damaged."""
        of_genes = open_batch(self._pattern(digest, "genes"))
        of_models = open_batch(self._pattern(digest, "models"))
        return JointPattern(
            **{name: array_view(of_genes[name]) for name in _OF_GENES},
            tested=array_view(of_models["tested"]).astype(bool),
        )

    def has_block_patterns(self, block: int) -> bool:
        """Whether the patterns of a block's traits were recorded."""
        return os.path.exists(self._record(block))

    def write_block_patterns(self, block: int, digests: Sequence[str]) -> None:
        """Record the digest of the pattern of each trait of a block, in their order."""
        self._check_writable()
        write_json(self._record(block), dict(zip(self.block_traits(block), digests, strict=True)))

    def pattern_of(self, trait: str) -> str:
        """Digest of a trait's pattern; an InputError if there is no such trait or it was not recorded yet."""
        return read_json(_existing(self._record(self.locate(trait)[0])))[trait]

    def _pattern(self, digest: str, part: str) -> str:
        if not re.fullmatch(r"[0-9a-f]{1,64}", digest):
            raise ValueError(f"{digest!r} is not a hexadecimal digest")
        return os.path.join(self.path, _PATTERNS, f"{digest}.{part}.arrow")

    def _record(self, block: int) -> str:
        return os.path.join(self.path, _OF_BLOCKS, f"{block:05d}.json")

    # The end

    def finish(self, run: Mapping[str, Any]) -> None:
        """Write run.json, which says that everything is there; a RuntimeError if a block is missing."""
        self._check_writable()
        missing = [block for block in range(self.n_blocks) if not self.has_block(block)]
        if missing:
            raise RuntimeError(f"{self.path} is not complete: block {missing[0]} is missing")
        write_json(os.path.join(self.path, "run.json"), run)

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


def _existing(path: str) -> str:
    """The path of a file of a block; an InputError if the block is not there."""
    if not os.path.exists(path):
        raise InputError(
            "these results were not computed yet",
            path=path,
            remedy="Run the same `gputwas multixcan` again; it goes on where it was.",
        )
    return path


def _digest(table: pa.Table) -> str:
    return ContentHash().add_table("table", table).hexdigest()
