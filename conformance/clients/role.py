"""A program that lives beside others for a while: it can be stopped for a time, and killed."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from conformance.clients.golock import LOCK_FLAGS
from conformance.clients.line import DEFAULT_WAIT_S, WAIT_S, Line, Trouble
from conformance.clients.speaker import Entry
from conformance.suite.case import Store

LOCK_RETRY_S = 5.0
"""How long Go's client sleeps under lock-delay before it tries again."""


class Role:
    """One program: its tasks, their connections, and what went wrong for it. In an event loop."""

    def __init__(self, store: Store, name: str, *, calm: bool = True) -> None:
        self.name = name
        # What the program would have logged as an error.
        self.troubles: list[str] = []
        # How often it was refused a key that nobody held: under lock-delay.
        self.delayed = 0
        # When it renewed its session last, by the loop's clock.
        self.renewed_at = 0.0
        self._store = store
        self._calm = calm
        self._tasks: list[asyncio.Task[Any]] = []
        self._lines: list[Line] = []
        self._going = asyncio.Event()
        self._going.set()

    def check(self) -> None:
        """Raise what a task of it has raised."""
        for task in self._tasks:
            if task.done() and not task.cancelled():
                task.result()

    def freeze(self) -> None:
        """Stop as by SIGSTOP: it sends nothing and reads nothing, and its connections stay."""
        self._going.clear()

    def thaw(self) -> None:
        """Go on as by SIGCONT."""
        self._going.set()

    async def kill(self) -> None:
        """End it as by SIGKILL: its connections end, and it says nothing to the store."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for line in self._lines:
            line.close()

    # --- for what it does ---------------------------------------------------------------------

    def line(self) -> Line:
        """Return a connection of its own."""
        line = Line(self._store, self._going, calm=self._calm)
        self._lines.append(line)
        return line

    def begin(self, what: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        """Do something beside the rest."""
        task = asyncio.create_task(what)
        self._tasks.append(task)
        return task

    async def pause(self, seconds: float) -> None:
        """Sleep."""
        await asyncio.sleep(seconds)
        await self._going.wait()

    async def look(
        self, line: Line, target: str, index: int, query: str = ""
    ) -> tuple[int, list[Entry]]:
        """Ask once as all watches of libkv do: after an index, wait for a change.

        `query` stands beside the wait.
        """
        after = f"index={index}&" if index else ""
        wait_s = WAIT_S if index else 0.0
        return await line.poll(f"{target}?{after}{query}wait=15000ms", index, wait_s)

    async def lock(self, line: Line, key: str, session: str, value: bytes = b"") -> None:
        """Wait until the session holds the key, as api.Lock does. Raises Trouble."""
        index = 0
        while True:
            holder, index = await self._holder(line, key, index)
            if holder == session:
                return
            if holder:
                continue
            if await line.true(f"{key}?acquire={session}&flags={LOCK_FLAGS}", value):
                return
            holder, index = await self._holder(line, key, 0)
            if not holder:
                index = 0
                self.delayed += 1
                await self.pause(LOCK_RETRY_S)

    async def monitor(self, line: Line, key: str, session: str) -> None:
        """Return when the session no longer holds the key, or nobody can tell."""
        try:
            index, found = await line.read(f"{key}?consistent=")
            while found and found[0].session == session:
                target = f"{key}?consistent=&index={index}"
                index, found = await line.poll(target, index, DEFAULT_WAIT_S)
        except Trouble as trouble:
            self.troubles.append(str(trouble))

    async def _holder(self, line: Line, key: str, index: int) -> tuple[str, int]:
        """Return who holds a lock, and the index; wait for a change first after an index."""
        now, found = await self.look(line, key, index)
        if found and found[0].flags != LOCK_FLAGS:
            raise Trouble(f"{key}: existing key does not match lock use: {found[0]}")
        return (found[0].session if found else ""), now
