"""What the fast simulator could do at best on this machine, on one core, and how much of that it does.

    python sim/simulator_floor.py [--steps 784] [--repeat 50]

The floor is the time of the two loops that no simulator can do without, each measured alone: 8-bit weights from the L2
cache, added to 16-bit sums in the L1 cache; and the neurons' update, its arrays in the L1 cache. Times are of the
thread's CPU, the least of many, and the measurements alternate, so that other work on the machine disturbs all alike.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np
from lava_speed import SIZES, network
from numba import njit

from tclif_neuro.fixed import exact
from tclif_neuro.fixed.intrinsics import TO_NEAREST, TOWARDS_ZERO, set_rounding
from tclif_neuro.fixed.simulator import Simulator
from tclif_neuro.network import QuantizedNetwork

ROWS, WIDTH, PASSES, NEURONS = 512, 512, 50, 256  # 256 KiB of weights: more than L1, less than L2


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
            x, y, s, _ = exact.tclif_delayed(
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


def operations(net: QuantizedNetwork, x: np.ndarray) -> tuple[float, float]:
    """Synaptic operations and neuron updates that the samples `x` [T, B, M] need, per sample."""
    run = Simulator(net, x.shape[1]).run(x)
    spikes = [run.input.sum(), *(layer.counts.sum() for layer in run.layers)]
    synapses = sum(
        before * layer.size + (after * layer.size if layer.recurrent is not None else 0)
        for layer, before, after in zip(net.layers, spikes[:-1], spikes[1:], strict=True)
    )
    return synapses / x.shape[1], len(x) * sum(layer.size for layer in net.layers)


def main() -> None:
    """Measure both networks and print the figures."""
    parser = argparse.ArgumentParser(description="The share of the machine's speed that the fast simulator reaches.")
    parser.add_argument("--steps", type=int, default=784)
    parser.add_argument("--repeat", type=int, default=50)
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    weight, total = rng.integers(-60, 60, (ROWS, WIDTH), np.int8), np.zeros(WIDTH, np.int16)
    act = rng.integers(-(2**12), 2**12, NEURONS).astype(np.float32)
    states = (*(np.zeros(NEURONS, np.float32) for _ in range(3)), act)
    coefficients = tuple(np.full(NEURONS, k / 4096, np.float32) for k in (4000, 4000, -2048, 2048))
    neurons = (options.steps, states, coefficients, np.float32(32_000), np.float32(64_000))
    x = rng.random((options.steps, 1, SIZES[0])) < 0.5
    for recurrent in (False, True):
        net = network(recurrent=recurrent)
        chip = Simulator(net)
        work = (lambda: add_rows(PASSES, weight, total), lambda: update(*neurons), lambda chip=chip: chip.run(x))
        for run in work:
            run()
        times = np.array([[cpu_seconds(run) for run in work] for _ in range(options.repeat)]).min(axis=0)
        per_synapse, per_neuron = times[0] / PASSES / weight.size, times[1] / options.steps / NEURONS
        synapses, updates = operations(net, x)
        floor = synapses * per_synapse + updates * per_neuron
        print("recurrent" if recurrent else "feed-forward", *SIZES, options.steps, "steps, one core")
        print(f"  {synapses / 1e6:6.2f} M synaptic operations at {per_synapse * 1e12:6.1f} ps")
        print(f"  {updates / 1e6:6.2f} M neuron updates at       {per_neuron * 1e12:6.1f} ps")
        print(f"  floor {floor * 1e3:.2f} ms a sample, simulator {times[2] * 1e3:.2f} ms: {floor / times[2]:.0%} of it")


if __name__ == "__main__":
    main()
