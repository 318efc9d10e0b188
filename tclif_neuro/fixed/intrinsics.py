"""Machine operations that Python has no word for, as functions for compiled code."""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numba.np.arrayobj import populate_array

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
def stretch(_typing: Any, array: Any, _begin: Any, _size: Any) -> Any:
    """`array.ravel()[begin : begin + size]` of a contiguous array, without the checks that make a slice dear."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        whole = context.make_array(signature.args[0])(context, builder, arguments[0])
        view = context.make_array(signature.return_type)(context, builder)
        item = context.get_constant(types.intp, context.get_abi_sizeof(whole.data.type.pointee))
        data = builder.gep(whole.data, [arguments[1]])
        populate_array(view, data=data, shape=[arguments[2]], strides=[item], itemsize=item, meminfo=None)
        return view._getvalue()

    return types.Array(array.dtype, 1, "C")(array, types.intp, types.intp), generate


@intrinsic
def popcount(_typing: Any, _bits: Any) -> Any:
    """Count the bits of `bits` that are set."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.ctpop(arguments[0])

    return types.int64(types.int64), generate


@intrinsic
def put_sums(_typing: Any, target: Any, _at: Any, table: Any, _begin: Any, _term: Any) -> Any:
    """target[at : at + 8] = table[begin : begin + 8] + term, in the type of `target`; integers, both contiguous."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        def pointer(i: int) -> Any:
            data = context.make_array(signature.args[i])(context, builder, arguments[i]).data
            begin = builder.gep(data, [arguments[i + 1]])
            return builder.bitcast(begin, ir.VectorType(data.type.pointee, 8).as_pointer())

        to, source = pointer(0), pointer(2)
        values = builder.zext(builder.load(source, align=1), to.type.pointee)
        term = builder.trunc(arguments[4], to.type.pointee.element)
        lane, vector = ir.Constant(ir.IntType(32), 0), ir.Constant(to.type.pointee, ir.Undefined)
        terms = builder.insert_element(vector, term, lane)
        terms = builder.shuffle_vector(terms, vector, ir.Constant(ir.VectorType(ir.IntType(32), 8), [0] * 8))
        builder.store(builder.add(values, terms), to, align=4)
        return context.get_dummy_value()

    return types.void(target, types.intp, table, types.intp, types.intp), generate
