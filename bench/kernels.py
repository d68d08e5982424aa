"""In: a model store and a CUDA device. Out: time of each kernel, and the least that the device could need.

The least is what must be done once: every array read or written once at the device's copy bandwidth, or the
operations at the rate of its best product; see `bench.ceilings`. Before its times are taken, a slice of what
each kernel gives is compared with its twin or its formula.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bench.agree import Disagreement
from bench.ceilings import Work, seconds_of
from gputwas.backends.choose import choose_backend
from gputwas.kernels import twins
from gputwas.stores.models import ModelSet
from gputwas.twas.dense_blocks import DenseBatch, DenseBlocks, plan_windows
from gputwas.twas.operator import ScoreOperator, build_operator

__all__ = ["Row", "kernel_rows"]

LAUNCH = "gputwas.kernels.launch"
PATTERNS = (1, 16)
FLOAT64_BOUND, FLOAT32_BOUND = 1e-11, 1e-6  # of the largest value: sums in another order; results rounded
SLICE = 48  # models, traits, sets and lists that are compared
DENSE_REPEATS = 3
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
        models.offsets, models.variants, models.weights, models.n_in_ld, models.ld_offsets, models.ld,
        n_variants=models.panel.num_rows,
    )  # fmt: skip
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
    yield _turned(z)
    order = np.argsort(_first_snp(operator), kind="stable")  # genome order, whatever the tissue
    offsets, entries = _in_order(operator.offsets, order)
    snps, z_weights = operator.variants[entries], operator.z_weights[entries]
    arrays = [cupy.asarray(a) for a in (offsets, snps, z_weights, operator.effect_weights[entries])]
    used = np.unique(snps).size
    once = used * traits * 4 * 2 + sum(array.nbytes for array in arrays)
    converted = float(snps.size) * traits
    what = f"{order.size:,} models, {snps.size:,} weights, {traits} traits, z and effect"
    results = order.size * traits * 2
    gathered = launch.csr_gather(*arrays, z, beta)
    some, padded = _padded(offsets, snps, z_weights, operator.effect_weights[entries])
    _agree("csr_gather", [a[some] for a in gathered], twins.padded_gather(*[*padded, z, beta]), FLOAT64_BOUND)
    del gathered
    seconds = seconds_of(lambda: launch.csr_gather(*arrays, z, beta))
    yield Row(
        "csr_gather",
        f"{what}, sums in float64",
        seconds,
        Work(bytes=once + results * 8, conversions=2 * converted),
    )
    var_g = cupy.ones((order.size, 1))
    pattern = cupy.zeros(traits, cupy.int32)
    scores = launch.score_gather(*arrays, z, beta, var_g, pattern)
    wanted = twins.padded_scores(*[*padded, z, beta, var_g[some], pattern])
    _agree("score_gather", [a[:, some] for a in scores], wanted, FLOAT32_BOUND)
    del scores
    seconds = seconds_of(lambda: launch.score_gather(*arrays, z, beta, var_g, pattern))
    work = Work(bytes=once + results * 4, conversions=2 * converted)
    yield Row("score_gather", f"{what}, scores in float32", seconds, work)
    seconds = seconds_of(lambda: launch.csr_gather(*arrays, z, None))
    alone = once - used * traits * 4 - arrays[3].nbytes + results * 4
    sums = launch.csr_gather(*arrays, z, None)[0][some]
    _agree("csr_gather, z alone", [sums], twins.padded_gather(*[*padded, z, None])[:1], FLOAT64_BOUND)
    work = Work(bytes=alone, conversions=converted)
    yield Row("csr_gather, z alone", "the same without effect", seconds, work)
    yield _dense(operator, z, cupy.asnumpy(sums), order[some.get()])


def _turned(z: Any) -> Row:
    """Columns of a GWAS turned into rows of traits; `z` (variants, traits) are rows already."""
    import cupy

    launch: Any = importlib.import_module(LAUNCH)
    columns = cupy.ascontiguousarray(z.T)
    part = cupy.ascontiguousarray(columns[:SLICE, :10_000])
    _agree("variants_first", [launch.variants_first(part)], [twins.variants_first(part)], 0.0)
    seconds = seconds_of(lambda: launch.variants_first(columns))
    what = f"{z.shape[1]} traits of {z.shape[0]:,} variants"
    return Row("variants_first", what, seconds, Work(bytes=2.0 * columns.nbytes))


def _dense(operator: ScoreOperator, z: Any, sums: np.ndarray, models: np.ndarray) -> Row:
    """What `--method dense` does, z alone; `sums` (some models, traits) are the right ones of `models`."""
    import cupy

    blocks = DenseBlocks(operator, choose_backend("cupy"))
    loaded = blocks.load(cupy.asnumpy(z.T), None)

    def multiplied() -> np.ndarray:
        batch = DenseBatch(loaded.z, None, None, loaded.traits)  # another one: sums are kept with a batch
        return blocks.sums(batch, slice(None))[0]

    _agree("--method dense", [multiplied()[models]], [sums], FLOAT64_BOUND)
    seconds = seconds_of(multiplied, DENSE_REPEATS)
    sizes = [(window.models.size, window.variants.size) for window in plan_windows(
        operator.offsets, operator.variants
    )]  # fmt: skip
    cells = float(sum(rows * columns for rows, columns in sizes))
    traits = z.shape[1]
    work = Work(
        bytes=cells * 8 + sum(columns for _, columns in sizes) * traits * 8.0,
        float64=2 * cells * traits,
        to_host=operator.n_models * traits * 8.0,
    )
    what = (
        f"{len(sizes):,} matrices in float64, {operator.variants.size / cells:.1%} of them not zero, "
        f"{traits} traits, z alone, sums brought to the host as the program does"
    )
    return Row("--method dense", what, seconds, work)


def _padded(
    offsets: np.ndarray, snps: np.ndarray, z_weights: np.ndarray, effect_weights: np.ndarray
) -> tuple[Any, Any]:
    """Numbers of some models, and these models filled up to one length for the twins; on the device."""
    import cupy

    some = np.unique(np.linspace(0, offsets.size - 2, SLICE).astype(np.int64))
    lengths = np.diff(offsets)[some]
    steps = np.arange(max(int(lengths.max()), 1))
    within = steps < lengths[:, None]
    entry = np.where(within, offsets[some, None] + steps, 0)
    arrays = (np.where(within, values[entry], 0) for values in (snps, z_weights, effect_weights))
    return cupy.asarray(some), [cupy.asarray(array) for array in (lengths, *arrays)]


def _agree(name: str, got: Sequence[Any], wanted: Sequence[Any], bound: float) -> None:
    """Compare arrays of one library; `bound` is a share of the largest wanted value.

    Raises
    ------
    Disagreement : a value differs by more, or one is NaN where the other is not.
    """
    for mine, right in zip(got, wanted, strict=True):
        if mine.shape != right.shape:
            raise Disagreement(f"{name}: shape {mine.shape}, expected {right.shape}")
        known = right == right  # not NaN
        if not bool(((mine == mine) == known).all()):
            raise Disagreement(f"{name}: NaN in other places than its twin")
        if not bool(known.any()):
            raise Disagreement(f"{name}: no value to compare")
        worst = float(abs(mine[known].astype("float64") - right[known]).max())
        if worst > bound * float(abs(right[known]).max()):
            raise Disagreement(f"{name} differs from its twin by {worst:.2g}")


def _var_g(operator: ScoreOperator, model: int, present: np.ndarray) -> float:
    """The formula for one model: u' Gamma u over the SNPs present, NaN without any."""
    inside = slice(operator.offsets[model], operator.offsets[model + 1])
    here = present[operator.variants[inside]]
    if not here.any():
        return float("nan")
    gamma = np.zeros((here.size, here.size))
    gamma[np.triu_indices(here.size)] = operator.ld[
        operator.ld_offsets[model] : operator.ld_offsets[model + 1]
    ]
    u = operator.weights[inside] * here
    return float(2 * (u @ gamma @ u) - u**2 @ np.diag(gamma))


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
        present = rng.random((patterns, variants)) >= 0.05
        mask = cupy.asarray(pack_bits(present))
        call = lambda mask=mask: launch.masked_var_g(*arrays, mask, rounding=ROUNDING)  # noqa: E731
        some = np.unique(np.linspace(0, operator.n_models - 1, SLICE).astype(np.int64))
        wanted = np.array([[_var_g(operator, int(model), row) for row in present] for model in some])
        _agree("masked_var_g", [cupy.asnumpy(call()[0])[some]], [wanted], FLOAT64_BOUND)
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
    part = values[:SLICE], order[:SLICE]
    _agree(
        "tie_averaged_ranks",
        [launch.tie_averaged_ranks(*part)],
        [twins.tie_averaged_ranks(*part)],
        FLOAT32_BOUND,
    )
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
    part = sets[:SLICE], lists[:SLICE]
    _agree("bitset_counts", [launch.bitset_counts(*part)], [twins.bitset_counts(*part)], 0.0)
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
