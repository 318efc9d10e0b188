"""The server of a live page: this machine alone, GET alone, as long as the run lasts.

A reader is a thread that sleeps on the board; one that does not take what it is sent is dropped after `PATIENCE`, and
its browser comes back for the present state. Pages of other sites can neither read this one nor reach it under another
name (DNS rebinding): the header `Host` must be this address.
"""

from __future__ import annotations

import json
import secrets
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tclif_neuro.errors import TclifError
from tclif_neuro.page.board import Board
from tclif_neuro.page.live import live_files

ADDRESS = "127.0.0.1"
PATIENCE = 5.0  # seconds that a request may take to come, and a reader to take what it is sent
HEARTBEAT = 2.0  # seconds: a word to every reader at least so often
FAREWELL = 2.0  # seconds for all readers to hear that the run is over
MOST_CONNECTIONS = 64
MOST_UNSENT = 2**16  # bytes that wait in the kernel for a slow reader
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


class LiveError(TclifError):
    """A live page that cannot be served."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, port: int, board: Board, title: str) -> None:
        self.board, self.files = board, live_files(title)
        self.run = secrets.token_hex(8)  # a page left open from another run on this port notices
        self._room = threading.BoundedSemaphore(MOST_CONNECTIONS)
        super().__init__((ADDRESS, port), _Handler)
        self.hosts = [[f"{name}:{self.port}"] for name in (ADDRESS, "localhost")]  # the header once, and no other

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    def server_bind(self) -> None:
        """Bind as any server does: HTTP's own way asks the network for the name of this machine, and may wait."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = ADDRESS, self.port

    def process_request(self, request: Any, client_address: Any) -> None:
        if self._room.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._room.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A reader that is gone is no error; anything else is one of ours, and is shown."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = PATIENCE
    server_version, sys_version = "tclif", ""

    def parse_request(self) -> bool:
        """Refuse all but GET, and every name but this machine's own."""
        if not super().parse_request():
            return False
        if self.command != "GET":
            self.send_error(HTTPStatus.METHOD_NOT_ALLOWED, "only GET is understood")
        elif self.headers.get_all("Host") not in self.server.hosts:
            self.send_error(HTTPStatus.MISDIRECTED_REQUEST, "this is not that host")
        else:
            return True
        return False

    def do_GET(self) -> None:
        if self.path == "/events":
            self._events()
        elif found := self.server.files.get(self.path):
            kind, content = found
            self._begin(kind, len(content))
            self.wfile.write(content)
        else:
            self.send_error(HTTPStatus.NOT_FOUND)

    def end_headers(self) -> None:
        for name, value in HEADERS.items():
            self.send_header(name, value)
        if getattr(self, "command", "GET") != "GET":
            self.send_header("Allow", "GET")
        super().end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: the terminal is the run's."""

    def _begin(self, kind: str, length: int | None = None) -> None:
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", kind)
        if length is not None:
            self.send_header("Content-Length", str(length))
        self.end_headers()

    def _events(self) -> None:
        """The run's state, and all that changes in it, until it is over or nobody listens."""
        board = self.server.board
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, MOST_UNSENT)
        with board.reading():
            self._begin("text/event-stream; charset=utf-8")
            self._send("run", self.server.run)
            news = board.after(0, 0.0)
            while True:
                for name, content in news.parts.items():
                    self._send("part", [name, content])
                if news.over is not None:
                    return self._send("over", news.over)
                if not news.parts:
                    self._send("alive", None)
                news = board.after(news.version, HEARTBEAT)

    def _send(self, event: str, data: Any) -> None:
        self.wfile.write(f"event: {event}\ndata: {json.dumps(data)}\n\n".encode())


@contextmanager
def serve(board: Board, title: str, port: int = 0) -> Iterator[str]:
    """Serve `board` on a port of this machine (0: any free one) while the block runs; gives the page's address.

    At the end the readers are told how the run went. Raises `LiveError` if the port cannot be had.
    """
    try:
        server = _Server(port, board, title)
    except OSError as error:
        raise LiveError(
            f"--live {port}: {error.strerror}; choose another port, or give none for one that is free"
        ) from error
    thread = threading.Thread(target=server.serve_forever, args=(0.1,), name="tclif-live", daemon=True)
    thread.start()
    how = "the run ended with an error"
    try:
        yield f"http://{ADDRESS}:{server.port}/"
        how = "the run is over"
    except KeyboardInterrupt:
        how = "the run was interrupted"
        raise
    finally:
        board.end(how, FAREWELL)
        server.shutdown()
        server.server_close()
        thread.join(FAREWELL)
