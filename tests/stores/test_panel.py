"""Panels: what makes one usable, equal, and mappable to another."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gputwas.errors import InputError
from gputwas.stores.panel import check_panel, map_panel, panel_digest
from tests.stores.examples import make_panel

VARIANTS = st.lists(
    st.tuples(
        st.sampled_from(["rs1", "rs2", "rs3", "rs11"]),
        st.sampled_from([("A", "G"), ("G", "A"), ("A", "T"), ("AT", "A"), ("A", "AT")]),
    ),
    unique_by=lambda row: (row[0], frozenset(row[1])),
    max_size=12,
)

Rows = list[tuple[str, tuple[str, str]]]


def make(rows: Rows) -> pa.Table:
    return pa.table(
        {
            "variant_id": pa.array([name for name, _ in rows], pa.string()),
            "effect_allele": pa.array([alleles[0] for _, alleles in rows], pa.string()),
            "other_allele": pa.array([alleles[1] for _, alleles in rows], pa.string()),
        }
    )


@given(VARIANTS, VARIANTS)
def test_map_equals_a_plain_search(stored: Rows, wanted: Rows) -> None:
    found = map_panel(make(stored), make(wanted))
    assert found.index.dtype == np.int32
    assert found.sign.dtype == np.int8
    index, sign = [], []
    for name, (effect, other) in wanted:
        options = [(row, 1) for row, v in enumerate(stored) if v == (name, (effect, other))]
        options += [(row, -1) for row, v in enumerate(stored) if v == (name, (other, effect))]
        row, turn = options[0] if options else (-1, 0)
        index.append(row)
        sign.append(turn)
    assert found.index.tolist() == index
    assert found.sign.tolist() == sign
    assert found.found == sum(turn != 0 for turn in sign)


@given(VARIANTS)
def test_valid_panels_pass_and_map_to_themselves(rows: Rows) -> None:
    panel = make(rows)
    check_panel(panel)
    mapped = map_panel(panel, panel)
    assert mapped.index.tolist() == list(range(len(rows)))
    assert set(mapped.sign.tolist()) <= {1}


def test_chunked_panels_map_alike() -> None:
    panel = make_panel(20)
    chunked = pa.concat_tables([panel.slice(12), panel.slice(0, 12)])
    assert map_panel(chunked, panel).index.tolist() == [*range(8, 20), *range(8)]


def test_positions_do_not_decide_identity_but_order_and_alleles_do() -> None:
    panel = make_panel(6)
    assert panel_digest(panel) == panel_digest(panel.drop_columns(["position", "chromosome"]))
    swapped = panel.rename_columns(["variant_id", "chromosome", "position", "other_allele", "effect_allele"])
    assert len({panel_digest(panel), panel_digest(swapped), panel_digest(panel.slice(1))}) == 3


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([("rs1", ("A", "G")), ("rs2", ("T", "T"))], "equal alleles.*rs2 T"),
        ([("rs1", ("A", "G")), ("rs1", ("G", "A"))], "twice.*rs1 A G"),
        ([("rs1", ("A", "G")), (None, ("G", "A"))], "variant_id.*1 variants of the panel lack a value"),
    ],
)
def test_unusable_panels(rows: Rows, message: str) -> None:
    with pytest.raises(InputError, match=message):
        check_panel(make(rows))


def test_panel_without_a_column() -> None:
    with pytest.raises(InputError, match="column 'other_allele': the panel lacks a column"):
        check_panel(make_panel().drop_columns(["other_allele"]))
