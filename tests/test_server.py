"""The composition root: a whole server inside the test, started and stopped."""

import asyncio
import json
import socket
import time
from pathlib import Path

import pytest
from running import Answer, Start, call, parked_call

from kvstore.errors import JournalCorrupt, JournalLocked
from kvstore.listening import TcpAddress, open_listener, open_listeners
from kvstore.server import Server
from kvstore.settings import Settings


async def ask(port: int, method: str, target: str, body: bytes | None = None) -> Answer:
    """Send one request to a server on this event loop."""
    return await asyncio.to_thread(call, port, method, target, body)


@pytest.fixture(params=["memory", "folder"])
def data_dir(request: pytest.FixtureRequest, tmp_path: Path) -> Path | None:
    """Give no folder, then one."""
    return tmp_path / "data" if request.param == "folder" else None


async def test_it_serves(start: Start, data_dir: Path | None) -> None:
    """A server on memory or on a folder takes a write and reads it back."""
    server = await start(data_dir)
    assert (await ask(server.port, "PUT", "/v1/kv/a", b"v")).body == b"true"
    assert (await ask(server.port, "GET", "/v1/kv/a?raw")).body == b"v"


async def test_it_starts_in_milliseconds(start: Start) -> None:
    """A server in memory is there before anyone could have waited for it."""
    took_s = []
    for _ in range(5):  # the best of five: the machine may be busy
        began = time.monotonic()
        server = await start()
        assert (await ask(server.port, "GET", "/")).status == 200
        took_s.append(time.monotonic() - began)
    assert min(took_s) < 0.05


async def test_it_says_who_it_is(start: Start) -> None:
    """Its settings and its socket are what it tells clients."""
    server = await start(node="n7", datacenter="east")
    described = (await ask(server.port, "GET", "/v1/agent/self?dc=east")).json
    assert described["Config"]["NodeName"] == "n7"
    assert described["Config"]["Datacenter"] == "east"
    assert described["Member"]["Port"] == server.port == server.server.port
    leader = (await ask(server.port, "GET", "/v1/status/leader")).json
    assert leader == f"{server.server.host}:{server.port}"
    assert (await ask(server.port, "GET", "/v1/kv/a?dc=dc1")).status == 500


async def test_its_figures_tell_what_clients_take(start: Start) -> None:
    """Connections, and what they have sent of a body that is not whole."""
    server = await start()
    head = b"PUT /v1/kv/a HTTP/1.1\r\nHost: x\r\nContent-Length: 300000\r\n\r\n"
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.sendall(head + bytes(200_000))
        async with asyncio.timeout(10):
            while (figures := await gauges(server.port))["received_bytes"] < 200_000:
                pass
        assert figures["connections"] == 2
        assert (figures["tls_handshakes"], figures["unread_bytes"]) == (0, 0)


async def gauges(port: int) -> dict[str, float]:
    """Return a server's gauges by their names."""
    found = (await ask(port, "GET", "/v1/agent/metrics")).json["Gauges"]
    return {one["Name"].removeprefix("kvstore."): one["Value"] for one in found}


async def test_a_restart_keeps_everything(start: Start, tmp_path: Path) -> None:
    """Keys, sessions, locks and indexes are as they were, and so is the store's own name."""
    first = await start(tmp_path / "data")
    created = (await ask(first.port, "PUT", "/v1/session/create", b'{"TTL":"30s"}')).json
    session = created["ID"]
    await ask(first.port, "PUT", "/v1/kv/a?flags=7", b"\x00\xff")
    await ask(first.port, "PUT", f"/v1/kv/l?acquire={session}", b"held")
    await ask(first.port, "PUT", "/v1/kv/d/1", b"gone")
    await ask(first.port, "DELETE", "/v1/kv/d/1")
    reads = ["/v1/kv/?recurse", "/v1/kv/d/?keys", f"/v1/session/info/{session}", "/v1/kv/a?raw"]
    before = [await ask(first.port, "GET", target) for target in reads]
    node_id = (await ask(first.port, "GET", "/v1/catalog/nodes")).json[0]["ID"]
    await first.stop()

    second = await start(tmp_path / "data")
    after = [await ask(second.port, "GET", target) for target in reads]
    assert [(one.status, one.index, one.body) for one in after] == [
        (one.status, one.index, one.body) for one in before
    ]
    assert (await ask(second.port, "GET", "/v1/catalog/nodes")).json[0]["ID"] == node_id
    assert (await ask(second.port, "PUT", f"/v1/session/renew/{session}")).status == 200
    await ask(second.port, "PUT", "/v1/kv/new", b"v")
    newest = max(one.index for one in before)
    assert (await ask(second.port, "GET", "/v1/kv/new")).index > newest


async def test_memory_keeps_nothing(start: Start) -> None:
    """A second server in memory is another, empty store."""
    first, second = await start(), await start()
    await ask(first.port, "PUT", "/v1/kv/a", b"v")
    assert (await ask(second.port, "GET", "/v1/kv/a")).status == 404
    ids = {
        (await ask(one.port, "GET", "/v1/catalog/nodes")).json[0]["ID"] for one in (first, second)
    }
    assert len(ids) == 2


async def test_stopping_answers_parked_queries(start: Start, data_dir: Path | None) -> None:
    """A query that waits is answered with what is there, and its connection ends."""
    server = await start(data_dir)
    await ask(server.port, "PUT", "/v1/kv/a", b"v")
    with parked_call(server.port, "/v1/kv/a?raw&index=99999") as connection:
        await wait_parked(server.port, 1)
        await server.stop()
        answer = await asyncio.to_thread(connection.makefile("rb").read)
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"\r\nConnection: close\r\n" in head
    assert body == b"v"


async def test_stopping_answers_those_who_wait_for_events(start: Start) -> None:
    """They are answered like those who wait for keys."""
    server = await start()
    with parked_call(server.port, "/v1/event/list?index=1") as connection:
        await wait_parked(server.port, 1)
        await server.stop()
        answer = await asyncio.to_thread(connection.makefile("rb").read)
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert answer.endswith(b"\r\n\r\n[]")


async def wait_parked(port: int, count: int) -> None:
    """Wait until that many queries are parked."""
    async with asyncio.timeout(10):
        while True:
            described = (await ask(port, "GET", "/v1/agent/self")).json
            if described["Stats"]["kvstore"]["parked_queries"] == str(count):
                return


async def test_stopping_does_not_wait_for_idle_connections(start: Start) -> None:
    """A connection that is kept open for later holds nothing up."""
    server = await start()
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert await asyncio.to_thread(connection.recv, 12) == b"HTTP/1.1 200"
        async with asyncio.timeout(5):
            await server.stop()


async def test_after_stopping_nothing_listens(start: Start) -> None:
    """The port is free again."""
    server = await start()
    await server.stop()
    with open_listener("127.0.0.1", server.port) as listener:
        assert listener.getsockname()[1] == server.port


async def test_a_session_shorter_than_allowed(start: Start) -> None:
    """The shortest TTL is a setting."""
    server = await start(session_ttl_min_ns=1_000_000_000)
    answer = await ask(server.port, "PUT", "/v1/session/create", b'{"TTL":"1s"}')
    assert answer.status == 200
    answer = await ask(server.port, "PUT", "/v1/session/create", b'{"TTL":"999ms"}')
    assert answer.status == 500
    assert b"[1s=24h0m0s]" in answer.body


@pytest.mark.parametrize("adopt_lost_cas", [False, True])
async def test_adopting_what_was_lost(start: Start, *, adopt_lost_cas: bool) -> None:
    """An index this store never issued creates its key only where the operator said so."""
    server = await start(adopt_lost_cas=adopt_lost_cas)
    answer = await ask(server.port, "PUT", "/v1/kv/a?cas=99999", b"v")
    assert json.loads(answer.body) is adopt_lost_cas


async def fails_to_start(data_dir: Path, error: type[Exception]) -> None:
    """Start a server that must not come up, and see that it has given up its socket."""
    (listener,) = open_listeners([TcpAddress("127.0.0.1", 0)])
    server = Server(Settings(data_dir, node="n1"), [listener])
    with pytest.raises(error):
        await server.start()
    assert listener.socket.fileno() == -1


async def test_a_folder_in_use_is_refused(start: Start, tmp_path: Path) -> None:
    """Two servers cannot have one folder; the first goes on, and its end frees the folder."""
    first = await start(tmp_path / "data")
    await fails_to_start(tmp_path / "data", JournalLocked)
    assert (await ask(first.port, "PUT", "/v1/kv/a", b"v")).body == b"true"
    await first.stop()
    second = await start(tmp_path / "data")
    assert (await ask(second.port, "GET", "/v1/kv/a?raw")).body == b"v"


async def test_a_damaged_journal_is_refused(start: Start, tmp_path: Path) -> None:
    """Damage stops the start and leaves every byte as it was; so does a second try."""
    first = await start(tmp_path / "data")
    await ask(first.port, "PUT", "/v1/kv/a", b"v")
    await first.stop()
    segment = damage(tmp_path / "data")
    damaged = segment.read_bytes()
    for _ in range(2):
        await fails_to_start(tmp_path / "data", JournalCorrupt)
        assert segment.read_bytes() == damaged


def damage(folder: Path) -> Path:
    """Change one byte in the middle of the first segment, and return its path."""
    segment = min(folder.glob("*.journal"))
    data = bytearray(segment.read_bytes())
    data[len(data) // 2] ^= 0xFF
    segment.write_bytes(data)
    return segment


async def test_a_folder_that_cannot_be_one_is_refused(tmp_path: Path) -> None:
    """A file where the folder should be is the system's error, also somewhere above it."""
    (tmp_path / "file").touch()
    await fails_to_start(tmp_path / "file", OSError)
    await fails_to_start(tmp_path / "file" / "data", OSError)
