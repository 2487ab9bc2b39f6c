"""What can go wrong in a benchmark, split by what follows from it.

    BenchmarkRefused   this machine cannot run it: nothing is measured
    StoreMissing       one store cannot be had here: the others go on
    WrongAnswer        a store answered what it should not: its figures mean nothing
    ServerDied         a store's process ended while it was measured

Any other exception out of a benchmark is a bug of the benchmark.
"""


class BenchmarkRefused(Exception):
    """Nothing can be measured; the text is one sentence that ends with the next step."""


class StoreMissing(Exception):
    """A store is not to be had; the text is one sentence that says why."""


class WrongAnswer(Exception):
    """What a store answered is not what it must; both are in the text."""


class ServerDied(Exception):
    """A store's process ended by itself; the text has the end of its log."""
