"""One measurement, in a process of its own: `python -m sim.bench.measure '{"work": "train", ...}'` (a `Job`).

Prints one line of JSON: the seconds of every timed run, the memory before the first run and at its peak [MiB], and how
much the network had to do.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from sim.bench.contenders import Job


def peak() -> float:
    """The most memory this process has had so far, MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)


def timed(run: Callable[[], object], job: Job) -> dict[str, Any]:
    """Time and memory of `run`."""
    before = peak()
    for _ in range(job.warm):
        run()
    seconds = []
    for _ in range(job.timed):
        begin = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - begin)
    return {"seconds": seconds, "before": before, "peak": peak()}


def train(job: Job) -> dict[str, Any]:
    """Training steps: forward, backward, Adam. Also the spike rate of the last hidden layer."""
    model, x, step = training(job)
    return {**timed(step, job), "rate": _rate(model, x)}


def training(job: Job) -> tuple[Any, Any, Callable[[], None]]:
    """The job's model, its random input [T, B, in], and a step of training on that."""
    import torch

    from sim.bench.models import BUILD
    from tclif_neuro.memory import keep_large_blocks

    keep_large_blocks()  # for every contender alike
    torch.manual_seed(0)
    model = BUILD[job.build](job.sizes, job.recurrent)
    wake(model, job)
    x = torch.rand(job.steps, job.batch, job.sizes[0])
    target = torch.randint(job.sizes[-1], (job.batch,))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

    def step() -> None:
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(x), target).backward()
        optimizer.step()

    return model, x, step


def wake(model: Any, job: Job) -> None:
    """Multiply the weights of the hidden layers by the job's gain. lava-dl's, of other shapes, fire as they are."""
    import torch

    with torch.no_grad():
        for weight in model.parameters():
            if weight.ndim == 2 and weight.shape[0] != job.sizes[-1]:
                weight *= job.gain


def _rate(model: Any, x: Any) -> float:
    """Spikes a neuron and step of what the readout reads, after training."""
    import torch

    means: list[float] = []
    if isinstance(model, torch.nn.Sequential):
        model = torch.nn.Sequential(*model)  # the checkpointed one would refuse the hook
    *_, readout = model.modules()
    hook = readout.register_forward_hook(lambda module, inputs, output: means.append(float(inputs[0].mean())))
    with torch.no_grad():
        model(x)
    hook.remove()
    return sum(means) / len(means)


def simulate(job: Job) -> dict[str, Any]:
    """Runs of the integers on the network of `sim/lava_speed.py`. Also how many synaptic operations a sample takes.

    Of Lava, a run of the batch is timed less a run of one sample: its start takes seconds, and does not count. The
    batch is doubled until it takes clearly longer than the start.
    """
    import numpy as np

    import tclif_neuro as tn
    from sim.lava_speed import network
    from sim.simulator_floor import synaptic_operations

    net = network(recurrent=job.recurrent)
    x = np.random.default_rng(1).random((job.steps, job.batch, net.layers[0].inputs)) < 0.5
    operations = synaptic_operations(net, tn.simulate(net, x)) / job.batch
    if job.build == "limit":
        return {**limit(net, x, job), "samples": job.batch, "operations": operations}
    run: Callable[[Any], object] = {
        "simulator": lambda x: tn.simulate(net, x),
        "reference": lambda x: tn.run_reference(net, x, record=False),
        "lava": lambda x: tn.lava.run(net, x),
    }[job.build]
    if job.build != "lava":
        return {**timed(lambda: run(x), job), "samples": job.batch, "operations": operations}
    cold = replace(job, warm=0, timed=1)
    start = timed(lambda: run(x[:, :1]), cold)["seconds"][0]
    long = timed(lambda: run(x), cold)
    while long["seconds"][0] < 1.2 * start:
        x = np.concatenate((x, x), axis=1)
        long = timed(lambda x=x: run(x), cold)  # type: ignore[misc]
    samples = x.shape[1] - 1
    return {**long, "seconds": [long["seconds"][0] - start], "samples": samples, "operations": operations}


def limit(net: Any, x: Any, job: Job) -> dict[str, Any]:
    """What additions of weights and updates of neurons alone would take on all cores; see `sim/simulator_floor.py`."""
    from sim.simulator_floor import floor
    from tclif_neuro import threads

    cores = min(job.batch, threads.count())
    return {"seconds": [floor(net, x) * job.batch / cores for _ in range(job.timed)], "before": 0.0, "peak": 0.0}


def main() -> None:
    """Measure the `Job` in the first argument."""
    given = json.loads(sys.argv[1])
    job = Job(**{**given, "sizes": tuple(given["sizes"])})
    print(json.dumps((train if job.work == "train" else simulate)(job)))


if __name__ == "__main__":
    main()
