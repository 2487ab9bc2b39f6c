"""The log over the API, by dispatch: what the lane sends is read here from the pieces."""
# ruff: noqa: N802 - test names begin with the ids of the contract, as they are written there

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from kvstore.access.rules import Rules
from kvstore.api.exchange import Streaming
from kvstore.api.monitor import FOLLOWERS_MAX

from .calls import Calls
from .guarded import RULES, Changing, Guarded, table

log = logging.getLogger("kvstore.test")


@asynccontextmanager
async def monitoring(calls: Calls, query: str = "") -> AsyncIterator[asyncio.Queue[bytes]]:
    """Follow the log from within the block on; the pieces come out of a queue."""
    answer = calls.dispatch("GET", f"/v1/agent/monitor{query}")
    assert isinstance(answer, Streaming)
    pieces: asyncio.Queue[bytes] = asyncio.Queue()

    async def take() -> None:
        async for piece in answer.pieces:
            pieces.put_nowait(piece)

    taking = asyncio.create_task(take())
    await asyncio.sleep(0)  # until it follows
    try:
        yield pieces
    finally:
        taking.cancel()
        await asyncio.wait([taking])
        await answer.pieces.aclose()


async def test_O3_lines_as_they_are_written(calls: Calls) -> None:
    """One line a piece, from the level that was asked for on; without one, from info."""
    async with monitoring(calls) as pieces:
        log.debug("not this")
        log.info("a %s", "line")
        log.error("another\nwith two")
        assert (await pieces.get()).endswith(b" INFO a line\n")
        assert (await pieces.get()).endswith(b" ERROR another\nwith two\n")
        assert pieces.empty()


@pytest.mark.parametrize(
    ("level", "shown"),
    [
        ("trace", ["debug", "info", "warning", "error"]),
        ("DEBUG", ["debug", "info", "warning", "error"]),
        ("warn", ["warning", "error"]),
        ("err", ["error"]),
        ("error", ["error"]),
        ("", ["info", "warning", "error"]),
    ],
)
async def test_O3_levels_and_json(calls: Calls, level: str, shown: list[str]) -> None:
    """Consul's names of levels; each line is an object if `logjson` is there."""
    async with monitoring(calls, f"?loglevel={level}&logjson") as pieces:
        for name in ("debug", "info", "warning", "error"):
            log.log(logging.getLevelNamesMapping()[name.upper()], "x")
        log.critical("end")
        lines = [json.loads(await pieces.get()) for _ in range(len(shown) + 1)]
        assert [line["level"] for line in lines] == [*shown, "critical"]


@pytest.mark.parametrize("level", ["bogus", "warning", "off", "%20info"])
async def test_O3_a_level_that_is_none(calls: Calls, level: str) -> None:
    """In Consul's words."""
    response = await calls("GET", f"/v1/agent/monitor?loglevel={level}")
    assert (response.status, response.body) == (
        400,
        f"Bad request: Unknown log level: {level.replace('%20', ' ')}".encode(),
    )


async def test_headers(calls: Calls) -> None:
    """As in Consul without a Content-Type; what was never begun needs no end."""
    answer = calls.dispatch("GET", "/v1/agent/monitor")
    assert isinstance(answer, Streaming)
    assert answer.headers == b"Vary: Accept-Encoding\r\n"
    await answer.pieces.aclose()


async def test_nothing_is_left_behind(calls: Calls) -> None:
    """Neither a handler nor the level that somebody asked for."""
    root = logging.getLogger()
    before = root.level, root.handlers[:]
    async with monitoring(calls, "?loglevel=debug"):
        assert root.level == logging.DEBUG
        assert len(root.handlers) == len(before[1]) + 1
    assert (root.level, root.handlers) == before


async def test_not_too_many_follow(calls: Calls) -> None:
    """Each costs the server a little; when one ends there is room for another."""
    answers = [calls.dispatch("GET", "/v1/agent/monitor") for _ in range(FOLLOWERS_MAX)]
    taking = []
    for answer in answers:
        assert isinstance(answer, Streaming)
        taking.append(asyncio.ensure_future(anext(answer.pieces)))
    await asyncio.sleep(0)
    refused = await calls("GET", "/v1/agent/monitor")
    assert (refused.status, b"end one of them" in refused.body) == (503, True)
    log.warning("x")
    await asyncio.gather(*taking)
    for answer in answers:
        assert isinstance(answer, Streaming)
        await answer.pieces.aclose()
    assert isinstance(calls.dispatch("GET", "/v1/agent/monitor"), Streaming)


async def test_the_log_is_not_for_everybody(calls: Calls) -> None:
    """It needs the right to read the agent, which is asked for before the level is looked at."""
    guarded = Guarded(calls, table())
    assert await guarded.status("powerless", "GET", "/v1/agent/monitor?loglevel=bogus") == 403
    assert isinstance(guarded.dispatch("agent", "GET", "/v1/agent/monitor"), Streaming)


@pytest.mark.parametrize(
    "rules",
    [
        {name: RULES[name] for name in RULES if name != "agent"},
        {**RULES, "agent": Rules()},
    ],
    ids=["gone", "without the right"],
)
async def test_a_token_that_loses_its_right(calls: Calls, rules: dict[str, Rules]) -> None:
    """The stream ends before the next line; one whose token is as good as before goes on."""
    tokens = Changing()
    answer = Guarded(calls, tokens).dispatch("agent", "GET", "/v1/agent/monitor")
    assert isinstance(answer, Streaming)
    followers_before = logging.getLogger().handlers[:]
    line = asyncio.ensure_future(anext(answer.pieces))
    await asyncio.sleep(0)  # until it follows
    log.info("before")
    tokens.table = table()  # read again, and nothing has changed
    assert (await line).endswith(b" INFO before\n")
    log.info("not for them")
    tokens.table = table(rules)
    assert [piece async for piece in answer.pieces] == []
    assert logging.getLogger().handlers == followers_before
