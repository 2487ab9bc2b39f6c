"""Recorded traffic of real engines.

Docker engines and Swarm managers ran against a real Consul 1.8.7, and every request was recorded.
Each recording is played in the order in which Consul served it; status, headers that clients read
and body must be the same, but for session ids and indexes, which must relate to each other as they
did. Long polls stay open and must be answered by what answered them, and by nothing else.
See recordings/recording.py for the format, and `python -m conformance.recordings` to add one.
"""

from conformance.recordings.player import play
from conformance.recordings.recording import load, names
from conformance.suite.case import Case, Ground, Run, Store


def _run(name: str) -> Run:
    def run(store: Store, ground: Ground) -> None:
        play(load(name), store, ground)

    return run


def _case(name: str) -> Case:
    return Case(
        f"replay-{name}",
        "replay",
        f"answers the recorded traffic of {name} as Consul did",
        _run(name),
        covers=("I1", "I5", "B2", "B5", "B8", "P3", "P8", "S15"),
        text=load(name).about,
        source=f"recordings/{name}.jsonl.gz",
    )


CASES = tuple(_case(name) for name in names())
