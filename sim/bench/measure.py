"""One measurement, in a process of its own: `python -m sim.bench.measure '{"work": "train", ...}'` (a `Job`).

Prints one line of JSON: the seconds of every timed run and of the whole process, the cores that it kept busy, the
memory before the first run and at its peak [MiB], the threads that are set, and how much the network had to do. On a
card time is by its own events, and memory is the card's.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from sim.bench.contenders import Job

MIB = 2**20


def _status(name: str) -> float | None:
    """A line of this process's memory, MiB, where the system has it (Linux)."""
    with suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith(name):
                return int(line.split()[1]) / 2**10
    return None


def peak() -> float:
    """The most memory this process has had, MiB: since `begin_peak`, where the system can tell."""
    whole = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 2**10) / MIB
    return _status("VmHWM:") or whole


def begin_peak() -> float:
    """From here on `peak` counts; returns the memory there is now, MiB."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
        return _status("VmRSS:") or peak()
    return peak()


def timed(run: Callable[[], object], job: Job) -> dict[str, Any]:
    """Time, memory and busy cores of `run`."""
    if job.device != "cpu":
        return timed_on_device(run, job)
    before = begin_peak()
    for _ in range(job.warm):
        run()
    busy = time.process_time()
    seconds = [by_the_clock(run) for _ in range(job.timed)]
    cores = (time.process_time() - busy) / sum(seconds)
    return {"seconds": seconds, "busy cores": cores, "before": before, "peak": peak()}


def timed_on_device(run: Callable[[], object], job: Job) -> dict[str, Any]:
    """The same of the job's card: its time and its memory."""
    import torch

    device = torch.device(job.device)
    before = torch.cuda.memory_allocated(device) / MIB
    for _ in range(job.warm):
        run()
    torch.cuda.reset_peak_memory_stats(device)
    busy = time.process_time()
    seconds = [on_device(run, device) for _ in range(job.timed)]
    cores = (time.process_time() - busy) / sum(seconds)
    return {
        "seconds": seconds,
        "busy cores": cores,
        "before": before,
        "peak": torch.cuda.max_memory_allocated(device) / MIB,
    }


def by_the_clock(run: Callable[[], object]) -> float:
    """The seconds that `run` takes here."""
    begin = time.perf_counter()
    run()
    return time.perf_counter() - begin


def on_device(run: Callable[[], object], device: Any) -> float:
    """The seconds between the card's own marks before and after what `run` launches there."""
    import torch

    begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    torch.cuda.synchronize(device)
    stream = torch.cuda.current_stream(device)
    begin.record(stream)  # type: ignore[no-untyped-call]
    run()
    end.record(stream)  # type: ignore[no-untyped-call]
    torch.cuda.synchronize(device)
    return float(begin.elapsed_time(end)) / 1e3  # type: ignore[no-untyped-call]


def train(job: Job) -> dict[str, Any]:
    """Training steps: forward, backward, Adam. Also the spike rate of the last hidden layer."""
    model, x, step = training(job)
    return {**timed(step, job), "rate": _rate(model, x)}


def training(job: Job) -> tuple[Any, Any, Callable[[], None]]:
    """The job's model, its random input [T, B, in], and a step of training on that."""
    import torch

    model, x, target = _ready(job)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

    def step() -> None:
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(x), target).backward()
        optimizer.step()

    return model, x, step


def online(job: Job) -> dict[str, Any]:
    """e-prop on a batch of whole samples, its update included; or the forward pass of the same model, alone.

    With the reset's gradient detached, as in the papers of e-prop, a trace per input is enough; kept, as in training by
    BPTT, it takes one per synapse.
    """
    import torch

    import tclif_neuro as tn

    model, x, target = _ready(replace(job, build="tclif" if job.build == "eprop-synapses" else "detached"))
    if job.build != "forward":
        learner = tn.EPropLearner(model, torch.optim.Adam(model.parameters(), lr=1e-3).step)
        found = timed(lambda: learner.sequence(x, target), job)
    else:
        with torch.no_grad():
            found = timed(lambda: model(x), job)
    return {**found, "rate": _rate(model, x)}


def _ready(job: Job) -> tuple[Any, Any, Any]:
    """The job's model, input and classes, the same ones for every contender."""
    import torch

    from sim.bench.models import BUILD
    from tclif_neuro.memory import keep_large_blocks

    keep_large_blocks()  # for every contender alike
    torch.manual_seed(0)
    model = BUILD[job.build](job.sizes, job.recurrent)
    wake(model, job)
    x, target = torch.rand(job.steps, job.batch, job.sizes[0]), torch.randint(job.sizes[-1], (job.batch,))
    return model.to(job.device), x.to(job.device), target.to(job.device)  # made here: the same everywhere


def wake(model: Any, job: Job) -> None:
    """Multiply the weights of the hidden layers by the job's gain. lava-dl's, of other shapes, fire as they are."""
    import torch

    with torch.no_grad():
        for weight in model.parameters():
            if weight.ndim == 2 and weight.shape[0] != job.sizes[-1]:
                weight *= job.gain


def _rate(model: Any, x: Any) -> float:
    """Spikes per neuron and step of what the readout reads, after training."""
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
    """Runs of the integers on the network of `integers`. Also how many synaptic operations a sample takes.

    "logits" are those of the first sample, which is the same in every batch. Of Lava, a run of the batch is timed less
    a run of one sample: its start takes seconds, and does not count. The batch is doubled until it takes clearly longer
    than the start.
    """
    import numpy as np

    import tclif_neuro as tn
    from sim.bench.integers import network, samples
    from sim.simulator_floor import synaptic_operations

    net, x = network(recurrent=job.recurrent), samples(job.steps, job.batch)
    first = tn.simulate(net, x)
    known = {"samples": job.batch, "operations": synaptic_operations(net, first) / job.batch}
    known["logits"] = first.logits[0].tolist()
    if job.build == "limit":
        return {**limit(net, x, job), **known}
    run: Callable[[Any], Any] = {
        "simulator": lambda x: tn.simulate(net, x),
        "reference": lambda x: tn.run_reference(net, x, record=False),
        "lava": lambda x: tn.lava.run(net, x),
    }[job.build]
    if job.build != "lava":
        return {**timed(lambda: run(x), job), **known}
    cold, logits = replace(job, warm=0, timed=1), []
    start = timed(lambda: logits.append(run(x[:, :1]).logits[0].tolist()), cold)["seconds"][0]
    long = timed(lambda: run(x), cold)
    while long["seconds"][0] < 1.2 * start:
        x = np.concatenate((x, x), axis=1)
        long = timed(lambda x=x: run(x), cold)  # type: ignore[misc]
    known.update(samples=x.shape[1] - 1, logits=logits[0])
    return {**long, "seconds": [long["seconds"][0] - start], **known}


def limit(net: Any, x: Any, job: Job) -> dict[str, Any]:
    """What additions of weights and updates of neurons alone would take on so many cores; `sim/simulator_floor.py`."""
    from sim.simulator_floor import floor

    cores = min(job.batch, job.threads)
    found = timed(lambda: None, job)
    return {**found, "seconds": [floor(net, x) * job.batch / cores for _ in range(job.timed)]}


def set_threads(threads: int) -> None:
    """Also those that a library might take from elsewhere than the environment, which the caller has set."""
    with suppress(ImportError):
        import torch

        torch.set_num_threads(threads)


def threads_set() -> dict[str, int]:
    """How many threads each library of this process would use."""
    found = {}
    if "torch" in sys.modules:
        found["torch"] = sys.modules["torch"].get_num_threads()
    if "numba" in sys.modules:
        found["numba"] = sys.modules["numba"].config.NUMBA_NUM_THREADS
    if "tclif_neuro.threads" in sys.modules:
        found["tclif_neuro"] = sys.modules["tclif_neuro.threads"].count()
    return found


def main() -> None:
    """Measure the `Job` in the first argument."""
    begin = time.perf_counter()
    given = json.loads(sys.argv[1])
    job = Job(**{**given, "sizes": tuple(given["sizes"])})
    if job.work != "simulate":
        set_threads(job.threads)
    got = {"train": train, "online": online, "simulate": simulate}[job.work](job)
    print(json.dumps({**got, "threads": threads_set(), "whole seconds": time.perf_counter() - begin}))


if __name__ == "__main__":
    main()
