"""The reference executor: plain NumPy, one line a fact. Slow and obviously right; the others are measured by it."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from tclif_neuro.fixed.concerns import warn
from tclif_neuro.fixed.run import LayerRun, Run, Sequences, encode
from tclif_neuro.fixed.step import lif, tclif_delayed, tclif_immediate
from tclif_neuro.network import ACT_SHIFT, DECAY_ONE, Layer, LIFNeuron, QuantizedNetwork, Synapses, TCLIFNeuron

Ints = npt.NDArray[np.int64]


def synaptic_input(synapses: Synapses, spikes: npt.NDArray[Any]) -> Ints:
    """Return the output of a Lava `Dense` for `spikes` [..., M]: `shift(weight @ s, exponent)`, int64 [..., N]."""
    total = spikes.astype(np.int64) @ synapses.weight.T.astype(np.int64)
    return total << synapses.exponent if synapses.exponent >= 0 else total >> -synapses.exponent


class LayerState:
    """The running state of one layer over a batch: two compartments (or current and potential) and the last spikes.

    Starts at rest, at step 0 of the sample.
    """

    def __init__(self, layer: Layer, batch: int) -> None:
        self.layer = layer
        self.step = 0
        self.first, self.second, self.spikes, self.saturations = np.zeros((4, batch, layer.size), dtype=np.int64)
        self.before = self.second

    def advance(self, a_in: Ints) -> Ints:
        """One step on the delivered input `a_in` [B, N]; returns the spikes [B, N]."""
        neuron, act, bias = self.layer.neuron, a_in << ACT_SHIFT, self.layer.bias.astype(np.int64)
        if isinstance(neuron, LIFNeuron):
            decays = DECAY_ONE - neuron.i_decay, DECAY_ONE - neuron.v_decay
            self.first, self.second, self.spikes, saturated = lif(
                self.first, self.second, act, bias, *decays, neuron.vth
            )
            self.before = self.second
        else:
            step = tclif_delayed if neuron.reset == "delayed" else tclif_immediate
            self.first, self.second, self.spikes, saturated, self.before = step(
                self.first, self.second, self.spikes, act + bias, *coefficients(neuron, self.step)
            )
        self.saturations = self.saturations + saturated
        self.step += 1
        return self.spikes


def coefficients(neuron: TCLIFNeuron, step: int) -> tuple[Any, ...]:
    """a1, a2, b1, b2, gamma, vth of `neuron` at `step` of the sample, int64."""
    row = min(step, len(neuron.a1) - 1)
    arrays = (neuron.a1[row], neuron.a2[row], neuron.b1, neuron.b2)
    return (*(a.astype(np.int64) for a in arrays), neuron.gamma, neuron.vth)


def run_layer(
    layer: Layer, spikes: npt.NDArray[Any], ends: npt.NDArray[np.int64], record: bool
) -> tuple[LayerRun, npt.NDArray[np.uint8]]:
    """One layer over a sequence of its inputs [T, B, M], and its spikes [T, B, N]; sample b has ends[b] steps."""
    steps, batch, _ = spikes.shape
    state = LayerState(layer, batch)
    out = np.zeros((steps, batch, layer.size), dtype=np.uint8)
    states = np.zeros((2, steps, batch, layer.size), dtype=np.int32) if record else None
    for t in range(steps):
        a_in = synaptic_input(layer.synapses, spikes[t])
        if layer.recurrent is not None:
            a_in = a_in + synaptic_input(layer.recurrent, state.spikes)
        before = state.first, state.second, state.saturations
        out[t] = state.advance(a_in)
        over = ends <= t
        out[t, over] = 0
        for now, then in zip((state.first, state.second, state.saturations), before, strict=True):
            now[over] = then[over]
        if states is not None:
            states[:, t] = state.first, state.second
    run = LayerRun(
        recorded=None if states is None else Sequences(out, states),
        final=np.stack([state.first, state.second]).astype(np.int32),
        counts=out.sum(axis=0, dtype=np.int64),
        saturations=int(state.saturations.sum()),
    )
    return run, out


def run_reference(
    net: QuantizedNetwork, x: npt.ArrayLike, *, lengths: npt.ArrayLike | None = None, record: bool = False
) -> Run:
    """Run `net` on the float input `x` [T, B, M] with the NumPy reference; `record` keeps spikes and states.

    lengths: [B], the steps of each sample that are its own; None: all.
    Raises `InputError` if `x` does not fit; warns of what `fixed.concerns` names.
    """
    encoded = encode(net, x, lengths)
    signal: npt.NDArray[Any] = encoded.values
    runs = []
    for layer in net.layers:
        run, signal = run_layer(layer, signal, encoded.ends, record)
        runs.append(run)
    return warn(net, Run.of(net, encoded, runs))
