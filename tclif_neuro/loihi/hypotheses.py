"""Possible behaviours of a chip where Lava's CPU models decide one way.

Each is a `Rules` that a conformance vector tries.
"""

from __future__ import annotations

from types import FunctionType
from typing import Any

import numpy as np
import numpy.typing as npt

from tclif_neuro.compiled import rebind
from tclif_neuro.fixed import step
from tclif_neuro.loihi.graph import Edge, Rules
from tclif_neuro.network import DECAY_ONE, STATE_MAX

Ints = npt.NDArray[np.int64]


def wrap24(x: Ints) -> Ints:
    """`x` modulo 2^24, in [-2^23, 2^23)."""
    return ((x + 2**23) & (2**24 - 1)) - 2**23


def saturate24(x: Ints) -> Ints:
    """`x` clipped to +-(2^23 - 1)."""
    return np.clip(x, -STATE_MAX, STATE_MAX)


def shift_each_down(edge: Edge, sent: Ints) -> Ints:
    """Every product shifted by itself, rounding down, then added."""
    return _each(edge, sent, lambda p, e: p >> e)


def shift_each_to_zero(edge: Edge, sent: Ints) -> Ints:
    """Every product shifted by itself, rounding towards zero, then added."""
    return _each(edge, sent, lambda p, e: np.sign(p) * (np.abs(p) >> e))


def shift_to_zero(edge: Edge, sent: Ints) -> Ints:
    """The sum shifted, rounding towards zero."""
    total = edge.product(sent)
    return total << edge.exponent if edge.exponent > 0 else np.sign(total) * (np.abs(total) >> -edge.exponent)


def _each(edge: Edge, sent: Ints, shift: Any) -> Ints:
    if edge.exponent >= 0:
        return edge.deliver(sent)
    signal = sent if edge.message_bits else (sent != 0).astype(np.int64)
    if edge.diagonal:
        moved: Ints = shift(edge.weight * signal, -edge.exponent)
        return moved
    total: Ints = shift(edge.weight[None] * signal[:, None, :], -edge.exponent).sum(axis=-1)
    return total


def unsigned_messages(edge: Edge, sent: Ints) -> Ints:
    """Graded messages as unsigned words of 24 bits, their sign not restored."""
    return edge.deliver(sent & (2**24 - 1) if edge.message_bits else sent)


def _shifted(total: Ints, exponent: int) -> Ints:
    return total << exponent if exponent > 0 else total >> -exponent


def product_wrapped(edge: Edge, sent: Ints) -> Ints:
    """Sums of products wrapped to 24 bits before the shift."""
    return _shifted(wrap24(edge.product(sent)), edge.exponent)


def product_saturated(edge: Edge, sent: Ints) -> Ints:
    """Sums of products saturated to 24 bits before the shift."""
    return _shifted(saturate24(edge.product(sent)), edge.exponent)


def lif_down(*arguments: Any) -> Any:
    """Lava's LIF whose decays round down instead of towards zero."""
    floor = {"mul": lambda x, k: (x * k) >> step.DECAY_SHIFT}
    return FunctionType(step.lif.__code__, {**vars(step), **floor})(*arguments)


def lif_saturating(u: Ints, v: Ints, act: Ints, bias: Ints, u_decay: int, v_decay: int, vth: int) -> Any:
    """Lava's LIF whose current saturates instead of wrapping."""
    current = step.mul(u, u_decay) + act
    u = saturate24(current)
    potential = step.mul(v, v_decay) + u + bias
    v = saturate24(potential)
    spike = (v > vth) * 1
    return u, v * (1 - spike), spike, (current != u) * 1 + (potential != v) * 1


def tclif_rules(**other: Any) -> Rules:
    """TC-LIF whose `mul`, `sat`, `fire` or `integrate` is another."""
    own = {"mul": step.mul, "sat": step.sat, "int32": step.int32}
    made = step.bind(rebind, **{**own, **other})
    return Rules(delayed=made.tclif_delayed, immediate=made.tclif_immediate)


def mul_down(x: Ints, k: Ints) -> Ints:
    """`x k / 4096` rounded down."""
    return (x * k) >> step.DECAY_SHIFT


def integrate_old(  # noqa: PLR0913 (the arguments of dynamics.integrate)
    dendrite: Ints, soma: Ints, act: Ints, drop_d: Ints, drop_s: Ints, a1: Ints, a2: Ints, b1: Ints, b2: Ints
) -> tuple[Ints, Ints, Ints, Ints]:
    """The two compartments, the soma fed by the last step's dendrite."""
    held, _, wide_d, _ = step.integrate(dendrite, soma, act, drop_d, 0, a1, a2, b1, b2)
    _, soma, _, wide_s = step.integrate(dendrite, soma, 0, 0, drop_s, DECAY_ONE, a2, 0, b2)  # UD stays
    return held, soma, wide_d, wide_s


LAVA = {"lava": Rules()}
TCLIF = {
    **LAVA,
    "down": tclif_rules(mul=mul_down),
    "wrap24": tclif_rules(sat=wrap24),
    "greater": tclif_rules(fire=lambda soma, vth: (soma > vth) * 1),
    "old-dendrite": tclif_rules(integrate=integrate_old),
}
DELAY = {**LAVA, "two-steps": Rules(delay=2), "three-steps": Rules(delay=3)}
SHIFT = {
    **LAVA,
    "sum-to-zero": Rules(deliver=shift_to_zero),
    "each-down": Rules(deliver=shift_each_down),
    "each-to-zero": Rules(deliver=shift_each_to_zero),
}
MESSAGES = {
    **LAVA,
    "unsigned": Rules(deliver=unsigned_messages),
    "wrap24": Rules(deliver=product_wrapped),
    "saturate24": Rules(deliver=product_saturated),
}
DECAY = {**LAVA, "down": Rules(lif=lif_down), "saturating": Rules(lif=lif_saturating)}
SIGMA = {
    **LAVA,
    "wrap24": Rules(sigma=wrap24),
    "saturate24": Rules(sigma=saturate24),
    "on-change": Rules(sends_always=False),
}
