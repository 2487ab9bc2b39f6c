"""`start`: how soon a server is there, and what it takes while nobody asks it anything."""

from benchmarks.figures import Figure
from benchmarks.ground import Ground
from benchmarks.scenarios.base import Scenario

__all__ = ["Start"]

_TIMES = 3
_TIMES_LONG = 7


class Start(Scenario):
    """From the start of a process on an empty folder to its first durable write; idle memory."""

    name = "start"
    shares = False
    rounds_max = 3

    def run(self, ground: Ground) -> list[Figure]:
        """Start it several times; look at its memory and at its use of a core when it rests."""
        figures = []
        for _ in range(_TIMES if ground.short else _TIMES_LONG):
            with ground.fresh() as server:
                server.wait_for_rest()
                used = server.look()
                figures += [
                    Figure("first write", "s", server.took_s),
                    Figure("CPU until it rests", "s", used.cpu_s),
                    Figure("idle memory", "MB", used.rss_bytes / 1e6),
                ]
        return figures
