r"""Operations as text, one a line, and back.

    # a comment
    PUT /v1/kv/{P}a?cas={m:a} "v\xff"
    PUT /v1/kv/{P}b chunked 600000*"x"
    GET /v1/kv/{P}a [Accept-Encoding: gzip]
    park /v1/kv/{P}a?raw
    park /v1/kv/{P}?recurse wait=10ms ahead=1000

A body is one or more strings in double quotes, a long run of one byte is written as a product.
`\"`, `\\` and `\xNN` are the only escapes, in targets and headers as in bodies.
"""

import re
from collections.abc import Iterable, Iterator

from conformance.fuzz.operation import Call, Operation, Park

PARK = "park"
RUN_BYTES_MIN = 64
"""Shorter runs of one byte are written out."""

_WORD = re.compile(
    r"""
    (?:(?P<times>\d+)\*)? "(?P<text>(?:[^"\\]|\\.)*)"   # a piece of a body
    | \[(?P<name>[^]:]*):\ ?(?P<value>[^]]*)\]          # a header
    | (?P<word>[^\s"\[]\S*)
    """,
    re.VERBOSE,
)
_ESCAPED = re.compile(r'\\(?:x([0-9a-f]{2})|(["\\]))')
_RUN = re.compile(rb"(.)\1{%d,}" % (RUN_BYTES_MIN - 1), re.DOTALL)
_PLAIN = frozenset(range(0x20, 0x7F)) - set(b'"\\')


class BadScript(ValueError):
    """A line of a script is none: which, and what a line looks like."""

    def __init__(self, number: int, line: str) -> None:
        super().__init__(
            f"line {number} is no operation: {line!r}; "
            'expected METHOD TARGET [HEADER: VALUE] chunked "BODY", or park TARGET wait=10ms'
        )


def format_operation(operation: Operation) -> str:
    """Return the one line that says this operation."""
    if isinstance(operation, Park):
        words = [PARK, _escape(operation.target, spaces=False)]
        words += [f"wait={operation.wait}"] if operation.wait else []
        words += [f"ahead={operation.ahead}"] if operation.ahead else []
        return " ".join(words)
    words = [operation.method, _escape(operation.target, spaces=False)]
    words += [f"[{name}: {_escape(value)}]" for name, value in operation.headers]
    words += ["chunked"] if operation.chunked else []
    if operation.body is not None:
        words += _pieces(operation.body)
    return " ".join(words)


def format_script(operations: Iterable[Operation]) -> str:
    """Return the operations as lines."""
    return "".join(f"{format_operation(each)}\n" for each in operations)


def parse_script(text: str) -> list[Operation]:
    """Return the operations of a script. Raises BadScript."""
    operations = []
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip() and not line.lstrip().startswith("#"):
            operations.append(_parse_line(number, line.strip()))
    return operations


def _escape(text: str, *, spaces: bool = True) -> str:
    shown = []
    for byte in text.encode("latin-1"):
        if byte in _PLAIN and (spaces or byte != ord(" ")):
            shown.append(chr(byte))
        else:
            shown.append(f"\\{chr(byte)}" if byte in b'"\\' else f"\\x{byte:02x}")
    return "".join(shown)


def _unescape(text: str) -> str:
    return _ESCAPED.sub(lambda found: chr(int(found[1], 16)) if found[1] else found[2], text)


def _pieces(body: bytes) -> Iterator[str]:
    at = 0
    for run in _RUN.finditer(body):
        if run.start() > at:
            yield f'"{_escape(body[at : run.start()].decode("latin-1"))}"'
        yield f'{len(run[0])}*"{_escape(run[1].decode("latin-1"))}"'
        at = run.end()
    if at < len(body) or not body:
        yield f'"{_escape(body[at:].decode("latin-1"))}"'


def _parse_line(number: int, line: str) -> Operation:
    words = list(_WORD.finditer(line))
    if len(words) < 2 or not words[0]["word"] or not words[1]["word"]:  # noqa: PLR2004 - METHOD TARGET
        raise BadScript(number, line)
    first, target = words[0]["word"], _unescape(words[1]["word"])
    try:
        return _park(target, words[2:]) if first == PARK else _call(first, target, words[2:])
    except ValueError as error:
        raise BadScript(number, line) from error


def _park(target: str, words: list[re.Match[str]]) -> Park:
    given = {"wait": "", "ahead": "0"}
    for word in words:
        name, equals, value = (word["word"] or "").partition("=")
        if name not in given or not equals:
            raise ValueError(name)
        given[name] = value
    return Park(target, given["wait"], int(given["ahead"]))


def _call(method: str, target: str, words: list[re.Match[str]]) -> Call:
    headers, chunked, body = [], False, None
    for word in words:
        if word["name"] is not None:
            headers.append((word["name"], _unescape(word["value"])))
        elif word["text"] is not None:
            piece = _unescape(word["text"]).encode("latin-1")
            body = (body or b"") + piece * int(word["times"] or 1)
        elif word["word"] == "chunked":
            chunked = True
        else:
            raise ValueError(word["word"])
    return Call(method, target, body, tuple(headers), chunked)
