"""The watch loops of clients: what they ask for next, and what counts as news to them.

A loop here always has one request under way; `news` reads its answer and sends the next.
Source: spec/consul-http.md, section 11; spec/docker-cluster-store.md, section 1.5.
"""

from dataclasses import dataclass
from typing import Self

from conformance.clients.speaker import GO_HEADERS, READ, Entry, entries, show
from conformance.suite.case import Failed, Store
from conformance.suite.wire import Answer, Connection

NEWS_WITHIN_S = 5.0
"""A watcher hears within a millisecond or two; this allows for a busy machine."""


@dataclass(frozen=True, slots=True)
class Loop:
    """A way to watch: the first query, and further ones, where `{index}` is that of the answer."""

    name: str
    first: str
    further: str


WATCH = Loop("libkv Watch", "wait=15000ms", "index={index}&wait=15000ms")
WATCH_TREE = Loop("libkv WatchTree", "recurse=&wait=15000ms", "index={index}&recurse=&wait=15000ms")
CONSUL_WATCH = Loop("consul watch -type=key", "", "index={index}")
CONSUL_WATCH_PREFIX = Loop("consul watch -type=keyprefix", "recurse=", "index={index}&recurse=")
CONSUL_TEMPLATE = Loop(
    "consul-template", "stale=&wait=60000ms", "index={index}&stale=&wait=60000ms"
)


class Follower:
    """A client that watches `key` (or a prefix) by a loop; for one thread.

    Used as a context it begins, and leaves at the end. `seen` is what the last answer showed.
    """

    def __init__(self, store: Store, loop: Loop, key: str) -> None:
        self.loop = loop
        self.index = 0
        self.seen: list[Entry] = []
        # How many answers had the index of the one before.
        self.idle = 0
        self._store = store
        self._path = f"/v1/kv/{key}"
        self._target = self._path
        self._connection: Connection | None = None

    def __enter__(self) -> Self:
        self._connection = self._store.connect()
        self._ask(self.loop.first)
        self._take()
        return self

    def __exit__(self, *exception: object) -> None:
        if self._connection is not None:
            self._connection.close()

    def news(self, within_s: float = NEWS_WITHIN_S) -> list[Entry]:
        """Read answers until one has another index than before; return what it shows."""
        before = self.index
        while self.index == before:
            self._take(within_s)
        return self.seen

    def news_of(self, value: bytes | None) -> None:
        """Read answers until the first entry shown has that value; None: until there is none."""
        while True:
            found = self.news()
            if (found[0].value if found else None) == value:
                return

    def waits(self, seconds: float = 0.15) -> bool:
        """Return whether the request under way stays unanswered for so long."""
        assert self._connection is not None, "it was begun"
        return self._connection.silent_for(seconds)

    def check_waits(self, why: str) -> None:
        """Raise Failed if the request under way is answered. `why` it should not be."""
        if not self.waits():
            got = show(self._read(NEWS_WITHIN_S))
            raise Failed(f"GET {self._target}", f"no answer: {why}", got)

    def check_calm(self) -> None:
        """Raise Failed if it was answered more often than there was something new."""
        if self.idle:
            what = f"{self.loop.name} of {self._path}"
            raise Failed(what, "no answer with nothing new", str(self.idle))

    def _take(self, within_s: float = NEWS_WITHIN_S) -> None:
        answer = self._read(within_s)
        if answer.status not in READ:
            raise Failed(f"GET {self._target}", "status 200 or 404", show(answer))
        if answer.index < 1:
            raise Failed(f"GET {self._target}", "X-Consul-Index of at least 1", show(answer))
        self.idle += answer.index == self.index
        self.index, self.seen = answer.index, entries(answer)
        self._ask(self.loop.further.format(index=self.index))

    def _ask(self, query: str) -> None:
        assert self._connection is not None, "it was begun"
        self._target = f"{self._path}?{query}" if query else self._path
        self._connection.send(self._store.encode("GET", self._target, headers=GO_HEADERS))

    def _read(self, within_s: float) -> Answer:
        assert self._connection is not None, "it was begun"
        return self._connection.read(within_s=within_s)
