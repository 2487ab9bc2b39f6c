"""The format of a recording: JSON lines, gzipped; the first says what it is, each other is a step.

    {"recording": 1, "name": "engine-1.9.1", "about": "…", "headers": {"User-Agent": "…"}}
    {"do": "ask", "on": "10.98.0.2#1", "at": 0.25, "method": "GET", "target": "/v1/kv/a?index=7",
     "status": 200, "index": 9, "answer": [{"Key": "a", …}]}

Steps are played one after the other, in this order:

    seed        write an entry that was there before the recording: `target` is its path with the
                query of the PUT, `session` the name of a session that is made for it if need be
    ask         send a request and read its answer
    open        send a long poll, and leave it waiting
    answered    read the answer of the long poll on this connection: it is due now
    unanswered  the long poll on this connection ended here with nothing new: it has no answer yet,
                and the same request with a short wait tells `status`, `index` and `answer`
    expired     the time of session `session` was up

Members that are empty, 0 or null are left out. `at` is in seconds from the first step, for people.
Session ids and indexes are those of the recording; a player puts those of its store in their place.
"""

import gzip
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, fields
from enum import StrEnum
from pathlib import Path
from typing import Any

from conformance.recordings.errors import NotRecorded

VERSION = 1
SUFFIX = ".jsonl.gz"
HOME = Path(__file__).parent
"""Where the recordings are that come with this package."""


class Do(StrEnum):
    """What a step does."""

    SEED = "seed"
    ASK = "ask"
    OPEN = "open"
    ANSWERED = "answered"
    UNANSWERED = "unanswered"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class Step:
    """One step; see the head of this file."""

    do: Do
    on: str = ""
    at: float = 0.0
    method: str = ""
    target: str = ""
    body: str = ""
    status: int = 0
    index: int = 0
    answer: Any = None
    session: str = ""

    def __str__(self) -> str:
        """Show it as one line of a conversation."""
        what = f"{self.method} {self.target}" if self.target else f"session {self.session}"
        return f"at {self.at:g} s: {self.do} {what}"


@dataclass(frozen=True, slots=True)
class Recording:
    """A script of steps, and where it comes from."""

    name: str
    # One sentence: whose traffic, and what happened.
    about: str
    # Those that every request carries.
    headers: dict[str, str] = field(default_factory=dict)
    steps: tuple[Step, ...] = ()


def names() -> list[str]:
    """Return the names of the recordings that come with this package."""
    return sorted(path.name.removesuffix(SUFFIX) for path in HOME.glob(f"*{SUFFIX}"))


def load(name: str) -> Recording:
    """Return a recording that comes with this package."""
    return decode((HOME / f"{name}{SUFFIX}").read_bytes())


def encode(recording: Recording) -> bytes:
    """Return the recording as a file; the same recording gives the same bytes."""
    head = {
        "recording": VERSION,
        "name": recording.name,
        "about": recording.about,
        "headers": recording.headers,
    }
    lines = [head, *map(_members, recording.steps)]
    text = "".join(
        json.dumps(line, ensure_ascii=False, separators=(",", ":")) + "\n" for line in lines
    )
    return gzip.compress(text.encode(), mtime=0)


def decode(data: bytes) -> Recording:
    """Read a recording. Raises NotRecorded when it is none, or one of another version."""
    try:
        lines = [json.loads(line) for line in gzip.decompress(data).decode().splitlines()]
        head, *steps = lines
        if head["recording"] != VERSION:
            raise NotRecorded(f"recording of version {head['recording']}, expected {VERSION}")
        return Recording(head["name"], head["about"], head["headers"], tuple(_steps(steps)))
    except (OSError, EOFError, ValueError, KeyError, TypeError) as error:
        raise NotRecorded(f"no recording: {type(error).__name__}: {error}") from error


def _tells(name: str, value: Any) -> bool:
    """Return whether an empty value says something: the answers `false`, "" and `[]` do."""
    return name == "answer" and value is not None


def _members(step: Step) -> dict[str, Any]:
    return {name: value for name, value in asdict(step).items() if value or _tells(name, value)}


def _steps(lines: list[dict[str, Any]]) -> Iterator[Step]:
    known = {each.name for each in fields(Step)}
    for line in lines:
        if unknown := line.keys() - known:
            raise NotRecorded(f"unknown member {min(unknown)!r} in {line}")
        yield Step(**{**line, "do": Do(line["do"])})
