"""Inflating: several threads give the bytes and the errors of one, and memory that is used again is free."""

from __future__ import annotations

import gzip
import struct
import threading
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gputwas.errors import InputError
from gputwas.formats.sumstats import bgzf, inflate
from gputwas.formats.sumstats.inflate import blocks, read_start
from gputwas.formats.sumstats.sources import SourceFile

LINES = b"".join(
    b"rs%d\tA\tG\t%.6f\n" % (i, x) for i, x in enumerate(np.random.default_rng(0).normal(size=60_000))
)
END = bytes.fromhex("1f8b08040000000000ff0600424302001b0003000000000000000000")


def member(text: bytes) -> bytes:
    """One member of BGZF, written from its specification."""
    packer = zlib.compressobj(1, zlib.DEFLATED, -15)
    packed = packer.compress(text) + packer.flush()
    head = b"\x1f\x8b\x08\x04\0\0\0\0\0\xff\x06\0BC\x02\0" + struct.pack("<H", len(packed) + 25)
    return head + packed + struct.pack("<II", zlib.crc32(text), len(text))


def bgzip(text: bytes, size: int = 65280) -> bytes:
    return b"".join(member(text[at : at + size]) for at in range(0, len(text), size)) + END


def result(path: Path, data: bytes, threads: int, **options: int) -> tuple[bytes, str | None]:
    """The text up to the first error, and the error's problem."""
    path.write_bytes(data)
    text = []
    try:
        for block in blocks(str(path), "gzip", threads=threads, **options):
            text.append(block.data.tobytes())
    except InputError as error:
        return b"".join(text), error.problem
    return b"".join(text), None


@pytest.fixture
def small_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bgzf, "_RUN_BYTES", 100_000)
    monkeypatch.setattr(bgzf, "_READ_BYTES", 50_000)


@pytest.mark.parametrize("threads", [2, 3, 99])
@pytest.mark.parametrize("size", [65280, 1000, 65536])
def test_bgzip_by_several_threads(tmp_path, small_runs, threads, size):
    text = LINES[:-1] if size == 1000 else LINES
    data = bgzip(text[: 300 * size], size)
    assert gzip.decompress(data) == text[: 300 * size]
    whole, problem = result(tmp_path / "t", data, threads)
    assert problem is None and whole == text[: 300 * size] + (
        b"" if text[: 300 * size].endswith(b"\n") else b"\n"
    )
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("inflate")]


def test_it_is_done_by_threads_that_check_everything(tmp_path, small_runs, monkeypatch):
    runs = []
    original = bgzf._inflate
    monkeypatch.setattr(bgzf, "_inflate", lambda *a: runs.append(threading.get_ident()) or original(*a))
    assert result(tmp_path / "t", bgzip(LINES), 3) == (LINES, None)
    assert len(runs) > 10 and threading.get_ident() not in runs
    runs.clear()
    assert result(tmp_path / "t", gzip.compress(LINES), 3) == (LINES, None) and not runs
    assert result(tmp_path / "t", bgzip(LINES), 1) == (LINES, None) and not runs


def damaged() -> dict[str, bytes]:
    whole = bgzip(LINES)
    third = len(whole) // 3
    member_at = whole.index(b"\x1f\x8b\x08\x04", third)
    size = int.from_bytes(whole[member_at + 16 : member_at + 18], "little") + 1

    def changed(at: int, value: bytes) -> bytes:
        return whole[:at] + value + whole[at + len(value) :]

    return {
        "cut in a member": whole[: 2 * third],
        "cut in a header": whole[: member_at + 5],
        "cut between members": whole[:member_at],
        "wrong bytes": changed(member_at + 1000, bytes(100)),
        "wrong CRC": changed(member_at + size - 8, b"\0\0\0\0"),
        "wrong size of text": changed(member_at + size - 4, b"\x07\0\0\0"),
        "huge size of text": changed(member_at + size - 4, b"\xff\xff\xff\xff"),
        "wrong size of member": changed(member_at + 16, b"\x40\x00"),
        "size of member of nothing": changed(member_at + 16, b"\x00\x00"),
        "no header": changed(member_at, b"XX"),
        "zeros behind": whole + bytes(5000),
        "text behind": whole + b"more",
        "gzip behind": whole + gzip.compress(LINES[: 1 << 18]) + bgzip(LINES[: 1 << 18]),
        "wrong CRC of the last": whole[: -len(END) - 8] + bytes(4) + whole[-len(END) - 4 :],
    }


@pytest.mark.parametrize("case", damaged())
def test_damage_gives_the_same_bytes_and_the_same_error(tmp_path, small_runs, case):
    data = damaged()[case]
    alone, together = (result(tmp_path / "t", data, threads, size=1 << 16) for threads in (1, 3))
    assert alone[1] == together[1]
    assert alone[0] == together[0]
    if case not in ("cut between members", "zeros behind", "gzip behind", "size of member of nothing",
                    "wrong size of member"):  # fmt: skip
        assert alone[1] is not None, "the case is one"


@given(
    st.lists(st.sampled_from(["bgzf", "gzip", "end"]), min_size=1, max_size=6),
    st.integers(1, 70_000),
    st.sampled_from([1 << 10, 1 << 14, 1 << 20]),
)
def test_any_mixture_of_members(tmp_path_factory, kinds, length, size):
    parts = [LINES[i * length : (i + 1) * length] for i in range(len(kinds))]
    make = {"bgzf": lambda t: member(t[:65536]), "gzip": gzip.compress, "end": lambda t: END}
    data = b"".join(make[kind](part) for kind, part in zip(kinds, parts, strict=True))
    path = tmp_path_factory.mktemp("mixed") / "t"
    expected = gzip.decompress(data)
    found = result(path, data, 3, size=size)[0]
    assert found == expected + (b"\n" if expected and not expected.endswith(b"\n") else b"")


def test_lines_are_numbered_from_what_is_passed_over(tmp_path):
    path = tmp_path / "t"
    path.write_bytes(LINES)
    skip = LINES.index(b"rs1000\t")
    numbers = [
        (b.first_line, b.data.tobytes())
        for b in blocks(str(path), "plain", skip=skip, first_line=1001, size=5000)
    ]
    assert b"".join(data for _, data in numbers) == LINES[skip:] and len(numbers) > 100
    for line, data in numbers:
        assert data.startswith(b"rs%d\t" % (line - 1))
    unnumbered = list(blocks(str(path), "plain", skip=skip, first_line=7, size=5000, numbered=False))
    assert {block.first_line for block in unnumbered} == {7}


def test_blocks_that_are_held_are_not_written_over(tmp_path):
    path = tmp_path / "t"
    path.write_bytes(LINES)
    held = list(blocks(str(path), "plain", size=10_000))
    assert b"".join(block.data.tobytes() for block in held) == LINES
    views = [memoryview(block.data) for block in blocks(str(path), "plain", size=10_000)]
    assert b"".join(views) == LINES


def test_memory_of_blocks_is_used_again(tmp_path):
    path = tmp_path / "t"
    path.write_bytes(LINES)
    places = [block.data.__array_interface__["data"][0] for block in blocks(str(path), "plain", size=10_000)]
    assert len(places) > 100 and len(set(places)) <= inflate._QUEUED + 5


def test_lines_longer_than_a_block(tmp_path):
    path = tmp_path / "t"
    text = b"a\n" + b"b" * 5000 + b"\n" + b"c" * 3000
    path.write_bytes(text)
    assert [b.data.tobytes() for b in blocks(str(path), "plain", size=512)] == [
        b"a\n",
        b"b" * 5000 + b"\n",
        b"c" * 3000 + b"\n",
    ]


def test_the_start_is_read_without_the_rest(tmp_path):
    path = tmp_path / "t"
    path.write_bytes(gzip.compress(LINES))
    assert read_start(str(path), "gzip", 1000) == LINES[:1000]
    assert read_start(SourceFile(path), "gzip", 1 << 24) == LINES
