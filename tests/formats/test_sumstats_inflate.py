"""Blocks of text: they are whole lines, and memory that is used again is free."""

from __future__ import annotations

import gzip

import numpy as np

from gputwas.formats.sumstats import inflate
from gputwas.formats.sumstats.inflate import blocks, read_start
from gputwas.formats.sumstats.sources import SourceFile

LINES = b"".join(
    b"rs%d\tA\tG\t%.6f\n" % (i, x) for i, x in enumerate(np.random.default_rng(0).normal(size=60_000))
)


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
