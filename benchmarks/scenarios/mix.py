"""`mix`: what Docker engines ask for, in the proportions they ask for it."""

from collections.abc import Iterator
from random import Random

from benchmarks.client import Call, Client
from benchmarks.errors import WrongAnswer
from benchmarks.figures import Figure
from benchmarks.ground import Ground
from benchmarks.scenarios.base import CONSULS, Scenario, check_count
from conformance.clients.golock import LOCK_FLAGS
from conformance.soak.libnetwork import new_id
from conformance.soak.rendering import (
    address_in,
    render_count,
    render_endpoint,
    render_network,
    subnet_of,
)

__all__ = ["EngineMix", "steps"]

_TREE = "docker/network/v1.0/"
_ENGINES = 64
_NETWORKS = 3
_ENDPOINTS = 16
_SEED = 5
_SESSION = b'{"Behavior":"delete","LockDelay":"1ms","TTL":"3600s"}'


class EngineMix(Scenario):
    """Sixty-four engines at once, each going through 221 requests as recorded of real ones.

    The counts are those of 6,983 requests of engines 20.10.5 that were no long polls, with two
    engines and a day's work and with fifty containers started at once: 56 % reads of one key, a
    fourteenth of them of keys that are not there; 37 % recursive lists, short ones of all networks
    and, one in seventeen, long ones of one network's endpoints; 5 % check-and-sets, each with the
    index of a read before it and with a read of the new index behind it; heartbeats.
    """

    name = "mix"
    stores = CONSULS

    def run(self, ground: Ground) -> list[Figure]:
        """Make the networks, let the engines work; every answer has a status to have."""
        chance = Random(_SEED)  # noqa: S311 - the same networks for every store
        networks = [new_id(chance) for _ in range(_NETWORKS)]
        script = ground.folder / "mix.txt"
        with ground.server.client() as client:
            session = _prepare(client, networks, chance)
            lines = [" ".join(step) for step in steps(networks, session)]
            script.write_text("\n".join(lines) + "\n", encoding="utf-8")
            _, figures = ground.load("mix", [str(script)], connections=_ENGINES, threads=_ENGINES)
            dialect = ground.store.dialect
            check_count(client, dialect, f"{_TREE}endpoint/{networks[0]}/", _ENDPOINTS + 1)
            check_count(client, dialect, f"{_TREE}engines/", _ENGINES)
        return figures


def steps(networks: list[str], session: str) -> list[tuple[str, ...]]:
    """Return what one engine does, again and again: method, target, status, body."""
    first = networks[0]
    own = f"{_TREE}engines/{{engine}}"
    short = [
        *(_get("network/"), _list("network/"), _get("endpoint_count/"), _list("endpoint_count/")),
    ]
    update = [_get(own), ("PUT", f"{_key(own)}?cas={{index}}&flags={LOCK_FLAGS}", "200",
                          '{"Count":{count}}'), _get(own)]  # fmt: skip
    singles = [
        *(_get(f"endpoint_count/{first}/"), _get(f"network/{first}/"), _get(f"endpoint/{first}/")),
        *(_get(f"endpoint/{first}/missing/", "404"), _list(f"endpoint/{networks[1]}/")),
    ]
    parts: list[tuple[str, ...]] = []
    for turn in range(33):
        parts += short
        if turn % 3 == 0:
            parts += update
        if turn % 4 == 0:
            parts += singles
        if turn % 8 == 0:
            parts.append(_list(f"endpoint/{first}/"))
    parts += _brief()
    parts += _heartbeat(session)
    return parts


def _brief() -> Iterator[tuple[str, ...]]:
    """Yield what makes a record and removes it again."""
    key = f"{_TREE}briefs/{{engine}}"
    yield "PUT", f"{_key(key)}?cas=0&flags={LOCK_FLAGS}", "200", "{}"
    yield _get(key)
    yield "DELETE", f"{_key(key)}?cas={{index}}", "200"


def _heartbeat(session: str) -> Iterator[tuple[str, ...]]:
    node = "/v1/kv/docker/nodes/10.0.0.{engine}:2376"
    yield "GET", node, "200"
    yield "PUT", f"/v1/session/renew/{session}", "200"
    yield "PUT", f"{node}?flags={LOCK_FLAGS}", "200", "10.0.0.1:2376"


def _get(key: str, status: str = "200") -> tuple[str, ...]:
    return "GET", f"{_key(key)}?consistent=", status


def _list(key: str) -> tuple[str, ...]:
    return "GET", f"{_key(key)}?recurse=", "200"


def _key(key: str) -> str:
    return f"/v1/kv/{key if key.startswith(_TREE) else _TREE + key}"


def _prepare(client: Client, networks: list[str], chance: Random) -> str:
    """Write the records of networks and engines; return the id of a session."""
    records = {f"{_TREE}{name}/": b"" for name in ("network", "endpoint_count")}
    for number, network in enumerate(networks):
        subnet = subnet_of(number)
        count = _ENDPOINTS if number == 0 else 1
        records[f"{_TREE}network/{network}/"] = render_network(network, f"net{number}", subnet)
        records[f"{_TREE}endpoint_count/{network}/"] = render_count(count)
        records[f"{_TREE}endpoint/{network}/"] = b""
        for ordinal in range(2, count + 2):
            endpoint = new_id(chance)
            records[f"{_TREE}endpoint/{network}/{endpoint}/"] = render_endpoint(
                endpoint, f"c{ordinal}", subnet, ordinal, address_in(subnet, 1), new_id(chance)
            )
    for engine in range(1, _ENGINES + 1):
        records[f"{_TREE}engines/{engine}"] = render_count(0)
        records[f"docker/nodes/10.0.0.{engine}:2376"] = b"10.0.0.1:2376"
    for key, record in records.items():
        target = f"/v1/kv/{key}?flags={LOCK_FLAGS}"
        if client.ask(Call("PUT", target, record)).body.strip() != b"true":
            raise WrongAnswer(f"the write of {key} was refused")
    made = client.ask(Call("PUT", "/v1/session/create", _SESSION))
    return made.body.decode().split('"')[3]
