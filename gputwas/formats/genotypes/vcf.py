"""VCF and BCF genotypes.

In: a ``.vcf``, ``.vcf.gz`` or ``.bcf`` file, with or without an index (.tbi, .csi). Out: a `GenotypePanel`.

The format has no table of its records, so that opening reads the file once, without its genotypes. Reading
goes forward through the file: rows asked for in ascending order, in any number of calls, cost one pass
altogether. With an index, distant records are jumped to; without one, going back begins again at the start,
so that a call costs one pass at most. Memory is that of one record and the result.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import pyarrow as pa

from gputwas.errors import InputError
from gputwas.formats.genotypes.panel import GenotypePanel, check_file, load
from gputwas.formats.genotypes.records import record_table, rows_of_records
from gputwas.formats.genotypes.samples import Wanted, keep
from gputwas.formats.sumstats.gzip_starts import is_bgzf

__all__ = ["VcfGenotypes"]

_AGAIN = "Copy or make the file again; `bcftools view` reads one that is whole."
_WORTH_A_JUMP = 1_000  # records: reading over fewer is cheaper than a look into the index
# the empty block that ends a BGZF file (SAM specification, 4.1.2)
_END_OF_BGZF = bytes.fromhex("1f8b08040000000000ff0600424302001b0003000000000000000000")


class VcfGenotypes(GenotypePanel):
    """Genotypes of a VCF or BCF file.

    A sample's dosage is DS where the record has it (a number per ALT), else counted from GT, phased or not;
    a call with a missing half is missing. A haploid call, and a DS beside one, is doubled.

    Parameters
    ----------
    path : the file.
    wanted : samples to keep, or None for all.

    Raises
    ------
    InputError
        If the file is absent or damaged, or has no samples.
    ResourceError
        If cyvcf2 is not installed.
    """

    def __init__(self, path: str, wanted: Wanted | None = None) -> None:
        check_file(path, "the genotypes of a VCF panel", "Check the name.")
        load("cyvcf2")
        _refuse_truncated(path)
        ids = list(_open(path).samples)
        if not ids:
            raise InputError(
                "has no samples, only sites",
                path=path,
                expected="a genotype column per sample",
                remedy="Give the file of the panel that holds the individual genotypes.",
            )
        kept = keep(path, ids, None, wanted)
        if not kept.everything:
            _refuse_commas(path, kept.names)
        records = _records(path)
        rows = rows_of_records(records)
        super().__init__((path,), kept.names, rows.variants, kept.not_found)
        self._record, self._allele = rows.record, rows.allele
        self._subset = None if kept.everything else kept.names
        self._places = _Places(records["chromosome"].combine_chunks(), records["position"].to_numpy())

    def _read(self, rows: np.ndarray) -> np.ndarray:
        result = np.empty((len(rows), len(self.samples)), dtype=np.float64)
        records, alleles = self._record[rows], self._allele[rows]
        if self._reader is None:
            self._reader = _Cursor(self.paths[0], self._subset, self._places)
        for place in np.argsort(records, kind="stable").tolist():
            result[place] = self._reader.dosages(int(records[place]))[:, alleles[place] - 1]
        return result


class _Places:
    """Where each record stands on the genome, in the file's own spelling."""

    def __init__(self, chromosomes: pa.Array, positions: np.ndarray) -> None:
        coded = chromosomes.dictionary_encode()
        self.names: list[str] = coded.dictionary.to_pylist()
        self.codes = coded.indices.to_numpy().astype(np.int32)
        self.positions = positions
        begins = np.ones(len(positions), dtype=bool)
        begins[1:] = (np.diff(self.codes) != 0) | (np.diff(positions) != 0)
        starts = np.flatnonzero(begins)
        self.first_there = np.repeat(starts, np.diff(starts, append=len(positions)))

    def of(self, record: int) -> tuple[str, int]:
        return self.names[self.codes[record]], int(self.positions[record])


class _Cursor:
    """A place in the file that moves forward, or jumps if there is an index."""

    def __init__(self, path: str, samples: list[str] | None, places: _Places) -> None:
        self._path, self._samples, self._places = path, samples, places
        self._indexed = any(os.path.isfile(path + end) for end in (".tbi", ".csi"))
        self._held, self._dosages = -1, np.empty((0, 0))
        self._restart()

    def dosages(self, wanted: int) -> np.ndarray:
        """Dosages of record number `wanted`, float64 (samples, ALT alleles).

        The last ones are kept: the next row may be another allele of the same record.
        """
        if wanted != self._held:
            variant = self.record(wanted)
            try:
                self._dosages = _dosages(variant, self._path)
            except InputError:
                raise
            except Exception as error:  # cyvcf2 raises bare exceptions; a DS may be declared as text
                where = f"the genotypes at {variant.CHROM}:{variant.POS}: {error}"
                raise _unreadable(self._path, where) from error
            self._held = wanted
        return self._dosages

    def record(self, wanted: int) -> Any:
        """Give record number `wanted` of the file."""
        behind = wanted < self._next
        if self._indexed and (behind or wanted - self._next > _WORTH_A_JUMP):
            self._jump(wanted)
        elif behind:
            self._restart()
        while self._next < wanted:
            self._advance()
        variant = self._advance()
        name, position = self._places.of(wanted)
        if (name, position) != (variant.CHROM, variant.POS):
            raise InputError(
                "the records are not where they were when the file was opened",
                path=self._path,
                found=f"{variant.CHROM}:{variant.POS}",
                expected=f"{name}:{position}",
                remedy="Sort the file by position and index it again: bcftools index --force.",
            )
        return variant

    def _restart(self) -> None:
        self._file = _open(self._path, samples=self._samples)
        self._iterator, self._next, self._not_before = iter(self._file), 0, 0

    def _jump(self, wanted: int) -> None:
        """Go to the first record at the position of `wanted`; longer ones that begin earlier overlap it."""
        name, position = self._places.of(wanted)
        self._iterator = self._file(f"{name}:{position}-")
        self._next = int(self._places.first_there[wanted])
        self._not_before = position

    def _advance(self) -> Any:
        variant = self._following()
        if variant is None and self._indexed and self._next < len(self._places.positions):
            number = self._next  # an index leads to the records of one chromosome only
            self._jump(number)
            variant = self._following() if self._next == number else None
        if variant is None:
            raise _unreadable(self._path, "it ends early, or its index is of another file")
        self._next += 1
        return variant

    def _following(self) -> Any:
        try:
            for variant in self._iterator:
                if self._not_before <= variant.POS:
                    self._not_before = 0
                    return variant
        except Exception as error:  # cyvcf2 raises bare exceptions
            raise _unreadable(self._path, error) from error
        return None


def _open(path: str, **options: Any) -> Any:
    cyvcf2 = load("cyvcf2")
    try:
        return cyvcf2.VCF(path, **options)
    except Exception as error:  # cyvcf2 raises bare exceptions
        raise _unreadable(path, error) from error


def _unreadable(path: str, error: object) -> InputError:
    return InputError(f"the VCF or BCF file cannot be read: {error}", path=path, remedy=_AGAIN)


def _refuse_truncated(path: str) -> None:
    with open(path, "rb") as file:
        start = file.read(64)
        if is_bgzf(start):
            file.seek(-min(len(_END_OF_BGZF), os.path.getsize(path)), os.SEEK_END)
            if file.read() != _END_OF_BGZF:
                raise InputError(
                    "the compressed file is cut off: its end mark is missing", path=path, remedy=_AGAIN
                )


def _refuse_commas(path: str, samples: list[str]) -> None:
    """Refuse names that cyvcf2 would take for several when it is told which samples to read."""
    bad = [name for name in samples if "," in name]
    if bad:
        raise InputError(
            "samples with a comma in their id cannot be chosen",
            path=path,
            found=repr(bad[0]),
            remedy="Use all samples, or rename these: bcftools reheader --samples.",
        )


def _records(path: str) -> pa.Table:
    """Read what stands before the genotypes."""
    file = _open(path, samples=[])  # without samples the genotypes are not parsed
    try:
        table = record_table((row.CHROM, row.POS, row.ID, row.REF, row.ALT) for row in file)
    except Exception as error:  # cyvcf2 raises bare exceptions
        raise _unreadable(path, error) from error
    if table.num_rows == 0:
        raise InputError("lists no variant", path=path, expected="one record per variant")
    return table


def _dosages(variant: Any, path: str) -> np.ndarray:
    """Dosages of one record, float64 (samples, ALT alleles)."""
    fields = variant.FORMAT or []
    n_alternatives = max(len(variant.ALT), 1)
    counted = _count_calls(variant.genotype.array(), n_alternatives) if "GT" in fields else None
    stated = _numbers(variant.format("DS")) if "DS" in fields else None
    if stated is None:
        if counted is None:
            raise InputError(
                f"the record {variant.CHROM}:{variant.POS} has neither GT nor DS",
                path=path,
                found=":".join(fields),
                expected="genotypes (GT) or dosages (DS)",
                remedy="Give a file with genotypes, or remove such records: bcftools view -i 'FMT/GT!=\"\"'.",
            )
        return counted[0]
    if stated.shape[1] != n_alternatives:
        raise InputError(
            f"the record {variant.CHROM}:{variant.POS} has another number of dosages than of ALT alleles",
            path=path,
            found=f"{stated.shape[1]}",
            expected=f"{n_alternatives}",
            remedy="Make the dosages again, or use the calls: bcftools annotate --remove FORMAT/DS.",
        )
    if counted is None:
        return stated
    calls, ploidy = counted
    return np.where(np.isnan(stated), calls, stated * (2.0 / np.maximum(ploidy, 1))[:, None])


def _numbers(values: np.ndarray | None) -> np.ndarray | None:
    """As float64, NaN where missing; of whole numbers the two lowest say so (VCF specification, 6.3.3)."""
    if values is None or not np.issubdtype(values.dtype, np.integer):
        return None if values is None else values.astype(np.float64)
    return np.where(values <= np.iinfo(values.dtype).min + 1, np.nan, values.astype(np.float64))


def _count_calls(calls: np.ndarray, n_alternatives: int) -> tuple[np.ndarray, np.ndarray]:
    """Copies of each ALT allele, scaled to two, NaN where a half is missing; and the ploidy of each sample.

    A lone ``.`` tells nothing of the ploidy, which is then two.

    `calls` is integer (samples, ploidy + 1): allele numbers, -1 missing, -2 beyond the sample's ploidy; the
    last column tells phase.
    """
    haplotypes = np.ascontiguousarray(calls[:, :-1].T)  # NumPy is slow along an axis of two
    numbers = np.arange(1, n_alternatives + 1, dtype=haplotypes.dtype)[:, None]
    copies = np.zeros((n_alternatives, len(calls)))
    for haplotype in haplotypes:
        copies += haplotype == numbers
    ploidy = np.full(len(calls), len(haplotypes))
    lowest = int(haplotypes.min(initial=0))
    if lowest < -1:
        ploidy -= (haplotypes == -2).sum(axis=0)
    if lowest < -1 or len(haplotypes) != 2:
        copies *= 2.0 / np.maximum(ploidy, 1)
    if lowest < 0:
        missing = (haplotypes == -1).any(axis=0) | (ploidy == 0)
        copies[:, missing] = np.nan
        ploidy = np.where(missing & (ploidy < 2), 2, ploidy)
    return copies.T, ploidy
