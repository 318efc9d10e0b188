"""What the fast simulator could do at best on this machine, on one core, and how much of that it does.

    python -m sim.simulator_floor [--steps 784] [--repeat 50]

The floor is the time of the two loops that no simulator can do without, each measured alone: 8-bit weights from the L2
cache, added to 16-bit sums in the L1 cache; and the neurons' update, its arrays in the L1 cache. Times are of the
thread's CPU, the least of many, and the measurements alternate, so that other work on the machine disturbs all alike.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence

import numpy as np
from numba import njit

from sim.bench.integers import SIZES, network
from tclif_neuro.fixed import exact
from tclif_neuro.fixed.intrinsics import TO_NEAREST, TOWARDS_ZERO, set_rounding
from tclif_neuro.fixed.run import Run
from tclif_neuro.fixed.simulator import Simulator
from tclif_neuro.network import QuantizedNetwork

ROWS, WIDTH, PASSES = 512, 512, 50  # 256 KiB of weights: more than L1, less than L2
NEURONS, STEPS = 256, 784


@njit(nogil=True)
def add_rows(passes, weight, total):
    """Every row of `weight`, added to `total`, four at a time; all that `passes` times."""
    for _ in range(passes):
        for m in range(0, weight.shape[0], 4):
            a, b, c, d = weight[m], weight[m + 1], weight[m + 2], weight[m + 3]
            for n in range(total.shape[0]):
                total[n] += a[n] + b[n] + c[n] + d[n]


@njit
def _steps(steps, states, coefficients, gamma, vth):
    first, second, fired, act = states
    a1, a2, b1, b2 = coefficients
    for _ in range(steps):
        for n in range(first.shape[0]):
            x, y, s, _, _ = exact.tclif_delayed(
                first[n], second[n], fired[n], act[n], a1[n], a2[n], b1[n], b2[n], gamma, vth
            )
            first[n], second[n], fired[n] = x, y, s


@njit(nogil=True)
def update(steps, states, coefficients, gamma, vth):
    """`steps` steps of as many neurons as the arrays hold."""
    set_rounding(TOWARDS_ZERO)
    _steps(steps, states, coefficients, gamma, vth)
    set_rounding(TO_NEAREST)


def cpu_seconds(run: Callable[[], object]) -> float:
    """This thread's CPU time of `run()`."""
    begin = time.thread_time()
    run()
    return time.thread_time() - begin


def additions_and_updates() -> tuple[Callable[[], object], Callable[[], object]]:
    """The two loops: `PASSES` times all weights of a matrix, and `STEPS` steps of `NEURONS`."""
    rng = np.random.default_rng(0)
    weight, total = rng.integers(-60, 60, (ROWS, WIDTH), np.int8), np.zeros(WIDTH, np.int16)
    act = rng.integers(-(2**12), 2**12, NEURONS).astype(np.float32)
    states = (*(np.zeros(NEURONS, np.float32) for _ in range(3)), act)
    coefficients = tuple(np.full(NEURONS, k / 4096, np.float32) for k in (4000, 4000, -2048, 2048))
    neurons = (STEPS, states, coefficients, np.float32(32_000), np.float32(64_000))
    return lambda: add_rows(PASSES, weight, total), lambda: update(*neurons)


def least(work: Sequence[Callable[[], object]], repeat: int) -> list[float]:
    """The least CPU time of each, over `repeat` alternating runs after a first."""
    for run in work:
        run()
    return [min(times) for times in zip(*([cpu_seconds(run) for run in work] for _ in range(repeat)), strict=True)]


def speeds(additions: float, updates: float) -> tuple[float, float]:
    """Seconds a synaptic operation and a neuron's update, from those of `additions_and_updates`."""
    return additions / (PASSES * ROWS * WIDTH), updates / (STEPS * NEURONS)


def synaptic_operations(net: QuantizedNetwork, run: Run) -> int:
    """Spikes times the synapses that each reaches: those of the next layer, and the recurrent ones of its own."""
    total, arriving = 0, int((run.input != 0).sum())
    for layer, done in zip(net.layers, run.layers, strict=True):
        spikes = int(done.counts.sum())
        total += layer.size * (arriving + (spikes if layer.recurrent is not None else 0))
        arriving = spikes
    return total


def operations(net: QuantizedNetwork, x: np.ndarray) -> tuple[float, float]:
    """Synaptic operations and neuron updates that the samples `x` [T, B, M] need, per sample."""
    synapses = synaptic_operations(net, Simulator(net, x.shape[1]).run(x))
    return synapses / x.shape[1], len(x) * sum(layer.size for layer in net.layers)


def floor(net: QuantizedNetwork, x: np.ndarray, repeat: int = 20) -> float:
    """The least seconds that a sample of `x` [T, B, M] can take one core of this machine."""
    work = operations(net, x)
    return sum(n * seconds for n, seconds in zip(work, speeds(*least(additions_and_updates(), repeat)), strict=True))


def main() -> None:
    """Measure both networks and print the figures."""
    parser = argparse.ArgumentParser(description="The share of the machine's speed that the fast simulator reaches.")
    parser.add_argument("--steps", type=int, default=784)
    parser.add_argument("--repeat", type=int, default=50)
    options = parser.parse_args()
    x = np.random.default_rng(0).random((options.steps, 1, SIZES[0])) < 0.5
    for recurrent in (False, True):
        net = network(recurrent=recurrent)
        chip = Simulator(net)
        *loops, ours = least((*additions_and_updates(), lambda chip=chip: chip.run(x)), options.repeat)
        (synapses, updates), (per_synapse, per_update) = operations(net, x), speeds(*loops)
        limit = synapses * per_synapse + updates * per_update
        print("recurrent" if recurrent else "feed-forward", *SIZES, options.steps, "steps, one core")
        print(f"  {synapses / 1e6:6.2f} M synaptic operations at {per_synapse * 1e12:6.1f} ps")
        print(f"  {updates / 1e6:6.2f} M neuron updates at       {per_update * 1e12:6.1f} ps")
        print(f"  floor {limit * 1e3:.2f} ms a sample, simulator {ours * 1e3:.2f} ms: {limit / ours:.0%} of it")


if __name__ == "__main__":
    main()
