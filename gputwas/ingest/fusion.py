"""FUSION's prediction models: from lists of weight files and an LD reference to a model store.

In: ``.pos`` lists with their ``.wgt.RDat`` files, and genotypes. Out: a store like that of any other models,
and an account of every tissue.

FUSION and PredictDB state the same model in two units. FUSION's weights are of genotypes divided by their
standard deviation, and its covariance is their correlation R: z = w'Z / sqrt(w'R w) (FUSION.assoc_test.R:272,
:273, :276; Gusev et al. 2016, doi:10.1038/ng.3506). PredictDB's are of dosages, whose covariance is Γ = D R D
with D = diag(σ), σ the standard deviations of the dosages: w_dosage = w / σ, and
z = Σ w_dosage σ Z / sqrt(w_dosage' Γ w_dosage) is the same number, as is var_g. What differs is the unit of
beta in the effect size. A store made ``per="sd"`` holds w and R as they are (σ = 1): its effect size is right
where the GWAS gives effects per standard deviation of the genotype. One made ``per="dosage"`` holds w / σ and
D R D with the LD reference's σ: its effect size is right for effects per allele, and covariances of dosages
across tissues, as S-MultiXcan takes them, fit its weights; so this is what is made unless asked otherwise.

Three things are not as in FUSION. SNPs that a GWAS lacks leave z and its variance, as in S-PrediXcan; FUSION
imputes their z from the LD (``--max_impute``, ``--min_r2pred``; :244-267). SNPs whose alleles fit the LD
reference on neither strand are left out, and so are those that do not vary there, with which FUSION stops.
Genes are scored whatever share of their SNPs the GWAS has. Where the GWAS has all SNPs, z is FUSION's. That
the alleles of the GWAS are turned, and strand-ambiguous SNPs left out, is seen to by `gwas import` and by no
such SNP being in a model.
"""

from __future__ import annotations

import dataclasses
import functools
import logging
import os
import time
from collections.abc import Sequence
from concurrent.futures import Executor
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gputwas.errors import InputError
from gputwas.executors.choose import open_executor
from gputwas.executors.jobs import run_jobs
from gputwas.formats.genotypes.open import open_genotypes
from gputwas.ingest.fusion_choice import ChosenModel, ReadJob, read_chosen
from gputwas.ingest.fusion_ld import NO_VARIANCE, LdReference
from gputwas.ingest.fusion_lists import ListedGene, input_digests, read_lists
from gputwas.ingest.fusion_tissue import FusionTissue, tissue_of
from gputwas.ingest.models_pack import pack_models
from gputwas.ingest.models_report import ImportReport, report_of_store
from gputwas.progress import progress
from gputwas.stores.models import ModelSet, models_store_is_current, read_models_store, write_models_store
from gputwas.variants.identifiers import style_of

__all__ = ["Per", "import_fusion"]

log = logging.getLogger(__name__)

Per = Literal["sd", "dosage"]
PathLike = str | os.PathLike[str]
_FILES_PER_JOB = 32
_FEW_FOUND = 0.5


def import_fusion(
    lists: PathLike | Sequence[PathLike],
    ld: PathLike | Sequence[PathLike],
    out: PathLike,
    *,
    weights_dir: PathLike | None = None,
    samples: PathLike | None = None,
    force_model: str | None = None,
    per: Per = "dosage",
    executor: Executor | str | None = None,
    overwrite: bool = False,
) -> ImportReport:
    """Import FUSION's models into a store.

    Its table of models has three columns more than that of other stores: model_kind (the prediction model
    that was chosen), hsq and hsq_pval (cis-heritability and its p).

    Parameters
    ----------
    lists : ``.pos`` files. A panel of theirs is a tissue, a row a model; where a panel has several rows of
        one ID (splicing), each is a gene ``ID:file`` of its own.
    ld : genotypes, see `open_genotypes`. samples : those of them to use.
    out : folder of the store.
    weights_dir : folder that the lists' column WGT starts from; by default that of each list.
    force_model : name of the prediction model to use, not the one that predicts best, see `best_model`.
    per : unit of the weights in the store, see the module's first lines.
    executor : where the weight files are read, see `open_executor`.
    overwrite : replace a store made from other files or options.

    Raises
    ------
    InputError
        For an unusable or absent file, no SNP in the LD reference, or a store from other inputs.
    ResourceError
        If `rdata` or a reader of genotypes is not installed, the dosages of a gene do not fit into memory,
        or the disk is full.
    """
    started = time.monotonic()
    if per not in ("sd", "dosage"):
        raise ValueError(f"per is sd or dosage, not {per!r}")
    genes = read_lists([lists] if isinstance(lists, str | os.PathLike) else lists, weights_dir)
    reference = LdReference(open_genotypes(ld, samples))
    inputs = input_digests(genes, [*reference.panel.paths, *([] if samples is None else [samples])])
    parameters = {"kind": "FUSION", "force_model": force_model, "per": per}
    if not overwrite and models_store_is_current(out, inputs=inputs, parameters=parameters):
        log.info("%s: the store is complete from the same files", os.fspath(out))
        return report_of_store(read_models_store(out), time.monotonic() - started)
    with open_executor(executor) as open_one:
        chosen = _read(genes, force_model, open_one)
    _check_found(genes, chosen, reference, force_model)
    tissues = _tissues(genes, chosen, reference)
    reference.look(np.concatenate([tissue.rows for tissue in tissues]))
    tissues = [tissue.settled(reference) for tissue in tissues]
    if not any(len(tissue.rows) for tissue in tissues):
        raise _nothing_left(genes, chosen, reference)
    warnings = [text for tissue in tissues for text in tissue.warnings]
    for text in warnings:
        log.warning(text)
    model_set, report = pack_models(
        [(tissue.models(reference, per), functools.partial(tissue.ld, reference, per)) for tissue in tissues],
        gene_table=_gene_table(genes),
    )
    model_set = _completed(model_set, genes, tissues, reference)
    write_models_store(out, model_set, inputs=inputs, parameters=parameters, overwrite=overwrite)
    return dataclasses.replace(
        report, warnings=(*warnings, *report.warnings), seconds=time.monotonic() - started
    )


def _read(
    genes: Sequence[ListedGene], force_model: str | None, executor: Executor | None
) -> list[ChosenModel]:
    """The chosen model of every gene, in order."""
    paths = [gene.path for gene in genes]
    jobs = [
        ReadJob(tuple(paths[start : start + _FILES_PER_JOB]), force_model)
        for start in range(0, len(paths), _FILES_PER_JOB)
    ]
    parts: dict[int, list[ChosenModel]] = {}
    with progress("Weights", len(paths), "files") as shown:
        for position, part in run_jobs(read_chosen, jobs, executor):
            parts[position] = part
            shown.advance(len(part))
    return [model for position in range(len(jobs)) for model in parts[position]]


def _check_found(
    genes: Sequence[ListedGene],
    chosen: Sequence[ChosenModel],
    reference: LdReference,
    force_model: str | None,
) -> None:
    """Refuse weights of which nothing can be used, with the likeliest reason."""
    if all(model.kind is None for model in chosen):
        known = dict.fromkeys(name for model in chosen for name in model.models)
        raise InputError(
            f"no weight file has a model {force_model!r}",
            path=genes[0].source,
            expected="one of " + ", ".join(known),
            remedy="Name one of these with --force-model.",
        )
    ids = _snps(chosen)[0]
    found = reference.contains(ids)
    if len(ids) and not found.any():
        raise InputError(
            "no SNP of the weights is in the LD reference",
            path=reference.panel.paths[0],
            found=style_of(reference.ids).describe(),
            expected=style_of(ids).describe(),
            remedy="Give the LD reference that belongs to the weights (FUSION's LDREF).",
        )
    if len(ids) and found.mean() < _FEW_FOUND:
        log.warning(
            "only %.0f %% of the weights are of SNPs that the LD reference has: it may not be the one that "
            "belongs to these weights", 100 * found.mean(),
        )  # fmt: skip


def _nothing_left(
    genes: Sequence[ListedGene], chosen: Sequence[ChosenModel], reference: LdReference
) -> InputError:
    """What to say where no gene keeps a SNP."""
    rows, _, reasons = reference.match(*_snps(chosen))
    counts = {reason: int(np.count_nonzero(mask)) for reason, mask in reasons.items()}
    counts[NO_VARIANCE] = int(np.count_nonzero(rows >= 0))
    found = ", ".join(f"{count:,} {reason}" for reason, count in counts.items() if count)
    return InputError(
        "no weight can be used",
        path=genes[0].source,
        found=f"{len(rows):,} weights: {found}" if found else "no weight that is not 0",
        expected="SNPs of the LD reference, with its alleles",
        remedy="Give the LD reference that belongs to the weights (FUSION's LDREF).",
    )


def _snps(chosen: Sequence[ChosenModel]) -> list[pa.Array]:
    """Identifiers, effect and other alleles of all models, one after the other."""
    return [
        pa.chunked_array([getattr(model, column) for model in chosen], pa.string()).combine_chunks()
        for column in ("variant_id", "effect_allele", "other_allele")
    ]


def _tissues(
    genes: Sequence[ListedGene], chosen: Sequence[ChosenModel], reference: LdReference
) -> list[FusionTissue]:
    """One tissue per panel, in the order in which the lists name them."""
    known = set(pc.unique(reference.panel.variants["chromosome"]).to_pylist())
    lacking = {gene.chromosome for gene in genes} - known
    if lacking:
        lost = sum(gene.chromosome in lacking for gene in genes)
        log.warning(
            "the LD reference has no variants on chromosome %s, where %d of the %d listed models are",
            ", ".join(sorted(lacking)), lost, len(genes),
        )  # fmt: skip
    by_tissue: dict[str, list[int]] = {}
    for number, gene in enumerate(genes):
        by_tissue.setdefault(gene.tissue, []).append(number)
    return [
        tissue_of(tissue, [genes[n] for n in numbers], [chosen[n] for n in numbers], reference)
        for tissue, numbers in by_tissue.items()
    ]


def _gene_table(genes: Sequence[ListedGene]) -> pa.Table:
    return pa.table(
        {
            "gene": [gene.gene for gene in genes],
            "chromosome": [gene.chromosome for gene in genes],
            "start": pa.array([gene.start for gene in genes], pa.int64()),
            "end": pa.array([gene.end for gene in genes], pa.int64()),
        }
    )


def _completed(
    model_set: ModelSet,
    genes: Sequence[ListedGene],
    tissues: Sequence[FusionTissue],
    reference: LdReference,
) -> ModelSet:
    """Add what only FUSION's files tell: places by panel, kind of model, heritability, SNP positions."""
    models, panel = model_set.models, model_set.panel
    listed = {(gene.tissue, gene.gene): gene for gene in genes}
    pairs = zip(models["tissue"].to_pylist(), models["gene"].to_pylist(), strict=True)
    rows = [listed[pair] for pair in pairs]
    chosen = {(t.name, g.gene): model for t in tissues for g, model in zip(t.genes, t.chosen, strict=True)}
    used = [chosen[row.tissue, row.gene] for row in rows]
    for name in ("chromosome", "start", "end"):
        place = models.schema.get_field_index(name)
        values = pa.array([getattr(row, name) for row in rows], models.schema.field(name).type)
        models = models.set_column(place, name, values)
    models = models.append_column("model_kind", pa.array([model.kind for model in used], pa.string()))
    for name in ("hsq", "hsq_pval"):
        column = pa.array([getattr(model, name) for model in used], pa.float64(), from_pandas=True)
        models = models.append_column(name, column)
    names = (panel[name].combine_chunks() for name in ("variant_id", "effect_allele", "other_allele"))
    at = pa.array(reference.match(*names)[0])
    for name in ("chromosome", "position"):
        place = panel.schema.get_field_index(name)
        panel = panel.set_column(place, name, reference.panel.variants[name].take(at))
    return dataclasses.replace(model_set, models=models, panel=panel)
