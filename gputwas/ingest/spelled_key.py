"""The key of a GWAS whose identifiers tell places as the panel's do, and only spell them otherwise.

In: the panel, and how the GWAS spells identifiers. Out: a `TextKey` of the panel's own identifiers and of its
variants as the GWAS writes them, under each name that their chromosome may have.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gputwas.ingest.keys import TextKey, single_pairs
from gputwas.ingest.panel import PanelIndex
from gputwas.variants.identifiers import Spelling

__all__ = ["spelled_key"]

_OTHER_NAMES = {"X": ["23", "25", "0X"], "Y": ["24", "0Y"], "MT": ["M", "26"]}


def spelled_key(panel: PanelIndex, spelling: Spelling, example: str) -> TextKey:
    """The panel's variants as the file spells them, with the alleles in either order."""
    ours = f"{panel.style.example!r}" if panel.style.positional else "the models', or their places"
    said = f"identifier ({ours} written as in {example!r}"
    said += ", alleles in either order)" if spelling.alleles else ", alleles by their columns)"
    name = ("spelled", spelling)
    return panel.kept(name, lambda: _written(panel, spelling, name, said))


def _written(panel: PanelIndex, spelling: Spelling, name: Any, said: str) -> TextKey:
    chromosome, position = panel.places
    every = np.arange(len(panel))
    texts, rows = [panel.ids.cast(pa.string())], [every]
    orders = [(panel.effect, panel.other), (panel.other, panel.effect)]
    for written, chosen in _names(chromosome, every, zeros=spelling.zero is None):
        at = position.take(pa.array(chosen))
        for one, two in orders if spelling.alleles else orders[:1]:
            first, second = (a.cast(pa.string()).take(pa.array(chosen)) for a in (one, two))
            texts.append(spelling.write(written, at, first, second))
            rows.append(chosen)
    texts_once, rows_once = single_pairs(pa.concat_arrays(texts), np.concatenate(rows))
    return TextKey(texts_once, rows_once, name=name, said=said, placed=True, alleles=spelling.alleles)


def _names(chromosome: pa.Array, every: np.ndarray, *, zeros: bool) -> list[tuple[pa.Array, np.ndarray]]:
    """The names that chromosomes may have in a file, with the variants on them; zeros: perhaps 01 for 1."""
    found = [(chromosome, every)]
    may_be = _OTHER_NAMES | ({str(n): [f"0{n}"] for n in range(1, 10)} if zeros else {})
    for usual, others in may_be.items():
        there = np.flatnonzero(np.asarray(pc.fill_null(pc.equal(chromosome, usual), False)))
        if len(there):
            found += [(pa.array([other] * len(there)), there) for other in others]
    return found
