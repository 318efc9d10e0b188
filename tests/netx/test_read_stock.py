"""Files as lava-dl writes them, made by hand: what is taken, and what is refused."""

import re

import numpy as np
import pytest

from tclif_neuro import run_reference
from tclif_neuro.network import MANT_MAX, InputCoding, LIFNeuron
from tclif_neuro.netx import NetFileError, describe, load
from tclif_neuro.netx.container import pack
from tclif_neuro.netx.read import from_bytes

INPUT = {"type": np.array([b"input"]), "shape": np.array([2])}
NEURON = {
    "neuron/type": "CUBA",  # of variable length, as lava-dl's exporter writes it
    "neuron/iDecay": np.int64(1024),
    "neuron/vDecay": np.int64(128),
    "neuron/vThMant": np.int64(80),
    "neuron/refDelay": np.int64(1),
    "neuron/gradedSpike": False,
}
DENSE = {
    "type": np.array([b"dense"]),
    "shape": np.array([3]),
    "inFeatures": np.int64(2),
    "outFeatures": np.int64(3),
    "weight": np.array([[2, -4], [6, 8], [-10, 0]], np.float32),
    **NEURON,
}
RECURRENT = DENSE | {
    "type": np.array([b"dense_rec"]),
    "weight": np.full((3, 3), 2, np.float32),
    "weight_rec": np.diag(np.float32([2, -2, 4])),
}
INTEGRATOR = {name: value for name, value in DENSE.items() if not name.startswith("neuron")}


def stock(*layers, **more):
    content = {f"layer/{i}/{name}": value for i, layer in enumerate(layers) for name, value in layer.items()}
    return pack({}, content | more)


def read(*layers, **more):
    return from_bytes(stock(*layers, **more)).net


def fails(message, *layers):
    with pytest.raises(NetFileError, match=f"^{re.escape(message)}"):
        read(*layers)


def test_dense_and_recurrent_layers_are_read():
    net = read(INPUT, DENSE | {"bias": np.array([2, -4, 6], np.float32)}, RECURRENT)
    assert net.input == InputCoding()
    assert [layer.synapses.exponent for layer in net.layers] == [0, 0]
    first, second = net.layers
    assert first.synapses.weight.tolist() == [[2, -4], [6, 8], [-10, 0]]
    assert first.bias.tolist() == [128, -256, 384]
    assert first.neuron == LIFNeuron(i_decay=1024, v_decay=128, vth_mant=80)
    assert first.recurrent is None
    assert second.recurrent.weight.tolist() == [[2, 0, 0], [0, -2, 0], [0, 0, 4]]
    assert not second.readout


def test_what_lava_dl_keeps_besides_the_layers_is_passed_over():
    net = read(INPUT, DENSE, **{"simulation/Ts": np.int64(1), "simulation/note": np.zeros(3, "V4")})
    assert net == read(DENSE)


def test_older_and_flattened_layers_are_read():
    old = DENSE | {"shape": np.array([3, 1, 1]), "weight": DENSE["weight"].ravel(), "neuron/type": np.bytes_(b"LOIHI")}
    old |= {"neuron/wgtExp": np.int64(0), "neuron/theta": np.int64(5120), "neuron/tauRho": np.float64(0.1)}
    assert read(INPUT, old) == read(INPUT, DENSE)
    assert read(INPUT | {"shape": np.array([1, 2, 1])}, DENSE) == read(INPUT, DENSE)


def test_delays_of_zero_are_none():
    assert read(INPUT, DENSE | {"delay": np.zeros(3, np.float32)}) == read(INPUT, DENSE)


def test_odd_weights_of_mixed_sign_become_even_mantissas():
    synapses = read(DENSE | {"weight": np.array([[1, -2], [127, 0], [-128, 3]], np.float32)}).layers[0].synapses
    assert synapses.exponent == -1
    assert synapses.weight.tolist() == [[2, -4], [254, 0], [-256, 6]]


def test_all_zero_weights_are_read():
    assert not read(DENSE | {"weight": np.zeros((3, 2), np.float32)}).layers[0].synapses.weight.any()


@pytest.mark.parametrize(
    "last",
    [
        INTEGRATOR,
        DENSE | {"neuron/iDecay": np.int64(0), "neuron/vDecay": np.int64(4096), "neuron/vThMant": np.int64(2**18 - 1)},
        DENSE | {"neuron/iDecay": np.int64(4096), "neuron/vDecay": np.int64(0), "neuron/vThMant": np.int64(MANT_MAX)},
    ],
)
def test_a_last_layer_that_never_spikes_is_a_readout(last):
    layer = read(INPUT, last).layers[0]
    assert layer.readout
    assert layer.neuron == LIFNeuron(i_decay=4096, v_decay=0, vth_mant=MANT_MAX)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"type": np.array([b"average"])}, "type: not supported: average (1 layer); dense and dense_rec layers"),
        ({"type": np.array([b"conv"])}, "type: not supported: conv (1 layer);"),
        ({"shape": np.array([4])}, "weight: has the shape [3, 2], the layer has 4 neurons"),
        ({"shape": np.array([-3])}, "weight: has the shape [3, 2], the layer has -3 neurons"),
        ({"shape": np.array([3.5])}, "shape: 3.5 is not an integer of 32 bits"),
        ({"weight": np.zeros((3, 0))}, "weight: has the shape [3, 0]"),
        ({"weight": np.full((3, 2), 0.5)}, "weight: 0.5 is not an integer of 32 bits"),
        ({"weight": np.full((3, 2), np.nan)}, "weight: nan is not an integer"),
        ({"weight": np.full((3, 2), np.inf)}, "weight: inf is not an integer"),
        ({"weight": np.full((3, 2), 2**64 - 2, np.uint64)}, "weight: 1.84467e+19 is not an integer"),
        ({"weight": np.array([[-256, 0]] * 3)}, "weight: lava-dl itself would not compute with these: weights of one"),
        ({"weight": np.array([[-256, 255]] * 3)}, "weight: lava-dl itself would not compute with these"),
        ({"weight": np.array([[129, -2]] * 3)}, "weight: 129 at [0, 0] is odd"),
        ({"weight": np.array([[2, 2, 2]] * 3)}, "weight: has 3 columns, but there are 2 inputs"),
        ({"weight": np.bytes_(b"2")}, "weight: integers expected, got |S1"),
        ({"weight_rec": np.zeros((3, 3))}, "weight_rec: is unknown"),
        ({"bias": np.array([1, 2])}, "bias: shape [3] expected, got [2]"),
        ({"bias": np.full(3, 5000)}, "bias: 5000 at [0] is outside [-4096, 4095]"),
        ({"delay": np.array([0, 3, 1])}, "delay: delays of up to 3 steps are not supported; all must be 0"),
        ({"neuron/type": "SDNN"}, "neuron/type: 'SDNN' is not supported; CUBA is"),
        ({"neuron/iDecay": np.int64(0)}, "neuron/iDecay: 0 (the current never decays) is supported only for a readout"),
        ({"neuron/iDecay": np.array([1, 2, 3])}, "neuron/iDecay: has the shape [3]; only one value"),
        ({"neuron/vDecay": np.int64(4097)}, "neuron/vDecay: 4097 is outside [0, 4096]"),
        ({"neuron/vThMant": np.int64(0)}, "neuron/vThMant: 0 is outside [1, 131071]"),
        ({"neuron/refDelay": np.int64(3)}, "neuron/refDelay: 3 is not supported; 1 is"),
        ({"neuron/gradedSpike": True}, "neuron/gradedSpike: 1 is not supported; 0 is"),
        ({"neuron/messageBits": np.int64(8)}, "neuron/messageBits: 8 is not supported; 0 is"),
        ({"neuron/weight_exp": np.float32(1)}, "neuron/weight_exp: 1 is not supported; 0 is"),
        ({"neuron/surprise": np.int64(1)}, "neuron/surprise: is unknown"),
    ],
)  # fmt: skip
def test_what_is_not_supported_is_named(change, message):
    fails(f"layer/1/{message}", INPUT, DENSE | change)


def test_all_that_is_not_supported_is_listed_at_once():
    conv, flat = DENSE | {"type": np.array([b"conv"])}, {"type": np.array([b"flatten"]), "shape": np.array([3])}
    delayed = DENSE | {"delay": np.ones(3)}
    other = delayed | {"neuron/type": "SDNN"}
    listed = "not supported: conv (2 layers), flatten (1 layer), delays (2 layers), neurons other than CUBA (1 layer)"
    fails(f"layer/2/type: {listed}; dense", INPUT | NEURON, DENSE, conv, conv, flat, delayed, other)
    fails("layer/1/type: not supported: delays (1 layer), neurons other than CUBA (1 layer)", INPUT, other)


def test_input_neurons_are_a_layer_with_a_diagonal_of_synapses():
    """`LIF(w x + b)`, an integer for each input: what lava-dl's users set as the bias of these neurons."""
    driven = INPUT | NEURON | {"neuron/iDecay": np.int64(4096), "weight": np.array([-76.0]), "bias": np.array([64.0])}
    net = read(driven, DENSE)
    assert net.input == InputCoding(bits=8, scale=76.0, signed=True)
    first, second = net.layers
    assert first.synapses.weight.tolist() == [[-1, 0], [0, -1]] and first.bias.tolist() == [64 << 6] * 2
    assert first.neuron == LIFNeuron(i_decay=4096, v_decay=128, vth_mant=80)
    assert second == read(INPUT, DENSE).layers[0]
    x = np.array([[[0.5, -0.25]]])
    potential = run_reference(net, x, record=True).layers[0].soma
    assert potential.tolist() == [[[(64 - 38) << 6, 0]]]  # the second came to (64 + 19) << 6, above 80 << 6
    assert read({k: v for k, v in driven.items() if k not in ("weight", "bias")}, DENSE).input.scale == 64
    fails("layer/0/weight: 0; the input would have no effect", driven | {"weight": np.array(0)}, DENSE)
    fails("layer/0/neuron/iDecay: 1024; in lava-dl the input is no current", INPUT | NEURON, DENSE)
    fails("layer/0/shape: 5000 input neurons; up to 4096", driven | {"shape": np.array([5000])}, DENSE)
    fails("layer/0/bias: has the shape [2]", driven | {"bias": np.array([1, 2])}, DENSE)
    fails("layer/1/weight: has 2 columns, but there are 3 inputs", driven | {"shape": np.array([3])}, DENSE)


def test_a_text_of_a_megabyte_is_cut():
    with pytest.raises(NetFileError) as error:
        read(INPUT, DENSE | {"type": np.array([b"x" * 2**20])})
    assert len(str(error.value)) < 400


def test_other_files_are_known_for_what_they_are():
    with pytest.raises(NetFileError, match="Git-LFS pointer.*git lfs pull"):
        from_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 123\n")
    with pytest.raises(NetFileError, match="is a NIR file"):
        from_bytes(pack({}, {"node/type": np.bytes_(b"NIRGraph"), "version": np.bytes_(b"1.0")}))


@pytest.mark.parametrize("name", ["type", "shape", "weight", "neuron/iDecay", "neuron/vDecay", "neuron/vThMant"])
def test_what_is_missing_is_named(name):
    fails(f"layer/1/{name}: is missing", INPUT, {k: v for k, v in DENSE.items() if k != name})


def test_networks_that_are_not_whole_are_refused():
    fails("layer: groups 0, 1, 2, ... expected, got []")
    fails("layer: has no layer of neurons", INPUT)
    fails("layer/1/type: not supported: input (1 layer)", INPUT, INPUT)
    fails("layer/1/neuron/iDecay: 0 (the current never decays)", INPUT, INTEGRATOR, RECURRENT)
    fails("layer/1/neuron/iDecay: 0 (the current", INPUT, INTEGRATOR | {"bias": np.ones(3)})
    silent = DENSE | {"neuron/vThMant": np.int64(2**18 - 1)}
    fails("layer/1/neuron/vThMant: 262143 is outside", INPUT, silent, RECURRENT)
    fails("layer/2/delay: is not supported", INPUT, DENSE, RECURRENT | {"delay": np.zeros(3)})
    narrow = DENSE | {"shape": np.array([2]), "weight": np.ones((2, 2))}
    fails("layer/2/weight: has 3 columns, but there are 2 inputs", INPUT, narrow, RECURRENT)
    complex_valued = {k: v for k, v in DENSE.items() if k != "weight"} | {"weight/real": np.zeros((3, 2))}
    fails("layer/1/weight: is missing", INPUT, complex_valued)


def test_a_stock_file_is_described(tmp_path):
    (tmp_path / "a.net").write_bytes(stock(INPUT, DENSE, RECURRENT))
    summary = describe(tmp_path / "a.net")
    assert (summary.format, summary.version, summary.stock) == ("lava-dl netx", 0, True)
    assert [layer.neuron for layer in summary.layers] == ["CUBA", "CUBA"]
    assert load(tmp_path / "a.net").outputs == 3
