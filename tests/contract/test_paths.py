"""From the request target to the key: decoding, what is refused, what is a key (H10-H12, 1.2)."""
# ruff: noqa: N802 - test names begin with the ids of the contract, as they are written there

import pytest

from conformance.suite.wire import Connection, encode_request

from .stores import Store

BAD_TARGETS = ["/v1/kv/a%zz", "/v1/kv/a%2", "/v1/kv/a%", "/v1/kv/a b", "v1/kv/a"]

UNPRINTABLE = [
    *("%00", "%01", "%0A", "%0D", "%1F", "%7F"),
    *("%C2%80", "%C2%9F", "%C2%A0", "%C2%AD"),  # C1 controls, NBSP, soft hyphen
    *("%E3%80%80", "%E2%80%8B", "%EF%BB%BF", "%E2%80%A8"),  # U+3000, U+200B, U+FEFF, U+2028
    *("%EE%80%80", "%F3%B0%80%80"),  # private use
    *("%CD%B8", "%EF%BF%BE"),  # unassigned, noncharacter
]

KEYS = [
    ("sp%20ace", "sp ace"),
    ("plus+plus", "plus+plus"),
    ("semi;colon", "semi;colon"),
    ("a:b@c!$&'()*,=", "a:b@c!$&'()*,="),
    ("%3Fquery%23hash", "?query#hash"),
    ("raw#hash", "raw#hash"),
    ("slash%2Fslash", "slash/slash"),
    ("%41%2e%41", "A.A"),
    ("per%25cent", "per%cent"),
    ("caf%C3%A9", "café"),
    ("caf\xc3\xa9", "café"),
    ("%E2%98%83%F0%9F%98%80", "☃😀"),
    ("e%CC%81", "e\u0301"),  # a combining mark: no normal form is applied
    ('"quote"\\back', '"quote"\\back'),
    ("[b]{c}|^`~<d>", "[b]{c}|^`~<d>"),
    (".hidden/..two/...", ".hidden/..two/..."),
    ("trail/", "trail/"),
]


def ask_raw(store: Store, head: bytes) -> Connection:
    """Send these bytes on a new connection."""
    connection = store.connect()
    connection.send(head)
    return connection


@pytest.mark.parametrize("target", BAD_TARGETS)
def test_1_2_bad_request_line(store: Store, target: str) -> None:
    """A request line that does not parse is refused by the server itself, which then closes."""
    with ask_raw(store, encode_request("GET", target)) as connection:
        answer = connection.read()
        assert (answer.status, answer.body) == (400, b"400 Bad Request")
        assert answer.get("Content-Type") == "text/plain; charset=utf-8"
        assert answer.get("Connection") == "close"
        assert connection.ended()


def test_1_2_missing_host(store: Store) -> None:
    """HTTP/1.1 without a Host header is refused; HTTP/1.0 needs none."""
    with ask_raw(store, encode_request("GET", "/v1/kv/a", host=None)) as connection:
        answer = connection.read()
    assert answer.status == 400
    assert answer.body == b"400 Bad Request: missing required Host header"
    old = encode_request("GET", "/v1/status/leader", host=None, version="HTTP/1.0")
    with ask_raw(store, old) as connection:
        assert connection.read().status == 200


@pytest.mark.parametrize("code", UNPRINTABLE)
@pytest.mark.parametrize("method", ["GET", "PUT"])
def test_1_2_unprintable_code_points(store: Store, method: str, code: str) -> None:
    """A path with a code point that Go cannot print is refused with an empty 400."""
    answer = store.ask(method, f"/v1/kv/x{code}y")
    assert (answer.status, answer.body) == (400, b"")
    assert answer.get("Content-Type") is None
    assert answer.get("Vary") is None


def test_1_2_unprintable_precedes_routing_and_cleaning(store: Store) -> None:
    """The refusal comes before the 404 of an unknown path and before any redirect."""
    assert store.ask("GET", "/nope%00").status == 400
    assert store.ask("GET", "/v1/kv//a%00").status == 400


@pytest.mark.parametrize(("path", "key"), KEYS)
def test_H10_key_is_the_decoded_path(store: Store, prefix: str, path: str, key: str) -> None:
    """A key is the rest of the path, percent-decoded once; `+`, `;` and `%2F` are ordinary."""
    store.write(prefix + path, b"v")
    assert store.entry(prefix + path)["Key"] == prefix + key
    assert store.ask("GET", f"/v1/kv/{prefix}?keys").json == [prefix + key]


def test_H10_trailing_slash_and_case_matter(store: Store, prefix: str) -> None:
    """`trail/`, `trail` and `Trail` are three keys."""
    store.write(f"{prefix}trail/", b"1")
    assert store.get(f"{prefix}trail").status == 404
    store.write(f"{prefix}Trail", b"2")
    assert store.get(f"{prefix}trail").status == 404


def test_H10_long_keys(store: Store, prefix: str) -> None:
    """Keys have no length limit of their own."""
    key = prefix + "k" * 60_000
    store.write(key, b"long")
    assert store.entry(key)["Key"] == key


def test_H10_head_of_a_mebibyte(store: Store) -> None:
    """A request head over 1 MiB is refused with 431."""
    with ask_raw(store, encode_request("GET", "/v1/kv/" + "k" * (1 << 20) + "k" * 9000)) as waits:
        answer = waits.read()
    assert (answer.status, answer.body) == (431, b"431 Request Header Fields Too Large")


def test_H11_keys_are_byte_strings(store: Store, prefix: str) -> None:
    """An invalid byte and a genuine U+FFFD make two keys, and JSON tells them apart."""
    store.write(f"{prefix}bad%EF%BF%BDx", b"two")
    store.write(f"{prefix}bad%FFx", b"one")
    assert store.get(f"{prefix}bad%FFx?raw").body == b"one"
    assert store.get(f"{prefix}bad%EF%BF%BDx?raw").body == b"two"
    listed = store.ask("GET", f"/v1/kv/{prefix}?keys").body
    assert listed == f'["{prefix}bad\ufffdx","{prefix}bad\\ufffdx"]'.encode()


@pytest.mark.parametrize("byte", ["%80", "%C3", "%FF", "%ED%A0%80", "%C0%AF", "\xff"])
def test_H11_invalid_utf8_is_accepted(store: Store, prefix: str, byte: str) -> None:
    """Bytes that are no UTF-8 are part of the key as they are."""
    store.write(f"{prefix}{byte}", b"v")
    assert store.get(f"{prefix}{byte}?raw").body == b"v"
    assert store.get(f"{prefix}%EF%BF%BD").status == 404


def test_H12_a_key_cannot_begin_with_a_slash(store: Store, prefix: str) -> None:
    """Over /v1/kv a leading slash is cleaned away, written or escaped."""
    store.write(f"{prefix}lead", b"v")
    assert store.get(f"%2F{prefix}lead").get("Location") == f"/v1/kv/{prefix}lead"
    assert store.get(f"/{prefix}lead").get("Location") == f"/v1/kv/{prefix}lead"
