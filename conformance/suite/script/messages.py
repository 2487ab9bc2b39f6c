"""One request and one answer of a script: how they are read, sent, compared and shown."""

import re
from dataclasses import dataclass

from conformance.suite.headers import WATCHED
from conformance.suite.pointing import pointed
from conformance.suite.script.scene import Scene
from conformance.suite.script.template import Names, Template
from conformance.suite.wire import Answer

# Spaces within ${…} belong to the target.
_REQUEST = re.compile(r"([A-Za-z]+) ((?:\$\{(?:\\.|[^}\\])*\}|\S)+)(?: (.*))?")
_HEADER = re.compile(r"([A-Za-z][\w-]*):(?: (.*))?")
_ABSENT = re.compile(r"no ([A-Z][\w-]*)")
ANY = "..."
_CHUNKED = ("transfer-encoding", "chunked")


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as the script has it."""

    method: str
    target: Template
    headers: tuple[tuple[str, Template], ...] = ()
    # None: no body, and no Content-Length.
    body: Template | None = None
    chunked: bool = False
    # The script says the Content-Length itself, true or not.
    own_length: bool = False

    def encode(self, scene: Scene) -> tuple[bytes, str]:
        """Return the bytes to send, and the target in them."""
        names = scene.names
        target = self.target.fill(names).decode("latin-1")
        headers = [(name, value.fill(names).decode("latin-1")) for name, value in self.headers]
        body = None if self.body is None else self.body.fill(names)
        if self.own_length:
            return scene.store.encode(self.method, target, headers=headers) + (body or b""), target
        encoded = scene.store.encode(
            self.method, target, body, headers=headers, chunked=self.chunked
        )
        return encoded, target

    def shown(self, names: Names) -> str:
        """Return the request as one would write it down."""
        head = f"{self.method} {_short(self.target.shown(names))}"
        body = "" if self.body is None else f" {_short(self.body.shown(names))}"
        return head + body + "".join(f"\n{name}: {v.shown(names)}" for name, v in self.headers)


@dataclass(frozen=True, slots=True)
class Expected:
    """An answer as the script has it."""

    # None: any.
    status: int | None
    headers: tuple[tuple[str, Template], ...]
    # Headers that must not be there.
    absent: tuple[str, ...]
    # Of the headers that clients look at, only those named here may be there.
    only: bool
    body: Template

    def check(self, answer: Answer, names: Names) -> tuple[dict[str, bytes], str]:
        """Return the names that the answer binds, and what differs: "" when nothing does."""
        bound = dict(names)
        if self.status is not None and answer.status != self.status:
            return bound, f"status {answer.status} instead of {self.status}"
        for name, value in self.headers:
            got = answer.get(name)
            found = None if got is None else value.match(got.encode("latin-1"), bound)
            if found is None:
                return bound, f"header {name}: {_header_differs(value, got, bound)}"
            bound |= found
        extra = [name for name in self.absent if answer.get(name) is not None]
        if self.only:
            expected = {name for name, _ in self.headers}
            there = (name for name, _ in answer.headers if name.lower() in WATCHED)
            extra += [name for name in there if name not in expected]
        if extra:
            return bound, f"header {extra[0]}, which must not be there"
        found = self.body.match(answer.plain, bound)
        if found is not None:
            return bound | found, ""
        got = answer.plain.decode("utf-8", "backslashreplace")
        return bound, f"the body: {pointed(self.body.nearest(answer.plain, bound), got)}"

    def shown(self, names: Names) -> str:
        """Return the answer as one would write it down."""
        lines = [
            str(self.status or "any status"),
            *(f"{name}: {v.shown(names)}" for name, v in self.headers),
        ]
        lines += [f"no {name}" for name in self.absent]
        lines += ["no other headers"] * self.only
        return "\n".join([*lines, _short(self.body.shown(names))]).rstrip("\n")


def parse_request(lines: list[str]) -> Asked:
    """Read `METHOD TARGET [BODY]`, header lines, and after an empty line the body.

    Raises ValueError.
    """
    first = _REQUEST.fullmatch(lines[0])
    if not first:
        raise ValueError(f"`{lines[0]}` is no request: expected `> METHOD TARGET [BODY]`")
    method, target, body = first.groups()
    headers, later = _split(lines[1:])
    pairs = [_header(line) for line in headers]
    chunked = any((name.lower(), value) == _CHUNKED for name, value in pairs)
    if chunked:
        pairs = [(name, value) for name, value in pairs if name.lower() != _CHUNKED[0]]
    own_length = any(name.lower() == "content-length" for name, _ in pairs)
    text = _joined(later) if body is None else body
    return Asked(
        method,
        Template.parse(target),
        tuple((name, Template.parse(value)) for name, value in pairs),
        None if text is None else Template.parse(text),
        chunked,
        own_length,
    )


def parse_answer(lines: list[str]) -> Expected:
    """Read `STATUS [BODY]`, header lines, and after an empty line the body.

    `...` is any status with any body. `no Name` is a header that must not be there; `no other
    headers` says that of all that clients look at. Raises ValueError.
    """
    status, space, body = lines[0].partition(" ")
    if not re.fullmatch(r"\d{3}|\.\.\.", status):
        raise ValueError(f"`{lines[0]}` is no answer: expected `< STATUS [BODY]`")
    headers, later = _split(lines[1:])
    only = "no other headers" in headers
    rest = [line for line in headers if line != "no other headers"]
    absent = [found[1] for line in rest if (found := _ABSENT.fullmatch(line))]
    pairs = [_header(line) for line in rest if not _ABSENT.fullmatch(line)]
    any_status = status == ANY
    text = body if space else _joined(later) or (ANY if any_status else "")
    return Expected(
        None if any_status else int(status),
        tuple((name, Template.parse(value)) for name, value in pairs),
        tuple(absent),
        only,
        Template.parse(text),
    )


def _split(lines: list[str]) -> tuple[list[str], list[str] | None]:
    """Return the header lines, and those of the body behind an empty line, None without one."""
    if "" not in lines:
        return lines, None
    at = lines.index("")
    return lines[:at], lines[at + 1 :]


def _joined(lines: list[str] | None) -> str | None:
    """Return a body: its lines one after another, without the blanks they begin with."""
    return None if lines is None else "".join(line.lstrip() for line in lines)


def _header(line: str) -> tuple[str, str]:
    found = _HEADER.fullmatch(line)
    if not found:
        raise ValueError(f"`{line}` is no header; a body stands behind an empty line")
    return found[1], found[2] or ""


def shown_answer(answer: Answer) -> str:
    """Return an answer as one would write it down, but for headers that say nothing here."""
    quiet = {"date", "content-length", "connection", "transfer-encoding"}
    headers = [f"{name}: {value}" for name, value in answer.headers if name.lower() not in quiet]
    body = _short(answer.plain.decode("utf-8", "backslashreplace"))
    return "\n".join([str(answer.status), *headers, body]).rstrip("\n")


def _header_differs(expected: Template, got: str | None, names: Names) -> str:
    if got is None:
        return f"missing, instead of “{expected.shown(names)}”"
    return pointed(expected.nearest(got.encode("latin-1"), names), got)


def _short(text: str, limit: int = 600) -> str:
    return text if len(text) <= limit else f"{text[:limit]}… ({len(text)} characters)"
