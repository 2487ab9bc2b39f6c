"""The format of recordings, and those that come with the suite."""

import gzip
import json
from collections import Counter

import pytest

from conformance.recordings.errors import NotRecorded
from conformance.recordings.recording import (
    HOME,
    SUFFIX,
    Do,
    Recording,
    Step,
    decode,
    encode,
    load,
    names,
)

TOTAL_BYTES_MAX = 1_500_000
STEPS = (
    Step(Do.SEED, target="/v1/kv/a?flags=0", index=4, answer=None, session="s"),
    Step(Do.ASK, "c", 0.5, "PUT", "/v1/kv/a", "é", 200, answer=False),
    Step(Do.ASK, "c", 0.5, "GET", "/v1/session/list", status=200, index=3, answer=[]),
    Step(Do.OPEN, "c", 1.0, "GET", "/v1/kv/a?index=3"),
    Step(Do.EXPIRED, session="s"),
)


def test_steps_survive() -> None:
    """What is written is what is read; the same recording gives the same bytes."""
    recording = Recording("r", "what happened", {"User-Agent": "x"}, STEPS)

    assert decode(encode(recording)) == recording
    assert encode(recording) == encode(recording)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"no gzip", "no recording: BadGzipFile"),
        (gzip.compress(b"{}\n"), "no recording: KeyError"),
        (gzip.compress(b"[\n"), "no recording: JSONDecodeError"),
        (gzip.compress(b""), "no recording: ValueError"),
        (gzip.compress(b'{"recording": 2}\n'), "recording of version 2, expected 1"),
    ],
)
def test_other_files_are_refused(data: bytes, said: str) -> None:
    """What is no recording of this version is refused with a reason."""
    with pytest.raises(NotRecorded, match=said):
        decode(data)


def test_unknown_members_are_refused() -> None:
    """A step with a member that nobody knows is not played by half."""
    head = {"recording": 1, "name": "r", "about": "", "headers": {}}
    lines = [head, {"do": "ask", "sleep": 5}]
    data = gzip.compress("\n".join(map(json.dumps, lines)).encode())

    with pytest.raises(NotRecorded, match="unknown member 'sleep'"):
        decode(data)


def test_all_together_are_small() -> None:
    """The recordings that come with the suite are few and small."""
    assert len(names()) == 6
    assert sum(path.stat().st_size for path in HOME.glob(f"*{SUFFIX}")) < TOTAL_BYTES_MAX


@pytest.mark.parametrize("name", names())
def test_each_is_sound(name: str) -> None:
    """Every long poll is opened once and ends once, and what is between is on other lines."""
    recording = load(name)
    opened: set[str] = set()
    for step in recording.steps:
        if step.do is Do.OPEN:
            assert step.on not in opened, step
            opened.add(step.on)
        elif step.do in {Do.ANSWERED, Do.UNANSWERED}:
            opened.remove(step.on)
        elif step.do is Do.ASK:
            assert step.on not in opened, step
    assert not opened
    assert recording.name == name
    assert recording.about.endswith(".")
    counts = Counter(step.do for step in recording.steps)
    assert counts[Do.ASK] > 200
    assert counts[Do.ANSWERED] > 20
