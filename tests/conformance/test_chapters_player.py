"""Playing recordings: what is sent, and that a store which answers wrongly is caught."""

import pytest
from fake_store import FakeStore, answer, entry

from conformance.recordings.player import play
from conformance.recordings.recording import Do, Recording, Step
from conformance.suite.case import Failed
from conformance.suite.wire import Answer, NotAnswered

K = "/v1/kv/here/k"


def recording(*steps: Step) -> Recording:
    """Return a recording of some steps."""
    return Recording("test", "made by hand", {"User-Agent": "test"}, steps)


def ask(method: str, target: str, body: str = "", **members: object) -> Step:
    """Return a step that asks on the first connection."""
    return Step(Do.ASK, "c1", method=method, target=target, body=body, status=200, **members)


WRITE = ask("PUT", "/v1/kv/k?cas=0&flags=7", "v", answer=True)
READ = ask("GET", "/v1/kv/k?consistent=", index=9, answer=[entry("k", 9, Value="dg==")])
READ_ANSWER = answer(200, [entry("here/k", 109, Value="dg==")], 109)
OPEN = Step(Do.OPEN, "c2", method="GET", target="/v1/kv/k?index=9&wait=15000ms")
ANSWERED = Step(
    Do.ANSWERED,
    "c2",
    method="GET",
    target="/v1/kv/k?index=9&wait=15000ms",
    status=200,
    index=11,
    answer=[entry("k", 11)],
)
UNANSWERED = Step(
    Do.UNANSWERED,
    "c2",
    method="GET",
    target="/v1/kv/k?index=9&wait=15000ms",
    status=200,
    index=9,
    answer=[entry("k", 9, Value="dg==")],
)
POLL = f"GET {K}?index=109&wait=10m"


def reading() -> FakeStore:
    """Return a store that answers the first read."""
    return FakeStore().expect(f"GET {K}?consistent=", READ_ANSWER)


def test_indexes_are_the_stores() -> None:
    """A `cas=` carries the index that the store told, in place of the recorded one."""
    store = reading().expect(f"PUT {K}?cas=109&flags=7", answer(200, True))
    again = ask("PUT", "/v1/kv/k?cas=9&flags=7", "w", answer=True)

    play(recording(READ, again), store, store.ground())

    assert store.asked == [f"GET {K}?consistent=", f"PUT {K}?cas=109&flags=7"]


def test_sessions_are_the_stores() -> None:
    """Session ids are those that the store gave, in paths, queries and texts."""
    store = FakeStore()
    store.expect("PUT /v1/session/create", answer(200, {"ID": "t1"}))
    store.expect(f"PUT {K}?acquire=t1&flags=7", answer(200, True))
    gone = Answer(404, "", (), b"Session id 't1' not found")
    store.expect("PUT /v1/session/renew/t1", gone)
    steps = (
        ask("PUT", "/v1/session/create", "{}", answer={"ID": "s1"}),
        ask("PUT", "/v1/kv/k?acquire=s1&flags=7", answer=True),
        Step(
            Do.ASK,
            "c1",
            method="PUT",
            target="/v1/session/renew/s1",
            status=404,
            answer="Session id 's1' not found",
        ),
    )

    play(recording(*steps), store, store.ground())

    assert store.asked[-1] == "PUT /v1/session/renew/t1"
    assert store.sessions == ["t1"]


def test_ttl_that_ran_out_is_a_destroy() -> None:
    """Where a session's time was up the player ends it."""
    store = FakeStore().expect("PUT /v1/session/create", answer(200, {"ID": "t1"}))
    store.expect("PUT /v1/session/destroy/t1", answer(200, True))
    create = ask("PUT", "/v1/session/create", "{}", answer={"ID": "s1"})

    play(recording(create, Step(Do.EXPIRED, session="s1")), store, store.ground())

    assert store.asked[-1] == "PUT /v1/session/destroy/t1"


def test_poll_waits_for_its_answer() -> None:
    """A long poll is sent where it was opened, and read where it was answered."""
    store = reading().expect(POLL, answer(200, [entry("here/k", 111)], 111))

    play(recording(READ, OPEN, ANSWERED), store, store.ground())

    assert store.asked[-1] == POLL


def test_poll_that_ended_is_asked_briefly() -> None:
    """A long poll that ended with nothing new is silent until there, and asked again, briefly."""
    store = reading().expect(f"GET {K}?index=109&wait=1ms", READ_ANSWER)

    play(recording(READ, OPEN, UNANSWERED), store, store.ground())

    assert store.asked[-2:] == [POLL, f"GET {K}?index=109&wait=1ms"]


def test_poll_of_nothing_is_asked_again() -> None:
    """The index of what is not there may move; the player polls again, as clients do."""
    missing = Step(Do.ASK, "c1", method="GET", target="/v1/kv/k", status=404, index=9)
    store = FakeStore().expect(f"GET {K}", answer(404, index=120))
    store.expect(f"GET {K}?index=120&wait=10m", answer(404, index=125))
    store.expect(f"GET {K}?index=125&wait=10m", answer(200, [entry("here/k", 126)], 126))

    play(recording(missing, OPEN, ANSWERED), store, store.ground())

    assert store.asked[-1] == f"GET {K}?index=125&wait=10m"


def test_what_was_there_is_written_first() -> None:
    """Entries from before the recording are made, with a session where one held them."""
    store = FakeStore().expect("PUT /v1/session/create", answer(200, {"ID": "t1"}))
    store.expect(f"PUT {K}?flags=7&acquire=t1", answer(200, True))
    store.expect(f"PUT {K}?flags=7", answer(200, True))
    seed = Step(Do.SEED, target="/v1/kv/k?flags=7", index=4, answer="dg==", session="s1")

    play(recording(seed), store, store.ground())

    assert store.asked[1:] == [f"PUT {K}?flags=7&acquire=t1", f"PUT {K}?flags=7"]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (answer(500, "No", 109), "status 500, expected 200"),
        (
            answer(200, [entry("here/k", 109, Value="dw==")], 109),
            "Value is 'dw==', expected 'dg=='",
        ),
        (
            answer(200, [entry("here/k", 109, Value="dg==")]),
            "X-Consul-Index None, expected a number",
        ),
        (
            answer(200, [entry("here/k", 109, Value="dg==")], 110),
            "CreateIndex 109, expected 110, which stands for 9",
        ),
        (
            answer(200, [entry("here/k", 109, Value="dg==")], 109, X_Consul_Knownleader="false"),
            "X-Consul-Knownleader false, expected true",
        ),
        (
            answer(200, [entry("here/k", 109, Value="dg==")], 109, Content_Type="text/html"),
            "Content-Type 'text/html', expected 'application/json'",
        ),
        (answer(200, [], 109), "the answer has 0 entries, expected 1"),
    ],
)
def test_wrong_answers_are_caught(wrong: Answer, said: str) -> None:
    """Whatever clients read of an answer is compared, and the failure says what was wrong."""
    store = FakeStore().expect(f"GET {K}?consistent=", wrong)

    with pytest.raises(Failed) as caught:
        play(recording(READ), store, store.ground())

    assert said in caught.value.expected
    assert caught.value.asked == f"GET {K}?consistent="
    assert "recorded: 200, index 9" in caught.value.expected
    assert caught.value.got.startswith(str(wrong.status))
    assert "test, step 1" in caught.value.where


def test_lost_write_is_caught() -> None:
    """A refused write that was accepted in the recording is a failure."""
    store = FakeStore().expect(f"PUT {K}?cas=0&flags=7", answer(200, False))

    with pytest.raises(Failed, match="the answer is False, expected True"):
        play(recording(WRITE), store, store.ground())


def test_early_answer_is_caught() -> None:
    """A long poll that is answered with nothing new is a failure."""
    store = reading().expect(POLL, READ_ANSWER)

    with pytest.raises(Failed, match="no answer: nothing changed"):
        play(recording(READ, OPEN, UNANSWERED), store, store.ground())


def test_answer_from_before_the_change_is_caught() -> None:
    """A long poll that is answered with the index it had is a failure."""
    store = reading().expect(POLL, READ_ANSWER)

    with pytest.raises(Failed, match="X-Consul-Index 109, expected more than 109"):
        play(recording(READ, OPEN, ANSWERED), store, store.ground())


def test_spinning_is_caught() -> None:
    """A poll of what is not there may not be answered with the index that it carries."""
    missing = Step(Do.ASK, "c1", method="GET", target="/v1/kv/k", status=404, index=9)
    store = FakeStore().expect(f"GET {K}", answer(404, index=120))
    store.expect(f"GET {K}?index=120&wait=10m", answer(404, index=120))

    with pytest.raises(Failed, match="no answer before X-Consul-Index passes 120"):
        play(recording(missing, OPEN, ANSWERED), store, store.ground())


def test_missing_answer_is_caught() -> None:
    """A long poll that is not answered by what answered it is a failure."""
    store = reading()

    with pytest.raises(NotAnswered):
        play(recording(READ, OPEN, ANSWERED), store, store.ground())
