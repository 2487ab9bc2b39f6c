"""Judging cases: sides, skips, bugs, phases, and what a run may do to a store."""

import threading

import pytest

from conformance.suite.address import Address
from conformance.suite.case import Case, Failed, Ground, Need, Run, Skipped
from conformance.suite.outcome import Outcome, Verdict
from conformance.suite.runner import Stage
from conformance.suite.store import Store

# Nothing listens there: cases that talk to it fail, and cleaning up gives up at once.
NOWHERE = Address.loopback(1)


def stage(*, exclusive: bool = False, token: str | None = None) -> Stage:
    """Return a stage on a store that does not answer."""
    return Stage(Store(NOWHERE, token=token), exclusive=exclusive)


def case(run: Run, case_id: str = "H1", **members: object) -> Case:
    """Return a case of a chapter."""
    return Case(case_id, "x", "A case", run, **members)  # type: ignore[arg-type]


def passes(_store: Store, _ground: Ground) -> None:
    """Expect nothing."""


def fails(_store: Store, _ground: Ground) -> None:
    """Expect what cannot be."""
    raise Failed("GET /", "200", "404")


def follows(*wanted: str) -> Run:
    """Return a case of a store that follows just these rules."""

    def run(_store: Store, ground: Ground) -> None:
        if ground.intents != frozenset(wanted):
            raise Failed("GET /", "another", "one")

    return run


def test_verdicts() -> None:
    """A case passes, fails, or is skipped; a bug and a store that is gone are failures."""

    def skips(_store: Store, _ground: Ground) -> None:
        raise Skipped("no reason")

    def has_a_bug(_store: Store, _ground: Ground) -> None:
        raise ZeroDivisionError

    def asks(store: Store, _ground: Ground) -> None:
        store.get("k")

    played = [stage().play(case(run)) for run in (passes, fails, skips, has_a_bug, asks)]
    assert [one.verdict for one in played] == [
        *(Verdict.PASSED, Verdict.FAILED, Verdict.SKIPPED),
        *(Verdict.FAILED, Verdict.FAILED),
    ]
    assert "expected: 200\ngot:      404" in played[1].failures[0]
    assert played[2].note == "no reason"
    assert "ZeroDivisionError" in played[3].failures[0]
    assert "ConnectionRefusedError" in played[4].failures[0]


@pytest.mark.parametrize("wanted", [(), ("a",), ("b",), ("a", "b")])
def test_which_rules_a_store_follows_is_seen(wanted: tuple[str, ...]) -> None:
    """A case is tried by every set of its rules, Consul's side first."""
    outcome = stage().play(case(follows(*wanted), rules=("a", "b")))
    assert outcome.intents == wanted
    assert outcome.verdict is (Verdict.DIFFERS if wanted else Verdict.PASSED)


def test_a_store_that_follows_neither_fails() -> None:
    """Both tries are told."""
    outcome = stage().play(case(fails, rules=("a",)))
    assert outcome.verdict is Verdict.FAILED
    assert [text.splitlines()[0] for text in outcome.failures] == ["[as Consul]", "[by a]"]


def test_what_was_seen_is_tried_first() -> None:
    """The second case with a rule is played right at once, each time on a new ground."""
    tries: list[tuple[frozenset[str], str]] = []

    def run(_store: Store, ground: Ground) -> None:
        tries.append((ground.intents, ground.prefix))
        if "a" not in ground.intents:
            raise Failed("", "", "")

    shared = stage()
    for name in ("H1", "H2"):
        shared.play(case(run, name, rules=("a",)))
    assert [intents for intents, _ in tries] == [frozenset(), {"a"}, {"a"}]
    assert len({prefix for _, prefix in tries}) == 3


def test_by_intent() -> None:
    """A case in Python asks the ground what to expect."""
    ground = Ground(Store(NOWHERE), "p/", intents=frozenset({"a"}))
    assert (ground.by_intent("a", consul=1, ours=2), ground.by_intent("b", consul=1, ours=2)) == (
        *(2, 1),
    )


@pytest.mark.parametrize(
    ("need", "reason"),
    [
        (Need.EXCLUSIVE, "--exclusive"),
        (Need.FRESH, "--exclusive"),
        (Need.TOKEN, "--token"),
        (Need.RESTART, "--restart COMMAND"),
    ],
)
def test_what_a_run_does_not_allow_is_skipped(need: Need, reason: str) -> None:
    """The reason names the option."""
    outcome = stage().play(case(fails, needs=(need,)))
    assert outcome.verdict is Verdict.SKIPPED
    assert reason in outcome.note


def test_open_cases_need_a_run_without_a_token() -> None:
    """With a token the store has access control, which changes some answers."""
    assert stage(token="x").play(case(passes, needs=(Need.OPEN,))).verdict is Verdict.SKIPPED
    assert stage().play(case(passes, needs=(Need.OPEN,))).verdict is Verdict.PASSED


def test_a_quiet_case_gets_a_second_try() -> None:
    """Somebody may have written in between; whoever fails twice fails."""
    tries = []

    def fails_once(_store: Store, _ground: Ground) -> None:
        tries.append(1)
        if len(tries) == 1:
            raise Failed("", "", "")

    assert stage().play(case(fails_once, needs=(Need.QUIET,))).verdict is Verdict.PASSED
    assert stage().play(case(fails, needs=(Need.QUIET,))).verdict is Verdict.FAILED


def test_quiet_cases_run_alone_and_exclusive_ones_last() -> None:
    """All others run side by side: here two wait for each other."""
    together = threading.Barrier(2)
    order: list[str] = []

    def run_as(name: str, *, meet: bool = False) -> Run:
        def run(_store: Store, _ground: Ground) -> None:
            if meet:
                together.wait(timeout=20)
            order.append(name)

        return run

    cases = [
        case(run_as("exclusive"), "H1", needs=(Need.EXCLUSIVE,)),
        case(run_as("side"), "H2", needs=(Need.SLOW,)),
        case(run_as("by side", meet=True), "H3"),
        case(run_as("by side", meet=True), "H4"),
        case(run_as("quiet"), "H5", needs=(Need.QUIET,)),
    ]
    told: list[Outcome] = []
    outcomes = stage(exclusive=True).play_all(cases, told.append)
    assert [one.case.id for one in outcomes] == ["H1", "H2", "H3", "H4", "H5"]
    assert {one.verdict for one in outcomes} == {Verdict.PASSED}
    assert (order[0], order[-1], len(told)) == ("quiet", "exclusive", 5)


def test_fail_fast() -> None:
    """No new case begins after a failure."""
    quiet = {"needs": (Need.QUIET,)}
    cases = [case(fails, "H1", **quiet), case(passes, "H2"), case(passes, "H3")]
    outcomes = stage().play_all(cases, lambda _: None, fail_fast=True)
    assert [one.case.id for one in outcomes] == ["H1"]
