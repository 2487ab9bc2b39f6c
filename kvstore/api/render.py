"""Values → JSON as Consul writes it: field order, escapes and omissions (H26 to H30). Pure."""

import re
from binascii import b2a_base64
from collections.abc import Iterable
from typing import Any

from kvstore.state.entry import Entry, Session

__all__ = [
    "indent",
    "render_entries",
    "render_entry",
    "render_keys",
    "render_sessions",
    "render_text",
    "render_value",
]

# Printable ASCII that JSON and Go both leave alone.
_PLAIN = re.compile(rb"[ !#-%'-;=?-\[\]-~]*")
_ESCAPES = {
    **{code: f"\\u{code:04x}" for code in range(0x20)},
    ord("\n"): "\\n",
    ord("\r"): "\\r",
    ord("\t"): "\\t",
    ord('"'): '\\"',
    ord("\\"): "\\\\",
    ord("<"): "\\u003c",
    ord(">"): "\\u003e",
    ord("&"): "\\u0026",
    0x2028: "\\u2028",
    0x2029: "\\u2029",
    **dict.fromkeys(range(0xDC80, 0xDD00), "\\ufffd"),  # undecodable bytes
}
_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*"|[{}\[\],:]|[^"{}\[\],:]+')


def render_text(text: bytes) -> bytes:
    """Return a JSON string; undecodable bytes become U+FFFD escapes (H28)."""
    if _PLAIN.fullmatch(text):
        return b'"' + text + b'"'
    return b'"' + text.decode("utf-8", "surrogateescape").translate(_ESCAPES).encode() + b'"'


def render_entry(entry: Entry, *, with_value: bool = True) -> bytes:
    """Return an entry as a JSON object (H29); without its value as if that were empty."""
    shown = with_value and entry.value
    value = b'"' + b2a_base64(entry.value, newline=False) + b'"' if shown else b"null"
    session = b',"Session":"%s"' % entry.session.encode() if entry.session else b""
    return (
        b'{"LockIndex":%d,"Key":%s,"Flags":%d,"Value":%s%s,"CreateIndex":%d,"ModifyIndex":%d}'
        % (
            entry.lock_index,
            render_text(entry.key),
            entry.flags,
            value,
            session,
            entry.create_index,
            entry.modify_index,
        )
    )


def render_entries(entries: Iterable[Entry]) -> bytes:
    """Return a JSON list of entries."""
    return b"[" + b",".join(map(render_entry, entries)) + b"]"


def render_keys(keys: Iterable[bytes]) -> bytes:
    """Return a JSON list of keys."""
    return b"[" + b",".join(map(render_text, keys)) + b"]"


def render_sessions(sessions: Iterable[Session]) -> bytes:
    """Return a JSON list of sessions (H30)."""
    return render_value([_session_fields(session) for session in sessions])


def _session_fields(session: Session) -> dict[str, Any]:
    services = session.service_checks
    return {
        "ID": session.id,
        "Name": session.name,
        "Node": session.node,
        "LockDelay": session.lock_delay_ns,
        "Behavior": session.behavior,
        "TTL": session.ttl,
        "NodeChecks": session.node_checks,
        "ServiceChecks": None
        if services is None
        else [{"ID": check.id, "Namespace": check.namespace} for check in services],
        **({"Checks": session.checks} if session.checks else {}),
        "CreateIndex": session.create_index,
        "ModifyIndex": session.create_index,
    }


def render_value(value: Any) -> bytes:
    """Return plain values (dicts in their order, lists, texts, numbers, None) as compact JSON."""
    if value is None:
        return b"null"
    if isinstance(value, bool):
        return b"true" if value else b"false"
    if isinstance(value, int):
        return b"%d" % value
    if isinstance(value, str):
        return render_text(value.encode("utf-8", "surrogateescape"))
    if isinstance(value, dict):
        members = (render_value(name) + b":" + render_value(one) for name, one in value.items())
        return b"{" + b",".join(members) + b"}"
    return b"[" + b",".join(map(render_value, value)) + b"]"


def indent(compact: bytes) -> bytes:
    """Return compact JSON with four spaces a level and a newline at its end (`?pretty`, H26)."""
    parts: list[bytes] = []
    level = 0
    tokens = _TOKEN.findall(compact)
    for position, token in enumerate(tokens):
        following = tokens[position + 1] if position + 1 < len(tokens) else b""
        previous = tokens[position - 1] if position else b""
        if token in (b"{", b"["):
            parts.append(token)
            if following not in (b"}", b"]"):
                level += 1
                parts.append(b"\n" + b"    " * level)
        elif token in (b"}", b"]"):
            if previous not in (b"{", b"["):
                level -= 1
                parts.append(b"\n" + b"    " * level)
            parts.append(token)
        elif token == b",":
            parts.append(b",\n" + b"    " * level)
        elif token == b":":
            parts.append(b": ")
        else:
            parts.append(token)
    return b"".join(parts) + b"\n"
