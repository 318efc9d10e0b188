"""Runs of a graph as files in a folder, so that a child process can do them: one run per sample."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tclif_neuro.fixed.run import Run, encode
from tclif_neuro.lava.guarding.guard import guarded, require
from tclif_neuro.lava.hardware.machine import ADAPTER_STEPS, CPU, Choice, HardwareRun, Machine
from tclif_neuro.loihi.graph import Graph, GraphRun, neurons_of
from tclif_neuro.loihi.graph_arrays import from_arrays, to_arrays
from tclif_neuro.loihi.stock import ChipNetwork
from tclif_neuro.loihi.stock_run import as_run, lengthened, observed, total_steps

TASK = f"{__name__}:run_job"
_JOB, _DONE, _PLACED = "job.npz", "done.npz", "placed.json"

_START = 60.0  # seconds allowed for the start of Lava
_SAMPLE = 0.5  # per process of a run, which is made anew for each sample
_STEP = 5e-3  # per step of a process


def run_stock(
    stock: ChipNetwork,
    x: npt.ArrayLike,
    *,
    lengths: npt.ArrayLike | None = None,
    record: bool = False,
    timeout: float | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Run:
    """Run `stock` on the float input `x` [T, B, M] with Lava's own processes; the result is `loihi.run_stock`'s.

    A sigma has no reset, so every sample is a run of its own. lengths, record, timeout, progress: as of `lava.run`.
    Saturations are not counted, and 0.

    Raises `LavaMissing`, `InputError` and `LavaError`.
    """
    encoded = encode(stock.net, x, lengths)
    done = run_network_in_lava(stock, encoded.values, lengths=encoded.lengths, timeout=timeout, progress=progress)
    return as_run(stock, encoded, done.got, record)


def run_network_in_lava(
    network: ChipNetwork,
    values: npt.NDArray[Any],
    machine: Machine = CPU,
    *,
    lengths: npt.NDArray[np.int64] | None = None,
    timeout: float | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> HardwareRun:
    """`loihi.run_network` by Lava's processes on `machine`; values, lengths: the encoded input [T, B, M].

    With adapters if the network was made for them: on a CPU, stand-ins that cost as many steps.
    """
    own = [len(values)] * values.shape[1] if lengths is None else lengths.tolist()
    steps, names = [total_steps(network, n) for n in own], observed(network)
    wait: dict[str, Any] = {"adapter_steps": network.adapter_steps, "machine": machine}
    done = run_graph_in_lava(network.graph, values, steps, names, timeout=timeout, progress=progress, **wait)
    whole = total_steps(network, len(values))
    return replace(done, got=replace(done.got, sent={n: lengthened(sent, whole) for n, sent in done.got.sent.items()}))


def run_graph_in_lava(
    graph: Graph,
    x: npt.NDArray[Any],
    steps: int | Sequence[int],
    observe: Sequence[str],
    *,
    adapter_steps: int = 0,
    machine: Machine = CPU,
    timeout: float | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> HardwareRun:
    """`loihi.run_graph` by Lava's processes, sample by sample.

    steps: of each run, or of each sample's; what a shorter one would have sent after its end is 0. adapter_steps: 0
    without adapters, `ADAPTER_STEPS` with them.
    """
    require()
    each = [steps] * x.shape[1] if isinstance(steps, int) else list(steps)
    assert adapter_steps in (0, ADAPTER_STEPS)
    processes, batch = len(graph.nodes) + len(graph.edges) + 2 * len(observe), x.shape[1]
    limit = _START + processes * (_SAMPLE * batch + _STEP * sum(each)) if timeout is None else timeout
    begin = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="tclif-chip-") as name:
        folder = Path(name)
        text, arrays = to_arrays(graph)
        settings: dict[str, Any] = {
            "graph": np.array(text),
            "x": x,
            "steps": np.array(each, np.int64),
            "observe": np.array(list(observe)),
            "adapter_steps": np.int64(adapter_steps),
            "on_chip": np.array(machine.on_chip),
            "ncmodel": np.array(machine.ncmodel),
            "profile": np.array(machine.profile),
        }
        np.savez(folder / _JOB, **settings, **arrays)
        guarded(TASK, folder, timeout=limit, steps=max(each), progress=progress, environment=machine.environment)
        with np.load(folder / _DONE, allow_pickle=False) as done:
            found = dict(done)
        placed = json.loads((folder / _PLACED).read_text())
    final = {name: (found[f"u.{name}"], found[f"v.{name}"]) for name in neurons_of(graph)}
    return HardwareRun(
        got=GraphRun(sent={name: found[f"sent.{name}"] for name in observe}, final=final, left={}),
        placement=tuple(Choice(**{**row, "resources": tuple(row["resources"])}) for row in placed),
        seconds=time.monotonic() - begin,
        profile={key[8:]: tuple(values.tolist()) for key, values in found.items() if key.startswith("profile.")},
    )


def run_job(folder: Path) -> None:
    """Do what was asked for in `folder`. Imports Lava."""
    with np.load(folder / _JOB, allow_pickle=False) as job:
        found = dict(job)
    graph = from_arrays(str(found["graph"]), found)
    runs = zip(found["x"].swapaxes(0, 1), found["steps"].tolist(), strict=True)
    samples = [_sample(graph, row, steps, found, folder) for row, steps in runs]
    np.savez(folder / _DONE, **{key: np.stack([s[key] for s in samples], axis=axis(key)) for key in samples[0]})


def axis(key: str) -> int:
    """Return the axis of the samples: sequences are [steps, B, N], final states [B, N]."""
    return 1 if key.startswith("sent.") else 0


def _sample(graph: Graph, signal: npt.NDArray[Any], steps: int, job: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Return the output of the observed nodes in a run of `steps` steps on `signal` [T, M], and the last states.

    The output is followed by zeros up to the longest run's. The choices go to a file.
    """
    from tclif_neuro.lava.guarding.runtime import run_lava
    from tclif_neuro.lava.hardware import build, profile

    late = int(job["adapter_steps"])
    adapters: build.Adapters = build.StandIns() if late else build.Adapters()
    if job["on_chip"]:
        adapters = build.ChipAdapters()
    observe = [str(name) for name in job["observe"]]
    made = build.build_graph(graph, signal, steps + late, observe, folder, adapters)
    found: dict[str, Any] = {}

    def read_states() -> None:
        for node in graph.nodes:
            if node.kind in ("lif", "tclif"):
                names = ("u", "v") if node.kind == "lif" else ("dendrite", "soma")
                for key, name in zip("uv", names, strict=True):
                    found[f"{key}.{node.name}"] = np.array(getattr(made[node.name], name).get(), np.int64)

    profilers = profile.make_profilers(steps) if job["profile"] else []
    config = _config(bool(job["on_chip"]), str(job["ncmodel"]), profilers)
    run_lava(made[graph.source.name], steps, finish=read_states, config=config, tail=late)
    (folder / _PLACED).write_text(json.dumps([asdict(choice) for choice in config.record]))
    for name in observe:
        rows = np.fromfile(build.observation_path(folder, name), np.int32)
        rows = rows.reshape(steps + late, -1)[late:]
        found[f"sent.{name}"] = np.pad(rows, ((0, int(job["steps"].max()) - steps), (0, 0)))
    return found | {f"profile.{key}": np.float64(value) for key, value in profile.read_profilers(profilers).items()}


def _config(on_chip: bool, ncmodel: str, profilers: list[Any]) -> Any:
    from tclif_neuro.lava.hardware.select import RecordingSimCfg, strict_config

    if not on_chip:
        return RecordingSimCfg()
    from tclif_neuro.lava.hardware.microcode import load_ncmodel

    return strict_config(load_ncmodel(ncmodel) if ncmodel else None, profilers)
