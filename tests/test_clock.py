"""The two clocks, held to the same cases: the machine's and the one that tests move."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from functools import partial

import pytest
from fake_clock import FakeClock, settle

from kvstore.clock import Clock, SystemClock

# Lets time pass until an event is set: the fake's by moving it, the machine's by itself.
Await = Callable[[asyncio.Event], Awaitable[None]]

# Short, since the machine's clock really waits for it.
TICK_S = 0.005


@pytest.fixture(params=["fake", "system"])
async def ticking(request: pytest.FixtureRequest) -> tuple[Clock, Await]:
    """Give a clock and the way to wait for one of its timers."""
    if request.param == "system":

        async def wait(event: asyncio.Event) -> None:
            await asyncio.wait_for(event.wait(), 10)

        return SystemClock(), wait
    clock = FakeClock()

    async def advance(event: asyncio.Event) -> None:
        clock.advance(10 * TICK_S)
        assert event.is_set()

    return clock, advance


async def test_callback_runs_once_and_not_before_its_deadline(ticking: tuple[Clock, Await]) -> None:
    """A timer fires when the clock has reached its deadline, and never again."""
    clock, until = ticking
    seen: list[float] = []
    first, later = asyncio.Event(), asyncio.Event()
    deadline = clock.monotonic() + TICK_S

    def ring() -> None:
        seen.append(clock.monotonic())
        first.set()

    clock.call_at(deadline, ring)
    await until(first)
    clock.call_at(clock.monotonic() + TICK_S, later.set)
    await until(later)
    assert len(seen) == 1
    assert seen[0] >= deadline


async def test_callbacks_run_in_the_order_of_their_deadlines(
    ticking: tuple[Clock, Await],
) -> None:
    """The order in which timers were made does not matter."""
    clock, until = ticking
    now = clock.monotonic()
    order: list[int] = []
    done = asyncio.Event()
    clock.call_at(now + 3 * TICK_S, done.set)
    clock.call_at(now + 2 * TICK_S, lambda: order.append(2))
    clock.call_at(now + TICK_S, lambda: order.append(1))
    await until(done)
    assert order == [1, 2]


async def test_cancelled_callback_never_runs(ticking: tuple[Clock, Await]) -> None:
    """Cancelling takes effect before the deadline, and harms nothing after it."""
    clock, until = ticking
    now = clock.monotonic()
    ran: list[str] = []
    done = asyncio.Event()
    clock.call_at(now + TICK_S, lambda: ran.append("cancelled")).cancel()
    last = clock.call_at(now + 2 * TICK_S, done.set)
    await until(done)
    last.cancel()
    assert not ran


async def test_deadline_in_the_past_is_due_at_once(ticking: tuple[Clock, Await]) -> None:
    """A timer for an instant that has passed fires at the next chance."""
    clock, until = ticking
    done = asyncio.Event()
    clock.call_at(clock.monotonic() - 1, done.set)
    await until(done)


async def test_callback_can_set_the_next_timer(ticking: tuple[Clock, Await]) -> None:
    """A chain of timers runs to its end."""
    clock, until = ticking
    done = asyncio.Event()
    start = clock.monotonic()

    def chain() -> None:
        clock.call_at(start + 2 * TICK_S, done.set)

    clock.call_at(start + TICK_S, chain)
    await until(done)
    assert clock.monotonic() >= start + 2 * TICK_S


async def test_time_of_day_goes_with_the_seconds(ticking: tuple[Clock, Await]) -> None:
    """The time of day is in milliseconds and moves on with the monotonic time."""
    clock, until = ticking
    done = asyncio.Event()
    before = clock.wall_ms()
    clock.call_at(clock.monotonic() + TICK_S, done.set)
    await until(done)
    assert before + 4 <= clock.wall_ms() < before + 60_000


async def test_system_clock_tells_the_time_of_day() -> None:
    """It is the machine's."""
    assert abs(SystemClock().wall_ms() - time.time() * 1000) < 60_000


def test_fake_time_stands_at_each_deadline() -> None:
    """A callback sees the instant it was set for, and time ends where it was told to."""
    clock = FakeClock(start_s=100)
    seen: list[float] = []
    for after in (3.0, 1.0, 2.5):
        clock.call_at(100 + after, lambda: seen.append(clock.monotonic()))
    clock.advance(2.5)
    assert seen == [101, 102.5]
    assert clock.monotonic() == 102.5
    assert clock.pending_count == 1
    clock.advance(1.5)
    assert seen == [101, 102.5, 103]
    assert clock.monotonic() == 104
    assert clock.pending_count == 0


def test_fake_timers_of_one_deadline_run_in_the_order_they_were_made() -> None:
    """Equal deadlines keep their order, and a cancelled one among them is left out."""
    clock = FakeClock()
    order: list[int] = []
    deadline = clock.monotonic() + 1
    timers = [clock.call_at(deadline, partial(order.append, number)) for number in range(4)]
    timers[2].cancel()
    assert clock.pending_count == 3
    clock.advance(1)
    assert order == [0, 1, 3]


async def test_settle_lets_a_chain_of_tasks_come_to_rest() -> None:
    """Ten tasks that wake one another are all done; one that waits for the test still waits."""
    links = [asyncio.Event() for _ in range(11)]

    async def pass_on(number: int) -> None:
        await links[number].wait()
        links[number + 1].set()

    tasks = [asyncio.create_task(pass_on(number)) for number in range(10)]
    waiting = asyncio.create_task(asyncio.Event().wait())
    links[0].set()
    await settle()
    assert all(task.done() for task in tasks)
    assert not waiting.done()
    waiting.cancel()
