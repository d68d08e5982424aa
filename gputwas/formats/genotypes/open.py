"""Opens genotypes of any supported format.

In: a file, the common beginning of the names of a file set, a pattern, or several of them. Out: one panel.
"""

from __future__ import annotations

import glob
import importlib
import logging
import os
import re
from collections.abc import Iterable, Sequence

from gputwas.errors import InputError, UsageError
from gputwas.formats.genotypes.panel import GenotypePanel, JoinedGenotypes
from gputwas.formats.genotypes.samples import Wanted, wanted_samples

__all__ = ["PLACEHOLDER", "open_genotypes"]

log = logging.getLogger(__name__)

PLACEHOLDER = "{chromosome}"
# suffix of the main file: the module that reads it and its class
_READERS = {
    ".bed": ("plink1", "Plink1Genotypes"),
    ".pgen": ("plink2", "Plink2Genotypes"),
    ".vcf.gz": ("vcf", "VcfGenotypes"),
    ".vcf.bgz": ("vcf", "VcfGenotypes"),
    ".vcf": ("vcf", "VcfGenotypes"),
    ".bcf": ("vcf", "VcfGenotypes"),
    ".bgen": ("bgen", "BgenGenotypes"),
}
# a file that belongs to another one
_MAIN = {
    ".bim": ".bed",
    ".fam": ".bed",
    ".pvar": ".pgen",
    ".pvar.zst": ".pgen",
    ".psam": ".pgen",
    ".sample": ".bgen",
}
_CHROMOSOME = r"(?:chr)?(?:0?[1-9]|1[0-9]|2[0-6]|X|Y|XY|MT?|PAR[12])"
_FORMATS = "PLINK 1 (.bed), PLINK 2 (.pgen), VCF (.vcf, .vcf.gz, .bcf) or BGEN (.bgen)"


def open_genotypes(
    path: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    samples: str | os.PathLike[str] | Sequence[str] | None = None,
) -> GenotypePanel:
    """Open a reference panel.

    Parameters
    ----------
    path : a genotype file; the name of a PLINK file set without its suffix; a name with ``{chromosome}`` in
        place of the chromosome, a glob pattern, or a name to which the chromosome is appended (FUSION's
        ``LDREF/1000G.EUR.``), for one file set per chromosome; or several of all these.
    samples : None for all; a keep file (family and sample id, or one sample id a line); or sample ids.
        Samples that the panel lacks are counted in the log.

    Returns
    -------
    A panel; see `GenotypePanel`. File sets are joined in the order of their chromosomes, or as given.

    Raises
    ------
    InputError
        If a file is absent, damaged or ambiguous, samples differ between files, or none is left.
    UsageError
        If no path is given.
    ResourceError
        If the library that reads the format is not installed.
    """
    wanted = wanted_samples(samples)
    names = [path] if isinstance(path, str | os.PathLike) else list(path)
    files = list(dict.fromkeys(file for name in names for file in _find(os.fspath(name))))
    if not files:
        raise UsageError("no genotypes are given")
    panels = [_open_file(file, wanted) for file in files]
    panel = panels[0] if len(panels) == 1 else JoinedGenotypes(panels)
    if wanted is not None and panel.not_found:
        log.warning(
            "%s: %d of %d samples to keep are not in the genotypes, such as %s; %d are used",
            wanted.source or panel.paths[0],
            len(panel.not_found),
            len(wanted.keys),
            panel.not_found[0],
            len(panel.samples),
        )
    log.info(
        "%s: %d samples, %d variants in %d file sets",
        panel.paths[0],
        len(panel.samples),
        panel.variants.num_rows,
        len(files),
    )
    return panel


def _open_file(file: str, wanted: Wanted | None) -> GenotypePanel:
    module, name = _READERS[_suffix(file, _READERS) or ""]
    reader = getattr(importlib.import_module(f"gputwas.formats.genotypes.{module}"), name)
    panel: GenotypePanel = reader(file, wanted)
    return panel


def _find(name: str) -> list[str]:
    """Main files that a name stands for."""
    if PLACEHOLDER in name:
        return _per_chromosome(name)
    if os.path.isfile(name):
        return [_main_file(name)]
    if glob.has_magic(name) and not _file_sets(name):  # a folder may be called "run [1]"
        return _matching(name)
    if _suffix(name, _READERS) or _suffix(name, _MAIN):
        return [_main_file(name)]  # its reader says what is absent
    found = _file_sets(name)
    if len(found) > 1:
        raise InputError(
            "stands for several sets of genotypes",
            path=name,
            found=", ".join(found),
            expected="one",
            remedy="Name the file with its suffix.",
        )
    if found:
        return found
    try:
        return _per_chromosome(name + PLACEHOLDER)
    except InputError:
        inside = os.path.join(name, "NAME." + PLACEHOLDER)
        raise InputError(
            "no genotypes there",
            path=name,
            expected=f"{_FORMATS}, by its name with or without the suffix",
            remedy=f"This is a folder: name the files in it, such as {inside}."
            if os.path.isdir(name)
            else f"Of one file per chromosome, write {PLACEHOLDER} where their names have the chromosome.",
        ) from None


def _file_sets(stem: str) -> list[str]:
    return [stem + suffix for suffix in _READERS if os.path.isfile(stem + suffix)]


def _per_chromosome(name: str) -> list[str]:
    parts = name.split(PLACEHOLDER)
    wanted = (
        re.escape(parts[0])
        + f"(?P<chromosome>{_CHROMOSOME})"
        + "(?P=chromosome)".join(re.escape(part) for part in parts[1:])
    )
    found = []
    for file in _in_order(set(glob.glob("*".join(glob.escape(part) for part in parts) + "*"))):
        suffix = _suffix(file, _READERS)
        if suffix and (re.fullmatch(wanted, file) or re.fullmatch(wanted, file.removesuffix(suffix))):
            found.append(file)
    return _one_per_stem(found, name)


def _matching(pattern: str) -> list[str]:
    found = [file for file in _in_order(set(glob.glob(pattern, recursive=True))) if _suffix(file, _READERS)]
    return _one_per_stem(found, pattern)


def _one_per_stem(found: list[str], name: str) -> list[str]:
    stems: dict[str, str] = {}
    for file in found:
        stem = file.removesuffix(_suffix(file, _READERS) or "")
        if stem in stems:
            raise InputError(
                "stands for the same genotypes in two formats",
                path=name,
                found=f"{stems[stem]} and {file}",
                expected="one of them",
                remedy="Add the suffix to the name.",
            )
        stems[stem] = file
    if not found:
        raise InputError("no genotypes there", path=name, expected=_FORMATS)
    return found


def _main_file(name: str) -> str:
    if _suffix(name, _READERS):
        return name
    suffix = _suffix(name, _MAIN)
    if suffix:
        return name.removesuffix(suffix) + _MAIN[suffix]
    raise InputError("is no kind of genotypes that can be read", path=name, expected=_FORMATS)


def _suffix(name: str, known: Iterable[str]) -> str | None:
    return next((suffix for suffix in known if name.endswith(suffix)), None)


def _in_order(files: Iterable[str]) -> list[str]:
    """Names sorted with numbers in them as numbers, so that chromosome 2 comes before 10."""

    def key(name: str) -> list[tuple[bool, int, str]]:
        parts = re.split(r"(\d+)", name)
        return [(not part.isdigit(), int(part) if part.isdigit() else 0, part) for part in parts]

    return sorted(files, key=key)
