"""Correction of a whole association store: against one call on all values, in any layout and memory."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from gputwas.analyses import fdr as analyses_fdr
from gputwas.analyses import survivors
from gputwas.analyses.fdr import adjust
from gputwas.errors import InputError, ResourceError, UsageError
from gputwas.stats.fdr import adjust as adjust_array
from gputwas.stats.fdr import is_significant
from gputwas.stats.normal import nlog10_p_from_z
from gputwas.stores.associations import AssociationStore

TISSUES = {"Liver": 30, "Whole_Blood": 45, "Brain_Amygdala": 7}
N_TRAITS = 11
MODALITIES = ["T1", "dMRI", None]


def make_store(
    folder: Path, block_size: int, *, seed: int = 3, hits: float = 0.06, dtype: type = np.float32
) -> AssociationStore:
    """A complete store with hits, missing values and one z beyond the range of p."""
    rng = np.random.default_rng(seed)
    n_models = sum(TISSUES.values())
    models = pa.table({
        "tissue": np.repeat(list(TISSUES), list(TISSUES.values())),
        "gene": [f"ENSG{i:011d}" for i in range(n_models)],
        "gene_name": [f"G{i}" for i in range(n_models)],
        "chromosome": [str(1 + i % 22) for i in range(n_models)],
        "start": pa.array([None if i == 0 else 1000 * i for i in range(n_models)], pa.int64()),
    })  # fmt: skip
    names = [f"trait {i}" for i in range(N_TRAITS)]
    traits = pa.table({
        "trait": names,
        "modality": pa.array([MODALITIES[i % 3] for i in range(N_TRAITS)], pa.string()),
        "h2": [0.1] * N_TRAITS,
    })  # fmt: skip
    z, effect = all_values(rng, n_models, hits, dtype)
    store = AssociationStore.create(
        folder, models=models, traits=traits, block_size=block_size, parameters={}, inputs={}
    )
    with store:
        n_snps = np.arange(n_models, dtype=np.int32)
        for odd in (0, 1):
            status = np.zeros(n_models, dtype=np.uint8)
            store.write_pattern(f"{odd:08x}", n_snps + odd, n_snps + 0.5 + odd, status)
        for block in range(store.n_blocks):
            columns = slice(block * block_size, (block + 1) * block_size)
            places = range(N_TRAITS)[columns]
            store.write_block_patterns(block, [f"{place % 2:08x}" for place in places])
            for tissue in store.tissues:
                rows = store.tissue_slice(tissue)
                store.write_block(tissue, block, z[rows, columns], effect[rows, columns])
        store.finish({})
    return AssociationStore.open(folder)


def all_values(
    rng: np.random.Generator, n_models: int, hits: float, dtype: type
) -> tuple[np.ndarray, np.ndarray]:
    z = rng.standard_normal((n_models, N_TRAITS)).astype(dtype)
    z[rng.uniform(size=z.shape) < hits] *= 6
    z[rng.uniform(size=z.shape) < 0.1] = np.nan
    z[0, 0] = -45.0  # p underflows
    effect = (z * 0.01).astype(dtype)
    effect[:, 4] = np.nan  # a trait without effect sizes
    return z, effect


def whole_z(store: AssociationStore) -> np.ndarray:
    tissues = [np.concatenate([z for _, _, z in store.iter_tissue(t)], axis=1) for t in store.tissues]
    return np.concatenate(tissues).astype(np.float64)


def by_one_call(
    store: AssociationStore, labels: np.ndarray, alpha: float, method: str
) -> dict[tuple[str, str], float]:
    """Significant (gene, trait) -> -log10 q, each family corrected in one call; labels (models, traits)."""
    p = nlog10_p_from_z(whole_z(store))
    q = np.full(p.shape, np.nan)
    for label in np.unique(labels):
        q[labels == label] = adjust_array(p[labels == label], method)
    genes = store.models["gene"].to_pylist()
    rows = np.argwhere(is_significant(q, alpha))
    return {(genes[m], store.trait_names[t]): float(q[m, t]) for m, t in rows}


def labels_of(store: AssociationStore, family: str) -> np.ndarray:
    shape = (store.models.num_rows, N_TRAITS)
    if family == "study":
        return np.full(shape, "study")
    if family == "tissue":
        return np.broadcast_to(np.array(store.models["tissue"].to_pylist())[:, None], shape)
    values = [str(value) if value is not None else "(none)" for value in store.traits[family].to_pylist()]
    return np.broadcast_to(np.array(values)[None, :], shape)


def as_dict(table: pa.Table) -> dict[tuple[str, str], float]:
    columns = (table[name].to_pylist() for name in ("gene", "trait", "nlog10_q"))
    return {(gene, trait): q for gene, trait, q in zip(*columns, strict=True)}


@pytest.mark.parametrize("method", ["bh", "bonferroni"])
@pytest.mark.parametrize("family", ["study", "tissue", "modality", "trait"])
def test_equals_one_call_on_everything(tmp_path: Path, family: str, method: str) -> None:
    store = make_store(tmp_path / "s", 4)
    found = adjust(store, family=family, method=method)
    labels = labels_of(store, family)
    expected = by_one_call(store, labels, 0.05, method)
    assert len(expected) > 10
    assert as_dict(found.table) == expected
    made = ~np.isnan(whole_z(store))
    counts = dict(
        zip(found.families["family"].to_pylist(), found.families["n_tests"].to_pylist(), strict=True)
    )
    assert counts == {str(label): int(made[labels == label].sum()) for label in np.unique(labels)}
    assert found.n_tests == made.sum()
    assert sum(found.families["n_significant"].to_pylist()) == found.table.num_rows == len(expected)


@pytest.mark.parametrize("family", ["study", "modality"])
def test_block_size_changes_nothing(tmp_path: Path, family: str) -> None:
    tables = [adjust(make_store(tmp_path / str(size), size), family=family).table for size in (1, 4, 11, 64)]
    assert all(table.equals(tables[0]) for table in tables[1:])


@pytest.fixture
def readings(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """Fills with the label and number of blocks of each reading of a store."""
    seen: list[tuple[str, int]] = []
    read_all = survivors._read_all

    def watched(chosen, shards, levels, most, lowest, label):  # type: ignore[no-untyped-def]
        if shards:
            seen.append((label, len(shards)))
        return read_all(chosen, shards, levels, most, lowest, label)

    monkeypatch.setattr(survivors, "_read_all", watched)
    return seen


def test_reads_once_where_few_are_significant(tmp_path: Path, readings: list[tuple[str, int]]) -> None:
    store = make_store(tmp_path / "s", 1, hits=0.001)
    assert adjust(store).table.num_rows > 0
    assert readings == [("FDR, reading", 33)]


@pytest.mark.parametrize("family", ["study", "tissue", "modality", "trait"])
def test_reads_again_only_what_was_guessed_too_high(
    tmp_path: Path, readings: list[tuple[str, int]], monkeypatch: pytest.MonkeyPatch, family: str
) -> None:
    monkeypatch.setattr(survivors, "MOST_THREADS", 1)
    store = make_store(tmp_path / "s", 1, hits=0.5)  # so many that p far above alpha / 64 is significant
    found = adjust(store, family=family)
    assert as_dict(found.table) == by_one_call(store, labels_of(store, family), 0.05, "bh")
    (first, n_first), (second, n_second) = readings
    assert (first, n_first, second) == ("FDR, reading", 33, "FDR, reading again")
    assert 0 < n_second < 33


def test_little_memory_changes_nothing(
    tmp_path: Path, readings: list[tuple[str, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(survivors, "MOST_THREADS", 1)
    store = make_store(tmp_path / "s", 3)
    plain = adjust(store, family="study")
    chosen = analyses_fdr._select(store, "study", None, None)
    kept = survivors.find_survivors(chosen, 0.05, 10**9)
    assert kept is not None
    readings.clear()
    monkeypatch.setattr(survivors, "LOOSER", -3.0)  # guesses so low that too many are kept at first
    monkeypatch.setattr(survivors, "BYTES_PER_KEPT", 1000)
    monkeypatch.setattr(analyses_fdr, "BYTES_PER_FOUND", 1)
    small = adjust(store, family="study", memory=str(1000 * kept.key.size))
    assert readings == [("FDR, reading", 12), ("FDR, reading again", 12)]
    assert small.table.equals(plain.table) and small.families.equals(plain.families)


@pytest.mark.parametrize("alpha", [0.3, 0.9])
def test_a_large_alpha_keeps_no_more_than_it_must(tmp_path: Path, alpha: float) -> None:
    chosen = analyses_fdr._select(make_store(tmp_path / "s", 4, hits=0.01), "study", None, None)
    kept = survivors.find_survivors(chosen, alpha, 10**9)
    assert kept is not None and kept.key.size < alpha / 2 * kept.n_tests.sum()


def test_refuses_survivors_that_do_not_fit(tmp_path: Path, readings: list[tuple[str, int]]) -> None:
    store = make_store(tmp_path / "s", 3)
    with pytest.raises(ResourceError, match="smaller alpha"):
        adjust(store, alpha=1.0, memory="20kB")
    assert len(readings) == 1


def test_float64_store(tmp_path: Path) -> None:
    store = make_store(tmp_path / "s", 4, dtype=np.float64)
    assert store.read_block("Liver", 0).dtype == np.float64
    for family, method in (("study", "bh"), ("modality", "bonferroni")):
        found = adjust(store, family=family, method=method)
        assert as_dict(found.table) == by_one_call(store, labels_of(store, family), 0.05, method)


@pytest.mark.parametrize("alpha", [1e-5, 0.2, 0.5, 1.0])
def test_any_level(tmp_path: Path, alpha: float) -> None:
    store = make_store(tmp_path / "s", 4)
    expected = by_one_call(store, labels_of(store, "tissue"), alpha, "bh")
    assert as_dict(adjust(store, alpha=alpha, family="tissue").table) == expected


def test_refuses_a_table_that_does_not_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = make_store(tmp_path / "s", 3)
    monkeypatch.setattr(analyses_fdr, "BYTES_PER_FOUND", 1e6)
    with pytest.raises(ResourceError, match="--memory"):
        adjust(store, memory="1MB")


def test_columns_and_their_values(tmp_path: Path) -> None:
    store = make_store(tmp_path / "s", 4)
    table = adjust(store, family="modality").table
    z = whole_z(store)
    genes = store.models["gene"].to_pylist()
    assert table.column_names == [
        "trait", "tissue", "gene", "gene_name", "chromosome", "start", "z", "effect_size", "nlog10_p",
        "nlog10_q", "p", "q", "n_snps_used", "var_g", "family", "modality",
    ]  # fmt: skip
    for row in table.to_pylist():
        model, trait = genes.index(row["gene"]), store.trait_names.index(row["trait"])
        assert row["z"] == z[model, trait]
        assert row["effect_size"] == (None if trait == 4 else pytest.approx(row["z"] * 0.01, rel=1e-6))
        assert (row["n_snps_used"], row["var_g"]) == (model + trait % 2, model + 0.5 + trait % 2)
        assert row["tissue"] == store.models["tissue"][model].as_py()
        assert row["start"] == (None if model == 0 else 1000 * model)
        assert row["family"] == (row["modality"] or "(none)")
        assert row["q"] == pytest.approx(10.0 ** -row["nlog10_q"]) and row["q"] <= 0.05
    assert table["nlog10_p"].to_pylist() == sorted(table["nlog10_p"].to_pylist(), reverse=True)
    first = table.slice(0, 1).to_pylist()[0]
    assert (first["z"], first["p"], first["q"]) == (-45.0, 0.0, 0.0)
    assert first["nlog10_q"] > 400


def test_only_what_is_chosen_counts(tmp_path: Path) -> None:
    store = make_store(tmp_path / "s", 4)
    names = ["trait 9", "trait 2", "trait 1"]
    found = adjust(store, traits=names, tissues=["Whole_Blood"])
    rows = store.tissue_slice("Whole_Blood")
    z = whole_z(store)[rows, :][:, [1, 2, 9]]
    assert found.n_tests == np.count_nonzero(~np.isnan(z))
    q = adjust_array(nlog10_p_from_z(z), "bh")
    assert sorted(found.table["nlog10_q"].to_pylist()) == sorted(q[is_significant(q, 0.05)])
    assert set(found.table["trait"].to_pylist()) <= set(names)
    assert set(found.table["tissue"].to_pylist()) == {"Whole_Blood"}
    modalities = adjust(store, traits=["trait 1"], family="modality").families["family"].to_pylist()
    assert modalities == ["dMRI"]  # a family without a chosen trait is none


def test_finds_nothing_where_nothing_is(tmp_path: Path) -> None:
    store = make_store(tmp_path / "s", 4, hits=0.0)
    found = adjust(store, traits=["trait 3"], alpha=1e-9)
    assert found.table.num_rows == 0
    assert "nlog10_q" in found.table.column_names
    assert found.families.to_pylist()[0]["n_significant"] == 0


def test_alpha_one_gives_every_test(tmp_path: Path) -> None:
    store = make_store(tmp_path / "s", 4)
    assert adjust(store, alpha=1.0).table.num_rows == np.count_nonzero(~np.isnan(whole_z(store)))


def test_refuses_bad_requests(tmp_path: Path) -> None:
    store = make_store(tmp_path / "s", 4)
    for wrong in ({"alpha": 0.0}, {"alpha": 2.0}, {"method": "holm"}, {"family": "lobe"}):
        with pytest.raises(UsageError) as caught:
            adjust(store, **wrong)  # type: ignore[arg-type]
        assert str(next(iter(wrong.values()))) in str(caught.value)
    with pytest.raises(InputError, match="nobody"):
        adjust(store, traits=["nobody"])
    with pytest.raises(InputError, match="Spleen"):
        adjust(store, tissues=["Spleen"])
    with pytest.raises(InputError, match="no trait"):
        adjust(store, traits=[])


@pytest.mark.parametrize("kind", ["z", "effect"])
def test_refuses_a_store_that_is_not_complete(tmp_path: Path, kind: str) -> None:
    store = make_store(tmp_path / "s", 4)
    next((tmp_path / "s").rglob(f"00001.{kind}.arrow")).unlink()
    with pytest.raises(InputError, match="not computed"):
        _ = adjust(store).table  # looked up only here
