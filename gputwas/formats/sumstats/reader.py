"""One reader for every dialect: files of one trait in, canonical record batches out.

In: one or several files of a GWAS (per chromosome, say) and, where the header does not say enough, what the
caller knows. Out: an iterator of Arrow record batches in bounded memory, and the layout that was used.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Hashable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from functools import cached_property
from typing import cast

import pyarrow as pa

from gputwas.errors import InputError
from gputwas.formats.sumstats.blocks import RawBlock, TextRules, text_blocks
from gputwas.formats.sumstats.canonical import Canonical, Counts, Keep
from gputwas.formats.sumstats.dialects import DIALECTS, Dialect
from gputwas.formats.sumstats.examine import Paths, Source, agree, examine, misnamed, resolve_paths
from gputwas.formats.sumstats.inflate import BLOCK_BYTES, Block, blocks
from gputwas.formats.sumstats.layout import Layout
from gputwas.formats.sumstats.parquet import parquet_blocks
from gputwas.formats.sumstats.scan import FileTrail, ScanKeep, Scanner
from gputwas.formats.sumstats.scan_plan import IDENTITY, ScanPlan, plan_scan
from gputwas.formats.sumstats.sources import SourceFile
from gputwas.formats.sumstats.vcf import unpack, vcf_columns
from gputwas.kernels import library

__all__ = ["NotAlikeError", "SumstatsReader", "open_sumstats", "resolve_paths", "sniff"]

log = logging.getLogger(__name__)

_NAMING = (*IDENTITY, "variant_key")


class NotAlikeError(Exception):
    """A file does not list the variants that it was taken to list."""


class SumstatsReader:
    """The rows of one trait.

    Iterate for record batches with those of these columns that the file has (null = missing): variant_id,
    chromosome ("1".."22", "X", "Y", "MT"), position (int64), effect_allele, other_allele (upper case), and as
    float64 beta (ln of the odds ratio where the file has odds ratios), se, z, p, nlog10_p, sign (+1 or -1),
    n, effect_allele_frequency, info. Outside parity mode nlog10_p is there whenever p is, exact also where
    p is below the range of float64. Each iteration reads the files anew.

    Attributes
    ----------
    paths : the files, in the order they are read. layout : what was taken for what.
    counts : what happened to the rows; complete after an iteration.
    trails : after an iteration, what it taught about files with the same variants; None if they have to be
        read like any other. Only with a `keep` that is a `ScanKeep` there are any.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        *,
        rules: TextRules,
        keep: Keep | None,
        parity: bool,
        roles: frozenset[str] | None,
        block_bytes: int,
        threads: int = 1,
    ) -> None:
        self.paths = tuple(source.path for source in sources)
        self.layout = sources[0].layout
        self.counts = Counts()
        self.trails: tuple[FileTrail, ...] | None = None
        self._sources = tuple(sources)
        self._rules, self._keep, self._parity, self._roles = rules, keep, parity, roles
        self._block_bytes, self._threads = block_bytes, threads

    def keeping(self, keep: Keep | None, roles: Collection[str] | None) -> SumstatsReader:
        """A reader of the same files with another filter and other columns, see `open_sumstats`."""
        return SumstatsReader(
            self._sources,
            rules=self._rules,
            keep=keep,
            parity=self._parity,
            roles=None if roles is None else frozenset(roles),
            block_bytes=self._block_bytes,
            threads=self._threads,
        )

    def first_rows(self) -> pa.RecordBatch:
        """What says which variant a row is about, of up to 1,000 first rows: columns as in the batches."""
        source = self._sources[0]
        header = list(source.layout.header) or list(source.head.names if source.head else ())
        places = {
            role: header.index(name)
            for role, name in source.layout.columns.items()
            if role in _NAMING and name in header
        }
        columns = {
            role: pa.array([row[place] for row in source.sample], pa.string())
            for role, place in places.items()
        }
        canonical = replace(self._canonical(source), counts=Counts(), keep=None, roles=frozenset(IDENTITY))
        return canonical.batch(RawBlock(columns, lambda row: row + 1, 0))

    @property
    def rows_read(self) -> int:
        """Well-formed data rows seen, kept or not."""
        return self.counts.read

    @property
    def rows_malformed(self) -> int:
        """Data rows left out because their number of cells is not the header's."""
        return self.counts.malformed

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        self.counts, self.trails = Counts(), None
        canonical = None
        trails: list[FileTrail | None] = []
        for source, plan in zip(self._sources, self._plans, strict=True):
            _warn_if_misnamed(source)
            canonical = self._canonical(source)
            scanner = None if plan is None else self._scanner(source, plan, None)
            with closing(self._raw_blocks(source, scanner)) as raws:  # type: ignore[type-var]
                for raw in raws:
                    batch = _batch(canonical, raw)
                    if batch.num_rows:
                        yield batch
            trails.append(None if scanner is None else scanner.trail())
        if canonical is not None and not self._parity:
            self._finish(canonical)
        known = tuple(trail for trail in trails if trail is not None)
        self.trails = known if len(known) == len(trails) else None

    @property
    def kind(self) -> Hashable | None:
        """Equal for readers whose files have the same columns and begin with the same variants, or None.

        Of two readers of one kind, the later one may `follow` the trails of the other.
        """
        plans = tuple(plan.kind for plan in self._plans if plan is not None)
        if len(plans) < len(self._plans):
            return None
        layouts = tuple((s.layout.dialect, tuple(s.layout.columns.items())) for s in self._sources)
        return plans, layouts, self._rules, self._parity, self._roles

    def follow(self, trails: Sequence[FileTrail]) -> Iterator[pa.RecordBatch]:
        """Read the statistics of the rows that an earlier reader of this `kind` kept.

        Batches have no identifiers, alleles nor chromosomes: row by row they are those of the earlier reader.
        That they are is checked along the way; only when the iteration has come to its end is it certain.

        Raises
        ------
        NotAlikeError : the files have other variants, or in another order.
        InputError : as from an iteration, but where it is not certain yet which rows these are.
        """
        self.counts, self.trails = Counts(), None
        canonical = None
        for source, plan, trail in zip(self._sources, self._plans, trails, strict=True):
            assert plan is not None
            canonical = self._canonical(source)
            scanner = self._scanner(source, plan, trail)
            with closing(self._raw_blocks(source, scanner)) as raws:  # type: ignore[type-var]
                for raw in raws:
                    if not scanner.agrees():
                        raise NotAlikeError(source.path)
                    batch = canonical.statistics(raw)
                    if batch.num_rows:
                        yield batch
            if not scanner.ended_alike():
                raise NotAlikeError(source.path)
            self.counts.read += trail.rows
            self.counts.malformed += trail.malformed
            canonical.note_chromosomes(pa.array(trail.chromosomes, pa.string()))
        for source in self._sources:
            _warn_if_misnamed(source)
        if canonical is not None and not self._parity:
            self._finish(canonical)

    @cached_property
    def _plans(self) -> list[ScanPlan | None]:
        """How each file can be scanned; None where it has to be read the ordinary way."""
        return [self._plan(source) for source in self._sources]

    def _plan(self, source: Source) -> ScanPlan | None:
        dialect = _dialect(source)
        listed = dialect is not None and dialect.id_list and not self._parity
        watched = _watches(self._keep)
        if (
            source.head is None
            or not library.is_there()
            or listed
            or not (watched or _asks_first(self._keep))
            or source.layout.dialect == "gwas_vcf"
        ):
            return None
        needed = self._needed(source)
        return plan_scan(source.head, source.layout.columns, needed, self._rules, watched=watched)

    def _scanner(self, source: Source, plan: ScanPlan, known: FileTrail | None) -> Scanner:
        assert source.head is not None
        asked = known is None and not _watches(self._keep)
        head, keep = source.head, cast(ScanKeep, self._keep) if asked else None

        def ordinary(block: Block) -> RawBlock:
            return next(text_blocks(iter([block]), head, plan.wanted, self._rules, source.path))

        return Scanner(plan, keep, head.body_line, ordinary, known)

    def _canonical(self, source: Source) -> Canonical:
        dialect = _dialect(source)
        return Canonical(
            source.path,
            source.layout,
            self.counts,
            self._keep,
            self._parity,
            tests=dialect.tests if dialect else ("ADD",),
            id_list=dialect is not None and dialect.id_list and not self._parity,
            roles=self._roles,
            padded=source.head is not None and source.head.padded,
        )

    def _raw_blocks(self, source: Source, scanner: Scanner | None) -> Iterator[RawBlock]:
        how = self._block_bytes, self._threads
        if scanner is not None:
            return _scanned_blocks(source, scanner, *how)
        return _raw_blocks(source, self._needed(source), self._rules, *how)

    def _needed(self, source: Source) -> dict[str, str]:
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
    source: Source, needed: Mapping[str, str], rules: TextRules, size: int, threads: int
) -> Iterator[RawBlock]:
    if source.head is None:
        yield from parquet_blocks(source.path, needed)
        return
    head = source.head
    stream = blocks(
        source.file, source.compression, skip=head.body, first_line=head.body_line, size=size, threads=threads
    )
    with closing(stream):  # type: ignore[type-var]
        if source.layout.dialect == "gwas_vcf":
            for raw in text_blocks(stream, head, vcf_columns(head, source.layout), rules, source.path):
                yield unpack(raw, source.layout)
        else:
            wanted = {role: head.names.index(name) for role, name in needed.items()}
            yield from text_blocks(stream, head, wanted, rules, source.path)


def _scanned_blocks(source: Source, scanner: Scanner, size: int, threads: int) -> Iterator[RawBlock]:
    assert source.head is not None
    skip = source.head.body
    stream = blocks(source.file, source.compression, skip=skip, size=size, threads=threads, numbered=False)
    with closing(stream):  # type: ignore[type-var]
        for block in stream:
            yield scanner.read(block.data)


def _batch(canonical: Canonical, raw: RawBlock) -> pa.RecordBatch:
    try:
        return canonical.batch(raw)
    except InputError:
        if raw.as_text is None:
            raise
        return canonical.batch(raw.as_text())  # raises again, and quotes the cell as it is written


def _dialect(source: Source) -> Dialect | None:
    return next((d for d in DIALECTS if d.name == source.layout.dialect), None)


def _asks_first(keep: Keep | None) -> bool:
    """Whether a filter can be asked before rows become columns, and wants to be: is it a `ScanKeep`?"""
    table = getattr(keep, "id_table", None)
    return table is not None and table() is not None


def _watches(keep: Keep | None) -> bool:
    """Whether a filter wants files watched that are read the ordinary way, see `scan`."""
    return bool(getattr(keep, "watches", False))


def _warn_if_misnamed(source: Source) -> None:
    if misnamed(source.path, source.compression):
        log.warning("%s: is not compressed in spite of its name; it is read as plain text", source.path)


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
    threads: int = 1,
    opener: Callable[[str], SourceFile] = SourceFile,
) -> SumstatsReader:
    """Open the summary statistics of one trait.

    Parameters
    ----------
    paths : a file, a glob, a URL, or several of them; read in natural order (chr2 before chr10), in parity
        mode in plain order of names, as MetaXcan does.
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
    threads : that may inflate one file at once, where its compression allows it.
    opener : makes a source of a path, for a caller who wants its digest or has checksums of it.

    Raises
    ------
    InputError : the file cannot be read or understood; names file, line, column and remedy.
    """
    files = resolve_paths(paths, parity=parity)
    sources: list[Source] = []
    for path in files:
        source = examine(opener(path), dialect, columns, separator, skip_until_header, parity)
        if len(files) > 1:
            source.file.park()  # no connections that idle until it is their turn
        if sources:
            agree(sources[0], source, parity)
        sources.append(source)
    return SumstatsReader(
        sources,
        rules=TextRules(strip=parity, every_blank=handle_empty_columns),
        keep=keep,
        parity=parity,
        roles=None if roles is None else frozenset(roles),
        block_bytes=block_bytes,
        threads=threads,
    )


def sniff(
    paths: Paths,
    *,
    dialect: str | None = None,
    columns: Mapping[str, str] | None = None,
    separator: str | None = None,
) -> Layout:
    """Return the layout of the first file without reading its rows."""
    file = SourceFile(resolve_paths(paths)[0])
    try:
        return examine(file, dialect, columns, separator, None, False).layout
    finally:
        file.close()
