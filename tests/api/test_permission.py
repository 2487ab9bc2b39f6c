"""Whose token a request has, and what becomes of a read when tokens change while it waits."""
# ruff: noqa: N802 - test names begin with the ids of the contract, as they are written there

from typing import Any

import pytest
from multidict import CIMultiDict

from kvstore.access.grants import EVERYTHING
from kvstore.access.rules import Level, Rules
from kvstore.api.exchange import Refused, Request, Waiting
from kvstore.api.permission import PERMISSION_DENIED, grants_of, require
from kvstore.api.responses import NOT_LOOKED
from kvstore.api.router import Router
from kvstore.state.applied import Read

from .calls import Calls, endpoints, head, read_query
from .guarded import RULES, Changing, secret, table


def request(query: str = "", **headers: str) -> Request:
    """Return a request to a server with tokens; names of headers have "_" for "-"."""
    named = CIMultiDict({name.replace("_", "-"): value for name, value in headers.items()})
    return Request(b"k", read_query(query), named, table())


READER, ENGINE = secret("reader"), secret("engine")
WRONG = "no-secret-of-any-token"


@pytest.mark.parametrize(
    ("asked", "name"),
    [
        (request(), "anonymous"),
        (request(f"token={READER}"), "reader"),
        (request(X_Consul_Token=READER), "reader"),
        (request(x_consul_token=READER), "reader"),
        (request(Authorization=f"Bearer {READER}"), "reader"),
        (request(Authorization=f"bEARer   {READER} and more"), "reader"),
        (request(Authorization=f"Bearer \t{READER}"), "reader"),
        (request(Authorization=f"Basic {READER}"), "anonymous"),
        (request(Authorization="Bearer"), "anonymous"),
        (request(Authorization=READER), "anonymous"),
        (request(f"token={READER}&token={WRONG}"), "reader"),
        (request(f"token={READER}", X_Consul_Token=WRONG), "reader"),
        (request("token=", X_Consul_Token=READER), "reader"),
        (request("token", X_Consul_Token=READER), "reader"),
        (request("", X_Consul_Token="", Authorization=f"Bearer {READER}"), "reader"),
        (request("", X_Consul_Token=READER, Authorization=f"Bearer {WRONG}"), "reader"),
        (request(f"token={ENGINE}", Authorization=f"Bearer {READER}"), "engine"),
        (request("token=anonymous"), "anonymous"),
    ],
)
def test_A1_where_a_token_is_looked_for(asked: Request, name: str) -> None:
    """Query, header, bearer, in this order; what is empty is not given."""
    assert grants_of(asked).name == name


@pytest.mark.parametrize(
    "asked",
    [
        request(f"token={WRONG}"),
        request(f"token={WRONG}", X_Consul_Token=READER),
        request(X_Consul_Token=WRONG, Authorization=f"Bearer {READER}"),
        request(Authorization=f"Bearer {WRONG}"),
        request(f"token={READER.upper()}"),
        request("token=%ff"),
    ],
)
def test_A2_a_token_that_does_not_exist(asked: Request) -> None:
    """It is refused, and no other one is tried; the headers are those that were asked for."""
    with pytest.raises(Refused) as caught:
        grants_of(asked, NOT_LOOKED)
    response = caught.value.response
    assert (response.status, response.body) == (403, b"ACL not found")
    assert head(response)["X-Consul-Index"] == "1"


def test_A1_without_access_control_any_token_will_do() -> None:
    """Everybody may do everything, and no token is looked at."""
    assert grants_of(Request(b"k", read_query(f"token={WRONG}"), {})) is EVERYTHING


def test_a_right_that_is_there_and_one_that_is_not() -> None:
    """`require` is silent, or ends the request."""
    require(True, EVERYTHING, "key:read", b"k")
    with pytest.raises(Refused) as caught:
        require(False, EVERYTHING, "key:read", b"k")
    assert caught.value.response is PERMISSION_DENIED
    assert (PERMISSION_DENIED.status, PERMISSION_DENIED.body) == (403, b"Permission denied")


def test_nothing_secret_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """At the lowest level there is the token's name and the right, never the secret."""
    caplog.set_level("DEBUG")
    with pytest.raises(Refused):
        grants_of(request(f"token={WRONG}"))
    with pytest.raises(Refused):
        require(False, grants_of(request(f"token={READER}")), "key:write", b"k")
    assert 'token "reader" lacks key:write' in caplog.text
    assert WRONG not in caplog.text
    assert READER not in caplog.text


LESS = RULES | {"reader": Rules(prefixes={b"ro/a": Level.READ})}
NONE = {name: rules for name, rules in RULES.items() if name != "reader"}


@pytest.mark.parametrize(
    ("after", "status", "body"),
    [
        (RULES, 200, b'["ro/a","ro/b"]'),
        (LESS, 200, b'["ro/a"]'),
        (NONE, 403, b"ACL not found"),
    ],
)
async def test_tokens_that_change_while_a_query_waits(
    calls: Calls, after: dict[str, Rules], status: int, body: bytes
) -> None:
    """The answer is what the token allows when it is given, also when it was taken away."""
    await calls.put("ro/a")
    tokens = Changing()
    guarded = Calls(calls.engine, Router(*endpoints(calls.engine), tokens=tokens))
    index = head(await calls("GET", "/v1/kv/ro/a"))["X-Consul-Index"]
    waiting = guarded.dispatch("GET", f"/v1/kv/ro/?keys&index={index}", X_Consul_Token=READER)
    assert isinstance(waiting, Waiting)
    reads: list[Read[Any]] = []
    waiting.parked.on_done(reads.append)
    tokens.table = table(after)
    await calls.put("ro/b")
    response = waiting.render(reads.pop())
    assert (response.status, response.body) == (status, body)


async def test_a_query_waits_on_under_the_same_tokens(calls: Calls) -> None:
    """Its answer is that of the parked read, not of another one."""
    await calls.put("ro/a")
    guarded = Calls(calls.engine, Router(*endpoints(calls.engine), tokens=table()))
    index = head(await calls("GET", "/v1/kv/ro/a"))["X-Consul-Index"]
    waiting = guarded.dispatch("GET", f"/v1/kv/ro/a?index={index}", X_Consul_Token=READER)
    assert isinstance(waiting, Waiting)
    reads: list[Read[Any]] = []
    waiting.parked.on_done(reads.append)
    await calls("DELETE", "/v1/kv/ro/a")
    response = waiting.render(reads.pop())
    assert response.status == 404
    assert int(head(response)["X-Consul-Index"]) > int(index)
