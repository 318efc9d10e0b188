"""A .net file as a Lava process between a source and a sink of Lava's own.

In a folder of its own: for any process, Lava imports all modules beside it, and this one imports lava-dl and torch.
"""

import json

import numpy as np
from lava.magma.core.run_conditions import RunSteps
from lava.magma.core.run_configs import Loihi2SimCfg
from lava.proc.io.sink import RingBuffer as Sink
from lava.proc.io.source import RingBuffer

from tclif_neuro.lava.loader import Network, hdf5
from tclif_neuro.netx import NetFileError

LOADERS = {"ours": Network, "lava-dl": hdf5.Network}


def outputs(folder):
    """Each request of requests.json: the output's spikes go to <its number>.npy [steps, N].

    The layers' types, or the error of a file that cannot be loaded, go to loaded.json.
    """
    loaded = []
    for i, request in enumerate(json.loads((folder / "requests.json").read_text())):
        try:
            network = LOADERS[request["loader"]](str(folder / request["file"]), **request["arguments"])
        except NetFileError as error:
            loaded.append(str(error))
            continue
        loaded.append([f"{type(layer).__module__}.{type(layer).__name__}" for layer in network.layers])
        np.save(folder / f"{i}.npy", play(network, np.array(request["input"])))
    (folder / "loaded.json").write_text(json.dumps(loaded))


def play(network, x):
    source, sink = RingBuffer(data=x.T), Sink(shape=network.out.shape, buffer=len(x) + 1)
    source.s_out.connect(network.inp)
    network.out.connect(sink.a_in)
    network.run(RunSteps(num_steps=len(x)), Loihi2SimCfg(select_tag="fixed_pt"))
    spikes = sink.data.get().T[: len(x)]
    network.stop()
    return spikes
