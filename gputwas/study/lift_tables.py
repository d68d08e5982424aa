"""Text files of variants of any form: what stands in which column, as far as moving them to a build needs it.

In: a path (or URL) and what the caller knows of its columns. Out: a `VariantTable`: where the rows begin, and
which columns hold chromosome, position, alleles and identifiers.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from gputwas.errors import InputError, UsageError
from gputwas.formats.sumstats.detect import MISSING, choose_layout
from gputwas.formats.sumstats.head import Head, cells_of, line_ends, read_head
from gputwas.formats.sumstats.inflate import compression_of, read_start
from gputwas.formats.sumstats.layout import ROLES, Layout, normal_name
from gputwas.formats.sumstats.sources import SourceFile, base_name
from gputwas.formats.sumstats.synonyms import SYNONYMS, Given, generic_layout
from gputwas.formats.sumstats.vcf import is_vcf

__all__ = ["PLACE_ROLES", "POSITIONAL", "VariantTable", "open_variants"]

PLACE_ROLES = (
    "chromosome", "position", "variant_id", "variant_key", "effect_allele", "other_allele", "ref_allele",
    "alt_allele",
)  # fmt: skip
"""Roles of columns that may be named by the caller."""

POSITIONAL = (
    r"^(?P<chromosome>(?:[cC][hH][rR])?[0-9A-Za-z]+)(?P<a>[:_-])(?P<position>[0-9]+)"
    r"(?:(?P<b>[:_-])(?P<first>[ACGTNacgtn*]+|[ID]|<[^>]*>)(?P<c>[:_/-])(?P<second>[ACGTNacgtn*]+|[ID]|<[^>]*>))?"
    r"(?P<d>[:_-])?(?P<build>[bB]3[678]|hg1[89]|hg38|GRCh3[78]|NCBI36)?$"
)
"""Identifiers that tell a place, such as chr1_13550_G_A_b38 or 1:13550."""

_HEAD_BYTES = (1 << 18, 64 << 20)
_ALLELES = ("effect_allele", "other_allele", "ref_allele", "alt_allele")
_ALLELE_NAMES = frozenset(
    {name for role in _ALLELES[:2] for group in SYNONYMS[role] for name in group}
    | {"omitted", "ax", "minor_allele", "major_allele", "hm_effect_allele", "hm_other_allele"}
)
_PLINK_BED = b"\x6c\x1b"
_BIM = {"chromosome": 0, "variant_id": 1, "position": 3, "effect_allele": 4, "other_allele": 5}


@dataclass(frozen=True)
class VariantTable:
    """A file of variants, before its rows are read.

    Attributes
    ----------
    file : where its bytes come from. compression : as of `compression_of`. head : as of `read_head`.
    top : text above the rows, with the header, as it stands there; empty or whole lines.
    form : "table" (has a header), "bim" or "bed" (positions from 0, the end excluded).
    places : "chromosome", "position" (and "end" of a BED) -> column, from 0; empty if only `ids` tell them.
    ids : columns of identifiers that may tell a place, the one to be asked first. alleles : columns of bases.
    strand : column of a strand, or None.
    dialect : of the summary statistics, "variants", "bim" or "bed".
    """

    file: SourceFile
    compression: str
    head: Head
    top: str
    form: Literal["table", "bim", "bed"]
    places: Mapping[str, int]
    ids: tuple[int, ...]
    alleles: tuple[int, ...]
    strand: int | None
    dialect: str

    @property
    def path(self) -> str:
        """Its path or URL."""
        return self.file.path

    @property
    def separator(self) -> str:
        """What is written between cells; runs of blanks become one tab or blank, as the header has them."""
        if self.head.delimiter != "whitespace":
            return self.head.delimiter
        sample = self.top.rstrip("\n").rpartition("\n")[2]
        return "\t" if "\t" in sample or not sample else " "

    @property
    def n_columns(self) -> int:
        """Columns of a row."""
        return len(self.head.names)

    def describe(self) -> str:
        """Which columns are changed, for a person to check."""
        names = self.head.names
        parts = [f"{role} = {names[at]!r}" for role, at in self.places.items()]
        parts += [f"alleles = {', '.join(names[at] for at in self.alleles)}"] if self.alleles else []
        parts += [f"identifiers = {', '.join(names[at] for at in self.ids)}"] if self.ids else []
        return f"{self.dialect}: {'; '.join(parts)}"


def open_variants(
    path: str,
    *,
    dialect: str | None = None,
    columns: Mapping[str, str] | None = None,
    separator: str | None = None,
) -> VariantTable:
    """Find out which columns of a file tell where its variants are.

    Parameters
    ----------
    path : summary statistics of any dialect, a table with columns for chromosome and position (or
        identifiers that hold both), a BED or a .bim file, told by their names. Compressed or not.
    dialect, separator : as in `gputwas.formats.sumstats.open_sumstats`.
    columns : role (of `PLACE_ROLES`) -> name of the column.

    Raises
    ------
    InputError : the file cannot be read, or it has no such columns.
    UsageError : unknown role or dialect.
    """
    for role in columns or ():
        if role not in PLACE_ROLES:
            raise UsageError(f"--column {role}: here the roles are {', '.join(PLACE_ROLES)}")
    file = SourceFile(path)
    compression = compression_of(file)
    if compression == "parquet":
        raise InputError(
            "is a Parquet file, and tables are lifted as text",
            path=path,
            remedy="Write it as text first: duckdb -c \"copy (from 'FILE') to 'FILE.csv.gz'\".",
        )
    name = re.sub(r"\.(gz|bgz|zst|bz2|xz)$", "", base_name(path).lower())
    if name.endswith((".bed", ".bim")) and not columns:
        return _without_header(file, compression, "bed" if name.endswith(".bed") else "bim")
    return _with_header(file, compression, dialect, columns or {}, separator)


def _start(file: SourceFile, compression: str, size: int) -> bytes:
    """The first whole lines."""
    start = read_start(file, compression, size)
    return start[: start.rfind(b"\n") + 1] if len(start) == size else start


def _with_header(
    file: SourceFile, compression: str, dialect: str | None, columns: Mapping[str, str], separator: str | None
) -> VariantTable:
    for size in _HEAD_BYTES:
        start = _start(file, compression, size)
        try:
            head = read_head(start, file.path, separator=separator, skip_until_header=None, parity=False)
            break
        except InputError:  # comments may be longer than the first piece
            if size == _HEAD_BYTES[-1] or len(start) < _HEAD_BYTES[0] // 2:
                raise
    top = start[: head.body].decode("utf-8", "replace").replace("\r\n", "\n").removeprefix("\ufeff")
    top = top if top.endswith("\n") else top + "\n"
    roles, found = _roles(head, file.path, dialect, columns)
    places: dict[str, int] = {role: roles[role] for role in ("chromosome", "position") if role in roles}
    ids = _id_columns(head, roles)
    if len(places) < 2:
        if not any(_tells_places(head, at) for at in ids):
            raise _nowhere(head, file.path, places)
        places = {}
        ids = tuple(sorted(ids, key=lambda at: not _tells_places(head, at)))
    alleles = dict.fromkeys(roles[role] for role in _ALLELES if role in roles)
    alleles |= dict.fromkeys(at for at in range(len(head.names)) if _holds_alleles(head, at))
    return VariantTable(
        file, compression, head, top, "table", places, ids, tuple(a for a in alleles if a not in ids), None,
        found,
    )  # fmt: skip


def _roles(
    head: Head, path: str, dialect: str | None, columns: Mapping[str, str]
) -> tuple[dict[str, int], str]:
    """Role -> column, and the dialect; a file that is not enough for a GWAS is a list of variants."""
    given = {role: _column(head, name, path) for role, name in columns.items()}
    line = head.body_line - 1
    names = tuple(name for name in columns.values())
    layout: Layout
    if is_vcf(head) or head.names[:5] == ("#CHROM", "POS", "ID", "REF", "ALT"):
        fixed = zip(
            ("chromosome", "position", "variant_id", "ref_allele", "alt_allele"), range(5), strict=True
        )
        return dict(fixed) | given, "vcf"
    try:
        layout = choose_layout(head.names, head.sample, path, head.delimiter, dialect=dialect, line=line)
        found = layout.dialect
    except InputError:
        if dialect is not None:
            raise
        others = frozenset(ROLES) - frozenset(PLACE_ROLES) | frozenset(columns)
        layout = generic_layout(head.names, path, head.delimiter, line, Given(others, frozenset(names)))
        found = "variants"
    at = {role: head.names.index(name) for role, name in layout.columns.items() if role in PLACE_ROLES}
    taken = set(given.values())
    return {role: i for role, i in at.items() if i not in taken} | given, found


def _column(head: Head, name: str, path: str) -> int:
    wanted = [i for i, other in enumerate(head.names) if other == name]
    wanted = wanted or [i for i, other in enumerate(head.names) if normal_name(other) == normal_name(name)]
    if len(wanted) == 1:
        return wanted[0]
    raise InputError(
        "there is no such column" if not wanted else "two columns have this name",
        path=path,
        line=head.body_line - 1,
        column=name,
        found=f"the header {' '.join(head.names)[:300]!r}",
    )


def _id_columns(head: Head, roles: Mapping[str, int]) -> tuple[int, ...]:
    named = [roles[role] for role in ("variant_key", "variant_id") if role in roles]
    others = [at for at in range(len(head.names)) if at not in roles.values() and _tells_places(head, at)]
    return tuple(dict.fromkeys([*named, *others]))


def _tells_places(head: Head, at: int) -> bool:
    """Whether most identifiers of the first rows hold chromosome and position."""
    cells = [row[at].strip() for row in head.sample[:200]]
    hits = sum(re.match(POSITIONAL, cell) is not None and not cell.isdigit() for cell in cells)
    return hits * 2 > len(cells)


def _holds_alleles(head: Head, at: int) -> bool:
    """Whether a column is named as columns of alleles are, and holds bases only."""
    if normal_name(head.names[at]).replace(" ", "_").replace(".", "_") not in _ALLELE_NAMES:
        return False
    return all(
        re.fullmatch(r"[ACGTNacgtn*]+|[ID]", cell) or cell.lower() in MISSING
        for row in head.sample
        if (cell := row[at].strip()) is not None
    )


def _nowhere(head: Head, path: str, places: Mapping[str, int]) -> InputError:
    lacking = " and ".join(role for role in ("chromosome", "position") if role not in places)
    return InputError(
        f"no column found for the {lacking}",
        path=path,
        line=head.body_line - 1,
        found=f"the header {' '.join(head.names)[:300]!r}",
        remedy="Name them: --column chromosome=NAME --column position=NAME.",
    )


def _without_header(file: SourceFile, compression: str, form: Literal["bim", "bed"]) -> VariantTable:
    """A BED or .bim file; lines above its rows (track, browser, #) are no rows."""
    start = _start(file, compression, _HEAD_BYTES[0])
    if start.startswith(_PLINK_BED):
        raise InputError("holds genotypes, no places", path=file.path, remedy="Give the .bim file beside it.")
    lines: list[str] = []
    body = above = begin = 0
    for end in line_ends(start):
        line = start[begin:end].decode("utf-8", "replace").rstrip("\r\n")
        if not lines and (not line.strip() or line.startswith(("#", "track", "browser"))):
            body, above = end, above + 1
        elif line.strip():
            lines.append(line)
        begin = end
    delimiter = "\t" if lines and "\t" in lines[0] else "whitespace"
    rows = [cells_of(line, delimiter) for line in lines[:1000]]
    width = len(rows[0]) if rows else 0
    _check_shape(rows, form, file.path, above + 1)
    head = Head(
        tuple(f"column {i + 1}" for i in range(width)), delimiter, False, body, above + 1,
        [row for row in rows if len(row) == width], (), False,
    )  # fmt: skip
    top = start[:body].decode("utf-8", "replace").replace("\r\n", "\n")
    if form == "bim":
        places = {role: _BIM[role] for role in ("chromosome", "position")}
        return VariantTable(file, compression, head, top, form, places, (1,), (4, 5), None, form)
    if width > 7 and all(_has_thick(row) for row in rows):
        raise InputError(
            "has places in columns 7 and 8 as well, thickStart and thickEnd, which cannot be lifted",
            path=file.path,
            line=above + 1,
            found=repr(" ".join(rows[0])[:100]),
            remedy=f"Lift its first six columns: cut -f1-6 {file.path} > FILE.bed.",
        )
    places = {"chromosome": 0, "position": 1, "end": 2}
    ids = (3,) if width > 3 and _tells_places(head, 3) else ()
    return VariantTable(file, compression, head, top, form, places, ids, (), 5 if width > 5 else None, form)


def _check_shape(rows: Sequence[Sequence[str]], form: str, path: str, line: int) -> None:
    """Refuse what has the name of a BED or .bim file but not its columns."""
    numbers = {"bim": (3,), "bed": (1, 2)}[form]
    widths = {"bim": (6,), "bed": range(3, 100)}[form]
    shown = {"bim": "chromosome, id, cM, position and two alleles", "bed": "chromosome, start and end"}[form]
    fits = rows and len(rows[0]) in widths
    if not fits or not all(rows[0][at].lstrip("-").isdigit() for at in numbers):
        raise InputError(
            f"is no {'.bim' if form == 'bim' else 'BED'} file",
            path=path,
            line=line,
            found=repr(" ".join(rows[0])[:100]) if rows else "no rows",
            expected=f"{shown}, without a header",
            remedy="If it is a table with a header, give it another name, such as .tsv.",
        )


def _has_thick(row: Sequence[str]) -> bool:
    """Whether columns 7 and 8 of a BED row are an interval within the row's own, as of BED8, 9 and 12."""
    if not all(row[at].isdecimal() for at in (1, 2, 6, 7)):
        return False
    start, end, first, last = (int(row[at]) for at in (1, 2, 6, 7))
    return start <= first <= last <= end
