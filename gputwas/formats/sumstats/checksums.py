"""Checksums that come with downloads.

In: a checksum as Zenodo ("md5:9e10..."), md5sum and sha256sum ("9e10...  file.txt.gz") or a column of its own
name write it. Out: `Checksum`s, which a file's bytes are compared with.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Any

from gputwas.errors import InputError

__all__ = ["KINDS", "Checksum", "parse_checksum"]

KINDS = {"md5": 32, "sha256": 64}
"""Kinds that are known, with their number of hexadecimal digits."""


@dataclass(frozen=True)
class Checksum:
    """Kind ("md5" or "sha256") and value in lower-case hexadecimal digits."""

    kind: str
    value: str

    def __str__(self) -> str:
        return f"{self.kind}:{self.value}"

    def new(self) -> Any:
        """Something with `update` and `hexdigest`."""
        return hashlib.new(self.kind, usedforsecurity=False)

    def compare(self, found: str, path: str, size: int) -> None:
        """Raise InputError if the bytes of a file add up to something else."""
        if found != self.value:
            raise InputError(
                f"its {self.kind} is not the one that was given",
                path=path,
                found=f"{found} over {size:,} bytes",
                expected=self.value,
                remedy="Download or copy it again, and check that the checksum is of this file and release.",
            )


def parse_checksum(text: str, kind: str | None = None) -> Checksum:
    """Read a checksum; `kind` is what a column's name says of it.

    Raises
    ------
    ValueError : it is none; the text says what was expected.
    """
    words = text.split()
    value = (words[0] if words else "").lower()
    said, colon, rest = value.partition(":")
    if colon:
        value = rest
        said = "sha256" if said == "sha-256" else said
        if kind is not None and said != kind:
            raise ValueError(f"a checksum of the kind {kind}")
    else:
        said = kind or ""
    if said not in KINDS:
        raise ValueError(" or ".join(f"{name}:..." for name in KINDS))
    if not re.fullmatch(r"[0-9a-f]+", value) or len(value) != KINDS[said]:
        raise ValueError(f"{KINDS[said]} hexadecimal digits")
    return Checksum(said, value)
