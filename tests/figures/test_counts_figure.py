"""Bars per tissue and modality: numbers, order, colours, room for the words."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.text import Text

from gputwas.errors import InputError, UsageError
from gputwas.figures.counts import counts_by_modality, counts_by_tissue, tally
from gputwas.figures.style import BRAIN_COLOUR, MODALITY_COLOURS, OTHER_TISSUE_COLOUR, save

Factory = Callable[..., pa.Table]


def chart(figure: Figure, name: str) -> Axes:
    (axes,) = (axes for axes in figure.axes if axes.get_gid() == name)
    return axes


def lengths(axes: Axes) -> list[float]:
    return [patch.get_width() for patch in axes.patches]


def test_tally_counts(significant: Factory) -> None:
    table = significant(2000)
    counted = tally(table, "tissue").to_pylist()
    tissues = table["tissue"].to_pylist()
    assert {row["tissue"]: row["associations"] for row in counted} == dict(Counter(tissues))
    first = counted[0]
    rows = [i for i, tissue in enumerate(tissues) if tissue == first["tissue"]]
    assert first["genes"] == len({table["gene"][i].as_py() for i in rows})
    assert first["traits"] == len({table["trait"][i].as_py() for i in rows})
    assert [row["associations"] for row in counted] == sorted(
        (row["associations"] for row in counted), reverse=True
    )


def test_null_is_other() -> None:
    table = pa.table({"modality": pa.array(["T1", None, None], pa.string()), "gene": ["a", "b", "b"]})
    assert tally(table, "modality").to_pylist() == [
        {"modality": "other", "associations": 2, "genes": 1},
        {"modality": "T1", "associations": 1, "genes": 1},
    ]


def test_bars_are_the_counts_and_brain_is_marked(significant: Factory) -> None:
    table = significant(3000)
    counted = tally(table, "tissue").to_pylist()
    figure = counts_by_tissue(table)
    for name in ("associations", "genes", "traits"):
        assert lengths(chart(figure, name)) == [row[name] for row in counted]
    colours = [to_hex(p.get_facecolor()).upper() for p in chart(figure, "associations").patches]
    wanted = [BRAIN_COLOUR if r["tissue"].startswith("Brain") else OTHER_TISSUE_COLOUR for r in counted]
    assert colours == wanted and len(set(colours)) == 2
    assert chart(figure, "associations").get_yticklabels()[0].get_text() == "Amygdala"


def test_grouping_puts_brain_first(significant: Factory) -> None:
    figure = counts_by_tissue(significant(3000, seed=9), group_brain=True)
    colours = [to_hex(p.get_facecolor()) for p in chart(figure, "associations").patches]
    assert len(list(itertools.groupby(colours))) == 2


def test_modalities_have_their_colours(significant: Factory) -> None:
    table = significant(3000)
    figure = counts_by_modality(table)
    names = [row["modality"] for row in tally(table, "modality").to_pylist()]
    colours = [to_hex(p.get_facecolor()).upper() for p in chart(figure, "associations").patches]
    assert colours == [MODALITY_COLOURS[name] for name in names]


def test_shares_of_tests(significant: Factory) -> None:
    table = significant(1000)
    counted = tally(table, "modality").to_pylist()
    tests = {row["modality"]: 10_000 for row in counted}
    figure = counts_by_modality(table, tests=tests)
    np.testing.assert_allclose(lengths(chart(figure, "share")), [r["associations"] / 10_000 for r in counted])
    del tests["T1"]
    with pytest.raises(UsageError, match="'T1'"):
        counts_by_modality(table, tests=tests)


def test_a_tally_can_be_drawn_and_silent_tissues_listed(significant: Factory) -> None:
    counted = tally(significant(300), "tissue").slice(0, 2)
    figure = counts_by_tissue(counted, all_tissues=["Liver", "Kidney_Cortex"])
    assert lengths(chart(figure, "associations"))[-1] == 0
    assert len(chart(figure, "associations").patches) == len(
        set(counted["tissue"].to_pylist()) | {"Liver", "Kidney_Cortex"}
    )


@pytest.mark.parametrize("factor", [1, 100_000])
def test_words_do_not_collide_or_leave_the_page(significant: Factory, factor: int) -> None:
    counted = tally(significant(3000), "tissue")
    for name in ("associations", "genes", "traits"):
        column = pa.array(counted[name].to_numpy() * factor)
        counted = counted.set_column(counted.column_names.index(name), name, column)
    tests = {row["tissue"]: row["associations"] * 977 for row in counted.to_pylist()}
    figure = counts_by_tissue(counted, title="Significant associations", tests=tests)
    figure.canvas.draw()
    found = [t for t in figure.findobj(Text) if t.get_text() and t.get_visible()]
    boxes = [t.get_window_extent() for t in found]
    for (a, first), (b, second) in itertools.combinations(zip(found, boxes, strict=True), 2):
        wide = min(first.x1, second.x1) - max(first.x0, second.x0)
        high = min(first.y1, second.y1) - max(first.y0, second.y0)
        assert wide < 0.5 or high < 0.5, (a, b)
    assert all(figure.bbox.x0 <= b.x0 and b.x1 <= figure.bbox.x1 and b.y1 <= figure.bbox.y1 for b in boxes)
    for axes in figure.axes:  # the values stay clear of the next chart
        others = [other.get_window_extent() for other in figure.axes if other is not axes]
        values = [t.get_window_extent() for t in axes.texts if t.get_gid() == "value"]
        assert not any(other.x0 < value.x1 < other.x1 for other in others for value in values)


def test_empty_one_and_determinism(significant: Factory, tmp_path: Path) -> None:
    empty = significant(3).slice(0, 0)
    for draw in (counts_by_tissue, counts_by_modality):
        assert draw(empty).texts[0].get_text() == "no significant associations"
        assert lengths(chart(draw(significant(1)), "associations")) == [1]
    for name in ("a", "b"):
        save(counts_by_modality(significant(500)), tmp_path / f"{name}.png")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_a_missing_column_is_named() -> None:
    with pytest.raises(InputError, match="column 'tissue'"):
        counts_by_tissue(pa.table({"gene": ["a"]}))
