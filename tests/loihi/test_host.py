"""What is found on a host: rows of sinfo, a board that does not answer, packages without importing them."""

import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tclif_neuro.loihi.host import (
    HostError,
    Target,
    choose,
    environment,
    greet,
    is_installed,
    parse_sinfo,
    probe,
    read_sinfo,
)

ROOT = Path(__file__).resolve().parents[2]
ROWS = """\
ncl-1 oheogulch down*
ncl-2 oheogulch idle
ncl-2 kp mixed
ncl-3 broken drain
ncl-4 broken idle*
"""


def test_every_row_of_a_partition_counts():
    nodes = parse_sinfo(ROWS)
    assert len(nodes) == 5
    assert [n.name for n in choose(nodes, Target(partition="oheogulch"))] == ["ncl-2"]
    assert [n.name for n in choose(nodes, Target(node="ncl-2"))] == ["ncl-2", "ncl-2"]


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ({"partition": "nowhere"}, "'nowhere': is not on this cluster, which has broken, kp, oheogulch"),
        ({"partition": "broken"}, "no node is up: ncl-3 is drain, ncl-4 is idle, does not answer"),
        ({"node": "ncl-1"}, "no node is up"),
        ({}, "a partition, a node or a host; this cluster has"),
    ],
)
def test_what_cannot_be_used_is_said(target, message):
    with pytest.raises(HostError, match=message):
        choose(parse_sinfo(ROWS), Target(**target))


def test_targets_are_checked():
    with pytest.raises(HostError, match="N3B3"):
        Target(chip="N9Z9")
    with pytest.raises(HostError, match="one of the three"):
        Target(partition="a", host="b")


def test_the_environment_of_the_driver():
    assert environment(Target(partition="kp")) == {"SLURM": "1", "PARTITION": "kp", "LOIHI_GEN": "N3B3"}
    assert environment(Target(node="ncl-2"))["BOARD"] == "ncl-2"
    ethernet = environment(Target(host="10.0.0.2", chip="N3C1"))
    assert ethernet["NXSDKHOST"] == "10.0.0.2" and ethernet["LOIHI_GEN"] == "N3C1" and "SLURM" not in ethernet


@pytest.mark.parametrize(("name", "target"), [("slurm", {"partition": "p"}), ("ethernet", {"host": "10.0.0.2"})])
def test_the_files_of_an_environment_name_what_the_driver_gets(name, target):
    lines = (ROOT / "deploy" / "loihi2" / f"{name}.env").read_text().splitlines()
    given = dict(line.split("=") for line in lines if not line.startswith("#"))
    wanted = environment(Target(**target))
    assert set(given) == set(wanted)
    places = {"PARTITION", "NXSDKHOST"}
    assert {key: given[key] for key in set(given) - places} == {key: wanted[key] for key in set(wanted) - places}


def test_without_sinfo(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(HostError, match="not on the PATH"):
        read_sinfo()
    found = probe(Target(partition="kp"))
    assert any("sinfo" in line for line in found.missing)
    assert all(line.startswith("missing: ") and "\n" not in line for line in found.missing)


def test_a_sinfo_that_hangs_or_fails(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    program = tmp_path / "sinfo"
    for body, message in (("sleep 60", "no answer within 0.3 s"), ("echo no controller >&2; exit 3", "no controller")):
        program.write_text(f"#!/bin/sh\n{body}\n")
        program.chmod(0o755)
        begin = time.monotonic()
        with pytest.raises(HostError, match=message):
            read_sinfo(deadline=0.3 if "sleep" in body else 10)
        assert time.monotonic() - begin < 10


def server(reply):
    """A server on loopback that accepts, sends `reply`, and is then silent; its port."""
    listening = socket.create_server(("127.0.0.1", 0))

    def serve():
        with listening, listening.accept()[0] as connection:
            connection.sendall(reply)
            time.sleep(2 if not reply else 0)

    threading.Thread(target=serve, daemon=True).start()
    return listening.getsockname()[1]


def test_boards_that_answer_wrongly_or_not_at_all():
    assert greet("127.0.0.1", server(b"SSH-2.0-board\r\n"), 5).startswith("SSH-2.0")
    with pytest.raises(HostError, match="is no secure shell"):
        greet("127.0.0.1", server(b"HTTP/1.1 200"), 5)
    with pytest.raises(HostError, match=r"no answer within 0\.3 s"):
        greet("127.0.0.1", server(b""), 0.3)
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with pytest.raises(HostError, match="refused"):
        greet("127.0.0.1", port, 5)
    with pytest.raises(HostError):
        greet("no-such-host.invalid", 22, 5)


def test_probing_imports_nothing_of_lava():
    code = """
import sys
from tclif_neuro.loihi.host import Target, probe
probe(Target(partition="p"))
print([name for name in sys.modules if name.split(".")[0] in ("lava", "nxcore")])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.stdout.strip() == "[]", done.stderr


def test_modules_are_found_by_their_files():
    assert is_installed("json") and is_installed("xml.etree.ElementTree") and is_installed("tclif_neuro.loihi")
    assert not is_installed("no_such_package.at_all") and not is_installed("xml.no_such_module")
