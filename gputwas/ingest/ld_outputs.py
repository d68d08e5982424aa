"""One pass through the genotypes for everything that is asked for: models, text files, genes across tissues.

In: models placed in genotypes. Out: text files, written as it goes where the order allows it; the covariances
of every tissue, to be packed; those of the genes; and the account of it.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from gputwas.backends.choose import Backend
from gputwas.files import disk_errors
from gputwas.formats.covariance_text import CovarianceText
from gputwas.formats.triangles import Triangles
from gputwas.ingest.ld_align import Fate
from gputwas.ingest.ld_check import FATE_WORDS, check_used
from gputwas.ingest.ld_report import LdReport, TissueLdReport
from gputwas.ingest.ld_sink import GroupTriangles, Spool, TriangleSink, split_piece
from gputwas.ingest.ld_tissues import GeneGroups, LdModels, TissueGroups
from gputwas.ingest.ld_units import Genotypes, Groups, Quality, group_covariances
from gputwas.ingest.ld_wanted import LdOutputs
from gputwas.ingest.models_pack import CovarianceSource
from gputwas.progress import progress
from gputwas.stores.gene_ld import GeneLd

__all__ = ["LdResult", "compute_outputs"]

log = logging.getLogger(__name__)

_CELLS_AT_A_TIME = 1 << 21  # of triangles on their way from one file to another


@dataclass(frozen=True, eq=False)
class LdResult:
    """Covariances, and the account of them.

    Attributes
    ----------
    report : counts per tissue.
    gene_ld : covariances across tissues, if they are to be stored.
    """

    report: LdReport
    gene_ld: GeneLd | None
    _models: LdModels
    _sink: TriangleSink
    _starts: np.ndarray
    _path: str

    def triangles(self, number: int) -> Triangles:
        """Covariances of the models of a tissue, counting each model's own effect alleles.

        Parameters
        ----------
        number : of the tissue among `LdModels.tissues`.
        """
        tissue = self._models.tissues[number]
        first, stop = int(self._starts[number]), int(self._starts[number + 1])
        found = self._sink.of(np.arange(first, stop))
        mine = found.entries - self._entry_base(number)
        some = found.sizes > 0
        return Triangles(
            self._path,
            tissue.entries.genes["gene"].combine_chunks().filter(pa.array(some)),
            found.sizes[some],
            tissue.entries.ids,
            tissue.entries.snp[tissue.members[mine]],
            found.turned(tissue.signs[mine]),
        )

    def sources(self) -> list[CovarianceSource]:
        """For `pack_models`, which may write into their values: one per tissue given, None without models."""
        sources: list[CovarianceSource] = [None] * self._models.n_sources
        for number, tissue in enumerate(self._models.tissues):
            sources[tissue.source] = functools.partial(self.triangles, number)
        return sources

    def _entry_base(self, number: int) -> int:
        return sum(len(tissue.members) for tissue in self._models.tissues[:number])


def compute_outputs(
    models: LdModels, panel: Genotypes, quality: Quality, backend: Backend, budget: int, wanted: LdOutputs
) -> LdResult:
    """Compute what is wanted, and write what of it is text.

    Parameters
    ----------
    budget : bytes that dosages may take.

    Raises
    ------
    InputError
        If no SNP is left of a tissue; then nothing is written.
    ResourceError
        If a gene does not fit into the budget, or the disk is full.
    """
    groups = [tissue.groups for tissue in models.tissues] if wanted.of_models else []
    starts = np.cumsum([0, *(len(of.offsets) - 1 for of in groups)])
    n_models, n_entries = int(starts[-1]), sum(len(of.rows) for of in groups)
    genes = models.genes() if wanted.cross_tissue is not None else None
    if genes is not None:
        groups.append(genes.groups)
    sink, gene_sink = TriangleSink(n_models, wanted.disk), None
    if genes is not None and wanted.cross_tissue_store is not None:
        gene_sink = TriangleSink(genes.genes.num_rows, wanted.disk)
    n_genes = 0
    pieces, fates = group_covariances(panel, _joined(groups), quality, backend, budget)
    with _gene_text(models, genes, wanted) as text:
        for piece in pieces:
            of_models, of_genes = split_piece(piece, n_models, n_entries)
            sink.add(of_models)
            n_genes += int(np.count_nonzero(of_genes.sizes))
            if gene_sink is not None:
                gene_sink.add(of_genes)
            if text is not None:
                text.add(
                    GroupTriangles(of_genes.sizes, of_genes.entries, of_genes.triangles), of_genes.groups
                )
        fate = models.placed.fate.copy()
        placed = models.placed.rows >= 0
        fate[placed] = fates(models.placed.rows[placed])
        for tissue in models.tissues:
            check_used(tissue.entries.tissue, fate[tissue.variants], quality, panel)
    gene_ld = None
    if genes is not None and gene_sink is not None:
        gene_ld = _gene_ld(models, genes, gene_sink, wanted.disk)
    report = _report(models, fate, panel, None if genes is None else n_genes)
    result = LdResult(report, gene_ld, models, sink, starts, panel.paths[0])
    if wanted.text is not None:
        _write_texts(result, wanted)
    return result


def _joined(groups: list[Groups]) -> Groups:
    bases = np.cumsum([0, *(len(of.rows) for of in groups)])
    offsets = [of.offsets[:-1] + base for of, base in zip(groups, bases[:-1], strict=True)]
    return Groups(np.concatenate([of.rows for of in groups]), np.concatenate([*offsets, bases[-1:]]))


def _write_texts(result: LdResult, wanted: LdOutputs) -> None:
    assert wanted.text is not None
    with disk_errors(wanted.text):
        os.makedirs(wanted.text, exist_ok=True)
    tissues = result.report.tissues
    with progress("Text", len(tissues), "tissues") as shown:
        for number, tissue in enumerate(tissues):
            triangles = result.triangles(number)
            with CovarianceText(wanted.text_file(tissue.tissue), digits=wanted.digits) as text:
                snps = triangles.snps.take(pa.array(triangles.members))
                text.write(triangles.genes, triangles.sizes, snps, triangles.values)
            shown.advance()
    if any(tissue.used < tissue.weights for tissue in tissues):
        log.info("%s: to import it, pass --allow-missing-ld, as SNPs are left out", os.fspath(wanted.text))


class _GeneText:
    """The cross-tissue covariance as text, written while it is computed.

    Text names SNPs by id alone. Where tissues count different alleles of a SNP, that of the models' panel is
    counted; where a gene has two SNPs of one id (several alternative alleles), the first stays.
    """

    def __init__(self, models: LdModels, genes: GeneGroups, text: CovarianceText) -> None:
        self._ids = models.panel["variant_id"].combine_chunks()
        self._codes = self._ids.dictionary_encode().indices.to_numpy(zero_copy_only=False).astype(np.int64)
        self._genes, self._text = genes, text
        self.repeated = 0

    def add(self, found: GroupTriangles, groups: np.ndarray) -> None:
        found = self._without_repeats(found)
        some = found.sizes > 0
        names = self._genes.genes["gene"].combine_chunks().take(pa.array(groups[some]))
        ids = self._ids.take(pa.array(self._genes.variants[found.entries]))
        self._text.write(names, found.sizes[some], ids, found.turned(self._genes.signs[found.entries]))

    def _without_repeats(self, found: GroupTriangles) -> GroupTriangles:
        owner = np.repeat(np.arange(len(found.sizes)), found.sizes)
        key = owner * max(len(self._ids), 1) + self._codes[self._genes.variants[found.entries]]
        _, first = np.unique(key, return_index=True)
        if len(first) == len(key):
            return found
        self.repeated += len(key) - len(first)
        keep = np.zeros(len(key), dtype=bool)
        keep[first] = True
        return found.only(keep)


@contextlib.contextmanager
def _gene_text(models: LdModels, genes: GeneGroups | None, wanted: LdOutputs) -> Iterator[_GeneText | None]:
    path = wanted.cross_tissue_text
    if genes is None or path is None:
        yield None
        return
    # MetaXcan's CovarianceBuilder.py separates by tabs
    with CovarianceText(path, digits=wanted.digits, separator="\t") as text:
        written = _GeneText(models, genes, text)
        yield written
    if written.repeated:
        log.warning(
            "%s: %d SNPs have the id of another SNP of their gene and are left out; a store keeps them apart",
            path, written.repeated,
        )  # fmt: skip
    turned = _counted_otherwise(models)
    if turned:
        log.warning(
            "%s: tissues count different alleles of %d SNPs, and text cannot say which is meant here: the "
            "allele of the first tissue that has the SNP",
            path, turned,
        )  # fmt: skip


def _counted_otherwise(models: LdModels) -> int:
    """Variants of which some tissues count one allele and some the other."""
    ways = np.zeros((2, models.panel.num_rows), dtype=bool)
    for tissue in models.tissues:
        variants = tissue.variants[tissue.members]
        same = tissue.signs == models.placed.signs[variants]
        ways[0, variants[same]] = True
        ways[1, variants[~same]] = True
    return int(np.count_nonzero(ways.all(axis=0)))


def _gene_ld(models: LdModels, genes: GeneGroups, sink: TriangleSink, folder: str) -> GeneLd:
    """Genes by id, those without a SNP left out; in the orientation of the models' panel."""
    ld = Spool(folder)
    entries = []
    for some in _portions(sink.sizes):
        found = sink.of(some)
        entries.append(found.entries)
        ld.add(found.turned(genes.signs[found.entries]))
    sizes = sink.sizes[sink.sizes > 0]
    return GeneLd(
        panel=models.panel,
        genes=genes.genes.filter(pa.array(sink.sizes > 0)).combine_chunks(),
        offsets=np.concatenate([[0], np.cumsum(sizes)]),
        variants=genes.variants[np.concatenate([np.empty(0, np.int64), *entries])].astype(np.int32),
        ld_offsets=np.concatenate([[0], np.cumsum(sizes * (sizes + 1) // 2)]),
        ld=ld.array(),
    )


def _portions(sizes: np.ndarray) -> Iterator[np.ndarray]:
    """Groups, some at a time, so that their triangles take little memory; at least one."""
    ends = np.cumsum(sizes * (sizes + 1) // 2)
    start = 0
    while start < len(sizes):
        before = ends[start - 1] if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, before + _CELLS_AT_A_TIME, "right")))
        yield np.arange(start, stop)
        start = stop


def _report(models: LdModels, fate: np.ndarray, panel: Genotypes, n_genes: int | None) -> LdReport:
    reports = [_tissue_report(models, tissue, fate) for tissue in models.tissues]
    found = int(np.count_nonzero(models.placed.rows >= 0))
    counts = np.bincount(fate, minlength=len(Fate))
    for which, words in FATE_WORDS.items():
        if counts[which]:
            log.info("%d of %d SNPs of the models are left out: %s", counts[which], len(fate), words)
    return LdReport(
        tuple(reports), models.panel.num_rows, found, len(panel.samples), models.placed.by, n_genes
    )


def _tissue_report(models: LdModels, tissue: TissueGroups, fate: np.ndarray) -> TissueLdReport:
    counts = np.bincount(fate[tissue.variants], minlength=len(Fate))
    members = tissue.variants[tissue.members]
    used = fate[members] == Fate.USED
    n_models = tissue.entries.genes.num_rows
    with_ld = len(np.unique(tissue.entries.model[tissue.members[used]]))
    left_out = {which.name.lower(): int(counts[which]) for which in Fate if which is not Fate.USED}
    return TissueLdReport(
        tissue=tissue.entries.tissue,
        models=n_models,
        weights=len(tissue.variants),
        used=int(counts[Fate.USED]),
        models_without_ld=n_models - with_ld,
        turned=int(np.count_nonzero(used & (tissue.signs < 0))),
        other_strand=int(np.count_nonzero(used & models.placed.other_strand[members])),
        **left_out,
    )
