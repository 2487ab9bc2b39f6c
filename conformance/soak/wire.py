"""One engine's HTTP, as Go's client sends it: keep-alive, gzip, raw targets.

Every answer is timed, and an answer that must not be is told to the meter before it is raised.
Bodies stay as they came until somebody reads them: most of a real engine's reads are listings
whose content a simulated one has no use for.

Source: spec/docker-cluster-store.md, sections 1.2 and 1.7.
"""

import asyncio
import zlib
from collections.abc import Collection
from dataclasses import dataclass
from time import monotonic
from typing import Any

import aiohttp
from yarl import URL

from conformance.overlay.kv import Entry, entries
from conformance.soak.errors import Broken
from conformance.soak.meter import Kind, Meter

OK = 200
NOT_FOUND = 404

# libkv has no time limit at all; a store that takes this long has lost the request.
_ANSWER_S = 30.0
# What Go's http.DefaultTransport keeps: two idle connections to a host, for 90 s.
_IDLE_S = 90.0
_IDLE_MAX = 2
_GZIP_WINDOW_BITS = 16 + zlib.MAX_WBITS
_HEADERS = {"User-Agent": "Go-http-client/1.1", "Accept-Encoding": "gzip"}


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer with an expected status; `index` is X-Consul-Index, 0 when there is none."""

    status: int
    index: int
    wire_body: bytes
    gzipped: bool

    @property
    def body(self) -> bytes:
        """The body, decompressed."""
        if self.gzipped:
            return zlib.decompress(self.wire_body, _GZIP_WINDOW_BITS)
        return self.wire_body

    @property
    def true(self) -> bool:
        """Whether the store did as asked: libkv looks for these four letters."""
        return b"true" in self.body

    def entries(self) -> list[Entry]:
        """Return the entries of a read; none of a 404."""
        return [] if self.status == NOT_FOUND else entries(self.body)


class _GoConnector(aiohttp.TCPConnector):
    """A pool that keeps as few idle connections as Go's, which aiohttp has no setting for.

    aiohttp's own keeps them all and uses them in turn, so that none is ever idle for long: the
    connections of an engine would only become more, and the store's memory with them.
    """

    def _release(self, key: Any, protocol: Any, *, should_close: bool = False) -> None:
        full = len(self._conns.get(key, ())) >= _IDLE_MAX
        super()._release(key, protocol, should_close=should_close or full)


class Wire:
    """The connections of one engine to the store at `url` (http://HOST:PORT).

    Made inside a running event loop; `close` ends its connections.
    """

    def __init__(self, url: str, meter: Meter) -> None:
        self._url = url
        self._meter = meter
        self._session = aiohttp.ClientSession(
            connector=_GoConnector(limit=0, keepalive_timeout=_IDLE_S),
            headers=_HEADERS,
            skip_auto_headers=("Accept", "Content-Type"),
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None),
        )

    async def ask(
        self,
        kind: Kind,
        method: str,
        target: str,
        body: bytes | None = None,
        *,
        expect: Collection[int] = (OK,),
        within_s: float = _ANSWER_S,
    ) -> Answer:
        """Send one request and return its answer.

        Raises Broken when there is none within `within_s`, or one with another status.
        Cancelled, it closes the connection, as an engine does that dies.
        """
        started = monotonic()
        try:
            async with (
                asyncio.timeout(within_s),
                self._session.request(
                    method, URL(self._url + target, encoded=True), data=body
                ) as response,
            ):
                wire_body = await response.read()
        except TimeoutError:
            raise self.fault("no answer", f"{method} {target} within {within_s:g} s") from None
        except (aiohttp.ClientError, OSError) as error:
            raise self.fault("connection", f"{method} {target}: {error!r}") from error
        self._meter.took(kind, monotonic() - started)
        answer = Answer(
            status=response.status,
            index=int(response.headers.get("X-Consul-Index") or 0),
            wire_body=wire_body,
            gzipped=response.headers.get("Content-Encoding") == "gzip",
        )
        if answer.status not in expect:
            wanted = " or ".join(map(str, expect))
            said = answer.body[:200].decode(errors="replace").strip()
            raise self.fault(
                "status", f"{method} {target} answered {answer.status} ({said}), expected {wanted}"
            )
        return answer

    def fault(self, what: str, example: str) -> Broken:
        """Tell the meter of a fault and return the error to raise."""
        self._meter.fault(what, example)
        return Broken(example)

    async def close(self) -> None:
        """End all connections at once, parked requests included."""
        await self._session.close()
