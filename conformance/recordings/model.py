"""What a store holds, as far as its answers tell: enough to say whether an answer fits.

A `World` is a value. It knows the key-value calls and the session calls that old Docker engines
and Swarm managers send, and what is special about them in Consul 1.8.7.
"""

from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from conformance.recordings.trace import Exchange

KV = "/v1/kv/"
_SESSION = "/v1/session/"
OK = 200
_ERROR = 500


@dataclass(frozen=True, slots=True)
class Entry:
    """One key's entry. An index of 0 is one that no answer has told yet."""

    value: str | None
    flags: int = 0
    session: str = ""
    lock_index: int = 0
    modify_index: int = 0


@dataclass(frozen=True, slots=True)
class World:
    """All entries by key, and the behaviour of every session."""

    entries: dict[str, Entry] = field(default_factory=dict)
    sessions: dict[str, str] = field(default_factory=dict)

    def after(self, exchange: Exchange) -> "World | None":
        """Return the world after an exchange; None if it could not be answered like that here."""
        if exchange.path.startswith(_SESSION):
            return self._after_session(exchange)
        if exchange.method == "GET":
            return self._after_read(exchange)
        return self._after_write(exchange)

    def covered(self, exchange: Exchange) -> dict[str, Entry]:
        """Return the entries that a read shows."""
        key = key_of(exchange)
        if "recurse" in exchange.query:
            return {each: entry for each, entry in self.entries.items() if each.startswith(key)}
        return {key: self.entries[key]} if key in self.entries else {}

    def without_session(self, session: str) -> "World":
        """Return the world after the end of a session: its keys are released, or deleted."""
        sessions = dict(self.sessions)
        behavior = sessions.pop(session, None)
        if behavior is None:
            return self
        entries = {}
        for key, entry in self.entries.items():
            if entry.session != session:
                entries[key] = entry
            elif behavior != "delete":
                entries[key] = replace(entry, session="", modify_index=0)
        return World(entries, sessions)

    def _after_session(self, exchange: Exchange) -> "World | None":
        call, _, session = exchange.path.removeprefix(_SESSION).partition("/")
        if exchange.status == _ERROR:
            return self
        if call == "create":
            behavior = "delete" if '"Behavior":"delete"' in exchange.body else "release"
            return replace(self, sessions={**self.sessions, exchange.answer["ID"]: behavior})
        if call == "destroy":
            return self.without_session(session)
        return self if (exchange.status == OK) == (session in self.sessions) else None

    def _after_read(self, exchange: Exchange) -> "World | None":
        here = self.covered(exchange)
        told = dict(entries_in(exchange))
        if here.keys() != told.keys():
            return None
        learned = {}
        for key, entry in told.items():
            mine = here[key]
            if mine.modify_index == 0:
                mine = replace(mine, modify_index=entry.modify_index)
                learned[key] = mine
            if mine != entry:
                return None
        return replace(self, entries={**self.entries, **learned}) if learned else self

    def _after_write(self, exchange: Exchange) -> "World | None":
        key = key_of(exchange)
        old = self.entries.get(key)
        granted = self._grants(exchange, old)
        if granted is not None and granted != (exchange.answer is True):
            return None
        if exchange.answer is not True:
            return self
        entries = dict(self.entries)
        if exchange.method == "DELETE":
            entries.pop(key, None)
        else:
            new = _written(exchange, old or Entry(None), is_new=old is None)
            if old is None or new != replace(old, modify_index=0):
                entries[key] = new
        return replace(self, entries=entries)

    def _grants(self, exchange: Exchange, old: Entry | None) -> bool | None:
        """Return whether a conditional write would be done; None when that cannot be told."""
        query = exchange.query
        if "acquire" in query:
            return old is None or old.session in {"", query["acquire"]}
        if "release" in query:
            return old is not None and old.session == query["release"]
        if "cas" not in query:
            return True
        if old is None:
            return exchange.method == "DELETE" or query["cas"] == "0"
        if query["cas"] == "0":
            return False
        return query["cas"] == str(old.modify_index) if old.modify_index else None


def _written(exchange: Exchange, old: Entry, *, is_new: bool) -> Entry:
    """Return an entry after a write to it."""
    query = exchange.query
    session, lock_index = old.session, 0
    if "acquire" in query:
        session = query["acquire"]
        lock_index = 1 if is_new else old.lock_index + (old.session == "")
    elif "release" in query:
        session, lock_index = "", old.lock_index
    return Entry(encoded(exchange.body), int(query.get("flags", "0")), session, lock_index)


def key_of(exchange: Exchange) -> str:
    """Return the key of a key-value call."""
    return exchange.path.removeprefix(KV)


def entries_in(exchange: Exchange) -> Iterator[tuple[str, Entry]]:
    """Return the entries in the answer to a read, by key."""
    rows: list[dict[str, Any]] = exchange.answer or []
    for row in rows:
        yield (
            row["Key"],
            Entry(
                value=row["Value"],
                flags=row["Flags"],
                session=row.get("Session", ""),
                lock_index=row["LockIndex"],
                modify_index=row["ModifyIndex"],
            ),
        )


def encoded(body: str) -> str | None:
    """Return a body as answers show it."""
    return b64encode(body.encode()).decode() if body else None
