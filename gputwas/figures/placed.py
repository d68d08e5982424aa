"""Associations with a place in the genome, ready to be drawn.

In: the table of significant associations. Out: arrays in drawing order, and a line about what has no place.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gputwas.figures.genome import GenomeAxis, chromosome_codes, genome_axis
from gputwas.figures.names import modality_key
from gputwas.figures.tables import encode, floats, strings

__all__ = ["PlacedAssociations", "place_associations"]


@dataclass(frozen=True)
class PlacedAssociations:
    """Associations with a place, most common modality first so that rare ones lie on top; all (points,)."""

    x: np.ndarray  # float64, bases along the genome
    y: np.ndarray  # float64, -log10 p, with the sign of z where the picture is signed
    code: np.ndarray  # int64, chromosome
    position: np.ndarray  # float64, bases on the chromosome
    name: np.ndarray  # object, gene name or id
    modality: np.ndarray  # int64, into `modalities`
    positive: np.ndarray  # bool, z >= 0
    modalities: tuple[str, ...]  # empty where the table has none


def place_associations(
    table: pa.Table, *, signed: bool, needs_sign: bool = False, own_colours: Collection[str] = ()
) -> tuple[PlacedAssociations, GenomeAxis, str]:
    """Place the rows of a table of associations; with `needs_sign` those without z have no place either.

    Modalities are known ones, those with a colour of their own in `own_colours`, or else "other".

    Returns
    -------
    The associations that can be drawn, the axis they lie on, and a line that counts those that cannot
    (empty where all can): no position, a chromosome other than 1 to 22 and X, no finite value.
    """
    codes = chromosome_codes(table["chromosome"])
    start = floats(table, "start")
    end = floats(table, "end")
    position = np.where(np.isfinite(end), (start + end) / 2, start)
    height = floats(table, "nlog10_p")
    z = floats(table, "z")
    axis = genome_axis(codes, position)
    x = axis.place(codes, position)
    missing_value = ~np.isfinite(height) | (~np.isfinite(z) if signed or needs_sign else False)
    keep = np.isfinite(x) & ~missing_value
    footnote = _footnote(table, ~np.isfinite(x), missing_value)
    modality, modalities = _modalities(table, own_colours)
    order = np.flatnonzero(keep)
    count = np.bincount(modality[order], minlength=1)
    order = order[np.argsort(-count[modality[order]], kind="stable")]
    name = strings(table, "gene_name")
    name = np.where(name == "", strings(table, "gene"), name)
    positive = ~(z < 0)
    y = np.where(positive, height, -height) if signed else height
    placed = PlacedAssociations(
        x[order],
        y[order],
        codes[order],
        position[order],
        name[order],
        modality[order],
        positive[order],
        modalities,
    )
    return placed, axis, footnote


def _modalities(table: pa.Table, own: Collection[str]) -> tuple[np.ndarray, tuple[str, ...]]:
    """Number the modalities: int64 (rows,) and the names that the numbers stand for."""
    if "modality" not in table.column_names:
        return np.zeros(table.num_rows, dtype=np.int64), ()
    codes, spellings = encode(table, "modality", missing="other")
    names = [spelling if spelling in own else modality_key(spelling) for spelling in spellings]
    present = tuple(dict.fromkeys(names))
    return np.array([present.index(name) for name in names], dtype=np.int64)[codes], present


def _footnote(table: pa.Table, unplaced: np.ndarray, missing_value: np.ndarray) -> str:
    """Say what is not drawn: no position or another chromosome, no value."""
    texts = []
    if unplaced.any():
        text = _counted(int(unplaced.sum()), "association")
        if "gene" in table.column_names:
            genes = len(pc.unique(table["gene"].filter(pa.array(unplaced)).drop_null()))
            text += f" of {_counted(genes, 'gene')}"
        texts.append(f"{text} without a position on chromosomes 1–22 or X")
    valueless = int((missing_value & ~unplaced).sum())
    if valueless:
        texts.append(f"{_counted(valueless, 'association')} without a finite value")
    return f"Not shown: {'; '.join(texts)}." if texts else ""


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
