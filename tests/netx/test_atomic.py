"""A file is written as a whole or not at all."""

import errno
import os
import resource
import signal
import stat
import subprocess
import sys

import numpy as np
import pytest

from tclif_neuro.network import Layer, LIFNeuron, QuantizedNetwork, Synapses
from tclif_neuro.netx import NetFileError, load, save
from tclif_neuro.netx.files import write_bytes


def network(n):
    layer = Layer(
        synapses=Synapses(weight=np.full((n, n), 2)),
        neuron=LIFNeuron(i_decay=4096, v_decay=0, vth_mant=9),
        bias_mant=np.zeros(n, int),
    )
    return QuantizedNetwork(layers=(layer,))


SMALL, LARGE = network(2), network(300)


@pytest.fixture
def short_of_space():
    """No file of this process may grow beyond 100 000 bytes: writing fails half-way, as on a full disk."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    signal.signal(signal.SIGXFSZ, handler)


def test_a_write_that_fails_half_way_leaves_the_old_file(tmp_path, short_of_space):
    path = tmp_path / "a.net"
    save(SMALL, path)
    with pytest.raises(NetFileError, match=f"a.net: cannot be written: {os.strerror(errno.EFBIG)}"):
        save(LARGE, path)
    assert load(path) == SMALL
    assert os.listdir(tmp_path) == ["a.net"]


def test_a_first_write_that_fails_leaves_nothing(tmp_path, short_of_space):
    with pytest.raises(NetFileError):
        save(LARGE, tmp_path / "a.net")
    assert os.listdir(tmp_path) == []


def test_a_file_is_replaced(tmp_path):
    path = tmp_path / "a.net"
    save(LARGE, path)
    save(SMALL, str(path))
    assert load(path) == SMALL
    assert os.listdir(tmp_path) == ["a.net"]


@pytest.mark.parametrize("path", ["missing/a.net", ".", "pipe", "a\0.net", "x" * 300])
def test_a_path_that_cannot_be_written_is_named(tmp_path, path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(NetFileError, match="cannot be written"):
        save(SMALL, tmp_path / path)
    assert os.listdir(tmp_path) == ["pipe"]
    assert stat.S_ISFIFO(os.stat(tmp_path / "pipe").st_mode)


def test_devices_are_not_replaced():
    with pytest.raises(NetFileError, match="/dev/null: cannot be written: exists and is not a regular file"):
        save(SMALL, "/dev/null")
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)


def test_permissions_and_links_are_kept(tmp_path):
    path, link = tmp_path / "a.net", tmp_path / "link.net"
    save(LARGE, path)
    path.chmod(0o640)
    link.symlink_to("a.net")
    save(SMALL, link)
    assert link.is_symlink()
    assert load(path) == SMALL
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_a_new_file_has_the_permissions_that_the_user_chose(tmp_path):
    old = os.umask(0o027)
    try:
        save(SMALL, tmp_path / "a.net")
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "a.net").stat().st_mode) == 0o640


WRITER = """
import sys
from tclif_neuro.netx.files import write_bytes
path, sizes = sys.argv[1], [1000, 3_000_000]
print("ready", flush=True)
while True:
    for size in sizes:
        write_bytes(path, b"%d " % size + bytes([size % 251]) * size)
"""


def test_a_killed_writer_leaves_a_whole_file(tmp_path):
    path = tmp_path / "a.net"
    write_bytes(path, b"1000 " + bytes([1000 % 251]) * 1000)
    for pause in (0.01, 0.03, 0.05, 0.1):
        with subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE) as writer:
            writer.stdout.readline()
            with pytest.raises(subprocess.TimeoutExpired):
                writer.wait(timeout=pause)
            writer.kill()
        size, _, content = path.read_bytes().partition(b" ")
        assert content == bytes([int(size) % 251]) * int(size)
