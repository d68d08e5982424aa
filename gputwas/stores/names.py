"""File names for traits and tissues, whose own names may hold any characters.

In: any non-empty string. Out: a portable file name without suffix, different for different strings.
"""

from __future__ import annotations

from urllib.parse import quote

import xxhash

from gputwas.errors import InputError

__all__ = ["file_stem"]

_LONGEST = 180  # file systems take 255 bytes; temporary names and suffixes need room
_KEPT = 140


def file_stem(name: str) -> str:
    """Percent-encode all but letters, digits, ``_``, ``-`` and dots; long names end in ``~`` and a hash.

    The name itself is kept inside the file, so the encoding need not be undone. A leading dot is encoded
    (hidden files and ``..``), and ``~`` always is, so a shortened name equals no other.
    """
    if not name:
        raise InputError("a name is empty", remedy="Give every trait and tissue a name.")
    stem = quote(name, safe="", errors="surrogatepass").replace("~", "%7E")
    if stem.startswith("."):
        stem = "%2E" + stem[1:]
    if len(stem) > _LONGEST:
        digest = xxhash.xxh3_64_hexdigest(name.encode(errors="surrogatepass"))
        stem = f"{stem[:_KEPT]}~{digest}"
    return stem
