"""What HDF5 and the file system can do beyond plain data in a plain file: refused, by name."""

import os
import re
import sys

import h5py
import numpy as np
import pytest

from tclif_neuro.netx import NetFileError, load, save
from tclif_neuro.netx.read import from_bytes
from tests.netx.specimen import DATA, NET, changed, fails


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
        "pipe.net": "cannot be read: it is not a regular file",
        "large.net": "cannot be read: it has 2147483648 bytes, the limit is",
        ".": "cannot be read: it is a folder",
        "text.net/x": "cannot be read: Not a directory",
        "a\0.net": f"cannot be read: {'stat: ' * (sys.version_info >= (3, 13))}embedded null",
    }
    for name, message in messages.items():
        with pytest.raises(NetFileError, match=re.escape(f"{tmp_path}/{name}: {message}".replace("/.:", ":"))):
            load(tmp_path / name)
    with pytest.raises(NetFileError, match="/dev/zero: cannot be read: it is not a regular file"):
        load("/dev/zero")


def test_a_saved_file_with_bytes_behind_it_is_still_read(tmp_path):
    save(NET, tmp_path / "a.net")
    with open(tmp_path / "a.net", "ab") as file:
        file.write(b"trailing")
    assert load(tmp_path / "a.net") == NET
