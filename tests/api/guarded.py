"""A router that asks for tokens, and tokens to ask it with."""

from kvstore.access.grants import Grants
from kvstore.access.rules import Level, Rules
from kvstore.access.tokens import Token, Tokens, TokenSet, TokenTable, digest_of
from kvstore.api.exchange import Answer, Response
from kvstore.api.router import Router

from .calls import Calls, endpoints

__all__ = ["RULES", "Changing", "Guarded", "secret", "table"]

DENY, READ, LIST, WRITE = Level.DENY, Level.READ, Level.LIST, Level.WRITE

RULES = {
    "reader": Rules(prefixes={b"ro/": READ, b"ls/": LIST}, scopes={"session": READ}),
    "engine": Rules(prefixes={b"docker/": WRITE}, scopes={"session": WRITE}),
    "narrow": Rules(
        keys={b"n/secret": DENY, b"n/ro/x": WRITE}, prefixes={b"n/": WRITE, b"n/ro/": READ}
    ),
    "agent": Rules(scopes={"agent": READ}),
    "operator": Rules(scopes={"operator": WRITE}),
    "all": Rules(prefixes={b"": WRITE}, scopes={"session": WRITE}),
    "powerless": Rules(),
}


def secret(name: str) -> str:
    """Return the secret of a token; "" is that of none, and other names have one that is wrong."""
    return f"the-secret-of-{name}" if name else ""


def table(
    rules: dict[str, Rules] = RULES, default: Level = DENY, *, lists_need_list: bool = False
) -> Tokens:
    """Return tokens by name."""
    tokens = [Token(name, digest_of(secret(name)), rules[name]) for name in rules]
    return TokenTable(TokenSet(tokens, default, lists_need_list), b"key")


class Changing:
    """Tokens that can be replaced, as a source that is read again."""

    def __init__(self) -> None:
        self.table = table()

    def grants_of(self, secret: str) -> Grants | None:
        """Ask what is in force now."""
        return self.table.grants_of(secret)


class Guarded:
    """Calls to a store with access control; each names the token that it is made with."""

    def __init__(self, calls: Calls, tokens: Tokens) -> None:
        self._calls = Calls(calls.engine, Router(*endpoints(calls.engine), tokens=tokens))

    def dispatch(self, token: str, method: str, target: str) -> Answer:
        """Return the answer to a request's head with a token's secret; "" sends none."""
        named = {"X_Consul_Token": secret(token)} if token else {}
        return self._calls.dispatch(method, target, **named)

    async def __call__(self, token: str, method: str, target: str, body: bytes = b"") -> Response:
        """Return the response to a request."""
        return await self._calls.finish(self.dispatch(token, method, target), body)

    async def status(self, token: str, method: str, target: str, body: bytes = b"") -> int:
        """Return the status alone."""
        return (await self(token, method, target, body)).status
