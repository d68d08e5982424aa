"""Where a gene lies on the horizontal axis of a genome-wide picture.

In: chromosome names and positions in bases. Out: one coordinate per gene along chromosomes 1 to 22 and X laid
end to end, in bases, and the bands the chromosomes take up.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

__all__ = ["CHROMOSOMES", "GenomeAxis", "chromosome_codes", "genome_axis"]

CHROMOSOMES = (*(str(number) for number in range(1, 23)), "X")
# GRCh37 lengths in bases (UCSC hg19.chrom.sizes). GRCh38's differ by less than 3 %; genes beyond the end
# stretch their chromosome, so no build has to be stated for drawing.
_LENGTHS = np.array([
    249250621, 243199373, 198022430, 191154276, 180915260, 171115067, 159138663, 146364022, 141213431,
    135534747, 135006516, 133851895, 115169878, 107349540, 102531392, 90354753, 81195210, 78077248,
    59128983, 63025520, 48129895, 51304566, 155270560,
])  # fmt: skip
_GAP = 6_000_000  # bases between neighbours, so that points at two ends do not touch


@dataclass(frozen=True)
class GenomeAxis:
    """Chromosomes laid end to end: first and one-past-last coordinate of each, int64 (23,), in bases."""

    starts: np.ndarray
    ends: np.ndarray

    def place(self, codes: np.ndarray, positions: np.ndarray) -> np.ndarray:
        """Coordinates float64 (genes,); NaN where the code is -1 or the position is NaN."""
        known = codes >= 0
        return np.where(known, self.starts[np.where(known, codes, 0)] + positions, np.nan)


def chromosome_codes(names: pa.Array | pa.ChunkedArray) -> np.ndarray:
    """Number the chromosomes: int64 (genes,), 0..22 for 1..22 and X, -1 for anything else and for null.

    "chr7", "07" and "7" are one chromosome, "23" is X.
    """
    if isinstance(names, pa.ChunkedArray):
        names = names.combine_chunks()
    if len(names) == 0:
        return np.empty(0, dtype=np.int64)
    coded = names.cast(pa.string()).dictionary_encode()
    table = np.array([*(_code(name) for name in coded.dictionary.to_pylist()), -1], dtype=np.int64)
    return table[pc.fill_null(coded.indices, len(table) - 1).to_numpy(zero_copy_only=False)]


def genome_axis(codes: np.ndarray, positions: np.ndarray) -> GenomeAxis:
    """Lay the chromosomes out, each at least its GRCh37 length and long enough for the genes given."""
    lengths = _LENGTHS.copy()
    usable = (codes >= 0) & np.isfinite(positions)
    np.maximum.at(lengths, codes[usable], positions[usable].astype(np.int64))
    starts = np.concatenate([[0], np.cumsum(lengths + _GAP)[:-1]])
    return GenomeAxis(starts, starts + lengths)


def _code(name: str) -> int:
    bare = name.strip().lower().removeprefix("chr").lstrip("0").upper()
    bare = "X" if bare == "23" else bare
    return CHROMOSOMES.index(bare) if bare in CHROMOSOMES else -1
