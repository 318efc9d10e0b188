"""The weight matrices of a network: one number and one name for each, in random bits, files, logs and kernels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from tclif_neuro.network import QuantizedNetwork, Synapses

Ints = npt.NDArray[Any]


class Matrix(NamedTuple):
    """The input synapses of layer `layer` (from 0), or its recurrent ones."""

    layer: int
    recurrent: bool = False

    @property
    def number(self) -> int:
        """Two per layer, the input synapses first; a recurrent matrix that a layer lacks has a number all the same."""
        return 2 * self.layer + self.recurrent

    @property
    def name(self) -> str:
        """ "0", "0_recurrent", "1", ..."""
        return f"{self.layer}_recurrent" if self.recurrent else str(self.layer)


def matrices(net: QuantizedNetwork) -> tuple[Matrix, ...]:
    """The matrices that `net` has, by their number."""
    return tuple(
        Matrix(i, recurrent)
        for i, layer in enumerate(net.layers)
        for recurrent in (False, True)
        if not recurrent or layer.recurrent is not None
    )


def synapses_of(net: QuantizedNetwork, matrix: Matrix) -> Synapses:
    """The synapses of one matrix."""
    layer = net.layers[matrix.layer]
    found = layer.recurrent if matrix.recurrent else layer.synapses
    if found is None:
        raise KeyError(f"matrix {matrix.name}: layer {matrix.layer} is not recurrent")
    return found


def weights_of(net: QuantizedNetwork) -> dict[Matrix, Ints]:
    """The mantissas [N, M] of each matrix, int64."""
    return {matrix: synapses_of(net, matrix).weight.astype(np.int64) for matrix in matrices(net)}


def with_weights(net: QuantizedNetwork, weights: Mapping[Matrix, Ints]) -> QuantizedNetwork:
    """`net` with other mantissas; a matrix that `weights` does not name keeps its own."""
    layers = []
    for i, layer in enumerate(net.layers):
        synapses = replace(layer.synapses, weight=weights.get(Matrix(i), layer.synapses.weight))
        own = layer.recurrent
        recurrent = own and replace(own, weight=weights.get(Matrix(i, True), own.weight))
        layers.append(replace(layer, synapses=synapses, recurrent=recurrent))
    return replace(net, layers=tuple(layers))
