"""The random test on made-up stores: what is right is left alone, all else is found."""

from collections.abc import Callable

import pytest
from fuzz_fakes import FakeStore, Tamper, changed, requests

from conformance.fuzz.drawing import Kind
from conformance.fuzz.episode import Pair, Tally
from conformance.fuzz.findings import Findings
from conformance.fuzz.operation import Call, Operation, Park
from conformance.fuzz.player import play
from conformance.fuzz.run import run_pair

KINDS = frozenset({Kind.KV, Kind.SESSIONS, Kind.BLOCKING})


def fuzz(store: FakeStore, *, seed: int = 1, operations: int = 200) -> Findings:
    """Compare a store with one that is right, and counts otherwise."""
    pair = Pair(FakeStore(index=900, step=7), store)
    return run_pair(pair, seed=seed, operations=operations, kinds=KINDS)


def differs(store: FakeStore, *operations: Operation) -> bool:
    """Return whether these operations show a difference from a store that is right."""
    return play(Pair(FakeStore(), store), operations, "p/", Tally())[1] is not None


def test_equal_stores_agree() -> None:
    """Other numbers, other ids: no difference, and all that was asked for was played."""
    findings = fuzz(FakeStore())
    assert findings.agree, findings.text()
    assert findings.operations == 200
    assert findings.requests > 200
    assert set(findings.rules) <= {"chunked-limit"}, "it was mended without need, at most"


def test_nothing_is_left_behind() -> None:
    """Keys and sessions of the run are gone at its end."""
    store = FakeStore()
    fuzz(store, operations=300)
    assert not store.entries
    assert not store.sessions
    assert store.asked


def test_the_same_seed_sends_the_same() -> None:
    """Two runs of a seed send the same requests; another seed sends others."""
    sent = []
    for seed in (3, 3, 4):
        store = FakeStore()
        fuzz(store, seed=seed, operations=250)
        sent.append([(call.method, call.path.partition("/v1/session")[0]) for call in store.asked])
    assert sent[0] == sent[1] != sent[2]


def is_get_of(name: str) -> Callable[..., bool]:
    """Match plain reads of a key that exists."""
    return lambda call, said: (
        call.method == "GET" and call.path.endswith(f"/{name}") and said.status == 200
    )


WRONG: dict[str, Tamper] = {
    "status": changed(is_get_of("a"), status=201),
    "header": changed(is_get_of("a"), headers=(("X-Consul-Index", "1"), ("Server", "x"))),
    "body": changed(is_get_of("a"), body=b"[]"),
    "index": changed(is_get_of("a"), headers=(("X-Consul-Index", "2"),)),
    "no answer": changed(is_get_of("a"), status=0),
}


@pytest.mark.parametrize("kind", WRONG)
def test_a_wrong_answer_is_found_and_reduced(kind: str) -> None:
    """A read that is wrong in one way is found with the write and the read alone."""
    findings = fuzz(FakeStore(tamper=WRONG[kind]))
    assert not findings.agree
    least = min((each.operations for each in findings.differences), key=len)
    assert len(least) <= 2
    assert requests(least)[0] == "PUT /v1/kv/{P}a"
    assert all(each.came_again for each in findings.differences)


def test_a_lost_write_is_found_and_reduced() -> None:
    """A delete that does nothing is found by the state that it leaves."""
    store = FakeStore(loses=lambda call: call.method == "DELETE" and call.path.endswith("/b/c"))
    findings = fuzz(store)
    least = min((each.operations for each in findings.differences), key=len)
    assert requests(least) == ["PUT /v1/kv/{P}b/c", "DELETE /v1/kv/{P}b/c"]


def test_a_lost_wake_up_is_found_and_reduced() -> None:
    """A parked query that sleeps through a change is found."""
    findings = fuzz(FakeStore(sleeps=True))
    least = min((each.operations for each in findings.differences), key=len)
    assert [each for each in least if isinstance(each, Park)]
    assert len(least) <= 3
    assert "only the oracle woke" in findings.differences[0].why


def test_one_cause_is_told_once() -> None:
    """What leads to the same operations again is counted only."""
    findings = fuzz(FakeStore(tamper=changed(is_get_of("a"), status=201)), operations=600)
    scripts = [each.operations for each in findings.differences]
    assert len(set(scripts)) == len(scripts)
    assert findings.repeated


def test_a_difference_that_does_not_come_again_is_told() -> None:
    """With all its operations, and with the words that it did not."""
    once = iter([True])
    tamper = changed(lambda call, _: call.method == "GET" and next(once, False), status=500)
    findings = fuzz(FakeStore(tamper=tamper))
    (difference,) = findings.differences
    assert not difference.came_again
    assert "did not come again" in difference.script()


class Gone(FakeStore):
    """Goes away after some requests."""

    def receive(self) -> None:  # type: ignore[override]
        """Be gone."""
        raise ConnectionRefusedError("gone")


def test_a_store_that_goes_away_is_a_difference() -> None:
    """The run ends, and what was being played is told."""
    findings = fuzz(Gone())
    assert findings.lost
    assert not findings.agree
    assert findings.differences[0].operations


A = "/v1/kv/{P}a"


def test_cas_with_the_index_of_each_store() -> None:
    """A placeholder is the index that each store gave the key, so that both accept it."""
    read_and_set = [Call("PUT", A), Call("GET", A), Call("PUT", f"{A}?cas={{m:a}}", b"new")]
    store = FakeStore(index=500)
    assert not differs(store, *read_and_set)
    assert store.asked[-1].method == "DELETE"
    filled = [call.target for call in store.asked if "cas=" in call.target]
    assert filled == [f"/v1/kv/p/a?cas={int(filled[0].partition('=')[2])}"]
    assert int(filled[0].partition("=")[2]) > 500


def refuses_identical(call: Call) -> bool:
    """Match writes that Consul takes for identical ones: here, all by check-and-set."""
    return call.parameter("cas") is not None


def test_an_identical_cas_may_move_only_ours() -> None:
    """Rule cas-identical-wakes: mended and counted; the other way round it is a difference."""
    read_and_set = [Call("PUT", A), Call("GET", A), Call("PUT", f"{A}?cas={{m:a}}")]
    quiet, moving = FakeStore(loses=refuses_identical), FakeStore()
    tally = Tally()
    assert play(Pair(quiet, moving), read_and_set, "p/", tally)[1] is None
    assert tally.rules == {"cas-identical-wakes": 1}
    assert play(Pair(moving, quiet), read_and_set, "q/", Tally())[1] is not None
