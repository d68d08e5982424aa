"""Names and annotation of simulated traits."""

from __future__ import annotations

import csv
import gzip
import os
from pathlib import Path

import pytest

from gputwas.simulate.nidps import ANNOTATION_COLUMNS, nidps

REPOSITORY = Path(__file__).resolve().parents[2]


def test_no_name_twice_however_many() -> None:
    traits = nidps(5000)
    assert len({trait.name for trait in traits}) == 5000
    assert [trait.group for trait in traits] == [i // 4 for i in range(5000)]


def test_a_longer_list_begins_with_the_shorter() -> None:
    assert nidps(200)[:30] == nidps(30)


def test_groups_hold_both_sides_and_two_measurements() -> None:
    group = nidps(4)
    assert {(trait.side, trait.measurement) for trait in group} == {
        (side, measurement) for side in ("left", "right") for measurement in ("area", "volume")
    }
    assert {trait.name for trait in group} >= {"aparc-Desikan_lh_area_precuneus"}


def test_vocabulary_is_that_of_the_released_annotation() -> None:
    data = Path(os.environ.get("GPUTWAS_TEST_DATA", REPOSITORY.parent / "shared" / "data"))
    file = data / "nidp" / "nidp_annotation.tsv.gz"
    if not file.is_file():
        pytest.skip(f"no annotation at {file}; set GPUTWAS_TEST_DATA to the folder that holds nidp")
    with gzip.open(file, "rt", newline="") as text:
        known = {row["gwas_phenotype"]: row for row in csv.DictReader(text, delimiter="\t")}
    for trait in nidps(1200):
        assert trait.name in known
        released = tuple(known[trait.name][column] for column in ANNOTATION_COLUMNS)
        assert trait.annotation == released, trait.name
