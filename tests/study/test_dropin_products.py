"""Sums of one trait are those of the CSR product, bit by bit."""

from __future__ import annotations

import numpy as np
import pytest

from gputwas.backends.choose import choose_backend
from gputwas.study.dropin_products import OneTrait
from gputwas.twas.operator import build_operator
from gputwas.twas.products import prepare_products


@pytest.mark.parametrize("with_beta", [True, False])
def test_as_the_csr_product(with_beta: bool) -> None:
    rng = np.random.default_rng(3)
    sizes = np.append(rng.integers(0, 40, size=300), 0)  # the last model has no SNP
    in_ld = rng.integers(0, sizes + 1).astype(np.int32)
    triangles = in_ld.astype(np.int64) * (in_ld + 1) // 2
    operator = build_operator(
        np.append(0, np.cumsum(sizes)),
        rng.integers(0, 1000, size=sizes.sum()).astype(np.int32),
        rng.normal(size=sizes.sum()),
        in_ld,
        np.append(0, np.cumsum(triangles)),
        rng.uniform(0.1, 1, size=triangles.sum()),
        n_variants=1000,
    )
    z = rng.normal(size=(1, 1000)).astype(np.float32)
    z[0, rng.random(1000) < 0.2] = np.nan
    beta = np.where(np.isnan(z), np.nan, rng.normal(size=(1, 1000))) if with_beta else None
    z.flags.writeable = False
    ours, theirs = OneTrait(operator), prepare_products(operator, choose_backend("numpy"))
    for models in (slice(0, len(sizes)), slice(7, 100), slice(5, 5)):
        pairs = zip(
            ours.sums(ours.load(z, beta), models), theirs.sums(theirs.load(z, beta), models), strict=True
        )
        for got, wanted in pairs:
            assert (got is None) == (wanted is None)
            if got is not None and wanted is not None:
                assert got.shape == wanted.shape and got.dtype == np.float64
                np.testing.assert_array_equal(got, wanted)


def test_several_traits_are_refused() -> None:
    nothing = np.zeros(1, np.int64)
    operator = build_operator(
        nothing, nothing[:0], np.zeros(0), np.zeros(0, np.int32), nothing, np.zeros(0), n_variants=3
    )
    with pytest.raises(ValueError, match="not 2"):
        OneTrait(operator).load(np.zeros((2, 3)), None)
