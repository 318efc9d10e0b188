"""A network with every kind of layer, its file, and files that differ from it."""

import re

import numpy as np
import pytest

from tclif_neuro.network import MANT_MAX, InputCoding, Layer, LIFNeuron, QuantizedNetwork, Synapses, TCLIFNeuron
from tclif_neuro.netx import NetFileError
from tclif_neuro.netx.container import pack
from tclif_neuro.netx.format import digest
from tclif_neuro.netx.read import decode, from_bytes
from tclif_neuro.netx.write import encode, to_bytes

N = 3


def layer(neuron, m, recurrent=False, readout=False):
    return Layer(
        synapses=Synapses(weight=np.arange(-N, N * m - N).reshape(N, m) * 2, exponent=1),
        recurrent=Synapses(weight=np.eye(N, dtype=int), exponent=-1) if recurrent else None,
        neuron=neuron,
        bias_mant=np.array([0, 64, -64]),
        bias_exp=6,
        scale_bits=14,
        readout=readout,
    )


TCLIF = TCLIFNeuron(a1=[[4000]], a2=[[4096]], b1=[-2048, -1, 0], b2=[2048], vth_mant=256, gamma_mant=128)
ATCLIF = TCLIFNeuron(a1=[[4000], [9]], a2=[[1] * N, [2] * N], b1=[-5], b2=[6], vth_mant=9, gamma_mant=0)
NET = QuantizedNetwork(
    layers=(
        layer(TCLIF, 2, recurrent=True),
        layer(ATCLIF, N),
        layer(LIFNeuron(i_decay=4096, v_decay=0, vth_mant=MANT_MAX), N, readout=True),
    ),
    input=InputCoding(bits=8, scale=2.0, signed=True),
    steps=5,
    classes=("a", "b", "c"),
    recipe="[task]\n",
)
DATA = to_bytes(NET)
CONTENT = encode(NET)


def changed(changes=(), attributes=(), remove=()):
    """The file of NET, its content changed, the digest right."""
    content = {name: array for name, array in (CONTENT | dict(changes)).items() if name not in remove}
    root = {"format": np.bytes_(b"tclif-neuro-net"), "version": np.int64(1), "digest": np.bytes_(digest(content))}
    return pack(root | dict(attributes), {name: np.asarray(array) for name, array in content.items()})


def refused(changes, message):
    """Changed content is refused, whatever the file around it."""
    with pytest.raises(NetFileError, match=f"^{re.escape(message)}"):
        decode(CONTENT | {name: np.asarray(array) for name, array in changes.items()})


def fails(data, message):
    with pytest.raises(NetFileError, match=f"^{re.escape(message)}"):
        from_bytes(data)
