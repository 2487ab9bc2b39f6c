"""One connection of the fast lane, as long as its client sends ordinary requests."""

import asyncio
import logging
import socket
from typing import TYPE_CHECKING, Any, cast

from kvstore.api.exchange import NeedBody, Response, Waiting, Writing
from kvstore.api.gzip import GZIP_BYTES_MIN
from kvstore.api.limits import LARGE_BYTES, READ_AHEAD_BYTES
from kvstore.api.ordinary import Ordinary
from kvstore.api.outgoing import encode_head, packed, packed_aside, send_pieces
from kvstore.api.refusals import guarded, refusal
from kvstore.api.responses import BUG, INTERNAL_ERROR, UNREAD
from kvstore.api.router import BAD_REQUEST
from kvstore.api.unfinished import Unfinished
from kvstore.errors import KVStoreError
from kvstore.state.applied import Applied, Read

if TYPE_CHECKING:
    from kvstore.api.fast import FastLane

__all__ = ["FastConnection"]

log = logging.getLogger(__name__)

# Requests up to this size are not counted: they take less than the rest of their connection does.
_SMALL_BYTES = 2048
_TAKEN = (Response, Writing, Waiting)
_ANSWERABLE = (Waiting, Response)

# What a connection waits for before it takes the next request: a write, a parked query, its answer
# that is about to be sent, the sending of an answer, or the loading of aiohttp's lane.
_UnderWay = Writing | Waiting | Response | asyncio.Task[None]


class FastConnection(asyncio.BufferedProtocol):
    """One client's connection, as long as it sends ordinary requests, one after the other."""

    __slots__ = (
        "_accepts_gzip",
        "_asked",
        "_behind",
        "_counted_bytes",
        "_is_last",
        "_is_new",
        "_lane",
        "_paused",
        "_taken",
        "_transport",
        "_under_way",
        "_unfinished",
    )

    def __init__(self, lane: "FastLane") -> None:
        self._lane = lane
        # None before the connection is made and once it has gone, or gone over.
        self._transport: asyncio.Transport | None = None
        # None while no request is under way.
        self._under_way: _UnderWay | None = None
        # Set while the rest of a request is waited for; none is under way then.
        self._unfinished: Unfinished | None = None
        # Whether the client of the request under way takes compressed answers.
        self._accepts_gzip = False
        # What the client has sent since.
        self._behind = b""
        # How much of `Terms.received` is this connection's.
        self._counted_bytes = 0
        # Whether no other request is taken: the client sends no more, or sent too much.
        self._is_last = False
        # Whether nothing was answered yet.
        self._is_new = True
        # Whether the client is slower than we are, and what is done when it has caught up.
        self._paused = False
        self._taken: asyncio.Future[None] | None = None
        # The request under way, if it is to be logged.
        self._asked: Ordinary | None = None

    # --- what asyncio calls -----------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast(asyncio.Transport, transport)
        # An idle connection is not given up here, so the system finds out when the peer is dead.
        self._transport.get_extra_info("socket").setsockopt(
            socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1
        )
        self._lane.joined(self)
        if self._lane.draining:  # it was accepted a moment before
            self._transport.close()

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 - asyncio's
        """Return what to read into: one for all connections, since nothing stays in it."""
        return self._lane.terms.buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Take what was read."""
        self.data_received(bytes(self._lane.terms.buffer[:nbytes]))

    def data_received(self, data: bytes) -> None:
        """Take bytes off the wire."""
        if self._under_way is not None:
            self._keep(data)
        elif self._unfinished is not None:
            self._go_on(self._unfinished, data)
        else:
            self._take(data)

    def _take(self, data: bytes) -> None:
        """Begin with what should be a request."""
        request = self._lane.recogniser.recognise(data)
        if request is None or not self._count(len(data)):
            self._wait_for_rest(data)
            return
        self._accepts_gzip = request.accepts_gzip
        if log.isEnabledFor(logging.DEBUG):
            self._asked = request
        try:
            answer = self._dispatch(request)
        except Exception:
            log.exception(BUG)
            answer = INTERNAL_ERROR
        if isinstance(answer, Response):
            if answer is BAD_REQUEST:
                self._hand_over(data)
            else:
                self._answer(answer)
            return
        self._under_way = answer
        if isinstance(answer, Writing):
            answer.outcome.add_done_callback(self._written)
        else:
            answer.parked.on_done(self._woken)
            if self._is_new and self._lane.settling:
                answer.parked.finish()

    def eof_received(self) -> bool:
        """Answer what is under way though the client sends no more; `nc -N` and others do that.

        But a query that is parked is given up: a client that is gone looks the same from here.
        """
        if self._unfinished is not None:
            self._is_last = True
            self._hand_over_unfinished()
            return True
        if self._under_way is None or isinstance(self._under_way, Waiting):
            return False
        self._is_last = True
        return True

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's
        """Forget the connection and all that was counted for it."""
        under_way, self._under_way = self._under_way, None
        if self._unfinished is not None:
            self._unfinished.end()
        self._leave()
        if isinstance(under_way, Waiting):
            under_way.parked.cancel()
        elif isinstance(under_way, asyncio.Task):
            under_way.cancel()

    def pause_writing(self) -> None:
        """Know that the client is slower than we are."""
        self._paused = True

    def resume_writing(self) -> None:
        """Know that the client has taken most of what was sent."""
        self._paused = False
        if self._taken is not None and not self._taken.done():
            self._taken.set_result(None)

    # --- what the lane calls ----------------------------------------------------------------

    def close_if_idle(self) -> None:
        """End the connection unless a request is under way; then it ends with its answer."""
        if self._unfinished is not None:
            self._hand_over_unfinished()
        elif self._under_way is None and self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """End the connection at once."""
        if self._transport is not None:
            self._transport.abort()

    def answer_woken(self) -> None:
        """Answer the query that was parked, unless the client has left."""
        under_way = self._under_way
        if not isinstance(under_way, _ANSWERABLE):
            return
        if self._lane.terms.answers.is_full:
            self._under_way = asyncio.ensure_future(self._answer_when_there_is_room(under_way))
        else:
            self._answer(_response(under_way))

    # --- requests -----------------------------------------------------------------------------

    def _dispatch(self, request: Ordinary) -> Response | Writing | Waiting:
        router = self._lane.router
        answer = router.dispatch(request.method, request.target, request.headers)
        if isinstance(answer, NeedBody):
            size_bytes = len(request.body)
            if size_bytes > answer.limit_bytes:
                return answer.too_large(size_bytes)
            answer = guarded(answer.then, request.body)
        assert isinstance(answer, _TAKEN), "ordinary requests have no other answers"
        return answer

    def _written(self, outcome: asyncio.Future[Applied]) -> None:
        writing = self._under_way
        if not isinstance(writing, Writing):
            outcome.cancelled() or outcome.exception()  # the client has left
            return
        try:
            response = writing.render(outcome.result())
        except KVStoreError as error:
            response = refusal(error)
        except Exception:
            log.exception(BUG)
            response = INTERNAL_ERROR
        self._answer(response)

    def _woken(self, read: Read[Any]) -> None:
        waiting = self._under_way
        assert isinstance(waiting, Waiting)
        if waiting.parked.ran_out:
            # An answer with the old index must not show what is written from now on.
            self._under_way = _rendered(waiting, read)
        self._lane.wake(self)

    async def _answer_when_there_is_room(self, under_way: Waiting | Response) -> None:
        await self._lane.terms.answers.room()
        self._answer(_response(under_way))

    def _keep(self, data: bytes) -> None:
        """Keep what comes behind a request that is under way."""
        assert self._transport is not None
        self._behind += data
        if not self._count(len(data)):
            self._behind = b""
            self._is_last = True
        if self._is_last or len(self._behind) > READ_AHEAD_BYTES:
            self._transport.pause_reading()

    def _wait_for_rest(self, data: bytes) -> None:
        """Wait for the rest of a body if that is all there is to wait for; else hand over."""
        terms, missing_bytes = self._lane.terms, self._lane.recogniser.missing_bytes(data)
        if Unfinished.is_worthwhile(missing_bytes) and self._hold(len(data)):
            give_up = self._hand_over_unfinished
            self._unfinished = Unfinished(data, missing_bytes, terms.clock, give_up)
        else:
            self._hand_over(data)

    def _go_on(self, unfinished: Unfinished, data: bytes) -> None:
        """Take a piece of a body that is waited for."""
        unfinished.add(data)
        if unfinished.is_whole:
            self._unfinished = None
            self._give_back()
            request, behind = unfinished.split()
            if behind:
                self._keep(behind)
            self._take(request)
        elif unfinished.is_in_too_many_pieces or not self._hold(len(data)):
            self._hand_over_unfinished()

    def _hand_over_unfinished(self) -> None:
        assert self._unfinished is not None
        unfinished, self._unfinished = self._unfinished, None
        self._hand_over(*unfinished.end())

    def _hand_over(self, *pieces: bytes) -> None:
        """Have aiohttp's lane go on with the connection, beginning with what has come."""
        transport, other = self._transport, self._lane.other
        assert transport is not None
        if other is None:
            transport.pause_reading()
            self._under_way = asyncio.ensure_future(self._hand_over_when_loaded(*pieces))
            return
        self._leave()
        connection = other()
        transport.set_protocol(connection)
        connection.connection_made(transport)
        if self._paused:
            connection.pause_writing()
        transport.resume_reading()
        for piece in (*pieces, self._behind):
            if piece:
                connection.data_received(piece)
        if self._is_last and not connection.eof_received():
            transport.close()

    async def _hand_over_when_loaded(self, *pieces: bytes) -> None:
        try:
            await self._lane.load_other()
        except Exception:
            log.exception(BUG)
            self.abort()
        else:
            self._hand_over(*pieces)

    def _leave(self) -> None:
        self._transport = None
        self._give_back()
        self._lane.left(self)

    def _count(self, size_bytes: int) -> bool:
        """Count a larger request, or what is behind one; False when there is too much of all."""
        if size_bytes <= _SMALL_BYTES and self._under_way is None:
            return True
        return self._hold(size_bytes)

    def _hold(self, size_bytes: int) -> bool:
        """Count what is kept; False when there is too much of all."""
        if not self._lane.terms.received.take(size_bytes):
            return False
        self._counted_bytes += size_bytes
        return True

    def _give_back(self) -> None:
        if self._counted_bytes:
            self._lane.terms.received.give_back(self._counted_bytes)
            self._counted_bytes = 0

    # --- answers ------------------------------------------------------------------------------

    def _answer(self, response: Response) -> None:
        """Answer the request that is under way, and take the next one when that is sent."""
        if self._asked is not None:
            # Without its query, which may hold a token.
            target, _, _ = self._asked.target.partition("?")
            log.debug("%s %s: %d", self._asked.method, target, response.status)
            self._asked = None
        size_bytes, answers = len(response.body), self._lane.terms.answers
        if size_bytes >= LARGE_BYTES:
            if not answers.is_full:
                self._send_large(response)
                return
            response = UNREAD
        elif size_bytes >= GZIP_BYTES_MIN and self._accepts_gzip and response.compressible:
            response = packed(response)
        self._send(response)
        if self._paused:
            self._under_way = asyncio.ensure_future(self._send_on())
        else:
            self._end_of_request()

    def _send_large(self, response: Response) -> None:
        """Send an answer that is counted, at once, until the client has taken it."""
        answers, size_bytes = self._lane.terms.answers, len(response.body)
        answers.take(size_bytes)
        sending = asyncio.ensure_future(self._send_packed(response))
        # Not in the task, which may be cancelled before it begins.
        sending.add_done_callback(lambda _: answers.give_back(size_bytes))
        self._under_way = sending

    async def _send_packed(self, response: Response) -> None:
        if self._accepts_gzip and response.compressible:
            response = await packed_aside(response)
        head = encode_head(response, is_old=False, keep_alive=self._keeps(response))
        await self._send_on(head, response.body)

    async def _send_on(self, head: bytes = b"", body: bytes = b"") -> None:
        assert self._transport is not None
        terms = self._lane.terms
        await send_pieces(head, body, self._transport, self._until_taken, terms)
        self._end_of_request()

    async def _until_taken(self) -> None:
        """Wait until the client has taken most of what was sent."""
        if self._paused:
            self._taken = asyncio.get_running_loop().create_future()
            await self._taken

    def _keeps(self, response: Response) -> bool:
        """Return whether the connection goes on after an answer."""
        at_end = self._is_last and not self._behind
        return not (response.close or at_end or self._lane.draining)

    def _send(self, response: Response) -> None:
        assert self._transport is not None
        keep_alive = self._keeps(response)
        self._transport.write(self._lane.encode(response, keep_alive=keep_alive))
        if not keep_alive:
            self._transport.close()

    def _end_of_request(self) -> None:
        self._under_way = None
        self._is_new = False
        self._give_back()
        behind, self._behind = self._behind, b""
        if self._transport is None or self._transport.is_closing():
            return
        if behind:
            self._hand_over(behind)
        elif self._is_last or self._lane.draining:
            # That was not known yet when the head of the answer was sent.
            self._transport.close()


def _response(under_way: Waiting | Response) -> Response:
    """Return what is answered to a query that was parked."""
    if isinstance(under_way, Response):
        return under_way
    return _rendered(under_way, under_way.parked.look())


def _rendered(waiting: Waiting, read: Read[Any]) -> Response:
    try:
        return waiting.render(read)
    except Exception:
        log.exception(BUG)
        return INTERNAL_ERROR
