"""JSON: field order, spacing, escapes, and how request bodies are read (H26-H31)."""
# ruff: noqa: N802 - test names begin with the ids of the contract, as they are written there

import re

import pytest

from .stores import Store

ESCAPES = [
    ("%3C%3E%26", rb"\u003c\u003e\u0026"),
    ("%22%5C", rb"\"\\"),
    ("%27%2F", b"'/"),
    ("%C3%A9%E2%98%83%F0%9F%98%80", "é☃😀".encode()),
    ("%EF%BF%BD", "\ufffd".encode()),
    ("%FF%C3", rb"\ufffd\ufffd"),
    ("%ED%A0%80", rb"\ufffd\ufffd\ufffd"),
    ("%F0%9F%98x", rb"\ufffd\ufffd\ufffdx"),
]

NAMES = [
    (rb"\u2028\u2029", rb"\u2028\u2029"),
    (rb"\n\r\t", rb"\n\r\t"),
    (rb"\b\f\u0000\u001f", rb"\u0008\u000c\u0000\u001f"),
    (rb"\u007f\u0080", b"\x7f\xc2\x80"),
    (rb"<a href=\"x\">&", rb"\u003ca href=\"x\"\u003e\u0026"),
    (rb"\ud83d\ude00", "😀".encode()),
    (rb"\ud83d", "\ufffd".encode()),
    (b"\xff", "\ufffd".encode()),
]


def test_H26_compact(store: Store, prefix: str) -> None:
    """JSON has no spaces and no newline at the end."""
    index = store.write(f"{prefix}a", b"v1")
    assert store.get(f"{prefix}a").text == (
        f'[{{"LockIndex":0,"Key":"{prefix}a","Flags":0,"Value":"djE=",'
        f'"CreateIndex":{index},"ModifyIndex":{index}}}]'
    )


def test_H26_pretty(store: Store, prefix: str) -> None:
    """`?pretty` indents by four spaces, and ends with a newline; errors stay as they are."""
    index = store.write(f"{prefix}a", b"v1")
    assert store.get(f"{prefix}a?pretty").text == (
        f'[\n    {{\n        "LockIndex": 0,\n        "Key": "{prefix}a",\n        "Flags": 0,\n'
        f'        "Value": "djE=",\n        "CreateIndex": {index},\n'
        f'        "ModifyIndex": {index}\n    }}\n]\n'
    )
    assert store.get(f"{prefix}?keys&pretty").text == f'[\n    "{prefix}a"\n]\n'
    assert store.ask("GET", "/v1/session/node/nope?pretty").body == b"[]\n"
    assert store.put(f"{prefix}a?pretty").body == b"true\n"
    assert store.get("?pretty").body == b"Missing key name"
    created = store.ask("PUT", "/v1/session/create?pretty").text
    assert re.fullmatch(r'\{\n    "ID": "[0-9a-f-]{36}"\n\}\n', created)


def test_H27_numbers_are_plain_decimals(store: Store, prefix: str) -> None:
    """Flags go up to 2^64-1 and come back digit for digit."""
    store.write(f"{prefix}a?flags=18446744073709551615")
    assert b'"Flags":18446744073709551615,' in store.get(f"{prefix}a").body


@pytest.mark.parametrize(("path", "shown"), ESCAPES)
def test_H28_key_escapes(store: Store, prefix: str, path: str, shown: bytes) -> None:
    """Keys are escaped as Go does, in entries and in key lists."""
    store.write(f"{prefix}{path}")
    expected = b'"' + prefix.encode() + shown + b'"'
    assert store.get(f"{prefix}?keys").body == b"[" + expected + b"]"
    assert b'"Key":' + expected + b"," in store.get(f"{prefix}{path}").body


@pytest.mark.parametrize(("sent", "shown"), NAMES)
def test_H28_name_escapes(store: Store, sent: bytes, shown: bytes) -> None:
    """Session names may hold anything; they are escaped as Go does."""
    body = b'{"Name":"' + sent + b'"}'
    session = store.ask("PUT", "/v1/session/create", body).json["ID"]
    assert b'"Name":"' + shown + b'",' in store.ask("GET", f"/v1/session/info/{session}").body
    store.destroy(session)


def test_H29_entry(store: Store, prefix: str) -> None:
    """An entry names its session only while it has one; an empty value is null."""
    session = store.session()
    created = store.write(f"{prefix}a?flags=5", b"\xff\x00")
    locked = store.write(f"{prefix}a?acquire={session}")
    assert store.get(f"{prefix}a").text == (
        f'[{{"LockIndex":1,"Key":"{prefix}a","Flags":0,"Value":null,"Session":"{session}",'
        f'"CreateIndex":{created},"ModifyIndex":{locked}}}]'
    )
    store.destroy(session)
    assert b"Session" not in store.get(f"{prefix}a").body


@pytest.mark.parametrize(
    ("value", "shown"),
    [(b"", b"null"), (b"\xfb\xff", b'"+/8="'), (b"abc", b'"YWJj"'), (b"\x00", b'"AA=="')],
)
def test_H29_value(store: Store, prefix: str, value: bytes, shown: bytes) -> None:
    """A value is standard base64 with padding."""
    store.write(f"{prefix}a", value)
    assert b'"Value":' + shown + b"," in store.get(f"{prefix}a").body


def test_H30_session(store: Store) -> None:
    """A session shows its members in a fixed order."""
    answer = store.ask("PUT", "/v1/session/create")
    assert re.fullmatch(r'\{"ID":"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"\}', answer.text)
    session = answer.json["ID"]
    shown = store.ask("GET", f"/v1/session/info/{session}")
    assert re.fullmatch(
        rf'\[\{{"ID":"{session}","Name":"","Node":"[^"]+","LockDelay":15000000000,'
        r'"Behavior":"release","TTL":"","NodeChecks":\["serfHealth"\],"ServiceChecks":null,'
        r'"CreateIndex":(\d+),"ModifyIndex":\1\}\]',
        shown.text,
    )
    store.destroy(session)


@pytest.mark.parametrize(
    ("body", "name"),
    [
        (b'{"name":"lower"}', "lower"),
        (b'{"NAME":"upper"}', "upper"),
        (b'{"Name":"a","name":"b"}', "b"),
        (b'{"Name":"a","Name":"b"}', "b"),
        (b'{"Name":null}', ""),
        (b'{"Name":"a","name":null}', "a"),
        (b'{"Name":"a"} junk', "a"),
        (b'{"Name":"a"}{"Name":"b"}', "a"),
        (b' \n\t{ "Name" : "a" }', "a"),
    ],
)
def test_H31_request_json(store: Store, body: bytes, name: str) -> None:
    """Members match in any letter case, null changes nothing, the last of two wins."""
    session = store.ask("PUT", "/v1/session/create", body).json["ID"]
    assert store.ask("GET", f"/v1/session/info/{session}").json[0]["Name"] == name
    store.destroy(session)
