"""Turns the alleles of GWAS rows to those of the panel.

In: four string arrays of one length (the panel's and the GWAS' effect and other allele, upper case, row by
row). Out: for every row +1 (same effect allele), -1 (the other one: z and beta change sign) or 0 (dropped),
and the reason.

Two modes. `parity` is what MetaXcan does: the unordered pair must be the panel's; nothing else is looked at.
`strict` also accepts a SNP written on the other strand, and asks of palindromic SNPs (A/T, C/G), whose
strand their alleles cannot tell, that the rest of the file says which strand it is on.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

__all__ = [
    "MIN_INFORMATIVE",
    "MIN_STRAND_SHARE",
    "Alignment",
    "Mode",
    "Palindromes",
    "Reason",
    "Strand",
    "align",
    "count_reasons",
    "infer_other_allele",
]

Mode = Literal["parity", "strict"]
Palindromes = Literal["infer", "forward", "drop"]
Strand = Literal["forward", "reverse", "unknown"]

MIN_INFORMATIVE = 20
"""Fewer SNPs that tell the strand than this, and the file's strand counts as unknown."""

MIN_STRAND_SHARE = 0.99
"""Share of the SNPs that tell the strand which must agree before palindromic SNPs are believed."""


class Reason(IntEnum):
    """What became of a GWAS row. The first four are kept, all others dropped."""

    MATCHED = 0
    """Same effect allele as the panel."""
    SWAPPED = 1
    """The panel's other allele is the effect allele here: sign turned."""
    STRAND = 2
    """Written on the other strand, same effect allele after complementing."""
    STRAND_SWAPPED = 3
    """Written on the other strand, and the sign turned."""
    ALLELE_MISMATCH = 4
    """The two alleles are not the panel's, on neither strand."""
    PALINDROMIC = 5
    """A/T or C/G, and the strand of the file is not known."""
    SAME_ALLELES = 6
    """Effect allele and other allele are the same."""
    MISSING_VALUE = 7
    """No finite z can be had from the row."""
    DUPLICATE = 8
    """A repeat that agrees with the row that is kept, or is beaten by it."""
    DUPLICATE_CONFLICT = 9
    """Rows for one variant contradict each other: none is kept."""
    NOT_IN_PANEL = 10
    """No model uses the variant."""
    NOT_RSID = 11
    """The identifier has no "rs" in it, and only such ids were wanted."""
    MISSING_ALLELE = 12
    """An allele is missing."""
    OTHER_TEST = 13
    """The row is about another term of the association model (a covariate, an interaction)."""


KEPT = (Reason.MATCHED, Reason.SWAPPED, Reason.STRAND, Reason.STRAND_SWAPPED)


@dataclass(frozen=True)
class Alignment:
    """One verdict per row.

    Attributes
    ----------
    sign : int8 (rows,); factor for z and beta, 0 = the row is dropped.
    reason : uint8 (rows,); values of `Reason`.
    strand : strand of the file as its non-palindromic SNPs have it; "forward" in parity mode.
    """

    sign: npt.NDArray[np.int8]
    reason: npt.NDArray[np.uint8]
    strand: Strand = "forward"


def align(
    panel_effect: pa.Array,
    panel_other: pa.Array,
    gwas_effect: pa.Array,
    gwas_other: pa.Array,
    *,
    mode: Mode = "strict",
    palindromes: Palindromes = "infer",
    rows: npt.NDArray[np.int64] | None = None,
) -> Alignment:
    """Align the GWAS alleles of every row to the panel alleles of the same row.

    Parameters
    ----------
    panel_effect, panel_other, gwas_effect, gwas_other : string arrays (rows,), upper case; null = missing.
        Rows of one file, all at once: in strict mode the file's strand is inferred from all of them.
    mode : "parity" or "strict", see the module's first lines.
    palindromes : strict mode only. "infer" believes A/T and C/G rows if the file's strand is known,
        "forward" takes them at face value, "drop" drops them all.
    rows : int64 (rows,), row of the file that each is about, where one is compared with several variants of
        its name; None = each is another. A row of the file has one vote on the strand, for the forward strand
        if it fits any of its variants there.

    Returns
    -------
    Alignment with the reasons MATCHED ... SAME_ALLELES and MISSING_ALLELE.

    Notes
    -----
    The strand rule: rows of non-palindromic SNPs that fit the panel on one strand are counted. With at least
    `MIN_INFORMATIVE` of them and a share of `MIN_STRAND_SHARE` or more on the forward strand, palindromic
    SNPs are taken at face value; with such a share on the reverse strand, they are complemented; otherwise
    they are dropped. This is the strand consensus of the GWAS Catalog's harmoniser
    (https://ebispot.github.io/gwas-sumstats-harmoniser-documentation/Introduction/Orientation-of-palindromic-variants,
    which asks for 99.5 % of a sample or 99 % of all), taken over all rows and with a least number.
    Alleles longer than one base (indels) and codes such as I/D are compared as they are written, on the
    forward strand only: reversing an indel would also shift its anchor base.
    """
    if mode not in ("parity", "strict"):
        raise ValueError(f"mode is parity or strict, not {mode!r}")
    if palindromes not in ("infer", "forward", "drop"):
        raise ValueError(f"palindromes is infer, forward or drop, not {palindromes!r}")
    codes, complement = _encode(panel_effect, panel_other, gwas_effect, gwas_other)
    pe, po, ge, go = codes
    reason = np.full(len(pe), Reason.ALLELE_MISMATCH, np.uint8)
    forward = _fit(reason, pe, po, ge, go, Reason.MATCHED, Reason.SWAPPED)
    strand: Strand = "forward"
    if mode == "strict":
        snp = (complement[ge] != -2) & (complement[go] != -2)
        palindromic = complement[ge] == go
        reverse = _fit(
            reason, pe, po, complement[ge], complement[go], Reason.STRAND, Reason.STRAND_SWAPPED,
            where=~forward & ~palindromic,
        )  # fmt: skip
        strand = _strand(*_votes(forward & snp & ~palindromic, reverse, rows))
        _settle_palindromes(reason, forward & palindromic, palindromes, strand)
    reason[ge == go] = Reason.SAME_ALLELES
    reason[(ge < 0) | (go < 0) | (pe < 0) | (po < 0)] = Reason.MISSING_ALLELE
    return Alignment(_SIGN[reason], reason, strand)


def infer_other_allele(panel_effect: pa.Array, panel_other: pa.Array, gwas_effect: pa.Array) -> pa.Array:
    """The other allele of GWAS rows that name only the effect allele, taken from the panel.

    Where the effect allele is one of the panel's two, the other allele is the other of the two; where its
    complement is (and the SNP is no palindrome), the other allele is the complement of the other of the two.
    "?" where neither fits.

    Parameters
    ----------
    panel_effect, panel_other, gwas_effect : string arrays (rows,), upper case.

    Returns
    -------
    string array (rows,), to be given to `align`, which then settles strand and palindromes as for any file.
    """
    nothing = pa.scalar(None, pa.string())

    def rest(effect: pa.Array, one: pa.Array, two: pa.Array) -> pa.Array:
        swapped = pc.if_else(pc.equal(effect, two), one, nothing)
        return pc.if_else(pc.equal(effect, one), two, swapped)

    forward = rest(gwas_effect, panel_effect, panel_other)
    reverse = rest(gwas_effect, _complemented(panel_effect), _complemented(panel_other))
    return pc.coalesce(forward, reverse, pa.scalar("?"))


def _complemented(alleles: pa.Array) -> pa.Array:
    """Complement of single bases; null for anything longer."""
    bases = pa.array(["A", "C", "G", "T"], alleles.type)
    return pa.array(["T", "G", "C", "A"], alleles.type).take(pc.index_in(alleles, value_set=bases))


def count_reasons(reason: npt.NDArray[np.uint8]) -> dict[str, int]:
    """Count rows by reason: lower-case name -> rows, in the order of `Reason`, zeros left out."""
    counts = np.bincount(reason, minlength=len(Reason))
    return {r.name.lower(): int(counts[r]) for r in Reason if counts[r]}


_SIGN = np.zeros(256, np.int8)
_SIGN[[Reason.MATCHED, Reason.STRAND]] = 1
_SIGN[[Reason.SWAPPED, Reason.STRAND_SWAPPED]] = -1


def _encode(*alleles: pa.Array) -> tuple[list[npt.NDArray[np.int32]], npt.NDArray[np.int32]]:
    """Give every allele text an integer (null: -1), and the complement of each (-2 where there is none).

    The complement table has one entry more than there are texts, so that code -1 also finds -2.
    """
    lengths = {len(a) for a in alleles}
    if len(lengths) != 1:
        raise ValueError(f"the four allele arrays differ in length: {sorted(lengths)}")
    whole = pa.chunked_array([a.cast(pa.string()) for a in alleles]).combine_chunks()
    encoded = whole.dictionary_encode()
    indices = np.asarray(pc.fill_null(encoded.indices, -1), dtype=np.int32)
    texts = encoded.dictionary.to_pylist()
    code = {text: i for i, text in enumerate(texts)}
    complement = np.full(len(texts) + 1, -2, np.int32)
    # A complement that occurs nowhere still needs a code of its own, or A/G could not be seen to be no
    # palindrome; -3 ... -6 equal no allele that does occur.
    for base, other, stand_in in (("A", "T", -3), ("T", "A", -4), ("C", "G", -5), ("G", "C", -6)):
        if base in code:
            complement[code[base]] = code.get(other, stand_in)
    return np.split(indices, len(alleles)), complement


def _fit(
    reason: npt.NDArray[np.uint8],
    pe: npt.NDArray[np.int32],
    po: npt.NDArray[np.int32],
    ge: npt.NDArray[np.int32],
    go: npt.NDArray[np.int32],
    same: Reason,
    swapped: Reason,
    where: npt.NDArray[np.bool_] | None = None,
) -> npt.NDArray[np.bool_]:
    """Write `same` or `swapped` where the pairs are equal; returns where they are."""
    is_same = (pe == ge) & (po == go) & (ge != go)
    is_swapped = (pe == go) & (po == ge) & (ge != go)
    if where is not None:
        is_same &= where
        is_swapped &= where
    reason[is_same] = same
    reason[is_swapped] = swapped
    return is_same | is_swapped


def _votes(
    forward: npt.NDArray[np.bool_], reverse: npt.NDArray[np.bool_], rows: npt.NDArray[np.int64] | None
) -> tuple[int, int]:
    """Rows of the file that fit on the forward strand, and that fit on the reverse strand only."""
    if rows is None:
        return int(forward.sum()), int(reverse.sum())
    ahead, behind = np.zeros((2, rows.max(initial=0) + 1), bool)
    ahead[rows[forward]] = True
    behind[rows[reverse]] = True
    return int(ahead.sum()), int((behind & ~ahead).sum())


def _strand(forward: int, reverse: int) -> Strand:
    informative = forward + reverse
    if informative < MIN_INFORMATIVE:
        return "unknown"
    if forward >= MIN_STRAND_SHARE * informative:
        return "forward"
    return "reverse" if reverse >= MIN_STRAND_SHARE * informative else "unknown"


def _settle_palindromes(
    reason: npt.NDArray[np.uint8],
    palindromic: npt.NDArray[np.bool_],
    rule: Palindromes,
    strand: Strand,
) -> None:
    """Turn or drop the palindromic rows in place; taken at face value they stay as they are."""
    if rule == "forward" or (rule == "infer" and strand == "forward"):
        return
    if rule == "drop" or strand == "unknown":
        reason[palindromic] = Reason.PALINDROMIC
        return
    same = reason == Reason.MATCHED
    # The complement of A in A/T is T, the panel's other allele: what looked the same is swapped.
    reason[palindromic & same] = Reason.STRAND_SWAPPED
    reason[palindromic & ~same] = Reason.STRAND
