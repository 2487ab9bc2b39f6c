"""Reads the lines of one run of a case, and turns them into steps."""

import re
from collections.abc import Iterator

from conformance.suite.script import steps
from conformance.suite.script.messages import parse_answer, parse_request
from conformance.suite.script.steps import Step
from conformance.suite.script.template import Template, TemplateInvalid

_MARKED = re.compile(r"(?P<name>[a-z]\w*)?(?P<mark>[<>!])(?: (?P<rest>.*))?")
_SECONDS = r"(\d+(?:\.\d+)?) s"
_LET_INDEX = re.compile(r"let \$([a-z]\w*) be the index of (\S+)")
_LET = re.compile(r"let \$([a-z]\w*) be (.+)")
_WAITS = re.compile(rf"([a-z]\w*) waits(?: {_SECONDS})?")
_CLOSES = re.compile(r"([a-z]\w*) closes")
_ENDS = re.compile(r"([a-z]\w*) ends sending")
_ANSWERS = re.compile(rf"([a-z]\w*) answers(?: after {_SECONDS})?(?: within {_SECONDS})?")
_EVENTUALLY = re.compile(rf"eventually(?: after {_SECONDS})? within {_SECONDS}")
_RELATION = re.compile(r"(\S+(?: [+-] \d+\})?) (=|!=|>=|<=|>|<) (\S+(?: [+-] \d+\})?)")
_HINT = "a step, or prose, which begins with a capital letter; see cases/README.md"


class ScriptInvalid(Exception):
    """A script that cannot be read: the file, the line, what is wrong, what is expected."""

    def __init__(self, where: str, what: str) -> None:
        super().__init__(f"{where}: {what}")


class Reader:
    """Turns the lines of one run of a case into steps; some steps take several lines."""

    def __init__(self, file: str, lines: list[tuple[int, str]]) -> None:
        self._file = file
        # Line number and text.
        self._lines = lines
        self._at = 0
        # Of the message or step that is being read.
        self._where = ""

    def read(self) -> Iterator[Step]:
        """Yield the steps. Raises ScriptInvalid."""
        times: tuple[float, float] | None = None
        while self._at < len(self._lines):
            number, line = self._lines[self._at]
            where = self._where = self._place(number)
            try:
                if found := _EVENTUALLY.fullmatch(line):
                    times = float(found[1] or 0), float(found[2])
                    self._at += 1
                    continue
                marked = _MARKED.fullmatch(line)
                yield from (
                    self._marked(where, marked, times) if marked else self._plain(where, line)
                )
            except (TemplateInvalid, ValueError) as error:
                raise ScriptInvalid(self._where, str(error)) from error
            times = None

    def _place(self, number: int) -> str:
        return f"{self._file}:{number}"

    def _plain(self, where: str, line: str) -> Iterator[Step]:
        self._at += 1
        if found := _LET_INDEX.fullmatch(line):
            yield steps.LetIndex(where, found[1], Template.parse(found[2]))
        elif found := _LET.fullmatch(line):
            yield steps.Let(where, found[1], Template.parse(found[2]))
        elif found := _WAITS.fullmatch(line):
            yield (
                steps.Waits(where, found[1], float(found[2]))
                if found[2]
                else steps.Waits(where, found[1])
            )
        elif found := _CLOSES.fullmatch(line):
            yield steps.Closes(where, found[1])
        elif found := _ENDS.fullmatch(line):
            yield steps.EndsSending(where, found[1])
        elif found := _ANSWERS.fullmatch(line):
            after, within = (None if one is None else float(one) for one in found.groups()[1:])
            yield steps.Answers(where, found[1], after, within)
        elif line == "the clock starts":
            yield steps.ClockStarts(where)
        elif line.startswith("where "):
            yield from _where(where, line.removeprefix("where "))
        else:
            raise ScriptInvalid(where, f"`{line}` is no step; expected {_HINT}")

    def _marked(
        self, where: str, marked: re.Match[str], times: tuple[float, float] | None
    ) -> Iterator[Step]:
        name, mark = marked["name"] or "", marked["mark"]
        if mark == "!":
            self._at += 1
            if not name:
                raise ScriptInvalid(where, "bytes need a connection with a name: `c! …`")
            yield steps.SendRaw(where, name, Template.parse(marked["rest"] or ""))
            return
        block = self._block(name, mark)
        if mark == "<":
            if not name:
                raise ScriptInvalid(where, "an answer without a request above it")
            yield steps.Receive(where, name, parse_answer(block))
            return
        asked = parse_request(block)
        if name:
            yield steps.Send(where, name, asked)
            return
        if not self._next_is_answer():
            raise ScriptInvalid(where, "a request without an answer: `< STATUS` must follow")
        answered = self._place(self._lines[self._at][0])
        expected = parse_answer(self._block("", "<"))
        after_s, within_s = times or (0.0, None)
        yield steps.Exchange(answered, asked, expected, after_s, within_s)

    def _next_is_answer(self) -> bool:
        return self._at < len(self._lines) and self._lines[self._at][1].startswith("<")

    def _block(self, name: str, mark: str) -> list[str]:
        """Take the lines of one message; another first line of the same kind begins a new one."""
        taken: list[str] = []
        self._where = self._place(self._lines[self._at][0])
        while self._at < len(self._lines):
            marked = _MARKED.fullmatch(self._lines[self._at][1])
            if not marked or (marked["name"] or "", marked["mark"]) != (name, mark):
                break
            rest = marked["rest"] or ""
            if taken and _begins(rest, mark):
                break
            taken.append(rest)
            self._at += 1
        return taken


def _begins(text: str, mark: str) -> bool:
    """Tell whether a line is the first of a message, and no header or body."""
    pattern = r"[A-Za-z]+ [/*h]\S*( .*)?" if mark == ">" else r"(\d{3}|\.\.\.)( .*)?"
    return re.fullmatch(pattern, text) is not None


def _where(where: str, text: str) -> Iterator[Step]:
    for relation in text.split(", "):
        found = _RELATION.fullmatch(relation)
        if not found:
            raise ScriptInvalid(where, f"`{relation}` is no relation, as in `where $i2 > $i1`")
        yield steps.Where(where, Template.parse(found[1]), found[2], Template.parse(found[3]))
