"""What is counted and timed of clients: bytes received, answers not read, patience."""

import asyncio

import pytest
from fake_clock import FakeClock, settle

from kvstore.api.limits import DEFAULT_LIMITS, Answers, Patience, Received


def test_bounds_of_memory_and_of_time_are_set_together() -> None:
    """One size for both directions; reading an answer may take five times as long."""
    limits = DEFAULT_LIMITS.changed(buffers_bytes=1000, patience_s=2)
    assert (limits.received_bytes, limits.answers_bytes) == (1000, 1000)
    assert (limits.head_s, limits.body_s, limits.answer_s) == (2, 2, 10)
    assert (limits.head_bytes, limits.rate_bytes) == (
        DEFAULT_LIMITS.head_bytes,
        DEFAULT_LIMITS.rate_bytes,
    )


def test_bytes_are_taken_up_to_the_limit() -> None:
    """What would go beyond it is not counted."""
    received = Received(10)
    assert received.take(10)
    assert not received.take(1)
    assert received.bytes == 10
    received.give_back(4)
    assert received.take(4)


def test_answers_are_counted_as_long_as_they_are_held() -> None:
    """Also when the block ends with an error; one may go beyond the limit, the next may not."""
    answers = Answers(10)
    with answers.held(25):
        assert (answers.bytes, answers.is_full) == (25, True)
    assert (answers.bytes, answers.is_full) == (0, False)
    with pytest.raises(ConnectionError), answers.held(25):
        raise ConnectionError
    assert (answers.bytes, answers.is_full) == (0, False)


async def test_those_who_wait_for_room_are_woken_in_order() -> None:
    """Each only while there is room for it."""
    answers = Answers(10)
    order: list[int] = []

    async def answer(number: int) -> None:
        await answers.room()
        order.append(number)
        with answers.held(10):
            await gates[number].wait()

    gates = [asyncio.Event() for _ in range(3)]
    with answers.held(10):
        tasks = [asyncio.create_task(answer(number)) for number in range(3)]
        await settle()
        assert order == []
    for number, gate in enumerate(gates):
        await settle()
        assert order == list(range(number + 1))
        gate.set()
    await asyncio.gather(*tasks)
    assert answers.bytes == 0


async def test_a_cancelled_wait_for_room_passes_it_on() -> None:
    """Nobody behind it is left waiting."""
    answers = Answers(10)
    with answers.held(10):
        first, second = (asyncio.create_task(answers.room()) for _ in range(2))
        await settle()
    first.cancel()
    await settle()
    assert second.done()
    assert first.cancelled()


def test_patience_ends_when_the_time_is_up(clock: FakeClock) -> None:
    """And asks once more, since what has come may have earned it more time."""
    ended: list[float] = []
    allowed_s = [10.0]
    Patience(clock, lambda: allowed_s[0], lambda: ended.append(clock.monotonic()))
    began = clock.monotonic()
    allowed_s[0] = 15.0
    clock.advance(10)
    assert not ended
    clock.advance(5)
    assert ended == [began + 15]
    assert clock.pending_count == 0


def test_patience_that_is_cancelled_never_ends(clock: FakeClock) -> None:
    """A second time without effect."""
    patience = Patience(clock, lambda: 10, lambda: pytest.fail("it ended"))
    patience.cancel()
    patience.cancel()
    clock.advance(100)
    assert clock.pending_count == 0


@pytest.fixture
def clock() -> FakeClock:
    """Give a clock that the test moves."""
    return FakeClock()
