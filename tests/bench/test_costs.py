"""What the subjects compute from their measurements: costs by difference, ratios, core-hours."""

from __future__ import annotations

import math

import pytest

from bench import associating, correcting, growth, importing, many, models, spredixcan
from bench.__main__ import main
from bench.inputs import BIG40_ROWS, Sizes
from bench.record import Ratio
from bench.road import road
from tests.bench.canned import ABOUT, record, spent


def values(ratios: list[Ratio]) -> dict[str, float]:
    """Ratios by their first words."""
    return {ratio.what: ratio.value for ratio in ratios}


def test_a_file_costs_what_it_adds() -> None:
    found = [
        *spent("c", "gputwas", "a stub", 1.125, 1.225),
        *spent("c", "gputwas", "1 file", 1.5, 1.6),
        *spent("c", "gputwas", "5 files", 2.3, 2.4),
        *spent("c", "gzip", "-dc", 0.4, 0.4),
        *spent("c", "floor", "ISA-L inflate", 0.1, 0.1),
    ]
    costs = importing._costs("c", found, 5, 1_000_000)
    assert costs == pytest.approx(
        {"first_cpu_s": 0.5, "start_cpu_s": 1.05, "known_cpu_s": 0.2, "gzip_cpu_s": 0.4, "inflate_cpu_s": 0.1}
    )
    first, known, floor = importing._ratios("c", costs)
    assert (first.value, first.met) == (pytest.approx(1.25), True)
    assert (known.value, known.met) == (pytest.approx(0.5), True)
    assert floor.value == pytest.approx(2.0)


SIZES = Sizes(rows=1_000_000, traits=200, tissues=5)
MANY = [
    *spent("many", "gputwas", "models import", 5.0),
    *spent("many", "gputwas", "gwas import", 101.0),
    *spent("many", "gputwas", "associate", 2.0),
    *spent("many", "gputwas, one trait", "gwas import", 1.5),
    *spent("many", "gputwas, one trait", "associate", 1.005),
    *spent("many", "MetaXcan", "spredixcan, one pair", 19.0, 20.0, 22.0),
]


def test_many_traits_share_what_is_done_once() -> None:
    costs = many._costs(MANY, SIZES)
    assert costs["associate_cpu_s_per_pair"] == pytest.approx(0.002)
    assert costs["all_cpu_s_per_pair"] == pytest.approx(0.108)
    assert costs["more_import_cpu_s"] == pytest.approx(0.5)
    assert costs["more_associate_cpu_s_per_pair"] == pytest.approx(0.001)
    ratios = values(many._ratios(costs, SIZES))
    assert list(ratios.values()) == pytest.approx([10_000, 20_000, 20 / 0.108])


def test_long_files_are_reckoned_per_trait() -> None:
    sizes = Sizes(rows=BIG40_ROWS, traits=200, tissues=5)
    costs = many._costs(MANY, sizes)
    assert many.per_pair(costs, 5, traits=1_000) == pytest.approx(0.1 + 0.001 + 0.001)
    five, nineteen = (r for r in many._ratios(costs, sizes) if "computed" in r.note)
    assert (five.target, nineteen.target) == (20.0, 70.0)
    assert five.value == pytest.approx(20 / (0.1 + 1 / 3_935 + 0.001))
    assert nineteen.value > five.value


def test_a_difference_lost_in_noise_gives_no_ratio() -> None:
    noisy = [item for item in MANY if item.program != "gputwas, one trait"]
    noisy += spent("many", "gputwas, one trait", "gwas import", 1.5)
    noisy += spent("many", "gputwas, one trait", "associate", 2.5)
    ratios = many._ratios(many._costs(noisy, SIZES), SIZES)
    assert math.isnan(ratios[1].value) and ratios[1].met is None


def test_without_metaxcan_nothing_is_compared() -> None:
    alone = [item for item in MANY if item.program != "MetaXcan"]
    assert many._ratios(many._costs(alone, SIZES), SIZES) == []


def test_tissues_cost_what_they_add() -> None:
    found = [
        *spent("models", "gputwas", "1 tissue", 1.5),
        *spent("models", "gputwas", "5 tissues", 2.5),
        *spent("models", "floor", "inflate all covariances but the first", 0.2),
    ]
    costs = models._costs(found, [{"load": 4.0, "context": 1.0}, {"load": 5.0, "context": 1.0}], 5)
    assert costs["tissue_cpu_s"] == pytest.approx(0.25)
    assert list(values(models._ratios(costs)).values()) == pytest.approx([18.0, 22.0, 5.0])


@pytest.mark.parametrize(("case", "faster"), [("jti", 5.0), ("heavy", 10.0)])
def test_one_pair_against_both_peers(case: str, faster: float) -> None:
    found = [
        *spent(case, "gputwas", "spredixcan", 2.0, peak=200),
        *spent(case, "MetaXcan", "spredixcan", 20.0, peak=250),
        *spent(case, "pytwas", "spredixcan", 18.0, peak=1000),
        *spent(case, "floor", "inflate", 0.1),
    ]
    ratios = spredixcan._ratios(case, found)
    assert [ratio.value for ratio in ratios] == pytest.approx([10, 0.8, 9, 0.2, 20])
    assert [ratio.met for ratio in ratios] == [True, True if case == "jti" else None, False, True, None]
    assert ratios[0].target == faster


def test_scoring_is_compared_turn_by_turn() -> None:
    found = [
        *spent("paper, warm", "gputwas", "associate", 30.0, 60.0, 33.0, peak=3_000_000_000),
        *spent("paper, warm", "floor", "plain copy", 20.0, 40.0, 20.0),
    ]
    slower, busier, memory = associating._ratios("paper, warm", found)
    assert (busier.value, busier.met) == (pytest.approx(1.5), None)
    assert (slower.value, slower.met) == (pytest.approx(1.5), True)
    assert (memory.value, memory.met) == (pytest.approx(3.0), True)


def test_correction_is_compared_turn_by_turn() -> None:
    found = [
        *spent("warm", "gputwas", correcting.CORRECT, 3.0, 5.0, peak=1_000_000_000),
        *spent("warm", "floor", "read z once", 1.0, 1.0),
        *spent("warm", "gputwas", "and list", 6.0, 8.0, peak=1_500_000_000),
    ]
    slower, busier, listed, memory = correcting._ratios(found, "warm")
    assert (listed.value, listed.met) == (7.0, None)
    assert (busier.value, busier.met) == (4.0, None)
    assert (slower.value, slower.met) == (4.0, False)
    assert (memory.value, memory.met) == (1.5, False)


def test_growth_compares_later_with_earlier_traits() -> None:
    found = []
    for traits, seconds in ((100, 2.0), (200, 3.0), (400, 5.0), (800, 9.8)):
        found += spent("growth", "gputwas", f"{traits} traits", seconds, peak=traits * 1_000)
    linear, all_of_it, last = growth._ratios(growth._figures(found, 100))
    assert (linear.value, linear.met) == (pytest.approx(1.2), True)
    assert (all_of_it.value, last.value, last.met) == (8.0, 2.0, False)


def test_the_road_is_the_sum_of_its_parts() -> None:
    rows = 1_000_000
    figures = {f"first_cpu_s_{rows}": 0.5, f"known_cpu_s_{rows}": 0.1, f"inflate_cpu_s_{rows}": 0.08}
    records = {
        "import": record("import", parameters={"rows": [rows]}, figures=figures),
        "models": record("models", figures={"tissue_cpu_s": 2.0}),
        "associate": record("associate", figures={"paper_cpu_s_per_pair": 0.001}),
        "many": record("many", parameters={"rows": rows}, figures={"metaxcan_cpu_s_per_pair": 18.0}),
    }
    found = road(records, ABOUT)
    assert found is not None
    scale = BIG40_ROWS / rows
    hours = (38 + scale * (0.5 + 0.1 * 3_934) + 74_765 * 0.001) / 3_600
    assert found.figures["core_hours"] == pytest.approx(hours)
    measured, assumed, floor = found.ratios
    assert not any("Not in the sum" in note for note in found.notes)
    assert assumed.value == pytest.approx(20 * 74_765 / 3_600 / hours)
    assert measured.value == pytest.approx(18 * 74_765 / 3_600 / hours)
    assert floor.value == pytest.approx(hours / (0.08 * scale * 3_935 / 3_600))
    assert "in proportion from 1,000,000 rows" in found.notes[-1]


def test_the_road_takes_full_files_where_they_were_measured() -> None:
    figures = {
        f"{name}_cpu_s_{rows}": seconds
        for rows, seconds in ((1_000_000, 99.0), (BIG40_ROWS, 2.0))
        for name in ("first", "known", "inflate")
    }
    records = {
        "import": record("import", parameters={"rows": [1_000_000, BIG40_ROWS]}, figures=figures),
        "many": record("many", parameters={"rows": 1}, figures={"associate_cpu_s_per_pair": 0.0}),
    }
    found = road(records, ABOUT)
    assert found is not None and found.figures["core_hours"] == pytest.approx(2.0 * 3_935 / 3_600)
    assert "**Not in the sum**: importing the models" in found.notes[1]
    assert "MetaXcan was not measured" in found.notes[2] and "without importing models" in found.notes[-1]


@pytest.mark.parametrize("words", [["models", "--tissues", "1"], ["import", "--files", "1"]])
def test_one_is_too_few_for_a_difference(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(words)
    assert "1 is too few" in capsys.readouterr().err


def test_no_road_without_its_parts() -> None:
    assert road({"import": record("import", parameters={"rows": [1]})}, ABOUT) is None
