"""The neurons in Triton: a step of `dynamics`, and its transpose, over tiles of a GPU's registers.

The equations are the source of `dynamics`, as in `kernels`: no second copy. Every launch turns fused multiply-add off,
and what is at most `TINY` becomes 0 where the CPU's kernels do it, so states and spikes are those of the CPU to the
bit. Coefficients come in pairs, `decays` a1 and a2, `couplings` b1 and b2, of shapes that broadcast with the tile.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import triton
import triton.language as tl

from tclif_neuro import dynamics
from tclif_neuro.compiled import rebind

TINY = tl.constexpr(1e-30)


def part(function: Callable[..., Any]) -> Any:
    """A function for kernels to call. Interpreted, it stays what it is: Triton would prepare itself at each call."""
    return function if os.environ.get("TRITON_INTERPRET") == "1" else triton.jit(function)


def over_tiles(function: Callable[..., Any], **names: Any) -> Any:
    """`rebind`, for Triton: with its language in sight and its tensors as the values."""
    return part(rebind(function, tl=tl, Value=tl.tensor, **names))


@part
def flush(x):
    """0 for what is too small to matter, as in `kernels`; a NaN stays one."""
    return tl.where(tl.abs(x) <= TINY, 0.0, x)


_mul, _sat = over_tiles(dynamics.mul), over_tiles(dynamics.sat)
integrate = over_tiles(dynamics.integrate, mul=_mul, sat=_sat)
fire = over_tiles(dynamics.fire)
reset = over_tiles(dynamics.reset, sat=_sat)
reset_to_zero = over_tiles(dynamics.reset_to_zero)
integrate_back = over_tiles(dynamics.integrate_back, mul=_mul, flush=flush)
fire_back = over_tiles(dynamics.fire_back)
reset_back = over_tiles(dynamics.reset_back)
reset_to_zero_back = over_tiles(dynamics.reset_to_zero_back)


@part
def surrogate_derivative(x, k, SURROGATE: tl.constexpr):
    """psi(x), x = US - Vth; see `surrogate.Surrogate`. k: the slope (arctan: pi k)."""
    if SURROGATE == "triangle":
        y = 1.0 - k * tl.abs(x)
        return tl.where(y < 0.0, 0.0, y)  # a NaN stays one
    elif SURROGATE == "arctan":
        y = k * x
        return 1.0 / (1.0 + y * y)
    else:
        y = 1.0 + k * tl.abs(x)
        return 1.0 / (y * y)


@part
def settle(dendrite, soma, gamma, vth, RESET: tl.constexpr):
    """UD, US after the reset, and S, of UD and US before it."""
    spike = fire(soma, vth).to(tl.float32)
    if RESET == "immediate":
        dendrite, soma, _ = reset(dendrite, soma, spike, gamma, vth)
    elif RESET == "zero":
        soma = reset_to_zero(soma, spike)
    return dendrite, soma, spike


@part
def advance(dendrite, soma, spike, current, decays, couplings, gamma, vth, RESET: tl.constexpr):
    """A step: UD and US before its reset, from UD, US and S after the step before."""
    a1, a2 = decays
    b1, b2 = couplings
    drop_d, drop_s = 0.0, 0.0
    if RESET == "delayed":
        drop_d, drop_s = gamma * spike, vth * spike
    dendrite, soma, _, _ = integrate(dendrite, soma, current, drop_d, drop_s, a1, a2, b1, b2)
    return flush(dendrite), flush(soma)


@part
def retreat(to_d, to_s, to_spike, psi, soma, decays, couplings, backs, vth, RESET: tl.constexpr):
    """The transpose of a step: dE/dUD[t] = dE/dI[t] and dE/dUS[t], both before the reset, and dE/d(UD, US, S)[t-1].

    to_d, to_s, to_spike: dE/d(UD, US, S)[t] of all that follows. psi, soma: at US[t] before its reset. backs: gamma,
    Vth and 1 as the gradient sees the reset, all 0 where that is detached.
    """
    a1, a2 = decays
    b1, b2 = couplings
    gamma, drop, kept = backs
    if RESET == "immediate":
        to_spike = reset_back(to_d, to_s, to_spike, gamma, drop)
    elif RESET == "zero":
        to_s, to_spike = reset_to_zero_back(to_s, to_spike, soma, fire(soma, vth).to(tl.float32), kept)
    to_s = fire_back(to_s, to_spike, psi)
    whole_d, whole_s, to_d, to_s = integrate_back(to_d, to_s, a1, a2, b1, b2)
    to_spike = tl.zeros_like(to_d)
    if RESET == "delayed":
        to_spike = reset_back(whole_d, whole_s, to_spike, gamma, drop)
    return whole_d, whole_s, to_d, to_s, to_spike
