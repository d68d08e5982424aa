"""The account of an import: one row per trait, what became of its rows.

In: the metadata that the store keeps with each trait, and the errors. Out: an Arrow table.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from gputwas.variants.align import Reason

__all__ = ["import_report"]

_KEPT = ("matched", "swapped", "strand", "strand_swapped")
_DROPPED = tuple(reason.name.lower() for reason in Reason if reason > Reason.STRAND_SWAPPED)
_LIFTED = ("mapped", "moved", "split", "unmapped", "reversed", "reversed_indels")


def import_report(
    traits: Sequence[str],
    status: Mapping[str, str],
    metadata: Mapping[str, Mapping[str, Any]],
    errors: Mapping[str, str],
) -> pa.Table:
    """Make the report.

    Parameters
    ----------
    traits : names, in the order of the rows.
    status : trait -> "imported", "present" (was in the store already), "updated" (was, and what is said about
        it changed) or "failed".
    metadata : trait -> the store's metadata; failed traits have none.
    errors : trait -> message.

    Returns
    -------
    Table (traits,): trait, status, rows_read, rows_malformed, matched (rows used), swapped (of these, sign
    turned), strand (of these, on the other strand), dropped_<reason> for every reason, found_share (0 to 1),
    effect, strand_of_file, layout, matched_by ("id", "position" or "map"), matched_how (in words),
    lift_mapped, lift_moved, lift_split, lift_unmapped, lift_reversed, lift_reversed_indels (rows of a file
    that was lifted to the models' build by what became of them, null otherwise), warnings (joined by "; "),
    error. Null where a trait failed.
    """
    rows = [_row(trait, status[trait], metadata.get(trait), errors.get(trait)) for trait in traits]
    return pa.Table.from_pylist(rows, schema=_SCHEMA)


_SCHEMA = pa.schema(
    [("trait", pa.string()), ("status", pa.string())]
    + [(name, pa.int64()) for name in ("rows_read", "rows_malformed", "matched", "swapped", "strand")]
    + [(f"dropped_{name}", pa.int64()) for name in _DROPPED]
    + [("found_share", pa.float64())]
    + [(name, pa.string()) for name in ("effect", "strand_of_file", "layout", "matched_by", "matched_how")]
    + [(f"lift_{name}", pa.int64()) for name in _LIFTED]
    + [(name, pa.string()) for name in ("warnings", "error")]
)


def _row(trait: str, status: str, metadata: Mapping[str, Any] | None, error: str | None) -> dict[str, Any]:
    row: dict[str, Any] = {"trait": trait, "status": status, "error": error}
    if metadata is None:
        return row
    counts = metadata["counts"]
    row |= {
        name: metadata[name] for name in ("rows_read", "rows_malformed", "found_share", "effect", "layout")
    }
    row |= {f"dropped_{name}": counts.get(name, 0) for name in _DROPPED}
    row["matched"] = sum(counts.get(name, 0) for name in _KEPT)
    row["swapped"] = counts.get("swapped", 0) + counts.get("strand_swapped", 0)
    row["strand"] = counts.get("strand", 0) + counts.get("strand_swapped", 0)
    row["strand_of_file"] = metadata.get("strand")
    row |= {name: metadata.get(name) for name in ("matched_by", "matched_how")}
    if lifted := metadata.get("lifted"):
        row |= {f"lift_{name}": lifted.get(name, 0) for name in _LIFTED}
    row["warnings"] = "; ".join(metadata.get("warnings", ()))
    return row
