"""Three machine operations that Python has no word for, as functions for compiled code."""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

LANES = 32  # how many elements `nonzeros` looks at
TOWARDS_ZERO, TO_NEAREST = np.int32(0), np.int32(1)  # modes of `set_rounding`, as LLVM counts them


@intrinsic
def set_rounding(_typing: Any, _mode: Any) -> Any:
    """Set how this thread rounds floating point: `TOWARDS_ZERO`, or `TO_NEAREST` as all other code expects."""

    def generate(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        kind = ir.FunctionType(ir.VoidType(), [ir.IntType(32)])
        builder.call(cgutils.get_or_insert_function(builder.module, kind, "llvm.set.rounding"), arguments)
        return context.get_dummy_value()

    return types.void(types.int32), generate


@intrinsic
def nonzeros(_typing: Any, array: Any, _start: Any) -> Any:
    """Bit i of the result: whether array[start + i] is not zero, for i in 0 ... LANES - 1; `array` [N], contiguous."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        element = data.type.pointee
        vector = ir.VectorType(element, LANES)
        begin = builder.gep(data, [arguments[1]])
        values = builder.load(builder.bitcast(begin, vector.as_pointer()), align=signature.args[0].dtype.bitwidth // 8)
        zero = ir.Constant(vector, [ir.Constant(element, 0)] * LANES)
        compare = builder.icmp_signed if isinstance(element, ir.IntType) else builder.fcmp_unordered
        bits = builder.bitcast(compare("!=", values, zero), ir.IntType(LANES))
        return builder.zext(bits, ir.IntType(64))

    return types.int64(array, types.int64), generate


@intrinsic
def lowest(_typing: Any, _bits: Any) -> Any:
    """The index of the lowest bit that is set in `bits`, which has one."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 1))

    return types.int64(types.int64), generate
