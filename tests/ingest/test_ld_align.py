"""Each variant of the models finds its row of the genotypes, by hand and against a plain loop."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gputwas.errors import InputError
from gputwas.ingest.ld_align import Fate, PlacedVariants, place_variants
from tests.ingest.made_genotypes import variants

PANEL = variants(
    [
        ("rs1", "1", 100, "A", "G"),
        ("rs2", "1", 200, "T", "C"),
        ("rs3", "1", 300, "A", "T"),  # palindromic
        ("rs4", "1", 400, "A", "C"),  # three alleles: A/C and A/G
        ("rs4", "1", 400, "A", "G"),
        ("rs5", "1", 500, "A", "C"),  # the same variant twice
        ("rs5", "1", 500, "C", "A"),
        ("rs6", "2", 100, None, "G"),  # one allele in these samples
        ("rs7", "2", 200, "AT", "A"),
        ("rs8", "2", 300, "C", "A"),  # fits rs8 as it is written; the next one on the other strand
        ("rs8", "2", 300, "T", "G"),
        (None, "2", 900, "A", "G"),
    ]
)


def placed(ids: list[tuple[str, str, str]], match: str = "id", places: bool = False) -> PlacedVariants:
    rows = [
        (name, *((name.split("_")[0], int(name.split("_")[1])) if places else (None, None)), effect, other)
        for name, effect, other in ids
    ]
    return place_variants(variants(rows), PANEL, match)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "effect", "other", "row", "sign", "fate"),
    [
        ("rs1", "A", "G", 0, 1, Fate.USED),
        ("rs1", "G", "A", 0, -1, Fate.USED),
        ("rs1", "T", "C", 0, 1, Fate.USED),  # other strand
        ("rs1", "C", "T", 0, -1, Fate.USED),
        ("rs1", "A", "T", -1, 0, Fate.OTHER_ALLELES),
        ("rs3", "A", "T", 2, 1, Fate.USED),
        ("rs3", "T", "A", 2, -1, Fate.USED),  # not taken for the other strand
        ("rs4", "G", "A", 4, -1, Fate.USED),  # the alleles tell which of the two
        ("rs4", "A", "C", 3, 1, Fate.USED),
        ("rs5", "A", "C", -1, 0, Fate.DUPLICATE),
        ("rs6", "G", "A", -1, 0, Fate.NO_VARIANCE),
        ("rs6", "C", "T", -1, 0, Fate.OTHER_ALLELES),
        ("rs7", "A", "AT", 8, -1, Fate.USED),
        ("rs7", "T", "TA", -1, 0, Fate.OTHER_ALLELES),  # indels have no complement
        ("rs8", "A", "C", 9, -1, Fate.USED),
        ("rs99", "A", "C", -1, 0, Fate.NOT_IN_PANEL),
    ],
)
def test_by_id(name: str, effect: str, other: str, row: int, sign: int, fate: Fate) -> None:
    got = placed([(name, effect, other)])
    assert (got.rows[0], got.signs[0], Fate(got.fate[0])) == (row, sign, fate)
    assert got.by == "id"
    assert bool(got.other_strand[0]) == (name == "rs1" and {effect, other} == {"T", "C"})


def test_by_position() -> None:
    ids = [("1_100_A_G", "G", "A"), ("2_900_A_G", "A", "G"), ("1_101_A_G", "A", "G"), ("3_5_A_G", "A", "G")]
    got = placed([*ids, ("1_500_A_C", "A", "C")], "position", places=True)
    assert got.rows.tolist() == [0, 11, -1, -1, -1]
    assert got.signs.tolist() == [-1, 1, 0, 0, 0]
    assert [Fate(f).name for f in got.fate] == ["USED", "USED", "NOT_IN_PANEL", "NO_CHROMOSOME", "DUPLICATE"]
    assert got.n_matched == 3


def test_auto_takes_what_finds_more() -> None:
    positions = placed([("1_100_A_G", "A", "G"), ("2_900_A_G", "A", "G")], "auto", places=True)
    assert (positions.by, positions.rows.tolist()) == ("position", [0, 11])
    names = placed([("rs1", "A", "G"), ("rs2", "T", "C")], "auto")
    assert (names.by, names.rows.tolist()) == ("id", [0, 1])


def test_no_positions_to_compare() -> None:
    with pytest.raises(InputError, match=r"tell no position.*such as 'rs1'.*--model-db-snp-key varID"):
        placed([("rs1", "A", "G")], "position")


def test_nothing_in_the_panel_and_no_models() -> None:
    models = variants([("rs1", "1", 100, "A", "G")])
    none = variants([])
    assert place_variants(models, none, "auto").fate.tolist() == [Fate.NOT_IN_PANEL]
    assert len(place_variants(none, PANEL, "id").rows) == 0


def plain(models: pa.Table, panel: pa.Table) -> list[tuple[int, int]]:
    """Row and sign of each variant, one by one."""
    complement = {"A": "T", "C": "G", "G": "C", "T": "A"}
    result = []
    for model in models.to_pylist():
        pair = (model["effect_allele"], model["other_allele"])
        fits: dict[bool, list[tuple[int, int]]] = {False: [], True: []}
        for number, row in enumerate(panel.to_pylist()):
            theirs = (row["effect_allele"], row["other_allele"])
            if row["variant_id"] != model["variant_id"] or None in theirs:
                continue
            turned = tuple(complement[a] for a in theirs)
            for strand, alleles in ((False, theirs), (True, turned)):
                if strand and turned == theirs[::-1]:
                    continue
                if alleles == pair or alleles == pair[::-1]:
                    fits[strand].append((number, 1 if alleles == pair else -1))
        best = fits[False] or fits[True]
        result.append(best[0] if len(best) == 1 else (-1, 0))
    return result


BASES = st.sampled_from("ACGT")
PAIRS = st.tuples(BASES, BASES).filter(lambda pair: pair[0] != pair[1])


@given(
    st.lists(st.tuples(st.sampled_from(["a", "b", "c"]), PAIRS), min_size=1, max_size=8),
    st.lists(st.tuples(st.sampled_from(["a", "b", "c"]), PAIRS), max_size=9),
)
def test_as_a_plain_loop(ours: list, theirs: list) -> None:
    models, panel = (variants([(name, None, None, *pair) for name, pair in rows]) for rows in (ours, theirs))
    got = place_variants(models, panel, "id")
    assert list(zip(got.rows.tolist(), got.signs.tolist(), strict=True)) == plain(models, panel)
    assert np.array_equal(got.rows >= 0, got.fate == Fate.USED)
