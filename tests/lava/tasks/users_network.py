"""A Lava network of a user's own: the process `TCLIF` among stock ones, driven and read with Lava's own means."""

import json

import numpy as np
from lava.magma.core.run_conditions import RunSteps
from lava.magma.core.run_configs import Loihi2SimCfg
from lava.proc.dense.process import Dense
from lava.proc.io.source import RingBuffer

from tclif_neuro.lava.processes import TCLIF, SampleDense
from tclif_neuro.network import TCLIFNeuron


def trajectories(folder):
    """Each request of requests.json in turn; the states after every step go to <its number>.npy, [3, steps, N]."""
    requests = json.loads((folder / "requests.json").read_text())
    for i, request in enumerate(requests):
        np.save(folder / f"{i}.npy", trajectory(**request))


def trajectory(neuron, weight, recurrent, bias, x, tag, clock, start):
    """dendrite, soma and fired after every step; `start`: what the dendrite is set to after the first."""
    x, weight, recurrent = np.array(x), np.array(weight), np.array(recurrent)
    source = RingBuffer(data=x.T)
    dense = Dense(weights=weight, num_message_bits=8)
    back = SampleDense(weights=recurrent, **clock)
    cells = TCLIF(shape=weight.shape[:1], neuron=TCLIFNeuron(**neuron), bias_mant=np.array(bias), bias_exp=6, **clock)
    source.s_out.connect(dense.s_in)
    dense.a_out.connect(cells.a_in)
    cells.s_out.connect(back.s_in)
    back.a_out.connect(cells.a_in)
    found = np.zeros((3, len(x), len(weight)))
    config = Loihi2SimCfg(select_tag=tag)
    for step in range(len(x)):
        cells.run(RunSteps(num_steps=1), config)
        if step == 0:
            cells.dendrite.set(np.array(start))
        found[:, step] = cells.dendrite.get(), cells.soma.get(), cells.fired.get()
    cells.stop()
    return found
