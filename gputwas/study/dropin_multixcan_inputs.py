"""What `gputwas smultixcan` reads: S-PrediXcan results, models, and the SNPs that count.

In: folders, filters and patterns of SMulTiXcan.py. Out: z-scores of genes by tissues, weights of every
tissue, and SNP ids.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from gputwas.errors import InputError
from gputwas.formats.metaxcan import read_associations
from gputwas.formats.predictdb import TissueModels, read_models
from gputwas.formats.sumstats.inflate import blocks, compression_of
from gputwas.ingest.matching import Matching, read_rows
from gputwas.ingest.panel import PanelFilter, PanelIndex
from gputwas.study.dropin_gwas import GwasFlags, gwas_reader
from gputwas.study.dropin_multixcan_names import files_by_tissue, model_tissue, pattern_of, result_tissue

__all__ = [
    "TissueScores", "gwas_model_snps", "model_files", "read_columns", "read_scores", "read_tissue_models",
    "trimmed", "turned_snps",
]  # fmt: skip

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class TissueScores:
    """S-PrediXcan's z-scores of all genes in all tissues.

    Attributes
    ----------
    tissues : names, sorted; those without any finite z are left out. genes : string (genes,).
    z : float64 (genes, tissues), NaN where there is none.
    """

    tissues: list[str]
    genes: pa.Array
    z: np.ndarray

    def rows(self, genes: pa.Array) -> np.ndarray:
        """z of these genes, float64 (genes, tissues); NaN for those without results."""
        place = pc.fill_null(pc.index_in(genes, value_set=self.genes), -1).to_numpy()
        out = np.full((len(place), len(self.tissues)), np.nan)
        out[place >= 0] = self.z[place[place >= 0]]
        return out


def _listed(folder: str | None, flag: str) -> list[str]:
    if not os.path.isdir(folder or ""):
        raise InputError("there is no such folder", path=folder, remedy=f"Check --{flag}.")
    return sorted(os.listdir(folder))


def _none_fits(folder: str | None, names: Sequence[str], flag: str, filters: Sequence[str]) -> InputError:
    return InputError(
        f"no file name fits --{flag}",
        path=folder,
        found=", ".join(names[:5]) or "an empty folder",
        expected=f"names that fit {' '.join(map(repr, filters))}",
        remedy="The filters are regular expressions, not wildcards: .*csv and not *.csv.",
    )


def read_scores(folder: str | None, filters: Sequence[str], name_pattern: str | None) -> TissueScores:
    """Read the results whose names all filters fit, from the name's beginning.

    Raises
    ------
    InputError : there is no such file, one is no result of S-PrediXcan, two are of one tissue, or no z is
        finite.
    """
    names = _listed(folder, "metaxcan_folder")
    patterns = [pattern_of(text, "metaxcan_filter") for text in filters]
    chosen = [name for name in names if all(pattern.match(name) for pattern in patterns)]
    if not chosen:
        raise _none_fits(folder, names, "metaxcan_filter", filters)
    paths = [os.path.join(str(folder), name) for name in chosen]
    pattern = pattern_of(name_pattern, "metaxcan_file_name_parse_pattern") if name_pattern else None
    files = files_by_tissue(
        paths, [result_tissue(path, pattern) for path in paths], "results",
        "Results of one trait only: choose them by --metaxcan_filter, for instance 'trait1_.*csv'.",
    )  # fmt: skip
    parts = {}
    for tissue, path in files.items():
        table = read_associations(path).select(["gene", "zscore"])
        table = table.filter(pc.fill_null(pc.is_finite(table["zscore"]), False))
        if table.num_rows:
            parts[tissue] = table
    if not parts:
        raise InputError("no gene has a finite zscore in any of the results", path=folder)
    genes = pc.unique(pa.chunked_array([chunk for part in parts.values() for chunk in part["gene"].chunks]))
    z = np.full((len(genes), len(parts)), np.nan)
    for column, part in enumerate(parts.values()):
        # a gene that is there twice: its last row
        z[pc.index_in(part["gene"], value_set=genes).to_numpy(), column] = part["zscore"].to_numpy()
    return TissueScores(list(parts), genes, z)


def model_files(folder: str | None, filters: Sequence[str] | None, pattern: str | None) -> dict[str, str]:
    """Tissue -> model file, of those whose names any of the filters finds something in.

    Raises
    ------
    InputError : there is none, or two are of one tissue.
    """
    names = _listed(folder, "models_folder")
    wanted = [pattern_of(text, "models_name_filter") for text in filters or (".*db$",)]
    chosen = [name for name in names if any(one.search(name) for one in wanted)]
    if not chosen:
        raise _none_fits(folder, names, "models_name_filter", filters or (".*db$",))
    paths = [os.path.join(str(folder), name) for name in chosen]
    how = pattern_of(pattern, "models_name_pattern") if pattern else None
    return files_by_tissue(
        paths, [model_tissue(path, how) for path in paths], "models",
        "Choose one by --models_name_filter, or tell them apart by --models_name_pattern.",
    )  # fmt: skip


def read_tissue_models(files: dict[str, str], snp_key: str | None) -> list[TissueModels]:
    """Models of every tissue, in the order of the tissues."""
    return [read_models(path, snp_key=snp_key, tissue=tissue) for tissue, path in files.items()]


def trimmed(genes: pa.Array | pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    """Gene ids up to the first full stop: without Ensembl's version."""
    return pc.replace_substring_regex(genes, r"(?s)\..*", "")


def _variants(models: Sequence[TissueModels]) -> pa.Table:
    """variant_id, effect_allele, other_allele of all weights, each combination once."""
    names = ["variant_id", "effect_allele", "other_allele"]
    rows = pa.concat_tables([one.weights.select(names) for one in models])
    return rows.group_by(names, use_threads=False).aggregate([]).select(names).combine_chunks()


def turned_snps(models: Sequence[TissueModels]) -> list[str]:
    """Ids, sorted, of SNPs whose effect allele in one model is the other allele in another."""
    ids, effect, other = (column.combine_chunks() for column in _variants(models).columns)
    keys = [pc.binary_join_element_wise(ids, *pair, "\t") for pair in ((effect, other), (other, effect))]
    turned = pc.and_(pc.is_in(keys[1], value_set=keys[0]), pc.not_equal(effect, other))
    return sorted(pc.unique(ids.filter(turned)).to_pylist())


def gwas_model_snps(flags: GwasFlags, models: Sequence[TissueModels]) -> pa.Array:
    """Ids of model SNPs that the GWAS names with alleles that fit, whether or not their z is finite.

    Alleles fit if the unordered pairs are the same (software/metax/misc/GWASAndModels.py).

    Raises
    ------
    InputError : there is none, or the GWAS cannot be read.
    """
    panel = _variants(models)
    wanted = PanelIndex(panel)
    seen = PanelFilter(wanted)
    reader = gwas_reader(flags, seen)
    matched, _ = read_rows(reader, wanted, Matching("parity", flags.keep_non_rsid, "infer"), seen)
    rows = np.unique(np.asarray(matched.panel_rows)[np.asarray(matched.alignment.sign) != 0])
    if not len(rows):
        raise InputError(
            "the GWAS and the models have no SNP in common whose alleles fit",
            path=flags.gwas_file or flags.gwas_folder,
            found=reader.layout.describe(),
            remedy="Check --snp_column and the allele columns; ids of other models: --model_db_snp_key; ids "
            "that are no rs numbers: --keep_non_rsid.",
        )
    log.info("%d of %d model SNPs are in the GWAS", len(rows), panel.num_rows)
    return pc.unique(panel["variant_id"].take(pa.array(rows))).cast(pa.string())


def read_columns(path: str, types: dict[str, pa.DataType], what: str) -> pa.Table:
    """Some columns of a table of words between whitespace, compressed or not.

    Raises
    ------
    InputError : it lacks a column, or a row cannot be read.
    """
    text = b"".join(block.data.tobytes() for block in blocks(path, compression_of(path)))
    first, _, body = text.partition(b"\n")
    header = first.decode("utf-8-sig", "replace").split()
    for wanted in types:
        if wanted not in header:
            raise InputError(
                f"{what} has no column {wanted}", path=path, line=1,
                found="columns " + " ".join(header)[:200], expected=f"columns {' '.join(types)}",
            )  # fmt: skip
    if len(header) > 1 or b" " in body or b"\r" in body:
        body = re.sub(rb" ?\n ?", b"\n", re.sub(rb"[ \t\r\f\v]+", b" ", body)).strip(b" ")
    try:
        return pyarrow.csv.read_csv(
            pa.BufferReader(body or b"\n"),
            parse_options=pyarrow.csv.ParseOptions(delimiter=" ", quote_char=False),
            # one thread: only then do errors tell their row
            read_options=pyarrow.csv.ReadOptions(column_names=header, use_threads=False),
            convert_options=pyarrow.csv.ConvertOptions(
                column_types=types, include_columns=list(types), null_values=["NA", "nan", "NaN"],
                strings_can_be_null=False,
            ),
        )  # fmt: skip
    except pa.ArrowInvalid as error:
        row = re.search(r"Row #(\d+): ", str(error))
        raise InputError(
            f"a row of {what} cannot be read", path=path, line=int(row[1]) + 1 if row else None,
            found=str(error).split(": ", 2)[-1],
        ) from None  # fmt: skip
