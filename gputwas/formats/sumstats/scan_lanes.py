"""Sixty-four bytes at a time: what the byte loops need of the processor and Python has no words for.

In: byte arrays and places in them. Out: bit masks and words, as functions for code compiled with numba, and
`compiled`, which compiles it. LLVM makes of them the vector instructions of the machine at hand.

This module imports numba, which takes a third of a second: only what reads many rows may import it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
from llvmlite import ir  # type: ignore[import-untyped]
from numba import types
from numba.extending import intrinsic

__all__ = ["LANES", "at_most", "bits_set", "compiled", "equal", "lowest_bit", "word_at"]

LANES = 64
"""Bytes that `equal` and `at_most` look at."""


def compiled(function: Callable[..., Any]) -> Any:
    """Compile with numba, kept on disk where a folder for it can be written, else for this process only.

    Everything is put in line: a call would count references to its arrays, atomically, for every cell.
    """
    try:
        return numba.njit(cache=True, nogil=True, forceinline=True)(function)
    except RuntimeError:  # neither the package's folder nor the user's own cache can be written
        return numba.njit(nogil=True, forceinline=True)(function)


def _load(context: Any, builder: Any, signature: Any, args: Any, kind: Any) -> Any:
    """LLVM code that loads a `kind` from the place args[1] of the array args[0], however it is aligned."""
    array = context.make_array(signature.args[0])(context, builder, args[0])
    place = builder.bitcast(builder.gep(array.data, [args[1]]), kind.as_pointer())
    loaded = builder.load(place)
    loaded.align = 1
    return loaded


def _mask(operator: str) -> Any:
    def mask(typing: Any, data: Any, place: Any, byte: Any) -> Any:
        def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            vector = ir.VectorType(ir.IntType(8), LANES)
            loaded = _load(context, builder, signature, args, vector)
            nothing = ir.Constant(vector, ir.Undefined)
            first = builder.insert_element(nothing, args[2], ir.Constant(ir.IntType(32), 0))
            spread = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
            everywhere = builder.shuffle_vector(first, nothing, spread)
            return builder.bitcast(builder.icmp_unsigned(operator, loaded, everywhere), ir.IntType(64))

        return types.uint64(data, types.intp, types.uint8), code

    return intrinsic(mask)


def _word_at(typing: Any, data: Any, place: Any) -> Any:
    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return _load(context, builder, signature, args, ir.IntType(64))

    return types.uint64(data, types.intp), code


def _lowest_bit(typing: Any, word: Any) -> Any:
    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.cttz(args[0], ir.Constant(ir.IntType(1), 1))

    return types.intp(types.uint64), code


def _bits_set(typing: Any, word: Any) -> Any:
    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.ctpop(args[0])

    return types.intp(types.uint64), code


equal: Any = _mask("==")
"""(data, place, byte) -> uint64: bit i says whether data[place + i] is that byte."""

at_most: Any = _mask("<=")
"""(data, place, byte) -> uint64: bit i says whether data[place + i] is that byte or a smaller one."""

word_at: Any = intrinsic(_word_at)
"""(data, place) -> uint64: the eight bytes from there on, the first in the lowest bits."""

lowest_bit: Any = intrinsic(_lowest_bit)
"""(word) -> place of the lowest bit that is set; the word is not 0."""

bits_set: Any = intrinsic(_bits_set)
"""(word) -> number of bits that are set."""
