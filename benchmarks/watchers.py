"""The process that holds parked queries: `python -m benchmarks.watchers PORT`.

One thread, one epoll, and no more work for an answer than to see that it is whole; what is in it
is looked at when the time has been taken. Connections come from many loopback addresses, since a
client address has only so many ports, and a server may count connections of each.
See watching.py for the commands.
"""

import base64
import json
import resource
import select
import socket
import sys
import time
from collections import deque
from dataclasses import dataclass, field
from typing import Any

from benchmarks.answers import body_of, index_of, is_whole, status_of

_HOST = "127.0.0.1"
_OK = 200
_PER_ADDRESS = 150
# So many connections are being made at once: a server's queue of them is short.
_CONNECTING_MAX = 200
# And so many a second: a flood of connections would measure a server's queue for them.
_CONNECTIONS_PER_S = 2000
_PATIENCE_S = 120.0
_READ_BYTES = 65536
_GO = "Host: 127.0.0.1\r\nUser-Agent: Go-http-client/1.1\r\nAccept-Encoding: gzip\r\n\r\n"


class _Trouble(Exception):
    """The store did what it must not; the text is told to the scenario."""


@dataclass(slots=True, eq=False)
class _Watcher:
    """One connection and the query on it."""

    connection: socket.socket
    key: str
    wait: str
    # What came of the answer so far; kept until the query is sent again.
    raw: bytearray = field(default_factory=bytearray)
    index: int = 0
    # Whether the query is sent and not answered.
    parked: bool = False

    def send(self) -> None:
        """Send the query with the newest index."""
        if self.raw:
            self.index = index_of(self.raw)
            self.raw.clear()
        query = f"index={self.index}&wait={self.wait}" if self.index else f"wait={self.wait}"
        self.connection.send(f"GET /v1/kv/{self.key}?{query} HTTP/1.1\r\n{_GO}".encode("ascii"))
        self.parked = True


class _Herd:
    """All watchers of one server."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._epoll = select.epoll()
        self._commands = sys.stdin.fileno()
        self._epoll.register(self._commands, select.EPOLLIN)
        self._watchers: dict[int, _Watcher] = {}
        self._again = False
        self._answers = 0
        self._write: socket.socket | None = None

    def serve(self) -> None:
        """Do commands until there are no more; meanwhile, take answers.

        What goes wrong meanwhile is told in answer to the next command.
        """
        wrong = ""
        while True:
            try:
                commanded = self._turn(None)
            except _Trouble as trouble:
                wrong, commanded = str(trouble), False
            if not commanded:
                continue
            line = sys.stdin.readline()
            if not line:
                return
            try:
                told = {"wrong": wrong} if wrong else self._do(**json.loads(line))
            except _Trouble as trouble:
                told = {"wrong": str(trouble)}
            sys.stdout.write(json.dumps(told) + "\n")
            sys.stdout.flush()

    def _do(self, do: str, **details: Any) -> dict[str, Any]:
        if do == "park":
            return self._park(**details)
        if do == "wake":
            return self._wake(**details)
        if do == "rearm":
            for watcher in self._watchers.values():
                if not watcher.parked:
                    watcher.send()
        return {"answers": self._answers}

    def _park(self, groups: list[dict[str, Any]], *, again: bool) -> dict[str, Any]:
        """Ask each key once for its index, then send every query with it."""
        self._again = again
        began = time.monotonic()
        wanted: deque[tuple[str, str, int]] = deque()
        for group in groups:
            index = index_of(self._ask(f"GET /v1/kv/{group['key']} HTTP/1.1\r\n{_GO}".encode()))
            wanted.extend([(group["key"], group["wait"], index)] * group["count"])
        fresh: deque[_Watcher] = deque()
        made = 0
        while wanted or fresh:
            due = (time.monotonic() - began) * _CONNECTIONS_PER_S
            while wanted and len(fresh) < _CONNECTING_MAX and made <= due:
                fresh.append(self._connect(*wanted.popleft()))
                made += 1
            if not fresh:
                self._turn(1 / _CONNECTIONS_PER_S)
                continue
            watcher = fresh.popleft()
            _wait_connected(watcher.connection)
            watcher.send()
            self._turn(0)
        return {"seconds": time.monotonic() - began}

    def _wake(self, key: str, value: str) -> dict[str, Any]:
        """Write, then wait until each watcher of the key has an answer, and look at them."""
        group = [one for one in self._watchers.values() if one.key == key]
        idle = sum(not one.parked for one in group)
        if idle:
            raise _Trouble(f"{idle} queries on {key} were answered before the write")
        before = self._answers
        head = f"PUT /v1/kv/{key} HTTP/1.1\r\nContent-Length: {len(value)}\r\n{_GO}"
        began = time.monotonic()
        first = written = 0.0
        with socket.create_connection((_HOST, self._port)) as write:
            write.sendall(f"{head}{value}".encode("ascii"))
            self._epoll.register(write.fileno(), select.EPOLLIN)
            self._write = write
            while self._answers - before < len(group) or not written:
                answered = self._answers
                if self._turn(_PATIENCE_S):
                    raise _Trouble("a command came while the last one was under way")
                now = time.monotonic()
                if self._answers > answered == before:
                    first = now
                if self._write is None and not written:
                    written = now
                if now - began > _PATIENCE_S:
                    missing = len(group) - (self._answers - before)
                    raise _Trouble(f"{missing} queries on {key} were not answered")
            last = time.monotonic()
        if not self._again:
            _check(group, value)
        return {
            "answered": len(group),
            "written_s": written - began,
            "first_s": first - began,
            "last_s": last - began,
        }

    def _turn(self, timeout_s: float | None) -> bool:
        """Take what has come; return whether there is a command."""
        command = False
        for descriptor, _ in self._epoll.poll(timeout_s):
            if descriptor == self._commands:
                command = True
            elif descriptor in self._watchers:
                self._take(self._watchers[descriptor])
            elif self._write is not None:
                self._epoll.unregister(descriptor)
                if not self._write.recv(_READ_BYTES).startswith(b"HTTP/1.1 200"):
                    raise _Trouble("the write was refused")
                self._write = None
        return command

    def _take(self, watcher: _Watcher) -> None:
        some = watcher.connection.recv(_READ_BYTES)
        if not some:
            raise _Trouble(f"the store closed the connection of a query on {watcher.key}")
        watcher.raw += some
        if is_whole(watcher.raw):
            watcher.parked = False
            self._answers += 1
            if self._again:
                if status_of(watcher.raw) != _OK:
                    raise _Trouble(f"a query on {watcher.key}: {bytes(watcher.raw[:200])!r}")
                watcher.send()

    def _connect(self, key: str, wait: str, index: int) -> _Watcher:
        number = len(self._watchers) // _PER_ADDRESS
        connection = socket.socket()
        connection.setblocking(False)
        connection.bind((f"127.0.{1 + number // 250}.{1 + number % 250}", 0))
        connection.connect_ex((_HOST, self._port))
        watcher = _Watcher(connection, key, wait, index=index)
        self._watchers[connection.fileno()] = watcher
        self._epoll.register(connection.fileno(), select.EPOLLIN)
        return watcher

    def _ask(self, request: bytes) -> bytearray:
        """Send one request on a connection of its own and return the answer."""
        with socket.create_connection((_HOST, self._port), timeout=_PATIENCE_S) as connection:
            connection.sendall(request)
            raw = bytearray()
            while not is_whole(raw):
                some = connection.recv(_READ_BYTES)
                if not some:
                    raise _Trouble(f"no answer to {request[:60]!r}")
                raw += some
        if status_of(raw) != _OK:
            raise _Trouble(f"{request[:60]!r} was answered {bytes(raw[:200])!r}")
        return raw


def _wait_connected(connection: socket.socket) -> None:
    """Wait until a connection is made."""
    poll = select.poll()
    poll.register(connection, select.POLLOUT)
    if not poll.poll(_PATIENCE_S * 1000):
        raise _Trouble("a connection was not accepted")
    error = connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if error:
        raise _Trouble(f"a connection was refused, errno {error}")


def _check(group: list[_Watcher], value: str) -> None:
    """Raise unless every watcher was answered with the value."""
    expected = base64.b64encode(value.encode("ascii"))
    for watcher in group:
        if status_of(watcher.raw) != _OK or expected not in body_of(watcher.raw):
            raise _Trouble(f"a query on {watcher.key} has {bytes(watcher.raw[:200])!r}")


def main() -> None:
    """Serve the port in the first argument."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    _Herd(int(sys.argv[1])).serve()


if __name__ == "__main__":
    main()
