"""What is measured, each by the name it has on the command line."""

from collections.abc import Sequence

from benchmarks.scenarios.base import Scenario
from benchmarks.scenarios.engines import Engines
from benchmarks.scenarios.get import GetOne
from benchmarks.scenarios.listing import ListMany, ListNew
from benchmarks.scenarios.million import Million
from benchmarks.scenarios.mix import EngineMix
from benchmarks.scenarios.parked import Parked, Wake
from benchmarks.scenarios.put import PutMany, PutOne
from benchmarks.scenarios.start import Start

__all__ = ["SCENARIOS", "Scenario"]

SCENARIOS: Sequence[Scenario] = (
    *(GetOne(), PutMany(), PutOne(), EngineMix(), ListMany(), ListNew()),
    *(Parked(), Wake(), Million(), Start(), Engines()),
)
