r"""Text with names in it: what a script sends, and what it expects.

- `$name` or `${name}`: what the name is bound to. `${i + 1}` and `${i - 1}`: a number beside it.
- `${upper s1}`: in capitals. `${repeat x 300}`: text repeated. `${base64 text}`: encoded.
- `\n \r \t \s` (a space) `\xFF` (a byte), and `\` before any other sign for that sign itself.
- `...`, in an expectation: any bytes, also none.

An expectation binds the names it meets first: `$i`, `$i1` … to a number, `$s`, `$s1` … to a
session id, any other to text without quotes. Later it must find the same again.

Pure: bytes and names, nothing of HTTP.
"""

import base64
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

Names = Mapping[str, bytes]

_NUMBER = re.compile(r"i\d*")
_SESSION = re.compile(r"s\d*")
_UUID = rb"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"

_TOKEN = re.compile(
    r"""(?P<byte> \\x[0-9A-Fa-f]{2})
      | (?P<escape> \\.)
      | \$(?P<name> [a-z]\w*)
      | \$\{(?P<call> (?:\\.|[^}\\])*)\}
      | (?P<any> \.\.\.)
      | (?P<bad> \$ | \\)
    """,
    re.VERBOSE | re.DOTALL,
)
_CALLS = re.compile(
    r"""(?P<name> [a-z]\w*)
      | (?P<base> [a-z]\w*) \s* (?P<sign> [+-]) \s* (?P<offset> \d+)
      | upper \s+ (?P<upper> [a-z]\w*)
      | repeat \s+ (?P<text> \S+) \s+ (?P<count> \d+)
      | base64 \s+ (?P<plain> .*)
    """,
    re.VERBOSE,
)
_ESCAPES = {"n": b"\n", "r": b"\r", "t": b"\t", "s": b" "}


class TemplateInvalid(ValueError):
    """A text that is no template; says what was found and what is allowed."""


class Unbound(LookupError):
    """A name that nothing has bound yet."""


@dataclass(frozen=True, slots=True)
class _Name:
    """A place where a name stands."""

    name: str


@dataclass(frozen=True, slots=True)
class _Made:
    """A place where something is made of a name."""

    # The names it is made of.
    names: tuple[str, ...]
    make: Callable[[Names], bytes]


class _Any:
    """A place where anything may stand."""


_Part = bytes | _Name | _Made | _Any


@dataclass(frozen=True, slots=True)
class Template:
    """A parsed text. Sent with `fill`, expected with `match`."""

    source: str
    _parts: tuple[_Part, ...]

    @classmethod
    def parse(cls, source: str) -> "Template":
        """Read a text. Raises TemplateInvalid."""
        parts: list[_Part] = []
        at = 0
        for token in _TOKEN.finditer(source):
            parts.append(_encode(source[at : token.start()]))
            parts.append(_part(token))
            at = token.end()
        parts.append(_encode(source[at:]))
        return cls(source, tuple(part for part in parts if part != b""))

    @property
    def names(self) -> tuple[str, ...]:
        """The names that stand in it by themselves: an expectation binds them."""
        return tuple(part.name for part in self._parts if isinstance(part, _Name))

    @property
    def made_of(self) -> tuple[str, ...]:
        """The names that something in it is made of: they are bound before, in any case."""
        made = (part for part in self._parts if isinstance(part, _Made))
        return tuple(name for part in made for name in part.names)

    def fill(self, names: Names) -> bytes:
        """Return the bytes to send. Raises Unbound; `...` is sent as it is written."""
        return b"".join(self._filled(part, names) for part in self._parts)

    def match(self, data: bytes, names: Names) -> dict[str, bytes] | None:
        """Return what the names met here are bound to, or None when `data` is something else."""
        seen: set[str] = set()
        pattern = b"".join(_pattern(part, names, seen) for part in self._parts)
        found = re.fullmatch(pattern, data, re.DOTALL)
        return None if found is None else dict(found.groupdict())

    def nearest(self, data: bytes, names: Names) -> str:
        """Return the text expected, spelt as `data` is for as long as it matches."""
        for count in range(len(self._parts), -1, -1):
            seen: set[str] = set()
            pattern = b"".join(_pattern(part, names, seen) for part in self._parts[:count])
            if found := re.match(pattern, data, re.DOTALL):
                break
        assert found is not None  # nothing matches everything
        rest = Template(self.source, self._parts[count:])
        return _decoded(found[0]) + rest.shown({**names, **found.groupdict()})

    def shown(self, names: Names) -> str:
        """Return the text as a person should read it, with what is bound filled in."""
        words = []
        for part in self._parts:
            if isinstance(part, _Name) and part.name not in names:
                words.append(f"${part.name}".encode())
            elif isinstance(part, _Made) and not names.keys() >= set(part.names):
                words.append(b"...")
            else:
                words.append(self._filled(part, names))
        return _decoded(b"".join(words))

    @staticmethod
    def _filled(part: _Part, names: Names) -> bytes:
        if isinstance(part, _Any):
            return b"..."
        if isinstance(part, _Name):
            return _look_up(part.name, names)
        return part.make(names) if isinstance(part, _Made) else part


def _part(token: re.Match[str]) -> _Part:
    if token["byte"]:
        return bytes.fromhex(token["byte"][2:])
    if token["escape"]:
        sign = token["escape"][1]
        return _ESCAPES.get(sign, sign.encode())
    if token["any"]:
        return _Any()
    if token["bad"]:
        raise TemplateInvalid(f"a lone {token['bad']}; write \\{token['bad']} for the sign itself")
    if token["name"]:
        return _Name(token["name"])
    return _call(token["call"])


def _call(text: str) -> _Part:
    call = _CALLS.fullmatch(text.strip())
    if call is None:
        allowed = "${name}, ${name + 1}, ${upper name}, ${repeat x 300} or ${base64 text}"
        raise TemplateInvalid(f"${{{text}}} means nothing; write {allowed}")
    if call["name"]:
        return _Name(call["name"])
    if call["base"]:
        base, offset = call["base"], int(call["sign"] + call["offset"])
        return _Made((base,), lambda names: b"%d" % (int(_look_up(base, names)) + offset))
    if call["upper"]:
        name = call["upper"]
        return _Made((name,), lambda names: _look_up(name, names).upper())
    if call["count"]:
        return Template.parse(call["text"]).fill({}) * int(call["count"])
    plain = Template.parse(call["plain"])
    return _Made(plain.names, lambda names: base64.b64encode(plain.fill(names)))


def _pattern(part: _Part, names: Names, seen: set[str]) -> bytes:
    if isinstance(part, _Any):
        return rb".*?"
    if not isinstance(part, _Name):
        return re.escape(part if isinstance(part, bytes) else part.make(names))
    if part.name in names:
        return re.escape(names[part.name])
    name = part.name.encode()
    if part.name in seen:
        return rb"(?P=%s)" % name
    seen.add(part.name)
    return rb"(?P<%s>%s)" % (name, _form(part.name))


def _form(name: str) -> bytes:
    if _NUMBER.fullmatch(name):
        return rb"\d+"
    return _UUID if _SESSION.fullmatch(name) else rb'[^"\n]+?'


def _look_up(name: str, names: Names) -> bytes:
    if name not in names:
        raise Unbound(f"${name} is not bound: let an answer bind it first, or `let ${name} be …`")
    return names[name]


def _decoded(data: bytes) -> str:
    return data.decode("utf-8", "backslashreplace")


def _encode(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
