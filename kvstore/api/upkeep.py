"""What operators ask of a server: its figures, and a compaction by hand.

`/v1/agent/metrics` has Consul's shape, or Prometheus's with `format=prometheus`. Nothing is counted
while requests are served: each figure is looked up when it is asked for. `/v1/kvstore/` is ours.
"""

import asyncio
import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from kvstore.api.exchange import Answer, Request, Response, Routes, Working
from kvstore.api.permission import grants_of, require
from kvstore.api.responses import json_response, text
from kvstore.clock import Clock
from kvstore.engine.engine import Engine
from kvstore.engine.events import Events
from kvstore.errors import CompactionFailed
from kvstore.maintenance.compactor import Compactor

__all__ = ["Load", "UpkeepEndpoints"]

# Source: Prometheus's text format, version 0.0.4.
_PROMETHEUS = b"Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"


@dataclass(frozen=True, slots=True)
class Load:
    """What clients take of the server at a moment."""

    connections: int
    # TLS handshakes under way.
    handshakes: int
    # What was sent and is counted until it is answered; and large answers until they are read.
    received_bytes: int
    unread_bytes: int


@dataclass(frozen=True, slots=True)
class _Figure:
    name: str
    help: str
    value: float
    # Whether it only ever grows while the server runs.
    is_total: bool = False


class UpkeepEndpoints:
    """The endpoints of one server; `compactor` is None when everything is in memory.

    `load` tells what clients take at the moment.
    """

    def __init__(
        self,
        engine: Engine,
        events: Events,
        clock: Clock,
        compactor: Compactor | None,
        load: Callable[[], Load],
    ) -> None:
        self._engine = engine
        self._events = events
        self._clock = clock
        self._compactor = compactor
        self._load = load

    def routes(self) -> Routes:
        """Return which request goes to which endpoint."""
        return {
            b"/v1/agent/metrics": {"GET": self.metrics},
            b"/v1/kvstore/compact": {"PUT": self.compact},
        }

    def metrics(self, request: Request) -> Answer:
        """Answer all figures."""
        grants = grants_of(request)
        require(grants.agent_read(), grants, "agent:read")
        figures = list(self._figures())
        if request.query.get("format") == "prometheus":
            return Response(200, _PROMETHEUS, _prometheus(figures))
        wall = datetime.fromtimestamp(self._clock.wall_ms() // 1000, UTC)
        body = {
            "Timestamp": wall.strftime("%Y-%m-%d %H:%M:%S +0000 UTC"),
            "Gauges": [_gauge(one) for one in figures if not one.is_total],
            "Points": [],
            "Counters": [_counter(one) for one in figures if one.is_total],
            "Samples": [],
        }
        return json_response(request.query, json.dumps(body).encode())

    def compact(self, request: Request) -> Answer:
        """Compact the journal now; answered when it is done, with what the snapshot holds."""
        grants = grants_of(request)
        require(grants.operator_write(), grants, "operator:write")
        if self._compactor is None:
            return text(400, "there is no journal to compact: everything is in memory (--dev)")
        return Working(asyncio.ensure_future(self._compact(request, self._compactor)))

    async def _compact(self, request: Request, compactor: Compactor) -> Response:
        try:
            built = await asyncio.shield(compactor.compact())
        except (CompactionFailed, OSError) as error:
            return text(500, f"not compacted: {error}")
        body = {"compacted": built is not None, **(asdict(built) if built else {})}
        return json_response(request.query, json.dumps(body).encode())

    def _figures(self) -> Iterator[_Figure]:
        engine, state = self._engine, self._engine.state
        yield _Figure("index", "Index of the newest write.", state.last_index)
        yield _Figure("keys", "Keys in the store.", state.entry_count)
        yield _Figure("sessions", "Live sessions.", state.session_count)
        parked = engine.parked_count + self._events.parked_count
        yield _Figure("parked_queries", "Blocking queries that wait.", parked)
        failed = engine.failure is not None
        yield _Figure("journal_failed", "1 when nothing is written any more.", failed)
        load = self._load()
        yield _Figure("connections", "Connections of clients.", load.connections)
        yield _Figure("tls_handshakes", "TLS handshakes under way.", load.handshakes)
        received, unread = load.received_bytes, load.unread_bytes
        yield _Figure("received_bytes", "Received and not answered yet.", received)
        yield _Figure("unread_bytes", "Large answers that clients have not read yet.", unread)
        if self._compactor is None:
            return
        usage, status = self._compactor.usage, self._compactor.status
        yield _Figure("data_bytes", "Size of the data folder.", usage.folder_bytes)
        yield _Figure("snapshot_bytes", "Size of the newest snapshot.", usage.snapshot_bytes)
        yield _Figure("snapshot_index", "Index of the newest snapshot.", usage.base_index)
        yield _Figure("journal_bytes", "Journal behind the newest snapshot.", usage.tail_bytes)
        yield _Figure("history_bytes", "Files kept to look back.", usage.history_bytes)
        yield _Figure("full", "1 while writes are refused for want of room.", self._compactor.full)
        yield _Figure("compaction_running", "1 while one is under way.", status.is_running)
        last_s = status.last_duration_s
        yield _Figure("compaction_seconds", "How long the last one took.", last_s)
        yield _Figure("compactions", "Since the start.", status.done_count, is_total=True)
        failures = status.failed_count
        yield _Figure("compaction_failures", "Since the start.", failures, is_total=True)


def _gauge(one: _Figure) -> dict[str, Any]:
    return {"Name": f"kvstore.{one.name}", "Value": float(one.value), "Labels": {}}


def _counter(one: _Figure) -> dict[str, Any]:
    value = float(one.value)
    return {"Name": f"kvstore.{one.name}", "Count": int(value), "Sum": value, "Labels": {}}


def _prometheus(figures: list[_Figure]) -> bytes:
    """Return the figures, and those of the process, in Prometheus's text format."""
    from prometheus_client import CollectorRegistry, ProcessCollector  # noqa: PLC0415 - heavy
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily  # noqa: PLC0415
    from prometheus_client.exposition import generate_latest  # noqa: PLC0415

    class Collector:
        def collect(self) -> Iterator[CounterMetricFamily | GaugeMetricFamily]:
            for one in figures:
                family = CounterMetricFamily if one.is_total else GaugeMetricFamily
                yield family(f"kvstore_{one.name}", one.help, one.value)

    registry = CollectorRegistry()
    registry.register(Collector())
    ProcessCollector(registry=registry)
    return generate_latest(registry)
