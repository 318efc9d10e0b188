"""`kernels.forward` and `kernels.backward` for layers whose neurons do not hear each other: 16 neurons at a time.

Where a layer is not recurrent, nothing has to be known of the other neurons before the next step. So 16 neurons, a
strip, run through a segment of steps with their states in registers, which takes half of the time. The arguments, the
order of operations and so the bits are those of `kernels`; the width of the layer must be a multiple of `LANES`.

`load` and `store` count the elements of an array from its beginning: those of [T, B, N] at t B N + b N + n. Functions
over a strip exist once for each reset, `RESET`: a branch in the loop over steps would double its time.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit

from tclif_neuro.compiled import inlined, kernel
from tclif_neuro.lanes import LANES, everywhere, load, store, where, wide
from tclif_neuro.neurons.kernels import (
    ARCTAN,
    DELAYED,
    IMMEDIATE,
    SEGMENT,
    TRIANGLE,
    ZERO,
    block,
    fire,
    fire_back,
    flush,
    integrate,
    integrate_back,
    reset,
    reset_back,
    reset_to_zero,
    reset_to_zero_back,
)

RESET = DELAYED


class Strip(NamedTuple):
    """The steps `start` ... `stop` - 1 of neurons n ... n + LANES - 1, of which the first is element `at` of a step's
    `plane` elements."""

    n: int
    at: int
    plane: int
    start: int
    stop: int


class Scratch(NamedTuple):
    """A strip's states in a segment [SEGMENT, LANES]: UD and US before each step, UD and US reached in it,
    before a reset; the surrogate derivative there; dE/dUD and dE/dUS."""

    before_d: Any
    before_s: Any
    reached_d: Any
    reached_s: Any
    psi: Any
    to_d: Any
    to_s: Any


def _advance(p, dendrite, soma, spike, current, a1, a2, b1, b2):
    """A step: UD, US and S after it, then UD and US before a reset of the same step."""
    if RESET == DELAYED:
        d, s, _, _ = integrate(dendrite, soma, current, p.gamma * spike, p.vth * spike, a1, a2, b1, b2)
        d, s = flush(d), flush(s)
        return d, s, fire(s, p.vth), d, s
    zero = p.one - p.one
    d, s, _, _ = integrate(dendrite, soma, current, zero, zero, a1, a2, b1, b2)
    d, s = flush(d), flush(s)
    fired = fire(s, p.vth)
    if RESET == IMMEDIATE:
        after_d, after_s, _ = reset(d, s, fired, p.gamma, p.vth)
        return after_d, after_s, fired, d, s
    return d, reset_to_zero(s, fired), fired, d, s


def _retreat(p, grad, to_d, to_s, to_spike, soma, psi, a1, a2, b1, b2):
    """A step backward, as `kernels._step_back`: dE/dUD, dE/dUS before the reset, dE/d(UD, US, S) before the step."""
    zero = p.one - p.one
    kept = p.one if p.keep else zero
    gamma, vth = kept * p.gamma, kept * p.vth
    if RESET == DELAYED:
        s = fire_back(to_s, grad + to_spike, psi)
        d, s, before_d, before_s = integrate_back(to_d, s, a1, a2, b1, b2)
        return d, s, before_d, before_s, reset_back(d, s, zero, gamma, vth)
    if RESET == IMMEDIATE:
        s = fire_back(to_s, reset_back(to_d, to_s, grad + to_spike, gamma, vth), psi)
    else:
        s, to_fired = reset_to_zero_back(to_s, grad + to_spike, soma, fire(soma, p.vth), kept)
        s = fire_back(s, to_fired, psi)
    d, s, before_d, before_s = integrate_back(to_d, s, a1, a2, b1, b2)
    return d, s, before_d, before_s, everywhere(zero)


def _run(p, strip, current, state, spikes):
    """A segment forward; `state` [3, B, N] is the strip's before, on return after."""
    n, at, plane, start, stop = strip
    size, last = p.b1.shape[0], p.a1.shape[0] - 1
    d, s, z = load(state, at), load(state, plane + at), load(state, 2 * plane + at)
    b1, b2 = load(p.b1, n), load(p.b2, n)
    for t in range(start, stop):
        row, now = min(t, last) * size + n, t * plane + at
        d, s, z, _, _ = _advance(p, d, s, z, load(current, now), load(p.a1, row), load(p.a2, row), b1, b2)
        store(spikes, now, z)
    store(state, at, d)
    store(state, plane + at, s)
    store(state, 2 * plane + at, z)


def _replay(p, strip, current, kept, first, scratch):
    """A segment forward again, from the states kept before it, into `scratch`. first: S[-1] [B, N]."""
    n, at, plane, start, stop = strip
    size, last, segment = p.b1.shape[0], p.a1.shape[0] - 1, start // SEGMENT
    d, s = load(kept, 2 * segment * plane + at), load(kept, (2 * segment + 1) * plane + at)
    z = load(first, at) if start == 0 else fire(s, p.vth)  # what a delayed reset takes off
    b1, b2 = load(p.b1, n), load(p.b2, n)
    for t in range(start, stop):
        i, row = (t - start) * LANES, min(t, last) * size + n
        store(scratch.before_d, i, d)
        store(scratch.before_s, i, s)
        a1, a2 = load(p.a1, row), load(p.a2, row)
        d, s, z, reached_d, reached_s = _advance(p, d, s, z, load(current, t * plane + at), a1, a2, b1, b2)
        store(scratch.reached_d, i, reached_d)
        store(scratch.reached_s, i, reached_s)


def _run_back(p, strip, grad, state_grad, out, scratch):
    """A segment backward; `state_grad` [3, B, N] is the strip's after, on return before."""
    n, at, plane, start, stop = strip
    size, last = p.b1.shape[0], p.a1.shape[0] - 1
    to_d, to_s, to_z = load(state_grad, at), load(state_grad, plane + at), load(state_grad, 2 * plane + at)
    b1, b2 = load(p.b1, n), load(p.b2, n)
    for t in range(stop - 1, start - 1, -1):
        i, row, now = (t - start) * LANES, min(t, last) * size + n, t * plane + at
        a1, a2, soma, psi = load(p.a1, row), load(p.a2, row), load(scratch.reached_s, i), load(scratch.psi, i)
        d, s, to_d, to_s, to_z = _retreat(p, load(grad, now), to_d, to_s, to_z, soma, psi, a1, a2, b1, b2)
        store(out, now, d)
        store(scratch.to_d, i, d)
        store(scratch.to_s, i, s)
    store(state_grad, at, to_d)
    store(state_grad, plane + at, to_s)
    store(state_grad, 2 * plane + at, to_z)


def _of(kind):
    """`_run`, `_replay` and `_run_back` of one reset."""
    advance, retreat = inlined(_advance, RESET=kind), inlined(_retreat, RESET=kind)
    return inlined(_run, _advance=advance), inlined(_replay, _advance=advance), inlined(_run_back, _retreat=retreat)


_run_delayed, _replay_delayed, _back_delayed = _of(DELAYED)
_run_immediate, _replay_immediate, _back_immediate = _of(IMMEDIATE)
_run_zero, _replay_zero, _back_zero = _of(ZERO)


@njit
def _fill_psi(p, steps, scratch):
    """The surrogate derivative at US - Vth; see `surrogate.Surrogate`."""
    zero = p.one - p.one
    for i in range(0, steps * LANES, LANES):
        u = load(scratch.reached_s, i) - p.vth
        if p.surrogate == TRIANGLE:
            x = p.one - p.k * abs(u)
            store(scratch.psi, i, where(x < zero, zero, x))  # a NaN stays one
        elif p.surrogate == ARCTAN:
            x = p.k * u
            store(scratch.psi, i, p.one / (p.one + x * x))
        else:
            x = p.one + p.k * abs(u)
            store(scratch.psi, i, p.one / (x * x))


@njit
def _add_a(strip, size, task, scratch, total):
    """total [2, tasks, K, N] += dE/da1, dE/da2."""
    tasks, schedule = total.shape[1:3]
    for t in range(strip.stop - 1, strip.start - 1, -1):
        i, to = (t - strip.start) * LANES, (task * schedule + min(t, schedule - 1)) * size + strip.n
        other = to + tasks * schedule * size
        store(total, to, load(total, to) + wide(load(scratch.to_d, i) * load(scratch.before_d, i)))
        store(total, other, load(total, other) + wide(load(scratch.to_s, i) * load(scratch.before_s, i)))


@njit
def _add_b(strip, size, zero, task, scratch, total):
    """total [2, tasks, N] += dE/db1, dE/db2. In single precision a segment's sum loses nothing, a sequence's would."""
    by_b1, by_b2, to = everywhere(zero), everywhere(zero), task * size + strip.n
    for i in range((strip.stop - strip.start - 1) * LANES, -1, -LANES):
        by_b1 = by_b1 + load(scratch.to_d, i) * load(scratch.before_s, i)
        by_b2 = by_b2 + load(scratch.to_s, i) * load(scratch.reached_d, i)
    other = to + total.shape[1] * size
    store(total, to, load(total, to) + wide(by_b1))
    store(total, other, load(total, other) + wide(by_b2))


@kernel
def forward(task, p, current, state, spikes, kept, total):
    """`kernels.forward` without recurrence; `total` is not used."""
    steps, batch, size = current.shape
    plane = batch * size
    for segment in range(kept.shape[0]):
        start, stop = segment * SEGMENT, min(steps, (segment + 1) * SEGMENT)
        for b in range(*block(task, batch, size)):
            for n in range(0, size, LANES):
                strip = Strip(n, b * size + n, plane, start, stop)
                store(kept, 2 * segment * plane + strip.at, load(state, strip.at))
                store(kept, (2 * segment + 1) * plane + strip.at, load(state, plane + strip.at))
                if p.reset == DELAYED:
                    _run_delayed(p, strip, current, state, spikes)
                elif p.reset == IMMEDIATE:
                    _run_immediate(p, strip, current, state, spikes)
                else:
                    _run_zero(p, strip, current, state, spikes)


@kernel
def backward(task, p, current, kept, first, grad, state_grad, out, a_grad, b_grad):
    """`kernels.backward` without recurrence."""
    steps, batch, size = current.shape
    wants_a, wants_b = a_grad.shape[1] > 0, b_grad.shape[1] > 0
    room = np.empty((7, SEGMENT * LANES), current.dtype)
    scratch = Scratch(room[0], room[1], room[2], room[3], room[4], room[5], room[6])
    for b in range(*block(task, batch, size)):
        for segment in range(kept.shape[0] - 1, -1, -1):
            start, stop = segment * SEGMENT, min(steps, (segment + 1) * SEGMENT)
            for n in range(0, size, LANES):
                strip = Strip(n, b * size + n, batch * size, start, stop)
                if p.reset == DELAYED:
                    _replay_delayed(p, strip, current, kept, first, scratch)
                elif p.reset == IMMEDIATE:
                    _replay_immediate(p, strip, current, kept, first, scratch)
                else:
                    _replay_zero(p, strip, current, kept, first, scratch)
                _fill_psi(p, stop - start, scratch)
                if p.reset == DELAYED:
                    _back_delayed(p, strip, grad, state_grad, out, scratch)
                elif p.reset == IMMEDIATE:
                    _back_immediate(p, strip, grad, state_grad, out, scratch)
                else:
                    _back_zero(p, strip, grad, state_grad, out, scratch)
                if wants_a:
                    _add_a(strip, size, task, scratch, a_grad)
                if wants_b:
                    _add_b(strip, size, p.one - p.one, task, scratch, b_grad)
