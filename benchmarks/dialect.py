"""How a store is asked: Consul's KV API, and etcd's JSON gateway. Pure.

A dialect makes requests out of keys and values and reads answers; scenarios know no other words.
"""

import base64
import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from benchmarks.client import Call, Reply

__all__ = ["CONSUL", "ETCD", "Dialect", "Pair", "Template"]

OK = 200
Pair = tuple[str, bytes]


@dataclass(frozen=True, slots=True)
class Template:
    """A write for many keys, for the load generator.

    `target` may hold `%04d` for the number of the key; `body` may hold `%04d%08d`, the number of
    the key and a number that is new in each request.
    """

    method: str
    target: str
    body: str


class Dialect(ABC):
    """One way to talk to a store."""

    @abstractmethod
    def get(self, key: str) -> Call:
        """Return the read of one key, as engines send it."""

    @abstractmethod
    def put(self, key: str, value: bytes) -> Call:
        """Return the write of one key."""

    @abstractmethod
    def list(self, prefix: str) -> Call:
        """Return the read of all keys with a prefix."""

    @abstractmethod
    def delete(self, prefix: str) -> Call:
        """Return the deletion of all keys with a prefix."""

    @abstractmethod
    def transaction(self, pairs: Iterable[Pair]) -> Call:
        """Return one request that writes all pairs, or none."""

    @abstractmethod
    def put_template(self, prefix: str, tail: str) -> Template:
        """Return writes of numbered keys below a prefix; `tail` fills the value up."""

    @abstractmethod
    def values(self, reply: Reply) -> Sequence[bytes]:
        """Return the values in the answer to a read."""

    @abstractmethod
    def wrote(self, reply: Reply) -> bool:
        """Return whether a write was done."""


class ConsulDialect(Dialect):
    """Consul's KV API, which is also ours."""

    def get(self, key: str) -> Call:
        """Return a read as engines send it."""
        return Call("GET", f"/v1/kv/{key}?consistent=")

    def put(self, key: str, value: bytes) -> Call:
        """Return a plain write."""
        return Call("PUT", f"/v1/kv/{key}", value)

    def list(self, prefix: str) -> Call:
        """Return a recursive list."""
        return Call("GET", f"/v1/kv/{prefix}?recurse=")

    def delete(self, prefix: str) -> Call:
        """Return a recursive delete."""
        return Call("DELETE", f"/v1/kv/{prefix}?recurse=")

    def transaction(self, pairs: Iterable[Pair]) -> Call:
        """Return one transaction of `set` operations."""
        operations = [
            {"KV": {"Verb": "set", "Key": key, "Value": _base64(value)}} for key, value in pairs
        ]
        return Call("PUT", "/v1/txn", json.dumps(operations).encode())

    def put_template(self, prefix: str, tail: str) -> Template:
        """Return writes of keys with four digits behind the prefix."""
        return Template("PUT", f"/v1/kv/{prefix}%04d", f"%04d%08d{tail}")

    def values(self, reply: Reply) -> Sequence[bytes]:
        """Return the values of a JSON list; none of a 404."""
        if reply.status != OK:
            return []
        return [base64.b64decode(one["Value"] or "") for one in json.loads(reply.body)]

    def wrote(self, reply: Reply) -> bool:
        """Return whether the answer is what libkv looks for, or a transaction without errors."""
        if reply.status != OK:
            return False
        return reply.body.strip() == b"true" or reply.body.startswith(b'{"Results":[{')


class EtcdDialect(Dialect):
    """The JSON gateway of etcd's v3 API; keys and values are base64 in it."""

    def get(self, key: str) -> Call:
        """Return a linearizable read, which is etcd's default."""
        return _post("range", {"key": _base64(key.encode())})

    def put(self, key: str, value: bytes) -> Call:
        """Return a write."""
        return _post("put", {"key": _base64(key.encode()), "value": _base64(value)})

    def list(self, prefix: str) -> Call:
        """Return a range from the prefix to its successor."""
        return _post("range", _range(prefix))

    def delete(self, prefix: str) -> Call:
        """Return the deletion of that range."""
        return _post("deleterange", _range(prefix))

    def transaction(self, pairs: Iterable[Pair]) -> Call:
        """Return one transaction of puts without conditions."""
        puts = [
            {"requestPut": {"key": _base64(key.encode()), "value": _base64(value)}}
            for key, value in pairs
        ]
        return _post("txn", {"success": puts})

    def put_template(self, prefix: str, tail: str) -> Template:
        """Return writes whose keys and values are digits in base64 already: any digits are."""
        key = _base64(_padded(prefix.encode()))
        value = _base64(_padded(tail.encode()))
        return Template("POST", "/v3/kv/put", f'{{"key":"{key}%04d","value":"%08d{value}"}}')

    def values(self, reply: Reply) -> Sequence[bytes]:
        """Return the values of a range."""
        found = json.loads(reply.body).get("kvs", []) if reply.status == OK else []
        return [base64.b64decode(one.get("value", "")) for one in found]

    def wrote(self, reply: Reply) -> bool:
        """Return whether the write has a revision."""
        return reply.status == OK and "revision" in json.loads(reply.body).get("header", {})


CONSUL = ConsulDialect()
ETCD = EtcdDialect()


def _post(method: str, body: dict[str, object]) -> Call:
    return Call("POST", f"/v3/kv/{method}", json.dumps(body, separators=(",", ":")).encode())


def _range(prefix: str) -> dict[str, object]:
    first = prefix.encode()
    behind = first[:-1] + bytes([first[-1] + 1])
    return {"key": _base64(first), "range_end": _base64(behind)}


def _padded(raw: bytes) -> bytes:
    """Return the bytes filled up to a multiple of three: then base64 goes on behind them."""
    return raw + b"/" * (-len(raw) % 3)


def _base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode("ascii")
