"""Chapters B and D: an engine stops, is killed, never comes back, or is cut off for a while.

Source: spec/docker-cluster-store.md, section 5, rows B1 to B3, D1 and D2, and section 1.4.
"""

import time

from conformance.overlay.audit import expect_sound_store
from conformance.overlay.lab import Lab
from conformance.overlay.records import NODES
from conformance.overlay.scenario import Chapter
from conformance.overlay.waiting import expect, wait_until

CHAPTER = Chapter()

_SOON_S = 15.0
_BACK_S = 60.0
# A session of 30 s lives twice as long after its last renew, and the sweep is not instant.
_EXPIRED_S = 70.0
_HEARTBEAT_S = 30.0
_RESTART_REQUESTS = 340


@CHAPTER.scenario("B1", "an engine is stopped and started within a minute")
def stop_and_start(lab: Lab) -> None:
    """Its endpoints go and come back; the session is the old one. Measured: 168 requests."""
    proxy = lab.proxied()
    _web_and_visitor(lab)
    session = _session(lab)
    lab.h1.stop()
    names = {one.name for one in lab.view().endpoints.values()}
    expect(that=names == {"visitor"}, what="only the visitor's endpoint", seen=names)
    mark = time.monotonic()
    lab.h1.launch(lab.proxy_url)
    lab.h1.wait_ready()
    lab.wait_reaches(lab.h2, "visitor", "web", _BACK_S)
    expect(that=_session(lab) == session, what=f"session {session}", seen=_session(lab))
    asked = len(proxy.since(mark, lab.h1.host.address))
    lab.note(f"{asked} requests")
    expect(that=asked <= _RESTART_REQUESTS, what="about 168 requests", seen=asked)
    expect_sound_store(proxy)


@CHAPTER.scenario(
    "B2", "a host dies for good: its key expires, its endpoint is freed by hand", wrecks=True
)
def host_dies(lab: Lab) -> None:
    """Expect the key gone 60 s after the last renew, and the endpoint to stay until it is freed."""
    _web_and_visitor(lab)
    started = time.monotonic()
    lab.h1.host.end()
    wait_until(
        lambda: lab.h1.advertised not in lab.view().engines, _EXPIRED_S, "the key of h1 is gone"
    )
    lab.note(f"key gone after {time.monotonic() - started:.1f} s")
    names = {one.name for one in lab.view().endpoints.values()}
    expect(that=names == {"visitor", "web"}, what="both endpoints", seen=names)
    lab.h2.docker("network", "disconnect", "--force", "shop", "web")
    lab.h2.docker("rm", "--force", "visitor")
    lab.h2.docker("network", "rm", "shop")
    lab.wait_sound(frozenset())


@CHAPTER.scenario("B3", "an engine is killed and started again: its container is back", quick=True)
def kill_and_return(lab: Lab) -> None:
    """Expect the stale sandbox removed; endpoint, address and count are right again."""
    _web_and_visitor(lab)
    lab.h1.kill()
    names = {one.name for one in lab.view().endpoints.values()}
    expect(that=names == {"visitor", "web"}, what="both endpoints", seen=names)
    lab.h1.launch(lab.store_url)
    lab.h1.wait_ready()
    lab.wait_registered(lab.h1)
    lab.wait_reaches(lab.h2, "visitor", "web", _BACK_S)
    wait_until(
        lambda: "Removing stale sandbox" in lab.h1.logged(), _SOON_S, "h1 removes its stale sandbox"
    )


@CHAPTER.scenario("D1", "a host is cut off for a minute and comes back")
def cut_off(lab: Lab) -> None:
    """Its key expires, the other works on; healed, key and names are right within seconds."""
    _web_and_visitor(lab)
    lab.network.unplug("h2")
    wait_until(
        lambda: lab.h2.advertised not in lab.view().engines, _EXPIRED_S, "the key of h2 is gone"
    )
    lab.run(lab.h1, "late", "shop")
    lab.h1.docker("rm", "--force", "web")
    lab.network.plug("h2")
    lab.wait_registered(lab.h2, _HEARTBEAT_S)
    lab.wait_reaches(lab.h2, "visitor", "late", _BACK_S)
    lab.wait_sound(frozenset())


@CHAPTER.scenario("D2", "all long polls are broken by a reset, and no watch dies", quick=True)
def polls_broken(lab: Lab) -> None:
    """Expect the client to retry by itself, since it can connect again at once."""
    proxy = lab.proxied()
    _web_and_visitor(lab)
    lab.note(f"{proxy.break_connections()} connections reset")
    lab.run(lab.h1, "late", "shop")
    lab.wait_reaches(lab.h2, "visitor", "late", _SOON_S)
    expect_sound_store(proxy)


def _web_and_visitor(lab: Lab) -> None:
    lab.create(lab.h1, "shop")
    lab.run(lab.h1, "web", "shop", "--restart=always")
    lab.run(lab.h2, "visitor", "shop")
    lab.wait_reaches(lab.h2, "visitor", "web", _SOON_S)


def _session(lab: Lab) -> str:
    entry = lab.store.kv.get(f"{NODES}/{lab.h1.advertised}")
    return entry.session if entry else ""
