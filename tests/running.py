"""Servers for tests: one inside the test's process, one in a process of its own, and calls to both.

Knows the command line and the socket, nothing of what the answers mean.
"""

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

from unprivileged import unprivileged

from kvstore.listening import Address, TcpAddress, open_listeners
from kvstore.server import Server
from kvstore.settings import Settings

__all__ = ["Answer", "InProcess", "Launch", "Process", "Start", "call", "in_process"]

WITHIN_S = 20.0
"""Longest wait for what should come at once; generous, since cores are shared."""

_LISTENS = re.compile(r"listens on http://\S+:(\d+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Answer:
    """One response."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def index(self) -> int:
        """The number in X-Consul-Index."""
        return int(self.headers["X-Consul-Index"])

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


def call(port: int, method: str, target: str, body: bytes | None = None) -> Answer:
    """Send one request on a connection of its own and return the answer; blocks."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=WITHIN_S)
    try:
        connection.request(method, target, body)
        response = connection.getresponse()
        return Answer(response.status, dict(response.headers), response.read())
    finally:
        connection.close()


class InProcess:
    """A server on the test's own event loop, and its port."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.port = server.port
        self._runs = True

    async def stop(self) -> None:
        """Stop it in good order; a second call does nothing."""
        if self._runs:
            self._runs = False
            await self.server.stop()


@asynccontextmanager
async def in_process(
    data_dir: Path | None,
    listen: Sequence[Address] = (TcpAddress("127.0.0.1", 0),),
    **changes: Any,
) -> AsyncIterator[InProcess]:
    """Serve a folder (None: memory) on a free port until the block ends."""
    settings = replace(Settings(data_dir, node="n1"), **changes)
    server = Server(settings, open_listeners(listen))
    await server.start()
    running = InProcess(server)
    try:
        yield running
    finally:
        await running.stop()


class Process:
    """`kvstore serve` in a process of its own; killed at the end of its context.

    `command` may be another that serves; its port is then named by KVSTORE_PORT. With `privileged`
    false it may do no more than the modes of files say, also as root.
    """

    def __init__(
        self,
        folder: Path,
        flags: tuple[str, ...],
        environment: Mapping[str, str] | None = None,
        *,
        command: tuple[str, ...] = ("serve",),
        privileged: bool = True,
    ) -> None:
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("KVSTORE_")}
        told = {"--port", "--listen"}.intersection(flags)
        told |= {"KVSTORE_PORT", "KVSTORE_LISTEN"}.intersection(environment or {})
        port = () if told else ("--port", "0")
        words = [sys.executable, "-m", "kvstore", *command, *port, *flags]
        self._popen = subprocess.Popen(
            words if privileged else unprivileged(words),
            cwd=folder,
            env={**inherited, **(environment or {})},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            errors="replace",
        )
        self._printed: list[str] = []
        self._has_ended = False
        self._news = threading.Condition()
        # Reads all the time, so that a server with much to say is not held up.
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        if self._popen.poll() is None:
            self._popen.kill()
        self._popen.wait()
        self._reader.join()
        for stream in (self._popen.stdout, self._popen.stderr):
            assert stream is not None
            stream.close()

    @property
    def printed(self) -> str:
        """What it has printed to standard error so far; all of it, once it was waited for."""
        return "".join(self._printed)

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._popen.pid

    @property
    def port(self) -> int:
        """The port it listens on, once it is ready."""
        found = _LISTENS.search(self.printed)
        assert found is not None, f"no greeting in: {self.printed}"
        return int(found[1])

    def port_of(self, scheme: str) -> int:
        """Return the port of its listener of a kind, once it is ready."""
        found = re.search(rf"on {scheme}://127\.0\.0\.1:(\d+)", self.printed)
        assert found is not None, f"no greeting in: {self.printed}"
        return int(found[1])

    def wait_until_ready(self) -> Self:
        """Wait for the end of its greeting."""
        return self.wait_until_printed("--cluster-advertise=")

    def wait_until_printed(self, text: str) -> Self:
        """Wait until it has said something on standard error."""
        with self._news:
            self._news.wait_for(lambda: text in self.printed or self._has_ended)
        assert text in self.printed, f"it ended and never said {text!r}: {self.printed}"
        return self

    def call(self, method: str, target: str, body: bytes | None = None) -> Answer:
        """Send it one request and return the answer."""
        return call(self.port, method, target, body)

    def terminate(self, number: int = signal.SIGTERM) -> None:
        """Send it a signal."""
        self._popen.send_signal(number)

    def wait(self) -> int:
        """Wait for its end, keep what it still prints, and return its exit code."""
        code = self._popen.wait(WITHIN_S)
        self._reader.join(WITHIN_S)
        assert self._popen.stdout is not None
        assert self._popen.stdout.read() == "", "standard output is not for servers"
        return code

    def _read(self) -> None:
        assert self._popen.stderr is not None
        for line in self._popen.stderr:
            with self._news:
                self._printed.append(line)
                self._news.notify_all()
        with self._news:
            self._has_ended = True
            self._news.notify_all()


def parked_call(port: int, target: str) -> socket.socket:
    """Send a GET that will wait and return its connection, to read the answer from."""
    connection = socket.create_connection(("127.0.0.1", port), timeout=WITHIN_S)
    connection.sendall(f"GET {target} HTTP/1.1\r\nHost: test\r\n\r\n".encode("ascii"))
    return connection


Start = Callable[..., Awaitable[InProcess]]
Launch = Callable[..., Process]
