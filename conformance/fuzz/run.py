"""A run: episodes until the time is up, each difference replayed and reduced."""

import itertools
import time
from collections.abc import Callable, Sequence

from conformance.fuzz.drawing import ALL_KINDS, OPERATIONS, Kind, draw_episode
from conformance.fuzz.episode import Pair, Tally
from conformance.fuzz.findings import Difference, Findings
from conformance.fuzz.operation import Operation
from conformance.fuzz.player import play
from conformance.fuzz.shrinking import shrink
from conformance.fuzz.side import WireSide
from conformance.suite.store import Store
from conformance.suite.wire import ConnectionEnded, NotAnswered

DIFFERENCES_MAX = 20
"""A run ends after so many kinds of difference: there is enough to look at."""

REPLAYS = 3
"""How often a difference is replayed before it counts as one that does not come again."""

Progress = Callable[[Findings], None]


class StoreUnfit(Exception):
    """A store that nothing can be compared on: which, why, and what to do."""


def run(
    store: Store,
    oracle: Store,
    *,
    seed: int,
    seconds: float | None = None,
    operations: int | None = None,
    kinds: frozenset[Kind] = ALL_KINDS - {Kind.SNAPSHOTS},
    progress: Progress = lambda _: None,
) -> Findings:
    """Send drawn operations to both stores, for a time or up to a number, and compare.

    Both stores must be empty, and nobody else may use them meanwhile. The same seed and kinds draw
    the same operations. `progress` is called after each episode. A store that goes away is a
    difference, and the end. Raises StoreUnfit, or OSError when a store is not there at all.
    """
    pair, prefix = _open(store, oracle)
    try:
        return run_pair(
            pair,
            prefix=prefix,
            seed=seed,
            seconds=seconds,
            operations=operations,
            kinds=kinds,
            progress=progress,
        )
    finally:
        pair.close()


def replay(store: Store, oracle: Store, operations: Sequence[Operation]) -> Difference | None:
    """Play the operations of a script; return what differs, if anything does."""
    pair, prefix = _open(store, oracle)
    try:
        return play(pair, operations, f"{prefix}/", Tally(), state_every=1)[1]
    finally:
        pair.close()


def run_pair(
    pair: Pair,
    *,
    prefix: str = "f",
    seed: int,
    seconds: float | None = None,
    operations: int | None = None,
    kinds: frozenset[Kind] = ALL_KINDS - {Kind.SNAPSHOTS},
    progress: Progress = lambda _: None,
) -> Findings:
    """Do what `run` does, on two sides that are open and known to be fit."""
    findings, tally, started = Findings(seed), Tally(), time.monotonic()
    search = _Search(pair, findings, prefix)
    for number in itertools.count():
        left = (
            OPERATIONS if operations is None else min(OPERATIONS, operations - findings.operations)
        )
        if left <= 0 or (seconds is not None and findings.seconds >= seconds):
            break
        drawn = draw_episode(seed, number, kinds)[:left]
        try:
            played, difference = play(pair, drawn, f"{prefix}.{number}/", tally)
            findings.operations += played
            findings.episodes += 1
            findings.cut_short += difference is None and played < len(drawn)
            if difference is not None:
                search.examine(difference, number)
        except OSError as error:
            findings.differences.append(Difference.end(error, drawn, number))
        findings.requests, findings.seconds = tally.requests, time.monotonic() - started
        findings.rules, findings.statuses = tally.rules, tally.statuses
        progress(findings)
        if findings.lost or len(findings.differences) >= DIFFERENCES_MAX:
            break
    return findings


class _Search:
    """Replays and reduces what differs, on prefixes of its own."""

    def __init__(self, pair: Pair, findings: Findings, prefix: str) -> None:
        self._prefix = prefix
        self._pair = pair
        self._findings = findings
        self._numbers = itertools.count()

    def examine(self, difference: Difference, number: int) -> None:
        """Add a difference to the findings, reduced, unless it is of a kind that is there."""
        met = self._again(difference.operations)
        if met is None:
            self._add(difference)
            return
        _, least = shrink(met.operations, met, self._play)
        self._add(
            Difference(
                f"{least.why} (episode {number})",
                least.operations,
                least.request,
                least.oracle,
                least.store,
                came_again=True,
            )
        )

    def _again(self, operations: Sequence[Operation]) -> Difference | None:
        """Replay until it differs again; look at the state after each operation."""
        return next(filter(None, (self._play(operations) for _ in range(REPLAYS))), None)

    def _play(self, operations: Sequence[Operation]) -> Difference | None:
        prefix = f"{self._prefix}.again{next(self._numbers)}/"
        return play(self._pair, operations, prefix, Tally(), state_every=1)[1]

    def _add(self, difference: Difference) -> None:
        known = [each.operations for each in self._findings.differences]
        if difference.came_again and difference.operations in known:
            self._findings.repeated += 1
        else:
            self._findings.differences.append(difference)


def _open(store: Store, oracle: Store) -> tuple[Pair, str]:
    """Return both sides, fit to be compared, and a prefix that no earlier run has used.

    What was deleted under a prefix counts for its index, so no prefix can be used twice.
    """
    nodes = _prepared(oracle), _prepared(store)
    return Pair(WireSide(oracle), WireSide(store), *nodes), f"f{oracle.kvs_index()}"


def _prepared(store: Store) -> str:
    """Check that a store is empty, make its indexes move once, and return its node's name."""
    try:
        for what in ("/v1/kv/?keys", "/v1/session/list"):
            if store.ask("GET", what).json:
                raise StoreUnfit(
                    f"{store.name} holds keys or sessions, and the random test compares and "
                    "deletes all there is: give it an empty store of its own"
                )
        store.destroy(store.session())
        store.write("f")
        store.delete("f")
        return str(store.ask("GET", "/v1/agent/self").json["Config"]["NodeName"])
    except (ConnectionEnded, NotAnswered, ValueError) as error:
        raise StoreUnfit(f"{store.name} does not answer as a Consul would: {error}") from error
