"""The journal's thread: what waits for the disk happens here, beside the event loop.

Does what `loop.run_in_executor` does for an executor of one thread, in two thirds of its time:
a call is handed over, and its end told, by a counter of the kernel's (eventfd) each, without locks,
a second future and a wake-up socket. It is one hand-over for each batch, so a lone writer feels it.
"""

import asyncio
import os
import sys
import threading
import weakref
from collections import deque
from collections.abc import Callable
from typing import Any, TypeVar

from kvstore.errors import InvariantBroken

__all__ = ["JournalThread"]

T = TypeVar("T")

# One more, as the kernel's counter takes it. Not by os.eventfd_read and _write: a signal that
# happens to reach this thread ends those with an error, and goes unnoticed by os.read and os.write.
_ONE = (1).to_bytes(8, sys.byteorder)


class _Call:
    """A call on its way there and back."""

    __slots__ = ("error", "function", "future", "result")

    def __init__(self, function: Callable[[], Any], future: asyncio.Future[Any]) -> None:
        self.function = function
        self.future = future
        self.result: Any = None
        self.error: BaseException | None = None

    def make(self) -> None:
        try:
            self.result = self.function()
        except BaseException as error:  # noqa: BLE001 - it is raised where it is waited for
            self.error = error

    def tell(self) -> None:
        if self.future.done():  # cancelled: nobody wants to know
            return
        if self.error is None:
            self.future.set_result(self.result)
        else:
            self.future.set_exception(self.error)


class _Shared:
    """What both sides hold: the calls on their way, and a counter of them each way.

    The counters are closed by `close`, or when neither side is there any more.
    """

    def __init__(self) -> None:
        # None asks the thread to end.
        self.wanted: deque[_Call | None] = deque()
        self.made: deque[_Call] = deque()
        self._is_open = False
        self.wanted_fd = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_SEMAPHORE)
        self.made_fd = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._is_open = True

    def want(self, call: _Call | None) -> None:
        self.wanted.append(call)
        os.write(self.wanted_fd, _ONE)

    def end(self) -> None:
        """Ask the thread to end, unless it has."""
        if self._is_open:
            self.want(None)

    def close(self) -> None:
        if self._is_open:
            self._is_open = False
            os.close(self.wanted_fd)
            os.close(self.made_fd)

    __del__ = close


class JournalThread:
    """Makes calls one after the other, in the order they came; begins with the first one.

    All of them come from one event loop. Its descriptors are there from the beginning, so that a
    server that has run out of them can still write. Raises OSError when there are none.
    """

    def __init__(self) -> None:
        self._shared = _Shared()
        # Set by the first call.
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._closed = False

    async def run(self, function: Callable[[], T]) -> T:
        """Return what `function` returns, or raise what it raises, on the thread.

        Cancelling it means not to hear of the outcome; the call is made.
        """
        if self._closed:
            raise InvariantBroken("the journal's thread is given work after its end")
        loop = asyncio.get_running_loop()
        if self._thread is None:
            self._start(loop)
        future: asyncio.Future[T] = loop.create_future()
        self._shared.want(_Call(function, future))
        return await future

    def _start(self, loop: asyncio.AbstractEventLoop) -> None:
        # The thread knows nothing of this object, so that a journal that nobody closed can be
        # forgotten, which ends the thread.
        self._thread = threading.Thread(
            target=_work, args=(self._shared,), name="journal", daemon=True
        )
        self._thread.start()
        weakref.finalize(self, self._shared.end)
        self._loop = loop
        loop.add_reader(self._shared.made_fd, self._tell)

    def _tell(self) -> None:
        os.read(self._shared.made_fd, len(_ONE))
        self._tell_all()

    def _tell_all(self) -> None:
        made = self._shared.made
        while made:
            made.popleft().tell()

    def close(self) -> None:
        """End the thread when all calls are made; a second call does nothing."""
        if self._closed:
            return
        self._closed = True
        if self._loop is not None and self._thread is not None:
            self._loop.remove_reader(self._shared.made_fd)
            self._shared.end()
            self._thread.join()
            self._tell_all()
        self._shared.close()


def _work(shared: _Shared) -> None:
    while True:
        os.read(shared.wanted_fd, len(_ONE))
        call = shared.wanted.popleft()
        if call is None:
            return
        call.make()
        shared.made.append(call)
        del call  # what it belongs to can be forgotten
        os.write(shared.made_fd, _ONE)
