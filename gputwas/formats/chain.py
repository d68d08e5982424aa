"""UCSC chain files, which say where each stretch of one genome build lies in another.

In: a ``.chain`` or ``.chain.gz`` file. Out: a `Chain`, all its gap-free blocks as arrays sorted by source
chromosome and start. The file is read by pyliftover; what it lets pass in silence (stray lines, coordinates
outside their chromosome) is checked along the way, so that an error can name the line.
"""

from __future__ import annotations

import gzip
import logging
import os
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, BinaryIO, NoReturn, cast

import numpy as np
import numpy.typing as npt

from gputwas.errors import InputError

__all__ = ["Chain", "chain_builds", "read_chain"]

log = logging.getLogger(__name__)

_GZIP = b"\x1f\x8b"
_AGAIN = "Download or copy it again."
_FORMAT = "See https://genome.ucsc.edu/goldenPath/help/chain.html for the format."


@dataclass(frozen=True)
class Chain:
    """The blocks of all chains of a file: stretches that correspond base by base.

    Attributes
    ----------
    path : the file.
    source_names, target_names : chromosomes as the file spells them; their places are the codes below.
    source_sizes, target_sizes : int64 (chromosomes,), bases.
    source : int32 (blocks,), source chromosome. Blocks are sorted by source, then start, then order.
    start, end : int64 (blocks,), on the source, from 0, the end excluded.
    target : int32 (blocks,), target chromosome.
    target_start : int64 (blocks,), from 0, on the strand `target_strand` of the target: on the reverse
        strand counted from the chromosome's end.
    target_strand : int8 (blocks,), +1 or -1.
    score : int64 (blocks,), of the chain that the block belongs to.
    order : int64 (blocks,), place in the file, counted in blocks.
    n_chains : chains in the file.
    """

    path: str
    source_names: tuple[str, ...]
    source_sizes: npt.NDArray[np.int64]
    target_names: tuple[str, ...]
    target_sizes: npt.NDArray[np.int64]
    source: npt.NDArray[np.int32]
    start: npt.NDArray[np.int64]
    end: npt.NDArray[np.int64]
    target: npt.NDArray[np.int32]
    target_start: npt.NDArray[np.int64]
    target_strand: npt.NDArray[np.int8]
    score: npt.NDArray[np.int64]
    order: npt.NDArray[np.int64]
    n_chains: int

    def __len__(self) -> int:
        return len(self.start)


def chain_builds(path: str | os.PathLike[str]) -> tuple[str, str] | None:
    """The two builds in the name of a chain file, source first; None if the name says nothing.

    Known are UCSC's and Ensembl's names: hg19ToHg38.over.chain.gz, GRCh37_to_GRCh38.chain.gz. Builds are as
    written, only that UCSC's Hg38 is hg38.
    """
    name = os.path.basename(os.fspath(path))
    if found := re.match(r"([a-zA-Z]+[0-9]+)To([A-Z][a-zA-Z]*[0-9]+)\b", name):
        source, target = found.groups()
        return source, target[0].lower() + target[1:]
    if found := re.match(r"([a-zA-Z]+[0-9]+)_to_([a-zA-Z]+[0-9]+)(?![a-zA-Z0-9])", name):
        source, target = found.groups()
        return source, target
    return None


def read_chain(path: str | os.PathLike[str]) -> Chain:
    """Read a chain file, gzipped or not (told by its first bytes, not by its name).

    Raises
    ------
    InputError
        If the file is missing, truncated, empty, or no chain file; names the line where there is one.
    """
    from pyliftover.chainfile import LiftOverChainFile

    name = os.fspath(path)
    with _opened(name) as stream:
        lines = _CheckedLines(stream, name)
        try:
            chains = LiftOverChainFile(lines).chains
        except (InputError, MemoryError):
            raise
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise InputError(
                f"the compressed file is damaged or truncated ({error})",
                path=name, line=lines.number or None, remedy=_AGAIN,
            ) from error  # fmt: skip
        except OSError as error:
            raise InputError(f"cannot be read ({error.strerror or error})", path=name) from error
        except Exception as error:  # pyliftover raises the plain class
            lines.refuse(f"is not a valid chain: {_first_clause(error)}", remedy=_AGAIN)
    if not chains:
        raise InputError("holds no chain", path=name, expected="lines that begin with 'chain'", remedy=_AGAIN)
    return _arrays(name, chains)


@contextmanager
def _opened(path: str) -> Iterator[BinaryIO]:
    try:
        raw = open(path, "rb")  # noqa: SIM115 - closed below
    except FileNotFoundError as error:
        raise InputError(
            "there is no such file",
            path=path,
            expected="a UCSC chain file",
            remedy="They are at https://hgdownload.soe.ucsc.edu/goldenPath/hg19/liftOver/.",
        ) from error
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror})", path=path) from error
    with raw:
        packed = raw.read(2) == _GZIP
        raw.seek(0)
        if not packed:
            if path.endswith(".gz"):
                log.warning("%s: is not compressed in spite of its name; it is read as plain text", path)
            yield raw
            return
        with gzip.GzipFile(fileobj=raw) as unpacked:
            yield cast(BinaryIO, unpacked)


class _CheckedLines:
    """The lines of a chain file, for pyliftover to read; counts them and refuses what cannot be right."""

    def __init__(self, stream: BinaryIO, path: str) -> None:
        self.number = 0
        self._stream, self._path = stream, path
        self._header = 0  # line of the header of the chain that we are in; 0 between chains
        self._sizes: dict[tuple[str, str], int] = {}

    def readline(self) -> bytes:
        line = self._stream.readline()
        if not line:
            if self._header:
                raise InputError(
                    "is truncated: it ends within the chain that begins here",
                    path=self._path, line=self._header, remedy=_AGAIN,
                )  # fmt: skip
            return line
        self.number += 1
        if self._header:
            self._check_block(line)
        elif line.startswith(b"chain"):
            self._header = self.number
            self._check_header(line)
        elif line.strip() and not line.startswith(b"#"):
            self.refuse("is no chain file", line, "a line that begins with 'chain', or # for a comment")
        return line

    def refuse(
        self, problem: str, line: bytes | None = None, expected: str | None = None, remedy: str = _FORMAT
    ) -> NoReturn:
        """Raise an InputError about the line read last."""
        found = None if line is None else repr(line[:80].decode("latin-1").rstrip())
        raise InputError(
            problem, path=self._path, line=self.number or None, found=found, expected=expected, remedy=remedy
        )

    def _check_header(self, line: bytes) -> None:
        """Score, then for both sides name, size, strand, start and end, then perhaps an id."""
        cells = line.split()
        if len(cells) not in (12, 13) or cells[0] != b"chain" or not line.isascii():
            self.refuse("is not the header of a chain", line, "12 or 13 fields in ASCII")
        try:
            numbers = [int(cells[place]) for place in (1, 3, 5, 6, 8, 10, 11)]
        except ValueError:
            self.refuse("a field of the chain's header is no number", line)
        if abs(numbers[0]) >= 1 << 62:
            self.refuse("the score of the chain is out of range", line)
        for side, name, (size, start, end) in (
            ("source", cells[2].decode(), numbers[1:4]),
            ("target", cells[7].decode(), numbers[4:7]),
        ):
            if not 0 <= start < end <= size < 1 << 40:
                self.refuse(
                    f"start and end of the {side} do not fit its size", line, "0 <= start < end <= size"
                )
            before = self._sizes.setdefault((side, name), size)
            if before != size:
                self.refuse(f"{side} chromosome {name} has another size than before", line, str(before))

    def _check_block(self, line: bytes) -> None:
        """Size of the block and the gaps behind it; the size alone ends the chain."""
        cells = line.split()
        if len(cells) not in (1, 3) or not all(cell.isdigit() for cell in cells):
            self.refuse(
                "is not a block of a chain", line,
                "size and two gaps, or the size alone in a chain's last line",
            )  # fmt: skip
        if len(cells) == 1:
            self._header = 0


def _first_clause(error: Exception) -> str:
    """pyliftover's words without the header that it quotes in brackets behind them."""
    words = str(error).partition(" (")[0].rstrip(". ")
    return words[:1].lower() + words[1:] or type(error).__name__


def _arrays(path: str, chains: list[Any]) -> Chain:
    """The blocks of pyliftover's chains, sorted; those without a base are left out, as it leaves them out."""
    sources = {chain.source_name: chain.source_size for chain in chains}
    targets = {chain.target_name: chain.target_size for chain in chains}
    source_code = {name: code for code, name in enumerate(sources)}
    target_code = {name: code for code, name in enumerate(targets)}
    counts = [len(chain.blocks) for chain in chains]
    blocks = np.array([block for chain in chains for block in chain.blocks], np.int64).reshape(-1, 3)

    def each(values: list[int], kind: type[np.generic]) -> npt.NDArray[Any]:
        return np.repeat(np.array(values, kind), counts)

    source = each([source_code[chain.source_name] for chain in chains], np.int32)
    order = np.arange(len(blocks))
    rows = np.lexsort((order, blocks[:, 0], source))
    rows = rows[blocks[rows, 1] > blocks[rows, 0]]
    return Chain(
        path=path,
        source_names=tuple(sources),
        source_sizes=np.array(list(sources.values()), np.int64),
        target_names=tuple(targets),
        target_sizes=np.array(list(targets.values()), np.int64),
        source=source[rows],
        start=blocks[rows, 0],
        end=blocks[rows, 1],
        target=each([target_code[chain.target_name] for chain in chains], np.int32)[rows],
        target_start=blocks[rows, 2],
        target_strand=each([1 if chain.target_strand == "+" else -1 for chain in chains], np.int8)[rows],
        score=each([chain.score for chain in chains], np.int64)[rows],
        order=order[rows],
        n_chains=len(chains),
    )
