"""Files of variants moved to another genome build.

In: a file (summary statistics, a table of variants, BED or .bim) and a chain file. Out: the same rows and
columns with the places, alleles and positional identifiers of the other build, a second file of the rows that
could not be lifted with the reasons, and counts of all that happened. Rows are read, lifted and written a few
megabytes at a time.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gputwas.errors import InputError, UsageError
from gputwas.files import atomic_path, check_target
from gputwas.formats.chain import chain_builds
from gputwas.formats.sumstats.blocks import TextRules, text_blocks
from gputwas.formats.sumstats.inflate import blocks
from gputwas.study.lift_rows import Loss, Rows, build_label, lift_rows
from gputwas.study.lift_tables import POSITIONAL, VariantTable
from gputwas.variants.identifiers import build_name
from gputwas.variants.liftover import Liftover, Status

__all__ = ["LiftReport", "builds_for", "check_files", "lift_file", "lifted_name"]

log = logging.getLogger(__name__)

MOST_LOST = 0.5
"""With a larger share of rows without a counterpart, the chain file is not the one for the file."""

_SUSPICIOUS = 5.0
"""A chain file for the other direction is suspected if so many times more rows are outside its source blocks
than are outside its target blocks ..."""
_ENOUGH_LOST = 100
"""... and at least so many are."""


@dataclass
class LiftReport:
    """What became of the rows of a file.

    Attributes
    ----------
    rows : well-formed rows. malformed : rows with another number of cells than the header, left out.
    written : rows in the output, of which `reversed` lie on the other strand, `moved` on another chromosome,
        and of `split` the first of several places was taken.
    losses : reason -> rows that are not in the output. identifiers : positional ones that were rewritten.
    in_target : rows whose place, as it was, lies in the *target* blocks of the chain file.
    chromosomes : of the rows the chain file has no chromosome for, the first few.
    """

    file: str
    out: str = ""
    rows: int = 0
    malformed: int = 0
    written: int = 0
    reversed: int = 0
    moved: int = 0
    split: int = 0
    identifiers: int = 0
    in_target: int = 0
    losses: dict[str, int] = field(default_factory=dict)
    chromosomes: list[str] = field(default_factory=list)

    @property
    def unmapped(self) -> int:
        """Rows without a counterpart in the other build."""
        names = (Loss.NO_POSITION, Loss.UNKNOWN_CHROMOSOME, Loss.NOT_IN_CHAIN, Loss.ENDS_APART)
        return sum(self.losses.get(name.name.lower(), 0) for name in names)

    def as_row(self) -> dict[str, Any]:
        """One row of a table of reports."""
        losses = {
            f"lost_{r.name.lower()}": self.losses.get(r.name.lower(), 0) for r in Loss if r != Loss.NONE
        }
        counted = ("rows", "malformed", "written", "reversed", "moved", "split", "identifiers")
        return {"file": self.file, "out": self.out} | {n: getattr(self, n) for n in counted} | losses


def builds_for(
    chain: str | os.PathLike[str], source: str | None, target: str | None
) -> tuple[str | None, str | None]:
    """The two builds, from what the caller says and from the chain file's name.

    Raises
    ------
    UsageError : the two contradict each other.
    """
    named = chain_builds(chain)
    if named is None:
        return source, target
    one, two = source or named[0], target or named[1]
    if _same_build(one, named[0]) and _same_build(two, named[1]):
        return one, two
    turned = _same_build(one, named[1]) or _same_build(two, named[0])
    raise UsageError(
        f"{chain}: by its name this chain file converts {named[0]} to {named[1]}, not {one} to {two}"
        + ("; you need the one for the other direction" if turned else "")
    )


def _same_build(one: str, two: str) -> bool:
    return (build_name(one) or one.lower()) == (build_name(two) or two.lower())


def lifted_name(path: str, target: str | None) -> str:
    """Name of the output of a file, without its folder: a/gwas.tsv.gz -> gwas.hg38.tsv.gz."""
    name = os.path.basename(path)
    stem, suffix = re.fullmatch(r"(.+?)((?:\.[A-Za-z]\w{0,7})?(?:\.(?:gz|bgz|zst|bz2|xz))?)", name).groups()  # type: ignore[union-attr]
    suffix = re.sub(r"\.(bgz|zst|bz2|xz)$", ".gz", suffix)
    return f"{stem}.{target or 'lifted'}{suffix}"


def check_files(
    read: Sequence[str | os.PathLike[str]], written: Sequence[str | os.PathLike[str] | None]
) -> None:
    """Refuse to write two outputs to one file, or one over a file that is read, or where nothing can be.

    Parameters
    ----------
    read : files of variants, chain file. written : outputs, with None for those not wanted.

    Raises
    ------
    UsageError, InputError
    """
    taken = {os.path.realpath(path): "is read" for path in read}
    for path in written:
        if path is None:
            continue
        name = os.path.realpath(path)
        if name in taken:
            raise UsageError(
                f"{os.fspath(path)}: cannot be written, it {taken[name]}; the files to be lifted, the chain "
                "file and all outputs must be different files"
            )
        taken[name] = "is another output"
        check_target(path)


def lift_file(
    table: VariantTable,
    liftover: Liftover,
    out: str,
    *,
    unmapped: str | None = None,
    source: str | None = None,
    target: str | None = None,
    keep_split: bool = False,
) -> LiftReport:
    """Write a file of variants anew, on the target build of `liftover`.

    Parameters
    ----------
    table : from `open_variants`. out : file to write; gzipped if named so.
    unmapped : file for the rows that are not in `out`, with a further column: the reason.
    source, target : names of the builds, if known.
    keep_split : keep rows with several places in the target build, with the first of them.

    Raises
    ------
    InputError
        If most rows have no counterpart (the chain file is for another direction or build), or identifiers
        say that the file is on another build than `source`. Then nothing is written.
    UsageError
        If identifiers name a build, and which the target is is not known.
    """
    check_files([table.path, liftover.chain.path], [out, unmapped])
    label = _label(table, source, target)
    if table.dialect == "vcf":
        log.warning(
            "%s: the lines ## above its rows, and END= and the like in INFO are left as they are, which may "
            "be places and lengths of the old build",
            table.path,
        )
    report = LiftReport(table.path, out)
    with ExitStack() as stack:
        good = stack.enter_context(_writer(out))
        bad = stack.enter_context(_writer(unmapped)) if unmapped else None
        good.write(table.top.encode())
        if bad:
            bad.write(_with_reason(table).encode())
        for cells, malformed in _cells(table):
            report.malformed += malformed
            done = lift_rows(cells, table, liftover, label, keep_split=keep_split)
            _count(report, done, liftover)
            kept = done.loss == Loss.NONE
            good.write(_lines(_filtered(done.columns, kept), table))
            if bad and not kept.all():
                reasons = pa.array([loss.name.lower() for loss in Loss]).take(pa.array(done.loss[~kept]))
                bad.write(_lines([*_filtered(cells, ~kept), reasons], table))
        _judge(report, liftover, source, target)
    if table.form == "bim" and report.written < report.rows + report.malformed:
        log.warning(
            "%s: rows are left out, so %s does not fit the .bed beside the old one: remove the variants that "
            "--unmapped lists from the genotypes, too (plink2 --exclude)",
            table.path, out,
        )  # fmt: skip
    if report.malformed:
        log.warning(
            "%s: %d rows have another number of cells and were left out", table.path, report.malformed
        )
    return report


def _label(table: VariantTable, source: str | None, target: str | None) -> str | None:
    """Number of the target build if identifiers name their build, after a look at what they say."""
    texts = [row[at].strip() for at in table.ids for row in table.head.sample]
    found = [m.group("build") for text in texts if (m := re.match(POSITIONAL, text)) and m.group("build")]
    if not found:
        return build_label(target)
    if target is None:
        raise UsageError(
            f"{table.path}: its identifiers name a build ({found[0]}); say with --to which one is to be named"
        )
    said = max(set(found), key=found.count)
    if build_label(said) is not None and build_label(source) not in (None, build_label(said)):
        raise InputError(
            "its identifiers say that it is on another build",
            path=table.path,
            found=f"{said} in {next(text for text in texts if text.endswith(said))}",
            expected=f"{source}, which the chain file converts",
            remedy="Take the chain file for that build, or leave the file as it is.",
        )
    return build_label(target)


@contextmanager
def _writer(path: str) -> Iterator[Any]:
    with atomic_path(path) as temporary, open(temporary, "wb") as file:
        if not path.endswith((".gz", ".bgz")):
            yield file
            return
        from isal import igzip

        # without a name and a time: the same rows are the same bytes
        with igzip.IGzipFile("", "wb", compresslevel=2, fileobj=file, mtime=0) as packed:
            yield packed


def _cells(table: VariantTable) -> Iterator[tuple[list[pa.Array], int]]:
    """All cells of some rows at a time, and how many rows had too many or too few."""
    wanted = {str(at): at for at in range(table.n_columns)}
    stream = blocks(table.file, table.compression, skip=table.head.body, first_line=table.head.body_line)
    with closing(stream):  # type: ignore[type-var]
        for raw in text_blocks(stream, table.head, wanted, TextRules(), table.path):
            yield [raw.columns[str(at)] for at in range(table.n_columns)], raw.malformed


def _with_reason(table: VariantTable) -> str:
    """What stands above the rows, with a name for the reason in the header."""
    if table.form != "table":
        return table.top
    return f"{table.top.rstrip(chr(10))}{table.separator}reason\n"


def _filtered(columns: list[pa.Array], mask: np.ndarray) -> list[pa.Array]:
    return columns if mask.all() else [column.filter(pa.array(mask)) for column in columns]


def _lines(columns: list[pa.Array], table: VariantTable) -> bytes:
    """The text of some rows."""
    if not len(columns[0]):
        return b""
    if table.head.quoted:
        columns = [_quoted(column, table.separator) for column in columns]
    *first, last = [pc.fill_null(column, "").cast(pa.large_string()) for column in columns]
    large = pa.large_string()
    ended = pc.binary_join_element_wise(last, pa.scalar("", large), pa.scalar("\n", large))
    whole = pc.binary_join_element_wise(*first, ended, pa.scalar(table.separator, large))
    _, ends, text = whole.buffers()
    offsets = np.frombuffer(ends, np.int64, len(whole) + 1, whole.offset * 8)
    return bytes(memoryview(text)[offsets[0] : offsets[-1]])


def _quoted(texts: pa.Array, separator: str) -> pa.Array:
    """Cells with the separator, a blank or a quotation mark in them, in quotation marks."""
    special = pc.match_substring_regex(texts, f'[{re.escape(separator)} "]')
    doubled = pc.binary_join_element_wise('"', pc.replace_substring(texts, '"', '""'), '"', "")
    return pc.if_else(special, doubled, texts)


def _count(report: LiftReport, done: Rows, liftover: Liftover) -> None:
    kept = done.loss == Loss.NONE
    report.rows += len(kept)
    report.written += int(kept.sum())
    report.reversed += int((kept & (done.strand < 0)).sum())
    report.moved += int((kept & (done.status == Status.MOVED)).sum())
    report.split += int((kept & (done.status == Status.SPLIT)).sum())
    report.identifiers += done.rewritten
    report.in_target += int(liftover.in_target(done.chromosome, done.position).sum())
    for loss, rows in enumerate(np.bincount(done.loss, minlength=len(Loss)).tolist()):
        if rows and loss != Loss.NONE:
            name = Loss(loss).name.lower()
            report.losses[name] = report.losses.get(name, 0) + rows
    unknown = done.loss == Loss.UNKNOWN_CHROMOSOME
    if unknown.any() and len(report.chromosomes) < 5:
        names = pc.unique(done.chromosome.filter(pa.array(unknown))).to_pylist()
        report.chromosomes = list(dict.fromkeys([*report.chromosomes, *names]))[:5]


def _judge(report: LiftReport, liftover: Liftover, source: str | None, target: str | None) -> None:
    """Refuse a result most rows of which are lost; warn of a chain file that seems to be the other one."""
    if report.malformed and not report.rows:
        raise InputError(
            f"all {report.malformed:,} rows have another number of cells than the header",
            path=report.file,
            remedy="Nothing was written; say how cells are separated with --separator.",
        )
    chain, most = liftover.chain.path, MOST_LOST * report.rows
    other = report.rows - report.in_target
    if report.unmapped <= most:
        if report.unmapped >= _ENOUGH_LOST and report.unmapped > _SUSPICIOUS * other:
            log.warning(
                "%s: %d of %d rows have no place in the other build, but all except %d fit the build that %s "
                "leads to. Is the file on that build already, and the other direction needed?",
                report.file, report.unmapped, report.rows, other, chain,
            )  # fmt: skip
        return
    if report.in_target > most and other < report.unmapped:
        converts = f"this chain file converts {source} to {target}" if source and target else chain
        remedy = (
            f"{converts}, and the rows fit the build that it leads to: you need the chain file for the other "
            "direction, or nothing if that is the build you want."
        )
    elif report.losses.get("unknown_chromosome", 0) > most:
        remedy = (
            f"{chain} has no chromosome {', '.join(report.chromosomes)}: is it of another species, "
            "or is another column the chromosome (--column chromosome=NAME)?"
        )
    elif report.losses.get("no_position", 0) > most:
        remedy = "name the right columns: --column chromosome=NAME --column position=NAME."
    else:
        remedy = f"is the file on the build that {chain} converts from?"
    counts = ", ".join(f"{name.replace('_', ' ')} {rows:,}" for name, rows in report.losses.items())
    raise InputError(
        f"{report.unmapped:,} of {report.rows:,} rows have no place in the other build",
        path=report.file,
        found=counts,
        remedy=f"Nothing was written; {remedy}",
    )
