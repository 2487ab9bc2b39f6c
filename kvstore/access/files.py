"""Tokens in files: read, read again, and one more written. The only door of this floor.

A source is a TOML file, or a folder in which each file is one token, as secrets are mounted.
"""

import errno
import logging
import os
import secrets
import stat
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from kvstore.access.document import (
    COMMON_MEMBERS,
    Common,
    Document,
    is_name,
    parse_common,
    parse_file,
    parse_token,
    remarks,
    render_token,
)
from kvstore.access.grants import Grants
from kvstore.access.rules import Level
from kvstore.access.tokens import Token, TokenSet, TokenTable
from kvstore.durable import new_file
from kvstore.errors import TokensUnusable

__all__ = ["SETTINGS_NAME", "Loaded", "TokenSource", "add_token", "load_tokens", "save"]

log = logging.getLogger(__name__)

# The one file of a folder that is no token: what a TOML file has beside its tokens.
SETTINGS_NAME = "_settings.toml"

_KEY_BYTES = 32


@dataclass(frozen=True, slots=True)
class Loaded:
    """What was read, and what the operator should know of it."""

    tokens: TokenSet
    warnings: Sequence[str]


def load_tokens(path: Path) -> Loaded:
    """Read a file or a folder; raises TokensUnusable for the first mistake."""
    try:
        loaded = _load_folder(path) if path.is_dir() else _load_file(path)
    except OSError as error:
        where, reason = Path(error.filename or path), error.strerror or str(error)
        expected = "a file or folder that can be read"
        raise TokensUnusable(where, "", f"an error: {reason}", expected) from error
    _require_distinct(path, loaded.tokens.tokens)
    return replace(loaded, warnings=[*loaded.warnings, *remarks(loaded.tokens.tokens)])


class TokenSource:
    """The tokens of a file or folder, as they were when it was last read without a mistake.

    Raises TokensUnusable when it cannot be read at first.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._table = self._read()

    def grants_of(self, secret: str) -> Grants | None:
        """Return what a secret allows, None when no token has it; "" is the anonymous token."""
        return self._table.grants_of(secret)

    def reload(self) -> None:
        """Read all of it again; raises TokensUnusable, and then the old tokens stay in force."""
        self._table = self._read()

    def _read(self) -> TokenTable:
        loaded = load_tokens(self._path)
        for warning in loaded.warnings:
            log.warning("tokens: %s", warning)
        log.info(
            "tokens from %s: %d; what no rule is about is %s",
            self._path,
            len(loaded.tokens.tokens),
            "denied" if loaded.tokens.default is Level.DENY else "allowed",
        )
        return TokenTable(loaded.tokens, secrets.token_bytes(_KEY_BYTES))


def _load_file(path: Path) -> Loaded:
    reader = _Reader()
    document = reader.document(path)
    tokens = parse_file(document, reader.secret_reader(path))
    if any("secret" in table for table in document.members.get("token", {}).values()):
        reader.warn_if_open(path)
    return Loaded(tokens, reader.warnings)


def _load_folder(folder: Path) -> Loaded:
    reader = _Reader()
    # Hidden names are no tokens: Kubernetes mounts "..data", editors leave ".x.swp".
    paths = sorted(path for path in folder.iterdir() if path.name[0] != "." and not path.is_dir())
    common = Common(Level.DENY, lists_need_list=False, shared={})
    settings = folder / SETTINGS_NAME
    if settings in paths:
        document = reader.document(settings)
        document.require_known("", document.members, COMMON_MEMBERS)
        common = parse_common(document)
        paths.remove(settings)
    tokens = []
    for path in paths:
        name = path.stem
        if not is_name(name):
            expected = f"files named like tokens, and {SETTINGS_NAME}"
            raise TokensUnusable(folder, "", f"a file {path.name}", expected)
        document = reader.document(path)
        secret_reader = reader.secret_reader(path)
        tokens.append(parse_token(document, name, document.members, common, secret_reader))
        if "secret" in document.members:
            reader.warn_if_open(path)
    return Loaded(TokenSet(tokens, common.default, common.lists_need_list), reader.warnings)


class _Reader:
    """Reads the files of one source and collects what to warn of."""

    def __init__(self) -> None:
        self.warnings: list[str] = []

    def document(self, path: Path) -> Document:
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError as error:
            raise TokensUnusable(path, "", "bytes that are no UTF-8", "TOML, which is") from error
        try:
            return Document(path, tomllib.loads(text))
        except (tomllib.TOMLDecodeError, RecursionError) as error:
            raise TokensUnusable(
                path, "", f"no TOML: {error}", "what docs/access.md has"
            ) from error

    def secret_reader(self, path: Path) -> "_SecretReader":
        return _SecretReader(self, path.parent)

    def warn_if_open(self, path: Path) -> None:
        """Warn of a file with a secret that everybody on this machine can read."""
        mode = path.stat().st_mode
        if mode & stat.S_IROTH:
            self.warnings.append(
                f"{path} holds a secret and everybody can read it (mode {stat.S_IMODE(mode):o}): "
                f"chmod o-rwx {path}"
            )


class _SecretReader:
    """Reads the files that `secret-file` names, relative to the folder of the file that does."""

    def __init__(self, reader: _Reader, folder: Path) -> None:
        self._reader = reader
        self._folder = folder

    def __call__(self, name: str) -> str:
        path = self._folder / name
        text = path.read_text(encoding="utf-8")
        self._reader.warn_if_open(path)
        return text


def _require_distinct(path: Path, tokens: Sequence[Token]) -> None:
    """Raise TokensUnusable for two tokens of one name (in a folder) or of one secret."""
    names: set[str] = set()
    digests: dict[bytes, str] = {}
    for token in tokens:
        if token.name in names:
            where = f'token "{token.name}"'
            raise TokensUnusable(path, where, "two files of this name", "one file for each token")
        names.add(token.name)
        if token.digest is None:
            continue
        if token.digest in digests:
            where = f'token "{token.name}"'
            found = f'the secret of token "{digests[token.digest]}"'
            raise TokensUnusable(path, where, found, "a secret of its own")
        digests[token.digest] = token.name


def add_token(path: Path, token: Token) -> Path:
    """Add a token to a file, which is made if it is not there, or to a folder.

    Returns the file that was written. Raises TokensUnusable for what is wrong there already,
    FileExistsError when there is a token of this name, and OSError.
    """
    if path.exists() and any(one.name == token.name for one in load_tokens(path).tokens.tokens):
        raise FileExistsError(errno.EEXIST, f'there is a token "{token.name}"', str(path))
    if path.is_dir():
        path = path / f"{token.name}.toml"
        save(path, render_token(token, alone=True))
        return path
    before = path.read_text(encoding="utf-8").rstrip() if path.exists() else ""
    after = (f"{before}\n\n" if before else "") + render_token(token, alone=False)
    try:
        tomllib.loads(after)
    except tomllib.TOMLDecodeError as error:
        expected = "tokens as tables: [token.NAME]"
        raise TokensUnusable(path, "", "tokens that none can be added to", expected) from error
    save(path, after)
    return path


def save(path: Path, text: str) -> None:
    """Write a file whole, synced, under its name or not at all.

    A new file has mode 0600. One that is replaced keeps its owner and mode, so that whoever could
    read it still can; a symbolic link stays one. Raises OSError.
    """
    path = path.resolve()
    with new_file(path, replace=True) as file:
        if path.exists():
            old = path.stat()
            os.fchmod(file.fileno(), stat.S_IMODE(old.st_mode))
            if (old.st_uid, old.st_gid) != (os.geteuid(), os.getegid()):
                os.fchown(file.fileno(), old.st_uid, old.st_gid)
        file.write(text.encode())
