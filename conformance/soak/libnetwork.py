"""What one engine's libnetwork asks of the store when its user does something.

The order and the number of requests are those of engine 20.10.5, with two differences that keep
the number of live entries as it is, since the soak lives on that:

- The marker of a removed network is removed too; engines leave it.
- A removal reads the overlay record before it deletes it; engines use the index they remember,
  and leave the record and its VXLAN id behind when another engine wrote last.

Source: spec/docker-cluster-store.md, section 1.8, and recorded traffic.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from random import Random

from conformance.overlay.records import VNI_FIRST
from conformance.soak import bits, rendering
from conformance.soak.libkv import Libkv

_TREE = "docker/network/v1.0/"
_CONFIG = f"{_TREE}ipam/default/config/{rendering.SPACE}/"
_DATA = f"{_TREE}ipam/default/data/"
_IDM = f"{_TREE}idm/vxlan-id/"
_SUBNET_BITS = 256
_GATEWAY = 1


@dataclass(frozen=True, slots=True)
class Network:
    """One overlay network with a subnet of its own."""

    id: str
    name: str
    subnet: str


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One container's place on a network; `ordinal` is the number of its address."""

    id: str
    name: str
    network: Network
    ordinal: int


def count_key(network: Network) -> str:
    """Return the key whose changes tell engines that endpoints of a network came or went."""
    return f"{_TREE}endpoint_count/{network.id}/"


class Libnetwork:
    """One engine's network controller. `locator` is the engine's address without port.

    `bridge` is the id of a local network, which engines look for in the store all the same.
    Any of its requests may raise Broken; what was written by then stays.
    """

    def __init__(self, kv: Libkv, chance: Random, locator: str, bridge: str) -> None:
        self._kv = kv
        self._chance = chance
        self._locator = locator
        self._bridge = bridge
        # The next candidate subnet; each engine goes on from its own.
        self._cursor = 0
        self._knows_vnis = False

    async def start(self) -> None:
        """Read what an engine reads when it starts."""
        await self._kv.get(_CONFIG)
        await self.list_networks(7)

    async def list_networks(self, times: int = 1) -> None:
        """List all networks; engines do so at nearly every step."""
        for _ in range(times):
            for kind in ("network/", "endpoint_count/"):
                await self._ensure(_TREE + kind)
                await self._kv.list(_TREE + kind)

    async def list_endpoints(self, network: str) -> None:
        """List the endpoints of the network with an id, which needs not exist."""
        key = f"{_TREE}endpoint/{network}/"
        await self._kv.get(key)
        await self._kv.list(key)

    async def create_network(self, name: str) -> Network:
        """Create an overlay network on the next free subnet."""
        await self.list_networks()
        subnet = await self._take_pool()
        network = Network(new_id(self._chance), name, subnet)
        await self._kv.get(self._data_key(network))
        await self._create(self._data_key(network), self._fresh_bitmap(subnet))
        for ordinal in (0, _SUBNET_BITS - 1):
            await self._set_bit(network, ordinal, taken=True)
        await self._kv.get(_CONFIG)
        await self._set_bit(network, _GATEWAY, taken=True)
        await self._know_vnis()
        await self._create(self._overlay_key(network), rendering.render_overlay(subnet, 0))
        await self._create(count_key(network), rendering.render_count(0))
        await self._create(self._key(network), self._record(network))
        return network

    async def remove_network(self, network: Network, known: Iterable[Network]) -> None:
        """Remove a network without endpoints; `known` are all that the engine looks through."""
        await self.list_networks(4)
        for _ in range(2):
            for other in known:
                await self.list_endpoints(other.id)
        await self._kv.update(self._key(network), lambda _: self._record(network, in_delete=True))
        await self._free_vni(network)
        await self._set_bit(network, _GATEWAY, taken=False)
        await self._kv.update(_CONFIG, lambda value: rendering.without_pool(value, network.subnet))
        await self._kv.atomic_delete(self._data_key(network))
        await self._kv.atomic_delete(count_key(network))
        await self._kv.atomic_delete(self._key(network))
        await self._kv.delete(f"{_TREE}endpoint/{network.id}/")

    async def create_endpoint(self, network: Network, name: str) -> Endpoint:
        """Give a container an address and a record."""
        await self.list_networks(2)
        await self._ensure(f"{_TREE}endpoint/{network.id}/")
        await self._kv.list(f"{_TREE}endpoint/{network.id}/")
        await self.list_networks()
        await self._kv.get(_CONFIG)
        ordinal = await self._take_address(network)
        endpoint = Endpoint(new_id(self._chance), name, network, ordinal)
        await self._create(self._endpoint_key(endpoint), self._endpoint(endpoint, ""))
        return endpoint

    async def count(self, network: Network, change: int) -> None:
        """Add to the number of endpoints, which wakes all engines that watch the network."""

        def counted(value: bytes) -> bytes:
            return rendering.render_count(rendering.parse_count(value) + change)

        await self._kv.update(count_key(network), counted)

    async def join(self, endpoint: Endpoint) -> None:
        """Connect a container to the network, and find its VXLAN id."""
        for _ in range(2):
            await self.list_networks()
            await self._kv.get(self._endpoint_key(endpoint))
        await self._ensure_vni(endpoint.network)

    async def come_up(self, endpoint: Endpoint) -> None:
        """Write down the interface of a container that is up, and attach it to the bridge."""
        sandbox = new_id(self._chance)
        await self._kv.update(
            self._endpoint_key(endpoint), lambda _: self._endpoint(endpoint, sandbox)
        )
        await self.list_networks(2)
        await self._ensure(f"{_TREE}endpoint/{self._bridge}/")
        await self._kv.list(f"{_TREE}endpoint/{self._bridge}/")
        for _ in range(5):
            await self.list_networks(2)
            await self._look_locally(endpoint)
        await self.list_networks()

    async def remove_endpoint(self, endpoint: Endpoint) -> None:
        """Take a container off its network: its record and its address, but not the count."""
        await self.list_networks(3)
        await self._kv.update(self._endpoint_key(endpoint), lambda _: self._endpoint(endpoint, ""))
        for _ in range(2):
            await self.list_networks()
            await self._look_locally(endpoint)
        await self.list_networks()
        await self._kv.get(self._endpoint_key(endpoint))
        await self._kv.atomic_delete(self._endpoint_key(endpoint))
        await self._kv.get(_CONFIG)
        await self._set_bit(endpoint.network, endpoint.ordinal, taken=False)

    async def _look_locally(self, endpoint: Endpoint) -> None:
        """Look for a local endpoint in the store, in vain, as engines do."""
        await self._kv.get(f"{_TREE}endpoint/{self._bridge}/{endpoint.id}/")

    async def _ensure(self, key: str) -> None:
        """Write a marker unless it is there."""
        if await self._kv.get(key) is None:
            await self._kv.put(key, b"")

    async def _create(self, key: str, value: bytes) -> None:
        if not await self._kv.atomic_put(key, value, 0):
            raise self._kv.wire.fault("create", f"{key}: refused, though nobody else knows it")

    async def _take_pool(self) -> str:
        """Take the next subnet that no network has."""
        taken = ""

        def add(value: bytes) -> bytes:
            nonlocal taken
            pools = rendering.parse_config(value)
            in_use = set(pools)
            while rendering.pool_id(rendering.subnet_of(self._cursor)) in in_use:
                self._cursor += 1
            taken = rendering.subnet_of(self._cursor)
            self._cursor += 1
            return rendering.render_config([*pools, rendering.pool_id(taken)])

        await self._kv.update(_CONFIG, add)
        return taken

    async def _take_address(self, network: Network) -> int:
        ordinal = 0

        def take(value: bytes) -> bytes:
            nonlocal ordinal
            bitmap = rendering.parse_bitmap(value)
            ordinal = bits.first_clear(bitmap)
            taken = bits.with_bit(bitmap, ordinal, taken=True)
            return rendering.render_bitmap(rendering.pool_id(network.subnet), taken)

        await self._kv.update(self._data_key(network), take)
        return ordinal

    async def _set_bit(self, network: Network, ordinal: int, *, taken: bool) -> None:
        def changed(value: bytes) -> bytes:
            bitmap = bits.with_bit(rendering.parse_bitmap(value), ordinal, taken=taken)
            return rendering.render_bitmap(rendering.pool_id(network.subnet), bitmap)

        await self._kv.update(self._data_key(network), changed)

    async def _know_vnis(self) -> None:
        """See that there is a record of VXLAN ids, once in an engine's life."""
        if not self._knows_vnis and await self._kv.get(_IDM) is None:
            await self._kv.atomic_put(_IDM, rendering.fresh_vnis(), 0)
        self._knows_vnis = True

    async def _ensure_vni(self, network: Network) -> None:
        """Give the network a VXLAN id if this is its first endpoint anywhere."""
        while True:
            found = await self._kv.get(self._overlay_key(network))
            if found is None or rendering.parse_vni(found.value):
                return
            vni = await self._take_vni()
            record = rendering.render_overlay(network.subnet, vni)
            index = found.modify_index
            if await self._kv.atomic_put(self._overlay_key(network), record, index):
                return
            await self._give_back(vni)

    async def _take_vni(self) -> int:
        vni = 0

        def take(value: bytes) -> bytes:
            nonlocal vni
            vni = VNI_FIRST + bits.first_clear(rendering.parse_bitmap(value))
            return rendering.with_vni(value, vni, taken=True)

        await self._kv.update(_IDM, take)
        return vni

    async def _free_vni(self, network: Network) -> None:
        found = await self._kv.get(self._overlay_key(network))
        vni = rendering.parse_vni(found.value) if found else 0
        await self._kv.atomic_delete(self._overlay_key(network))
        if vni:
            await self._give_back(vni)

    async def _give_back(self, vni: int) -> None:
        await self._kv.update(_IDM, lambda value: rendering.with_vni(value, vni, taken=False))

    def _key(self, network: Network) -> str:
        return f"{_TREE}network/{network.id}/"

    def _overlay_key(self, network: Network) -> str:
        return f"{_TREE}overlay/network/{network.id}/"

    def _data_key(self, network: Network) -> str:
        return f"{_DATA}{rendering.pool_id(network.subnet)}/"

    def _endpoint_key(self, endpoint: Endpoint) -> str:
        return f"{_TREE}endpoint/{endpoint.network.id}/{endpoint.id}/"

    def _record(self, network: Network, *, in_delete: bool = False) -> bytes:
        return rendering.render_network(
            network.id, network.name, network.subnet, in_delete=in_delete
        )

    def _endpoint(self, endpoint: Endpoint, sandbox: str) -> bytes:
        return rendering.render_endpoint(
            endpoint.id,
            endpoint.name,
            endpoint.network.subnet,
            endpoint.ordinal,
            self._locator,
            sandbox,
        )

    def _fresh_bitmap(self, subnet: str) -> bytes:
        return rendering.render_bitmap(rendering.pool_id(subnet), bits.empty(_SUBNET_BITS))


def new_id(chance: Random) -> str:
    """Return 64 hexadecimal digits."""
    return f"{chance.getrandbits(256):064x}"
