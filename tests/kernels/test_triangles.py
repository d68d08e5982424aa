"""The byte loop over triangles on bytes of any kind; what it reads is compared in tests/formats."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gputwas.kernels.triangles import TriangleRows

pytestmark = pytest.mark.library


def lines(genes: int, snps: int) -> bytes:
    """Triangles of genes with one-letter names, so that lines are as short as can be."""
    text = b""
    for gene in range(genes):
        for i in range(snps):
            for j in range(i, snps):
                text += b"%c %c %c %d\n" % (65 + gene, 97 + i, 97 + j, j % 10)
    return text


@settings(deadline=None)
@given(
    st.integers(1, 4),
    st.integers(1, 6),
    st.lists(st.tuples(st.integers(0, 999), st.integers(0, 255)), max_size=3),
    st.integers(1, 400),
)
def test_bytes_of_any_kind_do_no_harm(
    genes: int, snps: int, changes: list[tuple[int, int]], cut: int
) -> None:
    """Nothing is read or written outside the arrays; run under the address sanitizer this says so."""
    text = bytearray(lines(genes, snps))
    for place, byte in changes:
        text[place % len(text)] = byte
    rows = TriangleRows(ord(" "))
    for part in (text[:cut], text[cut:]):
        if not rows.add(np.frombuffer(bytes(part), np.uint8).copy()):
            return
    if not changes:
        assert len(rows.values) == genes * snps * (snps + 1) // 2
        assert rows.sizes.tolist() == [snps] * genes and rows.genes.text.tobytes().decode() == "ABCD"[:genes]


@settings(deadline=None)
@given(st.binary(max_size=300))
def test_lines_of_any_kind_do_no_harm(data: bytes) -> None:
    for text in (data, data.replace(b"\x00", b" ").replace(b"\x01", b"\n"), b"a b b 1\n" + data):
        TriangleRows(ord(" ")).add(np.frombuffer(text, np.uint8).copy())


def test_values_that_are_empty_end_it() -> None:
    """Such lines are shorter than any that is sound: there is no room for so many."""
    names = [bytes([33 + i]) for i in range(200)]
    text = b"".join(b"g %s %s \n" % (names[i], names[j]) for i in range(200) for j in range(i, 200))
    assert not TriangleRows(ord(" ")).add(np.frombuffer(text, np.uint8))
    sound = text.replace(b" \n", b" 1\n")
    rows = TriangleRows(ord(" "))
    assert rows.add(np.frombuffer(sound, np.uint8)) and len(rows.values) == 200 * 201 // 2
