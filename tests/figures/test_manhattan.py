"""Structure of the Manhattan picture: what is drawn, where, and that its names can be read."""

from __future__ import annotations

import io
import itertools
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.text import Text
from matplotlib.transforms import Bbox

from gputwas.errors import InputError
from gputwas.figures.genome import chromosome_codes
from gputwas.figures.labels import pick_leads, place_labels
from gputwas.figures.manhattan import manhattan
from gputwas.figures.placed import place_associations
from gputwas.figures.scale import linear_log
from gputwas.figures.style import MODALITY_COLOURS, save

Factory = Callable[..., pa.Table]


def points(figure: Figure) -> np.ndarray:
    return np.concatenate(
        [np.asarray(c.get_offsets()) for c in figure.axes[0].collections if c.get_gid() == "associations"]
    )


def pixels(axes: Axes, where: np.ndarray) -> list[tuple[int, int]]:
    return [(int(x), int(y)) for x, y in np.rint(axes.transData.transform(where))]


def texts(figure: Figure, gid: str) -> list[Text]:
    return [text for text in figure.findobj(Text) if text.get_gid() == gid]


def boxes(found: list[Text]) -> list[Bbox]:
    return [text.get_window_extent() for text in found]


def overlap(boxes: list[Bbox]) -> list[tuple[int, int]]:
    return [
        (i, j)
        for (i, a), (j, b) in itertools.combinations(enumerate(boxes), 2)
        if min(a.x1, b.x1) - max(a.x0, b.x0) > 0.5 and min(a.y1, b.y1) - max(a.y0, b.y0) > 0.5
    ]


def test_every_association_is_a_point(significant: Factory) -> None:
    table = significant(3000)
    figure = manhattan(table)
    drawn = points(figure)
    assert len(drawn) == 3000
    np.testing.assert_allclose(np.sort(drawn[:, 1]), np.sort(table["nlog10_p"].to_numpy()))


def test_chromosomes_lie_in_order_side_by_side(significant: Factory) -> None:
    table = significant(2000, genes=300)
    placed, axis, _ = place_associations(table, signed=False)
    assert len(np.unique(placed.code)) > 15
    assert (axis.starts[placed.code] <= placed.x).all() and (placed.x <= axis.ends[placed.code]).all()
    assert (axis.starts[1:] > axis.ends[:-1]).all()
    np.testing.assert_array_equal(np.sort(points(manhattan(table, labels=0))[:, 0]), np.sort(placed.x))


def test_colours_follow_the_modality_whatever_else_is_drawn(significant: Factory) -> None:
    table = significant(500)
    one = table.filter(pa.array(np.asarray(table["modality"]) == "dMRI"))
    figure = manhattan(one)
    found = {to_hex(c).upper() for c in figure.axes[0].collections[-1].get_facecolor()}
    assert found == {MODALITY_COLOURS["dMRI"]}
    figure = manhattan(table)
    drawn = np.array([to_hex(c).upper() for c in figure.axes[0].collections[-1].get_facecolor()])
    for name, count in zip(*np.unique(np.asarray(table["modality"]), return_counts=True), strict=True):
        assert (drawn == MODALITY_COLOURS[name]).sum() == count


def test_unknown_modalities_share_one_line_of_the_legend(significant: Factory) -> None:
    names = ["protein", "metabolite", None, "T2 FLAIR", "T2_FLAIR"]
    table = significant(100).set_column(11, "modality", pa.array(names * 20))
    labels = [t.get_text() for legend in manhattan(table).findobj(Legend) for t in legend.get_texts()]
    assert labels == ["T2 FLAIR (40)", "other (60)"]
    own = manhattan(table, colours={"protein": "#AA0000"})
    labels = [t.get_text() for legend in own.findobj(Legend) for t in legend.get_texts()]
    assert labels == ["T2 FLAIR (40)", "other (40)", "protein (20)"]


def test_dictionary_columns_in_chunks_are_drawn_alike(significant: Factory, tmp_path: Path) -> None:
    table = significant(300)
    table = table.set_column(4, "chromosome", pa.array([None, *table["chromosome"].to_pylist()[1:]]))
    coded = pa.table({
        name: table[name].dictionary_encode() if pa.types.is_string(table[name].type) else table[name]
        for name in table.column_names
    })  # fmt: skip
    save(manhattan(table), tmp_path / "plain.png")
    save(manhattan(pa.concat_tables([coded.slice(0, 100), coded.slice(100)])), tmp_path / "coded.png")
    assert (tmp_path / "plain.png").read_bytes() == (tmp_path / "coded.png").read_bytes()


@pytest.mark.parametrize("options", [{}, {"signed": True}, {"direction_markers": True, "labels": 40}])
@pytest.mark.parametrize("seed", [1, 2])
def test_names_do_not_collide(significant: Factory, seed: int, options: dict) -> None:
    figure = manhattan(significant(4000, seed=seed), lines={"FDR 5 %": 3.9, "Bonferroni": 4.1}, **options)
    names = texts(figure, "gene-label")
    assert len(names) >= 15
    everything = names + [t for axes in figure.axes for t in axes.texts if t.get_gid() != "gene-label"]
    everything += [label for label in figure.axes[0].get_xticklabels() if label.get_text()]
    everything += [label for label in figure.axes[0].get_yticklabels() if label.get_text()]
    everything += [text for legend in figure.findobj(Legend) for text in legend.get_texts()]
    figure.canvas.draw()
    assert overlap(boxes(everything)) == []
    page = figure.bbox
    for text, box in zip(everything, boxes(everything), strict=True):
        assert page.x0 <= box.x0 and box.x1 <= page.x1 and page.y0 <= box.y0 and box.y1 <= page.y1, text


def test_the_best_gene_of_each_locus_is_named(significant: Factory) -> None:
    table = pa.table({
        "chromosome": ["1", "1", "1", "2"], "start": [10_000_000, 10_400_000, 50_000_000, 7_000_000],
        "nlog10_p": [20.0, 25.0, 9.0, 12.0], "gene": ["E1", "E2", "E3", "E4"],
        "gene_name": ["AAA", "BBB", None, "DDD"],
    })  # fmt: skip
    assert {t.get_text() for t in texts(manhattan(table), "gene-label")} == {"BBB", "E3", "DDD"}
    assert {t.get_text() for t in texts(manhattan(table, labels=2), "gene-label")} == {"BBB", "DDD"}
    assert texts(manhattan(table, labels=0), "gene-label") == []


def test_genes_without_a_place_are_counted(significant: Factory) -> None:
    table = significant(100)
    chromosome = table["chromosome"].to_pylist()
    chromosome[0], chromosome[1], chromosome[2] = None, "Y", "HG1_PATCH"
    start = [None if i == 3 else v for i, v in enumerate(table["start"].to_pylist())]
    height = [float("nan") if i == 4 else v for i, v in enumerate(table["nlog10_p"].to_pylist())]
    for name, values in (("chromosome", chromosome), ("start", start), ("nlog10_p", height)):
        table = table.set_column(table.column_names.index(name), name, pa.array(values))
    figure = manhattan(table)
    genes = len(set(table["gene"].to_pylist()[:4]))
    assert len(points(figure)) == 95
    (note,) = texts(figure, "footnote")
    assert f"4 associations of {genes} gene" in note.get_text()
    assert "1 association without a finite value" in note.get_text()
    assert texts(manhattan(significant(100)), "footnote") == []


def test_a_table_without_any_position(significant: Factory) -> None:
    table = significant(10)
    table = table.set_column(4, "chromosome", pa.nulls(10, pa.string()))
    (message,) = texts(manhattan(table), "message")
    assert "no association can be placed" in message.get_text() and "10 associations" in message.get_text()


def test_empty_and_one(significant: Factory, tmp_path: Path) -> None:
    empty = manhattan(significant(5).slice(0, 0))
    assert [t.get_text() for t in texts(empty, "message")] == ["no significant associations"]
    one = manhattan(significant(1), lines={"FDR": 4.0}, signed=True, direction_markers=True)
    assert len(points(one)) == 1
    save(empty, tmp_path / "empty.png")
    save(one, tmp_path / "one.svg")


def test_a_table_without_annotation_has_chromosomes_in_two_tones(significant: Factory) -> None:
    table = significant(500).select(["chromosome", "start", "nlog10_p"])
    figure = manhattan(table)
    assert len({to_hex(c) for c in figure.axes[0].collections[-1].get_facecolor()}) == 2
    assert texts(figure, "gene-label") == []
    assert len(points(figure)) == 500


@pytest.mark.parametrize("column", ["chromosome", "start", "nlog10_p", "z"])
def test_a_missing_column_is_named(significant: Factory, column: str) -> None:
    with pytest.raises(InputError, match=f"column '{column}'"):
        manhattan(significant(10).drop_columns([column]), signed=True)


def test_signed_points_mirror(significant: Factory) -> None:
    table = significant(400)
    drawn = points(manhattan(table, signed=True))
    signed = np.sign(table["z"].to_numpy()) * table["nlog10_p"].to_numpy()
    np.testing.assert_allclose(np.sort(drawn[:, 1]), np.sort(signed))


def test_triangles_show_the_direction(significant: Factory) -> None:
    table = significant(400)
    figure = manhattan(table, direction_markers=True)
    up, down = (c for c in figure.axes[0].collections if c.get_gid() == "associations")
    assert len(up.get_offsets()) == (table["z"].to_numpy() > 0).sum()
    assert len(down.get_offsets()) == (table["z"].to_numpy() < 0).sum()
    assert up.get_paths()[0].vertices[:, 1].argmax() != down.get_paths()[0].vertices[:, 1].argmax()


@pytest.mark.parametrize("option", ["signed", "direction_markers"])
def test_an_unknown_direction_is_not_drawn_as_positive(significant: Factory, option: str) -> None:
    table = significant(50)
    z = [None, float("nan"), *table["z"].to_pylist()[2:]]
    table = table.set_column(table.column_names.index("z"), "z", pa.array(z))
    figure = manhattan(table, **{option: True})
    assert len(points(figure)) == 48
    assert "2 associations without a finite value" in texts(figure, "footnote")[0].get_text()
    assert len(points(manhattan(table))) == 50


def test_a_long_axis_is_compressed_and_says_so(significant: Factory) -> None:
    table = significant(2000, hot=0)
    height = table["nlog10_p"].to_numpy().copy()
    height[:3] = [310.0, 700.0, 4000.0]
    table = table.set_column(table.column_names.index("nlog10_p"), "nlog10_p", pa.array(height))
    figure = manhattan(table)
    axes = figure.axes[0]
    assert "log scale above" in axes.get_ylabel()
    assert points(figure)[:, 1].max() == 4000.0  # nothing is cut off
    assert axes.get_ylim()[1] > 4000
    middle = axes.transAxes.inverted().transform(axes.transData.transform((0, np.median(height))))[1]
    assert middle > 0.05  # the bulk keeps its room
    assert "log scale" not in manhattan(table, cap=None).axes[0].get_ylabel()
    assert "log scale above 12" in manhattan(table, cap=12).axes[0].get_ylabel()


@given(st.lists(st.floats(0.01, 1e5), min_size=1, max_size=30), st.sampled_from(["auto", None, 3.0, 40.0]))
def test_the_axis_is_monotone_and_reversible(values: list[float], cap: float | str | None) -> None:
    scale = linear_log(np.array(values), cap)
    x = np.sort(np.concatenate([values, -np.array(values), [0.0]]))
    height = scale.forward(x)
    assert (np.diff(height) >= 0).all()
    np.testing.assert_allclose(scale.inverse(height), x, rtol=1e-9, atol=1e-9)
    ticks = scale.ticks(max(values))
    assert ticks == sorted(ticks) and ticks[0] == 0 and ticks[-1] <= max(values) * (1 + 1e-9)
    assert 2 <= len(ticks) + (max(values) < 1) <= 20


def test_fifty_thousand_points_are_quick_and_small(significant: Factory, tmp_path: Path) -> None:
    table = significant(50_000)
    begin = time.perf_counter()
    figure = manhattan(table)
    save(figure, tmp_path / "many.svg")
    assert time.perf_counter() - begin < 10
    assert (tmp_path / "many.svg").stat().st_size < 1_500_000
    assert (tmp_path / "many.svg").read_text().count("<image") == 1
    # What is left out is hidden: every association has a drawn one of its colour on its own pixel.
    axes = figure.axes[0]
    (series,) = (c for c in axes.collections if c.get_gid() == "associations")
    drawn = list(zip(pixels(axes, points(figure)), map(to_hex, series.get_facecolor()), strict=True))
    assert 1000 < len(drawn) == len(set(drawn)) < 50_000
    placed, _, _ = place_associations(table, signed=False)
    colours = [MODALITY_COLOURS[placed.modalities[code]].lower() for code in placed.modality]
    everything = pixels(axes, np.column_stack([placed.x, placed.y]))
    assert set(zip(everything, colours, strict=True)) == set(drawn)


@pytest.mark.parametrize("ending", ["png", "svg"])
def test_the_same_bytes_twice(significant: Factory, tmp_path: Path, ending: str) -> None:
    for name in ("one", "two"):
        save(manhattan(significant(200), title="T", signed=True), tmp_path / f"{name}.{ending}")
    assert (tmp_path / f"one.{ending}").read_bytes() == (tmp_path / f"two.{ending}").read_bytes()


def test_names_with_dollars_are_no_mathematics(significant: Factory) -> None:
    table = significant(20)
    odd = [r"$\frac{$", "$a_b$", "A$"]
    names = [odd[i % 3] for i in range(20)]
    table = table.set_column(3, "gene_name", pa.array(names)).set_column(11, "modality", pa.array(names))
    figure = manhattan(table, title="$x^$", lines={"$p$ <": 4.0})
    figure.savefig(io.BytesIO())
    assert {t.get_text().replace("\\$", "$") for t in texts(figure, "gene-label")} <= set(odd)


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 30), st.integers(0, 2**32 - 1))
def test_the_solver_never_lets_labels_overlap(count: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    anchors = rng.uniform((0, 0), (1500, 600), (count, 2)) * rng.choice([0.1, 1.0])
    sizes = np.column_stack([rng.uniform(20, 200, count), np.full(count, 25.0)])
    cloud = rng.uniform((0, 0), (1500, 600), (300, 2))
    placed = place_labels(
        anchors, sizes, np.concatenate([cloud, anchors]), (0, 0, 1500, 700), radius=5, padding=3
    )
    found = [Bbox.from_extents(*box) for box in placed.boxes if not np.isnan(box[0])]
    assert found and overlap(found) == []
    assert all(b.x0 >= 0 and b.x1 <= 1500 and b.y0 >= 0 and b.y1 <= 700 for b in found)
    assert not any(box.count_contains(anchors) for box in found)
    widths = placed.boxes[:, 2] - placed.boxes[:, 0]
    kept = ~np.isnan(widths)
    np.testing.assert_allclose(widths[kept], sizes[kept, 0])


def test_a_label_is_nearest_to_its_own_point_or_joined_to_it() -> None:
    """Two points side by side: the name of the first must not hang over the second."""
    anchors = np.array([[500.0, 300.0], [540.0, 298.0], [570.0, 297.0], [900.0, 300.0]])
    sizes = np.tile([110.0, 25.0], (4, 1))
    placed = place_labels(anchors, sizes, anchors, (0, 0, 1500, 600), radius=5, padding=3)
    assert not np.isnan(placed.boxes).any()
    for own, (box, joined) in enumerate(zip(placed.boxes, placed.leaders, strict=True)):
        nearest = np.clip(anchors, box[:2], box[2:]) - anchors
        assert joined or np.hypot(*nearest.T).argmin() == own
    assert not placed.leaders[3]


def test_leads_are_apart() -> None:
    codes = np.array([0, 0, 0, 1, -1])
    position = np.array([1e6, 1.5e6, 3e6, 1e6, 5e6])
    height = np.array([5.0, 9.0, 4.0, 7.0, 99.0])
    names = np.array(["a", "b", "c", "d", "e"], dtype=object)
    assert pick_leads(codes, position, height, names, window=1e6, most=9).tolist() == [1, 3, 2]
    names[1] = ""
    assert pick_leads(codes, position, height, names, window=1e6, most=9).tolist() == [3, 0, 2]
    assert pick_leads(codes, position, height, names, window=1e6, most=0).tolist() == []


def test_chromosome_spellings() -> None:
    names = pa.chunked_array([["1", "chr1", "01"], ["X", "23", "chrX", "Y", "MT", None, "", "0X"]])
    assert chromosome_codes(names).tolist() == [0, 0, 0, 22, 22, 22, -1, -1, -1, -1, 22]
    assert chromosome_codes(pa.array([], pa.string())).tolist() == []
