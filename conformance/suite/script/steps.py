"""What each line of a script does. A step that is not met raises Failed."""

import time
from dataclasses import dataclass
from operator import eq, ge, gt, le, lt, ne

from conformance.suite.expectation import Failed
from conformance.suite.script.messages import Asked, Expected, shown_answer
from conformance.suite.script.scene import Line, Scene, now_s
from conformance.suite.script.template import Template
from conformance.suite.store import PARKED_S
from conformance.suite.wire import (
    ANSWER_WITHIN_S,
    FINAL,
    Answer,
    ConnectionEnded,
    NotAnswered,
)

AGAIN_AFTER_S = 0.05
"""How long `eventually` pauses between two tries."""

EARLY_S = 0.005
"""How much sooner than `after` an answer may come: clocks of two processes are not read at once."""

COMPARE = {"=": eq, "!=": ne, ">": gt, "<": lt, ">=": ge, "<=": le}


@dataclass(frozen=True, slots=True)
class Step:
    """Something a script does. `where` is the file and line it stands at."""

    where: str

    def play(self, scene: Scene) -> None:
        """Do it. Raises Failed."""
        raise NotImplementedError

    def fail(self, asked: str, expected: str, got: str, differs: str = "") -> Failed:
        """Return the failure of this step."""
        return Failed(asked, expected, got, differs=differs, where=self.where)


@dataclass(frozen=True, slots=True)
class Exchange(Step):
    """A request on a connection of its own, and its answer."""

    asked: Asked
    expected: Expected
    # `eventually`: ask again until it is met; not before so many seconds of the clock, and within
    # so many from now.
    after_s: float = 0.0
    within_s: float | None = None

    def play(self, scene: Scene) -> None:
        """Ask once, or until the answer is as expected."""
        started_at = now_s()
        limit_s = 0.0 if self.within_s is None else scene.patience_s(self.within_s)
        while True:
            answer, target = self._ask(scene)
            names, difference = self.expected.check(answer, scene.names)
            took_s = now_s() - started_at
            if not difference or took_s >= limit_s:
                break
            time.sleep(AGAIN_AFTER_S)
        scene.store.note(self.asked.method, target, answer)
        if not difference and scene.since(started_at) < self.after_s - EARLY_S:
            difference = f"after {scene.since(started_at):.3f} s, which is too soon"
        if difference:
            raise self._failed(scene, difference, shown_answer(answer))
        scene.names.update(names)

    def _ask(self, scene: Scene) -> tuple[Answer, str]:
        encoded, target = self.asked.encode(scene)
        try:
            with scene.store.connect() as connection:
                connection.send(encoded)
                return connection.read(self.asked.method, scene.patience_s()), target
        except (OSError, ConnectionEnded, NotAnswered) as error:
            raise self._failed(scene, "no answer", str(error)) from error

    def _failed(self, scene: Scene, difference: str, got: str) -> Failed:
        asked, expected = self.asked.shown(scene.names), self.expected.shown(scene.names)
        if self.within_s is not None:
            expected += f"\neventually, within {self.within_s:g} s"
        return self.fail(asked, expected, got, difference)


@dataclass(frozen=True, slots=True)
class Send(Step):
    """A request on a connection with a name; its answer is another step."""

    name: str
    asked: Asked

    def play(self, scene: Scene) -> None:
        """Send it."""
        line = scene.line(self.name)
        encoded, target = self.asked.encode(scene)
        line.asked.append((self.asked.method, target))
        line.sent_at = now_s()
        line.connection.send(encoded)


@dataclass(frozen=True, slots=True)
class SendRaw(Step):
    """Exact bytes on a connection with a name."""

    name: str
    data: Template

    def play(self, scene: Scene) -> None:
        """Send them; a request line among them is remembered, for its answer."""
        line = scene.line(self.name)
        data = self.data.fill(scene.names)
        words = data.split(b"\r\n")[0].decode("latin-1").split(" ")
        if words[-1].startswith("HTTP/"):
            line.asked.append((words[0], " ".join(words[1:-1])))
        line.sent_at = now_s()
        line.connection.send(data)


@dataclass(frozen=True, slots=True)
class Receive(Step):
    """The next answer on a connection with a name."""

    name: str
    expected: Expected

    def play(self, scene: Scene) -> None:
        """Read it and compare."""
        line = scene.line(self.name)
        within_s = scene.patience_s(line.within_s or ANSWER_WITHIN_S)
        wanted = self.expected.shown(scene.names)
        method, target = line.asked[0] if line.asked else ("GET", "")
        asked = f"on {self.name}: {method} {target}"
        try:
            answer = self._read(line, method, within_s)
        except (OSError, ConnectionEnded, NotAnswered) as error:
            took_s = now_s() - line.sent_at
            raise self.fail(asked, wanted, f"{error} ({took_s:.2f} s)") from error
        scene.store.note(method, target, answer)
        names, difference = self.expected.check(answer, scene.names)
        if answer.interim:
            difference = difference or f"{answer.interim} before it"
        took_s = scene.since(line.sent_at)
        if not difference and line.after_s is not None and took_s < line.after_s - EARLY_S:
            difference = f"after {took_s:.3f} s, expected {line.after_s:g} s or more"
        line.after_s = line.within_s = None
        if difference:
            raise self.fail(asked, wanted, shown_answer(answer), difference)
        scene.names.update(names)

    def _read(self, line: Line, method: str, within_s: float) -> Answer:
        if self.expected.status is not None and self.expected.status < FINAL:
            return line.connection.read_interim(within_s)
        if line.asked:
            line.asked.popleft()
        return line.connection.read(method, within_s)


@dataclass(frozen=True, slots=True)
class Waits(Step):
    """Nothing comes on a connection."""

    name: str
    seconds: float = PARKED_S

    def play(self, scene: Scene) -> None:
        """Listen for that long."""
        line = scene.line(self.name)
        if not line.connection.silent_for(scene.patience_s(self.seconds)):
            method, target = line.asked[0] if line.asked else ("", "")
            try:
                got = shown_answer(line.connection.read(method, scene.patience_s()))
            except (OSError, ConnectionEnded, NotAnswered) as error:
                got = str(error)
            expected = f"no answer within {self.seconds:g} s: the query waits"
            raise self.fail(f"on {self.name}: {method} {target}", expected, got)


@dataclass(frozen=True, slots=True)
class Closes(Step):
    """The store closes a connection."""

    name: str

    def play(self, scene: Scene) -> None:
        """Wait for the end."""
        if not scene.line(self.name).connection.ended(scene.patience_s()):
            raise self.fail(f"connection {self.name}", "closed by the store", "still open, or data")


@dataclass(frozen=True, slots=True)
class EndsSending(Step):
    """The client says that it sends no more."""

    name: str

    def play(self, scene: Scene) -> None:
        """Half-close the connection."""
        scene.line(self.name).connection.end_sending()


@dataclass(frozen=True, slots=True)
class Answers(Step):
    """When the next answer on a connection must come."""

    name: str
    after_s: float | None
    within_s: float | None

    def play(self, scene: Scene) -> None:
        """Remember it."""
        line = scene.line(self.name)
        line.after_s, line.within_s = self.after_s, self.within_s


@dataclass(frozen=True, slots=True)
class ClockStarts(Step):
    """The moment from which every later `after` counts."""

    def play(self, scene: Scene) -> None:
        """Remember it."""
        scene.clock_at = now_s()


@dataclass(frozen=True, slots=True)
class Let(Step):
    """A name for a text."""

    name: str
    text: Template

    def play(self, scene: Scene) -> None:
        """Bind it."""
        scene.names[self.name] = self.text.fill(scene.names)


@dataclass(frozen=True, slots=True)
class LetIndex(Step):
    """A name for the index that a GET answers with, whatever else the answer is."""

    name: str
    target: Template

    def play(self, scene: Scene) -> None:
        """Ask, and bind the number in X-Consul-Index."""
        target = self.target.fill(scene.names).decode("latin-1")
        try:
            answer = scene.store.ask("GET", target)
        except (OSError, ConnectionEnded, NotAnswered) as error:
            raise self.fail(f"GET {target}", "an answer", str(error)) from error
        index = answer.get("X-Consul-Index")
        if index is None or not index.isdecimal():
            raise self.fail(f"GET {target}", "X-Consul-Index: a number", shown_answer(answer))
        scene.names[self.name] = index.encode()


@dataclass(frozen=True, slots=True)
class Where(Step):
    """How numbers are related."""

    left: Template
    sign: str
    right: Template

    def play(self, scene: Scene) -> None:
        """Compare them."""
        left, right = self.left.fill(scene.names), self.right.fill(scene.names)
        numbers = left.isdigit() and right.isdigit()
        pair = (int(left), int(right)) if numbers else (left, right)
        if not COMPARE[self.sign](*pair):
            said = f"{self.left.source} {self.sign} {self.right.source}"
            raise self.fail("", said, f"{left.decode()} and {right.decode()}")
