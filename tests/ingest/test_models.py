"""Packed models are what a plain reading of the database and the covariance gives, SNP by SNP."""

from __future__ import annotations

import dataclasses
import gzip
import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gputwas.errors import InputError, UsageError
from gputwas.formats.covariance import Covariances, read_covariances
from gputwas.formats.metaxcan import read_associations
from gputwas.formats.predictdb import TissueModels, read_models, write_models
from gputwas.ingest.models import import_models, pack_models, read_gene_table
from gputwas.ingest.models_pairs import find_databases, pair_files
from gputwas.stores.models import ModelSet, check_model_set, read_models_store

Row = tuple[str, str, float, str, str]  # gene, SNP, weight, effect allele, other allele
CovarianceRow = tuple[str, str, str, float]


def tissue(rows: Sequence[Row], *, name: str = "Liver", genes: Sequence[str] | None = None) -> TissueModels:
    ids = sorted({row[0] for row in rows} if genes is None else genes)
    columns = list(zip(*rows, strict=True)) if rows else [()] * 5
    numbers = pa.array([i / 8 for i in range(len(ids))], pa.float64())
    extra = pa.table(
        {
            "gene": pa.array(ids, pa.string()),
            "gene_name": pa.array([gene.upper() for gene in ids], pa.string()),
            "n_snps_in_model": pa.array([sum(row[0] == gene for row in rows) for gene in ids], pa.int64()),
            "pred_perf_r2": numbers,
            "pred_perf_pval": numbers,
            "pred_perf_qval": numbers,
        }
    )
    weights = pa.table(
        {
            "gene": pa.array(columns[0], pa.string()),
            "variant_id": pa.array(columns[1], pa.string()),
            "weight": pa.array(columns[2], pa.float64()),
            "effect_allele": pa.array(columns[3], pa.string()),
            "other_allele": pa.array(columns[4], pa.string()),
        }
    )
    return TissueModels(name, f"{name}.db", extra, weights)


def covariance(rows: Sequence[CovarianceRow]) -> Covariances:
    """Rows of a gene must follow each other."""
    genes = list(dict.fromkeys(row[0] for row in rows))
    snps = list(dict.fromkeys(snp for row in rows for snp in row[1:3]))
    counts = [sum(row[0] == gene for row in rows) for gene in genes]
    return Covariances(
        "cov.txt",
        genes,
        np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        pa.array(snps, pa.string()),
        np.array([snps.index(row[1]) for row in rows], dtype=np.int32),
        np.array([snps.index(row[2]) for row in rows], dtype=np.int32),
        np.array([row[3] for row in rows], dtype=np.float64),
    )


def entries_of(models: ModelSet, model: int) -> list[tuple[str, frozenset[str], float, str]]:
    """SNP, alleles, weight and effect allele of each entry of a model."""
    inside = slice(int(models.offsets[model]), int(models.offsets[model + 1]))
    panel = models.panel.take(pa.array(models.variants[inside])).to_pylist()
    return [
        (row["variant_id"], frozenset((row["effect_allele"], row["other_allele"])), w, row["effect_allele"])
        for row, w in zip(panel, models.weights[inside].tolist(), strict=True)
    ]


SIMPLE = [("g1", "rs1", 0.5, "A", "G"), ("g1", "rs2", -0.25, "C", "T"), ("g2", "rs3", 1.0, "G", "A")]
SIMPLE_COVARIANCE = [
    ("g1", "rs2", "rs2", 0.4),
    ("g1", "rs2", "rs1", 0.1),
    ("g1", "rs1", "rs1", 0.3),
    ("g2", "rs3", "rs3", 0.2),
]


def test_one_tissue_by_hand() -> None:
    models, report = pack_models([(tissue(SIMPLE), covariance(SIMPLE_COVARIANCE))])
    check_model_set(models)
    assert models.panel.to_pydict() == {
        "variant_id": ["rs1", "rs2", "rs3"],
        "chromosome": [None] * 3,
        "position": [None] * 3,
        "effect_allele": ["A", "C", "G"],
        "other_allele": ["G", "T", "A"],
    }
    assert models.offsets.tolist() == [0, 2, 3]
    assert models.variants.tolist() == [1, 0, 2]  # order of first appearance as RSID1
    assert models.weights.tolist() == [-0.25, 0.5, 1.0]
    assert models.n_in_ld.tolist() == [2, 1]
    assert models.ld_offsets.tolist() == [0, 3, 4]
    assert models.ld.tolist() == [0.4, 0.1, 0.3, 0.2]
    var_g = 0.25**2 * 0.4 + 0.5**2 * 0.3 - 2 * 0.25 * 0.5 * 0.1
    np.testing.assert_allclose(models.models["var_g"].to_numpy(), [var_g, 0.2], rtol=1e-15)
    assert models.models["n_snps_in_cov"].to_pylist() == [2, 1]
    assert models.models["gene_name"].to_pylist() == ["G1", "G2"]
    assert models.models["phi"].to_pylist() == [None, None]
    counts = report.tissues[0]
    assert (counts.models, counts.weights, counts.snps, counts.snps_without_ld) == (2, 3, 3, 0)


def plain_model(
    rows: list[Row], covariances: list[CovarianceRow]
) -> tuple[dict[str, Row], list[str], dict[tuple[str, str], float], int | None]:
    """What the reference makes of a gene: last weight per SNP, SNPs in LD in order, values, n_snps_in_cov."""
    last = {row[1]: row for row in rows}
    values: dict[tuple[str, str], float] = {}
    first_ids = []
    for _, one, two, value in covariances:
        if value == value and one in last and two in last:
            values[one, two] = values[two, one] = value
    diagonal = {snp for snp in last if (snp, snp) in values}
    for _, one, two, value in covariances:
        if value == value and one in diagonal and two in diagonal and one not in first_ids:
            first_ids.append(one)
    n_in_cov = len({one for _, one, _, value in covariances if value == value}) if covariances else None
    return last, first_ids, values, n_in_cov


def random_tissue(rng: np.random.Generator, name: str) -> tuple[TissueModels, list[Row], list[CovarianceRow]]:
    """Genes that share SNPs, repeat some, turn some alleles; covariances with gaps, NA and foreign SNPs."""
    rows: list[Row] = []
    covariances: list[CovarianceRow] = []
    for gene in (f"g{i}" for i in range(int(rng.integers(1, 6)))):
        snps = [f"rs{i}" for i in rng.choice(14, int(rng.integers(1, 8)))]  # with repeats
        for snp in snps:
            pair = [("A", "G"), ("G", "A"), ("A", "C")][rng.choice(3, p=[0.5, 0.4, 0.1])]
            rows.append((gene, snp, float(rng.normal()), *pair))
        known = [snp for snp in dict.fromkeys(snps) if rng.random() < 0.8] + ["foreign"]
        rng.shuffle(known)
        gaps = {snp for snp in known if rng.random() < 0.15}
        square = rng.normal(size=(len(known), len(known) + 2))
        gamma = square @ square.T
        of_gene = [
            (gene, known[i], known[j], np.nan if {known[i], known[j]} & gaps else gamma[i, j])
            for i in range(len(known))
            for j in range(i, len(known))
        ]
        rng.shuffle(of_gene)  # type: ignore[arg-type]
        if rng.random() < 0.9:
            covariances.extend((g, a, b, float(v)) for g, a, b, v in of_gene)
    order = rng.permutation(len(rows))
    rows = [rows[i] for i in order]
    return tissue(rows, name=name), rows, covariances


def in_triangles(sizes: dict[str, int], genes: Sequence[str]) -> list[CovarianceRow]:
    """Upper triangles of genes of so many SNPs, in this order of the genes."""
    return [
        (gene, f"rs{gene}{i}", f"rs{gene}{j}", 1.0 + i if i == j else (i + 1) / (j + 7))
        for gene in genes
        for i in range(sizes[gene])
        for j in range(i, sizes[gene])
    ]


@pytest.mark.parametrize("lacking", [(), (2,), (0, 7), (9,)], ids=str)
def test_triangles_in_order_are_packed_as_any_others(lacking: tuple[int, ...]) -> None:
    sizes = {"a": 3, "b": 1, "c": 4}
    # the other allele's weight for every second SNP, so that signs are turned between the tissues
    rows: list[Row] = [
        (gene, f"rs{gene}{i}", 0.1 + i, "AG"[i % 2], "GA"[i % 2])
        for gene in sizes
        for i in range(sizes[gene])
    ]
    turned: list[Row] = [(gene, snp, -w, other, effect) for gene, snp, w, effect, other in rows]
    ordered = in_triangles(sizes, "abc")
    without = [ordered[k] for k in lacking if ordered[k][1] == ordered[k][2]]  # variances, so whole SNPs
    gone = {(gene, snp) for gene, snp, *_ in without}

    def packed(genes: str) -> ModelSet:
        kept = [
            row
            for row in in_triangles(sizes, genes)
            if (row[0], row[1]) not in gone and (row[0], row[2]) not in gone
        ]
        sources = [(tissue(rows, name="T"), covariance(kept)), (tissue(turned, name="U"), covariance(kept))]
        return pack_models(sources, allow_missing_ld=True)[0]

    in_order, backwards = packed("abc"), packed("cab")
    assert in_order.digest == backwards.digest
    number = {(g, i, j): v for g, i, j, v in ordered}
    first = in_order.ld[: int(in_order.ld_offsets[1])]
    present = [f"rsa{i}" for i in range(3) if ("a", f"rsa{i}") not in gone]
    wanted = [number["a", one, two] for k, one in enumerate(present) for two in present[k:]]
    np.testing.assert_array_equal(first, wanted)  # the first tissue gives the panel its alleles


@given(seed=st.integers(0, 2**32 - 1))
def test_agrees_with_a_plain_reading(seed: int) -> None:
    rng = np.random.default_rng(seed)
    made = [random_tissue(rng, f"T{t}") for t in range(3)]
    with_ld = []
    for models, rows, covariances in made:
        try:
            pack_models([(models, covariance(covariances))], allow_missing_ld=True)
        except InputError as error:  # by chance no SNP of the tissue has LD
            assert "belongs to other models" in str(error)
            continue
        with_ld.append((models, rows, covariances))
    if not with_ld:
        return
    packed, _ = pack_models([(m, covariance(c)) for m, _, c in with_ld], allow_missing_ld=True)
    check_model_set(packed)
    wanted = [(m.tissue, gene, rows, c) for m, rows, c in with_ld for gene in sorted({r[0] for r in rows})]
    assert list(zip(*(packed.models[k].to_pylist() for k in ("tissue", "gene")), strict=True)) == [
        w[:2] for w in wanted
    ]
    for number, (_, gene, rows, covariances) in enumerate(wanted):
        last, in_ld, values, n_in_cov = plain_model(
            [row for row in rows if row[0] == gene], [row for row in covariances if row[0] == gene]
        )
        found = entries_of(packed, number)
        assert {snp for snp, *_ in found} == set(last)
        assert packed.n_in_ld[number] == len(in_ld)
        assert [snp for snp, *_ in found[: len(in_ld)]] == in_ld
        sign = {}
        for snp, alleles, weight, effect in found:
            _, _, w, e, o = last[snp]
            assert alleles == {e, o}
            sign[snp] = 1 if effect == e else -1
            assert weight == sign[snp] * w
        gamma = np.array([[values[a, b] for b in in_ld] for a in in_ld]).reshape(len(in_ld), len(in_ld))
        turn = np.array([sign[snp] for snp in in_ld])
        np.testing.assert_array_equal(packed.ld_matrix(number), gamma * np.outer(turn, turn))
        weights = np.array([last[snp][2] for snp in in_ld])
        var_g = float(weights @ gamma @ weights) if in_ld else np.nan
        np.testing.assert_allclose(packed.models["var_g"][number].as_py(), var_g, rtol=1e-9)
        assert packed.models["n_snps_in_cov"][number].as_py() == n_in_cov


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_turning_alleles_of_a_later_tissue_changes_nothing(seed: int) -> None:
    rng = np.random.default_rng(seed)
    rows = [(f"g{i // 4}", f"rs{i}", float(rng.normal()), "A", "G") for i in range(12)]
    ids = [[row[1] for row in rows if row[0] == f"g{g}"] for g in range(3)]
    gammas = [np.cov(rng.normal(size=(4, 9))) for _ in ids]
    turned = {row[1]: float(rng.choice([-1, 1])) for row in rows}

    def covariances(sign: dict[str, float]) -> Covariances:
        return covariance(
            [
                (f"g{g}", snps[i], snps[j], sign[snps[i]] * sign[snps[j]] * gammas[g][i, j])
                for g, snps in enumerate(ids)
                for i in range(4)
                for j in range(i, 4)
            ]
        )

    straight = covariances(dict.fromkeys(turned, 1.0))
    other = [(g, snp, w, e, o) if turned[snp] > 0 else (g, snp, -w, o, e) for g, snp, w, e, o in rows]
    first = (tissue(rows, name="First"), straight)
    one, _ = pack_models([first, (tissue(rows, name="Second"), straight)])
    two, report = pack_models([first, (tissue(other, name="Second"), covariances(turned))])
    assert two.digest == one.digest
    assert report.tissues[1].turned == sum(sign < 0 for sign in turned.values())


def test_genes_without_weights_and_weights_without_genes(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        models, report = pack_models([(tissue(SIMPLE, genes=["g0", "g2"]), covariance(SIMPLE_COVARIANCE))])
    assert models.models["gene"].to_pylist() == ["g2"]
    assert report.tissues[0].genes_without_weights == 1
    assert report.tissues[0].weights_left_out == 2
    assert "2 weights belong to genes that table extra does not list" in caplog.text


def test_snp_absent_from_the_covariance() -> None:
    rows = [*SIMPLE, ("g2", "rs9", 0.1, "A", "G"), ("g3", "rs8", 0.1, "A", "G")]
    sources = [(tissue(rows), covariance(SIMPLE_COVARIANCE))]
    with pytest.raises(
        InputError, match=r"Liver: 2 SNPs of 2 of the 3 .* rs9 of gene g2.*--allow-missing-ld"
    ):
        pack_models(sources)
    models, report = pack_models(sources, allow_missing_ld=True)
    assert models.n_in_ld.tolist() == [2, 1, 0]
    assert entries_of(models, 1)[1][0] == "rs9"  # behind the SNPs in LD
    assert models.models["n_snps_in_cov"].to_pylist() == [2, 1, None]
    assert np.isnan(models.models["var_g"][2].as_py())
    assert (report.tissues[0].snps_without_ld, report.tissues[0].models_without_ld) == (2, 1)
    assert any("2 SNPs are not in the covariance" in text for text in report.warnings)


@pytest.mark.parametrize("allow", [False, True])
def test_covariance_of_other_models(allow: bool) -> None:
    rows = [(g, snp.replace("rs", "chr1_1000") + "_A_G_b38", w, e, o) for g, snp, w, e, o in SIMPLE]
    with pytest.raises(InputError, match=r"belongs to other models.*rs2.*chr1_10001_A_G_b38"):
        pack_models([(tissue(rows), covariance(SIMPLE_COVARIANCE))], allow_missing_ld=allow)


@pytest.mark.parametrize("value", [None, np.nan])
def test_missing_covariance_of_a_pair(value: float | None) -> None:
    rows = [row for row in SIMPLE_COVARIANCE if row[1:3] != ("rs2", "rs1")]
    if value is not None:
        rows.insert(0, ("g1", "rs2", "rs1", value))
    with pytest.raises(InputError, match="Liver, gene g1: the covariance of rs2 and rs1 is absent or NA"):
        pack_models([(tissue(SIMPLE), covariance(rows))], allow_missing_ld=True)


def test_n_snps_in_cov_counts_first_ids_with_a_value() -> None:
    rows = [
        *SIMPLE_COVARIANCE[:3],
        ("g1", "rs1", "rs7", 0.1),
        ("g1", "rs8", "rs8", np.nan),
        SIMPLE_COVARIANCE[3],
    ]
    models, _ = pack_models([(tissue(SIMPLE), covariance(rows))])
    assert models.models["n_snps_in_cov"].to_pylist() == [2, 1]  # not rs7 (only second), not rs8 (NA)


def test_negative_variance_of_a_snp() -> None:
    rows = [*SIMPLE_COVARIANCE[:3], ("g2", "rs3", "rs3", -0.2)]
    with pytest.raises(InputError, match="variance of rs3 in gene g2 is negative"):
        pack_models([(tissue(SIMPLE), covariance(rows))])


def test_var_g_that_is_not_positive_is_counted() -> None:
    rows = [("g1", "rs1", 1.0, "A", "G"), ("g1", "rs2", -1.0, "A", "G"), ("g2", "rs3", 1.0, "A", "G")]
    rounded = [("g1", "rs1", "rs1", 0.1), ("g1", "rs1", "rs2", 0.101), ("g1", "rs2", "rs2", 0.1)]
    models, report = pack_models([(tissue(rows), covariance([*rounded, ("g2", "rs3", "rs3", 0.5)]))])
    np.testing.assert_allclose(models.models["var_g"].to_numpy(), [-0.002, 0.5])
    assert report.tissues[0].no_variance == 1
    assert any("var_g of 1 of 2 models" in text for text in report.warnings)
    with pytest.raises(InputError, match="var_g of every model of Liver is zero or negative"):
        pack_models([(tissue(rows[:2]), covariance(rounded))])


def test_tissue_without_models(caplog: pytest.LogCaptureFixture) -> None:
    empty = (tissue([], name="Pituitary"), covariance(SIMPLE_COVARIANCE))
    with pytest.raises(InputError, match=r"Pituitary\.db: there is no model"):
        pack_models([empty])
    models, report = pack_models([empty, (tissue(SIMPLE), covariance(SIMPLE_COVARIANCE))])
    assert models.tissues == ["Liver"]
    assert "Pituitary has no model" in report.warnings[0]


def test_two_tissues_of_one_name() -> None:
    source = (tissue(SIMPLE), covariance(SIMPLE_COVARIANCE))
    with pytest.raises(InputError, match="2 databases are of the tissue 'Liver'"):
        pack_models([source, source])


def test_single_snp_models() -> None:
    rows = [SIMPLE[0], SIMPLE[2]]
    models, _ = pack_models([(tissue(rows), None)], single_snp_model=True)
    check_model_set(models)
    assert models.ld.tolist() == [1.0, 1.0]
    assert models.models["var_g"].to_pylist() == [0.25, 1.0]
    assert models.models["n_snps_in_cov"].to_pylist() == [1, 1]
    with pytest.raises(InputError, match="gene g1 has 2 SNPs"):
        pack_models([(tissue(SIMPLE), None)], single_snp_model=True)
    with pytest.raises(UsageError, match="--covariance"):
        pack_models([(tissue(SIMPLE), None)])


def test_panel_in_genome_order_when_all_ids_tell_their_place() -> None:
    ids = ["chr10_5_A_G_b38", "chrX_7_A_G_b38", "chr2_99_A_G_b38", "chr2_100_A_G_b38", "chr2_9_A_G_b38"]
    rows = [("g1", snp, 1.0, "G", "A") for snp in ids]
    values = [("g1", a, b, float(a == b)) for i, a in enumerate(ids) for b in ids[i:]]
    models, _ = pack_models([(tissue(rows), covariance(values))])
    panel = models.panel
    assert panel["chromosome"].to_pylist() == ["2", "2", "2", "10", "X"]
    assert panel["position"].to_pylist() == [9, 99, 100, 5, 7]
    assert panel["variant_id"].take(pa.array(models.variants)).to_pylist() == ids


def test_gene_table_gives_places_and_names() -> None:
    genes = pa.table(
        {
            "gene": ["g2", "g1.7"],
            "chromosome": ["chr6", "X"],
            "start": [5, 1],
            "end": [9, 4],
            "gene_name": ["Two", "One"],
        }
    )
    source = tissue([("g1.3", *SIMPLE[0][1:]), SIMPLE[2]])
    nameless = source.genes.set_column(1, "gene_name", pa.nulls(2, pa.string()))
    values = [("g1.3", *SIMPLE_COVARIANCE[2][1:]), SIMPLE_COVARIANCE[3]]
    models, _ = pack_models(
        [(dataclasses.replace(source, genes=nameless), covariance(values))], gene_table=genes
    )
    assert models.models.select(["chromosome", "start", "end", "gene_name"]).to_pydict() == {
        "chromosome": ["X", "6"],
        "start": [1, 5],
        "end": [4, 9],
        "gene_name": ["One", "Two"],
    }
    assert models.panel["chromosome"].to_pylist() == ["X", "6"]


def write_tissue(folder: Path, stem: str, database: str = "{}.db", text: str = "{}.txt.gz") -> None:
    models = tissue(SIMPLE)
    write_models(folder / database.format(stem), models.genes, models.weights)
    lines = "".join(f"{g} {a} {b} {v}\n" for g, a, b, v in SIMPLE_COVARIANCE)
    (folder / text.format(stem)).write_bytes(gzip.compress(f"GENE RSID1 RSID2 VALUE\n{lines}".encode()))


def test_import_from_a_folder_and_again(tmp_path: Path) -> None:
    write_tissue(tmp_path, "JTI_Liver")
    write_tissue(tmp_path, "JTI_Lung")
    report = import_models(tmp_path, None, tmp_path / "store")
    assert [row.tissue for row in report.tissues] == ["Liver", "Lung"]
    assert not report.already_there
    columns, rows = report.as_rows()
    assert dict(zip(columns, rows[0], strict=True))["weights"] == 3
    models = read_models_store(tmp_path / "store")
    check_model_set(models)
    assert models.tissues == ["Liver", "Lung"]
    again = import_models(tmp_path, None, tmp_path / "store")
    assert again.already_there
    assert [(r.models, r.weights, r.snps) for r in again.tissues] == [
        (r.models, r.weights, r.snps) for r in report.tissues
    ]
    with pytest.raises(InputError, match="allow_missing_ld was false and is now true"):
        import_models(tmp_path, None, tmp_path / "store", allow_missing_ld=True)
    assert not import_models(
        tmp_path, None, tmp_path / "store", allow_missing_ld=True, overwrite=True
    ).already_there


def test_nothing_is_left_of_a_failed_import(tmp_path: Path) -> None:
    write_tissue(tmp_path, "JTI_Liver")
    (tmp_path / "JTI_Liver.txt.gz").write_bytes(gzip.compress(b"GENE RSID1 RSID2 VALUE\ng1 rs1 rs1 0.5\n"))
    with pytest.raises(InputError, match="--allow-missing-ld"):
        import_models(tmp_path, None, tmp_path / "store")
    assert not (tmp_path / "store").exists()


def test_gene_table_from_a_file(tmp_path: Path) -> None:
    write_tissue(tmp_path, "JTI_Liver")
    table = tmp_path / "genes.tsv"
    table.write_text("gene\tgene_name\tchromosome\tstart\tend\ng1\tA\t6\t1\t2\ng2\tB\t7\t3\t4\n")
    import_models(tmp_path / "JTI_Liver.db", None, tmp_path / "store", gene_table=table)
    models = read_models_store(tmp_path / "store")
    assert models.models["chromosome"].to_pylist() == ["6", "7"]
    assert models.panel["chromosome"].to_pylist() == ["6", "6", "7"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("gene\tchromosome\tstart\ng1\t6\t1\n", "no column end.*columns gene, chromosome, start"),
        ("gene\tchromosome\tstart\tend\ng1\t6\tx\t2\n", "cannot read.*'x'"),
        ("", "cannot read"),
    ],
)
def test_bad_gene_tables(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "genes.tsv").write_text(text)
    with pytest.raises(InputError, match=words):
        read_gene_table(tmp_path / "genes.tsv")


def test_single_snp_models_need_no_covariance_file(tmp_path: Path) -> None:
    models = tissue([SIMPLE[0]])
    write_models(tmp_path / "Liver.db", models.genes, models.weights)
    import_models(tmp_path / "Liver.db", None, tmp_path / "store", single_snp_model=True)
    assert read_models_store(tmp_path / "store").ld.tolist() == [1.0]


@pytest.mark.parametrize(
    ("database", "text"),
    [
        ("JTI_{}.db", "JTI_{}.txt.gz"),
        ("TW_{}_0.5.db", "TW_{}.txt.gz"),
        ("mashr_{}.db", "mashr_{}.txt.gz"),
        (
            "gtex_v7_{}_imputed_europeans_tw_0.5_signif.db",
            "gtex_v7_{}_imputed_europeans_tw_0.5_signif.txt.gz",
        ),
        ("gtex_v7_{}_imputed_europeans_tw_0.5_signif.db", "gtex_v7_{}_imputed_eur_covariances.txt.gz"),
        ("JTI_{}.db", "{}.txt"),
    ],
)
def test_pairs_of_all_releases(tmp_path: Path, database: str, text: str) -> None:
    names = ("Brain_Amygdala", "Brain_Anterior_cingulate_cortex_BA24", "Lung")
    for name in names:
        (tmp_path / database.format(name)).touch()
        (tmp_path / text.format(name)).touch()
    (tmp_path / "gtex_v8_expression_mashr_snp_smultixcan_covariance.txt.gz").touch()
    (tmp_path / "readme.txt").touch()
    pairs = pair_files(find_databases(tmp_path), None)
    assert [pair.tissue for pair in pairs] == list(names)
    assert [Path(str(pair.covariance)).name for pair in pairs] == [text.format(name) for name in names]


def test_methods_in_one_folder_are_kept_apart(tmp_path: Path) -> None:
    for method in ("JTI", "UTMOST"):
        (tmp_path / f"{method}_Lung.txt.gz").touch()
    (pair,) = pair_files([str(tmp_path / "JTI_Lung.db")], tmp_path)
    assert str(pair.covariance).endswith("JTI_Lung.txt.gz")
    with pytest.raises(
        InputError, match=r"no covariance for the models of Lung.*such as PrediXcan_Lung\.txt\.gz"
    ):
        pair_files([str(tmp_path / "PrediXcan_Lung.db")], tmp_path)
    with pytest.raises(InputError, match="several covariances"):
        pair_files([str(tmp_path / "Lung.db")], tmp_path)


def test_a_single_pair_needs_no_telling_names(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (pair,) = pair_files(["a/models.db"], ["b/cov.gz"])
    assert (pair.database, pair.covariance) == ("a/models.db", "b/cov.gz")
    (tmp_path / "JTI_Lung.txt").touch()
    with caplog.at_level(logging.WARNING):
        pair_files(["JTI_Lung.db"], [tmp_path / "JTI_Lung.txt", tmp_path / "JTI_Liver.txt"])
    assert "JTI_Liver.txt: no model database is of the tissue Liver" in caplog.text


def test_databases_that_cannot_be_told_apart_or_are_absent(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="2 databases are of the tissue 'Lung'"):
        pair_files(["JTI_Lung.db", "UTMOST_Lung.db"], tmp_path)
    with pytest.raises(InputError, match="there is no model database"):
        find_databases(tmp_path)


@pytest.fixture(scope="module")
def real(gtex_v6p: Path, tmp_path_factory: pytest.TempPathFactory) -> ModelSet:
    store = tmp_path_factory.mktemp("real") / "store"
    import_models(gtex_v6p / "models", gtex_v6p / "covariances", store)
    return read_models_store(store)


def test_real_models_agree_with_the_reference_program(gtex_v6p: Path, real: ModelSet) -> None:
    assert len(real.tissues) == 21  # Pituitary has no model
    compared = 0
    for path in sorted((gtex_v6p / "expected" / "spredixcan").glob("*/*.csv")):
        name = path.stem.split("_TW_")[1]
        inside = real.tissue_slice(name)
        number = {gene: inside.start + i for i, gene in enumerate(real.models["gene"][inside].to_pylist())}
        for row in read_associations(path).to_pylist():
            model = number[row["gene"]]
            ours = real.models.slice(model, 1).to_pylist()[0]
            for column in ("gene_name", "n_snps_in_cov", "n_snps_in_model", "pred_perf_r2", "pred_perf_qval"):
                assert ours[column] == row[column]
            if row["n_snps_used"] == real.n_in_ld[model]:
                np.testing.assert_allclose(ours["var_g"], row["var_g"], rtol=1e-9)
                compared += 1
    assert compared > 50


@pytest.mark.parametrize("name", ["partial", "zero"])
def test_real_models_with_a_defective_covariance(gtex_v6p: Path, name: str) -> None:
    models = read_models(gtex_v6p / "models" / "TW_Whole_Blood_0.5.db")
    source = (models, read_covariances(gtex_v6p / "edge" / "covariances" / f"{name}.txt.gz"))
    packed, _ = pack_models([source], allow_missing_ld=True)
    expected = {
        row["gene"]: row for row in read_associations(gtex_v6p / f"edge/expected/cov_{name}.csv").to_pylist()
    }
    for number, gene in enumerate(packed.models["gene"].to_pylist()):
        row = packed.models.slice(number, 1).to_pylist()[0]
        assert row["n_snps_in_cov"] == expected[gene]["n_snps_in_cov"]
        assert packed.n_in_ld[number] == expected[gene]["n_snps_used"]
        wanted = np.nan if expected[gene]["var_g"] is None else expected[gene]["var_g"]
        np.testing.assert_allclose(row["var_g"], wanted, rtol=1e-9)
    if name == "partial":
        with pytest.raises(InputError, match="--allow-missing-ld"):
            pack_models([source])
