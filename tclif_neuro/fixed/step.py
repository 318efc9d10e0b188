"""The integer neurons, one step each, written once: `dynamics`, over integers that round and saturate.

Every executor calls these functions or compiles them: the NumPy reference and Lava's ProcessModels pass int64 arrays,
the fast simulator compiles the very same source over another exact arithmetic (`fixed.kernel`). State in, state out;
nothing is modified in place.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from tclif_neuro import dynamics
from tclif_neuro.compiled import rebind
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


integrate = rebind(dynamics.integrate, mul=mul, sat=sat)
fire = dynamics.fire
reset = rebind(dynamics.reset, sat=sat)
reset_to_zero = dynamics.reset_to_zero


def tclif_delayed(
    dendrite: Int, soma: Int, fired: Int, act: Int, a1: Int, a2: Int, b1: Int, b2: Int, gamma: Int, vth: Int
) -> tuple[Int, Int, Int, Int, Int]:
    """One step of TC-LIF, the reset taken off in the step after the spike [Zhang et al. 2024, eqs. 10-12].

        UD <- sat(mul(UD, a1) + mul(US, b1) + act - gamma fired)
        US <- sat(mul(US, a2) + mul(UD, b2)       - vth   fired)
        S   = US >= vth

    act: input and bias of this step; fired: last step's S. Returns UD, US, S, how many of the two saturated, and US
    before the reset of this step, of which there is none.
    """
    dendrite, soma, wide_d, wide_s = integrate(dendrite, soma, act, gamma * fired, vth * fired, a1, a2, b1, b2)
    spike = fire(soma, vth)
    return dendrite, soma, spike, (wide_d != dendrite) * 1 + (wide_s != soma) * 1, soma


def tclif_immediate(
    dendrite: Int, soma: Int, fired: Int, act: Int, a1: Int, a2: Int, b1: Int, b2: Int, gamma: Int, vth: Int
) -> tuple[Int, Int, Int, Int, Int]:
    """One step of TC-LIF, the reset taken off at the end of the same step (as the TC-LIF authors' released code does).

        UD <- sat(mul(UD, a1) + mul(US, b1) + act);    S = US >= vth;    UD <- sat(UD - gamma S)
        US <- sat(mul(US, a2) + mul(UD, b2));                            US <- sat(US - vth   S)

    Arguments and results as `tclif_delayed`; `fired` is not used.
    """
    dendrite, before, wide_d, wide_s = integrate(dendrite, soma, act, 0, 0, a1, a2, b1, b2)
    spike = fire(before, vth)
    saturations = (wide_d != dendrite) * 1 + (wide_s != before) * 1
    dendrite, soma, wide_d = reset(dendrite, before, spike, gamma, vth)
    return dendrite, soma, spike, saturations + (wide_d < -STATE_MAX) * 1, before


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
    return wrapped, reset_to_zero(v, spike), spike, (current != wrapped) * 1 + (potential != v) * 1


class Neurons(NamedTuple):
    """The functions of this module over one arithmetic."""

    mul: Callable[..., Any]
    sat: Callable[..., Any]
    int32: Callable[..., Any]
    integrate: Callable[..., Any]
    tclif_delayed: Callable[..., Any]
    tclif_immediate: Callable[..., Any]
    lif: Callable[..., Any]


def bind(make: Callable[..., Any], mul: Any, sat: Any, int32: Any, **constants: Any) -> Neurons:
    """The neurons over another arithmetic, from the same source.

    make: `compiled.rebind`, or to compile them `inlined` or `over_reals`. constants: other global names of the source.
    """
    inner = {
        "mul": mul,
        "sat": sat,
        "int32": int32,
        "integrate": make(dynamics.integrate, mul=mul, sat=sat),
        "fire": make(dynamics.fire),
        "reset": make(dynamics.reset, sat=sat),
        "reset_to_zero": make(dynamics.reset_to_zero),
        **constants,
    }
    made = (make(function, **inner) for function in (tclif_delayed, tclif_immediate, lif))
    return Neurons(mul, sat, int32, inner["integrate"], *made)
