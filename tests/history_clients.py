"""Who loads a server that is killed: each does what such clients do, over and over.

They share keys in groups small enough that what they saw can be checked fast. What they know of
the store outlives the server, as with real clients.
"""

import itertools
from collections.abc import Callable, Iterator
from functools import partial
from random import Random
from typing import Protocol

from history import (
    Absent,
    Answer,
    At,
    Call,
    Cas,
    CreateSession,
    Delete,
    DeleteCas,
    DeleteTree,
    DestroySession,
    Entries,
    HeldBy,
    Lock,
    Part,
    ReadKey,
    ReadNames,
    ReadSessions,
    ReadTree,
    RenewSession,
    Set,
    Txn,
    Unlock,
)
from history_checker import Layout
from killing import Client

__all__ = ["LAYOUT", "Actor", "everybody"]

_TREES = ("tree/0/", "tree/1/")
_LOCKS = ("lock/0/", "lock/1/")
_COUNTER = "counter/0"
_TREE_CLIENTS = 4
_COUNTER_CLIENTS = 3
_LOCK_CLIENTS = 3

# One key is the beginning of another, and one tree within the other.
_NAMES = ("a", "a/b", "a/c")

LAYOUT = Layout(
    {
        **{prefix: tuple(prefix + name for name in _NAMES) for prefix in _TREES},
        **{prefix: (f"{prefix}key",) for prefix in _LOCKS},
        "counter/": (_COUNTER,),
    },
    (_COUNTER,),
)
"""The keys that `everybody` uses."""


class Actor(Protocol):
    """One client's will."""

    def act(self, client: Client, chance: Random) -> None:
        """Do the next thing; raises ServerGone."""


def everybody() -> list[Actor]:
    """Return all actors of one store."""
    actors: list[Actor] = []
    for prefix in _TREES:
        actors += [Gardener(prefix, f"{prefix}{number}") for number in range(_TREE_CLIENTS)]
        actors.append(Watcher(partial(ReadTree, prefix)))
    actors += [Counting(_COUNTER, f"counter{number}") for number in range(_COUNTER_CLIENTS)]
    actors.append(Watcher(partial(ReadKey, _COUNTER)))
    for prefix in _LOCKS:
        actors += [Locker(prefix, f"locker{number}") for number in range(_LOCK_CLIENTS)]
        actors.append(Watcher(partial(ReadKey, f"{prefix}key")))
    actors.append(Watcher(ReadSessions))
    return actors


class Gardener:
    """Writes, deletes and reads the keys of a tree in every way, with indexes old and new."""

    _MOVES = ("set", "cas", "delete", "delete-cas", "delete-tree", "read", "tree", "names", "txn")
    _WEIGHTS = (5, 6, 1, 2, 1, 4, 2, 1, 6)
    # Of a key in a transaction.
    _OPS = ("set", "cas", "delete", "delete-cas", "at", "absent")
    _OP_WEIGHTS = (10, 4, 2, 1, 1, 1)

    def __init__(self, prefix: str, name: str) -> None:
        self._prefix = prefix
        self._values = _values(name)
        # The index each key had when it was last seen here; 0 when it was absent.
        self._indexes: dict[str, int] = {}

    def act(self, client: Client, chance: Random) -> None:
        """Do one thing to a key or to the tree."""
        key = self._prefix + chance.choice(_NAMES)
        (move,) = chance.choices(self._MOVES, self._WEIGHTS)
        index = self._indexes.get(key, 0)
        match move:
            case "set":
                client.do(Set(key, next(self._values)))
            case "cas":
                client.do(Cas(key, next(self._values), index))
            case "delete":
                client.do(Delete(key))
            case "delete-cas":
                client.do(DeleteCas(key, index))
            case "delete-tree":
                client.do(DeleteTree(self._prefix + chance.choice(("", "a", "a/"))))
            case "read":
                self._look([key], client.do(ReadKey(key)))
            case "tree":
                keys = [self._prefix + name for name in _NAMES]
                self._look(keys, client.do(ReadTree(self._prefix)))
            case "names":
                client.do(ReadNames(self._prefix + chance.choice(("", "a/"))))
            case "txn":
                client.do(self._txn(chance))

    def _txn(self, chance: Random) -> Txn:
        """Return a transaction on some of the keys; those with an index may fail."""
        names = chance.sample(_NAMES, chance.choice((2, 2, 3)))
        value = next(self._values)
        ops: list[Part] = [self._op(self._prefix + name, value, chance) for name in names]
        if chance.random() < 0.1:
            ops.insert(0, DeleteTree(self._prefix + "a/"))
        return Txn(tuple(ops))

    def _op(self, key: str, value: str, chance: Random) -> Part:
        (kind,) = chance.choices(self._OPS, self._OP_WEIGHTS)
        index = self._indexes.get(key, 0)
        match kind:
            case "cas":
                return Cas(key, value, index)
            case "delete":
                return Delete(key)
            case "delete-cas":
                return DeleteCas(key, index)
            case "at" if index:
                return At(key, index)
            case "absent":
                return Absent(key)
        return Set(key, value)

    def _look(self, keys: list[str], entries: Entries) -> None:
        for key in keys:
            seen = entries.by_key.get(key)
            self._indexes[key] = 0 if seen is None else seen.modify_index


class Counting:
    """Counts up a key that it shares with others, by check-and-set."""

    def __init__(self, key: str, name: str) -> None:
        self._key = key
        self._values = _values(name)

    def act(self, client: Client, _chance: Random) -> None:
        """Try one step; a refused one is tried again with what is there then."""
        entries: Entries = client.do(ReadKey(self._key))
        seen = entries.by_key.get(self._key)
        count, index = (0, 0) if seen is None else (int(seen.value.split()[0]), seen.modify_index)
        client.do(Cas(self._key, f"{count + 1} {next(self._values)}", index))


class Locker:
    """Competes for one lock with a session that it makes, renews, gives up, and loses to others."""

    _MOVES = (
        *("lock", "unlock", "renew", "list", "read", "set", "delete", "destroy", "destroy-any"),
        *("txn-lock", "txn-unlock", "txn-set"),
    )
    _WEIGHTS = (10, 5, 1, 2, 2, 1, 1, 1, 1, 2, 1, 2)

    def __init__(self, prefix: str, name: str) -> None:
        self._prefix = prefix
        self._key = f"{prefix}key"
        self._name = name
        self._values = _values(name)
        self._sessions = itertools.count(1)
        # Its session as far as it knows, and everybody's on this lock when it last looked.
        self._session: str | None = None
        self._listed: list[str] = []

    def act(  # noqa: C901, PLR0912 - a table
        self, client: Client, chance: Random
    ) -> None:
        """Do one thing with its session, or make one."""
        if self._session is None:
            self._session = self._make(client, chance)
            return
        session, value = self._session, next(self._values)
        (move,) = chance.choices(self._MOVES, self._WEIGHTS)
        match move:
            case "lock":
                if client.do(Lock(self._key, value, session)) is Answer.REFUSED:
                    self._session = None
            case "unlock":
                client.do(Unlock(self._key, value, session))
            case "renew":
                client.do(RenewSession(session))
            case "list":
                self._look(client)
            case "read":
                client.do(ReadKey(self._key))
            case "set":
                client.do(Set(self._key, value))
            case "delete":
                client.do(Delete(self._key))
            case "txn-lock":
                client.do(Txn((Lock(self._key, value, session), HeldBy(self._key, session))))
            case "txn-unlock":
                client.do(Txn((Set(self._key, value), Unlock(self._key, value, session))))
            case "txn-set":
                client.do(Txn((HeldBy(self._key, session), Set(self._key, value))))
            case "destroy":
                self._session = None
                client.do(DestroySession(session))
            case "destroy-any":
                if self._listed:
                    client.do(DestroySession(chance.choice(self._listed)))

    def _make(self, client: Client, chance: Random) -> str:
        name = f"{self._prefix}{self._name}.{next(self._sessions)}"
        behavior = chance.choice(("release", "delete"))
        # None of them runs out before the test is over.
        client.do(CreateSession(name, behavior, chance.choice(("", "24h"))))
        return name

    def _look(self, client: Client) -> None:
        """List the sessions and destroy those of its own that it does not use.

        It has them when it was not told that one was made.
        """
        names = client.do(ReadSessions()).names
        self._listed = sorted(name for name in names if name.startswith(self._prefix))
        mine = f"{self._prefix}{self._name}."
        for name in self._listed:
            if name.startswith(mine) and name != self._session:
                client.do(DestroySession(name))


class Watcher:
    """Waits for one thing to change, again and again, with the index of its last answer."""

    def __init__(self, call: Callable[[int], Call]) -> None:
        self._call = call
        self._past = 0

    def act(self, client: Client, _chance: Random) -> None:
        """Ask once."""
        self._past = client.do(self._call(self._past)).index


def _values(name: str) -> Iterator[str]:
    """Yield values that nobody else writes."""
    return (f"{name}.{number}" for number in itertools.count(1))
