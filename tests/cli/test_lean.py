"""A short command loads only what it uses: no timing, only which modules there are at its end."""

from __future__ import annotations

import subprocess
import sys

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
