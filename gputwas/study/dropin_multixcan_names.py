"""Which tissue a file speaks of, by the rules of SMulTiXcan.py.

In: names of model files and of S-PrediXcan results. Out: the tissue, spelled as the reference spells it, so
that models and results meet under one name (software/metax/NamingConventions.py).
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence

from gputwas.errors import InputError, UsageError

__all__ = ["files_by_tissue", "model_tissue", "pattern_of", "result_tissue"]

# What of a file's name is no longer looked at, in this order of precedence; only what precedes it counts.
_ENDS = ("_elasticNet", "-unscaled", ".meta.txt", ".zscores.csv", ".csv")
# What stands between phenotype and tissue, and the tissue if the mark itself names it, in this order.
_MARKS = (
    ("_TW_Whole_Blood_DGN", "DGN_WB"), ("_TW_", None), ("-TW_", None), ("TW_", None), ("_TS_", None),
    ("TS_", None), ("_DGN", "DGN_WB"), ("DGN", "DGN_WB"), ("_CrossTissue_", "CrossTissue"),
    ("CrossTissue_", "CrossTissue"), ("CrossTissue", "CrossTissue"), ("_PRS_", None), ("_PRS", None),
    ("PRS_", None), ("_Intron_geuvadis", "Intron-Geuvadis"), ("_gEUVADIS", "Geuvadis"),
    ("_microRNA", "microRNA"), ("_eQTL_", None),
)  # fmt: skip
_MODEL_PARTS = (".db$", "_0.5$", "^TW_", "^gtex_v7_", "_imputed_europeans_tw_0.5_signif.db$")


def pattern_of(text: str, flag: str) -> re.Pattern[str]:
    """A regular expression that a flag gives.

    Raises
    ------
    UsageError : it is none.
    """
    try:
        return re.compile(text)
    except re.error as error:
        raise UsageError(
            f"--{flag} {text!r} is not a regular expression ({error}); write .*db and not *.db"
        ) from error


def model_tissue(path: str, pattern: re.Pattern[str] | None) -> str:
    """Tissue of a model file: the first group of --models_name_pattern, or the name without usual affixes.

    Raises
    ------
    InputError : the pattern does not fit.
    """
    name = os.path.basename(path)
    if pattern is None:
        for part in _MODEL_PARTS:
            name = re.sub(part, "", name)
        return name
    found = pattern.search(name)
    if found is None or not found.groups():
        raise _unfit(path, "--models_name_pattern", pattern)
    return found[1]


def result_tissue(path: str, pattern: re.Pattern[str] | None) -> str:
    """Tissue of an S-PrediXcan result: --metaxcan_file_name_parse_pattern's second group, or its only one.

    Without a pattern the name is taken to be phenotype_TW_tissue.csv or of another of MetaXcan's habits.

    Raises
    ------
    InputError : the name does not fit.
    """
    name = os.path.basename(path)
    if pattern is None:
        return _by_convention(path, name)
    found = pattern.match(name)
    if found is None or not found.groups():
        raise _unfit(path, "--metaxcan_file_name_parse_pattern", pattern)
    return found[2] if len(found.groups()) > 1 else found[1]


def _by_convention(path: str, name: str) -> str:
    end = next((end for end in _ENDS if end in name), None)
    stem = name.split(end)[0] if end else ""
    for mark, tissue in _MARKS:
        if mark in stem:
            return tissue or stem.split(mark)[1]
    raise InputError(
        "the file's name does not tell the tissue",
        path=path,
        expected="a name like trait_TW_Whole_Blood.csv",
        remedy=r"Say where it stands: --metaxcan_file_name_parse_pattern '(.*)__PM__(.*)\.csv', phenotype "
        "and tissue in brackets.",
    )


def _unfit(path: str, flag: str, pattern: re.Pattern[str]) -> InputError:
    return InputError(
        f"the file's name does not fit {flag}",
        path=path,
        expected=f"a name that {pattern.pattern!r} finds, with the tissue in brackets in the pattern",
        remedy="Mend the pattern, or leave the file out by the filter of names.",
    )


def files_by_tissue(paths: Sequence[str], tissues: Sequence[str], what: str, remedy: str) -> dict[str, str]:
    """Tissue -> file, tissues in the order of the reference's sorting.

    Raises
    ------
    InputError : two files are of one tissue; the reference takes either.
    """
    found: dict[str, str] = {}
    for path, tissue in zip(paths, tissues, strict=True):
        if tissue in found:
            raise InputError(
                f"two {what} are of one tissue, {tissue}",
                path=path,
                found=f"{os.path.basename(found[tissue])} and {os.path.basename(path)}",
                remedy=remedy,
            )
        found[tissue] = path
    return dict(sorted(found.items()))
