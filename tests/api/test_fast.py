"""The fast lane: what only it does, since it answers straight from the connection.

What both lanes have to do alike is in test_two_lanes.py and in the tests of aiohttp's lane.
"""

import asyncio
import logging
import socket
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

import pytest
from certificates import Authority

from kvstore.api.exchange import Answer, NeedBody, Waiting, Writing
from kvstore.api.fast import FastLane
from kvstore.api.lane import Lane
from kvstore.api.limits import Limits
from kvstore.api.router import Router
from kvstore.errors import JournalUnwritable
from kvstore.listening import TcpAddress, open_listeners
from kvstore.transport.accepting import Acceptor
from kvstore.transport.credentials import Credentials, TlsFiles
from kvstore.transport.handshake import Handshakes

from .calls import endpoints
from .test_lane_leaving import FailingJournal
from .wire import Client, Served, connect, encode, listening, serving, until

MIB = 1024 * 1024
WATCHERS = 200


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    """Give an empty store behind the fast lane."""
    async with serving() as served:
        yield served


async def test_what_comes_behind_a_query_is_bounded(served: Served) -> None:
    """It is counted, reading pauses, and all of it is answered in its order in the end."""
    client = await served.park("/v1/kv/a?index=99999")
    requests = [encode("PUT", f"/v1/kv/{n}", b"%d" % n * 2000) for n in range(1000)]
    sending = asyncio.create_task(client.send(b"".join(requests)))
    for _ in range(30):
        await served.ask("GET", "/v1/kv/a")
    assert 0 < served.terms.received.bytes < MIB
    served.calls.engine.release_parked()
    assert (await client.read()).status == 404
    for _ in requests:
        assert (await client.read()).body == b"true"
    await sending
    assert (await client.ask("GET", "/v1/kv/999?raw")).body == b"999" * 2000
    await until(lambda: served.terms.received.bytes == 0)


async def test_too_much_behind_a_query() -> None:
    """Where there is no room for what comes behind, the query is answered and that is the end."""
    async with serving(limits=Limits(received_bytes=10_000)) as served:
        client = await served.park("/v1/kv/a?index=99999")
        await client.send(encode("PUT", "/v1/kv/b", b"x" * 20_000))
        await served.ask("GET", "/v1/kv/a")
        served.calls.engine.release_parked()
        answer = await client.read()
        assert (answer.status, answer.closes) == (404, True)
        assert served.calls.engine.state.entry_count == 0


async def test_woken_watchers_are_answered_in_slices(
    served: Served, caplog: pytest.LogCaptureFixture
) -> None:
    """Others are answered in between, and who has left meanwhile is in nobody's way."""
    caplog.set_level(logging.DEBUG, logger="kvstore.api.fast_connection")
    index = served.calls.engine.state.last_index
    watchers = [await served.park(f"/v1/kv/a?raw&index={index}") for _ in range(WATCHERS)]
    address = ("127.0.0.1", served.port)
    with socket.create_connection(address) as leaver, socket.create_connection(address) as asking:
        leaver.sendall(encode("GET", f"/v1/kv/a?index={index}"))
        await until(lambda: served.calls.engine.parked_count == WATCHERS + 1)

        def interrupt() -> None:
            leaver.close()
            asking.sendall(encode("GET", "/v1/kv/b"))

        with handling("kvstore.api.fast_connection", FirstRecord(interrupt)):
            await served.calls.put("a", b"news")
            answers = [await watcher.read() for watcher in watchers]
    assert {answer.body for answer in answers} == {b"news"}
    assert caplog.messages.count("GET /v1/kv/a: 200") == WATCHERS, "nobody answers one who left"
    assert caplog.messages.index("GET /v1/kv/b: 404") < WATCHERS


class FirstRecord(logging.Handler):
    """Does something as soon as the first line is logged."""

    def __init__(self, act: Callable[[], object]) -> None:
        super().__init__()
        self.act: Callable[[], object] | None = act

    def emit(self, record: logging.LogRecord) -> None:  # noqa: ARG002 - logging's
        """Do it."""
        act, self.act = self.act, None
        if act is not None:
            act()


@contextmanager
def handling(name: str, handler: logging.Handler) -> Iterator[None]:
    """Have a handler hear of what is logged within the block."""
    logger = logging.getLogger(name)
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)


class StumblingRouter(Router):
    """A router whose endpoints stumble at the last step."""

    def dispatch(self, method: str, raw_target: str, headers: Mapping[str, str]) -> Answer:
        """Have what is asked for stumble when it is rendered."""
        answer = super().dispatch(method, raw_target, headers)
        if isinstance(answer, NeedBody):
            return replace(answer, then=lambda body: broken(answer.then(body)))
        return broken(answer)


def broken(answer: Answer) -> Answer:
    """Return an answer that cannot be rendered."""

    def render(_: object) -> NoReturn:
        raise ZeroDivisionError

    assert isinstance(answer, Waiting | Writing)
    return replace(answer, render=render)


async def test_a_bug_at_the_last_step(served: Served, caplog: pytest.LogCaptureFixture) -> None:
    """A write or a query that stumbles is a 500, its traceback is in the log, nothing is left."""
    router = StumblingRouter(*endpoints(served.calls.engine))
    async with listening(FastLane(router, served.terms)) as port:
        waiting, writing = await connect(port), await connect(port)
        index = served.calls.engine.state.last_index
        await waiting.send(encode("GET", f"/v1/kv/a?index={index}"))
        await until(lambda: served.calls.engine.parked_count == 1)
        await writing.send(encode("PUT", "/v1/kv/a", b"v"))
        for client in (writing, waiting):
            answer = await client.read()
            assert (answer.status, answer.body, answer.closes) == (500, b"internal error", True)
            assert await client.rest() == b""
            await client.close()
    assert [record.exc_info is not None for record in caplog.records] == [True, True]
    assert served.calls.engine.state.entry_count == 1


@pytest.mark.parametrize("kind", [FastLane, Lane], ids=["fast", "aiohttp"])
async def test_a_bug_when_the_time_is_up(
    served: Served, caplog: pytest.LogCaptureFixture, kind: type[FastLane | Lane]
) -> None:
    """A query that stumbles when it runs out is a 500 like any other, in either lane."""
    router = StumblingRouter(*endpoints(served.calls.engine))
    async with listening(kind(router, served.terms)) as port:
        client = await connect(port)
        await client.send(encode("GET", "/v1/kv/a?index=99"))
        await until(lambda: served.calls.engine.parked_count == 1)
        served.calls.engine.release_parked()
        answer = await client.read()
        assert (answer.status, answer.body, answer.closes) == (500, b"internal error", True)
        await client.close()
    assert [record.exc_info is not None for record in caplog.records if record.levelno > 30] == [
        True
    ]


async def test_a_journal_that_fails_under_many_writes() -> None:
    """All of them are told why, and their connections go on."""

    async def run() -> None:
        async with serving(FailingJournal()) as served:
            clients = [await served.connect() for _ in range(5)]
            for n, client in enumerate(clients):
                await client.send(encode("PUT", f"/v1/kv/{n}", b"v"))
            for client in clients:
                answer = await client.read()
                assert (answer.status, answer.closes) == (500, False)
                assert answer.body.startswith(b"the journal cannot be written: /data/1.journal")
                assert (await client.ask("GET", "/v1/kv/0")).status == 404
            assert served.is_fast

    with pytest.raises(JournalUnwritable):
        await run()


@asynccontextmanager
async def secured(served: Served, folder: Path) -> AsyncIterator[Client]:
    """Give a client over TLS."""
    authority = Authority(folder)
    server = authority.server()
    credentials = Credentials(TlsFiles(server.certificate, server.key, authority.file))
    (listener,) = open_listeners([TcpAddress("127.0.0.1", 0)])
    handshakes = Handshakes(credentials, served.front)
    acceptor = Acceptor(listener.socket, handshakes, listener.url)
    acceptor.open()
    context = authority.client_context(authority.issue("client"))
    port = listener.socket.getsockname()[1]
    client = Client(*await asyncio.open_connection("127.0.0.1", port, ssl=context))
    try:
        yield client
    finally:
        await client.close()
        acceptor.close()
        handshakes.close()
        listener.close()


async def test_under_tls(served: Served, tmp_path: Path) -> None:
    """Small and large, waiting and not: as without it; and nothing is lost on the way over."""
    async with secured(served, tmp_path) as client:
        await served.calls.put("big", b"x" * 500_000)
        for _ in range(3):
            assert (await client.ask("PUT", "/v1/kv/a", b"v")).body == b"true"
            assert (await client.ask("GET", "/v1/kv/a?raw")).body == b"v"
            assert len((await client.ask("GET", "/v1/kv/big?raw")).body) == 500_000
        assert served.is_fast
        index = served.calls.engine.state.last_index
        await client.send(encode("GET", f"/v1/kv/a?raw&index={index}"))
        await until(lambda: served.calls.engine.parked_count == 1)
        behind = [encode("PUT", "/v1/kv/b", b"y" * 300_000), encode("GET", "/v1/kv/b?raw") * 2]
        await client.send(b"".join(behind))
        await until(lambda: served.terms.received.bytes > 0)
        await served.calls.put("a", b"news")
        assert (await client.read()).body == b"news"
        assert (await client.read()).body == b"true"
        assert [(await client.read()).body for _ in range(2)] == [b"y" * 300_000] * 2
        assert not served.is_fast
        assert (await client.ask("GET", "/v1/kv/a?raw")).body == b"news"
