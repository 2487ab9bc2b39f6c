"""An HTTP proxy between engines and store that counts, remembers, and breaks things on purpose.

One upstream connection for each connection of an engine, so that a connection keeps its meaning.
Runs an event loop in a thread of its own; scenarios read `exchanges` and set `fault` from theirs.
"""

import asyncio
import contextlib
import gzip
import json
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Self

from conformance.overlay.relay import Connect

_HEAD_MAX_BYTES = 65536
_START_S = 10.0


@dataclass(slots=True)
class Exchange:
    """One request and, once `status` is not 0, its answer."""

    client: str
    method: str
    target: str
    started: float
    status: int = 0
    took_s: float = 0.0
    # X-Consul-Index as the store sent it; "" when there was none.
    index: str = ""
    # What a single-key read says in its body: the key's ModifyIndex; 0 for other requests.
    modify_index: int = 0


class Fault:
    """What the proxy does to an exchange; this one does nothing. Called in the order below."""

    def refuse(self, exchange: Exchange) -> int | None:
        """Return a status to answer with instead of asking the store."""
        del exchange
        return None

    def ask(self, exchange: Exchange) -> str:
        """Return the target to ask the store for."""
        return exchange.target

    def index(self, exchange: Exchange, value: str) -> str | None:
        """Return the X-Consul-Index to answer with; None leaves it out."""
        del exchange
        return value


@dataclass(slots=True)
class _Message:
    """The head of a request or an answer, with its body as it came over the wire."""

    first: str
    headers: list[tuple[str, str]]
    wire_body: bytes = b""
    body: bytes = b""

    def header(self, name: str) -> str:
        return next((value for key, value in self.headers if key.lower() == name), "")

    def encode(self) -> bytes:
        lines = [self.first, *(f"{key}: {value}" for key, value in self.headers)]
        return "\r\n".join([*lines, "", ""]).encode("latin-1") + self.wire_body


@dataclass(slots=True)
class Proxy:
    """Serves `listener` while its context is open; dials the store with `connect`."""

    listener: socket.socket
    connect: Connect
    fault: Fault = field(default_factory=Fault)
    exchanges: list[Exchange] = field(default_factory=list)
    # Connections accepted since the start.
    connections: int = 0
    _loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.new_event_loop)
    _writers: set[asyncio.StreamWriter] = field(default_factory=set)
    _thread: threading.Thread | None = None
    _stop: asyncio.Event = field(default_factory=asyncio.Event)

    def __enter__(self) -> Self:
        started = threading.Event()
        self._thread = threading.Thread(
            target=lambda: self._loop.run_until_complete(self._serve(started.set)), daemon=True
        )
        self._thread.start()
        assert started.wait(_START_S), "the proxy's event loop did not start"
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        assert self._thread is not None
        self._thread.join()
        self._loop.close()

    def since(self, mark: float, client: str = "") -> list[Exchange]:
        """Return what was asked after an instant of the monotonic clock, by one client or all."""
        return [
            one
            for one in list(self.exchanges)
            if one.started >= mark and client in ("", one.client)
        ]

    def break_connections(self) -> int:
        """Reset every connection of every engine, long polls included; return how many."""
        writers = list(self._writers)
        for writer in writers:
            self._loop.call_soon_threadsafe(writer.transport.abort)
        return len(writers)

    async def _serve(self, ready: Callable[[], None]) -> None:
        """Accept until stopped; then cut all connections and wait for their tasks."""
        tasks: set[asyncio.Task[None]] = set()

        def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.ensure_future(self._serve_one(reader, writer))
            tasks.add(task)
            task.add_done_callback(tasks.discard)

        server = await asyncio.start_server(accepted, sock=self.listener, limit=_HEAD_MAX_BYTES)
        ready()
        await self._stop.wait()
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _serve_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass one engine's connection on until either side ends it."""
        self.connections += 1
        self._writers.add(writer)
        client = writer.get_extra_info("peername")[0]
        upstream: asyncio.StreamWriter | None = None
        try:
            sock = await asyncio.to_thread(self.connect)
            far, upstream = await asyncio.open_connection(sock=sock, limit=_HEAD_MAX_BYTES)
            while True:
                request = await _read(reader, answer=False)
                answer = await self._exchange(client, request, far, upstream)
                writer.write(answer)
                await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass  # one side ended the connection; the other is told below
        finally:
            self._writers.discard(writer)
            writer.close()
            if upstream is not None:
                upstream.close()

    async def _exchange(
        self,
        client: str,
        request: _Message,
        far: asyncio.StreamReader,
        upstream: asyncio.StreamWriter,
    ) -> bytes:
        method, target, version = request.first.split(" ")
        exchange = Exchange(client, method, target, time.monotonic())
        self.exchanges.append(exchange)
        fault = self.fault
        refused = fault.refuse(exchange)
        if refused is not None:
            exchange.status = refused
            return f"HTTP/1.1 {refused} Broken\r\nContent-Length: 0\r\n\r\n".encode()
        request.first = f"{method} {fault.ask(exchange)} {version}"
        upstream.write(request.encode())
        await upstream.drain()
        answer = await _read(far, answer=True)
        exchange.index = answer.header("x-consul-index")
        exchange.modify_index = _modify_index(exchange, answer)
        exchange.took_s = time.monotonic() - exchange.started
        exchange.status = int(answer.first.split(" ")[1])
        if exchange.index:
            changed = fault.index(exchange, exchange.index)
            kept = [pair for pair in answer.headers if pair[0].lower() != "x-consul-index"]
            answer.headers = kept if changed is None else [*kept, ("X-Consul-Index", changed)]
        return answer.encode()


async def _read(reader: asyncio.StreamReader, *, answer: bool) -> _Message:
    """Read one message. Raises IncompleteReadError when the connection ends before its end."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    pairs = [line.split(":", 1) for line in head[1:] if line]
    message = _Message(head[0], [(key.strip(), value.strip()) for key, value in pairs])
    if "chunked" in message.header("transfer-encoding").lower():
        message.wire_body, message.body = await _read_chunks(reader)
    else:
        length = int(message.header("content-length") or 0)
        message.wire_body = message.body = await reader.readexactly(length)
    if answer and message.header("content-encoding") == "gzip":
        message.body = gzip.decompress(message.body)
    return message


async def _read_chunks(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    """Return a chunked body as it came, and joined."""
    wire = body = b""
    while True:
        line = await reader.readuntil(b"\r\n")
        size = int(line.split(b";")[0], 16)
        chunk = await reader.readexactly(size + 2)
        wire += line + chunk
        body += chunk[:-2]
        if size == 0:
            return wire, body


def _modify_index(exchange: Exchange, answer: _Message) -> int:
    """Return the ModifyIndex in the answer to a single-key read, else 0."""
    single = exchange.method == "GET" and "recurse" not in exchange.target
    if single and " 200 " in f"{answer.first} " and exchange.target.startswith("/v1/kv/"):
        with contextlib.suppress(ValueError, KeyError, IndexError, TypeError):
            return int(json.loads(answer.body)[0]["ModifyIndex"])
    return 0
