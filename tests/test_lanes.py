"""Sixteen numbers at a time: each lane is what a single number gives, bit for bit."""

import operator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numba import njit

from tclif_neuro.lanes import LANES, everywhere, load, store, where, wide
from tests.examples import examples

OPERATIONS = {
    "add": (lambda x, y: x + y, np.add),
    "sub": (lambda x, y: x - y, np.subtract),
    "mul": (lambda x, y: x * y, np.multiply),
    "div": (lambda x, y: x / y, np.divide),
    "abs": (lambda x, y: abs(x), lambda x, y: np.abs(x)),
    "ge": (lambda x, y: where(x >= y, x, y), lambda x, y: np.where(x >= y, x, y)),
    "le": (lambda x, y: where(x <= y, x, y), lambda x, y: np.where(x <= y, x, y)),
    "lt": (lambda x, y: where(x < y, x, y), lambda x, y: np.where(x < y, x, y)),
    "mask": (lambda x, y: (x >= y) * x, lambda x, y: np.where(x >= y, x, x.dtype.type(0))),
}


def over_lanes(function):
    """`out = function(x, y)`, sixteen at a time; then with the first number of y for all."""
    compiled = njit(function)

    @njit
    def run(x, y, out, first):
        for at in range(0, x.size, LANES):
            store(out, at, compiled(load(x, at), load(y, at)))
            store(first, at, compiled(load(x, at), everywhere(y[0, 0])))

    return run


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize("name", OPERATIONS)
def test_every_lane_is_a_number(name, kind):
    function, expected = OPERATIONS[name]
    run = over_lanes(function)
    width = {np.float32: 32, np.float64: 64}[kind]

    @examples(20)
    @given(*[arrays(kind, (2, LANES), elements=st.floats(width=width))] * 2)
    def holds(x, y):
        out, first = np.empty_like(x), np.empty_like(x)
        run(x, y, out, first)
        with np.errstate(all="ignore"):
            np.testing.assert_array_equal(out, expected(x, y))
            np.testing.assert_array_equal(first, expected(x, np.full_like(y, y[0, 0])))

    holds()


@pytest.mark.parametrize("operation", [operator.add, operator.sub, operator.mul, operator.truediv])
def test_a_plain_number_meets_all_lanes(operation):
    @njit
    def run(x, k, left, right):
        store(left, 0, operation(k, load(x, 0)))
        store(right, 0, operation(load(x, 0), k))

    x = np.linspace(-3, 7, LANES, dtype=np.float32)
    left, right = np.empty_like(x), np.empty_like(x)
    run(x, np.float32(0.3), left, right)
    assert (left == operation(np.float32(0.3), x)).all() and (right == operation(x, np.float32(0.3))).all()


def test_wide_numbers_are_the_same_numbers():
    @njit
    def run(x, out):
        store(out, 0, wide(load(x, 0)))

    x, out = np.linspace(-1, 1, LANES, dtype=np.float32), np.empty(LANES)
    run(x, out)
    assert (out == x).all()
