"""FUSION's models in a store: the model that FUSION chooses, its alleles and LD, and z by its own formula."""

from __future__ import annotations

import dataclasses
import logging
import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from gputwas.errors import InputError, ResourceError
from gputwas.ingest import fusion_ld
from gputwas.ingest.fusion import import_fusion
from gputwas.ingest.fusion_choice import best_model
from gputwas.stores.models import ModelSet, read_models_store
from tests.formats.r_files import save
from tests.fusion_reference import Gene, Plink, assoc_test, random_panel, write_plink
from tests.model_sets import plain_spredixcan

MODELS = ("blup", "lasso", "top1", "enet")
COMPLEMENT = str.maketrans("ACGT", "TGCA")


def gene_on(
    rng: np.random.Generator, panel: Plink, columns: np.ndarray, pval: Mapping[str, float] | None = None
) -> Gene:
    """A gene with four models; alleles as in the panel, exchanged, on the other strand, or both."""
    effect, other = [], []
    for column in columns:
        alleles = panel.bim[column][3:5]
        alleles = alleles[::-1] if rng.random() < 0.4 else alleles
        if rng.random() < 0.3:
            alleles = (alleles[0].translate(COMPLEMENT), alleles[1].translate(COMPLEMENT))
        effect.append(alleles[0])
        other.append(alleles[1])
    weights = {model: rng.normal(size=len(columns)) for model in MODELS}
    for sparse in ("lasso", "enet"):
        weights[sparse][rng.random(len(columns)) < 0.6] = 0.0
        weights[sparse][0] = 0.1
    p = pval or dict(zip(MODELS, rng.uniform(1e-8, 1e-2, len(MODELS)), strict=True))
    return Gene([panel.bim[c][1] for c in columns], effect, other, weights, p)


def write_study(
    folder: Path, genes: Mapping[str, Gene], panel: str | None = "Blood", chromosome: str = "1", **more: bool
) -> Path:
    """The list and weight files of a panel."""
    lines = ["PANEL\tWGT\tID\tCHR\tP0\tP1\tN" if panel else "WGT\tID\tCHR\tP0\tP1\tN"]
    name = panel or "unnamed"
    for number, (gene, content) in enumerate(genes.items()):
        save(folder / name / f"{gene}.wgt.RDat", content.values(**more))
        cells = [
            f"{name}/{gene}.wgt.RDat",
            gene,
            chromosome,
            str(1000 * number),
            str(1000 * number + 500),
            "9",
        ]
        lines.append("\t".join([panel, *cells] if panel else cells))
    path = folder / f"{name}.pos"
    path.write_text("\n".join(lines) + "\n")
    return path


def random_gwas(rng: np.random.Generator, panel: Plink) -> dict[str, tuple[str, str, float]]:
    return {name: (a1, a2, float(rng.normal())) for _, name, _, a1, a2 in panel.bim}


def z_of(store: ModelSet, gwas: Mapping[str, tuple[str, str, float]]) -> dict[tuple[str, str], float]:
    """z of every model, by the formula of S-PrediXcan on what the store holds."""
    panel = store.panel.to_pylist()
    z = np.full(len(panel), np.nan)
    for row, variant in enumerate(panel):
        effect, other, value = gwas[variant["variant_id"]]
        assert {effect, other} == {variant["effect_allele"], variant["other_allele"]}
        z[row] = value if effect == variant["effect_allele"] else -value
    names = zip(store.models["tissue"].to_pylist(), store.models["gene"].to_pylist(), strict=True)
    return {name: plain_spredixcan(store, model, z, z)[0] for model, name in enumerate(names)}


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20)


@pytest.fixture
def panel(rng: np.random.Generator) -> Plink:
    return random_panel(rng, 80)


@pytest.fixture
def ld(tmp_path: Path, panel: Plink) -> Path:
    return write_plink(tmp_path / "ld", panel)


@pytest.mark.parametrize("per", ["sd", "dosage"])
@pytest.mark.parametrize("force_model", [None, "top1", "blup"])
def test_z_is_that_of_fusion(
    tmp_path: Path, rng: np.random.Generator, panel: Plink, ld: Path, force_model: str | None, per: str
) -> None:
    genes = {
        f"ENSG{n}.{n}": gene_on(rng, panel, rng.permutation(80)[:size])
        for n, size in enumerate((1, 2, 5, 12, 30, 30, 7))
    }
    pos = write_study(tmp_path, genes)
    import_fusion(pos, ld, tmp_path / "store", force_model=force_model, per=per)
    store = read_models_store(tmp_path / "store")
    gwas = random_gwas(rng, panel)
    found = z_of(store, gwas)
    kinds = dict(zip(store.models["gene"].to_pylist(), store.models["model_kind"].to_pylist(), strict=True))
    assert set(kinds) == set(genes)
    for name, gene in genes.items():
        kind, z = assoc_test(gene, panel, gwas, force_model)
        assert kinds[name] == kind
        assert found["Blood", name] == pytest.approx(z, rel=1e-12, abs=1e-12)
    diagonals = np.concatenate([np.diag(store.ld_matrix(model)) for model in range(store.n_models)])
    assert np.all(diagonals == 1) if per == "sd" else not np.any(diagonals == 1)


def test_the_two_units_are_one_model(
    tmp_path: Path, rng: np.random.Generator, panel: Plink, ld: Path
) -> None:
    """w / sd and D R D give the z of w and R; with betas per allele only the former gives the effect."""
    pos = write_study(tmp_path, {"G": gene_on(rng, panel, np.arange(20))})
    stores = []
    for per in ("sd", "dosage"):
        import_fusion(pos, ld, tmp_path / per, per=per, force_model="blup")
        stores.append(read_models_store(tmp_path / per))
    sd, dosage = stores
    assert sd.models["var_g"][0].as_py() == pytest.approx(dosage.models["var_g"][0].as_py(), rel=1e-12)
    bed = np.where(np.isnan(panel.bed), np.nanmean(panel.bed, axis=0), panel.bed)[:, :20]
    np.testing.assert_allclose(dosage.ld_matrix(0), np.cov(bed, rowvar=False), rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(sd.ld_matrix(0), np.corrcoef(bed, rowvar=False), rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(dosage.weights * np.std(bed, axis=0, ddof=1), sd.weights, rtol=1e-12)
    z = rng.normal(size=20)
    beta = z / np.std(bed, axis=0, ddof=1)  # per allele, of a large GWAS up to its size
    standard, per_allele = plain_spredixcan(sd, 0, z, z), plain_spredixcan(dosage, 0, z, beta)
    assert standard[:2] == pytest.approx(per_allele[:2], rel=1e-12)


def test_models_keep_what_the_files_tell(
    tmp_path: Path, rng: np.random.Generator, panel: Plink, ld: Path
) -> None:
    gene = gene_on(rng, panel, np.arange(6), {"blup": 0.3, "lasso": 0.01, "top1": 0.2, "enet": 0.5})
    gene = dataclasses.replace(gene, rsq={"blup": 0.1, "lasso": 0.25, "top1": 0.3, "enet": 0.4})
    other = dataclasses.replace(gene, pval={m: math.nan for m in MODELS}, rsq={m: math.nan for m in MODELS})
    pos = write_study(tmp_path, {"ENSG2.7": gene, "ENSG1": other}, factors=True)
    report = import_fusion(pos, ld, tmp_path / "store")
    store = read_models_store(tmp_path / "store")
    first, second = store.models.to_pylist()
    assert (first["gene"], second["gene"]) == ("ENSG1", "ENSG2.7")
    assert second == {
        "tissue": "Blood", "gene": "ENSG2.7", "gene_name": "ENSG2.7", "chromosome": "1", "start": 0,
        "end": 500, "n_snps_in_model": np.count_nonzero(gene.weights["lasso"]),
        "n_snps_in_cov": np.count_nonzero(gene.weights["lasso"]), "pred_perf_r2": 0.25,
        "pred_perf_pval": 0.01, "pred_perf_qval": None, "phi": None, "var_g": second["var_g"],
        "model_kind": "lasso", "hsq": 0.25, "hsq_pval": 1e-4,
    }  # fmt: skip
    # without any cross-validation FUSION takes the first model
    assert (first["model_kind"], first["pred_perf_r2"], first["pred_perf_pval"]) == ("blup", None, None)
    assert any("1 genes have no cross-validated p" in text for text in report.warnings)
    at = {row["variant_id"]: (row["chromosome"], row["position"]) for row in store.panel.to_pylist()}
    assert at == {name: (c, place) for c, name, place, *_ in panel.bim[:6]}


@pytest.mark.parametrize(
    ("pval", "force", "chosen"),
    [
        ([0.5, 0.01, 0.02], None, 1),
        ([math.nan, 0.9, math.nan], None, 1),
        ([0.3, 0.2, 0.2], None, 1),
        ([math.nan] * 3, None, 0),
        ([0.5, 0.01, 0.02], "top1", 2),
        ([0.5, 0.01, math.nan], "top1", 2),
        ([0.5, 0.01, 0.02], "bslmm", None),
    ],
)
def test_the_best_model(pval: list[float], force: str | None, chosen: int | None) -> None:
    assert best_model(np.array(pval), ("blup", "lasso", "top1"), force) == chosen


def test_top1_is_the_strongest_snp_that_the_reference_has(
    tmp_path: Path, rng: np.random.Generator, panel: Plink, ld: Path
) -> None:
    top = Gene(
        ["rsabsent", *(row[1] for row in panel.bim[:4])],
        ["A", *(row[3] for row in panel.bim[:4])],
        ["G", *(row[4] for row in panel.bim[:4])],
        {"top1": [9.0, 1.0, -5.0, 5.0, 2.0], "blup": [1.0] * 5},
        {"top1": 0.01, "blup": 0.02},
    )
    report = import_fusion(write_study(tmp_path, {"G": top}), ld, tmp_path / "store", per="sd")
    store = read_models_store(tmp_path / "store")
    assert store.panel["variant_id"].to_pylist() == [panel.bim[1][1]]
    assert store.weights.tolist() == [-5.0]
    assert store.models["n_snps_in_model"].to_pylist() == [1]
    gwas = random_gwas(rng, panel)
    assert z_of(store, gwas)["Blood", "G"] == pytest.approx(assoc_test(top, panel, gwas)[1], rel=1e-12)
    assert any("the strongest SNP of 1 top1 models cannot be used" in text for text in report.warnings)


def test_what_cannot_be_used_is_left_out_and_counted(tmp_path: Path, rng: np.random.Generator) -> None:
    plain = random_panel(rng, 12)
    rows = list(plain.bim)
    rows[1] = (*rows[1][:3], "A", "T")
    rows[2] = (*rows[2][:3], "C", "CA")
    plain.bed[:, 4] = 1.0
    panel = Plink(rows, plain.bed)
    ld = write_plink(tmp_path / "ld", panel)
    ids = ["rsnone", *(row[1] for row in rows[:8])]
    effect, other = ["A", *(row[3] for row in rows[:8])], ["G", *(row[4] for row in rows[:8])]
    effect[4], other[4] = "A", "C" if panel.bim[3][3:5] != ("A", "C") else "G"  # rows[3] is T/C
    genes = {
        "KEPT": Gene(ids, effect, other, {"blup": np.arange(1.0, 10)}, {"blup": 0.1}),
        "NONE_LEFT": Gene(ids[:3], effect[:3], other[:3], {"blup": [1.0, 0.0, 2.0]}, {"blup": 0.1}),
        "ZERO": Gene(ids, effect, other, {"blup": [0.0] * 9, "enet": [1.0] * 9}, {"blup": 0.1, "enet": 0.2}),
        "EMPTY": Gene(ids, effect, other, {"blup": [math.nan] * 9}, {"blup": 0.1}),
    }
    report = import_fusion(write_study(tmp_path, genes), ld, tmp_path / "store", per="sd")
    store = read_models_store(tmp_path / "store")
    assert store.models["gene"].to_pylist() == ["KEPT"]
    assert store.panel["variant_id"].to_pylist() == [rows[n][1] for n in (0, 5, 6, 7)]
    assert store.weights.tolist() == [2.0, 7.0, 8.0, 9.0]
    (tissue,) = report.tissues
    assert (tissue.models, tissue.genes_without_weights, tissue.weights_left_out) == (1, 3, 7)
    left_out, no_model = report.warnings[:2]
    reasons = "2 strand-ambiguous (A/T, C/G), 1 other alleles than the LD reference, 1 no variance"
    start = "7 weights are left out: 2 not in the LD reference, 1 alleles that are no single bases, "
    assert start + reasons in left_out
    assert "3 of 4 genes make no model" in no_model
    assert "1 no SNP left" in no_model and "2 all weights are 0" in no_model


def test_where_nothing_can_be_used_the_reasons_are_told(tmp_path: Path, panel: Plink) -> None:
    panel.bed[:, 7] = 2.0
    for n in (0, 1):
        panel.bim[n] = (*panel.bim[n][:3], "A", "T")
    ids = [panel.bim[n][1] for n in range(4)]
    ids = [*ids, "rsnone", panel.bim[7][1]]
    effect, other = ["A", "T", "AT", "G", "A", panel.bim[7][3]], ["T", "A", "A", "G", "G", panel.bim[7][4]]
    for model, values in {"top1": [1.0] * 6, "blup": [0.0] * 6}.items():
        gene = Gene(ids, effect, other, {model: values}, {model: 0.1})
        pos = write_study(tmp_path / model, {"G": gene})
        with pytest.raises(InputError) as refused:
            import_fusion(pos, write_plink(tmp_path / model / "ld", panel), tmp_path / "store")
        assert "no weight can be used" in str(refused.value) and str(pos) in str(refused.value)
        if model == "top1":
            reasons = "1 not in the LD reference, 1 alleles that are no single bases, 2 strand-ambiguous"
            assert f"6 weights: {reasons}" in str(refused.value)
            assert "1 other alleles than the LD reference, 1 no variance" in str(refused.value)
        else:
            assert "no weight that is not 0" in str(refused.value)
    assert not (tmp_path / "store").exists()


def test_ambiguous_snps_leave_fusions_z_too(tmp_path: Path, rng: np.random.Generator) -> None:
    plain = random_panel(rng, 30)
    panel = Plink([(*row[:3], "C", "G") if n % 4 == 0 else row for n, row in enumerate(plain.bim)], plain.bed)
    gene = gene_on(rng, panel, np.arange(30))
    import_fusion(
        write_study(tmp_path, {"G": gene}), write_plink(tmp_path / "ld", panel), tmp_path / "store", per="sd"
    )
    gwas = random_gwas(rng, panel)
    z = z_of(read_models_store(tmp_path / "store"), gwas)["Blood", "G"]
    assert z == pytest.approx(assoc_test(gene, panel, gwas)[1], rel=1e-12)


def test_a_snp_listed_twice_counts_twice(
    tmp_path: Path, rng: np.random.Generator, panel: Plink, ld: Path
) -> None:
    gene = gene_on(rng, panel, np.array([3, 4, 3, 5]), dict.fromkeys(MODELS, 0.5))
    import_fusion(write_study(tmp_path, {"G": gene}), ld, tmp_path / "store")
    store = read_models_store(tmp_path / "store")
    assert store.n_in_ld.tolist() == [3]
    gwas = random_gwas(rng, panel)
    z = z_of(store, gwas)["Blood", "G"]
    assert z == pytest.approx(assoc_test(gene, panel, gwas)[1], rel=1e-12)


def test_of_two_variants_of_a_name_the_fitting_one_is_taken(tmp_path: Path, rng: np.random.Generator) -> None:
    plain = random_panel(rng, 6)
    rows = list(plain.bim)
    rows[0] = ("1", "rstwo", 100, "A", "C")
    rows[1] = ("1", "rstwo", 100, "A", "G")
    third = rows[2][1:2] + rows[2][3:]
    ids, effect, other = zip(("rstwo", "G", "A"), ("rstwo", "A", "C"), third, strict=True)
    gene = Gene(ids, effect, other, {"blup": [1.0, 2.0, 3.0]}, {"blup": 0.1})
    ld = write_plink(tmp_path / "ld", Plink(rows, plain.bed))
    report = import_fusion(write_study(tmp_path, {"G": gene}), ld, tmp_path / "store", per="sd")
    store = read_models_store(tmp_path / "store")
    alleles = [store.panel[name].to_pylist() for name in ("variant_id", "effect_allele", "other_allele")]
    assert list(zip(*alleles, strict=True)) == [("rstwo", "A", "G"), third]
    assert store.weights.tolist() == [-1.0, 3.0]
    assert any("1 SNP listed again with other alleles" in text for text in report.warnings)


def test_several_panels_lists_and_models_of_one_gene(
    tmp_path: Path, rng: np.random.Generator, panel: Plink, ld: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    genes = {name: gene_on(rng, panel, rng.permutation(80)[:9]) for name in ("A", "B", "C", "D")}
    first = write_study(tmp_path, {"A": genes["A"]}, "Zulu")
    second = write_study(tmp_path, {"B": genes["B"], "C": genes["C"]}, None)
    save(tmp_path / "Zulu" / "A.intron2.wgt.RDat", genes["D"].values())
    with first.open("a") as file:
        file.write("Zulu Zulu/A.intron2.wgt.RDat A 1 5 6 9\n")
    import_fusion([first, second], ld, tmp_path / "store")
    store = read_models_store(tmp_path / "store")
    assert store.tissues == ["Zulu", "unnamed"]
    assert store.models["gene"].to_pylist() == ["A:A", "A:A.intron2", "B", "C"]
    assert store.models["gene_name"].to_pylist() == ["A", "A", "B", "C"]
    assert store.models["start"].to_pylist() == [0, 5, 0, 1000]
    assert "1 genes are listed more than once in their panel, 2 times" in caplog.text
    gwas = random_gwas(rng, panel)
    found = z_of(store, gwas)
    for key, gene in zip([("Zulu", "A:A"), ("Zulu", "A:A.intron2"), ("unnamed", "B")], "ADB", strict=True):
        assert found[key] == pytest.approx(assoc_test(genes[gene], panel, gwas)[1], rel=1e-12)


def test_one_file_set_per_chromosome_and_some_samples(tmp_path: Path, rng: np.random.Generator) -> None:
    panels = {chromosome: random_panel(rng, 20, chromosome=chromosome) for chromosome in ("1", "22")}
    for chromosome, panel in panels.items():
        write_plink(tmp_path / f"ref.{chromosome}", panel)
    genes = {chromosome: gene_on(rng, panel, np.arange(20)) for chromosome, panel in panels.items()}
    lists = [write_study(tmp_path, {f"G{c}": gene}, f"T{c}", c) for c, gene in genes.items()]
    strange = dataclasses.replace(genes["1"], ids=[f"x{n}" for n in range(20)])
    lists.append(write_study(tmp_path, {"GX": strange}, "TX", "X"))
    keep = tmp_path / "keep.txt"
    keep.write_text("".join(f"F{n} S{n}\n" for n in range(0, 60, 2)))
    reports = [
        import_fusion(lists, tmp_path / name, tmp_path / store, samples=keep)
        for name, store in (("ref.{chromosome}", "one"), ("ref.", "two"))
    ]
    store = read_models_store(tmp_path / "one")
    assert store.digest == read_models_store(tmp_path / "two").digest
    assert [tissue.tissue for tissue in reports[0].tissues] == ["T1", "T22"]
    kept = {chromosome: Plink(panel.bim, panel.bed[::2]) for chromosome, panel in panels.items()}
    gwas = random_gwas(rng, kept["1"]) | random_gwas(rng, kept["22"])
    for (_, name), z in z_of(store, gwas).items():
        chromosome = name.removeprefix("G")
        assert z == pytest.approx(assoc_test(genes[chromosome], kept[chromosome], gwas)[1], rel=1e-12)


def test_workers_change_nothing_and_a_second_import_does_nothing(
    tmp_path: Path, rng: np.random.Generator, panel: Plink, ld: Path
) -> None:
    genes = {f"G{n:02d}": gene_on(rng, panel, rng.permutation(80)[:4]) for n in range(40)}
    pos = write_study(tmp_path, genes)
    import_fusion(pos, ld, tmp_path / "one")
    import_fusion(pos, ld, tmp_path / "two", executor="local:2")
    assert read_models_store(tmp_path / "one").digest == read_models_store(tmp_path / "two").digest
    again = import_fusion(pos, ld, tmp_path / "one")
    assert again.already_there and again.tissues[0].models == 40
    save(tmp_path / "Blood" / "G00.wgt.RDat", genes["G01"].values())
    with pytest.raises(InputError, match="overwrite"):
        import_fusion(pos, ld, tmp_path / "one")
    import_fusion(pos, ld, tmp_path / "one", overwrite=True)


def test_unusable_inputs_are_told(tmp_path: Path, rng: np.random.Generator, panel: Plink, ld: Path) -> None:
    gene = gene_on(rng, panel, np.arange(5))
    pos = write_study(tmp_path, {"A": gene, "B": gene})
    out = tmp_path / "store"

    def told(*needles: str, **options: object) -> None:
        arguments = {"lists": pos, "ld": ld, "out": out} | options
        with pytest.raises(InputError) as refused:
            import_fusion(**arguments)  # type: ignore[arg-type]
        for needle in needles:
            assert needle in str(refused.value)
        assert not out.exists()

    told("no weight file has a model 'bslmm'", "blup, lasso, top1, enet", force_model="bslmm")
    told("A.wgt.RDat", "line 2", "2 of the 2 weight files are not there", weights_dir=tmp_path / "elsewhere")
    (tmp_path / "Blood" / "B.wgt.RDat").rename(tmp_path / "Blood" / "b")
    told(str(pos), "line 3", "'WGT'", "1 of the 2 weight files", "B.wgt.RDat", "--weights-dir")
    save(tmp_path / "Blood" / "B.wgt.RDat", {"x": np.zeros(2)})
    told("B.wgt.RDat", "RData of unknown structure")
    named = Plink([(c, f"1:{p}:{a}:{b}", p, a, b) for c, _, p, a, b in panel.bim], panel.bed)
    save(tmp_path / "Blood" / "B.wgt.RDat", gene.values())
    told(
        "no SNP of the weights is in the LD reference", "1:100:", "rs1", ld=write_plink(tmp_path / "p", named)
    )
    told("at least 2 samples", ld=write_plink(tmp_path / "q", Plink(panel.bim, panel.bed[:1])))
    twice = tmp_path / "twice.pos"
    twice.write_text(pos.read_text() + pos.read_text().splitlines()[1] + "\n")
    told("the weights of A in Blood are listed twice", "line 4", "line 2", "one of the rows", lists=twice)
    unfiltered = tmp_path / "Blood.nofilter.pos"
    unfiltered.write_text(pos.read_text())
    told(
        "the weights of A in Blood are listed twice",
        str(unfiltered),
        "Of several lists of one panel",
        lists=[pos, unfiltered],
    )
    told("no list of weights", lists=[])


def test_genes_that_do_not_fit_into_memory_are_told(
    tmp_path: Path, rng: np.random.Generator, panel: Plink, ld: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pos = write_study(
        tmp_path, {"A": gene_on(rng, panel, np.arange(10)), "B": gene_on(rng, panel, np.array([1, 2]))}
    )
    needed = 5 * 8 * 10 * len(panel.bed)
    monkeypatch.setattr(fusion_ld, "available_memory", lambda: needed - 1)
    with pytest.raises(ResourceError, match=r"a gene of 10 SNPs and .* of 60 samples need .* --samples"):
        import_fusion(pos, ld, tmp_path / "store", force_model="blup")
    assert not (tmp_path / "store").exists()
    monkeypatch.setattr(fusion_ld, "available_memory", lambda: needed)
    import_fusion(pos, ld, tmp_path / "store", force_model="blup")


def test_few_snps_in_the_reference_are_warned_of(
    tmp_path: Path, rng: np.random.Generator, panel: Plink, ld: Path, caplog: pytest.LogCaptureFixture
) -> None:
    gene = gene_on(rng, panel, np.arange(10), {"blup": 0.1, "lasso": 0.2, "top1": 0.3, "enet": 0.4})
    gene = dataclasses.replace(gene, ids=[*gene.ids[:3], *(f"x{n}" for n in range(7))])
    pos = write_study(tmp_path, {"A": gene}, chromosome="7")
    import_fusion(pos, ld, tmp_path / "store")
    assert "only 30 % of the weights" in caplog.text
    assert "no variants on chromosome 7, where 1 of the 1 listed models are" in caplog.text
