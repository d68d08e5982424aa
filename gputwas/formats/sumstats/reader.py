"""One reader for every dialect: files of one trait in, canonical record batches out.

In: one or several files of a GWAS (per chromosome, say) and, where the header does not say enough, what the
caller knows. Out: an iterator of Arrow record batches in bounded memory, and the layout that was used.
"""

from __future__ import annotations

import glob
import logging
import os
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass

import pyarrow as pa

from ...errors import InputError
from .blocks import RawBlock, TextRules, text_blocks
from .canonical import Canonical, Counts, Keep
from .detect import choose_layout, dialect_named
from .dialects import DIALECTS
from .head import Head, read_head
from .inflate import BLOCK_BYTES, blocks, compression_of, read_start
from .layout import Layout, normal_name
from .parquet import parquet_blocks, parquet_head
from .vcf import is_vcf, unpack, vcf_columns, vcf_layout

__all__ = ["SumstatsReader", "natural_key", "open_sumstats", "resolve_paths", "sniff"]

log = logging.getLogger(__name__)

_HEAD_BYTES = 1 << 20
_LONG_HEAD_BYTES = 64 << 20
Paths = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]


@dataclass(frozen=True)
class _Source:
    """One file: how it is compressed, its head (None for Parquet) and its own layout."""

    path: str
    compression: str
    head: Head | None
    layout: Layout


class SumstatsReader:
    """The rows of one trait.

    Iterate for record batches with those of these columns that the file has (null = missing): variant_id,
    chromosome ("1".."22", "X", "Y", "MT"), position (int64), effect_allele, other_allele (upper case), and as
    float64 beta (ln of the odds ratio where the file has odds ratios), se, z, p, nlog10_p, sign (+1 or -1),
    n, effect_allele_frequency, info. Outside parity mode nlog10_p is there whenever p is, exact also where p is
    below the range of float64. Each iteration reads the files anew.

    Attributes
    ----------
    paths : the files, in the order they are read. layout : what was taken for what.
    counts : what happened to the rows; complete after an iteration.
    """

    def __init__(
        self,
        sources: Sequence[_Source],
        *,
        rules: TextRules,
        keep: Keep | None,
        parity: bool,
        roles: frozenset[str] | None,
        block_bytes: int,
    ) -> None:
        self.paths = tuple(source.path for source in sources)
        self.layout = sources[0].layout
        self.counts = Counts()
        self._sources = tuple(sources)
        self._rules, self._keep, self._parity, self._roles = rules, keep, parity, roles
        self._block_bytes = block_bytes

    @property
    def rows_read(self) -> int:
        """Well-formed data rows seen, kept or not."""
        return self.counts.read

    @property
    def rows_malformed(self) -> int:
        """Data rows left out because their number of cells is not the header's."""
        return self.counts.malformed

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        self.counts = Counts()
        canonical = None
        for source in self._sources:
            canonical = self._canonical(source)
            with closing(_raw_blocks(source, self._needed(source), self._rules, self._block_bytes)) as raws:  # type: ignore[type-var]
                for raw in raws:
                    batch = canonical.batch(raw)
                    if batch.num_rows:
                        yield batch
        if canonical is not None and not self._parity:
            self._finish(canonical)

    def _canonical(self, source: _Source) -> Canonical:
        dialect = next((d for d in DIALECTS if d.name == source.layout.dialect), None)
        return Canonical(
            source.path,
            source.layout,
            self.counts,
            self._keep,
            self._parity,
            tests=dialect.tests if dialect else ("ADD",),
            id_list=dialect is not None and dialect.id_list and not self._parity,
            roles=self._roles,
        )

    def _needed(self, source: _Source) -> dict[str, str]:
        columns = dict(source.layout.columns)
        if self._roles is None:
            return columns
        helpers = {
            "beta": ("odds_ratio",),
            "other_allele": ("effect_allele", "ref_allele", "alt_allele"),
            "nlog10_p": ("p",),
        }
        wanted = {"variant_id", "variant_key", "test", "sample", *self._roles}
        for role in self._roles:
            wanted |= set(helpers.get(role, ()))
        if not {"variant_id", "variant_key"} & set(columns):
            wanted |= {"chromosome", "position", "effect_allele", "other_allele", "ref_allele", "alt_allele"}
        return {role: name for role, name in columns.items() if role in wanted}

    def _finish(self, canonical: Canonical) -> None:
        canonical.finish()
        counts = self.counts
        if counts.read and counts.other_test == counts.read:
            raise InputError(
                "no row is of an additive test",
                path=canonical.path,
                column=self.layout.columns.get("test"),
                expected=" or ".join(canonical.tests),
                remedy="Run the association with an additive model.",
            )
        if counts.malformed:
            log.warning(
                "%s: %d of %d rows have another number of cells than the header and were left out",
                self.paths[0] if len(self.paths) == 1 else f"{len(self.paths)} files",
                counts.malformed,
                counts.malformed + counts.read,
            )


def _raw_blocks(
    source: _Source, needed: Mapping[str, str], rules: TextRules, size: int
) -> Iterator[RawBlock]:
    if source.head is None:
        yield from parquet_blocks(source.path, needed)
        return
    head = source.head
    stream = blocks(source.path, source.compression, skip=head.body, first_line=head.body_line, size=size)
    with closing(stream):  # type: ignore[type-var]
        if source.layout.dialect == "gwas_vcf":
            for raw in text_blocks(stream, head, vcf_columns(head, source.layout), rules, source.path):
                yield unpack(raw, source.layout)
        else:
            wanted = {role: head.names.index(name) for role, name in needed.items()}
            yield from text_blocks(stream, head, wanted, rules, source.path)


def open_sumstats(
    paths: Paths,
    *,
    dialect: str | None = None,
    columns: Mapping[str, str] | None = None,
    separator: str | None = None,
    skip_until_header: str | None = None,
    handle_empty_columns: bool = False,
    parity: bool = False,
    keep: Keep | None = None,
    roles: Collection[str] | None = None,
    block_bytes: int = BLOCK_BYTES,
) -> SumstatsReader:
    """Open the summary statistics of one trait.

    Parameters
    ----------
    paths : a file, a glob, or several of either; read in natural order (chr2 before chr10), in parity mode in
        plain order of names, as MetaXcan does.
    dialect : name of a dialect; by default it is told from the header.
    columns : role -> column name. If they suffice to score a variant exactly these are read (plus the TEST
        column of PLINK and REGENIE); otherwise they amend the dialect's. In parity mode always exactly these.
    separator : character between cells; by default told from the file (parity: runs of white space).
    skip_until_header : everything before this text is passed over; it begins the header.
    handle_empty_columns : every single white-space character separates cells.
    parity : read as MetaXcan reads, without the checks of values.
    keep : called with the ids of a block (string array), returns a mask; the numbers of other rows are never
        parsed, nor checked.
    roles : canonical columns wanted; by default all the file has.
    block_bytes : size of the blocks that are decompressed and parsed at a time.

    Raises
    ------
    InputError : the file cannot be read or understood; names file, line, column and remedy.
    """
    files = resolve_paths(paths, parity=parity)
    sources: list[_Source] = []
    for path in files:
        source = _examine(path, dialect, columns, separator, skip_until_header, parity)
        if sources:
            _agree(sources[0], source, parity)
        sources.append(source)
    return SumstatsReader(
        sources,
        rules=TextRules(strip=parity, every_blank=handle_empty_columns),
        keep=keep,
        parity=parity,
        roles=None if roles is None else frozenset(roles),
        block_bytes=block_bytes,
    )


def sniff(
    paths: Paths,
    *,
    dialect: str | None = None,
    columns: Mapping[str, str] | None = None,
    separator: str | None = None,
) -> Layout:
    """Return the layout of the first file without reading its rows."""
    return _examine(resolve_paths(paths)[0], dialect, columns, separator, None, False).layout


def natural_key(text: str) -> tuple[tuple[int, int | str], ...]:
    """Return a key that sorts chr2 before chr10."""
    return tuple((0, int(t)) if t.isdigit() else (1, t) for t in re.split(r"(\d+)", text) if t)


def resolve_paths(paths: Paths, *, parity: bool = False) -> list[str]:
    """Expand globs and sort; InputError for a glob without a match or a file named twice."""
    given = [os.fspath(p) for p in ([paths] if isinstance(paths, str | os.PathLike) else paths)]
    found: list[str] = []
    for item in given:
        if glob.has_magic(item) and not os.path.exists(item):
            matches = glob.glob(item)
            if not matches:
                raise InputError(
                    "no file matches this pattern", path=item, remedy="Check folder and pattern."
                )
            found += matches
        else:
            found.append(item)
    if not found:
        raise InputError("no file given", expected="at least one")
    twice = {p for p in found if found.count(p) > 1}
    if twice:
        raise InputError("is given twice", path=min(twice), remedy="Name each file of a trait once.")
    return sorted(found) if parity else sorted(found, key=natural_key)


def _examine(
    path: str,
    dialect: str | None,
    columns: Mapping[str, str] | None,
    separator: str | None,
    skip_until_header: str | None,
    parity: bool,
) -> _Source:
    if dialect not in (None, "gwas_vcf", "generic", "custom"):
        dialect_named(str(dialect))  # a misspelt name is told before any file is opened
    compression = compression_of(path)
    if compression == "parquet":
        names, sample = parquet_head(path)
        layout = choose_layout(names, sample, path, "", dialect=dialect, columns=columns, parity=parity)
        return _Source(path, compression, None, layout)
    head = _head(path, compression, separator, skip_until_header, parity)
    if is_vcf(head) and not parity:
        return _Source(path, compression, head, vcf_layout(head, path, columns))
    layout = choose_layout(
        head.names,
        head.sample,
        path,
        head.delimiter,
        dialect=dialect,
        columns=columns,
        parity=parity,
        line=head.body_line - 1,
    )
    if not head.sample:
        raise _no_rows(head, path, compression)
    return _Source(path, compression, head, layout)


def _head(
    path: str, compression: str, separator: str | None, skip_until_header: str | None, parity: bool
) -> Head:
    start = read_start(path, compression, _HEAD_BYTES)
    try:
        return read_head(start, path, separator=separator, skip_until_header=skip_until_header, parity=parity)
    except InputError:
        longer = read_start(path, compression, _LONG_HEAD_BYTES) if len(start) >= _HEAD_BYTES else start
        if len(longer) == len(start):
            raise
        return read_head(
            longer, path, separator=separator, skip_until_header=skip_until_header, parity=parity
        )


def _no_rows(head: Head, path: str, compression: str) -> InputError:
    """No row has as many cells as the header: there is none, or the separator is not the file's."""
    below = read_start(path, compression, head.body + 65536)[head.body :].decode("utf-8", "replace")
    first = next((line for line in below.splitlines() if line.strip()), None)
    if first is None:
        return InputError(
            "has a header only, no data rows",
            path=path,
            line=head.body_line - 1,
            found=" ".join(head.names)[:200],
            expected="one row per variant",
        )
    cells = first.split(None if head.delimiter == "whitespace" else head.delimiter)
    named = "white space" if head.delimiter == "whitespace" else repr(head.delimiter)
    return InputError(
        "no row has as many cells as the header",
        path=path,
        line=head.body_line,
        found=f"{len(head.names)} names and {len(cells)} cells when split at {named}",
        remedy="Give the separator, e.g. --separator $'\\t' or --separator ,.",
    )


def _agree(first: _Source, other: _Source, parity: bool) -> None:
    """Files of one trait have one header; in parity mode the columns that are used suffice."""
    if parity:
        return
    one, two = first.layout.header, other.layout.header
    if [_without_counts(n) for n in one] != [_without_counts(n) for n in two]:
        raise InputError(
            "its header differs from that of the trait's first file",
            path=other.path,
            found=" ".join(two)[:300],
            expected=f"{' '.join(one)[:300]} (as in {first.path})",
            remedy="Files of one trait must have the same columns; does the pattern take in a file of another?",
        )


def _without_counts(name: str) -> str:
    """PGC daner headers hold sample sizes, which differ between chromosomes."""
    return re.sub(r"^(frq_[au]_)\d+$", r"\1n", normal_name(name))
