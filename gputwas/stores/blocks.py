"""Traits in blocks: what stores have in common whose files hold some traits each.

In: a store with a table of traits. Out: which traits a block has, and where a trait is.
"""

from __future__ import annotations

import difflib
import os
from functools import cached_property
from typing import ClassVar

import pyarrow as pa

from gputwas.errors import InputError
from gputwas.stores.arrow import open_table
from gputwas.stores.handle import StoreHandle
from gputwas.stores.lock import StoreLock
from gputwas.stores.manifest import Manifest

__all__ = ["BlockedStore"]


class BlockedStore(StoreHandle):
    """A store whose manifest tells how many traits are in a block, and that has ``traits.arrow``."""

    WHICH_TRAITS: ClassVar[str]
    """What to do about a trait that the store does not have."""

    def __init__(self, path: str, manifest: Manifest, lock: StoreLock | None, writable: bool) -> None:
        super().__init__(path, manifest, lock, writable)
        self.block_size: int = manifest.content["block_size"]

    @cached_property
    def traits(self) -> pa.Table:
        """Table (traits,): trait and its metadata, in the order of the blocks."""
        return open_table(os.path.join(self.path, "traits.arrow"))

    @cached_property
    def trait_names(self) -> list[str]:
        """Names of the traits, in the order of the blocks."""
        return self.traits["trait"].to_pylist()

    @cached_property
    def _columns(self) -> dict[str, int]:
        return {trait: column for column, trait in enumerate(self.trait_names)}

    @property
    def n_blocks(self) -> int:
        """Number of blocks of traits."""
        return -(-len(self.trait_names) // self.block_size)

    def block_traits(self, block: int) -> list[str]:
        """Names of the traits of a block."""
        if not 0 <= block < self.n_blocks:
            raise IndexError(f"block {block} of {self.n_blocks}")
        return self.trait_names[block * self.block_size : (block + 1) * self.block_size]

    def locate(self, trait: str) -> tuple[int, int]:
        """Block of a trait, and its column there.

        Raises
        ------
        InputError
            If the store has no such trait.
        """
        if trait not in self._columns:
            near = difflib.get_close_matches(trait, self.trait_names, 1)
            raise InputError(
                f"the store has no trait named {trait!r}",
                path=self.path,
                remedy=f"Did you mean {near[0]!r}?" if near else self.WHICH_TRAITS,
            )
        return divmod(self._columns[trait], self.block_size)
