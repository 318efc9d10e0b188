"""Two-compartment neurons seen from inside: their paths in the plane of their states, and their eligibility traces."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tclif_neuro import dynamics
from tclif_neuro.errors import TclifError
from tclif_neuro.fixed.run import Run
from tclif_neuro.network import DECAY_ONE, QuantizedNetwork, TCLIFNeuron

Array = npt.NDArray[Any]


@dataclass(frozen=True, kw_only=True, eq=False)
class Path:
    """One neuron's way through a sample, in float units.

    dendrite, soma: [T], after each step. spikes: [T] in {0, 1}. crossings: [K, 2], dendrite and soma at each spike, as
    they were compared with the threshold. resets: [J, 2, 2], from where to where each reset moved the state: in the
    step of the spike, or, if it is delayed, in the next one, of which the last spike may have none.
    """

    neuron: int
    dendrite: Array
    soma: Array
    spikes: Array
    crossings: Array
    resets: Array
    threshold: float
    delayed: bool


@dataclass(frozen=True, kw_only=True, eq=False)
class Eligibility:
    """The three factors of e-prop at one neuron but for the learning signal [Yin et al. 2024, eqs. 17-22].

        d_i[t] = a1 d_i[t-1] + b1 e_i[t-1] + x_i[t],    e_i[t] = a2 e_i[t-1] + b2 d_i[t]
        psi[t] = max(0, 1 - |US[t] - Vth| / Vth)

    inputs: [M, T], x_i, graded ones as shares of the largest. dendrite, soma: [M, T], d_i and e_i, with the reset
    detached. psi: [T], of the soma before a reset. spikes: [T].
    """

    neuron: int
    inputs: Array
    dendrite: Array
    soma: Array
    psi: Array
    spikes: Array

    @property
    def busiest(self) -> list[int]:
        """The inputs in falling order of the sum over time of |psi e_i|: what could be learnt of them."""
        worth = np.abs(self.psi * self.soma).sum(axis=1)
        return np.argsort(-worth, kind="stable").tolist()


def path(net: QuantizedNetwork, run: Run, *, layer: int, sample: int, neuron: int) -> Path:
    """The path of a neuron in a recorded run. Raises `TclifError` if the layer has no two compartments."""
    cell = _two_compartments(net, layer)
    size = net.layers[layer].size
    if not 0 <= neuron < size:
        raise TclifError(f"neuron {neuron}: layer {layer} has neurons 0 to {size - 1}")
    done, unit = run.layers[layer], 2.0 ** -net.layers[layer].scale_bits
    dendrite, soma = (unit * states[:, sample, neuron] for states in (done.dendrite, done.soma))
    spikes = done.spikes[:, sample, neuron]
    fired, delayed = np.flatnonzero(spikes), cell.reset == "delayed"
    (b2,) = _of_neuron(cell.b2, neuron)
    to_dendrite, to_soma = unit * cell.gamma, unit * cell.vth
    moved = np.array([to_dendrite, to_soma + b2 * to_dendrite if delayed else to_soma])
    at = fired[fired + 1 < len(spikes)] + 1 if delayed else fired
    after = np.stack([dendrite[at], soma[at]], axis=1)
    crossed = np.stack([dendrite[fired], soma[fired]], axis=1) + (0.0 if delayed else moved)
    return Path(
        neuron=neuron,
        dendrite=dendrite,
        soma=soma,
        spikes=spikes,
        crossings=crossed,
        resets=np.stack([after + moved, after], axis=1),
        threshold=to_soma,
        delayed=delayed,
    )


def eligibility(net: QuantizedNetwork, run: Run, *, layer: int, sample: int, neuron: int) -> Eligibility:
    """The eligibility traces of a neuron's input synapses in a recorded run. Raises `TclifError` as `path` does."""
    cell, way = _two_compartments(net, layer), path(net, run, layer=layer, sample=sample, neuron=neuron)
    entered = run.layers[layer - 1].spikes if layer else run.input / max(net.input.range)
    inputs = np.asarray(entered, np.float64)[:, sample].T
    coefficients = [_of_neuron(c, neuron) for c in (cell.a1, cell.a2, cell.b1, cell.b2)]
    d = e = np.zeros(len(inputs))
    traces = []
    for t, x in enumerate(inputs.T):
        a1, a2, b1, b2 = (c[min(t, len(c) - 1)] for c in coefficients)
        d, e, *_ = dynamics.integrate(d, e, x, 0.0, 0.0, a1, a2, b1, b2)
        traces.append((d, e))
    dendrite, soma = np.array(traces).transpose(1, 2, 0)
    compared = way.soma + (0.0 if way.delayed else way.threshold * way.spikes)
    psi = np.maximum(0.0, 1 - np.abs(compared - way.threshold) / way.threshold)
    return Eligibility(neuron=neuron, inputs=inputs, dendrite=dendrite, soma=soma, psi=psi, spikes=way.spikes)


def _two_compartments(net: QuantizedNetwork, layer: int) -> TCLIFNeuron:
    if not 0 <= layer < len(net.layers):
        raise TclifError(f"layer {layer}: the network has layers 0 to {len(net.layers) - 1}")
    neuron = net.layers[layer].neuron
    if not isinstance(neuron, TCLIFNeuron):
        raise TclifError(f"layer {layer}: is a LIF, which has one compartment; two are needed")
    return neuron


def _of_neuron(coefficient: Array, neuron: int) -> Array:
    """A neuron's own coefficient, a number per row of the schedule."""
    column = coefficient[..., min(neuron, coefficient.shape[-1] - 1)] / DECAY_ONE
    return np.atleast_1d(column)
