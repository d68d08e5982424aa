"""The table of one trait and tissue, and its calibration, against rows written by hand."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from scipy.stats import norm

from gputwas.backends.choose import choose_backend
from gputwas.errors import InputError
from gputwas.formats.metaxcan import ADDITIONAL_COLUMNS, CALIBRATION_COLUMNS, COLUMNS
from gputwas.stores.associations import Status
from gputwas.study.results import TissueResult, calibrated, metaxcan_table, snp_extremes
from gputwas.twas.spredixcan import prepare_scorer
from gputwas.twas.uncertainty import calibrate
from tests.model_sets import random_gwas, random_model_set

NAN = math.nan


def models(genes: list[str], **columns: object) -> pa.Table:
    """A tissue's rows of a model table."""
    n = len(genes)
    return pa.table(
        {
            "tissue": ["T"] * n,
            "gene": genes,
            "gene_name": [f"name of {gene}" for gene in genes],
            "pred_perf_r2": np.arange(n) / 10,
            "pred_perf_pval": np.full(n, 0.01),
            "pred_perf_qval": pa.nulls(n, pa.float64()),
            "n_snps_in_cov": pa.array([None if i == 1 else 9 for i in range(n)], pa.int64()),
            "n_snps_in_model": pa.array(range(10, 10 + n), pa.int64()),
            **columns,
        }
    )


def result(z: list[float], status: list[Status] | None = None, **others: object) -> TissueResult:
    """Results with plain numbers beside z."""
    n = len(z)
    values = np.array(z)
    plain = TissueResult(
        z=values,
        effect_size=values / 100,
        var_g=np.where(np.isnan(values), NAN, 0.5),
        n_snps_used=np.arange(1, n + 1, dtype=np.int32),
        status=np.array([Status.OK] * n if status is None else status, dtype=np.uint8),
    )
    return replace(plain, **others)  # type: ignore[arg-type]


def test_rows_are_sorted_by_absolute_z_and_ties_keep_the_order_of_ids() -> None:
    genes = ["G1", "G2", "G3", "G4", "G5"]
    table = metaxcan_table(models(genes), result([1.0, -3.0, 2.0, -2.0, 3.0]))
    assert table["gene"].to_pylist() == ["G2", "G5", "G3", "G4", "G1"]
    assert table["zscore"].to_pylist() == [-3.0, 3.0, 2.0, -2.0, 1.0]
    np.testing.assert_allclose(table["pvalue"], 2 * norm.sf([3, 3, 2, 2, 1]), rtol=1e-14)
    assert table.column_names == list(COLUMNS)
    assert table["gene_name"].to_pylist()[0] == "name of G2"
    assert table["n_snps_in_model"].to_pylist() == [11, 14, 12, 13, 10]
    assert table["n_snps_in_cov"].to_pylist() == [None, 9, 9, 9, 9]
    assert table["n_snps_used"].to_pylist() == [2, 5, 3, 4, 1]


def test_order_goes_on_where_p_underflows() -> None:
    table = metaxcan_table(models(["G1", "G2", "G3"]), result([39.0, -60.0, 40.0]))
    assert table["gene"].to_pylist() == ["G2", "G3", "G1"]
    assert table["pvalue"].to_pylist() == [0.0, 0.0, 0.0]


def test_which_genes_are_listed() -> None:
    """A gene without a SNP in the GWAS is left out; one without z for another reason stands at the end."""
    status = [Status.NO_SNP_IN_LD, Status.NO_SNP_IN_GWAS, Status.OK, Status.ZERO_VARIANCE,
              Status.NEGATIVE_VARIANCE, Status.NOT_IN_LD]  # fmt: skip
    var_g = np.array([NAN, NAN, 0.5, 0.0, -0.1, NAN])
    given = result([NAN, NAN, 1.0, NAN, NAN, NAN], status, var_g=var_g)
    table = metaxcan_table(models([f"G{i}" for i in range(6)]), given)
    assert table["gene"].to_pylist() == ["G2", "G0", "G3", "G4", "G5"]
    assert table["var_g"].to_pylist() == [0.5, None, 0.0, -0.1, None]
    for name in ("zscore", "effect_size", "pvalue"):
        assert table[name].null_count == 4, f"{name} must be missing, not NaN"


def test_versions_of_gene_ids_are_dropped_on_request() -> None:
    genes = ["ENSG00000000001.12", "ENSG00000000002.3_PAR_Y", "ENSG00000000003"]
    table = metaxcan_table(models(genes), result([3.0, 2.0, 1.0]), remove_ens_version=True)
    assert table["gene"].to_pylist() == ["ENSG00000000001", "ENSG00000000002", "ENSG00000000003"]
    kept = metaxcan_table(models(genes), result([3.0, 2.0, 1.0]))
    assert kept["gene"].to_pylist() == genes


def test_additional_columns_follow_the_order_of_the_rows() -> None:
    given = result(
        [1.0, 2.0], best_gwas_p=np.array([0.1, NAN]), largest_weight=np.array([0.5, NAN]),
        effect_se=np.array([0.01, 0.02]),
    )  # fmt: skip
    table = metaxcan_table(models(["G1", "G2"]), given)
    assert table.column_names == [*COLUMNS, *ADDITIONAL_COLUMNS, "effect_se"]
    assert table["best_gwas_p"].to_pylist() == [None, 0.1]
    assert table["largest_weight"].to_pylist() == [None, 0.5]
    assert table["effect_se"].to_pylist() == [0.02, 0.01]


def test_extremes_are_those_of_the_snps_used() -> None:
    rng = np.random.default_rng(6)
    model_set = random_model_set(rng)
    z, _ = random_gwas(rng, 1, 40, 0.3)
    best, largest = snp_extremes(prepare_scorer(model_set, choose_backend("numpy")), z[0])
    for model in range(model_set.n_models):
        start = model_set.offsets[model]
        inside = slice(start, start + model_set.n_in_ld[model])
        scores = z[0][model_set.variants[inside]].astype(float)
        used = ~np.isnan(scores)
        if not used.any():
            assert np.isnan(best[model]) and np.isnan(largest[model])
            continue
        assert best[model] == pytest.approx(2 * norm.cdf(-np.abs(scores[used]).max()), rel=1e-13)
        assert largest[model] == np.abs(model_set.weights[inside][used]).max()
    assert np.isnan(best).any() and np.isfinite(best).any()


def test_calibration_is_the_formula_of_the_paper() -> None:
    z, phi = np.array([2.0, -3.0, 1.0, NAN]), np.array([1e-5, 2e-4, -1e-3, 1e-5])
    got = calibrate(z, phi, 50_000, 0.3)
    want = [2 / math.sqrt(1 + 1e-5 * 15_000), -3 / math.sqrt(1 + 2e-4 * 15_000), 1.0, NAN]
    np.testing.assert_allclose(got, want, rtol=1e-15)
    assert np.isnan(calibrate(np.array([1.0]), np.array([NAN]), 10, 0.1)).all()


def calibration_case() -> tuple[pa.Table, pa.Table]:
    """A table of four genes and their models: φ positive, negative, missing, and so large that z shrinks."""
    genes = ["G1.1", "G2.1", "G3.1", "G4.1"]
    given = models(genes, phi=pa.array([1e-5, -2e-5, None, 1e-2], pa.float64()))
    return metaxcan_table(given, result([2.0, -3.0, 4.0, 5.0])), given


def test_calibrated_table() -> None:
    table, given = calibration_case()
    got, lost = calibrated(table, given, n=30_000, h2=0.5)
    assert lost == 1  # G3 has no φ
    assert got["gene"].to_pylist() == ["G4.1", "G2.1", "G1.1"], "the order by uncalibrated p is kept"
    assert got.column_names == [*COLUMNS, *CALIBRATION_COLUMNS]
    z = [5 / math.sqrt(1 + 1e-2 * 15_000), -3.0, 2 / math.sqrt(1 + 1e-5 * 15_000)]
    np.testing.assert_allclose(got["zscore"], z, rtol=1e-15)
    np.testing.assert_allclose(got["pvalue"], 2 * norm.sf(np.abs(z)), rtol=1e-13)
    assert got["phi"].to_pylist() == [1e-2, 0.0, 1e-5]
    assert got["uncalibrated_zscore"].to_pylist() == [5.0, -3.0, 2.0]
    np.testing.assert_allclose(got["uncalibrated_pvalue"], 2 * norm.sf([5, 3, 2]), rtol=1e-13)
    assert got["effect_size"].to_pylist() == [0.05, -0.03, 0.02], "effects are not calibrated"


def test_calibration_finds_phi_where_versions_were_dropped() -> None:
    _, given = calibration_case()
    table = metaxcan_table(given, result([2.0, -3.0, 4.0, 5.0]), remove_ens_version=True)
    got, lost = calibrated(table, given, n=30_000, h2=0.5)
    assert (got["gene"].to_pylist(), lost) == (["G4", "G2", "G1"], 1)


def test_calibration_tells_two_versions_of_a_gene_apart() -> None:
    given = models(["G1.1", "G1.2"], phi=pa.array([1e-2, 0.0]))
    got, _ = calibrated(metaxcan_table(given, result([2.0, 3.0])), given, n=30_000, h2=0.5)
    assert got["gene"].to_pylist() == ["G1.2", "G1.1"]
    assert got["phi"].to_pylist() == [0.0, 1e-2]


def test_calibration_with_additional_columns_and_genes_without_z() -> None:
    given = models(["G1", "G2"], phi=pa.array([1e-5, 1e-5]))
    extremes = {"best_gwas_p": np.array([0.1, 0.2]), "largest_weight": np.array([1.0, 2.0])}
    table = metaxcan_table(given, result([NAN, 1.0], [Status.ZERO_VARIANCE, Status.OK], **extremes))
    got, lost = calibrated(table, given, n=10, h2=0.5)
    assert got.column_names == [*COLUMNS, *ADDITIONAL_COLUMNS, *CALIBRATION_COLUMNS]
    assert got["zscore"].to_pylist()[1] is None and got["pvalue"].to_pylist()[1] is None
    assert lost == 0


@pytest.mark.parametrize("phi", [None, pa.nulls(2, pa.float64())])
def test_models_without_phi_are_refused(phi: pa.Array | None) -> None:
    given = models(["G1", "G2"]) if phi is None else models(["G1", "G2"], phi=phi)
    with pytest.raises(InputError, match=r"phi.*--gwas_h2"):
        calibrated(metaxcan_table(given, result([1.0, 2.0])), given, n=10, h2=0.5)
