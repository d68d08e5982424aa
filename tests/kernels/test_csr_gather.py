"""The gather kernels: on the host, against SciPy and their twins, and on a GPU where one is."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gputwas.backends.choose import Backend, choose_backend
from gputwas.kernels import launch
from gputwas.kernels.twins import padded_gather, padded_scores
from gputwas.twas.operator import ScoreOperator
from gputwas.twas.spredixcan import prepare_scorer
from tests.kernels.on_host import HostDevice
from tests.model_sets import random_gwas, random_model_set

VARIANTS = 90
LENGTHS = (0, 1, 2, 31, 32, 33)


@pytest.fixture(scope="module")
def operator() -> ScoreOperator:
    """36 models of many lengths, empty ones included: more than a tile of models, not a multiple of one."""
    models = random_model_set(np.random.default_rng(11), lengths=LENGTHS, n_variants=VARIANTS, tissues=6)
    return prepare_scorer(models, choose_backend("numpy")).operator


def statistics(traits: int) -> tuple[np.ndarray, np.ndarray]:
    """(variants, traits) z and beta, with missing values and with SNPs that have z and no beta."""
    z, beta = random_gwas(np.random.default_rng(traits), traits, VARIANTS, 0.3)
    beta[0, np.flatnonzero(~np.isnan(z[0]))[:3]] = np.nan
    return np.ascontiguousarray(z.T), np.ascontiguousarray(beta.T)


def weights_of(operator: ScoreOperator) -> tuple[np.ndarray, ...]:
    """The first arguments of both gathers."""
    return operator.offsets, operator.variants, operator.z_weights, operator.effect_weights


def plain_sums(operator: ScoreOperator, z: np.ndarray, beta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The sums as they are defined, one dot product after the other."""
    z_sums = np.zeros((operator.n_models, z.shape[1]))
    effect_sums = np.zeros_like(z_sums)
    for m in range(operator.n_models):
        inside = slice(operator.offsets[m], operator.offsets[m + 1])
        rows = operator.variants[inside]
        for t in range(z.shape[1]):
            known = ~np.isnan(z[rows, t])
            z_sums[m, t] = np.dot(operator.z_weights[inside][known], z[rows, t][known].astype(float))
            effect_sums[m, t] = np.dot(
                operator.effect_weights[inside][known], beta[rows, t][known].astype(float)
            )
    return z_sums, effect_sums


def variances(operator: ScoreOperator, patterns: int) -> np.ndarray:
    """(models, patterns), some of them zero, negative or unknown."""
    var_g = np.random.default_rng(5).gamma(2.0, size=(operator.n_models, patterns))
    var_g[1, :], var_g[2, -1], var_g[3, 0] = 0.0, -1.0, np.nan
    return var_g


def padded_like(operator: ScoreOperator) -> tuple[np.ndarray, ...]:
    """The operator with all models filled up to the longest, as the twins take it."""
    within = np.arange(max(LENGTHS)) < operator.lengths[:, None]
    entry = np.where(within, operator.offsets[:-1, None] + np.arange(max(LENGTHS)), 0)
    return (
        operator.lengths,
        np.where(within, operator.variants[entry], 0).astype(np.int64),
        np.where(within, operator.z_weights[entry], 0.0),
        np.where(within, operator.effect_weights[entry], 0.0),
    )


@pytest.mark.parametrize("traits", [1, 2, 33, 128, 140])
def test_kernel_on_the_host_equals_the_definition(
    operator: ScoreOperator, host_device: HostDevice, traits: int
) -> None:
    z, beta = statistics(traits)
    z_sums, effect_sums = launch.csr_gather(*weights_of(operator), z, beta)
    want = plain_sums(operator, z, beta)
    assert z_sums.shape == want[0].shape
    np.testing.assert_allclose(z_sums, want[0], rtol=1e-13, atol=1e-15)
    np.testing.assert_allclose(effect_sums, want[1], rtol=1e-13, atol=1e-15)
    assert np.isnan(effect_sums).any()
    only_z, nothing = launch.csr_gather(*weights_of(operator), z, None)
    np.testing.assert_array_equal(only_z, z_sums)
    assert nothing is None


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("traits", "patterns"), [(1, 1), (3, 3), (64, 2), (97, 5)])
def test_fused_kernel_on_the_host_equals_the_sums_scaled(
    operator: ScoreOperator, host_device: HostDevice, traits: int, patterns: int, dtype: str
) -> None:
    z, beta = statistics(traits)
    var_g = variances(operator, patterns)
    pattern_of = np.sort(np.random.default_rng(1).integers(0, patterns, traits)).astype(np.int32)
    scores, effects = launch.score_gather(*weights_of(operator), z, beta, var_g, pattern_of, dtype=dtype)
    sums = plain_sums(operator, z, beta)
    usable = np.where(var_g > 0, var_g, np.nan)[:, pattern_of]
    rtol = 1e-12 if dtype == "float64" else 1e-7
    assert scores.dtype == effects.dtype == dtype
    np.testing.assert_allclose(scores, (sums[0] / np.sqrt(usable)).T, rtol=rtol, atol=1e-14)
    np.testing.assert_allclose(effects, (sums[1] / usable).T, rtol=rtol, atol=1e-14)
    assert np.isnan(scores[:, 1]).all()
    only_z, nothing = launch.score_gather(*weights_of(operator), z, None, var_g, pattern_of, dtype=dtype)
    np.testing.assert_array_equal(only_z, scores)
    assert nothing is None


def test_batch_padding_grid_and_turns_of_threads_change_no_bit(
    operator: ScoreOperator, host_device: HostDevice, monkeypatch: pytest.MonkeyPatch
) -> None:
    z, beta = statistics(70)
    var_g = variances(operator, 2)
    pattern_of = (np.arange(70) % 2).astype(np.int32)
    arguments = weights_of(operator)
    whole = launch.csr_gather(*arguments, z, beta)
    scored = launch.score_gather(*arguments, z, beta, var_g, pattern_of)
    host_device.seed = 7
    monkeypatch.setattr(launch, "MOST_GRID_Y", 1)  # every block walks over all traits
    for got, want in zip(launch.csr_gather(*arguments, z, beta), whole, strict=True):
        np.testing.assert_array_equal(got, want)
    for got, want in zip(launch.score_gather(*arguments, z, beta, var_g, pattern_of), scored, strict=True):
        np.testing.assert_array_equal(got, want)
    for start, stop in ((0, 1), (1, 34), (34, 70)):
        part = [np.ascontiguousarray(array[:, start:stop]) for array in (z, beta)]
        padded = [launch.pad_traits(array) for array in part]
        assert padded[0].shape[1] % launch.TRAIT_PADDING == 0
        for got in (
            launch.csr_gather(*arguments, *part),
            launch.csr_gather(*arguments, *padded, traits=stop - start),
        ):
            np.testing.assert_array_equal(got[0], whole[0][:, start:stop])
            np.testing.assert_array_equal(got[1], whole[1][:, start:stop])
        for got in (
            launch.score_gather(*arguments, *part, var_g, pattern_of[start:stop]),
            launch.score_gather(*arguments, *padded, var_g, pattern_of[start:stop]),
        ):
            np.testing.assert_array_equal(got[0], scored[0][start:stop])
            np.testing.assert_array_equal(got[1], scored[1][start:stop])


def test_models_in_another_order_give_the_same_bits(operator: ScoreOperator, host_device: HostDevice) -> None:
    z, beta = statistics(9)
    var_g, pattern_of = variances(operator, 1), np.zeros(9, dtype=np.int32)
    order = np.random.default_rng(2).permutation(operator.n_models)
    entries = np.concatenate([np.arange(operator.offsets[m], operator.offsets[m + 1]) for m in order])
    offsets = np.concatenate([[0], np.cumsum(operator.lengths[order])])
    turned = (offsets, *(array[entries] for array in weights_of(operator)[1:]))
    plain, _ = launch.score_gather(*weights_of(operator), z, beta, var_g, pattern_of)
    reordered, _ = launch.score_gather(*turned, z, beta, var_g[order], pattern_of)
    np.testing.assert_array_equal(reordered[:, np.argsort(order)], plain)


@pytest.mark.parametrize("models", [0, 1])
def test_no_models_and_no_traits_give_empty_results(host_device: HostDevice, models: int) -> None:
    offsets = np.zeros(models + 1, dtype=np.int64)
    nothing = np.zeros(0, dtype=np.int32), np.zeros(0), np.zeros(0)
    z = np.zeros((5, 1 - models), dtype=np.float32)
    sums, _ = launch.csr_gather(offsets, *nothing, z, z)
    assert sums.shape == (models, 1 - models)
    pattern_of = np.zeros(1 - models, dtype=np.int32)
    scores, _ = launch.score_gather(offsets, *nothing, z, z, np.ones((models, 1)), pattern_of)
    assert scores.shape == (1 - models, models)
    assert not [name for name in host_device.launched if "gather" in name]


def bad(name: str, value: Any) -> dict[str, Any]:
    """Arguments of `score_gather` for one model and one trait, one of them wrong."""
    good = {
        "offsets": np.array([0, 1]),
        "variants": np.zeros(1, dtype=np.int32),
        "z_weights": np.ones(1),
        "effect_weights": np.ones(1),
        "z": np.ones((2, 4), dtype=np.float32),
        "beta": np.ones((2, 4), dtype=np.float32),
        "var_g": np.ones((1, 1)),
        "pattern_of": np.zeros(4, dtype=np.int32),
    }
    return good | {name: value}


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("offsets", np.array([0, 1], dtype=np.int32), "offsets"),
        ("variants", np.zeros(1, dtype=np.int64), "variants"),
        ("z_weights", np.ones(2), "equal shapes"),
        ("z", np.ones((2, 4)), "z must be"),
        ("z", np.ones((4, 2), dtype=np.float32).T, "contiguous"),
        ("beta", np.ones((2, 8), dtype=np.float32), "equal shapes"),
        ("var_g", np.ones((2, 1)), "var_g"),
        ("var_g", np.ones((1, 0)), "var_g"),
        ("pattern_of", np.zeros(5, dtype=np.int32), "cannot hold 5"),
        ("dtype", "float16", "float16"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(
    host_device: HostDevice, name: str, value: Any, message: str
) -> None:
    launch.score_gather(**bad("dtype", "float32"))
    with pytest.raises(ValueError, match=message):
        launch.score_gather(**bad(name, value))


def test_twin_equals_a_plain_loop(backend: Backend) -> None:
    lengths = np.array([2, 0, 3])
    variants = np.array([[0, 2, 0], [0, 0, 0], [3, 1, 2]])
    a = np.array([[1.0, -2.0, 0.0], [0.0, 0.0, 0.0], [0.5, 0.25, 3.0]])
    z = np.array([[np.nan, 1.0], [2.0, np.nan], [3.0, 4.0], [5.0, 6.0]], dtype=np.float32)
    beta = np.where(np.isnan(z), np.nan, z / 10).astype(np.float32)
    put = backend.asarray
    z_sums, effects = padded_gather(put(lengths), put(variants), put(a), put(a), put(z), put(beta))
    want = [[-6.0, -7.0], [0.0, 0.0], [12.0, 15.0]]
    np.testing.assert_allclose(backend.to_numpy(z_sums), want)
    np.testing.assert_allclose(backend.to_numpy(effects), np.array(want) / 10, rtol=1e-6)


def test_twin_of_the_fused_kernel_equals_it(
    operator: ScoreOperator, host_device: HostDevice, backend: Backend
) -> None:
    z, beta = statistics(10)
    var_g, pattern_of = variances(operator, 3), (np.arange(10) % 3).astype(np.int32)
    want = launch.score_gather(*weights_of(operator), z, beta, var_g, pattern_of, dtype="float64")
    arrays = (*padded_like(operator), z, beta, var_g, pattern_of)
    got = padded_scores(*(backend.asarray(array) for array in arrays))
    for mine, kernels in zip(got, want, strict=True):
        np.testing.assert_allclose(backend.to_numpy(mine), kernels, rtol=1e-12, atol=1e-14)


@pytest.mark.gpu
@pytest.mark.parametrize("traits", [1, 32, 100])
def test_gpu_gives_the_bits_of_the_host(
    operator: ScoreOperator, compiled_on_host: HostDevice, traits: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    cuda = choose_backend("cupy")
    z, beta = statistics(traits)
    var_g, pattern_of = variances(operator, 3), (np.arange(traits) % 3).astype(np.int32)
    put = cuda.asarray
    device = [put(array) for array in (*weights_of(operator), z, beta)]
    on_gpu = [
        *launch.csr_gather(*device),
        *launch.score_gather(*device, put(var_g), put(pattern_of)),
        *launch.score_gather(*device, put(var_g), put(pattern_of), dtype="float64"),
    ]
    with monkeypatch.context() as patch:
        compiled_on_host.stand_in(patch)
        host = (*weights_of(operator), z, beta)
        on_host = [
            *launch.csr_gather(*host),
            *launch.score_gather(*host, var_g, pattern_of),
            *launch.score_gather(*host, var_g, pattern_of, dtype="float64"),
        ]
    for got, want in zip(on_gpu, on_host, strict=True):
        np.testing.assert_array_equal(cuda.to_numpy(got), want)


@pytest.mark.gpu
def test_gpu_kernel_equals_its_twin(operator: ScoreOperator) -> None:
    cuda = choose_backend("cupy")
    z, beta = statistics(50)
    var_g, pattern_of = variances(operator, 3), (np.arange(50) % 3).astype(np.int32)
    common = [cuda.asarray(array) for array in (z, beta, var_g, pattern_of)]
    kernel = launch.score_gather(
        *(cuda.asarray(array) for array in weights_of(operator)), *common, dtype="float64"
    )
    twin = padded_scores(*(cuda.asarray(array) for array in padded_like(operator)), *common)
    for got, want in zip(kernel, twin, strict=True):
        np.testing.assert_allclose(cuda.to_numpy(got), cuda.to_numpy(want), rtol=1e-12, atol=1e-14)
