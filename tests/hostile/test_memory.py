"""What clients can make the server keep in memory, and what they are told when it is too much."""

import asyncio

import pytest
from api.wire import Client, Served, encode, serving, until

from kvstore.api.kv import VALUE_BYTES_MAX
from kvstore.api.limits import Limits

MIB = 1024 * 1024
CHUNKED = "Transfer-Encoding: chunked"
# Room for one large value, and not for two.
TIGHT = Limits(received_bytes=600_000)


async def crowded_out(client: Client) -> None:
    """Read the answer to one that there is no room for, and the end of its connection."""
    answer = await client.read()
    assert (answer.status, answer.closes) == (503, True)
    assert answer.body.startswith(b"too much is being received at the moment")
    assert await client.rest() == b""


async def half_a_body(served: Served, size_bytes: int = 2 * 400_000) -> Client:
    """Send half of a large body; return its connection once the server has it."""
    client = await served.connect()
    counted = served.terms.received.bytes
    await client.send(
        encode("PUT", "/v1/kv/a", None, f"Content-Length: {min(size_bytes, VALUE_BYTES_MAX)}")
    )
    await client.send(b"x" * (size_bytes // 2))
    await until(lambda: served.terms.received.bytes >= counted + size_bytes // 2)
    return client


async def test_bodies_together() -> None:
    """What has come of all unfinished bodies is bounded; one that is ended makes room."""
    async with serving(limits=TIGHT) as served:
        first = await half_a_body(served)
        second = await served.connect()
        await second.send(encode("PUT", "/v1/kv/b", b"y" * 400_000))
        await crowded_out(second)
        # Small requests are served all the same.
        assert (await served.ask("PUT", "/v1/kv/small", b"v")).body == b"true"
        await first.close()
        await until(lambda: served.terms.received.bytes == 0)
        assert (await served.ask("PUT", "/v1/kv/b", b"y" * 400_000)).body == b"true"


async def test_chunked_bodies_together() -> None:
    """The same without a length."""
    async with serving(limits=TIGHT) as served:
        await half_a_body(served)
        client = await served.connect()
        await client.send(encode("PUT", "/v1/kv/b", None, CHUNKED) + b"61a80\r\n" + b"y" * 400_000)
        await crowded_out(client)
        assert served.calls.engine.state.entry_count == 0


async def test_heads_together() -> None:
    """And with heads that do not end."""
    async with serving(limits=TIGHT) as served:
        first, second = await served.connect(), await served.connect()
        await first.send(b"GET /v1/kv/" + b"x" * 400_000)
        await until(lambda: served.terms.received.bytes > 400_000)
        await second.send(b"GET /v1/kv/" + b"x" * 400_000)
        await crowded_out(second)
        await first.close()


async def test_headers_together() -> None:
    """A header costs more than its bytes: many tiny ones are counted for what they take."""
    lines = [f"a{n}:" for n in range(700)]
    async with serving(limits=TIGHT) as served:
        query = encode("GET", "/v1/kv/a?index=99999", None, *lines)
        for parked in (1, 2):
            client = await served.connect()
            await client.send(query)
            await until(lambda: served.calls.engine.parked_count == parked)  # noqa: B023 - at once
        assert served.terms.received.bytes > 2 * 700 * 400
        client = await served.connect()
        await client.send(query)
        await crowded_out(client)
        assert served.calls.engine.parked_count == 2


async def test_what_is_answered_is_not_counted(served: Served) -> None:
    """Requests of every size, one after the other, leave nothing on the bill."""
    client = await served.connect()
    for size_bytes in (1, 1000, 100_000, VALUE_BYTES_MAX, VALUE_BYTES_MAX + 1):
        answer = await client.ask("PUT", "/v1/kv/k" + "k" * (size_bytes % 5000), b"x" * size_bytes)
        assert answer.status == (413 if size_bytes > VALUE_BYTES_MAX else 200)
        await until(lambda: served.terms.received.bytes == 0)
    await client.send(encode("GET", "/") * 100)
    for _ in range(100):
        assert (await client.read()).status == 200
    assert served.terms.received.bytes == 0


async def test_an_upload_that_was_refused_is_dropped_for_free() -> None:
    """What is read only to be thrown away takes no memory, however much it is."""
    async with serving(limits=TIGHT) as served:
        client = await served.connect()
        await client.send(encode("PUT", "/v1/kv/a", None, f"Content-Length: {20 * MIB}"))
        assert (await client.read()).status == 413
        for _ in range(20):
            await client.send(b"x" * MIB)
            assert served.terms.received.bytes < 600_000
        assert (await client.ask("GET", "/")).status == 200


@pytest.mark.parametrize("at_once", [True, False])
async def test_a_head_of_many_headers(served: Served, *, at_once: bool) -> None:
    """A head has a size in all, not only for each of its lines."""
    client = await served.connect()
    line = b"X: " + b"y" * 10_000 + b"\r\n"
    await client.send(b"GET / HTTP/1.1\r\nHost: test\r\n")
    if at_once:
        await client.send(line * 110)
    else:
        for _ in range(104):
            await client.send(line)
            await served.ask("GET", "/")
        await client.send(line * 6)
    answer = await client.read()
    assert (answer.status, answer.closes) == (431, True)
    assert answer.body == b"431 Request Header Fields Too Large"


async def test_a_head_of_too_many_headers(served: Served) -> None:
    """More than a thousand are no request."""
    lines = [f"a{n}: b" for n in range(1100)]
    answer = await served.ask("GET", "/", None, *lines)
    assert (answer.status, answer.closes) == (400, True)


@pytest.mark.parametrize(
    "endless",
    [b"1;" + b"x" * 100_000, b"0\r\n" + (b"X: " + b"y" * 1000 + b"\r\n") * 100],
    ids=["a chunk extension", "trailers"],
)
@pytest.mark.parametrize("method", ["PUT", "GET"])
async def test_a_body_without_content(served: Served, method: str, endless: bytes) -> None:
    """What surrounds the chunks of a body may not be without end either."""
    client = await served.connect()
    await client.send(encode(method, "/v1/kv/a", None, CHUNKED))
    await served.ask("GET", "/")
    for piece in range(0, len(endless), 10_000):
        await client.send(endless[piece : piece + 10_000])
    answer = await client.read()
    if method == "PUT":
        assert (answer.status, answer.closes) == (400, True)
    assert await client.rest() == b""
    assert served.calls.engine.state.entry_count == 0


async def test_a_body_in_chunks_of_one_byte(served: Served) -> None:
    """It takes six times its size, which is legal."""
    client = await served.connect()
    await client.send(encode("PUT", "/v1/kv/a", None, CHUNKED))
    await served.ask("GET", "/")
    for _ in range(20):
        await client.send(b"1\r\nx\r\n" * 5000)
    await client.send(b"0\r\n\r\n")
    assert (await client.read()).body == b"true"
    assert len((await client.ask("GET", "/v1/kv/a?raw")).body) == 100_000


async def test_pipelining_behind_a_query(served: Served) -> None:
    """A bounded number of requests is read ahead; the rest stays with the client."""
    client = await served.park("/v1/kv/a?index=99999")
    request = encode("GET", "/v1/kv/b")
    count = 200_000
    sending = asyncio.create_task(client.send(request * count))
    for _ in range(20):
        await served.ask("GET", "/")
    assert served.terms.received.bytes < 2 * MIB
    assert not sending.done()
    served.calls.engine.release_parked()
    for _ in range(3000):
        assert (await client.read()).status == 404
    sending.cancel()
    client.abort()


class Readers:
    """Clients that ask for a large value and read nothing, on a lane with little room."""

    def __init__(self, served: Served) -> None:
        self.served = served
        self.clients: list[Client] = []

    async def fill(self) -> None:
        """Have so many answers unread that there is no room."""
        while self.served.terms.answers.bytes < MIB:
            client = await self.served.connect()
            await client.send(encode("GET", "/v1/kv/big?raw") * 30)
            self.clients.append(client)
            for _ in range(5):
                await self.served.ask("GET", "/")

    async def leave(self) -> None:
        """Give up."""
        for client in self.clients:
            client.abort()
        await until(lambda: self.served.terms.answers.bytes < MIB)


async def test_answers_nobody_reads() -> None:
    """When too much is waiting to be read, further large answers are refused, small ones not."""
    async with serving(limits=Limits(answers_bytes=MIB)) as served:
        await served.calls.put("big", b"x" * 500_000)
        await served.calls.put("small", b"v")
        readers = Readers(served)
        await readers.fill()
        answer = await served.ask("GET", "/v1/kv/big?raw")
        assert answer.status == 503
        assert answer.body.startswith(b"too many large answers wait")
        assert (await served.ask("GET", "/v1/kv/small?raw")).body == b"v"
        await readers.leave()
        assert len((await served.ask("GET", "/v1/kv/big?raw")).body) == 500_000


async def test_parked_queries_wait_for_room() -> None:
    """They are never refused: their answers are made when there is room, and are up to date."""
    async with serving(limits=Limits(answers_bytes=MIB)) as served:
        await served.calls.put("big", b"x" * 500_000)
        watchers = [await served.park("/v1/kv/big?raw&index=2") for _ in range(10)]
        gone = watchers.pop(3)
        readers = Readers(served)
        await readers.fill()
        await served.calls.put("big", b"y" * 500_000)
        await until(lambda: served.calls.engine.parked_count == 0)
        await served.calls.put("big", b"z" * 500_000)
        await gone.close()
        await served.ask("GET", "/")
        await readers.leave()
        for watcher in watchers:
            answer = await watcher.read()
            assert (answer.status, answer.body) == (200, b"z" * 500_000)


async def test_large_answers_to_who_reads_them(served: Served) -> None:
    """They are counted while they are sent, and not a moment longer."""
    await served.calls.put("big", b"x" * 500_000)
    clients = [await served.connect() for _ in range(20)]
    for client in clients:
        await client.send(encode("GET", "/v1/kv/big?raw", None, "Accept-Encoding: gzip"))
    for client in clients:
        assert (await client.read()).plain == b"x" * 500_000
    await until(lambda: served.terms.answers.bytes == 0)
