"""PLINK 2 genotypes: ``.pgen`` with its ``.pvar`` (or ``.pvar.zst``) and ``.psam``.

In: the three files. Out: a `GenotypePanel`; dosages where the file has them, hard calls elsewhere.
Format: https://github.com/chrchang/plink-ng/tree/master/pgen_spec
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import pyarrow.compute as pc

from gputwas.errors import InputError
from gputwas.formats.genotypes.panel import GenotypePanel, check_file, load
from gputwas.formats.genotypes.records import rows_of_records
from gputwas.formats.genotypes.samples import Wanted, keep, read_lines
from gputwas.formats.genotypes.text import read_variants

__all__ = ["Plink2Genotypes"]

_MAGIC = b"\x6c\x1b"
_PLINK1 = 1  # storage mode of a .bed file, which has no counts in its header
_MISSING = -9.0
_AGAIN = "Copy the three files again, or make them anew with plink2 --make-pgen."


class Plink2Genotypes(GenotypePanel):
    """A PLINK 2 file set.

    Parameters
    ----------
    path : the ``.pgen`` file; ``.pvar`` or ``.pvar.zst`` and ``.psam`` lie beside it under the same name.
    wanted : samples to keep, or None for all.

    Raises
    ------
    InputError
        If a file is absent or damaged, or the counts of samples or variants contradict each other.
    ResourceError
        If pgenlib is not installed.
    """

    def __init__(self, path: str, wanted: Wanted | None = None) -> None:
        stem = path.removesuffix(".pgen")
        pvar, psam = stem + ".pvar", stem + ".psam"
        if not os.path.isfile(pvar) and os.path.isfile(pvar + ".zst"):
            pvar += ".zst"
        check_file(path, "the genotypes of a PLINK 2 panel", _AGAIN)
        check_file(pvar, f"the variants of {path} (it may also be called .pvar.zst)", _AGAIN)
        check_file(psam, f"the samples of {path}", _AGAIN)
        load("pgenlib")
        families, ids = _read_psam(psam)
        kept = keep(psam, ids, families, wanted)
        table = read_variants(pvar, header=True)
        _check_pgen(path, len(ids), table.num_rows, pvar, psam)
        alternatives = pc.split_pattern(table["effect_allele"], ",")
        records = table.drop_columns("effect_allele").rename_columns({"other_allele": "reference"})
        rows = rows_of_records(records.append_column("alternatives", alternatives))
        super().__init__((path, pvar, psam), kept.names, rows.variants, kept.not_found)
        self._record, self._allele = rows.record, rows.allele
        self._index = None if kept.everything else kept.index.astype(np.uint32)
        self._n_samples_of_file = len(ids)

    def _read(self, rows: np.ndarray) -> np.ndarray:
        result = np.empty((len(rows), len(self.samples)), dtype=np.float64)
        records, alleles = self._record[rows].astype(np.uint32), self._allele[rows]
        try:
            if self._reader is None:
                self._reader = self._open()
            for allele in np.unique(alleles):
                chosen = np.flatnonzero(alleles == allele)
                part = result if len(chosen) == len(rows) else np.empty((len(chosen), result.shape[1]))
                self._reader.read_dosages_list(records[chosen], part, allele_idx=int(allele))
                if part is not result:
                    result[chosen] = part
        except RuntimeError as error:
            raise InputError(
                f"the genotypes cannot be read: {_words(error)}", path=self.paths[0], remedy=_AGAIN
            ) from error
        result[result == _MISSING] = np.nan
        return result

    def _open(self) -> Any:
        n_alleles = np.bincount(self._record) + 1
        offsets = np.concatenate([[0], np.cumsum(n_alleles)]).astype(np.uintp)
        return load("pgenlib").PgenReader(
            os.fsencode(self.paths[0]),
            raw_sample_ct=self._n_samples_of_file,
            variant_ct=len(n_alleles),
            sample_subset=self._index,
            allele_idx_offsets=offsets if np.any(n_alleles > 2) else None,
        )


def _words(error: RuntimeError) -> str:
    text = error.args[0] if error.args else error
    return text.decode("utf-8", "replace").strip() if isinstance(text, bytes) else str(text).strip()


def _read_psam(path: str) -> tuple[list[str] | None, list[str]]:
    """Family ids, if the file has them, and sample ids. Without a header line it is a ``.fam`` file."""
    family, sample, n_cells = 0, 1, 2
    families, ids = [], []
    for number, cells in read_lines(path):
        if cells[0].startswith("##"):
            continue
        if cells[0].startswith("#"):
            if cells[0] not in ("#FID", "#IID") or (cells[0] == "#FID" and cells[1:2] != ["IID"]):
                raise InputError(
                    "the header of the sample list is unknown",
                    path=path,
                    line=number,
                    found=" ".join(cells)[:100],
                    expected="#FID IID ... or #IID ...",
                    remedy=_AGAIN,
                )
            family, sample, n_cells = (0, 1, len(cells)) if cells[0] == "#FID" else (-1, 0, len(cells))
            continue
        if len(cells) < n_cells:
            raise InputError(
                "malformed row",
                path=path,
                line=number,
                found=f"{len(cells)} cells",
                expected=f"{n_cells}",
                remedy=_AGAIN,
            )
        families.append(cells[family])
        ids.append(cells[sample])
    if not ids:
        raise InputError("lists no sample", path=path, expected="one line per sample", remedy=_AGAIN)
    return (families if family >= 0 else None), ids


def _check_pgen(path: str, n_samples: int, n_variants: int, pvar: str, psam: str) -> None:
    """Refuse what is no .pgen of this many samples and variants."""
    with open(path, "rb") as file:
        start = file.read(11)
    if len(start) < 11 or start[:2] != _MAGIC or start[2] == _PLINK1:
        raise InputError(
            "is not a PLINK 2 genotype file",
            path=path,
            found=f"first bytes {start[:3].hex(' ')}",
            expected="6c 1b and a storage mode from 02 on",
            remedy=_AGAIN,
        )
    for what, place, expected, source in (("variants", 3, n_variants, pvar), ("samples", 7, n_samples, psam)):
        found = int.from_bytes(start[place : place + 4], "little")
        if found != expected:
            raise InputError(
                f"the number of {what} contradicts {source}",
                path=path,
                found=f"{found:,}",
                expected=f"{expected:,}",
                remedy=_AGAIN,
            )
