"""The array library of an array, and NumPy as one such library, without loading more than is needed.

In: arrays. Out: their array-API namespace. From version 2.1 on NumPy itself follows the standard, so neither
NumPy arrays nor the NumPy backend need the wrapper of array-api-compat, whose import costs about 0.15 s and
16 MiB because it touches every submodule of NumPy.
"""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["array_namespace", "numpy_namespace"]


def _numpy() -> Any:
    if np.lib.NumpyVersion(np.__version__) >= "2.1.0":
        return np
    import array_api_compat.numpy

    return array_api_compat.numpy


numpy_namespace: Any = _numpy()


def array_namespace(*arrays: Any) -> Any:
    """The array-API namespace that all arrays belong to.

    Raises
    ------
    TypeError : an argument is no array, or the arrays are of different libraries.
    """
    if arrays and all(type(array) is np.ndarray for array in arrays):
        return numpy_namespace
    import array_api_compat

    return array_api_compat.array_namespace(*arrays)
