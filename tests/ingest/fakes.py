"""A reader that yields made-up batches, so that ingestion is tested without any file format."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa


@dataclass
class FakeLayout:
    """Stands in for the layout of a file."""

    columns: dict[str, str]
    dialect: str = "made up"

    @property
    def effect_kind(self) -> str:
        return "log_odds" if "odds_ratio" in self.columns else "beta"

    def describe(self) -> str:
        return f"made up: {', '.join(self.columns)}"


@dataclass
class FakeReader:
    """Rows given as columns, cut into batches of `size`."""

    columns: dict[str, list]
    size: int = 1000
    malformed: int = 0
    odds: bool = False
    paths: tuple[str, ...] = ("made_up.txt",)
    rows_read: int = 0
    rows_malformed: int = 0
    layout: FakeLayout = field(init=False)

    def __post_init__(self) -> None:
        taken = {("odds_ratio" if name == "beta" and self.odds else name): name for name in self.columns}
        self.layout = FakeLayout(taken)

    def __iter__(self):
        texts = ("variant_id", "chromosome", "effect_allele", "other_allele")
        table = pa.table({
            name: pa.array(values, pa.string() if name in texts else pa.float64())
            for name, values in self.columns.items()
        })  # fmt: skip
        self.rows_read, self.rows_malformed = table.num_rows, self.malformed
        yield from table.to_batches(max_chunksize=self.size)


def panel_of(rows: list[tuple[str, str, str]], chromosome: list[str] | None = None) -> pa.Table:
    """Rows of (variant id, effect allele, other allele)."""
    ids, effect, other = (list(c) for c in zip(*rows, strict=True))
    table = pa.table({"variant_id": ids, "effect_allele": effect, "other_allele": other})
    return table if chromosome is None else table.append_column("chromosome", pa.array(chromosome))


def random_panel(n: int, seed: int = 0) -> pa.Table:
    """Variants rs1 ... rsn with non-palindromic alleles."""
    pairs = np.array([("A", "G"), ("C", "T"), ("G", "T"), ("C", "A")])
    drawn = pairs[np.random.default_rng(seed).integers(0, len(pairs), n)]
    return panel_of([(f"rs{i + 1}", *pair) for i, pair in enumerate(drawn.tolist())])
