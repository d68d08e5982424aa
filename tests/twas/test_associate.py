"""`associate` over small stores: the same numbers as in memory, however the work is cut."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gputwas.errors import InputError, ResourceError, UsageError
from gputwas.kernels import library
from gputwas.stores.associations import AssociationStore, Status
from gputwas.stores.models import ModelSet, read_models_store
from gputwas.twas.associate import AssociateReport, AssociateSettings, associate
from gputwas.twas.plan import Plan, StudySize, make_plan
from gputwas.twas.spredixcan import Associations, spredixcan
from tests.model_sets import random_gwas, random_model_set
from tests.small_stores import contents, write_gwas, write_models

N_VARIANTS = 40
N_TRAITS = 7


@pytest.fixture
def case(tmp_path: Path) -> tuple[ModelSet, np.ndarray, np.ndarray]:
    """Models and seven traits with three patterns of missing SNPs, in stores under `tmp_path`."""
    rng = np.random.default_rng(11)
    models = write_models(tmp_path / "models", random_model_set(rng, tissues=3))
    z, beta = random_gwas(rng, N_TRAITS, N_VARIANTS)
    some, most = rng.random(N_VARIANTS) < 0.3, rng.random(N_VARIANTS) < 0.9
    for missing, traits in ((some, [1, 4]), (most, [2, 5, 6])):
        z[np.ix_(traits, np.flatnonzero(missing))] = np.nan
    beta[np.isnan(z)] = np.nan
    write_gwas(tmp_path / "gwas", models.panel, z, beta)
    return models, z, beta


def run(folder: Path, out: str = "out", **options: object) -> tuple[AssociationStore, AssociateReport]:
    """Associate the stores of a folder; `traits` and `tissues` are taken out of the settings."""
    chosen = {name: options.pop(name, None) for name in ("traits", "tissues", "gwas", "models")}
    settings = AssociateSettings(**{"backend": "numpy", **options})  # type: ignore[arg-type]
    report = associate(
        folder / (chosen["models"] or "models"), folder / (chosen["gwas"] or "gwas"), folder / out,
        traits=chosen["traits"], tissues=chosen["tissues"], settings=settings,
    )  # fmt: skip
    return AssociationStore.open(folder / out), report


def everything(store: AssociationStore, kind: str) -> np.ndarray:
    """(models, traits) of a whole store."""
    tissues = [
        np.concatenate([store.read_block(tissue, block, kind) for block in range(store.n_blocks)], axis=1)
        for tissue in store.tissues
    ]
    return np.concatenate(tissues)


def assert_equals(store: AssociationStore, want: Associations, dtype: type = np.float32) -> None:
    """Store and memory agree to the rounding of the stored precision; var_g is summed in another order."""
    close = {"rtol": 4 * float(np.finfo(dtype).eps), "atol": 0}
    np.testing.assert_allclose(everything(store, "z"), want.z.astype(dtype), **close)
    np.testing.assert_allclose(everything(store, "effect"), want.effect_size.astype(dtype), **close)
    for column, trait in enumerate(store.trait_names):
        pattern = store.read_pattern(store.pattern_of(trait))
        np.testing.assert_allclose(pattern.var_g, want.var_g[:, column], rtol=1e-13)
        np.testing.assert_array_equal(pattern.n_snps_used, want.n_snps_used[:, column])
        np.testing.assert_array_equal(pattern.status, want.status[:, column])


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("compiled", ["1", "0"], ids=["compiled", "without library"])
def test_store_equals_memory(
    case: tuple, tmp_path: Path, precision: str, compiled: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(library.OFF, compiled)
    models, z, beta = case
    store, report = run(tmp_path, precision=precision)
    assert report.plan.way == ("tiled" if library.is_there() else "csr")
    want = spredixcan(models, z, beta)
    assert {Status.OK, Status.NO_SNP_IN_GWAS, Status.NOT_IN_LD} <= set(want.status.ravel())
    assert_equals(store, want, np.dtype(precision).type)
    assert store.is_complete
    assert report.n_patterns == 3
    assert (report.n_traits, report.n_tissues, report.n_models) == (7, 3, 21)
    assert report.variants_found == report.n_variants == N_VARIANTS
    assert store.run["patterns_of_missing_snps"] == 3


def test_single_precision_is_within_the_stated_bound(case: tuple, tmp_path: Path) -> None:
    single = everything(run(tmp_path, "single")[0], "z")
    double = everything(run(tmp_path, "double", precision="float64")[0], "z")
    assert single.dtype == np.float32 and double.dtype == np.float64
    known = ~np.isnan(double)
    assert np.array_equal(known, ~np.isnan(single)) and known.sum() > 50
    bound = 1e-5 * np.maximum(1, np.abs(double[known]))
    assert np.all(np.abs(single[known] - double[known]) <= bound)
    assert np.any(single[known] != double[known])


@pytest.mark.parametrize("backend", ["jax", "array_api_strict", pytest.param("cupy", marks=pytest.mark.gpu)])
def test_every_backend_is_within_the_stated_bound(case: tuple, tmp_path: Path, backend: str) -> None:
    pytest.importorskip(backend)
    models, z, beta = case
    want = spredixcan(models, z, beta)
    store, report = run(tmp_path, backend=backend, precision="float64")
    for kind, values in (("z", want.z), ("effect", want.effect_size)):
        found = everything(store, kind)
        np.testing.assert_allclose(found, values, rtol=1e-10, atol=1e-12)
    assert store.run["backend"] == backend
    assert store.run["device"] == report.device


def memory_for(tmp_path: Path, traits: int) -> str:
    """The least budget under which so many traits of all seven are held at once."""
    low, high = 0, 10**9
    while high - low > 1:
        middle = (low + high) // 2
        try:
            fits = plan_of(tmp_path, middle).batch_size >= traits
        except ResourceError:
            fits = False
        low, high = (low, middle) if fits else (middle, high)
    return str(high)


def plan_of(tmp_path: Path, budget: int) -> Plan:
    """The plan of a run in single precision over the stores of a folder."""
    models = read_models_store(tmp_path / "models")
    size = StudySize(
        N_TRAITS, N_VARIANTS, models.n_models, int(models.offsets[-1]), int(models.ld_offsets[-1]),
        models.n_models // 3,
    )  # fmt: skip
    return make_plan(size, budget, item_bytes=4, threads=2)


@pytest.mark.library
@pytest.mark.parametrize("batch", [1, 2, 6])
def test_memory_budget_changes_no_bit(case: tuple, tmp_path: Path, batch: int) -> None:
    run(tmp_path, "whole")
    budget = memory_for(tmp_path, batch)
    _, report = run(tmp_path, "cut", memory=budget, workers=2)
    assert report.plan.batch_size == batch
    assert report.plan.memory <= int(budget)
    assert contents(tmp_path / "cut") == contents(tmp_path / "whole")


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_workers_change_no_bit(case: tuple, tmp_path: Path, workers: int) -> None:
    run(tmp_path, "default")
    run(tmp_path, "other", workers=workers)
    assert contents(tmp_path / "other") == contents(tmp_path / "default")


@pytest.mark.parametrize("block_size", [1, 3, 7])
def test_size_of_blocks_changes_no_value(case: tuple, tmp_path: Path, block_size: int) -> None:
    models, z, beta = case
    store, report = run(tmp_path, block_size=block_size)
    assert store.n_blocks == -(-N_TRAITS // block_size) == report.blocks_computed
    assert_equals(store, spredixcan(models, z, beta))


def test_order_of_import_changes_no_bit(case: tuple, tmp_path: Path) -> None:
    models, z, beta = case
    order = [3, 6, 0, 5, 1, 4, 2]
    names = [f"trait_{i:02d}" for i in order]
    write_gwas(tmp_path / "gwas2", models.panel, z[order], beta[order], names=names)
    run(tmp_path, "first")
    run(tmp_path, "second", gwas="gwas2")
    first, second = contents(tmp_path / "first"), contents(tmp_path / "second")
    assert first.pop("traits.arrow") != second.pop("traits.arrow")  # other hashes of inputs
    assert first == second


def test_subset_of_traits_and_tissues_has_the_same_values(case: tuple, tmp_path: Path) -> None:
    models, z, beta = case
    chosen = ["trait_05", "trait_01"]  # the store's order counts, not this one
    store, report = run(tmp_path, traits=chosen, tissues=["Tissue_2", "Tissue_0"])
    assert store.trait_names == ["trait_01", "trait_05"]
    assert store.tissues == ["Tissue_0", "Tissue_2"]
    assert (report.n_traits, report.n_tissues) == (2, 2)
    assert_equals(store, spredixcan(models.subset(["Tissue_0", "Tissue_2"]), z[[1, 5]], beta[[1, 5]]))


@pytest.mark.library
def test_traits_without_effects_among_others(case: tuple, tmp_path: Path) -> None:
    models, z, beta = case
    write_gwas(tmp_path / "mixed", models.panel, z, beta, without_effect=["trait_01", "trait_03"])
    run(tmp_path, "all")
    for memory in (None, memory_for(tmp_path, 1)):  # in one batch with others, and alone in one
        store, _ = run(tmp_path, f"out{memory}", gwas="mixed", memory=memory, workers=2)
        got, all_ = everything(store, "effect"), everything(AssociationStore.open(tmp_path / "all"), "effect")
        none = np.isin(np.arange(N_TRAITS), [1, 3])
        assert np.isnan(got[:, none]).all()
        np.testing.assert_array_equal(got[:, ~none], all_[:, ~none])
        want = everything(AssociationStore.open(tmp_path / "all"), "z")
        np.testing.assert_array_equal(everything(store, "z"), want)


def test_store_without_any_effect(case: tuple, tmp_path: Path) -> None:
    models, z, _ = case
    write_gwas(tmp_path / "none", models.panel, z, None)
    store, _ = run(tmp_path, gwas="none")
    assert np.isnan(everything(store, "effect")).all()
    assert np.isfinite(everything(store, "z")).any()


def test_panel_of_the_gwas_may_be_another(case: tuple, tmp_path: Path) -> None:
    """Reordered, some alleles exchanged, some variants absent: absent ones count as missing."""
    models, z, beta = case
    rng = np.random.default_rng(5)
    rows = rng.permutation(N_VARIANTS)[:30]
    turned = rng.random(30) < 0.5
    panel = models.panel.take(rows)
    effect, other = (np.array(panel[name].to_pylist()) for name in ("effect_allele", "other_allele"))
    for name, values in (
        ("effect_allele", np.where(turned, other, effect)), ("other_allele", np.where(turned, effect, other)),
    ):  # fmt: skip
        panel = panel.set_column(panel.column_names.index(name), name, [values.tolist()])
    sign = np.where(turned, -1, 1).astype(np.float32)
    write_gwas(tmp_path / "other", panel, z[:, rows] * sign, beta[:, rows] * sign)
    store, report = run(tmp_path, gwas="other")
    absent = np.setdiff1d(np.arange(N_VARIANTS), rows)
    z_cut, beta_cut = z.copy(), beta.copy()
    z_cut[:, absent] = np.nan
    beta_cut[:, absent] = np.nan
    assert_equals(store, spredixcan(models, z_cut, beta_cut))
    assert report.variants_found == 30


def test_another_pair_of_alleles_is_another_variant(case: tuple, tmp_path: Path) -> None:
    models, z, beta = case
    panel = models.panel
    alleles = ["C" if i < 10 else allele for i, allele in enumerate(panel["other_allele"].to_pylist())]
    panel = panel.set_column(panel.column_names.index("other_allele"), "other_allele", [alleles])
    write_gwas(tmp_path / "other", panel, z, beta)
    store, report = run(tmp_path, gwas="other")
    z_cut, beta_cut = z.copy(), beta.copy()
    z_cut[:, :10] = np.nan
    beta_cut[:, :10] = np.nan
    assert report.variants_found == N_VARIANTS - 10
    assert_equals(store, spredixcan(models, z_cut, beta_cut))


def test_panels_without_a_common_variant_are_refused(case: tuple, tmp_path: Path) -> None:
    models, z, beta = case
    ids = [f"1_{i}_A_G" for i in range(N_VARIANTS)]
    panel = models.panel.set_column(0, "variant_id", [ids])
    write_gwas(tmp_path / "other", panel, z, beta)
    with pytest.raises(InputError, match=r"1_0_A_G.*rs0.*Import the GWAS again"):
        run(tmp_path, gwas="other")
    assert not (tmp_path / "out").exists()


def test_second_run_computes_nothing_and_writes_nothing(case: tuple, tmp_path: Path) -> None:
    run(tmp_path, block_size=3)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*.*")}
    _, report = run(tmp_path, block_size=3)
    assert (report.blocks_computed, report.blocks_kept) == (0, 3)
    after = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*.*")}
    assert {path for path in after if after[path] != before.get(path)} <= {tmp_path / "out" / ".lock"}


def changed_inputs(case: tuple, tmp_path: Path, what: str) -> dict[str, object]:
    """Options of a second run in which one thing is different."""
    models, z, beta = case
    if what == "models":
        models.weights[0] += 1
        write_models(tmp_path / "models2", models_without_columns(models))
        return {"models": "models2"}
    if what == "GWAS values":
        z = z.copy()
        z[0, 0] += 1
        write_gwas(tmp_path / "gwas2", models.panel, z, beta)
        return {"gwas": "gwas2"}
    return {
        "traits": {"traits": ["trait_00"]}, "tissues": {"tissues": ["Tissue_0"]},
        "precision": {"precision": "float64"}, "method": {"method": "padded"},
        "block_size": {"block_size": 2},
    }[what]  # fmt: skip


def models_without_columns(models: ModelSet) -> ModelSet:
    """The set as `write_models` takes it."""
    names = ["var_g", "pred_perf_r2", "pred_perf_pval", "pred_perf_qval"]
    return ModelSet(
        models.panel, models.models.drop_columns(names), models.offsets, models.variants, models.weights,
        models.n_in_ld, models.ld_offsets, models.ld,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("what", "word"),
    [
        ("models", "the set of models has other contents"),
        ("GWAS values", "trait trait_00 has other contents"),
        ("traits", "trait_01, trait trait_02, trait trait_03 and 3 more, each was an input and is not now"),
        ("tissues", "the set of models has other contents"),
        ("precision", "precision"), ("method", "method"), ("block_size", "block_size"),
    ],
)  # fmt: skip
def test_changed_inputs_refuse_to_go_on(case: tuple, tmp_path: Path, what: str, word: str) -> None:
    run(tmp_path)
    before = contents(tmp_path / "out")
    options = changed_inputs(case, tmp_path, what)
    with pytest.raises(InputError, match=f"{word}.*--overwrite"):
        run(tmp_path, **dict(options))
    assert contents(tmp_path / "out") == before
    store, _ = run(tmp_path, **dict(options), overwrite=True)
    assert store.is_complete


def test_unknown_names_are_refused(case: tuple, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no_such_trait"):
        run(tmp_path, traits=["trait_00", "no_such_trait"])
    with pytest.raises(InputError, match=r"Nowhere.*Tissue_0"):
        run(tmp_path, tissues=["Nowhere"])
    assert not (tmp_path / "out").exists()


def test_store_without_traits_is_refused(case: tuple, tmp_path: Path) -> None:
    write_gwas(tmp_path / "empty", case[0].panel, np.empty((0, N_VARIANTS), np.float32), None)
    with pytest.raises(InputError, match="holds no trait"):
        run(tmp_path, gwas="empty")


def test_too_little_memory_says_how_much_is_needed(case: tuple, tmp_path: Path) -> None:
    with pytest.raises(ResourceError, match=r"needs 0\.\d+ GB .* budget is 0\.05 GB.*--memory") as caught:
        run(tmp_path, memory="50MB")
    assert caught.value.exit_code == 4
    assert not (tmp_path / "out").exists()
    said = str(caught.value).split("needs ")[1].split(" and")[0]
    run(tmp_path, memory=said)  # what it asks for is enough


@pytest.mark.parametrize(
    "options", [{"precision": "float16"}, {"workers": 0}, {"block_size": 0}, {"memory": "much"},
                {"backend": "abacus"}, {"method": "magic"}],
)  # fmt: skip
def test_impossible_settings_are_refused(case: tuple, tmp_path: Path, options: dict) -> None:
    with pytest.raises(UsageError):
        run(tmp_path, **options)
    assert not (tmp_path / "out").exists()
