"""Vectors for compiled code: `LANES` numbers side by side in registers, with the operators of a single one.

    u, s = load(dendrite, at), load(soma, at)     # numbers at ... at + LANES - 1 of an array
    store(dendrite, at, 0.5 * u + b1 * s)         # a plain number meets all lanes alike

So a function over numbers, an equation of `dynamics` for one, is one over lanes too when compiled code calls it so. A
comparison gives a mask: `where(mask, x, y)` chooses, `mask * x` is x or 0. LLVM cuts a vector to what the machine has.
Operations round as those of single numbers do, and are never fused.

`load` and `store` look neither at an array's shape nor at its bounds: `at` counts elements of a contiguous array from
its beginning, and it is the caller who knows that they are there. So arrays are padded, never a caller's own.
"""
# mypy: disable-error-code="no-untyped-def,no-untyped-call,misc"

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from llvmlite import ir  # type: ignore[import-untyped]
from numba import types
from numba.core import cgutils
from numba.core.typing.templates import AbstractTemplate, infer_global, signature
from numba.extending import intrinsic, lower_builtin, models, overload, register_model

LANES = 16


class Lanes(types.Type):
    """The type of `LANES` numbers of the type `element`, float32 or float64."""

    def __init__(self, element: types.Type) -> None:
        self.element = element
        super().__init__(name=f"lanes({element})")


class Mask(types.Type):
    """The type of what a comparison of `Lanes` of the type `element` gives."""

    def __init__(self, element: types.Type) -> None:
        self.element = element
        super().__init__(name=f"mask({element})")


@register_model(Lanes)
class _LanesModel(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: Lanes) -> None:
        super().__init__(manager, kind, ir.VectorType(manager[kind.element].get_value_type(), LANES))


@register_model(Mask)
class _MaskModel(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: Mask) -> None:
        super().__init__(manager, kind, ir.VectorType(ir.IntType(1), LANES))


def _spread(builder: Any, x: Any, vector: Any) -> Any:
    """A single number in every lane; lanes as they are."""
    if x.type == vector:
        return x
    lane = ir.Constant(ir.IntType(32), 0)
    first = builder.insert_element(ir.Constant(vector, ir.Undefined), x, lane)
    return builder.shuffle_vector(first, first, ir.Constant(ir.VectorType(lane.type, LANES), [0] * LANES))


def _operator(operation: Callable[..., Any], result: type, build: Callable[[Any, Any, Any], Any]) -> None:
    """Teach numba `operation` of lanes and lanes, lanes and a number, a number and lanes; `result`: Lanes or Mask."""

    @infer_global(operation)
    class _Typing(AbstractTemplate):
        def generic(self, args: Any, _kws: Any) -> Any:
            kind = next((a for a in args if isinstance(a, Lanes)), None)
            if kind is not None and all(a in (kind, kind.element) for a in args):
                return signature(result(kind.element), *args)
            return None

    def lower(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        vector = context.get_value_type(next(a for a in sig.args if isinstance(a, Lanes)))
        return build(builder, *(_spread(builder, x, vector) for x in args))

    for kinds in ((Lanes, Lanes), (Lanes, types.Float), (types.Float, Lanes)):
        lower_builtin(operation, *kinds)(lower)


_operator(operator.add, Lanes, lambda builder, a, b: builder.fadd(a, b))
_operator(operator.sub, Lanes, lambda builder, a, b: builder.fsub(a, b))
_operator(operator.mul, Lanes, lambda builder, a, b: builder.fmul(a, b))
_operator(operator.truediv, Lanes, lambda builder, a, b: builder.fdiv(a, b))
_operator(operator.ge, Mask, lambda builder, a, b: builder.fcmp_ordered(">=", a, b))
_operator(operator.le, Mask, lambda builder, a, b: builder.fcmp_ordered("<=", a, b))
_operator(operator.lt, Mask, lambda builder, a, b: builder.fcmp_ordered("<", a, b))


@infer_global(operator.mul)
class _Choice(AbstractTemplate):
    def generic(self, args: Any, _kws: Any) -> Any:
        mask, x = args
        fits = isinstance(mask, Mask) and x in (mask.element, Lanes(mask.element))
        return signature(Lanes(mask.element), *args) if fits else None


@lower_builtin(operator.mul, Mask, Lanes)
@lower_builtin(operator.mul, Mask, types.Float)
def _choose(context: Any, builder: Any, sig: Any, args: Any) -> Any:
    vector = context.get_value_type(sig.return_type)
    return builder.select(args[0], _spread(builder, args[1], vector), ir.Constant(vector, None))


@infer_global(abs)
class _Absolute(AbstractTemplate):
    def generic(self, args: Any, _kws: Any) -> Any:
        return signature(args[0], *args) if isinstance(args[0], Lanes) else None


@lower_builtin(abs, Lanes)
def _absolute(_context: Any, builder: Any, _sig: Any, args: Any) -> Any:
    kind, width = args[0].type, 32 if isinstance(args[0].type.element, ir.FloatType) else 64
    name = f"llvm.fabs.v{LANES}f{width}"
    return builder.call(cgutils.get_or_insert_function(builder.module, ir.FunctionType(kind, [kind]), name), args)


@intrinsic
def _select(_typing: Any, mask: Any, x: Any, y: Any) -> Any:
    """x where `mask` is true, y elsewhere; each lanes or a number."""
    kind = Lanes(mask.element)

    def generate(context: Any, builder: Any, _sig: Any, args: Any) -> Any:
        vector = context.get_value_type(kind)
        return builder.select(args[0], *(_spread(builder, a, vector) for a in args[1:]))

    return kind(mask, x, y), generate


def where(condition: Any, x: Any, y: Any) -> Any:
    """`x if condition else y`, lane by lane where the condition is a mask. For compiled code only."""
    raise NotImplementedError("lanes.where: call it from compiled code")


@overload(where)
def _where(condition, x, y):
    if isinstance(condition, Mask):
        return lambda condition, x, y: _select(condition, x, y)
    return lambda condition, x, y: x if condition else y


def _pointer(context: Any, builder: Any, kind: Any, array: Any, at: Any) -> Any:
    """A pointer to element `at`, as to lanes."""
    data = context.make_array(kind)(context, builder, array).data
    vector = ir.VectorType(data.type.pointee, LANES)
    return builder.bitcast(builder.gep(data, [at]), vector.as_pointer())


@intrinsic
def load(_typing: Any, array: Any, _at: Any) -> Any:
    """array.ravel()[at : at + LANES]"""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return builder.load(_pointer(context, builder, sig.args[0], *args), align=array.dtype.bitwidth // 8)

    return Lanes(array.dtype)(array, types.intp), generate


@intrinsic
def store(_typing: Any, array: Any, _at: Any, x: Any) -> Any:
    """array.ravel()[at : at + LANES] = x"""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        pointer = _pointer(context, builder, sig.args[0], *args[:2])
        builder.store(_spread(builder, args[2], pointer.type.pointee), pointer, align=array.dtype.bitwidth // 8)
        return context.get_dummy_value()

    return types.void(array, types.intp, x), generate


@intrinsic
def everywhere(_typing: Any, x: Any) -> Any:
    """The number `x` in every lane."""
    kind = Lanes(x)

    def generate(context: Any, builder: Any, _sig: Any, args: Any) -> Any:
        return _spread(builder, args[0], context.get_value_type(kind))

    return kind(x), generate


@intrinsic
def wide(_typing: Any, x: Any) -> Any:
    """The same numbers in float64."""
    kind = Lanes(types.float64)

    def generate(context: Any, builder: Any, _sig: Any, args: Any) -> Any:
        vector = context.get_value_type(kind)
        return args[0] if args[0].type == vector else builder.fpext(args[0], vector)

    return kind(x), generate
