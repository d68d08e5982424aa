"""Where the members of a gzip file start, told from its compressed bytes.

In: compressed bytes, or a file's last ones. Out: places, which are beliefs: only inflating proves them.
"""

from __future__ import annotations

import io
import os
import re
import struct

__all__ = ["has_many_members", "is_bgzf", "likely_start", "stated_start"]

# Of any member (RFC 1952): no reserved flag, a level and a system that compressors write.
_HEADER = re.compile(rb"\x1f\x8b\x08[\x00-\x1f].{4}[\x00\x02\x04][\x00-\x13\xff]", re.DOTALL)
_HEADER_BYTES = 10
_BGZF = struct.Struct("<4s6xH2sHH")  # magic and flags, size of the extra field, BC, its size, BSIZE
_BGZF_MARKS = [b"\x1f\x8b\x08\x04", 6, b"BC", 2]


def is_bgzf(start: bytes) -> bool:
    """Whether a file that begins so is in BGZF: gzip whose extra field is BC, 2 bytes, and nothing more."""
    return len(start) >= _BGZF.size and list(_BGZF.unpack_from(start))[:4] == _BGZF_MARKS


def has_many_members(stream: io.RawIOBase) -> bool:
    """Whether a gzip file has members before its last, or one whose text passes 4 GiB; false for a URL.

    Its last 4 bytes tell, as far as they can: they are the size of the last member's text modulo 2^32, or, if
    that is padded, zeros. Tables of numbers shrink to less than half, so a smaller size is not that of the
    whole text. To be wrong costs time, nothing else.
    """
    try:
        number = stream.fileno()
    except OSError:
        return False
    size = os.fstat(number).st_size  # 0 for a pipe
    return size > 4 and int.from_bytes(os.pread(number, 4, size - 4), "little") < 2 * size


def likely_start(data: bytearray, place: int, least: int) -> tuple[int, bool]:
    """Find where a member seems to start, by what a header looks like.

    Parameters
    ----------
    data : compressed bytes, from the start of a member.
    place : 0, or what was returned when there were fewer bytes.
    least : the first place that is asked for.

    Returns
    -------
    A start and true; or where to go on, and false.
    """
    found = _HEADER.search(data, max(place, least))
    if found:
        return found.start(), True
    return max(place, len(data) - _HEADER_BYTES + 1), False


def stated_start(data: bytearray, place: int, least: int) -> tuple[int, bool]:
    """Find where a member of BGZF starts, by the lengths stated (SAM/BAM specification, section 4.1).

    Takes and returns what `likely_start` does.
    """
    while place < least and place + _BGZF.size <= len(data):
        *marks, length = _BGZF.unpack_from(data, place)
        if marks != _BGZF_MARKS:
            break
        place += length + 1
    return place, least <= place < len(data)
