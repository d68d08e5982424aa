"""The CSR gather: its arithmetic on the host, its compilation, and the kernel itself where a GPU is."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from gputwas.backends.choose import Backend, choose_backend
from gputwas.kernels.launch import SOURCES, source_files
from gputwas.kernels.twins import padded_gather
from gputwas.twas.products import prepare_products
from gputwas.twas.spredixcan import prepare_scorer
from tests.model_sets import random_gwas, random_model_set

HERE = Path(__file__).resolve().parent
ARCHITECTURES = ("75", "80", "90")


@pytest.fixture(scope="module")
def operator():
    """Models of many lengths, an empty one included."""
    models = random_model_set(np.random.default_rng(11), lengths=(0, 1, 2, 31, 32, 33), n_variants=90)
    return prepare_scorer(models, choose_backend("numpy")).operator


def statistics(traits: int) -> tuple[np.ndarray, np.ndarray]:
    z, beta = random_gwas(np.random.default_rng(traits), traits, 90, 0.3)
    beta[0, np.flatnonzero(~np.isnan(z[0]))[:3]] = np.nan  # a SNP with z and without beta
    return z, beta


@pytest.mark.parametrize("traits", [1, 2, 33])
def test_header_arithmetic_on_the_host_equals_the_csr_product(operator, traits: int, tmp_path: Path) -> None:
    compiler = shutil.which("c++") or shutil.which("g++")
    if compiler is None:
        pytest.skip("no C++ compiler on this machine")
    library = tmp_path / "host_gather.so"
    source = HERE / "host_gather.cpp"
    command = [compiler, "-O1", "-shared", "-fPIC", f"-I{SOURCES}", str(source), "-o", str(library)]
    subprocess.run(command, check=True)
    z, beta = statistics(traits)
    products = prepare_products(operator, choose_backend("numpy"))
    want = products.sums(products.load(z, beta), slice(0, operator.n_models))
    z_sums = np.zeros((operator.n_models, traits))
    effect_sums = np.zeros_like(z_sums)
    arrays = (
        operator.offsets, operator.variants, operator.z_weights, operator.effect_weights,
        np.ascontiguousarray(z.T), np.ascontiguousarray(beta.T), z_sums, effect_sums,
    )  # fmt: skip
    pointers = [array.ctypes.data_as(ctypes.c_void_p) for array in arrays]
    sizes = [ctypes.c_longlong(operator.n_models), ctypes.c_longlong(traits)]
    ctypes.CDLL(str(library)).host_csr_gather(*pointers, *sizes)
    np.testing.assert_allclose(z_sums, want[0], rtol=1e-13, atol=1e-15)
    np.testing.assert_allclose(effect_sums, want[1], rtol=1e-13, atol=1e-15)
    assert np.isnan(effect_sums).any()


def test_every_kernel_compiles_for_every_architecture(tmp_path: Path) -> None:
    nvcc = shutil.which("nvcc")
    if nvcc is None:
        pytest.skip("no nvcc on this machine")
    targets = [f"-gencode=arch=compute_{a},code=sm_{a}" for a in ARCHITECTURES]
    files = source_files()
    assert files
    for source in files:
        out = tmp_path / f"{source.stem}.fatbin"
        command = [
            nvcc,
            "--fatbin",
            "-std=c++17",
            "-Werror=all-warnings",
            *targets,
            str(source),
            "-o",
            str(out),
        ]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert out.stat().st_size > 0


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


@pytest.mark.gpu
@pytest.mark.parametrize("traits", [1, 32, 100])
def test_kernel_equals_its_twin(operator, traits: int) -> None:
    cuda = choose_backend("cupy")
    z, beta = statistics(traits)
    everything = slice(0, operator.n_models)
    kernel, twin = prepare_products(operator, cuda, "csr"), prepare_products(operator, cuda, "padded")
    for got, want in zip(
        kernel.sums(kernel.load(z, beta), everything), twin.sums(twin.load(z, beta), everything), strict=True
    ):
        np.testing.assert_allclose(got, want, rtol=1e-13, atol=1e-15)
