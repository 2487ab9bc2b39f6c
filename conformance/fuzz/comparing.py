"""Two answers to the same request, made comparable: labels for names, order for indexes."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from conformance.fuzz.naming import Names
from conformance.suite.headers import watched
from conformance.suite.wire import Answer

INDEX_HEADER = "X-Consul-Index"
GZIP = "gzip"

_INDEX = re.compile(
    rb'((?<=(?:Create|Modify)Index":) ?\d+|(?<=current modify index )\d+|(?<=\d != )\d+)'
)
_SESSIONS = re.compile(rb'\s*\[\s*{\s*"ID":')
_CAS = re.compile(rb"cas=\d+")
_ECHOES_CAS = b"Conflicting flags: "


@dataclass(frozen=True, slots=True)
class Seen:
    """What of an answer is compared: as it stands, and the indexes by their order."""

    status: int
    headers: dict[str, str]
    body: bytes
    indexes: list[int]
    gzipped: bool
    body_bytes: int


def see(answer: Answer, names: Names) -> Seen:
    """Return what is compared of an answer of the side that uses these names."""
    headers = watched(answer)
    index = headers.pop(INDEX_HEADER, None)
    gzipped = headers.pop("Content-Encoding", None) == GZIP
    plain = answer.plain
    body, indexes = _without_indexes(_in_order(names.label(plain), names))
    if index is not None:
        headers[INDEX_HEADER] = "N"
        indexes.append(int(index))
    if "Location" in headers:
        place = _CAS.sub(b"cas=N", names.label(headers["Location"].encode("latin-1")))
        headers["Location"] = place.decode("latin-1")
    if b"cas=" in body and (body.startswith(_ECHOES_CAS) or answer.status == 301):  # noqa: PLR2004
        body = _CAS.sub(b"cas=N", body)
    return Seen(answer.status, headers, body, indexes, gzipped, len(plain))


def _without_indexes(body: bytes) -> tuple[bytes, list[int]]:
    if b"ndex" not in body:
        return body, []
    parts = _INDEX.split(body)
    return b"0".join(parts[::2]), [int(number) for number in parts[1::2]]


def _in_order(body: bytes, names: Names) -> bytes:
    """Put sessions in the order of their labels; stores list them by ids, which are chance."""
    if len(names.sessions) < 2 or not _SESSIONS.match(body):  # noqa: PLR2004 - one is in order
        return body
    sessions = json.loads(body)
    if len(sessions) == 1:
        return body
    sessions.sort(key=lambda session: str(session["ID"]))
    return json.dumps(sessions).encode() + (b" pretty" if body.endswith(b"\n") else b"")


def shape(value: Any) -> Any:
    """Return what kind of JSON it is: the kind of the whole, and of the items of a list."""
    if isinstance(value, list):
        return ["list", *sorted({str(shape(item)) for item in value})]
    return type(value).__name__


def shaped(seen: Seen) -> Seen:
    """Return what is compared of an answer that is true of one store only."""
    try:
        body = json.dumps(shape(json.loads(seen.body))).encode()
    except ValueError:
        body = seen.body
    return Seen(seen.status, seen.headers, body, [], seen.gzipped, seen.body_bytes)


def difference(
    theirs: Seen, ours: Seen, fits: Callable[[int, int], bool], *, ahead: bool = False
) -> str | None:
    """Return in what these differ, or None.

    With `ahead` the index of the last header may be later in ours (the caller knows the rule).
    """
    if theirs.status != ours.status:
        return f"status {ours.status} instead of {theirs.status}"
    if theirs.headers != ours.headers:
        names = sorted(theirs.headers.keys() | ours.headers.keys())
        wrong = [name for name in names if theirs.headers.get(name) != ours.headers.get(name)]
        return f"header {', '.join(wrong)}"
    if theirs.body != ours.body:
        return "body"
    if len(theirs.indexes) != len(ours.indexes):
        return "the number of indexes"
    pairs = list(zip(theirs.indexes, ours.indexes, strict=True))
    for pair in pairs[:-1] if ahead else pairs:
        if not fits(*pair):
            return f"index {pair[1]} is out of order with {pair[0]}"
    return None
