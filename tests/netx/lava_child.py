"""Runs stock .net files in an unmodified lava-dl; a program, so that it can be killed when Lava hangs.

    python lava_child.py FOLDER

For every CASE.net in FOLDER that has a CASE.in.npz (x [M, steps], bits, reset: the steps of a sample; or, for input
neurons, their bias [M] and the steps of the one sample), writes
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
    source = io.source.RingBuffer(data=x)
    source.s_out.connect(net.inp)
    return observe(net, x.shape[1])


def observe(net, steps):
    sinks = [io.sink.RingBuffer(shape=layer.neuron.s_out.shape, buffer=steps) for layer in net.layers]
    for layer, sink in zip(net.layers, sinks, strict=True):
        layer.neuron.s_out.connect(sink.a_in)
    net.run(condition=RunSteps(num_steps=steps), run_cfg=Loihi2SimCfg(select_tag="fixed_pt"))
    try:
        spikes = {f"s{i}": sink.data.get() for i, sink in enumerate(sinks)}
        return spikes | {"v": net.layers[-1].neuron.v.get()}
    finally:
        net.stop()


def run_driven(net, bias, steps):
    """Input neurons: their input is their bias, and nothing is connected to them."""
    net.in_layer.neuron.bias_mant.init = bias
    return observe(net, steps)


def main(folder):
    for inputs in sorted(folder.glob("*.in.npz")):
        path, case = inputs.with_name(inputs.name.replace(".in.npz", ".net")), np.load(inputs)
        # For one sample too: without a reset, a bias would act from the run's first step on, not the sample's.
        clock = {} if "bias" in case else {"reset_interval": int(case["reset"]), "reset_offset": 1}
        bits = 0 if "bias" in case else int(case["bits"])
        try:
            net = Network(str(path), input_message_bits=bits, **clock)
        except Exception as error:
            result = {"error": repr(error)}
        else:
            result = run_driven(net, case["bias"], int(case["steps"])) if "bias" in case else run(net, case["x"])
        np.savez(path.with_suffix(".out.npz"), **result)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
