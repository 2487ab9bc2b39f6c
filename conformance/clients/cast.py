"""Roles that act together in one event loop, and who waits for what becomes of them."""

import asyncio
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Self

from conformance.clients.line import TICK_S
from conformance.clients.role import Role
from conformance.suite.case import Failed


class Cast:
    """All roles of a case; used as a context, it kills them at its end, and looks at them first.

    With `calm`, no role may meet with an error: the store stays up.
    """

    def __init__(self, *, calm: bool = True) -> None:
        self.calm = calm
        self._roles: list[Role] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if error is None:
                self.check()
        finally:
            for role in self._roles:
                await role.kill()

    def add(self, *roles: Role) -> None:
        """Look after these."""
        self._roles.extend(roles)

    async def until(self, what: str, happened: Callable[[], bool], within_s: float) -> float:
        """Wait until something has happened; return after how many seconds it had.

        Raises Failed when it never does, with what each role last met with, or when a role fails
        meanwhile.
        """
        for seconds in self._ticks(within_s):
            if happened():
                return seconds
            await asyncio.sleep(TICK_S)
        met = [f"{one.name} met {one.troubles[-1]}" for one in self._roles if one.troubles]
        raise Failed(what, f"within {within_s:g} s", "; ".join(("not yet", *met)))

    async def keeps(self, what: str, so: Callable[[], bool], seconds: float) -> None:
        """Let that much time pass. Raises Failed when something is no longer so, as `until`."""
        for passed in self._ticks(seconds):
            if not so():
                raise Failed(what, f"for {seconds:.1f} s", f"no longer after {passed:.2f} s")
            await asyncio.sleep(TICK_S)

    def check(self) -> None:
        """Raise what a role has met with that it should not."""
        for role in self._roles:
            role.check()
            if self.calm and role.troubles:
                raise Failed(role.name, "no error", "; ".join(role.troubles))

    def _ticks(self, seconds: float) -> Iterator[float]:
        """Count the seconds from now to then, and look at all roles each time."""
        clock = asyncio.get_running_loop().time
        began_s = clock()
        while (passed := clock() - began_s) <= seconds:
            self.check()
            yield passed
