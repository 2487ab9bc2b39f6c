"""The tokens of one server: from a secret to what its holder may do. Pure.

Only the SHA-256 of a secret is kept. A fast hash without a salt is right here and would be wrong
for passwords: a secret is long and drawn at random (`kvstore token create`: 256 bits), so that
there is nothing to guess and no table to look it up in, and one hash of what a client sends is
enough to know whose it is, however many tokens there are.
"""

import hashlib
import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from kvstore.access.grants import Grants
from kvstore.access.ruled import RuledGrants
from kvstore.access.rules import NO_RULES, Level, Rules

__all__ = [
    "ANONYMOUS",
    "SECRET_CHARS_MIN",
    "Token",
    "TokenSet",
    "TokenTable",
    "Tokens",
    "digest_of",
    "is_secret",
]

# The token of a request without one; Consul's takes this word as its secret too.
ANONYMOUS = "anonymous"

SECRET_CHARS_MIN = 16
_SECRET_CHARS_MAX = 256
# What passes through a query, a header and a bearer unchanged.
_SECRET = re.compile(rf"[!-~]{{{SECRET_CHARS_MIN},{_SECRET_CHARS_MAX}}}")


class Tokens(Protocol):
    """What the server knows of tokens; replaced as a whole when its source is read again."""

    def grants_of(self, secret: str, /) -> Grants | None:
        """Return what a secret allows, None when no token has it; "" is the anonymous token."""
        ...


def digest_of(secret: str) -> bytes:
    """Return what is kept of a secret: its SHA-256."""
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).digest()


def is_secret(text: str) -> bool:
    """Return whether a text may be a secret: 16 to 256 visible ASCII characters, no spaces."""
    return _SECRET.fullmatch(text) is not None


@dataclass(frozen=True, slots=True)
class Token:
    """A name, the digest of a secret, and rules; it shows neither secret nor digest."""

    name: str
    # The anonymous token has none.
    digest: bytes | None = field(repr=False)
    # Of all its rule sets together.
    rules: Rules
    # Names of the shared rule sets among them.
    shares: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class TokenSet:
    """All that a file or a folder says of tokens; no two have the same name or digest."""

    tokens: Sequence[Token]
    # What is allowed where no rule says anything: WRITE or DENY.
    default: Level = Level.DENY
    # Whether listing under a prefix needs LIST there.
    lists_need_list: bool = False

    def grants(self, token: Token) -> Grants:
        """Return what one of the tokens allows."""
        return RuledGrants(
            token.name, token.rules, self.default, lists_need_list=self.lists_need_list
        )

    def find(self, secret: str) -> Token | None:
        """Return the token that has this secret, None without one. O(n): for people, not requests.

        "" and "anonymous" are the anonymous token, whether it is configured or not.
        """
        if secret in ("", ANONYMOUS):
            named = (token for token in self.tokens if token.name == ANONYMOUS)
            return next(named, Token(ANONYMOUS, None, NO_RULES))
        digest = digest_of(secret)
        return next((token for token in self.tokens if token.digest == digest), None)


class TokenTable:
    """From a secret to its grants in one step, whatever the number of tokens.

    `key` is drawn anew for each table. The digest of what a client sends is looked up by a keyed
    digest of itself, so that the time of the search tells nothing about a digest that is kept, and
    what was found is compared in constant time.
    """

    def __init__(self, tokens: TokenSet, key: bytes) -> None:
        self._key = key
        anonymous = tokens.find("")
        assert anonymous is not None  # it is always there
        self._anonymous = tokens.grants(anonymous)
        self._by_tag = {
            self._tag(token.digest): (token.digest, tokens.grants(token))
            for token in tokens.tokens
            if token.digest is not None
        }

    def grants_of(self, secret: str) -> Grants | None:
        """Return what a secret allows, None when no token has it; "" is the anonymous token."""
        if secret in ("", ANONYMOUS):
            return self._anonymous
        if len(secret) > _SECRET_CHARS_MAX:  # nobody's, and not worth a hash
            return None
        digest = digest_of(secret)
        found = self._by_tag.get(self._tag(digest))
        if found is None or not hmac.compare_digest(found[0], digest):
            return None
        return found[1]

    def _tag(self, digest: bytes) -> bytes:
        return hashlib.blake2b(digest, key=self._key, digest_size=16).digest()
