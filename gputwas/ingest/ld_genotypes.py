"""The LD of prediction models from a reference panel of genotypes.

In: model databases and genotypes. Out: a model store, MetaXcan's covariance files, the covariances of genes
across tissues for S-MultiXcan, or all of these from one pass through the genotypes, and an account of every
SNP that is left out.

A covariance is that of the numbers of effect alleles of two SNPs over the samples of the panel, with samples
- 1 in the denominator and the SNP's mean in place of a missing genotype, see `gputwas.stats.covariance`.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence

from gputwas.backends.choose import choose_backend
from gputwas.backends.memory import memory_budget
from gputwas.errors import InputError
from gputwas.formats.genotypes.open import open_genotypes
from gputwas.formats.predictdb import TissueModels, read_models
from gputwas.ingest.ld_align import Match, place_variants
from gputwas.ingest.ld_check import check_placed
from gputwas.ingest.ld_outputs import compute_outputs
from gputwas.ingest.ld_report import LdReport, TissueLdReport
from gputwas.ingest.ld_tissues import LdModels
from gputwas.ingest.ld_units import Genotypes, Quality
from gputwas.ingest.ld_wanted import LdOutputs
from gputwas.ingest.models import read_gene_table
from gputwas.ingest.models_pack import Packing
from gputwas.ingest.models_pairs import ModelFiles, PathLike, find_databases, without_covariances
from gputwas.progress import progress
from gputwas.stores.folder import check_claim
from gputwas.stores.gene_ld import FORMAT as GENE_LD_FORMAT
from gputwas.stores.gene_ld import gene_ld_store_is_current, read_gene_ld_store, write_gene_ld_store
from gputwas.stores.hashing import describe_inputs
from gputwas.stores.models import FORMAT as MODELS_FORMAT
from gputwas.stores.models import models_store_is_current, read_models_store, write_models_store

__all__ = ["LdOutputs", "Quality", "covariance_from_genotypes"]

log = logging.getLogger(__name__)


def covariance_from_genotypes(
    models: PathLike | Sequence[PathLike],
    genotypes: PathLike | Sequence[PathLike],
    outputs: LdOutputs,
    *,
    samples: PathLike | None = None,
    snp_key: str | None = None,
    gene_table: PathLike | None = None,
    match: Match = "auto",
    quality: Quality | None = None,
    min_found: float = 0.25,
    allow_missing_chromosomes: bool = False,
    backend: str = "auto",
    memory: str | None = None,
) -> LdReport:
    """Compute the covariances of models from genotypes.

    Stores that are complete from the same files and options are left as they are.

    Parameters
    ----------
    models : databases, or folders of them, one tissue each.
    genotypes, samples : see `open_genotypes`; samples is a keep file.
    snp_key : column of the databases that identifies SNPs, see `read_models`.
    gene_table : gene positions, see `read_gene_table`; also tells the chromosomes of SNPs whose ids do not.
    match : see `place_variants`.
    min_found, allow_missing_chromosomes : see `check_placed`.
    backend, memory : where to compute, and how much memory dosages may take.

    Raises
    ------
    InputError
        For unusable files, genotypes that are not for these models, or stores from other inputs.
    UsageError
        If options contradict each other.
    ResourceError
        If a library, memory or disk space is lacking.
    """
    quality = quality or Quality()
    files = without_covariances(find_databases(models))
    tissues = [file.tissue for file in files]
    lists = [path for path in (samples, gene_table) if path is not None]
    outputs.check(tissues, lists)
    device = choose_backend(backend)
    panel = open_genotypes(genotypes, samples)
    _check_samples(panel)
    paths = [*(file.database for file in files), *panel.paths, *(os.fspath(path) for path in lists)]
    inputs = describe_inputs(paths)
    parameters = {
        "tissues": tissues,
        "snp_key": snp_key,
        "ld": "genotypes",
        "match": match,
        "maf": quality.maf,
        "max_missing": quality.max_missing,
    }
    todo = _not_there(outputs, inputs, parameters)
    if todo is None:
        return _report_of_stores(outputs, len(panel.samples))
    sources = _read_all(files, snp_key)
    genes = None if gene_table is None else read_gene_table(gene_table)
    packing = Packing(sources, gene_table=genes)
    placed = place_variants(packing.panel, panel.variants, match)
    check_placed(
        placed,
        packing.panel,
        panel,
        min_found=min_found,
        allow_missing_chromosomes=allow_missing_chromosomes,
    )
    ld_models = LdModels(sources, packing.panel, placed)
    result = compute_outputs(ld_models, panel, quality, device, memory_budget(memory), todo)
    if todo.store is not None:
        model_set, _ = packing.finish(result.sources(), allow_missing_ld=True)
        write_models_store(
            todo.store, model_set, inputs=inputs, parameters=parameters, overwrite=outputs.overwrite
        )
    if result.gene_ld is not None and todo.cross_tissue_store is not None:
        write_gene_ld_store(
            todo.cross_tissue_store,
            result.gene_ld,
            inputs=inputs,
            parameters=parameters,
            overwrite=outputs.overwrite,
        )
    return result.report


def _read_all(files: Sequence[ModelFiles], snp_key: str | None) -> list[TissueModels]:
    sources = []
    with progress("Databases", len(files), "tissues") as shown:
        for file in files:
            sources.append(read_models(file.database, snp_key=snp_key, tissue=file.tissue))
            shown.advance()
    return sources


def _check_samples(panel: Genotypes) -> None:
    if len(panel.samples) < 2:
        raise InputError(
            "a covariance needs at least two samples",
            path=panel.paths[0],
            found=str(len(panel.samples)),
            remedy="Check the ids in --samples against those of the panel.",
        )


def _not_there(outputs: LdOutputs, inputs: dict, parameters: dict) -> LdOutputs | None:
    """What of the outputs has to be made, or None; text always is. Stores from other inputs are refused."""
    store, cross = outputs.store, outputs.cross_tissue
    folder = outputs.cross_tissue_store
    for path, kind in ((store, MODELS_FORMAT), (folder, GENE_LD_FORMAT)):
        if path is not None:
            check_claim(path, kind, parameters=parameters, inputs=inputs, overwrite=outputs.overwrite)
    if not outputs.overwrite:
        if store is not None and models_store_is_current(store, inputs=inputs, parameters=parameters):
            log.info("%s: the store is complete from the same files", os.fspath(store))
            store = None
        if folder is not None and gene_ld_store_is_current(folder, inputs=inputs, parameters=parameters):
            log.info("%s: the store is complete from the same files", folder)
            cross = None
    if store is None and outputs.text is None and cross is None:
        return None
    return LdOutputs(store, outputs.text, cross, outputs.digits, outputs.overwrite)


def _report_of_stores(outputs: LdOutputs, samples: int) -> LdReport:
    tissues: list[TissueLdReport] = []
    variants = 0
    if outputs.store is not None:
        model_set = read_models_store(outputs.store)
        variants = model_set.panel.num_rows
        for tissue in model_set.tissues:
            rows = model_set.tissue_slice(tissue)
            tissues.append(
                TissueLdReport(
                    tissue=tissue,
                    models=rows.stop - rows.start,
                    weights=int(model_set.offsets[rows.stop] - model_set.offsets[rows.start]),
                    used=int(model_set.n_in_ld[rows].sum()),
                    models_without_ld=int((model_set.n_in_ld[rows] == 0).sum()),
                )
            )
    folder = outputs.cross_tissue_store
    genes = None if folder is None else read_gene_ld_store(folder).n_genes
    return LdReport(tuple(tissues), variants, None, samples, None, genes, already_there=True)
