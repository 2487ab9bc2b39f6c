"""Figures and compaction by hand, by dispatch."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from fake_clock import FakeClock
from prometheus_client.parser import text_string_to_metric_families

from kvstore.api.exchange import Waiting
from kvstore.api.router import Router
from kvstore.api.upkeep import UpkeepEndpoints
from kvstore.duration import NS_PER_S
from kvstore.engine.admission import SessionRules
from kvstore.engine.engine import Engine
from kvstore.engine.events import Events
from kvstore.errors import CompactionFailed
from kvstore.journal.disk import Folder, FolderDisk
from kvstore.journal.file import FileJournal
from kvstore.journal.space import Space
from kvstore.maintenance.compaction import Built, build_snapshot
from kvstore.maintenance.compactor import Compactor
from kvstore.maintenance.retention import CompactionRule, Retention

from .calls import IDENTITY, LOAD, Calls, endpoints, head

OF_CLIENTS = {"connections": 7, "tls_handshakes": 2, "received_bytes": 3000, "unread_bytes": 70_000}
OF_EVERY_STORE = {
    "index",
    "keys",
    "sessions",
    "parked_queries",
    "journal_failed",
    *OF_CLIENTS,
}
OF_A_FOLDER = {
    "data_bytes",
    "snapshot_bytes",
    "snapshot_index",
    "journal_bytes",
    "history_bytes",
    "full",
    "compaction_running",
    "compaction_seconds",
}
TOTALS = {"compactions", "compaction_failures"}


@dataclass
class Kept:
    """Calls to a router over a store in a folder, and what its compactor is told to do."""

    calls: Calls
    clock: FakeClock
    # Set by a test: what is raised instead of a snapshot being made.
    error: Exception | None = None


@pytest.fixture
async def kept(tmp_path: Path) -> AsyncIterator[Kept]:
    """Give calls to a store in a folder of at most a megabyte."""
    space = Space(folder_bytes_max=1024 * 1024)
    disk = FolderDisk(tmp_path)
    journal = FileJournal(disk, space=space)
    clock = FakeClock()
    engine = Engine(journal, clock, SessionRules(IDENTITY.node, 10 * NS_PER_S))
    await engine.start()

    async def build(_: Path, last_index: int, __: int) -> Built:
        if kept.error is not None:
            raise kept.error
        return build_snapshot(disk, last_index, clock.wall_ms())

    never = CompactionRule(2**63, 0)
    compactor = Compactor(journal, clock, never, Retention(2**62, 2**62), space, build)
    others = endpoints(engine)[:-1]
    upkeep = UpkeepEndpoints(engine, Events(clock), clock, compactor, lambda: LOAD)
    kept = Kept(Calls(engine, Router(*others, upkeep)), clock)
    yield kept
    await compactor.close()
    await engine.close()


async def gauges(calls: Calls) -> dict[str, float]:
    """Return the gauges by their names, without what all of them begin with."""
    metrics = json.loads((await calls("GET", "/v1/agent/metrics")).body)
    return {one["Name"].removeprefix("kvstore."): one["Value"] for one in metrics["Gauges"]}


async def test_metrics_have_consul_s_shape(kept: Kept) -> None:
    """As its agent's: five members, each figure with its labels, the time in UTC."""
    response = await kept.calls("GET", "/v1/agent/metrics")
    assert response.status == 200
    assert head(response)["Content-Type"] == "application/json"
    metrics = json.loads(response.body)
    assert list(metrics) == ["Timestamp", "Gauges", "Points", "Counters", "Samples"]
    assert metrics["Timestamp"] == "2020-09-13 12:26:40 +0000 UTC"
    assert (metrics["Points"], metrics["Samples"]) == ([], [])
    for one in metrics["Gauges"]:
        assert list(one) == ["Name", "Value", "Labels"]
        assert one["Labels"] == {}
        assert isinstance(one["Value"], float)
    names = {one["Name"] for one in metrics["Gauges"]}
    assert names == {f"kvstore.{name}" for name in OF_EVERY_STORE | OF_A_FOLDER}
    counters = {one["Name"]: (one["Count"], one["Sum"]) for one in metrics["Counters"]}
    assert counters == {f"kvstore.{name}": (0, 0.0) for name in TOTALS}


async def test_a_store_in_memory_has_no_folder_to_tell_of(calls: Calls) -> None:
    """Only what every store has."""
    assert set(await gauges(calls)) == OF_EVERY_STORE


async def test_the_store_s_figures(calls: Calls) -> None:
    """They are those of the moment in which they are asked for."""
    await calls.put("a")
    await calls.put("b")
    await calls.create_session()
    parked = calls.dispatch("GET", "/v1/kv/a?index=99999")
    assert await gauges(calls) == {
        "index": 4,
        "keys": 2,
        "sessions": 1,
        "parked_queries": 1,
        "journal_failed": 0,
        **OF_CLIENTS,
    }
    assert isinstance(parked, Waiting)
    parked.parked.cancel()
    assert (await gauges(calls))["parked_queries"] == 0


async def test_compaction_by_hand(kept: Kept, tmp_path: Path) -> None:
    """The answer tells what the snapshot holds, and the figures do from then on."""
    await kept.calls.put("a", b"v" * 1000)
    before = await gauges(kept.calls)
    assert (before["snapshot_index"], before["snapshot_bytes"]) == (0, 0)
    assert before["journal_bytes"] == before["data_bytes"] > 1000
    response = await kept.calls("PUT", "/v1/kvstore/compact")
    assert response.status == 200
    size_bytes = (tmp_path / "00000000000000000002.snapshot").stat().st_size
    assert json.loads(response.body) == {
        "compacted": True,
        "last_index": 2,
        "entry_count": 1,
        "size_bytes": size_bytes,
    }
    after = await gauges(kept.calls)
    assert (after["snapshot_index"], after["snapshot_bytes"]) == (2, size_bytes)
    assert after["history_bytes"] == before["journal_bytes"]
    disk = Folder(tmp_path)
    total = sum(disk.size(name) for name in disk.names() if name != "LOCK")
    assert after["data_bytes"] == total
    assert after["journal_bytes"] == total - size_bytes - after["history_bytes"]
    assert (after["compaction_running"], after["full"]) == (0, 0)


async def test_nothing_to_compact(kept: Kept) -> None:
    """It is an answer, and no compaction is counted."""
    for compacted in (True, False, False):
        response = await kept.calls("PUT", "/v1/kvstore/compact")
        assert response.status == 200
        assert json.loads(response.body)["compacted"] is compacted
    assert json.loads(response.body) == {"compacted": False}
    assert (await totals(kept.calls)) == {"compactions": 1, "compaction_failures": 0}


async def totals(calls: Calls) -> dict[str, float]:
    """Return the counters by their names."""
    metrics = json.loads((await calls("GET", "/v1/agent/metrics")).body)
    return {one["Name"].removeprefix("kvstore."): one["Sum"] for one in metrics["Counters"]}


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (CompactionFailed("for a reason"), b"not compacted: for a reason"),
        (OSError(24, "Too many open files"), b"not compacted: [Errno 24] Too many open files"),
    ],
)
async def test_a_compaction_that_fails(kept: Kept, error: Exception, text: bytes) -> None:
    """Says why, is counted, and the next one may work."""
    kept.error = error
    response = await kept.calls("PUT", "/v1/kvstore/compact")
    assert (response.status, response.body) == (500, text)
    assert (await totals(kept.calls)) == {"compactions": 0, "compaction_failures": 1}
    kept.error = None
    assert (await kept.calls("PUT", "/v1/kvstore/compact")).status == 200
    await kept.calls.put("a")


async def test_there_is_nothing_to_compact_in_memory(calls: Calls) -> None:
    """The client is told what kind of server it asked."""
    response = await calls("PUT", "/v1/kvstore/compact")
    assert response.status == 400
    assert response.body == b"there is no journal to compact: everything is in memory (--dev)"


@pytest.mark.parametrize(
    ("method", "target", "allowed"),
    [("PUT", "/v1/agent/metrics", "GET"), ("GET", "/v1/kvstore/compact", "PUT")],
)
async def test_other_methods(calls: Calls, method: str, target: str, allowed: str) -> None:
    """Are refused as everywhere."""
    response = await calls(method, target)
    assert response.status == 405
    assert allowed in head(response)["Allow"]


async def test_a_full_folder_is_told(kept: Kept) -> None:
    """In the figures, and to whoever writes: 507, and what is left is a delete."""
    kept.error = CompactionFailed("not now")
    value = bytes(400 * 1024)
    for key in ("a", "b", "c"):
        await kept.calls.put(key, value)
    response = await kept.calls("PUT", "/v1/kv/d", b"v")
    assert response.status == 507
    assert response.body == (
        b"no room for more data: the data folder holds 1.2 MiB, its limit is 1.0 MiB"
    )
    for target in ("/v1/kv/a?cas=0", "/v1/session/create"):
        assert (await kept.calls("PUT", target, b"{}")).status == 507
    assert (await gauges(kept.calls))["full"] == 1
    assert (await kept.calls("DELETE", "/v1/kv/a")).body == b"true"
    assert (await kept.calls("GET", "/v1/kv/b")).status == 200


def families(body: bytes) -> dict[str, Any]:
    """Return what Prometheus reads out of a body, by name."""
    return {one.name: one for one in text_string_to_metric_families(body.decode())}


async def test_prometheus(kept: Kept) -> None:
    """The same figures in its format, with help and type, and those of the process."""
    await kept.calls.put("a")
    await kept.calls("PUT", "/v1/kvstore/compact")
    response = await kept.calls("GET", "/v1/agent/metrics?format=prometheus")
    assert response.status == 200
    assert head(response)["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    found = families(response.body)
    ours = {name.removeprefix("kvstore_") for name in found if name.startswith("kvstore_")}
    assert ours == OF_EVERY_STORE | OF_A_FOLDER | TOTALS
    for name in ours:
        family = found[f"kvstore_{name}"]
        assert family.type == ("counter" if name in TOTALS else "gauge")
        assert family.documentation
    assert b"\nkvstore_keys 1.0\n" in response.body
    assert {name: found[f"kvstore_{name}"].samples[0].value for name in OF_CLIENTS} == OF_CLIENTS
    assert b"\nkvstore_compactions_total 1.0\n" in response.body
    assert found["process_resident_memory_bytes"].samples[0].value > 1024 * 1024


async def test_prometheus_in_memory(calls: Calls) -> None:
    """Asked twice, since a registry may know each figure only once."""
    for _ in range(2):
        response = await calls("GET", "/v1/agent/metrics?format=prometheus")
        ours = {name for name in families(response.body) if name.startswith("kvstore_")}
        assert ours == {f"kvstore_{name}" for name in OF_EVERY_STORE}
    response = await calls("GET", "/v1/agent/metrics?format=other")
    assert head(response)["Content-Type"] == "application/json"
