"""PLINK 1 genotypes: ``.bed`` with its ``.bim`` and ``.fam``.

In: the three files. Out: a `GenotypePanel` whose effect allele is A1, the allele that PLINK counts.
Format: https://www.cog-genomics.org/plink/1.9/formats#bed
"""

from __future__ import annotations

import os

import numpy as np

from gputwas.errors import InputError
from gputwas.formats.genotypes.panel import GenotypePanel, check_file, load
from gputwas.formats.genotypes.records import variant_table
from gputwas.formats.genotypes.samples import Kept, Wanted, keep, read_lines
from gputwas.formats.genotypes.text import read_variants

__all__ = ["Plink1Genotypes"]

_MAGIC = b"\x6c\x1b"
_AGAIN = "Copy the three files again, or make them anew with plink2 --make-bed."


class Plink1Genotypes(GenotypePanel):
    """A PLINK 1 file set.

    Parameters
    ----------
    path : the ``.bed`` file; ``.bim`` and ``.fam`` lie beside it under the same name.
    wanted : samples to keep, or None for all.

    Raises
    ------
    InputError
        If a file is absent or damaged, the sizes contradict each other, or the genotypes are stored by
        individual.
    ResourceError
        If bed-reader is not installed.
    """

    def __init__(self, path: str, wanted: Wanted | None = None) -> None:
        stem = path.removesuffix(".bed")
        bim, fam = stem + ".bim", stem + ".fam"
        check_file(path, "the genotypes of a PLINK 1 panel", _AGAIN)
        check_file(bim, f"the variants of {path}", _AGAIN)
        check_file(fam, f"the samples of {path}", _AGAIN)
        load("bed_reader")
        families, ids = _read_fam(fam)
        kept: Kept = keep(fam, ids, families, wanted)
        table = read_variants(bim, header=False)
        _check_bed(path, len(ids), table.num_rows, bim, fam)
        variants = variant_table(
            table["variant_id"],
            table["chromosome"],
            table["position"],
            table["effect_allele"],
            table["other_allele"],
        )
        super().__init__((path, bim, fam), kept.names, variants, kept.not_found)
        self._index = None if kept.everything else kept.index
        self._n_samples_of_file = len(ids)

    def _read(self, rows: np.ndarray) -> np.ndarray:
        if self._reader is None:
            self._reader = load("bed_reader").open_bed(
                self.paths[0],
                iid_count=self._n_samples_of_file,
                sid_count=self.variants.num_rows,
                count_A1=True,
                skip_format_check=True,
            )
        # bed_reader gives (samples, chosen) in Fortran order, so the transpose is contiguous
        try:
            values: np.ndarray = self._reader.read((self._index, rows), dtype="float64", order="F")
        except (OSError, ValueError) as error:
            raise InputError(
                f"the genotypes cannot be read: {error}", path=self.paths[0], remedy=_AGAIN
            ) from error
        return values.T


def _read_fam(path: str) -> tuple[list[str], list[str]]:
    rows = read_lines(path)
    for number, cells in rows:
        if len(cells) < 2:
            raise InputError(
                "malformed row",
                path=path,
                line=number,
                found=f"{len(cells)} cell",
                expected="6: family, sample, father, mother, sex, phenotype",
                remedy=_AGAIN,
            )
    if not rows:
        raise InputError("lists no sample", path=path, expected="one line per sample", remedy=_AGAIN)
    return [cells[0] for _, cells in rows], [cells[1] for _, cells in rows]


def _check_bed(path: str, n_samples: int, n_variants: int, bim: str, fam: str) -> None:
    """Refuse what is no SNP-major .bed of this many samples and variants."""
    with open(path, "rb") as file:
        start = file.read(3)
    if start[:2] != _MAGIC or start[2:] not in (b"\x00", b"\x01"):
        raise InputError(
            "is not a PLINK 1 genotype file",
            path=path,
            found=f"first bytes {start.hex(' ')}",
            expected="6c 1b 01",
            remedy="A UCSC .bed file of intervals has the same suffix; give the genotypes.",
        )
    if start[2:] == b"\x00":
        raise InputError(
            "the genotypes are stored sample by sample (individual-major), as only very old PLINK wrote them",
            path=path,
            found="mode byte 00",
            expected="01, variant by variant",
            remedy=f"Convert it: plink --bfile {path.removesuffix('.bed')} --make-bed --out NEW",
        )
    size, expected = os.path.getsize(path), 3 + n_variants * ((n_samples + 3) // 4)
    if size != expected:
        raise InputError(
            f"the size contradicts {n_variants:,} variants in {bim} and {n_samples:,} samples in {fam}",
            path=path,
            found=f"{size:,} bytes",
            expected=f"{expected:,} bytes",
            remedy=_AGAIN,
        )
