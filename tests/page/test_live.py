"""The server of a live page, by its protocol: who is let in, what a reader is told, and that nobody waits for it."""

import http.client
import json
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager

import pytest

from tclif_neuro.page import server as served
from tclif_neuro.page.board import Board
from tclif_neuro.page.server import LiveError, serve
from tests.page.browser import needs_browser
from tests.page.devtools import tab

PATIENCE = 20.0


def port_of(address: str) -> int:
    return int(address.rstrip("/").rpartition(":")[2])


@contextmanager
def connected(address):
    connection = http.client.HTTPConnection("127.0.0.1", port_of(address), timeout=PATIENCE)
    try:
        yield connection
    finally:
        connection.close()


def answer(address, path="/", method="GET", **headers):
    with connected(address) as connection:
        connection.request(method, path, headers=headers)
        found = connection.getresponse()
        return found.status, dict(found.getheaders()), found.read()


def events(response):
    """The events of a stream, one after the other."""
    name = None
    for line in response:
        kind, _, rest = line.decode().strip().partition(": ")
        if kind == "event":
            name = rest
        elif kind == "data":
            yield name, json.loads(rest)


@pytest.fixture
def live():
    board = Board()
    with serve(board, "a <run>") as address:
        yield board, address


def test_the_page_and_its_files_come_from_here_alone(live):
    _, address = live
    for path, kind in (("/", "text/html"), ("/live.js", "text/javascript"), ("/style.css", "text/css")):
        status, headers, content = answer(address, path)
        assert status == 200 and headers["Content-Type"].startswith(kind) and content
        assert headers["Content-Security-Policy"].startswith("default-src 'none'")
        assert b"http://" not in content and b"https://" not in content
    assert answer(address, "/icon.svg")[1]["Content-Type"] == "image/svg+xml"
    assert b"a &lt;run&gt;" in answer(address)[2]


@pytest.mark.parametrize("method", ["POST", "HEAD", "PUT", "DELETE", "OPTIONS", "NONSENSE"])
def test_only_get_is_understood(live, method):
    status, headers, _ = answer(live[1], method=method)
    assert status == 405 and headers["Allow"] == "GET"


@pytest.mark.parametrize("host", ["example.org", "127.0.0.1", "127.0.0.1:1", "example.org:{port}", ""])
def test_another_name_for_this_machine_is_refused(live, host):
    """Else a page of another site could have its name point here, and read."""
    port = port_of(live[1])
    assert answer(live[1], "/events", Host=host.format(port=port))[0] == 421
    assert answer(live[1], Host=f"localhost:{port}")[0] == 200


def test_two_hosts_or_none_are_refused(live):
    port = port_of(live[1])
    for hosts in ("", f"Host: 127.0.0.1:{port}\r\nHost: example.org\r\n"):
        with socket.create_connection(("127.0.0.1", port), PATIENCE) as raw:
            raw.sendall(f"GET / HTTP/1.1\r\n{hosts}\r\n".encode())
            assert b" 421 " in raw.recv(200)


def test_no_other_path(live):
    for path in ("/../pyproject.toml", "//etc/passwd", "/page.py", "/events?x=1"):
        assert answer(live[1], path)[0] == 404


def test_who_comes_late_gets_the_present_state_once_and_then_what_changes():
    board = Board()
    for i in range(1000):
        board.put("progress", f"<p>{i}</p>")
    board.put("curves", "old")
    with serve(board, "run") as address, connected(address) as connection:
        connection.request("GET", "/events")
        found = events(connection.getresponse())
        assert next(found)[0] == "run"
        assert next(found) == ("part", ["progress", "<p>999</p>"])
        assert next(found) == ("part", ["curves", "old"])
        board.put("curves", "new\nline")
        assert next(found) == ("part", ["curves", "new\nline"])
        board.end("done", 0.0)
        assert list(found) == [("over", "done")]


def test_a_word_comes_also_where_nothing_happens(live, monkeypatch):
    monkeypatch.setattr(served, "HEARTBEAT", 0.05)
    with connected(live[1]) as connection:
        connection.request("GET", "/events")
        found = events(connection.getresponse())
        assert [next(found)[0] for _ in range(3)] == ["run", "alive", "alive"]


def test_who_does_not_read_is_dropped_and_nobody_waits_for_it(monkeypatch):
    monkeypatch.setattr(served._Handler, "timeout", 1.0)
    board, heard = Board(), []

    def read(address):
        with connected(address) as connection:
            connection.request("GET", "/events")
            heard.extend(events(connection.getresponse()))

    with serve(board, "run") as address, socket.socket() as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.connect(("127.0.0.1", port_of(address)))
        slow.sendall(f"GET /events HTTP/1.1\r\nHost: 127.0.0.1:{port_of(address)}\r\n\r\n".encode())
        reader = threading.Thread(target=read, args=(address,))
        reader.start()
        wait_for(lambda: board._readers == 2)
        begin = time.monotonic()
        for i in range(20):
            board.put("curves", f"{i:2}" * 2**20)
        assert time.monotonic() - begin < 1.0, "the writer has waited"
        wait_for(lambda: board._readers == 1)
    reader.join(PATIENCE)
    assert ("part", ["curves", "19" * 2**20]) in heard and heard[-1] == ("over", "the run is over")


def wait_for(condition):
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_an_idle_connection_and_half_a_request_hold_nothing_up(live, monkeypatch):
    monkeypatch.setattr(served._Handler, "timeout", 0.2)
    place = ("127.0.0.1", port_of(live[1]))
    with socket.create_connection(place, PATIENCE) as half, socket.create_connection(place, PATIENCE) as idle:
        half.sendall(b"GET / HT")
        assert answer(live[1])[0] == 200
        assert half.recv(10) == b"" and idle.recv(10) == b""


def test_there_is_room_for_so_many_and_no_more(monkeypatch):
    monkeypatch.setattr(served, "MOST_CONNECTIONS", 2)
    with serve(Board(), "run") as address, connected(address) as one, connected(address) as two:
        for connection in (one, two):
            connection.request("GET", "/events")
        found = [connection.getresponse() for connection in (one, two)]
        assert [response.status for response in found] == [200, 200]
        with pytest.raises((http.client.RemoteDisconnected, ConnectionResetError)):
            answer(address)


@pytest.mark.parametrize(
    ("error", "how"),
    [(None, "is over"), (KeyboardInterrupt, "was interrupted"), (ZeroDivisionError, "ended with an error")],
)
def test_the_readers_hear_how_it_ended_and_the_server_is_gone(error, how):
    heard = []

    def read(address):
        with connected(address) as connection:
            connection.request("GET", "/events")
            heard.extend(events(connection.getresponse()))

    board = Board()
    try:
        with serve(board, "run") as address:
            reader = threading.Thread(target=read, args=(address,))
            reader.start()
            wait_for(lambda: board._readers)
            if error:
                raise error
    except (KeyboardInterrupt, ZeroDivisionError):
        pass
    reader.join(PATIENCE)
    assert heard[-1][0] == "over" and how in heard[-1][1]
    with pytest.raises(ConnectionRefusedError):
        answer(address)
    assert not [thread for thread in threading.enumerate() if thread.name == "tclif-live"]


def test_a_port_that_is_taken_is_said(live):
    port = port_of(live[1])
    with pytest.raises(LiveError, match=f"--live {port}: .* free"), serve(Board(), "run", port):
        pass


CHILD = """
import sys, time
from tclif_neuro.page.board import Board
from tclif_neuro.page.server import serve
board = Board()
board.put("progress", "<p>so far</p>")
with serve(board, "run", int(sys.argv[1])) as address:
    print(address, flush=True)
    time.sleep(60)
"""


def test_a_browser_says_when_the_run_is_lost_and_when_another_has_come(tmp_path):
    needs_browser()

    def start(port):
        child = subprocess.Popen([sys.executable, "-c", CHILD, str(port)], stdout=subprocess.PIPE, text=True)
        return child, child.stdout.readline().strip()

    child, address = start(0)
    try:
        with tab(tmp_path) as page:
            page.call("Page.navigate", url=address)
            page.wait("document.body.innerText.includes('so far') && document.body.innerText.includes('running')")
            page.look("document.body.dataset.old = 'yes'")
            child.kill()
            child.communicate()
            page.wait("document.getElementById('state').textContent.startsWith('lost')")
            assert page.look("document.body.innerText.includes('so far')")
            child, _ = start(port_of(address))
            page.wait("!document.body.dataset.old && document.body.innerText.includes('running')")
    finally:
        child.kill()
        child.communicate()
