"""A whole synthetic study on disk: models, covariances, GWAS of three cohorts, annotation, and the truth.

In: a folder and a `StudyConfig`. Out: files in the formats laboratories have them in, and a `StudyTruth`::

    models/<Tissue>.db, models/<Tissue>.txt.gz    PredictDB models and their covariances
    gwas/33k/0001.txt.gz ...                      one BIG40 file per trait; also gwas/22k and gwas/11k
    manifest.tsv, manifest_22k.tsv, ..11k.tsv     trait, path, n, dialect, build, h2, h2_se, annotation
    gene_table.tsv                                gene, gene_name, chromosome, start, end
    truth_associations.parquet                    every (trait, tissue, gene) with E[z] != 0
    truth_causal.tsv, truth_traits.tsv            planted effects; true heritability
    study.json                                    the settings; written last, so it marks a complete study
"""

from __future__ import annotations

import json
import logging
import os
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from gputwas import __version__
from gputwas.errors import InputError, ResourceError
from gputwas.files import atomic_path, disk_errors
from gputwas.formats.covariance import write_covariances
from gputwas.formats.predictdb import write_models
from gputwas.progress import progress
from gputwas.simulate.config import StudyConfig
from gputwas.simulate.genome import Genome, draw_genome
from gputwas.simulate.models import DrawnModels, draw_expression_effects, train_models
from gputwas.simulate.nidps import ANNOTATION_COLUMNS
from gputwas.simulate.rows import Pattern, big40_file, draw_pattern
from gputwas.simulate.streams import Purpose, stream
from gputwas.simulate.tissues import tissue_names
from gputwas.simulate.traits import COHORTS, DrawnTraits, draw_traits
from gputwas.simulate.truth import TissueLoadings, association_truth, causal_truth, gene_table, trait_truth
from gputwas.stats.fdr import bh_adjust

__all__ = ["StudyTruth", "simulate_study"]

log = logging.getLogger(__name__)

RECORD = "study.json"
TRAITS_PER_PATTERN = 4  # neighbours, so that a region's traits have the same variants
MOST_WORKERS = 8  # threads that write GWAS files; each holds one file
BYTES_PER_ROW = 30  # of a compressed GWAS file, an upper bound


@dataclass(frozen=True)
class StudyTruth:
    """What is true in a simulated study.

    Attributes
    ----------
    folder : where the study is.
    config : its settings.
    tissues : names of the tissues.
    genes : gene, gene_name, chromosome, start, end.
    traits : trait, is_null, h2_true, h2_simulated, h2, h2_se.
    causal : the planted effects, see `causal_truth`.
    associations : trait, tissue, gene, gene_name, expected_z (in the "33k" cohort; in another one
        times the root of the ratio of the trait's sample sizes), only where it is not 0.
    n_models : number of models per tissue.
    """

    folder: str
    config: StudyConfig
    tissues: tuple[str, ...]
    genes: pa.Table
    traits: pa.Table
    causal: pa.Table
    associations: pa.Table
    n_models: tuple[int, ...]


def simulate_study(out: str | os.PathLike[str], config: StudyConfig) -> StudyTruth:
    """Write a synthetic study into the folder `out` and return the truth about it.

    The same settings give the same bytes. A folder that already holds this study is left as it is.

    Raises
    ------
    InputError
        If the folder holds something else, or a study with other settings.
    ResourceError
        If the disk is too small.
    """
    folder = os.fspath(out)
    complete = _check_folder(folder, config)
    if not complete:
        _check_space(folder, config)
    genome = draw_genome(config)
    effects = draw_expression_effects(config, genome)
    traits = draw_traits(config, genome, effects)
    patterns = [draw_pattern(config, genome, number) for number in range(config.n_patterns)]
    loadings = _models(None if complete else folder, config, genome, effects, patterns)
    tissues = tuple(tissue.tissue for tissue in loadings)
    pattern_of = [_pattern_of(trait, config) for trait in range(config.n_traits)]
    truth = StudyTruth(
        folder=folder, config=config, tissues=tissues, genes=gene_table(genome), traits=trait_truth(traits),
        causal=causal_truth(traits, tissues),
        associations=association_truth(traits, loadings, pattern_of),
        n_models=tuple(int(tissue.gene.size) for tissue in loadings),
    )  # fmt: skip
    if complete:
        log.info("%s already holds this study", folder)
        return truth
    with disk_errors(folder):
        _write_gwas(folder, traits, patterns)
        _write_truth(folder, truth)
    return truth


def _pattern_of(trait: int, config: StudyConfig) -> int:
    return trait // TRAITS_PER_PATTERN % config.n_patterns


def _check_folder(folder: str, config: StudyConfig) -> bool:
    """Whether the folder holds this very study already; refuses one that holds anything else."""
    record = os.path.join(folder, RECORD)
    if os.path.exists(folder) and not os.path.isdir(folder):
        raise InputError("this is a file, a study needs a folder", path=folder)
    if not os.path.exists(record):
        ours = {"models", "gwas", "gene_table.tsv"}  # what an interrupted run may have left
        strangers = sorted(set(os.listdir(folder)) - ours) if os.path.isdir(folder) else []
        strangers = [name for name in strangers if not name.startswith(("manifest", "truth_", "."))]
        if strangers:
            raise InputError(
                "the folder is not empty", path=folder, found=", ".join(strangers[:3]),
                remedy="Name a new folder for the simulated study.",
            )  # fmt: skip
        return False
    with open(record, encoding="utf-8") as file:
        try:
            found = json.load(file)
        except json.JSONDecodeError as error:
            raise InputError(f"not a record of a simulated study ({error})", path=record) from error
    if found != _record(config):
        raise InputError(
            "the folder holds a study simulated with other settings", path=record,
            remedy="Name a new folder, or remove this one.",
        )  # fmt: skip
    return True


def _record(config: StudyConfig) -> dict[str, object]:
    return {"made_by": f"gputwas {__version__} simulate", "settings": config.as_dict()}


def _check_space(folder: str, config: StudyConfig) -> None:
    os.makedirs(folder, exist_ok=True)
    needed = config.n_variants * config.n_traits * len(COHORTS) * BYTES_PER_ROW
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise ResourceError(
            f"{folder}: the study needs about {needed:,} bytes, {free:,} are free. "
            "Simulate fewer traits or name a folder on a larger disk."
        )


def _models(
    folder: str | None, config: StudyConfig, genome: Genome, effects: np.ndarray, patterns: list[Pattern]
) -> list[TissueLoadings]:
    """Train the models tissue by tissue, write them if there is a folder, keep what the truth needs."""
    out = []
    common = _orientation(config, genome, (), 0.5)
    with progress("models", config.n_tissues, "tissues") as shown:
        for number, name in enumerate(tissue_names(config.n_tissues)):
            drawn = train_models(config, genome, effects, number)
            if folder is not None:
                # Most releases agree on the effect allele of a variant in all tissues; some do not.
                turned = common * _orientation(config, genome, (number,), config.model_flip_share)
                _write_tissue(os.path.join(folder, "models"), name, genome, drawn, turned)
            by_pattern = tuple(drawn.loadings(pattern.present) for pattern in patterns)
            out.append(TissueLoadings(name, drawn.gene, drawn.block, by_pattern))
            shown.advance()
    return out


def _write_tissue(place: str, name: str, genome: Genome, drawn: DrawnModels, turned: np.ndarray) -> None:
    os.makedirs(place, exist_ok=True)
    with disk_errors(place):
        write_models(os.path.join(place, f"{name}.db"), *_model_tables(genome, drawn, turned))
        genes = [str(genome.gene[gene]) for gene in drawn.gene]
        blocks = _covariance_blocks(genome, drawn, turned)
        write_covariances(os.path.join(place, f"{name}.txt.gz"), genes, blocks)


def _orientation(config: StudyConfig, genome: Genome, index: tuple[int, ...], share: float) -> np.ndarray:
    """Sign per variant, (blocks, variants), -1 for a random `share` of them: models count `ref` there."""
    draws = stream(config.seed, Purpose.ORIENTATION, *index).uniform(size=genome.position.shape)
    return np.where(draws < share, -1.0, 1.0)


def _model_tables(genome: Genome, drawn: DrawnModels, turned: np.ndarray) -> tuple[pa.Table, pa.Table]:
    """Tables `extra` and `weights` of one tissue."""
    model, variant = np.nonzero(drawn.weights)
    block = drawn.block[model]
    sign = turned[block, variant]
    effect = np.where(sign > 0, genome.alt[block, variant], genome.ref[block, variant])
    other = np.where(sign > 0, genome.ref[block, variant], genome.alt[block, variant])
    q = 10.0 ** -bh_adjust(-np.log10(drawn.performance_p))
    genes = pa.table({
        "gene": pa.array(genome.gene[drawn.gene], pa.string()),
        "gene_name": pa.array(genome.gene_name[drawn.gene], pa.string()),
        "n_snps_in_model": pa.array((drawn.weights != 0).sum(axis=1), pa.int64()),
        "pred_perf_r2": drawn.performance_r2, "pred_perf_pval": drawn.performance_p, "pred_perf_qval": q,
    })  # fmt: skip
    weights = pa.table({
        "gene": pa.array(genome.gene[drawn.gene[model]], pa.string()),
        "variant_id": pa.array(genome.identifier[block, variant], pa.string()),
        "weight": drawn.weights[model, variant] * sign,
        "effect_allele": pa.array(effect, pa.string()), "other_allele": pa.array(other, pa.string()),
    })  # fmt: skip
    return genes, weights


def _covariance_blocks(
    genome: Genome, drawn: DrawnModels, turned: np.ndarray
) -> Iterator[tuple[list[str], np.ndarray]]:
    """Per gene the ids of the model's variants and their covariance, for the models' effect alleles."""
    for block, weights in zip(drawn.block, drawn.weights, strict=True):
        rows = np.flatnonzero(weights)
        sign = turned[block, rows]
        values = drawn.covariance[block][np.ix_(rows, rows)] * sign[:, None] * sign[None, :] + 0.0
        yield [str(name) for name in genome.identifier[block, rows]], values


def _write_gwas(folder: str, traits: DrawnTraits, patterns: list[Pattern]) -> None:
    """Write the files of all traits and cohorts, and the manifests."""
    config = traits.config
    for cohort in COHORTS:
        os.makedirs(os.path.join(folder, "gwas", cohort), exist_ok=True)
    width = max(4, len(str(config.n_traits)))
    files = [f"{number + 1:0{width}d}.txt.gz" for number in range(config.n_traits)]

    def write(number: int) -> None:
        pattern, sizes = patterns[_pattern_of(number, config)], traits.sample_sizes(number)
        for cohort, z in traits.draw(number).items():
            content = big40_file(pattern, traits.genome, z, sizes[cohort])
            with (
                atomic_path(os.path.join(folder, "gwas", cohort, files[number])) as temporary,
                open(temporary, "wb") as written,
            ):
                written.write(content)

    with (
        progress("GWAS", config.n_traits, "traits") as shown,
        ThreadPoolExecutor(max_workers=min(MOST_WORKERS, os.cpu_count() or 1)) as pool,
    ):
        for _ in pool.map(write, range(config.n_traits)):
            shown.advance()
    for cohort in COHORTS:
        name = "manifest.tsv" if cohort == COHORTS[-1] else f"manifest_{cohort}.tsv"
        _write_tsv(os.path.join(folder, name), _manifest(traits, cohort, files))


def _manifest(traits: DrawnTraits, cohort: str, files: list[str]) -> pa.Table:
    columns: dict[str, object] = {
        "trait": [trait.name for trait in traits.nidps],
        "path": [f"gwas/{cohort}/{file}" for file in files],
        "n": [traits.sample_sizes(number)[cohort] for number in range(len(files))],
        "dialect": ["big40"] * len(files),
        "build": ["GRCh37"] * len(files),
        "h2": traits.h2,
        "h2_se": traits.h2_se,
    }
    for place, name in enumerate(ANNOTATION_COLUMNS):
        columns[name] = [trait.annotation[place] for trait in traits.nidps]
    return pa.table(columns)


def _write_truth(folder: str, truth: StudyTruth) -> None:
    _write_tsv(os.path.join(folder, "gene_table.tsv"), truth.genes)
    _write_tsv(os.path.join(folder, "truth_causal.tsv"), truth.causal)
    _write_tsv(os.path.join(folder, "truth_traits.tsv"), truth.traits)
    with atomic_path(os.path.join(folder, "truth_associations.parquet")) as temporary:
        pyarrow.parquet.write_table(truth.associations, temporary, compression="zstd")
    with (
        atomic_path(os.path.join(folder, RECORD)) as temporary,
        open(temporary, "w", encoding="utf-8") as file,
    ):
        json.dump(_record(truth.config), file, indent=1)


def _write_tsv(path: str, table: pa.Table) -> None:
    options = pyarrow.csv.WriteOptions(include_header=False, delimiter="\t", quoting_style="none")
    with atomic_path(path) as temporary, open(temporary, "wb") as file:
        file.write("\t".join(table.column_names).encode() + b"\n")
        pyarrow.csv.write_csv(table, file, options)
