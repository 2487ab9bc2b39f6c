"""Chapter HELD: the store's port is held by systemd, so that engines do not notice a crash.

The units are those that this project ships (deploy/), started by a real systemd.
Source: spec/docker-cluster-store.md, sections 1.5 and 4.5: a refused connection ends a watch for
good, and so does one that breaks before it had an answer; one that breaks later is made anew.
"""

import json
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from conformance.overlay import cgroups
from conformance.overlay.errors import Mismatch, Skipped
from conformance.overlay.lab import Lab
from conformance.overlay.namespaces import Host
from conformance.overlay.records import NODES
from conformance.overlay.scenario import Chapter
from conformance.overlay.store import PORT
from conformance.overlay.systemd import Systemd, missing
from conformance.overlay.waiting import expect, wait_until

CHAPTER = Chapter()

_UNITS = Path(__file__).resolve().parents[3] / "deploy"
_SERVICE = "kvstore.service"
_KILLS = 10
# A name is known when the watch has been answered and the endpoint read; far less than the 20 s
# after which an engine looks for watches that it has lost.
_SOON_S = 10.0
_ANSWER_S = 30.0
_PROBE_EVERY_S = 0.02
# The plain server's engines get their watches back at their discovery's tick, after 20 s or 40 s.
_REARMED_S = 75.0
_LOST = "Unexpected watch error"


@CHAPTER.scenario(
    "HELD", f"{_KILLS} kills of a server whose port systemd holds", quick=True, wrecks=True
)
def held(lab: Lab) -> None:
    """No connection is refused, no watch is lost, and remote names resolve at once.

    A kill comes as soon as the engines' watches wait again. After every second one a container is
    started on h1 and found from h2; the others come when nothing has happened since the kill
    before. At the end one is renamed, and found.
    """
    with _under_systemd(lab) as systemd, _Probe(lab.network["kv"]) as probe:
        lab.use("shop")
        sessions = _sessions(lab)
        took_s = []
        for number in range(_KILLS):
            systemd.kill(_SERVICE)
            took_s.append(_answered_s(lab))
            _wait_parked(lab)
            if number % 2:
                lab.run(lab.h1, f"late{number}", "shop")
                lab.wait_reaches(lab.h2, "visitor-shop", f"late{number}", _SOON_S)
        # The newest: of an older one the engine would write back an older count, on any store.
        lab.h1.docker("rename", f"late{_KILLS - 1}", "renamed")
        lab.wait_reaches(lab.h2, "visitor-shop", "renamed", _SOON_S)
        restarts = systemd.show(_SERVICE, "NRestarts")
        expect(that=restarts == str(_KILLS), what=f"{_KILLS} restarts", seen=restarts)
        expect(that=_sessions(lab) == sessions, what="the same sessions", seen=_sessions(lab))
        lab.wait_sound(frozenset())
        _expect_no_watch_lost(lab)
    expect(that=not probe.refused, what="no connection refused", seen=probe.refused[:3])
    lab.note(f"answered {_shown(took_s)} after a kill; none of {probe.count} connections refused")


@CHAPTER.scenario(
    "STOPS", "a server whose port systemd holds is restarted, as for an upgrade", wrecks=True
)
def restarted(lab: Lab) -> None:
    """Five orderly restarts in a row: no connection is refused, and no watch is lost."""
    with _under_systemd(lab) as systemd, _Probe(lab.network["kv"]) as probe:
        lab.use("shop")
        for _ in range(_KILLS // 2):
            systemd.ctl("restart", _SERVICE)
        lab.run(lab.h1, "late", "shop")
        lab.wait_reaches(lab.h2, "visitor-shop", "late", _SOON_S)
        _expect_no_watch_lost(lab)
    expect(that=not probe.refused, what="no connection refused", seen=probe.refused[:3])
    lab.note(f"none of {probe.count} connections refused")


@CHAPTER.scenario(
    "UNHELD", f"{_KILLS} kills of a server that is restarted and opens its port itself", wrecks=True
)
def unheld(lab: Lab) -> None:
    """For comparison: connections are refused, watches are lost, and come back in their time."""
    with _Probe(lab.network["kv"]) as probe:
        lab.use("shop")
        took_s = []
        for _ in range(_KILLS):
            lab.store.kill()
            killed = time.monotonic()
            lab.store.start()
            took_s.append(time.monotonic() - killed)
        lab.run(lab.h1, "late", "shop")
        began = time.monotonic()
        lab.wait_reaches(lab.h2, "visitor-shop", "late", _REARMED_S)
    lost = sum(engine.logged().count(_LOST) for engine in lab.engines)
    expect(that=lost > 0 and bool(probe.refused), what="watches lost", seen=f"{lost} lost")
    lab.note(
        f"answered {_shown(took_s)} after a kill; {len(probe.refused)} of {probe.count} "
        f"connections refused, {lost} watch errors, a new name after "
        f"{time.monotonic() - began:.0f} s"
    )


@contextmanager
def _under_systemd(lab: Lab) -> Iterator[Systemd]:
    """Have the store's host run a systemd that holds the port, and both engines start on that.

    Raises Skipped where there can be none.
    """
    if lab.store.kind != "kvstore":
        raise Skipped("the units in deploy/ start our server")
    if lacking := missing():
        raise Skipped(lacking)
    lab.stop_engines()
    lab.store.stop()
    folder = Path(lab.closing.enter_context(tempfile.TemporaryDirectory()))
    folder.chmod(0o711)  # the server is a user without rights
    host = lab.network["kv"]
    entry = ["nsenter", "-t", str(host.pid), "-m", "-u", "-n", "-p"]
    group = f"{cgroups.PARENT}/systemd".strip("/")
    with Systemd(folder, _UNITS, entry=entry, group=group) as systemd:
        systemd.ctl("start", "kvstore.socket")
        lab.start_bare()
        lab.start_engines()
        for engine in lab.engines:
            engine.mark_log()
        try:
            yield systemd
        finally:
            lab.stop_engines()  # before their store is gone


def _answered_s(lab: Lab) -> float:
    """Return how long it takes until the store answers."""
    began = time.monotonic()
    wait_until(lab.store.kv.ready, _ANSWER_S, "the store answers", pause_s=0.005)
    return time.monotonic() - began


def _wait_parked(lab: Lab) -> None:
    """Wait until the watches of both engines wait at the store: for nodes, and for the network."""
    wanted = 2 * len(lab.engines)

    def parked() -> bool:
        described = json.loads(lab.store.kv.request("GET", "/v1/agent/self").body)
        count = int(described["Stats"]["kvstore"]["parked_queries"])
        if count < wanted:
            raise Mismatch(f"{count} do")
        return True

    wait_until(parked, _SOON_S, f"{wanted} queries wait", pause_s=0.01)


def _sessions(lab: Lab) -> list[str]:
    return [entry.session for entry in lab.store.kv.tree(f"{NODES}/")]


def _expect_no_watch_lost(lab: Lab) -> None:
    for engine in lab.engines:
        lost = engine.logged().count(_LOST)
        expect(that=not lost, what=f"no watch of {engine.name} lost", seen=f"{lost} lost")


def _shown(took_s: list[float]) -> str:
    return f"{statistics.median(took_s):.2f} s ({max(took_s):.2f} at most)"


class _Probe:
    """Connects to the store all the time, from its own host, and notes when it cannot."""

    def __init__(self, host: Host) -> None:
        self.count = 0
        self.refused: list[OSError] = []
        self._host = host
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._connect)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _connect(self) -> None:
        while not self._over.wait(_PROBE_EVERY_S):
            self.count += 1
            try:
                self._host.connect(PORT, timeout_s=_ANSWER_S).close()
            except OSError as error:
                self.refused.append(error)
