"""In: a model store and a CUDA device. Out: time of each kernel, and the least that the device could need.

The least is what must be done once: every array read or written once at the device's copy bandwidth, or the
operations at the rate of its best product; see `bench.ceilings`. Answers are compared before times are taken.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from bench import dense
from bench.agree import Disagreement
from bench.ceilings import Work, seconds_of
from gputwas.stores.models import ModelSet
from gputwas.twas.operator import ScoreOperator, build_operator

__all__ = ["Row", "kernel_rows"]

LAUNCH = "gputwas.kernels.launch"
PATTERNS = (1, 16)
FLOAT32_BOUND = 2e-4  # of a dense float32 sum against the gathered float64 one, of the largest
ROUNDING = 1e-12  # as the program has it for var_g


@dataclass(frozen=True)
class Row:
    """One kernel: its time in seconds, the work that it cannot avoid, and in words what was given to it."""

    name: str
    what: str
    seconds: float
    work: Work


def kernel_rows(models: ModelSet, *, traits: int, seed: int) -> Iterator[Row]:
    """Measure every kernel on one batch of traits."""
    operator = build_operator(
        models.offsets, models.variants, models.weights, models.n_in_ld, models.ld_offsets, models.ld
    )
    yield from _gathers(operator, models.panel.num_rows, traits, seed)
    yield from _variances(operator, models.panel.num_rows, seed)
    yield from _ranks(operator.n_models, traits, seed)
    yield from _bitsets(quick=operator.n_models < 10_000, seed=seed)


def _gathers(operator: ScoreOperator, variants: int, traits: int, seed: int) -> Iterator[Row]:
    """Both ways of weighted sums, and scores in one go."""
    import cupy

    launch: Any = importlib.import_module(LAUNCH)
    rng = cupy.random.RandomState(seed)
    z = rng.standard_normal((variants, traits), dtype=cupy.float32)
    missing = cupy.random.RandomState(seed + 1).rand(variants) < 0.05
    z = cupy.where(missing[:, None], cupy.float32(cupy.nan), z)
    beta = z * cupy.float32(0.02)
    order = np.argsort(_first_snp(operator), kind="stable")  # genome order, whatever the tissue
    offsets, entries = _in_order(operator.offsets, order)
    snps, z_weights = operator.variants[entries], operator.z_weights[entries]
    arrays = [cupy.asarray(a) for a in (offsets, snps, z_weights, operator.effect_weights[entries])]
    used = np.unique(snps).size
    once = used * traits * 4 * 2 + sum(array.nbytes for array in arrays)
    what = f"{order.size:,} models, {snps.size:,} weights, {traits} traits, z and effect"
    results = order.size * traits * 2
    seconds = seconds_of(lambda: launch.csr_gather(*arrays, z, beta))
    yield Row("csr_gather", f"{what}, sums in float64", seconds, Work(bytes=once + results * 8))
    var_g = cupy.ones((order.size, 1))
    pattern = cupy.zeros(traits, cupy.int32)
    seconds = seconds_of(lambda: launch.score_gather(*arrays, z, beta, var_g, pattern))
    yield Row("score_gather", f"{what}, scores in float32", seconds, Work(bytes=once + results * 4))
    seconds = seconds_of(lambda: launch.csr_gather(*arrays, z, None))
    alone = once - used * traits * 4 - arrays[3].nbytes + results * 4
    yield Row("csr_gather, z alone", "the same without effect", seconds, Work(bytes=alone))
    sums = launch.csr_gather(*arrays, z, None)[0]
    yield _dense(offsets, snps, z_weights, z, sums, used)


def _dense(offsets: np.ndarray, snps: np.ndarray, weights: np.ndarray, z: Any, sums: Any, used: int) -> Row:
    """The dense way, z alone; `sums` (models, traits) are the right ones."""
    import cupy

    traits = z.shape[1]
    blocks = dense.cut(offsets, snps)
    multiply = dense.multiplier(blocks, offsets, snps, weights)
    known = cupy.nan_to_num(z)
    order = np.concatenate([block.models for block in blocks])
    got = cupy.empty((order.size, traits), cupy.float32)
    multiply(known, got)
    difference = float(cupy.abs(got - sums[cupy.asarray(order)]).max() / cupy.abs(sums).max())
    if not difference <= FLOAT32_BOUND:
        raise Disagreement(f"dense blocks differ from csr_gather by {difference:.2g} of the largest sum")
    seconds = seconds_of(lambda: multiply(known, got))
    share = snps.size * 4 / dense.stored_bytes(blocks)
    work = Work(
        bytes=dense.stored_bytes(blocks) + used * traits * 4 + got.nbytes,
        operations=dense.operations(blocks, traits),
    )
    what = f"{len(blocks):,} matrices, {share:.1%} of them not zero, {traits} traits, z alone, float32"
    return Row("dense blocks", what, seconds, work)


def _variances(operator: ScoreOperator, variants: int, seed: int) -> Iterator[Row]:
    """var_g under masks."""
    import cupy

    from gputwas.kernels.bits import pack_bits

    launch: Any = importlib.import_module(LAUNCH)
    arrays = [
        cupy.asarray(array)
        for array in (
            operator.offsets, operator.variants, operator.weights, operator.ld_offsets, operator.ld,
            operator.all_offsets, operator.all_variants,
        )
    ]  # fmt: skip
    rng = np.random.default_rng(seed)
    for patterns in PATTERNS:
        mask = cupy.asarray(pack_bits(rng.random((patterns, variants)) >= 0.05))
        call = lambda mask=mask: launch.masked_var_g(*arrays, mask, rounding=ROUNDING)  # noqa: E731
        written = operator.n_models * patterns * 13
        once = sum(array.nbytes for array in arrays) + mask.nbytes + written
        what = f"{operator.n_models:,} models, {operator.ld.size:,} LD values, {patterns} pattern(s)"
        yield Row("masked_var_g", what, seconds_of(call), Work(bytes=once))


def _ranks(models: int, traits: int, seed: int) -> Iterator[Row]:
    """Ranks from an order that is known."""
    import cupy

    launch: Any = importlib.import_module(LAUNCH)
    values = cupy.random.RandomState(seed).standard_normal((traits, models), dtype=cupy.float32)
    values = cupy.around(values, 3)  # ties
    order = cupy.argsort(values, axis=1)
    seconds = seconds_of(lambda: launch.tie_averaged_ranks(values, order))
    what = f"{traits} sequences of {models:,}, sorting not counted"
    yield Row("tie_averaged_ranks", what, seconds, Work(bytes=values.size * (4 + 8 + 4)))


def _bitsets(*, quick: bool, seed: int) -> Iterator[Row]:
    """Common members of sets and lists."""
    import cupy

    launch: Any = importlib.import_module(LAUNCH)
    n_sets, n_lists, words = (500, 200, 625) if quick else (16_384, 4_096, 625)  # 20,000 genes
    rng = np.random.default_rng(seed)
    sets, lists = (
        cupy.asarray(rng.integers(0, 1 << 32, size=(count, words), dtype=np.uint32))
        for count in (n_sets, n_lists)
    )
    seconds = seconds_of(lambda: launch.bitset_counts(sets, lists))
    work = Work(bytes=sets.nbytes + lists.nbytes + n_sets * n_lists * 4, counts=n_sets * n_lists * words)
    yield Row("bitset_counts", f"{n_sets:,} sets, {n_lists:,} lists, {words * 32:,} genes", seconds, work)


def _first_snp(operator: ScoreOperator) -> np.ndarray:
    """First variant of each model; models without SNPs come last."""
    first = np.full(operator.n_models, np.iinfo(np.int32).max)
    filled = np.flatnonzero(operator.lengths)
    first[filled] = operator.variants[operator.offsets[filled]]
    return first


def _in_order(offsets: np.ndarray, order: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """CSR rows in another order: new offsets, and the old place of each entry."""
    lengths = np.diff(offsets)[order]
    renewed = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    entries = np.repeat(offsets[order] - renewed[:-1], lengths) + np.arange(int(renewed[-1]))
    return renewed, entries
