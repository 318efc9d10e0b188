"""The integer neuron that a float neuron becomes, at a given scale.

| float                        | integer                                                                             |
|------------------------------|-------------------------------------------------------------------------------------|
| TCLIF, RelaxedTCLIF          | `TCLIFNeuron`, one row of decays                                                    |
| AdaptiveTCLIF                | `TCLIFNeuron`, its schedule as a table of decays                                    |
| LIF, reset by subtraction    | `TCLIFNeuron` with a passive dendrite: a1 = b1 = gamma = 0, b2 = 1, so that UD = I  |
|                              | and US[t] = beta US[t-1] + I[t] - Vth S[t-1]: LIF's own equation                    |
| CUBALIF, GeneralizedTCLIF    | `TCLIFNeuron`, one row of decays                                                    |
| LIF, reset to zero           | `LIFNeuron`, the stock one, without memory of the current (spikes at v > vth)       |
| CUBALIF, reset to zero       | `LIFNeuron`, the current's decay is alpha; without a bias, which belongs to V there |
| Readout                      | `LIFNeuron` with a threshold out of reach                                           |
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from tclif_neuro.errors import TclifError
from tclif_neuro.network import ACT_SHIFT, DECAY_ONE, MANT_MAX, LIFNeuron, Neuron, TCLIFNeuron
from tclif_neuro.neurons.layer import TwoCompartment
from tclif_neuro.neurons.modules import LIF, Readout
from tclif_neuro.quantization.grid import DECAYS
from tclif_neuro.quantization.stages import Stage

Ints = npt.NDArray[Any]


def to_neuron(stage: Stage, scale_bits: int) -> Neuron:
    """The integer neuron of `stage` where a state U is the integer `U 2^scale_bits`.

    Raises `ConversionError` where there is none: a reset to zero with different decays in one layer, or with a bias of
    a current that has a memory; a schedule that falls too slowly for a table.
    """
    neuron = stage.neuron
    if isinstance(neuron, Readout):
        return _integrator(neuron.decay)
    vth = max(1, threshold_mantissa(neuron.vth, scale_bits))
    if neuron.reset == "zero":
        return _stock(stage, neuron, vth)
    a1, a2, b1, b2 = coefficients(stage, neuron)
    gamma = threshold_mantissa(neuron.gamma, scale_bits)
    return TCLIFNeuron(a1=a1, a2=a2, b1=b1, b2=b2, vth_mant=vth, gamma_mant=gamma, reset=neuron.reset)


def threshold_mantissa(value: float, scale_bits: int) -> int:
    """The mantissa of a threshold or a reset `value`: `value 2^scale_bits` in units of 2^6, clipped to 17 bits."""
    return round(min(math.ldexp(value, scale_bits - ACT_SHIFT), MANT_MAX))


def coefficients(stage: Stage, neuron: TwoCompartment | LIF) -> tuple[Ints, Ints, Ints, Ints]:
    """a1, a2 [K, n] and b1, b2 [n] of a layer, 12 fractional bits.

    A schedule is followed until it is within half a unit of its limit; the last row is the limit, and rows equal to it
    are left out before it.
    """
    try:
        with torch.no_grad():
            a1, a2, b1, b2 = (DECAYS.integers(c) for c in neuron.table(0.5 / DECAY_ONE))
    except TclifError as error:
        raise stage.error(str(error)) from error
    rows = _useful_rows(a1, a2)
    return a1[:rows], a2[:rows], b1, b2


def _useful_rows(a1: Ints, a2: Ints) -> int:
    """Return the number of rows up to the first of the identical last ones."""
    changes = np.flatnonzero((a1 != a1[-1]).any(axis=1) | (a2 != a2[-1]).any(axis=1))
    return int(changes[-1]) + 2 if len(changes) else 1


def _integrator(beta: float) -> LIFNeuron:
    decay = int(DECAYS.integers(torch.as_tensor(beta)))
    return LIFNeuron(i_decay=DECAY_ONE, v_decay=DECAY_ONE - decay, vth_mant=MANT_MAX)


def _stock(stage: Stage, neuron: TwoCompartment | LIF, vth_mant: int) -> LIFNeuron:
    """The stock LIF: its current is the dendrite, which in a LIF has no memory."""
    alpha, beta = (_one_decay(stage, decay[0]) for decay in neuron.coefficients(1)[:2])
    if alpha == DECAY_ONE:
        raise stage.error("its current decays by less than 1/8192 per step, a stock LIF's does by 1/4096; lower alpha")
    if alpha and stage.bias.any():
        raise stage.error(
            "has a bias, which enters its current, and the stock LIF would add it to the potential; use "
            "nn.Linear(..., bias=False) without BatchNorm, or a reset by subtraction ('delayed', 'immediate')"
        )
    return LIFNeuron(i_decay=DECAY_ONE - alpha, v_decay=DECAY_ONE - beta, vth_mant=vth_mant)


def _one_decay(stage: Stage, decays: Tensor) -> int:
    found = np.unique(DECAYS.integers(decays))
    if len(found) > 1:
        raise stage.error(
            "reset 'zero' becomes the stock LIF, which has one decay per layer, and this one has one per neuron; "
            "use per_neuron=False or a reset by subtraction ('delayed', 'immediate')"
        )
    return int(found[0])
