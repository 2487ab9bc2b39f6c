"""What a store must never do to an engine, checked on a proxy's record of what it did.

Each rule, broken on purpose, breaks engines at once (scenarios G1A to G1D show how).

Source: spec/docker-cluster-store.md, section 0, rules 1, 2, 3 and 6.
"""

import urllib.parse
from collections.abc import Iterable

from conformance.overlay.proxy import Exchange, Proxy
from conformance.overlay.waiting import expect

_SERVER_ERROR = 500
_OK = 200
# Clocks of two processes and a busy machine; an honest early answer would be seconds early.
_SLACK_S = 0.2
_DEFAULT_WAIT_S = 300.0
_SHOWN = 5


def expect_sound_store(proxy: Proxy, since: float = 0.0) -> None:
    """Raise Mismatch if the store behind a proxy broke a rule after an instant."""
    behind = [one for one in proxy.since(since) if one.took_s]  # the proxy's own answers took none
    found = check(behind)
    expect(that=not found, what="no fault of the store itself", seen=found[:_SHOWN])


def check(exchanges: Iterable[Exchange]) -> list[str]:
    """Return every broken rule as a sentence; empty for a store that behaves."""
    found: list[str] = []
    for one in exchanges:
        answered_read = one.status and one.method == "GET" and one.target.startswith("/v1/kv/")
        if answered_read:
            found += (f"{one.target}: {text}" for text in _faults(one))
    return found


def _faults(one: Exchange) -> Iterable[str]:
    query = urllib.parse.parse_qs(urllib.parse.urlsplit(one.target).query, keep_blank_values=True)
    if one.status >= _SERVER_ERROR:
        yield f"answered {one.status}: one such answer ends a watch for good"
        return
    if not one.index.isdigit() or int(one.index) < 1:
        yield f"X-Consul-Index is {one.index!r}: the watch spins"
        return
    if one.status == _OK and one.modify_index and int(one.index) != one.modify_index:
        yield f"X-Consul-Index {one.index} is not the key's own {one.modify_index}: no CAS succeeds"
    asked = query.get("index", [""])[0]
    if asked == one.index and one.took_s < _wait_s(query) - _SLACK_S:
        yield f"answered unchanged index {asked} after {one.took_s:.1f} s: the watch spins"


def _wait_s(query: dict[str, list[str]]) -> float:
    """Return the wait a client asks for; libkv always asks in milliseconds, or not at all."""
    asked = query.get("wait", [""])[0]
    return float(asked.removesuffix("ms")) / 1000 if asked.endswith("ms") else _DEFAULT_WAIT_S
