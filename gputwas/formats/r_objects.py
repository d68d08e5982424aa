"""Objects that R's `save()` wrote, as plain values.

In: an RData file. Out: its objects by name, and the numbers, texts, names and attributes of one.

`rdata` parses the file. It takes some 20 µs for every text, of which FUSION's files hold thousands, so
vectors of texts are read here, in files of R's default kind (XDR); whatever else there is, is left to it.
"""

from __future__ import annotations

import bz2
import functools
import gzip
import lzma
import struct
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from gputwas.errors import InputError, ResourceError

__all__ = ["attributes", "elements", "first_number", "load_objects", "numbers", "texts"]

_INSTALL = "pip install 'gputwas[fusion]'"
_MAGIC = (b"RDX2\n", b"RDX3\n", b"RDA2\n", b"RDA3\n", b"RDB2\n", b"RDB3\n")
_XDR = (b"RDX2\nX\n", b"RDX3\nX\n")
_RDS = (b"X\n", b"A\n", b"B\n")
_COMPRESSED = (
    (b"\x1f\x8b", gzip.decompress),
    (b"BZh", bz2.decompress),
    (b"\xfd7zXZ\x00", lzma.decompress),
)
_CHAR = 9  # R Internals, section 1.8: the type is in the lowest byte of the flags,
_TYPE_AND_MORE = 0x7FF  # bits 8 to 10 say that there is a class, attributes, a tag


def load_objects(path: str, what: str, give: str) -> dict[str, Any]:
    """Read the objects of a file by name.

    Parameters
    ----------
    what : what the file is, for messages. give : which file should be given, a sentence.

    Raises
    ------
    InputError
        If the file cannot be read or is no RData file.
    ResourceError
        If `rdata` is not installed.
    """
    data = _content(path, what)
    if not data.startswith(_MAGIC):
        kind = "what saveRDS() writes" if data.startswith(_RDS) else repr(data[:16])
        raise InputError(
            "is not an RData file", path=path, found=kind, expected="what save() writes", remedy=give
        )
    try:
        root = _parse(data)
        if _type(root) not in ("LIST", "NILVALUE"):
            raise ValueError(f"a {_type(root)} in place of a list of objects")
        return dict(_pairs(root))
    except ResourceError:
        raise
    except Exception as error:  # whatever a damaged file makes of a parser
        raise InputError(
            "is a damaged RData file, or one of a kind that cannot be read",
            path=path,
            found=f"{type(error).__name__}: {error}",
            remedy="Download the file again, or load() and save() it in R.",
        ) from error


def elements(item: Any) -> list[Any] | None:
    """The elements of a list or data frame; None if it is neither."""
    return list(item.value) if _type(item) == "VEC" else None


def attributes(item: Any) -> Mapping[str, Any]:
    """Attributes by name: dim, dimnames, names, levels ..."""
    return {} if item is None or item.attributes is None else dict(_pairs(item.attributes))


def numbers(item: Any) -> np.ndarray | None:
    """A vector of numbers as float64, NaN where R has NA; None if it is none."""
    if _type(item) not in ("INT", "REAL", "LGL") or "levels" in attributes(item):
        return None
    return np.ma.filled(np.ma.asarray(item.value).astype(np.float64), np.nan)


def first_number(item: Any) -> float:
    """The first of some numbers; NaN if there is none."""
    values = numbers(item)
    return float(values[0]) if values is not None and len(values) else float("nan")


def texts(item: Any) -> list[str | None] | None:
    """A vector of texts, a factor, or whole numbers as texts; None if it is none of these."""
    kind = _type(item)
    if kind == "STR":
        return [_text(entry.value) for entry in item.value]
    if kind not in ("INT", "LGL"):
        return None
    values = np.ma.asarray(item.value).tolist()
    if kind == "LGL":  # read.table takes a column of nothing but the allele T for TRUE
        return [None if value is None else "T" if value else "F" for value in values]
    levels = texts(attributes(item).get("levels"))
    if levels is None:
        return [None if value is None else str(value) for value in values]
    return [levels[code - 1] if code is not None and 0 < code <= len(levels) else None for code in values]


def _content(path: str, what: str) -> bytes:
    try:
        with open(path, "rb") as file:
            data = file.read()
    except OSError as error:
        problem = "does not exist" if isinstance(error, FileNotFoundError) else "cannot be read"
        raise InputError(f"the {what} {problem}", path=path, remedy="Check the path.") from error
    for magic, inflate in _COMPRESSED:
        if data.startswith(magic):
            try:
                return bytes(inflate(data))
            except Exception as error:  # each of the three has errors of its own
                raise InputError(
                    "the compressed file is damaged", path=path, found=error, remedy="Download it again."
                ) from error
    return data


def _parse(data: bytes) -> Any:
    """The pairlist of a file's objects."""
    try:
        from rdata.parser import parse_data
    except ImportError as error:
        raise ResourceError(
            f"rdata, which reads R's files, is not installed; get it with: {_INSTALL}"
        ) from error
    parser = _quick_parser() if data.startswith(_XDR) else None
    if parser is not None:
        try:
            return parser(data[len(_XDR[0]) :])
        except Exception:  # what is wrong with the file, or with our way of reading it, the library says
            pass
    return parse_data(data, extension=".rda").object


@functools.cache
def _quick_parser() -> Callable[[bytes], Any] | None:
    """`rdata`'s parser with a short way through vectors of texts; None if it is built otherwise."""
    try:
        from rdata.parser._parser import DEFAULT_ALTREP_MAP
        from rdata.parser._xdr import ParserXDR
    except ImportError:
        return None

    class Quick(ParserXDR):  # type: ignore[misc]
        def __init__(self, data: bytes) -> None:
            super().__init__(memoryview(data), expand_altrep=True, altrep_constructor_dict=DEFAULT_ALTREP_MAP)
            self._data = data

        def _parse_vector_value(self, *references: Any) -> list[Any]:
            found = _char_vector(self._data, self.file.tell())
            if found is None:
                return super()._parse_vector_value(*references)
            values, end = found
            self.file.seek(end)
            return values

    def parse(data: bytes) -> Any:
        parser = Quick(data)
        root = parser.parse_all().object
        parser.check_complete()
        return root

    return parse


class _Char:
    """A text, as `rdata` has it, but for what nobody asks of it."""

    __slots__ = ("value",)

    def __init__(self, value: bytes | None) -> None:
        self.value = value


def _char_vector(data: bytes, start: int) -> tuple[list[Any], int] | None:
    """The texts of a vector whose length stands at `start`, and its end; None if it has other items."""
    (count,) = struct.unpack_from(">i", data, start)
    place, values = start + 4, []
    for _ in range(count):
        flags, length = struct.unpack_from(">ii", data, place)
        if flags & _TYPE_AND_MORE != _CHAR:
            return None
        place += 8
        values.append(_Char(data[place : place + length] if length >= 0 else None))
        place += max(length, 0)
    if place > len(data):
        raise ValueError("the file ends within a text")
    return values, place


def _type(item: Any) -> str:
    return "" if item is None else str(item.info.type.name)


def _pairs(item: Any) -> Iterator[tuple[str, Any]]:
    """Name and value of the entries of a pairlist."""
    while _type(item) == "LIST":
        symbol = item.tag
        if _type(symbol) == "REF":
            symbol = symbol.referenced_object
        yield (symbol.value.value.decode() if symbol is not None else ""), item.value[0]
        item = item.value[1]


def _text(value: bytes | None) -> str | None:
    if value is None:
        return None
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")
