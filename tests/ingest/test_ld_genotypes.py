"""Covariances from genotype files: against numpy.cov, through text and stores, and on real genotypes."""

from __future__ import annotations

import gzip
import itertools
import logging
import tracemalloc
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from gputwas.errors import InputError, UsageError
from gputwas.formats.covariance import read_covariances
from gputwas.formats.genotypes.open import open_genotypes
from gputwas.ingest import ld_outputs, ld_units
from gputwas.ingest.gene_ld import read_gene_ld
from gputwas.ingest.ld_genotypes import LdOutputs, Quality, covariance_from_genotypes
from gputwas.ingest.models import import_models
from gputwas.kernels import library
from gputwas.stores.gene_ld import read_gene_ld_store
from gputwas.stores.models import ModelSet, read_models_store
from tests.ingest.made_genotypes import ModelRow, made_dosages, variants, write_database, write_plink

pytest.importorskip("bed_reader")

TOLERANCE = 1e-12  # float64, relative to the product of the two standard deviations


@dataclass(frozen=True)
class Made:
    """Two tissues' models on made genotypes; the second turns some alleles."""

    folder: Path
    bed: Path
    databases: list[Path]
    rows: list[list[ModelRow]]
    dosages: np.ndarray
    row_of: dict[str, int]
    counted: list[str]  # allele that the genotypes count, by row


SNPS, SAMPLES = 60, 50


Texts = Sequence[str]


def models_on(
    rng: np.random.Generator, ids: Texts, effect: Texts, other: Texts, genes: int, most: int = 8
) -> list[ModelRow]:
    """Models of neighbouring variants; a third of the weights are of the allele the panel does not count."""
    rows: list[ModelRow] = []
    for gene in range(genes):
        start = int(rng.integers(0, len(ids) - 2 * most))
        for snp in start + rng.choice(2 * most, int(rng.integers(1, most + 1)), replace=False):
            pair = (effect[snp], other[snp])
            if rng.random() < 0.33:
                pair = pair[::-1]
            rows.append((f"ENSG{gene:03d}", ids[snp], float(rng.normal()), *pair))
    return rows


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    folder = tmp_path_factory.mktemp("made")
    rng = np.random.default_rng(11)
    dosages = made_dosages(rng, SNPS, SAMPLES, missing=0.02)
    dosages[7] = dosages[6]  # perfect LD
    ids = [f"rs{i}" for i in range(SNPS)]
    pairs = [("A", "G"), ("C", "T"), ("A", "T"), ("G", "C")]
    effect, other = zip(*(pairs[i % 4] for i in range(SNPS)), strict=True)
    table = variants([(ids[i], str(1 + i // 30), 1000 + i, effect[i], other[i]) for i in range(SNPS)])
    bed = write_plink(folder / "panel", dosages, table)
    rows = [models_on(rng, ids, effect, other, 12) for _ in range(2)]
    rows[0] += [("ENSG900", ids[6], 1.0, *pairs[2]), ("ENSG900", ids[7], -1.0, *pairs[3])]  # nearly singular
    rows[1] += [("ENSG901", "rs999", 1.0, "A", "G"), ("ENSG902", ids[0], 1.0, "A", "C")]  # none left
    (folder / "db").mkdir()
    databases = [
        write_database(folder / "db" / f"JTI_{name}.db", r)
        for name, r in zip(("Liver", "Lung"), rows, strict=True)
    ]
    return Made(folder, bed, databases, rows, dosages, {name: i for i, name in enumerate(ids)}, list(effect))


def filled(dosages: np.ndarray) -> np.ndarray:
    return np.where(np.isnan(dosages), np.nanmean(dosages, axis=1, keepdims=True), dosages)


def check_store(store: ModelSet, dosages: np.ndarray, row_of: dict[str, int], counted: list[str]) -> int:
    """Compare every model's LD with numpy.cov of its panel's effect alleles; returns the pairs compared."""
    ids = store.panel["variant_id"].to_pylist()
    effect = store.panel["effect_allele"].to_pylist()
    pairs = 0
    for model in range(store.n_models):
        size = int(store.n_in_ld[model])
        if not size:
            continue
        snps = store.variants[store.offsets[model] : store.offsets[model] + size]
        genotypes = [
            dosages[row_of[ids[snp]]]
            if counted[row_of[ids[snp]]] == effect[snp]
            else 2 - dosages[row_of[ids[snp]]]
            for snp in snps
        ]
        want = np.cov(genotypes).reshape(size, size)
        sd = np.sqrt(np.diag(want))
        assert np.all(np.abs(store.ld_matrix(model) - want) <= TOLERANCE * np.outer(sd, sd))
        pairs += size**2
    return pairs


def same_arrays(one: ModelSet, two: ModelSet) -> None:
    for name in ("offsets", "variants", "weights", "n_in_ld", "ld_offsets", "ld"):
        assert getattr(one, name).tobytes() == getattr(two, name).tobytes(), name
    assert one.panel.equals(two.panel)
    var_g = "var_g"  # summed in another order where the file is read another way
    np.testing.assert_allclose(
        one.models[var_g].to_numpy(), two.models[var_g].to_numpy(), rtol=1e-13, atol=1e-14
    )
    assert one.models.drop_columns([var_g]).equals(two.models.drop_columns([var_g]))


def test_store_text_and_numpy_agree(made: Made, tmp_path: Path) -> None:
    outputs = LdOutputs(store=tmp_path / "models", text=tmp_path / "text")
    report = covariance_from_genotypes(made.databases, made.bed, outputs, backend="numpy")
    store = read_models_store(tmp_path / "models")
    assert store.tissues == ["Liver", "Lung"]
    assert check_store(store, filled(made.dosages), made.row_of, made.counted) > 300
    import_models(made.databases, tmp_path / "text", tmp_path / "imported", allow_missing_ld=True)
    same_arrays(store, read_models_store(tmp_path / "imported"))

    by_tissue = {tissue.tissue: tissue for tissue in report.tissues}
    assert [t.weights for t in report.tissues] == [len({r[:2] for r in rows}) for rows in made.rows]
    assert (by_tissue["Lung"].not_in_panel, by_tissue["Lung"].other_alleles) == (1, 1)
    assert by_tissue["Lung"].models_without_ld == 2
    assert by_tissue["Liver"].models_without_ld == 0
    for tissue, rows in zip(report.tissues, made.rows, strict=True):
        assert tissue.used + (tissue.not_in_panel or 0) + (tissue.other_alleles or 0) == tissue.weights
        turned = {(g, s) for g, s, _, e, _ in rows if s in made.row_of and e != made.counted[made.row_of[s]]}
        assert tissue.turned == len(turned - {("ENSG902", "rs0")})
    assert (report.by, report.samples) == ("id", SAMPLES)


@pytest.mark.library
def test_the_store_is_the_same_without_the_compiled_library(
    made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stores = []
    for name in ("compiled", "plain"):
        if name == "plain":
            monkeypatch.setenv(library.OFF, "0")
        outputs = LdOutputs(store=tmp_path / name, text=tmp_path / f"{name}_text")
        covariance_from_genotypes(made.databases, made.bed, outputs, backend="numpy")
        stores.append(read_models_store(tmp_path / name))
    same_arrays(*stores)
    texts = [(tmp_path / f"{name}_text" / "Lung.txt.gz").read_bytes() for name in ("compiled", "plain")]
    assert texts[0] == texts[1]


def test_perfect_ld_has_a_singular_covariance_and_no_negative_variance(made: Made, tmp_path: Path) -> None:
    covariance_from_genotypes(made.databases[:1], made.bed, LdOutputs(store=tmp_path / "m"), backend="numpy")
    store = read_models_store(tmp_path / "m")
    model = store.models["gene"].to_pylist().index("ENSG900")
    matrix = store.ld_matrix(model)
    sign = np.sign(matrix[0, 1])
    np.testing.assert_allclose(matrix * np.array([[1, sign], [sign, 1]]), matrix[0, 0], rtol=1e-12)
    weights = store.weights[store.offsets[model] : store.offsets[model + 1]]
    want = weights @ matrix @ weights
    assert abs(store.models["var_g"][model].as_py() - want) <= 1e-12 * matrix[0, 0]


def test_backends_agree(made: Made, tmp_path: Path) -> None:
    stores = []
    for backend in (
        "numpy",
        "array_api_strict",
    ):  # the groups' own tests take all, which jax compiles for long
        pytest.importorskip(backend)
        out = LdOutputs(store=tmp_path / backend)
        covariance_from_genotypes(made.databases, made.bed, out, backend=backend, memory="200MB")
        stores.append(read_models_store(tmp_path / backend))
    for other in stores[1:]:
        np.testing.assert_allclose(other.ld, stores[0].ld, rtol=0, atol=1e-13)


def union_rows(made: Made) -> dict[str, dict[str, str]]:
    """gene -> SNP -> effect allele in the first tissue that has it, of SNPs that the panel has."""
    first: dict[str, str] = {}
    for _, snp, _, effect, _ in itertools.chain(*made.rows):
        first.setdefault(snp, effect)
    genes: dict[str, dict[str, str]] = {}
    for gene, snp, *_ in itertools.chain(*made.rows):
        if snp in made.row_of and (gene, snp) != ("ENSG902", "rs0"):
            genes.setdefault(gene, {})[snp] = first[snp]
    return genes


def test_across_tissues_as_store_and_text(
    made: Made, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    report = covariance_from_genotypes(
        made.databases, made.bed, LdOutputs(cross_tissue=tmp_path / "gene_ld"), backend="numpy"
    )
    with caplog.at_level(logging.WARNING, logger="gputwas"):
        text = tmp_path / "snp_covariance.txt.gz"
        covariance_from_genotypes(made.databases, made.bed, LdOutputs(cross_tissue=text), backend="numpy")
    assert "count different alleles" in caplog.text
    want = union_rows(made)
    gene_ld = read_gene_ld_store(tmp_path / "gene_ld")
    assert report.genes == gene_ld.n_genes == len(want)
    assert gene_ld.genes["gene"].to_pylist() == sorted(want)
    ids, effect = (gene_ld.panel[name].to_pylist() for name in ("variant_id", "effect_allele"))
    dosages = filled(made.dosages)
    rows = read_covariances(text)
    names = rows.snps.to_pylist()
    values = {
        (gene, frozenset((names[rows.id1[i]], names[rows.id2[i]]))): rows.values[i]
        for number, gene in enumerate(rows.genes)
        for i in range(rows.offsets[number], rows.offsets[number + 1])
    }
    for number, gene in enumerate(sorted(want)):
        snps = gene_ld.of_gene(number).tolist()
        assert {ids[snp] for snp in snps} == set(want[gene])
        made_rows = [made.row_of[ids[snp]] for snp in snps]
        assert made_rows == sorted(made_rows), "genome order"
        genotypes = [
            dosages[row] if made.counted[row] == effect[snp] else 2 - dosages[row]
            for row, snp in zip(made_rows, snps, strict=True)
        ]
        expected = np.cov(genotypes).reshape(len(snps), len(snps))
        got = gene_ld.matrix(number)
        sd = np.sqrt(np.diag(expected))
        assert np.all(np.abs(got - expected) <= TOLERANCE * np.outer(sd, sd))
        for i, j in itertools.combinations_with_replacement(range(len(snps)), 2):
            assert values[gene, frozenset((ids[snps[i]], ids[snps[j]]))] == got[i, j]
    assert gzip.decompress(text.read_bytes()).startswith(b"GENE\tRSID1\tRSID2\tVALUE\n")


def test_covariances_across_tissues_need_not_fit_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They go from block to disk; what Python and NumPy hold at once is less than all of them."""
    genes, size = 40, 200
    dosages = made_dosages(np.random.default_rng(2), genes * size, 20)
    table = variants([(f"rs{i}", "1", i, "A", "G") for i in range(len(dosages))])
    bed = write_plink(tmp_path / "panel", dosages, table)
    pairs = [("A", "G"), ("G", "A")]
    rows = [(f"g{999 - i // size}", f"rs{i}", 1.0, *pairs[i % 2]) for i in range(len(dosages))]
    databases = [write_database(tmp_path / f"JTI_{i}.db", rows[i::2]) for i in range(2)]
    monkeypatch.setattr(ld_units, "_BLOCK_VALUES", 1 << 14)
    monkeypatch.setattr(ld_outputs, "_CELLS_AT_A_TIME", 1 << 15)
    tracemalloc.start()
    try:
        covariance_from_genotypes(databases, bed, LdOutputs(cross_tissue=tmp_path / "ld"), backend="numpy")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    gene_ld = read_gene_ld_store(tmp_path / "ld")
    assert gene_ld.genes["gene"].to_pylist() == [f"g{960 + i}" for i in range(genes)]
    assert peak < gene_ld.ld.nbytes == 8 * genes * size * (size + 1) // 2
    effect = np.array(gene_ld.panel["effect_allele"].to_pylist())
    for number in (0, 17, genes - 1):
        snps = gene_ld.of_gene(number)
        rows_of = [int(gene_ld.panel["variant_id"][int(snp)].as_py()[2:]) for snp in snps]
        sign = np.where(effect[snps] == "A", 1, -1)
        want = np.cov(dosages[rows_of] * sign[:, None])
        sd = np.sqrt(np.diag(want))
        assert np.all(np.abs(gene_ld.matrix(number) - want) <= TOLERANCE * np.outer(sd, sd))
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "JTI_0.db", "JTI_1.db", "ld", "panel.bed", "panel.bim", "panel.fam"
    ]  # fmt: skip


def test_two_variants_of_one_id_in_a_gene(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    dosages = made_dosages(np.random.default_rng(1), 3, 40)
    table = variants([("rs1", "1", 5, "A", "G"), ("rs1", "1", 5, "C", "G"), ("rs2", "1", 9, "A", "G")])
    bed = write_plink(tmp_path / "panel", dosages, table)
    databases = [
        write_database(tmp_path / "JTI_A.db", [("g1", "rs1", 1.0, "A", "G"), ("g1", "rs2", 1.0, "A", "G")]),
        write_database(tmp_path / "JTI_B.db", [("g1", "rs1", 1.0, "C", "G")]),
    ]
    text = tmp_path / "cross.txt"
    with caplog.at_level(logging.WARNING, logger="gputwas"):
        covariance_from_genotypes(databases, bed, LdOutputs(cross_tissue=text), backend="numpy")
    assert "1 SNPs have the id of another SNP" in caplog.text
    rows = read_covariances(text)
    np.testing.assert_allclose(rows.values, np.cov(dosages[[0, 2]])[np.triu_indices(2)], rtol=1e-12)
    covariance_from_genotypes(databases, bed, LdOutputs(cross_tissue=tmp_path / "ld"), backend="numpy")
    np.testing.assert_allclose(read_gene_ld_store(tmp_path / "ld").matrix(0), np.cov(dosages), rtol=1e-12)


def test_samples_choose_an_ancestry(made: Made, tmp_path: Path) -> None:
    chosen = list(range(3, 40, 2))
    keep = tmp_path / "keep.txt"
    keep.write_text("".join(f"s{i}\n" for i in chosen))
    outputs = LdOutputs(store=tmp_path / "m")
    report = covariance_from_genotypes(
        made.databases, made.bed, outputs, samples=keep, quality=Quality(max_missing=1.0), backend="numpy"
    )
    assert report.samples == len(chosen)
    store = read_models_store(tmp_path / "m")
    assert check_store(store, filled(made.dosages[:, chosen]), made.row_of, made.counted) > 300


def test_done_again_only_for_other_files_or_options(made: Made, tmp_path: Path) -> None:
    outputs = LdOutputs(store=tmp_path / "m", cross_tissue=tmp_path / "ld")
    covariance_from_genotypes(made.databases, made.bed, outputs, backend="numpy")
    before = (tmp_path / "m" / "ld.arrow").stat().st_mtime_ns
    again = covariance_from_genotypes(made.databases, made.bed, outputs, backend="numpy")
    assert again.already_there
    assert again.tissues[0].used > 0
    assert (tmp_path / "m" / "ld.arrow").stat().st_mtime_ns == before
    quality = Quality(maf=0.3)
    with pytest.raises(InputError, match="maf"):
        covariance_from_genotypes(made.databases, made.bed, outputs, quality=quality, backend="numpy")
    over = LdOutputs(store=tmp_path / "m", cross_tissue=tmp_path / "ld", overwrite=True)
    report = covariance_from_genotypes(made.databases, made.bed, over, quality=quality, backend="numpy")
    assert not report.already_there
    assert (report.tissues[0].below_maf or 0) > 0


def test_text_is_made_anew_beside_a_finished_store(made: Made, tmp_path: Path) -> None:
    covariance_from_genotypes(made.databases, made.bed, LdOutputs(store=tmp_path / "m"), backend="numpy")
    both = LdOutputs(store=tmp_path / "m", text=tmp_path / "a" / "text", digits=4)
    report = covariance_from_genotypes(made.databases, made.bed, both, backend="numpy")
    assert not report.already_there
    lines = gzip.decompress((tmp_path / "a" / "text" / "Liver.txt.gz").read_bytes()).decode().split("\n")
    assert lines[0] == "GENE RSID1 RSID2 VALUE"
    numbers = [line.split()[3] for line in lines[1:-1]]
    assert numbers == [f"{float(number):.4g}" for number in numbers]


def test_nothing_to_write_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="--out, --text or --cross-tissue"):
        LdOutputs()


def test_real_genotypes(kg_eur: Path, tmp_path: Path) -> None:
    """Models on 1000 Genomes Europeans: numpy.cov to 1e-12, and the text's round trip."""
    bed = kg_eur / "kg_eur.bed"
    panel = open_genotypes(bed)
    table = panel.variants
    rng = np.random.default_rng(12)
    ids, effect, other = (table[name].to_pylist() for name in ("variant_id", "effect_allele", "other_allele"))
    part = slice(20_000, 24_000)
    rows = models_on(rng, ids[part], effect[part], other[part], 60, most=60)
    database = write_database(tmp_path / "JTI_Liver.db", rows)
    outputs = LdOutputs(store=tmp_path / "m", text=tmp_path / "text")
    report = covariance_from_genotypes(database, bed, outputs, backend="numpy")
    tissue = report.tissues[0]
    store = read_models_store(tmp_path / "m")
    wanted = {row[1] for row in rows}
    row_of = {name: i for i, name in enumerate(ids) if name in wanted}
    used = np.array(sorted(row_of.values()))
    dosages = np.zeros((used.max() + 1, len(panel.samples)))
    dosages[used] = filled(panel.dosages(used))
    assert check_store(store, dosages, row_of, effect) > 50_000
    assert tissue.used + (tissue.no_variance or 0) + (tissue.duplicate or 0) == tissue.weights
    import_models(database, tmp_path / "text" / "Liver.txt.gz", tmp_path / "imported", allow_missing_ld=True)
    same_arrays(store, read_models_store(tmp_path / "imported"))


def test_cross_tissue_text_is_read_as_the_store_it_could_have_been(made: Made, tmp_path: Path) -> None:
    """Both ways to S-MultiXcan end in the same covariances of the same variants of the models' panel."""
    outputs = LdOutputs(store=tmp_path / "m", cross_tissue=tmp_path / "ld")
    covariance_from_genotypes(made.databases, made.bed, outputs, backend="numpy")
    text = tmp_path / "cross.txt.gz"
    covariance_from_genotypes(made.databases, made.bed, LdOutputs(cross_tissue=text), backend="numpy")
    models = read_models_store(tmp_path / "m")
    direct, by_text = (read_gene_ld(path, models) for path in (tmp_path / "ld", text))
    assert direct.panel.equals(models.panel)
    assert set(by_text.genes["gene"].to_pylist()) == set(direct.genes["gene"].to_pylist())
    for number, gene in enumerate(direct.genes["gene"].to_pylist()):
        other = by_text.genes["gene"].to_pylist().index(gene)
        order, turned = np.argsort(direct.of_gene(number)), np.argsort(by_text.of_gene(other))
        assert direct.of_gene(number)[order].tolist() == by_text.of_gene(other)[turned].tolist()
        one, two = direct.matrix(number)[np.ix_(order, order)], by_text.matrix(other)[np.ix_(turned, turned)]
        np.testing.assert_array_equal(one, two)


def test_vcf_gives_what_plink_gives(made: Made, tmp_path: Path) -> None:
    """REF and ALT the other way round than A1 and A2, so that every SNP is turned."""
    pytest.importorskip("cyvcf2")
    panel = open_genotypes(made.bed)
    calls = {0.0: "1/1", 1.0: "0/1", 2.0: "0/0"}  # REF is A1 here
    lines = ["##fileformat=VCFv4.2", '##FORMAT=<ID=GT,Number=1,Type=String,Description="Genotype">']
    lines += [f"##contig=<ID={name}>" for name in ("1", "2")]
    columns = ["#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO", "FORMAT"]
    lines.append("\t".join(columns + panel.samples))
    for row, dosages in zip(panel.variants.to_pylist(), made.dosages, strict=True):
        fixed = [row["chromosome"], str(row["position"]), row["variant_id"], row["effect_allele"],
                 row["other_allele"], ".", "PASS", ".", "GT"]  # fmt: skip
        lines.append("\t".join(fixed + [calls.get(dosage, "./.") for dosage in dosages.tolist()]))
    vcf = tmp_path / "panel.vcf"
    vcf.write_text("\n".join(lines) + "\n")
    stores = []
    for name, path in (("plink", made.bed), ("vcf", vcf)):
        covariance_from_genotypes(made.databases, path, LdOutputs(store=tmp_path / name), backend="numpy")
        stores.append(read_models_store(tmp_path / name))
    assert stores[0].n_in_ld.tolist() == stores[1].n_in_ld.tolist()
    np.testing.assert_allclose(stores[1].ld, stores[0].ld, rtol=0, atol=1e-14)
