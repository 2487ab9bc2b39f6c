"""The journal's thread: calls in order beside the loop, their outcomes, and its end."""

import asyncio
import gc
import os
import resource
import signal
import threading
from functools import partial
from pathlib import Path

import pytest

from kvstore.errors import InvariantBroken
from kvstore.journal.thread import JournalThread


def journal_threads() -> list[threading.Thread]:
    """Return the threads of journals that are alive."""
    return [one for one in threading.enumerate() if one.name == "journal"]


def descriptors() -> set[Path]:
    """Return the open files of this process, with the one it takes to look."""
    return set(Path("/proc/self/fd").iterdir())


async def test_call_is_made_beside_the_loop() -> None:
    """Its result comes back, and the loop goes on meanwhile."""
    thread, gate = JournalThread(), threading.Event()

    def call() -> str:
        gate.wait()
        return threading.current_thread().name

    called = asyncio.create_task(thread.run(call))
    await asyncio.sleep(0)
    assert not called.done()
    gate.set()
    assert await called == "journal"
    thread.close()


async def test_calls_are_made_in_order() -> None:
    """One at a time, also when many wait."""
    thread = JournalThread()
    made = list[int]()
    await asyncio.gather(*[thread.run(partial(made.append, number)) for number in range(50)])
    assert made == list(range(50))
    thread.close()


async def test_what_a_call_raises_is_raised_where_it_is_waited_for() -> None:
    """And the thread goes on with the next."""
    thread = JournalThread()

    def fail() -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left on device"):
        await thread.run(fail)
    assert await thread.run(lambda: 1) == 1
    thread.close()


async def test_cancelled_call_is_made() -> None:
    """Whoever waited does not hear of it, and nobody else is disturbed."""
    thread, gate = JournalThread(), threading.Event()
    made = list[int]()
    first = asyncio.create_task(thread.run(gate.wait))
    second = asyncio.create_task(thread.run(lambda: made.append(2)))
    await asyncio.sleep(0)
    first.cancel()
    second.cancel()
    gate.set()
    assert await thread.run(lambda: list(made)) == [2]
    assert first.cancelled()
    assert second.cancelled()
    thread.close()


async def test_close_waits_for_calls_and_tells_of_them() -> None:
    """Nothing is left undone, and nobody waits for ever; then the thread is gone."""
    thread, before = JournalThread(), len(journal_threads())
    made = list[int]()
    calls = [asyncio.create_task(thread.run(lambda: made.append(1))) for _ in range(3)]
    await asyncio.sleep(0)
    thread.close()
    assert made == [1, 1, 1]
    assert len(journal_threads()) == before
    await asyncio.gather(*calls)
    thread.close()


async def test_closed_thread_takes_no_call() -> None:
    """It would never be made; a thread that was not begun can be closed too."""
    thread = JournalThread()
    thread.close()
    with pytest.raises(InvariantBroken, match="after its end"):
        await thread.run(journal_threads)


async def test_server_out_of_descriptors_can_write() -> None:
    """The first call needs none that was not there before."""
    thread = JournalThread()
    lowest_fd = os.dup(0)
    os.close(lowest_fd)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest_fd, hard))
    try:
        with pytest.raises(OSError, match="Too many open files"):
            os.dup(0)
        assert await thread.run(lambda: 1) == 1
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        thread.close()


def test_descriptors_are_given_back() -> None:
    """By a close, and by a thread that was never begun and is forgotten."""
    before = descriptors()
    closed = JournalThread()
    closed.close()
    forgotten = JournalThread()
    assert len(descriptors() - before) == 2
    del forgotten
    assert descriptors() <= before


def test_thread_that_is_forgotten_ends() -> None:
    """A journal that nobody closed keeps neither its thread nor its descriptors."""
    before = set(journal_threads())
    held = list[JournalThread]()

    async def leave() -> None:
        thread = JournalThread()
        assert await thread.run(lambda: thread) is thread
        held.append(thread)

    asyncio.run(leave())
    (left,) = set(journal_threads()) - before
    held.clear()
    gc.collect()
    left.join(timeout=60)
    assert not left.is_alive()


async def test_a_signal_that_reaches_the_thread() -> None:
    """It is the main thread's to handle: the journal's goes on waiting for work."""
    thread, seen = JournalThread(), list[int]()
    before = signal.signal(signal.SIGUSR1, lambda number, _frame: seen.append(number))
    try:
        ident = await thread.run(threading.get_ident)
        for count in range(1, 20):
            signal.pthread_kill(ident, signal.SIGUSR1)
            async with asyncio.timeout(10):
                assert await thread.run(threading.get_ident) == ident
            assert seen == [signal.SIGUSR1] * count
    finally:
        signal.signal(signal.SIGUSR1, before)
        thread.close()
