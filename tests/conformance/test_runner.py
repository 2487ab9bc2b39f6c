"""The runner: how each end of a scenario is judged, and when the lab starts from nothing."""

from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from conformance.overlay.errors import Mismatch, Skipped
from conformance.overlay.outcome import Outcome, Verdict
from conformance.overlay.runner import ENGINE_BUG, Runner
from conformance.overlay.scenario import Chapter


@dataclass
class FakeEngine:
    """An engine whose log is what a test puts there."""

    log: str = ""

    def mark_log(self) -> None:
        """Forget what was logged."""
        self.log = ""

    def logged(self) -> str:
        """Return the log since the mark."""
        return self.log


@dataclass
class FakeLab:
    """A lab that records what the runner asks of it."""

    engine: FakeEngine = field(default_factory=FakeEngine)
    notes: list[str] = field(default_factory=list)
    differs: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    @property
    def engines(self) -> tuple[FakeEngine]:
        """The one engine."""
        return (self.engine,)

    @property
    def closing(self) -> "FakeLab":
        """Whatever has a `close`."""
        return self

    def close(self) -> None:
        """Close what the scenario opened."""

    def start(self) -> None:
        """Start from nothing."""
        self.asked.append("start")

    def wait_sound(self, tolerated: frozenset[str]) -> None:
        """Check the records."""
        self.asked.append(f"sound {sorted(tolerated)}")

    def clean(self) -> None:
        """Remove everything."""
        self.asked.append("clean")

    def evidence(self) -> str:
        """Return what a failure needs."""
        return "logs"


@pytest.fixture
def lab() -> FakeLab:
    """Make a lab of which nothing was asked yet."""
    return FakeLab()


def judge(lab: FakeLab, chapter: Chapter) -> list[Outcome]:
    """Run a chapter on a lab."""
    runner = Runner(cast("Any", lab), lambda _: None, lambda _: None)
    return runner.run(chapter)


def test_a_pass_is_checked_and_cleaned(lab: FakeLab) -> None:
    """The first scenario starts from nothing, the second on what the first left clean."""
    chapter = Chapter()
    chapter.scenario("X1", "one", tolerates=["twin"])(lambda _: None)
    chapter.scenario("X2", "two")(lambda fake: fake.notes.append("two made"))

    first, second = judge(lab, chapter)

    assert (first.verdict, second.verdict) == (Verdict.PASS, Verdict.PASS)
    assert second.note == "two made"
    checked = ["sound ['twin']", "clean", "sound []", "sound []", "clean", "sound []"]
    assert lab.asked == ["start", *checked]


def test_a_failure_has_evidence_and_spoils_the_lab(lab: FakeLab) -> None:
    """What a failed scenario left is not looked at; the next one starts from nothing."""
    chapter = Chapter()

    def fail(_: object) -> None:
        raise Mismatch("expected a page; seen: none")

    chapter.scenario("X1", "one")(fail)
    chapter.scenario("X2", "two", wrecks=True)(lambda _: None)

    first, second = judge(lab, chapter)

    assert (first.verdict, first.note, first.evidence) == (
        Verdict.FAIL,
        "expected a page; seen: none",
        "logs",
    )
    assert second.verdict is Verdict.PASS
    assert lab.asked == ["start", "start"]


def test_the_engines_own_bug_earns_one_more_try(lab: FakeLab) -> None:
    """A failure with moby#39036 in an engine's log is tried again, once, and the note says so."""
    chapter = Chapter()
    tries = []

    def fail_once(fake: Any) -> None:
        tries.append(1)
        if len(tries) == 1:
            fake.engine.log = f"dial tcp: connect: {ENGINE_BUG}"
            raise Mismatch("no route")

    chapter.scenario("X1", "one")(fail_once)

    (outcome,) = judge(lab, chapter)

    assert outcome.verdict is Verdict.PASS
    assert "moby#39036" in outcome.note


def test_a_skip_says_why(lab: FakeLab) -> None:
    """A scenario that does not apply is neither passed nor failed."""
    chapter = Chapter()

    def skip(_: object) -> None:
        raise Skipped("needs a store of ours")

    chapter.scenario("X1", "one")(skip)

    (outcome,) = judge(lab, chapter)

    assert (outcome.verdict, outcome.note) == (Verdict.SKIP, "needs a store of ours")


def test_a_known_difference_is_neither_pass_nor_failure(lab: FakeLab) -> None:
    """The reason of the difference comes first in the note."""
    chapter = Chapter()

    def differ(fake: Any) -> None:
        fake.differs.append("Consul ignores it")
        fake.notes.append("seen last: nothing")

    chapter.scenario("X1", "one")(differ)

    (outcome,) = judge(lab, chapter)

    assert outcome.verdict is Verdict.DIFFERS
    assert outcome.note == "Consul ignores it; seen last: nothing"
