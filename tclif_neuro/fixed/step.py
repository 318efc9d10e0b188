"""The integer neurons, one step each, written once.

Every executor calls these functions or compiles them: the NumPy reference and Lava's ProcessModels pass int64 arrays,
the fast simulator compiles the very same source over another exact arithmetic (`fixed.kernel`). State in, state out;
nothing is modified in place.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tclif_neuro.network import STATE_MAX

DECAY_SHIFT = 12

Int = Any  # an int64 array in NumPy, an int64 scalar when compiled


def mul(x: Int, k: Int) -> Int:
    """`x k / 4096` rounded towards zero, as Loihi's decay: `sign(x k) (|x k| >> 12)`. |x k| must fit in 63 bits."""
    product = x * k
    return np.sign(product) * (np.abs(product) >> DECAY_SHIFT)


def sat(x: Int) -> Int:
    """`x` saturated to signed 24 bits, +-(2^23 - 1)."""
    return np.maximum(-STATE_MAX, np.minimum(STATE_MAX, x))


def int32(x: Int) -> Int:
    """`x` wrapped around to 32 bits, as Lava's int32 arrays do on overflow."""
    return ((x + 2**31) & 0xFFFFFFFF) - 2**31


def tclif_delayed(
    dendrite: Int, soma: Int, fired: Int, act: Int, a1: Int, a2: Int, b1: Int, b2: Int, gamma: Int, vth: Int
) -> tuple[Int, Int, Int, Int]:
    """One step of TC-LIF, the reset taken off in the step after the spike [Zhang et al. 2024, eqs. 10-12].

        UD <- sat(mul(UD, a1) + mul(US, b1) + act - gamma fired)
        US <- sat(mul(US, a2) + mul(UD, b2)       - vth   fired)
        S   = US >= vth

    act: input and bias of this step; fired: last step's S. Returns UD, US, S and how many of the two saturated.
    """
    d = mul(dendrite, a1) + mul(soma, b1) + act - gamma * fired
    dendrite = sat(d)
    s = mul(soma, a2) + mul(dendrite, b2) - vth * fired
    soma = sat(s)
    spike = (soma >= vth) * 1
    return dendrite, soma, spike, (d != dendrite) * 1 + (s != soma) * 1


def tclif_immediate(
    dendrite: Int, soma: Int, fired: Int, act: Int, a1: Int, a2: Int, b1: Int, b2: Int, gamma: Int, vth: Int
) -> tuple[Int, Int, Int, Int]:
    """One step of TC-LIF, the reset taken off at the end of the same step (as the TC-LIF authors' released code does).

        UD <- sat(mul(UD, a1) + mul(US, b1) + act);    S = US >= vth;    UD <- sat(UD - gamma S)
        US <- sat(mul(US, a2) + mul(UD, b2));                            US <- sat(US - vth   S)

    Arguments and results as `tclif_delayed`; `fired` is not used.
    """
    d = mul(dendrite, a1) + mul(soma, b1) + act
    dendrite = sat(d)
    s = mul(soma, a2) + mul(dendrite, b2)
    soma = sat(s)
    spike = (soma >= vth) * 1
    lowered = dendrite - gamma * spike
    saturations = (d != dendrite) * 1 + (s != soma) * 1 + (lowered < -STATE_MAX) * 1
    return sat(lowered), soma - vth * spike, spike, saturations


def lif(u: Int, v: Int, act: Int, bias: Int, u_decay: Int, v_decay: Int, vth: Int) -> tuple[Int, Int, Int, Int]:
    """One step of Lava's bit-accurate CUBA LIF; `u_decay`, `v_decay` are 4096 minus the neuron's `i_decay`, `v_decay`.

        u <- wrap(mul(u, u_decay) + act)
        v <- sat(mul(v, v_decay) + u + bias);    S = v > vth;    v <- 0 where S

    `wrap` adds or takes 2^24 once, at 2^23, in 32-bit arithmetic, as Lava does. Returns u, v, S and how many of u, v
    left their range.
    """
    current = int32(mul(u, u_decay) + act)
    wrapped = current - (current > STATE_MAX + 1) * 2**24 + (current <= -STATE_MAX - 1) * 2**24
    potential = int32(mul(v, v_decay) + wrapped + bias)
    v = sat(potential)
    spike = (v > vth) * 1
    return wrapped, v * (1 - spike), spike, (current != wrapped) * 1 + (potential != v) * 1
