"""The reference executor: plain NumPy, one line a fact. Slow and obviously right; the others are measured by it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from tclif_neuro.fixed.concerns import warn
from tclif_neuro.fixed.run import LayerRun, Run, Sequences, encode
from tclif_neuro.fixed.step import lif, tclif_delayed, tclif_immediate
from tclif_neuro.network import ACT_SHIFT, Layer, Neuron, QuantizedNetwork, Synapses

Ints = npt.NDArray[np.int64]
_States = tuple[Ints, Ints, Ints]  # the two states and the last spikes


def synaptic_input(synapses: Synapses, spikes: npt.NDArray[Any]) -> Ints:
    """Return the output of a Lava `Dense` for `spikes` [..., M]: `shift(weight @ s, exponent)`, int64 [..., N]."""
    total = spikes.astype(np.int64) @ synapses.weight.T.astype(np.int64)
    return total << synapses.exponent if synapses.exponent >= 0 else total >> -synapses.exponent


def _delayed(states: _States, act: Ints, bias: Ints, *values: Any) -> tuple[Any, ...]:
    return tclif_delayed(*states, act + bias, *values)


def _immediate(states: _States, act: Ints, bias: Ints, *values: Any) -> tuple[Any, ...]:
    return tclif_immediate(*states, act + bias, *values)


def _lif(states: _States, act: Ints, bias: Ints, a1: Any, a2: Any, *values: Any) -> tuple[Any, ...]:
    """Lava's LIF adds the bias to the potential, and is compared after its reset alone."""
    u, v, spikes, saturated = lif(*states[:2], act, bias, a1, a2, values[-1])
    return u, v, spikes, saturated, v


STEPS: dict[str, Callable[..., tuple[Any, ...]]] = {"delayed": _delayed, "immediate": _immediate, "zero": _lif}


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
        states = self.first, self.second, self.spikes
        new = STEPS[neuron.reset](states, act, bias, *coefficients(neuron, self.step))
        self.first, self.second, self.spikes, saturated, self.before = new
        self.saturations = self.saturations + saturated
        self.step += 1
        return self.spikes


def coefficients(neuron: Neuron, step: int) -> tuple[Any, ...]:
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
