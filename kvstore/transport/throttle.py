"""Log lines that a client could cause without end, written now and then."""

import time
from collections import OrderedDict
from collections.abc import Callable, Hashable

__all__ = ["Throttle"]

# How many different things are remembered; the one that was met longest ago is forgotten first.
_REMEMBERED_MAX = 1000


class Throttle:
    """Lets one of a kind through in `every_s` seconds and counts the others."""

    def __init__(self, every_s: float, now_s: Callable[[], float] = time.monotonic) -> None:
        self._every_s = every_s
        self._now_s = now_s
        # For each kind: when the next is let through, and how many were not.
        self._kinds: OrderedDict[Hashable, tuple[float, int]] = OrderedDict()

    def admit(self, kind: Hashable) -> str | None:
        """Return what to add to the line: how many of its kind were kept back since the last.

        None when this one is to be kept back too.
        """
        now_s = self._now_s()
        due_s, kept_back = self._kinds.pop(kind, (now_s, 0))
        if now_s < due_s:
            self._kinds[kind] = (due_s, kept_back + 1)
            return None
        self._kinds[kind] = (now_s + self._every_s, 0)
        if len(self._kinds) > _REMEMBERED_MAX:
            self._kinds.popitem(last=False)
        return f" ({kept_back} times more since this was last logged)" if kept_back else ""
