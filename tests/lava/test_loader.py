"""A .net file, as a Lava process, does what the reference does with the network in it."""

import json
from pathlib import Path

import h5py
import numpy as np
import pytest

from tclif_neuro.fixed.reference import run_reference
from tclif_neuro.lava import guarded
from tclif_neuro.network import InputCoding, Layer, LIFNeuron, QuantizedNetwork, Synapses, TCLIFNeuron
from tclif_neuro.netx import save

pytestmark = [pytest.mark.slow, pytest.mark.lava]

STEPS, SAMPLES = 9, 3
BLOCK, STOCK = "tclif_neuro.lava.processes.block.Block", "lava.lib.dl.netx.blocks.process.Dense"


def layer(rng, n, m, neuron, recurrent):
    return Layer(
        synapses=Synapses(weight=2 * rng.integers(-30, 60, (n, m))),
        recurrent=Synapses(weight=2 * rng.integers(-50, 50, (n, n)), exponent=1) if recurrent else None,
        neuron=neuron,
        bias_mant=rng.integers(0, 60, n),
        bias_exp=6,
    )


def mixed(rng, coding):
    """TC-LIF (one with a schedule) and LIF, recurrent and not."""
    common = {"b1": [-1000], "b2": [2048], "gamma_mant": 100}
    adaptive = TCLIFNeuron(a1=[[4000], [3800]], a2=[[4096], [3000]], vth_mant=150, reset="immediate", **common)
    constant = TCLIFNeuron(a1=[[4000]], a2=[[4090]], vth_mant=300, **common)
    leaky = LIFNeuron(i_decay=4096, v_decay=300, vth_mant=150)
    layers = (layer(rng, 6, 4, adaptive, True), layer(rng, 5, 6, leaky, True), layer(rng, 4, 5, constant, False))
    return QuantizedNetwork(layers=layers, input=coding)


def stock(rng):
    """What lava-dl can compute too."""
    leaky = LIFNeuron(i_decay=2000, v_decay=300, vth_mant=150)
    return QuantizedNetwork(layers=(layer(rng, 6, 4, leaky, False), layer(rng, 4, 6, leaky, False)))


def spikes(found, net):
    """The output [steps of the run, N] as samples [T, B, N]: the last layer is `len(net.layers)` steps behind."""
    behind = len(net.layers)
    return found[behind : behind + STEPS * SAMPLES].reshape(SAMPLES, STEPS, -1).swapaxes(0, 1)


def in_a_row(net, x):
    """The encoded samples [T, B, M] one after the other, and the steps until the last layer has had them."""
    encoded = net.input.encode(x).swapaxes(0, 1).reshape(STEPS * SAMPLES, -1)
    return np.pad(encoded, ((0, len(net.layers)), (0, 0))).tolist()


def without_our_marks(path, delay):
    """Our file as lava-dl would have written it, with synaptic delays, which we do not know."""
    with h5py.File(path, "r+") as file:
        del file["tclif"]
        for name in list(file.attrs):
            del file.attrs[name]
        file["layer/1/delay"] = delay


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """All files loaded and run in one child, since lava-dl takes long to import: {case: (net, x, loaded, output)}."""
    rng = np.random.default_rng(4)
    bits, numbers = rng.random((STEPS, SAMPLES, 4)) > 0.4, rng.integers(-9, 30, (STEPS, SAMPLES, 4))
    binary, graded, both = mixed(rng, InputCoding()), mixed(rng, InputCoding(bits=8, signed=True)), stock(rng)
    clock = {"reset_interval": STEPS, "reset_offset": 1}
    cases = {
        "binary": (binary, bits, "ours", {"reset_interval": STEPS}),  # a source that starts at once is the default
        "graded": (graded, numbers, "ours", clock),
        "stock": (both, bits, "ours", clock),
        "stock in lava-dl": (both, bits, "lava-dl", clock),
        "delays": (both, bits, "ours", clock),
        "delays in lava-dl": (both, bits, "lava-dl", clock),
        "damaged": (both, bits, "ours", clock),
    }
    folder = tmp_path_factory.mktemp("files")
    requests = []
    for name, (net, x, loader, arguments) in cases.items():
        save(net, folder / f"{name}.net")
        requests.append({"file": f"{name}.net", "loader": loader, "input": in_a_row(net, x), "arguments": arguments})
    delay = rng.integers(0, 3, (6, 4))
    without_our_marks(folder / "delays.net", delay)
    without_our_marks(folder / "delays in lava-dl.net", delay)
    with h5py.File(folder / "damaged.net", "r+") as file:
        file["layer/1/weight"][0, 0] += 2
    (folder / "requests.json").write_text(json.dumps(requests))
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(Path(__file__).parent / "tasks_netx")
        guarded("net_files:outputs", folder, timeout=250)
    loaded = json.loads((folder / "loaded.json").read_text())
    found = [np.load(path) if (path := folder / f"{i}.npy").exists() else None for i in range(len(cases))]
    result = {name: (*cases[name][:2], how, output) for name, how, output in zip(cases, loaded, found, strict=True)}
    return result | {"printed": (folder / "output.txt").read_text()}


@pytest.mark.parametrize("case", ["binary", "graded", "stock", "stock in lava-dl"])
def test_a_file_gives_the_references_spikes(runs, case):
    net, x, loaded, output = runs[case]
    assert loaded == [STOCK if case == "stock in lava-dl" else BLOCK] * len(net.layers)
    reference = run_reference(net, x, record=True).spikes[-1]
    assert reference.any() and not reference.all()
    assert np.array_equal(spikes(output, net), reference)


def test_what_only_lava_dl_knows_is_left_to_lava_dl(runs):
    *_, ours, our_output = runs["delays"]
    *_, theirs, their_output = runs["delays in lava-dl"]
    assert ours == theirs == [STOCK] * 2
    assert their_output.any() and np.array_equal(our_output, their_output)


def test_a_damaged_file_of_ours_is_not_left_to_lava_dl(runs):
    assert "damaged.net: the content does not match its digest" in runs["damaged"][2]


def test_neither_lava_nor_lava_dl_says_a_word(runs):
    assert runs["printed"] == ""
