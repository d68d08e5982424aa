"""Tables read from the pages of a file are those that SQLite reads; bytes of any kind do no harm."""

from __future__ import annotations

import random
import sqlite3
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gputwas.kernels.pages import NUMBER, TEXT, UNWANTED, Texts, read_pages

pytestmark = pytest.mark.library

Rows = list[tuple[Any, ...]]
KINDS = (TEXT, NUMBER, UNWANTED, TEXT, NUMBER)
CREATE = "CREATE TABLE t (a TEXT, b REAL, c, d TEXT, e)"
PLAIN_TEXTS = ("", "A", "ENSG00000000003", "rs1234", "Ärger", "日本", "a\0b", "x" * 60, "𝔸" * 30)
PLAIN_NUMBERS = (0, 1, -1, 2, 127, -128, 40_000, -9_000_000, 1 << 31, -(1 << 40), 1 << 53)
PLAIN_REALS = (0.5, -0.0, 1e300, 5e-324, -3.75e-8, 7.0)
PAGE_SIZES = (512, 1024, 4096, 65536)


def made(folder: Path, rows: Rows, *, page_size: int = 512, reserved: int = 0, delete: str = "0") -> Path:
    """A file with a table t of these rows, of which those that `delete` picks are deleted again."""
    path = folder / "t.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA page_size = {page_size}")
        connection.execute("VACUUM")  # writes the first page
    if reserved:
        first = bytearray(path.read_bytes())
        first[20], first[105:107] = reserved, (page_size - reserved).to_bytes(2, "big")
        path.write_bytes(first)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(CREATE)
        connection.executemany("INSERT INTO t VALUES (?, ?, ?, ?, ?)", rows)
        connection.execute(f"DELETE FROM t WHERE {delete}")
    return path


def selected(path: Path) -> tuple[int, list[list[Any]]]:
    """The root page, and the wanted columns as SQLite gives them."""
    with closing(sqlite3.connect(path)) as connection:
        ((root,),) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 't'")
        return root, [[cell for (cell,) in connection.execute(f"SELECT {name} FROM t")] for name in "abde"]


def cells(column: Texts | np.ndarray) -> list[Any]:
    """A column as Python values."""
    if not isinstance(column, Texts):
        return column.tolist()
    text = column.text.tobytes()
    return [text[a:b].decode() for a, b in zip(column.ends[:-1], column.ends[1:], strict=True)]


def same(read: list[Texts | np.ndarray] | None, expected: list[list[Any]]) -> bool:
    """Whether these are the columns, numbers to the bit."""
    if read is None:
        return False
    return len(read) == len(expected) and all(
        cells(column) == values
        and (isinstance(column, Texts) or column.tobytes() == np.array(values, np.float64).tobytes())
        for column, values in zip(read, expected, strict=True)
    )


def check_shapes(read: list[Texts | np.ndarray] | None) -> None:
    """Whatever was read is as many cells in each column, none of which reaches beyond the text."""
    lengths = set()
    for column in read or []:
        if isinstance(column, Texts):
            assert column.ends[0] == 0 and column.ends[-1] == len(column.text)
            assert (np.diff(column.ends) >= 0).all()
        lengths.add(len(column.ends) - 1 if isinstance(column, Texts) else len(column))
    assert len(lengths) <= 1


def plain_rows(count: int, seed: int) -> Rows:
    """Rows of which every wanted cell is plain and no record leaves its page."""
    pick = random.Random(seed)
    others = (None, b"blob", 1 << 60, "text", 0.25, 1)
    return [
        (pick.choice(PLAIN_TEXTS), pick.choice([*PLAIN_NUMBERS, *PLAIN_REALS]), pick.choice(others),
         f"rs{pick.randrange(1 << 30)}", pick.choice([*PLAIN_NUMBERS, *PLAIN_REALS]))
        for _ in range(count)
    ]  # fmt: skip


@given(
    st.sampled_from([0, 1, 2, 7, 60, 400, 3000]),
    st.integers(0, 1 << 30),
    st.sampled_from(PAGE_SIZES),
    st.sampled_from([0, 32]),
    st.sampled_from(["0", "rowid % 3 = 0", "rowid < 200", "rowid % 50 != 7", "1"]),
)
def test_plain_tables_are_as_sqlite_reads_them(
    count: int, seed: int, page_size: int, reserved: int, delete: str
) -> None:
    if page_size == 512:
        reserved = 0  # it must keep 480
    with TemporaryDirectory() as folder:
        rows = plain_rows(count, seed)
        path = made(Path(folder), rows, page_size=page_size, reserved=reserved, delete=delete)
        root, expected = selected(path)
        read = read_pages(np.fromfile(path, np.uint8), page_size, reserved, root, KINDS)
    check_shapes(read)
    assert same(read, expected)


def test_pages_within_pages_within_pages(tmp_path: Path) -> None:
    path = made(tmp_path, plain_rows(4000, 1))
    root, expected = selected(path)
    data = np.fromfile(path, np.uint8)
    kinds, page = [], root
    while not kinds or kinds[-1] == 5:
        kinds.append(int(data[(page - 1) * 512]))
        page = int.from_bytes(data[(page - 1) * 512 + 8 :][:4].tobytes(), "big")  # that of the highest ids
    assert kinds == [5, 5, 13]
    read = read_pages(data, 512, 0, root, KINDS)
    assert same(read, expected)


def test_row_ids_are_of_any_size_and_in_order(tmp_path: Path) -> None:
    path = made(tmp_path, [])
    ids = [5, -3, (1 << 63) - 1, -(1 << 63), 0, 1 << 40, 300]
    with closing(sqlite3.connect(path)) as connection, connection:
        insert = "INSERT INTO t (rowid, a, b, d, e) VALUES (?, ?, 1, '', 2)"
        connection.executemany(insert, [(i, str(i)) for i in ids])
    root, _ = selected(path)
    read = read_pages(np.fromfile(path, np.uint8), 512, 0, root, KINDS)
    assert read is not None and cells(read[0]) == [str(i) for i in sorted(ids)]


@pytest.mark.parametrize(
    "odd",
    [
        (None, 1, 1, "d", 1),
        ("a", None, 1, "d", 1),
        (b"a", 1, 1, "d", 1),
        ("a", "word", 1, "d", 1),
        ("a", 1, 1, "d", b"1"),
        ("a", 1, 1, "d", "1"),
        ("a", 1, 1, "d", (1 << 53) + 1),
        ("a", 1, 1, "d", -(1 << 53) - 1),
        ("a", 1, 1, "d", float("inf")),
        ("a", 1, 1, "d" * 600, 1),
        ("a", 1, "c" * 600, "d", 1),
    ],
    ids=[
        "no text",
        "no number",
        "bytes",
        "word",
        "more bytes",
        "text",
        "large",
        "low",
        "infinite",
        "long",
        "other long",
    ],
)
@pytest.mark.parametrize("at", [0, 150, 299])
def test_cells_that_are_not_plain(odd: tuple[Any, ...], at: int, tmp_path: Path) -> None:
    rows = plain_rows(300, 0)
    rows[at] = odd
    path = made(tmp_path, rows)
    assert read_pages(np.fromfile(path, np.uint8), 512, 0, selected(path)[0], KINDS) is None


def test_records_without_a_column_that_was_added_later(tmp_path: Path) -> None:
    path = made(tmp_path, plain_rows(5, 0))
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("ALTER TABLE t ADD COLUMN f REAL DEFAULT 7")
    data, root = np.fromfile(path, np.uint8), selected(path)[0]
    assert read_pages(data, 512, 0, root, (*KINDS, NUMBER)) is None
    assert read_pages(data, 512, 0, root, KINDS) is not None


@given(
    st.integers(1, 120),
    st.lists(st.tuples(st.integers(0, 1 << 20), st.integers(0, 255)), max_size=8),
    st.booleans(),
    st.none() | st.integers(0, 1 << 20),
    st.integers(-2, 300),
)
def test_damaged_files_do_no_harm(
    count: int, changes: list[tuple[int, int]], heads: bool, cut: int | None, root: int
) -> None:
    """Nothing is read or written outside the arrays; run under the address sanitizer this says so."""
    with TemporaryDirectory() as folder:
        path = made(Path(folder), plain_rows(count, count))
        if root < 1 or root % 3:
            root = selected(path)[0]
        data = np.fromfile(path, np.uint8)
    for place, byte in changes:  # where the pages begin is what leads elsewhere
        at = place % (len(data) // 512) * 512 + place % 24 if heads else place % len(data)
        data[at] = byte
    if cut is not None:
        data = data[: cut % (len(data) + 1)].copy()  # so that the sanitizer knows where it ends
    check_shapes(read_pages(data, 512, 0, root, KINDS))


@given(st.binary(max_size=1500), st.integers(-1, 4), st.sampled_from([5, 13]))
def test_bytes_of_any_kind_do_no_harm(page: bytes, root: int, kind: int) -> None:
    data = np.frombuffer(bytes(512) + bytes([kind, 0, 0, 0]) + page, np.uint8)
    check_shapes(read_pages(data, 512, 0, root, KINDS))


def pages(*contents: bytes) -> np.ndarray:
    """A file of pages of 512 bytes behind an empty one."""
    return np.frombuffer(b"".join(page.ljust(512, b"\0") for page in (b"", *contents)), np.uint8)


def interior(*children: int) -> bytes:
    """A page that leads to others."""
    *left, right = children
    head = b"\5\0\0" + len(left).to_bytes(2, "big") + bytes(3) + right.to_bytes(4, "big")
    at = len(head) + 2 * len(left)
    places = b"".join((at + 5 * i).to_bytes(2, "big") for i in range(len(left)))
    return head + places + b"".join(child.to_bytes(4, "big") + b"\1" for child in left)


def test_pages_that_lead_back_end_it() -> None:
    assert read_pages(pages(interior(2, 2, 2)), 512, 0, 2, KINDS) is None
    assert read_pages(pages(interior(3, 3), interior(2, 2)), 512, 0, 2, KINDS) is None


def leaf(record: bytes, cells: int = 1) -> bytes:
    """A page whose cells all are the same one."""
    cell = bytes([len(record)]) + b"\1" + record
    places = (512 - len(cell)).to_bytes(2, "big") * cells
    return (b"\r\0\0" + cells.to_bytes(2, "big") + b"\0\0\0" + places).ljust(512 - len(cell), b"\0") + cell


def test_no_deeper_than_sqlite_and_no_page_but_the_root_is_empty() -> None:
    def read(depth: int, last: bytes) -> list[Texts | np.ndarray] | None:
        """Of a chain of pages, each of which also leads to the leaf in page 2."""
        chain = [interior(2, i + 4) for i in range(depth - 1)]
        return read_pages(pages(last, *chain, last, *[b""] * depth), 512, 0, 3, [TEXT])

    full, empty = leaf(b"\2\x0fx"), leaf(b"\2\x0fx", cells=0)
    for depth, there in ((1, True), (2, True), (20, True), (21, False)):
        found = read(depth, full)
        assert (found is not None) == there
        assert not there or cells(found[0]) == ["x"] * depth  # type: ignore[index]
    assert read(1, empty) is not None
    assert read(2, empty) is None


def test_a_record_ends_with_its_last_cell() -> None:
    assert read_pages(pages(leaf(b"\2\x0fx")), 512, 0, 2, [TEXT]) is not None
    assert read_pages(pages(leaf(b"\2\x0fxy")), 512, 0, 2, [TEXT]) is None


def test_one_cell_that_many_places_name_cannot_fill_the_memory() -> None:
    """Text of more bytes than the file has is no sound file's."""
    record = b"\2" + bytes([13 + 2 * 50]) + b"x" * 50
    assert read_pages(pages(leaf(record, cells=200)), 512, 0, 2, [TEXT]) is None
    assert read_pages(pages(leaf(record, cells=2)), 512, 0, 2, [TEXT]) is not None


def test_arguments() -> None:
    data = np.zeros(2048, np.uint8)
    for page_size, reserved in ((256, 0), (512, 33), (512, -1)):
        with pytest.raises(ValueError, match="reserved"):
            read_pages(data, page_size, reserved, 2, KINDS)
    assert read_pages(data, 512, 0, 2, []) is None
    assert read_pages(data, 512, 0, 2, [TEXT] * 5000) is None
    assert read_pages(np.zeros(0, np.uint8), 512, 0, 2, KINDS) is None
