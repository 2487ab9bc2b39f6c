"""The same bytes to both lanes give the same bytes, and the same end of the connection.

Two stores of equal state, one behind each lane, hold the same conversations by chance, each as a
whole. KVSTORE_LANES_SEED makes a failure again, KVSTORE_LANES_TALKS sets how many there are.
"""

import asyncio
import itertools
import json
import os
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from random import Random

import pytest

from kvstore.api.fast import FastLane
from kvstore.api.lane import Lane
from kvstore.api.limits import DEFAULT_LIMITS, READ_AHEAD_BYTES, Terms
from kvstore.api.ordinary import Recogniser
from kvstore.api.router import Router
from kvstore.clock import SystemClock
from kvstore.duration import NS_PER_S
from kvstore.engine.admission import SessionRules
from kvstore.engine.engine import Engine
from kvstore.journal.memory import MemoryJournal

from .calls import IDENTITY, Calls, endpoints
from .test_lane_leaving import GatedJournal
from .wire import Served, encode, listening, serving, until

SEED = int(os.environ.get("KVSTORE_LANES_SEED", str(Random().randrange(1 << 31))))
TALKS = int(os.environ.get("KVSTORE_LANES_TALKS", "800"))

DATE = re.compile(rb"Date: [^\r\n]+")
# The last request of most conversations: whether it is answered says how the others ended.
PROBE = encode("GET", "/v1/kv/probe?raw", None, "Connection: close")

SESSIONS = [f"{n:08x}-1111-2222-3333-444444444444" for n in range(1, 7)]
KEYS = [
    "a",
    "a",
    "b",
    "b/c",
    "b/d/e",
    "b/",
    "list/007",
    "",
    "x%20y",
    "%C3%A9",
    "x+y",
    "%2Fa",
    "%00",
]
KEYS += ["a//b", "..", "b/../a", "b/./c", "%2e%2e/a", "a%zz", "a%", "é", 'a"', "a b", "a\\b", "a#f"]
PARAMS = ["raw", "recurse", "keys", "pretty", "stale", "consistent", "cached", "separator=/"]
PARAMS += ["flags=7", "flags=x", "cas=0", "cas=1", "cas=x", "dc=dc1", "dc=other", "ns=n", "token=t"]
PARAMS += ["index=1&wait=1ms", "wait=1ms", "index=x", "index=0", "max_stale=x", "%zz", "a;b", "é=1"]
PARAMS += [f"{verb}={one}" for verb in ("acquire", "release") for one in [*SESSIONS[:3], "x"]]
PLAIN = [
    ("User-Agent: Go-http-client/1.1", "Accept-Encoding: gzip"),
    ("User-Agent: curl/7.88.1", "Accept: */*"),
    ("User-Agent: python-requests/2.31", "Accept-Encoding: gzip, deflate", "Accept: */*"),
    ("Connection: keep-alive", "X-Consul-Token: secret"),
    (),
]
ODD = [
    "Connection: close", "Connection: Keep-Alive", "Connection: keep-alive, x", "Connection:",
    "Connection: Upgrade", "Upgrade: websocket", "Expect: 100-continue", "Expect: tea",
    "Transfer-Encoding: chunked", "Transfer-Encoding: identity", "TE: trailers", "Trailer: X",
    "Content-Length: 5", "Content-Length: +5", "Content-Length: 05", "Content-Length: 0x5",
    "Content-Length: -5", "Content-Length: 5, 5", "Content-Length: 99999999999999999999",
    "Content-Length : 5", "Content-Length:5", "Content-Length:  5", "Content-Length: 5 ",
    "Content-Length:", "Content-Length: ", "CONTENT-LENGTH: 5", "Content_Length: 5",
    "Host: other", "host: test", "X: a\tb", "X:\ta", "X:  a", "X: a ", "X:", "X : a", "X\t: a",
    " folded: x", "\tfolded", "no colon", ": no name", "X: \0", "X: \x7f", "X: \xe9", "X-\xe9: a",
    "X(a): b", "X: a\rb", "X: a\nY: b", "Accept-Encoding: gzip;q=0", "Accept-Encoding: GZIP",
    "Cache-Control: max-age=x", "Cache-Control: max-age=5", "X-Consul-Namespace: n",
    "Authorization: Bearer t", "Referer: http://h/v1/kv//a", "Referer: http://h/v1/kv/b//c",
    "Content-Encoding: gzip", "Range: bytes=0-1", "X-Long: " + "x" * 3000, "Keep-Alive: 5",
    "Proxy-Connection: close", "Content-Type: application/json", "HTTP2-Settings: x",
]  # fmt: skip
HOSTS = ["Host: test"] * 20 + ["Host: h:8500", "Host: [::1]:8500", "host:h", "Host:", "Host: a b"]
HOSTS += ["Host: a/b", "Host: \xe9", "Host: !", "Hos: test", "Host: test\r\nHost: test"]
LINES = [" HTTP/1.1"] * 20 + [" HTTP/1.0", " HTTP/1.2", " HTTP/2.0", " http/1.1", "", "  HTTP/1.1"]


@dataclass(slots=True)
class Talk:
    """What a client sends on one connection, and when."""

    pieces: list[bytes] = field(default_factory=list)
    # How many turns of the loop there are between two pieces; by default the server comes to rest.
    turns: int | None = None
    # How many after the last piece the client says that it sends no more.
    ends_after: int | None = None
    # A key to write when all is sent: the first request waits for it.
    wakes: str = ""
    count: int = 0


def converse(chance: Random, last_index: int) -> Talk:
    """Make a conversation with stores that have reached an index."""
    requests = [request(chance) for _ in range(chance.choice((1, 2, 2, 4, 6)))]
    talk = Talk(count=len(requests) + 1)
    way = chance.random()
    if way < 0.45:
        talk.pieces = requests
    elif way < 0.6:
        # Only sound ones: what is no request takes those with it that come in the same packet.
        talk.pieces = [sound(chance) for _ in requests]
        talk.turns = chance.randrange(8)
    elif way < 0.85:
        whole = b"".join(requests)
        if len(whole) > READ_AHEAD_BYTES:
            # Only sound ones: what is larger comes in packets of the system's making.
            whole = b"".join(sound(chance) for _ in requests)
        count = 0 if way < 0.7 else chance.choice((1, 1, 3))
        places = sorted(chance.randrange(len(whole)) for _ in range(count))
        talk.pieces = [whole[i:j] for i, j in itertools.pairwise((0, *places, len(whole)))]
    else:
        target = chance.choice(("/v1/kv/woken?raw&", "/v1/kv/woken?recurse&", "/v1/kv/?keys&"))
        query = encode("GET", f"{target}index={last_index}", None, *chance.choice(PLAIN))
        # Behind more than is read ahead nobody sees the client's end.
        behind = b"".join(sound(chance) for _ in requests)
        talk.pieces = [query, behind if len(behind) < READ_AHEAD_BYTES else PROBE]
        talk.wakes = f"woken?flags={last_index}"
    if chance.random() < 0.2:
        talk.ends_after = chance.choice((0, 0, 1, 2, 4, 8, 40))
    return talk


def request(chance: Random) -> bytes:
    """Return a request, most often one that every client might send."""
    if chance.random() < 0.5:
        return sound(chance)
    method = chance.choice(("GET", "PUT", "PUT", "DELETE", "POST", "HEAD", "OPTIONS", "get", "G(T"))
    target, body = target_and_body(chance)
    lines = [chance.choice(HOSTS), *chance.choice(PLAIN)]
    lines += chance.sample(ODD, chance.choice((0, 1, 1, 2)))
    if chance.random() < 0.7:
        lines.append(f"Content-Length: {len(body)}")
    chance.shuffle(lines)
    head = "\r\n".join([f"{method} {target}{chance.choice(LINES)}", *lines, "", ""])
    return head.encode("latin-1") + (body if chance.random() < 0.8 else b"")


def sound(chance: Random) -> bytes:
    """Return a request as clients send them."""
    method = chance.choice(("GET", "GET", "PUT", "DELETE"))
    target, body = target_and_body(chance)
    target = re.sub("[^!-~]", "", target)
    return encode(method, target, body if method == "PUT" else None, *chance.choice(PLAIN))


def target_and_body(chance: Random) -> tuple[str, bytes]:
    """Return what is asked for, and what might be sent with it."""
    kind = chance.random()
    body = chance.randbytes(chance.choice((0, 1, 5, 5, 100, 3000)))
    if kind < 0.02:
        body = chance.randbytes(chance.choice((70_000, 300_000)))
    if kind < 0.65:
        path = "/v1/kv/" + chance.choice(KEYS)
    elif kind < 0.85:
        one = chance.choice([*SESSIONS, SESSIONS[0].upper(), "x", ""])
        name = chance.choice(("create", "create", "destroy/", "renew/", "info/", "list", "node/n1"))
        path = f"/v1/session/{name}{one if name.endswith('/') else ''}"
        said = {"TTL": chance.choice(("600s", "", "1s", 7)), "Name": "é", "LockDelay": "0s"}
        body = chance.choice((b"", b"{", json.dumps(said).encode()))
    elif kind < 0.95:
        path = "/v1/txn"
        verbs = ["set", "get", "get-tree", "delete", "lock", "cas", "check-index", "nope"]
        ops = [{"Verb": chance.choice(verbs), "Key": "b/t", "Value": "dg=="} for _ in range(3)]
        body = json.dumps([{"KV": one} for one in ops]).encode()
    else:
        path = chance.choice(
            (
                "/v1/kv",
                "/v1/session",
                "/v1/session/",
                "/v1/txn/",
                "/v1/txnx",
                "/",
                "/v1/status/leader",
            )
        )
    params = chance.sample(PARAMS, chance.choice((0, 1, 1, 2)))
    target = path + ("?" + chance.choice("&&&;").join(params) if params else "")
    return target.encode().decode("latin-1"), body


@asynccontextmanager
async def store(*, fast: bool) -> AsyncIterator[Served]:
    """Serve a store that draws its session ids in order."""
    numbers = itertools.count(1)
    rules = SessionRules(
        IDENTITY.node, 10 * NS_PER_S, lambda: f"{next(numbers):08x}-1111-2222-3333-444444444444"
    )
    engine = Engine(MemoryJournal(), SystemClock(), rules)
    await engine.start()
    router = Router(*endpoints(engine))
    terms = Terms(DEFAULT_LIMITS, SystemClock())
    front = (FastLane if fast else Lane)(router, terms)
    if isinstance(front, FastLane):
        await front.load_other()  # what is sent meanwhile would come in one piece
    async with listening(front) as port:
        yield Served(Calls(engine, router), terms, front, port)
    await engine.close()
    engine.state.check()


async def hold(served: Served, talk: Talk) -> bytes:
    """Hold a conversation and return all that was answered, but for the dates."""
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port, limit=1 << 24)
    answered = asyncio.ensure_future(_read_all(reader))
    pieces = talk.pieces if talk.wakes or talk.ends_after is not None else [*talk.pieces, PROBE]
    cut, is_whole = edged(pieces)
    if not isinstance(served.front, FastLane) and not talk.wakes:
        pieces = cut
    for piece in pieces:
        if talk.turns is None:
            await _rest(served, until_answered=not talk.wakes)
        else:
            await _turns(talk.turns)
        writer.write(piece)
    if talk.ends_after is not None:
        await _turns(talk.ends_after)
        _end(writer)
    if talk.wakes:
        await _rest(served, until_answered=False)
        await served.calls.put(talk.wakes)
    for _ in range(2):
        await _rest(served)
    _end(writer)  # if there is anything that is not whole, no more of it comes
    async with asyncio.timeout(20):
        data = await answered
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()
    data = DATE.sub(b"Date: now", data)
    if talk.ends_after is not None or not is_whole:
        # Whether the end is known when the head of an answer is sent is a matter of turns.
        data = data.replace(b"Connection: close\r\n", b"")
    return data


def edged(pieces: list[bytes]) -> tuple[list[bytes], bool]:
    """Cut a piece that ends a body which the fast lane waits for, and goes on.

    Return the pieces, and whether nothing is waited for at the end. The fast lane answers the
    request, as Go's server does, whatever comes behind it; aiohttp's parser drops it when that is
    no request and came in the same packet.
    """
    recogniser = Recogniser()
    is_fast, missing_bytes = True, 0
    cut: list[bytes] = []
    for piece in pieces:
        if missing_bytes:
            rest, behind = piece[:missing_bytes], piece[missing_bytes:]
            missing_bytes -= len(rest)
            is_fast = not behind
            cut += [rest, behind] if behind else [rest]
            continue
        cut.append(piece)
        if is_fast and recogniser.recognise(piece) is None:
            missing_bytes = recogniser.missing_bytes(piece)
            is_fast = missing_bytes > 0
    return cut, not missing_bytes


async def _read_all(reader: asyncio.StreamReader) -> bytes:
    data = b""
    with suppress(ConnectionError):
        while piece := await reader.read(1 << 20):
            data += piece
    return data


async def _rest(served: Served, *, until_answered: bool = True) -> None:
    """Let the server come to rest; also threads and timers if all is to be answered."""
    await _turns(20)
    if until_answered:
        engine, answers = served.calls.engine, served.terms.answers
        await until(lambda: engine.parked_count == 0 and answers.bytes == 0)
        await _turns(20)


async def _turns(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


def _end(writer: asyncio.StreamWriter) -> None:
    with suppress(OSError, RuntimeError):  # the server was first
        writer.write_eof()


@pytest.mark.slow
@pytest.mark.timeout(max(120, TALKS // 20))
async def test_both_lanes_say_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is sent, byte for byte, and the stores are equal at the end."""
    # Nothing waits two seconds for the rest of a body that nobody wants.
    monkeypatch.setattr("kvstore.api.lane._LINGER_S", 0.25)
    chance = Random(SEED)
    asked = fast_only = 0
    async with store(fast=True) as one, store(fast=False) as other:
        for served in (one, other):
            for n in range(300):
                await served.calls.put(f"list/{n:03}", b"192.0.2.7:2376" * 10)
        for number in range(TALKS):
            talk = converse(chance, one.calls.engine.state.last_index)
            said = await hold(one, talk)
            fast_only += one.is_fast
            expected = await hold(other, talk)
            talk.pieces = [piece[:500] for piece in talk.pieces]
            again = f"talk {number} of KVSTORE_LANES_SEED={SEED}: {talk}"
            assert said == expected, again
            assert content(one) == content(other), again
            asked += talk.count
    assert asked > 2 * TALKS
    assert fast_only > TALKS // 20, "or nothing was compared"


def content(served: Served) -> tuple[object, ...]:
    """Return what a store holds."""
    state = served.calls.engine.state
    return state.get_tree(b""), state.list_sessions(), state.last_index


async def test_a_request_and_an_end_behind_a_write(fast: bool) -> None:  # noqa: FBT001 - a fixture
    """Requests that came one by one are all answered, though the client sends no more."""
    journal = GatedJournal()
    async with serving(journal, fast=fast) as served:
        journal.open.clear()
        client = await served.connect()
        await client.send(encode("PUT", "/v1/kv/a", b"v"))
        await until(lambda: journal.waiting == 1)
        await client.send(encode("GET", "/v1/kv/a?raw"))
        await served.ask("GET", "/v1/kv/b")
        client.end_sending()
        await served.ask("GET", "/v1/kv/b")
        journal.open.set()
        answer = await client.read()
        assert (answer.body, answer.closes) == (b"true", False)
        answer = await client.read()
        assert (answer.body, answer.closes) == (b"v", True)
        assert await client.rest() == b""
