"""In: sizes and a seed. Out: stores for S-MultiXcan written without foreign files, and a part of them as the
files that SMulTiXcan.py reads.

Every gene has a model in every tissue. Its SNPs are a window of the panel; their LD falls with distance, each
gene at its own rate; tissues share a part of their weights, so that their predictions are correlated.
"""

from __future__ import annotations

import gzip
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import xxhash

from gputwas.formats.predictdb import write_models
from gputwas.stores.associations import AssociationStore
from gputwas.stores.gene_ld import GeneLd, write_gene_ld_store
from gputwas.stores.gwas import GwasStore
from gputwas.stores.models import ModelSet, read_models_store, write_models_store
from gputwas.twas.provenance import association_inputs

__all__ = ["JointSizes", "JointStudy", "make_joint_study", "write_reference_files"]

STEP = 15  # variants from one gene's window to the next
SHARED = 0.7  # of a weight that all tissues have in common
MISSING = 0.05  # share of the variants that a GWAS lacks
BLOCK = 128


@dataclass(frozen=True)
class JointSizes:
    """How large a study is: `snps` of each gene, `weights` of each model, `patterns` of missing SNPs."""

    genes: int = 20_000
    tissues: int = 19
    traits: int = 1_000
    snps: int = 60
    weights: int = 14
    patterns: int = 1


@dataclass(frozen=True)
class JointStudy:
    """Folders of the stores, what was written into them, and the SNPs that trait 1 has, bool (variants,)."""

    folder: Path
    sizes: JointSizes
    models: ModelSet
    ld: GeneLd
    present: np.ndarray

    def words(self) -> list[str]:
        """Options of `gputwas multixcan` that name the stores."""
        named = {"models": "models", "gwas": "gwas", "associations": "associations", "snp-covariance": "ld"}
        return [word for name, where in named.items() for word in (f"--{name}", str(self.folder / where))]


def make_joint_study(folder: Path, sizes: JointSizes, seed: int = 1) -> JointStudy:
    """Write models, LD, GWAS and associations under `folder`."""
    rng = np.random.default_rng([seed, 40])
    variants = STEP * (sizes.genes - 1) + sizes.snps
    panel = pa.table({
        "variant_id": np.char.add("rs", (np.arange(variants) * 7 + 1_003).astype(str)),
        "chromosome": pa.array(["1"] * variants),
        "position": pa.array(np.arange(1, variants + 1), pa.int64()),
        "effect_allele": ["A"] * variants,
        "other_allele": ["G"] * variants,
    })  # fmt: skip
    write_models_store(folder / "models", _models(panel, sizes, rng), inputs={}, parameters={"bench": seed})
    ld = _ld(panel, sizes, rng)
    write_gene_ld_store(folder / "ld", ld, inputs={}, parameters={"bench": seed})
    models = read_models_store(folder / "models")
    present = rng.random((sizes.patterns, variants)) >= MISSING
    names = _gwas(folder / "gwas", panel, present, sizes, seed)
    _associations(folder, models, names, present, sizes, rng)
    return JointStudy(folder, sizes, models, ld, present[0])


def _models(panel: pa.Table, sizes: JointSizes, rng: np.random.Generator) -> ModelSet:
    """Models of all genes in all tissues, tissue after tissue."""
    count = sizes.genes * sizes.tissues
    genes = [f"ENSG{number:011d}" for number in range(sizes.genes)]
    chosen = np.argpartition(rng.random((count, sizes.snps)), sizes.weights)[:, : sizes.weights]
    chosen.sort(axis=1)
    of_gene = np.tile(np.arange(sizes.genes), sizes.tissues)
    common = rng.standard_normal((sizes.genes, sizes.snps))
    weights = SHARED * common[of_gene[:, None], chosen]
    weights += np.sqrt(1 - SHARED**2) * rng.standard_normal(chosen.shape)
    table = pa.table({
        "tissue": np.repeat([f"Tissue_{k + 1:02d}" for k in range(sizes.tissues)], sizes.genes),
        "gene": genes * sizes.tissues,
        "gene_name": [f"GENE{number}" for number in range(sizes.genes)] * sizes.tissues,
        "var_g": np.ones(count),
    })  # fmt: skip
    return ModelSet(
        panel=panel, models=table, offsets=np.arange(count + 1, dtype=np.int64) * sizes.weights,
        variants=(STEP * of_gene[:, None] + chosen).ravel().astype(np.int32),
        weights=(0.05 * weights).ravel(), n_in_ld=np.zeros(count, np.int32),
        ld_offsets=np.zeros(count + 1, np.int64), ld=np.empty(0),
    )  # fmt: skip


def _ld(panel: pa.Table, sizes: JointSizes, rng: np.random.Generator) -> GeneLd:
    """Covariance sd_i sd_j s_i s_j r^|i - j| with signs s of alleles: positive definite."""
    i, j = np.triu_indices(sizes.snps)
    triangle = len(i)
    ld = np.empty(sizes.genes * triangle)
    for gene in range(sizes.genes):
        frequency = rng.uniform(0.02, 0.5, sizes.snps)
        sd = np.sqrt(2 * frequency * (1 - frequency)) * rng.choice([-1.0, 1.0], sizes.snps)
        values = sd[i] * sd[j] * rng.uniform(0.5, 0.95) ** (j - i)
        ld[gene * triangle : (gene + 1) * triangle] = values
    windows = STEP * np.arange(sizes.genes)[:, None] + np.arange(sizes.snps)
    return GeneLd(
        panel=panel, genes=pa.table({"gene": [f"ENSG{number:011d}" for number in range(sizes.genes)]}),
        offsets=np.arange(sizes.genes + 1, dtype=np.int64) * sizes.snps,
        variants=windows.ravel().astype(np.int32),
        ld_offsets=np.arange(sizes.genes + 1, dtype=np.int64) * triangle, ld=ld,
    )  # fmt: skip


def _gwas(folder: Path, panel: pa.Table, present: np.ndarray, sizes: JointSizes, seed: int) -> list[str]:
    """Traits whose z is the same but for which SNPs are missing and a scale: S-MultiXcan reads no more."""
    z = np.random.default_rng([seed, 41]).standard_normal(panel.num_rows).astype(np.float32)
    masked = [np.where(mask, z, np.float32(np.nan)) for mask in present]
    names = [f"{k + 1:04d}" for k in range(sizes.traits)]
    with (
        GwasStore.create(folder, panel, {"mode": "strict", "bench": seed}) as store,
        ThreadPoolExecutor(8) as threads,
    ):

        def write(number: int) -> None:
            scaled = masked[number % sizes.patterns] * np.float32(1 + number / 4096)
            store.add(names[number], scaled, None, {"input_hash": f"{number:032x}", "effect": "none"})

        list(threads.map(write, range(sizes.traits)))
    return names


def _associations(
    folder: Path,
    models: ModelSet,
    names: list[str],
    present: np.ndarray,
    sizes: JointSizes,
    rng: np.random.Generator,
) -> None:
    """Random z-scores, correlated over a gene's tissues; one gene in 400 is far from null."""
    digests = [xxhash.xxh3_128_hexdigest(np.packbits(mask).tobytes()) for mask in present]
    common = rng.standard_normal((sizes.genes, BLOCK)).astype(np.float32)
    common[rng.random(common.shape) < 1 / 400] *= np.float32(5)
    rows = models.n_models
    nothing = (np.full(rows, 1, np.int32), np.ones(rows), np.zeros(rows, np.uint8))
    with GwasStore.open(folder / "gwas") as gwas, AssociationStore.create(
        folder / "associations", models=models.models, traits=pa.table({"trait": names}), block_size=BLOCK,
        parameters={"precision": "float32", "backend": "numpy", "method": "csr"},
        inputs=association_inputs(models, gwas, names),
    ) as store:  # fmt: skip
        for digest in digests:
            store.write_pattern(digest, *nothing)
        for block in range(store.n_blocks):
            count = len(store.block_traits(block))
            first = block * BLOCK
            of_block = [digests[(first + column) % sizes.patterns] for column in range(count)]
            store.write_block_patterns(block, of_block)
            for tissue in store.tissues:
                z = rng.standard_normal((sizes.genes, count), dtype=np.float32)
                z += np.roll(common, 17 * block, axis=0)[:, :count]
                store.write_block(tissue, block, z, z)
        store.finish({"seconds": 0.0})


def write_reference_files(folder: Path, study: JointStudy, genes: int) -> list[str]:
    """Write what SMulTiXcan.py reads of the first genes and trait 1; returns its flags, all but --output."""
    for name in ("models", "results"):
        (folder / name).mkdir(parents=True)
    store = AssociationStore.open(study.folder / "associations")
    ids = study.models.panel["variant_id"].to_numpy()
    for tissue in store.tissues:
        rows = study.models.tissue_slice(tissue)
        chosen = slice(rows.start, rows.start + genes)
        _write_database(folder / "models" / f"{tissue}.db", study, chosen, ids)
        z = store.read_trait(tissue, store.trait_names[0])[:genes].astype(np.float64)
        lines = [f"ENSG{number:011d},{value!r}\n" for number, value in enumerate(z.tolist())]
        (folder / "results" / f"{tissue}.csv").write_text("gene,zscore\n" + "".join(lines))
    used = ids[: STEP * (genes - 1) + study.sizes.snps][
        study.present[: STEP * (genes - 1) + study.sizes.snps]
    ]
    with gzip.open(folder / "cleared.txt.gz", "wt", compresslevel=1) as file:
        file.write("rsid\n" + "\n".join(used) + "\n")
    _write_covariance(folder / "ld.txt.gz", study, genes, ids)
    return [
        "--models_folder", str(folder / "models"), "--models_name_pattern", "(.*).db",
        "--models_name_filter", ".*db",
        "--metaxcan_folder", str(folder / "results"), "--metaxcan_filter", ".*csv",
        "--metaxcan_file_name_parse_pattern", "(.*).csv",
        "--snp_covariance", str(folder / "ld.txt.gz"), "--cleared_snps", str(folder / "cleared.txt.gz"),
        "--cutoff_condition_number", "30",
    ]  # fmt: skip


def _write_database(path: Path, study: JointStudy, rows: slice, ids: np.ndarray) -> None:
    table = study.models.models.slice(rows.start, rows.stop - rows.start)
    count, size = table.num_rows, study.sizes.weights
    entries = slice(rows.start * size, rows.stop * size)
    genes = pa.table({
        "gene": table["gene"], "gene_name": table["gene_name"],
        "n_snps_in_model": pa.array(np.full(count, size)), "pred_perf_r2": np.full(count, 0.1),
        "pred_perf_pval": np.full(count, 1e-3), "pred_perf_qval": np.full(count, 1e-3),
    })  # fmt: skip
    weights = pa.table({
        "gene": np.repeat(table["gene"].to_numpy(), size), "variant_id": ids[study.models.variants[entries]],
        "weight": study.models.weights[entries], "effect_allele": ["A"] * (count * size),
        "other_allele": ["G"] * (count * size),
    })  # fmt: skip
    write_models(path, genes, weights)


def _write_covariance(path: Path, study: JointStudy, genes: int, ids: np.ndarray) -> None:
    i, j = np.triu_indices(study.sizes.snps)
    with gzip.open(path, "wt", compresslevel=1) as file:
        file.write("GENE RSID1 RSID2 VALUE\n")
        for gene in range(genes):
            snps = ids[study.ld.of_gene(gene)]
            start, end = study.ld.ld_offsets[gene : gene + 2]
            cells = zip(snps[i], snps[j], study.ld.ld[start:end].tolist(), strict=True)
            file.write("".join(f"ENSG{gene:011d} {a} {b} {value!r}\n" for a, b, value in cells))
