"""`/v1/agent/monitor`: the lines of this server's log as they are written, as `consul monitor`."""

import logging
from collections.abc import AsyncGenerator

from kvstore.api.exchange import Answer, Refused, Request, Routes, Streaming
from kvstore.api.permission import grants_of, require
from kvstore.api.responses import empty, text
from kvstore.logs import LogFormat, follow_log

__all__ = ["FOLLOWERS_MAX", "MonitorEndpoints"]

# Each costs the server a little for every line that it writes.
FOLLOWERS_MAX = 16

# Source: hclog, LevelFromString. Nothing of ours is finer than debug.
_LEVELS = {
    "": logging.INFO,
    "trace": logging.DEBUG,
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warn": logging.WARNING,
    "err": logging.ERROR,
    "error": logging.ERROR,
}


class MonitorEndpoints:
    """The one endpoint of the log."""

    def __init__(self) -> None:
        self._followers_count = 0

    def routes(self) -> Routes:
        """Return the one route."""
        return {b"/v1/agent/monitor": {"GET": self.monitor}}

    def monitor(self, request: Request) -> Answer:
        """Stream the log at a level (`loglevel`), as text or as JSON (`logjson`) (O3)."""
        grants = grants_of(request)
        require(grants.agent_read(), grants, "agent:read")
        asked = request.query.get("loglevel")
        level = _LEVELS.get(asked.lower())
        if level is None:
            return text(400, f"Bad request: Unknown log level: {asked}")
        if self._followers_count >= FOLLOWERS_MAX:
            return text(503, f"{FOLLOWERS_MAX} clients follow the log already: end one of them")
        log_format: LogFormat = "json" if "logjson" in request.query else "text"
        return Streaming(empty(200).headers, self._pieces(request, log_format, level))

    async def _pieces(
        self, request: Request, log_format: LogFormat, level: int
    ) -> AsyncGenerator[bytes, None]:
        """Yield lines until the sender may not read them any more: tokens can be read again."""
        lines = follow_log(log_format, level)
        self._followers_count += 1
        try:
            async for line in lines:
                if not _may_read(request):
                    return
                yield f"{line}\n".encode("utf-8", "surrogateescape")
        finally:
            self._followers_count -= 1
            await lines.aclose()


def _may_read(request: Request) -> bool:
    """Return whether the sender may read the log now."""
    try:
        return grants_of(request).agent_read()
    except Refused:
        return False
