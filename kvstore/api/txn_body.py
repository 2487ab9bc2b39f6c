"""The JSON body of `/v1/txn` → operations, as strictly as Go reads it. Pure.

Members match in any letter case and the last of two wins, but one that is unknown is an error
(T1).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Protocol

from kvstore.api.gojson import Members, bytes_of, decode, text_of, uint_of, wrong_type
from kvstore.api.gotext import quote
from kvstore.errors import InvalidRequest
from kvstore.state.command import (
    CasKey,
    CheckIndex,
    CheckNotExists,
    CheckSession,
    DeleteKey,
    DeleteKeyCas,
    DeleteTree,
    GetKey,
    GetTree,
    ImpossibleOp,
    LockKey,
    SetKey,
    TxnOp,
    UnlockKey,
)

__all__ = ["WrittenKV", "WrittenOp", "parse_txn_body", "written_op"]


@dataclass(slots=True)
class WrittenOp:
    """One operation as the client wrote it."""

    op: Final[TxnOp]
    # What the operation is about; empty for one that is not about keys.
    key: Final[bytes]
    # Whether Consul counts it as a write (T6): it does not count a verb that it does not know.
    is_write: Final[bool]
    # Whether it is wrong without a key (T4).
    needs_key: Final[bool]


class WrittenKV(Protocol):
    """The members of a KV operation as the client wrote them."""

    verb: str
    key: str
    value: bytes
    flags: int
    index: int
    session: str


@dataclass(slots=True)
class _KV:
    """A WrittenKV; the defaults are Go's zero values."""

    verb: str = ""
    key: str = ""
    value: bytes = b""
    flags: int = 0
    index: int = 0
    session: str = ""


# What makes the operation, and whether it is a write.
_VERBS: dict[str, tuple[Callable[[bytes, WrittenKV], TxnOp], bool]] = {
    "set": (lambda key, kv: SetKey(key, kv.value, kv.flags), True),
    "cas": (lambda key, kv: CasKey(key, kv.value, kv.flags, kv.index), True),
    "lock": (lambda key, kv: LockKey(key, kv.value, kv.flags, kv.session), True),
    "unlock": (lambda key, kv: UnlockKey(key, kv.value, kv.flags, kv.session), True),
    "delete": (lambda key, _: DeleteKey(key), True),
    "delete-cas": (lambda key, kv: DeleteKeyCas(key, kv.index), True),
    "delete-tree": (lambda key, _: DeleteTree(key), True),
    "get": (lambda key, _: GetKey(key), False),
    "get-or-empty": (lambda key, _: GetKey(key, or_empty=True), False),
    "get-tree": (lambda key, _: GetTree(key), False),
    "check-index": (lambda key, kv: CheckIndex(key, kv.index), False),
    "check-session": (lambda key, kv: CheckSession(key, kv.session), False),
    "check-not-exists": (lambda key, _: CheckNotExists(key), False),
}

_PLACE = "Go struct field KVTxnOp.KV."
# What else a transaction of Consul's may hold; the first in this order counts (T3).
_CATALOG_KINDS = ("Node", "Service", "Check")


def parse_txn_body(body: bytes) -> list[WrittenOp | None]:
    """Return the operations of a transaction; None stands for one that says nothing (`{}`).

    Raises InvalidRequest with the text behind "Failed to parse body: ".
    """
    ops = decode(body)
    if ops is None:
        return []
    if isinstance(ops, Members) or not isinstance(ops, list):
        raise wrong_type(ops, "Go value", "api.TxnOps")
    return [_parse_op(one) for one in ops]


def _parse_op(value: Any) -> WrittenOp | None:
    if value is None:
        # Ours (rule txn-null-operation): Consul's handler ends in a panic.
        raise InvalidRequest('an operation is null, expected an object such as {"KV": {…}}')
    if not isinstance(value, Members):
        raise wrong_type(value, "Go value", "api.TxnOp")
    kv: _KV | None = None
    catalog: dict[str, WrittenOp | None] = {}
    for name, one in value:
        kind = "kv" if name == "KV" else name.casefold()
        if kind == "kv":
            # Of two, the second adds to the first, as with any structure that Go reads twice.
            kv = None if one is None else _read_kv(kv or _KV(), one)
        elif kind.capitalize() in _CATALOG_KINDS:
            catalog[kind.capitalize()] = _parse_catalog(kind.capitalize(), one)
        else:
            raise InvalidRequest(f"json: unknown field {quote(name)}")
    if kv is not None:
        return written_op(kv)
    return next((catalog[kind] for kind in _CATALOG_KINDS if catalog.get(kind)), None)


def _read_kv(kv: _KV, value: Any) -> _KV:
    if not isinstance(value, Members):
        raise wrong_type(value, "Go struct field TxnOp.KV", "api.KVTxnOp")
    for name, one in value:
        parse = _MEMBERS.get(name) or _MEMBERS.get(name.casefold())
        if parse is None:
            raise InvalidRequest(f"json: unknown field {quote(name)}")
        parse(kv, one)
    return kv


def written_op(kv: WrittenKV) -> WrittenOp:
    """Return the operation that these members make; one that is impossible for an unknown verb."""
    verb, key = kv.verb, kv.key.encode()
    if verb not in _VERBS:
        why = f"unknown KV verb {quote(verb)}"
        return WrittenOp(ImpossibleOp(why), key, is_write=False, needs_key=True)
    make, is_write = _VERBS[verb]
    return WrittenOp(make(key, kv), key, is_write, verb != "delete-tree")


def _parse_catalog(kind: str, value: Any) -> WrittenOp | None:
    """Return an operation that fails: there is no catalog to read or write (rule one-node)."""
    if value is None:
        return None
    if not isinstance(value, Members):
        raise wrong_type(value, f"Go struct field TxnOp.{kind}", f"api.{kind}TxnOp")
    verb = next((one for name, one in reversed(value) if name.casefold() == "verb"), "")
    verb = "" if verb is None else text_of(verb, f"Go struct field {kind}TxnOp.{kind}.Verb")
    why = f"unknown {kind} verb {quote(verb)}: this server has keys and sessions, but no catalog"
    return WrittenOp(ImpossibleOp(why), b"", verb != "get", needs_key=False)


def _verb(kv: _KV, value: Any) -> None:
    if value is not None:
        kv.verb = text_of(value, _PLACE + "Verb", "api.KVOp")


def _key(kv: _KV, value: Any) -> None:
    if value is not None:
        kv.key = text_of(value, _PLACE + "Key")


def _value(kv: _KV, value: Any) -> None:
    kv.value = b"" if value is None else bytes_of(value, _PLACE + "Value")


def _flags(kv: _KV, value: Any) -> None:
    if value is not None:
        kv.flags = uint_of(value, _PLACE + "Flags", 64)


def _index(kv: _KV, value: Any) -> None:
    if value is not None:
        kv.index = uint_of(value, _PLACE + "Index", 64)


def _session(kv: _KV, value: Any) -> None:
    if value is not None:
        kv.session = text_of(value, _PLACE + "Session")


def _namespace(_kv: _KV, value: Any) -> None:
    if value is not None:
        text_of(value, _PLACE + "Namespace")  # then ignored (T11)


# As Go's clients spell them, and as any other spelling is folded.
_MEMBERS: dict[str, Callable[[_KV, Any], None]] = {
    "Verb": _verb,
    "Key": _key,
    "Value": _value,
    "Flags": _flags,
    "Index": _index,
    "Session": _session,
    "verb": _verb,
    "key": _key,
    "value": _value,
    "flags": _flags,
    "index": _index,
    "session": _session,
    "namespace": _namespace,
}
