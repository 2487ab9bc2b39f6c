"""What the chapters are made of: clients, waiting, and words for what is wrong."""

from pathlib import Path

import pytest
from fake_store import PREFIX, FakeStore, answer, entry

from conformance.chapters import blocking, docker, load, locks, replay, sessions, swarm
from conformance.clients.following import WATCH, Follower
from conformance.clients.looking import answered, claim, equal
from conformance.clients.restart import restart
from conformance.clients.speaker import Speaker
from conformance.clients.together import Stopwatch, together
from conformance.clients.ttl import parse_s, shortest_ttl
from conformance.suite.case import Case, Failed, Ground, Skipped
from conformance.suite.wire import Answer

CHAPTERS = (replay, sessions, locks, blocking, docker, load, swarm)
CASES = [case for chapter in CHAPTERS for case in chapter.CASES]
BOUNDS = "Invalid Session TTL '1', must be between [1m30s=24h0m0s]"


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_titles_go_on_from_the_store(case: Case) -> None:
    """A title is the rest of a sentence that begins with "A store", without its full stop."""
    first, _, rest = case.title.partition(" ")
    assert first.islower()
    assert first.endswith("s")
    assert rest
    assert not case.title.endswith(".")


def test_ids_are_unique() -> None:
    """No two cases have one id, and each tells its chapter."""
    assert len({case.id for case in CASES}) == len(CASES)
    assert all(case.id.startswith(f"{case.chapter}-") for case in CASES)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("10s", 10), ("1m30s", 90), ("24h0m0s", 86400), ("500ms", 0.5), ("1.5s", 1.5)],
)
def test_durations_are_read(text: str, seconds: float) -> None:
    """Durations as Go writes them."""
    assert parse_s(text) == seconds


def test_shortest_ttl_is_what_the_store_says() -> None:
    """The bounds in the text of a refusal tell the shortest TTL."""
    store = FakeStore().expect(
        "PUT /v1/session/create", Answer(500, "", (), BOUNDS.encode()), answer(200, {"ID": "x"})
    )

    assert shortest_ttl(store) == ("1m30s", 90.0)
    with pytest.raises(Failed, match="must be between"):
        shortest_ttl(store)


def test_tls_cases_are_skipped_without_tls() -> None:
    """The cases about TLS say what they need."""
    store = FakeStore()
    for case in docker.CASES[:2]:
        with pytest.raises(Skipped, match="https://"):
            case.run(store, store.ground())


def test_restart_runs_the_command_and_waits(tmp_path: Path) -> None:
    """It returns when the store takes writes; a command that fails is told with what it said."""
    asked = f"PUT /v1/kv/{PREFIX}ready?cas=1"
    store = FakeStore().expect(asked, answer(500), answer(200))
    restart(store, Ground(store, PREFIX, restart=f"touch '{tmp_path}/it ran'"))
    assert store.asked == [asked] * 2
    assert (tmp_path / "it ran").exists()
    with pytest.raises(Failed, match="no such command here"):
        restart(
            store, Ground(store, PREFIX, restart="sh -c 'echo no such command here >&2; exit 3'")
        )


def test_first_failure_is_raised() -> None:
    """Of clients side by side, the first that fails is heard."""

    def fail() -> None:
        raise Failed("a", "b", "c")

    assert together(lambda: 1, lambda: 2) == [1, 2]
    assert together() == []
    with pytest.raises(Failed):
        together(lambda: None, fail)


def test_words_of_a_failure() -> None:
    """A failure shows what was asked, what was expected and what came."""
    with pytest.raises(Failed) as unequal:
        equal("GET k", 1, 2)
    assert (unequal.value.expected, unequal.value.got) == ("2", "1")
    with pytest.raises(Failed, match="many"):
        claim("keys", "many", "few", so=False)
    with pytest.raises(Failed) as wrong:
        answered("GET k", answer(404, index=7), 200, "true")
    assert (wrong.value.expected, wrong.value.got) == ("200 true", "404, index 7, no body")


def test_stopwatch_has_bounds() -> None:
    """What comes too early or too late is a failure with both bounds."""
    watch = Stopwatch()
    watch.check("now", 0, 60)
    with pytest.raises(Failed, match=r"after 60\.00 to 90\.00 s"):
        watch.check("later", 60, 90)


def test_speaker_wants_a_status() -> None:
    """A status that a client does not expect is a failure."""
    store = FakeStore().expect("GET /v1/kv/k", answer(500, "No"))

    with Speaker(store) as speaker, pytest.raises(Failed, match="status 200"):
        speaker.ask("GET", "/v1/kv/k")


def test_loop_asks_with_the_index_it_got() -> None:
    """A watch loop goes on from the index of each answer."""
    store = FakeStore().expect("GET /v1/kv/k?wait=15000ms", answer(404, index=5))
    store.expect("GET /v1/kv/k?index=5&wait=15000ms", answer(200, [entry("k", 8)], 8))

    with Follower(store, WATCH, "k") as follower:
        assert [each.key for each in follower.news()] == ["k"]
        follower.check_waits("nothing is new")
        follower.check_calm()

    assert store.asked[-1] == "GET /v1/kv/k?index=8&wait=15000ms"


def test_loop_notices_that_it_spins() -> None:
    """Answers with nothing new are counted against the store."""
    store = FakeStore().expect("GET /v1/kv/k?wait=15000ms", answer(404, index=5))
    store.expect("GET /v1/kv/k?index=5&wait=15000ms", answer(404, index=5), answer(404, index=6))

    with Follower(store, WATCH, "k") as follower:
        follower.news()
        with pytest.raises(Failed, match="no answer with nothing new"):
            follower.check_calm()


def test_loop_wants_an_index() -> None:
    """An answer whose index is 0 would make every client spin."""
    zero = answer(404, X_Consul_Index="0")
    store = FakeStore().expect("GET /v1/kv/k?wait=15000ms", zero)

    with pytest.raises(Failed, match="X-Consul-Index of at least 1"), Follower(store, WATCH, "k"):
        pass
