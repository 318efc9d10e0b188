"""The two-compartment neuron: its equations, once. Begin here.

A neuron is a dendrite UD, a soma US and a spike S. A step integrates the input I, fires, and resets:

    integrate   UD <- sat(mul(UD, a1) + mul(US, b1) + I - drop_d)
                US <- sat(mul(US, a2) + mul(UD, b2)     - drop_s)
    fire         S <- 1 where US >= Vth, else 0
    reset       UD <- sat(UD - gamma S)
                US <- sat(US - Vth   S)

Two neurons of the literature take the reset off at two times; they are not the same neuron:

    "delayed"    [T 10-12], [O 14-16]: integrate with drop_d = gamma S[t-1], drop_s = Vth S[t-1]; fire; no reset
    "immediate"  the code released with [T]: integrate with drop_d = drop_s = 0; fire; reset

What the coefficients are makes the kind of neuron:

    TC-LIF           a1 = a2 = 1, b1 = -sigmoid(c1), b2 = sigmoid(c2), c1 and c2 learnable     [T 10-12]
    relaxed TC-LIF   a1, a2 in (0, 1) learnable; b1, b2 fixed                                  [O 23-26]
    Adaptive TC-LIF  a1[t], a2[t] fall from 1 towards a learnable minimum; b1, b2 fixed        [O 29-32]
    LIF              a1 = b1 = gamma = 0, b2 = 1: US <- a2 US + I                              [T 1-3]

and what `mul` and `sat` are makes the numbers. Here they are those of the real numbers: `mul` multiplies, `sat` does
nothing. Other numbers are this source again, rebound (`compiled.rebind`):

    integers      mul(x, k) = x k / 4096 rounded towards zero, sat to +-(2^23 - 1)    `fixed.step`, docs/integers.md
    exact floats  the same integers in float32 or float64, for speed                  `fixed.exact`
    Lava          both: its fixed-point and its floating-point model                  `lava.processes.tclif`

The neuron is linear between spikes, so what one of its parameters does to the two states, an eligibility trace, obeys
the same two lines [O 17-22], with d = dUD/dw for UD and e = dUS/dw for US, the direct effect of w for I, and the way
through the reset in b1 and a2: in integers `onchip.rule.equations`.

[T] Zhang et al., TC-LIF, AAAI 2024. [O] Yin et al., Efficient Online Learning for Networks of Two-Compartment Spiking
Neurons, 2024. No function here changes an argument; all work on numbers and, element by element, on arrays.
"""

from __future__ import annotations

from typing import Any

Value = Any  # a number, or an array or tensor of any shape that broadcasts with the others


def mul(x: Value, k: Value) -> Value:
    """A state times a coefficient."""
    return x * k


def sat(x: Value) -> Value:
    """A state kept in its range."""
    return x


def integrate(
    dendrite: Value,
    soma: Value,
    current: Value,
    drop_d: Value,
    drop_s: Value,
    a1: Value,
    a2: Value,
    b1: Value,
    b2: Value,
) -> tuple[Value, Value, Value, Value]:
    """The two compartments after the input `current`: UD, US, and both as they were before `sat`."""
    wide_d = mul(dendrite, a1) + mul(soma, b1) + current - drop_d
    dendrite = sat(wide_d)
    wide_s = mul(soma, a2) + mul(dendrite, b2) - drop_s
    return dendrite, sat(wide_s), wide_d, wide_s


def fire(soma: Value, vth: Value) -> Value:
    """The spikes, in {0, 1}. In torch it is a surrogate's `heaviside(US - Vth)`, which has a gradient [T 21]."""
    return (soma >= vth) * 1


def reset(dendrite: Value, soma: Value, spike: Value, gamma: Value, vth: Value) -> tuple[Value, Value, Value]:
    """The two compartments after the spike, and UD before `sat`. US, at least Vth where it falls, stays in range."""
    wide_d = dendrite - gamma * spike
    return sat(wide_d), soma - vth * spike, wide_d


def reset_to_zero(soma: Value, spike: Value) -> Value:
    """The other reset of a LIF: US is 0 where it fired."""
    return soma - soma * spike
