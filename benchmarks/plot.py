"""A picture of a run: rate, slowest answers and processor time of each load, store by store.

matplotlib is in the extra `bench`; without it there is no picture, and that is said.
"""

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from benchmarks import wording
from benchmarks.figures import Results

__all__ = ["drawable", "plot"]

_LOADS = ("get", "put", "put-1", "mix", "list", "list-new")
_PANELS = (
    ("rate", "answers a second"),
    ("p99", "99 of 100 answers within, ms"),
    ("CPU", "server's processor time of a request, µs"),
)
_BAR = 0.26
_SIZE_INCHES = (12, 4.5)
_COLOURS = {"ours": "#2a6f97", "consul": "#c9184a", "etcd": "#adb5bd"}


def drawable() -> bool:
    """Return whether the library for pictures is installed."""
    return find_spec("matplotlib") is not None


def plot(file: Path, results: Results, stores: Sequence[str]) -> bool:
    """Draw the loads that were measured; return whether there were any."""
    from matplotlib.figure import Figure  # noqa: PLC0415 - of the extra, see above

    loads = [one for one in _LOADS if one in results.scenarios()]
    if not loads:
        return False
    figure = Figure(figsize=_SIZE_INCHES, layout="constrained")
    for axes, (metric, title) in zip(figure.subplots(1, len(_PANELS)), _PANELS, strict=True):
        axes.set_title(title, fontsize=10)
        axes.set_yscale("log")  # a list and a read of one key are far apart
        axes.set_xticks([place + _BAR for place in range(len(loads))], loads)
        for offset, store in enumerate(stores):
            found = [(place, results.find(load, store, metric)) for place, load in enumerate(loads)]
            bars = axes.bar(
                [place + offset * _BAR for place, series in found if series],
                [series.median for _, series in found if series],
                width=_BAR,
                label=store,
                color=_COLOURS.get(store),
            )
            axes.bar_label(bars, fmt=wording.number, fontsize=6, rotation=90, padding=2)
        axes.margins(y=0.2)
        axes.spines[["top", "right"]].set_visible(False)
    figure.axes[0].legend(fontsize=8, frameon=False)
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file)
    return True
