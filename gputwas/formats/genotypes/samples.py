"""Which samples of a panel are kept.

In: ids, or a keep file as PLINK has it (FID IID, or one id a line). Out: `Wanted`, and for the samples of
one file the places of those wanted, in file order.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gputwas.errors import InputError

__all__ = ["Kept", "Wanted", "keep", "read_lines", "wanted_samples"]


@dataclass(frozen=True)
class Wanted:
    """Samples that a user asks for.

    Attributes
    ----------
    keys : (family id, sample id); the family is None where only the sample is named.
    source : the keep file, or None.
    """

    keys: list[tuple[str | None, str]]
    source: str | None


@dataclass(frozen=True, eq=False)
class Kept:
    """Samples of a file that are used.

    Attributes
    ----------
    index : int64 (samples,): places in the file, ascending.
    names : their ids.
    not_found : samples asked for that the file lacks.
    everything : all samples of the file are kept.
    """

    index: np.ndarray
    names: list[str]
    not_found: list[str]
    everything: bool


def wanted_samples(samples: str | os.PathLike[str] | Sequence[str] | None) -> Wanted | None:
    """Read a keep file, or take ids as they are; None stays None, which means all samples.

    A keep file has a sample id on each line, or a family and a sample id (further columns are not read). A
    header line ``#FID IID`` or ``#IID`` decides which; other lines that begin with ``#`` are comments. The
    same words without ``#`` are a header if they are the first line.

    Raises
    ------
    InputError
        If the file is absent or names no sample, or the sequence is empty.
    """
    if samples is None:
        return None
    if not isinstance(samples, str | os.PathLike):
        keys: list[tuple[str | None, str]] = [(None, str(name)) for name in samples]
        source = None
    else:
        source = os.fspath(samples)
        keys = _read_keep_file(source)
    if not keys:
        raise InputError("names no sample to keep", path=source or "samples", expected="at least one id")
    return Wanted(list(dict.fromkeys(keys)), source)


def keep(path: str, ids: list[str], families: list[str] | None, wanted: Wanted | None) -> Kept:
    """Choose samples of one file.

    Parameters
    ----------
    path : the file that names the samples, for messages.
    ids, families : (samples,): sample ids, and family ids where the format has them. Where sample ids repeat
        in different families, samples are called ``family_sample``.
    wanted : samples asked for; a pair of family and sample must agree in both where the format has both.

    Raises
    ------
    InputError
        If an id is repeated, or none of the samples asked for is in the file.
    """
    names = _unique_names(path, ids, families)
    if wanted is None:
        return Kept(np.arange(len(names)), names, [], True)
    place_of_name = {name: place for place, name in enumerate(names)}
    place_of_pair = None
    if families is not None:
        place_of_pair = {pair: place for place, pair in enumerate(zip(families, ids, strict=True))}
    places, not_found = [], []
    for family, name in wanted.keys:
        if family is None or place_of_pair is None:
            place = place_of_name.get(name)
        else:
            place = place_of_pair.get((family, name))
        if place is None:
            not_found.append(name if family is None else f"{family} {name}")
        else:
            places.append(place)
    if not places:
        raise InputError(
            "none of the samples to keep is in the genotypes",
            path=wanted.source or path,
            found=f"{len(wanted.keys):,} samples, such as {not_found[0]!r}",
            expected=f"samples of {path}, such as {names[0]!r}" if names else f"samples of {path}",
            remedy="Family and sample id must both agree; one id a line is compared with the sample id.",
        )
    index = np.unique(np.array(places, dtype=np.int64))
    return Kept(index, [names[place] for place in index], not_found, len(index) == len(names))


def read_lines(path: str) -> list[tuple[int, list[str]]]:
    """Cells of the lines of a small text file that are not blank, each with its 1-based number.

    Raises
    ------
    InputError
        If it is no text.
    """
    try:
        with open(path, encoding="utf-8-sig") as file:
            return [(number, line.split()) for number, line in enumerate(file, 1) if not line.isspace()]
    except UnicodeDecodeError as error:
        raise InputError(
            "is not a text file", path=path, found=f"a byte {error.object[error.start]:#x}"
        ) from None


def _read_keep_file(path: str) -> list[tuple[str | None, str]]:
    if not os.path.isfile(path):
        raise InputError(
            "no such file of samples to keep", path=path, remedy="Give a text file with one sample id a line."
        )
    keys: list[tuple[str | None, str]] = []
    has_family: bool | None = None
    for place, (_, cells) in enumerate(read_lines(path)):
        first = cells[0].upper().removeprefix("#")
        is_header = first == "IID" or (first == "FID" and [cell.upper() for cell in cells[1:2]] == ["IID"])
        if is_header and (place == 0 or cells[0].startswith("#")):
            has_family = first == "FID"
        elif cells[0].startswith("#"):
            continue
        elif (len(cells) > 1) if has_family is None else has_family:
            keys.append((cells[0], cells[1] if len(cells) > 1 else cells[0]))
        else:
            keys.append((None, cells[0]))
    return keys


def _unique_names(path: str, ids: list[str], families: list[str] | None) -> list[str]:
    if len(set(ids)) == len(ids):
        return ids
    names = ids
    if families is not None:
        names = [f"{family}_{name}" for family, name in zip(families, ids, strict=True)]
        if len(set(names)) == len(names):
            return names
    name, count = Counter(names).most_common(1)[0]
    raise InputError(
        f"a sample id is repeated: {name!r} stands there {count} times",
        path=path,
        expected="every sample once",
        remedy="Remove or rename the repeated samples.",
    )
