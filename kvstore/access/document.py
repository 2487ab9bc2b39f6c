"""What TOML says of tokens → a TokenSet, and one token → TOML. Pure; docs/access.md has the format.

Every mistake is a TokensUnusable that says where it is, what was found and what was expected. No
text of an error holds what might be a secret.
"""

import difflib
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kvstore.access.rules import SCOPES, Level, Rules, merge
from kvstore.access.tokens import (
    ANONYMOUS,
    SECRET_CHARS_MIN,
    Token,
    TokenSet,
    digest_of,
    is_secret,
)
from kvstore.errors import TokensUnusable

__all__ = [
    "COMMON_MEMBERS",
    "Common",
    "Document",
    "is_name",
    "parse_common",
    "parse_file",
    "parse_token",
    "remarks",
    "render_token",
]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_SHA256 = re.compile(r"[0-9a-fA-F]{64}")

_KEY_LEVELS = {level.name.lower(): level for level in Level}
_SCOPE_LEVELS = {name: level for name, level in _KEY_LEVELS.items() if level is not Level.LIST}
_DEFAULTS = {"deny": Level.DENY, "allow": Level.WRITE}

_RULE_MEMBERS = ("key", "key-prefix", *SCOPES)
_SECRET_MEMBERS = ("secret-sha256", "secret-file", "secret")
_TOKEN_MEMBERS = (*_SECRET_MEMBERS, "rules", *_RULE_MEMBERS)
# What a file may say that is about no single token.
COMMON_MEMBERS = ("default", "key-list-policy", "rules")
_A_SECRET = f"{SECRET_CHARS_MIN} to 256 visible ASCII characters without spaces"

ReadSecret = Callable[[str], str]
"""Returns what stands in the file that `secret-file` names; raises OSError."""


@dataclass(frozen=True, slots=True)
class Common:
    """What holds for all tokens of a source."""

    default: Level
    lists_need_list: bool
    # Rule sets by name, for tokens to share.
    shared: Mapping[str, Rules]


@dataclass(frozen=True, slots=True)
class Document:
    """A parsed TOML file: where it is, and what is in it."""

    path: Path
    members: Mapping[str, Any]

    def wrong(self, where: str, found: str, expected: str) -> TokensUnusable:
        """Return the error for a mistake in this file."""
        return TokensUnusable(self.path, where, found, expected)

    def require_known(self, where: str, members: Iterable[str], known: Sequence[str]) -> None:
        """Raise TokensUnusable for a member that there is not, with the one that was meant."""
        for name in members:
            if name not in known:
                raise self.wrong(where, f"a member {_show(name)}", _one_of(name, known))

    def table(self, where: str, value: object, of_what: str) -> Mapping[str, Any]:
        """Return a value that must be a table."""
        if not isinstance(value, dict):
            # Not what it says: it may be a secret in the wrong place.
            raise self.wrong(where, _kind(value), f"a table of {of_what}")
        return value


def is_name(text: str) -> bool:
    """Return whether a token or a rule set may be called so."""
    return _NAME.fullmatch(text) is not None


def parse_file(document: Document, read_secret: ReadSecret) -> TokenSet:
    """Return all that one file says: the default, shared rule sets, and tokens by name."""
    document.require_known("", document.members, (*COMMON_MEMBERS, "token"))
    common = parse_common(document)
    tables = document.table("token", document.members.get("token", {}), "tokens by name")
    tokens = [parse_token(document, name, tables[name], common, read_secret) for name in tables]
    return TokenSet(tokens, common.default, common.lists_need_list)


def parse_common(document: Document) -> Common:
    """Return the members of a file that are about no single token."""
    members = document.members
    default = _level(document, "default", members.get("default", "deny"), _DEFAULTS)
    needed = members.get("key-list-policy", False)
    if not isinstance(needed, bool):
        raise document.wrong("key-list-policy", _show(needed), "true or false")
    shared = {}
    for name, value in document.table("rules", members.get("rules", {}), "rule sets").items():
        where = f"rules {_show(name)}"
        _require_name(document, where, name)
        table = document.table(where, value, "rules")
        document.require_known(where, table, _RULE_MEMBERS)
        shared[name] = _rules(document, where, table)
    return Common(default, needed, shared)


def parse_token(
    document: Document, name: str, value: object, common: Common, read_secret: ReadSecret
) -> Token:
    """Return one token; `value` is its table."""
    where = f"token {_show(name)}"
    _require_name(document, where, name)
    table = document.table(where, value, "its secret and its rules")
    document.require_known(where, table, _TOKEN_MEMBERS)
    digest = _digest(document, where, table, read_secret, is_anonymous=name == ANONYMOUS)
    shares = table.get("rules", [])
    if not isinstance(shares, list) or not all(isinstance(one, str) for one in shares):
        raise document.wrong(f"{where}: rules", _show(shares), "a list of names of rule sets")
    for one in shares:
        if one not in common.shared:
            expected = _one_of(one, list(common.shared)) if common.shared else "[rules.NAME] first"
            raise document.wrong(f"{where}: rules", _show(one), expected)
    own = _rules(document, where, table)
    rules = merge([own, *(common.shared[one] for one in shares)])
    return Token(name, digest, rules, tuple(shares))


def _digest(
    document: Document,
    where: str,
    table: Mapping[str, Any],
    read_secret: ReadSecret,
    *,
    is_anonymous: bool,
) -> bytes | None:
    """Return the digest of a token's secret, however it is given."""
    given = [member for member in _SECRET_MEMBERS if member in table]
    if is_anonymous:
        if given:
            raise document.wrong(where, given[0], "none: it is for requests without a token")
        return None
    if len(given) != 1:
        found = " and ".join(given) or "no secret"
        raise document.wrong(where, found, f"one of {', '.join(_SECRET_MEMBERS)}")
    member, value = given[0], table[given[0]]
    where = f"{where}: {member}"
    if not isinstance(value, str):
        raise document.wrong(where, _kind(value), "a text in quotes")
    if member == "secret-sha256":
        if not _SHA256.fullmatch(value):
            expected = "the 64 hexadecimal digits of a SHA-256 (see `kvstore token create`)"
            raise document.wrong(where, f"a text of {len(value)} characters", expected)
        return bytes.fromhex(value)
    if member == "secret-file":
        value = _read(document, where, value, read_secret)
    if not is_secret(value):
        raise document.wrong(where, f"a secret of {len(value)} characters", _A_SECRET)
    return digest_of(value)


def _read(document: Document, where: str, name: str, read_secret: ReadSecret) -> str:
    try:
        return read_secret(name).strip()
    except UnicodeDecodeError as error:
        raise document.wrong(where, f"no text in {name}", _A_SECRET) from error
    except (OSError, ValueError) as error:  # a name with a NUL in it is a ValueError
        reason = getattr(error, "strerror", None) or str(error)
        raise document.wrong(where, f"{name}: {reason}", "a file that can be read") from error


def _rules(document: Document, where: str, table: Mapping[str, Any]) -> Rules:
    """Return the rules of a token's or a rule set's own table."""
    keys = _key_rules(document, where, table, "key")
    if b"" in keys:
        raise document.wrong(f"{where}: key", '""', 'a key, or key-prefix "" for every key')
    scopes = {
        scope: _level(document, f"{where}: {scope}", table[scope], _SCOPE_LEVELS)
        for scope in SCOPES
        if scope in table
    }
    return Rules(keys, _key_rules(document, where, table, "key-prefix"), scopes)


def _key_rules(
    document: Document, where: str, table: Mapping[str, Any], member: str
) -> dict[bytes, Level]:
    where = f"{where}: {member}"
    levels = document.table(where, table.get(member, {}), 'rules such as "docker/" = "write"')
    return {
        name.encode(): _level(document, f"{where} {_show(name)}", value, _KEY_LEVELS)
        for name, value in levels.items()
    }


def _level(document: Document, where: str, value: object, levels: Mapping[str, Level]) -> Level:
    if not isinstance(value, str) or value not in levels:
        raise document.wrong(where, _show(value), _one_of(value, list(levels)))
    return levels[value]


def _require_name(document: Document, where: str, name: str) -> None:
    if not is_name(name):
        expected = "a name of up to 64 letters, digits, dots, dashes and underscores"
        raise document.wrong(where, "such a name", expected)


def remarks(tokens: Iterable[Token]) -> list[str]:
    """Say what is allowed and probably not meant."""
    return [
        f'token "{token.name}": the rule about {_show(name.decode())} begins with "/": '
        "no key of /v1/kv does"
        for token in tokens
        for name in (*token.rules.keys, *token.rules.prefixes)
        if name.startswith(b"/")
    ]


def render_token(token: Token, *, alone: bool) -> str:
    """Return a token as TOML: `alone` as a file of its own in a folder, else as a part of a file.

    It must have a digest, and no shared rule sets: which rules came from those is not known.
    """
    assert token.digest is not None
    assert not token.shares
    name = f'"{token.name}"' if "." in token.name else token.name
    heading = "" if alone else f"token.{name}"
    lines = [f"[{heading}]"] if heading else []
    lines.append(f'secret-sha256 = "{token.digest.hex()}"')
    rules = token.rules
    lines += [f'{scope} = "{level.name.lower()}"' for scope, level in rules.scopes.items()]
    prefix = f"{heading}." if heading else ""
    for member, levels in (("key", rules.keys), ("key-prefix", rules.prefixes)):
        if levels:
            lines += ["", f"[{prefix}{member}]"]
            lines += [f'{_quote(n.decode())} = "{v.name.lower()}"' for n, v in levels.items()]
    return "\n".join([*lines, ""])


def _quote(text: str) -> str:
    """Return a text as TOML's basic string: JSON's, but that TOML escapes DEL as well."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007F")


def _one_of(value: object, known: Sequence[str]) -> str:
    """Return what was to be chosen from, with what was probably meant."""
    near = difflib.get_close_matches(str(value), known, n=1)
    hint = f"; did you mean {near[0]}?" if near else ""
    return f"{', '.join(known[:-1])} or {known[-1]}{hint}" if known[1:] else f"{known[0]}{hint}"


def _kind(value: object) -> str:
    """Return what a value is, for a sentence that must not say which."""
    kinds = {bool: "true or false", int: "a number", float: "a number", str: "a text"}
    return kinds.get(type(value), "a list" if isinstance(value, list) else "something else")


def _show(value: object) -> str:
    """Return a value as a sentence shows it, cut to what fits."""
    text = _quote(value) if isinstance(value, str) else repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."  # noqa: PLR2004 - as said
