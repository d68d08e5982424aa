"""Gzip of many members: several threads give the bytes and the errors of one, whatever the members are."""

from __future__ import annotations

import gzip
import io
import itertools
import os
import struct
import threading
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gputwas.errors import InputError
from gputwas.formats.sumstats import inflate, members
from gputwas.formats.sumstats.gzip_starts import has_many_members, is_bgzf, likely_start, stated_start
from gputwas.formats.sumstats.inflate import blocks
from gputwas.formats.sumstats.members import MemberReader, gzip_reader
from gputwas.formats.sumstats.sources import SourceFile, SourceStream

LINES = b"".join(
    b"rs%d\tA\tG\t%.6f\n" % (i, x) for i, x in enumerate(np.random.default_rng(0).normal(size=60_000))
)
END = bytes.fromhex("1f8b08040000000000ff0600424302001b0003000000000000000000")
NAME, EXTRA, COMMENT, CRC = 8, 4, 16, 2  # flags of a header


def member(text: bytes, level: int = 6, flags: int = 0, extra: bytes = b"more") -> bytes:
    """One member of gzip, written from its specification (RFC 1952)."""
    head = b"\x1f\x8b\x08" + struct.pack("<BIBB", flags, 1_700_000_000, {9: 2, 1: 4}.get(level, 0), 3)
    head += struct.pack("<H", len(extra)) + extra if flags & EXTRA else b""
    head += b"chr1.txt\0" if flags & NAME else b""
    head += b"a part\0" if flags & COMMENT else b""
    head += struct.pack("<H", zlib.crc32(head) & 0xFFFF) if flags & CRC else b""
    packer = zlib.compressobj(level, zlib.DEFLATED, -15)
    packed = packer.compress(text) + packer.flush()
    return head + packed + struct.pack("<II", zlib.crc32(text), len(text))


def bgzf_member(text: bytes) -> bytes:
    size = len(member(text, 1, EXTRA, b"BC\2\0\0\0")) - 1
    return member(text, 1, EXTRA, b"BC\2\0" + struct.pack("<H", size))


def bgzip(text: bytes, size: int = 65280) -> bytes:
    return b"".join(bgzf_member(text[at : at + size]) for at in range(0, len(text), size)) + END


def pieces(text: bytes, size: int = 65280) -> bytes:
    """What `cat` makes of several gzip files."""
    return b"".join(member(text[at : at + size], flags=NAME) for at in range(0, len(text), size))


def result(path: Path, data: bytes, threads: int, **options: int) -> tuple[bytes, str | None, str | None]:
    """The text up to the first error, the error's problem, and what it says was found."""
    path.write_bytes(data)
    text = []
    try:
        for block in blocks(str(path), "gzip", threads=threads, **options):
            text.append(block.data.tobytes())
    except InputError as error:
        return b"".join(text), error.problem, error.found
    return b"".join(text), None, None


def starts(data: bytes) -> list[int]:
    """Where members seem to start in a file, but the first."""
    found = []
    while (start := likely_start(bytearray(data), 0, found[-1] + 1 if found else 1))[1]:
        found.append(start[0])
    return found


def read_all(reader: Any, size: int) -> tuple[bytes, str | None]:
    """The text up to the first error, and the error."""
    text, buffer = b"", bytearray(size)
    try:
        while count := reader.readinto(memoryview(buffer)):
            text += buffer[:count]
    except Exception as error:
        return text, repr(error)
    finally:
        reader.close()
    return text, None


@pytest.fixture
def small_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(members, "_RUN_BYTES", 50_000)
    monkeypatch.setattr(members, "_READ_BYTES", 50_000)


@pytest.fixture
def inflating(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The threads that inflated a run, one item for each."""
    runs: list[int] = []
    original = members._Run.inflate
    monkeypatch.setattr(
        members._Run, "inflate", lambda run: runs.append(threading.get_ident()) or original(run)
    )
    return runs


@pytest.mark.parametrize("threads", [2, 3, 99])
@pytest.mark.parametrize("size", [65280, 1000, 65536])
@pytest.mark.parametrize("make", [bgzip, pieces])
def test_several_threads_give_the_text(tmp_path, small_runs, make, threads, size):
    text = LINES[: 300 * size]
    data = make(text, size)
    assert gzip.decompress(data) == text
    whole = text if text.endswith(b"\n") else text + b"\n"
    assert result(tmp_path / "t", data, threads) == (whole, None, None)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("inflate")]


@pytest.mark.parametrize("make", [bgzip, pieces])
def test_it_is_done_by_threads_where_there_may_be(tmp_path, small_runs, inflating, make):
    assert result(tmp_path / "t", make(LINES), 3) == (LINES, None, None)
    assert len(inflating) > 5 and threading.get_ident() not in inflating
    inflating.clear()
    assert result(tmp_path / "t", make(LINES), 1) == (LINES, None, None) and not inflating


def test_two_members_are_inflated_at_once(tmp_path, small_runs, monkeypatch):
    together = threading.Barrier(2, timeout=60)
    first = iter([True, True])
    original = members._Run.inflate

    def inflate_with_another(run: Any) -> None:
        if next(first, False):
            together.wait()
        original(run)

    monkeypatch.setattr(members._Run, "inflate", inflate_with_another)
    assert result(tmp_path / "t", pieces(LINES, 1 << 18), 2) == (LINES, None, None)
    assert next(first, None) is None and not together.broken


def test_one_member_is_read_as_ever(tmp_path, inflating, monkeypatch):
    monkeypatch.setattr(inflate, "MemberReader", None)
    assert result(tmp_path / "t", gzip.compress(LINES), 3) == (LINES, None, None) and not inflating


def damaged(whole: bytes) -> dict[str, bytes]:
    third = len(whole) // 3
    places = [*starts(whole), len(whole)]
    here, behind = next((a, b) for a, b in itertools.pairwise(places) if a > third)
    last, last_end = places[-3:-1] if whole.endswith(END) else places[-2:]

    def changed(at: int, value: bytes) -> bytes:
        return whole[:at] + value + whole[at + len(value) :]

    return {
        "cut in a member": whole[: 2 * third],
        "cut in a header": whole[: here + 5],
        "cut in the last header": whole[: last + 9],
        "cut between members": whole[:here],
        "wrong bytes": changed(here + 1000, bytes(100)),
        "wrong CRC": changed(behind - 8, b"\0\0\0\0"),
        "wrong size of text": changed(behind - 4, b"\x07\0\0\0"),
        "huge size of text": changed(behind - 4, b"\xff\xff\xff\xff"),
        "wrong size of member": changed(here + 16, b"\x40\x00"),
        "size of member of nothing": changed(here + 16, b"\x00\x00"),
        "no header": changed(here, b"XX"),
        "unknown method": changed(here + 2, b"\x07"),
        "unusual level and system": changed(here + 8, b"\x63\x63"),
        "zeros between": whole[:here] + bytes(5000) + whole[here:],
        "text between": whole[:here] + b"more" + whole[here:],
        "zeros behind": whole + bytes(5000),
        "text behind": whole + b"more",
        "text behind zeros": whole + bytes(70_000) + b"more",
        "magic behind": whole + b"\x1f\x8b",
        "header behind": whole + whole[:10],
        "gzip behind": whole + gzip.compress(LINES[: 1 << 18]) + whole,
        "wrong CRC of the last": changed(last_end - 8, bytes(4)),
    }


FINE = ("cut between members", "unusual level and system", "zeros between", "zeros behind", "gzip behind",
        "wrong size of member", "size of member of nothing")  # fmt: skip


@pytest.mark.parametrize("case", damaged(pieces(LINES)))
@pytest.mark.parametrize("make", [bgzip, pieces])
def test_damage_gives_the_same_bytes_and_the_same_error(tmp_path, small_runs, make, case):
    data = damaged(make(LINES))[case]
    alone, together = (result(tmp_path / "t", data, threads, size=1 << 16) for threads in (1, 3))
    assert together == alone
    assert (alone[1] is None) <= (case in FINE), "the case is one"


@given(
    st.lists(st.sampled_from(["bgzf", "gzip", "end"]), min_size=1, max_size=6),
    st.integers(1, 70_000),
    st.sampled_from([1 << 10, 1 << 14, 1 << 20]),
)
def test_any_mixture_of_members(tmp_path_factory, kinds, length, size):
    parts = [LINES[i * length : (i + 1) * length] for i in range(len(kinds))]
    make = {"bgzf": lambda t: bgzf_member(t[:65536]), "gzip": gzip.compress, "end": lambda t: END}
    data = b"".join(make[kind](part) for kind, part in zip(kinds, parts, strict=True))
    path = tmp_path_factory.mktemp("mixed") / "t"
    expected = gzip.decompress(data)
    found = result(path, data, 3, size=size)[0]
    assert found == expected + (b"\n" if expected and not expected.endswith(b"\n") else b"")


TEXTS = st.one_of(
    st.builds(lambda at, size: LINES[at : at + size], st.integers(0, 1 << 19), st.integers(0, 40_000)),
    # What seems to start a member, where the level is 0 or nothing repeats.
    st.builds(
        lambda times, text: member(LINES[:500]) * times + text, st.integers(1, 9), st.binary(max_size=99)
    ),
    st.builds(lambda times: member(b"")[:10] * times, st.integers(1, 99)),
)
MEMBERS = st.builds(
    lambda text, level, flags, zeros: member(text, level, sum(flags)) + bytes(zeros),
    TEXTS,
    st.integers(0, 9),
    st.sets(st.sampled_from([NAME, EXTRA, COMMENT, CRC])),
    st.sampled_from([0, 0, 0, 1, 600]),
)
DAMAGES = st.one_of(
    st.just(lambda data: data),
    st.floats(0, 1).map(lambda at: lambda data: data[: int(at * len(data))]),
    st.floats(0, 1, exclude_max=True).map(
        lambda at: (
            lambda data: (
                data[: int(at * len(data))]
                + bytes([data[int(at * len(data))] ^ 4])
                + data[int(at * len(data)) + 1 :]
            )
        )
    ),
    st.sampled_from([b"junk", b"\0\0junk", b"\x1f\x8b", member(LINES)[:700]]).map(
        lambda behind: lambda data: data + behind
    ),
)
LIMITS = st.fixed_dictionaries(
    {
        "_RUN_BYTES": st.sampled_from([1, 300, 5000, 1 << 20]),
        "_READ_BYTES": st.sampled_from([7, 1000, 1 << 20]),
        "_AHEAD_BYTES": st.sampled_from([100, 20_000, 1 << 26]),
        "_CHUNK_BYTES": st.sampled_from([50, 4096, 1 << 20]),
        "_AHEAD_CHUNKS": st.sampled_from([0, 1, 9, 64]),
    }
)


@given(st.lists(MEMBERS, min_size=1, max_size=8), DAMAGES, LIMITS, st.integers(1, 5))
def test_whatever_the_members_and_the_limits(parts, damage, limits, threads):
    whole = b"".join(parts)
    data = damage(whole)
    alone = read_all(gzip_reader(io.BytesIO(data)), 1 << 20)  # type: ignore[arg-type]
    with pytest.MonkeyPatch.context() as patch:
        for name, value in limits.items():
            patch.setattr(members, name, value)
        reader = MemberReader(io.BytesIO(data), threads, likely_start)  # type: ignore[arg-type]
        assert read_all(reader, 1 << 20) == alone
    if data == whole:
        assert alone == (gzip.decompress(data), None)


@pytest.mark.parametrize("size", [1000, 1 << 20])
def test_parts_that_are_asked_for_are_filled(size):
    reader = MemberReader(io.BytesIO(pieces(LINES, 3000)), 2, likely_start)  # type: ignore[arg-type]
    buffer = bytearray(size)
    counts = []
    while count := reader.readinto(memoryview(buffer)):
        counts.append(count)
    reader.close()
    assert set(counts[:-1]) == {size} and sum(counts) == len(LINES)


def test_a_place_that_only_looks_like_a_start_costs_no_text(tmp_path, small_runs, inflating):
    """A gzip file packed once more without compression holds headers of members that are none."""
    inner = pieces(LINES, 1 << 18)
    data = member(LINES, 1) + member(inner, 0) + member(LINES, 1) + member(b"end\n", 0)
    assert len(starts(data)) > 5
    found = result(tmp_path / "t", data, 3)
    assert found == (LINES + inner + LINES + b"end\n", None, None)
    assert 1 < len(inflating) < 9


def test_memory_that_is_held_is_bounded(monkeypatch):
    monkeypatch.setattr(members, "_RUN_BYTES", 10_000)
    monkeypatch.setattr(members, "_READ_BYTES", 1000)
    monkeypatch.setattr(members, "_AHEAD_BYTES", 150_000)
    monkeypatch.setattr(members, "_CHUNK_BYTES", 1000)
    monkeypatch.setattr(members, "_AHEAD_CHUNKS", 20)
    made, held = [], []
    empty, receive = np.empty, MemberReader._receive

    def receive_and_weigh(reader: MemberReader) -> None:
        receive(reader)
        held.append(len(reader._read) + sum(len(run.members) for run, _ in reader._runs))

    monkeypatch.setattr(members.np, "empty", lambda *a, **k: made.append(a) or empty(*a, **k))
    monkeypatch.setattr(MemberReader, "_receive", receive_and_weigh)
    data = pieces(LINES, 200_000)  # more than there is room for
    reader = MemberReader(io.BytesIO(data), 3, likely_start)  # type: ignore[arg-type]
    assert read_all(reader, 5000) == (LINES, None)
    assert len(made) == 3 * 20
    assert 100_000 < max(held) <= 150_000 + 1000 < len(data)


def test_a_member_too_long_to_be_held_is_read_plainly(monkeypatch, inflating):
    monkeypatch.setattr(members, "_AHEAD_BYTES", 50_000)
    monkeypatch.setattr(members, "_READ_BYTES", 10_000)
    data = member(LINES) + pieces(LINES)
    reader = MemberReader(io.BytesIO(data), 3, likely_start)  # type: ignore[arg-type]
    assert read_all(reader, 1 << 16) == (LINES + LINES, None) and not inflating


class Failing(io.RawIOBase):
    """A stream that fails where its bytes end."""

    def __init__(self, data: bytes) -> None:
        self._data, self.failures = io.BytesIO(data), 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        count = self._data.readinto(buffer)
        if not count:
            self.failures += 1
            raise OSError(5, "Input/output error")
        return count


@pytest.mark.parametrize("cut", [0, 1, 100_000])
def test_what_comes_before_a_failure_is_given_out_first(small_runs, cut):
    data = pieces(LINES)[: -cut or None]
    alone = read_all(gzip_reader(Failing(data)), 1000)
    together = read_all(MemberReader(Failing(data), 3, likely_start), 1000)
    assert together == alone and len(alone[0]) > 100_000


def test_a_source_that_failed_is_not_asked_again(small_runs):
    raw = Failing(pieces(LINES))
    stream = SourceStream(SourceFile("t.gz"), raw, None, ())
    text, error = read_all(MemberReader(stream, 3, likely_start), 1000)
    assert len(text) > 100_000 and error is not None and "Input/output error" in error
    assert raw.failures == 1


def test_the_last_bytes_tell_whether_there_are_more_members(tmp_path):
    for name, data, expected in [
        ("one", gzip.compress(LINES), False),
        ("pieces", pieces(LINES), True),
        ("bgzip", bgzip(LINES), True),
        ("two", pieces(LINES, len(LINES) // 2), True),
        ("padded", gzip.compress(LINES) + bytes(512), True),  # then one thread would have done
        ("empty", b"", False),
    ]:
        (tmp_path / name).write_bytes(data)
        with SourceFile(tmp_path / name).open() as stream:
            assert has_many_members(stream) == expected, name
            assert stream.read() == data
    with SourceFile("http://localhost/t.gz").open() as stream:
        assert not has_many_members(stream)


def test_a_pipe_has_no_last_bytes():
    reading, writing = os.pipe()
    os.write(writing, pieces(LINES[:3000], 100)[:1000])
    os.close(writing)
    with open(reading, "rb", buffering=0) as stream:
        assert not has_many_members(stream)
        assert len(stream.read()) == 1000


@pytest.mark.parametrize("step", [1, 9, 10, 11, 1000, 1 << 20])
@pytest.mark.parametrize("find", [likely_start, stated_start])
def test_starts_are_found_in_whatever_parts_the_bytes_come(find, step):
    texts = [LINES[i * 300 : (i + 1) * 300] for i in range(32)]
    if find is stated_start:
        parts = [bgzf_member(text) for text in texts]
    else:
        parts = [member(text, i % 10, flags=i) for i, text in enumerate(texts)]
    whole, expected = b"".join(parts), np.cumsum([len(part) for part in parts])[:-1]
    for least in [1, expected[3], expected[3] + 1, expected[-1], expected[-1] + 1]:
        read, place, found = bytearray(), 0, False
        for at in range(0, len(whole), step):
            read += whole[at : at + step]
            place, found = find(read, place, least)
            if found:
                break
        assert [place] * found == expected[expected >= least][:1].tolist()
    assert is_bgzf(whole) == (find is stated_start)
