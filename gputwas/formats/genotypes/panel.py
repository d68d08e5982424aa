"""What every genotype reader gives: samples, variants, and the dosages of any rows.

In: for a reader, its files; for `JoinedGenotypes`, the panels of several file sets with the same samples.
Out: `GenotypePanel`, the one interface that the rest of the program knows.
"""

from __future__ import annotations

import importlib
import os
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from gputwas.errors import InputError, ResourceError

__all__ = ["INSTALL", "GenotypePanel", "JoinedGenotypes", "check_file", "load"]

INSTALL = "pip install 'gputwas[genotypes]'"


class GenotypePanel(ABC):
    """Genotypes of one or several file sets.

    Parameters
    ----------
    paths : all files that the panel consists of, for digests of the input.
    samples : ids of the samples kept, in file order, all different.
    variants : see `records.variant_table`.
    not_found : samples that were asked for and are not in the files.

    Attributes
    ----------
    paths, samples, not_found : as given.
    variants : Arrow table (rows,): variant_id, chromosome ("1".."22", "X", "Y", "MT"), position (int64,
        1-based), effect_allele, other_allele (upper case); null where the file says missing. The dosage
        counts `effect_allele`: ALT, or A1 of PLINK 1. A record with several ALT alleles has one row for each.
    """

    def __init__(
        self, paths: Sequence[str], samples: list[str], variants: pa.Table, not_found: Sequence[str] = ()
    ) -> None:
        self.paths = tuple(paths)
        self.samples = samples
        self.variants = variants
        self.not_found = tuple(not_found)
        self._reader: Any = None

    def dosages(self, rows: np.ndarray | Sequence[int]) -> np.ndarray:
        """Read the dosages of some variants.

        Parameters
        ----------
        rows : int64 (chosen,): rows of `variants`, in any order, repeats allowed. Rows in file order are
            fastest in every format.

        Returns
        -------
        float64 (chosen, samples): copies of the effect allele, 0 to 2; NaN where missing. One copy of a
        haploid call counts as two, as PLINK has it, so that all formats agree.

        Raises
        ------
        InputError
            If the genotypes of a variant cannot be read.
        IndexError
            If a row is not in the panel.
        """
        index = np.asarray(rows, dtype=np.int64).reshape(-1)
        if len(index) == 0:
            return np.empty((0, len(self.samples)), dtype=np.float64)
        low, high = int(index.min()), int(index.max())
        if low < 0 or high >= self.variants.num_rows:
            raise IndexError(
                f"row {low if low < 0 else high} of a panel of {self.variants.num_rows} variants"
            )
        return self._read(index)

    @abstractmethod
    def _read(self, rows: np.ndarray) -> np.ndarray:
        """As `dosages`; `rows` is int64, not empty and within bounds."""

    def __getstate__(self) -> dict[str, Any]:
        """Leave open files behind when the panel goes to another process, which opens its own."""
        return self.__dict__ | {"_reader": None}


class JoinedGenotypes(GenotypePanel):
    """Panels with the same samples, one after the other.

    Raises
    ------
    InputError
        If the samples of a panel differ from those of the first one.
    """

    def __init__(self, panels: Sequence[GenotypePanel]) -> None:
        first = panels[0]
        for other in panels[1:]:
            if other.samples != first.samples:
                raise InputError(
                    "the files of a panel must hold the same samples in the same order",
                    path=other.paths[0],
                    found=_difference(other.samples, first.samples),
                    expected=f"{len(first.samples)} samples as in {first.paths[0]}",
                    remedy="Keep the samples that all files have, with a keep file or plink2 --keep, or "
                    "leave this file out: in some releases X, Y and MT have other samples.",
                )
        super().__init__(
            [path for panel in panels for path in panel.paths],
            first.samples,
            pa.concat_tables([panel.variants for panel in panels]).combine_chunks(),
            first.not_found,
        )
        self._panels = list(panels)
        self._starts = np.cumsum([0, *(panel.variants.num_rows for panel in panels)])

    def _read(self, rows: np.ndarray) -> np.ndarray:
        panel_of = np.searchsorted(self._starts, rows, side="right") - 1
        used = np.unique(panel_of)
        if len(used) == 1:
            return self._panels[used[0]].dosages(rows - self._starts[used[0]])
        result = np.empty((len(rows), len(self.samples)), dtype=np.float64)
        for number in used:
            chosen = np.flatnonzero(panel_of == number)
            result[chosen] = self._panels[number].dosages(rows[chosen] - self._starts[number])
        return result


def check_file(path: str, what: str, remedy: str) -> None:
    """Refuse a file that is not there, saying what it would have been.

    Raises
    ------
    InputError
        If `path` is no file.
    """
    if not os.path.isfile(path):
        raise InputError(f"no such file; it would hold {what}", path=path, remedy=remedy)


def load(module: str) -> Any:
    """Import the library that reads a format.

    Raises
    ------
    ResourceError
        If it is not installed; names the installation command.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ResourceError(
            f"{module}, which reads this kind of genotypes, is not installed; get it with: {INSTALL}"
        ) from error


def _difference(samples: list[str], expected: list[str]) -> str:
    if len(samples) != len(expected):
        return f"{len(samples)} samples"
    place = next(
        place for place, pair in enumerate(zip(samples, expected, strict=True)) if pair[0] != pair[1]
    )
    return f"sample {place + 1} is {samples[place]}, not {expected[place]}"
