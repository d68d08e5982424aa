"""Times are reported only of programs that gave the same numbers."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.agree import Disagreement, compare, read_z

WANTED = {"g1": 1.0, "g2": -40.0}


def test_largest_difference() -> None:
    assert compare("x", {"g1": 1.0, "g2": -40.000004}, WANTED, 5e-6) == pytest.approx(4e-6, rel=1e-3)


@pytest.mark.parametrize(
    ("got", "complaint"),
    [
        ({"g1": 1.0}, "1 genes missing"),
        ({**WANTED, "g3": 0.0}, "1 superfluous"),
        ({"g1": 1.00001, "g2": -40.0}, "z of g1 is"),
        ({"g1": 1.0, "g2": 40.0}, "z of g2 is"),
    ],
)
def test_difference_is_loud(got: dict[str, float], complaint: str) -> None:
    with pytest.raises(Disagreement, match=complaint):
        compare("x", got, WANTED, 5e-6)


def test_relative_bound_is_per_gene() -> None:
    within = {"g1": 1.0, "g2": -40.0003}
    assert compare("x", within, WANTED, 5e-6, relative=1e-5) > 1e-4
    with pytest.raises(Disagreement, match="z of g1"):
        compare("x", {"g1": 1.0003, "g2": -40.0}, WANTED, 5e-6, relative=1e-5)


def test_nothing_to_compare_is_loud() -> None:
    with pytest.raises(Disagreement, match="nothing was compared"):
        compare("x", {}, {}, 5e-6)


def test_missing_values_are_left_out(tmp_path: Path) -> None:
    table = tmp_path / "x.csv"
    table.write_text("gene,zscore\ng1,1.5\ng2,NA\ng3,nan\ng4,-2\n")
    assert read_z(table) == {"g1": 1.5, "g4": -2.0}
