"""The QQ picture, its band and its thinning."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text
from scipy import stats

from gputwas.errors import InputError, UsageError
from gputwas.figures.qq import concentration_band, qq, thin_quantiles
from gputwas.figures.style import save


def uniform(count: int, seed: int = 0) -> np.ndarray:
    return -np.log10(np.random.default_rng(seed).random(count))


def words(figure: Figure) -> str:
    return " ".join(text.get_text() for text in figure.findobj(Text))


def test_band_is_that_of_order_statistics() -> None:
    expected, low, high = concentration_band(1000)
    rank = np.rint(10**-expected * 1001)
    np.testing.assert_allclose(low, -np.log10(stats.beta.ppf(0.975, rank, 1001 - rank)), rtol=1e-10)
    np.testing.assert_allclose(high, -np.log10(stats.beta.ppf(0.025, rank, 1001 - rank)), rtol=1e-10)


def test_band_holds_95_percent_of_the_smallest_p() -> None:
    _, low, high = concentration_band(200)
    smallest = -np.log10(np.random.default_rng(3).random((4000, 200)).min(axis=1))
    assert np.mean((smallest >= low[0]) & (smallest <= high[0])) == pytest.approx(0.95, abs=0.012)


def test_band_of_seven_hundred_million_tests_is_finite() -> None:
    expected, low, high = concentration_band(700_000_000)
    assert np.isfinite([expected, low, high]).all()
    assert (low <= expected + 1e-12).all() and (expected <= high + 1e-12).all()


def test_thinning_keeps_the_top_and_the_shape() -> None:
    values = uniform(300_000)
    thin = thin_quantiles(values, points=1500)
    assert 1000 < thin.num_rows <= 1500
    ordered = np.sort(values)[::-1]
    np.testing.assert_array_equal(thin["observed"].to_numpy()[:5], ordered[:5])
    rank = np.rint(10 ** -thin["expected"].to_numpy() * 300_001).astype(int)
    np.testing.assert_array_equal(thin["observed"].to_numpy(), ordered[rank - 1])


def test_thinning_knows_tests_it_has_not_seen() -> None:
    values = uniform(10_000)
    part = values[values > 1.3]
    thin = thin_quantiles(part, n_tests=10_000)
    whole = thin_quantiles(values)
    assert thin["expected"][0].as_py() == whole["expected"][0].as_py()
    with pytest.raises(UsageError, match="state all tests made"):
        thin_quantiles(values, n_tests=10)


def test_missing_values_are_left_out() -> None:
    assert thin_quantiles(np.array([np.nan, 2.0, np.nan])).num_rows == 1
    assert thin_quantiles(np.array([np.nan])).num_rows == 0


def test_lambda_and_number_are_written() -> None:
    figure = qq(thin_quantiles(uniform(5000)), n_tests=700_000_000, lambda_gc=1.0234)
    assert "1.023" in words(figure) and "7.0 × 10⁸ tests" in words(figure)
    assert "GC" not in words(qq(thin_quantiles(uniform(5000)), n_tests=5000))


def test_groups_have_their_colours_and_numbers() -> None:
    tables = [thin_quantiles(uniform(2000, i)) for i in range(2)]
    table = pa.concat_tables(
        t.append_column("group", pa.array([g] * t.num_rows))
        for t, g in zip(tables, ("T1", "dMRI"), strict=True)
    )
    figure = qq(table, n_tests={"T1": 2000, "dMRI": 2000}, lambda_gc={"T1": 1.5})
    series = [c for c in figure.axes[0].collections if c.get_gid() == "quantiles"]
    assert len(series) == 2 and sum(len(c.get_offsets()) for c in series) == table.num_rows
    assert "T1:" in words(figure) and "1.500" in words(figure)
    with pytest.raises(UsageError, match="'dMRI'"):
        qq(table, n_tests={"T1": 2000})


def test_a_high_curve_is_compressed_and_says_so() -> None:
    values = uniform(5000)
    values[:20] += 300
    figure = qq(thin_quantiles(values), n_tests=5000)
    assert "log scale above" in figure.axes[0].get_ylabel()
    (series,) = (c for c in figure.axes[0].collections if c.get_gid() == "quantiles")
    assert series.get_offsets()[:, 1].max() == values.max() < figure.axes[0].get_ylim()[1]
    assert "log scale" not in qq(thin_quantiles(uniform(5000)), n_tests=5000).axes[0].get_ylabel()


def test_legend_covers_no_point_of_a_null_study() -> None:
    figure = qq(thin_quantiles(uniform(50_000)), n_tests=50_000, lambda_gc=1.0)
    axes = figure.axes[0]
    figure.canvas.draw()
    box = axes.get_legend().get_window_extent()
    (series,) = (c for c in axes.collections if c.get_gid() == "quantiles")
    assert not box.count_contains(axes.transData.transform(series.get_offsets()))


def test_empty_one_and_determinism(tmp_path: Path) -> None:
    empty = qq(thin_quantiles(np.array([])), n_tests=0)
    assert "no tests to draw" in words(empty)
    one = qq(thin_quantiles(np.array([2.0])), n_tests=1)
    save(one, tmp_path / "one.png")
    for name in ("a", "b"):
        save(qq(thin_quantiles(uniform(3000)), n_tests=3000), tmp_path / f"{name}.svg")
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()


def test_a_missing_column_is_named() -> None:
    with pytest.raises(InputError, match="column 'observed'"):
        qq(pa.table({"expected": [1.0]}), n_tests=1)
