"""Compression of answers (H32-H34)."""
# ruff: noqa: N802 - test names begin with the ids of the contract, as they are written there

import pytest

from .rules import by_intent
from .stores import Store

RULE = "small-bodies-plain"
GZIP = [("Accept-Encoding", "gzip")]
BIG = bytes(range(256)) * 40


@pytest.mark.parametrize(
    "accepts", ["gzip", "GZIP", "deflate, gzip", "gzip;q=0.1", "gzip;q=1.0, *;q=0"]
)
def test_H32_clients_that_take_gzip_get_it(store: Store, prefix: str, accepts: str) -> None:
    """A body worth it is compressed for whoever accepts gzip, and says so."""
    store.write(f"{prefix}k", BIG)
    answer = store.ask("GET", f"/v1/kv/{prefix}k?raw", headers=[("Accept-Encoding", accepts)])
    assert answer.get("Content-Encoding") == "gzip"
    assert answer.plain == BIG
    assert len(answer.body) < len(BIG)
    assert answer.get("Vary") == "Accept-Encoding"
    listed = store.ask("GET", f"/v1/kv/{prefix}?recurse", headers=[("Accept-Encoding", accepts)])
    assert listed.get("Content-Encoding") == "gzip"
    assert listed.plain == store.get(f"{prefix}?recurse").body


@pytest.mark.parametrize("accepts", ["gzip;q=0", "*", "x-gzip", "deflate", "br", "identity", ""])
def test_H32_others_get_it_plain(store: Store, prefix: str, accepts: str) -> None:
    """Everything else means identity."""
    store.write(f"{prefix}k", BIG)
    answer = store.ask("GET", f"/v1/kv/{prefix}k?raw", headers=[("Accept-Encoding", accepts)])
    assert answer.get("Content-Encoding") is None
    assert answer.body == BIG


@pytest.mark.parametrize(
    ("method", "target", "plain"),
    [
        ("PUT", "/v1/kv/H32", b"true"),
        ("GET", "/v1/kv/", b"Missing key name"),
        ("POST", "/v1/kv/a", b"method POST not allowed"),
        ("GET", "/v1/kv/H32?cached&index=x", b"Invalid index"),
    ],
)
def test_H32_small_bodies(store: Store, method: str, target: str, plain: bytes) -> None:
    """Consul 1.8 compresses even `true`; later versions and ours leave small bodies alone."""
    answer = store.ask(method, target, headers=GZIP)
    encoding = by_intent(store, consul="gzip", kvstore=None, rule=RULE)
    assert answer.get("Content-Encoding") == encoding
    assert answer.plain == plain
    assert answer.get("Content-Length") == str(len(answer.body))


@pytest.mark.parametrize("target", ["/", "/v1/kv//a", "/v1/nope", "/v1/kv/no/such/key"])
def test_H32_never_compressed(store: Store, target: str) -> None:
    """The root, redirects and empty 404s are never compressed."""
    answer = store.ask("GET", target, headers=GZIP)
    assert answer.get("Content-Encoding") is None


@pytest.mark.parametrize("size_bytes", [1399, 1400])
def test_V4_where_small_ends(store: Store, prefix: str, size_bytes: int) -> None:
    """1,400 bytes are worth compressing; one byte less is not, except for Consul 1.8."""
    store.write(f"{prefix}k", b"x" * size_bytes)
    answer = store.ask("GET", f"/v1/kv/{prefix}k?raw", headers=GZIP)
    small = by_intent(store, consul=False, kvstore=size_bytes < 1400, rule=RULE)
    assert (answer.get("Content-Encoding") is None) == small
    assert answer.plain == b"x" * size_bytes


def test_H33_empty_raw_value(store: Store, prefix: str) -> None:
    """An empty body has nothing to compress; Consul labels it gzip all the same."""
    store.write(f"{prefix}k")
    answer = store.ask("GET", f"/v1/kv/{prefix}k?raw", headers=GZIP)
    assert (answer.status, answer.body, answer.get("Content-Length")) == (200, b"", "0")
    encoding = by_intent(store, consul="gzip", kvstore=None, rule=RULE)
    assert answer.get("Content-Encoding") == encoding
