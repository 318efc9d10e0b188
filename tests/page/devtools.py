"""A Chromium that is told what to do: the DevTools protocol over a pipe, JSON ended by a zero byte."""

import base64
import json
import os
import select
import subprocess
import time
from contextlib import contextmanager

from tests.page.browser import CHROMIUM, FLAGS

PATIENCE = 60.0  # seconds for any answer


class Tab:
    """One page. console: errors it printed. requests: the addresses it asked for."""

    def __init__(self, to_browser: int, from_browser: int) -> None:
        self._out, self._in = to_browser, from_browser
        self._number, self._rest = 0, b""
        self._session = None
        self.console, self.requests = [], []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **params):
        """The result of a command."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        deadline = time.monotonic() + PATIENCE
        while True:
            found = self._next(deadline)
            if found.get("id") == self._number:
                assert "error" not in found, (method, found["error"])
                return found["result"]

    def _next(self, deadline: float):
        """The next message; events are kept on the way."""
        while b"\0" not in self._rest:
            ready, _, _ = select.select([self._in], [], [], max(0.0, deadline - time.monotonic()))
            assert ready, "the browser does not answer"
            read = os.read(self._in, 2**20)
            assert read, "the browser has ended"
            self._rest += read
        message, _, self._rest = self._rest.partition(b"\0")
        found = json.loads(message)
        method, params = found.get("method"), found.get("params", {})
        if method == "Log.entryAdded":
            self.console.append(params["entry"]["text"])
        elif method == "Runtime.exceptionThrown" or (
            method == "Runtime.consoleAPICalled" and params["type"] == "error"
        ):
            self.console.append(json.dumps(params)[:500])
        elif method == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"])
        return found

    def look(self, expression: str):
        """The value of an expression on the page."""
        found = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def wait(self, expression: str, patience: float = PATIENCE):
        """Wait until an expression on the page is true; while the page comes, it may have no value."""
        expression = f"(() => {{ try {{ return {expression} }} catch {{ return false }} }})()"
        deadline = time.monotonic() + patience
        while not self.look(expression):
            assert time.monotonic() < deadline, (
                f"{expression} is not true: {self.look('document.documentElement.innerText')}"
            )
            time.sleep(0.05)

    def screen(self, width: int, dark: bool) -> None:
        """The width of the screen, and whether its user likes it dark."""
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=width < 600
        )
        features = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self.call("Emulation.setEmulatedMedia", features=features)

    def picture(self) -> bytes:
        """The whole page as PNG."""
        return base64.b64decode(self.call("Page.captureScreenshot", captureBeyondViewport=True)["data"])


@contextmanager
def tab(folder):
    """A page in a browser of its own, which ends with the block."""
    to_child, from_us = os.pipe()
    to_us, from_child = os.pipe()

    def three_and_four() -> None:  # where the browser looks for its pipe
        a, b = os.dup(to_child), os.dup(from_child)
        os.dup2(a, 3)
        os.dup2(b, 4)

    command = [CHROMIUM, *FLAGS, "--remote-debugging-pipe", f"--user-data-dir={folder / 'profile'}"]
    with open(folder / "chromium.log", "wb") as log:
        child = subprocess.Popen(
            command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, preexec_fn=three_and_four, close_fds=False
        )
    os.close(to_child)
    os.close(from_child)
    try:
        yield Tab(from_us, to_us)
    finally:
        child.terminate()
        try:
            child.wait(10)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
        os.close(from_us)
        os.close(to_us)
