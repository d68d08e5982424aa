"""Stores made without foreign files are sound, of the sizes asked for, and the program scores them."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from bench import associating, growth, shapes
from bench.__main__ import main
from bench.peers import Programs
from bench.session import Session
from bench.stores import CASES, make_association_store, make_gwas_store, make_model_store
from gputwas.analyses.fdr import adjust
from gputwas.stores.associations import AssociationStore
from gputwas.stores.gwas import GwasStore
from gputwas.stores.models import ModelSet, check_model_set
from gputwas.twas.associate import associate
from tests.model_sets import plain_spredixcan


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ModelSet]:
    path = tmp_path_factory.mktemp("stores") / "models"
    return path, make_model_store(path, 3, 200, 2_000, 5_000, seed=2)


def test_models_have_the_sizes_and_shape_asked_for(models: tuple[Path, ModelSet]) -> None:
    _, made = models
    check_model_set(made)
    assert made.n_models == 600 and made.offsets[-1] == 6_000 and made.panel.num_rows == 5_000
    counts = np.diff(made.offsets)
    assert counts.min() >= 1 and counts.max() <= shapes.MOST_SNPS
    for tissue in made.tissues:
        assert 0.8 * 2_000 <= np.diff(made.offsets)[made.tissue_slice(tissue)].sum() <= 1.2 * 2_000
    for model in range(made.n_models):
        snps = made.variants[made.offsets[model] : made.offsets[model + 1]]
        assert np.unique(snps).size == snps.size and np.ptp(snps) < shapes.WINDOW


def test_tissues_share_snps(models: tuple[Path, ModelSet]) -> None:
    _, made = models
    first, second = (set(made.subset([tissue]).variants.tolist()) for tissue in made.tissues[:2])
    assert 0.25 < len(first & second) / len(first) < 0.9


def test_traits_differ_and_share_their_missing_snps(models: tuple[Path, ModelSet], tmp_path: Path) -> None:
    path, _ = models
    names = make_gwas_store(tmp_path / "gwas", path, 6, pool=2, seed=3)
    store = GwasStore.open(tmp_path / "gwas")
    z = store.read_block(names)
    assert len({row.tobytes() for row in z}) == 6
    gone = np.isnan(z)
    assert (gone == gone[0]).all() and 0.03 < gone.mean() < 0.07
    make_gwas_store(tmp_path / "several", path, 6, patterns=3, seed=3)
    several = np.isnan(GwasStore.open(tmp_path / "several").read_block(names))
    assert len({row.tobytes() for row in several}) == 3


def test_a_begun_store_is_completed(models: tuple[Path, ModelSet], tmp_path: Path) -> None:
    path, _ = models
    make_gwas_store(tmp_path / "gwas", path, 2)
    before = (tmp_path / "gwas" / "traits").joinpath("0001.arrow").stat().st_mtime_ns
    assert len(make_gwas_store(tmp_path / "gwas", path, 5)) == 5
    assert len(GwasStore.open(tmp_path / "gwas").traits) == 5
    assert (tmp_path / "gwas" / "traits").joinpath("0001.arrow").stat().st_mtime_ns == before


def test_var_g_and_scores_are_the_formula_s(models: tuple[Path, ModelSet], tmp_path: Path) -> None:
    path, made = models
    make_gwas_store(tmp_path / "gwas", path, 2, missing=0.0)
    associate(path, tmp_path / "gwas", tmp_path / "result")
    store = AssociationStore.open(tmp_path / "result")
    z, beta = GwasStore.open(tmp_path / "gwas").read("0002")
    assert beta is not None
    got = store.read_trait("Tissue_01", "0002")
    for model in (0, 17, 199):
        expected, _, var_g, _ = plain_spredixcan(made, model, z, beta)
        assert got[model] == pytest.approx(expected, rel=1e-5)
        assert made.models["var_g"][model].as_py() == pytest.approx(var_g, rel=1e-9)


def test_stores_of_other_sizes_or_seeds_lie_elsewhere(tmp_path: Path) -> None:
    def prepared(seed: int, traits: int) -> associating.Inputs:
        programs = Programs(Path("gputwas"), None, Path("python3"), None)
        session = Session(programs, {}, tmp_path, tmp_path, True, 1, seed)
        return associating.prepare(session, "quick", traits)

    more, fewer, other = prepared(1, 3), prepared(1, 2), prepared(2, 2)
    assert more.models == fewer.models != other.models
    for inputs in (more, fewer, other):
        assert len(GwasStore.open(inputs.gwas).traits) == inputs.traits == len(inputs.files)


@pytest.mark.parametrize(("models", "weights"), [(9_209, 82_919), (5_200, 114_400), (10, 10), (10, 1_500)])
def test_snp_counts_sum_exactly(models: int, weights: int) -> None:
    counts = shapes.snp_counts(models, weights, np.random.default_rng(4))
    assert counts.size == models and counts.sum() == weights
    assert counts.min() >= 1 and counts.max() <= shapes.MOST_SNPS


def test_impossible_counts_are_refused() -> None:
    with pytest.raises(ValueError, match="cannot have 5 weights"):
        shapes.snp_counts(10, 5, np.random.default_rng(0))


def test_covariance_rows_per_gene_are_those_of_jti() -> None:
    for genes, weights, rows in ((9_209, 82_919, 68), (10_293, 166_145, 206)):
        counts = shapes.snp_counts(genes, weights, np.random.default_rng(5))
        assert (counts * (counts + 1) // 2).mean() == pytest.approx(rows, rel=0.07)


def test_pairs_are_the_upper_triangles_row_by_row() -> None:
    first, second = shapes.triangle_pairs(np.array([2, 1, 3]))
    assert first.tolist() == [0, 0, 1, 2, 3, 3, 3, 4, 4, 5]
    assert second.tolist() == [0, 1, 1, 2, 3, 4, 5, 4, 5, 5]


def test_command(tmp_path: Path) -> None:
    flags = ["--case", "quick", "--models", str(tmp_path / "m"), "--gwas", str(tmp_path / "g")]
    assert main(["stores", *flags, "--traits", "3"]) == 0
    assert len(GwasStore.open(tmp_path / "g").traits) == 3


def test_results_to_correct_are_whole_and_rarely_far_from_null(tmp_path: Path) -> None:
    make_association_store(tmp_path / "a", 2, 300, 150, block_size=64, seed=4)
    store = AssociationStore.open(tmp_path / "a")
    assert store.is_complete and store.n_blocks == 3
    found = adjust(store)
    assert found.n_tests == 2 * 300 * 150
    assert 20 < found.table.num_rows < 2 * 300 * 150 / 400
    first, later = (store.read_trait("Tissue_01", name) for name in ("0001", "0129"))
    assert not np.array_equal(first, later)


@pytest.mark.parametrize(
    ("disk", "memory", "traits"),
    [(10**12, 10**12, 3_935), (10**10, 10**12, 492), (10**12, 10**10, 492)],
)
def test_an_eighth_of_the_traits_where_the_machine_is_small(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, disk: int, memory: int, traits: int
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=disk))
    monkeypatch.setattr("os.sysconf", lambda name: 1 if name == "SC_PAGE_SIZE" else memory)
    assert associating.traits_that_fit(CASES["paper"], tmp_path) == traits


def test_the_same_figures_give_the_same_picture(tmp_path: Path) -> None:
    figures = {
        "traits": [1, 2, 4, 8], "wall_s": [1.0, 1.5, 2.5, 4.5], "cpu_s": [2.0, 3, 5, 9],
        "peak_rss_bytes": [1e9, 1.2e9, 1.3e9, 1.3e9],
    }  # fmt: skip
    pictures = []
    for name in ("a.svg", "b.svg"):
        growth.draw(tmp_path / name, figures)
        pictures.append((tmp_path / name).read_bytes())
    assert pictures[0] == pictures[1]
    assert b"peak memory, GB" in pictures[0]
