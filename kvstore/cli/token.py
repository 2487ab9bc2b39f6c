"""`kvstore token`: makes tokens, and looks at a file or folder of them without a server.

A secret is shown once, when it is made, and taken from standard input or the environment: what
stands in a command line everybody on the machine can read.
"""

import os
import secrets
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar

import click

from kvstore.access.document import is_name, render_token
from kvstore.access.files import Loaded, add_token, load_tokens
from kvstore.access.grants import Grants
from kvstore.access.rules import SCOPES, Level, Rules
from kvstore.access.tokens import ANONYMOUS, Token, TokenSet, digest_of
from kvstore.cli.exits import (
    EXIT_EXISTS,
    EXIT_FOLDER_UNUSABLE,
    EXIT_MAY_NOT,
    EXIT_TOKENS_UNUSABLE,
    give_up,
)
from kvstore.cli.output import print_json, print_table
from kvstore.errors import TokensUnusable

__all__ = ["token"]

F = TypeVar("F", bound=Callable[..., None])

# 256 bits: nobody guesses it, so that a plain SHA-256 of it can be kept.
_SECRET_BYTES = 32

# What there is to read and to write in each scope; with SCOPES in its order.
_SCOPE_HELP = {
    "session": "read sees sessions, write makes, renews and ends them.",
    "agent": "read sees the server's own description and figures.",
    "node": "read sees the node, its checks, and the members.",
    "service": "read sees services.",
    "event": "read sees events, write fires them.",
    "operator": "read sees how the server runs; write saves and restores the whole store, "
    "whatever other rules say, and compacts it.",
}

_LEVELS = [level.name.lower() for level in Level]
_SCOPE_LEVELS = [name for name in _LEVELS if name != "list"]


@click.group()
def token() -> None:
    """Make tokens for `kvstore serve --tokens`, and look at them.

    \b
    For Docker engines, on the keystore host:
      kvstore token create engine --key-prefix docker/=write --session write \\
        --file /etc/kvstore/tokens.toml
      kvstore serve --host 0.0.0.0 --tokens /etc/kvstore/tokens.toml
    and on each engine's host, in the environment of dockerd, the secret that was printed:
      CONSUL_HTTP_TOKEN=… dockerd --cluster-store=consul://HOST:8500 …
    """  # noqa: D301 - \\b is the character that tells click to leave the lines as they are


class _KeyRule(click.ParamType[tuple[bytes, Level]]):
    """A key or a prefix, and what is allowed: docker/=write."""

    name = "rule"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[bytes, Level]:
        """Return the key's bytes and the level."""
        if isinstance(value, tuple):  # converted before
            return value
        name, equals, level = str(value).rpartition("=")
        if not equals or level not in _LEVELS:
            expected = f"a name, =, and one of {', '.join(_LEVELS)}"
            self.fail(f"{value!r} is no rule; expected {expected}, as docker/=write", param, ctx)
        try:
            return name.encode(), Level[level.upper()]
        except UnicodeEncodeError:
            self.fail(f"{value!r} is not UTF-8, which a file of tokens is", param, ctx)


def _scope_options(command: F) -> F:
    """Add a flag for each scope."""
    for scope in reversed(SCOPES):
        levels = click.Choice(_SCOPE_LEVELS)
        command = click.option(f"--{scope}", type=levels, help=_SCOPE_HELP[scope])(command)
    return command


@token.command(
    epilog="Exit codes: 0 done, 2 wrong usage, 4 cannot be written, 11 exists already, "
    "13 tokens unusable."
)
@click.argument("name")
@click.option(
    "--key-prefix",
    type=_KeyRule(),
    multiple=True,
    metavar="PREFIX=LEVEL",
    help="A rule for all keys that begin so; level is deny, read, list or write. Any number.",
)
@click.option(
    "--key",
    type=_KeyRule(),
    multiple=True,
    metavar="KEY=LEVEL",
    help="A rule for this key alone, which beats that of any prefix. Any number.",
)
@_scope_options
@click.option(
    "--file",
    type=click.Path(path_type=Path),
    help="Add it to this TOML file (made, with mode 0600, if it is not there) or folder.",
)
def create(
    *,
    name: str,
    key_prefix: tuple[tuple[bytes, Level], ...],
    key: tuple[tuple[bytes, Level], ...],
    file: Path | None,
    **scopes: str | None,
) -> None:
    """Make a token: draw a secret and print it, this once, as the first line.

    Without --file the TOML to add to the server's tokens is printed too; it has only the secret's
    SHA-256. A running server takes it with SIGHUP.

    \b
      kvstore token create engine --key-prefix docker/=write --session write
      kvstore token create ci --key-prefix =read --file /etc/kvstore/tokens.toml
    """  # noqa: D301 - as above
    if not is_name(name) or name == ANONYMOUS:
        expected = f"up to 64 letters, digits, dots, dashes and underscores, not {ANONYMOUS}"
        raise click.BadParameter(f"{name!r} is no token's name; expected {expected}")
    levels = {scope: Level[level.upper()] for scope, level in scopes.items() if level is not None}
    secret = secrets.token_hex(_SECRET_BYTES)
    made = Token(name, digest_of(secret), Rules(dict(key), dict(key_prefix), levels))
    if file is None:
        click.echo(f"{secret}\n\n{render_token(made, alone=False)}", nl=False)
        click.echo(
            "The first line is the secret, and the only time it is shown. Add the rest to the "
            "file of `kvstore serve --tokens`, then send the server a SIGHUP.",
            err=True,
        )
        return
    try:
        written = add_token(file, made)
    except TokensUnusable as error:
        give_up(EXIT_TOKENS_UNUSABLE, f"{error}. Nothing was changed.")
    except FileExistsError as error:
        give_up(EXIT_EXISTS, f"{file}: {error.strerror}. Choose another name.")
    except OSError as error:
        give_up(EXIT_FOLDER_UNUSABLE, f"{file}: {error.strerror or error}. Nothing was changed.")
    click.echo(secret)
    click.echo(
        f"added to {written}; a running server takes it with SIGHUP. "
        "The secret above is not shown again.",
        err=True,
    )


@token.command(
    epilog="Exit codes: 0 sound, and allowed if that was asked, 2 wrong usage, 13 tokens "
    "unusable, 14 no token has this secret, or it may not do this."
)
@click.argument("path", type=click.Path(exists=True, path_type=Path))
@click.option(
    "--secret",
    "source",
    type=click.Choice(["-", "env"]),
    help="Show the token of one secret only: - reads it from standard input, env takes "
    "CONSUL_HTTP_TOKEN.",
)
@click.option("--key", help="Ask whether it may read this key; without --secret, whether all may.")
@click.option("--write", is_flag=True, help="With --key: whether it may write it.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def check(
    *, path: Path, source: Literal["-", "env"] | None, key: str | None, write: bool, as_json: bool
) -> None:
    """Tell whether a file or a folder of tokens is sound, and what each token may do.

    \b
      kvstore token check /etc/kvstore/tokens.toml
      CONSUL_HTTP_TOKEN=… kvstore token check tokens.toml --secret env --key docker/x --write
    """  # noqa: D301 - as above
    if write and key is None:
        raise click.UsageError("--write says what to ask about a key: name it with --key")
    secret = None if source is None else _read_secret(source)
    try:
        loaded = load_tokens(path)
    except TokensUnusable as error:
        if not as_json:
            give_up(EXIT_TOKENS_UNUSABLE, f"{error}.")
        print_json({"path": str(path), "sound": False, "mistake": str(error)})
        sys.exit(EXIT_TOKENS_UNUSABLE)
    asked = None if secret is None and key is None else _ask(loaded.tokens, secret, key, write)
    shown = loaded.tokens.tokens
    if secret is not None:
        found = loaded.tokens.find(secret)
        shown = [] if found is None else [found]
    if as_json:
        print_json(_as_json(path, loaded, shown, asked))
    else:
        _tell(path, loaded, shown, asked)
    if asked is not None and not asked["allowed"]:
        sys.exit(EXIT_MAY_NOT)


def _read_secret(source: Literal["-", "env"]) -> str:
    if source == "-":
        secret = sys.stdin.readline().strip()
    else:
        secret = os.environ.get("CONSUL_HTTP_TOKEN", "")
    if not secret:
        where = "standard input" if source == "-" else "CONSUL_HTTP_TOKEN"
        raise click.UsageError(f"there is no secret in {where}")
    return secret


def _ask(tokens: TokenSet, secret: str | None, key: str | None, write: bool) -> dict[str, Any]:  # noqa: FBT001 - as the flag is
    """Return who has a secret (None: a request without one), and whether it may do this."""
    found = tokens.find(secret or "")
    asked: dict[str, Any] = {"token": None if found is None else found.name}
    if key is not None:
        shown = os.fsencode(key).decode("utf-8", "replace")
        asked |= {"right": "write" if write else "read", "key": shown}
    return asked | {"allowed": found is not None and _allows(tokens.grants(found), key, write)}


def _allows(grants: Grants, key: str | None, write: bool) -> bool:  # noqa: FBT001 - as the flag is
    if key is None:
        return True
    name = os.fsencode(key)
    return grants.key_write(name) if write else grants.key_read(name)


def _tell(path: Path, loaded: Loaded, shown: Sequence[Token], asked: dict[str, Any] | None) -> None:
    for warning in loaded.warnings:
        click.echo(f"kvstore: {warning}", err=True)
    if shown:
        print_table(
            ["token", "rule", "about", "level"], [row for one in shown for row in _rows(one)]
        )
    count = len(loaded.tokens.tokens)
    default = "denied" if loaded.tokens.default is Level.DENY else "allowed"
    click.echo(f"{path} is sound: tokens: {count}; what no rule is about is {default}.")
    if asked is not None:
        click.echo(_verdict(asked))


def _rows(one: Token) -> Iterator[list[object]]:
    rules = one.rules
    rows = [("key", key.decode(), level) for key, level in rules.keys.items()]
    rows += [
        ("key-prefix", prefix.decode() or "(every key)", level)
        for prefix, level in rules.prefixes.items()
    ]
    rows += [(scope, "", level) for scope, level in rules.scopes.items()]
    for rule, about, level in rows:
        yield [one.name, rule, about, level.name.lower()]
    if not rows:
        yield [one.name, "no rules", "", ""]


def _verdict(asked: dict[str, Any]) -> str:
    if asked["token"] is None:
        return "No token has this secret."
    if "key" not in asked:
        return f'This is the secret of token "{asked["token"]}".'
    may = "may" if asked["allowed"] else "may not"
    return f'Token "{asked["token"]}" {may} {asked["right"]} "{asked["key"]}".'


def _as_json(
    path: Path, loaded: Loaded, shown: Sequence[Token], asked: dict[str, Any] | None
) -> dict[str, Any]:
    tokens = loaded.tokens
    return {
        "path": str(path),
        "sound": True,
        "default": "deny" if tokens.default is Level.DENY else "allow",
        "key_list_policy": tokens.lists_need_list,
        "warnings": list(loaded.warnings),
        "tokens": [_token_json(one) for one in shown],
        "asked": asked,
    }


def _token_json(one: Token) -> dict[str, Any]:
    rules = one.rules
    return {
        "name": one.name,
        "rule_sets": list(one.shares),
        "key": {name.decode(): level.name.lower() for name, level in rules.keys.items()},
        "key-prefix": {name.decode(): level.name.lower() for name, level in rules.prefixes.items()},
        **{scope: level.name.lower() for scope, level in rules.scopes.items()},
    }
