"""`/v1/snapshot`: the store as an archive, and an archive as the store."""

import asyncio
import gzip
import logging
import random
import re
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from archive.images import entry, image_of, read, session, verify, written
from archive.wrapping import BROKEN, HEADER, record, tar, wrap

from kvstore.api.exchange import NeedBody, Working
from kvstore.api.snapshot import ARCHIVE_BYTES_MAX
from kvstore.archive.archive import Archive
from kvstore.journal.memory import MemoryJournal
from kvstore.state.entry import Entry

from .calls import Calls, calling, head
from .wire import Served, encode, until

REAL = Path(__file__).parent.parent / "archive" / "consul-1.8.7.snap"
S1 = "aaaaaaaa-0000-4000-8000-00000000000b"
UNKNOWN = "bbbbbbbb-0000-4000-8000-00000000000c"
SNAPSHOT = "/v1/snapshot"


async def saved(calls: Calls) -> Archive:
    """Return the archive of a store, which must be a sound one."""
    response = await calls("GET", SNAPSHOT)
    assert response.status == 200
    archive = read(response.body)
    verify(archive.image)
    return archive


async def restored(calls: Calls, archive: bytes) -> int:
    """Restore an archive, which must succeed, and return the index that it took."""
    response = await calls("PUT", SNAPSHOT, archive)
    assert (response.status, response.body) == (200, b"")
    return calls.engine.state.last_index


async def test_the_whole_store_is_saved(calls: Calls) -> None:
    """Entries, locks, sessions, tombstones and facts, under the index of the store."""
    holder = await calls.create_session()
    await calls.put("a?flags=7")
    await calls.put(f"lock?acquire={holder}")
    await calls.put("gone")
    await calls("DELETE", "/v1/kv/gone")
    response = await calls("GET", SNAPSHOT)
    state = calls.engine.state
    assert response.status == 200
    assert head(response) == {
        "Content-Type": "application/x-gzip",
        "Vary": "Accept-Encoding",
        "X-Consul-Index": str(state.last_index),
        "X-Consul-Knownleader": "true",
        "X-Consul-Lastcontact": "0",
    }
    image, wanted = read(response.body).image, state.image()
    assert image.facts == wanted.facts
    assert image.sessions == wanted.sessions
    assert image.tombstones == wanted.tombstones
    assert list(image.entries) == list(wanted.entries)


async def test_what_is_saved_is_the_store_of_one_moment(calls: Calls) -> None:
    """Writes that come while the archive is made are not in it."""
    await calls.put("a")
    threads, gate = ThreadPoolExecutor(1), threading.Event()
    threads.submit(gate.wait)  # so that nothing is made before the writes
    asyncio.get_running_loop().set_default_executor(threads)
    answer = calls.dispatch("GET", SNAPSHOT)
    before = calls.engine.state.last_index
    await calls.put("b")
    await calls.create_session()
    gate.set()
    response = await calls.finish(answer)
    image = read(response.body).image
    assert [one.key for one in image.entries] == [b"a"]
    assert image.sessions == []
    assert image.facts.last_index == before
    assert head(response)["X-Consul-Index"] == str(before)


@pytest.mark.parametrize(
    "query",
    ["stale", "consistent&stale", "dc=dc1", "dc=", "index=99999&wait=1s", "index=x", "pretty"],
)
async def test_other_parameters_are_not_looked_at(calls: Calls, query: str) -> None:
    """A GET never waits and is never refused for them, as in Consul."""
    response = await calls("GET", f"{SNAPSHOT}?{query}")
    assert response.status == 200
    assert read(response.body).left_out == {}


@pytest.mark.parametrize("method", ["GET", "PUT"])
async def test_another_datacenter_is_refused(calls: Calls, method: str) -> None:
    """Before the body of a PUT is asked for."""
    response = await calls(method, f"{SNAPSHOT}?dc=other", b"garbage")
    assert (response.status, response.body) == (500, b"No path to datacenter")
    assert "X-Consul-Index" not in head(response)


@pytest.mark.parametrize("method", ["POST", "DELETE", "HEAD", "PATCH"])
async def test_other_methods_are_refused(calls: Calls, method: str) -> None:
    """GET and PUT are allowed."""
    response = await calls(method, SNAPSHOT)
    assert response.status == 405
    assert head(response)["Allow"] == "OPTIONS,GET,PUT"


async def test_a_store_becomes_what_the_archive_holds(calls: Calls) -> None:
    """What was not in it is gone, with its holders; what was in it is there, locks included."""
    await calls.put("gone")
    old = await calls.create_session()
    await calls.put(f"taken?acquire={old}")
    lock = Entry(b"lock", b"v", 2**64 - 1, S1.upper(), 3, 4, 5)
    archive = written(image_of(entry(b"a\xff"), lock, sessions=[session(S1, 2)]))
    index = await restored(calls, archive)
    image = calls.engine.state.image()
    assert list(image.entries) == [
        Entry(b"a\xff", b"v", 0, "", 0, 1, index),
        Entry(b"lock", b"v", 2**64 - 1, S1.upper(), 3, 4, index),
    ]
    assert image.sessions == [session(S1, 2)]
    refused = await calls("PUT", f"/v1/kv/lock?acquire={await calls.create_session()}", b"x")
    assert refused.body == b"false"


async def test_a_restore_is_a_write_like_any_other(calls: Calls) -> None:
    """What changes has its index, what stays keeps its own, and no index goes back."""
    await calls.put("same")
    await calls.put("changed", b"old")
    archive = written((await saved(calls)).image)
    await calls.put("changed", b"new")
    await calls.put("new")
    before = calls.engine.state.image()
    index = await restored(calls, archive)
    entries = {one.key: one for one in calls.engine.state.image().entries}
    assert index == before.facts.last_index + 1
    assert entries.keys() == {b"same", b"changed"}
    assert (entries[b"changed"].value, entries[b"changed"].modify_index) == (b"old", index)
    assert entries[b"same"] in list(before.entries)


async def test_restoring_wakes_those_who_wait_for_what_changes(calls: Calls) -> None:
    """A blocking query ends with the restored value, another goes on."""
    await calls.put("a", b"old")
    await calls.put("b", b"old")
    archive = written((await saved(calls)).image)
    await calls.put("a", b"new")
    index = calls.engine.state.last_index
    changed = asyncio.create_task(calls("GET", f"/v1/kv/a?raw&index={index}"))
    unchanged = asyncio.create_task(calls("GET", f"/v1/kv/b?raw&index={index}"))
    await until(lambda: calls.engine.parked_count == 2)
    await restored(calls, archive)
    assert (await changed).body == b"old"
    assert calls.engine.parked_count == 1
    calls.engine.release_parked()
    assert (await unchanged).body == b"old"


async def test_a_restored_session_is_a_session(calls: Calls) -> None:
    """It can be renewed and destroyed, and then its locks are free."""
    one = session(S1, ttl="10s", ttl_ns=10_000_000_000)
    await restored(calls, written(image_of(entry(b"k", holder=S1), sessions=[one])))
    assert (await calls("PUT", f"/v1/session/renew/{S1}")).status == 200
    assert (await calls("PUT", f"/v1/session/destroy/{S1}")).body == b"true"
    assert (await calls("GET", f"/v1/session/info/{S1}")).body == b"[]"
    assert [one.session for one in calls.engine.state.image().entries] == [""]


async def test_a_real_consuls_archive_is_restored(
    calls: Calls, caplog: pytest.LogCaptureFixture
) -> None:
    """And the log says what was not taken over."""
    with caplog.at_level(logging.INFO, "kvstore.api.snapshot"):
        index = await restored(calls, REAL.read_bytes())
    (message,) = caplog.messages
    assert message == (
        f"restored an archive of index 28 as index {index}: 9 keys, 4 sessions; left out: "
        "nodes: 1, services: 2, health checks: 2, autopilot settings: 1, config entries: 1, "
        "federation states: 1"
    )
    holders = [one.session[:8] for one in calls.engine.state.image().entries if one.session]
    assert holders == ["8E875083", "8808d479", "df146644"]


@pytest.mark.parametrize("name", BROKEN)
async def test_what_is_no_archive_is_refused(calls: Calls, name: str) -> None:
    """With Consul's text, and nothing is written."""
    archive, pattern = BROKEN[name]
    before = calls.engine.state.last_index
    response = await calls("PUT", SNAPSHOT, archive)
    assert response.status == 500
    assert re.fullmatch(pattern, response.body.decode())
    assert head(response)["Content-Type"] == "text/plain; charset=utf-8"
    assert calls.engine.state.last_index == before


async def test_a_state_that_is_none_is_refused(calls: Calls) -> None:
    """Though its sums are right: such an archive takes a real Consul down."""
    response = await calls("PUT", SNAPSHOT, wrap(b"garbage"))
    assert response.status == 500
    assert response.body == b"state.bin, record 0 at byte 0: it is 103"


async def test_a_stale_restore_is_refused(calls: Calls) -> None:
    """As in Consul, before the body is asked for."""
    response = await calls("PUT", f"{SNAPSHOT}?stale", written(image_of()))
    assert (response.status, response.body) == (500, b"stale not allowed for restore")


async def test_a_large_archive_is_refused(calls: Calls) -> None:
    """By its size, with the way to restore it."""
    wanted = calls.dispatch("PUT", SNAPSHOT)
    assert isinstance(wanted, NeedBody)
    assert wanted.limit_bytes == ARCHIVE_BYTES_MAX
    for size_bytes, said in ((70_000_000, "(70000000 bytes)"), (None, "")):
        response = wanted.too_large(size_bytes)
        assert response.status == 413
        text = response.body.decode()
        assert text.startswith(f"Request body{said} too large, max size: 67108864 bytes.")
        assert "`kvstore restore`" in text


async def test_an_archive_that_unpacks_to_too_much_is_refused(calls: Calls) -> None:
    """By the size that it names; nothing of it is unpacked."""
    block = bytearray(tar(("state.bin", b""))[:512])
    block[124:136] = b"%011o\0" % 600_000_000
    block[148:156] = b"        "
    block[148:156] = b"%06o\0 " % sum(block)
    response = await calls("PUT", SNAPSHOT, gzip.compress(bytes(block)))
    assert response.status == 500
    assert response.body.endswith(b'"state.bin" has 600000000 bytes')


@pytest.mark.slow
async def test_an_archive_of_too_many_records_is_refused(calls: Calls) -> None:
    """Also when they say nothing."""
    response = await calls("PUT", SNAPSHOT, wrap(HEADER + 2_000_001 * record(9, None)))
    assert response.status == 500
    assert b"record 2000001 at byte" in response.body


async def test_a_temporary_file_that_cannot_be_made_is_told(
    calls: Calls, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """What is too large to wait in memory needs a folder for temporary files."""
    large = written(image_of(*(entry(b"%02d" % n, bytes(500_000)) for n in range(20))))
    await restored(calls, large)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
    response = await calls("GET", SNAPSHOT)
    assert response.status == 500
    assert response.body.startswith(b"failed to create snapshot file: ")
    response = await calls("PUT", SNAPSHOT, large)
    assert response.status == 500
    assert response.body.startswith(b"failed to create temp snapshot file: ")


async def test_a_stopping_server_restores_nothing() -> None:
    """The archive is read, and then it is too late."""
    async with calling() as calls:
        await calls.engine.close()
        response = await calls("PUT", SNAPSHOT, written(image_of(entry(b"k"))))
        assert (response.status, response.body) == (503, b"the server is stopping")


async def test_a_client_that_leaves_before_its_archive_is_read(calls: Calls) -> None:
    """Nothing is restored when nobody waits for it any more."""
    wanted = calls.dispatch("PUT", SNAPSHOT)
    assert isinstance(wanted, NeedBody)
    before = calls.engine.state.last_index
    answer = wanted.then(written(image_of(entry(b"k"))))
    assert isinstance(answer, Working)
    answer.response.cancel()
    await asyncio.wait([answer.response])
    assert answer.response.cancelled()
    assert calls.engine.state.last_index == before


async def test_saving_and_restoring_through_the_lane(served: Served) -> None:
    """An archive is not compressed once more, whatever the client accepts."""
    value = random.Random(1).randbytes(5000)
    await served.calls.put("k", value)
    answer = await served.ask("GET", SNAPSHOT, None, "Accept-Encoding: gzip")
    assert answer.status == 200
    assert "Content-Encoding" not in answer.headers
    assert [one.key for one in read(answer.body).image.entries] == [b"k"]
    await served.calls.put("k", b"other")
    restored = await served.ask("PUT", SNAPSHOT, answer.body)
    assert (restored.status, restored.body) == (200, b"")
    assert (await served.ask("GET", "/v1/kv/k?raw")).body == value
    refused = await served.ask("PUT", SNAPSHOT, b"garbage")
    assert (refused.status, refused.body) == (
        500,
        b"failed to decompress snapshot: unexpected EOF",
    )


async def test_a_client_that_leaves_while_its_archive_is_made(served: Served) -> None:
    """Nothing of it is left behind (`served` looks), and the next one is answered."""
    client = await served.connect()
    await client.send(encode("GET", SNAPSHOT) + encode("GET", SNAPSHOT))
    client.abort()
    assert (await served.ask("GET", SNAPSHOT)).status == 200


async def test_a_restore_is_replayed() -> None:
    """What was restored is there after a restart."""
    journal = MemoryJournal()
    async with calling(journal) as calls:
        await restored(calls, REAL.read_bytes())
        before = calls.engine.state.image()
    async with calling(journal) as calls:
        after = calls.engine.state.image()
    assert after.facts == before.facts
    assert after.sessions == before.sessions
    assert list(after.entries) == list(before.entries)
