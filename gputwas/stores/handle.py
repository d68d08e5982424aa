"""What the stores that grow have in common: opening, the lock, handing a store to a worker.

In: a folder and the kind of store. Out: the base class of `GwasStore` and `AssociationStore`.
"""

from __future__ import annotations

import os
from types import TracebackType
from typing import Any, ClassVar, Self

from gputwas.stores.folder import remove_leftovers_below
from gputwas.stores.lock import StoreLock
from gputwas.stores.manifest import Manifest, read_manifest

__all__ = ["StoreHandle"]


class StoreHandle:
    """A store made by its own `create`, or by `open`, never directly.

    A store made by `create` holds the lock until `close`, or the end of the ``with`` block. Pickling hands a
    worker process the right to add to the store, not the lock.
    """

    FORMAT: ClassVar[str]

    def __init__(self, path: str, manifest: Manifest, lock: StoreLock | None, writable: bool) -> None:
        self.path = path
        self.manifest = manifest
        self._lock = lock
        self._writable = writable

    @classmethod
    def open(cls, path: str | os.PathLike[str], *, as_worker: bool = False) -> Self:
        """Open a store for reading, or as a worker for adding to it while the coordinator holds the lock.

        Raises
        ------
        InputError
            If the folder is no store of this kind or was written by a newer version.
        """
        return cls(os.fspath(path), read_manifest(path, cls.FORMAT), None, writable=as_worker)

    def __reduce__(self) -> tuple[Any, ...]:
        return (_reopen, (type(self), self.path, self._writable))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Release the lock; harmless where none is held."""
        held = self._lock is not None and self._lock.held
        try:
            if held:
                self._before_release()
                remove_leftovers_below(self.path)  # of workers that were killed; those that live have ended
        finally:  # a full disk, say, is no reason to keep others out
            if self._lock is not None and held:
                self._lock.release()
            self._writable = False

    def _before_release(self) -> None:
        """What the coordinator still has to write; a store may override it."""


def _reopen(kind: type[StoreHandle], path: str, writable: bool) -> StoreHandle:
    return kind.open(path, as_worker=writable)
