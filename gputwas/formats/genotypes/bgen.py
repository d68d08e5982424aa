"""BGEN genotypes: probabilities turned into expected dosages.

In: a ``.bgen`` file, its ``.bgi`` index if there is one, and a ``.sample`` file if the ids of the samples are
not in it. Out: a `GenotypePanel`. The first allele is the reference, every other one an effect allele.
Format: https://www.chg.ox.ac.uk/~gav/bgen_format/
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa

from gputwas.errors import InputError
from gputwas.formats.genotypes.panel import GenotypePanel, check_file, load
from gputwas.formats.genotypes.records import record_table, rows_of_records
from gputwas.formats.genotypes.samples import Wanted, keep, read_lines

__all__ = ["BgenGenotypes"]

_AGAIN = "Copy or make the file again."
_INDEX = "Make the index again: bgenix -index -clobber -g FILE."


class BgenGenotypes(GenotypePanel):
    """Genotypes of a BGEN file.

    Opening goes once through the file from record to record, without reading genotypes.

    Parameters
    ----------
    path : the ``.bgen`` file; where it lacks the ids of samples, ``.sample`` lies beside it.
    wanted : samples to keep, or None for all.

    Raises
    ------
    InputError
        If a file is absent or damaged, or the number of samples or variants contradict each other.
    ResourceError
        If the package bgen is not installed.
    """

    def __init__(self, path: str, wanted: Wanted | None = None) -> None:
        check_file(path, "the genotypes of a BGEN panel", "Check the name.")
        with _open(path) as reader:
            paths, families, ids = _samples(path, reader)
            kept = keep(paths[-1], ids, families, wanted)
            records = _records(path, reader)
        rows = rows_of_records(records)
        super().__init__(paths, kept.names, rows.variants, kept.not_found)
        self._record, self._allele = rows.record, rows.allele
        self._index = None if kept.everything else kept.index
        self._positions = records["position"].to_numpy()

    def _read(self, rows: np.ndarray) -> np.ndarray:
        if self._reader is None:
            self._reader = _open(self.paths[0])
        result = np.empty((len(rows), len(self.samples)), dtype=np.float64)
        records, alleles = self._record[rows], self._allele[rows]
        variant, held = None, -1
        for place in np.argsort(records, kind="stable").tolist():
            if records[place] != held:
                held = int(records[place])
                variant = self._record_at(held)
            try:
                dosage = _dosage(variant, int(alleles[place]))
            except (ValueError, RuntimeError, MemoryError) as error:
                raise _unreadable(self.paths[0], error) from error
            result[place] = dosage if self._index is None else dosage[self._index]
        return result

    def _record_at(self, number: int) -> Any:
        try:
            variant = self._reader[number]
        except (ValueError, RuntimeError, IndexError) as error:
            raise _unreadable(self.paths[0], error) from error
        if variant.pos != self._positions[number]:
            raise InputError(
                "the index contradicts the file",
                path=self.paths[0] + ".bgi",
                found=f"position {variant.pos}",
                expected=f"position {self._positions[number]} of {variant.chrom}",
                remedy=_INDEX,
            )
        return variant


def _open(path: str) -> Any:
    bgen = load("bgen")
    try:
        return bgen.BgenReader(path)
    except (ValueError, RuntimeError, MemoryError) as error:
        raise _unreadable(path, error) from error


def _unreadable(path: str, error: Exception) -> InputError:
    return InputError(f"the BGEN file cannot be read: {error}", path=path, remedy=_AGAIN)


def _samples(path: str, reader: Any) -> tuple[list[str], list[str] | None, list[str]]:
    """Files of the panel, family ids if there are any, and sample ids."""
    if reader.header.has_sample_ids:
        return [path], None, reader.samples
    sample = path.removesuffix(".bgen") + ".sample"
    check_file(sample, f"the samples of {path}, which are not in it", "Copy the .sample file to this name.")
    rows = read_lines(sample)
    header = [name.upper() for name in rows[0][1]] if rows else []
    if header[:1] != ["ID_1"] and header[:1] != ["ID"]:
        raise InputError(
            "is not a sample file of Oxford's format",
            path=sample,
            line=1,
            found=" ".join(header)[:100],
            expected="ID_1 ID_2 missing ..., or ID ...",
        )
    has_family = header[1:2] == ["ID_2"]
    people = [cells for _, cells in rows[2:]]  # the second line tells the columns' types
    if len(people) != reader.header.nsamples or any(len(cells) < 1 + has_family for cells in people):
        raise InputError(
            f"the samples contradict {path}",
            path=sample,
            found=f"{len(people):,} samples",
            expected=f"{reader.header.nsamples:,} samples, one a line after two header lines",
            remedy="Give the .sample file that belongs to this BGEN file.",
        )
    families = [cells[0] for cells in people] if has_family else None
    return [path, sample], families, [cells[has_family] for cells in people]


def _records(path: str, reader: Any) -> pa.Table:
    """Read what stands before the genotypes, and check that all records are there."""
    expected = reader.header.nvariants
    if len(reader) != expected:
        raise InputError(
            f"the index contradicts {path}",
            path=path + ".bgi",
            found=f"{len(reader):,} variants",
            expected=f"{expected:,}",
            remedy=_INDEX,
        )
    if expected == 0:
        raise InputError("holds no variant", path=path, expected="one record per variant")
    end = 0

    def before_genotypes() -> Iterator[tuple[str, int, str, str, list[str]]]:
        nonlocal end
        for row in itertools.islice(reader, expected):
            alleles, end = row.alleles, row.next_variant_offset
            yield row.chrom, row.pos, row.rsid or row.varid or ".", alleles[0], alleles[1:]

    try:
        table = record_table(before_genotypes())
    except (ValueError, RuntimeError, MemoryError, IndexError) as error:
        raise _unreadable(path, error) from error
    size = os.path.getsize(path)
    if end > size:
        raise InputError(
            "the file is cut off",
            path=path,
            found=f"{size:,} bytes",
            expected=f"at least {end:,}",
            remedy=_AGAIN,
        )
    return table


def _dosage(variant: Any, allele: int) -> np.ndarray:
    """Expected copies of one allele, scaled to two, float64 (samples,); NaN where missing."""
    n_alleles = len(variant.alleles)
    if n_alleles == 2:
        copies = variant.alt_dosage.astype(np.float64)
        ploidy = variant.ploidy
        return copies if np.all(ploidy == 2) else copies * (2.0 / np.maximum(ploidy, 1))
    probabilities = variant.probabilities.astype(np.float64)
    ploidy = variant.ploidy
    if variant.is_phased:
        of_haplotypes = probabilities.reshape(len(ploidy), -1, n_alleles)[:, :, allele]
        copies = np.nansum(of_haplotypes, axis=1) * (2.0 / np.maximum(ploidy, 1))
        copies[np.isnan(of_haplotypes[:, 0])] = np.nan
        return copies
    copies = np.full(len(ploidy), np.nan)
    for number in np.unique(ploidy[ploidy > 0]).tolist():
        weights = _copies_in_genotypes(number, n_alleles, allele)
        chosen = ploidy == number
        copies[chosen] = probabilities[chosen, : len(weights)] @ weights * (2.0 / number)
    return copies


def _copies_in_genotypes(ploidy: int, n_alleles: int, allele: int) -> np.ndarray:
    """Copies of an allele in each unphased genotype, in the order of the BGEN format (colexicographic)."""
    genotypes = itertools.combinations_with_replacement(range(n_alleles), ploidy)
    ordered = sorted(genotypes, key=lambda genotype: genotype[::-1])
    return np.array([genotype.count(allele) for genotype in ordered], dtype=np.float64)
