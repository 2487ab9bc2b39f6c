"""How figures are written, for every kind of report. Pure."""

from benchmarks.figures import Results, Series

__all__ = ["number", "ratio", "row", "title"]

_MANY = 100
_SOME = 10
_SPREAD_TOLD = 0.1


def number(value: float) -> str:
    """Return a figure with as many digits as mean something: 12,345, 123, 12.3, 1.23."""
    if abs(value) >= _MANY:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= _SOME else f"{value:.2f}"


def ratio(value: float | None) -> str:
    """Return a ratio, or nothing when there is none."""
    return "" if value is None else f"{value:.2f}x"


def title(series_unit: str, metric: str) -> str:
    """Return a metric with its unit."""
    return f"{metric}, {series_unit}" if series_unit else metric


def row(results: Results, scenario: str, metric: str, stores: list[str]) -> list[str]:
    """Return one line of a table: the metric, a figure for each store, ours to Consul's."""
    found = [results.find(scenario, store, metric) for store in stores]
    unit = next(one.unit for one in found if one)
    cells = [_cell(one) if one else "" for one in found]
    return [title(unit, metric), *cells, ratio(results.ratio(scenario, metric, "ours", "consul"))]


def _cell(series: Series) -> str:
    """Return the median, with the spread of the rounds when it is worth a word."""
    if len(series.values) == 1 or series.spread < _SPREAD_TOLD:
        return number(series.median)
    return f"{number(series.median)} ({number(min(series.values))} to {number(max(series.values))})"
