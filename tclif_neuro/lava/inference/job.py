"""A run as files in a folder, so that a child process can do it: what `lava.run` asks for and gets back."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tclif_neuro.fixed.run import Encoded, LayerRun
from tclif_neuro.lava.recording import read_recording, recording_path
from tclif_neuro.network import QuantizedNetwork
from tclif_neuro.netx import load, save

TASK = f"{__name__}:run_job"
_NETWORK, _INPUT, _ENDS, _SEQUENCES = "network.net", "input.npy", "ends.npy", "sequences"


def write_job(folder: Path, net: QuantizedNetwork, encoded: Encoded, record: bool) -> None:
    """Ask for a run of `net` on the encoded input; `record`: with every step's spikes and states."""
    save(net, folder / _NETWORK)
    np.save(folder / _INPUT, encoded.values, allow_pickle=False)
    np.save(folder / _ENDS, encoded.ends, allow_pickle=False)
    if record:
        (folder / _SEQUENCES).touch()


def run_job(folder: Path) -> None:
    """Do what was asked for in `folder`. Imports Lava."""
    from tclif_neuro.lava.guarding.runtime import run_lava
    from tclif_neuro.lava.inference.build import build

    net, encoded = load(folder / _NETWORK), np.load(folder / _INPUT, allow_pickle=False)
    ends = np.load(folder / _ENDS, allow_pickle=False)
    source = build(net, encoded, ends, folder, (folder / _SEQUENCES).exists())
    run_lava(source, total_steps(net, *encoded.shape[:2]))


def read_job(folder: Path, layers: int) -> tuple[LayerRun, ...]:
    """Return the result of the run of `layers` layers in `folder`."""
    return tuple(read_recording(recording_path(folder, i)) for i in range(layers))


def total_steps(net: QuantizedNetwork, steps: int, samples: int) -> int:
    """The steps of a run of `samples` samples of `steps` steps, until the last layer has had them all."""
    return steps * samples + len(net.layers)


def total_processes(net: QuantizedNetwork) -> int:
    """Return the number of processes that Lava itself starts for a run."""
    return 1 + sum(3 if layer.recurrent is not None else 2 for layer in net.layers)
