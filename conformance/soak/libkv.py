"""What libkv's Consul backend asks of the store, request by request.

A write by check-and-set is two requests: the PUT, and a GET for the new index.
Every index is checked against what must be known by then.

Source: spec/docker-cluster-store.md, sections 0, 1.2 and 1.6.
"""

from collections.abc import Callable
from time import monotonic

from conformance.clients.golock import LOCK_FLAGS
from conformance.overlay.kv import Entry
from conformance.soak.errors import Broken
from conformance.soak.meter import Kind, Meter
from conformance.soak.news import News
from conformance.soak.wire import NOT_FOUND, OK, Answer, Wire

_READ = (OK, NOT_FOUND)
# libkv retries without end. Some hundred engines that want one record at once get there in fewer.
_TRIES_MAX = 1000

# A store adds up to a sixteenth to the wait, so that not all watchers come back at once.
_WAIT_MOST = 17 / 16
_LATE_ANSWER_S = 30.0
# Clocks of two processes; an honest early answer would be seconds early.
_EARLY_S = 0.2


class Libkv:
    """One engine's view of the keys below `prefix` ("" or "folder/")."""

    def __init__(self, wire: Wire, meter: Meter, news: News, prefix: str) -> None:
        self.wire = wire
        self.meter = meter
        self.news = news
        self._root = f"/v1/kv/{prefix}"

    async def get(self, key: str, *, consistent: bool = True) -> Entry | None:
        """Read one key; None when there is none."""
        floor = self.news.floor(key)
        target = f"{self._root}{key}{'?consistent=' if consistent else ''}"
        answer = await self.wire.ask(Kind.GET, "GET", target, expect=_READ)
        self._check_index(answer, target, floor)
        found = answer.entries()
        if not found:
            return None
        if found[0].modify_index != answer.index:
            raise self.wire.fault(
                "index",
                f"GET {target}: X-Consul-Index {answer.index} is not the key's own "
                f"{found[0].modify_index}",
            )
        return found[0]

    async def list(self, key: str) -> Answer:
        """Read every key that starts with `key`."""
        target = f"{self._root}{key}?recurse="
        answer = await self.wire.ask(Kind.LIST, "GET", target, expect=_READ)
        self._check_index(answer, target, 0)
        return answer

    async def put(self, key: str, value: bytes, condition: str = "") -> bool:
        """Write a key; `condition` is "acquire=ID" or nothing. Return whether it was written."""
        query = f"{condition}&" if condition else ""
        target = f"{self._root}{key}?{query}flags={LOCK_FLAGS}"
        return (await self.wire.ask(Kind.PUT, "PUT", target, value)).true

    async def atomic_put(self, key: str, value: bytes, index: int) -> int:
        """Write a key that still has `index` (0: that is not there) and return its new index.

        Returns 0 when it has another index by now.
        """
        since = monotonic()
        target = f"{self._root}{key}?cas={index}&flags={LOCK_FLAGS}"
        if not (await self.wire.ask(Kind.CAS, "PUT", target, value)).true:
            self.meter.cas_refused += 1
            return 0
        target = f"{self._root}{key}?consistent="
        answer = await self.wire.ask(Kind.GET, "GET", target, expect=_READ)
        self._check_index(answer, target, index + 1)
        self.news.announce(key, answer.index, since)
        return answer.index

    async def atomic_delete(self, key: str) -> bool:
        """Delete a key as it was just read. Return False when there is none."""
        for _ in range(_TRIES_MAX):
            found = await self.get(key)
            if found is None:
                return False
            target = f"{self._root}{key}?cas={found.modify_index}"
            if (await self.wire.ask(Kind.DELETE, "DELETE", target)).true:
                self.news.forget(key)
                return True
            self.meter.cas_refused += 1
        raise self._endless(key)

    async def delete(self, key: str) -> None:
        """Delete a key."""
        await self.wire.ask(Kind.DELETE, "DELETE", f"{self._root}{key}")

    async def update(self, key: str, change: Callable[[bytes], bytes]) -> None:
        """Read a key and write what `change` makes of its value, until nobody comes between.

        A key that is not there has the value b"".
        """
        for _ in range(_TRIES_MAX):
            found = await self.get(key)
            value = change(found.value if found else b"")
            if await self.atomic_put(key, value, found.modify_index if found else 0):
                return
        raise self._endless(key)

    async def poll(self, key: str, query: str, index: int, wait_s: float) -> Answer:
        """Read what `query` says and, unless `index` is 0, wait for it to pass that index.

        `query` is complete ("index=7&wait=15000ms"); `wait_s` is how long the store then waits.
        """
        target = f"{self._root}{key}?{query}"
        started = monotonic()
        patience_s = wait_s * _WAIT_MOST + _LATE_ANSWER_S
        answer = await self.wire.ask(Kind.POLL, "GET", target, expect=_READ, within_s=patience_s)
        self._check_index(answer, target, index)
        took_s = monotonic() - started
        if index and answer.index == index and took_s < wait_s - _EARLY_S:
            self.meter.fault(
                "early", f"GET {target} answered unchanged after {took_s:.1f} s: the watch spins"
            )
        return answer

    def _check_index(self, answer: Answer, target: str, floor: int) -> None:
        if answer.index < 1:
            raise self.wire.fault("index", f"GET {target}: X-Consul-Index is {answer.index}")
        if answer.index < floor:
            raise self.wire.fault(
                "stale", f"GET {target}: index {answer.index}, but {floor} was acknowledged before"
            )

    def _endless(self, key: str) -> Broken:
        return self.wire.fault("cas loop", f"{key}: {_TRIES_MAX} tries, and each came too late")
