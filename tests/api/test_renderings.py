"""Answers that are kept: which, for how long, and that none of them is ever out of date."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from random import Random

import pytest
from archive.images import image_of, written
from fake_clock import FakeClock, settle

from kvstore.access.rules import Level, Rules
from kvstore.api.exchange import Response, Waiting
from kvstore.api.kv import KVEndpoints
from kvstore.api.render import render_entries, render_entry
from kvstore.api.renderings import NewestRenderings, RenderedEntries, Renderings
from kvstore.api.router import Router
from kvstore.duration import NS_PER_S
from kvstore.engine.admission import SessionRules
from kvstore.engine.engine import Engine
from kvstore.journal.memory import MemoryJournal
from kvstore.state.applied import Read
from kvstore.state.entry import Entry
from kvstore.state.graveyard import Graveyard

from .calls import IDENTITY, Calls, endpoints
from .guarded import secret, table

SEED = Random().randrange(1 << 31)
KEYS = ("a", "b", "b/c", "b/d", "b/d/e", "c/f", "b/", "%C3%A9")
PREFIXES = ("", "b", "b/", "b/d", "c/", "z", "%C3%A9")
RULES = {
    "all": Rules(prefixes={b"": Level.READ}),
    "some": Rules(keys={b"b/d": Level.DENY}, prefixes={b"b": Level.READ}),
}
FORMS = ("", "raw", "pretty", "raw&pretty", "recurse", "recurse&pretty", "recurse&raw", "keys")


def answer(size_bytes: int) -> Response:
    """Return an answer of a size."""
    return Response(200, b"", b"x" * size_bytes)


def test_an_answer_is_kept_at_its_index() -> None:
    """Under its name and at its index, and nowhere else."""
    kept, response = Renderings(), answer(10)
    assert kept.keep("a", 7, response) is response
    assert kept.get("a", 7) is response
    assert kept.get("a", 6) is None
    assert kept.get("a", 8) is None
    assert kept.get("b", 7) is None
    assert kept.get("a", 7) is response


def test_an_answer_that_shows_an_entry_is_kept_for_that_entry() -> None:
    """Not for another that equals it: it may be of another time."""
    kept, response, entry = NewestRenderings(), answer(10), Entry(b"a", b"", 0, "", 0, 1, 1)
    assert kept.keep("a", entry, response) is response
    assert kept.get("a", entry) is response
    assert kept.get("b", entry) is None
    assert kept.get("a", replace(entry)) is None


def test_the_newest_few_are_kept() -> None:
    """One that is read again and again is kept again and again."""
    kept, entry = NewestRenderings(3), Entry(b"a", b"", 0, "", 0, 1, 1)
    for name in range(10):
        kept.keep(name, entry, answer(10))
        assert kept.get(name, entry) is not None
        assert sum(kept.get(one, entry) is not None for one in range(10)) <= 3


def test_an_answer_takes_the_place_of_an_older_one() -> None:
    """A name has one answer, that which came last."""
    kept, older, newer = Renderings(), answer(10), answer(10)
    kept.keep("a", 7, older)
    kept.keep("b", 7, older)
    kept.keep("a", 8, newer)
    assert (kept.get("a", 7), kept.get("a", 8)) == (None, newer)
    assert kept.get("b", 7) is older


def count(kept: Renderings, names: range) -> int:
    """Return how many of these names are kept at index 1."""
    return sum(kept.get(name, 1) is not None for name in names)


@pytest.mark.parametrize("size_bytes", [0, 1000, 100_000])
def test_what_is_kept_is_bounded(size_bytes: int) -> None:
    """By bytes, and by something for each also when they are empty; the oldest go first."""
    kept = Renderings(1_000_000)
    for n in range(3000):
        kept.keep(n, 1, answer(size_bytes))
    left = count(kept, range(3000))
    assert 0 < left * (size_bytes or 100) <= 1_000_000
    assert left == count(kept, range(3000 - left, 3000))


def test_one_that_replaces_another_counts_once() -> None:
    """Keeping the same again and again drives nothing else out; it is the youngest then."""
    kept = Renderings(10_000)
    kept.keep("other", 1, answer(100))
    for n in range(1000):
        kept.keep("a", n, answer(100))
    assert kept.get("other", 1) is not None
    kept.keep("other", 2, answer(100))
    kept.keep("large", 1, answer(4500))
    assert (kept.get("a", 999), kept.get("other", 2) is None) == (None, False)


def test_one_that_is_too_large_alone() -> None:
    """It is returned and not kept; others stay, but not an older one of its name."""
    kept, small, large = Renderings(10_000), answer(10), answer(20_000)
    kept.keep("a", 1, small)
    kept.keep("b", 1, small)
    assert kept.keep("a", 2, large) is large
    assert (kept.get("a", 1), kept.get("a", 2)) == (None, None)
    assert kept.get("b", 1) is small


class Store:
    """A store whose clock the test moves, and KV endpoints that have been asked before."""

    def __init__(self, engine: Engine, clock: FakeClock) -> None:
        self.engine = engine
        self.clock = clock
        self.calls = Calls(engine, Router(*endpoints(engine)))
        self.warm = self.router()

    def router(self) -> Router:
        """Return a router whose endpoints keep nothing yet."""
        kv = KVEndpoints(self.engine, IDENTITY.datacenter, adopt_lost_cas=False)
        return Router(kv, tokens=table(RULES))

    def compare(self, target: str, headers: dict[str, str]) -> None:
        """Ask for something; it must be what endpoints say that keep nothing."""
        said = self.warm.dispatch("GET", target, headers)
        assert said == self.router().dispatch("GET", target, headers), f"{target}, seed {SEED}"

    async def compare_parked(
        self, target: str, headers: dict[str, str], change: Callable[[], Awaitable[None]]
    ) -> None:
        """Compare blocking queries that are parked while something changes."""
        index = self.engine.state.last_index
        query = f"{target}&index={index}&wait=10s"
        done: list[Response] = []
        for router in (self.warm, self.router()):
            answer = router.dispatch("GET", query, headers)
            if isinstance(answer, Response):
                done.append(answer)  # refused
                continue
            assert isinstance(answer, Waiting)
            answer.parked.on_done(partial(_answer, answer, done))
        await change()
        await settle()
        self.clock.advance(20)
        assert done[0] == done[1], f"{query}, seed {SEED}"
        assert done[0].status == 403 or done[0].headers.count(b"X-Consul-Index") == 1


def _answer(waiting: Waiting, done: list[Response], read: Read[object]) -> None:
    done.append(waiting.render(read))


@asynccontextmanager
async def store() -> AsyncIterator[Store]:
    """Run a store on a clock of its own."""
    clock = FakeClock()
    engine = Engine(MemoryJournal(), clock, SessionRules(IDENTITY.node, 10 * NS_PER_S))
    await engine.start()
    try:
        yield Store(engine, clock)
    finally:
        await engine.close()
        engine.state.check()


async def test_no_answer_is_out_of_date(monkeypatch: pytest.MonkeyPatch) -> None:
    """After any change each read, of whoever asks, is what it would be if nothing were kept."""
    # So that tombstones are forgotten now and then, as they are after thousands of deletes.
    monkeypatch.setattr(Graveyard.__init__, "__defaults__", (6,))
    chance = Random(SEED)
    async with store() as one:
        sessions: list[str] = []
        archives = [written(image_of())]
        for turn in range(1000):
            step = partial(change, one, chance, sessions, archives)
            if turn % 4:
                await step()
            else:
                await one.compare_parked(any_target(chance), any_headers(chance), step)
            for _ in range(5):
                one.compare(any_target(chance), any_headers(chance))
        assert one.engine.state.image().facts.tombstone_floor > 0, "or none was forgotten"


def any_headers(chance: Random) -> dict[str, str]:
    """Return who asks, and sometimes that a key was spelled otherwise at first."""
    headers = {"X-Consul-Token": secret(chance.choice(("all", "all", "some")))}
    if chance.random() < 0.1:
        headers["Referer"] = f"http://h/v1/kv/{chance.choice(('b//c', 'b//', 'b//d//e'))}"
    return headers


def any_target(chance: Random) -> str:
    """Return something to read, in some form."""
    form = chance.choice(FORMS)
    lists = "recurse" in form or "keys" in form
    return f"/v1/kv/{chance.choice(PREFIXES if lists else KEYS)}?{form}"


async def change(one: Store, chance: Random, sessions: list[str], archives: list[bytes]) -> None:
    """Change a store in some way."""
    calls, key = one.calls, chance.choice(KEYS)
    value = chance.choice((b"", b"v", b"w" * 2000))
    path, holder = f"/v1/kv/{key}", chance.choice([*sessions, "x"])
    kind = chance.randrange(12)
    if kind < 3:
        await calls("PUT", f"{path}?flags={chance.randrange(2)}", value)
    elif kind == 3:
        entry = one.engine.state.get(key.encode()).value
        await calls("PUT", f"{path}?cas={entry.modify_index if entry else 0}", value)
    elif kind == 4:
        await calls("DELETE", path)
    elif kind == 5:
        await calls("DELETE", f"/v1/kv/{chance.choice(PREFIXES)}?recurse")
    elif kind == 6:
        await calls("PUT", f"{path}?{chance.choice(('acquire', 'release'))}={holder}", value)
    elif kind < 9:
        await change_session(one, chance, sessions, holder)
    elif kind == 9:
        verbs = ("set", "delete", "delete-tree", "lock", "check-index")
        ops = [
            {"KV": {"Verb": chance.choice(verbs), "Key": "b/d", "Value": "dg==", "Session": holder}}
            for _ in range(3)
        ]
        await calls("PUT", "/v1/txn", json.dumps(ops).encode())
    elif kind == 10:
        archives.append((await calls("GET", "/v1/snapshot")).body)
    else:
        assert (await calls("PUT", "/v1/snapshot", chance.choice(archives))).status == 200


async def change_session(one: Store, chance: Random, sessions: list[str], holder: str) -> None:
    """Make a session, or end one, or let some run out."""
    kind = chance.randrange(4)
    if kind < 2:
        behavior = chance.choice((b"release", b"delete"))
        body = b'{"LockDelay": "0s", "TTL": "10s", "Behavior": "%b"}' % behavior
        sessions.append(await one.calls.create_session(body))
    elif kind == 2:
        await one.calls("PUT", f"/v1/session/destroy/{holder}")
    else:
        one.clock.advance(30)
        await settle()


def stored(key: bytes, size_bytes: int = 10, index: int = 3) -> Entry:
    """Return an entry as a store has it."""
    return Entry(key, b"x" * size_bytes, 0, "", 0, index, index)


def test_a_list_is_that_of_its_entries() -> None:
    """Also when some of them have changed, and when there are none."""
    kept = RenderedEntries()
    first = [stored(b"%d" % number) for number in range(5)]
    assert kept.render(first) == render_entries(first)
    second = [*first[:2], stored(b"2", index=9), *first[3:]]
    assert kept.render(second) == render_entries(second)
    assert kept.render(first) == render_entries(first)
    assert kept.render([]) == b"[]"


@pytest.mark.parametrize("bounds", [(3, 1 << 20), (100, 400), (1, 1)])
def test_what_is_kept_of_lists_is_bounded(bounds: tuple[int, int]) -> None:
    """Whatever does not fit is made anew, and is right all the same."""
    kept = RenderedEntries(*bounds)
    for _ in range(3):
        for count in (1, 3, 4, 10):
            entries = [stored(b"%d" % number, 100 * number) for number in range(count)]
            assert kept.render(entries) == render_entries(entries)


def test_an_entry_is_rendered_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """As long as it stays what it was."""
    rendered: list[bytes] = []

    def render(entry: Entry) -> bytes:
        rendered.append(entry.key)
        return render_entry(entry)

    monkeypatch.setattr("kvstore.api.renderings.render_entry", render)
    kept, entries = RenderedEntries(), [stored(b"a"), stored(b"b")]
    kept.render(entries)
    kept.render(entries)
    kept.render([entries[0], stored(b"b", index=4)])
    assert rendered == [b"a", b"b", b"b"]
