"""Variant lists that accompany genotypes, as text: ``.bim`` and ``.pvar``.

In: a path, compressed or not. Out: chosen columns as Arrow arrays, every row checked, with the line of a bad
one in the message.
"""

from __future__ import annotations

import contextlib
import re

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from gputwas.errors import InputError
from gputwas.formats.sumstats.inflate import blocks, compression_of

__all__ = ["BIM", "read_variants"]

BIM = ("chromosome", "variant_id", "", "position", "effect_allele", "other_allele")
_SHORT_BIM = ("chromosome", "variant_id", "position", "effect_allele", "other_allele")
_PVAR = {
    "#CHROM": "chromosome",
    "POS": "position",
    "ID": "variant_id",
    "REF": "other_allele",
    "ALT": "effect_allele",
}
_BLOCK_BYTES = 4 << 20
_NO_SINGLE_SPACES = (b"  ", b" \n", b"\n ", b"\t", b"\r", b"\f", b"\v")


def read_variants(path: str, *, header: bool) -> pa.Table:
    """Read chromosome, variant_id, position, effect_allele and other_allele as they stand in the file.

    Parameters
    ----------
    header : False for a ``.bim`` file, which has six columns and no header; True for a ``.pvar`` file, which
        has a header ``#CHROM POS ID REF ALT ...`` after lines that begin with ``##``, or none and then five
        or six columns as in a ``.bim`` file (PLINK 2's rule).

    Returns
    -------
    Arrow table (records,): the five columns as text, the position as int64.

    Raises
    ------
    InputError
        For a row with another number of cells, or a position that is no whole number.
    """
    layout: tuple[str, ...] | None = None if header else BIM
    parts = []
    for block in blocks(path, compression_of(path), size=_BLOCK_BYTES):
        data, line = block.data.tobytes(), block.first_line
        while header and (layout is None or data.startswith(b"#")) and data:
            first, _, rest = data.partition(b"\n")
            if not first.startswith(b"#"):
                layout = _layout_without_header(first, path, line)
                break
            if not first.startswith(b"##"):
                layout = _layout_of_header(first, path, line)
            data, line = rest, line + 1
        if data and layout is not None:
            parts.append(_parse(data, layout, path, line))
    if not parts:
        raise InputError("lists no variant", path=path, expected="one line per variant")
    return pa.concat_tables(parts).combine_chunks()


def _layout_of_header(line: bytes, path: str, number: int) -> tuple[str, ...]:
    names = line.decode("utf-8", "replace").split()
    layout = tuple(_PVAR.get(name, "") for name in names)
    lacking = [name for name, ours in _PVAR.items() if ours not in layout]
    if lacking:
        raise InputError(
            f"the variant list has no column {lacking[0]}",
            path=path,
            line=number,
            found=" ".join(names)[:200],
            expected="#CHROM POS ID REF ALT",
        )
    return layout


def _layout_without_header(line: bytes, path: str, number: int) -> tuple[str, ...]:
    cells = len(line.split())
    if cells not in (5, 6):
        raise InputError(
            "malformed row",
            path=path,
            line=number,
            found=f"{cells} cells",
            expected="a header line #CHROM POS ID REF ALT, or 5 or 6 columns as in a .bim file",
        )
    return BIM if cells == 6 else _SHORT_BIM


def _parse(data: bytes, layout: tuple[str, ...], path: str, line: int) -> pa.Table:
    if data.partition(b"\n")[0].count(b"\t") == len(layout) - 1:
        with contextlib.suppress(pa.ArrowInvalid):
            table = _parse_fast(data, "\t", layout)
            return _trimmed(table) if b" " in data else table  # INFO of a .pvar may hold blanks
    text = data
    if data.startswith(b" ") or any(mixed in data for mixed in _NO_SINGLE_SPACES):
        # make them one space, as a split on whitespace would
        text = re.sub(rb" ?\n ?", b"\n", re.sub(rb"[ \t\r\f\v]+", b" ", data)).lstrip(b" ")
    try:
        return _parse_fast(text, " ", layout)
    except pa.ArrowInvalid as error:
        raise _malformed(data, layout, path, line) or error from None


def _trimmed(table: pa.Table) -> pa.Table:
    columns = [
        pc.utf8_trim_whitespace(column) if pa.types.is_string(column.type) else column
        for column in table.columns
    ]
    return pa.table(columns, table.column_names)


def _parse_fast(data: bytes, delimiter: str, layout: tuple[str, ...]) -> pa.Table:
    names = [name or f"unused {place}" for place, name in enumerate(layout)]
    types = {name: pa.string() for name in names} | {"position": pa.int64()}
    return pyarrow.csv.read_csv(
        pa.BufferReader(data),
        parse_options=pyarrow.csv.ParseOptions(delimiter=delimiter, quote_char=False),
        read_options=pyarrow.csv.ReadOptions(
            column_names=names, block_size=len(data) + 1, use_threads=False
        ),
        convert_options=pyarrow.csv.ConvertOptions(
            column_types=types, include_columns=list(_SHORT_BIM), null_values=[], strings_can_be_null=False
        ),
    )  # fmt: skip


def _malformed(data: bytes, layout: tuple[str, ...], path: str, first_line: int) -> InputError | None:
    """Find the first row that is no variant; only called when there is one."""
    for number, row in enumerate(data.split(b"\n"), first_line):
        cells = row.decode("utf-8", "replace").split()
        if cells and len(cells) != len(layout):
            return InputError(
                "malformed row",
                path=path,
                line=number,
                found=f"{len(cells)} cells",
                expected=f"{len(layout)}",
                remedy="Download or make the file again.",
            )
        if cells and not re.fullmatch(r"-?[0-9]{1,18}", cells[layout.index("position")]):
            return InputError(
                "the position of a variant is no whole number",
                path=path,
                line=number,
                column="position",
                found=repr(cells[layout.index("position")]),
                expected="base pairs from the start of the chromosome",
            )
        try:
            row.decode()
        except UnicodeDecodeError as error:
            return InputError(
                "is not UTF-8 text",
                path=path,
                line=number,
                found=f"a byte {row[error.start]:#x}",
                remedy="Convert the list: iconv -f latin1 -t utf-8.",
            )
    return None
