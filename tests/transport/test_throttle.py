"""Log lines now and then: one of a kind in a while, the others counted."""

from kvstore.transport.throttle import Throttle


class Time:
    """A clock that moves when it is told to."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now_s


def test_the_first_is_let_through() -> None:
    """Each kind for itself."""
    throttle = Throttle(60, Time())
    assert throttle.admit("a") == ""
    assert throttle.admit("b") == ""


def test_others_are_counted() -> None:
    """What is kept back is told with the next that is let through, once."""
    time = Time()
    throttle = Throttle(60, time)
    throttle.admit("a")
    time.now_s += 59.9
    assert [throttle.admit("a") for _ in range(3)] == [None, None, None]
    time.now_s += 0.1
    assert throttle.admit("a") == " (3 times more since this was last logged)"
    time.now_s += 60
    assert throttle.admit("a") == ""


def test_it_remembers_so_many() -> None:
    """Of more kinds than it remembers, the one that was met longest ago is as good as new."""
    throttle = Throttle(60, Time())
    for kind in range(1000):
        throttle.admit(kind)
    assert throttle.admit(0) is None  # and so it is the newest
    assert throttle.admit(1000) == ""
    assert throttle.admit(0) is None
    assert throttle.admit(1) == ""
