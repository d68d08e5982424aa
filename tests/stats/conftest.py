"""Fixtures of the tests of statistics: the kernels they use, without a GPU."""

from __future__ import annotations

from tests.kernels.on_host import compiled_on_host, host_device

__all__ = ["compiled_on_host", "host_device"]
