"""FUSION's lists and weight files are read as R reads them, and what is no such file is told."""

from __future__ import annotations

import gzip
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gputwas.errors import InputError, ResourceError
from gputwas.formats import r_objects
from gputwas.formats.fusion import read_pos, read_wgt
from tests.formats.r_files import NA_INTEGER, NA_REAL, Factor, Frame, Matrix, save, serialize, wgt_values

IDS = ["rs1", "rs2", "rs3"]
WEIGHTS = {"blup": [0.1, -0.2, 0.3], "lasso": [0.0, 0.5, 0.0], "top1": [1.5, -2.5, float("nan")]}
PVAL = {"blup": 1e-3, "lasso": 1e-5, "top1": float("nan")}
RSQ = {"blup": 0.05, "lasso": 0.09, "top1": -0.002}


def values(**more: Any) -> dict[str, Any]:
    return wgt_values(IDS, ["A", "c", "T"], ["G", "T", "TA"], WEIGHTS, PVAL, rsq=RSQ, **more)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


@pytest.mark.parametrize("factors", [False, True])
@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("compress", ["gzip", "bzip2", "xz", "none"])
def test_reads_what_r_saves(folder: Path, factors: bool, version: int, compress: str) -> None:
    path = save(folder / "g.wgt.RDat", values(factors=factors), version=version, compress=compress)
    read = read_wgt(path)
    assert read.path == str(path)
    assert read.variant_id.to_pylist() == IDS
    assert read.effect_allele.to_pylist() == ["A", "C", "T"]
    assert read.other_allele.to_pylist() == ["G", "T", "TA"]
    assert read.models == ("blup", "lasso", "top1")
    np.testing.assert_array_equal(read.weights, [[0.1, 0.0, 1.5], [-0.2, 0.5, -2.5], [0.3, 0.0, 0.0]])
    np.testing.assert_array_equal(read.r2, [0.05, 0.09, -0.002])
    np.testing.assert_array_equal(read.pval, [1e-3, 1e-5, np.nan])
    assert (read.hsq, read.hsq_pval, read.n) == (0.25, 1e-4, 369.0)


@pytest.mark.parametrize("factors", [False, True])
def test_the_short_way_through_texts_is_the_librarys(
    folder: Path, monkeypatch: pytest.MonkeyPatch, factors: bool
) -> None:
    more = {"odd": (["a", None, "é"], np.arange(2.0), ())}
    path = save(folder / "g.wgt.RDat", values(factors=factors) | more, version=3)
    read, objects = read_wgt(path), r_objects.load_objects(str(path), "file", "Give one.")
    asked = []
    monkeypatch.setattr(r_objects, "_quick_parser", lambda: asked.append(1))
    again, all_again = read_wgt(path), r_objects.load_objects(str(path), "file", "Give one.")
    assert asked == [1, 1]
    for name in ("variant_id", "effect_allele", "other_allele", "models"):
        assert getattr(read, name) == getattr(again, name)
    np.testing.assert_array_equal(read.weights, again.weights)
    assert list(objects) == list(all_again)
    for found in (objects, all_again):
        first, second, third = r_objects.elements(found["odd"]) or []
        assert r_objects.texts(first) == ["a", None, "é"]
        assert r_objects.elements(third) == [] and r_objects.texts(second) is None


def test_na_of_r_is_no_value(folder: Path) -> None:
    changed = values()
    changed["cv.performance"] = Matrix(
        [[0.05, NA_REAL, NA_REAL], [NA_REAL, NA_REAL, 0.5]], rows=["rsq", "pval"], columns=list(WEIGHTS)
    )
    changed["N.tot"] = np.array([NA_INTEGER], np.int32)
    del changed["hsq"]
    read = read_wgt(save(folder / "g.wgt.RDat", changed))
    np.testing.assert_array_equal(read.r2, [0.05, np.nan, np.nan])
    np.testing.assert_array_equal(read.pval, [np.nan, np.nan, 0.5])
    assert np.isnan([read.hsq, read.n]).all()


def test_the_least_of_several_rows_of_p_counts(folder: Path) -> None:
    changed = values()
    changed["cv.performance"] = Matrix(
        [[0.1, 0.2, 0.3], [0.5, NA_REAL, 0.04], [0.4, 0.5, 0.6], [0.01, NA_REAL, 0.9]],
        rows=["rsq", "pval", "rsq.all", "pval.all"],
        columns=list(WEIGHTS),
    )
    read = read_wgt(save(folder / "g.wgt.RDat", changed))
    np.testing.assert_array_equal(read.pval, [0.01, np.nan, 0.04])
    np.testing.assert_array_equal(read.r2, [0.1, 0.2, 0.3])


def test_a_column_of_nothing_but_the_allele_t_is_logical_in_r(folder: Path) -> None:
    # read.table takes T for TRUE; in the file such a column is logical (type 10)
    data = bytearray(serialize(values()))
    column = [9 | 64 << 12, 1]  # a text of one byte
    texts = b"".join(
        b"".join(n.to_bytes(4, "big") for n in column) + letter.encode() for letter in ("A", "c", "T")
    )
    at = data.index((16).to_bytes(4, "big") + (3).to_bytes(4, "big") + texts)
    data[at : at + 8 + len(texts)] = b"".join(n.to_bytes(4, "big") for n in (10, 3, 1, 1, 1))
    path = folder / "g.wgt.RDat"
    path.write_bytes(gzip.compress(bytes(data)))
    assert read_wgt(path).effect_allele.to_pylist() == ["T", "T", "T"]


def without(name: str) -> dict[str, Any]:
    return {key: value for key, value in values().items() if key != name}


def with_(**more: Any) -> dict[str, Any]:
    return values() | {key.replace("_", "."): value for key, value in more.items()}


def frame(n: int, columns: int = 6) -> Frame:
    names = {f"V{i}": list("ACGTA" * n)[:n] for i in range(1, columns + 1)}
    return Frame(names)


UNKNOWN = {
    "no wgt.matrix": (without("wgt.matrix"), ["no object wgt.matrix", "snps, cv.performance"]),
    "no snps": (without("snps"), ["no object snps"]),
    "no cv.performance": (without("cv.performance"), ["no object cv.performance"]),
    "something else": ({"x": np.arange(3.0)}, ["no object wgt.matrix", "found x"]),
    "nothing": ({}, ["no object wgt.matrix", "found no object"]),
    "rows differ": (with_(snps=frame(2)), ["snps has 2 rows, wgt.matrix 3"]),
    "columns of snps": (with_(snps=frame(3, 4)), ["six columns"]),
    "snps is a matrix": (with_(snps=Matrix([[1.0, 2.0]])), ["six columns"]),
    "alleles are numbers": (
        with_(snps=Frame({f"V{i}": np.zeros(3) for i in range(1, 7)})), ["no text"]
    ),
    "weights are text": (with_(wgt_matrix=["a", "b"]), ["wgt.matrix is no matrix of numbers"]),
    "weights are a factor": (with_(wgt_matrix=Factor(["a", "b"])), ["wgt.matrix is no matrix"]),
    "weights have no names": (with_(wgt_matrix=Matrix(np.zeros((3, 3)))), ["columns of wgt.matrix"]),
    "weights are infinite": (
        with_(wgt_matrix=Matrix(np.full((3, 3), np.inf), columns=list(WEIGHTS))), ["infinite"]
    ),
    "other models": (
        with_(cv_performance=Matrix(np.zeros((2, 2)), ["rsq", "pval"], ["blup", "enet"])),
        ["of different models", "blup, lasso, top1 and blup, enet"],
    ),
    "no p": (
        with_(cv_performance=Matrix(np.zeros((1, 3)), ["rsq"], list(WEIGHTS))),
        ["cv.performance has no row pval", "rows rsq"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", UNKNOWN)
def test_rdata_of_unknown_structure_is_told(folder: Path, case: str) -> None:
    content, needles = UNKNOWN[case]
    path = save(folder / "g.wgt.RDat", content)
    with pytest.raises(InputError) as refused:
        read_wgt(path)
    for needle in [str(path), "RData of unknown structure", *needles]:
        assert needle in str(refused.value)


def test_what_is_no_rdata_file_is_told(folder: Path) -> None:
    path = folder / "g.wgt.RDat"
    for content, needles in [
        (b"gene\tsnp\n", ["is not an RData file", "gene"]),
        (b"", ["is not an RData file"]),
        (gzip.compress(b"X\n\0\0\0\2"), ["is not an RData file", "saveRDS"]),
        (gzip.compress(serialize(values()))[:200], ["compressed file is damaged"]),
        (serialize(values())[:-50], ["is a damaged RData file"]),
        (b"RDX2\nX\n" + b"\xff" * 40, ["is a damaged RData file"]),
        (b"RDX2\nX\n" + serialize(values())[7:19] + b"\0\0\0\x0e\0\0\0\1" + b"\0" * 8, ["damaged"]),
    ]:
        path.write_bytes(content)
        with pytest.raises(InputError) as refused:
            read_wgt(path)
        for needle in [str(path), *needles]:
            assert needle in str(refused.value)
    with pytest.raises(InputError, match="does not exist"):
        read_wgt(folder / "absent.wgt.RDat")


def test_a_missing_library_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save(folder / "g.wgt.RDat", values())
    monkeypatch.setitem(sys.modules, "rdata.parser", None)
    with pytest.raises(ResourceError, match=r"gputwas\[fusion\]"):
        read_wgt(path)


def test_reads_lists_with_tabs_or_blanks(folder: Path) -> None:
    path = folder / "a.pos"
    path.write_text(
        'PANEL\tWGT\tID\tCHR\tP0\tP1\tN\n"P"\td/a.RDat\tENSG1.2\tchr01\t100\t2e+06\t369\n'
        "\nP d/b.RDat  ENSG2 23 NA NA NA\n"
    )
    table = read_pos(path)
    assert table.to_pylist() == [
        {"line": 2, "panel": "P", "wgt": "d/a.RDat", "id": "ENSG1.2", "chr": "1", "p0": 100,
         "p1": 2_000_000, "n": 369.0},
        {"line": 4, "panel": "P", "wgt": "d/b.RDat", "id": "ENSG2", "chr": "X", "p0": None, "p1": None,
         "n": None},
    ]  # fmt: skip
    path.write_text("id chr wgt\nENSG1 7 a.RDat\n")
    (row,) = read_pos(path).to_pylist()
    assert (row["panel"], row["wgt"], row["id"], row["chr"], row["p0"]) == (
        None,
        "a.RDat",
        "ENSG1",
        "7",
        None,
    )


def test_lists_as_r_and_spreadsheets_write_them(folder: Path) -> None:
    path = folder / "a.pos"
    path.write_text('"WGT" "ID" "CHR" "P0"\n"1" "a.RDat" "G" "1" 5\n"2" "b.RDat" "H" "X" NA\n')
    named = [(row["wgt"], row["id"], row["chr"], row["p0"]) for row in read_pos(path).to_pylist()]
    assert named == [("a.RDat", "G", "1", 5), ("b.RDat", "H", "X", None)]
    path.write_bytes("\ufeffPANEL\tWGT\tID\tCHR\r\nP\ta.RDat\tG\t1\r\n".encode())
    assert read_pos(path)["panel"].to_pylist() == ["P"]


@pytest.mark.parametrize(
    ("text", "needles"),
    [
        ("ID CHR P0 P1\nG 1 1 2\n", ["no column WGT", "columns ID, CHR, P0, P1"]),
        ("WGT ID P0 P1\na G 1 2\n", ["no column CHR"]),
        ("", ["no column WGT", "an empty file"]),
        ("WGT ID CHR\n", ["lists no weights"]),
        ("WGT ID CHR\na G 1\nb H\n", ["line 3", "found 2 cells; expected 3"]),
        ("WGT ID CHR\na G 1\n2 b H 1\n", ["line 3", "found 4 cells; expected 3"]),
        ("WGT ID CHR\n1 a G 1\nb H 1\n", ["line 3", "found 3 cells; expected 4"]),
        ("PANEL WGT ID CHR\nWhole Blood a G 1\n", ["line 2", "found 5 cells; expected 4", "no blanks"]),
        ("WGT ID CHR P0\na G 1 1e300\n", ["line 2", "'P0'", "not a number", "'1e300'"]),
        ("WGT ID CHR P0\na G 1 x\n", ["line 2", "'P0'", "not a number", "'x'"]),
        ("WGT ID CHR\nNA G 1\n", ["line 2", "'WGT'", "without a value"]),
    ],
)
def test_an_unusable_list_is_told(folder: Path, text: str, needles: list[str]) -> None:
    path = folder / "a.pos"
    path.write_text(text)
    with pytest.raises(InputError) as refused:
        read_pos(path)
    for needle in [str(path), *needles]:
        assert needle in str(refused.value)


def test_a_list_that_is_absent_or_no_text_is_told(folder: Path) -> None:
    with pytest.raises(InputError, match="no such list"):
        read_pos(folder / "absent.pos")
    with pytest.raises(InputError, match=r"cannot be read: Is a directory"):
        read_pos(folder)
    (folder / "a.pos").write_bytes(b"\x1f\x8b\xff\xfe\x80")
    with pytest.raises(InputError, match="not a text file"):
        read_pos(folder / "a.pos")
