"""Which covariance file belongs to which model database.

In: paths of databases, and files or folders of covariances. Out: one pair per tissue, found by the tissue in
the file names; a pairing that is not certain is refused.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass

from gputwas.errors import InputError
from gputwas.formats.tissue_names import tissue_name

__all__ = ["ModelFiles", "find_databases", "pair_files", "without_covariances"]

log = logging.getLogger(__name__)

_COVARIANCE_ENDS = (".txt", ".txt.gz", ".tsv", ".tsv.gz", ".txt.bgz", ".txt.zst")
_DATABASE_ENDS = (".db", ".sqlite", ".sqlite3")

PathLike = str | os.PathLike[str]


@dataclass(frozen=True)
class ModelFiles:
    """The files of one tissue; `covariance` is None where none was looked for."""

    tissue: str
    database: str
    covariance: str | None


def find_databases(models: PathLike | Sequence[PathLike]) -> list[str]:
    """Paths of the databases: files as they are, and what a folder holds, by name.

    Raises
    ------
    InputError
        If there is none.
    """
    given = _as_list(models)
    found: list[str] = []
    for path in given:
        found.extend(_in_folder(path, _DATABASE_ENDS) if os.path.isdir(path) else [path])
    if not found:
        raise InputError(
            "there is no model database",
            path=given[0] if given else None,
            expected="files *.db, one per tissue",
            remedy="Name the databases or their folder.",
        )
    for path in found:
        if not os.path.exists(path):
            raise InputError("there is no such model database", path=path, remedy="Check the path.")
    return found


def pair_files(
    databases: Sequence[str], covariances: PathLike | Sequence[PathLike] | None
) -> list[ModelFiles]:
    """Find each database's covariance.

    A covariance fits if its name speaks of the same tissue (see `tissue_name`) and its release prefix
    (``JTI_``, ``TW_``) is the same or one has none; among several, the one named like the database is taken.
    A single database and a single covariance file belong together whatever their names.

    Parameters
    ----------
    covariances : files, folders, or None for the folders of the databases.

    Raises
    ------
    InputError
        If two databases are of one tissue, or a covariance is absent or not certain.
    """
    tissues = _tissues(databases)
    given = _as_list(covariances) if covariances is not None else []
    if len(databases) == 1 and len(given) == 1 and not os.path.isdir(given[0]):
        return [ModelFiles(tissues[0], databases[0], given[0])]
    places = given or list(dict.fromkeys(os.path.dirname(os.path.abspath(path)) for path in databases))
    candidates: list[str] = []
    for place in places:
        candidates.extend(_in_folder(place, _COVARIANCE_ENDS) if os.path.isdir(place) else [place])
    pairs = [
        ModelFiles(tissue, database, _choose(tissue, database, candidates, places))
        for tissue, database in zip(tissues, databases, strict=True)
    ]
    unused = {path for path in given if not os.path.isdir(path)} - {pair.covariance for pair in pairs}
    for path in sorted(unused):
        log.warning(
            "%s: no model database is of the tissue %s; the file is not used", path, tissue_name(path)
        )
    return pairs


def without_covariances(databases: Sequence[str]) -> list[ModelFiles]:
    """The databases alone, for models that need no covariance; two of one tissue are an `InputError`."""
    return [
        ModelFiles(tissue, path, None) for tissue, path in zip(_tissues(databases), databases, strict=True)
    ]


def _tissues(databases: Sequence[str]) -> list[str]:
    tissues = [tissue_name(path) for path in databases]
    for tissue in tissues:
        if tissues.count(tissue) > 1:
            same = [path for path, name in zip(databases, tissues, strict=True) if name == tissue]
            raise InputError(
                f"{len(same)} databases are of the tissue {tissue!r}",
                found=", ".join(same),
                remedy="Import models of different methods into stores of their own.",
            )
    return tissues


def _as_list(paths: PathLike | Sequence[PathLike]) -> list[str]:
    return [os.fspath(paths)] if isinstance(paths, str | os.PathLike) else [os.fspath(path) for path in paths]


def _in_folder(folder: str, ends: tuple[str, ...]) -> list[str]:
    return [os.path.join(folder, name) for name in sorted(os.listdir(folder)) if name.lower().endswith(ends)]


def _choose(tissue: str, database: str, candidates: Sequence[str], places: Sequence[str]) -> str:
    of_tissue = [path for path in candidates if tissue_name(path) == tissue]
    prefix = _prefix(database, tissue)
    fitting = [path for path in of_tissue if not prefix or _prefix(path, tissue) in ("", prefix)]
    for narrower in (
        fitting,
        [path for path in fitting if _prefix(path, tissue) == prefix],
        [path for path in fitting if _stem(path) == _stem(database)],
    ):
        if len(narrower) == 1:
            return narrower[0]
    if fitting:
        raise InputError(
            f"several covariances may belong to the models of {tissue}",
            path=database,
            found=", ".join(fitting),
            remedy="Name the right files one by one.",
        )
    raise InputError(
        f"there is no covariance for the models of {tissue}",
        path=database,
        found=", ".join(of_tissue or sorted(map(os.path.basename, candidates))[:5]) or "no covariance files",
        expected=f"a file such as {_stem(database)}.txt.gz in {', '.join(places)}",
        remedy="Name the covariance files or their folder with --covariance.",
    )


def _stem(path: str) -> str:
    name = os.path.basename(path).lower()
    for end in sorted((*_COVARIANCE_ENDS, *_DATABASE_ENDS), key=len, reverse=True):
        if name.endswith(end):
            return os.path.basename(path)[: -len(end)]
    return os.path.basename(path)


def _prefix(path: str, tissue: str) -> str:
    """What stands before the tissue in the file's name, in lower case."""
    name = os.path.basename(path)
    return name[: name.find(tissue)].lower().rstrip("_-")
