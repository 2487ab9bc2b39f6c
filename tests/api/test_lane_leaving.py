"""Ends through the aiohttp lane: clients that leave, and a server that drains.

`served` checks at its end that nothing is parked and that no task is left.
"""
# ruff: noqa: N802 - test names begin with the ids of the contract, as they are written there

import asyncio
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from kvstore.errors import JournalUnwritable
from kvstore.journal.journal import Record
from kvstore.journal.memory import MemoryJournal
from kvstore.state.command import Command
from kvstore.state.image import Image

from .wire import Received, Served, encode, serving, until


class GatedJournal:
    """A journal in memory whose writes last only when the test says so."""

    def __init__(self) -> None:
        self._journal = MemoryJournal()
        self.open = asyncio.Event()
        self.open.set()
        self.waiting = 0
        """How many appends wait at the gate."""

    @property
    def full(self) -> str | None:
        """Have as much room as the journal behind it."""
        return self._journal.full

    def base(self) -> Image | None:
        """Return the base of the journal behind it."""
        return self._journal.base()

    def replay(self) -> Iterator[Record]:
        """Yield every record in order."""
        return self._journal.replay()

    async def append(self, commands: Sequence[Command], written_ms: int) -> int:
        """Keep a batch when the gate is open."""
        self.waiting += 1
        await self.open.wait()
        self.waiting -= 1
        return await self._journal.append(commands, written_ms)

    async def close(self) -> None:
        """Do nothing."""


async def test_a_client_that_leaves_its_blocking_query(served: Served) -> None:
    """Its query is not parked any more as soon as the connection is gone."""
    client = await served.park("/v1/kv/a?index=99999")
    await client.close()
    await until(lambda: served.calls.engine.parked_count == 0)
    assert (await served.ask("GET", "/")).status == 200


async def test_many_clients_that_leave(served: Served) -> None:
    """Of many waiters those that stay are answered, and those that left are forgotten."""
    clients = [await served.park(f"/v1/kv/{n % 5}?index=99999") for n in range(50)]
    for client in clients[::2]:
        await client.close()
    await until(lambda: served.calls.engine.parked_count == 25)
    served.calls.engine.release_parked()
    for client in clients[1::2]:
        assert (await client.read()).status == 404


async def test_a_client_that_resets_its_connection(served: Served) -> None:
    """A connection that is torn down leaves no more behind than one that is closed."""
    client = await served.park("/v1/kv/?recurse&index=99999")
    client.abort()
    await until(lambda: served.calls.engine.parked_count == 0)


async def test_a_client_that_leaves_a_write_under_way(fast: bool) -> None:  # noqa: FBT001 - a fixture
    """A write that was taken is done, as in Consul, and nothing else is left of its client."""
    journal = GatedJournal()
    async with serving(journal, fast=fast) as served:
        journal.open.clear()
        clients = []
        for n in range(3):
            client = await served.connect()
            await client.send(encode("PUT", f"/v1/kv/{n}", b"v"))
            clients.append(client)
        await until(lambda: journal.waiting == 1)
        # An answer to a read: the other writes have been taken too.
        await served.ask("GET", "/")
        for client in clients:
            await client.close()
        journal.open.set()
        await until(lambda: served.calls.engine.state.entry_count == 3)


async def test_a_client_that_leaves_in_its_body(served: Served) -> None:
    """Half a body is no write."""
    client = await served.connect()
    await client.send(encode("PUT", "/v1/kv/a", None, "Content-Length: 10") + b"12345")
    await client.close()
    assert (await served.ask("GET", "/v1/kv/a")).status == 404


async def test_a_client_that_does_not_read(served: Served) -> None:
    """A client that asks for much and reads nothing holds up nobody but itself."""
    await served.calls.put("a", b"x" * 500_000)
    client = await served.connect()
    await client.send(encode("GET", "/v1/kv/a?raw") * 40)
    assert (await served.ask("GET", "/v1/kv/a?raw")).status == 200
    await client.close()


async def test_a_blocking_query_before_rubbish(served: Served) -> None:
    """What follows a query on its connection and is no request takes the query with it."""
    for rubbish in (b"FOO / HTTP/1.1\r\nHost: x\r\n\r\n", b"rubbish\r\n\r\n"):
        client = await served.connect()
        await client.send(encode("GET", "/v1/kv/a?index=99999") + rubbish)
        assert (await client.rest()).startswith(b"HTTP/1.1 400 ")
        assert served.calls.engine.parked_count == 0


async def test_a_write_before_rubbish(served: Served) -> None:
    """A write that is answered as no request was not done."""
    await served.calls.put("a")
    client = await served.connect()
    rubbish = b"FOO / HTTP/1.1\r\nHost: x\r\n\r\n"
    await client.send(encode("DELETE", "/v1/kv/a") + rubbish)
    refused = (await client.rest()).startswith(b"HTTP/1.1 400 ")
    assert served.calls.engine.state.entry_count == (1 if refused else 0)


class FailingJournal(MemoryJournal):
    """A journal whose disk is full after the first batch, the store's own name."""

    async def append(self, commands: Sequence[Command], written_ms: int) -> int:
        """Keep the first batch and fail the others."""
        first = await super().append(commands, written_ms)
        if first > 1:
            raise JournalUnwritable(Path("/data/1.journal"), OSError(28, "No space left on device"))
        return first


async def test_a_journal_that_fails(fast: bool) -> None:  # noqa: FBT001 - a fixture
    """Writes under way and later ones are a 500 with the reason; reads go on."""
    answers: list[Received] = []

    async def run() -> None:
        async with serving(FailingJournal(), fast=fast) as served:
            client = await served.connect()
            answers.extend([await client.ask("PUT", "/v1/kv/a", b"v") for _ in range(2)])
            answers.append(await client.ask("GET", "/v1/kv/a"))

    with pytest.raises(JournalUnwritable):
        await run()
    assert [answer.status for answer in answers] == [500, 500, 404]
    reason = b"the journal cannot be written: /data/1.journal: No space left on device"
    assert [answer.body for answer in answers[:2]] == [reason, reason]


async def test_B12_draining_answers_what_is_parked(served: Served) -> None:
    """Parked queries are answered with what is there, and their connections end."""
    await served.calls.put("a", b"v")
    there = await served.park("/v1/kv/a?index=99999&raw")
    absent = await served.park("/v1/kv/b?index=99999")
    served.front.drain()
    served.calls.engine.release_parked()
    for client, status, body in ((there, 200, b"v"), (absent, 404, b"")):
        answer = await client.read()
        assert (answer.status, answer.body, answer.closes) == (status, body, True)
        assert await client.rest() == b""


async def test_shutting_down_ends_idle_connections(served: Served) -> None:
    """A connection that nothing is asked on is closed without a word, and without a wait."""
    client = await served.connect()
    await client.ask("GET", "/")
    served.front.drain()
    await served.front.shutdown(60)
    assert await client.rest() == b""


async def test_draining_waits_for_writes_under_way(fast: bool) -> None:  # noqa: FBT001 - a fixture
    """A write that was taken is answered before its connection ends."""
    journal = GatedJournal()
    async with serving(journal, fast=fast) as served:
        journal.open.clear()
        client = await served.connect()
        await client.send(encode("PUT", "/v1/kv/a", b"v"))
        await until(lambda: journal.waiting == 1)
        served.front.drain()
        shutdown = asyncio.create_task(served.front.shutdown(10))
        journal.open.set()
        answer = await client.read()
        assert (answer.body, answer.closes) == (b"true", True)
        await shutdown
