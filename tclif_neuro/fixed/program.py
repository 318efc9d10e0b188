"""A network laid out for the fast simulator: a few flat arrays and a table of where each layer's part of them is.

Flat, because calling a compiled function costs a fixed time for each array it is given: one call then runs a whole
network for thousands of steps, or for a single one.

The neurons of all layers stand on one axis, [W], each layer's padded to a multiple of `LANES` with neurons that never
fire, so that no vector is cut short.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple
from weakref import finalize

import numpy as np
import numpy.typing as npt

from tclif_neuro.fixed.exact import FLOAT32_INPUT
from tclif_neuro.fixed.intrinsics import LANES
from tclif_neuro.network import ACT_SHIFT, COEFFICIENTS, DECAY_ONE, Layer, QuantizedNetwork, Synapses

# When a matrix is stored sparsely (measured, see docs/simulator.md): a weight of a sparse row takes as long as
# `SPARSE_COST` of a dense one, which vectors add, and a sparse row itself as long as `SPARSE_ROW` of its weights.
SPARSE_COST, SPARSE_ROW = 60, 12

CACHE_LINE = 64  # bytes

DELAYED, IMMEDIATE, STOCK = 0, 1, 2  # kinds of neurons
KINDS = {"delayed": DELAYED, "immediate": IMMEDIATE, "zero": STOCK}  # by their reset
ABSENT, DENSE, PAIRED, SPARSE, GRADED = range(5)  # kinds of matrices
# (paired: dense, two 8-bit weights in a word; graded: dense, and its inputs have values)
INPUT, RECURRENT = 0, 1  # the two matrices of a layer
# Constants of a layer; SCALE + INPUT and SCALE + RECURRENT are the last two.
GAMMA, VTH, UNIT, SCALE = 0, 1, 2, 3

Array = npt.NDArray[Any]

LAYER = np.dtype(
    [
        ("kind", np.int64),
        ("inputs", np.int64),
        ("size", np.int64),
        ("width", np.int64),  # the size, padded
        ("first", np.int64),  # where its neurons begin, padded
        ("column", np.int64),  # where its neurons begin in a recording, without padding
        ("decays", np.int64),  # where its rows of a1 and a2 begin
        ("rows", np.int64),  # how many there are
    ]
)
MATRIX = np.dtype(
    [
        ("kind", np.int64),
        ("inputs", np.int64),
        ("weights", np.int64),  # where its weights begin
        ("columns", np.int64),  # sparse: where the neurons of its weights begin,
        ("ends", np.int64),  # and where its rows' limits do
    ]
)


class Program(NamedTuple):
    """A network's constants; `real` is float32, or float64 where float32 would not be exact.

    layers: [L] `LAYER`. matrices: [L, 2] `MATRIX`. constants: [L, 5] real.
    weight: a dense matrix is [inputs, width]; a paired one [inputs, width / 2], each word the 8-bit weight of a neuron
    plus 128, and 256 times that of the neuron half a width further. A sparse one has the non-zero weights of the first
    input's row, then the second's, and so on. columns: their neurons. ends: [inputs + 1] where a row begins and ends.
    a1, a2: [rows, width] of each layer; b1, b2, bias: [W]; real. Coefficients are decimals (k / 4096).
    base: [W], what synaptic input is added to: TC-LIF's bias (that of LIF goes to its potential).
    """

    layers: Array
    matrices: Array
    weight: Array
    columns: Array
    ends: Array
    a1: Array
    a2: Array
    b1: Array
    b2: Array
    bias: Array
    base: Array
    constants: Array


def aligned(array: Array) -> Array:
    """A copy that begins where a cache line does, so that no vector of it lies in two."""
    room = np.empty(array.nbytes + CACHE_LINE, np.uint8)
    begin = -room.ctypes.data % CACHE_LINE
    copy = room[begin : begin + array.nbytes].view(array.dtype).reshape(array.shape)
    copy[...] = array
    return copy


def _padded(size: int) -> int:
    return -(-size // LANES) * LANES


@dataclass(frozen=True)
class _Weights:
    """A matrix to be stored: weights [N, M], their scale 2^exponent, and the largest sum that they can add up to."""

    weight: Array
    scale: float
    largest_sum: int
    graded: bool


def _weights(synapses: Synapses, input_max: int) -> _Weights:
    """`synapses` with even weights halved, since they then fit in 8 bits.

    The largest sum is that of any of the weights times inputs up to `input_max`. Spikes only add weights, so that both
    signs cannot go the same way; graded inputs may be negative, so that they can.
    """
    weight, exponent = synapses.weight, synapses.exponent
    if not (weight & 1).any():
        weight, exponent = weight >> 1, exponent + 1
    magnitude = np.abs(weight).sum(axis=1, dtype=np.int64)
    largest = magnitude * input_max if input_max > 1 else (magnitude + np.abs(weight.sum(axis=1, dtype=np.int64))) // 2
    return _Weights(weight, 2.0**exponent, int(largest.max()), input_max > 1)


def _fits_float32(layer: Layer, matrices: list[_Weights]) -> bool:
    """Return whether float32 holds this layer's sums and its input (`FLOAT32_INPUT`), whatever spikes."""
    driven = int(np.abs(layer.bias).max())
    driven += sum((int(np.ceil(m.largest_sum * m.scale)) + 1) << ACT_SHIFT for m in matrices)
    return max(driven, *(m.largest_sum for m in matrices)) <= FLOAT32_INPUT


@dataclass
class _Parts:
    """The flat arrays in the making, piece by piece."""

    pieces: dict[str, list[Array]] = field(default_factory=dict)

    def add(self, name: str, values: Array) -> int:
        """Append `values`, flattened, to the array `name`; returns where they begin."""
        pieces = self.pieces.setdefault(name, [])
        begin = sum(piece.size for piece in pieces)
        pieces.append(values.ravel())
        return begin

    def joined(self, name: str, dtype: type) -> Array:
        """The array `name`; one element at least."""
        return np.concatenate([*(piece.astype(dtype) for piece in self.pieces.get(name, [])), np.zeros(1, dtype)])


def _add_matrix(parts: _Parts, matrix: _Weights, width: int) -> tuple[Any, ...]:
    """Store `matrix`, densely or sparsely; returns its `MATRIX`. Graded inputs are for dense ones only."""
    weight = matrix.weight
    size, inputs = weight.shape
    if not matrix.graded and SPARSE_COST * (SPARSE_ROW * inputs + np.count_nonzero(weight)) < inputs * width:
        row, column = weight.T.nonzero()
        ends = np.searchsorted(row, np.arange(inputs + 1))
        begins = parts.add("weight", weight[column, row]), parts.add("columns", column), parts.add("ends", ends)
        return (SPARSE, inputs, *begins)
    kind = GRADED if matrix.graded else DENSE
    rows = np.zeros((inputs, width), np.int16)
    rows[:, :size] = weight.T
    if kind == DENSE and weight.min() >= -128 and weight.max() <= 127 and matrix.largest_sum < 2**15:
        kind, rows = PAIRED, (rows[:, width // 2 :] << 8) + (rows[:, : width // 2] + 128)
    return (kind, inputs, parts.add("weight", rows), 0, 0)


def _add_layer(parts: _Parts, layer: Layer, weights: list[_Weights]) -> tuple[Any, list[Any], list[float]]:
    """Store `layer`; returns its `LAYER`, its two `MATRIX` and its constants."""
    neuron, kind, width = layer.neuron, KINDS[layer.neuron.reset], _padded(layer.size)
    coefficients = [getattr(neuron, name) for name in COEFFICIENTS]

    def neurons(name: str, values: Array) -> int:
        padded = np.zeros((*values.shape[:-1], width))
        padded[..., : layer.size] = values
        return parts.add(name, padded)

    decays, *_ = [neurons(name, values / DECAY_ONE) for name, values in zip(COEFFICIENTS, coefficients, strict=True)]
    first, column = neurons("bias", layer.bias), parts.add("columns of a recording", layer.bias)
    neurons("base", layer.bias * (kind != STOCK))
    row = (kind, layer.inputs, layer.size, width, first, column, decays, len(coefficients[0]))
    matrices = [_add_matrix(parts, matrix, width) for matrix in weights] + [(ABSENT, 0, 0, 0, 0)]
    scales = [matrix.scale for matrix in weights] + [1.0]
    return row, matrices[:2], [neuron.gamma, neuron.vth, 1 << ACT_SHIFT, *scales[:2]]


def _compile(net: QuantizedNetwork) -> Program:
    largest = [max(abs(v) for v in net.input.range)] + [1] * (len(net.layers) - 1)
    weights = [
        [_weights(layer.synapses, input_max)] + ([_weights(layer.recurrent, 1)] if layer.recurrent else [])
        for layer, input_max in zip(net.layers, largest, strict=True)
    ]
    real: type = np.float32 if all(map(_fits_float32, net.layers, weights)) else np.float64
    parts = _Parts()
    stored = [_add_layer(parts, layer, matrices) for layer, matrices in zip(net.layers, weights, strict=True)]
    layers, matrices, constants = zip(*stored, strict=True)
    program = Program(
        layers=np.array(list(layers), LAYER),
        matrices=np.array(list(matrices), MATRIX),
        weight=parts.joined("weight", np.int16),
        columns=parts.joined("columns", np.uint32),
        ends=parts.joined("ends", np.int64),
        **{name: parts.joined(name, real) for name in ("a1", "a2", "b1", "b2", "bias", "base")},
        constants=np.array(constants, real),
    )
    return Program(*map(aligned, program))


_programs: dict[int, Program] = {}  # by the network's id, as long as the network lives


def compile_network(net: QuantizedNetwork) -> Program:
    """`net` as a `Program`; made once for each network, whose arrays are read-only copies, so that it stays right."""
    key = id(net)
    if key not in _programs:
        _programs[key] = _compile(net)
        finalize(net, _programs.pop, key, None).atexit = False
    return _programs[key]
