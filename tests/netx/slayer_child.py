"""Writes networks of lava-dl's SLAYER as .net files; a program, so that its warnings stay out of the tests.

python slayer_child.py FOLDER
"""

import sys
from pathlib import Path

import h5py
import torch
from lava.lib.dl.slayer import block
from lava.lib.dl.slayer.neuron import norm

PARAMS = {"threshold": 1.25, "current_decay": 0.25, "voltage_decay": 0.03}


def dense(inputs, neurons, **more):
    params = PARAMS | {"norm": norm.MeanOnlyBatchNorm} if more.pop("bias", False) else PARAMS
    return block.cuba.Dense(dict(params), inputs, neurons, weight_scale=3, weight_norm=True, **more)


def recurrent(inputs, neurons):
    layer = block.cuba.Recurrent(dict(PARAMS), inputs, neurons, weight_scale=3)
    layer.recurrent_synapse.weight.data *= 0.3
    return layer


NETWORKS = {
    "dense": lambda: [
        block.cuba.Input(delay_shift=False),
        dense(6, 12, bias=True),
        dense(12, 8),
        block.cuba.Affine(dict(PARAMS), 8, 4),
    ],
    "integrator": lambda: [dense(6, 12, bias=True), block.cuba.Affine(dict(PARAMS), 12, 4, dynamics=False)],
    "recurrent": lambda: [block.cuba.Input(delay_shift=False), recurrent(6, 10), dense(10, 5)],
    "delayed": lambda: [block.cuba.Input(delay_shift=False), dense(6, 8, delay=True), dense(8, 5)],
}


def export(blocks, path):
    """As lava-dl's tutorials do it: run once, so that the blocks know their shapes, then each writes its layer."""
    x = (torch.rand(4, 6, 20) < 0.5).float()
    for layer in blocks:
        x = layer(x)
    with h5py.File(path, "w") as file:
        for i, layer in enumerate(blocks):
            layer.export_hdf5(file.create_group(f"layer/{i}"))


def main(folder):
    torch.manual_seed(0)
    for name, make in NETWORKS.items():
        export(make(), folder / f"{name}.net")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
