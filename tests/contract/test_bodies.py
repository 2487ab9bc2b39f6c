"""Request bodies, their limits, and connections (H35-H40, 1.8)."""
# ruff: noqa: N802 - test names begin with the ids of the contract, as they are written there

import pytest

from conformance.suite.wire import ConnectionEnded, encode_chunks, encode_request

from .rules import by_intent
from .stores import Store

LIMIT_BYTES = 524_288
TOO_LARGE = (
    "Request body({} bytes) too large, max size: 524288 bytes. See "
    "https://www.consul.io/docs/agent/options.html#kv_max_value_size."
)


@pytest.mark.parametrize(
    "headers",
    [
        [("Content-Type", "application/x-www-form-urlencoded")],
        [("Content-Type", "multipart/form-data; boundary=x")],
        [("Content-Type", "application/json")],
        [("Content-Encoding", "gzip")],
    ],
)
def test_H35_bodies_are_stored_verbatim(
    store: Store, prefix: str, headers: list[tuple[str, str]]
) -> None:
    """Neither Content-Type nor Content-Encoding of a request changes what is stored."""
    answer = store.ask("PUT", f"/v1/kv/{prefix}k", b"a=b&c=%20", headers=headers)
    assert answer.body == b"true"
    assert store.get(f"{prefix}k?raw").body == b"a=b&c=%20"


def test_H35_get_bodies_are_ignored(store: Store, prefix: str) -> None:
    """A body of a GET or a DELETE does nothing, and the connection goes on after it."""
    store.write(f"{prefix}k", b"v")
    with store.connect() as connection:
        connection.send(encode_request("GET", f"/v1/kv/{prefix}k?raw", b"index=x"))
        assert connection.read().body == b"v"
        connection.send(encode_request("DELETE", f"/v1/kv/{prefix}k", b"body"))
        assert connection.read().body == b"true"
        connection.send(encode_request("GET", f"/v1/kv/{prefix}k"))
        assert connection.read().status == 404


def test_H36_chunked_put(store: Store, prefix: str) -> None:
    """A chunked body is stored like any other, extensions and trailers aside."""
    store.ask("PUT", f"/v1/kv/{prefix}k", b"x" * 200_000, chunked=True)
    assert store.get(f"{prefix}k?raw").body == b"x" * 200_000
    head = encode_request("PUT", f"/v1/kv/{prefix}k", chunked=True).removesuffix(b"0\r\n\r\n")
    with store.connect() as connection:
        connection.send(head + b"3;ext=1\r\nabc\r\n2\r\nde\r\n0\r\nX-Trailer: 1\r\n\r\n")
        assert connection.read().body == b"true"
    assert store.get(f"{prefix}k?raw").body == b"abcde"
    store.ask("PUT", f"/v1/kv/{prefix}k", b"", chunked=True)
    assert store.entry(f"{prefix}k")["Value"] is None


def test_H36_chunked_session_create(store: Store) -> None:
    """Consul ignores a chunked session body and takes all defaults; ours reads it."""
    answer = store.ask("PUT", "/v1/session/create", b'{"Name":"chunked"}', chunked=True)
    session = answer.json["ID"]
    (shown,) = store.ask("GET", f"/v1/session/info/{session}").json
    assert shown["Name"] == by_intent(store, consul="", kvstore="chunked", rule="chunked-limit")
    store.destroy(session)


def test_H37_expect_100_continue(store: Store, prefix: str) -> None:
    """A client that asks first is told to go on, then sends its body."""
    value = b"x" * 100_000
    request = encode_request(
        "PUT", f"/v1/kv/{prefix}k", value, headers=[("Expect", "100-continue")]
    )
    head = request.removesuffix(value)
    with store.connect() as connection:
        connection.send(head)
        assert not connection.silent_for(5)
        connection.send(value)
        answer = connection.read()
    assert (answer.interim, answer.status, answer.body) == ((100,), 200, b"true")
    assert store.get(f"{prefix}k?raw").body == value


@pytest.mark.parametrize(
    ("query", "size_bytes", "status"), [("?cas&acquire", 10, 400), ("", LIMIT_BYTES + 1, 413)]
)
def test_H37_expect_refused_without_reading(
    store: Store, prefix: str, query: str, size_bytes: int, status: int
) -> None:
    """What is refused without its body gets the final answer at once, and no 100."""
    headers = [("Expect", "100-continue"), ("Content-Length", str(size_bytes))]
    with store.connect() as connection:
        connection.send(encode_request("PUT", f"/v1/kv/{prefix}k{query}", headers=headers))
        answer = connection.read()
        assert (answer.interim, answer.status) == ((), status)
        assert answer.get("Connection") == "close"


def test_H37_other_expectations(store: Store, prefix: str) -> None:
    """Any other expectation cannot be met."""
    answer = store.ask("PUT", f"/v1/kv/{prefix}k", b"v", headers=[("Expect", "miracles")])
    assert (answer.status, answer.body) == (417, b"")
    assert store.get(f"{prefix}k").status == 404


def test_H38_short_body(store: Store, prefix: str) -> None:
    """A body that ends early is refused, and nothing is stored."""
    with store.connect() as connection:
        headers = [("Content-Length", "10")]
        connection.send(encode_request("PUT", f"/v1/kv/{prefix}k", headers=headers) + b"short")
        connection.end_sending()
        answer = connection.read()
        assert (answer.status, answer.body) == (500, b"unexpected EOF")
    assert store.get(f"{prefix}k").status == 404


def test_H39_keep_alive_and_pipelining(store: Store, prefix: str) -> None:
    """Requests sent ahead are answered in order, each seeing the one before."""
    key = f"/v1/kv/{prefix}k"
    with store.connect() as connection:
        connection.send(
            encode_request("PUT", key, b"1")
            + encode_request("GET", f"{key}?raw")
            + encode_request("PUT", key, b"2", chunked=True)
            + encode_request("GET", f"{key}?raw")
            + encode_request("GET", "/v1/nope")
            + encode_request("POST", key, b"ignored")
            + encode_request("DELETE", key)
            + encode_request("GET", key)
        )
        answers = [connection.read() for _ in range(8)]
    assert [answer.status for answer in answers] == [200, 200, 200, 200, 404, 405, 200, 404]
    assert [answer.body for answer in answers[:4]] == [b"true", b"1", b"true", b"2"]


def test_H39_connection_close(store: Store) -> None:
    """A client that asks for it gets its connection closed after the answer."""
    with store.connect() as connection:
        request = encode_request("GET", "/v1/status/peers", headers=[("Connection", "close")])
        connection.send(request)
        answer = connection.read()
        assert (answer.status, answer.get("Connection")) == (200, "close")
        assert connection.ended()


def test_H40_many_connections(store: Store) -> None:
    """Consul closes the 201st connection of a client without a word; ours serves it."""
    connections = [store.connect() for _ in range(220)]
    try:
        last = connections[-1]
        last.send(encode_request("GET", "/v1/status/leader"))
        try:
            served = last.read().status == 200
        except ConnectionEnded:
            served = False
    finally:
        for connection in connections:
            connection.close()
    assert served == by_intent(store, consul=False, kvstore=True, rule="no-connection-limit")


def test_1_8_value_at_the_limit(store: Store, prefix: str) -> None:
    """A value of exactly 512 KiB is stored."""
    store.write(f"{prefix}k", bytes(LIMIT_BYTES))
    assert len(store.get(f"{prefix}k?raw").body) == LIMIT_BYTES


@pytest.mark.parametrize("size_bytes", [LIMIT_BYTES + 1, 700_000])
def test_1_8_value_over_the_limit(store: Store, prefix: str, size_bytes: int) -> None:
    """One byte more is refused with both numbers, and nothing is stored."""
    answer = store.put(f"{prefix}k", bytes(size_bytes))
    assert (answer.status, answer.text) == (413, TOO_LARGE.format(size_bytes))
    assert answer.get("Content-Type") == "text/plain; charset=utf-8"
    assert store.get(f"{prefix}k").status == 404


def test_1_8_chunked_value_over_the_limit(store: Store, prefix: str) -> None:
    """Consul's limit does not see chunked bodies; ours does."""
    head = encode_request("PUT", f"/v1/kv/{prefix}k", chunked=True).removesuffix(b"0\r\n\r\n")
    with store.connect() as connection:
        connection.send(head + encode_chunks(bytes(700_000)))
        status = connection.read().status
    assert status == by_intent(store, consul=200, kvstore=413, rule="chunked-limit")
    stored = by_intent(store, consul=200, kvstore=404, rule="chunked-limit")
    assert store.get(f"{prefix}k?raw").status == stored


def test_H43_conflicts_come_before_the_size(store: Store) -> None:
    """A body that is too large does not hide a conflict or a bad number."""
    big = bytes(LIMIT_BYTES + 1)
    assert store.put("H43?cas&acquire", big).status == 400
    assert store.put("H43?flags=x", big).status == 500
    assert store.put("H43?cas=1&flags=1", big).status == 413
