"""What a simulated engine sends, and which answers of a store it tells as faults."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from time import monotonic

import pytest
from soak_samples import Reply, ScriptedStore, scripted

from conformance.overlay.kv import Entry
from conformance.soak.errors import Broken
from conformance.soak.libkv import Libkv
from conformance.soak.meter import Kind, Meter
from conformance.soak.news import News
from conformance.soak.wire import Wire


@asynccontextmanager
async def talking(store: ScriptedStore) -> AsyncIterator[tuple[Wire, Meter]]:
    """Give a wire to a store, and its meter."""
    meter = Meter()
    wire = Wire(store.url, meter)
    try:
        yield wire, meter
    finally:
        await wire.close()


def kv_of(wire: Wire, meter: Meter) -> Libkv:
    """Return libkv over a wire."""
    return Libkv(wire, meter, News(meter, monotonic), "")


def row(value: bytes = b"x", index: int = 7) -> bytes:
    """Return the body of a read that finds one key."""
    found = {"Key": "a", "Value": base64.b64encode(value).decode(), "ModifyIndex": index}
    return json.dumps([found]).encode()


async def test_requests_look_like_those_of_go() -> None:
    """The headers that engine 20.10.5 sends, and no others; the target as it was given."""
    async with scripted(lambda _: Reply(body=b"true")) as store, talking(store) as (wire, _):
        await wire.ask(Kind.CAS, "PUT", "/v1/kv/docker/a:1/?cas=0&flags=33", b"body")
        await wire.ask(Kind.SESSION, "PUT", "/v1/session/renew/x", b"")
        await wire.ask(Kind.GET, "GET", "/v1/kv/docker/a:1/?consistent=")

    host = store.url.removeprefix("http://")
    fixed = {f"Host: {host}", "User-Agent: Go-http-client/1.1", "Accept-Encoding: gzip"}
    heads = [head.strip().split("\r\n") for head in store.heads]
    assert [head[0] for head in heads] == [
        "PUT /v1/kv/docker/a:1/?cas=0&flags=33 HTTP/1.1",
        "PUT /v1/session/renew/x HTTP/1.1",
        "GET /v1/kv/docker/a:1/?consistent= HTTP/1.1",
    ]
    assert [set(head[1:]) for head in heads] == [
        fixed | {"Content-Length: 4"},
        fixed | {"Content-Length: 0"},
        fixed,
    ]


async def test_requests_one_after_the_other_share_a_connection() -> None:
    """As with Go's keep-alive."""
    async with scripted(lambda _: Reply()) as store, talking(store) as (wire, _):
        for _ in range(5):
            await wire.ask(Kind.GET, "GET", "/v1/kv/a")

    assert store.connections == 1


async def test_two_idle_connections_are_kept() -> None:
    """Ten requests at once need ten; Go keeps two of them."""
    async with scripted(lambda _: Reply()) as store, talking(store) as (wire, _):
        await asyncio.gather(*(wire.ask(Kind.GET, "GET", "/v1/kv/a") for _ in range(10)))
        opened = store.connections
        await asyncio.gather(*(wire.ask(Kind.GET, "GET", "/v1/kv/a") for _ in range(2)))

    assert opened == 10
    assert store.connections == 10


@pytest.mark.parametrize(
    ("reply", "what", "words"),
    [
        (Reply(status=500, body=b"no leader"), "status", "answered 500 (no leader), expected 200"),
        (Reply(status=404), "status", "answered 404"),
        (None, "connection", "GET /v1/kv/a"),
    ],
)
async def test_an_answer_that_must_not_be_is_a_fault(
    reply: Reply | None, what: str, words: str
) -> None:
    """It is told and raised: what was to come after it cannot."""
    async with scripted(lambda _: reply) as store, talking(store) as (wire, meter):
        with pytest.raises(Broken):
            await wire.ask(Kind.GET, "GET", "/v1/kv/a")

    assert meter.fault_count == 1
    assert words in meter.faults[what].examples[0]


async def test_a_store_that_does_not_answer_is_a_fault() -> None:
    """Real engines would wait for ever."""
    async with scripted(lambda _: Reply(status=0)) as store, talking(store) as (wire, meter):
        with pytest.raises(Broken):
            await wire.ask(Kind.GET, "GET", "/v1/kv/a", within_s=0.01)

    assert meter.faults["no answer"].examples == ["GET /v1/kv/a within 0.01 s"]


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (Reply(body=row(), index=0), "X-Consul-Index is 0"),
        (Reply(body=row(index=7), index=9), "9 is not the key's own 7"),
    ],
)
async def test_an_index_that_breaks_engines_is_a_fault(reply: Reply, words: str) -> None:
    """Without one the watch spins; with another's no check-and-set succeeds."""
    async with scripted(lambda _: reply) as store, talking(store) as (wire, meter):
        with pytest.raises(Broken):
            await kv_of(wire, meter).get("a")

    assert words in meter.faults["index"].examples[0]


async def test_a_read_older_than_an_acknowledged_write_is_a_fault() -> None:
    """Whoever wrote it, and on whichever connection."""
    async with scripted(lambda _: Reply(body=row(), index=7)) as store, talking(store) as both:
        wire, meter = both
        kv = kv_of(wire, meter)
        assert await kv.get("a") == Entry("a", b"x", 7)
        kv.news.announce("a", 8, since=0.0)
        with pytest.raises(Broken):
            await kv.get("a")

    assert "index 7, but 8 was acknowledged" in meter.faults["stale"].examples[0]


async def test_a_poll_that_ends_early_without_news_is_a_fault() -> None:
    """The watcher would ask again at once, for ever; it is told, and the watch goes on."""
    async with scripted(lambda _: Reply(index=7)) as store, talking(store) as (wire, meter):
        answer = await kv_of(wire, meter).poll("a", "index=7&wait=15000ms", 7, 15.0)

    assert answer.index == 7
    assert "answered unchanged after 0.0 s" in meter.faults["early"].examples[0]


async def test_a_poll_that_goes_back_is_a_fault() -> None:
    """Indexes only move forward."""
    async with scripted(lambda _: Reply(index=6)) as store, talking(store) as (wire, meter):
        with pytest.raises(Broken):
            await kv_of(wire, meter).poll("a", "index=7&wait=15000ms", 7, 15.0)

    assert set(meter.faults) == {"stale"}


async def test_a_refused_check_and_set_is_no_fault() -> None:
    """It is done again with what is there by then."""
    refused = 0

    def answer(line: str) -> Reply:
        nonlocal refused
        if not line.startswith("PUT"):
            # Each refusal means that another engine wrote; the third write was ours.
            return Reply(body=row(b"1", 7 + refused), index=7 + refused)
        refused += 1
        return Reply(body=b"true" if f"cas={6 + refused}&" in line and refused == 3 else b"false")

    async with scripted(answer) as store, talking(store) as (wire, meter):
        await kv_of(wire, meter).update("a", lambda value: value + b"2")

    assert refused == 3
    assert meter.cas_refused == 2
    assert meter.faults == {}


async def test_a_write_that_got_no_new_index_is_a_fault() -> None:
    """Its watchers would never hear of it."""

    def answer(line: str) -> Reply:
        return Reply(body=b"true" if line.startswith("PUT") else row(b"1", 7), index=7)

    async with scripted(answer) as store, talking(store) as (wire, meter):
        with pytest.raises(Broken):
            await kv_of(wire, meter).atomic_put("a", b"2", 7)

    assert set(meter.faults) == {"stale"}
