"""Recognises how a list of variants is named, and writes positional names in one common spelling.

In: identifiers as string arrays. Out: the style most of them have (rs numbers, chr_pos, chr:pos:ref:alt ...),
the places they tell, the same positions spelled one way, so that two lists which differ only in spelling can
be compared, or places written as another list writes its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

__all__ = [
    "Kind",
    "Spelling",
    "Style",
    "build_name",
    "common_spelling",
    "places_of",
    "spelling_of",
    "style_of",
]

Kind = Literal["rsid", "rsid_with_more", "position", "position_alleles", "number", "allele", "other", "none"]

_POSITIONAL = (
    r"^(?P<prefix>[cC][hH][rR])?0?(?P<chromosome>[1-9][0-9]?|[XYM]|MT)(?P<separator>[:_-])(?P<position>[0-9]+)"
    r"(?:[:_-](?P<first>[ACGTNacgtn*]+)[:_/-](?P<second>[ACGTNacgtn*]+))?"
    r"(?:[:_-](?P<build>[bB]37|[bB]38|hg19|hg38|GRCh37|GRCh38))?$"
)
_PIECES = (
    r"^(?P<prefix>[cC][hH][rR])?(?P<zero>0)?(?P<chromosome>[1-9][0-9]?|[XYM]|MT)(?P<a>[:_-])(?P<position>[0-9]+)"
    r"(?:(?P<b>[:_-])(?P<first>[ACGTNacgtn*]+)(?P<c>[:_/-])(?P<second>[ACGTNacgtn*]+))?"
    r"(?P<end>[:_-](?:[bB]37|[bB]38|hg19|hg38|GRCh37|GRCh38))?$"
)
_TOO_MANY_DIGITS = 19  # for int64
_BUILDS = {
    "b37": "GRCh37", "37": "GRCh37", "hg19": "GRCh37", "grch37": "GRCh37",
    "b38": "GRCh38", "38": "GRCh38", "hg38": "GRCh38", "grch38": "GRCh38",
}  # fmt: skip
_WORDS: dict[str, str] = {
    "rsid": "rs numbers",
    "rsid_with_more": "rs numbers with something behind them",
    "position": "chromosome and position",
    "position_alleles": "chromosome, position and alleles",
    "number": "bare numbers",
    "allele": "allele letters",
    "other": "something that is neither an rs number nor a position",
    "none": "nothing",
}


@dataclass(frozen=True)
class Style:
    """How most identifiers of a list are written.

    Attributes
    ----------
    kind : "rsid", "position" (1:123), "position_alleles" (1:123:A:G), ..., "none" for an empty list.
    share : share of the identifiers, 0 to 1, that are of this kind.
    example : the first of them.
    prefix : positional kinds: is there a "chr" in front.
    separator : positional kinds: the character between chromosome and position.
    build : "GRCh37" or "GRCh38" if the identifiers say so (`..._b38`), else None.
    """

    kind: Kind
    share: float
    example: str
    prefix: bool = False
    separator: str = ""
    build: str | None = None

    @property
    def positional(self) -> bool:
        """Is the variant named by its place in a genome build."""
        return self.kind in ("position", "position_alleles")

    def describe(self) -> str:
        """The style in words, with an example."""
        return f"{_WORDS[self.kind]}, such as {self.example!r}" if self.example else _WORDS[self.kind]


def style_of(ids: pa.Array) -> Style:
    """Tell the style that most of the non-missing identifiers have."""
    ids = pc.drop_null(ids)
    if len(ids) == 0:
        return Style("none", 0.0, "")
    parts = pc.extract_regex(ids, _POSITIONAL)
    placed = np.asarray(pc.is_valid(parts))
    lettered = placed & np.asarray(pc.fill_null(pc.not_equal(pc.struct_field(parts, "first"), ""), False))
    masks: dict[Kind, np.ndarray] = {
        "rsid": _matches(ids, r"^rs[0-9]+$"),
        "rsid_with_more": _matches(ids, r"^rs[0-9]+[^0-9]"),
        "position": placed & ~lettered,
        "position_alleles": lettered,
        "number": _matches(ids, r"^[+-]?[0-9]*\.?[0-9]+([eE][+-]?[0-9]+)?$") & ~placed,
        "allele": _matches(ids, r"^[ACGTacgt]+$"),
    }
    masks["other"] = ~np.logical_or.reduce(list(masks.values()))
    kind = max(masks, key=lambda k: int(masks[k].sum()))
    chosen = pa.array(np.flatnonzero(masks[kind]))
    share, example = len(chosen) / len(ids), ids[chosen[0].as_py()].as_py()
    if kind not in ("position", "position_alleles"):
        return Style(kind, share, example)
    of_kind = parts.take(chosen)
    return Style(
        kind,
        share,
        example,
        prefix=bool(_most_common(pc.struct_field(of_kind, "prefix"))),
        separator=_most_common(pc.struct_field(of_kind, "separator")),
        build=build_name(_most_common(pc.struct_field(of_kind, "build"))),
    )


def build_name(text: str | None) -> str | None:
    """GRCh37 or GRCh38 for any of their names (hg19, b37, 37 ...); None for an empty or unknown one."""
    return _BUILDS.get((text or "").strip().lower())


def common_spelling(ids: pa.Array, *, sort_alleles: bool = False, alleles: bool = True) -> pa.Array:
    """Write positional identifiers as `1_13550_G_A`: no chr, no leading zero, no build, underscores.

    Parameters
    ----------
    ids : string array (rows,).
    sort_alleles : put the two alleles in alphabetical order, for lists that disagree on which comes first.
    alleles : False leaves the alleles out.

    Returns
    -------
    string array (rows,); null where the identifier is not positional.
    """
    parts = pc.extract_regex(ids, _POSITIONAL)
    where = pc.binary_join_element_wise(
        pc.struct_field(parts, "chromosome"), pc.struct_field(parts, "position"), "_"
    )
    if not alleles:
        return where
    first, second = (pc.utf8_upper(pc.struct_field(parts, name)) for name in ("first", "second"))
    if sort_alleles:
        turned = pc.greater(first, second)
        first, second = pc.if_else(turned, second, first), pc.if_else(turned, first, second)
    joined = pc.binary_join_element_wise(where, first, second, "_")
    return pc.if_else(pc.equal(first, ""), where, joined)


def places_of(ids: pa.Array) -> tuple[pa.Array, pa.Array]:
    """Chromosome ("1".."22", "X", "Y", "MT", as written otherwise) and position that identifiers tell.

    Parameters
    ----------
    ids : string array (rows,), such as chr1_13550_G_A_b38 or 1:13550.

    Returns
    -------
    string and int64 arrays (rows,), null where the identifier is not positional, the position also where no
    genome is so long.
    """
    if not len(ids) or not any(pc.any(pc.match_substring(ids, m), min_count=0).as_py() for m in ":_-"):
        return pa.nulls(len(ids), pa.string()), pa.nulls(len(ids), pa.int64())  # rs numbers tell no place
    parts = pc.split_pattern(common_spelling(ids, alleles=False), "_", max_splits=1)
    chromosome = pc.list_element(parts, 0)
    position = pc.list_element(parts, 1)
    possible = pc.less(pc.utf8_length(position), _TOO_MANY_DIGITS)
    position = pc.if_else(possible, position, pa.scalar(None, pa.string()))
    return pc.replace_substring_regex(chromosome, "^M$", "MT"), pc.cast(position, pa.int64())


@dataclass(frozen=True)
class Spelling:
    """How positional identifiers of a list are put together, character by character.

    Attributes
    ----------
    prefix : "chr" in whatever case, or nothing. zero : chromosomes 1 to 9 are written 01 to 09; None = there
        was none of them to tell.
    separators : behind chromosome, position and first allele; the last two empty if there are no alleles.
    lower : alleles in lower case. end : what follows, such as "_b38".
    """

    prefix: str
    zero: bool | None
    separators: tuple[str, str, str]
    lower: bool
    end: str

    @property
    def alleles(self) -> bool:
        """Whether the identifiers name the alleles."""
        return bool(self.separators[1])

    def write(self, chromosome: pa.Array, position: pa.Array, first: pa.Array, second: pa.Array) -> pa.Array:
        """Identifiers of these variants: string array (rows,), null where a part is.

        Parameters
        ----------
        chromosome, first, second : string arrays (rows,). position : integer array (rows,).
        """
        if self.zero:
            chromosome = pc.replace_substring_regex(chromosome, "^([1-9])$", r"0\1")
        pieces = [self.prefix, chromosome, self.separators[0], pc.cast(position, pa.string())]
        if self.alleles:
            one, two = (pc.utf8_lower(a) if self.lower else a for a in (first, second))
            pieces += [self.separators[1], one, self.separators[2], two]
        return pc.binary_join_element_wise(*pieces, self.end, "")


def spelling_of(ids: pa.Array) -> tuple[Spelling, float] | None:
    """The way in which most positional identifiers are spelled, and the share of all ids that is so spelled.

    None if there is no positional one. Missing ids do not count.
    """
    ids = pc.drop_null(ids)
    parts = pc.drop_null(pc.extract_regex(ids, _PIECES)) if len(ids) else []
    if not len(parts):
        return None
    field = {name: pc.struct_field(parts, name) for name in ("prefix", "zero", "a", "b", "c", "first", "end")}
    lower = pc.match_substring_regex(field["first"], "[acgtn]")
    case = pc.if_else(pc.fill_null(lower, False), "l", "")
    shape = pc.binary_join_element_wise(
        *(pc.fill_null(field[name], "") for name in ("prefix", "a", "b", "c", "end")), case, "|"
    )
    common = _most_common(shape)
    alike = pc.equal(shape, common)
    prefix, a, b, c, end, lowered = common.split("|")
    digit = pc.is_in(pc.struct_field(parts, "chromosome"), value_set=pa.array(list("123456789")))
    zeros = pc.filter(field["zero"], pc.and_(alike, digit))
    zero = bool(_most_common(zeros)) if len(zeros) else None
    share = pc.sum(alike).as_py() / len(ids)
    return Spelling(prefix, zero, (a, b, c), bool(lowered), end), share


def _matches(ids: pa.Array, pattern: str) -> np.ndarray:
    return np.asarray(pc.match_substring_regex(ids, pattern))


def _most_common(texts: pa.Array) -> str:
    counts = pc.value_counts(pc.fill_null(texts, ""))
    return max(counts.to_pylist(), key=lambda entry: entry["counts"])["values"]
