"""What is measured, and what is made of several rounds of it. Pure."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from statistics import median

__all__ = ["Figure", "Results", "Series"]


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure of one round: "rate", "/s", 1234.5."""

    metric: str
    unit: str
    value: float


@dataclass(frozen=True, slots=True)
class Series:
    """One figure of one store in all rounds."""

    scenario: str
    store: str
    metric: str
    unit: str
    values: tuple[float, ...]

    @property
    def median(self) -> float:
        """The middle one; of an even number, the mean of the two."""
        return median(self.values)

    @property
    def spread(self) -> float:
        """From the smallest to the largest, as a part of the median; 0 of one round."""
        return (max(self.values) - min(self.values)) / self.median if self.median else 0.0


@dataclass(slots=True)
class Results:
    """All that was measured, in the order it came."""

    _values: dict[tuple[str, str, str], list[float]] = field(default_factory=dict)
    _units: dict[tuple[str, str], str] = field(default_factory=dict)

    def add(self, scenario: str, store: str, figures: Iterable[Figure]) -> None:
        """Add one round."""
        for figure in figures:
            self._units[scenario, figure.metric] = figure.unit
            self._values.setdefault((scenario, store, figure.metric), []).append(figure.value)

    def __iter__(self) -> Iterator[Series]:
        for (scenario, store, metric), values in self._values.items():
            yield Series(scenario, store, metric, self._units[scenario, metric], tuple(values))

    def find(self, scenario: str, store: str, metric: str) -> Series | None:
        """Return one series; None when it was not measured."""
        values = self._values.get((scenario, store, metric))
        if values is None:
            return None
        return Series(scenario, store, metric, self._units[scenario, metric], tuple(values))

    def metrics(self, scenario: str) -> list[str]:
        """Return the metrics of a scenario, in the order they came."""
        return list(dict.fromkeys(m for s, _, m in self._values if s == scenario))

    def scenarios(self) -> list[str]:
        """Return the scenarios that were measured."""
        return list(dict.fromkeys(scenario for scenario, _, _ in self._values))

    def ratio(self, scenario: str, metric: str, store: str, base: str) -> float | None:
        """Return the median of one store by that of another; None when there are not both."""
        mine, theirs = self.find(scenario, store, metric), self.find(scenario, base, metric)
        if mine is None or theirs is None or not theirs.median:
            return None
        return mine.median / theirs.median
