"""Waiting for a condition instead of sleeping, with a failure that says what was seen.

Knows nothing of engines or stores.
"""

import time
from collections.abc import Callable
from typing import TypeVar

from conformance.overlay.errors import Mismatch

T = TypeVar("T")

# Short enough that no scenario is slower for it, long enough that two cores have time for engines.
_PAUSE_S = 0.1


def wait_until(
    condition: Callable[[], T], timeout_s: float, what: str, *, pause_s: float = _PAUSE_S
) -> T:
    """Call `condition` until it returns something true, and return that.

    A `Mismatch` or `OSError` raised by the condition means "not yet".
    Raises Mismatch after `timeout_s`, naming `what` was expected and what was seen last.
    The condition is called at least once, and once more after the deadline has passed.
    """
    deadline = time.monotonic() + timeout_s
    while True:
        late = time.monotonic() >= deadline
        try:
            value = condition()
            if value:
                return value
            seen = repr(value)
        except (Mismatch, OSError) as error:
            seen = str(error) or repr(error)
        if late:
            raise Mismatch(f"expected within {timeout_s:g} s: {what}; seen last: {seen}")
        time.sleep(pause_s)


def expect(*, that: bool, what: str, seen: object) -> None:
    """Raise Mismatch unless `that` holds; `what` says what was expected."""
    if not that:
        raise Mismatch(f"expected {what}; seen: {seen}")
