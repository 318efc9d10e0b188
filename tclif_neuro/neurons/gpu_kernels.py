"""Whole sequences in Triton, forward and (hand-derived) backward: the kernels of `kernels`, for a GPU.

A program owns a tile of neurons and runs it over all steps, the states in registers: BLOCK neurons of a feed-forward
layer, or all neurons of a few samples of a recurrent one, whose weights then stay on the chip (`gpu_dots`). Sequences
are [T, B, N]. A neuron's `lane` is its place in [B, N], so step t of it is at `t lanes + lane`, in 64 bits.

Forward keeps the states at every SEGMENT-th step. Backward computes a segment again from there into `reached`, the
program's own scratch of one segment, which stays in the second-level cache, and then walks it from its end.
"""

from __future__ import annotations

import triton
import triton.language as tl

from tclif_neuro.neurons.gpu_dots import carried, carried_back, load_parts, load_planes
from tclif_neuro.neurons.gpu_steps import advance, fire, part, retreat, settle, surrogate_derivative

# How the gradients of a1 and a2 are summed: not at all, over all steps, or per step over the tile or per lane.
NONE, OVER_STEPS, OVER_TILE, PER_LANE = (tl.constexpr(i) for i in range(4))


@part
def load_pair(first, second, at, inside):
    """Two arrays at the same place; 0 outside the layer."""
    return tl.load(first + at, mask=inside, other=0.0), tl.load(second + at, mask=inside, other=0.0)


@part
def load_states(states, lanes, lane, inside):
    """UD, US and S, or their gradients, of [3, B, N]."""
    d, s = load_pair(states, states + lanes, lane, inside)
    return d, s, tl.load(states + 2 * lanes + lane, mask=inside, other=0.0)


@part
def store_pair(at, apart, first, second, inside):
    """Two tiles, `apart` from each other."""
    tl.store(at, first, mask=inside)
    tl.store(at + apart, second, mask=inside)


@part
def store_states(states, lanes, lane, inside, d, s, z):
    """The inverse of `load_states`."""
    store_pair(states + lane, lanes, d, s, inside)
    tl.store(states + 2 * lanes + lane, z, mask=inside)


@part
def add_pair(at, apart, first, second, inside):
    """Two tiles in single precision to sums in double."""
    sums = load_pair(at, at + apart, 0, inside)
    store_pair(at, apart, sums[0] + first.to(tl.float64), sums[1] + second.to(tl.float64), inside)


@part
def load_decays(a1, a2, t, rows, size, neuron, known):
    """a1 and a2 of step t: [rows, N], the last row holding past the end."""
    return load_pair(a1, a2, tl.minimum(t, rows - 1).to(tl.int64) * size + neuron, known)


@part
def walk(
    arrays, coefficients, steps, lanes, size, rows, place, gamma, vth, weights,
    RESET: tl.constexpr, SCHEDULED: tl.constexpr, RECURRENT: tl.constexpr, SEGMENT: tl.constexpr, STAGES: tl.constexpr,
):  # fmt: skip
    """A tile from the first step to the last; `forward` says what the arrays are, `gpu_dots` what the weights are."""
    current, state, spikes, bits, kept = arrays
    a1, a2, b1, b2 = coefficients
    lane, inside, neuron, known = place
    decays = load_decays(a1, a2, 0, rows, size, neuron, known)
    couplings = load_pair(b1, b2, neuron, known)
    d, s, z = load_states(state, lanes, lane, inside)
    for t in tl.range(0, steps, num_stages=STAGES):
        store_pair(kept + (t // SEGMENT) * 2 * lanes + lane, lanes, d, s, inside & (t % SEGMENT == 0))
        i = tl.load(current + t * lanes + lane, mask=inside, other=0.0)
        if RECURRENT:
            i = i + carried(weights, z)
        if SCHEDULED:
            decays = load_decays(a1, a2, t, rows, size, neuron, known)
        d, s = advance(d, s, z, i, decays, couplings, gamma, vth, RESET)
        d, s, z = settle(d, s, gamma, vth, RESET)
        tl.store(spikes + t * lanes + lane, z, mask=inside)
        tl.store(bits + t * lanes + lane, z.to(tl.int8), mask=inside)
    store_states(state, lanes, lane, inside, d, s, z)


@part
def replay(
    current, reached, coefficients, start, stop, lanes, size, rows, place, cell, d, s, z, gamma, vth,
    RESET: tl.constexpr, SCHEDULED: tl.constexpr, TILE: tl.constexpr, STAGES: tl.constexpr,
):  # fmt: skip
    """Steps start ... stop - 1 again, from the states before them: `reached` [steps, 2, TILE], UD and US before a
    reset."""
    a1, a2, b1, b2 = coefficients
    lane, inside, neuron, known = place
    decays = load_decays(a1, a2, 0, rows, size, neuron, known)
    couplings = load_pair(b1, b2, neuron, known)
    for t in tl.range(start, stop, num_stages=STAGES):
        i = tl.load(current + t * lanes + lane, mask=inside, other=0.0)
        if SCHEDULED:
            decays = load_decays(a1, a2, t, rows, size, neuron, known)
        d, s = advance(d, s, z, i, decays, couplings, gamma, vth, RESET)
        store_pair(reached + (t - start) * 2 * TILE + cell, TILE, d, s, inside)
        d, s, z = settle(d, s, gamma, vth, RESET)


@part
def segment_back(
    arrays, coefficients, start, stop, steps, lanes, size, rows, place, cell, block, blocks, first, to,
    gamma, vth, backs, k, weights,
    RESET: tl.constexpr, SURROGATE: tl.constexpr, SCHEDULED: tl.constexpr, RECURRENT: tl.constexpr,
    BY_A: tl.constexpr, BY_B: tl.constexpr, TILE: tl.constexpr, STAGES: tl.constexpr,
):  # fmt: skip
    """Steps stop - 1 ... start backward. first: UD and US before them; to: dE/d(UD, US, S) after them, and dE/dI[stop].

    Returns what `to` is before them, and the segment's sums for a1, a2, b1, b2.
    """
    grad, out, reached, a_grad = arrays
    a1, a2, b1, b2 = coefficients
    lane, inside, neuron, known = place
    first_d, first_s = first
    to_d, to_s, to_z, whole_d = to
    decays = load_decays(a1, a2, 0, rows, size, neuron, known)
    couplings = load_pair(b1, b2, neuron, known)
    none = tl.zeros_like(to_d)
    by_a1, by_a2, by_b1, by_b2 = none, none, none, none
    d, s = load_pair(reached, reached + TILE, (stop - 1 - start) * 2 * TILE + cell, inside)
    for passed in tl.range(0, stop - start, num_stages=STAGES):
        t = stop - 1 - passed
        g = tl.load(grad + t * lanes + lane, mask=inside, other=0.0)
        later = t > start  # than the segment's first step: the state before is one of `reached`, after its reset
        before = tl.maximum(t - 1 - start, 0) * 2 * TILE + cell
        reached_d, reached_s = load_pair(reached, reached + TILE, before, inside)
        before_d, before_s, _ = settle(reached_d, reached_s, gamma, vth, RESET)
        before_d, before_s = tl.where(later, before_d, first_d), tl.where(later, before_s, first_s)
        if SCHEDULED:
            decays = load_decays(a1, a2, t, rows, size, neuron, known)
        if RECURRENT:
            to_z += carried_back(weights, whole_d)
        psi = surrogate_derivative(s - vth, k, SURROGATE)
        whole_d, whole_s, to_d, to_s, to_z = retreat(to_d, to_s, to_z + g, psi, s, decays, couplings, backs, vth, RESET)
        tl.store(out + t * lanes + lane, whole_d, mask=inside)
        if BY_A == OVER_STEPS:
            by_a1 += whole_d * before_d
            by_a2 += whole_s * before_s
        elif BY_A == OVER_TILE:
            tl.store(a_grad + t * blocks + block, tl.sum(whole_d * before_d))
            tl.store(a_grad + (steps + t) * blocks + block, tl.sum(whole_s * before_s))
        elif BY_A == PER_LANE:
            store_pair(a_grad + t * lanes + lane, steps * lanes, whole_d * before_d, whole_s * before_s, inside)
        if BY_B:
            by_b1 += whole_d * before_s
            by_b2 += whole_s * d
        d, s = reached_d, reached_s
    return to_d, to_s, to_z, whole_d, by_a1, by_a2, by_b1, by_b2


@part
def walk_back(
    arrays, coefficients, steps, lanes, size, rows, place, cell, block, blocks, gamma, vth, backs, k, weights,
    RESET: tl.constexpr, SURROGATE: tl.constexpr, SCHEDULED: tl.constexpr, RECURRENT: tl.constexpr,
    BY_A: tl.constexpr, BY_B: tl.constexpr, SEGMENT: tl.constexpr, TILE: tl.constexpr, STAGES: tl.constexpr,
):  # fmt: skip
    """A tile from the last step to the first; `backward` says what the arrays are."""
    current, kept, first, grad, to_state, out, reached, a_grad, b_grad = arrays
    lane, inside, _, _ = place
    to_d, to_s, to_z = load_states(to_state, lanes, lane, inside)
    whole_d = tl.zeros_like(to_d)
    segments = tl.cdiv(steps, SEGMENT)
    for passed in range(segments):
        start = (segments - 1 - passed) * SEGMENT
        stop = tl.minimum(steps, start + SEGMENT)
        begin = kept + (start // SEGMENT) * 2 * lanes
        first_d, first_s = load_pair(begin, begin + lanes, lane, inside)
        # What a delayed reset takes off; an immediate one has no memory of it. Before the first step it is anyone's.
        z = fire(first_s, vth).to(tl.float32)
        z = tl.where(start == 0, tl.load(first + lane, mask=inside, other=0.0), z)
        replay(
            current, reached, coefficients, start, stop, lanes, size, rows, place, cell, first_d, first_s, z,
            gamma, vth, RESET, SCHEDULED, TILE, STAGES,
        )  # fmt: skip
        tl.debug_barrier()
        to_d, to_s, to_z, whole_d, by_a1, by_a2, by_b1, by_b2 = segment_back(
            (grad, out, reached, a_grad), coefficients, start, stop, steps, lanes, size, rows, place, cell,
            block, blocks, (first_d, first_s), (to_d, to_s, to_z, whole_d), gamma, vth, backs, k, weights,
            RESET, SURROGATE, SCHEDULED, RECURRENT, BY_A, BY_B, TILE, STAGES,
        )  # fmt: skip
        tl.debug_barrier()
        # A segment's sum loses nothing in single precision, a whole sequence's would; in registers it would not fit.
        if BY_A == OVER_STEPS:
            add_pair(a_grad + lane, lanes, by_a1, by_a2, inside)
        if BY_B:
            add_pair(b_grad + lane, lanes, by_b1, by_b2, inside)
    if RECURRENT:
        to_z += carried_back(weights, whole_d)
    store_states(to_state, lanes, lane, inside, to_d, to_s, to_z)


@part
def some_neurons(block, lanes, size, BLOCK: tl.constexpr):
    """The place of a feed-forward tile: its lanes, which of them there are, their neurons, and again which."""
    lane = tl.cast(block, tl.int64) * BLOCK + tl.arange(0, BLOCK)
    return lane, lane < lanes, lane % size, lane < lanes


@part
def some_samples(block, lanes, size, N: tl.constexpr, SAMPLES: tl.constexpr):
    """The place of a recurrent tile [N, SAMPLES]: its lanes, which there are, its neurons [N, 1], which there are."""
    neuron = tl.arange(0, N)[:, None]
    sample = tl.cast(block, tl.int64) * SAMPLES + tl.arange(0, SAMPLES)[None, :]
    lane = sample * size + neuron
    return lane, (neuron < size) & (lane < lanes), neuron, neuron < size


@triton.jit(do_not_specialize=["steps", "lanes", "rows"])
def forward(
    current, state, spikes, bits, kept, a1, a2, b1, b2, steps, lanes, size, rows, gamma, vth,
    RESET: tl.constexpr, SCHEDULED: tl.constexpr, SEGMENT: tl.constexpr, BLOCK: tl.constexpr, STAGES: tl.constexpr,
):  # fmt: skip
    """Spikes [T, B, N] as floats and as bytes, and the states before each segment, `kept` [segments, 2, B, N].

    current: [T, B, N]. state: UD, US, S [3, B, N] before the first step, on return after the last. a1, a2: [rows, N].
    """
    lanes = lanes.to(tl.int64)
    place = some_neurons(tl.program_id(0), lanes, size, BLOCK)
    walk(
        (current, state, spikes, bits, kept), (a1, a2, b1, b2), steps, lanes, size, rows, place, gamma, vth, 0,
        RESET, SCHEDULED, False, SEGMENT, STAGES,
    )  # fmt: skip


@triton.jit(do_not_specialize=["steps", "lanes", "rows", "blocks"])
def backward(
    current, kept, first, grad, to_state, out, reached, a_grad, b_grad, a1, a2, b1, b2,
    steps, lanes, size, rows, blocks, gamma, vth, back_gamma, back_vth, back_kept, k,
    RESET: tl.constexpr, SURROGATE: tl.constexpr, SCHEDULED: tl.constexpr, BY_A: tl.constexpr, BY_B: tl.constexpr,
    SEGMENT: tl.constexpr, BLOCK: tl.constexpr, STAGES: tl.constexpr,
):  # fmt: skip
    """out [T, B, N] = dE/dI from grad [T, B, N] = dE/dS. current, kept: of `forward`; first: S[-1] [B, N].

    to_state [3, B, N]: dE/d(UD, US, S) after the last step, on return before the first. reached: [programs, SEGMENT, 2,
    BLOCK] to work in. b_grad [2, B, N] float64, zeros: dE/db1, dE/db2 of each lane. a_grad, as BY_A says: the same of
    a1, a2; or float32 of each step, [2, T, blocks] summed over a tile or [2, T, B, N]. back_gamma ...: see `retreat`.
    """
    lanes = lanes.to(tl.int64)
    reached += tl.program_id(0) * SEGMENT * 2 * BLOCK
    for block in range(tl.program_id(0), blocks, tl.num_programs(0)):
        place = some_neurons(block, lanes, size, BLOCK)
        walk_back(
            (current, kept, first, grad, to_state, out, reached, a_grad, b_grad), (a1, a2, b1, b2),
            steps, lanes, size, rows, place, tl.arange(0, BLOCK), block, blocks,
            gamma, vth, (back_gamma, back_vth, back_kept), k, 0,
            RESET, SURROGATE, SCHEDULED, False, BY_A, BY_B, SEGMENT, BLOCK, STAGES,
        )  # fmt: skip


@triton.jit(do_not_specialize=["steps", "lanes", "rows"])
def recurrent_forward(
    current, state, spikes, bits, kept, a1, a2, b1, b2, planes, unit, steps, lanes, size, rows, gamma, vth,
    RESET: tl.constexpr, SCHEDULED: tl.constexpr, SEGMENT: tl.constexpr,
    N: tl.constexpr, SAMPLES: tl.constexpr, STAGES: tl.constexpr,
):  # fmt: skip
    """`forward` with the current `I[t] + R S[t-1]`. planes [3, N, N], unit: R, see `gpu_dots.load_planes`."""
    lanes = lanes.to(tl.int64)
    place = some_samples(tl.program_id(0), lanes, size, N, SAMPLES)
    walk(
        (current, state, spikes, bits, kept), (a1, a2, b1, b2), steps, lanes, size, rows, place, gamma, vth,
        load_planes(planes, unit, N), RESET, SCHEDULED, True, SEGMENT, STAGES,
    )  # fmt: skip


@triton.jit(do_not_specialize=["steps", "lanes", "rows", "blocks"])
def recurrent_backward(
    total, kept, first, grad, to_state, out, reached, a_grad, b_grad, a1, a2, b1, b2, parts, unit,
    steps, lanes, size, rows, blocks, gamma, vth, back_gamma, back_vth, back_kept, k,
    RESET: tl.constexpr, SURROGATE: tl.constexpr, SCHEDULED: tl.constexpr, BY_A: tl.constexpr, BY_B: tl.constexpr,
    SEGMENT: tl.constexpr, N: tl.constexpr, SAMPLES: tl.constexpr, PARTS: tl.constexpr, STAGES: tl.constexpr,
):  # fmt: skip
    """`backward` of a recurrent layer, a block of samples a program. total: its whole current, `I[t] + R S[t-1]`.

    parts [PARTS, N, N], unit: the transpose of R, see `gpu_dots.load_parts`.
    """
    lanes = lanes.to(tl.int64)
    block = tl.program_id(0)
    place = some_samples(block, lanes, size, N, SAMPLES)
    reached += block * SEGMENT * 2 * N * SAMPLES
    cell = tl.arange(0, N)[:, None] + tl.arange(0, SAMPLES)[None, :] * N
    walk_back(
        (total, kept, first, grad, to_state, out, reached, a_grad, b_grad), (a1, a2, b1, b2),
        steps, lanes, size, rows, place, cell, block, blocks, gamma, vth, (back_gamma, back_vth, back_kept), k,
        load_parts(parts, unit, N, PARTS),
        RESET, SURROGATE, SCHEDULED, True, BY_A, BY_B, SEGMENT, N * SAMPLES, STAGES,
    )  # fmt: skip
