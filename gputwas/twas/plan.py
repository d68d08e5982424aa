"""How an association run is cut into batches that fit the memory budget.

In: sizes of the study and a budget in bytes. Out: a `Plan`, which is also what the run tells its user before
it starts. The plan never changes a number: it only decides how many traits are held at once.
"""

from __future__ import annotations

from dataclasses import dataclass

from gputwas.backends.memory import units_that_fit

__all__ = ["BLOCK_SIZE", "Plan", "make_plan"]

BLOCK_SIZE = 128  # traits in one file of the association store
INTERPRETER_BYTES = 200_000_000  # Python with NumPy, SciPy and Arrow loaded
ENTRY_BYTES = 64  # CSR entry in operator and products, temporaries while it is built included
MODEL_BYTES = 80


@dataclass(frozen=True)
class Plan:
    """Batches and their cost.

    Attributes
    ----------
    block_size : traits in one file of the store; batch_size : traits scored together (divides no block).
    memory : bytes the run is expected to hold at its peak, memory-mapped files left out.
    bytes_read, bytes_written : of GWAS statistics and of results.
    """

    block_size: int
    batch_size: int
    memory: int
    bytes_read: int
    bytes_written: int

    def describe(self) -> str:
        """One line for the log."""
        return (
            f"{self.batch_size} traits at a time in blocks of {self.block_size}, "
            f"{self.memory / 1e9:.2f} GB of memory, {self.bytes_read / 1e9:.2f} GB to read, "
            f"{self.bytes_written / 1e9:.2f} GB to write"
        )


def make_plan(
    *,
    n_traits: int,
    n_variants: int,
    n_models: int,
    n_entries: int,
    budget: int,
    item_bytes: int,
    block_size: int = BLOCK_SIZE,
) -> Plan:
    """Choose how many traits to hold at once.

    Parameters
    ----------
    n_variants : of the model panel. n_models, n_entries : models and their weights, all tissues together.
    budget : bytes. item_bytes : of one value in the store, 4 or 8.

    Raises
    ------
    ResourceError : one trait does not fit the budget.
    """
    block = max(1, min(block_size, n_traits))
    results = n_models * 2 * item_bytes * block
    fixed = INTERPRETER_BYTES + n_entries * ENTRY_BYTES + n_models * MODEL_BYTES + results
    # z and beta as read (4 + 4), the mask (1), and both again in the layout of the product (8 + 8)
    per_trait = n_variants * (4 + 4 + 1 + 8 + 8) + n_models * (4 + 8 + 1)
    batch = units_that_fit(budget, fixed, per_trait, most=block)
    return Plan(
        block_size=block,
        batch_size=batch,
        memory=fixed + batch * per_trait,
        bytes_read=n_traits * n_variants * 8,
        bytes_written=n_traits * n_models * 2 * item_bytes,
    )
