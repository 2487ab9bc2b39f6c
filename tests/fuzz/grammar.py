"""What a client might send, by chance: requests of all kinds, whole conversations, and damage.

Every conversation is made from a seed and a number alone, so it can be made again. A sound one
holds to HTTP and has one answer to each request; a damaged one may be anything.
"""

import json
import string
from dataclasses import dataclass, field
from random import Random
from urllib.parse import quote

__all__ = ["Conversation", "Expected", "converse"]

_WORDS = [
    "a",
    "b",
    "docker",
    "network",
    "é",
    "世界",
    "x y",
    "%",
    "..",
    ".",
    "",
    "~",
    "\xff",
    "k" * 300,
]
_ESCAPED = ["%2F", "%00", "%25", "%c3%a9", "%ff", "%zz", "%2", "+", "%20", "%2e%2e", "%E2%80%8B"]
_PREFIXES = [
    "/v1/session/create",
    "/v1/session/destroy/",
    "/v1/session/renew/",
    "/v1/session/info/",
    "/v1/session/node/",
    "/v1/session/list",
    "/v1/status/leader",
    "/v1/status/peers",
    "/v1/agent/self",
    "/v1/agent/members",
    "/v1/agent/checks",
    "/v1/agent/services",
    "/v1/agent/check/pass/",
    "/v1/agent/metrics",
    "/v1/catalog/nodes",
    "/v1/catalog/node/",
    "/v1/catalog/service/",
    "/v1/catalog/datacenters",
    "/v1/health/state/any",
    "/v1/health/service/",
    "/v1/event/list",
    "/v1/event/fire/",
    "/v1/coordinate/nodes",
    "/v1/operator/raft/configuration",
    "/v1/query",
    "/v1/txn",
    "/v1/acl/token/self",
    "/v1/snapshot",
    "/v1",
    "/",
    "/ui/",
    "/favicon.ico",
]
_NAMES = ["recurse", "keys", "raw", "pretty", "stale", "consistent", "cached", "separator", "flags"]
_NAMES += [
    "cas",
    "acquire",
    "release",
    "dc",
    "ns",
    "token",
    "wait",
    "index",
    "max_stale",
    "near",
    "é",
]
_VALUES = [
    "",
    "0",
    "1",
    "7",
    "18446744073709551615",
    "18446744073709551616",
    "-1",
    "abc",
    "1s",
    "5ms",
]
_VALUES += [
    "dc1",
    "other",
    "/",
    "%zz",
    "%ff",
    "a;b",
    "x" * 100,
    "12345678-9abc-def0-1234-56789abcdef0",
]
_ODD_METHODS = ["get", "FOO", "PATCH", "CONNECT", "TRACE", "M-SEARCH", "PRI", "G\x00T", "\xff", ""]
_HEADERS = [
    "Accept-Encoding: gzip",
    "Accept-Encoding: gzip;q=0",
    "Cache-Control: max-age=5",
    "X-Consul-Token: secret",
    "Authorization: Bearer secret",
    "Referer: http://h/v1/kv//a",
    "Connection: keep-alive",
    "Content-Type: application/json",
    "Range: bytes=0-1",
    "If-None-Match: *",
    "User-Agent: Go-http-client/1.1",
    "X-Long: " + "x" * 2000,
    "X: \xff\xfe",
]
# With an answer of their own.
_TELLING_HEADERS = ["Cache-Control: max-age=x", "X-Consul-Namespace: n"]
_ODD_HEADERS = [
    "X-\xff: \xff",
    "Content-Length: 5",
    "Content-Length: -1",
    "Content-Length: 99999999999999999999",
    "Content-Length: 18446744073709551615",
    "Transfer-Encoding: chunked",
    "Transfer-Encoding: gzip, chunked",
    "Transfer-Encoding: identity",
    "Host: other",
    "Expect: 100-continue",
    "Expect: tea",
    "Connection: close",
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Upgrade: h2c",
    " folded: x",
    "no colon",
    ": no name",
    "X : space",
    "X: \0",
]
_TOKENS = [
    b"\r\n", b"\r\n\r\n", b"\n", b"\r", b"\0", b" ", b"\t", b"%", b"/", b"?", b"&", b";", b":",
    b"0\r\n\r\n", b"5;x\r\n", b"ffffffff\r\n", b"HTTP/1.0", b"HTTP/1.1", b"HTTP/2.0", b"\xff" * 4,
    b"Content-Length: 5\r\n", b"Content-Length: 0\r\n", b"Transfer-Encoding: chunked\r\n",
    b"Expect: 100-continue\r\n", b"Connection: close\r\n", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
]  # fmt: skip

# So much is read while a query is parked. Behind more, nobody would see the client's end, and the
# query would wait for its five minutes.
_BEHIND_A_QUERY_MAX = 60_000


@dataclass(frozen=True, slots=True)
class Expected:
    """What the answer to a sound request must be; None where anything of the contract will do."""

    method: str
    status: int | None = None
    body: bytes | None = None


@dataclass(slots=True)
class Conversation:
    """What a client sends on one connection."""

    number: int
    # Empty in a damaged one.
    expected: list[Expected] = field(default_factory=list)
    # How many requests it was made of.
    count: int = 0
    # What goes out in one piece each.
    pieces: list[bytes] = field(default_factory=list)
    # Whether it ends without waiting for answers, by a reset.
    leaves: bool = False

    @property
    def sound(self) -> bool:
        """Whether it holds to HTTP."""
        return bool(self.expected)


def converse(seed: int, number: int) -> Conversation:
    """Return a conversation."""
    chance = Random(f"{seed} {number}")
    talk = Conversation(number)
    make = _sound if chance.random() < 0.5 else _damaged
    data = make(chance, talk)
    talk.pieces = _cut(chance, data)
    return talk


def _cut(chance: Random, data: bytes) -> list[bytes]:
    """Return data in pieces, often in one."""
    if not data or chance.random() < 0.6:
        return [data]
    places = sorted(chance.randrange(len(data)) for _ in range(chance.randrange(1, 6)))
    return [data[i:j] for i, j in zip([0, *places], [*places, len(data)], strict=True)]


def _sound(chance: Random, talk: Conversation) -> bytes:
    count = chance.choice((1, 3, 10, 20, 40))
    requests = []
    while len(requests) < count:
        key = f"/v1/kv/own/{talk.number}/{len(requests)}"
        if chance.random() < 0.3:
            value = _value(chance, b"never")
            # Where it is not refused, since that ends a connection (H37).
            expect = ["Expect: 100-continue"] if chance.random() < 0.1 else []
            requests.append(_request(chance, "PUT", key, value, *expect))
            talk.expected.append(Expected("PUT", 200, b"true"))
            requests.append(_request(chance, "GET", f"{key}?raw", None))
            talk.expected.append(Expected("GET", 200, value))
        else:
            method = chance.choice(("GET", "GET", "PUT", "DELETE", "OPTIONS", "POST", "HEAD"))
            target = _target(chance)
            body = _body(chance, target) if method in ("PUT", "POST") else None
            telling = _TELLING_HEADERS[chance.randrange(20) :]
            requests.append(_request(chance, method, target, body, *telling))
            talk.expected.append(Expected(method))
    last = _request(chance, "GET", "/", None, "Connection: close")
    talk.expected.append(Expected("GET", 200, b"Consul Agent"))
    talk.count = len(talk.expected)
    return b"".join([*requests, last])


def _damaged(chance: Random, talk: Conversation) -> bytes:
    talk.count = chance.choice((1, 1, 2, 5, 12))
    talk.leaves = chance.random() < 0.1
    data = bytearray()
    for _ in range(talk.count):
        method = chance.choice(("GET", "PUT", "PUT", "DELETE", "OPTIONS", *_ODD_METHODS[:7]))
        if chance.random() < 0.05:
            method = chance.choice(_ODD_METHODS)
        target = _target(chance, odd=True)
        body = _body(chance, target) if chance.random() < 0.6 else None
        odd = chance.sample(_ODD_HEADERS + _TELLING_HEADERS, chance.choice((0, 0, 0, 1, 2)))
        data += _request(chance, method, target, body, *odd)
    for _ in range(chance.choice((0, 1, 1, 2, 5))):
        _mutate(chance, data)
    if b"index" in data:
        del data[_BEHIND_A_QUERY_MAX:]
    return bytes(data)


def _mutate(chance: Random, data: bytearray) -> None:
    # Heads are where it matters, so most damage is done near a line's end.
    place = chance.randrange(len(data) + 1)
    if chance.random() < 0.5:
        place = max(0, data.find(b"\r\n", place))
    kind = chance.randrange(6)
    if kind == 0 and place < len(data):
        data[place] ^= 1 << chance.randrange(8)
    elif kind == 1:
        del data[place : place + chance.choice((1, 1, 2, 10, 100))]
    elif kind == 2:
        data[place:place] = data[place : place + chance.choice((1, 2, 10, 100))]
    elif kind == 3:
        del data[place:]
    else:
        data[place:place] = chance.choice(_TOKENS)


def _target(chance: Random, *, odd: bool = False) -> str:
    if chance.random() < 0.5:
        path = "/v1/kv/f/" + "/".join(_segment(chance, odd=odd) for _ in range(chance.randrange(4)))
    else:
        path = chance.choice(_PREFIXES)
        if path.endswith("/"):
            path += _segment(chance, odd=odd)
    if odd and chance.random() < 0.1:
        path = chance.choice(("http://h:1", "//", "*", "h:80", "x://", "http://[", "")) + path
    pairs = []
    for _ in range(chance.choice((0, 0, 1, 2, 4))):
        value = chance.choice(_VALUES)
        pairs.append(chance.choice(_NAMES) + (f"={value}" if chance.random() < 0.8 else ""))
    if any(one.startswith("index") for one in pairs):
        # The first one counts.
        pairs.insert(0, "wait=1ms")
    elif odd and chance.random() < 0.1:
        pairs.append("index=99999")
    query = "?" + chance.choice("&&&;").join(pairs) if pairs else ""
    target = (path + query).replace(" ", "%20")
    if odd:
        return target.encode().decode("latin-1")
    # Unescaped, they are taken only from who sends one request at a time.
    return quote(target, safe=string.punctuation)


def _segment(chance: Random, *, odd: bool) -> str:
    words = _WORDS if not odd else _WORDS + _ESCAPED
    return "".join(chance.choice(words) for _ in range(chance.randrange(1, 3))).replace(
        "%", "%25" if not odd else "%"
    )


def _value(chance: Random, key: bytes) -> bytes:
    """Return a value; some look like requests, which would write under the given key."""
    size = chance.choice((0, 1, 10, 100, 100, 1000, 1000, 5000))
    if chance.random() < 0.01:
        size = chance.choice((100_000, 400_000))
    if chance.random() < 0.3:
        return b"\r\n0\r\n\r\nPUT /v1/kv/%b HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx" % key
    return chance.randbytes(size)


def _body(chance: Random, target: str) -> bytes:
    if target.startswith(("/v1/session", "/v1/txn", "/v1/query", "/v1/event")):
        text = json.dumps(_json(chance, 0)).encode()
        return text if chance.random() < 0.8 else text[: chance.randrange(len(text) + 1)]
    if chance.random() < 0.003:
        return bytes(chance.choice((524_288, 524_289, 600_000)))
    return _value(chance, b"maybe")


_MEMBERS = ["Name", "TTL", "LockDelay", "Behavior", "Node", "Checks", "NodeChecks", "ServiceChecks"]
_MEMBERS += ["KV", "Verb", "Key", "Value", "Flags", "Index", "Session", "kv", "verb", "ID", "é"]
_VERBS = [
    "set",
    "cas",
    "lock",
    "unlock",
    "get",
    "get-tree",
    "get-or-empty",
    "check-index",
    "delete",
]
_VERBS += ["delete-tree", "delete-cas", "check-session", "check-not-exists", "nope"]


def _json(chance: Random, depth: int) -> object:
    kind = chance.randrange(10)
    if depth == 0 and kind < 4:
        return {"TTL": chance.choice(("10s", "15s", "", "1ms", 7)), "LockDelay": "0s"}
    if depth == 0 and kind < 8:
        return [{"KV": _kv_op(chance)} for _ in range(chance.choice((0, 1, 3, 64, 65, 129)))]
    if kind < 4 and depth < 4:
        return {chance.choice(_MEMBERS): _json(chance, depth + 1) for _ in range(3)}
    if kind < 6 and depth < 4:
        return [_json(chance, depth + 1) for _ in range(chance.randrange(4))]
    plain: list[object] = [
        None,
        True,
        0,
        -1,
        1.5,
        1e300,
        2**64,
        "",
        "15s",
        "release",
        "dg==",
        "\ud800",
    ]
    return chance.choice(plain)


def _kv_op(chance: Random) -> dict[str, object]:
    op: dict[str, object] = {"Verb": chance.choice(_VERBS), "Key": f"f/t/{chance.randrange(20)}"}
    if chance.random() < 0.5:
        op["Value"] = chance.choice(("dg==", "", None, "!", "A" * 400))
    if chance.random() < 0.3:
        op["Index"] = chance.choice((0, 1, 2**63, "1", -1))
    return op


def _request(chance: Random, method: str, target: str, body: bytes | None, *more: str) -> bytes:
    lines = [f"{method} {target} HTTP/1.1", "Host: fuzz"]
    lines += chance.sample(_HEADERS, chance.choice((0, 1, 2, 4)))
    lines += more
    data = body or b""
    if body is not None and chance.random() < 0.3:
        lines.append("Transfer-Encoding: chunked")
        data = _chunks(chance, data)
    elif body is not None:
        lines.append(f"Content-Length: {len(data)}")
    first, *headers = lines
    chance.shuffle(headers)
    return "\r\n".join([first, *headers, "", ""]).encode("latin-1") + data


def _chunks(chance: Random, body: bytes) -> bytes:
    data, at = bytearray(), 0
    while at < len(body):
        size = min(chance.choice((1, 7, 100, 5000, 100_000)), len(body) - at)
        if len(body) > 2000:
            size = min(max(size, 1000), len(body) - at)
        extension = chance.choice((b"", b"", b"", b";a", b";a=b", b';a="b c"'))
        data += b"%x%b\r\n%b\r\n" % (size, extension, body[at : at + size])
        at += size
    trailers = chance.choice((b"", b"", b"", b"X-Sum: 1\r\n"))
    return bytes(data) + b"0\r\n" + trailers + b"\r\n"
