"""Runs stock .net files in an unmodified lava-dl; a program, so that it can be killed when Lava hangs.

    python lava_child.py FOLDER

For every CASE.net in FOLDER that has a CASE.in.npz (x [M, steps], bits, reset: the steps of a sample), writes
CASE.out.npz: each layer's spikes (s0, s1, ... [N, steps]) and the last layer's potential (v), or, if lava-dl refuses
the file, only `error`.
"""

import sys
from pathlib import Path

import numpy as np
from lava.lib.dl.netx.hdf5 import Network
from lava.magma.core.run_conditions import RunSteps
from lava.magma.core.run_configs import Loihi2SimCfg
from lava.proc import io


def run(net, x):
    steps = x.shape[1]
    source = io.source.RingBuffer(data=x)
    source.s_out.connect(net.inp)
    sinks = [io.sink.RingBuffer(shape=layer.neuron.s_out.shape, buffer=steps) for layer in net.layers]
    for layer, sink in zip(net.layers, sinks, strict=True):
        layer.neuron.s_out.connect(sink.a_in)
    net.run(condition=RunSteps(num_steps=steps), run_cfg=Loihi2SimCfg(select_tag="fixed_pt"))
    try:
        spikes = {f"s{i}": sink.data.get() for i, sink in enumerate(sinks)}
        return spikes | {"v": net.layers[-1].neuron.v.get()}
    finally:
        net.stop()


def main(folder):
    for inputs in sorted(folder.glob("*.in.npz")):
        path, case = inputs.with_name(inputs.name.replace(".in.npz", ".net")), np.load(inputs)
        # For one sample too: without a reset, a bias would act from the run's first step on, not the sample's.
        reset = {"reset_interval": int(case["reset"]), "reset_offset": 1}
        try:
            net = Network(str(path), input_message_bits=int(case["bits"]), **reset)
        except Exception as error:
            result = {"error": repr(error)}
        else:
            result = run(net, case["x"])
        np.savez(path.with_suffix(".out.npz"), **result)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
