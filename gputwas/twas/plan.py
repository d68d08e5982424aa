"""How an association run is cut into batches that fit the memory budget.

In: sizes of the study and a budget in bytes. Out: a `Plan`, which is also what the run tells its user before
it starts. The plan never changes a number: it only decides how many traits are held at once.
"""

from __future__ import annotations

from dataclasses import dataclass

from gputwas.backends.memory import units_that_fit
from gputwas.errors import ResourceError
from gputwas.executors.choose import available_cores
from gputwas.kernels.launch import TRAIT_PADDING
from gputwas.twas import streams, tiles
from gputwas.twas.dense_blocks import RESIDENT_SHARE, trait_tile
from gputwas.twas.products import MOST_GATHERED
from gputwas.twas.variance import MOST_TRIANGLE_ENTRIES

__all__ = ["BLOCK_SIZE", "Plan", "StudySize", "make_plan"]

WINDOW_BYTES = 256_000_000  # dense matrices kept from one batch to the next
MOST_COPIERS = 16  # threads that copy between the page cache and page-locked memory
BLOCK_SIZE = 128  # traits in one file of the association store
INTERPRETER_BYTES = 200_000_000  # Python with NumPy, SciPy and Arrow loaded
WINDOW_BYTES_OF_THREAD = 4 << 20  # of a tile, for models that have SNPs in up to 512 lines of 16 variants
ENTRY_BYTES = 96  # CSR entry in operator and tiles or products, temporaries while it is built included
MODEL_BYTES = 80
TRIANGLE_BYTES = 48  # entry of a group of quadratic forms: six arrays of eight bytes
GATHERED_BYTES = 32  # value gathered by the padded way: z and beta as they are, and as terms of the sums
MASK_BYTES = 10  # of one variant, while the bits of a pattern are packed on a device
PATTERN_BYTES = 4 + 8 + 1  # SNPs used, var_g and status of one model
SCORE_BYTES = 48  # of one model and trait while a tissue is scored: sums, variances and results, float64


@dataclass(frozen=True)
class StudySize:
    """What decides the memory of a run.

    Attributes
    ----------
    traits : to score. variants : of the models' panel. models, entries, triangles : models, their weights
        and their LD values, all tissues together. largest_tissue : most models of one tissue.
    mapped : the GWAS are over another panel, so their columns are copied and not only mapped.
    """

    traits: int
    variants: int
    models: int
    entries: int
    triangles: int
    largest_tissue: int
    mapped: bool = False


@dataclass(frozen=True)
class Plan:
    """Batches and their cost.

    Attributes
    ----------
    block_size : traits in one file of the store; width : traits scored together, at most a block;
        threads : how many such groups are scored at once.
    way : "tiled" (the processor's own kernels), "streamed" (the device's), or how array products multiply.
    memory : bytes the run is expected to hold at its peak, memory-mapped files left out.
    bytes_read, bytes_written : of GWAS statistics and of results.
    """

    block_size: int
    width: int
    threads: int
    way: str
    memory: int
    bytes_read: int
    bytes_written: int

    @property
    def pool_size(self) -> int:
        """Threads to give the work: those that score, or those that copy for a device."""
        return min(available_cores(), MOST_COPIERS) if self.way == "streamed" else self.threads

    @property
    def batch_size(self) -> int:
        """Traits held at once."""
        return self.width * self.threads

    def describe(self) -> str:
        """One line for the log."""
        threads = f" in each of {self.threads} threads" if self.threads > 1 else ""
        return (
            f"{self.width} traits at a time{threads}, blocks of {self.block_size}, "
            f"{_amount(self.memory)} of memory, {_amount(self.bytes_read)} to read, "
            f"{_amount(self.bytes_written)} to write"
        )


def make_plan(
    size: StudySize,
    budget: int,
    *,
    item_bytes: int,
    block_size: int = BLOCK_SIZE,
    threads: int = 1,
    way: str = "tiled",
    device_budget: int | None = None,
    ld_on_device: bool = False,
) -> Plan:
    """Choose how many traits to hold at once.

    Parameters
    ----------
    budget : bytes. item_bytes : of one value in the store, 4 or 8.
    threads : most groups of traits scored at once on the processor; the other ways take one at a time.
    way : see `Plan`. device_budget : bytes free on a device with memory of its own, None where there is none.
    ld_on_device : LD stays there, see `gputwas.twas.variance.ld_stays_on_device`.

    Raises
    ------
    ResourceError : one trait does not fit the budget, or the device.
    """
    block = max(1, min(block_size, size.traits))
    threads = max(1, min(threads, block)) if way == "tiled" else 1
    fixed = _fixed_bytes(size, block, item_bytes, way, threads)
    per_trait = _bytes_per_trait(size, item_bytes, way)
    most = {"tiled": tiles.WIDTH * threads, "streamed": streams.WIDTH}.get(way, block)
    most = min(most, block)
    tile = trait_tile(on_device=device_budget is not None) if way == "dense" else 1  # paid for as a whole
    what = f"group of up to {tile} traits" if tile > 1 else "trait"
    tiles_held = units_that_fit(budget, fixed, tile * per_trait, most=-(-most // tile), what=what)
    batch = min(most, tiles_held * tile)
    if device_budget is not None:
        batch = _batch_on_device(size, device_budget, batch, item_bytes, way, ld_on_device)
    threads = min(threads, batch)
    width = batch // threads
    return Plan(
        block_size=block,
        width=width,
        threads=threads,
        way=way,
        memory=fixed + _whole(width * threads, tile) * per_trait,
        bytes_read=size.traits * size.variants * 8,
        bytes_written=size.traits * size.models * 2 * item_bytes,
    )


def _bytes_per_trait(size: StudySize, item_bytes: int, way: str) -> int:
    """Host memory of one trait while it is scored."""
    copied = size.variants * 2 * 4 if size.mapped else 0
    if way == "tiled":
        return tiles.bytes_per_trait(size.models) + copied
    if way == "streamed":
        return streams.SLOTS * (size.variants * 2 * 4 + size.models * 2 * item_bytes) + copied
    if way == "dense":  # both in rows of windows and all sums beside them
        return size.variants * 41 + size.models * 16 + size.largest_tissue * SCORE_BYTES
    # z and beta as read (4 + 4), the mask (1), and both again in the layout of the product (8 + 8)
    return size.variants * (4 + 4 + 1 + 8 + 8) + size.largest_tissue * SCORE_BYTES


def _fixed_bytes(size: StudySize, block: int, item_bytes: int, way: str, threads: int) -> int:
    """What a run holds however few traits it scores at once."""
    results = block * 2 * item_bytes
    if size.traits > block:
        results *= 2  # one block is written while the next one is computed
    fixed = (
        INTERPRETER_BYTES
        + size.entries * ENTRY_BYTES
        + size.models * (MODEL_BYTES + results + block * PATTERN_BYTES)
        + min(size.triangles, MOST_TRIANGLE_ENTRIES) * TRIANGLE_BYTES
    )
    if way == "tiled":
        fixed += threads * WINDOW_BYTES_OF_THREAD
    if way == "dense":
        fixed += WINDOW_BYTES
    if way == "padded":
        fixed += min(size.entries * block, MOST_GATHERED) * GATHERED_BYTES
    return fixed


def _batch_on_device(
    size: StudySize, budget: int, most: int, item_bytes: int, way: str, ld_on_device: bool
) -> int:
    """Traits that the device holds, at most so many."""
    fixed = _fixed_on_device(size, way, ld_on_device)
    if way == "dense":
        budget -= budget // RESIDENT_SHARE  # matrices kept from one batch to the next
    for traits in range(most, 0, -1):
        needed = fixed + _bytes_on_device(size, traits, item_bytes, way)
        if needed <= budget:
            return traits
    raise ResourceError(
        f"one trait needs {_amount(needed)} on the device, where {_amount(budget)} are free; "
        "end what else runs there, or use --backend numpy"
    )


def _fixed_on_device(size: StudySize, way: str, ld_on_device: bool) -> int:
    """The models on the device, and what patterns of missing SNPs take that are computed side by side."""
    fixed = 0
    if way in ("streamed", "csr"):
        fixed += size.entries * (4 + 8 + 8) + size.models * 8
    if way == "padded":
        fixed += MOST_GATHERED * GATHERED_BYTES
    if ld_on_device:
        fixed += size.entries * (4 + 8 + 4) + size.models * 3 * 8 + size.triangles * 8
        pattern = size.variants * MASK_BYTES + size.models * PATTERN_BYTES
    else:
        pattern = min(size.triangles, MOST_TRIANGLE_ENTRIES) * TRIANGLE_BYTES
    return fixed + pattern * (min(available_cores(), MOST_COPIERS) if way == "streamed" else 1)


def _bytes_on_device(size: StudySize, traits: int, item_bytes: int, way: str) -> int:
    """What a batch of traits takes on the device beside the models."""
    if way == "dense":  # z and beta as they come (4 + 4) and in float64 (8 + 8), unknown beta (8), masks (3)
        return _whole(traits, trait_tile(on_device=True)) * size.variants * 35
    both = size.variants * (4 + 4)
    if way == "streamed":  # columns, the same as padded rows, results, and var_g: a pattern in each trait
        group = both * (traits + _whole(traits, TRAIT_PADDING))
        return streams.SLOTS * (group + traits * (size.models * (2 * item_bytes + 8) + 4))
    return traits * (both * 2 + size.models * (8 + 8))


def _whole(traits: int, tile: int) -> int:
    """Traits in as many tiles as these take."""
    return -(-traits // tile) * tile


def _amount(size: int) -> str:
    return f"{size / 1e9:.2f} GB" if size >= 1e7 else f"{size / 1e6:.2f} MB"
