"""Joint tests of all genes and traits at once equal a plain computation, gene by gene and trait by trait."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from gputwas.errors import InputError, ResourceError, UsageError
from gputwas.stats.truncated import Cutoff
from gputwas.stores.associations import AssociationStore
from gputwas.stores.gwas import GwasStore
from gputwas.stores.joint import JointPattern, JointStatus, JointStore
from gputwas.twas import multixcan as module
from gputwas.twas import multixcan_genes, multixcan_patterns
from gputwas.twas.associate import AssociateSettings, associate
from gputwas.twas.multixcan import JointSettings, multixcan
from tests.joint_studies import N_GENES, JointStudy, joint_study, plain_smultixcan
from tests.small_stores import contents

TOLERANCE = {"float64": 1e-9, "float32": 2e-7}  # of the statistic, relative; condition numbers are below 1e3


@pytest.fixture(scope="module", params=[0, 1])
def study(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> JointStudy:
    return joint_study(tmp_path_factory.mktemp("joint"), seed=request.param)


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> JointStudy:
    return joint_study(tmp_path_factory.mktemp("one_joint"), seed=5)


def run(study: JointStudy, out: Path, **changes: Any) -> JointStore:
    settings = JointSettings(**({"backend": "numpy", "precision": "float64"} | changes))
    multixcan(study.associations, out, **study.paths(), ld=study.ld, settings=settings)
    return JointStore.open(out)


def scores(study: JointStudy, gene: str, trait: str) -> dict[str, float]:
    """Finite z-scores of a gene in a trait, by tissue."""
    store = AssociationStore.open(study.associations)
    found = {}
    for tissue in store.tissues:
        rows = store.tissue_slice(tissue)
        genes = store.models["gene"].to_pylist()[rows]
        if gene in genes:
            z = float(store.read_trait(tissue, trait)[genes.index(gene)])
            if np.isfinite(z):
                found[tissue] = z
    return found


def check(
    study: JointStudy, store: JointStore, cutoff: float, regularization: float, relative: float
) -> set[int]:
    """Compare every gene and trait; returns the statuses met."""
    seen = set()
    gwas = GwasStore.open(study.folder / "gwas")
    models = list(zip(store.models["tissue"].to_pylist(), store.models["gene"].to_pylist(), strict=True))
    for trait in study.traits:
        pattern = store.read_pattern(store.pattern_of(trait))
        statistic = store.read_trait(trait)
        present = ~np.isnan(gwas.read(trait)[0])
        for g, gene in enumerate(store.genes["gene"].to_pylist()):
            z = scores(study, gene, trait)
            plain = plain_smultixcan(study, gene, present, z, cutoff, regularization)
            assert pattern.status[g] == plain.status, (gene, trait)
            assert pattern.n_indep[g] == plain.n_indep
            assert pattern.n_tissues[g] == len(plain.tested)
            tested = [t for m, (t, of) in enumerate(models) if of == gene and pattern.tested[m]]
            assert tuple(sorted(tested)) == plain.tested
            np.testing.assert_allclose(statistic[g], plain.statistic, rtol=relative, equal_nan=True)
            if plain.eigenvalues:
                found = [pattern.eigen_max[g], pattern.eigen_min[g], pattern.eigen_min_kept[g]]
                kept = plain.eigenvalues[plain.n_indep - 1]
                wanted = [plain.eigenvalues[0], plain.eigenvalues[-1], kept]
                np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-12)
                np.testing.assert_allclose(pattern.tmi[g], plain.tmi, rtol=1e-9)
            else:
                assert np.isnan(pattern.eigen_max[g]) and np.isnan(pattern.tmi[g])
            seen.add(plain.status)
    return seen


@pytest.mark.parametrize(("ratio", "regularization"), [(1 / 30, 0.0), (0.0, 0.1), (0.3, 0.0)])
def test_equals_a_plain_computation(
    study: JointStudy, tmp_path: Path, ratio: float, regularization: float
) -> None:
    cutoff = Cutoff("eigen_ratio", ratio)
    store = run(study, tmp_path / "j", cutoff=cutoff, regularization=regularization)
    seen = check(study, store, ratio, regularization, TOLERANCE["float64"])
    assert {JointStatus.OK, JointStatus.NO_LD} <= seen


def test_default_is_a_condition_number_of_30_in_float32(one: JointStudy, tmp_path: Path) -> None:
    store = run(one, tmp_path / "j", precision="float32")
    assert store.read_block(0).dtype == np.float32
    check(one, store, 1 / 30, 0.0, TOLERANCE["float32"])


def test_every_backend(one: JointStudy, tmp_path: Path, backend: Any) -> None:
    store = run(one, tmp_path / "j", backend=backend.name)
    check(one, store, 1 / 30, 0.0, TOLERANCE["float64"])
    host = run(one, tmp_path / "host")
    for block in range(store.n_blocks):
        np.testing.assert_allclose(
            store.read_block(block, "acat"), host.read_block(block, "acat"), rtol=1e-12, atol=1e-14
        )


def test_tissues_that_predict_the_same_are_one(one: JointStudy, tmp_path: Path) -> None:
    store = run(one, tmp_path / "j", cutoff=Cutoff("eigen_ratio", 0.0))
    trait = one.traits[0]
    pattern = store.read_pattern(store.pattern_of(trait))
    gene = store.genes["gene"].to_pylist().index("ENSG002")
    assert pattern.n_tissues[gene] > 1
    assert pattern.n_indep[gene] == 1
    z = next(iter(scores(one, "ENSG002", trait).values()))
    np.testing.assert_allclose(store.read_trait(trait)[gene], z**2, rtol=1e-9)


def test_acat_is_the_cauchy_combination(one: JointStudy, tmp_path: Path) -> None:
    store = run(one, tmp_path / "j")
    for trait in one.traits:
        found = store.read_trait(trait, "acat")
        for g, gene in enumerate(store.genes["gene"].to_pylist()):
            p = 2 * stats.norm.sf(np.abs(list(scores(one, gene, trait).values())))
            wanted = -np.log10(stats.cauchy.sf(np.mean(1 / np.tan(np.pi * p)))) if len(p) else np.nan
            np.testing.assert_allclose(found[g], wanted, rtol=1e-9, atol=1e-12)


def test_acat_alone_needs_only_associations(one: JointStudy, tmp_path: Path) -> None:
    whole = run(one, tmp_path / "j")
    settings = JointSettings(backend="numpy", precision="float64")
    report = multixcan(one.associations, tmp_path / "a", settings=settings)
    assert report.genes_in_ld == 0
    alone = JointStore.open(tmp_path / "a")
    assert alone.kinds == ("acat",)
    for block in range(alone.n_blocks):
        assert alone.read_block(block, "acat").tobytes() == whole.read_block(block, "acat").tobytes()
    for trait in one.traits:
        n = alone.read_pattern(alone.pattern_of(trait)).n_tissues
        genes = alone.genes["gene"].to_pylist()
        assert n.tolist() == [len(scores(one, gene, trait)) for gene in genes]


@pytest.mark.parametrize("name", ["numpy", "jax", "array_api_strict"])
def test_bits_do_not_depend_on_how_the_work_is_cut(
    one: JointStudy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    whole = run(one, tmp_path / "whole", backend=name)
    monkeypatch.setattr(multixcan_genes, "MOST_LD", 150)  # one gene at a time
    monkeypatch.setattr(module, "units_that_fit", lambda *_, **__: 1)  # and one trait
    cut = run(one, tmp_path / "cut", backend=name)
    assert contents(tmp_path / "whole") == contents(tmp_path / "cut")
    some = one.traits[1::2]
    settings = JointSettings(backend=name, precision="float64")
    multixcan(one.associations, tmp_path / "some", **one.paths(), ld=one.ld, traits=some, settings=settings)
    part = JointStore.open(tmp_path / "some")
    assert part.trait_names == some
    for trait in some:
        for kind in ("statistic", "acat"):
            assert part.read_trait(trait, kind).tobytes() == whole.read_trait(trait, kind).tobytes()
    assert cut.is_complete


def test_gene_batches_change_no_bit_on_numpy(
    one: JointStudy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(one, tmp_path / "whole")
    monkeypatch.setattr(multixcan_patterns, "GENES_AT_ONCE", 2)
    run(one, tmp_path / "cut")
    assert contents(tmp_path / "whole") == contents(tmp_path / "cut")


def test_weights_without_cross_tissue_ld_are_counted(
    one: JointStudy, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run(one, tmp_path / "j")
    genes = [int(gene.removeprefix("ENSG")) for gene in one.models.models["gene"].to_pylist()]
    owner = np.repeat(genes, np.diff(one.models.offsets))
    of_ld = owner < N_GENES - 1
    lacking = of_ld & (owner % 2 == 1) & (one.models.variants == 6 * owner + 3)
    said = f"{lacking.sum()} of the {of_ld.sum()} weights of genes in the cross-tissue LD are of SNPs"
    assert lacking.any() and said in caplog.text


def test_some_tissues_are_a_study_of_their_own(one: JointStudy, tmp_path: Path) -> None:
    chosen = ["Tissue_1", "Tissue_3"]
    settings = JointSettings(backend="numpy", precision="float64")
    multixcan(one.associations, tmp_path / "j", **one.paths(), ld=one.ld, tissues=chosen, settings=settings)
    store = JointStore.open(tmp_path / "j")
    assert set(store.models["tissue"].to_pylist()) == set(chosen)
    gwas = GwasStore.open(one.folder / "gwas")
    for trait in one.traits:
        present = ~np.isnan(gwas.read(trait)[0])
        for g, gene in enumerate(store.genes["gene"].to_pylist()):
            z = {t: value for t, value in scores(one, gene, trait).items() if t in chosen}
            plain = plain_smultixcan(one, gene, present, z, 1 / 30, 0.0)
            np.testing.assert_allclose(store.read_trait(trait)[g], plain.statistic, rtol=1e-9, equal_nan=True)


def test_goes_on_after_a_kill_and_keeps_what_is_there(
    one: JointStudy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(one, tmp_path / "whole")
    true_write = JointStore.write_block

    def die(self: JointStore, block: int, values: Any) -> None:
        if block == 1:
            raise KeyboardInterrupt
        true_write(self, block, values)

    monkeypatch.setattr(JointStore, "write_block", die)
    with pytest.raises(KeyboardInterrupt):
        run(one, tmp_path / "j")
    monkeypatch.setattr(JointStore, "write_block", true_write)
    begun = JointStore.open(tmp_path / "j")
    assert [begun.has_block(block) for block in range(begun.n_blocks)] == [True, False, False]
    assert not begun.is_complete
    settings = JointSettings(backend="numpy", precision="float64")
    arguments: dict[str, Any] = {**one.paths(), "ld": one.ld, "settings": settings}
    report = multixcan(one.associations, tmp_path / "j", **arguments)
    assert (report.blocks_computed, report.blocks_kept) == (2, 1)
    assert contents(tmp_path / "whole") == contents(tmp_path / "j")
    again = multixcan(one.associations, tmp_path / "j", **arguments)
    assert again.blocks_computed == 0


def test_patterns_are_decomposed_once(
    one: JointStudy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted = []
    true_tests = module.pattern_tests

    def count(*arguments: Any) -> Any:
        counted.append(arguments[1].tobytes())
        return true_tests(*arguments)

    monkeypatch.setattr(module, "pattern_tests", count)
    run(one, tmp_path / "j")
    assert len(counted) == len(set(counted)) == 4


def test_a_small_budget_keeps_few_patterns_and_changes_nothing(
    one: JointStudy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(one, tmp_path / "whole")
    monkeypatch.setattr(multixcan_patterns.PatternTests, "nbytes", 10**15)
    run(one, tmp_path / "j")
    assert contents(tmp_path / "whole") == contents(tmp_path / "j")


def test_one_trait_that_does_not_fit(one: JointStudy, tmp_path: Path) -> None:
    with pytest.raises(ResourceError, match=r"one trait needs .* GB and the budget is"):
        run(one, tmp_path / "j", memory="500KB")


def test_the_budget_that_is_asked_for_is_enough(
    one: JointStudy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "INTERMEDIATE", 10_000)
    with pytest.raises(ResourceError) as refused:
        run(one, tmp_path / "j", memory="500KB")
    needed = re.search(r"needs ([\d.]+) GB", str(refused.value))
    assert needed is not None and float(needed[1]) > 0.2
    assert run(one, tmp_path / "j", memory=f"{needed[1]}GB").is_complete


def test_a_pattern_that_does_not_fit(
    one: JointStudy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "pattern_bytes", lambda _: 5 * 10**9)
    with pytest.raises(ResourceError, match=r"needs 5\.01 GB and the budget is 4\.00"):
        run(one, tmp_path / "j", memory="4GB")
    assert run(one, tmp_path / "j", memory="5.01GB").is_complete


def test_small_eigenvalues_amplify_the_rounding_of_z(
    one: JointStudy, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    everything = Cutoff("eigen_ratio", 0.0)
    store = run(one, tmp_path / "whole", cutoff=everything)
    patterns = [store.read_pattern(store.pattern_of(trait)) for trait in one.traits]
    smallest = min(np.nanmin(found.eigen_min_kept / found.eigen_max) for found in patterns)
    assert smallest < 1 / 60
    assert "float32" not in caplog.text  # these associations are float64
    settings = AssociateSettings(backend="numpy", precision="float32")
    associate(one.folder / "models", one.folder / "gwas", tmp_path / "a", settings=settings)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "AMPLIFIED", 2 * smallest)
        for cutoff, said in ((Cutoff("condition_number", 30.0), False), (everything, True)):
            caplog.clear()
            multixcan(
                tmp_path / "a", tmp_path / f"j{said}", **one.paths(), ld=one.ld,
                settings=JointSettings(backend="numpy", cutoff=cutoff),
            )  # fmt: skip
            assert (f"eigenvalues of down to {smallest:.1g} of the largest are kept" in caplog.text) is said


def test_other_settings_are_refused(one: JointStudy, tmp_path: Path) -> None:
    run(one, tmp_path / "j")
    with pytest.raises(InputError, match="parameter cutoff was"):
        run(one, tmp_path / "j", cutoff=Cutoff("trace_ratio", 0.01))
    run(one, tmp_path / "j", cutoff=Cutoff("trace_ratio", 0.01), overwrite=True)


@pytest.mark.parametrize("changes", [{"precision": "float16"}, {"regularization": -1.0}])
def test_impossible_settings(changes: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        JointSettings(**changes)


def test_ld_without_its_stores(one: JointStudy, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="needs models, GWAS and cross-tissue LD"):
        multixcan(one.associations, tmp_path / "j", ld=one.ld)


def test_patterns_of_all_genes_have_a_status(one: JointStudy, tmp_path: Path) -> None:
    store = run(one, tmp_path / "j")
    for trait in one.traits:
        pattern: JointPattern = store.read_pattern(store.pattern_of(trait))
        statistic = store.read_trait(trait)
        np.testing.assert_array_equal(np.isfinite(statistic), pattern.status == JointStatus.OK)
        np.testing.assert_array_equal(pattern.n_indep > 0, pattern.status == JointStatus.OK)
