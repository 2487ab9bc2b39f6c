"""Fixtures of the HTTP floor: calls to a router, and a lane on a loopback port."""

from collections.abc import AsyncIterator

import pytest

from .calls import Calls, calling
from .wire import Served, serving


@pytest.fixture
async def calls() -> AsyncIterator[Calls]:
    """Give calls to a router over an empty store; the store is verified at the end."""
    async with calling() as calls:
        yield calls


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    """Give an empty store behind the aiohttp lane; nothing may be parked at the end."""
    async with serving() as served:
        yield served
