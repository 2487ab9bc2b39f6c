"""One row of figures after the other: what the clients measured, and what the store's process was.

A window's memory, descriptors and threads are medians of one look a second.
"""

import json
import os
from dataclasses import dataclass
from statistics import median
from time import monotonic

from conformance.soak.errors import Broken
from conformance.soak.meter import Cut, Kind, Meter
from conformance.soak.process import Sample, sample
from conformance.soak.wire import NOT_FOUND, OK, Wire


@dataclass(frozen=True, slots=True)
class Window:
    """One row. `cpu_share` is of one core; what begins with `own_` is of the soak itself."""

    start_s: float
    seconds: float
    cut: Cut
    rss_bytes: float
    fds: float
    threads: float
    cpu_share: float
    # Descriptors that are no connection of an engine, but for a constant: the store's less ours.
    extra_fds: float
    own_cpu_share: float
    # The longest that the soak's own event loop was held up: latencies include it.
    own_lag_ms: float
    # What the store says of itself.
    told: dict[str, int]
    # Faults since the start.
    faults: int


class Recorder:
    """Looks at the store's process and at our own. Times are seconds since it was made."""

    def __init__(self, pid: int, meter: Meter) -> None:
        self._pid = pid
        self._meter = meter
        self._began = monotonic()
        self._looks: list[tuple[Sample, Sample]] = []
        self._opened_at = self._began
        self._opened_with = self._look()
        self._lag_s = 0.0

    @property
    def elapsed_s(self) -> float:
        """Seconds since the start."""
        return monotonic() - self._began

    def held_up(self, seconds: float) -> None:
        """Tell that our event loop was held up for so long."""
        self._lag_s = max(self._lag_s, seconds)

    def look(self) -> Sample:
        """Take one more look; return what it showed of the store. Raises ProcessGone."""
        looks = self._look()
        self._looks.append(looks)
        return looks[0]

    def cut(self, told: dict[str, int]) -> Window:
        """Return the window that ends now, and begin the next. Raises ProcessGone."""
        self.look()
        now = monotonic()
        seconds = now - self._opened_at
        (store_first, own_first), (store_last, own_last) = self._opened_with, self._looks[-1]
        window = Window(
            start_s=self._opened_at - self._began,
            seconds=seconds,
            cut=self._meter.cut(),
            rss_bytes=median(store.rss_bytes for store, _ in self._looks),
            fds=median(store.fds for store, _ in self._looks),
            threads=median(store.threads for store, _ in self._looks),
            cpu_share=(store_last.cpu_s - store_first.cpu_s) / seconds,
            extra_fds=median(store.fds - own.fds for store, own in self._looks),
            own_cpu_share=(own_last.cpu_s - own_first.cpu_s) / seconds,
            own_lag_ms=self._lag_s * 1000,
            told=told,
            faults=self._meter.fault_count,
        )
        self._opened_at, self._opened_with = now, self._looks[-1]
        self._looks, self._lag_s = [], 0.0
        return window

    def _look(self) -> tuple[Sample, Sample]:
        return sample(self._pid), sample(os.getpid())


async def ask_store(wire: Wire) -> dict[str, int]:
    """Return the counts that a store tells of itself; nothing if it does not answer.

    kvstore tells its own; of a Consul the keys and sessions are counted.
    """
    try:
        answer = await wire.ask(Kind.GET, "GET", "/v1/agent/self")
        told = json.loads(answer.body)["Stats"].get("kvstore")
        if told is not None:
            return {name: int(value) for name, value in told.items() if value.isdigit()}
        keys = await wire.ask(Kind.LIST, "GET", "/v1/kv/?keys=", expect=(OK, NOT_FOUND))
        sessions = await wire.ask(Kind.GET, "GET", "/v1/session/list")
    except Broken:
        return {}
    return {
        "entries": len(json.loads(keys.body)) if keys.status == OK else 0,
        "sessions": len(json.loads(sessions.body)),
    }
