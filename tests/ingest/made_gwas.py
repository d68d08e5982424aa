"""Small GWAS that name variants in whatever way, and the panel that they are about."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa

from gputwas.formats.sumstats.reader import open_sumstats
from gputwas.ingest.choose_key import MatchOptions, choose_key
from gputwas.ingest.matching import roles_for
from gputwas.ingest.panel import PanelIndex, filter_for
from gputwas.ingest.trait import TraitStatistics, read_trait

__all__ = [
    "EXPECTED",
    "PAIRS",
    "N",
    "alleles",
    "assert_all",
    "beta",
    "gtex",
    "panel",
    "place",
    "read",
    "write",
]

N = 60
PAIRS = [("A", "G"), ("C", "T"), ("G", "T"), ("C", "A"), ("A", "T")]


def place(i: int) -> tuple[str, int]:
    return ("X" if i % 20 == 19 else str(i % 20 + 1)), 10_000 + 137 * i


def alleles(i: int) -> tuple[str, str]:
    return PAIRS[i % len(PAIRS)]


def gtex(i: int, build: str = "_b38") -> str:
    return "chr{}_{}_{}_{}{}".format(*place(i), *alleles(i)[::-1], build)


def panel(name=gtex, n: int = N, **more) -> pa.Table:
    columns = {"variant_id": [name(i) for i in range(n)], "effect_allele": [alleles(i)[0] for i in range(n)]}
    return pa.table(columns | {"other_allele": [alleles(i)[1] for i in range(n)]} | more)


def beta(i: int) -> float:
    return (i + 1) / 100


def write(path: Path, header: str, row, n: int = N) -> Path:
    """Rows of the format `row(i)`, with beta and se, and as many strangers between them."""
    lines = [f"{header} BETA SE"]
    for i in range(n):
        lines += [f"{row(i)} {beta(i)} 0.1", f"{row(i + 100_000)} 9 0.1"]
    path.write_text("\n".join(lines) + "\n")
    return path


def read(
    path: Path, index: pa.Table | PanelIndex, *, scan: bool = False, build: str | None = None,
    block_bytes: int = 1 << 20, **options,
) -> TraitStatistics:  # fmt: skip
    target = index if isinstance(index, PanelIndex) else PanelIndex(index)
    reader = open_sumstats(path, block_bytes=block_bytes)
    key = choose_key(target, reader, MatchOptions(**options), build)
    wanted = filter_for(target, key, scan=scan)
    return read_trait(reader.keeping(wanted, roles_for(key)), target, seen=wanted, key=key, build=build)


EXPECTED = np.array([beta(i) / 0.1 for i in range(N)]).astype(np.float32)


def assert_all(found: TraitStatistics) -> None:
    np.testing.assert_allclose(found.z, EXPECTED, rtol=1e-6)
    assert found.counts == {"matched": N, "not_in_panel": N} and found.rows_read == 2 * N
