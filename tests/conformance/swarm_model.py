"""A store in memory for a Swarm, in time that leaps: what keeps the contract, and what does not.

`Model` does as a Consul. Each class after it has one fault, that a Swarm would suffer from.
"""

import asyncio
import json
import re
import selectors
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

from fake_store import answer

from conformance.clients.ttl import parse_s
from conformance.suite.case import Store
from conformance.suite.wire import Answer, ConnectionEnded, NotAnswered

TTL_MIN_NS = 10**9
GRACE = 2.0
FOREVER_S = 300.0
READY = "ready?cas=1"
_NANOSECONDS = {"h": 3600 * 10**9, "m": 60 * 10**9, "s": 10**9, "ms": 10**6, "ns": 1}


class LeapingLoop(asyncio.SelectorEventLoop):
    """An event loop in which sleeping takes no time."""

    def __init__(self) -> None:
        self.now_s = 1000.0
        super().__init__(_Leaping(self))

    def time(self) -> float:
        """Return the seconds that would have passed."""
        return self.now_s


class _Leaping(selectors.SelectSelector):
    def __init__(self, loop: LeapingLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> Any:
        self._loop.now_s += timeout or 0.0
        return super().select(0 if timeout is not None else None)


@dataclass(frozen=True)
class Row:
    """One key's entry."""

    value: bytes
    flags: int
    session: str
    lock_index: int
    created: int
    modified: int


@dataclass
class Session:
    """One session, and when it ends."""

    ttl: str
    behavior: str
    ends_s: float = 0.0


class Model(Store):
    """A store as a Swarm sees it. `restart` tells what becomes of it at a restart."""

    def __init__(self, time: Callable[[], float]) -> None:
        super().__init__()
        self.time = time
        # The method and target of every request.
        self.asked: list[tuple[str, str]] = []
        self.rows: dict[str, Row] = {}
        self.alive: dict[str, Session] = {}
        self.newest = 1
        self.lives = 0
        # The index of the last change below each key's directory, deletes counted.
        self.changed: dict[str, int] = {}

    def connect(self) -> Any:
        """Open what looks like a connection."""
        return _Connection(self)

    # --- what a faulty one does otherwise ---

    def lasts_s(self, session: Session) -> float:
        """Return for how long a session lasts that is renewed now."""
        return GRACE * parse_s(session.ttl)

    def renews(self, session: Session) -> None:
        """Let a session last longer."""
        session.ends_s = self.time() + self.lasts_s(session)

    def lets_go(self, key: str, row: Row, session: Session) -> None:
        """Do with a key what the behaviour of the session says that held it."""
        self.change(key, None if session.behavior == "delete" else replace(row, session=""))

    def writes(self, row: Row | None, new: Row) -> bool:
        """Return whether a plain write is a change."""
        return row is None or replace(new, modified=row.modified) != row

    def acquires(self, key: str, row: Row | None, session: str) -> bool:
        """Return whether a session gets a key."""
        del key
        return row is None or row.session in {"", session}

    def lock_index_after_plain(self, row: Row | None) -> int:
        """Return the LockIndex of a key after a plain write."""
        del row
        return 0

    def refuses(self, ttl_ns: int) -> bool:
        """Return whether a TTL is too short."""
        return ttl_ns < TTL_MIN_NS

    def wakes(self, query: dict[str, str], now: int) -> bool:
        """Return whether a query that waits is answered, `now` being the index of what it asks."""
        return now > int(query["index"])

    def shown_index(self, index: int, status: int) -> int:
        """Return the index that an answer tells."""
        del status
        return index

    def restart(self) -> None:
        """End all connections."""
        self.lives += 1

    # --- what it is asked ---

    def respond(self, method: str, target: str, body: bytes) -> Answer:
        """Do as one request says and answer it; a read does not wait here."""
        self.expire()
        url = urlsplit(target)
        query = {name: each[0] for name, each in parse_qs(url.query, True).items()}
        if url.path.startswith("/v1/kv/"):
            if target.endswith(READY):
                self.restart()
            return self._kv(method, url.path.removeprefix("/v1/kv/"), query, body)
        _, _, _, what, *rest = url.path.split("/")
        if what == "create":
            return self._create(json.loads(body))
        session = rest[0]
        if what == "destroy":
            self.end(session)
            return answer(200, True)
        if session not in self.alive:
            if what == "info":
                return answer(200, [], 1)
            return Answer(404, "", (), f"Session id '{session}' not found".encode())
        self.renews(self.alive[session])
        return answer(200, [{"ID": session, "TTL": self.alive[session].ttl}], 1)

    def waits(self, method: str, target: str, since_s: float) -> bool:
        """Return whether a request has no answer yet that was sent at that time."""
        self.expire()
        url = urlsplit(target)
        query = {name: each[0] for name, each in parse_qs(url.query, True).items()}
        if method != "GET" or "index" not in query:
            return False
        wait_s = int(query["wait"].removesuffix("ms")) / 1000 if "wait" in query else FOREVER_S
        index = self._index(url.path.removeprefix("/v1/kv/"), recurse="recurse" in query)
        return not self.wakes(query, index) and self.time() < since_s + wait_s

    def expire(self) -> None:
        """End the sessions whose time is over."""
        for session in [each for each, it in self.alive.items() if it.ends_s <= self.time()]:
            self.end(session)

    def end(self, session: str) -> None:
        """End a session, which lets go of its keys."""
        gone = self.alive.pop(session, None)
        if gone is not None:
            self.newest += 1
            for key, row in [each for each in self.rows.items() if each[1].session == session]:
                self.lets_go(key, row, gone)

    def change(self, key: str, row: Row | None) -> None:
        """Change a key, at an index of its own; None deletes it."""
        self.newest += 1
        self.changed[key] = self.newest
        if row is None:
            self.rows.pop(key, None)
        else:
            self.rows[key] = replace(row, modified=self.newest)

    def _kv(self, method: str, key: str, query: dict[str, str], body: bytes) -> Answer:
        if method == "GET":
            return self._read(key, recurse="recurse" in query)
        if method == "DELETE":
            for each in [name for name in self.rows if name.startswith(key)]:
                self.change(each, None)
            return answer(200, True)
        row = self.rows.get(key)
        new = Row(body, int(query.get("flags", 0)), "", 0, self.newest + 1, 0)
        if row is not None:
            new = replace(new, session=row.session, created=row.created)
        if "acquire" in query:
            return self._acquire(key, row, replace(new, session=query["acquire"]))
        if "release" in query:
            return self._release(key, row, query["release"], new)
        new = replace(new, lock_index=self.lock_index_after_plain(row))
        if self.writes(row, new):
            self.change(key, new)
        return answer(200, True)

    def _acquire(self, key: str, row: Row | None, new: Row) -> Answer:
        if new.session not in self.alive:
            return Answer(500, "", (), f'invalid session "{new.session}"'.encode())
        if not self.acquires(key, row, new.session):
            return answer(200, False)
        self.change(key, replace(new, lock_index=row.lock_index + 1 if row else 1))
        return answer(200, True)

    def _release(self, key: str, row: Row | None, session: str, new: Row) -> Answer:
        if row is None or row.session != session:
            return answer(200, False)
        self.change(key, replace(new, session="", lock_index=row.lock_index))
        return answer(200, True)

    def _read(self, key: str, *, recurse: bool) -> Answer:
        names = [key] if key in self.rows else []
        if recurse:
            names = sorted(name for name in self.rows if name.startswith(key))
        index, status = self._index(key, recurse=recurse), 200 if names else 404
        listed = [_shown(name, self.rows[name]) for name in names]
        return answer(status, listed or None, self.shown_index(index, status))

    def _index(self, key: str, *, recurse: bool) -> int:
        if not recurse:
            row = self.rows.get(key)
            return row.modified if row else max(self.changed.values(), default=1)
        below = [index for name, index in self.changed.items() if name.startswith(key)]
        return max(below, default=self.newest)

    def _create(self, members: dict[str, str]) -> Answer:
        ttl = members["TTL"]
        ttl_ns = sum(
            round(float(number) * _NANOSECONDS[unit])
            for number, unit in re.findall(r"([\d.]+)(h|ms|ns|m|s)", ttl)
        )
        if self.refuses(ttl_ns):
            said = f"Invalid Session TTL '{ttl_ns}', must be between [1s=24h0m0s]"
            return Answer(500, "", (), said.encode())
        self.newest += 1
        session = f"session-{self.newest}"
        self.alive[session] = Session(ttl, members.get("Behavior", "release"))
        self.alive[session].ends_s = self.time() + self.lasts_s(self.alive[session])
        return answer(200, {"ID": session})


class _Connection:
    def __init__(self, model: Model) -> None:
        self._model = model
        self._asked = ("", "", b"")
        self._sent_s = 0.0
        # A request was sent, and the store has not got it yet.
        self._under_way = False
        self._answer: Answer | None = None
        self._life = model.lives

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        """Leave nothing behind."""

    def close(self) -> None:
        """End it."""

    def send(self, data: bytes) -> None:
        head, _, body = data.partition(b"\r\n\r\n")
        method, target, _ = head.split(b"\r\n", 1)[0].decode().split(" ")
        self._asked, self._sent_s = (method, target, body), self._model.time()
        self._model.asked.append((method, target))
        self._under_way, self._answer = True, None

    def silent_for(self, seconds: float) -> bool:
        """Be silent once for each request, so that those of several clients are under way."""
        del seconds
        if self._under_way:
            self._under_way = False
            return True
        method, target, _ = self._asked
        if self._answer is None and self._life == self._model.lives:
            if self._model.waits(method, target, self._sent_s):
                return True
            self._answer = self._model.respond(*self._asked)
        return False

    def read(self, method: str = "GET", within_s: float = 0) -> Answer:
        del method, within_s
        self._under_way = False
        if self.silent_for(0):
            raise NotAnswered(f"no answer to {self._asked[:2]}")
        if self._answer is None:
            raise ConnectionEnded(b"")
        return self._answer


def _shown(key: str, row: Row) -> dict[str, Any]:
    held = {"Session": row.session} if row.session else {}
    return {
        "LockIndex": row.lock_index,
        "Key": key,
        "Flags": row.flags,
        "Value": b64encode(row.value).decode() or None,
        **held,
        "CreateIndex": row.created,
        "ModifyIndex": row.modified,
    }


# --- faults -------------------------------------------------------------------------------------


class NeverEnds(Model):
    """Keeps a session for ever."""

    def expire(self) -> None:
        """End nothing."""


class EndsEarly(Model):
    """Ends a session at its TTL."""

    def lasts_s(self, session: Session) -> float:
        """Return half of what it should last."""
        return parse_s(session.ttl)


class EndsLate(Model):
    """Keeps a session for ten times its TTL."""

    def lasts_s(self, session: Session) -> float:
        """Return more than it should last."""
        return 10 * parse_s(session.ttl)


class IgnoresRenewals(Model):
    """Ends a session at twice its TTL, whether it was renewed or not."""

    def renews(self, session: Session) -> None:
        """Do nothing."""


class AlwaysDeletes(Model):
    """Deletes the keys of a session that should release them."""

    def lets_go(self, key: str, row: Row, session: Session) -> None:
        """Delete the key."""
        del row, session
        self.change(key, None)


class AlwaysReleases(Model):
    """Releases the keys of a session that should delete them."""

    def lets_go(self, key: str, row: Row, session: Session) -> None:
        """Keep the key."""
        del session
        self.change(key, replace(row, session=""))


class LeavesKeys(Model):
    """Leaves the keys of a session that is gone as they were."""

    def lets_go(self, key: str, row: Row, session: Session) -> None:
        """Do nothing."""


class TakesBeatsForNews(Model):
    """Takes every write for a change."""

    def writes(self, row: Row | None, new: Row) -> bool:
        """Return that it is one."""
        del row, new
        return True


class KeepsLockIndex(Model):
    """Keeps the LockIndex at a plain write."""

    def lock_index_after_plain(self, row: Row | None) -> int:
        """Return what it was."""
        return row.lock_index if row else 0


class GivesToAll(Model):
    """Gives a key to whoever asks."""

    def acquires(self, key: str, row: Row | None, session: str) -> bool:
        """Return that it does."""
        del key, row, session
        return True


class GivesToNone(Model):
    """Gives no key that is there, held or not."""

    def acquires(self, key: str, row: Row | None, session: str) -> bool:
        """Return whether the key is new."""
        del key, session
        return row is None


class DelaysLocks(Model):
    """Keeps a key from everybody for half a minute after its holder has ended."""

    def __init__(self, time: Callable[[], float]) -> None:
        super().__init__(time)
        self.free_s: dict[str, float] = {}

    def lets_go(self, key: str, row: Row, session: Session) -> None:
        """Let go of the key, for nobody to take at once."""
        super().lets_go(key, row, session)
        self.free_s[key] = self.time() + 30.0

    def acquires(self, key: str, row: Row | None, session: str) -> bool:
        """Return whether it is free, and was for half a minute."""
        return super().acquires(key, row, session) and self.time() >= self.free_s.get(key, 0.0)


class TakesAnyTtl(Model):
    """Takes TTLs that it says are too short, but for a nanosecond."""

    def refuses(self, ttl_ns: int) -> bool:
        """Return whether it is next to nothing."""
        return ttl_ns < 2


class DeafPrefixes(Model):
    """Lets those who watch a prefix wait until their time is up."""

    def wakes(self, query: dict[str, str], now: int) -> bool:
        """Return whether a key has changed."""
        return "recurse" not in query and super().wakes(query, now)


class DeafMonitors(Model):
    """Lets those wait who watch a key without a time of their own."""

    def wakes(self, query: dict[str, str], now: int) -> bool:
        """Return whether a query with a time of its own has news."""
        return "wait" in query and super().wakes(query, now)


class DeafKeys(Model):
    """Lets those who watch one key wait until their time is up."""

    def wakes(self, query: dict[str, str], now: int) -> bool:
        """Return whether a prefix has changed."""
        return "recurse" in query and super().wakes(query, now)


class Spins(Model):
    """Answers what should wait."""

    def wakes(self, query: dict[str, str], now: int) -> bool:
        """Return that there is an answer."""
        del query, now
        return True


class NoIndexOfNothing(Model):
    """Tells no index with a 404."""

    def shown_index(self, index: int, status: int) -> int:
        """Return no index for what is not there."""
        return index if status == 200 else 0


class LosesSessions(Model):
    """Loses sessions and what they held at a restart."""

    def restart(self) -> None:
        """End all sessions."""
        super().restart()
        for session in list(self.alive):
            self.end(session)


class LosesAll(Model):
    """Comes back empty."""

    def restart(self) -> None:
        """Forget everything, indexes too."""
        super().restart()
        self.rows, self.alive, self.changed, self.newest = {}, {}, {}, 1


class MakesNoMoreSessions(Model):
    """Refuses every new session after a restart."""

    def refuses(self, ttl_ns: int) -> bool:
        """Return whether it was restarted."""
        return self.lives > 0 or super().refuses(ttl_ns)
