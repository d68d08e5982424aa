"""Remedies in the words of the drop-in command.

In: an error made in a room that speaks of the flags of `gputwas models` and `gputwas gwas`. Out: the same
error, its remedy with the flags that `gputwas spredixcan` has.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Collection, Iterator

from gputwas.errors import InputError

__all__ = ["FLAG_OF_ROLE", "in_words_of"]

FLAG_OF_ROLE = {
    "variant_id": "snp_column",
    "effect_allele": "effect_allele_column",
    "other_allele": "non_effect_allele_column",
    "z": "zscore_column",
    "beta": "beta_column",
    "odds_ratio": "or_column",
    "sign": "beta_sign_column",
    "se": "se_column",
    "p": "pvalue_column",
}
_NO_LOG_P = (
    "If the column holds -log10 p, leave --pvalue_column out and name --se_column beside the effect, or use "
    "`gputwas gwas import`, which reads -log10 p."
)


@contextlib.contextmanager
def in_words_of(flags: Collection[str]) -> Iterator[None]:
    """Give an `InputError` of the block a remedy in `flags`, names with underscores and without dashes."""
    try:
        yield
    except InputError as error:
        if error.remedy is None:
            raise
        fields = {name: value for name, value in vars(error).items() if name != "remedy"}
        raise InputError(**fields, remedy=_translated(error.remedy, flags)) from error


def _translated(remedy: str, flags: Collection[str]) -> str:
    if "nlog10_p=" in remedy:
        return _NO_LOG_P
    text = re.sub(r"mport the models (by [a-z ]+): gputwas models import ", r"ead the models \1: ", remedy)
    text = text.replace("Iead", "Read").replace("iead", "read")
    text = re.sub(r"--column (\w+)=", lambda found: _column(found, flags), text)
    text = re.sub(r"(--[a-z-]+-[a-z-]+) \(or (--\w+) for the drop-in command\)", r"\2", text)
    return re.sub(r"--([a-z]+(?:-[a-z]+)+)", lambda found: _flag(found, flags), text)


def _column(found: re.Match[str], flags: Collection[str]) -> str:
    flag = FLAG_OF_ROLE.get(found[1])
    return f"--{flag} " if flag in flags else found[0]


def _flag(found: re.Match[str], flags: Collection[str]) -> str:
    name = found[1].replace("-", "_")
    return f"--{name}" if name in flags else found[0]
