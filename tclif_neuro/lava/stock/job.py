"""Runs of a graph as files in a folder, so that a child process can do them: one run per sample."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tclif_neuro.fixed.run import Run, encode
from tclif_neuro.lava.guarding.guard import guarded, require
from tclif_neuro.loihi.graph import Graph, GraphRun
from tclif_neuro.loihi.graph_arrays import from_arrays, to_arrays
from tclif_neuro.loihi.stock import StockNetwork
from tclif_neuro.loihi.stock_run import as_run, observed, total_steps

TASK = f"{__name__}:run_job"
_JOB, _DONE = "job.npz", "done.npz"

_START = 60.0  # seconds allowed for the start of Lava
_SAMPLE = 0.5  # per process of a run, which is made anew for each sample
_STEP = 5e-3  # per step of a process


def run_stock(
    stock: StockNetwork,
    x: npt.ArrayLike,
    *,
    record: bool = False,
    timeout: float | None = None,
    progress: Callable[[int, int], None] | None = None,
    board: dict[str, str] | None = None,
) -> Run:
    """Run `stock` on the float input `x` [T, B, M] with Lava's own processes; the result is `loihi.run_stock`'s.

    A sigma has no reset, so every sample is a run of its own. record, timeout, progress: as of `lava.run`. Saturations
    are not counted, and 0. board: the environment of Intel's driver (`loihi.host.environment`), to run on a board
    instead of the CPU, with every neuron and synapse on a core or not at all.

    Raises `LavaMissing`, `InputError` and `LavaError`.
    """
    encoded = encode(stock.net, x)
    steps = total_steps(stock, len(encoded.values))
    got = run_graph_in_lava(
        stock.graph, encoded.values, steps, observed(stock), timeout=timeout, progress=progress, board=board
    )
    return as_run(stock, encoded, got, record)


def run_graph_in_lava(
    graph: Graph,
    x: npt.NDArray[Any],
    steps: int,
    observe: Sequence[str],
    *,
    timeout: float | None = None,
    progress: Callable[[int, int], None] | None = None,
    board: dict[str, str] | None = None,
) -> GraphRun:
    """`loihi.run_graph` by Lava's own processes, sample by sample, on the CPU or with the environment of a `board`."""
    require()
    processes, batch = len(graph.nodes) + len(graph.edges) + len(observe), x.shape[1]
    limit = _START + batch * processes * (_SAMPLE + _STEP * steps) if timeout is None else timeout
    with tempfile.TemporaryDirectory(prefix="tclif-stock-") as name:
        folder = Path(name)
        text, arrays = to_arrays(graph)
        arrays["on_chip"] = np.array(board is not None)
        settings: dict[str, Any] = {
            "graph": np.array(text),
            "x": x,
            "steps": np.int64(steps),
            "observe": np.array(list(observe)),
        }
        np.savez(folder / _JOB, **settings, **arrays)
        guarded(TASK, folder, timeout=limit, steps=steps, progress=progress, environment=board)
        with np.load(folder / _DONE, allow_pickle=False) as done:
            found = dict(done)
    lifs = [node.name for node in graph.nodes if node.kind == "lif"]
    final = {name: (found[f"u.{name}"], found[f"v.{name}"]) for name in lifs}
    return GraphRun(sent={name: found[f"sent.{name}"] for name in observe}, final=final, left={})


def run_job(folder: Path) -> None:
    """Do what was asked for in `folder`. Imports Lava."""
    with np.load(folder / _JOB, allow_pickle=False) as job:
        found = dict(job)
    graph = from_arrays(str(found["graph"]), found)
    observe = [str(name) for name in found["observe"]]
    steps, on_chip = int(found["steps"]), bool(found["on_chip"])
    samples = [_sample(graph, row, steps, observe, folder, on_chip) for row in found["x"].swapaxes(0, 1)]
    np.savez(folder / _DONE, **{key: np.stack([s[key] for s in samples], axis=axis(key)) for key in samples[0]})


def axis(key: str) -> int:
    """Where the samples are: sequences are [steps, B, N], final states [B, N]."""
    return 1 if key.startswith("sent.") else 0


def _sample(
    graph: Graph, signal: npt.NDArray[Any], steps: int, observe: list[str], folder: Path, on_chip: bool
) -> dict[str, Any]:
    """What the observed nodes sent in one run on `signal` [T, M], and the last state of every LIF."""
    from tclif_neuro.lava.guarding.runtime import run_lava
    from tclif_neuro.lava.stock.build import build_graph, observation_path

    made = build_graph(graph, signal, steps, observe, folder, on_chip=on_chip)
    found: dict[str, npt.NDArray[Any]] = {}

    def read_states() -> None:
        for node in graph.nodes:
            if node.kind == "lif":
                found[f"u.{node.name}"] = np.array(made[node.name].u.get(), np.int64)
                found[f"v.{node.name}"] = np.array(made[node.name].v.get(), np.int64)

    config = None
    if on_chip:
        from tclif_neuro.lava.hardware.strict import strict_config

        config = strict_config()
    run_lava(made[graph.source.name], steps, finish=read_states, config=config)
    for name in observe:
        rows = np.fromfile(observation_path(folder, name), np.int32)
        found[f"sent.{name}"] = rows.reshape(steps, -1)
    return found
