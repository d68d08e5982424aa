"""In: a number of variants, a random stream. Out: variants in genome order, and their text in chunks.

Like BIG40's: chromosomes 01..22 and 0X with GRCh37's lengths, a twelfth indels, 3 % without an rs number.
Arrays hold numbers only, 13 bytes a variant, so 17 million of them stay small.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from bench.text import CHUNK

__all__ = ["Variants", "draw_variants"]

# Megabases of the GRCh37 chromosomes 1..22 and X: variants are spread in proportion.
MEGABASES = np.array([249, 243, 198, 191, 181, 171, 159, 146, 141, 136, 135, 134, 115, 107, 103, 90, 81, 78,
                      59, 63, 48, 51, 155])  # fmt: skip
LABELS = np.array([f"{number:02d}" for number in range(1, 23)] + ["0X"])
SNVS = np.array([first + second for first in "ACGT" for second in "ACGT" if first != second])
PALINDROMIC = np.isin(SNVS, ["AT", "TA", "CG", "GC"])
INSERTED = np.array(["", "A", "TT", "CAC", "GTGT"])
INDELS, NAMELESS = 0.08, 0.03


@dataclass(frozen=True)
class Variants:
    """Variants in genome order, all arrays (variants,).

    Attributes
    ----------
    chromosome : uint8, 0..22, 22 being X. position : int32. alleles : uint8, place in `SNVS`.
    inserted : uint8, place in `INSERTED`; 0 is no indel. named : bool, has an rs number.
    frequency : float32, of the alternative allele.
    """

    chromosome: np.ndarray
    position: np.ndarray
    alleles: np.ndarray
    inserted: np.ndarray
    named: np.ndarray
    frequency: np.ndarray

    def __len__(self) -> int:
        return self.position.size

    @property
    def eligible(self) -> np.ndarray:
        """Which ones models may use: autosomal named SNPs that are not palindromic, (variants,) bool.

        Every way of treating alleles gives one answer for these, so programs can be compared.
        """
        usual = self.named & (self.inserted == 0) & (self.chromosome < 22)
        return usual & ~PALINDROMIC[self.alleles]

    def variance(self, rows: np.ndarray) -> np.ndarray:
        """Variance of the allele count of some variants, float64."""
        frequency = self.frequency[rows].astype(np.float64)
        return 2 * frequency * (1 - frequency)

    def ids(self, rows: np.ndarray) -> np.ndarray:
        """Identifiers of some variants, str: rs numbers, or chr:pos_ref_alt."""
        ids = np.char.add("rs", (rows * 37 + 10_019).astype(str)).astype("U32")
        nameless = np.flatnonzero(~self.named[rows])
        there = rows[nameless]
        cells = zip(
            LABELS[self.chromosome[there]], self.position[there], *self.alleles_of(there), strict=True
        )
        ids[nameless] = [
            f"{label}:{position}_{reference}_{other}" for label, position, reference, other in cells
        ]
        return ids

    def alleles_of(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Reference and alternative allele of some variants, str."""
        pairs = SNVS[self.alleles[rows]]
        reference, other = pairs.view("U1")[0::2], pairs.view("U1")[1::2]
        inserted = self.inserted[rows]
        longer = np.char.add(reference, INSERTED[inserted])
        return reference, np.where(inserted > 0, longer, other)

    def text(self, present: np.ndarray) -> Iterator[list[pa.Array]]:
        """Columns chr rsid pos a1 a2 of the variants `present` (variants,) bool, some rows at a time."""
        for begin in range(0, len(self), CHUNK):
            rows = begin + np.flatnonzero(present[begin : begin + CHUNK])
            columns = (LABELS[self.chromosome[rows]], self.ids(rows), self.position[rows].astype(str))
            yield [pa.array(column) for column in (*columns, *self.alleles_of(rows))]


def draw_variants(count: int, rng: np.random.Generator) -> Variants:
    """Variants spread evenly over the genome."""
    chromosome = np.sort(rng.choice(MEGABASES.size, size=count, p=MEGABASES / MEGABASES.sum()))
    chromosome = chromosome.astype(np.uint8)
    step = int(MEGABASES.sum()) * 1_000_000 // count
    place = np.cumsum(rng.integers(1, max(2 * step, 2), size=count))
    start = np.searchsorted(chromosome, np.arange(MEGABASES.size))
    position = place - place[np.minimum(start, count - 1)][chromosome] + 10_000
    indel = rng.random(count) < INDELS
    return Variants(
        chromosome=chromosome,
        position=position.astype(np.int32),
        alleles=rng.integers(SNVS.size, size=count, dtype=np.uint8),
        inserted=np.where(indel, rng.integers(1, INSERTED.size, size=count), 0).astype(np.uint8),
        named=rng.random(count) >= NAMELESS,
        frequency=rng.uniform(0.01, 0.5, size=count).astype(np.float32),
    )
