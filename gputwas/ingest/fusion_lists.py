"""Which genes FUSION's lists name, and where their weights are.

In: ``.pos`` files. Out: one entry per row, with the tissue and name that the gene gets in a store.
"""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from gputwas.errors import InputError
from gputwas.formats.fusion import read_pos
from gputwas.stores.hashing import ContentHash, describe_inputs, hash_file

__all__ = ["ListedGene", "input_digests", "read_lists"]

log = logging.getLogger(__name__)

PathLike = str | os.PathLike[str]
_ENDS = (".wgt.rdat", ".rdat", ".rda", ".rdata")


@dataclass(frozen=True)
class ListedGene:
    """A row of a list.

    Attributes
    ----------
    source, line : the list, and the row's line in it.
    tissue : its PANEL, or the list's name without its ending.
    gene : its ID, and behind a colon the name of the file where the tissue lists the ID several times.
    gene_name : its ID. path : its weight file.
    chromosome, start, end : place of the gene; None where the list does not tell.
    """

    source: str
    line: int
    tissue: str
    gene: str
    gene_name: str
    path: str
    chromosome: str
    start: int | None
    end: int | None


def read_lists(lists: Sequence[PathLike], weights_dir: PathLike | None = None) -> list[ListedGene]:
    """Read lists of weight files.

    Parameters
    ----------
    weights_dir : folder that the column WGT starts from (FUSION's ``--weights_dir``); by default that of
        each list, which is where releases have it.

    Raises
    ------
    InputError
        If a list cannot be used (see `read_pos`), a weight file is absent, or a row is there twice.
    """
    genes = [gene for path in lists for gene in _read_list(os.fspath(path), weights_dir)]
    if not genes:
        raise InputError("no list of weights is given", remedy="Name FUSION's .pos files.")
    _check_files(genes)
    counts = Counter((gene.tissue, gene.gene) for gene in genes)
    if len(counts) < len(genes):
        genes = [
            replace(gene, gene=f"{gene.gene}:{_stem(gene.path)}")
            if counts[gene.tissue, gene.gene] > 1
            else gene
            for gene in genes
        ]
        several = [count for count in counts.values() if count > 1]
        log.info(
            "%d genes are listed more than once in their panel, %d times in all; each of these models is "
            "named after its gene and its file", len(several), sum(several),
        )  # fmt: skip
    _check_names(genes)
    return genes


def input_digests(genes: Sequence[ListedGene], others: Iterable[PathLike]) -> dict[str, dict[str, Any]]:
    """Digests of all inputs; the thousands of weight files of a list have one together."""
    lists = list(dict.fromkeys(gene.source for gene in genes))
    described = describe_inputs([*lists, *others])
    for source in lists:
        paths = [gene.path for gene in genes if gene.source == source]
        together = ContentHash()
        for path in paths:
            together.add_text(hash_file(path))
        total = sum(os.path.getsize(path) for path in paths)
        described[f"{source}: {len(paths)} weight files"] = {"bytes": total, "xxh3_128": together.hexdigest()}
    return described


def _read_list(path: str, weights_dir: PathLike | None) -> list[ListedGene]:
    folder = os.path.dirname(path) if weights_dir is None else os.fspath(weights_dir)
    stem = os.path.splitext(os.path.basename(path))[0]
    return [
        ListedGene(
            source=path,
            line=row["line"],
            tissue=row["panel"] or stem,
            gene=row["id"],
            gene_name=row["id"],
            path=os.path.join(folder, row["wgt"]),
            chromosome=row["chr"],
            start=row["p0"],
            end=row["p1"],
        )
        for row in read_pos(path).to_pylist()
    ]


def _check_files(genes: Sequence[ListedGene]) -> None:
    absent = [gene for gene in genes if not os.path.isfile(gene.path)]
    if absent:
        raise InputError(
            f"{len(absent):,} of the {len(genes):,} weight files are not there",
            path=absent[0].source,
            line=absent[0].line,
            column="WGT",
            found=f"no file {absent[0].path}",
            remedy="The column's paths start from --weights-dir, or else from the list's folder: name the "
            "folder, or take the rows out of the list.",
        )


def _check_names(genes: Sequence[ListedGene]) -> None:
    seen: dict[tuple[str, str], ListedGene] = {}
    for gene in genes:
        first = seen.setdefault((gene.tissue, gene.gene), gene)
        if first is not gene:
            raise InputError(
                f"the weights of {gene.gene_name} in {gene.tissue} are listed twice",
                path=gene.source,
                line=gene.line,
                column="WGT",
                found=f"{gene.path}, first in {first.source}, line {first.line}",
                remedy="Take one of the rows out of the list."
                if first.source == gene.source
                else "Of several lists of one panel, such as P.pos and P.nofilter.pos, give one.",
            )


def _stem(path: str) -> str:
    name = os.path.basename(path)
    for end in _ENDS:
        if name.lower().endswith(end):
            return name[: -len(end)]
    return name
