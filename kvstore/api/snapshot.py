"""`/v1/snapshot`: the whole store as an archive that `consul snapshot` reads and writes.

Both ways take time in the size of the store, so the work is done in a thread, on values that
nobody changes. A restore is one write among others (rule restore-is-a-write).
"""

import asyncio
import io
import logging
from functools import partial
from typing import TYPE_CHECKING

from kvstore.api.exchange import Answer, NeedBody, Request, Response, Routes, Working
from kvstore.api.params import check_datacenter
from kvstore.api.permission import grants_of, require
from kvstore.api.responses import archive, empty, index_headers, text, too_large
from kvstore.clock import Clock
from kvstore.engine.engine import Engine
from kvstore.errors import ArchiveUnreadable
from kvstore.state.command import RestoreStore
from kvstore.state.image import Image

if TYPE_CHECKING:
    from kvstore.archive.archive import Archive

__all__ = ["ARCHIVE_BYTES_MAX", "SnapshotEndpoints"]

log = logging.getLogger(__name__)

# What is restored through the API is in memory as a whole, several times: as a body, as entries
# and as one record of the journal.
ARCHIVE_BYTES_MAX = 64 * 1024 * 1024
_ADVICE = " Stop the server and use `kvstore restore` on its data folder."
_too_large = partial(too_large, max_bytes=ARCHIVE_BYTES_MAX, advice=_ADVICE)
_STATE_BYTES_MAX = 512 * 1024 * 1024
_RECORDS_MAX = 2_000_000


class SnapshotEndpoints:
    """The two methods of `/v1/snapshot`."""

    def __init__(self, engine: Engine, datacenter: str, clock: Clock) -> None:
        self._engine = engine
        self._datacenter = datacenter
        self._clock = clock

    def routes(self) -> Routes:
        """Return the one route, whose methods these are."""
        return {b"/v1/snapshot": {"GET": self.save, "PUT": self.restore}}

    def save(self, request: Request) -> Answer:
        """Answer the store as it is now, as an archive.

        As in Consul every other parameter of a read is taken for granted: this one never waits and
        is always consistent. Its entries are read in a thread while others are written.
        """
        self._require_operator(request)
        image = self._engine.state.image()
        return Working(asyncio.create_task(self._save(image, self._clock.wall_ms())))

    def _require_operator(self, request: Request) -> None:
        """Raise Refused unless the sender may have, and replace, the whole store."""
        check_datacenter(request, self._datacenter)
        grants = grants_of(request)
        require(grants.operator_write(), grants, "operator:write")

    async def _save(self, image: Image, made_ms: int) -> Response:
        index = image.facts.last_index
        try:
            body = await asyncio.to_thread(_encode, image, made_ms)
        except OSError as error:
            log.error("no archive at index %d: %s", index, error)  # noqa: TRY400 - no bug of ours
            return text(500, f"failed to create snapshot file: {error}")
        log.info("archive of the store at index %d: %d bytes", index, len(body))
        return archive(body, index_headers(index))

    def restore(self, request: Request) -> Answer:
        """Make the store's content that of an archive, in one write."""
        self._require_operator(request)
        if "stale" in request.query:
            return text(500, "stale not allowed for restore")
        return NeedBody(
            ARCHIVE_BYTES_MAX,
            _too_large,
            lambda body: Working(asyncio.create_task(self._restore(body))),
        )

    async def _restore(self, body: bytes) -> Response:
        """Decode and write; cancelled while it decodes, it writes nothing."""
        try:
            read = await asyncio.to_thread(_decode, body)
        except ArchiveUnreadable as unreadable:
            log.warning("nothing was restored: %s", unreadable)
            return text(500, unreadable.reason)
        except OSError as error:
            log.error("nothing was restored: %s", error)  # noqa: TRY400 - no bug of ours
            return text(500, f"failed to create temp snapshot file: {error}")
        image = read.image
        command = RestoreStore(tuple(image.sessions), tuple(image.entries))
        applied = await self._engine.submit(command)
        log.info(
            "restored an archive of index %d as index %d: %d keys, %d sessions; left out: %s",
            image.facts.last_index,
            applied.index,
            len(command.entries),
            len(command.sessions),
            ", ".join(f"{kind}: {count}" for kind, count in read.left_out.items()) or "nothing",
        )
        return empty(200)


def _encode(image: Image, made_ms: int) -> bytes:
    from kvstore.archive.archive import write_archive  # noqa: PLC0415 - seldom needed, as below

    file = io.BytesIO()
    write_archive(image, file, made_ms=made_ms)
    return file.getvalue()


def _decode(body: bytes) -> "Archive":
    from kvstore.archive.archive import read_archive  # noqa: PLC0415

    return read_archive(
        io.BytesIO(body), state_bytes_max=_STATE_BYTES_MAX, records_max=_RECORDS_MAX
    )
