"""For tests of the soak: windows of a store that is flat, and a store that does as it is told."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any

from conformance.soak.meter import Cut, Figures, Kind
from conformance.soak.windows import Window

MIB = 1024 * 1024


def window(number: int = 0, **changes: Any) -> Window:
    """Return the n-th window of 10 s of a store that stays as it is."""
    figures = Figures(count=1000, p50_ms=1.0, p99_ms=10.0, max_ms=50.0)
    cut = Cut(
        kinds={Kind.GET: figures, Kind.WATCH: figures},
        requests=figures,
        polls=100,
        cas_refused=3,
        late=0,
    )
    flat = Window(
        start_s=10.0 * number,
        seconds=10.0,
        cut=cut,
        rss_bytes=100.0 * MIB,
        fds=500.0,
        threads=3.0,
        cpu_share=0.2,
        extra_fds=2.0,
        own_cpu_share=0.3,
        own_lag_ms=5.0,
        told={"entries": 2000, "sessions": 500, "parked_queries": 1500, "index": number},
        faults=0,
    )
    return replace(flat, **changes)


def slower(factor: float) -> Cut:
    """Return the measurements of a window in which each answer took so many times longer."""
    figures = Figures(count=1000, p50_ms=factor, p99_ms=10 * factor, max_ms=50 * factor)
    return replace(window().cut, kinds={Kind.GET: figures}, requests=figures)


@dataclass(frozen=True)
class Reply:
    """What a scripted store answers; no index with `index` 0, nothing at all with `status` 0."""

    status: int = 200
    body: bytes = b"[]"
    index: int = 1

    def encode(self) -> bytes:
        """Return the answer as bytes."""
        if not self.status:
            return b""
        index = f"X-Consul-Index: {self.index}\r\n" if self.index else ""
        head = f"HTTP/1.1 {self.status} Said\r\n{index}Content-Length: {len(self.body)}\r\n\r\n"
        return head.encode() + self.body


class ScriptedStore:
    """Answers each request with what `answer` makes of its request line; None: hangs up."""

    def __init__(self, answer: Callable[[str], Reply | None]) -> None:
        self.answer = answer
        self.heads: list[str] = []
        self.url = ""
        # One for each connection.
        self.tasks: list[asyncio.Task[None]] = []

    @property
    def connections(self) -> int:
        """How many connections there were."""
        return len(self.tasks)

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve a new connection."""
        self.tasks.append(asyncio.get_running_loop().create_task(self._serve(reader, writer)))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                self.heads.append(head)
                length = re.search(r"Content-Length: (\d+)", head)
                await reader.readexactly(int(length[1]) if length else 0)
                reply = self.answer(head.splitlines()[0])
                if reply is None:
                    break
                writer.write(reply.encode())
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


@asynccontextmanager
async def scripted(answer: Callable[[str], Reply | None]) -> AsyncIterator[ScriptedStore]:
    """Serve a scripted store on a free port until the block ends; its clients must have left."""
    store = ScriptedStore(answer)
    server = await asyncio.start_server(store.accept, "127.0.0.1", 0)
    store.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server:
        yield store
        await asyncio.gather(*store.tasks)
