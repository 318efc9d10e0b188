"""On-chip learning in Lava: what `onchip.learn(..., backend="lava")` asks for and gets back. Does not import Lava.

The samples follow each other in one run, with silent steps between them. The result is that of the other backends, to
the bit.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tclif_neuro.lava.guarding.job import Job
from tclif_neuro.lava.learning import engine, exact
from tclif_neuro.netx import load, save
from tclif_neuro.onchip.engine.program import check_engine
from tclif_neuro.onchip.rule.matrices import Matrix
from tclif_neuro.onchip.rule.setup import EngineState, LearningSetup, Plasticity
from tclif_neuro.onchip.run import LearningRun

TASK = f"{__name__}:run_job"
_NETWORK, _SETUP, _STATE, _DATA = "network.net", "setup.json", "state.npz", "data.npz"
_STEP = 1e-2  # seconds allowed for a step of a process; a learning one takes about 0.5 ms

Ints = npt.NDArray[Any]


def learn_in_lava(
    setup: LearningSetup,
    encoded: Ints,
    labels: Ints,
    *,
    record: bool = False,
    timeout: float | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> LearningRun:
    """`onchip.learn` for the encoded input [T, S, M] and the checked labels [S].

    Raises `LavaMissing`; `FormatError` for a setup that the engine cannot run; `LavaError` if Lava fails.
    """
    kind = exact if setup.variant == "exact" else engine
    if setup.variant != "exact":
        check_engine(setup)
    steps, samples, _ = encoded.shape
    targets = np.stack([setup.targets(int(label), steps) for label in labels])
    run_steps = kind.total_steps(setup, steps, samples)
    processes = 3 + 4 * len(setup.net.layers)
    job = Job(task=TASK, steps=run_steps, seconds=_STEP * run_steps * processes)

    def write(folder: Path) -> None:
        write_setup(folder, setup)
        np.savez(folder / _DATA, encoded=encoded, targets=targets, record=record)

    def read(folder: Path) -> LearningRun:
        return kind.read_run(folder, setup, targets, record)

    return job.done(write, read, timeout=timeout, progress=progress)


def run_job(folder: Path) -> None:
    """Do what was asked for in `folder`. Imports Lava."""
    from tclif_neuro.lava.guarding.runtime import run_lava
    from tclif_neuro.lava.learning.engine_network import EngineBuilder
    from tclif_neuro.lava.learning.exact_network import ExactBuilder

    setup = read_setup(folder)
    with np.load(folder / _DATA, allow_pickle=False) as data:
        encoded, targets, record = data["encoded"], data["targets"], bool(data["record"])
    steps, samples, _ = encoded.shape
    builder, kind = (ExactBuilder, exact) if setup.variant == "exact" else (EngineBuilder, engine)
    network = builder(setup=setup, steps=steps, samples=samples, folder=folder, record=record)
    run_lava(network.build(encoded, targets), kind.total_steps(setup, steps, samples))


def write_setup(folder: Path, setup: LearningSetup) -> None:
    """Write `setup` into `folder`."""
    save(setup.net, folder / _NETWORK)
    plain = {f.name: getattr(setup, f.name) for f in fields(setup) if f.name not in ("net", "engine")}
    plain["plasticity"] = [rule and asdict(rule) for rule in setup.plasticity]
    plain["target"] = setup.target.tolist()
    (folder / _SETUP).write_text(json.dumps(plain))
    if setup.engine is not None:
        arrays: dict[str, Any] = {"epochs": np.array(setup.engine.epochs)}
        for kind, found in (("weight", setup.engine.weights), ("trace", setup.engine.traces)):
            arrays |= {f"{kind}{matrix.number}": array for matrix, array in found.items()}
        np.savez(folder / _STATE, **arrays)


def read_setup(folder: Path) -> LearningSetup:
    """The setup in `folder`."""
    plain = json.loads((folder / _SETUP).read_text())
    plain["plasticity"] = tuple(rule and Plasticity(**rule) for rule in plain["plasticity"])
    plain["target"] = np.array(plain["target"])
    state = _read_state(folder / _STATE) if (folder / _STATE).exists() else None
    return LearningSetup(net=load(folder / _NETWORK), engine=state, **plain)


def _read_state(path: Path) -> EngineState:
    with np.load(path, allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    epochs = int(arrays.pop("epochs"))

    def of(kind: str) -> dict[Matrix, Ints]:
        numbers = {int(name.removeprefix(kind)): array for name, array in arrays.items() if name.startswith(kind)}
        return {Matrix(number // 2, bool(number % 2)): array for number, array in numbers.items()}

    return EngineState(weights=of("weight"), traces=of("trace"), epochs=epochs)
