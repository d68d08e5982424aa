"""What one file teaches about the next: files of a study mostly list the same variants in the same order.

In: after a file was read in full, which of its rows are about which variants of the panel. Out: the same for
a later file of the same kind, which then needs only its numbers read. Whether the later file does list the
same variants is for the reader to check; here is only the memory, of one process and one panel.
"""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from gputwas.variants.align import Alignment

__all__ = ["KnownLayout", "KnownLayouts", "Matched"]

_REMEMBERED = 4
_MOST_FAILURES = 3
_AGAIN = 10  # files: of a kind that was given up every so many one is tried again

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Matched:
    """Which rows of a file are about which variants of the panel; nothing here depends on the statistics.

    Attributes
    ----------
    alignment : verdict of each pair of a row and a variant, before repeats are looked at.
    panel_rows, file_rows : int64 (pairs,), the variant, and the row among those that were collected.
    not_rsid : rows left out because their identifier does not contain "rs".
    chromosomes : those that the file has rows on. sample : some identifiers of the file.
    names_other_allele : False if the other allele was taken from the panel.
    lifted : all rows of the file by what became of them in the panel's build; empty if nothing was lifted.
    placed : rows of the file that have a chromosome and a position; None where these were not looked at.
    """

    alignment: Alignment
    panel_rows: npt.NDArray[np.int64]
    file_rows: npt.NDArray[np.int64]
    not_rsid: int
    chromosomes: frozenset[str]
    sample: tuple[pa.Array, ...]
    names_other_allele: bool
    lifted: Mapping[str, int] = field(default_factory=dict)
    placed: int | None = None


@dataclass(frozen=True, eq=False)
class KnownLayout:
    """A kind of file.

    Attributes
    ----------
    trails : what the reader needs to know a file of the kind and to find its rows.
    collected : int64 (rows,), which of the rows that the reader gives are in a pair; None = all.
    matched : the pairs.
    """

    trails: tuple[Any, ...]
    collected: npt.NDArray[np.int64] | None
    matched: Matched


class KnownLayouts:
    """The kinds of file read last, and how often a kind turned out to be another.

    Threads of a process may read at once.
    """

    def __init__(self) -> None:
        self._known: OrderedDict[Hashable, KnownLayout] = OrderedDict()
        self._failures: dict[Hashable, int] = {}
        self._passed: dict[Hashable, int] = {}  # files since the kind was given up
        self._lock = threading.Lock()

    def get(self, kind: Hashable) -> KnownLayout | None:
        """What is known of a kind, to read a file by.

        Of a kind that was not as expected several times in a row None, but for every tenth file: trying costs
        more than it gains, and yet the files that follow may be those of another study.
        """
        with self._lock:
            known = self._known.get(kind)
            if known is None:
                return None
            if self.given_up(kind):
                self._passed[kind] = self._passed.get(kind, 0) + 1
                if self._passed[kind] % _AGAIN:
                    return None
            self._known.move_to_end(kind)
            return known

    def given_up(self, kind: Hashable) -> bool:
        """Whether files of this kind were so often not as expected that trying costs more than it gains."""
        return self._failures.get(kind, 0) >= _MOST_FAILURES

    def remember(self, kind: Hashable, layout: KnownLayout) -> None:
        """Keep what a file of this kind taught, in place of what an earlier one did."""
        with self._lock:
            self._known[kind] = layout
            self._known.move_to_end(kind)
            while len(self._known) > _REMEMBERED:
                gone, _ = self._known.popitem(last=False)
                self._failures.pop(gone, None)
                self._passed.pop(gone, None)

    def fitted(self, kind: Hashable) -> None:
        """A file of this kind was as expected."""
        with self._lock:
            self._failures.pop(kind, None)
            self._passed.pop(kind, None)

    def failed(self, kind: Hashable) -> None:
        """A file of this kind listed other variants than expected."""
        with self._lock:
            self._failures[kind] = self._failures.get(kind, 0) + 1
            if self._failures[kind] == _MOST_FAILURES:
                log.info(
                    "%d files in a row list other variants than the file before, or in another order; "
                    "from now on such files are read in full, and only every %dth is tried by the last one",
                    _MOST_FAILURES,
                    _AGAIN,
                )
