"""Cells to numbers: missing codes, tiny p-values, signs, chromosomes, positions."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gputwas.errors import InputError
from gputwas.formats.sumstats import layout, values
from gputwas.formats.sumstats.dialects import DIALECTS
from gputwas.formats.sumstats.synonyms import SYNONYMS

CELLS = values.Cells("file.txt", "COLUMN", lambda row: row + 2)


def text(*cells: str | None) -> pa.Array:
    return pa.array(cells, pa.string())


def test_numbers_as_people_write_them():
    found = values.to_float(text("1", "-.5", "+2", "1E5", "3e-2", "1D-3", " 7 ", "0,05", "-1,5e2"), CELLS)
    assert found.to_pylist() == [1, -0.5, 2, 1e5, 0.03, 0.001, 7, 0.05, -150]


@pytest.mark.parametrize(
    "code", ["", "NA", "N/A", ".", "\\N", "nan", "NaN", "NULL", "null", "#NA", "-", "none", " NA "]
)
def test_missing_codes(code):
    assert values.to_float(text("1", code), CELLS).to_pylist() == [1, None]
    assert values.without_missing(text("rs1", code)).to_pylist() == ["rs1", None]


@pytest.mark.parametrize("code", ["inf", "-inf", "1e999"])
def test_infinities_are_missing(code):
    assert values.to_float(text(code), CELLS).to_pylist() == [None]


@pytest.mark.parametrize("cell", ["abc", "1.2.3", "0x10", "1,234,5", "1 2", "--1", "rs1"])
def test_what_is_no_number_is_refused_with_its_place(cell):
    with pytest.raises(InputError) as caught:
        values.to_float(text("1", "NA", cell, "worse"), CELLS)
    assert (caught.value.line, caught.value.column, caught.value.path) == (4, "COLUMN", "file.txt")
    assert repr(cell) in str(caught.value)


def test_columns_no_result_depends_on_are_read_leniently():
    assert values.to_float(text("5", "many"), CELLS, lenient=True).to_pylist() == [5, None]


def test_thousands_in_sample_sizes():
    assert values.to_float(text("33,992", "1,262,333", "500"), CELLS, thousands=True).to_pylist() == [
        33992,
        1262333,
        500,
    ]


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1))
def test_every_double_survives_its_shortest_text(numbers):
    assert values.to_float(text(*map(repr, numbers)), CELLS).to_pylist() == numbers


def test_nlog10_of_p_below_the_range_of_doubles():
    cells = text("0.01", "1", "5e-324", "3.2e-412", "1.0E-5000", "0", "0.0", "2e-310", None)
    found = values.nlog10_of(values.to_float(cells, CELLS), cells).to_pylist()
    expected = [2, 0, 324 - np.log10(5), 412 - np.log10(3.2), 5000, None, None, 310 - np.log10(2), None]
    assert found == [None if e is None else pytest.approx(e, rel=1e-14) for e in expected]


def test_signs():
    cells = text("+", "-", "positive", "Negative", "1", "-2.5", "0", "NA", None)
    assert values.signs(cells, CELLS).to_pylist() == [1, -1, 1, -1, 1, -1, 0, None, None]
    with pytest.raises(InputError, match="line 3"):
        values.signs(text("+", "?up?"), CELLS)


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("1", "1"),
        ("01", "1"),
        ("22", "22"),
        ("0X", "X"),
        ("chrX", "X"),
        ("chr07", "7"),
        ("23", "X"),
        ("24", "Y"),
        ("25", "X"),
        ("26", "MT"),
        ("M", "MT"),
        ("chrM", "MT"),
        ("XY", "X"),
        ("y", "Y"),
        ("Chr1", "1"),
        ("1.0", "1"),
        ("10", "10"),
        ("20", "20"),
        ("NA", None),
        ("", None),
        (None, None),
        ("GL000192.1", "GL000192.1"),
    ],
)
def test_chromosomes(written, name):
    assert values.chromosomes(text(written)).to_pylist() == [name]


def test_chromosomes_of_numbers():
    assert values.chromosomes(pa.array([1, 23, None])).to_pylist() == ["1", "X", None]


def test_positions():
    assert values.positions(text("100", "2"), CELLS).to_pylist() == [100, 2]
    found = values.positions(text("1e+06", "100.0", "1,000,000", "NA", "12.5", "x"), CELLS)
    assert found.to_pylist() == [1_000_000, 100, 1_000_000, None, None, None]
    assert values.positions(pa.array([5.0, None]), CELLS).to_pylist() == [5, None]


def test_the_table_names_known_roles_only_and_each_dialect_once():
    for dialect in DIALECTS:
        assert set(dialect.columns) <= set(layout.ROLES), dialect.name
    assert set(SYNONYMS) <= set(layout.ROLES)
    assert len({dialect.name for dialect in DIALECTS}) == len(DIALECTS)


def test_a_synonym_stands_for_one_role_only():
    homes: dict[str, set[str]] = {}
    for role, groups in SYNONYMS.items():
        for name in (name for group in groups for name in group):
            homes.setdefault(name, set()).add(role)
    assert {name: roles for name, roles in homes.items() if len(roles) > 1} == {}
