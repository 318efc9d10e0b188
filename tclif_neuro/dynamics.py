"""The two-compartment neuron: its equations, once, and their transpose. Begin here.

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
    generalized      a1, a2 in (0, 1), b1, b2 in [-1, 1], each learnable or fixed              [T 7-9]
    LIF              a1 = b1 = gamma = 0, b2 = 1: US <- a2 US + I                              [T 1-3]
    CUBA LIF         b1 = gamma = 0, b2 = 1: UD, its current, has a decay a1 of its own        Lava's LIF

and what `mul` and `sat` are makes the numbers. Here they are those of the real numbers: `mul` multiplies, `sat` does
nothing. Other numbers are this source again, rebound (`compiled.rebind`):

    torch         tensors; `fire` is a surrogate's, which has a gradient [T 21]       `neurons.step`
    scans         float32 or float64, compiled, whole sequences forward and backward  `neurons.kernels`
    integers      mul(x, k) = x k / 4096 rounded towards zero, sat to +-(2^23 - 1)    `fixed.step`, docs/integers.md
    exact floats  the same integers in float32 or float64, for speed                  `fixed.exact`
    Lava          both: its fixed-point and its floating-point model                  `lava.processes.tclif`

The neuron is linear between spikes, so what one of its parameters does to the two states, an eligibility trace, obeys
the same two lines [O 17-22], with d = dUD/dw for UD and e = dUS/dw for US, the direct effect of w for I, and the way
through the reset in b1 and a2: `learning.eprop.equations`, and in integers `onchip.rule.equations`.

The transpose says how a loss E depends on what entered a step, given how it depends on what came out (`to_x` is dE/dx):
BPTT's backward pass, and for e-prop the sum over a chunk of steps of what its traces gather.

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
    """The spikes, in {0, 1}."""
    return (soma >= vth) * 1


def reset(dendrite: Value, soma: Value, spike: Value, gamma: Value, vth: Value) -> tuple[Value, Value, Value]:
    """The two compartments after the spike, and UD before `sat`. US, at least Vth where it falls, stays in range."""
    wide_d = dendrite - gamma * spike
    return sat(wide_d), soma - vth * spike, wide_d


def reset_to_zero(soma: Value, spike: Value) -> Value:
    """The other reset of a LIF: US is 0 where it fired."""
    return soma - soma * spike


def flush(x: Value) -> Value:
    """A derivative as the step before receives it; compiled code puts 0 for one too small to matter."""
    return x


def integrate_back(
    to_dendrite: Value, to_soma: Value, a1: Value, a2: Value, b1: Value, b2: Value
) -> tuple[Value, Value, Value, Value]:
    """The transpose of `integrate` where nothing saturates: of E through all that follows the step.

    Returns dE/dUD[t] and dE/dUS[t], all ways counted, then dE/dUD[t-1] and dE/dUS[t-1]. The first is also dE/dI and
    -dE/ddrop_d, the second -dE/ddrop_s. The first times UD[t-1] is dE/da1, times US[t-1] dE/db1; the second times
    US[t-1] is dE/da2, times UD[t] dE/db2.
    """
    whole_d, whole_s = flush(to_dendrite + mul(to_soma, b2)), flush(to_soma)
    return whole_d, whole_s, mul(whole_d, a1), mul(whole_d, b1) + mul(whole_s, a2)


def fire_back(to_soma: Value, to_spike: Value, psi: Value) -> Value:
    """The transpose of `fire`, added to to_soma: dE/dUS. psi: the surrogate derivative at US - Vth."""
    return to_soma + psi * to_spike


def reset_back(to_dendrite: Value, to_soma: Value, to_spike: Value, gamma: Value, vth: Value) -> Value:
    """The transpose of `reset`, and of the drops of a delayed one, added to to_spike: dE/dS. The states pass as is."""
    return to_spike - gamma * to_dendrite - vth * to_soma


def reset_to_zero_back(to_soma: Value, to_spike: Value, soma: Value, spike: Value, kept: Value) -> tuple[Value, Value]:
    """The transpose of `reset_to_zero`: dE/dUS, dE/dS. kept: 1, or 0 for no gradient through the spike."""
    return to_soma - to_soma * spike, to_spike - kept * soma * to_soma
