"""A short command loads only what it uses: no timing, only which modules there are at its end."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.study.small_gwas import (
    FLAGS,
    HEADER,
    SNPS,
    gwas_row,
    write_covariance,
    write_database,
    write_gwas_table,
)

AFTERWARDS = """
import pyarrow as pa, sys
from gputwas.cli.lean import without_pandas
without_pandas()
import numpy as np
pa.array([1.5, None]), pa.array(np.zeros(2), from_pandas=True), pa.scalar("x")
pa.table({"a": ["b"]})["a"].to_numpy()
assert "pandas" not in sys.modules, "pyarrow loaded pandas"
import pandas as pd
assert pa.table({"a": [1, 2]}).to_pandas().equals(pd.DataFrame({"a": [1, 2]}))
assert pa.array(pd.Series([1.0, 2.0])).to_pylist() == [1.0, 2.0]
"""


def test_pyarrow_does_without_pandas_until_somebody_asks_for_it() -> None:
    subprocess.run([sys.executable, "-W", "error", "-c", AFTERWARDS], check=True)


ONE_THREAD = """
import os
from gputwas.cli.lean import with_one_blas_thread
with_one_blas_thread()
import numpy as np
assert np.linalg.det(np.eye(300)) == 1.0
assert os.environ["OPENBLAS_NUM_THREADS"] == os.environ.get("EXPECTED", "1")
if "EXPECTED" not in os.environ and os.path.isdir("/proc/self/task"):
    assert len(os.listdir("/proc/self/task")) == 1, "NumPy started threads"
"""


@pytest.mark.parametrize("chosen", [None, "3"])
def test_numpy_starts_without_threads_unless_somebody_chose_otherwise(chosen: str | None) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "OPENBLAS_NUM_THREADS"}
    if chosen is not None:
        environment |= {"OPENBLAS_NUM_THREADS": chosen, "EXPECTED": chosen}
    subprocess.run([sys.executable, "-W", "error", "-c", ONE_THREAD], check=True, env=environment)


DROPIN = """
import sys
from gputwas.cli.main import main
code = main(sys.argv[1:])
heavy = {"pandas", "numba", "matplotlib", "duckdb", "rich", "jax", "cupy", "scipy.sparse", "scipy.special",
         "scipy", "array_api_compat.numpy", "numpy.f2py"}
print("loaded:", " ".join(sorted(heavy & set(sys.modules))))
sys.exit(code)
"""


@pytest.mark.parametrize("statistic", ["beta and se", "p and beta"])
def test_the_drop_in_loads_no_heavy_module(tmp_path: Path, statistic: str) -> None:
    write_database(tmp_path / "models.db")
    write_covariance(tmp_path / "covariance.txt")
    write_gwas_table(
        tmp_path / "gwas.txt", [[*gwas_row(snp), "0.5"] for snp in SNPS], header=[*HEADER, "p"], separator=" "
    )
    files = {"model_db_path": "models.db", "covariance": "covariance.txt", "gwas_file": "gwas.txt"}
    words = [word for flag, name in files.items() for word in (f"--{flag}", str(tmp_path / name))]
    flags = FLAGS if statistic == "beta and se" else [*FLAGS[:-2], "--pvalue_column", "p"]
    words += [*flags, "--additional_output", "--output_file", str(tmp_path / "out.csv")]
    done = subprocess.run(
        [sys.executable, "-c", DROPIN, "spredixcan", *words], capture_output=True, text=True, check=True
    )
    # z from p is the one thing on this road that takes a function of SciPy
    allowed = "" if statistic == "beta and se" else "array_api_compat.numpy numpy.f2py scipy scipy.special"
    loaded = done.stdout.rpartition("loaded:")[2].split()
    assert set(loaded) <= set(allowed.split()), done.stdout
    assert (tmp_path / "out.csv").read_text().count("\n") == 4
