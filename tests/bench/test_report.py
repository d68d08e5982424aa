"""Medians, sums and verdicts on the pages are those of the measurements; pages come from the JSON alone."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest

from bench.__main__ import main
from bench.measure import Usage
from bench.pages import BEGIN, END, with_table
from bench.record import Measurement, Ratio, median, read_records, write_record
from bench.report import number, overview, page, table
from tests.bench.canned import record

MIB = 2**20
MEASURED = [
    *(
        Measurement("one", "slow", "run", k, Usage(wall, wall, 1.0, 10 * MIB))
        for k, wall in enumerate([10.0, 30.0, 12.0])
    ),
    *(Measurement("one", "fast", "import", k, Usage(1.0, 1.0, 0.0, 3 * MIB)) for k in range(3)),
    *(Measurement("one", "fast", "score", k, Usage(2.0, 0.5, 0.5, 7 * MIB)) for k in range(3)),
]


def cells(text: str, *beginning: str) -> list[str]:
    """Cells of the one line that begins with the given ones."""
    (line,) = [line for line in text.splitlines() if line.startswith("| " + " | ".join(beginning) + " |")]
    return [cell.strip() for cell in line.strip("|").split("|")][len(beginning) :]


def test_medians_of_each_step() -> None:
    assert cells(table(MEASURED), "slow", "run") == ["3", "12.00 (10.00 .. 30.00)", "13.00", "10"]
    assert cells(table(MEASURED), "fast", "score") == ["3", "2.00 (2.00 .. 2.00)", "1.00", "7"]
    assert "sum" not in table(MEASURED)


def test_steps_are_summed_and_memory_is_the_largest() -> None:
    text = table(MEASURED, sums=True)
    assert cells(text, "fast", "**sum**") == ["3", "3.00 (3.00 .. 3.00)", "2.00", "7"]
    assert median(MEASURED, "wall_s", case="one", program="fast") == 3.0
    assert median(MEASURED, "cpu_s", case="one", program="slow", step="run") == 13.0


def test_nothing_measured_is_loud() -> None:
    with pytest.raises(KeyError, match="nothing was measured of fast at all in two"):
        median(MEASURED, "wall_s", case="two", program="fast")


@pytest.mark.parametrize(
    ("ratio", "met"),
    [
        (Ratio("x", 5.0, 5.0), True),
        (Ratio("x", 4.9, 5.0), False),
        (Ratio("x", 2.0, 2.0, at_least=False), True),
        (Ratio("x", 2.1, 2.0, at_least=False), False),
        (Ratio("x", 2.1), None),
        (Ratio("x", math.nan, 2.0), None),
    ],
)
def test_verdicts(ratio: Ratio, met: bool | None) -> None:
    assert ratio.met is met


def test_numbers_have_three_digits() -> None:
    assert [number(value) for value in (0.12345, 12.345, 123456.7, math.nan)] == [
        "0.123", "12.3", "123,457", "–",
    ]  # fmt: skip


def test_json_comes_back_as_it_was(tmp_path: Path) -> None:
    kept = record(
        "x", measurements=MEASURED, ratios=[Ratio("fast", 6.5, 5.0)], notes=["A note."], figures={"a": 1.5}
    )
    write_record(tmp_path / "x.json", kept)
    assert read_records(tmp_path) == {"x": kept}


def test_a_ratio_without_value_comes_back(tmp_path: Path) -> None:
    write_record(tmp_path / "x.json", record("x", ratios=[Ratio("fast", math.nan, 5.0)]))
    assert "NaN" not in (tmp_path / "x.json").read_text()
    (ratio,) = read_records(tmp_path)["x"].ratios
    assert math.isnan(ratio.value) and ratio.target == 5.0


def test_page_says_what_was_asked_and_kept() -> None:
    ratios = [
        Ratio("faster", 6.5, 5.0),
        Ratio("memory", 2.0, 1.0, at_least=False, note="of each"),
        Ratio("z", 1),
    ]
    text = page(record("x", ratios=ratios, measurements=MEASURED, notes=["A note."]))
    assert text.startswith("# About x\n")
    assert cells(text, "faster") == ["6.5", "≥ 5", "yes"]
    assert cells(text, "memory (of each)") == ["2", "≤ 1", "**no**"]
    assert cells(text, "z") == ["1", "", ""]
    assert "A note." in text and "## one" in text and "Other work ran" not in text


def test_small_sizes_are_not_judged() -> None:
    quick = record("x", quick=True, ratios=[Ratio("faster", 1.0, 5.0)])
    assert cells(page(quick), "faster") == ["1", "≥ 5", ""]
    assert "mean nothing" in page(quick) and "(small sizes)" in overview({"x": quick})


def test_a_busy_machine_is_mentioned() -> None:
    calm = record("x")
    about = {**calm.about, "machine": {**calm.about["machine"], "load_before": 3.0}}
    assert "Other work ran" in page(replace(calm, about=about))


def test_pages_are_written_anew_from_json(tmp_path: Path) -> None:
    write_record(tmp_path / "x.json", record("x", ratios=[Ratio("faster", 6.5, 5.0)], measurements=MEASURED))
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n{BEGIN}old\n{END}after\n")
    assert main(["page", "--results", str(tmp_path), "--readme", str(readme)]) == 0
    text = readme.read_text()
    assert text.startswith("before\n") and text.endswith("after\n") and "old" not in text
    assert cells(text, "[x](results/x.md)", "faster") == ["6.5", "≥ 5", "yes"]
    assert (tmp_path / "x.md").read_text().startswith("# About x")


def test_a_page_without_marks_is_refused() -> None:
    with pytest.raises(ValueError, match="lacks the marks"):
        with_table("nothing here", "table")
