"""Chapter G: what a store must never do, done on purpose; the cure; and the limit of a value.

The faults are a proxy's: the store behind it is the one under test, and in the same scenario it is
shown not to do them itself.

Source: spec/docker-cluster-store.md, section 5, rows G1 to G3; section 0, rules 1, 2, 3, 6.
"""

import time
from collections.abc import Callable

from conformance.overlay.audit import expect_sound_store
from conformance.overlay.errors import Mismatch
from conformance.overlay.lab import Lab
from conformance.overlay.proxy import Exchange, Fault, Proxy
from conformance.overlay.records import NODES, TREE
from conformance.overlay.scenario import Chapter
from conformance.overlay.together import together
from conformance.overlay.waiting import expect, wait_until

CHAPTER = Chapter()

_SOON_S = 15.0
# A watch that is dead stays dead; this long is enough to see that it is not just slow.
_DEAD_S = 4.0
_KICKED_S = 10.0
# What one spinning watch asks in five seconds at the very least; a healthy one asks once or never.
_SPIN_S = 5.0
_SPIN_REQUESTS = 50
_CALM_REQUESTS = 8
_VALUE_MAX_BYTES = 512 * 1024
_TOO_LARGE = 413
_OK = 200


class _FailOnce(Fault):
    """Answer one long poll on a count with a 500."""

    def __init__(self, client: str) -> None:
        self._client = client
        self.done = False

    def refuse(self, exchange: Exchange) -> int | None:
        poll = "/endpoint_count/" in exchange.target and "index=" in exchange.target
        if self.done or not poll or exchange.client != self._client:
            return None
        self.done = True
        return 500


class _NoIndex(Fault):
    """Leave the index out of every answer to the discovery watch."""

    def index(self, exchange: Exchange, value: str) -> str | None:
        return None if _discovery(exchange) else value


class _Early(Fault):
    """Answer the discovery watch at once, with whatever there is."""

    def ask(self, exchange: Exchange) -> str:
        return f"/v1/kv/{NODES}?recurse=" if _discovery(exchange) else exchange.target


class _ForeignIndex(Fault):
    """Answer reads of a single key with an index that is not the key's own."""

    def index(self, exchange: Exchange, value: str) -> str | None:
        single = f"/v1/kv/{TREE}" in exchange.target and "recurse" not in exchange.target
        return str(int(value) + 1) if single else value


def _discovery(exchange: Exchange) -> bool:
    return exchange.target.startswith(f"/v1/kv/{NODES}?") and "wait=" in exchange.target


@CHAPTER.scenario("G1A", "fault: one 500 on one watch, and the names stop for good")
def one_error(lab: Lab) -> None:
    """Expect remote names never to resolve again: the engine's goroutine ends without a word."""
    proxy = _two_containers(lab)
    _kill_watch(lab, proxy)
    lab.run(lab.h1, "late", "shop")
    _stays_unknown(lab, "late")
    expect_sound_store(proxy)


@CHAPTER.scenario("G1B", "fault: no X-Consul-Index, and the watch spins", quick=True)
def no_index(lab: Lab) -> None:
    """Expect polls without an index, each answered at once, for ever."""
    _spins(lab, _NoIndex())


@CHAPTER.scenario("G1C", "fault: a blocking read answered early, and the watch spins")
def early_answer(lab: Lab) -> None:
    """Expect the client to take an early unchanged answer and to ask again at once."""
    _spins(lab, _Early())


@CHAPTER.scenario("G1D", "fault: an index that is not the key's own, and no CAS ever succeeds")
def foreign_index(lab: Lab) -> None:
    """Expect `docker run` to repeat GET and PUT until the fault is lifted, and then to finish."""
    proxy = lab.proxied()
    lab.create(lab.h1, "shop")
    lab.run(lab.h1, "first", "shop")
    proxy.fault = _ForeignIndex()
    mark = time.monotonic()

    def lift_when_seen() -> str:
        try:
            wait_until(
                lambda: _requests(proxy, mark, lambda one: one.method == "PUT") > _SPIN_REQUESTS,
                _SOON_S,
                f"more than {_SPIN_REQUESTS} PUTs by one `docker run`",
            )
        finally:
            proxy.fault = Fault()
        return ""

    together(lambda: lab.run(lab.h1, "second", "shop"), lift_when_seen)
    expect_sound_store(proxy)


@CHAPTER.scenario("G2", "the kick: an empty key under docker/nodes wakes dead watches", quick=True)
def kick(lab: Lab) -> None:
    """Expect a watch killed by one 500 (G1A) to be back when `docker/nodes/kick` came and went."""
    proxy = _two_containers(lab)
    _kill_watch(lab, proxy)
    lab.run(lab.h1, "late", "shop")
    _stays_unknown(lab, "late")
    started = time.monotonic()
    lab.store.kv.put(f"{NODES}/kick", b"")
    lab.store.kv.delete(f"{NODES}/kick")
    lab.wait_reaches(lab.h2, "visitor", "late", _KICKED_S)
    lab.note(f"resolved {time.monotonic() - started:.1f} s after the kick")
    expect_sound_store(proxy)


@CHAPTER.scenario(
    "G3", "a value of 512 KiB is stored, one byte more is refused with 413", quick=True
)
def value_limit(lab: Lab) -> None:
    """Expect Consul's limit: it ends an engine's endless loop after a data loss (spec 4.3)."""
    target = "/v1/kv/lab/size"
    answer = lab.store.kv.request("PUT", target, bytes(_VALUE_MAX_BYTES))
    expect(that=answer.status == _OK, what="512 KiB stored", seen=(answer.status, answer.text))
    answer = lab.store.kv.request("PUT", target, bytes(_VALUE_MAX_BYTES + 1))
    expect(that=answer.status == _TOO_LARGE, what="413", seen=(answer.status, answer.text))
    entry = lab.store.kv.get("lab/size")
    size = len(entry.value) if entry else None
    expect(that=size == _VALUE_MAX_BYTES, what=f"{_VALUE_MAX_BYTES} bytes", seen=size)
    lab.store.kv.delete("lab/size")


def _two_containers(lab: Lab) -> Proxy:
    """Start `web` on h1 and `visitor` on h2, through a proxy, and wait until names work."""
    proxy = lab.proxied()
    lab.create(lab.h1, "shop")
    lab.run(lab.h2, "visitor", "shop")
    lab.run(lab.h1, "web", "shop")
    lab.wait_reaches(lab.h2, "visitor", "web", _SOON_S)
    return proxy


def _kill_watch(lab: Lab, proxy: Proxy) -> None:
    """Let the next long poll of h2 on the count fail once.

    One more container ends the poll that stands now, so that the next one comes at once.
    """
    fault = _FailOnce(lab.h2.host.address)
    proxy.fault = fault
    lab.run(lab.h1, "nudge", "shop")
    wait_until(lambda: fault.done, _SOON_S, "one long poll of h2 answered with 500")
    proxy.fault = Fault()


def _stays_unknown(lab: Lab, name: str) -> None:
    """Expect that `visitor` does not resolve a name for a while."""
    try:
        lab.wait_reaches(lab.h2, "visitor", name, _DEAD_S)
    except Mismatch:
        return
    raise Mismatch(f"expected a dead watch on h2; seen: {name} resolves")


def _spins(lab: Lab, fault: Fault) -> None:
    """Expect a spinning discovery watch with the fault, and a calm one without."""
    proxy = lab.proxied()
    proxy.fault = fault
    lab.store.kv.put(f"{NODES}/kick", b"")  # ends the polls that stand now
    lab.store.kv.delete(f"{NODES}/kick")
    mark = time.monotonic()
    wait_until(
        lambda: _requests(proxy, mark, _discovery) > _SPIN_REQUESTS,
        _SPIN_S * 2,
        f"more than {_SPIN_REQUESTS} polls",
    )
    lab.note(f"{_requests(proxy, mark, _discovery) / (time.monotonic() - mark):.0f} polls/s")
    proxy.fault = Fault()
    time.sleep(1)  # the last spinning answers
    mark = time.monotonic()
    time.sleep(_SPIN_S)  # a rate is measured over time
    calm = _requests(proxy, mark, _discovery)
    expect(that=calm <= _CALM_REQUESTS, what=f"at most {_CALM_REQUESTS} polls", seen=calm)
    expect_sound_store(proxy, since=mark)


def _requests(proxy: Proxy, mark: float, wanted: Callable[[Exchange], bool]) -> int:
    return sum(wanted(one) for one in proxy.since(mark))
