"""GWAS-VCF: the statistics of a sample column, taken apart by its FORMAT.

In: a VCF with ES, SE, LP, AF, SS, EZ, SI or ID in FORMAT (Lyon et al. 2021, doi:10.1186/s13059-020-02248-0).
Out: its `Layout`, and raw columns with the roles of every other format. ALT is the effect allele.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gputwas.errors import InputError
from gputwas.formats.sumstats.blocks import RawBlock
from gputwas.formats.sumstats.head import Head
from gputwas.formats.sumstats.layout import Layout

__all__ = ["FIELDS", "is_vcf", "unpack", "vcf_columns", "vcf_layout"]

FIELDS = {
    "beta": "ES",
    "se": "SE",
    "nlog10_p": "LP",
    "z": "EZ",
    "n": "SS",
    "effect_allele_frequency": "AF",
    "info": "SI",
}
_FIXED = ("#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO", "FORMAT")


def is_vcf(head: Head) -> bool:
    """Tell whether a header is that of a VCF with samples."""
    return head.names[: len(_FIXED)] == _FIXED


def vcf_layout(head: Head, path: str, columns: Mapping[str, str] | None) -> Layout:
    """Return which fields of which sample are read.

    Several samples are an error unless `columns` names one: {"sample": NAME}.
    """
    samples = head.names[len(_FIXED) :]
    sample = (columns or {}).get("sample")
    if sample is None and len(samples) == 1:
        sample = samples[0]
    if sample is None or sample not in samples:
        raise InputError(
            f"has {len(samples)} samples" if sample is None else f"has no sample {sample!r}",
            path=path,
            line=head.body_line - 1,
            found=", ".join(samples[:10]) or "no sample column",
            remedy="Name the one to read: --column sample=NAME.",
        )
    fields = {field for row in head.sample for field in row[8].split(":")}
    taken = {role: f"FORMAT/{field}" for role, field in FIELDS.items() if field in fields}
    if "beta" not in taken and "z" not in taken:
        raise InputError(
            "is a VCF without effects",
            path=path,
            line=head.body_line,
            column="FORMAT",
            found=":".join(sorted(fields)),
            expected="ES and SE (or EZ) as in GWAS-VCF",
            remedy="Genotype VCFs are not summary statistics.",
        )
    taken |= _given_fields(columns or {}, fields, path, head.body_line - 1)
    case_control = any(re.search(r"StudyType=\"?CaseControl", line) for line in head.comments)
    roles = {
        "variant_id": "ID",
        "chromosome": "#CHROM",
        "position": "POS",
        "effect_allele": "ALT",
        "other_allele": "REF",
        **taken,
        "sample": sample,
    }
    notes = ["ALT is the effect allele", *(["LP is -log10 p"] if "nlog10_p" in taken else [])]
    if case_control:
        notes.append("ES is a log odds ratio")
    return Layout("gwas_vcf", roles, "\t", tuple(notes), None, head.names, case_control)


def _given_fields(columns: Mapping[str, str], fields: set[str], path: str, line: int) -> dict[str, str]:
    """Return the FORMAT fields the caller names for roles: {"z": "EZ"}."""
    given = {}
    for role, name in columns.items():
        field = name.removeprefix("FORMAT/")
        if role == "sample":
            continue
        if role not in FIELDS or field not in fields:
            raise InputError(
                f"the {role} of a VCF cannot be read from there",
                path=path,
                line=line,
                column=name,
                expected=f"for {', '.join(FIELDS)} a FORMAT field ({', '.join(sorted(fields))})",
            )
        given[role] = f"FORMAT/{field}"
    return given


def vcf_columns(head: Head, layout: Layout) -> dict[str, int]:
    """Return role -> position of the VCF columns to parse, FORMAT and the sample among them."""
    fixed = {role: head.names.index(layout.columns[role]) for role in _PLAIN}
    return fixed | {"format": 8, "cells": head.names.index(layout.columns["sample"])}


_PLAIN = ("variant_id", "chromosome", "position", "effect_allele", "other_allele")


def unpack(raw: RawBlock, layout: Layout) -> RawBlock:
    """Split the sample column into one column of strings per role; a field a row lacks is empty.

    Rows with several ALT alleles are counted as malformed: GWAS-VCF has one line per alternate allele.
    """
    columns = dict(raw.columns)
    single = pc.invert(pc.match_substring(columns["effect_allele"], ","))
    rows = np.flatnonzero(single.to_numpy(zero_copy_only=False))
    lost = len(single) - len(rows)
    if lost:
        columns = {role: pc.take(values, pa.array(rows)) for role, values in columns.items()}
    formats = columns.pop("format").dictionary_encode()
    cells = pc.split_pattern(columns.pop("cells"), ":")
    flat = pc.list_flatten(cells)
    starts = cells.offsets.to_numpy()[:-1] - cells.offsets[0].as_py()
    lengths = pc.list_value_length(cells).to_numpy(zero_copy_only=False)
    kinds = [text.split(":") for text in formats.dictionary.to_pylist()]
    codes = formats.indices.to_numpy(zero_copy_only=False)
    for role in FIELDS:
        if role in layout.columns:
            field = layout.columns[role].removeprefix("FORMAT/")
            places = np.array([k.index(field) if field in k else -1 for k in kinds] or [-1])[codes]
            there = (places >= 0) & (places < lengths)
            index = pa.array(np.where(there, starts + places, 0), mask=~there)
            columns[role] = pc.fill_null(pc.take(flat, index), "")
    return RawBlock(columns, lambda row: raw.line_of(int(rows[row])), raw.malformed + lost)
