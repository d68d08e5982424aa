"""A GWAS whose positions are of another genome build than the panel's.

In: a chain file, and the build of the GWAS. Out: `BuildLift`, which moves the places of rows to the panel's
build, says which alleles have to be complemented, and counts what became of them, and the errors that tell a
chain file for the wrong direction.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from gputwas.errors import InputError, UsageError
from gputwas.executors.jobs import kept_in_process
from gputwas.formats.chain import chain_builds, read_chain
from gputwas.variants.identifiers import build_name
from gputwas.variants.liftover import Liftover, Status, complement

__all__ = ["BuildLift", "check_direction", "check_target", "complemented", "lift_between"]

_ENOUGH = 100  # rows of which most must be mapped
_LONGEST = {"GRCh37": 249_250_621, "GRCh38": 248_956_422}
"""Bases of chromosome 1 in the assembly reports of the Genome Reference Consortium."""


@dataclass(frozen=True, eq=False)
class BuildLift:
    """The way from the build of a GWAS to that of the panel.

    Attributes
    ----------
    name : equal for lifts by the same chain file. said : the two builds in words.
    """

    liftover: Liftover
    name: str
    said: str

    def place(
        self, chromosome: pa.Array, position: pa.Array, counts: Counter[str] | None
    ) -> tuple[pa.Array, pa.Array, npt.NDArray[np.bool_]]:
        """Chromosome and position in the panel's build, null where there is none, and which rows turned.

        A row with several targets has none: which is the right one nobody knows.

        Parameters
        ----------
        chromosome : string array (rows,), "1".."22", "X", "Y", "MT". position : int64 array (rows,).
        counts : is added to: mapped, moved (to another chromosome), split, unmapped; reversed, of those with
            a place.
        """
        found = self.liftover.lift(chromosome, position)
        lost = (found.status == Status.SPLIT) | (found.status == Status.UNMAPPED)
        turned = (found.strand < 0) & ~lost
        if counts is not None:
            counts.update({n: v for n, v in found.counts.items() if n != "reversed"})
            counts["reversed"] += int(turned.sum())
        nowhere = pa.array(lost)
        place = pa.array(found.position, mask=lost)
        return pc.if_else(nowhere, pa.scalar(None, pa.string()), found.chromosome), place, turned

    def check(self, counts: Counter[str], placed: int, path: str) -> None:
        """Refuse a chain file that leads most rows nowhere.

        Parameters
        ----------
        counts : as `place` has added to them. placed : rows that had a place at all.

        Raises
        ------
        InputError : more than half of the rows with a place have none in the other build.
        """
        rows = sum(counts[status.name.lower()] for status in Status)
        lost = counts["unmapped"] - (rows - placed)
        if placed >= _ENOUGH and lost * 2 > placed:
            raise InputError(
                "most positions have no place in the other build by the chain file "
                f"{self.liftover.chain.path}",
                path=path,
                found=f"{lost:,} of {placed:,} rows unmapped",
                remedy="It is most likely for the wrong direction: a chain file from hg19 to hg38 is called "
                "hg19ToHg38.over.chain.gz. Also check --build.",
            )


def lift_between(chain: str, digest: str, build: str, to: str | None) -> BuildLift:
    """The lift by a chain file, read once per process.

    Parameters
    ----------
    chain : the file. digest : of its contents. build, to : as the user wrote them.

    Raises
    ------
    InputError : the file cannot be read, or is for another direction.
    """
    liftover = kept_in_process("chain file", digest, lambda: Liftover(read_chain(chain)))
    check_direction(liftover, build, to)
    return BuildLift(liftover, digest, f"{build} to {to}" if to else f"{build} to the build of the models")


def check_direction(liftover: Liftover, build: str, to: str | None) -> None:
    """Refuse a chain file whose name, or whose chromosome 1, says that it is for other builds.

    Raises
    ------
    InputError : with both directions.
    """
    chain = liftover.chain
    named = chain_builds(chain.path)
    source = _build_by_size(chain.source_names, chain.source_sizes) or build_name(named[0] if named else None)
    target = _build_by_size(chain.target_names, chain.target_sizes) or build_name(named[1] if named else None)
    wrong = [
        f"{flag} is {given}, but it goes {word} {found}"
        for flag, given, word, found in (("--build", build, "from", source), ("--to", to, "to", target))
        if found and build_name(given) and found != build_name(given)
    ]
    if wrong:
        raise InputError(
            "the chain file is for another direction",
            path=chain.path,
            found="; ".join(wrong),
            remedy="Give the one from the build of the GWAS to that of the models: hg19ToHg38.over.chain.gz "
            "for --build hg19 --to hg38.",
        )


def complemented(table: pa.Table, turned: npt.NDArray[np.bool_]) -> pa.Table:
    """Rows with the alleles of the other strand where they turned; longer alleles must not be among them.

    Parameters
    ----------
    table : with effect_allele and perhaps other_allele, string columns. turned : bool (rows,).
    """
    mask = pa.array(turned)
    for name in ("effect_allele", "other_allele"):
        if name in table.column_names:
            whole = table[name].combine_chunks()
            place = table.column_names.index(name)
            table = table.set_column(place, name, pc.if_else(mask, complement(whole), whole))
    return table


def _build_by_size(names: tuple[str, ...], sizes: npt.NDArray[np.int64]) -> str | None:
    first = [int(size) for name, size in zip(names, sizes, strict=True) if name in ("chr1", "1")]
    return next((build for build, size in _LONGEST.items() if [size] == first), None)


def check_target(to: str | None, panel_build: str | None, panel_example: str) -> None:
    """Refuse `--to` if the models' identifiers show another build.

    Raises
    ------
    UsageError : with both.
    """
    if to and panel_build and build_name(to) and build_name(to) != panel_build:
        raise UsageError(
            f"--to is {to}, but the models are on {panel_build}, as their ids show ({panel_example}); "
            f"lift to that: --to {panel_build}"
        )
