"""Fixtures of the HTTP floor: calls to a router, and the lanes on a loopback port."""

from collections.abc import AsyncIterator

import pytest

from .calls import Calls, calling
from .wire import Served, serving


@pytest.fixture
async def calls() -> AsyncIterator[Calls]:
    """Give calls to a router over an empty store; the store is verified at the end."""
    async with calling() as calls:
        yield calls


@pytest.fixture(params=["fast", "aiohttp"])
def fast(request: pytest.FixtureRequest) -> bool:
    """Have connections come to the fast lane first, and then straight to aiohttp's."""
    return bool(request.param == "fast")


@pytest.fixture
async def served(fast: bool) -> AsyncIterator[Served]:  # noqa: FBT001 - a fixture
    """Give an empty store behind the lanes; nothing may be parked at the end."""
    async with serving(fast=fast) as served:
        yield served
