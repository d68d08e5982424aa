"""The rows of simulated GWAS files: which variants a file holds, which way round, and the text of it.

In: a genome and z-scores (blocks, variants). Out: bytes of a gzip file in the layout of the BIG40 release
(``chr rsid pos a1 a2 beta se pval(-log10)``; a2 is the effect allele). Files differ as real ones do: each
pattern lacks some variants, has some the other way round and a few on the other strand.
"""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.csv
from isal import igzip

from gputwas.simulate.config import StudyConfig
from gputwas.simulate.genome import Genome
from gputwas.simulate.streams import Purpose, stream
from gputwas.stats.normal import nlog10_p_from_z

__all__ = ["Pattern", "big40_file", "draw_pattern"]

HEADER = b"chr rsid pos a1 a2 beta se pval(-log10)\n"
DECIMALS = 7  # of β and se; se is near 0.01, so these are five significant digits
ROWS_AT_ONCE = 500_000
COMPLEMENT = str.maketrans("ACGT", "TGCA")


@dataclass(frozen=True)
class Pattern:
    """What one kind of GWAS file does to the variants.

    Attributes
    ----------
    present : bool (blocks, variants), False where the file has no row.
    sign : float64 (rows,), -1 where the file counts the reference allele.
    chromosome, identifier, position, other, effect : Arrow arrays (rows,), the text columns of the file.
    """

    present: np.ndarray
    sign: np.ndarray
    chromosome: pa.Array
    identifier: pa.Array
    position: pa.Array
    other: pa.Array
    effect: pa.Array


def draw_pattern(config: StudyConfig, genome: Genome, number: int) -> Pattern:
    """Draw pattern `number`; pattern 0 lacks nothing and turns nothing.

    Only variants whose alleles tell the strands apart are put on the other strand: for the others a file on
    the wrong strand cannot be told from one on the right one.
    """
    shape = genome.position.shape
    draws = stream(config.seed, Purpose.PATTERN, number).uniform(size=(3, *shape))
    if number == 0:
        draws[:] = 1.0
    present = draws[0] >= config.missing_share
    swapped = (draws[1] < config.swap_share)[present]
    ref, alt = genome.ref[present], genome.alt[present]
    plain = (np.char.str_len(alt) == 1) & (_complement(ref) != alt)
    other_strand = (draws[2] < config.strand_share)[present] & plain
    other, effect = np.where(swapped, alt, ref), np.where(swapped, ref, alt)
    other, effect = (np.where(other_strand, _complement(allele), allele) for allele in (other, effect))
    chromosome = np.broadcast_to(genome.chromosome[:, None], shape)[present]
    return Pattern(
        present=present, sign=np.where(swapped, -1.0, 1.0),
        chromosome=pa.array(np.char.zfill(chromosome.astype("U2"), 2)),
        identifier=pa.array(genome.identifier[present]), position=pa.array(genome.position[present]),
        other=pa.array(other), effect=pa.array(effect),
    )  # fmt: skip


def big40_file(pattern: Pattern, genome: Genome, z: np.ndarray, n: int) -> bytes:
    """Give the gzip bytes of one GWAS of `n` people with z-scores `z` of the `alt` allele (blocks, variants).

    The trait has unit variance, so se = 1/sqrt(n 2f(1-f)) and β = z se.
    """
    se = (1.0 / (np.sqrt(n) * genome.dosage_sd))[pattern.present]
    z_rows = z[pattern.present] * pattern.sign
    table = pa.table({
        "chr": pattern.chromosome, "rsid": pattern.identifier, "pos": pattern.position,
        "a1": pattern.other, "a2": pattern.effect,
        # + 0.0 turns a rounded -0.0 into 0.0
        "beta": np.round(z_rows * se, DECIMALS) + 0.0, "se": np.round(se, DECIMALS),
        "p": np.round(nlog10_p_from_z(z_rows), 5) + 0.0,
    })  # fmt: skip
    options = pyarrow.csv.WriteOptions(include_header=False, delimiter=" ", quoting_style="none")
    members = []
    for first in range(0, max(table.num_rows, 1), ROWS_AT_ONCE):
        text = io.BytesIO()
        if first == 0:
            text.write(HEADER)
        pyarrow.csv.write_csv(table.slice(first, ROWS_AT_ONCE), text, options)
        # No time stamp in the gzip header: the same study is the same bytes.
        members.append(igzip.compress(text.getvalue(), compresslevel=2, mtime=0))
    return b"".join(members)


def _complement(alleles: np.ndarray) -> np.ndarray:
    """The same alleles read from the other strand (their order within an allele does not matter here)."""
    distinct, code = np.unique(alleles, return_inverse=True)
    return np.array([str(allele).translate(COMPLEMENT) for allele in distinct])[code]
