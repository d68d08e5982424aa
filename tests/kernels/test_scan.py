"""The byte loop over lines against plain Python, on every processor's masks, and on bytes of any kind."""

from __future__ import annotations

import ctypes
import importlib.util
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gputwas.kernels
from gputwas.kernels import library
from gputwas.kernels import scan as scan_module
from gputwas.kernels.scan import Columns, LineScan, copy_cells, read_numbers
from gputwas.kernels.texts import TextTable

SOURCES = Path(gputwas.kernels.__file__).parent
MASKS = """
#include "masks.h"
void find_masks(const uint8_t *bytes, int64_t words, uint8_t separator, masks_t *masks)
{
    find_masks_%s(bytes, words, separator, masks);
}
int can(void) { return %s; }
"""
CAN = {"portable": "1", "avx2": '__builtin_cpu_supports("avx2")'}


def texts(names: list[bytes]) -> TextTable:
    ends = np.cumsum([0, *map(len, names)]).astype(np.int64)
    return TextTable.of(
        np.frombuffer(b"".join(names) or b"\0", np.uint8), ends, np.ones(len(names), dtype=bool)
    )


def compiled(folder: Path, sources: list[Path], *flags: str) -> ctypes.CDLL:
    """A library of its own."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("no C compiler on this machine")
    command = [compiler, "-std=gnu11", "-O2", "-Wno-psabi", "-shared", "-fPIC", *flags, "-I", str(SOURCES)]
    done = subprocess.run([*command, "-o", str(folder / "m.so"), *map(str, sources)], capture_output=True)
    if done.returncode:
        pytest.skip(f"not for this processor: {done.stderr.decode().splitlines()[0]}")
    return ctypes.CDLL(str(folder / "m.so"))


@pytest.fixture(scope="module", params=list(CAN))
def masks_of(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    """The masks of one generation of processors, compiled alone."""
    folder = tmp_path_factory.mktemp("masks")
    (folder / "m.c").write_text(MASKS % (request.param, CAN[request.param]))
    flags = ["-DPORTABLE_MASKS"] if request.param == "portable" else []
    loaded = compiled(folder, [folder / "m.c"], *flags)
    if not loaded.can():
        pytest.skip("this processor has no such instructions")
    return loaded


@pytest.fixture(scope="module")
def portable(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., int]:
    """`scan_lines` as it is on processors that are not known."""
    sources = [SOURCES / "scan.c", SOURCES / "texts.c"]
    loaded = compiled(tmp_path_factory.mktemp("portable"), sources, "-DPORTABLE_MASKS")

    def of_portable(name: str, *arguments: Any, returns: Any = None) -> Callable[..., Any]:
        found = loaded[name]
        found.argtypes, found.restype = arguments, returns
        return found

    spec = importlib.util.find_spec(scan_module.__name__)
    assert spec is not None and spec.loader is not None
    again = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(library, "of_library", of_portable)
        spec.loader.exec_module(again)
    return again._scan_lines


@settings(deadline=None)
@given(
    data=st.binary(min_size=64, max_size=64 * 5), separator=st.sampled_from(b" \t,;|"), common=st.booleans()
)
def test_masks_have_a_bit_for_every_byte(masks_of, data: bytes, separator: int, common: bool) -> None:
    words = len(data) // 64
    text = np.frombuffer(data, np.uint8)[: 64 * words]
    if common:  # bytes that matter, their neighbours, and the same with the highest bit
        kinds = np.frombuffer(b"\n\r \t,;|\x00\x1f\x21\x09\x0b\x8a\x8d\xa0\x89\xac\xff\x7f\x80", np.uint8)
        text = kinds[text % len(kinds)]
    out = np.zeros((4, 128), np.uint64)
    masks_of.find_masks(
        text.ctypes.data_as(ctypes.c_void_p), ctypes.c_int64(words), ctypes.c_uint8(separator),
        out.ctypes.data_as(ctypes.c_void_p),
    )  # fmt: skip
    for found, expected in zip(out, (text == 10, text == separator, text == 13, text <= 32), strict=True):
        bits = np.unpackbits(found[:words].view(np.uint8), bitorder="little")
        np.testing.assert_array_equal(bits.astype(bool), expected)


@dataclass
class Found:
    """What a scan finds, as plain Python finds it."""

    wanted: list[tuple[int, list[bytes]]] = field(default_factory=list)  # line and cells
    ids: list[bytes] = field(default_factory=list)
    malformed: int = 0
    chromosomes: list[bytes] = field(default_factory=list)


def by_hand(data: bytes, separator: bytes, columns: Columns, wanted: set[bytes] | set[int]) -> Found | None:
    found = Found()
    for number, line in enumerate(data.split(b"\n")[:-1]):
        cut = line[:-1] if line.endswith(b"\r") else line
        runs = separator * 2 in cut or cut.startswith(separator) or cut.endswith(separator)
        strange = any(byte <= 32 and byte != separator[0] for byte in cut)
        if b"\r" in cut or (columns.blanks and (runs or strange)):
            return None
        cells = cut.split(separator)
        if len(cells) != columns.width:
            found.malformed += cut != b""
            continue
        identifier = cells[columns.identifier]
        found.ids.append(identifier)
        if columns.chromosome >= 0:
            chromosome = cells[columns.chromosome]
            if len(chromosome) > 8:
                return None
            if chromosome.rstrip(b"\0") not in found.chromosomes:
                found.chromosomes.append(chromosome.rstrip(b"\0"))
        if identifier in wanted or number in wanted:
            found.wanted.append((number, cells))
    return found


IDS = [b"rs1", b"rs22", b"rs12345678", b"", b"1:2_A_G", b"rs1234567", b"\xff\x00", b"rs123456789012345678"]
CELLS = [
    *IDS,
    b"x",
    b"rs2",
    b"-0.5",
    b"1e-3",
    b"12345678901",
    b"0.1234567",
    b"A",
    b"\x0b",
    b"\x80\xff",
    b"1 2",
]


@st.composite
def blocks(draw: st.DrawFn) -> tuple[bytes, bytes, Columns]:
    """Lines of any length, most of them rows, and how they are cut."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    width, blanks = draw(st.integers(1, 9)), draw(st.booleans())
    separator = draw(st.sampled_from([b" ", b"\t"] if blanks else [b"\t", b",", b";", b"|", b" "]))
    odd = draw(st.sampled_from([0, 0, 0.01, 0.3]))
    cells = [cell for cell in CELLS if odd or (cell and not set(cell) & set(b" \t\x0b\x00"))]
    end = draw(st.sampled_from([b"\n", b"\r\n"]))
    data = bytearray()
    for _ in range(draw(st.sampled_from([1, 3, 300, 1500]))):
        count = width if rng.random() >= odd else int(rng.choice([0, 1, width - 1, width + 1, 3 * width]))
        picked = rng.integers(0, len(cells), count)
        data += separator.join(cells[i] for i in picked) + (end if rng.random() >= odd / 9 else b"\r")
    data += b"\n" * (data[-1:] != b"\n")
    column = st.integers(0, width - 1)
    first = draw(column)
    columns = Columns(
        width=width, blanks=blanks, identifier=draw(column), chromosome=draw(st.integers(-1, width - 1)),
        take=tuple((c, draw(st.booleans())) for c in draw(st.lists(column, max_size=4))),
        spans=((first, draw(st.integers(first, width - 1))),),
    )  # fmt: skip
    return bytes(data), separator, columns


def assert_found(data: bytes, separator: bytes, columns: Columns, wanted, expected: Found | None) -> LineScan:
    text = np.frombuffer(data, np.uint8)
    scan = LineScan(columns, wanted)
    found = scan.block(text, separator[0], ids=True)
    assert (found is None) == (expected is None)
    if found is None or expected is None:
        assert scan.lines == 0 and not scan.mark.any()
        return scan
    assert scan.lines == data.count(b"\n")
    assert (found.count, found.malformed) == (len(expected.ids), expected.malformed)
    assert [data[a:b] for a, b in found.ids] == ([] if isinstance(wanted, np.ndarray) else expected.ids)
    assert found.lines.tolist() == [line for line, _ in expected.wanted]
    for place, (column, number) in enumerate(columns.take):
        cells = found.cells[:, 2 * place : 2 * place + 2]
        assert [data[a:b] for a, b in cells] == [row[column] for _, row in expected.wanted]
        copied, offsets, ascii = copy_cells(text, found.cells, place)
        assert bytes(copied) == b"".join(row[column] for _, row in expected.wanted)
        assert offsets.tolist() == np.cumsum([0, *(len(row[column]) for _, row in expected.wanted)]).tolist()
        assert ascii == bytes(copied).isascii()
        if number:
            alone = read_numbers(text, np.ascontiguousarray(cells))
            np.testing.assert_array_equal(alone, found.numbers[place])
    return scan


@pytest.mark.library
@settings(deadline=None)
@given(blocks(), st.lists(st.sampled_from(IDS), unique=True))
def test_lines_are_found_as_plain_python_finds_them(block, ids: list[bytes]) -> None:
    data, separator, columns = block
    expected = by_hand(data, separator, columns, set(ids))
    scan = assert_found(data, separator, columns, texts(ids), expected)
    if expected is not None and columns.chromosome >= 0:
        names = [int(word).to_bytes(8, "little").rstrip(b"\0") for word in scan.names]
        assert names == expected.chromosomes


@pytest.mark.library
@settings(deadline=None, max_examples=30)
@given(blocks(), st.lists(st.sampled_from(IDS), unique=True))
def test_the_portable_way_finds_the_same(portable: Callable[..., int], block, ids: list[bytes]) -> None:
    data, separator, columns = block
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scan_module, "_scan_lines", portable)
        scan = assert_found(data, separator, columns, texts(ids), by_hand(data, separator, columns, set(ids)))
    other = LineScan(columns, texts(ids))
    other.block(np.frombuffer(data, np.uint8), separator[0])
    assert scan.mark.tolist() == other.mark.tolist() and scan.names.tolist() == other.names.tolist()


@pytest.mark.library
@settings(deadline=None)
@given(blocks(), st.integers(0, 2**32 - 1))
def test_picked_lines_are_found_and_leave_the_same_fingerprint(block, seed: int) -> None:
    data, separator, columns = block
    rng = np.random.default_rng(seed)
    picks = np.flatnonzero(rng.random(data.count(b"\n")) < 0.3).astype(np.int32)
    columns = Columns(columns.width, columns.blanks, columns.identifier, -1, columns.take, columns.spans)
    expected = by_hand(data, separator, columns, set(picks.tolist()))
    if expected is not None:  # a pick that is no row ends them: the file is not the one that is known
        rows = {line for line, _ in expected.wanted}
        last = next((i for i, pick in enumerate(picks.tolist()) if pick not in rows), len(picks))
        expected.wanted = expected.wanted[:last]
    picked = assert_found(data, separator, columns, picks, expected)
    asked = LineScan(columns, texts(IDS[:3]))
    asked.block(np.frombuffer(data, np.uint8), separator[0])
    assert picked.mark.tolist() == asked.mark.tolist()


@pytest.mark.library
@settings(deadline=None)
@given(blocks(), st.lists(st.integers(1, 5000), max_size=5))
def test_blocks_do_not_matter_to_the_fingerprint(block, sizes: list[int]) -> None:
    data, separator, columns = block
    whole, parts = LineScan(columns), LineScan(columns)
    if whole.block(np.frombuffer(data, np.uint8), separator[0]) is None:
        return
    for size in [*sizes, len(data)]:
        part = data[:size].rpartition(b"\n")[0] + b"\n" if b"\n" in data[:size] else b""
        data = data[len(part) :]
        if part:
            assert parts.block(np.frombuffer(part, np.uint8), separator[0]) is not None
    if not data:
        assert parts.mark.tolist() == whole.mark.tolist() and parts.lines == whole.lines


@pytest.mark.library
@settings(deadline=None)
@given(st.binary(max_size=300), st.integers(0, 255), st.integers(1, 4), st.booleans(), st.integers(0, 70))
def test_bytes_of_any_kind_do_no_harm(
    data: bytes, separator: int, width: int, blanks: bool, before: int
) -> None:
    """Nothing is read or written outside the arrays; run under the address sanitizer this says so."""
    columns = Columns(width, blanks, width - 1, 0, tuple((c, True) for c in range(width)), ((0, width - 1),))
    for text in (data, b"1\n" * before + data, data.replace(b"a", b"\n"), data + b"\n"):
        for wanted in (texts([b"", b"1"]), np.arange(9, dtype=np.int32), None):
            found = LineScan(columns, wanted).block(np.frombuffer(text, np.uint8).copy(), separator, ids=True)
            assert found is None or found.count + found.malformed <= len(text)


@pytest.mark.library
def test_a_line_of_very_many_cells_is_one_malformed_row() -> None:
    columns = Columns(3, False, 0, -1, ((2, False),), ((0, 1),))
    data = b"a,b,c\n" + b",x" * 40_000 + b"\na,d,e\n"
    found = LineScan(columns, texts([b"a"])).block(np.frombuffer(data, np.uint8), ord(","))
    assert found is not None and (found.count, found.malformed) == (2, 1)
    assert [data[a:b] for a, b in found.cells] == [b"c", b"e"] and found.lines.tolist() == [0, 2]


def test_columns_and_cells_outside_their_arrays_are_refused() -> None:
    with pytest.raises(ValueError, match="rows with 3 cells"):
        Columns(3, False, 3, -1, (), ())
    with pytest.raises(ValueError, match="must ascend"):
        Columns(3, False, 0, -1, (), ((2, 1),))
    for lines in ([1, 1, 2], [2, 1], [-1, 2]):
        with pytest.raises(ValueError, match=f"{len(lines)} wanted lines must ascend"):
            LineScan(Columns(3, False, 0, -1, (), ()), np.array(lines, np.int32))
    for cells in ([[0, 9]], [[-1, 2]], [[2, 1]]):
        with pytest.raises(ValueError, match="outside 8 bytes"):
            read_numbers(np.zeros(8, np.uint8), np.array(cells, np.int32))
    with pytest.raises(ValueError, match="do not lie within"):
        TextTable.of(np.zeros(2, np.uint8), np.array([0, 3]), np.ones(1, dtype=bool))
