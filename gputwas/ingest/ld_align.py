"""Finds the variants of models in a panel of genotypes, and which of the two alleles the panel counts there.

In: the variants of all models and those of the genotypes. Out: for each model variant a row of the genotypes
and a sign, or the reason why there is none.

Alleles are held to what `gputwas.variants.align` calls strict, without its votes on the strand: a pair of
alleles must be the models' in either order; where it is not, its complement may be, unless the SNP is
palindromic. A palindromic SNP (A/T, C/G) is therefore taken as the panel writes it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gputwas.errors import InputError
from gputwas.formats.sumstats.values import chromosomes
from gputwas.variants.align import Reason, align
from gputwas.variants.identifiers import style_of
from gputwas.variants.match import VariantIndex

__all__ = ["Fate", "Match", "PlacedVariants", "place_variants"]

Match = Literal["auto", "id", "position"]
_MOST_POSITION = 1 << 40


class Fate(IntEnum):
    """What became of a variant of the models."""

    USED = 0
    """Its covariances are computed."""
    NOT_IN_PANEL = 1
    """The panel has no variant of its id, or none at its position."""
    NO_CHROMOSOME = 2
    """The panel has nothing of its chromosome at all."""
    OTHER_ALLELES = 3
    """The panel's alleles are others, on both strands."""
    DUPLICATE = 4
    """Several variants of the panel fit, and nothing tells which is meant."""
    MISSING = 5
    """Too many samples have no genotype."""
    NO_VARIANCE = 6
    """All samples have the same genotype."""
    BELOW_MAF = 7
    """The minor allele is too rare in the samples."""


@dataclass(frozen=True, eq=False)
class PlacedVariants:
    """Where the variants of the models are.

    Attributes
    ----------
    rows : int64 (variants,): row of the genotypes, -1 where there is none.
    signs : int8 (variants,): 1 where the panel counts the models' effect allele, -1 where it counts the other
        one (the number of effect alleles is then 2 - dosage), 0 where there is no row.
    fate : uint8 (variants,) of `Fate`: USED where there is a row.
    other_strand : bool (variants,): the panel writes the SNP on the other strand.
    by : "id" or "position".
    """

    rows: np.ndarray
    signs: np.ndarray
    fate: np.ndarray
    other_strand: np.ndarray
    by: str

    @property
    def n_matched(self) -> int:
        """Variants that the panel has, be their alleles others."""
        absent = (self.fate == Fate.NOT_IN_PANEL) | (self.fate == Fate.NO_CHROMOSOME)
        return int(np.count_nonzero(~absent))


def place_variants(models: pa.Table, genotypes: pa.Table, match: Match = "auto") -> PlacedVariants:
    """Find each variant of the models in the genotypes.

    Parameters
    ----------
    models : variant_id, chromosome (null where unknown), position (null where the id does not tell it),
        effect_allele, other_allele (string, upper case).
    genotypes : the same columns; the dosage counts the effect allele.
    match : "id" compares identifiers as they are written, "position" chromosomes and positions; "auto" takes
        the one that finds more variants with the right alleles, identifiers if both find as many and any.

    Notes
    -----
    Of several variants of the panel with the id or at the position, the one with the models' alleles is
    meant; one that fits as it is written goes before one on the other strand. If two fit alike, none is.

    Raises
    ------
    InputError
        If positions are to be compared and the models' identifiers tell none.
    """
    if match == "id":
        return _placed(models, genotypes, "id")
    if models["position"].null_count == models.num_rows:
        if match == "auto":
            return _placed(models, genotypes, "id")
        raise InputError(
            "the identifiers of the models tell no position, so they cannot be matched by position",
            found=style_of(models["variant_id"].combine_chunks()).describe(),
            expected="ids such as chr1_13550_G_A_b38",
            remedy="Use --match id, or choose the databases' column with --model-db-snp-key varID.",
        )
    by_position = _placed(models, genotypes, "position")
    if match == "position":
        return by_position
    by_id = _placed(models, genotypes, "id")
    if not by_id.n_matched:
        return by_position
    better = np.count_nonzero(by_position.rows >= 0) > np.count_nonzero(by_id.rows >= 0)
    return by_position if better else by_id


def _placed(models: pa.Table, genotypes: pa.Table, by: str) -> PlacedVariants:
    if by == "id":
        panel_rows, variants = VariantIndex(models["variant_id"]).find(genotypes["variant_id"])
    else:
        panel_rows, variants = _same_places(models, genotypes)
    alignment = align(
        *(_chosen(models, name, variants) for name in ("effect_allele", "other_allele")),
        *(_chosen(genotypes, name, panel_rows) for name in ("effect_allele", "other_allele")),
        palindromes="forward",
    )
    fate = np.full(models.num_rows, Fate.NOT_IN_PANEL, dtype=np.uint8)
    fate[_without_chromosome(models, genotypes)] = Fate.NO_CHROMOSOME
    fate[variants] = Fate.OTHER_ALLELES
    fate[variants[_one_allele(models, genotypes, variants, panel_rows)]] = Fate.NO_VARIANCE

    fits = np.flatnonzero(alignment.sign)
    strand = alignment.reason[fits] >= Reason.STRAND
    order = fits[np.lexsort((panel_rows[fits], strand, variants[fits]))]
    first = np.append(True, variants[order][1:] != variants[order][:-1])[: len(order)]
    best = order[first]
    fate[variants[best]] = Fate.USED
    next_one = np.flatnonzero(~first)  # the second best follows the best
    second = next_one[first[next_one - 1]] if len(next_one) else next_one
    strand_of = alignment.reason >= Reason.STRAND
    tied = second[strand_of[order[second]] == strand_of[order[second - 1]]]
    fate[variants[order[tied]]] = Fate.DUPLICATE

    rows = np.full(models.num_rows, -1, dtype=np.int64)
    signs = np.zeros(models.num_rows, dtype=np.int8)
    other_strand = np.zeros(models.num_rows, dtype=bool)
    used = best[fate[variants[best]] == Fate.USED]
    rows[variants[used]] = panel_rows[used]
    signs[variants[used]] = alignment.sign[used]
    other_strand[variants[used]] = strand_of[used]
    return PlacedVariants(rows, signs, fate, other_strand, by)


def _chosen(table: pa.Table, name: str, rows: np.ndarray) -> pa.Array:
    return table[name].combine_chunks().take(pa.array(rows))


def _same_places(models: pa.Table, genotypes: pa.Table) -> tuple[np.ndarray, np.ndarray]:
    """Pairs (row of the genotypes, row of the models) of one chromosome and position, ascending."""
    names = pc.unique(genotypes["chromosome"]).drop_null()
    theirs = _place_keys(genotypes["chromosome"].combine_chunks(), genotypes["position"], names)
    ours = _place_keys(chromosomes(models["chromosome"].combine_chunks()), models["position"], names)
    known = np.flatnonzero(ours >= 0)
    order = known[np.argsort(ours[known], kind="stable")]
    keys = ours[order]
    low, high = (np.searchsorted(keys, theirs, side) for side in ("left", "right"))
    count = np.where(theirs >= 0, high - low, 0)
    panel_rows = np.repeat(np.arange(len(theirs)), count)
    within = np.arange(len(panel_rows)) - np.repeat(np.cumsum(count) - count, count)
    return panel_rows, order[np.repeat(low, count) + within]


def _place_keys(chromosome: pa.Array, position: pa.ChunkedArray, names: pa.Array) -> np.ndarray:
    """One number per chromosome and position, -1 where either is unknown."""
    code = pc.fill_null(pc.index_in(chromosome, value_set=names), -1)
    code = code.to_numpy(zero_copy_only=False).astype(np.int64)
    place = pc.fill_null(position, -1).to_numpy()
    return np.where((code >= 0) & (place >= 0), code * _MOST_POSITION + place, -1)


def _without_chromosome(models: pa.Table, genotypes: pa.Table) -> np.ndarray:
    """Whether a variant's chromosome is known and the genotypes have none of its variants."""
    theirs = pc.unique(genotypes["chromosome"]).drop_null()
    ours = chromosomes(models["chromosome"].combine_chunks())
    if not len(theirs):
        return np.zeros(models.num_rows, dtype=bool)
    absent = pc.and_(pc.is_valid(ours), pc.invert(pc.is_in(ours, value_set=theirs)))
    return np.asarray(absent)


def _one_allele(
    models: pa.Table, genotypes: pa.Table, variants: np.ndarray, panel_rows: np.ndarray
) -> np.ndarray:
    """Pairs in which the panel knows one allele only, one of the models': all samples are alike."""
    effect, other = (_chosen(genotypes, name, panel_rows) for name in ("effect_allele", "other_allele"))
    known = pc.coalesce(effect, other)
    alone = pc.xor(pc.is_null(effect), pc.is_null(other))
    fits = pc.or_(
        pc.equal(known, _chosen(models, "effect_allele", variants)),
        pc.equal(known, _chosen(models, "other_allele", variants)),
    )
    return np.asarray(pc.fill_null(pc.and_(alone, fits), False))
