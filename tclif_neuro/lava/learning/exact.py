"""On-chip learning in Lava: `learn(setup, x, labels)` gives the weights of `learn_reference`, to the bit.

Importing this does not import Lava.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tclif_neuro.fixed.run import check_input
from tclif_neuro.lava.guarding.guard import guarded, require
from tclif_neuro.lava.recording import read_recording, recording_path
from tclif_neuro.netx import load, save
from tclif_neuro.onchip.exact.reference import check_labels
from tclif_neuro.onchip.rule.setup import LearningSetup, Plasticity
from tclif_neuro.onchip.run import LayerTrace, LearningRun, learned

TASK = f"{__name__}:run_job"
_NETWORK, _INPUT, _SETUP, _LABELS, _SEQUENCES = "network.net", "input.npy", "setup.json", "labels.npy", "sequences"
_START = 60.0  # seconds allowed for the start of Lava
_STEP = 1e-2  # seconds allowed for a step of a process; a learning one takes about 0.5 ms

Ints = npt.NDArray[Any]


def learn(
    setup: LearningSetup,
    x: npt.ArrayLike,
    labels: npt.ArrayLike,
    *,
    record: bool = False,
    timeout: float | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> LearningRun:
    """Learn the samples of the float input `x` [T, S, M], of classes `labels` [S], in Lava on the CPU.

    The samples follow each other in one run, with idle steps between them. The result is that of `learn_reference`, to
    the bit.

    record: keep every step's spikes, states and traces, and the weights after every sample. timeout: seconds (default:
    60 s and 10 ms a step and process). progress: called with the steps done and the steps of the run.

    Raises `LavaMissing`; `FormatError` for a variant other than "exact" (see `learn_stock`); `InputError` for an input
    that does not fit; `LavaError` if Lava fails.
    """
    setup.check_exact()
    require()
    encoded = setup.net.input.encode(check_input(setup.net, x))
    classes = check_labels(setup, labels, encoded.shape[1])
    steps = total_steps(setup, *encoded.shape[:2])
    processes = 3 + 4 * len(setup.net.layers)
    limit = _START + _STEP * steps * processes if timeout is None else timeout
    with tempfile.TemporaryDirectory(prefix="tclif-lava-") as name:
        folder = Path(name)
        write_job(folder, setup, encoded, classes, record)
        guarded(TASK, folder, timeout=limit, steps=steps, progress=progress)
        return read_job(folder, setup, classes, len(encoded), record)


def total_steps(setup: LearningSetup, steps: int, samples: int) -> int:
    """The steps of a run of `samples` samples of `steps` steps, until the last layer has had them all."""
    return (steps + setup.idle) * samples + len(setup.net.layers)


def setup_to(folder: Path, setup: LearningSetup) -> None:
    """Write `setup` into `folder`."""
    save(setup.net, folder / _NETWORK)
    plain = {f.name: getattr(setup, f.name) for f in fields(setup) if f.name != "net"}
    plain["rules"] = [rule and asdict(rule) for rule in setup.rules]
    plain["target"] = setup.target.tolist()
    (folder / _SETUP).write_text(json.dumps(plain))


def setup_from(folder: Path) -> LearningSetup:
    """The setup in `folder`."""
    plain = json.loads((folder / _SETUP).read_text())
    plain["rules"] = tuple(rule and Plasticity(**rule) for rule in plain["rules"])
    plain["target"] = np.array(plain["target"])
    return LearningSetup(net=load(folder / _NETWORK), **plain)


def write_job(folder: Path, setup: LearningSetup, encoded: Ints, labels: Ints, record: bool) -> None:
    """Ask for a run of `setup` on the encoded input [T, S, M] of classes `labels` [S]."""
    setup_to(folder, setup)
    np.save(folder / _INPUT, encoded, allow_pickle=False)
    np.save(folder / _LABELS, labels, allow_pickle=False)
    if record:
        (folder / _SEQUENCES).touch()


def run_job(folder: Path) -> None:
    """Do what was asked for in `folder`. Imports Lava."""
    from tclif_neuro.lava.guarding.runtime import run_lava
    from tclif_neuro.lava.learning.exact_network import Builder

    setup, encoded = setup_from(folder), np.load(folder / _INPUT, allow_pickle=False)
    steps, samples, _ = encoded.shape
    sequences = (folder / _SEQUENCES).exists()
    builder = Builder(setup=setup, steps=steps, samples=samples, folder=folder, sequences=sequences)
    source = builder.build(encoded, np.load(folder / _LABELS, allow_pickle=False))
    run_lava(source, total_steps(setup, steps, samples))


def connection_path(folder: Path, layer: int, recurrent: bool) -> Path:
    """Where in `folder` the record of a connection that learns is."""
    return folder / f"connection{layer}{'r' if recurrent else ''}.npz"


def read_job(folder: Path, setup: LearningSetup, labels: Ints, steps: int, record: bool) -> LearningRun:
    """What the run in `folder` gave."""
    samples, last = len(labels), len(setup.net.layers) - 1
    states = read_recording(recording_path(folder, last)).states
    assert states is not None
    potential = states[1, :steps].astype(np.int64)
    targets = np.stack([setup.targets(int(label), steps) for label in labels], axis=1)
    return LearningRun(
        setup=learned(setup, [_weights(folder, setup, layer) for layer in range(last + 1)], samples),
        potential=potential[-1],
        error=(setup.error(potential, targets) ** 2).sum(axis=(0, 2)),
        layers=tuple(_trace(folder, setup, layer, steps) for layer in range(last + 1)) if record else (),
    )


def _weights(folder: Path, setup: LearningSetup, layer: int) -> list[Ints]:
    """The layer's weights at the end: of the input synapses and, if it is recurrent, of its own."""
    described = setup.net.layers[layer]
    both = [(False, described.synapses), (True, described.recurrent)]
    return [
        _read(folder, layer, recurrent, "final") if setup.rule(layer, recurrent=recurrent) else synapses.weight
        for recurrent, synapses in both
        if synapses is not None
    ]


def _read(folder: Path, layer: int, recurrent: bool, what: str) -> Ints:
    with np.load(connection_path(folder, layer, recurrent), allow_pickle=False) as file:
        return file[what]


def _trace(folder: Path, setup: LearningSetup, layer: int, steps: int) -> LayerTrace:
    """What layer `layer` did in the steps of the samples."""
    run, described = read_recording(recording_path(folder, layer)), setup.net.layers[layer]
    assert run.spikes is not None and run.states is not None
    samples, size = run.spikes.shape[1:]
    parts = [recurrent for recurrent in (False, True) if not recurrent or described.recurrent is not None]
    learning = [recurrent for recurrent in parts if setup.rule(layer, recurrent=recurrent)]
    weight = [
        _read(folder, layer, recurrent, "weight")
        if recurrent in learning
        else np.broadcast_to(synapses.weight, (samples, *synapses.weight.shape))
        for recurrent, synapses in zip(parts, (described.synapses, described.recurrent), strict=False)
        if synapses is not None
    ]
    traces = [_read(folder, layer, recurrent, "eligibility") for recurrent in learning]
    nothing = np.zeros((2, steps, samples, 0), np.int32)
    return LayerTrace(
        spikes=run.spikes[:steps],
        states=run.states[:, :steps],
        posted=_read(folder, layer, False, "posted") if learning else np.zeros((2, steps, samples, size), np.int16),
        eligibility=np.concatenate([nothing, *traces], axis=-1),
        weight=np.concatenate(weight, axis=-1),
    )
