"""A file is input from outside: whatever is in it, reading it ends with the network or with a `NetFileError`."""

import os
import re

import h5py
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tclif_neuro.network import (
    MANT_MAX,
    InputCoding,
    Layer,
    LIFNeuron,
    QuantizedNetwork,
    Synapses,
    TCLIFNeuron,
)
from tclif_neuro.netx import NetFileError, load, save
from tclif_neuro.netx.container import SIGNATURE, pack
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


def test_content_is_refused_in_a_file_as_it_is_alone():
    fails(changed({"layer/1/neuron/vThMant": np.int64(0)}), "layer/1/neuron/vThMant: 0 is outside [1, 131071]")
    fails(changed(remove=["layer/2/bias"]), "layer/2/bias: is missing")


def test_the_unchanged_file_is_read():
    assert changed() == DATA
    assert from_bytes(DATA).net == NET


# Damage


@settings(max_examples=50)
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


@settings(max_examples=100)
@given(positions)
def test_a_damaged_file_is_refused_or_harmed_nowhere_that_counts(changes):
    try:
        net = from_bytes(damaged(DATA, changes)).net
    except NetFileError:
        return
    assert net == NET


STOCK = pack({}, {k: v for k, v in encode(QuantizedNetwork(layers=NET.layers[2:])).items() if not k.startswith("tclif")
                  and k.rpartition("/")[2] not in ("weightExp", "biasExp", "scaleBits", "readout")})  # fmt: skip


@settings(max_examples=100)
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
        ("layer/1/neuron/beta1", np.array([1]), "1 at [0] is outside [-4096, 0]"),
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


# HDF5


def edited(edit):
    """The file of NET after `edit(h5py file)`."""
    with h5py.File(h5py.h5f.open_file_image(DATA, flags=h5py.h5f.FILE_IMAGE_OPEN_RW)) as file:
        edit(file)
        file.flush()
        return bytes(file.id.get_file_image())


def replaced(name, **how):
    """An edit that makes the dataset anew."""

    def edit(file):
        del file[name]
        file.create_dataset(name, **how)

    return edit


WEIGHT = "layer/1/weight"


def linked(link):
    def edit(file):
        del file[WEIGHT]
        file[WEIGHT] = link

    return edit


def virtual(file):
    del file[WEIGHT]
    layout = h5py.VirtualLayout(shape=(3, 2), dtype="i2")
    layout[:] = h5py.VirtualSource("/etc/passwd", "x", shape=(3, 2))
    file.create_virtual_dataset(WEIGHT, layout)


def looped(file):
    file["layer/1/neuron/again"] = file["layer/1"]


def deep(file):
    file.create_group("layer/1/neuron/a/b/c/d")


def crowded(file):
    group = file.create_group("layer/1/many")
    for i in range(200):
        group[f"x{i}"] = file["layer/1/neuron"]  # each shows the same 9 members: 20000 are counted, not made
    file["layer/2/many"] = group


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (linked(h5py.SoftLink("/layer/2/weight")), f"{WEIGHT}: is a link to elsewhere"),
        (linked(h5py.ExternalLink("/etc/passwd", "/x")), f"{WEIGHT}: is a link to elsewhere"),
        (linked(np.dtype("i2")), f"{WEIGHT}: is neither a group nor a dataset"),
        (virtual, f"{WEIGHT}: is stored in chunks or elsewhere"),
        (replaced(WEIGHT, data=np.zeros((3, 2), "i2"), chunks=(1, 1)), f"{WEIGHT}: is stored in chunks or elsewhere"),
        (replaced(WEIGHT, shape=(9, 9), maxshape=(None, 9), dtype="i2"), f"{WEIGHT}: is stored in chunks"),
        (replaced(WEIGHT, shape=(3, 2), dtype="i2", external="/etc/passwd"), f"{WEIGHT}: is stored in chunks or else"),
        (replaced(WEIGHT, shape=(10**5, 10**5), dtype="i2"), f"{WEIGHT}: claims 20000000000 bytes, of which the file"),
        (replaced(WEIGHT, shape=(2**40, 2**40), dtype="i1"), f"{WEIGHT}: "),
        (replaced(WEIGHT, data=np.zeros(2, [("a", "i2")])), f"{WEIGHT}: [('a', '<i2')] is not allowed"),
        (replaced(WEIGHT, data=np.zeros((3, 2), "c8")), f"{WEIGHT}: complex64 is not allowed"),
        (replaced(WEIGHT, data=np.zeros((3, 2), "V4")), f"{WEIGHT}: |V4 is not allowed"),
        (replaced(WEIGHT, data=np.zeros((3, 2), np.longdouble)), f"{WEIGHT}: float128 is not allowed"),
        (replaced(WEIGHT, shape=1, dtype=h5py.vlen_dtype(np.int8)), f"{WEIGHT}: object is not allowed"),
        (replaced(WEIGHT, shape=1, dtype=h5py.ref_dtype), f"{WEIGHT}: object is not allowed"),
        (replaced(WEIGHT, data=["a", "b"]), f"{WEIGHT}: object is not allowed"),
        (replaced(WEIGHT, data=h5py.Empty("i2")), f"{WEIGHT}: is empty"),
        (looped, "layer/1/neuron/again"),
        (deep, "layer/1/neuron/a/b"),
        (crowded, "layer/1/"),
        (lambda file: file.create_group("layer/1/\x1b[2J"), r"layer/1: has a member with the name '\x1b[2J'"),
        (
            lambda file: file.create_dataset("layer/1/größe", data=1),
            r"layer/1: has a member with the name 'gr\xf6\xdfe'",
        ),
        (lambda file: file.create_dataset("extra", data=1), "extra: is unknown"),
        (lambda file: file.attrs.__delitem__("format"), "attribute format: None, but this program reads"),
        (lambda file: file.attrs.__delitem__("version"), "attribute version: None, but this program reads 1"),
        (lambda file: file.attrs.__delitem__("digest"), "the content does not match its digest"),
        (lambda file: file.__delitem__("layer"), "layer: groups 0, 1, 2, ... expected, got []"),
        (lambda file: file.__delitem__("tclif"), "tclif/inputBits: is missing"),
    ],
)
def test_what_hdf5_can_do_beyond_plain_data_is_refused(edit, message):
    fails(edited(edit), message)


def test_datasets_that_share_their_bytes_cannot_claim_more_than_the_file():
    def edit(file):
        for i in range(100):
            file[f"layer/1/again{i}"] = file["layer/1/large"]

    large = changed({"layer/1/large": np.zeros(20_000, np.int64)})
    with h5py.File(h5py.h5f.open_file_image(large, flags=h5py.h5f.FILE_IMAGE_OPEN_RW)) as file:
        edit(file)
        file.flush()
        data = bytes(file.id.get_file_image())
    with pytest.raises(NetFileError, match="claims 160000 bytes"):
        from_bytes(data)


# Files


def test_the_error_names_the_file_and_the_field(tmp_path):
    path = tmp_path / "digits.net"
    path.write_bytes(changed({"layer/1/neuron/vThMant": np.int64(200000)}))
    with pytest.raises(NetFileError) as error:
        load(path)
    assert str(error.value) == f"{path}: layer/1/neuron/vThMant: 200000 is outside [1, 131071]"


def test_what_is_no_file_of_ours_is_refused_at_once(tmp_path):
    (tmp_path / "empty.net").touch()
    (tmp_path / "text.net").write_text("layer = 1\n")
    os.mkfifo(tmp_path / "pipe.net")
    with open(tmp_path / "large.net", "wb") as file:
        file.truncate(2**31)
    messages = {
        "missing.net": "cannot be read: No such file or directory",
        "empty.net": "is empty",
        "text.net": "is not an HDF5 file",
        "pipe.net": "is not a regular file",
        "large.net": "has 2147483648 bytes, the limit is",
        ".": "is not a regular file",
        "text.net/x": "cannot be read: Not a directory",
        "a\0.net": "cannot be read: embedded null byte",
    }
    for name, message in messages.items():
        with pytest.raises(NetFileError, match=re.escape(f"{tmp_path}/{name}: {message}".replace("/.:", ":"))):
            load(tmp_path / name)
    with pytest.raises(NetFileError, match="/dev/zero: is not a regular file"):
        load("/dev/zero")


def test_a_saved_file_with_bytes_behind_it_is_still_read(tmp_path):
    save(NET, tmp_path / "a.net")
    with open(tmp_path / "a.net", "ab") as file:
        file.write(b"trailing")
    assert load(tmp_path / "a.net") == NET
