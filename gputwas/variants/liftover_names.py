"""One name for the many spellings of a chromosome, and back to the spelling of whoever asked.

In: names as files write them (chr1, 01, 1, chrM, MT, 23). Out: a common name that two spellings share, or
the name of another chromosome written in the same manner.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

__all__ = ["chromosome_codes", "code_table", "common_name", "spelled_like"]

_PREFIX = re.compile(r"^chr(om(osome)?)?[_ ]?", re.IGNORECASE)
_PLINK = {"23": "X", "24": "Y", "25": "X", "26": "MT", "XY": "X", "PAR": "X", "PAR1": "X", "PAR2": "X"}
"""PLINK's codes; looked at only where a genome has no chromosome of that name."""


def common_name(name: str) -> str:
    """Upper case, without chr and leading zeros, MT for the mitochondrion: equal for all spellings."""
    bare = _PREFIX.sub("", name.strip()).upper().lstrip("0")
    return "MT" if bare == "M" else bare


def code_table(names: Sequence[str]) -> dict[str, int]:
    """Place of each name, by the name itself and by its common name; of several the first has the latter.

    hg19 of UCSC has chrM and chrMT, which are different sequences.
    """
    table: dict[str, int] = {}
    for code, name in enumerate(names):
        table.setdefault(common_name(name), code)
    return table | {name: code for code, name in enumerate(names)}


def chromosome_codes(names: Iterable[str | None], table: dict[str, int]) -> list[int]:
    """Code of each name, -1 if it has none.

    Parameters
    ----------
    table : from `code_table`.
    """
    found = []
    for name in names:
        common = "" if name is None else common_name(name)
        code = table.get(name or "", table.get(common))
        found.append(table.get(_PLINK.get(common, ""), -1) if code is None else code)
    return found


def spelled_like(target: str, example: str, *, same: bool) -> str:
    """The name of a chromosome in the manner of another name.

    Parameters
    ----------
    target : name as the chain file has it. example : name whose spelling is to be followed.
    same : both are the same chromosome, so that the name is the example itself.
    """
    if same:
        return example
    example = example.strip()
    found = _PREFIX.match(example)
    prefix = found.group() if found else ""
    bare = _PREFIX.sub("", target)
    if common_name(target) == "MT":
        bare = "M" if prefix else "MT"
    padded = len(example) - len(prefix) == 2 and example[len(prefix)] == "0"
    return prefix + (bare.zfill(2) if padded else bare)
