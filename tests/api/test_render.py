"""Values as JSON, byte for byte as Consul writes them."""
# ruff: noqa: N802 - test names begin with the ids of the contract, as they are written there

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvstore.api.render import (
    indent,
    render_entries,
    render_entry,
    render_keys,
    render_sessions,
    render_text,
    render_value,
)
from kvstore.state.entry import Entry, ServiceCheck, Session

UINT64 = st.integers(0, 2**64 - 1)
ENTRIES = st.builds(
    Entry,
    key=st.binary(),
    value=st.binary(max_size=300),
    flags=UINT64,
    session=st.sampled_from(["", "6d1b9b2c-3a0f-4b9e-8f5d-0a1b2c3d4e5f"]),
    lock_index=UINT64,
    create_index=UINT64,
    modify_index=UINT64,
)
# What Go's encoder can write: no floats here, no lone surrogates.
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


def entry(key: bytes = b"a", value: bytes = b"v1", session: str = "") -> Entry:
    """Return an entry with the index 9."""
    return Entry(key, value, 0, session, 0, 9, 9)


def session(**changes: Any) -> Session:
    """Return a session with Consul's defaults."""
    fields = {
        "id": "6d1b9b2c-3a0f-4b9e-8f5d-0a1b2c3d4e5f",
        "name": "",
        "node": "n1",
        "lock_delay_ns": 15_000_000_000,
        "behavior": "release",
        "ttl": "",
        "ttl_ns": 0,
        "node_checks": ("serfHealth",),
        "service_checks": None,
        "checks": (),
        "create_index": 12,
    }
    return Session(**{**fields, **changes})


@pytest.mark.parametrize(
    ("text", "rendered"),
    [
        (b"", b'""'),
        (b"a/b c", b'"a/b c"'),
        (b"<>&", rb'"\u003c\u003e\u0026"'),
        ("\u2028\u2029".encode(), rb'"\u2028\u2029"'),
        (b'"\\', rb'"\"\\"'),
        (b"\n\r\t", rb'"\n\r\t"'),
        (b"\b\f\x00\x1f", rb'"\u0008\u000c\u0000\u001f"'),
        (b"\x7f", b'"\x7f"'),
        ("é世😀".encode(), '"é世😀"'.encode()),
        (b"a\xffb", rb'"a\ufffdb"'),
        (b"\xe4\xb8", rb'"\ufffd\ufffd"'),
        ("\ufffd".encode(), '"\ufffd"'.encode()),
    ],
)
def test_H28_texts(text: bytes, rendered: bytes) -> None:
    """Go's escapes: HTML's letters, line separators, controls, and bytes that are no text."""
    assert render_text(text) == rendered


@given(text=st.binary())
def test_a_text_is_json(text: bytes) -> None:
    """Any bytes become a JSON string, that of the same text if they are one."""
    assert json.loads(render_text(text)) == text.decode("utf-8", "surrogateescape").translate(
        dict.fromkeys(range(0xDC80, 0xDD00), "\ufffd")
    )


def test_H29_an_entry_in_consuls_order() -> None:
    """Field order is fixed, the value is base64, no session means no member."""
    assert render_entry(entry()) == (
        b'{"LockIndex":0,"Key":"a","Flags":0,"Value":"djE=","CreateIndex":9,"ModifyIndex":9}'
    )


def test_H29_a_locked_entry_names_its_session() -> None:
    """The session stands between the value and the indexes."""
    assert b'"Value":"djE=","Session":"s-1","CreateIndex"' in render_entry(entry(session="s-1"))


def test_H29_an_empty_value_is_null() -> None:
    """An empty value is null, never an empty text."""
    assert b'"Value":null,' in render_entry(entry(value=b""))


@given(entry=ENTRIES)
def test_an_entry_gives_its_fields_back(entry: Entry) -> None:
    """Reading the JSON gives every field, numbers of 64 bits included."""
    fields = json.loads(render_entry(entry))
    assert base64.b64decode(fields["Value"] or "") == entry.value
    assert fields["Key"] == json.loads(render_text(entry.key))
    assert fields.get("Session", "") == entry.session
    assert (fields["Flags"], fields["LockIndex"]) == (entry.flags, entry.lock_index)
    assert (fields["CreateIndex"], fields["ModifyIndex"]) == (
        entry.create_index,
        entry.modify_index,
    )


@given(entries=st.lists(ENTRIES, max_size=4))
def test_a_list_of_entries(entries: list[Entry]) -> None:
    """A list is the entries' own JSON in order."""
    assert json.loads(render_entries(entries)) == [json.loads(render_entry(e)) for e in entries]


@given(keys=st.lists(st.binary(), max_size=4))
def test_a_list_of_keys(keys: list[bytes]) -> None:
    """A list of names is a JSON list of texts in order."""
    assert json.loads(render_keys(keys)) == [json.loads(render_text(key)) for key in keys]


def test_empty_lists() -> None:
    """Nothing found is an empty list, never null."""
    assert render_entries([]) == render_keys([]) == render_sessions([]) == b"[]"


def test_H30_a_session_in_consuls_order() -> None:
    """Field order is fixed, lock-delay is in nanoseconds, empty checks are left out."""
    assert render_sessions([session()]) == (
        b'[{"ID":"6d1b9b2c-3a0f-4b9e-8f5d-0a1b2c3d4e5f","Name":"","Node":"n1",'
        b'"LockDelay":15000000000,"Behavior":"release","TTL":"","NodeChecks":["serfHealth"],'
        b'"ServiceChecks":null,"CreateIndex":12,"ModifyIndex":12}]'
    )


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"node_checks": None}, b'"NodeChecks":null,"ServiceChecks"'),
        ({"node_checks": ()}, b'"NodeChecks":[],"ServiceChecks"'),
        ({"service_checks": ()}, b'"ServiceChecks":[],"CreateIndex"'),
        (
            {"service_checks": (ServiceCheck("web", "ns"),)},
            b'"ServiceChecks":[{"ID":"web","Namespace":"ns"}],"CreateIndex"',
        ),
        ({"checks": ("a", "b")}, b'"ServiceChecks":null,"Checks":["a","b"],"CreateIndex"'),
        ({"lock_delay_ns": -5}, b'"LockDelay":-5,'),
        ({"name": "<é>", "ttl": "1h30m"}, '"Name":"\\u003cé\\u003e",'.encode()),
    ],
)
def test_H30_members_of_a_session(changes: dict[str, Any], part: bytes) -> None:
    """Null, empty and given lists differ; checks stand between the others and the indexes."""
    assert part in render_sessions([session(**changes)])


@given(value=JSON_VALUES)
def test_a_value_is_compact_json(value: Any) -> None:
    """Any plain value comes back, and no space stands between the tokens."""
    rendered = render_value(value)
    assert json.loads(rendered) == value
    assert len(rendered) == len(render_value(json.loads(rendered)))


def test_a_value_keeps_the_order_of_its_members() -> None:
    """Members are written in the order they were given, tuples as lists, booleans as such."""
    assert render_value({"b": True, "a": (1, None), "c": False}) == (
        b'{"b":true,"a":[1,null],"c":false}'
    )


@given(value=JSON_VALUES | st.lists(JSON_VALUES))
def test_indented_json_means_the_same(value: Any) -> None:
    """Indenting changes nothing but space, and ends the last line."""
    compact = json.dumps(value, separators=(",", ":")).encode()
    indented = indent(compact)
    assert json.loads(indented) == value
    assert indented.endswith(b"\n")


@given(value=JSON_VALUES)
def test_H26_indented_as_others_do(value: Any) -> None:
    """The layout is that of four spaces a level; empty lists and objects stay on one line."""
    assert indent(render_value(value)) == _by_the_library(value) + b"\n"


def _by_the_library(value: Any) -> bytes:
    # Escapes differ (H28), so the texts are rendered by us and put in afterwards.
    texts: dict[str, bytes] = {}

    def named(one: Any) -> Any:
        if isinstance(one, str):
            texts[f"text-{len(texts)}-"] = render_value(one)
            return f"text-{len(texts) - 1}-"
        if isinstance(one, list):
            return [named(inner) for inner in one]
        if isinstance(one, dict):
            return {named(name): named(inner) for name, inner in one.items()}
        return one

    laid_out = json.dumps(named(value), indent=4).encode()
    for name, rendered in texts.items():
        laid_out = laid_out.replace(f'"{name}"'.encode(), rendered, 1)
    return laid_out


def test_H26_an_indented_list() -> None:
    """One member a line, a space behind the colon, texts left alone."""
    assert indent(b'[{"Key":"a{,:[\\"","Value":null},[],{}]') == (
        b'[\n    {\n        "Key": "a{,:[\\"",\n        "Value": null\n    },\n    [],\n    {}\n]\n'
    )
    assert indent(b"[]") == b"[]\n"
