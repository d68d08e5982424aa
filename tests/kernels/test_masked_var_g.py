"""var_g under masks: the kernel on the host against the formula, its wiring into the engine, and a GPU."""

from __future__ import annotations

import gc
from dataclasses import dataclass, fields, replace

import numpy as np
import pytest

from gputwas.backends.choose import Backend, choose_backend
from gputwas.errors import ResourceError
from gputwas.kernels import launch
from gputwas.kernels.bits import pack_bits
from gputwas.twas import variance
from gputwas.twas.operator import ScoreOperator
from gputwas.twas.spredixcan import prepare_scorer
from gputwas.twas.variance import ROUNDING, pattern_variance, quadratic_forms
from tests.kernels.on_host import HostDevice
from tests.model_sets import random_model_set

VARIANTS = 200
LENGTHS = (0, 1, 2, 31, 32, 33, 70)
NUMPY = choose_backend("numpy")


@dataclass(frozen=True)
class StandIn(Backend):
    """A "CuPy" whose arrays are NumPy's."""

    def to_numpy(self, array: np.ndarray) -> np.ndarray:
        return array

    def total_memory(self) -> int:
        return 1 << 40


HOST_CUDA = StandIn("cupy", NUMPY.xp, "host", "test")


@pytest.fixture(scope="module")
def operator() -> ScoreOperator:
    models = random_model_set(np.random.default_rng(3), lengths=LENGTHS, n_variants=VARIANTS)
    return prepare_scorer(models, NUMPY).operator


def patterns(count: int) -> np.ndarray:
    """(patterns, variants): everything, nothing, then random ones."""
    present = np.random.default_rng(count).random((count, VARIANTS)) < 0.7
    present[0] = True
    present[1:2] = False
    return present


def kernel(operator: ScoreOperator, present: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return launch.masked_var_g(*arguments(operator).values(), pack_bits(present), rounding=ROUNDING)


def arguments(operator: ScoreOperator) -> dict[str, np.ndarray]:
    names = ("offsets", "variants", "weights", "ld_offsets", "ld", "all_offsets", "all_variants")
    return {name: getattr(operator, name) for name in names}


def plain(operator: ScoreOperator, model: int, present: np.ndarray) -> tuple[float, int, bool]:
    """var_g of one model by a full matrix."""
    inside = slice(operator.offsets[model], operator.offsets[model + 1])
    n = int(operator.lengths[model])
    gamma = np.zeros((n, n))
    gamma[np.triu_indices(n)] = operator.ld[operator.ld_offsets[model] : operator.ld_offsets[model + 1]]
    gamma += np.triu(gamma, 1).T
    here = present[operator.variants[inside]]
    u = operator.weights[inside] * here
    everywhere = operator.all_variants[operator.all_offsets[model] : operator.all_offsets[model + 1]]
    return float(u @ gamma @ u) if here.any() else np.nan, int(here.sum()), bool(present[everywhere].any())


@pytest.mark.parametrize("count", [1, 3, 9])
def test_kernel_on_the_host_equals_the_formula(
    operator: ScoreOperator, host_device: HostDevice, count: int
) -> None:
    present = patterns(count)
    var_g, n_used, in_gwas = kernel(operator, present)
    want = [[plain(operator, m, mask) for mask in present] for m in range(operator.n_models)]
    np.testing.assert_allclose(var_g, np.array([[w[0] for w in row] for row in want]), rtol=1e-12)
    np.testing.assert_array_equal(n_used, [[w[1] for w in row] for row in want])
    np.testing.assert_array_equal(in_gwas, [[w[2] for w in row] for row in want])
    assert (n_used.dtype, in_gwas.dtype) == (np.int32, np.uint8)


def test_patterns_beside_and_turns_of_threads_change_no_bit(
    operator: ScoreOperator, host_device: HostDevice
) -> None:
    present = patterns(5)
    together = kernel(operator, present)
    host_device.seed = 3
    for p, mask in enumerate(present):
        for got, want in zip(kernel(operator, mask[None]), together, strict=True):
            np.testing.assert_array_equal(got[:, 0], want[:, p])


def test_models_longer_than_the_shared_bits_ask_the_mask(host_device: HostDevice) -> None:
    n, rng = 2100, np.random.default_rng(8)
    loadings = rng.normal(size=n)
    ld = np.outer(loadings, loadings)[np.triu_indices(n)]
    weights = rng.normal(size=n)
    present = rng.random((1, n)) < 0.5
    offsets, variants = np.array([0, n]), np.arange(n, dtype=np.int32)
    triangle = np.array([0, ld.size])
    var_g, n_used, _ = launch.masked_var_g(
        offsets, variants, weights, triangle, ld, offsets, variants, pack_bits(present), rounding=ROUNDING
    )
    np.testing.assert_allclose(var_g[0, 0], np.sum((weights * loadings)[present[0]]) ** 2, rtol=1e-9)
    assert n_used[0, 0] == present.sum()


def test_sum_that_cancels_is_zero_and_a_small_one_is_not(host_device: HostDevice) -> None:
    variants, offsets = np.arange(3, dtype=np.int32), np.array([0, 3])
    ld, triangle = np.full(6, 0.42), np.array([0, 6])
    present = np.ones((1, 3), dtype=bool)
    for last, zero in ((-0.3, True), (-0.3001, False)):
        weights = np.array([0.1, 0.2, last])
        var_g, _, _ = launch.masked_var_g(
            offsets, variants, weights, triangle, ld, offsets, variants, pack_bits(present), rounding=ROUNDING
        )
        assert (var_g[0, 0] == 0.0) == zero


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("offsets", np.zeros(3, dtype=np.int32), "offsets"),
        ("ld_offsets", np.zeros(3, dtype=np.int64), "equal shapes"),
        ("weights", np.zeros(1), "equal shapes"),
        ("ld", np.zeros(4, dtype=np.float32), "ld must be"),
        ("all_variants", np.zeros(4, dtype=np.int64), "all_variants"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(
    operator: ScoreOperator, host_device: HostDevice, name: str, value: np.ndarray, message: str
) -> None:
    wrong = arguments(operator) | {name: value}
    with pytest.raises(ValueError, match=message):
        launch.masked_var_g(*wrong.values(), pack_bits(patterns(1)), rounding=ROUNDING)
    with pytest.raises(ValueError, match="mask"):
        launch.masked_var_g(*arguments(operator).values(), patterns(1), rounding=ROUNDING)


def test_engine_on_the_kernel_equals_the_engine_on_its_twin(
    operator: ScoreOperator, host_device: HostDevice
) -> None:
    """Every status."""
    models = np.arange(operator.n_models)
    in_ld = models != 0
    full = quadratic_forms(operator, operator.weights, models, HOST_CUDA)
    np.testing.assert_allclose(full, quadratic_forms(operator, operator.weights, models, NUMPY), rtol=1e-12)
    assert full[0] == 0.0  # no SNP, no terms
    full[5], full[6] = 0.0, -1.0
    present = patterns(5)
    for mask in present:
        found = pattern_variance(operator, mask, full, in_ld, HOST_CUDA)
        want = pattern_variance(operator, mask, full, in_ld, NUMPY)
        for field in fields(found):
            mine, twins = getattr(found, field.name), getattr(want, field.name)
            assert mine.dtype == twins.dtype
            np.testing.assert_allclose(mine, twins, rtol=1e-12)
    assert len(host_device.launched) == 1 + len(present)


def test_operator_stays_on_the_device_as_long_as_it_lives_and_if_it_fits(
    operator: ScoreOperator, host_device: HostDevice, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = replace(operator)
    before = len(variance._residents)
    for _ in range(2):
        quadratic_forms(other, other.weights, np.array([1]), HOST_CUDA)
        assert len(variance._residents) == before + 1
    del other
    gc.collect()
    assert len(variance._residents) == before
    host_device.launched.clear()
    monkeypatch.setattr(StandIn, "total_memory", lambda self: 1000)
    small = replace(operator)
    for _ in range(2):
        got = quadratic_forms(small, small.weights, np.array([3]), HOST_CUDA)
        np.testing.assert_allclose(got, plain(small, 3, np.ones(VARIANTS, dtype=bool))[0], rtol=1e-12)
        assert not host_device.launched
        monkeypatch.undo()  # what was decided for these models stays, and with it the bits
        host_device.stand_in(monkeypatch)
    assert quadratic_forms(operator, operator.weights, np.array([3]), HOST_CUDA) is not None
    assert host_device.launched


def test_a_device_that_others_fill_is_said(operator: ScoreOperator, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Backend, values: np.ndarray) -> np.ndarray:
        raise MemoryError("0 bytes free")

    monkeypatch.setattr(StandIn, "asarray", full)
    monkeypatch.setattr(StandIn, "out_of_memory", (MemoryError,))
    other = replace(operator)
    with pytest.raises(ResourceError, match=r"LD of the models.*no room on host \(0 bytes free\)"):
        quadratic_forms(other, other.weights, np.array([1]), HOST_CUDA)


@pytest.mark.gpu
def test_gpu_gives_the_bits_of_the_host_and_the_numbers_of_its_twin(
    operator: ScoreOperator, compiled_on_host: HostDevice, monkeypatch: pytest.MonkeyPatch
) -> None:
    cuda = choose_backend("cupy")
    present = patterns(9)
    put = [cuda.asarray(array) for array in arguments(operator).values()]
    on_gpu = launch.masked_var_g(*put, pack_bits(cuda.asarray(present)), rounding=ROUNDING)
    with monkeypatch.context() as patch:
        compiled_on_host.stand_in(patch)
        on_host = kernel(operator, present)
    for got, want in zip(on_gpu, on_host, strict=True):
        np.testing.assert_array_equal(cuda.to_numpy(got), want)
    full = quadratic_forms(operator, operator.weights, np.arange(operator.n_models), cuda)
    in_ld = np.ones(operator.n_models, dtype=bool)
    for mask in present:
        found = pattern_variance(operator, mask, full, in_ld, cuda)
        want_here = pattern_variance(operator, mask, full, in_ld, NUMPY)
        np.testing.assert_allclose(found.var_g, want_here.var_g, rtol=1e-12)
        np.testing.assert_array_equal(found.status, want_here.status)
