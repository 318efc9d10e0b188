"""The fast simulator against Lava's CPU run of the same network: seconds a sample, and how many times faster.

    python sim/lava_speed.py [--steps 784] [--batch 64] [--repeat 3]

The network is 1-64-256-256-10, TC-LIF with random weights that fire at about 10 %, feed-forward and recurrent. Lava
runs two batches of different length and the difference is taken, so that neither its start nor ours (compilation)
counts. Runs alternate; medians are printed. That both give the same logits is checked on the way. The simulator's core
time is printed too: the ratio says little on a busy machine, where a short run waits for its turn and a long one less.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import time

import numpy as np

from tclif_neuro import lava
from tclif_neuro.fixed.simulator import simulate
from tclif_neuro.network import MANT_MAX, Layer, LIFNeuron, QuantizedNetwork, Synapses, TCLIFNeuron

SIZES = (1, 64, 256, 256, 10)
RATE = 0.1


def network(*, recurrent: bool, seed: int = 0) -> QuantizedNetwork:
    """Random TC-LIF layers of `SIZES`, each with a bias found by bisection that makes it fire at about `RATE`."""
    rng = np.random.default_rng(seed)
    layers: tuple[Layer, ...] = ()
    x = rng.random((100, 8, SIZES[0])) < 0.5
    for m, n in itertools.pairwise(SIZES[:-1]):
        weight = rng.integers(-40, 41, (n, m)) * 2
        low, high = -2000, 4000
        while high - low > 1:
            bias = (low + high) // 2
            layer = Layer(
                synapses=Synapses(weight=weight),
                recurrent=Synapses(weight=rng.integers(-10, 11, (n, n)) * 2) if recurrent else None,
                neuron=TCLIFNeuron(a1=[[4000]], a2=[[4000]], b1=[-2048], b2=[2048], vth_mant=1000, gamma_mant=500),
                bias_mant=np.full(n, bias),
                bias_exp=4,
            )
            counts = simulate(QuantizedNetwork(layers=(*layers, layer)), x).layers[-1].counts
            low, high = (low, bias) if counts.mean() > RATE * len(x) else (bias, high)
        layers = (*layers, layer)
    readout = Layer(
        synapses=Synapses(weight=rng.integers(-40, 41, SIZES[:-3:-1]) * 2),
        neuron=LIFNeuron(i_decay=4096, v_decay=0, vth_mant=MANT_MAX),
        bias_mant=np.zeros(SIZES[-1], int),
        readout=True,
    )
    return QuantizedNetwork(layers=(*layers, readout))


def seconds(run, x) -> tuple[float, float, np.ndarray]:
    """How long `run(x)` takes, its time on all cores of this process, and its logits."""
    begin, core = time.perf_counter(), time.process_time()
    logits = run(x).logits
    return time.perf_counter() - begin, time.process_time() - core, logits


def measure(net: QuantizedNetwork, steps: int, batch: int, repeat: int) -> dict[str, float]:
    """Medians over alternating runs: seconds a sample of Lava, of the simulator in a batch, and of one sample alone.

    With ", cores": core time, the least of all runs.
    """
    x = np.random.default_rng(1).random((steps, batch, SIZES[0])) < 0.5
    simulate(net, x), simulate(net, x[:, :1])
    times: dict[str, list[float]] = {"lava": [], "simulator": [], "simulator, one sample": []}
    cores: dict[str, list[float]] = {"simulator, cores": [], "simulator, one sample, cores": []}
    for _ in range(repeat):
        ours, ours_cores, logits = seconds(lambda x: simulate(net, x), x)
        alone, alone_cores, _ = seconds(lambda x: simulate(net, x), x[:, :1])
        short, _, _ = seconds(lambda x: lava.run(net, x), x[:, :1])
        long, _, theirs = seconds(lambda x: lava.run(net, x), x[:, :4])
        assert (theirs == logits[:4]).all(), "the simulator and Lava differ"
        for name, value in zip(times, ((long - short) / 3, ours / batch, alone), strict=True):
            times[name].append(value)
        for name, value in zip(cores, (ours_cores / batch, alone_cores), strict=True):
            cores[name].append(value)
    medians = {name: statistics.median(values) for name, values in times.items()}
    return medians | {name: min(values) for name, values in cores.items()}


def main() -> None:
    """Measure both networks and print the figures."""
    parser = argparse.ArgumentParser(description="The fast simulator against Lava on the CPU.")
    parser.add_argument("--steps", type=int, default=784)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--repeat", type=int, default=3)
    options = parser.parse_args()
    for recurrent in (False, True):
        net = network(recurrent=recurrent)
        x = np.random.default_rng(1).random((options.steps, options.batch, SIZES[0])) < 0.5
        rates = [layer.counts.mean() / options.steps for layer in simulate(net, x).layers[:-1]]
        got = measure(net, options.steps, options.batch, options.repeat)
        print(
            "recurrent" if recurrent else "feed-forward",
            "1-64-256-256-10,",
            options.steps,
            "steps, rates",
            *(f"{r:.0%}" for r in rates),
        )
        print(f"  Lava on the CPU                {got['lava'] * 1e3:10.2f} ms a sample")
        for name in ("simulator", "simulator, one sample"):
            label = name if "one" in name else f"{name}, batch of {options.batch}"
            ratio = f"{got['lava'] / got[name]:8.0f} times faster, {got[name + ', cores'] * 1e3:.2f} ms of a core"
            print(f"  {label:30} {got[name] * 1e3:10.2f} ms a sample  {ratio}")


if __name__ == "__main__":
    main()
