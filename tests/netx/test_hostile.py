"""A file is input from outside: whatever its content, reading it ends with the network or with a `NetFileError`."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tclif_neuro.network import QuantizedNetwork
from tclif_neuro.netx import NetFileError
from tclif_neuro.netx.container import SIGNATURE, pack
from tclif_neuro.netx.format import digest
from tclif_neuro.netx.read import decode, from_bytes
from tclif_neuro.netx.write import encode
from tests.examples import examples
from tests.netx.specimen import CONTENT, DATA, NET, N, changed, fails, refused


def test_content_is_refused_in_a_file_as_it_is_alone():
    fails(changed({"layer/1/neuron/vThMant": np.int64(0)}), "layer/1/neuron/vThMant: 0 is outside [1, 131071]")
    fails(changed(remove=["layer/2/bias"]), "layer/2/bias: is missing")


def test_the_unchanged_file_is_read():
    assert changed() == DATA
    assert from_bytes(DATA).net == NET


# Damage


@examples(50)
@given(st.integers(0, len(DATA) - 1))
@example(len(DATA) - 1)
def test_a_truncated_file_is_refused(length):
    with pytest.raises(NetFileError):
        from_bytes(DATA[:length])


def damaged(data, changes):
    copy = bytearray(data)
    for position, value in changes:
        copy[position] = value
    return bytes(copy)


positions = st.lists(st.tuples(st.integers(0, len(DATA) - 1), st.integers(0, 255)), min_size=1, max_size=20)


@examples(100)
@given(positions)
def test_a_damaged_file_is_refused_or_harmed_nowhere_that_counts(changes):
    try:
        net = from_bytes(damaged(DATA, changes)).net
    except NetFileError:
        return
    assert net == NET


STOCK = pack({}, {k: v for k, v in encode(QuantizedNetwork(layers=NET.layers[2:])).items() if not k.startswith("tclif")
                  and k.rpartition("/")[2] not in ("weightExp", "biasExp", "scaleBits", "readout")})  # fmt: skip


@examples(100)
@given(positions)
def test_a_damaged_stock_file_is_refused_or_a_network(changes):
    assert from_bytes(STOCK).format == "lava-dl netx"
    try:
        net = from_bytes(damaged(STOCK, [(p % len(STOCK), value) for p, value in changes])).net
    except NetFileError:
        return
    assert isinstance(net, QuantizedNetwork)


@given(st.binary(max_size=4000))
def test_noise_is_refused(noise):
    for data in (noise, SIGNATURE + noise):
        with pytest.raises(NetFileError):
            from_bytes(data)


def test_content_that_is_not_what_was_written_is_refused():
    edited = changed({"layer/1/neuron/vThMant": np.int64(257)}, {"digest": np.bytes_(digest(CONTENT))})
    fails(edited, "the content does not match its digest")
    fails(changed(attributes={"digest": np.int64(3)}), "the content does not match its digest")


# Content


@pytest.mark.parametrize("name", CONTENT)
def test_a_missing_dataset_is_named(name):
    message = "tclif/" if name.startswith("tclif") else f"{'/'.join(name.split('/')[:2])}/"
    with pytest.raises(NetFileError, match=f"^{message}.*is (missing|unknown)") as error:
        decode({other: array for other, array in CONTENT.items() if other != name})
    assert name in str(error.value)


@pytest.mark.parametrize(
    "name",
    [
        "tclif/x",
        "layer/0/neuron/type",
        "layer/1/delay",
        "layer/2/weight_rec",
        "layer/1/neuron/iDecay",
        "layer/3/neuron/x",
    ],
)
def test_an_unknown_dataset_is_named(name):
    refused({name: np.int64(1)}, f"{name}: is unknown")


@pytest.mark.parametrize("name", CONTENT)
@pytest.mark.parametrize(
    "other", [np.float64(1), np.uint64(2**64 - 1), np.bytes_(b"?"), np.zeros((1, 1, 1)), np.zeros((0,), np.int64), True]
)
def test_a_dataset_of_another_type_or_shape_is_named(name, other):
    if np.asarray(other).dtype.kind == CONTENT[name].dtype.kind and np.shape(other) == CONTENT[name].shape:
        other = np.stack([CONTENT[name]] * 2)
    refused({name: other}, f"{name}: ")


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("layer/1/neuron/vThMant", np.int64(200000), "200000 is outside [1, 131071]"),
        ("layer/3/neuron/vThMant", np.int64(0), "0 is outside [1, 131071]"),
        ("layer/1/neuron/gammaMant", np.int64(-1), "-1 is outside [0, 131071]"),
        ("layer/1/neuron/alpha1", np.array([4097]), "4097 at [0, 0] is outside [0, 4096]"),
        ("layer/1/neuron/alpha2", np.array([1, 2]), "2 coefficients for 3 neurons; give 1 or 3"),
        ("layer/1/neuron/beta1", np.array([4097]), "4097 at [0] is outside [-4096, 4096]"),
        ("layer/1/neuron/reset", np.bytes_(b"later"), "'later' is neither"),
        ("layer/1/neuron/type", np.bytes_(b"RF\x1b"), r"'RF\x1b' is not supported; TCLIF, ATCLIF, CUBA, LIF are"),
        ("layer/1/neuron/type", np.bytes_(b"\xff"), "is not ASCII"),
        ("layer/2/neuron/alpha1", np.array([[1]]), "a schedule of fewer than 2 steps"),
        ("layer/2/neuron/alpha1", np.array([[1], [2], [3]]), "schedules of 3 and 2 steps"),
        ("layer/3/neuron/iDecay", np.int64(0), "0 is outside [1, 4096]"),
        ("layer/3/neuron/refDelay", np.int64(2), "a refractory period is not supported"),
        ("layer/3/neuron/gradedSpike", True, "graded spikes between layers are not supported"),
        ("layer/1/weight", CONTENT["layer/1/weight"] + 1, "-5 at [0, 0] is odd"),
        ("layer/1/weight", CONTENT["layer/1/weight"] * 100, "-600 at [0, 0] is outside [-256, 255]"),
        ("layer/1/weight", CONTENT["layer/1/weight"][:, :1], "has 1 columns, but there are 2 inputs"),
        ("layer/1/weight_rec", np.zeros((2, 2), np.int16), "shape [3, 3] expected, got [2, 2]"),
        ("layer/1/weight_rec", np.full((3, 3), -256, np.int16), "-256 at [0, 0] is outside [-255, 255]"),
        ("layer/3/weight", CONTENT["layer/3/weight"] + 1, "holds a number that is no multiple of 2"),
        ("layer/1/weightExp", np.int64(8), "8 is outside [-8, 7]"),
        ("layer/1/weightRecExp", np.int64(-(2**40)), f"{-(2**40)} is outside [-8, 7]"),
        ("layer/1/biasExp", np.int64(8), "8 is outside [0, 7]"),
        ("layer/1/bias", np.array([1, 2]), "shape [3] expected, got [2]"),
        ("layer/1/bias", np.array([1, 2, 4096]), "4096 at [2] is outside [-4096, 4095]"),
        ("layer/1/shape", np.array([4]), "[4], but the weights are for 3 neurons"),
        ("layer/0/shape", np.array([2, 1]), "one positive number expected, got [2, 1]"),
        ("layer/0/shape", np.array([-2]), "one positive number expected, got [-2]"),
        ("layer/0/shape", np.array([3]), None),
        ("layer/0/type", np.array([b"dense"]), "'dense', but layer 0 is the input"),
        ("layer/1/type", np.array([b"conv"]), "'conv' is not supported; dense and dense_rec are"),
        ("layer/1/scaleBits", np.int64(65), "65 is outside [-64, 64]"),
        ("layer/1/readout", np.bool_(True), "must be a LIF integrator"),
        ("tclif/inputBits", np.int64(3), "3 is neither 0 (binary) nor 8 (graded)"),
        ("tclif/inputScale", np.float64("nan"), "nan is not a positive number"),
        ("tclif/steps", np.int64(-1), "-1 is outside [0, 2147483647]"),
        ("tclif/classes", np.bytes_(b'["a"]'), "1 names for 3 outputs"),
        ("tclif/classes", np.bytes_(b'{"a":1}'), "a JSON list of texts expected"),
        ("tclif/classes", np.bytes_(b"[" * 100_000), "is not JSON"),
        ("tclif/classes", np.bytes_(rb'["\u001b[2J","b","c"]'), r"holds the control character '\x1b'"),
        ("tclif/recipe", np.bytes_(b"1"), "a JSON text expected"),
        ("tclif/recipe", np.bytes_(b'"'), "is not JSON"),
    ],
)  # fmt: skip
def test_a_value_out_of_range_is_named(name, value, message):
    where = "layer/1/weight: has 2 columns, but there are 3 inputs" if message is None else f"{name}: {message}"
    refused({name: value}, where)


def test_a_readout_before_the_last_layer_is_named():
    lif = {name.replace("layer/3", "layer/2"): array for name, array in CONTENT.items() if name.startswith("layer/3")}
    remove = [name for name in CONTENT if name.startswith("layer/2") and name not in lif]
    fails(changed(lif, remove=remove), "layer/2: a readout must be the last layer")


def test_a_layer_said_to_be_stock_is_one():
    names = ("layer/3/neuron/type", "layer/3/bias", "layer/3/biasExp", "layer/3/weight", "layer/3/weightExp")
    values = (np.bytes_(b"CUBA"), np.array([0, 0, 0]), np.int64(0), np.zeros((N, N), int), np.int64(0))
    fails(changed(dict(zip(names, values, strict=True))), "layer/3/neuron/type: CUBA, but all weights are zero")


@pytest.mark.parametrize(
    ("remove", "message"),
    [("layer/1/", "layer: groups 0, 1, 2, ... expected, got ['0', '2', '3']"), ("layer/", "layer: groups 0, 1")],
)
def test_missing_layers_are_named(remove, message):
    fails(changed(remove=[name for name in CONTENT if name.startswith(remove)]), message)


def test_a_network_without_layers_is_refused():
    kept = ("tclif", "layer/0")
    fails(changed(remove=[name for name in CONTENT if not name.startswith(kept)]), "layer: has no layer of neurons")


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"format": np.bytes_(b"other")}, "attribute format: b'other', but this program reads b'tclif-neuro-net'"),
        ({"version": np.int64(2)}, "attribute version: 2, but this program reads 1"),
        ({"version": np.array([1, 1])}, "attribute version: an integer or a text of fixed length expected"),
        ({"version": 1.0}, "attribute version: an integer or a text of fixed length expected"),
        ({"format": "tclif-neuro-net"}, "attribute format: an integer or a text of fixed length expected"),
    ],
)
def test_another_format_or_version_is_named(attributes, message):
    fails(changed(attributes=attributes), message)
