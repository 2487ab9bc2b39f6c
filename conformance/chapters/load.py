"""Fifty containers at once.

What the recorded traffic of fifty parallel container starts does to a store, done by as many
clients at once: all of them want the next bit of one bitmap and one more in one count, by
check-and-set. No update may be lost, and no two containers may get one address.
"""

import secrets
from collections.abc import Callable
from functools import partial

from conformance.clients.engine import Engine
from conformance.clients.following import WATCH, Follower
from conformance.clients.looking import NOT_FOUND, TRUE, asking, equal
from conformance.clients.speaker import READ, Entry, Speaker, speakers
from conformance.clients.together import each, together
from conformance.soak import bits, rendering
from conformance.suite.case import Case, Failed, Ground, Need, Store

CONTAINERS = 50
SUBNET = "10.0.0.0/24"
SUBNET_BITS = 256
GATEWAY = 1
TRIES_MAX = 1000
TREE = "docker/network/v1.0/"
BROADCAST = SUBNET_BITS - 1


def fifty_starts_and_removals(store: Store, ground: Ground) -> None:
    """Start fifty containers on one network at once, look, remove them at once, look."""
    network = _Network(store, ground)
    network.create()
    with speakers(store, CONTAINERS) as several, Follower(store, WATCH, network.count_key) as peer:
        containers = [
            _Container(network, speaker, number) for number, speaker in enumerate(several)
        ]
        together(*(container.start for container in containers))
        network.check({container.ordinal for container in containers}, CONTAINERS)
        peer.news_of(rendering.render_count(CONTAINERS))
        each(_Container.remove, containers)
        network.check(set(), 0)
        peer.news_of(rendering.render_count(0))
        peer.check_calm()


class _Network:
    """One overlay network in the store."""

    def __init__(self, store: Store, ground: Ground) -> None:
        self._store = store
        self.prefix = ground.prefix
        network = secrets.token_hex(32)
        self.tree = f"/v1/kv/{ground.prefix}{TREE}"
        self.data = f"{self.tree}ipam/default/data/{rendering.pool_id(SUBNET)}/"
        self.count_key = f"{ground.prefix}{TREE}endpoint_count/{network}/"
        self.count = f"/v1/kv/{self.count_key}"
        self.endpoints = f"{self.tree}endpoint/{network}/"
        self.name = rendering.pool_id(SUBNET)

    def create(self) -> None:
        """Write the records of a new network: the gateway has an address already."""
        bitmap = bits.empty(SUBNET_BITS)
        for ordinal in (0, GATEWAY, BROADCAST):
            bitmap = bits.with_bit(bitmap, ordinal, taken=True)
        for target, value in (
            (self.data, rendering.render_bitmap(self.name, bitmap)),
            (self.count, rendering.render_count(0)),
        ):
            asking(self._store, "PUT", f"{target}?cas=0", value, text=TRUE)
        asking(self._store, "PUT", self.endpoints, b"", text=TRUE)

    def check(self, ordinals: set[int], containers: int) -> None:
        """Look at the bitmap, the count and the endpoints together. Raises Failed."""
        equal("different addresses", len(ordinals), containers)
        with Speaker(self._store) as speaker:
            _, (data,) = speaker.read(f"{self.data}?consistent=")
            bitmap = rendering.parse_bitmap(data.value)
            taken = ordinals | {0, GATEWAY, BROADCAST}
            equal("bits taken in the bitmap", set(bitmap.ordinals()), taken)
            equal("faults of the bitmap", bitmap.faults(), [])
            _, (count,) = speaker.read(f"{self.count}?consistent=")
            equal("endpoints counted", rendering.parse_count(count.value), containers)
            _, found = speaker.read(f"{self.endpoints}?recurse=")
            equal("endpoints listed, and the marker", len(found), containers + 1)


class _Container:
    """One container: what its engine asks of the store, on a connection of its own."""

    def __init__(self, network: _Network, speaker: Speaker, number: int) -> None:
        self.ordinal = -1
        self._network = network
        self._speaker = speaker
        self._engine = Engine(speaker, network.prefix, f"192.0.2.{1 + number % 2}:2376")
        self._endpoint = f"{network.endpoints}{secrets.token_hex(32)}/"

    def start(self) -> None:
        """Take an address, write the endpoint, count it."""
        self._list()
        self._update(self._network.data, self._take)
        value = f'{{"ordinal":{self.ordinal}}}'.encode()
        if not self._engine.atomic_put(self._endpoint, value, 0):
            raise Failed(f"PUT {self._endpoint}?cas=0", "true: nobody else knows it", "false")
        self._update(self._network.count, partial(_counted, change=1))
        self._list()

    def remove(self) -> None:
        """Delete the endpoint, count it off, give the address back."""
        self._list()
        index = self._engine.index(self._endpoint)
        target = f"{self._endpoint}?cas={index}"
        equal(f"DELETE {target}", self._speaker.true("DELETE", target), expected=True)
        self._speaker.ask("GET", f"{self._endpoint}?consistent=", expect=(NOT_FOUND,))
        self._update(self._network.count, partial(_counted, change=-1))
        self._update(self._network.data, self._give_back)

    def _list(self) -> None:
        """List networks and endpoints, as engines do at every step."""
        for target in (f"{self._network.tree}network/", self._network.endpoints):
            self._speaker.ask("GET", f"{target}?consistent=", expect=READ)
            self._speaker.ask("GET", f"{target}?recurse=", expect=READ)

    def _take(self, value: bytes) -> bytes:
        bitmap = rendering.parse_bitmap(value)
        self.ordinal = bits.first_clear(bitmap)
        taken = bits.with_bit(bitmap, self.ordinal, taken=True)
        return rendering.render_bitmap(self._network.name, taken)

    def _give_back(self, value: bytes) -> bytes:
        free = bits.with_bit(rendering.parse_bitmap(value), self.ordinal, taken=False)
        return rendering.render_bitmap(self._network.name, free)

    def _update(self, target: str, change: Callable[[bytes], bytes]) -> None:
        """Read, change and write by check-and-set until nobody came between."""
        for _ in range(TRIES_MAX):
            index, found = self._speaker.read(f"{target}?consistent=")
            entry = _single(target, found)
            if self._engine.atomic_put(target, change(entry.value), index):
                return
        raise Failed(f"PUT {target}?cas=N", f"true within {TRIES_MAX} tries", "false each time")


def _single(target: str, found: list[Entry]) -> Entry:
    if len(found) != 1:
        raise Failed(f"GET {target}?consistent=", "one entry", str(found))
    return found[0]


def _counted(value: bytes, change: int) -> bytes:
    return rendering.render_count(rendering.parse_count(value) + change)


CASES = (
    Case(
        "load-E2",
        "load",
        "loses no update when fifty containers start at once, and are removed at once",
        fifty_starts_and_removals,
        needs=(Need.SLOW,),
        covers=("P7", "D1"),
    ),
)
