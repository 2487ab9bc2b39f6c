"""Parked queries, on a real server."""

import pytest
from running import Process

from benchmarks.errors import WrongAnswer
from benchmarks.watching import Group, Herd

KEY = "watching/one"


def seed(process: Process, key: str) -> None:
    """Write a first value."""
    assert process.call("PUT", f"/v1/kv/{key}", b"first").body.strip() == b"true"


@pytest.mark.slow
def test_all_that_wait_are_answered_with_what_was_written(shared_process: Process) -> None:
    """Again after they are sent again, and those of another key are left alone."""
    seed(shared_process, KEY)
    seed(shared_process, "watching/other")
    with Herd(shared_process.port) as herd:
        herd.park([Group(KEY, 5), Group("watching/other", 3)])
        for value in (b"second", b"third"):
            woken = herd.wake(KEY, value)
            assert woken.answered == 5
            assert 0 < woken.first_s <= woken.last_s
            herd.rearm()
        assert herd.answers() == 10


@pytest.mark.slow
def test_an_answer_that_came_before_the_write_is_told(shared_process: Process) -> None:
    """A query that does not wait for the write is wrong."""
    seed(shared_process, "watching/short")
    with Herd(shared_process.port) as herd:
        herd.park([Group("watching/short", 1, wait="1ms")])
        while not herd.answers():
            pass
        with pytest.raises(WrongAnswer, match="answered before the write"):
            herd.wake("watching/short", b"second")


@pytest.mark.slow
def test_a_key_that_is_not_there_cannot_be_parked_on(shared_process: Process) -> None:
    """It has no value to begin with."""
    with Herd(shared_process.port) as herd, pytest.raises(WrongAnswer, match="404"):
        herd.park([Group("watching/missing", 1)])
