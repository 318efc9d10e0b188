"""Files between us and lava-dl, both ways, run in Lava itself: the same spikes, to the bit."""

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from tclif_neuro.fixed.reference import run_reference
from tclif_neuro.network import (
    MANT_MAX,
    InputCoding,
    Layer,
    LIFNeuron,
    QuantizedNetwork,
    Synapses,
    TCLIFNeuron,
)
from tclif_neuro.netx import describe, load, save
from tclif_neuro.netx.container import pack
from tests import archive

pytestmark = [pytest.mark.slow, pytest.mark.lava]

HERE = Path(__file__).parent
STEPS = 12
GRADED, SIGNED = InputCoding(bits=8), InputCoding(bits=8, signed=True)


def in_a_child(program, folder, seconds=140):
    """Run one of the programs here on `folder`, and end it and all that it started."""
    command = [sys.executable, str(HERE / program), str(folder)]
    child = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )
    try:
        output, _ = child.communicate(timeout=seconds)
        assert child.returncode == 0, output[-2000:]
    finally:
        with suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()


def layer(rng, n, m, kind="mixed", exponent=0, recurrent=None, bias_exp=6, readout=False):
    """A LIF layer that spikes now and then; `recurrent`: the exponent of its recurrent weights."""
    weight = {
        "mixed": lambda shape: rng.integers(-128, 128, shape) * 2,
        "even": lambda shape: rng.integers(-15, 16, shape) * 8,
        "odd": lambda shape: rng.integers(0, 256, shape),
        "negative": lambda shape: -rng.integers(1, 120, shape),
    }[kind]
    neuron = LIFNeuron(i_decay=int(rng.integers(500, 4097)), v_decay=int(rng.integers(0, 300)), vth_mant=400)
    return Layer(
        synapses=Synapses(weight=weight((n, m)), exponent=exponent),
        recurrent=None if recurrent is None else Synapses(weight=weight((n, n)), exponent=recurrent),
        neuron=LIFNeuron(i_decay=4096, v_decay=0, vth_mant=MANT_MAX) if readout else neuron,
        bias_mant=rng.integers(-40, 40, n) * 8,
        bias_exp=bias_exp,
        readout=readout,
    )


def networks():
    """Networks that an unmodified lava-dl is said to compute as we do, by name."""
    rng = np.random.default_rng(0)
    return {
        "plain": QuantizedNetwork(
            layers=(layer(rng, 14, 9), layer(rng, 10, 14, "odd", bias_exp=4), layer(rng, 5, 10, readout=True))
        ),
        "exponents": QuantizedNetwork(layers=(layer(rng, 12, 8, "even", -2), layer(rng, 6, 12, "even", 1, bias_exp=3))),
        "signs": QuantizedNetwork(layers=(layer(rng, 8, 6, "odd"), layer(rng, 6, 8, "negative"))),
        "graded": QuantizedNetwork(layers=(layer(rng, 12, 8), layer(rng, 4, 12, readout=True)), input=GRADED),
        "signed": QuantizedNetwork(layers=(layer(rng, 12, 8, "even", 1), layer(rng, 4, 12)), input=SIGNED),
        "recurrent": QuantizedNetwork(layers=(layer(rng, 12, 8, "even", 1, recurrent=-1), layer(rng, 5, 12))),
    }


def inputs(net, samples):
    """Random input [STEPS, samples, M] over the whole range of the coding, some of it silent."""
    rng = np.random.default_rng(1)
    low, high = net.input.range
    x = rng.integers(low, high + 1, (STEPS, samples, net.inputs))
    return x * (rng.random(x.shape) < 0.5)


def lay_out(net, x, path):
    """The input for lava-dl: the samples one after the other, then idle steps, as many as the last layer is late."""
    m = x.shape[2]
    idle = np.zeros((len(net.layers), m), int)
    train = np.concatenate([x.transpose(1, 0, 2).reshape(-1, m), idle]).T
    np.savez(path.with_suffix(".in.npz"), x=train, bits=net.input.bits, reset=STEPS)


def check(net, x, path):
    """Lava's spikes are the reference's; layer l, from 1, is l steps late. Returns both."""
    run = run_reference(net, x, record=True)
    lava = archive.read(path.with_suffix(".out.npz"))
    assert "error" not in lava, lava["error"]
    steps = STEPS * x.shape[1]
    for i, ours in enumerate(run.layers):
        expected = ours.spikes.transpose(1, 0, 2).reshape(steps, -1).T
        assert np.array_equal(lava[f"s{i}"][:, i + 1 : i + 1 + steps], expected), f"{path.name}: layer {i + 1} differs"
        assert expected.any() or net.layers[i].readout, f"{path.name}: layer {i + 1} never spikes, which shows nothing"
    return run, lava


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Our files after lava-dl has run them."""
    folder = tmp_path_factory.mktemp("written")
    for name, net in networks().items():
        save(net, folder / f"{name}.net")
        lay_out(net, inputs(net, samples(name)), folder / f"{name}.net")
    rng = np.random.default_rng(2)
    tclif = TCLIFNeuron(a1=[[4096]], a2=[[4096]], b1=[-2048], b2=[2048], vth_mant=9, gamma_mant=1)
    two = Layer(synapses=Synapses(weight=[[2]]), neuron=tclif, bias_mant=[0])
    for name, bad in {"bad_tclif": two, "bad_lif": layer(rng, 3, 1, "odd", -3)}.items():
        net = QuantizedNetwork(layers=(bad,))
        save(net, folder / f"{name}.net")
        lay_out(net, np.zeros((1, 1, 1), int), folder / f"{name}.net")
    in_a_child("lava_child.py", folder)
    return folder


def samples(name):
    """How many are compared: lava-dl lets the spikes in a recurrent layer's buffer leak into the next sample."""
    return 1 if name == "recurrent" else 3


@pytest.mark.parametrize("name", networks())
def test_lava_dl_computes_our_files_as_we_do(written, name):
    net, path = networks()[name], written / f"{name}.net"
    assert describe(path).stock
    assert load(path) == net
    check(net, inputs(net, samples(name)), path)


@pytest.mark.parametrize("name", ["plain", "graded"])
def test_the_readout_of_lava_dl_is_ours(written, name):
    net, path = networks()[name], written / f"{name}.net"
    run, lava = check(net, inputs(net, samples(name)), path)
    assert np.array_equal(lava["v"], run.logits[-1])


@pytest.mark.parametrize("name", ["bad_tclif", "bad_lif"])
def test_lava_dl_refuses_what_it_would_compute_otherwise(written, name):
    assert not describe(written / f"{name}.net").stock
    assert "AttributeError" in str(archive.read(written / f"{name}.out.npz")["error"])


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """SLAYER's files after lava-dl has run them."""
    folder = tmp_path_factory.mktemp("exported")
    in_a_child("slayer_child.py", folder)
    for path in folder.glob("*.net"):
        net = load(path)
        lay_out(net, inputs(net, 1 if net.layers[0].recurrent else 3), path)
    in_a_child("lava_child.py", folder)
    return folder


@pytest.mark.parametrize("name", ["dense", "integrator", "recurrent", "delayed"])
def test_we_compute_slayers_files_as_lava_does(exported, name):
    path = exported / f"{name}.net"
    net = load(path)
    check(net, inputs(net, 1 if net.layers[0].recurrent else 3), path)


def test_the_potential_of_slayers_integrator_is_ours(exported):
    path = exported / "integrator.net"
    net = load(path)
    run, lava = check(net, inputs(net, 3), path)
    assert net.layers[-1].readout
    assert np.array_equal(lava["v"], run.logits[-1])


@pytest.mark.parametrize("name", ["dense", "integrator", "recurrent", "delayed"])
def test_slayers_networks_survive_our_own_format(exported, name, tmp_path):
    net = load(exported / f"{name}.net")
    save(net, tmp_path / "a.net")
    assert load(tmp_path / "a.net") == net
    assert describe(tmp_path / "a.net").stock


BOOTSTRAP = Path(os.environ.get("TCLIF_DATA", "/nowhere")) / "netx" / "bootstrap-mnist.net"  # published by lava-dl


@pytest.mark.parametrize("name", ["made", "bootstrap"])
def test_input_neurons_spike_as_lava_dl_s_do(name, tmp_path):
    """Each input's neuron is driven by `w x + b`, in lava-dl by setting that as its bias; every layer's spikes."""
    path, steps, rng = tmp_path / "driven.net", 30, np.random.default_rng(3)
    if name == "bootstrap":
        if not BOOTSTRAP.exists():
            pytest.skip("netx/bootstrap-mnist.net is not in $TCLIF_DATA")
        path.write_bytes(BOOTSTRAP.read_bytes())
    else:
        path.write_bytes(input_neurons(rng))
    net = load(path)
    x = rng.uniform(-1, 1, net.inputs)
    first = net.layers[0]
    bias = np.rint(net.input.scale * x).astype(int) * first.synapses.weight.diagonal() + first.bias_mant
    np.savez(path.with_suffix(".in.npz"), bias=bias, steps=steps + len(net.layers))
    in_a_child("lava_child.py", tmp_path)
    lava = archive.read(path.with_suffix(".out.npz"))
    assert "error" not in lava, lava["error"]
    run = run_reference(net, np.broadcast_to(x, (steps, 1, net.inputs)), record=True)
    for i, spikes in enumerate(run.spikes):
        assert np.array_equal(lava[f"s{i}"][:, i : i + steps], spikes[:, 0].T), f"layer {i} differs"
        assert spikes.any() or net.layers[i].readout, f"layer {i} never spikes, which shows nothing"


def input_neurons(rng):
    """A stock file: six input neurons and two layers."""
    neuron = {"iDecay": 4096, "vDecay": 200, "vThMant": 64, "refDelay": 1, "gradedSpike": False}
    content = {
        "layer/0/type": np.array([b"input"]),
        "layer/0/shape": [6],
        "layer/0/weight": [-40.0],
        "layer/0/bias": [8.0],
    }
    for i, (n, m) in enumerate(((5, 6), (4, 5)), 1):
        weight = rng.integers(-30, 60, (n, m)) * 2.0
        content |= {f"layer/{i}/type": np.array([b"dense"]), f"layer/{i}/shape": [n], f"layer/{i}/weight": weight}
    for i in range(3):
        content |= {f"layer/{i}/neuron/{key}": value for key, value in neuron.items()}
        content[f"layer/{i}/neuron/type"] = np.bytes_(b"CUBA")
    return pack({}, {path: np.asarray(value) for path, value in content.items()})
